"""The benchmark of wells beside a fault: rows that are there are not measured again."""

import json

import pytest
from click.testing import CliRunner

from benchmarks.multiscale import fault_wells


def row(name, rate, viscosity, on_fracture, slip):
    """Figures of a well, as :func:`benchmarks.multiscale.fault_wells.measure` returns them."""
    numbers = dict.fromkeys(("shortest", "longest", "events", "margin", "outside", "seconds"), 1)
    told = {"law": name, "rate": rate, "viscosity": f"{viscosity:.0e}", "fractures": on_fracture}
    return {**told, **numbers, "days": 40.0, "steps": 15, "slip": slip, "end": "40 days are over"}


def test_a_command_that_was_stopped_goes_on_with_the_rows_that_are_missing(tmp_path, monkeypatch):
    measured, broken = [], True

    def measure(example, name, rate, viscosity, on_fracture, slip_error):
        if broken and name == "loop" and on_fracture == "warn":
            raise KeyboardInterrupt
        measured.append((name, viscosity, on_fracture))
        return row(name, rate, viscosity, on_fracture, {"cell": 10.4, "loop": 10.0}[name])

    monkeypatch.setattr(fault_wells, "measure", measure)
    arguments = ["--law", "cell", "--law", "loop", "--rate", "4e-4", "--out", str(tmp_path)]
    run = CliRunner().invoke(fault_wells.main, arguments)
    assert run.exit_code != 0
    assert len(measured) == 5
    run = CliRunner().invoke(fault_wells.main, [*arguments, "--kept", "--json"], catch_exceptions=False)
    assert len(json.loads(run.output)["wells"]) == len(measured) == 5
    broken = False
    run = CliRunner().invoke(fault_wells.main, [*arguments, "--json"], catch_exceptions=False)
    assert measured[5:] == [("loop", 1e13, "warn")]
    figures = json.loads((tmp_path / "fault-wells.json").read_text(encoding="utf-8"))
    assert [each["law"] for each in figures["wells"]] == ["cell"] * 3 + ["loop"] * 3
    assert [each["measured"] for each in figures["targets"]] == ["4.0%"] * 3
    # another tolerance is another row
    CliRunner().invoke(fault_wells.main, [*arguments, "--slip-error", "1e-4"], catch_exceptions=False)
    assert len(measured) == 12
    CliRunner().invoke(fault_wells.main, [*arguments, "--slip-error", "1e-4", "--anew"], catch_exceptions=False)
    assert len(measured) == 18


def test_a_label_names_a_file(tmp_path):
    from benchmarks.support.kept import KeptRows

    kept = KeptRows(tmp_path / "rows")
    assert kept.get("cell, 1.6e-04", {}, lambda: {"slip": 1.0})["slip"] == 1.0
    assert [path.name for path in (tmp_path / "rows").iterdir()] == ["cell-1-6e-04.json"]
    # what may have been an accident is not kept
    assert kept.get("other", {}, lambda: {"failure": "none"}, lambda figures: "failure" not in figures)
    with pytest.raises(ZeroDivisionError):
        kept.get("other", {}, lambda: 1 / 0)
