"""Memory that the machine has left, asked before large arrays are allocated."""

import psutil

from femnn.checks import number


def require_memory(need: int, what: str) -> None:
    """Raise MemoryError if ``what`` needs more bytes than are available; nothing has been allocated then."""
    number("need", need, "[0, inf]")
    available = psutil.virtual_memory().available
    if need > available:
        raise MemoryError(
            f"{what} needs {need:,} bytes, {available:,} are available; take a smaller mesh or a larger machine"
        )
