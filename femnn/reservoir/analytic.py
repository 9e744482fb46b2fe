"""Closed solutions of consolidation: columns, Mandel's slab, Cryer's ball and de Leeuw's cylinder."""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import eigh
from scipy.optimize import brentq
from scipy.special import j0, j1

from femnn.checks import checked
from femnn.exceptions import ParameterError
from femnn.reservoir.medium import PorousMedium


class ConsolidatingColumn:
    """A column under a sudden pressure on its drained top, with one pore system (Terzaghi) or two.

    Sides are smooth, the bottom is smooth and closed; z counts from the top downwards. The total vertical stress is the
    load q everywhere, so that the vertical strain is ε = (α·p − q)/E_oed, and the mass balances become

        C ∂t p = D ∂²p/∂z² − Γ p,    C_ij = S_ij + α_i α_j/E_oed,    D_i = k_i/μ,    Γ = ᾱ/μ [[1, −1], [−1, 1]]

    from the undrained start C p₀ = α q/E_oed. With λ_n = (2n + 1) π/(2L) each sine of the depth decays by itself,

        p(z, t) = Σ_n 2/(λ_n L) sin(λ_n z) exp(−C⁻¹ (λ_n² D + Γ) t) p₀

    a matrix exponential of two by two, taken by the symmetric pencil. For one system it is Terzaghi's series
    (K. Terzaghi, Theoretical Soil Mechanics (1943); A. Verruijt, Theory and Problems of Poroelasticity (2013),
    chapter 2). Two systems: the equations of R. K. Wilson and E. C. Aifantis, Int. J. Eng. Sci. 20 (1982) 1009-1035,
    in one dimension.

    Parameters
    ----------
    medium
        A uniform ``PorousMedium`` or ``DualPorousMedium``; of a permeability tensor, the second axis is the column's.
    length
        L, m.
    load
        q, Pa, positive in compression.
    terms
        Of the series.

    Examples
    --------
    >>> from femnn.reservoir import ConsolidatingColumn, PorousMedium
    >>> column = ConsolidatingColumn(PorousMedium(young=1e9, poisson=0.2, permeability=1e-14), length=10.0, load=1e6)
    >>> float(round(column.settlement(0.197 * column.time) / column.settlement(100 * column.time), 2))
    0.55
    """

    @checked(terms="[1, 1000000]", length="(0, inf)")
    def __init__(self, medium: PorousMedium, length: float, load: float, *, terms: int = 400) -> None:
        constants = _uniform(medium)
        self.length, self.load = float(length), float(load)
        self.oedometric = constants.lmbda[0] + 2.0 * constants.mu[0]
        self.biot = constants.biot[:, 0]
        self.capacity = constants.storage[..., 0] + np.outer(self.biot, self.biot) / self.oedometric
        self.undrained_pressure = np.linalg.solve(self.capacity, self.biot * load / self.oedometric)
        conductivity = np.diag(constants.mobility[:, 1, 1, 0])
        # zero for a single system
        exchange = constants.exchange[0] * (2.0 * np.eye(len(self.biot)) - 1.0)
        self._wave = (2.0 * np.arange(terms) + 1.0) * np.pi / (2.0 * self.length)
        modes = [eigh(wave**2 * conductivity + exchange, self.capacity) for wave in self._wave]
        self._rates = np.array([values for values, _ in modes])
        # columns are orthonormal in the capacity, so that their parts of p₀ are products with C p₀
        vectors = np.array([vectors for _, vectors in modes])
        self._parts = vectors * (vectors.transpose(0, 2, 1) @ self.capacity @ self.undrained_pressure)[:, None]

    @property
    def time(self) -> float:
        """π²/4 over the slowest rate of decay, s: L²/c for one system, half settled at 0.2 of it."""
        return (np.pi / 2.0) ** 2 / self._rates[0].min()

    def _decayed(self, t):
        """Pressure amplitude of each sine, (terms, s)."""
        return (self._parts * np.exp(-self._rates * t)[:, None]).sum(axis=2)

    @checked(t="[0, inf)")
    def pressure(self, z: ArrayLike, t: float) -> np.ndarray:
        """Pressures ``(s, *z.shape)`` at depth z (m) and time t > 0 (s)."""
        z = np.asarray(z, dtype=float)
        sines = 2.0 / (self._wave * self.length) * np.sin(z[..., None] * self._wave)
        return np.moveaxis(sines @ self._decayed(t), -1, 0)

    @checked(t="[0, inf)")
    def settlement(self, t: float) -> float:
        """Downward displacement of the top at time t > 0, m."""
        mean = (2.0 / (self._wave * self.length) ** 2) @ self._decayed(t)
        return (self.load - self.biot @ mean) * self.length / self.oedometric


