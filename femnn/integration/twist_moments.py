"""What tensor rules make of the twists of an element: a small part of the work of all its gradients.

An element is y(ξ) = ξ + w h(ξ) in its own axes, with the twists h = (ξη, ηζ, ζξ, ξηζ); a nodal function is linear in y
plus Σ γ_k h_k, and only ∫ ∂_i h_k ∂_j h_l dy depends on the rule (D. P. Flanagan, T. Belytschko, IJNME 17 (1981)
679-706). Points here are in [-1, 1]³ and weights sum to 8.

det J and det J ∂_i h_k are of the second degree in each of ξ, η, ζ: their values at the 27 places -1, 0, 1 hold all
of them. What is left to a rule is Σ w L_a L_b / det J with the products of the polynomials L of these places, summed
axis by axis, so that the twelve slopes are never evaluated at its points.
"""

from collections.abc import Callable
from functools import cache

import numpy as np

from femnn.integration.gauss import gauss_legendre
from femnn.integration.kernels import _FAST
from femnn.integration.vector_kernels import aligned
from femnn.system.compile import njit

# The places, the last coordinate fastest, and the weights of Simpson's rule, exact up to the third degree.
_PLACES = np.stack(np.meshgrid(*3 * [np.array([-1.0, 0.0, 1.0])], indexing="ij")).reshape(3, 27)
_SIMPSON = np.einsum("a,b,c->abc", *3 * [np.array([1.0, 4.0, 1.0]) / 3.0]).ravel()

# The six products L_a L_b of an axis, a <= b, and the number of each.
_PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
_PAIR_OF = np.array([[0, 1, 2], [1, 3, 4], [2, 4, 5]])

Line = Callable[[int], tuple[np.ndarray, np.ndarray]]

# Points of a row are filled up to a multiple of so many; products to so many.
_FILL, _ROW = 4, 8


@cache
def place_tables(longest: int, line: Line = gauss_legendre) -> tuple[np.ndarray, np.ndarray]:
    """The polynomials of the places at the points of the rules 1..``longest``, (rule, 3, points), and their weighted
    products, (rule, points, 8); rows are filled up with points at the centre that have no weight.

    ``line(n)`` gives the points and weights of n points on [0, 1].
    """
    room = longest + _FILL
    values, products = np.zeros((longest + 1, 3, room)), np.zeros((longest + 1, room, _ROW))
    values[:, 1] = 1.0
    for n in range(1, longest + 1):
        points, weights = line(n)
        x = 2.0 * points - 1.0
        values[n, :, :n] = 0.5 * x * (x - 1.0), 1.0 - x * x, 0.5 * x * (x + 1.0)
        for number, (a, b) in enumerate(_PAIRS):
            products[n, :n, number] = 2.0 * weights * values[n, a, :n] * values[n, b, :n]
    return values, products


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def twist_slopes(warp, x, y, z, slopes):
    """Write det J ∂h_k/∂y_i at one point into ``slopes`` (12,), row 3k + i; return det J. ``warp`` is (3, 4)."""
    j00 = 1.0 + warp[0, 0] * y + warp[0, 2] * z + warp[0, 3] * y * z
    j10 = warp[1, 0] * y + warp[1, 2] * z + warp[1, 3] * y * z
    j20 = warp[2, 0] * y + warp[2, 2] * z + warp[2, 3] * y * z
    j01 = warp[0, 0] * x + warp[0, 1] * z + warp[0, 3] * z * x
    j11 = 1.0 + warp[1, 0] * x + warp[1, 1] * z + warp[1, 3] * z * x
    j21 = warp[2, 0] * x + warp[2, 1] * z + warp[2, 3] * z * x
    j02 = warp[0, 1] * y + warp[0, 2] * x + warp[0, 3] * x * y
    j12 = warp[1, 1] * y + warp[1, 2] * x + warp[1, 3] * x * y
    j22 = 1.0 + warp[2, 1] * y + warp[2, 2] * x + warp[2, 3] * x * y
    c00, c01, c02 = j11 * j22 - j12 * j21, j12 * j20 - j10 * j22, j10 * j21 - j11 * j20
    c10, c11, c12 = j21 * j02 - j22 * j01, j22 * j00 - j20 * j02, j20 * j01 - j21 * j00
    c20, c21, c22 = j01 * j12 - j02 * j11, j02 * j10 - j00 * j12, j00 * j11 - j01 * j10
    slopes[0], slopes[1], slopes[2] = c00 * y + c01 * x, c10 * y + c11 * x, c20 * y + c21 * x
    slopes[3], slopes[4], slopes[5] = c01 * z + c02 * y, c11 * z + c12 * y, c21 * z + c22 * y
    slopes[6], slopes[7], slopes[8] = c00 * z + c02 * x, c10 * z + c12 * x, c20 * z + c22 * x
    yz, zx, xy = y * z, z * x, x * y
    slopes[9] = c00 * yz + c01 * zx + c02 * xy
    slopes[10] = c10 * yz + c11 * zx + c12 * xy
    slopes[11] = c20 * yz + c21 * zx + c22 * xy
    return j00 * c00 + j10 * c10 + j20 * c20


