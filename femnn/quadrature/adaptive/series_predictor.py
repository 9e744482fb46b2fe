"""Points for cells of any kind from their Legendre series, as cautious as held-out cells demand.

The estimate of :mod:`femnn.quadrature.adaptive.legendre_series` needs two things that are measured once, for each kind
of cell, degree of shape functions and form: the typical ratio of Error and estimate for each number of points, and how
far below the tolerance the estimate must be for a confidence (:mod:`femnn.quadrature.adaptive.calibration`). Both are
in the weight file ``cell-series``, which ``femnn train series`` makes.
"""

import os
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from femnn.checks import checked
from femnn.exceptions import ParameterError
from femnn.geometry.cell_families import FAMILIES, cells_of_family
from femnn.geometry.cells import (
    CURVED_HEXAHEDRON,
    CURVED_QUADRILATERAL,
    HEXAHEDRON,
    QUADRILATERAL,
    CellKind,
    kind_of_array,
)
from femnn.integration.cell_matrices import cell_matrices, matrix_errors
from femnn.networks.weights import Networks, load_networks
from femnn.quadrature.adaptive.calibration import CAUTIONS, TOLERANCES, Calibration
from femnn.quadrature.adaptive.legendre_series import cheapest_points, estimated_errors, series_of

KIND = "cell-series"

#: Short names of the kinds in the weight file.
NAMES = {
    QUADRILATERAL: "quadrilateral",
    CURVED_QUADRILATERAL: "curved-quadrilateral",
    HEXAHEDRON: "hexahedron",
    CURVED_HEXAHEDRON: "curved-hexahedron",
}
FORMS = ("elasticity", "laplace")

