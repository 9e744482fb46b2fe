"""The S of a network: the incompatible element's, deformed by a factor that keeps it symmetric and positive definite.

In the canonical pose of an element, and in the axes of the polar decomposition of its J₀, the incompatible element has
S = L Lᵀ. The network sees the shape and Poisson's ratio and gives a matrix N (12 × 12),

    S_learned = θ L Lᵀ + (1 - θ) L (1 + N)(1 + N)ᵀ Lᵀ,        θ = 0.05,

positive definite whatever the network says; rigid modes and patch test are those of any S. N falls with the distance
from a parallelepiped, which keeps the incompatible S. Elements out of the trained range keep it, too.
"""

import os
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from femnn.assembly.coefficients import Coefficients
from femnn.assembly.discretisation import Discretisation
from femnn.assembly.element_matrices import ISOTROPIC
from femnn.assembly.formulations.stiffness import twists_of
from femnn.assembly.points import Points
from femnn.exceptions import ParameterError, WeightFileError
from femnn.geometry.canonical_pose import canonical_warps
from femnn.geometry.coordinates import TWISTS, metric, modes
from femnn.geometry.hexahedron import SIGNS, in_own_units
from femnn.networks.perceptron import Perceptron
from femnn.networks.trained_range import TrainedRange
from femnn.networks.weights import load_networks
from femnn.quadrature.gauss import GaussLegendre

KIND = "element-twists"

#: θ: the share of the incompatible S that no prediction can take away.
KEPT = 0.05

INPUTS, OUTPUTS = 33, 144

# Elements whose matrices are held at a time.
_CHUNK = 4096


class Frames(NamedTuple):
    """Elements in the pose and the axes in which the network sees them.

    Attributes
    ----------
    features : (n, 33)
        Direction, length and entries of J₀⁻¹h, the metric, ν and log(1 - 2ν).
    distance : (n,)
        Length of J₀⁻¹h, at most 1.
    factors : (n, 12, 12)
        L of the incompatible S, in the axes of the element.
    turns : (n, 12, 12)
        What brings twists in these axes to those of the element as it lies in its mesh.
    """

    features: np.ndarray
    distance: np.ndarray
    factors: np.ndarray
    turns: np.ndarray

    @classmethod
    def of(cls, hexahedra: np.ndarray, lame: np.ndarray) -> "Frames":
        """Of healthy elements (n, 8, 3) with λ and μ (n, 2)."""
        n = len(hexahedra)
        x, size = in_own_units(hexahedra)
        warps, orders = canonical_warps(x)
        posed = np.take_along_axis(x, orders[:, :, None], axis=1)
        left, _, right = np.linalg.svd(modes(posed)[1])
        axes = left @ right
        posed = np.ascontiguousarray(np.einsum("eai,eij->eaj", posed, axes))
        points = Points.of(GaussLegendre(2).groups(posed), n)
        # S has the unit of λ times a length
        lame = lame * size[:, None]
        incompatible = twists_of("incompatible", ISOTROPIC, posed, points, lame, np.arange(n))
        vectors = (TWISTS - np.einsum("aj,ejk->eak", SIGNS, warps)) / 8.0
        twists = np.einsum("eal,eak->elk", TWISTS[orders], vectors)
        turns = np.einsum("elk,eij->elikj", twists, axes).reshape(n, 12, 12)
        flat = warps.reshape(n, 12)
        distance = np.linalg.norm(flat, axis=1, keepdims=True)
        direction = np.divide(flat, distance, out=np.zeros_like(flat), where=distance > 0)
        poisson = 0.5 * lame[:, :1] / (lame[:, :1] + lame[:, 1:])
        features = np.concatenate([direction, distance, flat, metric(posed), poisson, np.log1p(-2.0 * poisson)], axis=1)
        return cls(features, np.minimum(distance[:, 0], 1.0), np.linalg.cholesky(incompatible), turns)


class LearnedTwists:
    """S of any healthy element of an isotropic material, by a network.

    Parameters
    ----------
    weights
        Name of shipped weights or path of a file from ``femnn train element``.

    Raises
    ------
    WeightFileError
        If the weights are missing, damaged or foreign.
    """

    def __init__(self, weights: str | os.PathLike = KIND) -> None:
        loaded = load_networks(weights, KIND)
        loaded.require(networks=("deformation",))
        self.card = loaded.card
        self._network: Perceptron = loaded.networks["deformation"]
        self._range = TrainedRange.from_weights(loaded)
        shape = self._network.architecture
        if (shape.inputs, shape.outputs) != (INPUTS, OUTPUTS) or self._range.low.shape != (INPUTS,):
            raise WeightFileError(
                f"the network of {loaded.path} takes {shape.inputs} numbers to {shape.outputs}, needed are {INPUTS} to "
                f"{OUTPUTS}; train it again with this version of femnn"
            )

    def twists(self, hexahedra: np.ndarray, lame: np.ndarray) -> np.ndarray:
        """S (n, 12, 12) of healthy elements (n, 8, 3) with λ and μ (n, 2)."""
        result = np.empty((len(hexahedra), 12, 12))
        for start in range(0, len(hexahedra), _CHUNK):
            rows = slice(start, start + _CHUNK)
            frames = Frames.of(hexahedra[rows], lame[rows])
            deformation = self._network(frames.features).reshape(-1, 12, 12) * frames.distance[:, None, None]
            deformation[~self._range.in_range(frames.features)] = 0.0
            whole = frames.turns @ frames.factors
            changed = whole + whole @ deformation
            result[rows] = KEPT * whole @ whole.mT + (1.0 - KEPT) * changed @ changed.mT
        return result

    def in_range(self, hexahedra: np.ndarray, lame: np.ndarray) -> np.ndarray:
        """Elements (n,) bool that are in the range of training; the others keep the incompatible S."""
        return self._range.in_range(Frames.of(hexahedra, lame).features)


@lru_cache(maxsize=1)
def shipped() -> LearnedTwists:
    """The shipped network, read once."""
    return LearnedTwists()


def learned_twists(formulation: Any, form: int, discretisation: Discretisation, material: Coefficients) -> np.ndarray:
    """S (n, 12, 12) of the elements that are integrated, from the network that ``formulation`` is, or the shipped one.

    Raises
    ------
    ParameterError
        If the material is not isotropic, or not constant in each element.
    """
    if form != ISOTROPIC or material.step:
        raise ParameterError(
            "formulation='learned' is trained for isotropic materials that are constant in each element; pass young "
            "and poisson, a number or one per element, or formulation='incompatible'"
        )
    network = shipped() if isinstance(formulation, str) else formulation
    x, integrated = discretisation.hexahedra, discretisation.points.counts > 0
    # folded elements that were left out get a harmless placeholder shape
    shapes = np.where(integrated[:, None, None], x, x[np.argmax(integrated)])
    return np.ascontiguousarray(network.twists(shapes, material.values[material.rows]))
