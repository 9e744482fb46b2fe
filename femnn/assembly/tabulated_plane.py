"""Isotropic stiffness of plane cells, one cell to a lane of the vector unit.

A quadrilateral has so few points and shape functions that the loops over them are too short for the vector unit. Cells
that have the same points are therefore integrated side by side: each lane is a cell, and all read the same tables.
"""

import numpy as np

from femnn.assembly.scatter import buffer_length, flush
from femnn.integration.kernels import _FAST
from femnn.integration.vector_kernels import LANES, aligned
from femnn.system.compile import njit

# Cells side by side, by the nodes of an element: their moments stay in the first cache.
_CELLS = {4: 64, 8: 32, 9: 32}


def fill_plane(x, structure, points, coefficients, mean_dilatation, data):
    """Fill the entries of a matrix with the isotropic stiffness of quadrilaterals (n, nodes, 2).

    ``structure`` is that of a Pattern, ``points`` are TabulatedPoints; with ``mean_dilatation`` the dilatation is the
    mean of the cell.
    """
    pattern, (order, elements, *others) = structure
    if np.ptp(points.first):
        # cells of a block that have the same points follow each other
        order = order[np.lexsort((points.first[order], np.repeat(np.arange(len(elements) - 1), np.diff(elements))))]
    blocks = (order, elements, *others)
    cells = _CELLS[pattern[0].shape[1]]
    _fill(x, pattern, blocks, points.tables, points.places, coefficients, mean_dilatation, cells, data)


