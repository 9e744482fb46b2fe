"""Sums over tensor rules of the slopes of the twists: against sums point by point, and what every rule finds."""

import numpy as np
import pytest

import femnn
from femnn.geometry import canonical_warps
from femnn.geometry.hexahedron import SIGNS
from femnn.integration.gauss import tensor_gauss
from femnn.integration.twist_moments import (
    place_tables,
    tensor_twist_moments,
    twist_slopes,
    twist_workspace,
    values_at_places,
)


@pytest.fixture(scope="module")
def warps():
    return canonical_warps(femnn.distorted_hexahedra(6, (0.1, 0.35), seed=3, aspect=20.0))[0]


def summed(warp, rule):
    points, weights = tensor_gauss(*rule)
    moments, means, volume, slopes = np.zeros((12, 12)), np.zeros(12), 0.0, np.empty(12)
    for point, weight in zip(2.0 * points.T - 1.0, 8.0 * weights, strict=True):
        determinant = twist_slopes(warp, *point, slopes)
        moments += weight / determinant * np.outer(slopes, slopes)
        means += weight * slopes
        volume += weight * determinant
    return moments, means, volume


def by_kernel(warp, rule):
    moments, means, work = np.empty((12, 12)), np.empty(12), twist_workspace(max(rule))
    volume = values_at_places(warp, work, means)
    tensor_twist_moments(np.array(rule), place_tables(max(rule)), work, moments)
    return moments, means, volume


@pytest.mark.parametrize("rule", [(2, 2, 2), (2, 3, 5), (4, 2, 7), (9, 8, 3)])
def test_sums_point_by_point(warps, rule):
    for warp in warps:
        for found, expected in zip(by_kernel(warp, rule), summed(warp, rule), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("d", [0.05, 0.45])
def test_sums_of_nearly_folded_elements(d):
    """Where det J is a thousandth of its mean at a vertex, what is not evaluated at the points is still known."""
    cube = np.array(SIGNS) * 1.0
    cube[0] += d * np.array([1.0, -0.5, 0.2])
    cube[0] -= (1.0 - 1e-3) * (cube[0] - cube[1:4].mean(axis=0))
    warp = canonical_warps(cube[None])[0][0]
    found, expected = by_kernel(warp, (5, 9, 14))[0], summed(warp, (5, 9, 14))[0]
    assert np.abs(found - expected).max() < 1e-12 * np.abs(expected).max()
