"""From nothing to a weight file: draw, label, train, calibrate, test, save. What ``femnn train`` does."""

import tempfile
import warnings
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from femnn.exceptions import FemnnWarning, ParameterError
from femnn.integration.convergence import converged_stiffness
from femnn.integration.error import error_against
from femnn.learning.checkpoints import save_networks
from femnn.learning.datasets import Recipe, make_dataset
from femnn.learning.features import features_named
from femnn.learning.integration_points import FEWEST, classes, train_classifier, train_error_network
from femnn.learning.quadrature_weights import (
    HELPFUL,
    improvable,
    posed_factors,
    predicted_r_error,
    train_regressor,
)
from femnn.learning.quadrature_weights import train_classifier as train_improvable
from femnn.learning.training import TrainingOptions
from femnn.quadrature.calibration import TOLERANCES, Calibration, monotone
from femnn.quadrature.corrected import KIND as WEIGHTS_KIND
from femnn.quadrature.corrected import CorrectedGauss
from femnn.quadrature.point_predictors import CLASS_KIND, ERROR_KIND
from femnn.quadrature.trained_range import TrainedRange

# One in twelve elements validates, one in four calibrates and tests; the others train.
_VALIDATION, _HELD_OUT = 1 / 12, 1 / 4
_FEWEST_ELEMENTS = 12

#: Elements that a mesh may hold: mildly to strongly distorted, stretched and sheared.
POINTS_RECIPE = Recipe(48_000, displacement=(0.0, 0.4), aspect=30.0, shear=0.45, structured=0.5)

#: Elements of the paper's experiment, and flatter ones.
WEIGHTS_RECIPE = Recipe(40_000, displacement=(0.0, 0.38))

ERROR_OPTIONS = TrainingOptions(
    optimizer="adamw", learning_rate=2e-3, weight_decay=1e-4, epochs=120, patience=40, threads=1
)
CLASSIFIER_OPTIONS = TrainingOptions(optimizer="adam", learning_rate=5e-3, epochs=200, patience=50, threads=1)
IMPROVABLE_OPTIONS = TrainingOptions(optimizer="adam", learning_rate=5e-3, epochs=150, patience=40, threads=1)
REGRESSOR_OPTIONS = TrainingOptions(
    optimizer="adam", learning_rate=4e-3, batch_size=128, epochs=300, patience=60, threads=1
)


def split(dataset):
    """Training, validation and held-out rows of a data set; its rows are independent, so their order serves."""
    n = len(dataset)
    if n < _FEWEST_ELEMENTS:
        raise ParameterError(
            f"{n} elements are too few to train, validate, calibrate and test: at least {_FEWEST_ELEMENTS} are needed, "
            "some thousand make a network of use"
        )
    first, second = round(n * (1 - _VALIDATION - _HELD_OUT)), round(n * (1 - _HELD_OUT))
    return dataset[:first], dataset[first:second], dataset[second:]


def train_points(folder, recipe=POINTS_RECIPE, options=ERROR_OPTIONS, progress=True):
    """Make the weights of :class:`femnn.AdaptiveGauss`; returns the path of the file and its test figures.

    Parameters
    ----------
    folder
        Where data, checkpoints and ``integration-points.safetensors`` go; an interrupted run goes on from there.
    recipe, options
        What to draw and how to train; ``options.seed`` seeds the network.
    """
    path = Path(folder) / "integration-points"
    return fit_error_network(path, *split(settled(_data(path, recipe, progress))), options, progress)


def train_points_classifier(folder, tolerance, recipe=WEIGHTS_RECIPE, options=CLASSIFIER_OPTIONS, progress=True):
    """Make the weights of the published classifier, for one tolerance; otherwise as :func:`train_points`."""
    path = Path(folder) / f"integration-points-{tolerance:g}"
    dataset = settled(_data(Path(folder) / "integration-points-classifier", recipe, progress))
    return fit_classifier(path, *split(dataset), tolerance, options, progress)


def train_weights(folder, recipe=WEIGHTS_RECIPE, options=REGRESSOR_OPTIONS, target="error", progress=True):
    """Make the weights of :class:`femnn.CorrectedGauss`; otherwise as :func:`train_points`.

    ``target`` is what the regressor learns from, see :func:`femnn.learning.quadrature_weights.train_regressor`.
    """
    path = Path(folder) / "quadrature-weights"
    return fit_weights(path, *split(_data(path, recipe, progress)), options, target, progress)


