"""Quadrilaterals with incompatible modes: bilinear ones that bend and do not lock, condensed in the kernel.

Displacements have two modes more, whose gradients are s_k ∇ξ_k J₀/J with s_k = 2 ξ_k - 1 and ∇ξ_k, J₀ of the centre.
On points that are symmetric about the middle they integrate to zero whatever the shape, so that the patch test is kept
(R. L. Taylor, P. J. Beresford, E. L. Wilson, IJNME 10 (1976) 1211-1219). They are two more columns of the moments of
gradients.
"""

import numpy as np

from femnn.assembly.scatter import buffer_length, flush
from femnn.assembly.tabulated_kernels import (
    add_cell_moments,
    isotropic_from_moments,
    scatter_cell,
    tabulated_gradients,
    tabulated_workspace,
)
from femnn.integration.kernels import _FAST
from femnn.integration.vector_kernels import LANES, aligned
from femnn.system.compile import njit

# Reference gradients of the four shape functions at the centre, in scikit-fem's order.
_CENTRE = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
# Shape functions, and these with the modes.
_NODES, _ALL = 4, 6


@njit(coloured="blocks", cache=True, error_model="numpy", fastmath=_FAST)
def fill_incompatible(begin, end, x, pattern, blocks, tables, place, coefficients, lanes, data):
    """Add the isotropic stiffness of quadrilaterals (n, 4, 2) with incompatible modes to the entries of a matrix."""
    cells, row_starts, slots, places = pattern
    order, elements, _, block_nodes, node_starts, opens = blocks
    numbers, rows, _ = coefficients
    for block in range(begin, end):
        buffer = np.zeros(buffer_length(block, block_nodes, node_starts, row_starts, 2))
        work = tabulated_workspace(2, _NODES)
        gradients = aligned(LANES * 2 * _ALL).reshape((LANES, 2 * _ALL))
        moments, full = np.empty((2 * _ALL, 2 * _ALL)), np.empty((2 * _ALL, 2 * _ALL))
        matrix, middle = np.empty((2 * _NODES, 2 * _NODES)), np.empty((2, 2))
        for i in range(elements[block], elements[block + 1]):
            e = order[i]
            if place[1][e] == 0:
                continue
            moments[:] = 0.0
            volume = inverse_of_centre(x, e, middle)
            for batch in range((place[1][e] + LANES - 1) // LANES):
                line = place[0][e] + batch
                tabulated_gradients(x, e, tables, line, lanes, work)
                with_modes(work[3], work[2], tables, line, middle, volume, gradients)
                add_cell_moments(gradients, work[2], _ALL, moments)
            isotropic_from_moments(moments, numbers[rows[e], 0], numbers[rows[e], 1], _ALL, full)
            _condense(full, matrix)
            scatter_cell(matrix, e, cells, row_starts, slots, places, 2, buffer)
        flush(block, block_nodes, node_starts, opens, row_starts, 2, buffer, data)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def inverse_of_centre(x, e, inverse):
    """∂ξ_k/∂x_i at the centre, row by row, into ``inverse``; |J₀|."""
    j00, j01, j10, j11 = 0.0, 0.0, 0.0, 0.0
    for a in range(_NODES):
        # relative to the last node: far from the origin digits are kept
        u, v = x[e, a, 0] - x[e, 3, 0], x[e, a, 1] - x[e, 3, 1]
        j00 += u * _CENTRE[a, 0]
        j01 += u * _CENTRE[a, 1]
        j10 += v * _CENTRE[a, 0]
        j11 += v * _CENTRE[a, 1]
    determinant = j00 * j11 - j01 * j10
    inverse[0, 0], inverse[0, 1] = j11 / determinant, -j01 / determinant
    inverse[1, 0], inverse[1, 1] = -j10 / determinant, j00 / determinant
    return abs(determinant)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def with_modes(own, inverses, tables, line, middle, volume, gradients):
    """Gradients (lanes, 2 * 6) of the shape functions, ``own`` (lanes, 2 * 4), and of the two modes behind them."""
    _, _, values, weights = tables
    for q in range(LANES):
        for i in range(2):
            for a in range(_NODES):
                gradients[q, i * _ALL + a] = own[q, i * _NODES + a]
        # ξ and η from the shape functions; nothing where the batch has no point
        ratio = volume * weights[line, q] / inverses[72 + q] if weights[line, q] > 0.0 else 0.0
        for k in range(2):
            s = values[line, q, 2] + values[line, q, 1 + 2 * k]
            for i in range(2):
                gradients[q, i * _ALL + _NODES + k] = ratio * (2.0 * s - 1.0) * middle[k, i]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _condense(full, matrix):
    """Eliminate the modes from ``full`` (12, 12), which is overwritten, into ``matrix`` (8, 8)."""
    for i in range(2):
        for k in range(_NODES, _ALL):
            _eliminate(full, i * _ALL + k)
    for r in range(2 * _NODES):
        for c in range(2 * _NODES):
            matrix[r, c] = full[r // _NODES * _ALL + r % _NODES, c // _NODES * _ALL + c % _NODES]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _eliminate(full, pivot):
    """Take what the unknown ``pivot`` carries when nothing acts on it from the others; its column is zero then."""
    inverse = 1.0 / full[pivot, pivot]
    for r in range(full.shape[0]):
        if r != pivot:
            factor = full[r, pivot] * inverse
            for c in range(full.shape[1]):
                full[r, c] -= factor * full[pivot, c]
