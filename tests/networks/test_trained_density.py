"""The density of a training: distances are those of its normal distributions, and it tells cells that the box does
not."""

from dataclasses import replace

import numpy as np
import pytest

import femnn
from femnn.geometry import canonical_pose, invariant_coordinates
from femnn.geometry.meshers import FAMILIES, family
from femnn.networks import TrainedDensity, TrainedRange, load_networks, save_networks


def described(elements):
    return invariant_coordinates(canonical_pose(elements)[0])


@pytest.fixture(scope="module")
def training():
    return described(femnn.distorted_hexahedra(6000, (0.0, 0.38), seed=5))


def test_distance_of_a_normal_distribution():
    random = np.random.default_rng(0)
    mixing = random.normal(size=(4, 4))
    features = random.normal(size=(20_000, 4)) @ mixing + [3.0, 0.0, -5.0, 1.0]
    density = TrainedDensity.of(features, components=1)
    inverse = np.linalg.inv(np.cov(features.T, bias=True))
    centred = features[:200] - features.mean(axis=0)
    expected = np.einsum("ni,ij,nj->n", centred, inverse, centred)
    np.testing.assert_allclose(density.distance(features[:200]), expected, rtol=0.1, atol=0.1)
    # of chi square with four degrees of freedom one in a thousand is beyond 18.5
    assert density.limit[0] == pytest.approx(18.47, abs=2.0)
    assert np.mean(density.in_range(features)) == pytest.approx(0.999, abs=5e-4)


def test_distance_is_that_of_the_nearest_distribution():
    """Two clouds, one three times as wide and with three quarters of the rows: -2 log of their densities."""
    random = np.random.default_rng(2)
    wide, narrow = random.normal(size=(15_000, 2)) * 3.0, random.normal([40.0, 0.0], size=(5000, 2))
    density = TrainedDensity.of(random.permutation(np.concatenate([wide, narrow])), components=2)
    points = np.array([[0.0, 0.0], [6.0, 0.0], [40.0, 0.0], [40.0, 3.0], [20.0, 20.0]])
    wide_squares = (points**2).sum(axis=1) / 9.0 - 2.0 * np.log(0.75 / 9.0)
    narrow_squares = ((points - [40.0, 0.0]) ** 2).sum(axis=1) - 2.0 * np.log(0.25)
    expected = np.minimum(wide_squares, narrow_squares)
    np.testing.assert_allclose(density.distance(points), expected - expected[2], rtol=0.05, atol=0.2)
    assert density.in_range(points).tolist() == [True, True, True, True, False]
    assert not density.in_range(np.array([[20.0, 0.0]])).any(), "between the clouds, in the box"


def test_rows_fill_lanes_and_the_rest():
    features = np.random.default_rng(3).normal(size=(1000, 5))
    density = TrainedDensity.of(features, components=3)
    together = density.distance(features[:77])
    np.testing.assert_array_equal([density.distance(row[None])[0] for row in features[:77]], together)
    squares = np.stack(
        [
            (((features[:77] - mean) @ whitening) ** 2).sum(axis=1) + offset
            for mean, whitening, offset in zip(density.mean, density.whitening, density.offset, strict=True)
        ]
    )
    np.testing.assert_allclose(together, squares.min(axis=0), rtol=1e-12)
    # those that the first distributions bring inside are not asked about further
    tight = replace(density, limit=np.quantile(together, [0.7]))
    np.testing.assert_array_equal(tight.in_range(features[:77]), together <= tight.limit[0])
    assert np.array_equal(TrainedDensity.of(features, components=3).mean, density.mean)


