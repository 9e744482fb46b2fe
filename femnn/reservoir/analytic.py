"""Closed solutions of consolidation: Terzaghi's column, a column with two pore systems, and Mandel's slab."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import eigh
from scipy.optimize import brentq

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
