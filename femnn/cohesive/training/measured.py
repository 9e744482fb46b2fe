"""Paths of one's own, measured or simulated, as data to train a law on: from .npz and .csv, their units checked."""

import csv
import io
import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from femnn.checks import checked, one_of, positive
from femnn.cohesive.training.data import PathData
from femnn.exceptions import DatasetError, ParameterError
from femnn.io.guarded import GuardedFile

#: Metres of a unit of length, and pascals of a unit of stress, by their names.
LENGTHS = {"m": 1.0, "mm": 1e-3, "um": 1e-6, "nm": 1e-9}
STRESSES = {"Pa": 1.0, "kPa": 1e3, "MPa": 1e6, "GPa": 1e9}

#: Columns of a .csv file: a name for each path, then opening and shears (m), normal and shear tractions (Pa). The last
#: shear may be left out.
COLUMNS = ("path", "opening", "shear1", "shear2", "traction_n", "traction_1", "traction_2")

# Separations (m) and tractions (Pa) of interfaces lie between these; outside, a unit is another one.
_LENGTHS_OF_JOINTS, _STRESSES_OF_JOINTS = (1e-11, 0.1), (100.0, 1e12)

# Fewest paths: one to learn from, one to choose the epoch by, one to test on.
_FEWEST = 3


@checked(separation_scale="unchecked", traction_scale="unchecked")
def read_paths(
    file: str | os.PathLike,
    *,
    length: str = "m",
    stress: str = "Pa",
    separation_scale: float | None = None,
    traction_scale: float | None = None,
) -> PathData:
    """Separations and tractions along paths, from a file.

    Parameters
    ----------
    file
        ``.npz`` with arrays ``separation`` and ``traction`` (paths, points, 3), or (paths, points, 2) in two
        dimensions; or ``.csv`` with a row for each point and the columns :data:`COLUMNS`, paths one after another.
        Opening and tension are positive, and every path starts at separation zero, at the virgin interface. In a .csv
        file paths may differ in length: shorter ones stay at their last point.
    length, stress
        Units of the file: a key of :data:`LENGTHS` and of :data:`STRESSES`.
    separation_scale
        Separation of complete softening, m; default: the largest of the data.
    traction_scale
        Strength that errors are measured by, Pa; default: the largest traction of the data that is no compression.

    Raises
    ------
    DatasetError
        If the file cannot be read, or has other columns or arrays.
    ParameterError
        If paths do not start at zero, units cannot be, tractions oppose the separations, or scales do not fit the data.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "paths.csv"
    ...     rows = [f"{path},{0.01 * point},0,{2.0 * point},0" for path in "abc" for point in range(4)]
    ...     _ = file.write_text("path,opening,shear1,traction_n,traction_1\\n" + "\\n".join(rows))
    ...     data = read_paths(file, length="mm", stress="MPa")
    >>> data, data.separation_scale, data.traction_scale
    (PathData(3 paths of 4 points, []), 3e-05, 6000000.0)
    """
    path = Path(file)
    for name, unit, known in (("length", length, LENGTHS), ("stress", stress, STRESSES)):
        one_of(name, unit, tuple(known))
    if path.suffix not in (".npz", ".csv"):
        raise ParameterError(f"{path} is no .npz and no .csv file; see femnn.cohesive.training.read_paths for both")
    guarded = GuardedFile(path, DatasetError, "file of separation paths", "see femnn.cohesive.training.read_paths")
    content = guarded.content()
    with guarded.checked():
        separation, traction = _arrays(guarded, content) if path.suffix == ".npz" else _rows(content)
    separation, traction = LENGTHS[length] * separation, STRESSES[stress] * traction
    data = PathData(separation, traction, 1.0, 1.0, about={"file": path.name, "paths": {"n": len(separation)}})
    _require_units(separation, traction, length, stress)
    sizes = np.linalg.norm(separation, axis=2), np.linalg.norm(np.maximum(traction, [0.0, -np.inf, -np.inf]), axis=2)
    scales = [
        _scale(name, given, float(size.max()), unit)
        for name, given, size, unit in zip(
            ("separation_scale", "traction_scale"), (separation_scale, traction_scale), sizes, ("m", "Pa"), strict=True
        )
    ]
    data = replace(data, separation_scale=scales[0], traction_scale=scales[1])
    data.require_virgin_starts()
    data.require_scales()
    _require_signs(separation, traction)
    return data


