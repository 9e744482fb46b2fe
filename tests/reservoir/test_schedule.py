"""Schedules of wells: what is planned flows, and plans that contradict themselves are refused."""

from itertools import pairwise

import numpy as np
import pytest
from support.porous_problems import column, single

from femnn.exceptions import ParameterError
from femnn.reservoir import Schedule, Well, march

HOUR = 3600.0


def test_what_is_planned_is_injected():
    rate = Schedule([(0.0, HOUR, 1e-6), (2.5 * HOUR, 3.5 * HOUR, -4e-7)])
    problem = column(single(), traction={}, wells=[Well((0.5, 5.0), rate)])
    states = [problem.initial_state()]
    march(problem.step, states[0], rate.within([HOUR, 2 * HOUR, 4 * HOUR]), callback=states.append, progress=False)
    injected = [problem.balance(*pair).injected.sum() for pair in pairwise(states)]
    assert [state.t / HOUR for state in states] == [0.0, 1.0, 2.0, 2.5, 3.5, 4.0]
    np.testing.assert_allclose(injected, [1e-6 * HOUR, 0.0, 0.0, -4e-7 * HOUR, 0.0], rtol=1e-12, atol=1e-18)
    assert rate.total(0.0, 4 * HOUR) == pytest.approx(sum(injected))


def test_a_value_holds_up_to_the_end_of_its_interval():
    rate = Schedule([(1.0, 2.0, 3.0), (2.0, 4.0, 5.0)])
    assert [rate(None, t) for t in (0.5, 1.0, 1.5, 2.0, 2.5, 4.0, 4.5)] == [0.0, 0.0, 3.0, 3.0, 5.0, 5.0, 0.0]
    assert rate.edges.tolist() == [1.0, 2.0, 4.0]
    assert rate.total(1.5, 2.5) == pytest.approx(0.5 * 3.0 + 0.5 * 5.0)
    assert repr(rate) == "Schedule([(1.0, 2.0, 3.0), (2.0, 4.0, 5.0)])"


@pytest.mark.parametrize(
    ("intervals", "message"),
    [
        ([(0.0, 2.0, 1.0), (1.0, 3.0, 1.0)], "from 0 s to 2 s and from 1 s to 3 s overlap"),
        ([(2.0, 2.0, 1.0)], "from 2 s to 2 s has no length"),
        ([1.0, 2.0, 3.0], r"intervals have shape \(3,\)"),
        ([(0.0, np.nan, 1.0)], r"intervals is nan at \(0, 1\)"),
    ],
)
def test_bad_plans_are_refused(intervals, message):
    with pytest.raises(ParameterError, match=message):
        Schedule(intervals)
