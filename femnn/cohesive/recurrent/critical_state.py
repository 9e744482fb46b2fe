"""The critical-state cell: friction, dilation and memory of a sheared layer of grains, right where data end.

The layer is a number of frictional sliders side by side (A. Yu. Ishlinskii; W. D. Iwan, J. Appl. Mech. 34 (1967)
612-617), each behind a spring, over Hertz's contacts. The slider k has slid to s_k, the layer has opened by v for good;
what is left of opening and sliding is elastic: e = u_n - v, e_k = u_s - s_k. The free energy

    ψ = ψ_n(e) + Σ s_k(h) κ_k |e_k|²/2,    ψ_n' = -h^(3/2),    s_k = √(h (c + h)/(c + 1)) (1 + q_k)/(1 + q_k h)

has Hertz's exponents, h being what is linear in the approach of pressed grains and zero for open ones. Springs stiffen
with the pressure as Mindlin's do (h^(1/2)) below c, and faster above, as more grains touch. Those of a small q_k go on
so: contacts that shear. Those of a large one stop: what they slide before they yield goes with the pressure itself, as
grains roll over each other. A slider in the direction n opens the layer by c_k for each unit that it slides, and bears
h^(3/2) m_k:

    c_k = α_k (ξ - ξ_k - d Σ_i χ_ik (1 - a_i·n) + Y_k (1 - B)),    m_k = μ_k (1 - η_k (1 - a_1·n)/2) + τ_k c_k

ξ = ξ₀ - (1 - |w|²) (D + C W) - λ (h - 1)/(h + 1) - v is the distance from the critical state (K. Been, M. G. Jefferies,
Géotechnique 35 (1985) 99-112). It is denser under a higher pressure (λ, a critical-state line); looser by D once the
layer has slid by many diameters, for w follows the sliding within a long way; and denser by C where it is sheared to
and fro, as W goes from 0 to 1 within a long way, however the layer is sheared, but w stays short. What a slider bears
beyond friction is what it takes to open the layer (D. W. Taylor, Fundamentals of soil mechanics, 1948; P. W. Rowe,
Proc. R. Soc. A 269 (1962) 500-527, has a factor τ). The fabrics a_i of the contacts, at most 1 long, follow the
direction of sliding within lengths l_i (X. S. Li, Y. F. Dafalias, J. Eng. Mech. 138 (2012) 263-275, have a fabric that
dilatancy depends on), by (n - a_i) (ε + (1 - ε) (1 + a_i·n)/2)/l_i for each unit of slip: a layer that is sheared back
contracts, bears little at first and gets its strength back; one that is sheared back by little and then on has its old
fabric; a layer that is compressed keeps what its fabric bears. They contract a layer to no less than v = -ν, as their
share d goes from 1 at v = 0 to 0 there. B goes from 0 to 1 within a length, however the layer is sheared: a prepared
layer dilates more than one that was ever sheared. In m_k the parts with n shift the circle of forces that a slider
bears, the others are its radius, which a smooth bound keeps above what opening takes. All numbers are learned. Whatever
they are, by construction:

- far sliding under a pressure ends in one state, ξ = 0, B = W = 1 and a_i = w = n, as Σ α_k ξ_k = 0: no opening, and a
  finite ratio;
- the opening never leaves a finite range, as each slider draws it to a ξ of its own;
- a cycle of tractions ends without slip, or at one that closes, as long as a slider is left that does not slide in it;
- dissipation Σ h^(3/2) m_k |ds_k| - p dv is not negative: the circle of each slider bears p c_k in every direction, for
  any pressure p that the springs may make of h^(3/2), see :func:`pressures`;
- turning or mirroring the shear turns and mirrors the answer.

A step is implicit in v, which Newton's method finds inside a bracket, and explicit in a_i, d, w, B and W, which change
slowly; the tangent is the exact derivative of the step.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from femnn.cohesive.recurrent.cell import Cell
from femnn.exceptions import WeightFileError
from femnn.system.compile import njit

#: Rows of ``sliders``: strengths μ_k; elastic reach μ_k/κ_k under p0; what a rate of opening adds to a strength, τ_k;
#: rates α_k; neutral points ξ_k; what a prepared layer dilates more, Y_k; share of a strength that is lost against the
#: fabric, η_k; saturation of its spring, q_k. What each fabric does to neutral points, χ_ik, follows, one row a fabric.
SLIDERS = ("strength", "reach", "dilatancy", "rate", "neutral", "virgin", "loss", "saturation")
#: Numbers of ``layer``: stiffness of h against closing, what it has more for opening than for closing, length of the
#: change between both; h below which springs soften less, c; ξ₀; D; C; λ; ν; how fast an opposite fabric turns, ε; the
#: lengths of B, of W and of w. That of each fabric, l_i, follows.
LAYER = (
    "stiffness", "asymmetry", "rounding", "contact", "distance", "loosening", "compaction", "line", "densest",
    "turning", "structure", "compacted", "loosened",
)  # fmt: skip

# How smoothly a layer loses touch, as in femnn.cohesive.recurrent.precompressed, whose h is this to the power 3/2.
_ROUNDING = 0.05
_VIRGIN = 1.0 + np.sqrt(1.0 + _ROUNDING**2)

_MOST_ITERATIONS, _CLOSE = 60, 1e-13
# Where the lengths begin in the numbers of a layer, and where those of the fabrics do; where w and the fabrics do in a
# state; where what fabrics do begins in the rows of sliders.
_LENGTHS, _FABRIC_LENGTHS, _WAY, _FABRICS, _TURNS = 10, len(LAYER), 3, 5, len(SLIDERS)

# How far the size of a number is smoothed.
_CORNER = 0.01
# Largest pressure over that of Hertz's contacts.
_PRESSURE = 1.6
# Most of h^(3/2) s'/s² over √(1 + 1/c)/(1 + q), for c q ≤ 2: at h = c/2 for q = 0, √(2/3) - √(2/3)³/2.
_STEEPEST = 0.5444
# How smoothly the radius of a slider's yield circle stays above what opening takes, over its strength.
_LEAST = 0.1


class CriticalState(Cell):
    """A trained critical-state cell; it answers tractions of a layer whose virgin traction is (-1, 0, 0).

    Its state is v, B, W, the two components of w and of each fabric, then those of s_k of each slider, in separation
    scales.

    Parameters
    ----------
    tensors
        ``sliders`` (8 + f, k), rows as :data:`SLIDERS`; ``layer`` (13 + f,), numbers as :data:`LAYER`, of f fabrics.

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
    stiffness, asymmetry, rounding, contact, distance, *moved, turning = layer[:_LENGTHS]
    lengths = min(reach.min(), rounding, distance, layer[_LENGTHS:].min())
    if (
        min(lengths, contact, layer[8], strength.min(), rate.min()) <= 0.0
        or min(dilatancy.min(), sliders[5:].min(), *moved) < 0.0
    ):
        return "a strength, a reach, a rate or a length is not positive"
    if not 0.0 < turning <= 1.0:
        return "an opposite fabric would never turn, or faster than another"
    if not abs(asymmetry) < stiffness:
        return "the layer would soften under its pressure"
    if not contact * sliders[7].max() <= 2.0:
        return "springs would soften under pressure"
    if not sliders[6].max() < 1.0:
        return "a slider would bear nothing against the fabric"
    if abs(rate @ neutral) > 1e-9 * (rate @ np.abs(neutral) + 1e-12):
        return f"Σ α ξ is {rate @ neutral:.3g} instead of zero, so that sliding does not end in the critical state"
    pressure = pressures(sliders, layer)
    if not pressure <= _PRESSURE:
        return f"springs carry {pressure - 1.0:.2g} of the pressure of the contacts instead of {_PRESSURE - 1.0:.2g}"
    return ""


