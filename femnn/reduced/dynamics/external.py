"""Rivals by libraries of others, extras of femnn: dynamic mode decomposition by PyDMD, sparse equations by PySINDy."""

import importlib
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import brief, checked
from femnn.exceptions import MissingExtraError, ParameterError
from femnn.reduced.dynamics.forecaster import Forecaster
from femnn.reduced.dynamics.rivals import _best, _prepared
from femnn.reduced.dynamics.series import Scales

# Thresholds that equations are made sparse with, of which the best on held-out windows is taken, and a penalty.
_THRESHOLDS, _PENALTY = (0.0, 1e-3, 3e-3, 1e-2, 3e-2, 0.1), 1e-6

# Beyond so many deviations a run has diverged.
_LOST = 1e3


class DynamicModes(Forecaster):
    """Dynamic mode decomposition (P. J. Schmid, J. Fluid Mech. 656 (2010) 5-28) of rows with their delays, by PyDMD.

    Attributes
    ----------
    rank : int
        Of the decomposition, chosen on held-out windows.
    eigenvalues : (rank,) complex
        Of one step.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.reduced.dynamics import DynamicModes
    >>> t = 0.2 * np.arange(200)[:, None]
    >>> waves = np.hstack([np.sin(t), np.cos(t)])
    >>> found = DynamicModes.fit(waves, 8).forecast(waves[:8], 50)
    >>> bool(abs(found - waves[8:58]).max() < 1e-3)
    True
    """

    @checked(matrix="m k", eigenvalues="unchecked", lookback="[1, inf)")
    def __init__(self, matrix: np.ndarray, eigenvalues: np.ndarray, scales: Scales, lookback: int) -> None:
        # complex ones come in pairs
        if not isinstance(eigenvalues, np.ndarray) or eigenvalues.ndim != 1 or eigenvalues.dtype.kind not in "fc":
            raise ParameterError(f"eigenvalues are {brief(eigenvalues)}; pass an array (rank,) of numbers")
        self.matrix, self.eigenvalues, self.scales, self.rank = matrix, eigenvalues, scales, len(eigenvalues)
        self.name, self.n, self.lookback = "dynamic mode decomposition", len(scales.mean), lookback

    @classmethod
    @checked(series="unchecked", window="unchecked")
    def fit(
        cls, series: ArrayLike | Sequence[ArrayLike], window: int | tuple[int, int] = 20, *, hold_out: str = "last"
    ) -> "DynamicModes":
        """Decompose the rows of all series beside their delays; parameters play no part.

        Parameters
        ----------
        series, window, hold_out
            As of :meth:`LatentDynamics.fit`; the inputs of a window are the delays.

        Raises
        ------
        MissingExtraError
            If PyDMD is not installed.
        """
        pydmd = require_extra("pydmd", "flows", "PyDMD")
        size, parts, settings, windows = _prepared(series, window, None, hold_out)
        scales = Scales.of(parts, settings)
        inputs, outputs, _ = windows.part(False)
        before = scales.scaled(inputs).reshape(len(inputs), -1).T
        after = scales.scaled(np.concatenate([inputs[:, 1:], outputs[:, :1]], axis=1)).reshape(len(inputs), -1).T
        full, n = int(np.linalg.matrix_rank(before)), len(scales.mean)

        def decomposed(rank: int) -> "DynamicModes":
            dmd = pydmd.DMD(svd_rank=rank)
            with warnings.catch_warnings():
                # that the data are ill conditioned, for which the rank is chosen
                warnings.simplefilter("ignore")
                dmd.fit(before, after)
            # the rows of the newest state alone
            matrix = np.linalg.multi_dot([dmd.modes[-n:], np.diag(dmd.eigs), np.linalg.pinv(dmd.modes)])
            return cls(matrix.real, dmd.eigs, scales, size[0])

        ranks = sorted({max(1, round(full * share)) for share in (1.0, 0.75, 0.5, 0.35, 0.25, 0.15)})
        failure = "no decomposition of these series stays finite; take a smaller window"
        return _best(map(decomposed, ranks), windows.part(True), failure)

    def _advance(self, histories, parameters, steps):
        rows = self.scales.scaled(histories).reshape(len(histories), -1) @ self.matrix.T
        return (self.scales.mean + self.scales.deviation * rows)[:, None]


