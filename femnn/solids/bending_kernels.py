"""Numba kernels that integrate a constitutive law in elements that bend: mean dilatation, incompatible modes, one point.

Gradients of an element at all its points lie in ``slopes`` (points, 3 m), component-major over its m functions: eight
shape functions and, for incompatible modes, ∇(ξ_j²/2) of three more whose amplitudes are condensed in the element.
"""

import numpy as np
from numba import prange

from femnn.assembly.element_matrices import add_stress, add_tangent, strain_at_point
from femnn.assembly.formulations.twists import INCOMPATIBLE, MEAN_DILATATION, add_means
from femnn.assembly.forces import add_to_nodes
from femnn.assembly.fused import buffer_length, flush, scatter
from femnn.assembly.twists import twist_vectors
from femnn.geometry.canonical_pose import invert, own_axes_of
from femnn.geometry.coordinates import TWISTS
from femnn.integration.vector_kernels import LANES, gradients_of_batch, lane_workspace
from femnn.solids.kernels import _are_finite, _gather, _take
from femnn.system.compile import njit

_LAST_TWIST = np.array(TWISTS[:, 3])

#: What a pass does: call the compiled law; write strains alone; take stress and tangent from arrays.
CALL, STRAINS, TAKE = 0, 1, 2

#: Evaluations of an element until its incompatible modes are in equilibrium, and how well, relative to its stresses.
_MOST, _ENOUGH = 25, 1e-12

# Stresses beside the stiffness that are rounding in units of _ENOUGH.
_ROUNDING = 1e-2

# What is enough of that where rounding, or a law that iterates, allows no more.
_STAGNANT = 1e-8


