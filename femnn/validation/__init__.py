"""Problems and comparisons that examples, tests, benchmarks and commands share.

Beams that delaminate against closed forms, beams and a membrane that bend, a gallery with published answers, quadrature
rules side by side on a loaded structure, the inspection of a mesh and its page for a browser, a beam that swings,
travelling fronts and their reduced models, flows whose coefficients are forecast, and a beam that is struck. Pictures
and files of an inspection are in ``inspection_output``, which loads matplotlib, the study of training methods in
``training_study`` and ``training_problems``, which load torch.

>>> from femnn.validation import Beam
>>> Beam("dcb").mesh().nelements
1040
"""

from femnn.validation.bending import BendingProblem, cook_membrane, curved_beam, straight_beam, twisted_beam
from femnn.validation.burgers import BURGERS_TESTS, BURGERS_TRAINING, Burgers
from femnn.validation.burgers_reduced import SampledBurgers, SampledPath
from femnn.validation.burgers_study import BurgersStudy, ReducedRun, error_over_time, relative_error
from femnn.validation.burgers_wave import REYNOLDS_TESTS, REYNOLDS_TRAINING, BurgersWave
from femnn.validation.cylinder_wake import WAKE_RANGES, CylinderWake, WakeFigures, simulate_wake, wake_figures
from femnn.validation.delamination import (
    Beam,
    Delamination,
    Setup,
    classical,
    closed_form,
    delaminate,
    difference,
    mixed_mode,
    plateau,
)
from femnn.validation.dynamic_beam import DynamicBeam, Swing, SwingModel
from femnn.validation.flow_study import (
    FLOW_CASES,
    FlowCase,
    burgers_case,
    burgers_state_errors,
    coefficient_errors,
    flow_case,
    phase_errors,
    summarise,
    turbulence_case,
    wake_case,
)
from femnn.validation.gallery import (
    GalleryProblem,
    elliptic_membrane,
    gallery_problems,
    plane_membrane,
    thick_cylinder,
    thick_plate,
    thick_sphere,
)
from femnn.validation.mesh_inspection import (
    Integration,
    RuleFigures,
    Shape,
    make_rule,
    measure_integration,
    measure_shape,
)
from femnn.validation.mesh_page import MeshPage, inspection_page
from femnn.validation.own_flow import OwnFlow, reduce_flow
from femnn.validation.reduced_beam import ReducedBeam, ReducedModel, training_loads, unseen_loads
from femnn.validation.rule_comparison import (
    Comparison,
    LoadCase,
    Structure,
    compare_rules,
    load_case,
    standard_rules,
)
from femnn.validation.turbulence import (
    PeriodicFlow,
    Stationarity,
    Statistics,
    read_planes,
    reduce_turbulence,
    simulate_turbulence,
    stationarity,
)
from femnn.validation.two_scale import (
    PerforatedPlate,
    Sizes,
    TwoScales,
    drive_cell,
    path_errors,
    timed_follow,
)
from femnn.validation.vibrating_beam import VibratingBeam
from femnn.validation.viscous_burgers import (
    VISCOUS_TEST,
    VISCOUS_TRAINING,
    SampledViscous,
    ViscousBurgers,
    viscous_decoder,
)
from femnn.validation.viscous_models import LocalViscous, viscous_random_decoder

__all__ = [
    "BURGERS_TESTS",
    "BURGERS_TRAINING",
    "FLOW_CASES",
    "REYNOLDS_TESTS",
    "REYNOLDS_TRAINING",
    "VISCOUS_TEST",
    "VISCOUS_TRAINING",
    "WAKE_RANGES",
    "Beam",
    "BendingProblem",
    "Burgers",
    "BurgersStudy",
    "BurgersWave",
    "Comparison",
    "CylinderWake",
    "Delamination",
    "DynamicBeam",
    "FlowCase",
    "GalleryProblem",
    "Integration",
    "LoadCase",
    "LocalViscous",
    "MeshPage",
    "OwnFlow",
    "PerforatedPlate",
    "PeriodicFlow",
    "ReducedBeam",
    "ReducedModel",
    "ReducedRun",
    "RuleFigures",
    "SampledBurgers",
    "SampledPath",
    "SampledViscous",
    "Setup",
    "Shape",
    "Sizes",
    "Stationarity",
    "Statistics",
    "Structure",
    "Swing",
    "SwingModel",
    "TwoScales",
    "VibratingBeam",
    "ViscousBurgers",
    "WakeFigures",
    "burgers_case",
    "burgers_state_errors",
    "classical",
    "closed_form",
    "coefficient_errors",
    "compare_rules",
    "cook_membrane",
    "curved_beam",
    "delaminate",
    "difference",
    "drive_cell",
    "elliptic_membrane",
    "error_over_time",
    "flow_case",
    "gallery_problems",
    "inspection_page",
    "load_case",
    "make_rule",
    "measure_integration",
    "measure_shape",
    "mixed_mode",
    "path_errors",
    "phase_errors",
    "plane_membrane",
    "plateau",
    "read_planes",
    "reduce_flow",
    "reduce_turbulence",
    "relative_error",
    "simulate_turbulence",
    "simulate_wake",
    "standard_rules",
    "stationarity",
    "straight_beam",
    "summarise",
    "thick_cylinder",
    "thick_plate",
    "thick_sphere",
    "timed_follow",
    "training_loads",
    "turbulence_case",
    "twisted_beam",
    "unseen_loads",
    "viscous_decoder",
    "viscous_random_decoder",
    "wake_case",
    "wake_figures",
]
