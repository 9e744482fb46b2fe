"""Which of two rules comes nearer to a better one on each element: the check that a learned rule makes before its use.

The stiffness of an element is compared with that of the better rule in two norms: the sum over the entries, in which
the Error is measured and which depends on the axes that the mesh lies in, and that of Frobenius, which does not. Only
what is nearer in both is taken.
"""

import numpy as np

from femnn.geometry.hexahedron import SIGNS, in_own_units
from femnn.geometry.shape_lanes import fill_warps
from femnn.integration.element_lanes import (
    BLOCK,
    LANES,
    MEANS,
    MOMENTS,
    POINT_ROWS,
    ROW,
    VOLUME,
    add_points,
    block_of_moments,
    in_lanes,
    in_physical_axes,
    shared_lanes,
    twist_vectors_of_lanes,
)
from femnn.integration.kernels import _FAST
from femnn.integration.lame import lame_parameters
from femnn.system.compile import njit

# What is nearer by less than this is round-off where both rules are nearly exact.
_GAIN = 0.999

# Elements that are laid out side by side at a time: 2048 with 27 points take 2 MB.
_CHUNK = 2048

_CORNERS, _VERTICES = np.array(SIGNS), np.uint64(8)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _linear_parts(moments, inverse, vectors, lines, pairs):
    """Physical gradients of the linear parts of N_a into ``lines`` (24 rows), and what they are multiplied by.

    That is half the volume times the same, and γ_ak times the means of the twists, into ``pairs`` (24 rows).
    """
    means, half = np.uint64(LANES * MEANS), np.uint64(LANES * VOLUME)
    for i in range(3):
        column = np.uint64(LANES * i)
        for b in range(BLOCK):
            x, y, z = inverse[column + b], inverse[column + ROW[3] + b], inverse[column + ROW[6] + b]
            m = means + b
            m0 = moments[m] * x + moments[m + ROW[1]] * y + moments[m + ROW[2]] * z
            m += ROW[3]
            m1 = moments[m] * x + moments[m + ROW[1]] * y + moments[m + ROW[2]] * z
            m += ROW[3]
            m2 = moments[m] * x + moments[m + ROW[1]] * y + moments[m + ROW[2]] * z
            m += ROW[3]
            m3 = moments[m] * x + moments[m + ROW[1]] * y + moments[m + ROW[2]] * z
            volume = 0.5 * moments[half + b]
            for a in range(_VERTICES):
                line = 0.125 * (_CORNERS[a, 0] * x + _CORNERS[a, 1] * y + _CORNERS[a, 2] * z)
                v = ROW[4] * a + b
                g0, g1, g2, g3 = vectors[v], vectors[v + ROW[1]], vectors[v + ROW[2]], vectors[v + ROW[3]]
                place = ROW[3] * a + column + b
                lines[place] = line
                pairs[place] = volume * line + g0 * m0 + g1 * m1 + g2 * m2 + g3 * m3


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _physical_axes(moments, inverse, physical):
    """The products of gradients ∂h_k/∂x_i ∂h_l/∂x_j, k ≤ l, into ``physical`` (90 rows), 9 for each pair of twists."""
    first = np.uint64(0)
    for k in range(4):
        for m in range(k, 4):
            block = block_of_moments(k, m)
            for b in range(BLOCK):
                p = first + b
                xx, xy, xz, yx, yy, yz, zx, zy, zz = in_physical_axes(moments, block, inverse, b)
                physical[p], physical[p + ROW[1]], physical[p + ROW[2]] = xx, xy, xz
                physical[p + ROW[3]], physical[p + ROW[4]], physical[p + ROW[5]] = yx, yy, yz
                physical[p + ROW[6]], physical[p + ROW[7]], physical[p + ROW[8]] = zx, zy, zz
            first += ROW[9]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _materials(physical, i, j, lmbda, mu, materials):
    """λ S_kl^ij + μ S_kl^ji + μ δ_ij S_kl^mm into ``materials`` (16 rows), row 4k + l."""
    one, other = np.uint64(LANES * (3 * i + j)), np.uint64(LANES * (3 * j + i))
    trace, first = mu if i == j else 0.0, np.uint64(0)
    for k in range(4):
        for m in range(k, 4):
            place, turned = np.uint64(LANES * (4 * k + m)), np.uint64(LANES * (4 * m + k))
            for b in range(BLOCK):
                p = first + b
                own = trace * (physical[p] + physical[p + ROW[4]] + physical[p + ROW[8]])
                materials[place + b] = lmbda * physical[p + one] + mu * physical[p + other] + own
            if m > k:
                # the block (m, k) is that of (k, m) transposed
                for b in range(BLOCK):
                    p = first + b
                    own = trace * (physical[p] + physical[p + ROW[4]] + physical[p + ROW[8]])
                    materials[turned + b] = lmbda * physical[p + other] + mu * physical[p + one] + own
            first += ROW[9]


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _row_of_vertex(vertex, vectors, materials, b):
    """What the row of a vertex multiplies the four γ of each column by."""
    v = vertex + b
    g0, g1, g2, g3 = vectors[v], vectors[v + ROW[1]], vectors[v + ROW[2]], vectors[v + ROW[3]]
    m = b
    f0 = g0 * materials[m] + g1 * materials[m + ROW[4]] + g2 * materials[m + ROW[8]] + g3 * materials[m + ROW[12]]
    m += ROW[1]
    f1 = g0 * materials[m] + g1 * materials[m + ROW[4]] + g2 * materials[m + ROW[8]] + g3 * materials[m + ROW[12]]
    m += ROW[1]
    f2 = g0 * materials[m] + g1 * materials[m + ROW[4]] + g2 * materials[m + ROW[8]] + g3 * materials[m + ROW[12]]
    m += ROW[1]
    f3 = g0 * materials[m] + g1 * materials[m + ROW[4]] + g2 * materials[m + ROW[8]] + g3 * materials[m + ROW[12]]
    return f0, f1, f2, f3


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _add_row(count, a, vectors, materials, norms):
    """Add the entries of the row of vertex ``a`` to the norms."""
    vertex = np.uint64(LANES * 4 * a)
    for b in range(BLOCK):
        f0, f1, f2, f3 = _row_of_vertex(vertex, vectors, materials, b)
        total = square = 0.0
        for c in range(_VERTICES):
            v = ROW[4] * c + b
            entry = f0 * vectors[v] + f1 * vectors[v + ROW[1]] + f2 * vectors[v + ROW[2]] + f3 * vectors[v + ROW[3]]
            total += abs(entry)
            square += entry * entry
        norms[b] += count * total
        norms[ROW[1] + b] += count * square


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _add_whole_row(count, a, vectors, materials, factors, lines, pairs, norms):
    """The same with the means, which Gauss points find exactly."""
    vertex = np.uint64(LANES * 4 * a)
    for b in range(BLOCK):
        f0, f1, f2, f3 = _row_of_vertex(vertex, vectors, materials, b)
        f4, f5, f6 = factors[b], factors[ROW[1] + b], factors[ROW[2] + b]
        f7, f8, f9 = factors[ROW[3] + b], factors[ROW[4] + b], factors[ROW[5] + b]
        total = square = 0.0
        for c in range(_VERTICES):
            v, w = ROW[4] * c + b, ROW[3] * c + b
            entry = f0 * vectors[v] + f1 * vectors[v + ROW[1]] + f2 * vectors[v + ROW[2]] + f3 * vectors[v + ROW[3]]
            entry += f4 * pairs[w] + f5 * pairs[w + ROW[1]] + f6 * pairs[w + ROW[2]]
            entry += f7 * lines[w] + f8 * lines[w + ROW[1]] + f9 * lines[w + ROW[2]]
            total += abs(entry)
            square += entry * entry
        norms[b] += count * total
        norms[ROW[1] + b] += count * square


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _factors_of_means(a, i, j, lmbda, mu, lines, pairs, factors):
    """What row a of block (i, j) multiplies the pairs and lines of each column by, into six rows of ``factors``."""
    trace, vertex = mu if i == j else 0.0, np.uint64(LANES * 3 * a)
    first, second = np.uint64(LANES * i), np.uint64(LANES * j)
    for r in range(ROW[3]):
        factors[r], factors[ROW[3] + r] = trace * lines[vertex + r], trace * pairs[vertex + r]
    for b in range(BLOCK):
        factors[second + b] += lmbda * lines[vertex + first + b]
        factors[second + ROW[3] + b] += lmbda * pairs[vertex + first + b]
    for b in range(BLOCK):
        factors[first + b] += mu * lines[vertex + second + b]
        factors[first + ROW[3] + b] += mu * pairs[vertex + second + b]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _norms(means, moments, inverse, vectors, lmbda, mu, physical, lines, pairs, materials, factors, norms):
    """Sums of absolute entries, and of their squares, of the isotropic stiffness with these ``moments`` (157 rows).

    Into the two rows of ``norms``; what stands between are results on the way. ``means`` tells if the means and the
    volume count: differences of rules that find them exactly have none.
    """
    _physical_axes(moments, inverse, physical)
    if means:
        _linear_parts(moments, inverse, vectors, lines, pairs)
    norms[:] = 0.0
    for i in range(3):
        for j in range(i, 3):
            _materials(physical, i, j, lmbda, mu, materials)
            # the blocks i > j are those i < j transposed
            count = 1.0 if i == j else 2.0
            for a in range(8):
                if means:
                    _factors_of_means(a, i, j, lmbda, mu, lines, pairs, factors)
                    _add_whole_row(count, a, vectors, materials, factors, lines, pairs, norms)
                else:
                    _add_row(count, a, vectors, materials, norms)


