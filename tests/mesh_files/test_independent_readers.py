"""Numbers of elements and volumes, against readers that share no code with these: VTK's and Gmsh's."""

import meshio
import numpy as np
import pytest
import skfem
from support.mesh_texts import volume

from femnn.geometry.families import distorted_cube
from femnn.geometry.mesh import hexahedra
from femnn.mesh_files import read_mesh


@pytest.fixture(scope="module")
def mesh():
    return distorted_cube(3, 0.2)


def saved(mesh, path, name, **options):
    cells = mesh.t.T[:, [0, 3, 6, 2, 1, 5, 7, 4]]
    meshio.write(path, meshio.Mesh(mesh.p.T, [("hexahedron", cells)]), name, **options)
    return path


def volume_of_cells(corners):
    """Volume of hexahedra (n, 8, 3) in VTK's order, by scikit-fem."""
    points, cells = corners.reshape(-1, 3).T, np.arange(corners.size // 3).reshape(-1, 8)
    return volume(skfem.MeshHex1(points, cells[:, [0, 4, 3, 1, 7, 5, 2, 6]].T))


def by_vtk(path):
    pyvista = pytest.importorskip("pyvista")
    grid = pyvista.read(path)
    solid = np.isin(grid.celltypes, (11, 12))
    size = grid.compute_cell_sizes(length=False, area=False)["Volume"]
    return int(solid.sum()), grid, size


@pytest.fixture(scope="module")
def gmsh():
    gmsh = pytest.importorskip("gmsh", exc_type=ImportError)
    gmsh.initialize(interruptible=False)
    gmsh.option.setNumber("General.Terminal", 0)
    yield gmsh
    gmsh.finalize()


def by_gmsh(gmsh, path):
    gmsh.clear()
    gmsh.merge(str(path))
    numbers, nodes = gmsh.model.mesh.getElementsByType(5)
    tags, coordinates, _ = gmsh.model.mesh.getNodes()
    place = np.full(int(tags.max()) + 1, -1)
    place[tags.astype(int)] = np.arange(len(tags))
    corners = coordinates.reshape(-1, 3)[place[nodes.astype(int)]].reshape(-1, 8, 3)
    return len(numbers), volume_of_cells(corners)


@pytest.mark.parametrize(
    ("suffix", "name", "options"),
    [
        (".vtk", "vtk", {"binary": False}),
        (".vtk", "vtk", {"binary": True}),
        (".vtk", "vtk42", {"binary": True}),
        (".vtu", "vtu", {"binary": False}),
        (".vtu", "vtu", {"compression": "zlib"}),
        (".vtu", "vtu", {"compression": "lzma"}),
        (".vtu", "vtu", {"compression": None}),
    ],
)
def test_vtk_reads_the_same(tmp_path, mesh, suffix, name, options):
    path = saved(mesh, tmp_path / f"a{suffix}", name, **options)
    count, grid, _ = by_vtk(path)
    read = read_mesh(path)
    assert read.nelements == count == mesh.nelements
    corners = grid.points[grid.cells.reshape(-1, 9)[:, 1:]]
    assert volume(read) == pytest.approx(volume_of_cells(np.asarray(corners, dtype=float)), rel=1e-12)


@pytest.mark.parametrize("suffix", [".vtk", ".vtu"])
@pytest.mark.parametrize("binary", [False, True])
def test_images_that_vtk_writes(tmp_path, suffix, binary):
    pyvista = pytest.importorskip("pyvista")
    image = pyvista.ImageData(dimensions=(4, 3, 5), spacing=(0.5, 2.0, 1.0), origin=(1.0, 2.0, 3.0))
    image.cell_data["values"] = np.arange(image.n_cells)
    # voxels
    grid = image.cast_to_unstructured_grid()
    grid.save(tmp_path / f"a{suffix}", binary=binary)
    count, _, size = by_vtk(tmp_path / f"a{suffix}")
    read = read_mesh(tmp_path / f"a{suffix}")
    assert read.nelements == count == 24
    assert volume(read) == pytest.approx(size.sum(), rel=1e-6)
    if suffix == ".vtk":
        image.save(tmp_path / "image.vtk", binary=binary)
        assert volume(read_mesh(tmp_path / "image.vtk")) == pytest.approx(24.0)
        image.cast_to_rectilinear_grid().save(tmp_path / "rectilinear.vtk", binary=binary)
        assert volume(read_mesh(tmp_path / "rectilinear.vtk")) == pytest.approx(24.0)
        image.cast_to_structured_grid().save(tmp_path / "structured.vtk", binary=binary)
        assert volume(read_mesh(tmp_path / "structured.vtk")) == pytest.approx(24.0)


@pytest.mark.parametrize("mode", ["Ascii", "Binary", "Appended"])
@pytest.mark.parametrize("compressor", ["None", "ZLib", "LZMA"])
@pytest.mark.parametrize("encode", [False, True])
def test_every_encoding_that_vtk_writes(tmp_path, mesh, mode, compressor, encode):
    vtk = pytest.importorskip("vtkmodules.vtkIOXML")
    pyvista = pytest.importorskip("pyvista")
    grid = pyvista.read(saved(mesh, tmp_path / "plain.vtu", "vtu"))
    grid.cell_data["values"] = np.random.default_rng(0).random(grid.n_cells)
    writer = vtk.vtkXMLUnstructuredGridWriter()
    writer.SetFileName(str(tmp_path / "a.vtu"))
    writer.SetInputData(grid)
    getattr(writer, f"SetDataModeTo{mode}")()
    getattr(writer, f"SetCompressorTypeTo{compressor}")()
    writer.SetEncodeAppendedData(encode)
    # small blocks: an array of several
    writer.SetBlockSize(512)
    assert writer.Write() == 1
    np.testing.assert_allclose(read_mesh(tmp_path / "a.vtu").p, mesh.p, rtol=1e-12, atol=1e-15)
    assert read_mesh(tmp_path / "a.vtu").nelements == mesh.nelements


@pytest.mark.parametrize(
    ("suffix", "name", "options"),
    [
        (".msh", "gmsh22", {"binary": False}),
        (".msh", "gmsh22", {"binary": True}),
        (".msh", "gmsh", {"binary": False}),
        (".msh", "gmsh", {"binary": True}),
        (".mesh", "medit", {}),
        (".vtk", "vtk42", {"binary": False}),
    ],
)
def test_gmsh_reads_the_same(tmp_path, mesh, gmsh, suffix, name, options):
    path = saved(mesh, tmp_path / f"a{suffix}", name, **options)
    count, size = by_gmsh(gmsh, path)
    read = read_mesh(path)
    assert read.nelements == count == mesh.nelements
    assert volume(read) == pytest.approx(size, rel=1e-9)


def blocks_of_gmsh(gmsh):
    """Two boxes that share a face, meshed with hexahedra, with groups of volumes and surfaces that overlap."""
    gmsh.clear()
    gmsh.model.add("boxes")
    corners = [gmsh.model.geo.addPoint(x, y, 0.0) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))]
    lines = [gmsh.model.geo.addLine(a, b) for a, b in zip(corners, corners[1:] + corners[:1], strict=True)]
    base = gmsh.model.geo.addPlaneSurface([gmsh.model.geo.addCurveLoop(lines)])
    lower = gmsh.model.geo.extrude([(2, base)], 0, 0, 1, [2], recombine=True)
    upper = gmsh.model.geo.extrude([lower[0]], 0, 0, 2, [3], recombine=True)
    for line in lines:
        gmsh.model.geo.mesh.setTransfiniteCurve(line, 3)
    gmsh.model.geo.mesh.setTransfiniteSurface(base)
    gmsh.model.geo.mesh.setRecombine(2, base)
    gmsh.model.geo.synchronize()
    volumes = [lower[1][1], upper[1][1]]
    gmsh.model.addPhysicalGroup(3, volumes, 1, "all")
    gmsh.model.addPhysicalGroup(3, volumes[1:], 2, "upper")
    gmsh.model.addPhysicalGroup(2, [base], 1, "foot")
    gmsh.model.addPhysicalGroup(2, [lower[0][1]], 7, "glue")
    gmsh.model.addPhysicalGroup(1, lines, 1, "rim")
    gmsh.model.mesh.generate(3)
    return len(gmsh.model.mesh.getElementsByType(5)[0])


