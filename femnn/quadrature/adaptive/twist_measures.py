"""The measures of a tensor rule from the moments of an element's twists.

Rules of two or more points along each axis integrate the mean gradients of an element exactly. What they differ in are
the twelve slopes of its twists, see :mod:`femnn.integration.twist_moments`: no matrix of all nodes is needed. The Error
sums the entries of that difference. Of an energy the part that is linear in space takes its own least value, so that
twelve amplitudes, four of the Laplace form, decide its largest relative change.
"""

import numpy as np

from femnn.geometry.coordinates import TWISTS
from femnn.geometry.hexahedron import SIGNS
from femnn.integration.convergence import FLOOR
from femnn.integration.kernels import _FAST
from femnn.quadrature.adaptive.energy import energy_ratio, factorise
from femnn.system.compile import njit

_SIGNS, _TWISTS = np.array(SIGNS), np.array(TWISTS)


@njit(cache=True, error_model="numpy")
def _is_definite(matrix, work):
    """True if a symmetric matrix has a Cholesky factor; ``work`` of its shape is overwritten."""
    n = matrix.shape[0]
    for j in range(n):
        for i in range(j, n):
            total = matrix[i, j]
            for k in range(j):
                total -= work[i, k] * work[j, k]
            if i == j:
                if total <= 0.0:
                    return False
                work[j, j] = np.sqrt(total)
            else:
                work[i, j] = total / work[j, j]
    return True


@njit(cache=True, error_model="numpy")
def is_within(difference, definite, bound, total, work):
    """True if |vᵀ difference v| < bound vᵀ definite v for all v."""
    for sign in (-1.0, 1.0):
        for i in range(len(total)):
            for j in range(i + 1):
                total[i, j] = bound * definite[i, j] + sign * difference[i, j]
        if not _is_definite(total, work):
            return False
    return True


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def material_matrix(moments, inverse, lmbda, mu, laplace, matrix):  # noqa: C901
    """The energy of the twists from their moments (12, 12) in own axes, (12, 12) row 3k + i, or (4, 4) of Laplace."""
    half, block = np.empty((3, 3)), np.empty((3, 3))
    for k in range(4):
        for m in range(k, 4):
            # J₀⁻ᵀ S_km J₀⁻¹: in physical axes
            for p in range(3):
                for j in range(3):
                    half[p, j] = (
                        moments[3 * k + p, 3 * m] * inverse[0, j]
                        + moments[3 * k + p, 3 * m + 1] * inverse[1, j]
                        + moments[3 * k + p, 3 * m + 2] * inverse[2, j]
                    )
            for i in range(3):
                for j in range(3):
                    block[i, j] = inverse[0, i] * half[0, j] + inverse[1, i] * half[1, j] + inverse[2, i] * half[2, j]
            trace = block[0, 0] + block[1, 1] + block[2, 2]
            if laplace:
                matrix[k, m] = matrix[m, k] = trace
                continue
            for i in range(3):
                for j in range(3):
                    entry = lmbda * block[i, j] + mu * block[j, i]
                    if i == j:
                        entry += mu * trace
                    matrix[3 * k + i, 3 * m + j] = matrix[3 * m + j, 3 * k + i] = entry


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def sum_of_entries(matrix, components, vectors, half):
    """Sum of the moduli of γ_k matrix_km γ_m for all nodes and components; ``vectors`` γ (8, 4), ``half`` as large."""
    result = 0.0
    for i in range(components):
        for j in range(i, components):
            for a in range(8):
                for m in range(4):
                    total = 0.0
                    for k in range(4):
                        total += vectors[a, k] * matrix[components * k + i, components * m + j]
                    half[a, m] = total
            part = 0.0
            for a in range(8):
                h0, h1, h2, h3 = half[a, 0], half[a, 1], half[a, 2], half[a, 3]
                for b in range(8):
                    part += abs(h0 * vectors[b, 0] + h1 * vectors[b, 1] + h2 * vectors[b, 2] + h3 * vectors[b, 3])
            # the block (j, i) is that of (i, j) transposed
            result += part if i == j else 2.0 * part
    return result


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def largest_entry(matrix, components, vectors, means, volume, inverse, lmbda, mu):
    """The largest entry of an element matrix, which is on its diagonal; ``matrix`` is that of :func:`material_matrix`
    less the part of mean gradients, which come from the ``means`` (12,) of the slopes."""
    largest, gradient, own = 0.0, np.empty(3), np.empty(3)
    for a in range(8):
        for p in range(3):
            # the mean gradient of N_a in own axes, times the volume
            own[p] = 0.125 * volume * _SIGNS[a, p]
            for k in range(4):
                own[p] += vectors[a, k] * means[3 * k + p]
        square = 0.0
        for i in range(3):
            gradient[i] = (own[0] * inverse[0, i] + own[1] * inverse[1, i] + own[2] * inverse[2, i]) / volume
            square += gradient[i] ** 2
        for i in range(components):
            entry = square if components == 1 else lmbda * gradient[i] ** 2 + mu * (gradient[i] ** 2 + square)
            entry *= volume
            for k in range(4):
                for m in range(4):
                    entry += vectors[a, k] * matrix[components * k + i, components * m + i] * vectors[a, m]
            largest = max(largest, entry)
    return largest


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def twist_vectors(warp, vectors):
    """The modes γ (8, 4) of the nodes that belong to the twists, from J₀⁻¹h (3, 4)."""
    for a in range(8):
        for k in range(4):
            along = _SIGNS[a, 0] * warp[0, k] + _SIGNS[a, 1] * warp[1, k] + _SIGNS[a, 2] * warp[2, k]
            vectors[a, k] = 0.125 * (_TWISTS[a, k] - along)


