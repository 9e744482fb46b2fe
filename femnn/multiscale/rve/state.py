"""State of a cell, the spring that holds it, and its response."""

from typing import NamedTuple

import numpy as np

from femnn.cohesive.law import Response, State


class CellState(NamedTuple):
    """History of a cell; :meth:`RVE.pack` makes a plain array of it.

    Attributes
    ----------
    x : (n,)
        Jumps of the cracks, then opening and shear of the macro-separation, m.
    follow : (n_jumps, 2)
        How the jumps followed the macro-separation last: where the next step begins its search. Zeros if unknown.
    cracks : State
        History of the cracks' law.
    """

    x: np.ndarray
    follow: np.ndarray
    cracks: State

    @property
    def separation(self) -> np.ndarray:
        """Opening and shear of the macro-separation, (2,), m."""
        return self.x[-2:]


class Spring(NamedTuple):
    """Spring in place of a prescribed opening: traction + stiffness · opening = load.

    Attributes
    ----------
    load : float
        Pa, negative in compression; with no stiffness a dead load.
    stiffness : float
        Pa/m.
    """

    load: float
    stiffness: float = 0.0


class CellResponse(NamedTuple):
    """Response of a cell.

    Attributes
    ----------
    traction : (2,)
        Homogenised, normal and shear, Pa.
    tangent : (2, 2)
        Consistent, ∂traction/∂separation at fixed old state, Pa/m; of the last part where the step was cut.
    state : CellState
    cracks : femnn.cohesive.law.Response
        Of the law of the cracks at their integration points.
    iterations, cuts : int
        Of Newton's method over all parts; how often the step was halved.
    """

    traction: np.ndarray
    tangent: np.ndarray
    state: CellState
    cracks: Response
    iterations: int
    cuts: int
