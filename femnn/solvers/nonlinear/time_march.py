"""Marching in time with steps that are cut where they fail; states are never changed, so nothing has to be undone."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from tqdm import tqdm

from femnn.checks import called, checked, number
from femnn.exceptions import ConvergenceError, LawError, OutsideRangeError, ParameterError
from femnn.solvers.nonlinear.step_control import SmallestStepFailed, walk

# What a smaller step may cure, or come closer to.
_CURABLE = (ConvergenceError, LawError, OutsideRangeError)

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

    A step that does not converge, or ends outside the range of its model, is tried again with half its length, or less
    where its error says so; after each that succeeds, the next may be twice as long, but never longer than to the next
    of ``times``.

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
    OutsideRangeError
        If one of ``min_step`` ends outside; ``x`` and ``t`` are the same.

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
    goals, ahead = _ahead(state, times)
    grows: dict[str, Any] = {} if is_easy is None else {"is_easy": is_easy, "patience": 1}
    bar = tqdm(total=len(goals), initial=len(goals) - len(ahead), unit="step", disable=None if progress else True)
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


# An error that doubled steps, of which it is the square, are likely to keep.
_EASY = 0.2


@checked(tolerance="(0, inf)", first_step="(0, inf)", min_step="(0, inf)", max_step="(0, inf]")
def march_by_error(
    step: Callable[[Any, float], Any],
    state: Any,
    times: ArrayLike,
    error: Callable[[Any, Any, Any], tuple[ArrayLike, ArrayLike]],
    *,
    tolerance: float = 1e-3,
    first_step: float | None = None,
    min_step: float | None = None,
    max_step: float = np.inf,
    callback: Callable[[Any], Any] | None = None,
    progress: bool = True,
) -> Any:
    """State at the last of ``times``, by steps that an estimate of their error chooses.

    Steps are halved where the error is too large, or the step fails or ends outside the range of its model, and doubled
    where the error is small, so that linear problems meet the same few lengths again and keep their factors.

    Parameters
    ----------
    step, state, times, callback, progress
        As :func:`march` takes them.
    error
        ``error(before, old, new)`` gives estimates (k,) of the error of the step from ``old`` to ``new``, and the sizes
        (k,) of the same fields; ``before`` is the state that led to ``old``, None for the first step:
        ``PorousProblem.step_error``.
    tolerance
        Of a step: an error over the largest size that its field had so far.
    first_step
        s; default: a thousandth of the first interval.
    min_step
        s; steps no longer than that are taken whatever their error. Default: a millionth of an interval.
    max_step
        s.

    Raises
    ------
    ParameterError
        If the times do not ascend.
    ConvergenceError
        If a step of ``min_step`` fails: ``x`` is the last state that was reached, ``t`` its time.
    OutsideRangeError
        If one of ``min_step`` ends outside the range of its model; ``x`` and ``t`` are the same.

    Examples
    --------
    >>> from typing import NamedTuple
    >>> from femnn.solvers.nonlinear import march_by_error
    >>> class State(NamedTuple):
    ...     t: float
    ...     x: float
    >>> def step(state, dt):
    ...     return State(state.t + dt, state.x / (1.0 + dt))
    >>> def error(before, old, new):
    ...     rate = 0.0 if before is None else (old.x - before.x) / (old.t - before.t)
    ...     return [0.5 * abs(new.x - old.x - (new.t - old.t) * rate)], [abs(new.x)]
    >>> states = []
    >>> last = march_by_error(step, State(0.0, 1.0), [3.0], error, callback=states.append, progress=False)
    >>> bool(abs(last.x - np.exp(-3.0)) < 0.01), bool(states[0].t < states[-1].t - states[-2].t)
    (True, True)
    """
    goals, ahead = _ahead(state, times)
    if not len(ahead):
        return state
    dt = 1e-3 * (ahead[0] - state.t) if first_step is None else first_step
    largest: Any = 0.0
    before: Any = None
    with tqdm(total=len(goals), initial=len(goals) - len(ahead), disable=None if progress else True) as bar:
        for start, end in pairwise([state.t, *ahead]):
            smallest = 1e-6 * (end - start) if min_step is None else min_step
            while end - state.t > _SAME_TIME * abs(end):
                # no sliver is left over
                last = end - state.t < dt + 0.5 * smallest
                used = end - state.t if last else dt
                try:
                    new = step(state, used)
                    errors, sizes = (np.asarray(part, dtype=float) for part in error(before, state, new))
                except _CURABLE as cause:
                    if 0.5 * used < smallest:
                        raise _stopped(state, used, cause) from cause
                    dt = max(min(0.5, getattr(cause, "part", 0.5)) * used, smallest)
                    continue
                scale = np.maximum(largest, sizes)
                worst = np.divide(errors, scale, out=np.zeros_like(errors), where=scale > 0.0).max(initial=0.0)
                if worst > tolerance and 0.5 * used >= smallest:
                    dt = 0.5 * used
                    continue
                largest, before, state = scale, state, new
                bar.set_postfix(t=f"{state.t:.4g}", dt=f"{used:.3g}", refresh=False)
                if worst < _EASY * tolerance and used >= dt:
                    dt = min(2.0 * dt, max_step)
                if callback is not None and called("callback", callback, state):
                    return state
            bar.update()
    return state


def _ahead(state, times):
    """The times, and those of them that are after the state; ParameterError if they do not ascend."""
    number("the time t of state", getattr(state, "t", None))
    times = np.atleast_1d(np.asarray(times, dtype=float))
    if times.ndim != 1 or not np.isfinite(times).all() or (np.diff(times) <= 0.0).any():
        raise ParameterError(f"the times {times} do not ascend; give finite times in s, each after the one before")
    return times, times[times - state.t > _SAME_TIME * np.abs(times).max(initial=0.0)]


def _stopped(state, dt, cause):
    if isinstance(cause, OutsideRangeError):
        return OutsideRangeError(
            f"the step from t = {state.t:.6g} s ends outside even with dt = {dt:.3g} s: {cause}; the last state inside "
            "is `x` of this error",
            state,
            state.t,
        )
    return ConvergenceError(
        f"the step from t = {state.t:.6g} s fails even with dt = {dt:.3g} s: {cause}; the last state is `x` of this "
        "error",
        state,
        getattr(cause, "residuals", np.empty(0)),
        state.t,
    )


def _interval(step, state, end, smallest, grows):
    """States up to the time ``end``."""

    def attempt(goal):
        return step(state, goal - state.t)

    try:
        for _, reached, _ in walk(attempt, state.t, [end], smallest, curable=_CURABLE, **grows):
            state = reached
            yield state
    except SmallestStepFailed as failed:
        raise _stopped(state, failed.goal - failed.t, failed.cause) from failed.cause
