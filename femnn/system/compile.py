"""Compilation of kernels by Numba, wherever femnn is installed and whatever process or thread calls them.

:func:`njit` takes the place of Numba's own. Kernels are compiled once and kept on the disk. Where no folder can be
written, they are compiled anew by every process, which is said once. Parallel kernels may be called from several Python
threads even where Numba has but its own "workqueue" of threads, and in children that ``multiprocessing`` has forked.
"""

import contextlib
import os
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba import prange
from numba.core.caching import NullCache
from numba.core.registry import CPUDispatcher

from femnn.exceptions import warn

# Numba's workqueue ends the process when two Python threads use it at once.
_one_at_a_time = threading.RLock()

# Threads of OpenMP and TBB do not live on in a forked child, and GNU's OpenMP ends a child that asks for them.
_threads_lost = False

_told = False


def njit(**options: Any) -> Callable[[Callable], Any]:
    """Decorator that compiles a kernel: ``numba.njit`` with the same options.

    >>> @njit(error_model="numpy")
    ... def twice(x):
    ...     return 2 * x
    >>> twice(21)
    42
    """
    kind = _ParallelKernel if options.get("parallel") else _Kernel

    def compiled(function: Callable) -> Any:
        try:
            kernel = numba.njit(**options)(function)
        except RuntimeError as error:
            if "cannot cache" not in str(error):
                raise
            _tell(error)
            kernel = numba.njit(**{**options, "cache": False})(function)
        # a disabled compiler leaves the function as it is
        if isinstance(kernel, CPUDispatcher):
            kernel.__class__ = kind
        return kernel

    return compiled


def callback(signature: Any, function: Callable) -> Any:
    """The C function of a function at the top of a module, kept on the disk where that is possible."""
    try:
        return numba.cfunc(signature, cache=True, error_model="numpy")(function)
    except (RuntimeError, OSError) as error:
        if not isinstance(error, OSError) and "cannot cache" not in str(error):
            raise
        _tell(error)
        return numba.cfunc(signature, error_model="numpy")(function)


class _Kernel(CPUDispatcher):
    """A compiled function that works even if what was compiled cannot be kept."""

    def compile(self, signature: Any) -> Any:
        try:
            return super().compile(signature)
        except OSError as error:
            # the disk is full, or the folder went away or was made read-only
            _tell(error)
            self._cache = NullCache()
            return super().compile(signature)


class _ParallelKernel(_Kernel):
    """A compiled function that uses threads."""

    serial: Any = None

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if _threads_lost:
            return _without_threads(self)(*arguments, **named)
        if _layer() == "workqueue":
            with _one_at_a_time:
                return super().__call__(*arguments, **named)
        return super().__call__(*arguments, **named)


def _layer() -> str:
    """Library that Numba's threads come from."""
    try:
        return numba.threading_layer()
    except ValueError:
        # not known before the first kernel has run; that, too, runs by itself
        return "workqueue"


def _without_threads(kernel: _ParallelKernel) -> Any:
    """The same loops in one thread, compiled when first needed."""
    if kernel.serial is None:
        function = kernel.py_func
        # under a name of its own, because the cache does not tell the two apart
        twin = types.FunctionType(
            function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
        )
        twin.__qualname__, twin.__module__ = f"{function.__qualname__}-serial", function.__module__
        options = {name: value for name, value in kernel.targetoptions.items() if name not in ("parallel", "nopython")}
        kernel.serial = njit(cache=True, **options)(twin)
    return kernel.serial


def _after_fork() -> None:
    global _one_at_a_time, _threads_lost
    _one_at_a_time = threading.RLock()
    with contextlib.suppress(ValueError):  # no threads were started before
        _threads_lost = _threads_lost or numba.threading_layer() != "workqueue"


def _tell(error: Exception) -> None:
    global _told
    if not _told:
        _told = True
        warn(
            f"compiled code cannot be kept ({error}): every process compiles it anew, which takes up to a minute; set "
            "NUMBA_CACHE_DIR to a folder that can be written"
        )


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@njit(parallel=True, cache=True)
def _fill(values: np.ndarray) -> None:
    for i in prange(len(values)):
        values[i] = i


def probe_threads() -> tuple[str, Path | None]:
    """Layer that the threads of parallel kernels come from, and the folder that keeps compiled kernels, if any."""
    if not isinstance(_fill, CPUDispatcher):
        return "none, because NUMBA_DISABLE_JIT is set", None
    _fill(np.empty(64))
    folder = _fill.stats.cache_path
    return numba.threading_layer(), None if folder is None else Path(folder)
