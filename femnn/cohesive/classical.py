"""Bilinear and exponential softening under mixed modes, each with contact and optional friction."""

import math
from abc import abstractmethod

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import positive
from femnn.cohesive import damage
from femnn.cohesive.law import Law, State
from femnn.exceptions import ParameterError
from femnn.system.compile import njit


class DamageLaw(Law):
    """A law whose tractions are those of :mod:`femnn.cohesive.damage`; a subclass says what drives the damage.

    Attributes
    ----------
    stiffness : (float, float, float, float)
        Of opening, of shear and of contact, Pa/m; Coulomb's coefficient.

    Examples
    --------
    >>> import femnn
    >>> from femnn.cohesive import DamageLaw
    >>> law = femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0)
    >>> _, _, state = law.update([[1e-5, 0.0, 0.0]], law.initial_state(1))
    >>> isinstance(law, DamageLaw), bool(0.0 < law.damage(state)[0] < 1.0)
    (True, True)
    >>> bool(law.free_energy([[1e-5, 0.0, 0.0]], state)[0] < 969.0)
    True
    """

    stiffness: tuple[float, float, float, float]

    def free_energy(self, separation: ArrayLike, state: State) -> np.ndarray:
        """Energy stored in each point, (n,), J/m²; what was put in beyond it is dissipated."""
        return damage.free_energy(self._checked(separation, state), state.values, self.stiffness)

    def damage(self, state: State) -> np.ndarray:
        """Damage of each point, (n,), 0 to 1."""
        self._require_state(state)
        return state.values[:, damage.DAMAGE].copy()

    def _virgin(self, n):
        return np.zeros((n, 3))

    def _update(self, separation, values):
        return damage.respond(separation, values, *self._target(separation), self.stiffness)

    @abstractmethod
    def _target(self, separation):
        """Damage that each separation asks for, (n,), and its derivative, (n, 3)."""


class _Softening(DamageLaw):
    """Strengths, toughnesses and friction of the two classical laws."""

    def __init__(
        self, normal_strength: float, shear_strength: float, normal_toughness: float, shear_toughness: float, *,
        contact_stiffness: float | None = None, friction: float = 0.0,
    ) -> None:  # fmt: skip
        self.normal_strength = positive("normal_strength", normal_strength)
        self.shear_strength = positive("shear_strength", shear_strength)
        self.normal_toughness = positive("normal_toughness", normal_toughness)
        self.shear_toughness = positive("shear_toughness", shear_toughness)
        self.friction = positive("friction", friction, zero=True)
        if contact_stiffness is not None:
            positive("contact_stiffness", contact_stiffness)

    def _require_doubles(self, **values):
        """Raise ParameterError unless lengths and stiffnesses that follow from the parameters are positive doubles."""
        for name, value in values.items():
            if not 0.0 < value < np.inf:
                raise ParameterError(
                    f"the {name} of {type(self).__name__} comes to {value:g} from normal_strength="
                    f"{self.normal_strength:g}, shear_strength={self.shear_strength:g}, normal_toughness="
                    f"{self.normal_toughness:g}, shear_toughness={self.shear_toughness:g}; choose other units"
                )

    @property
    def parameters(self) -> dict[str, float]:
        """Keywords that make this law again, a dict."""
        names = ("normal_strength", "shear_strength", "normal_toughness", "shear_toughness")
        fields = {name: getattr(self, name) for name in names}
        return {**fields, "contact_stiffness": self.stiffness[2], "friction": self.friction}

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.parameters.items())})"


