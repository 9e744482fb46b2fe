"""Kernels on many elements side by side, against sums and systems that NumPy takes one by one."""

import numpy as np
import pytest

import femnn
from femnn.assembly.hourglass.moments import hourglass_moments, missed_points
from femnn.geometry import relative_warp
from femnn.integration import element_lanes as lanes
from femnn.integration import tensor_gauss
from femnn.quadrature import patch_functions


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def moments_of(warps, points, weights, sign=1.0):
    """The moments (n, 157) of points (3, q) with weights (n, q), one set for each element."""
    n, blocks = len(warps), lanes.in_lanes(warps)
    places, own = lanes.shared_lanes(points.T), lanes.in_lanes(weights)
    result, values = np.zeros((len(blocks), lanes.MOMENTS * lanes.LANES)), np.empty(lanes.POINT_ROWS * lanes.LANES)
    for block in range(len(blocks)):
        lanes.add_points(blocks[block], places, own[block], sign, values, result[block])
    return lanes.out_of_lanes(result, n)


@pytest.mark.parametrize("n", [0, 1, lanes.LANES - 1, lanes.LANES, lanes.LANES + 1, 100])
@pytest.mark.parametrize("shape", [(0,), (3,), (2, 3)])
def test_numbers_of_elements_come_back_from_lanes(n, shape, rng):
    values = rng.normal(size=(n, *shape))
    blocks = lanes.in_lanes(values)
    assert blocks.shape == (-(-n // lanes.LANES), int(np.prod(shape)) * lanes.LANES)
    np.testing.assert_array_equal(lanes.out_of_lanes(blocks, n), values.reshape(n, int(np.prod(shape))))


@pytest.mark.parametrize("elements", [0, 1, lanes.LANES - 1, lanes.LANES + 1])
@pytest.mark.parametrize("per_axis", [1, 2, 3, 4])
def test_moments_are_those_of_elements_one_by_one(elements, per_axis):
    warps = relative_warp(femnn.distorted_hexahedra(50, 0.25, seed=4))[:elements]
    points, weights = tensor_gauss(per_axis, per_axis, per_axis)
    found = moments_of(warps, 2.0 * points - 1.0, np.tile(8.0 * weights, (elements, 1)))
    upper = [12 * r + c for r in range(12) for c in range(r // 3 * 3, 12)]
    expected = hourglass_moments(warps, per_axis).reshape(-1, 144)
    np.testing.assert_allclose(found[:, upper], expected[:, upper], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("count", [1, 8, 9, 10, 26, 35])
def test_points_are_added_in_any_number_with_weights_of_each_element(count, rng):
    warps = relative_warp(femnn.distorted_hexahedra(40, 0.25, seed=5))
    points, weights = rng.uniform(-1.0, 1.0, (3, count)), rng.uniform(0.5, 1.5, (40, count))
    found = moments_of(warps, points, weights, -1.0)
    ones = [moments_of(warps, points[:, q : q + 1], np.ones((40, 1))) for q in range(count)]
    expected = -sum(weights[:, q : q + 1] * one for q, one in enumerate(ones))
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)


def test_means_and_volume_are_exact_by_two_points_an_axis():
    warps = relative_warp(femnn.distorted_hexahedra(40, 0.25, seed=6))
    points, weights = missed_points()
    tail = moments_of(warps, points, np.tile(weights, (40, 1)))[:, lanes.MEANS :]
    np.testing.assert_allclose(tail, 0.0, atol=1e-14)


def test_physical_axes(rng):
    moments, inverse = rng.normal(size=(12, 12)), rng.normal(size=(3, 3))
    rows, columns = lanes.shared_lanes(moments), lanes.shared_lanes(inverse)
    for k, m in ((0, 0), (1, 3), (2, 3)):
        block = lanes.block_of_moments(k, m)
        found = lanes.in_physical_axes(rows, block, columns, np.uint64(7))
        own = moments[3 * k : 3 * k + 3, 3 * m : 3 * m + 3]
        np.testing.assert_allclose(np.reshape(found, (3, 3)), inverse.T @ own @ inverse, rtol=1e-13)


@pytest.mark.parametrize("count", [4, 8, 28])
def test_systems_of_the_thirteen_are_solved(count, rng):
    size = patch_functions.EQUATIONS
    functions = rng.normal(size=(lanes.LANES, count * size))
    right = rng.normal(size=(lanes.LANES, size))
    rows, sides = lanes.in_lanes(functions)[0], lanes.in_lanes(right)[0]
    matrix, total = np.zeros(patch_functions.GRAM_ROWS * lanes.LANES), np.empty(lanes.LANES)
    patch_functions.add_gram(rows, count, matrix)
    patch_functions.add_to_diagonal(np.ones(lanes.LANES), 0.5, 0.25, matrix)
    sets = functions.reshape(-1, count, size)
    expected = np.einsum("eqr,eqt->ert", sets, sets) + 0.75 * np.eye(size)
    found = lanes.out_of_lanes(matrix[None], lanes.LANES).reshape(-1, size, size)
    np.testing.assert_allclose(np.tril(found), np.tril(expected), rtol=1e-12, atol=1e-12)
    patch_functions.factorise(matrix, total)
    patch_functions.substitute(matrix, sides, total)
    solved = lanes.out_of_lanes(sides[None], lanes.LANES)
    np.testing.assert_allclose(np.einsum("ert,et->er", expected, solved), right, rtol=1e-9, atol=1e-9)
