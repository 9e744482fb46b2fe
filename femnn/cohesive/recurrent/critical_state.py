"""The critical-state cell: friction, dilation and memory of a sheared layer of grains, right where data end.

The layer is a number of frictional sliders side by side (A. Yu. Ishlinskii; W. D. Iwan, J. Appl. Mech. 34 (1967)
612-617), each behind a spring, over Hertz's contacts. The slider k has slid to s_k, the layer has opened by v for good;
what is left of opening and sliding is elastic: e = u_n - v, e_k = u_s - s_k. The free energy

    ψ = ψ_n(e) + s(h)/2 Σ κ_k |e_k|²,    ψ_n' = -h^(3/2),    s = √((1 + q) h / (1 + q h))

has Hertz's exponents, h being what is linear in the approach of pressed grains and zero for open ones. Springs stiffen
with the pressure as Mindlin's do (q = 0), or less and less: what a layer slides before it yields then goes with the
pressure itself, as more of it is grains that roll over each other than contacts that shear. A slider in the direction n
opens the layer by c_k for each unit that it slides, and bears h^(3/2) m_k:

    c_k = α_k (ξ - ξ_k - Σ_i χ_ik (1 - a_i·n) + Y_k (1 - B)),    m_k = μ_k (1 - η_k (1 - a_1·n)/2) + τ_k c_k

ξ = ξ₀ - D (1 - W) - v is the distance from the critical state (K. Been, M. G. Jefferies, Géotechnique 35 (1985)
99-112), which gets looser by D as the layer slides by many diameters: W goes from 0 to 1 within a long way. What a
slider bears beyond friction is what it takes to open the layer (D. W. Taylor, Fundamentals of soil mechanics, 1948;
P. W. Rowe, Proc. R. Soc. A 269 (1962) 500-527, has a factor τ). The fabrics a_i of the contacts, at most 1 long, follow
the direction of sliding within lengths l_i (X. S. Li, Y. F. Dafalias, J. Eng. Mech. 138 (2012) 263-275, have a fabric
that dilatancy depends on), by (n - a_i) (ε + (1 - ε) (1 + a_i·n)/2)/l_i for each unit of slip: a layer that is sheared
back contracts, bears little at first and gets its strength back; one that is sheared back by little and then on has
its old fabric; a layer that is compressed keeps what its fabric bears. B goes from 0 to 1 within a length, however the
layer is sheared: a prepared layer dilates more than one that was ever sheared, and one that is sheared to and fro gets
dense. In m_k the parts with n shift the circle of forces that a slider bears, the others are its radius, which a smooth
bound keeps above zero. All numbers are learned. Whatever they are, by construction:

- far sliding ends in one state, ξ = 0, B = W = 1 and a_i = n, as Σ α_k ξ_k = 0: no opening, and a finite ratio;
- the opening never leaves a finite range, as each slider draws it to a ξ of its own;
- a cycle of tractions ends without slip, or at one that closes, as long as a slider is left that does not slide in it;
- dissipation Σ h^(3/2) m_k |ds_k| - p dv is not negative, as rates α_k are bounded, see :func:`largest_rates`;
- turning or mirroring the shear turns and mirrors the answer.

A step is implicit in v, which Newton's method finds inside a bracket, and explicit in a_i, B and W, which change
slowly; the tangent is the exact derivative of the step.
"""

from collections.abc import Mapping

import numpy as np
import scipy
from numpy.typing import ArrayLike

from femnn.cohesive.recurrent.cell import Cell
from femnn.exceptions import WeightFileError
from femnn.system.compile import njit

#: Rows of ``sliders``: strengths μ_k; elastic reach μ_k/κ_k under p0; what a rate of opening adds to a strength, τ_k;
#: rates α_k; neutral points ξ_k; what a prepared layer dilates more, Y_k; share of a strength that is lost against the
#: fabric, η_k. What each fabric does to neutral points, χ_ik, follows, one row a fabric.
SLIDERS = ("strength", "reach", "dilatancy", "rate", "neutral", "virgin", "loss")
#: Numbers of ``layer``: stiffness of h against closing, what it has more for opening than for closing, length of the
#: change between both; saturation q of the springs; ξ₀; D; how fast an opposite fabric turns, ε; the lengths of B and
#: of W. That of each fabric, l_i, follows.
LAYER = (
    "stiffness", "asymmetry", "rounding", "saturation", "distance", "loosening", "turning", "structure", "loosened",
)  # fmt: skip

