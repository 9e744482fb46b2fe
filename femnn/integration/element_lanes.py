"""Numba kernels that work on LANES elements side by side, one element to a lane of the vector unit.

Where each element has points or weights of its own, or a small system to solve, nothing is shared but the instructions.
Arrays hold *rows* of LANES numbers, one for each element of a block, and inner loops run over the lanes. Row r starts
at LANES r of a flat array, because the compiler must see that rows lie at constant distances. Blocks are made by
:func:`in_lanes`; the last one repeats its last element. No lane sees another one, so the answer for an element depends
on neither its neighbours nor the number of threads.

In its own axes an element is y(ξ) = ξ + w · (ξη, ηζ, ζξ, ξηζ) with w = J₀⁻¹h, ξ in [-1, 1]³, and its shape functions
are N_a = (linear in y) + γ_ak h_k with γ_k = (h_k - Σ_j w_jk ξ_j)/8 at the vertices (D. P. Flanagan, T. Belytschko,
IJNME 17 (1981) 679-706). So the 300 products of 24 gradients at a point are combinations of the 91 of

    det J, det J ∂h_k/∂y_i and det J ∂h_k/∂y_i ∂h_l/∂y_j,

whose sums over the points, the *moments* of a rule, are added up here in the order: the products, 12 rows for each
3k + i, of which the blocks k ≤ l are filled; the twelve means; the volume.
"""

import numpy as np

from femnn.geometry.hexahedron import SIGNS, TWISTS
from femnn.integration.kernels import _FAST
from femnn.system.compile import njit

#: Elements of a block. Each loop over them first checks that its rows do not overlap, which takes the longer beside the
#: loop the fewer they are; with 64 the rows of a kernel leave the fastest cache.
LANES = 32

#: The same for loops: numbers without a sign tell the compiler that no index wraps around.
BLOCK = np.uint64(LANES)

#: Where the first rows start.
ROW = tuple(np.uint64(LANES * r) for r in range(27))

#: Rows of the moments, and where the twelve means and the volume are among them.
MOMENTS, MEANS, VOLUME = 157, 144, 156

#: Points whose products are added at once: 27 are three times as many.
POINTS = 9

#: Rows of the values at a point, and of those at so many.
VALUES = 13
POINT_ROWS = POINTS * VALUES

_POINTS, _STEP = np.uint64(POINTS), np.uint64(VALUES * LANES)
_LINE, _VERTICES = np.uint64(12 * LANES), np.uint64(8)

_CORNERS, _PATTERNS = np.array(SIGNS), np.array(TWISTS)


