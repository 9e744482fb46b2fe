"""Numba kernels that integrate one element at eight points at a time, one point to a lane of the vector unit.

Degrees of freedom are *component-major* here and in all that assembles: row ``i n + a`` belongs to component i of node
a of n. Gradients of all nodes in one direction then lie side by side, and the products of gradients, which are nearly
all of the work, run over long contiguous rows. The kernels of :mod:`femnn.integration.kernels`, which measure rules,
are *node-major*, row ``3 a + i``, as scikit-fem numbers: the Error sums its entries in that order, and another would
change its last bits and with them the labels of every training. The two meet in
:meth:`femnn.HourglassCorrection.stiffness` alone, which turns its rows around.

Points come in *batches* (4, 8) of ξ, η, ζ and weight; a batch that is not full repeats a point with weight zero.

Two habits of the compiler shape this file. The number of lanes is passed at run time although it is always eight: loops
of so short a constant length are not vectorised. And arrays are passed whole, with an index, because each view of an
array counts references with a locked instruction, which costs as much as a whole row of products.
"""

import numpy as np

from femnn.geometry.hexahedron import QUADRATIC_NODES
from femnn.integration.kernels import _FAST
from femnn.system.compile import njit

LANES = 8

# Places of a node among the three of each axis: 0, 1/2, 1.
_PLACES = np.round(2.0 * QUADRATIC_NODES).astype(np.int64)


