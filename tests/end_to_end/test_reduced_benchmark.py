"""The benchmark of reduced models runs, goes on where it was broken off, and states its targets."""

import json

import numba
from click.testing import CliRunner

from femnn.reduced import Snapshots
from femnn.validation import ReducedBeam


def test_reduced_benchmark(tmp_path):
    from benchmarks.reduced.reduced import main

    threads = numba.get_num_threads()
    (tmp_path / "burgers").mkdir()
    missed = {"what": "error", "target": "≤ 1 %", "measured": "2 %"}
    (tmp_path / "burgers" / "burgers.json").write_text(json.dumps({"targets": [missed]}), encoding="utf-8")
    tmp_path = tmp_path / "reduced"
    settings = ["--cells", "6", "2", "2", "--training", "6", "--unseen", "1", "--modes", "16", "--out", str(tmp_path)]
    try:
        first = CliRunner().invoke(main, settings)
        kept = Snapshots(ReducedBeam((6, 2, 2)).solid, tmp_path / "snapshots-6-2-2")
        again = CliRunner().invoke(main, [*settings, "--json"])
    finally:
        numba.set_num_threads(threads)
    assert first.exit_code == again.exit_code == 0, first.output
    figures = json.loads((tmp_path / "reduced.json").read_text(encoding="utf-8"))
    assert figures["snapshots"] == len(kept) == 18
    assert [row["modes"] for row in figures["rows"]] == [8, 16, 16]
    for row in figures["rows"]:
        assert row["residual"] <= 1e-3
        assert row["projection"] <= row["mean"] <= row["worst"]
    assert "| its evaluations of the law, full over reduced" in (tmp_path / "reduced.md").read_text(encoding="utf-8")
    assert len(figures["targets"]) == 4
    # targets of parts that were run before are printed with them
    assert figures["parts"] == [{**missed, "what": "burgers: error"}]


def run(main, name, tmp_path, *settings):
    """Figures of a benchmark."""
    threads = numba.get_num_threads()
    try:
        done = CliRunner().invoke(main, [*settings, "--out", str(tmp_path)])
    finally:
        numba.set_num_threads(threads)
    assert done.exit_code == 0, done.output
    return json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))


def test_benchmark_of_the_swinging_beam(tmp_path):
    from benchmarks.reduced.dynamic_beam import main

    figures = run(main, "dynamic-beam", tmp_path, "--cells", "8", "1", "--steps", "10")
    assert all(row["velocity"] < 1e-2 for row in figures["rows"])
    assert len(figures["targets"]) == 4


def test_benchmark_of_memory(tmp_path):
    from benchmarks.reduced.streaming import main

    figures = run(main, "streaming", tmp_path, "--cells", "500", "--snapshots", "60", "--modes", "6")
    assert [row["snapshots"] for row in figures["rows"]] == [50, 60]
    assert all(row["residual"] <= 1e-3 for row in figures["rows"])
    assert not (tmp_path / "snapshots").exists()


def test_benchmark_of_the_sparse_decoder(tmp_path):
    from benchmarks.reduced.sparse_decoder import main

    settings = [
        "--nodes",
        "12",
        "--steps",
        "40",
        "--epochs",
        "30",
        "--chosen",
        "30",
        "--latent",
        "3",
        "3",
        "--stride",
        "1",
        "--draws",
        "1",
    ]
    figures = run(main, "sparse-decoder", tmp_path, *settings)
    assert figures["difference"] < 1e-9
    assert all(decoder["nearest"] < 1.0 for decoder in figures["decoders"])
    assert [0 < row["cells"] <= 30 for row in figures["rows"]] == [True, True, False]
    assert figures["rows"][-1]["error"] < 0.02
    assert len(figures["targets"]) == 5


def test_two_scales_benchmark(tmp_path):
    from benchmarks.reduced.two_scales import main

    sizes = {"cells": 3, "training": 3, "unseen": 2, "finer": 1, "steps": 8, "modes": 10, "data": 8, "epochs": 2}
    settings = [word for name, value in sizes.items() for word in (f"--{name}", str(value))]
    figures = run(main, "two-scales", tmp_path, *settings, "--bond", "0", "--tol", "1e-2", "--plate", "1")
    reduced, recurrent, *networks = figures["rows"]
    assert reduced["mean"] <= reduced["worst"] < 0.05
    # hardly trained, and elastic at least
    assert recurrent["mean"] < 0.5
    assert [row["law"] for row in networks] == ["LSTM", "GRU"]
    assert figures["plate"][1]["force"] < 0.02
    assert len(figures["targets"]) == 11
