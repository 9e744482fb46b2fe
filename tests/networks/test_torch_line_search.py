"""Descent with line searches: every step keeps its condition, minima are found, and what cannot go down says so."""

import math

import pytest
import torch

from femnn.exceptions import ParameterError
from femnn.networks.torch_line_search import CONDITIONS, ArmijoSGD, LineSearchDescent

CURVATURES = torch.tensor([1.0, 3.0, 10.0], dtype=torch.float64)


def quadratic(x):
    return 0.5 * (CURVATURES * x**2).sum()


def rosenbrock(x):
    return (1.0 - x[0]) ** 2 + 10.0 * (x[1] - x[0] ** 2) ** 2


def bowl_with_an_edge(x):
    # NaN beyond 1: the minimum is at 0.9
    return -(x - 0.8).sum() - 0.1 * torch.log(1.0 - x).sum()


def closure_of(function, weights, optimizer):
    def closure():
        optimizer.zero_grad()
        value = function(weights)
        if torch.is_grad_enabled():
            value.backward()
        return value

    return closure


def minimise(function, start, make, steps):
    weights = torch.nn.Parameter(torch.tensor(start, dtype=torch.float64))
    optimizer = make([weights])
    for _ in range(steps):
        optimizer.step(closure_of(function, weights, optimizer))
    return weights.detach(), optimizer


def slope_at(function, start, direction, step):
    """Loss and its derivative along a direction."""
    length = torch.tensor(step, dtype=torch.float64, requires_grad=True)
    value = function(start + length * direction)
    value.backward()
    return float(value.detach()), float(length.grad)


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("first", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize(("function", "start"), [(quadratic, [3.0, -1.0, 2.0]), (rosenbrock, [-1.2, 1.0])])
def test_the_step_keeps_its_condition(condition, first, function, start):
    begin = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    function(begin).backward()
    direction, begin = -begin.grad, begin.detach()
    end, optimizer = minimise(function, start, lambda w: LineSearchDescent(w, condition, first, max_iter=1), 1)
    step = optimizer.param_groups[0]["lr"]
    torch.testing.assert_close(end, begin + step * direction, rtol=1e-12, atol=0.0)
    (loss, slope), (value, slope_there) = (slope_at(function, begin, direction, length) for length in (0.0, step))
    assert value < loss
    if condition != "exact":
        share = 0.25 if condition == "goldstein" else 0.1
        assert value <= loss + share * step * slope
    if condition == "goldstein":
        assert value >= loss + 0.75 * step * slope
    if condition == "wolfe":
        assert slope_there >= 0.9 * slope
    if condition == "exact":
        assert abs(slope_there) <= 0.05 * abs(slope)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_every_search_finds_the_minimum(condition):
    end, _ = minimise(rosenbrock, [-1.2, 1.0], lambda w: LineSearchDescent(w, condition), 100)
    assert rosenbrock(end) < 1e-3


def test_exact_searches_converge_at_the_rate_of_theory():
    # at least by ((k - 1)/(k + 1))² a step for a condition number k (Kantorovich); a search that is nearly exact too
    losses = []
    for steps in range(1, 12):
        end, _ = minimise(quadratic, [10.0, 0.1, 1.0], lambda w: LineSearchDescent(w, "exact", max_iter=1), steps)
        losses.append(float(quadratic(end)))
    bound = ((10.0 - 1.0) / (10.0 + 1.0)) ** 2
    assert (losses[-1] / losses[0]) ** 0.1 < 1.02 * bound


@pytest.mark.parametrize("condition", CONDITIONS)
def test_trials_without_a_value_are_too_long(condition):
    end, _ = minimise(bowl_with_an_edge, [0.0, 0.5], lambda w: LineSearchDescent(w, condition, 100.0), 60)
    torch.testing.assert_close(end, torch.full((2,), 0.9, dtype=torch.float64), atol=1e-4, rtol=0.0)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_stationary_weights_stay_and_say_so(condition):
    for function, start in ((quadratic, [0.0, 0.0, 0.0]), (lambda x: (x * 0.0).sum() + 1.0, [1.0, 2.0])):
        end, optimizer = minimise(function, start, lambda w: LineSearchDescent(w, condition), 1)
        assert end.tolist() == start
        assert optimizer.stalled
    # a gradient that points the wrong way: no step brings the loss down
    weights = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    optimizer = LineSearchDescent([weights], condition)

    def wrong():
        weights.grad = -weights.detach()
        return (weights.detach() ** 2).sum()

    optimizer.step(wrong)
    assert optimizer.stalled
    assert weights.tolist() == [1.0, 2.0]


def test_a_loss_that_is_nan_at_once_moves_nothing():
    for make in (LineSearchDescent, ArmijoSGD):
        end, _ = minimise(lambda x: (x * math.nan).sum(), [1.0, 2.0], make, 3)
        assert end.tolist() == [1.0, 2.0]


def test_armijo_takes_what_falls_and_leaves_what_does_not():
    weights = torch.nn.Parameter(torch.tensor([4.0], dtype=torch.float64))
    optimizer = ArmijoSGD([weights], lr=7.0, batch_size=4, most_rows=64)
    taken, rows = [], [optimizer.batch_size]
    for _ in range(40):
        before, step = weights.item(), optimizer.param_groups[0]["lr"]
        optimizer.step(closure_of(lambda x: (x**2).sum(), weights, optimizer))
        candidate = before - step * 2.0 * before
        falls = candidate**2 <= before**2 - 0.1 * step * (2.0 * before) ** 2
        assert weights.item() == (candidate if falls else before)
        if before:  # no step from the minimum itself
            assert optimizer.param_groups[0]["lr"] == (2.0 * step if falls else 0.5 * step)
            taken.append(falls)
        rows.append(optimizer.batch_size)
    assert {True, False} <= set(taken)
    # the less there is to gain, the more rows
    assert rows[0] == 4
    assert rows[-1] == 64
    assert 4 <= min(rows) <= max(rows) <= 64


def test_armijo_descends_on_minibatches():
    random = torch.Generator().manual_seed(0)
    features = torch.randn(500, 5, generator=random)
    truth = torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0])
    targets = features @ truth + 0.1 * torch.randn(500, generator=random)
    weights = torch.nn.Parameter(torch.zeros(5))
    optimizer = ArmijoSGD([weights], batch_size=8, most_rows=500)
    for _ in range(300):
        rows = torch.randperm(500, generator=random)[: optimizer.batch_size]

        def loss(w, rows=rows):
            return ((features[rows] @ w - targets[rows]) ** 2).mean()

        optimizer.step(closure_of(loss, weights, optimizer))
    torch.testing.assert_close(weights.detach(), torch.linalg.lstsq(features, targets).solution, atol=0.02, rtol=0.0)


def test_what_is_refused():
    weights = [torch.nn.Parameter(torch.zeros(2)) for _ in range(2)]
    with pytest.raises(ParameterError, match="'exact' or 'goldstein' or 'armijo' or 'wolfe'"):
        LineSearchDescent(weights, "newton")
    groups = [{"params": [part]} for part in weights]
    for make in (LineSearchDescent, ArmijoSGD):
        with pytest.raises(ParameterError, match="2 groups of weights"):
            make(groups)
        with pytest.raises(ParameterError, match="lr"):
            make(weights, lr=0.0)
    with pytest.raises(ParameterError, match="most_rows"):
        ArmijoSGD(weights, batch_size=10, most_rows=5)
