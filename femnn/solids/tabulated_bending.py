"""The kernels of :mod:`femnn.solids.bending_kernels` for quadrilaterals and curved cells, with tabulated functions."""

import numpy as np

from femnn.assembly.scatter import buffer_length, flush
from femnn.assembly.tabulated_incompatible import inverse_of_centre, with_modes
from femnn.assembly.tabulated_kernels import scatter_cell, tabulated_gradients, tabulated_workspace
from femnn.integration.vector_kernels import LANES, aligned
from femnn.solids.bending_kernels import PLANE_INCOMPATIBLE, STRAINS, bend_element, workspace
from femnn.system.compile import njit


@njit(cache=True, error_model="numpy")
def _slopes_of_cell(kind, x, e, tables, first, n, lanes, lane_work, middle, gradients, slopes, volumes):
    """Gradients (n, 3 m), zero out of the plane of a plane cell, and ``volumes`` (n,) at the points of cell ``e``."""
    dim, m = x.shape[2], slopes.shape[1] // 3
    ratio = inverse_of_centre(x, e, middle) if kind == PLANE_INCOMPATIBLE else 0.0
    slopes[:] = 0.0
    for batch in range((n + LANES - 1) // LANES):
        tabulated_gradients(x, e, tables, first + batch, lanes, lane_work)
        if kind == PLANE_INCOMPATIBLE:
            with_modes(lane_work[3], lane_work[2], tables, first + batch, middle, ratio, gradients)
        else:
            gradients[:] = lane_work[3]
        for q in range(min(LANES, n - LANES * batch)):
            row = LANES * batch + q
            volumes[row] = lane_work[2][72 + q]
            for r in range(dim * m):
                slopes[row, r] = gradients[q, r]


@njit(coloured="blocks", cache=True, error_model="numpy")
def integrate_tabulated_bending(
    begin, end, kind, task, law, parameters, x, pattern, blocks, tables, place, rows, columns, displacement, old, new,
    old_modes, new_modes, strains, stresses, tangents, lanes, data, force, failed,
):  # fmt: skip
    """:func:`femnn.solids.bending_kernels.integrate_bending` for cells of any kind."""
    cells, row_starts, slots, places = pattern
    order, elements, _, block_nodes, node_starts, opens = blocks
    first, count = place
    numbers, own, each = parameters
    k, dim, size = cells.shape[1], x.shape[2], strains.shape[1]
    m = k + len(columns[1]) // dim
    wanted = data.shape[0] > 0 and task != STRAINS
    for block in range(begin, end):
        buffer = np.zeros(buffer_length(block, block_nodes, node_starts, row_starts, dim) if wanted else 0)
        lane_work, middle = tabulated_workspace(dim, k), np.empty((2, 2))
        gradients = aligned(LANES * dim * m).reshape((LANES, dim * m))
        work = workspace(columns, m, count.max(), size, old.shape[1])
        for i in range(elements[block], elements[block + 1]):
            e = order[i]
            n = count[e]
            if n == 0:
                continue
            _slopes_of_cell(
                kind, x, e, tables, first[e], n, lanes, lane_work, middle, gradients, work[0][0], work[0][1]
            )  # fmt: skip
            failed[e] |= not bend_element(
                kind, task, law, (numbers, own[e], each), n, e, cells, columns, rows[e], displacement, old, new,
                old_modes, new_modes, strains, stresses, tangents, wanted, work, force,
            )  # fmt: skip
            if wanted and not failed[e]:
                scatter_cell(work[4][9], e, cells, row_starts, slots, places, dim, buffer)
        if wanted:
            flush(block, block_nodes, node_starts, opens, row_starts, dim, buffer, data)