# How smoothly a layer loses touch, as in femnn.cohesive.recurrent.precompressed, whose h is this to the power 3/2.
_ROUNDING = 0.05
_VIRGIN = 1.0 + np.sqrt(1.0 + _ROUNDING**2)

_MOST_ITERATIONS, _CLOSE = 60, 1e-13
# Where the lengths begin in the numbers of a layer, and where those of the fabrics do; where fabrics do in a state.
_LENGTHS, _FABRIC_LENGTHS, _FABRICS = 7, len(LAYER), 3

# How far bounds are smoothed: the farthest ξ, over ξ₀; the size of an asymmetry; positive parts; the largest of several
# limits, as a norm of this power.
_SMOOTH, _CORNER, _BETWEEN, _TOGETHER = 0.03, 0.01, 0.03, 6
# Least radius of a slider's yield circle, over its strength: how smoothly it stays above zero.
_LEAST = 0.1


class CriticalState(Cell):
    """A trained critical-state cell; it answers tractions of a layer whose virgin traction is (-1, 0, 0).

    Its state is v, B, W, the two components of each fabric, then those of s_k of each slider, in separation scales.

    Parameters
    ----------
    tensors
        ``sliders`` (7 + f, k), rows as :data:`SLIDERS`; ``layer`` (9 + f,), numbers as :data:`LAYER`, of f fabrics.

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
        self.state_size = _FABRICS + 2 * (self._layer.size - len(LAYER)) + 2 * self._sliders.shape[1]

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
    rows, numbers = len(SLIDERS), len(LAYER)
    fits = sliders.ndim == 2 and layer.ndim == 1 and sliders.shape[0] - rows == layer.size - numbers > 0
    if not (fits and sliders.shape[1]):
        return f"sliders {sliders.shape} and layer {layer.shape} instead of ({rows} + f, k) and ({numbers} + f,)"
    if not (np.isfinite(sliders).all() and np.isfinite(layer).all()):
        return "they are not finite"
    strength, reach, dilatancy, rate, neutral = sliders[:5]
    stiffness, asymmetry, rounding, saturation, distance, loosening, turning = layer[:_LENGTHS]
    lengths = min(reach.min(), rounding, distance, layer[_LENGTHS:].min())
    if (
        min(lengths, strength.min(), rate.min()) <= 0.0
        or min(dilatancy.min(), sliders[5:].min(), saturation, loosening) < 0.0
    ):
        return "a strength, a reach, a rate or a length is not positive"
    if not 0.0 < turning <= 1.0:
        return "an opposite fabric would never turn, or faster than another"
    if not abs(asymmetry) < stiffness:
        return "the layer would soften under its pressure"
    if not sliders[6].max() < 1.0:
        return "a slider would bear nothing against the fabric"
    if abs(rate @ neutral) > 1e-9 * (rate @ np.abs(neutral) + 1e-12):
        return f"Σ α ξ is {rate @ neutral:.3g} instead of zero, so that sliding does not end in the critical state"
    if (rate > largest_rates(sliders, layer, pressures(sliders, layer)) * (1.0 + 1e-9)).any():
        return "a slider opens the layer by more than it bears, so that it would give energy"
    return ""


def farthest(sliders: np.ndarray, layer: np.ndarray) -> tuple[float, float]:
    """The smallest and the largest ξ that the layer gets to, both a little too far, as smooth functions of the numbers.

    Least squares stall where a maximum changes from one number to another.
    """
    distance, loosening, rounding = layer[4], layer[5], _SMOOTH * layer[4]
    lowest, highest = sliders[4] - sliders[5] - loosening, sliders[4] + 2.0 * sliders[7:].sum(axis=0) + loosening
    largest = rounding * scipy.special.logsumexp(np.append(highest, distance) / rounding)
    smallest = -rounding * scipy.special.logsumexp(-np.append(lowest, distance - loosening) / rounding)
    return smallest, largest


def largest_rates(sliders: np.ndarray, layer: np.ndarray, pressure: float) -> np.ndarray:
    """The rates (k,) beyond which a slider would open the layer by more than it bears.

    A slider that opens the layer by c bears μ (1 - η w/2) + τ c, where w = 1 - a_1·n is between 0 and 2; ``pressure``,
    the largest p over that of Hertz's contacts, is at least 1. What is left as heat, μ (1 - η w/2) + (τ - p) c, is
    linear in w and in all that c depends on: only the ends of their ranges count. The smooth bound of a radius adds to
    the heat.
    """
    strength, dilatancy, neutral, loss = sliders[0], sliders[2], sliders[4], sliders[6]
    smallest, largest = farthest(sliders, layer)
    opening, turn = largest - neutral + sliders[5], 2.0 * sliders[7:].sum(axis=0)
    spent, gained = _positive(pressure - dilatancy), _positive(dilatancy - 1.0)
    # over the rates, what is borne: with the fabric, and against it, where the layer opens or closes
    shares = (
        spent * opening / strength,
        spent * _positive(opening - 2.0 * sliders[7]) / (strength * (1.0 - loss)),
        gained * (neutral + turn - smallest) / (strength * (1.0 - loss)),
    )
    return np.sum(np.power(shares, _TOGETHER), axis=0) ** (-1.0 / _TOGETHER)


def _positive(value):
    """What is positive of a number or more, or a little more, without a corner."""
    return 0.5 * (value + np.sqrt(value * value + _BETWEEN * _BETWEEN))


def _size(value):
    """The size of a number or more, without a corner at zero."""
    return np.sqrt(value * value + _CORNER * _CORNER)


def pressures(sliders: np.ndarray, layer: np.ndarray) -> float:
    """The largest pressure over that of Hertz's contacts: the springs of the sliders carry the rest."""
    strength, turn, back = sliders[0], sliders[7:].sum(axis=0), 0.5 * sliders[6] * sliders[0]
    opens = sliders[2] * sliders[3]
    radius = strength - back + opens * (farthest(sliders, layer)[1] - sliders[4] + sliders[5] - turn)
    most = 0.5 * (radius + np.sqrt(radius**2 + (_LEAST * strength) ** 2)) + opens * turn + back
    # Σ m²/κ, times what h can change with the opening; h^(3/2) ds/dh is at most s²/(2 √(1 + q))
    carried = float((most**2 * sliders[1] / strength).sum()) * (layer[0] + _size(layer[1]))
    return 1.0 + 0.25 * carried / np.sqrt(1.0 + layer[3])


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


