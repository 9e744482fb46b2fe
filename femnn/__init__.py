"""Neural-network quadrature rules and cohesive laws for scikit-fem.

Swap one name in a scikit-fem program that works: a rule that spends as few integration points on each hexahedron as its
tolerance allows, or a constitutive law of interfaces that was trained on simulations.

>>> import femnn, skfem
>>> mesh = skfem.MeshHex().refined(2)
>>> bases = femnn.bases(mesh, skfem.ElementVector(skfem.ElementHex1()), femnn.AdaptiveGauss(tol=1e-3))
>>> sum(basis.nelems for basis in bases)
64

The everyday names by family; each room has more of them and says what it is for.

Meshes (:mod:`femnn.mesh_files`) and their elements (:mod:`femnn.geometry`)
    ``read_mesh``; ``hexahedra``, ``distorted_hexahedra``
Rules (:mod:`femnn.quadrature`)
    ``GaussLegendre``, ``Irons``, ``AdaptiveGauss``, ``CorrectedGauss``, ``MovedGauss``; ``Rule`` and ``CellGroup``, the
    contract; ``integration_error`` (:mod:`femnn.integration`)
Assembly (:mod:`femnn.assembly`)
    ``bases`` for any form of scikit-fem; ``assemble_elasticity``, ``assemble_diffusion``, ``assemble_mass``,
    ``assemble_body_force``, ``assemble_internal_force``; ``Loads``, ``Pattern``, ``HourglassCorrection``
Results (:mod:`femnn.fields`)
    ``stress``, ``recover``, ``error_estimate``, ``reactions``, ``LoadCurve``, ``save_fields``
Solids (:mod:`femnn.solids`)
    ``Solid``; its laws ``LinearElastic``, ``Orthotropic``, ``Anisotropic``, ``NeoHooke``, ``MooneyRivlin``, ``Ogden``,
    ``J2``, ``DruckerPrager``, ``Damage``, ``Viscoelastic``; ``PointLaw``, ``ConstitutiveLaw`` for others;
    ``FollowerPressure``
Solvers (:mod:`femnn.solvers`)
    ``solve``, ``Solution``, ``LinearSolver``; ``newton``, ``arc_length``, ``LoadPath``, ``NonlinearProblem``,
    ``ProblemSum``
Interfaces (:mod:`femnn.interfaces`) and their laws (:mod:`femnn.cohesive`)
    ``Interface``, ``InterfaceElements``, ``CohesiveProblem``; ``BilinearCohesive``, ``ExponentialCohesive``,
    ``ContactCohesive``, ``PointCohesive``, ``RecurrentCohesive``

Reduced models of a structure that is solved many times are in :mod:`femnn.reduced`, porous bodies and faults in
:mod:`femnn.reservoir`, grains and representative cells in :mod:`femnn.multiscale`, runs on many ranks in
:mod:`femnn.parallel`. Every error is a :class:`FemnnError` of :mod:`femnn.exceptions`.
"""

from importlib import metadata

from femnn.assembly.bases import bases
from femnn.assembly.elasticity import assemble_elasticity
from femnn.assembly.forces import assemble_body_force, assemble_internal_force
from femnn.assembly.forms import assemble_diffusion, assemble_mass
from femnn.assembly.hourglass.correction import HourglassCorrection
from femnn.assembly.loads import Loads
from femnn.assembly.pattern import Pattern
from femnn.cohesive.classical import BilinearCohesive, ContactCohesive, ExponentialCohesive
from femnn.cohesive.own import PointCohesive
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
from femnn.fields.estimate import error_estimate
from femnn.fields.output import save_fields
from femnn.fields.reactions import LoadCurve, reactions
from femnn.fields.recovery import recover
from femnn.fields.stress import stress
from femnn.geometry.mesh import hexahedra
from femnn.geometry.sampling import distorted_hexahedra
from femnn.integration.error import integration_error
from femnn.interfaces.elements import InterfaceElements
from femnn.interfaces.problem import CohesiveProblem
from femnn.interfaces.split import Interface
from femnn.mesh_files.read import read_mesh
from femnn.quadrature.adaptive.rule import AdaptiveGauss
from femnn.quadrature.corrected.rule import CorrectedGauss
from femnn.quadrature.gauss import GaussLegendre
from femnn.quadrature.irons import Irons
from femnn.quadrature.moved.rule import MovedGauss
from femnn.quadrature.rule import CellGroup, Rule
from femnn.solids.damage import Damage
from femnn.solids.elastic import Anisotropic, LinearElastic, Orthotropic
from femnn.solids.hyperelastic import MooneyRivlin, NeoHooke, Ogden
from femnn.solids.laws import ConstitutiveLaw, PointLaw
from femnn.solids.plasticity import J2, DruckerPrager
from femnn.solids.pressure import FollowerPressure
from femnn.solids.solid import Solid
from femnn.solids.viscoelastic import Viscoelastic
from femnn.solvers.linear.solver import LinearSolver, Solution, solve
from femnn.solvers.nonlinear.arc_length import arc_length
from femnn.solvers.nonlinear.load_path import LoadPath, NonlinearProblem
from femnn.solvers.nonlinear.newton import newton
from femnn.solvers.nonlinear.problem_sum import ProblemSum

__version__ = metadata.version("femnn")

__all__ = [
    "J2",
    "AdaptiveGauss",
    "Anisotropic",
    "BilinearCohesive",
    "CellGroup",
    "CohesiveProblem",
    "ConstitutiveLaw",
    "ContactCohesive",
    "ConvergenceError",
    "CorrectedGauss",
    "Damage",
    "DatasetError",
    "DruckerPrager",
    "ExponentialCohesive",
    "FemnnError",
    "FemnnWarning",
    "FoldedElementError",
    "FollowerPressure",
    "GaussLegendre",
    "HourglassCorrection",
    "Interface",
    "InterfaceElements",
    "Irons",
    "LawError",
    "LinearElastic",
    "LinearSolver",
    "LoadCurve",
    "LoadPath",
    "Loads",
    "MeshError",
    "MissingExtraError",
    "MooneyRivlin",
    "MovedGauss",
    "NeoHooke",
    "NonlinearProblem",
    "Ogden",
    "Orthotropic",
    "OutsideRangeError",
    "ParameterError",
    "Pattern",
    "PointCohesive",
    "PointLaw",
    "ProblemSum",
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
    "Viscoelastic",
    "WeightFileError",
    "arc_length",
    "assemble_body_force",
    "assemble_diffusion",
    "assemble_elasticity",
    "assemble_internal_force",
    "assemble_mass",
    "bases",
    "distorted_hexahedra",
    "error_estimate",
    "hexahedra",
    "integration_error",
    "newton",
    "reactions",
    "read_mesh",
    "recover",
    "save_fields",
    "solve",
    "stress",
]
