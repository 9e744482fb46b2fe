"""Distance of the complex roots of det J from an element, along the lines of its lattice."""

import numpy as np

from femnn.geometry.hexahedron import in_own_units
from femnn.geometry.validity import lattice_determinants
from femnn.system.compile import njit

# A root further away than this Bernstein ellipse leaves two points per axis exact to round-off.
LARGEST_RHO = 1e4


@njit(cache=True, error_model="numpy")
def log_rho(first, middle, last):
    """log ρ of the largest Bernstein ellipse on which the quadratic through three lattice values has no root.

    On [-1, 1] Gauss-Legendre quadrature with n points of a function that is analytic inside the ellipse |z - 1| +
    |z + 1| = ρ + 1/ρ errs by O(ρ⁻²ⁿ) (L. N. Trefethen, SIAM Review 50 (2008) 67-87, Theorem 4.5).
    """
    a, b, c = 0.5 * (first + last) - middle, 0.5 * (last - first), middle
    discriminant = b * b - 4.0 * a * c
    half_sum = 0.5 * (LARGEST_RHO + 1.0 / LARGEST_RHO)
    if discriminant < 0.0:
        real, imaginary = -b / (2.0 * a), np.sqrt(-discriminant) / (2.0 * a)
        half_sum = min(half_sum, 0.5 * (np.hypot(real - 1.0, imaginary) + np.hypot(real + 1.0, imaginary)))
    else:
        q = -0.5 * (b + np.copysign(np.sqrt(discriminant), b))
        # q/a and c/q are the roots; both stay finite in the comparison when a or b vanish
        if abs(q) < half_sum * abs(a):
            half_sum = min(half_sum, 0.5 * (abs(q / a - 1.0) + abs(q / a + 1.0)))
        if abs(c) < half_sum * abs(q):
            half_sum = min(half_sum, 0.5 * (abs(c / q - 1.0) + abs(c / q + 1.0)))
    half_sum = max(half_sum, 1.0)
    return np.log(half_sum + np.sqrt(half_sum * half_sum - 1.0))


@njit(over="determinants", cache=True, error_model="numpy")
def _line_rho(begin, end, determinants, result):
    for e in range(begin, end):
        values = determinants[e]
        for i in range(3):
            for j in range(3):
                result[e, 0, i, j] = log_rho(values[0, i, j], values[1, i, j], values[2, i, j])
                result[e, 1, i, j] = log_rho(values[i, 0, j], values[i, 1, j], values[i, 2, j])
                result[e, 2, i, j] = log_rho(values[i, j, 0], values[i, j, 1], values[i, j, 2])


def line_log_rho(determinants: np.ndarray) -> np.ndarray:
    """log ρ along the 27 lattice lines, (n, 3, 3, 3): axis, then the place of the line along the two other axes.

    ``determinants`` (n, 3, 3, 3) from :func:`femnn.geometry.validity.lattice_determinants`.
    """
    result = np.empty((len(determinants), 3, 3, 3))
    _line_rho(determinants, result)
    return result


def least_log_rho(hexahedra: np.ndarray) -> np.ndarray:
    """The least log ρ along each axis over its nine lattice lines, (n, 3)."""
    return line_log_rho(lattice_determinants(in_own_units(hexahedra)[0])).min(axis=(2, 3))
