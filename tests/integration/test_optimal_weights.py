"""Exactly optimal weights against a general solver, their certificate, and the published random search."""

from itertools import product

import numba
import numpy as np
import pytest
from scipy.optimize import linprog

import femnn
from femnn.geometry import VERTICES
from femnn.geometry.symmetry import symmetries, vertex_permutations
from femnn.integration import converged_stiffness, elasticity_stiffness, error_table, stiffness_error, tensor_gauss
from femnn.integration import optimal_weights as module
from femnn.integration.optimal_weights import (
    _is_proven,
    _minimise_l1,
    optimal_weights,
    random_trials,
    weight_systems,
)

POINTS, GAUSS = tensor_gauss(2, 2, 2)


@pytest.fixture(scope="module")
def systems(distorted):
    references, _ = converged_stiffness(distorted)
    return weight_systems(distorted, POINTS, references), references


def by_linear_programme(matrix, target):
    rows, n = matrix.shape
    cost = np.r_[np.zeros(n), np.ones(rows)]
    above = np.block([[matrix, -np.eye(rows)], [-matrix, -np.eye(rows)]])
    tolerances = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    bounds = [(None, None)] * n + [(0, None)] * rows
    result = linprog(cost, A_ub=above, b_ub=np.r_[target, -target], bounds=bounds, options=tolerances)
    return result.fun


def test_systems_measure_the_error(distorted, systems):
    (matrices, targets), references = systems
    weights = GAUSS * np.random.default_rng(0).uniform(0.8, 1.2, (len(distorted), 8))
    by_system = np.abs(np.einsum("erq,eq->er", matrices, weights) - targets).sum(axis=1)
    by_matrices = stiffness_error(elasticity_stiffness(distorted, POINTS, weights), references)
    np.testing.assert_allclose(by_system, by_matrices, rtol=1e-10)


def test_optimum_is_that_of_a_linear_programme(systems):
    (matrices, targets), _ = systems
    _, errors, proven = optimal_weights(matrices[:12], targets[:12], GAUSS)
    assert proven.all()
    expected = [by_linear_programme(a, b) for a, b in zip(matrices[:12], targets[:12], strict=True)]
    np.testing.assert_allclose(errors, expected, rtol=1e-9)


def test_optimum_is_proven_everywhere_and_reached_by_its_weights(distorted, systems):
    (matrices, targets), references = systems
    weights, errors, proven = optimal_weights(matrices, targets, GAUSS)
    assert proven.all()
    measured = stiffness_error(elasticity_stiffness(distorted, POINTS, weights), references)
    np.testing.assert_allclose(measured, errors, rtol=1e-9)
    assert (errors <= error_table(distorted, 2)[0][:, 1] * (1 + 1e-12)).all()


def test_no_move_of_the_weights_improves_the_optimum(systems):
    (matrices, targets), _ = systems
    weights, errors, _ = optimal_weights(matrices, targets, GAUSS)
    random = np.random.default_rng(1)
    for size in (1e-6, 1e-3, 1e-1):
        moved = weights + size * random.normal(size=weights.shape)
        assert (np.abs(np.einsum("erq,eq->er", matrices, moved) - targets).sum(axis=1) >= errors * (1 - 1e-12)).all()


def test_mean_optimum_is_the_published_ceiling():
    # the design's figures for the mean R_error of the true optimum
    for displacement, expected in ((0.1, 0.96), (0.3, 0.92)):
        elements = femnn.distorted_hexahedra(600, displacement, seed=3)
        references, _ = converged_stiffness(elements)
        _, errors, _ = optimal_weights(*weight_systems(elements, POINTS, references), GAUSS)
        ratio = errors / error_table(elements, 2)[0][:, 1]
        assert ratio.mean() == pytest.approx(expected, abs=0.03)


def test_parallelepipeds_keep_gauss_weights():
    brick = (VERTICES * [1.0, 2.0, 3.0])[None]
    references, _ = converged_stiffness(brick)
    weights, errors, proven = optimal_weights(*weight_systems(brick, POINTS, references), GAUSS)
    np.testing.assert_array_equal(weights[0], GAUSS)
    assert errors[0] < 1e-11
    assert proven[0]


def test_random_trials_improve_with_their_number_and_never_pass_the_optimum(systems):
    (matrices, targets), _ = systems
    matrices, targets = matrices[:40], targets[:40]
    _, best, _ = optimal_weights(matrices, targets, GAUSS)
    standard = np.abs(matrices @ GAUSS - targets).sum(axis=1)
    means = []
    for trials in (0, 500, 20_000):
        weights, errors = random_trials(matrices, targets, GAUSS, trials, seed=0, spread=0.02)
        measured = np.abs(np.einsum("erq,eq->er", matrices, weights) - targets).sum(axis=1)
        np.testing.assert_allclose(measured, errors, rtol=1e-9)
        assert (errors >= best * (1 - 1e-12)).all()
        assert (np.abs(weights / GAUSS - 1) <= 0.02 + 1e-12).all()
        means.append((errors / standard).mean())
    assert means[0] == pytest.approx(1.0)
    assert means[0] > means[1] > means[2]


