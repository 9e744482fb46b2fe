"""femnn.arc_length passes limit points and snap-back of problems whose whole path is known."""

from itertools import pairwise

import numpy as np
import pytest
from support.nonlinear_problems import Chain, DamageChain, Spring, VonMisesTruss

import femnn
from femnn.exceptions import ParameterError

# what pulls at the far end: a displacement or a force
PULLED = {
    "displacement": {"load": np.zeros(3), "fixed": [0, 2], "values": [0.0, 1.0]},
    "force": {"load": np.array([0.0, 0.0, 1.0]), "fixed": [0]},
}


def follow(problem, **options):
    path = []
    found = femnn.arc_length(problem, progress=False, **{"callback": lambda step: path.append(step), **options})
    return found, path


def opened(limit):
    return lambda step: step.u[2] - step.u[1] > limit


def test_the_truss_is_followed_through_both_limit_points():
    _, limit = VonMisesTruss.limit()
    load = np.array([0.0, 1.0])
    path = []

    def callback(step):
        path.append((step.t, *step.u))
        return step.u[1] > 0.75

    femnn.arc_length(VonMisesTruss(), load, first=0.2 * limit, steps=200, callback=callback, progress=False)
    t, u, w = np.array(path).T
    np.testing.assert_allclose(t, VonMisesTruss.load(w), atol=1e-8)
    np.testing.assert_allclose(u, 0.0, atol=1e-8)
    assert w[-1] > 0.75
    assert (np.diff(w) > 0.0).all()
    # both limit points were passed closely
    assert t.max() > limit * 0.98
    assert t[w < 0.5].min() < -0.98 * limit
    assert len(t) < 80


class LoadedTruss(VonMisesTruss):
    """The truss with its load among its own forces, on a schedule."""

    def __init__(self, schedule):
        self.schedule, self.t, self.times = schedule, 0.0, []

    def set_time(self, t):
        self.t = t

    def residual_and_tangent(self, u):
        force, tangent = super().residual_and_tangent(u)
        return force - np.array([0.0, self.schedule(self.t)]), tangent

    def commit(self):
        self.times.append(self.t)


@pytest.mark.parametrize("schedule", [lambda t: t, lambda t: t + 50.0 * t**3], ids=["linear", "cubic"])
def test_a_load_that_the_problem_has_itself_is_followed_through_limit_points(schedule):
    _, limit = VonMisesTruss.limit()
    problem, path = LoadedTruss(schedule), []

    def callback(step):
        path.append(step)
        return step.u[1] > 0.75

    femnn.arc_length(problem, np.zeros(2), first=0.2 * limit, steps=200, callback=callback, progress=False)
    t, w = np.array([(step.t, step.u[1]) for step in path]).T
    np.testing.assert_allclose(schedule(t), VonMisesTruss.load(w), atol=1e-8)
    assert w[-1] > 0.75
    assert len(t) < 80
    # states are committed at their own time, and the iterations converge fast
    np.testing.assert_array_equal(problem.times, t)
    assert max(step.iterations for step in path) <= 8


def test_a_path_that_fails_leaves_the_problem_at_the_time_of_its_state():
    class Breaking(LoadedTruss):
        def residual_and_tangent(self, u):
            force, tangent = super().residual_and_tangent(u)
            return force, tangent * (np.nan if u[1] > 0.05 else 1.0)

    for solve in (
        lambda problem: femnn.arc_length(problem, np.zeros(2), first=0.002, progress=False),
        lambda problem: femnn.newton(problem, np.zeros(2), steps=np.linspace(0.0, 0.02, 9)[1:], progress=False),
    ):
        problem = Breaking(lambda t: t)
        with pytest.raises(femnn.ConvergenceError) as raised:
            solve(problem)
        assert problem.t == problem.times[-1] == raised.value.t > 0.0


def test_dissipation_is_not_measured_where_forces_depend_on_the_load_factor():
    problem = LoadedTruss(lambda t: t)
    with pytest.raises(ParameterError, match=r"no part of the dissipation.*control='length'"):
        femnn.arc_length(problem, np.zeros(2), control="dissipation", progress=False)
    with pytest.raises(ParameterError, match="on_snap_back='raise'"):
        femnn.newton(problem, np.zeros(2), on_snap_back="follow", progress=False)


