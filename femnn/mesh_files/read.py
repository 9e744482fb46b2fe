"""Reading of mesh files of all formats: which reader is asked, and one clear error for what is no mesh that is read."""

from os import PathLike
from pathlib import Path

import skfem

from femnn.checks import brief
from femnn.exceptions import MeshError, warn
from femnn.geometry.cells import cells
from femnn.mesh_files.build import mesh_of
from femnn.mesh_files.contents import listed, straighten
from femnn.mesh_files.formats import reader_of


def read_mesh(path: str | PathLike) -> skfem.Mesh:
    """Read a mesh of hexahedra, or a plane one of quadrilaterals, from a file of any common format.

    Parameters
    ----------
    path
        The file; its content or its suffix tells its format (``.inp``, ``.bdf``, ``.msh``, ``.vtu``, ``.vtk``,
        ``.mesh``, ``.e``, ``.med``, ...): see ``docs/how-to/my-mesh.md``.

    Returns
    -------
    skfem.MeshHex1, MeshHex2, MeshQuad1 or MeshQuad2
        Hexahedra with 8 nodes, or with 20 or 27; quadrilaterals with 4, or with 8 or 9. The sets of the file are
        ``mesh.subdomains`` and ``mesh.boundaries``. Points, lines and faces that belong to no cell are left out. Not
        checked for single folded elements: see :func:`femnn.geometry.validity.classify`.

    Raises
    ------
    MeshError
        If there is no such file, if it cannot be read or was cut off, if it uses something that is not read, or if its
        cells are anything but hexahedra, or quadrilaterals in a plane, with finite coordinates. The message names cause
        and remedy.

    Warns
    -----
    FemnnWarning
        If the mesh lacks something that the file asks for: faces of a set that are none of a hexahedron, for instance.

    Examples
    --------
    >>> import skfem, tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "part.vtu"
    >>> skfem.MeshHex().refined(1).save(file)
    >>> read_mesh(file).nelements
    8
    """
    mesh, _, warnings = read_with_remarks(path)
    if warnings:
        warn(f"{path}: {listed(warnings, 10)}")
    return mesh


def read_with_remarks(path: str | PathLike) -> tuple[skfem.Mesh, list[str], list[str]]:
    """Mesh of a file, remarks on what was left out or changed, and warnings of what was lost; gives no warning itself.

    Parameters and errors are those of :func:`read_mesh`.

    Examples
    --------
    >>> import meshio, skfem
    >>> from femnn.mesh_files import read_with_remarks
    >>> square = skfem.MeshQuad()
    >>> meshio.Mesh(square.p.T, [("quad", square.t.T)]).write("square.vtk", binary=False)
    >>> mesh, remarks, warnings = read_with_remarks("square.vtk")
    >>> mesh.nelements, warnings
    (1, [])
    """
    try:
        path = Path(path)
    except TypeError as error:
        raise MeshError(f"{brief(path)} is no path; give the name of a mesh file") from error
    _check_file(path)
    try:
        contents = straighten(reader_of(path)(path))
        mesh = mesh_of(path, contents)
    except MeshError:
        raise
    except Exception as error:
        # a damaged file leads a reader anywhere, to numbers beyond all bounds for instance
        cause = (str(error).splitlines() or [""])[0]
        raise MeshError(
            f"{path} cannot be read as a mesh ({type(error).__name__}: {cause}); it may be damaged, export it again"
        ) from error
    try:
        cells(mesh)
    except MeshError as error:
        raise MeshError(f"{path}: {error}") from error
    return mesh, contents.remarks, contents.warnings


def _check_file(path):
    try:
        if path.is_dir():
            raise MeshError(f"{path} is a folder; give the path of a mesh file")
        if path.exists() and not path.is_file():
            raise MeshError(f"{path} is a pipe, a socket or a device; save the mesh as a file and give its path")
        with open(path, "rb") as opened:
            empty = not opened.read(1)
    except FileNotFoundError as error:
        raise MeshError(f"there is no file {path}; check its name and folder") from error
    except (OSError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) else error
        raise MeshError(f"{path} cannot be opened: {cause}") from error
    if empty:
        raise MeshError(f"{path} is an empty file; export the mesh again")
