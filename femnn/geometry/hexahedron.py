"""The trilinear hexahedron: reference cube, shape functions, map and Jacobian.

Everything is written in scikit-fem's vertex order and on its reference cube [0, 1]³. Arrays of elements are
``(n, 8, 3)``; points of the reference cube are ``(3, nqp)`` when all elements share them and ``(3, n, nqp)`` otherwise.
"""

import math

import numpy as np
from numpy.typing import ArrayLike
from skfem import ElementHex2

from femnn.checks import checked
from femnn.system.compile import njit

#: Vertices of the reference cube in scikit-fem's order, shape (8, 3).
VERTICES = np.array(
    [[1, 1, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=float
)
VERTICES.setflags(write=False)

#: The same cube about its centre, [-1, 1]³, shape (8, 3).
SIGNS = 2.0 * VERTICES - 1.0
SIGNS.setflags(write=False)

#: The patterns ξη, ηζ, ζξ, ξηζ at the vertices, shape (8, 4): what a vertex's move adds to the twists, times 8.
TWISTS = np.stack(
    [SIGNS[:, 0] * SIGNS[:, 1], SIGNS[:, 1] * SIGNS[:, 2], SIGNS[:, 2] * SIGNS[:, 0], SIGNS.prod(axis=1)], axis=1
)
TWISTS.setflags(write=False)

#: Vertices in the order of VTK, meshio and Abaqus: bottom face counter-clockwise, then top. ``x[TO_VTK]`` reorders.
TO_VTK = np.array([7, 4, 1, 5, 6, 2, 0, 3])
TO_VTK.setflags(write=False)

#: Nodes of the triquadratic hexahedron in scikit-fem's order: vertices, edges, faces, centre, shape (27, 3).
QUADRATIC_NODES = np.array(ElementHex2.doflocs)
QUADRATIC_NODES.setflags(write=False)

#: The twelve edges as pairs of vertices; the first four run along ξ, the next along η, the last along ζ.
EDGES = np.array(
    [
        [a, b]
        for axis in range(3)
        for a in range(8)
        for b in range(8)
        if VERTICES[b, axis] > VERTICES[a, axis] and np.abs(VERTICES[a] - VERTICES[b]).sum() == 1
    ]
)
EDGES.setflags(write=False)


def in_own_units(hexahedra: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The elements relative to their last vertices, in units of their own size: where they lie no longer matters.

    What is computed from these coordinates keeps its digits at any distance from the origin, and neither det J nor
    squares of lengths under- or overflow. Units are powers of two: scaling back changes no bit.

    Parameters
    ----------
    hexahedra : (n, k, dim)
        Vertices of elements, or corners of facets.

    Returns
    -------
    scaled : (n, k, dim)
        Coordinates between -1 and 1, contiguous and writable, as the kernels are compiled for.
    size : (n,)
        Units: the power of two above the largest distance along an axis from the last vertex.
    """
    x = np.require(hexahedra, dtype=float, requirements=("C", "W"))
    scaled, size = np.empty(x.shape), np.empty(len(x))
    _own_units(x, scaled, size)
    return scaled, size


@njit(over="x", grain=4096, cache=True, error_model="numpy")
def _own_units(begin, end, x, scaled, size):
    k, dim = x.shape[1:]
    for e in range(begin, end):
        largest = 0.0
        for a in range(k):
            for i in range(dim):
                scaled[e, a, i] = x[e, a, i] - x[e, k - 1, i]
                largest = max(largest, abs(scaled[e, a, i]))
        size[e] = math.ldexp(1.0, math.frexp(largest)[1])
        for a in range(k):
            for i in range(dim):
                scaled[e, a, i] /= size[e]


@checked(points="3 ...")
def shape_functions(points: ArrayLike) -> np.ndarray:
    """Trilinear shape functions N_a, shape (8, ...), at ``points`` of shape (3, ...) in [0, 1]³.

    Examples
    --------
    >>> from femnn.geometry import shape_functions
    >>> shape_functions([0.5, 0.5, 0.5])
    array([0.125, 0.125, 0.125, 0.125, 0.125, 0.125, 0.125, 0.125])
    """
    xi = np.asarray(points, dtype=float)
    vertices = VERTICES.reshape((8, 3) + (1,) * (xi.ndim - 1))
    return np.prod(np.where(vertices == 1.0, xi, 1.0 - xi), axis=1)


@checked(points="3 ...")
def shape_gradients(points: ArrayLike) -> np.ndarray:
    """Reference gradients ∂N_a/∂ξ_k, shape (8, 3, ...), at ``points`` of shape (3, ...) in [0, 1]³.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.geometry import shape_gradients
    >>> gradients = shape_gradients(np.full((3, 4), 0.25))
    >>> gradients.shape, bool(abs(gradients.sum(axis=0)).max() < 1e-15)
    ((8, 3, 4), True)
    """
    xi = np.asarray(points, dtype=float)
    vertices = VERTICES.reshape((8, 3) + (1,) * (xi.ndim - 1))
    factors = np.where(vertices == 1.0, xi, 1.0 - xi)
    slopes = np.where(vertices == 1.0, 1.0, -1.0)
    return np.stack(
        [slopes[:, k] * factors[:, (k + 1) % 3] * factors[:, (k + 2) % 3] for k in range(3)],
        axis=1,
    )


@checked(hexahedra="n 8 3", points="3 q")
def trilinear_map(hexahedra: np.ndarray, points: ArrayLike) -> np.ndarray:
    """Physical points x(ξ), shape (n, nqp, 3), of the elements (n, 8, 3) at shared points (3, nqp).

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.geometry import trilinear_map
    >>> trilinear_map(femnn.hexahedra(skfem.MeshHex()), [[0.25], [0.5], [1.0]])
    array([[[0.75, 0.5 , 0.  ]]])
    """
    return np.einsum("aq,eai->eqi", shape_functions(points), hexahedra)


@checked(hexahedra="n 8 3", points="3 q")
def jacobian(hexahedra: np.ndarray, points: ArrayLike) -> np.ndarray:
    """Jacobian J_ik = ∂x_i/∂ξ_k, shape (n, nqp, 3, 3), of the elements (n, 8, 3) at shared points (3, nqp).

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.geometry import jacobian
    >>> jacobian(femnn.hexahedra(skfem.MeshHex()), [[0.5], [0.5], [0.5]])[0, 0]
    array([[-1.,  0.,  0.],
           [ 0., -1.,  0.],
           [ 0.,  0., -1.]])
    """
    x = np.asarray(hexahedra, dtype=float)
    return np.einsum("akq,eai->eqik", shape_gradients(points), x - x[:, -1:])


@checked(hexahedra="n 8 3", points="3 q")
def jacobian_determinant(hexahedra: np.ndarray, points: ArrayLike) -> np.ndarray:
    """det J, shape (n, nqp), of the elements (n, 8, 3) at shared points (3, nqp).

    Examples
    --------
    >>> import femnn
    >>> from femnn.geometry import jacobian_determinant
    >>> from femnn.integration import tensor_gauss
    >>> points, weights = tensor_gauss(2, 2, 2)
    >>> x = femnn.distorted_hexahedra(3, 0.2, seed=0)
    >>> volumes = abs(jacobian_determinant(x, points)) @ weights
    >>> volumes.shape
    (3,)
    """
    columns = jacobian(hexahedra, points)
    return np.einsum("eqi,eqi->eq", columns[..., 0], np.cross(columns[..., 1], columns[..., 2]))
