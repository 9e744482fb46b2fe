"""Numba kernels that turn the hourglass part S of an element into its stiffness, and sum it over the mesh.

Eight elements at a time, see :mod:`femnn.assembly.formulations.lanes`; the check of predictions takes LANES at a time.
Rows are component-major, see :mod:`femnn.integration.vector_kernels`.
"""

import numpy as np

from femnn.assembly.element_matrices import _VOIGT, ISOTROPIC
from femnn.assembly.formulations.lanes import (
    DETERMINANT,
    INVERSE,
    LMBDA,
    MEANS,
    MU,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    VECTORS,
    VERTICES,
    VOLUME,
    expand_lanes,
    lanes_workspace,
    own_axes_of_lanes,
    place,
    scatter_lane,
    take_elements,
)
from femnn.assembly.hourglass.moments import PLACES
from femnn.assembly.scatter import buffer_length, flush
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
from femnn.integration.vector_kernels import LANES as EIGHT
from femnn.integration.vector_kernels import aligned
from femnn.system.compile import njit

# Where rows of eight elements start: those of the 144 entries of S among its 78, and two of their shapes.
_PLACES_OF_EIGHT = (EIGHT * PLACES).astype(np.uint64)
_INVERSE, _DETERMINANT = np.uint64(EIGHT * INVERSE), np.uint64(EIGHT * DETERMINANT)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _take_shapes(hexahedra, orders, chosen, shape):
    """The vertices of the elements ``chosen`` (EIGHT,) about the last one, in the order of their poses."""
    for q in range(EIGHT):
        e = chosen[q]
        for i in range(3):
            last = hexahedra[e, orders[e, 7], i]
            for a in range(8):
                shape[EIGHT * (VERTICES + 8 * i + a) + q] = hexahedra[e, orders[e, a], i] - last


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _take_numbers(differences, numbers, number_rows, chosen, packed, constants):
    """S (78 rows), and λ and μ or the 36 numbers of C, of the elements ``chosen``."""
    for q in range(EIGHT):
        e = chosen[q]
        for r in range(78):
            packed[EIGHT * r + q] = differences[e, r]
        for r in range(numbers.shape[1]):
            constants[EIGHT * r + q] = numbers[number_rows[e], r]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _turn_back(orders, chosen, shape, rows):
    """γ in the order of the vertices in the mesh; none has mean gradients."""
    for r in range(32 * EIGHT):
        rows[r] = shape[EIGHT * VECTORS + r]
    for q in range(EIGHT):
        for a in range(8):
            vertex = orders[chosen[q], a]
            for k in range(4):
                shape[EIGHT * (VECTORS + 4 * vertex + k) + q] = rows[EIGHT * (4 * a + k) + q]
    for r in range(24 * EIGHT):
        shape[EIGHT * MEANS + r] = 0.0
    # what multiplies them only has to be finite
    for r in range(EIGHT):
        shape[EIGHT * VOLUME + r] = shape[EIGHT * LMBDA + r] = shape[EIGHT * MU + r] = 0.0


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _in_physical_axes(k, m, lanes, places, shape, packed, stiffness):
    """The block of twists k and m in physical axes, |det J₀| J₀⁻ᵀ S_km J₀⁻¹."""
    first = np.uint64(place(k, m))
    s00, s01, s02 = places[3 * k, 3 * m], places[3 * k, 3 * m + 1], places[3 * k, 3 * m + 2]
    s10, s11, s12 = places[3 * k + 1, 3 * m], places[3 * k + 1, 3 * m + 1], places[3 * k + 1, 3 * m + 2]
    s20, s21, s22 = places[3 * k + 2, 3 * m], places[3 * k + 2, 3 * m + 1], places[3 * k + 2, 3 * m + 2]
    for q in range(lanes):
        i = _INVERSE + q
        x0, x1, x2 = shape[i], shape[i + R1], shape[i + R2]
        y0, y1, y2 = shape[i + R3], shape[i + R4], shape[i + R5]
        z0, z1, z2 = shape[i + R6], shape[i + R7], shape[i + R8]
        volume = abs(shape[_DETERMINANT + q])
        f, g, h = packed[s00 + q], packed[s01 + q], packed[s02 + q]
        u0, u1, u2 = f * x0 + g * y0 + h * z0, f * x1 + g * y1 + h * z1, f * x2 + g * y2 + h * z2
        f, g, h = packed[s10 + q], packed[s11 + q], packed[s12 + q]
        v0, v1, v2 = f * x0 + g * y0 + h * z0, f * x1 + g * y1 + h * z1, f * x2 + g * y2 + h * z2
        f, g, h = packed[s20 + q], packed[s21 + q], packed[s22 + q]
        w0, w1, w2 = f * x0 + g * y0 + h * z0, f * x1 + g * y1 + h * z1, f * x2 + g * y2 + h * z2
        x0, y0, z0 = volume * x0, volume * y0, volume * z0
        x1, y1, z1 = volume * x1, volume * y1, volume * z1
        x2, y2, z2 = volume * x2, volume * y2, volume * z2
        i = first + q
        stiffness[i], stiffness[i + R1] = x0 * u0 + y0 * v0 + z0 * w0, x0 * u1 + y0 * v1 + z0 * w1
        stiffness[i + R2], stiffness[i + R3] = x0 * u2 + y0 * v2 + z0 * w2, x1 * u0 + y1 * v0 + z1 * w0
        stiffness[i + R4], stiffness[i + R5] = x1 * u1 + y1 * v1 + z1 * w1, x1 * u2 + y1 * v2 + z1 * w2
        stiffness[i + R6], stiffness[i + R7] = x2 * u0 + y2 * v0 + z2 * w0, x2 * u1 + y2 * v1 + z2 * w1
        stiffness[i + R8] = x2 * u2 + y2 * v2 + z2 * w2


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _isotropic(k, m, lanes, constants, stiffness):
    """λ S_km^ij + μ S_km^ji + μ δ_ij S_km^nn of the block of two twists, in place."""
    first = np.uint64(place(k, m))
    for q in range(lanes):
        i, lmbda, mu = first + q, constants[q], constants[R1 + q]
        xx, xy, xz = stiffness[i], stiffness[i + R1], stiffness[i + R2]
        yx, yy, yz = stiffness[i + R3], stiffness[i + R4], stiffness[i + R5]
        zx, zy, zz = stiffness[i + R6], stiffness[i + R7], stiffness[i + R8]
        both, trace = lmbda + mu, mu * (xx + yy + zz)
        stiffness[i], stiffness[i + R4], stiffness[i + R8] = both * xx + trace, both * yy + trace, both * zz + trace
        stiffness[i + R1], stiffness[i + R3] = lmbda * xy + mu * yx, lmbda * yx + mu * xy
        stiffness[i + R2], stiffness[i + R6] = lmbda * xz + mu * zx, lmbda * zx + mu * xz
        stiffness[i + R5], stiffness[i + R7] = lmbda * yz + mu * zy, lmbda * zy + mu * yz


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _anisotropic(k, m, lanes, constants, stiffness, block):
    """C_ipjr S_km^ij, row 3p + r, of the block of two twists, in place; ``block`` (9 rows) is work space."""
    first = np.uint64(place(k, m))
    for r in range(9 * EIGHT):
        block[r], stiffness[first + np.uint64(r)] = stiffness[first + np.uint64(r)], 0.0
    for p in range(3):
        for r in range(3):
            entry = first + np.uint64(EIGHT * (3 * p + r))
            for i in range(3):
                for j in range(3):
                    own = np.uint64(EIGHT * (3 * i + j))
                    number = np.uint64(EIGHT * (6 * _VOIGT[i, p] + _VOIGT[j, r]))
                    for q in range(lanes):
                        stiffness[entry + q] += constants[number + q] * block[own + q]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _matrices(
    form, hexahedra, orders, differences, places, numbers, number_rows, chosen, lanes,
    shape, stiffness, rows, packed, constants, matrices,
):  # fmt: skip
    """Γ (C : S) Γᵀ of the elements ``chosen`` (EIGHT,) into ``matrices``: the blocks of pairs of vertices."""
    _take_shapes(hexahedra, orders, chosen, shape)
    _take_numbers(differences, numbers, number_rows, chosen, packed, constants)
    own_axes_of_lanes(lanes, shape)
    _turn_back(orders, chosen, shape, rows)
    count = np.uint64(lanes)
    for k in range(4):
        for m in range(k, 4):
            _in_physical_axes(k, m, count, places, shape, packed, stiffness)
            if form == ISOTROPIC:
                _isotropic(k, m, count, constants, stiffness)
            else:
                _anisotropic(k, m, count, constants, stiffness, rows)
    expand_lanes(True, lanes, shape, stiffness, rows, matrices)


