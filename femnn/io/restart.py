"""Restart files: named arrays and a header that says what they are, proves that they are whole, and holds the scalars.

A file is a compressed NumPy archive with the header, JSON, as one more array. Files of the first release have no header
and hold their scalars as arrays; they are read as well, their numbers checked alike.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from femnn.exceptions import ParameterError, StateError
from femnn.io.atomic import atomic_write
from femnn.io.guarded import Contents, GuardedFile, digest

FORMAT, VERSION = "femnn-restart", 1


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


def read_restart(path: str | os.PathLike, kind: str) -> Contents:
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
    file = GuardedFile(Path(path), StateError, "restart file", "start from an older one")
    arrays = file.arrays()
    if "header" not in arrays:
        scalars = {name: values.item() for name, values in arrays.items() if values.ndim == 0}
        return Contents(file, scalars, {name: arrays[name] for name in arrays.keys() - scalars.keys()})
    with file.checked():
        header = file.card(arrays.pop("header").item())
        if header["format"] != FORMAT:
            raise ValueError(f"its format is {header['format']!r}, not {FORMAT!r}")
        if header["version"] > VERSION:
            raise ValueError(f"its version is {header['version']}, this femnn reads up to {VERSION}; update femnn")
        if header["kind"] != kind:
            raise ValueError(f"it holds a {header['kind']}, not a {kind}")
        if header.pop("sha256") != _digest(header, arrays):
            raise ValueError("its numbers are not those that were written, by their sha256")
    return Contents(file, header, arrays)


def _digest(header: Mapping, arrays: Mapping[str, np.ndarray]) -> str:
    """sha256 of a header without its own, and of names, types, shapes and bytes of the arrays."""
    return digest(arrays, json.dumps(header, sort_keys=True))
