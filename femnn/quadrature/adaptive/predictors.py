"""The networks behind AdaptiveGauss, which give the number of Gauss points per axis for a tolerance."""

import os
from typing import Any

import numpy as np

from femnn.exceptions import ParameterError, WeightFileError
from femnn.networks.features import features_of
from femnn.networks.trained_range import TrainedRange
from femnn.networks.weights import Networks, load_networks
from femnn.quadrature.adaptive.apriori_estimate import CANDIDATES, FEATURES
from femnn.quadrature.adaptive.calibration import Calibration
from femnn.quadrature.adaptive.classifier import FEWEST
from femnn.quadrature.adaptive.network import DirectionalNetwork

DIRECTIONAL_KIND = "integration-points"
CLASS_KIND = "integration-points-classifier"

# Spreads of caution beyond the calibration's, and at least: a mesh whose elements all lie alike, or are all
# as flat, is none of the families of the calibration.
_RESERVE, _LEAST_CAUTION = 0.25, 0.75


def load_point_predictor(name_or_path: str | os.PathLike, measure: str) -> "DirectionalPredictor | ClassPredictor":
    """The predictor of a weight file of either kind for a measure; raises WeightFileError for other files."""
    weights = load_networks(name_or_path)
    kind = weights.card["kind"]
    if kind == DIRECTIONAL_KIND:
        return DirectionalPredictor(weights, measure)
    if kind == CLASS_KIND:
        return ClassPredictor(weights, measure)
    raise WeightFileError(
        f"{weights.path} is of kind {kind!r}, AdaptiveGauss needs {DIRECTIONAL_KIND!r} or {CLASS_KIND!r}; "
        "pass another file"
    )


class DirectionalPredictor:
    """Predicts log₂ Error along each direction for every number of points: serves every calibrated tolerance."""

    #: What a rule without a confidence relies on.
    unsure = "this is the bare prediction"

    def __init__(self, weights: Networks, measure: str) -> None:
        limits = [f"range-{measure}.low", f"range-{measure}.high", f"least-{measure}"]
        weights.require(card=("poisson_range",), networks=(measure,), tensors=limits)
        self.card: dict[str, Any] = weights.card
        self.poisson_range = weights.contents.interval("poisson_range")
        weights.contents.bounds(limits[0], limits[1], (FEATURES,))
        weights.contents.array(limits[2], (CANDIDATES,), None)
        self.network = DirectionalNetwork.of(
            weights.networks[measure], measure, *(weights.tensors[name] for name in limits)
        )
        self.calibration = Calibration.from_weights(weights, measure)

    def check(self, tol, confidence, anisotropic, poisson):
        """Raise ParameterError unless the network was trained and calibrated for these."""
        if not self.calibration.in_range(tol):
            low, high = self.calibration.tolerances[[0, -1]]
            raise ParameterError(
                f"tol is {tol}; the network was trained for tolerances from {low:g} to {high:g}, pass one of these, "
                "or use GaussLegendre(n)"
            )
        low, high = self.poisson_range
        if not low <= poisson <= high:
            raise ParameterError(
                f"poisson is {poisson}; the network was trained for Poisson's ratios from {low} to {high}, pass one of "
                "these, or use GaussLegendre(n)"
            )
        if confidence is not None:
            self.calibration.caution(tol, confidence, anisotropic)

    def choose(self, hexahedra, tol, confidence, anisotropic, poisson, factor=1.0):
        """Gauss points along each axis (n, 3), and elements in the range of training, (n,) bool.

        The tolerance is multiplied by ``factor``; the caution stays the one that belongs to it.
        """
        return self.choose_with_slack(hexahedra, tol, confidence, anisotropic, poisson, factor)[:2]

    def choose_with_slack(self, hexahedra, tol, confidence, anisotropic, poisson, factor=1.0):
        """The same, and log₂ of what the tolerance may be divided by before other points are chosen, (n,)."""
        caution = 0.0 if confidence is None else self.calibration.caution(tol, confidence, anisotropic)
        if confidence is not None:
            caution = max(caution + _RESERVE, _LEAST_CAUTION)
        return self.network.choose_with_slack(hexahedra, factor * tol, poisson, caution, anisotropic)


class ClassPredictor:
    """The published classifier: one class for each n, for the one tolerance it was trained for."""

    unsure = "a classifier for one tolerance has no calibration"

    def __init__(self, weights: Networks, measure: str) -> None:
        weights.require(card=("poisson", "tolerance"), networks=("classes",))
        if measure != "entries":
            raise ParameterError(
                f"the published classifier was trained for the entries of the elastic stiffness, not for {measure!r}; "
                "leave measure and form as they are, or pass other weights"
            )
        self.card = weights.card
        self.tolerance = weights.contents.number("tolerance", above=0.0)
        self.poisson = weights.contents.number("poisson", above=-1.0)
        self.network = weights.networks["classes"]
        self.features = features_of(weights)
        self.range = TrainedRange.from_weights(weights)

    def check(self, tol, confidence, anisotropic, poisson):
        """Raise ParameterError unless these are what it was trained for, and there is no confidence."""
        if not np.isclose(tol, self.tolerance, rtol=1e-6):
            raise ParameterError(
                f"tol is {tol}; this classifier was trained for {self.tolerance} alone, pass that value"
            )
        if poisson != self.poisson:
            raise ParameterError(
                f"poisson is {poisson}; this classifier was trained for {self.poisson} alone, pass that value"
            )
        if confidence is not None:
            raise ParameterError(
                f"confidence is {confidence}; the published classifier has none, pass confidence=None, or the weights "
                f"of kind {DIRECTIONAL_KIND!r}"
            )

    def choose(self, hexahedra, tol, confidence, anisotropic, poisson, factor=1.0):
        """Gauss points along each axis (n, 3), always equal, and elements in the range of training, (n,) bool."""
        features, _ = self.features(hexahedra)
        n = self.network(features).argmax(axis=1) + FEWEST
        return np.repeat(n[:, None], 3, axis=1), self.range.in_range(features)
