"""The line search that all nonlinear solvers of femnn share."""

from collections.abc import Callable
from typing import Any

import numpy as np

from femnn.solvers.nonlinear.newton_core import Diverged, Iterate


def search(
    evaluate: Callable[[np.ndarray], Iterate],
    accepts: Callable[[Iterate], Any],
    *,
    most: int,
    shape: tuple = (),
    factor: float = 0.5,
    interpolate: Callable[[Iterate], Any] | None = None,
) -> Iterate:
    """The first iterate along a step that is accepted, else that of the least residual.

    Full length is tried first, so that Newton's method keeps its rate; shorter ones where that does not help, or cannot
    be evaluated. Small systems that are solved side by side have each a length of its own.

    Parameters
    ----------
    evaluate
        ``evaluate(length)`` gives the iterate at this part of the step; it may raise Diverged.
    accepts
        ``accepts(iterate)``: true where the step helps.
    most
        Number of lengths that are tried.
    shape
        Of the lengths: () for one system, (systems,) for some side by side.
    factor, interpolate
        What shortens a length: a number, or ``interpolate(iterate)`` after an iterate that does not help.

    Raises
    ------
    Diverged
        If nothing can be evaluated at any length.
    """
    length, best_length, least = np.ones(shape), np.zeros(shape), np.full(shape, np.inf)
    best, failure = None, Diverged("the residual is not finite at any length of the step")
    for _ in range(most):
        try:
            point = evaluate(length)
        except Diverged as diverged:
            failure, length = diverged, factor * length
            continue
        accepted = accepts(point)
        if np.all(accepted):
            return point
        better = point.norm <= least
        if np.any(better):
            best = point if np.all(better) else None
        best_length, least = np.where(better, length, best_length), np.where(better, point.norm, least)
        length = np.where(accepted, length, (interpolate(point) if interpolate else factor) * length)
    if not np.isfinite(least).all():
        raise failure
    return evaluate(best_length) if best is None else best
