"""A problem with its supports and loads: evaluated with all the checks, solved, searched."""

from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, issparse

from femnn.checks import vector
from femnn.exceptions import FemnnError, ParameterError
from femnn.solvers.linear.system import prescribe

# The line search is content if the energy along the step falls to this share (Crisfield, section 9.2.1), and gives up
# after so many lengths.
_ENOUGH, _MOST_LENGTHS = 0.8, 6


class Diverged(Exception):
    """A step did not reach equilibrium; never leaves the solvers.

    Attributes
    ----------
    residuals
        Relative norms up to there.
    """

    def __init__(self, reason, residuals=()) -> None:
        super().__init__(reason)
        self.residuals = residuals


@dataclass
class Equilibrium:
    """What keeps a structure in equilibrium; ``u`` is its last such state.

    Attributes
    ----------
    problem, solver
        See :func:`femnn.newton`.
    fixed : (k,) int64, free : (n - k,) int64
    u : (n,)
    scale : float
        The largest norm of the forces in equilibrium so far: what residuals are measured by.
    """

    problem: object
    solver: object
    fixed: np.ndarray
    free: np.ndarray
    u: np.ndarray
    scale: float = 0.0

    @classmethod
    def of(cls, problem, solver, n, fixed, initial=None):
        """Check what a user passed; the displacement starts at ``initial``, 0 if None."""
        missing = [name for name in ("residual_and_tangent", "commit", "rollback") if not hasattr(problem, name)]
        if missing:
            raise ParameterError(
                f"{type(problem).__name__} has no {' and no '.join(missing)}; see femnn.NonlinearProblem for what a "
                "problem must have"
            )
        is_fixed = prescribe(n, fixed, 0.0)[1]
        u = np.zeros(n) if initial is None else vector(initial, n, "initial").copy()
        return cls(problem, solver, np.flatnonzero(is_fixed), np.flatnonzero(~is_fixed), u)

    def evaluate(self, u):
        """Internal force and tangent; Diverged if they cannot be had."""
        force, tangent = self._tried(self.problem.residual_and_tangent, u)
        if not issparse(tangent) or tangent.shape != (len(u),) * 2:
            raise ParameterError(
                f"the tangent is a {type(tangent).__name__} of shape {np.shape(tangent)}; residual_and_tangent must "
                f"give a sparse matrix of shape {(len(u),) * 2}"
            )
        tangent = csr_array(tangent)
        if not np.isfinite(tangent.data).all():
            raise Diverged("the tangent is not finite")
        return self._checked(force), tangent

    def dot(self, a, b):
        """Inner product of vectors (n,)."""
        return float(a @ b)

    def moves(self, increments):
        """Whether anything prescribed (k,) has yet to change."""
        return bool(increments.any())

    def force(self, u):
        """Internal force alone."""
        if not hasattr(self.problem, "internal_force"):
            return self.evaluate(u)[0]
        return self._checked(self._tried(self.problem.internal_force, u))

    def solve(self, tangent, load, values=0.0):
        """Displacement (n,) under a load by the tangent, with ``values`` where it is prescribed."""
        found = self._tried(lambda f: self.solver(tangent, f, self.fixed, values), load)
        found = np.asarray(getattr(found, "x", found), dtype=float)
        if not np.isfinite(found).all():
            raise Diverged("the solution of the linear system is not finite")
        return found

    def norm(self, residual):
        """‖residual‖ over what is free."""
        return float(np.sqrt(self.free_dot(residual, residual)))

    def free_dot(self, a, b):
        """Inner product over what is free."""
        return float(a[self.free] @ b[self.free])

    def measure(self, *forces):
        """``scale``, or what the forces of a trial make of it."""
        return max(self.scale, *(float(np.sqrt(self.dot(force, force))) for force in forces))

    def accept(self, u, scale):
        """Make the state of the last evaluation that of equilibrium."""
        self.problem.commit()
        self.u, self.scale = u, scale

    def searched(self, u, step, external, force, enough):
        """Go along a step as far as it helps.

        A length is taken if the residual falls, or the energy ``step · residual`` to 0.8 of what it was. Full length
        is tried first, so that Newton's method keeps its rate; shorter ones where the law cannot be evaluated.

        Parameters
        ----------
        u, step, external, force : (n,)
            ``force`` is the internal one at ``u``.
        enough
            Norm of a residual that needs no search.

        Returns
        -------
        The displacement reached, internal force and tangent there: the last that was evaluated.

        Raises
        ------
        Diverged
            If the law cannot be evaluated at any length.
        """
        before = external - force
        norm, slope = self.norm(before), self.free_dot(step, before)
        length, best, failure = 1.0, (np.inf, None), None
        for attempt in range(_MOST_LENGTHS):
            there, tangent = u + length * step, None
            try:
                if attempt == 0:
                    force, tangent = self.evaluate(there)
                else:
                    force = self.force(there)
            except Diverged as diverged:
                failure, length = diverged, 0.5 * length
                continue
            residual = external - force
            reached, energy = self.norm(residual), self.free_dot(step, residual)
            best = min(best, (reached, length))
            if slope <= 0.0 or reached <= max(norm, enough) or abs(energy) <= _ENOUGH * slope:
                break
            length *= np.clip(slope / (slope - energy), 0.1, 0.5)
        else:
            if best[1] is None:
                raise failure
            there, tangent = u + best[1] * step, None
        if tangent is None:
            force, tangent = self.evaluate(there)
        return there, force, tangent

    def _tried(self, function, argument):
        try:
            return function(argument)
        except (FemnnError, ArithmeticError, np.linalg.LinAlgError) as error:
            raise Diverged(f"{type(error).__name__}: {error}") from error

    def _checked(self, force):
        force = np.asarray(force, dtype=float)
        if force.shape != self.u.shape:
            raise ParameterError(f"the internal force has shape {force.shape}, the load {self.u.shape}")
        if not np.isfinite(force).all():
            raise Diverged(f"the internal force is not finite at {(~np.isfinite(force)).sum()} degrees of freedom")
        return force


@contextmanager
def rolled_back(problem):
    """Whatever ends the path early, an interrupt too, leaves the problem in its last state of equilibrium."""
    try:
        yield
    except BaseException:
        problem.rollback()
        raise


def check_limits(rtol, atol, max_iterations, min_step):
    """Raise ParameterError unless tolerances and limits make sense."""
    for name, value, fine, range_ in (
        ("rtol", rtol, 0.0 < rtol < 1.0, "between 0 and 1"),
        ("atol", atol, 0.0 <= atol < np.inf, "0 or more"),
        ("max_iterations", max_iterations, max_iterations >= 1, "1 or more"),
        ("min_step", min_step, 0.0 < min_step <= 1.0, "above 0, at most 1"),
    ):
        if not fine:
            raise ParameterError(f"{name}={value!r} is not allowed; it must be {range_}")
