"""Forced turbulence in a periodic box, isotropic or magnetohydrodynamic, by a pseudo-spectral solver.

    u_t = u × ω + j × b - ∇p + ν Δu + f,    b_t = ∇ × (u × b) + ν Δb,    ω = ∇ × u,  j = ∇ × b,

both without divergence, in a box of 2π, with a magnetic Prandtl number of 1. Products are made on the grid, without the
upper third of wave numbers (S. A. Orszag, J. Atmos. Sci. 28 (1971) 1074); diffusion is integrated exactly, the rest by
the classical Runge-Kutta method. The force gives the waves below ``FORCED`` a constant power (L. Machiels, Phys. Rev.
Lett. 79 (1997) 3411), so that the flow becomes statistically stationary.
"""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy import fft
from tqdm import tqdm

from femnn.checks import checked, one_of
from femnn.exceptions import ConvergenceError, DatasetError, ParameterError
from femnn.io.atomic import atomic_write
from femnn.io.guarded import GuardedFile

KINDS = ("isotropic", "mhd")

#: Wave numbers below this are forced.
FORCED = 2.5

# Planes that are recorded, the last of which tests, and snapshots in one file.
_PLANES, _BLOCK = 6, 50

# Courant number of a step, by the fastest speed on the grid.
_COURANT = 0.5


@dataclass(frozen=True)
class Statistics:
    """State of a flow at one time.

    Attributes
    ----------
    time, energy, magnetic_energy, dissipation : float
        Of the velocity, of the field, and of both together.
    taylor_reynolds : float
        u' λ / ν with u' = √(2 E / 3) and λ = √(15 ν u'² / ε).
    turnover : float
        L / u' with the integral scale L = π / (2 u'²) Σ E(k) / k.

    Examples
    --------
    >>> from femnn.validation import PeriodicFlow
    >>> statistics = PeriodicFlow(16, 0.05, power=0.1).statistics()
    >>> statistics.time, bool(statistics.taylor_reynolds > 0.0)
    (0.0, True)
    """

    time: float
    energy: float
    magnetic_energy: float
    dissipation: float
    taylor_reynolds: float
    turnover: float


