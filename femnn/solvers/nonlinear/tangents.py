"""Tangents that follow each other: solved by one solver, which keeps what it can, and no better than it helps."""

from functools import partial
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from femnn.solvers.linear.solver import LinearSolver, solve

# Greatest relative residual of a linear system: Newton's method then takes hardly an iteration more.
_LOOSE = 1e-3

# And the least that is asked for: rounding allows no more.
_LEAST = 1e-12

# Constant of Eisenstat and Walker, and the part of the tolerance of Newton's method that is left to the linear systems.
_GAMMA, _PART = 0.9, 0.1


class TangentSolver:
    """The default ``solver`` of :func:`femnn.newton`: a :class:`femnn.LinearSolver` from tangent to tangent.

    Parameters
    ----------
    points
        Where the degrees of freedom are, see :func:`femnn.solve`.
    rtol
        Of the linear systems; None for what :meth:`forcing` gives, and 1e-8 where that is not asked.
    options
        Of :class:`femnn.LinearSolver`.
    """

    def __init__(self, points: Any = None, rtol: float | None = None, **options: Any) -> None:
        self._points, self._rtol, self._options = points, rtol, options
        self._solver: LinearSolver | None = None
        self._tangent: csr_array | None = None

    @classmethod
    def of(cls, solver: Any, problem: Any) -> Any:
        """In place of :func:`femnn.solve`, alone or with some of its keywords; any other ``solver`` as it is."""
        points = getattr(problem, "points", None)
        if solver is solve:
            return cls(points)
        if type(solver) is partial and solver.func is solve and not solver.args:
            return cls(**{"points": points, **solver.keywords})
        return solver

    def forcing(self, errors: list[float], enough: float) -> float | None:
        """Relative residual that the next linear system may leave.

        S. C. Eisenstat, H. F. Walker, SIAM J. Sci. Comput. 17 (1996) 16-32, choice 2 with γ = 0.9 and α = 2.

        Parameters
        ----------
        errors
            Of the iterates so far.
        enough
            What is aimed at, relative to the last of them.
        """
        if self._rtol is not None:
            return None
        expected = _GAMMA * (errors[-1] / errors[-2]) ** 2 if len(errors) > 1 and errors[-2] > 0.0 else _LOOSE
        return float(np.clip(max(expected, _PART * enough), _LEAST, _LOOSE))

    def solve(self, tangent: csr_array, load: np.ndarray, fixed: Any, values: Any, rtol: float | None) -> np.ndarray:
        """Displacement (n,) under a load; ``fixed`` must be the same each time."""
        if self._solver is None or not self._solver.fits(tangent):
            options = self._options if self._rtol is None else {**self._options, "rtol": self._rtol}
            self._solver = LinearSolver(tangent, fixed, self._points, **options)
        elif tangent is not self._tangent:
            self._solver.update(tangent)
        self._tangent = tangent
        return self._solver.solve(load, values, rtol=rtol).x
