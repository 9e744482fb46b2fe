"""Reduced models: the solutions of one structure, its modes, and a rule for the whole problem.

Whoever solves the same structure many times collects :class:`Snapshots` of a few solutions, finds the modes in which
they live (:class:`POD`), and the few integration points with positive weights that integrate the internal forces of
these modes (:class:`EmpiricalCubature`, which is a rule like any other). :class:`ReducedProblem` is then a nonlinear
problem of as many unknowns as there are modes, for :func:`femnn.newton`, :func:`femnn.arc_length` and
:class:`femnn.solvers.SecondOrder`.
"""

from femnn.reduced.fingerprint import numbering
from femnn.reduced.pod import POD
from femnn.reduced.snapshots import Snapshot, Snapshots

__all__ = ["POD", "Snapshot", "Snapshots", "numbering"]
