"""Rules in other programs: where these are installed, their matrices are those of femnn."""

import re
import sys

import numpy as np
import pytest
import skfem
from skfem.models.elasticity import lame_parameters
from support.pages import DOCS

import femnn
from femnn.exceptions import MissingExtraError, ParameterError
from femnn.exchange import felupe_regions, shared_blocks
from femnn.geometry import distorted_cube
from femnn.geometry.hexahedron import jacobian_determinant

PAGE = DOCS / "how-to" / "other-programs.md"
# with several groups; with different numbers along the axes, which tells a permuted axis
RULES = [femnn.AdaptiveGauss(1e-2), femnn.GaussLegendre((2, 3, 4)), femnn.Irons()]


def mesh_with_both_signs():
    """Distorted cells, some of which are numbered the other way round."""
    mesh = distorted_cube(3, 0.3, seed=4)
    t = mesh.t.copy()
    corners = mesh.elem.refdom.p.T
    mirror = [int(np.flatnonzero((corners == [1 - a, b, c]).all(axis=1))[0]) for a, b, c in corners]
    t[:, ::3] = t[mirror][:, ::3]
    return skfem.MeshHex(mesh.p, t)


def expected(mesh, rule):
    """The matrix of femnn with the three displacements of a vertex side by side."""
    order = skfem.Dofs(mesh, skfem.ElementVector(skfem.ElementHex1())).nodal_dofs.T.ravel()
    return femnn.assemble_elasticity(mesh, rule, 210e9, 0.3)[order][:, order]


def test_blocks_integrate_the_volume_with_positive_cells():
    mesh = mesh_with_both_signs()
    blocks = shared_blocks(mesh, femnn.AdaptiveGauss(1e-2))
    assert sorted(np.concatenate([block.cells for block in blocks])) == list(range(27))
    places = mesh.elem.refdom.p.T.astype(int).tolist()
    vtk = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]]
    volume = 0.0
    for block in blocks:
        x = mesh.p.T[block.connectivity][:, [vtk.index(place) for place in places]]
        determinants = jacobian_determinant(x, block.X)
        assert (determinants > 0.0).all()
        volume += (determinants @ block.W).sum()
    assert volume == pytest.approx(1.0)


def test_points_of_their_own_are_refused():
    with pytest.raises(ParameterError, match=r"MovedGauss.*points or weights of its own"):
        shared_blocks(distorted_cube(2, 0.2, seed=1), femnn.MovedGauss())


def test_programs_that_are_not_installed_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "felupe", None)
    with pytest.raises(MissingExtraError, match="felupe is not installed; pip install felupe"):
        felupe_regions(skfem.MeshHex(), femnn.GaussLegendre(2))


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("program", ["FElupe", "SfePy", "NGSolve", "MFEM"])
def test_programs_assemble_what_femnn_does(program, rule):
    """By the code of the page, with another mesh and other rules."""
    pytest.importorskip({"MFEM": "mfem.ser", "SfePy": "sfepy.discrete"}.get(program, program.lower()))
    if program == "SfePy":
        from sfepy.base.base import output

        output.set_output(quiet=True)
    section = PAGE.read_text(encoding="utf-8").partition(f"## {program}\n")[2].partition("\n## ")[0]
    (code,) = re.findall(r"^```py\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    mesh = mesh_with_both_signs()
    lmbda, mu = lame_parameters(210e9, 0.3)
    defined = {"mesh": mesh, "rule": rule, "np": np, "lmbda": lmbda, "mu": mu}
    exec(compile(code, f"{PAGE.name}, {program}", "exec"), defined)
    wanted = expected(mesh, rule)
    assert defined["K"].shape == wanted.shape
    assert abs(defined["K"] - wanted).max() < 1e-12 * abs(wanted).max()
