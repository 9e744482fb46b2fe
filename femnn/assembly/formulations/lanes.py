"""Numba kernels that make and scatter the matrices of LANES isotropic elements side by side, one to a lane.

An element that bends costs little arithmetic, but of a kind that one element alone does not vectorise: its axes and
twists, a stiffness S of its twists in blocks of 3 × 3, the elimination of a few modes. Eight elements do all of it at
once. Arrays hold *rows* of LANES numbers, one for each element, as in :mod:`femnn.integration.element_lanes`, but only
eight: their matrices then stay in the fastest cache until they are scattered. Functions whose rows depend on an axis or
a twist are called with each of them as a number, so that the compiler sees rows at constant distances. Elements do not
see each other, so that results depend on neither the order nor the number of threads.

``shape`` has the rows named below: vertices, J₀ and h by columns, J₀⁻¹ and J₀⁻¹h by rows, γ and mean gradients by
vertices. S is in ``stiffness``: blocks k ≤ m of 9 rows at ``place(k, m)``, of the four twists and, before their
elimination, of the three incompatible modes.
"""

import numpy as np

from femnn.assembly.scatter import add_block
from femnn.integration.kernels import _FAST
from femnn.integration.vector_kernels import LANES, aligned
from femnn.system.compile import njit

#: Rows of ``shape``: vertices 8 i + a; J₀ 3 k + i; h 3 k + i; J₀⁻¹ 3 k + i; det J₀; J₀⁻¹h 4 k + m; the volume; λ and μ;
#: the λ of deviatoric strains; γ 4 a + k; mean gradients 3 a + i.
VERTICES, LINEAR, TWIST, INVERSE, DETERMINANT, WARP = 0, 24, 33, 45, 54, 55
VOLUME, LMBDA, MU, DEVIATORIC, VECTORS, MEANS, ROWS = 67, 68, 69, 70, 71, 103, 127

#: Pairs of vertices a ≤ b, and blocks of S and the modes in a row of blocks.
PAIRS, BLOCKS = 36, 7

# Where rows start, without a sign: where a vertex is known at run time only, the compiler sees that no index wraps.
R1, R2, R3, R4, R5, R6, R7, R8, R9 = (np.uint64(LANES * r) for r in range(1, 10))
_R18, _R27 = np.uint64(18 * LANES), np.uint64(27 * LANES)
_NONE, _ONE, _VERTICES = np.uint64(0), np.uint64(1), np.uint64(8)
_VOLUME = np.uint64(VOLUME * LANES)
# Behind the four twists of one vertex: its mean gradients times V λ and V μ.
_FLAT, _SHEAR = np.uint64(36 * LANES), np.uint64(39 * LANES)


@njit(cache=True)
def lanes_workspace():
    """Work arrays: ``shape``, ``stiffness``, the rows of one vertex, the 3 × 3 blocks of all pairs of vertices."""
    return aligned(ROWS * LANES), aligned(9 * BLOCKS**2 * LANES), aligned(42 * LANES), aligned(9 * PAIRS * LANES)


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def place(k, m):
    """Where the block of the twists or modes k ≤ m starts in ``stiffness``."""
    return 9 * LANES * (BLOCKS * k + m)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def take_elements(order, begin, end, counts, chosen):
    """Write the next elements of ``order`` that have points to ``chosen`` (LANES,); return their number and the place.

    The last is repeated where there are fewer.
    """
    filled = 0
    while begin < end and filled < LANES:
        if counts[order[begin]] > 0:
            chosen[filled] = order[begin]
            filled += 1
        begin += 1
    for q in range(filled, LANES):
        chosen[q] = chosen[max(filled - 1, 0)]
    return filled, begin


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _gather(hexahedra, chosen, numbers, number_rows, shape):
    for q in range(LANES):
        e = chosen[q]
        for i in range(3):
            last = hexahedra[e, 7, i]
            for a in range(8):
                shape[LANES * (VERTICES + 8 * i + a) + q] = hexahedra[e, a, i] - last
        lmbda, mu = numbers[number_rows[e], 0], numbers[number_rows[e], 1]
        shape[LANES * LMBDA + q], shape[LANES * MU + q], shape[LANES * DEVIATORIC + q] = lmbda, mu, -2.0 / 3.0 * mu