def farthest(layer: np.ndarray) -> float:
    """The largest ξ of a layer: the densest one, under no pressure."""
    return layer[4] + layer[7] + layer[8]


def pressures(sliders: np.ndarray, layer: np.ndarray) -> float:
    """The largest pressure over that of Hertz's contacts: the springs of the sliders carry the rest."""
    strength, turn, back = sliders[0], sliders[_TURNS:].sum(axis=0), 0.5 * sliders[6] * sliders[0]
    rate, opens = sliders[3], sliders[2] * sliders[3]
    apart = farthest(layer) - sliders[4] + sliders[5] - turn
    borne = strength - back + opens * apart
    # the largest of |τ - p| for p from 1 to the largest is that from their middle on, and half of their range
    half = 0.5 * (_PRESSURE - 1.0)
    spent = _PRESSURE * rate * _size(apart) + (_size(sliders[2] - 1.0 - half) + half) * rate * turn + back
    radius = 0.5 * (borne + spent + np.sqrt((borne - spent) ** 2 + (_LEAST * strength) ** 2))
    # Σ m²/κ h^(3/2) s'/s², times what h can change with the opening
    most = (radius + opens * turn + back) ** 2 * sliders[1] / strength / (1.0 + sliders[7])
    carried = float(most.sum()) * (layer[0] + _size(layer[1]))
    return 1.0 + 0.5 * carried * _STEEPEST * np.sqrt(1.0 + 1.0 / layer[3])


