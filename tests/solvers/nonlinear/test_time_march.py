"""Marches towards the border of a model: steps that end outside are halved, and the run stops just before it."""

from typing import NamedTuple

import numpy as np
import pytest

from femnn.exceptions import OutsideRangeError
from femnn.solvers.nonlinear import march, march_by_error

# Where the model ends.
BORDER = 0.3127


class Moment(NamedTuple):
    t: float
    x: float


def step(state, dt):
    """x = t, known up to the border."""
    new = Moment(state.t + dt, state.x + dt)
    if new.x > BORDER:
        raise OutsideRangeError(f"x is {new.x:.4g}, {new.x - BORDER:.3g} beyond")
    return new


def error(before, old, new):
    return [0.0], [abs(new.x)]


def marched(times, smallest, callback):
    return march(step, Moment(0.0, 0.0), times, smallest, callback, progress=False)


def marched_by_error(times, smallest, callback):
    return march_by_error(
        step, Moment(0.0, 0.0), times, error, min_step=smallest, callback=callback, progress=False
    )  # fmt: skip


@pytest.mark.parametrize("way", [marched, marched_by_error])
@pytest.mark.parametrize("times", [[1.0], [0.25, 0.5, 1.0]])
def test_a_march_comes_to_the_border_of_its_model_and_keeps_the_last_state_inside(way, times):
    states = []
    with pytest.raises(
        OutsideRangeError, match=r"from t = 0\.31\d* s ends outside even with dt = .*beyond.*`x` of this error"
    ) as stopped:
        way(times, 1e-3, states.append)
    last = stopped.value.x
    assert last is states[-1]
    assert stopped.value.t == last.t
    # no nearer step than the smallest is tried
    assert 0.0 <= BORDER - last.x <= 2e-3
    assert (np.diff([state.t for state in states]) > 0.0).all()
    assert isinstance(stopped.value.__cause__, OutsideRangeError)


@pytest.mark.parametrize("way", [marched, marched_by_error])
def test_a_march_inside_its_model_is_not_stopped(way):
    assert way([0.1, 0.3], 1e-3, None) == pytest.approx((0.3, 0.3))
