"""Paths of one's own from files: units, scales, starts and signs are checked before anything is trained."""

import numpy as np
import pytest
from click.testing import CliRunner

import femnn
from femnn.cli import main
from femnn.cohesive import BatchCohesive, respond, separation_paths
from femnn.cohesive.training import PathData, fit_law, options_for, read_paths, split
from femnn.exceptions import DatasetError, ParameterError

LAW = femnn.ExponentialCohesive(2e6, 3e6, 200.0, 500.0)
PATHS = separation_paths(20, 12, LAW.separation_scale, "all", seed=3)
TRACTIONS = respond(LAW, PATHS)[0]
HEAD = "path,opening,shear1,shear2,traction_n,traction_1,traction_2"


def npz(folder, separation=PATHS, traction=TRACTIONS, **others):
    np.savez(folder / "paths.npz", separation=separation, traction=traction, **others)
    return folder / "paths.npz"


def table(folder, text):
    (folder / "paths.csv").write_text(text)
    return folder / "paths.csv"


def test_both_files_hold_the_same(tmp_path):
    rows = [
        ",".join([f"p{i}", *map(repr, [*(1e3 * PATHS[i, k]).tolist(), *(1e-6 * TRACTIONS[i, k]).tolist()])])
        for i in range(20)
        for k in range(12 - i % 3)
    ]
    data = read_paths(npz(tmp_path))
    other = read_paths(table(tmp_path, "\n".join([HEAD, *rows])), length="mm", stress="MPa")
    assert data.separation_scale == pytest.approx(np.linalg.norm(PATHS, axis=2).max())
    np.testing.assert_allclose(other.separations[::3], PATHS[::3], rtol=1e-12, atol=1e-18)
    np.testing.assert_allclose(other.tractions[::3], TRACTIONS[::3], rtol=1e-12, atol=1e-6)
    # shorter paths stay where they end
    np.testing.assert_array_equal(other.separations[2, 9:], other.separations[2, [9, 9, 9]])


def test_two_dimensions_have_no_second_shear(tmp_path):
    data = read_paths(npz(tmp_path, PATHS[..., :2], TRACTIONS[..., :2]))
    assert data.separations.shape == PATHS.shape
    assert not data.separations[..., 2].any()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"separation": PATHS + np.array([1e-5, 0.0, 0.0])},
            r"20 of 20 paths do not start at separation zero: 0, 1, 2, .*path 0",
        ),
        ({"separation": 1e6 * PATHS}, r"which no interface has .*the length is 'm'"),
        ({"traction": 1e-9 * TRACTIONS}, r"which no interface has .*the stress is 'Pa'"),
        ({"traction": -TRACTIONS}, "negative work on 20 of 20 paths"),
        ({"traction": np.where(TRACTIONS > 0, np.nan, TRACTIONS)}, "not finite"),
    ],
)
def test_data_that_cannot_be_are_refused(tmp_path, change, words):
    with pytest.raises(ParameterError, match=words):
        read_paths(npz(tmp_path, **change))


def test_scales_that_do_not_fit_are_refused_with_the_ratio(tmp_path):
    file = npz(tmp_path)
    with pytest.raises(ParameterError, match=r"times the separation scale of 1e-09 m; .*pass a scale"):
        read_paths(file, separation_scale=1e-9)
    with pytest.raises(ParameterError, match=r"0.00\d+ times the traction scale of 2e\+09 Pa; that is about 10\^-3"):
        read_paths(file, traction_scale=2e9)
    data = PathData(PATHS, TRACTIONS, 1e3 * LAW.separation_scale, 2e6)
    with pytest.raises(ParameterError, match="times the separation scale"):
        fit_law(tmp_path / "law", "minimal-state", data[:10], data[10:15], {"all": data[15:]}, progress=False)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2", "its columns are a, b; needed are path, opening"),
        (f"{HEAD}\n1,0,0,0,0,0,0", "no path of two points"),
        (f"{HEAD}\n1,0,0,0,0,0,x\n1,0,0,0,0,0,0", "line 2 has no number in each column"),
        (f"{HEAD}\n1,0,0,0,0,0,0\n2,0,0,0,0,0,0\n1,1,0,0,0,0,0", "line 4 goes back to path '1'"),
        (f"{HEAD}\n1,0,0,0,0,0,inf\n", "not finite"),
    ],
)
def test_tables_that_are_none_are_refused(tmp_path, text, words):
    with pytest.raises(DatasetError, match=words):
        read_paths(table(tmp_path, text))


def test_files_that_are_none_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", separation=PATHS)
    with pytest.raises(DatasetError, match="no array 'traction'"):
        read_paths(tmp_path / "a.npz")
    with pytest.raises(DatasetError, match="there is no file"):
        read_paths(tmp_path / "b.npz")
    with pytest.raises(ParameterError, match=r"no \.npz and no \.csv"):
        read_paths(tmp_path / "b.txt")
    with pytest.raises(ParameterError, match="length='inch'"):
        read_paths(npz(tmp_path), length="inch")


def test_every_path_serves_once():
    data = PathData(PATHS, TRACTIONS, LAW.separation_scale, 2e6)
    parts = split(data, seed=1)
    assert [len(part) for part in parts] == [16, 2, 2]
    starts = np.concatenate([part.separations[:, -1] for part in parts])
    np.testing.assert_array_equal(np.unique(starts, axis=0), np.unique(PATHS[:, -1], axis=0))
    with pytest.raises(ParameterError, match="the data have 2 paths; at least 3"):
        split(data[:2])


def test_epochs_follow_the_amount_of_data():
    epochs = [options_for("lstm", n).epochs for n in (10, 100, 1000, 10_000)]
    assert epochs == sorted(epochs, reverse=True)
    assert options_for("minimal-state", 5400).batch_size == 64


def test_the_command_trains_on_a_file_and_refuses_options_of_the_other_source(tmp_path):
    arguments = ["train", "cohesive", "--data", str(npz(tmp_path)), "--out", str(tmp_path / "runs"), "--epochs", "1"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert "20 paths of 12 points" in done.output
    assert "held out" in done.output
    law = femnn.RecurrentCohesive.load(tmp_path / "runs" / "cohesive-minimal-state.safetensors")
    with pytest.raises(ParameterError, match="was not trained on a classical law"):
        law.reference()
    for more, words in ((["--paths", "30"], "paths and tractions of its own"), (["--friction", "0.1"], "friction")):
        refused = CliRunner().invoke(main, [*arguments, *more])
        assert refused.exit_code == 2
        assert words in refused.output
    refused = CliRunner().invoke(main, ["train", "cohesive", "--length-unit", "mm"])
    assert "belongs to --data" in refused.output


def test_a_law_of_ones_own_is_learned_from_like_a_classical_one(tmp_path):
    def spring(separation, state):
        return 1e12 * separation, np.zeros((len(state), 3, 3)), state

    data = PathData.of_law(BatchCohesive(spring, separation_scale=1e-4), 8, 6)
    assert data.traction_scale > 0.0
    assert "spring" in data.about["law"]
