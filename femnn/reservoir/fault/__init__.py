"""A sealing fault in a porous reservoir: it bears traction by a cohesive law, leaks through its core, and may slip.

A :class:`Fault` is a split mesh with a law, a core for each pore system and the stress in situ; a
:class:`FaultedReservoir` puts it into a porous body, and :func:`femnn.reservoir.march` steps it on. The equations are
in :mod:`femnn.reservoir.fault.points`. An :class:`EmbeddedFault` goes through cells instead, and an
:class:`EmbeddedReservoir` holds it.
"""

from femnn.reservoir.fault.embedded import EmbeddedFault, EmbeddedReservoir
from femnn.reservoir.fault.embedded_states import EmbeddedBalance, EmbeddedFields, EmbeddedState
from femnn.reservoir.fault.flow import ConstantCore, CrackedCore, GranularCore, PredictedCore
from femnn.reservoir.fault.output import Event, FaultHistory, FaultSeries, load_state, save_state
from femnn.reservoir.fault.points import Fault
from femnn.reservoir.fault.problem import FaultedReservoir
from femnn.reservoir.fault.stability import Stability
from femnn.reservoir.fault.states import FaultBalance, FaultedState, FaultFields, FaultSites

__all__ = [
    "ConstantCore",
    "CrackedCore",
    "EmbeddedBalance",
    "EmbeddedFault",
    "EmbeddedFields",
    "EmbeddedReservoir",
    "EmbeddedState",
    "Event",
    "Fault",
    "FaultBalance",
    "FaultFields",
    "FaultHistory",
    "FaultSeries",
    "FaultSites",
    "FaultedReservoir",
    "FaultedState",
    "GranularCore",
    "PredictedCore",
    "Stability",
    "load_state",
    "save_state",
]
