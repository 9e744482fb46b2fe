"""Time steps of faults that slide: how far they may in one, and what follows for its length."""

from typing import Any

import numpy as np

from femnn.exceptions import ConvergenceError


def sliding_error(moved: np.ndarray, rate: np.ndarray, dt: float) -> float:
    """Estimated error of the sliding of any point in a step, m, from its separations (points, 3) and the rate before.

    Implicit Euler's method misses half of what the rate changes.
    """
    return float(0.5 * dt * np.linalg.norm((moved / dt - rate)[:, 1:], axis=1).max(initial=0.0))


def require_short(slid: float, error: float, state: Any, dt: float, largest_slip: float, slip_error: float) -> None:
    """Raise ConvergenceError if a step from ``state`` slides too far, or too far beside the truth, m."""
    if slid > largest_slip:
        raise _too_long(state, dt, f"the fault slides {slid:.3g} m in it", largest_slip)
    if error > slip_error:
        # it falls at least as fast as the step
        part = 0.9 * slip_error / error
        raise _too_long(state, dt, f"the error of its sliding is about {error:.3g} m", slip_error, part)


def is_easy(state: Any, slip_error: float) -> bool:
    """Whether twice the step that led to ``state`` would keep ``slip_error``."""
    return state.slip_error <= 0.25 * slip_error


def _too_long(state, dt, what, most, part=0.5):
    return ConvergenceError(
        f"the step to t = {state.t + dt:.6g} s (dt = {dt:.6g} s) is too long: {what}, allowed are {most:.3g} m",
        state,
        np.empty(0),
        state.t,
        part=part,
    )
