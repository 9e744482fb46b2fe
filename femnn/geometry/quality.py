"""Measures of shape that engineers read: volume, scaled Jacobian, aspect, distance from a parallelepiped.

Definitions after the Verdict library (Stimpson et al., Sandia report SAND2007-1751), in scikit-fem's vertex order.
"""

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import checked
from femnn.geometry.coordinates import modes, relative_warp
from femnn.geometry.hexahedron import SIGNS, VERTICES, in_own_units, jacobian, jacobian_determinant
from femnn.geometry.validity import require_size


@checked(hexahedra="n 8 3")
def signed_volume(hexahedra: np.ndarray) -> np.ndarray:
    """∫ det J over each element, shape (n,), m³; negative for scikit-fem's own meshes, whose order is left-handed.

    Exact: det J has degree 2 along each axis, which 2×2×2 Gauss points integrate. MeshError if it is beyond double
    precision, see :func:`femnn.geometry.validity.require_size`.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.geometry import signed_volume
    >>> float(signed_volume(femnn.hexahedra(skfem.MeshHex().refined(1))).sum())
    -1.0
    """
    require_size(hexahedra)
    points = 0.5 + SIGNS.T / np.sqrt(12.0)
    return jacobian_determinant(hexahedra, points).mean(axis=1)


def of_unit_volume(hexahedra: np.ndarray) -> np.ndarray:
    """The elements (n, 8, 3) about the origin, scaled to the volume 1; all must have one."""
    centred = hexahedra - hexahedra.mean(axis=1, keepdims=True)
    return centred / np.cbrt(np.abs(signed_volume(centred)))[:, None, None]


@checked(hexahedra="n 8 3")
def scaled_jacobian(hexahedra: np.ndarray) -> np.ndarray:
    """Smallest scaled Jacobian over the vertices and the centre, shape (n,), in [-1, 1]; 1 is a right angle everywhere.

    Signed so that a healthy element is positive whatever its handedness; a folded one is negative or near zero.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.geometry import scaled_jacobian
    >>> scaled_jacobian(femnn.hexahedra(skfem.MeshHex()))
    array([1.])
    """
    points = np.concatenate([VERTICES.T, np.full((3, 1), 0.5)], axis=1)
    columns = jacobian(in_own_units(hexahedra)[0], points)
    determinant = np.linalg.det(columns)
    lengths = np.linalg.norm(columns, axis=2).prod(axis=2)
    scaled = np.divide(determinant, lengths, out=np.zeros_like(determinant), where=lengths > 0)
    handed = np.where(determinant.sum(axis=1) < 0, -1.0, 1.0)
    return (scaled * handed[:, None]).min(axis=1)


@checked(hexahedra="n 8 3")
def aspect(hexahedra: ArrayLike) -> np.ndarray:
    """Ratio of the longest to the shortest principal axis (the vectors between opposite face centres), shape (n,).

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.geometry import aspect
    >>> aspect(femnn.hexahedra(skfem.MeshHex.init_tensor([0.0, 4.0], [0.0, 1.0], [0.0, 2.0])))
    array([4.])
    """
    lengths = np.linalg.norm(modes(in_own_units(hexahedra)[0])[1], axis=1)
    shortest = lengths.min(axis=1)
    return np.divide(lengths.max(axis=1), shortest, out=np.full(len(lengths), np.inf), where=shortest > 0)


@checked(hexahedra="n 8 3")
def distance_from_parallelepiped(hexahedra: ArrayLike) -> np.ndarray:
    """Frobenius norm of J₀⁻¹h, shape (n,): zero for parallelepipeds, which 2×2×2 Gauss points integrate exactly.

    Invariant to every affine map of the element, so it measures neither size nor stretch nor shear; infinite where the
    element is flat at its centre.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.geometry import distance_from_parallelepiped
    >>> brick = femnn.hexahedra(skfem.MeshHex())
    >>> distorted = femnn.distorted_hexahedra(1000, 0.2, seed=0)
    >>> float(distance_from_parallelepiped(brick)[0]), bool(distance_from_parallelepiped(distorted).min() > 0.0)
    (0.0, True)
    """
    return np.linalg.norm(relative_warp(hexahedra), axis=(1, 2))
