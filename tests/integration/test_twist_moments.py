"""Sums over tensor rules of the slopes of the twists: against sums point by point, and what every rule finds."""

import numpy as np
import pytest

import femnn
from femnn.geometry import canonical_warps
from femnn.integration.gauss import tensor_gauss
from femnn.integration.twist_moments import tensor_twist_moments, twist_slopes, twist_workspace
from femnn.quadrature.adaptive.directional_errors import line_rules


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
    moments, means = np.empty((12, 12)), np.empty(12)
    volume = tensor_twist_moments(warp, np.array(rule), *line_rules(), twist_workspace(), moments, means)
    return moments, means, volume


@pytest.mark.parametrize("rule", [(2, 2, 2), (2, 3, 5), (4, 2, 7), (1, 3, 3)])
def test_sums_point_by_point(warps, rule):
    for warp in warps:
        for found, expected in zip(by_kernel(warp, rule), summed(warp, rule), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


def test_two_points_find_means_and_volume_exactly(warps):
    for warp in warps:
        (few, means, volume), (many, exact, whole) = by_kernel(warp, (2, 2, 2)), by_kernel(warp, (9, 9, 9))
        np.testing.assert_allclose(means, exact, atol=1e-13)
        assert volume == pytest.approx(whole, rel=1e-13)
        assert np.abs(few - many).max() > 1e-6
