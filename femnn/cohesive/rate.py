"""Laws that are told the time: viscosity beside any law, and friction that depends on rate and state.

A solver says the time of the state that it seeks next by :meth:`femnn.cohesive.Law.set_time`; the history of a point
holds the time of the last accepted state. What follows of both, the time step, is therefore in restart files as well.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import checked, number, positive
from femnn.cohesive.law import Law, State
from femnn.cohesive.wrapping import WrappingLaw
from femnn.exceptions import LawError

# Widest span in which the logarithm of a slip is sought, iterations of that, and where rounding ends them.
_WIDEST, _MOST_ITERATIONS, _ROUNDING = 90.0, 100, 1e-15

# Largest exponent: its power is a float.
_LARGEST = 700.0


class _TimedLaw(Law):
    """A law with a clock."""

    depends_on_time = True

    def __init__(self, start: float) -> None:
        self.start = number("start", start)
        self.time = self.start

    def set_time(self, t: float) -> None:
        """Take note of the time (s, or the load factor of :func:`femnn.newton`) of the state that is sought next."""
        self.time = number("t", t)

    def _steps(self, times):
        """Time steps (n,) since the points' ``times``; LawError if time runs backwards."""
        steps = self.time - times
        if len(steps) and steps.min() < 0.0:
            raise LawError(
                f"the time runs backwards, from {times.max():.6g} to {self.time:.6g}: a law that depends on the rate "
                "has no answer; start the path at the time of the state, or the state anew"
            )
        return steps


class ViscousCohesive(WrappingLaw, _TimedLaw):
    """Any law with a viscous traction η Δδ/Δt beside its own: a regularisation, or the damping by radiated waves.

    A softening interface that snaps back, or a fault that fails faster than a quasi-static body can follow, has an
    equilibrium again; how much of the work went into the viscosity is told by :meth:`viscous_work`, to be compared with
    the toughness. As radiation damping of a fault (J. R. Rice, J. Geophys. Res. 98 (1993) 9885-9907) η is G/(2 c) in
    shear, with the shear modulus and the speed of shear waves.

    Parameters
    ----------
    law : Law
    viscosity
        η along the normal, Pa·s/m; where the time is a load factor from 0 to 1, Pa/m for the whole path.
    shear_viscosity
        η of the two shears; default: ``viscosity``.
    start
        Time of virgin points.

    Raises
    ------
    ParameterError
        If a viscosity is negative or not finite, or ``law`` is none.

    Examples
    --------
    >>> from femnn.cohesive import BilinearCohesive
    >>> law = ViscousCohesive(BilinearCohesive(80e6, 100e6, 969.0, 1719.0), 1e10)
    >>> law.set_time(1e-3)
    >>> traction, _, state = law.update([[1e-6, 0.0, 0.0]], law.initial_state(1))
    >>> plain = law.law.update([[1e-6, 0.0, 0.0]], law.law.initial_state(1)).traction
    >>> (traction - plain).tolist(), law.viscous_work(state).tolist()
    ([[10000000.0, 0.0, 0.0]], [10.0])
    """

    #: Separation, time and viscous work.
    columns = 5

    @checked(viscosity="[0, inf)", shear_viscosity="[0, inf)")
    def __init__(self, law: Law, viscosity: float, shear_viscosity: float | None = None, *, start: float = 0.0) -> None:
        WrappingLaw.__init__(self, law)
        _TimedLaw.__init__(self, start)
        shear = viscosity if shear_viscosity is None else shear_viscosity
        self.viscosity = np.array([viscosity, shear, shear])

    def __repr__(self) -> str:
        return f"ViscousCohesive({self.law.name}, {self.viscosity[0]:g}, {self.viscosity[1]:g})"

    @property
    def microstructure(self) -> Any:
        """What the law beneath takes and predicts beside the separation, None for most."""
        return getattr(self.law, "microstructure", None)

    def predict_microstructure(self, separation: ArrayLike, state: State) -> np.ndarray:
        """As the law beneath."""
        self._require_state(state)
        return self.law.predict_microstructure(separation, self._beneath(state.values))

    def predictions(self, state: State) -> dict:
        """As the law beneath; nothing if it has none."""
        self._require_state(state)
        return self.law.predictions(self._beneath(state.values)) if hasattr(self.law, "predictions") else {}

    def set_time(self, t: float) -> None:
        """Take note of the time of the state that is sought next, also for the law beneath."""
        _TimedLaw.set_time(self, t)
        self.law.set_time(t)

    def viscous_work(self, state: State) -> np.ndarray:
        """Work that the viscosity has taken at each point so far, (n,), J/m²."""
        self._require_state(state)
        return state.values[:, -1].copy()

    def _virgin(self, n):
        return np.hstack([self.law._virgin(n), np.zeros((n, 3)), np.full((n, 1), self.start), np.zeros((n, 1))])

    def _update(self, separation, values):
        before, times, work = values[:, -5:-2], values[:, -2], values[:, -1]
        traction, tangent, state = self.law.update(separation, self._beneath(values))
        steps = self._steps(times)
        # at rest, as where a state is evaluated once more, there is no rate
        rate = np.divide(1.0, steps, out=np.zeros(len(steps)), where=steps > 0.0)[:, None] * self.viscosity
        change = separation - before
        viscous = rate * change
        new = [state.values, separation, np.full((len(values), 1), self.time)]
        taken = work + np.einsum("ni,ni->n", viscous, change)
        return traction + viscous, tangent + rate[:, :, None] * np.eye(3), np.hstack([*new, taken[:, None]])


