"""The benchmark of reduced models runs, goes on where it was broken off, and states its targets."""

import json

import numba
from click.testing import CliRunner

from femnn.reduced import Snapshots
from femnn.validation import ReducedBeam


def test_reduced_benchmark(tmp_path):
    from benchmarks.reduced.reduced import main

    threads = numba.get_num_threads()
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


def test_two_scales_benchmark(tmp_path):
    from benchmarks.reduced.two_scales import main

    threads = numba.get_num_threads()
    sizes = {"cells": 3, "training": 3, "unseen": 2, "finer": 1, "steps": 8, "modes": 10, "data": 8, "epochs": 2}
    settings = [word for name, value in sizes.items() for word in (f"--{name}", str(value))]
    try:
        done = CliRunner().invoke(main, [*settings, "--tol", "1e-2", "--plate", "1", "--out", str(tmp_path)])
    finally:
        numba.set_num_threads(threads)
    assert done.exit_code == 0, done.output
    figures = json.loads((tmp_path / "two-scales.json").read_text(encoding="utf-8"))
    reduced, recurrent = figures["rows"]
    assert reduced["mean"] <= reduced["worst"] < 0.05
    # hardly trained, and elastic at least
    assert recurrent["mean"] < 0.5
    assert figures["plate"][1]["force"] < 0.02
    assert len(figures["targets"]) == 9
