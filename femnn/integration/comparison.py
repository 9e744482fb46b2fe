"""Which of two rules comes nearer to a better one on each element: the check that a learned rule makes before its use.

The stiffness of an element is compared with that of the better rule in two norms: the sum over the entries, in which
the Error is measured and which depends on the axes that the mesh lies in, and that of Frobenius, which does not. Only
what is nearer in both is taken.
"""

import numpy as np

from femnn.geometry.hexahedron import SIGNS, in_own_units
from femnn.geometry.shape_lanes import fill_warps
from femnn.integration.element_lanes import (
    LANES,
    MEANS,
    MOMENTS,
    VOLUME,
    add_points,
    in_lanes,
    shared_lanes,
    to_physical_axes,
    twist_vectors_of_lanes,
)
from femnn.integration.kernels import _FAST
from femnn.integration.lame import lame_parameters
from femnn.system.compile import njit

# What is nearer by less than this is round-off where both rules are nearly exact.
_GAIN = 0.999

# Elements that are laid out side by side at a time: 2048 with 27 points take 2 MB.
_CHUNK = 2048

_CORNERS = np.array(SIGNS)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _linear_parts(moments, inverse, vectors, lines, pairs):
    """Physical gradients of the linear parts of N_a into ``lines`` (24 rows), and what they are multiplied by.

    That is half the volume times the same, and γ_ak times the means of the twists, into ``pairs`` (24 rows).
    """
    for a in range(8):
        x, y, z = 0.125 * _CORNERS[a, 0], 0.125 * _CORNERS[a, 1], 0.125 * _CORNERS[a, 2]
        for i in range(3):
            for b in range(LANES):
                line = x * inverse[LANES * i + b] + y * inverse[LANES * (3 + i) + b] + z * inverse[LANES * (6 + i) + b]
                lines[LANES * (3 * a + i) + b] = line
                pair = 0.5 * moments[LANES * VOLUME + b] * line
                for k in range(4):
                    mean = (
                        moments[LANES * (MEANS + 3 * k) + b] * inverse[LANES * i + b]
                        + moments[LANES * (MEANS + 3 * k + 1) + b] * inverse[LANES * (3 + i) + b]
                        + moments[LANES * (MEANS + 3 * k + 2) + b] * inverse[LANES * (6 + i) + b]
                    )
                    pair += vectors[LANES * (4 * a + k) + b] * mean
                pairs[LANES * (3 * a + i) + b] = pair


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _materials(physical, i, j, lmbda, mu, materials):
    """λ S_kl^ij + μ S_kl^ji + μ δ_ij S_kl^mm into ``materials`` (16 rows), row 4k + l."""
    for k in range(4):
        for m in range(4):
            # only the blocks k ≤ l are there, the others are these transposed
            first = 9 * (4 * min(k, m) + max(k, m))
            one, other = (first + 3 * i + j, first + 3 * j + i) if k <= m else (first + 3 * j + i, first + 3 * i + j)
            for b in range(LANES):
                material = lmbda * physical[LANES * one + b] + mu * physical[LANES * other + b]
                materials[LANES * (4 * k + m) + b] = material
            if i == j:
                for b in range(LANES):
                    xx, yy = physical[LANES * first + b], physical[LANES * (first + 4) + b]
                    materials[LANES * (4 * k + m) + b] += mu * (xx + yy + physical[LANES * (first + 8) + b])


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _add_row(count, factors, vectors, norms):
    """Add the entries of one row to the norms, two columns at a time, whose loads are then shared."""
    for c in range(0, 8, 2):
        for b in range(LANES):
            f0, f1, f2, f3 = factors[b], factors[LANES + b], factors[LANES * 2 + b], factors[LANES * 3 + b]
            one = (
                f0 * vectors[LANES * (4 * c) + b]
                + f1 * vectors[LANES * (4 * c + 1) + b]
                + f2 * vectors[LANES * (4 * c + 2) + b]
                + f3 * vectors[LANES * (4 * c + 3) + b]
            )
            two = (
                f0 * vectors[LANES * (4 * c + 4) + b]
                + f1 * vectors[LANES * (4 * c + 5) + b]
                + f2 * vectors[LANES * (4 * c + 6) + b]
                + f3 * vectors[LANES * (4 * c + 7) + b]
            )
            norms[b] += count * (abs(one) + abs(two))
            norms[LANES + b] += count * (one * one + two * two)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _add_whole_row(count, factors, vectors, lines, pairs, norms):
    """The same with the means, which Gauss points find exactly."""
    for c in range(8):
        for b in range(LANES):
            entry = (
                factors[b] * vectors[LANES * (4 * c) + b]
                + factors[LANES + b] * vectors[LANES * (4 * c + 1) + b]
                + factors[LANES * 2 + b] * vectors[LANES * (4 * c + 2) + b]
                + factors[LANES * 3 + b] * vectors[LANES * (4 * c + 3) + b]
                + factors[LANES * 4 + b] * pairs[LANES * (3 * c) + b]
                + factors[LANES * 5 + b] * pairs[LANES * (3 * c + 1) + b]
                + factors[LANES * 6 + b] * pairs[LANES * (3 * c + 2) + b]
                + factors[LANES * 7 + b] * lines[LANES * (3 * c) + b]
                + factors[LANES * 8 + b] * lines[LANES * (3 * c + 1) + b]
                + factors[LANES * 9 + b] * lines[LANES * (3 * c + 2) + b]
            )
            norms[b] += count * abs(entry)
            norms[LANES + b] += count * entry * entry


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _factors_of_means(a, i, j, lmbda, mu, lines, pairs, factors):
    """What row a of block (i, j) multiplies the pairs and lines of each column by, from row 4 of ``factors`` on."""
    trace = mu if i == j else 0.0
    for p in range(3):
        for b in range(LANES):
            line, pair = trace * lines[LANES * (3 * a + p) + b], trace * pairs[LANES * (3 * a + p) + b]
            if p == j:
                line += lmbda * lines[LANES * (3 * a + i) + b]
                pair += lmbda * pairs[LANES * (3 * a + i) + b]
            if p == i:
                line += mu * lines[LANES * (3 * a + j) + b]
                pair += mu * pairs[LANES * (3 * a + j) + b]
            factors[LANES * (4 + p) + b], factors[LANES * (7 + p) + b] = line, pair


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _norms(means, moments, inverse, vectors, lmbda, mu, work, physical, lines, pairs, materials, factors, norms):
    """Sums of absolute entries, and of their squares, of the isotropic stiffness with these ``moments`` (157 rows).

    Into the two rows of ``norms``; what stands between are results on the way. ``means`` tells if the means and the
    volume count: differences of rules that find them exactly have none.
    """
    to_physical_axes(moments, inverse, work, physical)
    if means:
        _linear_parts(moments, inverse, vectors, lines, pairs)
    norms[:] = 0.0
    for i in range(3):
        for j in range(i, 3):
            _materials(physical, i, j, lmbda, mu, materials)
            # the blocks i > j are those i < j transposed
            count = 1.0 if i == j else 2.0
            for a in range(8):
                for m in range(4):
                    for b in range(LANES):
                        factors[LANES * m + b] = (
                            vectors[LANES * (4 * a) + b] * materials[LANES * m + b]
                            + vectors[LANES * (4 * a + 1) + b] * materials[LANES * (4 + m) + b]
                            + vectors[LANES * (4 * a + 2) + b] * materials[LANES * (8 + m) + b]
                            + vectors[LANES * (4 * a + 3) + b] * materials[LANES * (12 + m) + b]
                        )
                if means:
                    _factors_of_means(a, i, j, lmbda, mu, lines, pairs, factors)
                    _add_whole_row(count, factors, vectors, lines, pairs, norms)
                else:
                    _add_row(count, factors, vectors, norms)


