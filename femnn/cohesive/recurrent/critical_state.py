"""The critical-state cell: friction, dilation and memory of a sheared layer of grains, right where data end.

The layer is a number of frictional sliders side by side (A. Yu. Ishlinskii; W. D. Iwan, J. Appl. Mech. 34 (1967)
612-617), each behind a spring, over Hertz's contacts. The slider k has slid to s_k, the layer has opened by v for good;
what is left of opening and sliding is elastic: e = u_n - v, e_k = u_s - s_k. The free energy

    ψ = ψ_n(e) + √h/2 Σ κ_k |e_k|²,    ψ_n' = -h^(3/2),

has Hertz's and Mindlin's exponents, h being what is linear in the approach of pressed grains and zero for open ones. A
slider in the direction n bears at most h^(3/2) m_k, and opens the layer by c_k for each unit that it slides:

    m_k = μ_k (1 + ω f(h)) (1 + b_k tanh(ξ⁺/ξ₀)),    c_k = α_k (ξ - ξ_k - χ_k (1 - a·n) - X_k (1 - A·n))

ξ = ξ₀ + λ f(h) - v is the distance from the critical state (K. Been, M. G. Jefferies, Géotechnique 35 (1985) 99-112),
f = (1 - h)/(1 + h), and a and A, at most 1 long, are the fabric of the contacts, which follows the direction of sliding
within a length l, and slowly within a length L: a layer that is sheared back contracts, and one that is sheared to and
fro by less than L never gets as loose as one that is sheared far (X. S. Li, Y. F. Dafalias, J. Eng. Mech. 138 (2012)
263-275, have a fabric that dilatancy depends on). Springs are softer by 1 + φ_k |a|² where the layer has been sheared;
where they stiffen again their force stays, and the energy that it would take is lost as slip. All numbers are learned.
Whatever they are, by construction:

- far sliding ends in one state, ξ = 0 and a = A = n, as Σ α_k ξ_k = 0: no opening, and a ratio of at most Σ m_k;
- the opening never leaves a finite range, as each slider draws it to a ξ of its own;
- a cycle of tractions ends without slip, or at one that closes, as long as a slider is left that does not slide in it;
- dissipation Σ h^(3/2) m_k |ds_k| - p dv is not negative: α_k (ξ - ξ_k) stays below m_k at ξ = 0 and at the largest ξ,
  and in between because m_k is concave there;
- turning or mirroring the shear turns and mirrors the answer.

A step is implicit in v, which Newton's method finds inside a bracket, and explicit in a and A, which change slowly; the
tangent is the exact derivative of the step.
"""

from collections.abc import Mapping

import numpy as np
import scipy
from numpy.typing import ArrayLike

from femnn.cohesive.recurrent.cell import Cell
from femnn.exceptions import WeightFileError
from femnn.system.compile import njit

#: Rows of ``sliders``: strengths μ_k; elastic reach μ_k/κ_k under p0; gains b_k; rates α_k; neutral points ξ_k; what
#: the fabric does to springs, φ_k, and to neutral points, χ_k and slowly X_k.
SLIDERS = ("strength", "reach", "gain", "rate", "neutral", "fabric", "turn", "slow_turn")
#: Numbers of ``layer``: stiffness of h against closing, what it has more for opening than for closing, length of the
#: change between both; ξ₀; λ; ω; l; L.
LAYER = ("stiffness", "asymmetry", "rounding", "distance", "compression", "softening", "memory", "slow_memory")

# Numbers of a state before the places of the sliders: v, two of a, two of A.
_PLACES = 5

# How smoothly a layer loses touch, as in femnn.cohesive.recurrent.precompressed, whose h is this to the power 3/2.
_ROUNDING = 0.05
_VIRGIN = 1.0 + np.sqrt(1.0 + _ROUNDING**2)

_MOST_ITERATIONS, _CLOSE = 60, 1e-13

# How far bounds are smoothed: the largest ξ, over ξ₀; sizes of λ and ω.
_SMOOTH, _CORNER = 0.03, 0.01


