"""Exactly optimal weights against a general solver, their certificate, and the published random search."""

import numba
import numpy as np
import pytest
from scipy.optimize import linprog

import femnn
from femnn.geometry import VERTICES
from femnn.integration import converged_stiffness, elasticity_stiffness, error_table, stiffness_error, tensor_gauss
from femnn.integration.optimal_weights import optimal_weights, random_trials, weight_systems

POINTS, GAUSS = tensor_gauss(2, 2, 2)


@pytest.fixture(scope="module")
def systems(distorted):
    references, _ = converged_stiffness(distorted)
    return weight_systems(distorted, POINTS, references), references


def by_linear_programme(matrix, target):
    rows, n = matrix.shape
    cost = np.r_[np.zeros(n), np.ones(rows)]
    above = np.block([[matrix, -np.eye(rows)], [-matrix, -np.eye(rows)]])
    result = linprog(cost, A_ub=above, b_ub=np.r_[target, -target], bounds=[(None, None)] * n + [(0, None)] * rows)
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
