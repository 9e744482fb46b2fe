"""Preconditioned conjugate gradients that know where rounding ends them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from femnn.solvers.linear.smoother import inner, ritz_values

# A new start from the residual of x pays if it leaves less than this of it.
_GAIN = 0.5

# Steps after which the condition is looked at for the first time.
_FIRST_LOOK = 24


class Iteration(NamedTuple):
    """Result of an iteration.

    Attributes
    ----------
    x : (m,)
        The iterate of least residual among those whose residual was computed from themselves.
    residuals : list of float
        Relative to the right side, from the start on, as the iteration saw them.
    converged : bool
        Whether the residual of the recurrence reached the tolerance. That of ``x`` may be larger by rounding.
    failure
        What broke the iteration down; else empty.
    expected
        Iterations in all, if it was given up because these were more than the caller's patience; else 0.
    """

    x: np.ndarray
    residuals: list[float]
    converged: bool
    failure: str
    expected: int = 0


def conjugate_gradients(
    matrix: Any,
    b: np.ndarray,
    precondition: Callable[[np.ndarray], np.ndarray],
    rtol: float,
    most: int,
    start: np.ndarray | None = None,
    patience: float = np.inf,
) -> Iteration:
    """Solve a symmetric positive definite system.

    The residual of the recurrence drifts from that of x by rounding, which is about 1e-16 times the condition of the
    matrix. When the recurrence has reached ``rtol`` and x has not, what is left is made up from there, as long as that
    gains anything: where the matrix allows no more, new starts would only go astray.

    Parameters
    ----------
    matrix : (m, m)
    b : (m,)
    precondition
        Applies a symmetric positive definite approximation of the inverse to a vector (m,).
    rtol
        Greatest ‖b - matrix x‖ over ‖b‖.
    most
        Iterations at most.
    start : (m,)
        What to begin with; None for 0.
    patience
        The iteration is given up if after 24 steps, or twice as many and so on, the condition that it has seen lets
        expect more than so many in all: √κ/2 · ln(2/rtol).
    """
    scale = _norm(b)
    if scale == 0.0:
        return Iteration(np.zeros(len(b)), [0.0], True, "")
    x, left, least = np.zeros(len(b)), b, np.inf
    if start is not None:
        x, left = start, b - matrix @ start
        least = _norm(left) / scale
    residuals, converged = [1.0 if start is None else least], False
    if least <= rtol:
        return Iteration(x, residuals, True, "")
    remaining = most
    while True:
        step, norms, failure, expected = _recurrence(matrix, left, precondition, rtol, scale, remaining, patience)
        residuals += [norm / scale for norm in norms]
        tried = x + step
        missed = b - matrix @ tried
        norm = _norm(missed) / scale
        gained = norm < _GAIN * least
        if norm < least:
            x, left, least = tried, missed, norm
        if failure and not converged:
            return Iteration(x, residuals, False, failure)
        if expected:
            # in energy, which counts for who goes on, the last iterate is the best
            return Iteration(tried, residuals, False, "", expected)
        converged = converged or residuals[-1] <= rtol
        # what the first start did not need, no later one is given
        remaining = min(most + 1 - len(residuals), len(norms))
        if least <= rtol or not converged or not gained or failure or remaining < 1:
            return Iteration(x, residuals, converged, "")


def _recurrence(matrix, b, precondition, rtol, scale, most, patience):
    """The solution, the residual after each iteration, what broke it down, and how many iterations are too many."""
    x, left, direction, before = np.zeros(len(b)), b.copy(), 0.0, 1.0
    norms, lengths, turns, look = [], [], [], _FIRST_LOOK
    while len(norms) < most:
        near = precondition(left)
        product = inner(left, near)
        if not product > 0.0:
            return x, norms, "the preconditioner", 0
        turns.append(product / before)
        direction = near + turns[-1] * direction
        before = product
        forces = matrix @ direction
        energy = inner(direction, forces)
        if not energy > 0.0:
            return x, norms, "K", 0
        lengths.append(product / energy)
        x += lengths[-1] * direction
        left -= lengths[-1] * forces
        norms.append(_norm(left))
        if norms[-1] <= rtol * scale:
            break
        if len(norms) == look and patience < np.inf:
            expected, look = _expected(lengths, turns[1:], rtol), 2 * look
            if expected > patience:
                return x, norms, "", int(expected)
    return x, norms, "", 0


def _expected(lengths, turns, rtol):
    """Iterations to a tolerance, by the bound of Chebyshev for the condition that the steps so far have seen."""
    values = ritz_values(lengths, turns)
    return 0.5 * np.sqrt(values[-1] / max(values[0], np.finfo(float).tiny)) * np.log(2.0 / rtol)


def _norm(vector):
    return float(np.sqrt(inner(vector, vector)))
