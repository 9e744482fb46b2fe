"""Numba kernels of a sparse decoder: some of its values and their slopes, in single precision.

Rows of the output that read the same units are a group: its units are gathered once, and its rows are dense. Rows that
are equal are one.
"""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from femnn.networks.vector_math import BLOCK, LOG2_E, ONE, vector_exp2
from femnn.system.compile import njit

_FAST = {"reassoc", "contract", "nsz", "arcp"}

# Units of a row are padded to multiples of what a processor sums side by side, which leaves no rest to be summed
# singly; rows of a group to multiples of those that are summed together.
_LANES, _TOGETHER = 16, 4


class PartOfDecoder(NamedTuple):
    """Some rows (k,) of offset + output · silu(weight z + bias), as the kernels take them.

    Attributes
    ----------
    offset : (k,)
    weight : (n, units) float32, bias : (units,) float32
        Of units in multiples of :data:`femnn.networks.vector_math.BLOCK`, of which the last is always zero.
    places : (k,) int
        Where each row of the output is among those that are computed, which are all different.
    groups : (g + 1, 3) int
        Where the computed rows, the units and the values of each group begin.
    units : (u,) int
        That groups read, the last of all for padding.
    values : (v,) float32
        Of the output, computed row after computed row.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.reduced.decoder_kernels import part_of_decoder
    >>> from scipy.sparse import csr_array
    >>> output = csr_array(np.array([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0], [2.0, 0.0]]))
    >>> part = part_of_decoder(np.array([[1.0], [-1.0]]), np.zeros(2), output, np.zeros(4))
    >>> part.places.tolist(), part.groups[:, 0].tolist()
    ([0, 4, 1, 0], [0, 4, 8])
    """

    offset: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    places: np.ndarray
    groups: np.ndarray
    units: np.ndarray
    values: np.ndarray


def no_decoder() -> PartOfDecoder:
    """That of other manifolds: no rows.

    Examples
    --------
    >>> len(no_decoder().places)
    0
    """
    return part_of_decoder(np.zeros((0, 0)), np.zeros(0), csr_array(np.zeros((0, 0))), np.zeros(0))


