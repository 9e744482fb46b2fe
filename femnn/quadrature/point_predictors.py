"""What stands behind AdaptiveGauss: networks that give the number of Gauss points per axis for a tolerance."""

import numpy as np

from femnn.exceptions import ParameterError, WeightFileError
from femnn.learning.checkpoints import load_networks
from femnn.learning.features import features_of
from femnn.learning.integration_points import FEWEST
from femnn.quadrature.calibration import Calibration, monotone
from femnn.quadrature.trained_range import TrainedRange

ERROR_KIND = "integration-points"
CLASS_KIND = "integration-points-classifier"


def load_point_predictor(name_or_path):
    """The predictor of a weight file of either kind; raises WeightFileError for other files."""
    weights = load_networks(name_or_path)
    predictors = {ERROR_KIND: ErrorPredictor, CLASS_KIND: ClassPredictor}
    kind = weights.card["kind"]
    if kind not in predictors:
        raise WeightFileError(
            f"{weights.path} is of kind {kind!r}, AdaptiveGauss needs one of {', '.join(predictors)}; pass another file"
        )
    return predictors[kind](weights)


class ErrorPredictor:
    """Predicts log₁₀ Error for every n, so it serves every tolerance that its calibration covers."""

    def __init__(self, weights):
        weights.require(card=("poisson",), networks=("errors",))
        self.card = weights.card
        self.network = weights.networks["errors"]
        self.features = features_of(weights)
        self.range = TrainedRange.from_weights(weights)
        self.calibration = Calibration.from_weights(weights)

    def check(self, tol, confidence):
        """Raise ParameterError unless the network was trained and calibrated for this tolerance and confidence."""
        if not self.calibration.covers(tol):
            low, high = self.calibration.tolerances[[0, -1]]
            raise ParameterError(
                f"tol is {tol}; the network was trained for tolerances from {low:g} to {high:g}, pass one of these, "
                "or use GaussLegendre(n)"
            )
        if confidence is not None:
            self.calibration.shift(tol, confidence)

    def points_per_axis(self, hexahedra, tol, confidence):
        """Gauss points per axis (n,), and which elements the network knows nothing about, (n,) bool."""
        features, _ = self.features(hexahedra)
        safety = 0.0 if confidence is None else self.calibration.shift(tol, confidence)
        meets = monotone(self.network(features)) + safety < np.log10(tol)
        return meets.argmax(axis=1) + FEWEST, ~(self.range.contains(features) & meets.any(axis=1))


class ClassPredictor:
    """The published classifier: one class for each n, for the one tolerance it was trained for."""

    def __init__(self, weights):
        weights.require(card=("poisson", "tolerance"), networks=("classes",))
        self.card = weights.card
        self.network = weights.networks["classes"]
        self.features = features_of(weights)
        self.range = TrainedRange.from_weights(weights)

    def check(self, tol, confidence):
        """Raise ParameterError unless ``tol`` is the trained one and no confidence is asked for."""
        trained = self.card["tolerance"]
        if not np.isclose(tol, trained, rtol=1e-6):
            raise ParameterError(f"tol is {tol}; this classifier was trained for {trained} alone, pass that value")
        if confidence is not None:
            raise ParameterError(
                f"confidence is {confidence}; the published classifier has none, pass confidence=None, or the weights "
                f"of kind {ERROR_KIND!r}"
            )

    def points_per_axis(self, hexahedra, tol, confidence):
        """Gauss points per axis (n,), and which elements the network knows nothing about, (n,) bool."""
        features, _ = self.features(hexahedra)
        return self.network(features).argmax(axis=1) + FEWEST, ~self.range.contains(features)
