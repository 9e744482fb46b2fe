"""Functions that tests run as tasks; workers import them from here."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from femnn.tasks import task_name

#: The scheduler of a cluster whose workers are threads of this process.
SCHEDULER = None


def drawn(seed, scale=1.0, log=None):
    note(log, seed)
    return {"values": scale * np.random.default_rng(seed).normal(size=(3, 2)), "name": np.array(f"seed {seed}")}


def other(seed):
    return {"values": np.array(seed)}


@task_name("support.many_runs.drawn")
def drawn_elsewhere(seed, scale=1.0, log=None):
    """What ``drawn`` is after it was moved and renamed."""
    return drawn(seed, scale, log)


def surroundings(seed):
    variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    return {"threads": [os.environ.get(name, "") for name in variables], "pid": os.getpid()}


def fails_at_first(seed, log, times):
    if note(log, seed).count(f"{seed}\n") <= times:
        raise ArithmeticError(f"seed {seed} is unlucky")
    return {"seed": seed}


def dies(seed, log, deadly):
    note(log, seed)
    time.sleep(0.2)
    if seed in deadly:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"seed": seed}


def stops(seed, log, at):
    note(log, seed)
    if seed == at:
        raise KeyboardInterrupt
    return {"seed": seed}


def waits(seed, folder, seconds):
    """Lasts ``seconds`` in a process of its own, whose number it leaves in ``folder``."""
    child = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({seconds})"])
    (Path(folder) / f"{seed}.pid").write_text(str(child.pid))
    child.wait()
    return {"seed": seed}


def counts_tasks(seed):
    time.sleep(0.01)
    return {"known": len(SCHEDULER.tasks)}


def returns(what):
    return {"number": 1.0, "objects": {"x": np.array([None])}}[what]


def note(log, seed):
    """Append to the log that this task ran; all of its text."""
    if log is None:
        return ""
    with open(log, "a", encoding="utf-8") as file:
        file.write(f"{seed}\n")
    return Path(log).read_text(encoding="utf-8")