# A caution of one divides the tolerance by this: about the scatter of the estimate.
_CAUTION = 10.0**0.25
# Ratios of Error and estimate are told apart for so many numbers of points above the degree.
_FACTORS = 8
# Errors below this are rounding in the reference.
_ROUNDING = 1e-10
# Points per axis of the reference by dimension. Cells that need more points than that less two are left out.
_REFERENCE = {2: 24, 3: 14}
# Poisson's ratios of the cells, in turn.
_POISSON = (0.3, 0.0, 0.4999)


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
        names = {setting: _name(*setting) for setting in settings()}
        weights.require(tensors=[f"factors-{name}" for name in names.values()])
        self._factors = {
            setting: weights.contents.array(f"factors-{name}", (_FACTORS,), None) for setting, name in names.items()
        }
        self._calibrations = {setting: Calibration.from_weights(weights, name) for setting, name in names.items()}

    def __repr__(self) -> str:
        return f"SeriesPredictor({len(self._factors)} settings)"

    def check(self, tol: float, confidence: float | None, anisotropic: bool) -> None:
        """Raise ParameterError unless tolerance and confidence are within the calibration."""
        for calibration in self._calibrations.values():
            if not calibration.in_range(tol):
                low, high = calibration.tolerances[[0, -1]]
                raise ParameterError(
                    f"tol is {tol}; cells other than straight hexahedra are calibrated for tolerances from {low:g} to "
                    f"{high:g}, pass one of these, or use GaussLegendre(n)"
                )
            if confidence is not None:
                calibration.caution(tol, confidence, anisotropic)

    def choose(
        self, x: np.ndarray, degree: int, tol: float, confidence: float | None, anisotropic: bool, form: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """Gauss points along each axis (n, dim) of healthy cells, and whether some number of points suffices, (n,)."""
        setting = (kind_of_array(x), min(degree, 2), form)
        caution = 0.0
        if confidence is not None:
            caution = self._calibrations[setting].caution(tol, confidence, anisotropic)
        return cheapest_points(series_of(x), degree, self._factors[setting], tol / _CAUTION**caution, anisotropic)


@cache
def load_series_predictor(name_or_path: str | os.PathLike = KIND) -> SeriesPredictor:
    """The predictor of a weight file; raises WeightFileError for other files."""
    return SeriesPredictor(load_networks(name_or_path))


def _name(kind, degree, form):
    return f"{NAMES[kind]}-{degree}-{form}"


@checked(cells_per_family="[100, inf)", seed="[0, inf)")
def calibrate_series(
    cells_per_family: int, seed: int, progress: Callable[[str], None] | None = None
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Tensors and card of the weight file, from random families of cells.

    A third of the cells of each family gives the ratios of Error and estimate, the next third the caution, the last one
    the figures of the card: three sets by three seeds.

    Parameters
    ----------
    cells_per_family
        Cells of each set, family and kind.
    seed
        Of all drawing.
    progress
        Called with a line of words as each setting begins.
    """
    tensors, test = {}, {}
    for kind, degree, form in settings():
        name = _name(kind, degree, form)
        if progress is not None:
            progress(name)
        train, held_out, fresh = (
            [cells_of_family(kind, family, cells_per_family, seed=3 * seed + k) for family in FAMILIES]
            for k in range(3)
        )
        factors = _ratios(np.concatenate(train), degree, form)
        calibration = Calibration.of([_scores(x, degree, factors, form) for x in held_out])
        tensors[f"factors-{name}"] = factors
        tensors |= calibration.tensors(name)
        test[name] = _figures(fresh, degree, factors, form, calibration)
    card = {
        "kind": KIND,
        "what": "ratio of Error and Legendre tails for 1 to 8 points above the degree, and cautions, by kind of cell",
        "architectures": {},
        "trained_range": f"families {', '.join(FAMILIES)} of quadrilaterals and hexahedra, straight and curved",
        "data": {"cells_per_family": cells_per_family, "seed": seed, "families": list(FAMILIES)},
        "training": {"seed": seed},
        "test": test,
    }
    return tensors, card


def _by_poisson(x, function):
    """``function(cells, poisson)`` on every third cell with the same ratio, joined in the order of the cells."""
    parts = [function(x[k :: len(_POISSON)], poisson) for k, poisson in enumerate(_POISSON)]
    joined = np.empty((len(x), *parts[0].shape[1:]))
    for k, part in enumerate(parts):
        joined[k :: len(_POISSON)] = part
    return joined


def _reference(x, degree, poisson, form):
    return cell_matrices(x, (_REFERENCE[x.shape[2]],) * x.shape[2], degree, poisson, form)


def _ratios(x, degree, form):
    """Typical ratio of Error and estimate, (_FACTORS,): the median, for each number of points above the degree."""
    series, dim = series_of(x), x.shape[2]

    def errors(some, poisson):
        references = _reference(some, degree, poisson, form)
        rules = [(degree + 1 + k,) * dim for k in range(_FACTORS)]
        return np.stack(
            [matrix_errors(cell_matrices(some, rule, degree, poisson, form), references) for rule in rules], axis=1
        )

    measured = _by_poisson(x, errors)
    ratios = np.ones(_FACTORS)
    for k in range(_FACTORS):
        estimates = estimated_errors(series, degree + 1 + k, degree)
        certain = (measured[:, k] > _ROUNDING) & (estimates > _ROUNDING)
        if certain.sum() >= len(x) // 20:
            ratios[k] = np.median(measured[certain, k] / estimates[certain])
        else:
            # too few cells have an Error with so many points; the ratios change slowly
            ratios[k] = ratios[k - 1]
    return ratios


def _scores(x, degree, factors, form):
    """Least caution from which on each cell keeps each of ``TOLERANCES``, (2, n, 8), as in the calibration."""
    n, trials = len(x), (2, len(TOLERANCES), len(CAUTIONS))
    chosen = np.empty((*trials, n, x.shape[2]), dtype=np.int64)
    series = series_of(x)
    for a, t, c in np.ndindex(trials):
        limit = TOLERANCES[t] / _CAUTION ** CAUTIONS[c]
        chosen[a, t, c], _ = cheapest_points(series, degree, factors, limit, bool(a))
    errors = _errors_of_choices(x, chosen.reshape(-1, n, x.shape[2]), degree, form).reshape(*trials, n)
    misses = errors >= TOLERANCES[:, None, None]
    last = len(CAUTIONS) - 1 - misses[:, :, ::-1].argmax(axis=2)
    needed = np.where(misses.any(axis=2), np.append(CAUTIONS[1:], np.inf)[last], -np.inf)
    return needed.transpose(0, 2, 1)


def _errors_of_choices(x, chosen, degree, form):
    """Errors (trials, n) of the rules (trials, n, dim); each different rule of a cell is integrated once."""
    trials, n, dim = chosen.shape
    code = chosen @ 100 ** np.arange(dim)
    pairs, place = np.unique(
        np.stack([code, np.broadcast_to(np.arange(n), code.shape)]).reshape(2, -1), axis=1, return_inverse=True
    )
    errors = np.empty(pairs.shape[1])
    references = _by_poisson(x, lambda some, poisson: _reference(some, degree, poisson, form))
    poisson = np.resize(np.array(_POISSON), n)
    for rule in np.unique(pairs[0]):
        per_axis = tuple(int(rule) // 100**k % 100 for k in range(dim))
        # beyond the reference nothing can be told, and it is the best there is
        beyond = max(per_axis) >= _REFERENCE[dim]
        for ratio in _POISSON:
            here = np.flatnonzero((pairs[0] == rule) & (poisson[pairs[1]] == ratio))
            cells = pairs[1][here]
            if len(cells) and not beyond:
                matrices = cell_matrices(x[cells], per_axis, degree, ratio, form)
                errors[here] = matrix_errors(matrices, references[cells])
            else:
                errors[here] = 0.0
    return errors[place.ravel()].reshape(trials, n)


def _figures(families, degree, factors, form, calibration):
    """Most misses over the families at confidence 0.99, and the largest share of Error in tol, by tolerance."""
    figures = {}
    for tolerance in TOLERANCES:
        limit = tolerance / _CAUTION ** calibration.caution(tolerance, min(0.99, calibration.confidences[-1]), True)
        misses, worst, points = [], [], []
        for x in families:
            chosen, _ = cheapest_points(series_of(x), degree, factors, limit, True)
            errors = _errors_of_choices(x, chosen[None], degree, form)[0]
            misses.append(float((errors >= tolerance).mean()))
            worst.append(float(errors.max() / tolerance))
            points.append(float(chosen.prod(axis=1).mean()))
        figures[f"{tolerance:.0e}"] = {
            "most_misses_at_0.99": max(misses),
            "worst_over_tol": max(worst),
            "points_per_cell": float(np.mean(points)),
        }
    return figures
