"""Errors of tensor rules (nx, ny, nz), direction by direction: the labels from which a choice of points is learned.

With the exact rule I and Gauss rules G along the three axes, I - GxGyGz = (I - Gx) + Gx(I - Gy) + GxGy(I - Gz). The
*directional error* of nx points is that of the first term alone: nx points along ξ and converged integration along η
and ζ. The Error of any tensor rule is at most the sum of three directional ones, up to products of them.

Four measures are taken from the same integrals: the Error of Oishi and Yagawa and the energy ratio of
:mod:`femnn.quadrature.adaptive.energy`, each for elasticity and for the Laplace form.
"""

from functools import cache

import numpy as np

from femnn.geometry.hexahedron import in_own_units
from femnn.geometry.validity import require_valid
from femnn.integration.convergence import FLOOR
from femnn.integration.gauss import gauss_legendre
from femnn.integration.kernels import _FAST, add_moments, elasticity_from_moments, kernel_array
from femnn.integration.lame import lame_parameters
from femnn.quadrature.adaptive.energy import energy_ratio, factorise, laplace_from_moments, laplace_modes, rigid_modes
from femnn.quadrature.adaptive.roots import least_log_rho
from femnn.system.compile import njit

#: Measures in the order of the first axis of the tables.
MEASURES = ("entries", "energy", "laplace-entries", "laplace-energy")

#: Candidates are FEWEST, FEWEST + 1, ..., MOST points along each axis.
FEWEST, MOST = 2, 20

# Most points along an axis of a reference.
_LONGEST = 40

# ρ^-2n is round-off from e^-34 on. Elements that need more than _LONGEST points for it still have a good reference if
# the last candidate errs fifty times more than it does.
_DIGITS, _BEYOND = 34.0, 4.0


@cache
def line_rules(longest=_LONGEST):
    """Points and weights of the rules 0..``longest`` on [0, 1], rows padded with zeros."""
    points, weights = np.zeros((longest + 1, longest)), np.zeros((longest + 1, longest))
    for n in range(1, longest + 1):
        points[n, :n], weights[n, :n] = gauss_legendre(n)
    return points, weights


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def tensor_moments(vertices, per_axis, line_points, line_weights, points, weights, moments):
    """Gradient moments (24, 24) of one element at nx·ny·nz Gauss points; ``points``, ``weights`` are work space."""
    nx, ny, nz = per_axis[0], per_axis[1], per_axis[2]
    q = 0
    for i in range(nx):
        for j in range(ny):
            for k in range(nz):
                points[0, q], points[1, q], points[2, q] = line_points[nx, i], line_points[ny, j], line_points[nz, k]
                weights[q] = line_weights[nx, i] * line_weights[ny, j] * line_weights[nz, k]
                q += 1
    moments[:] = 0.0
    add_moments(vertices, points[:, :q], weights[:q], moments)


@njit(cache=True)
def subtract(matrix, other, result):
    """result = matrix - other."""
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            result[i, j] = matrix[i, j] - other[i, j]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _rotate_blocks(matrix, rotation, rotated):
    """The matrix (24, 24) in axes turned by ``rotation`` (3, 3)."""
    half = np.empty((24, 24))
    for a in range(8):
        for i in range(3):
            for j in range(24):
                half[3 * a + i, j] = (
                    rotation[i, 0] * matrix[3 * a, j]
                    + rotation[i, 1] * matrix[3 * a + 1, j]
                    + rotation[i, 2] * matrix[3 * a + 2, j]
                )
    for i in range(24):
        for b in range(8):
            for j in range(3):
                rotated[i, 3 * b + j] = (
                    rotation[j, 0] * half[i, 3 * b]
                    + rotation[j, 1] * half[i, 3 * b + 1]
                    + rotation[j, 2] * half[i, 3 * b + 2]
                )


@njit(cache=True, error_model="numpy")
def largest_and_sum(matrix):
    """The largest of the moduli of the entries, and their sum."""
    largest, total = 0.0, 0.0
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            largest, total = max(largest, abs(matrix[i, j])), total + abs(matrix[i, j])
    return largest, total


@njit(cache=True, error_model="numpy")
def prepare(stiffness, laplace, rotations, largest):
    """Largest entries of the stiffness in each orientation, and of the Laplace matrix, into ``largest``."""
    rotated = np.empty((24, 24))
    for r in range(rotations.shape[0]):
        _rotate_blocks(stiffness, rotations[r], rotated)
        largest[r] = largest_and_sum(rotated)[0]
    largest[-1] = largest_and_sum(laplace)[0]


