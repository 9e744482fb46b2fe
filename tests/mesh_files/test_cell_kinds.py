"""Quadrilaterals and cells with curved edges from files, whatever order the program writes their nodes in."""

import meshio
import numpy as np
import pytest
import skfem
from support.curved_meshes import bent_hexahedra, bent_quadrilaterals, nodes_in_order, same_cells
from support.mesh_texts import CUBE, write

import femnn
from femnn.exceptions import MeshError
from femnn.geometry.cells import cells
from femnn.geometry.validity import VALID, classify
from femnn.mesh_files import read_with_remarks
from femnn.mesh_files.build import mesh_of
from femnn.mesh_files.contents import CellBlock, MeshContents
from femnn.mesh_files.node_orders import ORDERS, middles

EVERY_ORDER = [(program, kind) for program, kinds in ORDERS.items() for kind in kinds]
GMSH_TYPES = {"quad8": 16, "quad9": 10, "hexahedron20": 17, "hexahedron27": 12}


def bent(kind):
    return bent_hexahedra() if kind.startswith("hexahedron") else bent_quadrilaterals()


def serendipity(mesh):
    """The mesh with the inner nodes that the middles of its edges prescribe."""
    element = skfem.ElementHexS2() if mesh.dim() == 3 else skfem.ElementQuadS2()
    own = np.asarray(element.doflocs, dtype=float)
    places = np.asarray(mesh.elem.doflocs, dtype=float)
    columns = [int(np.flatnonzero((places == place).all(axis=1))[0]) for place in own]
    shapes = np.stack([element.lbasis(places.T, a)[0] for a in range(len(own))])
    x = np.einsum("ab,nai->nbi", shapes, cells(mesh)[:, columns])
    points = mesh.doflocs.copy()
    for k, nodes in enumerate(mesh.dofs.element_dofs):
        points[:, nodes] = x[:, k].T
    return type(mesh)(points, mesh.t)


def expected(kind):
    return bent(kind) if kind in ("quad9", "hexahedron27") else serendipity(bent(kind))


@pytest.mark.parametrize(("program", "kind"), EVERY_ORDER)
def test_every_order_gives_the_same_cells(program, kind):
    points, nodes = nodes_in_order(bent(kind), kind, program)
    contents = MeshContents(points, [CellBlock(kind, nodes)], program=program)
    mesh = mesh_of("a file", contents)
    assert contents.warnings == []
    assert same_cells(mesh, expected(kind))
    assert (classify(cells(mesh)) == VALID).all()


@pytest.mark.parametrize(("program", "kind"), [("gmsh", "hexahedron20"), ("exodus", "hexahedron27")])
def test_a_wrong_order_is_found_from_the_coordinates(program, kind):
    points, nodes = nodes_in_order(bent(kind), kind, program)
    contents = MeshContents(points, [CellBlock(kind, nodes)], program="vtk")
    mesh = mesh_of("a file", contents)
    assert same_cells(mesh, expected(kind))
    assert "another order than vtk files have" in contents.warnings[0]


def test_nodes_that_no_order_explains_are_refused():
    points, nodes = nodes_in_order(bent("hexahedron20"), "hexahedron20", "vtk")
    points[nodes[:, 8:]] += np.random.default_rng(0).uniform(-1, 1, (len(nodes), 12, 3))
    with pytest.raises(MeshError, match=r"no order of nodes fits.*element \d+ \(number 1\d+ in the file\)"):
        mesh_of("a file", MeshContents(points, [CellBlock("hexahedron20", nodes, np.arange(100, 108))]))


def text_of_gmsh(kind, points, nodes, more=""):
    rows = "".join(f"{k + 1} {GMSH_TYPES[kind]} 2 1 1 {' '.join(map(str, row + 1))}\n" for k, row in enumerate(nodes))
    places = "".join(f"{k + 1} {x!r} {y!r} {z!r}\n" for k, (x, y, z) in enumerate(points.tolist()))
    count = len(nodes) + more.count("\n")
    return (
        f"$MeshFormat\n2.2 0 8\n$EndMeshFormat\n$Nodes\n{len(points)}\n{places}$EndNodes\n"
        f"$Elements\n{count}\n{rows}{more}$EndElements\n"
    )


def text_of_abaqus(kind, points, nodes):
    name = {"hexahedron20": "C3D20R", "hexahedron27": "C3D27", "quad8": "CPE8R"}[kind]
    places = "".join(f"{k + 1}, {x!r}, {y!r}, {z!r}\n" for k, (x, y, z) in enumerate(points.tolist()))
    rows = "".join(_lines([k + 1, *row + 1], 15) for k, row in enumerate(nodes))
    return f"*Node\n{places}*Element, type={name}, elset=all\n{rows}*Surface, name=under\nall, S1\n"


