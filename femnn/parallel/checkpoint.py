"""Checkpoints of a run on ranks: one file in the numbers of the whole mesh, which any number of ranks goes on from.

The file has the safetensors layout. Every rank writes and reads its own rows by MPI-IO, no rank sees them all.
"""

import json
import math
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from femnn.cohesive.law import State
from femnn.exceptions import StateError
from femnn.interfaces.problem import Restart
from femnn.io.atomic import require_regular
from femnn.io.guarded import CARD_HASH, Contents, GuardedFile, card_digest, parse_json
from femnn.parallel.faulted import RankFaultedReservoir
from femnn.parallel.law_states import law_states, restore
from femnn.parallel.owner_directory import OwnerDirectory
from femnn.parallel.porous import RankPorousProblem
from femnn.parallel.problem import RankProblem
from femnn.parallel.ranks import together
from femnn.reservoir.fault.states import FaultedState
from femnn.reservoir.states import PorousState


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
    distributed = problem.distributed
    laws = law_states(distributed, problem.problem)
    u = np.asarray(u, dtype=float).reshape(-1, 3)[: distributed.n_owned]
    pieces = {"u": (distributed.n_vertices, distributed.vertices[: distributed.n_owned], u)}
    for number, states in enumerate(laws):
        rows, total = _rows(distributed.comm, states)
        pieces[f"counts{number}"] = (states.total, states.owners, states.counts[:, None].astype(float))
        pieces[f"state{number}"] = (total, rows, states.values)
    _write(path, distributed, pieces, [states.name for states in laws], t)


def _write(path, distributed, pieces, names, t):
    """Write arrays, (rows of the whole, rows of this rank, their values) by name; collective."""
    path, comm = Path(path), distributed.comm
    sums = {name: _checksum(comm, rows, values) for name, (_, rows, values) in pieces.items()}
    header, offsets, size = _header(distributed, pieces, names, sums, t)
    temporary = path.with_name(f".{path.name}.partial")
    with together(comm):
        if comm.rank == 0:
            require_regular(path)
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
    comm, header = distributed.comm, _shared_header(distributed.comm, path)
    laws = law_states(distributed, problem.problem)
    with together(comm):
        needed = {"u": (distributed.n_vertices, 3)}
        for number, states in enumerate(laws):
            needed[f"counts{number}"] = (states.total, 1)
            needed[f"state{number}"] = header.shapes.get(f"state{number}")
        _check(path, distributed, header, [states.name for states in laws], needed)
    u, values = np.zeros((len(distributed.vertices), 3)), []
    with _opened(comm, path) as file:
        u[: distributed.n_owned] = _read(comm, file, header, "u", distributed.vertices[: distributed.n_owned])
        for number, states in enumerate(laws):
            counts = _read(comm, file, header, f"counts{number}", states.owners)[:, 0]
            with together(comm):
                _check_counts(path, states, counts)
            rows, total = _rows(comm, states)
            with together(comm):
                if header.shapes[f"state{number}"][0] != total:
                    raise _guarded(path).refused(f"state{number} is not of {total} points")
            values.append(_read(comm, file, header, f"state{number}", rows))
    restore(distributed, problem.problem, values)
    return Restart(distributed.update(u.ravel()), header.t, None)


def save_state(
    path: str | os.PathLike, problem: RankPorousProblem | RankFaultedReservoir, state: PorousState | FaultedState
) -> None:
    """Write a state of a porous body as a checkpoint; collective. Whole or not at all, as :func:`save` does it.

    Parameters
    ----------
    path
        The file, on a file system that all ranks see.
    problem
        :class:`femnn.parallel.RankPorousProblem`, or :class:`femnn.parallel.RankFaultedReservoir`: the history of its
        faults goes with it.
    state
        One of its states.
    """
    distributed = problem.distributed
    n, owned = distributed.n_owned, distributed.vertices[: distributed.n_owned]
    at_vertices, at_points = _values(state)
    pieces = {name: (distributed.n_vertices, owned, values[:n]) for name, values in at_vertices.items()}
    total, rows = _points_of(problem)
    pieces |= {name: (total, rows, values) for name, values in at_points.items()}
    _write(path, distributed, pieces, _name_of(problem), state.t)


