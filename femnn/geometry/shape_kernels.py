"""Numba kernels for the shape of one element: its central parallelepiped, its twists and the metric."""

import math

import numpy as np

from femnn.geometry.hexahedron import SIGNS, TWISTS
from femnn.system.compile import njit

_SIGNS, _TWISTS = np.array(SIGNS), np.array(TWISTS)

# J₀ with a determinant below this share of the product of its columns' lengths is singular.
_SINGULAR = 1e-14

# Rotations of Jacobi's method end where the squares off the diagonal are below this share of those on it.
_DIAGONAL, _MOST_SWEEPS = 1e-33, 12

_FIRST, _SECOND = np.array([0, 1, 2, 0, 1, 2]), np.array([0, 1, 2, 1, 2, 0])


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


@njit(over="hexahedra", cache=True, error_model="numpy")
def fill_warps(begin, end, hexahedra, inverses, warps):
    """J₀⁻¹ into ``inverses`` (n, 3, 3) and J₀⁻¹h into ``warps`` (n, 3, 4), infinite where J₀ is singular."""
    order = np.arange(8)
    for e in range(begin, end):
        linear, twist = np.empty((3, 3)), np.empty((3, 4))
        determinant = own_axes_of(hexahedra[e], order, linear, twist, inverses[e], warps[e])
        square = 1.0
        for k in range(3):
            square *= linear[0, k] ** 2 + linear[1, k] ** 2 + linear[2, k] ** 2
        if not abs(determinant) > _SINGULAR * math.sqrt(square):
            warps[e] = np.inf


@njit(cache=True, error_model="numpy")
def _rotate(matrix, vectors, p, q):
    """One rotation of Jacobi's method, which makes entry (p, q) of a symmetric 3 × 3 matrix vanish."""
    if matrix[p, q] == 0.0:
        return
    ratio = (matrix[q, q] - matrix[p, p]) / (2.0 * matrix[p, q])
    tangent = math.copysign(1.0, ratio) / (abs(ratio) + math.sqrt(ratio * ratio + 1.0))
    cosine = 1.0 / math.sqrt(tangent * tangent + 1.0)
    sine = tangent * cosine
    matrix[p, p] -= tangent * matrix[p, q]
    matrix[q, q] += tangent * matrix[p, q]
    matrix[p, q] = matrix[q, p] = 0.0
    r = 3 - p - q
    first, second = matrix[r, p], matrix[r, q]
    matrix[r, p] = matrix[p, r] = cosine * first - sine * second
    matrix[r, q] = matrix[q, r] = sine * first + cosine * second
    for i in range(3):
        first, second = vectors[i, p], vectors[i, q]
        vectors[i, p], vectors[i, q] = cosine * first - sine * second, sine * first + cosine * second


@njit(over="hexahedra", cache=True, error_model="numpy")
def fill_metrics(begin, end, hexahedra, metrics):
    """Entries (ξξ, ηη, ζζ, ξη, ηζ, ζξ) of ½ log J₀ᵀJ₀ without its trace into ``metrics`` (n, 6)."""
    order = np.arange(8)
    for e in range(begin, end):
        linear, inverse = np.empty((3, 3)), np.empty((3, 3))
        own_axes_of(hexahedra[e], order, linear, np.empty((3, 4)), inverse, np.empty((3, 4)))
        matrix, vectors, logs = np.empty((3, 3)), np.eye(3), np.empty(3)
        for i in range(3):
            for j in range(3):
                matrix[i, j] = linear[0, i] * linear[0, j] + linear[1, i] * linear[1, j] + linear[2, i] * linear[2, j]
        for _ in range(_MOST_SWEEPS):
            off = matrix[0, 1] ** 2 + matrix[1, 2] ** 2 + matrix[2, 0] ** 2
            if not off > _DIAGONAL * (matrix[0, 0] ** 2 + matrix[1, 1] ** 2 + matrix[2, 2] ** 2):
                break
            _rotate(matrix, vectors, 0, 1)
            _rotate(matrix, vectors, 1, 2)
            _rotate(matrix, vectors, 0, 2)
        largest = max(matrix[0, 0], matrix[1, 1], matrix[2, 2])
        mean = 0.0
        for k in range(3):
            # a flat element has a zero eigenvalue: very far away is far enough
            logs[k] = 0.5 * math.log(max(matrix[k, k], 1e-30 * largest + 1e-300))
            mean += logs[k] / 3.0
        for m in range(6):
            i, j = _FIRST[m], _SECOND[m]
            total = 0.0
            for k in range(3):
                total += vectors[i, k] * (logs[k] - mean) * vectors[j, k]
            metrics[e, m] = total
