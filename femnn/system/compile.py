"""Compilation of kernels by Numba, wherever femnn is installed and whatever process or thread calls them.

:func:`njit` takes the place of Numba's own. Kernels are compiled once and kept on the disk. Where no folder can be
written, they are compiled anew by every process, which is said once. Loops over many elements are shared out to threads
of Python by :mod:`femnn.system.pool`, so that kernels may be called from several threads and in forked children.
"""

import functools
import gc
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numba
import numpy as np
from numba.core import event
from numba.core.caching import FunctionCache, NullCache
from numba.core.registry import CPUDispatcher
from numba.core.targetconfig import ConfigStack

from femnn.exceptions import warn
from femnn.system.pool import call_for_parts

# What is left out of a compilation depends on the inside of Numba; a version that is not known compiles all of it.
_KNOWN = {(0, 68)}
_IS_KNOWN = numba.version_info.short in _KNOWN
if _IS_KNOWN:
    from femnn.system.compiler import InnerCompiler, InnerDispatcher, KernelCompiler

# Parts for each thread: some take longer than others.
_PARTS = 4

# Numba's options for functions that nothing but compiled code calls.
_NO_WRAPPERS = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}

# Options that a kernel takes over from its caller where it has none of its own.
_INHERITED = ("fastmath", "error_model")

_told = False


def njit(
    *,
    over: str | None = None,
    coloured: str | None = None,
    grain: int = 256,
    specialised: bool = False,
    cache: bool = False,
    **options: Any,
) -> Callable[[Callable], Any]:
    """Decorator that compiles a kernel: ``numba.njit`` with the same options, and two that share it out to threads.

    Such a kernel takes ``begin, end`` as its first two parameters and works on this part of its elements; it is called
    without the two. What it writes for one element must depend on no other.

    Parameters
    ----------
    over
        The parameter whose first axis counts the elements.
    coloured
        The parameter that holds blocks of elements, a tuple whose third array says where each colour of
        :class:`femnn.assembly.blocks.Blocks` starts. Blocks of one colour are worked on at once, colours one after
        another.
    grain
        Parts are multiples of so many elements: fewer are not worth a thread.
    specialised
        Compile the kernel anew for each set of numbers that stand in the source of kernels that call it, bounds of
        loops for instance. This is Numba's habit, and seldom worth it.
    cache
        Keep what is compiled on the disk.

    >>> @njit(error_model="numpy")
    ... def twice(x):
    ...     return 2 * x
    >>> twice(21)
    42
    >>> @njit(over="values")
    ... def count(begin, end, values):
    ...     for i in range(begin, end):
    ...         values[i] = i
    >>> values = np.empty(1000)
    >>> count(values)
    >>> bool((values == np.arange(1000)).all())
    True
    """
    if over or coloured:
        options["nogil"] = True
    if _IS_KNOWN:
        options.setdefault("pipeline_class", KernelCompiler)

    def compiled(function: Callable) -> Any:
        kernel = numba.njit(**options)(function)
        # a disabled compiler leaves the function as it is
        if isinstance(kernel, CPUDispatcher):
            kernel.__class__ = _Kernel
            cast(_Kernel, kernel).specialised, cast(_Kernel, kernel).is_kept = specialised, cache
        return kernel

    def decorated(function: Callable) -> Any:
        # found once for Numba, which asks for it several times
        cast(Any, function).__signature__ = inspect.signature(function)
        return _SharedKernel(compiled, function, over, coloured, grain) if over or coloured else compiled(function)

    return decorated


class _Kernel(CPUDispatcher):
    """A compiled function that works even if what was compiled cannot be kept."""

    specialised = is_kept = False
    _folder: Any = None

    @property
    def _cache(self) -> Any:
        # looked for when something is compiled: a process calls a few of the hundreds of kernels that it imports
        if self._folder is None:
            self._folder = NullCache()
            if self.is_kept:
                try:
                    self._folder = FunctionCache(self.py_func)
                except RuntimeError as error:
                    if "cannot cache" not in str(error):
                        raise
                    _tell(error)
        return self._folder

    @_cache.setter
    def _cache(self, folder: Any) -> None:
        self._folder = folder

    @functools.cached_property
    def inners(self) -> dict[tuple, Any]:
        """The same for calls by other kernels, by the arithmetic that it inherits from a caller."""
        return {}

    @property
    def inner(self) -> Any:
        """That for the kernel that is being compiled.

        What Python needs to call a function is a fifth of the time of its compilation. If there were one for all
        callers, the first of a process would settle the last digits for the others.
        """
        caller = ConfigStack.top_or_none()
        arithmetic = tuple(str(self.targetoptions.get(name, getattr(caller, name, None))) for name in _INHERITED)
        if arithmetic not in self.inners:
            options = {**self.targetoptions, **_NO_WRAPPERS}
            is_known = _IS_KNOWN and cast(Any, self)._compiler.pipeline_class is KernelCompiler
            kind, how = (InnerDispatcher, (InnerCompiler,)) if is_known else (CPUDispatcher, ())
            self.inners[arithmetic] = kind(self.py_func, self.locals, options, *how)
        return self.inners[arithmetic]

    @property
    def is_compiling(self) -> Any:
        return self._compiling_counter or self.inner._compiling_counter

    def get_call_template(self, args: Any, kws: Any) -> Any:
        if self.specialised:
            return self.inner.get_call_template(args, kws)
        plain = {name: numba.types.unliteral(kind) for name, kind in dict(kws).items()}
        return self.inner.get_call_template(tuple(map(numba.types.unliteral, args)), plain)

    def get_overload(self, sig: Any) -> Any:
        # asked by the compiler alone, for what it typed by the template
        return self.inner.get_overload(sig)

    def compile(self, signature: Any) -> Any:
        with _without_collection():
            try:
                return super().compile(signature)
            except OSError as error:
                # the disk is full, or the folder went away or was made read-only
                _tell(error)
                self._cache = NullCache()
                return super().compile(signature)


