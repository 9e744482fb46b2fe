"""The interface that networks and their rivals share: from some rows of a series to those that follow."""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import brief, checked, floats
from femnn.exceptions import ParameterError


class Forecaster(ABC):
    """Predicts how coefficients go on.

    Attributes
    ----------
    name : str
        What tables call it.
    n : int
        Coefficients.
    lookback : int
        Rows of a series that it must see.
    n_parameters : int
        Parameters of a series that it takes.

    Examples
    --------
    A model that lets everything decay:

    >>> import numpy as np
    >>> from femnn.reduced.dynamics import Forecaster
    >>> class Decay(Forecaster):
    ...     name, n, lookback = "decay", 2, 1
    ...     def _advance(self, histories, parameters, steps):
    ...         factors = 0.9 ** np.arange(1, steps + 1)[:, None]
    ...         return histories[:, -1:] * factors
    >>> Decay().forecast([[1.0, 2.0]], 2)
    array([[0.9 , 1.8 ],
           [0.81, 1.62]])
    """

    name: str
    n: int
    lookback: int
    n_parameters: int = 0

    @abstractmethod
    def _advance(self, histories: np.ndarray, parameters: np.ndarray, steps: int) -> np.ndarray:
        """Next rows (b, any number of 1 or more, n) of histories (b, lookback, n) with parameters (b, k)."""

    @checked(history="any", steps="[1, inf)", parameters="any")
    def forecast(self, history: ArrayLike, steps: int, parameters: ArrayLike | None = None) -> np.ndarray:
        """The rows that follow, free-running: after its first ones a model sees what it has predicted itself.

        Parameters
        ----------
        history : (m, n) or (b, m, n)
            m ≥ :attr:`lookback` rows, of which the last ones count; b of them side by side.
        steps
            How many rows, any number: nothing is compared with data.
        parameters : (k,) or (b, k)
            Of the run.

        Returns
        -------
        (steps, n) or (b, steps, n)
            Not finite from where a model diverges.

        Raises
        ------
        ParameterError
            If the history is too short or not finite, or has other coefficients.
        """
        rows = floats("history", history)
        single = rows.ndim == 2
        batch = rows[None] if single else rows
        if batch.ndim != 3 or batch.shape[2] != self.n or batch.shape[1] < self.lookback:
            raise ParameterError(
                f"history has shape {rows.shape}; {self.name} needs ({self.lookback} or more, {self.n}), or several of "
                "them"
            )
        settings = self._settings(parameters, len(batch))
        known = batch[:, batch.shape[1] - self.lookback :]
        result = np.empty((len(batch), steps, self.n))
        done = 0
        with np.errstate(over="ignore", invalid="ignore"):
            while done < steps:
                block = self._advance(known, settings, steps - done)[:, : steps - done]
                result[:, done : done + block.shape[1]] = block
                known = np.concatenate([known, block], axis=1)[:, -self.lookback :]
                done += block.shape[1]
        return result[0] if single else result

    @checked(series="m n")
    def one_step(self, series: ArrayLike, parameters: ArrayLike | None = None) -> np.ndarray:
        """Predictions (m - lookback, n) of each row of a series (m, n) from the true rows before it."""
        rows = np.asarray(series, dtype=float)
        if len(rows) <= self.lookback:
            raise ParameterError(f"the series has {len(rows)} times; {self.name} needs more than {self.lookback}")
        views = np.lib.stride_tricks.sliding_window_view(rows[:-1], self.lookback, axis=0).transpose(0, 2, 1)
        if parameters is not None:
            parameters = np.tile(floats("parameters", parameters).reshape(1, -1), (len(views), 1))
        return self.forecast(views, 1, parameters)[:, 0]

    def _settings(self, parameters, count):
        if parameters is None and self.n_parameters == 0:
            return np.zeros((count, 0))
        if parameters is None:
            raise ParameterError(f"{self.name} was trained with {self.n_parameters} parameters; pass parameters=")
        array = floats("parameters", parameters)
        array = np.broadcast_to(array.reshape(1, -1), (count, array.size)) if array.ndim < 2 else array
        if self.n_parameters == 0:
            return np.zeros((count, 0))
        if array.shape != (count, self.n_parameters):
            raise ParameterError(
                f"parameters are {brief(parameters)}; {self.name} takes {self.n_parameters} for each of {count} "
                "histories"
            )
        return array