def load_state(
    path: str | os.PathLike, problem: RankPorousProblem | RankFaultedReservoir
) -> PorousState | FaultedState:
    """The state in a checkpoint of :func:`save_state`, written by any number of ranks; collective.

    Raises
    ------
    StateError
        On all ranks, if the file is no whole checkpoint, or is of another mesh, of other pore systems or of faults
        with other laws.
    """
    distributed = problem.distributed
    comm, header = distributed.comm, _shared_header(distributed.comm, path)
    with together(comm):
        at_vertices, at_points = _values(_first_state(problem))
        total, rows = _points_of(problem)
        needed = {name: (distributed.n_vertices, values.shape[1]) for name, values in at_vertices.items()}
        needed |= {name: (total, values.shape[1]) for name, values in at_points.items()}
        _check(path, distributed, header, _name_of(problem), needed)
    fields = {name: np.zeros(values.shape) for name, values in at_vertices.items()}
    with _opened(comm, path) as file:
        for name, values in fields.items():
            n = distributed.n_owned
            values[:n] = _read(comm, file, header, name, distributed.vertices[:n])
        of_points = {name: _read(comm, file, header, name, rows) for name in at_points}
    fields = {name: distributed.exchange.update(values) for name, values in fields.items()}
    return _state_of(problem, header.t, fields, of_points)


def _values(state):
    """Fields of a state at the vertices and at the points of faults, a row for each."""
    at_vertices = {"u": state.u.reshape(-1, 3), "p": state.p.T}
    if not isinstance(state, FaultedState):
        return at_vertices, {}
    at_vertices["velocity"] = state.velocity.reshape(-1, 3)
    history = np.column_stack([state.history.values, state.history.outside.astype(float)])
    at_points = {"history": history, "traction": state.traction, "rate": state.rate}
    return at_vertices, at_points | {"leak_off": state.leak_off.T, "along": state.along.T}


def _first_state(problem):
    """A state with the shapes of all others, at the time at which laws start."""
    is_faulted = isinstance(problem, RankFaultedReservoir)
    return problem.initial_state(getattr(problem.points.law, "start", 0.0) if is_faulted else 0.0)


def _points_of(problem):
    """How many points the faults of a body have, and which of them are here."""
    if isinstance(problem, RankFaultedReservoir):
        return problem.n_points, problem.numbers
    return 0, np.empty(0, dtype=np.int64)


def _state_of(problem, t, at_vertices, at_points):
    """The state with these fields: what :func:`_values` takes apart."""
    u, p = at_vertices["u"].ravel(), at_vertices["p"].T
    if not at_points:
        return problem.initial_state(t, u, p)
    *values, outside = at_points["history"].T
    return FaultedState(
        t,
        u,
        p.copy(),
        State(np.stack(values, axis=1), problem.points.state.law, outside == 1.0),
        at_points["traction"],
        at_points["rate"],
        at_points["leak_off"].T.copy(),
        at_points["along"].T.copy(),
        velocity=at_vertices["velocity"].ravel(),
    )


def _name_of(problem):
    """What a checkpoint of a porous body is of."""
    laws = [f"fault of {fault.law.name}" for fault in getattr(problem, "faults", ())]
    return [f"porous body of the systems {', '.join(problem.systems)}", *laws]


def _shared_header(comm, path):
    """The header of a file, on all ranks; collective."""
    header = None
    with together(comm):
        if comm.rank == 0:
            header = _read_header(Path(path))
    return comm.bcast(header)


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


def _header(distributed, pieces, names, sums, t):
    """The first bytes of the file, where each piece starts, and the size of the whole."""
    entries, offsets, end = {}, {}, 0
    for name, (total, _, values) in pieces.items():
        size = 8 * int(total) * values.shape[1]
        entries[name] = {"dtype": "F64", "shape": [int(total), values.shape[1]], "data_offsets": [end, end + size]}
        offsets[name], end = end, end + size
    metadata = {
        "mesh": distributed.mesh_id,
        "memories": json.dumps(names),
        "sums": json.dumps(sums),
        "t": repr(float(t)),
        "format": "femnn checkpoint",
    }
    metadata[CARD_HASH] = card_digest({"metadata": dict(metadata), **entries})
    text = json.dumps({"__metadata__": metadata, **entries}).encode()
    text += b" " * (-len(text) % 8)
    first = 8 + len(text)
    header = len(text).to_bytes(8, "little") + text
    return header, {name: first + offset for name, offset in offsets.items()}, first + end


