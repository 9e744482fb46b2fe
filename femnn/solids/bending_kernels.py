"""Numba kernels of constitutive laws in elements that bend, with mean dilatation or incompatible modes.

Arrays of gradients are those of :mod:`femnn.solids.dilatation_kernels`.
"""

import numpy as np

from femnn.assembly.element_matrices import add_stress, add_tangent, strain_at_point
from femnn.assembly.formulations.twists import INCOMPATIBLE, MEAN_DILATATION
from femnn.assembly.scatter import add_to_nodes, buffer_length, flush, scatter
from femnn.assembly.tabulated_kernels import add_cell_stress, add_cell_tangent
from femnn.integration.vector_kernels import lane_workspace
from femnn.solids.dilatation_kernels import (
    add_dilatation_changes,
    add_dilatation_force,
    add_dilatation_tangent,
    copy_rows,
    dilatation_shifts,
    shift_dilatations,
    slopes_of_element,
    twist_shifts,
)
from femnn.solids.kernels import _are_finite, _take
from femnn.solids.tabulated_kernels import gather_nodes
from femnn.system.compile import njit

#: What a pass does: call the compiled law; write strains alone; take stress and tangent from arrays.
CALL, STRAINS, TAKE = 0, 1, 2

#: Quadrilaterals with incompatible modes, beside the kinds of :mod:`femnn.assembly.formulations.twists`.
PLANE_INCOMPATIBLE = 5

#: Evaluations of an element until its incompatible modes are in equilibrium, and how well, relative to its stresses.
_MOST, _ENOUGH = 25, 1e-12

# Stresses beside the stiffness that are rounding in units of _ENOUGH.
_ROUNDING = 1e-2

# What is enough of that where rounding, or a law that iterates, allows no more.
_STAGNANT = 1e-8


@njit(cache=True, error_model="numpy")
def _swap_rows(matrix, first, second):
    for c in range(matrix.shape[1]):
        matrix[first, c], matrix[second, c] = matrix[second, c], matrix[first, c]


@njit(cache=True, error_model="numpy")
def _subtract_row(matrix, row, factor, pivot):
    for c in range(matrix.shape[1]):
        matrix[row, c] -= factor * matrix[pivot, c]


@njit(cache=True, error_model="numpy")
def _solve_in_place(matrix, right):
    """Solve matrix x = right (k, m) by Gauss and Jordan with row pivots, both overwritten; False if it is singular."""
    k = right.shape[0]
    for p in range(k):
        best = p + np.argmax(np.abs(matrix[p:, p]))
        if not abs(matrix[best, p]) > 0.0:
            return False
        _swap_rows(matrix, p, best)
        _swap_rows(right, p, best)
        for r in range(k):
            if r != p:
                factor = matrix[r, p] / matrix[p, p]
                _subtract_row(matrix, r, factor, p)
                _subtract_row(right, r, factor, p)
    for p in range(k):
        right[p] /= matrix[p, p]
    return True


@njit(cache=True, error_model="numpy")
def _relax_modes(matrix, columns, work, coupling, condensed):
    """Condense the rows and columns of the modes out of ``matrix`` into ``condensed``, that of the nodes."""
    nodal, modal = columns
    for r in range(len(modal)):
        for c in range(len(modal)):
            work[r, c] = matrix[modal[r], modal[c]]
        for c in range(len(nodal)):
            coupling[r, c] = matrix[modal[r], nodal[c]]
    found = _solve_in_place(work, coupling)
    for r in range(len(nodal)):
        for c in range(len(nodal)):
            total = matrix[nodal[r], nodal[c]]
            for k in range(len(modal)):
                total -= matrix[nodal[r], modal[k]] * coupling[k, c]
            condensed[r, c] = total
    return found


@njit(cache=True, error_model="numpy")
def _mode_slopes(n, slopes, modal, modes):
    for q in range(n):
        for r in range(len(modal)):
            modes[q, r] = slopes[q, modal[r]]


def columns_of(dim: int, nodes: int, modes: int) -> tuple[np.ndarray, np.ndarray]:
    """Places of the displacements of nodes and modes among the 3 m of all functions, both component-major.

    Functions have three components whatever the ``dim`` of the cell: those out of its plane are not among them.
    """
    m = nodes + modes
    nodal = [m * i + a for i in range(dim) for a in range(nodes)]
    modal = [m * i + nodes + a for i in range(dim) for a in range(modes)]
    return np.array(nodal), np.array(modal, dtype=np.int64)


