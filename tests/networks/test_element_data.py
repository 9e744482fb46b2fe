"""Labelled elements: right labels, the same bits however they were made, nothing lost."""

import json
from dataclasses import replace

import numba
import numpy as np
import pytest
from click.testing import CliRunner

import femnn
from femnn.cli import main as command
from femnn.integration import tensor_gauss
from femnn.networks import Recipe, load_dataset, make_dataset
from femnn.networks import element_data as datasets

RECIPE = Recipe(60, displacement=(0.1, 0.3), seed=3, trials=300, spread=0.01)


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(datasets, "_PART", 20)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("data") / "elements.safetensors", RECIPE, progress=False)


def assert_same(first, second):
    for name, values in first.arrays().items():
        np.testing.assert_array_equal(values, getattr(second, name), err_msg=name)


def test_labels_are_what_the_rules_measure(dataset):
    elements = dataset.hexahedra
    np.testing.assert_array_equal(elements, femnn.distorted_hexahedra(60, (0.1, 0.3), seed=3))
    for n in (2, 3):
        measured = femnn.integration_error(elements, femnn.GaussLegendre(n))
        np.testing.assert_allclose(dataset.errors[:, n - 1], measured, rtol=1e-6, atol=2e-12)

    class Labelled(femnn.Rule):
        def __init__(self, weights):
            self.weights = weights

        def _groups(self, hexahedra):
            return [femnn.CellGroup(np.arange(len(hexahedra)), tensor_gauss(2, 2, 2)[0], self.weights)]

    standard = dataset.errors[:, 1]
    for weights, optimum in ((dataset.weights, dataset.optimum), (dataset.trial_weights, dataset.trial_optimum)):
        measured = femnn.integration_error(elements, Labelled(weights)) / standard
        np.testing.assert_allclose(measured, optimum, rtol=1e-6)
    assert (dataset.optimum <= dataset.trial_optimum * (1 + 1e-9)).all()
    assert dataset.trial_optimum.mean() < 1.0


def test_same_bits_whatever_the_parts_threads_workers_and_run(tmp_path, dataset, small_parts):
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        again = make_dataset(tmp_path / "again.safetensors", RECIPE, progress=False)
    finally:
        numba.set_num_threads(before)
    assert_same(again, dataset)
    spread, lone = (
        make_dataset(tmp_path / f"{workers}.safetensors", RECIPE, progress=False, workers=workers) for workers in (2, 1)
    )
    assert_same(spread, lone)
    # code that this process has just compiled may round otherwise than what workers find in Numba's cache
    np.testing.assert_array_equal(spread.hexahedra, dataset.hexahedra)
    np.testing.assert_allclose(spread.errors, dataset.errors, rtol=1e-9, atol=1e-11)
    other = make_dataset(tmp_path / "other.safetensors", replace(RECIPE, seed=4), progress=False)
    assert np.abs(other.hexahedra - dataset.hexahedra).max() > 0.01


