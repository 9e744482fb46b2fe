"""Forecasts against what came: errors over time, and the horizon at which a model is no better than the mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import checked, instance
from femnn.exceptions import ParameterError
from femnn.reduced.dynamics.forecaster import Forecaster
from femnn.reduced.dynamics.series import as_parameters, as_series

# Starts of forecasts in one series at most.
_STARTS = 50


@dataclass(frozen=True, eq=False)
class ForecastErrors:
    """How far a model's forecasts are from the data.

    Attributes
    ----------
    name : str
    one_step : float
        Root of the mean square error of predictions from true rows, relative to the deviation of the data from
        the training's mean: 1 is no better than the mean.
    over_time : (steps,)
        The same for free-running forecasts, by how far they reach; infinite where a model has diverged.
    horizon : float
        Time after which the free-running error reaches 1; the whole length of the forecasts if it never does.
    reaches_end : bool
        Whether it never does.
    starts : int
        Forecasts that the errors are means over.
    dt : float

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.reduced.dynamics import Persistence, forecast_errors
    >>> wave = np.sin(0.1 * np.arange(400))[:, None]
    >>> errors = forecast_errors(Persistence(1), wave, 60, [0.0], dt=0.1)
    >>> errors.over_time.shape, errors.reaches_end, errors.one_step < 0.2
    ((60,), False, True)
    """

    name: str
    one_step: float
    over_time: np.ndarray
    horizon: float
    reaches_end: bool
    starts: int
    dt: float

    @property
    def mean(self) -> float:
        """Root of the mean square of :attr:`over_time`."""
        return float(np.sqrt(np.mean(self.over_time**2)))


@checked(series="unchecked", steps="[1, inf)", mean="n", dt="(0, inf)", parameters="any", lookback="[1, inf)")
def forecast_errors(
    model: Forecaster,
    series: ArrayLike | Sequence[ArrayLike],
    steps: int,
    mean: ArrayLike,
    *,
    dt: float = 1.0,
    parameters: ArrayLike | None = None,
    lookback: int | None = None,
) -> ForecastErrors:
    """Errors of a model on test series.

    Parameters
    ----------
    model
        Any forecaster.
    series
        Test series (m, n), or a list of them.
    steps
        How far forecasts reach.
    mean : (n,)
        Of the training series.
    dt
        Step of the series.
    parameters
        Of each test series.
    lookback
        Rows before the first forecast: give all models the same, the largest of their own.

    Raises
    ------
    ParameterError
        If the forecasts reach beyond the end of a series.

    Examples
    --------
    >>> from femnn.reduced.dynamics import Persistence
    >>> wave = np.sin(0.1 * np.arange(400))[:, None]
    >>> errors = forecast_errors(Persistence(1), wave, 60, [0.0], dt=0.1)
    >>> 0.9 < errors.horizon < 1.3
    True
    """
    mean = np.asarray(mean, dtype=float)
    lookback = model.lookback if lookback is None else max(lookback, model.lookback)
    parts = as_series(series, columns=model.n)
    shortest = min(len(part) for part in parts)
    if shortest < lookback + steps:
        raise ParameterError(
            f"steps={steps} reach beyond the data: a test series has {shortest} times, {lookback} of which come before "
            f"the first forecast; pass at most {max(shortest - lookback, 0)} steps"
        )
    settings = as_parameters(parameters, len(parts)) if model.n_parameters else np.zeros((len(parts), 0))
    missed, deviation, singles = [], [], []
    for part, setting in zip(parts, settings, strict=True):
        own = setting if model.n_parameters else None
        singles.append(model.one_step(part[lookback - model.lookback :], own) - part[lookback:])
        firsts = forecast_starts(len(part), lookback, steps)
        histories = np.stack([part[first - lookback : first] for first in firsts])
        truth = np.stack([part[first : first + steps] for first in firsts])
        own = np.tile(setting, (len(firsts), 1)) if model.n_parameters else None
        missed.append(((model.forecast(histories, steps, own) - truth) ** 2).sum(axis=2))
        deviation.append(((truth - mean) ** 2).sum(axis=2))
    size = np.concatenate(deviation).mean()
    with np.errstate(over="ignore", invalid="ignore"):
        over_time = np.sqrt(np.concatenate(missed).mean(axis=0) / size)
    over_time = np.where(np.isfinite(over_time), over_time, np.inf)
    late = np.flatnonzero(over_time >= 1.0)
    one_step = float(np.sqrt(np.mean([(single**2).sum(axis=1).mean() for single in singles]) / size))
    return ForecastErrors(
        model.name,
        one_step if np.isfinite(one_step) else np.inf,
        over_time,
        dt * int(late[0] if len(late) else steps),
        not len(late),
        len(np.concatenate(missed)),
        dt,
    )


@checked(series="unchecked", mean="n", parameters="any")
def compare_forecasters(
    models: Sequence[Forecaster] | Mapping[str, Forecaster],
    series: ArrayLike | Sequence[ArrayLike],
    steps: int,
    mean: ArrayLike,
    *,
    dt: float = 1.0,
    parameters: ArrayLike | None = None,
) -> list[ForecastErrors]:
    """The errors of several models on the same test series, from the same starts, the best first.

    The best is the one with the longest horizon, among equals that with the smallest error.

    Parameters
    ----------
    models
        Forecasters, which a mapping names.
    series, steps, mean, dt, parameters
        As of :func:`forecast_errors`.

    Examples
    --------
    >>> from femnn.reduced.dynamics import Autoregression, Persistence
    >>> wave = np.sin(0.1 * np.arange(600))[:, None]
    >>> models = [Persistence(1), Autoregression.fit(wave[:300], 10)]
    >>> [errors.name for errors in compare_forecasters(models, wave[300:], 60, [0.0])]
    ['linear autoregression', 'persistence']
    """
    for model in models.values() if isinstance(models, Mapping) else models:
        instance("a model", model, Forecaster)
    named: Any = models.items() if isinstance(models, Mapping) else [(model.name, model) for model in models]
    named = list(named)
    lookback = max(model.lookback for _, model in named)
    found = []
    for name, model in named:
        errors = forecast_errors(model, series, steps, mean, dt=dt, parameters=parameters, lookback=lookback)
        found.append(ForecastErrors(**{**vars(errors), "name": name}))
    return sorted(found, key=lambda errors: (-errors.horizon, errors.mean))


def forecast_starts(rows: int, lookback: int, steps: int) -> np.ndarray:
    """First rows of forecasts, spread evenly over a series: at most fifty."""
    last = rows - steps
    return np.unique(np.linspace(lookback, last, min(_STARTS, last - lookback + 1)).astype(int))
