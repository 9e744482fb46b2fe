"""Two-dimensional viscous Burgers' equation with a steep front, and its reduced model on the manifold of a decoder.

On the unit square for two velocities u and v that vanish on the boundary,

    u_t + u u_x + v u_y = (u_xx + u_yy) / Re,    v_t + u v_x + v v_y = (v_xx + v_yy) / Re,

from u = v = μ sin 2πx sin 2πy in the lower left quarter and 0 elsewhere: the problem of Y. Kim, Y. Choi, D. Widemann
and T. Zohdi, J. Comput. Phys. 451 (2022) 110841. Backward differences for what is carried, central ones for viscosity,
backward Euler.
"""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import block_array, csr_array, diags_array, eye_array, kron, vstack
from scipy.sparse.linalg import splu
from tqdm import tqdm

from femnn.checks import checked, integer, number, one_of
from femnn.exceptions import ConvergenceError, ParameterError
from femnn.reduced.selection import sparse_weights
from femnn.reduced.sparse_decoder import SparseDecoder
from femnn.validation.burgers_kernels import fluxes, march_sampled, residual_slopes, sweep_viscous

#: Amplitudes of the training, and that of the test.
VISCOUS_TRAINING, VISCOUS_TEST = (0.9, 0.95, 1.05, 1.1), 1.0

# Weight of differences of neighbours in the loss of a decoder: errors that are rough grow in the reduced model, since
# the equation takes derivatives of them.
_SMOOTH = 3.0

# Sweeps of a step and the change after which they end; iterations of a reduced step and theirs; combinations of
# integrals for each cell that may be chosen.
_SWEEPS, _SETTLED, _MOST, _ENOUGH, _COMBINATIONS = 50, 1e-10, 30, 1e-5, 2


