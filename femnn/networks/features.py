"""Features of elements: the numbers by which networks see them.

``normalised`` the published 18 vertex coordinates, in the vertex order of the mesh
``invariant``  the 18 invariant coordinates of the element in its canonical pose
``directed``   the same with direction and length of the twelve that vanish for parallelepipeds

In the canonical pose all 48 descriptions of an element look alike, so a network on these features commutes with the
symmetries of the cube.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import brief, checked
from femnn.exceptions import ParameterError, WeightFileError
from femnn.geometry.coordinates import directed_coordinates, invariant_coordinates, normalised_coordinates
from femnn.geometry.symmetry import canonical_pose

if TYPE_CHECKING:
    from femnn.networks.weights import Networks


@dataclass(frozen=True)
class Features:
    """A description of elements: ``function`` takes (n, 8, 3), ``canonical`` in that pose, and gives (n, size).

    Examples
    --------
    >>> import femnn
    >>> from femnn.networks import features_named
    >>> described, symmetry = features_named("invariant")(femnn.distorted_hexahedra(5, 0.2, seed=0))
    >>> described.shape, symmetry.shape
    ((5, 18), (5,))
    """

    name: str
    size: int
    canonical: bool
    function: Callable[[np.ndarray], np.ndarray]

    @checked(hexahedra="n 8 3")
    def __call__(self, hexahedra: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Features (n, size) of the elements, and the symmetry (n,) of their pose, 0 if taken as they are."""
        elements = np.asarray(hexahedra, dtype=float)
        if not self.canonical:
            return self.function(elements), np.zeros(len(elements), dtype=np.int64)
        elements, symmetry = canonical_pose(elements)
        return self.function(elements), symmetry


_FEATURES = {
    features.name: features
    for features in (
        Features("normalised", 18, False, normalised_coordinates),
        Features("invariant", 18, True, invariant_coordinates),
        Features("directed", 19, True, directed_coordinates),
    )
}


@checked(name="unchecked")
def features_named(name: str) -> Features:
    """The description called ``name``; raises WeightFileError, because names come from the cards of weight files.

    Examples
    --------
    >>> from femnn.networks import features_named
    >>> invariant = features_named("invariant")
    >>> invariant.size, invariant.canonical
    (18, True)
    """
    if not isinstance(name, str) or name not in _FEATURES:
        raise WeightFileError(f"features {brief(name)} are unknown; known are {sorted(_FEATURES)}")
    return _FEATURES[name]


@checked()
def features_of(weights: "Networks") -> Features:
    """The description that the networks of a weight file need.

    Raises
    ------
    WeightFileError
        If its card names no description, an unknown one, or one that the networks do not fit.

    Examples
    --------
    >>> from femnn.networks import features_of, load_networks
    >>> features_of(load_networks("quadrature-weights")).size
    18
    """
    if not callable(getattr(weights, "require", None)):
        raise ParameterError(f"weights are {brief(weights)}; pass femnn.networks.load_networks(name_or_path)")
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
