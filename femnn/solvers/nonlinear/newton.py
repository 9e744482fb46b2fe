"""Newton's method along a path of loads: steps that are cut where they fail, and a state that is never half changed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import brief, called, checked, floats, integer, number, numbers, one_of, vector
from femnn.exceptions import ConvergenceError, ParameterError, SingularMatrixError
from femnn.solvers.linear.degrees_of_freedom import prescribe
from femnn.solvers.linear.solver import solve
from femnn.solvers.nonlinear.arc_length import ArcPath, dissipated, require_no_time
from femnn.solvers.nonlinear.equilibrium import Equilibrium, Limits, follow, rolled_back
from femnn.solvers.nonlinear.load_path import Heading, LoadPath, Step
from femnn.solvers.nonlinear.newton_core import Diverged, iterate
from femnn.solvers.nonlinear.step_control import SmallestStepFailed, walk
from femnn.system.memory import require_memory

# Share of the first stiffness against the load at which a structure is at its limit.
_EXHAUSTED = 0.05

# After two uncut steps of so few iterations the next may be twice as long.
_EASY, _PATIENCE = 6, 2


@checked(load="any", values="any", initial="any", steps="unchecked")
def newton(
    problem: Any,
    load: ArrayLike | Callable[[float], ArrayLike],
    fixed: Any = None,
    values: ArrayLike | Callable[[float], ArrayLike] = 0.0,
    steps: int | ArrayLike = 10,
    rtol: float = 1e-8,
    atol: float = 0.0,
    max_iterations: int = 20,
    min_step: float = 1e-6,
    solver: Callable = solve,
    initial: ArrayLike | None = None,
    start: float = 0.0,
    callback: Callable[[Step], Any] | None = None,
    progress: bool = True,
    *,
    on_snap_back: str = "raise",
) -> LoadPath:
    """Displacements in equilibrium with a load that grows from ``t = 0`` to 1.

    Each step is Newton's method from the last state of equilibrium, with a line search on the energy
    (M. A. Crisfield, Non-linear Finite Element Analysis of Solids and Structures 1 (1991), section 9.2). A step that
    does not converge, or whose law cannot be evaluated, is tried again with half the length; after easy steps it grows
    back.

    Parameters
    ----------
    problem
        A :class:`femnn.NonlinearProblem`, or any object with its methods. On the ranks of an MPI program
        :class:`femnn.parallel.problem.RankProblem`.
    load
        External force: a vector (n,), which is multiplied by t, or a function of t that gives one.
    fixed
        Prescribed degrees of freedom, as in :func:`femnn.solve`.
    values
        Their displacements: what :func:`femnn.solve` takes, multiplied by t, or a function of t that gives that.
    steps
        Number of equal steps from ``start`` to 1, or the times to reach, ascending.
    rtol, atol
        A state is in equilibrium if the residual over what is free is at most ``rtol`` times the largest norm of the
        external or internal forces (reactions included) so far, plus ``atol`` (N).
    max_iterations
        Of a step, beyond which it is cut.
    min_step
        Smallest step in t.
    solver
        Solves the linear systems. :func:`femnn.solve`, or a ``functools.partial`` of it with some keywords, stands for
        one :class:`femnn.LinearSolver` that goes from tangent to tangent and keeps its multigrid; without ``rtol``
        it solves each system no better than it helps (S. C. Eisenstat, H. F. Walker, SIAM J. Sci. Comput. 17 (1996)
        16-32). It takes the places of the degrees of freedom from ``problem.points``, as :class:`femnn.Solid` has them;
        for other problems of elasticity beyond 5,000 degrees of freedom pass
        ``functools.partial(femnn.solve, points=mesh)``. Tangents that are not positive definite need
        ``method="splu"``. Any other function is called as ``solver(K, f, fixed, values)`` and gives the solution or an
        object with it as ``x``.
    initial, start
        The displacement (n,) and t to go on from, the state of ``problem`` being that of then; None and 0 for a
        beginning.
    callback
        Called with each :class:`femnn.solvers.nonlinear.load_path.Step` after it is committed; if it returns true, the
        path ends there.
    progress
        False shows no progress bar.
    on_snap_back
        Action where a step of ``min_step`` fails: ``"raise"`` a ConvergenceError, or ``"follow"`` the path from there
        as :func:`femnn.arc_length` with dissipation control does, back in t and forth again, until Newton's method
        comes to the next time. A softening interface snaps back where its cells are too coarse for its process zone,
        by one row of points after the other. It needs a load and values that are vectors, multiplied by t.

    Returns
    -------
    LoadPath

    Raises
    ------
    ParameterError
        If arguments do not fit together.
    ConvergenceError
        If a step of ``min_step`` fails: with the last displacement in equilibrium, its t and the residuals of the last
        attempt. The state of ``problem`` is that of the last accepted step. Where the stiffness against the load has
        been used up by then, the message says that ``t`` is a limit load.
    SingularMatrixError
        If the body is a mechanism or not held at the start, with the degrees of freedom that move freely.
    KeyboardInterrupt
        After the state of ``problem`` is rolled back to the last accepted step.

    Examples
    --------
    >>> import femnn, skfem
    >>> mesh, rule = skfem.MeshHex().refined(1), femnn.GaussLegendre(2)
    >>> body = femnn.Solid(mesh, rule, femnn.NeoHooke(1e6, 0.3))
    >>> weight = femnn.assemble_body_force(mesh, rule, (0.0, 0.0, -1e4))
    >>> held = (3 * (mesh.p[2] == 0.0).nonzero()[0][:, None] + [0, 1, 2]).ravel()
    >>> path = femnn.newton(body, weight, held, steps=2, progress=False)
    >>> float(path.t)
    1.0
    """
    limits, times = Limits(rtol, atol, max_iterations, min_step), _times(steps, start)
    one_of("on_snap_back", on_snap_back, ("raise", "follow"))
    external = partial(called, "load", load) if callable(load) else lambda t: t * np.asarray(load)
    prescribed_at = partial(called, "values", values) if callable(values) else lambda t: t * np.asarray(values)
    n = len(np.atleast_1d(floats("load", external(start), finite=False)))
    equilibrium = getattr(problem, "equilibrium", Equilibrium).of(problem, solver, limits, n, fixed, initial)
    arc = None
    if on_snap_back == "follow":
        if callable(load) or callable(values) or type(equilibrium) is not Equilibrium:
            raise ParameterError(
                "on_snap_back='follow' needs a load and values that are multiplied by t, no functions of it, and a "
                "problem on one rank; pass vectors, or on_snap_back='raise'"
            )
        require_no_time(equilibrium, "on_snap_back='raise'")
        arc = ArcPath(equilibrium, vector(load, n, "load"), prescribe(n, fixed, values)[0], "dissipation", 1.0)
    path = _Path(
        equilibrium, lambda t: vector(external(t), n, "load"), lambda t: prescribe(n, fixed, prescribed_at(t))[0], arc
    )
    return follow(problem, path.steps(start, times), len(times), callback, progress, lambda step: step.t in times)


@dataclass(eq=False)
class _Path:
    """Steps from one state of equilibrium to the next."""

    equilibrium: Equilibrium
    external: Callable
    prescribed: Callable
    arc: ArcPath | None
    moved: bool = False

    def steps(self, t, times):
        """Yield each Step on the way from ``t`` over all ``times``, committed."""
        limits, u, force, length, heading = self.equilibrium.limits, self.equilibrium.u, None, 0.0, None
        decay = _Decay(self.equilibrium, self.external, t)
        while t < times[-1]:
            ahead = times[times > t]
            try:
                for end, step, cuts in walk(
                    self._reach, t, ahead, limits.min_step, is_easy=_is_easy, patience=_PATIENCE
                ):
                    if self.arc is not None and force is not None:
                        du = step.u - u
                        length = max(length, float(np.linalg.norm(du)))
                        heading = Heading(du, end - t, length, length).dissipating(
                            dissipated(u, force, step.u, step.force), 0.5 * (force + step.force) @ du
                        )
                    decay.add(end, step.u)
                    t, u, force = end, step.u, step.force
                    yield replace(step, cuts=cuts)
            except SmallestStepFailed as failed:
                if heading is None:
                    raise self._failure(failed, decay) from failed.cause
                for step in self._around(t, ahead[ahead > t][0], heading):
                    t, u, force = step.t, step.u, step.force
                    yield step

    def _around(self, stuck, target, heading):
        """Yield each Step along a snap-back at ``stuck``, until Newton's method comes to ``target``, or t is beyond."""
        for step in replace(self.arc, latest=target, insists=True).steps(stuck, heading):
            yield step
            if step.t > stuck:
                return
            if step.heading.dt > 0.0:
                try:
                    yield self._reach(target)
                    return
                except Diverged:
                    continue

    def _failure(self, failed, decay):
        t, cause = failed.t, failed.cause
        self.equilibrium.set_time(t)
        iterations = max(len(cause.residuals) - 1, 0)
        attempt = (
            f"the step to {failed.goal:.6g} failed after {iterations} iterations ({cause}), and half of it is below "
            f"min_step={self.equilibrium.limits.min_step:g}; the state at t = {t:.6g} is kept"
        )
        if decay.is_limit:
            message = (
                f"no equilibrium exists beyond t = {t:.6g}, a limit load: the stiffness against the load has fallen to "
                f"{decay.left:.1g} of that of the first step there, and {attempt}. Where a body collapses or snaps "
                "through, femnn.arc_length goes on, or prescribed displacements do; else carry less load"
            )
        else:
            message = (
                f"no equilibrium was found beyond t = {t:.6g}: {attempt}. If the load has its maximum there, "
                "femnn.arc_length goes on, or prescribed displacements do; if an interface snaps back there, "
                "on_snap_back='follow' goes on, or a viscosity, femnn.cohesive.ViscousCohesive; else try a smaller "
                "min_step, more max_iterations, or check the law and its tangent"
            )
        return ConvergenceError(message, self.equilibrium.u, np.array(cause.residuals), t)

    def _reach(self, t):
        """Newton's method for the equilibrium at ``t``, from the last one; commits it."""
        equilibrium, external = self.equilibrium, self.external(t)
        equilibrium.set_time(t)
        increments = (self.prescribed(t) - equilibrium.u)[equilibrium.fixed]
        moves = equilibrium.moves(increments)

        def is_solved(point, errors):
            if len(errors) == 1:
                return point.norm == 0.0 and not moves
            return point.norm <= equilibrium.enough(point)

        def advance(point, errors):
            _, tangent = point.response
            rtol = equilibrium.forcing(point, errors)
            if len(errors) > 1 or not moves:
                step = equilibrium.solve(tangent, point.residual, np.zeros(len(increments)), rtol)
                return equilibrium.searched(point, step, external)
            # what is prescribed has to be reached: nothing to search
            step = equilibrium.solve(tangent, point.residual, increments, rtol)
            return equilibrium.iterate_at(point.x + step, external)

        with rolled_back(equilibrium.problem, Diverged):
            start = equilibrium.iterate_at(equilibrium.u, external)
            try:
                with equilibrium.measured_by(start.residual):
                    point, errors = iterate(start, is_solved, advance, equilibrium.limits.max_iterations)
            except Diverged as diverged:
                if self._is_mechanism(diverged):
                    equilibrium.problem.rollback()
                    raise diverged.__cause__ from None
                raise
        self.moved = True
        equilibrium.accept(point)
        return Step(t, point.x, point.response[0], len(errors) - 1, tuple(errors))

    def _is_mechanism(self, diverged):
        """True if the tangent at the very start is singular: no step is short enough for a body that is not held."""
        is_first = not self.moved and len(diverged.residuals) == 1
        return is_first and isinstance(diverged.__cause__, SingularMatrixError)