def part_of_decoder(weight: np.ndarray, bias: np.ndarray, output: csr_array, offset: np.ndarray) -> PartOfDecoder:
    """Group the rows of a sparse ``output`` (k, units) by the units that they read; ``weight`` (units, n).

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> part_of_decoder(np.ones((2, 1)), np.zeros(2), csr_array(np.eye(2)), np.zeros(2)).bias.shape
    (64,)
    """
    count = BLOCK * (len(bias) // BLOCK + 1)
    padded = np.zeros((weight.shape[1] + 1, count), np.float32)
    padded[:-1, : len(bias)], padded[-1, : len(bias)] = weight.T, bias
    members: dict[bytes, dict[bytes, list[int]]] = {}
    output = output.sorted_indices()
    for row in range(output.shape[0]):
        span = slice(*output.indptr[row : row + 2])
        group = members.setdefault(output.indices[span].astype(np.int64).tobytes(), {})
        group.setdefault(output.data[span].astype(np.float32).tobytes(), []).append(row)
    places, groups = np.empty(output.shape[0], np.int64), [(0, 0, 0)]
    units, values = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
    for indices, rows in members.items():
        own, first = np.frombuffer(indices, np.int64), groups[-1][0]
        width, height = _LANES * -(-len(own) // _LANES), _TOGETHER * -(-len(rows) // _TOGETHER)
        units.append(np.pad(own, (0, width - len(own)), constant_values=count - 1))
        block = np.zeros((height, width), np.float32)
        for place, (data, equal) in enumerate(rows.items()):
            block[place, : len(own)], places[equal] = np.frombuffer(data, np.float32), first + place
        values.append(block.ravel())
        groups.append(tuple(np.add(groups[-1], (height, width, block.size)).tolist()))
    return PartOfDecoder(
        np.ascontiguousarray(offset, dtype=float),
        padded[:-1].copy(),
        padded[-1].copy(),
        places,
        np.array(groups),
        np.concatenate(units),
        np.concatenate(values),
    )


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def hidden(decoder, q, y, gates, powers, bits):
    """Write the inputs ``y`` (units,) of the units and the ``gates`` (units / BLOCK, BLOCK) that they open."""
    n, count = decoder.weight.shape
    y[:] = decoder.bias
    for i in range(n):
        factor = np.float32(q[i])
        for u in range(count):
            y[u] += factor * decoder.weight[i, u]
    for row in range(count // BLOCK):
        for b in range(BLOCK):
            gates[row, b] = -LOG2_E * y[row * BLOCK + b]
        vector_exp2(gates, row, powers, bits)
        for b in range(BLOCK):
            gates[row, b] = ONE / (ONE + gates[row, b])


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _products(rows, width, vector):
    """Products of four rows, one after another, with a vector: their sums go on side by side."""
    one, two, three, four = rows[:width], rows[width : 2 * width], rows[2 * width : 3 * width], rows[3 * width :]
    a = b = c = d = np.float32(0.0)
    for k in range(len(vector)):
        x = vector[k]
        a += one[k] * x
        b += two[k] * x
        c += three[k] * x
        d += four[k] * x
    return a, b, c, d


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def place_rows(decoder, q, work, w):
    """Write the decoder's rows at ``q`` (n,) to ``w`` (k,); ``work`` as of :func:`decoder_work`."""
    y, gates, powers, bits, near, rows = work
    hidden(decoder, q, y, gates, powers, bits)
    gate = gates.reshape(-1)
    for u in range(len(y)):
        y[u] *= gate[u]
    for g in range(len(decoder.groups) - 1):
        row, unit, value = decoder.groups[g]
        width = decoder.groups[g + 1, 1] - unit
        own = near[0, :width]
        for k in range(width):
            own[k] = y[decoder.units[unit + k]]
        for r in range(row, decoder.groups[g + 1, 0], _TOGETHER):
            four = decoder.values[value : value + 4 * width]
            rows[r, 0], rows[r + 1, 0], rows[r + 2, 0], rows[r + 3, 0] = _products(four, width, own)
            value += 4 * width
    for k in range(len(w)):
        w[k] = decoder.offset[k] + rows[decoder.places[k], 0]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def slopes_of_rows(decoder, q, work, tangent):
    """Write the derivatives (k, n) of the decoder's rows at ``q`` (n,)."""
    y, gates, powers, bits, near, rows = work
    hidden(decoder, q, y, gates, powers, bits)
    gate, n = gates.reshape(-1), len(q)
    for u in range(len(y)):
        y[u] = gate[u] * (ONE + y[u] * (ONE - gate[u]))
    for g in range(len(decoder.groups) - 1):
        row, unit, value = decoder.groups[g]
        width = decoder.groups[g + 1, 1] - unit
        for k in range(width):
            own = decoder.units[unit + k]
            for i in range(n):
                near[i, k] = y[own] * decoder.weight[i, own]
        for r in range(row, decoder.groups[g + 1, 0], _TOGETHER):
            four = decoder.values[value : value + 4 * width]
            for i in range(n):
                rows[r, i], rows[r + 1, i], rows[r + 2, i], rows[r + 3, i] = _products(four, width, near[i, :width])
            value += 4 * width
    for k in range(len(tangent)):
        for i in range(n):
            tangent[k, i] = rows[decoder.places[k], i]


@njit(cache=True)
def decoder_work(decoder):
    """Work space of the kernels."""
    n, count, widest, last = decoder.weight.shape[0], len(decoder.bias), 0, len(decoder.groups) - 1
    for g in range(last):
        widest = max(widest, decoder.groups[g + 1, 1] - decoder.groups[g, 1])
    bits = np.empty(BLOCK, np.int32)
    gates, near = np.empty((count // BLOCK, BLOCK), np.float32), np.empty((max(1, n), widest), np.float32)
    rows = np.empty((decoder.groups[last, 0], max(1, n)), np.float32)
    return np.empty(count, np.float32), gates, bits.view(np.float32), bits, near, rows
