"""Preconditioned conjugate gradients that know where rounding ends them."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.sparse import sparray

# A new start from the residual of x pays if it leaves less than this of it.
_GAIN = 0.5


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
    """

    x: np.ndarray
    residuals: list[float]
    converged: bool
    failure: str


def conjugate_gradients(
    matrix: sparray, b: np.ndarray, precondition: Callable[[np.ndarray], np.ndarray], rtol: float, most: int
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
    """
    scale = np.linalg.norm(b)
    x, left, least = np.zeros(len(b)), b, np.inf
    residuals, converged = [1.0], False
    if scale == 0.0:
        return Iteration(x, [0.0], True, "")
    remaining = most
    while True:
        step, norms, failure = _recurrence(matrix, left, precondition, rtol * scale, remaining)
        residuals += [norm / scale for norm in norms]
        tried = x + step
        missed = b - matrix @ tried
        norm = float(np.linalg.norm(missed) / scale)
        gained = norm < _GAIN * least
        if norm < least:
            x, left, least = tried, missed, norm
        if failure and not converged:
            return Iteration(x, residuals, False, failure)
        converged = converged or residuals[-1] <= rtol
        # what the first start did not need, no later one is given
        remaining = min(most + 1 - len(residuals), len(norms))
        if least <= rtol or not converged or not gained or failure or remaining < 1:
            return Iteration(x, residuals, converged, "")


def _recurrence(matrix, b, precondition, target, most):
    """The solution, norms of the residual after each iteration, and what broke it down."""
    x, left, direction, before = np.zeros(len(b)), b.copy(), 0.0, 1.0
    norms = []
    while len(norms) < most:
        near = precondition(left)
        product = left @ near
        if not product > 0.0:
            return x, norms, "the preconditioner"
        direction = near + (product / before) * direction
        before = product
        forces = matrix @ direction
        energy = direction @ forces
        if not energy > 0.0:
            return x, norms, "K"
        length = product / energy
        x += length * direction
        left -= length * forces
        norms.append(float(np.linalg.norm(left)))
        if norms[-1] <= target:
            break
    return x, norms, ""
