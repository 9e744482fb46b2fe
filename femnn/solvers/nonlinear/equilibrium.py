"""A problem with its supports and loads: evaluated with all the checks, solved, searched."""

from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, issparse
from tqdm import tqdm

from femnn.checks import called, floats, integer, number, vector
from femnn.exceptions import FemnnError, ParameterError
from femnn.solvers.linear.degrees_of_freedom import prescribe
from femnn.solvers.nonlinear.line_search import search
from femnn.solvers.nonlinear.load_path import LoadPath
from femnn.solvers.nonlinear.newton_core import Diverged, Iterate, diverging
from femnn.solvers.nonlinear.tangents import TangentSolver

# Errors of laws and solvers that a shorter step may avoid.
CURABLE = (FemnnError, ArithmeticError, np.linalg.LinAlgError)

# The line search is content if the energy along the step falls to this share (Crisfield, section 9.2.1), and gives up
# after so many lengths.
_ENOUGH, _MOST_LENGTHS = 0.8, 6


@dataclass(frozen=True)
class Limits:
    """Tolerances and limits of :func:`femnn.newton`; ParameterError unless they make sense."""

    rtol: float
    atol: float
    max_iterations: int
    min_step: float

    def __post_init__(self) -> None:
        number("rtol", self.rtol, "(0, 1)")
        number("atol", self.atol, "[0, inf)")
        integer("max_iterations", self.max_iterations, at_least=1)
        number("min_step", self.min_step, "(0, 1]")


