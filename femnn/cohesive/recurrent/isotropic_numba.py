"""The isotropic cell with its tangent as one Numba loop: 32 points side by side, one in each lane.

Forward mode: a row holds the values of 32 points and then their derivatives by the three components of the separation,
so that a layer is one product for all of them. For cells whose only input is the separation. No product sums over
lanes, so a point gets the same bits whatever its neighbours are.

Two habits of the compiler shape this file, as they do :mod:`femnn.integration.vector_kernels`: the number of lanes is
passed at run time although it is always the same, for loops of a short constant length are not vectorised; and every
index runs over a range of its own, for one that is computed might be negative and count from the end.
"""

import numpy as np

from femnn.system.compile import njit

#: Moves below this many lengths of the cell count as rest.
EPSILON = 1e-6

#: Points side by side.
LANES = 32

_EXACT = {"contract", "nsz"}
_LOG2_E, _LN2_HIGH, _LN2_LOW = 1.4426950408889634, 0.6931471803691238, 1.9082149292705877e-10
# Adding it rounds to an integer, which then stands in the lowest bits.
_ROUNDING = 6755399441055744.0
_TAYLOR = tuple(1.0 / float(np.prod(np.arange(1.0, k + 1.0))) for k in range(13))
_BIAS, _SHIFT = np.int64(1023), np.int64(52)


