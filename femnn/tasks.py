"""Many independent runs of one function: spread over processes or a Dask cluster, kept as files, resumed, retried."""

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import re
import traceback
import zipfile
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from femnn.exceptions import DatasetError, MissingExtraError, ParameterError, SchedulerError, TaskError
from femnn.files import atomic_write

# Seconds that a scheduler has to answer, and to have a worker.
_PATIENCE = 5

# Where a file keeps what made it; no result has this name.
_FINGERPRINT = "fingerprint of femnn.tasks"

# Every worker is one process with one thread: results cannot depend on how many cores it finds.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True)
class Outcome:
    """What became of the tasks of :func:`run_tasks`, by their keys.

    Attributes
    ----------
    results
        Path of each result that is there, in the order of the tasks.
    failures
        Why the other tasks have none: the message of their last attempt.
    ran
        How many results were computed now; the others had been there.
    """

    results: dict[str, Path] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    ran: int = 0

    def load(self, key):
        """The arrays of one result, by name."""
        return load_result(self.results[key])

    def require_all(self):
        """This outcome.

        Raises
        ------
        TaskError
            If any task failed; the message names the first.
        """
        if self.failures:
            key, message = next(iter(self.failures.items()))
            raise TaskError(
                f"{len(self.failures)} of {len(self.failures) + len(self.results)} tasks failed, first {key}: "
                f"{message}; the others are kept, run again to try these once more"
            )
        return self


def run_tasks(
    function, tasks, folder, *, workers=None, scheduler=None, retries=1, version="", progress=True
) -> Outcome:
    """Run ``function(**arguments)`` for every task and keep what it returns; go on where an earlier run stopped.

    Every result is written to ``FOLDER/KEY.npz`` as soon as it is there, with a fingerprint of the function's name, the
    arguments and ``version``. A task whose file is there with the same fingerprint is not run again. Nothing is lost
    when a task raises, when a worker dies or when the run is interrupted.

    Parameters
    ----------
    function
        Returns a dict of NumPy arrays. It must be a function of a module, and its result depend on its arguments alone
        (a seed among them): then it is the same whatever the number of workers.
    tasks
        Keyword arguments of each task by its key, which names a file: letters, digits and ``._+=-``. Arguments are
        numbers, strings, paths, arrays, dataclasses, and lists and dicts of these.
    folder
        Is made if it is not there.
    workers
        Processes on this machine, one thread each; by default one for each core. 0 runs the tasks in this process, one
        after another, with all its threads, as does None where the package ``distributed`` is not installed.
    scheduler
        Address of a Dask scheduler, for instance ``"tcp://192.168.0.5:8786"``, whose workers run the tasks instead.
    retries
        How often a task is tried again that raises or whose worker dies.
    version
        Part of the fingerprint, for what the arguments do not say; raise it when the function changes its results.
    progress
        Show a progress bar, if stderr is a terminal.

    Raises
    ------
    ParameterError
        If a key names no file, or if function or arguments cannot be sent to another process.
    DatasetError
        If a file in ``folder`` was made with other arguments, or is damaged; nothing has run then.
    MissingExtraError
        If ``workers`` or ``scheduler`` needs ``distributed`` and it is not installed.
    SchedulerError
        If the scheduler does not answer or has no workers.
    """
    folder = Path(folder)
    _check(function, tasks, workers, scheduler, retries)
    files = {key: folder / f"{key}.npz" for key in tasks}
    fingerprints = {key: _fingerprint(function, key, arguments, version) for key, arguments in tasks.items()}
    there = {key for key, file in files.items() if _is_there(file, fingerprints[key])}
    queue = deque(key for key in tasks if key not in there)
    failures, attempts = {}, Counter()
    with (
        tqdm(
            total=len(tasks),
            initial=len(there),
            desc=function.__name__.strip("_"),
            unit="task",
            disable=None if progress else True,
        ) as bar,
        _attempts(function, tasks, queue, workers, scheduler) as attempted,
    ):
        for key, arrays, message in attempted:
            attempts[key] += 1
            if message is None:
                _write(files[key], arrays, fingerprints[key])
            elif attempts[key] <= retries:
                queue.append(key)
                continue
            else:
                failures[key] = message
            bar.update()
    results = {key: file for key, file in files.items() if key not in failures}
    return Outcome(results, {key: failures[key] for key in tasks if key in failures}, len(results) - len(there))


def load_result(path):
    """The arrays that a task left in ``path``, by name."""
    with np.load(path, allow_pickle=False) as opened:
        return {name: opened[name] for name in opened.files if name != _FINGERPRINT}


def _check(function, tasks, workers, scheduler, retries):
    name = getattr(function, "__qualname__", None)
    if name is None or "<" in name:
        raise ParameterError(f"{function!r} has no name in a module; give a function that is defined at the top of one")
    for key in tasks:
        if not isinstance(key, str) or not re.fullmatch(r"[A-Za-z0-9_+=-][A-Za-z0-9._+=-]{0,199}", key):
            raise ParameterError(
                f"the key {key!r} names no file; take up to 200 letters, digits and ._+=-, not a point first"
            )
    if retries < 0 or (workers is not None and workers < 0):
        raise ParameterError(f"workers is {workers}, retries {retries}; neither can be negative")
    if scheduler is not None and workers:
        raise ParameterError(f"workers is {workers} and scheduler {scheduler!r}; give one of them")


