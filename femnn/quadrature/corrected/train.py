"""The training of CorrectedGauss, and of the published classifier: draw, label, train, test, save."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from femnn.exceptions import warn
from femnn.integration.convergence import converged_stiffness
from femnn.integration.error import error_against
from femnn.networks.element_data import Dataset, Recipe, make_dataset
from femnn.networks.features import features_named
from femnn.networks.model_card import element_card, require_enough, save_tested
from femnn.networks.options import TrainingOptions
from femnn.networks.trained_density import TrainedDensity
from femnn.networks.trained_range import TrainedRange
from femnn.networks.weights import save_networks
from femnn.quadrature.adaptive.calibration import TOLERANCES
from femnn.quadrature.adaptive.classifier import classes, train_classifier
from femnn.quadrature.adaptive.predictors import CLASS_KIND
from femnn.quadrature.corrected.networks import (
    HELPFUL,
    canonical_factors,
    improvable,
    predicted_r_error,
    train_regressor,
)
from femnn.quadrature.corrected.networks import train_classifier as train_improvable
from femnn.quadrature.corrected.rule import KIND as WEIGHTS_KIND
from femnn.quadrature.corrected.rule import CorrectedGauss

# One in twelve elements validates, one in four calibrates and tests; the others train.
_VALIDATION, _HELD_OUT = 1 / 12, 1 / 4
_FEWEST_ELEMENTS = 12

#: For the card: which elements of its seed report.
TEST_ROWS = "the last quarter, which neither trains nor chooses"

#: Elements of the paper's experiment, and flatter ones.
WEIGHTS_RECIPE = Recipe(40_000, displacement=(0.0, 0.38))

CLASSIFIER_OPTIONS = TrainingOptions(optimizer="adam", learning_rate=5e-3, epochs=200, patience=50, threads=1)
IMPROVABLE_OPTIONS = TrainingOptions(optimizer="adam", learning_rate=5e-3, epochs=150, patience=40, threads=1)
REGRESSOR_OPTIONS = TrainingOptions(
    optimizer="adam", learning_rate=4e-3, batch_size=128, epochs=300, patience=60, threads=1
)


def split(dataset: Dataset) -> tuple[Dataset, Dataset, Dataset]:
    """Training, validation and held-out rows of a data set; its rows are independent, so their order serves."""
    n = len(dataset)
    require_enough(n, _FEWEST_ELEMENTS, "train, validate, calibrate and test", "some thousand")
    first, second = round(n * (1 - _VALIDATION - _HELD_OUT)), round(n * (1 - _HELD_OUT))
    return dataset[:first], dataset[first:second], dataset[second:]


def train_points_classifier(
    folder, tolerance, recipe=WEIGHTS_RECIPE, options=CLASSIFIER_OPTIONS, progress=True, **where
):
    """Make the weights of the published classifier, for one tolerance of the Error.

    As :func:`femnn.quadrature.adaptive.train.train_points` does; the weight file has the tolerance in its name.
    """
    path = Path(folder) / f"integration-points-{tolerance:g}"
    dataset = converged(_data(Path(folder) / "integration-points-classifier", recipe, progress, where))
    return fit_classifier(path, *split(dataset), tolerance, options, progress)


def train_weights(folder, recipe=WEIGHTS_RECIPE, options=REGRESSOR_OPTIONS, target="error", progress=True, **where):
    """Make the weights of :class:`femnn.CorrectedGauss`; otherwise as :func:`train_points_classifier`.

    ``target`` is that of the regressor, see :func:`femnn.quadrature.corrected.networks.train_regressor`.
    """
    path = Path(folder) / WEIGHTS_KIND
    data = _data(path, recipe, progress, where)
    *parts, held_out = split(data)
    of_meshes = recipe.from_meshes()[len(data) - len(held_out) :]
    return fit_weights(path, *parts, held_out, options, target, progress, of_meshes)


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
    card = element_card(
        CLASS_KIND,
        f"number of Gauss points per axis for Error < {tolerance:g}, after Oishi and Yagawa (2017)",
        training.recipe,
        options,
        {"classes": history},
        {"training": len(training), "test": len(held_out), "test_rows": TEST_ROWS},
        features=features.name,
        tolerance=tolerance,
        poisson=training.recipe.poisson,
    )
    tensors = TrainedRange.of(features(training.hexahedra)[0]).tensors()
    return save_networks(path, {"classes": network}, card | {"test": test}, tensors), test


def fit_weights(path, training, validation, held_out, options, target="error", progress=True, of_meshes=None):
    """The same as :func:`fit_classifier` for the two networks of :class:`femnn.CorrectedGauss`.

    ``of_meshes`` tells which of the held-out elements are cells of the user's meshes, and have figures of their own.
    """
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
    factors = canonical_factors(training, labels)
    features = features_named("invariant")
    described = features(training.hexahedra)[0]
    tensors = {
        "factors.low": factors.min(axis=0),
        "factors.high": factors.max(axis=0),
        **TrainedRange.of(described).tensors(),
        **TrainedDensity.of(described).tensors(),
    }
    card = element_card(
        WEIGHTS_KIND,
        "eight factors on the weights of 2 x 2 x 2 Gauss points, for the elements that they improve",
        training.recipe,
        options,
        {"classifier": classified, "regressor": regressed},
        {"training": len(training), "test": len(held_out), "test_rows": TEST_ROWS},
        features=features.name,
        target=target,
        poisson=training.recipe.poisson,
    )
    save = partial(save_networks, networks={"classifier": classifier, "regressor": regressor}, tensors=tensors)
    saved, test = save_tested(path, card, save, partial(weights_test, held_out=held_out, of_meshes=of_meshes))
    mean = test.get("all", test).get("mean_r_error")
    if mean is None or mean >= 1.0:
        effect = (
            "corrects no element" if mean is None else f"makes elements worse, not better (mean R_error {mean:.3f})"
        )
        warn(f"{saved} {effect}; train on more elements or for more epochs")
    return saved, test


def _data(path, recipe, progress, where):
    return make_dataset(_beside(path, "data"), recipe, progress, **where)


def _beside(path, what):
    path = Path(path)
    return path.with_name(f"{path.name}-{what}.safetensors")


def corrected_r_error(weights: str | Path, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """R_error of the labelled elements that a rule corrects, (m,), and which these are, (n,) bool."""
    rule = CorrectedGauss(weights=weights)
    corrected = rule.corrected(dataset.hexahedra)
    chosen = dataset[corrected]
    if len(chosen) == 0:
        return np.empty(0), corrected
    references, _ = converged_stiffness(chosen.hexahedra, dataset.recipe.poisson)
    errors = error_against(chosen.hexahedra, rule, references, dataset.recipe.poisson)
    return errors / chosen.errors[:, 1], corrected


def weights_test(path: str | Path, held_out: Dataset, of_meshes: np.ndarray | None = None) -> dict[str, Any]:
    """Figures of the corrected rule on labelled elements that it has not seen: those it corrects, and R_error there.

    If some of them are cells ``of_meshes`` (n,) bool, there are figures of ``"all"`` and of these, ``"meshes"``.
    """
    figures = _figures(path, held_out)
    if of_meshes is None or not of_meshes.any():
        return figures
    return {"all": figures, "meshes": _figures(path, held_out[of_meshes])}


def _figures(path, held_out):
    ratio, corrected = corrected_r_error(path, held_out)
    if len(ratio) == 0:
        return {"sent_on": 0.0}
    return {
        "sent_on": float(corrected.mean()),
        "share_below_1": float(np.mean(ratio < 1.0)),
        "mean_r_error": float(ratio.mean()),
        "worst_r_error": float(ratio.max()),
        "mean_r_error_of_optimum": float(held_out.optimum[corrected].mean()),
    }


def converged(dataset: Dataset) -> Dataset:
    """The elements whose reference has converged enough for the smallest tolerance: nearly all."""
    keep = dataset.doubt < 0.01 * TOLERANCES[0]
    if not keep.all():
        warn(
            f"{(~keep).sum()} of {len(keep)} elements are so nearly folded that their reference has not converged to "
            f"{0.01 * TOLERANCES[0]:g}; they are left out"
        )
    return dataset[keep]
