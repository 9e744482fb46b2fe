"""The benchmark of identification runs, part by part, and states its targets."""

import json

import pytest
from click.testing import CliRunner


def run(tmp_path, *settings):
    from benchmarks.identification.identification import main

    done = CliRunner().invoke(main, [*settings, "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    figures = json.loads((tmp_path / "identification.json").read_text(encoding="utf-8"))
    assert (tmp_path / "identification.md").read_text(encoding="utf-8").count("Targets:") == len(figures["parts"])
    return figures["parts"]


def test_parameters_of_the_beam_keep_their_targets(tmp_path):
    part = run(tmp_path, "--part", "beam", "--seeds", "2")["beam"]
    assert [(row["modes"], row["noise"], row["draws"]) for row in part["rows"]] == [
        (4, 0.0, 1),
        (4, 0.01, 2),
        (8, 0.0, 1),
        (8, 0.01, 2),
    ]
    assert all(row["stiffness_damping"] < 1e-2 and row["root"] < 1e-2 for row in part["rows"])
    assert len(part["targets"]) == 4


@pytest.mark.slow
def test_pendulums_keep_their_targets(tmp_path):
    parts = run(
        tmp_path, "--part", "parameters", "--part", "film", "--part", "network", "--seeds", "3", "--periods", "1"
    )
    for row in parts["parameters"]["rows"]:
        if row["way"].startswith("least squares"):
            assert row["gravity_worst"] < (1e-3 if row["noise"] else 1e-4)
    assert {row["film"] for row in parts["film"]["rows"]} == {"bob", "bar of hexahedra"}
    assert all(row["error"] < 1e-3 for row in parts["network"]["rows"] if row["way"] == "windows, Gauss-Newton")
