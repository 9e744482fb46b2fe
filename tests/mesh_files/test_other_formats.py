"""Formats that meshio reads, what it says while it does, and files of every format that were cut off."""

import os
import re
import signal
import sys

import meshio
import numpy as np
import pytest
import skfem
from support.mesh_texts import CUBE, TOWER, centres, volume

from femnn.exceptions import FemnnWarning, MeshError
from femnn.mesh_files import read_mesh, read_with_remarks
from femnn.mesh_files.contents import CellBlock, MeshContents
from femnn.mesh_files.exodus import SIDES

# suffix, meshio's name of the format, how it is written
TEXT_FORMATS = [
    (".mesh", "medit", {}),
    (".inp", "abaqus", {}),
    (".bdf", "nastran", {}),
    (".msh", "gmsh22", {"binary": False}),
    (".msh", "gmsh", {"binary": False}),
    (".vtk", "vtk", {"binary": False}),
    (".vtk", "vtk42", {"binary": False}),
    (".vtu", "vtu", {"binary": False}),
    (".vtu", "vtu", {}),
    (".dat", "tecplot", {}),
    (".mdpa", "mdpa", {}),
    (".su2", "su2", {}),
    (".avs", "avsucd", {}),
    (".f3grid", "flac3d", {"binary": False}),
    (".dato", "permas", {}),
    (".vol", "netgen", {}),
]
# Formats that neither count their cells nor mark their end.
ENDLESS = ("abaqus", "flac3d")


def write_cubes(path, name, options):
    mesh = skfem.MeshHex().refined(1)
    cells = mesh.t.T[:, [0, 3, 6, 2, 1, 5, 7, 4]]
    meshio.write(path, meshio.Mesh(mesh.p.T, [("hexahedron", cells)]), name, **options)
    return path


def result_of(path):
    """Number of elements that are read, or None, and all that is said of it."""
    try:
        mesh, _, said = read_with_remarks(path)
    except MeshError as error:
        return None, str(error)
    return mesh.nelements, "; ".join(said)


