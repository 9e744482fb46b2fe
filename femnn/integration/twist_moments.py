"""What tensor rules make of the twists of an element: little more than a quarter of the work of all its gradients.

An element is y(ξ) = ξ + w h(ξ) in its own axes, with the twists h = (ξη, ηζ, ζξ, ξηζ); a nodal function is linear in y
plus Σ γ_k h_k, and only ∫ ∂_i h_k ∂_j h_l dy depends on the rule (D. P. Flanagan, T. Belytschko, IJNME 17 (1981)
679-706). Points here are in [-1, 1]³ and weights sum to 8.

The sums over tensor rules take eight points at a time, as :mod:`femnn.integration.vector_kernels` does and says why.
"""

from femnn.integration.kernels import _FAST
from femnn.integration.vector_kernels import LANES, aligned
from femnn.system.compile import njit


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


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def tensor_twist_moments(warp, per_axis, line_points, line_weights, work, moments, means):
    """∫ ∂_i h_k ∂_j h_l dy by nx·ny·nz Gauss points into ``moments`` (12, 12), row 3k + i.

    Parameters
    ----------
    warp : (3, 4)
        J₀⁻¹h of the element.
    per_axis : (3,) int
        Points along the axes.
    line_points, line_weights
        Rules on [0, 1], row n of n points.
    work
        Of :func:`twist_workspace`.
    means : (12,)
        Gets ∫ ∂_i h_k dy.

    Returns
    -------
    volume : float
        ∫ dy.
    """
    points, columns, slopes, scales = work
    nx, ny, nz = per_axis[0], per_axis[1], per_axis[2]
    moments[:] = 0.0
    means[:] = 0.0
    volume, count = 0.0, nx * ny * nz
    i = j = k = 0
    for q in range(0, count, LANES):
        for lane in range(LANES):
            if q + lane >= count:
                # the centre, where every element is healthy, without a weight
                points[lane] = points[8 + lane] = points[16 + lane] = points[24 + lane] = 0.0
                continue
            points[lane] = 2.0 * line_points[nx, i] - 1.0
            points[8 + lane] = 2.0 * line_points[ny, j] - 1.0
            points[16 + lane] = 2.0 * line_points[nz, k] - 1.0
            points[24 + lane] = 8.0 * line_weights[nx, i] * line_weights[ny, j] * line_weights[nz, k]
            k += 1
            if k == nz:
                k, j = 0, j + 1
                if j == ny:
                    j, i = 0, i + 1
        _slopes_of_lanes(warp, points, len(scales) // 2, columns, scales)
        for lane in range(LANES):
            volume += scales[LANES + lane]
            for r in range(12):
                slopes[lane, r] = columns[8 * r + lane]
        _add_lanes(slopes, points, scales, moments, means)
    return volume


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _slopes_of_lanes(warp, points, lanes, columns, scales):
    """det J ∂h_k/∂y_i of lane q at 8 (3k + i) + q of ``columns``, and weights over and times det J into ``scales``."""
    w00, w01, w02, w03 = warp[0, 0], warp[0, 1], warp[0, 2], warp[0, 3]
    w10, w11, w12, w13 = warp[1, 0], warp[1, 1], warp[1, 2], warp[1, 3]
    w20, w21, w22, w23 = warp[2, 0], warp[2, 1], warp[2, 2], warp[2, 3]
    for q in range(lanes):
        x, y, z = points[q], points[8 + q], points[16 + q]
        yz, zx, xy = y * z, z * x, x * y
        j00, j10, j20 = 1.0 + w00 * y + w02 * z + w03 * yz, w10 * y + w12 * z + w13 * yz, w20 * y + w22 * z + w23 * yz
        j01, j11, j21 = w00 * x + w01 * z + w03 * zx, 1.0 + w10 * x + w11 * z + w13 * zx, w20 * x + w21 * z + w23 * zx
        j02, j12, j22 = w01 * y + w02 * x + w03 * xy, w11 * y + w12 * x + w13 * xy, 1.0 + w21 * y + w22 * x + w23 * xy
        c00, c01, c02 = j11 * j22 - j12 * j21, j12 * j20 - j10 * j22, j10 * j21 - j11 * j20
        c10, c11, c12 = j21 * j02 - j22 * j01, j22 * j00 - j20 * j02, j20 * j01 - j21 * j00
        c20, c21, c22 = j01 * j12 - j02 * j11, j02 * j10 - j00 * j12, j00 * j11 - j01 * j10
        determinant = j00 * c00 + j10 * c10 + j20 * c20
        scales[q] = points[24 + q] / determinant
        scales[8 + q] = points[24 + q] * determinant
        columns[q], columns[8 + q], columns[16 + q] = c00 * y + c01 * x, c10 * y + c11 * x, c20 * y + c21 * x
        columns[24 + q], columns[32 + q], columns[40 + q] = c01 * z + c02 * y, c11 * z + c12 * y, c21 * z + c22 * y
        columns[48 + q], columns[56 + q], columns[64 + q] = c00 * z + c02 * x, c10 * z + c12 * x, c20 * z + c22 * x
        columns[72 + q] = c00 * yz + c01 * zx + c02 * xy
        columns[80 + q] = c10 * yz + c11 * zx + c12 * xy
        columns[88 + q] = c20 * yz + c21 * zx + c22 * xy


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _add_lanes(slopes, points, scales, moments, means):
    v0, v1, v2, v3 = scales[0], scales[1], scales[2], scales[3]
    v4, v5, v6, v7 = scales[4], scales[5], scales[6], scales[7]
    w0, w1, w2, w3 = points[24], points[25], points[26], points[27]
    w4, w5, w6, w7 = points[28], points[29], points[30], points[31]
    width = slopes.shape[1]
    for c in range(width):
        means[c] += (
            w0 * slopes[0, c] + w1 * slopes[1, c] + w2 * slopes[2, c] + w3 * slopes[3, c]
            + w4 * slopes[4, c] + w5 * slopes[5, c] + w6 * slopes[6, c] + w7 * slopes[7, c]
        )  # fmt: skip
    for r in range(12):
        s0, s1, s2, s3 = v0 * slopes[0, r], v1 * slopes[1, r], v2 * slopes[2, r], v3 * slopes[3, r]
        s4, s5, s6, s7 = v4 * slopes[4, r], v5 * slopes[5, r], v6 * slopes[6, r], v7 * slopes[7, r]
        for c in range(width):
            moments[r, c] += (
                s0 * slopes[0, c] + s1 * slopes[1, c] + s2 * slopes[2, c] + s3 * slopes[3, c]
                + s4 * slopes[4, c] + s5 * slopes[5, c] + s6 * slopes[6, c] + s7 * slopes[7, c]
            )  # fmt: skip


@njit(cache=True)
def twist_workspace():
    """Work space of :func:`tensor_twist_moments`."""
    return aligned(4 * LANES), aligned(12 * LANES), aligned(12 * LANES).reshape((LANES, 12)), aligned(2 * LANES)
