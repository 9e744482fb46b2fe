"""Element matrices of trilinear hexahedra at any points and weights."""

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import checked
from femnn.exceptions import ParameterError
from femnn.geometry.hexahedron import in_own_units
from femnn.geometry.validity import require_size
from femnn.integration import kernels
from femnn.integration.kernels import kernel_array
from femnn.integration.lame import lame_parameters


def _per_element(hexahedra, points, weights):
    """Elements in their own units, these units, and points and weights with a leading axis of n, or 1 when shared.

    All arrays come out contiguous and writable, the one type that the kernels are compiled for.
    """
    x = np.asarray(hexahedra, dtype=float)
    points, weights = np.asarray(points, dtype=float), np.asarray(weights, dtype=float)
    if x.ndim != 3 or x.shape[1:] != (8, 3):
        raise ParameterError(f"hexahedra have shape {x.shape}; expected (n, 8, 3)")
    if points.ndim == 2 and weights.ndim == 1:
        points, weights = points[None], weights[None]
    else:
        n, nqp = len(x), weights.shape[-1]
        points = np.broadcast_to(points[:, None, :] if points.ndim == 2 else points, (3, n, nqp)).transpose(1, 0, 2)
        weights = np.broadcast_to(weights, (n, nqp))
    if points.shape[1] != 3 or points.shape[2] != weights.shape[1]:
        raise ParameterError(
            f"points (3, {points.shape[2]}) and weights ({weights.shape[1]},) do not belong together; "
            "give X (3, nqp) or (3, n, nqp) and W (nqp,) or (n, nqp)"
        )
    return *in_own_units(x), kernel_array(points), kernel_array(weights)


@checked(hexahedra="n 8 3", points="3 q | 3 n q", weights="q | n q")
def gradient_moments(hexahedra: ArrayLike, points: ArrayLike, weights: ArrayLike) -> np.ndarray:
    """∫ ∂N_a/∂x_i ∂N_b/∂x_j dx, shape (n, 24, 24), row 3a + i.

    Parameters
    ----------
    hexahedra : (n, 8, 3)
    points : (3, nqp), or (3, n, nqp) when each element has its own, in [0, 1]³
    weights : (nqp,) or (n, nqp); Gauss weights sum to 1
    """
    x, size, points, weights = _per_element(hexahedra, points, weights)
    moments = np.empty((len(x), 24, 24))
    kernels.gradient_moments(x, points, weights, moments)
    moments *= size[:, None, None]
    return moments


@checked(hexahedra="n 8 3", points="3 q | 3 n q", weights="q | n q")
def elasticity_stiffness(
    hexahedra: ArrayLike, points: ArrayLike, weights: ArrayLike, young: float = 1.0, poisson: float = 0.3
) -> np.ndarray:
    """Isotropic linear elastic stiffness, shape (n, 24, 24), row 3a + i; arguments as :func:`gradient_moments`.

    Examples
    --------
    >>> import femnn, numpy as np
    >>> from femnn.integration import elasticity_stiffness, tensor_gauss
    >>> x = femnn.distorted_hexahedra(2, 0.1, seed=0)
    >>> stiffness = elasticity_stiffness(x, *tensor_gauss(3, 3, 3), young=210e9)
    >>> stiffness.shape, np.linalg.matrix_rank(stiffness)
    ((2, 24, 24), array([18, 18]))
    """
    lmbda, mu = lame_parameters(young, poisson)
    moments = gradient_moments(hexahedra, points, weights)
    stiffness = np.empty_like(moments)
    kernels.elasticity_stiffness(moments, lmbda, mu, stiffness)
    return stiffness


@checked(hexahedra="n 8 3", points="3 q | 3 n q", weights="q | n q")
def laplace_stiffness(hexahedra: ArrayLike, points: ArrayLike, weights: ArrayLike) -> np.ndarray:
    """∫ ∇N_a · ∇N_b dx, shape (n, 8, 8); arguments as :func:`gradient_moments`.

    Examples
    --------
    >>> import femnn
    >>> from femnn.integration import laplace_stiffness, tensor_gauss
    >>> stiffness = laplace_stiffness(femnn.distorted_hexahedra(2, 0.1, seed=0), *tensor_gauss(3, 3, 3))
    >>> stiffness.shape, bool(abs(stiffness.sum(axis=2)).max() < 1e-14)
    ((2, 8, 8), True)
    """
    moments = gradient_moments(hexahedra, points, weights).reshape(-1, 8, 3, 8, 3)
    return np.einsum("eaibi->eab", moments)


@checked(hexahedra="n 8 3", points="3 q | 3 n q", weights="q | n q")
def mass_matrix(hexahedra: ArrayLike, points: ArrayLike, weights: ArrayLike) -> np.ndarray:
    """∫ N_a N_b dx, shape (n, 8, 8); arguments as :func:`gradient_moments`.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.integration import mass_matrix, tensor_gauss
    >>> mass = mass_matrix(femnn.hexahedra(skfem.MeshHex()), *tensor_gauss(2, 2, 2))
    >>> mass.shape, float(mass.sum().round(12))
    ((1, 8, 8), 1.0)
    """
    hexahedra = np.asarray(hexahedra, dtype=float)
    require_size(hexahedra)
    x, size, points, weights = _per_element(hexahedra, points, weights)
    mass = np.empty((len(x), 8, 8))
    kernels.mass_moments(x, points, weights, mass)
    mass *= size[:, None, None] ** 3
    return mass
