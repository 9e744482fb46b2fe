"""The calibration of the points of cells of any kind: ratios of Error and estimate, and cautions, on random families.

``femnn train series`` runs it. Three sets of cells are drawn by three seeds: one for the ratios, one for the cautions,
one for the figures of the card.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np

from femnn.checks import checked
from femnn.geometry.cell_families import FAMILIES, cells_of_family
from femnn.integration.cell_matrices import cell_matrices, matrix_errors
from femnn.io.weight_files import save_weights
from femnn.quadrature.adaptive.calibration import CAUTIONS, TOLERANCES, Calibration
from femnn.quadrature.adaptive.legendre_series import (
    cheapest_points,
    estimated_errors,
    least_determinant_share,
    series_of,
)
from femnn.quadrature.adaptive.series_predictor import (
    CAUTION,
    FACTORS,
    KIND,
    NAMES,
    NEARLY_FOLDED,
    setting_name,
    settings,
)
from femnn.tasks.run import run_tasks

#: Cells of each set and family, by dimension, of the shipped weights.
CELLS = {2: 1000, 3: 150}

# Errors below this are rounding in the reference.
_ROUNDING = 1e-10
# Points per axis of the reference by dimension.
_REFERENCE = {2: 24, 3: 14}
# Poisson's ratios of the cells, in turn.
_POISSON = (0.3, 0.0, 0.4999)

_FIGURES = ("most_misses_at_0.99", "worst_over_tol", "points_per_cell")


@checked(seed="[0, inf)", where="unchecked")
def train_series(
    out: str | os.PathLike, cells: int | None = None, seed: int = 0, progress: bool = True, **where: Any
) -> tuple[Path, dict[str, dict[str, float]]]:
    """Calibrate all settings and write ``OUT/cell-series.safetensors`` with its card.

    Parameters
    ----------
    out
        Folder; the results of single settings are kept in it, and an interrupted run goes on.
    cells
        Cells of each set and family, at least 100; by default 1000 in two dimensions and 150 in three.
    seed
        Of all drawing.
    progress
        Show a progress bar.
    where
        ``workers`` and ``scheduler`` of :func:`femnn.tasks.run_tasks`.

    Returns
    -------
    path : pathlib.Path
    test : dict
        Figures on fresh cells by setting and tolerance.
    """
    tasks = {
        setting_name(kind, degree, form): {
            "kind": NAMES[kind],
            "degree": degree,
            "form": form,
            "cells": CELLS[kind.dim] if cells is None else cells,
            "seed": seed,
        }
        for kind, degree, form in settings()
    }
    outcome = run_tasks(calibrate_setting, tasks, Path(out) / "settings", progress=progress, **where).require_all()
    tensors, test = {}, {}
    for name in tasks:
        arrays = outcome.load(name)
        tensors[f"factors-{name}"] = arrays["factors"]
        tensors |= {f"calibration-{name}.{key}": arrays[key] for key in ("tolerances", "confidences", "cautions")}
        for tolerance, figures in zip(TOLERANCES, arrays["figures"], strict=True):
            test[f"{name} {tolerance:.0e}"] = dict(zip(_FIGURES, map(float, figures), strict=True))
    card = {
        "kind": KIND,
        "what": "ratio of Error and Legendre tails for 1 to 8 points above the degree, and cautions, by kind of cell",
        "architectures": {},
        "trained_range": f"families {', '.join(FAMILIES)} of quadrilaterals and hexahedra, straight and curved",
        "data": {"cells": {name: task["cells"] for name, task in tasks.items()}, "seed": seed, "families": [*FAMILIES]},
        "training": {"seed": seed},
        "test": test,
    }
    return save_weights(Path(out) / KIND, tensors, card), test


def calibrate_setting(kind: str, degree: int, form: str, cells: int, seed: int) -> dict[str, np.ndarray]:
    """Factors, the table of cautions, and figures (tolerance, figure), of one setting."""
    (cell_kind,) = (one for one, name in NAMES.items() if name == kind)
    train, held_out, fresh = (
        [_within_reach(cells_of_family(cell_kind, family, cells, seed=3 * seed + k)) for family in FAMILIES]
        for k in range(3)
    )
    factors = _ratios(np.concatenate(train), degree, form)
    calibration = Calibration.of([_scores(x, degree, factors, form) for x in held_out])
    return {
        "factors": factors,
        "tolerances": calibration.tolerances,
        "confidences": calibration.confidences,
        "cautions": calibration.cautions,
        "figures": _figures(fresh, degree, factors, form, calibration),
    }


def _within_reach(x):
    """The cells that are left to the estimate; others are measured in use."""
    return x[least_determinant_share(x) > NEARLY_FOLDED]


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
    """Typical ratio of Error and estimate, (FACTORS,): the median, for each number of points above the degree."""
    series, dim = series_of(x), x.shape[2]

    def errors(some, poisson):
        references = _reference(some, degree, poisson, form)
        rules = [(degree + 1 + k,) * dim for k in range(FACTORS)]
        return np.stack(
            [matrix_errors(cell_matrices(some, rule, degree, poisson, form), references) for rule in rules], axis=1
        )

    measured = _by_poisson(x, errors)
    ratios = np.ones(FACTORS)
    for k in range(FACTORS):
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
        limit = TOLERANCES[t] / CAUTION ** CAUTIONS[c]
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
    """Most misses over the families at confidence 0.99, the largest Error over tol, and points, by tolerance."""
    figures = []
    for tolerance in TOLERANCES:
        limit = tolerance / CAUTION ** calibration.caution(tolerance, 0.99, True)
        misses, worst, points = [], [], []
        for x in families:
            chosen, _ = cheapest_points(series_of(x), degree, factors, limit, True)
            errors = _errors_of_choices(x, chosen[None], degree, form)[0]
            misses.append((errors >= tolerance).mean())
            worst.append(errors.max() / tolerance)
            points.append(chosen.prod(axis=1).mean())
        figures.append([max(misses), max(worst), np.mean(points)])
    return np.array(figures)
