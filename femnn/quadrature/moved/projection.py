"""Points and weights on the manifold that passes the patch test of one element.

There the thirteen functions of :mod:`femnn.quadrature.patch_functions` are integrated exactly.
"""

import numpy as np

from femnn.integration.element_lanes import BLOCK, LANES, in_lanes, out_of_lanes, shared_lanes, twist_values
from femnn.integration.gauss import tensor_gauss
from femnn.integration.kernels import _FAST
from femnn.quadrature.patch_functions import (
    EQUATIONS,
    GRAM_ROWS,
    SLIGHT,
    add_gram,
    add_to_diagonal,
    factorise,
    functions_at,
    substitute,
    weighted_slopes,
)
from femnn.system.compile import njit

#: 2×2×2 Gauss points on [-1, 1]³, shape (8, 3).
GAUSS_POINTS = 2.0 * tensor_gauss(2, 2, 2)[0].T - 1.0

_GAUSS_LANES = shared_lanes(GAUSS_POINTS)

#: Largest error of a main integral, and of a slight one times the size of the warp, that passes; the volume is 8.
PASSES = 5e-13

_EQUATIONS, _POINTS, _POINT = np.uint64(EQUATIONS), np.uint64(8), np.uint64(4 * EQUATIONS * LANES)

# What is known about an element while it is projected.
_WAITING, _PASSES, _LOST = 0, 1, 2

# Steps until an element is given up, and until those that are not done are laid out side by side anew. The first two of
# a round are those of Newton, the others keep the matrix of the second: they take a fifth of the time.
_MOST_STEPS, _ROUND, _NEWTON = 18, 6, 2

# Where twists are missing or nearly so, there are fewer than thirteen functions and the equations are singular. Slight
# functions have a round-off of 1e-16 over the size of the warp: this, over the size squared, keeps it from being blown
# up, and delays only what hardly matters.
_REGULAR = 1e-13


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _judge(residual, size, points, weights, status, worst):
    """Write which lanes pass; return how many neither pass nor are lost, and so need another step."""
    worst[:] = 0.0
    for r in range(EQUATIONS):
        row, slight = np.uint64(LANES * r), r >= SLIGHT
        for b in range(BLOCK):
            value = abs(residual[row + b]) * (size[b] if slight else 1.0)
            # what is no number counts as large
            worst[b] = worst[b] if value <= worst[b] else value
    waiting = 0
    for b in range(LANES):
        if status[b] != _WAITING:
            continue
        if worst[b] < PASSES:
            inside = True
            for q in range(24):
                inside = inside and abs(points[LANES * q + b]) < 1.0
            for q in range(8):
                inside = inside and weights[LANES * q + b] > 0.0
            status[b] = _PASSES if inside else _LOST
        elif worst[b] < np.inf:
            waiting += 1
        else:
            status[b] = _LOST
    return waiting


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _step(first, place, slopes, right, status, values):
    """Subtract the products of thirteen rows of ``slopes`` with the right sides from one row of ``values``."""
    for b in range(BLOCK):
        total = 0.0
        for r in range(_EQUATIONS):
            total += slopes[first + BLOCK * r + b] * right[BLOCK * r + b]
        values[place + b] -= total if status[b] == _WAITING else 0.0


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _take_step(slopes, right, status, points, weights):
    """The shortest step of points and weights that cancels the residual in first order, in lanes that wait for it."""
    for q in range(8):
        for k in range(3):
            _step(
                np.uint64(LANES * EQUATIONS * (4 * q + k)),
                np.uint64(LANES * (3 * q + k)),
                slopes,
                right,
                status,
                points,
            )
        _step(np.uint64(LANES * EQUATIONS * (4 * q + 3)), np.uint64(LANES * q), slopes, right, status, weights)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _integrate_exactly(warp, inverse, gauss, values, functions, exact):
    """The integrals of the thirteen functions by the points ``gauss`` (24 rows) with weights one."""
    exact[:] = 0.0
    for q in range(8):
        functions_at(warp, inverse, gauss, 3 * q, values, functions, 0)
        for r in range(EQUATIONS * LANES):
            exact[r] += functions[r]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _integrate(warp, inverse, points, weights, values, slopes, residual):
    """Add the integrals by these points to ``residual``; each point's functions stay behind its ``slopes``."""
    for q in range(8):
        first = EQUATIONS * (4 * q + 3)
        functions_at(warp, inverse, points, 3 * q, values, slopes, first)
    for r in range(EQUATIONS):
        row, first = np.uint64(LANES * r), np.uint64(LANES * (3 * EQUATIONS + r))
        for b in range(BLOCK):
            total = 0.0
            for q in range(_POINTS):
                total += weights[BLOCK * q + b] * slopes[first + _POINT * q + b]
            residual[row + b] += total


