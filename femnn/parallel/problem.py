"""Nonlinear problems over all ranks: each evaluates its own cells and facets and keeps their state."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from femnn.checks import checked
from femnn.parallel.distributed_mesh import DistributedMesh
from femnn.parallel.matrix import RankMatrix, Rows
from femnn.parallel.ranks import together
from femnn.parallel.solver import solve
from femnn.solvers.linear.solver import solve as solve_on_one
from femnn.solvers.nonlinear.equilibrium import CURABLE, Equilibrium
from femnn.solvers.nonlinear.load_path import NonlinearProblem
from femnn.solvers.nonlinear.newton_core import Diverged, diverging


@dataclass
class RankEquilibrium(Equilibrium):
    """Equilibrium over all ranks: the same decisions on each."""

    @classmethod
    def of(cls, problem, solver, limits, n, fixed, initial=None):
        distributed = problem.distributed
        solver = partial(solve, overwrite=True) if solver is solve_on_one else solver
        with together(distributed.comm):
            equilibrium = super().of(problem, solver, limits, n, fixed, initial)
        is_fixed = distributed.prescribed(fixed, 0.0)[1]
        equilibrium.fixed, equilibrium.free = (
            np.flatnonzero(is_fixed),
            np.flatnonzero(~is_fixed[: 3 * distributed.n_owned]),
        )
        return equilibrium

    @property
    def distributed(self):
        """The mesh of the problem."""
        return self.problem.distributed

    def evaluate(self, u):
        with diverging(*CURABLE):
            force, tangent = self.problem.residual_and_tangent(u)
        if not tangent.is_finite():
            raise Diverged("the tangent is not finite")
        return self._checked(force), tangent

    def dot(self, a, b):
        return self.distributed.dot(a, b)

    def free_dot(self, a, b):
        return float(self.distributed.comm.allreduce(float(a[self.free] @ b[self.free])))

    def moves(self, increments):
        return any(self.distributed.comm.allgather(bool(increments.any())))

    def _checked(self, force):
        wrong = self.distributed.comm.allreduce(int((~np.isfinite(force)).sum()))
        if wrong:
            raise Diverged(f"the internal force is not finite at {wrong} degrees of freedom")
        return force


class RankProblem(NonlinearProblem):
    """A structure over all ranks, ready for :func:`femnn.newton` on each.

    Vectors have ghosts included: loads come from ``distributed.sum``, prescribed degrees of freedom from
    ``distributed.dofs_on`` or coordinates; ``u`` and the force of every step fit ``distributed.mesh``. The default
    solver of :func:`femnn.newton` becomes :func:`femnn.parallel.solver.solve`; tangents that are not positive definite
    need ``solver=functools.partial(femnn.parallel.solver.solve, method="mumps", overwrite=True)``.

    Parameters
    ----------
    distributed
        :class:`femnn.parallel.distributed_mesh.DistributedMesh`.
    problem
        The own cells and facets: a :class:`femnn.Solid` on ``distributed.mesh``, a :class:`femnn.CohesiveProblem` with
        the stiffness of ``distributed.mesh`` and elements on ``distributed.interface(number)``, or any other such
        object that gives tangents in full blocks of 3 by 3.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.parallel import DistributedMesh, RankProblem
    >>> mesh = DistributedMesh.of(skfem.MeshHex().refined(1).with_boundaries({"fixed": lambda x: x[0] == 0.0}))
    >>> rule = femnn.GaussLegendre(2)
    >>> body = RankProblem(mesh, femnn.Solid(mesh.mesh, rule, femnn.NeoHooke(1e6, 0.3)))
    >>> load = mesh.sum(femnn.assemble_body_force(mesh.mesh, rule, (0.0, 0.0, -1e4)))
    >>> path = femnn.newton(body, load, mesh.dofs_on("fixed"), steps=2, progress=False)
    >>> float(path.t)
    1.0
    """

    equilibrium = RankEquilibrium

    @checked()
    def __init__(self, distributed: DistributedMesh, problem: Any) -> None:
        self.distributed, self.problem = distributed, problem
        self._rows: Rows | None = None
        self._indices: np.ndarray | None = None

    def residual_and_tangent(self, u: np.ndarray) -> tuple[np.ndarray, RankMatrix]:
        """Internal force (n_dofs,), the same on ranks that share a vertex, and tangent (RankMatrix); collective.

        What the law of one rank raises, all raise: all take the smaller step.
        """
        with together(self.distributed.comm):
            force, tangent = self.problem.residual_and_tangent(u)
        known = self._indices is not None and np.shares_memory(self._indices, tangent.indices)
        if not all(self.distributed.comm.allgather(known)):
            self._rows, self._indices = Rows.of(self.distributed, tangent), tangent.indices
        return self.distributed.sum(force), RankMatrix.of(self.distributed, tangent, self._rows)

    def internal_force(self, u: np.ndarray) -> np.ndarray:
        """The force alone; collective."""
        with together(self.distributed.comm):
            force = self.problem.internal_force(u)
        return self.distributed.sum(force)

    def set_time(self, t: float) -> None:
        """Tell the own cells and facets."""
        if hasattr(self.problem, "set_time"):
            self.problem.set_time(t)

    def commit(self) -> None:
        """Accept the state of the last evaluation; collective."""
        with together(self.distributed.comm):
            self.problem.commit()

    def rollback(self) -> None:
        """Forget what was tried since the last commit."""
        self.problem.rollback()