def _fingerprint(function, key, arguments, version):
    try:
        described = json.dumps(arguments, sort_keys=True, default=_described)
    except TypeError as error:
        raise ParameterError(f"task {key}: {error}; give numbers, strings, paths, arrays or dataclasses") from error
    whole = json.dumps([function.__module__, function.__qualname__, str(version), described])
    return hashlib.sha256(whole.encode()).hexdigest()


def _described(value):
    """What JSON does not know, in terms of what it knows."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        data = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return {"array": [value.dtype.str, value.shape, data]}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return {type(value).__qualname__: fields}
    raise TypeError(f"a {type(value).__name__} has no fingerprint")


def _is_there(file, fingerprint):
    if not file.exists():
        return False
    try:
        with np.load(file, allow_pickle=False) as opened:
            found = str(opened[_FINGERPRINT])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{file} is no result of a task, or damaged: {error}; delete it to make it again") from error
    if found != fingerprint:
        raise DatasetError(
            f"{file} was made by another function, other arguments or another version (fingerprint {found[:12]}, asked "
            f"for is {fingerprint[:12]}); choose another folder, or delete it to make it again"
        )
    return True


def _write(file, arrays, fingerprint):
    with atomic_write(file) as temporary, open(temporary, "wb") as opened:
        np.savez(opened, **{_FINGERPRINT: np.array(fingerprint)}, **arrays)


def _attempt(function, arguments):
    """Arrays and None, or None and the message of what ``function`` raised."""
    try:
        result = function(**arguments)
        arrays = {str(name): np.asarray(values) for name, values in result.items()}
        for name, values in arrays.items():
            if values.dtype.hasobject:
                raise TypeError(f"{name} is an array of objects")
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return None, f"{type(error).__name__}: {error} ({Path(where.filename).name}, line {where.lineno})"
    return arrays, None


@contextlib.contextmanager
def _attempts(function, tasks, queue, workers, scheduler):
    """The attempts at the tasks in ``queue`` as they end: (key, arrays, message), one of the last two None."""
    if not queue:
        yield ()
        return
    if workers == 0 or (workers in (None, 1) and scheduler is None and not _has_distributed()):
        yield _attempts_here(function, tasks, queue)
        return
    with _client(workers, scheduler, len(queue)) as client:
        yield _attempts_there(client, function, tasks, queue)


def _attempts_here(function, tasks, queue):
    while queue:
        key = queue.popleft()
        yield key, *_attempt(function, tasks[key])


def _attempts_there(client, function, tasks, queue):
    from distributed import KilledWorker, as_completed

    running, suspects, ended = {}, deque(), as_completed(loop=client.loop)
    while queue or running or suspects:
        # not more than can run at once: tasks that wait hold no memory, and a worker that dies takes only its own
        places = max(1, sum(client.nthreads().values()))
        while queue and len(running) < places:
            key = queue.popleft()
            running[_submit(client, function, key, tasks[key], ended)] = key
        if not running:
            key = suspects.popleft()
            running[_submit(client, function, key, tasks[key], ended)] = key
        future = next(ended)
        alone, key = len(running) == 1, running.pop(future)
        error = future.exception()
        if error is None:
            yield key, *future.result()
        elif isinstance(error, KilledWorker) and not alone:
            # it or its neighbour killed the worker: it runs by itself before it is blamed
            suspects.append(key)
        elif isinstance(error, KilledWorker):
            yield key, None, "its worker died: killed, out of memory, or ended by the function itself"
        else:
            yield key, None, f"{type(error).__name__}: {error}"
        future.release()


def _submit(client, function, key, arguments, ended):
    future = client.submit(_attempt, function, arguments, pure=False)
    ended.add(future)
    return future


def _has_distributed():
    try:
        import distributed  # noqa: F401
    except ImportError:
        return False
    return True


@contextlib.contextmanager
def _client(workers, scheduler, tasks):
    """A client of the cluster at an address, or of one on this machine that ends with it."""
    if not _has_distributed():
        asked = f"workers={workers}" if scheduler is None else f"scheduler={scheduler!r}"
        raise MissingExtraError(f"{asked} needs the package distributed: pip install 'femnn[distributed]'")
    from distributed import Client

    if scheduler is not None:
        try:
            client = Client(scheduler, timeout=_PATIENCE, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise SchedulerError(
                f"no Dask scheduler answers at {scheduler!r} within {_PATIENCE} s ({error}); "
                "start one with `dask scheduler`, which prints its address"
            ) from error
        with client:
            yield client
        return
    with _local_cluster(workers, tasks) as cluster, Client(cluster, set_as_default=False) as client:
        yield client


def _local_cluster(workers, tasks):
    import dask
    from distributed import LocalCluster

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with dask.config.set({f"distributed.nanny.pre-spawn-environ.{name}": 1 for name in _ONE_THREAD}):
        return LocalCluster(
            n_workers=min(workers or cores, tasks),
            threads_per_worker=1,
            memory_limit=0,
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False, "allowed_failures": 0},
            silence_logs=logging.CRITICAL,
        )
