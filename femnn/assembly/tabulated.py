"""Fused assembly of cells of any kind: the counterpart of :mod:`femnn.assembly.fused` and of the vectors for them."""

import numpy as np

from femnn.assembly.element_matrices import DIFFUSION, ISOTROPIC, TANGENT, _add_mass
from femnn.assembly.scatter import add_to_nodes, buffer_length, flush, scatter_isotropic, structure
from femnn.assembly.tabulated_incompatible import fill_incompatible
from femnn.assembly.tabulated_kernels import (
    add_cell_diffusion,
    add_cell_stress,
    add_cell_tangent,
    add_means,
    scatter_cell,
    tabulated_gradients,
    tabulated_workspace,
)
from femnn.assembly.tabulated_plane import fill_plane
from femnn.assembly.tabulated_stabilised import fill_stabilised
from femnn.integration.kernels import _FAST
from femnn.integration.vector_kernels import LANES, aligned
from femnn.system.compile import njit

#: Isotropic elasticity whose dilatation is the mean of the cell: λ and μ, constant in it.
MEAN_DILATATION = 4
#: The same of quadrilaterals with incompatible modes.
INCOMPATIBLE = 5
#: The same of quadrilaterals with one point and stabilised twists.
STABILISED = 6

# Batches whose products of gradients the linear algebra library takes at once: on 81 rows more would make it start
# threads of its own, whose sums need not be the same bits.
_TOGETHER = 4


def fill_tabulated(form, x, pattern, points, coefficients, components, matrix):
    """Fill ``matrix``, a CSR matrix of the pattern, with a form; arguments as for ``femnn.assembly.fused.fill_matrix``.

    ``x`` (n, nodes, dim), ``points`` are TabulatedPoints; the form may also be :data:`MEAN_DILATATION`, or for straight
    quadrilaterals with linear shape functions :data:`INCOMPATIBLE` or :data:`STABILISED`.
    """
    if form == INCOMPATIBLE:
        where = x, *structure(pattern), points.tables, points.places
        fill_incompatible(*where, coefficients, LANES, matrix.data)
        return matrix
    if form == STABILISED:
        fill_stabilised(x, *structure(pattern), points.places, coefficients, matrix.data)
        return matrix
    if form in (ISOTROPIC, MEAN_DILATATION):
        is_mean = form == MEAN_DILATATION
        if components == 2:
            fill_plane(x, structure(pattern), points, coefficients, is_mean, matrix.data)
        else:
            where = x, *structure(pattern), points.tables, points.places
            _fill_isotropic(*where, coefficients, is_mean, LANES, matrix.data)
        return matrix
    where = x, *structure(pattern), points.tables, points.places
    _fill(form, *where, coefficients, components, LANES, matrix.data)
    return matrix