@njit(cache=True, error_model="numpy")
def measure_difference(difference, lmbda, mu, rotations, largest, factor, laplace_factor, only, measures):
    """Measures of a difference of gradient moments into ``measures`` (4,): number ``only``, or all for -1."""
    stiffness, rotated, laplace = np.empty((24, 24)), np.empty((24, 24)), np.empty((8, 8))
    elasticity_from_moments(difference, lmbda, mu, stiffness)
    laplace_from_moments(difference, laplace)
    measures[:] = 0.0
    # for all measures: what no entry shows is round-off
    for r in range(rotations.shape[0]):
        _rotate_blocks(stiffness, rotations[r], rotated)
        measures[0] = max(measures[0], largest_and_sum(rotated)[1] / largest[r])
        if measures[0] < FLOOR:
            return
    measures[2] = largest_and_sum(laplace)[1] / largest[-1]
    if only == -1 or only == 1:
        measures[1] = energy_ratio(stiffness, factor)
    if only == -1 or only == 3:
        measures[3] = energy_ratio(laplace, laplace_factor)


@njit(cache=True, error_model="numpy")
def measure_reference(vertices, reference, lmbda, mu, rotations):
    """Of the moments of a reference: factors (materials, 24, 24), largest entries, and factor of the Laplace form."""
    stiffness, laplace, materials = np.empty((24, 24)), np.empty((8, 8)), lmbda.shape[0]
    factors, largest = np.empty((materials, 24, 24)), np.empty((materials, rotations.shape[0] + 1))
    laplace_factor = np.empty((8, 8))
    laplace_from_moments(reference, laplace)
    modes = rigid_modes(vertices)
    for m in range(materials):
        elasticity_from_moments(reference, lmbda[m], mu[m], stiffness)
        factorise(stiffness, modes, factors[m])
        prepare(stiffness, laplace, rotations, largest[m])
    factorise(laplace, laplace_modes(), laplace_factor)
    return factors, largest, laplace_factor


@njit(over="hexahedra", grain=1, cache=True, error_model="numpy")
def _tables(begin, end, hexahedra, long, line_points, line_weights, lmbda, mu, rotations, tables):
    for e in range(begin, end):
        room = long[e, 0] * long[e, 1] * long[e, 2]
        points, weights = np.empty((3, room)), np.empty(room)
        reference, moments = np.empty((24, 24)), np.empty((24, 24))
        measures, turns = np.empty(4), rotations[e]
        tensor_moments(hexahedra[e], long[e], line_points, line_weights, points, weights, reference)
        factors, largest, laplace_factor = measure_reference(hexahedra[e], reference, lmbda[e], mu[e], turns)
        tables[e] = FLOOR
        for axis in range(3):
            rule = long[e].copy()
            for n in range(FEWEST, min(MOST + 1, long[e, axis])):
                rule[axis] = n
                tensor_moments(hexahedra[e], rule, line_points, line_weights, points, weights, moments)
                subtract(moments, reference, moments)
                for m in range(lmbda.shape[1]):
                    settings = (lmbda[e, m], mu[e, m], turns, largest[m], factors[m], laplace_factor, -1)
                    measure_difference(moments, *settings, measures)
                    for k in range(4):
                        tables[e, m, k, axis, n - FEWEST] = max(FLOOR, measures[k])
                if measures[0] < FLOOR:
                    break


def converged_points(hexahedra: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points along each axis, (n, 3), of a reference for all candidates; and where it is good enough, (n,) bool."""
    rate = 2.0 * least_log_rho(hexahedra)
    needed = np.ceil(_DIGITS / np.maximum(rate, 0.1)).astype(np.int64) + 2
    return np.clip(needed, 4, _LONGEST), np.all((_LONGEST - MOST) * rate >= _BEYOND, axis=1)


def directional_tables(hexahedra: np.ndarray, poisson: np.ndarray, rotations: np.ndarray | None = None) -> np.ndarray:
    """Directional errors for 2..20 points in the four ``MEASURES``, shape (n, materials, 4, 3, 19), at least ``FLOOR``.

    Parameters
    ----------
    hexahedra : (n, 8, 3)
        Healthy elements with a good reference, see :func:`converged_points`.
    poisson : (n, materials)
        Poisson's ratios of each element.
    rotations : (n, turns, 3, 3), optional
        The Error of Oishi and Yagawa depends on how an element lies in the axes; the largest over the given orientation
        and these is taken.
    """
    require_valid(hexahedra)
    x, _ = in_own_units(hexahedra)
    long, _ = converged_points(x)
    lmbda, mu = lame_parameters(1.0, poisson)
    tables = np.empty((*lmbda.shape, len(MEASURES), 3, MOST - FEWEST + 1))
    points, weights = line_rules()
    _tables(x, long, points, weights, lmbda, mu, with_identity(rotations, len(x)), tables)
    return tables


def with_identity(rotations, n):
    """The given orientation and ``rotations`` (n, turns, 3, 3), if any, as (n, 1 + turns, 3, 3)."""
    identity = np.broadcast_to(np.eye(3), (n, 1, 3, 3))
    orientations = identity if rotations is None else np.concatenate([identity, rotations], axis=1)
    return kernel_array(orientations)