def _size(value):
    """The size of a number or more, without a corner at zero."""
    return np.sqrt(value * value + _CORNER * _CORNER)


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
def _stiffness(h, q, layer):
    """The stiffness s(h) of a spring, two derivatives of it; its reach h^(3/2)/s and its derivative."""
    c, full = layer[3], 1.0 + q * h
    s = np.sqrt(h * (c + h) / (c + 1.0)) * (1.0 + q) / full
    by = 0.5 / h + 0.5 / (c + h) - q / full
    bend = by * by - 0.5 / (h * h) - 0.5 / ((c + h) * (c + h)) + q * q / (full * full)
    reached = h * np.sqrt(h) / s
    return s, s * by, s * bend, reached, reached * (1.5 / h - by)


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
def _distance(h, old, layer):
    """How far a layer is to open, from the virgin one on, and its derivative by h."""
    short = 1.0 - old[_WAY] * old[_WAY] - old[_WAY + 1] * old[_WAY + 1]
    distance = layer[4] - short * (layer[5] + layer[6] * old[2]) - layer[7] * (h - 1.0) / (h + 1.0)
    return distance, -2.0 * layer[7] / ((h + 1.0) * (h + 1.0))


@njit(cache=True, error_model="numpy", inline="always")
def _fabric_left(v, layer):
    """The share of what fabrics do to neutral points that a dense layer leaves; its derivatives by v and by ν."""
    x = 1.0 + v / layer[8]
    if x >= 1.0:
        return 1.0, 0.0, 0.0
    if x <= 0.0:
        return 0.0, 0.0, 0.0
    slope = 6.0 * x * (1.0 - x) / layer[8]
    return x * x * (3.0 - 2.0 * x), slope, -slope * v / layer[8]


@njit(cache=True, error_model="numpy", inline="always")
def _circle(k, xi, old, sliders, layer):
    """Of a slider: radius of its yield circle over h^(3/2) and its derivative by ξ; centre; Σ χ a; Σ χ - Y (1 - B)."""
    turn, g1, g2 = -sliders[5, k] * (1.0 - old[1]), 0.0, 0.0
    left, _, _ = _fabric_left(old[0], layer)
    for i in range(layer.size - _FABRIC_LENGTHS):
        chi = left * sliders[_TURNS + i, k]
        turn += chi
        g1, g2 = g1 + chi * old[_FABRICS + 2 * i], g2 + chi * old[_FABRICS + 1 + 2 * i]
    mu, rate, least = sliders[0, k], sliders[3, k], _LEAST * sliders[0, k]
    back, opens = 0.5 * sliders[6, k] * mu, sliders[2, k] * rate
    apart = xi - sliders[4, k] - turn
    m = mu - back + opens * apart
    spent, spent_xi, _, _, _ = _spent(k, apart, g1, g2, old, sliders)
    off = m - spent
    root = np.sqrt(off * off + least * least)
    # far below the sum would cancel
    above = 0.5 * (off + root) if off > 0.0 else 0.5 * least * least / (root - off)
    radius_xi = spent_xi + above / root * (opens - spent_xi)
    back1, back2 = back * old[_FABRICS], back * old[_FABRICS + 1]
    return spent + above, radius_xi, opens * g1 + back1, opens * g2 + back2, g1, g2, turn


