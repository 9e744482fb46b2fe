"""The page of a mesh: what is in it, and, in a browser, what it does."""

import base64
import gzip
import json
import re

import numpy as np
import pytest
import skfem
from click.testing import CliRunner
from support.browser import browser, open_page

from femnn.cli import main
from femnn.exceptions import ParameterError
from femnn.geometry import distorted_cube
from femnn.validation import MeshPage, inspection_page


def data_of(text):
    return json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)[1])


def unpacked(packed, kind):
    return np.frombuffer(gzip.decompress(base64.b64decode(packed)), kind)


def shown(data, keep):
    """Number of faces that the page shows of the cells that are kept, by its rule: one side kept, the other not."""
    sides = unpacked(data["sides"], np.int32).reshape(-1, 2)
    kept = np.where(sides >= 0, keep[sides], False)
    return (kept[:, 0] != kept[:, 1]).sum()


def test_the_page_holds_the_mesh_and_needs_nothing_else():
    mesh = distorted_cube(4, 0.2, seed=1).translated((5e6, 0.0, 0.0))
    values = np.arange(64.0)
    text = MeshPage(mesh, {"number": values}, title="<cube> & more").text()
    assert "&lt;cube&gt; &amp; more" in text
    assert not re.search(r'(src|href)="', text)
    assert not re.search(r"@[A-Z]+@", text)
    data = data_of(text)
    points = unpacked(data["points"], np.float32).reshape(-1, 3)
    # told apart although they lie five thousand kilometres away
    np.testing.assert_allclose(points, mesh.p.T - [5e6 + 0.5, 0.5, 0.5], atol=1e-6)
    np.testing.assert_array_equal(unpacked(data["fields"][0]["packed"], np.float32), values)
    assert shown(data, np.ones(64, dtype=bool)) == 6 * 4**2
    # a slab of a quarter of the cells has a surface of its own
    middles = unpacked(data["middles"], np.float32).reshape(-1, 3)
    assert shown(data, middles[:, 0] < -0.25) == 2 * 4**2 + 4 * 4


def test_corners_go_around_each_face():
    data = data_of(MeshPage(skfem.MeshHex(), {"number": [1.0]}).text())
    points = unpacked(data["points"], np.float32).reshape(-1, 3)
    facets = unpacked(data["facets"], np.uint32).reshape(-1, 4)
    lengths = np.linalg.norm(points[facets] - points[np.roll(facets, 1, axis=1)], axis=2)
    np.testing.assert_allclose(lengths, 1.0)


def test_quadrilaterals_and_curved_cells_have_pages():
    for mesh, faces in ((skfem.MeshQuad().refined(2), 16), (skfem.MeshHex2().refined(1), 24)):
        page = inspection_page(mesh, tol=1e-2)
        data = data_of(page.text())
        assert shown(data, np.ones(mesh.nelements, dtype=bool)) == faces
        assert [field["name"] for field in data["fields"]][:2] == ["points", "Error of AdaptiveGauss"]


def test_a_notebook_shows_it():
    frame = MeshPage(skfem.MeshHex(), {"number": [1.0]})._repr_html_()
    assert frame.startswith("<iframe")
    assert frame.count('"') == 4


def test_fields_must_fit_the_mesh():
    with pytest.raises(ParameterError, match=r"shape \(3,\), the mesh 1 elements"):
        MeshPage(skfem.MeshHex(), {"number": np.ones(3)})
    with pytest.raises(ParameterError, match="at least one field"):
        MeshPage(skfem.MeshHex(), {})


def test_the_command_writes_it(tmp_path):
    mesh = distorted_cube(2, 0.2, seed=1)
    mesh.p[:, 0] = 0.9
    mesh.save(tmp_path / "folded.vtu")
    page = tmp_path / "pages" / "folded.html"
    arguments = ["inspect", tmp_path / "folded.vtu", "--on-folded", "skip", "--out", tmp_path / "out"]
    arguments += ["--html", page, "--json"]
    done = CliRunner().invoke(main, list(map(str, arguments)))
    assert done.exit_code == 0, done.output
    assert str(page) in json.loads(done.stdout)["files"]
    data = data_of(page.read_text(encoding="utf-8"))
    fields = {field["name"]: unpacked(field["packed"], np.float32) for field in data["fields"]}
    folded = fields["status: 1 folded, 2 degenerate"] > 0
    assert 0 < folded.sum() < 8
    np.testing.assert_array_equal(np.isnan(fields["points"]), folded)


def picture(page):
    """The pixels of the view, as text."""
    return page.evaluate("document.getElementById('canvas').toDataURL()")


@pytest.mark.slow
def test_it_turns_cuts_and_colours_in_a_browser(tmp_path):
    mesh = distorted_cube(6, 0.25, seed=2)
    MeshPage(mesh, {"number": np.arange(216.0), "Error": 10.0 ** (-0.1 * np.arange(216.0))}).write(
        tmp_path / "page.html"
    )
    with browser() as opened:
        page, complaints = open_page(opened, tmp_path / "page.html")
        page.wait_for_function("window.meshView")
        assert page.evaluate("meshView.drawn") == {"faces": 216, "cells": 216}
        pictures = [picture(page)]
        page.mouse.move(400, 400)
        page.mouse.down()
        page.mouse.move(500, 430)
        page.mouse.up()
        pictures.append(picture(page))
        page.select_option("#field", label="Error")
        pictures.append(picture(page))
        page.locator("#cut").fill("500")
        assert page.evaluate("meshView.drawn.cells") == 108
        pictures.append(picture(page))
        page.locator("#reset").click()
        page.locator("#from").fill("900")
        assert page.evaluate("meshView.drawn.cells") == 22
        page.locator("#reset").click()
        page.mouse.click(450, 400)
        assert "element" in page.locator("#note").inner_text()
        assert len(set(pictures)) == 4
        assert complaints == []
        page.set_viewport_size({"width": 400, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") == 400


@pytest.mark.slow
def test_a_hundred_thousand_hexahedra_open(tmp_path):
    mesh = skfem.MeshHex.init_tensor(*[np.linspace(0.0, 1.0, 48)] * 3)
    MeshPage(mesh, {"x": mesh.p[0, mesh.t].mean(axis=0)}).write(tmp_path / "page.html")
    with browser() as opened:
        page, complaints = open_page(opened, tmp_path / "page.html")
        page.wait_for_function("window.meshView", timeout=120_000)
        assert page.evaluate("meshView.drawn") == {"faces": 6 * 47**2, "cells": 47**3}
        page.locator("#cut").fill("500")
        # cells whose middles lie below the plane through that of the 24th layer
        assert page.evaluate("meshView.drawn.faces") in (2 * 47**2 + 4 * 47 * 23, 2 * 47**2 + 4 * 47 * 24)
        assert complaints == []
