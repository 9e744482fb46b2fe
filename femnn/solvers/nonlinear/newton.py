"""Newton's method along a path of loads: steps that are cut where they fail, and a state that is never half changed."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from tqdm import tqdm

from femnn.checks import vector
from femnn.exceptions import ConvergenceError, ParameterError
from femnn.solvers.linear.solve import solve
from femnn.solvers.linear.system import prescribe
from femnn.solvers.nonlinear.equilibrium import Diverged, Equilibrium, check_limits, rolled_back
from femnn.solvers.nonlinear.load_path import LoadPath, Step

# After two steps of so few iterations the next may be twice as long.
_EASY = 6


def newton(
    problem,
    load,
    fixed=None,
    values=0.0,
    steps=10,
    rtol=1e-8,
    atol=0.0,
    max_iterations=20,
    min_step=1e-6,
    solver=solve,
    initial=None,
    start=0.0,
    callback=None,
    progress=True,
):
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
        Solves the linear systems: called as ``solver(K, f, fixed, values)``, it gives the solution or an object with
        it as ``x``. For elasticity beyond 20,000 degrees of freedom
        ``functools.partial(femnn.solve, points=mesh)``; tangents that are not positive definite need
        ``method="splu"``.
    initial, start
        The displacement (n,) and t to go on from, the state of ``problem`` being that of then; None and 0 for a
        beginning.
    callback
        Called with each :class:`femnn.solvers.nonlinear.load_path.Step` after it is committed; if it returns true, the
        path ends there.
    progress
        False shows no progress bar.

    Returns
    -------
    LoadPath

    Raises
    ------
    ParameterError
        If arguments do not fit together.
    ConvergenceError
        If a step of ``min_step`` fails: with the last displacement in equilibrium, its t and the residuals of the last
        attempt. The state of ``problem`` is that of the last accepted step.
    KeyboardInterrupt
        After the state of ``problem`` is rolled back to the last accepted step.
    """
    check_limits(rtol, atol, max_iterations, min_step)
    times = _times(steps, start)
    external = load if callable(load) else lambda t: t * np.asarray(load, dtype=float)
    given = values if callable(values) else lambda t: t * np.asarray(values, dtype=float)
    n = len(np.atleast_1d(external(start)))
    newton_path = _Path(
        getattr(problem, "equilibrium", Equilibrium).of(problem, solver, n, fixed, initial),
        lambda t: vector(external(t), n, "load"),
        lambda t: prescribe(n, fixed, given(t))[0],
        rtol,
        atol,
        int(max_iterations),
        min_step,
    )
    t, history = start, []
    bar = tqdm(total=len(times), unit="step", desc="load", disable=None if progress else True)
    with bar, rolled_back(problem):
        for step in newton_path.steps(start, times):
            t = step.t
            history.append(step.lightened())
            bar.set_postfix(t=f"{t:.4g}", iterations=step.iterations, refresh=False)
            bar.update(int(t in times))
            if callback is not None and callback(step):
                break
    return LoadPath(newton_path.equilibrium.u, t, tuple(history))


@dataclass
class _Path:
    """Steps from one state of equilibrium to the next."""

    equilibrium: Equilibrium
    external: Callable
    prescribed: Callable
    rtol: float
    atol: float
    max_iterations: int
    min_step: float

    def steps(self, t, times):
        """Yield each Step on the way from ``t`` over all ``times``, committed."""
        longest, easy = np.inf, 0
        for target in times:
            while t < target:
                # no sliver is left over
                goal = target if target - t < longest + self.min_step else t + longest
                step = self._step(t, goal)
                if step.cuts:
                    longest = step.t - t
                easy = easy + 1 if step.iterations <= _EASY and not step.cuts else 0
                if easy == 2:
                    longest, easy = 2.0 * longest, 0
                t = step.t
                yield step

    def _step(self, t, goal):
        """One Step towards ``goal``, cut as often as it takes."""
        cuts = 0
        while True:
            try:
                return replace(self._reach(goal), cuts=cuts)
            except Diverged as diverged:
                self.equilibrium.problem.rollback()
                if 0.5 * (goal - t) < self.min_step:
                    self._give_up(t, goal, diverged)
                goal, cuts = t + 0.5 * (goal - t), cuts + 1

    def _reach(self, t):
        """Newton's method for the equilibrium at ``t``, from the last one; commits what it finds."""
        own = self.equilibrium
        external, prescribed = self.external(t), self.prescribed(t)
        increments = (prescribed - own.u)[own.fixed]
        u, residuals = own.u, []
        force, tangent = own.evaluate(u)
        while True:
            scale = own.measure(external, force)
            residual = external - force
            norm, enough = own.norm(residual), self.rtol * scale + self.atol
            residuals.append(norm / scale if scale else 0.0)
            if norm <= enough and not own.moves(increments) and (len(residuals) > 1 or norm == 0.0):
                break
            if len(residuals) > self.max_iterations:
                raise Diverged(f"the residual was still {residuals[-1]:.1e} of the forces", residuals)
            try:
                du = own.solve(tangent, residual, increments)
                if own.moves(increments):
                    # what is prescribed has to be reached: nothing to search
                    u = u + du
                    force, tangent = own.evaluate(u)
                else:
                    u, force, tangent = own.searched(u, du, external, force, enough)
            except Diverged as diverged:
                diverged.residuals = residuals
                raise
            increments = np.zeros(len(own.fixed))
        own.accept(u, scale)
        return Step(t, u, force, len(residuals) - 1, tuple(residuals))

    def _give_up(self, t, goal, cause):
        iterations = max(len(cause.residuals) - 1, 0)
        raise ConvergenceError(
            f"no equilibrium was found beyond t = {t:.6g}: the step to {goal:.6g} failed after {iterations} iterations "
            f"({cause}), and half of it is below min_step={self.min_step:g}; the state at t = {t:.6g} is kept. If the "
            "load has its maximum there, femnn.arc_length goes on, or prescribed displacements do; else try a smaller "
            "min_step, more max_iterations, or check the law and its tangent",
            self.equilibrium.u,
            np.array(cause.residuals),
            t,
        ) from cause


def _times(steps, start):
    if np.ndim(steps) == 0:
        if steps != int(steps) or steps < 1 or not start < 1.0:
            raise ParameterError(
                f"steps={steps!r} from start={start!r} is not allowed; pass 1 step or more up to t = 1"
            )
        return np.linspace(start, 1.0, int(steps) + 1)[1:]
    times = np.asarray(steps, dtype=float)
    if times.ndim != 1 or not times.size or not (np.diff([start, *times]) > 0.0).all() or not np.isfinite(times).all():
        raise ParameterError(f"steps={steps!r} are no ascending times after start={start!r}")
    return times
