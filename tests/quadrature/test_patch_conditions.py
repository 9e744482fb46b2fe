"""The patch test of one element: known integrals, and which rules pass."""

import numpy as np
import pytest
from support.properties import described_otherwise, moved

import femnn
from femnn.geometry import SIGNS, VERTICES, own_axes, signed_volume
from femnn.integration import tensor_gauss
from femnn.quadrature import patch_residual
from femnn.quadrature.patch_conditions import passing_changes, patch_bases, patch_integrals, patch_integrands


def test_integrals_are_derivatives_of_the_volume(distorted):
    elements = distorted[:20]
    exact = patch_integrals(elements).reshape(-1, 8, 3)
    for a, i in ((0, 0), (3, 1), (7, 2)):
        step = np.zeros((8, 3))
        step[a, i] = 1e-4
        slope = (signed_volume(elements + step) - signed_volume(elements - step)) / 2e-4
        np.testing.assert_allclose(exact[:, a, i], slope, rtol=1e-6, atol=1e-9)


def test_integrals_are_exact(distorted):
    points, weights = tensor_gauss(5, 5, 5)
    np.testing.assert_allclose(patch_integrands(distorted, points) @ weights, patch_integrals(distorted), atol=1e-14)


def test_own_axes_take_parallelepipeds_to_the_cube():
    sheared = VERTICES @ np.array([[2.0, 0.3, 0.0], [0.0, 1.0, 0.5], [0.1, 0.0, 0.7]])
    np.testing.assert_allclose(own_axes(sheared[None])[0], SIGNS, atol=1e-14)


@pytest.mark.parametrize("n", [2, 3, (2, 3, 4)])
def test_gauss_points_pass_in_every_shape(distorted, n):
    for elements in (distorted, moved(distorted, seed=3, size=1e-5), distorted * [1e3, 1.0, 1.0]):
        for group in femnn.GaussLegendre(n).groups(elements):
            assert patch_residual(elements[group.cells], group.X, group.W).max() < 1e-13


def test_residual_sees_wrong_points_and_weights(distorted):
    points, weights = tensor_gauss(2, 2, 2)
    wrong = weights * (1.0 + 1e-6 * np.arange(8))
    assert patch_residual(distorted, points, wrong).min() > 1e-8
    own = np.broadcast_to(points[:, None], (3, len(distorted), 8)).copy()
    np.testing.assert_allclose(patch_residual(distorted, own, weights), 0.0, atol=1e-13)
    own[0, :, 3] += 1e-5
    assert patch_residual(distorted, own, np.tile(weights, (len(distorted), 1))).min() > 1e-8
    assert patch_residual(distorted, *tensor_gauss(1, 1, 1)).min() > 1e-3


def test_residual_does_not_depend_on_numbering_or_affine_maps(distorted):
    points, weights = tensor_gauss(1, 1, 1)
    expected = patch_residual(distorted, points, weights)
    renamed = described_otherwise(distorted, 17) @ np.array([[5.0, 0.3, 0.0], [0.0, 1.0, 0.5], [0.1, 0.0, 0.7]])
    np.testing.assert_allclose(patch_residual(renamed, points, weights), expected, rtol=1e-9)


@pytest.mark.parametrize(("warp", "functions"), [(0.1, 13), (1e-6, 13), (3e-12, 13), (0.0, 7)])
def test_every_function_counts_however_small_the_warp(warp, functions):
    elements = VERTICES + warp * np.random.default_rng(0).uniform(-1.0, 1.0, (20, 8, 3))
    points = tensor_gauss(3, 3, 3)[0]
    bases = patch_bases(elements, points)
    assert (np.linalg.norm(bases, axis=2) > 0.5).sum(axis=1).tolist() == 20 * [functions]
    # changes of weights that pass do so by the part of each integrand that only the warp makes, too
    changes = passing_changes(elements, points, np.random.default_rng(1).normal(size=(20, 27)))
    assert np.linalg.norm(changes, axis=1).min() > 0.5
    integrals = np.einsum("erq,eq->er", patch_integrands(own_axes(elements), points), changes)
    assert np.abs(integrals).max() < 1e-14
