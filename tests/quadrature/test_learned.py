"""Features with known answers, and networks trained in seconds that must already have learned something."""

from dataclasses import replace

import numpy as np
import pytest
from support.properties import described_otherwise, moved

import femnn
from femnn.geometry import VERTICES, canonical_pose, distorted_cube, signed_volume
from femnn.geometry.meshers import FAMILIES, family, family_mesh
from femnn.integration import tensor_gauss
from femnn.integration.convergence import errors_and_reference
from femnn.integration.error import error_against
from femnn.networks import Recipe, TrainingOptions, features_named, load_networks, make_dataset
from femnn.networks.element_data import mesh_sources
from femnn.quadrature.adaptive.classifier import FEWEST, classes, train_classifier
from femnn.quadrature.corrected import networks as quadrature_weights
from femnn.quadrature.corrected import rule as corrected_rule
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
    assert report.unimproved == report.unpromising + report.refused == 230 - corrected - 20
    # boxes are exact with Gauss points
    assert report.unpromising >= 10
    assert f"{corrected:,} (" in str(report)
    assert rule.report(distorted_cube(3, 0.2, seed=1)).elements == 27


RULES = {
    "CorrectedGauss": (femnn.CorrectedGauss, 2),
    "CorrectedGauss(3, patch)": (lambda: femnn.CorrectedGauss(3, patch=True), 3),
    "MovedGauss": (femnn.MovedGauss, 2),
    "MovedGauss(patch)": (lambda: femnn.MovedGauss(patch=True), 2),
}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("cells", FAMILIES)
def test_no_rule_makes_cells_worse_than_gauss(name, cells):
    """On families of meshes that its networks were not trained on, as they lie and turned."""
    make, n = RULES[name]
    rule, elements = make(), family(cells, 250, seed=16)
    elements = np.concatenate([elements, moved(elements, seed=2)])
    errors, references, doubt = errors_and_reference(elements, n, 0.3)
    standard = errors[:, n - 1]
    inexact = (standard > 1e-9) & (doubt < 1e-3 * standard)
    ratio = error_against(elements, rule, references)[inexact] / standard[inexact]
    assert np.mean(ratio > 1.0 + 1e-9) <= 0.002
    assert ratio.max() < 1.05
    changed = rule.corrected(elements) if n == 3 or name == "CorrectedGauss" else rule.moved(elements)
    # what is not changed is Gauss itself
    np.testing.assert_allclose(ratio[~changed[inexact]], 1.0, rtol=1e-9)


def test_networks_believed_without_a_check_would_make_them_worse(monkeypatch):
    """What the check is for: without it and without the density most cells of subdivided tetrahedra come out worse."""
    rule, elements = femnn.CorrectedGauss(), family("subdivided tetrahedra", 300, seed=16)
    assert rule.corrected(elements).mean() < 0.06
    monkeypatch.setattr(corrected_rule, "nearer_than", lambda x, *rules, **known: np.ones(len(x), dtype=bool))
    monkeypatch.setattr(rule._corrector, "_density", None)
    errors, references, _ = errors_and_reference(elements, 2, 0.3)
    ratio = error_against(elements, rule, references) / errors[:, 1]
    assert np.mean(ratio > 1.0) > 0.4


def test_training_on_a_mesh_learns_its_cells(tmp_path):
    mesh = family_mesh("subdivided tetrahedra", 5, cells=500)
    mesh.save(tmp_path / "part.vtu")
    recipe = Recipe(1200, displacement=(0.0, 0.35), meshes=mesh_sources([tmp_path / "part.vtu"]))
    assert recipe.from_meshes().sum() == min(600, mesh.nelements)
    path, test = training.train_weights(tmp_path, recipe, replace(QUICK, epochs=40), progress=False)
    assert set(test) == {"all", "meshes"}
    assert test["meshes"]["sent_on"] > 0.3
    assert test["meshes"]["mean_r_error"] < 0.99
    assert test["meshes"]["worst_r_error"] <= 1.0
    rule = femnn.CorrectedGauss(weights=path)
    assert "cells of part.vtu" in str(rule)
    # other parts of the family profit, of which the shipped weights correct none
    others = family("subdivided tetrahedra", 200, seed=3)
    assert rule.corrected(others).mean() > 0.2 > femnn.CorrectedGauss().corrected(others).mean()


def test_meshes_of_a_recipe_must_stay_as_they_are(tmp_path):
    path = tmp_path / "part.vtu"
    distorted_cube(4, 0.2).save(path)
    recipe = Recipe(200, meshes=mesh_sources([path]))
    assert recipe.from_meshes().sum() == 64
    assert recipe.to_json() == Recipe(200, meshes=mesh_sources([path])).to_json()
    distorted_cube(4, 0.25).save(path)
    with pytest.raises(femnn.exceptions.DatasetError, match="has changed"):
        recipe.hexahedra()
    with pytest.raises(femnn.exceptions.DatasetError, match="nowhere"):
        mesh_sources([tmp_path / "nowhere.vtu"])


def test_families_in_a_recipe_take_their_share():
    plain, mixed = Recipe(160, displacement=(0.1, 0.1)), Recipe(160, displacement=(0.1, 0.1), families=0.25)
    same = (plain.hexahedra() == mixed.hexahedra()).all(axis=(1, 2))
    assert same.sum() == 120
    volumes = np.abs(signed_volume(mixed.hexahedra()[~same]))
    np.testing.assert_allclose(volumes, 1.0, rtol=1e-9)
    # what is not asked for is not in the text, so that data sets of before are read
    assert "families" not in plain.to_json()
    assert "families" in mixed.to_json()
