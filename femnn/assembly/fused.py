"""From vertex coordinates straight into the sparse matrix: no form arrays, no triplets."""

import numpy as np
from numba import njit, prange

from femnn.integration.kernels import _FAST, add_moments


def flat_points(groups, n):
    """Points and weights of all groups one after another, and where each element's own begin.

    Returns
    -------
    points : (3, total), weights : (total,)
    first : (n,) int64, count : (n,) int64
        ``count`` is 0 for elements that no group holds.
    """
    points, weights = [], []
    first, count = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    total = 0
    for group in groups:
        m, nqp = len(group.cells), group.W.shape[-1]
        shared = group.X.ndim == 2 and group.W.ndim == 1
        sets = 1 if shared else m
        own = group.X[:, None, :] if group.X.ndim == 2 else group.X
        points.append(np.broadcast_to(own, (3, sets, nqp)).reshape(3, -1))
        weights.append(np.broadcast_to(group.W, (sets, nqp)).reshape(-1))
        first[group.cells] = total + (0 if shared else nqp * np.arange(m))
        count[group.cells] = nqp
        total += sets * nqp
    return np.concatenate(points, axis=1), np.concatenate(weights), first, count


@njit(parallel=True, cache=True, error_model="numpy", fastmath=_FAST)
def add_elasticity(hexahedra, cells, starts, slots, order, blocks, colours, rule, lame, shear, data):
    """Add the isotropic stiffness of every element to the CSR ``data`` of three degrees of freedom per vertex.

    ``hexahedra`` (n, 8, 3); ``cells`` to ``colours`` as in :class:`femnn.assembly.pattern.Pattern`; ``rule`` from
    :func:`flat_points`.
    """
    points, weights, first, count = rule
    for colour in range(colours.shape[0] - 1):
        for block in prange(colours[colour], colours[colour + 1]):
            moments = np.empty((24, 24))
            for k in range(blocks[block], blocks[block + 1]):
                e = order[k]
                begin, end = first[e], first[e] + count[e]
                moments[:] = 0.0
                add_moments(hexahedra[e], points[:, begin:end], weights[begin:end], moments)
                _scatter(moments, cells[e], starts, slots[e], lame, shear, data)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _scatter(moments, cell, starts, slots, lame, shear, data):
    for a in range(8):
        begin = starts[cell[a]]
        width = 3 * (starts[cell[a] + 1] - begin)
        for b in range(8):
            place = 9 * begin + 3 * np.int64(slots[a, b])
            trace = shear * (moments[3 * a, 3 * b] + moments[3 * a + 1, 3 * b + 1] + moments[3 * a + 2, 3 * b + 2])
            for i in range(3):
                for j in range(3):
                    data[place + j] += lame * moments[3 * a + i, 3 * b + j] + shear * moments[3 * a + j, 3 * b + i]
                data[place + i] += trace
                place += width
