"""How coefficients go on in time: networks that remember, and what they have to beat.

A flow's snapshots are projected on their modes (:class:`femnn.reduced.POD`), and a :class:`Forecaster` predicts how the
coefficients go on. :class:`LatentDynamics` is a network: LSTM, BiLSTM, GRU, femnn's minimal-state cell or a transformer
of as many weights, one for all coefficients or one for each. Its rivals have the same interface:
:class:`Persistence`, :class:`Mean`, :class:`Autoregression`, :class:`DynamicModes`, :class:`FourierSeries`,
:class:`SparseDynamics`, and :class:`GalerkinForecaster` where the equation is known. :func:`compare_forecasters` puts
them side by side; :func:`hurst_exponent` says how long a coefficient remembers.

>>> import numpy as np
>>> wave = np.sin(0.1 * np.arange(300))[:, None]
>>> Autoregression.fit(wave, window=10).forecast(wave[:5], 100).shape
(100, 1)
"""

from femnn.reduced.dynamics.comparison import ForecastErrors, compare_forecasters, forecast_errors
from femnn.reduced.dynamics.external import DynamicModes, SparseDynamics
from femnn.reduced.dynamics.forecaster import Forecaster
from femnn.reduced.dynamics.hurst import hurst_exponent
from femnn.reduced.dynamics.latent import KINDS, LatentDynamics
from femnn.reduced.dynamics.rivals import Autoregression, FourierSeries, GalerkinForecaster, Mean, Persistence
from femnn.reduced.dynamics.series import require_equal_steps

__all__ = [
    "KINDS",
    "Autoregression",
    "DynamicModes",
    "ForecastErrors",
    "Forecaster",
    "FourierSeries",
    "GalerkinForecaster",
    "LatentDynamics",
    "Mean",
    "Persistence",
    "SparseDynamics",
    "compare_forecasters",
    "forecast_errors",
    "hurst_exponent",
    "require_equal_steps",
]