@njit(cache=True)
def response_workspace(most, size, n_state):
    """Strains, stresses and tangents at the points of an element, and what a law is called with at one of them."""
    response = (np.empty((most, size)), np.empty((most, size)), np.empty((most, size * size)))
    point = (np.empty(size), np.empty(size), np.empty((size, size)), np.empty(n_state), np.empty(n_state))
    return response, point


@njit(cache=True)
def workspace(columns, m, most, size, n_state):
    """Work arrays of an element of ``m`` functions: geometry, dilatations, responses at points, one point, algebra."""
    nodal, modal = len(columns[0]), len(columns[1])
    frame = (np.empty((3, 3)), np.empty((3, 4)), np.empty((3, 3)), np.empty((3, 4)), np.empty((8, 4)), np.arange(8))
    geometry = (np.empty((most, 3 * m)), np.empty(most), np.empty((most, modal)), frame)
    dilatation = (
        np.empty((most + 1, 3 * m)),
        np.empty((most, 3 * m)),
        np.empty((most, 2)),
        np.empty(most),
        np.empty((3, 3)),
        np.empty((3, 3)),
    )
    response, point = response_workspace(most, size, n_state)
    algebra = (
        np.empty((9, 3 * m)),
        np.empty((3 * m, 3 * m)),
        np.empty((2, 9)),
        np.empty(3 * m),
        np.empty(3 * m),
        np.empty((9, modal)),
        np.empty((modal, modal)),
        np.empty((modal, 1)),
        np.empty((modal, nodal)),
        np.empty((nodal, nodal)),
        np.empty(modal),
    )
    vectors = (np.zeros(3 * m), np.empty(nodal), np.empty(3 * m))
    return geometry, dilatation, response, point, algebra, vectors


@njit(cache=True, error_model="numpy")
def _spread(source, columns, target):
    for r in range(len(columns)):
        target[columns[r]] = source[r]


@njit(cache=True, error_model="numpy")
def _collect(source, columns, target):
    for r in range(len(columns)):
        target[r] = source[columns[r]]


@njit(cache=True, error_model="numpy")
def _is_shifted(kind, size):
    """Whether the dilatations of points are exchanged: for the mean one, or for those without the twist ξηζ."""
    return kind == MEAN_DILATATION or (kind == INCOMPATIBLE and size == 6)


@njit(cache=True, error_model="numpy")
def _strains_of_element(kind, n, element_u, geometry, dilatation, strain):
    """Write the strains that the law gets; return Σ v J for mean dilatation, 0 for an inverted element, else 1."""
    slopes, volumes, _, _ = geometry
    shifts, spatial, ratios, _, deformation, inverse = dilatation
    for q in range(n):
        strain_at_point(slopes, q, element_u, strain, q)
    if kind == MEAN_DILATATION:
        return dilatation_shifts(
            n, slopes, volumes, element_u, strain, deformation, inverse, spatial, shifts, ratios
        )  # fmt: skip
    if _is_shifted(kind, strain.shape[1]):
        shift_dilatations(n, element_u, shifts, strain)
    return 1.0


@njit(cache=True, error_model="numpy")
def call_law(law, parameters, n, first, old, new, response, point):
    """Stress, tangent and new state at the points of an element; False if a state is not finite.

    ``parameters`` are numbers (m, p), the row of the element's first point, and how far the next is from it.
    """
    numbers, row, each = parameters
    strain, stress, tangent = response
    point_strain, point_stress, point_tangent, state, new_state = point
    size, finite = strain.shape[1], True
    for q in range(n):
        _take(old, first + q, state, new_state)
        point_strain[:] = strain[q]
        # what a law leaves out
        point_stress[:] = np.nan
        point_tangent[:] = 0.0
        law(point_strain, state, numbers[row + each * q], point_stress, point_tangent, new_state)
        for s in range(new_state.shape[0]):
            new[first + q, s] = new_state[s]
        finite &= _are_finite(new_state)
        for r in range(size):
            stress[q, r] = point_stress[r]
        for r in range(size):
            for c in range(size):
                tangent[q, size * r + c] = point_tangent[r, c]
    return finite


