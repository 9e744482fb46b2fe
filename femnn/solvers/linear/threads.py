"""Rows of a matrix shared out to threads; what each row becomes does not depend on how."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numba
import numpy as np

from femnn.system.pool import call_for_parts

# Blocks below which starting threads costs more than it gains: in products with a vector, and in those of two matrices
# and whatever else takes tens of operations for an entry.
_FEW, FEW_OF_MATRICES = 50_000, 2_000


def over_rows(kernel: Callable, starts: np.ndarray, *arguments: Any, few: int = _FEW) -> None:
    """Call ``kernel(first, last, starts, *arguments)`` for parts of the rows with equally many entries.

    As many parts as Numba has threads (``numba.set_num_threads``). The kernel must release the GIL, and what it writes
    for one row must depend on no other.

    Parameters
    ----------
    starts : (n + 1,) int64
        Where the blocks of each row start.
    few
        Blocks below which one thread does it.
    """
    n, begin, end = len(starts) - 1, int(starts[0]), int(starts[-1])
    threads = min(numba.get_num_threads(), n) if end - begin >= few else 1
    if threads < 2:
        kernel(0, n, starts, *arguments)
        return
    inner = np.searchsorted(starts, np.linspace(begin, end, threads + 1)[1:-1])
    parts = pairwise([0, *inner.tolist(), n])
    call_for_parts(lambda first, last: kernel(first, last, starts, *arguments), parts, threads)