@njit(cache=True)
def measure_workspace(measure):
    """Work space of :func:`scale_of` and :func:`twist_error` for a measure by its number."""
    size = 4 if measure >= 2 else 12
    return np.empty((12, 12)), np.empty((size, size)), np.empty((8, 4)), np.zeros((size, 0))


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def scale_of(moments, geometry, measure, room, scale):
    """What the measures are relative to, from the moments (12, 12) of a reference.

    Parameters
    ----------
    geometry
        J₀⁻¹ (3, 3), the ``vectors`` (8, 4) of :func:`twist_vectors`, ``means`` (12,) and volume of
        :func:`femnn.integration.twist_moments.values_at_places`, and Lamé's constants.
    measure
        The number in :data:`~femnn.quadrature.adaptive.directional_errors.MEASURES`.
    room
        Of :func:`measure_workspace`.
    scale
        Gets the largest entry (1,), and for energies the factor of the matrix of the twists (12, 12), (4, 4) of the
        Laplace form.
    """
    inverse, vectors, means, volume, lmbda, mu = geometry
    better, matrix, _, none = room
    laplace = measure >= 2
    for r in range(12):
        for c in range(12):
            better[r, c] = moments[r, c] - means[r] * means[c] / volume
    material_matrix(better, inverse, lmbda, mu, laplace, matrix)
    largest, factor = scale
    largest[0] = largest_entry(matrix, 1 if laplace else 3, vectors, means, volume, inverse, lmbda, mu)
    if measure % 2 == 1:
        factorise(matrix, none, factor)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def twist_error(difference, geometry, scale, measure, room):
    """A measure of a rule from the ``difference`` (12, 12) of its moments and those of the reference.

    The parameters are those of :func:`scale_of`.
    """
    inverse, vectors, _, _, lmbda, mu = geometry
    _, matrix, half, _ = room
    laplace = measure >= 2
    material_matrix(difference, inverse, lmbda, mu, laplace, matrix)
    error = sum_of_entries(matrix, 1 if laplace else 3, vectors, half) / scale[0][0]
    # for all measures: what no entry shows is round-off
    if error < FLOOR:
        return 0.0
    return energy_ratio(matrix, scale[1]) if measure % 2 == 1 else error
