"""The example of consolidation with small settings: its figures and its files."""

from xml.etree import ElementTree

import pytest
from support.example_files import example


def test_consolidation_example_meets_its_closed_solutions(tmp_path, capsys):
    figures = example("consolidation").main(cells=16, steps=160, out=tmp_path, progress=False)
    assert list(figures) == ["Terzaghi", "dual", "Mandel"]
    for own in figures.values():
        assert own["pressure error"] < 0.012
        assert own["settlement error"] < 0.01
        assert own["mass balance"] < 1e-10
    assert figures["Mandel"]["rise"] == pytest.approx(1.0966, abs=0.003)
    assert "Mandel-Cryer" in capsys.readouterr().out
    assert (tmp_path / "consolidation.png").stat().st_size > 10_000
    for name in ("terzaghi", "dual", "mandel"):
        series = ElementTree.parse(tmp_path / f"consolidation-{name}.pvd").findall("Collection/DataSet")
        assert len(series) == 20
        assert all((tmp_path / own.get("file")).exists() for own in series)
