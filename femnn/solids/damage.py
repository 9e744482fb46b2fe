"""Isotropic damage: quasi-brittle materials that soften, with a length that keeps the energy of a crack."""

import numpy as np
from numpy.typing import ArrayLike

from femnn.solids.material import Material, moduli, parameter, same_length
from femnn.solids.plasticity import elastic_tangent
from femnn.solids.tensors import in_logarithmic_strains
from femnn.system.compile import njit


@njit(cache=True, error_model="numpy")
def equivalent_strain(strain, first, second, ratio, slope):
    """J. H. P. de Vree's modified von Mises strain, and its derivative (6,) in ``slope``.

    ``first`` is (k - 1)/(1 - 2ν), ``second`` 12 k/(1 + ν)², ``ratio`` k of compressive and tensile strength.
    """
    trace = strain[0] + strain[1] + strain[2]
    half_square = 0.0
    for i in range(3):
        slope[i], slope[i + 3] = strain[i] - trace / 3.0, 0.5 * strain[i + 3]
        half_square += 0.5 * slope[i] ** 2 + slope[i + 3] ** 2
    root = np.sqrt((first * trace) ** 2 + second * half_square)
    for i in range(6):
        # ∂J₂/∂γ = γ/2, which is the tensor's shear strain
        own = 0.5 * second * slope[i] + (first**2 * trace if i < 3 else 0.0)
        slope[i] = (own / root if root > 0.0 else 0.0) / (2.0 * ratio) + (first / (2.0 * ratio) if i < 3 else 0.0)
    return (first * trace + root) / (2.0 * ratio)


@njit(cache=True, error_model="numpy")
def damage(strain, state, parameters, stress, tangent, new_state):
    """σ = (1 - d) C ε: K, G, E, ft, Gf, (k - 1)/(1 - 2ν), 12 k/(1 + ν)², k, α, ΔT, length; the state is κ."""
    bulk, shear, young, strength, toughness, first, second, ratio, expansion, temperature, length = parameters
    own, slope = np.empty(6), np.empty(6)
    for i in range(6):
        own[i] = strain[i] - (expansion * temperature if i < 3 else 0.0)
    trace = own[0] + own[1] + own[2]
    for i in range(6):
        stress[i] = shear * own[i]
        if i < 3:
            stress[i] = (bulk - 2.0 / 3.0 * shear) * trace + 2.0 * shear * own[i]
    start = strength / young
    # exponential softening, whose area over the crack's opening is the toughness
    spread = toughness / (length * strength) - 0.5 * start
    equal = equivalent_strain(own, first, second, ratio, slope)
    grows = equal > max(state[0], start)
    new_state[0] = equal if grows else state[0]
    left, loss = 1.0, 0.0
    if new_state[0] > start:
        left = start / new_state[0] * np.exp((start - new_state[0]) / spread)
        loss = left * (1.0 / new_state[0] + 1.0 / spread) if grows else 0.0
    elastic_tangent(left * bulk, left * shear, 1.0, tangent)
    for i in range(6):
        for j in range(6):
            tangent[i, j] -= loss * stress[i] * slope[j]
    for i in range(6):
        stress[i] *= left


class Damage(Material):
    """Concrete, ceramics: isotropic damage with exponential softening, regularised by the size of the cells.

    σ = (1 - d) C ε with d = 1 - κ₀/κ exp(-(κ - κ₀)/κ_f), κ the largest equivalent strain so far, after J. H. P. de
    Vree, W. A. M. Brekelmans, M. A. J. van Gils, Comput. Struct. 55 (1995) 581-588. A crack takes one row of cells, of
    width h = V^{1/3}: κ_f = Gf/(h ft) - κ₀/2 gives it the same energy on any mesh (the crack band of Z. P. Bažant,
    B. H. Oh, Matér. Constr. 16 (1983) 155-177).

    Parameters
    ----------
    young, poisson
        Of the sound material (Pa, -).
    strength
        Tensile strength ft (Pa).
    toughness
        Energy of a crack Gf (J/m²).
    ratio
        Compressive over tensile strength.
    expansion
        Coefficient of thermal expansion (1/K).
    kinematics
        ``"small"`` or ``"finite"``: logarithmic strains.

    Raises
    ------
    ParameterError
        Also from :class:`femnn.Solid`, if cells are larger than 2 E Gf/ft², where the row would snap back by itself.

    Notes
    -----
    State: κ. Cracks do not close: a point softens in tension and compression alike. The tangent is not symmetric. h is
    the width of a crack along a row of cubes; where cracks run across cells, or cells are long, the energy is that of
    another width.

    Examples
    --------
    >>> concrete = Damage(30e9, 0.2, strength=3e6, toughness=100.0)
    >>> stress, _, _ = concrete.update([[2e-4, 0, 0, 0, 0, 0]], concrete.initial_state(1), length=0.01)
    >>> bool(stress[0, 0] < 3.4e6)
    True
    """

    functions = {"small": damage, "finite": in_logarithmic_strains(damage)}  # noqa: RUF012 - never changed

    def __init__(
        self,
        young: ArrayLike,
        poisson: ArrayLike,
        strength: ArrayLike,
        toughness: ArrayLike,
        *,
        ratio: ArrayLike = 10.0,
        expansion: ArrayLike = 0.0,
        kinematics: str = "small",
    ) -> None:
        values = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        bulk, shear = moduli(young, poisson)
        E, nu = np.asarray(young, dtype=float), np.asarray(poisson, dtype=float)
        k, ft = parameter("ratio", ratio, "[1, inf)"), parameter("strength", strength, "(0, inf)")
        Gf = parameter("toughness", toughness, "(0, inf)")
        same_length(("young", E), ("poisson", nu), ("ratio", k), ("strength", ft), ("toughness", Gf))
        self.largest_length = 2.0 * E * Gf / ft**2
        columns = [bulk, shear, E, ft, Gf, (k - 1.0) / (1.0 - 2.0 * nu), 12.0 * k / (1.0 + nu) ** 2, k]
        alpha = parameter("expansion", expansion, "(-inf, inf)")
        self._prepare(values, columns, kinematics, np.zeros(1), ("length",), alpha)