@njit(cache=True, error_model="numpy", inline="always")
def _spent(k, apart, g1, g2, old, sliders):
    """What radius a slider needs to give no energy, and its derivative by ``apart``, ξ - ξ_k - Σ χ + Y (1 - B).

    In the direction n the circle is to bear p (apart + g·n) α, for each p over h^(3/2) from 1 to the largest. What its
    centre lacks of that is linear in p; last come the p of which most is missing, and the vector that is.
    """
    rate, back = sliders[3, k], 0.5 * sliders[6, k] * sliders[0, k]
    most, worst, worst1, worst2 = -1.0, 1.0, 0.0, 0.0
    for p in (1.0, _PRESSURE):
        more = (sliders[2, k] - p) * rate
        v1, v2 = more * g1 + back * old[_FABRICS], more * g2 + back * old[_FABRICS + 1]
        length = np.sqrt(v1 * v1 + v2 * v2)
        if length > most:
            most, worst, worst1, worst2 = length, p, v1, v2
    slope = rate * (_PRESSURE if apart > 0.0 else 1.0)
    if slope * apart + most <= 0.0:
        return 0.0, 0.0, worst, worst1, worst2
    return slope * apart + most, slope, worst, worst1, worst2


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
    distance, distance_v = _distance(h, old, layer)
    distance_v *= by_v
    xi, xi_v = distance - v, distance_v - 1.0
    a = b = a_v = b_v = 0.0
    for k in range(sliders.shape[1]):
        at = old.size - 2 * (sliders.shape[1] - k)
        radius, radius_xi, c1, c2, g1, g2, turn = _circle(k, xi, old, sliders, layer)
        _, _, _, reached, reached_h = _stiffness(h, sliders[7, k], layer)
        flexible = sliders[1, k] / sliders[0, k]
        far, far_v = reached * flexible, reached_h * flexible * by_v
        length, n1, n2 = _stretched(at, s1, s2, old, far * c1, far * c2)
        slid = length - far * radius
        if slid > 0.0:
            rate, along, ahead = sliders[3, k], g1 * n1 + g2 * n2, c1 * n1 + c2 * n2
            neutral = sliders[4, k] + turn - along
            slid_v = -far_v * (ahead + radius) - far * radius_xi * xi_v
            across = g1 * c1 + g2 * c2 - along * ahead
            a, a_v = a + rate * slid, a_v + rate * slid_v
            b += rate * neutral * slid
            b_v += rate * (neutral * slid_v + slid * far_v * across / length)
    if a == 0.0:
        return v - old[0], 1.0
    target, share = distance - b / a, -np.expm1(-a)
    target_v = distance_v - (b_v - b / a * a_v) / a
    if target < -layer[8]:
        target, target_v = -layer[8], 0.0
    missing = v - old[0] - share * (target - old[0])
    return missing, 1.0 - share * target_v - (1.0 - share) * a_v * (target - old[0])


@njit(cache=True, error_model="numpy", inline="always")
def _turning(along, layer):
    """How fast a fabric turns whose component along the way is given: an opposite one slowly at first."""
    return layer[9] + (1.0 - layer[9]) * 0.5 * (1.0 + along)


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
    for i in range(_WAY - 1):
        new[1 + i] = old[1 + i] - np.expm1(-slid / whole / layer[_LENGTHS + i]) * (1.0 - old[1 + i])
    for i in range(1 + layer.size - _FABRIC_LENGTHS):
        at = _WAY + 2 * i
        new[at], new[at + 1] = old[at], old[at + 1]
        if slid > 0.0:
            # w comes first, then the fabrics
            fast = _turning((old[at] * way1 + old[at + 1] * way2) / slid, layer) if i > 0 else 1.0
            share = -np.expm1(-slid * fast / whole / layer[_FABRIC_LENGTHS - 1 + i])
            new[at] += share * (way1 / slid - old[at])
            new[at + 1] += share * (way2 / slid - old[at + 1])


