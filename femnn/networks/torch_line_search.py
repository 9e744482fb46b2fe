"""Optimizers that torch lacks: steepest descent with a line search, and stochastic descent with Armijo's condition."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from femnn.checks import integer, number, one_of
from femnn.exceptions import ParameterError

#: What a line search of `LineSearchDescent` asks of a step.
CONDITIONS = ("exact", "goldstein", "armijo", "wolfe")

# Of the decrease that the slope promises, a step must bring this share; Goldstein's condition bounds it above by one
# minus its share as well. The usual 1e-4 is for directions that know the curvature: along the gradient it takes steps
# of nearly twice the length to the minimum, which leap to and fro across it.
_SHARE = {"exact": 0.0, "goldstein": 0.25, "armijo": 0.1, "wolfe": 0.1}

# Largest slope at the end of a step over that at its beginning: Wolfe's condition bounds how steep it still falls, an
# exact search the slope's size.
_SLOPE = {"wolfe": 0.9, "exact": 0.05}

# Losses closer than this, relative to their size, do not differ in float32.
_ROUNDING = 1e-7


class LineSearchDescent(torch.optim.Optimizer):
    """Steepest descent on all rows at once; a line search finds the length of every step.

    Too long and too short steps bracket one that fulfils the condition; the bracket is doubled, then halved, by an
    exact search in turns with cuts where the slopes at its ends place the minimum. Trials whose loss is not finite
    count as too long.

    Parameters
    ----------
    params
        Weights, one group.
    condition
        ``"exact"``: the slope along the step falls to a twentieth. ``"armijo"``: the loss falls by a tenth of what
        the slope promises. ``"goldstein"``: by a quarter to three quarters of it. ``"wolfe"``: as Armijo's, and the
        slope falls to nine tenths.
    lr
        Length of the first trial over the gradient, > 0. Later ones begin at the last step; Armijo's condition, which
        bounds steps from above alone, at twice the last.
    max_iter
        Descents in each call of `step`, >= 1.
    trials
        Steps that a search may try, >= 1.

    Attributes
    ----------
    stalled : bool
        No step that was tried brings the loss down: the weights are stationary as far as rounding tells.

    Raises
    ------
    ParameterError
        If a value is not allowed, or the weights come in several groups.

    Notes
    -----
    J. Nocedal, S. J. Wright, Numerical Optimization, 2nd ed., Springer 2006, chapter 3.

    Examples
    --------
    >>> weights = torch.nn.Parameter(torch.tensor([2.0, 1.0]))
    >>> optimizer = LineSearchDescent([weights], "exact")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (weights**2 * torch.tensor([1.0, 3.0])).sum()
    ...     loss.backward()
    ...     return loss
    >>> for _ in range(5):
    ...     _ = optimizer.step(closure)
    >>> bool(closure() < 1e-6)
    True
    """

    def __init__(
        self,
        params: Iterable[Any],
        condition: str = "wolfe",
        lr: float = 1.0,
        *,
        max_iter: int = 5,
        trials: int = 30,
    ) -> None:
        self.condition = one_of("condition", condition, CONDITIONS)
        self.max_iter, self.trials = integer("max_iter", max_iter, 1), integer("trials", trials, 1)
        super().__init__(params, {"lr": number("lr", lr, "(0, inf)")})
        _require_one_group(self)
        self.stalled = False

    @torch.no_grad()
    def step(self, closure: Callable[[], torch.Tensor]) -> float:  # type: ignore[override]
        """Descend ``max_iter`` times; the loss at the beginning.

        ``closure()`` computes the loss of the same rows at every call and its gradient, as that of `torch.optim.LBFGS`.
        """
        closure = torch.enable_grad()(closure)
        weights = self.param_groups[0]["params"]
        first = loss = _value(closure)
        if not math.isfinite(loss):
            return first
        for _ in range(self.max_iter):
            gradient = _gradient(weights)
            found = self._search(closure, weights, gradient, loss)
            self.stalled = found is None
            if found is None:
                break
            loss = found
        return first

    def _search(self, closure, weights, gradient, loss) -> float | None:
        """Take a step; the loss after it, or None, with the weights as they were, if none brings it down."""
        start, slope, group = parameters_to_vector(weights), -float(gradient @ gradient), self.param_groups[0]
        if slope == 0.0:
            return None
        step = group["lr"] * (2.0 if self.condition == "armijo" else 1.0)
        low, high = (0.0, slope), (math.inf, math.nan)  # a step that is too short, one that is too long, their slopes
        best = (0.0, loss)
        for trial in range(self.trials):
            vector_to_parameters(start - step * gradient, weights)
            value = _value(closure)
            slope_there = -float(_gradient(weights) @ gradient)
            if value < best[1]:
                best = (step, value)
            verdict = self._verdict(step, value, slope_there, loss, slope)
            if verdict == 0:
                group["lr"] = step
                return value
            if verdict > 0:
                high = (step, slope_there)
            else:
                low = (step, slope_there)
            # slopes place the minimum well where the loss is nearly a parabola, and badly elsewhere: in turns
            step = _between(low, high, by_slopes=self.condition == "exact" and trial % 2 == 0)
        # the bracket is as narrow as rounding allows; what falls is taken
        vector_to_parameters(start - best[0] * gradient, weights)
        if best[0] == 0.0:
            closure()
            return None
        group["lr"] = best[0]
        return _value(closure)

    def _verdict(self, step, value, slope_there, loss, slope) -> int:
        """1 for a step that is too long, -1 for one that is too short, 0 for one that will do."""
        share, promised = _SHARE[self.condition], step * slope
        # NaN compares false
        if not value <= loss + share * promised + _ROUNDING * abs(loss) * (share == 0.0):
            return 1
        if self.condition == "goldstein":
            return -1 if value < loss + (1.0 - share) * promised else 0
        if self.condition == "armijo":
            return 0
        limit = _SLOPE[self.condition] * abs(slope)
        if slope_there < -limit:
            return -1
        return 1 if self.condition == "exact" and slope_there > limit else 0


class ArmijoSGD(torch.optim.Optimizer):
    """Stochastic descent that tries each step on its own minibatch, and asks for larger minibatches when steps shrink.

    A step that fulfils Armijo's condition on the minibatch is taken and the next one is longer; another is not taken
    and the next one is shorter. The decrease that can be relied on follows the steps, and the number of rows goes as
    its inverse: the less there is to gain, the better it must be known.

    Parameters
    ----------
    params
        Weights, one group.
    lr
        Length of the first step over the gradient, > 0.
    batch_size
        Rows of the first minibatch, >= 1.
    most_rows
        Rows of the largest, >= batch_size.
    decrease
        Share of the decrease that the slope promises, in (0, 1).
    growth
        Factor of steps and of the reliable decrease, > 1.

    Attributes
    ----------
    batch_size : int
        Rows that the next minibatch should have.

    Raises
    ------
    ParameterError
        If a value is not allowed, or the weights come in several groups.

    Notes
    -----
    After C. Paquette, K. Scheinberg, A stochastic line search method with expected complexity analysis, SIAM J. Optim.
    30 (2020) 349-376. Theirs chooses the rows by estimated variances; here these count as constant.

    Examples
    --------
    >>> weights = torch.nn.Parameter(torch.tensor([2.0, 1.0]))
    >>> optimizer = ArmijoSGD([weights])
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (weights**2).sum()
    ...     if torch.is_grad_enabled():  # a trial asks for the value alone
    ...         loss.backward()
    ...     return loss
    >>> for _ in range(9):
    ...     _ = optimizer.step(closure)
    >>> bool(closure() < 1e-6)
    True
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        *,
        batch_size: int = 32,
        most_rows: int = 4096,
        decrease: float = 0.1,
        growth: float = 2.0,
    ) -> None:
        self._first_rows = self.batch_size = integer("batch_size", batch_size, 1)
        self._most_rows = integer("most_rows", most_rows, self._first_rows)
        self._decrease, self._growth = number("decrease", decrease, "(0, 1)"), number("growth", growth, "(1, inf)")
        super().__init__(params, {"lr": number("lr", lr, "(0, inf)"), "reliable": None, "first_reliable": None})
        _require_one_group(self)

    @torch.no_grad()
    def step(self, closure: Callable[[], torch.Tensor]) -> float:  # type: ignore[override]
        """Try one step; the loss of the minibatch before it.

        ``closure()`` computes the loss of one minibatch, the same whenever this call asks, and its gradient if torch
        records gradients.
        """
        group = self.param_groups[0]
        weights, growth = group["params"], self._growth
        with torch.enable_grad():
            loss = _value(closure)
        gradient = _gradient(weights)
        promised = group["lr"] * float(gradient @ gradient)
        if not math.isfinite(loss) or promised == 0.0:
            return loss
        if group["reliable"] is None:
            group["reliable"] = group["first_reliable"] = promised
        start = parameters_to_vector(weights)
        vector_to_parameters(start - group["lr"] * gradient, weights)
        if _value(closure) <= loss - self._decrease * promised:
            group["lr"] *= growth
            group["reliable"] *= growth if promised >= group["reliable"] else 1.0 / growth
        else:
            vector_to_parameters(start, weights)
            group["lr"] /= growth
            group["reliable"] /= growth
        wanted = self._first_rows * group["first_reliable"] / max(group["reliable"], 1e-300)
        self.batch_size = int(min(max(wanted, self._first_rows), self._most_rows))
        return loss


def _value(closure: Callable[[], torch.Tensor]) -> float:
    return float(closure().detach())


def _gradient(weights: list[torch.Tensor]) -> torch.Tensor:
    """Gradients of all weights in one vector; a weight that the loss does not depend on has none."""
    return torch.cat([(torch.zeros_like(w) if w.grad is None else w.grad).reshape(-1) for w in weights])


def _between(low: tuple[float, float], high: tuple[float, float], by_slopes: bool) -> float:
    """The next trial: beyond the last where nothing bounds it, else in the bracket."""
    if math.isinf(high[0]):
        return 2.0 * low[0]
    share = 0.5
    if by_slopes and low[1] < 0.0 < high[1]:
        share = min(max(low[1] / (low[1] - high[1]), 0.1), 0.9)
    return low[0] + share * (high[0] - low[0])


def _require_one_group(optimizer: torch.optim.Optimizer) -> None:
    if len(optimizer.param_groups) != 1:
        raise ParameterError(
            f"{type(optimizer).__name__} has {len(optimizer.param_groups)} groups of weights; its steps go along the "
            "gradient of all of them: pass one"
        )
