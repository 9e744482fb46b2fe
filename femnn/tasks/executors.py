"""Executors of tasks: this process, processes of this machine, or the Dask cluster at an address."""

import contextlib
import logging
import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from multiprocessing import resource_tracker
from pathlib import Path

import numpy as np
import psutil

from femnn.exceptions import MissingExtraError, SchedulerError
from femnn.io.atomic import remove_abandoned, temporary_folder

#: Seconds that a scheduler has to answer, and to have a worker.
PATIENCE = 10

# How often a cluster on this machine is started before its workers' deaths are taken for no accident.
_STARTS = 3

# Every worker is one process with one thread: results cannot depend on how many cores it finds.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


# A key with its arrays, or with the message of what went wrong.
Attempt = tuple[str, dict[str, np.ndarray] | None, str | None]


@contextlib.contextmanager
def attempts(
    function: Callable, tasks: Mapping[str, Mapping], queue: deque[str], workers: int | None, scheduler: str | None
) -> Iterator[Iterable[Attempt]]:
    """Yield the attempts at the tasks in ``queue`` as they end: (key, arrays, message), one of the last two None.

    Keys may be appended to ``queue`` for another attempt while they are consumed; otherwise the arguments are those of
    :func:`femnn.tasks.run.run_tasks`.
    """
    if scheduler is None:
        # a run that was killed when it had done everything leaves nothing to do but this
        remove_abandoned(_scratch())
    if not queue:
        yield ()
    elif scheduler is None and (workers == 0 or (workers in (None, 1) and not _has_distributed())):
        yield ((key, *_attempt(function, tasks[key])) for key in _taken(queue))
    elif not _has_distributed():
        argument = f"workers={workers}" if scheduler is None else f"scheduler={scheduler!r}"
        raise MissingExtraError(f"{argument} needs the package distributed: pip install 'femnn[distributed]'")
    else:
        with _quietly(), _local(workers, len(queue)) if scheduler is None else _cluster_at(scheduler) as client:
            yield _attempts_there(client, function, tasks, queue)


def _attempt(function, arguments):
    """Arrays and None, or None and the message of what ``function`` raised."""
    try:
        result = function(**arguments)
        if not isinstance(result, dict):
            raise TypeError(f"{function.__qualname__} returned a {type(result).__name__}, needed is a dict of arrays")
        arrays = {str(name): np.asarray(values) for name, values in result.items()}
        for name, values in arrays.items():
            if values.dtype.hasobject:
                raise TypeError(f"{name} is an array of objects")
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return None, f"{type(error).__name__}: {error} ({Path(where.filename).name}, line {where.lineno})"
    return arrays, None


def _scratch():
    """Where clusters on this machine have their temporary folders; None for the folder of the system."""
    try:
        import dask
    except ImportError:
        return None
    return dask.config.get("temporary-directory", None)


def _has_distributed():
    try:
        import distributed  # noqa: F401
    except ImportError:
        return False
    return True


def _taken(queue):
    while queue:
        yield queue.popleft()


def _attempts_there(client, function, tasks, queue):
    from distributed import CancelledError

    try:
        yield from _ended(client, function, tasks, queue)
    except (CancelledError, OSError) as error:
        raise SchedulerError(
            f"the Dask scheduler at {client.scheduler.address} went away; "
            "the results that were there are kept, run again to go on"
        ) from error


def _ended(client, function, tasks, queue):
    from distributed import KilledWorker, as_completed

    running, suspects, crowded, ended = {}, deque(), set(), as_completed(loop=client.loop)

    def start(key):
        future = client.submit(_attempt, function, tasks[key], pure=False)
        running[future] = key
        crowded.discard(key)
        ended.add(future)

    while queue or running or suspects:
        # not more than can run at once: tasks that wait take no memory, and a dying worker takes few with it
        places = max(1, sum(client.nthreads().values()))
        while queue and len(running) < places:
            start(queue.popleft())
        if not running:
            start(suspects.popleft())
        if len(running) > 1:
            crowded.update(running.values())
        future = next(ended)
        key, error = running.pop(future), future.exception()
        if error is None:
            yield key, *future.result()
        elif not isinstance(error, KilledWorker):
            yield key, None, f"{type(error).__name__}: {error}"
        elif key in crowded:
            # this task or another has killed the worker: it runs by itself before it is blamed
            suspects.append(key)
        else:
            yield key, None, "its worker died: it was killed, ran out of memory, or the function ended it"
        future.release()


@contextlib.contextmanager
def _cluster_at(address):
    """A client of the cluster whose scheduler has this address."""
    import asyncio

    from distributed import Client

    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise SchedulerError(
            f"no Dask scheduler answers at {address!r} within {PATIENCE} s ({error}); "
            "start one with `dask scheduler`, which prints its address"
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except (TimeoutError, asyncio.TimeoutError) as error:
            raise SchedulerError(
                f"the Dask scheduler at {address!r} has no workers; start some with `dask worker {address}`"
            ) from error
        yield client


@contextlib.contextmanager
def _local(workers, tasks):
    """A client of a cluster on this machine, which ends with it."""
    import dask
    from distributed import Client

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    # a function may start processes of its own, which those of a daemon may not
    settings: dict[str, int | bool] = {f"distributed.nanny.pre-spawn-environ.{name}": 1 for name in _ONE_THREAD}
    settings["distributed.worker.daemon"] = False
    with (
        _environment_restored(),
        # Dask does not find all that a killed run has left; the next run removes the whole folder
        temporary_folder("tasks", _scratch()) as scratch,
        dask.config.set({**settings, "temporary-directory": str(scratch)}),
    ):
        cluster = _started(
            n_workers=min(workers or cores, tasks),
            threads_per_worker=1,
            memory_limit=0,
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False, "allowed_failures": 0},
            silence_logs=logging.CRITICAL,
        )
        with cluster, Client(cluster, set_as_default=False) as client:
            try:
                yield client
            finally:
                _end_children(cluster)


def _started(**settings):
    """A local cluster; started again if a worker dies meanwhile, as one may that is killed or finds no memory."""
    from distributed import LocalCluster

    failure = None
    for _ in range(_STARTS):
        try:
            with _interrupts_stay_here():
                return LocalCluster(**settings)
        except RuntimeError as error:
            failure = error
    raise SchedulerError(
        f"workers died while they started, {_STARTS} times ({failure}): they were killed, ran out of memory, or raised "
        'an error; a script that is run must call run_tasks below `if __name__ == "__main__":`, because every worker '
        "imports it"
    ) from failure


def _end_children(cluster):
    """End what running tasks have started, which would outlive the workers."""
    for pid in filter(None, (nanny.pid for nanny in cluster.workers.values())):
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(pid).children(recursive=True):
                child.kill()


@contextlib.contextmanager
def _quietly():
    """Keep what Dask logs of workers that die and connections that break off the screen: the outcome says it."""
    levels = {logger: logger.level for logger in map(logging.getLogger, ("distributed", "distributed.client"))}
    for logger in levels:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)


@contextlib.contextmanager
def _environment_restored():
    """Undo what Dask leaves in the environment of this process after it has started workers."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


@contextlib.contextmanager
def _interrupts_stay_here():
    """Let threads and processes that start meanwhile leave Ctrl-C to this thread, which ends them in order."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # it would unblock the signal when the first process starts
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
