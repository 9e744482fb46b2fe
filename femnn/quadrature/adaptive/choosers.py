"""The two ways in which AdaptiveGauss chooses, measures and settles the points of cells.

Straight hexahedra with trilinear shape functions have networks and kernels of their own; all other cells, and other
shape functions, have the Legendre series of their metric. Both answer the same questions.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from femnn.quadrature.adaptive.by_integration import MOST_GIVEN, points_by_integration
from femnn.quadrature.adaptive.cell_measure import CellMeasure
from femnn.quadrature.adaptive.legendre_series import MOST, series_of
from femnn.quadrature.adaptive.on_mesh import shape_classes, shapes_of_hexahedra
from femnn.quadrature.adaptive.predictors import ClassPredictor, DirectionalPredictor
from femnn.quadrature.adaptive.series_predictor import load_series_predictor
from femnn.quadrature.adaptive.tensor_errors import tensor_rule_errors
from femnn.quadrature.adaptive.tolerance_test import keeps_tolerance


@dataclass(frozen=True, eq=False, repr=False)
class Request:
    """What a rule is asked for: the parameters of :class:`femnn.AdaptiveGauss`."""

    tol: float
    confidence: float | None
    anisotropic: bool
    measure: str
    form: str
    poisson: float

    @property
    def name(self) -> str:
        """The measure and the form as one word."""
        return self.measure if self.form == "elasticity" else f"laplace-{self.measure}"


class Chooser(ABC):
    """Chooses and measures tensor rules on healthy cells (n, nodes, dim); rules are points along the axes (n, dim).

    Attributes
    ----------
    most
        Points along an axis that are given at most.
    """

    most: int

    def __init__(self, request: Request) -> None:
        self.request = request

    @abstractmethod
    def predicted(self, x: np.ndarray, tol: float) -> tuple[np.ndarray, np.ndarray]:
        """Rules for a tolerance, and cells for which the prediction can be trusted at all, (n,) bool."""

    def predicted_with_slack(self, x: np.ndarray, tol: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The same, and log₂ of what the tolerance may be divided by before the rule changes, (n,): here nobody knows,
        and it is zero."""
        return *self.predicted(x, tol), np.zeros(len(x))

    @abstractmethod
    def keeps(self, x: np.ndarray, rules: np.ndarray) -> np.ndarray:
        """True where a rule keeps the tolerance, (n,)."""

    @abstractmethod
    def errors(self, x: np.ndarray, rules: np.ndarray) -> np.ndarray:
        """The measure of each rule, (n,)."""

    @abstractmethod
    def settled(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rules that keep the tolerance, found by integration, and whether one was found, (n,)."""

    @abstractmethod
    def classes(self, x: np.ndarray) -> np.ndarray:
        """The class of shapes of each cell, (n,) int, as :data:`femnn.quadrature.adaptive.on_mesh.CLASSES` has them."""

    @abstractmethod
    def shapes(self, x: np.ndarray) -> np.ndarray:
        """Quantities (k, n) by which samples of cells are compared."""


class HexahedronChooser(Chooser):
    """Straight hexahedra with trilinear shape functions."""

    most = MOST_GIVEN

    def __init__(self, request: Request, predictor: DirectionalPredictor | ClassPredictor) -> None:
        super().__init__(request)
        self._predictor = predictor

    def predicted(self, x, tol):
        ask = self.request
        settings = ask.tol, ask.confidence, ask.anisotropic, ask.poisson
        return self._predictor.choose(x, *settings, factor=tol / ask.tol)

    def predicted_with_slack(self, x, tol):
        if isinstance(self._predictor, ClassPredictor):
            return super().predicted_with_slack(x, tol)
        ask = self.request
        settings = ask.tol, ask.confidence, ask.anisotropic, ask.poisson
        return self._predictor.choose_with_slack(x, *settings, factor=tol / ask.tol)

    def keeps(self, x, rules):
        return keeps_tolerance(x, rules, self.request.tol, self.request.poisson, self.request.name)

    def errors(self, x, rules):
        return tensor_rule_errors(x, rules, self.request.poisson, self.request.name)

    def settled(self, x):
        ask = self.request
        return points_by_integration(x, ask.tol, ask.poisson, ask.name, ask.anisotropic)

    def classes(self, x):
        return shape_classes(x)

    def shapes(self, x):
        return shapes_of_hexahedra(x)


class CellChooser(Chooser):
    """Cells of any kind with shape functions of any degree."""

    most = MOST

    def __init__(self, request: Request, degree: int) -> None:
        super().__init__(request)
        self._degree, self._predictor = degree, load_series_predictor()
        self._measure = CellMeasure(degree, request.poisson, request.form, request.measure)

    def predicted(self, x, tol):
        ask = self.request
        # the cautions of families are about the Error; those of energies are found on the mesh at hand
        confidence = ask.confidence if ask.measure == "entries" else None
        # the calibration of the families need not reach to stricter tolerances than the one asked for
        return self._predictor.choose(
            x, self._degree, ask.tol, confidence, ask.anisotropic, ask.form, factor=tol / ask.tol
        )

    def keeps(self, x, rules):
        return self._measure.keeps(x, rules, self.request.tol)

    def errors(self, x, rules):
        return self._measure.errors(x, rules)

    def settled(self, x):
        # from the fewest on: an estimate that is of no use may ask for all points there are
        fewest = np.full((len(x), x.shape[2]), self._degree + 1)
        return self._measure.points_that_keep(x, fewest, self.request.tol)

    def classes(self, x):
        return np.zeros(len(x), dtype=np.int64)

    def shapes(self, x):
        series = series_of(x)
        tails = np.log10(series.tails[:, :, [2, 4, 8]] + 1e-16)
        return np.stack([series.shares, *tails.max(axis=1).T, *tails.min(axis=1).T])
