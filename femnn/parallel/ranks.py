"""The ranks of an MPI program: what they need, how many threads each takes, and how they stop together."""

import contextlib
import functools
import os
import pickle
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import numba

from femnn.checks import brief
from femnn.exceptions import FemnnError, MissingExtraError, ParameterError

DEBIAN = "python3-petsc4py python3-mpi4py openmpi-bin"


@functools.cache
def world() -> Any:
    """All ranks of this program: mpi4py's communicator, with PETSc started on it.

    The first call also divides the cores among the ranks of a machine (unless ``NUMBA_NUM_THREADS`` is set), and sees
    to it that an error that nobody catches on one rank stops all of them.

    Raises
    ------
    MissingExtraError
        If mpi4py or petsc4py is not there, or was built for another NumPy.

    Examples
    --------
    >>> from femnn.parallel import world
    >>> comm = world()
    >>> 0 <= comm.rank < comm.size
    True
    """
    try:
        from mpi4py import MPI
        from petsc4py import init

        # PETSC_OPTIONS still counts; the signals stay with Python and mpiexec
        init(["femnn", "-no_signal_handler"])
    except ImportError as error:
        raise MissingExtraError(
            f"ranks need mpi4py and petsc4py, which do not load here ({error}): pip install 'femnn[mpi]', and Debian's "
            f"packages {DEBIAN} with an environment of the system's Python and numpy<2; `make test-mpi` builds one"
        ) from error
    comm = MPI.COMM_WORLD
    if comm.size > 1:
        _divide_cores(comm, MPI)
        sys.excepthook = functools.partial(_stop_all, comm)
    return comm


def communicator(comm: Any) -> Any:
    """``comm``, or all ranks of this program for None; ParameterError if it is no communicator."""
    if comm is None:
        return world()
    if not all(callable(getattr(comm, name, None)) for name in ("Barrier", "allgather", "bcast")):
        raise ParameterError(f"comm is {brief(comm)}, no communicator; pass femnn.parallel.world()")
    return comm


def petsc() -> Any:
    """The module ``petsc4py.PETSc``, started."""
    world()
    from petsc4py import PETSc

    return PETSc


@contextlib.contextmanager
def together(comm: Any) -> Iterator[None]:
    """Raise on all ranks, when they leave the block, what one raises in it: no rank waits for one that has given up.

    The block must not communicate. The others get the error of the lowest rank that has one, or a :class:`FemnnError`
    with its words where it cannot be sent.

    Examples
    --------
    >>> from femnn.parallel import together, world
    >>> try:
    ...     with together(world()):
    ...         raise ValueError("a file is missing on this rank")
    ... except ValueError as error:
    ...     print(error)
    a file is missing on this rank
    """
    error = None
    try:
        yield
    except Exception as raised:
        error = raised
    failed = comm.allgather(None if error is None else _sendable(error))
    if error is not None:
        raise error
    for theirs in failed:
        if theirs is not None:
            raise theirs


def _sendable(error):
    """The error itself if it survives pickling, else one with the same message."""
    try:
        return pickle.loads(pickle.dumps(error))
    except Exception:
        return FemnnError(f"{type(error).__name__}: {error}")


def _divide_cores(comm, mpi):
    here = comm.Split_type(mpi.COMM_TYPE_SHARED)
    neighbours = here.size
    here.Free()
    if "NUMBA_NUM_THREADS" not in os.environ:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        numba.set_num_threads(max(1, min(numba.config.NUMBA_NUM_THREADS, cores // neighbours)))


def _stop_all(comm, kind, error, trace):
    """The last words of a rank; the others would wait for it for ever."""
    text = "".join(traceback.format_exception(kind, error, trace))
    sys.stderr.write(f"rank {comm.rank} of {comm.size} stops all ranks:\n{text}")
    sys.stderr.flush()
    comm.Abort(1)
