"""Linear viscoelasticity: a Prony series of relaxing shear stresses."""

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import floats
from femnn.exceptions import ParameterError
from femnn.solids.material import Material, moduli, parameter
from femnn.solids.plasticity import elastic_tangent
from femnn.solids.tensors import in_logarithmic_strains
from femnn.system.compile import njit

# Parameters beside the terms: K, G; then α, ΔT and the time.
_BEFORE, _BEHIND = 2, 3


@njit(cache=True, error_model="numpy")
def viscoelastic(strain, state, parameters, stress, tangent, new_state):
    """K, G at once, (share, time) of each term, α, ΔT and the time.

    ``state`` has the time, the deviatoric strain (6,) and the stress of each term (6,), all of the last equilibrium.
    """
    bulk, shear, last = parameters[0], parameters[1], parameters.shape[0] - 1
    terms = (last + 1 - _BEFORE - _BEHIND) // 2
    new_state[0] = parameters[last]
    passed = max(parameters[last] - state[0], 0.0)
    volume = strain[0] + strain[1] + strain[2]
    left, share = 1.0, 0.0
    for p in range(terms):
        left -= parameters[_BEFORE + 2 * p]
    for i in range(6):
        new_state[1 + i] = strain[i] - (volume / 3.0 if i < 3 else 0.0)
        stress[i] = (2.0 if i < 3 else 1.0) * shear * left * new_state[1 + i]
    for p in range(terms):
        weight, ratio = parameters[_BEFORE + 2 * p], passed / parameters[_BEFORE + 2 * p + 1]
        fading = np.exp(-ratio)
        # exact where the strain goes straight to its new value
        mean = -np.expm1(-ratio) / ratio if ratio > 0.0 else 1.0
        share += weight * mean
        for i in range(6):
            place = 7 + 6 * p + i
            step = new_state[1 + i] - state[1 + i]
            new_state[place] = fading * state[place] + (2.0 if i < 3 else 1.0) * shear * weight * mean * step
            stress[i] += new_state[place]
    elastic_tangent(bulk, shear, left + share, tangent)
    for i in range(3):
        stress[i] += bulk * (volume - 3.0 * parameters[last - 2] * parameters[last - 1])


class Viscoelastic(Material):
    """Polymers: elastic in volume, relaxing in shear, G(t) = G (1 - Σ g_p + Σ g_p exp(-t/τ_p)).

    Each term is integrated exactly for strains that go straight from step to step (R. L. Taylor, K. S. Pister, G. L.
    Goudreau, IJNME 2 (1970) 45-59). The time is that of :meth:`femnn.Solid.set_time`: the t of :func:`femnn.newton`,
    whose ``steps`` are then times in seconds.

    Parameters
    ----------
    young, poisson
        At once, before anything relaxes (Pa, -).
    shares
        g_p of the shear modulus that relax, a list; positive, together less than 1.
    times
        τ_p (s), as many.
    expansion
        Coefficient of thermal expansion (1/K).
    kinematics
        ``"small"`` or ``"finite"``: logarithmic strains.

    Raises
    ------
    ParameterError

    Notes
    -----
    State: time, deviatoric strain (6,) and stress (6,) of each term. The first step to a time of 0 or less acts at
    once; where no time is set nothing relaxes.

    Examples
    --------
    >>> law = Viscoelastic(3e6, 0.3, shares=[0.5], times=[2.0])
    >>> strain = [[0, 0, 0, 0, 0, 0.01]]
    >>> at_once, _, state = law.update(strain, law.initial_state(1), time=0.0)
    >>> later, _, _ = law.update(strain, state, time=2.0)
    >>> float((later[0, 5] / at_once[0, 5]).round(4))
    0.6839
    """

    functions = {"small": viscoelastic, "finite": in_logarithmic_strains(viscoelastic)}  # noqa: RUF012 - never changed

    def __init__(
        self,
        young: ArrayLike,
        poisson: ArrayLike,
        shares: ArrayLike,
        times: ArrayLike,
        *,
        expansion: ArrayLike = 0.0,
        kinematics: str = "small",
    ) -> None:
        values = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        g, tau = (np.atleast_1d(floats(n, v)) for n, v in (("shares", shares), ("times", times)))
        if g.ndim != 1 or g.shape != tau.shape:
            raise ParameterError(f"there are shares {g.shape} and times {tau.shape}; pass lists of one length")
        parameter("shares", g, "(0, 1)")
        parameter("times", tau, "(0, inf)")
        if not g.sum() < 1.0:
            raise ParameterError(f"the shares sum to {g.sum():g}: nothing would be left; their sum must be below 1")
        columns = [*moduli(young, poisson), *np.stack([g, tau], axis=1).ravel()]
        alpha = parameter("expansion", expansion, "(-inf, inf)")
        self._prepare(values, columns, kinematics, np.zeros(7 + 6 * len(g)), ("time",), alpha)
