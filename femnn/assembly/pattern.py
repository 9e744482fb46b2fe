"""Places of the entries of each element in the sparse matrix: found once for a connectivity, used in all assemblies."""

from dataclasses import dataclass

import numpy as np
import skfem
from scipy.sparse import csr_array, csr_matrix, get_index_dtype, issparse

from femnn.assembly.blocks import Blocks
from femnn.checks import brief, checked
from femnn.exceptions import MeshError, ParameterError
from femnn.geometry.cells import kind_of_mesh
from femnn.geometry.connectivity import warn_of_loose_vertices
from femnn.geometry.mesh import require_vertices
from femnn.system.compile import njit
from femnn.system.memory import require_memory

# Neighbours of a node are counted in two bytes.
_MOST_NEIGHBOURS = 65535

#: scikit-fem's elements whose degrees of freedom are values at nodes: linear, serendipity, all quadratic functions.
NODAL = (
    skfem.ElementQuad1,
    skfem.ElementQuadS2,
    skfem.ElementQuad2,
    skfem.ElementHex1,
    skfem.ElementHexS2,
    skfem.ElementHex2,
)


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Pattern:
    """Sparsity of a node-based matrix on a mesh of hexahedra or quadrilaterals, made by :meth:`of`.

    Its arrays are read-only.

    Attributes
    ----------
    cells : (n, k) int32
        Nodes of each element, numbered like the degrees of freedom of scikit-fem's scalar element: k = 8 vertices for
        ``ElementHex1``, k = 27 nodes for ``ElementHex2``, 20 for ``ElementHexS2``; 4, 9 and 8 for quadrilaterals.
    starts : (n_nodes + 1,) int64
        Where the neighbours of each node start in ``neighbours``.
    neighbours : (starts[-1],) int32
        Nodes that share an element with each node, itself included, ascending.
    slots : (n, k, k) uint16
        Place of node b of an element among the neighbours of its node a.
    blocks : Blocks
        Elements that are added together, and which of these blocks may be added at the same time.
    """

    cells: np.ndarray
    starts: np.ndarray
    neighbours: np.ndarray
    slots: np.ndarray
    blocks: Blocks

    @classmethod
    def of(cls, mesh: skfem.Mesh, element: skfem.Element | None = None) -> "Pattern":
        """The pattern of a mesh with the nodes of an element.

        Parameters
        ----------
        mesh
            A ``skfem.MeshHex``, ``MeshHex2``, ``MeshQuad`` or ``MeshQuad2``.
        element
            ``skfem.ElementHex1()``, ``ElementHexS2()`` or ``ElementHex2()``, or those of quadrilaterals; None stands
            for the linear one.

        Raises
        ------
        MeshError
            If the mesh has other cells, an element names a vertex that the mesh does not have, two elements are the
            same or overlap in more than a face, or a node has too many neighbours.
        ParameterError
            If the element is another one; a field of vectors has the pattern of its scalar element.

        Examples
        --------
        >>> Pattern.of(skfem.MeshHex().refined())
        Pattern(8 elements of 8 nodes, 27 nodes, 343 neighbours)
        """
        _require_cells(mesh)
        if element is not None and (not isinstance(element, NODAL) or element.refdom is not mesh.refdom):
            names = [kind.__name__ for kind in NODAL if kind.refdom is mesh.refdom]
            raise ParameterError(f"{brief(element)} has no pattern; pass skfem.{'(), skfem.'.join(names)}(), or None")
        vertices = np.ascontiguousarray(mesh.t.T, dtype=np.int32)
        if element is None or isinstance(element, skfem.ElementHex1 | skfem.ElementQuad1):
            # vertices without elements have numbers too; the middles of a quadratic mesh have none in a linear element
            cells = vertices
            n_nodes = mesh.p.shape[1] if kind_of_mesh(mesh).degree == 1 else int(mesh.nvertices)
        else:
            dofs = skfem.Dofs(mesh, element)
            cells, n_nodes = np.ascontiguousarray(dofs.element_dofs.T, dtype=np.int32), dofs.N
        firsts, members = _elements_of_nodes(cells, n_nodes)
        _check_overlaps(vertices, firsts, members)
        warn_of_loose_vertices(mesh)
        starts = np.zeros(n_nodes + 1, dtype=np.int64)
        _neighbours(cells, firsts, members, starts, np.empty(0, dtype=np.int32))
        np.cumsum(starts, out=starts)
        neighbours = np.empty(starts[-1], dtype=np.int32)
        _neighbours(cells, firsts, members, starts.copy(), neighbours)
        most = int(np.diff(starts).max())
        if most > _MOST_NEIGHBOURS:
            raise MeshError(
                f"a node has {most} neighbours, itself included; more than {_MOST_NEIGHBOURS} are not provided for, "
                "check whether vertices were merged by mistake"
            )
        slots = np.empty((*cells.shape, cells.shape[1]), dtype=np.uint16)
        _fill_slots(cells, firsts, members, starts, neighbours, slots)
        pattern, blocks = cls(), Blocks.of(cells, starts, mesh.p)
        arrays = {"cells": cells, "starts": starts, "neighbours": neighbours, "slots": slots}
        for array in (*arrays.values(), *vars(blocks).values()):
            array.setflags(write=False)  # the kernels trust them
        vars(pattern).update(arrays, blocks=blocks)
        return pattern

    def __repr__(self) -> str:
        n, k = self.cells.shape
        return f"Pattern({n} elements of {k} nodes, {self.n_nodes} nodes, {len(self.neighbours)} neighbours)"

    @property
    def n_nodes(self) -> int:
        """Nodes of the mesh, those without elements included."""
        return len(self.starts) - 1

    @checked()
    def require(self, mesh: skfem.Mesh, element: skfem.Element) -> None:
        """Raise MeshError unless this pattern was made of the connectivity of ``mesh`` for a scalar ``element``."""
        nodes = len(element.doflocs)
        if self.cells.shape[1] != nodes:
            raise MeshError(
                f"the pattern has {self.cells.shape[1]} nodes per element, {type(element).__name__} has {nodes}; "
                "pass Pattern.of(mesh, element), or None"
            )
        if self.cells.shape[0] != mesh.nelements or not np.array_equal(self.cells[:, : len(mesh.t)].T, mesh.t):
            raise MeshError(
                f"the pattern belongs to another mesh: it has {len(self.cells)} elements, this one {mesh.nelements}, "
                "or their vertices differ; pass Pattern.of(mesh), or None"
            )

    @checked(components="[1, inf)")
    def empty_matrix(self, components: int) -> csr_matrix:
        """A CSR matrix with this structure, ``components`` degrees of freedom per node, and data still unset.

        All matrices of one pattern share the arrays of their structure, which are therefore read-only; a copy has its
        own.

        Raises
        ------
        MemoryError
            If the machine has not the memory that data and structure need; nothing is allocated then.
        """
        indptr, indices = self._structure(components)
        size = components * self.n_nodes
        require_memory(8 * len(indices), f"the matrix of {size:,} degrees of freedom and {len(indices):,} entries")
        return csr_matrix((np.empty(len(indices)), indices, indptr), shape=(size, size), copy=False)

    @checked(matrix="unchecked", components="[1, 64]")
    def require_own(self, matrix: csr_matrix, components: int) -> csr_matrix:
        """The matrix; ParameterError unless it came from this pattern with as many ``components``."""
        indptr, indices = self._structure(components)
        if not issparse(matrix) or matrix.format != "csr":
            raise ParameterError(
                f"out is a {type(matrix).__name__}; pass a matrix of an earlier call with this pattern"
            )
        if not (np.shares_memory(matrix.indices, indices) and np.shares_memory(matrix.indptr, indptr)):
            raise ParameterError("out was not assembled with this pattern; pass pattern= to both calls, or out=None")
        data = matrix.data
        if data.shape != indices.shape or data.dtype != float or not (data.flags.carray and data.flags.aligned):
            raise ParameterError(
                f"the data of out have been replaced by {data.dtype} {data.shape}, needed are {len(indices)} floats to "
                "write to; pass out=None"
            )
        return matrix

    def _structure(self, components):
        """Row starts and columns of a matrix, made when first asked for."""
        structures = vars(self).setdefault("_structures", {})
        if components not in structures:
            structures[components] = self._new_structure(components)
        return structures[components]

    def _new_structure(self, components):
        entries = int(self.starts[-1]) * components**2
        dtype = get_index_dtype(maxval=max(entries, components * self.n_nodes))
        # the data come right after the structure: whoever lacks the memory for them should know before this is filled
        need = entries * (8 + dtype().itemsize)
        require_memory(need, f"the matrix of {components * self.n_nodes:,} degrees of freedom and {entries:,} entries")
        indptr = np.zeros(components * self.n_nodes + 1, dtype=dtype)
        np.cumsum(np.repeat(np.diff(self.starts) * components, components), out=indptr[1:])
        indices = np.empty(entries, dtype=dtype)
        _fill_indices(self.starts, self.neighbours, components, indices)
        indptr.flags.writeable = indices.flags.writeable = False
        return indptr, indices


