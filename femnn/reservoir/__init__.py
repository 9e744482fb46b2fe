"""Poroelastic bodies with one or two systems of pores: consolidation, wells, and pressures that move rock.

A :class:`PorousProblem` is a mesh with a :class:`PorousMedium` or :class:`DualPorousMedium` and :class:`Conditions`;
its ``step`` goes from one :class:`PorousState` to the next, and :func:`march` makes many of them. The equations are in
:mod:`femnn.reservoir.problem`, closed solutions to compare with in :mod:`femnn.reservoir.analytic`, and faults in
:mod:`femnn.reservoir.fault`.
"""

from femnn.reservoir.analytic import ConsolidatingColumn, CryerSphere, DeLeeuwCylinder, MandelSlab
from femnn.reservoir.conditions import Conditions, Well
from femnn.reservoir.in_situ import InSitu, slip_tendency
from femnn.reservoir.medium import DualPorousMedium, PoroelasticConstants, PorousMedium
from femnn.reservoir.output import Series, load_state, save_state
from femnn.reservoir.problem import PorousProblem
from femnn.reservoir.schedule import Schedule
from femnn.reservoir.states import MassBalance, PorousState
from femnn.solvers.nonlinear.time_march import march, march_by_error

__all__ = [
    "Conditions",
    "ConsolidatingColumn",
    "CryerSphere",
    "DeLeeuwCylinder",
    "DualPorousMedium",
    "InSitu",
    "MandelSlab",
    "MassBalance",
    "PoroelasticConstants",
    "PorousMedium",
    "PorousProblem",
    "PorousState",
    "Schedule",
    "Series",
    "Well",
    "load_state",
    "march",
    "march_by_error",
    "save_state",
    "slip_tendency",
]
