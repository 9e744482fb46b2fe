"""The example of the sealing fault with small settings: its figures and its files."""

from xml.etree import ElementTree

import pytest
from support.example_files import example


def test_sealing_fault_slips_alike_with_each_law(tmp_path, capsys):
    cells, steps = (8, 10), 8
    figures, compared = example("sealing_fault").main(
        cells=cells, steps=steps, small=(*cells, 6), out=tmp_path, progress=False
    )
    assert list(figures) == ["classical", "recurrent"]
    for own in figures.values():
        assert own["mass balance"] < 1e-10
        assert own["outside"] == 0
        # it sticks at first, then slides by centimetres
        assert 5.0 <= own["onset, days"] <= 15.0
        assert own["slip, mm"] == pytest.approx(12.0, rel=0.1)
    assert list(compared) == ["recurrent law / classical law", "recurrent law / RVE in the loop"]
    for own in compared.values():
        assert set(own) == {"slip, L2", "slip, max", "pressure, L2", "pressure, max"}
        assert 0.0 < max(own.values()) < 0.05
    assert "RVE in the loop" in capsys.readouterr().out
    assert (tmp_path / "sealing-fault.png").stat().st_size > 50_000
    for name in ("classical", "recurrent", "classical-fault", "recurrent-fault"):
        series = ElementTree.parse(tmp_path / f"sealing-fault-{name}.pvd").findall("Collection/DataSet")
        assert len(series) == steps
        assert all((tmp_path / own.get("file")).exists() for own in series)
    assert (tmp_path / "sealing-fault-recurrent.npz").exists()
