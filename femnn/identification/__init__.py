"""From data to the law: motions and films of them, how many numbers they take, which equation and which parameters.

Parameters of a pendulum come from its angle over time by least squares through its :class:`SwingEquation`
(:func:`identify_swing`), and for comparison by one neuron (:func:`identify_by_neuron`) or by a physics-informed network
(:func:`identify_by_network`, :func:`solve_by_network`); these load torch when they are called. :func:`angles_of_clip`
measures the angle in a film. Moduli and damping of a structure come from sensors by a reduced model
(:class:`VibrationModel`, :func:`identify_vibration`), and :func:`estimate_parameters` fits any model that knows its
derivatives. An :class:`Estimate` says how far its numbers are known.
"""

from femnn.identification.angles import angles_of_clip
from femnn.identification.estimate import Estimate, estimate_parameters
from femnn.identification.film import Film, picture_of_angle, picture_of_outline
from femnn.identification.neuron import identify_by_neuron
from femnn.identification.parameters import identify_swing
from femnn.identification.pendulum import CompoundPendulum, IdealPendulum
from femnn.identification.physics_informed import (
    NetworkMotion,
    NetworkOptions,
    NetworkWindow,
    identify_by_network,
    solve_by_network,
)
from femnn.identification.records import Oscillation, oscillation
from femnn.identification.swing import SwingEquation
from femnn.identification.vibration import VibrationModel, identify_vibration

__all__ = [
    "CompoundPendulum",
    "Estimate",
    "Film",
    "IdealPendulum",
    "NetworkMotion",
    "NetworkOptions",
    "NetworkWindow",
    "Oscillation",
    "SwingEquation",
    "VibrationModel",
    "angles_of_clip",
    "estimate_parameters",
    "identify_by_network",
    "identify_by_neuron",
    "identify_swing",
    "identify_vibration",
    "oscillation",
    "picture_of_angle",
    "picture_of_outline",
    "solve_by_network",
]
