"""Fluid-saturated porous media with one or two systems of pores: what they are made of, and the poroelastic constants.

Biot's theory; E. Detournay and A. H.-D. Cheng, Fundamentals of poroelasticity, in: Comprehensive Rock Engineering 2
(1993), chapter 5. Two systems: K. Wang and W. C. Sun, CMAME 334 (2018) 337-380, with pore fraction ψ of the macropores.
"""

from dataclasses import dataclass, fields
from typing import Any, ClassVar, NamedTuple

import numpy as np
from skfem.models.elasticity import lame_parameters

from femnn.checks import checked, floats, one_length
from femnn.exceptions import ParameterError

# Biot coefficients given directly and by the grains' bulk modulus may differ by rounding in a data sheet.
_SAME_BIOT = 1e-3


class PoroelasticConstants(NamedTuple):
    """Coefficients of the equations, one number an element; s pore systems.

    Attributes
    ----------
    lmbda, mu : (n,)
        Lamé's constants of the drained skeleton, Pa.
    biot : (s, n)
        Fraction of each pore pressure in the total stress.
    storage : (s, s, n)
        Fluid stored at constant strain, 1/Pa.
    mobility : (s, dim, dim, n)
        Permeability over viscosity, m²/(Pa s).
    exchange : (n,)
        Flow from the macropores to the micropores per difference of pressure, 1/(Pa s).

    Examples
    --------
    >>> from femnn.reservoir import PorousMedium
    >>> constants = PorousMedium(young=10e9, poisson=0.25, permeability=1e-15).constants(n=4, dim=2)
    >>> constants.biot.shape, constants.mobility.shape
    ((1, 4), (1, 2, 2, 4))
    """

    lmbda: np.ndarray
    mu: np.ndarray
    biot: np.ndarray
    storage: np.ndarray
    mobility: np.ndarray
    exchange: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class PorousMedium:
    """An isotropic elastic skeleton with one system of pores. Every entry is one number, or one per element (n,).

    Parameters
    ----------
    young, poisson
        Of the drained skeleton; Pa.
    permeability
        m²; also a symmetric tensor (dim, dim) or (n, dim, dim).
    viscosity
        Of the fluid, Pa s.
    porosity
        Fraction of the pores in the volume.
    fluid_bulk
        Bulk modulus of the fluid, Pa; infinite: incompressible.
    grain_bulk
        Bulk modulus of the grains, Pa; default: what ``biot`` says.
    biot
        Biot's coefficient 1 − K/K_grain; default: what ``grain_bulk`` says, and 1 (incompressible grains) without both.

    Raises
    ------
    ParameterError
        If a number is out of its range, or if the moduli contradict each other.

    Examples
    --------
    >>> from femnn.reservoir import PorousMedium
    >>> rock = PorousMedium(young=10e9, poisson=0.25, permeability=1e-15, grain_bulk=40e9)
    >>> (rock.drained_bulk / 1e9).round(3), rock.biot_coefficient.round(3)
    (array([6.667]), array([0.833]))
    """

    systems: ClassVar[tuple[str, ...]] = ("pores",)

    young: Any
    poisson: Any
    permeability: Any
    viscosity: Any = 1e-3
    porosity: Any = 0.2
    fluid_bulk: Any = 2.2e9
    grain_bulk: Any = None
    biot: Any = None

    def __repr__(self) -> str:
        entries = {field.name: getattr(self, field.name) for field in fields(self)}
        parts = [
            f"{name}={value[0]:.6g}" if value.shape == (1,) else f"{name}: {value.shape}"
            for name, value in entries.items()
            if value is not None
        ]
        return f"{type(self).__name__}({', '.join(parts)})"

    def __post_init__(self) -> None:
        for field in fields(self):
            entry = getattr(self, field.name)
            if entry is not None or field.name not in ("grain_bulk", "biot"):
                object.__setattr__(self, field.name, _numbers(field.name, entry))
        entries = {field.name: getattr(self, field.name) for field in fields(self)}
        # a number, (1,), and one tensor stand for all elements
        several = {name: v for name, v in entries.items() if v is not None and len(v) > 1 and v.ndim != 2}
        one_length({name: len(values) for name, values in several.items()})
        self._check()

    def _check(self):
        _within("young", self.young, self.young > 0.0, "positive")
        _within("poisson", self.poisson, (self.poisson > -1.0) & (self.poisson < 0.5), "in (-1, 0.5)")
        _within("viscosity", self.viscosity, self.viscosity > 0.0, "positive")
        _within("porosity", self.porosity, (self.porosity > 0.0) & (self.porosity < 1.0), "in (0, 1)")
        _within("fluid_bulk", self.fluid_bulk, self.fluid_bulk > 0.0, "positive, or infinite", finite=False)
        _check_permeability("permeability", self.permeability)
        self._check_grains()

    def _check_grains(self):
        bulk, grain, biot = self.drained_bulk, self.grain_bulk, self.biot
        if grain is not None:
            stiffer = grain > bulk
            at = _first(stiffer)
            if at is not None:
                raise ParameterError(
                    f"the grains' bulk modulus is {_at(grain, at):.6g} Pa, but that of the drained skeleton which they "
                    f"build is {_at(bulk, at):.6g} Pa{_where(stiffer, at)}; it must be less: check young, poisson and "
                    "grain_bulk"
                )
        if biot is not None:
            _within("biot", biot, biot <= 1.0, "at most 1")
        if grain is not None and biot is not None:
            agree = np.abs(biot - (1.0 - bulk / grain)) <= _SAME_BIOT
            at = _first(agree)
            if at is not None:
                raise ParameterError(
                    f"biot is {_at(biot, at):.6g}, but the bulk moduli of skeleton and grains give "
                    f"{_at(1.0 - bulk / grain, at):.6g}{_where(agree, at)}; give only one of biot and grain_bulk"
                )
        above = self.biot_coefficient > self.porosity
        at = _first(above)
        if at is not None:
            raise ParameterError(
                f"Biot's coefficient is {_at(self.biot_coefficient, at):.6g}, not above the porosity "
                f"{_at(self.porosity, at):.6g}{_where(above, at)}: the skeleton would be stiffer than its grains "
                "allow; check biot, grain_bulk and porosity"
            )

    @property
    def drained_bulk(self) -> np.ndarray:
        """Bulk modulus of the drained skeleton, Pa."""
        return self.young / (3.0 * (1.0 - 2.0 * self.poisson))

    @property
    def mu(self) -> np.ndarray:
        """Shear modulus, Pa."""
        return lame_parameters(self.young, self.poisson)[1]

    @property
    def biot_coefficient(self) -> np.ndarray:
        """Biot's coefficient of the whole pore space."""
        if self.biot is not None:
            return self.biot
        return 1.0 - self.drained_bulk * self._grain_compliance()

    def _grain_compliance(self):
        if self.grain_bulk is not None:
            return 1.0 / self.grain_bulk
        return np.zeros(1) if self.biot is None else (1.0 - self.biot) / self.drained_bulk

    @property
    def storage_coefficient(self) -> np.ndarray:
        """Fluid stored at constant strain per pressure in the whole pore space, 1/M, 1/Pa."""
        grains = (self.biot_coefficient - self.porosity) * self._grain_compliance()
        return self.porosity / self.fluid_bulk + grains

    def _fractions(self):
        """Fraction of each system in the pores, (s, ...)."""
        return np.ones((1, 1))

    def _permeabilities(self):
        return (self.permeability,)

    def _exchange(self):
        return np.zeros(1)

    @checked(n="[1, inf)", dim="[2, 3]")
    def constants(self, n: int, dim: int) -> PoroelasticConstants:
        """Poroelastic constants of ``n`` elements of a ``dim``-dimensional mesh, plane strain in two dimensions.

        Raises
        ------
        ParameterError
            If an entry has another number of elements or a tensor of another dimension.
        """
        for field in fields(self):
            entry = getattr(self, field.name)
            if entry is not None and entry.ndim != 2 and len(entry) not in (1, n):
                what = "tensors" if entry.ndim == 3 else "entries"
                raise ParameterError(
                    f"{field.name} has {len(entry)} {what}, the mesh {n} elements; give one for all or one per element"
                )
        fractions = np.array([np.broadcast_to(fraction, n) for fraction in self._fractions()])
        fluid = self.porosity / self.fluid_bulk
        grains = self.storage_coefficient - fluid
        pairs = fractions[:, None] * fractions[None]
        diagonal = np.eye(len(fractions))[..., None] * fractions[:, None]
        viscosity = np.broadcast_to(self.viscosity, n)
        tensors = [_tensor(permeability, n, dim) / viscosity for permeability in self._permeabilities()]
        lmbda, mu = lame_parameters(self.young, self.poisson)
        return PoroelasticConstants(
            np.broadcast_to(lmbda, n),
            np.broadcast_to(mu, n),
            fractions * self.biot_coefficient,
            diagonal * fluid + pairs * grains,
            np.array(tensors),
            np.broadcast_to(self._exchange(), n),
        )


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class DualPorousMedium(PorousMedium):
    """A skeleton with macropores (``permeability``) and micropores, which exchange fluid.

    Each system has its share of Biot's coefficient and of the storage: α_i = ψ_i α and
    S_ij = δ_ij ψ_i φ/K_fluid + ψ_i ψ_j (α − φ)/K_grain with ψ_M = ψ, ψ_m = 1 − ψ, so that equal pressures are a single
    system.

    Parameters
    ----------
    macro_fraction
        ψ, share of the macropores in the pores.
    micro_permeability
        m², as ``permeability``.
    exchange
        ᾱ: the flow c = ᾱ (p_M − p_m)/viscosity leaves the macropores for the micropores.
    **kw
        As :class:`PorousMedium`.

    Examples
    --------
    >>> from femnn.reservoir import DualPorousMedium
    >>> rock = DualPorousMedium(
    ...     young=10e9, poisson=0.25, permeability=1e-14, macro_fraction=0.2, micro_permeability=1e-17, exchange=1e-15
    ... )
    >>> rock.systems
    ('macro', 'micro')
    """

    systems: ClassVar[tuple[str, ...]] = ("macro", "micro")

    macro_fraction: Any
    micro_permeability: Any
    exchange: Any

    def _check(self):
        super()._check()
        psi = self.macro_fraction
        _within("macro_fraction (psi)", psi, (psi >= 0.0) & (psi <= 1.0), "in [0, 1]")
        _within("exchange", self.exchange, self.exchange >= 0.0, "zero or positive")
        _check_permeability("micro_permeability", self.micro_permeability)

    def _fractions(self):
        return self.macro_fraction, 1.0 - self.macro_fraction

    def _permeabilities(self):
        return self.permeability, self.micro_permeability

    def _exchange(self):
        return self.exchange / self.viscosity


