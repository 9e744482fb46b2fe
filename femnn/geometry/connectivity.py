"""Connectivity of the elements of a mesh: elements that coincide, hanging vertices, loose parts and vertices."""

from dataclasses import dataclass

import numpy as np
import skfem
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from femnn.checks import checked
from femnn.exceptions import warn
from femnn.geometry.mesh import node_table

# Two points are one, and a point lies on a face, within this fraction of the size of the face.
_SAME = 1e-6
# Steps of Newton's method to the nearest point of a bilinear face; it converges in one where the face is plane.
_STEPS = 8


@dataclass(eq=False, repr=False)
class Connectivity:
    """Findings about the connectivity of a mesh.

    Attributes
    ----------
    duplicates
        Elements that have the same eight vertices as an earlier one: stiffness and volume are counted twice there.
    loose_vertices
        Vertices that belong to no element: they make any matrix singular.
    hanging_vertices
        Vertices inside a face or an edge of an element that does not have them: the displacement tears there.
    coincident_vertices
        Vertices at the place of another one, on the surface: parts that were not merged, or an interface.
    parts
        Number of parts that share no vertex with each other.
    hinged_parts
        Number of parts that share no face with each other: more than ``parts`` where some meet at vertices or edges
        alone.

    Examples
    --------
    >>> import skfem
    >>> from femnn.geometry import measure_connectivity
    >>> found = measure_connectivity(skfem.MeshHex().refined(1))
    >>> found.parts, len(found.hanging_vertices), len(found.duplicates)
    (1, 0, 0)
    """

    duplicates: np.ndarray
    loose_vertices: np.ndarray
    hanging_vertices: np.ndarray
    coincident_vertices: np.ndarray
    parts: int
    hinged_parts: int

    def __repr__(self) -> str:
        return (
            f"Connectivity({self.parts} parts, {len(self.duplicates)} duplicates, {len(self.loose_vertices)} loose, "
            f"{len(self.hanging_vertices)} hanging and {len(self.coincident_vertices)} coincident vertices)"
        )


@checked()
def measure_connectivity(mesh: skfem.MeshHex1) -> Connectivity:
    """Findings about how the elements of a mesh hang together.

    Examples
    --------
    >>> import skfem
    >>> measure_connectivity(skfem.MeshHex().refined(1))
    Connectivity(1 parts, 0 duplicates, 0 loose, 0 hanging and 0 coincident vertices)
    """
    hanging, coincident = _on_other_faces(mesh)
    elements = np.arange(mesh.nelements)
    parts = _components(np.tile(elements, 8), mesh.t.ravel() + mesh.nelements, mesh.nelements, mesh.nvertices)
    inner = mesh.f2t[:, mesh.f2t[1] >= 0]
    hinged = connected_components(
        coo_matrix((np.ones(inner.shape[1]), inner), shape=(mesh.nelements,) * 2), directed=False
    )[0]
    return Connectivity(duplicate_elements(mesh), loose_vertices(mesh), hanging, coincident, parts, hinged)


@checked()
def duplicate_elements(mesh: skfem.Mesh) -> np.ndarray:
    """Elements with the vertices of an earlier one, whatever their order.

    Examples
    --------
    >>> import numpy as np, skfem
    >>> from femnn.geometry import duplicate_elements
    >>> mesh = skfem.MeshHex().refined(1)
    >>> twice = skfem.MeshHex(mesh.p, np.column_stack([mesh.t, mesh.t[:, 2]]))
    >>> duplicate_elements(twice)
    array([8])
    """
    # one random number a vertex: sums are equal where the vertices are, and nowhere else
    keys = np.random.default_rng(0).integers(0, 2**63, mesh.p.shape[1], dtype=np.uint64)
    _, first = np.unique(keys[mesh.t].sum(axis=0, dtype=np.uint64), return_index=True)
    return np.delete(np.arange(mesh.nelements), first)


@checked()
def loose_vertices(mesh: skfem.Mesh) -> np.ndarray:
    """Vertices, or nodes of a quadratic mesh, that belong to no element.

    Examples
    --------
    >>> import skfem
    >>> from femnn.geometry import loose_vertices
    >>> mesh = skfem.MeshHex().refined(1)
    >>> loose_vertices(skfem.MeshHex(mesh.p, mesh.t[:, 1:]))
    array([0])
    """
    return np.flatnonzero(np.bincount(node_table(mesh).ravel(), minlength=mesh.p.shape[1]) == 0)


