"""The benchmark of assembly: every program gives femnn's matrix, and the report says what was and was not measured."""

import json
import mmap
from pathlib import Path

import numba
import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib import image

from femnn.cli import main as command
from femnn.geometry import distorted_cube


@pytest.fixture
def peers():
    from benchmarks.assembly_peers.peers import programs

    return programs.PROGRAMS


@pytest.fixture
def mesh_file(tmp_path):
    from benchmarks.assembly_peers.peers.processes import write_mesh

    path = tmp_path / "mesh.npz"
    write_mesh(distorted_cube(3, 0.25, seed=4), path)
    return path


@pytest.fixture
def in_process(monkeypatch):
    """Programs run in this process instead of one of their own, and fail like there."""
    from benchmarks.assembly_peers import assembly
    from benchmarks.assembly_peers.peers import rounds
    from benchmarks.assembly_peers.peers.processes import ProgramError
    from benchmarks.assembly_peers.peers.worker import Worker

    class Here:
        def __init__(self, name, rule, mesh_file, threads, caches=None):
            self.worker = Worker(name, str(rule), mesh_file)

        def ask(self, do, **arguments):
            try:
                return getattr(self.worker, do)(**arguments)
            except ArithmeticError as error:
                raise ProgramError(str(error)) from error

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(rounds, "Process", Here)
    monkeypatch.setattr(assembly, "Process", Here)
    # one core must do for the tests
    monkeypatch.setitem(rounds._WAYS, "threads", {"do": "coordinates", "threads": 1})
    before = numba.get_num_threads()
    yield
    numba.set_num_threads(before)


NAMES = ["scikit-fem", "scikit-fem-native", "felupe", "fedoo", "ngsolve", "sfepy", "dolfinx"]


@pytest.mark.parametrize("rule", [8, 27])
@pytest.mark.parametrize("name", [*NAMES, pytest.param("ngsolve-native", marks=pytest.mark.slow)])
def test_matrix_is_that_of_femnn(name, rule, peers, mesh_file):
    from benchmarks.assembly_peers.peers.processes import Process

    if reason := peers[name].missing():
        pytest.skip(reason)
    with Process(name, rule, mesh_file, 2) as process:
        assert process.ask("about")["version"]
        process.ask("first")
        # for the first coordinates, and for others on the same elements
        assert process.ask("check")["difference"] < 1e-13
        assert process.ask("coordinates", threads=2)["seconds"] > 0


def test_what_programs_read_is_right_handed(mesh_file):
    with np.load(mesh_file) as file:
        x = file["p"].T[file["cells"]]
        np.testing.assert_array_equal(np.sort(file["cells"]), np.sort(file["t"].T))
    edges = x[:, [1, 3, 4]] - x[:, [0]]
    assert (np.linalg.det(edges) > 0).all()


def test_wrong_matrices_are_not_timed(peers, mesh_file, in_process, monkeypatch):
    from benchmarks.assembly_peers.peers.rounds import compare

    class Stiff(peers["scikit-fem"]):
        def assemble(self, p, threads=1):
            return 1.001 * super().assemble(p, threads)

    class Stale(peers["scikit-fem"]):
        def assemble(self, p, threads=1):
            return self.again(threads)

    class Failing(peers["scikit-fem"]):
        def first(self):
            raise ArithmeticError("no memory")

    for kind in (Stiff, Stale, Failing):
        monkeypatch.setitem(peers, kind.__name__, kind)
    programs = [(name, 8) for name in ("femnn", "scikit-fem", "Stiff", "Stale", "Failing")]
    own, right, stiff, stale, failing = compare(programs, mesh_file, 27, repeat=1)
    assert own["problem"] is right["problem"] is None
    assert right["difference"] < 1e-13
    assert stiff["problem"] == "wrong matrix: it differs by 1e-03 of its largest entry"
    assert stale["problem"].startswith("wrong matrix")
    assert failing["problem"] == "no memory"
    assert stiff["coordinates"] is stale["coordinates"] is failing["coordinates"] is None


