"""VTK's XML files of unstructured grids (``.vtu``), as text, base64 or raw, compressed or not, of one piece or several.

meshio's reader leaves voxels out and, of several pieces, all but the last, so this one is of our own. It follows "VTK
XML Formats" of the VTK documentation.
"""

import base64
import binascii
import lzma
import zlib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from femnn.exceptions import MeshError
from femnn.mesh_files.contents import MeshContents
from femnn.mesh_files.vtk_cells import vtk_contents

_TYPES = {f"{sign}Int{8 * n}": f"{'u' if sign else 'i'}{n}" for sign in ("", "U") for n in (1, 2, 4, 8)}
_TYPES |= {"Float32": "f4", "Float64": "f8"}
_COMPRESSORS = {"vtkZLibDataCompressor": zlib.decompress, "vtkLZMADataCompressor": lzma.decompress}


def read_vtu(path) -> MeshContents:
    """Contents of a VTU file.

    Raises
    ------
    MeshError
        If the file is cut off or damaged, is of another type, or compressed by a method that Python lacks.
    """
    try:
        return _Reader(Path(path)).contents()
    except MeshError:
        raise
    except ElementTree.ParseError as error:
        raise MeshError(
            f"{path} is no complete XML file ({error}); it was cut off or damaged, export it again"
        ) from error
    except (KeyError, ValueError, IndexError, AttributeError, zlib.error, lzma.LZMAError, binascii.Error) as error:
        raise MeshError(
            f"{path} is no complete VTU file ({type(error).__name__}: {error}); it was cut off or damaged, export it"
            " again"
        ) from error


class _Reader:
    def __init__(self, path) -> None:
        self.path = path
        text, self.appended = _without_raw(path.read_bytes())
        self.root = ElementTree.fromstring(text)
        if self.root.tag != "VTKFile" or self.root.get("type") != "UnstructuredGrid":
            what = self.root.get("type") or self.root.tag
            raise MeshError(
                f"{path} holds {what}, not a VTK UnstructuredGrid; save it as one (ParaView: Append Datasets)"
            )
        self.order = ">" if self.root.get("byte_order") == "BigEndian" else "<"
        self.header = self.order + _TYPES[self.root.get("header_type", "UInt32")]
        name = self.root.get("compressor")
        if name and name not in _COMPRESSORS:
            raise MeshError(
                f"{path} is compressed with {name}, which is not read; save it with ZLib or without compression"
            )
        self.decompress = _COMPRESSORS[name] if name else None
        text = self.root.findtext("AppendedData")
        if self.appended is None and text is not None:
            self.appended = "".join(text.split())[1:].encode()

    def contents(self):
        pieces = [self._piece(piece) for piece in self.root.findall("UnstructuredGrid/Piece")]
        if not pieces:
            raise MeshError(f"{self.path} has no Piece; it holds no mesh")
        first_points = np.cumsum([0, *(len(points) for points, *_ in pieces[:-1])])
        lengths = np.cumsum([0, *(len(connectivity) for _, connectivity, *_ in pieces[:-1])])
        # in the order of the file: that of a set differs from run to run
        names = [name for name in pieces[0][4] if all(name in piece[4] for piece in pieces)]
        contents = vtk_contents(
            self.path,
            np.concatenate([piece[0] for piece in pieces]),
            np.concatenate([piece[1] + first for piece, first in zip(pieces, first_points, strict=True)]),
            np.concatenate([piece[2] + length for piece, length in zip(pieces, lengths, strict=True)]),
            np.concatenate([piece[3] for piece in pieces]),
            {name: np.concatenate([piece[4][name] for piece in pieces]) for name in names},
        )
        if len(pieces) > 1:
            contents.remarks.append(f"{len(pieces)} pieces are put together; points at their borders are not merged")
        return contents

    def _piece(self, piece):
        n_points, n_cells = int(piece.get("NumberOfPoints")), int(piece.get("NumberOfCells"))
        points = self._array(piece.find("Points/DataArray"), 3 * n_points).reshape(-1, 3)
        arrays = {array.get("Name"): array for array in piece.findall("Cells/DataArray")}
        if n_cells == 0:
            return points, np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64), {}
        connectivity, ends = (self._array(arrays[name]).astype(np.int64) for name in ("connectivity", "offsets"))
        data = {
            array.get("Name"): self._array(array)
            for array in piece.findall("CellData/DataArray")
            if (array.get("Name") or "").startswith("skfem:")
        }
        if len(ends) != n_cells:
            raise MeshError(f"{self.path} claims {n_cells:,} cells and has {len(ends):,}; export it again")
        return points, connectivity, ends, self._array(arrays["types"], n_cells), data

    def _array(self, array, count=None):
        form, kind = array.get("format", "ascii"), np.dtype(_TYPES[array.get("type")])
        if form == "ascii":
            values = np.array((array.text or "").split(), dtype=kind.newbyteorder("="))
        else:
            encoded = form == "binary" or self.root.find("AppendedData").get("encoding") != "raw"
            data = (
                self.appended[int(array.get("offset")) :]
                if form == "appended"
                else "".join(array.text.split()).encode()
            )
            values = np.frombuffer(self._decoded(data, encoded), kind.newbyteorder(self.order))
            values = values.astype(kind.newbyteorder("="))
        if count is not None and len(values) != count:
            name = array.get("Name") or "its points"
            raise MeshError(f"{self.path} claims {count:,} numbers for {name} and has {len(values):,}; export it again")
        return values

    def _decoded(self, data, encoded):
        """Bytes of one array, which stand after a header of their sizes."""
        if self.decompress is not None:
            return b"".join(self._blocks(data, encoded))
        width = np.dtype(self.header).itemsize
        first = _characters(width) if encoded else width
        size = int(np.frombuffer(_plain(data[:first], encoded)[:width], self.header)[0])
        if encoded and b"=" not in data[:first]:
            # sizes and values are one text
            return _exactly(_plain(data[: _characters(width + size)], True)[width:], size)
        return _exactly(_plain(data[first : first + (_characters(size) if encoded else size)], encoded), size)

    def _blocks(self, data, encoded):
        width = np.dtype(self.header).itemsize
        first = _characters(width) if encoded else width
        length = width * (3 + int(np.frombuffer(_plain(data[:first], encoded)[:width], self.header)[0]))
        first = _characters(length) if encoded else length
        sizes = np.frombuffer(_exactly(_plain(data[:first], encoded), length), self.header)[3:].astype(np.int64)
        total = int(sizes.sum())
        body = _exactly(_plain(data[first : first + (_characters(total) if encoded else total)], encoded), total)
        for end, size in zip(np.cumsum(sizes), sizes, strict=True):
            yield self.decompress(body[end - size : end])


def _plain(data, encoded):
    return base64.b64decode(data) if encoded else data


def _characters(count):
    """Characters of base64 that hold so many bytes."""
    return -(-count // 3) * 4


def _exactly(data, size):
    if len(data) < size:
        raise ValueError(f"an array claims {size} bytes and has {len(data)}")
    return data[:size]


def _without_raw(data):
    """The XML text without raw appended data, which is no XML, and these data."""
    start = data.find(b"<AppendedData")
    opened = data.find(b">", start)
    if start < 0 or b"raw" not in data[start:opened]:
        return data, None
    first = data.find(b"_", opened)
    end = data.rfind(b"</AppendedData>")
    if first < 0 or end < first:
        raise ValueError("its appended data have no end")
    return data[: opened + 1] + data[end:], data[first + 1 : end]
