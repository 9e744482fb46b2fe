"""VTK's files, legacy and XML: voxels, mixed cells, several pieces, all encodings, structured grids."""

import base64
import lzma
import zlib

import numpy as np
import pytest
import skfem
from support.mesh_texts import volume, write

from femnn.exceptions import MeshError
from femnn.mesh_files import read_mesh, read_with_remarks

# twelve points of two unit cubes side by side, x fastest
POINTS = np.array([(x, y, z) for z in (0, 1) for y in (0, 1) for x in (0, 1, 2)], dtype=float)
HEXAHEDRON, VOXEL = [0, 1, 4, 3, 6, 7, 10, 9], [1, 2, 4, 5, 7, 8, 10, 11]


def text_of(values):
    return " ".join(f"{value:g}" for value in np.ravel(values))


def legacy(cells, types, version="5.1", more=""):
    sizes = [len(cell) for cell in cells]
    head = f"# vtk DataFile Version {version}\ntitle\nASCII\nDATASET UNSTRUCTURED_GRID\n"
    head += f"POINTS 12 double\n{text_of(POINTS)}\n"
    if version == "5.1":
        offsets, count = np.cumsum([0, *sizes]), sum(sizes)
        body = (
            f"CELLS {len(cells) + 1} {count}\nOFFSETS vtktypeint64\n{text_of(offsets)}\n"
            f"CONNECTIVITY vtktypeint64\n{text_of(np.concatenate(cells))}\n"
        )
    else:
        rows = "".join(f"{len(cell)} {text_of(cell)}\n" for cell in cells)
        body = f"CELLS {len(cells)} {sum(sizes) + len(cells)}\n{rows}"
    return f"{head}{body}CELL_TYPES {len(cells)}\n{text_of(types)}\n{more}"


def xml(arrays, n_points=12, n_cells=2, attributes="", appended="", pieces=1):
    def array(name):
        kind, more, text = arrays[name]
        return f'<DataArray type="{kind}" Name="{name}" {more}>{text}</DataArray>\n'

    piece = (
        f'<Piece NumberOfPoints="{n_points}" NumberOfCells="{n_cells}">\n<Points>\n{array("points")}</Points>\n'
        f"<Cells>\n{array('connectivity')}{array('offsets')}{array('types')}</Cells>\n</Piece>\n"
    )
    head = f'<VTKFile type="UnstructuredGrid" version="1.0" byte_order="LittleEndian" {attributes}>\n<UnstructuredGrid>'
    return f'<?xml version="1.0"?>\n{head}\n{piece * pieces}</UnstructuredGrid>\n{appended}</VTKFile>\n'


def arrays_of(cells, types):
    return {
        "points": ("Float64", 'NumberOfComponents="3" format="ascii"', text_of(POINTS)),
        "connectivity": ("Int64", 'format="ascii"', text_of(np.concatenate(cells))),
        "offsets": ("Int64", 'format="ascii"', text_of(np.cumsum([len(cell) for cell in cells]))),
        "types": ("UInt8", 'format="ascii"', text_of(types)),
    }


@pytest.mark.parametrize("version", ["3.0", "5.1", "vtu"])
@pytest.mark.parametrize(
    ("cells", "types"), [([HEXAHEDRON, VOXEL], [12, 11]), ([[0, 1, 3, 4, 6, 7, 9, 10], VOXEL], [11, 11])]
)
def test_voxels_are_hexahedra(tmp_path, version, cells, types):
    text = xml(arrays_of(cells, types)) if version == "vtu" else legacy(cells, types, version)
    mesh, remarks, warnings = read_with_remarks(write(tmp_path / f"a.{'vtu' if version == 'vtu' else 'vtk'}", text))
    assert mesh.nelements == 2
    # a wrong order would fold them
    assert (np.abs(mesh.mapping().detDF(np.full((3, 1), 0.1))) > 0.9).all()
    assert volume(mesh) == pytest.approx(2.0)
    assert warnings == []
    assert any("voxels" in remark for remark in remarks)


@pytest.mark.parametrize(
    ("code", "size", "name"),
    [(10, 4, "1 tetra"), (13, 6, "1 wedge"), (14, 5, "1 pyramid"), (15, 10, "1 penta_prism"), (42, 8, "1 polyhedron")],
)
@pytest.mark.parametrize("version", ["3.0", "5.1", "vtu"])
def test_other_volume_cells_are_named(tmp_path, version, code, size, name):
    cells, types = [HEXAHEDRON, list(range(size))], [12, code]
    text = xml(arrays_of(cells, types)) if version == "vtu" else legacy(cells, types, version)
    with pytest.raises(MeshError, match=f"mixes 1 hexahedra with {name}"):
        read_mesh(write(tmp_path / f"a.{'vtu' if version == 'vtu' else 'vtk'}", text))