@njit(cache=True, error_model="numpy", inline="always")
def _stiffness(h, layer):
    """The stiffness s(h) of springs, two derivatives of it; their reach h^(3/2)/s and its derivative."""
    q = layer[3]
    full = 1.0 + q * h
    s = np.sqrt((1.0 + q) * h / full)
    s_h = 0.5 * s / (h * full)
    reached = h * np.sqrt(h) / s
    return s, s_h, -s_h * (0.5 + 2.0 * q * h) / (h * full), reached, reached * (1.5 / h - s_h / s)


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


@njit(cache=True, error_model="numpy", inline="always")
def _distance(old, layer):
    """How far a layer is to open, from the virgin one on."""
    return layer[4] - layer[5] * (1.0 - old[2])


@njit(cache=True, error_model="numpy", inline="always")
def _circle(k, xi, old, sliders, layer):
    """Of a slider: radius of its yield circle over h^(3/2) and its derivative by ξ; centre; Σ χ a; Σ χ - Y (1 - B)."""
    turn, g1, g2 = -sliders[5, k] * (1.0 - old[1]), 0.0, 0.0
    for i in range(layer.size - _FABRIC_LENGTHS):
        chi = sliders[7 + i, k]
        turn += chi
        g1, g2 = g1 + chi * old[_FABRICS + 2 * i], g2 + chi * old[_FABRICS + 1 + 2 * i]
    mu, opens, least = sliders[0, k], sliders[2, k] * sliders[3, k], _LEAST * sliders[0, k]
    back = 0.5 * sliders[6, k] * mu
    m = mu - back + opens * (xi - sliders[4, k] - turn)
    root = np.sqrt(m * m + least * least)
    radius = 0.5 * (m + root) if m > 0.0 else 0.5 * least * least / (root - m)
    by_m = radius / root
    return radius, by_m * opens, opens * g1 + back * old[_FABRICS], opens * g2 + back * old[_FABRICS + 1], g1, g2, turn