@dataclass(frozen=True)
class ViscousBurgers:
    """The full model on ``n`` × ``n`` nodes, those of the boundary included.

    A state is a vector (2 n²): u of all nodes, those along x next to each other, then v.

    Attributes
    ----------
    n
        Nodes along each side.
    steps, duration
        Time steps, and what they last.
    reynolds

    Examples
    --------
    >>> burgers = ViscousBurgers(12, steps=20, duration=0.4)
    >>> states = burgers.solve(1.0)
    >>> states.shape
    (21, 288)
    """

    n: int = 60
    steps: int = 1500
    duration: float = 2.0
    reynolds: float = 1e4

    def __post_init__(self) -> None:
        integer("n", self.n, at_least=3)
        integer("steps", self.steps, at_least=1)
        number("duration", self.duration, "(0, inf)")
        number("reynolds", self.reynolds, "(0, inf)")

    @property
    def h(self) -> float:
        """Distance of nodes."""
        return 1.0 / (self.n - 1)

    @property
    def dt(self) -> float:
        """Length of a time step."""
        return self.duration / self.steps

    @property
    def inside(self) -> np.ndarray:
        """Numbers of the nodes that are not on the boundary."""
        return np.arange(self.n**2).reshape(self.n, self.n)[1:-1, 1:-1].ravel()

    @checked(amplitude="(0, inf)")
    def initial(self, amplitude: float) -> np.ndarray:
        """The state (2 n²) at time 0."""
        x = np.linspace(0.0, 1.0, self.n)
        wave = np.where(x <= 0.5, np.sin(2.0 * np.pi * x), 0.0)
        wave[np.abs(wave) < 1e-15] = 0.0
        return np.tile(amplitude * np.outer(wave, wave).ravel(), 2)

    @checked(amplitude="(0, inf)")
    def solve(self, amplitude: float, method: str = "sweep", steps: int | None = None) -> np.ndarray:
        """All states (steps + 1, 2 n²) of a run.

        Parameters
        ----------
        amplitude
            μ.
        method
            ``"sweep"``: each step by sweeps along the flow until nothing changes; viscosity alone couples a node with
            those behind it, and so little that a few sweeps are enough. ``"newton"`` factorises a sparse tangent.
        steps
            Fewer than those of the model.

        Raises
        ------
        ConvergenceError
            If a step does not converge, as when the flow reverses.
        """
        one_of("method", method, ("sweep", "newton"))
        states = np.zeros(((self.steps if steps is None else steps) + 1, 2 * self.n**2))
        states[0] = self.initial(amplitude)
        a, spread = self.dt / self.h, self.dt / (self.reynolds * self.h**2)
        if method == "newton":
            failed = self._newton(states)
        else:
            failed = sweep_viscous(states, self.n, a, spread, _SWEEPS, _SETTLED)
        if failed:
            raise ConvergenceError(
                f"time step {failed} did not converge in {_SWEEPS} iterations; take more steps than {self.steps}",
                states[failed - 1],
                np.array([np.nan]),
                (failed - 1) * self.dt,
            )
        return states

    def _newton(self, states):
        """Fill the states after the first; the first step that did not converge, or 0."""
        k, h, dt, nodes = self.n - 2, self.h, self.dt, self.n**2
        one, back = eye_array(k), diags_array([np.ones(k), -np.ones(k - 1)], offsets=[0, -1]) / h
        second = diags_array([np.ones(k - 1), np.full(k, -2.0), np.ones(k - 1)], offsets=[-1, 0, 1]) / h**2
        along, across = kron(one, back), kron(back, one)
        spread = (kron(one, second) + kron(second, one)) / self.reynolds
        for step in range(1, len(states)):
            old = states[step - 1].reshape(2, nodes)[:, self.inside]
            w, change = old.copy(), np.inf
            for _ in range(_SWEEPS):
                slopes = np.stack([along @ w.T, across @ w.T])  # of u and v along x, and along y
                carry = diags_array(w[0]) @ along + diags_array(w[1]) @ across - spread
                residual = w - old + dt * (carry @ w.T).T
                own = eye_array(k * k) + dt * carry
                matrix = block_array(
                    [
                        [own + dt * diags_array(slopes[0, :, 0]), dt * diags_array(slopes[1, :, 0])],
                        [dt * diags_array(slopes[0, :, 1]), own + dt * diags_array(slopes[1, :, 1])],
                    ]
                )
                step_of_w = splu(matrix.tocsc()).solve(residual.ravel()).reshape(2, -1)
                w, change = w - step_of_w, np.abs(step_of_w).max()
                if change <= _SETTLED * np.abs(w).max():
                    break
            else:
                return step
            states[step].reshape(2, nodes)[:, self.inside] = w
        return 0

    def differences(self) -> csr_array:
        """Differences of neighbours along x and y, of u and of v, as a sparse matrix of 2 n² columns."""
        step = diags_array([-np.ones(self.n - 1), np.ones(self.n - 1)], offsets=[0, 1], shape=(self.n - 1, self.n))
        both = vstack([kron(eye_array(self.n), step), kron(step, eye_array(self.n))])
        return csr_array(kron(eye_array(2), both))

    @checked(first="any", second="any")
    def bilinear(self, first: ArrayLike, second: ArrayLike) -> np.ndarray:
        """The symmetric bilinear form B(w, z) of w_t = :meth:`viscous` (w) - B(w, w); states along the last axis."""
        w, z = self._fields(first), self._fields(second)
        carried = 0.5 * (self._carry(w, z) + self._carry(z, w))
        return carried.reshape(*carried.shape[:-3], -1)

    @checked(w="any")
    def viscous(self, w: ArrayLike) -> np.ndarray:
        """The viscous part of w_t, linear; states along the last axis."""
        fields = self._fields(w)
        own = fields[..., 1:-1, 1:-1]
        around = fields[..., 2:, 1:-1] + fields[..., :-2, 1:-1] + fields[..., 1:-1, 2:] + fields[..., 1:-1, :-2]
        result = np.zeros(fields.shape)
        result[..., 1:-1, 1:-1] = (around - 4.0 * own) / (self.reynolds * self.h**2)
        return result.reshape(*result.shape[:-3], -1)

    def _fields(self, w):
        w = np.asarray(w, dtype=float)
        if w.shape[-1:] != (2 * self.n**2,):
            raise ParameterError(f"states have shape {w.shape}; pass {2 * self.n**2} values along the last axis")
        return w.reshape(*w.shape[:-1], 2, self.n, self.n)

    def _carry(self, w, z):
        """Backward differences of z along the velocities w, nothing on the boundary."""
        own = z[..., 1:-1, 1:-1]
        along, across = own - z[..., 1:-1, :-2], own - z[..., :-2, 1:-1]
        u, v = w[..., :1, 1:-1, 1:-1], w[..., 1:, 1:-1, 1:-1]
        result = np.zeros(np.broadcast_shapes(w.shape, z.shape))
        result[..., 1:-1, 1:-1] = (u * along + v * across) / self.h
        return result

    @checked(size="[1, inf)")
    def blocks(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Squares of ``size`` × ``size`` nodes, (g, 2 size²) values each, and the squares (g, 9) next to each.

        As :func:`femnn.reduced.fit_autoencoder.fit_autoencoder` takes them: g stands for no square.
        """
        if self.n % size:
            raise ParameterError(f"size={size} does not divide the {self.n} nodes along a side")
        k = self.n // size
        nodes = np.arange(self.n**2).reshape(k, size, k, size).transpose(0, 2, 1, 3).reshape(k * k, size**2)
        numbers = np.full((k + 2, k + 2), k * k)
        numbers[1:-1, 1:-1] = np.arange(k * k).reshape(k, k)
        around = [numbers[1 + j : 1 + j + k, 1 + i : 1 + i + k].ravel() for j in (-1, 0, 1) for i in (-1, 0, 1)]
        return np.concatenate([nodes, nodes + self.n**2], axis=1), np.stack(around, axis=1)


class SampledViscous:
    """Least-squares Petrov-Galerkin on the manifold of a decoder: Σ weight · residual² of chosen nodes is the least.

    Parameters
    ----------
    burgers
        The full model.
    decoder
        Which states there are.
    cells : (m,) int, weights : (m,)
        Chosen nodes inside, and their positive weights; all, with weight 1, if None.
    lag
        Time steps that the same test functions serve.

    See Also
    --------
    viscous_decoder : the training of a decoder.

    Examples
    --------
    >>> from femnn.networks import TrainingOptions
    >>> from femnn.validation import SampledViscous, ViscousBurgers, viscous_decoder
    >>> burgers = ViscousBurgers(8, steps=10, duration=0.2)
    >>> options = TrainingOptions(learning_rate=1e-2, batch_size=16, epochs=5, threads=1)
    >>> decoder = viscous_decoder(burgers, 2, stride=1, size=4, modes=6, options=options, progress=False)
    >>> SampledViscous(burgers, decoder).march(1.0).shape
    (11, 2)
    """

    @checked(cells="int m", weights="m", lag="[1, inf)")
    def __init__(
        self,
        burgers: ViscousBurgers,
        decoder: SparseDecoder,
        cells: ArrayLike | None = None,
        weights: ArrayLike | None = None,
        *,
        lag: int = 1,
    ) -> None:
        if len(decoder.offset) != 2 * burgers.n**2:
            raise ParameterError(f"{decoder!r} does not fit {burgers!r}: the model has {2 * burgers.n**2} values")
        self.burgers, self.decoder, self.lag = burgers, decoder, lag
        self.cells = burgers.inside if cells is None else np.asarray(cells, dtype=np.int64)
        self.weights = np.ones(len(self.cells)) if weights is None else np.asarray(weights, dtype=float)
        if not np.isin(self.cells, burgers.inside).all() or len(self.weights) != len(self.cells):
            raise ParameterError("cells must be nodes inside, with a weight each; pass what cubature has chosen")
        n, own = burgers.n, self.cells
        around = np.stack([own, own - 1, own - n, own + 1, own + n])
        nodes = np.unique(around)
        self._neighbours = np.searchsorted(nodes, around)
        self._part = decoder.part(np.concatenate([nodes, nodes + n**2]))

    @property
    def units(self) -> int:
        """Hidden units that the chosen nodes and their neighbours read."""
        return len(np.unique(self._part.units))

    def __repr__(self) -> str:
        return f"SampledViscous({self.decoder.n} unknowns, {len(self.cells)} nodes, {self.units} units)"

    @classmethod
    @checked(states="k n", previous="k n", n_cells="[1, inf)", tol="[0, 1)", lag="[1, inf)", seed="[0, inf)")
    def fit(
        cls,
        burgers: ViscousBurgers,
        decoder: SparseDecoder,
        states: np.ndarray,
        previous: np.ndarray,
        *,
        n_cells: int,
        tol: float = 1e-4,
        lag: int = 1,
        seed: int = 0,
        progress: bool = True,
    ) -> "SampledViscous":
        """Choose nodes and weights that integrate the tested residuals of time steps of the training.

        Parameters
        ----------
        states, previous : (k, 2 n²)
            Ends and beginnings of k time steps.
        n_cells, tol, lag, seed, progress
            As of :meth:`femnn.validation.SampledBurgers.fit`.
        """
        model, generator = cls(burgers, decoder), np.random.default_rng(seed)
        rows = np.zeros((_COMBINATIONS * n_cells + 1, len(model.cells)))
        pairs = list(zip(states, previous, strict=True))
        for new, old in tqdm(pairs, unit="step", disable=None if progress else True):
            integrands = model._integrands(decoder.project(new), decoder.project(old))
            rows[:-1] += generator.standard_normal((len(rows) - 1, len(integrands))) @ integrands
        # the volume comes in at the size of the others
        rows[-1] = np.sqrt((rows**2).sum() / rows.size)
        chosen = sparse_weights(rows, rows.sum(axis=1), tol=tol, most=n_cells, progress=progress)
        return cls(burgers, decoder, model.cells[chosen.chosen], chosen.weights, lag=lag)

    def _integrands(self, z, z_old):
        """What each node inside adds to the tested residual at the end and beginning of a step, and to its matrix."""
        burgers, nodes = self.burgers, self.burgers.n**2
        around = np.stack([self.cells + shift for shift in (0, -1, -burgers.n, 1, burgers.n)])
        m, places = len(self.cells), np.concatenate([self.cells, nodes + self.cells])
        a, spread = burgers.dt / burgers.h, burgers.dt / (burgers.reynolds * burgers.h**2)
        end, start = self.decoder.lift(z), self.decoder.lift(z_old)
        tests, flux = np.empty((2 * m, len(z))), np.empty(2 * m)
        residual_slopes(around, end, a, spread, self.decoder.tangent(z), np.ones(m), tests)
        parts = []
        for state in (end, start):
            fluxes(around, state, a, spread, flux)
            products = tests * (state[places] - start[places] + flux)[:, None]
            parts.append(products[:m].T + products[m:].T)
        # the matrix of the least squares, times a change of each coordinate as in the step
        size = np.linalg.norm(z - z_old)
        for slope in size * tests.T:
            products = tests * slope[:, None]
            parts.append(products[:m].T + products[m:].T)
        return np.concatenate(parts)

    @checked(amplitude="(0, inf)")
    def march(self, amplitude: float) -> np.ndarray:
        """Coordinates (steps + 1, n) of all time steps.

        Raises
        ------
        ConvergenceError
            If a time step does not converge.
        """
        burgers, decoder, part = self.burgers, self.decoder, self._part
        q = np.zeros((burgers.steps + 1, decoder.n))
        q[0] = decoder.encode(burgers.initial(amplitude))
        # the decoder gives all there is: nothing is lifted besides
        lifted, widths, layers = np.zeros((len(part.offset), 0), np.float32), np.array([decoder.n]), np.zeros(1)
        failed, _ = march_sampled(
            self._neighbours, part.offset, lifted, widths, layers, part, np.sqrt(self.weights),
            np.zeros(2 * len(self.cells)), burgers.dt, burgers.h, 1.0, 1.0 / burgers.reynolds, self.lag,
            q, _MOST, _ENOUGH * decoder.size,
        )  # fmt: skip
        if failed:
            raise ConvergenceError(
                f"time step {failed} did not converge in {_MOST} iterations; take more nodes, or a decoder that was "
                "trained for longer",
                q[failed - 1],
                np.array([np.nan]),
                (failed - 1) * burgers.dt,
            )
        return q


@checked(latent="[1, inf)", stride="[1, inf)", size="[1, inf)")
def viscous_decoder(
    burgers: ViscousBurgers,
    latent: int = 5,
    *,
    stride: int = 5,
    size: int = 6,
    checkpoint: str | os.PathLike | None = None,
    **options: Any,
) -> SparseDecoder:
    """An autoencoder of every ``stride``-th state of the training, with squares of ``size`` nodes for blocks.

    ``options`` are those of :func:`femnn.reduced.fit_autoencoder.fit_autoencoder`.

    Examples
    --------
    A decoder of two coordinates after five epochs, which are far too few:

    >>> from femnn.networks import TrainingOptions
    >>> from femnn.validation import ViscousBurgers, viscous_decoder
    >>> burgers = ViscousBurgers(8, steps=10, duration=0.2)
    >>> options = TrainingOptions(learning_rate=1e-2, batch_size=16, epochs=5, threads=1)
    >>> viscous_decoder(burgers, 2, stride=1, size=4, modes=6, options=options, progress=False).n
    2
    """
    from femnn.reduced.fit_autoencoder import fit_autoencoder  # loads torch

    states = np.concatenate([burgers.solve(amplitude)[::stride] for amplitude in VISCOUS_TRAINING])
    options = {"differences": _SMOOTH * burgers.differences(), **options}
    return fit_autoencoder(states, *burgers.blocks(size), latent, checkpoint=checkpoint, **options)[0]
