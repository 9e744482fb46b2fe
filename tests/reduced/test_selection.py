"""Sparse weights: non-negative, few, as good as asked; and a row space that grows block by block."""

import numpy as np
import pytest
from scipy.optimize import nnls

from femnn.exceptions import ParameterError
from femnn.reduced import sparse_weights
from femnn.reduced.row_space import RowMixture, RowSpace


def integrals(rows=20, n=400, seed=0):
    """Smooth functions at random points, as those of cells are."""
    x = np.sort(np.random.default_rng(seed).uniform(-1.0, 1.0, n))
    return np.polynomial.legendre.legvander(x, rows - 1).T


@pytest.mark.parametrize("method", ["nnls", "greedy"])
def test_weights_are_positive_and_no_more_than_integrals(method):
    matrix = integrals()
    target = matrix.sum(axis=1)
    found = sparse_weights(matrix, target, tol=1e-10, method=method, progress=False)
    assert (found.weights > 0.0).all()
    assert len(found.chosen) <= 20
    assert (np.diff(found.chosen) > 0).all()
    missed = matrix[:, found.chosen] @ found.weights - target
    assert np.linalg.norm(missed) == pytest.approx(found.residual * np.linalg.norm(target), abs=1e-9)
    assert found.residual < 1e-10


def test_a_loose_tolerance_stops_early():
    matrix = integrals()
    loose, tight = (
        sparse_weights(matrix, matrix.sum(axis=1), tol=tol, progress=False) for tol in (1e-2, 1e-8)
    )  # fmt: skip
    assert len(loose.chosen) < len(tight.chosen)
    assert tight.residual < 1e-8 < loose.residual < 1e-2


def test_without_early_stopping_the_least_residual_is_that_of_nnls():
    """A target that no positive weights reach."""
    random = np.random.default_rng(3)
    matrix, target = random.normal(size=(30, 12)), random.normal(size=30)
    found = sparse_weights(matrix, target, tol=0.0, progress=False)
    weights, residual = nnls(matrix, target)
    assert found.residual * np.linalg.norm(target) == pytest.approx(residual, rel=1e-9)
    np.testing.assert_allclose(found.weights, weights[weights > 0.0], rtol=1e-8)


def test_the_number_of_columns_may_be_limited():
    matrix = integrals()
    found = sparse_weights(matrix, matrix.sum(axis=1), tol=1e-12, most=5, progress=False)
    assert len(found.chosen) <= 5
    with pytest.raises(ParameterError, match="the target is zero"):
        sparse_weights(matrix, np.zeros(20), progress=False)
    with pytest.raises(ParameterError):
        sparse_weights(matrix, np.ones(19), progress=False)


def test_the_row_space_holds_what_matters_of_rows_that_came_in_blocks():
    random = np.random.default_rng(4)
    rows = random.normal(size=(60, 8)) @ np.diag(np.logspace(0, -7, 8)) @ random.normal(size=(8, 500))
    space = RowSpace(500, 1e-4)
    for block in np.split(rows, 6):
        space.add(block)
    assert space.size == pytest.approx(np.linalg.norm(rows), rel=1e-12)
    assert 3 <= len(space.rows) <= 6
    # what the rows do to any vector, in the norm, is kept up to what was lost
    for _ in range(5):
        v = random.normal(size=500)
        difference = abs(np.linalg.norm(space.rows @ v) - np.linalg.norm(rows @ v))
        assert difference <= space.lost * np.linalg.norm(v)
    assert space.lost < 1e-3 * space.size


def test_a_mixture_of_rows_keeps_sums_and_norms():
    random = np.random.default_rng(5)
    rows = random.normal(size=(3000, 40)) * np.logspace(0, -3, 3000)[:, None]
    mixture = RowMixture(40, 400)
    for block in np.split(rows, 10):
        mixture.add(block)
    assert mixture.size == pytest.approx(np.linalg.norm(rows), rel=1e-12)
    for _ in range(5):
        v = random.normal(size=40)
        for part in (mixture.rows, mixture.control):
            assert np.linalg.norm(part @ v) == pytest.approx(np.linalg.norm(rows @ v), rel=0.3)
    # other draws
    assert np.abs(mixture.control[:40] - mixture.rows[:40]).max() > 0.0
