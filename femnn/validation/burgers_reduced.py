"""Burgers' equation on a few cells: least-squares Petrov-Galerkin on subspaces and manifolds, with empirical cubature.

Every time step minimises the sum over chosen cells of weight · residual². The test functions are the tangent of the
residual on the manifold, taken where the step is predicted to end.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from tqdm import tqdm

from femnn.checks import checked
from femnn.exceptions import ConvergenceError, ParameterError
from femnn.reduced.decoder_kernels import no_decoder
from femnn.reduced.manifolds import Manifold
from femnn.reduced.pod import POD
from femnn.reduced.selection import sparse_weights
from femnn.validation.burgers import Burgers
from femnn.validation.burgers_kernels import march_sampled

# Iterations of a time step.
_MOST = 30

# Random combinations of integrals that the cubature fits, for each cell that may be chosen.
_COMBINATIONS = 2


@dataclass(frozen=True)
class SampledPath:
    """States of a reduced run: coordinates ``q`` (steps + 1, n) on the manifold, and all ``iterations`` together.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.validation import SampledPath
    >>> path = SampledPath(q=np.zeros((21, 4)), iterations=40)
    >>> path.q.shape
    (21, 4)
    """

    q: np.ndarray
    iterations: int


class SampledBurgers:
    """The reduced model on ``cells`` with ``weights``; see :meth:`fit`, which chooses them.

    Parameters
    ----------
    burgers
        The full model.
    pod
        Global basis of at least as many modes as the manifold has coefficients, orthonormal in the Euclidean sense.
    manifold
        Which states there are.
    cells : (m,) int, weights : (m,)
        Chosen cells and their positive weights; all cells with weight 1 if None.
    lag
        Time steps that the same test functions serve, those of their middle, unless iterations converge too slowly.
    enough
        Change of the coordinates, relative to their size, after which the iterations of a step end.

    Examples
    --------
    >>> burgers = Burgers(12, steps=20)
    >>> pod = POD.fit(burgers.solve((4.5, 0.02)).T, modes=6, offset=burgers.initial())
    >>> model = SampledBurgers(burgers, pod, Manifold.linear(6, 10.0))
    >>> states = model.states(model.march((4.5, 0.02)))
    >>> bool(abs(states - burgers.solve((4.5, 0.02))).max() < 0.05)
    True
    """

    @checked(cells="int m", weights="m", lag="[1, inf)", enough="(0, 1)")
    def __init__(
        self,
        burgers: Burgers,
        pod: POD,
        manifold: Manifold,
        cells: ArrayLike | None = None,
        weights: ArrayLike | None = None,
        *,
        lag: int = 1,
        enough: float = 1e-5,
    ) -> None:
        if pod.n != burgers.n_dofs or manifold.r > pod.r or pod.inner is not None:
            raise ParameterError(
                f"{manifold!r} on {pod!r} does not fit {burgers!r}: the basis needs {burgers.n_dofs} unknowns, at "
                f"least {manifold.r} modes and no inner product of its own"
            )
        self.burgers, self.pod, self.manifold = burgers, pod, manifold
        self.lag, self.enough = lag, enough
        self.cells = np.arange(burgers.n**2) if cells is None else np.asarray(cells, dtype=np.int64)
        self.weights = np.ones(len(self.cells)) if weights is None else np.asarray(weights, dtype=float)
        if len(self.cells) == 0 or self.cells.max() >= burgers.n**2 or not (self.weights > 0.0).all():
            raise ParameterError(
                f"cells must be from 0 to {burgers.n**2 - 1} and their weights positive; pass what cubature has chosen"
            )
        if len(self.weights) != len(self.cells):
            raise ParameterError(f"there are {len(self.cells)} cells, but {len(self.weights)} weights; pass as many")
        self._learn_nodes()

    def __repr__(self) -> str:
        return f"SampledBurgers({self.manifold!r}, {len(self.cells)} of {self.burgers.n**2} cells)"

    @classmethod
    @checked(coefficients="k r", n_cells="[1, inf)", tol="[0, 1)", lag="[1, inf)", enough="(0, 1)", seed="[0, inf)")
    def fit(
        cls,
        burgers: Burgers,
        pod: POD,
        manifold: Manifold,
        coefficients: np.ndarray,
        previous: np.ndarray,
        parameters: np.ndarray,
        *,
        n_cells: int,
        tol: float = 1e-4,
        lag: int = 1,
        enough: float = 1e-5,
        seed: int = 0,
        progress: bool = True,
    ) -> "SampledBurgers":
        """Choose cells and weights that integrate the projected residuals of sampled time steps (empirical cubature).

        Parameters
        ----------
        coefficients, previous : (k, r)
            States at the ends and beginnings of k time steps, in the global basis.
        parameters : (k, 2)
            Those of the steps.
        n_cells
            At most so many.
        tol
            Residual of the cubature, relative to the integrals, at which fewer are enough.
        lag, enough
            Of the model.
        seed
            Of the random combinations of integrals that are fitted in place of all: there are many more of these than
            cells, and combinations keep the norm of the residual.
        progress
            Show bars, if stderr is a terminal.
        """
        model = cls(burgers, pod, manifold)
        r, generator = manifold.r, np.random.default_rng(seed)
        rows = np.zeros((_COMBINATIONS * n_cells + 1, burgers.n**2))
        steps = list(zip(coefficients, previous, parameters, strict=True))
        for new, old, values in tqdm(steps, unit="step", disable=None if progress else True):
            integrands = model.integrands(manifold.project(new[:r]), manifold.project(old[:r]), values)
            rows[:-1] += generator.standard_normal((len(rows) - 1, len(integrands))) @ integrands
        # the volume comes in at the size of the others
        rows[-1] = np.sqrt((rows**2).sum() / rows.size)
        chosen = sparse_weights(rows, rows.sum(axis=1), tol=tol, most=n_cells, progress=progress)
        return cls(burgers, pod, manifold, chosen.chosen, chosen.weights, lag=lag, enough=enough)

    @checked(q="n", previous="n", parameters="2")
    def integrands(self, q: np.ndarray, previous: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        """What each cell (columns) adds to the residual on the test functions (rows) of a step that ends at ``q``.

        Twice: the residual at the end, and at the beginning, which is the rate of change.
        """
        r = self.manifold.r
        modes = self.pod.modes[:, :r]
        end, start = (modes @ self.manifold.lift(x) + self.pod.offset for x in (q, previous))
        test = self.burgers.tangent(end) @ (modes @ self.manifold.tangent(q))
        rows = []
        for state in (end, start):
            products = test * self.burgers.residual(state, start, parameters)[:, None]
            rows.append(products[: self.burgers.n**2].T + products[self.burgers.n**2 :].T)
        return np.concatenate(rows)

    def _learn_nodes(self):
        """Chosen cells and their neighbours before them, and the modes there."""
        n, cells = self.burgers.n, self.cells
        neighbours = [cells, np.where(cells % n > 0, cells - 1, -1), cells - n]
        nodes = np.unique(np.concatenate(neighbours))
        nodes = nodes[nodes >= 0]
        # a neighbour beyond the boundary has no flux: one more node at rest
        places = np.full(n * n + 1, len(nodes))
        places[nodes] = np.arange(len(nodes))
        self._neighbours = np.stack([places[np.where(k >= 0, k, n * n)] for k in neighbours])
        rows = np.concatenate([nodes, n * n + nodes])
        manifold, modes = self.manifold, self.pod.modes[rows]
        followers = modes[:, manifold.n : manifold.r]

        def padded(values):
            fields = values.reshape(2, len(nodes), -1)
            return np.ascontiguousarray(np.pad(fields, ((0, 0), (0, 1), (0, 0))).reshape(2 * len(nodes) + 2, -1))

        self._base = padded(self.pod.offset[rows] + followers @ manifold.offset)[:, 0].copy()
        self._lifted = padded(np.concatenate([modes[:, : manifold.n], followers @ manifold.output], axis=1))
        if manifold.r == manifold.n:
            self._lifted = np.ascontiguousarray(self._lifted[:, : manifold.n])
        else:
            # a manifold leaves far more than single precision does, which is twice as fast
            self._lifted = self._lifted.astype(np.float32)

    @checked(initial="any")
    def march(self, parameters: ArrayLike, initial: ArrayLike | None = None) -> SampledPath:
        """All time steps of the full model, from coordinates ``initial`` (n,); zeros, the offset, if None.

        Raises
        ------
        ConvergenceError
            If a time step does not converge.
        """
        burgers, manifold = self.burgers, self.manifold
        source = burgers.source(parameters)
        q = np.zeros((burgers.steps + 1, manifold.n))
        if initial is not None:
            q[0] = manifold._rows(initial)[0]
        failed, iterations = march_sampled(
            self._neighbours, self._base, self._lifted, manifold.widths, manifold.layers, no_decoder(),
            np.sqrt(self.weights), np.concatenate([source[self.cells], source[burgers.n**2 + self.cells]]),
            burgers.dt, burgers.h, 0.5, 0.0, self.lag, q, _MOST, self.enough * manifold.size,
        )  # fmt: skip
        if failed:
            raise ConvergenceError(
                f"time step {failed} did not converge in {_MOST} iterations; take more cells, or more modes: the "
                "solution may have left the snapshots",
                q[failed - 1],
                np.array([np.nan]),
                (failed - 1) * burgers.dt,
            )
        return SampledPath(q, int(iterations))

    def states(self, path: SampledPath) -> np.ndarray:
        """All states (steps + 1, 2 n²) of a run."""
        a = self.manifold.lift(path.q)
        return a @ self.pod.modes[:, : a.shape[1]].T + self.pod.offset
