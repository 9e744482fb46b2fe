"""How densely the training of a network filled its features: cells far from all of them, though in the box, are told.

The box of :mod:`femnn.networks.trained_range` has many empty corners. Hexahedra of subdivided tetrahedra lie in one:
no coordinate of theirs is beyond those of distorted cubes, but together they are. A mixture of a few normal
distributions, fitted to the training by expectation and maximisation (A. P. Dempster, N. M. Laird, D. B. Rubin, J. R.
Stat. Soc. B 39 (1977) 1-38), tells them, also where the training holds many other families of cells and a single normal
distribution does not. ``femnn bench trained-range`` prints the figures, and those of nearest neighbours.
"""

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import checked
from femnn.integration.kernels import _FAST, kernel_array
from femnn.system.compile import njit

if TYPE_CHECKING:
    from femnn.networks.weights import Networks

# Fraction of held-out rows of the training that count as dense: what is beyond is rarer than one in a thousand.
_DENSE = 0.999

# One row in so many is held out from the fit, and sets the limit, if a thousand are left for it.
_HELD_OUT, _FEWEST_HELD_OUT = 5, 1000

# Normal distributions, if there are so many rows of each for every feature.
_COMPONENTS, _ROWS_EACH = 8, 50

# Steps of expectation and maximisation: what they still change after these is of no use. What they find depends on
# where they start: the likeliest of some is taken.
_STEPS, _STARTS = 30, 3

# Added to variances, in units of those of all rows: features that hardly vary are not divided by nothing.
_RIDGE = 1e-3

_TENSORS = ("density.mean", "density.whitening", "density.offset", "density.limit")

# Rows at a time: their sums become vector instructions. Terms of a sum are taken four at a time.
_LANES, _TERMS = 64, 4


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _add_squares(columns, whitening, total, square):
    """Add the squares of the columns (k rows) @ whitening (k, k) to ``square`` (1 row)."""
    for i in range(len(whitening)):
        total[:] = 0.0
        for j in range(0, i + 1, _TERMS):
            f0, f1, f2, f3 = whitening[j, i], whitening[j + 1, i], whitening[j + 2, i], whitening[j + 3, i]
            for q in range(_LANES):
                total[q] += (
                    f0 * columns[_LANES * j + q]
                    + f1 * columns[_LANES * (j + 1) + q]
                    + f2 * columns[_LANES * (j + 2) + q]
                    + f3 * columns[_LANES * (j + 3) + q]
                )
        for q in range(_LANES):
            square[q] += total[q] * total[q]


@njit(over="features", grain=256, cache=True, error_model="numpy", fastmath=_FAST)
def _distances(begin, end, features, mean, whitening, offset, enough, distances):
    """The least of |(features - mean_k) @ whitening_k|² + offset_k; each whitening is an upper triangle.

    Where the first distributions bring all rows of a block to ``enough`` the others are left out. Features are fewer
    than the rows of a whitening, a multiple of _TERMS, by rows of zeros.
    """
    count, size = mean.shape
    rows, columns = np.empty(size * _LANES), np.zeros(len(whitening[0]) * _LANES)
    total, square, least = np.empty(_LANES), np.empty(_LANES), np.empty(_LANES)
    for first in range(begin, end, _LANES):
        for q in range(_LANES):
            # the last row fills up the lanes
            row = min(first + q, end - 1)
            for j in range(size):
                rows[_LANES * j + q] = features[row, j]
        least[:] = np.inf
        for k in range(count):
            for j in range(size):
                for q in range(_LANES):
                    columns[_LANES * j + q] = rows[_LANES * j + q] - mean[k, j]
            square[:] = offset[k]
            _add_squares(columns, whitening[k], total, square)
            for q in range(_LANES):
                least[q] = min(least[q], square[q])
            if least.max() <= enough:
                break
        for q in range(min(_LANES, end - first)):
            distances[first + q] = least[q]


