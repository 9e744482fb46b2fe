"""Numba kernels for the integrals of one element. Compiled once, cached, parallel over elements.

The kernels compute the *gradient moments* of an element,

    G[(a, i), (b, j)] = ∫ ∂N_a/∂x_i ∂N_b/∂x_j dx,    shape (24, 24), row 3a + i,

from which the stiffness of every linear form in gradients follows by a contraction: one integration serves isotropic
elasticity for any Poisson's ratio, and the Laplace form. Each element is summed by one thread in one order, so results
do not depend on the number of threads.
"""

import numpy as np
from numpy.typing import ArrayLike

from femnn.geometry.hexahedron import SIGNS
from femnn.system.compile import njit

# NaN must survive, so the NaN- and Inf-assuming flags of fastmath=True stay off.
_FAST = {"reassoc", "contract", "arcp", "nsz"}
_SIGNS = np.array(SIGNS)


def kernel_array(values: ArrayLike, dtype: type = float) -> np.ndarray:
    """The values as the one type of array that kernels are compiled for, contiguous and writable; copied if need be."""
    return np.require(values, dtype=dtype, requirements=["C", "W"])


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def physical_gradients(vertices, x, y, z, local, gradients):
    """Write |det J| ∂N_a/∂x_i, up to the sign of det J, into ``gradients`` (24,); return det J.

    With cof J in place of J⁻ᵀ there is no division: the caller divides the weight by |det J| once.
    ``local`` (8, 3) is work space for the reference gradients.
    """
    for a in range(8):
        p = 0.5 + _SIGNS[a, 0] * (x - 0.5)
        q = 0.5 + _SIGNS[a, 1] * (y - 0.5)
        r = 0.5 + _SIGNS[a, 2] * (z - 0.5)
        local[a, 0] = _SIGNS[a, 0] * q * r
        local[a, 1] = _SIGNS[a, 1] * p * r
        local[a, 2] = _SIGNS[a, 2] * p * q
    j00 = j01 = j02 = j10 = j11 = j12 = j20 = j21 = j22 = 0.0
    for a in range(8):
        d0, d1, d2 = local[a, 0], local[a, 1], local[a, 2]
        v0, v1, v2 = vertices[a, 0], vertices[a, 1], vertices[a, 2]
        j00 += v0 * d0
        j01 += v0 * d1
        j02 += v0 * d2
        j10 += v1 * d0
        j11 += v1 * d1
        j12 += v1 * d2
        j20 += v2 * d0
        j21 += v2 * d1
        j22 += v2 * d2
    c00, c01, c02 = j11 * j22 - j12 * j21, j12 * j20 - j10 * j22, j10 * j21 - j11 * j20
    c10, c11, c12 = j21 * j02 - j22 * j01, j22 * j00 - j20 * j02, j20 * j01 - j21 * j00
    c20, c21, c22 = j01 * j12 - j02 * j11, j02 * j10 - j00 * j12, j00 * j11 - j01 * j10
    for a in range(8):
        d0, d1, d2 = local[a, 0], local[a, 1], local[a, 2]
        gradients[3 * a] = c00 * d0 + c01 * d1 + c02 * d2
        gradients[3 * a + 1] = c10 * d0 + c11 * d1 + c12 * d2
        gradients[3 * a + 2] = c20 * d0 + c21 * d1 + c22 * d2
    return j00 * c00 + j01 * c01 + j02 * c02


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def add_moments(vertices, points, weights, moments):
    """Add the gradient moments of one element (8, 3) at points (3, nqp) with weights (nqp,) to ``moments`` (24, 24).

    Four points at a time, so that each moment is loaded and stored once for four products: four times faster than one
    by one.
    """
    local, gradients = np.empty((8, 3)), np.empty(24)
    plain, scaled = np.zeros((4, 24)), np.zeros((4, 24))
    n = weights.shape[0]
    for first in range(0, n, 4):
        for k in range(4):
            q = first + k
            if q >= n:
                scaled[k] = 0.0
                continue
            determinant = physical_gradients(vertices, points[0, q], points[1, q], points[2, q], local, gradients)
            weight = weights[q] / abs(determinant)
            for i in range(24):
                plain[k, i] = gradients[i]
                scaled[k, i] = weight * gradients[i]
        for i in range(24):
            s0, s1, s2, s3 = scaled[0, i], scaled[1, i], scaled[2, i], scaled[3, i]
            for j in range(24):
                moments[i, j] += s0 * plain[0, j] + s1 * plain[1, j] + s2 * plain[2, j] + s3 * plain[3, j]