class SparseDynamics(Forecaster):
    """Ordinary differential equations of the coefficients with few terms, by PySINDy; made by :meth:`fit`.

    S. L. Brunton, J. L. Proctor, J. N. Kutz, PNAS 113 (2016) 3932-3937: polynomials of the coefficients and parameters,
    sequentially thresholded least squares. Time is that of steps; one step of the classical Runge-Kutta method each.

    Attributes
    ----------
    threshold : float
        That was chosen on held-out windows.
    equations : list of str
        In scaled coefficients.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.reduced.dynamics import SparseDynamics
    >>> t = 0.1 * np.arange(200)[:, None]
    >>> waves = np.hstack([np.sin(t), np.cos(t)])
    >>> model = SparseDynamics.fit(waves, 8, degree=1)
    >>> bool(abs(model.forecast(waves[:8], 50) - waves[8:58]).max() < 0.05)
    True
    """

    @checked(threshold="[0, inf)")
    def __init__(self, model: Any, scales: Scales, threshold: float) -> None:
        if not callable(getattr(model, "equations", None)):
            raise ParameterError(f"model is {brief(model)}; pass a fitted pysindy.SINDy")
        self._model, self.scales, self.threshold = model, scales, threshold
        self.name, self.n, self.lookback = "latent SINDy", len(scales.mean), 1
        self.n_parameters = len(scales.parameter_mean)
        self.equations = list(model.equations(3))

    @classmethod
    @checked(series="unchecked", window="unchecked", degree="[1, 5]", parameters="any")
    def fit(
        cls,
        series: ArrayLike | Sequence[ArrayLike],
        window: int | tuple[int, int] = 20,
        *,
        degree: int = 2,
        parameters: ArrayLike | None = None,
        hold_out: str = "last",
    ) -> "SparseDynamics":
        """Find the equations.

        Parameters
        ----------
        series, window, parameters, hold_out
            As of :meth:`LatentDynamics.fit`; the threshold is chosen by the second half of held-out windows.
        degree
            Of the polynomials.

        Raises
        ------
        MissingExtraError
            If PySINDy is not installed.
        """
        pysindy = require_extra("pysindy", "flows", "PySINDy")
        size, parts, settings, windows = _prepared(series, window, parameters, hold_out)
        scales = Scales.of(parts, settings)
        inputs, outputs, owner = windows.part(False)
        runs = np.concatenate([inputs, outputs], axis=1)
        # derivatives by central differences inside the windows of the training alone
        centre = max(1, size[0] - 1)
        slopes = 0.5 * (scales.scaled(runs[:, centre + 1]) - scales.scaled(runs[:, centre - 1]))
        rows = np.concatenate([scales.scaled(runs[:, centre]), scales.scaled_parameters(owner)], axis=1)
        k = len(scales.mean)

        def thresholded(threshold: float) -> "SparseDynamics":
            model = pysindy.SINDy(
                optimizer=pysindy.STLSQ(threshold=threshold * float(np.abs(slopes).max()), alpha=_PENALTY),
                feature_library=pysindy.PolynomialLibrary(degree=degree),
            )
            model.fit(rows[:, :k], t=1.0, x_dot=slopes, u=rows[:, k:] if settings.shape[1] else None)
            return cls(model, scales, threshold)

        with warnings.catch_warnings():
            # that a threshold left nothing, or that equations overflow: such ones lose on the validation
            warnings.simplefilter("ignore")
            failure = "no sparse equations of these series stay finite; take a smaller degree"
            return _best(map(thresholded, _THRESHOLDS), windows.part(True), failure)

    def _advance(self, histories, parameters, steps):
        x, result = self.scales.scaled(histories[:, -1]), np.full((len(histories), steps, self.n), np.nan)
        settings = self.scales.scaled_parameters(parameters) if self.n_parameters else None
        alive = np.ones(len(x), dtype=bool)
        for step in range(steps):
            if not alive.any():
                break
            u = None if settings is None else settings[alive]
            x[alive] = self._step(x[alive], u)
            alive &= (np.abs(x) < _LOST).all(axis=1)
            result[alive, step] = self.scales.mean + self.scales.deviation * x[alive]
        return result

    def _step(self, x, u):
        first = self._rate(x, u)
        second = self._rate(x + 0.5 * first, u)
        third = self._rate(x + 0.5 * second, u)
        fourth = self._rate(x + third, u)
        return x + (first + 2.0 * second + 2.0 * third + fourth) / 6.0

    def _rate(self, x, u):
        return np.asarray(self._model.predict(x, u=u))


def require_extra(module: str, extra: str, name: str) -> Any:
    """An optional library; MissingExtraError with what to install if it is not there.

    >>> require_extra("numpy", "flows", "NumPy").__name__
    'numpy'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(f"{name} is not installed ({error}); pip install 'femnn[{extra}]'") from error
