"""Processes that run the programs: each has its own, so that neither memory nor threads nor caches are shared."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.assembly_peers.peers.programs import PROGRAMS
from femnn.geometry import TO_VTK

# One thread for all libraries below the programs; those that have threads of their own are told how many.
_ONE = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

# Where programs keep what they have compiled: Numba, and others that keep to the freedesktop standard.
_CACHES = ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")


class ProgramError(Exception):
    """A program failed; the message is its own last line."""


class Process:
    """One program on one mesh file, in a process that waits for commands.

    ``caches`` is a folder for what programs compile and keep; by default it is where it is for every user.
    """

    def __init__(self, name, rule, mesh_file, threads, caches=None):
        environment = {**os.environ, **dict.fromkeys(_ONE, "1"), "NUMBA_NUM_THREADS": str(threads)}
        if caches is not None:
            environment |= {variable: str(Path(caches) / variable) for variable in _CACHES}
        folder = str(Path(__file__).resolve().parents[3])
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [folder, environment.get("PYTHONPATH")]))
        self._complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.assembly_peers.peers", name, str(rule), str(mesh_file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
            env=environment,
        )
        if hasattr(os, "sched_setaffinity"):
            # programs that take all cores get as many as the others use
            os.sched_setaffinity(self._process.pid, sorted(os.sched_getaffinity(0))[:threads])

    def ask(self, do, **arguments):
        """The answer to one command; ProgramError if the program fails at it."""
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise ProgramError(self._last_words())
        return json.loads(answer)

    def _last_words(self):
        code = self._process.wait()
        self._complaints.seek(0)
        lines = self._complaints.read().strip().splitlines()
        return lines[-1] if lines else f"ended with exit code {code}"

    def close(self):
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._complaints):
            stream.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def write_mesh(mesh, path):
    """The arrays of a ``skfem.MeshHex`` as the file that processes read."""
    # scikit-fem's grids are left-handed: with top and bottom exchanged they are what other programs expect
    right_handed = TO_VTK[[4, 5, 6, 7, 0, 1, 2, 3]]
    np.savez(path, p=mesh.p, t=mesh.t, cells=np.ascontiguousarray(mesh.t[right_handed].T, dtype=np.int32))


def available(names=None):
    """Names of the programs that can run here, and why each of the others cannot."""
    reasons = {name: PROGRAMS[name].missing() for name in names or PROGRAMS}
    return [name for name, reason in reasons.items() if reason is None], {
        PROGRAMS[name].title: reason for name, reason in reasons.items() if reason
    }