def _lines(numbers, width):
    parts = [", ".join(map(str, numbers[k : k + width])) for k in range(0, len(numbers), width)]
    return ",\n".join(parts) + "\n"


def text_of_nastran(points, nodes, without=()):
    grids = "".join(f"GRID,{k + 1},,{x!r},{y!r},{z!r}\n" for k, (x, y, z) in enumerate(points.tolist()))
    cards = ""
    for k, row in enumerate(nodes):
        fields = ["" if i in without else str(n + 1) for i, n in enumerate(row)]
        cards += f"CHEXA,{k + 1},1,{','.join(fields[:6])}\n,{','.join(fields[6:14])}\n,{','.join(fields[14:])}\n"
    return f"BEGIN BULK\n{grids}{cards}ENDDATA\n"


@pytest.mark.parametrize("kind", ["quad8", "quad9", "hexahedron20", "hexahedron27"])
def test_gmsh_files(tmp_path, kind):
    path = write(tmp_path / "a.msh", text_of_gmsh(kind, *nodes_in_order(bent(kind), kind, "gmsh")))
    assert same_cells(femnn.read_mesh(path), expected(kind))


@pytest.mark.parametrize("kind", ["quad8", "hexahedron20", "hexahedron27"])
def test_abaqus_files_with_their_surfaces(tmp_path, kind):
    path = write(tmp_path / "a.inp", text_of_abaqus(kind, *nodes_in_order(bent(kind), kind, "abaqus")))
    mesh = femnn.read_mesh(path)
    assert same_cells(mesh, expected(kind))
    assert len(mesh.subdomains["all"]) == mesh.nelements
    assert len(mesh.boundaries["under"]) == mesh.nelements


def test_nastran_files(tmp_path):
    path = write(tmp_path / "a.bdf", text_of_nastran(*nodes_in_order(bent_hexahedra(), "hexahedron20", "nastran")))
    assert same_cells(femnn.read_mesh(path), expected("hexahedron20"))


def test_nodes_that_nastran_leaves_out_are_in_the_middle(tmp_path):
    points, nodes = nodes_in_order(skfem.MeshHex2(), "hexahedron20", "nastran")
    path = write(tmp_path / "a.bdf", text_of_nastran(points, nodes, without=(9, 17)))
    assert same_cells(femnn.read_mesh(path), skfem.MeshHex2())


@pytest.mark.parametrize("suffix", [".vtu", ".vtk", ".msh"])
@pytest.mark.parametrize("make", [bent_hexahedra, bent_quadrilaterals])
def test_meshes_that_scikit_fem_saves_come_back(tmp_path, suffix, make):
    mesh = make().with_boundaries({"left": lambda x: x[0] < 0.1}).with_subdomains({"low": lambda x: x[1] < 0.5})
    mesh.save(tmp_path / f"a{suffix}")
    again, _, warnings = read_with_remarks(tmp_path / f"a{suffix}")
    assert type(again) is type(mesh)
    assert same_cells(again, mesh)
    assert warnings == []
    if suffix != ".msh":
        np.testing.assert_array_equal(again.boundaries["left"], mesh.boundaries["left"])
        np.testing.assert_array_equal(again.subdomains["low"], mesh.subdomains["low"])


def test_lagrange_cells_of_vtk_are_read(tmp_path):
    points, nodes = nodes_in_order(bent_hexahedra(), "hexahedron27", "vtk")
    meshio.write(tmp_path / "a.vtu", meshio.Mesh(points, [("hexahedron27", nodes)]), binary=False)
    text = (tmp_path / "a.vtu").read_text()
    head, types = text.split('Name="types"')
    (tmp_path / "a.vtu").write_text(f'{head}Name="types"{types.replace("29", "72")}')
    assert same_cells(femnn.read_mesh(tmp_path / "a.vtu"), bent_hexahedra())


def test_edges_of_plane_meshes_become_boundaries(tmp_path):
    points, nodes = nodes_in_order(bent_quadrilaterals(), "quad8", "gmsh")
    lines = "".join(
        f"{len(nodes) + 1 + k} 8 2 7 1 {a + 1} {b + 1} {m + 1}\n" for k, (a, b, m) in enumerate(nodes[:, [0, 1, 4]])
    )
    mesh = femnn.read_mesh(write(tmp_path / "a.msh", text_of_gmsh("quad8", points, nodes, lines)))
    assert len(mesh.boundaries["physical_curve_7"]) == len(np.unique(np.sort(nodes[:, :2], axis=1), axis=0))