@njit(over="warps", grain=4, cache=True, error_model="numpy", fastmath=_FAST)
def _nearer(begin, end, warps, inverses, means, own, own_weights, standard, better, lmbda, mu, most, result):
    first, second = np.empty(MOMENTS * LANES), np.empty(MOMENTS * LANES)
    values, others, scaled = np.empty(13 * LANES), np.empty(13 * LANES), np.empty(2 * LANES)
    vectors, physical, work = np.empty(32 * LANES), np.empty(144 * LANES), np.empty(9 * LANES)
    lines, pairs = np.empty(24 * LANES), np.empty(24 * LANES)
    materials, factors = np.empty(16 * LANES), np.empty(10 * LANES)
    norms, standard_norms = np.empty(2 * LANES), np.empty(2 * LANES)
    shared = own.shape[0] == 1
    for block in range(begin, end):
        warp, inverse, weights = warps[block], inverses[block], own_weights[block]
        points = own[0] if shared else own[block]
        first[:] = 0.0
        add_points(warp, better[0], better[1], 1.0, values, others, scaled, first)
        second[:] = first
        add_points(warp, standard[0], standard[1], -1.0, values, others, scaled, second)
        add_points(warp, points, weights, -1.0, values, others, scaled, first)
        twist_vectors_of_lanes(warp, vectors)
        _norms(means, first, inverse, vectors, lmbda, mu, work, physical, lines, pairs, materials, factors, norms)
        _norms(
            False, second, inverse, vectors, lmbda, mu, work, physical, lines, pairs, materials, factors, standard_norms
        )
        for b in range(LANES):
            in_sum = norms[b] < _GAIN * standard_norms[b]
            result[block, b] = in_sum and norms[LANES + b] < most**2 * standard_norms[LANES + b]


