"""Rows of a matrix shared out to threads; what each row becomes does not depend on how."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numba
import numpy as np

# Entries below which starting threads costs more than it gains.
_FEW = 100_000

_pool: ThreadPoolExecutor | None = None
_lock = threading.Lock()


def over_rows(kernel: Callable, starts: np.ndarray, *arguments: Any) -> None:
    """Call ``kernel(first, last, starts, *arguments)`` for parts of the rows with equally many entries.

    As many parts as Numba has threads (``numba.set_num_threads``). The kernel must release the GIL, and what it writes
    for one row must depend on no other.

    Parameters
    ----------
    starts : (n + 1,) int64
        Where the entries of each row start.
    """
    n, total = len(starts) - 1, int(starts[-1])
    threads = min(numba.get_num_threads(), n) if total >= _FEW else 1
    if threads < 2:
        kernel(0, n, starts, *arguments)
        return
    inner = np.searchsorted(starts, np.linspace(0, total, threads + 1)[1:-1])
    bounds = [0, *inner.tolist(), n]
    pool = _threads()
    others = [pool.submit(kernel, first, last, starts, *arguments) for first, last in pairwise(bounds[1:])]
    try:
        kernel(bounds[0], bounds[1], starts, *arguments)
    finally:
        # nobody may write into the arrays any more when an error or an interrupt leaves here
        for other in others:
            other.exception()
    for other in others:
        other.result()


def _threads():
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(max_workers=max(numba.config.NUMBA_NUM_THREADS - 1, 1))
        return _pool


def _after_fork():
    """Threads do not live on in a forked child."""
    global _pool, _lock
    _pool, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
