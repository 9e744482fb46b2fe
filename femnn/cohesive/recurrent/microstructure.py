"""Microstructure beside the separation: porosity, coordination number, fabric tensor as inputs or as intermediates.

The directed graph of Wang & Sun (CMAME 334 (2018) 337-380): separation → microstructure → traction, where the first
arrow may be a recurrent network of its own and the second sees both separation and microstructure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from femnn.cohesive.recurrent.cell import Cell
from femnn.exceptions import ParameterError
from femnn.io.guarded import Contents


@dataclass(frozen=True, eq=False, repr=False)
class Microstructure(Cell):
    """Networks that see the grains of their points beside the separation, as one cell of separations alone.

    Attributes
    ----------
    inputs : tuple of str
        Names of quantities that the user gives, one column each.
    predicted : tuple of str
        Names of quantities that the network ``"microstructure"`` predicts from the separation.
    mean, scale : (len(inputs) + len(predicted),)
        Standardisation of both, in this order.
    networks : dict of Cell
        ``"traction"`` takes separation, inputs and predictions (standardised); ``"microstructure"`` separation and
        inputs.
    values : (n, len(inputs)) or None
        The inputs at the points.

    Examples
    --------
    >>> import femnn
    >>> from femnn.cohesive.recurrent import Microstructure
    >>> law = femnn.RecurrentCohesive.load("grains")
    >>> law.microstructure is None or isinstance(law.microstructure, Microstructure)
    True
    """

    inputs: tuple[str, ...]
    predicted: tuple[str, ...]
    mean: np.ndarray
    scale: np.ndarray
    networks: Mapping[str, Cell]
    values: np.ndarray | None = None

    def __repr__(self):
        return f"Microstructure(inputs={self.inputs}, predicted={self.predicted})"

    @classmethod
    def of(cls, fields: Contents | None, networks: Mapping[str, Cell]) -> "Microstructure | None":
        """From the field of a card; None for a law that knows separations only.

        Raises
        ------
        WeightFileError
            If it describes no microstructure, or the networks do not fit it.
        """
        if fields is None:
            return None
        inputs, predicted = fields.texts("inputs"), fields.texts("predicted")
        n = len(inputs) + len(predicted)
        mean, scale = np.array(fields.numbers("mean", n)), np.array(fields.numbers("scale", n))
        if (scale <= 0.0).any() or (predicted and "microstructure" not in networks):
            raise fields.file.refused("the microstructure has a scale that is not positive, or no network of its own")
        return cls(tuple(inputs), tuple(predicted), mean, scale, networks)

    def at(self, values: ArrayLike) -> "Microstructure":
        """The same with inputs (n, m) at the points; ParameterError if they do not fit or are not finite."""
        values = np.asarray(values, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != len(self.inputs) or not np.isfinite(values).all():
            raise ParameterError(
                f"the microstructure has shape {values.shape}; pass finite values (n, {len(self.inputs)}): "
                f"{', '.join(self.inputs) or 'this law takes none'}"
            )
        return replace(self, values=values)

    def measured(self) -> "Microstructure":
        """The same with what was predicted as inputs."""
        networks = {"traction": self.networks["traction"]}
        return replace(self, inputs=(*self.inputs, *self.predicted), predicted=(), networks=networks)

    @property
    def state_size(self) -> int:  # type: ignore[override]
        """The states of both networks, side by side."""
        return sum(network.state_size for network in self.networks.values())

    def predict(self, x: np.ndarray, state: np.ndarray) -> np.ndarray:
        """Predicted quantities (n, p) in their units."""
        y = self._intermediate(self._with_inputs(x), state)[0]
        place = slice(len(self.inputs), None)
        return self.mean[place] + self.scale[place] * y

    def step(self, x: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        inputs = self._with_inputs(x)
        if not self.predicted:
            y, dy, state = self.networks["traction"].step(inputs, state)
            return y, dy[:, :, :3], state
        between, d_between, between_state = self._intermediate(inputs, state)
        y, dy, state = self.networks["traction"].step(
            np.concatenate([inputs, between], axis=1), state[:, : self._traction_size]
        )
        # ∂y/∂x directly, and through what was predicted
        total = dy[:, :, :3] + dy[:, :, inputs.shape[1] :] @ d_between[:, :, :3]
        return y, total, np.concatenate([state, between_state], axis=1)

    def _intermediate(self, inputs, state):
        return self.networks["microstructure"].step(inputs, state[:, self._traction_size :])

    @property
    def _traction_size(self):
        return self.networks["traction"].state_size

    def _with_inputs(self, x):
        if not self.inputs:
            return x
        if self.values is None:
            raise ParameterError(
                f"the law takes {', '.join(self.inputs)} at every point; pass them to law.with_microstructure(values)"
            )
        if len(self.values) != len(x):
            raise ParameterError(
                f"microstructure of {len(self.values)} points, but {len(x)} separations; they go together"
            )
        standardised = (self.values - self.mean[: len(self.inputs)]) / self.scale[: len(self.inputs)]
        return np.concatenate([x, standardised], axis=1)