def even(array):
    """Rows filled up to a multiple of four by zeros, and columns too: the products need no remainders."""
    shape = [-(-size // 4) * 4 for size in array.shape]
    filled = np.zeros(shape)
    filled[tuple(slice(size) for size in array.shape)] = array
    return filled


def steps(x, state, layers, rates, numbers, states, arrows):
    """One step of a cell with these layers, rates and lengths: answers, tangents, new states."""
    return _steps(x, state, layers, rates, numbers, states, arrows, LANES)


# Arrays are (rows, 4, lanes): values, and derivatives by the three components. Of the geometry of a step, rows are
_NOW, _BEFORE, _MOVE, _LENGTH, _DIRECTION = 0, 1, 2, 3, 4
# (components one after another in the second place; the length with its derivatives; three rows of directions).


@njit(cache=True, error_model="numpy", fastmath=_EXACT)
def _steps(x, state, layers, rates, numbers, states, arrows, lanes):
    count = x.shape[0]
    y, dy, new = np.empty((count, 3)), np.empty((count, 3, 3)), np.empty(state.shape)
    gate, move, hidden, read = layers
    still, moving = _rows(gate[0].shape[1]), _rows(gate[1].shape[1])
    gated, moves = _rows(gate[2].shape[0]), _rows(move[1].shape[0])
    known, seen = _rows(hidden[0].shape[1]), _rows(hidden[1].shape[0])
    answers, mixed = _rows(read[1].shape[0]), _rows(2)
    old, vectors, geometry, work = _rows(2 * arrows), _rows(2 * arrows), _rows(7), np.zeros((6, LANES))
    bits = work.view(np.int64)
    _biased(hidden[1], seen, lanes)
    _algebraic(seen, lanes)
    virgin = seen[:, 0, 0].copy()
    for start in range(0, count, LANES):
        _gather(x, state, start, states, arrows, still, old, geometry, lanes)
        _geometry(numbers, geometry, lanes)
        _seen(numbers, arrows, old, geometry, moving, lanes)
        _biased(gate[2], gated, lanes)
        _product(still, gate[0], gated, lanes)
        _product(moving, gate[1], gated, 4 * lanes)
        _algebraic(gated, lanes)
        _biased(move[1], moves, lanes)
        _product(gated, move[0], moves, 4 * lanes)
        for i in range(states):
            _decay(moves[i], rates[i], geometry, work, bits, lanes)
            _scalar(moves, i, states, arrows, still, geometry, numbers, work, known, lanes)
        for i in range(arrows):
            _decay(moves[states + i], rates[states + i], geometry, work, bits, lanes)
            _vector(moves, i, states, arrows, old, geometry, numbers, work, vectors, known, lanes)
        _place(numbers, 1.0, geometry[_NOW, 0], known[states + arrows], known[states + arrows + 1], lanes)
        _biased(hidden[1], seen, lanes)
        _product(known, hidden[0], seen, 4 * lanes)
        _algebraic(seen, lanes)
        _less(virgin, seen, lanes)
        _biased(read[1], answers, lanes)
        _product(seen, read[0], answers, 4 * lanes)
        _mix(answers, arrows, vectors, mixed, lanes)
        _bounded(numbers[3], mixed, work, lanes)
        _scatter(x, start, states, arrows, answers, known, vectors, mixed, y, dy, new)
    return y, dy, new


@njit(cache=True, error_model="numpy", fastmath=_EXACT)
def _rows(count):
    return np.zeros((count, 4, LANES))


@njit(cache=True, error_model="numpy", fastmath=_EXACT)
def _gather(x, state, start, states, arrows, still, old, geometry, lanes):
    """States and separations of points side by side; the last point once more where there are fewer."""
    for b in range(lanes):
        k = min(start + b, x.shape[0] - 1)
        for i in range(states):
            still[i, 0, b] = state[k, i]
        for i in range(arrows):
            p, q = state[k, states + 2 * i], state[k, states + 2 * i + 1]
            old[i, 0, b], old[arrows + i, 0, b] = p, q
            still[states + i, 0, b] = p * p + q * q
        for j in range(3):
            geometry[_NOW, j, b] = x[k, j]
            geometry[_BEFORE, j, b] = state[k, states + 2 * arrows + j]


@njit(cache=True, error_model="numpy", fastmath=_EXACT)
def _geometry(numbers, geometry, lanes):
    """Moves, lengths and directions."""
    for j in range(3):
        scale = numbers[0] if j == 0 else numbers[1]
        for b in range(lanes):
            geometry[_MOVE, j, b] = (geometry[_NOW, j, b] - geometry[_BEFORE, j, b]) * scale
    for b in range(lanes):
        m0, m1, m2 = geometry[_MOVE, 0, b], geometry[_MOVE, 1, b], geometry[_MOVE, 2, b]
        length = np.sqrt(m0 * m0 + m1 * m1 + m2 * m2 + EPSILON * EPSILON)
        geometry[_LENGTH, 0, b] = length
        geometry[_MOVE, 3, b] = 1.0 / length
    for j in range(3):
        scale = numbers[0] if j == 0 else numbers[1]
        for b in range(lanes):
            direction = geometry[_MOVE, j, b] * geometry[_MOVE, 3, b]
            geometry[_DIRECTION + j, 0, b] = direction
            geometry[_LENGTH, 1 + j, b] = direction * scale
    for i in range(3):
        for j in range(3):
            direct = 0.0 if i != j else (numbers[0] if j == 0 else numbers[1])
            for b in range(lanes):
                rotated = geometry[_LENGTH, 1 + j, b] * geometry[_DIRECTION + i, 0, b]
                geometry[_DIRECTION + i, 1 + j, b] = (direct - rotated) * geometry[_MOVE, 3, b]


@njit(cache=True, error_model="numpy", fastmath=_EXACT)
def _seen(numbers, arrows, old, geometry, moving, lanes):
    """Inputs of the gate: old vectors along the step, its normal direction, the opening half way."""
    for i in range(arrows):
        for c in range(4):
            for b in range(lanes):
                along = old[i, 0, b] * geometry[_DIRECTION + 1, c, b]
                moving[i, c, b] = along + old[arrows + i, 0, b] * geometry[_DIRECTION + 2, c, b]
    for c in range(4):
        for b in range(lanes):
            moving[arrows, c, b] = geometry[_DIRECTION, c, b]
    for b in range(lanes):
        geometry[_BEFORE, 3, b] = 0.5 * (geometry[_NOW, 0, b] + geometry[_BEFORE, 0, b])
    _place(numbers, 0.5, geometry[_BEFORE, 3], moving[arrows + 1], moving[arrows + 2], lanes)


@njit(cache=True, error_model="numpy", fastmath=_EXACT)
def _place(numbers, slope, opening, coarse, fine, lanes):
    """Coarse and fine measures of an opening that moves by ``slope`` with that of the point."""
    for b in range(lanes):
        z = opening[b] * numbers[2]
        root = 1.0 / np.sqrt(1.0 + z * z)
        coarse[0, b], coarse[1, b] = opening[b] * numbers[0], slope * numbers[0]
        fine[0, b], fine[1, b] = z * root, slope * numbers[2] * root * root * root


@njit(cache=True, error_model="numpy", fastmath=_EXACT)
def _biased(bias, rows, lanes):
    for j in range(bias.shape[0]):
        for b in range(lanes):
            rows[j, 0, b] = bias[j]
        for c in range(1, 4):
            for b in range(lanes):
                rows[j, c, b] = 0.0


@njit(cache=True, error_model="numpy", fastmath=_EXACT)
def _less(virgin, rows, lanes):
    for i in range(rows.shape[0]):
        for b in range(lanes):
            rows[i, 0, b] -= virgin[i]


@njit(cache=True, error_model="numpy", fastmath=_EXACT)
def _product(rows, weight, results, columns):
    """results += weight @ rows in the first ``columns`` of values and derivatives."""
    values, result = rows.reshape(rows.shape[0], 4 * LANES), results.reshape(results.shape[0], 4 * LANES)
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
            z = rows[i, 0, b]
            root = 1.0 / np.sqrt(1.0 + z * z)
            slope = root * root * root
            rows[i, 0, b] = z * root
            rows[i, 1, b] *= slope
            rows[i, 2, b] *= slope
            rows[i, 3, b] *= slope


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def _exponentials(values, bits, lanes):
    """e^x of the first row of non-positive ``values`` in place; the second is work space, ``bits`` their int64 view."""
    for b in range(lanes):
        x = max(values[0, b], -700.0)
        values[1, b] = x * _LOG2_E + _ROUNDING
        values[0, b] = x
    for b in range(lanes):
        whole = values[1, b] - _ROUNDING
        values[0, b] = (values[0, b] - whole * _LN2_HIGH) - whole * _LN2_LOW
    for b in range(lanes):
        bits[1, b] = (bits[1, b] + _BIAS) << _SHIFT
    for b in range(lanes):
        r = values[0, b]
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
        values[0, b] = p * values[1, b]


@njit(cache=True, error_model="numpy", fastmath=_EXACT)
def _decay(raws, scale, geometry, work, bits, lanes):
    """Of a state: what a step keeps (row 0 of ``work``), the fraction of the way along the move, over L (1).

    In row 2 is what is kept over all of L, in row 3 the rate, in row 4 its growth with the output behind it.
    """
    for b in range(lanes):
        raw = raws[0, b]
        root = np.sqrt(raw * raw + 1.0)
        rate = scale * (raw + root)
        work[3, b], work[4, b] = rate, rate / root
        work[0, b] = -rate * (geometry[_LENGTH, 0, b] - EPSILON)
    _exponentials(work, bits, lanes)
    for b in range(lanes):
        # the little that is missing to all of L needs no exponential
        e = work[3, b] * EPSILON
        work[2, b] = work[0, b] * (1.0 - e * (1.0 - 0.5 * e * (1.0 - e / 3.0 * (1.0 - 0.25 * e))))
        work[1, b] = (1.0 - work[2, b]) * geometry[_MOVE, 3, b]


@njit(cache=True, error_model="numpy", fastmath=_EXACT)
def _scalar(moves, i, states, arrows, still, geometry, numbers, work, known, lanes):
    """New scalar state i with derivatives: row i of ``known``."""
    raws, targets, drives = moves[i], moves[states + arrows + i], moves[2 * states + arrows + i]
    for b in range(lanes):
        work[5, b] = targets[0, b] - still[i, 0, b]
        pushed = drives[0, b] * work[1, b]
        known[i, 0, b] = still[i, 0, b] + work[5, b] * (1.0 - work[0, b]) + pushed * geometry[_MOVE, 0, b]
    for c in range(1, 4):
        direct = numbers[0] if c == 1 else 0.0
        for b in range(lanes):
            length, by_length = geometry[_LENGTH, 0, b], geometry[_LENGTH, c, b]
            by_rate, grown = work[4, b] * raws[c, b], work[3, b] * by_length
            d_gone = work[0, b] * (by_rate * (length - EPSILON) + grown)
            d_fraction = (work[2, b] * (by_rate * length + grown) - work[1, b] * by_length) * geometry[_MOVE, 3, b]
            d_pushed = drives[c, b] * work[1, b] + drives[0, b] * d_fraction
            change = targets[c, b] * (1.0 - work[0, b]) + work[5, b] * d_gone
            known[i, c, b] = change + d_pushed * geometry[_MOVE, 0, b] + drives[0, b] * work[1, b] * direct


@njit(cache=True, error_model="numpy", fastmath=_EXACT)
def _vector(moves, i, states, arrows, old, geometry, numbers, work, vectors, known, lanes):
    """New vector i and its square with derivatives."""
    raws, drives = moves[states + i], moves[3 * states + arrows + i]
    one, two, square = vectors[i], vectors[arrows + i], known[states + i]
    before1, before2 = old[i], old[arrows + i]
    for b in range(lanes):
        pushed = drives[0, b] * work[1, b]
        work[5, b] = pushed
        one[0, b] = before1[0, b] * work[0, b] + pushed * geometry[_MOVE, 1, b]
        two[0, b] = before2[0, b] * work[0, b] + pushed * geometry[_MOVE, 2, b]
        square[0, b] = one[0, b] * one[0, b] + two[0, b] * two[0, b]
    for c in range(1, 4):
        direct1, direct2 = numbers[1] if c == 2 else 0.0, numbers[1] if c == 3 else 0.0
        for b in range(lanes):
            length, by_length = geometry[_LENGTH, 0, b], geometry[_LENGTH, c, b]
            by_rate, grown = work[4, b] * raws[c, b], work[3, b] * by_length
            d_kept = -work[0, b] * (by_rate * (length - EPSILON) + grown)
            d_fraction = (work[2, b] * (by_rate * length + grown) - work[1, b] * by_length) * geometry[_MOVE, 3, b]
            d_pushed = drives[c, b] * work[1, b] + drives[0, b] * d_fraction
            one[c, b] = before1[0, b] * d_kept + d_pushed * geometry[_MOVE, 1, b] + work[5, b] * direct1
            two[c, b] = before2[0, b] * d_kept + d_pushed * geometry[_MOVE, 2, b] + work[5, b] * direct2
            square[c, b] = 2.0 * (one[0, b] * one[c, b] + two[0, b] * two[c, b])


@njit(cache=True, error_model="numpy", fastmath=_EXACT)
def _mix(answers, arrows, vectors, mixed, lanes):
    """Sums of coefficients times vectors, both components with derivatives."""
    for row in range(2):
        total = mixed[row]
        total[:] = 0.0
        for i in range(arrows):
            coefficient, vector = answers[1 + i], vectors[row * arrows + i]
            for b in range(lanes):
                total[0, b] += coefficient[0, b] * vector[0, b]
            for c in range(1, 4):
                for b in range(lanes):
                    total[c, b] += coefficient[c, b] * vector[0, b] + coefficient[0, b] * vector[c, b]


@njit(cache=True, error_model="numpy", fastmath=_EXACT)
def _bounded(bound, mixed, work, lanes):
    """The vector answer, which stays shorter than ``bound``, with derivatives."""
    for b in range(lanes):
        p, q = mixed[0, 0, b], mixed[1, 0, b]
        root = 1.0 / np.sqrt(1.0 + p * p + q * q)
        work[0, b], work[1, b], work[2, b] = root, p, q
        mixed[0, 0, b], mixed[1, 0, b] = bound * p * root, bound * q * root
    for c in range(1, 4):
        for b in range(lanes):
            root, p, q = work[0, b], work[1, b], work[2, b]
            turn = (p * mixed[0, c, b] + q * mixed[1, c, b]) * root * root
            mixed[0, c, b] = bound * root * (mixed[0, c, b] - p * turn)
            mixed[1, c, b] = bound * root * (mixed[1, c, b] - q * turn)


@njit(cache=True, error_model="numpy", fastmath=_EXACT)
def _scatter(x, start, states, arrows, answers, known, vectors, mixed, y, dy, new):
    for b in range(min(LANES, x.shape[0] - start)):
        k = start + b
        y[k, 0], y[k, 1], y[k, 2] = answers[0, 0, b], mixed[0, 0, b], mixed[1, 0, b]
        for j in range(3):
            dy[k, 0, j], dy[k, 1, j], dy[k, 2, j] = answers[0, 1 + j, b], mixed[0, 1 + j, b], mixed[1, 1 + j, b]
            new[k, states + 2 * arrows + j] = x[k, j]
        for i in range(states):
            new[k, i] = known[i, 0, b]
        for i in range(arrows):
            new[k, states + 2 * i], new[k, states + 2 * i + 1] = vectors[i, 0, b], vectors[arrows + i, 0, b]
