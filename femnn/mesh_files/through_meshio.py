"""All other formats, by meshio's readers, held to what they promise: no hang, no loss, no print.

meshio's readers raise whatever they stumble over, print warnings, call ``sys.exit`` and go round in circles at the end
of a file. Here each of these becomes one error or one warning, and the cells that arrive are compared with those that
the file counts.
"""

import contextlib
import io
import re
import warnings
from functools import partial
from pathlib import Path

import meshio
import numpy as np

from femnn.exceptions import MeshError
from femnn.mesh_files.contents import CellBlock, MeshContents, listed
from femnn.mesh_files.exodus import exodus_sets

#: meshio's name of the format by suffix.
FORMATS = {
    ".mesh": "medit",
    ".meshb": "medit",
    ".e": "exodus",
    ".ex2": "exodus",
    ".exo": "exodus",
    ".med": "med",
    ".xdmf": "xdmf",
    ".xmf": "xdmf",
    ".cgns": "cgns",
    ".dat": "tecplot",
    ".tec": "tecplot",
    ".mdpa": "mdpa",
    ".su2": "su2",
    ".avs": "avsucd",
    ".ucd": "avsucd",
    ".ugrid": "ugrid",
    ".f3grid": "flac3d",
    ".vol": "netgen",
    ".post": "permas",
    ".dato": "permas",
    ".h5m": "h5m",
    ".hmf": "hmf",
    ".xml": "dolfin-xml",
    ".ele": "tetgen",
    ".node": "tetgen",
}

# Readers that loop over lines without looking for the end of the file, and how they want it opened.
_LOOPING = {"tecplot": "r", "mdpa": "rb", "su2": "r", "avsucd": "r", "netgen": "r", "permas": "r", "ansys": "rb"}
# So many lines may be asked for after the last one.
_PATIENCE = 100
# What meshio says that matters to no mesh of hexahedra.
_HARMLESS = re.compile(
    r"skipping some time data|experimental file format|tag data that couldn't be processed"
    r"|doesn't know keyword (?!\w*(?:hedra|prism|pyramid))",
    re.IGNORECASE,
)


class _EndOfFileError(Exception):
    """A reader goes on asking for lines after the last one."""


class _EndsInTime:
    """A file whose ``readline`` raises when a reader does not notice the end."""

    def readline(self, *args):
        line = super().readline(*args)
        self.empty_reads = 0 if line else getattr(self, "empty_reads", 0) + 1
        if self.empty_reads > _PATIENCE:
            raise _EndOfFileError
        return line


class _TextFile(_EndsInTime, io.TextIOWrapper):
    pass


class _BinaryFile(_EndsInTime, io.BufferedReader):
    pass


def reader_through_meshio(format_name: str):
    """The function that reads a file of one of meshio's formats, ``reader(path) -> MeshContents``."""
    return partial(read_through_meshio, format_name=format_name)


def read_through_meshio(path, format_name: str) -> MeshContents:
    """Contents of a file, as meshio reads it.

    Raises
    ------
    MeshError
        If meshio cannot read it, if other cells arrive than the file counts, or if a package is missing.
    """
    path = Path(path)
    mesh, messages = _read(path, format_name)
    points = np.asarray(mesh.points, dtype=float)
    if points.ndim == 2 and points.shape[1] == 2:
        points = np.column_stack([points, np.zeros(len(points))])
    data = mesh.cell_data
    sets = {name: values for name, values in data.items() if name.startswith("skfem:")}
    contents = MeshContents(points, [CellBlock(block.type, _nodes(block.data)) for block in mesh.cells])
    _compare(path, format_name, contents.count())
    contents.cell_data = {name: np.concatenate(values) for name, values in sets.items()}
    for line in messages:
        (contents.remarks if _HARMLESS.search(line) else contents.warnings).append(line)
    _add_sets(path, mesh, contents, format_name)
    contents.has_end = format_name != "flac3d"
    contents.program = "exodus" if format_name == "exodus" else "vtk"
    return contents


def _nodes(data):
    """Nodes as an array, of polyhedra only how many cells there are."""
    ragged = isinstance(data, list) or np.asarray(data).ndim != 2
    return np.zeros((len(data), 1), dtype=np.int64) if ragged else np.asarray(data, dtype=np.int64)


def _read(path, format_name):
    output = io.StringIO()
    try:
        with _captured(output):
            mesh = _opened(path, format_name)
    except ModuleNotFoundError as error:
        raise MeshError(
            f"{path} needs the package {error.name} to be read, which is not installed; install it with "
            f"`pip install {error.name}`"
        ) from error
    except _EndOfFileError as error:
        raise MeshError(f"{path} ends too early for a {format_name} file; it was cut off, export it again") from error
    except (Exception, SystemExit) as error:
        cause = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        words = output.getvalue() if isinstance(error, SystemExit) else cause
        raise MeshError(
            f"{path} cannot be read as a mesh in {format_name} format ({_first_line(words) or 'no reason given'}); it "
            "may be cut off or of another format: export it again, or as .vtu, .msh, .inp or .bdf"
        ) from error
    return mesh, [line for line in map(_plain, _paragraphs(output.getvalue())) if line]


