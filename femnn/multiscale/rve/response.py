"""A cell led along a path: homogenised response at every point, and Hill and Mandel's condition with it."""

from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from femnn.exceptions import ConvergenceError, ParameterError


@dataclass(frozen=True)
class CellPath:
    """Response of a cell at the k points of a path.

    Attributes
    ----------
    separation, traction : (k, 2)
        Macro-separation and homogenised traction, normal and shear, m and Pa.
    tangent : (k, 2, 2)
        Pa/m.
    crack_separation : (k, 2)
        Part of the separation that the cracks bear, m.
    work, inner_work : (k,)
        Of the step that ends at the point: traction · increment, and the virtual work of stresses and crack tractions
        for the increments inside, J/m² of interface.
    hill_mandel : (k,)
        Gap between the two, over |traction| |increment| with the largest traction so far.
    hill_mandel_tangent : (k,)
        Gap between the tangent and the one that blocks and cracks have inside, over the largest entry so far.
    iterations, cuts, outside : (k,) int
        Of Newton's method; crack points out of the trained range of their law.
    state : CellState
        At the end.
    failure : str
        Why the path ended early, else empty.
    """

    separation: np.ndarray
    traction: np.ndarray
    tangent: np.ndarray
    crack_separation: np.ndarray
    work: np.ndarray
    inner_work: np.ndarray
    hill_mandel: np.ndarray
    hill_mandel_tangent: np.ndarray
    iterations: np.ndarray
    cuts: np.ndarray
    outside: np.ndarray
    state: object
    failure: str = ""


def follow(rve, separations, springs=None, *, state=None, on_failure="raise", callback=None, progress=False):
    """Lead a cell along a path.

    Parameters
    ----------
    rve : RVE
    separations : (k, 2)
        Opening and shear of each point, m. Where a spring holds the normal direction the opening does not count.
    springs
        A :class:`femnn.multiscale.rve.rve.Spring` or None for each point.
    state
        To go on from; default: the virgin state.
    on_failure
        ``"raise"`` the ConvergenceError of a point that cannot be reached, or ``"stop"`` before it.
    callback
        Called with (number, CellResponse) after each point.
    progress
        Show a progress bar, if stderr is a terminal.

    Returns
    -------
    CellPath
    """
    separations = np.asarray(separations, dtype=float)
    if separations.ndim != 2 or separations.shape[1] != 2 or not len(separations):
        raise ParameterError(f"separations have shape {separations.shape}, but (k, 2) is needed: opening and shear")
    springs = [None] * len(separations) if springs is None else list(springs)
    if len(springs) != len(separations):
        raise ParameterError(f"{len(springs)} springs for {len(separations)} points; pass one, or None, for each point")
    if on_failure not in ("raise", "stop"):
        raise ParameterError(f"on_failure={on_failure!r} is unknown; choose 'raise' or 'stop'")
    state = rve.initial_state() if state is None else state
    points, largest, failure = [], np.zeros(2), ""
    steps = zip(separations, springs, strict=True)
    bar = tqdm(steps, total=len(separations), desc="cell", unit="step", disable=None if progress else True)
    for number, (goal, spring) in enumerate(bar):
        try:
            found = rve.update(goal, state, spring)
        except ConvergenceError as error:
            if on_failure == "raise":
                raise
            failure = f"point {number}: {error}"
            break
        largest = np.maximum(largest, [np.linalg.norm(found.traction), np.abs(found.tangent).max()])
        points.append(_point(rve, state, found, *largest))
        state = found.state
        if callback is not None:
            callback(number, found)
    if not points:
        raise ParameterError(f"the first point of the path cannot be reached: {failure}")
    return CellPath(*(np.array(column) for column in zip(*points, strict=True)), state, failure)


def _point(rve, before, found, largest, stiffest):
    state = found.state
    step = state.separation - before.separation
    work, inner = float(found.traction @ step), rve.inner_work(found, state.x - before.x)
    scale = largest * np.linalg.norm(step)
    return (
        state.separation.copy(),
        found.traction,
        found.tangent,
        rve.crack_separation(state),
        work,
        inner,
        abs(work - inner) / scale if scale > 0.0 else 0.0,
        np.abs(rve.inner_tangent(found) - found.tangent).max() / stiffest,
        found.iterations,
        found.cuts,
        int(state.cracks.outside.sum()),
    )
