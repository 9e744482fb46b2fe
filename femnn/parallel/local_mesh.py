"""The part of a mesh that one rank gets: its own cells in the numbers of the whole, before it knows of other ranks."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import skfem

from femnn.checks import checked, instance
from femnn.exceptions import ParameterError
from femnn.interfaces.split import Interface


@dataclass(frozen=True, eq=False, repr=False)
class LocalMesh:
    """Cells of one rank. All numbers are those of the whole mesh.

    Attributes
    ----------
    cells : (m,) int64
        Which cells they are.
    vertices : (k,) int64
        Vertices of these cells, and those across an interface, ascending.
    points : (3, k)
        Where they are.
    corners : (8, m) int32
        Vertices of the cells as places in ``vertices``.
    boundaries : dict of (c, 4) int64
        Corners of the facets with a name that belong to these cells.
    interfaces : list of (pairs (c,), minus (c, 4), plus (c, 4)), int64
        Pairs of facets whose minus cell is here, and their corners.
    n_cells, n_vertices
        Of the whole mesh.
    mesh_id
        Fingerprint of the whole mesh, see :func:`fingerprint`.

    Examples
    --------
    >>> import numpy as np, skfem
    >>> from femnn.parallel import local_meshes
    >>> mesh = skfem.MeshHex().refined(1)
    >>> first, second = local_meshes(mesh, np.array([0, 0, 0, 0, 1, 1, 1, 1]), ranks=2)
    >>> first.cells, second.points.shape
    (array([0, 1, 2, 3]), (3, 20))
    """

    cells: np.ndarray
    vertices: np.ndarray
    points: np.ndarray
    corners: np.ndarray
    n_cells: int
    n_vertices: int
    mesh_id: str
    boundaries: dict = field(default_factory=dict)
    interfaces: list = field(default_factory=list)

    def __repr__(self):
        return f"{len(self.cells):,} of {self.n_cells:,} cells, {len(self.vertices):,} vertices"


def fingerprint(mesh: Any) -> str:
    """A name for the geometry and connectivity of a mesh that no other mesh has.

    Examples
    --------
    >>> import skfem
    >>> from femnn.parallel import fingerprint
    >>> mesh = skfem.MeshHex().refined(1)
    >>> fingerprint(mesh) == fingerprint(skfem.MeshHex().refined(1)), fingerprint(mesh) == fingerprint(mesh.scaled(2.0))
    (True, False)
    """
    instance("mesh", mesh, skfem.Mesh)
    digest = hashlib.sha256()
    for array, kind in ((mesh.p, np.float64), (mesh.t, np.int64)):
        digest.update(str(array.shape).encode())
        digest.update(np.ascontiguousarray(array, dtype=kind).data)
    return digest.hexdigest()


@checked(part="n")
def local_meshes(
    mesh: Any, part: np.ndarray, ranks: int, interfaces: Sequence[Interface] = (), mesh_id: str | None = None
) -> Iterator[LocalMesh]:
    """Yield the :class:`LocalMesh` of each rank, one after another.

    Parameters
    ----------
    mesh
        The whole ``skfem.MeshHex``; of its tags the named boundaries are kept.
    part : (n,)
        Rank of each cell, from :func:`femnn.parallel.partition.partition`.
    ranks
        How many there are.
    interfaces
        :class:`femnn.Interface` objects on this mesh.
    mesh_id
        Its fingerprint, if it is known.

    Raises
    ------
    MeshError, ParameterError
        If there is not one rank for each cell, or an interface belongs to another mesh.

    Examples
    --------
    >>> import numpy as np, skfem
    >>> from femnn.parallel import local_meshes
    >>> mesh = skfem.MeshHex().refined(1)
    >>> [len(part.cells) for part in local_meshes(mesh, np.array([0, 0, 0, 1, 1, 1, 1, 1]), ranks=2)]
    [3, 5]
    """
    instance("mesh", mesh, skfem.Mesh)
    if part.shape != (mesh.nelements,):
        raise ParameterError(f"part has shape {part.shape}; pass the rank of each of the {mesh.nelements} cells")
    for interface in interfaces:
        interface.require_mesh(mesh)
    mesh_id = fingerprint(mesh) if mesh_id is None else mesh_id
    names = {name: np.asarray(facets) for name, facets in (mesh.boundaries or {}).items()}
    for rank in range(ranks):
        cells = np.flatnonzero(part == rank)
        pairs = [np.flatnonzero(part[mesh.f2t[0, interface.minus]] == rank) for interface in interfaces]
        sides = [
            (kept, interface.minus_vertices[kept].astype(np.int64), interface.plus_vertices[kept].astype(np.int64))
            for kept, interface in zip(pairs, interfaces, strict=True)
        ]
        corners = mesh.t[:, cells]
        vertices = np.unique(np.concatenate([corners.ravel(), *(plus.ravel() for _, _, plus in sides)]))
        yield LocalMesh(
            cells,
            vertices.astype(np.int64),
            np.ascontiguousarray(mesh.p[:, vertices], dtype=float),
            np.searchsorted(vertices, corners).astype(np.int32),
            mesh.nelements,
            mesh.nvertices,
            mesh_id,
            {name: _corners(mesh, facets, part, rank) for name, facets in names.items()},
            sides,
        )


def _corners(mesh, facets, part, rank):
    """Corners (c, 4) of the facets with a cell on a rank, around each facet."""
    cells = mesh.f2t[:, facets]
    here = (part[cells] == rank) & (cells >= 0)
    return mesh.facets[:, facets[here.any(axis=0)]].T.astype(np.int64)
