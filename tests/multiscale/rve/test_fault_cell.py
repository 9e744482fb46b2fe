"""The law of the mean of several cells: what trains it, the command, and what the shipped one promises."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

import femnn
from femnn.cli import main
from femnn.cli.train_layer import split_cells
from femnn.cohesive import respond_to_tractions
from femnn.cohesive.recurrent.critical_state import CriticalState
from femnn.cohesive.training.fit_critical_state import _first, tensors_of
from femnn.exceptions import DatasetError
from femnn.io.path_data import PathDataSet
from femnn.multiscale.rve import FaultCell, WorkingRange, draw_cycles, law_named, simulate_paths
from femnn.multiscale.rve.commands import KINDS, is_unseen


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """Two cells that are far too small, along two paths of each kind."""
    folder = tmp_path_factory.mktemp("cells")
    cell = FaultCell.around(law_named("fault-grains"), count=2, rows=1, refine=1, thickness=6.0)
    data, failures = simulate_paths(
        "fault-grains", folder, cell, paths=12, points=12, samples=2, cycles=2, workers=0, progress=False
    )
    assert not failures
    return folder / "rve-paths.npz", data


def test_a_law_learns_the_mean_of_all_cells_on_paths_under_pressure(cells):
    _, data = cells
    training, unseen = split_cells(data)
    numbers = np.unique(data.path[data.control != "displacement"])
    assert len(training) == np.count_nonzero(~is_unseen(numbers)) < 8
    assert len(unseen) == np.count_nonzero(is_unseen(numbers)) < 6
    for paths, chosen in ((training, numbers[~is_unseen(numbers)]), (unseen, numbers[is_unseen(numbers)])):
        for row, number in enumerate(chosen):
            one, other = (data.traction[(data.path == number) & (data.seed == seed)][0] for seed in (0, 1))
            np.testing.assert_allclose(paths.tractions[row], 0.5 * (one.astype(float) + other), atol=1e-12)
            if number < 12:
                assert np.abs(one - other).max() > 1e-3
    with pytest.raises(DatasetError, match="at least 12 paths"):
        split_cells(data[data.path < 6])


def test_cells_bear_the_tractions_of_cycles(cells):
    _, data = cells
    assert data.about["paths"]["cycles"] == 2
    assert "--cycles 2" in data.about["command"]
    working = WorkingRange(**data.about["working_range"])
    cycled = data.control == "traction"
    assert sorted(data.path[cycled]) == [12, 12, 13, 13]
    for row in np.flatnonzero(cycled):
        command = draw_cycles(int(data.path[row]), 12, working)
        np.testing.assert_allclose(data.traction[row, 1:, 0], -command.load[1:], rtol=1e-6)
        np.testing.assert_allclose(data.traction[row, 1:, 1], command.shear[1:, 0], atol=1e-6 * working.pressure)
    # and shear by what nothing prescribes, each cell by its own
    for number in (12, 13):
        one, other = data.separation[data.path == number]
        assert np.abs(one - other).max() > 5e-4
    assert np.abs(data.separation[cycled, :, 1]).max(axis=1).min() > 1e-4


def test_cycles_train_whatever_their_numbers(cells):
    _, data = cells
    # a number that is left out of drawn paths
    moved = np.where(data.path == 12, 36, data.path)
    assert is_unseen(np.array([36])).all()
    training, unseen = split_cells(PathDataSet({**data.columns, "path": moved}, data.about))
    assert [len(part) for part in (training, unseen)] == [len(part) for part in split_cells(data)]


def test_one_path_in_five_of_each_kind_is_left_out():
    numbers = np.arange(30 * len(KINDS))
    for kind in range(len(KINDS)):
        assert is_unseen(numbers[kind :: len(KINDS)]).mean() == pytest.approx(0.2)


def test_layers_in_series_begin_as_one_that_is_as_many_times_as_thick():
    pressure = np.exp(np.linspace(0.0, 1.0, 40))[None] ** np.array([[1.0], [-1.0]])
    sliding = np.zeros((2, 40, 2))
    sliding[..., 0] = np.concatenate([np.linspace(0.0, 2.0, 20), np.linspace(1.9, 0.0, 20)])
    one, four = (CriticalState(tensors_of(_first(6, length), 6)) for length in (1.0, 4.0))
    opening, ratio = one.under_pressure(pressure, sliding)
    thick_opening, thick_ratio = four.under_pressure(pressure, 4.0 * sliding)
    # bounds are smoothed over lengths of their own
    np.testing.assert_allclose(thick_opening, 4.0 * opening, atol=0.01 * np.abs(4.0 * opening).max())
    np.testing.assert_allclose(thick_ratio, ratio, atol=0.01)


@pytest.mark.slow
def test_the_benchmark_compares_a_law_with_cells_that_it_has_not_learned(cells, tmp_path):
    options = ["train", "fault-cell", "--data", str(cells[0]), "--sliders", "2", "--iterations", "30", "--quiet"]
    assert CliRunner().invoke(main, [*options, "--out", str(tmp_path)]).exit_code == 0
    law = str(tmp_path / "cohesive-fault-cell.safetensors")
    result = CliRunner().invoke(main, ["bench", "cell-law", "--law", law, "--seeds", "2", "--out", str(tmp_path)])
    assert result.exit_code == 0
    figures = json.loads((tmp_path / "cell-law.json").read_text())
    assert not set(figures["seeds"]) & set(figures["learned_seeds"])
    assert {row["path"] for row in figures["unseen"]} < set(range(6, 12))
    cycled = {row["what"]: row for row in figures["cycles"]}
    assert abs(cycled["cohesive-fault-cell"]["drift"]) < 1e-3 < cycled["rve"]["drift"]
    assert "| peak ratio off the mean cell" in (tmp_path / "cell-law.md").read_text(encoding="utf-8")


def test_the_command_writes_a_law_that_loads(cells, tmp_path):
    file, data = cells
    options = ["train", "fault-cell", "--data", str(file), "--sliders", "2", "--iterations", "3", "--out"]
    result = CliRunner().invoke(main, [*options, str(tmp_path), "--json"])
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert set(answer["test"]["unseen"]) >= {"opening", "ratio_under_pressure"}
    law = femnn.RecurrentCohesive.load(answer["weights"])
    assert law.network == "critical-state"
    # in the units of the cracks' law, whatever the number of rows
    assert law.separation_scale == law.traction_scale == 1.0
    assert law.card["data"]["seeds"] == [0, 1]
    assert law.card["data"]["checks"] == data.about["checks"]
    again = CliRunner().invoke(main, [*options, str(tmp_path / "again"), "--quiet"])
    assert again.exit_code == 0
    written = [folder / "cohesive-fault-cell.safetensors" for folder in (tmp_path, tmp_path / "again")]
    assert written[0].read_bytes() == written[1].read_bytes()


# --- the shipped law


def test_the_shipped_law_is_that_of_several_cells_of_eight_by_four_blocks():
    law = femnn.RecurrentCohesive.load("fault-cell")
    data = law.card["data"]
    assert (data["cell"]["count"], data["cell"]["rows"]) == (8, 4)
    assert len(data["seeds"]) >= 3
    # the filling is as thick as the layers that the cracks' law learned
    assert data["cell"]["filling"]["thickness"] == pytest.approx(
        femnn.RecurrentCohesive.load("fault-grains").card["data"]["thickness"]
    )
    assert data["checks"]["scatter between samples, ratio"] > 0.0
    assert law.separation_scale == law.traction_scale == 1.0


def test_the_shipped_law_slides_at_a_bounded_ratio_and_opening_beyond_any_slip():
    law = femnn.RecurrentCohesive.load("fault-cell").rescaled(separation_scale=1e-3, traction_scale=5e6)
    path = np.zeros((400, 3))
    path[:, 1] = np.concatenate([np.linspace(0.0, 0.02, 200), np.geomspace(0.0201, 5.0, 200)])
    for pressure in (1.5e6, 5e6, 15e6):
        held = np.tile([-pressure, np.nan, np.nan], (400, 1))
        separation, traction, state = respond_to_tractions(law, held, path)
        ratio, opening = traction[:, 1] / pressure, separation[:, 0] / 1e-3
        assert 0.4 < ratio[150:].min() <= ratio.max() < 0.75
        # it has an end: over the last quarter of 5,000 d nothing moves
        np.testing.assert_allclose(ratio[-20:], ratio[-1], rtol=1e-4)
        np.testing.assert_allclose(opening[-20:], opening[-1], atol=1e-3)
        assert 0.0 < opening[-1] < 10.0
        assert state.outside.all()


@pytest.mark.parametrize("cycle", [[(1.0, 0.1), (1.0, 0.3)], [(1.0, 0.3), (0.7, 0.3)]], ids=["stress", "pressure"])
def test_the_shipped_law_shakes_down_under_cycles_of_traction(cycle):
    law = femnn.RecurrentCohesive.load("fault-cell")
    # through points between, where a step is not a cycle
    corners = np.array([[1.0, 0.0], *(cycle * 300)])
    path = np.column_stack([np.interp(np.arange(1201) / 2.0, np.arange(601), values) for values in corners.T])
    separation, _, _ = respond_to_tractions(law, np.column_stack([-path[:, 0], path[:, 1], np.zeros(len(path))]))
    peaks = separation[4::4, 1]
    assert 0.1 < peaks[0] < 1.5
    # it may still turn its fabric, by less than half of the first slip
    assert 0.9 * peaks[0] < peaks.min() <= peaks.max() < 1.5 * peaks[0]
    assert abs(peaks[-1] - peaks[-11]) / 10.0 < 1e-3 * peaks[0]


def test_the_tangent_of_the_shipped_law_is_that_of_differences():
    law, draws = femnn.RecurrentCohesive.load("fault-cell"), np.random.default_rng(0)
    steps = draws.normal(size=(12, 30, 3)) * [0.02, 0.2, 0.2]
    state, separation, h = law.initial_state(12), np.zeros((12, 3)), 1e-6
    gaps = []
    for step in np.moveaxis(steps, 1, 0):
        separation = separation + step
        separation[:, 0] = np.clip(separation[:, 0], -0.3, 1.0)
        _, tangent, new = law.update(separation, state)
        differences = np.stack(
            [(law.update(separation + h * axis, state).traction - law.update(separation - h * axis, state).traction)
             / (2.0 * h) for axis in np.eye(3)], axis=-1,
        )  # fmt: skip
        gaps.append(np.abs(tangent - differences).max(axis=(1, 2)) / np.abs(tangent).max(axis=(1, 2)))
        state = new
    # a difference across the place where a slider begins to slide is no derivative
    assert np.quantile(gaps, 0.95) < 1e-5