def test_units_of_features_do_not_matter(training):
    scaled = training * np.logspace(-6, 6, training.shape[1])
    np.testing.assert_allclose(
        TrainedDensity.of(scaled, 2).distance(scaled[:50]),
        TrainedDensity.of(training, 2).distance(training[:50]),
        rtol=1e-4,
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


def test_a_family_left_out_of_a_training_on_all_others_is_told(training):
    """Where one normal distribution is as wide as all families together."""
    others = [described(family(name, 1600, seed=9)) for name in FAMILIES if name != "subdivided tetrahedra"]
    mixed = np.concatenate([training, *(cells[::2] for cells in others)])
    inside = np.concatenate([cells[1::2] for cells in others])
    left_out, flagged = described(family("subdivided tetrahedra", 400, seed=9)), {}
    for components in (1, 8):
        density = TrainedDensity.of(np.random.default_rng(0).permutation(mixed), components)
        beyond = np.quantile(density.distance(inside), 0.99)
        flagged[components] = np.mean(density.distance(left_out) > beyond)
    assert flagged[8] > 0.3
    assert flagged[8] > flagged[1] + 0.2


@pytest.mark.parametrize("name", ["quadrature-weights", "patch-weights"])
def test_shipped_densities(name):
    weights = load_networks(name)
    density = TrainedDensity.from_weights(weights)
    unseen = described(femnn.distorted_hexahedra(2000, (0.05, 0.35), seed=10))
    assert density.in_range(unseen).mean() > 0.995
    assert repr(density) == "TrainedDensity(18 features, 8 distributions)"
    # a mixture of cells alike those of the training, drawn with another seed
    again = TrainedDensity.of(described(femnn.distorted_hexahedra(12_000, (0.0, 0.38), seed=11)))
    distances = density.distance(unseen), again.distance(unseen)
    assert np.corrcoef(*distances)[0, 1] > 0.9
    tetrahedra, box = described(family("subdivided tetrahedra", 600, seed=8)), TrainedRange.from_weights(weights)
    assert density.in_range(tetrahedra).mean() < 0.5 * box.in_range(tetrahedra).mean()


def test_files_of_the_time_of_one_distribution(training):
    """Their limit is the distance itself and no square."""
    weights = load_networks("quadrature-weights")
    one = TrainedDensity.of(training[:3000], components=1)
    tensors = {
        "density.mean": one.mean[0],
        "density.whitening": one.whitening[0],
        "density.limit": np.sqrt(one.limit),
    }
    others = {name: values for name, values in weights.tensors.items() if not name.startswith("density")}
    old = TrainedDensity.from_weights(replace(weights, tensors=others | tensors))
    np.testing.assert_allclose(old.distance(training), one.distance(training), rtol=1e-12)
    np.testing.assert_allclose(old.limit, one.limit, rtol=1e-12)


def test_files_give_what_was_written(tmp_path, training):
    weights = load_networks("quadrature-weights")
    density = TrainedDensity.of(training[:3000])
    others = {name: values for name, values in weights.tensors.items() if not name.startswith("density")}
    path = save_networks(tmp_path / "other", weights.networks, weights.card, others | density.tensors())
    again = TrainedDensity.from_weights(load_networks(path))
    assert repr(again) == "TrainedDensity(18 features, 3 distributions)"
    np.testing.assert_array_equal(again.distance(training), density.distance(training))


def test_a_file_without_a_density_has_none():
    assert TrainedDensity.from_weights(load_networks("moved-gauss")) is None


@pytest.mark.parametrize("n", [0, 1, 5000])
def test_the_box_holds_what_is_between_its_bounds(n):
    random = np.random.default_rng(4)
    box = TrainedRange(np.array([-1.0, 0.0, -np.inf]), np.array([1.0, 2.0, 0.5]))
    features = random.uniform(-1.5, 2.5, (n, 3))
    # on its bounds, too
    features[::7, 1], features[1::7, 0] = 2.0, -1.0
    expected = ((features >= box.low) & (features <= box.high)).all(axis=1)
    assert n < 5000 or 0.05 < expected.mean() < 0.95
    np.testing.assert_array_equal(box.in_range(features), expected)


def test_features_of_another_box():
    box = TrainedRange(np.zeros(3), np.ones(3))
    with pytest.raises(femnn.ParameterError, match=r"features have shape \(4, 2\), but the range is of \(n, 3\)"):
        box.in_range(np.zeros((4, 2)))
