"""Material parameters and their checks."""

import numpy as np

from femnn.exceptions import ParameterError


def lame_parameters(young, poisson):
    """Lamé's λ and μ (Pa) from Young's modulus (Pa) and Poisson's ratio, numbers or arrays that fit together.

    Raises
    ------
    ParameterError
        Unless young > 0 and -1 < poisson < 0.5 everywhere.
    """
    modulus = _within(young, 0.0, np.inf, "Young's modulus is {}; it must be a positive number, in Pa")
    ratio = _within(
        poisson,
        -1.0,
        0.5,
        "Poisson's ratio is {}; isotropic elasticity needs a value between -1 and 0.5, both excluded",
    )
    lame, shear = modulus * ratio / ((1.0 + ratio) * (1.0 - 2.0 * ratio)), modulus / (2.0 * (1.0 + ratio))
    return (float(lame), float(shear)) if lame.ndim == 0 else (lame, shear)


def _within(given, low, high, message):
    values = np.asarray(given)
    if values.dtype.kind not in "iuf":
        raise ParameterError(message.format(repr(given)))
    wrong = ~((values > low) & (values < high))
    if wrong.any():
        found = repr(given) if values.ndim == 0 else f"{values[wrong][0]} at place {np.flatnonzero(wrong)[0]}"
        raise ParameterError(message.format(found))
    return values.astype(float)
