"""The wake of a cylinder in a channel at Re = 100, by Taylor-Hood elements on quadrilaterals.

The benchmark 2D-2 of M. Schäfer and S. Turek, Notes Numer. Fluid Mech. 52 (1996) 547-566: a channel of 2.2 × 0.41, a
cylinder of diameter 0.1 about (0.2, 0.2), a parabolic inflow of mean velocity 1, viscosity 1e-3. Their ranges: largest
drag 3.22 to 3.24, largest lift 0.99 to 1.01, Strouhal number 0.295 to 0.305.

Velocities are biquadratic, pressures bilinear, on curved cells of nine nodes in transfinite blocks. Time goes by
backward differences of second order with the convection extrapolated (U. M. Ascher, S. J. Ruuth, B. T. R. Wetton, SIAM
J. Numer. Anal. 32 (1995) 797-823): one matrix, factorised once.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import skfem
from scipy.sparse import block_array, csc_array, csr_array
from scipy.sparse.linalg import splu
from tqdm import tqdm

from femnn.assembly.bases import bases
from femnn.checks import checked
from femnn.exceptions import ConvergenceError, DatasetError
from femnn.io.atomic import atomic_write
from femnn.quadrature.gauss import GaussLegendre
from femnn.reduced.pod import POD

LENGTH, HEIGHT, CENTRE, RADIUS = 2.2, 0.41, 0.2, 0.05
VISCOSITY = 1e-3

#: Ranges that the benchmark gives.
WAKE_RANGES = {"strouhal": (0.295, 0.305), "drag": (3.22, 3.24), "lift": (0.99, 1.01)}

# Half a side of the square of cells about the cylinder.
_HALF = 0.1


@dataclass(frozen=True)
class WakeFigures:
    """Figures of a developed wake.

    Attributes
    ----------
    drag, lift : float
        Largest coefficients, over the last whole periods.
    strouhal : float
    period : float
        Of the lift, in seconds.

    Examples
    --------
    >>> from femnn.validation import WakeFigures
    >>> WakeFigures(drag=3.23, lift=0.995, strouhal=0.3, period=0.333).within()
    {'strouhal': True, 'drag': True, 'lift': True}
    """

    drag: float
    lift: float
    strouhal: float
    period: float

    def within(self) -> dict[str, bool]:
        """Whether each figure is in the range of the benchmark."""
        return {name: bool(low <= getattr(self, name) <= high) for name, (low, high) in WAKE_RANGES.items()}


class CylinderWake:
    """The discretised problem; ``level`` 1 is for tests, 2 keeps the ranges of the benchmark.

    Attributes
    ----------
    mesh : skfem.MeshQuad2
    n : int
        Velocities, those along x first.

    Examples
    --------
    >>> wake = CylinderWake(1)
    >>> wake
    CylinderWake(240 cells, 2,370 unknowns)
    """

    @checked(level="[1, 6]", dt="(0, inf)")
    def __init__(self, level: int = 2, dt: float = 1.0 / 1600.0) -> None:
        self.level, self.dt = level, dt
        self.mesh = channel(level)
        (velocity,), (pressure,) = bases(self.mesh, [skfem.ElementQuad2(), skfem.ElementQuad1()], GaussLegendre(3))
        self.velocity, self.pressure = velocity, pressure
        self.n, self._n_scalar = 2 * velocity.N, velocity.N

    def __repr__(self) -> str:
        return f"CylinderWake({self.mesh.nelements:,} cells, {self.n + self.pressure.N:,} unknowns)"

    @cached_property
    def mass(self) -> csr_array:
        """Mass matrix (n, n) of the velocities, the inner product of kinetic energy."""
        return csr_array(block_array([[self._mass, None], [None, self._mass]]))

    @checked(duration="(0, inf)", every="[1, inf)")
    def run(self, duration: float, every: int = 10) -> Iterator[tuple[float, np.ndarray, float, float]]:
        """Time, velocities (n,), drag and lift coefficient after ``every`` so many steps, from rest on.

        Raises
        ------
        ConvergenceError
            If the extrapolated convection becomes unstable.
        """
        solve, fixed, values = self._system
        u = np.zeros(self.n)
        u[fixed] = values
        older, convection = u, np.zeros(self.n)
        steps = round(duration / self.dt)
        for step in range(1, steps + 1):
            before, convection = convection, self._convection(u)
            # backward Euler would want a matrix of its own: the first step starts from two equal states
            extrapolated = 2.0 * convection - (before if step > 1 else convection)
            right = self.mass @ (2.0 * u - 0.5 * older) / self.dt - extrapolated
            older, (u, reaction) = u, solve(right)
            if not np.isfinite(u).all() or np.abs(u).max() > 1e3:
                raise ConvergenceError(
                    f"the wake became unstable at t = {step * self.dt:g}; take a smaller dt than {self.dt:g}",
                    older,
                    np.array([np.nan]),
                    step * self.dt,
                )
            if step % every == 0:
                yield step * self.dt, u, *reaction

    @cached_property
    def _system(self):
        """A function that solves a step for velocities and force, the prescribed velocities and their values."""
        n, vx = self._n_scalar, self.velocity
        block = self._mass * (1.5 / self.dt) + VISCOSITY * self._stiffness
        divergence = csr_array(
            block_array([[self._values_p.T @ self._weighted(g) for g in self._gradients]])
        )  # (pressures, n)
        momentum = csr_array(block_array([[block, None], [None, block]]))
        matrix = csr_array(block_array([[momentum, -divergence.T], [-divergence, None]]))
        inflow, body = (vx.get_dofs(name).all() for name in ("inflow", "cylinder"))
        still = np.unique(np.concatenate([vx.get_dofs("walls").all(), body, inflow]))
        fixed = np.concatenate([still, n + still])
        y = vx.doflocs[1]
        profile = np.zeros(n)
        profile[inflow] = 6.0 * y[inflow] * (HEIGHT - y[inflow]) / HEIGHT**2
        values = np.concatenate([profile[still], np.zeros(len(still))])
        free = np.setdiff1d(np.arange(matrix.shape[0]), fixed)
        factors = splu(csc_array(matrix[free][:, free]))
        lifted = matrix[free][:, fixed] @ values
        on_body = matrix[np.concatenate([body, n + body])]
        half = len(body)

        def solve(right):
            full = np.zeros(matrix.shape[0])
            full[fixed] = values
            padded = np.concatenate([right, np.zeros(self.pressure.N)])
            full[free] = factors.solve(padded[free] - lifted)
            # what the equations of the held velocities lack is the force on the fluid there
            force = on_body @ full - right[np.concatenate([body, n + body])]
            scale = 2.0 / (2.0 * RADIUS)
            return full[: 2 * n], (-scale * force[:half].sum(), -scale * force[half:].sum())

        return solve, fixed, values

    def _convection(self, u):
        """(u · ∇) u against the test functions, (n,)."""
        first, second = u[: self._n_scalar], u[self._n_scalar :]
        along_x, along_y = self._values @ first, self._values @ second
        dx, dy = self._gradients
        parts = [self._values_weighted @ (along_x * (dx @ part) + along_y * (dy @ part)) for part in (first, second)]
        return np.concatenate(parts)

    # --- matrices from unknowns to values at points

    @cached_property
    def _weights(self):
        return self.velocity.dx.ravel()

    @cached_property
    def _values(self):
        return _at_points(self.velocity, np.asarray)

    @cached_property
    def _values_weighted(self):
        return csr_array(self._weighted(self._values).T)

    @cached_property
    def _values_p(self):
        return _at_points(self.pressure, np.asarray)

    @cached_property
    def _gradients(self):
        return [_at_points(self.velocity, lambda field, axis=axis: field.grad[axis]) for axis in range(2)]

    @cached_property
    def _mass(self):
        return csr_array(self._values.T @ self._weighted(self._values))

    @cached_property
    def _stiffness(self):
        return csr_array(sum(gradient.T @ self._weighted(gradient) for gradient in self._gradients))

    def _weighted(self, matrix):
        weighted = matrix.copy()
        weighted.data = weighted.data * np.repeat(self._weights, np.diff(weighted.indptr))
        return weighted


def _at_points(basis, part: Callable) -> csr_array:
    """The matrix (points, unknowns) of a part of the basis functions, such as their values."""
    functions = [np.broadcast_to(part(function[0]), basis.dx.shape) for function in basis.basis]
    data = np.stack(functions, axis=2).ravel()
    columns = np.repeat(basis.element_dofs.T[:, None], basis.dx.shape[1], axis=1).ravel()
    starts = np.arange(basis.dx.size + 1) * len(functions)
    return csr_array((data, columns, starts), shape=(basis.dx.size, basis.N))


@checked(times="m", drag="m", lift="m")
def wake_figures(times: np.ndarray, drag: np.ndarray, lift: np.ndarray) -> WakeFigures:
    """Figures of the last four whole periods of the lift.

    Raises
    ------
    DatasetError
        If there are fewer: the wake has not developed.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.validation import wake_figures
    >>> t = np.arange(0.0, 3.0, 0.007)
    >>> drag, lift = 3.2 + 0.03 * np.cos(4 * np.pi * t / 0.33), np.sin(2 * np.pi * t / 0.33)
    >>> figures = wake_figures(t, drag, lift)
    >>> round(figures.strouhal, 4), round(figures.drag, 2)
    (0.303, 3.23)
    """
    rising = np.flatnonzero((lift[:-1] <= 0.0) & (lift[1:] > 0.0))
    if len(rising) < 5:
        raise DatasetError(f"the lift has {len(rising)} periods, five are needed; run for longer")
    a, b = lift[rising], lift[rising + 1]
    crossings = times[rising] - a / (b - a) * (times[rising + 1] - times[rising])
    period = float((crossings[-1] - crossings[-5]) / 4.0)
    last = slice(rising[-5], rising[-1] + 1)
    return WakeFigures(_peak(drag[last]), _peak(lift[last]), 2.0 * RADIUS / period, period)


def _peak(values):
    """Largest value of a sampled curve, by a parabola through the three values about it."""
    k = int(np.clip(np.argmax(values), 1, len(values) - 2))
    a, b, c = values[k - 1 : k + 2]
    bend = a - 2.0 * b + c
    return float(b - (a - c) ** 2 / (8.0 * bend)) if bend < 0.0 else float(b)


@checked(level="[1, 6]")
def channel(level: int = 2) -> skfem.MeshQuad2:
    """The channel with boundaries ``inflow``, ``walls``, ``cylinder`` and ``outflow``; curved cells at the cylinder.

    Four blocks between the cylinder and a square about it, and eight rectangles around that.

    >>> channel(1).nelements
    240
    """
    side, ring = 4 * level, 3 * level
    inner = (CENTRE - _HALF, CENTRE + _HALF)
    square = np.linspace(inner[0], inner[1], side + 1)
    left = np.linspace(0.0, inner[0], 2 * level + 1)
    # cells grow along the wake
    right = inner[1] + (LENGTH - inner[1]) * _graded(20 * level, 4.0)
    lower = np.linspace(0.0, inner[0], 2 * level + 1)
    upper = np.linspace(inner[1], HEIGHT, 2 * level + 1)
    xs, ys = [left, square, right], [lower, square, upper]
    parts = [skfem.MeshQuad.init_tensor(x, y) for i, x in enumerate(xs) for j, y in enumerate(ys) if (i, j) != (1, 1)]
    parts += [_sector(square - CENTRE, ring, turn) for turn in range(4)]
    linear = _joined(parts)
    mesh = skfem.MeshQuad2.from_mesh(linear)
    nodes = mesh.doflocs.copy()
    x, y = nodes - CENTRE
    distance = np.hypot(x, y)
    facets = linear.boundary_facets()
    ends = linear.p[:, linear.facets[:, facets]]
    on_circle = facets[(np.abs(np.hypot(*(ends - CENTRE)) - RADIUS) < 1e-6).all(axis=0)]
    middles = skfem.Basis(linear, skfem.ElementQuad2()).facet_dofs[0, on_circle]
    nodes[:, middles] = CENTRE + (nodes[:, middles] - CENTRE) * (RADIUS / distance[middles])
    curved = skfem.MeshQuad2(np.ascontiguousarray(nodes), np.ascontiguousarray(mesh.t))
    return curved.with_boundaries(
        {
            "inflow": lambda p: p[0] < 1e-9,
            "outflow": lambda p: p[0] > LENGTH - 1e-9,
            "walls": lambda p: (p[1] < 1e-9) | (p[1] > HEIGHT - 1e-9),
            "cylinder": lambda p: np.hypot(p[0] - CENTRE, p[1] - CENTRE) < 1.01 * RADIUS,
        }
    )


def _joined(parts):
    """One mesh of meshes that share vertices."""
    points = np.concatenate([part.p for part in parts], axis=1).round(8)
    shifts = np.cumsum([0, *(part.p.shape[1] for part in parts[:-1])])
    vertices, places = np.unique(points, axis=1, return_inverse=True)
    cells = np.concatenate([part.t + shift for part, shift in zip(parts, shifts, strict=True)], axis=1)
    # scikit-fem warns of arrays that are not contiguous
    return skfem.MeshQuad(np.ascontiguousarray(vertices), np.ascontiguousarray(places.ravel()[cells]))


def _sector(square, ring, turn):
    """Cells between the cylinder and one side of the square about it."""
    share = _graded(ring, 3.0)
    outer = np.stack([np.full(len(square), _HALF), square])
    inner = outer * RADIUS / np.hypot(*outer)
    mesh = skfem.MeshQuad.init_tensor(share, np.arange(len(square), dtype=float))
    s, k = mesh.p[0], mesh.p[1].astype(int)
    points = (1.0 - s) * inner[:, k] + s * outer[:, k]
    angle = 0.5 * np.pi * turn
    turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ points
    return skfem.MeshQuad(CENTRE + turned, mesh.t)


def _graded(count, ratio):
    """``count`` steps from 0 to 1 of which the last is ``ratio`` times the first."""
    steps = np.geomspace(1.0, ratio, count)
    return np.concatenate([[0.0], np.cumsum(steps) / steps.sum()])


@checked(level="[1, 6]", dt="(0, inf)", develop="(0, inf)", periods="[5, inf)", every="[1, inf)", modes="[1, inf)")
def simulate_wake(
    path: str | os.PathLike,
    *,
    level: int = 2,
    dt: float = 1.0 / 1600.0,
    develop: float = 5.0,
    periods: int = 30,
    every: int = 10,
    modes: int = 8,
    progress: bool = True,
) -> WakeFigures:
    """Simulate the wake, and write the coefficients of its modes as an ``.npz`` file.

    The file has ``times`` (m,), ``coefficients`` (m, modes), ``drag`` and ``lift`` (m,), ``singular_values``, the
    ``modes`` (n, modes) and their ``offset`` (n,) in single precision, and the ``settings`` (level, dt).

    Parameters
    ----------
    path
        Where to.
    level, dt
        Of :class:`CylinderWake`.
    develop
        Seconds from rest that are thrown away.
    periods
        Of the shedding that are kept, about: those of 0.335 s.
    every
        Steps from one snapshot to the next.
    modes
        Of the developed wake about its mean, orthonormal in kinetic energy.
    progress
        Show a bar, if stderr is a terminal.

    Examples
    --------
    On the coarsest mesh, with long steps, in half a minute:

    >>> from femnn.validation import simulate_wake
    >>> figures = simulate_wake("wake.npz", level=1, dt=1 / 800, develop=2.0, periods=6, modes=4, progress=False)
    >>> bool(0.2 < figures.strouhal < 0.4)
    True
    """
    wake = CylinderWake(level, dt)
    total = round((develop + 0.335 * periods) / dt)
    kept, rows = [], []
    bar = tqdm(wake.run(total * dt, every), total=total // every, unit="snapshot", disable=None if progress else True)
    for t, u, drag, lift in bar:
        if t > develop:
            kept.append(u.astype(np.float32))
            rows.append((t, drag, lift))
    times, drags, lifts = np.array(rows).T.copy()
    columns = np.stack(kept, axis=1).astype(float)
    pod = POD.fit(columns, wake.mass, modes=modes, offset=columns.mean(axis=1), method="randomised")
    arrays = {
        "times": times,
        "coefficients": pod.project(columns).T,
        "drag": drags,
        "lift": lifts,
        "singular_values": pod.singular_values,
        "modes": pod.modes.astype(np.float32),
        "offset": pod.offset.astype(np.float32),
        "settings": np.array([level, dt]),
    }
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)
    return wake_figures(times, drags, lifts)