def test_random_trials_depend_on_seed_and_element_alone(systems):
    (matrices, targets), _ = systems
    whole, _ = random_trials(matrices[:20], targets[:20], GAUSS, 500, seed=4, spread=0.01)
    tail, _ = random_trials(matrices[10:20], targets[10:20], GAUSS, 500, seed=4, spread=0.01, first=10)
    np.testing.assert_array_equal(tail, whole[10:])
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        alone, _ = random_trials(matrices[:20], targets[:20], GAUSS, 500, seed=4, spread=0.01)
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(alone, whole)
    other, _ = random_trials(matrices[:20], targets[:20], GAUSS, 500, seed=5, spread=0.01)
    assert np.abs(other - whole).max() > 1e-4


def symmetric_elements(n, seed):
    """Elements of many kinds of symmetry: displacements averaged over subgroups of the cube's symmetries; prisms."""
    random = np.random.default_rng(seed)
    matrices, places = symmetries(), vertex_permutations()
    elements = []
    for generators in product(range(48), repeat=2):
        group = {0} | set(generators)
        while True:
            products = {_number(matrices[a] @ matrices[b]) for a in group for b in group}
            if products == group:
                break
            group = products
        if len(group) in (1, 48) or random.uniform() > 0.12:
            continue
        moves = random.uniform(-0.25, 0.25, (8, 3))
        # the element renamed by g and turned back
        moves = np.mean([moves[places[g]] @ matrices[g] for g in group], axis=0)
        elements.append(VERTICES + moves)
    elements = np.array(elements)[:n]
    prisms = VERTICES + random.uniform(-0.2, 0.2, (len(elements) // 4, 8, 3)) * [1.0, 1.0, 0.0]
    prisms[:, VERTICES[:, 2] == 0.0, :2] = prisms[:, VERTICES[:, 2] == 1.0, :2]
    return np.concatenate([elements, prisms])


def _number(matrix):
    return int(np.flatnonzero((symmetries() == matrix).all(axis=(1, 2)))[0])


def test_the_optimum_of_symmetric_elements_is_that_of_a_linear_programme_and_proven():
    # many rows are equal or zero there, and more kinks meet in one point than there are weights
    elements = symmetric_elements(32, seed=2)
    references, _ = converged_stiffness(elements)
    matrices, targets = weight_systems(elements, POINTS, references)
    standard = np.abs(matrices @ GAUSS - targets).sum(axis=1)
    _, errors, proven = optimal_weights(matrices, targets, GAUSS)
    assert proven.all()
    improvable = standard > 1e-9
    assert improvable.sum() > 25
    ratios = errors / standard
    # the programme for the change, over the Error that is there: the solver's tolerances are not relative
    changes = zip(matrices[improvable], (targets - matrices @ GAUSS)[improvable], standard[improvable], strict=True)
    expected = [by_linear_programme(matrix, target / error) for matrix, target, error in changes]
    np.testing.assert_allclose(ratios[improvable], expected, rtol=1e-7)


def test_what_is_not_optimal_is_not_proven(systems):
    (matrices, targets), _ = systems
    for matrix, target in zip(matrices[:10], targets[:10], strict=True):
        weights, dual = np.array(GAUSS), np.empty(300)
        _minimise_l1(matrix, target, weights, dual)
        assert _is_proven(matrix, target, weights, dual)
        # the same dual bounds every other choice of weights, and is wrong if it is too large or out of balance
        assert not _is_proven(matrix, target, weights * (1.0 + 1e-6), dual)
        assert not _is_proven(matrix, target, weights, 2.0 * dual)
        assert not _is_proven(matrix, target, weights, np.sign(matrix @ weights - target))
        assert not _is_proven(matrix, target, weights, np.full(300, np.nan))


def test_an_optimum_that_is_not_reached_is_not_proven(systems):
    (matrices, targets), _ = systems
    matrices, targets = matrices[:3].copy(), targets[:3].copy()
    # a column that is not a number leaves nothing to prove
    targets[1, 4] = np.nan
    _, _, proven = optimal_weights(matrices, targets, GAUSS)
    assert proven.tolist() == [True, False, True]


def test_a_descent_that_ends_early_proves_nothing(systems, monkeypatch):
    (matrices, targets), _ = systems
    # neither attempt moves; the compiled loop would not see that
    monkeypatch.setattr(module, "_minimise_l1", lambda *_: None)
    monkeypatch.setattr(module._minimise_all, "kernel", module._minimise_all.py_func)
    weights, _, proven = optimal_weights(matrices[:3], targets[:3], GAUSS)
    np.testing.assert_array_equal(weights, np.tile(GAUSS, (3, 1)))
    assert not proven.any()
