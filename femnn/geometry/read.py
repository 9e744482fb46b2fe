"""Reading mesh files, with the checks that neither meshio nor scikit-fem make."""

import contextlib
import io
import warnings
from pathlib import Path

import meshio
import numpy as np
from skfem.io.meshio import from_meshio

from femnn.exceptions import MeshError
from femnn.geometry.mesh import hexahedra


def read_mesh(path):
    """Read a mesh of trilinear hexahedra from any file that meshio reads.

    Parameters
    ----------
    path
        The file; its suffix tells its format (``.mesh``, ``.vtu``, ``.vtk``, ``.msh``, ``.inp``, ...). Faces, edges and
        points may be in it besides the hexahedra, and become named boundaries where scikit-fem reads them as such.

    Returns
    -------
    skfem.MeshHex1
        Not checked for folded elements: see :func:`femnn.geometry.validity.classify`.

    Raises
    ------
    MeshError
        If there is no such file, if it cannot be read, or if its cells are anything but straight-edged hexahedra with
        finite coordinates.
    """
    path = Path(path)
    _check_file(path)
    read = _read_quietly(path)
    _check_cells(path, read)
    try:
        with _silence():
            mesh = from_meshio(read, force_meshio_type="hexahedron")
    except Exception as error:
        raise MeshError(f"scikit-fem cannot make a mesh of {path}: {_first_line(error)}") from error
    try:
        hexahedra(mesh)
    except MeshError as error:
        raise MeshError(f"{path}: {error}") from error
    return mesh


def _check_file(path):
    if path.is_dir():
        raise MeshError(f"{path} is a folder; give the path of a mesh file")
    try:
        with open(path, "rb") as opened:
            empty = not opened.read(1)
    except FileNotFoundError as error:
        raise MeshError(f"there is no file {path}; check its name and folder") from error
    except OSError as error:
        raise MeshError(f"{path} cannot be opened: {error.strerror}") from error
    if empty:
        raise MeshError(f"{path} is an empty file; export the mesh again")


def _read_quietly(path):
    """meshio's mesh. Its parsers raise whatever they stumble over, print, and call ``sys.exit``."""
    try:
        with _silence() as said:
            return meshio.read(path)
    except (Exception, SystemExit) as error:
        cause = said.getvalue().strip() if isinstance(error, SystemExit) else f"{type(error).__name__}: {error}"
        raise MeshError(
            f"{path} cannot be read as a mesh ({_first_line(cause) or 'no reason given'}); give a file that meshio "
            "reads, whose suffix tells its format, such as .mesh, .vtu, .vtk, .msh or .inp"
        ) from error


@contextlib.contextmanager
def _silence():
    """Keep what readers print off the terminal; yields it. A file that ends too early is an error, no mere warning."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message="string or file could not be read")
        yield said


def _first_line(text):
    lines = str(text).strip().splitlines()
    return lines[0].strip() if lines else ""


def _check_cells(path, read):
    counts = {}
    for block in read.cells:
        if block.dim == 3 and len(block.data):
            counts[block.type] = counts.get(block.type, 0) + len(block.data)
    others = ", ".join(f"{count} {kind}" for kind, count in counts.items() if kind != "hexahedron")
    if not counts:
        found = ", ".join(sorted({block.type for block in read.cells if len(block.data)})) or "none at all"
        raise MeshError(f"{path} has no volume cells (its cells: {found}); femnn integrates hexahedra")
    if others and all(kind.startswith(("hexahedron", "VTK_LAGRANGE_HEXAHEDRON")) for kind in counts):
        raise MeshError(
            f"{path} has hexahedra with curved edges ({others}), femnn's rules are made for trilinear ones; "
            "export the mesh with first-order elements"
        )
    if "hexahedron" not in counts:
        raise MeshError(f"{path} has no hexahedra but {others}; femnn integrates hexahedra, mesh the part with these")
    if others:
        raise MeshError(
            f"{path} mixes {counts['hexahedron']} hexahedra with {others}, of which scikit-fem would silently read one "
            "kind; split the file, or mesh the part with hexahedra alone"
        )
    _check_numbers(path, read)


def _check_numbers(path, read):
    if np.ndim(read.points) != 2 or read.points.shape[1] != 3:
        raise MeshError(f"{path} has points of shape {np.shape(read.points)}; hexahedra need three coordinates each")
    cells = np.concatenate([block.data for block in read.cells if block.type == "hexahedron"])
    outside = (cells < 0) | (cells >= len(read.points))
    if outside.any():
        element = int(np.flatnonzero(outside.any(axis=1))[0])
        raise MeshError(
            f"element {element} of {path} refers to point {int(cells[element][outside[element]][0])}, but the file has "
            f"{len(read.points)} points counted from 0; export the mesh again"
        )
