"""Method 2: Gauss points with weights corrected per element."""

import warnings

import numpy as np

from femnn.exceptions import FemnnWarning, ParameterError
from femnn.geometry.mesh import vertex_array
from femnn.geometry.validity import require_valid
from femnn.integration.gauss import tensor_gauss
from femnn.learning.checkpoints import load_networks
from femnn.learning.features import features_of
from femnn.learning.quadrature_weights import correction_factors, unposed
from femnn.quadrature.rule import CellGroup, Rule, describe
from femnn.quadrature.trained_range import TrainedRange

KIND = "quadrature-weights"


class CorrectedGauss(Rule):
    """2×2×2 Gauss points whose weights a network corrects where that helps.

    A classifier picks the elements that other weights improve; a regressor gives the eight factors on their Gauss
    weights. All other elements, those outside the range of training included, keep Gauss weights exactly.

    Parameters
    ----------
    points
        Gauss points per axis; the published method has 2.
    weights
        Name of shipped weights or path of a file from ``femnn train weights``.

    Raises
    ------
    ParameterError
        If ``points`` is not 2.
    WeightFileError
        If the weights are missing, damaged or foreign.

    Notes
    -----
    Method 2 of A. Oishi, G. Yagawa, CMAME 327 (2017) 327-351. The stiffness is linear in the weights, so the best ones
    are known (:func:`femnn.integration.optimal_weights.optimal_weights`) and are a hard ceiling: they leave 0.90 to
    0.98 of the Error on the average. Corrected weights do not keep the patch test: a constant strain is no longer
    reproduced exactly, so refinement of a distorted mesh stops paying at some point.
    """

    def __init__(self, points=2, *, weights="quadrature-weights"):
        if points != 2:
            raise ParameterError(f"points is {points!r}; corrected weights exist for 2 Gauss points per axis, pass 2")
        loaded = load_networks(weights, KIND)
        loaded.require(card=("poisson",), networks=("classifier", "regressor"), tensors=("factors.low", "factors.high"))
        self.card = loaded.card
        self._classifier, self._regressor = loaded.networks["classifier"], loaded.networks["regressor"]
        self._features = features_of(loaded)
        self._range = TrainedRange.from_weights(loaded)
        self._factor_low, self._factor_high = loaded.tensors["factors.low"], loaded.tensors["factors.high"]

    def corrected(self, hexahedra):
        """Which elements get other weights, (n,) bool; all elements must be healthy."""
        x = vertex_array(hexahedra)
        require_valid(x)
        features, _ = self._features(x)
        return self._sent_on(features)

    def for_degree(self, degree):
        if degree > 1:
            warnings.warn(
                f"CorrectedGauss was trained for trilinear shape functions, this element has degree {degree} along "
                f"each axis; its 2×2×2 points may leave zero-energy modes, use AdaptiveGauss or GaussLegendre",
                FemnnWarning,
                stacklevel=3,
            )
        return self

    def _sent_on(self, features):
        return (self._classifier(features)[:, 0] > 0.0) & self._range.contains(features)

    def _groups(self, hexahedra):
        points, gauss = tensor_gauss(2, 2, 2)
        features, symmetry = self._features(hexahedra)
        sent_on = self._sent_on(features)
        kept, corrected = np.flatnonzero(~sent_on), np.flatnonzero(sent_on)
        groups = []
        if len(kept):
            groups.append(CellGroup(kept, points, gauss))
        if len(corrected):
            # within the factors of training, all positive, weights stay positive whatever the network says
            factors = correction_factors(self._regressor(features[corrected]), hexahedra[corrected])
            factors = np.clip(factors, self._factor_low, self._factor_high)
            groups.append(CellGroup(corrected, points, gauss * unposed(factors, symmetry[corrected], points)))
        return groups

    def __repr__(self):
        return "CorrectedGauss(points=2)"

    def __str__(self):
        return describe(self, self.card)
