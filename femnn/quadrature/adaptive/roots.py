"""Distance of the complex roots of det J from an element, along the lines of its lattice."""

import numpy as np

from femnn.geometry.hexahedron import in_own_units
from femnn.geometry.validity import lattice_determinants

# A root further away than this Bernstein ellipse leaves two points per axis exact to round-off.
LARGEST_RHO = 1e4


def log_rho(first: np.ndarray, middle: np.ndarray, last: np.ndarray) -> np.ndarray:
    """log ρ of the largest Bernstein ellipse on which the quadratic through three lattice values has no root.

    On [-1, 1] Gauss-Legendre quadrature with n points of a function that is analytic inside the ellipse |z - 1| +
    |z + 1| = ρ + 1/ρ errs by O(ρ⁻²ⁿ) (L. N. Trefethen, SIAM Review 50 (2008) 67-87, Theorem 4.5).
    """
    # of Python's numbers division by zero would be an error
    first, middle, last = np.asarray(first), np.asarray(middle), np.asarray(last)
    a, b, c = 0.5 * (first + last) - middle, 0.5 * (last - first), middle
    discriminant = b * b - 4.0 * a * c
    width = np.sqrt(np.abs(discriminant))
    # where coefficients vanish, roots are infinite or none
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        q = -0.5 * (b + np.copysign(width, b))
        real = np.fmin(_half_sum(q / a, 0.0), _half_sum(c / q, 0.0))
        half_sum = np.where(discriminant < 0.0, _half_sum(-b / (2.0 * a), width / (2.0 * a)), real)
    half_sum = np.fmin(half_sum, 0.5 * (LARGEST_RHO + 1.0 / LARGEST_RHO)).clip(min=1.0)
    return np.log(half_sum + np.sqrt(half_sum * half_sum - 1.0))


def _half_sum(real, imaginary):
    """Half the sum of the distances from the foci ±1."""
    return 0.5 * (np.hypot(real - 1.0, imaginary) + np.hypot(real + 1.0, imaginary))


def line_log_rho(determinants: np.ndarray) -> np.ndarray:
    """log ρ along the 27 lattice lines, (n, 3, 3, 3): axis, then the place of the line along the two other axes.

    ``determinants`` (n, 3, 3, 3) from :func:`femnn.geometry.validity.lattice_determinants`.
    """
    lines = [np.moveaxis(determinants, axis, 1) for axis in (1, 2, 3)]
    return log_rho(*(np.stack([values[:, k] for values in lines], axis=1) for k in range(3)))


def least_log_rho(hexahedra: np.ndarray) -> np.ndarray:
    """The least log ρ along each axis over its nine lattice lines, (n, 3)."""
    return line_log_rho(lattice_determinants(in_own_units(hexahedra)[0])).min(axis=(2, 3))
