"""What the networks are shown of an element.

``normalised`` the published 18 vertex coordinates, in the vertex order of the mesh
``invariant``  the 18 invariant coordinates of the element in its canonical pose
``directed``   the same with direction and length of the twelve that vanish for parallelepipeds

In the canonical pose all 48 descriptions of an element look alike, so a network on these features commutes with the
symmetries of the cube.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from femnn.exceptions import WeightFileError
from femnn.geometry.coordinates import directed_coordinates, invariant_coordinates, normalised_coordinates
from femnn.geometry.symmetry import canonical_pose


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
        Features("directed", 19, True, directed_coordinates),
    )
}


def features_named(name):
    """The description called ``name``; raises WeightFileError, because names come from the cards of weight files."""
    if not isinstance(name, str) or name not in _FEATURES:
        raise WeightFileError(f"features {name!r} are unknown; known are {sorted(_FEATURES)}")
    return _FEATURES[name]


def features_of(weights):
    """The description that the networks of a weight file need, :class:`femnn.networks.weights.Networks`.

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
