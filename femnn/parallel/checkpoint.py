"""Checkpoints of a run on ranks: one file in the numbers of the whole mesh, which any number of ranks goes on from.

The file has the safetensors layout. Every rank writes and reads its own rows by MPI-IO, no rank sees them all.
"""

import json
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from femnn.exceptions import StateError
from femnn.interfaces.problem import Restart
from femnn.parallel.law_states import law_states, restore
from femnn.parallel.owner_directory import OwnerDirectory
from femnn.parallel.problem import RankProblem
from femnn.parallel.ranks import together


def save(path: str | os.PathLike, problem: RankProblem, u: ArrayLike, t: float) -> None:
    """Write a checkpoint; collective. Whole or not at all: until then an older file of that name stays as it is.

    Parameters
    ----------
    path
        The file, on a file system that all ranks see.
    problem
        :class:`femnn.parallel.problem.RankProblem` of a Solid or a CohesiveProblem: its committed state is written.
    u : (n_dofs,), t : float
        Displacement and time of that state.
    """
    distributed, path = problem.distributed, Path(path)
    comm = distributed.comm
    laws = law_states(distributed, problem.problem)
    u = np.asarray(u, dtype=float).reshape(-1, 3)[: distributed.n_owned]
    pieces = {"u": (distributed.n_vertices, distributed.vertices[: distributed.n_owned], u)}
    for number, states in enumerate(laws):
        rows, total = _rows(comm, states)
        pieces[f"counts{number}"] = (states.total, states.owners, states.counts[:, None].astype(float))
        pieces[f"state{number}"] = (total, rows, states.values)
    header, offsets, size = _header(distributed, pieces, [states.name for states in laws], t)
    temporary = path.with_name(f".{path.name}.partial")
    with together(comm):
        if comm.rank == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary, "wb") as file:
                file.write(header)
                file.truncate(size)
    with _opened(comm, temporary, write=True) as file:
        for name, (_, rows, values) in pieces.items():
            _transfer(file.Write_all, file, offsets[name], rows, np.ascontiguousarray(values))
    with together(comm):
        if comm.rank == 0:
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)


def saver(path: str | os.PathLike, problem: RankProblem) -> Callable:
    """A ``callback`` for :func:`femnn.newton`: every accepted step is saved, a failure leaves the last one behind."""
    return lambda step: save(path, problem, step.u, step.t)


def load(path: str | os.PathLike, problem: RankProblem) -> Restart:
    """Take up the state of a checkpoint, written by any number of ranks; collective.

    Returns
    -------
    Restart
        ``(u, t, None)``: pass them to :func:`femnn.newton` as ``initial`` and ``start``.

    Raises
    ------
    StateError
        On all ranks, if the file is no whole checkpoint, or is of another mesh, law or rule; nothing is changed then.
    """
    distributed = problem.distributed
    comm, header = distributed.comm, None
    with together(comm):
        if comm.rank == 0:
            header = _read_header(Path(path))
    names, shapes, offsets, metadata = comm.bcast(header)
    laws = law_states(distributed, problem.problem)
    with together(comm):
        _check(path, distributed, names, metadata, laws)
    u, values = np.zeros((len(distributed.vertices), 3)), []
    with _opened(comm, path) as file:
        u[: distributed.n_owned] = _read(file, offsets["u"], distributed.vertices[: distributed.n_owned], 3)
        for number, states in enumerate(laws):
            counts = _read(file, offsets[f"counts{number}"], states.owners, 1)[:, 0]
            with together(comm):
                _check_counts(path, states, counts)
            rows, _ = _rows(comm, states)
            values.append(_read(file, offsets[f"state{number}"], rows, shapes[f"state{number}"][1]))
    restore(distributed, problem.problem, values)
    return Restart(distributed.update(u.ravel()), float(metadata["t"]), None)