def _opened(path, format_name):
    reader = meshio._helpers.reader_map[format_name]
    if format_name not in _LOOPING:
        return reader(str(path))
    with open(path, "rb", buffering=0) as raw:
        if _LOOPING[format_name] == "rb":
            return reader(_BinaryFile(raw))
        return reader(_TextFile(io.BufferedReader(raw), encoding="utf-8", errors="replace"))


@contextlib.contextmanager
def _captured(output):
    """Keep what readers print and warn of in ``output``. A file that ends too early is an error, no mere warning."""
    with (
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(output),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        for kind in (DeprecationWarning, FutureWarning, ResourceWarning):
            warnings.simplefilter("ignore", kind)
        warnings.filterwarnings("error", message="string or file could not be read")
        try:
            yield
        finally:
            output.writelines(f"{entry.message}\n" for entry in caught)


def _paragraphs(text):
    """The messages in a text, each warning as one line: rich breaks long ones."""
    return re.split(r"\n(?=Warning:|Info:|\S)", text.strip()) if text.strip() else []


def _plain(text):
    return re.sub(r"^(Warning|Info):\s*", "", " ".join(text.split()))


def _first_line(text):
    lines = str(text).strip().splitlines()
    return lines[0].strip() if lines else ""


def _add_sets(path, mesh, contents, format_name):
    """Sets of cells and points that the reader gives, MED's groups and Exodus' blocks and sides."""
    starts = np.cumsum([0, *(len(block.data) for block in mesh.cells)])
    for name, parts in (mesh.cell_sets or {}).items():
        if not name.startswith("gmsh:"):
            members = [
                np.asarray(part, dtype=np.int64) + start
                for part, start in zip(parts, starts[:-1], strict=False)
                if part is not None
            ]
            contents.cell_sets[name] = np.concatenate([np.empty(0, dtype=np.int64), *members])
    contents.point_sets.update(
        {name: np.asarray(part, dtype=np.int64) for name, part in (mesh.point_sets or {}).items()}
    )
    if getattr(mesh, "cell_tags", None) and "cell_tags" in mesh.cell_data:
        _add_families(mesh.cell_tags, np.concatenate(mesh.cell_data["cell_tags"]), contents.cell_sets)
    if getattr(mesh, "point_tags", None) and "point_tags" in mesh.point_data:
        _add_families(mesh.point_tags, np.asarray(mesh.point_data["point_tags"]), contents.point_sets)
    if format_name == "exodus":
        exodus_sets(path, contents)


def _add_families(families, numbers, sets):
    """MED: each family of cells or points belongs to some groups."""
    for family, groups in families.items():
        for group in groups:
            known = sets.get(group, np.empty(0, dtype=np.int64))
            sets[group] = np.concatenate([known, np.flatnonzero(numbers == family)])


# How many cells of which kind a text file counts: pattern with the count, kinds of meshio that it counts.
_COUNTS = {
    "medit": [(rb"^\s*Hexahedra\s+(\d+)", ("hexahedron",))],
    "su2": [(rb"^\s*NELEM\s*=\s*(\d+)", None)],
    "tecplot": [(rb"\b(?:ELEMENTS|E)\s*=\s*(\d+)", None)],
    "ugrid": [(rb"\A\s*(?:\d+\s+){6}(\d+)", ("hexahedron",))],
}


def _compare(path, format_name, counts):
    if format_name == "mdpa":
        _check_blocks(path)
    if format_name == "permas" and not re.search(rb"^\s*\$FIN", _text(path), re.IGNORECASE | re.MULTILINE):
        raise MeshError(f"{path} has no $FIN at its end: it was cut off, export it again")
    for pattern, kinds in _COUNTS.get(format_name, ()):
        claims = [int(n) for n in re.findall(pattern, _text(path), re.IGNORECASE | re.MULTILINE)]
        arrived = sum(n for kind, n in counts.items() if kinds is None or kind in kinds)
        if claims and sum(claims) > arrived:
            raise MeshError(
                f"{path} counts {sum(claims):,} cells, but {arrived:,} can be read ({listed(counts) or 'none'}); it "
                "was cut off, or has several parts: export it again, or as .vtu"
            )


def _check_blocks(path):
    text = _text(path)
    opened, closed = (len(re.findall(rb"^\s*" + word + rb"\b", text, re.MULTILINE)) for word in (b"Begin", b"End"))
    if opened != closed:
        raise MeshError(f"{path} begins {opened} blocks and ends {closed}; it was cut off, export it again")


def _text(path):
    data = Path(path).read_bytes()
    return b"" if b"\0" in data[:4096] else data
