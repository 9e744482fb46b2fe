"""Numba kernels of constitutive laws in elements that bend: mean dilatation, incompatible modes, one point.

Gradients of an element at all its points lie in ``slopes`` (points, 3 m), component-major over its m functions: eight
shape functions and, for incompatible modes, ∇(ξ_j²/2) of three more whose amplitudes are condensed in the element.
"""

import numpy as np

from femnn.assembly.element_matrices import add_stress, add_tangent, strain_at_point
from femnn.assembly.forces import add_to_nodes
from femnn.assembly.formulations.twists import INCOMPATIBLE, MEAN_DILATATION, STABILISED, add_means
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
            for c in range(24):
                slopes[row, m * (c // 8) + c % 8] = gradients[q, c]
            if kind == INCOMPATIBLE:
                for k in range(9):
                    i, j = k // 3, k % 3
                    slopes[row, m * i + 8 + j] = scale * (2.0 * point[8 * j + q] - 1.0) * inverse[j, i]
    if kind == INCOMPATIBLE:
        twist_vectors(warp, vectors)
        _centre_modes(count[e], slopes, volumes)
    return count[e]


@njit(cache=True, error_model="numpy")
def _centre_modes(n, slopes, volumes):
    """Take the means out of the gradients of the modes: the patch test, by the points of any rule."""
    volume = volumes[:n].sum()
    for k in range(9):
        c = 11 * (k // 3) + 8 + k % 3
        mean = (volumes[:n] * slopes[:n, c]).sum() / volume
        slopes[:n, c] -= mean


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
def _spatial_slopes(q, slopes, strains, deformation, inverse, spatial):
    """Write F⁻ᵀ∇N of a point to ``spatial``, ∇N with small strains; return J, 1 with small strains."""
    m = slopes.shape[1] // 3
    if strains.shape[1] == 6:
        spatial[q] = slopes[q]
        return 1.0
    _deformation(strains, q, deformation)
    jacobian = invert(deformation, inverse)
    for i in range(3):
        for a in range(m):
            spatial[q, m * i + a] = (
                inverse[0, i] * slopes[q, a] + inverse[1, i] * slopes[q, m + a] + inverse[2, i] * slopes[q, 2 * m + a]
            )
    return jacobian


@njit(cache=True, error_model="numpy")
def _scale_deformations(n, volumes, total, strains, ratios):
    """Multiply F by s = (J̄/J)^{1/3} at the points of an element."""
    volume = volumes[:n].sum()
    for q in range(n):
        ratios[q, 0] = (total / volume / ratios[q, 1]) ** (1.0 / 3.0)
        for r in range(9):
            one = 1.0 if r % 4 == 0 else 0.0
            strains[q, r] = ratios[q, 0] * (strains[q, r] + one) - one


@njit(cache=True, error_model="numpy")
def _dilatation_shifts(n, slopes, volumes, displacement, strains, deformation, inverse, spatial, shifts, ratios):
    """Exchange the dilatation of every point for the mean one in ``strains``.

    Writes the shift c of each point (n, 24), the change of the mean logarithmic dilatation less that of its own, with
    the change of the mean in row n, and the factors s of the deformation to ``ratios`` (n, 2), beside J; ``spatial``
    (n, 24) holds F⁻ᵀ∇N. Returns Σ v J, or 0 if an element is inverted.
    """
    total, mean = 0.0, shifts[n]
    mean[:] = 0.0
    for q in range(n):
        jacobian = _spatial_slopes(q, slopes, strains, deformation, inverse, spatial)
        if not jacobian > 0.0:
            return 0.0
        ratios[q, 0], ratios[q, 1] = 1.0, jacobian
        total += volumes[q] * jacobian
        mean += volumes[q] * jacobian * spatial[q]
    mean /= total
    for q in range(n):
        shifts[q] = mean - spatial[q]
    if strains.shape[1] == 6:
        _shift_dilatations(n, displacement, shifts, strains)
    else:
        _scale_deformations(n, volumes, total, strains, ratios)
    return total


@njit(cache=True, error_model="numpy")
def _unit(strains, q, r):
    """Entry r of what a dilatation multiplies: the identity of small strains, F of finite ones."""
    if strains.shape[1] == 6:
        return 1.0 if r < 3 else 0.0
    return strains[q, r] + (1.0 if r % 4 == 0 else 0.0)


@njit(cache=True, error_model="numpy")
def _add_dilatation_force(q, volume, strains, stresses, shifts, force):
    """Add (P* : F*) c/3, or (tr σ) c/3, times ``volume`` to ``force``; return P* : F*/3."""
    pressure = 0.0
    for r in range(strains.shape[1]):
        pressure += stresses[q, r] * _unit(strains, q, r) / 3.0
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
            first += _unit(strains, q, s) * tangents[q, size * s + r]
            second += _unit(strains, q, s) * tangents[q, size * r + s]
        products[0, r], products[1, r] = first / 3.0, second / 3.0
        whole += _unit(strains, q, r) * second / 9.0
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
                        matrix[r, c] += (
                            share * spatial[q, r] * spatial[q, c] + own * spatial[q, m * j + a] * spatial[q, m * i + b]
                        )
    for r in range(3 * m):
        for c in range(3 * m):
            matrix[r, c] -= mean_pressure * shifts[n, r] * shifts[n, c]


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
def _relax_modes(matrix, work, coupling, condensed):
    """Condense rows and columns of the modes, 11 i + 8 + j, out of ``matrix`` (33, 33) into ``condensed`` (24, 24)."""
    for r in range(9):
        row = 11 * (r // 3) + 8 + r % 3
        for c in range(9):
            work[r, c] = matrix[row, 11 * (c // 3) + 8 + c % 3]
        for c in range(24):
            coupling[r, c] = matrix[row, 11 * (c // 8) + c % 8]
    found = _solve_in_place(work, coupling)
    for r in range(24):
        row = 11 * (r // 8) + r % 8
        for c in range(24):
            total = matrix[row, 11 * (c // 8) + c % 8]
            for k in range(9):
                total -= matrix[row, 11 * (k // 3) + 8 + k % 3] * coupling[k, c]
            condensed[r, c] = total
    return found


@njit(cache=True, error_model="numpy")
def _mode_slopes(n, slopes, modes):
    for q in range(n):
        for i in range(3):
            for j in range(3):
                modes[q, 3 * i + j] = slopes[q, 11 * i + 8 + j]


@njit(cache=True)
def _workspace(kind, most, size, n_state):
    """Work arrays of an element: its geometry, dilatations, responses at points, one point, and algebra."""
    m = 11 if kind == INCOMPATIBLE else 8
    frame = (np.empty((3, 3)), np.empty((3, 4)), np.empty((3, 3)), np.empty((3, 4)), np.empty((8, 4)), np.arange(8))
    geometry = (np.empty((most, 3 * m)), np.empty(most), np.empty((most, 9)), frame)
    dilatation = (
        np.empty((most + 1, 3 * m)),
        np.empty((most, 24)),
        np.empty((most, 2)),
        np.empty(most),
        np.empty((3, 3)),
        np.empty((3, 3)),
    )
    response = (np.empty((most, size)), np.empty((most, size)), np.empty((most, size * size)))
    point = (np.empty(size), np.empty(size), np.empty((size, size)), np.empty(n_state), np.empty(n_state))
    algebra = (
        np.empty((9, 3 * m)),
        np.empty((3 * m, 3 * m)),
        np.empty((2, 9)),
        np.empty(3 * m),
        np.empty(3 * m),
        np.empty((9, 9)),
        np.empty((9, 9)),
        np.empty((9, 1)),
        np.empty((9, 24)),
        np.empty((24, 24)),
    )
    vectors = (np.empty(3 * m), np.empty(24), np.empty(3 * m))
    return geometry, dilatation, response, point, algebra, vectors


@njit(cache=True, error_model="numpy")
def _spread_nodes(source, count, target):
    """Copy vectors of eight nodes (24,) to the first eight of ``count`` functions (3 count,)."""
    for k in range(3):
        for a in range(8):
            target[count * k + a] = source[8 * k + a]


@njit(cache=True, error_model="numpy")
def _collect_nodes(source, count, target):
    for k in range(3):
        for a in range(8):
            target[8 * k + a] = source[count * k + a]


@njit(cache=True, error_model="numpy")
def _set_modes(values, e, element_u):
    for k in range(3):
        for a in range(3):
            element_u[11 * k + 8 + a] = values[e, 3 * k + a]


@njit(cache=True, error_model="numpy")
def _keep_modes(element_u, values, e):
    for k in range(3):
        for a in range(3):
            values[e, 3 * k + a] = element_u[11 * k + 8 + a]


@njit(cache=True, error_model="numpy")
def _strains_of_element(kind, n, element_u, geometry, dilatation, strain):
    """Write the strains that the law gets; return Σ v J for mean dilatation, 0 for an inverted element, else 1."""
    slopes, volumes, _, _ = geometry
    shifts, spatial, ratios, _, deformation, inverse = dilatation
    for q in range(n):
        strain_at_point(slopes, q, element_u, strain, q)
    if kind == MEAN_DILATATION:
        return _dilatation_shifts(
            n, slopes, volumes, element_u, strain, deformation, inverse, spatial, shifts, ratios
        )  # fmt: skip
    if strain.shape[1] == 6:
        _shift_dilatations(n, element_u, shifts, strain)
    return 1.0


@njit(cache=True, error_model="numpy")
def _call_law(law, parameters, n, first, old, new, response, point):
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
        new[first + q] = new_state
        finite &= _are_finite(new_state)
        stress[q] = point_stress
        for r in range(size):
            for c in range(size):
                tangent[q, size * r + c] = point_tangent[r, c]
    return finite


@njit(cache=True, error_model="numpy")
def _step_of_modes(n, geometry, response, algebra, before):
    """One step towards the equilibrium of the modes; the residual, or -1 when they are in it, inf if there is none."""
    _, volumes, modes, _ = geometry
    _, stress, tangent = response
    spread, matrix, force = algebra[5], algebra[6], algebra[7]
    force[:] = 0.0
    matrix[:] = 0.0
    work = 0.0
    for q in range(n):
        add_stress(modes, q, volumes[q], stress, q, force[:, 0])
        add_tangent(modes, q, volumes[q], tangent, q, spread, matrix)
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
    shifted, finite = kind == MEAN_DILATATION or strain.shape[1] == 6, True
    force[:] = 0.0
    matrix[:] = 0.0
    for q in range(n):
        finite &= _are_finite(stress[q])
        scale = ratios[q, 0] if kind == MEAN_DILATATION else 1.0
        add_stress(slopes, q, scale * volumes[q], stress, q, force)
        if shifted:
            pressures[q] = _add_dilatation_force(q, volumes[q], strain, stress, shifts, force)
        if not wanted:
            continue
        finite &= _are_finite(tangent[q])
        add_tangent(slopes, q, scale * scale * volumes[q], tangent, q, spread, matrix)
        if shifted:
            _add_dilatation_tangent(
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
        _add_dilatation_changes(n, volumes, total, pressures, ratios, spatial, shifts, matrix)
    return finite


@njit(cache=True, error_model="numpy")
def _prepare_element(kind, e, cells, displacement, old_modes, geometry, dilatation, vectors, n):
    """Displacements of the functions of element ``e``, its modes as they were, and the shifts of small strains."""
    slopes, volumes, modes, frame = geometry
    element_u, nodal_u, _ = vectors
    _gather(displacement, e, cells, nodal_u)
    _spread_nodes(nodal_u, slopes.shape[1] // 3, element_u)
    if kind == INCOMPATIBLE:
        _mode_slopes(n, slopes, modes)
        _set_modes(old_modes, e, element_u)
        _twist_shifts(n, slopes, volumes, frame[4], dilatation[0])


@njit(cache=True, error_model="numpy")
def _respond(
    kind, task, law, parameters, n, first, old, new, strains, stresses, tangents, geometry, dilatation, response, point,
    algebra, element_u,
):  # fmt: skip
    """Strains, stresses and tangents of an element, its modes in equilibrium; Σ v J as above, 0 without an answer."""
    strain, stress, tangent = response
    error = np.inf
    for _ in range(_MOST):
        total = _strains_of_element(kind, n, element_u, geometry, dilatation, strain)
        strains[first : first + n] = strain[:n]
        if total <= 0.0 or task == STRAINS:
            return total
        if task == TAKE:
            stress[:n] = stresses[first : first + n]
            tangent[:n] = tangents[first : first + n]
        elif not _call_law(law, parameters, n, first, old, new, response, point):
            return 0.0
        stresses[first : first + n] = stress[:n]
        tangents[first : first + n] = tangent[:n]
        if kind == MEAN_DILATATION:
            return total
        error = _step_of_modes(n, geometry, response, algebra, error)
        if error < 0.0:
            return total
        if not np.isfinite(error):
            return 0.0
        for k in range(9):
            element_u[11 * (k // 3) + 8 + k % 3] -= algebra[7][k, 0]
    return 0.0


@njit(cache=True, error_model="numpy")
def _finish_element(kind, n, total, wanted, geometry, dilatation, response, algebra, vectors, e, cells, force):
    """Add the force of element ``e`` to that of the mesh, its tangent condensed; False if they are not finite."""
    _, nodal, element_force = vectors
    finite = _assemble_element(kind, n, total, wanted, geometry, dilatation, response, algebra, element_force)
    if kind == INCOMPATIBLE:
        if wanted:
            finite &= _relax_modes(algebra[1], algebra[6], algebra[8], algebra[9])
    else:
        algebra[9][:] = algebra[1][:24, :24]
    _collect_nodes(element_force, geometry[0].shape[1] // 3, nodal)
    add_to_nodes(nodal, e, cells, 3, force)
    return finite


@njit(coloured="blocks", cache=True, error_model="numpy")
def integrate_bending(
    begin, end, kind, task, law, parameters, hexahedra, pattern, blocks, points, rows, displacement, old, new,
    old_modes, new_modes, strains, stresses, tangents, lanes, data, force, failed,
):  # fmt: skip
    """Internal force, tangent and new state of a law in elements with mean dilatation or incompatible modes.

    ``task`` is CALL, STRAINS or TAKE. Strains (total, size) are written in any case; ``stresses`` (total, size) and
    ``tangents`` (total, size²) are written by CALL, and read by TAKE. Amplitudes of the modes ``old_modes`` (n, 9) are
    where the search for their equilibrium starts, ``new_modes`` where it ends. ``data`` has length 0 if the tangent is
    not wanted. The others are those of :func:`femnn.solids.kernels.integrate_law`.
    """
    cells, row_starts, slots, places = pattern
    order, elements, _, block_nodes, node_starts, opens = blocks
    count, size = points[2], strains.shape[1]
    numbers, own, each = parameters
    wanted = data.shape[0] > 0 and task != STRAINS
    most = count.max()
    for block in range(begin, end):
        buffer = np.zeros(buffer_length(block, block_nodes, node_starts, row_starts, 3) if wanted else 0)
        lane_work = lane_workspace(8)
        geometry, dilatation, response, point, algebra, vectors = _workspace(kind, most, size, old.shape[1])
        for i in range(elements[block], elements[block + 1]):
            e = order[i]
            if count[e] == 0:
                continue
            slopes, volumes, _, frame = geometry
            n = _slopes_of_element(kind, hexahedra, e, points, lanes, lane_work, frame, slopes, volumes)
            _prepare_element(kind, e, cells, displacement, old_modes, geometry, dilatation, vectors, n)
            total = _respond(
                kind, task, law, (numbers, own[e], each), n, rows[e], old, new, strains, stresses, tangents,
                geometry, dilatation, response, point, algebra, vectors[0],
            )  # fmt: skip
            failed[e] |= total <= 0.0
            if kind == INCOMPATIBLE:
                _keep_modes(vectors[0], new_modes, e)
            if failed[e] or task == STRAINS:
                continue
            failed[e] |= not _finish_element(
                kind, n, total, wanted, geometry, dilatation, response, algebra, vectors, e, cells, force
            )
            if wanted:
                scatter(algebra[9], e, cells, row_starts, slots, places, 3, buffer)
        if wanted:
            flush(block, block_nodes, node_starts, opens, row_starts, 3, buffer, data)


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
    states and the rest, which are as for :func:`integrate_bending`; ``twists`` S (n, 12, 12).
    """
    cells, row_starts, slots, places = pattern
    order, elements, _, block_nodes, node_starts, opens = blocks
    count, size = points[2], strains.shape[1]
    numbers, own, each = parameters
    wanted = data.shape[0] > 0 and task != STRAINS
    for block in range(begin, end):
        buffer = np.zeros(buffer_length(block, block_nodes, node_starts, row_starts, 3) if wanted else 0)
        lane_work, means = lane_workspace(8), np.empty((1, 24))
        geometry, _, response, point, algebra, vectors = _workspace(STABILISED, 1, size, old.shape[1])
        work = (
            np.empty((3, 3)), np.empty((4, 3)), np.empty(12), np.empty(12), np.empty((12, 24)), np.empty((12, 24)),
        )  # fmt: skip
        for i in range(elements[block], elements[block + 1]):
            e = order[i]
            if count[e] == 0:
                continue
            volume = _mean_gradients(hexahedra, e, points, lanes, lane_work, geometry[3], means)
            _gather(displacement, e, cells, vectors[1])
            strain_at_point(means, 0, vectors[1], response[0], 0)
            strains[rows[e]] = response[0][0]
            if task == STRAINS:
                continue
            failed[e] |= not _respond_once(
                task, law, (numbers, own[e], each), rows[e], old, new, stresses, tangents, means, volume, wanted,
                response, point, algebra, vectors[2],
            )  # fmt: skip
            _add_stabilisation(
                size == 9, means, geometry[3][4], twists[e], vectors[1], response[0], work, algebra[1], wanted,
                vectors[2],
            )  # fmt: skip
            add_to_nodes(vectors[2], e, cells, 3, force)
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
        finite = _call_law(law, parameters, 1, row, old, new, response, point)
        stresses[row] = stress[0]
        tangents[row] = tangent[0]
    else:
        stress[0] = stresses[row]
        tangent[0] = tangents[row]
    force[:] = 0.0
    algebra[1][:] = 0.0
    add_stress(means, 0, volume, stress, 0, force)
    if wanted:
        add_tangent(means, 0, volume, tangent, 0, algebra[0], algebra[1])
        finite &= _are_finite(tangent[0])
    return finite and _are_finite(stress[0])