class CriticalState(Cell):
    """A trained critical-state cell; it answers tractions of a layer whose virgin traction is (-1, 0, 0).

    Its state is v, the two components of a, those of A, then those of s_k of each slider, in separation scales.

    Parameters
    ----------
    tensors
        ``sliders`` (8, k), rows as :data:`SLIDERS`; ``layer`` (8,), numbers as :data:`LAYER`.

    Raises
    ------
    WeightFileError
        If tensors are missing, do not fit, or break what the cell promises.

    Examples
    --------
    >>> import femnn
    >>> law = femnn.RecurrentCohesive.load("fault-grains")
    >>> slid = law.update([[0.0, 0.0, 0.0]], law.initial_state(1))
    >>> slid.traction[0, 0].round(6)
    np.float64(-1.0)
    """

    def __init__(self, tensors: Mapping[str, ArrayLike]) -> None:
        try:
            self.tensors = {name: np.asarray(tensors[name], dtype=np.float64) for name in ("sliders", "layer")}
        except (KeyError, ValueError, TypeError) as error:
            raise WeightFileError(
                f"these are no tensors of a critical-state cell: {error}; fetch the file again"
            ) from error
        broken = promises_broken(self.tensors["sliders"], self.tensors["layer"])
        if broken:
            raise WeightFileError(f"these are no tensors of a critical-state cell: {broken}; fetch the file again")
        self._sliders, self._layer = (np.ascontiguousarray(values) for values in self.tensors.values())
        self.state_size = _PLACES + 2 * self._sliders.shape[1]

    def step(self, x, state):
        n = len(x)
        traction, tangent, new = np.empty((n, 3)), np.empty((n, 3, 3)), np.empty_like(state)
        _steps(np.ascontiguousarray(x), np.ascontiguousarray(state), self._sliders, self._layer, traction, tangent, new)
        return traction, tangent, new

    def opening(self, state: np.ndarray) -> np.ndarray:
        """How far each point (n,) has opened for good, in separation scales."""
        return state[:, 0].copy()

    def under_pressure(self, pressure: np.ndarray, sliding: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Openings (n, k) and friction ratios (n, k, 2) of paths that start virgin, of pressures and slidings.

        Parameters
        ----------
        pressure : (n, k)
            Over p0, positive.
        sliding : (n, k, 2)
        """
        opening, ratio = np.empty(pressure.shape), np.empty(sliding.shape)
        _paths(
            np.ascontiguousarray(pressure), np.ascontiguousarray(sliding), self._sliders, self._layer, opening, ratio
        )
        return opening, ratio


def promises_broken(sliders: np.ndarray, layer: np.ndarray) -> str:
    """What keeps numbers from being a critical-state cell; empty if nothing does."""
    if sliders.ndim != 2 or sliders.shape[0] != len(SLIDERS) or not sliders.shape[1] or layer.shape != (len(LAYER),):
        return f"sliders {sliders.shape} and layer {layer.shape} instead of ({len(SLIDERS)}, k) and ({len(LAYER)},)"
    if not (np.isfinite(sliders).all() and np.isfinite(layer).all()):
        return "they are not finite"
    strength, reach, gain, rate, neutral = sliders[:5]
    stiffness, asymmetry, rounding, distance, _, softening, memory, slow_memory = layer
    lengths = min(reach.min(), rounding, distance, memory, slow_memory)
    if min(lengths, strength.min(), rate.min()) <= 0.0 or min(gain.min(), sliders[5:].min()) < 0.0:
        return "a strength, a reach, a rate, a gain or a length is not positive"
    if not (abs(asymmetry) < stiffness and abs(softening) < 1.0):
        return "the layer would soften under its pressure"
    if abs(rate @ neutral) > 1e-9 * (rate @ np.abs(neutral) + 1e-12):
        return f"Σ α ξ is {rate @ neutral:.3g} instead of zero, so that sliding does not end in the critical state"
    if (rate > largest_rates(sliders, layer) * (1.0 + 1e-9)).any():
        return "a slider opens the layer by more than it bears, so that it would give energy"
    return ""


def largest_rates(sliders: np.ndarray, layer: np.ndarray) -> np.ndarray:
    """The rates (k,) beyond which a slider would open the layer by more than it bears.

    Between ξ = 0 and the largest ξ a strength is concave and a rate of opening linear, so that these two count; further
    down the strength stays, and the opening falls. What is largest is taken a little too large, as a smooth function of
    the numbers, because least squares stall where a maximum changes from one of them to another.
    """
    strength, gain, neutral = sliders[0], sliders[2], sliders[4]
    distance, compression = layer[3], _size(layer[4])
    highest = neutral + 2.0 * (sliders[6] + sliders[7])
    reached = np.append(highest + 2.0 * compression, distance + compression)
    largest = _SMOOTH * distance * scipy.special.logsumexp(reached / (_SMOOTH * distance))
    borne = (1.0 - _size(layer[5])) * strength / pressures(sliders, layer)
    gained = 1.0 + gain * np.tanh(largest / distance)
    return borne / np.maximum(-neutral, (largest - neutral) / gained)


def _size(value):
    """The size of a number or more, without a corner at zero."""
    return np.sqrt(value * value + _CORNER * _CORNER)


def pressures(sliders: np.ndarray, layer: np.ndarray) -> float:
    """The largest pressure over that of Hertz's contacts: the springs of the sliders carry the rest."""
    most = (1.0 + _size(layer[5])) * (1.0 + sliders[2]) * sliders[0]
    # Σ m²/κ, times what h can change with the opening
    return 1.0 + 0.25 * float((most**2 * (1.0 + sliders[5]) * sliders[1] / sliders[0]).sum()) * (
        layer[0] + _size(layer[1])
    )


@njit(cache=True, error_model="numpy")
def _touch(e, layer):
    """h of an elastic opening, its derivative and second derivative."""
    root = np.sqrt(e * e + layer[2] * layer[2])
    w = 1.0 - layer[0] * e - layer[1] * (root - layer[2])
    slope = -layer[0] - layer[1] * e / root
    bend = -layer[1] * layer[2] * layer[2] / root**3
    far = np.sqrt(w * w + _ROUNDING * _ROUNDING)
    # far open the sum would cancel
    h = (w + far if w > 0.0 else _ROUNDING * _ROUNDING / (far - w)) / _VIRGIN
    by_w = h / far
    by_w2 = (by_w - h * w / (far * far)) / far
    return h, by_w * slope, by_w2 * slope * slope + by_w * bend


@njit(cache=True, error_model="numpy")
def _elastic_opening(h, layer):
    """The elastic opening of an h: the inverse of :func:`_touch`."""
    w = (h * h * _VIRGIN * _VIRGIN - _ROUNDING * _ROUNDING) / (2.0 * h * _VIRGIN)
    e = (1.0 - w) / layer[0]
    for _ in range(30):
        root = np.sqrt(e * e + layer[2] * layer[2])
        off = 1.0 - layer[0] * e - layer[1] * (root - layer[2]) - w
        step = off / (-layer[0] - layer[1] * e / root)
        e -= step
        if abs(step) < 1e-15 + 1e-13 * abs(e):
            break
    return e


@njit(cache=True, error_model="numpy")
def _factors(h, xi, layer):
    """1 + ω f, its derivative by h; tanh(ξ⁺/ξ₀), its derivative by ξ."""
    f, by_h = (1.0 - h) / (1.0 + h), -2.0 / (1.0 + h) ** 2
    t = np.tanh(xi / layer[3]) if xi > 0.0 else 0.0
    return 1.0 + layer[5] * f, layer[5] * by_h, t, (1.0 - t * t) / layer[3] if xi > 0.0 else 0.0


@njit(cache=True, error_model="numpy", inline="always")
def _bearing(k, factors, sliders):
    """m_k and its derivatives by h and by ξ."""
    by_pressure, by_pressure_h, t, t_xi = factors
    mu, gain = sliders[0, k], sliders[2, k]
    return mu * by_pressure * (1.0 + gain * t), mu * by_pressure_h * (1.0 + gain * t), mu * by_pressure * gain * t_xi


@njit(cache=True, error_model="numpy", inline="always")
def _flexible(k, state, sliders):
    """1/κ_k under the fabric of a state."""
    fabric = state[1] * state[1] + state[2] * state[2]
    return sliders[1, k] / sliders[0, k] * (1.0 + sliders[5, k] * fabric)


@njit(cache=True, error_model="numpy", inline="always")
def _trial(k, s1, s2, old):
    """How far the slider k would be stretched, and its direction n."""
    d1, d2 = s1 - old[_PLACES + 2 * k], s2 - old[_PLACES + 1 + 2 * k]
    length = np.sqrt(d1 * d1 + d2 * d2)
    if length == 0.0:
        return 0.0, 0.0, 0.0
    return length, d1 / length, d2 / length


@njit(cache=True, error_model="numpy", inline="always")
def _neutral(k, n1, n2, old, sliders):
    """ξ_k + χ_k (1 - a·n) + X_k (1 - A·n), and the part of χ_k a + X_k A that is across n."""
    chi, slow = sliders[6, k], sliders[7, k]
    w1, w2 = chi * old[1] + slow * old[3], chi * old[2] + slow * old[4]
    along = w1 * n1 + w2 * n2
    return sliders[4, k] + chi + slow - along, w1 - along * n1, w2 - along * n2


@njit(cache=True, error_model="numpy")
def _missing(v, h, by_v, s1, s2, old, sliders, layer):
    """What v lacks of the one that the sliding asks for, and its derivative by v; ``by_v`` is that of h."""
    f, f_h = (1.0 - h) / (1.0 + h), -2.0 / (1.0 + h) ** 2
    xi = layer[3] + layer[4] * f - v
    xi_v = layer[4] * f_h * by_v - 1.0
    factors = _factors(h, xi, layer)
    a = b = a_v = b_v = 0.0
    for k in range(sliders.shape[1]):
        length, n1, n2 = _trial(k, s1, s2, old)
        m, m_h, m_xi = _bearing(k, factors, sliders)
        flexible = _flexible(k, old, sliders)
        slid = length - h * m * flexible
        if slid > 0.0:
            rate, neutral = sliders[3, k], _neutral(k, n1, n2, old, sliders)[0]
            slid_v = -flexible * ((m + h * m_h) * by_v + h * m_xi * xi_v)
            a, a_v = a + rate * slid, a_v + rate * slid_v
            b, b_v = b + rate * neutral * slid, b_v + rate * neutral * slid_v
    if a == 0.0:
        return v - old[0], 1.0
    target = layer[3] + layer[4] * f - b / a
    target_v = layer[4] * f_h * by_v - (b_v - b / a * a_v) / a
    share = -np.expm1(-a)
    missing = v - old[0] - share * (target - old[0])
    return missing, 1.0 - share * target_v - (1.0 - share) * a_v * (target - old[0])


@njit(cache=True, error_model="numpy")
def _turned(s1, s2, old, new, sliders, layer):
    """The fabric after the sliders have slid from their ``old`` places to the ``new`` ones, which springs follow."""
    whole = slid = way1 = way2 = 0.0
    for k in range(sliders.shape[1]):
        at = _PLACES + 2 * k
        d1, d2 = new[at] - old[at], new[at + 1] - old[at + 1]
        whole += sliders[0, k]
        slid += sliders[0, k] * np.sqrt(d1 * d1 + d2 * d2)
        way1, way2 = way1 + sliders[0, k] * d1, way2 + sliders[0, k] * d2
    new[1:_PLACES] = old[1:_PLACES]
    if slid > 0.0:
        for i in range(2):
            share = -np.expm1(-slid / whole / layer[6 + i])
            new[1 + 2 * i] += share * (way1 / slid - old[1 + 2 * i])
            new[2 + 2 * i] += share * (way2 / slid - old[2 + 2 * i])
        for k in range(sliders.shape[1]):
            left = _flexible(k, new, sliders) / _flexible(k, old, sliders)
            if left < 1.0:
                at = _PLACES + 2 * k
                new[at] += (1.0 - left) * (s1 - new[at])
                new[at + 1] += (1.0 - left) * (s2 - new[at + 1])


@njit(cache=True, error_model="numpy")
def _opened(e_total, fixed_h, start, s1, s2, old, sliders, layer):
    """v after a step, sought from ``start``: at the opening ``e_total``, or at ``fixed_h`` where that is not finite."""
    lowest, highest = sliders[4].min(), (sliders[4] + 2.0 * (sliders[6] + sliders[7])).max()
    margin = abs(layer[4]) + 1e-12
    low, high = min(old[0], layer[3] - highest - margin), max(old[0], layer[3] - lowest + margin)
    v, h, by_v = start, fixed_h, 0.0
    for _ in range(_MOST_ITERATIONS):
        if np.isfinite(e_total):
            h, slope, _ = _touch(e_total - v, layer)
            by_v = -slope
        missing, by = _missing(v, h, by_v, s1, s2, old, sliders, layer)
        if missing > 0.0:
            high = v
        else:
            low = v
        new = v - missing / by if by > 0.0 else 0.5 * (low + high)
        if not low <= new <= high:
            new = 0.5 * (low + high)
        change = abs(new - v)
        v = new
        if change <= _CLOSE * (1.0 + abs(v)):
            break
    return v


@njit(cache=True, error_model="numpy", nogil=True)
def _steps(x, old, sliders, layer, traction, tangent, new):
    count = sliders.shape[1]
    for n in range(len(x)):
        u, s1, s2 = x[n, 0], x[n, 1], x[n, 2]
        v = _opened(u, 1.0, old[n, 0], s1, s2, old[n], sliders, layer)
        e = u - v
        h, h_e, h_ee = _touch(e, layer)
        f, f_h = (1.0 - h) / (1.0 + h), -2.0 / (1.0 + h) ** 2
        xi = layer[3] + layer[4] * f - v
        factors = _factors(h, xi, layer)
        # how v follows the separation: of the missing opening by h, by each component, and by v
        v_u = np.zeros(3)
        a = b = 0.0
        a_h = b_h = a_1 = a_2 = b_1 = b_2 = 0.0
        for k in range(count):
            length, n1, n2 = _trial(k, s1, s2, old[n])
            m, m_h, m_xi = _bearing(k, factors, sliders)
            flexible = _flexible(k, old[n], sliders)
            slid = length - h * m * flexible
            if slid > 0.0:
                rate = sliders[3, k]
                neutral, across1, across2 = _neutral(k, n1, n2, old[n], sliders)
                slid_h = -flexible * (m + h * (m_h + m_xi * layer[4] * f_h))
                a, b = a + rate * slid, b + rate * neutral * slid
                a_h, b_h = a_h + rate * slid_h, b_h + rate * neutral * slid_h
                a_1, a_2 = a_1 + rate * n1, a_2 + rate * n2
                # the neutral point changes as the slider turns
                b_1 += rate * (neutral * n1 - across1 * slid / length)
                b_2 += rate * (neutral * n2 - across2 * slid / length)
        if a > 0.0:
            share, target = -np.expm1(-a), layer[3] + layer[4] * f - b / a
            gap = (1.0 - share) * (target - old[n, 0])
            by_h = share * (layer[4] * f_h - (b_h - b / a * a_h) / a) + gap * a_h
            _, missing_v = _missing(v, h, -h_e, s1, s2, old[n], sliders, layer)
            v_u[0] = by_h * h_e / missing_v
            v_u[1] = (gap * a_1 - share * (b_1 - b / a * a_1) / a) / missing_v
            v_u[2] = (gap * a_2 - share * (b_2 - b / a * a_2) / a) / missing_v
        # the springs: energy over √h and its derivatives by the sliding, and how these follow the separation
        root, springs = np.sqrt(h), np.zeros(3)
        by = np.zeros((3, 3))
        new[n, 0] = v
        for k in range(count):
            length, n1, n2 = _trial(k, s1, s2, old[n])
            m, m_h, m_xi = _bearing(k, factors, sliders)
            flexible = _flexible(k, old[n], sliders)
            reach, stiff = h * m * flexible, 1.0 / flexible
            if length <= reach:
                e1, e2 = length * n1, length * n2
                by[0, 1], by[0, 2] = by[0, 1] + stiff * e1, by[0, 2] + stiff * e2
                by[1, 1], by[2, 2] = by[1, 1] + stiff, by[2, 2] + stiff
            else:
                across = stiff * reach / length
                e1, e2 = reach * n1, reach * n2
                by[1, 1], by[2, 2] = by[1, 1] + across * n2 * n2, by[2, 2] + across * n1 * n1
                by[1, 2], by[2, 1] = by[1, 2] - across * n1 * n2, by[2, 1] - across * n1 * n2
                reach_h, reach_xi = flexible * (m + h * (m_h + m_xi * layer[4] * f_h)), flexible * h * m_xi
                for j in range(3):
                    moved = reach_h * h_e * ((1.0 if j == 0 else 0.0) - v_u[j]) - reach_xi * v_u[j]
                    by[0, j] += stiff * reach * moved
                    by[1, j] += stiff * n1 * moved
                    by[2, j] += stiff * n2 * moved
            new[n, _PLACES + 2 * k], new[n, _PLACES + 1 + 2 * k] = s1 - e1, s2 - e2
            springs[0] += 0.5 * stiff * (e1 * e1 + e2 * e2)
            springs[1], springs[2] = springs[1] + stiff * e1, springs[2] + stiff * e2
        _turned(s1, s2, old[n], new[n], sliders, layer)
        root_e, root_ee = 0.5 * h_e / root, 0.5 * h_ee / root - 0.25 * h_e * h_e / (h * root)
        traction[n, 0] = springs[0] * root_e - h * root
        traction[n, 1], traction[n, 2] = root * springs[1], root * springs[2]
        for j in range(3):
            e_j = (1.0 if j == 0 else 0.0) - v_u[j]
            tangent[n, 0, j] = (springs[0] * root_ee - 1.5 * root * h_e) * e_j + by[0, j] * root_e
            for i in range(1, 3):
                tangent[n, i, j] = root * by[i, j] + springs[i] * root_e * e_j


@njit(cache=True, error_model="numpy", nogil=True)
def _paths(pressure, sliding, sliders, layer, opening, ratio):
    count = sliders.shape[1]
    old = np.empty(_PLACES + 2 * count)
    new = np.empty_like(old)
    for n in range(pressure.shape[0]):
        old[:] = 0.0
        for i in range(pressure.shape[1]):
            p, s1, s2 = pressure[n, i], sliding[n, i, 0], sliding[n, i, 1]
            extra, v = 0.0, old[0]
            for _ in range(_MOST_ITERATIONS):
                # what the springs carry changes little with h
                h = max(p - extra, 0.2 * p) ** (2.0 / 3.0)
                v = _opened(np.nan, h, v, s1, s2, old, sliders, layer)
                e = _elastic_opening(h, layer)
                h_e = _touch(e, layer)[1]
                xi = layer[3] + layer[4] * (1.0 - h) / (1.0 + h) - v
                factors = _factors(h, xi, layer)
                energy = t1 = t2 = 0.0
                for k in range(count):
                    length, n1, n2 = _trial(k, s1, s2, old)
                    flexible = _flexible(k, old, sliders)
                    left = min(length, h * _bearing(k, factors, sliders)[0] * flexible)
                    new[_PLACES + 2 * k], new[_PLACES + 1 + 2 * k] = s1 - left * n1, s2 - left * n2
                    energy += 0.5 * left * left / flexible
                    t1, t2 = t1 + left * n1 / flexible, t2 + left * n2 / flexible
                carried = -0.5 * energy * h_e / np.sqrt(h)
                change, extra = abs(carried - extra), carried
                if change < 1e-9 * p:
                    break
            new[0] = v
            _turned(s1, s2, old, new, sliders, layer)
            old[:] = new
            opening[n, i] = e + v
            ratio[n, i, 0], ratio[n, i, 1] = np.sqrt(h) * t1 / p, np.sqrt(h) * t2 / p
