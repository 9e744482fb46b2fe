"""From data to the law: motions and films of them, how many numbers they take, which equation and which parameters.

An :class:`IdealPendulum` and a :class:`CompoundPendulum` of hexahedra swing; :func:`film_ideal_pendulum` and
:func:`film_compound_pendulum` film them, :func:`load_pendulum_film` loads the film that is shipped. A :class:`Film` of
one's own is a list of clips. :func:`numbers_needed` counts what it takes, :func:`discover` finds the sparse equation of
a measured coordinate, and :func:`fit_sindy_autoencoder` coordinate and equation from the film alone.

Parameters of a pendulum come from its angle over time by least squares through its :class:`SwingEquation`
(:func:`identify_swing`), and for comparison by one neuron (:func:`identify_by_neuron`) or by a physics-informed network
(:func:`identify_by_network`, :func:`solve_by_network`); these load torch when they are called. :func:`angles_of_clip`
measures the angle in a film. Moduli and damping of a structure come from sensors by a reduced model
(:class:`VibrationModel`, :func:`identify_vibration`), and :func:`estimate_parameters` fits any model that knows its
derivatives. An :class:`Estimate` says how far its numbers are known.
"""

from femnn.identification.angles import angles_of_clip
from femnn.identification.dimension import farthest_rows, geodesic_coordinates, intrinsic_dimension
from femnn.identification.estimate import Estimate, estimate_parameters
from femnn.identification.film import Film, picture_of_angle, picture_of_outline
from femnn.identification.film_code import (
    FilmCode,
    NumbersNeeded,
    RandomFeatures,
    SindyAutoencoder,
    best_start,
    fit_film_code,
    fit_sindy_autoencoder,
    numbers_needed,
    state_rows,
)
from femnn.identification.library import Library, WeakForm
from femnn.identification.neuron import identify_by_neuron
from femnn.identification.parameters import identify_swing
from femnn.identification.pendulum import CompoundPendulum, IdealPendulum, Swing
from femnn.identification.physics_informed import (
    NetworkMotion,
    NetworkOptions,
    NetworkWindow,
    identify_by_network,
    solve_by_network,
)
from femnn.identification.recording import (
    PendulumFilm,
    film_compound_pendulum,
    film_ideal_pendulum,
    load_pendulum_film,
    simulate_pendulum,
)
from femnn.identification.records import Oscillation, oscillation
from femnn.identification.sindy import Gauge, SparseEquation, discover, flat_gauge, pysindy_equation, unit_gauge
from femnn.identification.swing import SwingEquation
from femnn.identification.vibration import VibrationModel, identify_vibration

__all__ = [
    "CompoundPendulum",
    "Estimate",
    "Film",
    "FilmCode",
    "Gauge",
    "IdealPendulum",
    "Library",
    "NetworkMotion",
    "NetworkOptions",
    "NetworkWindow",
    "NumbersNeeded",
    "Oscillation",
    "PendulumFilm",
    "RandomFeatures",
    "SindyAutoencoder",
    "SparseEquation",
    "Swing",
    "SwingEquation",
    "VibrationModel",
    "WeakForm",
    "angles_of_clip",
    "best_start",
    "discover",
    "estimate_parameters",
    "farthest_rows",
    "film_compound_pendulum",
    "film_ideal_pendulum",
    "fit_film_code",
    "fit_sindy_autoencoder",
    "flat_gauge",
    "geodesic_coordinates",
    "identify_by_network",
    "identify_by_neuron",
    "identify_swing",
    "identify_vibration",
    "intrinsic_dimension",
    "load_pendulum_film",
    "numbers_needed",
    "oscillation",
    "picture_of_angle",
    "picture_of_outline",
    "pysindy_equation",
    "simulate_pendulum",
    "solve_by_network",
    "state_rows",
    "unit_gauge",
]