@checked(seed="[0, inf)")
def split(data: PathData, seed: int = 0) -> tuple[PathData, PathData, PathData]:
    """Paths to learn from, to choose the best epoch by (a tenth) and to test on (a tenth), drawn by ``seed``.

    Raises
    ------
    ParameterError
        If there are fewer than three paths.

    Examples
    --------
    >>> import femnn
    >>> from femnn.cohesive.training import PathData, split
    >>> data = PathData.of_law(femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0), n=20, steps=40)
    >>> [len(part.separations) for part in split(data)]
    [16, 2, 2]
    """
    if len(data) < _FEWEST:
        raise ParameterError(
            f"the data have {len(data)} paths; at least {_FEWEST} are needed, to learn from, to choose the best epoch "
            "by, and to test on"
        )
    order = np.random.default_rng(seed).permutation(len(data))
    tenth = max(1, len(data) // 10)
    return data[order[2 * tenth :]], data[order[:tenth]], data[order[tenth : 2 * tenth]]


def _arrays(guarded, content):
    arrays = guarded.arrays(content)
    for name in ("separation", "traction"):
        if name not in arrays:
            raise ValueError(f"it has no array {name!r} but {', '.join(arrays) or 'none'}")
        values = arrays[name]
        if values.dtype.kind not in "iuf" or values.ndim != 3 or values.shape[2] not in (2, 3) or values.shape[1] < 2:
            raise ValueError(
                f"{name} is {values.dtype} of shape {values.shape}; needed are numbers (paths, points, 3) or (paths, "
                "points, 2), two points or more"
            )
    if arrays["separation"].shape != arrays["traction"].shape:
        raise ValueError(f"separation is {arrays['separation'].shape}, traction {arrays['traction'].shape}")
    missing = 3 - arrays["separation"].shape[2]
    return (np.pad(arrays[name].astype(float), ((0, 0), (0, 0), (0, missing))) for name in ("separation", "traction"))


def _rows(content):
    """Paths of a .csv file, the shorter ones at rest at their ends."""
    reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig")), skipinitialspace=True)
    heads = [head.strip() for head in reader.fieldnames or []]
    missing = [name for name in COLUMNS if name not in heads and name not in ("shear2", "traction_2")]
    unknown = [name for name in heads if name not in COLUMNS]
    if missing or unknown:
        raise ValueError(
            f"its columns are {', '.join(heads) or 'none'}; needed are {', '.join(COLUMNS)} (the last shear of both "
            "may be left out)"
        )
    reader.fieldnames = heads
    paths: dict[str, list] = {}
    last = None
    for line, row in enumerate(reader, 2):
        name = str(row["path"]).strip()
        if name != last and name in paths:
            raise ValueError(f"line {line} goes back to path {name!r}; keep the points of a path together")
        try:
            numbers = [float(row.get(column, "0")) for column in COLUMNS[1:]]
        except (TypeError, ValueError) as error:
            raise ValueError(f"line {line} has no number in each column: {error}") from error
        if not all(map(math.isfinite, numbers)):
            raise ValueError(f"line {line} has a number that is not finite")
        paths.setdefault(name, []).append(numbers)
        last = name
    if not paths or max(map(len, paths.values())) < 2:
        raise ValueError("it has no path of two points")
    longest = max(map(len, paths.values()))
    arrays = np.array([points + [points[-1]] * (longest - len(points)) for points in paths.values()])
    return arrays[..., :3], arrays[..., 3:]


def _require_units(separation, traction, length, stress):
    for what, values, (low, high), unit, other in (
        ("separation", separation, _LENGTHS_OF_JOINTS, "m", f"length is {length!r}"),
        ("traction", traction, _STRESSES_OF_JOINTS, "Pa", f"stress is {stress!r}"),
    ):
        largest = float(np.abs(values).max())
        if not low <= largest <= high:
            raise ParameterError(
                f"the largest {what} is {largest:.3g} {unit}, which no interface has ({low:g} to {high:g} {unit}); "
                f"the {other}: is that the unit of the file?"
            )


def _scale(name, given, largest, unit):
    """A scale that was given, if it fits, or that of the data."""
    if given is None:
        if largest == 0.0:
            raise ParameterError(f"the data have no {name.partition('_')[0]} but compression; pass {name} ({unit})")
        return largest
    return positive(name, given)


def _require_signs(separation, traction):
    """Raise ParameterError if the tractions do negative work: somebody has compression or closing positive."""
    work = (0.5 * (traction[:, 1:] + traction[:, :-1]) * np.diff(separation, axis=1)).sum(axis=(1, 2))
    against = np.flatnonzero(work < 0.0)
    if 2 * len(against) > len(work):
        raise ParameterError(
            f"the tractions do negative work on {len(against)} of {len(work)} paths, {work[against[0]]:.3g} J/m² on "
            f"path {against[0]}; opening and tension are positive, and tractions resist the separations"
        )
