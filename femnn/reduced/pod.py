"""Proper orthogonal decomposition: the few modes in which the solutions of a structure live."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array, issparse

from femnn.checks import brief, checked, integer, number, one_of, vector
from femnn.exceptions import DatasetError, ParameterError, WeightFileError
from femnn.io.weight_files import load_contents, save_weights
from femnn.reduced.decomposition import ROUNDING, Columns, norm, orthonormal, random_range, squares, times
from femnn.reduced.snapshots import Snapshots, as_snapshots
from femnn.solvers.linear.degrees_of_freedom import prescribe
from femnn.system.memory import require_memory

KIND = "reduced-basis"

# Snapshots beyond which the decomposition is randomised, and columns that are drawn more than modes.
_MANY, _OVERSAMPLING = 400, 20


class POD:
    """A reduced basis u ≈ offset + modes · q, made by :meth:`fit` or read by :meth:`load`.

    The first :attr:`n_lifting` modes carry the prescribed values, if there are any that change from snapshot to
    snapshot; the others are zero there. So a reduced problem has prescribed degrees of freedom of its own: the first
    ones, see :meth:`lifting`.

    Attributes
    ----------
    modes : (n, r)
        Lifting modes first, then those of the decomposition, orthonormal in the inner product.
    n_lifting : int
    singular_values : (m,)
        Of the snapshots without what the lifting carries, in the inner product; all that are known, r or more.
    offset : (n,)
    fixed : (k,) int64
        Degrees of freedom that were prescribed.
    low, high : (r,)
        Range of the coefficients of the snapshots.
    errors : dict
        ``"projection"``, ``"worst"``: root of the mean square and the greatest error of a snapshot after projection,
        in the inner product, relative to the largest snapshot.
    fingerprint : str
        Of the mesh and numbering of the snapshots.

    See Also
    --------
    femnn.reduced.EmpiricalCubature : integration points for it.
    femnn.reduced.ReducedProblem : the nonlinear problem of r unknowns.
    """

    @checked(modes="n r", singular_values="m", offset="n", fixed="int k", low="r", high="r", n_lifting="[0, inf)")
    def __init__(
        self,
        modes: np.ndarray,
        singular_values: np.ndarray,
        offset: np.ndarray,
        fixed: np.ndarray,
        low: np.ndarray,
        high: np.ndarray,
        *,
        n_lifting: int = 0,
        inner: Any = None,
        errors: Mapping[str, float] | None = None,
        fingerprint: str = "",
        card: Mapping[str, Any] | None = None,
    ) -> None:
        self.modes, self.singular_values, self.offset = modes, singular_values, offset
        self.fixed, self.low, self.high, self.n_lifting = fixed.astype(np.int64), low, high, n_lifting
        self.inner, self.errors, self.fingerprint = _inner(inner, len(modes)), dict(errors or {}), fingerprint
        self.card = dict(card or {})

    @property
    def n(self) -> int:
        """Unknowns of the full problem."""
        return self.modes.shape[0]

    @property
    def r(self) -> int:
        """Unknowns of the reduced problem, those of the lifting included."""
        return self.modes.shape[1]

    def __repr__(self) -> str:
        lifting = f", {self.n_lifting} of them for prescribed values" if self.n_lifting else ""
        return f"POD({self.r} modes of {self.n} unknowns{lifting})"

    @classmethod
    @checked(snapshots="unchecked", modes="[1, inf)", energy="(0, 1]", offset="any", seed="[0, inf)")
    def fit(
        cls,
        snapshots: Snapshots | np.ndarray,
        inner: Any = None,
        modes: int | None = None,
        energy: float | None = None,
        *,
        fixed: Any = None,
        offset: ArrayLike | None = None,
        method: str = "auto",
        seed: int = 0,
    ) -> "POD":
        """The modes that leave the least of the snapshots, in the sense of an inner product.

        Parameters
        ----------
        snapshots
            :class:`femnn.reduced.Snapshots`, read in blocks, or columns (n, number).
        inner
            Symmetric positive definite sparse matrix (n, n): a mass matrix for the L2 norm, a stiffness for the energy
            norm (where nothing is held it must be made definite). None for the Euclidean one.
        modes, energy
            How many, or the share of the squared norms of the snapshots that they are to keep, such as 0.99999; one of
            the two. Fewer are made where the snapshots have no more.
        fixed
            Prescribed degrees of freedom, as in :func:`femnn.solve`: modes vanish there, but for those that carry
            values that change.
        offset : (n,)
            Subtracted from all snapshots, such as an initial state; 0 if None.
        method
            ``"exact"`` holds all snapshots in memory; ``"randomised"`` reads them a few times in blocks (N. Halko,
            P.-G. Martinsson, J. A. Tropp, SIAM Review 53 (2011) 217-288, with one power iteration); ``"auto"`` takes
            the second beyond 400 snapshots, if ``modes`` says how many.
        seed
            Of the randomised method.

        Raises
        ------
        DatasetError
            If there are too few snapshots, or they are all alike or at rest.
        ParameterError
            If arguments do not fit together, or a snapshot is not finite.

        Examples
        --------
        >>> x = np.linspace(0.0, 1.0, 50)
        >>> columns = np.stack([np.sin(np.pi * x) * a + x * (1 - x) * a**2 for a in (0.5, 1.0, 2.0)], axis=1)
        >>> pod = POD.fit(columns, modes=2, fixed=[0, 49])
        >>> pod
        POD(2 modes of 50 unknowns)
        >>> bool(pod.errors["worst"] < 1e-12)
        True
        """
        one_of("method", method, ("auto", "exact", "randomised"))
        if (modes is None) == (energy is None):
            raise ParameterError(f"modes={modes} and energy={energy}: pass the one or the other")
        snapshots = as_snapshots(snapshots)
        if len(snapshots) == 0:
            raise DatasetError("there are no snapshots; compute some solutions first")
        if modes is not None and modes > len(snapshots):
            raise DatasetError(
                f"{len(snapshots)} snapshots are too few for {modes} modes; compute more of them, or take fewer modes"
            )
        n = snapshots.n
        inner = _inner(inner, n)
        is_fixed = prescribe(n, fixed, 0.0)[1]
        offset = np.zeros(n) if offset is None else vector(offset, n, "offset")
        if method == "auto":
            method = "randomised" if len(snapshots) > _MANY and modes is not None else "exact"
        source = Columns(snapshots, offset, np.flatnonzero(is_fixed))
        lifting = source.learn_lifting()
        if method == "exact":
            require_memory(16 * n * len(snapshots), f"{len(snapshots)} snapshots of {n:,} unknowns")
            span = np.concatenate(list(source.rests()), axis=1)
        elif modes is None:
            raise ParameterError("method='randomised' needs a number of modes; pass modes= in place of energy=")
        else:
            span = random_range(source, inner, modes + _OVERSAMPLING, seed)
        basis = orthonormal(span, inner)
        if basis.shape[1] == 0 and not lifting.shape[1]:
            raise DatasetError(
                f"all {len(snapshots)} snapshots are at rest or equal to the offset: there is nothing to reduce; take "
                "snapshots under load, or another offset"
            )
        weighted = times(inner, basis)
        small = np.concatenate([weighted.T @ rest for rest in source.rests()], axis=1)
        left, values, _ = np.linalg.svd(small, full_matrices=False)
        if len(snapshots) > 1 and _are_alike(small):
            raise DatasetError(
                f"all {len(snapshots)} snapshots are alike: they teach one mode; vary the loads or parameters"
            )
        count = _count(values, modes, energy, source.squares(inner) if method == "randomised" else None)
        found = np.concatenate([lifting, basis @ left[:, :count]], axis=1)
        found[source.fixed, lifting.shape[1] :] = 0.0
        pod = cls(
            found,
            values,
            offset,
            source.fixed,
            np.zeros(found.shape[1]),
            np.zeros(found.shape[1]),
            n_lifting=lifting.shape[1],
            inner=inner,
            fingerprint=snapshots.fingerprint,
        )
        pod._learn(snapshots, method, seed)
        return pod

    @checked(u="any")
    def project(self, u: ArrayLike) -> np.ndarray:
        """Coefficients (r,) of a state (n,), or (r, number) of columns: its nearest one in the basis.

        Prescribed values come first: what the lifting modes cannot reach of them is left.
        """
        states = np.asarray(u, dtype=float)
        single = states.ndim == 1
        columns = states[:, None] if single else states
        if columns.ndim != 2 or len(columns) != self.n:
            raise ParameterError(f"u has shape {states.shape}, expected is ({self.n},) or ({self.n}, number)")
        rest = columns - self.offset[:, None]
        k = self.n_lifting
        q = np.zeros((self.r, columns.shape[1]))
        if k:
            q[:k] = np.linalg.lstsq(self.modes[self.fixed, :k], rest[self.fixed], rcond=None)[0]
            rest = rest - self.modes[:, :k] @ q[:k]
        q[k:] = self._weighted_modes.T @ rest
        return q[:, 0] if single else q

    @checked(q="any")
    def lift(self, q: ArrayLike) -> np.ndarray:
        """State (n,) of coefficients (r,), or columns (n, number) of (r, number)."""
        q = np.asarray(q, dtype=float)
        if q.shape[:1] != (self.r,) or q.ndim > 2:
            raise ParameterError(f"q has shape {q.shape}, expected is ({self.r},) or ({self.r}, number)")
        return self.modes @ q + (self.offset if q.ndim == 1 else self.offset[:, None])

    @checked(values="any")
    def lifting(self, values: ArrayLike = 0.0) -> np.ndarray:
        """Coefficients (n_lifting,) of prescribed ``values`` at :attr:`fixed`: those to prescribe to a reduced problem.

        Parameters
        ----------
        values
            As in :func:`femnn.solve`: a number, one for each of ``fixed`` or a vector (n,).

        Raises
        ------
        ParameterError
            If no snapshot moved like this: the values are not in the span of those of the snapshots.
        """
        target = (prescribe(self.n, self.fixed, values)[0] - self.offset)[self.fixed]
        modes = self.modes[self.fixed, : self.n_lifting]
        found = np.linalg.lstsq(modes, target, rcond=None)[0] if modes.size else np.zeros(self.n_lifting)
        missed, size = float(np.linalg.norm(target - modes @ found)), float(np.linalg.norm(target))
        if missed > 1e-8 * max(size, float(np.abs(modes).max(initial=0.0))):
            raise ParameterError(
                f"the prescribed values are not those of the snapshots or their combinations: {missed / size:.1%} of "
                "them is left; add a snapshot that moves like this, and fit again"
            )
        return found

    @checked(u="any")
    def distance(self, u: ArrayLike) -> float:
        """How far a state (n,) is from the subspace, relative to its own size, in the inner product: 0 to 1."""
        u = vector(u, self.n, "the state")
        rest, own = u - self.lift(self.project(u)), u - self.offset
        size = norm(own, self.inner)
        return norm(rest, self.inner) / size if size else 0.0

    @checked(q="any", margin="[0, inf)")
    def in_range(self, q: ArrayLike, margin: float = 0.1) -> bool:
        """Whether coefficients (r,) are within those of the snapshots, by ``margin`` times their spread more."""
        spread = self.high - self.low
        # coefficients that are small beside the largest may go as far as these allow for
        allowed = margin * np.maximum(spread, 1e-2 * spread.max(initial=0.0))
        return bool(np.all((q >= self.low - allowed) & (q <= self.high + allowed)))

    @checked(r="[1, inf)")
    def truncated(self, r: int) -> "POD":
        """The first ``r`` modes, those of the lifting included."""
        if not self.n_lifting < r <= self.r:
            raise ParameterError(f"r={r} is not allowed; pass {self.n_lifting + 1} to {self.r}")
        kept = {name: getattr(self, name) for name in ("n_lifting", "inner", "fingerprint")}
        return POD(
            self.modes[:, :r], self.singular_values, self.offset, self.fixed, self.low[:r], self.high[:r], **kept
        )

    # --- files

    @checked()
    def save(self, path: str | os.PathLike) -> Path:
        """Write ``path.safetensors`` and its card ``path.json``; returns the former."""
        tensors = {
            "modes": self.modes,
            "singular_values": self.singular_values,
            "offset": self.offset,
            "fixed": self.fixed,
            "range.low": self.low,
            "range.high": self.high,
        }
        if self.inner is not None:
            inner = csr_array(self.inner)
            tensors |= {
                "inner.data": inner.data,
                "inner.indices": inner.indices.astype(np.int64),
                "inner.indptr": inner.indptr.astype(np.int64),
            }
        snapshots = self.card.get("snapshots", 0)
        card = {
            "kind": KIND,
            "what": f"{self.r} modes of proper orthogonal decomposition of {snapshots} snapshots",
            "architectures": {"modes": {"n": self.n, "r": self.r, "n_lifting": self.n_lifting}},
            "trained_range": "coefficients between those of the snapshots, in range.low and range.high",
            "data": {"fingerprint": self.fingerprint, "snapshots": snapshots},
            "training": {key: self.card.get(key) for key in ("method", "seed")},
            "test": self.errors,
        }
        return save_weights(path, tensors, card)

    @classmethod
    @checked()
    def load(cls, path: str | os.PathLike) -> "POD":
        """Read what :meth:`save` wrote.

        Raises
        ------
        WeightFileError
            If the file is missing, damaged or of another kind.
        """
        contents = load_contents(path, KIND)
        file, card, tensors = contents.file, contents.fields, contents.arrays
        architecture = contents.part("architectures").part("modes")
        n, r = architecture.count("n", 1), architecture.count("r", 1)
        if set(card["architectures"]) != {"modes"}:
            raise WeightFileError(f"{file.path} has architectures {brief(card['architectures'])}; {file.remedy}")
        inner = None
        if "inner.data" in tensors:
            indices = contents.array("inner.indices", (None,), np.int64)
            indptr = contents.array("inner.indptr", (n + 1,), np.int64)
            with file.checked():
                inner = csr_array((contents.array("inner.data", (len(indices),)), indices, indptr), shape=(n, n))
                inner.check_format(full_check=True)
        return cls(
            contents.array("modes", (n, r)),
            contents.array("singular_values", (None,)),
            contents.array("offset", (n,)),
            contents.array("fixed", (None,), np.int64),
            *contents.bounds("range.low", "range.high", (r,)),
            n_lifting=architecture.count("n_lifting"),
            inner=inner,
            errors=contents.part("test").fields,
            fingerprint=contents.part("data").text("fingerprint"),
            card={"snapshots": contents.part("data").count("snapshots"), **contents.part("training").fields},
        )

    # --- inside

    @property
    def _weighted_modes(self):
        """What turns a state without its lifting into the coefficients of the modes behind it, (n, r - n_lifting)."""
        if not hasattr(self, "_weighted"):
            self._weighted = times(self.inner, self.modes[:, self.n_lifting :])
        return self._weighted

    def _learn(self, snapshots, method, seed):
        """Range of the coefficients and errors of the projection, in one pass over the snapshots."""
        low, high = np.full(self.r, np.inf), np.full(self.r, -np.inf)
        missed, largest = [], 0.0
        for block in snapshots.blocks():
            q = self.project(block)
            low, high = np.minimum(low, q.min(axis=1)), np.maximum(high, q.max(axis=1))
            missed += list(squares(block - self.lift(q), self.inner))
            largest = max(largest, float(squares(block - self.offset[:, None], self.inner).max()))
        self.low, self.high = low, high
        self.errors = {
            "projection": float(np.sqrt(np.mean(missed) / largest)),
            "worst": float(np.sqrt(np.max(missed) / largest)),
        }
        self.card = {"snapshots": len(snapshots), "method": method, "seed": seed}


def _count(values, modes, energy, total):
    """How many modes are kept of those with these singular values, ``total`` being the sum of all their squares."""
    useful = int((values > ROUNDING * max(values.max(initial=0.0), 1e-300)).sum())
    if modes is not None:
        return min(integer("modes", modes, at_least=1), useful)
    share = np.cumsum(values**2) / max(float((values**2).sum()) if total is None else total, 1e-300)
    return min(int(np.searchsorted(share, number("energy", energy) - 1e-15)) + 1, useful)


def _are_alike(columns):
    """Whether all columns are one, but for rounding."""
    spread = np.abs(columns - columns[:, :1]).max(initial=0.0)
    return spread <= 1e-12 * np.abs(columns).max(initial=0.0)


def _inner(inner, n):
    if inner is None:
        return None
    if not issparse(inner) or inner.shape != (n, n):
        raise ParameterError(
            f"inner is {brief(inner)}; pass a sparse matrix of shape {(n, n)}, such as a mass matrix, or None"
        )
    matrix = csr_array(inner)
    if not np.isfinite(matrix.data).all():
        raise ParameterError("inner is not finite; pass a mass or stiffness matrix")
    return matrix
