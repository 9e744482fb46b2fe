"""A field at many times, from files of others: NumPy archives, VTU series with a PVD index, XDMF and HDF5."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import meshio
import numpy as np
from meshio.xdmf import TimeSeriesReader

from femnn.checks import brief, checked
from femnn.exceptions import DatasetError, MissingExtraError, ParameterError
from femnn.io.guarded import GuardedFile

#: Names by which archives may call what they hold.
_SNAPSHOTS, _TIMES = ("snapshots", "u", "values", "data"), ("times", "time", "t")


@dataclass(frozen=True, eq=False)
class FieldSeries:
    """A field at many times.

    Attributes
    ----------
    times : (m,)
    values : (m, n)
        A row for each time; vectors one component after another at each point.
    name : str
        Of the field.
    points : (n_points, 3), or None
        Where it is known, for pictures.
    timed : bool
        Whether the file has times; without them they are 0, 1, 2, ...

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.io import FieldSeries
    >>> series = FieldSeries(np.array([0.0, 0.5]), np.array([[1.0, 2.0, 3.0], [2.0, 3.0, 4.0]]), "temperature")
    >>> series.values.shape, series.timed
    ((2, 3), True)

    See Also
    --------
    femnn.io.read_field_series : from the files of a simulation
    """

    times: np.ndarray
    values: np.ndarray
    name: str
    points: np.ndarray | None = None
    timed: bool = True

    def __repr__(self) -> str:
        return f"FieldSeries({self.name!r}, {len(self.times)} times of {self.values.shape[1]:,} values)"


@checked()
def read_field_series(path: str | os.PathLike, field: str | None = None) -> FieldSeries:
    """Read a field at all times that a file has.

    Parameters
    ----------
    path
        ``.npz`` with ``snapshots`` (times, values) and, if it has them, ``times``; ``.pvd``, an index of VTU files as
        :func:`femnn.io.time_series` writes it; ``.xdmf``; ``.h5`` or ``.hdf5`` with datasets as of ``.npz``.
    field
        Its name; None takes the only one there is, or ``snapshots``.

    Raises
    ------
    DatasetError
        If the file is damaged or missing, or the meshes of a series are not alike.
    ParameterError
        If the suffix is none of these, or the field is not there.
    MissingExtraError
        If HDF5 is asked for and h5py is not installed.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "flow.npz"
    >>> np.savez(file, snapshots=np.ones((5, 3)), times=np.arange(5.0))
    >>> read_field_series(file)
    FieldSeries('snapshots', 5 times of 3 values)
    """
    path = Path(path)
    kinds: dict[str, Callable[[Path, str | None], FieldSeries]] = {
        ".npz": _read_npz, ".pvd": _read_pvd, ".xdmf": _read_xdmf, ".h5": _read_hdf5, ".hdf5": _read_hdf5,
    }  # fmt: skip
    if path.suffix.lower() not in kinds:
        raise ParameterError(
            f"{path} has the suffix {path.suffix!r}; a series is a file of {', '.join(kinds)} (VTU files need a .pvd "
            "index)"
        )
    series = kinds[path.suffix.lower()](path, field)
    bad = np.argwhere(~np.isfinite(series.values))
    if len(bad):
        step, place = bad[0]
        raise DatasetError(
            f"{path}: {series.name} is {series.values[step, place]} at snapshot {step} (time {series.times[step]:g}), "
            f"value {place}; {len(bad)} values are not finite: mend them, or cut the series before"
        )
    return series


def _file(path: Path) -> GuardedFile:
    return GuardedFile(path, DatasetError, "series of snapshots", "write it again, or pass another file")


def _read_npz(path: Path, field: str | None) -> FieldSeries:
    return _from_arrays(path, _file(path).arrays(), field)


def _read_hdf5(path: Path, field: str | None) -> FieldSeries:
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError(f"h5py is not installed ({error}); pip install 'femnn[hdf5]'") from error
    arrays: dict[str, np.ndarray] = {}
    with _file(path).opened() as stream, _file(path).checked(), h5py.File(stream, "r") as file:

        def keep(name: str, thing: Any) -> None:
            wanted = field is None or name == field or name.rpartition("/")[2] in _TIMES
            if isinstance(thing, h5py.Dataset) and thing.dtype.kind in "iuf" and wanted:
                arrays[name] = thing[()]

        file.visititems(keep)
    return _from_arrays(path, arrays, field)


def _from_arrays(path: Path, arrays: dict[str, np.ndarray], field: str | None) -> FieldSeries:
    times = next((arrays[name] for name in arrays if name.rpartition("/")[2] in _TIMES and name != field), None)
    matrices = {name: array for name, array in arrays.items() if array.ndim >= 2 or name == field}
    if field is None:
        field = next((name for name in _SNAPSHOTS if name in matrices), None)
        field = next(iter(matrices)) if field is None and len(matrices) == 1 else field
    if field not in arrays:
        there = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "nothing"
        raise ParameterError(
            f"{path} has {there}; it needs an array 'snapshots' (times, values), or name another one with --field"
        )
    values = np.asarray(arrays[field])
    if values.dtype.kind not in "iuf" or values.ndim < 2:
        raise DatasetError(f"{path}: {field} is {brief(values)}; pass real numbers (times, values)")
    values = values.reshape(len(values), -1).astype(float)
    return _series(path, times, values, field)


def _series(path: Path, times: Any, values: np.ndarray, name: str, points: np.ndarray | None = None) -> FieldSeries:
    timed = times is not None
    times = np.asarray(times, dtype=float).ravel() if timed else np.arange(float(len(values)))
    if len(times) != len(values):
        raise DatasetError(f"{path} has {len(times)} times and {len(values)} snapshots of {name}; write one of each")
    if not np.isfinite(times).all():
        raise DatasetError(f"{path}: time {np.flatnonzero(~np.isfinite(times))[0]} is not finite; write it again")
    return FieldSeries(times, values, name, points, timed)


def _read_pvd(path: Path, field: str | None) -> FieldSeries:
    content, file = _file(path).content(), _file(path)
    with file.checked():
        sets = list(ElementTree.fromstring(content).iter("DataSet"))
        entries = [(float(entry.attrib["timestep"]), path.parent / entry.attrib["file"]) for entry in sets]
    if not entries:
        raise DatasetError(f"{path} lists no files; write the series again")
    rows: list[np.ndarray] = []
    first: Any = None
    name = field or ""
    for t, part in entries:
        if not part.is_file():
            raise DatasetError(f"{path} lists {part.name} for time {t:g}, which is not there; write the series again")
        with _file(part).checked():
            # not meshio.read, which ends the program where it fails
            mesh = meshio.vtu.read(str(part))
        if first is None:
            first, name = mesh, _chosen(path, mesh.point_data, mesh.cell_data, field)
        _require_alike(first, mesh, part)
        rows.append(_values(part, mesh.point_data, mesh.cell_data, name))
    return _stacked(path, [t for t, _ in entries], rows, name, first)


def _read_xdmf(path: Path, field: str | None) -> FieldSeries:
    steps = []
    with _file(path).checked(), TimeSeriesReader(path) as reader:
        mesh = meshio.Mesh(*reader.read_points_cells())
        for step in range(reader.num_steps):
            t, point_data, cell_data = reader.read_data(step)[:3]
            steps.append((float(t), point_data, {key: list(parts) for key, parts in cell_data.items()}))
    if not steps:
        raise DatasetError(f"{path} has no times; write the series again")
    name = _chosen(path, steps[0][1], steps[0][2], field)
    return _stacked(
        path, [t for t, *_ in steps], [_values(path, points, cells, name) for _, points, cells in steps], name, mesh
    )


def _chosen(path: Path, point_data: dict[str, Any], cell_data: dict[str, Any], field: str | None) -> str:
    names = [*point_data, *cell_data]
    if field is None and len(names) == 1:
        return names[0]
    if field is None or field not in names:
        asked = "name one of them with --field" if field is None else f"there is no {field!r} among them"
        raise ParameterError(f"{path} has the fields {', '.join(names) or 'none'}; {asked}")
    return field


def _values(path: Path, point_data: dict[str, Any], cell_data: dict[str, Any], name: str) -> np.ndarray:
    if name in point_data:
        return np.asarray(point_data[name], dtype=float).ravel()
    if name in cell_data:
        return np.concatenate([np.asarray(part, dtype=float).ravel() for part in cell_data[name]])
    raise DatasetError(f"{path} has no field {name!r}, the files before have; write the series again")


def _require_alike(first: meshio.Mesh, mesh: meshio.Mesh, part: Path) -> None:
    alike = first.points.shape == mesh.points.shape and np.allclose(first.points, mesh.points, atol=1e-12)
    alike &= [block.data.shape for block in first.cells] == [block.data.shape for block in mesh.cells]
    if not alike or any((a.data != b.data).any() for a, b in zip(first.cells, mesh.cells, strict=True)):
        raise DatasetError(
            f"{part} has another mesh than the first of the series ({len(mesh.points)} and {len(first.points)} points);"
            " modes need one mesh: interpolate all fields to it"
        )


def _stacked(path: Path, times: list[float], rows: list[np.ndarray], name: str, mesh: meshio.Mesh) -> FieldSeries:
    lengths = {len(row) for row in rows}
    if len(lengths) > 1:
        raise DatasetError(f"{path}: {name} has {sorted(lengths)} values at different times; modes need one mesh")
    # values of cells have no place in a picture of points
    points = mesh.points if len(rows[0]) % len(mesh.points) == 0 else None
    return _series(path, times, np.stack(rows), name, points)
