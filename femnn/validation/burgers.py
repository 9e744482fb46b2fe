"""Two-dimensional inviscid Burgers' equation with a travelling shock: the full model that reduced ones are measured by.

On the square [0, 100]² for two velocities u and v,

    u_t + (u²/2)_x + (uv/2)_y = 0.02 exp(μ₂ x),    v_t + (v²/2)_y + (uv/2)_x = 0,

from u = v = 1, with the flux μ₁²/2 of u through x = 0 and none through y = 0: the problem of J. Barnett, C. Farhat and
Y. Maday, J. Comput. Phys. 492 (2023) 112420. First-order backward differences on n × n cells, trapezoidal rule.
"""

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from scipy.sparse.linalg import splu

from femnn.checks import checked, one_of, vector
from femnn.exceptions import ConvergenceError, ParameterError
from femnn.validation.burgers_kernels import sweep

#: Parameters (μ₁, μ₂) of the training, a grid of 3 × 3, and those of the tests.
BURGERS_TRAINING = tuple((inflow, growth) for inflow in (4.25, 4.875, 5.5) for growth in (0.015, 0.0225, 0.03))
BURGERS_TESTS = ((4.56, 0.019), (4.875, 0.0225), (5.19, 0.026))

_LENGTH, _STRENGTH = 100.0, 0.02

# Tangent of the fluxes: equation, unknown, and the cell of the equation (0 that of the unknown, 1 the next along x, 2
# along y); coefficients of u and v of the unknown's cell.
_ENTRIES = (
    (0, 0, 0, 1.0, 0.5), (1, 1, 0, 0.5, 1.0), (0, 1, 0, 0.5, 0.0), (1, 0, 0, 0.0, 0.5),
    (0, 0, 1, -1.0, 0.0), (1, 0, 1, 0.0, -0.5), (1, 1, 1, -0.5, 0.0),
    (0, 0, 2, 0.0, -0.5), (0, 1, 2, -0.5, 0.0), (1, 1, 2, 0.0, -1.0),
)  # fmt: skip

# Newton steps of a cell or of a time step, and the relative change after which they end: the next would be its square.
_MOST, _ENOUGH = 25, 1e-6


