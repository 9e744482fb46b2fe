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
3k + i, of which the upper triangle is filled; the twelve means; the volume.
"""

import numpy as np

from femnn.geometry.hexahedron import SIGNS, TWISTS
from femnn.integration.kernels import _FAST
from femnn.system.compile import njit

#: Elements of a block. Each loop over them first checks that its rows do not overlap: with 16 lanes these checks took
#: three quarters of the time.
LANES = 64

#: Rows of the moments, and where the twelve means and the volume are among them.
MOMENTS, MEANS, VOLUME = 157, 144, 156

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
    rows = blocks.shape[1] // LANES
    return np.ascontiguousarray(blocks.reshape(-1, rows, LANES).transpose(0, 2, 1)).reshape(-1, rows)[:n]


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
def twist_values(warp, points, row, values):
    """det J and det J ∂h_k/∂y_i at one point of each lane into ``values`` (13 rows), row 1 + 3k + i.

    ``warp`` is (12 rows), row 4i + k; ξ, η, ζ of the point stand in ``points`` from ``row`` on.
    """
    for b in range(LANES):
        x, y, z = points[LANES * row + b], points[LANES * (row + 1) + b], points[LANES * (row + 2) + b]
        yz, zx, xy = y * z, z * x, x * y
        j00 = 1.0 + warp[b] * y + warp[LANES * 2 + b] * z + warp[LANES * 3 + b] * yz
        j10 = warp[LANES * 4 + b] * y + warp[LANES * 6 + b] * z + warp[LANES * 7 + b] * yz
        j20 = warp[LANES * 8 + b] * y + warp[LANES * 10 + b] * z + warp[LANES * 11 + b] * yz
        j01 = warp[b] * x + warp[LANES + b] * z + warp[LANES * 3 + b] * zx
        j11 = 1.0 + warp[LANES * 4 + b] * x + warp[LANES * 5 + b] * z + warp[LANES * 7 + b] * zx
        j21 = warp[LANES * 8 + b] * x + warp[LANES * 9 + b] * z + warp[LANES * 11 + b] * zx
        j02 = warp[LANES + b] * y + warp[LANES * 2 + b] * x + warp[LANES * 3 + b] * xy
        j12 = warp[LANES * 5 + b] * y + warp[LANES * 6 + b] * x + warp[LANES * 7 + b] * xy
        j22 = 1.0 + warp[LANES * 9 + b] * y + warp[LANES * 10 + b] * x + warp[LANES * 11 + b] * xy
        c00, c01, c02 = j11 * j22 - j12 * j21, j12 * j20 - j10 * j22, j10 * j21 - j11 * j20
        c10, c11, c12 = j21 * j02 - j22 * j01, j22 * j00 - j20 * j02, j20 * j01 - j21 * j00
        c20, c21, c22 = j01 * j12 - j02 * j11, j02 * j10 - j00 * j12, j00 * j11 - j01 * j10
        values[b] = j00 * c00 + j10 * c10 + j20 * c20
        values[LANES + b] = c00 * y + c01 * x
        values[LANES * 2 + b] = c10 * y + c11 * x
        values[LANES * 3 + b] = c20 * y + c21 * x
        values[LANES * 4 + b] = c01 * z + c02 * y
        values[LANES * 5 + b] = c11 * z + c12 * y
        values[LANES * 6 + b] = c21 * z + c22 * y
        values[LANES * 7 + b] = c00 * z + c02 * x
        values[LANES * 8 + b] = c10 * z + c12 * x
        values[LANES * 9 + b] = c20 * z + c22 * x
        values[LANES * 10 + b] = c00 * yz + c01 * zx + c02 * xy
        values[LANES * 11 + b] = c10 * yz + c11 * zx + c12 * xy
        values[LANES * 12 + b] = c20 * yz + c21 * zx + c22 * xy


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _weigh(values, weights, row, sign, moments):
    """Add a point to the volume and the means, and turn det J, the first of its values, into weight over det J."""
    for b in range(LANES):
        weight = sign * weights[LANES * row + b]
        moments[LANES * VOLUME + b] += weight * values[b]
        values[b] = weight / values[b]
        for r in range(12):
            moments[LANES * (MEANS + r) + b] += weight * values[LANES * (1 + r) + b]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _add_products(values, others, scaled, moments):
    """Add the products of two points, so that each is loaded and stored once for two."""
    for r in range(12):
        for b in range(LANES):
            scaled[b] = values[b] * values[LANES * (1 + r) + b]
            scaled[LANES + b] = others[b] * others[LANES * (1 + r) + b]
        for c in range(r, 12):
            for b in range(LANES):
                moments[LANES * (12 * r + c) + b] += (
                    scaled[b] * values[LANES * (1 + c) + b] + scaled[LANES + b] * others[LANES * (1 + c) + b]
                )


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def add_points(warp, points, weights, sign, values, others, scaled, moments):
    """Add the points (3 rows each) of each lane to ``moments`` (157 rows), with weights (1 row each) times ``sign``.

    ``values`` and ``others`` (13 rows) and ``scaled`` (2 rows) are work space.
    """
    count = weights.shape[0] // LANES
    for q in range(0, count, 2):
        twist_values(warp, points, 3 * q, values)
        _weigh(values, weights, q, sign, moments)
        if q + 1 < count:
            twist_values(warp, points, 3 * q + 3, others)
            _weigh(others, weights, q + 1, sign, moments)
        else:
            others[:] = 0.0
        _add_products(values, others, scaled, moments)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def twist_vectors_of_lanes(warp, vectors):
    """γ_ak, the amplitudes of the twists in nodal values, into ``vectors`` (32 rows), row 4a + k."""
    for a in range(8):
        x, y, z = _CORNERS[a, 0], _CORNERS[a, 1], _CORNERS[a, 2]
        for k in range(4):
            for b in range(LANES):
                linear = warp[LANES * k + b] * x + warp[LANES * (4 + k) + b] * y + warp[LANES * (8 + k) + b] * z
                vectors[LANES * (4 * a + k) + b] = 0.125 * (_PATTERNS[a, k] - linear)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def to_physical_axes(moments, inverse, work, physical):  # noqa: C901
    """The products of gradients ∂h_k/∂x_i ∂h_l/∂x_j, k ≤ l, into ``physical`` (144 rows), row 9 (4k + l) + 3i + j.

    ``inverse`` (9 rows) is J₀⁻¹ row by row, ``work`` (9 rows) work space. Fills the blocks k = l of ``moments``.
    """
    for k in range(4):
        for p in range(3):
            for q in range(p):
                for b in range(LANES):
                    moments[LANES * (12 * (3 * k + p) + 3 * k + q) + b] = moments[
                        LANES * (12 * (3 * k + q) + 3 * k + p) + b
                    ]
    for k in range(4):
        for m in range(k, 4):
            for p in range(3):
                row = 12 * (3 * k + p) + 3 * m
                for j in range(3):
                    for b in range(LANES):
                        work[LANES * (3 * p + j) + b] = (
                            moments[LANES * row + b] * inverse[LANES * j + b]
                            + moments[LANES * (row + 1) + b] * inverse[LANES * (3 + j) + b]
                            + moments[LANES * (row + 2) + b] * inverse[LANES * (6 + j) + b]
                        )
            first = 9 * (4 * k + m)
            for i in range(3):
                for j in range(3):
                    for b in range(LANES):
                        physical[LANES * (first + 3 * i + j) + b] = (
                            inverse[LANES * i + b] * work[LANES * j + b]
                            + inverse[LANES * (3 + i) + b] * work[LANES * (3 + j) + b]
                            + inverse[LANES * (6 + i) + b] * work[LANES * (6 + j) + b]
                        )
