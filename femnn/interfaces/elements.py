"""Interface elements: separation, internal force and tangent of a cohesive interface, fused.

Small displacements: frames and areas are those of the undeformed interface. With N the shape functions of a facet and Q
the frame, the separation is Q Σ N_a (u⁺_a − u⁻_a), the force ∫ Nᵀ Qᵀ t, the tangent ∫ Nᵀ Qᵀ (∂t/∂δ) Q N.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_matrix

from femnn.checks import brief, floats, integer
from femnn.exceptions import MeshError, ParameterError
from femnn.geometry.hexahedron import in_own_units
from femnn.integration.gauss import gauss_legendre
from femnn.interfaces.frames import frames_of, normals_of
from femnn.interfaces.jumps import Jumps
from femnn.interfaces.split import Interface


def facet_gauss(dim: int, points: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Gauss points (dim − 1, points^(dim − 1)) and weights of a facet of a ``dim``-dimensional mesh.

    Examples
    --------
    >>> from femnn.interfaces import facet_gauss
    >>> points, weights = facet_gauss(3)
    >>> points.shape, float(weights.sum().round(12))
    ((2, 4), 1.0)
    """
    return _tensor(*gauss_legendre(points), integer("dim", dim, 2, 3))


def facet_newton_cotes(dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Points at the corners, the rule that keeps tractions free of oscillations where the interface is stiff.

    Examples
    --------
    >>> from femnn.interfaces import facet_newton_cotes
    >>> facet_newton_cotes(2)
    (array([[0., 1.]]), array([0.5, 0.5]))
    """
    return _tensor(np.array([0.0, 1.0]), np.array([0.5, 0.5]), integer("dim", dim, 2, 3))


class InterfaceElements(Jumps):
    """Zero-thickness elements on an :class:`femnn.Interface`, with scikit-fem's numbering of the degrees of freedom.

    For ``skfem.ElementVector`` of ``ElementHex1`` or ``ElementQuad1``; other elements go through
    :class:`femnn.interfaces.InterfaceBases`.

    Parameters
    ----------
    interface
        The pairs of faces.
    quadrature
        Points (dim − 1, nqp) in the unit square or interval and weights (nqp,); default two Gauss points per axis.

    Attributes
    ----------
    x : (n, nqp, dim)
        Integration points.
    frames : (n, nqp, 3, dim)
        Unit normal and the two shear directions at each; in two dimensions the last is zero.
    dx : (n, nqp)
        Area that belongs to each.
    dofs : (n, 2·k·dim) int
        Degrees of freedom of each element: minus side, then plus side.
    shape_derivatives : (dim − 1, nqp, k)
        Of the shape functions of a facet, along its edges, at the points.

    Examples
    --------
    >>> import skfem, femnn
    >>> mesh = skfem.MeshHex().refined(1).with_boundaries({"joint": lambda x: x[0] == 0.5}, boundaries_only=False)
    >>> elements = InterfaceElements(femnn.Interface.split(mesh, "joint"))
    >>> elements.separation(np.zeros(elements.ndof)).shape
    (16, 3)
    """

    def __init__(self, interface: Interface, quadrature: tuple[ArrayLike, ArrayLike] | None = None) -> None:
        if not isinstance(interface, Interface):
            raise ParameterError(f"{brief(interface)} is no interface; pass femnn.Interface.split(mesh, facets)")
        mesh = interface.mesh
        self.interface, self.dim = interface, mesh.dim()
        points, weights = facet_gauss(self.dim) if quadrature is None else checked_quadrature(quadrature, self.dim)
        shapes, derivatives = facet_shapes(points)
        self.shapes, self.shape_derivatives = shapes[None], derivatives
        corners = mesh.p.T[interface.minus_vertices]
        self.x = np.einsum("qa,nai->nqi", shapes, corners)
        scaled, size = in_own_units(corners)
        along = np.einsum("jqa,nai->nqji", derivatives, scaled)
        centre = mesh.p[:, mesh.t[:, mesh.f2t[0, interface.minus]]].mean(axis=1).T
        self.frames, areas = _frames(along, self.x - centre[:, None])
        if not (areas > 0.0).all():
            facet = int(interface.minus[np.flatnonzero((areas <= 0.0).any(axis=1))[0]])
            raise MeshError(f"facet {facet} of the interface has no area; repair the mesh")
        self.dx = (areas * weights) * (size ** (self.dim - 1))[:, None]
        vertices = np.concatenate([interface.minus_vertices, interface.plus_vertices], axis=1)
        dofs = self.dim * vertices[:, :, None] + np.arange(self.dim)
        self.dofs = dofs.reshape(len(vertices), self.dim * vertices.shape[1])
        self.ndof = self.dim * mesh.p.shape[1]


class SparseSum:
    """A constant matrix plus interface elements: the pattern of their sum is found once.

    Parameters
    ----------
    matrix
        The constant part, square and sparse.
    interfaces
        List of InterfaceElements.
    """

    def __init__(self, matrix, interfaces) -> None:
        n = matrix.shape[0]
        for elements in interfaces:
            if matrix.shape != (elements.ndof,) * 2:
                raise ParameterError(
                    f"the matrix has shape {matrix.shape}, but the split mesh has {elements.ndof} degrees of freedom; "
                    "assemble it on interface.mesh"
                )
        constant = matrix.tocoo()
        keys = [constant.row.astype(np.int64) * n + constant.col]
        for elements in interfaces:
            dofs = elements.dofs.astype(np.int64)
            keys.append((n * dofs[:, :, None] + dofs[:, None, :]).ravel())
        unique, places = np.unique(np.concatenate(keys), return_inverse=True)
        # of nothing, NumPy counts in integers
        self.data = np.bincount(places[: constant.nnz], constant.data, minlength=len(unique)).astype(float)
        # the few entries that change, and where each entry of an element goes among them
        self.changing, self.places = np.unique(places[constant.nnz :], return_inverse=True)
        self.indices = (unique % n).astype(np.int32)
        self.indptr = np.searchsorted(unique, np.arange(n + 1) * n).astype(np.int32)
        self.n = n

    def plus(self, blocks):
        """The sum with the element matrices of each interface, CSR with sorted indices."""
        flat = np.concatenate([block.ravel() for block in blocks]) if blocks else np.empty(0)
        data = self.data.copy()
        data[self.changing] += np.bincount(self.places, flat, minlength=len(self.changing))
        return csr_matrix((data, self.indices, self.indptr), shape=(self.n, self.n))


def _tensor(points, weights, dim):
    if dim == 2:
        return points[None].copy(), weights.copy()
    grid = np.stack(np.meshgrid(points, points, indexing="ij")).reshape(2, -1)
    return grid, np.outer(weights, weights).ravel()


def checked_quadrature(quadrature: tuple, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (dim - 1, nqp) and weights (nqp,) of a facet; ParameterError if they are no rule for it."""
    if not isinstance(quadrature, tuple | list) or len(quadrature) != 2:
        raise ParameterError(f"the quadrature is {brief(quadrature)}; pass its points and its weights")
    points, weights = (
        floats(f"{part} of the quadrature", values)
        for part, values in zip(("points", "weights"), quadrature, strict=True)
    )
    if points.ndim != 2 or weights.ndim != 1 or points.shape != (dim - 1, len(weights)):
        raise ParameterError(
            f"the quadrature has points {points.shape} and weights {weights.shape}; pass ({dim - 1}, nqp) and (nqp,)"
        )
    if abs(weights.sum() - 1.0) > 1e-9:
        raise ParameterError(f"the weights of the quadrature sum to {weights.sum():.6g}, not to 1; scale them")
    return points, weights


def facet_shapes(points):
    """Values (nqp, k) and derivatives (dim − 1, nqp, k) of the linear shape functions around a facet."""
    if len(points) == 1:
        (a,) = points
        return np.stack([1 - a, a], axis=1), np.stack([-np.ones_like(a), np.ones_like(a)], axis=1)[None]
    a, b = points
    values = np.stack([(1 - a) * (1 - b), a * (1 - b), a * b, (1 - a) * b], axis=1)
    by_a = np.stack([b - 1, 1 - b, b, -b], axis=1)
    by_b = np.stack([a - 1, -a, a, 1 - a], axis=1)
    return values, np.stack([by_a, by_b])


def _frames(along, outwards):
    """Frames (n, nqp, 3, dim) and areas (n, nqp) from the tangents (n, nqp, dim − 1, dim) of the facets."""
    normal = normals_of(along)
    area = np.linalg.norm(normal, axis=-1)
    normal = normal / np.where(area > 0.0, area, 1.0)[..., None]
    normal *= np.where((normal * outwards).sum(axis=-1) < 0.0, -1.0, 1.0)[..., None]
    return frames_of(normal), area
