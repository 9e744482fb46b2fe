"""Many independent runs of one function: spread over processes or a Dask cluster, kept as files, resumed, retried."""

import dataclasses
import hashlib
import inspect
import json
import os
import re
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from tqdm import tqdm

from femnn.checks import brief, checked
from femnn.exceptions import DatasetError, ParameterError, TaskError
from femnn.io.atomic import atomic_write
from femnn.io.guarded import GuardedFile, digest
from femnn.tasks.executors import attempts

Task = TypeVar("Task", bound=Callable)

# Where a file keeps what made it, and the hash of its arrays; no result has this name.
_FINGERPRINT = "fingerprint of femnn.tasks"


@dataclass(frozen=True)
class Outcome:
    """Results and failures of the tasks of :func:`run_tasks`, by their keys.

    Attributes
    ----------
    results
        Path of each result that is there, in the order of the tasks.
    failures
        For the other tasks the message of their last attempt.
    ran
        Number of results that were computed now; the others had been there.

    Examples
    --------
    >>> from femnn.tasks import Outcome
    >>> outcome = Outcome(failures={"seed-3": "the layer became unstable"}, ran=2)
    >>> sorted(outcome.failures), outcome.ran
    (['seed-3'], 2)
    """

    results: dict[str, Path] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    ran: int = 0

    def load(self, key: str) -> dict[str, np.ndarray]:
        """The arrays of one result, by name."""
        if not isinstance(key, str) or key not in self.results:
            raise ParameterError(f"there is no result {brief(key)}; results has {len(self.results):,} others")
        return load_result(self.results[key])

    def require_all(self) -> "Outcome":
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


def task_name(name: str) -> Callable[[Task], Task]:
    """Decorator that fixes the name of a function in fingerprints, so that it may move and be renamed.

    Without it the name is ``MODULE.FUNCTION``, and results of an earlier run would be refused after a move.

    Examples
    --------
    >>> @task_name("experiments.draw")
    ... def draw_sample(seed):
    ...     return {"values": np.random.default_rng(seed).normal(size=3)}
    """

    def named(function: Task) -> Task:
        function.task_name = name  # type: ignore[attr-defined]
        return function

    return named


@checked(workers="[0, inf)", retries="[0, inf)", function="unchecked")
def run_tasks(
    function: Callable[..., Mapping[str, ArrayLike]],
    tasks: Mapping[str, Mapping[str, Any]],
    folder: str | os.PathLike,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    retries: int = 1,
    version: str = "",
    progress: bool = True,
) -> Outcome:
    """Run ``function(**arguments)`` for every task and keep what it returns; go on where an earlier run stopped.

    Every result is written to ``FOLDER/KEY.npz`` as soon as it is there, with a fingerprint of the function's name (see
    :func:`task_name`), the arguments and ``version``. A task whose file is there with the same fingerprint is not run
    again. Nothing is lost when a task raises, when a worker dies or when the run is interrupted.

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
        How often a task is tried again that raises or whose worker dies. A task that was running beside others when its
        worker died is retried alone before that counts, because any of them may have killed the worker.
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
        If the scheduler does not answer, has no workers or goes away; what is finished is kept.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.tasks import run_tasks
    >>> def draw(seed):
    ...     return {"values": np.random.default_rng(seed).normal(size=3)}
    >>> tasks = {f"seed-{seed}": {"seed": seed} for seed in range(3)}
    >>> outcome = run_tasks(draw, tasks, "draws", workers=0, progress=False)
    >>> outcome.ran, outcome.load("seed-1")["values"].shape
    (3, (3,))

    Called again, it finds all three results:

    >>> run_tasks(draw, tasks, "draws", workers=0, progress=False).ran
    0
    """
    folder = Path(folder)
    _check(function, tasks, workers, scheduler, retries)
    files = {key: folder / f"{key}.npz" for key in tasks}
    fingerprints = {key: fingerprint(function, key, arguments, version) for key, arguments in tasks.items()}
    kept = {key for key, file in files.items() if _is_kept(file, fingerprints[key])}
    queue = deque(key for key in tasks if key not in kept)
    failures: dict[str, str] = {}
    tries: Counter[str] = Counter()
    with (
        tqdm(
            total=len(tasks),
            initial=len(kept),
            desc=function.__name__.strip("_"),
            unit="task",
            disable=None if progress else True,
        ) as bar,
        attempts(function, tasks, queue, workers, scheduler) as attempted,
    ):
        for key, arrays, message in attempted:
            tries[key] += 1
            if message is None:
                _write(files[key], arrays, fingerprints[key])
            elif tries[key] <= retries:
                queue.append(key)
                continue
            else:
                failures[key] = message
            bar.update()
    results = {key: file for key, file in files.items() if key not in failures}
    return Outcome(results, {key: failures[key] for key in tasks if key in failures}, len(results) - len(kept))