@njit(over="warps", grain=4, cache=True, error_model="numpy", fastmath=_FAST)
def _nearer(begin, end, warps, inverses, means, own, own_weights, standard, better, lmbda, mu, most, result):
    first, second = np.empty(MOMENTS * LANES), np.empty(MOMENTS * LANES)
    values, vectors, physical = np.empty(POINT_ROWS * LANES), np.empty(32 * LANES), np.empty(90 * LANES)
    lines, pairs = np.empty(24 * LANES), np.empty(24 * LANES)
    materials, factors = np.empty(16 * LANES), np.empty(6 * LANES)
    norms, standard_norms = np.empty(2 * LANES), np.empty(2 * LANES)
    shared = own.shape[0] == 1
    for block in range(begin, end):
        warp, inverse, weights = warps[block], inverses[block], own_weights[block]
        points = own[0] if shared else own[block]
        first[:] = 0.0
        add_points(warp, better[0], better[1], 1.0, values, first)
        second[:] = first
        add_points(warp, standard[0], standard[1], -1.0, values, second)
        add_points(warp, points, weights, -1.0, values, first)
        twist_vectors_of_lanes(warp, vectors)
        _norms(means, first, inverse, vectors, lmbda, mu, physical, lines, pairs, materials, factors, norms)
        _norms(False, second, inverse, vectors, lmbda, mu, physical, lines, pairs, materials, factors, standard_norms)
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
