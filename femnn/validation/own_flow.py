"""A user's own snapshots: their modes, which model predicts them best, and how far."""

import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from femnn.checks import checked
from femnn.exceptions import DatasetError, ParameterError
from femnn.io.field_series import FieldSeries
from femnn.networks.options import TrainingOptions
from femnn.reduced.dynamics.comparison import ForecastErrors
from femnn.reduced.dynamics.forecaster import Forecaster
from femnn.reduced.dynamics.latent import OPTIONS
from femnn.reduced.dynamics.series import fewest_rows, require_equal_steps
from femnn.reduced.pod import POD
from femnn.validation.flow_study import FlowCase

# Share of the snapshots that models learn from, and of the rest that forecasts reach over.
_LEARNED, _REACH = 0.75, 0.5

# Modes beyond which coefficients are mostly noise to a forecast, and an energy share that counts as all of it.
_MOST_MODES = 20


@dataclass(frozen=True, eq=False)
class OwnFlow:
    """What is known of a user's snapshots.

    Attributes
    ----------
    series : femnn.io.field_series.FieldSeries
    pod : POD
        Modes about the mean of the snapshots that are learned from.
    case : FlowCase
    energy : (r,)
        Share of the variance of the learned snapshots that the first modes keep, added up.
    kept : float
        The same of the test snapshots, which the modes have not seen, by all modes.
    models : list of Forecaster
    errors : list of ForecastErrors
        Of as many, the best first.
    left_out : list of str

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.io import FieldSeries
    >>> from femnn.validation import reduce_flow
    >>> t, x = 0.1 * np.arange(300)[:, None], np.linspace(0.0, 1.0, 40)
    >>> flow = reduce_flow(FieldSeries(t[:, 0], np.sin(6.0 * x - t), "wave"), kinds=())
    >>> flow.pod, bool(flow.kept > 0.999)
    (POD(2 modes of 40 unknowns), True)
    """

    series: FieldSeries
    pod: POD
    case: FlowCase
    energy: np.ndarray
    kept: float
    models: list[Forecaster]
    errors: list[ForecastErrors]
    left_out: list[str]

    @property
    def best(self) -> Forecaster:
        """The model with the longest horizon."""
        return next(model for model in self.models if model.name == self.errors[0].name)


@checked(modes="[1, inf)", energy="(0, 1]", horizon="(0, inf)", window="unchecked", seeds="[1, inf)")
def reduce_flow(
    series: FieldSeries,
    *,
    modes: int | None = None,
    energy: float = 0.99,
    window: int | None = None,
    horizon: float | None = None,
    kinds: Sequence[str] = ("lstm",),
    seeds: int = 1,
    weights: int = 3000,
    options: TrainingOptions = OPTIONS,
    folder: str | os.PathLike | None = None,
    progress: bool = True,
) -> OwnFlow:
    """Modes of snapshots, and forecasts of their coefficients by networks and rivals.

    The first three quarters of the snapshots are learned from, the last one tests.

    Parameters
    ----------
    series
        Of :func:`femnn.io.field_series.read_field_series`, at equal steps.
    modes, energy
        How many modes, or the share of the variance that they keep.
    window
        Rows of a window, half in, half out; None takes 20, fewer of short series.
    horizon
        How far forecasts are to reach, in the unit of the times; None is half of what is tested.
    kinds, seeds, weights, options, progress
        Of the networks; no kinds, no networks.
    folder
        Keeps trainings until all are done, so that an interrupted call goes on when it is repeated.

    Raises
    ------
    DatasetError
        If steps are unequal, snapshots too few or all alike.
    ParameterError
        If the horizon is longer than the test.

    Examples
    --------
    >>> t, x = 0.1 * np.arange(300)[:, None], np.linspace(0.0, 1.0, 40)
    >>> waves = FieldSeries(t[:, 0], np.sin(6.0 * x - t) + 0.3 * np.cos(9.0 * x - 2.0 * t), "waves")
    >>> flow = reduce_flow(waves, kinds=())
    >>> flow.pod, flow.errors[0].reaches_end
    (POD(4 modes of 40 unknowns), True)
    """
    dt = require_equal_steps(series.times)
    rows = len(series.values)
    learned = int(_LEARNED * rows)
    size = max(2, min(20, int(0.2 * learned) - 1)) if window is None else window
    halves = (size // 2, size - size // 2)
    if size < 2 or learned < fewest_rows(halves) or rows - learned <= halves[0] + 1:
        raise DatasetError(
            f"{rows} snapshots are too few for windows of {size}: three quarters of them must be at least "
            f"{fewest_rows(halves)}, and the rest more than {halves[0] + 1}; take more snapshots or a smaller --window"
        )
    columns = series.values.T
    mean = columns[:, :learned].mean(axis=1)
    pod = POD.fit(columns[:, :learned], modes=modes, energy=None if modes else energy, offset=mean)
    pod = pod.truncated(min(pod.r, _MOST_MODES if modes is None else pod.r))
    coefficients = pod.project(columns).T
    test = coefficients[learned - halves[0] :]
    reach = max(1, int(_REACH * (rows - learned))) if horizon is None else round(horizon / dt)
    if not 1 <= reach <= rows - learned:
        raise ParameterError(
            f"horizon={horizon:g} is {reach} steps of {dt:g}; the snapshots that test are the last {rows - learned}, "
            f"so pass {dt:g} to {dt * (rows - learned):g}, or more snapshots"
        )
    case = FlowCase(series.name, [coefficients[:learned]], [test], dt, "time", halves, reach, periodic=True)
    models, left_out = case.rivals()
    networks: dict[str, list[Any]] = {}
    if kinds:
        kept_in = None if folder is None else _trainings(Path(folder), case, [kinds, weights, options])
        networks = case.networks(kinds, seeds, weights=weights, options=options, folder=kept_in, progress=progress)
        if kept_in is not None:
            shutil.rmtree(kept_in)
    models += [replace_name(model, seed) for found in networks.values() for seed, model in enumerate(found)]
    errors = [found[0] for found in case.errors(models)]
    order = sorted(range(len(models)), key=lambda k: (-errors[k].horizon, errors[k].mean))
    variance = float(((columns[:, :learned] - mean[:, None]) ** 2).sum())
    missed = columns[:, learned:] - pod.lift(pod.project(columns[:, learned:]))
    spread = float(((columns[:, learned:] - mean[:, None]) ** 2).sum())
    return OwnFlow(
        series,
        pod,
        case,
        np.cumsum(pod.singular_values[: pod.r] ** 2) / variance,
        1.0 - float((missed**2).sum()) / spread if spread > 0.0 else 1.0,
        [models[k] for k in order],
        [replace(errors[k], name=models[k].name) for k in order],
        left_out,
    )


def _trainings(folder, case, settings):
    """A folder for the trainings on these coefficients with these settings alone, so that others do not meet them."""
    made_of = case.training[0].tobytes() + repr((case.window, case.dt, *settings)).encode()
    path = folder / f"trainings-{hashlib.sha256(made_of).hexdigest()[:12]}"
    path.mkdir(parents=True, exist_ok=True)
    return path


def replace_name(model: Any, seed: int) -> Any:
    """A network that is called by its seed as well, where there are several."""
    if seed:
        model.name = f"{model.name}, seed {seed}"
    return model
