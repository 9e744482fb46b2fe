"""What a network has to beat: the last value, a linear recurrence, waves of one period, and Galerkin's projection."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar

from femnn.checks import checked, one_of
from femnn.exceptions import ConvergenceError, DatasetError, ParameterError
from femnn.reduced.dynamics.forecaster import Forecaster
from femnn.reduced.dynamics.series import (
    HOLD_OUT,
    Scales,
    Windows,
    as_parameters,
    as_series,
    as_window,
    fewest_rows,
    reciprocal,
)
from femnn.reduced.quadratic import QuadraticGalerkin

# Penalties of the least squares, relative to the mean square of a feature, of which the best on held-out windows is
# taken.
_RIDGES = (0.0, *10.0 ** np.arange(-12.0, 0.5))

# Phases at which waves are compared with a history before the best is refined.
_PHASES = 256


class Persistence(Forecaster):
    """Nothing changes any more.

    >>> Persistence(2).forecast([[0.0, 1.0], [2.0, 3.0]], 2).tolist()
    [[2.0, 3.0], [2.0, 3.0]]
    """

    @checked(n="[1, inf)")
    def __init__(self, n: int) -> None:
        self.name, self.n, self.lookback = "persistence", n, 1

    def _advance(self, histories, parameters, steps):
        return np.repeat(histories[:, -1:], steps, axis=1)


class Mean(Forecaster):
    """The mean of the training series, whatever the history: a model that is no better has nothing to say.

    >>> Mean([1.0, 2.0]).forecast([[5.0, 5.0]], 1).tolist()
    [[1.0, 2.0]]
    """

    @checked(mean="n")
    def __init__(self, mean: ArrayLike) -> None:
        self.mean = np.asarray(mean, dtype=float)
        self.name, self.n, self.lookback = "mean", len(self.mean), 1

    def _advance(self, histories, parameters, steps):
        return np.broadcast_to(self.mean, (len(histories), steps, self.n))


class Autoregression(Forecaster):
    """The next row as a linear function of the last ``p`` rows and of the parameters, made by :meth:`fit`.

    Attributes
    ----------
    matrix : (p n + k + 1, n)
        What scaled rows, scaled parameters and 1 are multiplied with, for the scaled step from the last row.
    ridge : float
        Penalty that was chosen.
    """

    @checked(matrix="f n", lookback="[1, inf)", ridge="[0, inf)")
    def __init__(self, matrix: np.ndarray, scales: Scales, lookback: int, ridge: float = 0.0) -> None:
        self.matrix, self.scales, self.ridge = matrix, scales, ridge
        self.name, self.n, self.lookback = "linear autoregression", matrix.shape[1], lookback
        self.n_parameters = len(scales.parameter_mean)

    @classmethod
    @checked(series="unchecked", window="unchecked", parameters="any")
    def fit(
        cls,
        series: ArrayLike | Sequence[ArrayLike],
        window: int | tuple[int, int] = 20,
        *,
        parameters: ArrayLike | None = None,
        hold_out: str = "last",
    ) -> "Autoregression":
        """Least squares, with the penalty that predicts the second half of held-out windows best.

        Parameters
        ----------
        series, window, parameters, hold_out
            As of :meth:`LatentDynamics.fit`.

        Examples
        --------
        >>> t = 0.2 * np.arange(200)[:, None]
        >>> waves = np.hstack([np.sin(t), np.cos(t)])
        >>> found = Autoregression.fit(waves, 8).forecast(waves[:4], 100)
        >>> bool(np.abs(found - waves[4:104]).max() < 1e-6)
        True
        """
        size, parts, settings, windows = _prepared(series, window, parameters, hold_out)
        scales = Scales.of(parts, settings)
        training, validation = windows.part(False), windows.part(True)
        x, y = _features(training[0], training[2], scales), scales.scaled(training[1][:, 0])
        y = y - scales.scaled(training[0][:, -1])
        models = (cls(_least_squares(x, y, ridge), scales, size[0], ridge) for ridge in _RIDGES)
        return _best(models, validation, "no linear recurrence of these series stays finite; take a smaller window")

    def _advance(self, histories, parameters, steps):
        change = _features(histories, parameters, self.scales) @ self.matrix
        return histories[:, -1:] + (change * self.scales.deviation)[:, None]


class FourierSeries(Forecaster):
    """A periodic series by its first harmonics, whose phase is found from the history; made by :meth:`fit`.

    Attributes
    ----------
    period : float
        In steps.
    coefficients : (2 harmonics + 1, n)
        Of 1, cos and sin of the first harmonic, and so on.
    misfit : float
        Share of the variance of the training series that is left: near 1 for series that are not periodic.
    """

    @checked(period="(0, inf)", coefficients="h n", lookback="[1, inf)", misfit="[0, inf)")
    def __init__(self, period: float, coefficients: np.ndarray, scales: Scales, lookback: int, misfit: float) -> None:
        self.period, self.coefficients, self.scales, self.misfit = period, coefficients, scales, misfit
        self.name, self.n, self.lookback = "Fourier series", coefficients.shape[1], lookback
        self._harmonics = len(coefficients) // 2

    @classmethod
    @checked(series="unchecked", harmonics="[1, inf)", lookback="[1, inf)")
    def fit(cls, series: ArrayLike | Sequence[ArrayLike], harmonics: int = 4, lookback: int = 10) -> "FourierSeries":
        """Period and harmonics by least squares, from the longest of the series.

        Parameters
        ----------
        series
            Coefficients at equal steps of time; two periods or more.
        harmonics
            How many; fewer where the step is too long for as many.
        lookback
            Rows of the history from which the phase is found.

        Examples
        --------
        >>> t = 0.1 * np.arange(400)[:, None]
        >>> waves = np.hstack([np.sin(t), np.cos(2 * t)])
        >>> model = FourierSeries.fit(waves)
        >>> round(0.1 * model.period, 4), bool(np.abs(model.forecast(waves[50:60], 300) - waves[60:360]).max() < 1e-4)
        (6.2832, True)
        """
        parts = as_series(series, max(2 * lookback, 10))
        part = max(parts, key=len)
        scales = Scales.of(parts, np.zeros((len(parts), 0)))
        rows = scales.scaled(part)
        # the peak of the spectrum, then the periods about it
        power = (np.abs(np.fft.rfft(rows - rows.mean(axis=0), axis=0)) ** 2).sum(axis=1)
        peak = 1 + int(np.argmax(power[1:]))
        candidates = [len(rows) / (peak + shift) for shift in np.linspace(-0.9, 0.9, 37)]
        # the strongest wave may be a harmonic of the period that all coefficients share
        candidates += [factor * period for factor in (2.0, 3.0) for period in candidates]
        candidates = [period for period in candidates if 4.0 < period < 0.6 * len(rows)] or [len(rows) / 2.0]
        misfits = [_waves(rows, period, harmonics)[1] for period in candidates]
        # a multiple of a period fits as well but for noise: the shortest that is nearly the best
        enough = 1.05 * min(misfits) + 1e-12 * (rows**2).sum()
        start = min(period for period, misfit in zip(candidates, misfits, strict=True) if misfit <= enough)
        width = start**2 / len(rows)
        refined = minimize_scalar(
            lambda period: _waves(rows, period, harmonics)[1],
            bounds=(max(start - 0.1 * width, 3.0), start + 0.1 * width),
            method="bounded",
            options={"xatol": 1e-9 * start},
        ).x
        coefficients, misfit = _waves(rows, float(refined), harmonics)
        return cls(float(refined), coefficients, scales, lookback, float(misfit / max((rows**2).sum(), 1e-300)))

    def _advance(self, histories, parameters, steps):
        rows = self.scales.scaled(histories)
        ages = np.arange(1 - self.lookback, 1)
        grid = np.arange(_PHASES) * self.period / _PHASES
        guesses = _harmonics((grid[:, None] + ages).ravel(), self.period, self._harmonics) @ self.coefficients
        guesses = guesses.reshape(_PHASES, -1)
        flat = rows.reshape(len(rows), -1)
        # |a - b|², without an array of all differences
        distance = (guesses**2).sum(axis=1) - 2.0 * flat @ guesses.T
        ahead, width = np.arange(1, steps + 1), self.period / _PHASES
        result = np.empty((len(rows), steps, self.n))
        for k, row in enumerate(rows):
            start = grid[int(np.argmin(distance[k]))]
            best = minimize_scalar(
                lambda place, row=row: ((self._at(place + ages) - row) ** 2).sum(),
                bounds=(start - width, start + width),
                method="bounded",
            ).x
            result[k] = self._at(best + ahead)
        return self.scales.mean + self.scales.deviation * result

    def _at(self, places):
        return _harmonics(places, self.period, self._harmonics) @ self.coefficients


class GalerkinForecaster(Forecaster):
    """Galerkin's projection of a known equation on the same modes, from the last row on.

    Parameters
    ----------
    models
        Gives the :class:`femnn.reduced.QuadraticGalerkin` of some parameters (k,).
    source
        Of the equation, (full unknowns,) or (n,).
    dt
        Step of the series.
    n_parameters
        Numbers that ``models`` takes.

    Examples
    --------
    The two numbers of x' = x y, y' = -x y, which stay as they are together:

    >>> import numpy as np
    >>> from femnn.reduced import POD, QuadraticGalerkin
    >>> from femnn.reduced.dynamics import GalerkinForecaster
    >>> def bilinear(w, z):
    ...     mixed = 0.5 * (w[..., 0] * z[..., 1] + w[..., 1] * z[..., 0])
    ...     return np.stack([mixed, -mixed], axis=-1)
    >>> model = QuadraticGalerkin(POD.fit(np.eye(2), modes=2), bilinear)
    >>> forecast = GalerkinForecaster(lambda parameters: model, np.zeros(2), n=2, dt=0.1).forecast([[0.1, 0.9]], 5)
    >>> forecast.shape
    (5, 2)
    """

    @checked(n="[1, inf)", dt="(0, inf)", n_parameters="[0, inf)", source="any")
    def __init__(
        self,
        models: Callable[[np.ndarray], QuadraticGalerkin],
        source: ArrayLike,
        n: int,
        dt: float,
        n_parameters: int = 0,
    ) -> None:
        self._models, self._source, self._dt = models, source, dt
        self.name, self.n, self.lookback, self.n_parameters = "Galerkin projection", n, 1, n_parameters
        self._known: dict[bytes, QuadraticGalerkin] = {}

    def _advance(self, histories, parameters, steps):
        result = np.full((len(histories), steps, self.n), np.nan)
        for k, (history, setting) in enumerate(zip(histories, parameters, strict=True)):
            model = self._known.setdefault(setting.tobytes(), None) or self._models(setting)
            self._known[setting.tobytes()] = model
            first = model.pod.lift(history[-1])
            try:
                result[k] = model.march(self._source, first, dt=self._dt, steps=steps).q[1:]
            except ConvergenceError:
                continue  # not a number from the first row on: it diverges within the horizon
        return result


# --- least squares


def _prepared(series, window, parameters, hold_out):
    """Window, series, parameters and windows of the arguments of a fit."""
    one_of("hold_out", hold_out, HOLD_OUT)
    size = as_window(window)
    parts = as_series(series, fewest_rows(size))
    settings = as_parameters(parameters, len(parts))
    return size, parts, settings, Windows.of(parts, size, settings, hold_out)


def _features(histories, parameters, scales):
    rows = scales.scaled(histories).reshape(len(histories), -1)
    return np.concatenate([rows, scales.scaled_parameters(parameters), np.ones((len(rows), 1))], axis=1)


def _least_squares(x, y, ridge):
    if ridge == 0.0:
        return np.linalg.lstsq(x, y, rcond=None)[0]
    weight = np.sqrt(ridge * len(x))
    return np.linalg.lstsq(
        np.concatenate([x, weight * np.eye(x.shape[1])]), np.concatenate([y, np.zeros((x.shape[1], y.shape[1]))]),
        rcond=None,
    )[0]  # fmt: skip


def _best(models, validation, failure):
    """The model that misses least of the second half of windows; DatasetError with ``failure`` if none stays finite."""
    least, best = np.inf, None
    for model in models:
        missed = _missed(model, validation)
        if missed < least:
            least, best = missed, model
    if best is None:
        raise DatasetError(failure)
    return best


def _missed(model, validation):
    """Mean square of what a model misses of the second half of windows; infinite if it is not finite."""
    inputs, outputs, parameters = validation
    found = model.forecast(inputs, outputs.shape[1], parameters)
    missed = float((((found - outputs) * reciprocal(model.scales.deviation)) ** 2).mean())
    return missed if np.isfinite(missed) else np.inf


# --- waves


def _harmonics(places, period, count):
    angles = 2.0 * np.pi / period * np.outer(places, np.arange(1, count + 1))
    return np.concatenate(
        [np.ones((len(places), 1)), np.stack([np.cos(angles), np.sin(angles)], axis=2).reshape(len(places), -1)], axis=1
    )


def _waves(rows, period, count):
    """Coefficients of harmonics of a period, and the sum of squares that they leave."""
    if not period > 2.0:
        raise ParameterError(f"a period of {period:g} steps cannot be told from noise; take a smaller step")
    count = max(1, min(count, int(period / 2.0 - 1e-9)))
    basis = _harmonics(np.arange(len(rows)), period, count)
    coefficients = np.linalg.lstsq(basis, rows, rcond=None)[0]
    return coefficients, float(((rows - basis @ coefficients) ** 2).sum())
