"""From vertex coordinates straight into the sparse matrix: no form arrays, no triplets."""

import numpy as np

from femnn.assembly.element_matrices import ISOTROPIC, add_point
from femnn.assembly.scatter import buffer_length, flush, scatter, scatter_isotropic, structure
from femnn.assembly.tabulated import fill_tabulated
from femnn.assembly.tabulated_points import TabulatedPoints
from femnn.integration.kernels import _FAST
from femnn.integration.vector_kernels import LANES, add_moments, aligned, gradients_of_batch, lane_workspace
from femnn.system.compile import njit


def fill_matrix(form, hexahedra, pattern, points, coefficients, components, out=None):
    """The CSR matrix of a form, in ``out`` if this is one of the same pattern.

    Parameters
    ----------
    form
        One of those in :mod:`femnn.assembly.element_matrices`; with TabulatedPoints also ``MEAN_DILATATION``.
    hexahedra : (n, 8, 3), or (n, nodes, dim) with TabulatedPoints
    pattern : Pattern
    points : Points or TabulatedPoints
    coefficients : Coefficients
    components
        Degrees of freedom per node, 1 or as many as there are dimensions.
    """
    matrix = pattern.empty_matrix(components) if out is None else pattern.require_own(out, components)
    if isinstance(points, TabulatedPoints):
        return fill_tabulated(form, hexahedra, pattern, points, coefficients, components, matrix)
    where = hexahedra, *structure(pattern), points.with_nodes(pattern.cells.shape[1]), coefficients
    if form == ISOTROPIC:
        _fill_isotropic(*where, LANES, matrix.data)
    else:
        _fill(form, *where, components, LANES, matrix.data)
    return matrix


@njit(coloured="blocks", cache=True, error_model="numpy", fastmath=_FAST)
def _fill_isotropic(begin, end, hexahedra, pattern, blocks, points, coefficients, lanes, data):
    """Elasticity with λ and μ constant in each element: integrals of gradients alone, which all elements share."""
    cells, row_starts, slots, places = pattern
    order, elements, _, block_nodes, node_starts, opens = blocks
    batches, first, count, nodes = points
    numbers, rows, _ = coefficients
    k = cells.shape[1]
    for block in range(begin, end):
        buffer = np.zeros(buffer_length(block, block_nodes, node_starts, row_starts, 3))
        work, inverses, columns, gradients = lane_workspace(k)
        moments = aligned((3 * k) ** 2).reshape((3 * k, 3 * k))
        for i in range(elements[block], elements[block + 1]):
            e = order[i]
            if count[e] == 0:
                continue
            moments[:] = 0.0
            for batch in range((count[e] + LANES - 1) // LANES):
                place = first[e] + batch
                gradients_of_batch(hexahedra, e, batches, place, lanes, work, inverses, columns, gradients, nodes)
                add_moments(gradients, inverses, moments, nodes)
            lmbda, mu = numbers[rows[e], 0], numbers[rows[e], 1]
            scatter_isotropic(moments, lmbda, mu, e, cells, row_starts, slots, places, buffer)
        flush(block, block_nodes, node_starts, opens, row_starts, 3, buffer, data)


@njit(coloured="blocks", cache=True, error_model="numpy", fastmath=_FAST)
def _fill(begin, end, form, hexahedra, pattern, blocks, points, coefficients, components, lanes, data):
    cells, row_starts, slots, places = pattern
    order, elements, _, block_nodes, node_starts, opens = blocks
    batches, first, count, nodes = points
    numbers, rows, step = coefficients
    k = cells.shape[1]
    for block in range(begin, end):
        buffer = np.zeros(buffer_length(block, block_nodes, node_starts, row_starts, components))
        work, inverses, columns, gradients = lane_workspace(k)
        spread, values = np.empty((9, 3 * k)), np.empty(k)
        matrix = aligned((components * k) ** 2).reshape((components * k, components * k))
        for i in range(elements[block], elements[block + 1]):
            e = order[i]
            if count[e] == 0:
                continue
            matrix[:] = 0.0
            for batch in range((count[e] + LANES - 1) // LANES):
                place = first[e] + batch
                gradients_of_batch(hexahedra, e, batches, place, lanes, work, inverses, columns, gradients, nodes)
                for q in range(min(LANES, count[e] - LANES * batch)):
                    row = rows[e] + step * (LANES * batch + q)
                    add_point(form, batches, place, q, numbers, row, inverses, gradients, spread, values, matrix, nodes)
            scatter(matrix, e, cells, row_starts, slots, places, components, buffer)
        flush(block, block_nodes, node_starts, opens, row_starts, components, buffer, data)
