"""Gmsh's files: physical groups of every dimension, of the same number or name, inside the mesh, several of a cell."""

import meshio
import numpy as np
import pytest
import skfem
from support.mesh_texts import TOWER, centres, write

from femnn.exceptions import MeshError
from femnn.mesh_files import read_mesh, read_with_remarks

NODES = f"$Nodes\n12\n{''.join(f'{k} {x:g} {y:g} {z:g}' + chr(10) for k, (x, y, z) in enumerate(TOWER, 1))}$EndNodes\n"
LOWER, UPPER = "1 2 3 4 5 6 7 8", "5 6 7 8 9 10 11 12"


def msh22(elements, names="", nodes=NODES):
    names = f"$PhysicalNames\n{len(names.splitlines())}\n{names}$EndPhysicalNames\n" if names else ""
    count = len(elements.splitlines())
    return f"$MeshFormat\n2.2 0 8\n$EndMeshFormat\n{names}{nodes}$Elements\n{count}\n{elements}$EndElements\n"


def named(mesh):
    return {name: cells.tolist() for name, cells in (mesh.subdomains or {}).items()}


def test_same_number_in_two_dimensions(tmp_path):
    elements = f"1 3 2 1 1 1 2 3 4\n2 5 2 1 1 {LOWER}\n3 5 2 1 1 {UPPER}\n"
    mesh = read_mesh(write(tmp_path / "a.msh", msh22(elements, '2 1 "fixed"\n3 1 "body"\n')))
    assert named(mesh) == {"body": [0, 1]}
    assert centres(mesh, mesh.boundaries["fixed"]) == [(0.5, 0.5, 0.0)]
    assert set(mesh.boundaries) == {"fixed"}


def test_same_name_in_two_dimensions(tmp_path):
    elements = f"1 3 2 1 1 1 2 3 4\n2 5 2 9 1 {LOWER}\n3 5 2 8 1 {UPPER}\n"
    mesh = read_mesh(write(tmp_path / "a.msh", msh22(elements, '2 1 "part"\n3 9 "part"\n3 8 "a b"\n')))
    assert named(mesh) == {"part": [0], "a b": [1]}
    assert centres(mesh, mesh.boundaries["part"]) == [(0.5, 0.5, 0.0)]


def test_surface_inside_the_mesh_and_face_in_two_groups(tmp_path):
    elements = f"1 3 2 1 1 5 6 7 8\n2 3 2 2 1 5 6 7 8\n3 5 2 3 1 {LOWER}\n4 5 2 3 1 {UPPER}\n"
    mesh = read_mesh(write(tmp_path / "a.msh", msh22(elements, '2 1 "glue"\n2 2 "other"\n3 3 "body"\n')))
    assert centres(mesh, mesh.boundaries["glue"]) == centres(mesh, mesh.boundaries["other"]) == [(0.5, 0.5, 1.0)]


def test_groups_without_a_name(tmp_path):
    # a negative number turns the orientation
    elements = f"1 3 2 -4 1 1 2 3 4\n2 5 2 7 1 {LOWER}\n3 5 0 {UPPER}\n"
    mesh = read_mesh(write(tmp_path / "a.msh", msh22(elements)))
    assert mesh.nelements == 2
    assert named(mesh) == {"physical_volume_7": [0]}
    assert list(mesh.boundaries) == ["physical_surface_4"]


def test_cell_in_two_groups_is_one_cell(tmp_path):
    elements = f"1 5 2 1 1 {LOWER}\n2 5 2 2 1 {LOWER}\n3 5 2 2 1 {UPPER}\n"
    mesh, remarks, _ = read_with_remarks(write(tmp_path / "a.msh", msh22(elements, '3 1 "low"\n3 2 "all"\n')))
    assert mesh.nelements == 2
    assert named(mesh) == {"low": [0], "all": [0, 1]}
    assert any("taken once" in remark for remark in remarks)


def test_cell_twice_in_one_group_stays_twice(tmp_path):
    elements = f"1 5 2 1 1 {LOWER}\n2 5 2 1 1 {LOWER}\n3 5 2 2 1 {UPPER}\n"
    assert read_mesh(write(tmp_path / "a.msh", msh22(elements, '3 1 "low"\n3 2 "high"\n'))).nelements == 3


