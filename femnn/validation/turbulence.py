"""Forced turbulence in a periodic box, isotropic or magnetohydrodynamic, by a pseudo-spectral solver.

    u_t = -∇·(u u - b b) - ∇p + ν Δu + f,    b_t = -∇·(u b - b u) + ν Δb,

both without divergence, in a box of 2π, with a magnetic Prandtl number of 1. Products are made on the grid, without the
upper third of wave numbers (S. A. Orszag, J. Atmos. Sci. 28 (1971) 1074), which are not stored either; diffusion is
integrated exactly, the rest by the classical Runge-Kutta method. The force gives the waves below ``FORCED`` of the
velocity a constant power (L. Machiels, Phys. Rev. Lett. 79 (1997) 3411), so that the flow becomes statistically
stationary. A weak mean field keeps the magnetic energy up at Reynolds numbers that are too small for a dynamo.
"""

import os
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy import fft
from tqdm import tqdm

from femnn.checks import checked, one_of
from femnn.exceptions import ConvergenceError, DatasetError, ParameterError
from femnn.io.atomic import atomic_write
from femnn.io.guarded import GuardedFile
from femnn.reduced.pod import POD

KINDS = ("isotropic", "mhd")

PRECISIONS = ("double", "single")

#: Wave numbers below this are forced.
FORCED = 2.5

# Planes that are recorded, the last of which tests, and snapshots in one file.
_PLANES, _BLOCK = 6, 50

# Courant number of a step, by the fastest speed on the grid. The fastest wave that is kept turns by 2π/3 of it in a
# step; the method is stable up to 2.8.
_COURANT = 1.25

# Components of the stress that are transformed, and those of the induction.
_STRESSES, _PAIRS = ((0, 0), (1, 1), (0, 1), (0, 2), (1, 2)), ((0, 1), (0, 2), (1, 2))

# Of so many snapshots one is decomposed: those between are much alike.
_THINNED = 5

# Time between the states that are kept while the flow develops.
_KEPT_EVERY = 5.0


