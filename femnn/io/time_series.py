"""Fields that change with time as files for ParaView: VTU files with a PVD index, or one XDMF file."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol
from xml.etree import ElementTree

import meshio
import numpy as np
from meshio.xdmf import TimeSeriesReader, TimeSeriesWriter

from femnn.checks import checked
from femnn.exceptions import ParameterError
from femnn.io.atomic import atomic_write


class TimeSeries(Protocol):
    """A series of meshes with fields, which grows by one at a time.

    Examples
    --------
    >>> import meshio, numpy as np
    >>> from femnn.io import TimeSeries, time_series
    >>> points = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    >>> mesh = meshio.Mesh(points, [("quad", [[0, 1, 2, 3]])], point_data={"height": np.arange(4.0)})
    >>> def record(series: TimeSeries) -> None:
    ...     series.write(0.0, mesh)
    ...     series.write(0.5, mesh)
    >>> record(time_series("square.pvd"))
    """

    @checked()
    def write(self, t: float, mesh: meshio.Mesh) -> None:
        """Add the ``mesh`` with its fields at time ``t``."""


@checked()
def time_series(path: str | os.PathLike, start: float | None = None) -> TimeSeries:
    """A series of meshes with fields in ``path``: ``write(t, mesh)`` adds a ``meshio.Mesh``.

    Parameters
    ----------
    path
        ``.pvd``: a VTU file for each time, beside an index. ``.xdmf``: one file, for a mesh that stays as it is.
    start
        Time that a run goes on from: what an existing file has up to there stays. Default: a new series.

    Raises
    ------
    ParameterError
        If the suffix is another one.

    Examples
    --------
    >>> import meshio, numpy as np
    >>> from femnn.io import time_series
    >>> series = time_series("growing.pvd")
    >>> triangle = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    >>> for t in (0.0, 0.5):
    ...     series.write(t, meshio.Mesh((1.0 + t) * triangle, [("triangle", [[0, 1, 2]])]))

    ParaView opens ``growing.pvd``, which lists a file for each time:

    >>> from pathlib import Path
    >>> Path("growing.pvd").read_text().count("<DataSet")
    2
    """
    kinds: dict[str, Callable[[Path, float | None], TimeSeries]] = {".pvd": _PvdSeries, ".xdmf": _XdmfSeries}
    path = Path(path)
    if path.suffix not in kinds:
        raise ParameterError(f"{path} has the suffix {path.suffix!r}; a series is a .pvd or an .xdmf file")
    return kinds[path.suffix](path, start if path.exists() else None)


class PvdIndex:
    """A PVD file: which file is of which time.

    Parameters
    ----------
    path, start
        As for :func:`time_series`.
    """

    def __init__(self, path: Path, start: float | None) -> None:
        self.path = path
        self._entries: list[tuple[float, str]] = []
        if start is not None:
            sets = ElementTree.parse(path).iter("DataSet")
            entries = [(float(entry.attrib["timestep"]), entry.attrib["file"]) for entry in sets]
            self._entries = [(t, name) for t, name in entries if t <= start]

    @property
    def stem(self) -> str:
        """Name of the next file, without its suffix."""
        return f"{self.path.stem}-{len(self._entries):04d}"

    def add(self, t: float, name: str, write: bool = True) -> None:
        """Add a file, which lies beside the index; False leaves it to another process to ``write`` that down."""
        self._entries.append((t, name))
        if write:
            self._write()

    def _write(self) -> None:
        root = ElementTree.Element("VTKFile", type="Collection", version="0.1")
        collection = ElementTree.SubElement(root, "Collection")
        for t, name in self._entries:
            ElementTree.SubElement(collection, "DataSet", timestep=repr(float(t)), part="0", file=name)
        with atomic_write(self.path) as temporary:
            ElementTree.ElementTree(root).write(os.fspath(temporary), encoding="utf-8", xml_declaration=True)


class _PvdSeries:
    def __init__(self, path: Path, start: float | None) -> None:
        self._index = PvdIndex(path, start)

    def write(self, t: float, mesh: meshio.Mesh) -> None:
        name = f"{self._index.stem}.vtu"
        with atomic_write(self._index.path.with_name(name)) as temporary:
            mesh.write(temporary)
        self._index.add(t, name)


class _XdmfSeries:
    def __init__(self, path: Path, start: float | None) -> None:
        self.path = path
        # numbers in the file itself: meshio's HDF wants h5py, and writes into the working directory
        self._writer = TimeSeriesWriter(path, data_format="XML")
        if start is not None:
            self._take_up(start)

    def _take_up(self, start: float) -> None:
        with TimeSeriesReader(self.path) as reader:
            points, cells = reader.read_points_cells()
            for step in range(reader.num_steps):
                t, point_data, cell_data = reader.read_data(step)[:3]
                if float(t) <= start:
                    self._add(float(t), meshio.Mesh(points, cells, point_data, cell_data))

    def _add(self, t: float, mesh: meshio.Mesh) -> None:
        if not self._writer.has_mesh:
            self._writer.write_points_cells(mesh.points, mesh.cells)
        self._writer.write_data(t, mesh.point_data, mesh.cell_data)

    def write(self, t: float, mesh: meshio.Mesh) -> None:
        self._add(t, mesh)
        # whole after every state, so that a run that ends early leaves what it had
        with atomic_write(self.path) as temporary:
            self._writer.filename = temporary
            self._writer.__exit__()


@checked(vectors="n 2 | n 3")
def padded(vectors: np.ndarray) -> np.ndarray:
    """Vectors (n, dim) with the third component 0 where there are two.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.io import padded
    >>> padded(np.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [[1.0, 2.0, 0.0], [3.0, 4.0, 0.0]]
    """
    return np.pad(vectors, ((0, 0), (0, 3 - vectors.shape[1])))
