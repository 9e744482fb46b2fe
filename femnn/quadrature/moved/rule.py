"""Method 2 taken further: eight points per element, points and weights predicted."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import checked
from femnn.exceptions import ParameterError, WeightFileError
from femnn.geometry.coordinates import relative_warp
from femnn.geometry.validity import healthy_array, healthy_vertices
from femnn.integration.comparison import nearer_than
from femnn.integration.gauss import tensor_gauss
from femnn.networks.trained_range import TrainedRange
from femnn.networks.weights import load_networks
from femnn.quadrature.moved.network import FEATURES, OUTPUTS, describe, placed, predicted_moves
from femnn.quadrature.moved.projection import project, scale_to_volume
from femnn.quadrature.rule import CellGroup, Rule
from femnn.quadrature.rule import describe as describe_rule

KIND = "moved-points"

# Below this warp the Error of Gauss points is round-off: the element counts as a parallelepiped.
_NO_WARP = 1e-6

# Points are moved where they leave no more than this of the distance from the stiffness of 3×3×3 points.
_MOST_LEFT = 0.98

# Outcomes for an element, in the order of the counts of a report.
_PARALLELEPIPED, _OUT_OF_RANGE, _UNPROJECTED, _UNIMPROVED, _MOVED = range(5)


@dataclass(frozen=True)
class MovedReport:
    """Counts of some elements by what was done to their Gauss points.

    Attributes
    ----------
    rule
        The rule, as it prints itself.
    elements
        Their number; the others count those that keep 2×2×2 Gauss points exactly.
    parallelepipeds
        Gauss points are exact there.
    out_of_range
        The network was not trained for such shapes.
    unprojected
        No points near the predicted ones pass the patch test (only with ``patch=True``).
    unimproved
        The predicted points were found to be no better than Gauss points.

    Examples
    --------
    >>> import femnn, skfem
    >>> report = femnn.MovedGauss().report(skfem.MeshHex().refined(1))
    >>> report.elements, report.moved  # Gauss points are exact in bricks
    (8, 0)
    """

    rule: str
    elements: int
    parallelepipeds: int
    out_of_range: int
    unprojected: int
    unimproved: int

    @property
    def moved(self) -> int:
        """Number of elements whose points are moved."""
        kept = self.parallelepipeds + self.out_of_range + self.unprojected + self.unimproved
        return self.elements - kept

    def __str__(self) -> str:
        return (
            f"{self.rule} on {self.elements:,} elements: points moved in {self.moved:,} "
            f"({self.moved / self.elements:.2%}); 2×2×2 Gauss points kept in {self.parallelepipeds:,} parallelepipeds, "
            f"{self.out_of_range:,} out of the trained range, {self.unprojected:,} without points that pass the patch "
            f"test, {self.unimproved:,} that the predicted points would not improve"
        )


class MovedGauss(Rule):
    """Eight points per element, points and weights predicted by a network that was trained on R_error itself.

    Near 2×2×2 Gauss points, with weights near theirs; in parallelepipeds exactly Gauss. Weights are positive, points
    inside, the volume of each element exact. Elements out of the range of training keep Gauss points exactly, and so
    do those whose elastic stiffness the predicted points would bring no nearer to that of 3×3×3 points
    (:mod:`femnn.integration.comparison`). :meth:`report` counts them.

    Parameters
    ----------
    patch
        Keep the patch test of every element exactly: points and weights are moved on to where ∫ cof J · ∇N_a comes out
        exactly. Without, the rule reduces the Error further, but a constant strain is no longer reproduced exactly, so
        refinement of meshes whose elements stay distorted stops paying at some point.
    weights
        Name of shipped weights or path of a file from ``femnn train moved``; None takes the shipped ones.

    Raises
    ------
    ParameterError
        If ``patch`` is no bool.
    WeightFileError
        If the weights are missing, damaged, foreign or trained for the other value of ``patch``.

    Notes
    -----
    The moves are quadratic in the distance from a parallelepiped, as the Error of Gauss points is: where refinement
    brings elements nearer to parallelepipeds, convergence is kept with either value of ``patch``.

    The points are made for the stiffness of trilinear elements: other shape functions, and masses, are refused.

    Examples
    --------
    >>> import femnn
    >>> elements = femnn.distorted_hexahedra(50, 0.2, seed=0)
    >>> gauss = femnn.integration_error(elements, femnn.GaussLegendre(2))
    >>> bool((femnn.integration_error(elements, femnn.MovedGauss()) / gauss).mean() < 0.8)
    True
    """

    highest_degree = 1
    integrates_values = False

    @checked(weights="unchecked")
    def __init__(self, patch: bool = False, *, weights: str | os.PathLike | None = None) -> None:
        if not isinstance(patch, bool | np.bool_):
            raise ParameterError(f"patch is {patch!r}; pass True to keep the patch test, or False")
        self.keeps_patch_test = bool(patch)
        loaded = load_networks(weights_name(patch) if weights is None else weights, KIND)
        loaded.require(card=("poisson", "patch"), networks=("points",))
        if loaded.card["patch"] is not self.keeps_patch_test:
            raise WeightFileError(
                f"{loaded.path} was trained for patch={loaded.card['patch']}, wanted is patch={bool(patch)}; "
                "pass the other value or other weights"
            )
        network = loaded.networks["points"].architecture
        if (network.inputs, network.outputs) != (FEATURES, OUTPUTS):
            raise WeightFileError(
                f"the network of {loaded.path} takes {network.inputs} numbers and gives {network.outputs}, needed are "
                f"{FEATURES} and {OUTPUTS}; train it again with this version of femnn"
            )
        self.card: dict[str, Any] = loaded.card
        self._poisson = loaded.contents.number("poisson", above=-1.0)
        self._network = loaded.networks["points"].in_single_precision()
        self._range = TrainedRange.from_weights(loaded)

    def moved(self, hexahedra: ArrayLike) -> np.ndarray:
        """Elements whose points are moved, (n,) bool; all elements must be healthy."""
        return self._predict(healthy_array(hexahedra))[0] == _MOVED

    def report(self, mesh: Any) -> MovedReport:
        """Counts of the elements of a mesh that keep Gauss points, by the reason.

        Parameters
        ----------
        mesh
            A ``skfem.MeshHex`` or vertex coordinates (n, 8, 3), all elements healthy.

        Returns
        -------
        MovedReport
        """
        x = healthy_vertices(mesh)
        state, _, _ = self._predict(x)
        counts = np.bincount(state, minlength=_MOVED)
        return MovedReport(repr(self), len(x), *map(int, counts[:_MOVED]))

    def _predict(self, x):
        """The outcome for each element, (n,); points (m, 8, 3) in [-1, 1]³ and weights (m, 8) of the moved."""
        features, size = describe(x)
        state = np.where(
            size <= _NO_WARP, _PARALLELEPIPED, np.where(self._range.in_range(features), _MOVED, _OUT_OF_RANGE)
        )
        elements = np.flatnonzero(state == _MOVED)
        warp = relative_warp(x[elements])
        points, weights = placed(predicted_moves(self._network, features[elements]), size[elements])
        if self.keeps_patch_test:
            points, weights, passes = project(warp, points, weights)
            state[elements[~passes]] = _UNPROJECTED
            elements, points, weights = elements[passes], points[passes], weights[passes]
        else:
            weights = scale_to_volume(warp, points, weights)
        rules = tensor_gauss(2, 2, 2), tensor_gauss(3, 3, 3)
        found = _on_unit_cube(points, weights)
        improved = nearer_than(x[elements], *found, *rules, self._poisson, _MOST_LEFT, self.keeps_patch_test)
        state[elements[~improved]] = _UNIMPROVED
        return state, points[improved], weights[improved]

    def _groups(self, hexahedra: np.ndarray) -> list[CellGroup]:
        state, points, weights = self._predict(hexahedra)
        moved = state == _MOVED
        groups = []
        if not moved.all():
            groups.append(CellGroup(np.flatnonzero(~moved), *tensor_gauss(2, 2, 2)))
        if moved.any():
            groups.append(CellGroup(np.flatnonzero(moved), *_on_unit_cube(points, weights)))
        return groups

    def __repr__(self) -> str:
        return f"MovedGauss(patch={self.keeps_patch_test})"

    def __str__(self) -> str:
        return describe_rule(self, self.card)


def weights_name(patch: bool) -> str:
    """Name of the shipped weights, and of those that a training writes."""
    return "moved-gauss-patch" if patch else "moved-gauss"


def _on_unit_cube(points, weights):
    """X (3, m, 8) and W (m, 8) on [0, 1]³ from points on [-1, 1]³ and weights about 1."""
    return np.ascontiguousarray(0.5 * (points.transpose(2, 0, 1) + 1.0)), weights / 8.0