@njit(over="hexahedra", grain=16, cache=True, error_model="numpy", fastmath=_FAST)
def gradient_moments(begin, end, hexahedra, points, weights, moments):
    """Gradient moments of all elements.

    ``hexahedra`` (n, 8, 3); ``points`` (m, 3, nqp) and ``weights`` (m, nqp) with m = n, or m = 1 when all elements
    share them; result in ``moments`` (n, 24, 24).
    """
    shared = weights.shape[0] == 1
    for e in range(begin, end):
        rule = 0 if shared else np.int64(e)
        moments[e] = 0.0
        add_moments(hexahedra[e], points[rule], weights[rule], moments[e])


@njit(over="hexahedra", grain=64, cache=True, error_model="numpy", fastmath=_FAST)
def mass_moments(begin, end, hexahedra, points, weights, mass):
    """∫ N_a N_b dx of all elements into ``mass`` (n, 8, 8); arguments as in :func:`gradient_moments`."""
    shared = weights.shape[0] == 1
    for e in range(begin, end):
        local, gradients, values = np.empty((8, 3)), np.empty(24), np.empty(8)
        rule = 0 if shared else np.int64(e)
        mass[e] = 0.0
        for q in range(weights.shape[1]):
            x, y, z = points[rule, 0, q], points[rule, 1, q], points[rule, 2, q]
            determinant = physical_gradients(hexahedra[e], x, y, z, local, gradients)
            for a in range(8):
                values[a] = (
                    (0.5 + _SIGNS[a, 0] * (x - 0.5))
                    * (0.5 + _SIGNS[a, 1] * (y - 0.5))
                    * (0.5 + _SIGNS[a, 2] * (z - 0.5))
                )
            for a in range(8):
                scaled = weights[rule, q] * abs(determinant) * values[a]
                for b in range(8):
                    mass[e, a, b] += scaled * values[b]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def elasticity_from_moments(moments, lmbda, mu, stiffness):
    """Isotropic stiffness (24, 24) of one element from its gradient moments, row 3a + i."""
    for a in range(8):
        for b in range(8):
            trace = moments[3 * a, 3 * b] + moments[3 * a + 1, 3 * b + 1] + moments[3 * a + 2, 3 * b + 2]
            for i in range(3):
                for j in range(3):
                    stiffness[3 * a + i, 3 * b + j] = (
                        lmbda * moments[3 * a + i, 3 * b + j] + mu * moments[3 * a + j, 3 * b + i]
                    )
                stiffness[3 * a + i, 3 * b + i] += mu * trace


@njit(over="moments", cache=True, error_model="numpy", fastmath=_FAST)
def elasticity_stiffness(begin, end, moments, lmbda, mu, stiffness):
    """Isotropic stiffness (n, 24, 24) of all elements from their gradient moments (n, 24, 24)."""
    for e in range(begin, end):
        elasticity_from_moments(moments[e], lmbda, mu, stiffness[e])


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def relative_difference(matrix, reference):
    """Σ_ij |k_ij - k_ij^ref| / max_ij |k_ij^ref| of two (m, m) matrices: the Error of Oishi and Yagawa."""
    total, largest = 0.0, 0.0
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            total += abs(matrix[i, j] - reference[i, j])
            largest = max(largest, abs(reference[i, j]))
    return total / largest
