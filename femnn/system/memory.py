"""Memory that the machine has left, asked before large arrays are allocated."""

import psutil

from femnn.checks import number


def require_memory(need: int, what: str) -> None:
    """Raise MemoryError if ``what`` needs more bytes than are available; nothing has been allocated then.

    Examples
    --------
    >>> from femnn.system import require_memory
    >>> require_memory(1024, "a vector of 128 numbers")
    >>> try:
    ...     require_memory(10**18, "a matrix of 10^17 numbers")
    ... except MemoryError as error:
    ...     print("a matrix of 10^17 numbers" in str(error))
    True
    """
    number("need", need, "[0, inf]")
    available = psutil.virtual_memory().available
    if need > available:
        raise MemoryError(
            f"{what} needs {need:,} bytes, {available:,} are available; take a smaller mesh or a larger machine"
        )
