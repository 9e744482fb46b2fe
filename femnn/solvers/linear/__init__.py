"""Linear systems ``K x = f`` with prescribed values: multigrid or factors, chosen by size, checked.

    from femnn.solvers.linear import solve

    x = solve(K, f, fixed, points=mesh).x

:func:`solve` names what is wrong with a system (not held, a mechanism, not symmetric), goes from multigrid to factors
where multigrid is too weak, and says when rounding keeps the residual above the tolerance. :class:`LinearSolver` does
the same for many loads and for matrices that change. :class:`Constraint` and
:class:`Factors` serve symmetric indefinite systems whose matrices return from step to step, as in poroelasticity.
"""

from femnn.solvers.linear.degrees_of_freedom import prescribe
from femnn.solvers.linear.near_null_space import near_null_space
from femnn.solvers.linear.saddle_point import Constraint, Factor, Factors
from femnn.solvers.linear.solver import METHODS, LinearSolver, Solution, solve

__all__ = [
    "METHODS",
    "Constraint",
    "Factor",
    "Factors",
    "LinearSolver",
    "Solution",
    "near_null_space",
    "prescribe",
    "solve",
]
