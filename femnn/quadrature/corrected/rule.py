"""Method 2: Gauss points with weights corrected per element."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import checked
from femnn.exceptions import ParameterError
from femnn.geometry.symmetry import vertex_permutations
from femnn.geometry.validity import healthy_array, healthy_vertices
from femnn.integration.comparison import nearer_than
from femnn.integration.gauss import tensor_gauss
from femnn.networks.features import features_of
from femnn.networks.trained_density import TrainedDensity
from femnn.networks.trained_range import TrainedRange
from femnn.networks.weights import load_networks
from femnn.quadrature.corrected.networks import correction_factors, in_given_order
from femnn.quadrature.corrected.patch_networks import passing_weights
from femnn.quadrature.rule import CellGroup, Rule, describe

KIND = "quadrature-weights"
PATCH_KIND = "patch-weights"


class CorrectedGauss(Rule):
    """Gauss points whose weights a network corrects element by element.

    With ``points=2`` as published: a classifier picks the elements that other weights improve, a regressor gives the
    eight factors on their Gauss weights. With ``points=3, patch=True`` the 27 weights change only in the 14 directions
    that keep the patch test of the element, so that refinement converges as with Gauss weights. All other elements,
    those outside the range of training included, keep Gauss weights exactly, and so do parallelepipeds.

    Parameters
    ----------
    points
        Gauss points per axis: 2, or 3 with ``patch=True``.
    patch
        True keeps the patch test exactly; eight weights cannot be changed without losing it.
    weights
        Name of shipped weights or path of a file from ``femnn train weights`` or ``femnn train patch-weights``; None
        takes the shipped ones.

    Raises
    ------
    ParameterError
        Unless ``points`` and ``patch`` are 2 and False, or 3 and True.
    WeightFileError
        If the weights are missing, damaged or foreign.

    Notes
    -----
    Method 2 of A. Oishi, G. Yagawa, CMAME 327 (2017) 327-351. The stiffness is linear in the weights, so the best ones
    are known (:func:`femnn.integration.optimal_weights.optimal_weights`) and are a hard ceiling: eight of them leave
    0.90 to 0.98 of the Error on the average. Eight corrected weights do not keep the patch test: a constant strain is
    no longer reproduced exactly, so refinement of a distorted mesh stops paying at some point.

    The weights are made for trilinear elements: other shape functions are refused.

    Examples
    --------
    >>> import femnn
    >>> rule = femnn.CorrectedGauss(points=3, patch=True)
    >>> elements = femnn.distorted_hexahedra(50, 0.2, seed=0)
    >>> gauss = femnn.integration_error(elements, femnn.GaussLegendre(3))
    >>> bool((femnn.integration_error(elements, rule) / gauss).mean() < 0.95)
    True
    """

    highest_degree = 1

    @checked(weights="unchecked")
    def __init__(self, points: int = 2, patch: bool = False, *, weights: str | os.PathLike | None = None) -> None:
        if (points, patch) == (2, False):
            self._corrector: _EightWeights | _PassingWeights = _EightWeights(KIND if weights is None else weights)
        elif (points, patch) == (3, True):
            self._corrector = _PassingWeights(PATCH_KIND if weights is None else weights)
        else:
            raise ParameterError(
                f"points is {points!r} and patch is {patch!r}; corrected weights exist for 2 Gauss points per axis "
                "with patch=False, and for 3 with patch=True"
            )
        self.card: dict[str, Any] = self._corrector.card

    def corrected(self, hexahedra: ArrayLike) -> np.ndarray:
        """Elements that get other weights, (n,) bool; all elements must be healthy."""
        x = healthy_array(hexahedra)
        chosen, _ = self._corrected(x, *self._corrector.features(x))
        return np.isin(np.arange(len(x)), chosen)

    def report(self, mesh: Any) -> "CorrectedReport":
        """Counts of the elements of a mesh that keep Gauss weights, by the reason.

        Parameters
        ----------
        mesh
            A ``skfem.MeshHex`` or vertex coordinates (n, 8, 3), all elements healthy.

        Returns
        -------
        CorrectedReport
        """
        x = healthy_vertices(mesh)
        features, symmetry = self._corrector.features(x)
        out_of_range = int((~self._corrector.in_range(features)).sum())
        expected = int(self._corrector.corrected(features).sum())
        corrected = len(self._corrected(x, features, symmetry)[0])
        counts = out_of_range, len(x) - out_of_range - expected, expected - corrected
        return CorrectedReport(repr(self), len(x), *counts)

    def _groups(self, hexahedra: np.ndarray) -> list[CellGroup]:
        points, gauss = self._corrector.gauss
        corrected, weights = self._corrected(hexahedra, *self._corrector.features(hexahedra))
        kept = np.setdiff1d(np.arange(len(hexahedra)), corrected)
        groups = []
        if len(kept):
            groups.append(CellGroup(kept, points, gauss))
        if len(corrected):
            groups.append(CellGroup(corrected, points, weights))
        return groups

    def _corrected(self, hexahedra, features, symmetry):
        """Numbers (m,) of the elements that other weights improve, and these weights (m, nqp)."""
        points, gauss = self._corrector.gauss
        chosen = np.flatnonzero(self._corrector.corrected(features))
        x, symmetry = hexahedra[chosen], symmetry[chosen]
        weights = in_given_order(self._corrector.weights(x, features[chosen], symmetry), symmetry, points)
        rules = (points, gauss), self._corrector.better
        improved = nearer_than(x, points, weights, *rules, self.card["poisson"], passes=self._corrector.passes)
        return chosen[improved], weights[improved]

    def __repr__(self) -> str:
        return self._corrector.name

    def __str__(self) -> str:
        return describe(self, self.card)


@dataclass(frozen=True)
class CorrectedReport:
    """Counts of some elements by what was done to their Gauss weights.

    Attributes
    ----------
    rule
        The rule, as it prints itself.
    elements
        Their number; the others count those that keep Gauss weights exactly.
    out_of_range
        The networks were not trained for such shapes.
    unpromising
        No gain is expected, as in parallelepipeds, where Gauss points are exact.
    refused
        The predicted weights were found to be no better than Gauss weights.

    Examples
    --------
    >>> import femnn, skfem
    >>> report = femnn.CorrectedGauss().report(skfem.MeshHex().refined(1))
    >>> report.elements, report.corrected  # Gauss points are exact in bricks
    (8, 0)
    """

    rule: str
    elements: int
    out_of_range: int
    unpromising: int
    refused: int

    @property
    def unimproved(self) -> int:
        """Elements in range that keep Gauss weights, whether by expectation or by the check."""
        return self.unpromising + self.refused

    @property
    def corrected(self) -> int:
        """Elements with weights of their own."""
        return self.elements - self.out_of_range - self.unimproved

    def __str__(self) -> str:
        return (
            f"{self.rule} on {self.elements:,} elements: weights corrected in {self.corrected:,} "
            f"({self.corrected / self.elements:.2%}); Gauss weights kept in {self.out_of_range:,} out of the trained "
            f"range, {self.unpromising:,} where no gain is expected, {self.refused:,} that the predicted weights would "
            "not improve"
        )


def _in_range(box, density, features):
    return box.in_range(features) & (True if density is None else density.in_range(features))


class _EightWeights:
    """The published two networks."""

    name, passes = "CorrectedGauss(points=2)", False
    gauss, better = tensor_gauss(2, 2, 2), tensor_gauss(3, 3, 3)

    def __init__(self, weights) -> None:
        loaded = load_networks(weights, KIND)
        loaded.require(card=("poisson",), networks=("classifier", "regressor"), tensors=("factors.low", "factors.high"))
        self.card = loaded.card
        loaded.contents.number("poisson", above=-1.0)
        self._classifier = loaded.networks["classifier"].in_single_precision()
        self._regressor = loaded.networks["regressor"].in_single_precision()
        self.features = features_of(loaded)
        self._range, self._density = TrainedRange.from_weights(loaded), TrainedDensity.from_weights(loaded)
        self._factor_low, self._factor_high = loaded.contents.bounds("factors.low", "factors.high", (8,))
        if (self._factor_low <= 0.0).any():
            raise loaded.contents.file.refused("factors.low is not positive")

    def in_range(self, features):
        """Elements in the range of training, and where it was dense, (n,) bool."""
        return _in_range(self._range, self._density, features)

    def corrected(self, features):
        """Elements for which other weights are worth a try, (n,) bool: those in range that are to be improved."""
        return (self._classifier(features)[:, 0] > 0.0) & self.in_range(features)

    def weights(self, hexahedra, features, symmetry):
        """Weights (m, nqp) at the points of the canonical pose."""
        # within the factors of training, all positive, weights stay positive whatever the network says
        factors = correction_factors(self._regressor(features), hexahedra)
        return self.gauss[1] * np.clip(factors, self._factor_low, self._factor_high)


class _PassingWeights:
    """27 weights that keep the patch test."""

    name, passes = "CorrectedGauss(points=3, patch=True)", True
    gauss, better = tensor_gauss(3, 3, 3), tensor_gauss(4, 4, 4)

    def __init__(self, weights) -> None:
        loaded = load_networks(weights, PATCH_KIND)
        loaded.require(card=("poisson",), networks=("changes",))
        self.card = loaded.card
        loaded.contents.number("poisson", above=-1.0)
        self._network = loaded.networks["changes"].in_single_precision()
        self.features = features_of(loaded)
        self._range, self._density = TrainedRange.from_weights(loaded), TrainedDensity.from_weights(loaded)

    def in_range(self, features):
        # the range is that of the invariant coordinates: warps are their directions times their length
        warps = features[:, :12] * features[:, 12:13]
        return _in_range(self._range, self._density, np.concatenate([warps, features[:, 13:]], axis=1))

    def corrected(self, features):
        return self.in_range(features) & (features[:, 12] > 0.0)

    def weights(self, hexahedra, features, symmetry):
        canonical = np.take_along_axis(hexahedra, vertex_permutations()[symmetry][:, :, None], axis=1)
        return passing_weights(self._network(features), canonical)
