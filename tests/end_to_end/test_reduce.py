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


def test_an_interrupted_call_goes_on(run, tmp_path, monkeypatch):
    from femnn.reduced.dynamics import fit_dynamics

    calls, loss = [], fit_dynamics._mean_square

    def counting(prediction, target):
        calls.append(None)
        if len(calls) == limit:
            raise KeyboardInterrupt
        return loss(prediction, target)

    monkeypatch.setattr(fit_dynamics, "_mean_square", counting)
    settings, limit = ["--json", *QUICK, "--network", "gru", "--seeds", "2"], None
    arrays = {"snapshots": waves(), "times": 0.1 * np.arange(160)}
    whole = run(*settings, **arrays)
    assert whole.exit_code == 0, whole.output
    total = len(calls)
    calls.clear()
    limit = total - 1
    assert run(*settings, **arrays).exit_code != 0
    (kept,) = tmp_path.glob("trainings-*")
    assert len(list(kept.iterdir())) == 2
    calls.clear()
    limit = None
    again = run(*settings, **arrays)
    assert json.loads(again.stdout)["models"] == json.loads(whole.stdout)["models"]
    assert len(calls) < total / 2
    assert not list(tmp_path.glob("trainings-*"))


def test_flows_benchmark(tmp_path, monkeypatch):
    from benchmarks.flows import flows
    from benchmarks.flows.flows import main as bench

    settings = ["--case", "burgers", "--steps", "80", "--seeds", "2", "--epochs", "1"]
    settings += ["--weights", "300", "--kind", "gru"]
    done = CliRunner().invoke(bench, [*settings, "--out", str(tmp_path), "--json"])
    assert done.exit_code == 0, done.output
    (case,) = json.loads((tmp_path / "flows.json").read_text(encoding="utf-8"))["cases"]
    rows = {row["model"]: row for row in case["rows"]}
    assert {"Galerkin projection", "persistence", "linear autoregression", "gru", "gru, one each"} <= rows.keys()
    assert rows["gru"]["seeds"] == 2
    assert min(rows["gru"]["error_scatter"]) > 0.0
    report = (tmp_path / "flows.md").read_text(encoding="utf-8")
    assert "is their standard deviation" in report
    assert (tmp_path / "flows-burgers.png").stat().st_size > 10_000
    # the same again measures nothing, and prints the same
    with monkeypatch.context() as patched:
        patched.setattr(flows, "measure", None)
        again = CliRunner().invoke(bench, [*settings, "--out", str(tmp_path), "--json"])
    assert again.exit_code == 0, again.output
    assert (tmp_path / "flows.md").read_text(encoding="utf-8") == report


def test_findings_of_the_flows_benchmark():
    from benchmarks.flows.flows import _ahead, _findings, _found
    from femnn.reduced.dynamics.comparison import ForecastErrors

    def row(name, value, scatter):
        keys = {"window": [value], "window_scatter": [scatter], "error": [value], "error_scatter": [scatter]}
        return {"model": name, "seeds": 5, **keys}

    def said(lstm, bilstm):
        findings = _findings([row("lstm", *lstm), row("bilstm", *bilstm)])
        return "\n".join(_found({"findings": findings, "state": {}, "unit": "s"}))

    # 0.1 apart, with standard errors of 0.02 √2 / 2
    assert "Their finding holds on this flow in every comparison" in said((0.3, 0.02), (0.4, 0.02))
    assert "Their finding is reversed on this flow" in said((0.4, 0.02), (0.3, 0.02))
    assert "2 show no difference beyond the scatter" in said((0.3, 0.2), (0.4, 0.2))

    def errors(name, curve):
        return [ForecastErrors(name, 0.1, np.array(curve), 1.0, True, 1, 0.5)]

    linear = errors("linear autoregression", [0.2, 0.6, 1.2])

    class Case:
        dt = 0.5

    networks = [errors("gru", [0.3, 0.4, 1.1]), errors("gru", [0.3, 0.5, 1.1])]
    best = _ahead(Case, [linear, *networks])
    assert (best["model"], best["from"], best["to"]) == ("gru", 1.0, 1.0)
    assert best["error"] == pytest.approx(0.45)
    assert _ahead(Case, [linear, errors("gru", [0.3, 0.7, 0.9]), errors("gru", [0.3, 0.7, 1.3])]) is None
