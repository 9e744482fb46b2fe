"""Legacy VTK files (``.vtk``), text and binary: unstructured, structured and rectilinear grids, and images.

meshio's reader leaves voxels out, so this one is of our own. It follows "VTK File Formats" of the VTK book.
"""

from pathlib import Path
from typing import Any

import numpy as np

from femnn.exceptions import MeshError
from femnn.mesh_files.byte_cursor import Cursor
from femnn.mesh_files.contents import MeshContents
from femnn.mesh_files.vtk_cells import vtk_contents

_TYPES = {
    "bit": "u1", "char": "i1", "signed_char": "i1", "unsigned_char": "u1", "short": "i2", "unsigned_short": "u2",
    "int": "i4", "unsigned_int": "u4", "long": "i8", "unsigned_long": "u8", "float": "f4", "double": "f8",
    "vtkidtype": "i8", "vtktypeint8": "i1", "vtktypeuint8": "u1", "vtktypeint16": "i2", "vtktypeuint16": "u2",
    "vtktypeint32": "i4", "vtktypeuint32": "u4", "vtktypeint64": "i8", "vtktypeuint64": "u8",
    "vtktypefloat32": "f4", "vtktypefloat64": "f8",
}  # fmt: skip
# Attributes and their numbers per item; None where the line says it.
_ATTRIBUTES = {"SCALARS": None, "COLOR_SCALARS": None, "LOOKUP_TABLE": 4, "VECTORS": 3, "NORMALS": 3}
_ATTRIBUTES |= {"TEXTURE_COORDINATES": None, "TENSORS": 9, "TENSORS6": 6, "GLOBAL_IDS": 1, "PEDIGREE_IDS": 1}


def read_vtk(path) -> MeshContents:
    """Contents of a legacy VTK file.

    Raises
    ------
    MeshError
        If the file is cut off, holds other counts than it claims, or is of a kind without volume cells.
    """
    return _Reader(Path(path)).contents()