def test_an_interrupted_run_goes_on(tmp_path, dataset, small_parts, monkeypatch):
    path, trials, done = tmp_path / "elements.safetensors", datasets.random_trials, []

    def interrupted(*arguments):
        first = arguments[-1]
        if first == 40 and len(done) == 2:
            done.append("interrupted")
            raise KeyboardInterrupt
        done.append(first)
        return trials(*arguments)

    monkeypatch.setattr(datasets, "random_trials", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_dataset(path, RECIPE, progress=False)
    assert not path.exists(), "half a data set must not look like a whole one"
    assert_same(make_dataset(path, RECIPE, progress=False), dataset)
    assert done == [0, 20, "interrupted", 40], "finished parts are not labelled again"
    assert [file.name for file in tmp_path.iterdir()] == ["elements.safetensors"]


@pytest.mark.parametrize(("writes", "parts"), [("numpy.savez", 0), ("pathlib.Path.write_bytes", 3)])
def test_a_full_disk_leaves_no_half_file(tmp_path, monkeypatch, small_parts, dataset, writes, parts):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    path = tmp_path / "elements.safetensors"
    with monkeypatch.context() as patched:
        patched.setattr(writes, full)
        with pytest.raises(OSError, match="No space left"):
            make_dataset(path, RECIPE, progress=False)
    assert len([file for file in tmp_path.rglob("*") if file.is_file()]) == parts
    assert_same(make_dataset(path, RECIPE, progress=False), dataset)


def test_recipe_comes_with_the_data(tmp_path, dataset):
    path = tmp_path / "elements.safetensors"
    make_dataset(path, RECIPE, progress=False)
    loaded = load_dataset(path)
    assert loaded.recipe == RECIPE
    assert json.loads(loaded.recipe.to_json())["seed"] == 3
    assert_same(loaded, dataset)
    assert len(loaded[10:30]) == 20


def all_but_the_first(hexahedra, recipe, first):
    return {"hexahedra": hexahedra[1:], "rank": np.arange(first + 1, first + len(hexahedra))}


def test_a_data_set_without_elements_that_could_not_be_labelled_is_read_again(tmp_path, small_parts):
    names = ["hexahedra", "rank"]
    grown = [datasets.grow(tmp_path / "e.safetensors", RECIPE, all_but_the_first, names, False) for _ in range(2)]
    assert len(grown[0]["rank"]) == 57
    for name, values in grown[0].items():
        np.testing.assert_array_equal(grown[1][name], values)


@pytest.mark.parametrize("rows", [40, 61])
def test_rows_of_other_elements_are_refused(tmp_path, dataset, rows):
    arrays = dataset.arrays()
    longer = {name: np.concatenate([values, values])[:rows] for name, values in arrays.items()}
    wrong = {**arrays, "errors": longer["errors"]} if rows < 60 else longer
    datasets._write(tmp_path / "e.safetensors", wrong, RECIPE)
    with pytest.raises(femnn.DatasetError, match=r"has shape \(\d+.*its recipe has 60"):
        load_dataset(tmp_path / "e.safetensors")


def test_other_recipes_damaged_and_foreign_files_are_refused(tmp_path):
    path = tmp_path / "elements.safetensors"
    make_dataset(path, RECIPE, progress=False)
    with pytest.raises(femnn.DatasetError, match=r'"seed": 3.*wanted is.*"seed": 4'):
        make_dataset(path, replace(RECIPE, seed=4), progress=False)
    flipped = bytearray(path.read_bytes())
    flipped[-50] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(femnn.DatasetError, match="is damaged: its sha256 is"):
        load_dataset(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(femnn.DatasetError, match="is no whole safetensors file"):
        load_dataset(path)
    path.write_bytes(b"not at all")
    with pytest.raises(femnn.DatasetError, match="delete it"):
        load_dataset(path)
    with pytest.raises(femnn.DatasetError, match="there is no file"):
        load_dataset(tmp_path / "nothing.safetensors")


@pytest.mark.parametrize("change", [{"elements": 0}, {"trials": -1}, {"spread": 1.5}, {"poisson": 0.5}])
def test_recipes_that_make_no_sense(change):
    with pytest.raises(femnn.ParameterError):
        replace(RECIPE, **change)


@pytest.mark.slow
def test_benchmark_of_labels(tmp_path):
    assert CliRunner().invoke(command, ["bench", "labels", "--elements", "40", "--out", str(tmp_path)]).exit_code == 0
    figures = json.loads((tmp_path / "labels.json").read_text(encoding="utf-8"))
    assert figures["same_bits"]
    assert [row["start"] > 0.0 for row in figures["rows"]] == [False, False, True, True]
    assert all(row["seconds"] > 0.0 for row in figures["rows"])
    assert "Same bits: yes." in (tmp_path / "labels.md").read_text(encoding="utf-8")