class _Decay:
    """How the stiffness of a structure against its load changes along a path of growing load.

    The stiffness of a step is |Δf|²/(Δf·Δu) over what is free, after the current stiffness parameter of P. G. Bergan et
    al. (Int. J. Numer. Meth. Engng 12 (1978) 1677-1696): it comes to zero at a limit load.
    """

    def __init__(self, equilibrium, external, t) -> None:
        self._equilibrium, self._external = equilibrium, external
        self._u, self._force = equilibrium.u, external(t)
        self._first: float | None = None
        self.left = 1.0

    def add(self, t, u):
        """Take note of the step to ``t`` and ``u``."""
        force = self._external(t)
        step, load = u - self._u, force - self._force
        work, size = self._equilibrium.free_dot(load, step), self._equilibrium.free_dot(load, load)
        self._u, self._force = u, force
        if size == 0.0 or work <= 0.0:
            return
        stiffness = size / work
        self._first = stiffness if self._first is None else self._first
        self.left = stiffness / self._first

    @property
    def is_limit(self):
        """True if next to nothing is left of the stiffness."""
        return self._first is not None and self.left < _EXHAUSTED


def _is_easy(step):
    return step.iterations <= _EASY


def _times(steps, start):
    start = number("start", start)
    if not isinstance(steps, Real):
        steps = numbers("steps", steps)
    if not np.ndim(steps):
        steps = integer("steps", steps, at_least=1)
        if not start < 1.0:
            raise ParameterError(
                f"steps={steps!r} from start={start!r} is not allowed: a number of steps ends at t = 1"
            )
        require_memory(8 * steps, f"{steps:,} times")
        return np.linspace(start, 1.0, steps + 1)[1:]
    times = floats("steps", steps)
    if times.ndim != 1 or not times.size or not (np.diff([start, *times]) > 0.0).all() or not np.isfinite(times).all():
        raise ParameterError(f"steps={brief(steps)} are no ascending times after start={start!r}")
    return times
