"""Reading of mesh files: what is read, and one clear error for everything that is not a mesh of hexahedra."""

import meshio
import numpy as np
import pytest
import skfem

from femnn.exceptions import MeshError
from femnn.geometry import distorted_cube, hexahedra
from femnn.mesh_files import read_mesh


@pytest.fixture
def mesh():
    return distorted_cube(2, 0.2)


def write(path, points, cells):
    meshio.write(path, meshio.Mesh(np.asarray(points, dtype=float), cells))
    return path


def cube_points():
    return skfem.MeshHex().p.T


@pytest.mark.parametrize("name", ["part.mesh", "part.vtu", "part.vtk", "part.inp", "part.msh"])
def test_formats(tmp_path, mesh, name):
    mesh.save(tmp_path / name)
    read = read_mesh(tmp_path / name)
    assert isinstance(read, skfem.MeshHex1)
    np.testing.assert_allclose(hexahedra(read), hexahedra(mesh), rtol=1e-12)


def test_boundaries_are_kept(tmp_path, mesh):
    named = mesh.with_boundaries({"left": lambda x: x[0] == 0.0})
    named.save(tmp_path / "part.vtu")
    read = read_mesh(tmp_path / "part.vtu")
    np.testing.assert_array_equal(np.sort(read.boundaries["left"]), np.sort(named.boundaries["left"]))


def test_faces_beside_the_hexahedra_do_not_matter(tmp_path):
    path = write(
        tmp_path / "a.vtu", cube_points(), [("quad", [[0, 1, 4, 2]]), ("hexahedron", [[0, 1, 4, 2, 3, 5, 7, 6]])]
    )
    assert read_mesh(path).nelements == 1


def test_several_blocks_of_hexahedra(tmp_path, mesh):
    cells = mesh.t.T[:, [0, 3, 6, 2, 1, 5, 7, 4]]
    path = write(tmp_path / "a.vtu", mesh.p.T, [("hexahedron", cells[:3]), ("hexahedron", cells[3:])])
    assert read_mesh(path).nelements == mesh.nelements


def test_published_mesh(published_meshes, capsys):
    mesh = read_mesh(published_meshes / "dragon_out.mesh")
    assert mesh.nelements == 14_009
    assert capsys.readouterr().out == ""


def test_no_file(tmp_path):
    with pytest.raises(MeshError, match="no file"):
        read_mesh(tmp_path / "absent.mesh")


def test_no_path():
    for nonsense in (3, None, b"a.vtu", [1]):
        with pytest.raises(MeshError, match="is no path"):
            read_mesh(nonsense)


def test_folder(tmp_path):
    with pytest.raises(MeshError, match="folder"):
        read_mesh(tmp_path)


@pytest.mark.parametrize("suffix", [".mesh", ".vtu", ".vtk", ".msh", ".inp", ".med", ".stl", ".xyz", ""])
@pytest.mark.parametrize("content", [b"no mesh at all\n", bytes(range(256)) * 4], ids=["text", "bytes"])
def test_garbage(tmp_path, capsys, suffix, content):
    path = tmp_path / f"garbage{suffix}"
    path.write_bytes(content)
    with pytest.raises(MeshError, match="garbage") as caught:
        read_mesh(path)
    assert "\n" not in str(caught.value)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == ""


def test_empty_file(tmp_path):
    (tmp_path / "a.mesh").touch()
    with pytest.raises(MeshError, match="empty"):
        read_mesh(tmp_path / "a.mesh")


@pytest.mark.parametrize("suffix", [".mesh", ".vtu", ".vtk", ".msh"])
def test_cut_off_file(tmp_path, mesh, suffix):
    path = tmp_path / f"a{suffix}"
    mesh.save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(0.6 * len(content))])
    with pytest.raises(MeshError):
        read_mesh(path)


def test_tetrahedra(tmp_path):
    skfem.MeshTet().save(tmp_path / "a.mesh")
    with pytest.raises(MeshError, match=r"no hexahedra but \d+ tetra"):
        read_mesh(tmp_path / "a.mesh")


@pytest.mark.parametrize("kind", ["tetra", "pyramid", "wedge"])
def test_mixed_cells(tmp_path, kind):
    corners = {"tetra": [0, 1, 2, 3], "pyramid": [0, 1, 4, 2, 8], "wedge": [0, 1, 2, 3, 5, 6]}[kind]
    points = np.vstack([cube_points(), [2.0, 2.0, 2.0]])
    path = write(tmp_path / "a.vtu", points, [(kind, [corners]), ("hexahedron", [[0, 1, 4, 2, 3, 5, 7, 6]])])
    with pytest.raises(MeshError, match=f"mixes 1 hexahedra with 1 {kind}"):
        read_mesh(path)


@pytest.mark.parametrize("nodes", [20, 27])
def test_quadratic_hexahedra(tmp_path, nodes):
    points = np.random.default_rng(0).random((nodes, 3))
    path = write(tmp_path / "a.vtu", points, [(f"hexahedron{nodes}", [list(range(nodes))])])
    with pytest.raises(MeshError, match="first-order"):
        read_mesh(path)


def test_surface_mesh(tmp_path):
    path = write(tmp_path / "a.vtu", cube_points(), [("quad", [[0, 1, 4, 2], [0, 1, 5, 3]])])
    with pytest.raises(MeshError, match="shell in space"):
        read_mesh(path)


def test_no_cells(tmp_path):
    path = tmp_path / "a.mesh"
    path.write_text("MeshVersionFormatted 2\nDimension 3\nVertices\n1\n0 0 0 0\nEnd\n")
    with pytest.raises(MeshError, match="no volume cells"):
        read_mesh(path)


def test_coordinates_that_are_not_finite(tmp_path, mesh):
    points = mesh.p.T.copy()
    points[mesh.t[2, 5], 1] = np.nan
    path = write(tmp_path / "a.vtu", points, [("hexahedron", mesh.t.T[:, [0, 3, 6, 2, 1, 5, 7, 4]])])
    with pytest.raises(MeshError, match=r"a\.vtu: element \d+ has the coordinates .*nan"):
        read_mesh(path)


def test_points_that_do_not_exist(tmp_path):
    path = tmp_path / "a.mesh"
    corners = "\n".join("0 0 0 0" for _ in range(8))
    path.write_text(
        f"MeshVersionFormatted 2\nDimension 3\nVertices\n8\n{corners}\nHexahedra\n1\n1 2 3 4 5 6 7 99 0\nEnd\n"
    )
    with pytest.raises(MeshError, match="refers to point 98"):
        read_mesh(path)
