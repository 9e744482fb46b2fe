"""Moments of a reservoir with a fault, the fluid volumes between two of them, and their fields in the fault."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from femnn.cohesive.law import State
from femnn.reservoir.states import PorousState, read_only


@dataclass(frozen=True, eq=False, repr=False)
class FaultedState(PorousState):
    """A moment of a porous body with a fault.

    Attributes
    ----------
    history : State
        Of the fault's law at its points.
    traction : (points, 3)
        Effective, of the law, Pa.
    rate : (points, 3)
        Of separation in the step that led here, m/s: opening and sliding.
    leak_off : (s, points)
        From minus to plus in that step, m/s.
    along : (s · (dim − 1), points)
        Flow along the fault at its end by width, m²/s: by system, and by shear direction in three dimensions.
    slip_error : float
        Estimated error of the sliding of any point in that step, m.
    velocity : (n_u,)
        Of the displacements in that step, m/s; default: at rest.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.reservoir import Conditions, PorousMedium
    >>> from femnn.reservoir.fault import ConstantCore, Fault, FaultedReservoir
    >>> mesh = skfem.MeshQuad().refined(2).with_defaults()
    >>> mesh = mesh.with_boundaries({"fault": lambda x: x[0] == 0.5}, boundaries_only=False)
    >>> law = femnn.BilinearCohesive(4e6, 5e6, 4e4, 5e4, friction=0.5)
    >>> fault = Fault(femnn.Interface.split(mesh, "fault"), law, ConstantCore(1e-18, 1.0))
    >>> conditions = Conditions(displacement={"bottom": (0.0, 0.0)}, pressure={"right": 0.0})
    >>> reservoir = FaultedReservoir(PorousMedium(young=1e9, poisson=0.2, permeability=1e-14), conditions, fault)
    >>> state = reservoir.initial_state()
    >>> state.t, state.traction.shape
    (0.0, (12, 3))
    """

    history: State
    traction: np.ndarray
    rate: np.ndarray
    leak_off: np.ndarray
    along: np.ndarray
    slip_error: float = 0.0
    velocity: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.velocity is None:
            object.__setattr__(self, "velocity", np.zeros(len(self.u)))
        read_only(self, "traction", "rate", "leak_off", "along", "velocity")


class FaultBalance(NamedTuple):
    """Fluid volumes of one time step, one number per pore system, m³ (m² in two dimensions).

    Attributes
    ----------
    stored, injected, exchanged, through
        As in :class:`femnn.reservoir.MassBalance`.
    opened : (s,)
        Taken up by the fault, as it opens and as its core fills.
    leaked : (s,)
        Across the fault, from the minus to the plus side.
    error : (s,)
        What is missing, over all that moved: the worst of the body and of each of the parts that the fault makes of it.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.reservoir import Conditions, PorousMedium
    >>> from femnn.reservoir.fault import ConstantCore, Fault, FaultedReservoir
    >>> mesh = skfem.MeshQuad().refined(2).with_defaults()
    >>> mesh = mesh.with_boundaries({"fault": lambda x: x[0] == 0.5}, boundaries_only=False)
    >>> law = femnn.BilinearCohesive(4e6, 5e6, 4e4, 5e4, friction=0.5)
    >>> fault = Fault(femnn.Interface.split(mesh, "fault"), law, ConstantCore(1e-18, 1.0))
    >>> conditions = Conditions(displacement={"bottom": (0.0, 0.0)}, pressure={"right": 0.0})
    >>> reservoir = FaultedReservoir(PorousMedium(young=1e9, poisson=0.2, permeability=1e-14), conditions, fault)
    >>> start = reservoir.initial_state()
    >>> balance = reservoir.balance(start, reservoir.step(start, 3600.0))
    >>> balance.leaked.shape
    (1,)
    """

    stored: np.ndarray
    injected: np.ndarray
    exchanged: np.ndarray
    through: dict
    opened: np.ndarray
    leaked: np.ndarray
    error: np.ndarray


class FaultSites(NamedTuple):
    """The points of faults at which :class:`FaultFields` are; those of all facets one after the other.

    Attributes
    ----------
    parts : list of slice
        Points of each fault.
    x : (dim, points)
    dx : (points,)
        Area of each, m² (m per metre of thickness).
    shear_modulus : (points,)
        Of the rock on both sides, Pa.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.reservoir import Conditions, PorousMedium
    >>> from femnn.reservoir.fault import ConstantCore, Fault, FaultedReservoir
    >>> mesh = skfem.MeshQuad().refined(2).with_defaults()
    >>> mesh = mesh.with_boundaries({"fault": lambda x: x[0] == 0.5}, boundaries_only=False)
    >>> law = femnn.BilinearCohesive(4e6, 5e6, 4e4, 5e4, friction=0.5)
    >>> fault = Fault(femnn.Interface.split(mesh, "fault"), law, ConstantCore(1e-18, 1.0))
    >>> conditions = Conditions(displacement={"bottom": (0.0, 0.0)}, pressure={"right": 0.0})
    >>> reservoir = FaultedReservoir(PorousMedium(young=1e9, poisson=0.2, permeability=1e-14), conditions, fault)
    >>> len(reservoir.sites.parts), round(float(reservoir.sites.dx.sum()), 9)
    (1, 1.0)
    """

    parts: list
    x: np.ndarray
    dx: np.ndarray
    shear_modulus: np.ndarray


class FaultFields(NamedTuple):
    """Fields of a state in the fault; points of all facets one after the other.

    Attributes
    ----------
    x : (dim, points)
    separation : (points, 3)
        Since the state in situ: opening and sliding, m.
    rate : (points, 3)
        m/s.
    traction : (points, 3)
        Effective, as the law has it: compression is negative; Pa.
    pressure : (2, s, points)
        Of minus and plus side, Pa.
    leak_off : (s, points)
        From minus to plus, m/s.
    along : (s · (dim − 1), points)
        Flow along the fault by width, m²/s: by system, and by shear direction in three dimensions.
    damage : (points,)
        NaN where the law has none.
    outside : (points,) bool
        Has left the range that the law was trained in.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.reservoir import Conditions, PorousMedium
    >>> from femnn.reservoir.fault import ConstantCore, Fault, FaultedReservoir
    >>> mesh = skfem.MeshQuad().refined(2).with_defaults()
    >>> mesh = mesh.with_boundaries({"fault": lambda x: x[0] == 0.5}, boundaries_only=False)
    >>> law = femnn.BilinearCohesive(4e6, 5e6, 4e4, 5e4, friction=0.5)
    >>> fault = Fault(femnn.Interface.split(mesh, "fault"), law, ConstantCore(1e-18, 1.0))
    >>> conditions = Conditions(displacement={"bottom": (0.0, 0.0)}, pressure={"right": 0.0})
    >>> reservoir = FaultedReservoir(PorousMedium(young=1e9, poisson=0.2, permeability=1e-14), conditions, fault)
    >>> fields = reservoir.fields(reservoir.initial_state())
    >>> fields.x.shape, fields.separation.shape
    ((2, 12), (12, 3))
    """

    x: np.ndarray
    separation: np.ndarray
    rate: np.ndarray
    traction: np.ndarray
    pressure: np.ndarray
    leak_off: np.ndarray
    along: np.ndarray
    damage: np.ndarray
    outside: np.ndarray

    @property
    def slip(self) -> np.ndarray:
        """Sliding since the state in situ, (points,), m."""
        return sliding(self.separation)

    @property
    def slip_tendency(self) -> np.ndarray:
        """Shear over normal traction, (points,); infinite where the fault is not pressed."""
        return tendency(self.traction)


def sliding(separation: np.ndarray) -> np.ndarray:
    """Size (n,) of the sliding of separations (n, 2 or 3)."""
    return np.linalg.norm(separation[:, 1:], axis=1)


def tendency(traction: np.ndarray) -> np.ndarray:
    """Shear over normal traction, (n,), of tractions (n, 2 or 3); infinite where there is no pressure."""
    shear, normal = np.linalg.norm(traction[:, 1:], axis=1), -traction[:, 0]
    return np.divide(shear, normal, out=np.full(len(shear), np.inf), where=normal > 0.0)
