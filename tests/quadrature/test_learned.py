"""Features with known answers, and networks trained in seconds that must already have learned something."""

from dataclasses import replace

import numpy as np
import pytest
from support.properties import described_otherwise, moved

import femnn
from femnn.geometry import VERTICES, canonical_pose, distorted_cube
from femnn.integration import tensor_gauss
from femnn.networks import Recipe, TrainingOptions, features_named, load_networks, make_dataset
from femnn.quadrature.adaptive.classifier import FEWEST, classes, train_classifier
from femnn.quadrature.corrected import networks as quadrature_weights
from femnn.quadrature.corrected import train as training
from femnn.quadrature.corrected.networks import (
    canonical_factors,
    improvable,
    in_given_order,
    predicted_r_error,
    train_regressor,
)

QUICK = TrainingOptions(learning_rate=3e-3, batch_size=64, epochs=25)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "elements.safetensors"
    return make_dataset(path, Recipe(1500, displacement=(0.1, 0.35), seed=1), progress=False)


def test_features_do_not_change_with_description_pose_or_size(distorted):
    features = features_named("invariant")
    expected, _ = features(distorted)
    assert expected.shape == (len(distorted), features.size)
    assert np.isfinite(expected).all()
    for other in (described_otherwise(distorted, 13), moved(distorted, seed=3, size=50.0)):
        np.testing.assert_allclose(features(other)[0], expected, atol=1e-9)


def test_features_that_nobody_knows():
    with pytest.raises(femnn.WeightFileError, match="features 'voxels' are unknown"):
        features_named("voxels")


def test_factors_return_from_the_canonical_pose(dataset):
    points, gauss = tensor_gauss(2, 2, 2)
    symmetry = canonical_pose(dataset.hexahedra)[1]
    factors = canonical_factors(dataset)
    np.testing.assert_allclose(gauss * in_given_order(factors, symmetry, points), dataset.weights, rtol=1e-12)


def test_posed_factors_are_one_for_all_descriptions(dataset):
    from femnn.networks.element_data import label

    some, recipe = dataset.hexahedra[:20], dataset.recipe
    expected = canonical_factors(dataset[:20])
    turned = described_otherwise(some, 31)
    found = replace(dataset[:20], **label(turned, recipe))
    np.testing.assert_allclose(canonical_factors(found), expected, atol=1e-6)


def test_published_classifier_beats_the_majority(dataset):
    network, history = train_classifier(dataset[:1000], dataset[1000:1200], 1e-3, QUICK, progress=False)
    test = dataset[1200:]
    true = classes(test.errors, 1e-3)
    exact = np.mean(network(features_named("normalised")(test.hexahedra)[0]).argmax(axis=1) == true)
    assert exact > np.bincount(true).max() / len(true) + 0.05
    assert history.epochs <= QUICK.epochs


def test_classifier_needs_more_than_one_class(dataset):
    with pytest.raises(femnn.ParameterError, match="every training element needs 2 points"):
        train_classifier(dataset[:100], dataset[100:150], 1e6, QUICK, progress=False)


def test_classes_count_from_two_points():
    errors = np.array([[1e-9] * 20, [1.0, 1e-2, 1e-5, *[1e-9] * 17], [1.0] * 20])
    assert (classes(errors, 1e-3) + FEWEST).tolist() == [2, 3, 20]


def test_classifier_of_improvable_elements_learns(dataset):
    training, validation = dataset[:1000], dataset[1000:1200]
    labels = [improvable(part) for part in (training, validation)]
    network, _ = quadrature_weights.train_classifier(training, validation, labels, QUICK, progress=False)
    test = dataset[1200:]
    logits = network(features_named("invariant")(test.hexahedra)[0])[:, 0]
    hopeful = logits > np.median(logits)
    assert improvable(test)[hopeful].mean() > improvable(test)[~hopeful].mean() + 0.15
    assert test.optimum[hopeful].mean() < test.optimum[~hopeful].mean() - 0.02


@pytest.mark.filterwarnings("ignore:.*worse, not better")
@pytest.mark.parametrize("target", ["error", "optimal"])
def test_regressor_improves_most_elements(dataset, target, tmp_path):
    options = replace(QUICK, epochs=60, learning_rate=5e-3)
    path, test = training.fit_weights(
        tmp_path / "weights", dataset[:1000], dataset[1000:1200], dataset[1200:], options, target, progress=False
    )
    assert test["sent_on"] > 0.3
    assert test["mean_r_error_of_optimum"] <= test["mean_r_error"] < (0.99 if target == "error" else 1.05)
    assert test["share_below_1"] > (0.8 if target == "error" else 0.5)
    rule = femnn.CorrectedGauss(weights=path)
    assert rule.card["target"] == target
    # what the classifier is trained on is what the rule then does
    some = dataset[1200:][rule.corrected(dataset.hexahedra[1200:])]
    expected = predicted_r_error(load_networks(path).networks["regressor"], some)
    measured = femnn.integration_error(some.hexahedra, rule) / some.errors[:, 1]
    assert np.mean(np.abs(measured / expected - 1) < 1e-3) > 0.95, "but for clipped factors"


def test_regressor_knows_its_targets(dataset):
    with pytest.raises(femnn.ParameterError, match="choose one of error, optimal, trials"):
        train_regressor(dataset[:100], dataset[100:150], QUICK, target="luck")


def test_published_classifier_serves_its_own_tolerance_alone(dataset, tmp_path):
    path, _ = training.fit_classifier(
        tmp_path / "classes", dataset[:1000], dataset[1000:1200], dataset[1200:], 1e-3, QUICK, progress=False
    )
    rule = femnn.AdaptiveGauss(1e-3, confidence=None, weights=path)
    assert rule.points_per_axis(dataset.hexahedra[:50]).min() >= 2
    with pytest.raises(femnn.ParameterError, match=r"trained for 0\.001 alone"):
        femnn.AdaptiveGauss(1e-4, confidence=None, weights=path)
    with pytest.raises(femnn.ParameterError, match="the published classifier has none"):
        femnn.AdaptiveGauss(1e-3, weights=path)


@pytest.mark.parametrize("rule", [femnn.CorrectedGauss(), femnn.CorrectedGauss(3, patch=True)])
def test_report_of_corrected_weights_counts_who_keeps_gauss(rule):
    elements = femnn.distorted_hexahedra(200, (0.05, 0.35), seed=77)
    flat = elements[:20] * [1.0, 1.0, 1e-4]
    boxes = np.tile(VERTICES, (10, 1, 1))
    report = rule.report(np.concatenate([elements, flat, boxes]))
    corrected = int(rule.corrected(elements).sum())
    assert (report.elements, report.corrected, report.out_of_range) == (230, corrected, 20)
    assert report.unimproved == 230 - corrected - 20
    assert f"{corrected:,} (" in str(report)
    assert rule.report(distorted_cube(3, 0.2, seed=1)).elements == 27
