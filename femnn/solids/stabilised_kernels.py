"""Numba kernels of constitutive laws in elements of one point, whose twists are stabilised."""

import numpy as np

from femnn.assembly.element_matrices import add_stress, add_tangent, strain_at_point
from femnn.assembly.formulations.twists import add_means
from femnn.assembly.scatter import add_to_nodes, buffer_length, flush, scatter
from femnn.assembly.twists import twist_vectors
from femnn.geometry.shape_kernels import own_axes_of
from femnn.integration.vector_kernels import LANES, gradients_of_batch, lane_workspace
from femnn.solids.bending_kernels import CALL, STRAINS, call_law, response_workspace
from femnn.solids.dilatation_kernels import copy_rows
from femnn.solids.kernels import _are_finite, _gather
from femnn.system.compile import njit


@njit(cache=True, error_model="numpy")
def _convected_twists(finite, means, vectors, displacement, strains, deformation, amplitudes, turned, slopes):
    """Write F̄, β (4, 3), β̂ (12,) and ∂β̂/∂u (12, 24) of an element, see :func:`_add_stabilisation`."""
    for r in range(9):
        deformation[r // 3, r % 3] = (1.0 if r % 4 == 0 else 0.0) + (strains[0, r] if finite else 0.0)
    for k in range(4):
        for i in range(3):
            amplitudes[k, i] = 0.0
            for a in range(8):
                amplitudes[k, i] += vectors[a, k] * displacement[8 * i + a]
    for row in range(12):
        k, j = row // 3, row % 3
        turned[row] = 0.0
        for i in range(3):
            turned[row] += deformation[i, j] * amplitudes[k, i]
            rotated = amplitudes[k, i] if finite else 0.0
            for a in range(8):
                slopes[row, 8 * i + a] = deformation[i, j] * vectors[a, k] + rotated * means[0, 8 * j + a]


@njit(cache=True, error_model="numpy")
def _add_second_changes(means, vectors, stresses, matrix):
    """Add S β̂ : ∂²β̂/∂u² of finite strains to the tangent."""
    for a in range(8):
        for b in range(8):
            total = 0.0
            for row in range(12):
                k, j = 8 * (row % 3), row // 3
                total += stresses[row] * (means[0, k + a] * vectors[b, j] + vectors[a, j] * means[0, k + b])
            for i in range(3):
                matrix[8 * i + a, 8 * i + b] += total


@njit(cache=True, error_model="numpy")
def _add_stabilisation(finite, means, vectors, twists, displacement, strains, work, matrix, wanted, force):
    """Add the forces of the energy β̂ : S : β̂/2 of an element's twists, and its tangent where that is ``wanted``.

    ``vectors`` γ (8, 4), ``twists`` S (12, 12). With small strains β̂ = β = Γᵀu, with finite ones β̂ = F̄ᵀβ, which a
    rotation does not change; F̄ is 1 plus the mean gradient in ``strains`` (1, 9). ``work`` holds F̄ (3, 3), β (4, 3),
    β̂ and S β̂ (12,), ∂β̂/∂u and S times it (12, 24).
    """
    deformation, amplitudes, turned, stresses, slopes, products = work
    _convected_twists(finite, means, vectors, displacement, strains, deformation, amplitudes, turned, slopes)
    for r in range(12):
        stresses[r] = (twists[r] * turned).sum()
        force += stresses[r] * slopes[r]
    if not wanted:
        return
    products[:] = 0.0
    for r in range(12):
        for s in range(12):
            products[r] += twists[r, s] * slopes[s]
    for s in range(12):
        for r in range(24):
            matrix[r] += slopes[s, r] * products[s]
    if finite:
        _add_second_changes(means, vectors, stresses, matrix)


@njit(cache=True, error_model="numpy")
def _mean_gradients(hexahedra, e, points, lanes, lane_work, frame, means):
    """Write the mean gradients of element ``e`` to ``means`` (1, 24) and γ to ``frame[4]``; return the volume."""
    batches, first, count = points
    point, inverses, columns, gradients = lane_work
    linear, twist, inverse, warp, vectors, order = frame
    means[:] = 0.0
    volume = 0.0
    for batch in range((count[e] + LANES - 1) // LANES):
        gradients_of_batch(hexahedra, e, batches, first[e] + batch, lanes, point, inverses, columns, gradients)
        volume += add_means(gradients, inverses, 24, means[0])
    means /= volume
    own_axes_of(hexahedra[e], order, linear, twist, inverse, warp)
    twist_vectors(warp, vectors)
    return volume


@njit(coloured="blocks", cache=True, error_model="numpy")
def integrate_stabilised(
    begin, end, task, law, parameters, hexahedra, pattern, blocks, points, rows, displacement, old, new, twists,
    strains, stresses, tangents, lanes, data, force, failed
):  # fmt: skip
    """Internal force, tangent and new state of a law at the mean strain of every element, with stabilised twists.

    ``points`` are those that find volumes and mean gradients; ``rows`` (n,) those of the elements in ``strains``, the
    states and the rest, which are as for :func:`femnn.solids.bending_kernels.integrate_bending`; ``twists`` S
    (n, 12, 12).
    """
    cells, row_starts, slots, places = pattern
    order, elements, _, block_nodes, node_starts, opens = blocks
    count, size = points[2], strains.shape[1]
    numbers, own, each = parameters
    wanted = data.shape[0] > 0 and task != STRAINS
    for block in range(begin, end):
        buffer = np.zeros(buffer_length(block, block_nodes, node_starts, row_starts, 3) if wanted else 0)
        lane_work, means = lane_workspace(8), np.empty((1, 24))
        frame = (np.empty((3, 3)), np.empty((3, 4)), np.empty((3, 3)), np.empty((3, 4)), np.empty((8, 4)), np.arange(8))
        response, point = response_workspace(1, size, old.shape[1])
        algebra, element_u, element_force = (np.empty((9, 24)), np.empty((24, 24))), np.empty(24), np.empty(24)
        work = (
            np.empty((3, 3)), np.empty((4, 3)), np.empty(12), np.empty(12), np.empty((12, 24)), np.empty((12, 24)),
        )  # fmt: skip
        for i in range(elements[block], elements[block + 1]):
            e = order[i]
            if count[e] == 0:
                continue
            volume = _mean_gradients(hexahedra, e, points, lanes, lane_work, frame, means)
            _gather(displacement, e, cells, element_u)
            strain_at_point(means, 0, element_u, response[0], 0)
            copy_rows(1, response[0], 0, strains, rows[e])
            if task == STRAINS:
                continue
            failed[e] |= not _respond_once(
                task, law, (numbers, own[e], each), rows[e], old, new, stresses, tangents, means, volume, wanted,
                response, point, algebra, element_force,
            )  # fmt: skip
            _add_stabilisation(
                size == 9, means, frame[4], twists[e], element_u, response[0], work, algebra[1], wanted,
                element_force,
            )  # fmt: skip
            add_to_nodes(element_force, e, cells, 3, force)
            if wanted:
                scatter(algebra[1], e, cells, row_starts, slots, places, 3, buffer)
        if wanted:
            flush(block, block_nodes, node_starts, opens, row_starts, 3, buffer, data)


@njit(cache=True, error_model="numpy")
def _respond_once(
    task, law, parameters, row, old, new, stresses, tangents, means, volume, wanted, response, point, algebra, force
):  # fmt: skip
    """Force and tangent of the mean strain of an element; False if they are not finite."""
    _, stress, tangent = response
    finite = True
    if task == CALL:
        finite = call_law(law, parameters, 1, row, old, new, response, point)
        copy_rows(1, stress, 0, stresses, row)
        copy_rows(1, tangent, 0, tangents, row)
    else:
        copy_rows(1, stresses, row, stress, 0)
        copy_rows(1, tangents, row, tangent, 0)
    force[:] = 0.0
    algebra[1][:] = 0.0
    add_stress(means, 0, volume, stress, 0, force)
    if wanted:
        add_tangent(means, 0, volume, tangent, 0, algebra[0], algebra[1])
        finite &= _are_finite(tangent[0])
    return finite and _are_finite(stress[0])
