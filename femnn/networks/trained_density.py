"""How densely the training of a network filled its features: cells far from all of them, though in the box, are told.

The box of :mod:`femnn.networks.trained_range` has many empty corners. Hexahedra of subdivided tetrahedra lie in one:
no coordinate of theirs is beyond those of distorted cubes, but together they are. A normal distribution, fitted to the
training, tells them by the distance of P. C. Mahalanobis (Proc. Nat. Inst. Sci. India 2 (1936) 49-55). Nearest
neighbours among 500 to 8,000 training cells and mixtures of up to 16 normal distributions were measured against it
(``femnn bench families`` shows its figures): they told no family much better, at tens of times the cost.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from femnn.checks import checked

if TYPE_CHECKING:
    from femnn.networks.weights import Networks

# Fraction of the training that counts as dense: what is beyond is rarer than one in a thousand.
_DENSE = 0.999

# Added to the variances, in units of their own: features that the training hardly varied are not divided by nothing.
_RIDGE = 1e-6

_TENSORS = ("density.mean", "density.whitening", "density.limit")


@dataclass(frozen=True, eq=False, repr=False)
class TrainedDensity:
    """A normal distribution of features.

    Attributes
    ----------
    mean : (k,)
    whitening : (k, k)
        Makes the deviations from the mean independent and of variance one: ``(features - mean) @ whitening``.
    limit : (1,)
        Largest distance that counts as dense.
    """

    mean: np.ndarray
    whitening: np.ndarray
    limit: np.ndarray

    @classmethod
    @checked(features="n k")
    def of(cls, features: np.ndarray) -> "TrainedDensity":
        """The density of the training features (n, k), n at least 2."""
        mean, scale = features.mean(axis=0), features.std(axis=0)
        scale = np.where(scale > 0.0, scale, 1.0)
        deviations = (features - mean) / scale
        covariance = deviations.T @ deviations / len(deviations)
        # the whitened covariance is W.T C W = 1
        whitening = np.linalg.inv(np.linalg.cholesky(covariance + _RIDGE * np.eye(len(mean)))).T / scale[:, None]
        density = cls(mean, whitening, np.array([np.inf]))
        return cls(mean, whitening, np.array([np.quantile(density.distance(features), _DENSE)]))

    @classmethod
    @checked()
    def from_weights(cls, weights: "Networks") -> "TrainedDensity | None":
        """Read what :meth:`tensors` gave out of a weight file; None for a file of a time before densities."""
        if not any(name in weights.tensors for name in _TENSORS):
            return None
        weights.require(tensors=_TENSORS)
        contents = weights.contents
        mean = contents.array(_TENSORS[0], (None,), None)
        k = len(mean)
        return cls(mean, contents.array(_TENSORS[1], (k, k), None), contents.array(_TENSORS[2], (1,), None))

    def tensors(self) -> dict[str, np.ndarray]:
        """The arrays under the names of a weight file."""
        return dict(zip(_TENSORS, (self.mean, self.whitening, self.limit), strict=True))

    @checked(features="n k")
    def distance(self, features: np.ndarray) -> np.ndarray:
        """Distance of Mahalanobis of the features (n, k) from the mean of the training, (n,)."""
        return np.linalg.norm((features - self.mean) @ self.whitening, axis=1)

    @checked(features="n k")
    def in_range(self, features: np.ndarray) -> np.ndarray:
        """Rows of ``features`` (n, k) that the training filled densely, (n,) bool."""
        return self.distance(features) <= self.limit[0]

    def __repr__(self) -> str:
        return f"TrainedDensity({len(self.mean)} features)"
