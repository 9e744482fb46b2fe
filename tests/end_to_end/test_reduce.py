"""The command ``femnn reduce`` on waves, and what it refuses."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from femnn.cli import main
from femnn.reduced import POD
from femnn.reduced.dynamics import LatentDynamics

QUICK = ["--epochs", "2", "--weights", "300", "--window", "8"]


def waves(rows=160):
    t, x = 0.1 * np.arange(rows)[:, None], np.linspace(0.0, 1.0, 30)
    return np.sin(6.0 * x - t) + 0.3 * np.cos(9.0 * x - 2.0 * t)


@pytest.fixture
def run(tmp_path):
    def invoke(*options, **arrays):
        np.savez(tmp_path / "flow.npz", **arrays)
        return CliRunner().invoke(main, ["reduce", str(tmp_path / "flow.npz"), "--out", str(tmp_path), *options])

    return invoke


def test_modes_models_and_a_picture(run, tmp_path):
    done = run("--json", *QUICK, snapshots=waves(), times=0.1 * np.arange(160))
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    assert figures["modes"] == 4
    assert figures["energy"][-1] == pytest.approx(1.0)
    assert figures["energy_of_test"] == pytest.approx(1.0)
    assert figures["step"] == pytest.approx(0.1)
    models = {row["model"]: row for row in figures["models"]}
    # waves are linear: what is linear goes on exactly, and nothing is as bad as the last value
    assert figures["best"] in ("linear autoregression", "dynamic mode decomposition")
    assert models["linear autoregression"]["error"] < 1e-6
    assert models["persistence"]["horizon"] < figures["reaches"]
    assert {"lstm", "mean", "Fourier series"} <= models.keys()
    assert (tmp_path / "reduce.png").stat().st_size > 10_000
    assert POD.load(tmp_path / "modes").r == LatentDynamics.load(tmp_path / "network").n == 4


def test_text_without_networks_and_without_times(run, tmp_path):
    done = run("--network", "none", "--modes", "2", "--horizon", "12", snapshots=waves())
    assert done.exit_code == 0, done.output
    assert "the file has no times" in done.output
    assert "2 modes keep" in done.output
    assert "Errors are means over" in done.output
    assert not (tmp_path / "network.safetensors").exists()


def test_what_cannot_be_reduced_is_refused(run):
    times = 0.1 * np.arange(160)
    gap = np.concatenate([times[:50], times[50:] + 3.0])
    refused = {
        "the steps are not equal: from snapshot 49 to 50": {"snapshots": waves(), "times": gap},
        "are too few for windows of": {"snapshots": waves(6)},
        "snapshots are at rest or equal to the offset": {"snapshots": np.ones((160, 5))},
        "is nan at snapshot 0": {"snapshots": np.full((160, 5), np.nan)},
    }
    for message, arrays in refused.items():
        done = run("--network", "none", **arrays)
        assert done.exit_code == 2, message
        assert message in done.output
    done = run("--network", "none", "--horizon", "90", snapshots=waves(), times=times)
    assert done.exit_code == 2
    assert "horizon=90 is 900 steps of 0.1; the snapshots that test are the last 40" in done.output


def test_flows_benchmark(tmp_path):
    from benchmarks.flows.flows import main as bench

    settings = ["--steps", "80", "--seeds", "2", "--epochs", "1", "--weights", "300", "--kind", "gru"]
    done = CliRunner().invoke(bench, [*settings, "--out", str(tmp_path), "--json"])
    assert done.exit_code == 0, done.output
    (case,) = json.loads((tmp_path / "flows.json").read_text(encoding="utf-8"))["cases"]
    rows = {row["model"]: row for row in case["rows"]}
    assert {"Galerkin projection", "persistence", "linear autoregression", "gru", "gru, one each"} <= rows.keys()
    assert rows["gru"]["seeds"] == 2
    assert min(rows["gru"]["error_scatter"]) > 0.0
    assert "± is their standard" in (tmp_path / "flows.md").read_text(encoding="utf-8")