class RateStateFriction(_TimedLaw):
    """Friction that depends on the sliding rate V and on a state θ, the age of the contacts.

    With the pressure σ of the faces, which are pressed elastically, the sliding shear traction is

        τ = σ a arcsinh(V/(2 V₀) exp((f₀ + b ln(V₀ θ/D))/a)),        dθ/dt = 1 − V θ/D

    (J. H. Dieterich, J. Geophys. Res. 84 (1979) 2161-2168; A. Ruina, ibid. 88 (1983) 10359-10370; finite at rest by
    J. R. Rice, N. Lapusta, K. Ranjith, J. Mech. Phys. Solids 49 (2001) 1865-1898). The step is implicit in V; θ is
    exact for a constant V in the step. Before it slides, the fault shears elastically. In a step of no time nothing
    slides. Where the fault weakens faster than its shear stiffness unloads, there is no quasi-static answer: LawError,
    the solver takes a smaller step, and a :class:`ViscousCohesive` around it with the damping by radiation has one.

    Parameters
    ----------
    friction
        f₀, at the rate ``reference_rate`` in steady sliding.
    direct, evolution
        a and b; the fault weakens with the rate in steady sliding if b > a.
    distance
        D, m.
    normal_stiffness, shear_stiffness
        Of the faces, Pa/m.
    reference_rate
        V₀, m/s.
    age
        θ of virgin points, s; default: that of steady sliding at the reference rate, D/V₀.
    start
        Time of virgin points, s.

    Raises
    ------
    ParameterError
        If a parameter is not positive.

    Examples
    --------
    Steady sliding ten times as fast as the reference:

    >>> law = RateStateFriction(0.6, 0.01, 0.015, 1e-4, 1e13, 1e13)
    >>> state = law.initial_state(1)
    >>> for step in range(1, 201):
    ...     law.set_time(1.0 * step)
    ...     traction, _, state = law.update([[-1e-6, 1e-5 * step, 0.0]], state)
    >>> bool(abs(-traction[0, 1] / traction[0, 0] - (0.6 - 0.005 * np.log(10.0))) < 1e-4)
    True
    """

    @checked()
    def __init__(
        self,
        friction: float,
        direct: float,
        evolution: float,
        distance: float,
        normal_stiffness: float,
        shear_stiffness: float,
        *,
        reference_rate: float = 1e-6,
        age: float | None = None,
        start: float = 0.0,
    ) -> None:
        super().__init__(start)
        self.friction, self.direct = positive("friction", friction), positive("direct", direct)
        self.evolution, self.distance = positive("evolution", evolution, zero=True), positive("distance", distance)
        self.normal_stiffness = positive("normal_stiffness", normal_stiffness)
        self.shear_stiffness = positive("shear_stiffness", shear_stiffness)
        self.reference_rate = positive("reference_rate", reference_rate)
        self.age = self.distance / self.reference_rate if age is None else positive("age", age)
        self.separation_scale = self.distance

    def __repr__(self) -> str:
        numbers = (self.friction, self.direct, self.evolution, self.distance, self.normal_stiffness)
        more = (self.shear_stiffness, self.reference_rate, self.age)
        return f"RateStateFriction({', '.join(f'{value:g}' for value in (*numbers, *more))})"

    def age_of(self, state: State) -> np.ndarray:
        """θ of each point (n,), s."""
        self._require_state(state)
        return state.values[:, 2].copy()

    def slip_of(self, state: State) -> np.ndarray:
        """What each point has slid along the two shear directions, (n, 2), m."""
        self._require_state(state)
        return state.values[:, :2].copy()

    def _virgin(self, n):
        return np.tile([0.0, 0.0, self.age, self.start], (n, 1))

    def _update(self, separation, values):
        n, k = len(separation), self.shear_stiffness
        closed = separation[:, 0] < 0.0
        pressure = np.where(closed, -self.normal_stiffness * separation[:, 0], 0.0)
        elastic = separation[:, 1:] - values[:, :2]
        length = np.linalg.norm(elastic, axis=1)
        steps, age = self._steps(values[:, 3]), values[:, 2]
        slides = closed & (steps > 0.0) & (length > 0.0)
        slip, slope, coefficient = np.zeros(n), np.zeros(n), np.zeros(n)
        # faces that are apart bear no shear
        slip[~closed] = length[~closed]
        rows = np.flatnonzero(slides)
        slip[rows] = self._slid(length[rows], pressure[rows], age[rows], steps[rows])
        coefficient[rows], slope[rows] = self._coefficient(slip[rows], age[rows], steps[rows])
        softening = k + pressure * slope
        if (softening <= 0.0).any():
            raise LawError(
                f"{np.count_nonzero(softening <= 0.0)} of {n} points weaken faster than they unload in a step of "
                f"{steps.max():.3g} s; take smaller steps, or give the fault a viscosity with ViscousCohesive"
            )
        direction = np.divide(elastic, length[:, None], out=np.zeros((n, 2)), where=length[:, None] > 0.0)
        shear = k * (length - slip)
        traction = np.column_stack([-pressure, shear[:, None] * direction])
        tangent = np.zeros((n, 3, 3))
        tangent[closed, 0, 0] = self.normal_stiffness
        # of what sticks the stiffness, of what slides that of the law and of the faces one behind the other
        along = closed * np.where(slides, k * pressure * slope / softening, k)
        across = closed * np.divide(shear, length, out=np.full(n, k), where=length > 0.0)
        both = direction[:, :, None] * direction[:, None]
        tangent[:, 1:, 1:] = along[:, None, None] * both + across[:, None, None] * (np.eye(2) - both)
        tangent[:, 1:, 0] = -(self.normal_stiffness * k * coefficient / softening)[:, None] * direction
        slid = values[:, :2] + slip[:, None] * direction
        aged = self._aged(slip, age, steps)[0]
        return traction, tangent, np.column_stack([slid, aged, np.full(n, self.time)])

    def _slid(self, length, pressure, age, steps):
        """Slip (n,) in the step: where the elastic traction is that of the friction."""
        high = np.log(length)
        low = high - _WIDEST
        # where sliding begins, from below: a fault that weakens may have another answer far beyond
        x = np.clip(np.log(2.0 * self.reference_rate * steps) - self._exponent(age), low, high)
        for _ in range(_MOST_ITERATIONS):
            slip = np.exp(x)
            missing, slope = self._missing(slip, length, pressure, age, steps)
            low, high = np.where(missing > 0.0, x, low), np.where(missing > 0.0, high, x)
            step = np.divide(missing, slope * slip, out=np.full(len(x), np.inf), where=slope != 0.0)
            # Newton's method in the logarithm, halving where it leaves what is known to hold the answer
            new = np.where((x - step > low) & (x - step < high), x - step, 0.5 * (low + high))
            change, x = np.abs(new - x), new
            if not (change > _ROUNDING * np.abs(x)).any():
                break
        return np.exp(x)

    def _missing(self, slip, length, pressure, age, steps):
        coefficient, slope = self._coefficient(slip, age, steps)
        return self.shear_stiffness * (length - slip) - pressure * coefficient, -self.shear_stiffness - pressure * slope

    def _coefficient(self, slip, age, steps):
        """Friction coefficient (n,) after a slip, and its derivative by the slip."""
        a, b, reference = self.direct, self.evolution, self.reference_rate
        aged, by_slip = self._aged(slip, age, steps)
        rate = slip / steps
        # arcsinh(y) by the logarithm of y, which may be beyond all floats
        log = np.log(np.maximum(rate, 1e-300) / (2.0 * reference)) + self._exponent(aged)
        small = np.exp(np.minimum(log, _LARGEST))
        coefficient = a * np.where(log < 20.0, np.arcsinh(np.minimum(small, 1e9)), log + np.log(2.0))
        # y / sqrt(1 + y²)
        share = 1.0 / np.sqrt(1.0 + np.exp(-2.0 * np.clip(log, -0.5 * _LARGEST, 0.5 * _LARGEST)))
        return coefficient, share * (a / np.maximum(slip, 1e-300) + b / aged * by_slip)

    def _exponent(self, age):
        return (self.friction + self.evolution * np.log(self.reference_rate * age / self.distance)) / self.direct

    def _aged(self, slip, age, steps):
        """State θ (n,) after a slip at constant rate, and its derivative by the slip."""
        x = slip / self.distance
        kept = np.exp(-x)
        small = x < 1e-4
        x = np.where(small, 1.0, x)
        mean = np.where(small, 1.0 - 0.5 * slip / self.distance, -np.expm1(-x) / x)
        by_x = np.where(small, -0.5 + slip / (3.0 * self.distance), (kept * x + np.expm1(-x)) / x**2)
        return age * kept + steps * mean, (steps * by_x - age * kept) / self.distance