def fit_error_network(path, training, validation, held_out, options, progress=True):
    """Train, calibrate and test an error network on labelled elements and save it; returns path and test figures.

    The first half of ``held_out`` calibrates, the second tests.
    """
    checkpoint = _beside(path, "training")
    network, history = train_error_network(training, validation, options, checkpoint=checkpoint, progress=progress)
    features = features_named("determinant")
    predicted = network(features(held_out.hexahedra)[0])
    errors = held_out.errors[:, FEWEST - 1 :]
    half = len(held_out) // 2
    calibration = Calibration.of(predicted[:half], errors[:half])
    test = _points_test(predicted[half:], errors[half:], calibration)
    card = {
        "kind": ERROR_KIND,
        "what": "log10 Error of n x n x n Gauss points on a trilinear hexahedron, n = 2..20, isotropic elasticity",
        "features": features.name,
        **_provenance(training.recipe, options, training=len(training), calibration=half, test=len(held_out) - half),
        "history": str(history),
        "test": test,
    }
    tensors = {**calibration.tensors(), **TrainedRange.of(features(training.hexahedra)[0]).tensors()}
    return save_networks(path, {"errors": network}, card, tensors), test


def fit_classifier(path, training, validation, held_out, tolerance, options, progress=True):
    """The same as :func:`fit_error_network` for the published classifier, which has no calibration."""
    checkpoint = _beside(path, "training")
    network, history = train_classifier(
        training, validation, tolerance, options, checkpoint=checkpoint, progress=progress
    )
    features = features_named("normalised")
    predicted = network(features(held_out.hexahedra)[0]).argmax(axis=1)
    true = classes(held_out.errors, tolerance)
    test = {
        "exact": float(np.mean(predicted == true)),
        "within_one": float(np.mean(np.abs(predicted - true) <= 1)),
        "violations": float(np.mean(predicted < true)),
    }
    card = {
        "kind": CLASS_KIND,
        "what": f"number of Gauss points per axis for Error < {tolerance:g}, after Oishi and Yagawa (2017)",
        "features": features.name,
        "tolerance": tolerance,
        **_provenance(training.recipe, options, training=len(training), test=len(held_out)),
        "history": str(history),
        "test": test,
    }
    tensors = TrainedRange.of(features(training.hexahedra)[0]).tensors()
    return save_networks(path, {"classes": network}, card, tensors), test


def fit_weights(path, training, validation, held_out, options, target="error", progress=True):
    """The same as :func:`fit_error_network` for the two networks of :class:`femnn.CorrectedGauss`."""
    labels = "trials" if target == "trials" else "optimal"
    regressor, regressed = train_regressor(
        training, validation, options, target, checkpoint=_beside(path, f"{target}-training"), progress=progress
    )
    if target == "error":
        improved = [predicted_r_error(regressor, part) < HELPFUL for part in (training, validation)]
    else:
        improved = [improvable(part, labels) for part in (training, validation)]
    classifier, classified = train_improvable(
        training,
        validation,
        improved,
        replace(IMPROVABLE_OPTIONS, seed=options.seed, epochs=min(IMPROVABLE_OPTIONS.epochs, options.epochs)),
        checkpoint=_beside(path, f"{target}-classifier-training"),
        progress=progress,
    )
    factors = posed_factors(training, labels)
    features = features_named("invariant")
    tensors = {
        "factors.low": factors.min(axis=0),
        "factors.high": factors.max(axis=0),
        **TrainedRange.of(features(training.hexahedra)[0]).tensors(),
    }
    card = {
        "kind": WEIGHTS_KIND,
        "what": "eight factors on the weights of 2 x 2 x 2 Gauss points, for the elements that they improve",
        "features": features.name,
        "target": target,
        **_provenance(training.recipe, options, training=len(training), test=len(held_out)),
        "history": {"classifier": str(classified), "regressor": str(regressed)},
        "test": {},
    }
    networks = {"classifier": classifier, "regressor": regressor}
    # the rule itself is tested, and it reads files: not at their place before their test figures are known
    with tempfile.TemporaryDirectory() as folder:
        card["test"] = weights_test(save_networks(Path(folder) / "untested", networks, card, tensors), held_out)
    saved = save_networks(path, networks, card, tensors)
    mean = card["test"].get("mean_r_error")
    if mean is None or mean >= 1.0:
        does = "corrects no element" if mean is None else f"makes elements worse, not better (mean R_error {mean:.3f})"
        warnings.warn(f"{saved} {does}; train on more elements or for more epochs", FemnnWarning, stacklevel=2)
    return saved, card["test"]


