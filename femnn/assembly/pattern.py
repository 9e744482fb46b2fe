"""Where the entries of each element go in the sparse matrix, and which elements may be added at the same time.

Both depend on the mesh's connectivity alone and are built once. Elements are taken in blocks of neighbours; blocks of
one colour share no vertex, so threads can add them without locks, and since colours follow each other in a fixed order
every entry is summed in the same order, whatever the number of threads.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from femnn.exceptions import MeshError

#: Elements per block: enough work for a thread between two barriers, few enough for its rows to stay in the cache.
BLOCK = 512

# Neighbours of a vertex are counted in one byte.
_MOST_NEIGHBOURS = 255


@dataclass(frozen=True)
class Pattern:
    """Sparsity of a vertex-based matrix on a hexahedral mesh.

    Attributes
    ----------
    cells : (n, 8) int32
        Vertices of each element.
    starts : (n_vertices + 1,) int64
        Where the neighbours of each vertex start in ``neighbours``.
    neighbours : (starts[-1],) int32
        Vertices that share an element with each vertex, itself included, ascending.
    slots : (n, 8, 8) uint8
        Place of vertex b of an element among the neighbours of its vertex a.
    order : (n,) int32, blocks : (n_blocks + 1,) int64, colours : (n_colours + 1,) int64
        Elements in the order of assembly, where blocks start in it, where colours start among the blocks.
    """

    cells: np.ndarray
    starts: np.ndarray
    neighbours: np.ndarray
    slots: np.ndarray
    order: np.ndarray
    blocks: np.ndarray
    colours: np.ndarray

    @classmethod
    def of(cls, mesh):
        """The pattern of a ``skfem.MeshHex``; MeshError if a vertex has more than 255 neighbours."""
        cells = np.ascontiguousarray(mesh.t.T, dtype=np.int32)
        n_vertices = mesh.p.shape[1]
        firsts, members = _elements_of_vertices(cells, n_vertices)
        starts, neighbours = _neighbours(cells, firsts, members)
        most = int(np.diff(starts).max())
        if most > _MOST_NEIGHBOURS:
            raise MeshError(
                f"a vertex has {most} neighbours, itself included; more than {_MOST_NEIGHBOURS} are not provided for, "
                "check whether vertices were merged by mistake"
            )
        slots = _slots(cells, starts, neighbours)
        # elements that follow each other share vertices, as far as the vertices are numbered along the mesh
        order = np.argsort(cells.min(axis=1), kind="stable").astype(np.int32)
        blocks, colours = _coloured_blocks(cells, order, firsts, members)
        order, blocks = _sorted_by_colour(order, blocks, colours)
        counts = np.bincount(colours)
        return cls(cells, starts, neighbours, slots, order, blocks, np.concatenate([[0], np.cumsum(counts)]))

    def vector_structure(self, components=3):
        """``indptr`` and ``indices`` of the CSR matrix with ``components`` degrees of freedom per vertex."""
        degrees = np.diff(self.starts)
        rows = np.repeat(degrees * components, components)
        indptr = np.concatenate([[0], np.cumsum(rows)])
        indices = np.empty(indptr[-1], dtype=np.int32)
        _fill_indices(self.starts, self.neighbours, components, indices)
        return indptr, indices


@njit(cache=True)
def _elements_of_vertices(cells, n_vertices):
    counts = np.zeros(n_vertices + 1, dtype=np.int64)
    for e in range(cells.shape[0]):
        for a in range(8):
            counts[cells[e, a] + 1] += 1
    firsts = np.cumsum(counts)
    members = np.empty(firsts[-1], dtype=np.int32)
    filled = firsts[:-1].copy()
    for e in range(cells.shape[0]):
        for a in range(8):
            vertex = cells[e, a]
            members[filled[vertex]] = e
            filled[vertex] += 1
    return firsts, members


@njit(cache=True)
def _neighbours(cells, firsts, members):
    n = firsts.shape[0] - 1
    starts = np.zeros(n + 1, dtype=np.int64)
    # most vertices of a hexahedral mesh have 27 neighbours
    neighbours = np.empty(27 * n + 64, dtype=np.int32)
    seen = np.full(n, -1, dtype=np.int64)
    end = 0
    for vertex in range(n):
        first = end
        for k in range(firsts[vertex], firsts[vertex + 1]):
            for b in range(8):
                other = cells[members[k], b]
                if seen[other] != vertex:
                    seen[other] = vertex
                    if end == neighbours.shape[0]:
                        grown = np.empty(2 * end, dtype=np.int32)
                        grown[:end] = neighbours
                        neighbours = grown
                    neighbours[end] = other
                    end += 1
        neighbours[first:end].sort()
        starts[vertex + 1] = end
    return starts, neighbours[:end].copy()


@njit(cache=True)
def _slots(cells, starts, neighbours):
    slots = np.empty((cells.shape[0], 8, 8), dtype=np.uint8)
    for e in range(cells.shape[0]):
        for a in range(8):
            first = starts[cells[e, a]]
            own = neighbours[first : starts[cells[e, a] + 1]]
            for b in range(8):
                slots[e, a, b] = np.searchsorted(own, cells[e, b])
    return slots


@njit(cache=True)
def _coloured_blocks(cells, order, firsts, members):
    """Greedy colours of consecutive blocks: the least that no earlier block with a common vertex has."""
    n = cells.shape[0]
    count = (n + BLOCK - 1) // BLOCK
    block_of = np.empty(n, dtype=np.int64)
    for k in range(n):
        block_of[order[k]] = k // BLOCK
    colours = np.full(count, -1, dtype=np.int64)
    taken = np.full(count + 1, -1, dtype=np.int64)
    for block in range(count):
        for k in range(block * BLOCK, min(n, (block + 1) * BLOCK)):
            for a in range(8):
                vertex = cells[order[k], a]
                for m in range(firsts[vertex], firsts[vertex + 1]):
                    colour = colours[block_of[members[m]]]
                    if colour >= 0:
                        taken[colour] = block
        colour = 0
        while taken[colour] == block:
            colour += 1
        colours[block] = colour
    starts = np.arange(count + 1) * BLOCK
    starts[count] = n
    return starts, colours


def _sorted_by_colour(order, blocks, colours):
    by_colour = np.argsort(colours, kind="stable")
    sizes = np.diff(blocks)[by_colour]
    pieces = [order[blocks[b] : blocks[b + 1]] for b in by_colour]
    return np.concatenate(pieces), np.concatenate([[0], np.cumsum(sizes)])


@njit(cache=True)
def _fill_indices(starts, neighbours, components, indices):
    position = 0
    for vertex in range(starts.shape[0] - 1):
        for _ in range(components):
            for k in range(starts[vertex], starts[vertex + 1]):
                for j in range(components):
                    indices[position] = components * neighbours[k] + j
                    position += 1
