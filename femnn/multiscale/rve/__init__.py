"""Representative cells of elastic blocks between cracks, condensed to a cohesive law.

An :class:`RVE` answers a macro-separation (opening, shear) with its homogenised traction and tangent;
:class:`RVELaw` puts it behind the contract of the laws, :func:`follow` drives it along a path, :func:`simulate_paths`
makes a data set of many paths, and :class:`CellPermeability` says what the cracks conduct.

>>> from femnn.cohesive import BilinearCohesive
>>> from femnn.multiscale.rve import RVE, parallel_cracks
>>> rve = RVE(parallel_cracks(1e-2, 1e-2), BilinearCohesive(80e6, 100e6, 969.0, 1719.0), young=300e9)
>>> rve.update([1e-6, 0.0], rve.initial_state()).traction.shape
(2,)
"""

from femnn.io.path_data import PathCommand, PathDataSet, PathResponse
from femnn.multiscale.rve.cells import block_network, echelon_cracks, joint_sets, parallel_cracks
from femnn.multiscale.rve.commands import KINDS, WorkingRange, draw_cycles, draw_path, springs_of
from femnn.multiscale.rve.cut import Cell
from femnn.multiscale.rve.dataset import FaultCell, FaultCell3D, law_named, simulate_paths
from femnn.multiscale.rve.from_mesh import cell_of_mesh
from femnn.multiscale.rve.law import RVELaw
from femnn.multiscale.rve.output import CellSeries
from femnn.multiscale.rve.permeability import CellPermeability, CrackFilling
from femnn.multiscale.rve.reduced import ReducedRVE
from femnn.multiscale.rve.response import follow
from femnn.multiscale.rve.rve import RVE
from femnn.multiscale.rve.state import CellResponse, CellState, Spring

__all__ = [
    "KINDS", "RVE", "Cell", "CellPermeability", "CellResponse", "CellSeries", "CellState", "CrackFilling",
    "FaultCell", "FaultCell3D", "PathCommand", "PathDataSet", "PathResponse", "RVELaw", "ReducedRVE", "Spring",
    "WorkingRange", "block_network", "cell_of_mesh", "draw_cycles", "draw_path", "echelon_cracks", "follow",
    "joint_sets", "law_named", "parallel_cracks", "simulate_paths", "springs_of",
]  # fmt: skip
