"""The distributed matrix: each rank adds up what its cells and those of its neighbours give to its own rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array, csr_matrix

from femnn.assembly.elasticity import assemble_elasticity as assemble_own_cells
from femnn.checks import checked, instance, shaped
from femnn.exceptions import ParameterError
from femnn.parallel.distributed_mesh import DistributedMesh
from femnn.parallel.ranks import petsc
from femnn.system.compile import njit


@dataclass(eq=False, repr=False)
class RankMatrix:
    """A matrix over all ranks, three rows a vertex.

    Attributes
    ----------
    distributed : DistributedMesh
    petsc
        ``petsc4py.PETSc.Mat``, AIJ with block size 3; rows and columns are numbered as ``distributed.numbers`` says.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.parallel import DistributedMesh, assemble_elasticity
    >>> mesh = DistributedMesh.of(skfem.MeshHex().refined(1))
    >>> matrix = assemble_elasticity(mesh, femnn.GaussLegendre(2), 210e9, 0.3)
    >>> matrix.shape, matrix.is_finite()
    ((81, 81), True)
    """

    distributed: DistributedMesh
    petsc: Any

    @classmethod
    @checked()
    def of(cls, distributed: DistributedMesh, matrix: Any, rows: "Rows | None" = None) -> "RankMatrix":
        """The sum over the ranks of matrices (n_dofs, n_dofs) in CSR format, in full blocks of 3 by 3; collective.

        The ``matrix`` of each rank is numbered like the vertices of ``distributed.mesh``. What it gives to rows of
        ghosts goes to their owners; all other values are copied once, into the arrays that PETSc uses as they are.
        ``rows`` is ``Rows.of(distributed, matrix)`` of a matrix with the same structure, None to find it.
        """
        rows = Rows.of(distributed, matrix) if rows is None else rows
        return cls(distributed, rows.filled(matrix.data))

    def __repr__(self):
        return "RankMatrix of shape ({}, {})".format(*self.shape)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the whole."""
        return self.petsc.getSize()

    def is_finite(self) -> bool:
        """True if all entries are finite; collective."""
        return bool(np.isfinite(self.petsc.norm()))

    def __matmul__(self, vector: np.ndarray) -> np.ndarray:
        """Product with a vector on this rank; collective."""
        x, y = self.petsc.createVecs()
        x.setArray(vector[: 3 * self.distributed.n_owned])
        self.petsc.mult(x, y)
        return self.vector(y)

    def vector(self, y: Any) -> np.ndarray:
        """A ``PETSc.Vec`` as a vector on this rank; collective."""
        values = np.zeros(self.distributed.n_dofs)
        values[: 3 * self.distributed.n_owned] = y.getArray(readonly=True)
        return self.distributed.update(values)


@checked()
def assemble_elasticity(
    distributed: DistributedMesh, rule: Any, *args: Any, rows: "Rows | None" = None, **options: Any
) -> RankMatrix:
    """Stiffness matrix of linear elasticity over all ranks, as :func:`femnn.assemble_elasticity` makes it on one.

    Coefficients that are given per element are those of the own cells. ``rows`` goes to :meth:`RankMatrix.of`.
    Collective.

    Returns
    -------
    RankMatrix

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.parallel import DistributedMesh, assemble_elasticity
    >>> mesh = DistributedMesh.of(skfem.MeshHex().refined(1))
    >>> assemble_elasticity(mesh, femnn.GaussLegendre(2), young=210e9, poisson=0.3).shape
    (81, 81)
    """
    return RankMatrix.of(distributed, assemble_own_cells(distributed.mesh, rule, *args, **options), rows)


