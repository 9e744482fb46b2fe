"""Galerkin projection of evolution equations with a quadratic right side: exact, with no mesh left.

The projection of a quadratic operator is a tensor that is computed once. What other reduced models sample with
empirical cubature, a few cells in place of all, costs r³ operations here, whatever the mesh: little where local bases
keep r small.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from tqdm import tqdm

from femnn.checks import brief, called, checked, instance, vector
from femnn.exceptions import ConvergenceError, ParameterError
from femnn.reduced.local import LocalBases
from femnn.reduced.pod import POD
from femnn.reduced.quadratic_kernels import march

# Iterations of a time step, and the relative change after which they end: the next would be its square.
_MOST, _ENOUGH = 20, 1e-3


@dataclass(frozen=True)
class ReducedPath:
    """States of a reduced run.

    Attributes
    ----------
    model : QuadraticGalerkin
        Whose run it is.
    q : (steps + 1, most modes of a cluster)
        Local coordinates; zeros fill the rows of clusters with fewer modes.
    clusters : (steps + 1,) int
        Local basis of each state; 0 where there is but one.
    iterations : int
        Of all time steps together.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.reduced import POD, QuadraticGalerkin
    >>> def bilinear(w, z):
    ...     mixed = 0.5 * (w[..., 0] * z[..., 1] + w[..., 1] * z[..., 0])
    ...     return np.stack([mixed, -mixed], axis=-1)
    >>> model = QuadraticGalerkin(POD.fit(np.eye(2), modes=2), bilinear)
    >>> path = model.march(np.zeros(2), [0.9, 0.1], dt=0.1, steps=10)
    >>> path.q.shape, path.states().shape
    ((11, 2), (11, 2))
    """

    model: "QuadraticGalerkin"
    q: np.ndarray
    clusters: np.ndarray
    iterations: int

    def states(self) -> np.ndarray:
        """All states (steps + 1, n)."""
        result = np.empty((len(self.q), self.model.pod.n))
        for c in np.unique(self.clusters):
            rows = np.flatnonzero(self.clusters == c)
            mean, modes = self.model.full_bases[c]
            # consecutive states go into their places without a copy
            span = slice(rows[0], rows[-1] + 1) if rows[-1] - rows[0] == len(rows) - 1 else rows
            result[span] = self.q[rows, : len(modes)] @ modes + mean
        return result


class QuadraticGalerkin:
    """The reduced model of w_t = source + L w - B(w, w) with a symmetric bilinear B, in local bases or a global one.

    Parameters
    ----------
    pod
        Global basis, orthonormal in the Euclidean sense.
    bilinear
        ``bilinear(w, z)``: B of states (n,) and (..., n), states along the last axis.
    local
        Local bases in the coefficients of ``pod``; None takes the global one.
    linear
        ``linear(w)``: L of states (..., n), along the last axis; None for none.
    progress
        Show a bar while tensors are computed, if stderr is a terminal.

    Examples
    --------
    Two species that eat each other: w₀' = -w₀ w₁ and w₁' = w₀ w₁.

    >>> def bilinear(w, z):
    ...     mixed = 0.5 * (w[..., 0] * z[..., 1] + w[..., 1] * z[..., 0])
    ...     return np.stack([mixed, -mixed], axis=-1)
    >>> pod = POD.fit(np.eye(2), modes=2)
    >>> model = QuadraticGalerkin(pod, bilinear)
    >>> path = model.march(np.zeros(2), [0.9, 0.1], dt=0.1, steps=100)
    >>> path.states()[-1].round(3).tolist()
    [0.0, 1.0]
    """

    @checked()
    def __init__(
        self,
        pod: POD,
        bilinear: Callable,
        local: LocalBases | None = None,
        *,
        linear: Callable | None = None,
        progress: bool = True,
    ) -> None:
        if pod.inner is not None:
            raise ParameterError("the basis has an inner product of its own; fit the POD with inner=None")
        self.pod = pod
        self.local = LocalBases.whole(pod.r, _size(pod)) if local is None else instance("local", local, LocalBases)
        if self.local.centres.shape[1] != pod.r:
            raise ParameterError(
                f"the local bases are of {self.local.centres.shape[1]} coefficients, the global basis has {pod.r}; "
                "fit them to pod.project(snapshots)"
            )
        self.full_bases = [(pod.lift(basis.mean), (pod.modes @ basis.modes).T.copy()) for basis in self.local.bases]
        bar = tqdm(self.full_bases, unit="basis", disable=None if progress else True)
        parts = [_tensors(mean, modes, bilinear, linear) for mean, modes in bar]
        self._constant, self._linear, self._quadratic = (
            np.concatenate([part[i].ravel() for part in parts]) for i in range(3)
        )
        self._learn_transitions()

    def __repr__(self) -> str:
        return f"QuadraticGalerkin({self.pod!r}, {self.local!r})"

    @checked(dt="(0, inf)", steps="[1, inf)", source="any", initial="any", share="[0.5, 1]")
    def march(
        self, source: ArrayLike, initial: ArrayLike | None = None, *, dt: float, steps: int, share: float = 0.5
    ) -> ReducedPath:
        """Go ``steps`` of ``dt`` from the nearest reduced state.

        Parameters
        ----------
        source : (n,) or (r,)
            Constant part of the right side, or its products with the modes of the global basis.
        initial : (n,)
            First state; None is the offset of the basis.
        dt, steps
            Length of a time step, and how many.
        share
            Of a step that is implicit: 0.5 for the trapezoidal rule, 1 for backward Euler.

        Raises
        ------
        ConvergenceError
            If a time step does not converge.
        """
        bases, ranks = self.local.bases, self.local.ranks
        forcing = self._forcing(source)
        first = np.zeros(self.pod.r)
        if initial is not None:
            first = self.pod.project(vector(initial, self.pod.n, "the initial state"))
        q, clusters = np.zeros((steps + 1, ranks.max())), np.zeros(steps + 1, dtype=np.int64)
        clusters[0] = self.local.nearest(first)
        q[0, : ranks[clusters[0]]] = self.local.project(int(clusters[0]), first)
        failed, iterations = march(
            ranks, self._constant, self._linear, self._quadratic,
            np.concatenate([basis.modes.T @ forcing for basis in bases]),
            self._turns, self._shifts, self._scores, self._biases, np.array([basis.size for basis in bases]),
            dt, share, q, clusters, _MOST, _ENOUGH,
        )  # fmt: skip
        if failed:
            raise ConvergenceError(
                f"time step {failed} did not converge in {_MOST} iterations; take a smaller dt than {dt:g}, or more "
                "modes: the solution may have left the snapshots",
                q[failed - 1],
                np.array([np.nan]),
                (failed - 1) * dt,
            )
        return ReducedPath(self, q, clusters, int(iterations))

    def _forcing(self, source):
        if np.shape(source) == (self.pod.r,) != (self.pod.n,):
            return vector(source, self.pod.r, "the source")
        return self.pod.modes.T @ vector(source, self.pod.n, "the source")

    def _learn_transitions(self):
        """What takes coordinates of one cluster to another, and what says which centre is nearest."""
        bases, centres = self.local.bases, self.local.centres
        self._turns = np.concatenate([(new.modes.T @ old.modes).ravel() for new in bases for old in bases])
        self._shifts = np.concatenate([new.modes.T @ (old.mean - new.mean) for new in bases for old in bases])
        self._scores = np.concatenate([(-2.0 * (centres - own.mean) @ own.modes).ravel() for own in bases])
        self._biases = np.concatenate([((centres - own.mean) ** 2).sum(axis=1) for own in bases])


def _size(pod):
    """A typical size of coefficients in a global basis: their range."""
    return max(float(np.linalg.norm(np.maximum(np.abs(pod.low), np.abs(pod.high)))), 1e-300)


def _tensors(mean, modes, bilinear, linear):
    """Projections of B(m, m) - L m, 2 B(m, v) - L v and B(v, z) for the mean m and the modes v, z of a basis."""
    r, n = modes.shape
    constant = called("bilinear", bilinear, mean, mean)
    if np.shape(constant) != (n,):
        raise ParameterError(f"bilinear gives {brief(constant)} for two states ({n},); it must give a state")
    quadratic = np.empty((r, r, r))  # first axis: the equation
    for j in range(r):
        part = modes @ called("bilinear", bilinear, modes[j], modes[: j + 1]).T
        quadratic[:, j, : j + 1] = quadratic[:, : j + 1, j] = part
    slopes = 2.0 * called("bilinear", bilinear, mean, modes)
    if linear is not None:
        both = called("linear", linear, np.concatenate([mean[None], modes]))
        if np.shape(both) != (r + 1, n):
            raise ParameterError(f"linear gives {brief(both)} for {r + 1} states; it must give states ({r + 1}, {n})")
        constant, slopes = constant - both[0], slopes - both[1:]
    return modes @ constant, modes @ slopes.T, quadratic