@dataclass(frozen=True, eq=False, repr=False)
class TrainedDensity:
    """A mixture of normal distributions of features.

    Attributes
    ----------
    mean : (m, k)
        Of each of m normal distributions.
    whitening : (m, k, k)
        Upper triangles that make the deviations from the means independent and of variance one: ``(features - mean) @
        whitening``.
    offset : (m,)
        Added to the squares: the narrower and the more frequent a distribution, the smaller; zero for the most
        frequent in its volume.
    limit : (1,)
        Largest distance that counts as dense.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.networks import TrainedDensity
    >>> cloud = np.random.default_rng(0).normal(size=(500, 3))
    >>> density = TrainedDensity.of(cloud, components=2)
    >>> density.in_range(np.array([[0.0, 0.0, 0.0], [20.0, 0.0, 0.0]]))
    array([ True, False])

    See Also
    --------
    femnn.networks.TrainedRange : bounds of each feature by itself
    """

    mean: np.ndarray
    whitening: np.ndarray
    offset: np.ndarray
    limit: np.ndarray

    @classmethod
    @checked(features="n k", components="[1, 64]")
    def of(cls, features: ArrayLike, components: int = _COMPONENTS) -> "TrainedDensity":
        """The density of the training features (n, k), n at least 2; the same for the same rows.

        Few rows are described by fewer ``components`` than asked for.
        """
        rows = np.asarray(features, dtype=float)
        fitted = np.arange(len(rows)) % _HELD_OUT != 0
        fitted |= len(rows) < _HELD_OUT * _FEWEST_HELD_OUT
        shift, scale = rows.mean(axis=0), rows.std(axis=0)
        scale = np.where(scale > 0.0, scale, 1.0)
        most = max(1, int(fitted.sum()) // (_ROWS_EACH * rows.shape[1]))
        mean, whitening, offset = _mixture((rows[fitted] - shift) / scale, min(components, most))
        density = cls(shift + scale * mean, whitening / scale[:, None], offset, np.array([np.inf]))
        held_out = rows if fitted.all() else rows[~fitted]
        limit = np.quantile(density.distance(held_out), _DENSE)
        return cls(density.mean, density.whitening, density.offset, np.array([limit]))

    @classmethod
    @checked()
    def from_weights(cls, weights: "Networks") -> "TrainedDensity | None":
        """Read what :meth:`tensors` gave out of a weight file; None for a file without one."""
        if not any(name in weights.tensors for name in _TENSORS):
            return None
        contents = weights.contents
        if _TENSORS[2] not in weights.tensors:
            return cls._of_one(weights)
        weights.require(tensors=_TENSORS)
        mean = contents.array(_TENSORS[0], (None, None), None)
        m, k = mean.shape
        whitening, offset = contents.array(_TENSORS[1], (m, k, k), None), contents.array(_TENSORS[2], (m,), None)
        return cls(mean, whitening, offset, contents.array(_TENSORS[3], (1,), None))

    @classmethod
    def _of_one(cls, weights):
        """Of a file of the time of one normal distribution, whose limit is no square."""
        weights.require(tensors=[name for name in _TENSORS if name != _TENSORS[2]])
        contents = weights.contents
        mean = contents.array(_TENSORS[0], (None,), None)
        k = len(mean)
        whitening, limit = contents.array(_TENSORS[1], (k, k), None), contents.array(_TENSORS[3], (1,), None)
        return cls(mean[None], whitening[None], np.zeros(1), limit**2)

    def tensors(self) -> dict[str, np.ndarray]:
        """The arrays under the names of a weight file."""
        return dict(zip(_TENSORS, (self.mean, self.whitening, self.offset, self.limit), strict=True))

    @checked(features="n k")
    def distance(self, features: np.ndarray) -> np.ndarray:
        """Distance of the features (n, k) from the training, (n,): -2 log of the density, but for a constant.

        Of a single distribution it is the square of the distance of P. C. Mahalanobis (Proc. Nat. Inst. Sci. India 2
        (1936) 49-55); of several that of the one that is nearest.
        """
        return self._distances(features, -np.inf)

    def _distances(self, features, enough):
        distances, fill = np.empty(len(features)), -self.mean.shape[1] % _TERMS
        whitening = np.pad(self.whitening, ((0, 0), (0, fill), (0, fill)))
        arrays = (kernel_array(values) for values in (features, self.mean, whitening, self.offset))
        _distances(*arrays, enough, distances)
        return distances

    @checked(features="n k")
    def in_range(self, features: np.ndarray) -> np.ndarray:
        """Rows of ``features`` (n, k) that the training filled densely, (n,) bool."""
        return self._distances(features, self.limit[0]) <= self.limit[0]

    def __repr__(self) -> str:
        return f"TrainedDensity({self.mean.shape[1]} features, {len(self.mean)} distributions)"


def _mixture(rows, components):
    """Means, whitenings and offsets of normal distributions fitted to standardised rows (n, k)."""
    if components == 1:
        return _fitted(rows, np.ones((len(rows), 1)), 1)[1]
    starts = [_nearest(rows, _far_apart(rows, components, seed)) for seed in range(_STARTS)]
    return max((_fitted(rows, np.eye(components)[nearest], _STEPS) for nearest in starts), key=itemgetter(0))[1]


def _fitted(rows, members, steps):
    """Mean log of the density, but for a constant, and the distributions, from the first ``members`` (n, m) on."""
    components = members.shape[1]
    for _ in range(steps):
        counts = members.sum(axis=0) + 1e-9
        means = members.T @ rows / counts[:, None]
        whitenings, offsets = np.empty((components, *2 * rows.shape[1:])), np.empty(components)
        logs = np.empty((len(rows), components))
        for k in range(components):
            deviations = rows - means[k]
            covariance = (deviations * members[:, k : k + 1]).T @ deviations / counts[k]
            factor = np.linalg.cholesky(covariance + _RIDGE * np.eye(rows.shape[1]))
            # the whitened covariance is Wᵀ C W = 1
            whitenings[k] = np.triu(np.linalg.inv(factor).T)
            offsets[k] = 2.0 * np.log(np.diag(factor)).sum() - 2.0 * np.log(counts[k] / len(rows))
            logs[:, k] = -0.5 * (offsets[k] + ((deviations @ whitenings[k]) ** 2).sum(axis=1))
        most = logs.max(axis=1, keepdims=True)
        members = np.exp(logs - most)
        total = members.sum(axis=1, keepdims=True)
        members /= total
    return float(np.mean(np.log(total) + most)), (means, whitenings, offsets - offsets.min())


def _far_apart(rows, count, seed):
    """Rows far from each other, drawn as k-means++ does (D. Arthur, S. Vassilvitskii, SODA 2007)."""
    random = np.random.default_rng(seed)
    chosen = [rows[random.integers(len(rows))]]
    squares = ((rows - chosen[0]) ** 2).sum(axis=1)
    while len(chosen) < count:
        total = squares.sum()
        chosen.append(rows[random.choice(len(rows), p=squares / total if total > 0.0 else None)])
        squares = np.minimum(squares, ((rows - chosen[-1]) ** 2).sum(axis=1))
    return np.array(chosen)


def _nearest(rows, centres):
    return np.stack([((rows - centre) ** 2).sum(axis=1) for centre in centres], axis=1).argmin(axis=1)
