"""The processor, threads and libraries that timings depend on."""

import os
import platform
from importlib import metadata
from pathlib import Path


def description() -> str:
    """Processor, cores, Python and the libraries that matter for speed, in one line.

    Examples
    --------
    >>> from femnn.system import description
    >>> "Python" in description()
    True
    """
    libraries = ", ".join(f"{name} {metadata.version(name)}" for name in ("numpy", "numba", "scikit-fem", "torch"))
    cores = count_cores()
    return f"{processor()}, {cores} core{'s' if cores > 1 else ''}, Python {platform.python_version()}, {libraries}"


def processor() -> str:
    """Name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def count_cores() -> int:
    """Number of cores that this process may use, which containers and batch systems limit.

    Examples
    --------
    >>> from femnn.system import count_cores
    >>> count_cores() >= 1
    True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
