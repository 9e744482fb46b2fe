"""Physics-informed networks for a pendulum: the angle as a network of time that satisfies the equation of motion."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import checked, instance, integer, number, one_of
from femnn.exceptions import ParameterError
from femnn.identification.estimate import Estimate
from femnn.identification.parameters import OF_THE_FREQUENCY, _free, first_guess
from femnn.identification.records import oscillation, require_record
from femnn.identification.swing import SwingEquation


@dataclass(frozen=True)
class NetworkOptions:
    """What a physics-informed network is made of, and how long it is trained.

    Attributes
    ----------
    width, depth : int
        Units of a hidden layer, and hidden layers; all have tanh.
    points : int
        Times in each window at which the equation is asked for: Chebyshev's, which crowd at the ends.
    method : str
        ``"gauss-newton"``: SciPy's trust region with the Jacobian of all weights. ``"lbfgs"``: torch's L-BFGS, as is
        usual for such networks; it settles at larger residuals.
    iterations : int
        In each window, at most.
    tol : float
        Root of the mean square of the equation's residual, over g/(r ℓ) (rad), at which a window is done.
    causality : float
        ε of the weights exp(-ε Σ r²) with the residuals r of all earlier points (S. Wang, S. Sankaran, P. Perdikaris,
        CMAME 421 (2024) 116813). 0 for equal weights: windows that hold no more than a period need none.
    harmonics : tuple
        Multiples of the frequency of small swings, whose amplitudes are outputs of the network: for networks over
        several periods, which then have to learn how these change, and not every swing.
    seed : int
        Of the initial weights.

    Examples
    --------
    >>> NetworkOptions(width=30, causality=1.0).method
    'gauss-newton'
    """

    width: int = 20
    depth: int = 1
    points: int = 32
    method: str = "gauss-newton"
    iterations: int = 100
    tol: float = 1e-6
    causality: float = 0.0
    harmonics: tuple[float, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("width", 1), ("depth", 1), ("points", 4), ("iterations", 1), ("seed", 0)):
            integer(name, getattr(self, name), least)
        one_of("method", self.method, ("gauss-newton", "lbfgs"))
        number("tol", self.tol, "(0, 1)")
        number("causality", self.causality, "[0, inf)")
        for value in instance("harmonics", self.harmonics, tuple, list, remedy="a tuple of numbers"):
            number("a value of harmonics", value, "(0, inf)")


@dataclass(frozen=True, eq=False)
class NetworkWindow:
    """θ = θ₀ + θ̇₀ τ/(1 + κ τ²) + N(τ) κ τ²/(1 + κ τ²) of τ = t - ``begin``: the initial conditions hold exactly.

    Attributes
    ----------
    begin, length : float
        s.
    theta, omega : float
        Angle and angular velocity at ``begin``.
    scale : float
        κ = g/(r ℓ), 1/s², of the equation that was trained on.
    frequencies : (m,)
        Of the waves whose amplitudes the network gives, rad/s; N is its first output plus these waves.
    weights, biases : tuple
        Of the layers.

    Examples
    --------
    A network that is zero everywhere leaves the initial conditions alone:

    >>> layers = (np.zeros((1, 4)), np.zeros((4, 1))), (np.zeros(4), np.zeros(1))
    >>> window = NetworkWindow(0.0, 1.0, 0.5, -2.0, 9.81, np.empty(0), *layers)
    >>> [float(part[0]) for part in window.motion(np.array([0.0]))]
    [0.5, -2.0, 0.0]
    """

    begin: float
    length: float
    theta: Any
    omega: Any
    scale: float
    frequencies: np.ndarray
    weights: tuple
    biases: tuple

    def motion(self, tau: Any, library: Any = np) -> tuple[Any, Any, Any]:
        """θ, θ̇ and θ̈ (n,) at times (n,) since the begin, with NumPy's functions or torch's."""
        value, first, second = self.network(tau, library)
        # φ = κτ²/D and ψ = τ/D with D = 1 + κτ² stay bounded, so that N does not have to undo their growth
        square = self.scale * tau**2
        below = 1.0 + square
        share = square / below
        share_1 = 2.0 * self.scale * tau / below**2
        share_2 = 2.0 * self.scale * (1.0 - 3.0 * square) / below**3
        start = tau / below
        start_1 = (1.0 - square) / below**2
        start_2 = 2.0 * self.scale * tau * (square - 3.0) / below**3
        return (
            self.theta + self.omega * start + share * value,
            self.omega * start_1 + share_1 * value + share * first,
            self.omega * start_2 + share_2 * value + 2.0 * share_1 * first + share * second,
        )

    def network(self, tau: Any, library: Any = np) -> tuple[Any, Any, Any]:
        """N and its first two derivatives by time, (n,) each: carried through the layers side by side."""
        zero, rate = 0.0 * tau, 2.0 / self.length
        value, first, second = (part[:, None] for part in (rate * tau - 1.0, zero + rate, zero))
        last = len(self.weights) - 1
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            value, first, second = value @ weight + bias, first @ weight, second @ weight
            if layer < last:
                value = library.tanh(value)
                slope = 1.0 - value * value
                # (tanh z)'' = tanh' z'' - 2 tanh tanh' z'²
                first, second = slope * first, slope * (second - 2.0 * value * first * first)
        wave, wave_1, wave_2 = self._waves(tau, library)
        return (
            (value * wave).sum(1),
            (first * wave + value * wave_1).sum(1),
            (second * wave + 2.0 * first * wave_1 + value * wave_2).sum(1),
        )

    def _waves(self, tau, library):
        """1, cosines and sines that the outputs are multiplied with, and their derivatives, (n, 1 + 2 m) each."""
        zero = 0.0 * tau
        waves, first, second = [zero + 1.0], [zero], [zero]
        for frequency in self.frequencies:
            c, s = library.cos(frequency * tau), library.sin(frequency * tau)
            waves += [c, s]
            first += [-frequency * s, frequency * c]
            second += [-(frequency**2) * c, -(frequency**2) * s]
        return tuple(library.stack(part, 1) for part in (waves, first, second))


@dataclass(frozen=True, eq=False)
class NetworkMotion:
    """A motion that networks have learned, one for each window of time.

    Attributes
    ----------
    equation : SwingEquation
    windows : tuple
    residuals : (windows,)
        Root of the mean square of the equation's residual over g/(r ℓ), rad, between the points that were trained on.
    evaluations : int
        Of loss and gradient, all together.

    Examples
    --------
    >>> options = NetworkOptions(width=6, points=10, iterations=3)
    >>> motion = solve_by_network(SwingEquation(), 0.2, duration=0.4, windows=2, options=options, progress=False)
    >>> motion.angle([0.0]).tolist(), round(motion.end, 9)
    ([0.2], 0.4)
    """

    equation: SwingEquation
    windows: tuple[NetworkWindow, ...]
    residuals: np.ndarray
    evaluations: int

    def __repr__(self) -> str:
        return (
            f"NetworkMotion({len(self.windows)} windows to {self.end:.4g} s, residual at most "
            f"{self.residuals.max():.1e} rad)"
        )

    @property
    def end(self) -> float:
        """Time (s) at which the last window ends."""
        return self.windows[-1].begin + self.windows[-1].length

    @checked(t="n")
    def angle(self, t: ArrayLike) -> np.ndarray:
        """Angles (n,) at times (n,).

        Raises
        ------
        ParameterError
            If a time lies outside the windows.
        """
        return self._motion(t)[0]

    @checked(t="n")
    def velocity(self, t: ArrayLike) -> np.ndarray:
        """Angular velocities (n,) at times (n,)."""
        return self._motion(t)[1]

    def _motion(self, t):
        t = np.asarray(t, dtype=float)
        begin, slack = self.windows[0].begin, 1e-9 * self.end
        if len(t) and not begin - slack <= t.min() <= t.max() <= self.end + slack:
            raise ParameterError(
                f"times are from {t.min():.4g} to {t.max():.4g} s; the networks know those from {begin:.4g} to "
                f"{self.end:.4g} s only"
            )
        places = np.clip(np.searchsorted([w.begin for w in self.windows], t, side="right") - 1, 0, None)
        found = np.empty((3, len(t)))
        for k in np.unique(places):
            here = places == k
            found[:, here] = self.windows[k].motion(t[here] - self.windows[k].begin)
        return found


@checked(theta="(-3.141592653589793, 3.141592653589793)", duration="(0, inf)", windows="[1, inf)")
def solve_by_network(
    equation: SwingEquation,
    theta: float,
    omega: float = 0.0,
    *,
    duration: float,
    windows: int | None = None,
    options: NetworkOptions | None = None,
    progress: bool = True,
) -> NetworkMotion:
    """The motion of a pendulum by physics-informed networks.

    Each window of time has a network, which starts from where the one before ends: initial conditions are built into
    the angle, so that the loss is the residual of the equation alone (I. E. Lagaris, A. Likas, D. I. Fotiadis, IEEE
    Transactions on Neural Networks 9 (1998) 987-1000; M. Raissi, P. Perdikaris, G. E. Karniadakis, Journal of
    Computational Physics 378 (2019) 686-707). Torch's L-BFGS trains in float64. A time integrator does the same in a
    millisecond: this is for comparison, and for equations that come with data.

    Parameters
    ----------
    equation
    theta, omega
        Angle (rad) and angular velocity (rad/s) at t = 0.
    duration
        s.
    windows
        How many; None for two in each period of small swings.
    options
    progress
        False shows no progress bar.

    Raises
    ------
    ParameterError
        If arguments are not allowed.
    TrainingError
        If the loss is not finite.

    Examples
    --------
    >>> equation = SwingEquation(gravity=9.81, length=1.0)
    >>> options = NetworkOptions(width=10, points=20, iterations=200)
    >>> motion = solve_by_network(equation, 0.5, duration=0.5, windows=1, options=options, progress=False)
    >>> t = np.linspace(0.0, 0.5, 9)
    >>> bool(abs(motion.angle(t) - equation.exact(t, 0.5)).max() < 1e-4)
    True
    """
    # torch is loaded only where something is trained
    from femnn.identification.fit_physics_informed import train_windows

    if windows is None:
        windows = int(np.ceil(duration * np.sqrt(equation.square_frequency) / np.pi))
    return train_windows(equation, theta, omega, duration, windows, options or NetworkOptions(), progress)


#: What a network over a whole record is made of, unless the user says otherwise.
OF_A_RECORD = NetworkOptions(width=10, points=200, harmonics=(1.0, 3.0))


@checked(t="unchecked", theta="unchecked", physics="(0, inf)")
def identify_by_network(
    t: ArrayLike,
    theta: ArrayLike,
    free: Sequence[str] = ("gravity", "damping"),
    equation: SwingEquation | None = None,
    *,
    physics: float = 10.0,
    options: NetworkOptions | None = None,
) -> Estimate:
    """Parameters of a pendulum, trained together with a physics-informed network of its angle.

    The loss is the mean square of what the network misses of the record, and ``physics`` times that of the equation's
    residual over g/(r ℓ). Unlike :func:`femnn.identification.identify_swing`, the network may violate the equation a
    little. Intervals are those of least squares through the equation, at the parameters found.

    Parameters
    ----------
    t, theta : (n,)
        Times (s), in any steps, and angles (rad).
    free, equation
        As in :func:`femnn.identification.identify_swing`.
    physics
        Weight of the equation.
    options
        :data:`OF_A_RECORD` if None; multiples are of the frequency of the record.

    Raises
    ------
    ParameterError
        As :func:`femnn.identification.identify_swing`.
    TrainingError
        If the loss is not finite.

    Examples
    --------
    >>> t = np.linspace(0.0, 4.0, 60)
    >>> options = NetworkOptions(width=5, points=40, harmonics=(1.0,), iterations=30)
    >>> found = identify_by_network(t, SwingEquation(gravity=9.81).solve(t, 0.2), ("gravity",), options=options)
    >>> bool(abs(found["gravity"] - 9.81) < 0.1)
    True
    """
    from femnn.identification.fit_physics_informed import train_on_record

    t, theta = require_record(t, theta)
    free, equation = _free(free), SwingEquation() if equation is None else equation
    stiff = [name for name in free if name in OF_THE_FREQUENCY]
    if len(stiff) > 1:
        raise ParameterError(
            f"the measurements do not tell {' and '.join(stiff)} apart: only g/(r ℓ) is in the equation; hold all but "
            "one of them fixed"
        )
    strongest = oscillation(t, theta)
    guess = first_guess(free, equation, strongest)
    return train_on_record(t, theta, guess, equation, strongest.frequency, physics, options or OF_A_RECORD)
