"""The range of training of a network: the box of features that it was trained in, and may be asked about."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from femnn.checks import checked
from femnn.exceptions import ParameterError
from femnn.integration.kernels import kernel_array
from femnn.system.compile import njit

if TYPE_CHECKING:
    from femnn.networks.weights import Networks

# Training samples do not reach the corners of their own distribution: the box is this much wider on each side.
_MARGIN = 0.02


@njit(over="features", grain=1024, cache=True, error_model="numpy")
def _inside(begin, end, features, low, high, inside):
    for e in range(begin, end):
        all_inside = True
        for k in range(features.shape[1]):
            all_inside = all_inside & (low[k] <= features[e, k]) & (features[e, k] <= high[k])
        inside[e] = all_inside


@dataclass(frozen=True, eq=False, repr=False)
class TrainedRange:
    """Lower and upper bounds of the features, each of shape (inputs,).

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.networks import TrainedRange
    >>> known = TrainedRange.of(np.random.default_rng(0).uniform(size=(500, 3)))
    >>> known.in_range(np.array([[0.5, 0.5, 0.5], [0.5, 0.5, 1.5]]))
    array([ True, False])

    See Also
    --------
    femnn.networks.TrainedDensity : where the training had elements, and not its bounds alone
    """

    low: np.ndarray
    high: np.ndarray

    @classmethod
    @checked(features="n k")
    def of(cls, features: np.ndarray) -> "TrainedRange":
        """The range of the training features (n, inputs)."""
        low, high = features.min(axis=0), features.max(axis=0)
        margin = _MARGIN * (high - low)
        return cls(low - margin, high + margin)

    @classmethod
    @checked()
    def from_weights(cls, weights: "Networks") -> "TrainedRange":
        """Read what :meth:`tensors` gave out of a weight file."""
        weights.require(tensors=("range.low", "range.high"))
        return cls(*weights.contents.bounds("range.low", "range.high", (None,)))

    def tensors(self) -> dict[str, np.ndarray]:
        """The bounds under the names of a weight file."""
        return {"range.low": self.low, "range.high": self.high}

    @checked(features="n k")
    def in_range(self, features: np.ndarray) -> np.ndarray:
        """Rows of ``features`` (n, inputs) that lie inside, (n,) bool.

        Raises
        ------
        ParameterError
            If there are more or fewer features than the range has.
        """
        if features.shape[1] != len(self.low):
            raise ParameterError(
                f"features have shape {features.shape}, but the range is of (n, {len(self.low)}); compute them as "
                "those that it was made of"
            )
        inside = np.empty(len(features), dtype=bool)
        _inside(kernel_array(features), kernel_array(self.low), kernel_array(self.high), inside)
        return inside

    def __repr__(self) -> str:
        return f"TrainedRange({len(self.low)} features)"