@njit(cache=True, error_model="numpy")
def _step_of_modes(n, geometry, response, algebra, before):
    """One step towards the equilibrium of the modes; the residual, or -1 when they are in it, inf if there is none."""
    _, volumes, modes, _ = geometry
    # three axes have nine amplitudes, two have four
    each = 3 if modes.shape[1] == 9 else 2
    _, stress, tangent = response
    spread, matrix, force = algebra[5], algebra[6], algebra[7]
    force[:] = 0.0
    matrix[:] = 0.0
    work = 0.0
    for q in range(n):
        add_cell_stress(modes, q, volumes[q], stress, q, each, force[:, 0])
        add_cell_tangent(modes, q, volumes[q], tangent, q, each, spread, matrix)
        largest = np.abs(stress[q]).max() + _ROUNDING * np.abs(tangent[q]).max()
        work += volumes[q] * largest * np.abs(modes[q]).max()
    error = np.abs(force).max()
    if not error > _ENOUGH * work or (error >= 0.5 * before and error <= _STAGNANT * work):
        return -1.0
    return error if _solve_in_place(matrix, force) else np.inf


@njit(cache=True, error_model="numpy")
def _assemble_element(kind, n, total, wanted, geometry, dilatation, response, algebra, force):
    """Force of an element from its responses, and its tangent if it is ``wanted``; False if they are not finite."""
    slopes, volumes, _, _ = geometry
    shifts, spatial, ratios, pressures, _, _ = dilatation
    strain, stress, tangent = response
    spread, matrix, products, left, right = algebra[:5]
    shifted, finite = _is_shifted(kind, strain.shape[1]), True
    force[:] = 0.0
    matrix[:] = 0.0
    for q in range(n):
        finite &= _are_finite(stress[q])
        scale = ratios[q, 0] if kind == MEAN_DILATATION else 1.0
        add_stress(slopes, q, scale * volumes[q], stress, q, force)
        if shifted:
            pressures[q] = add_dilatation_force(q, volumes[q], strain, stress, shifts, force)
        if not wanted:
            continue
        finite &= _are_finite(tangent[q])
        add_tangent(slopes, q, scale * scale * volumes[q], tangent, q, spread, matrix)
        if shifted:
            add_dilatation_tangent(
                q,
                volumes[q],
                strain,
                stress,
                tangent,
                slopes,
                shifts,
                scale,
                pressures[q],
                products,
                left,
                right,
                matrix,
            )
    if wanted and kind == MEAN_DILATATION and strain.shape[1] == 9:
        add_dilatation_changes(n, volumes, total, pressures, ratios, spatial, shifts, matrix)
    return finite


