"""Unknowns of any number at a vertex over all ranks, and sparse matrices between them: sums of what own cells give."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import coo_array, csr_array, sparray

from femnn.parallel.distributed_mesh import DistributedMesh
from femnn.parallel.ranks import petsc


@dataclass(frozen=True, eq=False)
class Unknowns:
    """The unknowns of a distributed mesh, as many at each vertex; vectors of a rank have those of ghosts, too.

    In the distributed system they are numbered vertex by vertex, those of a rank one after another.

    Attributes
    ----------
    distributed : DistributedMesh
    components
        Unknowns at a vertex.
    by_component
        Whether vectors of a rank hold one component after another, (components · n,), instead of vertex by vertex.
    """

    distributed: DistributedMesh
    components: int
    by_component: bool = False

    @property
    def n_owned(self) -> int:
        """How many this rank owns."""
        return self.components * self.distributed.n_owned

    @property
    def sizes(self) -> tuple[int, int]:
        """How many this rank owns, and all ranks together."""
        return self.n_owned, self.components * int(self.distributed.n_vertices)

    @property
    def numbers(self) -> np.ndarray:
        """In the distributed system, (n,) int64, in the order of vectors of this rank."""
        return self._vector(self.components * self.distributed.numbers[:, None] + np.arange(self.components))

    def owned(self, vector: np.ndarray) -> np.ndarray:
        """Of a vector of this rank the values (n_owned,) that it owns, in the order of the distributed system."""
        return self._values(vector)[: self.distributed.n_owned].ravel()

    def spread(self, owned: np.ndarray) -> np.ndarray:
        """The vector of this rank of which each rank has the values (n_owned,) that it owns; collective."""
        values = np.zeros((len(self.distributed.vertices), self.components))
        values[: self.distributed.n_owned] = owned.reshape(-1, self.components)
        return self._vector(self.distributed.exchange.update(values))

    def sum(self, contributions: np.ndarray) -> np.ndarray:
        """The vector to which each rank gives ``contributions``; collective."""
        return self._vector(self.distributed.exchange.sum(self._values(contributions).copy()))

    def _values(self, vector):
        """By vertex, (n, components)."""
        if self.by_component:
            return vector.reshape(self.components, -1).T
        return vector.reshape(-1, self.components)

    def _vector(self, values):
        return values.T.ravel() if self.by_component else values.ravel()


def summed(matrix: sparray, rows: Unknowns, columns: Unknowns) -> Any:
    """``petsc4py.PETSc.Mat``, the sum over the ranks of the matrices (rows, columns) of their own cells; collective.

    What a rank gives to rows of ghosts goes to their owners.
    """
    comm, part, kind = rows.distributed.comm, coo_array(matrix), petsc().IntType
    row, column = rows.numbers[part.row], columns.numbers[part.col]
    bounds = np.cumsum([0, *comm.allgather(rows.n_owned)])
    owner = np.searchsorted(bounds, row, side="right") - 1
    nothing = np.empty(0, dtype=np.int64)
    others = [np.flatnonzero(owner == rank) if rank != comm.rank else nothing for rank in range(comm.size)]
    received = comm.alltoall([(row[sent], column[sent], part.data[sent]) for sent in others])
    mine = owner == comm.rank
    row, column, data = (
        np.concatenate([own[mine], *theirs])
        for own, theirs in zip((row, column, part.data), zip(*received, strict=True), strict=True)
    )
    where = ((row - bounds[comm.rank]).astype(kind), column.astype(kind))
    whole = csr_array(coo_array((data, where), shape=(rows.n_owned, columns.sizes[1])))
    csr = (whole.indptr.astype(kind), whole.indices.astype(kind), whole.data)
    square = rows.components if rows is columns else None
    result = petsc().Mat().createAIJ((rows.sizes, columns.sizes), bsize=square, csr=csr, comm=comm)
    result.assemble()
    return result
