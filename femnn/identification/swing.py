"""The equation of a swinging pendulum, its solution with sensitivities, and its known answers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ellipj, ellipk, ellipkinc

from femnn.checks import checked, floats, number
from femnn.exceptions import ParameterError
from femnn.system.compile import njit

#: What :class:`SwingEquation` knows, and can be identified.
PARAMETERS = ("gravity", "length", "length_ratio", "damping", "drag")

# Largest phase of a step of the integration: errors of the period are this to the fourth over 120.
_PHASE = 0.02

# What a pendulum can do in a step of Runge's method, so that rigid parameters do not run for ever.
_MOST_STEPS = 20_000_000


@dataclass(frozen=True)
class SwingEquation:
    """θ̈ = -g/(r ℓ) sin θ - c θ̇ - k |θ̇| θ̇ of a pendulum of length ℓ that swings by the angle θ.

    Attributes
    ----------
    gravity : float
        g, m/s².
    length : float
        ℓ, m: of the pendulum, as one measures it.
    length_ratio : float
        r: length of the point mass on a thread that swings like this one, over ℓ. 1 for the ideal pendulum, 2/3 for a
        slender rod hung at its end. In general I/(m a ℓ) with the moment of inertia I about the pivot and the distance
        a of the centre of mass.
    damping : float
        c, 1/s: resistance that is linear in the speed, as of a bearing.
    drag : float
        k, 1/rad: resistance that is quadratic, as of air.
    linear : bool
        θ in place of sin θ.

    Examples
    --------
    >>> swing = SwingEquation(gravity=9.81, length=1.0)
    >>> t = np.linspace(0.0, swing.period(0.5), 5)
    >>> np.round(swing.solve(t, 0.5), 6).tolist()
    [0.5, 0.0, -0.5, -0.0, 0.5]
    """

    gravity: float = 9.81
    length: float = 1.0
    length_ratio: float = 1.0
    damping: float = 0.0
    drag: float = 0.0
    linear: bool = False

    def __post_init__(self) -> None:
        for name in PARAMETERS[:3]:
            number(name, getattr(self, name), "(0, inf)")
        for name in PARAMETERS[3:]:
            number(name, getattr(self, name))

    @property
    def square_frequency(self) -> float:
        """g/(r ℓ), 1/s²: the square of the angular frequency of small swings without resistance."""
        return self.gravity / (self.length_ratio * self.length)

    def replaced(self, **parameters: float) -> "SwingEquation":
        """The same equation with other parameters."""
        changed: dict[str, Any] = dict(parameters)
        return replace(self, **changed)

    def acceleration(self, theta: Any, omega: Any, library: Any = np) -> Any:
        """θ̈ at angles and angular velocities, with the functions of NumPy or of another ``library``, such as torch."""
        return swing_acceleration(
            theta, omega, self.square_frequency, self.damping, self.drag, linear=self.linear, library=library
        )

    @checked(amplitude="(0, 3.141592653589793)")
    def period(self, amplitude: float) -> float:
        """Period (s) without resistance at an amplitude (rad)."""
        if self.linear:
            return 2.0 * np.pi / np.sqrt(self.square_frequency)
        return float(4.0 * ellipk(np.sin(0.5 * amplitude) ** 2) / np.sqrt(self.square_frequency))

    @checked(t="n", theta="(-inf, inf)", omega="(-inf, inf)")
    def solve(self, t: ArrayLike, theta: float, omega: float = 0.0) -> np.ndarray:
        """Angles (n,) at ascending times (n,), from angle and angular velocity at the first of them.

        Runge's and Kutta's method of fourth order; errors are about 1e-9 of the phase.
        """
        return self.sensitivities(floats("t", t), theta, omega)[0][:, 0]

    def sensitivities(
        self, t: np.ndarray, theta: float, omega: float, names: Sequence[str] = ()
    ) -> tuple[np.ndarray, np.ndarray]:
        """Angles and angular velocities (n, 2), and their derivatives (n, 2, 2 + p).

        The derivatives are those by the initial angle, the initial angular velocity and the parameters ``names``. They
        are integrated with the motion, and are exact for what the method computes.

        Raises
        ------
        ParameterError
            If a name is none of :data:`PARAMETERS`, times do not ascend, or the motion is not finite.
        """
        unknown = [name for name in names if name not in PARAMETERS]
        if unknown:
            raise ParameterError(f"there is no parameter {unknown[0]!r}; there are {', '.join(PARAMETERS)}")
        t = _ascending(t)
        rate = max(np.sqrt(self.square_frequency), abs(self.damping), abs(self.drag * omega))
        parts = np.maximum(np.ceil(np.diff(t) * rate / _PHASE), 1.0)
        if not parts.sum() <= _MOST_STEPS:
            raise ParameterError(
                f"the motion would take {parts.sum():.1e} steps: g/(r ℓ) = {self.square_frequency:.3g} 1/s², c = "
                f"{self.damping:.3g} 1/s over {t[-1] - t[0]:.3g} s; pass parameters that fit the record"
            )
        state = np.zeros((6, 2))
        state[0] = theta, omega
        state[1, 0] = state[2, 1] = 1.0
        found = np.empty((len(t), 6, 2))
        parameters = np.array([self.square_frequency, self.damping, self.drag])
        _integrate(t, parts.astype(np.int64), state, parameters, self.linear, found)
        if not np.isfinite(found).all():
            raise ParameterError(f"the motion of {self} from θ = {theta:.3g}, θ̇ = {omega:.3g} is not finite")
        by_square, square = found[:, 3], self.square_frequency
        columns = {
            "gravity": by_square * (square / self.gravity),
            "length": by_square * (-square / self.length),
            "length_ratio": by_square * (-square / self.length_ratio),
            "damping": found[:, 4],
            "drag": found[:, 5],
        }
        derivatives = np.stack([found[:, 1], found[:, 2], *(columns[name] for name in names)], axis=2)
        return found[:, 0], derivatives

    @checked(t="n", theta="(-3.141592653589793, 3.141592653589793)")
    def exact(self, t: ArrayLike, theta: float) -> np.ndarray:
        """Angles (n,) after a release at ``theta`` at t = 0, in closed form: Jacobi's functions.

        Raises
        ------
        ParameterError
            If there is resistance, with which there is no such form.
        """
        if self.damping or self.drag:
            raise ParameterError("the motion with resistance has no closed form; use solve")
        phase = np.sqrt(self.square_frequency) * floats("t", t)
        if self.linear:
            return theta * np.cos(phase)
        modulus = np.sin(0.5 * theta) ** 2
        return 2.0 * np.arcsin(np.sin(0.5 * theta) * ellipj(phase + ellipkinc(0.5 * np.pi, modulus), modulus)[0])


def swing_acceleration(
    theta: Any, omega: Any, square_frequency: Any, damping: Any, drag: Any, *, linear: bool = False, library: Any = np
) -> Any:
    """θ̈ of :class:`SwingEquation`, whose parameters may be torch's tensors that are trained."""
    restoring = theta if linear else library.sin(theta)
    return -square_frequency * restoring - damping * omega - drag * library.abs(omega) * omega