def test_boundaries_of_curved_meshes_are_those_of_the_vertices(tmp_path):
    points, nodes = nodes_in_order(bent_hexahedra(), "hexahedron20", "gmsh")
    faces = "".join(f"{len(nodes) + 1 + k} 3 2 5 1 {' '.join(map(str, f + 1))}\n" for k, f in enumerate(nodes[:, :4]))
    mesh = femnn.read_mesh(write(tmp_path / "a.msh", text_of_gmsh("hexahedron20", points, nodes, faces)))
    corners = {tuple(sorted(map(tuple, points[face].round(9)))) for face in nodes[:, :4]}
    found = mesh.facets[:, mesh.boundaries["physical_surface_5"]].T
    assert {tuple(sorted(map(tuple, mesh.doflocs[:, face].T.round(9)))) for face in found} == corners


def test_twenty_and_twenty_seven_nodes_go_together():
    points, nodes = nodes_in_order(skfem.MeshHex2.from_mesh(skfem.MeshHex().refined(1)), "hexahedron27", "vtk")
    blocks = [CellBlock("hexahedron20", nodes[:3, :20]), CellBlock("hexahedron27", nodes[3:])]
    assert mesh_of("a file", MeshContents(points, blocks)).nelements == 8


def test_cells_that_disagree_about_a_face_are_refused():
    points, nodes = nodes_in_order(bent_hexahedra(), "hexahedron27", "vtk")
    points = np.concatenate([points, points[nodes[0]] + [0.0, 0.0, 0.01]])
    nodes[0, 20:] = len(points) - 27 + np.arange(20, 27)
    with pytest.raises(MeshError, match=r"element \d and one beside it put a node that they share at different places"):
        mesh_of("a file", MeshContents(points, [CellBlock("hexahedron27", nodes)]))


def test_straight_and_curved_cells_are_not_mixed():
    points, nodes = nodes_in_order(bent_hexahedra(), "hexahedron20", "vtk")
    blocks = [CellBlock("hexahedron20", nodes[:3]), CellBlock("hexahedron", nodes[3:, :8])]
    with pytest.raises(MeshError, match="mixes 3 hexahedron20, 5 hexahedron; straight and curved edges"):
        mesh_of("a file", MeshContents(points, blocks))


def test_vertices_in_the_order_of_voxels_are_found():
    points, nodes = nodes_in_order(bent_hexahedra(), "hexahedron20", "vtk")
    contents = MeshContents(points, [CellBlock("hexahedron", nodes[:, [0, 1, 3, 2, 4, 5, 7, 6]])])
    mesh = mesh_of("a file", contents)
    assert (classify(cells(mesh)) == VALID).all()
    assert "8 of 8 cells are folded in the order" in contents.warnings[0]


def test_curved_cells_that_are_folded_are_refused_by_number():
    points, nodes = nodes_in_order(skfem.MeshHex2(), "hexahedron20", "vtk")
    # within reach of the middles, and yet the edges along one axis turn back
    upright = nodes[0, 16:20]
    points[upright] += 0.7 * (points[nodes[0, 4:8]] - points[upright])
    with pytest.raises(MeshError, match=r"1 of 1 cells with curved edges are folded.*\(number 12 in the file\)"):
        mesh_of("a file", MeshContents(points, [CellBlock("hexahedron20", nodes, np.array([12]))]))


def plane(points, kind="quad", nodes=((0, 1, 2, 3),)):
    return MeshContents(np.asarray(points, dtype=float), [CellBlock(kind, np.array(nodes))])


def test_shells_are_refused():
    with pytest.raises(MeshError, match="are a shell in space"):
        mesh_of("a file", plane([[0, 0, 0], [1, 0, 0.1], [1, 1, 0], [0, 1, 0.2]]))
    with pytest.raises(MeshError, match="lie in a plane x = constant; turn it"):
        mesh_of("a file", plane([[2, 0, 0], [2, 1, 0], [2, 1, 1], [2, 0, 1]]))


def test_axisymmetric_cells_are_said_to_be_plane(tmp_path):
    path = tmp_path / "ring.inp"
    path.write_text("*Node\n1, 1, 0\n2, 2, 0\n3, 2, 1\n4, 1, 1\n*Element, type=CAX4\n1, 1, 2, 3, 4\n")
    with pytest.warns(femnn.FemnnWarning, match="axisymmetric types CAX4 are read as plane"):
        assert isinstance(femnn.read_mesh(path), skfem.MeshQuad)


