"""Step control of all nonlinear solvers: cutting the steps that fail, and letting them grow again."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from femnn.solvers.nonlinear.newton_core import Diverged


class SmallestStepFailed(Exception):
    """The step from ``t`` to ``goal`` failed by ``cause``, and half of it is too small; never leaves the solvers."""

    def __init__(self, t, goal, cause) -> None:
        super().__init__(f"the step from {t:.6g} to {goal:.6g} failed: {cause}")
        self.t, self.goal, self.cause = t, goal, cause


def cut(
    attempt: Callable[[float], Any], t: float, goal: float, smallest: float, curable: Any = Diverged
) -> tuple[Any, float, int]:
    """Result of ``attempt(goal)``, the goal that it reached, and how often the step from ``t`` was cut for it.

    Steps are halved, or cut to the ``part`` that their error names if that is less.

    Parameters
    ----------
    attempt
        Leaves everything as it was if it raises one of ``curable``.
    smallest
        No shorter step is tried.
    curable
        Errors, one class or several, that a shorter step may avoid.

    Raises
    ------
    SmallestStepFailed
    """
    cuts = 0
    while True:
        try:
            return attempt(goal), goal, cuts
        except curable as error:
            if 0.5 * (goal - t) < smallest:
                raise SmallestStepFailed(t, goal, error) from error
            part = min(0.5, getattr(error, "part", 0.5))
            goal, cuts = t + max(part * (goal - t), smallest), cuts + 1


def walk(
    attempt: Callable[[float], Any],
    t: float,
    targets: Iterable[float],
    smallest: float,
    *,
    curable: Any = Diverged,
    is_easy: Callable[[Any], bool] = bool,
    patience: int = 0,
) -> Iterator[tuple[float, Any, int]]:
    """Go from ``t`` to each of the ascending ``targets``: in one step where that works, in shorter ones where not.

    Yields the end of each step, what :func:`cut` makes of ``attempt``, and the number of cuts. After a cut the steps
    grow again twofold: after each one with ``patience`` 0, else after so many in a row that were not cut and for which
    ``is_easy(result)`` holds.
    """
    longest, streak = np.inf, 0
    for target in targets:
        while t < target:
            # no sliver is left over
            goal = target if target - t < longest + 0.5 * smallest else t + longest
            result, goal, cuts = cut(attempt, t, goal, smallest, curable)
            if cuts:
                longest = goal - t
            streak = streak + 1 if patience and not cuts and is_easy(result) else 0
            if streak == patience:
                longest, streak = 2.0 * longest, 0
            t = goal
            yield t, result, cuts