@njit(specialised=True, cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _own_axes(i, lanes, shape):
    """Component i of J₀ and h."""
    for q in range(lanes):
        first = LANES * (VERTICES + 8 * i) + q
        v0, v1, v2, v3 = shape[first], shape[first + LANES], shape[first + 2 * LANES], shape[first + 3 * LANES]
        v4, v5, v6 = shape[first + 4 * LANES], shape[first + 5 * LANES], shape[first + 6 * LANES]
        # vertices 0 and 7, 1 and 6, 2 and 5, 3 and 4 are opposite; the last is the origin
        d0, d1, d2, d3 = 0.125 * v0, 0.125 * (v1 - v6), 0.125 * (v2 - v5), 0.125 * (v3 - v4)
        s0, s1, s2, s3 = 0.125 * v0, 0.125 * (v1 + v6), 0.125 * (v2 + v5), 0.125 * (v3 + v4)
        shape[LANES * (LINEAR + i) + q] = d0 + d1 + d2 - d3
        shape[LANES * (LINEAR + 3 + i) + q] = d0 + d1 - d2 + d3
        shape[LANES * (LINEAR + 6 + i) + q] = d0 - d1 + d2 + d3
        shape[LANES * (TWIST + i) + q] = s0 + s1 - s2 - s3
        shape[LANES * (TWIST + 3 + i) + q] = s0 - s1 - s2 + s3
        shape[LANES * (TWIST + 6 + i) + q] = s0 - s1 + s2 - s3
        shape[LANES * (TWIST + 9 + i) + q] = d0 - d1 - d2 - d3


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _invert(lanes, shape):
    for q in range(lanes):
        first = LANES * LINEAR + q
        x0, x1, x2 = shape[first], shape[first + LANES], shape[first + 2 * LANES]
        y0, y1, y2 = shape[first + 3 * LANES], shape[first + 4 * LANES], shape[first + 5 * LANES]
        z0, z1, z2 = shape[first + 6 * LANES], shape[first + 7 * LANES], shape[first + 8 * LANES]
        c0, c1, c2 = y1 * z2 - y2 * z1, y2 * z0 - y0 * z2, y0 * z1 - y1 * z0
        determinant = x0 * c0 + x1 * c1 + x2 * c2
        scale = 1.0 / determinant
        shape[LANES * DETERMINANT + q] = determinant
        first = LANES * INVERSE + q
        shape[first], shape[first + LANES], shape[first + 2 * LANES] = scale * c0, scale * c1, scale * c2
        shape[first + 3 * LANES] = scale * (z1 * x2 - z2 * x1)
        shape[first + 4 * LANES] = scale * (z2 * x0 - z0 * x2)
        shape[first + 5 * LANES] = scale * (z0 * x1 - z1 * x0)
        shape[first + 6 * LANES] = scale * (x1 * y2 - x2 * y1)
        shape[first + 7 * LANES] = scale * (x2 * y0 - x0 * y2)
        shape[first + 8 * LANES] = scale * (x0 * y1 - x1 * y0)


@njit(specialised=True, cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _warp(k, lanes, shape):
    """Row k of J₀⁻¹h."""
    for q in range(lanes):
        first = LANES * (INVERSE + 3 * k) + q
        x, y, z = shape[first], shape[first + LANES], shape[first + 2 * LANES]
        first, h = LANES * (WARP + 4 * k) + q, LANES * TWIST + q
        shape[first] = x * shape[h] + y * shape[h + LANES] + z * shape[h + 2 * LANES]
        shape[first + LANES] = x * shape[h + 3 * LANES] + y * shape[h + 4 * LANES] + z * shape[h + 5 * LANES]
        shape[first + 2 * LANES] = x * shape[h + 6 * LANES] + y * shape[h + 7 * LANES] + z * shape[h + 8 * LANES]
        shape[first + 3 * LANES] = x * shape[h + 9 * LANES] + y * shape[h + 10 * LANES] + z * shape[h + 11 * LANES]


@njit(specialised=True, cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _vectors(k, t0, t1, t2, t3, opposite, lanes, shape):
    """γ of twist k, whose values are t at the first four vertices and ``opposite`` times them at those opposite."""
    for q in range(lanes):
        first = LANES * (WARP + k) + q
        x, y, z = shape[first], shape[first + 4 * LANES], shape[first + 8 * LANES]
        c0, c1, c2, c3 = x + y + z, x + y - z, x - y + z, y + z - x
        first = LANES * (VECTORS + k) + q
        shape[first], shape[first + 4 * LANES] = 0.125 * (t0 - c0), 0.125 * (t1 - c1)
        shape[first + 8 * LANES], shape[first + 12 * LANES] = 0.125 * (t2 - c2), 0.125 * (t3 - c3)
        shape[first + 16 * LANES] = 0.125 * (opposite * t3 + c3)
        shape[first + 20 * LANES] = 0.125 * (opposite * t2 + c2)
        shape[first + 24 * LANES] = 0.125 * (opposite * t1 + c1)
        shape[first + 28 * LANES] = 0.125 * (opposite * t0 + c0)


@njit(specialised=True, cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _means(i, lanes, shape):
    """∫ ∂N_a/∂x_i of all vertices: cross products of the columns of J₀ and h, as cof J is quadratic in them."""
    j, k = (i + 1) % 3, (i + 2) % 3
    third = 1.0 / 3.0
    for q in range(lanes):
        row, other = LANES * (LINEAR + j) + q, LANES * (LINEAR + k) + q
        xj, yj, zj = shape[row], shape[row + 3 * LANES], shape[row + 6 * LANES]
        xk, yk, zk = shape[other], shape[other + 3 * LANES], shape[other + 6 * LANES]
        row, other = LANES * (TWIST + j) + q, LANES * (TWIST + k) + q
        xyj, yzj, zxj = third * shape[row], third * shape[row + 3 * LANES], third * shape[row + 6 * LANES]
        xyk, yzk, zxk = shape[other], shape[other + 3 * LANES], shape[other + 6 * LANES]
        x = yj * zk - yk * zj + xyj * zxk - xyk * zxj
        y = zj * xk - zk * xj + yzj * xyk - yzk * xyj
        z = xj * yk - xk * yj + zxj * yzk - zxk * yzj
        xyk, yzk, zxk = third * xyk, third * yzk, third * zxk
        xy = yj * yzk - yk * yzj + zxj * xk - zxk * xj
        yz = zj * zxk - zk * zxj + xyj * yk - xyk * yj
        zx = xj * xyk - xk * xyj + yzj * zk - yzk * zj
        o0, o1, o2, o3 = x + y + z, x + y - z, x - y + z, y + z - x
        e0, e1, e2, e3 = xy + yz + zx, xy - yz - zx, zx - xy - yz, yz - xy - zx
        first = LANES * (MEANS + i) + q
        shape[first], shape[first + 3 * LANES] = e0 + o0, e1 + o1
        shape[first + 6 * LANES], shape[first + 9 * LANES] = e2 + o2, e3 + o3
        shape[first + 12 * LANES], shape[first + 15 * LANES] = e3 - o3, e2 - o2
        shape[first + 18 * LANES], shape[first + 21 * LANES] = e1 - o1, e0 - o0


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _volumes(lanes, shape):
    """The volumes, and the mean gradients from their integrals."""
    for q in range(lanes):
        volume = 0.0
        for a in range(7):
            volume += shape[LANES * (VERTICES + a) + q] * shape[LANES * (MEANS + 3 * a) + q]
        shape[LANES * VOLUME + q] = abs(volume)
        scale = 1.0 / volume
        for r in range(24):
            shape[LANES * (MEANS + r) + q] *= scale


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def own_axes_of_lanes(lanes, shape):
    """Fill the rows of ``shape`` from J₀ to J₀⁻¹h, and γ, from those of the vertices; the last is the origin."""
    _own_axes(0, lanes, shape)
    _own_axes(1, lanes, shape)
    _own_axes(2, lanes, shape)
    _invert(lanes, shape)
    _warp(0, lanes, shape)
    _warp(1, lanes, shape)
    _warp(2, lanes, shape)
    _vectors(0, 1.0, 1.0, -1.0, -1.0, 1.0, lanes, shape)
    _vectors(1, 1.0, -1.0, -1.0, 1.0, 1.0, lanes, shape)
    _vectors(2, 1.0, -1.0, 1.0, -1.0, 1.0, lanes, shape)
    _vectors(3, 1.0, -1.0, -1.0, -1.0, -1.0, lanes, shape)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def shape_of_lanes(hexahedra, chosen, numbers, number_rows, lanes, shape):
    """Fill ``shape`` for the elements ``chosen`` (LANES,) of (n, 8, 3), λ and μ in rows of ``numbers`` (m, 2)."""
    _gather(hexahedra, chosen, numbers, number_rows, shape)
    own_axes_of_lanes(lanes, shape)
    _means(0, lanes, shape)
    _means(1, lanes, shape)
    _means(2, lanes, shape)
    _volumes(lanes, shape)


@njit(specialised=True, cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _entry(k, i, m, j):
    """Row of S for component i of twist k and component j of twist m, of which k ≤ m is kept."""
    if k <= m:
        return place(k, m) + LANES * (3 * i + j)
    return place(m, k) + LANES * (3 * j + i)


@njit(specialised=True, cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _products(k, coupled, vertex, lanes, shape, stiffness, rows):
    """Σ_m S_km γ_m of twist k, with γ from row ``vertex`` on; ``coupled`` tells if ξηζ meets the other twists."""
    for q in range(lanes):
        first = vertex + q
        g0, g1, g2, g3 = shape[first], shape[first + R1], shape[first + R2], shape[first + R3]
        for i in range(3):
            for j in range(3):
                total = 0.0
                if coupled or k < 3:
                    total += (
                        g0 * stiffness[np.uint64(_entry(k, i, 0, j)) + q]
                        + g1 * stiffness[np.uint64(_entry(k, i, 1, j)) + q]
                        + g2 * stiffness[np.uint64(_entry(k, i, 2, j)) + q]
                    )
                if coupled or k == 3:
                    total += g3 * stiffness[np.uint64(_entry(k, i, 3, j)) + q]
                rows[np.uint64(LANES * (9 * k + 3 * i + j)) + q] = total


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _lines(mean, lanes, shape, rows):
    """V λ and V μ times the mean gradients that start in row ``mean``."""
    for q in range(lanes):
        first, flat, shear = mean + q, _FLAT + q, _SHEAR + q
        x, y, z = shape[first], shape[first + R1], shape[first + R2]
        # the volume, λ and μ are neighbours
        volume = shape[_VOLUME + q]
        lmbda, mu = volume * shape[_VOLUME + q + R1], volume * shape[_VOLUME + q + R2]
        rows[flat], rows[flat + R1], rows[flat + R2] = lmbda * x, lmbda * y, lmbda * z
        rows[shear], rows[shear + R1], rows[shear + R2] = mu * x, mu * y, mu * z


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _of_twists(first, g0, g1, g2, g3, rows):
    """One entry of Γ S Γᵀ, from γ of one vertex and the ``rows`` of another."""
    return g0 * rows[first] + g1 * rows[first + R9] + g2 * rows[first + _R18] + g3 * rows[first + _R27]


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _pair(vertex, mean, block, lanes, shape, rows, blocks):
    """The block of the vertex whose γ and mean gradients start in these rows and the vertex that ``rows`` are of."""
    for q in range(lanes):
        first, flat, shear = vertex + q, _FLAT + q, _SHEAR + q
        g0, g1, g2, g3 = shape[first], shape[first + R1], shape[first + R2], shape[first + R3]
        first = mean + q
        x, y, z = shape[first], shape[first + R1], shape[first + R2]
        u, v, w = rows[flat], rows[flat + R1], rows[flat + R2]
        f, g, h = rows[shear], rows[shear + R1], rows[shear + R2]
        trace = x * f + y * g + z * h
        first = block + q
        blocks[first] = x * u + x * f + trace + _of_twists(q, g0, g1, g2, g3, rows)
        blocks[first + R1] = x * v + y * f + _of_twists(q + R1, g0, g1, g2, g3, rows)
        blocks[first + R2] = x * w + z * f + _of_twists(q + R2, g0, g1, g2, g3, rows)
        blocks[first + R3] = y * u + x * g + _of_twists(q + R3, g0, g1, g2, g3, rows)
        blocks[first + R4] = y * v + y * g + trace + _of_twists(q + R4, g0, g1, g2, g3, rows)
        blocks[first + R5] = y * w + z * g + _of_twists(q + R5, g0, g1, g2, g3, rows)
        blocks[first + R6] = z * u + x * h + _of_twists(q + R6, g0, g1, g2, g3, rows)
        blocks[first + R7] = z * v + y * h + _of_twists(q + R7, g0, g1, g2, g3, rows)
        blocks[first + R8] = z * w + z * h + trace + _of_twists(q + R8, g0, g1, g2, g3, rows)


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def expand_lanes(coupled, lanes, shape, stiffness, rows, blocks):
    """Write V B̄ᵀ C B̄ + Γ S Γᵀ to ``blocks``: 9 rows for each pair of vertices a ≤ b, all a of b = 0, of b = 1, …"""
    count, block = np.uint64(lanes), _NONE
    for b in range(_VERTICES):
        vertex, mean = np.uint64(VECTORS * LANES) + R4 * b, np.uint64(MEANS * LANES) + R3 * b
        _products(0, coupled, vertex, count, shape, stiffness, rows)
        _products(1, coupled, vertex, count, shape, stiffness, rows)
        _products(2, coupled, vertex, count, shape, stiffness, rows)
        _products(3, coupled, vertex, count, shape, stiffness, rows)
        _lines(mean, count, shape, rows)
        for a in range(b + _ONE):
            _pair(
                np.uint64(VECTORS * LANES) + R4 * a,
                np.uint64(MEANS * LANES) + R3 * a,
                block,
                count,
                shape,
                rows,
                blocks,
            )
            block += R9


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def scatter_lane(q, e, blocks, cells, row_starts, slots, places, buffer):
    """Add the matrix of lane ``q``, which is element ``e``, to the rows of its nodes in the buffer of its block."""
    first = np.uint64(q)
    step = np.uint64(LANES)
    for b in range(8):
        place_b = np.uint64(9 * np.int64(places[e, b]))
        width_b = np.uint64(3 * (row_starts[cells[e, b] + 1] - row_starts[cells[e, b]]))
        for a in range(b + 1):
            r = first
            k00, k01, k02 = blocks[r], blocks[r + step], blocks[r + np.uint64(2) * step]
            r += np.uint64(3) * step
            k10, k11, k12 = blocks[r], blocks[r + step], blocks[r + np.uint64(2) * step]
            r += np.uint64(3) * step
            k20, k21, k22 = blocks[r], blocks[r + step], blocks[r + np.uint64(2) * step]
            first += np.uint64(9) * step
            place_a = np.uint64(9 * np.int64(places[e, a])) + np.uint64(3) * np.uint64(slots[e, a, b])
            width_a = np.uint64(3 * (row_starts[cells[e, a] + 1] - row_starts[cells[e, a]]))
            add_block(buffer, place_a, width_a, k00, k01, k02, k10, k11, k12, k20, k21, k22)
            if a != b:
                start = place_b + np.uint64(3) * np.uint64(slots[e, b, a])
                add_block(buffer, start, width_b, k00, k10, k20, k01, k11, k21, k02, k12, k22)
