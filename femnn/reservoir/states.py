"""Moments of a porous body, and the fluid volumes between two of them."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from femnn.checks import floats


@dataclass(frozen=True, eq=False, repr=False)
class PorousState:
    """A moment of a porous body: time (s), displacements (n_u,) in m and pressures (s, n_p) in Pa, all read-only.

    Examples
    --------
    >>> import skfem
    >>> from femnn.reservoir import Conditions, PorousMedium, PorousProblem
    >>> medium = PorousMedium(young=1e9, poisson=0.2, permeability=1e-14)
    >>> conditions = Conditions(displacement={"bottom": (0.0, 0.0)}, pressure={"top": 0.0})
    >>> problem = PorousProblem(skfem.MeshQuad().refined(1).with_defaults(), medium, conditions)
    >>> state = problem.initial_state()
    >>> state.t, state.p.shape
    (0.0, (1, 9))
    """

    t: float
    u: np.ndarray
    p: np.ndarray

    def __repr__(self) -> str:
        return f"{type(self).__name__}(t = {self.t:.6g} s, {len(self.u)} displacements, pressures {self.p.shape})"

    def __post_init__(self) -> None:
        read_only(self, "u", "p")

    @property
    def x(self) -> np.ndarray:
        """All unknowns in one vector."""
        return np.concatenate([self.u, self.p.ravel()])


def read_only(state: Any, *names: str) -> None:
    """Make these attributes of a frozen dataclass read-only arrays of floats; ParameterError if they are no numbers."""
    for name in names:
        array = floats(name, getattr(state, name), finite=False)
        array.setflags(write=False)
        object.__setattr__(state, name, array)


class MassBalance(NamedTuple):
    """Fluid volumes of one time step, one number per pore system, m³ (m² in two dimensions).

    Attributes
    ----------
    stored : (s,)
        Gained, by the change of strain and pressure.
    injected : (s,)
        From wells, fluxes and sources; by wells that hold a pressure as well.
    exchanged : (s,)
        Taken over from the other system.
    through : dict of (s,)
        By boundary with prescribed pressure: what flowed in there.
    error : (s,)
        What is missing between them, over all that moved: their sizes and what strain and pressure displaced.

    Examples
    --------
    >>> import skfem
    >>> from femnn.reservoir import Conditions, PorousMedium, PorousProblem
    >>> medium = PorousMedium(young=1e9, poisson=0.2, permeability=1e-14)
    >>> pressed = {"traction": {"top": (0.0, -1e6)}, "pressure": {"top": 0.0}}
    >>> conditions = Conditions(displacement={"bottom": (0.0, 0.0)}, **pressed)
    >>> problem = PorousProblem(skfem.MeshQuad().refined(1).with_defaults(), medium, conditions)
    >>> start = problem.undrained()
    >>> balance = problem.balance(start, problem.step(start, 3600.0))
    >>> bool(balance.error.max() < 1e-9), bool(balance.through["top"][0] < 0.0)
    (True, True)
    """

    stored: np.ndarray
    injected: np.ndarray
    exchanged: np.ndarray
    through: dict
    error: np.ndarray