def test_unknown_type_is_named_by_its_number(tmp_path):
    with pytest.raises(MeshError, match="VTK cell type 99"):
        read_mesh(write(tmp_path / "a.vtk", legacy([HEXAHEDRON, VOXEL], [12, 99])))


def test_flat_cells_are_left_out_and_counted(tmp_path):
    cells, types = [[0, 1, 4, 3], [0, 1], HEXAHEDRON, [0, 1, 3, 4], [0, 1, 2, 5, 4]], [9, 3, 12, 8, 7]
    mesh, remarks, _ = read_with_remarks(write(tmp_path / "a.vtk", legacy(cells, types)))
    assert mesh.nelements == 1
    assert any("1 line, 1 polygon, 2 quad" in remark for remark in remarks)


def test_attributes_of_every_kind_do_not_matter(tmp_path):
    more = (
        "CELL_DATA 2\nSCALARS a int 1\nLOOKUP_TABLE default\n1 2\nVECTORS v float\n1 2 3 4 5 nan\n"
        "METADATA\nINFORMATION 1\nNAME L2 LOCATION vtkDataArray\nDATA 2 0 1\n\nFIELD FieldData 2\n"
        "b 2 2 double\n1 2 3 4\nnames 1 2 string\nfirst\nsecond\nPOINT_DATA 12\nCOLOR_SCALARS c 1\n"
        + "0.5 " * 12
        + "\nNORMALS n float\n"
        + "0 0 1 " * 12
        + "\nTENSORS t float\n"
        + "1 0 0 0 1 0 0 0 1 " * 12
        + "\nTEXTURE_COORDINATES x 2 float\n"
        + "0 1 " * 12
        + "\nLOOKUP_TABLE mine 1\n1 0 0 1\n"
    )
    assert read_mesh(write(tmp_path / "a.vtk", legacy([HEXAHEDRON, VOXEL], [12, 11], more=more))).nelements == 2


@pytest.mark.parametrize(
    "grid",
    [
        "STRUCTURED_POINTS\nDIMENSIONS 3 2 2\nORIGIN 0 0 0\nSPACING 1 1 1\n",
        "RECTILINEAR_GRID\nDIMENSIONS 3 2 2\nX_COORDINATES 3 float\n0 1 2\nY_COORDINATES 2 float\n0 1\n"
        "Z_COORDINATES 2 float\n0 1\n",
        f"STRUCTURED_GRID\nDIMENSIONS 3 2 2\nPOINTS 12 float\n{text_of(POINTS)}\n",
    ],
    ids=["points", "rectilinear", "structured"],
)
def test_grids_without_cells(tmp_path, grid):
    text = (
        f"# vtk DataFile Version 3.0\ntitle\nASCII\nDATASET {grid}CELL_DATA 2\nSCALARS a float\nLOOKUP_TABLE d\n1 2\n"
    )
    mesh = read_mesh(write(tmp_path / "a.vtk", text))
    assert mesh.nelements == 2
    assert volume(mesh) == pytest.approx(2.0)
    np.testing.assert_array_equal(mesh.p.T, POINTS)


def encoded(values, kind, way):
    """One array as VTK writes it: the text, or the bytes of raw appended data."""
    data = np.asarray(values).astype(kind).tobytes()
    if way in ("zlib", "lzma"):
        half = len(data) // 2
        packed = [(zlib if way == "zlib" else lzma).compress(part) for part in (data[:half], data[half:])]
        head = np.array([2, half, len(data) - half, *map(len, packed)], dtype="<u8").tobytes()
        return base64.b64encode(head).decode() + base64.b64encode(b"".join(packed)).decode()
    data = np.array([len(data)], dtype="<u8").tobytes() + data
    return data if way == "raw" else base64.b64encode(data).decode()


