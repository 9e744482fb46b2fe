"""Which reader a file is for: by its content where that tells, else by its suffix."""

import re
from pathlib import Path

from femnn.exceptions import MeshError
from femnn.mesh_files.abaqus import read_abaqus
from femnn.mesh_files.gmsh import read_gmsh
from femnn.mesh_files.nastran import read_nastran
from femnn.mesh_files.through_meshio import FORMATS, reader_through_meshio
from femnn.mesh_files.vtk import read_vtk
from femnn.mesh_files.vtu import read_vtu

#: Readers of femnn's own by suffix; meshio has those of FORMATS.
OWN = {
    ".inp": read_abaqus,
    ".bdf": read_nastran,
    ".nas": read_nastran,
    ".fem": read_nastran,
    ".msh": read_gmsh,
    ".vtk": read_vtk,
    ".vtu": read_vtu,
}

# Formats of surfaces and curves.
_SURFACES = (".stl", ".ply", ".obj", ".off", ".wkt", ".svg")

# How files begin: a pattern for their first bytes, and the reader, or what the file is and what works.
_BEGINNINGS = [
    (rb"\A\$(Comments|MeshFormat|PhysicalNames)", read_gmsh),
    (rb"\A# vtk DataFile", read_vtk),
    (rb"\A\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<VTKFile", read_vtu),
    (rb"\A\s*MeshVersionFormatted", "medit"),
    (rb"\A\s*\*(HEADING|NODE|PART|INCLUDE|PREPRINT)\b", read_abaqus),
    (rb"\A\$NOD\b", "a Gmsh file of version 1; open it in Gmsh and export it as version 4.1"),
    (rb"\AMFEM (NC )?mesh", "an MFEM mesh; export it as VTK (mesh.PrintVTU)"),
    (rb"\AISO-10303-21", "a STEP geometry, which is no mesh; mesh it with Gmsh"),
    (rb"\A(solid |\s*OFF\b|ply\b)", "a surface, it has no volume cells; fill it with hexahedra first"),
    (rb"\A(\x1f\x8b|PK\x03\x04|BZh|\xfd7zXZ)", "compressed; unpack it first"),
    (rb"\A\*KEYWORD", "an LS-DYNA file; export the mesh as .inp, .bdf or .vtu from the preprocessor"),
    (rb"^/(PREP7|BATCH)\b", "an Ansys input file; export the mesh as .inp, .bdf or .msh"),
    (rb"\A\(\s*0\s+\"", "ansys"),
]  # fmt: skip


def reader_of(path: Path):
    """The function that reads a file, ``reader(path) -> MeshContents``.

    Raises
    ------
    MeshError
        If neither content nor suffix tells of a format that is read; the message says what the file seems to be.
    """
    with open(path, "rb") as file:
        head = file.read(4096)
    suffix = path.suffix.lower()
    for pattern, reader in _BEGINNINGS:
        if re.search(pattern, head, re.IGNORECASE | re.MULTILINE):
            return _chosen(path, reader)
    return _by_suffix(path, suffix, head)


def _chosen(path, reader):
    if callable(reader):
        return reader
    if " " not in reader:
        return reader_through_meshio(reader)
    raise MeshError(f"{path} is {reader}")


def _by_suffix(path, suffix, head):
    is_text = b"\0" not in head
    if re.search(rb"^\s*BEGIN\s+BULK|^GRID[*, \t]", head, re.IGNORECASE | re.MULTILINE) and suffix != ".inp":
        return read_nastran
    if suffix == ".inp" and re.match(rb"(#.*\n)*\s*\d+[ \t]+\d+[ \t]+\d+[ \t]+\d+[ \t]+\d+\s*\n", head):
        return reader_through_meshio("avsucd")
    if suffix in OWN:
        if suffix in (".inp", ".bdf", ".nas", ".fem") and not is_text:
            raise MeshError(f"{path} is binary, but {suffix} files are text; export the mesh again")
        if suffix == ".msh" or (suffix == ".vtk" and not head.startswith(b"# vtk")):
            raise MeshError(f"{path} does not begin like a {suffix} file of Gmsh, Fluent or VTK; export the mesh again")
        return OWN[suffix]
    if suffix in FORMATS:
        return reader_through_meshio(FORMATS[suffix])
    if suffix in _SURFACES:
        raise MeshError(f"{path} has no volume cells: {suffix} files hold surfaces; fill it with hexahedra first")
    tells = f"the suffix {suffix} tells no format that is read" if suffix else "it has no suffix that tells its format"
    known = " ".join(sorted({*OWN, *FORMATS}))
    raise MeshError(f"{path} cannot be read as a mesh: {tells}; export it with one of {known}")
