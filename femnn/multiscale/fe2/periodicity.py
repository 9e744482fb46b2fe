"""Periodic boxes: which vertices are images of each other, and meshes of such boxes with inclusions."""

from typing import Any, NamedTuple

import numpy as np
import skfem
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from femnn.checks import checked
from femnn.exceptions import MeshError, ParameterError
from femnn.geometry.mesh import require_hexahedra

# Vertices whose images are this close, over the edge of the box, are images.
_CLOSE = 1e-7


class PeriodicBox(NamedTuple):
    """A mesh whose opposite faces have the same vertices.

    Attributes
    ----------
    origin, edges : (3,)
        Lowest corner and lengths.
    master : (n_vertices,) int64
        Number of the independent vertex that each vertex is an image of, counted from 0.
    coordinates : (3, m)
        Of the independent vertices.
    corner : int
        The independent vertex at the corners.

    Examples
    --------
    >>> import skfem
    >>> from femnn.multiscale.fe2 import PeriodicBox
    >>> box = PeriodicBox.of(skfem.MeshHex.init_tensor([0.0, 1.0, 2.0], [0.0, 1.0], [0.0, 1.0]))
    >>> box.edges, float(box.volume), box.coordinates.shape
    (array([2., 1., 1.]), 2.0, (3, 2))
    """

    origin: np.ndarray
    edges: np.ndarray
    master: np.ndarray
    coordinates: np.ndarray
    corner: int

    @classmethod
    def of(cls, mesh: Any) -> "PeriodicBox":
        """The images of the vertices of a ``skfem.MeshHex``.

        Raises
        ------
        MeshError
            If the mesh is another one, or a vertex of a face has no image on the opposite one.
        """
        require_hexahedra(mesh)
        origin, end = mesh.p.min(axis=1), mesh.p.max(axis=1)
        edges = end - origin
        low = np.abs(mesh.p - origin[:, None]) <= _CLOSE * edges[:, None]
        high = np.abs(mesh.p - end[:, None]) <= _CLOSE * edges[:, None]
        boundary = np.flatnonzero((low | high).any(axis=0))
        # each vertex moved to the lower faces; images then coincide
        moved = np.where(high, origin[:, None], mesh.p)[:, boundary] / edges[:, None]
        tree = cKDTree(moved.T)
        first = np.array([min(near) for near in tree.query_ball_point(moved.T, _CLOSE)])
        master = np.arange(mesh.nvertices)
        master[boundary] = boundary[first]
        directions = (low | high)[:, boundary].sum(axis=0)
        images = np.bincount(first, minlength=len(boundary))[first]
        odd = np.flatnonzero(images != 2**directions)
        if len(odd):
            vertex = int(boundary[odd[0]])
            raise MeshError(
                f"vertex {vertex} at {mesh.p[:, vertex].round(6).tolist()} and {len(odd) - 1} others have "
                f"{images[odd[0]]} images on the faces of the box, expected are {2 ** directions[odd[0]]}: mesh "
                "opposite faces alike, and let no interface reach them"
            )
        independent, numbered = np.unique(master, return_inverse=True)
        corners = np.flatnonzero((low | high).all(axis=0))
        return cls(origin, edges, numbered.astype(np.int64), mesh.p[:, independent], int(numbered[corners[0]]))

    @property
    def volume(self) -> float:
        """Of the box, holes included."""
        return float(np.prod(self.edges))


@checked(centres="m 3", n="[2, inf)", radius="(0, inf)", edge="(0, inf)")
def cell_with_inclusions(
    n: int, centres: ArrayLike = ((0.5, 0.5, 0.5),), radius: float = 0.3, *, edge: float = 1.0, shape: str = "sphere"
) -> skfem.MeshHex:
    """A box of n³ cubes with the subdomains ``"matrix"`` and ``"inclusion"`` and their boundary ``"interface"``.

    Parameters
    ----------
    n
        Cubes along an edge.
    centres : (m, 3)
        Of the inclusions, in parts of the edge; they are continued periodically.
    radius
        In parts of the edge: cubes whose middle is closer belong to an inclusion.
    edge
        Of the box (m).
    shape
        ``"sphere"`` or ``"cube"`` of this half edge.

    Raises
    ------
    ParameterError
        If no cube, or every cube, belongs to an inclusion.

    Examples
    --------
    >>> mesh = cell_with_inclusions(4, radius=0.3)
    >>> {name: len(cells) for name, cells in mesh.subdomains.items()}
    {'matrix': 56, 'inclusion': 8}
    """
    if shape not in ("sphere", "cube"):
        raise ParameterError(f"shape={shape!r} is not allowed; pass 'sphere' or 'cube'")
    line = np.linspace(0.0, edge, n + 1)
    mesh = skfem.MeshHex.init_tensor(line, line, line)
    middles = mesh.p[:, mesh.t].mean(axis=1).T / edge
    away = middles[:, None] - np.asarray(centres)[None]
    away = np.abs(away - np.round(away))
    distance = np.linalg.norm(away, axis=2) if shape == "sphere" else away.max(axis=2)
    inside = (distance < radius).any(axis=1)
    if inside.all() or not inside.any():
        raise ParameterError(
            f"{inside.sum()} of {len(inside)} cubes belong to inclusions of radius {radius:g}; choose another radius, "
            "or more cubes"
        )
    mesh = mesh.with_subdomains({"matrix": np.flatnonzero(~inside), "inclusion": np.flatnonzero(inside)})
    cells = mesh.f2t
    between = (cells[1] >= 0) & (inside[cells[0]] != inside[np.maximum(cells[1], 0)])
    return mesh.with_boundaries({"interface": np.flatnonzero(between)})