class MandelSlab:
    """A slab of width 2a between rigid smooth plates, pressed with 2F per metre of depth, drained at its sides.

    J. Mandel, Géotechnique 3 (1953) 287-299; A. H.-D. Cheng and E. Detournay, Int. J. Numer. Anal. Methods Geomech. 12
    (1988) 551-572. The pressure in the middle first rises above its undrained value (Mandel-Cryer effect).

    Parameters
    ----------
    medium
        A uniform ``PorousMedium``; of a permeability tensor, the first axis is that of the width.
    half_width, half_height
        a and b, m.
    force
        F on half of a plate, N/m, positive in compression.
    terms
        Of the series.

    Examples
    --------
    >>> from femnn.reservoir import MandelSlab, PorousMedium
    >>> medium = PorousMedium(young=1e9, poisson=0.2, permeability=1e-14)
    >>> slab = MandelSlab(medium, half_width=5.0, half_height=1.0, force=5e6)
    >>> early, later, late = (float(slab.pressure(0.0, t * slab.time)) for t in (1e-3, 0.05, 1.0))
    >>> early < later, late < early  # the pressure in the middle rises first
    (True, True)
    """

    @checked(terms="[1, 1000000]", half_width="(0, inf)", half_height="(0, inf)")
    def __init__(
        self, medium: PorousMedium, half_width: float, half_height: float, force: float, *, terms: int = 200
    ) -> None:
        constants = _uniform(medium)
        if len(constants.biot) != 1:
            raise ParameterError("Mandel's solution is for one pore system; pass a PorousMedium")
        self.a, self.b, self.force = float(half_width), float(half_height), float(force)
        lmbda, self.mu = constants.lmbda[0], constants.mu[0]
        biot, storage = constants.biot[0, 0], constants.storage[0, 0, 0]
        bulk = lmbda + 2.0 / 3.0 * self.mu
        undrained = bulk + biot**2 / storage if storage > 0.0 else np.inf
        #: Drained and undrained Poisson's ratios, and Skempton's coefficient.
        self.poisson = _poisson(bulk, self.mu)
        self.undrained_poisson = _poisson(undrained, self.mu) if np.isfinite(undrained) else 0.5
        self.skempton = biot / (storage * undrained) if storage > 0.0 else 1.0 / biot
        #: c, m²/s.
        self.diffusivity = constants.mobility[0, 0, 0, 0] / (storage + biot**2 / (lmbda + 2.0 * self.mu))
        #: Pressure right after loading, Pa.
        self.undrained_pressure = self.skempton * (1.0 + self.undrained_poisson) * self.force / (3.0 * self.a)
        self._roots = _mandel_roots((1.0 - self.poisson) / (self.undrained_poisson - self.poisson), terms)

    @property
    def time(self) -> float:
        """a²/c, s."""
        return self.a**2 / self.diffusivity

    def _decayed(self, t):
        roots = self._roots
        return np.exp(-(roots**2) * t / self.time) / (roots - np.sin(roots) * np.cos(roots))

    @checked(t="[0, inf)")
    def pressure(self, x: ArrayLike, t: float) -> np.ndarray:
        """Pressure at distance x from the middle plane and time t > 0, Pa."""
        roots = self._roots
        shape = np.cos(np.asarray(x, dtype=float)[..., None] * roots / self.a) - np.cos(roots)
        return 2.0 * self.undrained_pressure * shape @ (np.sin(roots) * self._decayed(t))

    @checked(t="[0, inf)")
    def displacement(self, x: ArrayLike, y: ArrayLike, t: float) -> tuple[np.ndarray, np.ndarray]:
        """Displacement outwards at x and upwards at y at time t > 0, m."""
        roots, decayed, mu = self._roots, self._decayed(t), self.mu
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        mixed = (np.sin(roots) * np.cos(roots) * decayed).sum()
        waves = np.sin(x[..., None] * roots / self.a) @ (np.cos(roots) * decayed)
        along = self.force / (mu * self.a) * (self.poisson / 2.0 - self.undrained_poisson * mixed)
        upwards = -self.force / (mu * self.a) * ((1.0 - self.poisson) / 2.0 - (1.0 - self.undrained_poisson) * mixed)
        return along * x + self.force / mu * waves, upwards * y


