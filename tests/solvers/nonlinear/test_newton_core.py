"""The iteration, the line search and the control of steps that all nonlinear solvers share."""

import numpy as np
import pytest

from femnn.solvers.nonlinear.line_search import search
from femnn.solvers.nonlinear.newton_core import Diverged, Iterate, iterate
from femnn.solvers.nonlinear.step_control import SmallestStepFailed, cut, walk


def root_of(target, x):
    """Iterate of x² = target, for many targets side by side."""
    residual = target - x**2
    return Iterate(x, residual, None, np.abs(residual), target)


def refined(target, point):
    step = point.residual / (2.0 * point.x)
    return search(
        lambda length: root_of(target, point.x + length * step),
        lambda tried: tried.norm <= point.norm,
        most=8,
        shape=target.shape,
    )


def test_many_systems_are_solved_side_by_side_as_each_by_itself():
    targets = np.array([1e-4, 2.0, 9.0, 1e6])

    def solved(target):
        start = root_of(target, np.full(target.shape, 0.7))
        return iterate(start, lambda _, errors: (errors[-1] < 1e-12).all(), lambda p, _: refined(target, p), 50)

    together, errors = solved(targets)
    np.testing.assert_allclose(together.x, np.sqrt(targets), rtol=1e-12)
    alone = [solved(target) for target in targets[:, None]]
    np.testing.assert_allclose(together.x, [point.x[0] for point, _ in alone], rtol=1e-12)
    assert len(errors) == max(len(own) for _, own in alone)


def test_errors_up_to_there_go_with_what_ends_the_iteration():
    target = np.array([2.0])

    def fails(point, errors):
        if len(errors) == 3:
            raise Diverged("no more")
        return refined(target, point)

    with pytest.raises(Diverged, match="no more") as caught:
        iterate(root_of(target, np.array([30.0])), lambda *_: False, fails, 50)
    assert len(caught.value.residuals) == 3
    with pytest.raises(Diverged, match=r"the residual was still \S+e\S+ m²") as caught:
        iterate(root_of(target, np.array([30.0])), lambda *_: False, lambda p, _: refined(target, p), 2, "m²")
    assert len(caught.value.residuals) == 3


@pytest.mark.parametrize("norms", [[5.0, 3.0, 4.0], [np.nan, 3.0, 4.0], [None, 3.0, 4.0]])
def test_the_least_residual_is_taken_where_no_length_helps(norms):
    lengths = []

    def evaluate(length):
        lengths.append(float(length))
        norm = norms[len(lengths) - 1]
        if norm is None:
            raise Diverged("no law")
        return Iterate(length, None, None, norm)

    point = search(evaluate, lambda _: False, most=3, factor=0.4)
    assert lengths == pytest.approx([1.0, 0.4, 0.16])
    assert (point.x, point.norm) == (pytest.approx(0.4), 3.0)


def test_each_of_many_systems_takes_its_best_length():
    def evaluate(length):
        # the first helps at a quarter, the second is best at half, the third at full length
        return Iterate(length, None, None, np.abs(length - np.array([0.25, 0.5, 1.0])))

    point = search(evaluate, lambda tried: np.array([tried.norm[0] == 0.0, False, True]), most=4, shape=(3,))
    np.testing.assert_array_equal(point.x, [0.25, 0.5, 1.0])


@pytest.mark.parametrize("failure", ["not finite", "no law"])
def test_a_step_that_cannot_be_evaluated_at_all_diverges(failure):
    def evaluate(length):
        if failure == "no law":
            raise Diverged("no law")
        return Iterate(length, None, None, np.nan)

    with pytest.raises(Diverged, match=failure):
        search(evaluate, lambda tried: tried.norm < 1.0, most=3)


class Stretch:
    """Fails for steps longer than ``most`` inside a range."""

    def __init__(self, most, hard=(0.0, np.inf)):
        self.t, self.most, self.hard, self.failed = 0.0, most, hard, 0

    def __call__(self, goal):
        if goal - self.t > self.most and self.hard[0] <= self.t < self.hard[1]:
            self.failed += 1
            raise Diverged("too far")
        self.t = goal
        return goal


def test_steps_are_halved_until_they_hold():
    attempt = Stretch(0.3)
    assert cut(attempt, 0.0, 2.0, 1e-3) == (0.25, 0.25, 3)
    with pytest.raises(SmallestStepFailed, match="too far") as caught:
        cut(Stretch(0.3), 0.0, 2.0, 0.5)
    assert (caught.value.t, caught.value.goal) == (0.0, 0.5)


@pytest.mark.parametrize(("patience", "lengths"), [(0, [0.25, 0.25, 0.5]), (2, [0.25, 0.25, 0.25, 0.25])])
def test_steps_grow_again_after_a_hard_stretch_and_hit_every_target(patience, lengths):
    attempt = Stretch(0.3, hard=(0.0, 0.4))
    ends = [t for t, _, _ in walk(attempt, 0.0, [1.0, 3.0], 1e-3, is_easy=lambda _: True, patience=patience)]
    np.testing.assert_allclose(np.diff([0.0, *ends])[: len(lengths)], lengths)
    assert {1.0, 3.0} <= set(ends)
    assert ends[-1] == 3.0


def test_no_sliver_is_left_over_before_a_target():
    attempt = Stretch(0.6, hard=(0.0, 0.1))
    # half of 1.02 holds, and the rest but a sliver
    ends = [t for t, _, _ in walk(attempt, 0.0, [1.02], 0.1, is_easy=lambda _: False, patience=9)]
    np.testing.assert_allclose(ends, [0.51, 1.02])
