"""Material parameters and their checks."""

from numbers import Real

import numpy as np

from femnn.exceptions import ParameterError


def lame_parameters(young, poisson):
    """Lamé's λ and μ (Pa) from Young's modulus (Pa) and Poisson's ratio.

    Raises
    ------
    ParameterError
        Unless young > 0 and -1 < poisson < 0.5.
    """
    if not isinstance(young, Real) or not 0.0 < young < np.inf:
        raise ParameterError(f"Young's modulus is {young!r}; it must be a positive number, in Pa")
    if not isinstance(poisson, Real) or not -1.0 < poisson < 0.5:
        raise ParameterError(
            f"Poisson's ratio is {poisson!r}; isotropic elasticity needs a value between -1 and 0.5, both excluded"
        )
    return young * poisson / ((1.0 + poisson) * (1.0 - 2.0 * poisson)), young / (2.0 * (1.0 + poisson))
