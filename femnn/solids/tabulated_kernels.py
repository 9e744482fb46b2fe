"""The kernels of :mod:`femnn.solids.kernels` for cells of any kind, whose shape functions are tabulated.

Laws are those of three dimensions; a plane cell gives them strains of plane strain and takes what lies in its plane.
"""

import numpy as np

from femnn.assembly.scatter import add_to_nodes, buffer_length, flush
from femnn.assembly.tabulated_kernels import (
    add_cell_stress,
    add_cell_tangent,
    cell_strain,
    scatter_cell,
    tabulated_gradients,
    tabulated_workspace,
)
from femnn.integration.kernels import _FAST
from femnn.integration.vector_kernels import LANES
from femnn.solids.kernels import _are_finite, _take
from femnn.system.compile import njit


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def gather_nodes(displacement, e, cells, dim, element_u):
    """Displacements (dim k,) of cell ``e``, component-major, from those of the mesh."""
    k = cells.shape[1]
    for a in range(k):
        for i in range(dim):
            element_u[i * k + a] = displacement[dim * cells[e, a] + i]


@njit(over="cells", grain=64, cache=True, error_model="numpy", fastmath=_FAST)
def fill_tabulated_strains(begin, end, x, cells, tables, place, rows, displacement, lanes, strains):
    """Strains at all points, Voigt (total, 6) or gradients (total, 9), from displacements (dim n_nodes,)."""
    first, count = place
    k, dim = cells.shape[1], x.shape[2]
    work, element_u = tabulated_workspace(dim, k), np.empty(dim * k)
    for e in range(begin, end):
        gather_nodes(displacement, e, cells, dim, element_u)
        for batch in range((count[e] + LANES - 1) // LANES):
            tabulated_gradients(x, e, tables, first[e] + batch, lanes, work)
            for q in range(min(LANES, count[e] - LANES * batch)):
                cell_strain(work[3], q, element_u, k, strains, rows[e] + LANES * batch + q)


@njit(coloured="blocks", cache=True, error_model="numpy")
def integrate_tabulated_law(
    begin,
    end,
    law,
    parameters,
    size,
    x,
    pattern,
    blocks,
    tables,
    place,
    rows,
    displacement,
    old,
    new,
    lanes,
    data,
    force,
    failed,
):
    """Internal force, tangent and new state of a compiled law: see :func:`femnn.solids.kernels.integrate_law`."""
    cells, row_starts, slots, places = pattern
    order, elements, _, block_nodes, node_starts, opens = blocks
    first, count = place
    numbers, own, each = parameters
    k, dim = cells.shape[1], x.shape[2]
    wanted = data.shape[0] > 0
    for block in range(begin, end):
        buffer = np.zeros(buffer_length(block, block_nodes, node_starts, row_starts, dim) if wanted else 0)
        work = tabulated_workspace(dim, k)
        inverses, gradients = work[2], work[3]
        spread, matrix = np.empty((9, dim * k)), np.empty((dim * k, dim * k))
        element_u, element_force = np.empty(dim * k), np.empty(dim * k)
        strains, stresses, tangents = np.empty((1, size)), np.empty((1, size)), np.empty((1, size * size))
        strain, stress, tangent = strains.reshape(size), stresses.reshape(size), tangents.reshape((size, size))
        state, new_state = np.empty(old.shape[1]), np.empty(old.shape[1])
        for i in range(elements[block], elements[block + 1]):
            e = order[i]
            if count[e] == 0:
                continue
            gather_nodes(displacement, e, cells, dim, element_u)
            matrix[:] = 0.0
            element_force[:] = 0.0
            for q in range(count[e]):
                lane = q % LANES
                if lane == 0:
                    tabulated_gradients(x, e, tables, first[e] + q // LANES, lanes, work)
                cell_strain(gradients, lane, element_u, k, strains, 0)
                _take(old, rows[e] + q, state, new_state)
                # what a law leaves out
                stress[:] = np.nan
                tangent[:] = 0.0
                law(strain, state, numbers[own[e] + each * q], stress, tangent, new_state)
                new[rows[e] + q] = new_state
                failed[e] |= not (_are_finite(stress) and _are_finite(new_state))
                add_cell_stress(gradients, lane, inverses[72 + lane], stresses, 0, k, element_force)
                if wanted:
                    failed[e] |= not _are_finite(tangents[0])
                    add_cell_tangent(gradients, lane, inverses[72 + lane], tangents, 0, k, spread, matrix)
            add_to_nodes(element_force, e, cells, dim, force)
            if wanted:
                scatter_cell(matrix, e, cells, row_starts, slots, places, dim, buffer)
        if wanted:
            flush(block, block_nodes, node_starts, opens, row_starts, dim, buffer, data)