@njit(cache=True, error_model="numpy", inline="always")
def _stretched(at, s1, s2, old, centre1, centre2):
    """How far the spring of the slider at a place of the state would be stretched from its centre, and where to."""
    d1, d2 = s1 - old[at] - centre1, s2 - old[at + 1] - centre2
    length = np.sqrt(d1 * d1 + d2 * d2)
    if length == 0.0:
        return 0.0, 0.0, 0.0
    return length, d1 / length, d2 / length


@njit(cache=True, error_model="numpy")
def _missing(v, h, by_v, s1, s2, old, sliders, layer):
    """What v lacks of the one that the sliding asks for, and its derivative by v; ``by_v`` is that of h."""
    distance = _distance(old, layer)
    xi = distance - v
    _, _, _, reached, reached_h = _stiffness(h, layer)
    by_v *= reached_h
    a = b = a_v = b_v = 0.0
    for k in range(sliders.shape[1]):
        at = old.size - 2 * (sliders.shape[1] - k)
        radius, radius_xi, c1, c2, g1, g2, turn = _circle(k, xi, old, sliders, layer)
        flexible = sliders[1, k] / sliders[0, k]
        far = reached * flexible
        length, n1, n2 = _stretched(at, s1, s2, old, far * c1, far * c2)
        slid = length - far * radius
        if slid > 0.0:
            rate, along, ahead = sliders[3, k], g1 * n1 + g2 * n2, c1 * n1 + c2 * n2
            neutral = sliders[4, k] + turn - along
            slid_v = -flexible * (ahead + radius) * by_v
            slid_v += far * radius_xi
            across = g1 * c1 + g2 * c2 - along * ahead
            a, a_v = a + rate * slid, a_v + rate * slid_v
            b += rate * neutral * slid
            b_v += rate * (neutral * slid_v + slid * flexible * across / length * by_v)
    if a == 0.0:
        return v - old[0], 1.0
    target = distance - b / a
    target_v = -(b_v - b / a * a_v) / a
    share = -np.expm1(-a)
    missing = v - old[0] - share * (target - old[0])
    return missing, 1.0 - share * target_v - (1.0 - share) * a_v * (target - old[0])


@njit(cache=True, error_model="numpy", inline="always")
def _turning(along, layer):
    """How fast a fabric turns whose component along the way is given: an opposite one slowly at first."""
    return layer[6] + (1.0 - layer[6]) * 0.5 * (1.0 + along)


@njit(cache=True, error_model="numpy")
def _turned(old, new, sliders, layer):
    """The fabrics after the sliders have slid from their ``old`` places to the ``new`` ones."""
    whole = slid = way1 = way2 = 0.0
    for k in range(sliders.shape[1]):
        at = old.size - 2 * (sliders.shape[1] - k)
        d1, d2 = new[at] - old[at], new[at + 1] - old[at + 1]
        whole += sliders[0, k]
        slid += sliders[0, k] * np.sqrt(d1 * d1 + d2 * d2)
        way1, way2 = way1 + sliders[0, k] * d1, way2 + sliders[0, k] * d2
    for i in range(_FABRICS - 1):
        new[1 + i] = old[1 + i] - np.expm1(-slid / whole / layer[_LENGTHS + i]) * (1.0 - old[1 + i])
    for i in range(layer.size - _FABRIC_LENGTHS):
        at = _FABRICS + 2 * i
        new[at], new[at + 1] = old[at], old[at + 1]
        if slid > 0.0:
            fast = _turning((old[at] * way1 + old[at + 1] * way2) / slid, layer)
            share = -np.expm1(-slid * fast / whole / layer[_FABRIC_LENGTHS + i])
            new[at] += share * (way1 / slid - old[at])
            new[at + 1] += share * (way2 / slid - old[at + 1])


