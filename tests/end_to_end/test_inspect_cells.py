"""``femnn inspect`` on quadrilaterals and on cells with curved edges."""

import json

import meshio
import numpy as np
import pytest
from click.testing import CliRunner
from support.curved_meshes import bent_hexahedra, bent_quadrilaterals

from femnn.cli import main


def inspect(*arguments):
    return CliRunner().invoke(main, ["inspect", *map(str, arguments)])


def test_a_plane_mesh_with_curved_edges(tmp_path):
    mesh = bent_quadrilaterals(3).with_boundaries({"left": lambda x: x[0] < 0.1})
    mesh.save(tmp_path / "plate.vtu")
    result = inspect(tmp_path / "plate.vtu", "--tol", 1e-4, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.output)
    assert document["cells"] == "quadrilaterals with nine nodes"
    assert document["elements"] == 64
    assert document["area"] == pytest.approx(1.0, abs=0.05)
    assert document["boundaries"] == {"left": len(mesh.boundaries["left"])}
    assert document["measured"] == 64
    assert document["misses"] == 0
    assert sum(document["chosen"].values()) == 64
    fields = meshio.read(tmp_path / "out" / "plate.vtu").cell_data
    assert np.concatenate(fields["points"]).sum() == document["points"]
    assert (tmp_path / "out" / "plate.png").stat().st_size > 10_000


def test_the_report_in_words(tmp_path):
    bent_hexahedra(1).save(tmp_path / "part.vtu")
    result = inspect(tmp_path / "part.vtu", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "8 hexahedra with 27 nodes" in result.output
    assert "folded elements: 0" in result.output
    assert "AdaptiveGauss misses the tolerance in 0 of these 8" in result.output


def test_folded_cells_are_counted_and_stop_it(tmp_path):
    mesh = bent_quadrilaterals()
    mesh.doflocs[:, mesh.dofs.element_dofs[8, 5]] += 0.3
    mesh.save(tmp_path / "bad.vtu")
    result = inspect(tmp_path / "bad.vtu", "--out", tmp_path / "out", "--json")
    assert result.exit_code == 1
    assert '"elements": [\n      5\n    ]' in result.output
    left_out = inspect(tmp_path / "bad.vtu", "--on-folded", "skip", "--out", tmp_path / "out", "--json")
    assert left_out.exit_code == 0, left_out.output
    assert sum(json.loads(left_out.output)["chosen"].values()) == 15
