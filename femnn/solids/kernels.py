"""Numba kernels that integrate a constitutive law: strains from displacements, and both in one pass."""

import numpy as np

from femnn.assembly.element_matrices import add_stress, add_tangent, strain_at_point
from femnn.assembly.scatter import add_to_nodes, buffer_length, flush, scatter
from femnn.integration.kernels import _FAST
from femnn.integration.vector_kernels import LANES, gradients_of_batch, lane_workspace
from femnn.system.compile import njit


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _gather(displacement, e, cells, element_u):
    k = cells.shape[1]
    for a in range(k):
        for i in range(3):
            element_u[i * k + a] = displacement[3 * cells[e, a] + i]


@njit(over="cells", grain=64, cache=True, error_model="numpy", fastmath=_FAST)
def fill_strains(begin, end, hexahedra, cells, points, rows, displacement, lanes, strains):
    """Strains at all points, Voigt (total, 6) or gradients (total, 9), from displacements (3 n_nodes,)."""
    batches, first, count, nodes = points
    k = cells.shape[1]
    work, inverses, columns, gradients = lane_workspace(k)
    element_u = np.empty(3 * k)
    for e in range(begin, end):
        _gather(displacement, e, cells, element_u)
        for batch in range((count[e] + LANES - 1) // LANES):
            place = first[e] + batch
            gradients_of_batch(hexahedra, e, batches, place, lanes, work, inverses, columns, gradients, nodes)
            for q in range(min(LANES, count[e] - LANES * batch)):
                strain_at_point(gradients, q, element_u, strains, rows[e] + LANES * batch + q)


@njit(coloured="blocks", cache=True, error_model="numpy")
def integrate_law(
    begin,
    end,
    law,
    parameters,
    size,
    hexahedra,
    pattern,
    blocks,
    points,
    rows,
    displacement,
    old,
    new,
    lanes,
    data,
    force,
    failed,
):
    """Internal force, tangent and new state of a compiled law, element by element: no array of points but the state.

    ``law`` is a compiled :class:`femnn.PointLaw` of ``size`` numbers of strain; its ``parameters`` are numbers (m, p),
    which row of them each element begins with (n,), and 1 if each point has its own or 0; states ``old`` and ``new``
    (total, s);
    ``data`` of the tangent, of length 0 if it is not wanted; ``force`` (3 n_nodes,) zeroed; ``failed`` (n,) is set for
    elements with a stress, tangent or state that is not finite.
    """
    cells, row_starts, slots, places = pattern
    order, elements, _, block_nodes, node_starts, opens = blocks
    batches, first, count, nodes = points
    numbers, own, each = parameters
    k = cells.shape[1]
    wanted = data.shape[0] > 0
    for block in range(begin, end):
        buffer = np.zeros(buffer_length(block, block_nodes, node_starts, row_starts, 3) if wanted else 0)
        work, inverses, columns, gradients = lane_workspace(k)
        spread, matrix = np.empty((9, 3 * k)), np.empty((3 * k, 3 * k))
        element_u, element_force = np.empty(3 * k), np.empty(3 * k)
        strains, stresses, tangents = np.empty((1, size)), np.empty((1, size)), np.empty((1, size * size))
        strain, stress, tangent = strains.reshape(size), stresses.reshape(size), tangents.reshape((size, size))
        state, new_state = np.empty(old.shape[1]), np.empty(old.shape[1])
        for i in range(elements[block], elements[block + 1]):
            e = order[i]
            if count[e] == 0:
                continue
            _gather(displacement, e, cells, element_u)
            matrix[:] = 0.0
            element_force[:] = 0.0
            for q in range(count[e]):
                lane = q % LANES
                if lane == 0:
                    batch = first[e] + q // LANES
                    gradients_of_batch(hexahedra, e, batches, batch, lanes, work, inverses, columns, gradients, nodes)
                strain_at_point(gradients, lane, element_u, strains, 0)
                _take(old, rows[e] + q, state, new_state)
                # what a law leaves out
                stress[:] = np.nan
                tangent[:] = 0.0
                law(strain, state, numbers[own[e] + each * q], stress, tangent, new_state)
                _put(new_state, new, rows[e] + q)
                failed[e] |= not (_are_finite(stress) and _are_finite(new_state))
                add_stress(gradients, lane, inverses[72 + lane], stresses, 0, element_force)
                if wanted:
                    failed[e] |= not _are_finite(tangents[0])
                    add_tangent(gradients, lane, inverses[72 + lane], tangents, 0, spread, matrix)
            add_to_nodes(element_force, e, cells, 3, force)
            if wanted:
                scatter(matrix, e, cells, row_starts, slots, places, 3, buffer)
        if wanted:
            flush(block, block_nodes, node_starts, opens, row_starts, 3, buffer, data)


@njit(cache=True, forceinline=True)
def _take(old, row, state, new_state):
    for s in range(old.shape[1]):
        state[s] = new_state[s] = old[row, s]


@njit(cache=True, forceinline=True)
def _put(new_state, new, row):
    # number by number: arrays as a whole bring the words for shapes that do not match, seconds of compilation
    for s in range(new.shape[1]):
        new[row, s] = new_state[s]


@njit(cache=True, error_model="numpy", forceinline=True)
def _are_finite(values):
    # NaN and infinity times zero are NaN
    total = 0.0
    for i in range(values.shape[0]):
        total += 0.0 * values[i]
    return total == 0.0
