"""``femnn train cohesive`` and the benchmark of cohesive laws."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from support.locations import ROOT

import femnn
from femnn.cli import main, train_cohesive

SMALL = ("--paths", 40, "--steps", 10, "--epochs", 2)


def run(*arguments):
    return CliRunner().invoke(main, ["train", "cohesive", *map(str, arguments)], catch_exceptions=False)


def test_training_writes_a_law_that_loads(tmp_path):
    result = run(*SMALL, "--out", tmp_path, "--seed", 3, "--friction", 0.2, "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert set(answer["test"]) == {"monotonic", "cyclic", "mixed", "random"}
    law = femnn.RecurrentCohesive.load(answer["weights"])
    assert law.card["data"]["paths"]["seed"] == law.card["training"]["seed"] == 3
    assert law.reference().friction == 0.2
    table = run(*SMALL, "--out", tmp_path / "b", "--law", "exponential", "--network", "gru").stdout
    assert "paths" in table
    assert isinstance(femnn.RecurrentCohesive.load(tmp_path / "b" / "cohesive-gru.json").reference(),
                      femnn.ExponentialCohesive)  # fmt: skip


def test_the_same_command_gives_the_same_bits(tmp_path):
    for folder in ("a", "b"):
        assert run(*SMALL, "--out", tmp_path / folder, "--quiet").exit_code == 0
    files = [(tmp_path / folder / "cohesive-minimal-state.safetensors").read_bytes() for folder in ("a", "b")]
    assert files[0] == files[1]


def test_an_interrupted_training_goes_on(tmp_path, monkeypatch):
    from femnn.networks import training

    whole = tmp_path / "whole"
    assert run(*SMALL, "--out", whole, "--quiet").exit_code == 0

    epoch, calls = training._Run.epoch, []

    def interrupted(self):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        epoch(self)

    monkeypatch.setattr(training._Run, "epoch", interrupted)
    result = run(*SMALL, "--out", tmp_path / "cut", "--quiet")
    assert result.exit_code == 130
    assert "interrupted" in result.stderr
    assert not (tmp_path / "cut" / "cohesive-minimal-state.safetensors").exists()
    monkeypatch.setattr(training._Run, "epoch", epoch)
    assert run(*SMALL, "--out", tmp_path / "cut", "--quiet").exit_code == 0
    name = "cohesive-minimal-state.safetensors"
    assert (tmp_path / "cut" / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.parametrize(
    "arguments", [("--law", "rubber"), ("--network", "oracle"), ("--paths", 3), ("--normal-strength", "much")]
)
def test_wrong_usage_is_one_line(arguments, tmp_path):
    result = run(*arguments, "--out", tmp_path)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_wrong_materials_are_one_line(tmp_path):
    result = run(*SMALL, "--normal-toughness", -1, "--out", tmp_path)
    assert result.exit_code == 2
    assert result.stderr.startswith("femnn: normal_toughness=-1.0 is not allowed")


def test_other_settings_in_the_same_folder_are_refused(tmp_path):
    assert run(*SMALL, "--out", tmp_path, "--quiet").exit_code == 0
    result = run(*SMALL, "--friction", 0.1, "--out", tmp_path, "--quiet")
    assert result.exit_code == 2
    assert "belongs to another training" in result.stderr


@pytest.mark.parametrize(("name", "law"), [("default", "BilinearCohesive"), ("exponential", "ExponentialCohesive")])
def test_the_shipped_laws_were_made_with_the_defaults_of_the_command(name, law):
    from femnn.cohesive.training.fit import OPTIONS

    card = femnn.RecurrentCohesive.load(name).card
    made = {name: card["training"][name] for name in ("epochs", "learning_rate", "batch_size", "seed", "schedule")}
    assert made == {name: getattr(OPTIONS["minimal-state"], name) for name in made}
    assert card["data"]["paths"] == {"n": train_cohesive.PATHS, "steps": train_cohesive.STEPS, "kind": "all", "seed": 0}
    assert card["data"]["law"]["name"] == law
    for parameter, value in train_cohesive.AS4_PEEK.items():
        assert card["data"]["law"]["parameters"][parameter] == value


@pytest.mark.slow
def test_the_benchmark_prints_its_tables(tmp_path):
    shipped = Path(femnn.__file__).parent / "data" / "pretrained"
    for suffix in ("safetensors", "json"):
        target = tmp_path / f"cohesive-minimal-state.{suffix}"
        target.write_bytes((shipped / f"cohesive-default.{suffix}").read_bytes())
    script = ROOT / "benchmarks" / "cohesive" / "cohesive.py"
    options = ["--networks", tmp_path, "--only", "minimal-state", "--paths", "400", "--no-beams", "--json"]
    result = subprocess.run(
        [sys.executable, script, *options, "--out", tmp_path], capture_output=True, text=True, check=True
    )
    figures = json.loads(result.stdout)
    (row,) = figures["accuracy"]
    assert row["parameters"] <= 25_000
    assert row["random_mean"] < 0.01
    assert row["random_p95"] < 0.03
    assert max(row["finer"], row["coarser"]) < 1.5
    for safe in figures["safety"]:
        assert safe["least_step"] >= -1e-6
        assert safe["virgin"] == 0.0
    assert np.isfinite([row["shipped"] for row in figures["speed"]]).all()
    measured = {row["what"]: row["measured"] for row in figures["targets"]}
    assert measured["parameters"] == f"{row['parameters']:,}"
    assert "| parameters " in (tmp_path / "cohesive.md").read_text(encoding="utf-8")
    assert (tmp_path / "cohesive-paths.png").stat().st_size > 10_000
