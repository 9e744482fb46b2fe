"""The relative change of an element's energy by quadrature: the measure that bounds the solution.

ε = max |λ| over (K_rule - K_ref) v = λ K_ref v, on the element without its rigid modes. If
every element keeps ε, the energy-norm error that quadrature adds to the solution is bounded: see
docs/theory/quadrature.md.
"""

import numpy as np

from femnn.integration.kernels import _FAST
from femnn.system.compile import njit


@njit(cache=True, error_model="numpy")
def rigid_modes(vertices):  # noqa: C901
    """Orthonormal translations and rotations of one element (8, 3), shape (24, 6), row 3a + i."""
    modes, centre = np.zeros((24, 6)), np.zeros(3)
    for a in range(8):
        for i in range(3):
            centre[i] += vertices[a, i] / 8.0
    for a in range(8):
        x, y, z = vertices[a, 0] - centre[0], vertices[a, 1] - centre[1], vertices[a, 2] - centre[2]
        for i in range(3):
            modes[3 * a + i, i] = 1.0
        modes[3 * a + 1, 3], modes[3 * a + 2, 3] = -z, y
        modes[3 * a, 4], modes[3 * a + 2, 4] = z, -x
        modes[3 * a, 5], modes[3 * a + 1, 5] = -y, x
    for k in range(6):
        # what is along those before is taken out twice: round-off of the first time is left otherwise
        for _ in range(2):
            for before in range(k):
                along = 0.0
                for r in range(24):
                    along += modes[r, before] * modes[r, k]
                for r in range(24):
                    modes[r, k] -= along * modes[r, before]
        size = 0.0
        for r in range(24):
            size += modes[r, k] * modes[r, k]
        for r in range(24):
            modes[r, k] /= np.sqrt(size)
    return modes


@njit(cache=True)
def laplace_modes():
    """The constant, shape (8, 1): what has no energy in the Laplace form."""
    return np.full((8, 1), 1.0 / np.sqrt(8.0))


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def laplace_from_moments(moments, laplace):
    """∫ ∇N_a · ∇N_b (8, 8) of one element from its gradient moments (24, 24)."""
    for a in range(8):
        for b in range(8):
            laplace[a, b] = moments[3 * a, 3 * b] + moments[3 * a + 1, 3 * b + 1] + moments[3 * a + 2, 3 * b + 2]


@njit(cache=True, error_model="numpy")
def factorise(matrix, modes, inverse):  # noqa: C901
    """Inverse L⁻¹ of the Cholesky factor of a reference matrix (m, m), made definite on its ``modes`` (m, k) without
    energy, into ``inverse``, transposed."""
    n = matrix.shape[0]
    largest, factor = 0.0, np.empty(matrix.shape)
    for i in range(n):
        for j in range(n):
            largest = max(largest, abs(matrix[i, j]))
    for i in range(n):
        for j in range(i + 1):
            total = 0.5 * (matrix[i, j] + matrix[j, i])
            for k in range(modes.shape[1]):
                total += largest * modes[i, k] * modes[j, k]
            # of elements so flat that round-off makes their softest modes negative, those are taken as no softer
            if i == j:
                total += 1e-14 * largest
            for k in range(j):
                total -= factor[i, k] * factor[j, k]
            factor[i, j] = np.sqrt(total) if i == j else total / factor[j, j]
    for column in range(n):
        for i in range(column):
            inverse[column, i] = 0.0
        for i in range(column, n):
            total = 1.0 if i == column else 0.0
            for k in range(column, i):
                total -= factor[i, k] * inverse[column, k]
            inverse[column, i] = total / factor[i, i]


@njit(cache=True, error_model="numpy")
def energy_ratio(difference, inverse):
    """ε of one element from K_rule - K_ref (m, m) and the factor of K_ref from :func:`factorise`."""
    n = difference.shape[0]
    half, scaled = np.zeros(difference.shape), np.zeros(difference.shape)
    for i in range(n):
        for k in range(n):
            entry = 0.5 * (difference[i, k] + difference[k, i])
            for j in range(k, n):
                half[i, j] += entry * inverse[k, j]
    for k in range(n):
        for i in range(k, n):
            for j in range(n):
                scaled[i, j] += inverse[k, i] * half[k, j]
    return np.abs(np.linalg.eigvalsh(scaled)).max()
