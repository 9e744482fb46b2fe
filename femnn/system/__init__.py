"""This computer and this installation: processor, threads, memory, versions, and the compiler of kernels.

``compile`` has the decorator that compiles every kernel of femnn, ``hardware`` and ``memory`` say what timings and
sizes depend on, ``installation`` what ``femnn doctor`` reports.
"""

from femnn.system.compile import kernel_cache, njit
from femnn.system.hardware import count_cores, description
from femnn.system.installation import extras, threads, versions
from femnn.system.memory import require_memory

__all__ = [
    "count_cores",
    "description",
    "extras",
    "kernel_cache",
    "njit",
    "require_memory",
    "threads",
    "versions",
]
