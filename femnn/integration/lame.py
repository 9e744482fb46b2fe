"""Lamé's constants, which scikit-fem computes, behind a check of the material."""

from typing import Any

import numpy as np
import skfem.models.elasticity
from numpy.typing import ArrayLike

from femnn.checks import brief, floats
from femnn.exceptions import ParameterError


def lame_parameters(young: ArrayLike, poisson: ArrayLike) -> tuple[Any, Any]:
    """Lamé's λ and μ (Pa) from Young's modulus (Pa) and Poisson's ratio, numbers or arrays that fit together.

    Raises
    ------
    ParameterError
        Unless young > 0 and -1 < poisson < 0.5 everywhere.

    Examples
    --------
    >>> lame_parameters(1.0, 0.25)
    (0.4, 0.4)
    """
    modulus = _within(young, 0.0, np.inf, "Young's modulus is {}; it must be a positive number, in Pa")
    ratio = _within(
        poisson,
        -1.0,
        0.5,
        "Poisson's ratio is {}; isotropic elasticity needs a value between -1 and 0.5, both excluded (for nearly "
        "incompressible bodies pass 0.4999 with formulation='mean-dilatation' or 'incompatible')",
    )
    if modulus.ndim and ratio.ndim and modulus.shape != ratio.shape:
        raise ParameterError(f"young has shape {modulus.shape}, poisson {ratio.shape}; pass numbers or equal shapes")
    lmbda, mu = skfem.models.elasticity.lame_parameters(modulus, ratio)
    return (float(lmbda), float(mu)) if np.ndim(lmbda) == 0 else (lmbda, mu)


def _within(parameter: ArrayLike, low: float, high: float, message: str) -> np.ndarray:
    try:
        values = floats("it", parameter, finite=False)
    except ParameterError as error:
        raise ParameterError(f"{message.format(brief(parameter))} ({error})") from error
    wrong = ~((values > low) & (values < high))
    if wrong.any():
        value = brief(parameter) if values.ndim == 0 else f"{values[wrong][0]} at place {np.flatnonzero(wrong)[0]}"
        raise ParameterError(message.format(value))
    return values
