"""Trained networks inside scikit-fem, where they pay.

>>> import femnn
>>> femnn.GaussLegendre(2)
GaussLegendre(2)
"""

from importlib import metadata

from femnn.assembly.bases import bases
from femnn.assembly.elasticity import assemble_elasticity
from femnn.assembly.forces import assemble_body_force, assemble_internal_force
from femnn.assembly.forms import assemble_diffusion, assemble_mass
from femnn.assembly.hourglass.correction import HourglassCorrection
from femnn.assembly.pattern import Pattern
from femnn.cohesive.classical import BilinearCohesive, ContactCohesive, ExponentialCohesive
from femnn.cohesive.recurrent.law import RecurrentCohesive
from femnn.exceptions import (
    ConvergenceError,
    DatasetError,
    FemnnError,
    FemnnWarning,
    FoldedElementError,
    LawError,
    MeshError,
    MissingExtraError,
    OutsideRangeError,
    ParameterError,
    SchedulerError,
    SimulationError,
    SingularMatrixError,
    StateError,
    TaskError,
    TrainingError,
    WeightFileError,
)
from femnn.geometry.mesh import hexahedra
from femnn.geometry.sampling import distorted_hexahedra
from femnn.integration.error import integration_error
from femnn.interfaces.elements import InterfaceElements
from femnn.interfaces.problem import CohesiveProblem
from femnn.interfaces.split import Interface
from femnn.quadrature.adaptive.rule import AdaptiveGauss
from femnn.quadrature.corrected.rule import CorrectedGauss
from femnn.quadrature.gauss import GaussLegendre
from femnn.quadrature.irons import Irons
from femnn.quadrature.moved.rule import MovedGauss
from femnn.quadrature.rule import CellGroup, Rule
from femnn.solids.laws import ConstitutiveLaw, PointLaw
from femnn.solids.solid import Solid
from femnn.solvers.linear.solve import Solution, solve
from femnn.solvers.nonlinear.arc_length import arc_length
from femnn.solvers.nonlinear.load_path import LoadPath, NonlinearProblem
from femnn.solvers.nonlinear.newton import newton

__version__ = metadata.version("femnn")

__all__ = [
    "AdaptiveGauss",
    "BilinearCohesive",
    "CellGroup",
    "CohesiveProblem",
    "ConstitutiveLaw",
    "ContactCohesive",
    "ConvergenceError",
    "CorrectedGauss",
    "DatasetError",
    "ExponentialCohesive",
    "FemnnError",
    "FemnnWarning",
    "FoldedElementError",
    "GaussLegendre",
    "HourglassCorrection",
    "Interface",
    "InterfaceElements",
    "Irons",
    "LawError",
    "LoadPath",
    "MeshError",
    "MissingExtraError",
    "MovedGauss",
    "NonlinearProblem",
    "OutsideRangeError",
    "ParameterError",
    "Pattern",
    "PointLaw",
    "RecurrentCohesive",
    "Rule",
    "SchedulerError",
    "SimulationError",
    "SingularMatrixError",
    "Solid",
    "Solution",
    "StateError",
    "TaskError",
    "TrainingError",
    "WeightFileError",
    "arc_length",
    "assemble_body_force",
    "assemble_diffusion",
    "assemble_elasticity",
    "assemble_internal_force",
    "assemble_mass",
    "bases",
    "distorted_hexahedra",
    "hexahedra",
    "integration_error",
    "newton",
    "solve",
]
