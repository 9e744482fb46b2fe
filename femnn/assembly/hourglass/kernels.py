"""Numba kernels that turn the hourglass part S of an element into its stiffness, and sum it over the mesh.

Rows are component-major, see :mod:`femnn.integration.vector_kernels`.
"""

import numpy as np

from femnn.assembly.hourglass.moments import PLACES
from femnn.assembly.scatter import buffer_length, flush, scatter
from femnn.assembly.twists import material_block, twist_vectors
from femnn.geometry.shape_kernels import own_axes_of
from femnn.integration.element_lanes import (
    BLOCK,
    LANES,
    MOMENTS,
    POINT_ROWS,
    add_points,
    block_of_moments,
    gather,
    in_lanes,
    in_physical_axes,
    shared_lanes,
)
from femnn.integration.kernels import _FAST, kernel_array
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
def _squares(moments, inverse, squares):
    """Sum of the squared entries in physical axes of all blocks of ``moments``, of which those k ≤ l are there."""
    squares[:] = 0.0
    for k in range(4):
        for m in range(k, 4):
            # the block (m, k) is that of (k, m) transposed
            block, count = block_of_moments(k, m), 1.0 if k == m else 2.0
            for b in range(BLOCK):
                xx, xy, xz, yx, yy, yz, zx, zy, zz = in_physical_axes(moments, block, inverse, b)
                total = xx * xx + xy * xy + xz * xz + yx * yx + yy * yy + yz * yz + zx * zx + zy * zy + zz * zz
                squares[b] += count * total


@njit(over="warps", grain=1, cache=True, error_model="numpy", fastmath=_FAST)
def _check(begin, end, warps, inverses, points, weights, most_left, differences, replaced):
    missed, left, values = np.empty(MOMENTS * LANES), np.empty(MOMENTS * LANES), np.empty(POINT_ROWS * LANES)
    whole, remaining, packed = np.empty(LANES), np.empty(LANES), np.empty(78 * LANES)
    for block in range(begin, end):
        missed[:] = 0.0
        add_points(warps[block], points, weights, 1.0, values, missed)
        gather(differences, block, packed)
        for r in range(12):
            # the blocks of twists k ≤ l are whole
            for c in range(r // 3 * 3, 12):
                place, entry = np.uint64(LANES * PLACES[r, c]), np.uint64(LANES * (12 * r + c))
                for b in range(BLOCK):
                    left[entry + b] = missed[entry + b] - packed[place + b]
        _squares(left, inverses[block], remaining)
        _squares(missed, inverses[block], whole)
        _replace(block, missed, remaining, whole, most_left**2, differences, replaced)


@njit(cache=True, error_model="numpy")
def _replace(block, missed, remaining, whole, most, differences, replaced):
    first = LANES * np.int64(block)
    for b in range(min(LANES, differences.shape[0] - first)):
        replaced[first + b] = remaining[b] > most * whole[b]
        if replaced[first + b]:
            for r in range(12):
                for c in range(r, 12):
                    differences[first + b, PLACES[r, c]] = missed[LANES * (12 * r + c) + b]


def check_differences(
    warps: np.ndarray, inverses: np.ndarray, points: np.ndarray, weights: np.ndarray, most_left: float,
    differences: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Replace ``differences`` (n, 78) by what finer points find where they leave more than ``most_left`` of that.

    In the norm of Frobenius and in physical axes, in which the entries of stretched elements weigh as they do in their
    stiffness.

    Parameters
    ----------
    warps : (n, 3, 4), inverses : (n, 3, 3)
        J₀⁻¹h and J₀⁻¹ of the elements.
    points : (3, q), weights : (q,)
        Of the finer rule, less those of 2×2×2 points.

    Returns
    -------
    differences : (n, 78), replaced : (n,) bool
    """
    changes, replaced = kernel_array(differences).copy(), np.empty(len(warps), dtype=bool)
    rule = shared_lanes(points.T), shared_lanes(weights)
    _check(in_lanes(warps), in_lanes(inverses), *rule, most_left, changes, replaced)
    return changes, replaced


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
