"""The benchmark from mesh arrays to the solution: programs agree, and the report says what was and was not measured."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from femnn.exceptions import MeshError


def solved(name, what):
    """Displacements of a program in this process, and the stages that it went through."""
    from benchmarks.solution.problems import problem
    from benchmarks.solution.programs import PROGRAMS, missing

    if missing(name):
        pytest.skip(missing(name))
    stages = list(PROGRAMS[name].run(problem(what), 1))
    assert stages[-1][0] == "solution"
    return stages[-1][1], [stage for stage, _ in stages[:-1] if stage != "set-up share"]


@pytest.mark.parametrize(
    ("what", "name"),
    [
        ("cube 4", "scikit-fem, pyamg"),
        ("cube 4", "scikit-fem-native, pyamg"),
        ("cube 4", "NGSolve"),
        ("cube 4", "fedoo"),
        ("cube 4", "SfePy"),
        ("triquadratic 2", "scikit-fem, pyamg"),
        ("triquadratic 2", "NGSolve"),
        ("neo-Hookean 2", "NGSolve"),
        ("neo-Hookean 2", "FElupe"),
    ],
)
def test_programs_solve_the_same_problem(what, name):
    expected, _ = solved("femnn", what)
    found, stages = solved(name, what)
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())
    assert set(stages) <= {"assembly", "set-up", "iterations"}


@pytest.mark.parametrize(
    ("what", "name"),
    [("cube 4", "DOLFINx"), ("triquadratic 2", "DOLFINx"), ("neo-Hookean 2", "DOLFINx"), ("cube 4", "torch-fem")],
)
def test_programs_in_a_process_of_their_own_solve_the_same_problem(what, name):
    # another interpreter has the first; beside the libraries of the other programs torch crashes
    from benchmarks.solution.problems import problem
    from benchmarks.solution.programs import missing
    from benchmarks.solution.solution import _measured

    if missing(name):
        pytest.skip(missing(name))
    expected, _ = solved("femnn", what)
    figures = _measured(name, problem(what), 1, 1)
    assert figures.get("failure") is None
    np.testing.assert_allclose(figures["mean"], np.abs(expected).mean(axis=0), rtol=1e-6)
    assert set(figures["stages"]) <= {"assembly", "set-up", "iterations"}


def test_held_vertices_of_the_bracket():
    from benchmarks.solution.problems import problem

    coarse, fine = problem("plastic bracket"), problem("bracket")
    assert fine.t.shape[1] == 8 * coarse.t.shape[1]
    # a surface that is refined once has nearly four times the vertices, those of before among them
    assert 3.3 < len(fine.held) / len(coarse.held) < 4.0
    distances = np.linalg.norm(fine.p[:, fine.held][:, :, None] - coarse.p[:, coarse.held][:, None], axis=0)
    assert distances.min(axis=0).max() < 1e-12
    with pytest.raises(MeshError, match="bunny_out"):
        problem("bunny")


def test_report(tmp_path):
    from benchmarks.solution.solution import main

    arguments = ["--quick", "--problem", "cube 3", "--problem", "bunny", "--program", "femnn", "--program",
                 "scikit-fem, pyamg", "--out", str(tmp_path), "--json"]  # fmt: skip
    run = CliRunner().invoke(main, arguments, catch_exceptions=False)
    figures = json.loads(run.stdout)
    own, other = figures["rows"]
    assert (own["program"], other["program"]) == ("femnn", "scikit-fem, pyamg")
    assert own["over best"] == pytest.approx(own["warm"] / other["warm"])
    assert other["difference"] < 1e-6
    assert own["peak"] > 1e7
    assert set(own["stages"]) == {"assembly", "set-up", "iterations"}
    assert sum(own["stages"].values()) == pytest.approx(own["warm"])
    assert "bunny: no folder" in (tmp_path / "solution.md").read_text(encoding="utf-8")
    assert (tmp_path / "solution.png").exists()


def test_a_run_that_was_stopped_goes_on(tmp_path, monkeypatch):
    from benchmarks.solution import solution

    measured = []

    def interrupted(name, given, threads, repeat):
        if len(measured) == 2:
            raise KeyboardInterrupt
        measured.append(name)
        if name == "NGSolve":
            return {"failure": "an accident"}
        return {"cold": 2.0, "warm runs": [1.0], "stages": {"assembly": 1.0}, "peak": 1e8, "mean": [1.0, 1.0, 1.0]}

    monkeypatch.setattr(solution, "_measured", interrupted)
    monkeypatch.setattr(solution, "missing", lambda name: None)
    programs = ["femnn", "NGSolve", "scikit-fem, pyamg"]
    arguments = ["--quick", "--problem", "cube 3", "--out", str(tmp_path), "--json"]
    arguments += [part for name in programs for part in ("--program", name)]
    run = CliRunner().invoke(solution.main, arguments)
    assert measured == programs[:2]
    assert not (tmp_path / "solution.md").exists()
    del measured[:]
    run = CliRunner().invoke(solution.main, arguments, catch_exceptions=False)
    # what failed is tried again
    assert measured == programs[1:]
    assert [row["program"] for row in json.loads(run.stdout)["rows"]] == programs
    del measured[:]
    monkeypatch.setattr(solution, "_version", lambda name: "another one")
    CliRunner().invoke(solution.main, arguments, catch_exceptions=False)
    assert measured == programs[:2]


def test_another_solution_is_no_figure():
    from benchmarks.solution.solution import _compare, report

    rows = [
        {"problem": "cube 3", "program": "femnn", "threads": 1, "elements": 27, "mean": [1.0, 2.0, 3.0], "warm": 1.0,
         "cold": 2.0, "stages": {"assembly": 0.1}, "peak": 1e8},
        {"problem": "cube 3", "program": "NGSolve", "threads": 1, "elements": 27, "mean": [1.0, 2.0, 3.1], "warm": 0.1},
    ]  # fmt: skip
    _compare(rows)
    text = report({"machine": "this one", "rows": rows, "left out": {"FElupe": "felupe is not installed"}})
    assert "NGSolve, cube 3, threads 1: another solution: it differs by 3e-02." in text
    assert "FElupe: felupe is not installed." in text
    assert "| femnn" in text
