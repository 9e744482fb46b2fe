"""Data sets of paths: one format for all scales, files of earlier releases, and what is refused."""

import copy
import hashlib
import json
import pickle

import numpy as np
import pytest

from femnn.exceptions import DatasetError, ParameterError
from femnn.io.path_data import FORMAT, VERSION, PathCommand, PathDataSet, PathResponse


def data_set(n=4, k=5):
    draws = np.random.default_rng(0)
    responses = [
        PathResponse(draws.normal(size=(k, 3)), draws.normal(size=(k, 3)), {"porosity": draws.uniform(size=k)})
        for _ in range(n)
    ]
    labels = [{"seed": row % 3, "path": row // 3, "control": "load", "kind": "shear"} for row in range(n)]
    return responses, PathDataSet.of([response.arrays() for response in responses], labels, {"what": "a test"})


def earlier(file, columns, card):
    """A file as earlier releases wrote it."""
    np.savez_compressed(file, **columns)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    file.with_suffix(".json").write_text(json.dumps({**card, "sha256": sha256}))


def test_a_data_set_comes_back_with_the_same_bits(tmp_path):
    responses, data = data_set()
    again = PathDataSet.load(data.save(tmp_path / "paths.npz"))
    for name, values in data.columns.items():
        np.testing.assert_array_equal(again.columns[name], values)
        assert again.columns[name].dtype == values.dtype
    assert (again.about["format"], again.about["version"]) == (FORMAT, VERSION)
    assert (again.about["what"], again.about["rows"], again.about["points"]) == ("a test", 4, 5)
    np.testing.assert_array_equal(again.response(2).porosity, np.float32(responses[2].porosity))
    assert set(again.response(2).columns) == {"porosity"}
    assert again.main_seed == 0
    assert [rows.tolist() for rows in again.repeated()] == [[0, 1, 2]]
    # a part of it is a data set again, with a card of its own
    part = PathDataSet.load(again[1:3].save(tmp_path / "part.npz"))
    assert part.about["rows"] == len(part) == 2
    assert "4 paths of 5 points" in repr(data)


@pytest.mark.parametrize("card", [{"format": "femnn grain paths 1"}, {"what": "a cell"}])
def test_files_of_earlier_releases_are_read(card, tmp_path):
    columns = data_set()[1].columns
    file = tmp_path / "earlier.npz"
    earlier(file, columns, card)
    data = PathDataSet.load(file)
    for name, values in columns.items():
        np.testing.assert_array_equal(data.columns[name], values)
    assert data.about.items() >= card.items()
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(DatasetError, match="its card says"):
        PathDataSet.load(file)


def test_arrays_of_your_own_need_neither_card_nor_labels(tmp_path):
    np.savez(tmp_path / "own.npz", separation=np.zeros((3, 4, 3)), traction=np.ones((3, 4, 3)))
    data = PathDataSet.load(tmp_path / "own.npz")
    assert data.path.tolist() == [0, 1, 2]
    assert data.seed.tolist() == [0, 0, 0]
    assert data.about == {"file": "own.npz"}


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({"format": FORMAT, "version": VERSION + 1}, "version 2, but this femnn reads"),
        ({"format": "other"}, "format 'other'"),
        ([], "it holds no fields but list"),
    ],
)
def test_foreign_cards_are_refused(card, message, tmp_path):
    file = data_set()[1].save(tmp_path / "paths.npz")
    file.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(DatasetError, match=message):
        PathDataSet.load(file)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no arrays at all", b"\x93NUMPY\x01\x00"])
def test_files_that_hold_no_arrays_are_refused(content, tmp_path):
    (tmp_path / "paths.npz").write_bytes(content)
    with pytest.raises(DatasetError, match="is no whole path data set"):
        PathDataSet.load(tmp_path / "paths.npz")


def test_a_single_array_is_refused(tmp_path):
    with open(tmp_path / "paths.npz", "wb") as file:
        np.save(file, np.zeros((3, 4, 3)))
    with pytest.raises(DatasetError, match="is no whole path data set"):
        PathDataSet.load(tmp_path / "paths.npz")


def test_columns_must_fit_and_have_names():
    with pytest.raises(DatasetError, match="has no traction"):
        PathDataSet({"separation": np.zeros((2, 3, 3))})
    with pytest.raises(DatasetError, match=r"porosity has shape \(1, 3\)"):
        PathDataSet({"separation": np.zeros((2, 3, 3)), "traction": np.zeros((2, 3, 3)), "porosity": np.zeros((1, 3))})
    _, data = data_set()
    with pytest.raises(AttributeError, match="there is no 'fabric'; there are separation"):
        _ = data.fabric
    for other in (copy.deepcopy(data), pickle.loads(pickle.dumps(data))):
        np.testing.assert_array_equal(other.porosity, data.porosity)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"separation": np.ones((3, 3))}, "start at separation zero"),
        ({"separation": np.full((3, 3), np.nan)}, "finite"),
        ({"separation": np.zeros((3, 4))}, r"\(3, 4\)"),
        ({"load": np.ones(2)}, r"loads \(2,\)"),
        ({"control": "stress"}, "control='stress'"),
    ],
)
def test_commands_that_nothing_can_follow_are_refused(values, message):
    with pytest.raises(ParameterError, match=message):
        PathCommand(**{"separation": np.zeros((3, 3)), "load": np.ones(3), **values})
    assert repr(PathCommand(np.zeros((3, 2)), np.ones(3), kind="shear")).startswith("PathCommand(3 points")