class _Reader:
    def __init__(self, path) -> None:
        self.path, self.cursor = path, Cursor(path, path.read_bytes().replace(b"\r\n", b"\n"), order=">")
        head = [self.cursor.line() for _ in range(3)]
        if head[2].upper() not in ("ASCII", "BINARY"):
            raise MeshError(
                f"{path} has {head[2][:20]!r} in its third line, where ASCII or BINARY has to be; export it again"
            )
        self.cursor.binary = head[2].upper() == "BINARY"
        if self.cursor.binary:
            # only text may have its line ends changed
            self.cursor.data = path.read_bytes()
        self.dataset = self.items = None
        self.values: dict[str, Any] = {}
        self.data: dict[str, np.ndarray] = {}
        self.of_cells = False

    def contents(self):
        while True:
            line = self.cursor.next_line()
            if not line:
                break
            words = line.split()
            self._take(words[0].upper(), words)
        if self.dataset is None:
            raise MeshError(f"{self.path} has no DATASET; it was cut off, export it again")
        return self._unstructured() if self.dataset == "UNSTRUCTURED_GRID" else self._structured()

    def _take(self, key, words):
        try:
            if key in _ATTRIBUTES:
                return self._attribute(key, words)
            action = getattr(self, f"_{key.lower()}", None)
            if action is None:
                raise MeshError(
                    f"{self.path} has the unknown section {words[0][:40]!r}; it may be damaged, export it again"
                )
            return action(words)
        except (IndexError, ValueError, KeyError) as error:
            if isinstance(error, MeshError):
                raise
            raise MeshError(
                f"{self.path} ends within or damages its section {' '.join(words)[:50]!r}; it was cut off, "
                "export it again"
            ) from error

    def _dataset(self, words):
        self.dataset = words[1].upper()
        if self.dataset not in ("UNSTRUCTURED_GRID", "STRUCTURED_GRID", "RECTILINEAR_GRID", "STRUCTURED_POINTS"):
            raise MeshError(f"{self.path} is a VTK file of {self.dataset}, which has no volume cells; give a grid")

    def _points(self, words):
        count = int(words[1])
        self.values["POINTS"] = self.cursor.table(3 * count, _TYPES[words[2].lower()], "POINTS").reshape(-1, 3)

    def _cells(self, words):
        first, second = int(words[1]), int(words[2])
        place = self.cursor.place
        head = self.cursor.next_line().split()
        if head and head[0].upper() == "OFFSETS":
            offsets = self.cursor.table(first, _TYPES[head[1].lower()], "OFFSETS").astype(np.int64)
            head = self.cursor.next_line().split()
            self.values["CELLS"] = (self.cursor.table(second, _TYPES[head[1].lower()], "CONNECTIVITY"), offsets[1:])
            if head[0].upper() != "CONNECTIVITY" or (len(offsets) and offsets[0] != 0):
                raise ValueError
            return
        self.cursor.place = place
        rows = self.cursor.table(second, "i4", "CELLS").astype(np.int64)
        starts = [0]
        for _ in range(first):
            starts.append(starts[-1] + 1 + int(rows[starts[-1]]))
        if starts[-1] != second or (np.diff(starts) < 1).any():
            raise ValueError
        keep = np.ones(second, dtype=bool)
        keep[starts[:-1]] = False
        self.values["CELLS"] = (rows[keep], np.array(starts[1:]) - np.arange(1, first + 1))

    def _cell_types(self, words):
        self.values["CELL_TYPES"] = self.cursor.table(int(words[1]), "i4", "CELL_TYPES")

    def _dimensions(self, words):
        self.values["DIMENSIONS"] = [int(word) for word in words[1:4]]

    def _origin(self, words):
        self.values[words[0].upper()] = [float(words[k]) for k in (1, 2, 3)]

    _spacing = _aspect_ratio = _origin

    def _x_coordinates(self, words):
        self.values[words[0].upper()] = self.cursor.table(int(words[1]), _TYPES[words[2].lower()], words[0])

    _y_coordinates = _z_coordinates = _x_coordinates

    def _point_data(self, words):
        self.items, self.of_cells = int(words[1]), False

    def _cell_data(self, words):
        self.items, self.of_cells = int(words[1]), True

    def _attribute(self, key, words):
        count, width = self.items, _ATTRIBUTES[key]
        kind = words[2].lower() if key not in ("LOOKUP_TABLE", "COLOR_SCALARS") else "unsigned_char"
        if key == "LOOKUP_TABLE":
            count = int(words[2])
        elif width is None:
            named = words[2] if key != "SCALARS" else (words[3] if words[3:] else 1)
            width, kind = int(named), words[3].lower() if key == "TEXTURE_COORDINATES" else kind
        if key == "SCALARS":
            place = self.cursor.place
            if not self.cursor.next_line().upper().startswith("LOOKUP_TABLE"):
                self.cursor.place = place
        self._keep(words[1], self._values(count * width, kind, words[1]), width)

    def _values(self, count, kind, what):
        if kind == "bit" and self.cursor.binary:
            return np.unpackbits(self.cursor.raw(-(-count // 8), "u1", what))[:count]
        # colours are written as fractions in text
        floats = not self.cursor.binary and kind in ("unsigned_char", "float", "double")
        return self.cursor.table(count, "f8" if floats else _TYPES[kind], what)

    def _keep(self, name, values, width):
        if self.items is not None and self.of_cells and name.startswith("skfem:"):
            self.data[name] = values.reshape(-1, width)[:, 0] if width == 1 else values.reshape(-1, width)

    def _field(self, words):
        for _ in range(int(words[2])):
            head = self.cursor.next_line().split()
            if head[0].upper() == "METADATA":
                self._metadata(head)
                head = self.cursor.next_line().split()
            width, count, kind = int(head[1]), int(head[2]), head[3].lower()
            if kind in ("string", "utf8_string"):
                self._strings(width * count)
            else:
                self._keep(head[0], self._values(width * count, kind, head[0]), width)

    def _strings(self, count):
        for _ in range(count):
            if not self.cursor.binary:
                self.cursor.line()
                continue
            # two bits of the first byte tell how many bytes hold the length
            first = int(self.cursor.raw(1, "u1", "strings")[0])
            more = {3: 0, 2: 1, 1: 3, 0: 7}[first >> 6]
            following = self.cursor.raw(more, "u1", "strings").tobytes()
            self.cursor.raw(int.from_bytes(bytes([first & 63]) + following, "big"), "u1", "strings")

    def _metadata(self, _):
        while self.cursor.line():
            pass

    def _unstructured(self):
        missing = next((key for key in ("POINTS", "CELLS", "CELL_TYPES") if key not in self.values), None)
        if missing:
            raise MeshError(f"{self.path} has no {missing}; it was cut off, export it again")
        connectivity, ends = self.values["CELLS"]
        return vtk_contents(self.path, self.values["POINTS"], connectivity, ends, self.values["CELL_TYPES"], self.data)

    def _structured(self):
        try:
            shape = self.values["DIMENSIONS"]
            points = self.values["POINTS"] if self.dataset == "STRUCTURED_GRID" else _lattice(self._axes(shape))
        except KeyError as error:
            raise MeshError(f"{self.path} has no {error.args[0]}; it was cut off, export it again") from error
        if len(shape) != 3 or np.prod(shape) != len(points) or min(shape) < 2:
            raise MeshError(
                f"{self.path} has the dimensions {shape} for {len(points):,} points; a solid needs at least two along "
                "each axis"
            )
        return structured_contents(self.path, shape, points, self.data)

    def _axes(self, shape):
        if self.dataset == "RECTILINEAR_GRID":
            return [self.values[f"{axis}_COORDINATES"] for axis in "XYZ"]
        spacing = self.values["SPACING" if "SPACING" in self.values else "ASPECT_RATIO"]
        return [o + np.arange(n) * h for o, n, h in zip(self.values["ORIGIN"], shape, spacing, strict=True)]


def _lattice(axes):
    """Points of a lattice, x fastest."""
    z, y, x = np.meshgrid(*axes[::-1], indexing="ij")
    return np.column_stack([x.ravel(), y.ravel(), z.ravel()])


def structured_contents(path, shape, points, cell_data) -> MeshContents:
    """Contents of a grid of ``shape`` points along the axes, x fastest."""
    number = np.arange(np.prod(shape)).reshape(shape[::-1])
    corners = [(0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 0), (1, 0, 0), (1, 0, 1), (1, 1, 1), (1, 1, 0)]
    nz, ny, nx = (n - 1 for n in number.shape)
    cells = np.column_stack([number[k : k + nz, j : j + ny, i : i + nx].ravel() for k, j, i in corners])
    ends = 8 * np.arange(1, len(cells) + 1)
    return vtk_contents(path, points, cells.ravel(), ends, np.full(len(cells), 12), cell_data)
