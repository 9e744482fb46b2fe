"""Fields that change with time as files for ParaView: VTU files with a PVD index, or one XDMF file."""

import os
from pathlib import Path
from xml.etree import ElementTree

import meshio
import numpy as np
from meshio.xdmf import TimeSeriesReader, TimeSeriesWriter

from femnn.exceptions import ParameterError
from femnn.io.atomic import atomic_write


def time_series(path, start=None):
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
    """
    kinds = {".pvd": _PvdSeries, ".xdmf": _XdmfSeries}
    path = Path(path)
    if path.suffix not in kinds:
        raise ParameterError(f"{path} has the suffix {path.suffix!r}; a series is a .pvd or an .xdmf file")
    return kinds[path.suffix](path, start if path.exists() else None)


class _PvdSeries:
    def __init__(self, path, start):
        self.path, self._entries = path, []
        if start is not None:
            sets = ElementTree.parse(path).iter("DataSet")
            entries = [(float(data_set.get("timestep")), data_set.get("file")) for data_set in sets]
            self._entries = [(t, name) for t, name in entries if t <= start]

    def write(self, t, mesh):
        name = f"{self.path.stem}-{len(self._entries):04d}.vtu"
        with atomic_write(self.path.with_name(name)) as temporary:
            mesh.write(temporary)
        self._entries.append((t, name))
        self._write_index()

    def _write_index(self):
        root = ElementTree.Element("VTKFile", type="Collection", version="0.1")
        collection = ElementTree.SubElement(root, "Collection")
        for t, name in self._entries:
            ElementTree.SubElement(collection, "DataSet", timestep=repr(float(t)), part="0", file=name)
        with atomic_write(self.path) as temporary:
            ElementTree.ElementTree(root).write(os.fspath(temporary), encoding="utf-8", xml_declaration=True)


class _XdmfSeries:
    def __init__(self, path, start):
        self.path = path
        # numbers in the file itself: meshio's HDF wants h5py, and writes into the working directory
        self._writer = TimeSeriesWriter(path, data_format="XML")
        if start is not None:
            self._take_up(start)

    def _take_up(self, start):
        with TimeSeriesReader(self.path) as reader:
            points, cells = reader.read_points_cells()
            for step in range(reader.num_steps):
                t, point_data, cell_data = reader.read_data(step)[:3]
                if float(t) <= start:
                    self._add(float(t), meshio.Mesh(points, cells, point_data, cell_data))

    def _add(self, t, mesh):
        if not self._writer.has_mesh:
            self._writer.write_points_cells(mesh.points, mesh.cells)
        self._writer.write_data(t, mesh.point_data, mesh.cell_data)

    def write(self, t, mesh):
        self._add(t, mesh)
        # whole after every state, so that a run that ends early leaves what it had
        with atomic_write(self.path) as temporary:
            self._writer.filename = temporary
            self._writer.__exit__()


def padded(vectors):
    """Vectors (n, dim) with the third component 0 where there are two."""
    return np.pad(vectors, ((0, 0), (0, 3 - vectors.shape[1])))