def _ascending(t):
    if len(t) < 2 or not (np.diff(t) > 0.0).all():
        place = int(np.flatnonzero(np.diff(t) <= 0.0)[0]) + 1 if len(t) > 1 else 0
        raise ParameterError(f"the times must ascend, and be two at least; time {place} of {len(t)} does not")
    return t


@njit(cache=True, error_model="numpy")
def _rates(state, parameters, linear, rates):
    """Time derivatives of the motion, and of its derivatives by θ₀, θ̇₀, g/(r ℓ), c and k, (6, 2)."""
    square, damping, drag = parameters
    theta, omega = state[0]
    restoring, slope = theta, 1.0
    if not linear:
        restoring, slope = np.sin(theta), np.cos(theta)
    resistance = abs(omega) * omega
    by_omega = -damping - 2.0 * drag * abs(omega)
    rates[0, 0], rates[0, 1] = omega, -square * restoring - damping * omega - drag * resistance
    for k in range(1, 6):
        rates[k, 0] = state[k, 1]
        rates[k, 1] = -square * slope * state[k, 0] + by_omega * state[k, 1]
    rates[3, 1] -= restoring
    rates[4, 1] -= omega
    rates[5, 1] -= resistance


@njit(cache=True, error_model="numpy")
def _integrate(t, parts, state, parameters, linear, found):
    first, second, third, fourth = np.empty((6, 2)), np.empty((6, 2)), np.empty((6, 2)), np.empty((6, 2))
    found[0] = state
    for n in range(len(parts)):
        h = (t[n + 1] - t[n]) / parts[n]
        for _ in range(parts[n]):
            _rates(state, parameters, linear, first)
            _rates(state + 0.5 * h * first, parameters, linear, second)
            _rates(state + 0.5 * h * second, parameters, linear, third)
            _rates(state + h * third, parameters, linear, fourth)
            state += h / 6.0 * (first + 2.0 * second + 2.0 * third + fourth)
        found[n + 1] = state