@pytest.fixture
def time_limit():
    """A file that is read for ever ends the test, not the whole run."""

    def stop(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(("suffix", "name", "options"), TEXT_FORMATS)
def test_whole_file_and_cut_off_after_each_line(tmp_path, capfd, time_limit, suffix, name, options):
    path = write_cubes(tmp_path / f"whole{suffix}", name, options)
    capfd.readouterr()
    mesh, _, said = read_with_remarks(path)
    assert mesh.nelements == 8
    assert volume(mesh) == pytest.approx(1.0)
    assert said == []
    lines = path.read_bytes().splitlines(keepends=True)
    cut = tmp_path / f"cut{suffix}"
    for count in range(len(lines)):
        cut.write_bytes(b"".join(lines[:count]))
        time_limit(20)
        read, said = result_of(cut)
        # all is there, or it is said that something is missing
        assert read == 8 or said
        assert read in (None, 8) or (name in ENDLESS and "cut off" in said)
        assert "\n" not in said
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", [".mesh", ".meshb", ".msh", ".vtk", ".vtu", ".ugrid", ".f3grid"])
def test_binary_file_cut_off_anywhere(tmp_path, time_limit, suffix):
    names = {".msh": "gmsh", ".mesh": "medit", ".meshb": "medit", ".f3grid": "flac3d"}
    path = tmp_path / f"whole{'.b8' if suffix == '.ugrid' else ''}{suffix}"
    write_cubes(path, names.get(suffix, suffix[1:]), {"binary": True} if suffix == ".f3grid" else {})
    assert read_mesh(path).nelements == 8
    data = path.read_bytes()
    cut = path.with_name(path.name.replace("whole", "cut"))
    for length in range(1, len(data), max(1, len(data) // 60)):
        cut.write_bytes(data[:length])
        time_limit(20)
        read, said = result_of(cut)
        assert read in (None, 8)
        assert "\n" not in said


def test_tecplot_with_several_zones_is_not_read_in_part(tmp_path):
    path = write_cubes(tmp_path / "a.dat", "tecplot", {})
    text = path.read_text()
    path.write_text(text + text[text.index("ZONE") :])
    with pytest.raises(MeshError, match=r"counts 16 cells, but 8 can be read"):
        read_mesh(path)


def test_what_meshio_says_becomes_a_warning(tmp_path, capfd):
    path = write_cubes(tmp_path / "a.su2", "su2", {})
    path.write_text(path.read_text() + "NONSENSE\n")
    with pytest.warns(FemnnWarning, match=r"a\.su2: meshio could not parse line NONSENSE"):
        assert read_mesh(path).nelements == 8
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("suffix", "package"), [(".e", "netCDF4"), (".exo", "netCDF4"), (".med", "h5py"), (".h5m", "h5py")]
)
def test_missing_package_is_named(tmp_path, monkeypatch, suffix, package):
    monkeypatch.setitem(sys.modules, package, None)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(MeshError, match=f"pip install {package}"):
        read_mesh(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.k", b"*KEYWORD\n*NODE\n", "an LS-DYNA file"),
        ("a.cdb", b"! by somebody\n/PREP7\n", "an Ansys input file"),
        ("a.step", b"ISO-10303-21;\n", "a STEP geometry"),
        ("a.mesh", b"MFEM mesh v1.0\n", "an MFEM mesh"),
        ("a.vtu", b"\x1f\x8b\x08\x00garbage", "compressed; unpack it"),
        ("a.stl", b"solid part\n", "no volume cells"),
        ("a.obj", b"v 0 0 0\n", "no volume cells: .obj files hold surfaces"),
        ("a.xyz", b"1 2 3\n", r"the suffix \.xyz tells no format"),
        ("mesh", b"1 2 3\n", "no suffix"),
        ("a.inp", b"\x00\x01\x02*Node\n", "binary, but .inp files are text"),
        ("a.vtk", b"no such thing\n", "does not begin"),
    ],
)
def test_what_a_file_seems_to_be(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MeshError, match=message):
        read_mesh(tmp_path / name)


def test_content_tells_the_format_whatever_the_suffix(tmp_path):
    for name, suffix in (("gmsh", ".msh"), ("vtk", ".vtk"), ("vtu", ".vtu"), ("medit", ".mesh")):
        path = write_cubes(tmp_path / f"a{suffix}", name, {})
        path.rename(tmp_path / "renamed.dat")
        assert read_mesh(tmp_path / "renamed.dat").nelements == 8
    # AVS-UCD files are called .inp as well
    write_cubes(tmp_path / "a.avs", "avsucd", {}).rename(tmp_path / "a.inp")
    assert read_mesh(tmp_path / "a.inp").nelements == 8


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_special_files_are_refused_at_once(tmp_path, time_limit):
    os.mkfifo(tmp_path / "pipe.vtu")
    time_limit(20)
    for path in (tmp_path / "pipe.vtu", "/dev/null", "/dev/zero"):
        with pytest.raises(MeshError, match="is a pipe, a socket or a device"):
            read_mesh(path)
    with pytest.raises(MeshError, match="cannot be opened"):
        read_mesh("a\0b.vtu")


def test_flat_cells_of_meshio_become_names(tmp_path):
    # Medit has quadrilaterals beside hexahedra
    path = tmp_path / "a.mesh"
    meshio.write(path, meshio.Mesh(CUBE, [("hexahedron", [range(8)]), ("quad", [[0, 1, 2, 3]])]))
    mesh, remarks, warned = read_with_remarks(path)
    assert mesh.nelements == 1
    assert warned == []
    assert any("1 quad" in remark for remark in remarks)


def test_groups_of_med(tmp_path):
    pytest.importorskip("h5py")
    blocks = [("hexahedron", [range(8)]), ("quad", [[0, 1, 2, 3], [4, 5, 6, 7]])]
    mesh = meshio.Mesh(CUBE, blocks, cell_data={"cell_tags": [np.array([-7]), np.array([-8, -9])]})
    mesh.cell_tags = {-7: ["body"], -8: ["bottom", "both"], -9: ["both"]}
    meshio.write(tmp_path / "a.med", mesh)
    read = read_mesh(tmp_path / "a.med")
    assert read.subdomains["body"].tolist() == [0]
    assert centres(read, read.boundaries["bottom"]) == [(0.5, 0.5, 0.0)]
    assert centres(read, read.boundaries["both"]) == [(0.5, 0.5, 0.0), (0.5, 0.5, 1.0)]


def test_blocks_and_side_sets_of_exodus(tmp_path):
    netcdf = pytest.importorskip("netCDF4")
    path = tmp_path / "a.e"
    with netcdf.Dataset(path, "w", format="NETCDF3_CLASSIC") as file:
        file.version = 5.1
        sizes = {"len_string": 33, "num_nodes": 12, "num_dim": 3, "num_elem": 2, "num_el_blk": 2, "num_side_sets": 1}
        sizes |= {
            "num_el_in_blk1": 1,
            "num_nod_per_el1": 8,
            "num_el_in_blk2": 1,
            "num_nod_per_el2": 8,
            "num_side_ss1": 2,
        }
        for name, size in sizes.items():
            file.createDimension(name, size)
        for axis, values in zip("xyz", TOWER.T, strict=True):
            file.createVariable(f"coord{axis}", "f8", ("num_nodes",))[:] = values
        for k, first in enumerate((1, 5), 1):
            block = file.createVariable(f"connect{k}", "i4", (f"num_el_in_blk{k}", f"num_nod_per_el{k}"))
            block.elem_type = "HEX8"
            block[:] = [np.arange(first, first + 8)]
        file.createVariable("eb_prop1", "i4", ("num_el_blk",))[:] = [4, 9]
        names = file.createVariable("ss_names", "S1", ("num_side_sets", "len_string"))
        names[:] = np.array([list("loaded".ljust(33, "\0"))], dtype="S1")
        file.createVariable("elem_ss1", "i4", ("num_side_ss1",))[:] = [1, 2]
        file.createVariable("side_ss1", "i4", ("num_side_ss1",))[:] = [5, 6]
    mesh = read_mesh(path)
    assert {name: cells.tolist() for name, cells in mesh.subdomains.items()} == {"block_4": [0], "block_9": [1]}
    assert centres(mesh, mesh.boundaries["loaded"]) == [(0.5, 0.5, 0.0), (0.5, 0.5, 2.0)]


def test_sides_of_exodus_are_the_six_faces():
    assert len({tuple(sorted(side)) for side in SIDES.tolist()}) == 6
    for side in SIDES:
        ring = CUBE[side]
        # around each face, one edge after the other, seen from outside against the clock
        assert np.allclose(np.linalg.norm(ring - np.roll(ring, 1, axis=0), axis=1), 1.0)
        normal = np.cross(ring[1] - ring[0], ring[2] - ring[1])
        assert normal @ (ring.mean(axis=0) - 0.5) > 0


def test_contents_print_a_summary():
    contents = MeshContents(CUBE, [CellBlock("hexahedron", np.arange(8)[None])])
    assert re.fullmatch(r"MeshContents\(8 points, \[CellBlock\(1 hexahedron\)\]\)", repr(contents))
