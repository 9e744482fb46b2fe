"""Numba kernels of gradients in elements that bend, and of the mean dilatation in place of that of each point.

Gradients of an element at all its points lie in ``slopes`` (points, 3 m), component-major over its m functions: eight
shape functions and, for incompatible modes, ∇(ξ_j²/2) of three more whose amplitudes are condensed in the element.
"""

import numpy as np

from femnn.assembly.element_matrices import add_stress
from femnn.assembly.formulations.twists import INCOMPATIBLE
from femnn.assembly.twists import twist_vectors
from femnn.geometry.coordinates import TWISTS
from femnn.geometry.shape_kernels import invert, own_axes_of
from femnn.integration.vector_kernels import LANES, gradients_of_batch
from femnn.system.compile import njit

_LAST_TWIST = np.array(TWISTS[:, 3])


@njit(cache=True, error_model="numpy")
def slopes_of_element(kind, hexahedra, e, points, lanes, lane_work, frame, slopes, volumes):
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
def _sum(n, values):
    total = 0.0
    for q in range(n):
        total += values[q]
    return total


@njit(cache=True, error_model="numpy")
def copy_rows(n, source, first, target, place):
    """Copy ``n`` rows of ``source`` from ``first`` on to those of ``target`` from ``place`` on, at its width."""
    for q in range(n):
        for c in range(target.shape[1]):
            target[place + q, c] = source[first + q, c]


@njit(cache=True, error_model="numpy")
def _centre_modes(n, slopes, volumes):
    """Take the means out of the gradients of the modes: the patch test, by the points of any rule."""
    volume = _sum(n, volumes)
    for k in range(9):
        c, mean = 11 * (k // 3) + 8 + k % 3, 0.0
        for q in range(n):
            mean += volumes[q] * slopes[q, c] / volume
        for q in range(n):
            slopes[q, c] -= mean


@njit(cache=True, error_model="numpy")
def twist_shifts(n, slopes, volumes, vectors, shifts):
    """Write the shifts (n, 33) that take the dilatation of the twist ξηζ out of small strains: it would lock."""
    for q in range(n):
        for c in range(shifts.shape[1]):
            shifts[q, c] = 0.0
    volume = _sum(n, volumes)
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
def shift_dilatations(n, displacement, shifts, strains):
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
        copy_rows(1, slopes, q, spatial, q)
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
    volume = _sum(n, volumes)
    for q in range(n):
        ratios[q, 0] = (total / volume / ratios[q, 1]) ** (1.0 / 3.0)
        for r in range(9):
            one = 1.0 if r % 4 == 0 else 0.0
            strains[q, r] = ratios[q, 0] * (strains[q, r] + one) - one


@njit(cache=True, error_model="numpy")
def dilatation_shifts(n, slopes, volumes, displacement, strains, deformation, inverse, spatial, shifts, ratios):
    """Exchange the dilatation of every point for the mean one in ``strains``.

    Writes the shift c of each point (n, 24), the change of the mean logarithmic dilatation less that of its own, with
    the change of the mean in row n, and the factors s of the deformation to ``ratios`` (n, 2), beside J; ``spatial``
    (n, 24) holds F⁻ᵀ∇N. Returns Σ v J, or 0 if an element is inverted.
    """
    total, width = 0.0, shifts.shape[1]
    for c in range(width):
        shifts[n, c] = 0.0
    for q in range(n):
        jacobian = _spatial_slopes(q, slopes, strains, deformation, inverse, spatial)
        if not jacobian > 0.0:
            return 0.0
        ratios[q, 0], ratios[q, 1] = 1.0, jacobian
        total += volumes[q] * jacobian
        for c in range(width):
            shifts[n, c] += volumes[q] * jacobian * spatial[q, c]
    for c in range(width):
        shifts[n, c] /= total
        for q in range(n):
            shifts[q, c] = shifts[n, c] - spatial[q, c]
    if strains.shape[1] == 6:
        shift_dilatations(n, displacement, shifts, strains)
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
def add_dilatation_force(q, volume, strains, stresses, shifts, force):
    """Add (P* : F*) c/3, or (tr σ) c/3, times ``volume`` to ``force``; return P* : F*/3."""
    pressure = 0.0
    for r in range(strains.shape[1]):
        pressure += stresses[q, r] * _unit(strains, q, r) / 3.0
    for c in range(force.shape[0]):
        force[c] += volume * pressure * shifts[q, c]
    return pressure


@njit(cache=True, error_model="numpy")
def add_dilatation_tangent(
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
def add_dilatation_changes(n, volumes, total, pressures, ratios, spatial, shifts, matrix):
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
