"""Products of small matrices by one thread of BLAS.

Threads of BLAS wait for each other by spinning. Where another program takes a core, a product of a few hundred rows so
takes a hundred times as long as by one thread, and gains nothing where none does.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController

_inside = threading.RLock()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """NumPy and SciPy multiply by one thread inside; also a decorator. May be nested. Costs 10 µs.

    The setting is that of the whole process: while one thread of Python is inside, others leave it as it is.

    >>> import numpy as np
    >>> with one_blas_thread():
    ...     product = np.ones((2, 2)) @ np.ones((2, 2))
    >>> product.tolist()
    [[2.0, 2.0], [2.0, 2.0]]
    """
    # who came second would take back what the first has set, or keep it for good
    if not _inside.acquire(blocking=False):
        yield
        return
    try:
        with _libraries().limit(limits=1):
            yield
    finally:
        _inside.release()


@cache
def _libraries() -> ThreadpoolController:
    """The libraries of BLAS that are loaded; finding them takes some milliseconds."""
    import scipy.linalg  # noqa: F401

    return ThreadpoolController().select(user_api="blas")


def _after_fork() -> None:
    """No other thread of the parent is inside in a forked child."""
    global _inside
    _inside = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
