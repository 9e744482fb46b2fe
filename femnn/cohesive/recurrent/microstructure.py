"""Microstructure beside the separation: porosity, coordination number, fabric tensor as inputs or as intermediates.

The directed graph of Wang & Sun (CMAME 334 (2018) 337-380): separation → microstructure → traction, where the first
arrow may be a recurrent network of its own and the second sees both separation and microstructure.
"""

from dataclasses import dataclass, replace

import numpy as np

from femnn.exceptions import ParameterError


@dataclass(frozen=True)
class Microstructure:
    """What a law knows about the grains of its points.

    Attributes
    ----------
    inputs
        Names of quantities that the user gives, one column each.
    predicted
        Names of quantities that the network ``"microstructure"`` predicts from the separation.
    mean, scale : (len(inputs) + len(predicted),)
        Standardisation of both, in this order.
    networks
        ``"traction"`` takes separation, inputs and predictions (standardised); ``"microstructure"`` separation and
        inputs.
    values : (n, len(inputs)) or None
        The inputs at the points.
    """

    inputs: tuple
    predicted: tuple
    mean: np.ndarray
    scale: np.ndarray
    networks: dict
    values: np.ndarray | None = None

    @classmethod
    def of(cls, fields, networks):
        """From the field of a card; None for a law that knows separations only."""
        if not fields:
            return None
        columns = (np.asarray(fields[name], dtype=np.float64) for name in ("mean", "scale"))
        return cls(tuple(fields["inputs"]), tuple(fields["predicted"]), *columns, networks)

    def given(self, values):
        """The same with inputs (n, m) at the points; ParameterError if they do not fit or are not finite."""
        values = np.asarray(values, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != len(self.inputs) or not np.isfinite(values).all():
            raise ParameterError(
                f"the microstructure has shape {values.shape}; pass finite values (n, {len(self.inputs)}): "
                f"{', '.join(self.inputs) or 'this law takes none'}"
            )
        return replace(self, values=values)

    def measured(self):
        """The same with what was predicted as inputs."""
        networks = {"traction": self.networks["traction"]}
        return replace(self, inputs=(*self.inputs, *self.predicted), predicted=(), networks=networks)

    def initial(self, n):
        """States of both networks side by side."""
        return np.zeros((n, sum(network.state_size for network in self.networks.values())))

    def predict(self, x, state):
        """Predicted quantities (n, p) in their units."""
        y = self._intermediate(self._with_inputs(x), state)[0]
        place = slice(len(self.inputs), None)
        return self.mean[place] + self.scale[place] * y

    def step(self, x, state):
        """As ``SequenceNetwork.step``; derivatives by the separation alone (n, 3, 3)."""
        given = self._with_inputs(x)
        if not self.predicted:
            y, dy, state = self.networks["traction"].step(given, state)
            return y, dy[:, :, :3], state
        between, d_between, kept = self._intermediate(given, state)
        y, dy, own = self.networks["traction"].step(
            np.concatenate([given, between], axis=1), state[:, : self._own_size]
        )
        # ∂y/∂x directly, and through what was predicted
        total = dy[:, :, :3] + dy[:, :, given.shape[1] :] @ d_between[:, :, :3]
        return y, total, np.concatenate([own, kept], axis=1)

    def _intermediate(self, given, state):
        return self.networks["microstructure"].step(given, state[:, self._own_size :])

    @property
    def _own_size(self):
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
