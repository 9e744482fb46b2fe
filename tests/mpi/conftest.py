"""These tests run under mpiexec, and from `make test-mpi` alone: see the Makefile. Elsewhere nothing is collected.

Under mpiexec every rank runs the same tests, `test_ranks_*.py`. The others start mpiexec themselves.
"""

import os
import sys

import pytest

if "OMPI_COMM_WORLD_SIZE" in os.environ:
    collect_ignore_glob = ["test_programs.py"]
elif "FEMNN_MPIEXEC" in os.environ:
    collect_ignore_glob = ["test_ranks_*.py"]
else:
    collect_ignore_glob = ["*.py"]


@pytest.fixture(scope="session")
def comm():
    from femnn.parallel import world

    return world()


@pytest.fixture(scope="session")
def alone():
    """A communicator of this rank by itself."""
    from mpi4py import MPI

    return MPI.COMM_SELF


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A test that fails on one rank ends the run: the others would wait for it."""
    outcome = yield
    report = outcome.get_result()
    if report.failed and "OMPI_COMM_WORLD_SIZE" in os.environ:
        from femnn.parallel import world

        sys.stdout.flush()
        print(f"rank {world().rank}: {item.nodeid} failed\n{report.longreprtext}", file=sys.__stderr__, flush=True)
        world().Abort(1)
