"""A mesh divided among ranks: the cells of this rank to assemble on, and sums over what ranks share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import skfem
from numpy.typing import ArrayLike

from femnn.checks import checked, shaped
from femnn.exceptions import MeshError, ParameterError
from femnn.geometry.connectivity import PartialMesh
from femnn.interfaces.split import Interface
from femnn.parallel.ghosts import GhostExchange
from femnn.parallel.local_mesh import LocalMesh, local_meshes
from femnn.parallel.owner_directory import OwnerDirectory
from femnn.parallel.partition import partition
from femnn.parallel.partition_files import read_local_mesh
from femnn.parallel.ranks import communicator, together
from femnn.solvers.linear.degrees_of_freedom import prescribe


@dataclass(frozen=True, eq=False, repr=False)
class DistributedMesh:
    """Own cells of this rank, with all their vertices: those it owns first, then ghosts, which other ranks own.

    A vector on this rank has three values a vertex, ghosts included, and is the same on all ranks that share a vertex.
    What is assembled on ``mesh`` has the contributions of the own cells alone: :meth:`sum` makes a vector of it.

    Attributes
    ----------
    comm
        mpi4py's communicator.
    mesh
        ``skfem.MeshHex`` of the own cells, ready for every assembly of femnn.
    cells : (m,) int64, vertices : (k,) int64
        Numbers of its cells and vertices in the whole mesh.
    numbers : (k,) int64
        Of its vertices in the distributed system: contiguous on each rank.
    halo : Halo
    boundaries : dict of (c, 4) int32
        Corners of the facets with a name that belong to own cells.
    sides : list of (pairs (c,) int64, minus (c, 4), plus (c, 4) int32)
        Of each interface: pairs of facets whose minus cell is here.
    n_cells, n_vertices
        Of the whole mesh.
    mesh_id
        Fingerprint of the whole mesh.

    Examples
    --------
    Rank 0 reads the mesh, the others get their cells from it:

    >>> import skfem
    >>> from femnn.parallel import DistributedMesh, world
    >>> mesh = DistributedMesh.of(skfem.MeshHex().refined(2) if world().rank == 0 else None)
    >>> mesh.n_cells, int(mesh.n_vertices)
    (64, 125)
    """

    comm: Any
    mesh: skfem.MeshHex
    cells: np.ndarray
    vertices: np.ndarray
    numbers: np.ndarray
    exchange: GhostExchange
    boundaries: dict
    sides: list
    n_cells: int
    n_vertices: int
    mesh_id: str

    def __repr__(self):
        return f"{len(self.cells):,} of {self.n_cells:,} cells on rank {self.comm.rank} of {self.comm.size}"

    @classmethod
    @checked()
    def of(
        cls,
        mesh: Any = None,
        costs: ArrayLike | None = None,
        interfaces: Sequence[Interface] = (),
        comm: Any = None,
        *,
        paired: bool = False,
    ) -> "DistributedMesh":
        """Partition a mesh that rank 0 has, and send every rank its cells; collective.

        Parameters
        ----------
        mesh
            The whole ``skfem.MeshHex`` on rank 0; others pass None, what they pass is not looked at.
        costs : (n,)
            Work of each cell, on rank 0, from :func:`femnn.parallel.partition.cell_costs`; None for equal cells.
        interfaces
            On rank 0: :class:`femnn.Interface` objects on this mesh.
        paired
            As :func:`femnn.parallel.partition` takes it: both cells of each pair of facets on one rank.

        Raises
        ------
        ParameterError
            If there are more ranks than cells.
        MissingExtraError, MeshError
        """
        comm = communicator(comm)
        local_mesh: Any = None
        with together(comm):
            if comm.rank == 0:
                if mesh is None:
                    raise ParameterError("rank 0 has no mesh; pass the whole mesh there")
                part = partition(mesh, comm.size, costs, interfaces, paired=paired)
                ready = local_meshes(mesh, part, comm.size, interfaces)
        if comm.rank == 0:
            # one at a time: rank 0 never holds two copies of the whole
            local_mesh = next(ready)
            for rank, other in enumerate(ready, start=1):
                comm.send(other, dest=rank)
        else:
            local_mesh = comm.recv(source=0)
        return cls.joined(local_mesh, comm)

    @classmethod
    def read(cls, folder: Any, mesh: Any = None, comm: Any = None) -> "DistributedMesh":
        """The mesh of this rank from the files of ``femnn partition``; see ``read_local_mesh``."""
        return cls.joined(read_local_mesh(folder, mesh, comm), comm)

    @classmethod
    @checked()
    def joined(cls, local_mesh: LocalMesh, comm: Any = None) -> "DistributedMesh":
        """The mesh of this rank from its :class:`femnn.parallel.local_mesh.LocalMesh`; collective.

        Raises
        ------
        MeshError
            If the meshes of the ranks are not of one mesh and one partition.
        """
        comm = communicator(comm)
        _check_local_meshes(comm, local_mesh)
        touched = np.zeros(len(local_mesh.vertices), dtype=bool)
        touched[local_mesh.corners] = True
        owners = _owners(comm, local_mesh.vertices, touched, local_mesh.n_vertices)
        order = np.lexsort((local_mesh.vertices, np.where(owners == comm.rank, -1, owners)))
        owners, vertices = owners[order], local_mesh.vertices[order]
        places = np.empty(len(order), dtype=np.int32)
        places[order] = np.arange(len(order), dtype=np.int32)

        def renamed(corners):
            return places[np.searchsorted(local_mesh.vertices, corners)]

        exchange = GhostExchange.of(comm, owners, vertices)
        first = comm.exscan(exchange.n_owned) or 0
        numbers = exchange.update(first + np.arange(len(order), dtype=np.int64))
        mesh = PartialMesh(np.ascontiguousarray(local_mesh.points[:, order]), places[local_mesh.corners])
        return cls(
            comm,
            mesh,
            local_mesh.cells,
            vertices,
            numbers,
            exchange,
            {name: renamed(corners) for name, corners in local_mesh.boundaries.items()},
            [(pairs, renamed(minus), renamed(plus)) for pairs, minus, plus in local_mesh.interfaces],
            local_mesh.n_cells,
            local_mesh.n_vertices,
            local_mesh.mesh_id,
        )

    @property
    def n_owned(self) -> int:
        """Vertices that this rank owns: the first ones of ``mesh``."""
        return self.exchange.n_owned

    @property
    def n_dofs(self) -> int:
        """Length of a vector on this rank, three values a vertex."""
        return 3 * len(self.vertices)

    @checked()
    def sum(self, contributions: ArrayLike) -> np.ndarray:
        """The vector (n_dofs,) to which each rank gives ``contributions``; collective."""
        values = self._by_vertex("contributions", np.array(contributions, dtype=float))
        return self.exchange.sum(values).reshape(np.shape(contributions))

    @checked()
    def update(self, vector: ArrayLike) -> np.ndarray:
        """The vector with the values that the owners have; collective."""
        values = self._by_vertex("vector", np.array(vector))
        return self.exchange.update(values).reshape(np.shape(vector))

    @checked()
    def dot(self, a: np.ndarray, b: np.ndarray) -> float:
        """Inner product of two vectors over the whole mesh; collective."""
        a, b, n_own = (*(shaped(name, x, (self.n_dofs,)) for name, x in (("a", a), ("b", b))), 3 * self.n_owned)
        return float(self.comm.allreduce(float(a[:n_own] @ b[:n_own])))

    @checked()
    def prescribed(self, fixed: Any, values: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Prescribed values and mask (n_dofs,) as :func:`femnn.solve` takes them; the owner's value wins.

        Raises
        ------
        ParameterError
            On all ranks, if ranks that share a degree of freedom do not agree whether it is prescribed; collective.
        """
        with together(self.comm):
            prescribed, is_fixed = prescribe(self.n_dofs, fixed, values)
        differ = np.flatnonzero(self.update(is_fixed) != is_fixed)
        with together(self.comm):
            if len(differ):
                raise ParameterError(
                    f"vertex {self.vertices[differ[0] // 3]} and {len(differ) - 1} more values are prescribed on one "
                    "rank and free on another that shares them; select them by coordinates or with "
                    "DistributedMesh.dofs_on(name)"
                )
        return self.update(prescribed), is_fixed

    @checked()
    def vertices_on(self, name: str) -> np.ndarray:
        """Vertices (local numbers) on a named boundary, those included that touch it on other ranks; collective."""
        if not any(self.comm.allgather(name in self.boundaries)):
            raise MeshError(f"there is no boundary {name!r}; there are: {', '.join(self.boundaries) or 'none'}")
        touched = np.zeros((len(self.vertices), 1))
        touched[self.boundaries.get(name, np.empty((0, 4), dtype=int))] = 1.0
        return np.flatnonzero(self.exchange.sum(touched)[:, 0])

    @checked()
    def dofs_on(self, name: str) -> np.ndarray:
        """Degrees of freedom (local numbers) on a named boundary; collective."""
        return (3 * self.vertices_on(name)[:, None] + np.arange(3)).ravel()

    @checked(number="[0, inf)")
    def interface(self, number: int = 0) -> Interface:
        """A :class:`femnn.Interface` with the pairs whose minus cell is here.

        Facets of the plus side are -1 where their cell is on another rank.
        """
        if number >= len(self.sides):
            raise ParameterError(f"there is no interface {number}; the mesh has {len(self.sides)}")
        _, minus, plus = self.sides[number]
        return Interface(self.mesh, self.facets(minus), _places(self.mesh, plus), minus, plus)

    @checked(corners="int c 4")
    def facets(self, corners: np.ndarray) -> np.ndarray:
        """Facets (c,) of ``mesh`` by their corners (c, 4), such as those of ``boundaries``.

        Raises
        ------
        ParameterError
            If the mesh has no facet with these corners.
        """
        return _facets(self.mesh, corners)

    @checked()
    def gathered(self, vector: ArrayLike) -> np.ndarray | None:
        """The vector in the order of the whole mesh, with as many values a vertex, on rank 0; None on others.

        Collective.
        """
        owned = self._by_vertex("vector", np.asarray(vector, dtype=float))[: self.n_owned]
        parts = self.comm.gather((self.vertices[: self.n_owned], owned))
        if parts is None:
            return None
        whole = np.zeros((self.n_vertices, owned.shape[1]))
        for vertices, values in parts:
            whole[vertices] = values
        return whole.ravel()

    def _by_vertex(self, name, values):
        """Values with an axis of the vertices first; they are as many for each vertex."""
        if not values.size or values.size % len(self.vertices):
            raise ParameterError(
                f"{name} has {values.size} values, this rank {len(self.vertices)} vertices; pass three for each vertex"
            )
        return values.reshape(len(self.vertices), -1)


