"""Numbers that describe an element's shape: the modes of its map, the paper's 18 coordinates, and invariant ones."""

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import checked
from femnn.geometry.hexahedron import SIGNS, TWISTS, VERTICES, in_own_units
from femnn.geometry.shape_lanes import fill_metrics, fill_warps


@checked(hexahedra="n 8 3")
def modes(hexahedra: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centre, linear part and twists of the trilinear map about the element's centre.

    x(ξ) = c + J₀ ξ + h · (ξη, ηζ, ζξ, ξηζ) with ξ in [-1, 1]³.

    Returns
    -------
    centre : (n, 3)
    linear : (n, 3, 3), J₀, columns are half the vectors between opposite face centres
    twist : (n, 3, 4), h

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.geometry import modes
    >>> centre, linear, twist = modes(femnn.hexahedra(skfem.MeshHex()))
    >>> centre, float(abs(twist).max())
    (array([[0.5, 0.5, 0.5]]), 0.0)
    """
    x = np.asarray(hexahedra, dtype=float)
    centre = x.mean(axis=1)
    relative = x - x[:, -1:]
    linear = np.einsum("eai,ak->eik", relative, SIGNS) / 8.0
    twist = np.einsum("eai,ak->eik", relative, TWISTS) / 8.0
    return centre, linear, twist


@checked(hexahedra="n 8 3")
def relative_warp(hexahedra: ArrayLike) -> np.ndarray:
    """J₀⁻¹h, shape (n, 3, 4): the twists in the element's own axes; infinite where J₀ is singular.

    The twelve numbers vanish exactly for parallelepipeds and do not change under affine maps.

    Examples
    --------
    >>> import femnn, numpy as np
    >>> from femnn.geometry import relative_warp
    >>> x = femnn.distorted_hexahedra(5, 0.2, seed=0)
    >>> sheared = x @ np.array([[1.0, 0.5, 0.0], [0.0, 2.0, 0.0], [0.0, 0.3, 1.0]])
    >>> np.allclose(relative_warp(x), relative_warp(sheared))
    True
    """
    x = in_own_units(hexahedra)[0]
    warps = np.empty((len(x), 3, 4))
    fill_warps(x, np.empty((len(x), 3, 3)), warps)
    return warps


@checked(hexahedra="n 8 3")
def own_axes(hexahedra: ArrayLike) -> np.ndarray:
    """The elements in their own axes, shape (n, 8, 3): y(ξ) = ξ + J₀⁻¹h · (ξη, ηζ, ζξ, ξηζ), ξ in [-1, 1]³.

    What is left of an element when its central parallelepiped is mapped to the cube; det J > 0 in healthy elements.

    Examples
    --------
    >>> import femnn
    >>> from femnn.geometry import own_axes
    >>> own_axes(femnn.distorted_hexahedra(5, 0.2, seed=0)).shape
    (5, 8, 3)
    """
    return SIGNS + np.einsum("ak,eik->eai", TWISTS, relative_warp(hexahedra))


@checked(hexahedra="n 8 3")
def metric(hexahedra: ArrayLike) -> np.ndarray:
    """Shape of the parallelepiped at the centre, shape (n, 6): what J₀ᵀJ₀ says without the size.

    The entries (ξξ, ηη, ζζ, ξη, ηζ, ζξ) of ½ log J₀ᵀJ₀ without its trace: logarithms of stretches, so that flat and
    slender elements stand as far from the cube as they should (V. Arsigny et al., SIAM J. Matrix Anal. Appl. 29 (2007)
    328-347). The symmetries of the cube permute the entries and change the signs of the last three.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.geometry import metric
    >>> x = femnn.hexahedra(skfem.MeshHex.init_tensor([0.0, 2.0], [0.0, 1.0], [0.0, 1.0]))
    >>> metric(x).round(3)
    array([[-0.231,  0.462, -0.231,  0.   ,  0.   ,  0.   ]])
    """
    x = in_own_units(hexahedra)[0]
    metrics = np.empty((len(x), 6))
    fill_metrics(x, metrics)
    return metrics


@checked(hexahedra="n 8 3")
def invariant_coordinates(hexahedra: ArrayLike) -> np.ndarray:
    """The 12 numbers J₀⁻¹h followed by the 6 of :func:`metric`, shape (n, 18).

    Invariant to rigid motion and size; the symmetries of the cube permute them and change their signs.

    Examples
    --------
    >>> import femnn, numpy as np
    >>> from femnn.geometry import invariant_coordinates
    >>> x = femnn.distorted_hexahedra(5, 0.2, seed=0)
    >>> turned = 3.0 * x @ np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    >>> np.allclose(invariant_coordinates(x), invariant_coordinates(turned))
    True
    """
    x = np.asarray(hexahedra, dtype=float)
    return np.concatenate([relative_warp(x).reshape(len(x), 12), metric(x)], axis=1)


@checked(hexahedra="n 8 3")
def directed_coordinates(hexahedra: ArrayLike) -> np.ndarray:
    """Direction (12) and length of J₀⁻¹h and the 6 of :func:`metric`, shape (n, 19).

    What is proportional to a power of the length is a smooth function of these however near a parallelepiped is.

    Examples
    --------
    >>> import femnn, numpy as np
    >>> from femnn.geometry import directed_coordinates
    >>> described = directed_coordinates(femnn.distorted_hexahedra(5, 0.2, seed=0))
    >>> described.shape, np.linalg.norm(described[:, :12], axis=1)
    ((5, 19), array([1., 1., 1., 1., 1.]))
    """
    x = np.asarray(hexahedra, dtype=float)
    warp = relative_warp(x).reshape(len(x), 12)
    length = np.linalg.norm(warp, axis=1, keepdims=True)
    direction = np.divide(warp, length, out=np.zeros_like(warp), where=length > 0)
    return np.concatenate([direction, length, metric(x)], axis=1)


@checked(hexahedra="n 8 3")
def normalised_coordinates(hexahedra: ArrayLike) -> np.ndarray:
    """The published description of an element: 18 vertex coordinates after a rigid motion and a scaling, (n, 18).

    Vertex 000 moves to the origin, vertex 100 onto the x axis, vertex 010 into the plane z = 0, and the cube root of
    the volume of the central parallelepiped becomes 1. Of the 24 coordinates six are then zero and left out.
    Source: A. Oishi, G. Yagawa, CMAME 327 (2017) 327-351, section 4.

    Examples
    --------
    >>> import femnn
    >>> from femnn.geometry import normalised_coordinates
    >>> normalised_coordinates(femnn.distorted_hexahedra(5, 0.2, seed=0)).shape
    (5, 18)
    """
    x = in_own_units(hexahedra)[0]
    origin, along, across = (int(np.flatnonzero((v == VERTICES).all(axis=1))[0]) for v in np.eye(4, 3, k=-1)[:3])
    first = x[:, along] - x[:, origin]
    second = x[:, across] - x[:, origin]
    e1 = first / np.linalg.norm(first, axis=1, keepdims=True)
    e2 = second - np.einsum("ei,ei->e", second, e1)[:, None] * e1
    e2 /= np.linalg.norm(e2, axis=1, keepdims=True)
    frame = np.stack([e1, e2, np.cross(e1, e2)], axis=1)
    size = np.cbrt(8.0 * np.abs(np.linalg.det(modes(x)[1])))
    moved = np.einsum("eji,eai->eaj", frame, x - x[:, origin : origin + 1]) / size[:, None, None]
    kept = np.ones((8, 3), dtype=bool)
    kept[origin] = False
    kept[along, 1:] = False
    kept[across, 2] = False
    return moved[:, kept]
