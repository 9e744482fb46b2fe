"""Local bases: clusters of snapshots, each with a few modes of its own about its own mean.

A travelling front fills a global basis with many modes, few of which matter at any one time. See D. Amsallem, M. J.
Zahr, C. Farhat, Int. J. Numer. Methods Eng. 92 (2012) 891-916.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.cluster.vq import kmeans2

from femnn.checks import checked
from femnn.exceptions import DatasetError, ParameterError


class LocalBasis(NamedTuple):
    """An affine subspace a = mean + modes · q of the coefficients a of a global basis.

    Attributes
    ----------
    mean : (r,)
    modes : (r, k)
        Orthonormal.
    size : float
        Root of the mean square of |q| over the snapshots that it is made of.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.reduced import LocalBases
    >>> t = np.linspace(0.0, np.pi, 200)
    >>> local = LocalBases.fit(np.stack([np.cos(t), np.sin(t)], axis=1), clusters=4, tol=1e-2)
    >>> basis = local.bases[0]
    >>> basis.mean.shape, basis.modes.shape
    ((2,), (2, 2))
    """

    mean: np.ndarray
    modes: np.ndarray
    size: float


class LocalBases:
    """Local bases within a global one; the basis of a state is that of the nearest centre.

    Attributes
    ----------
    centres : (clusters, r)
        Means of the clusters, in coefficients of the global basis.
    bases : list of LocalBasis

    Examples
    --------
    >>> t = np.linspace(0.0, np.pi, 200)
    >>> arc = np.stack([np.cos(t), np.sin(t), 0.1 * t], axis=1)
    >>> local = LocalBases.fit(arc, clusters=4, tol=1e-2)
    >>> len(local.bases)
    4
    >>> k = local.nearest(arc[0])
    >>> bool(np.linalg.norm(local.lift(k, local.project(k, arc[0])) - arc[0]) < 0.05)
    True
    """

    def __init__(self, centres: np.ndarray, bases: list[LocalBasis]) -> None:
        self.centres, self.bases = centres, bases

    def __repr__(self) -> str:
        ranks = self.ranks
        return f"LocalBases({len(ranks)} clusters, {ranks.min()} to {ranks.max()} of {self.centres.shape[1]} modes)"

    @classmethod
    @checked(coefficients="m r", clusters="[1, inf)", tol="(0, 1)", overlap="[0, inf)", seed="[0, inf)")
    def fit(
        cls, coefficients: ArrayLike, clusters: int = 10, *, tol: float = 1e-4, overlap: float = 0.2, seed: int = 0
    ) -> "LocalBases":
        """Cluster snapshots by their distances (k-means) and find the modes of each cluster.

        Parameters
        ----------
        coefficients : (m, r)
            Of the snapshots in a global basis, see :meth:`femnn.reduced.POD.project`; a row each.
        clusters
            How many.
        tol
            Root of the mean square of what may be left of the snapshots of a cluster, relative to theirs.
        overlap
            Snapshots of neighbours that a cluster learns besides, those nearest to its border, as a share of its own:
            a solution can then leave a cluster a little late.
        seed
            Of the first centres.

        Raises
        ------
        DatasetError
            If there are fewer than two snapshots for each cluster, or too few different ones.
        """
        snapshots = np.asarray(coefficients, dtype=float)
        if len(snapshots) < 2 * clusters:
            raise DatasetError(
                f"{len(snapshots)} snapshots are too few for {clusters} clusters; pass 2 or more for each, or ask for "
                "fewer clusters"
            )
        centres, label = _clustered(snapshots, clusters, seed)
        squares = (snapshots**2).sum(axis=1)
        distances = squares[:, None] - 2.0 * (snapshots @ centres.T) + (centres**2).sum(axis=1)
        bases = []
        for k in range(clusters):
            own = np.flatnonzero(label == k)
            beyond = np.where(label == k, np.inf, distances[:, k] - distances.min(axis=1))
            n_others = min(round(overlap * len(own)), len(snapshots) - len(own))
            bases.append(_basis(snapshots[np.concatenate([own, np.argsort(beyond)[:n_others]])], tol))
        return cls(centres, bases)

    @classmethod
    @checked(r="[1, inf)", size="(0, inf)")
    def whole(cls, r: int, size: float = 1.0) -> "LocalBases":
        """The global basis itself, of ``r`` modes, as the only cluster."""
        return cls(np.zeros((1, r)), [LocalBasis(np.zeros(r), np.eye(r), size)])

    @property
    def ranks(self) -> np.ndarray:
        """Numbers (clusters,) of modes."""
        return np.array([basis.modes.shape[1] for basis in self.bases])

    @checked(a="any")
    def nearest(self, a: ArrayLike) -> int:
        """The cluster of a state with the coefficients ``a`` (r,)."""
        return int(((self.centres - self._coefficients(a)) ** 2).sum(axis=1).argmin())

    @checked(a="any", k="[0, inf)")
    def project(self, k: int, a: ArrayLike) -> np.ndarray:
        """Local coordinates of ``a`` (r,) in cluster ``k``."""
        mean, modes, _ = self._basis(k)
        return modes.T @ (self._coefficients(a) - mean)

    @checked(q="any", k="[0, inf)")
    def lift(self, k: int, q: ArrayLike) -> np.ndarray:
        """Coefficients (r,) of local coordinates ``q`` in cluster ``k``."""
        mean, modes, _ = self._basis(k)
        q = np.asarray(q, dtype=float)
        if q.shape != modes.shape[1:]:
            raise ParameterError(f"q has shape {q.shape}; cluster {k} has {modes.shape[1]} modes")
        return mean + modes @ q

    def _coefficients(self, a):
        a = np.asarray(a, dtype=float)
        if a.shape != self.centres.shape[1:]:
            raise ParameterError(f"a has shape {a.shape}, expected is {self.centres.shape[1:]}: POD coefficients")
        return a

    def _basis(self, k):
        if k >= len(self.bases):
            raise ParameterError(f"k={k} is not allowed; there are {len(self.bases)} clusters")
        return self.bases[k]


def _clustered(snapshots, clusters, seed):
    """Centres and labels of k-means."""
    if len(np.unique(snapshots, axis=0)) < clusters:
        raise DatasetError(f"there are fewer than {clusters} different snapshots; ask for fewer clusters")
    for attempt in range(10):
        centres, label = kmeans2(snapshots, clusters, minit="++", iter=100, rng=np.random.default_rng([seed, attempt]))
        if len(np.unique(label)) == clusters:
            return centres, label
    raise DatasetError(f"{clusters} clusters leave some without snapshots; ask for fewer, or pass more snapshots")


def _basis(snapshots, tol):
    """The fewest modes that leave ``tol`` of the snapshots."""
    mean = snapshots.mean(axis=0)
    modes, values, _ = np.linalg.svd((snapshots - mean).T, full_matrices=False)
    left = np.sqrt(np.cumsum(values[::-1] ** 2)[::-1] / max((snapshots**2).sum(), 1e-300))
    count = max(1, int((left > tol).sum()))
    return LocalBasis(mean, modes[:, :count], float(np.sqrt((values[:count] ** 2).sum() / len(snapshots))))
