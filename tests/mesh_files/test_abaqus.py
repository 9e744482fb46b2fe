"""Abaqus input files: parts, instances, comments, includes, generated nodes and elements, sets and surfaces."""

import numpy as np
import pytest
from support.mesh_texts import CUBE, TOWER, TOWER_ELEMENTS, abaqus_nodes, centres, volume, write

from femnn.exceptions import FemnnWarning, MeshError
from femnn.mesh_files import read_mesh, read_with_remarks
from femnn.mesh_files.abaqus_types import kind_and_nodes

PART = f"*Part, name=BLOCK\n*Node\n{abaqus_nodes()}*Element, type=C3D8R, elset=ALL\n1, 1,2,3,4,5,6,7,8\n"
FLAT = f"*Node\n{abaqus_nodes(TOWER)}*Element, type=C3D8\n{TOWER_ELEMENTS}"


def assembly(*instances, more="", part=PART + "*End Part\n"):
    placed = "".join(f"*Instance, name={name}, part=BLOCK\n{data}*End Instance\n" for name, data in instances)
    return f"*Heading\n{part}*Assembly, name=A\n{placed}{more}*End Assembly\n"


def test_each_part_keeps_its_own_nodes(tmp_path):
    other = f"*Part, name=BIG\n*Node\n{abaqus_nodes(2 * CUBE + 5)}*Element, type=C3D8\n1, 1,2,3,4,5,6,7,8\n*End Part\n"
    text = assembly(("A", ""), more="*Instance, name=B, part=BIG\n*End Instance\n", part=PART + "*End Part\n" + other)
    mesh = read_mesh(write(tmp_path / "a.inp", text))
    assert volume(mesh) == pytest.approx(9.0)
    assert mesh.p.max() == 7.0
    assert (mesh.p.min(axis=1) == 0.0).all()


