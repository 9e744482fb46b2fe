"""Incompatible modes of isotropic materials, eight elements at a time: see :mod:`femnn.assembly.formulations.lanes`.

With f = 8 w / |det J| at a point and cofactors c_k of J, moments of all functions are sums of f u_r u_c, where u has
three numbers of each of five families: det J ∇h_k of the four twists, and ξ_j det J₀, which is det J times the factor
of ∇ξ_j in the gradient of mode j (Taylor's patch-test correction). So the modes need 42 sums instead of 180.
"""

import numpy as np

from femnn.assembly.formulations.lanes import (
    BLOCKS,
    DETERMINANT,
    DEVIATORIC,
    INVERSE,
    LINEAR,
    LMBDA,
    MU,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
    TWIST,
    expand_lanes,
    lanes_workspace,
    scatter_lane,
    shape_of_lanes,
    take_elements,
)
from femnn.assembly.scatter import buffer_length, flush
from femnn.integration.kernels import _FAST
from femnn.integration.vector_kernels import LANES, aligned
from femnn.system.compile import njit

# Rows of a point in the table: the five families, and the weight; then the same times f, with the volume at the end.
_POINT, _SCALED = 16, 128

# The family of ξ_j det J₀, and where the integrals of families, the volume and its inverse are among the moments.
_MODES, _FAMILIES, _INTEGRALS, _VOLUME = 4, 5, 225, 240