def in_lanes(values: np.ndarray) -> np.ndarray:
    """Numbers of elements (n, ...) as blocks (n / LANES rounded up, rows LANES)."""
    n = len(values)
    count = -(-n // LANES)
    flat = np.ascontiguousarray(values, dtype=float).reshape(n, int(np.prod(values.shape[1:])))
    if n < count * LANES:
        flat = np.concatenate([flat, np.repeat(flat[-1:], count * LANES - n, axis=0)])
    lanes = flat.reshape(count, LANES, flat.shape[1]).transpose(0, 2, 1)
    return np.ascontiguousarray(lanes).reshape(count, flat.shape[1] * LANES)


def out_of_lanes(blocks: np.ndarray, n: int) -> np.ndarray:
    """What :func:`in_lanes` made of ``n`` elements, (n, numbers of an element)."""
    count, rows = len(blocks), blocks.shape[1] // LANES
    lanes = np.ascontiguousarray(blocks.reshape(count, rows, LANES).transpose(0, 2, 1))
    return lanes.reshape(count * LANES, rows)[:n]


@njit(cache=True, error_model="numpy")
def gather(values, block, rows):
    """The numbers (n, k) of the elements of a block into k ``rows``; the last element again beyond the last."""
    for b in range(LANES):
        e = min(LANES * np.int64(block) + b, values.shape[0] - 1)
        for r in range(values.shape[1]):
            rows[LANES * r + b] = values[e, r]


@njit(cache=True, error_model="numpy")
def spread(rows, block, values):
    """What :func:`gather` gathered back into ``values`` (n, k)."""
    first = LANES * np.int64(block)
    for b in range(min(LANES, values.shape[0] - first)):
        for r in range(values.shape[1]):
            values[first + b, r] = rows[LANES * r + b]


def shared_lanes(values: np.ndarray) -> np.ndarray:
    """Numbers that all elements share, the same in each lane: (numbers rows), flat."""
    return np.repeat(np.ravel(values).astype(float), LANES)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def twist_values(warp, points, row, values, first):
    """det J and det J ∂h_k/∂y_i at one point of each lane into 13 rows of ``values``, row 1 + 3k + i from ``first`` on.

    ``warp`` is (12 rows), row 4i + k; ξ, η, ζ of the point stand in ``points`` from ``row`` on.
    """
    point, value = np.uint64(LANES * row), np.uint64(LANES * first)
    for b in range(BLOCK):
        p, v = point + b, value + b
        x, y, z = points[p], points[p + ROW[1]], points[p + ROW[2]]
        yz, zx, xy = y * z, z * x, x * y
        w00, w01, w02, w03 = warp[b], warp[ROW[1] + b], warp[ROW[2] + b], warp[ROW[3] + b]
        w10, w11, w12, w13 = warp[ROW[4] + b], warp[ROW[5] + b], warp[ROW[6] + b], warp[ROW[7] + b]
        w20, w21, w22, w23 = warp[ROW[8] + b], warp[ROW[9] + b], warp[ROW[10] + b], warp[ROW[11] + b]
        j00, j10, j20 = 1.0 + w00 * y + w02 * z + w03 * yz, w10 * y + w12 * z + w13 * yz, w20 * y + w22 * z + w23 * yz
        j01, j11, j21 = w00 * x + w01 * z + w03 * zx, 1.0 + w10 * x + w11 * z + w13 * zx, w20 * x + w21 * z + w23 * zx
        j02, j12, j22 = w01 * y + w02 * x + w03 * xy, w11 * y + w12 * x + w13 * xy, 1.0 + w21 * y + w22 * x + w23 * xy
        c00, c01, c02 = j11 * j22 - j12 * j21, j12 * j20 - j10 * j22, j10 * j21 - j11 * j20
        c10, c11, c12 = j21 * j02 - j22 * j01, j22 * j00 - j20 * j02, j20 * j01 - j21 * j00
        c20, c21, c22 = j01 * j12 - j02 * j11, j02 * j10 - j00 * j12, j00 * j11 - j01 * j10
        values[v] = j00 * c00 + j10 * c10 + j20 * c20
        values[v + ROW[1]], values[v + ROW[2]], values[v + ROW[3]] = (
            c00 * y + c01 * x,
            c10 * y + c11 * x,
            c20 * y + c21 * x,
        )
        values[v + ROW[4]], values[v + ROW[5]], values[v + ROW[6]] = (
            c01 * z + c02 * y,
            c11 * z + c12 * y,
            c21 * z + c22 * y,
        )
        values[v + ROW[7]], values[v + ROW[8]], values[v + ROW[9]] = (
            c00 * z + c02 * x,
            c10 * z + c12 * x,
            c20 * z + c22 * x,
        )
        values[v + ROW[10]] = c00 * yz + c01 * zx + c02 * xy
        values[v + ROW[11]] = c10 * yz + c11 * zx + c12 * xy
        values[v + ROW[12]] = c20 * yz + c21 * zx + c22 * xy


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _weigh(point, weights, row, sign, values, moments):
    """Add a point to the volume and the means, and turn det J, the first of its values, into weight over det J."""
    start, place, mean = np.uint64(LANES * VALUES * point), np.uint64(LANES * row), np.uint64(LANES * MEANS)
    for b in range(BLOCK):
        v, m = start + b, mean + b
        weight = sign * weights[place + b]
        moments[m + ROW[12]] += weight * values[v]
        values[v] = weight / values[v]
        for r in range(np.uint64(12)):
            moments[m + BLOCK * r] += weight * values[v + ROW[1] + BLOCK * r]


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def block_of_moments(k, m):
    """Where the moments of two twists start."""
    return np.uint64(LANES * (36 * k + 3 * m))


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _add_products(k, m, values, moments):
    """Add the products of two twists over POINTS points, nine sums at once."""
    one, other = np.uint64(LANES * (1 + 3 * k)), np.uint64(LANES * (1 + 3 * m))
    block = block_of_moments(k, m)
    for b in range(BLOCK):
        s00 = s01 = s02 = s10 = s11 = s12 = s20 = s21 = s22 = 0.0
        for p in range(_POINTS):
            v = _STEP * p + b
            scale, r, c = values[v], v + one, v + other
            x, y, z = scale * values[r], scale * values[r + ROW[1]], scale * values[r + ROW[2]]
            f, g, h = values[c], values[c + ROW[1]], values[c + ROW[2]]
            s00, s01, s02 = s00 + x * f, s01 + x * g, s02 + x * h
            s10, s11, s12 = s10 + y * f, s11 + y * g, s12 + y * h
            s20, s21, s22 = s20 + z * f, s21 + z * g, s22 + z * h
        i = block + b
        moments[i] += s00
        moments[i + ROW[1]] += s01
        moments[i + ROW[2]] += s02
        i += _LINE
        moments[i] += s10
        moments[i + ROW[1]] += s11
        moments[i + ROW[2]] += s12
        i += _LINE
        moments[i] += s20
        moments[i + ROW[1]] += s21
        moments[i + ROW[2]] += s22


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def add_points(warp, points, weights, sign, values, moments):
    """Add the points (3 rows each) of each lane to ``moments`` (157 rows), with weights (1 row each) times ``sign``.

    ``values`` (POINT_ROWS rows) is work space.
    """
    count = weights.shape[0] // LANES
    for first in range(0, count, POINTS):
        here = min(POINTS, count - first)
        for p in range(here):
            twist_values(warp, points, 3 * (first + p), values, VALUES * p)
            _weigh(p, weights, first + p, sign, values, moments)
        # what is left of the last points counts nothing
        for p in range(here, POINTS):
            values[LANES * VALUES * p : LANES * VALUES * (p + 1)] = 0.0
        for k in range(4):
            for m in range(k, 4):
                _add_products(k, m, values, moments)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def twist_vectors_of_lanes(warp, vectors):
    """γ_ak, the amplitudes of the twists in nodal values, into ``vectors`` (32 rows), row 4a + k."""
    for k in range(4):
        row = np.uint64(LANES * k)
        for b in range(BLOCK):
            i = row + b
            w0, w1, w2 = warp[i], warp[ROW[4] + i], warp[ROW[8] + i]
            for a in range(_VERTICES):
                linear = w0 * _CORNERS[a, 0] + w1 * _CORNERS[a, 1] + w2 * _CORNERS[a, 2]
                vectors[ROW[4] * a + i] = 0.125 * (_PATTERNS[a, k] - linear)


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def in_physical_axes(moments, block, inverse, b):
    """J₀⁻ᵀ S_km J₀⁻¹ of one lane, nine numbers row by row, for the twists whose moments start at ``block``."""
    x0, x1, x2 = inverse[b], inverse[ROW[1] + b], inverse[ROW[2] + b]
    y0, y1, y2 = inverse[ROW[3] + b], inverse[ROW[4] + b], inverse[ROW[5] + b]
    z0, z1, z2 = inverse[ROW[6] + b], inverse[ROW[7] + b], inverse[ROW[8] + b]
    i = block + b
    f, g, h = moments[i], moments[i + ROW[1]], moments[i + ROW[2]]
    u0, u1, u2 = f * x0 + g * y0 + h * z0, f * x1 + g * y1 + h * z1, f * x2 + g * y2 + h * z2
    i += _LINE
    f, g, h = moments[i], moments[i + ROW[1]], moments[i + ROW[2]]
    v0, v1, v2 = f * x0 + g * y0 + h * z0, f * x1 + g * y1 + h * z1, f * x2 + g * y2 + h * z2
    i += _LINE
    f, g, h = moments[i], moments[i + ROW[1]], moments[i + ROW[2]]
    w0, w1, w2 = f * x0 + g * y0 + h * z0, f * x1 + g * y1 + h * z1, f * x2 + g * y2 + h * z2
    return (
        x0 * u0 + y0 * v0 + z0 * w0,
        x0 * u1 + y0 * v1 + z0 * w1,
        x0 * u2 + y0 * v2 + z0 * w2,
        x1 * u0 + y1 * v0 + z1 * w0,
        x1 * u1 + y1 * v1 + z1 * w1,
        x1 * u2 + y1 * v2 + z1 * w2,
        x2 * u0 + y2 * v0 + z2 * w0,
        x2 * u1 + y2 * v1 + z2 * w1,
        x2 * u2 + y2 * v2 + z2 * w2,
    )
