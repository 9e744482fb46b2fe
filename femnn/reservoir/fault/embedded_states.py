"""Moments of a reservoir with embedded faults, the fluid volumes between two of them, and their fields in a fault."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from femnn.cohesive.law import State
from femnn.reservoir.fault.states import sliding, tendency
from femnn.reservoir.states import PorousState, read_only


@dataclass(frozen=True, eq=False, repr=False)
class EmbeddedState(PorousState):
    """A moment of a porous body with embedded faults.

    Attributes
    ----------
    jumps : (n_ξ,)
        Of the displacements in the cut cells, fault by fault, m.
    fault_pressure : (cells,)
        Of the fluid in the fault in each cut cell, Pa, fault by fault.
    histories : tuple of State
        Of the law of each fault at its points.
    traction : (points, 3)
        Effective, of the laws, Pa.
    rate : (points, 3)
        Of separation in the step that led here, m/s: opening and sliding.
    leak_off : (s, cells)
        From the fault into the pores of each cut cell in that step, m³/s (m²/s in two dimensions).
    across : (s, cells)
        Through a fault that seals, from its minus to its plus side, in that step, m³/s; zero where pressures of the
        pores do not jump.
    pressure_jumps : (s, b)
        Of the pores, at vertices of cells that sealing faults cut, Pa.
    slip_error : float
        Estimated error of the sliding of any point in that step, m.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.interfaces import EmbeddedCrack
    >>> from femnn.reservoir import Conditions, PorousMedium
    >>> from femnn.reservoir.fault import ConstantCore, EmbeddedFault, EmbeddedReservoir
    >>> mesh = skfem.MeshQuad().refined(3).with_defaults()
    >>> crack = EmbeddedCrack.line(mesh, start=(0.2, 0.2), end=(0.8, 0.71))
    >>> fault = EmbeddedFault(crack, femnn.ContactCohesive(1e11, friction=0.6), ConstantCore(1e-13, 0.01, along=1e-9))
    >>> conditions = Conditions(displacement={"bottom": (0.0, 0.0)}, pressure={"right": 0.0})
    >>> reservoir = EmbeddedReservoir(PorousMedium(young=1e9, poisson=0.2, permeability=1e-14), conditions, fault)
    >>> state = reservoir.initial_state()
    >>> state.t, len(state.fault_pressure) == len(crack)
    (0.0, True)
    """

    jumps: np.ndarray
    fault_pressure: np.ndarray
    histories: tuple[State, ...]
    traction: np.ndarray
    rate: np.ndarray
    leak_off: np.ndarray
    across: np.ndarray
    pressure_jumps: np.ndarray
    slip_error: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        read_only(self, "jumps", "fault_pressure", "traction", "rate", "leak_off", "across", "pressure_jumps")

    @property
    def x(self) -> np.ndarray:
        """All unknowns in one vector: displacements, jumps, pressures of pores and faults, jumps of those of pores."""
        return np.concatenate([self.u, self.jumps, self.p.ravel(), self.fault_pressure, self.pressure_jumps.ravel()])


class EmbeddedBalance(NamedTuple):
    """Fluid volumes of one time step, one number per pore system, m³ (m² in two dimensions).

    Attributes
    ----------
    stored, injected, exchanged, through
        As in :class:`femnn.reservoir.problem.MassBalance`, of the pores; what jumps take off their strain included.
    leaked : (s,)
        From the faults into the pores.
    opened : float
        Taken up by the faults, as they open and as their cores fill.
    fed : float
        By the wells of the faults.
    error : (s + 1,)
        What is missing, over all that moved: of each pore system, then of the faults.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.interfaces import EmbeddedCrack
    >>> from femnn.reservoir import Conditions, PorousMedium, Well
    >>> from femnn.reservoir.fault import ConstantCore, EmbeddedFault, EmbeddedReservoir
    >>> mesh = skfem.MeshQuad().refined(3).with_defaults()
    >>> crack = EmbeddedCrack.line(mesh, start=(0.2, 0.2), end=(0.8, 0.71))
    >>> core, wells = ConstantCore(1e-13, 0.01, along=1e-9), [Well(crack.centre[2], rate=1e-7)]
    >>> fault = EmbeddedFault(crack, femnn.ContactCohesive(1e11, friction=0.6), core, wells=wells)
    >>> conditions = Conditions(displacement={"bottom": (0.0, 0.0)}, pressure={"right": 0.0})
    >>> reservoir = EmbeddedReservoir(PorousMedium(young=1e9, poisson=0.2, permeability=1e-14), conditions, fault)
    >>> start = reservoir.initial_state()
    >>> balance = reservoir.balance(start, reservoir.step(start, 3600.0))
    >>> round(balance.fed / 3600.0, 12), bool(balance.error.max() < 1e-9)
    (1e-07, True)
    """

    stored: np.ndarray
    injected: np.ndarray
    exchanged: np.ndarray
    through: dict
    leaked: np.ndarray
    opened: float
    fed: float
    error: np.ndarray


class EmbeddedFields(NamedTuple):
    """Fields of a state in one embedded fault; points of all its cut cells one after the other.

    Attributes
    ----------
    x : (dim, points)
    separation : (points, 3)
        Since the state in situ: opening and sliding, m.
    rate : (points, 3)
        m/s.
    traction : (points, 3)
        Effective, as the law has it: compression is negative; Pa.
    centre : (dim, cells)
        Middle of the fault in each cut cell.
    pressure : (cells,)
        Pa.
    beside : (2, s, cells)
        Of the pores at the minus and plus side, Pa; the same on both unless the fault seals.
    leak_off : (s, cells)
        Into the pores, m³/s (m²/s in two dimensions).
    across : (s, cells)
        From the minus to the plus side of a fault that seals, m³/s.
    damage : (points,)
        NaN where the law has none.
    outside : (points,) bool
        Has left the range that the law was trained in.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.interfaces import EmbeddedCrack
    >>> from femnn.reservoir import Conditions, PorousMedium
    >>> from femnn.reservoir.fault import ConstantCore, EmbeddedFault, EmbeddedReservoir
    >>> mesh = skfem.MeshQuad().refined(3).with_defaults()
    >>> crack = EmbeddedCrack.line(mesh, start=(0.2, 0.2), end=(0.8, 0.71))
    >>> fault = EmbeddedFault(crack, femnn.ContactCohesive(1e11, friction=0.6), ConstantCore(1e-13, 0.01, along=1e-9))
    >>> conditions = Conditions(displacement={"bottom": (0.0, 0.0)}, pressure={"right": 0.0})
    >>> reservoir = EmbeddedReservoir(PorousMedium(young=1e9, poisson=0.2, permeability=1e-14), conditions, fault)
    >>> (fields,) = reservoir.fields(reservoir.initial_state())
    >>> fields.slip.max(), fields.pressure.max()
    (np.float64(0.0), np.float64(0.0))
    """

    x: np.ndarray
    separation: np.ndarray
    rate: np.ndarray
    traction: np.ndarray
    centre: np.ndarray
    pressure: np.ndarray
    beside: np.ndarray
    leak_off: np.ndarray
    across: np.ndarray
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


def joined(fields: Sequence[EmbeddedFields]) -> EmbeddedFields:
    """Fields of several faults as those of one, one fault after the other."""
    along_points = ("separation", "rate", "traction", "damage", "outside")
    own = {name: [getattr(part, name) for part in fields] for name in EmbeddedFields._fields}
    return EmbeddedFields(**{
        name: np.concatenate(values, axis=0 if name in (*along_points, "pressure") else -1)
        for name, values in own.items()
    })  # fmt: skip
