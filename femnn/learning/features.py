"""What the networks are shown of an element.

``normalised``  the published 18 vertex coordinates, in the vertex order of the mesh
``invariant``   the 18 invariant coordinates of the element in its canonical pose
``determinant`` the same, and what sets the decay of the Error: det J on a 3×3×3 lattice and how near its complex roots
                come to the element along each lattice line, 72 numbers

In the canonical pose all 48 descriptions of an element look alike, so a network on these features commutes with the
symmetries of the cube.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import njit, prange

from femnn.exceptions import WeightFileError
from femnn.geometry.coordinates import invariant_coordinates, normalised_coordinates
from femnn.geometry.symmetry import canonical_pose
from femnn.geometry.validity import lattice_determinants

# A root further away than this Bernstein ellipse leaves two points per axis exact to round-off.
_LARGEST_RHO = 1e4


@njit(cache=True, error_model="numpy")
def _log_rho(first, middle, last):
    """log ρ of the largest Bernstein ellipse on which the quadratic through three lattice values has no root.

    On [-1, 1] Gauss-Legendre quadrature with n points of a function that is analytic inside the ellipse |z - 1| +
    |z + 1| = ρ + 1/ρ errs by O(ρ⁻²ⁿ) (L. N. Trefethen, SIAM Review 50 (2008) 67-87, Theorem 4.5).
    """
    a, b, c = 0.5 * (first + last) - middle, 0.5 * (last - first), middle
    discriminant = b * b - 4.0 * a * c
    half_sum = 0.5 * (_LARGEST_RHO + 1.0 / _LARGEST_RHO)
    if discriminant < 0.0:
        real, imaginary = -b / (2.0 * a), np.sqrt(-discriminant) / (2.0 * a)
        half_sum = min(half_sum, 0.5 * (np.hypot(real - 1.0, imaginary) + np.hypot(real + 1.0, imaginary)))
    else:
        q = -0.5 * (b + np.copysign(np.sqrt(discriminant), b))
        # q/a and c/q are the roots; both stay finite in the comparison when a or b vanish
        if abs(q) < half_sum * abs(a):
            half_sum = min(half_sum, 0.5 * (abs(q / a - 1.0) + abs(q / a + 1.0)))
        if abs(c) < half_sum * abs(q):
            half_sum = min(half_sum, 0.5 * (abs(c / q - 1.0) + abs(c / q + 1.0)))
    half_sum = max(half_sum, 1.0)
    return np.log(half_sum + np.sqrt(half_sum * half_sum - 1.0))


@njit(parallel=True, cache=True, error_model="numpy")
def _decay(determinants, features):
    for e in prange(determinants.shape[0]):
        values = determinants[e]
        for i in range(3):
            for j in range(3):
                line = 3 * i + j
                features[e, line] = _log_rho(values[0, i, j], values[1, i, j], values[2, i, j])
                features[e, 9 + line] = _log_rho(values[i, 0, j], values[i, 1, j], values[i, 2, j])
                features[e, 18 + line] = _log_rho(values[i, j, 0], values[i, j, 1], values[i, j, 2])


def decay_features(hexahedra):
    """log ρ along the 27 lattice lines (9 along each axis) and log |det J / det J₀| on the lattice, shape (n, 54)."""
    determinants = lattice_determinants(hexahedra)
    features = np.empty((len(determinants), 27))
    _decay(determinants, features)
    ratios = np.abs(determinants / determinants[:, 1:2, 1:2, 1:2]).reshape(-1, 27)
    return np.concatenate([features, np.log(np.maximum(ratios, 1e-12))], axis=1)


def _determinant_coordinates(hexahedra):
    return np.concatenate([invariant_coordinates(hexahedra), decay_features(hexahedra)], axis=1)


@dataclass(frozen=True)
class Features:
    """A named description of elements: ``function`` takes (n, 8, 3) and gives (n, size)."""

    name: str
    size: int
    posed: bool
    function: Callable

    def __call__(self, hexahedra):
        """Features (n, size) of the elements, and the symmetry (n,) of their pose, None if taken as given."""
        if not self.posed:
            return self.function(np.asarray(hexahedra, dtype=float)), None
        posed, symmetry = canonical_pose(hexahedra)
        return self.function(posed), symmetry


_FEATURES = {
    features.name: features
    for features in (
        Features("normalised", 18, False, normalised_coordinates),
        Features("invariant", 18, True, invariant_coordinates),
        Features("determinant", 72, True, _determinant_coordinates),
    )
}


def features_named(name):
    """The description called ``name``; raises WeightFileError, because names come from the cards of weight files."""
    if not isinstance(name, str) or name not in _FEATURES:
        raise WeightFileError(f"features {name!r} are unknown; known are {sorted(_FEATURES)}")
    return _FEATURES[name]


def features_of(weights):
    """The description that the networks of a weight file need, :class:`femnn.learning.checkpoints.Networks`.

    Raises
    ------
    WeightFileError
        If its card names no description, an unknown one, or one that the networks do not fit.
    """
    weights.require(card=("features",))
    try:
        features = features_named(weights.card["features"])
    except WeightFileError as error:
        raise WeightFileError(f"{weights.path}: {error}; train it again with this version of femnn") from error
    for name, network in weights.networks.items():
        if network.architecture.inputs != features.size:
            raise WeightFileError(
                f"the network {name} of {weights.path} takes {network.architecture.inputs} numbers, the features "
                f"{features.name!r} of its card are {features.size}; fetch both files again"
            )
    return features
