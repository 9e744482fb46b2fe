"""Numba kernels that make the stiffness S of the twists of one element.

Functions of an element are its four twists h = (ξη, ηζ, ζξ, ξηζ) and, for incompatible modes, three more; their
gradients at eight points lie in ``functions`` (8, 3 m), component-major: ∂f_k/∂x_i of lane q at [q, m i + k]. Rows of S
are 3 k + i for component i of twist k. Materials are four, one below the other: C, C P, Pᵀ C and Pᵀ C P with the
projection P to deviatoric strains; ``numbers`` (4 rows, 2 or 36) has λ and μ, or C by Voigt, of each.
"""

import numpy as np

from femnn.assembly.element_matrices import ISOTROPIC
from femnn.assembly.twists import material_block, twist_vectors
from femnn.geometry.shape_kernels import invert, own_axes_of
from femnn.integration.kernels import _FAST
from femnn.integration.vector_kernels import LANES, _add_products, aligned, gradients_of_batch
from femnn.system.compile import njit

#: Formulations as the kernels know them.
MEAN_DILATATION, INCOMPATIBLE, STABILISED, GIVEN = 1, 2, 3, 4

#: The twist of two axes: ξη, ηζ, ζξ.
TWIST_OF = np.array([[-1, 0, 2], [0, -1, 1], [2, 1, -1]])

# In place of the volume of lanes that hold no point.
_TINY = 1e-300

