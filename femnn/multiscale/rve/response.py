"""A cell driven along a path: homogenised response at every point, and Hill and Mandel's condition with it."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from tqdm import tqdm

from femnn.checks import checked, floats, one_of, shaped
from femnn.exceptions import ConvergenceError, ParameterError, warn
from femnn.io.path_data import PathResponse
from femnn.multiscale.rve.rve import RVE
from femnn.multiscale.rve.state import CellResponse, CellState, Spring


@checked()
def follow(
    rve: RVE,
    separations: ArrayLike,
    springs: Sequence[Spring | Sequence[Spring | None] | None] | None = None,
    *,
    pressures: ArrayLike | None = None,
    state: CellState | None = None,
    on_failure: str = "raise",
    callback: Callable[[int, CellResponse], object] | None = None,
    progress: bool = False,
) -> PathResponse:
    """Drive a cell along a path.

    Parameters
    ----------
    rve : RVE
    separations : (k, m)
        What drives the cell at each point, as :meth:`femnn.multiscale.rve.rve.RVE.update` takes it: opening and shear
        of a zone in the plane, m. Where a spring holds the normal direction the opening does not count.
    springs
        A :class:`femnn.multiscale.rve.state.Spring`, what ``update`` takes for one, or None for each point.
    pressures
        Of the pores at each point, (k,), Pa; default: none. Springs hold the total traction.
    state
        To go on from; default: the virgin state.
    on_failure
        ``"raise"`` the ConvergenceError of a point that cannot be reached, or ``"warn"`` and end before it.
    callback
        Called with (number, CellResponse) after each point.
    progress
        Show a progress bar, if stderr is a terminal.

    Returns
    -------
    PathResponse
        Of the points that were reached. ``separation``, ``traction`` (k, m): macro-separation and homogenised traction,
        normal and shear, m and Pa, effective; ``tangent`` (k, m, m), Pa/m; ``crack_separation`` (k, m), the part of the
        separation that the cracks bear, m; ``work``, ``inner_work`` (k,) of the step that ends at the point: traction ·
        increment, and the virtual work of stresses and crack tractions for the increments inside, J/m² of interface;
        ``hill_mandel`` (k,), the gap between the two, over |traction| |increment| with the largest traction so far;
        ``hill_mandel_tangent`` (k,), the gap between the tangent and the one that blocks and cracks have inside, over
        the largest entry so far; ``iterations``, ``cuts``, ``outside`` (k,) int: of Newton's method; crack points out
        of the trained range of their law. ``state`` is the CellState at the end.

    Raises
    ------
    ParameterError
        If shapes do not fit, or the first point cannot be reached.
    ConvergenceError
        If a later point cannot be reached, under ``on_failure="raise"``.

    Examples
    --------
    >>> import femnn, numpy as np
    >>> from femnn.multiscale.rve import RVE, follow, parallel_cracks
    >>> glue = femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0)
    >>> rve = RVE(parallel_cracks(1e-2, 1e-2, columns=3, rows=2), glue, young=300e9)
    >>> response = follow(rve, np.column_stack([np.linspace(0.0, 1e-5, 5), np.zeros(5)]))
    >>> response.traction.shape, bool(response.hill_mandel.max() < 1e-8)
    ((5, 2), True)
    """
    separations = np.asarray(separations, dtype=float)
    if separations.ndim != 2 or separations.shape[1] != rve.n_driven or not len(separations):
        raise ParameterError(
            f"separations have shape {separations.shape}, but (k, {rve.n_driven}) is needed: {rve.driven_by}"
        )
    springs = [None] * len(separations) if springs is None else list(springs)
    if len(springs) != len(separations):
        raise ParameterError(f"{len(springs)} springs for {len(separations)} points; pass one, or None, for each point")
    filled = np.zeros(len(separations)) if pressures is None else floats("pressures", pressures)
    filled = shaped("pressures", filled, separations.shape[:1])
    one_of("on_failure", on_failure, ("raise", "warn"))
    state = rve.initial_state() if state is None else state
    points, largest, failure = [], np.zeros(2), ""
    steps = zip(separations, springs, filled, strict=True)
    bar = tqdm(steps, total=len(separations), desc="cell", unit="step", disable=None if progress else True)
    for number, (goal, spring, pressure) in enumerate(bar):
        try:
            response = rve.update(goal, state, spring, pressure=float(pressure))
        except ConvergenceError as error:
            if on_failure == "raise":
                raise
            failure = f"point {number}: {error}"
            warn(f"the path ends early: {failure}")
            break
        largest = np.maximum(largest, [np.linalg.norm(response.traction), np.abs(response.tangent).max()])
        points.append(_point(rve, state, response, *largest))
        state = response.state
        if callback is not None:
            callback(number, response)
    if not points:
        raise ParameterError(f"the first point of the path cannot be reached: {failure}")
    columns = {name: np.array([point[name] for point in points]) for name in points[0]}
    return PathResponse(columns.pop("separation"), columns.pop("traction"), columns, state, failure)


def _point(rve, before, response, largest, stiffest):
    state = response.state
    step = state.separation - before.separation
    work, inner = float(response.traction @ step), rve.inner_work(response, state.x - before.x)
    scale = largest * np.linalg.norm(step)
    return {
        "separation": state.separation.copy(),
        "traction": response.traction,
        "tangent": response.tangent,
        "crack_separation": rve.crack_separation(state),
        "work": work,
        "inner_work": inner,
        "hill_mandel": abs(work - inner) / scale if scale > 0.0 else 0.0,
        "hill_mandel_tangent": np.abs(rve.inner_tangent(response) - response.tangent).max() / stiffest,
        "iterations": response.iterations,
        "cuts": response.cuts,
        "outside": int(state.cracks.outside.sum()),
    }
