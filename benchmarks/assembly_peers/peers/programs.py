"""The programs of the benchmark by name."""

from benchmarks.assembly_peers.peers.dolfinx import DOLFINx
from benchmarks.assembly_peers.peers.fedoo import Fedoo
from benchmarks.assembly_peers.peers.felupe import FElupe
from benchmarks.assembly_peers.peers.ngsolve import NGSolve, NGSolveNative
from benchmarks.assembly_peers.peers.scikit_fem import Femnn, ScikitFem, ScikitFemNative
from benchmarks.assembly_peers.peers.sfepy import SfePy

PROGRAMS = {
    "femnn": Femnn,
    "scikit-fem": ScikitFem,
    "scikit-fem-native": ScikitFemNative,
    "felupe": FElupe,
    "fedoo": Fedoo,
    "ngsolve": NGSolve,
    "ngsolve-native": NGSolveNative,
    "sfepy": SfePy,
    "dolfinx": DOLFINx,
}