@dataclass(frozen=True)
class Statistics:
    """State of a flow at one time.

    Attributes
    ----------
    time, energy, magnetic_energy, dissipation : float
        Of the velocity, of the field about its mean, and of both together.
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
    state : (3 or 6, 2 m + 1, 2 m + 1, m + 1) complex
        Fourier coefficients of velocity and field, those of waves up to m < n / 3 in each direction: 0 to m, -m to -1.
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

    @checked(n="[8, inf)", viscosity="(0, inf)", power="[0, inf)", mean_field="[0, inf)", seed="[0, inf)")
    def __init__(
        self,
        n: int,
        viscosity: float,
        *,
        magnetic: bool = False,
        power: float = 0.0,
        mean_field: float = 0.0,
        seed: int = 0,
        precision: str = "double",
    ) -> None:
        if n % 2:
            raise ParameterError(f"n={n} is odd; pass an even number of points")
        self._real = np.dtype(np.float64 if one_of("precision", precision, PRECISIONS) == "double" else np.float32)
        self.n, self.viscosity, self.magnetic, self.power = n, viscosity, magnetic, power
        self._top = -(-n // 3) - 1
        self.time = 0.0
        generator = np.random.default_rng(seed)
        self.state = np.concatenate([self._random(generator) for _ in range(1 + magnetic)])
        if magnetic:
            self.state[5, 0, 0, 0] = mean_field * float(n) ** 3

    def _random(self, generator):
        """A field of energy 1/2 with few waves."""
        field = self._solenoidal(self._from_grid(generator.standard_normal((3, *(self.n,) * 3)).astype(self._real)))
        field *= np.exp(-0.5 * self._k2)
        return field * self._real.type(np.sqrt(0.5 / self.energy_of(field)))

    @cached_property
    def _k(self):
        one_sided = np.arange(self._top + 1, dtype=self._real)
        both = np.concatenate([one_sided, -one_sided[:0:-1]])
        return np.meshgrid(both, both, one_sided, indexing="ij")

    @cached_property
    def _k2(self):
        return sum(k**2 for k in self._k)

    @cached_property
    def _weight(self):
        """How often a coefficient counts: those of real fields stand for their conjugates, too."""
        weight = np.full(self._top + 1, 2.0)
        weight[0] = 1.0
        return weight / float(self.n) ** 6

    @cached_property
    def _low(self):
        return (self._k2 > 0.0) & (self._k2 < FORCED**2)

    @checked(fields="unchecked")
    def set_fields(self, fields: np.ndarray) -> None:
        """Take velocity, and field, from their values on the grid, (3 or 6, n, n, n)."""
        self.state = self._from_grid(np.asarray(fields, dtype=self._real))

    def fields(self) -> np.ndarray:
        """Velocity, and field, on the grid, (3 or 6, n, n, n)."""
        return self._to_grid(self.state)

    def energy_of(self, field: np.ndarray) -> float:
        """Mean of |v|²/2 over the box of a field by its coefficients (3, ...)."""
        return float(0.5 * (np.abs(field) ** 2 * self._weight).sum())

    def change(self, state: np.ndarray) -> np.ndarray:
        """Rate of the state without diffusion and force: products, made free of divergence."""
        return self._products(self._to_grid(state))

    def _products(self, grid):
        """The same, from the values on the grid: -∇·(u u - b b) without what pressure takes, and -∇·(b u - u b)."""
        u, b = grid[:3], grid[3:]
        fluxes = np.empty((8 if self.magnetic else 5, *grid.shape[1:]), grid.dtype)

        def stress(i: int, j: int) -> np.ndarray:
            return u[i] * u[j] - b[i] * b[j] if self.magnetic else u[i] * u[j]

        last = stress(2, 2)
        for flux, (i, j) in zip(fluxes, _STRESSES, strict=False):
            flux[...] = stress(i, j)
            if i == j:
                # a pressure makes up for one of the three
                flux -= last
        for flux, (i, j) in zip(fluxes[5:], _PAIRS, strict=False):
            flux[...] = b[i] * u[j]
            flux -= u[i] * b[j]
        (x, y, z), waves = self._k, self._from_grid(fluxes)
        xx, yy, xy, xz, yz = waves[:5]
        rate = self._solenoidal(-1j * np.stack([x * xx + y * xy + z * xz, x * xy + y * yy + z * yz, x * xz + y * yz]))
        if not self.magnetic:
            return rate
        xy, xz, yz = waves[5:]
        return np.concatenate([rate, -1j * np.stack([y * xy + z * xz, z * yz - x * xy, -x * xz - y * yz])])

    def _rate(self, state, grid=None):
        rate = self._products(self._to_grid(state) if grid is None else grid)
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
            grid, left = self.fields(), end - self.time
            # equal steps to the end
            step = left / np.ceil(left / self._stable(grid) - 1e-9) if dt is None else min(dt, left)
            self._step(step, grid)
            self.time += step

    def _stable(self, grid):
        speed = float(np.abs(grid).sum(axis=0).max())
        if not np.isfinite(speed) or speed > 1e6:
            raise ConvergenceError(
                f"the flow blew up at t = {self.time:g}; take more points than {self.n} or more viscosity",
                np.empty(0),
                np.array([np.nan]),
                self.time,
            )
        return _COURANT * 2.0 * np.pi / self.n / max(speed, 1e-3)

    def _step(self, dt, grid):
        dt = float(dt)
        half = np.exp(-0.5 * self.viscosity * dt * self._k2)
        state = self.state
        first = self._rate(state, grid)
        second = self._rate(half * (state + 0.5 * dt * first))
        third = self._rate(half * state + 0.5 * dt * second)
        fourth = self._rate(half * (half * state + dt * third))
        new = half * (half * (state + dt / 6.0 * first) + dt / 3.0 * (second + third)) + dt / 6.0 * fourth
        self.state = self._of_real_fields(new)

    def _of_real_fields(self, state):
        """With opposite waves conjugate where both are stored: rounding that breaks this is not seen by the products,
        but the force would make it grow until it takes all the power.
        """
        plane = state[..., 0]
        opposite = np.roll(plane[:, ::-1, ::-1], 1, axis=(1, 2)).conj()
        state[..., 0] = 0.5 * (plane + opposite)
        return state

    def spectrum(self, magnetic: bool = False) -> np.ndarray:
        """Energy of the velocity, or the field, by wave number, (n // 2 + 1,): shells of width 1 about 0, 1, 2, ..."""
        part = self.state[3:] if magnetic else self.state[:3]
        energy = 0.5 * (np.abs(part) ** 2).sum(axis=0) * self._weight
        shells = np.rint(np.sqrt(self._k2)).astype(int)
        return np.bincount(shells.ravel(), energy.ravel(), self.n // 2 + 1)[: self.n // 2 + 1]

    def statistics(self) -> Statistics:
        """Energies, dissipation, Reynolds number and turnover time."""
        energy = self.energy_of(self.state[:3])
        magnetic = self.energy_of(self.state[3:] * (self._k2 > 0.0))
        lost = float((self.viscosity * self._k2 * np.abs(self.state) ** 2 * self._weight).sum())
        own = float((self.viscosity * self._k2 * np.abs(self.state[:3]) ** 2 * self._weight).sum())
        # a flow at rest has a scale of zero, not none: squares of this are numbers
        speed = max(np.sqrt(2.0 * energy / 3.0), 1e-150)
        length = np.sqrt(15.0 * self.viscosity * speed**2 / max(own, 1e-300))
        spectrum = self.spectrum()
        scale = np.pi / (2.0 * speed**2) * float((spectrum[1:] / np.arange(1, len(spectrum))).sum())
        return Statistics(
            self.time, energy, magnetic, lost, float(speed * length / self.viscosity), float(scale / speed)
        )

    def _solenoidal(self, field):
        """Without its divergence and its mean."""
        k2 = np.where(self._k2 > 0.0, self._k2, 1.0)
        part = sum(k * component for k, component in zip(self._k, field, strict=True)) / k2
        return np.where(self._k2 > 0.0, field - np.stack([k * part for k in self._k]), 0.0)

    def _from_grid(self, field):
        """Coefficients of waves that are kept, axis by axis, so that the others are left out as early as possible."""
        waves = fft.rfft(field, axis=3)[..., : self._top + 1]
        for axis in (2, 1):
            waves = self._thin(fft.fft(waves, axis=axis), axis)
        return waves

    def _thin(self, waves, axis):
        low, high = (slice(None),) * axis + (slice(self._top + 1),), (slice(None),) * axis + (slice(-self._top, None),)
        return np.concatenate([waves[low], waves[high]], axis=axis)

    def _to_grid(self, waves):
        low, high = slice(self._top + 1), slice(-self._top, None)
        for before in ((slice(None),), (slice(None),) * 2):
            axis = len(before)
            full = np.zeros((*waves.shape[:axis], self.n, *waves.shape[axis + 1 :]), waves.dtype)
            full[(*before, low)], full[(*before, high)] = waves[(*before, low)], waves[(*before, high)]
            waves = fft.ifft(full, axis=axis, overwrite_x=True)
        return fft.irfft(waves, self.n, axis=3)


@checked(
    n="[8, inf)", viscosity="(0, inf)", power="(0, inf)", mean_field="[0, inf)", develop="[0, inf)",
    snapshots="[1, inf)", every="(0, inf)", seed="[0, inf)",
)  # fmt: skip
def simulate_turbulence(
    folder: str | os.PathLike,
    kind: str = "isotropic",
    *,
    n: int = 64,
    viscosity: float = 0.01,
    power: float = 0.1,
    mean_field: float = 0.2,
    develop: float = 20.0,
    snapshots: int = 1000,
    every: float = 0.05,
    seed: int = 0,
    precision: str = "single",
    progress: bool = True,
) -> list[Statistics]:
    """Simulate turbulence, and write velocities on six equidistant planes at many times; interrupted runs go on.

    Parameters
    ----------
    folder
        Gets ``state.npz``, from which the run goes on, and files ``planes-0000.npz`` of 50 snapshots each:
        ``planes`` (50, 6, 3, n, n) in single precision, ``statistics`` (50, 6), and ``spectra``
        (50, 1 or 2, n // 2 + 1) of velocity and field.
    kind
        ``"isotropic"`` or ``"mhd"``.
    n, viscosity, power, mean_field, seed, precision
        Of :class:`PeriodicFlow`; isotropic flows have no field.
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
    magnetic = kind == "mhd"
    mean_field = mean_field if magnetic else 0.0
    flow = PeriodicFlow(
        n, viscosity, magnetic=magnetic, power=power, mean_field=mean_field, seed=seed, precision=precision
    )
    numbers = [KINDS.index(kind), n, viscosity, power, mean_field, develop, every, seed, PRECISIONS.index(precision)]
    settings = np.array(numbers, dtype=float)
    file, done = folder / "state.npz", 0
    if file.exists():
        arrays = _file(file).arrays()
        with _file(file).checked():
            if not np.array_equal(arrays["settings"], settings):
                raise DatasetError(f"{folder} holds a run with the settings {arrays['settings']}, not {settings}")
            flow.state, flow.time, done = arrays["state"], float(arrays["time"]), int(arrays["blocks"])

    def keep(blocks: int) -> None:
        _write(file, state=flow.state, time=flow.time, blocks=blocks, settings=settings)

    while flow.time < develop * (1.0 - 1e-12):
        flow.advance(min(_KEPT_EVERY, develop - flow.time))
        keep(0)
    blocks = -(-snapshots // _BLOCK)
    places = np.arange(_PLANES) * n // _PLANES
    bar = tqdm(total=blocks * _BLOCK, initial=done * _BLOCK, unit="snapshot", disable=None if progress else True)
    with bar:
        for block in range(done, blocks):
            planes = np.empty((_BLOCK, _PLANES, 3, n, n), dtype=np.float32)
            rows, spectra = [], []
            for k in range(_BLOCK):
                flow.advance(every)
                planes[k] = flow.fields()[:3, places].transpose(1, 0, 2, 3)
                rows.append(list(vars(flow.statistics()).values()))
                spectra.append([flow.spectrum(part) for part in (False, True)[: 1 + magnetic]])
                bar.update()
            path = folder / f"planes-{block:04d}.npz"
            _write(path, planes=planes, statistics=np.array(rows), spectra=np.array(spectra))
            # last, so that a file of planes without its state is made again
            keep(block + 1)
    return [Statistics(*row) for arrays in _blocks(folder) for row in arrays["statistics"]]


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
    planes, rows, _ = _record(Path(folder))
    return planes, [Statistics(*row) for row in rows]


@checked(modes="[1, inf)")
def reduce_turbulence(folder: str | os.PathLike, path: str | os.PathLike, modes: int = 5) -> None:
    """Write the coefficients of the planes of a run in the modes of the first five as an ``.npz`` file.

    The file has ``coefficients`` (6, m, modes), ``modes`` (3 n², modes) and their ``offset`` in single precision,
    ``singular_values``, ``statistics`` (m, 6), ``spectra`` (2, 1 or 2, n // 2 + 1), means over either half of the
    record of velocity and field, and the ``settings`` of the run.

    Parameters
    ----------
    folder
        Of :func:`simulate_turbulence`.
    path
        Where to.
    modes
        Of the five planes together, about their mean, from every fifth snapshot.

    Examples
    --------
    >>> from femnn.validation import reduce_turbulence, simulate_turbulence
    >>> settings = {"n": 8, "viscosity": 0.1, "develop": 0.1, "every": 0.02, "snapshots": 50}
    >>> _ = simulate_turbulence("box", **settings, progress=False)
    >>> reduce_turbulence("box", "box.npz", modes=3)
    >>> np.load("box.npz")["coefficients"].shape
    (6, 50, 3)
    """
    planes, rows, spectra = _record(Path(folder))
    half = len(spectra) // 2
    columns = planes[::_THINNED, :-1].reshape(-1, planes.shape[2]).T.astype(float)
    pod = POD.fit(columns, modes=modes, offset=columns.mean(axis=1), method="randomised")
    series = [pod.project(planes[:, k].T.astype(float)).T for k in range(planes.shape[1])]
    arrays: dict[str, Any] = {
        "coefficients": np.stack(series),
        "modes": pod.modes,
        "offset": pod.offset,
        "singular_values": pod.singular_values[: 10 * modes],
        "spectra": np.stack([spectra[:half].mean(axis=0), spectra[half:].mean(axis=0)]),
    }
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    arrays["statistics"] = rows
    arrays["settings"] = _file(Path(folder) / "state.npz").arrays()["settings"]
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)


@dataclass(frozen=True, eq=False)
class Stationarity:
    """Whether a record of turbulence is one of a stationary state.

    Attributes
    ----------
    halves : dict of (float, float)
        Means of each of :class:`Statistics` over the first half of the record and over the second.
    scatter : dict of float
        By how much such means differ by chance: √2 standard errors from pieces of two turnovers.
    turnovers : float
        Length of the record.
    balance, growth : float
        Dissipation, and what the energy has grown by, as shares of what the force gave; together they are 1.
    resolution : float
        Largest wave number times Kolmogorov's length; 1 and more is resolved.
    spectra : (2, 1 or 2, n // 2 + 1)
        Of velocity and field, means over either half.

    Examples
    --------
    >>> from femnn.io import data_folder
    >>> from femnn.validation import stationarity
    >>> figures = stationarity(data_folder("flows") / "mhd.npz")
    >>> bool(figures.turnovers > 10.0), figures.spectra.shape
    (True, (2, 2, 33))
    """

    halves: dict[str, tuple[float, float]]
    scatter: dict[str, float]
    turnovers: float
    balance: float
    growth: float
    resolution: float
    spectra: np.ndarray


@checked()
def stationarity(path: str | os.PathLike) -> Stationarity:
    """Figures of a file of :func:`reduce_turbulence`.

    Examples
    --------
    >>> from femnn.io import data_folder
    >>> from femnn.validation import stationarity
    >>> round(float(stationarity(data_folder("flows") / "isotropic.npz").balance), 2)
    1.0
    """
    path = Path(path)
    arrays = _file(path).arrays()
    with _file(path).checked():
        rows, settings, spectra = (arrays[name] for name in ("statistics", "settings", "spectra"))
        n, viscosity, power = int(settings[1]), settings[2], settings[3]
    names = [field.name for field in fields(Statistics)]
    columns = dict(zip(names, rows.T, strict=True))
    times = columns.pop("time")
    duration = float(times[-1] - times[0])
    turnovers = duration / float(columns["turnover"].mean())
    half = len(rows) // 2
    pieces = max(2, round(turnovers / 2.0))
    means = {name: [piece.mean() for piece in np.array_split(column, pieces)] for name, column in columns.items()}
    dissipation = float(columns["dissipation"].mean())
    total = columns["energy"] + columns["magnetic_energy"]
    return Stationarity(
        {name: (float(column[:half].mean()), float(column[half:].mean())) for name, column in columns.items()},
        # two halves of half the pieces each
        {name: float(2.0 * np.std(values, ddof=1) / np.sqrt(pieces)) for name, values in means.items()},
        turnovers,
        float(dissipation / power),
        float(total[-1] - total[0]) / (power * duration),
        (-(-n // 3) - 1) * float((viscosity**3 / dissipation) ** 0.25),
        spectra,
    )


def _record(folder):
    """Velocities (times, planes, 3 n²), rows of statistics and spectra of all times of a run."""
    parts = list(_blocks(folder))
    names = ("planes", "statistics", "spectra")
    planes, rows, spectra = (np.concatenate([part[name] for part in parts]) for name in names)
    return planes.reshape(*planes.shape[:2], -1), rows, spectra


def _blocks(folder):
    files = sorted(folder.glob("planes-*.npz"))
    if not files:
        raise DatasetError(f"{folder} has no planes; run `femnn simulate turbulence --out {folder}` first")
    for path in files:
        arrays = _file(path).arrays()
        with _file(path).checked():
            yield {name: arrays[name] for name in ("planes", "statistics", "spectra")}


def _file(path):
    return GuardedFile(path, DatasetError, "file of a simulated flow", "delete it, and simulate again")


def _write(path, **arrays):
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)