def _mandel_roots(ratio, terms):
    """Positive roots of tan α = ratio α, one between each pole and the zero before it."""

    def function(root):
        return np.sin(root) - ratio * root * np.cos(root)

    # ratio > 1: the first root lies below π/2, away from the root 0 of multiplicity three
    starts = np.pi * np.arange(terms)
    starts[0] = 1e-3 * min(1.0, ratio - 1.0) ** 0.5
    return np.array([brentq(function, start, np.pi * (n + 0.5), xtol=1e-14) for n, start in enumerate(starts)])


def _poisson(bulk, mu):
    return (3.0 * bulk - 2.0 * mu) / (2.0 * (3.0 * bulk + mu))


def _uniform(medium):
    try:
        return medium.constants(1, 2)
    except ParameterError as error:
        raise ParameterError(f"closed solutions are for uniform media: {error}") from error


class _Radial(ABC):
    """A ball or cylinder under a sudden pressure on its drained surface; ``_AXES`` directions are alike.

    (λ + 2μ) ε − α p = f(t) everywhere, since displacements are radial, and the surface gives f in terms of the mean
    pressure p̄. With c = 4/3 μ (ball) or μ (cylinder) and M = λ + 2μ,

        C ∂t p + γ ∂t p̄ = k/μ_f ∇²p,    C = S + α²/M,    γ = α² c/(M (M − c))

    whose solutions p = Σ A_n (φ(x_n r/R) − φ(x_n)) exp(−x_n² t c_v/R²) are orthogonal in the form C⟨pq⟩ + γ p̄q̄.
    """

    _AXES: int

    @checked(terms="[1, 100000]", radius="(0, inf)")
    def __init__(self, medium: PorousMedium, radius: float, load: float, *, terms: int = 200) -> None:
        constants = _uniform(medium)
        if len(constants.biot) != 1:
            raise ParameterError("this solution is for one pore system; pass a PorousMedium")
        self.radius, self.load = float(radius), float(load)
        lmbda, mu = constants.lmbda[0], constants.mu[0]
        self._biot, storage = constants.biot[0, 0], constants.storage[0, 0, 0]
        along = lmbda + 2.0 * mu
        own = 2.0 * mu * (self._AXES - 1) / self._AXES
        self._bulk = along - own
        capacity = storage + self._biot**2 / along
        #: c_v, m²/s.
        self.diffusivity = constants.mobility[0, 0, 0, 0] / capacity
        #: Pressure right after loading, Pa.
        self.undrained_pressure = self.load * self._biot / (self._biot**2 + storage * self._bulk)
        ratio = self._biot**2 * own / (along * self._bulk * capacity)
        self._roots = self._find_roots(ratio, terms)
        ends, means = self._shape(self._roots), self._mean(self._roots)
        self._parts = self.undrained_pressure * means / (self._square(self._roots) - ends * means)

    @staticmethod
    @abstractmethod
    def _shape(x: np.ndarray) -> np.ndarray:
        """φ(x)."""

    @staticmethod
    @abstractmethod
    def _mean(x: np.ndarray) -> np.ndarray:
        """Mean of φ(x r/R) over the body."""

    @staticmethod
    @abstractmethod
    def _square(x: np.ndarray) -> np.ndarray:
        """Mean of φ(x r/R)²."""

    def _find_roots(self, ratio, terms):
        """Of φ(x) (1 + κ) = κ φ̄(x): less than π apart by and by, so that eighths of it separate them."""

        def function(x):
            return (1.0 + ratio) * self._shape(x) - ratio * self._mean(x)

        grid = np.pi / 8.0 * np.arange(1, 8 * (terms + 2))
        values = function(grid)
        brackets = np.flatnonzero(values[:-1] * values[1:] < 0.0)[:terms]
        return np.array([brentq(function, grid[k], grid[k + 1], xtol=1e-13) for k in brackets])

    @property
    def time(self) -> float:
        """R²/c_v, s."""
        return self.radius**2 / self.diffusivity

    def _decayed(self, t):
        return self._parts * np.exp(-(self._roots**2) * t / self.time)

    @checked(t="[0, inf)")
    def pressure(self, r: ArrayLike, t: float) -> np.ndarray:
        """Pressure at distance r (m) from the middle and time t > 0 (s), Pa."""
        x = np.asarray(r, dtype=float)[..., None] / self.radius * self._roots
        return (self._shape(x) - self._shape(self._roots)) @ self._decayed(t)

    @checked(t="[0, inf)")
    def displacement(self, t: float) -> float:
        """Displacement of the surface outwards at time t > 0, m."""
        mean = (self._mean(self._roots) - self._shape(self._roots)) @ self._decayed(t)
        return float(self.radius / self._AXES * (self._biot * mean - self.load) / self._bulk)


