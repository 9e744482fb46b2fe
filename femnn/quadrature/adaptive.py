"""Method 1: for each element the cheapest Gauss rule that meets a tolerance."""

import copy
import warnings
from numbers import Real

import numpy as np

from femnn.exceptions import FemnnWarning, ParameterError
from femnn.geometry.mesh import vertex_array
from femnn.geometry.quality import distance_from_parallelepiped
from femnn.geometry.validity import require_valid
from femnn.integration.convergence import MOST_POINTS, error_table, smallest_points
from femnn.learning.integration_points import FEWEST
from femnn.quadrature.point_predictors import load_point_predictor
from femnn.quadrature.rule import Rule, describe, groups_by_points

# Below this distance 2×2×2 points are exact to round-off: the Error falls with its square.
_PARALLELEPIPED = 1e-8


class AdaptiveGauss(Rule):
    """Integration-point classifier: n×n×n Gauss points, n chosen per element by a network.

    Parameters
    ----------
    tol
        Tolerance of the Error (see :func:`femnn.integration_error`), 1e-8 to 1e-1 with the shipped weights.
    confidence
        Share of elements, alike those of the calibration, that are to meet the tolerance: up to 0.999; below 0.5 it is
        taken as 0.5. ``None`` takes the bare prediction, which misses it about as often as the network errs.
    weights
        Name of shipped weights or path of a file from ``femnn train points``.

    Raises
    ------
    ParameterError
        If tolerance or confidence are outside what the network was trained and calibrated for.
    WeightFileError
        If the weights are missing, damaged or foreign.

    Notes
    -----
    Method 1 of A. Oishi, G. Yagawa, CMAME 327 (2017) 327-351. The Error is that of trilinear isotropic elasticity with
    the Poisson's ratio on the card (0.3). The numbers commute with the 48 symmetries of the cube and do not depend on
    position, orientation or size. Elements outside the range of training are not left to the network: they are
    integrated with n = 1, 2, 3, ... points until their Error is known. Elements of higher degree get as many more
    points per axis as their degree is above 1, which keeps the rate of decay that det J sets.
    """

    def __init__(self, tol=1e-3, confidence=0.99, *, weights="integration-points"):
        if isinstance(tol, bool) or not isinstance(tol, Real) or not 0.0 < tol < np.inf:
            raise ParameterError(f"tol is {tol!r}; give a positive number such as 1e-3")
        if confidence is not None and (isinstance(confidence, bool) or not isinstance(confidence, Real)):
            raise ParameterError(f"confidence is {confidence!r}; give a share such as 0.99, or None")
        self.tol, self.confidence = float(tol), confidence
        self._predictor = load_point_predictor(weights)
        self._predictor.check(self.tol, confidence)
        self._degree = 1

    @property
    def card(self):
        """What the weights are, how they were trained and tested."""
        return self._predictor.card

    def points_per_axis(self, hexahedra):
        """n of each element, shape (n_elements,), for trilinear shape functions; all elements must be healthy."""
        x = vertex_array(hexahedra)
        require_valid(x)
        return self.choose(x)[0]

    def for_degree(self, degree):
        raised = copy.copy(self)
        raised._degree = max(1, degree)
        return raised

    def choose(self, hexahedra):
        """What :meth:`points_per_axis` gives, and which elements the network was not trained for, (n_elements,) bool.

        The latter are settled by integration. The elements must be known to be healthy: they are not checked again.
        """
        points, unknown = self._predictor.points_per_axis(hexahedra, self.tol, self.confidence)
        parallelepipeds = distance_from_parallelepiped(hexahedra) < _PARALLELEPIPED
        points[parallelepipeds] = FEWEST
        unknown &= ~parallelepipeds
        if unknown.any():
            points[unknown] = self._settle(hexahedra, np.flatnonzero(unknown))
        return points, unknown

    def _settle(self, hexahedra, elements):
        errors, _ = error_table(hexahedra[elements], MOST_POINTS - 1, self.card["poisson"])
        points = np.maximum(smallest_points(errors, self.tol), FEWEST)
        unmet = elements[points == MOST_POINTS]
        if len(unmet):
            warnings.warn(
                f"{len(unmet)} of {len(hexahedra)} healthy elements, the first is number {unmet[0]} of these, need "
                f"more than {MOST_POINTS - 1} points per axis for tol={self.tol:g} and get {MOST_POINTS}; improve them "
                "or relax tol",
                FemnnWarning,
                stacklevel=5,
            )
        return points

    def _groups(self, hexahedra):
        return groups_by_points(self.choose(hexahedra)[0] + self._degree - 1)

    def __repr__(self):
        return f"AdaptiveGauss(tol={self.tol:g}, confidence={self.confidence})"

    def __str__(self):
        return describe(self, self.card)