class BilinearCohesive(_Softening):
    """Linear up to the strength, then linear softening, under mixed modes.

    Damage starts where (⟨tn⟩/normal_strength)² + (|ts|/shear_strength)² = 1 and is complete where the work reaches
    the mixed-mode toughness of Benzeggagh & Kenane (Compos. Sci. Technol. 56 (1996) 439-449),

        Gc = GI + (GII − GI) (Gshear/G)^exponent.

    After Camanho & Dávila (NASA/TM-2002-211737, Eqs. 10-19), with one change: the memory is the largest damage, not the
    largest separation, so that nothing heals when the mode changes. On paths of a fixed mode both are the same.
    With ``friction`` a damaged point in contact slides after Alfano & Sacco (2006), see :mod:`femnn.cohesive.damage`.

    Parameters
    ----------
    normal_strength, shear_strength
        Largest traction in pure opening and in pure shear, Pa.
    normal_toughness, shear_toughness
        Fracture energies GIc and GIIc of these modes, J/m².
    stiffness
        Before damage, in all directions, Pa/m. Default: as soft as leaves the onset of damage within a fiftieth of
        the final separation in both modes.
    exponent
        Of Benzeggagh and Kenane, >= 1; 2.284 is AS4/PEEK.
    contact_stiffness
        Penalty against interpenetration, Pa/m; default: ``stiffness``.
    friction
        Coulomb's coefficient of the damaged part.

    Raises
    ------
    ParameterError
        If a value is not allowed, or the stiffness is so low that a mode would have no softening.

    Examples
    --------
    >>> law = BilinearCohesive(80e6, 100e6, 969.0, 1719.0)
    >>> state = law.initial_state(1)
    >>> traction, tangent, state = law.update([[1e-5, 0.0, 0.0]], state)
    >>> f"{traction[0, 0]:.3e}", f"{law.damage(state)[0]:.3f}"
    ('4.793e+07', '0.971')
    """

    def __init__(
        self, normal_strength: float, shear_strength: float, normal_toughness: float, shear_toughness: float, *,
        stiffness: float | None = None, exponent: float = 2.284, contact_stiffness: float | None = None,
        friction: float = 0.0,
    ) -> None:  # fmt: skip
        moduli = (normal_strength, shear_strength, normal_toughness, shear_toughness)
        super().__init__(*moduli, contact_stiffness=contact_stiffness, friction=friction)
        strengths = np.array([self.normal_strength, self.shear_strength])
        toughnesses = np.array([self.normal_toughness, self.shear_toughness])
        with np.errstate(all="ignore"):
            least = float((strengths**2 / (2.0 * toughnesses)).max())
            usual = float((25.0 * strengths**2 / toughnesses).max())
        self._require_doubles(least_stiffness=least)
        if stiffness is None:
            self._require_doubles(stiffness=usual)
        stiffness = usual if stiffness is None else positive("stiffness", stiffness)
        if stiffness <= least:
            raise ParameterError(
                f"stiffness={stiffness:g} Pa/m is too low: at the strength the point would have taken up more than its "
                f"toughness; it must be above {least:g}"
            )
        self.exponent = positive("exponent", exponent)
        if self.exponent < 1.0:
            raise ParameterError(f"exponent={exponent!r} is not allowed; it must be at least 1")
        self.stiffness = (stiffness, stiffness, float(contact_stiffness or stiffness), self.friction)
        self.separation_scale = float((2.0 * toughnesses / strengths).max())
        self._require_doubles(separation_scale=self.separation_scale)

    @property
    def parameters(self) -> dict[str, float]:
        """Keywords that make this law again, a dict."""
        return {**super().parameters, "stiffness": self.stiffness[0], "exponent": self.exponent}

    def _target(self, separation):
        strengths, toughnesses = (
            (self.normal_strength, self.shear_strength),
            (self.normal_toughness, self.shear_toughness),
        )
        return _bilinear_damage(separation, self.stiffness[0], *strengths, *toughnesses, self.exponent)


class ExponentialCohesive(_Softening):
    """Smooth: every pure mode follows t = e · strength · (δ/δ0) exp(−δ/δ0), δ0 = toughness / (e · strength).

    The irreversible law of Ortiz & Pandolfi (Int. J. Numer. Meth. Engng 44 (1999) 1267-1282) with its universal
    exponential envelope, generalised to two strengths and two toughnesses: damage is 1 − exp(−κ) with
    κ² = (⟨δn⟩/δn0)² + (|δs|/δs0)². On paths of a fixed mode it dissipates GI/GIc + GII/GIIc = 1; with equal
    toughnesses it is theirs, β = shear strength / normal strength. Unloading goes to the origin.

    Parameters
    ----------
    normal_strength, shear_strength, normal_toughness, shear_toughness
        As :class:`BilinearCohesive`.
    contact_stiffness
        Penalty against interpenetration, Pa/m; default: the initial stiffness of opening.
    friction
        Coulomb's coefficient of the damaged part.

    Notes
    -----
    ``separation_scale`` is where 1 % of the strength is left: the law never vanishes. It softens from the first
    load on, and its initial stiffness e²·strength²/toughness cannot be chosen.

    Examples
    --------
    >>> import femnn
    >>> law = femnn.ExponentialCohesive(80e6, 100e6, 969.0, 1719.0)
    >>> traction, _, _ = law.update([[1e-6, 0.0, 0.0]], law.initial_state(1))
    >>> bool(0.0 < traction[0, 0] < 80e6)
    True
    """

    def __init__(
        self, normal_strength: float, shear_strength: float, normal_toughness: float, shear_toughness: float, *,
        contact_stiffness: float | None = None, friction: float = 0.0,
    ) -> None:  # fmt: skip
        moduli = (normal_strength, shear_strength, normal_toughness, shear_toughness)
        super().__init__(*moduli, contact_stiffness=contact_stiffness, friction=friction)
        with np.errstate(all="ignore"):
            # products of NumPy's numbers overflow without an exception
            e = np.float64(math.e)
            self.normal_length = float(self.normal_toughness / (e * self.normal_strength))
            self.shear_length = float(self.shear_toughness / (e * self.shear_strength))
            normal = float(e * self.normal_strength / np.float64(self.normal_length))
            shear = float(e * self.shear_strength / np.float64(self.shear_length))
        self._require_doubles(stiffness=normal)
        self._require_doubles(stiffness=shear, length=min(self.normal_length, self.shear_length))
        self.stiffness = (normal, shear, float(contact_stiffness or normal), self.friction)
        # κ exp(1 − κ) = 0.01
        self.separation_scale = 7.638352 * max(self.normal_length, self.shear_length)

    def _target(self, separation):
        return _exponential_damage(separation, self.normal_length, self.shear_length)