@njit(cache=True, error_model="numpy")
def _prepare_element(kind, e, cells, columns, displacement, old_modes, geometry, dilatation, vectors, n):
    """Displacements of the functions of element ``e``, its modes as they were, and the shifts of small strains."""
    slopes, volumes, modes, frame = geometry
    element_u, nodal_u, _ = vectors
    nodal, modal = columns
    gather_nodes(displacement, e, cells, len(nodal) // cells.shape[1], nodal_u)
    _spread(nodal_u, nodal, element_u)
    if kind != MEAN_DILATATION:
        _mode_slopes(n, slopes, modal, modes)
        _spread(old_modes[e], modal, element_u)
    if kind == INCOMPATIBLE:
        twist_shifts(n, slopes, volumes, frame[4], dilatation[0])


@njit(cache=True, error_model="numpy")
def _move_modes(found, before, modal, step, change, element_u):
    """Take a step of the modes, or half of the last one back where the residual got worse; the residual to beat."""
    if found > before:
        for r in range(len(modal)):
            step[r] *= 0.5
            element_u[modal[r]] += step[r]
        return before
    for r in range(len(modal)):
        step[r] = change[r, 0]
        element_u[modal[r]] -= step[r]
    return found


@njit(cache=True, error_model="numpy")
def _respond(
    kind, task, law, parameters, n, first, old, new, strains, stresses, tangents, geometry, dilatation, response, point,
    algebra, element_u, modal,
):  # fmt: skip
    """Strains, stresses and tangents of an element, its modes in equilibrium; Σ v J as above, 0 without an answer."""
    strain, stress, tangent = response
    error = np.inf
    for _ in range(_MOST):
        total = _strains_of_element(kind, n, element_u, geometry, dilatation, strain)
        copy_rows(n, strain, 0, strains, first)
        if total <= 0.0 or task == STRAINS:
            return total
        if task == TAKE:
            copy_rows(n, stresses, first, stress, 0)
            copy_rows(n, tangents, first, tangent, 0)
        elif not call_law(law, parameters, n, first, old, new, response, point):
            return 0.0
        copy_rows(n, stress, 0, stresses, first)
        copy_rows(n, tangent, 0, tangents, first)
        if kind == MEAN_DILATATION:
            return total
        found = _step_of_modes(n, geometry, response, algebra, error)
        if found < 0.0:
            return total
        if not np.isfinite(found):
            return 0.0
        error = _move_modes(found, error, modal, algebra[10], algebra[7], element_u)
    return 0.0


@njit(cache=True, error_model="numpy")
def _finish_element(
    kind, n, total, wanted, geometry, dilatation, response, algebra, vectors, e, cells, columns, force
):  # fmt: skip
    """Add the force of element ``e`` to that of the mesh, its tangent condensed; False if they are not finite."""
    _, nodal_force, element_force = vectors
    nodal = columns[0]
    finite = _assemble_element(kind, n, total, wanted, geometry, dilatation, response, algebra, element_force)
    if wanted and kind != MEAN_DILATATION:
        finite &= _relax_modes(algebra[1], columns, algebra[6], algebra[8], algebra[9])
    elif wanted:
        for r in range(len(nodal)):
            for c in range(len(nodal)):
                algebra[9][r, c] = algebra[1][nodal[r], nodal[c]]
    _collect(element_force, nodal, nodal_force)
    add_to_nodes(nodal_force, e, cells, len(nodal) // cells.shape[1], force)
    return finite


@njit(cache=True, error_model="numpy")
def bend_element(
    kind, task, law, parameters, n, e, cells, columns, row, displacement, old, new, old_modes, new_modes, strains,
    stresses, tangents, wanted, work, force,
):  # fmt: skip
    """Do what ``task`` says in element ``e``, whose gradients are in ``work``; False if it has no answer.

    ``work`` is that of :func:`workspace`; the matrix of the nodes is in ``work[4][9]`` then, if ``wanted``. ``row`` is
    that of its first point; the others are those of :func:`integrate_bending`.
    """
    geometry, dilatation, response, point, algebra, vectors = work
    _prepare_element(kind, e, cells, columns, displacement, old_modes, geometry, dilatation, vectors, n)
    total = _respond(
        kind, task, law, parameters, n, row, old, new, strains, stresses, tangents, geometry, dilatation, response,
        point, algebra, vectors[0], columns[1],
    )  # fmt: skip
    if kind != MEAN_DILATATION:
        _collect(vectors[0], columns[1], new_modes[e])
    if total <= 0.0 or task == STRAINS:
        return total > 0.0
    return _finish_element(
        kind, n, total, wanted, geometry, dilatation, response, algebra, vectors, e, cells, columns, force
    )  # fmt: skip


@njit(coloured="blocks", cache=True, error_model="numpy")
def integrate_bending(
    begin, end, kind, task, law, parameters, hexahedra, pattern, blocks, points, rows, columns, displacement, old, new,
    old_modes, new_modes, strains, stresses, tangents, lanes, data, force, failed,
):  # fmt: skip
    """Internal force, tangent and new state of a law in elements with mean dilatation or incompatible modes.

    ``task`` is CALL, STRAINS or TAKE. Strains (total, size) are written in any case; ``stresses`` (total, size) and
    ``tangents`` (total, size²) are written by CALL, and read by TAKE. Amplitudes of the modes ``old_modes`` (n, 9) are
    where the search for their equilibrium starts, ``new_modes`` where it ends; ``columns`` are those of
    :func:`columns_of`. ``data`` has length 0 if the tangent is not wanted. The others are those of
    :func:`femnn.solids.kernels.integrate_law`.
    """
    cells, row_starts, slots, places = pattern
    order, elements, _, block_nodes, node_starts, opens = blocks
    count, size = points[2], strains.shape[1]
    numbers, own, each = parameters
    wanted = data.shape[0] > 0 and task != STRAINS
    functions = 11 if kind == INCOMPATIBLE else 8
    for block in range(begin, end):
        buffer = np.zeros(buffer_length(block, block_nodes, node_starts, row_starts, 3) if wanted else 0)
        lane_work, work = lane_workspace(8), workspace(columns, functions, count.max(), size, old.shape[1])
        slopes, volumes, _, frame = work[0]
        for i in range(elements[block], elements[block + 1]):
            e = order[i]
            if count[e] == 0:
                continue
            n = slopes_of_element(kind, hexahedra, e, points, lanes, lane_work, frame, slopes, volumes)
            failed[e] |= not bend_element(
                kind, task, law, (numbers, own[e], each), n, e, cells, columns, rows[e], displacement, old, new,
                old_modes, new_modes, strains, stresses, tangents, wanted, work, force,
            )  # fmt: skip
            if wanted and not failed[e]:
                scatter(work[4][9], e, cells, row_starts, slots, places, 3, buffer)
        if wanted:
            flush(block, block_nodes, node_starts, opens, row_starts, 3, buffer, data)
