"""Nonlinear problems over all ranks: each evaluates its own cells and facets and keeps their state."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from femnn.parallel.matrix import RankMatrix, Rows
from femnn.parallel.ranks import together
from femnn.parallel.solver import solve
from femnn.solvers.linear.solve import solve as solve_on_one
from femnn.solvers.nonlinear.equilibrium import CURABLE, Equilibrium
from femnn.solvers.nonlinear.load_path import NonlinearProblem
from femnn.solvers.nonlinear.newton_core import Diverged, diverging


@dataclass
class RankEquilibrium(Equilibrium):
    """Equilibrium over all ranks: the same decisions on each."""

    @classmethod
    def of(cls, problem, solver, limits, n, fixed, initial=None):
        part = problem.part
        solver = partial(solve, overwrite=True) if solver is solve_on_one else solver
        with together(part.comm):
            own = super().of(problem, solver, limits, n, fixed, initial)
        is_fixed = part.agreed(fixed, 0.0)[1]
        own.fixed, own.free = np.flatnonzero(is_fixed), np.flatnonzero(~is_fixed[: 3 * part.n_owned])
        return own

    @property
    def part(self):
        """The part of the problem."""
        return self.problem.part

    def evaluate(self, u):
        with diverging(*CURABLE):
            force, tangent = self.problem.residual_and_tangent(u)
        if not tangent.is_finite():
            raise Diverged("the tangent is not finite")
        return self._checked(force), tangent

    def dot(self, a, b):
        return self.part.dot(a, b)

    def free_dot(self, a, b):
        return float(self.part.comm.allreduce(float(a[self.free] @ b[self.free])))

    def moves(self, increments):
        return any(self.part.comm.allgather(bool(increments.any())))

    def _checked(self, force):
        wrong = self.part.comm.allreduce(int((~np.isfinite(force)).sum()))
        if wrong:
            raise Diverged(f"the internal force is not finite at {wrong} degrees of freedom")
        return force


class RankProblem(NonlinearProblem):
    """A structure over all ranks, ready for :func:`femnn.newton` on each.

    Vectors are those of the part, ghosts included: loads come from ``part.sum``, prescribed degrees of freedom from
    ``part.dofs_on`` or coordinates; ``u`` and the force of every step fit ``part.mesh``. The default solver of
    :func:`femnn.newton` becomes :func:`femnn.parallel.solver.solve`; tangents that are not positive definite need
    ``solver=functools.partial(femnn.parallel.solver.solve, method="mumps", overwrite=True)``.

    Parameters
    ----------
    part
        :class:`femnn.parallel.distributed_mesh.Part`.
    problem
        What the own cells and facets do: a :class:`femnn.Solid` on ``part.mesh``, a :class:`femnn.CohesiveProblem`
        with the stiffness of ``part.mesh`` and elements on ``part.interface(number)``, or any other such object that
        gives tangents in full blocks of 3 by 3.
    """

    equilibrium = RankEquilibrium

    def __init__(self, part, problem):
        self.part, self.problem = part, problem
        self._rows = self._indices = None

    def residual_and_tangent(self, u):
        """Internal force (n_dofs,), the same on ranks that share a vertex, and tangent (RankMatrix); collective.

        What the law of one rank raises, all raise: all take the smaller step.
        """
        with together(self.part.comm):
            force, tangent = self.problem.residual_and_tangent(u)
        known = self._indices is not None and np.shares_memory(self._indices, tangent.indices)
        if not all(self.part.comm.allgather(known)):
            self._rows, self._indices = Rows.of(self.part, tangent), tangent.indices
        return self.part.sum(force), RankMatrix.of(self.part, tangent, self._rows)

    def internal_force(self, u):
        """The force alone; collective."""
        with together(self.part.comm):
            force = self.problem.internal_force(u)
        return self.part.sum(force)

    def commit(self):
        """Accept the state of the last evaluation; collective."""
        with together(self.part.comm):
            self.problem.commit()

    def rollback(self):
        """Forget what was tried since the last commit."""
        self.problem.rollback()