@njit(cache=True, error_model="numpy")
def _opened(e_total, fixed_h, start, s1, s2, old, sliders, layer):
    """v after a step, sought from ``start``: at the opening ``e_total``, or at ``fixed_h`` where that is not finite."""
    lowest, highest = (sliders[4] - sliders[5]).min(), (sliders[4] + 2.0 * sliders[7:].sum(axis=0)).max()
    margin, distance = 1e-12, _distance(old, layer)
    low, high = min(old[0], distance - highest - margin), max(old[0], distance - lowest + margin)
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
    count, places = sliders.shape[1], old.shape[1] - 2 * sliders.shape[1]
    for n in range(len(x)):
        u, s1, s2 = x[n, 0], x[n, 1], x[n, 2]
        v = _opened(u, 1.0, old[n, 0], s1, s2, old[n], sliders, layer)
        h, h_e, h_ee = _touch(u - v, layer)
        distance = _distance(old[n], layer)
        xi = distance - v
        s, s_h, s_hh, reached, reached_e = _stiffness(h, layer)
        reached_e *= h_e
        # how v follows the separation: of the missing opening by h, by each component, and by v
        v_u = np.zeros(3)
        a = b = 0.0
        a_h = b_h = a_1 = a_2 = b_1 = b_2 = 0.0
        for k in range(count):
            at = places + 2 * k
            radius, radius_xi, c1, c2, g1, g2, turn = _circle(k, xi, old[n], sliders, layer)
            flexible = sliders[1, k] / sliders[0, k]
            far = reached * flexible
            length, n1, n2 = _stretched(at, s1, s2, old[n], far * c1, far * c2)
            slid = length - far * radius
            if slid > 0.0:
                rate, along, ahead = sliders[3, k], g1 * n1 + g2 * n2, c1 * n1 + c2 * n2
                neutral = sliders[4, k] + turn - along
                slid_h = -flexible * (ahead + radius)
                across = g1 * c1 + g2 * c2 - along * ahead
                a, b = a + rate * slid, b + rate * neutral * slid
                a_h += rate * slid_h
                b_h += rate * (neutral * slid_h + slid * flexible * across / length)
                a_1, a_2 = a_1 + rate * n1, a_2 + rate * n2
                # the neutral point changes as the slider turns
                b_1 += rate * (neutral * n1 - (g1 - along * n1) * slid / length)
                b_2 += rate * (neutral * n2 - (g2 - along * n2) * slid / length)
        if a > 0.0:
            share, target = -np.expm1(-a), distance - b / a
            gap = (1.0 - share) * (target - old[n, 0])
            by_h = gap * a_h - share * (b_h - b / a * a_h) / a
            _, missing_v = _missing(v, h, -h_e, s1, s2, old[n], sliders, layer)
            v_u[0] = by_h * reached_e / missing_v
            v_u[1] = (gap * a_1 - share * (b_1 - b / a * a_1) / a) / missing_v
            v_u[2] = (gap * a_2 - share * (b_2 - b / a * a_2) / a) / missing_v
        # the springs: energy over s(h) and its derivatives by the sliding, and how these follow the separation
        springs = np.zeros(3)
        by = np.zeros((3, 3))
        new[n, 0] = v
        for k in range(count):
            at = places + 2 * k
            radius, radius_xi, c1, c2, g1, g2, turn = _circle(k, xi, old[n], sliders, layer)
            flexible = sliders[1, k] / sliders[0, k]
            far, stiff = reached * flexible, 1.0 / flexible
            length, n1, n2 = _stretched(at, s1, s2, old[n], far * c1, far * c2)
            if length <= far * radius:
                e1, e2 = s1 - old[n, at], s2 - old[n, at + 1]
                by[0, 1], by[0, 2] = by[0, 1] + stiff * e1, by[0, 2] + stiff * e2
                by[1, 1], by[2, 2] = by[1, 1] + stiff, by[2, 2] + stiff
            else:
                e1, e2 = far * (c1 + radius * n1), far * (c2 + radius * n2)
                turned = far * radius / length
                by11, by12, by22 = turned * n2 * n2, -turned * n1 * n2, turned * n1 * n1
                by[0, 1] += stiff * (e1 * by11 + e2 * by12)
                by[0, 2] += stiff * (e1 * by12 + e2 * by22)
                by[1, 1], by[2, 2] = by[1, 1] + stiff * by11, by[2, 2] + stiff * by22
                by[1, 2], by[2, 1] = by[1, 2] + stiff * by12, by[2, 1] + stiff * by12
                ahead = c1 * n1 + c2 * n2
                e1_h = flexible * (c1 + radius * n1 - turned * (c1 - ahead * n1))
                e2_h = flexible * (c2 + radius * n2 - turned * (c2 - ahead * n2))
                for j in range(3):
                    reached_j, shrinks = reached_e * ((1.0 if j == 0 else 0.0) - v_u[j]), far * radius_xi * v_u[j]
                    e1_j, e2_j = e1_h * reached_j - shrinks * n1, e2_h * reached_j - shrinks * n2
                    by[0, j] += stiff * (e1 * e1_j + e2 * e2_j)
                    by[1, j] += stiff * e1_j
                    by[2, j] += stiff * e2_j
            new[n, at], new[n, at + 1] = s1 - e1, s2 - e2
            springs[0] += 0.5 * stiff * (e1 * e1 + e2 * e2)
            springs[1], springs[2] = springs[1] + stiff * e1, springs[2] + stiff * e2
        _turned(old[n], new[n], sliders, layer)
        s_e, s_ee = s_h * h_e, s_h * h_ee + s_hh * h_e * h_e
        traction[n, 0] = springs[0] * s_e - h * np.sqrt(h)
        traction[n, 1], traction[n, 2] = s * springs[1], s * springs[2]
        for j in range(3):
            e_j = (1.0 if j == 0 else 0.0) - v_u[j]
            tangent[n, 0, j] = (springs[0] * s_ee - 1.5 * np.sqrt(h) * h_e) * e_j + by[0, j] * s_e
            for i in range(1, 3):
                tangent[n, i, j] = s * by[i, j] + springs[i] * s_e * e_j


