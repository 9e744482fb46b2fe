"""Nonlinear problems along a path of loads or through time.

All solvers share one iteration (:mod:`femnn.solvers.nonlinear.newton_core`), one line search
(:mod:`femnn.solvers.nonlinear.line_search`) and one way to cut steps (:mod:`femnn.solvers.nonlinear.step_control`), and
so do the cell of an RVE, the fault in a reservoir, and the elements that a crack cuts.

>>> import numpy as np
>>> from scipy.sparse import csr_array
>>> class Spring(NonlinearProblem):
...     def residual_and_tangent(self, u):
...         return u + u**3, csr_array(np.diag(1.0 + 3.0 * u**2))
>>> newton(Spring(), load=np.array([2.0]), steps=2, progress=False).u.round(6)
array([1.])
"""

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
    "Step",
    "arc_length",
    "march",
    "march_by_error",
    "newton",
]