@dataclass(eq=False, repr=False)
class Equilibrium:
    """Newton's iterations for the equilibrium of a structure; ``u`` is its last such state.

    Attributes
    ----------
    problem, solver
        See :func:`femnn.newton`.
    limits : Limits
    fixed : (k,) int64, free : (n - k,) int64
    u : (n,)
    scale : float
        The largest norm of the forces in equilibrium so far: what residuals are measured by.
    """

    problem: object
    solver: object
    limits: Limits
    fixed: np.ndarray
    free: np.ndarray
    u: np.ndarray
    scale: float = 0.0

    @classmethod
    def of(cls, problem, solver, limits, n, fixed, initial=None):
        """Check what a user passed; the displacement starts at ``initial``, 0 if None."""
        missing = [name for name in ("residual_and_tangent", "commit", "rollback") if not hasattr(problem, name)]
        if missing:
            raise ParameterError(
                f"{type(problem).__name__} has no {' and no '.join(missing)}; see femnn.NonlinearProblem for what a "
                "problem must have"
            )
        is_fixed = prescribe(n, fixed, 0.0)[1]
        u = np.zeros(n) if initial is None else vector(initial, n, "initial").copy()
        solver = TangentSolver.of(solver, problem)
        return cls(problem, solver, limits, np.flatnonzero(is_fixed), np.flatnonzero(~is_fixed), u)

    @property
    def depends_on_time(self):
        """Whether the forces of the problem at one displacement differ with t."""
        return getattr(self.problem, "depends_on_time", hasattr(self.problem, "set_time"))

    def set_time(self, t):
        """Tell a problem that depends on it the time of the next evaluations."""
        if hasattr(self.problem, "set_time"):
            self.problem.set_time(t)

    def iterate_at(self, u, external, alone=False):
        """The Iterate of a displacement under an external force, its response being force and tangent.

        ``alone`` evaluates the force without its tangent, where that is cheaper.

        Raises
        ------
        Diverged
        """
        force, tangent = (self.force(u), None) if alone else self.evaluate(u)
        residual = external - force
        return Iterate(u, residual, (force, tangent), self.norm(residual), self.measure(external, force))

    def evaluate(self, u):
        """Internal force and tangent; Diverged if they cannot be had."""
        with diverging(*CURABLE):
            force, tangent = self.problem.residual_and_tangent(u)
        if not issparse(tangent) or tangent.shape != (len(u),) * 2:
            raise ParameterError(
                f"the tangent is a {type(tangent).__name__} of shape {np.shape(tangent)}; residual_and_tangent must "
                f"give a sparse matrix of shape {(len(u),) * 2}"
            )
        tangent = csr_array(tangent)
        if not np.isfinite(tangent.data).all():
            raise Diverged("the tangent is not finite")
        return self._checked(force), tangent

    def enough(self, point):
        """Norm of a residual that is equilibrium at an Iterate."""
        return self.limits.rtol * point.size + self.limits.atol

    def forcing(self, point, errors):
        """What the linear system at an Iterate may leave of its residual, for :meth:`solve`."""
        if not isinstance(self.solver, TangentSolver) or point.norm == 0.0:
            return None
        return self.solver.forcing(errors, self.enough(point) / point.norm)

    def dot(self, a, b):
        """Inner product of vectors (n,)."""
        return float(a @ b)

    def moves(self, increments):
        """True if anything prescribed (k,) has yet to change."""
        return bool(increments.any())

    def force(self, u):
        """Internal force alone."""
        if not hasattr(self.problem, "internal_force"):
            return self.evaluate(u)[0]
        with diverging(*CURABLE):
            force = self.problem.internal_force(u)
        return self._checked(force)

    def solve(self, tangent, load, values=0.0, rtol=None):
        """Displacement (n,) under a load by the tangent, with ``values`` where it is prescribed.

        ``rtol`` is what the default solver leaves of the residual, None for as little as :func:`femnn.solve`.
        """
        with diverging(*CURABLE):
            if isinstance(self.solver, TangentSolver):
                solution = self.solver.solve(tangent, load, self.fixed, values, rtol)
            else:
                solution = called("solver", self.solver, tangent, load, self.fixed, values)
        solution = floats("the solution", getattr(solution, "x", solution), finite=False)
        if not np.isfinite(solution).all():
            raise Diverged("the solution of the linear system is not finite")
        return solution

    def norm(self, residual):
        """‖residual‖ over what is free."""
        return float(np.sqrt(self.free_dot(residual, residual)))

    def free_dot(self, a, b):
        """Inner product over what is free."""
        return float(a[self.free] @ b[self.free])

    def measure(self, *forces):
        """``scale``, or what the forces of a trial make of it."""
        return max(self.scale, *(float(np.sqrt(self.dot(force, force))) for force in forces))

    @contextmanager
    def measured_by(self, *forces):
        """Measure the residuals of a step by these ``forces``, too, that come with it, unless it fails.

        A body that is free to expand has none that are left in equilibrium.
        """
        before, self.scale = self.scale, self.measure(*forces)
        try:
            yield
        except Diverged:
            self.scale = before
            raise

    def accept(self, point):
        """Make the Iterate that was evaluated last the state of equilibrium."""
        self.problem.commit()
        self.u, self.scale = point.x, point.size

    def searched(self, start, step, external):
        """The Iterate as far along a ``step`` (n,) as it helps, the last that was evaluated with its tangent.

        A length is taken if the residual falls, or is small enough, or if the energy ``step · residual`` falls to 0.8
        of what it was.
        """
        slope, small = self.free_dot(step, start.residual), max(start.norm, self.enough(start))

        def energy(point):
            return self.free_dot(step, point.residual)

        def evaluate(length):
            return self.iterate_at(start.x + length * step, external, alone=length < 1.0)

        def accepts(point):
            return slope <= 0.0 or point.norm <= small or abs(energy(point)) <= _ENOUGH * slope

        def interpolate(point):
            return np.clip(slope / (slope - energy(point)), 0.1, 0.5)

        point = search(evaluate, accepts, most=_MOST_LENGTHS, interpolate=interpolate)
        _, tangent = point.response
        return point if tangent is not None and accepts(point) else self.iterate_at(point.x, external)

    def _checked(self, force):
        force = floats("the internal force", force, finite=False)
        if force.shape != self.u.shape:
            raise ParameterError(f"the internal force has shape {force.shape}, the load {self.u.shape}")
        if not np.isfinite(force).all():
            raise Diverged(f"the internal force is not finite at {(~np.isfinite(force)).sum()} degrees of freedom")
        return force


@contextmanager
def rolled_back(problem, error=BaseException):
    """Leave the problem in its last state of equilibrium if an error ends the block, by default an interrupt too."""
    try:
        yield
    except error:
        problem.rollback()
        raise


def follow(problem, steps, total, callback, progress, counts=bool):
    """The LoadPath of the ``steps`` (an iterable of Step) as they are made, each handed to the callback.

    ``counts(step)`` is true for those that bring the bar nearer to ``total``.
    """
    history, boundaries = [], getattr(problem, "boundaries", None)
    bar = tqdm(total=total, unit="step", disable=None if progress else True)
    with bar, rolled_back(problem):
        for step in steps:
            history.append(step.lightened(boundaries))
            bar.set_postfix(t=f"{step.t:.4g}", iterations=step.iterations, refresh=False)
            bar.update(int(counts(step)))
            if callback is not None and called("callback", callback, step):
                break
    return LoadPath(step.u, step.t, tuple(history), step.heading)