@njit(coloured="blocks", cache=True, error_model="numpy", fastmath=_FAST)
def _fill_isotropic(begin, end, x, pattern, blocks, tables, place, coefficients, mean_dilatation, lanes, data):
    """Hexahedra whose λ and μ are constant: integrals of gradients alone, products of matrices over the points."""
    cells, row_starts, slots, places = pattern
    order, elements, _, block_nodes, node_starts, opens = blocks
    numbers, rows, _ = coefficients
    k = cells.shape[1]
    for block in range(begin, end):
        buffer = np.zeros(buffer_length(block, block_nodes, node_starts, row_starts, 3))
        jacobians, weights, inverses, _ = tabulated_workspace(3, k)
        gradients, scaled = np.zeros((_TOGETHER * LANES, 3 * k)), np.zeros((_TOGETHER * LANES, 3 * k))
        moments, more, means = np.empty((3 * k, 3 * k)), np.empty((3 * k, 3 * k)), np.empty(3 * k)
        for i in range(elements[block], elements[block + 1]):
            e = order[i]
            if place[1][e] == 0:
                continue
            means[:] = 0.0
            volume, batches = 0.0, (place[1][e] + LANES - 1) // LANES
            for start in range(0, batches, _TOGETHER):
                points = LANES * min(_TOGETHER, batches - start)
                for point in range(0, points, LANES):
                    work = jacobians, weights, inverses, gradients[point : point + LANES]
                    tabulated_gradients(x, e, tables, place[0][e] + start + point // LANES, lanes, work)
                    _scale(work[3], inverses, scaled, point)
                    if mean_dilatation:
                        volume += add_means(work[3], inverses, means)
                if start == 0:
                    np.dot(gradients[:points].T, scaled[:points], moments)
                else:
                    np.dot(gradients[:points].T, scaled[:points], more)
                    moments += more
            lmbda, mu, factor = numbers[rows[e], 0], numbers[rows[e], 1], 0.0
            if mean_dilatation:
                factor, lmbda = (lmbda + 2.0 / 3.0 * mu) / volume, -2.0 / 3.0 * mu
            scatter_isotropic(moments, lmbda, mu, e, cells, row_starts, slots, places, buffer, means, factor)
        flush(block, block_nodes, node_starts, opens, row_starts, 3, buffer, data)


@njit(coloured="blocks", cache=True, error_model="numpy", fastmath=_FAST)
def _fill(begin, end, form, x, pattern, blocks, tables, place, coefficients, components, lanes, data):
    cells, row_starts, slots, places = pattern
    order, elements, _, block_nodes, node_starts, opens = blocks
    size, rows = components * cells.shape[1], x.shape[2] * cells.shape[1]
    for block in range(begin, end):
        buffer = np.zeros(buffer_length(block, block_nodes, node_starts, row_starts, components))
        work, matrix = tabulated_workspace(x.shape[2], cells.shape[1]), aligned(size * size).reshape((size, size))
        spread = np.empty((9, rows))
        for i in range(elements[block], elements[block + 1]):
            e = order[i]
            if place[1][e] > 0:
                _by_points(form, x, e, tables, place, coefficients, lanes, work, spread, matrix)
                scatter_cell(matrix, e, cells, row_starts, slots, places, components, buffer)
        flush(block, block_nodes, node_starts, opens, row_starts, components, buffer, data)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _scale(gradients, inverses, scaled, first):
    """The gradients of a batch times |det J| and weight into the rows of ``scaled`` from ``first`` on."""
    for q in range(LANES):
        for r in range(gradients.shape[1]):
            scaled[first + q, r] = inverses[72 + q] * gradients[q, r]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _by_points(form, x, e, tables, place, coefficients, lanes, work, spread, matrix):
    """Overwrite ``matrix`` with that of cell ``e``, one point after another."""
    numbers, rows, step = coefficients
    inverses, gradients, k = work[2], work[3], tables[1].shape[3]
    matrix[:] = 0.0
    for batch in range((place[1][e] + LANES - 1) // LANES):
        line = place[0][e] + batch
        tabulated_gradients(x, e, tables, line, lanes, work)
        for q in range(min(LANES, place[1][e] - LANES * batch)):
            row, volume = rows[e] + step * (LANES * batch + q), inverses[72 + q]
            if form == TANGENT:
                add_cell_tangent(gradients, q, volume, numbers, row, k, spread, matrix)
            elif form == DIFFUSION:
                add_cell_diffusion(gradients, q, volume, numbers, row, spread, matrix)
            else:
                _add_mass(tables[2][line, q], volume * numbers[row, 0], matrix)


def tabulated_vector(internal, discretisation, coefficients, components):
    """Vector of internal forces, or of body forces: see ``femnn.assembly.forces``."""
    pattern, points = discretisation.pattern, discretisation.points
    blocks = pattern.blocks
    result = np.zeros(components * pattern.n_nodes)
    _fill_vector(
        internal,
        discretisation.hexahedra,
        pattern.cells,
        (blocks.order, blocks.elements, blocks.colours),
        points.tables,
        points.places,
        coefficients,
        components,
        LANES,
        result,
    )
    return result


@njit(coloured="blocks", cache=True, error_model="numpy", fastmath=_FAST)
def _fill_vector(begin, end, internal, x, cells, blocks, tables, place, coefficients, components, lanes, result):
    order, elements, _ = blocks
    first, count = place
    numbers, rows, step = coefficients
    k, dim = cells.shape[1], x.shape[2]
    for block in range(begin, end):
        work, force = tabulated_workspace(dim, k), np.empty(components * k)
        inverses, gradients = work[2], work[3]
        for i in range(elements[block], elements[block + 1]):
            e = order[i]
            force[:] = 0.0
            for batch in range((count[e] + LANES - 1) // LANES):
                line = first[e] + batch
                tabulated_gradients(x, e, tables, line, lanes, work)
                for q in range(min(LANES, count[e] - LANES * batch)):
                    row, volume = rows[e] + step * (LANES * batch + q), inverses[72 + q]
                    if internal:
                        add_cell_stress(gradients, q, volume, numbers, row, k, force)
                        continue
                    for c in range(components):
                        scaled = volume * numbers[row, c]
                        for a in range(k):
                            force[c * k + a] += scaled * tables[2][line, q, a]
            add_to_nodes(force, e, cells, components, result)
