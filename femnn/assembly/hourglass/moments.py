"""The hourglass part of an element: all that quadrature can get wrong in a linear stiffness.

In its own axes an element is y(ξ) = ξ + w h(ξ), with the twists h = (ξη, ηζ, ζξ, ξηζ) and w = J₀⁻¹h of shape (3, 4). A
nodal function φ_a is a linear function of y plus Σ β_k h_k, β_k = γ_k · φ with γ_k = (h_k - Σ_j w_jk ξ_j)/8 (D. P.
Flanagan, T. Belytschko, IJNME 17 (1981) 679-706). Every element matrix of linear elasticity is a contraction of the
moments ∫ ∂N_a/∂x_i ∂N_b/∂x_j dV with the stiffness of the material. Its linear part holds mean gradients, which
2×2×2 points integrate exactly; what is left is γ_k S_kl^ij γ_l with the twelve functions ∂h_k/∂y_i, row 3k + i:

    S = ∫ ∂_i h_k ∂_j h_l dy,    shape (12, 12), symmetric, 78 numbers that depend on w alone.

Points here are in [-1, 1]³ and weights sum to 8, so that S is the integral over the element in its own axes.
"""

from functools import cache

import numpy as np

from femnn.geometry.coordinates import TWISTS
from femnn.geometry.hexahedron import SIGNS
from femnn.integration.element_lanes import BLOCK, LANES, ROW, in_lanes, out_of_lanes, shared_lanes, twist_values
from femnn.integration.gauss import tensor_gauss
from femnn.integration.kernels import _FAST, kernel_array
from femnn.integration.twist_moments import twist_slopes
from femnn.system.compile import njit

#: Rows and columns of the 78 entries of a symmetric 12 × 12 matrix.
ROWS, COLUMNS = np.triu_indices(12)

#: Place of entry (r, c) of S among the 78 of its upper triangle, (12, 12).
PLACES = np.empty((12, 12), dtype=np.int64)
PLACES[ROWS, COLUMNS] = PLACES[COLUMNS, ROWS] = np.arange(78)

_SLOPES = np.uint64(12)

# Points per axis of ever finer rules; random elements need the first two, nearly folded ones the last.
_LADDER = (8, 12, 18, 30)


@njit(over="warps", grain=64, cache=True, error_model="numpy", fastmath=_FAST)
def _moments(begin, end, warps, points, weights, moments):
    for e in range(begin, end):
        slopes = np.empty(12)
        moments[e] = 0.0
        for q in range(weights.shape[0]):
            determinant = twist_slopes(warps[e], points[0, q], points[1, q], points[2, q], slopes)
            scale = weights[q] / determinant
            for r in range(12):
                scaled = scale * slopes[r]
                for c in range(r, 12):
                    moments[e, r, c] += scaled * slopes[c]
        for r in range(12):
            for c in range(r):
                moments[e, r, c] = moments[e, c, r]


@cache
def _centred_gauss(n):
    points, weights = tensor_gauss(n, n, n)
    return 2.0 * points - 1.0, 8.0 * weights


def hourglass_moments(warps: np.ndarray, n: int) -> np.ndarray:
    """∫ ∂_i h_k ∂_j h_l dy by n×n×n Gauss points, shape (m, 12, 12), row 3k + i, of elements with ``warps`` (m, 3, 4).

    Two rules from 2×2×2 on differ in it by what they differ in S, because both find the means of ∂_i h_k exactly.
    """
    moments, (points, weights) = np.empty((len(warps), 12, 12)), _centred_gauss(n)
    _moments(kernel_array(warps), points, weights, moments)
    return moments


@cache
def missed_points() -> tuple[np.ndarray, np.ndarray]:
    """3×3×3 points less 2×2×2 ones, (3, 35) and (35,): they sum what the fewer miss of S, but for a hundredth."""
    (points, weights), (fewer, less) = _centred_gauss(3), _centred_gauss(2)
    return np.concatenate([points, fewer], axis=1), np.concatenate([weights, -less])


def hourglass_vectors(warps: np.ndarray) -> np.ndarray:
    """γ, shape (m, 8, 4): the amplitude of each twist in nodal values, beyond a function that is linear in space."""
    return (TWISTS - np.einsum("aj,ejk->eak", SIGNS, warps)) / 8.0


def converged_moments(warps: np.ndarray) -> np.ndarray:
    """:func:`hourglass_moments` until two rules agree to 1e-6 of the largest entry, at most by 30×30×30 points."""
    moments, missing = hourglass_moments(warps, _LADDER[0]), np.arange(len(warps))
    for n in _LADDER[1:]:
        finer = hourglass_moments(warps[missing], n)
        change = np.abs(finer - moments[missing]).max(axis=(1, 2)) / np.abs(finer).max(axis=(1, 2))
        moments[missing] = finer
        missing = missing[change > 1e-6]
    return moments


