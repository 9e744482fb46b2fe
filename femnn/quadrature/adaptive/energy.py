"""The relative change of an element's energy by quadrature: the measure that bounds the solution.

ε = max |λ| over (K_rule - K_ref) v = λ K_ref v, on the element without its rigid modes. If
every element keeps ε, the energy-norm error that quadrature adds to the solution is bounded: see
docs/theory/quadrature.md.
"""

import numpy as np

from femnn.integration.kernels import _FAST
from femnn.system.compile import njit


@njit(cache=True)
def rigid_modes(vertices):
    """Orthonormal translations and rotations of one element (8, 3), shape (24, 6), row 3a + i."""
    modes = np.zeros((24, 6))
    centre = vertices.sum(axis=0) / 8.0
    size = np.sqrt(((vertices - centre) ** 2).sum())
    for a in range(8):
        x, y, z = (vertices[a] - centre) / size
        for i in range(3):
            modes[3 * a + i, i] = 1.0
        modes[3 * a + 1, 3], modes[3 * a + 2, 3] = -z, y
        modes[3 * a, 4], modes[3 * a + 2, 4] = z, -x
        modes[3 * a, 5], modes[3 * a + 1, 5] = -y, x
    return np.ascontiguousarray(np.linalg.qr(modes)[0])


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


@njit(cache=True)
def factorise(matrix, modes):
    """Inverse L⁻¹ of the Cholesky factor of a reference matrix (m, m), made definite on its ``modes`` (m, k) without
    energy."""
    largest = np.abs(matrix).max()
    definite = 0.5 * (matrix + matrix.T) + largest * (modes @ modes.T.copy())
    # of elements so flat that round-off makes their softest modes negative, those are taken as no softer than this
    for i in range(len(definite)):
        definite[i, i] += 1e-14 * largest
    return np.ascontiguousarray(np.linalg.inv(np.linalg.cholesky(definite)))


@njit(cache=True)
def energy_ratio(difference, inverse_factor):
    """ε of one element from K_rule - K_ref (m, m) and the factor of K_ref."""
    scaled = inverse_factor @ (0.5 * (difference + difference.T)) @ inverse_factor.T.copy()
    return np.abs(np.linalg.eigvalsh(scaled)).max()
