"""Solvers: linear systems, loads that grow in steps, paths beyond their maximum, and marches through time.

:func:`solve` is for one linear system. :func:`newton` follows a load or prescribed displacements of a
:class:`NonlinearProblem`, :func:`arc_length` goes on where the load has its maximum or the structure snaps back, and
:func:`march` takes time steps of a problem whose states are never changed, such as those of :class:`SecondOrder`.
"""

from femnn.solvers.linear.solver import Solution, solve
from femnn.solvers.nonlinear.arc_length import arc_length
from femnn.solvers.nonlinear.load_path import Heading, LoadPath, NonlinearProblem, Step
from femnn.solvers.nonlinear.newton import newton
from femnn.solvers.nonlinear.problem_sum import ProblemSum
from femnn.solvers.nonlinear.second_order import Motion, SecondOrder
from femnn.solvers.nonlinear.time_march import march, march_by_error

__all__ = [
    "Heading",
    "LoadPath",
    "Motion",
    "NonlinearProblem",
    "ProblemSum",
    "SecondOrder",
    "Solution",
    "Step",
    "arc_length",
    "march",
    "march_by_error",
    "newton",
    "solve",
]