#: The 2×2×2 points in [-1, 1]³, in lanes, for :func:`factors_of_lanes`.
GAUSS_POINTS = shared_lanes(_centred_gauss(2)[0].T)

_EIGHTH_ROOT = np.sqrt(0.125)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _over_roots(warp, points, values, means, roots, work):
    """Slopes of the twists over the roots of det J into ``work`` (96 rows), row 8r + q, the roots and all sums."""
    means[:] = 0.0
    for q in range(8):
        twist_values(warp, points, 3 * q, values, 0)
        place = np.uint64(LANES * q)
        for b in range(BLOCK):
            root = np.sqrt(values[b])
            scale = 1.0 / root
            roots[place + b] = root
            means[b] += values[b]
            for r in range(_SLOPES):
                slope = values[ROW[1] + BLOCK * r + b]
                means[ROW[1] + BLOCK * r + b] += slope
                work[place + ROW[8] * r + b] = scale * slope


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _to_patterns(r, means, roots, work, factors):
    """One row of the factors: what is left without the mean, by patterns over the points, of which the last is fast."""
    first, mean = np.uint64(LANES * 8 * r), np.uint64(LANES * (1 + r))
    for b in range(BLOCK):
        share, i = means[mean + b] / means[b], first + b
        a0, a1 = work[i] - share * roots[b], work[i + ROW[1]] - share * roots[ROW[1] + b]
        a2, a3 = work[i + ROW[2]] - share * roots[ROW[2] + b], work[i + ROW[3]] - share * roots[ROW[3] + b]
        a4, a5 = work[i + ROW[4]] - share * roots[ROW[4] + b], work[i + ROW[5]] - share * roots[ROW[5] + b]
        a6, a7 = work[i + ROW[6]] - share * roots[ROW[6] + b], work[i + ROW[7]] - share * roots[ROW[7] + b]
        # sums and differences along ζ, η and ξ
        s0, s1, s2, s3, d0, d1, d2, d3 = a1 + a0, a3 + a2, a5 + a4, a7 + a6, a1 - a0, a3 - a2, a5 - a4, a7 - a6
        s0, s1, y0, y1 = s1 + s0, s3 + s2, s1 - s0, s3 - s2
        z0, z1, u0, u1 = d1 + d0, d3 + d2, d1 - d0, d3 - d2
        factors[i], factors[i + ROW[1]] = _EIGHTH_ROOT * (s1 + s0), _EIGHTH_ROOT * (s1 - s0)
        factors[i + ROW[2]], factors[i + ROW[3]] = _EIGHTH_ROOT * (y1 + y0), _EIGHTH_ROOT * (z1 + z0)
        factors[i + ROW[4]], factors[i + ROW[5]] = _EIGHTH_ROOT * (y1 - y0), _EIGHTH_ROOT * (u1 + u0)
        factors[i + ROW[6]], factors[i + ROW[7]] = _EIGHTH_ROOT * (z1 - z0), _EIGHTH_ROOT * (u1 - u0)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def factors_of_lanes(warp, points, values, means, roots, work, factors):
    """Write factors (96 rows, 12 × 8) with F Fᵀ = S of 2×2×2 points less its part of mean gradients.

    Columns belong to patterns over the eight points, orthonormal ones: 1, ξ, η, ζ, ξη, ηζ, ζξ, ξηζ, over √8. Before
    ``factors`` stands work space of 13, 13, 8 and 96 rows.
    """
    _over_roots(warp, points, values, means, roots, work)
    for r in range(12):
        _to_patterns(r, means, roots, work, factors)


@njit(over="warps", grain=4, cache=True, error_model="numpy", fastmath=_FAST)
def _fill_factors(begin, end, warps, points, factors):
    values, means, roots, work = np.empty(13 * LANES), np.empty(13 * LANES), np.empty(8 * LANES), np.empty(96 * LANES)
    for block in range(begin, end):
        factors_of_lanes(warps[block], points, values, means, roots, work, factors[block])


def gauss_factors(warps: np.ndarray) -> np.ndarray:
    """Factors (m, 12, 8) of what 2×2×2 points give for S, less its part of mean gradients, from ``warps`` (m, 3, 4)."""
    blocks = in_lanes(warps)
    factors = np.empty((len(blocks), 96 * LANES))
    _fill_factors(blocks, GAUSS_POINTS, factors)
    return out_of_lanes(factors, len(warps)).reshape(-1, 12, 8)