@njit(cache=True, error_model="numpy")
def _opened(e_total, fixed_h, start, s1, s2, old, sliders, layer):
    """v after a step, sought from ``start``: at the opening ``e_total``, or at ``fixed_h`` where that is not finite."""
    lowest, margin, loosest = (sliders[4] - sliders[5]).min(), 1e-12, _distance(1.0, old, layer)[0] + layer[7]
    low, high = min(old[0], -layer[8] - margin), max(old[0], loosest - lowest + margin)
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
        distance, distance_e = _distance(h, old[n], layer)
        distance_e *= h_e
        xi = distance - v
        # how v follows the separation: of the missing opening by e, by each component, and by v
        v_u = np.zeros(3)
        a = b = 0.0
        a_e = b_e = a_1 = a_2 = b_1 = b_2 = 0.0
        for k in range(count):
            at = places + 2 * k
            radius, radius_xi, c1, c2, g1, g2, turn = _circle(k, xi, old[n], sliders, layer)
            _, _, _, reached, reached_h = _stiffness(h, sliders[7, k], layer)
            flexible = sliders[1, k] / sliders[0, k]
            far, far_e = reached * flexible, reached_h * flexible * h_e
            length, n1, n2 = _stretched(at, s1, s2, old[n], far * c1, far * c2)
            slid = length - far * radius
            if slid > 0.0:
                rate, along, ahead = sliders[3, k], g1 * n1 + g2 * n2, c1 * n1 + c2 * n2
                neutral = sliders[4, k] + turn - along
                slid_e = -far_e * (ahead + radius) - far * radius_xi * distance_e
                across = g1 * c1 + g2 * c2 - along * ahead
                a, b = a + rate * slid, b + rate * neutral * slid
                a_e += rate * slid_e
                b_e += rate * (neutral * slid_e + slid * far_e * across / length)
                a_1, a_2 = a_1 + rate * n1, a_2 + rate * n2
                # the neutral point changes as the slider turns
                b_1 += rate * (neutral * n1 - (g1 - along * n1) * slid / length)
                b_2 += rate * (neutral * n2 - (g2 - along * n2) * slid / length)
        if a > 0.0:
            share, target = -np.expm1(-a), max(distance - b / a, -layer[8])
            gap, moves = (1.0 - share) * (target - old[n, 0]), share if target > -layer[8] else 0.0
            _, missing_v = _missing(v, h, -h_e, s1, s2, old[n], sliders, layer)
            v_u[0] = (gap * a_e + moves * (distance_e - (b_e - b / a * a_e) / a)) / missing_v
            v_u[1] = (gap * a_1 - moves * (b_1 - b / a * a_1) / a) / missing_v
            v_u[2] = (gap * a_2 - moves * (b_2 - b / a * a_2) / a) / missing_v
        traction[n, 0] = -h * np.sqrt(h)
        traction[n, 1] = traction[n, 2] = 0.0
        # by e of the energy's derivative, and of the pulls where the springs stay; rows by the separation
        bend, pulled1, pulled2 = -1.5 * np.sqrt(h) * h_e, 0.0, 0.0
        by = np.zeros((3, 3))
        new[n, 0] = v
        for k in range(count):
            at = places + 2 * k
            radius, radius_xi, c1, c2, g1, g2, turn = _circle(k, xi, old[n], sliders, layer)
            s, s_h, s_hh, reached, reached_h = _stiffness(h, sliders[7, k], layer)
            flexible = sliders[1, k] / sliders[0, k]
            far, far_e = reached * flexible, reached_h * flexible * h_e
            stiff, stiff_e, stiff_ee = s / flexible, s_h * h_e / flexible, (s_h * h_ee + s_hh * h_e * h_e) / flexible
            length, n1, n2 = _stretched(at, s1, s2, old[n], far * c1, far * c2)
            if length <= far * radius:
                e1, e2 = s1 - old[n, at], s2 - old[n, at + 1]
                by[0, 1], by[0, 2] = by[0, 1] + stiff_e * e1, by[0, 2] + stiff_e * e2
                by[1, 1], by[2, 2] = by[1, 1] + stiff, by[2, 2] + stiff
            else:
                e1, e2 = far * (c1 + radius * n1), far * (c2 + radius * n2)
                turned = far * radius / length
                by11, by12, by22 = turned * n2 * n2, -turned * n1 * n2, turned * n1 * n1
                by[0, 1] += stiff_e * (e1 * by11 + e2 * by12)
                by[0, 2] += stiff_e * (e1 * by12 + e2 * by22)
                by[1, 1], by[2, 2] = by[1, 1] + stiff * by11, by[2, 2] + stiff * by22
                by[1, 2], by[2, 1] = by[1, 2] + stiff * by12, by[2, 1] + stiff * by12
                ahead = c1 * n1 + c2 * n2
                e1_far = c1 + radius * n1 - turned * (c1 - ahead * n1)
                e2_far = c2 + radius * n2 - turned * (c2 - ahead * n2)
                for j in range(3):
                    e_j = (1.0 if j == 0 else 0.0) - v_u[j]
                    grows = far * radius_xi * (distance_e * e_j - v_u[j])
                    e1_j, e2_j = e1_far * far_e * e_j + grows * n1, e2_far * far_e * e_j + grows * n2
                    by[0, j] += stiff_e * (e1 * e1_j + e2 * e2_j)
                    by[1, j] += stiff * e1_j
                    by[2, j] += stiff * e2_j
            new[n, at], new[n, at + 1] = s1 - e1, s2 - e2
            square = 0.5 * (e1 * e1 + e2 * e2)
            traction[n, 0] += stiff_e * square
            bend += stiff_ee * square
            traction[n, 1], traction[n, 2] = traction[n, 1] + stiff * e1, traction[n, 2] + stiff * e2
            pulled1, pulled2 = pulled1 + stiff_e * e1, pulled2 + stiff_e * e2
        _turned(old[n], new[n], sliders, layer)
        for j in range(3):
            e_j = (1.0 if j == 0 else 0.0) - v_u[j]
            tangent[n, 0, j] = by[0, j] + bend * e_j
            tangent[n, 1, j], tangent[n, 2, j] = by[1, j] + pulled1 * e_j, by[2, j] + pulled2 * e_j