def _centred(points, weights):
    """Points in [-1, 1]³ and weights that all lanes share, as the kernels take them."""
    return shared_lanes(2.0 * points.T - 1.0), shared_lanes(weights)


def nearer_than(
    hexahedra: np.ndarray,
    points: np.ndarray,
    weights: np.ndarray,
    standard: tuple,
    better: tuple,
    poisson: float,
    most: float = 1.0,
    passes: bool = False,
) -> np.ndarray:
    """Elements whose isotropic stiffness these points bring nearer to that of a better rule than a standard rule does.

    Parameters
    ----------
    hexahedra : (n, 8, 3)
    points : (3, nqp) or (3, n, nqp)
        In [0, 1]³, shared or one set per element.
    weights : (n, nqp)
        Gauss weights sum to 1.
    standard, better
        Points (3, k) and weights (k,) of the two rules, which must pass the patch test.
    poisson
        Poisson's ratio of the stiffness.
    most
        Distance in the norm of Frobenius, over that of the standard rule, that is near enough: the further it is below
        1, the fewer elements the sum over entries decides otherwise where a mesh is turned.
    passes
        The points pass the patch test: mean gradients need no comparison.

    Returns
    -------
    (n,) bool, by the sum over entries and the norm of Frobenius alike; no element on which both are exact.
    """
    x, _ = in_own_units(hexahedra)
    result = np.empty(len(x), dtype=bool)
    lmbda, mu = lame_parameters(1.0, poisson)
    rules = _centred(*standard), _centred(*better)
    for start in range(0, len(x), _CHUNK):
        rows = slice(start, start + _CHUNK)
        part = x[rows]
        inverses, warps = np.empty((len(part), 3, 3)), np.empty((len(part), 3, 4))
        fill_warps(part, inverses, warps)
        if points.ndim == 3:
            own = in_lanes(2.0 * points[:, rows].transpose(1, 2, 0) - 1.0)
        else:
            own = shared_lanes(2.0 * points.T - 1.0)[None]
        nearer = np.empty((-(-len(part) // LANES), LANES), dtype=bool)
        _nearer(
            in_lanes(warps),
            in_lanes(inverses),
            not passes,
            own,
            in_lanes(weights[rows]),
            *rules,
            lmbda,
            mu,
            most,
            nearer,
        )
        result[rows] = nearer.ravel()[: len(part)]
    return result
