"""Memory of this process, now and at its peak, and of the machine."""

import resource
import sys
from pathlib import Path

_STATUS, _RESET, _MACHINE = Path("/proc/self/status"), Path("/proc/self/clear_refs"), Path("/proc/meminfo")


def resident():
    """Bytes in use now; where the system does not tell, the peak so far."""
    return _status("VmRSS") or peak()


def peak():
    """Most bytes in use since the start or since :func:`forget_peak`."""
    # ru_maxrss would do, but it can't be reset and a child starts with that of its parent
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def forget_peak():
    """Start the peak afresh, where the system can."""
    if _RESET.exists():
        _RESET.write_text("5")


def available():
    """Bytes that new arrays may take without swapping; None where the system does not tell."""
    return _status("MemAvailable", _MACHINE)


def limit_to_available():
    """Let this process fail with MemoryError before the machine runs out of memory."""
    free = available()
    if free:
        resource.setrlimit(resource.RLIMIT_DATA, (free, resource.RLIM_INFINITY))


def _status(key, path=_STATUS):
    if not path.exists():
        return None
    lines = dict(line.split(":", 1) for line in path.read_text().splitlines())
    return 1024 * int(lines[key].split()[0])