@checked()
def load_result(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays that a task left in ``path``, by name; raises DatasetError if it is damaged.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.tasks import load_result, run_tasks
    >>> def square(x):
    ...     return {"y": np.array([x * x])}
    >>> outcome = run_tasks(square, {"first": {"x": 3.0}}, "squares", workers=0, progress=False)
    >>> load_result(outcome.results["first"])["y"]
    array([9.])
    """
    return _read(path)[1]


def _check(function, tasks, workers, scheduler, retries):
    if not inspect.isfunction(function) or "<" in function.__qualname__:
        raise ParameterError(
            f"{brief(function)} has no name in a module; give a function that is defined at the top of one"
        )
    for key in tasks:
        if not isinstance(key, str) or not re.fullmatch(r"[A-Za-z0-9_+=-][A-Za-z0-9._+=-]{0,199}", key):
            raise ParameterError(
                f"the key {key!r} names no file; take up to 200 letters, digits and ._+=-, not a point first"
            )
        if not isinstance(tasks[key], Mapping):
            raise ParameterError(f"the arguments of task {key} are {brief(tasks[key])}; pass a dict of them by name")
    if scheduler is not None and workers:
        raise ParameterError(f"workers is {workers} and scheduler {scheduler!r}; give one of them")


def fingerprint(function: Callable, key: str, arguments: Mapping[str, Any], version: str) -> str:
    """Hash of the function's name, its arguments and the version: what a result must have been made with."""
    try:
        described = json.dumps(arguments, sort_keys=True, default=_described)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"task {key}: {error}; give numbers, strings, paths, arrays or dataclasses") from error
    module, _, name = getattr(function, "task_name", f"{function.__module__}.{function.__qualname__}").rpartition(".")
    whole = json.dumps([module, name, str(version), described])
    return hashlib.sha256(whole.encode()).hexdigest()


def _described(value):
    """A value that JSON does not know, in terms of those that it knows."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        data = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return {"array": [value.dtype.str, value.shape, data]}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if not _is_left_out(value, f)}
        return {type(value).__qualname__: fields}
    raise TypeError(f"a {type(value).__name__} has no fingerprint")


def _is_left_out(value, field):
    """True for a field at its default that a class names in ``added_later``: results without it stay valid."""
    return field.name in getattr(type(value), "added_later", ()) and getattr(value, field.name) == field.default


def _is_kept(path, fingerprint):
    if not os.path.lexists(path):
        return False
    made_with, _ = _read(path)
    if made_with != fingerprint:
        raise DatasetError(
            f"{path} was made by another function, other arguments or another version (fingerprint {made_with[:12]}, "
            f"needed is {fingerprint[:12]}); choose another folder, or delete it to make it again"
        )
    return True


def _read(path):
    """Fingerprint of what made a result, and its arrays."""
    file = GuardedFile(Path(path), DatasetError, "result of a task", "delete it to make it again")
    arrays = file.arrays()
    with file.checked():
        # earlier results have no hash
        made_with, *sha256 = np.atleast_1d(arrays.pop(_FINGERPRINT)).tolist()
        if not isinstance(made_with, str):
            raise ValueError("its fingerprint is no text")
        if sha256 and sha256 != [digest(arrays, made_with)]:
            raise ValueError("its arrays are not those that were written, by their sha256")
    return made_with, arrays


def _write(file, arrays, fingerprint):
    arrays = {name: np.asarray(values) for name, values in arrays.items()}
    made_with = np.array([fingerprint, digest(arrays, fingerprint)])
    with atomic_write(file) as temporary, open(temporary, "wb") as opened:
        np.savez(opened, **{_FINGERPRINT: made_with}, **arrays)