@njit(cache=True, error_model="numpy")
def _carried(v, h, s1, s2, old, sliders, layer, new):
    """Energy and pulls of the springs over s(h); the places of the sliders go to ``new``."""
    places = _FABRICS + 2 * (layer.size - _FABRIC_LENGTHS)
    xi, reached = _distance(old, layer) - v, _stiffness(h, layer)[3]
    energy = t1 = t2 = 0.0
    for k in range(sliders.shape[1]):
        at = places + 2 * k
        radius, _, c1, c2, _, _, _ = _circle(k, xi, old, sliders, layer)
        flexible = sliders[1, k] / sliders[0, k]
        far = reached * flexible
        length, n1, n2 = _stretched(at, s1, s2, old, far * c1, far * c2)
        left = min(length, far * radius)
        e1, e2 = far * c1 + left * n1, far * c2 + left * n2
        new[at], new[at + 1] = s1 - e1, s2 - e2
        energy += 0.5 * (e1 * e1 + e2 * e2) / flexible
        t1, t2 = t1 + e1 / flexible, t2 + e2 / flexible
    return energy, t1, t2


@njit(cache=True, error_model="numpy")
def _solved(p, s1, s2, old, sliders, layer):
    """v and h under a pressure."""
    extra, v, h, new = 0.0, old[0], 1.0, np.empty_like(old)
    for _ in range(_MOST_ITERATIONS):
        # what the springs carry changes little with h
        h = max(p - extra, 0.2 * p) ** (2.0 / 3.0)
        v = _opened(np.nan, h, v, s1, s2, old, sliders, layer)
        energy = _carried(v, h, s1, s2, old, sliders, layer, new)[0]
        carried = -energy * _touch(_elastic_opening(h, layer), layer)[1] * _stiffness(h, layer)[1]
        change, extra = abs(carried - extra), carried
        if change < 1e-9 * p:
            break
    return v, h


@njit(cache=True, error_model="numpy", nogil=True)
def _paths(pressure, sliding, sliders, layer, opening, ratio):
    old = np.empty(_FABRICS + 2 * (layer.size - _FABRIC_LENGTHS) + 2 * sliders.shape[1])
    new = np.empty_like(old)
    for n in range(pressure.shape[0]):
        old[:] = 0.0
        for i in range(pressure.shape[1]):
            p, s1, s2 = pressure[n, i], sliding[n, i, 0], sliding[n, i, 1]
            v, h = _solved(p, s1, s2, old, sliders, layer)
            _, t1, t2 = _carried(v, h, s1, s2, old, sliders, layer, new)
            new[0] = v
            _turned(old, new, sliders, layer)
            old[:] = new
            opening[n, i] = _elastic_opening(h, layer) + v
            stiff = _stiffness(h, layer)[0]
            ratio[n, i, 0], ratio[n, i, 1] = stiff * t1 / p, stiff * t2 / p