def _blocks_of(matrix, n):
    """Neighbours of each node in a CSR matrix of full blocks."""
    instance("matrix", matrix, csr_matrix, csr_array)
    if matrix.shape != (3 * n, 3 * n):
        raise ParameterError(
            f"the matrix has shape {matrix.shape}, the mesh {n} vertices; assemble it on distributed.mesh"
        )
    widths = np.diff(matrix.indptr)
    first = widths[::3]
    if (widths.reshape(-1, 3) != first[:, None]).any() or (first % 3).any():
        raise ParameterError("the matrix has no full blocks of 3 by 3; keep the zeros that assembly stores")
    starts = np.zeros(n + 1, dtype=np.int64)
    np.cumsum(first // 3, out=starts[1:])
    neighbours = np.empty(starts[-1], dtype=np.int32)
    _read_blocks(matrix.indptr, matrix.indices, starts, neighbours)
    return starts, neighbours


@dataclass
class Rows:
    """Destinations of the blocks of a rank's cells: its own rows and those of other ranks.

    A block of a row has a code: the place of its column among the own vertices, or ``n_owned`` + the number of its
    column in the whole system. ``codes`` ascend in each row, so that own columns come first.

    Examples
    --------
    Where entries go is found out once for all matrices of a mesh:

    >>> import femnn, skfem
    >>> from femnn.parallel import DistributedMesh, Rows, assemble_elasticity
    >>> mesh, rule = DistributedMesh.of(skfem.MeshHex().refined(1)), femnn.GaussLegendre(2)
    >>> rows = Rows.of(mesh, femnn.assemble_elasticity(mesh.mesh, rule, 1.0, 0.3))
    >>> assemble_elasticity(mesh, rule, 210e9, 0.3, rows=rows).shape
    (81, 81)
    """

    distributed: DistributedMesh
    sources: tuple  # starts (k + 1,) and neighbours of the blocks that own cells give to each vertex
    starts: np.ndarray
    codes: np.ndarray
    own_starts: np.ndarray  # where the blocks with own columns start, (n_owned + 1,)
    other_starts: np.ndarray  # and the others
    received: list  # (rank, rows, starts, places) of what others send

    @classmethod
    @checked()
    def of(cls, distributed: DistributedMesh, matrix: Any) -> "Rows":
        """The rows of a matrix of the own cells, as :meth:`RankMatrix.of` takes it; collective."""
        starts, neighbours = _blocks_of(matrix, len(distributed.vertices))
        comm, exchange, numbers = distributed.comm, distributed.exchange, distributed.numbers
        n = exchange.n_owned
        first = int(numbers[0]) if n else 0
        sent = [None] * comm.size
        for rank, run in exchange.ghosts:
            begin, end = starts[run.start], starts[run.stop]
            sent[rank] = (np.diff(starts[run.start : run.stop + 1]), numbers[neighbours[begin:end]])
        answers = comm.alltoall(sent)
        total = comm.allreduce(n)
        received, keys = [], [np.empty(0, dtype=np.int64)]
        for rank, mirrored in exchange.mirrors:
            widths, columns = answers[rank]
            here = (columns >= first) & (columns < first + n)
            codes = np.where(here, columns - first, n + columns)
            rows = np.repeat(mirrored, widths)
            received.append((rank, mirrored, np.concatenate([[0], np.cumsum(widths)]), rows, codes))
            keys.append(rows * (n + total) + codes)
        extra = np.unique(np.concatenate(keys))
        rows, codes = extra // (n + total), extra % (n + total)
        extra_starts = np.searchsorted(rows, np.arange(n + 1))
        merged_starts, merged = _merge(starts, neighbours, numbers, n, extra_starts, codes)
        own_starts, other_starts = _split(merged_starts, merged, n)
        places = [
            (rank, mirrored, where, _places(merged_starts, merged, rows, codes))
            for rank, mirrored, where, rows, codes in received
        ]
        return cls(distributed, (starts, neighbours), merged_starts, merged, own_starts, other_starts, places)

    def filled(self, data: np.ndarray) -> Any:
        """The PETSc matrix with the values ``data`` of the own cells and of all others; collective."""
        (starts, neighbours), comm, exchange = self.sources, self.distributed.comm, self.distributed.exchange
        data = shaped("data", data, (9 * len(neighbours),), "nine values for each block")
        requests = []
        for rank, run in exchange.ghosts:
            requests.append(comm.Isend(data[9 * starts[run.start] : 9 * starts[run.stop]], dest=rank))
        buffers = []
        for rank, mirrored, where, places in self.received:
            buffer = np.empty(9 * where[-1])
            requests.append(comm.Irecv(buffer, source=rank))
            buffers.append((mirrored, where, places, buffer))
        inner, outer = np.zeros(9 * self.own_starts[-1]), np.zeros(9 * self.other_starts[-1])
        target = (self.starts, self.own_starts, self.other_starts, inner, outer)
        _add_own(starts, neighbours, self.distributed.numbers, exchange.n_owned, data, self.codes, *target)
        for request in requests:
            request.Wait()
        for mirrored, where, places, buffer in buffers:
            _add_received(mirrored, where, places, buffer, *target)
        n = exchange.n_owned
        is_own = self.codes < n
        sides = [(*_expanded(self.own_starts, self.codes[is_own]), inner)]
        if comm.size > 1:
            sides.append((*_expanded(self.other_starts, self.codes[~is_own] - n), outer))
        sizes = ((3 * n, None), (3 * n, None))
        csr = sides[0] if comm.size == 1 else tuple(sides)
        matrix = petsc().Mat().createAIJWithArrays(sizes, csr, bsize=3, comm=comm)
        matrix.assemble()
        return matrix


def _expanded(starts, columns):
    """CSR structure, 32 bits, of full blocks of 3 by 3."""
    kind = petsc().IntType
    widths = np.repeat(3 * np.diff(starts), 3)
    indptr = np.zeros(len(widths) + 1, dtype=kind)
    np.cumsum(widths, out=indptr[1:])
    indices = np.empty(9 * len(columns), dtype=kind)
    _fill_columns(starts, columns, indices)
    return indptr, indices


@njit(cache=True)
def _read_blocks(indptr, indices, starts, neighbours):
    for node in range(starts.shape[0] - 1):
        for s in range(starts[node + 1] - starts[node]):
            neighbours[starts[node] + s] = indices[indptr[3 * node] + 3 * s] // 3


@njit(cache=True)
def _code(neighbour, numbers, n):
    return np.int64(neighbour) if neighbour < n else n + numbers[neighbour]


@njit(cache=True)
def _merge(starts, neighbours, numbers, n, extra_starts, extra):
    """Rows with the blocks of own cells and ``extra`` ones; both ascend in each row."""
    merged_starts = np.zeros(n + 1, dtype=np.int64)
    merged = np.empty(starts[n] + len(extra), dtype=np.int64)
    end = 0
    for row in range(n):
        s, x = starts[row], extra_starts[row]
        while s < starts[row + 1] or x < extra_starts[row + 1]:
            code = _code(neighbours[s], numbers, n) if s < starts[row + 1] else np.iinfo(np.int64).max
            other = extra[x] if x < extra_starts[row + 1] else np.iinfo(np.int64).max
            merged[end] = min(code, other)
            end += 1
            s += code <= other
            x += other <= code
        merged_starts[row + 1] = end
    return merged_starts, merged[:end].copy()


@njit(cache=True)
def _split(starts, codes, n):
    own_starts, other_starts = np.zeros(n + 1, dtype=np.int64), np.zeros(n + 1, dtype=np.int64)
    for row in range(n):
        count = 0
        for s in range(starts[row], starts[row + 1]):
            count += codes[s] < n
        own_starts[row + 1] = own_starts[row] + count
        other_starts[row + 1] = other_starts[row] + starts[row + 1] - starts[row] - count
    return own_starts, other_starts


@njit(cache=True)
def _places(starts, merged, rows, codes):
    places = np.empty(len(rows), dtype=np.int64)
    for i in range(len(rows)):
        row = merged[starts[rows[i]] : starts[rows[i] + 1]]
        places[i] = np.searchsorted(row, codes[i])
    return places


@njit(cache=True)
def _fill_columns(starts, columns, indices):
    position = 0
    for row in range(starts.shape[0] - 1):
        for _ in range(3):
            for s in range(starts[row], starts[row + 1]):
                for j in range(3):
                    indices[position] = 3 * columns[s] + j
                    position += 1


@njit(cache=True)
def _add_block(row, place, source, width, data, own_starts, other_starts, inner, outer):
    """Add the block whose first value is ``data[source]`` in rows of ``3 width`` values."""
    count = own_starts[row + 1] - own_starts[row]
    if place < count:
        target, step = 9 * own_starts[row] + 3 * place, 3 * count
        for i in range(3):
            for j in range(3):
                inner[target + i * step + j] += data[source + i * 3 * width + j]
    else:
        step = 3 * (other_starts[row + 1] - other_starts[row])
        target = 9 * other_starts[row] + 3 * (place - count)
        for i in range(3):
            for j in range(3):
                outer[target + i * step + j] += data[source + i * 3 * width + j]


@njit(cache=True)
def _add_own(starts, neighbours, numbers, n, data, codes, merged_starts, own_starts, other_starts, inner, outer):
    for row in range(n):
        place, width = 0, starts[row + 1] - starts[row]
        for s in range(width):
            code = _code(neighbours[starts[row] + s], numbers, n)
            while codes[merged_starts[row] + place] != code:
                place += 1
            _add_block(row, place, 9 * starts[row] + 3 * s, width, data, own_starts, other_starts, inner, outer)


@njit(cache=True)
def _add_received(rows, where, places, data, merged_starts, own_starts, other_starts, inner, outer):
    for i in range(len(rows)):
        width = where[i + 1] - where[i]
        for s in range(width):
            source = 9 * where[i] + 3 * s
            _add_block(rows[i], places[where[i] + s], source, width, data, own_starts, other_starts, inner, outer)
