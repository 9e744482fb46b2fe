"""Answers of the critical-state cell along paths of pressure and sliding, and their derivatives by all its numbers.

The derivatives go forward with the state: at each point those of the state before are known, and the two equations of
the step, for the opening v and for h, are differentiated where they are solved. That costs as much as a few runs of the
paths, where differences cost one for each of some sixty numbers.
"""

import numpy as np

from femnn.cohesive.recurrent.critical_state import (
    _FABRIC_LENGTHS,
    _FABRICS,
    _LEAST,
    _LENGTHS,
    _TURNS,
    _WAY,
    _circle,
    _distance,
    _elastic_opening,
    _fabric_left,
    _solved,
    _spent,
    _stiffness,
    _stretched,
    _touch,
    _turning,
)
from femnn.system.compile import njit

# Sums over sliders: slid ways times rates, the same times neutral points, what the springs' energy changes by with h,
# their pulls, slid ways times strengths and their vector. Rows of derivatives: h, those that a slider needs, and the
# distance from the critical state.
_SUMS, _WORK, _DISTANCE_BY = 8, 12, 11
# Step of differences, of the elastic opening and its slope by the three numbers that they depend on.
_STEP = 1e-6


def paths_with_derivatives(
    pressure: np.ndarray, sliding: np.ndarray, sliders: np.ndarray, layer: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Openings (n, k) and friction ratios (n, k, 2) of virgin layers, and both by the tensors' numbers (..., d).

    The numbers are those of ``sliders``, row by row, then those of ``layer``; ``pressure`` (n, k) is over p0,
    ``sliding`` (n, k, 2) in separation scales.
    """
    numbers = sliders.size + layer.size
    opening, ratio = np.empty(pressure.shape), np.empty(sliding.shape)
    opening_by, ratio_by = np.empty((*pressure.shape, numbers)), np.empty((*sliding.shape, numbers))
    arrays = (np.ascontiguousarray(each) for each in (pressure, sliding, sliders, layer))
    _differentiated(*arrays, opening, ratio, opening_by, ratio_by)
    return opening, ratio, opening_by, ratio_by


@njit(cache=True, error_model="numpy")
def _elastic(h, layer):
    """The elastic opening of an h, the slope of h there, and both by h and the first three numbers of the layer."""
    e = _elastic_opening(h, layer)
    _, slope, bend = _touch(e, layer)
    by = np.empty((2, 4))
    by[0, 0], by[1, 0] = 1.0 / slope, bend / slope
    moved = layer.copy()
    for i in range(3):
        step = _STEP * max(abs(layer[i]), 1e-3)
        moved[i] = layer[i] + step
        ahead = _elastic_opening(h, moved)
        by[0, 1 + i], by[1, 1 + i] = (ahead - e) / step, (_touch(ahead, moved)[1] - slope) / step
        moved[i] = layer[i]
    return e, slope, by


@njit(cache=True, error_model="numpy", inline="always")
def _of_stiffness(h, q, layer):
    """What ln s and (ln s)' of a spring change by with its saturation, and with c."""
    full, above = 1.0 + q * h, layer[3] + h
    by_c = 0.5 / above - 0.5 / (layer[3] + 1.0)
    return 1.0 / (1.0 + q) - h / full, -1.0 / (full * full), by_c, -0.5 / (above * above)


@njit(cache=True, error_model="numpy")
def _distance_by(h, old, old_by, layer, by):
    """The distance from the critical state, by all directions."""
    distance, distance_h = _distance(h, old, layer)
    of_layer, at_h = old_by.shape[1] - 2 - layer.size, old_by.shape[1] - 1
    w1, w2 = old[_WAY], old[_WAY + 1]
    short, moved = 1.0 - w1 * w1 - w2 * w2, layer[5] + layer[6] * old[2]
    by[:] = 2.0 * moved * (w1 * old_by[_WAY] + w2 * old_by[_WAY + 1]) - short * layer[6] * old_by[2]
    by[of_layer + 4] += 1.0
    by[of_layer + 5] -= short
    by[of_layer + 6] -= short * old[2]
    by[of_layer + 7] -= (h - 1.0) / (h + 1.0)
    by[at_h] += distance_h
    return distance


@njit(cache=True, error_model="numpy", nogil=True)
def _differentiated(pressure, sliding, sliders, layer, opening, ratio, opening_by, ratio_by):
    rows, count = sliders.shape
    places = _FABRICS + 2 * (layer.size - _FABRIC_LENGTHS)
    # directions: all numbers, then v and h
    numbers = rows * count + layer.size
    old, new = np.empty(places + 2 * count), np.empty(places + 2 * count)
    old_by, new_by = np.empty((old.size, numbers + 2)), np.empty((old.size, numbers + 2))
    sums, sums_by, work = np.empty(_SUMS), np.empty((_SUMS, numbers + 2)), np.empty((_WORK, numbers + 2))
    for n in range(pressure.shape[0]):
        old[:] = 0.0
        old_by[:] = 0.0
        for i in range(pressure.shape[1]):
            p, s1, s2 = pressure[n, i], sliding[n, i, 0], sliding[n, i, 1]
            v, h = _solved(p, s1, s2, old, sliders, layer)
            e, slope, elastic_by = _elastic(h, layer)
            distance = _distance_by(h, old, old_by, layer, work[_DISTANCE_BY])
            sums[:] = 0.0
            sums_by[:] = 0.0
            for k in range(count):
                _slider(k, distance - v, h, s1, s2, old, old_by, sliders, layer, new, new_by, sums, sums_by, work)
            new[0] = v
            _followed_by(h, distance, slope, elastic_by, old, old_by, layer, new_by, sums, sums_by, work)
            opening[n, i] = e + v
            opening_by[n, i] = new_by[0, :numbers] + elastic_by[0, 0] * work[0, :numbers]
            opening_by[n, i, rows * count : rows * count + 3] += elastic_by[0, 1:]
            for j in range(2):
                ratio[n, i, j] = sums[3 + j] / p
                ratio_by[n, i, j] = sums_by[3 + j, :numbers] / p
            _turned_by(old, old_by, sliders, layer, new, new_by, sums, sums_by)
            old[:], old_by[:] = new, new_by
            old_by[:, numbers:] = 0.0


@njit(cache=True, error_model="numpy")
def _circle_by(k, xi, radius, g1, g2, turn, old, old_by, sliders, layer, work):
    """Of a slider, by all directions: Σ χ a, the centre of its circle, its neutral point without a, and the radius."""
    count, of_layer, at_v = sliders.shape[1], sliders.size, old_by.shape[1] - 2
    g_by, c_by, rest_by, r_by, distance_by = work[0:2], work[2:4], work[4], work[5], work[_DISTANCE_BY]
    mu, tau, rate, loss = sliders[0, k], sliders[2, k], sliders[3, k], sliders[6, k]
    opens, back = tau * rate, 0.5 * loss * mu
    g_by[:] = 0.0
    rest_by[:] = sliders[5, k] * old_by[1]
    rest_by[4 * count + k] += 1.0
    rest_by[5 * count + k] -= 1.0 - old[1]
    left, left_v, left_densest = _fabric_left(old[0], layer)
    for j in range(layer.size - _FABRIC_LENGTHS):
        chi, of_chi = sliders[_TURNS + j, k], (_TURNS + j) * count + k
        for i in range(2):
            a = old[_FABRICS + 2 * j + i]
            g_by[i] += chi * (left * old_by[_FABRICS + 2 * j + i] + left_v * a * old_by[0])
            g_by[i, of_chi] += left * a
            g_by[i, of_layer + 8] += left_densest * chi * a
        rest_by += chi * left_v * old_by[0]
        rest_by[of_chi] += left
        rest_by[of_layer + 8] += left_densest * chi
    for i in range(2):
        c_by[i] = opens * g_by[i] + back * old_by[_FABRICS + i]
        g = g1 if i == 0 else g2
        c_by[i, k] += 0.5 * loss * old[_FABRICS + i]
        c_by[i, 6 * count + k] += 0.5 * mu * old[_FABRICS + i]
        c_by[i, 2 * count + k] += rate * g
        c_by[i, 3 * count + k] += tau * g
    apart, least = xi - sliders[4, k] - turn, _LEAST * mu
    spent, spent_xi, p, v1, v2 = _spent(k, apart, g1, g2, old, sliders)
    off = mu - back + opens * apart - spent
    root = np.sqrt(off * off + least * least)
    # shares of what is borne without a bound, and of the bound
    by_m = (radius - spent) / root
    by_spent = 1.0 - by_m
    r_by[:] = (by_m * opens + by_spent * spent_xi) * (distance_by - rest_by)
    r_by[at_v] -= by_m * opens + by_spent * spent_xi
    r_by[k] += by_m * (1.0 - 0.5 * loss) + 0.5 * least / root * _LEAST
    r_by[6 * count + k] -= by_m * 0.5 * mu
    r_by[2 * count + k] += by_m * rate * apart
    r_by[3 * count + k] += by_m * tau * apart
    if spent > 0.0:
        r_by[3 * count + k] += by_spent * spent_xi / rate * apart
        length = np.sqrt(v1 * v1 + v2 * v2)
        if length > 0.0:
            v1, v2, more = by_spent * v1 / length, by_spent * v2 / length, tau - p
            a1, a2 = old[_FABRICS], old[_FABRICS + 1]
            r_by += more * rate * (v1 * g_by[0] + v2 * g_by[1])
            r_by += back * (v1 * old_by[_FABRICS] + v2 * old_by[_FABRICS + 1])
            r_by[k] += 0.5 * loss * (v1 * a1 + v2 * a2)
            r_by[6 * count + k] += 0.5 * mu * (v1 * a1 + v2 * a2)
            r_by[2 * count + k] += rate * (v1 * g1 + v2 * g2)
            r_by[3 * count + k] += more * (v1 * g1 + v2 * g2)


@njit(cache=True, error_model="numpy")
def _slider(k, xi, h, s1, s2, old, old_by, sliders, layer, new, new_by, sums, sums_by, work):
    """The place of a slider and what it adds to the sums, with derivatives by all directions."""
    count, of_layer = sliders.shape[1], sliders.size
    at = old.size - 2 * (count - k)
    at_h, all_of = old_by.shape[1] - 1, old_by.shape[1]
    g_by, c_by, rest_by, r_by, far_by, n_by = work[0:2], work[2:4], work[4], work[5], work[6], work[7:9]
    slid_by, neutral_by = work[9], work[10]
    radius, _, c1, c2, g1, g2, turn = _circle(k, xi, old, sliders, layer)
    mu, reach, rate = sliders[0, k], sliders[1, k], sliders[3, k]
    flexible = reach / mu
    s, s_h, s_hh, reached, reached_h = _stiffness(h, sliders[7, k], layer)
    by_q, bend_by_q, by_c, bend_by_c = _of_stiffness(h, sliders[7, k], layer)
    far = reached * flexible
    _circle_by(k, xi, radius, g1, g2, turn, old, old_by, sliders, layer, work)
    far_by[:] = 0.0
    far_by[at_h], far_by[count + k], far_by[k] = reached_h * flexible, reached / mu, -far / mu
    far_by[7 * count + k], far_by[of_layer + 3] = -by_q * far, -by_c * far
    length, n1, n2 = _stretched(at, s1, s2, old, far * c1, far * c2)
    slid = length - far * radius
    if slid > 0.0:
        for d in range(all_of):
            y1 = -old_by[at, d] - far_by[d] * c1 - far * c_by[0, d]
            y2 = -old_by[at + 1, d] - far_by[d] * c2 - far * c_by[1, d]
            stretch = n1 * y1 + n2 * y2
            n_by[0, d], n_by[1, d] = (y1 - n1 * stretch) / length, (y2 - n2 * stretch) / length
            slid_by[d] = stretch - far_by[d] * radius - far * r_by[d]
            along_by = g_by[0, d] * n1 + g_by[1, d] * n2 + g1 * n_by[0, d] + g2 * n_by[1, d]
            neutral_by[d] = rest_by[d] - along_by
            new_by[at, d] = -far_by[d] * (c1 + radius * n1)
            new_by[at, d] -= far * (c_by[0, d] + r_by[d] * n1 + radius * n_by[0, d])
            new_by[at + 1, d] = -far_by[d] * (c2 + radius * n2)
            new_by[at + 1, d] -= far * (c_by[1, d] + r_by[d] * n2 + radius * n_by[1, d])
        neutral = sliders[4, k] + turn - g1 * n1 - g2 * n2
        e1, e2 = far * (c1 + radius * n1), far * (c2 + radius * n2)
        for d in range(all_of):
            sums_by[0, d] += rate * slid_by[d]
            sums_by[1, d] += rate * (neutral_by[d] * slid + neutral * slid_by[d])
            sums_by[5, d] += mu * slid_by[d]
            sums_by[6, d] += mu * (slid_by[d] * n1 + slid * n_by[0, d])
            sums_by[7, d] += mu * (slid_by[d] * n2 + slid * n_by[1, d])
        sums_by[0, 3 * count + k] += slid
        sums_by[1, 3 * count + k] += neutral * slid
        for i, way in ((5, slid), (6, slid * n1), (7, slid * n2)):
            sums[i] += mu * way
            sums_by[i, k] += way
        sums[0], sums[1] = sums[0] + rate * slid, sums[1] + rate * neutral * slid
    else:
        e1, e2 = s1 - old[at], s2 - old[at + 1]
        new_by[at], new_by[at + 1] = old_by[at], old_by[at + 1]
    new[at], new[at + 1] = s1 - e1, s2 - e2
    square = 0.5 * (e1 * e1 + e2 * e2) / flexible
    # s'(h) of the energy and s(h) of the pulls: their values, by h, by q and by c
    bends = s_h, s_hh, s_h * by_q + s * bend_by_q, s_h * by_c + s * bend_by_c
    pulls = s, s_h, s * by_q, s * by_c
    for i, value, weights in ((2, square, bends), (3, e1 / flexible, pulls), (4, e2 / flexible, pulls)):
        sums[i] += weights[0] * value
        # by the stiffness
        sums_by[i, k] += weights[0] * value / mu
        sums_by[i, count + k] -= weights[0] * value / reach
        sums_by[i, at_h] += weights[1] * value
        sums_by[i, 7 * count + k] += weights[2] * value
        sums_by[i, of_layer + 3] += weights[3] * value
    sums_by[2] -= s_h * (e1 * new_by[at] + e2 * new_by[at + 1]) / flexible
    sums_by[3] -= s * new_by[at] / flexible
    sums_by[4] -= s * new_by[at + 1] / flexible


@njit(cache=True, error_model="numpy")
def _followed_by(h, distance, slope, elastic_by, old, old_by, layer, new_by, sums, sums_by, work):
    """How v (row 0 of ``new_by``) and h (of ``work``) follow all numbers, and with them the places and the sums."""
    numbers = new_by.shape[1] - 2
    at_v, at_h, of_layer = numbers, numbers + 1, numbers - layer.size
    missing_by, carried_by = work[1], work[2]
    # the two equations: what v lacks, and what pressure is missing
    missing_by[:] = -old_by[0]
    a, b, energy_h = sums[0], sums[1], sums[2]
    if a > 0.0:
        share, target = -np.expm1(-a), max(distance - b / a, -layer[8])
        missing_by[:] = -(1.0 - share) * (old_by[0] + sums_by[0] * (target - old[0]))
        if target > -layer[8]:
            missing_by += share * ((sums_by[1] - b / a * sums_by[0]) / a - work[_DISTANCE_BY])
        else:
            missing_by[of_layer + 8] += share
    missing_by[at_v] += 1.0
    carried_by[:] = -sums_by[2] * slope
    for j in range(3):
        carried_by[of_layer + j] -= energy_h * elastic_by[1, 1 + j]
    carried_by[at_h] += 1.5 * np.sqrt(h) - energy_h * elastic_by[1, 0]
    m_v, m_h, c_v, c_h = missing_by[at_v], missing_by[at_h], carried_by[at_v], carried_by[at_h]
    whole = m_v * c_h - m_h * c_v
    for q in range(numbers):
        v_q = -(c_h * missing_by[q] - m_h * carried_by[q]) / whole
        h_q = -(m_v * carried_by[q] - c_v * missing_by[q]) / whole
        new_by[0, q], work[0, q] = v_q, h_q
        for at in range(_FABRICS + 2 * (layer.size - _FABRIC_LENGTHS), old.size):
            new_by[at, q] += new_by[at, at_v] * v_q + new_by[at, at_h] * h_q
        for i in range(3, _SUMS):
            sums_by[i, q] += sums_by[i, at_v] * v_q + sums_by[i, at_h] * h_q


@njit(cache=True, error_model="numpy")
def _turned_by(old, old_by, sliders, layer, new, new_by, sums, sums_by):
    """The structure and the fabrics after a step, with derivatives."""
    places, of_layer, count = _FABRICS + 2 * (layer.size - _FABRIC_LENGTHS), sliders.size, sliders.shape[1]
    new[1:places], new_by[1:places] = old[1:places], old_by[1:places]
    slid, whole = sums[5], sliders[0].sum()
    if slid == 0.0:
        return
    for at in range(1, places):
        # structure and compaction, then pairs: w and the fabrics
        paired = at >= _WAY
        length = _LENGTHS + at - 1 if not paired else _FABRIC_LENGTHS - 1 + (at - _WAY) // 2
        way = slid / whole / layer[length]
        fast, along = 1.0, 0.0
        if at >= _FABRICS:
            first = at - (at - _FABRICS) % 2
            along = (old[first] * sums[6] + old[first + 1] * sums[7]) / slid
            fast = _turning(along, layer)
        far = way * fast
        share, left = -np.expm1(-far), np.exp(-far)
        of_way = 6 + (at - _WAY) % 2 if paired else 5
        aim = sums[of_way] / slid - old[at]
        new[at] += share * aim
        far_by = fast * sums_by[5] / whole / layer[length]
        far_by[:count] -= far / whole
        far_by[of_layer + length] -= far / layer[length]
        if at >= _FABRICS:
            along_by = old_by[first] * sums[6] + old_by[first + 1] * sums[7]
            along_by += old[first] * sums_by[6] + old[first + 1] * sums_by[7] - along * sums_by[5]
            far_by += 0.5 * (1.0 - layer[9]) * way / slid * along_by
            far_by[of_layer + 9] += way * 0.5 * (1.0 - along)
        aim_by = (sums_by[of_way] - sums[of_way] / slid * sums_by[5]) / slid - old_by[at]
        new_by[at] += left * far_by * aim + share * aim_by