def test_report(peers, in_process, monkeypatch, tmp_path):
    from benchmarks.assembly_peers import assembly

    monkeypatch.setattr(peers["felupe"], "module", "no_such_module")
    options = ["--n", "2", "--repeat", "2", "--only", "scikit-fem", "--only", "felupe", "--out", str(tmp_path)]
    done = CliRunner().invoke(assembly.main, options, catch_exceptions=False)
    assert done.exit_code == 0
    assert "Skipped: FElupe, no_such_module is not installed." in done.stdout
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("|        8 ")]
    assert sorted((row[1].strip(), row[2].strip()) for row in rows) == [
        ("27", "femnn"),
        ("27", "scikit-fem"),
        ("8", "femnn"),
        ("8", "scikit-fem"),
    ]
    for what in ("8 points: times the fastest peer ", "27 points: times scikit-fem's form", "ns for one more point"):
        assert what in done.stdout
    figures = json.loads((tmp_path / "assembly.json").read_text())
    assert {row["passes"] for row in figures["rows"]} == {2}
    assert all(row["growth"] >= 0 and row["csr"] > 0 for row in figures["rows"])
    assert {row["rule"] for row in figures["slopes"]} == {8, 27, 64, 125}
    assert {row["rule"] for row in figures["learned"]} == {"AdaptiveGauss(1e-3)", "CorrectedGauss()"}
    assert min(image.imread(tmp_path / "assembly.png").shape[:2]) > 300


def test_targets_and_measured_values():
    from benchmarks.assembly_peers.assembly_targets import against_targets

    def row(name, rule, seconds, geometry=None, **more):
        about = {"name": name, "program": name, "rule": rule, "elements": 1000, "problem": None}
        times = {"coordinates": seconds, "threads": seconds / 1.5, "cold": 8 * seconds, "warm": 3 * seconds}
        times |= {"first_ever": 340 * seconds, "speedup": 1.5, "speedup_spread": 0.04}
        return {**about, **times, "geometry": geometry, "growth": 12, "csr": 10, **more}

    rows = [row("femnn", 8, 0.1), row("slow", 8, 5.0, 0.2), row("quick", 8, 0.3), row("scikit-fem", 8, 40.0, 30.0)]
    failed = row("broken", 8, 0.001, problem="wrong")
    slopes = [row("femnn", points, 1e-3 + 5e-5 * points) for points in (8, 27, 64)]
    figures = {"rows": [*rows, failed], "slopes": slopes, "million": {"peak": 5.5e9}}
    rows = against_targets(figures)
    assert {row["what"].removeprefix("1,000 elements, 8 points: "): row["measured"] for row in rows} == {
        "times the fastest peer": "3.0 (quick)",
        "times the fastest peer that keeps the geometry": "2.0 (slow)",
        "times scikit-fem's form": "400",
        "two threads over one": "1.50 ± 0.04",
        "cold start over a pass, with caches": "8.0",
        "cold start over a pass, first ever": "340",
        "first matrix of a new mesh over a pass": "3.0",
        "memory over the finished CSR": "1.20",
        "1,000 elements: ns for one more point": "50",
        "10⁶ elements, 8 points: memory of the process": "5.50 GB",
    }
    impossible = against_targets({**figures, "rows": [row("femnn", 8, 0.1, speedup=2.2)], "million": None})
    assert next(row["measured"] for row in impossible if "two threads" in row["what"]).endswith("to be measured again")


def test_programs_take_turns_as_far_as_memory_allows(monkeypatch):
    from benchmarks.assembly_peers.peers import rounds

    monkeypatch.setattr(rounds, "available", lambda: 100)
    rows = [{"peak": peak} for peak in (30, 30, 30, 90, 10)]
    assert [[row["peak"] for row in batch] for batch in rounds._batches(rows)] == [[30, 30], [30], [90], [10]]
    monkeypatch.setattr(rounds, "available", lambda: None)
    assert rounds._batches(rows) == [rows]


def test_a_program_that_dies_leaves_its_last_words(mesh_file):
    from benchmarks.assembly_peers.peers.processes import Process, ProgramError

    with Process("scikit-fem", 8, mesh_file, 1) as process, pytest.raises(ProgramError, match="no_such_thing"):
        process.ask("no_such_thing")


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux tells and resets the peak")
def test_peak_of_memory():
    from benchmarks.support.memory import forget_peak, peak, resident

    def take():
        # of the system: an array may fit into what earlier tests have left in the heap
        with mmap.mmap(-1, 240_000_000) as room:
            for _ in range(240):
                room.write(bytes(1_000_000))

    take()
    forget_peak()
    before = resident()
    assert peak() < before + 50e6
    take()
    assert 230e6 < peak() - before < 290e6


def test_it_is_one_benchmark_of_the_command():
    listed = [line.split()[0] for line in CliRunner().invoke(command, ["bench"]).stdout.splitlines()]
    assert "assembly" in listed
    assert not {"assembly-targets", "figures", "peers", "targets"} & set(listed)
