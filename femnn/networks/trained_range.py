"""Which elements a network may be asked about: those inside the box of features that it was trained in."""

from dataclasses import dataclass

import numpy as np

# Training samples do not reach the corners of their own distribution: the box is this much wider on each side.
_MARGIN = 0.02


@dataclass(frozen=True)
class TrainedRange:
    """Lower and upper bounds of the features, each of shape (inputs,)."""

    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, features):
        """The range of the training features (n, inputs)."""
        low, high = features.min(axis=0), features.max(axis=0)
        margin = _MARGIN * (high - low)
        return cls(low - margin, high + margin)

    @classmethod
    def from_weights(cls, weights):
        """What :meth:`tensors` gave, out of :class:`femnn.networks.weights.Networks`."""
        weights.require(tensors=("range.low", "range.high"))
        return cls(weights.tensors["range.low"], weights.tensors["range.high"])

    def tensors(self):
        """The bounds under the names of a weight file."""
        return {"range.low": self.low, "range.high": self.high}

    def contains(self, features):
        """Which rows of ``features`` (n, inputs) lie inside, (n,) bool."""
        return ((features >= self.low) & (features <= self.high)).all(axis=1)
