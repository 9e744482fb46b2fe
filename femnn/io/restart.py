"""Restart files: named arrays and a header that says what they are, proves that they are whole, and holds the scalars.

A file is a compressed NumPy archive with the header, JSON, as one more array. Files of the first release have no header
and hold their scalars as arrays; they are read as well, their numbers checked alike.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from femnn.exceptions import ParameterError, StateError
from femnn.io.atomic import atomic_write

FORMAT, VERSION = "femnn-restart", 1

# Nothing that deflate compresses shrinks further than by this factor: larger claims are damage.
_MOST_COMPRESSION = 1100


class RestartFile(NamedTuple):
    """Contents of a restart file; every reading method raises StateError if the entry is missing or nonsensical.

    Attributes
    ----------
    path
        Where it was read from.
    scalars : dict
        Numbers and texts by name.
    arrays : dict of arrays
        By name.
    """

    path: Path
    scalars: dict
    arrays: dict

    def number(self, name: str) -> float:
        """A finite number."""
        value = self.scalars.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
            raise _damaged(self.path, f"{name} is {value!r}, not a finite number")
        return float(value)

    def text(self, name: str) -> str:
        """A text."""
        if not isinstance(self.scalars.get(name), str):
            raise _damaged(self.path, f"{name} is {self.scalars.get(name)!r}, not a text")
        return self.scalars[name]

    def array(self, name: str, shape: tuple, dtype: type = float) -> np.ndarray:
        """A finite array of ``dtype`` (float or bool); None in ``shape`` stands for any length."""
        values = self.arrays.get(name)
        if values is None or values.dtype != dtype:
            has = "missing" if values is None else f"of type {values.dtype}"
            raise _damaged(self.path, f"{name} is {has}, expected are {np.dtype(dtype)} numbers")
        if values.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, values.shape, strict=True)):
            expected = str(tuple("any" if n is None else n for n in shape)).replace("'", "")
            raise _damaged(self.path, f"{name} has shape {values.shape}, expected is {expected}")
        if not np.isfinite(values).all():
            raise _damaged(self.path, f"{name} is not finite")
        return values


def write_restart(path: str | os.PathLike, kind: str, scalars: Mapping, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a restart file, whole or not at all.

    Parameters
    ----------
    path
        Where to; an older file of that name stays until the new one is whole.
    kind
        Name of what is saved, for :func:`read_restart`.
    scalars
        Finite numbers and texts by name.
    arrays
        Arrays of floats or bools by name.

    Raises
    ------
    ParameterError
        If a scalar or array is not finite: nobody could go on from there.
    """
    header = {"format": FORMAT, "version": VERSION, "kind": kind, **scalars}
    contents: dict[str, Any] = {name: np.asarray(values) for name, values in arrays.items()}
    for name, values in {**scalars, **contents}.items():
        if not isinstance(values, str) and not np.isfinite(values).all():
            raise ParameterError(f"{name} is not finite, no run could go on from it; keep the restart file before")
    header["sha256"] = _digest(header, contents)
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, header=np.array(json.dumps(header)), **contents)


def read_restart(path: str | os.PathLike, kind: str) -> RestartFile:
    """Contents of a restart file of a ``kind``.

    Raises
    ------
    StateError
        If it is no restart file, is damaged, or is of another kind or of a later version.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "restart.npz"
    >>> write_restart(path, "truss", {"t": 0.5}, {"u": np.zeros(3)})
    >>> contents = read_restart(path, "truss")
    >>> contents.number("t"), contents.array("u", (None,))
    (0.5, array([0., 0., 0.]))
    """
    path = Path(path)
    arrays = _read_arrays(path)
    if "header" not in arrays:
        scalars = {name: values.item() for name, values in arrays.items() if values.ndim == 0}
        return RestartFile(path, scalars, {name: arrays[name] for name in arrays.keys() - scalars.keys()})
    try:
        header = json.loads(arrays.pop("header").item())
        if header["format"] != FORMAT:
            raise ValueError(f"its format is {header['format']!r}, not {FORMAT!r}")
        if header["version"] > VERSION:
            raise ValueError(f"its version is {header['version']}, this femnn reads up to {VERSION}; update femnn")
        if header["kind"] != kind:
            raise ValueError(f"it holds a {header['kind']}, not a {kind}")
        if header.pop("sha256") != _digest(header, arrays):
            raise ValueError("its numbers are not those that were written, by their sha256")
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(path, error) from error
    return RestartFile(path, header, arrays)


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a NumPy archive; StateError if it is none, or damaged anywhere."""
    if not path.is_file():
        raise StateError(f"{path} is no file; pass the restart file that a run has written")
    try:
        with np.load(path, allow_pickle=False) as archive:
            claimed = sum(entry.file_size for entry in archive.zip.infolist())
            if claimed > _MOST_COMPRESSION * path.stat().st_size:
                raise ValueError(f"it claims to hold {claimed:,} bytes")
            arrays = {name: archive[name] for name in archive.files}
            foreign = [name for name, values in arrays.items() if not isinstance(values, np.ndarray)]
            if foreign:
                raise ValueError(f"{foreign[0]} in it is no array")
            return arrays
    except PermissionError:
        raise
    # zip, zlib and NumPy each raise errors of their own, whatever a damaged byte makes them stumble over
    except Exception as error:
        raise _damaged(path, error) from error


def _digest(header: Mapping, arrays: Mapping[str, np.ndarray]) -> str:
    """sha256 of a header without its own, and of names, types, shapes and bytes of the arrays."""
    sha = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(arrays):
        values = arrays[name]
        sha.update(f"{name} {values.dtype.str} {values.shape}".encode())
        sha.update(np.ascontiguousarray(values).data)
    return sha.hexdigest()


def _damaged(path: Path, reason: Exception | str) -> StateError:
    return StateError(f"{path} is no whole restart file: {reason}; start from an older one")