def _numbers(name, entry):
    """Entries as an array: (1,) or (n,) of numbers, (dim, dim) or (n, dim, dim) of tensors."""
    values = np.atleast_1d(floats(name, entry, finite=False))
    tensors = name.endswith("permeability") and values.ndim in (2, 3) and values.shape[-1] == values.shape[-2]
    if (values.ndim != 1 and not tensors) or not values.size:
        raise ParameterError(f"{name} has shape {values.shape}; give one number or one per element, (n,)")
    return values


def _at(values, at):
    """Entry of an element, where one entry stands for all."""
    return values[at if len(values) > 1 else 0]


def _first(good):
    """First element where a condition fails, or None."""
    return None if good.all() else int(np.flatnonzero(~good)[0])


def _where(good, at):
    return f" in element {at}" if len(good) > 1 else ""


def _within(name, values, good, wanted, finite=True):
    good = good & (np.isfinite(values) if finite else ~np.isnan(values))
    at = _first(good)
    if at is not None:
        raise ParameterError(f"{name} is {_at(values, at):.6g}{_where(good, at)}; it must be {wanted}")


def _check_permeability(name, values):
    if values.ndim == 1:
        _within(name, values, values >= 0.0, "zero or positive")
        return
    tensors = values.reshape(-1, *values.shape[-2:])
    size = np.abs(tensors).max(axis=(1, 2))
    good = np.isfinite(size) & (np.abs(tensors - tensors.transpose(0, 2, 1)).max(axis=(1, 2)) <= 1e-12 * size)
    good[good] = np.linalg.eigvalsh(tensors[good])[:, 0] >= -1e-12 * size[good]
    at = _first(good)
    if at is not None:
        raise ParameterError(
            f"{name} is {tensors[at].tolist()}{_where(good, at)}; a permeability tensor is symmetric and has no "
            "negative eigenvalue"
        )


def _tensor(values, n, dim):
    """Permeability as (dim, dim, n)."""
    if values.ndim == 1:
        return np.eye(dim)[..., None] * np.broadcast_to(values, n)
    if values.shape[-1] != dim:
        raise ParameterError(f"a permeability tensor has shape {values.shape[-2:]}, the mesh has dimension {dim}")
    tensors = np.broadcast_to(values, (n, dim, dim)) if values.ndim == 2 else values
    return tensors.transpose(1, 2, 0)
