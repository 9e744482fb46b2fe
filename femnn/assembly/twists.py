"""Kernels that hourglass correction and formulations share: the twists of an element and what a material makes of them.

A nodal function φ is linear in space plus Σ β_k h_k with the twists h = (ξη, ηζ, ζξ, ξηζ) and β_k = γ_k · φ, see
:mod:`femnn.assembly.hourglass.moments`.
"""

import numpy as np

from femnn.assembly.element_matrices import _VOIGT, ISOTROPIC
from femnn.geometry.coordinates import TWISTS
from femnn.geometry.hexahedron import SIGNS
from femnn.integration.kernels import _FAST
from femnn.system.compile import njit

_SIGNS, _TWISTS = np.array(SIGNS), np.array(TWISTS)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def twist_vectors(warp, vectors):
    """Write γ (8, 4) of an element with J₀⁻¹h = ``warp`` (3, 4)."""
    for a in range(8):
        x, y, z = _SIGNS[a, 0], _SIGNS[a, 1], _SIGNS[a, 2]
        for k in range(4):
            vectors[a, k] = 0.125 * (_TWISTS[a, k] - x * warp[0, k] - y * warp[1, k] - z * warp[2, k])


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def material_block(form, block, numbers, row, result):
    """result_mn = C_imjn block_ij of one pair of twists; ``numbers[row]`` holds λ and μ, or C (36,) by Voigt."""
    if form == ISOTROPIC:
        lmbda, mu = numbers[row, 0], numbers[row, 1]
        trace = mu * (block[0, 0] + block[1, 1] + block[2, 2])
        for m in range(3):
            for n in range(3):
                result[m, n] = lmbda * block[m, n] + mu * block[n, m]
            result[m, m] += trace
        return
    for m in range(3):
        for n in range(3):
            total = 0.0
            for i in range(3):
                for j in range(3):
                    total += numbers[row, 6 * _VOIGT[i, m] + _VOIGT[j, n]] * block[i, j]
            result[m, n] = total
