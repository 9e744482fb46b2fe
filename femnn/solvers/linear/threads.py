"""Rows of a matrix shared out to threads; what each row becomes does not depend on how."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numba
import numpy as np

from femnn.system.pool import call_for_parts

# Entries below which starting threads costs more than it gains.
_FEW = 100_000


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
    parts = pairwise([0, *inner.tolist(), n])
    call_for_parts(lambda first, last: kernel(first, last, starts, *arguments), parts, threads)
