"""From nothing to a weight file: draw, label, train, calibrate, test, save. What ``femnn train`` does."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from femnn.exceptions import ParameterError, warn
from femnn.integration.convergence import converged_stiffness
from femnn.integration.error import error_against
from femnn.networks.element_data import Recipe, make_dataset
from femnn.networks.features import features_named
from femnn.networks.model_card import range_text, save_tested
from femnn.networks.trained_range import TrainedRange
from femnn.networks.training import TrainingOptions
from femnn.networks.weights import save_networks
from femnn.quadrature.adaptive.calibration import TOLERANCES
from femnn.quadrature.adaptive.classifier import classes, train_classifier
from femnn.quadrature.adaptive.predictors import CLASS_KIND
from femnn.quadrature.corrected.networks import (
    HELPFUL,
    improvable,
    posed_factors,
    predicted_r_error,
    train_regressor,
)
from femnn.quadrature.corrected.networks import train_classifier as train_improvable
from femnn.quadrature.corrected.rule import KIND as WEIGHTS_KIND
from femnn.quadrature.corrected.rule import CorrectedGauss

# One in twelve elements validates, one in four calibrates and tests; the others train.
_VALIDATION, _HELD_OUT = 1 / 12, 1 / 4
_FEWEST_ELEMENTS = 12

#: Elements of the paper's experiment, and flatter ones.
WEIGHTS_RECIPE = Recipe(40_000, displacement=(0.0, 0.38))

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


def train_points_classifier(
    folder, tolerance, recipe=WEIGHTS_RECIPE, options=CLASSIFIER_OPTIONS, progress=True, **where
):
    """Make the weights of the published classifier, for one tolerance; returns the path of the file and its figures.

    Parameters
    ----------
    folder
        Where data, checkpoints and weight files go; an interrupted run goes on from there.
    tolerance
        Of the Error.
    recipe, options
        What to draw and how to train; ``options.seed`` seeds the network.
    where
        Of the labelling, see :func:`femnn.networks.element_data.make_dataset`.
    """
    path = Path(folder) / f"integration-points-{tolerance:g}"
    dataset = settled(_data(Path(folder) / "integration-points-classifier", recipe, progress, where))
    return fit_classifier(path, *split(dataset), tolerance, options, progress)


def train_weights(folder, recipe=WEIGHTS_RECIPE, options=REGRESSOR_OPTIONS, target="error", progress=True, **where):
    """Make the weights of :class:`femnn.CorrectedGauss`; otherwise as :func:`train_points_classifier`.

    ``target`` is what the regressor learns from, see :func:`femnn.quadrature.corrected.networks.train_regressor`.
    """
    path = Path(folder) / "quadrature-weights"
    return fit_weights(path, *split(_data(path, recipe, progress, where)), options, target, progress)


def fit_classifier(path, training, validation, held_out, tolerance, options, progress=True):
    """Train and test the published classifier on labelled elements and save it; returns path and test figures."""
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
    """The same as :func:`fit_classifier` for the two networks of :class:`femnn.CorrectedGauss`."""
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
    }
    networks = {"classifier": classifier, "regressor": regressor}
    saved, test = save_tested(path, networks, card, tensors, lambda untested: weights_test(untested, held_out))
    mean = test.get("mean_r_error")
    if mean is None or mean >= 1.0:
        does = "corrects no element" if mean is None else f"makes elements worse, not better (mean R_error {mean:.3f})"
        warn(f"{saved} {does}; train on more elements or for more epochs")
    return saved, test


def _data(path, recipe, progress, where):
    return make_dataset(_beside(path, "data"), recipe, progress, **where)


def _beside(path, what):
    path = Path(path)
    return path.with_name(f"{path.name}-{what}.safetensors")


def _provenance(recipe, options, **counts):
    """The part of a card that every weight file has: where its data come from and how it was trained."""
    return {
        "poisson": recipe.poisson,
        "trained_range": range_text(recipe),
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
        warn(
            f"{(~keep).sum()} of {len(keep)} elements are so nearly folded that their reference has not converged to "
            f"{0.01 * TOLERANCES[0]:g}; they are left out"
        )
    return dataset[keep]
