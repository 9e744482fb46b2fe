"""Points of cells of any kind: exact where they must be, alike for alike cells, and near what integration says."""

import itertools

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from femnn.geometry.cell_families import FAMILIES, cells_of_family
from femnn.geometry.cells import CURVED_HEXAHEDRON, CURVED_QUADRILATERAL, HEXAHEDRON, KINDS, QUADRILATERAL
from femnn.geometry.validity import VALID, classify
from femnn.integration.cell_matrices import cell_matrices, matrix_errors
from femnn.quadrature.adaptive.legendre_series import (
    Series,
    cheapest_points,
    estimated_errors,
    least_determinant_share,
    series_of,
)

ONES = np.ones(1)
SETTINGS = [
    (QUADRILATERAL, 1),
    (QUADRILATERAL, 2),
    (CURVED_QUADRILATERAL, 1),
    (CURVED_QUADRILATERAL, 2),
    (HEXAHEDRON, 2),
    (CURVED_HEXAHEDRON, 2),
]


@pytest.mark.parametrize("kind", KINDS, ids=repr)
@pytest.mark.parametrize("family", FAMILIES)
def test_families_are_healthy_and_repeatable(kind, family):
    x = cells_of_family(kind, family, 50, seed=4)
    assert (classify(x) == VALID).all()
    np.testing.assert_array_equal(x, cells_of_family(kind, family, 50, seed=4))
    assert np.abs(x - cells_of_family(kind, family, 50, seed=5)).max() > 1e-3


@pytest.mark.parametrize(("kind", "degree"), SETTINGS)
def test_parallelepipeds_need_one_point_more_than_the_degree(kind, degree):
    shear = np.eye(kind.dim) + 0.4 * np.random.default_rng(0).uniform(-1, 1, (20, kind.dim, kind.dim))
    x = kind.nodes @ (shear * np.array([30.0, *[1.0] * (kind.dim - 1)])[:, None])
    for anisotropic in (False, True):
        points, met = cheapest_points(series_of(x), degree, ONES, 1e-8, anisotropic)
        assert (points == degree + 1).all()
        assert met.all()


@pytest.mark.parametrize(("kind", "degree"), SETTINGS)
def test_estimates_follow_the_errors(kind, degree):
    x = cells_of_family(kind, "random", 60, seed=1)
    dim, series = kind.dim, series_of(x)
    references = cell_matrices(x, ((24, 24) if dim == 2 else (12, 12, 12)), degree, 0.3)
    for n in (degree + 1, degree + 2, degree + 3):
        errors = matrix_errors(cell_matrices(x, (n,) * dim, degree, 0.3), references)
        estimates = estimated_errors(series, n, degree)
        certain = errors > 1e-9
        ratio = np.log10(errors[certain] / estimates[certain])
        # over eight decades of Errors
        assert np.std(ratio) < 0.35
        assert np.abs(np.median(ratio)) < 1.0


@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_position_orientation_and_size_do_not_matter(kind):
    x = cells_of_family(kind, "random", 30, seed=2)
    turn = Rotation.random(random_state=1).as_matrix()
    if kind.dim == 2:
        turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    moved = 1e-6 * (x @ turn) + 3.0
    np.testing.assert_allclose(series_of(moved).tails, series_of(x).tails, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_neighbours_do_not_matter(kind):
    """Cells are worked on many at a time, parallelepipeds left out: each by itself gives the same bits."""
    x = cells_of_family(kind, "random", 70, seed=6)
    x[[3, 40, 69]] = kind.nodes @ (np.eye(kind.dim) + 0.3)
    together = series_of(x)
    assert not together.tails[[3, 40, 69]].any()
    for e in (0, 3, 63, 64, 69):
        alone = series_of(x[e : e + 1])
        np.testing.assert_array_equal(alone.tails[0], together.tails[e])
        np.testing.assert_array_equal(alone.rates[0], together.rates[e])


def test_nodes_off_their_places_are_seen_however_flat_the_cell():
    x = np.stack([CURVED_HEXAHEDRON.nodes * [1.0, 1.0, 1e-4]] * 2)
    x[1, -1, 2] += 1e-9
    tails = series_of(x).tails
    assert not tails[0].any()
    assert tails[1].max() > 1e-7


def test_axes_and_mirror_images_change_places():
    x = cells_of_family(QUADRILATERAL, "random", 30, seed=3)
    series = series_of(x)
    # vertices (0,0), (1,0), (1,1), (0,1): exchanging ξ and η, and turning ξ round
    exchanged = series_of(x[:, [0, 3, 2, 1]])
    np.testing.assert_allclose(exchanged.tails, series.tails[:, ::-1], rtol=1e-9, atol=1e-12)
    turned = series_of(x[:, [1, 0, 3, 2]])
    np.testing.assert_allclose(turned.tails, series.tails, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dim", [2, 3])
def test_the_cheapest_product_is_found(dim):
    rng = np.random.default_rng(5)
    # tails that fall at different rates along the axes
    rates = rng.uniform(0.05, 0.7, (40, dim))
    tails = rates[:, :, None] ** np.arange(24) * rng.uniform(0.1, 3.0, (40, dim, 1))
    series, limit = Series(tails, rates, np.ones(40)), 1e-4
    points, met = cheapest_points(series, 1, np.array([0.7, 1.2]), limit, True)
    factor = np.array([0.7, 1.2, 1.2])

    def estimate(e, axis, n):
        k = 2 * (n - 1)
        tail = tails[e, axis, k] if k < 24 else tails[e, axis, 23] * rates[e, axis] ** (k - 23)
        return tail * factor[min(n - 2, 2)]

    for e in range(40):
        assert met[e]
        candidates = [
            np.prod(rule)
            for rule in itertools.product(range(2, 26), repeat=dim)
            if sum(estimate(e, axis, n) for axis, n in enumerate(rule)) < limit
        ]
        assert points[e].prod() == min(candidates)
        assert sum(estimate(e, axis, n) for axis, n in enumerate(points[e])) < limit


def test_the_determinant_at_nodes_tells_of_cells_on_the_verge_of_folding():
    x = np.stack([QUADRILATERAL.nodes] * 2)
    # vertex 2 almost on the line between its neighbours
    x[0, 2] = [0.5 + 1e-7, 0.5 + 1e-7]
    assert (classify(x) == VALID).all()
    np.testing.assert_allclose(least_determinant_share(x), [2e-7, 1.0], rtol=1e-5)