def _rows(comm, states):
    """Rows of a memory's values in the order of all cells, and how many rows there are; collective."""
    directory = OwnerDirectory(comm, states.owners, states.total)
    counts = np.zeros(directory.length, dtype=np.int64)
    for places, theirs in directory.send(states.counts):
        counts[places] = theirs
    before = comm.exscan(int(counts.sum())) or 0
    starts = directory.fetch(before + np.cumsum(counts) - counts)
    within = np.arange(states.counts.sum()) - np.repeat(np.cumsum(states.counts) - states.counts, states.counts)
    return np.repeat(starts, states.counts) + within, comm.allreduce(int(counts.sum()))


def _header(distributed, pieces, names, t):
    """The first bytes of the file, where each piece starts, and the size of the whole."""
    entries, offsets, end = {}, {}, 0
    for name, (total, _, values) in pieces.items():
        size = 8 * int(total) * values.shape[1]
        entries[name] = {"dtype": "F64", "shape": [int(total), values.shape[1]], "data_offsets": [end, end + size]}
        offsets[name], end = end, end + size
    metadata = {
        "mesh": distributed.mesh_id,
        "memories": json.dumps(names),
        "t": repr(float(t)),
        "format": "femnn checkpoint",
    }
    text = json.dumps({"__metadata__": metadata, **entries}).encode()
    text += b" " * (-len(text) % 8)
    first = 8 + len(text)
    header = len(text).to_bytes(8, "little") + text
    return header, {name: first + offset for name, offset in offsets.items()}, first + end


def _read_header(path):
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > 10**7:
                raise ValueError("its first bytes are no header")
            header = json.loads(file.read(length))
        metadata = header.pop("__metadata__")
        names = json.loads(metadata["memories"])
        shapes = {name: entry["shape"] for name, entry in header.items()}
        offsets = {name: 8 + length + entry["data_offsets"][0] for name, entry in header.items()}
        end = 8 + length + max(entry["data_offsets"][1] for entry in header.values())
        if path.stat().st_size != end:
            raise ValueError(f"it has {path.stat().st_size} bytes, {end} belong to it")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StateError(f"{path} is no whole checkpoint: {error}; go on from an older one") from error
    return names, shapes, offsets, metadata


def _check(path, distributed, names, metadata, laws):
    if metadata["mesh"] != distributed.mesh_id:
        raise StateError(
            f"{path} was written for the mesh {metadata['mesh'][:12]}, this one is {distributed.mesh_id[:12]}; a "
            "checkpoint goes with its mesh"
        )
    expected = [states.name for states in laws]
    if names != expected:
        raise StateError(f"{path} holds {names}, this problem {expected}; a checkpoint goes with its laws")


def _check_counts(path, states, counts):
    differ = np.flatnonzero(counts != states.counts)
    if len(differ):
        first = differ[0]
        raise StateError(
            f"{path} has {counts[first]:.0f} points in cell or facet {states.owners[first]}, this problem "
            f"{states.counts[first]}, and {len(differ)} differ; a checkpoint goes with its rule"
        )


def _opened(comm, path, write=False):
    """An MPI file that closes itself."""
    from mpi4py import MPI

    class Closing(closing):
        def __exit__(self, *_):
            self.thing.Close()

    return Closing(MPI.File.Open(comm, os.fspath(path), MPI.MODE_WRONLY if write else MPI.MODE_RDONLY))


def _read(file, offset, rows, width):
    values = np.empty((len(rows), width))
    _transfer(file.Read_all, file, offset, rows, values)
    return values


def _transfer(act, file, offset, rows, values):
    """Write or read rows, ascending, of an array of float64 that starts at ``offset`` bytes; collective."""
    from mpi4py import MPI

    if values.shape[1] == 0:
        return
    row = MPI.DOUBLE.Create_contiguous(values.shape[1]).Commit()
    # a view of nothing is not allowed: who has nothing looks at the beginning
    view = row.Create_indexed_block(1, rows).Commit() if len(rows) else row
    file.Set_view(offset, MPI.DOUBLE, view)
    act(values)
    row.Free()
    if len(rows):
        view.Free()
