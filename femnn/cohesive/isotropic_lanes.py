"""The isotropic cell with its tangent as one Numba loop: eight points side by side, one in each lane of the processor.

Forward mode, as in :mod:`femnn.cohesive.isotropic`: a row holds the values of eight points and then their derivatives
by the three components of the separation, 32 numbers, so that a layer is one product for all of them. For cells whose
only input is the separation. No product sums over lanes, so a point gets the same bits whatever its neighbours are.
"""

import numpy as np
from numba import njit

from femnn.cohesive.isotropic import EPSILON

#: Points side by side; a row of values and derivatives has four times as many numbers.
LANES = 8
_ROW = 4 * LANES

_EXACT = {"contract", "nsz"}
_LOG2_E, _LN2_HIGH, _LN2_LOW = 1.4426950408889634, 0.6931471803691238, 1.9082149292705877e-10
# Adding it rounds to an integer, which then stands in the lowest bits.
_ROUNDING = 6755399441055744.0
_TAYLOR = tuple(1.0 / float(np.prod(np.arange(1.0, k + 1.0))) for k in range(13))
_BIAS, _SHIFT = np.int64(1023), np.int64(52)


class IsotropicLanes:
    """The layers of an :class:`femnn.cohesive.isotropic.Isotropic` in the order in which the loop reads them."""

    def __init__(self, cell):
        t, s, m = cell.tensors, cell.states, cell.arrows
        gate, move, hidden = t["gate.weight"], t["move.weight"], t["hidden.weight"]
        still, moving = np.r_[:s, s + m : s + 2 * m], np.r_[s : s + m, s + 2 * m : s + 2 * m + 3]
        read = np.concatenate([t["head.weight"] * t["scale"][:, None], t["mix.weight"]])
        # the loop reads what the hidden layer differs from that of the virgin interface
        virgin = t["hidden.bias"] / np.sqrt(1.0 + t["hidden.bias"] ** 2)
        self.layers = (
            (_even(gate[:, still]), _even(gate[:, moving]), _even(t["gate.bias"])),
            (_even(move), _even(t["move.bias"])),
            (_even(hidden), _even(t["hidden.bias"])),
            (_even(read), _even(np.concatenate([[0.0], t["mix.bias"] + t["mix.weight"] @ virgin]))),
        )
        lengths = t["lengths"]
        self.numbers = (1.0 / lengths[0], 1.0 / lengths[1], 1.0 / t["fine"][0], t["bound"][0])
        self.rates = np.exp(t["log_rate"])
        self.sizes = (s, m)

    def step(self, x, state):
        """As :meth:`femnn.cohesive.isotropic.Isotropic.step`."""
        return _steps(np.ascontiguousarray(x), state, self.layers, self.rates, self.numbers, *self.sizes)


