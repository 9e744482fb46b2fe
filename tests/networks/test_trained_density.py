"""The density of a training: its distance is that of Mahalanobis, and it tells cells that the box does not."""

import numpy as np
import pytest

import femnn
from femnn.geometry import canonical_pose, invariant_coordinates
from femnn.geometry.meshers import FAMILIES, family
from femnn.networks import TrainedDensity, TrainedRange, load_networks


def described(elements):
    return invariant_coordinates(canonical_pose(elements)[0])


@pytest.fixture(scope="module")
def training():
    return described(femnn.distorted_hexahedra(6000, (0.0, 0.38), seed=5))


def test_distance_of_a_normal_distribution():
    random = np.random.default_rng(0)
    mixing = random.normal(size=(4, 4))
    features = random.normal(size=(20_000, 4)) @ mixing + [3.0, 0.0, -5.0, 1.0]
    density = TrainedDensity.of(features)
    inverse = np.linalg.inv(np.cov(features.T, bias=True))
    centred = features[:200] - features.mean(axis=0)
    expected = np.sqrt(np.einsum("ni,ij,nj->n", centred, inverse, centred))
    np.testing.assert_allclose(density.distance(features[:200]), expected, rtol=1e-3)
    # of chi with four degrees of freedom one in a thousand is beyond 4.3
    assert density.limit[0] == pytest.approx(4.297, abs=0.1)
    assert np.mean(density.in_range(features)) == pytest.approx(0.999, abs=2e-4)


def test_units_of_features_do_not_matter(training):
    scaled = training * np.logspace(-6, 6, training.shape[1])
    np.testing.assert_allclose(
        TrainedDensity.of(scaled).distance(scaled[:50]), TrainedDensity.of(training).distance(training[:50]), rtol=1e-4
    )


def test_features_that_do_not_vary_are_allowed():
    features = np.random.default_rng(1).normal(size=(300, 3)) * [1.0, 0.0, 1.0]
    density = TrainedDensity.of(features)
    assert density.in_range(features).mean() > 0.99
    assert not density.in_range(np.array([[0.0, 1.0, 0.0]])).any()


def test_a_family_is_told_that_the_box_does_not_tell(training):
    box, density = TrainedRange.of(training), TrainedDensity.of(training)
    unseen = described(femnn.distorted_hexahedra(2000, (0.0, 0.38), seed=6))
    assert density.in_range(unseen).mean() > 0.995
    tetrahedra = described(family("subdivided tetrahedra", 600, seed=8))
    assert box.in_range(tetrahedra).mean() > 0.25
    assert density.in_range(tetrahedra).mean() < 0.2


def test_a_family_left_out_lies_farther_out_than_those_of_the_training(training):
    others = [described(family(name, 400, seed=9)) for name in FAMILIES if name != "subdivided tetrahedra"]
    density = TrainedDensity.of(np.concatenate([training[:3000], *(cells[::2] for cells in others)]))
    inside = density.distance(np.concatenate([cells[1::2] for cells in others]))
    left_out = density.distance(described(family("subdivided tetrahedra", 400, seed=9)))
    assert np.mean(left_out[:, None] > inside) > 0.95


@pytest.mark.parametrize("name", ["quadrature-weights", "patch-weights"])
def test_shipped_densities(name):
    weights = load_networks(name)
    density = TrainedDensity.from_weights(weights)
    unseen = described(femnn.distorted_hexahedra(2000, (0.05, 0.35), seed=10))
    assert density.in_range(unseen).mean() > 0.995
    again = density.tensors()
    assert all(np.array_equal(again[key], weights.tensors[key]) for key in again)


def test_a_file_of_a_time_before_densities_has_none():
    assert TrainedDensity.from_weights(load_networks("moved-gauss")) is None