@njit(cache=True)
def twist_workspace(longest):
    """Work space of this module for rules of up to ``longest`` points along an axis."""
    room = longest + _FILL
    values = aligned(27 * 12).reshape((27, 12)), aligned(32)
    lines = aligned(9 * room).reshape((9, room)), aligned(3 * room).reshape((3, room)), aligned(room)
    sums = aligned(6 * _ROW), aligned(36 * _ROW).reshape((6, 6 * _ROW)), aligned(27 * 12).reshape((27, 12))
    return values, aligned(12 * 32), lines, sums


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def values_at_places(warp, work, means):
    """Write det J and det J ∂_i h_k of an element at the places into the work space; return ∫ dy, its volume.

    ``warp`` (3, 4) is J₀⁻¹h; ``means`` (12,) gets ∫ ∂_i h_k dy, row 3k + i. Rules of two points find both exactly.
    """
    (slopes, determinants), columns, _, _ = work
    _slopes_of_places(warp, columns, determinants)
    volume = 0.0
    for q in range(27):
        volume += _SIMPSON[q] * determinants[q]
    for r in range(12):
        mean = 0.0
        for q in range(27):
            mean += _SIMPSON[q] * columns[32 * r + q]
            slopes[q, r] = columns[32 * r + q]
        means[r] = mean
    return volume


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _slopes_of_places(warp, columns, determinants):
    """det J ∂h_k/∂y_i at place q at 32 (3k + i) + q of ``columns``, and det J."""
    w00, w01, w02, w03 = warp[0, 0], warp[0, 1], warp[0, 2], warp[0, 3]
    w10, w11, w12, w13 = warp[1, 0], warp[1, 1], warp[1, 2], warp[1, 3]
    w20, w21, w22, w23 = warp[2, 0], warp[2, 1], warp[2, 2], warp[2, 3]
    for q in range(27):
        x, y, z = _PLACES[0, q], _PLACES[1, q], _PLACES[2, q]
        yz, zx, xy = y * z, z * x, x * y
        j00, j10, j20 = 1.0 + w00 * y + w02 * z + w03 * yz, w10 * y + w12 * z + w13 * yz, w20 * y + w22 * z + w23 * yz
        j01, j11, j21 = w00 * x + w01 * z + w03 * zx, 1.0 + w10 * x + w11 * z + w13 * zx, w20 * x + w21 * z + w23 * zx
        j02, j12, j22 = w01 * y + w02 * x + w03 * xy, w11 * y + w12 * x + w13 * xy, 1.0 + w21 * y + w22 * x + w23 * xy
        c00, c01, c02 = j11 * j22 - j12 * j21, j12 * j20 - j10 * j22, j10 * j21 - j11 * j20
        c10, c11, c12 = j21 * j02 - j22 * j01, j22 * j00 - j20 * j02, j20 * j01 - j21 * j00
        c20, c21, c22 = j01 * j12 - j02 * j11, j02 * j10 - j00 * j12, j00 * j11 - j01 * j10
        determinants[q] = j00 * c00 + j10 * c10 + j20 * c20
        columns[q], columns[32 + q], columns[64 + q] = c00 * y + c01 * x, c10 * y + c11 * x, c20 * y + c21 * x
        columns[96 + q], columns[128 + q], columns[160 + q] = c01 * z + c02 * y, c11 * z + c12 * y, c21 * z + c22 * y
        columns[192 + q], columns[224 + q], columns[256 + q] = c00 * z + c02 * x, c10 * z + c12 * x, c20 * z + c22 * x
        columns[288 + q] = c00 * yz + c01 * zx + c02 * xy
        columns[320 + q] = c10 * yz + c11 * zx + c12 * xy
        columns[352 + q] = c20 * yz + c21 * zx + c22 * xy


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def tensor_twist_moments(per_axis, tables, work, moments):
    """∫ ∂_i h_k ∂_j h_l dy by nx·ny·nz Gauss points into ``moments`` (12, 12), row 3k + i.

    Parameters
    ----------
    per_axis : (3,) int
        Points along the axes.
    tables
        Of :func:`place_tables`.
    work
        Of :func:`twist_workspace`, as :func:`values_at_places` leaves it.
    """
    (slopes, determinants), _, lines, sums = work
    _sum_products(determinants, per_axis, tables[0], tables[1], lines, sums[0], sums[1])
    _add_products(sums[1], slopes, sums[2], moments)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _sum_products(determinants, per_axis, values, products, lines, plane, total):  # noqa: C901
    """Σ w L_a L_b / det J to ``total``, row by pair of the first axis, column 8 times the second's plus the last's."""
    along, across, row = lines
    nx, ny, nz = per_axis[0], per_axis[1], per_axis[2]
    width = (nz + _FILL - 1) // _FILL * _FILL
    for place in range(9):
        d0, d1, d2 = determinants[3 * place], determinants[3 * place + 1], determinants[3 * place + 2]
        for k in range(width):
            along[place, k] = d0 * values[nz, 0, k] + d1 * values[nz, 1, k] + d2 * values[nz, 2, k]
    total[:] = 0.0
    for i in range(nx):
        l0, l1, l2 = values[nx, 0, i], values[nx, 1, i], values[nx, 2, i]
        for place in range(3):
            for k in range(width):
                across[place, k] = l0 * along[place, k] + l1 * along[3 + place, k] + l2 * along[6 + place, k]
        plane[:] = 0.0
        for j in range(ny):
            m0, m1, m2 = values[ny, 0, j], values[ny, 1, j], values[ny, 2, j]
            for k in range(width):
                row[k] = 1.0 / (m0 * across[0, k] + m1 * across[1, k] + m2 * across[2, k])
            # named one by one, which the compiler puts side by side
            s0 = s1 = s2 = s3 = s4 = s5 = 0.0
            for k in range(nz):
                s0 += row[k] * products[nz, k, 0]
                s1 += row[k] * products[nz, k, 1]
                s2 += row[k] * products[nz, k, 2]
                s3 += row[k] * products[nz, k, 3]
                s4 += row[k] * products[nz, k, 4]
                s5 += row[k] * products[nz, k, 5]
            for pair in range(6):
                weight, first = products[ny, j, pair], _ROW * pair
                plane[first] += weight * s0
                plane[first + 1] += weight * s1
                plane[first + 2] += weight * s2
                plane[first + 3] += weight * s3
                plane[first + 4] += weight * s4
                plane[first + 5] += weight * s5
        for pair in range(6):
            weight = products[nx, i, pair]
            for m in range(len(plane)):
                total[pair, m] += weight * plane[m]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _add_products(total, slopes, half, moments):
    """slopesᵀ T slopes into ``moments``, where T (27, 27) has the sums ``total`` of the pairs of its row and column."""
    half[:] = 0.0
    moments[:] = 0.0
    for row in range(27):
        a, b, c = row // 9, row // 3 % 3, row % 3
        c0, c1, c2 = _PAIR_OF[c, 0], _PAIR_OF[c, 1], _PAIR_OF[c, 2]
        b0, b1, b2 = _ROW * _PAIR_OF[b, 0], _ROW * _PAIR_OF[b, 1], _ROW * _PAIR_OF[b, 2]
        for other in range(3):
            first = _PAIR_OF[a, other]
            t0, t1, t2 = total[first, b0 + c0], total[first, b0 + c1], total[first, b0 + c2]
            t3, t4, t5 = total[first, b1 + c0], total[first, b1 + c1], total[first, b1 + c2]
            t6, t7, t8 = total[first, b2 + c0], total[first, b2 + c1], total[first, b2 + c2]
            _add_nine(t0, t1, t2, t3, t4, t5, t6, t7, t8, slopes, 9 * other, half, row)
    for row in range(12):
        for q in (0, 9, 18):
            t0, t1, t2 = slopes[q, row], slopes[q + 1, row], slopes[q + 2, row]
            t3, t4, t5 = slopes[q + 3, row], slopes[q + 4, row], slopes[q + 5, row]
            t6, t7, t8 = slopes[q + 6, row], slopes[q + 7, row], slopes[q + 8, row]
            _add_nine(t0, t1, t2, t3, t4, t5, t6, t7, t8, half, q, moments, row)


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _add_nine(t0, t1, t2, t3, t4, t5, t6, t7, t8, rows, q, result, row):
    """Add nine rows from ``q`` on, times t0 to t8, to one row of the result."""
    for c in range(rows.shape[1]):
        result[row, c] += (
            t0 * rows[q, c] + t1 * rows[q + 1, c] + t2 * rows[q + 2, c]
            + t3 * rows[q + 3, c] + t4 * rows[q + 4, c] + t5 * rows[q + 5, c]
            + t6 * rows[q + 6, c] + t7 * rows[q + 7, c] + t8 * rows[q + 8, c]
        )  # fmt: skip
