"""Marching in time with steps that are cut where they fail; states are never changed, so nothing has to be undone."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from tqdm import tqdm

from femnn.checks import called, checked, number
from femnn.exceptions import ConvergenceError, LawError, ParameterError
from femnn.solvers.nonlinear.step_control import SmallestStepFailed, walk

# What a smaller step may cure.
_CURABLE = (ConvergenceError, LawError)

# Times that differ by rounding only, over the largest of them.
_SAME_TIME = 1e-12


@checked(min_step="(0, inf)")
def march(
    step: Callable[[Any, float], Any],
    state: Any,
    times: ArrayLike,
    min_step: float | None = None,
    callback: Callable[[Any], Any] | None = None,
    progress: bool = True,
    is_easy: Callable[[Any], bool] | None = None,
) -> Any:
    """State at the last of ``times``, reached by way of all of them.

    A step that does not converge is tried again with half its length, or less where its error says so; after each that
    does, the next may be twice as long, but never longer than to the next of ``times``.

    Parameters
    ----------
    step
        ``step(state, dt)`` gives the state after dt and leaves ``state`` as it is: ``PorousProblem.step``.
    state
        To start from, with its time as ``t``.
    times
        Ascending, s. Those that are not after ``state.t`` are passed over, so that a run goes on from a restart file
        with the same times.
    min_step
        Smallest step, s; default: a thousandth of the interval between two times.
    callback
        Called with each new state; if it returns true, the march ends there.
    progress
        False shows no progress bar.
    is_easy
        ``is_easy(state)``: whether the step after that to ``state`` may be twice as long, as an estimate of its error
        says. Default: after each one that was not cut.

    Raises
    ------
    ParameterError
        If the times do not ascend.
    ConvergenceError
        If a step of ``min_step`` fails: ``x`` is the last state that was reached, ``t`` its time.

    Examples
    --------
    A body that cools, x' = -x, by implicit steps:

    >>> from typing import NamedTuple
    >>> from femnn.solvers.nonlinear import march
    >>> class State(NamedTuple):
    ...     t: float
    ...     x: float
    >>> def step(state, dt):
    ...     return State(state.t + dt, state.x / (1.0 + dt))
    >>> float(march(step, State(0.0, 1.0), [1.0, 2.0], progress=False).x)
    0.25
    """
    number("the time t of state", getattr(state, "t", None))
    times = np.atleast_1d(np.asarray(times, dtype=float))
    if times.ndim != 1 or not np.isfinite(times).all() or (np.diff(times) <= 0.0).any():
        raise ParameterError(f"the times {times} do not ascend; give finite times in s, each after the one before")
    if min_step is not None and not min_step > 0.0:
        raise ParameterError(f"min_step is {min_step} s; it must be positive")
    grows: dict[str, Any] = {} if is_easy is None else {"is_easy": is_easy, "patience": 1}
    ahead = times[times - state.t > _SAME_TIME * np.abs(times).max()]
    bar = tqdm(total=len(times), initial=len(times) - len(ahead), unit="step", disable=None if progress else True)
    with bar:
        for start, end in pairwise([state.t, *ahead]):
            smallest = (end - start) / 1000.0 if min_step is None else min_step
            for reached in _interval(step, state, end, smallest, grows):
                state = reached
                bar.set_postfix(t=f"{state.t:.4g}", refresh=False)
                if callback is not None and called("callback", callback, state):
                    return state
            bar.update()
    return state


def _interval(step, state, end, smallest, grows):
    """States up to the time ``end``."""

    def attempt(goal):
        return step(state, goal - state.t)

    try:
        for _, reached, _ in walk(attempt, state.t, [end], smallest, curable=_CURABLE, **grows):
            state = reached
            yield state
    except SmallestStepFailed as failed:
        raise ConvergenceError(
            f"the step from t = {state.t:.6g} s fails even with dt = {failed.goal - failed.t:.3g} s: {failed.cause}; "
            "the last state is `x` of this error",
            state,
            getattr(failed.cause, "residuals", np.empty(0)),
            state.t,
        ) from failed.cause