@njit(cache=True, error_model="numpy")
def _bilinear_damage(separation, stiffness, normal_strength, shear_strength, g1, g2, exponent):
    """Damage (n,) and its derivative (n, 3) by the separation."""
    n = separation.shape[0]
    target, gradient = np.zeros(n), np.zeros((n, 3))
    for k in range(n):
        opening = max(separation[k, 0], 0.0)
        sliding2 = separation[k, 1] ** 2 + separation[k, 2] ** 2
        size2 = opening * opening + sliding2
        size = np.sqrt(size2)
        if stiffness * size <= min(normal_strength, shear_strength):
            continue
        fraction = sliding2 / size2
        form = (1.0 - fraction) * shear_strength**2 + fraction * normal_strength**2
        onset = normal_strength * shear_strength / (stiffness * np.sqrt(form))
        if size <= onset:
            continue
        end = 2.0 * (g1 + (g2 - g1) * fraction**exponent) / (stiffness * onset)
        if size >= end:
            target[k] = 1.0
            continue
        onset_by_fraction = 0.5 * onset * (shear_strength**2 - normal_strength**2) / form
        toughness_by_fraction = (g2 - g1) * exponent * fraction ** (exponent - 1.0)
        end_by_fraction = 2.0 * toughness_by_fraction / (stiffness * onset) - end * onset_by_fraction / onset
        factor = end / (end - onset)
        target[k] = factor * (1.0 - onset / size)
        factor_by_fraction = (end * onset_by_fraction - onset * end_by_fraction) / (end - onset) ** 2
        by_fraction = factor_by_fraction * (1.0 - onset / size) - factor * onset_by_fraction / size
        by_size = factor * onset / size2
        gradient[k, 0] = (by_size - 2.0 * by_fraction * fraction / size) * opening / size
        for j in (1, 2):
            gradient[k, j] = (by_size + 2.0 * by_fraction * (1.0 - fraction) / size) * separation[k, j] / size
    return target, gradient


@njit(cache=True, error_model="numpy")
def _exponential_damage(separation, normal_length, shear_length):
    """Damage (n,) and its derivative (n, 3) by the separation."""
    n = separation.shape[0]
    target, gradient = np.zeros(n), np.zeros((n, 3))
    for k in range(n):
        a = max(separation[k, 0], 0.0) / normal_length
        b1, b2 = separation[k, 1] / shear_length, separation[k, 2] / shear_length
        size = np.sqrt(a * a + b1 * b1 + b2 * b2)
        if size == 0.0:
            continue
        left = np.exp(-size)
        target[k] = 1.0 - left
        gradient[k, 0] = left * a / size / normal_length
        gradient[k, 1] = left * b1 / size / shear_length
        gradient[k, 2] = left * b2 / size / shear_length
    return target, gradient


class ContactCohesive(DamageLaw):
    """No cohesion: a penalty against interpenetration and Coulomb friction, for faces that are cracked from the start.

    Parameters
    ----------
    contact_stiffness
        Penalty, in the normal direction and for elastic stick, Pa/m.
    friction
        Coulomb's coefficient.

    Examples
    --------
    Pressed and slid beyond what friction bears:

    >>> from femnn.cohesive import ContactCohesive
    >>> law = ContactCohesive(1e12, friction=0.5)
    >>> traction, _, _ = law.update([[-1e-6, 1e-5, 0.0]], law.initial_state(1))
    >>> traction
    array([[-1000000.,   500000.,        0.]])
    """

    # nothing is left to soften
    separation_scale = 0.0

    def __init__(self, contact_stiffness: float, friction: float = 0.0) -> None:
        stiffness = positive("contact_stiffness", contact_stiffness)
        self.stiffness = (stiffness, stiffness, stiffness, positive("friction", friction, zero=True))

    def __repr__(self):
        return f"ContactCohesive({self.stiffness[2]!r}, friction={self.stiffness[3]!r})"

    def _virgin(self, n):
        values = np.zeros((n, 3))
        values[:, damage.DAMAGE] = 1.0
        return values

    def _target(self, separation):
        return np.zeros(len(separation)), np.zeros_like(separation)
