"""State of a cell, the spring that holds it, and its response."""

from typing import NamedTuple

import numpy as np

from femnn.cohesive.law import Response, State


class CellState(NamedTuple):
    """History of a cell; :meth:`RVE.pack` makes a plain array of it.

    Attributes
    ----------
    x : (n,)
        Jumps of the cracks, m, then what drives the cell: macro-separation of a zone, m, mean strain of a volume.
    follow : (n_jumps, m)
        How the jumps followed the last m of these before: where the next step begins its search. Zeros if unknown.
    cracks : State
        History of the cracks' law.
    pressure : float
        Of the pores in blocks and cracks, Pa.

    Examples
    --------
    >>> import femnn
    >>> from femnn.multiscale.rve import RVE, parallel_cracks
    >>> glue = femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0)
    >>> rve = RVE(parallel_cracks(1e-2, 1e-2, columns=3, rows=2), glue, young=300e9)
    >>> rve.initial_state().separation
    array([0., 0.])
    """

    x: np.ndarray
    follow: np.ndarray
    cracks: State
    pressure: float = 0.0

    @property
    def separation(self) -> np.ndarray:
        """What drives the cell (m,): opening and shears of the macro-separation, m, or the mean strain of a volume."""
        return self.x[-self.follow.shape[1] :]


class Spring(NamedTuple):
    """Spring in place of a prescribed opening: total traction + stiffness · opening = load.

    It may hold other components of what drives a cell as well, see :meth:`femnn.multiscale.rve.rve.RVE.update`: a
    stress, + stiffness · strain = load in a volume.

    Attributes
    ----------
    load : float
        Pa, negative in compression; with no stiffness a dead load.
    stiffness : float
        Pa/m.

    Examples
    --------
    Under a pressure of 1 MPa the cell opens as far as it likes while it is sheared:

    >>> import femnn
    >>> from femnn.multiscale.rve import RVE, Spring, parallel_cracks
    >>> glue = femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0)
    >>> rve = RVE(parallel_cracks(1e-2, 1e-2, columns=3, rows=2), glue, young=300e9)
    >>> float(rve.update([0.0, 1e-6], rve.initial_state(), Spring(load=-1e6)).traction[0].round())
    -1000000.0
    """

    load: float
    stiffness: float = 0.0


class CellResponse(NamedTuple):
    """Response of a cell.

    Attributes
    ----------
    traction : (m,)
        Homogenised, Pa: normal traction and shears of a zone, mean stress of a volume; effective, that is the total one
        plus the pore pressure.
    tangent : (m, m)
        Consistent, ∂traction/∂separation at fixed old state, Pa/m, Pa in a volume; of the last part where the step was
        cut.
    state : CellState
    cracks : femnn.cohesive.law.Response
        Of the law of the cracks at their integration points.
    iterations, cuts : int
        Of Newton's method over all parts; how often the step was halved.

    Examples
    --------
    >>> import femnn
    >>> from femnn.multiscale.rve import RVE, parallel_cracks
    >>> glue = femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0)
    >>> rve = RVE(parallel_cracks(1e-2, 1e-2, columns=3, rows=2), glue, young=300e9)
    >>> response = rve.update([1e-6, 0.0], rve.initial_state())
    >>> response.traction.shape, response.cuts
    ((2,), 0)
    """

    traction: np.ndarray
    tangent: np.ndarray
    state: CellState
    cracks: Response
    iterations: int
    cuts: int
