"""From data to the law: motions and films of them, how many numbers they take, which equation and which parameters.

An :class:`IdealPendulum` and a :class:`CompoundPendulum` of hexahedra swing; :func:`film_ideal_pendulum` and
:func:`film_compound_pendulum` film them, :func:`load_pendulum_film` loads the film that is shipped. A :class:`Film` of
one's own is a list of clips. :func:`numbers_needed` counts what it takes, :func:`discover` finds the sparse equation of
a measured coordinate, and :func:`fit_sindy_autoencoder` coordinate and equation from the film alone.
"""

from femnn.identification.dimension import farthest_rows, geodesic_coordinates, intrinsic_dimension
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
from femnn.identification.pendulum import CompoundPendulum, IdealPendulum, Swing
from femnn.identification.recording import (
    PendulumFilm,
    film_compound_pendulum,
    film_ideal_pendulum,
    load_pendulum_film,
    simulate_pendulum,
)
from femnn.identification.sindy import Gauge, SparseEquation, discover, flat_gauge, pysindy_equation, unit_gauge

__all__ = [
    "CompoundPendulum",
    "Film",
    "FilmCode",
    "Gauge",
    "IdealPendulum",
    "Library",
    "NumbersNeeded",
    "PendulumFilm",
    "RandomFeatures",
    "SindyAutoencoder",
    "SparseEquation",
    "Swing",
    "WeakForm",
    "best_start",
    "discover",
    "farthest_rows",
    "film_compound_pendulum",
    "film_ideal_pendulum",
    "fit_film_code",
    "fit_sindy_autoencoder",
    "flat_gauge",
    "geodesic_coordinates",
    "intrinsic_dimension",
    "load_pendulum_film",
    "numbers_needed",
    "picture_of_angle",
    "picture_of_outline",
    "pysindy_equation",
    "simulate_pendulum",
    "state_rows",
    "unit_gauge",
]
