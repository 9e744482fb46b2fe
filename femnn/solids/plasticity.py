"""Plasticity: von Mises with isotropic and kinematic hardening, and Drucker and Prager with a return to the apex.

Both return along closed formulas or one scalar equation, with consistent tangents. With finite strains they are laws in
logarithmic strains, additive in elastic and plastic ones (C. Miehe, N. Apel, M. Lambrecht, CMAME 191 (2002) 5383-5425).
"""

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import one_of
from femnn.exceptions import ParameterError
from femnn.solids.material import Material, moduli, parameter
from femnn.solids.tensors import in_logarithmic_strains
from femnn.system.compile import njit

# Of the scalar equation of the return: most iterations, and what is enough relative to the trial stress.
_MOST, _ENOUGH = 50, 1e-14


@njit(cache=True, error_model="numpy")
def elastic_tangent(bulk, shear, share, tangent):
    """K 1⊗1 + 2 G · share · (deviatoric identity), by Voigt."""
    for i in range(6):
        for j in range(6):
            tangent[i, j] = bulk - 2.0 / 3.0 * shear * share if i < 3 and j < 3 else 0.0
        tangent[i, i] += (2.0 if i < 3 else 1.0) * shear * share


@njit(cache=True, error_model="numpy")
def deviatoric_norm(stress):
    """√(s:s) of a stress by Voigt whose normal part is deviatoric."""
    total = 0.0
    for i in range(3):
        total += stress[i] ** 2 + 2.0 * stress[i + 3] ** 2
    return np.sqrt(total)


@njit(cache=True, error_model="numpy")
def von_mises(strain, state, parameters, stress, tangent, new_state):
    """Radial return: K, G, yield stress, slope, saturation and its rate, kinematic slope, α, ΔT.

    ``state`` has the plastic strain (6,) and the equivalent plastic strain.
    """
    bulk, shear, strength, slope, saturation, rate, kinematic = parameters[:7]
    volume = strain[0] + strain[1] + strain[2]
    for i in range(6):
        new_state[i] = state[i]
        # the back stress is 2/3 H times the plastic strain
        elastic = strain[i] - state[i] - (volume / 3.0 if i < 3 else 0.0)
        stress[i] = (2.0 if i < 3 else 1.0) * (shear * elastic - kinematic / 3.0 * state[i])
    new_state[6] = state[6]
    norm, root = deviatoric_norm(stress), np.sqrt(2.0 / 3.0)
    flow, hardening = 0.0, 0.0
    excess = norm - root * (strength + slope * state[6] + saturation * -np.expm1(-rate * state[6]))
    if excess > 0.0:
        for _ in range(_MOST):
            left = np.exp(-rate * (state[6] + root * flow))
            rest = norm - (2.0 * shear + 2.0 / 3.0 * kinematic) * flow
            rest -= root * (strength + slope * (state[6] + root * flow) + saturation * (1.0 - left))
            hardening = slope + saturation * rate * left
            if abs(rest) <= _ENOUGH * norm:
                break
            flow += rest / (2.0 * shear + 2.0 / 3.0 * (kinematic + hardening))
        new_state[6] += root * flow
    share = 1.0 - 2.0 * shear * flow / norm if flow > 0.0 else 1.0
    elastic_tangent(bulk, shear, share, tangent)
    along = 0.0
    if flow > 0.0:
        total = 2.0 * shear + 2.0 / 3.0 * (kinematic + hardening)
        along = (2.0 * shear) ** 2 * (1.0 / total - flow / norm) / norm**2
    for i in range(6):
        for j in range(6):
            tangent[i, j] -= along * stress[i] * stress[j]
    for i in range(6):
        step = flow * stress[i] / norm if flow > 0.0 else 0.0
        new_state[i] += (1.0 if i < 3 else 2.0) * step
        stress[i] += (2.0 if i < 3 else 1.0) * kinematic / 3.0 * state[i] - 2.0 * shear * step
        if i < 3:
            stress[i] += bulk * (volume - 3.0 * parameters[7] * parameters[8])


