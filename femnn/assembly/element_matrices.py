"""Numba kernels for the matrices and vectors of one element.

Rows are component-major, see :mod:`femnn.integration.vector_kernels`.

Voigt order is xx, yy, zz, yz, xz, xy with engineering shear strains throughout.
"""

import numpy as np

from femnn.integration.kernels import _FAST
from femnn.integration.vector_kernels import shape_values
from femnn.system.compile import njit

# What is integrated, and the numbers at each point that it needs.
ISOTROPIC = 0  # Lamé's λ and μ, constant in the element
TANGENT = 1  # 36 of a symmetric stress by Voigt strains, or 81 of the stress P_ij by the gradient H_kl
DIFFUSION = 2  # 9 of the coefficient tensor
MASS = 3  # density

_VOIGT = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def add_point(form, batches, batch, q, coefficients, row, inverses, gradients, spread, values, matrix, nodes):
    """Add what lane ``q`` of ``batches[batch]`` contributes to the ``matrix`` of an element.

    Its coefficients are in row ``row``; ``inverses`` and ``gradients`` from
    :func:`femnn.integration.vector_kernels.gradients_of_batch`; ``spread`` (9, 3 n) and ``values`` (n,) are work space;
    ``nodes`` from :func:`femnn.integration.vector_kernels.places_of_nodes`.
    """
    volume = inverses[72 + q]
    if form == TANGENT:
        add_tangent(gradients, q, volume, coefficients, row, spread, matrix)
    elif form == DIFFUSION:
        _add_diffusion(gradients, q, volume, coefficients, row, spread, matrix)
    else:
        shape_values(batches, batch, q, values, nodes)
        _add_mass(values, volume * coefficients[row, 0], matrix)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def add_tangent(gradients, q, volume, tangents, row, spread, matrix):
    """Add ∂N_a/∂x_j A_ijkl ∂N_b/∂x_l times ``volume`` to ``matrix`` (3 n, 3 n).

    Gradients (8, 3 n) at lane ``q``; A in row ``row`` of ``tangents``, (m, 36) by Voigt or (m, 81); ``spread``
    (9, 3 n) is work space.
    """
    rows = gradients.shape[1]
    n = rows // 3
    for i in range(3):
        for j in range(3):
            for k in range(3):
                if tangents.shape[1] == 81:
                    start = 27 * i + 9 * j + 3 * k
                    first, second, third = start, start + 1, start + 2
                else:
                    start = 6 * _VOIGT[i, j]
                    first, second, third = start + _VOIGT[k, 0], start + _VOIGT[k, 1], start + _VOIGT[k, 2]
                x, y, z = volume * tangents[row, first], volume * tangents[row, second], volume * tangents[row, third]
                for b in range(n):
                    spread[3 * i + j, k * n + b] = (
                        x * gradients[q, b] + y * gradients[q, n + b] + z * gradients[q, 2 * n + b]
                    )
    for i in range(3):
        for a in range(n):
            x, y, z = gradients[q, a], gradients[q, n + a], gradients[q, 2 * n + a]
            for c in range(rows):
                matrix[i * n + a, c] += x * spread[3 * i, c] + y * spread[3 * i + 1, c] + z * spread[3 * i + 2, c]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _add_diffusion(gradients, q, volume, tensors, row, spread, matrix):
    n = matrix.shape[0]
    for i in range(3):
        x, y, z = volume * tensors[row, 3 * i], volume * tensors[row, 3 * i + 1], volume * tensors[row, 3 * i + 2]
        for b in range(n):
            spread[i, b] = x * gradients[q, b] + y * gradients[q, n + b] + z * gradients[q, 2 * n + b]
    for a in range(n):
        x, y, z = gradients[q, a], gradients[q, n + a], gradients[q, 2 * n + a]
        for b in range(n):
            matrix[a, b] += x * spread[0, b] + y * spread[1, b] + z * spread[2, b]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _add_mass(values, scale, matrix):
    n = values.shape[0]
    for i in range(matrix.shape[0] // n):
        for a in range(n):
            scaled = scale * values[a]
            for b in range(n):
                matrix[i * n + a, i * n + b] += scaled * values[b]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def add_stress(gradients, q, volume, stresses, row, force):
    """Add the internal force ∂N_a/∂x_j P_ij times ``volume`` to ``force`` (3 n,).

    The stress in row ``row`` of ``stresses``, (m, 6) by Voigt or (m, 9) of P_ij.
    """
    n = gradients.shape[1] // 3
    for i in range(3):
        if stresses.shape[1] == 9:
            first, second, third = 3 * i, 3 * i + 1, 3 * i + 2
        else:
            first, second, third = _VOIGT[i, 0], _VOIGT[i, 1], _VOIGT[i, 2]
        x, y, z = volume * stresses[row, first], volume * stresses[row, second], volume * stresses[row, third]
        for a in range(n):
            force[i * n + a] += x * gradients[q, a] + y * gradients[q, n + a] + z * gradients[q, 2 * n + a]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def strain_at_point(gradients, q, displacement, strains, row):
    """Strain at lane ``q`` from an element's displacements (3 n,) into row ``row`` of ``strains``.

    Voigt strains if these are (m, 6), the displacement gradient H_ij = ∂u_i/∂x_j if they are (m, 9).
    """
    n = gradients.shape[1] // 3
    strains[row] = 0.0
    for i in range(3):
        for j in range(3):
            total = 0.0
            for a in range(n):
                total += displacement[i * n + a] * gradients[q, j * n + a]
            # both off-diagonal entries add to one engineering shear strain
            place = 3 * i + j if strains.shape[1] == 9 else _VOIGT[i, j]
            strains[row, place] += total
