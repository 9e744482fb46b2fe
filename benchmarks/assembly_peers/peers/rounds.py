"""The measurement: every program once for its memory, then all of them in turns, so that drift touches all alike."""

import tempfile
from contextlib import ExitStack

import numpy as np

from benchmarks.assembly_peers.peers.processes import Process, ProgramError
from benchmarks.assembly_peers.peers.programs import PROGRAMS
from benchmarks.support.memory import available
from benchmarks.support.timing import median_and_spread

#: Threads of the second figure.
THREADS = 2

#: Differences from femnn's matrix, relative to its largest entry, below which a matrix is right.
AGREEMENT = 1e-10

# A way of assembly that took so many seconds is not repeated, and one pass that took so many is warm-up enough.
_PATIENCE, _WARM = 30.0, 20.0

# Of the free memory, the share that programs that take turns may hold together.
_SHARE = 0.7

_WAYS = {
    "coordinates": {"do": "coordinates"},
    "geometry": {"do": "geometry"},
    "threads": {"do": "coordinates", "threads": THREADS},
}


def compare(programs, mesh_file, elements, repeat, progress=lambda text: None):
    """Measure programs on one mesh.

    Parameters
    ----------
    programs
        Pairs of a program's name and a rule.
    mesh_file
        From :func:`peers.processes.write_mesh`.
    elements
        How many the mesh has.
    repeat
        Rounds in which each program has its turn.
    progress
        Called with a few words before each step.

    Returns
    -------
    list of dict, in the order of ``programs``
        ``problem`` is None, or says why the figures are missing. Seconds: ``imports``; ``first_ever`` from arrays to
        the first matrix in a fresh process with nothing compiled before, ``cold`` in the next process, with what the
        first has kept, ``warm`` the same when the code has run before; medians ``coordinates`` from new vertex
        coordinates, ``geometry`` with what the program keeps of the geometry, ``threads`` like ``coordinates`` with two
        threads, and ``speedup`` of these over one in the same round; the spread of each as ``NAME_spread``; ``passes``
        in the first median. Bytes: ``growth`` of the memory up to the
        first matrix, ``peak`` of the whole process, ``csr`` of the matrix. ``difference`` from femnn's matrix.
    """
    rows = [_empty(name, rule, elements) for name, rule in programs]
    for row in rows:
        progress(f"{row['program']}, {row['rule']}: memory")
        _guarded(row, lambda row: _measure_memory(row, mesh_file))
    for batch in _batches([row for row in rows if row["problem"] is None]):
        with ExitStack() as stack:
            _take_turns(batch, mesh_file, repeat, progress, stack)
    return rows


def _empty(name, rule, elements):
    timed = [name for way in (*_WAYS, "speedup") for name in (way, f"{way}_spread")]
    figures = ("version", "imports", "first_ever", "cold", "warm", *timed, "passes")
    figures += ("growth", "peak", "csr", "difference", "problem")
    return {"name": name, "program": PROGRAMS[name].title, "rule": rule, "elements": elements} | dict.fromkeys(figures)


def _guarded(row, measure):
    """Do it, and write down why it could not be done."""
    try:
        measure(row)
    except ProgramError as error:
        row["problem"] = str(error)


def _measure_memory(row, mesh_file):
    with Process(row["name"], row["rule"], mesh_file, THREADS) as process:
        row.update(process.ask("memory"))


def _batches(rows):
    """Rows whose processes fit into memory side by side; most often all of them."""
    limit = _SHARE * (available() or np.inf)
    batches = [[]]
    for row in rows:
        if batches[-1] and sum(other["peak"] for other in batches[-1]) + row["peak"] > limit:
            batches.append([])
        batches[-1].append(row)
    return batches


def _take_turns(rows, mesh_file, repeat, progress, stack):
    processes, seconds = {}, {}
    for row in rows:
        key = row["name"], row["rule"]
        progress(f"{row['program']}, {row['rule']}: cold start")
        caches = stack.enter_context(tempfile.TemporaryDirectory())
        _guarded(row, lambda row, caches=caches: _start_without_caches(row, mesh_file, caches))
        processes[key] = stack.enter_context(Process(row["name"], row["rule"], mesh_file, THREADS, caches))
        seconds[key] = {way: [] for way in _ways_of(row["name"])}
        if row["problem"] is None:
            _guarded(row, lambda row, process=processes[key]: _start(row, process))
    for turn in range(repeat):
        for row in rows:
            if row["problem"] is None:
                progress(f"{row['program']}, {row['rule']}: {turn + 1} of {repeat}")
                key = row["name"], row["rule"]
                _guarded(row, lambda _, key=key: _turn(processes[key], seconds[key]))
    for row in rows:
        if row["problem"] is None:
            times = seconds[row["name"], row["rule"]]
            pairs = zip(times["coordinates"], times.get("threads", ()), strict=False)
            for name, found in {**times, "speedup": [one / several for one, several in pairs]}.items():
                row[name], row[f"{name}_spread"] = median_and_spread(found)
            row["passes"] = len(times["coordinates"])


def _ways_of(name):
    kind = PROGRAMS[name]
    wanted = {"coordinates": True, "geometry": kind.keeps_geometry, "threads": kind.threaded}
    return [way for way in _WAYS if wanted[way]]


def _start_without_caches(row, mesh_file, caches):
    with Process(row["name"], row["rule"], mesh_file, THREADS, caches) as process:
        row["first_ever"] = process.ask("first")["seconds"]


def _start(row, process):
    row.update(process.ask("about"))
    row["cold"] = process.ask("first")["seconds"]
    if row["name"] != "femnn":
        row.update(process.ask("check"))
        if not row["difference"] < AGREEMENT:
            raise ProgramError(f"wrong matrix: it differs by {row['difference']:.0e} of its largest entry")
    if row["cold"] < _WARM:
        row["warm"] = process.ask("first")["seconds"]
        for way in _ways_of(row["name"]):
            process.ask(**_WAYS[way])


def _turn(process, seconds):
    for way, found in seconds.items():
        # two threads are no news where one takes minutes
        tired = sum(found) > _PATIENCE or (way == "threads" and seconds["coordinates"][0] > _PATIENCE)
        if not tired:
            found.append(process.ask(**_WAYS[way])["seconds"])
