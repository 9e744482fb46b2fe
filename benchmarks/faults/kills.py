"""Runs that are killed or interrupted at any moment and started again: the same bits, and nothing left behind."""

import os
import signal
import subprocess
import sys
import time

import psutil

from benchmarks.faults.campaign import Kind, Lost, Tally
from benchmarks.faults.programs import PROGRAMS
from femnn.io import data_folder
from femnn_command import INTERRUPTED, MESSAGE

_PROGRAM = "import sys; from benchmarks.faults.programs import start; start(sys.argv[1])"
# as the command femnn begins, with a line that says that it answers Ctrl-C from now on
_COMMAND = """\
import signal, sys, femnn_command
signal.signal(signal.SIGINT, femnn_command.leave)
print("begun", flush=True)
sys.argv[0] = "femnn"
femnn_command.main()
"""
COMMANDS = {
    "femnn inspect": ("inspect", str(data_folder("meshes") / "bracket.vtu")),
    "femnn bench": ("bench",),
}
_SECONDS = 300.0


def _start(program, arguments, folder):
    """Start a program in a folder, whose temporary files go there, too."""
    scratch = folder.with_name(f"{folder.name}-temporary")
    for path in (folder, scratch):
        path.mkdir(exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(scratch), "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _complete(program, arguments, folder):
    """Run a program to its end; seconds until it begins to work and until it ends."""
    started = time.monotonic()
    with _start(program, arguments, folder) as process:
        process.stdout.readline()
        begun = time.monotonic() - started
        try:
            _, errors = process.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Lost(f"no end after {_SECONDS:g} s when nothing disturbs") from None
    if process.returncode:
        raise Lost(f"exit code {process.returncode} when it goes on: {errors.strip()[-500:]}")
    return begun, time.monotonic() - started


def _files(folder):
    """Contents of all files in a folder and in that of its temporary files."""
    folders = (folder, folder.with_name(f"{folder.name}-temporary"))
    return {
        f"{path.relative_to(folder.parent)}": path.read_bytes()
        for each in folders
        for path in sorted(each.rglob("*"))
        if path.is_file()
    }


def _compare(expected, found):
    """The files of a run that was disturbed are those of one that was not."""
    if expected.keys() != found.keys():
        more, fewer = sorted(found.keys() - expected.keys()), sorted(expected.keys() - found.keys())
        raise Lost(f"left behind: {', '.join(more) or 'nothing'}; missing: {', '.join(fewer) or 'nothing'}")
    differ = [name for name in expected if expected[name] != found[name]]
    if differ:
        raise Lost(f"other bits in {', '.join(differ)}")


def _stop(process, number):
    """Send a signal; what the process had started has to end as well."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        children = []
    process.send_signal(number)
    try:
        _, errors = process.communicate(timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise Lost(f"no end {_SECONDS:g} s after {signal.Signals(number).name}") from None
    _, alive = psutil.wait_procs(children, timeout=30)
    for child in alive:
        child.kill()
    if alive:
        raise Lost(f"{len(alive)} processes that it had started still run 30 s after {signal.Signals(number).name}")
    return errors


def _kill(name):
    def prepare(folder):
        begun, whole = _complete(_PROGRAM, [name], folder / "run")
        expected = _files(folder / "run")

        def case(draw, folder):
            for _ in range(draw.choice((1, 1, 2))):
                with _start(_PROGRAM, [name], folder / "run") as process:
                    # now and then while it starts, else while it works
                    if draw.random() < 0.2:
                        time.sleep(draw.uniform(0.0, begun))
                    else:
                        process.stdout.readline()
                        time.sleep(draw.uniform(0.0, whole - begun))
                    _stop(process, signal.SIGKILL)
            _complete(_PROGRAM, [name], folder / "run")
            _compare(expected, _files(folder / "run"))
            return Tally(answered=1)

        return case

    return Kind(f"kill: {name}", 25, 3 * _SECONDS, prepare, __name__)


def _interrupt(name):
    def prepare(folder):
        begun, whole = _complete(_COMMAND, COMMANDS[name], folder / "run")
        expected = _files(folder / "run")

        def case(draw, folder):
            with _start(_COMMAND, COMMANDS[name], folder / "run") as process:
                process.stdout.readline()
                time.sleep(draw.uniform(0.0, whole - begun))
                errors = _stop(process, signal.SIGINT)
            said = [line for line in errors.splitlines() if not line.startswith("femnn: warning")]
            # it may have ended just before
            if process.returncode != 0 and (process.returncode != INTERRUPTED or said != [f"femnn: {MESSAGE}"]):
                raise Lost(f"exit code {process.returncode} after Ctrl-C, and on stderr: {errors.strip()[-500:]}")
            _complete(_COMMAND, COMMANDS[name], folder / "run")
            _compare(expected, _files(folder / "run"))
            return Tally(answered=1)

        return case

    return Kind(f"Ctrl-C: {name}", 25, 3 * _SECONDS, prepare, __name__)


def kinds():
    """A kind for each program that is killed and each command that is interrupted."""
    return [*map(_kill, PROGRAMS), *map(_interrupt, COMMANDS)]