def _check_local_meshes(comm, local_mesh):
    meshes = comm.allgather((local_mesh.mesh_id, local_mesh.n_cells, local_mesh.n_vertices, len(local_mesh.cells)))
    for rank, theirs in enumerate(meshes):
        if theirs[:3] != meshes[0][:3]:
            raise MeshError(
                f"ranks 0 and {rank} have parts of different meshes: {meshes[0][1]} cells with fingerprint "
                f"{meshes[0][0][:12]}, {theirs[1]} with {theirs[0][:12]}; partition one mesh for all ranks"
            )
    total = sum(theirs[3] for theirs in meshes)
    if total != local_mesh.n_cells:
        raise MeshError(
            f"the meshes of {comm.size} ranks have {total} cells together, the whole {local_mesh.n_cells}; partition "
            f"it for {comm.size} ranks"
        )


def _owners(comm, vertices, touched, n):
    """The lowest rank with a cell at each vertex (k,), ascending numbers below ``n``."""
    directory = OwnerDirectory(comm, vertices, n)
    lowest = np.full(directory.length, comm.size, dtype=np.int32)
    for rank, (places, with_cells) in reversed(list(enumerate(directory.send(touched)))):
        lowest[places[with_cells]] = rank
    return directory.fetch(lowest)


def _facets(mesh, corners):
    """Facets of a mesh by their corners (c, 4)."""
    found = _places(mesh, corners)
    if (found < 0).any():
        raise ParameterError(f"the mesh of this rank has no facet with the corners {corners[found < 0][0].tolist()}")
    return found


def _places(mesh, corners):
    """As :func:`_facets`, -1 where the mesh has no facet with these corners."""
    both = np.sort(np.concatenate([corners.T, mesh.facets], axis=1), axis=0)
    inverse = np.unique(both, axis=1, return_inverse=True)[1].ravel()
    numbers = np.full(inverse.max() + 1, -1)
    numbers[inverse[len(corners) :]] = np.arange(mesh.nfacets)
    return numbers[inverse[: len(corners)]]