def _data(path, recipe, progress):
    return make_dataset(_beside(path, "data"), recipe, progress)


def _beside(path, what):
    path = Path(path)
    return path.with_name(f"{path.name}-{what}.safetensors")


def _provenance(recipe, options, **counts):
    """The part of a card that every weight file has: where its data come from and how it was trained."""
    return {
        "poisson": recipe.poisson,
        "trained_range": _range_text(recipe),
        "data": {**asdict(recipe), **counts},
        "training": asdict(options),
    }


def corrected_r_error(weights, dataset):
    """R_error of the labelled elements that a corrected rule sends on, (m,), which these are, (n,) bool."""
    rule = CorrectedGauss(weights=weights)
    sent_on = rule.corrected(dataset.hexahedra)
    chosen = dataset[sent_on]
    if len(chosen) == 0:
        return np.empty(0), sent_on
    references, _ = converged_stiffness(chosen.hexahedra, dataset.recipe.poisson)
    errors = error_against(chosen.hexahedra, rule, references, dataset.recipe.poisson)
    return errors / chosen.errors[:, 1], sent_on


def weights_test(path, held_out):
    """Figures of the corrected rule on labelled elements that it has not seen: what it sends on, and R_error there."""
    ratio, sent_on = corrected_r_error(path, held_out)
    if len(ratio) == 0:
        return {"sent_on": 0.0}
    return {
        "sent_on": float(sent_on.mean()),
        "share_below_1": float(np.mean(ratio < 1.0)),
        "mean_r_error": float(ratio.mean()),
        "mean_r_error_of_optimum": float(held_out.optimum[sent_on].mean()),
    }


def settled(dataset):
    """Without the few elements whose reference did not converge enough for the smallest tolerance."""
    keep = dataset.doubt < 0.01 * TOLERANCES[0]
    if not keep.all():
        warnings.warn(
            f"{(~keep).sum()} of {len(keep)} elements are so nearly folded that their reference has not converged to "
            f"{0.01 * TOLERANCES[0]:g}; they are left out",
            FemnnWarning,
            stacklevel=3,
        )
    return dataset[keep]


def _points_test(predicted, errors, calibration):
    predicted, confidence = monotone(predicted), min(0.99, calibration.confidences[-1])
    figures = {}
    for tolerance in TOLERANCES:
        if not np.isclose(np.log10(tolerance) % 1.0, 0.0):
            continue
        needed = _fewest(errors < tolerance)
        bare = _fewest(predicted < np.log10(tolerance))
        safe = _fewest(predicted + calibration.shift(tolerance, confidence) < np.log10(tolerance))
        figures[f"{tolerance:.0e}"] = {
            "exact": float(np.mean(bare == needed)),
            "within_one": float(np.mean(np.abs(bare - needed) <= 1)),
            f"violations_at_{confidence:g}": float(np.mean(safe < needed)),
            f"points_over_oracle_at_{confidence:g}": float(
                (safe.astype(float) ** 3).sum() / (needed.astype(float) ** 3).sum()
            ),
        }
    return figures


def _fewest(meets):
    """Points per axis of the first candidate that meets; one more than the last where none does."""
    return np.where(meets.any(axis=1), meets.argmax(axis=1), meets.shape[1]) + FEWEST


def _range_text(recipe):
    return (
        f"unit cubes, vertex coordinates moved by U(-d, d), d in {list(recipe.displacement)}, stretched up to "
        f"{recipe.aspect:g}, sheared up to {recipe.shear:g}, {recipe.structured:.0%} with few twists, "
        f"{recipe.rotated:.0%} turned; Poisson's ratio "
        f"{recipe.poisson:g}"
    )
