"""Numba kernels for cells of any kind and dimension, from the tables of :mod:`femnn.assembly.tabulated_points`.

Rows of element matrices are component-major, tensors at points those of three dimensions whatever the cell has: Voigt
order xx, yy, zz, yz, xz, xy, or all nine entries of a gradient. A plane cell reads the entries that it needs.
"""

import numpy as np

from femnn.assembly.element_matrices import _VOIGT
from femnn.integration.kernels import _FAST
from femnn.integration.vector_kernels import LANES, _add_products, _inverses, aligned
from femnn.system.compile import njit


@njit(cache=True)
def tabulated_workspace(dim, k):
    """Work arrays of :func:`tabulated_gradients` for ``k`` shape functions: Jacobians, weights, inverses, gradients."""
    gradients = aligned(LANES * dim * k).reshape((LANES, dim * k))
    return aligned(9 * LANES), aligned(4 * LANES), aligned(10 * LANES), gradients


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def tabulated_gradients(x, e, tables, batch, lanes, work):
    """Physical gradients of the shape functions of cell ``e`` of (n, nodes, dim) at the points of a batch.

    Fills ``work``, the arrays of :func:`tabulated_workspace`: ∂ξ_j/∂x_i of lane q at 8 (3 i + j) + q of the inverses
    and |det J| times the weight at 72 + q; ∂N_a/∂x_i at [q, k i + a] of the gradients.
    """
    maps, shapes, _, weights = tables
    jacobians, points, inverses, gradients = work
    dim, last = x.shape[2], x.shape[1] - 1
    jacobians[:] = 0.0
    for i in range(dim):
        for a in range(last):
            # relative to the last node: gradients add to zero, and far from the origin digits are kept
            v = x[e, a, i] - x[e, last, i]
            for j in range(dim):
                row = 8 * (3 * i + j)
                for q in range(lanes):
                    jacobians[row + q] += v * maps[batch, j, a, q]
    if dim == 3:
        points[3 * LANES :] = weights[batch]
        _inverses(jacobians, points, lanes, inverses)
    else:
        _plane_inverses(jacobians, weights, batch, lanes, inverses)
    _physical_gradients(shapes, batch, inverses, dim, gradients)


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _plane_inverses(jacobians, weights, batch, lanes, inverses):
    for q in range(lanes):
        j00, j01, j10, j11 = jacobians[q], jacobians[8 + q], jacobians[24 + q], jacobians[32 + q]
        determinant = j00 * j11 - j01 * j10
        inverse = 1.0 / determinant
        inverses[q], inverses[8 + q] = inverse * j11, -inverse * j10
        inverses[24 + q], inverses[32 + q] = -inverse * j01, inverse * j00
        inverses[72 + q] = weights[batch, q] * abs(determinant)


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _physical_gradients(shapes, batch, inverses, dim, gradients):
    k = shapes.shape[3]
    for q in range(LANES):
        for i in range(dim):
            f, g = inverses[24 * i + q], inverses[24 * i + 8 + q]
            for a in range(k):
                gradients[q, i * k + a] = f * shapes[batch, q, 0, a] + g * shapes[batch, q, 1, a]
            if dim == 3:
                h = inverses[24 * i + 16 + q]
                for a in range(k):
                    gradients[q, i * k + a] += h * shapes[batch, q, 2, a]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def add_cell_moments(gradients, inverses, k, moments):
    """Add ∫ ∂N_a/∂x_i ∂N_b/∂x_j dx over the batch last seen to the blocks i ≤ j of ``moments`` (dim k, dim k)."""
    rows = moments.shape[0]
    for start in range(0, rows, k):
        _add_products(gradients, inverses, start, start + k, moments, start, rows)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def add_means(gradients, inverses, means):
    """Add ∫ ∂N_a/∂x_i dx over the batch last seen to ``means`` (dim k,); the volume of the batch."""
    volume = 0.0
    for q in range(LANES):
        volume += inverses[72 + q]
        for r in range(means.shape[0]):
            means[r] += inverses[72 + q] * gradients[q, r]
    return volume


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def isotropic_from_moments(moments, lmbda, mu, k, matrix):
    """Overwrite ``matrix`` (dim k, dim k) with the isotropic stiffness of the gradient moments G_ij, i ≤ j.

    K[(i, a), (j, b)] = λ G_ij[a, b] + μ G_ij[b, a] + δ_ij μ Σ_k G_kk[a, b], and K is symmetric.
    """
    dim = matrix.shape[0] // k
    for a in range(k):
        for b in range(k):
            trace = 0.0
            for i in range(dim):
                trace += moments[i * k + a, i * k + b]
            for i in range(dim):
                matrix[i * k + a, i * k + b] = (lmbda + mu) * moments[i * k + a, i * k + b] + mu * trace
                for j in range(i + 1, dim):
                    value = lmbda * moments[i * k + a, j * k + b] + mu * moments[i * k + b, j * k + a]
                    matrix[i * k + a, j * k + b] = value
                    matrix[j * k + b, i * k + a] = value


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def add_cell_tangent(gradients, q, volume, tangents, row, k, spread, matrix):
    """Add ∂N_a/∂x_j A_ijkl ∂N_b/∂x_l times ``volume`` to ``matrix`` (dim k, dim k).

    A in row ``row`` of ``tangents``, (m, 36) by Voigt or (m, 81); ``spread`` (9, dim k) is work space.
    """
    dim, full = matrix.shape[0] // k, tangents.shape[1] == 81
    for i in range(dim):
        for j in range(dim):
            spread[dim * i + j] = 0.0
            for m in range(dim):
                for n in range(dim):
                    place = 27 * i + 9 * j + 3 * m + n if full else 6 * _VOIGT[i, j] + _VOIGT[m, n]
                    scaled = volume * tangents[row, place]
                    if scaled != 0.0:
                        for b in range(k):
                            spread[dim * i + j, m * k + b] += scaled * gradients[q, n * k + b]
            for a in range(k):
                scaled = gradients[q, j * k + a]
                for c in range(dim * k):
                    matrix[i * k + a, c] += scaled * spread[dim * i + j, c]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def add_cell_diffusion(gradients, q, volume, tensors, row, spread, matrix):
    """Add ∂N_a/∂x_i D_ij ∂N_b/∂x_j times ``volume``; D (3, 3) in row ``row`` of ``tensors`` (m, 9)."""
    k = matrix.shape[0]
    dim = gradients.shape[1] // k
    for i in range(dim):
        spread[i, :k] = 0.0
        for j in range(dim):
            scaled = volume * tensors[row, 3 * i + j]
            for b in range(k):
                spread[i, b] += scaled * gradients[q, j * k + b]
    for a in range(k):
        for i in range(dim):
            scaled = gradients[q, i * k + a]
            for b in range(k):
                matrix[a, b] += scaled * spread[i, b]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def add_cell_stress(gradients, q, volume, stresses, row, k, force):
    """Add the internal force ∂N_a/∂x_j P_ij times ``volume``; the stress in row ``row``, (m, 6) by Voigt or (m, 9)."""
    dim = gradients.shape[1] // k
    for i in range(dim):
        for j in range(dim):
            place = 3 * i + j if stresses.shape[1] == 9 else _VOIGT[i, j]
            scaled = volume * stresses[row, place]
            for a in range(k):
                force[i * k + a] += scaled * gradients[q, j * k + a]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def cell_strain(gradients, q, displacement, k, strains, row):
    """Strain at lane ``q`` from displacements (dim k,) into row ``row``: Voigt (m, 6), or the gradient H_ij (m, 9).

    Entries out of the plane of a plane cell are zero.
    """
    dim = gradients.shape[1] // k
    strains[row] = 0.0
    for i in range(dim):
        for j in range(dim):
            total = 0.0
            for a in range(k):
                total += displacement[i * k + a] * gradients[q, j * k + a]
            # both off-diagonal entries add to one engineering shear strain
            place = 3 * i + j if strains.shape[1] == 9 else _VOIGT[i, j]
            strains[row, place] += total


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def scatter_cell(matrix, e, cells, row_starts, slots, places, components, buffer):
    """:func:`femnn.assembly.scatter.scatter` of any number of components a node."""
    k, square = cells.shape[1], components * components
    for a in range(k):
        start = square * np.int64(places[e, a])
        width = components * (row_starts[cells[e, a] + 1] - row_starts[cells[e, a]])
        for b in range(k):
            first = start + components * np.int64(slots[e, a, b])
            for i in range(components):
                for j in range(components):
                    buffer[first + i * width + j] += matrix[i * k + a, j * k + b]
