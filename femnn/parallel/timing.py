"""Time and memory of the stages of a run on ranks, told by rank 0."""

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from femnn.parallel.ranks import communicator


class Timing:
    """Measures stages that all ranks go through together.

    Attributes
    ----------
    seconds : dict of float
        Of each stage, until the last rank had done with it.
    baseline
        Memory (bytes) of this rank when the object was made: interpreter and libraries.

    Examples
    --------
    >>> from femnn.parallel import Timing, world
    >>> timing = Timing(world())
    >>> with timing.stage("assembly"):
    ...     total = sum(range(1000))
    >>> timing.seconds["assembly"] >= 0.0
    True
    """

    def __init__(self, comm: Any) -> None:
        self.comm = communicator(comm)
        self.seconds: dict[str, float] = {}
        self.baseline = psutil.Process().memory_info().rss

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure a block; collective."""
        self.comm.Barrier()
        started = time.perf_counter()
        yield
        self.comm.Barrier()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started

    def memory(self) -> list[tuple[int, int]]:
        """Bytes of each rank, a list of (peak, baseline); collective."""
        return self.comm.allgather((peak_memory(), self.baseline))


def peak_memory() -> int:
    """Largest resident memory (bytes) of this process so far.

    Examples
    --------
    >>> from femnn.parallel import peak_memory
    >>> peak_memory() > 1_000_000
    True
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        # elsewhere; on Linux this one begins with that of the process which started this one
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
