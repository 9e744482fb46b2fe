"""Rubber: energies of finite strains, neo-Hookean, Mooney and Rivlin's, Ogden's."""

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import floats
from femnn.exceptions import ParameterError
from femnn.geometry.shape_kernels import invert
from femnn.solids.material import Material, moduli, parameter
from femnn.solids.tensors import push_forward, stretches
from femnn.system.compile import njit

# Relative distance of squared stretches below which the quotient of differences is taken at their mean.
_EQUAL = 1e-5


def neo_hooke(gradient, state, parameters, stress, tangent, new_state):
    """W = μ/2 (I₁ - 3) - μ ln J + λ/2 (ln J)² of F/θ, times θ³: λ, μ, α and ΔT, θ = 1 + α ΔT."""
    lmbda, mu = parameters[0], parameters[1]
    scale = 1.0 + parameters[2] * parameters[3]
    deformation, inverse = np.empty((3, 3)), np.empty((3, 3))
    for r in range(9):
        deformation[r // 3, r % 3] = (gradient[r] + (1.0 if r % 4 == 0 else 0.0)) / scale
    jacobian = invert(deformation, inverse)
    if not jacobian > 0.0:
        return
    log = np.log(jacobian)
    for i in range(3):
        for j in range(3):
            r = 3 * i + j
            stress[r] = scale**2 * (mu * deformation[i, j] + (lmbda * log - mu) * inverse[j, i])
            for k in range(3):
                for m in range(3):
                    value = lmbda * inverse[j, i] * inverse[m, k] + (mu - lmbda * log) * inverse[j, k] * inverse[m, i]
                    tangent[r, 3 * k + m] = scale * (value + (mu if i == k and j == m else 0.0))


@njit(cache=True, error_model="numpy")
def principal_forces(excess, jacobian, parameters, terms, forces, slopes):
    """Kirchhoff stresses τ (3,) of an Ogden material and their derivatives in the logarithms of the stretches."""
    bulk = parameters[0]
    # J U' and J (J U')' of U = K/4 (J² - 1 - 2 ln J)
    pressure, stiffness = 0.5 * bulk * (jacobian**2 - 1.0), bulk * jacobian**2
    for a in range(3):
        forces[a] = pressure
        for b in range(3):
            slopes[a, b] = stiffness
    volume = np.log(jacobian) / 3.0
    powers = np.empty(3)
    for p in range(terms):
        mu, alpha = parameters[1 + 2 * p], parameters[2 + 2 * p]
        total = 0.0
        for a in range(3):
            # less one, so that small strains keep their digits
            powers[a] = np.expm1(alpha * (0.5 * np.log1p(excess[a]) - volume))
            total += powers[a] / 3.0
        for a in range(3):
            forces[a] += mu * (powers[a] - total)
            for b in range(3):
                own = powers[a] + 1.0 if a == b else 0.0
                slopes[a, b] += mu * alpha * (own - (powers[a] + powers[b] - total + 1.0) / 3.0)


def ogden(gradient, state, parameters, stress, tangent, new_state):
    """W = Σ μ_p/α_p (Σ λ̄_a^α_p - 3) + K/4 (J² - 1 - 2 ln J) of F/θ, times θ³: K, (μ_p, α_p), α and ΔT."""
    last = parameters.shape[0] - 1
    scale = 1.0 + parameters[last - 1] * parameters[last]
    deformation, excess, axes = np.empty((3, 3)), np.empty(3), np.empty((3, 3))
    jacobian = stretches(gradient, scale, deformation, excess, axes)
    if not jacobian > 0.0:
        return
    forces, slopes = np.empty(3), np.empty((3, 3))
    second, values = np.zeros((3, 3)), np.zeros((9, 9))
    principal_forces(excess, jacobian, parameters, (last - 2) // 2, forces, slopes)
    for a in range(3):
        second[a, a] = forces[a] / (1.0 + excess[a])
        for b in range(3):
            own = 2.0 * forces[a] if a == b else 0.0
            values[4 * a, 4 * b] = (slopes[a, b] - own) / ((1.0 + excess[a]) * (1.0 + excess[b]))
    for a in range(3):
        for b in range(3):
            if a != b:
                change = excess[b] - excess[a]
                if abs(change) > _EQUAL * (2.0 + excess[a] + excess[b]):
                    shear = (second[b, b] - second[a, a]) / change
                else:
                    shear = 0.25 * (values[4 * a, 4 * a] + values[4 * b, 4 * b] - 2.0 * values[4 * a, 4 * b])
                values[3 * a + b, 3 * a + b] += shear
                values[3 * a + b, 3 * b + a] += shear
    push_forward(deformation, axes, second, values, stress, tangent)
    for r in range(9):
        stress[r] *= scale**2
        for s in range(9):
            tangent[r, s] *= scale


class NeoHooke(Material):
    """Neo-Hookean rubber, compressible: W = μ/2 (I₁ - 3) - μ ln J + λ/2 (ln J)².

    T. Belytschko, W. K. Liu, B. Moran, Nonlinear Finite Elements (2000), section 5.4.

    Parameters
    ----------
    young, poisson
        Of small strains (Pa, -).
    expansion
        Coefficient of thermal expansion (1/K): stretches 1 + α ΔT are free of stress.

    Raises
    ------
    ParameterError

    Examples
    --------
    >>> P, _, _ = NeoHooke(3.0, 0.0).update([np.diag([1.0, 0, 0])], np.zeros((1, 0)))
    >>> float(P[0, 0, 0])
    2.25
    """

    functions = {"finite": neo_hooke}  # noqa: RUF012 - of the class, never changed

    def __init__(self, young: ArrayLike, poisson: ArrayLike, *, expansion: ArrayLike = 0.0) -> None:
        bulk, shear = moduli(young, poisson)
        alpha = parameter("expansion", expansion, "(-inf, inf)")
        values = {"young": young, "poisson": poisson, "expansion": expansion}
        self._prepare(values, [bulk - 2.0 / 3.0 * shear, shear], "finite", expansion=alpha)


class Ogden(Material):
    """Ogden's rubber: W = Σ μ_p/α_p (λ̄₁^α_p + λ̄₂^α_p + λ̄₃^α_p - 3) + K/4 (J² - 1 - 2 ln J), λ̄ = J^{-1/3} λ.

    R. W. Ogden, Proc. R. Soc. Lond. A 326 (1972) 565-584; the volumetric part of J. C. Simo, R. L. Taylor, CMAME 85
    (1991) 273-310.

    Parameters
    ----------
    moduli
        μ_p (Pa), a list; the shear modulus of small strains is Σ μ_p α_p/2.
    exponents
        α_p, as many.
    bulk
        Bulk modulus (Pa). Beyond some 20 shear moduli a ``formulation="mean-dilatation"`` keeps elements from locking.
    expansion
        Coefficient of thermal expansion (1/K).

    Raises
    ------
    ParameterError
        If a product μ_p α_p is not positive: some stretch would then release energy.

    Examples
    --------
    >>> law = Ogden([0.63e6, 0.0012e6, -0.01e6], [1.3, 5.0, -2.0], bulk=1e9)
    >>> law.initial_state(4).shape
    (4, 0)
    """

    functions = {"finite": ogden}  # noqa: RUF012 - of the class, never changed

    def __init__(self, moduli: ArrayLike, exponents: ArrayLike, bulk: ArrayLike, *, expansion: ArrayLike = 0.0) -> None:
        mu, alpha = (np.atleast_1d(floats(n, v)) for n, v in (("moduli", moduli), ("exponents", exponents)))
        if mu.ndim != 1 or mu.shape != alpha.shape:
            raise ParameterError(f"there are moduli {mu.shape} and exponents {alpha.shape}; pass lists of one length")
        wrong = np.flatnonzero(~(mu * alpha > 0.0))
        if len(wrong):
            p = wrong[0]
            raise ParameterError(
                f"term {p} has the modulus {mu[p]:g} and the exponent {alpha[p]:g}, whose product is not positive; "
                "give a negative exponent a negative modulus"
            )
        values = {"moduli": moduli, "exponents": exponents, "bulk": bulk, "expansion": expansion}
        columns = [parameter("bulk", bulk, "(0, inf)"), *np.stack([mu, alpha], axis=1).ravel()]
        self._prepare(values, columns, "finite", expansion=parameter("expansion", expansion, "(-inf, inf)"))


class MooneyRivlin(Material):
    """Mooney and Rivlin's rubber: W = c₁₀ (Ī₁ - 3) + c₀₁ (Ī₂ - 3) + K/4 (J² - 1 - 2 ln J).

    Ogden's with the exponents 2 and -2, and computed as such.

    Parameters
    ----------
    c10, c01
        Coefficients (Pa), the first positive, the second not negative; the shear modulus of small strains is
        2 (c₁₀ + c₀₁).
    bulk
        Bulk modulus (Pa).
    expansion
        Coefficient of thermal expansion (1/K).

    Raises
    ------
    ParameterError

    Examples
    --------
    >>> P, _, _ = MooneyRivlin(0.4e6, 0.1e6, bulk=1e9).update(np.zeros((1, 3, 3)), np.zeros((1, 0)))
    >>> float(abs(P).max())
    0.0
    """

    functions = {"finite": ogden}  # noqa: RUF012 - of the class, never changed

    def __init__(self, c10: ArrayLike, c01: ArrayLike, bulk: ArrayLike, *, expansion: ArrayLike = 0.0) -> None:
        first, second = parameter("c10", c10, "(0, inf)"), parameter("c01", c01, "[0, inf)")
        values = {"c10": c10, "c01": c01, "bulk": bulk, "expansion": expansion}
        columns: list[ArrayLike] = [parameter("bulk", bulk, "(0, inf)"), 2.0 * first, 2.0, -2.0 * second, -2.0]
        self._prepare(values, columns, "finite", expansion=parameter("expansion", expansion, "(-inf, inf)"))
