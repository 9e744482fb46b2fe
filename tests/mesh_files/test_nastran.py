"""Nastran bulk data: fields of every format, continuations, coordinate systems, properties."""

import numpy as np
import pytest
from support.mesh_texts import CUBE, TOWER, centres, volume, write

from femnn.exceptions import FemnnWarning, MeshError
from femnn.mesh_files import read_mesh, read_with_remarks


def grids(points=CUBE, system="", first=1):
    return "".join(f"GRID    {first + k:<8}{system:<8}{x:<8g}{y:<8g}{z:<8g}\n" for k, (x, y, z) in enumerate(points))


HEXA = "CHEXA          1       1       1       2       3       4       5       6+\n+              7       8\n"
SECOND = "CHEXA          2       7       5       6       7       8       9      10+\n+             11      12\n"


def bulk(text):
    return f"SOL 101\nCEND\nBEGIN BULK\n{text}ENDDATA\n"


@pytest.mark.parametrize(
    "hexa",
    [
        HEXA,
        HEXA.replace("+", " "),
        HEXA.replace("6+\n+  ", "6+C1\n+C1"),
        HEXA.replace("6+", "6 "),
        HEXA.replace("6+\n+  ", "6ABC\n+BC"),
        "CHEXA,1,1,1,2,3,4,5,6\n,7,8\n",
        "CHEXA,1,1,1,2,3,4,5,6,+\n+,7,8\n",
        "CHEXA,1,1,1,2,3,4,5,6,+A\n$ a comment\n+A,7,8\n",
        "CHEXA*,1,1,1,2\n*,3,4,5,6\n*,7,8\n",
        "CHEXA*                 1               1               1               2*A\n*A                     3"
        "               4               5               6*\n*                      7               8\n",
        "CHEXA\t1\t1\t1\t2\t3\t4\t5\t6\n\t7\t8\n",
        "chexa   1       1       1       2       3       4       5       6     $ comment\n\n        7       8\n",
    ],
    ids=range(12),
)
def test_fields_and_continuations(tmp_path, hexa):
    mesh = read_mesh(write(tmp_path / "a.bdf", bulk(grids() + hexa)))
    assert mesh.nelements == 1
    assert volume(mesh) == pytest.approx(1.0)


def test_grids_of_all_formats_and_short_numbers(tmp_path):
    text = (
        "GRID,1\nGRID,2,,1.\nGRID*                  3                              1.              1.\n*\n"
        "GRID           4              0.   10.-1\nGRID,5,,,,1.0D0\nGRID,6,,+1.,0.,1.+0\nGRID,7,,1,1,1\n"
        "GRID    8               0.0     1.E+0   .1+1\n"
    )
    mesh = read_mesh(write(tmp_path / "a.nas", bulk(text + HEXA)))
    assert volume(mesh) == pytest.approx(1.0)


QUARTER = np.array([[1, 0, 0], [2, 0, 0], [2, 90, 0], [1, 90, 0], [1, 0, 1], [2, 0, 1], [2, 90, 1], [1, 90, 1]])


@pytest.mark.parametrize("way", ["cp", "grdset", "of grids"])
def test_cylindrical_systems(tmp_path, way):
    system = "CORD2C  7               0.      0.      0.      0.      0.      1.\n        1.      0.      0.\n"
    cp = "7"
    if way == "grdset":
        system, cp = system + "GRDSET          7\n", ""
    if way == "of grids":
        system = "CORD1C  7       101     102     103\n" + grids(np.array([[0, 0, 0], [0, 0, 1], [1, 0, 0]]), "", 101)
    mesh = read_mesh(write(tmp_path / "a.bdf", bulk(system + grids(QUARTER, cp) + HEXA)))
    assert volume(mesh) == pytest.approx(1.5)
    np.testing.assert_allclose(mesh.p.max(axis=1), [2.0, 2.0, 1.0], atol=1e-12)


def test_systems_within_systems(tmp_path):
    # 8 is shifted by (0, 0, 5) and its z axis is the x axis of the basic system; 9 lies in 8, shifted by one along it
    systems = "CORD2R,8,,0.,0.,5.,1.,0.,5.\n,0.,1.,5.\nCORD2R,9,8,0.,0.,1.,0.,0.,2.\n,1.,0.,1.\n"
    mesh = read_mesh(write(tmp_path / "a.bdf", bulk(systems + grids(CUBE, "9") + HEXA)))
    # local x is y, local y is z, local z is x
    np.testing.assert_allclose(mesh.p.min(axis=1), [1.0, 0.0, 5.0], atol=1e-12)
    np.testing.assert_allclose(mesh.p[:, 1], [1.0, 1.0, 5.0], atol=1e-12)


