"""The iteration that all nonlinear solvers of femnn share: Newton's method, whatever is solved and measured by it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np


class Diverged(Exception):
    """A step did not reach equilibrium, ``residuals`` being the errors up to there; never leaves the solvers."""

    def __init__(self, reason, residuals=()) -> None:
        super().__init__(reason)
        self.residuals = list(residuals)


@contextmanager
def diverging(*errors: type[Exception]) -> Iterator[None]:
    """Make these errors, where a block raises them, into :class:`Diverged`: a shorter step may avoid them."""
    try:
        yield
    except errors as error:
        raise Diverged(f"{type(error).__name__}: {error}") from error


class Iterate(NamedTuple):
    """Unknowns that were evaluated.

    Attributes
    ----------
    x, residual
        Of one system (n,), or of small ones that are solved side by side (systems, n).
    response
        What else the evaluation gave.
    norm, size
        Of the residual, and what it is measured by: numbers, or one for each system.
    """

    x: np.ndarray
    residual: np.ndarray
    response: Any
    norm: Any
    size: Any = 1.0

    @property
    def error(self):
        """``norm`` relative to ``size``."""
        return self.norm / self.size if np.all(self.size) else 0.0


def iterate(
    start: Iterate,
    is_solved: Callable[[Iterate, list], bool],
    advance: Callable[[Iterate, list], Iterate],
    max_iterations: int,
    unit: str = "of the forces",
) -> tuple[Iterate, list]:
    """The solution that Newton's method comes to, and the errors of all iterates.

    Parameters
    ----------
    start
        The first iterate.
    is_solved
        ``is_solved(point, errors)``, with the errors of all iterates so far, that of ``point`` last.
    advance
        ``advance(point, errors)`` gives the next iterate: it solves for a correction and follows it, as far as
        :func:`femnn.solvers.nonlinear.line_search.search` finds that it helps.
    max_iterations, unit
        Most corrections, and the unit of the errors for the message.

    Raises
    ------
    Diverged
        If ``advance`` does, or no iterate is a solution.
    """
    point, errors = start, [start.error]
    while not is_solved(point, errors):
        if len(errors) > max_iterations:
            raise Diverged(f"the residual was still {np.max(errors[-1]):.1e} {unit}", errors)
        try:
            point = advance(point, errors)
        except Diverged as diverged:
            diverged.residuals = errors
            raise
        errors.append(point.error)
    return point, errors