class PartialMesh(skfem.MeshHex1):
    """The hexahedra of one part of a mesh, whose vertices may belong to elements of other parts alone."""


def warn_of_connectivity(mesh: skfem.Mesh) -> None:
    """Warn of elements that coincide and of vertices without elements: what every assembly can afford to look for."""
    duplicates = duplicate_elements(mesh)
    if len(duplicates):
        warn(
            f"{len(duplicates):,} elements have the same vertices as others, first element {duplicates[0]}: their "
            "stiffness is counted twice; remove them from the mesh"
        )
    warn_of_loose_vertices(mesh)


def warn_of_loose_vertices(mesh: skfem.Mesh) -> None:
    """Warn of vertices that belong to no element, unless the mesh is part of one in which they may."""
    loose = loose_vertices(mesh)
    if len(loose) and not isinstance(mesh, PartialMesh):
        warn(
            f"{len(loose):,} vertices belong to no element, first vertex {loose[0]}: their rows of a matrix are zero; "
            "fix their degrees of freedom, or read the mesh with femnn.read_mesh, which leaves them out"
        )


def _components(rows, columns, n_elements, n_vertices):
    """Number of components of the graph of elements and vertices that have an element."""
    size = n_elements + n_vertices
    graph = coo_matrix((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=(size, size))
    _, labels = connected_components(graph, directed=False)
    return len(np.unique(labels[:n_elements]))


def _on_other_faces(mesh):
    """Vertices of the surface inside faces or edges of others, and vertices at the place of others."""
    # slow to load, and every assembly loads this module
    from scipy.spatial import cKDTree

    facets = np.flatnonzero(mesh.f2t[1] == -1)
    corners = mesh.p.T[mesh.facets[:, facets].T]
    vertices = np.unique(mesh.facets[:, facets])
    if not len(facets) or not np.isfinite(corners).all():
        return np.empty(0, dtype=int), np.empty(0, dtype=int)
    middles = corners.mean(axis=1)
    radii = np.linalg.norm(corners - middles[:, None], axis=2).max(axis=1)
    near = cKDTree(mesh.p.T[vertices]).query_ball_point(middles, radii * (1.0 + _SAME))
    face = np.repeat(np.arange(len(facets)), [len(some) for some in near])
    vertex = vertices[np.concatenate([np.asarray(some, dtype=int) for some in near])]
    others = (mesh.facets[:, facets[face]] != vertex).all(axis=0)
    face, vertex = face[others], vertex[others]
    place, distance = _nearest(corners[face], mesh.p.T[vertex])
    on = (distance <= _SAME * radii[face]) & (np.abs(place - 0.5) <= 0.5 + _SAME).all(axis=1)
    at_corner = on & (np.abs(np.abs(place - 0.5) - 0.5) <= _SAME).all(axis=1)
    coincident = np.unique(vertex[at_corner])
    return np.setdiff1d(vertex[on & ~at_corner], coincident), coincident


def _nearest(corners, points):
    """Coordinates in [0, 1]² of the nearest points of bilinear faces (n, 4, 3), and their distances."""
    place = np.full((len(points), 2), 0.5)
    a, b, c, d = corners.transpose(1, 0, 2)
    twist = a - b + c - d
    for _ in range(_STEPS):
        u, v = place[:, :1], place[:, 1:]
        gap = points - (a + u * (b - a) + v * (d - a) + u * v * twist)
        along = np.stack([b - a + v * twist, d - a + u * twist], axis=1)
        matrix = along @ along.transpose(0, 2, 1)
        # a degenerate face is no reason to stop
        matrix += 1e-14 * np.trace(matrix, axis1=1, axis2=2)[:, None, None] * np.eye(2) + 1e-300 * np.eye(2)
        place = np.clip(place + np.linalg.solve(matrix, along @ gap[:, :, None])[:, :, 0], -0.5, 1.5)
    u, v = place[:, :1], place[:, 1:]
    return place, np.linalg.norm(points - (a + u * (b - a) + v * (d - a) + u * v * twist), axis=1)
