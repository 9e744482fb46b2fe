"""Numbers of a stress that do not depend on the axes."""

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import checked

_VOIGT = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])


@checked(stress="... 6")
def von_mises(stress: ArrayLike) -> np.ndarray:
    """Von Mises equivalent (...) of stresses (..., 6) in Voigt order, in their unit.

    Examples
    --------
    >>> float(von_mises([200e6, 0, 0, 0, 0, 0]))
    200000000.0
    """
    s = np.asarray(stress, dtype=float)
    xx, yy, zz, yz, xz, xy = np.moveaxis(s, -1, 0)
    normal = (xx - yy) ** 2 + (yy - zz) ** 2 + (zz - xx) ** 2
    return np.sqrt(0.5 * normal + 3.0 * (yz**2 + xz**2 + xy**2))


@checked(stress="... 6")
def principal(stress: ArrayLike) -> np.ndarray:
    """Principal stresses (..., 3), the largest first, of stresses (..., 6) in Voigt order.

    Examples
    --------
    >>> principal([0, 0, 0, 0, 0, 5.0]).round(12) + 0.0
    array([ 5.,  0., -5.])
    """
    return np.linalg.eigvalsh(np.asarray(stress, dtype=float)[..., _VOIGT])[..., ::-1]