class CryerSphere(_Radial):
    """A ball under a sudden pressure on its drained surface: its middle first rises above the undrained pressure.

    C. W. Cryer, Quarterly Journal of Mechanics and Applied Mathematics 16 (1963) 401-412, here with compressible
    fluid and grains.

    Parameters
    ----------
    medium
        A uniform ``PorousMedium``.
    radius
        m.
    load
        Pa, positive in compression.
    terms
        Of the series.

    Examples
    --------
    >>> from femnn.reservoir import CryerSphere, PorousMedium
    >>> sphere = CryerSphere(PorousMedium(young=1e9, poisson=0.2, permeability=1e-14), radius=5.0, load=1e6)
    >>> early, later, late = (float(sphere.pressure(0.0, t * sphere.time)) for t in (1e-3, 0.05, 1.0))
    >>> early < later, late < early
    (True, True)

    See Also
    --------
    femnn.validation.consolidation : the ball in hexahedra
    """

    _AXES = 3

    @staticmethod
    def _shape(x):
        return np.sinc(x / np.pi)

    @staticmethod
    def _mean(x):
        return 3.0 * (np.sin(x) - x * np.cos(x)) / x**3

    @staticmethod
    def _square(x):
        return 3.0 / x**2 * (0.5 - np.sin(2.0 * x) / (4.0 * x))


class DeLeeuwCylinder(_Radial):
    """A long cylinder in plane strain under a sudden pressure on its drained mantle.

    E. H. de Leeuw, Proc. 6th Int. Conf. Soil Mechanics and Foundation Engineering (1965) 287-290, here with
    compressible fluid and grains.

    Parameters
    ----------
    medium
        A uniform ``PorousMedium``.
    radius
        m.
    load
        Pa, positive in compression.
    terms
        Of the series.

    Examples
    --------
    >>> from femnn.reservoir import DeLeeuwCylinder, PorousMedium
    >>> cylinder = DeLeeuwCylinder(PorousMedium(young=1e9, poisson=0.2, permeability=1e-14), radius=5.0, load=1e6)
    >>> bool(cylinder.displacement(10.0 * cylinder.time) < cylinder.displacement(0.01 * cylinder.time) < 0.0)
    True

    See Also
    --------
    femnn.validation.consolidation : the cylinder in hexahedra
    """

    _AXES = 2

    @staticmethod
    def _shape(x):
        return j0(x)

    @staticmethod
    def _mean(x):
        return 2.0 * j1(x) / x

    @staticmethod
    def _square(x):
        return j0(x) ** 2 + j1(x) ** 2
