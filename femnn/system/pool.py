"""Threads of Python that share out the work of compiled kernels; what is computed does not depend on their number.

Kernels release the GIL and run over a part of their elements at a time. Numba could share out the loop itself, but
analyses a whole kernel for that and compiles it three times over; threads of Python cost some microseconds a call.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba

_pool: ThreadPoolExecutor | None = None
_lock = threading.Lock()


def call_for_parts(function: Callable[[Any, Any], Any], parts: Iterable[tuple[Any, Any]], threads: int) -> None:
    """Call ``function(begin, end)`` for all parts; each thread takes the next when it has done one.

    ``function`` must release the GIL, and what it writes for one part must depend on no other. The number of
    ``threads``, the calling one included, is at most that of Numba (``NUMBA_NUM_THREADS``).
    """
    # one step of an iterator is never interrupted by another thread
    left = iter(parts)

    def work() -> None:
        for begin, end in left:
            function(begin, end)

    pool = _threads()
    others = [pool.submit(work) for _ in range(threads - 1)]
    try:
        work()
    finally:
        # nobody may write into the arrays any more when an error or an interrupt leaves here
        deque(left, maxlen=0)
        for other in others:
            other.exception()
    for other in others:
        other.result()


def _threads() -> ThreadPoolExecutor:
    global _pool
    with _lock:
        if _pool is None:
            most = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
            _pool = ThreadPoolExecutor(max_workers=max(most - 1, 1))
        return _pool


def _after_fork() -> None:
    """Threads do not live on in a forked child."""
    global _pool, _lock
    _pool, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
