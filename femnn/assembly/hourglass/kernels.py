"""Numba kernels that turn the hourglass part S of an element into its stiffness, and sum it over the mesh.

Rows are component-major, see :mod:`femnn.integration.vector_kernels`.
"""

import numpy as np

from femnn.assembly.scatter import buffer_length, flush, scatter
from femnn.assembly.twists import material_block, twist_vectors
from femnn.geometry.shape_kernels import own_axes_of
from femnn.integration.kernels import _FAST
from femnn.integration.twist_moments import twist_slopes
from femnn.system.compile import njit


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _moment_block(differences, e, places, k, m, inverse, volume, work, block):
    """The 3 × 3 block of twists k and m in physical axes: |det J₀| J₀⁻ᵀ S_km J₀⁻¹."""
    for p in range(3):
        for j in range(3):
            total = 0.0
            for q in range(3):
                total += differences[e, places[3 * k + p, 3 * m + q]] * inverse[q, j]
            work[p, j] = volume * total
    for i in range(3):
        for j in range(3):
            block[i, j] = inverse[0, i] * work[0, j] + inverse[1, i] * work[1, j] + inverse[2, i] * work[2, j]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def hourglass_stiffness(form, vertices, order, differences, e, places, numbers, row, matrix):
    """Overwrite ``matrix`` (24, 24) with γ_k (C : S_kl) γ_l of element ``e``, S in row e of ``differences`` (n, 78).

    S belongs to the vertices (8, 3) of the element taken in ``order``; ``places`` (12, 12) says where S_rc is.
    """
    inverse, warp, vectors = np.empty((3, 3)), np.empty((3, 4)), np.empty((8, 4))
    work, block, result = np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3))
    volume = abs(own_axes_of(vertices, order, work, np.empty((3, 4)), inverse, warp))
    twist_vectors(warp, vectors)
    materials, half = np.empty((3, 3, 4, 4)), np.empty((8, 4))
    for k in range(4):
        for m in range(k, 4):
            _moment_block(differences, e, places, k, m, inverse, volume, work, block)
            material_block(form, block, numbers, row, result)
            for i in range(3):
                for j in range(3):
                    materials[i, j, k, m] = result[i, j]
                    # C_imjn = C_jnim
                    materials[j, i, m, k] = result[i, j]
    for i in range(3):
        for j in range(i, 3):
            _spread(vectors, materials[i, j], half, i, j, order, matrix)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _spread(vectors, material, half, i, j, order, matrix):
    """Write vectors @ material @ vectors.T, (8, 8), to the blocks (i, j) and (j, i) of ``matrix``."""
    for a in range(8):
        g0, g1, g2, g3 = vectors[a, 0], vectors[a, 1], vectors[a, 2], vectors[a, 3]
        for m in range(4):
            half[a, m] = g0 * material[0, m] + g1 * material[1, m] + g2 * material[2, m] + g3 * material[3, m]
    for a in range(8):
        h0, h1, h2, h3 = half[a, 0], half[a, 1], half[a, 2], half[a, 3]
        for b in range(8):
            entry = h0 * vectors[b, 0] + h1 * vectors[b, 1] + h2 * vectors[b, 2] + h3 * vectors[b, 3]
            matrix[8 * i + order[a], 8 * j + order[b]] = entry
            matrix[8 * j + order[b], 8 * i + order[a]] = entry


@njit(over="hexahedra", grain=64, cache=True, error_model="numpy", fastmath=_FAST)
def element_stiffness(begin, end, form, hexahedra, orders, differences, places, numbers, rows, stiffness):
    """The same for all elements into ``stiffness`` (n, 24, 24)."""
    for e in range(begin, end):
        hourglass_stiffness(form, hexahedra[e], orders[e], differences, e, places, numbers, rows[e], stiffness[e])


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _missed(warp, points, weights, slopes, missed):
    """Sum what fewer points miss of S into ``missed`` (12, 12), of the element with J₀⁻¹h = ``warp`` (3, 4)."""
    missed[:] = 0.0
    for q in range(weights.shape[0]):
        determinant = twist_slopes(warp, points[0, q], points[1, q], points[2, q], slopes)
        scale = weights[q] / determinant
        for r in range(12):
            scaled = scale * slopes[r]
            for c in range(12):
                missed[r, c] += scaled * slopes[c]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _square_in_physical_axes(moments, inverse, work):
    """Sum of the squared entries of J₀⁻ᵀ block J₀⁻¹ over all 3 × 3 blocks of the symmetric ``moments`` (12, 12)."""
    square = 0.0
    for k in range(0, 12, 3):
        for m in range(k, 12, 3):
            for p in range(3):
                row = k + p
                for j in range(3):
                    work[p, j] = (
                        moments[row, m] * inverse[0, j]
                        + moments[row, m + 1] * inverse[1, j]
                        + moments[row, m + 2] * inverse[2, j]
                    )
            # the block (m, k) is that of (k, m) transposed
            count = 1.0 if k == m else 2.0
            for i in range(3):
                for j in range(3):
                    entry = inverse[0, i] * work[0, j] + inverse[1, i] * work[1, j] + inverse[2, i] * work[2, j]
                    square += count * entry * entry
    return square


@njit(over="hexahedra", grain=64, cache=True, error_model="numpy", fastmath=_FAST)
def check_differences(begin, end, hexahedra, orders, points, weights, places, most_left, differences, replaced):
    """Replace ``differences`` (n, 78) by what finer points find where they leave more than ``most_left`` of that.

    In the norm of Frobenius and in physical axes, in which the entries of stretched elements weigh as they do in their
    stiffness. ``points`` (3, q) and ``weights`` (q,) are those of the finer rule less those of 2×2×2 points. Writes
    which elements were replaced to ``replaced`` (n,) bool.
    """
    for e in range(begin, end):
        inverse, warp, work = np.empty((3, 3)), np.empty((3, 4)), np.empty((3, 3))
        missed, left = np.empty((12, 12)), np.empty((12, 12))
        own_axes_of(hexahedra[e], orders[e], work, np.empty((3, 4)), inverse, warp)
        _missed(warp, points, weights, np.empty(12), missed)
        for r in range(12):
            for c in range(12):
                left[r, c] = missed[r, c] - differences[e, places[r, c]]
        whole = _square_in_physical_axes(missed, inverse, work)
        replaced[e] = _square_in_physical_axes(left, inverse, work) > most_left**2 * whole
        if replaced[e]:
            for r in range(12):
                for c in range(r, 12):
                    differences[e, places[r, c]] = missed[r, c]


@njit(coloured="blocks", cache=True, error_model="numpy", fastmath=_FAST)
def add_stiffness(
    begin, end, form, hexahedra, orders, differences, places, numbers, rows, chosen, pattern, blocks, data
):
    """Add the same for the ``chosen`` elements (n,) bool to the entries ``data`` of a CSR matrix of the pattern."""
    cells, row_starts, slots, node_places = pattern
    order, elements, _, block_nodes, node_starts, opens = blocks
    for block in range(begin, end):
        buffer = np.zeros(buffer_length(block, block_nodes, node_starts, row_starts, 3))
        matrix = np.empty((24, 24))
        for i in range(elements[block], elements[block + 1]):
            e = order[i]
            if not chosen[e]:
                continue
            hourglass_stiffness(form, hexahedra[e], orders[e], differences, e, places, numbers, rows[e], matrix)
            scatter(matrix, e, cells, row_starts, slots, node_places, 3, buffer)
        flush(block, block_nodes, node_starts, opens, row_starts, 3, buffer, data)
