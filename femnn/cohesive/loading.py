"""Laws under tractions: what a fault slides and opens where its tractions, or some of them, are prescribed."""

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import checked, floats, instance
from femnn.cohesive.law import Law, State
from femnn.exceptions import ConvergenceError, FemnnError, ParameterError

# Newton's method: tractions are met within this share of the largest one; iterations; cuts of a step; longest step of
# an iteration, in separation scales.
_TOLERANCE, _ITERATIONS, _CUTS, _LONGEST = 1e-8, 40, 8, 0.1


@checked(traction="any", separation="any")
def respond_to_tractions(
    law: Law, traction: ArrayLike, separation: ArrayLike | None = None, on_failure: str = "raise"
) -> tuple[np.ndarray, np.ndarray, State]:
    """Separations of one point of a law along a path of tractions.

    Parameters
    ----------
    law
    traction : (k, 3)
        Pa, normal first and tension positive. NaN in a column leaves the component to ``separation``. The first row is
        that of the virgin point.
    separation : (k, 3), optional
        m; read where the traction is NaN.
    on_failure
        ``"raise"``, or ``"nan"``: what is behind the last equilibrium is NaN then.

    Returns
    -------
    separation, traction : (k, 3)
    state : State
        At the last equilibrium.

    Raises
    ------
    ConvergenceError
        If there is no equilibrium within the smallest cut of a step, as where a law cannot bear a traction.
    ParameterError
        If arrays do not fit, or both of a component are NaN.

    Examples
    --------
    A layer of grains that is sheared by 0.2 d under its pressure opens or closes a little:

    >>> import numpy as np
    >>> import femnn
    >>> from femnn.cohesive import respond_to_tractions
    >>> law = femnn.RecurrentCohesive.load("fault-grains")
    >>> path = np.zeros((6, 3))
    >>> path[:, 1] = np.linspace(0.0, 0.2, 6)
    >>> separation, traction, _ = respond_to_tractions(law, np.tile([-1.0, np.nan, np.nan], (6, 1)), path)
    >>> bool(np.allclose(traction[:, 0], -1.0)), bool(0.2 < traction[-1, 1] < 0.7)
    (True, True)

    See Also
    --------
    femnn.cohesive.respond : along a path of separations
    """
    instance("law", law, Law)
    if on_failure not in ("raise", "nan"):
        raise ParameterError(f"on_failure={on_failure!r} is not allowed; it must be 'raise' or 'nan'")
    wanted = floats("traction", traction, finite=False)
    given = np.full(wanted.shape, np.nan) if separation is None else floats("separation", separation, finite=False)
    if wanted.ndim != 2 or wanted.shape[1] != 3 or given.shape != wanted.shape or not len(wanted):
        raise ParameterError(f"tractions have shape {wanted.shape}, separations {given.shape}; pass (k, 3) of both")
    held = np.isnan(wanted)
    if (held != held[:1]).any() or not np.isfinite(np.where(held, given, wanted)).all():
        raise ParameterError(
            "each component needs a finite traction at every point, or NaN there and finite separations at every point"
        )
    free = np.flatnonzero(~held[0])
    path = _Path(law, free, np.nanmax(np.abs(wanted), initial=0.0) * _TOLERANCE)
    separations, tractions = np.full(wanted.shape, np.nan), np.full(wanted.shape, np.nan)
    goals = np.where(held, given, wanted)
    for point, goal in enumerate(goals):
        try:
            separations[point], tractions[point] = path.follow(goal)
        except ConvergenceError:
            if on_failure == "raise":
                raise
            break
    return separations, tractions, path.state


class _Path:
    """A point of a law on its way."""

    def __init__(self, law, free, tolerance) -> None:
        self.law, self.free, self.tolerance = law, free, tolerance
        self.state, self.separation = law.initial_state(1), np.zeros(3)
        self.goal = np.zeros(3)
        self.goal[free] = law.update(np.zeros((1, 3)), self.state).traction[0, free]

    def follow(self, goal):
        """Separation and traction at a goal, in one step or in cuts of it."""
        start, done, share = self.goal, 0.0, 1.0
        while done < 1.0:
            try:
                traction = self._step(start + min(1.0, done + share) * (goal - start))
                done = min(1.0, done + share)
            except ConvergenceError:
                share *= 0.5
                if share < 0.5**_CUTS:
                    raise
        return self.separation, traction

    def _step(self, goal):
        free, x = self.free, self.separation.copy()
        held = np.setdiff1d(np.arange(3), free)
        x[held] = goal[held]
        longest = _LONGEST * self.law.separation_scale
        size, shorten, last = np.inf, 1.0, x
        for _ in range(_ITERATIONS):
            try:
                traction, tangent, state = self.law.update(x[None], self.state)
            except FemnnError as error:
                raise ConvergenceError(f"{self.law.name} has no answer: {error}", x, x, 0.0) from error
            missing = goal[free] - traction[0, free]
            if not len(free) or np.abs(missing).max() <= self.tolerance:
                self.separation, self.state, self.goal = x, state, goal
                return traction[0]
            if np.linalg.norm(missing) < size:
                size, shorten, last = np.linalg.norm(missing), 1.0, x
                step = np.linalg.lstsq(tangent[0][np.ix_(free, free)], missing, rcond=None)[0]
                step *= min(1.0, longest / max(np.linalg.norm(step), 1e-300))
            else:
                shorten *= 0.5
            x = last.copy()
            x[free] += shorten * step
        raise ConvergenceError(
            f"{self.law.name} does not bear the traction {goal[free]} at components {free}: {size:.3g} is left after "
            f"{_ITERATIONS} iterations", x, missing, 0.0,
        )  # fmt: skip
