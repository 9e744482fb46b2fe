"""This computer and this installation: processor, threads, memory, versions, and the compiler of kernels.

``compile`` has the decorator that compiles every kernel of femnn, ``compiler`` what it compiles with, ``blas`` holds
products to one thread, ``hardware`` and ``memory`` say what timings and sizes depend on, ``installation`` what ``femnn
doctor`` reports.
"""

from femnn.system.blas import one_blas_thread
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
    "one_blas_thread",
    "require_memory",
    "threads",
    "versions",
]
