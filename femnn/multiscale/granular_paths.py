"""Paths that a layer of grains is commanded to follow: by displacement, or by load or stiffness normal to it."""

from dataclasses import dataclass, field

import numpy as np

from femnn.exceptions import ParameterError

#: How the normal component is commanded: by the separation; by the pressure; by a pressure that grows with opening.
CONTROLS = ("displacement", "load", "stiffness")


@dataclass(frozen=True)
class GrainPath:
    """Commands at k points, reached one after another along straight lines.

    Attributes
    ----------
    separation : (k, 3)
        d, zero first. Its normal component counts only under the control ``"displacement"``.
    load : (k,)
        p0, pressure under the other controls.
    stiffness : float
        p0/d: added to the load for each d of opening, under the control ``"stiffness"``.
    control, kind : str
        One of :data:`CONTROLS`; what the path is like, for tables.
    """

    separation: np.ndarray
    load: np.ndarray = field(default=None)
    stiffness: float = 0.0
    control: str = "displacement"
    kind: str = "shear"