def _even(array):
    """Rows filled up to a multiple of four by zeros, and columns too: the products need no remainders."""
    shape = [-(-size // 4) * 4 for size in array.shape]
    filled = np.zeros(shape)
    filled[tuple(slice(size) for size in array.shape)] = array
    return filled


@njit(cache=True, error_model="numpy", fastmath=_EXACT)
def _steps(x, state, layers, rates, numbers, states, arrows):
    count = x.shape[0]
    y, dy, new = np.empty((count, 3)), np.empty((count, 3, 3)), np.empty(state.shape)
    gate, move, hidden, read = layers
    still = np.zeros((gate[0].shape[1], LANES))
    moving = np.zeros((gate[1].shape[1], _ROW))
    gated = np.zeros((gate[2].shape[0], _ROW))
    moves = np.zeros((move[1].shape[0], _ROW))
    known = np.zeros((hidden[0].shape[1], _ROW))
    read_from = np.zeros((hidden[1].shape[0], _ROW))
    answers = np.zeros((read[1].shape[0], _ROW))
    old, vectors = np.zeros((2 * arrows, LANES)), np.zeros((2 * arrows, _ROW))
    geometry, work = np.zeros((8, _ROW)), np.zeros((6, LANES))
    bits = work.view(np.int64)
    _biased(hidden[1], read_from)
    _algebraic(read_from, LANES)
    virgin = read_from[:, 0].copy()
    for start in range(0, count, LANES):
        _gather(x, state, start, states, arrows, still, old, geometry)
        _geometry(numbers, arrows, old, geometry, moving)
        _biased(gate[2], gated)
        _product(still, gate[0], gated, LANES)
        _product(moving, gate[1], gated, _ROW)
        _algebraic(gated, LANES)
        _biased(move[1], moves)
        _product(gated, move[0], moves, _ROW)
        _scalars(moves, rates, states, arrows, still, geometry, numbers, work, bits, known, LANES)
        _vectors(moves, rates, states, arrows, old, geometry, numbers, work, bits, vectors, known, LANES)
        _biased(hidden[1], read_from)
        _product(known, hidden[0], read_from, _ROW)
        _algebraic(read_from, LANES)
        _less(virgin, read_from)
        _biased(read[1], answers)
        _product(read_from, read[0], answers, _ROW)
        _mix(answers, arrows, vectors, numbers[3], geometry, LANES)
        _scatter(x, start, states, arrows, answers, known, vectors, geometry, y, dy, new)
    return y, dy, new


@njit(cache=True, error_model="numpy", fastmath=_EXACT)
def _gather(x, state, start, states, arrows, still, old, geometry):
    """States and separations of eight points; the last point once more where there are fewer."""
    for b in range(LANES):
        k = min(start + b, x.shape[0] - 1)
        for i in range(states):
            still[i, b] = state[k, i]
        for i in range(arrows):
            p, q = state[k, states + 2 * i], state[k, states + 2 * i + 1]
            old[i, b], old[arrows + i, b] = p, q
            still[states + i, b] = p * p + q * q
        for j in range(3):
            geometry[0, j * LANES + b] = x[k, j]
            geometry[1, j * LANES + b] = state[k, states + 2 * arrows + j]


@njit(cache=True, error_model="numpy", fastmath=_EXACT)
def _geometry(numbers, arrows, old, geometry, moving):
    """Move (row 2), length (3), direction (4: normal, 5 and 6: across), and what the gate sees of them."""
    coarse, across, fine, _ = numbers
    for b in range(LANES):
        m0 = (geometry[0, b] - geometry[1, b]) * coarse
        m1 = (geometry[0, LANES + b] - geometry[1, LANES + b]) * across
        m2 = (geometry[0, 2 * LANES + b] - geometry[1, 2 * LANES + b]) * across
        length = np.sqrt(m0 * m0 + m1 * m1 + m2 * m2 + EPSILON * EPSILON)
        inverse = 1.0 / length
        d0, d1, d2 = m0 * inverse, m1 * inverse, m2 * inverse
        geometry[2, b], geometry[2, LANES + b], geometry[2, 2 * LANES + b] = m0, m1, m2
        geometry[3, b] = length
        geometry[3, LANES + b], geometry[3, 2 * LANES + b], geometry[3, 3 * LANES + b] = (
            d0 * coarse, d1 * across, d2 * across,
        )  # fmt: skip
        geometry[7, b] = inverse
    for row in range(3):
        scale = coarse if row == 0 else across
        for j in range(3):
            own = scale if row == j else 0.0
            for b in range(LANES):
                direction = geometry[2, row * LANES + b] * geometry[7, b]
                geometry[4 + row, b] = direction
                by_j = geometry[3, (1 + j) * LANES + b]
                geometry[4 + row, (1 + j) * LANES + b] = (own - by_j * direction) * geometry[7, b]
    for i in range(arrows):
        for c in range(4):
            for b in range(LANES):
                moving[i, c * LANES + b] = (
                    old[i, b] * geometry[5, c * LANES + b] + old[arrows + i, b] * geometry[6, c * LANES + b]
                )
    for c in range(_ROW):
        moving[arrows, c] = geometry[4, c]
    for b in range(LANES):
        middle = 0.5 * (geometry[0, b] + geometry[1, b])
        z = middle * fine
        root = 1.0 / np.sqrt(1.0 + z * z)
        moving[arrows + 1, b], moving[arrows + 2, b] = middle * coarse, z * root
        moving[arrows + 1, LANES + b] = 0.5 * coarse
        moving[arrows + 2, LANES + b] = 0.5 * fine * root * root * root
        # of the place that the second perceptron reads
        geometry[2, 3 * LANES + b] = fine * geometry[0, b]


@njit(cache=True, error_model="numpy", fastmath=_EXACT)
def _biased(bias, result):
    for j in range(bias.shape[0]):
        for b in range(LANES):
            result[j, b] = bias[j]
        for b in range(LANES, _ROW):
            result[j, b] = 0.0


@njit(cache=True, error_model="numpy", fastmath=_EXACT)
def _less(virgin, rows):
    for i in range(rows.shape[0]):
        for b in range(LANES):
            rows[i, b] -= virgin[i]


@njit(cache=True, error_model="numpy", fastmath=_EXACT)
def _product(values, weight, result, columns):
    """result += weight @ values in the first ``columns``; the number is passed, so that the loop is vectorised."""
    for j in range(0, weight.shape[0], 4):
        for k in range(0, weight.shape[1], 4):
            p0, p1, p2, p3 = weight[j, k], weight[j, k + 1], weight[j, k + 2], weight[j, k + 3]
            q0, q1, q2, q3 = weight[j + 1, k], weight[j + 1, k + 1], weight[j + 1, k + 2], weight[j + 1, k + 3]
            r0, r1, r2, r3 = weight[j + 2, k], weight[j + 2, k + 1], weight[j + 2, k + 2], weight[j + 2, k + 3]
            s0, s1, s2, s3 = weight[j + 3, k], weight[j + 3, k + 1], weight[j + 3, k + 2], weight[j + 3, k + 3]
            for b in range(columns):
                x0, x1, x2, x3 = values[k, b], values[k + 1, b], values[k + 2, b], values[k + 3, b]
                result[j, b] += p0 * x0 + p1 * x1 + p2 * x2 + p3 * x3
                result[j + 1, b] += q0 * x0 + q1 * x1 + q2 * x2 + q3 * x3
                result[j + 2, b] += r0 * x0 + r1 * x1 + r2 * x2 + r3 * x3
                result[j + 3, b] += s0 * x0 + s1 * x1 + s2 * x2 + s3 * x3


@njit(cache=True, error_model="numpy", fastmath=_EXACT)
def _algebraic(rows, lanes):
    """z/√(1 + z²) of all rows in place, derivatives along."""
    for i in range(rows.shape[0]):
        for b in range(lanes):
            z = rows[i, b]
            root = 1.0 / np.sqrt(1.0 + z * z)
            slope = root * root * root
            rows[i, b] = z * root
            rows[i, lanes + b] *= slope
            rows[i, 2 * lanes + b] *= slope
            rows[i, 3 * lanes + b] *= slope


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def _exponentials(values, bits, row, lanes):
    """e^x of one row of non-positive ``values`` in place; ``bits`` is its int64 view, the next two rows work space."""
    for b in range(lanes):
        x = max(values[row, b], -700.0)
        values[row + 1, b] = x * _LOG2_E + _ROUNDING
        values[row, b] = x
    for b in range(lanes):
        whole = values[row + 1, b] - _ROUNDING
        values[row, b] = (values[row, b] - whole * _LN2_HIGH) - whole * _LN2_LOW
    for b in range(lanes):
        bits[row + 1, b] = (bits[row + 1, b] + _BIAS) << _SHIFT
    for b in range(lanes):
        r = values[row, b]
        p = _TAYLOR[12]
        p = p * r + _TAYLOR[11]
        p = p * r + _TAYLOR[10]
        p = p * r + _TAYLOR[9]
        p = p * r + _TAYLOR[8]
        p = p * r + _TAYLOR[7]
        p = p * r + _TAYLOR[6]
        p = p * r + _TAYLOR[5]
        p = p * r + _TAYLOR[4]
        p = p * r + _TAYLOR[3]
        p = p * r + _TAYLOR[2]
        p = p * r + _TAYLOR[1]
        p = p * r + _TAYLOR[0]
        values[row, b] = p * values[row + 1, b]


@njit(cache=True, error_model="numpy", fastmath=_EXACT)
def _decay(i, rates, moves, geometry, work, bits, lanes):
    """Of state i: rate (row 3 of ``work``), its growth with the output behind it (4), what is kept (0), the share (1).

    The share is of the way along the move, over L; in row 2 what is kept over all of L.
    """
    for b in range(lanes):
        raw = moves[i, b]
        root = np.sqrt(raw * raw + 1.0)
        rate = rates[i] * (raw + root)
        work[3, b], work[4, b] = rate, rate / root
        work[0, b] = -rate * (geometry[3, b] - EPSILON)
    _exponentials(work, bits, 0, lanes)
    for b in range(lanes):
        # the little that is missing to all of L needs no exponential
        e = work[3, b] * EPSILON
        work[2, b] = work[0, b] * (1.0 - e * (1.0 - 0.5 * e * (1.0 - e / 3.0 * (1.0 - 0.25 * e))))
        work[1, b] = (1.0 - work[2, b]) * geometry[7, b]


@njit(cache=True, error_model="numpy", fastmath=_EXACT)
def _scalars(moves, rates, states, arrows, still, geometry, numbers, work, bits, known, lanes):
    """New scalar states with derivatives: the first rows of ``known``."""
    both, first = states + arrows, 2 * states + arrows
    for i in range(states):
        _decay(i, rates, moves, geometry, work, bits, lanes)
        for b in range(lanes):
            apart = moves[both + i, b] - still[i, b]
            pushed = moves[first + i, b] * work[1, b]
            known[i, b] = still[i, b] + apart * (1.0 - work[0, b]) + pushed * geometry[2, b]
        for c in range(1, 4):
            own = numbers[0] if c == 1 else 0.0
            for b in range(lanes):
                at = c * lanes + b
                length, by_length = geometry[3, b], geometry[3, at]
                by_rate, grown = work[4, b] * moves[i, at], work[3, b] * by_length
                d_gone = work[0, b] * (by_rate * (length - EPSILON) + grown)
                d_share = (work[2, b] * (by_rate * length + grown) - work[1, b] * by_length) * geometry[7, b]
                d_pushed = moves[first + i, at] * work[1, b] + moves[first + i, b] * d_share
                change = moves[both + i, at] * (1.0 - work[0, b]) + (moves[both + i, b] - still[i, b]) * d_gone
                known[i, at] = change + d_pushed * geometry[2, b] + moves[first + i, b] * work[1, b] * own


@njit(cache=True, error_model="numpy", fastmath=_EXACT)
def _vectors(moves, rates, states, arrows, old, geometry, numbers, work, bits, vectors, known, lanes):
    """New vectors with derivatives; their squares and the opening, which end ``known``."""
    first = 3 * states + arrows
    for i in range(arrows):
        _decay(states + i, rates, moves, geometry, work, bits, lanes)
        for b in range(lanes):
            pushed = moves[first + i, b] * work[1, b]
            vectors[i, b] = old[i, b] * work[0, b] + pushed * geometry[2, lanes + b]
            vectors[arrows + i, b] = old[arrows + i, b] * work[0, b] + pushed * geometry[2, 2 * lanes + b]
            known[states + i, b] = vectors[i, b] ** 2 + vectors[arrows + i, b] ** 2
        for c in range(1, 4):
            one, two = numbers[1] if c == 2 else 0.0, numbers[1] if c == 3 else 0.0
            for b in range(lanes):
                at = c * lanes + b
                length, by_length = geometry[3, b], geometry[3, at]
                by_rate, grown = work[4, b] * moves[states + i, at], work[3, b] * by_length
                d_kept = -work[0, b] * (by_rate * (length - EPSILON) + grown)
                d_share = (work[2, b] * (by_rate * length + grown) - work[1, b] * by_length) * geometry[7, b]
                d_pushed = moves[first + i, at] * work[1, b] + moves[first + i, b] * d_share
                pushed = moves[first + i, b] * work[1, b]
                p = old[i, b] * d_kept + d_pushed * geometry[2, lanes + b] + pushed * one
                q = old[arrows + i, b] * d_kept + d_pushed * geometry[2, 2 * lanes + b] + pushed * two
                vectors[i, at], vectors[arrows + i, at] = p, q
                known[states + i, at] = 2.0 * (vectors[i, b] * p + vectors[arrows + i, b] * q)
    for b in range(lanes):
        z = geometry[2, 3 * lanes + b]
        root = 1.0 / np.sqrt(1.0 + z * z)
        known[states + arrows, b] = geometry[0, b] * numbers[0]
        known[states + arrows, lanes + b] = numbers[0]
        known[states + arrows + 1, b] = z * root
        known[states + arrows + 1, lanes + b] = numbers[2] * root * root * root


@njit(cache=True, error_model="numpy", fastmath=_EXACT)
def _mix(answers, arrows, vectors, bound, mixed, lanes):
    """The vector answer, bounded, with derivatives: rows 4 and 5 of ``mixed``."""
    _combine(answers, 0, arrows, vectors, mixed, lanes)
    _combine(answers, arrows, arrows, vectors, mixed, lanes)
    for b in range(lanes):
        p, q = mixed[4, b], mixed[5, b]
        root = 1.0 / np.sqrt(1.0 + p * p + q * q)
        mixed[4, b], mixed[5, b] = bound * p * root, bound * q * root
        mixed[6, b], mixed[6, lanes + b], mixed[6, 2 * lanes + b] = root, p, q
    for c in range(1, 4):
        for b in range(lanes):
            at = c * lanes + b
            root, p, q = mixed[6, b], mixed[6, lanes + b], mixed[6, 2 * lanes + b]
            turn = (p * mixed[4, at] + q * mixed[5, at]) * root * root
            mixed[4, at] = bound * root * (mixed[4, at] - p * turn)
            mixed[5, at] = bound * root * (mixed[5, at] - q * turn)


@njit(cache=True, error_model="numpy", fastmath=_EXACT)
def _combine(answers, first, arrows, vectors, mixed, lanes):
    """One component of the sum of coefficients times vectors, from the row ``first`` of the vectors on."""
    row = 4 if first == 0 else 5
    for b in range(_ROW):
        mixed[row, b] = 0.0
    for i in range(arrows):
        for b in range(lanes):
            mixed[row, b] += answers[1 + i, b] * vectors[first + i, b]
        for c in range(1, 4):
            for b in range(lanes):
                at = c * lanes + b
                mixed[row, at] += (
                    answers[1 + i, at] * vectors[first + i, b] + answers[1 + i, b] * vectors[first + i, at]
                )


@njit(cache=True, error_model="numpy", fastmath=_EXACT)
def _scatter(x, start, states, arrows, answers, known, vectors, mixed, y, dy, new):
    for b in range(min(LANES, x.shape[0] - start)):
        k = start + b
        y[k, 0], y[k, 1], y[k, 2] = answers[0, b], mixed[4, b], mixed[5, b]
        for j in range(3):
            at = (1 + j) * LANES + b
            dy[k, 0, j], dy[k, 1, j], dy[k, 2, j] = answers[0, at], mixed[4, at], mixed[5, at]
        for i in range(states):
            new[k, i] = known[i, b]
        for i in range(arrows):
            new[k, states + 2 * i], new[k, states + 2 * i + 1] = vectors[i, b], vectors[arrows + i, b]
        for j in range(3):
            new[k, states + 2 * arrows + j] = x[k, j]
