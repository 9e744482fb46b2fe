"""The programs of the benchmark by name."""

from peers.dolfinx import DOLFINx
from peers.fedoo import Fedoo
from peers.felupe import FElupe
from peers.ngsolve import NGSolve, NGSolveNative
from peers.scikit_fem import Femnn, ScikitFem, ScikitFemNative
from peers.sfepy import SfePy

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
