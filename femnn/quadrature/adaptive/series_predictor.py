"""Points for cells of any kind from their Legendre series, as cautious as held-out cells demand.

The estimate of :mod:`femnn.quadrature.adaptive.legendre_series` needs two things that are measured once, for each kind
of cell, degree of shape functions and form: the typical ratio of Error and estimate for each number of points, and how
far below the tolerance the estimate must be for a confidence (:mod:`femnn.quadrature.adaptive.calibration`). Both are
in the weight file ``cell-series``, which ``femnn train series`` makes.
"""

import os
from functools import cache
from typing import Any

import numpy as np

from femnn.exceptions import ParameterError
from femnn.geometry.cells import (
    CURVED_HEXAHEDRON,
    CURVED_QUADRILATERAL,
    HEXAHEDRON,
    QUADRILATERAL,
    CellKind,
    kind_of_array,
)
from femnn.networks.weights import Networks, load_networks
from femnn.quadrature.adaptive.calibration import Calibration
from femnn.quadrature.adaptive.legendre_series import cheapest_points, series_of

KIND = "cell-series"

#: Short names of the kinds in the weight file.
NAMES = {
    QUADRILATERAL: "quadrilateral",
    CURVED_QUADRILATERAL: "curved-quadrilateral",
    HEXAHEDRON: "hexahedron",
    CURVED_HEXAHEDRON: "curved-hexahedron",
}
FORMS = ("elasticity", "laplace")

#: A caution of one divides the tolerance by this: about the scatter of the estimate.
CAUTION = 10.0**0.25
#: Cells with a smaller share of det J at a node are measured instead.
NEARLY_FOLDED = 0.01

#: Ratios of Error and estimate are told apart for so many numbers of points above the degree.
FACTORS = 8


def settings() -> list[tuple[CellKind, int, str]]:
    """Kinds of cells, degrees of shape functions and forms that are calibrated.

    Trilinear shape functions on straight hexahedra are served by the networks of AdaptiveGauss.
    """
    kinds = [(kind, degree) for kind in NAMES for degree in (1, 2) if not (kind is HEXAHEDRON and degree == 1)]
    return [(kind, degree, form) for kind, degree in kinds for form in FORMS]


class SeriesPredictor:
    """Chooses Gauss points for cells of any kind."""

    def __init__(self, weights: Networks) -> None:
        if weights.card["kind"] != KIND:
            raise weights.contents.file.refused(f"it is of kind {weights.card['kind']!r}, {KIND!r} is needed")
        self.card: dict[str, Any] = weights.card
        names = {setting: setting_name(*setting) for setting in settings()}
        weights.require(tensors=[f"factors-{name}" for name in names.values()])
        self._factors = {
            setting: weights.contents.array(f"factors-{name}", (FACTORS,), None) for setting, name in names.items()
        }
        self._calibrations = {setting: Calibration.from_weights(weights, name) for setting, name in names.items()}

    def __repr__(self) -> str:
        return f"SeriesPredictor({len(self._factors)} settings)"

    def _caution(self, setting, tol, confidence, anisotropic):
        calibration = self._calibrations[setting]
        if not calibration.in_range(tol):
            low, high = calibration.tolerances[[0, -1]]
            raise ParameterError(
                f"tol is {tol}; {setting[0].name} are calibrated for tolerances from {low:g} to {high:g}, pass one of "
                "these, or use GaussLegendre(n)"
            )
        return 0.0 if confidence is None else calibration.caution(tol, confidence, anisotropic)

    def choose(
        self,
        x: np.ndarray,
        degree: int,
        tol: float,
        confidence: float | None,
        anisotropic: bool,
        form: str,
        factor: float = 1.0,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Gauss points along each axis (n, dim) of healthy cells, and cells within reach of the estimate, (n,) bool.

        The tolerance, with the caution that belongs to it, is multiplied by ``factor``. Where det J comes near zero at
        a node, too few lines see it. Raises ParameterError if tolerance or confidence are outside of the calibration.
        """
        setting = (kind_of_array(x), min(degree, 2), form)
        limit = factor * tol / CAUTION ** self._caution(setting, tol, confidence, anisotropic)
        series = series_of(x)
        points, met = cheapest_points(series, degree, self._factors[setting], limit, anisotropic)
        return points, met & (series.shares > NEARLY_FOLDED)


@cache
def load_series_predictor(name_or_path: str | os.PathLike = KIND) -> SeriesPredictor:
    """The predictor of a weight file; raises WeightFileError for other files."""
    return SeriesPredictor(load_networks(name_or_path))


def setting_name(kind: CellKind, degree: int, form: str) -> str:
    """The name of a setting in the weight file."""
    return f"{NAMES[kind]}-{degree}-{form}"