@pytest.mark.parametrize("control", ["length", "dissipation"])
@pytest.mark.parametrize("pulled", PULLED)
@pytest.mark.parametrize("make", [Chain, DamageChain])
@pytest.mark.parametrize("linear", [2.0, 0.1])
def test_softening_is_followed_to_the_end(control, pulled, make, linear):
    chain, law = make(linear), Chain(linear)
    path = []

    def callback(step):
        path.append(step)
        return step.u[2] - step.u[1] > 6.0

    femnn.arc_length(chain, **PULLED[pulled], first=0.05, steps=400, control=control, callback=callback, progress=False)
    w = np.array([step.u[2] - step.u[1] for step in path])
    force = law.softening(w)
    ends = w + force / linear
    assert w[-1] > 6.0
    assert (np.diff(w) > 0.0).all()
    t = np.array([step.t for step in path])
    np.testing.assert_allclose(t, ends if pulled == "displacement" else force, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose([step.force[2] for step in path], force, rtol=1e-6, atol=1e-8)
    assert force.max() > 0.97 / np.e  # no step jumped over the peak
    if linear < np.exp(-2.0):
        # the steepest softening, exp(-2), is steeper than the linear spring: it snaps back
        assert (np.diff(ends) < 0.0).any()


def test_dissipated_energy_is_what_was_asked_for():
    chain, path = DamageChain(0.1), []

    def callback(step):
        path.append(step)
        return step.u[2] - step.u[1] > 6.0

    femnn.arc_length(
        chain, **PULLED["displacement"], first=0.05, steps=800, control="dissipation", callback=callback, progress=False
    )
    lost = [0.5 * (one.force @ two.u - two.force @ one.u) for one, two in pairwise(path)]
    asked = [step.heading.dissipation for step in path[:-1]]
    taken = [(a, g) for a, g, step in zip(asked, lost, path[1:], strict=True) if a and not step.cuts]
    assert len(taken) > 0.8 * len(path)
    np.testing.assert_allclose(*np.transpose(taken), rtol=1e-6)
    # in all, what damage costs up to there: ∫ q dw less what is stored
    w = path[-1].u[2] - path[-1].u[1]
    total = 1.0 - np.exp(-w) * (1.0 + w) - 0.5 * w**2 * np.exp(-w)
    assert sum(lost) == pytest.approx(total, rel=0.02)


def test_newton_fails_where_arc_length_goes_on():
    with pytest.raises(femnn.ConvergenceError, match=r"femnn\.arc_length goes on") as caught:
        femnn.newton(Chain(0.1), **{**PULLED["displacement"], "values": [0.0, 6.0]}, steps=40, progress=False)
    stopped = 6.0 * caught.value.t
    # the turning point of the ends: w + q(w) / 0.1 is largest where exp(-w) (w - 1) = 0.1
    w = np.linspace(1.0, 1.5, 100_001)
    assert stopped == pytest.approx((w + w * np.exp(-w) / 0.1).max(), abs=1e-3)
    begun = femnn.newton(Chain(0.1), **PULLED["displacement"], steps=[2.0, 4.0], progress=False)
    _, path = follow(Chain(0.1), **PULLED["displacement"], first=0.1, initial=begun.u, start=begun.t, steps=60)
    assert path[0].t == pytest.approx(4.1, abs=1e-2)
    assert max(step.t for step in path if step.u[2] - step.u[1] < 2.0) <= stopped + 1e-3
    assert path[-1].u[2] - path[-1].u[1] > 1.5


def test_a_path_can_be_gone_on_with():
    whole, parts = DamageChain(0.1), DamageChain(0.1)
    options = {**PULLED["displacement"], "first": 0.05, "control": "dissipation"}
    expected, _ = follow(whole, steps=80, **options)
    first, _ = follow(parts, steps=50, **options)
    second, _ = follow(parts, steps=30, initial=first.u, start=first.t, heading=first.heading, **options)
    np.testing.assert_allclose(second.u, expected.u, rtol=1e-9)
    assert second.t == pytest.approx(expected.t, rel=1e-9)
    assert parts.largest == pytest.approx(whole.largest, rel=1e-9)


def test_linear_problems_need_no_correction():
    found, path = follow(Spring(lambda u: 4.0 * u, lambda u: 4.0), load=np.array([2.0]), first=0.25, steps=4)
    np.testing.assert_allclose([step.t for step in path], [0.25, 0.5, 0.75, 1.0])
    assert found.iterations == 0
    np.testing.assert_allclose(found.u, [0.5])


def test_paths_may_begin_downwards():
    _, path = follow(VonMisesTruss(), load=np.array([0.0, 1.0]), first=-0.005, steps=3)
    assert path[0].t < 0.0
    assert np.diff([step.u[1] for step in path]).max() < 0.0


def test_hard_stretches_are_cut():
    class Hard(Chain):
        last = here = 0.0

        def residual_and_tangent(self, u):
            self.here = u[2] - u[1]
            if self.here - self.last > 0.03 and 1.0 < self.here < 1.5:
                raise femnn.FemnnError("a hard stretch")
            return super().residual_and_tangent(u)

        def commit(self):
            self.last = self.here

    found, _ = follow(
        Hard(2.0), **PULLED["displacement"], first=0.1, steps=300, callback=lambda step: step.u[2] - step.u[1] > 3.0
    )
    assert found.cuts > 0
    assert found.u[2] - found.u[1] > 3.0


def test_what_cannot_be_followed_is_said_and_the_last_state_kept():
    class Wall(DamageChain):
        def residual_and_tangent(self, u):
            if u[2] - u[1] > 1.2:
                raise femnn.FemnnError("no law beyond here")
            return super().residual_and_tangent(u)

    chain, states = Wall(0.1), []
    for control in ("length", "dissipation"):
        with pytest.raises(femnn.ConvergenceError, match="no law beyond here") as caught:
            femnn.arc_length(
                chain,
                **PULLED["displacement"],
                first=0.1,
                control=control,
                callback=lambda step: states.append(step),
                progress=False,
            )
        np.testing.assert_array_equal(caught.value.x, states[-1].u)
        assert caught.value.t == states[-1].t
        assert chain.largest == chain.trial == pytest.approx(states[-1].u[2] - states[-1].u[1])
        assert chain.largest > 1.19
        chain = Wall(0.1)


def test_interrupts_leave_the_last_state():
    chain = DamageChain(0.1)

    def callback(step):
        if step.u[2] - step.u[1] > 1.0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        follow(chain, **PULLED["displacement"], callback=callback)
    assert chain.trial == chain.largest > 1.0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"control": "work"}, "control='work' is not allowed; pass 'length' or 'dissipation'"),
        ({"steps": 0}, "steps=0"),
        ({"first": 0.0}, "first=0.0"),
        ({"load": [np.nan]}, "load is not finite"),
        ({"rtol": 2.0}, "rtol=2.0"),
    ],
)
def test_bad_input(arguments, says):
    with pytest.raises(femnn.ParameterError, match=says):
        follow(**{"problem": Spring(lambda u: u, lambda u: 1.0), "load": np.ones(1), **arguments})