class Burgers:
    """The full model on ``n`` × ``n`` cells.

    A state is a vector (2 n²): u of all cells, those along x next to each other, then v.

    Parameters
    ----------
    n
        Cells along each side.
    steps, dt
        Time steps and their length.

    Examples
    --------
    >>> burgers = Burgers(20, steps=10)
    >>> states = burgers.solve((4.5, 0.02))
    >>> states.shape
    (11, 800)
    """

    @checked(n="[2, inf)", steps="[1, inf)", dt="(0, inf)")
    def __init__(self, n: int = 100, *, steps: int = 500, dt: float = 0.05) -> None:
        self.n, self.steps, self.dt = n, steps, dt
        self.h = _LENGTH / n

    def __repr__(self) -> str:
        return f"Burgers({self.n}, steps={self.steps}, dt={self.dt:g})"

    @property
    def n_dofs(self) -> int:
        """Length of a state."""
        return 2 * self.n**2

    @property
    def centres(self) -> np.ndarray:
        """Coordinates (n,) of the centres of cells along a side."""
        return (np.arange(self.n) + 0.5) * self.h

    def initial(self) -> np.ndarray:
        """The state (2 n²) at time 0."""
        return np.ones(self.n_dofs)

    @checked()
    def source(self, parameters: ArrayLike) -> np.ndarray:
        """Production and inflow (2 n²) of a cell, per unit of time."""
        inflow, growth = _parameters(parameters)
        source = np.zeros((2, self.n, self.n))
        source[0] = _STRENGTH * np.exp(growth * self.centres)
        source[0, :, 0] += 0.5 * inflow**2 / self.h
        return source.ravel()

    @checked(modes="n r")
    def project_source(self, modes: np.ndarray) -> Callable[[ArrayLike], np.ndarray]:
        """A function of the parameters that gives the products (r,) of ``modes`` (2 n², r) with the source.

        It touches no vector of the full model: production depends on x alone.
        """
        if len(modes) != self.n_dofs:
            raise ParameterError(f"modes have shape {modes.shape}; pass {self.n_dofs} rows, the unknowns of the model")
        of_u = modes[: self.n**2].reshape(self.n, self.n, -1)
        along_x, inlet = of_u.sum(axis=0), of_u[:, 0].sum(axis=0)

        def projected(parameters: ArrayLike) -> np.ndarray:
            inflow, growth = _parameters(parameters)
            return _STRENGTH * np.exp(growth * self.centres) @ along_x + 0.5 * inflow**2 / self.h * inlet

        return projected

    @checked(first="any", second="any")
    def bilinear(self, first: ArrayLike, second: ArrayLike) -> np.ndarray:
        """The symmetric bilinear form B(w, z), so that w_t = source - B(w, w); states along the last axis."""
        u, v = self._fields(first)
        p, q = self._fields(second)
        mixed = 0.25 * (u * q + v * p)
        parts = (
            self._difference(0.5 * u * p, -1) + self._difference(mixed, -2),
            self._difference(0.5 * v * q, -2) + self._difference(mixed, -1),
        )
        result = np.stack(parts, axis=-3)
        return result.reshape(*result.shape[:-3], self.n_dofs)

    @checked(w="any", previous="any")
    def residual(self, w: ArrayLike, previous: ArrayLike, parameters: ArrayLike) -> np.ndarray:
        """Residual (2 n²) of a time step from ``previous`` to ``w``."""
        w, previous = np.asarray(w, dtype=float), np.asarray(previous, dtype=float)
        flux = self.bilinear(w, w) + self.bilinear(previous, previous)
        return w - previous + 0.5 * self.dt * flux - self.dt * self.source(parameters)

    @checked(w="any")
    def tangent(self, w: ArrayLike) -> csr_array:
        """Derivative of the residual with respect to ``w``, sparse."""
        u, v = (field.ravel() for field in self._fields(vector(w, self.n_dofs, "w")))
        kept, place, columns, first = self._pattern
        # every entry is linear in the velocities of the cell of its column
        slopes = np.array([entry[3:5] for entry in _ENTRIES])
        values = 0.5 * self.dt / self.h * (slopes @ np.stack([u, v]))
        values[:2] += 1.0
        return csr_array((values.ravel()[kept][place], columns, first), shape=(self.n_dofs, self.n_dofs))

    @cached_property
    def _pattern(self):
        """Which values of :data:`_ENTRIES` lie inside, their order by rows; columns and row starts of the matrix."""
        cells = np.arange(self.n**2)
        is_last = {0: np.zeros(len(cells), dtype=bool), 1: cells % self.n == self.n - 1, 2: cells >= self.n**2 - self.n}
        shift = {0: 0, 1: 1, 2: self.n}
        rows = np.concatenate([row * self.n**2 + cells + shift[to] for row, _, to, *_ in _ENTRIES])
        columns = np.concatenate([column * self.n**2 + cells for _, column, *_ in _ENTRIES])
        kept = np.flatnonzero(~np.concatenate([is_last[to] for _, _, to, *_ in _ENTRIES]))
        rows, columns = rows[kept], columns[kept]
        place = np.lexsort((columns, rows))
        first = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=self.n_dofs))])
        return kept, place, columns[place].astype(np.int32), first.astype(np.int32)

    @checked()
    def solve(self, parameters: ArrayLike, method: str = "sweep", steps: int | None = None) -> np.ndarray:
        """All states (steps + 1, 2 n²) of a run.

        Parameters
        ----------
        parameters
            μ₁ > 0, the velocity of the inflow, and μ₂, the rate at which production grows along x.
        method
            ``"sweep"`` solves cell after cell along the flow, two unknowns at a time: backward differences couple a
            cell only with those before it, so this is exact and takes no matrix. ``"newton"`` factorises a sparse
            tangent at every iteration, as an implicit program does that knows nothing of the direction of the flow.
        steps
            Fewer or more than those of the model.

        Raises
        ------
        ConvergenceError
            If a step does not converge, as when the flow reverses.
        """
        one_of("method", method, ("sweep", "newton"))
        inflow, growth = _parameters(parameters)
        steps = self.steps if steps is None else steps
        if steps < 1:
            raise ParameterError(f"steps={steps} is not allowed; pass an integer of at least 1")
        states = np.empty((steps + 1, self.n_dofs))
        states[0] = self.initial()
        if method == "newton":
            self._newton((inflow, growth), states)
            return states
        production = _STRENGTH * np.exp(growth * self.centres)
        failed = sweep(states, self.n, self.h, self.dt, inflow, production, _MOST, _ENOUGH)
        if failed:
            self._give_up(states, failed, np.array([np.nan]))
        return states

    def _newton(self, parameters, states):
        # unknowns of a cell side by side, in the order of the flow: factors have no more entries than the matrix
        order = np.arange(self.n_dofs).reshape(2, -1).T.ravel()
        for step in range(1, len(states)):
            w, sizes = states[step - 1].copy(), [np.inf]
            while sizes[-1] > _ENOUGH and len(sizes) <= _MOST:
                factors = splu(self.tangent(w)[order][:, order].tocsc(), "NATURAL", diag_pivot_thresh=0.0)
                change = factors.solve(self.residual(w, states[step - 1], parameters)[order])
                w[order] -= change
                sizes.append(float(np.linalg.norm(change) / np.linalg.norm(w)))
            if not sizes[-1] <= _ENOUGH:
                self._give_up(states, step, np.array(sizes[1:]))
            states[step] = w

    def _give_up(self, states, step, sizes):
        raise ConvergenceError(
            f"time step {step} did not converge in {_MOST} iterations; take a smaller dt than {self.dt:g}, or "
            "parameters nearer to those of the training",
            states[step - 1],
            sizes,
            (step - 1) * self.dt,
        )

    def _fields(self, w):
        w = np.asarray(w, dtype=float)
        if w.shape[-1:] != (self.n_dofs,):
            raise ParameterError(f"states have shape {w.shape}; pass {self.n_dofs} values along the last axis")
        fields = w.reshape(*w.shape[:-1], 2, self.n, self.n)
        return fields[..., 0, :, :], fields[..., 1, :, :]

    def _difference(self, field, axis):
        """Backward difference along an axis, with zero before the first cell."""
        return np.diff(field, axis=axis, prepend=0.0) / self.h


def _parameters(parameters):
    inflow, growth = vector(parameters, 2, "parameters")
    if not inflow > 0.0:
        raise ParameterError(f"the inflow μ₁={inflow:g} is not allowed; it must be > 0, as the flow goes along x")
    return float(inflow), float(growth)