def test_spherical_system(tmp_path):
    system = "CORD2S,3,,0.,0.,0.,0.,0.,1.\n,1.,0.,0.\n"
    points = grids(np.array([[3.0, 0.0, 77.0], [3.0, 90.0, 90.0]]), "3", 1) + grids(CUBE[2:], "", 3)
    mesh = read_mesh(write(tmp_path / "a.bdf", bulk(system + points + HEXA)))
    np.testing.assert_allclose(mesh.p[:, :2].T, [[0.0, 0.0, 3.0], [0.0, 3.0, 0.0]], atol=1e-12)


def test_properties_are_subdomains_and_shells_boundaries(tmp_path):
    shell = "CQUAD4  9       30      5       6       7       8\nPSOLID  1       1\nMAT1    1       2.1+11\n"
    mesh, remarks, warnings = read_with_remarks(write(tmp_path / "a.bdf", bulk(grids(TOWER) + HEXA + SECOND + shell)))
    assert {name: cells.tolist() for name, cells in mesh.subdomains.items()} == {"property_1": [0], "property_7": [1]}
    assert centres(mesh, mesh.boundaries["property_30"]) == [(0.5, 0.5, 1.0)]
    assert warnings == []
    assert any("MAT1, PSOLID" in remark for remark in remarks)


def test_includes_and_bulk_data_alone(tmp_path):
    write(tmp_path / "grids.bdf", grids())
    mesh = read_mesh(write(tmp_path / "a.bdf", bulk("INCLUDE 'grids.bdf'\n" + HEXA)))
    assert mesh.nelements == 1
    mesh = read_mesh(write(tmp_path / "b.dat", "$ bulk data\n" + grids() + HEXA))
    assert mesh.nelements == 1
    with pytest.warns(FemnnWarning, match="cut off"):
        read_mesh(write(tmp_path / "c.bdf", grids(TOWER) + HEXA))
    with pytest.raises(MeshError, match=r"no file .*gone\.bdf"):
        read_mesh(write(tmp_path / "d.bdf", bulk("INCLUDE 'gone.bdf'\n")))


def test_cards_that_may_be_elements_are_warned_of(tmp_path):
    text = bulk(grids(TOWER) + HEXA + SECOND.replace("CHEXA", "CBRIC") + "CONM2,9,1,,5.\nCELAS2,8,1.,1,1\n")
    _, remarks, warnings = read_with_remarks(write(tmp_path / "a.bdf", text))
    assert warnings == ["cards that are not known and may be elements are left out: CBRIC"]
    assert any("CELAS2, CONM2" in remark for remark in remarks)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (bulk(grids(CUBE, "5") + HEXA), "coordinate system 5, which it does not define"),
        (bulk("CORD3G,5,1\n" + grids() + HEXA), "CORD3G is not read"),
        (bulk("CORD2R,5,5,0.,0.,0.,0.,0.,1.\n,1.,0.,0.\n" + grids(CUBE, "5") + HEXA), "5 is defined by itself"),
        (bulk("CORD2R,5,,0.,0.,0.,0.,0.,1.\n,0.,0.,3.\n" + grids(CUBE, "5") + HEXA), "lie on a line"),
        (bulk("CHEX8,1,1,1,2,3,4,5,6\n,7,8\n" + grids()), "CHEX8 is not read"),
        (bulk(grids() + HEXA + "=,*(1),=,*(1.)\n"), "write them out"),
        (bulk(grids() + HEXA.replace("6+", "6+A").replace("\n+ ", "\n+B")), r"\+B does not follow"),
        (bulk(grids() + "CHEXA,1,1,1,2,3,4,5,6\n"), "CHEXA 1 has 6 of at least 8 nodes"),
        (bulk(grids(CUBE[:7]) + HEXA), "refers to point 8"),
        (bulk(grids() + grids(CUBE + 1) + HEXA), "defines GRID 1 twice"),
        (bulk(grids() + HEXA + HEXA), "element 1 is defined twice"),
        (bulk(grids() + "CHEXA,1,1,1,2,3,4,5,6\n,7,8,1,2,3,4,5,6\n,7,8,1,2,3,4\n"), "no order of nodes fits"),
        (bulk(grids() + "CTETRA,1,1,1,2,3,4\n"), "no hexahedra but 1 tetra"),
        (bulk(grids()), "no volume cells"),
        ("BEGIN SUPER=1\nENDDATA\n", r"superelements \(BEGIN SUPER=1\) are not read"),
        (bulk(grids().replace("GRID    1 ", "GRID    x ") + HEXA), "field 2 of GRID is x"),
        (bulk(HEXA + grids())[:-9], "no ENDDATA"),
        ("SOL 101\nCEND\n", "ends before BEGIN BULK"),
        ("nothing\n", "no bulk data"),
    ],
)  # fmt: skip
def test_errors_name_the_card(tmp_path, text, message):
    with pytest.raises(MeshError, match=message) as caught:
        read_mesh(write(tmp_path / "a.bdf", text))
    assert "\n" not in str(caught.value)