def test_sparse_numbers_more_tags_and_groups_without_elements(tmp_path):
    nodes = NODES.replace("\n1 0 0 0", "\n70 0 0 0")
    elements = f"5 15 2 0 1 70\n6 5 4 1 1 1 3 {LOWER.replace('1 ', '70 ', 1)}\n"
    mesh, remarks, warnings = read_with_remarks(
        write(tmp_path / "a.msh", msh22(elements, '2 5 "none"\n3 1 "body"\n', nodes))
    )
    assert named(mesh) == {"body": [0]}
    assert warnings == []
    assert any("none has no elements" in remark for remark in remarks)
    assert any("4 of 12 points" in remark for remark in remarks)


# two volumes, the upper in two groups; the surface between them in a group of negative orientation
MSH41 = """$MeshFormat
4.1 0 8
$EndMeshFormat
$PhysicalNames
4
2 7 "glue"
3 1 "low"
3 2 "high"
3 3 "top half"
$EndPhysicalNames
$Entities
1 0 1 2
1 0 0 0 0
5 0 0 1 1 1 1 1 -7 0
1 0 0 0 1 1 1 1 1 1 5
2 0 0 1 1 1 2 2 2 3 1 -5
$EndEntities
$Nodes
2 12 1 12
0 1 0 1
1
0 0 0
3 1 1 11
2
3
4
5
6
7
8
9
10
11
12
NODES$EndNodes
$Elements
3 3 1 3
2 5 3 1
1 5 6 7 8
3 1 5 1
2 1 2 3 4 5 6 7 8
3 2 5 1
3 5 6 7 8 9 10 11 12
$EndElements
""".replace("NODES", "".join(f"{x:g} {y:g} {z:g} 0 0 0\n" for x, y, z in TOWER[1:]))


@pytest.mark.parametrize("version", ["4.1", "4"])
def test_version_4_with_several_groups_of_an_entity(tmp_path, version):
    # parametric nodes carry three further coordinates
    mesh = read_mesh(write(tmp_path / "a.msh", MSH41.replace("4.1", version)))
    assert named(mesh) == {"low": [0], "high": [1], "top half": [1]}
    assert centres(mesh, mesh.boundaries["glue"]) == [(0.5, 0.5, 1.0)]
    assert mesh.p.max() == 2.0


@pytest.mark.parametrize("format_name", ["gmsh22", "gmsh"])
@pytest.mark.parametrize("binary", [False, True])
def test_meshio_s_own_files(tmp_path, format_name, binary, capsys):
    mesh = skfem.MeshHex().refined(1)
    cells = mesh.t.T[:, [0, 3, 6, 2, 1, 5, 7, 4]]
    path = tmp_path / "a.msh"
    meshio.write(path, meshio.Mesh(mesh.p.T, [("hexahedron", cells)]), format_name, binary=binary)
    np.testing.assert_array_equal(read_mesh(path).p, mesh.p)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (msh22(f"1 5 2 1 1 {LOWER}\n").replace("2.2", "1.0"), "version 1.0"),
        (msh22(f"1 5 2 1 1 {LOWER[:-2]}\n"), "damaged element"),
        (msh22(f"1 5 2 1 1 {LOWER}\n").replace("Elements\n1\n", "Elements\n2\n"), "other numbers in .Elements"),
        (msh22(f"1 5 2 1 1 {LOWER}\n").replace("Nodes\n12\n", "Nodes\n13\n"), "other numbers in .Nodes"),
        (msh22(f"1 5 2 1 1 {LOWER.replace('8', '88')}\n"), "element 1 refers to point 88, which is not among"),
        (msh22(f"1 99 2 1 1 {LOWER}\n"), "type 99"),
        (msh22(f"1 5 2 1 1 {LOWER}\n").replace("\n2 1 0 0\n", "\n1 1 0 0\n"), "defines node 1 twice"),
        (msh22(f"1 12 0 {' '.join(map(str, range(1, 28)))}\n"), "refers to point|curved"),
        (MSH41.replace("\n3 3 1 3\n", "\n3 4 1 3\n"), "other numbers in .Elements"),
        (MSH41.replace("$EndElements\n", ""), "ends within .Elements"),
        (MSH41[: MSH41.index("$Elements")], "has no .Elements"),
        ("$NOD\n1\n1 0 0 0\n$ENDNOD\n", "version 1"),
        ("nothing\n", "does not begin"),
    ],
)
def test_errors(tmp_path, text, message):
    with pytest.raises(MeshError, match=message) as caught:
        read_mesh(write(tmp_path / "a.msh", text))
    assert "\n" not in str(caught.value)