def batches_of_points(points, weights):
    """Points (m, 3, nqp) and weights (m, nqp) as batches (m, nqp / 8 rounded up, 32), contiguous."""
    sets, _, nqp = points.shape
    count = -(-nqp // LANES)
    batches = np.zeros((sets, 4, count * LANES))
    batches[:, :3, :nqp] = points
    batches[:, :3, nqp:] = points[:, :, :1]
    batches[:, 3, :nqp] = weights
    return np.ascontiguousarray(batches.reshape(sets, 4, count, LANES).transpose(0, 2, 1, 3)).reshape(sets, count, 32)


def places_of_nodes(count):
    """What tells kernels which shape functions elements of ``count`` nodes have.

    Places (27, 3) of the nodes among the three of each axis for 27. For 8 nodes None: the compiler then leaves out all
    that is for 27, which would be a good part of its time.
    """
    return None if count == 8 else _PLACES


@njit(cache=True)
def lane_workspace(nodes):
    """Work arrays of :func:`gradients_of_batch` for elements of 8 or 27 nodes.

    Returns
    -------
    points : (32,)
        ξ, η, ζ and weights of a batch.
    inverses : (80,)
        ∂ξ_j/∂x_i of lane q at 8 (3 i + j) + q, and |det J| times the weight at 72 + q.
    columns : (192,)
        For intermediate results.
    gradients : (8, 3 nodes)
        ∂N_a/∂x_i of lane q at [q, nodes i + a].
    """
    gradients = aligned(LANES * 3 * nodes).reshape((LANES, 3 * nodes))
    return aligned(4 * LANES), aligned(10 * LANES), aligned(24 * LANES), gradients


@njit(cache=True)
def aligned(size):
    """An uninitialised vector that starts at a cache line; rows that straddle two take half as long again."""
    raw = np.empty(size + LANES)
    start = -(raw.ctypes.data // 8) % LANES
    return raw[start : start + size]


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _jacobians(hexahedra, e, points, lanes, jacobians):
    for c in range(3):
        v0, v1, v2, v3 = hexahedra[e, 0, c], hexahedra[e, 1, c], hexahedra[e, 2, c], hexahedra[e, 3, c]
        v4, v5, v6, v7 = hexahedra[e, 4, c], hexahedra[e, 5, c], hexahedra[e, 6, c], hexahedra[e, 7, c]
        # the twelve edges, in scikit-fem's order of vertices: 111, 110, 101, 011, 100, 010, 001, 000
        x11, x10, x01, x00 = v0 - v3, v1 - v5, v2 - v6, v4 - v7
        y11, y10, y01, y00 = v0 - v2, v1 - v4, v3 - v6, v5 - v7
        z11, z10, z01, z00 = v0 - v1, v2 - v4, v3 - v5, v6 - v7
        row = 24 * c
        for q in range(lanes):
            x, y, z = points[q], points[8 + q], points[16 + q]
            u, v, w = 1.0 - x, 1.0 - y, 1.0 - z
            jacobians[row + q] = y * (z * x11 + w * x10) + v * (z * x01 + w * x00)
            jacobians[row + 8 + q] = x * (z * y11 + w * y10) + u * (z * y01 + w * y00)
            jacobians[row + 16 + q] = x * (y * z11 + v * z10) + u * (y * z01 + v * z00)


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _inverses(jacobians, points, lanes, inverses):
    for q in range(lanes):
        j00, j01, j02 = jacobians[q], jacobians[8 + q], jacobians[16 + q]
        j10, j11, j12 = jacobians[24 + q], jacobians[32 + q], jacobians[40 + q]
        j20, j21, j22 = jacobians[48 + q], jacobians[56 + q], jacobians[64 + q]
        c00, c01, c02 = j11 * j22 - j12 * j21, j12 * j20 - j10 * j22, j10 * j21 - j11 * j20
        determinant = j00 * c00 + j01 * c01 + j02 * c02
        inverse = 1.0 / determinant
        inverses[q] = inverse * c00
        inverses[8 + q] = inverse * c01
        inverses[16 + q] = inverse * c02
        inverses[24 + q] = inverse * (j21 * j02 - j22 * j01)
        inverses[32 + q] = inverse * (j22 * j00 - j20 * j02)
        inverses[40 + q] = inverse * (j20 * j01 - j21 * j00)
        inverses[48 + q] = inverse * (j01 * j12 - j02 * j11)
        inverses[56 + q] = inverse * (j02 * j10 - j00 * j12)
        inverses[64 + q] = inverse * (j00 * j11 - j01 * j10)
        inverses[72 + q] = points[24 + q] * abs(determinant)


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _trilinear_gradients(points, lanes, inverses, columns, gradients):
    for i in range(3):
        row, column = 24 * i, 64 * i
        for q in range(lanes):
            x, y, z = points[q], points[8 + q], points[16 + q]
            u, v, w = 1.0 - x, 1.0 - y, 1.0 - z
            f, g, h = inverses[row + q], inverses[row + 8 + q], inverses[row + 16 + q]
            fy, fv, gx, gu, hx, hu = f * y, f * v, g * x, g * u, h * x, h * u
            columns[column + q] = (fy + gx) * z + hx * y
            columns[column + 8 + q] = (fy + gx) * w - hx * y
            columns[column + 16 + q] = (fv - gx) * z + hx * v
            columns[column + 24 + q] = (gu - fy) * z + hu * y
            columns[column + 32 + q] = (fv - gx) * w - hx * v
            columns[column + 40 + q] = (gu - fy) * w - hu * y
            columns[column + 48 + q] = hu * v - (fv + gu) * z
            columns[column + 56 + q] = -hu * v - (fv + gu) * w
    for q in range(LANES):
        for r in range(24):
            gradients[q, r] = columns[8 * r + q]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _quadratic_axis(x, values, slopes):
    values[0], values[1], values[2] = (2.0 * x - 1.0) * (x - 1.0), 4.0 * x * (1.0 - x), x * (2.0 * x - 1.0)
    slopes[0], slopes[1], slopes[2] = 4.0 * x - 3.0, 4.0 - 8.0 * x, 4.0 * x - 1.0


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _quadratic_gradients(points, inverses, gradients, nodes):
    axes = np.empty((3, 2, 3))
    for q in range(LANES):
        for axis in range(3):
            _quadratic_axis(points[8 * axis + q], axes[axis, 0], axes[axis, 1])
        for a in range(27):
            i, j, k = nodes[a, 0], nodes[a, 1], nodes[a, 2]
            d0 = axes[0, 1, i] * axes[1, 0, j] * axes[2, 0, k]
            d1 = axes[0, 0, i] * axes[1, 1, j] * axes[2, 0, k]
            d2 = axes[0, 0, i] * axes[1, 0, j] * axes[2, 1, k]
            for c in range(3):
                gradients[q, 27 * c + a] = (
                    inverses[24 * c + q] * d0 + inverses[24 * c + 8 + q] * d1 + inverses[24 * c + 16 + q] * d2
                )


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def gradients_of_batch(hexahedra, e, batches, batch, lanes, points, inverses, columns, gradients, nodes=None):
    """Physical gradients of all nodes of element ``e`` of (n, 8, 3) at the points of ``batches[batch]``.

    Fills ``gradients`` and ``inverses``; these and the other two are the arrays of :func:`lane_workspace`; ``nodes`` is
    from :func:`places_of_nodes`.
    """
    for r in range(4 * LANES):
        points[r] = batches[batch, r]
    _jacobians(hexahedra, e, points, lanes, columns)
    _inverses(columns, points, lanes, inverses)
    if nodes is None:
        _trilinear_gradients(points, lanes, inverses, columns, gradients)
    else:
        _quadratic_gradients(points, inverses, gradients, nodes)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def shape_values(batches, batch, q, values, nodes=None):
    """Shape functions of all nodes at lane q of ``batches[batch]`` into ``values``, (8,) or (27,)."""
    x, y, z = batches[batch, q], batches[batch, 8 + q], batches[batch, 16 + q]
    if nodes is None:
        u, v, w = 1.0 - x, 1.0 - y, 1.0 - z
        values[0], values[1], values[2], values[3] = x * y * z, x * y * w, x * v * z, u * y * z
        values[4], values[5], values[6], values[7] = x * v * w, u * y * w, u * v * z, u * v * w
        return
    axes = np.empty((3, 2, 3))
    _quadratic_axis(x, axes[0, 0], axes[0, 1])
    _quadratic_axis(y, axes[1, 0], axes[1, 1])
    _quadratic_axis(z, axes[2, 0], axes[2, 1])
    for a in range(27):
        values[a] = axes[0, 0, nodes[a, 0]] * axes[1, 0, nodes[a, 1]] * axes[2, 0, nodes[a, 2]]


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def add_moments(gradients, inverses, moments, nodes=None):
    """Add ∫ ∂N_a/∂x_i ∂N_b/∂x_j dx over the batch last seen to the blocks i ≤ j of ``moments`` (3 n, 3 n).

    Entries below the blocks i = j are left without meaning.
    """
    if nodes is None:
        _add_products(gradients, inverses, 0, 8, moments, 0, 24)
        _add_products(gradients, inverses, 8, 24, moments, 8, 24)
    else:
        for i in range(3):
            _add_products(gradients, inverses, 27 * i, 27 * i + 27, moments, 27 * i, 81)


@njit(specialised=True, cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _add_products(gradients, inverses, first_row, end_row, moments, first_column, end_column):
    v0, v1, v2, v3 = inverses[72], inverses[73], inverses[74], inverses[75]
    v4, v5, v6, v7 = inverses[76], inverses[77], inverses[78], inverses[79]
    for r in range(first_row, end_row):
        s0, s1, s2, s3 = v0 * gradients[0, r], v1 * gradients[1, r], v2 * gradients[2, r], v3 * gradients[3, r]
        s4, s5, s6, s7 = v4 * gradients[4, r], v5 * gradients[5, r], v6 * gradients[6, r], v7 * gradients[7, r]
        for c in range(first_column, end_column):
            moments[r, c] += (
                s0 * gradients[0, c]
                + s1 * gradients[1, c]
                + s2 * gradients[2, c]
                + s3 * gradients[3, c]
                + s4 * gradients[4, c]
                + s5 * gradients[5, c]
                + s6 * gradients[6, c]
                + s7 * gradients[7, c]
            )
