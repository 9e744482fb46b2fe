"""Measurements in processes of their own, alone or over the ranks of an MPI program."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import femnn
from femnn.exceptions import FemnnError

ROOT = Path(femnn.__file__).resolve().parents[1]


def mpiexec() -> str | None:
    """Path of the program that starts ranks; None without one."""
    return shutil.which("mpiexec.openmpi") or shutil.which("mpiexec")


def figures_of(command, *, seconds: float, ranks: Path | None = None):
    """What a process, or the ranks that it starts, prints last, read as JSON.

    Parameters
    ----------
    command
        Program and arguments.
    seconds
        After which it is given up.
    ranks
        Python of the ranks, if it starts some.
    """
    environment = {
        **os.environ,
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }
    if ranks is not None:
        # of another NumPy than this process; one core a rank, or one rank would have two
        environment["NUMBA_CACHE_DIR"] = str(ranks.parents[1] / "numba-cache")
        environment["NUMBA_NUM_THREADS"] = "1"
    command = [str(part) for part in command]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=seconds)
    if done.returncode:
        raise FemnnError(f"{' '.join(command)} failed: {done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])
