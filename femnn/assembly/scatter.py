"""From element matrices and vectors to those of the mesh, block by block of :mod:`femnn.assembly.blocks`."""

import numpy as np

from femnn.integration.kernels import _FAST
from femnn.system.compile import njit


def structure(pattern):
    """A Pattern as the two tuples of arrays that the kernels take."""
    blocks = pattern.blocks
    return (
        (pattern.cells, pattern.starts, pattern.slots, blocks.places),
        (blocks.order, blocks.elements, blocks.colours, blocks.nodes, blocks.starts, blocks.opens),
    )


@njit(cache=True)
def buffer_length(block, block_nodes, node_starts, row_starts, components):
    """Entries in the rows of a block's nodes."""
    total = 0
    for i in range(node_starts[block], node_starts[block + 1]):
        total += row_starts[block_nodes[i] + 1] - row_starts[block_nodes[i]]
    return components * components * total


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def scatter(matrix, e, cells, row_starts, slots, places, components, buffer):
    """Add the matrix of element ``e``, component-major, to the rows of its nodes in the buffer of its block."""
    k = cells.shape[1]
    if components == 1:
        for a in range(k):
            place = np.uint64(places[e, a])
            for b in range(k):
                buffer[place + np.uint64(slots[e, a, b])] += matrix[a, b]
        return
    for a in range(k):
        start = np.uint64(9 * np.int64(places[e, a]))
        width = np.uint64(3 * (row_starts[cells[e, a] + 1] - row_starts[cells[e, a]]))
        for b in range(k):
            place = start + np.uint64(3) * np.uint64(slots[e, a, b])
            k00, k01, k02 = matrix[a, b], matrix[a, k + b], matrix[a, 2 * k + b]
            k10, k11, k12 = matrix[k + a, b], matrix[k + a, k + b], matrix[k + a, 2 * k + b]
            k20, k21, k22 = matrix[2 * k + a, b], matrix[2 * k + a, k + b], matrix[2 * k + a, 2 * k + b]
            add_block(buffer, place, width, k00, k01, k02, k10, k11, k12, k20, k21, k22)


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def scatter_isotropic(moments, lmbda, mu, e, cells, row_starts, slots, places, buffer, means=None, factor=0.0):
    """Add the isotropic stiffness of element ``e`` to the buffer, straight from its gradient moments G_ij with i ≤ j.

    K[(i, a), (j, b)] = λ G_ij[a, b] + μ G_ij[b, a] + δ_ij μ Σ_k G_kk[a, b], and K is symmetric. With ``means`` (3 k,)
    their products are added, ``factor`` times.
    """
    k = cells.shape[1]
    both = lmbda + mu
    for a in range(k):
        place_a = np.uint64(9 * np.int64(places[e, a]))
        width_a = np.uint64(3 * (row_starts[cells[e, a] + 1] - row_starts[cells[e, a]]))
        for b in range(a, k):
            x, y, z = moments[a, b], moments[k + a, k + b], moments[2 * k + a, 2 * k + b]
            xy, yx = moments[a, k + b], moments[b, k + a]
            xz, zx = moments[a, 2 * k + b], moments[b, 2 * k + a]
            yz, zy = moments[k + a, 2 * k + b], moments[k + b, 2 * k + a]
            trace = mu * (x + y + z)
            k00, k01, k02 = both * x + trace, lmbda * xy + mu * yx, lmbda * xz + mu * zx
            k10, k11, k12 = lmbda * yx + mu * xy, both * y + trace, lmbda * yz + mu * zy
            k20, k21, k22 = lmbda * zx + mu * xz, lmbda * zy + mu * yz, both * z + trace
            # the compiler drops this where there are none
            if means is not None:
                p, q, r = factor * means[a], factor * means[k + a], factor * means[2 * k + a]
                u, v, w = means[b], means[k + b], means[2 * k + b]
                k00, k01, k02 = k00 + p * u, k01 + p * v, k02 + p * w
                k10, k11, k12 = k10 + q * u, k11 + q * v, k12 + q * w
                k20, k21, k22 = k20 + r * u, k21 + r * v, k22 + r * w
            place = place_a + np.uint64(3) * np.uint64(slots[e, a, b])
            add_block(buffer, place, width_a, k00, k01, k02, k10, k11, k12, k20, k21, k22)
            if a != b:
                width_b = np.uint64(3 * (row_starts[cells[e, b] + 1] - row_starts[cells[e, b]]))
                place = np.uint64(9 * np.int64(places[e, b])) + np.uint64(3) * np.uint64(slots[e, b, a])
                add_block(buffer, place, width_b, k00, k10, k20, k01, k11, k21, k02, k12, k22)


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def add_block(buffer, first, width, k00, k01, k02, k10, k11, k12, k20, k21, k22):
    """Add a 3 × 3 block to the buffer from place ``first`` on, its rows ``width`` apart."""
    # all are loaded before the first is stored: the compiler cannot know that they do not overlap
    one, two = np.uint64(1), np.uint64(2)
    second = first + width
    third = second + width
    x, y, z = buffer[first] + k00, buffer[first + one] + k01, buffer[first + two] + k02
    p, q, r = buffer[second] + k10, buffer[second + one] + k11, buffer[second + two] + k12
    u, v, w = buffer[third] + k20, buffer[third + one] + k21, buffer[third + two] + k22
    buffer[first], buffer[first + one], buffer[first + two] = x, y, z
    buffer[second], buffer[second + one], buffer[second + two] = p, q, r
    buffer[third], buffer[third + one], buffer[third + two] = u, v, w


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def flush(block, block_nodes, node_starts, opens, row_starts, components, buffer, data):
    """Write the rows of a block's buffer to the matrix, or add them where an earlier block wrote."""
    square = components * components
    begin = np.uint64(0)
    for i in range(node_starts[block], node_starts[block + 1]):
        start = np.uint64(square * row_starts[block_nodes[i]])
        length = np.uint64(square * row_starts[block_nodes[i] + 1]) - start
        if opens[i]:
            for j in range(length):
                data[start + j] = buffer[begin + j]
        else:
            for j in range(length):
                data[start + j] += buffer[begin + j]
        begin += length


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def add_to_nodes(force, e, cells, components, result):
    """Add the vector of element ``e``, component-major, to that of the mesh."""
    k = cells.shape[1]
    for i in range(components):
        for a in range(k):
            result[components * cells[e, a] + i] += force[i * k + a]