@njit(over="warps", grain=1, cache=True, error_model="numpy", fastmath=_FAST)
def _project(begin, end, warps, sizes, gauss, steps, points, weights, status):
    slopes, matrix = np.empty(8 * 4 * EQUATIONS * LANES), np.empty(GRAM_ROWS * LANES)
    exact, residual, values = np.empty(EQUATIONS * LANES), np.empty(EQUATIONS * LANES), np.empty(EQUATIONS * LANES)
    inverse, worst = np.empty(LANES), np.empty(LANES)
    for block in range(begin, end):
        warp, size, places, own = warps[block], sizes[block], points[block], weights[block]
        for b in range(LANES):
            inverse[b] = 1.0 / size[b]
        _integrate_exactly(warp, inverse, gauss, values, slopes, exact)
        for step in range(steps):
            for r in range(EQUATIONS * LANES):
                residual[r] = -exact[r]
            _integrate(warp, inverse, places, own, values, slopes, residual)
            if _judge(residual, size, places, own, status[block], worst) == 0:
                break
            if step < _NEWTON:
                matrix[:] = 0.0
                for q in range(8):
                    weighted_slopes(warp, inverse, places, own, q, slopes)
                add_gram(slopes, 32, matrix)
                add_to_diagonal(inverse, 0.0, _REGULAR, matrix)
                factorise(matrix, values)
            substitute(matrix, residual, values)
            _take_step(slopes, residual, status[block], places, own)


def project(warp: np.ndarray, points: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Move points and weights by the shortest way, in steps of Gauss and Newton, until they pass the patch test.

    Parameters
    ----------
    warp : (n, 3, 4)
        J₀⁻¹h of the elements, :func:`femnn.geometry.coordinates.relative_warp`; none may vanish.
    points : (n, 8, 3), weights : (n, 8)
        In [-1, 1]³, Gauss weights are 1.

    Returns
    -------
    points, weights
        Copies, moved.
    passes : (n,) bool
        Elements that pass, with all points inside the cube and positive weights; the others are of no use.
    """
    points, weights = np.array(points, dtype=float, order="C"), np.array(weights, dtype=float, order="C")
    size = np.linalg.norm(np.reshape(warp, (-1, 12)), axis=1)
    passes, waiting = np.zeros(len(warp), dtype=bool), np.arange(len(warp))
    for done in range(0, _MOST_STEPS, _ROUND):
        if len(waiting) == 0:
            break
        n, steps = len(waiting), min(_ROUND, _MOST_STEPS - done)
        blocks = [in_lanes(values[waiting]) for values in (warp, size, points, weights)]
        status = np.full((len(blocks[0]), LANES), _WAITING)
        _project(blocks[0], blocks[1], _GAUSS_LANES, steps, blocks[2], blocks[3], status)
        points[waiting] = out_of_lanes(blocks[2], n).reshape(n, 8, 3)
        weights[waiting] = out_of_lanes(blocks[3], n)
        status = status.ravel()[:n]
        passes[waiting[status == _PASSES]] = True
        waiting = waiting[status == _WAITING]
    return points, weights, passes


@njit(over="warps", grain=4, cache=True, error_model="numpy", fastmath=_FAST)
def _scale(begin, end, warps, gauss, points, weights):
    exact, volume, values = np.empty(LANES), np.empty(LANES), np.empty(EQUATIONS * LANES)
    for block in range(begin, end):
        exact[:] = 0.0
        volume[:] = 0.0
        for q in range(8):
            twist_values(warps[block], gauss, 3 * q, values, 0)
            for b in range(BLOCK):
                exact[b] += values[b]
            twist_values(warps[block], points[block], 3 * q, values, 0)
            row = np.uint64(LANES * q)
            for b in range(BLOCK):
                volume[b] += weights[block, row + b] * values[b]
        for q in range(8):
            row = np.uint64(LANES * q)
            for b in range(BLOCK):
                weights[block, row + b] *= exact[b] / volume[b]


def scale_to_volume(warp: np.ndarray, points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The weights scaled so that the volume of each element is exact, (n, 8); arguments as :func:`project`."""
    blocks = in_lanes(weights)
    _scale(in_lanes(warp), _GAUSS_LANES, in_lanes(points), blocks)
    return out_of_lanes(blocks, len(weights))