# Numbers without a sign, see there: they start rows that are known at run time only.
_TWISTS, _ALL, _ONE = np.uint64(4), np.uint64(BLOCKS), np.uint64(1)
_THREE, _EIGHT = np.uint64(3), np.uint64(8)
_STEP, _BLOCK = np.uint64(_POINT * LANES), np.uint64(9 * LANES)
_LINE = np.uint64(9 * LANES * BLOCKS)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _gather_points(batches, first, counts, chosen, batch, coordinates):
    """Copy batch number ``batch`` of every element to 32 rows of ``coordinates``; weight zero where there is none."""
    for q in range(LANES):
        e = chosen[q]
        is_there = LANES * batch < counts[e]
        row = first[e] + (batch if is_there else 0)
        for r in range(4 * LANES):
            coordinates[LANES * r + q] = batches[row, r]
        if not is_there:
            for r in range(3 * LANES, 4 * LANES):
                coordinates[LANES * r + q] = 0.0


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _evaluate(point, row, lanes, shape, coordinates, table):
    """The families at one of eight points: its coordinates at ``point``, its rows of the table from ``row`` on."""
    for q in range(lanes):
        start = point + q
        x, y, z = coordinates[start], coordinates[start + R8], coordinates[start + np.uint64(16 * LANES)]
        weight = 8.0 * coordinates[start + np.uint64(24 * LANES)]
        x, y, z = 2.0 * x - 1.0, 2.0 * y - 1.0, 2.0 * z - 1.0
        xy, yz, zx = x * y, y * z, z * x
        own, twist = np.uint64(LINEAR * LANES) + q, np.uint64(TWIST * LANES) + q
        a0, a1, a2 = shape[twist], shape[twist + R1], shape[twist + R2]
        b0, b1, b2 = shape[twist + R3], shape[twist + R4], shape[twist + R5]
        c0, c1, c2 = shape[twist + R6], shape[twist + R7], shape[twist + R8]
        twist += R9
        d0, d1, d2 = shape[twist], shape[twist + R1], shape[twist + R2]
        # ∂x/∂ξ = J₀ e_ξ + η h_ξη + ζ h_ζξ + ηζ h_ξηζ, and so on
        f0 = shape[own] + y * a0 + z * c0 + yz * d0
        f1 = shape[own + R1] + y * a1 + z * c1 + yz * d1
        f2 = shape[own + R2] + y * a2 + z * c2 + yz * d2
        g0 = shape[own + R3] + x * a0 + z * b0 + zx * d0
        g1 = shape[own + R4] + x * a1 + z * b1 + zx * d1
        g2 = shape[own + R5] + x * a2 + z * b2 + zx * d2
        h0 = shape[own + R6] + y * b0 + x * c0 + xy * d0
        h1 = shape[own + R7] + y * b1 + x * c1 + xy * d1
        h2 = shape[own + R8] + y * b2 + x * c2 + xy * d2
        p0, p1, p2 = g1 * h2 - g2 * h1, g2 * h0 - g0 * h2, g0 * h1 - g1 * h0
        q0, q1, q2 = h1 * f2 - h2 * f1, h2 * f0 - h0 * f2, h0 * f1 - h1 * f0
        r0, r1, r2 = f1 * g2 - f2 * g1, f2 * g0 - f0 * g2, f0 * g1 - f1 * g0
        determinant = f0 * p0 + f1 * p1 + f2 * p2
        size, central = abs(determinant), shape[np.uint64(DETERMINANT * LANES) + q]
        # lanes that hold no point get the weight zero, whatever their determinant
        scale = weight / size if weight != 0.0 else 0.0
        u0, u1, u2 = y * p0 + x * q0, y * p1 + x * q1, y * p2 + x * q2
        u3, u4, u5 = z * q0 + y * r0, z * q1 + y * r1, z * q2 + y * r2
        u6, u7, u8 = z * p0 + x * r0, z * p1 + x * r1, z * p2 + x * r2
        u9, u10 = yz * p0 + zx * q0 + xy * r0, yz * p1 + zx * q1 + xy * r1
        u11 = yz * p2 + zx * q2 + xy * r2
        u12, u13, u14 = central * x, central * y, central * z
        start = row + q
        table[start], table[start + R1], table[start + R2] = u0, u1, u2
        table[start + R3], table[start + R4], table[start + R5] = u3, u4, u5
        table[start + R6], table[start + R7], table[start + R8] = u6, u7, u8
        table[start + R9], table[start + np.uint64(10 * LANES)], table[start + np.uint64(11 * LANES)] = u9, u10, u11
        (
            table[start + np.uint64(12 * LANES)],
            table[start + np.uint64(13 * LANES)],
            table[start + np.uint64(14 * LANES)],
        ) = u12, u13, u14
        table[start + np.uint64(15 * LANES)] = weight if determinant > 0.0 else -weight
        start += np.uint64(_SCALED * LANES)
        table[start], table[start + R1], table[start + R2] = scale * u0, scale * u1, scale * u2
        table[start + R3], table[start + R4], table[start + R5] = scale * u3, scale * u4, scale * u5
        table[start + R6], table[start + R7], table[start + R8] = scale * u6, scale * u7, scale * u8
        table[start + R9], table[start + np.uint64(10 * LANES)], table[start + np.uint64(11 * LANES)] = (
            scale * u9,
            scale * u10,
            scale * u11,
        )
        table[start + np.uint64(12 * LANES)], table[start + np.uint64(13 * LANES)] = scale * u12, scale * u13
        table[start + np.uint64(14 * LANES)], table[start + np.uint64(15 * LANES)] = scale * u14, weight * size


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _add_moments(one, other, block, lanes, table, moments):
    """Add the products of two families, in the rows ``one`` and ``other`` of a point, over eight points."""
    for q in range(lanes):
        s00 = s01 = s02 = s10 = s11 = s12 = s20 = s21 = s22 = 0.0
        for p in range(_EIGHT):
            row = one + q + _STEP * p
            column = other + q + _STEP * p + np.uint64(_SCALED * LANES)
            x, y, z = table[row], table[row + R1], table[row + R2]
            u, v, w = table[column], table[column + R1], table[column + R2]
            s00, s01, s02 = s00 + x * u, s01 + x * v, s02 + x * w
            s10, s11, s12 = s10 + y * u, s11 + y * v, s12 + y * w
            s20, s21, s22 = s20 + z * u, s21 + z * v, s22 + z * w
        start = block + q
        moments[start] += s00
        moments[start + R1] += s01
        moments[start + R2] += s02
        moments[start + R3] += s10
        moments[start + R4] += s11
        moments[start + R5] += s12
        moments[start + R6] += s20
        moments[start + R7] += s21
        moments[start + R8] += s22


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _add_integrals(one, lanes, table, moments):
    """Add the integrals of a family, in the rows ``one`` of a point, over eight points."""
    for q in range(lanes):
        x = y = z = 0.0
        for p in range(_EIGHT):
            row = one + q + _STEP * p
            weight = table[q + _STEP * p + np.uint64(15 * LANES)]
            x += weight * table[row]
            y += weight * table[row + R1]
            z += weight * table[row + R2]
        start = one + q + np.uint64(_INTEGRALS * LANES)
        moments[start] += x
        moments[start + R1] += y
        moments[start + R2] += z


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _add_volumes(lanes, table, moments):
    for q in range(lanes):
        volume = 0.0
        for p in range(_EIGHT):
            volume += table[q + _STEP * p + np.uint64((_SCALED + 15) * LANES)]
        moments[q + np.uint64(_VOLUME * LANES)] += volume


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _integrate(points, chosen, lanes, shape, coordinates, table, moments):
    """Overwrite ``moments`` with the products of families less those of their integrals over the volume."""
    batches, first, counts = points
    most = 0
    for q in range(LANES):
        most = max(most, counts[chosen[q]])
    moments[:] = 0.0
    count = np.uint64(lanes)
    for batch in range((most + LANES - 1) // LANES):
        _gather_points(batches, first, counts, chosen, batch, coordinates)
        for p in range(np.uint64(LANES)):
            _evaluate(R1 * p, _STEP * p, count, shape, coordinates, table)
        for k in range(np.uint64(_FAMILIES)):
            for m in range(k, np.uint64(_FAMILIES)):
                block = R9 * (np.uint64(_FAMILIES) * k + m)
                _add_moments(R3 * k, R3 * m, block, count, table, moments)
            _add_integrals(R3 * k, count, table, moments)
        _add_volumes(count, table, moments)


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _centre(one, other, block, lanes, moments):
    """Subtract the product of two integrals over the volume from the moments of a block."""
    for q in range(lanes):
        scale = 1.0 / moments[np.uint64(_VOLUME * LANES) + q]
        row, column, start = (
            one + q + np.uint64(_INTEGRALS * LANES),
            other + q + np.uint64(_INTEGRALS * LANES),
            block + q,
        )
        x, y, z = scale * moments[row], scale * moments[row + R1], scale * moments[row + R2]
        u, v, w = moments[column], moments[column + R1], moments[column + R2]
        moments[start] -= x * u
        moments[start + R1] -= x * v
        moments[start + R2] -= x * w
        moments[start + R3] -= y * u
        moments[start + R4] -= y * v
        moments[start + R5] -= y * w
        moments[start + R6] -= z * u
        moments[start + R7] -= z * v
        moments[start + R8] -= z * w


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _write_twists(lmbda, block, target, lanes, shape, moments, stiffness):
    """The block of two twists from their moments, with the λ that starts in row ``lmbda``."""
    for q in range(lanes):
        start, end = block + q, target + q
        xx, xy, xz = moments[start], moments[start + R1], moments[start + R2]
        yx, yy, yz = moments[start + R3], moments[start + R4], moments[start + R5]
        zx, zy, zz = moments[start + R6], moments[start + R7], moments[start + R8]
        flat, mu = shape[lmbda + q], shape[np.uint64(MU * LANES) + q]
        trace, both = mu * (xx + yy + zz), flat + mu
        stiffness[end], stiffness[end + R4] = both * xx + trace, both * yy + trace
        stiffness[end + R8] = both * zz + trace
        stiffness[end + R1], stiffness[end + R3] = flat * xy + mu * yx, flat * yx + mu * xy
        stiffness[end + R2], stiffness[end + R6] = flat * xz + mu * zx, flat * zx + mu * xz
        stiffness[end + R5], stiffness[end + R7] = flat * yz + mu * zy, flat * zy + mu * yz


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _write_block(a, b, c, x, y, z, flat, mu, end, stiffness):
    """The block of two gradients (a, b, c) and (x, y, z), with λ ``flat``, in the rows from ``end``."""
    fa, fb, fc, ma, mb, mc = flat * a, flat * b, flat * c, mu * a, mu * b, mu * c
    trace = ma * x + mb * y + mc * z
    stiffness[end] = fa * x + ma * x + trace
    stiffness[end + R1] = fa * y + mb * x
    stiffness[end + R2] = fa * z + mc * x
    stiffness[end + R3] = fb * x + ma * y
    stiffness[end + R4] = fb * y + mb * y + trace
    stiffness[end + R5] = fb * z + mc * y
    stiffness[end + R6] = fc * x + ma * z
    stiffness[end + R7] = fc * y + mb * z
    stiffness[end + R8] = fc * z + mc * z + trace


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _write_mode(lmbda, column, axis, target, lanes, shape, moments, stiffness):
    """The block of a twist and a mode: moments in the rows ``column``, three apart, the gradient of ξ_j in ``axis``."""
    for q in range(lanes):
        start, direction, end = column + q, axis + q, target + q
        a, b, c = moments[start], moments[start + R3], moments[start + R6]
        x, y, z = shape[direction], shape[direction + R1], shape[direction + R2]
        flat, mu = shape[lmbda + q], shape[np.uint64(MU * LANES) + q]
        _write_block(a, b, c, x, y, z, flat, mu, end, stiffness)


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _write_modes(product, one, other, target, lanes, shape, moments, stiffness):
    """The block of two modes: their one moment in the row ``product``, the gradients of their axes in two others."""
    for q in range(lanes):
        first, second, end, scale = one + q, other + q, target + q, moments[product + q]
        a, b, c = scale * shape[first], scale * shape[first + R1], scale * shape[first + R2]
        x, y, z = shape[second], shape[second + R1], shape[second + R2]
        flat, mu = shape[np.uint64(LMBDA * LANES) + q], shape[np.uint64(MU * LANES) + q]
        _write_block(a, b, c, x, y, z, flat, mu, end, stiffness)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _write_stiffness(lanes, shape, moments, stiffness):
    """The blocks of all twists and modes. The dilatation that goes with ξηζ would lock and is left out."""
    count, families = np.uint64(lanes), np.uint64(_FAMILIES)
    for k in range(families):
        for m in range(k, families):
            _centre(R3 * k, R3 * m, R9 * (families * k + m), count, moments)
    for k in range(_TWISTS):
        for m in range(k, _TWISTS):
            lmbda = np.uint64(DEVIATORIC * LANES) if m == _THREE else np.uint64(LMBDA * LANES)
            block, target = R9 * (families * k + m), _LINE * k + _BLOCK * m
            _write_twists(lmbda, block, target, count, shape, moments, stiffness)
        lmbda = np.uint64(DEVIATORIC * LANES) if k == _THREE else np.uint64(LMBDA * LANES)
        for j in range(_THREE):
            column = R9 * (families * k + _TWISTS) + R1 * j
            target = _LINE * k + _BLOCK * (_TWISTS + j)
            _write_mode(lmbda, column, np.uint64(INVERSE * LANES) + R3 * j, target, count, shape, moments, stiffness)
    for j in range(_THREE):
        for m in range(j, _THREE):
            product = np.uint64((9 * (_FAMILIES * _MODES + _MODES)) * LANES) + R3 * j + R1 * m
            one, other = np.uint64(INVERSE * LANES) + R3 * j, np.uint64(INVERSE * LANES) + R3 * m
            target = _LINE * (_TWISTS + j) + _BLOCK * (_TWISTS + m)
            _write_modes(product, one, other, target, count, shape, moments, stiffness)


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _copy_inverse(pivot, lanes, stiffness, inverse):
    """The inverse of a symmetric pivot block into the first nine rows of ``inverse``."""
    for q in range(lanes):
        start = pivot + q
        a, b, c = stiffness[start], stiffness[start + R1], stiffness[start + R2]
        d, e, f = stiffness[start + R4], stiffness[start + R5], stiffness[start + R8]
        c00, c01, c02 = d * f - e * e, c * e - b * f, b * e - c * d
        scale = 1.0 / (a * c00 + b * c01 + c * c02)
        inverse[q], inverse[R1 + q], inverse[R2 + q] = scale * c00, scale * c01, scale * c02
        inverse[R4 + q], inverse[R5 + q] = scale * (a * f - c * c), scale * (b * c - a * e)
        inverse[R8 + q] = scale * (a * d - b * b)


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _copy_column(source, target, lanes, stiffness, work):
    """A block B of the pivot's column, and what the pivot makes of it, B P⁻¹, nine rows later; P⁻¹ in front."""
    for q in range(lanes):
        start, end = source + q, target + q
        p00, p01, p02 = work[q], work[R1 + q], work[R2 + q]
        p11, p12, p22 = work[R4 + q], work[R5 + q], work[R8 + q]
        x, y, z = stiffness[start], stiffness[start + R1], stiffness[start + R2]
        work[end], work[end + R1], work[end + R2] = x, y, z
        work[end + R9] = x * p00 + y * p01 + z * p02
        work[end + np.uint64(10 * LANES)] = x * p01 + y * p11 + z * p12
        work[end + np.uint64(11 * LANES)] = x * p02 + y * p12 + z * p22
        x, y, z = stiffness[start + R3], stiffness[start + R4], stiffness[start + R5]
        work[end + R3], work[end + R4], work[end + R5] = x, y, z
        work[end + np.uint64(12 * LANES)] = x * p00 + y * p01 + z * p02
        work[end + np.uint64(13 * LANES)] = x * p01 + y * p11 + z * p12
        work[end + np.uint64(14 * LANES)] = x * p02 + y * p12 + z * p22
        x, y, z = stiffness[start + R6], stiffness[start + R7], stiffness[start + R8]
        work[end + R6], work[end + R7], work[end + R8] = x, y, z
        work[end + np.uint64(15 * LANES)] = x * p00 + y * p01 + z * p02
        work[end + np.uint64(16 * LANES)] = x * p01 + y * p11 + z * p12
        work[end + np.uint64(17 * LANES)] = x * p02 + y * p12 + z * p22


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _reduce(one, other, target, lanes, work, stiffness):
    """Subtract B_r P⁻¹ B_cᵀ from a block, with B_r P⁻¹ in the rows ``one`` and B_c in ``other`` of ``work``."""
    for q in range(lanes):
        row, column, end = one + q, other + q, target + q
        a, b, c = work[row], work[row + R1], work[row + R2]
        d, e, f = work[row + R3], work[row + R4], work[row + R5]
        g, h, i = work[row + R6], work[row + R7], work[row + R8]
        x, y, z = work[column], work[column + R1], work[column + R2]
        stiffness[end] -= a * x + b * y + c * z
        stiffness[end + R3] -= d * x + e * y + f * z
        stiffness[end + R6] -= g * x + h * y + i * z
        x, y, z = work[column + R3], work[column + R4], work[column + R5]
        stiffness[end + R1] -= a * x + b * y + c * z
        stiffness[end + R4] -= d * x + e * y + f * z
        stiffness[end + R7] -= g * x + h * y + i * z
        x, y, z = work[column + R6], work[column + R7], work[column + R8]
        stiffness[end + R2] -= a * x + b * y + c * z
        stiffness[end + R5] -= d * x + e * y + f * z
        stiffness[end + R8] -= g * x + h * y + i * z


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _condense(lanes, work, stiffness):
    """Eliminate the modes, the last three blocks, from the stiffness of the twists."""
    count = np.uint64(lanes)
    for step in range(_THREE):
        last = _ALL - _ONE - step
        _copy_inverse(_LINE * last + _BLOCK * last, count, stiffness, work)
        for k in range(last):
            _copy_column(_LINE * k + _BLOCK * last, R9 + np.uint64(18 * LANES) * k, count, stiffness, work)
        for k in range(last):
            for m in range(k, last):
                one, other = np.uint64(18 * LANES) + np.uint64(18 * LANES) * k, R9 + np.uint64(18 * LANES) * m
                _reduce(one, other, _LINE * k + _BLOCK * m, count, work, stiffness)


@njit(coloured="blocks", cache=True, error_model="numpy", fastmath=_FAST)
def fill_incompatible(begin, end, hexahedra, pattern, blocks, points, numbers, number_rows, lanes, data):
    """Add the stiffness of incompatible modes of all elements that have points to the entries of a matrix.

    λ and μ are in row ``number_rows[e]`` of ``numbers`` (m, 2).
    """
    cells, row_starts, slots, places = pattern
    order, elements, _, block_nodes, node_starts, opens = blocks
    for block in range(begin, end):
        buffer = np.zeros(buffer_length(block, block_nodes, node_starts, row_starts, 3))
        shape, stiffness, rows, matrices = lanes_workspace()
        coordinates, table = aligned(32 * LANES), aligned(2 * _SCALED * LANES)
        moments, work = aligned(241 * LANES), aligned(117 * LANES)
        chosen = np.zeros(LANES, dtype=np.int64)
        i = np.int64(elements[block])
        while i < elements[block + 1]:
            filled, i = take_elements(order, i, elements[block + 1], points[2], chosen)
            if filled == 0:
                break
            shape_of_lanes(hexahedra, chosen, numbers, number_rows, lanes, shape)
            _integrate(points, chosen, lanes, shape, coordinates, table, moments)
            _write_stiffness(lanes, shape, moments, stiffness)
            _condense(lanes, work, stiffness)
            expand_lanes(True, lanes, shape, stiffness, rows, matrices)
            for q in range(filled):
                scatter_lane(q, chosen[q], matrices, cells, row_starts, slots, places, buffer)
        flush(block, block_nodes, node_starts, opens, row_starts, 3, buffer, data)