# Functions of the incompatible element: four twists, three modes.
_MODES = 7


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _add_functions(count, points, columns, inverses, lanes, centre, lane_functions, functions, moments):
    """Add a batch to the ``moments`` (21, 21) of the gradients of an element's functions.

    ``count`` of these are 4, or 7 with the modes; ``points``, ``columns`` and ``inverses`` are those of
    :func:`femnn.integration.vector_kernels.gradients_of_batch`; row j of ``centre`` (3, 3) is the gradient of ξ_j in
    [-1, 1] at the centre, times det J₀. Moments are those of the blocks i ≤ j; the row after them holds the means.
    """
    for i in range(3):
        a, row = 64 * i, 8 * count * i
        for q in range(lanes):
            g0, g1, g2, g3 = columns[a + q], columns[a + 8 + q], columns[a + 16 + q], columns[a + 24 + q]
            g4, g5, g6, g7 = columns[a + 32 + q], columns[a + 40 + q], columns[a + 48 + q], columns[a + 56 + q]
            # sums over the vertices with the signs of each twist, in scikit-fem's order
            lane_functions[row + q] = g0 + g1 - g2 - g3 - g4 - g5 + g6 + g7
            lane_functions[row + 8 + q] = g0 - g1 - g2 + g3 + g4 - g5 - g6 + g7
            lane_functions[row + 16 + q] = g0 - g1 + g2 - g3 - g4 + g5 - g6 + g7
            lane_functions[row + 24 + q] = g0 - g1 - g2 - g3 + g4 + g5 + g6 - g7
        if count == _MODES:
            for j in range(3):
                for q in range(lanes):
                    # ∇(ξ_j²/2) J₀/J: Taylor's patch-test correction
                    scale = points[24 + q] / max(inverses[72 + q], _TINY)
                    lane_functions[row + 8 * (4 + j) + q] = scale * (2.0 * points[8 * j + q] - 1.0) * centre[j, i]
    width = 3 * count
    for q in range(LANES):
        for r in range(width):
            functions[q, r] = lane_functions[8 * r + q]
    _add_products(functions, inverses, 0, count, moments, 0, width)
    _add_products(functions, inverses, count, width, moments, count, width)


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def add_means(values, inverses, width, means):
    """Add the integrals over a batch of ``values`` (8, width or more) to ``means``; return the volume of the batch."""
    v0, v1, v2, v3 = inverses[72], inverses[73], inverses[74], inverses[75]
    v4, v5, v6, v7 = inverses[76], inverses[77], inverses[78], inverses[79]
    for r in range(width):
        means[r] += (
            v0 * values[0, r]
            + v1 * values[1, r]
            + v2 * values[2, r]
            + v3 * values[3, r]
            + v4 * values[4, r]
            + v5 * values[5, r]
            + v6 * values[6, r]
            + v7 * values[7, r]
        )
    return v0 + v1 + v2 + v3 + v4 + v5 + v6 + v7


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _twists_of_moments(count, form, moments, means, volume, numbers, row, block, result, full):
    """Write the stiffness of the functions to the upper triangle of ``full`` (3 count, 3 count), rows 3 k + i."""
    scale = 1.0 / volume
    for i in range(3):
        for k in range(count):
            r = count * i + k
            for c in range(count * i, 3 * count):
                moments[r, c] -= scale * means[r] * means[c]
    materials = numbers.shape[0] // 4
    for k in range(count):
        for m in range(k, count):
            # the dilatation that goes with ξηζ would lock
            place = row + ((m == 3) + 2 * (k == 3)) * materials
            xx, yy, zz = moments[k, m], moments[count + k, count + m], moments[2 * count + k, 2 * count + m]
            xy, yx = moments[k, count + m], moments[m, count + k]
            xz, zx = moments[k, 2 * count + m], moments[m, 2 * count + k]
            yz, zy = moments[count + k, 2 * count + m], moments[count + m, 2 * count + k]
            r, c = 3 * k, 3 * m
            if form == ISOTROPIC:
                lmbda, mu = numbers[place, 0], numbers[place, 1]
                trace, both = mu * (xx + yy + zz), lmbda + mu
                full[r, c], full[r, c + 1], full[r, c + 2] = (
                    both * xx + trace,
                    lmbda * xy + mu * yx,
                    lmbda * xz + mu * zx,
                )
                full[r + 1, c], full[r + 1, c + 1] = lmbda * yx + mu * xy, both * yy + trace
                full[r + 1, c + 2], full[r + 2, c] = lmbda * yz + mu * zy, lmbda * zx + mu * xz
                full[r + 2, c + 1], full[r + 2, c + 2] = lmbda * zy + mu * yz, both * zz + trace
                continue
            block[0, 0], block[0, 1], block[0, 2] = xx, xy, xz
            block[1, 0], block[1, 1], block[1, 2] = yx, yy, yz
            block[2, 0], block[2, 1], block[2, 2] = zx, zy, zz
            material_block(form, block, numbers, place, result)
            for i in range(3):
                for j in range(3):
                    full[r + i, c + j] = result[i, j]


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _condense(full, size, kept):
    """Eliminate the rows from ``kept`` on of a positive definite matrix that its upper triangle gives."""
    for p in range(size - 1, kept - 1, -1):
        pivot = 1.0 / full[p, p]
        for r in range(p):
            factor = pivot * full[r, p]
            for c in range(r, p):
                full[r, c] -= factor * full[c, p]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _fill_acoustic(form, inverse, scale, numbers, row, block, result, acoustic):
    """Write Q_km = C : (∇ξ_k ⊗ ∇ξ_m) of all pairs of axes to ``acoustic`` (3, 3, 3, 3), times ``scale``."""
    for k in range(3):
        for m in range(k, 3):
            for r in range(9):
                block[r // 3, r % 3] = scale * inverse[k, r // 3] * inverse[m, r % 3]
            material_block(form, block, numbers, row, result)
            for r in range(9):
                i, j = r // 3, r % 3
                acoustic[k, m, i, j] = acoustic[m, k, j, i] = result[i, j]


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _answers(acoustic, k, m, inverse, answers):
    """Write Q_kk⁻¹ Q_km to ``answers``: what the mode of axis k makes of the twist of k and m."""
    for p in range(3):
        for j in range(3):
            answers[p, j] = (
                inverse[p, 0] * acoustic[k, m, 0, j]
                + inverse[p, 1] * acoustic[k, m, 1, j]
                + inverse[p, 2] * acoustic[k, m, 2, j]
            )


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _relaxed(acoustic, k, m, n, answers, block):
    """Write Q_mn - Q_mk Q_kk⁻¹ Q_kn to ``block``: axes m and n while no traction is left on the layers of axis k."""
    for i in range(3):
        for j in range(3):
            block[i, j] = acoustic[m, n, i, j] - (
                acoustic[m, k, i, 0] * answers[0, j]
                + acoustic[m, k, i, 1] * answers[1, j]
                + acoustic[m, k, i, 2] * answers[2, j]
            )


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _add_block(block, first, second, full):
    """Add a block to the rows from ``first`` and columns from ``second`` on, in the upper triangle."""
    for r in range(9):
        i, j = r // 3, r % 3
        if first <= second:
            full[first + i, second + j] += block[i, j]
        else:
            full[second + j, first + i] += block[i, j]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _physical(form, inverse, volume, numbers, row, block, result, acoustic, work, full):
    """S of one point with physical stabilisation: each layer ξ_k = constant is in plane stress.

    With the Jacobian of the centre the strains of the twists are polynomials in ξ whose parts are orthogonal: what is
    linear in ξ_k holds the two twists of ξ_k and the mode ξ_k²/2, which makes the traction on the layer vanish.
    """
    _fill_acoustic(form, inverse, volume / 3.0, numbers, row, block, result, acoustic)
    full[:] = 0.0
    for k in range(3):
        m, n = (k + 1) % 3, (k + 2) % 3
        first, second = 3 * TWIST_OF[k, m], 3 * TWIST_OF[k, n]
        for r in range(9):
            block[r // 3, r % 3] = acoustic[k, k, r // 3, r % 3]
        invert(block, work)
        _answers(acoustic, k, m, work, result)
        _relaxed(acoustic, k, m, m, result, block)
        _add_block(block, first, first, full)
        _answers(acoustic, k, n, work, result)
        _relaxed(acoustic, k, m, n, result, block)
        _add_block(block, first, second, full)
        _relaxed(acoustic, k, n, n, result, block)
        _add_block(block, second, second, full)
        for r in range(9):
            block[r // 3, r % 3] = volume / 9.0 * inverse[k, r // 3] * inverse[k, r % 3]
        # the dilatation that goes with ξηζ would lock
        material_block(form, block, numbers, row + 3 * (numbers.shape[0] // 4), result)
        _add_block(result, 9, 9, full)


@njit(cache=True)
def twist_workspace():
    """Work arrays of :func:`fill_twists`: J₀, h, J₀⁻¹, J₀⁻¹h, γ, and what S is made of."""
    return (
        (np.empty((3, 3)), np.empty((3, 4)), np.empty((3, 3)), np.empty((3, 4)), np.empty((8, 4))),
        (np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3, 3, 3)), np.empty((3, 3))),
        (
            aligned(LANES * 21),
            aligned(LANES * 21).reshape((LANES, 21)),
            aligned(21 * 21).reshape((21, 21)),
            aligned(21),
            aligned(21 * 21).reshape((21, 21)),
        ),
    )


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def fill_twists(kind, form, hexahedra, e, points, lanes, lane_work, order, numbers, row, work, means):
    """Write the mean gradients of element ``e``, (24,) component-major, to ``means``; return its volume.

    ``work`` of :func:`twist_workspace` then holds γ (8, 4) in ``work[0][4]`` and the upper triangle of S in the first
    twelve rows of ``work[2][4]``, the latter unless ``kind`` is GIVEN. ``points`` are batches, first and count;
    ``order`` is 0 to 7.
    """
    batches, first, count = points
    point, inverses, columns, gradients = lane_work
    linear, twist, inverse, warp, vectors = work[0]
    block, result, acoustic, small = work[1]
    lane_functions, functions, moments, function_means, full = work[2]
    determinant = abs(own_axes_of(hexahedra[e], order, linear, twist, inverse, warp))
    twist_vectors(warp, vectors)
    means[:] = 0.0
    volume = 0.0
    integrated = kind in (MEAN_DILATATION, INCOMPATIBLE)
    kept = _MODES if kind == INCOMPATIBLE else 4
    if integrated:
        moments[:] = 0.0
        function_means[:] = 0.0
        for i in range(3):
            for j in range(3):
                # det J₀ over [0, 1]³
                small[i, j] = 8.0 * determinant * inverse[i, j]
    for batch in range((count[e] + LANES - 1) // LANES):
        gradients_of_batch(hexahedra, e, batches, first[e] + batch, lanes, point, inverses, columns, gradients)
        volume += add_means(gradients, inverses, 3 * lanes, means)
        if integrated:
            _add_functions(kept, point, columns, inverses, lanes, small, lane_functions, functions, moments)
            add_means(functions, inverses, 3 * kept, function_means)
    scale = 1.0 / volume
    for r in range(3 * lanes):
        means[r] *= scale
    if integrated:
        _twists_of_moments(kept, form, moments, function_means, volume, numbers, row, block, result, full)
        _condense(full, 3 * kept, 12)
    elif kind == STABILISED:
        _physical(form, inverse, volume, numbers, row, block, result, acoustic, small, full)
    return volume
