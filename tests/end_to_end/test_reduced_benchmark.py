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