@njit(cache=True, error_model="numpy")
def drucker_prager(strain, state, parameters, stress, tangent, new_state):
    """√J₂ + η p ≤ ξ c, flow along √J₂ + η̄ p: K, G, c, slope of c, η, η̄, ξ, α, ΔT; states as for von Mises.

    E. A. de Souza Neto, D. Perić, D. R. J. Owen, Computational Methods for Plasticity (2008), section 8.3.
    """
    bulk, shear, cohesion, slope, friction, dilation, share_c = parameters[:7]
    volume, plastic_volume = strain[0] + strain[1] + strain[2], state[0] + state[1] + state[2]
    for i in range(6):
        new_state[i] = state[i]
        elastic = strain[i] - state[i] - ((volume - plastic_volume) / 3.0 if i < 3 else 0.0)
        stress[i] = (2.0 if i < 3 else 1.0) * shear * elastic
    new_state[6] = state[6]
    pressure = bulk * (volume - plastic_volume - 3.0 * parameters[7] * parameters[8])
    size = deviatoric_norm(stress) / np.sqrt(2.0)
    strength = cohesion + slope * state[6]
    excess = size + friction * pressure - share_c * strength
    elastic_tangent(bulk, shear, 1.0, tangent)
    if not excess > 0.0:
        for i in range(3):
            stress[i] += pressure
        return
    inverse = 1.0 / (shear + bulk * friction * dilation + share_c**2 * slope)
    flow = excess * inverse
    if size - shear * flow > 0.0:
        _return_to_cone(size, pressure, flow, inverse, parameters, stress, tangent, new_state)
    else:
        _return_to_apex(pressure, strength, parameters, stress, tangent, new_state)


@njit(cache=True, error_model="numpy")
def _return_to_cone(size, pressure, flow, inverse, parameters, stress, tangent, new_state):
    bulk, shear, _, _, friction, dilation, share_c = parameters[:7]
    lost = shear * flow / size
    elastic_tangent(bulk, shear, 1.0 - lost, tangent)
    direction = np.empty(6)
    for i in range(6):
        direction[i] = stress[i] / (np.sqrt(2.0) * size)
    across = np.sqrt(2.0) * shear * bulk * inverse
    for i in range(6):
        for j in range(6):
            tangent[i, j] += 2.0 * shear * (lost - shear * inverse) * direction[i] * direction[j]
            if j < 3:
                tangent[i, j] -= across * friction * direction[i]
            if i < 3:
                tangent[i, j] -= across * dilation * direction[j]
            if i < 3 and j < 3:
                tangent[i, j] -= bulk * bulk * inverse * friction * dilation
    for i in range(6):
        new_state[i] += flow * ((0.5 if i < 3 else 1.0) * stress[i] / size + (dilation / 3.0 if i < 3 else 0.0))
        stress[i] *= 1.0 - lost
        if i < 3:
            stress[i] += pressure - bulk * dilation * flow
    new_state[6] += share_c * flow


@njit(cache=True, error_model="numpy")
def _return_to_apex(pressure, strength, parameters, stress, tangent, new_state):
    bulk, shear, _, slope, friction, dilation, share_c = parameters[:7]
    # hardening by ξ/η̄ for each plastic volume; none without a slope, whatever the dilation
    harder = slope * share_c / dilation if slope > 0.0 else 0.0
    ratio = share_c / friction
    opening = (pressure - ratio * strength) / (bulk + ratio * harder)
    left = bulk * (1.0 - bulk / (bulk + ratio * harder))
    for i in range(6):
        # what the deviatoric stress took goes into the plastic strain
        new_state[i] += stress[i] / ((2.0 if i < 3 else 1.0) * shear) + (opening / 3.0 if i < 3 else 0.0)
        stress[i] = pressure - bulk * opening if i < 3 else 0.0
        for j in range(6):
            tangent[i, j] = left if i < 3 and j < 3 else 0.0
    if slope > 0.0:
        new_state[6] += share_c / dilation * opening


class J2(Material):
    """Metal: von Mises' yield surface with isotropic and kinematic hardening.

    The yield stress is σ_y + H α + Q (1 - exp(-b α)) at the equivalent plastic strain α, the back stress 2/3 H_k times
    the plastic strain. J. C. Simo, T. J. R. Hughes, Computational Inelasticity (1998), box 3.2.

    Parameters
    ----------
    young, poisson
        Of the elastic part (Pa, -).
    strength
        Yield stress σ_y (Pa).
    isotropic
        Slope H of linear isotropic hardening (Pa).
    saturation, rate
        Q (Pa) and b of the part that saturates.
    kinematic
        Slope H_k of linear kinematic hardening (Pa), after W. Prager.
    expansion
        Coefficient of thermal expansion (1/K).
    kinematics
        ``"small"`` or ``"finite"``: logarithmic strains.

    Raises
    ------
    ParameterError

    Notes
    -----
    State: plastic strain (6,), with engineering shear strains, and equivalent plastic strain. Without any hardening the
    load has a limit that only formulations reach which do not lock: ``"mean-dilatation"``, ``"incompatible"``.

    Examples
    --------
    >>> steel = J2(210e9, 0.3, strength=235e6, isotropic=2e9)
    >>> stress, _, state = steel.update([[0, 0, 0, 0, 0, 0.01]], steel.initial_state(1))
    >>> bool(stress[0, 5] < 0.01 * 80.8e9), bool(state[0, 6] > 0.0)
    (True, True)
    """

    functions = {"small": von_mises, "finite": in_logarithmic_strains(von_mises)}  # noqa: RUF012 - never changed

    def __init__(
        self,
        young: ArrayLike,
        poisson: ArrayLike,
        strength: ArrayLike,
        *,
        isotropic: ArrayLike = 0.0,
        saturation: ArrayLike = 0.0,
        rate: ArrayLike = 0.0,
        kinematic: ArrayLike = 0.0,
        expansion: ArrayLike = 0.0,
        kinematics: str = "small",
    ) -> None:
        values = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        columns = [*moduli(young, poisson), parameter("strength", strength, "(0, inf)")]
        for name in ("isotropic", "saturation", "rate", "kinematic"):
            columns.append(parameter(name, values[name], "[0, inf)"))
        alpha = parameter("expansion", expansion, "(-inf, inf)")
        self._prepare(values, columns, kinematics, np.zeros(7), expansion=alpha)


