"""Stabilised elements of isotropic materials in closed formulas: no integration point at all.

The mean gradients of a trilinear element are derivatives of its volume by the vertices, and polynomials in J₀ and h
(T. Belytschko, J. S.-J. Ong, W. K. Liu, J. M. Kennedy, CMAME 43 (1984) 251-276 integrate them as well). S follows from
layers ξ_k = constant in plane stress: of an isotropic material only tangential components of displacements and
gradients are left, with λ* = 2 λ μ / (λ + 2 μ) in the place of λ.
"""

import numpy as np

from femnn.assembly.formulations.lanes import (
    INVERSE,
    LMBDA,
    MU,
    VOLUME,
    expand_lanes,
    lanes_workspace,
    place,
    scatter_lane,
    shape_of_lanes,
    take_elements,
)
from femnn.assembly.scatter import buffer_length, flush
from femnn.integration.kernels import _FAST
from femnn.integration.vector_kernels import LANES
from femnn.system.compile import njit


@njit(specialised=True, cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _add_layers(k, lanes, shape, stiffness):
    """What the layers ξ_k = constant give for the twists of ξ_k: with gradients t and s of the two other axes.

    The twists ξη, ηζ, ζξ hold the axes 0 and 1, 1 and 2, 2 and 0: number k goes with t, number k + 2 with s. Each of
    them gets two axes; the first of these that is seen overwrites, so that axes must come in order.
    """
    m, n = (k + 1) % 3, (k + 2) % 3
    for q in range(lanes):
        first, second, third = (
            LANES * (INVERSE + 3 * k) + q,
            LANES * (INVERSE + 3 * m) + q,
            LANES * (INVERSE + 3 * n) + q,
        )
        n0, n1, n2 = shape[first], shape[first + LANES], shape[first + 2 * LANES]
        t0, t1, t2 = shape[second], shape[second + LANES], shape[second + 2 * LANES]
        s0, s1, s2 = shape[third], shape[third + LANES], shape[third + 2 * LANES]
        lmbda, shear, volume = shape[LANES * LMBDA + q], shape[LANES * MU + q], shape[LANES * VOLUME + q]
        square = 1.0 / (n0 * n0 + n1 * n1 + n2 * n2)
        # of the gradients of the two other axes, the parts in the layer
        along = square * (t0 * n0 + t1 * n1 + t2 * n2)
        t0, t1, t2 = t0 - along * n0, t1 - along * n1, t2 - along * n2
        along = square * (s0 * n0 + s1 * n1 + s2 * n2)
        s0, s1, s2 = s0 - along * n0, s1 - along * n1, s2 - along * n2
        mu = 1.0 / 3.0 * volume * shear
        flat = 2.0 * lmbda * mu / (lmbda + 2.0 * shear)
        p00, p11, p22 = 1.0 - square * n0 * n0, 1.0 - square * n1 * n1, 1.0 - square * n2 * n2
        p01, p02, p12 = -square * n0 * n1, -square * n0 * n2, -square * n1 * n2
        _write_layer(k, k, k == 2, flat, mu, t0, t1, t2, t0, t1, t2, p00, p01, p02, p11, p12, p22, q, stiffness)
        _write_layer(n, n, k > 0, flat, mu, s0, s1, s2, s0, s1, s2, p00, p01, p02, p11, p12, p22, q, stiffness)
        if k == 0:
            _write_layer(k, n, False, flat, mu, t0, t1, t2, s0, s1, s2, p00, p01, p02, p11, p12, p22, q, stiffness)
        else:
            _write_layer(n, k, False, flat, mu, s0, s1, s2, t0, t1, t2, p00, p01, p02, p11, p12, p22, q, stiffness)


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _write_layer(k, m, added, flat, mu, a0, a1, a2, b0, b1, b2, p00, p01, p02, p11, p12, p22, q, stiffness):
    """One block of a layer in plane stress, λ* a ⊗ b + μ (b ⊗ a + (a · b) P), written or added."""
    trace = mu * (a0 * b0 + a1 * b1 + a2 * b2)
    fa0, fa1, fa2, mb0, mb1, mb2 = flat * a0, flat * a1, flat * a2, mu * b0, mu * b1, mu * b2
    first = place(k, m) + q
    second, third = first + 3 * LANES, first + 6 * LANES
    x0, x1, x2 = fa0 * b0 + mb0 * a0 + trace * p00, fa0 * b1 + mb0 * a1 + trace * p01, fa0 * b2 + mb0 * a2 + trace * p02
    y0, y1, y2 = fa1 * b0 + mb1 * a0 + trace * p01, fa1 * b1 + mb1 * a1 + trace * p11, fa1 * b2 + mb1 * a2 + trace * p12
    z0, z1, z2 = fa2 * b0 + mb2 * a0 + trace * p02, fa2 * b1 + mb2 * a1 + trace * p12, fa2 * b2 + mb2 * a2 + trace * p22
    if added:
        x0, x1, x2 = x0 + stiffness[first], x1 + stiffness[first + LANES], x2 + stiffness[first + 2 * LANES]
        y0, y1, y2 = y0 + stiffness[second], y1 + stiffness[second + LANES], y2 + stiffness[second + 2 * LANES]
        z0, z1, z2 = z0 + stiffness[third], z1 + stiffness[third + LANES], z2 + stiffness[third + 2 * LANES]
    stiffness[first], stiffness[first + LANES], stiffness[first + 2 * LANES] = x0, x1, x2
    stiffness[second], stiffness[second + LANES], stiffness[second + 2 * LANES] = y0, y1, y2
    stiffness[third], stiffness[third + LANES], stiffness[third + 2 * LANES] = z0, z1, z2


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _write_last(lanes, shape, stiffness):
    """The block of ξηζ, which has nothing to do with the others; its dilatation would lock and is left out."""
    for q in range(lanes):
        square = k00 = k01 = k02 = k11 = k12 = k22 = 0.0
        for k in range(3):
            first = LANES * (INVERSE + 3 * k) + q
            x, y, z = shape[first], shape[first + LANES], shape[first + 2 * LANES]
            k00, k01, k02, k11, k12, k22 = (
                k00 + x * x, k01 + x * y, k02 + x * z, k11 + y * y, k12 + y * z, k22 + z * z,
            )  # fmt: skip
        mu = 1.0 / 9.0 * shape[LANES * VOLUME + q] * shape[LANES * MU + q]
        square, third = mu * (k00 + k11 + k22), 1.0 / 3.0 * mu
        first = place(3, 3) + q
        stiffness[first], stiffness[first + LANES], stiffness[first + 2 * LANES] = (
            third * k00 + square,
            third * k01,
            third * k02,
        )
        first += 3 * LANES
        stiffness[first], stiffness[first + LANES], stiffness[first + 2 * LANES] = (
            third * k01,
            third * k11 + square,
            third * k12,
        )
        first += 3 * LANES
        stiffness[first], stiffness[first + LANES], stiffness[first + 2 * LANES] = (
            third * k02,
            third * k12,
            third * k22 + square,
        )


@njit(coloured="blocks", cache=True, error_model="numpy", fastmath=_FAST)
def fill_stabilised(begin, end, hexahedra, pattern, blocks, counts, numbers, number_rows, lanes, data):
    """Add the stabilised stiffness of the elements that have points by ``counts`` (n,) to the entries of a matrix.

    λ and μ are in row ``number_rows[e]`` of ``numbers`` (m, 2).
    """
    cells, row_starts, slots, places = pattern
    order, elements, _, block_nodes, node_starts, opens = blocks
    for block in range(begin, end):
        buffer = np.zeros(buffer_length(block, block_nodes, node_starts, row_starts, 3))
        shape, stiffness, rows, matrices = lanes_workspace()
        chosen = np.zeros(LANES, dtype=np.int64)
        i = np.int64(elements[block])
        while i < elements[block + 1]:
            filled, i = take_elements(order, i, elements[block + 1], counts, chosen)
            if filled == 0:
                break
            shape_of_lanes(hexahedra, chosen, numbers, number_rows, lanes, shape)
            _add_layers(0, lanes, shape, stiffness)
            _add_layers(1, lanes, shape, stiffness)
            _add_layers(2, lanes, shape, stiffness)
            _write_last(lanes, shape, stiffness)
            expand_lanes(False, lanes, shape, stiffness, rows, matrices)
            for q in range(filled):
                scatter_lane(q, chosen[q], matrices, cells, row_starts, slots, places, buffer)
        flush(block, block_nodes, node_starts, opens, row_starts, 3, buffer, data)
