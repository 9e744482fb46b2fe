"""Numba kernels for the shape of one element: its central parallelepiped and its twists."""

import numpy as np

from femnn.geometry.hexahedron import SIGNS, TWISTS
from femnn.system.compile import njit

_SIGNS, _TWISTS = np.array(SIGNS), np.array(TWISTS)


@njit(cache=True, error_model="numpy")
def invert(matrix, inverse):
    """Write the inverse of a 3 × 3 matrix; return its determinant."""
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        for m in range(3):
            p, q = (m + 1) % 3, (m + 2) % 3
            inverse[i, m] = matrix[p, j] * matrix[q, k] - matrix[p, k] * matrix[q, j]
    determinant = matrix[0, 0] * inverse[0, 0] + matrix[1, 0] * inverse[0, 1] + matrix[2, 0] * inverse[0, 2]
    for i in range(3):
        for m in range(3):
            inverse[i, m] /= determinant
    return determinant


@njit(cache=True, error_model="numpy")
def own_axes_of(vertices, order, linear, twist, inverse, warp):
    """Write J₀⁻¹ (3, 3) and J₀⁻¹h (3, 4) of the element whose vertices (8, 3) are taken in ``order``; return det J₀.

    ``linear`` (3, 3) and ``twist`` (3, 4) get J₀ and h.
    """
    linear[:] = 0.0
    twist[:] = 0.0
    for a in range(8):
        for i in range(3):
            x = 0.125 * (vertices[order[a], i] - vertices[order[7], i])
            for k in range(3):
                linear[i, k] += x * _SIGNS[a, k]
            for k in range(4):
                twist[i, k] += x * _TWISTS[a, k]
    determinant = invert(linear, inverse)
    for i in range(3):
        for k in range(4):
            warp[i, k] = inverse[i, 0] * twist[0, k] + inverse[i, 1] * twist[1, k] + inverse[i, 2] * twist[2, k]
    return determinant