def _require_cells(mesh):
    """Raise MeshError unless the mesh has cells of a kind that is assembled, and vertices for them."""
    kind_of_mesh(mesh)
    if mesh.nelements == 0:
        raise MeshError("the mesh has no cells; check the file or the selection it came from")
    require_vertices(mesh)


def _check_overlaps(vertices, firsts, members):
    first, second, common = _overlap(vertices, firsts, members)
    if first < 0:
        return
    count = vertices.shape[1]
    if common == count:
        raise MeshError(f"elements {first} and {second} have the same vertices; remove one of them")
    most = "hexahedra share a face of 4" if count == 8 else "quadrilaterals share an edge of 2"
    raise MeshError(
        f"elements {first} and {second} share {common} vertices, {most} at most; repair the connectivity of the mesh"
    )


def _elements_of_nodes(cells, n_nodes):
    """Elements and places ``k e + a`` of each node, one after another, and where those of each node start."""
    n, k = cells.shape
    places = csr_array((np.arange(n * k), cells.ravel(), k * np.arange(n + 1)), shape=(n, n_nodes)).tocsc()
    return places.indptr.astype(np.int64), places.data


@njit(cache=True)
def _overlap(vertices, firsts, members):
    """The first two elements that share more than half their vertices, and how many; (-1, -1, 0) if there are none.

    Vertices that a collapsed element names twice count once.
    """
    n, k = vertices.shape
    width = members.shape[0] // n
    common, last = np.zeros(n, dtype=np.uint8), np.full(n, -1, dtype=np.int64)
    for e in range(n):
        for a in range(k):
            vertex = vertices[e, a]
            for m in range(firsts[vertex], firsts[vertex + 1]):
                other = members[m] // width
                if other > e and last[other] != vertex and _first(vertices, e, vertex) == a:
                    common[other] += 1
                    last[other] = vertex
                    if common[other] > k // 2:
                        return e, other, _common_vertices(vertices, e, other)
        for a in range(k):
            for m in range(firsts[vertices[e, a]], firsts[vertices[e, a] + 1]):
                common[members[m] // width] = 0
                last[members[m] // width] = -1
    return -1, -1, 0


@njit(cache=True)
def _first(vertices, e, vertex):
    """Place of a vertex in an element, the first if it has it twice; the number of vertices if it has not."""
    for a in range(vertices.shape[1]):
        if vertices[e, a] == vertex:
            return a
    return vertices.shape[1]


@njit(cache=True)
def _common_vertices(vertices, e, other):
    count = 0
    for a in range(vertices.shape[1]):
        vertex = vertices[e, a]
        count += _first(vertices, e, vertex) == a and _first(vertices, other, vertex) < vertices.shape[1]
    return count


@njit(cache=True)
def _neighbours(cells, firsts, members, places, neighbours):
    """Neighbours of all nodes, ascending, if there is room for them; else their numbers in ``places[node + 1]``.

    Nodes enter themselves in ascending order with their neighbours, from ``places`` on: nothing need be sorted.
    """
    n, k = firsts.shape[0] - 1, cells.shape[1]
    fill = neighbours.shape[0] > 0
    seen = np.full(n, -1, dtype=np.int64)
    for node in range(n):
        for m in range(firsts[node], firsts[node + 1]):
            e = members[m] // k
            for b in range(k):
                other = cells[e, b]
                if seen[other] == node:
                    continue
                seen[other] = node
                if fill:
                    neighbours[places[other]] = node
                    places[other] += 1
                else:
                    places[other + 1] += 1


@njit(cache=True)
def _fill_slots(cells, firsts, members, starts, neighbours, slots):
    k = cells.shape[1]
    place = np.empty(firsts.shape[0] - 1, dtype=np.uint16)
    for node in range(firsts.shape[0] - 1):
        for s in range(starts[node], starts[node + 1]):
            place[neighbours[s]] = s - starts[node]
        for m in range(firsts[node], firsts[node + 1]):
            e, a = members[m] // k, members[m] % k
            for b in range(k):
                slots[e, a, b] = place[cells[e, b]]


@njit(cache=True)
def _fill_indices(starts, neighbours, components, indices):
    position = 0
    for node in range(starts.shape[0] - 1):
        for _ in range(components):
            for s in range(starts[node], starts[node + 1]):
                for j in range(components):
                    indices[position] = components * neighbours[s] + j
                    position += 1
