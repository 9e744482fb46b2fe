"""Equilibria beyond limit points: the load factor is an unknown too, and the step is measured along the path."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import checked, one_of, vector
from femnn.exceptions import ConvergenceError, ParameterError
from femnn.solvers.linear.degrees_of_freedom import prescribe
from femnn.solvers.linear.solver import solve
from femnn.solvers.nonlinear.equilibrium import Equilibrium, Limits, follow, rolled_back
from femnn.solvers.nonlinear.load_path import Heading, LoadPath, Step
from femnn.solvers.nonlinear.newton_core import Diverged, iterate
from femnn.solvers.nonlinear.step_control import SmallestStepFailed, cut

CONTROLS = ("length", "dissipation")

# Iterations that a step is made to take, by choosing its size; and by how much the size may change at once.
_WANTED, _MOST_GROWTH = 5, 2.0

# A dissipation that cannot be reached, so often halved, is given up for a length.
_MOST_CUTS = 4

# The derivative of forces in λ is a difference over this share of the first step.
_DIFFERENCE = 1e-4

# How exactly dissipation is met, and how many times the greatest length a step may be that is measured by it.
_MISSING, _TOO_FAR = 1e-6, 10.0


@checked(load="any", values="any", initial="any", steps="[1, inf)")
def arc_length(
    problem: Any,
    load: ArrayLike,
    fixed: Any = None,
    values: ArrayLike = 0.0,
    first: float = 0.1,
    steps: int = 100,
    control: str = "length",
    rtol: float = 1e-8,
    atol: float = 0.0,
    max_iterations: int = 20,
    min_step: float = 1e-4,
    solver: Callable = solve,
    initial: ArrayLike | None = None,
    start: float = 0.0,
    heading: Heading | None = None,
    callback: Callable[[Step], Any] | None = None,
    progress: bool = True,
) -> LoadPath:
    """Follow the equilibria of ``λ · load`` and ``λ · values`` through limit points and snap-back.

    With ``control="length"`` each step has the same ‖Δu‖ (M. A. Crisfield, Computers & Structures 13 (1981) 55-62),
    with ``"dissipation"`` the same dissipated energy wherever the structure dissipates, and the same ‖Δu‖ elsewhere
    (C. V. Verhoosel, J. J. C. Remmers, M. A. Gutiérrez, International Journal for Numerical Methods in Engineering 77
    (2009) 1290-1321, Eqs. 21-23, for laws that unload to the origin, such as damage; here for prescribed displacements
    too). Sizes are adapted to the number of iterations; the first one bounds ‖Δu‖ of all. Each iteration takes two
    solutions with one matrix.

    The time of the problem is λ: pressures that follow, temperatures, planes that move and laws that depend on time get
    it before every evaluation, and their derivative in λ, a difference, is part of the iteration. On the way back over
    a snap it runs backwards; nothing relaxes then.

    Parameters
    ----------
    problem, fixed, rtol, atol, max_iterations, solver, progress
        As in :func:`femnn.newton`. Beyond a limit point the tangent is not positive definite: large systems need a
        direct ``solver``.
    load : (n,), values
        External force and prescribed displacements for λ = 1.
    first
        Change of λ in the first step.
    steps
        Most steps taken: the path has no end of its own. A ``callback`` that returns true ends it.
    control
        ``"length"`` or ``"dissipation"``, which knows the work of ``load`` and ``values`` alone: not for problems whose
        forces depend on λ themselves.
    min_step
        Smallest size of a step, relative to the first.
    initial, start, heading
        To go on from: displacement and λ in equilibrium, the state of ``problem`` being that of then, and where the
        path was heading, from a :class:`LoadPath` or :class:`Step`. None for a beginning.
    callback
        Called with each Step after it is committed.

    Returns
    -------
    LoadPath

    Raises
    ------
    ParameterError, ConvergenceError, KeyboardInterrupt
        As :func:`femnn.newton`.

    Examples
    --------
    >>> import femnn, skfem
    >>> mesh, rule = skfem.MeshHex().refined(1), femnn.GaussLegendre(2)
    >>> body = femnn.Solid(mesh, rule, femnn.NeoHooke(1e6, 0.3))
    >>> weight = femnn.assemble_body_force(mesh, rule, (0.0, 0.0, -1e4))
    >>> held = (3 * (mesh.p[2] == 0.0).nonzero()[0][:, None] + [0, 1, 2]).ravel()
    >>> path = femnn.arc_length(body, weight, held, first=0.2, steps=3, progress=False)
    >>> len(path.steps), path.t > 0.2
    (3, True)
    """
    one_of("control", control, CONTROLS)
    if first == 0.0:
        raise ParameterError("first=0.0 is not allowed; pass the change of λ in the first step")
    load = np.atleast_1d(load)
    n = len(load)
    limits = Limits(rtol, atol, max_iterations, min_step)
    equilibrium = Equilibrium.of(problem, solver, limits, n, fixed, initial)
    if control == "dissipation":
        require_no_time(equilibrium, "control='length'")
    path = ArcPath(equilibrium, vector(load, n, "load"), prescribe(n, fixed, values)[0], control, first)
    heading = Heading(np.zeros(n), first) if heading is None else heading
    return follow(problem, islice(path.steps(start, heading), steps), steps, callback, progress)


@dataclass(eq=False, repr=False)
class ArcPath:
    """Steps from one state of equilibrium to the next.

    None leads to a λ beyond ``latest``; with ``insists``, dissipation that cannot be met is not given up for a length.
    """

    equilibrium: Equilibrium
    load: np.ndarray
    values: np.ndarray
    control: str
    first: float
    latest: float = np.inf
    insists: bool = False

    def steps(self, t, heading):
        """Yield one Step after the other from ``t`` on, committed; without end."""
        while True:
            step = self.step(t, heading)
            t, heading = step.t, step.heading
            yield step

    def step(self, t, heading):
        """One Step, cut as often as it takes."""
        # a dissipation that is given up begins anew with the whole length
        gives_up = heading.dissipation and not self.insists
        begun_anew = 2.0 ** (_MOST_CUTS + 1) if gives_up else 1.0

        def attempt(part):
            if part * begun_anew > 1.0 or not gives_up:
                return self._reach(t, heading.scaled(part))
            return self._reach(t, replace(heading, dissipation=0.0).scaled(part * begun_anew))

        min_step = self.equilibrium.limits.min_step
        try:
            step, _, cuts = cut(attempt, 0.0, 1.0, min_step / min(1.0, begun_anew * heading.fraction))
        except SmallestStepFailed as failed:
            self.equilibrium.set_time(t)
            raise ConvergenceError(
                f"the path could not be followed beyond t = {t:.6g}: steps down to min_step={min_step:g} of the first "
                f"failed ({failed.cause}); the state there is kept. Try a smaller `first`, the other control, or look "
                "for a bifurcation, a law with a kink, or a tangent that is not consistent",
                self.equilibrium.u,
                np.array(failed.cause.residuals),
                float(t),
            ) from failed.cause
        return replace(step, cuts=cuts)

    def _reach(self, t0, heading):
        """The bordered Newton method from the last equilibrium; commits what it finds."""
        equilibrium, load = self.equilibrium, self.load
        u0 = equilibrium.u

        def iterate_at(du, dt):
            equilibrium.set_time(t0 + dt)
            point = equilibrium.iterate_at(u0 + du, (t0 + dt) * load)
            return point._replace(response=(*point.response, du, dt))

        def missing(point):
            return heading.dissipation - lost(point) if heading.dissipation else 0.0

        def lost(point):
            return dissipated(u0, force0, point.x, point.response[0])

        def is_solved(point, errors):
            return point.norm <= equilibrium.enough(point) and abs(missing(point)) <= _MISSING * heading.dissipation

        def advance(point, errors):
            _, tangent, du, dt = point.response
            growth = self._growth(point.x, t0 + dt, point.response[0])
            along = equilibrium.solve(tangent, growth, self.values[equilibrium.fixed])
            lacking = ((t0 + dt) * self.values - point.x)[equilibrium.fixed]
            back = equilibrium.solve(tangent, point.residual, lacking)
            if heading.dissipation:
                change = _dissipating(missing(point), 0.5 * (force0 - tangent.T @ u0), back, along)
            else:
                change = _on_the_arc(du, back, along, length)
            du = du + back + change * along
            if np.linalg.norm(du) > _TOO_FAR * (heading.longest or length):
                raise Diverged(f"the correction led {np.linalg.norm(du) / length:.0f} times too far")
            return iterate_at(du, dt + change)

        with rolled_back(equilibrium.problem, Diverged):
            equilibrium.set_time(t0)
            force0, tangent = equilibrium.evaluate(u0)
            growth = self._growth(u0, t0, force0)
            du, dt, length = self._ahead(tangent, heading, growth)
            with equilibrium.measured_by(force0, dt * growth):
                point, errors = iterate(iterate_at(du, dt), is_solved, advance, equilibrium.limits.max_iterations)
            force, _, du, dt = point.response
            if t0 + dt > self.latest:
                raise Diverged(f"the path led beyond t = {self.latest:.6g}", errors)
        equilibrium.accept(point)
        iterations = len(errors) - 1
        growth = np.clip(np.sqrt(_WANTED / max(iterations, 1)), 1.0 / _MOST_GROWTH, _MOST_GROWTH)
        ahead = heading.after(du, dt, growth, length)
        if self.control == "dissipation":
            ahead = ahead.dissipating(lost(point), 0.5 * (force0 + force) @ du)
        return Step(float(t0 + dt), point.x, force, iterations, tuple(errors), heading=ahead)

    def _growth(self, u, t, force):
        """What the load on a structure grows by with λ: ``load``, and what forces at this displacement lose."""
        if not self.equilibrium.depends_on_time:
            return self.load
        step = _DIFFERENCE * self.first
        self.equilibrium.set_time(t + step)
        return self.load - (self.equilibrium.force(u) - force) / step

    def _ahead(self, tangent, heading, growth):
        """First guess of a step: the increments of displacement and λ, and its length.

        A law with memory answers to the last state itself as if it unloaded, so its tangent there leads nowhere: the
        last step shows the way, but for the first.
        """
        equilibrium = self.equilibrium
        if heading.length:
            ratio = heading.length / np.linalg.norm(heading.du)
            du, dt = ratio * heading.du, ratio * heading.dt
            # what is prescribed follows λ exactly
            du[equilibrium.fixed] = dt * self.values[equilibrium.fixed]
            return du, dt, heading.length
        du = heading.dt * equilibrium.solve(tangent, growth, self.values[equilibrium.fixed])
        return du, heading.dt, float(np.linalg.norm(du))


def require_no_time(equilibrium, instead):
    """Raise ParameterError if forces depend on λ themselves: what is dissipated cannot be told from their work."""
    if equilibrium.depends_on_time:
        raise ParameterError(
            f"{equilibrium.problem!r} has forces that depend on t (a pressure that follows, a temperature, a law with "
            f"time), whose work is no part of the dissipation that steps are measured by; pass {instead}"
        )


def _on_the_arc(step, back, along, length):
    """Change of λ that leads back to the given length of the step: of two, that which turns it less."""
    corrected = step + back
    a, b, c = along @ along, along @ corrected, corrected @ corrected - length**2
    if b * b < a * c:
        raise Diverged("the correction led off the arc")
    roots = (-b + np.sqrt(b * b - a * c) * np.array([1.0, -1.0])) / a
    return float(max(roots, key=lambda dt: step @ (corrected + dt * along)))


def dissipated(u0, force0, u, force):
    """Energy lost between two states of a structure that unloads to the origin: ½ (q₀·Δu - Δq·u₀)."""
    return 0.5 * (force0 @ u - force @ u0)


def _dissipating(missing, gradient, back, along):
    """Change of λ that makes up for the dissipation that is missing."""
    rate = gradient @ along
    dt = (missing - gradient @ back) / rate if rate else np.inf
    if not np.isfinite(dt):
        raise Diverged("no load dissipates energy here")
    return float(dt)
