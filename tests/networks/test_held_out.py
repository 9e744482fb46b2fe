"""No element or path that a training learns from, chooses by or calibrates on is in the test that its card reports.

Recipes here draw elements as plainly as tests do, so that equal seeds would give equal elements.
"""

from types import SimpleNamespace

import numpy as np
import pytest

import femnn
from femnn.assembly.hourglass import train as hourglass
from femnn.cli import train_cohesive, train_layer
from femnn.cohesive.training import fit as law_fit
from femnn.cohesive.training import precompressed_data
from femnn.networks.element_data import Recipe
from femnn.networks.options import TrainingOptions
from femnn.quadrature.adaptive import train as adaptive
from femnn.quadrature.adaptive.data import DirectionalRecipe
from femnn.quadrature.corrected import train as corrected
from femnn.quadrature.corrected import train_patch
from femnn.quadrature.moved import train as moved
from femnn.quadrature.moved.fit import MovedRecipe

PLAIN = {"displacement": (0.05, 0.35), "seed": 3}
QUICK = TrainingOptions(epochs=1, threads=1)


def rows(values):
    """The elements or paths as a set."""
    return {row.tobytes() for row in np.ascontiguousarray(values).reshape(len(values), -1)}


def assert_disjoint(**sets):
    """Sets of elements or paths by name; none may be empty, and none may share a row with another."""
    as_rows = {name: rows(values) for name, values in sets.items()}
    assert all(as_rows.values())
    names = list(as_rows)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            assert not as_rows[one] & as_rows[other], f"{one} and {other} share rows"


def elements_of_the_test(monkeypatch, module, name, answer, weights):
    """Elements that the test ``name`` of a training gets; nothing is trained, and shipped weights are tested."""
    got = []
    monkeypatch.setattr(module, "element_card", lambda *_, **__: {})
    monkeypatch.setattr(module, "save_tested", lambda path, card, save, test: (path, test(weights)))
    monkeypatch.setattr(module, name, lambda rule, hexahedra: got.append(hexahedra) or answer)
    return got


def test_plain_recipes_give_the_elements_of_the_same_seed():
    """Without this the other tests could not fail."""
    recipe = Recipe(60, **PLAIN)
    np.testing.assert_array_equal(recipe.hexahedra(), femnn.distorted_hexahedra(60, (0.05, 0.35), 3))


def test_elements_of_the_hourglass_correction(monkeypatch, tmp_path):
    recipe = Recipe(60, **PLAIN)
    monkeypatch.setattr(hourglass, "train_hourglass", lambda *_, **__: (None, None))
    got = elements_of_the_test(monkeypatch, hourglass, "correction_test", {}, hourglass.KIND)
    hourglass.train_correction(tmp_path, recipe, QUICK, progress=False)
    assert_disjoint(training=recipe.hexahedra(), test=got[0])


def test_elements_of_the_weights_that_pass_the_patch_test(monkeypatch, tmp_path):
    recipe = Recipe(60, **PLAIN)
    monkeypatch.setattr(train_patch, "train_patch_weights", lambda *_, **__: (None, None))
    got = elements_of_the_test(monkeypatch, train_patch, "patch_test", {"mean_r_error": 0.5}, train_patch.PATCH_KIND)
    train_patch.train_patch(tmp_path, recipe, QUICK, progress=False)
    assert_disjoint(training=recipe.hexahedra(), test=got[0])


def test_elements_of_corrected_weights_and_of_the_published_classifier(monkeypatch, tmp_path):
    class Labelled:
        """Rows of a data set."""

        def __init__(self, hexahedra):
            self.hexahedra, self.doubt = hexahedra, np.zeros(len(hexahedra))

        def __len__(self):
            return len(self.hexahedra)

        def __getitem__(self, part):
            return Labelled(self.hexahedra[part])

    given = Labelled(Recipe(60, **PLAIN).hexahedra())
    monkeypatch.setattr(corrected, "_data", lambda *_: given)
    for name in ("fit_weights", "fit_classifier"):
        monkeypatch.setattr(corrected, name, lambda path, *parts: parts[:3])
    for parts in (corrected.train_weights(tmp_path), corrected.train_points_classifier(tmp_path, 1e-3)):
        training, validation, held_out = (part.hexahedra for part in parts)
        assert_disjoint(training=training, validation=validation, test=held_out)
        assert len(training) + len(validation) + len(held_out) == 60
        assert len(held_out) == 15


