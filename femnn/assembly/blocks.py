"""Blocks of neighbouring elements: summed in the cache, flushed to the matrix, coloured so that threads never collide.

The rows of a block's nodes are summed in a buffer that stays in the cache and then added to the matrix row by row,
which reads and writes memory in long runs. Blocks of one colour share no node, so threads can flush them without locks;
since colours follow each other in a fixed order, every entry is summed in the same order whatever the number of
threads. The first block that reaches a row writes it instead of adding, so the matrix need not be cleared.
"""

from dataclasses import dataclass

import numpy as np

from femnn.system.compile import njit

#: Elements in a block, by nodes of an element: their rows fill about a megabyte, or less where elements are small.
ELEMENTS = {4: 512, 8: 216, 9: 128, 20: 48, 27: 12}

# Rows touched per element, above which the mesh's own order of elements is given up: a regular mesh has 2.4.
_SCATTERED = 4.0

# A node remembers the colours around it in one machine word.
_COLOURS = 64


@dataclass(frozen=True, eq=False, repr=False)
class Blocks:
    """Elements in the order of assembly.

    Attributes
    ----------
    order : (n,) int32
        Elements, block by block, the blocks sorted by colour.
    elements : (n_blocks + 1,) int64
        Where each block starts in ``order``.
    colours : (n_colours + 1,) int64
        Where each colour starts among the blocks.
    nodes : (total,) int32, starts : (n_blocks + 1,) int64
        Nodes of the blocks, ascending in each, one block after another.
    opens : (total,) bool
        Whether the block is the first in this order that has the node.
    places : (n, k) int32
        Where the row of each node of an element starts in the block's buffer, in neighbours.
    """

    order: np.ndarray
    elements: np.ndarray
    colours: np.ndarray
    nodes: np.ndarray
    starts: np.ndarray
    opens: np.ndarray
    places: np.ndarray

    def __repr__(self):
        return f"Blocks({len(self.order)} elements in {len(self.starts) - 1} blocks of {len(self.colours) - 1} colours)"

    @classmethod
    def of(cls, cells, row_starts, points):
        """Blocks for ``cells`` (n, k), whose rows start at ``row_starts`` (n_nodes + 1,); vertices at ``points``.

        Vertices (dim, n_vertices) are the first nodes of the cells.
        """
        size = ELEMENTS[cells.shape[1]]
        n_nodes = len(row_starts) - 1
        # elements that follow each other share nodes, as far as the nodes are numbered along the mesh
        order = np.argsort(cells.min(axis=1), kind="stable").astype(np.int32)
        nodes, starts = _nodes_of_blocks(cells, order, size, n_nodes)
        if len(nodes) > _SCATTERED * len(cells) * (cells.shape[1] / 8):
            order = np.argsort(
                _morton_codes(points[:, cells[:, : 2 ** len(points)]].mean(axis=2)), kind="stable"
            ).astype(np.int32)
            nodes, starts = _nodes_of_blocks(cells, order, size, n_nodes)
        colours = _colours(nodes, starts, n_nodes)
        by_colour = np.argsort(colours, kind="stable")
        order, elements = _reordered(order, np.minimum(size * np.arange(len(starts)), len(order)), by_colour)
        nodes, starts = _reordered(nodes, starts, by_colour)
        opens = np.zeros(len(nodes), dtype=bool)
        opens[np.unique(nodes, return_index=True)[1]] = True
        places = np.empty(cells.shape, dtype=np.int32)
        _fill_places(cells, order, elements, nodes, starts, row_starts, places)
        first_blocks = np.concatenate([[0], np.cumsum(np.bincount(colours))])
        return cls(order, elements, first_blocks, nodes, starts, opens, places)


def _reordered(items, starts, order):
    """Runs ``items[starts[i] : starts[i + 1]]`` taken in another order, and where they start then."""
    runs = [items[starts[i] : starts[i + 1]] for i in order]
    return np.concatenate(runs), np.concatenate([[0], np.cumsum(np.diff(starts)[order])])


def _morton_codes(centres):
    """Places of points (dim, n) along a curve that fills their box and keeps neighbours together, 21 bits an axis."""
    low = centres.min(axis=1, keepdims=True)
    edge = max(float(np.ptp(centres, axis=1).max()), np.finfo(float).tiny)
    x = ((centres - low) / edge * (2**21 - 1)).astype(np.uint64)
    for shift, mask in (
        (32, 0x1F00000000FFFF),
        (16, 0x1F0000FF0000FF),
        (8, 0x100F00F00F00F00F),
        (4, 0x10C30C30C30C30C3),
        (2, 0x1249249249249249),
    ):
        x = (x | (x << np.uint64(shift))) & np.uint64(mask)
    codes = x[0] | (x[1] << np.uint64(1))
    return codes | (x[2] << np.uint64(2)) if len(x) == 3 else codes


def _nodes_of_blocks(cells, order, size, n_nodes):
    """Nodes of each run of ``size`` elements, ascending, and where each run's start."""
    nodes, starts = _nodes_as_met(cells, order, size, n_nodes)
    keys = n_nodes * np.repeat(np.arange(len(starts) - 1), np.diff(starts)) + nodes[: starts[-1]]
    keys.sort()
    return (keys % n_nodes).astype(np.int32), starts


@njit(cache=True)
def _nodes_as_met(cells, order, size, n_nodes):
    """The same in the order in which the elements name them."""
    n, k = cells.shape
    count = (n + size - 1) // size
    nodes = np.empty(k * n, dtype=np.int32)
    starts = np.zeros(count + 1, dtype=np.int64)
    seen = np.full(n_nodes, -1, dtype=np.int64)
    end = 0
    for block in range(count):
        for i in range(block * size, min(n, (block + 1) * size)):
            for a in range(k):
                node = cells[order[i], a]
                if seen[node] != block:
                    seen[node] = block
                    nodes[end] = node
                    end += 1
        starts[block + 1] = end
    return nodes, starts


def _colours(nodes, starts, n_nodes):
    """Greedy colours: the least that no earlier block with a common node has, 64 of them at a time."""
    colours, base = np.full(len(starts) - 1, -1, dtype=np.int64), 0
    left = list(range(len(colours)))
    while left:
        taken = np.zeros(n_nodes, dtype=np.uint64)
        for block in left:
            own = nodes[starts[block] : starts[block + 1]]
            free = ~int(np.bitwise_or.reduce(taken[own])) & (2**_COLOURS - 1)
            if free:
                # the lowest bit that is free
                colour = (free & -free).bit_length() - 1
                colours[block] = base + colour
                taken[own] |= np.uint64(1 << colour)
        left = [block for block in left if colours[block] < 0]
        base += _COLOURS
    return colours


@njit(cache=True)
def _fill_places(cells, order, elements, nodes, starts, row_starts, places):
    offset = np.empty(row_starts.shape[0] - 1, dtype=np.int32)
    for block in range(starts.shape[0] - 1):
        total = 0
        for i in range(starts[block], starts[block + 1]):
            offset[nodes[i]] = total
            total += row_starts[nodes[i] + 1] - row_starts[nodes[i]]
        for i in range(elements[block], elements[block + 1]):
            for a in range(cells.shape[1]):
                places[order[i], a] = offset[cells[order[i], a]]