def test_flat_shells_are_said_to_be_plane(tmp_path):
    path = tmp_path / "sheet.inp"
    path.write_text("*Node\n1, 1, 0\n2, 2, 0\n3, 2, 1\n4, 1, 1\n*Element, type=S4R\n1, 1, 2, 3, 4\n")
    with pytest.warns(femnn.FemnnWarning, match="types S4R, of shells and membranes, are read as plane"):
        assert isinstance(femnn.read_mesh(path), skfem.MeshQuad)


def test_nastran_files_of_meshio_are_read(tmp_path):
    mesh = skfem.MeshHex2()
    points, cells = nodes_in_order(mesh, "hexahedron20", "vtk")
    meshio.Mesh(points, [("hexahedron20", cells)]).write(tmp_path / "cube.nas")
    read = femnn.read_mesh(tmp_path / "cube.nas")
    assert isinstance(read, skfem.MeshHex2)
    np.testing.assert_allclose(np.sort(read.doflocs, axis=1), np.sort(mesh.doflocs, axis=1), atol=1e-12)


def test_wedges_written_as_curved_hexahedra_are_named():
    points, nodes = nodes_in_order(skfem.MeshHex2(), "hexahedron20", "vtk")
    # two upright edges are one, and all middles where they belong
    nodes = nodes.copy()
    nodes[0, [3, 7, 19]] = nodes[0, [2, 6, 18]]
    for k, vertices in enumerate(middles("hexahedron20")):
        points[nodes[0, 8 + k]] = points[nodes[0, list(vertices)]].mean(axis=0)
    with pytest.raises(MeshError, match="1 hexahedra name a point more than once: they are wedges or pyramids"):
        mesh_of("a file", MeshContents(points, [CellBlock("hexahedron20", nodes)]))


def test_wedges_among_straight_hexahedra_are_named(tmp_path):
    x = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1.0]])
    meshio.Mesh(x, [("hexahedron", np.array([[0, 1, 2, 2, 3, 4, 5, 5]]))]).write(tmp_path / "wedge.vtu")
    with pytest.warns(femnn.FemnnWarning, match="1 hexahedra name a point more than once: they are wedges"):
        mesh = femnn.read_mesh(tmp_path / "wedge.vtu")
    with pytest.raises(femnn.FoldedElementError, match="element 0 is degenerate"):
        femnn.assemble_elasticity(mesh, femnn.GaussLegendre(2), 1.0, 0.3)


@pytest.mark.parametrize("kind", ["quad8", "hexahedron20"])
def test_nodes_at_quarter_points_are_refused_by_number(kind):
    """Cells of crack tips: their det J is zero at the tip, on purpose."""
    mesh = skfem.MeshQuad2() if kind == "quad8" else skfem.MeshHex2()
    points, nodes = nodes_in_order(mesh, kind, "vtk")
    tip = points[nodes[0, 0]].copy()
    for k, vertices in enumerate(middles(kind)):
        if 0 in vertices:
            (other,) = set(vertices) - {0}
            points[nodes[0, len(mesh.t) + k]] = 0.75 * tip + 0.25 * points[nodes[0, other]]
    with pytest.raises(MeshError, match=r"degenerate|folded"):
        mesh_of("a file", MeshContents(points, [CellBlock(kind, nodes)]))


def test_curved_cells_far_from_the_origin_are_read_as_they_are():
    points, nodes = nodes_in_order(bent_hexahedra(), "hexahedron27", "vtk")
    near, far = (mesh_of("a file", MeshContents(p, [CellBlock("hexahedron27", nodes)])) for p in (points, points + 2e6))
    np.testing.assert_allclose(cells(far) - 2e6, cells(near), atol=1e-9)
    assert (classify(cells(far)) == VALID).all()


def test_quadrilaterals_with_triangles_are_refused():
    contents = plane(CUBE[:5])
    contents.blocks.append(CellBlock("triangle", np.array([[0, 1, 2]])))
    with pytest.raises(MeshError, match="mixes 1 quadrilaterals with 1 triangle"):
        mesh_of("a file", contents)


def test_published_inputs_of_20_nodes(published_meshes):
    for path in sorted((published_meshes / "quadratic").glob("*.inp")):
        mesh = femnn.read_mesh(path)
        assert type(mesh) is skfem.MeshHex2
        assert (classify(cells(mesh)) == VALID).all()