@pytest.mark.parametrize("meshed", [0.0, 1.0])
def test_elements_of_moved_points(monkeypatch, meshed):
    recipe = MovedRecipe(2000, **PLAIN, meshed=meshed, cubes=0.0)
    got = []
    monkeypatch.setattr(moved, "r_error", lambda elements, *_: got.append(elements) or np.ones(len(elements)))
    rule = SimpleNamespace(moved=lambda elements: np.ones(len(elements)))
    assert set(moved.moved_test(rule, recipe)) == {"cubes", "meshes"}
    assert_disjoint(training=recipe.hexahedra(), cubes=got[0], meshes=got[1])


@pytest.mark.parametrize("meshed", [0.0, 1.0])
def test_elements_of_the_directional_networks(monkeypatch, tmp_path, meshed):
    recipe = DirectionalRecipe(600, **PLAIN, meshed=meshed)
    got = {}

    class Labelled:
        """Rows of a data set."""

        def __init__(self, n):
            self.n, self.recipe = n, recipe

        def __len__(self):
            return self.n

        def __getitem__(self, part):
            return Labelled(len(range(self.n)[part]))

        def of_files(self):
            return np.zeros(self.n, dtype=bool)

        def rows(self, measure):
            return SimpleNamespace(features=np.zeros((1, adaptive.FEATURES)), corrections=np.zeros(adaptive.CANDIDATES))

    def calibrated(network, measure, held_out):
        got["calibration"] = held_out
        return SimpleNamespace(tensors=lambda name: {})

    def tested(network, measure, calibration, held_out):
        got["test"] = held_out
        return {}

    monkeypatch.setattr(adaptive, "train_directional", lambda *_, **__: (None, None))
    monkeypatch.setattr(adaptive, "least_corrections", lambda corrections: np.zeros(1))
    monkeypatch.setattr(adaptive, "DirectionalNetwork", SimpleNamespace(of=lambda *_: None))
    monkeypatch.setattr(adaptive, "element_card", lambda *_, **__: {})
    monkeypatch.setattr(adaptive, "save_networks", lambda path, *_: path)
    monkeypatch.setattr(adaptive, "_calibrated", calibrated)
    monkeypatch.setattr(adaptive, "_tested", tested)
    adaptive.fit_directional(tmp_path / "points", Labelled(600), QUICK, ("entries",), progress=False)
    drawn = {"training": recipe.hexahedra()}
    for use, families in got.items():
        drawn |= {f"{use}, {name}": elements for name, (elements, _) in families.items()}
    assert len(drawn) == 11
    assert_disjoint(**drawn)


def test_paths_of_a_classical_law(monkeypatch, tmp_path):
    got = {}

    def fit(path, network, training, validation, tests, options, progress):
        got.update(training=training, validation=validation, **tests)

    monkeypatch.setattr(law_fit, "fit_law", fit)
    law = femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0)
    for seed in (0, 5):
        # so many that the training has as many of each kind as the test: equal seeds give equal paths
        options = TrainingOptions(epochs=1, seed=seed)
        train_cohesive.train_cohesive(tmp_path, law, "minimal-state", 16, 12, options, progress=False)
        assert_disjoint(**{name: data.separations for name, data in got.items()})
        seeds = {name: data.about["paths"]["seed"] for name, data in got.items()}
        assert seeds.pop("training") == seeds.pop("validation") == seed
        assert set(seeds.values()) == {seed + 1_000_003}


def test_paths_of_a_layer(monkeypatch):
    monkeypatch.setattr(precompressed_data, "layer_data", lambda data, chosen: np.asarray(chosen))
    paths = np.tile(np.arange(40), 3)
    data = SimpleNamespace(path=paths, seed=np.repeat([1, 2, 3], 40), main_seed=2)
    training, validation, tests = train_layer.split_layer(data)
    unseen, others = tests["unseen"], tests["other samples"]
    assert sorted(np.concatenate([training, validation, unseen])) == list(range(40, 80))
    assert [len(part) for part in (training, validation, unseen, others)] == [28, 4, 8, 16]
    # a path is one command: other samples of those that were learned are no test
    for test in (unseen, others):
        assert not set(paths[test]) & set(paths[np.concatenate([training, validation])])
    assert set(data.seed[others]) == {1, 3}
    np.testing.assert_array_equal(train_layer.unseen_rows(data), unseen)