class PeriodicFlow:
    """A flow on ``n``³ points; ``magnetic`` ones have a field as well.

    Attributes
    ----------
    state : (3 or 6, n, n, n // 2 + 1) complex
        Fourier coefficients of velocity and field.
    time : float
    power : float
        That the force gives, 0 for a flow that decays.

    Examples
    --------
    >>> flow = PeriodicFlow(16, 0.05, power=0.1)
    >>> flow.advance(0.1)
    >>> 0.0 < flow.statistics().energy < 2.0
    True
    """

    @checked(n="[8, inf)", viscosity="(0, inf)", power="[0, inf)", seed="[0, inf)")
    def __init__(self, n: int, viscosity: float, *, magnetic: bool = False, power: float = 0.0, seed: int = 0) -> None:
        if n % 2:
            raise ParameterError(f"n={n} is odd; pass an even number of points")
        self.n, self.viscosity, self.magnetic, self.power = n, viscosity, magnetic, power
        self.time = 0.0
        generator = np.random.default_rng(seed)
        self.state = np.concatenate([self._random(generator) for _ in range(1 + magnetic)])

    def _random(self, generator):
        """A field of energy 1/2 with few waves."""
        field = self._solenoidal(fft.rfftn(generator.standard_normal((3, *(self.n,) * 3)), axes=(1, 2, 3)))
        field *= np.exp(-0.5 * self._k2) * self._kept
        return field * np.sqrt(0.5 / self.energy_of(field))

    @cached_property
    def _k(self):
        k = fft.fftfreq(self.n, 1.0 / self.n)
        return np.meshgrid(k, k, np.arange(self.n // 2 + 1.0), indexing="ij")

    @cached_property
    def _k2(self):
        return sum(k**2 for k in self._k)

    @cached_property
    def _kept(self):
        return np.all([np.abs(k) < self.n / 3.0 for k in self._k], axis=0)

    @cached_property
    def _weight(self):
        """How often a coefficient counts: those of real fields stand for their conjugates, too."""
        weight = np.full(self.n // 2 + 1, 2.0)
        weight[0] = weight[-1] = 1.0
        return weight / float(self.n) ** 6

    @cached_property
    def _low(self):
        return (self._k2 > 0.0) & (self._k2 < FORCED**2)

    @checked(fields="unchecked")
    def set_fields(self, fields: np.ndarray) -> None:
        """Take velocity, and field, from their values on the grid, (3 or 6, n, n, n)."""
        self.state = fft.rfftn(np.asarray(fields, dtype=float), axes=(1, 2, 3)) * self._kept

    def fields(self) -> np.ndarray:
        """Velocity, and field, on the grid, (3 or 6, n, n, n)."""
        return _to_grid(self.state, self.n)

    def energy_of(self, field: np.ndarray) -> float:
        """Mean of |v|²/2 over the box of a field by its coefficients (3, ...)."""
        return float(0.5 * (np.abs(field) ** 2 * self._weight).sum())

    def change(self, state: np.ndarray) -> np.ndarray:
        """Rate of the state without diffusion and force: products, made free of divergence."""
        grid = _to_grid(
            np.concatenate([state, *(self._curl(state[i : i + 3]) for i in range(0, len(state), 3))]), self.n
        )
        if not self.magnetic:
            velocity, vorticity = grid[:3], grid[3:]
            return self._solenoidal(self._from_grid(_cross(velocity, vorticity)))
        velocity, field, vorticity, current = grid[:3], grid[3:6], grid[6:9], grid[9:]
        force = self._solenoidal(self._from_grid(_cross(velocity, vorticity) + _cross(current, field)))
        return np.concatenate([force, self._curl(self._from_grid(_cross(velocity, field)))])

    def _rate(self, state):
        rate = self.change(state)
        if self.power > 0.0:
            low = state[:3] * self._low
            rate[:3] += self.power / max(2.0 * self.energy_of(low), 1e-12) * low
        return rate

    @checked(duration="(0, inf)", dt="(0, inf)")
    def advance(self, duration: float, dt: float | None = None) -> None:
        """Go on for some time, in steps of ``dt`` or as long as the speeds allow.

        Raises
        ------
        ConvergenceError
            If the flow blows up.
        """
        end = self.time + duration
        while self.time < end * (1.0 - 1e-12):
            step = min(self._stable() if dt is None else dt, end - self.time)
            self._step(step)
            self.time += step

    def _stable(self):
        speed = np.abs(self.fields()).sum(axis=0).max()
        if not np.isfinite(speed) or speed > 1e6:
            raise ConvergenceError(
                f"the flow blew up at t = {self.time:g}; take more points than {self.n} or more viscosity",
                np.empty(0),
                np.array([np.nan]),
                self.time,
            )
        return _COURANT * 2.0 * np.pi / self.n / max(speed, 1e-3)

    def _step(self, dt):
        half = np.exp(-0.5 * self.viscosity * dt * self._k2)
        state = self.state
        first = self._rate(state)
        second = self._rate(half * (state + 0.5 * dt * first))
        third = self._rate(half * state + 0.5 * dt * second)
        fourth = self._rate(half * (half * state + dt * third))
        self.state = half * (half * (state + dt / 6.0 * first) + dt / 3.0 * (second + third)) + dt / 6.0 * fourth

    def spectrum(self) -> np.ndarray:
        """Energy of the velocity by wave number, (n // 2 + 1,): shells of width 1 about 0, 1, 2, ..."""
        energy = 0.5 * (np.abs(self.state[:3]) ** 2).sum(axis=0) * self._weight
        shells = np.rint(np.sqrt(self._k2)).astype(int)
        return np.bincount(shells.ravel(), energy.ravel())[: self.n // 2 + 1]

    def statistics(self) -> Statistics:
        """Energies, dissipation, Reynolds number and turnover time."""
        energy = self.energy_of(self.state[:3])
        magnetic = self.energy_of(self.state[3:])
        lost = float((self.viscosity * self._k2 * np.abs(self.state) ** 2 * self._weight).sum())
        own = float((self.viscosity * self._k2 * np.abs(self.state[:3]) ** 2 * self._weight).sum())
        speed = max(np.sqrt(2.0 * energy / 3.0), 1e-300)
        length = np.sqrt(15.0 * self.viscosity * speed**2 / max(own, 1e-300))
        spectrum = self.spectrum()
        scale = np.pi / (2.0 * speed**2) * float((spectrum[1:] / np.arange(1, len(spectrum))).sum())
        return Statistics(
            self.time, energy, magnetic, lost, float(speed * length / self.viscosity), float(scale / speed)
        )

    def _curl(self, field):
        k, (x, y, z) = self._k, field
        return 1j * np.stack([k[1] * z - k[2] * y, k[2] * x - k[0] * z, k[0] * y - k[1] * x])

    def _solenoidal(self, field):
        """Without its divergence and its mean."""
        k2 = np.where(self._k2 > 0.0, self._k2, 1.0)
        part = sum(k * component for k, component in zip(self._k, field, strict=True)) / k2
        return np.where(self._k2 > 0.0, field - np.stack([k * part for k in self._k]), 0.0)

    def _from_grid(self, field):
        return fft.rfftn(field, axes=(1, 2, 3)) * self._kept


@checked(
    n="[8, inf)", viscosity="(0, inf)", power="(0, inf)", develop="[0, inf)", snapshots="[1, inf)", every="(0, inf)",
    seed="[0, inf)",
)  # fmt: skip
def simulate_turbulence(
    folder: str | os.PathLike,
    kind: str = "isotropic",
    *,
    n: int = 64,
    viscosity: float = 0.01,
    power: float = 0.1,
    develop: float = 20.0,
    snapshots: int = 1000,
    every: float = 0.05,
    seed: int = 0,
    progress: bool = True,
) -> list[Statistics]:
    """Simulate turbulence, and write velocities on six equidistant planes at many times; interrupted runs go on.

    Parameters
    ----------
    folder
        Gets ``state.npz``, from which the run goes on, and files ``planes-0000.npz`` of 50 snapshots each:
        ``planes`` (50, 6, 3, n, n) in single precision and ``statistics`` (50, 6).
    kind
        ``"isotropic"`` or ``"mhd"``.
    n, viscosity, power, seed
        Of :class:`PeriodicFlow`.
    develop
        Time before the first snapshot.
    snapshots, every
        How many, rounded up to whole files, and the time between them.
    progress
        Show a bar, if stderr is a terminal.

    Returns
    -------
    list of Statistics
        At the snapshots.

    Raises
    ------
    DatasetError
        If the folder holds a run with other settings.

    Examples
    --------
    >>> from femnn.validation import simulate_turbulence
    >>> settings = {"n": 8, "viscosity": 0.1, "develop": 0.1, "every": 0.02, "snapshots": 50}
    >>> statistics = simulate_turbulence("run", **settings, progress=False)
    >>> len(statistics), round(float(statistics[1].time - statistics[0].time), 6)
    (50, 0.02)
    """
    one_of("kind", kind, KINDS)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    settings = np.array([KINDS.index(kind), n, viscosity, power, develop, every, seed])
    flow = PeriodicFlow(n, viscosity, magnetic=kind == "mhd", power=power, seed=seed)
    file, done = folder / "state.npz", 0
    if file.exists():
        arrays = _file(file).arrays()
        with _file(file).checked():
            if not np.array_equal(arrays["settings"], settings):
                raise DatasetError(f"{folder} holds a run with the settings {arrays['settings']}, not {settings}")
            flow.state, flow.time, done = arrays["state"], float(arrays["time"]), int(arrays["blocks"])
    else:
        flow.advance(develop)
    blocks = -(-snapshots // _BLOCK)
    places = np.arange(_PLANES) * n // _PLANES
    bar = tqdm(total=blocks * _BLOCK, initial=done * _BLOCK, unit="snapshot", disable=None if progress else True)
    with bar:
        for block in range(done, blocks):
            planes = np.empty((_BLOCK, _PLANES, 3, n, n), dtype=np.float32)
            rows = []
            for k in range(_BLOCK):
                flow.advance(every)
                planes[k] = flow.fields()[:3, places].transpose(1, 0, 2, 3)
                rows.append(list(vars(flow.statistics()).values()))
                bar.update()
            _write(folder / f"planes-{block:04d}.npz", planes=planes, statistics=np.array(rows))
            # last, so that a file of planes without its state is made again
            _write(file, state=flow.state, time=flow.time, blocks=block + 1, settings=settings)
    return [Statistics(*row) for _, rows in _blocks(folder) for row in rows]


@checked()
def read_planes(folder: str | os.PathLike) -> tuple[np.ndarray, list[Statistics]]:
    """Velocities (times, planes, 3 n²) that :func:`simulate_turbulence` wrote, and the statistics of the times.

    Examples
    --------
    >>> from femnn.validation import read_planes, simulate_turbulence
    >>> settings = {"n": 8, "viscosity": 0.1, "develop": 0.1, "every": 0.02, "snapshots": 50}
    >>> _ = simulate_turbulence("planes", **settings, progress=False)
    >>> velocities, statistics = read_planes("planes")
    >>> velocities.shape, len(statistics)
    ((50, 6, 192), 50)
    """
    parts = list(_blocks(Path(folder)))
    planes = np.concatenate([planes for planes, _ in parts])
    return planes.reshape(*planes.shape[:2], -1), [Statistics(*row) for _, rows in parts for row in rows]


def _blocks(folder):
    files = sorted(folder.glob("planes-*.npz"))
    if not files:
        raise DatasetError(f"{folder} has no planes; run `femnn simulate turbulence --out {folder}` first")
    for path in files:
        arrays = _file(path).arrays()
        with _file(path).checked():
            yield arrays["planes"], arrays["statistics"]


def _file(path):
    return GuardedFile(path, DatasetError, "file of a simulated flow", "delete it, and simulate again")


def _write(path, **arrays):
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)


def _to_grid(coefficients, n):
    return fft.irfftn(coefficients, s=(n, n, n), axes=(1, 2, 3))


def _cross(a, b):
    return np.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])