@pytest.mark.parametrize(("version", "binary"), [(2.2, 0), (2.2, 1), (4.0, 0), (4.1, 0), (4.1, 1)])
def test_groups_that_gmsh_writes(tmp_path, gmsh, version, binary):
    count = blocks_of_gmsh(gmsh)
    gmsh.option.setNumber("Mesh.MshFileVersion", version)
    gmsh.option.setNumber("Mesh.Binary", binary)
    gmsh.write(str(tmp_path / "a.msh"))
    mesh = read_mesh(tmp_path / "a.msh")
    assert mesh.nelements == count
    assert volume(mesh) == pytest.approx(3.0)
    assert len(mesh.subdomains["all"]) == count
    heights = mesh.p[2, mesh.t[:, mesh.subdomains["upper"]]]
    assert heights.min() == 1.0
    assert len(mesh.subdomains["upper"]) == np.sum(mesh.p[2, mesh.t].min(axis=0) >= 1.0)
    for name, height in (("foot", 0.0), ("glue", 1.0)):
        on = np.flatnonzero((mesh.p[2, mesh.facets] == height).all(axis=0))
        np.testing.assert_array_equal(np.sort(mesh.boundaries[name]), on)


@pytest.mark.parametrize(("suffix", "package"), [(".inp", None), (".med", "h5py"), (".bdf", None), (".vtk", None)])
def test_other_formats_that_gmsh_writes(tmp_path, gmsh, suffix, package):
    if package:
        pytest.importorskip(package)
    count = blocks_of_gmsh(gmsh)
    gmsh.option.setNumber("Mesh.SaveGroupsOfElements", 1)
    gmsh.option.setNumber("Mesh.SaveAll", 0)
    gmsh.option.setNumber("Mesh.Binary", 0)
    gmsh.write(str(tmp_path / f"a{suffix}"))
    mesh = read_mesh(tmp_path / f"a{suffix}")
    assert mesh.nelements == count
    assert volume(mesh) == pytest.approx(3.0)
    if suffix in (".inp", ".med"):
        assert len(mesh.subdomains["all"]) == count
        assert len(mesh.subdomains["upper"]) < count
        assert {"foot", "glue"} <= set(mesh.boundaries)


def test_partitioned_file_of_gmsh(tmp_path, gmsh):
    count = blocks_of_gmsh(gmsh)
    gmsh.model.mesh.partition(2)
    gmsh.option.setNumber("Mesh.MshFileVersion", 4.1)
    gmsh.option.setNumber("Mesh.Binary", 0)
    gmsh.write(str(tmp_path / "a.msh"))
    mesh = read_mesh(tmp_path / "a.msh")
    assert mesh.nelements == count
    assert len(mesh.subdomains["all"]) == count


def test_published_meshes(published_meshes):
    counts = {"bunny_out": 37_734, "dragon_out": 14_009, "cap_out": 4_420}
    counts |= {"block_stresstest_out": 2_520, "block_stresstest_in": 2_520}
    for name, count in counts.items():
        read = read_mesh(published_meshes / f"{name}.mesh")
        host = skfem.MeshHex.load(published_meshes / f"{name}.mesh")
        assert read.nelements == count
        np.testing.assert_array_equal(hexahedra(read), hexahedra(host))
        # points of no element are left out
        assert read.nvertices == len(np.unique(host.t))