@pytest.mark.parametrize("way", ["base64", "zlib", "lzma", "appended", "raw"])
def test_encodings(tmp_path, way):
    names = {"zlib": "vtkZLibDataCompressor", "lzma": "vtkLZMADataCompressor"}
    attributes = 'header_type="UInt64"' + (f' compressor="{names[way]}"' if way in names else "")
    values = {
        "points": (POINTS, "Float64", "<f8"),
        "connectivity": ([*HEXAHEDRON, *VOXEL], "Int64", "<i8"),
        "offsets": ([8, 16], "Int32", "<i4"),
        "types": ([12, 11], "UInt8", "<u1"),
    }
    arrays, appended = {}, b""
    for name, (array, kind, dtype) in values.items():
        piece = encoded(array, dtype, way)
        if way in ("appended", "raw"):
            arrays[name] = (kind, f'format="appended" offset="{len(appended)}"', "")
            appended += piece if way == "raw" else piece.encode()
        else:
            arrays[name] = (kind, 'format="binary"', f"\n  {piece}\n")
    tail = {"appended": '<AppendedData encoding="base64">\n_@</AppendedData>\n'}
    tail["raw"] = '<AppendedData encoding="raw">\n_@\n</AppendedData>\n'
    data = xml(arrays, attributes=attributes, appended=tail.get(way, "")).encode().replace(b"@", appended)
    path = tmp_path / "a.vtu"
    path.write_bytes(data)
    mesh = read_mesh(path)
    assert mesh.nelements == 2
    np.testing.assert_array_equal(mesh.p.T, POINTS)
    for length in range(0, len(data) - 12, 41):
        path.write_bytes(data[:length])
        with pytest.raises(MeshError):
            read_mesh(path)


def test_all_pieces_are_read(tmp_path):
    text = xml(arrays_of([HEXAHEDRON, VOXEL], [12, 11]), pieces=3)
    mesh, remarks, _ = read_with_remarks(write(tmp_path / "a.vtu", text))
    assert mesh.nelements == 6
    assert volume(mesh) == pytest.approx(6.0)
    assert any("3 pieces" in remark for remark in remarks)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("12 11", "12 11 12"), "claims 2 numbers for types and has 3"),
        (('NumberOfCells="2"', 'NumberOfCells="3"'), "claims"),
        (('NumberOfPoints="12"', 'NumberOfPoints="13"'), "claims 39 numbers"),
        (("UnstructuredGrid", "PolyData"), "holds PolyData"),
        (("<VTKFile", '<VTKFile compressor="vtkLZ4DataCompressor"'), "vtkLZ4DataCompressor, which is not read"),
        (("8 16<", "8 17<"), "counts others"),
        (("Int64", "Int65"), "no complete VTU file"),
    ],
)
def test_errors_of_xml(tmp_path, change, message):
    text = xml(arrays_of([HEXAHEDRON, VOXEL], [12, 11])).replace(*change)
    with pytest.raises(MeshError, match=message) as caught:
        read_mesh(write(tmp_path / "a.vtu", text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("POINTS 12", "POINTS 13"), "claims 39 numbers for POINTS and has 36"),
        (("CELL_TYPES 2\n12 11\n", "CELL_TYPES 3\n12 11 12\n"), "2 cells but 3 cell types"),
        (("UNSTRUCTURED_GRID", "POLYDATA"), "POLYDATA, which has no volume cells"),
        (("ASCII", "TEXT"), "ASCII or BINARY has to be"),
        (("POINTS 12 double", "POINTS 12 triple"), "section 'POINTS"),
        (("CELL_TYPES", "CELL_KINDS"), "unknown section 'CELL_KINDS'"),
        (("0 8 16", "0 8 15"), "counts others"),
    ],
)
def test_errors_of_legacy_files(tmp_path, change, message):
    with pytest.raises(MeshError, match=message):
        read_mesh(write(tmp_path / "a.vtk", legacy([HEXAHEDRON, VOXEL], [12, 11]).replace(*change)))


@pytest.mark.parametrize("suffix", ["vtk", "vtu"])
def test_names_that_scikit_fem_wrote(tmp_path, suffix):
    mesh = (
        skfem.MeshHex()
        .refined(1)
        .with_boundaries({"left": lambda x: x[0] == 0})
        .with_subdomains({"low": lambda x: x[2] < 0.5})
    )
    mesh.save(tmp_path / f"a.{suffix}")
    read = read_mesh(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(np.sort(read.boundaries["left"]), np.sort(mesh.boundaries["left"]))
    np.testing.assert_array_equal(read.subdomains["low"], mesh.subdomains["low"])


def test_names_keep_the_order_of_the_file(tmp_path):
    names = [f"set_{number}" for number in (5, 3, 8, 1, 9, 2, 7)]
    mesh = skfem.MeshHex().with_boundaries({name: lambda x: x[0] == 0 for name in names})
    mesh.save(tmp_path / "a.vtu")
    assert list(read_mesh(tmp_path / "a.vtu").boundaries) == names