@contextmanager
def _without_collection() -> Iterator[None]:
    """Let the garbage collector rest: a compiler makes millions of objects, and it would walk through all of them."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _SharedKernel:
    """A compiled function whose elements are shared out to the threads that Numba is set to."""

    def __init__(
        self, compiled: Callable, function: Callable, over: str | None, coloured: str | None, grain: int
    ) -> None:
        functools.update_wrapper(self, function)
        names = list(inspect.signature(function).parameters)[2:]
        self.compiled, self.function, self.is_coloured, self.grain = compiled, function, coloured is not None, grain
        self.place = names.index(over or coloured or "")

    @functools.cached_property
    def kernel(self) -> Any:
        """Made at the first call, because a process calls a few of the hundreds that it imports."""
        return self.compiled(self.function)

    def __call__(self, *arguments: Any) -> None:
        counted = arguments[self.place]
        threads = numba.get_num_threads()
        if self.is_coloured:
            colours = counted[2].tolist()
            if threads == 1 or colours[-1] < 2:
                self._run(0, colours[-1], arguments)
            else:
                for first, last in pairwise(colours):
                    count = min(threads, last - first)
                    self._share(count, [first + (last - first) * k // count for k in range(count + 1)], arguments)
            return
        n = len(counted)
        count = min(n // self.grain, _PARTS * threads)
        if threads == 1 or count < 2:
            self._run(0, n, arguments)
            return
        wholes = n // self.grain
        bounds = [self.grain * (wholes * k // count) for k in range(count)]
        self._share(threads, [*bounds, n], arguments)

    def _share(self, threads: int, bounds: list[int], arguments: tuple) -> None:
        if len(bounds) == 2:
            self._run(bounds[0], bounds[1], arguments)
        else:
            call_for_parts(
                lambda begin, end: self._run(begin, end, arguments), pairwise(bounds), min(threads, len(bounds) - 1)
            )

    def _run(self, begin: int, end: int, arguments: tuple) -> None:
        # without a sign: the compiler then knows that no index wraps around
        self.kernel(np.uint64(begin), np.uint64(end), *arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.kernel, name)


class _Progress(event.Listener):
    """Says on a terminal which kernel is compiled: the first call of a program waits for many of them."""

    def __init__(self) -> None:
        self.depth = 0

    def on_start(self, started: Any) -> None:
        self.depth += 1
        function = getattr(started.data["dispatcher"], "py_func", None)
        if function and self.depth == 1 and sys.stderr.isatty() and function.__module__.startswith("femnn."):
            name = f"{function.__module__.removeprefix('femnn.')}.{function.__name__}"
            print(f"\rcompiling, once: {name}\033[K", end="", file=sys.stderr, flush=True)

    def on_end(self, ended: Any) -> None:
        self.depth -= 1
        if self.depth == 0 and sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)


event.register("numba:compile", _Progress())


def _tell(error: Exception) -> None:
    global _told
    if not _told:
        _told = True
        warn(
            f"compiled code cannot be kept ({error}): every process compiles it anew, which takes up to a minute; set "
            "NUMBA_CACHE_DIR to a folder that can be written"
        )


@njit(cache=True)
def _one() -> int:
    return 1


def kernel_cache() -> Path | None:
    """Folder that keeps compiled kernels; None if there is none that can be written.

    Examples
    --------
    >>> from femnn.system import kernel_cache
    >>> folder = kernel_cache()
    >>> folder is None or folder.is_dir()
    True
    """
    if not isinstance(_one, CPUDispatcher):
        return None
    _one()
    folder = _one.stats.cache_path
    return None if folder is None else Path(folder)