class DruckerPrager(Material):
    """Soil, rock and concrete: Drucker and Prager's cone, with dilation of its own and a return to the apex.

    Parameters
    ----------
    young, poisson
        Of the elastic part (Pa, -).
    cohesion
        c (Pa).
    friction
        Angle of internal friction (degrees), between 0 and 90.
    dilation
        Angle of dilation (degrees), from 0 to the friction; None for the same, which makes the tangent symmetric.
    hardening
        Slope of the cohesion over the equivalent plastic strain (Pa); it needs some dilation.
    match
        The cone goes through the ``"compression"`` or the ``"tension"`` edges of Mohr and Coulomb's pyramid, or has its
        load in ``"plane-strain"``.
    expansion
        Coefficient of thermal expansion (1/K).
    kinematics
        ``"small"`` or ``"finite"``: logarithmic strains.

    Raises
    ------
    ParameterError

    Notes
    -----
    State as for :class:`J2`. Where dilation and friction differ the tangent is not symmetric: beyond 20,000 degrees of
    freedom pass ``solver=functools.partial(femnn.solve, points=mesh, method="splu")`` to :func:`femnn.newton`.

    Examples
    --------
    >>> soil = DruckerPrager(50e6, 0.3, cohesion=10e3, friction=30.0, dilation=10.0)
    >>> stress, _, _ = soil.update([[0.1, 0.1, 0.1, 0, 0, 0]], soil.initial_state(1))
    >>> stress[0, :3].round(3) + 0.0
    array([17320.508, 17320.508, 17320.508])
    """

    functions = {"small": drucker_prager, "finite": in_logarithmic_strains(drucker_prager)}  # noqa: RUF012 - never changed

    def __init__(
        self,
        young: ArrayLike,
        poisson: ArrayLike,
        cohesion: ArrayLike,
        friction: ArrayLike,
        dilation: ArrayLike | None = None,
        *,
        hardening: ArrayLike = 0.0,
        match: str = "compression",
        expansion: ArrayLike = 0.0,
        kinematics: str = "small",
    ) -> None:
        values = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        phi = np.radians(parameter("friction", friction, "(0, 90)"))
        psi = phi if dilation is None else np.radians(parameter("dilation", dilation, "[0, 90)"))
        slope = parameter("hardening", hardening, "[0, inf)")
        if np.any(psi > phi):
            raise ParameterError(
                f"dilation={dilation!r} is more than friction={friction!r}, which would create energy; pass at most "
                "that"
            )
        if np.any((slope > 0.0) & (psi <= 0.0)):
            raise ParameterError("hardening needs dilation: without it the apex cannot be reached; pass dilation > 0")
        kind = one_of("match", match, ("compression", "tension", "plane-strain"))
        eta, xi = _cone(phi, kind)
        columns = [
            *moduli(young, poisson),
            parameter("cohesion", cohesion, "(0, inf)"),
            slope,
            eta,
            _cone(psi, kind)[0],
        ]
        alpha = parameter("expansion", expansion, "(-inf, inf)")
        self._prepare(values, [*columns, xi], kinematics, np.zeros(7), expansion=alpha)


def _cone(angle, match):
    """η and ξ of an angle (rad)."""
    sine, cosine = np.sin(angle), np.cos(angle)
    if match == "plane-strain":
        below = np.sqrt(9.0 * cosine**2 + 12.0 * sine**2)
        return 3.0 * sine / below, 3.0 * cosine / below
    below = np.sqrt(3.0) * (3.0 - sine if match == "compression" else 3.0 + sine)
    return 6.0 * sine / below, 6.0 * cosine / below