def test_instances_are_shifted_then_turned(tmp_path):
    # the second is moved by 3 along x, then turned by 90 degrees about the z axis: x becomes y
    turned = "3., 0., 0.\n3., 0., 0., 3., 0., 1., 90.\n"
    mesh = read_mesh(write(tmp_path / "a.inp", assembly(("A", ""), ("B", turned))))
    assert mesh.nelements == 2
    assert volume(mesh) == pytest.approx(2.0)
    second = mesh.p[:, mesh.t[:, mesh.subdomains["B.ALL"]].ravel()]
    np.testing.assert_allclose(second.min(axis=1), [2.0, 0.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(second.max(axis=1), [3.0, 1.0, 1.0], atol=1e-12)


def test_sets_of_instances_and_of_the_assembly(tmp_path):
    sets = "*Nset, nset=FOOT, generate\n1, 4, 1\n*Elset, elset=_hidden, internal\n1,\n"
    more = (
        "*Nset, nset=TOP, instance=B\n5, 6, 7, 8\n*Elset, elset=BOTH\nA.ALL, B.ALL\n*Elset, elset=ONE\nB.1\n"
        "*Elset, elset=_S_S3, internal, instance=A\n1\n*Surface, type=ELEMENT, name=SIDE\n_S_S3, S3\n"
        "*Surface, type=NODE, name=CAP\nTOP, 1.\n"
    )
    text = assembly(("A", ""), ("B", "0., 0., 5.\n"), more=more, part=PART + sets + "*End Part\n")
    mesh = read_mesh(write(tmp_path / "a.inp", text))
    subdomains = {name: cells.tolist() for name, cells in mesh.subdomains.items()}
    assert subdomains == {"A.ALL": [0], "B.ALL": [1], "BOTH": [0, 1], "ONE": [1]}
    assert {name: centres(mesh, facets) for name, facets in mesh.boundaries.items()} == {
        "A.FOOT": [(0.5, 0.5, 0.0)],
        "B.FOOT": [(0.5, 0.5, 5.0)],
        "TOP": [(0.5, 0.5, 6.0)],
        "CAP": [(0.5, 0.5, 6.0)],
        "SIDE": [(0.5, 0.0, 0.5)],
    }


@pytest.mark.parametrize(
    ("label", "centre"),
    [
        ("S1", (0.5, 0.5, 0.0)),
        ("S2", (0.5, 0.5, 1.0)),
        ("S3", (0.5, 0.0, 0.5)),
        ("S4", (1.0, 0.5, 0.5)),
        ("S5", (0.5, 1.0, 0.5)),
        ("S6", (0.0, 0.5, 0.5)),
    ],
)
def test_faces_are_numbered_as_in_abaqus(tmp_path, label, centre):
    mesh = read_mesh(write(tmp_path / "a.inp", f"{FLAT}*Surface, name=FACE\n1, {label}\n"))
    assert centres(mesh, mesh.boundaries["FACE"]) == [centre]


def test_surface_without_faces_is_the_free_ones(tmp_path):
    mesh = read_mesh(write(tmp_path / "a.inp", f"{FLAT}*Elset, elset=E\n1, 2\n*Surface, name=SKIN\nE,\n"))
    assert np.array_equal(np.sort(mesh.boundaries["SKIN"]), mesh.boundary_facets())


def test_surface_inside_the_mesh_is_a_boundary(tmp_path):
    mesh = read_mesh(write(tmp_path / "a.inp", f"{FLAT}*Surface, name=GLUE\n1, S2\n"))
    assert centres(mesh, mesh.boundaries["GLUE"]) == [(0.5, 0.5, 1.0)]
    assert mesh.f2t[1, mesh.boundaries["GLUE"]] >= 0


def test_node_sets_are_faces_all_of_whose_vertices_belong(tmp_path):
    sets = "*Nset, nset=MIDDLE\n5, 6, 7, 8\n*Nset, nset=BODY, generate\n1, 12\n*Nset, nset=EDGE\n1, 2\n"
    mesh, remarks, warnings = read_with_remarks(write(tmp_path / "a.inp", FLAT + sets))
    assert centres(mesh, mesh.boundaries["MIDDLE"]) == [(0.5, 0.5, 1.0)]
    # of all nodes of a body only its surface
    assert np.array_equal(mesh.boundaries["BODY"], mesh.boundary_facets())
    assert "EDGE" not in mesh.boundaries
    assert any("EDGE" in remark for remark in remarks)
    assert warnings == []


def test_set_of_a_later_block_and_of_sets(tmp_path):
    text = (
        f"*Node\n{abaqus_nodes(TOWER)}*Elset, elset=steel\nE2\n*ELEMENT, TYPE=c3d8, ELSET=E1\n1, 1,2,3,4,5,6,7,8\n"
        '*Element, type=C3D8, elset="E2"\n2, 5,6,7,8,9,10,11,12\n*Elset, elset=Both\nSTEEL, e1\n'
    )
    mesh = read_mesh(write(tmp_path / "a.inp", text))
    assert {name: cells.tolist() for name, cells in mesh.subdomains.items()} == {
        "steel": [1],
        "E1": [0],
        "E2": [1],
        "Both": [0, 1],
    }


def test_same_name_for_nodes_and_faces(tmp_path):
    text = f"{FLAT}*Nset, nset=TOP\n9, 10, 11, 12\n*Surface, name=TOP\n1, S3\n"
    with pytest.warns(FemnnWarning, match=r"two sets are called TOP; the one of nodes is called TOP_nodes"):
        mesh = read_mesh(write(tmp_path / "a.inp", text))
    assert centres(mesh, mesh.boundaries["TOP"]) == [(0.5, 0.0, 0.5)]
    assert centres(mesh, mesh.boundaries["TOP_nodes"]) == [(0.5, 0.5, 2.0)]


@pytest.mark.parametrize("where", ["node", "element", "nset"])
def test_comments_and_blank_lines_anywhere(tmp_path, where):
    nodes, elements, members = abaqus_nodes(TOWER), TOWER_ELEMENTS, "9, 10,\n11, 12\n"
    note = "** a comment\n\n  ** another\n"
    nodes = note + nodes.replace("5,", note + "5,", 1) if where == "node" else nodes
    elements = note + elements.replace("2, 5", note + "2, 5") if where == "element" else elements
    members = note + members.replace("11", note + "11") if where == "nset" else members
    text = f"**\n*Node\n{nodes}*Element, type=C3D8\n{elements}*Nset, nset=TOP\n{members}"
    mesh = read_mesh(write(tmp_path / "a.inp", text))
    assert mesh.nelements == 2
    assert centres(mesh, mesh.boundaries["TOP"]) == [(0.5, 0.5, 2.0)]


def test_blanks_continuations_fortran_numbers_and_empty_blocks(tmp_path):
    nodes = abaqus_nodes(TOWER[1:], 2).replace(" 0,", " ,").replace(" 2\n", " 2.D0\n")
    text = (
        f"*NODE\n1\n{nodes}* Element , TYPE = C3D8 ,\n ELSET=E\n1, 1,2,3,4,\n5,6,7,8\n2, 5,6,7,8,9,10,11,12,\n"
        "*Element, type=C3D8\n*Elset, elset=NONE\n"
    )
    mesh = read_mesh(write(tmp_path / "a.inp", text))
    assert volume(mesh) == pytest.approx(2.0)
    assert mesh.subdomains["E"].tolist() == [0, 1]


def test_line_ends_and_byte_order_mark_of_other_systems(tmp_path):
    path = tmp_path / "a.inp"
    path.write_bytes(b"\xef\xbb\xbf" + FLAT.replace("\n", "\r\n").encode())
    assert volume(read_mesh(path)) == pytest.approx(2.0)


def test_names_in_utf8_and_latin1(tmp_path):
    for encoding in ("utf-8", "latin-1"):
        path = tmp_path / "a.inp"
        path.write_bytes((FLAT + "*Elset, elset=Träger\n1\n").encode(encoding))
        assert list(read_mesh(path).subdomains) == ["Träger"]


def test_wedge_written_as_hexahedron_is_said(tmp_path):
    text = FLAT.replace("9, 10, 11, 12\n", "9, 10, 10, 9\n")
    _, remarks, _ = read_with_remarks(write(tmp_path / "a.inp", text))
    assert any("1 hexahedra name a point more than once" in remark for remark in remarks)


def test_includes(tmp_path):
    write(tmp_path / "nodes.txt", abaqus_nodes(TOWER))
    write(tmp_path / "elements.inp", f"*Element, type=C3D8, elset=E\n{TOWER_ELEMENTS}")
    write(tmp_path / "set.txt", "9, 10, 11, 12\n")
    text = "*Node\n*Include, input=nodes.txt\n*INCLUDE,INPUT=elements.inp\n*Nset, nset=TOP, input=set.txt\n"
    mesh = read_mesh(write(tmp_path / "a.inp", text))
    assert mesh.nelements == 2
    assert set(mesh.boundaries) == {"TOP"}
    write(tmp_path / "loop.inp", "*Include, input=loop.inp\n")
    with pytest.raises(MeshError, match="includes itself"):
        read_mesh(tmp_path / "loop.inp")
    with pytest.raises(MeshError, match=r"line 1: there is no file .*gone\.inp"):
        read_mesh(write(tmp_path / "b.inp", "*Include, input=gone.inp\n"))


def test_local_systems(tmp_path):
    # a quarter of a pipe: radii 1 and 2, angles in degrees
    pipe = "1,1,0,0\n2,2,0,0\n3,2,90,0\n4,1,90,0\n5,1,0,1\n6,2,0,1\n7,2,90,1\n8,1,90,1\n"
    text = f"*Node, system=C\n{pipe}*Element, type=C3D8\n1, 1,2,3,4,5,6,7,8\n"
    mesh = read_mesh(write(tmp_path / "a.inp", text))
    assert volume(mesh) == pytest.approx(1.5)
    # x' along y, y' along z: a unit cube at (10, 0, 0)
    text = f"*System\n10,0,0, 10,1,0\n10,0,1\n*Node\n{abaqus_nodes()}*Element, type=C3D8\n1, 1,2,3,4,5,6,7,8\n"
    mesh = read_mesh(write(tmp_path / "b.inp", text))
    np.testing.assert_allclose(mesh.p.min(axis=1), [10.0, 0.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(mesh.p[:, 1], [10.0, 1.0, 0.0], atol=1e-12)
    # a point at latitude 90 degrees is on the z axis
    text = f"*Node, system=S\n1, 3, 45, 90\n*Node\n{abaqus_nodes(CUBE[1:], 2)}*Element, type=C3D8\n1, 1,2,3,4,5,6,7,8\n"
    np.testing.assert_allclose(read_mesh(write(tmp_path / "c.inp", text)).p[:, 0], [0.0, 0.0, 3.0], atol=1e-12)


def test_generated_nodes_and_elements(tmp_path):
    # 3 × 2 × 2 cells of 1 × 1 × 1 from eight nodes and one element
    corners = "1,0,0,0\n4,3,0,0\n21,0,2,0\n24,3,2,0\n201,0,0,2\n204,3,0,2\n221,0,2,2\n224,3,2,2\n"
    text = (
        f"*Node\n{corners}*Ngen, nset=FRONT\n1,4\n201,204\n*Ngen, nset=BACK\n21,24,1\n221,224,1\n"
        "*Nfill\nFRONT, BACK, 2, 10\n*Nset, nset=LOW, generate\n1,24\n*Nset, nset=HIGH, generate\n201,224\n"
    )
    # the generated sets name numbers that are no nodes, so name them one by one
    rows = [first + k for first in (1, 11, 21) for k in range(4)]
    text = text[: text.index("*Nset")] + "*Nset, nset=LOW\n" + ",\n".join(map(str, rows)) + "\n*Nset, nset=HIGH\n"
    text += ",\n".join(str(200 + k) for k in rows) + "\n*Nfill, nset=ALL\nLOW, HIGH, 2, 100\n"
    text += "*Element, type=C3D8\n1, 1,2,12,11,101,102,112,111\n*Elgen, elset=E\n1, 3,1,1, 2,10,10, 2,100,100\n"
    mesh = read_mesh(write(tmp_path / "a.inp", text))
    assert mesh.nelements == 12
    assert mesh.nvertices == 36
    assert volume(mesh) == pytest.approx(12.0)
    assert len(mesh.subdomains["E"]) == 12
    text += "*Elcopy, element shift=1000, old set=E, shift nodes=1000, new set=F\n"
    with pytest.raises(MeshError, match="refers to point 1001"):
        read_mesh(write(tmp_path / "b.inp", text))


@pytest.mark.parametrize(
    ("keyword", "data"),
    [
        ("*Ncopy, change number=100, old set=ALL, shift", "0,0,1\n"),
        ("*Nmap, nset=ALL", "1\n"),
        ("*Ngen, line=C", "1, 4, 1, 2\n"),
        ("*Nfill, bias=2.", "A, B, 2, 10\n"),
        ("*Parameter", "a = 3\n"),
        ("*Import, step=1", "A\n"),
        ("*Symmetric model generation, revolve", "1\n"),
        ("*Elcopy, old set=A, element shift=1, shift nodes=1, reflect", "\n"),
    ],
)
def test_what_is_not_read_is_named(tmp_path, keyword, data):
    with pytest.raises(MeshError, match=r"line \d+: \*" + keyword[1:].split(",")[0].upper()):
        read_mesh(write(tmp_path / "a.inp", f"{FLAT}{keyword}\n{data}"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FLAT + f"*Node\n{abaqus_nodes(CUBE + 5)}", r"defines node 1 twice, at \[0.*\] and at \[5.*\]"),
        (FLAT + "*Element, type=C3D8\n1, 1,2,3,4,5,6,7,8\n", "element 1 twice"),
        (FLAT.replace("9, 10, 11, 12\n", "9, 10, 11\n"), r"element 2 of type C3D8 has 7 nodes, not 8"),
        (FLAT.replace("11, 12\n", "11, 99\n"), "element 2 refers to point 99"),
        (PART, r"ends before the \*END PART that belongs to .*line 1"),
        (assembly(("A", "")).replace("part=BLOCK\n*End Inst", "part=BRICK\n*End Inst"), "no part BRICK"),
        ("1, 2, 3\n*Node\n", "before any keyword"),
        (FLAT.replace("2, 5", f"2, {10**25}"), "OverflowError.* may be damaged"),
        ("*Node\n" + FLAT.split("\n", 1)[1].replace(", 0\n", ", zero\n", 1), "are no numbers"),
        (FLAT.replace("C3D8", "C3D20").replace("\n2, 5", ",\n5"), "curved edges|nodes, not 20"),
    ],
)
def test_errors_say_where_and_what(tmp_path, text, message):
    with pytest.raises(MeshError, match=message) as caught:
        read_mesh(write(tmp_path / "a.inp", text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("*Elset, elset=E\n1, 7, 9\n", r"set E names 2 elements that do not exist \(7, 9\)"),
        ("*Imperfection, file=modes, step=1\n1, 0.1\n", r"\*IMPERFECTION moves nodes"),
        ("*Elset, elset=E\nGONE\n", "set E names GONE, which does not exist"),
        ("*Surface, name=S\nGONE, S1\n", "surface S names GONE"),
        ("*Surface, name=S, combine=UNION\nA, B\n", "COMBINE=UNION is not read"),
        ("*Element, type=COH3D8\n9, 1,2,3,4,5,6,7,8\n", "no part of a solid mesh are left out: 1 COH3D8"),
    ],
)
def test_what_is_lost_is_warned_of(tmp_path, more, message):
    with pytest.warns(FemnnWarning, match=message):
        mesh = read_mesh(write(tmp_path / "a.inp", FLAT + more))
    assert mesh.nelements == 2


def test_remarks_on_what_needs_no_attention(tmp_path):
    more = "*Element, type=S4, elset=SKIN\n9, 9,10,11,12\n*Tie, name=T\nA, B\n*Transform, nset=N\n1,0,0,0,1,0\n"
    mesh, remarks, warnings = read_with_remarks(write(tmp_path / "a.inp", FLAT + more))
    assert warnings == []
    assert centres(mesh, mesh.boundaries["SKIN"]) == [(0.5, 0.5, 2.0)]
    assert any("*TIE" in remark for remark in remarks)
    assert any("1 quad" in remark for remark in remarks)


def test_parts_without_instance_or_assembly(tmp_path):
    with pytest.warns(FemnnWarning, match="parts without an instance are left out: IDLE"):
        mesh = read_mesh(
            write(tmp_path / "a.inp", assembly(("A", ""), part=PART + "*End Part\n*Part, name=IDLE\n*End Part\n"))
        )
    assert mesh.nelements == 1
    mesh, remarks, _ = read_with_remarks(write(tmp_path / "b.inp", PART + "*End Part\n"))
    assert mesh.nelements == 1
    assert any("no *ASSEMBLY" in remark for remark in remarks)


def test_file_cut_off_within_its_elements_is_warned_of(tmp_path):
    text = FLAT[: FLAT.index("2, 5")]
    with pytest.warns(FemnnWarning, match="4 points belong to no cell and no set.*cut off"):
        read_mesh(write(tmp_path / "a.inp", text))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("C3D8", "hexahedron"),
        ("C3D8RH", "hexahedron"),
        ("DC3D8", "hexahedron"),
        ("AC3D8R", "hexahedron"),
        ("C3D8P", "hexahedron"),
        ("SC8R", "hexahedron"),
        ("F3D8", "hexahedron"),
        ("C3D20RT", "hexahedron20"),
        ("C3D27", "hexahedron27"),
        ("C3D4", "tetra"),
        ("C3D10M", "tetra10"),
        ("C3D6", "wedge"),
        ("S4R", "quad"),
        ("S3", "triangle"),
        ("STRI65", "triangle6"),
        ("M3D4", "quad"),
        ("R3D4", "quad"),
        ("CPS4R", "quad"),
        ("B31", "line"),
        ("T3D2", "line"),
        ("COH3D8", "other"),
        ("MASS", "other"),
        ("SPRINGA", "other"),
        ("U1", "other"),
    ],
)
def test_types_of_elements(name, kind):
    assert kind_and_nodes(name)[0] == kind