class _Header(NamedTuple):
    """The first bytes of a file, checked: path, laws, mesh, time; of each array shape, first byte and checksum."""

    path: Path
    names: list
    mesh: str
    t: float
    shapes: dict
    offsets: dict
    sums: dict


def _guarded(path):
    return GuardedFile(Path(path), StateError, "checkpoint", "go on from an older one")


def _read_header(path):
    file = _guarded(path)
    with file.opened() as opened, file.checked():
        size = os.fstat(opened.fileno()).st_size
        length = int.from_bytes(opened.read(8), "little")
        if length > min(size, 10**7):
            raise ValueError("its first bytes are no header")
        entries = Contents(file, parse_json(opened.read(length)))
        metadata = entries.part("__metadata__")
        arrays = {name: entries.part(name) for name in entries.fields if name != "__metadata__"}
        fields = dict(metadata.fields)
        # earlier checkpoints have neither this hash nor sums
        if {"sums", CARD_HASH} & fields.keys() and fields.pop(CARD_HASH, None) != card_digest(
            {"metadata": fields, **{name: array.fields for name, array in arrays.items()}}
        ):
            raise ValueError(f"its {CARD_HASH} is not that of its header")
        shapes = {name: tuple(map(int, array.numbers("shape", 2))) for name, array in arrays.items()}
        end = 0
        for name, array in arrays.items():
            first, last = array.numbers("data_offsets", 2)
            if (
                array.text("dtype") != "F64"
                or min(shapes[name]) < 0
                or (first, last) != (end, end + 8 * math.prod(shapes[name]))
            ):
                raise ValueError(f"{name} does not lie where it should")
            end = int(last)
        if size != 8 + length + end:
            raise ValueError(f"it has {size} bytes, {8 + length + end} belong to it")
        names, t = parse_json(metadata.text("memories")), float(metadata.text("t"))
        if not math.isfinite(t) or not isinstance(names, list):
            raise ValueError(f"t is {t}, its laws are {names}")
        sums = parse_json(metadata.text("sums")) if "sums" in fields else {}
        offsets = {name: 8 + length + int(array.numbers("data_offsets")[0]) for name, array in arrays.items()}
        return _Header(file.path, names, metadata.text("mesh"), t, shapes, offsets, sums)


def _check(path, distributed, header, names, needed):
    if header.mesh != distributed.mesh_id:
        raise StateError(
            f"{path} was written for the mesh {header.mesh[:12]}, this one is {distributed.mesh_id[:12]}; a "
            "checkpoint goes with its mesh"
        )
    if header.names != names:
        raise StateError(f"{path} holds {header.names}, this problem {names}; a checkpoint goes with its laws")
    if header.shapes != needed:
        raise _guarded(path).refused(f"its arrays have the shapes {header.shapes}, expected are {needed}")


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

    if write:
        return Closing(MPI.File.Open(comm, os.fspath(path), MPI.MODE_WRONLY))
    with _guarded(path).checked():
        return Closing(MPI.File.Open(comm, os.fspath(path), MPI.MODE_RDONLY))


def _read(comm, file, header, name, rows):
    """Own rows of an array; collective. StateError on all ranks if the whole array is not the one that was written."""
    values = np.empty((len(rows), header.shapes[name][1]))
    _transfer(file.Read_all, file, header.offsets[name], rows, values)
    return _as_written(comm, header, name, rows, values)


def _as_written(comm, header, name, rows, values):
    """The ``values`` of own rows; collective. StateError on all ranks if their sum is not that of the header."""
    total = _checksum(comm, rows, values)
    finite = comm.allreduce(int(np.isfinite(values).all())) == comm.size
    if not finite or header.sums.get(name, total) != total:
        raise _guarded(header.path).refused(f"{name} holds other numbers than were written")
    return values


def _checksum(comm, rows, values):
    """Sum over all ranks of a hash of each value with its place: the same for any partition; collective."""
    z = np.ascontiguousarray(values, dtype=float).view(np.uint64)
    places = np.asarray(rows).astype(np.uint64)[:, None] * np.uint64(max(1, z.shape[1])) + np.arange(
        z.shape[1], dtype=np.uint64
    )
    # the mixer of splitmix64 (Steele, Lea, Flood, OOPSLA 2014), a bijection: no single damaged value keeps the sum
    z = z + places * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return f"{comm.allreduce(int(z.sum(dtype=np.uint64))) % 2**64:016x}"


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
