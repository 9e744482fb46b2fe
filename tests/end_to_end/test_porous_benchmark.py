"""The benchmark of porous bodies of hexahedra and the example of injection, with small settings."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest
from support.example_files import example

from femnn.exceptions import StateError
from femnn.reservoir.fault import load_state


def test_the_benchmark_measures_and_compares_with_its_targets(monkeypatch, tmp_path):
    from benchmarks.reservoir import porous_3d, porous_3d_worker

    works = {
        "series": lambda name, pair, coarse: porous_3d.against_series(name, pair, coarse),
        "orders": porous_3d_worker.orders,
        "size": porous_3d_worker.size,
        "crack": porous_3d_worker.crack,
    }
    # in this process, whose peak of memory says nothing
    monkeypatch.setattr(porous_3d, "_measured", lambda job: json.loads(json.dumps(works[job[0]](*job[1:]))))
    # quadratic displacements of the radial bodies take seconds
    monkeypatch.setattr(porous_3d, "SERIES", {"Mandel's slab": porous_3d.SERIES["Mandel's slab"]})
    porous_3d.main(["--small", "--cells", "27", "--cells", "64", "--out", str(tmp_path)], standalone_mode=False)
    figures = json.loads((tmp_path / "porous-3d.json").read_text(encoding="utf-8"))
    assert [row["pair"] for row in figures["series"]] == ["Q1-Q1", "Q2-Q1"]
    assert all(row["error"] < 0.05 and row["balance"] < 1e-10 for row in figures["series"])
    assert [row["cells"] for row in figures["size"]] == [27, 64, 27, 64]
    assert all(row["balance"] < 1e-8 and row["iterations"] > 0 for row in figures["size"])
    orders = {row["pair"]: row["orders"][-1] for row in figures["orders"]}
    assert (np.array(orders["Q2-Q1"]) > np.array(orders["Q1-Q1"])).all()
    report = (tmp_path / "porous-3d.md").read_text(encoding="utf-8")
    assert "| what" in report
    assert report.count("≤ 1%") == 1


def test_injection_between_two_faults_goes_on_from_its_files(tmp_path, capsys):
    injection = example("injection_3d")
    given = {"cells": (10, 6, 8), "steps": 8, "progress": False}
    (whole,) = injection.main(out=tmp_path / "whole", **given).values()
    (first,) = injection.main(out=tmp_path / "parts", stop=3, **given).values()
    # killed after the row of a step was written and before its state
    figures = tmp_path / "parts" / "injection-3d-classical.json"
    figures.write_text(json.dumps([*first, {"years": first[-1]["years"] + 0.5}]), encoding="utf-8")
    (again,) = injection.main(out=tmp_path / "parts", **given).values()
    for rows in (whole, first, again):
        for row in rows:
            del row["seconds"]
    assert first == whole[: len(first)]
    assert again == whole
    assert whole[-1]["years"] == pytest.approx(injection.YEARS)
    assert max(row["balance"] for row in whole) < 1e-8
    assert max(row["east"]["slip"] for row in whole) > injection.SLIPS
    assert "slips from" in capsys.readouterr().out
    assert (tmp_path / "whole" / "injection-3d.png").stat().st_size > 50_000
    for name in ("classical", "classical-faults"):
        series = ElementTree.parse(tmp_path / "parts" / f"injection-3d-{name}.pvd").findall("Collection/DataSet")
        assert len(series) == len(whole)
        assert all((tmp_path / "parts" / own.get("file")).exists() for own in series)
    other = injection.reservoir_of(injection.law_of("classical"), injection.coarse_mesh((10, 6, 6)))
    with pytest.raises(StateError, match=r"injection-3d-classical\.npz does not fit"):
        load_state(tmp_path / "whole" / "injection-3d-classical.npz", other)


def test_the_chains_law_takes_part_in_the_injection(tmp_path):
    injection = example("injection_3d")
    reservoir = injection.reservoir_of(injection.law_of("chain"), injection.coarse_mesh((8, 4, 6)))
    start = reservoir.initial_state()
    state = reservoir.step(start, 0.1 * injection.YEAR)
    assert reservoir.balance(start, state).error.max() < 1e-8
    assert reservoir.fields(state).slip.max() > 0.0


def test_fronts_of_slip_are_measured_and_drawn(monkeypatch, tmp_path):
    from benchmarks.reservoir import slip_front

    monkeypatch.setitem(slip_front._SHAPES, "line", (*slip_front._SHAPES["line"][:2], (0.5,)))
    slip_front.main(["--small", "--shape", "line", "--out", str(tmp_path)], standalone_mode=False)
    figures = json.loads((tmp_path / "slip-front.json").read_text(encoding="utf-8"))
    assert abs(figures["fronts"][0]["error"]) < 0.3
    assert "cells over it" in (tmp_path / "slip-front.md").read_text(encoding="utf-8")
    assert (tmp_path / "slip-front.png").stat().st_size > 10_000
