"""The demo on a small mesh, through its command line."""

import json
import re

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.image import imread

import femnn
from femnn.cli.demo import command
from femnn.exceptions import MeshError, ParameterError
from femnn.geometry import cooks_membrane, distorted_cube

TOL = 1e-2


def invoke(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def mesh_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("meshes") / "membrane.vtu"
    cooks_membrane(5, 4, 2, thickness=8.0, distortion=0.3, seed=5).save(path)
    return path


@pytest.fixture(scope="module")
def run(mesh_file, tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "not" / "there"
    return invoke(mesh_file, "--tol", TOL, "--out", out), out


@pytest.fixture(scope="module")
def document(mesh_file, tmp_path_factory):
    result = invoke(mesh_file, "--tol", TOL, "--json", "--out", tmp_path_factory.mktemp("json"))
    assert result.exit_code == 0
    return json.loads(result.stdout)


def rows(text):
    """Cells of the Markdown table in ``text``, without its header."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_table_on_the_screen_and_in_the_file_are_one(run):
    result, out = run
    assert result.exit_code == 0
    text = (out / "demo.md").read_text(encoding="utf-8")
    assert rows(result.stdout) == rows(text)
    assert len(rows(text)) >= 5
    assert re.search(r"Machine: .+, \d+ cores, Python 3\.\d+\.\d+, numpy .+, numba .+", text)
    assert "![The part and the rules](demo.png)" in text


def test_picture_is_drawn(run):
    picture = imread(run[1] / "demo.png")
    assert picture.shape[0] > 1000
    assert picture.shape[1] > 1500
    assert picture[..., :3].std() > 0.05


def test_progress_goes_to_stderr_rule_by_rule(run):
    result, _ = run
    for row in rows(result.stdout):
        assert f"{row[0]}: {row[1]} points" in result.stderr


def test_figures_are_those_of_the_rules(document, mesh_file):
    hexahedra = femnn.hexahedra(cooks_membrane(5, 4, 2, thickness=8.0, distortion=0.3, seed=5))
    rules = {figures["name"]: figures for figures in document["rules"]}
    uniform = document["uniform"]
    met = f"{uniform**3} Gauss points (tol met everywhere)"
    assert met in rules
    expected = {
        "8 Gauss points": femnn.GaussLegendre(2),
        met: femnn.GaussLegendre(uniform),
        "AdaptiveGauss(tol=0.01)": femnn.AdaptiveGauss(TOL),
        "CorrectedGauss()": femnn.CorrectedGauss(),
    }
    for name, rule in expected.items():
        errors = femnn.integration_error(hexahedra, rule)
        assert rules[name]["points"] == rule.count_points(hexahedra)
        assert rules[name]["error_median"] == pytest.approx(np.median(errors), rel=1e-6)
        assert rules[name]["error_worst"] == pytest.approx(errors.max(), rel=1e-6)
        assert rules[name]["elements_above"] == (errors >= TOL).sum()
        assert rules[name]["seconds"] > 0.0
    assert rules[met]["elements_above"] == 0


def test_document_says_what_was_done(document):
    assert (document["elements"], document["vertices"], document["tol"]) == (40, 90, TOL)
    assert document["load_case"].startswith("clamped at `fixed`; 5 kN downwards")
    assert document["strain_energy"] > 0.0
    assert document["remarks"] == []
    assert len(document["files"]) == 2


def test_conclusions_follow_from_the_figures(document):
    adaptive, uniform = document["rules"][-2], document["uniform"]
    first, second, third = document["conclusions"]
    assert f"{100 * (1 - adaptive['share_above']):.3g} % of the elements below 0.01" in first
    times = document["elements"] * uniform**3 / adaptive["points"]
    assert f"{uniform}×{uniform}×{uniform} points ({times:.1f} times the points" in first
    # what 8 points do to this displacement decides which sentence it is
    standard = document["rules"][0]["displacement_error"]
    assert second.startswith("8 points miss" if standard >= 0.01 else "For the displacement under this smooth load")
    assert f"{document['rules'][-1]['error_median']:.2g} instead of {document['rules'][0]['error_median']:.2g}" in third


def test_another_poisson_is_flagged_and_load_is_chosen_where_none_is_named(tmp_path):
    path = tmp_path / "cube.vtu"
    distorted_cube(3, 0.2).save(path)
    result = invoke(path, "--tol", "0.1", "--poisson", "0.2", "--young", "1e6", "--json", "--out", tmp_path)
    document = json.loads(result.stdout)
    assert "clamped in the lowest 2% of its x extent" in document["load_case"]
    assert "CorrectedGauss was trained for Poisson's ratio 0.3, not 0.2" in document["remarks"][0]
    assert document["young"] == 1e6


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["--tol", "3"], ParameterError, "tol is 3.0"),
        (["--poisson", "0.5"], ParameterError, "Poisson's ratio is 0.5"),
        (["--young", "-1"], ParameterError, "Young's modulus is -1.0"),
        (["missing.vtu"], MeshError, "there is no file missing.vtu"),
    ],
)
def test_wrong_input_is_an_error_at_once(arguments, error, message, tmp_path):
    with pytest.raises(error, match=message):
        invoke(*arguments, "--out", tmp_path)
    assert list(tmp_path.iterdir()) == []