@njit(over="hexahedra", grain=64, cache=True, error_model="numpy", fastmath=_FAST)
def _fill_stiffness(begin, end, form, hexahedra, orders, differences, places, numbers, number_rows, lanes, stiffness):
    shape, twists, rows, matrices = lanes_workspace()
    packed, constants, chosen = aligned(78 * EIGHT), aligned(36 * EIGHT), np.zeros(EIGHT, dtype=np.int64)
    for first in range(begin, end, EIGHT):
        for q in range(EIGHT):
            chosen[q] = min(first + q, end - 1)
        _matrices(
            form, hexahedra, orders, differences, places, numbers, number_rows, chosen, lanes,
            shape, twists, rows, packed, constants, matrices,
        )  # fmt: skip
        for q in range(min(EIGHT, end - first)):
            block = 0
            for b in range(8):
                for a in range(b + 1):
                    for i in range(3):
                        for j in range(3):
                            entry = matrices[EIGHT * (block + 3 * i + j) + q]
                            stiffness[first + q, 8 * i + a, 8 * j + b] = entry
                            stiffness[first + q, 8 * j + b, 8 * i + a] = entry
                    block += 9


def element_stiffness(
    form: int, hexahedra: np.ndarray, orders: np.ndarray, differences: np.ndarray, numbers: np.ndarray,
    number_rows: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """γ_k (C : S_kl) γ_l of each element, shape (n, 24, 24), component-major.

    Parameters
    ----------
    form
        ISOTROPIC or TANGENT, which says what ``numbers`` are.
    hexahedra : (n, 8, 3), orders : (n, 8) int
        Elements, and their vertices in the order that S belongs to.
    differences : (n, 78)
        S, the upper triangle row by row.
    numbers : (m, 2) or (m, 36), number_rows : (n,) int
        λ and μ, or C by Voigt, and which of them each element has.
    """
    result = np.empty((len(hexahedra), 24, 24))
    _fill_stiffness(form, hexahedra, orders, differences, _PLACES_OF_EIGHT, numbers, number_rows, EIGHT, result)
    return result


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
def _add_stiffness(
    begin, end, form, hexahedra, orders, differences, places, numbers, number_rows, counts, pattern, blocks, lanes, data
):
    cells, row_starts, slots, node_places = pattern
    order, elements, _, block_nodes, node_starts, opens = blocks
    for block in range(begin, end):
        buffer = np.zeros(buffer_length(block, block_nodes, node_starts, row_starts, 3))
        shape, twists, rows, matrices = lanes_workspace()
        packed, constants, chosen = aligned(78 * EIGHT), aligned(36 * EIGHT), np.zeros(EIGHT, dtype=np.int64)
        i = np.int64(elements[block])
        while i < elements[block + 1]:
            filled, i = take_elements(order, i, elements[block + 1], counts, chosen)
            if filled == 0:
                break
            _matrices(
                form, hexahedra, orders, differences, places, numbers, number_rows, chosen, lanes,
                shape, twists, rows, packed, constants, matrices,
            )  # fmt: skip
            for q in range(filled):
                scatter_lane(q, chosen[q], matrices, cells, row_starts, slots, node_places, buffer)
        flush(block, block_nodes, node_starts, opens, row_starts, 3, buffer, data)


def add_stiffness(
    form: int, hexahedra: np.ndarray, orders: np.ndarray, differences: np.ndarray, numbers: np.ndarray,
    number_rows: np.ndarray, chosen: np.ndarray, pattern: tuple, blocks: tuple, data: np.ndarray,
) -> None:  # fmt: skip
    """Add the same for the ``chosen`` elements (n,) bool to the entries ``data`` of a CSR matrix of the pattern."""
    arrays = form, hexahedra, orders, differences, _PLACES_OF_EIGHT, numbers, number_rows, chosen.astype(np.int64)
    _add_stiffness(*arrays, pattern, blocks, EIGHT, data)