@njit(coloured="blocks", cache=True, error_model="numpy", fastmath=_FAST)
def _fill(begin, end, x, pattern, blocks, tables, place, coefficients, mean_dilatation, lanes, data):
    cells, row_starts, slots, places = pattern
    order, elements, _, block_nodes, node_starts, opens = blocks
    first, count = place
    numbers, rows, _ = coefficients
    k, nodes = cells.shape[1], x.shape[1]
    for block in range(begin, end):
        buffer = np.zeros(buffer_length(block, block_nodes, node_starts, row_starts, 2))
        vertices, inverses = aligned(2 * nodes * lanes).reshape((2 * nodes, lanes)), aligned(5 * lanes)
        gradients, scaled = aligned(2 * k * lanes).reshape((2 * k, lanes)), aligned(lanes)
        moments = aligned(4 * k * k * lanes).reshape((2 * k, 2 * k, lanes))
        means = aligned((2 * k + 1) * lanes).reshape((2 * k + 1, lanes))
        i = elements[block]
        while i < elements[block + 1]:
            e, stop = order[i], i + 1
            while stop < elements[block + 1] and stop < i + lanes and first[order[stop]] == first[e]:
                if count[order[stop]] != count[e]:
                    break
                stop += 1
            if count[e] > 0:
                _gather(x, order, i, stop, lanes, vertices)
                moments[:] = 0.0
                means[:] = 0.0
                for q in range(count[e]):
                    line, lane = first[e] + q // LANES, q % LANES
                    _gradients(vertices, tables, line, lane, lanes, inverses, gradients)
                    _add_products(gradients, inverses, lanes, scaled, moments)
                    if mean_dilatation:
                        _add_means(gradients, inverses, lanes, means)
                for lane in range(stop - i):
                    other = order[i + lane]
                    lmbda, mu, factor = numbers[rows[other], 0], numbers[rows[other], 1], 0.0
                    if mean_dilatation:
                        factor, lmbda = (lmbda + 2.0 / 3.0 * mu) / means[2 * k, lane], -2.0 / 3.0 * mu
                    _scatter(
                        moments, means, lane, lmbda, mu, factor, other, cells, row_starts, slots, places, buffer
                    )  # fmt: skip
            i = stop
        flush(block, block_nodes, node_starts, opens, row_starts, 2, buffer, data)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _gather(x, order, begin, end, lanes, vertices):
    """Coordinates relative to the last node of each cell, component i of node a in row 2 a + i."""
    last = x.shape[1] - 1
    for lane in range(lanes):
        e = order[min(begin + lane, end - 1)]
        for a in range(last):
            vertices[2 * a, lane] = x[e, a, 0] - x[e, last, 0]
            vertices[2 * a + 1, lane] = x[e, a, 1] - x[e, last, 1]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _gradients(vertices, tables, line, point, lanes, inverses, gradients):
    """Gradients (2 k, lanes) of the shape functions at one point; |det J| times its weight behind the inverses."""
    maps, shapes, _, weights = tables
    inverses[:] = 0.0
    for a in range(maps.shape[2] - 1):
        f, g = maps[line, 0, a, point], maps[line, 1, a, point]
        for q in range(lanes):
            inverses[q] += f * vertices[2 * a, q]
            inverses[lanes + q] += g * vertices[2 * a, q]
            inverses[2 * lanes + q] += f * vertices[2 * a + 1, q]
            inverses[3 * lanes + q] += g * vertices[2 * a + 1, q]
    weight = weights[line, point]
    for q in range(lanes):
        j00, j01, j10, j11 = inverses[q], inverses[lanes + q], inverses[2 * lanes + q], inverses[3 * lanes + q]
        determinant = j00 * j11 - j01 * j10
        inverse = 1.0 / determinant
        inverses[q], inverses[lanes + q] = inverse * j11, -inverse * j10
        inverses[2 * lanes + q], inverses[3 * lanes + q] = -inverse * j01, inverse * j00
        inverses[4 * lanes + q] = weight * abs(determinant)
    k = shapes.shape[3]
    for i in range(2):
        row = 2 * i * lanes
        for a in range(k):
            f, g = shapes[line, point, 0, a], shapes[line, point, 1, a]
            for q in range(lanes):
                gradients[i * k + a, q] = f * inverses[row + q] + g * inverses[row + lanes + q]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _add_products(gradients, inverses, lanes, scaled, moments):
    """Add the products of all gradients, times the volume of the point, above the diagonal of ``moments``."""
    for r in range(gradients.shape[0]):
        for q in range(lanes):
            scaled[q] = inverses[4 * lanes + q] * gradients[r, q]
        for c in range(r, gradients.shape[0]):
            for q in range(lanes):
                moments[r, c, q] += scaled[q] * gradients[c, q]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _add_means(gradients, inverses, lanes, means):
    """Add the gradients times the volume of the point, and this volume in the last row."""
    last = gradients.shape[0]
    for q in range(lanes):
        means[last, q] += inverses[4 * lanes + q]
    for r in range(last):
        for q in range(lanes):
            means[r, q] += inverses[4 * lanes + q] * gradients[r, q]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _scatter(moments, means, lane, lmbda, mu, factor, e, cells, row_starts, slots, places, buffer):
    """As :func:`femnn.assembly.scatter.scatter_isotropic`, in the plane and for the cell of a lane."""
    k, both = cells.shape[1], lmbda + mu
    for a in range(k):
        place_a = np.uint64(4 * np.int64(places[e, a]))
        width_a = np.uint64(2 * (row_starts[cells[e, a] + 1] - row_starts[cells[e, a]]))
        p, q = factor * means[a, lane], factor * means[k + a, lane]
        for b in range(a, k):
            x, y = moments[a, b, lane], moments[k + a, k + b, lane]
            xy, yx = moments[a, k + b, lane], moments[b, k + a, lane]
            trace, u, v = mu * (x + y), means[b, lane], means[k + b, lane]
            k00, k01 = both * x + trace + p * u, lmbda * xy + mu * yx + p * v
            k10, k11 = lmbda * yx + mu * xy + q * u, both * y + trace + q * v
            _add_block(buffer, place_a + np.uint64(2) * np.uint64(slots[e, a, b]), width_a, k00, k01, k10, k11)
            if a != b:
                width_b = np.uint64(2 * (row_starts[cells[e, b] + 1] - row_starts[cells[e, b]]))
                place = np.uint64(4 * np.int64(places[e, b])) + np.uint64(2) * np.uint64(slots[e, b, a])
                _add_block(buffer, place, width_b, k00, k10, k01, k11)


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _add_block(buffer, first, width, k00, k01, k10, k11):
    """Add a 2 × 2 block to the buffer from place ``first`` on, its rows ``width`` apart."""
    one = np.uint64(1)
    second = first + width
    # all are loaded before the first is stored: the compiler cannot know that they do not overlap
    x, y, u, v = buffer[first] + k00, buffer[first + one] + k01, buffer[second] + k10, buffer[second + one] + k11
    buffer[first], buffer[first + one], buffer[second], buffer[second + one] = x, y, u, v