@njit(cache=True, error_model="numpy")
def _carried(v, h, s1, s2, old, sliders, layer, new):
    """What the springs' energy changes by with h, and their pulls; the places of the sliders go to ``new``."""
    places = old.size - 2 * sliders.shape[1]
    xi = _distance(h, old, layer)[0] - v
    energy_h = t1 = t2 = 0.0
    for k in range(sliders.shape[1]):
        at = places + 2 * k
        radius, _, c1, c2, _, _, _ = _circle(k, xi, old, sliders, layer)
        s, s_h, _, reached, _ = _stiffness(h, sliders[7, k], layer)
        flexible = sliders[1, k] / sliders[0, k]
        far = reached * flexible
        length, n1, n2 = _stretched(at, s1, s2, old, far * c1, far * c2)
        left = min(length, far * radius)
        e1, e2 = far * c1 + left * n1, far * c2 + left * n2
        new[at], new[at + 1] = s1 - e1, s2 - e2
        energy_h += 0.5 * s_h * (e1 * e1 + e2 * e2) / flexible
        t1, t2 = t1 + s * e1 / flexible, t2 + s * e2 / flexible
    return energy_h, t1, t2


@njit(cache=True, error_model="numpy")
def _solved(p, s1, s2, old, sliders, layer):
    """v and h under a pressure."""
    extra, v, h, new = 0.0, old[0], 1.0, np.empty_like(old)
    for _ in range(_MOST_ITERATIONS):
        # what the springs carry changes little with h
        h = max(p - extra, 0.2 * p) ** (2.0 / 3.0)
        v = _opened(np.nan, h, v, s1, s2, old, sliders, layer)
        energy_h = _carried(v, h, s1, s2, old, sliders, layer, new)[0]
        carried = -energy_h * _touch(_elastic_opening(h, layer), layer)[1]
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
            ratio[n, i, 0], ratio[n, i, 1] = t1 / p, t2 / p
