"""Numba kernels that make the matrix of an element of mean gradients, twists and their stiffness S, and scatter it."""

import numpy as np

from femnn.assembly.element_matrices import _VOIGT, ISOTROPIC
from femnn.assembly.scatter import add_block
from femnn.integration.kernels import _FAST
from femnn.system.compile import njit


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _stress_rows(form, numbers, row, volume, i, means, eight, rows):
    """Write V C_ipjr ∂N̄_b/∂x_r to the first three of ``rows`` (7, 24), at [p, 8 j + b]; ``eight`` is 8."""
    for p in range(3):
        for j in range(3):
            if form == ISOTROPIC:
                # λ δ_ip δ_jr + μ (δ_ij δ_pr + δ_ir δ_jp)
                lmbda, mu = volume * numbers[row, 0], volume * numbers[row, 1]
                own = (lmbda if i == p else 0.0) + (mu if i == p == j else 0.0)
                first, second = (mu if i == j else 0.0), (mu if p == j and i != j else 0.0)
                for b in range(eight):
                    rows[p, eight * j + b] = (
                        own * means[eight * j + b] + first * means[eight * p + b] + second * means[eight * i + b]
                    )
                continue
            start = 6 * _VOIGT[i, p]
            x = volume * numbers[row, start + _VOIGT[j, 0]]
            y = volume * numbers[row, start + _VOIGT[j, 1]]
            z = volume * numbers[row, start + _VOIGT[j, 2]]
            for b in range(eight):
                rows[p, eight * j + b] = x * means[b] + y * means[eight + b] + z * means[2 * eight + b]


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def expand(form, numbers, row, volume, means, vectors, stiffness, wide, turned, rows, matrix):
    """Overwrite the blocks i ≤ j of ``matrix`` (24, 24) with V B̄ᵀ C B̄ + Γ S Γᵀ, component-major.

    Mean gradients ``means`` (24,), ``vectors`` γ (8, 4), the upper triangle of S in ``stiffness``; ``turned`` (32,) and
    ``rows`` (7, 24) are work space; ``wide`` is 24, which the compiler must not know.
    """
    eight = wide // 3
    for a in range(eight):
        for k in range(4):
            turned[eight * k + a] = vectors[a, k]
    for i in range(3):
        _stress_rows(form, numbers, row, volume, i, means, eight, rows)
        for k in range(4):
            r = 3 * k + i
            for j in range(3):
                s0 = stiffness[min(r, j), max(r, j)]
                s1 = stiffness[min(r, 3 + j), max(r, 3 + j)]
                s2 = stiffness[min(r, 6 + j), max(r, 6 + j)]
                s3 = stiffness[min(r, 9 + j), max(r, 9 + j)]
                for b in range(eight):
                    rows[3 + k, eight * j + b] = (
                        s0 * turned[b]
                        + s1 * turned[eight + b]
                        + s2 * turned[2 * eight + b]
                        + s3 * turned[3 * eight + b]
                    )
        for a in range(eight):
            x, y, z = means[a], means[eight + a], means[2 * eight + a]
            p, q, r, s = turned[a], turned[eight + a], turned[2 * eight + a], turned[3 * eight + a]
            for c in range(eight * i, wide):
                matrix[eight * i + a, c] = (
                    x * rows[0, c]
                    + y * rows[1, c]
                    + z * rows[2, c]
                    + p * rows[3, c]
                    + q * rows[4, c]
                    + r * rows[5, c]
                    + s * rows[6, c]
                )


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def scatter_symmetric(matrix, e, cells, row_starts, slots, places, buffer):
    """:func:`femnn.assembly.scatter.scatter` of a symmetric matrix, given by its blocks i ≤ j."""
    for a in range(8):
        place_a = np.uint64(9 * np.int64(places[e, a]))
        width_a = np.uint64(3 * (row_starts[cells[e, a] + 1] - row_starts[cells[e, a]]))
        for b in range(a, 8):
            k00, k01, k02 = matrix[a, b], matrix[a, 8 + b], matrix[a, 16 + b]
            k10, k11, k12 = matrix[b, 8 + a], matrix[8 + a, 8 + b], matrix[8 + a, 16 + b]
            k20, k21, k22 = matrix[b, 16 + a], matrix[8 + b, 16 + a], matrix[16 + a, 16 + b]
            place = place_a + np.uint64(3) * np.uint64(slots[e, a, b])
            add_block(buffer, place, width_a, k00, k01, k02, k10, k11, k12, k20, k21, k22)
            if a != b:
                width_b = np.uint64(3 * (row_starts[cells[e, b] + 1] - row_starts[cells[e, b]]))
                place = np.uint64(9 * np.int64(places[e, b])) + np.uint64(3) * np.uint64(slots[e, b, a])
                add_block(buffer, place, width_b, k00, k10, k20, k01, k11, k21, k02, k12, k22)