@njit(cache=True, error_model="numpy")
def _slopes_of_element(kind, hexahedra, e, points, lanes, lane_work, frame, slopes, volumes):
    """Fill ``slopes`` and ``volumes`` at the points of element ``e``; return their number."""
    batches, first, count = points
    point, inverses, columns, gradients = lane_work
    linear, twist, inverse, warp, vectors, order = frame
    m = slopes.shape[1] // 3
    determinant = abs(own_axes_of(hexahedra[e], order, linear, twist, inverse, warp))
    for batch in range((count[e] + LANES - 1) // LANES):
        gradients_of_batch(hexahedra, e, batches, first[e] + batch, lanes, point, inverses, columns, gradients)
        for q in range(min(LANES, count[e] - LANES * batch)):
            row = LANES * batch + q
            volumes[row] = inverses[72 + q]
            scale = 8.0 * determinant * point[24 + q] / inverses[72 + q]
            for i in range(3):
                for a in range(8):
                    slopes[row, m * i + a] = gradients[q, 8 * i + a]
                if kind == INCOMPATIBLE:
                    for j in range(3):
                        slopes[row, m * i + 8 + j] = scale * (2.0 * point[8 * j + q] - 1.0) * inverse[j, i]
    if kind == INCOMPATIBLE:
        twist_vectors(warp, vectors)
        # the modes of any rule have no mean: the patch test
        volume = volumes[: count[e]].sum()
        for i in range(3):
            for j in range(3):
                c = m * i + 8 + j
                mean = 0.0
                for row in range(count[e]):
                    mean += volumes[row] * slopes[row, c]
                for row in range(count[e]):
                    slopes[row, c] -= mean / volume
    return count[e]


@njit(cache=True, error_model="numpy")
def _twist_shifts(n, slopes, volumes, vectors, shifts):
    """Write the shifts (n, 33) that take the dilatation of the twist ξηζ out of small strains: it would lock."""
    shifts[:n] = 0.0
    volume = volumes[:n].sum()
    for i in range(3):
        mean = 0.0
        for q in range(n):
            slope = 0.0
            for a in range(8):
                slope += _LAST_TWIST[a] * slopes[q, 11 * i + a]
            shifts[q, 11 * i] = slope
            mean += volumes[q] * slope / volume
        for q in range(n):
            slope = shifts[q, 11 * i] - mean
            for a in range(8):
                shifts[q, 11 * i + a] = -slope * vectors[a, 3]


@njit(cache=True, error_model="numpy")
def _shift_dilatations(n, displacement, shifts, strains):
    for q in range(n):
        change = 0.0
        for c in range(displacement.shape[0]):
            change += shifts[q, c] * displacement[c]
        for i in range(3):
            strains[q, i] += change / 3.0


@njit(cache=True, error_model="numpy")
def _deformation(strains, row, deformation):
    """Write F = 1 + H to ``deformation`` (3, 3) from a row of gradients."""
    for i in range(3):
        for j in range(3):
            deformation[i, j] = strains[row, 3 * i + j] + (1.0 if i == j else 0.0)


@njit(cache=True, error_model="numpy")
def _dilatation_shifts(n, slopes, volumes, displacement, strains, deformation, inverse, spatial, shifts, ratios):
    """Exchange the dilatation of every point for the mean one in ``strains``.

    Writes the shift c of each point (n, 24), the change of its logarithmic dilatation less that of the mean, and the
    factors s = (J̄/J)^{1/3} of the deformation to ``ratios`` (n, 2), beside J; ``spatial`` (n, 24) holds F⁻ᵀ∇N of finite
    strains. Returns Σ v J, or 0 if an element is inverted.
    """
    small = strains.shape[1] == 6
    total, m = 0.0, slopes.shape[1] // 3
    mean = shifts[n]
    mean[:] = 0.0
    for q in range(n):
        jacobian = 1.0
        if small:
            for c in range(3 * m):
                spatial[q, c] = slopes[q, c]
        else:
            _deformation(strains, q, deformation)
            jacobian = invert(deformation, inverse)
            if not jacobian > 0.0:
                return 0.0
            for i in range(3):
                for a in range(m):
                    spatial[q, m * i + a] = (
                        inverse[0, i] * slopes[q, a] + inverse[1, i] * slopes[q, m + a] + inverse[2, i] * slopes[q, 2 * m + a]
                    )
        ratios[q, 1] = jacobian
        total += volumes[q] * jacobian
        for c in range(3 * m):
            mean[c] += volumes[q] * jacobian * spatial[q, c]
    volume = 0.0
    for q in range(n):
        volume += volumes[q]
    for c in range(3 * m):
        mean[c] /= total
    if small:
        for q in range(n):
            ratios[q, 0] = 1.0
            for c in range(3 * m):
                shifts[q, c] = mean[c] - spatial[q, c]
        _shift_dilatations(n, displacement, shifts, strains)
    else:
        for q in range(n):
            for c in range(3 * m):
                shifts[q, c] = mean[c] - spatial[q, c]
            ratios[q, 0] = (total / volume / ratios[q, 1]) ** (1.0 / 3.0)
            for i in range(3):
                for j in range(3):
                    one = 1.0 if i == j else 0.0
                    strains[q, 3 * i + j] = ratios[q, 0] * (strains[q, 3 * i + j] + one) - one
    return total


@njit(cache=True, error_model="numpy")
def _add_dilatation_force(q, volume, strains, stresses, shifts, force):
    """Add (P* : F*) c/3, or (tr σ) c/3, times ``volume`` to ``force``; return P* : F*/3."""
    pressure = 0.0
    if strains.shape[1] == 6:
        pressure = (stresses[q, 0] + stresses[q, 1] + stresses[q, 2]) / 3.0
    else:
        for r in range(9):
            pressure += stresses[q, r] * (strains[q, r] + (1.0 if r % 4 == 0 else 0.0)) / 3.0
    for c in range(force.shape[0]):
        force[c] += volume * pressure * shifts[q, c]
    return pressure


@njit(cache=True, error_model="numpy")
def _add_dilatation_tangent(
    q, volume, strains, stresses, tangents, slopes, shifts, scale, pressure, products, left, right, matrix
):
    """Add what the exchange of dilatations adds to the tangent at a point, but for second changes of dilatations.

    ``products`` (2, 9) are work space for F* : A and A : F*, ``left`` and ``right`` (24,) for what they do.
    """
    size = strains.shape[1]
    whole = 0.0
    for r in range(size):
        first = second = 0.0
        for s in range(size):
            if size == 6:
                weight = 1.0 if s < 3 else 0.0
            else:
                weight = strains[q, s] + (1.0 if s % 4 == 0 else 0.0)
            first += weight * tangents[q, size * s + r]
            second += weight * tangents[q, size * r + s]
        products[0, r], products[1, r] = first / 3.0, second / 3.0
    for r in range(size):
        weight = (1.0 if r < 3 else 0.0) if size == 6 else strains[q, r] + (1.0 if r % 4 == 0 else 0.0)
        whole += weight * products[1, r] / 3.0
    left[:] = 0.0
    right[:] = 0.0
    add_stress(slopes, q, scale * volume, products[1:2, :size], 0, left)
    add_stress(slopes, q, scale * volume, products[0:1, :size], 0, right)
    if size == 9:
        # second changes of s F: s (δF c/3 + F c c/9) and what follows in symmetry
        add_stress(slopes, q, scale * volume / 3.0, stresses[q : q + 1], 0, left)
        add_stress(slopes, q, scale * volume / 3.0, stresses[q : q + 1], 0, right)
        whole += pressure / 3.0
    n = left.shape[0]
    for r in range(n):
        x, y = left[r] + volume * whole * shifts[q, r], shifts[q, r]
        for c in range(n):
            matrix[r, c] += x * shifts[q, c] + y * right[c]


@njit(cache=True, error_model="numpy")
def _add_dilatation_changes(n, volumes, total, pressures, ratios, spatial, shifts, matrix):
    """Add the second changes of the dilatations, of the mean and of the points, times what is conjugate to them."""
    m = spatial.shape[1] // 3
    mean_pressure = 0.0
    for q in range(n):
        mean_pressure += volumes[q] * pressures[q]
    for q in range(n):
        share = mean_pressure * volumes[q] * ratios[q, 1] / total
        own = volumes[q] * pressures[q] - share
        for i in range(3):
            for a in range(m):
                r = m * i + a
                for j in range(3):
                    for b in range(m):
                        c = m * j + b
                        matrix[r, c] += share * spatial[q, r] * spatial[q, c] + own * spatial[q, m * j + a] * spatial[q, m * i + b]
    for r in range(3 * m):
        for c in range(3 * m):
            matrix[r, c] -= mean_pressure * shifts[n, r] * shifts[n, c]


@njit(cache=True, error_model="numpy")
def _solve_in_place(matrix, right):
    """Solve matrix x = right (k, m) by elimination with row pivots, both overwritten; False if it is singular."""
    k, m = right.shape
    for p in range(k):
        best = p
        for r in range(p + 1, k):
            if abs(matrix[r, p]) > abs(matrix[best, p]):
                best = r
        if not abs(matrix[best, p]) > 0.0:
            return False
        for c in range(k):
            matrix[p, c], matrix[best, c] = matrix[best, c], matrix[p, c]
        for c in range(m):
            right[p, c], right[best, c] = right[best, c], right[p, c]
        for r in range(p + 1, k):
            factor = matrix[r, p] / matrix[p, p]
            for c in range(p, k):
                matrix[r, c] -= factor * matrix[p, c]
            for c in range(m):
                right[r, c] -= factor * right[p, c]
    for p in range(k - 1, -1, -1):
        for c in range(m):
            total = right[p, c]
            for r in range(p + 1, k):
                total -= matrix[p, r] * right[r, c]
            right[p, c] = total / matrix[p, p]
    return True


@njit(cache=True, error_model="numpy")
def _relax_modes(matrix, force, work, coupling, condensed):
    """Condense rows and columns of the modes, 11 i + 8 + j, out of ``matrix`` (33, 33) into ``condensed`` (24, 24)."""
    for i in range(3):
        for j in range(3):
            row = 11 * i + 8 + j
            for k in range(3):
                for a in range(3):
                    work[3 * i + j, 3 * k + a] = matrix[row, 11 * k + 8 + a]
                for a in range(8):
                    coupling[3 * i + j, 8 * k + a] = matrix[row, 11 * k + a]
    found = _solve_in_place(work, coupling)
    for i in range(3):
        for a in range(8):
            for j in range(3):
                for b in range(8):
                    total = matrix[11 * i + a, 11 * j + b]
                    for k in range(3):
                        for p in range(3):
                            total -= matrix[11 * i + a, 11 * k + 8 + p] * coupling[3 * k + p, 8 * j + b]
                    condensed[8 * i + a, 8 * j + b] = total
    return found


@njit(cache=True, error_model="numpy")
def _mode_slopes(n, slopes, modes):
    for q in range(n):
        for i in range(3):
            for j in range(3):
                modes[q, 3 * i + j] = slopes[q, 11 * i + 8 + j]


@njit(parallel=True, cache=True, error_model="numpy")
def integrate_bending(
    kind, task, law, parameters, hexahedra, pattern, blocks, points, rows, displacement, old, new, old_modes, new_modes,
    strains, stresses, tangents, lanes, data, force, failed
):  # fmt: skip
    """Internal force, tangent and new state of a law in elements with mean dilatation or incompatible modes.

    ``task`` is CALL, STRAINS or TAKE. Strains (total, size) are written in any case; ``stresses`` (total, size) and
    ``tangents`` (total, size²) are written by CALL, and read by TAKE. Amplitudes of the modes ``old_modes`` (n, 9) are
    where the search for their equilibrium starts, ``new_modes`` where it ends. ``data`` has length 0 if the tangent is
    not wanted. The others are those of :func:`femnn.solids.kernels.integrate_law`.
    """
    cells, row_starts, slots, places = pattern
    order, elements, colours, block_nodes, node_starts, opens = blocks
    count, size = points[2], strains.shape[1]
    wanted = data.shape[0] > 0 and task != STRAINS
    m = 11 if kind == INCOMPATIBLE else 8
    # the twist ξηζ of small strains; the mean dilatation shifts by itself
    shifted = kind == INCOMPATIBLE and size == 6
    most = count.max()
    for colour in range(colours.shape[0] - 1):
        for block in prange(colours[colour], colours[colour + 1]):
            buffer = np.zeros(buffer_length(block, block_nodes, node_starts, row_starts, 3) if wanted else 0)
            lane_work = lane_workspace(8)
            frame = (np.empty((3, 3)), np.empty((3, 4)), np.empty((3, 3)), np.empty((3, 4)), np.empty((8, 4)), np.arange(8))
            slopes, volumes, modes = np.empty((most, 3 * m)), np.empty(most), np.empty((most, 9))
            shifts, spatial = np.empty((most + 1, 3 * m)), np.empty((most, 24))
            ratios, pressures = np.empty((most, 2)), np.empty(most)
            deformation, inverse, products = np.empty((3, 3)), np.empty((3, 3)), np.empty((2, 9))
            left, right = np.empty(3 * m), np.empty(3 * m)
            strain, stress, tangent = np.empty((most, size)), np.empty((most, size)), np.empty((most, size * size))
            point_strain, point_stress = np.empty(size), np.empty(size)
            point_tangent = np.empty((size, size))
            state, new_state = np.empty(old.shape[1]), np.empty(old.shape[1])
            spread, matrix = np.empty((9, 3 * m)), np.empty((3 * m, 3 * m))
            condensed = np.empty((24, 24)) if kind == INCOMPATIBLE else matrix
            mode_spread, mode_matrix, mode_force = np.empty((9, 9)), np.empty((9, 9)), np.empty((9, 1))
            coupling = np.empty((9, 24))
            element_u, nodal_u, element_force, nodal_force = np.empty(3 * m), np.empty(24), np.empty(3 * m), np.empty(24)
            for i in range(elements[block], elements[block + 1]):
                e = order[i]
                if count[e] == 0:
                    continue
                n = _slopes_of_element(kind, hexahedra, e, points, lanes, lane_work, frame, slopes, volumes)
                _gather(displacement, e, cells, nodal_u)
                for k in range(3):
                    for a in range(8):
                        element_u[m * k + a] = nodal_u[8 * k + a]
                if shifted:
                    _twist_shifts(n, slopes, volumes, frame[4], shifts)
                if kind == INCOMPATIBLE:
                    _mode_slopes(n, slopes, modes)
                    for k in range(3):
                        for a in range(3):
                            element_u[11 * k + 8 + a] = old_modes[e, 3 * k + a]
                solved, total, before = False, 1.0, np.inf
                for _ in range(_MOST if kind == INCOMPATIBLE else 1):
                    for q in range(n):
                        strain_at_point(slopes, q, element_u, strain, q)
                    if kind == MEAN_DILATATION:
                        total = _dilatation_shifts(
                            n, slopes, volumes, element_u, strain, deformation, inverse, spatial, shifts, ratios
                        )
                        if total <= 0.0:
                            break
                    if shifted:
                        _shift_dilatations(n, element_u, shifts, strain)
                    for q in range(n):
                        row = rows[e] + q
                        strains[row] = strain[q]
                        if task == CALL:
                            _take(old, row, state, new_state)
                            point_strain[:] = strain[q]
                            # what a law leaves out
                            point_stress[:] = np.nan
                            point_tangent[:] = 0.0
                            law(point_strain, state, parameters, point_stress, point_tangent, new_state)
                            new[row] = new_state
                            failed[e] |= not _are_finite(new_state)
                            for r in range(size):
                                stress[q, r] = point_stress[r]
                                for c in range(size):
                                    tangent[q, size * r + c] = point_tangent[r, c]
                            stresses[row] = stress[q]
                            tangents[row] = tangent[q]
                        elif task == TAKE:
                            stress[q] = stresses[row]
                            tangent[q] = tangents[row]
                    if kind == MEAN_DILATATION or task == STRAINS:
                        solved = True
                        break
                    # the modes are in equilibrium when no stress works on them
                    mode_force[:] = 0.0
                    mode_matrix[:] = 0.0
                    work = 0.0
                    for q in range(n):
                        add_stress(modes, q, volumes[q], stress, q, mode_force[:, 0])
                        add_tangent(modes, q, volumes[q], tangent, q, mode_spread, mode_matrix)
                        largest = np.abs(stress[q]).max() + _ROUNDING * np.abs(tangent[q]).max()
                        work += volumes[q] * largest * np.abs(modes[q]).max()
                    error = np.abs(mode_force).max()
                    if not error > _ENOUGH * work or (error >= 0.5 * before and error <= _STAGNANT * work):
                        solved = True
                        break
                    before = error
                    if not _solve_in_place(mode_matrix, mode_force):
                        break
                    for k in range(3):
                        for a in range(3):
                            element_u[11 * k + 8 + a] -= mode_force[3 * k + a, 0]
                if kind == INCOMPATIBLE:
                    for k in range(3):
                        for a in range(3):
                            new_modes[e, 3 * k + a] = element_u[11 * k + 8 + a]
                failed[e] |= not solved
                if task == STRAINS or not solved:
                    continue
                element_force[:] = 0.0
                matrix[:] = 0.0
                for q in range(n):
                    failed[e] |= not _are_finite(stress[q])
                    scale = ratios[q, 0] if kind == MEAN_DILATATION else 1.0
                    add_stress(slopes, q, scale * volumes[q], stress, q, element_force)
                    if kind == MEAN_DILATATION or shifted:
                        pressures[q] = _add_dilatation_force(q, volumes[q], strain, stress, shifts, element_force)
                    if wanted:
                        failed[e] |= not _are_finite(tangent[q])
                        add_tangent(slopes, q, scale * scale * volumes[q], tangent, q, spread, matrix)
                        if kind == MEAN_DILATATION or shifted:
                            _add_dilatation_tangent(
                                q, volumes[q], strain, stress, tangent, slopes, shifts, scale, pressures[q], products,
                                left, right, matrix,
                            )  # fmt: skip
                if wanted and kind == MEAN_DILATATION and size == 9:
                    _add_dilatation_changes(n, volumes, total, pressures, ratios, spatial, shifts, matrix)
                if wanted and kind == INCOMPATIBLE:
                    failed[e] |= not _relax_modes(matrix, element_force, mode_matrix, coupling, condensed)
                for k in range(3):
                    for a in range(8):
                        nodal_force[8 * k + a] = element_force[m * k + a]
                add_to_nodes(nodal_force, e, cells, 3, force)
                if wanted:
                    scatter(condensed, e, cells, row_starts, slots, places, 3, buffer)
            if wanted:
                flush(block, block_nodes, node_starts, opens, row_starts, 3, buffer, data)


@njit(cache=True, error_model="numpy")
def _add_stabilisation(finite, means, vectors, twists, displacement, strains, work, matrix, wanted, force):
    """Add the forces of the energy β̂ : S : β̂/2 of an element's twists, and its tangent where that is ``wanted``.

    ``vectors`` γ (8, 4), ``twists`` S (12, 12). With small strains β̂ = β = Γᵀu, with finite ones β̂ = F̄ᵀβ, which a
    rotation does not change; F̄ is 1 plus the mean gradient in ``strains`` (1, 9). ``work`` holds F̄ (3, 3), β (4, 3),
    β̂ and S β̂ (12,), ∂β̂/∂u and S times it (12, 24).
    """
    deformation, amplitudes, turned, stresses, slopes, products = work
    for i in range(3):
        for j in range(3):
            deformation[i, j] = 1.0 if i == j else 0.0
            if finite:
                deformation[i, j] += strains[0, 3 * i + j]
        for k in range(4):
            total = 0.0
            for a in range(8):
                total += vectors[a, k] * displacement[8 * i + a]
            amplitudes[k, i] = total
    for k in range(4):
        for j in range(3):
            row = 3 * k + j
            turned[row] = 0.0
            for i in range(3):
                turned[row] += deformation[i, j] * amplitudes[k, i]
                for a in range(8):
                    slopes[row, 8 * i + a] = deformation[i, j] * vectors[a, k]
                    if finite:
                        slopes[row, 8 * i + a] += amplitudes[k, i] * means[0, 8 * j + a]
    for r in range(12):
        total = 0.0
        for c in range(12):
            total += twists[r, c] * turned[c]
        stresses[r] = total
    for c in range(24):
        for r in range(12):
            force[c] += slopes[r, c] * stresses[r]
    if not wanted:
        return
    for r in range(12):
        for c in range(24):
            total = 0.0
            for s in range(12):
                total += twists[r, s] * slopes[s, c]
            products[r, c] = total
    for r in range(24):
        for s in range(12):
            factor = slopes[s, r]
            for c in range(24):
                matrix[r, c] += factor * products[s, c]
    if finite:
        for a in range(8):
            for b in range(8):
                total = 0.0
                for k in range(4):
                    for j in range(3):
                        total += stresses[3 * k + j] * (
                            means[0, 8 * j + a] * vectors[b, k] + vectors[a, k] * means[0, 8 * j + b]
                        )
                for i in range(3):
                    matrix[8 * i + a, 8 * i + b] += total


@njit(parallel=True, cache=True, error_model="numpy")
def integrate_stabilised(
    task, law, parameters, hexahedra, pattern, blocks, points, rows, displacement, old, new, twists, strains, stresses,
    tangents, lanes, data, force, failed
):  # fmt: skip
    """Internal force, tangent and new state of a law at the mean strain of every element, with stabilised twists.

    ``points`` are those that find volumes and mean gradients; ``rows`` (n,) those of the elements in ``strains``, the
    states and the rest, which are as for :func:`integrate_bending`; ``twists`` S (n, 12, 12).
    """
    cells, row_starts, slots, places = pattern
    order, elements, colours, block_nodes, node_starts, opens = blocks
    batches, first, count = points
    size = strains.shape[1]
    wanted = data.shape[0] > 0 and task != STRAINS
    for colour in range(colours.shape[0] - 1):
        for block in prange(colours[colour], colours[colour + 1]):
            buffer = np.zeros(buffer_length(block, block_nodes, node_starts, row_starts, 3) if wanted else 0)
            point, inverses, columns, gradients = lane_workspace(8)
            linear, twist, inverse, warp, vectors = (
                np.empty((3, 3)), np.empty((3, 4)), np.empty((3, 3)), np.empty((3, 4)), np.empty((8, 4)),
            )  # fmt: skip
            vertices = np.arange(8)
            means, element_u, element_force = np.empty((1, 24)), np.empty(24), np.empty(24)
            strain, stress, tangent = np.empty((1, size)), np.empty((1, size)), np.empty((1, size * size))
            point_strain, point_stress = strain.reshape(size), stress.reshape(size)
            point_tangent = tangent.reshape((size, size))
            state, new_state = np.empty(old.shape[1]), np.empty(old.shape[1])
            spread, matrix = np.empty((9, 24)), np.empty((24, 24))
            work = (
                np.empty((3, 3)), np.empty((4, 3)), np.empty(12), np.empty(12), np.empty((12, 24)), np.empty((12, 24)),
            )  # fmt: skip
            for i in range(elements[block], elements[block + 1]):
                e = order[i]
                if count[e] == 0:
                    continue
                means[:] = 0.0
                volume = 0.0
                for batch in range((count[e] + LANES - 1) // LANES):
                    gradients_of_batch(
                        hexahedra, e, batches, first[e] + batch, lanes, point, inverses, columns, gradients
                    )
                    volume += add_means(gradients, inverses, 24, means[0])
                for c in range(24):
                    means[0, c] /= volume
                own_axes_of(hexahedra[e], vertices, linear, twist, inverse, warp)
                twist_vectors(warp, vectors)
                _gather(displacement, e, cells, element_u)
                strain_at_point(means, 0, element_u, strain, 0)
                row = rows[e]
                strains[row] = strain[0]
                if task == STRAINS:
                    continue
                if task == CALL:
                    _take(old, row, state, new_state)
                    # what a law leaves out
                    stress[:] = np.nan
                    tangent[:] = 0.0
                    law(point_strain, state, parameters, point_stress, point_tangent, new_state)
                    new[row] = new_state
                    failed[e] |= not _are_finite(new_state)
                    stresses[row] = stress[0]
                    tangents[row] = tangent[0]
                else:
                    stress[0] = stresses[row]
                    tangent[0] = tangents[row]
                failed[e] |= not _are_finite(stress[0])
                element_force[:] = 0.0
                matrix[:] = 0.0
                add_stress(means, 0, volume, stress, 0, element_force)
                if wanted:
                    failed[e] |= not _are_finite(tangent[0])
                    add_tangent(means, 0, volume, tangent, 0, spread, matrix)
                _add_stabilisation(
                    size == 9, means, vectors, twists[e], element_u, strain, work, matrix, wanted, element_force
                )
                add_to_nodes(element_force, e, cells, 3, force)
                if wanted:
                    scatter(matrix, e, cells, row_starts, slots, places, 3, buffer)
            if wanted:
                flush(block, block_nodes, node_starts, opens, row_starts, 3, buffer, data)
