"""How a campaign tries the cases of a kind: in a process of its own, which may hang or die without ending the rest.

A case is drawn from the seed, the name of its kind and its number alone, so that it can be repeated by itself.
"""

import contextlib
import importlib
import json
import os
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from femnn.exceptions import FemnnError
from femnn.system import count_cores

#: A kind is given up after so many losses: the rest would be more of the same.
_MOST_LOST = 20
_SECONDS_TO_START = 300.0


class Lost(Exception):
    """Something happened that no user should meet: the message says what."""


@dataclass
class Tally:
    """How many attempts were answered, refused or stopped because they take long, and what went wrong in the others."""

    answered: int = 0
    refused: int = 0
    stopped: int = 0
    lost: list = field(default_factory=list)

    @property
    def tried(self) -> int:
        """All attempts."""
        return self.answered + self.refused + self.stopped + len(self.lost)

    def add(self, other: "Tally") -> None:
        """Count the attempts of another tally as well."""
        self.answered += other.answered
        self.refused += other.refused
        self.stopped += other.stopped
        self.lost += other.lost


class Kind(NamedTuple):
    """A kind of fault.

    Attributes
    ----------
    name
        Its line in the table.
    cases : int
        How many cases a whole campaign has.
    seconds : float
        A case that takes longer hangs, if no other program asks for the cores.
    prepare : callable
        ``prepare(folder)`` makes what all cases need, and returns ``case(random, folder)``, which returns a
        :class:`Tally`, or raises :class:`Lost`; what it leaves in its own folder is kept when something is lost.
    module : str
        Where the process that tries it finds it: a module with ``kinds()``.
    """

    name: str
    cases: int
    seconds: float
    prepare: Callable[[Path], Callable[[random.Random, Path], Tally]]
    module: str


def judged(attempt: Callable[[], object]) -> Tally:
    """Tally of one attempt: an answer, a refusal by an error of femnn on one line, or a loss."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            attempt()
    except FemnnError as error:
        if "\n" in str(error):
            raise Lost(f"the message has several lines: {error}") from error
        return Tally(refused=1)
    except Lost:
        raise
    except Exception as error:
        raise Lost(f"{type(error).__name__}: {error}") from error
    return Tally(answered=1)


def damaged(content: bytes, draw: random.Random) -> bytes:
    """The bytes of a file, cut off, or with a few bits flipped."""
    if draw.random() < 0.3:
        return content[: draw.randrange(len(content))]
    flipped = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 8))):
        flipped[draw.randrange(len(flipped))] ^= 1 << draw.randrange(8)
    return bytes(flipped)


def serve(module: str, name: str, seed: str, start: str, stop: str, folder: str) -> None:
    """Try cases of a kind of ``module`` in this process.

    A line is written before and after each case; all else that is printed goes nowhere.
    """
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    common = Path(folder) / "common"
    common.mkdir()
    (kind,) = (kind for kind in importlib.import_module(module).kinds() if kind.name == name)
    case = kind.prepare(common)
    for number in range(int(start), int(stop)):
        own = Path(folder) / str(number)
        own.mkdir()
        print(json.dumps({"begins": number}), file=answers)
        try:
            tally = case(random.Random(f"{seed} {name} {number}"), own)
        except Exception as error:
            # what is no Lost is a fault of the campaign itself, or of femnn where none was expected
            reason = str(error) if isinstance(error, Lost) else f"{type(error).__name__}: {error}"
            (own / "traceback.txt").write_text(traceback.format_exc(), encoding="utf-8")
            tally = Tally(lost=[reason])
        if not tally.lost:
            shutil.rmtree(own)
        print(json.dumps({"ended": number, "tally": vars(tally)}), file=answers)


def run(kind: Kind, seed: int, numbers: range, folder: Path, keep: Path, progress: Callable[[], object]) -> Tally:
    """Try the cases ``numbers`` of a kind.

    Parameters
    ----------
    kind, seed, numbers
        Which cases.
    folder
        An empty folder for their files.
    keep
        Folder that takes the files of what was lost.
    progress
        Called after each case.
    """
    tally, rest = Tally(), numbers
    while len(rest) and len(tally.lost) < _MOST_LOST:
        parts = folder / f"from-{rest.start}"
        with _served(kind, seed, rest, parts) as lines:
            for number, found in lines:
                found.lost = [(number, reason) for reason in found.lost]
                tally.add(found)
                if found.lost:
                    _keep(kind, seed, number, found.lost, parts / str(number), keep)
                rest = range(number + 1, rest.stop)
                progress()
                if len(tally.lost) >= _MOST_LOST:
                    break
    return tally


@contextlib.contextmanager
def _served(kind: Kind, seed: int, numbers: range, folder: Path) -> Iterator[Iterator[tuple[int, Tally]]]:
    """Iterator over (number, Tally) of the cases that a process tries, until the last one or one that ends it."""
    folder.mkdir(parents=True)
    program = "import sys; from benchmarks.faults.campaign import serve; serve(*sys.argv[1:])"
    arguments = [kind.module, kind.name, str(seed), str(numbers.start), str(numbers.stop), str(folder)]
    with open(folder / "stderr.txt", "w+", encoding="utf-8", errors="replace") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            stdin=subprocess.DEVNULL,
            # threads gain nothing for single elements
            env={"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", **os.environ},
            # a group that can be ended with all that it has started
            start_new_session=True,
        )
        try:
            yield _tallies(kind, process, errors)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()


def _tallies(kind, process, errors):
    running = None
    for line in _lines(process.stdout.fileno(), kind.seconds):
        if line is None:
            break
        if "begins" in line:
            running = line["begins"]
        else:
            yield line["ended"], Tally(**line["tally"])
            running = None
    else:
        process.wait()
        if process.returncode == 0:
            return
    code = process.poll()
    errors.seek(0)
    said = errors.read().strip()[-1000:]
    if running is None:
        raise FemnnError(f"the cases of {kind.name!r} cannot be prepared: {said or f'exit code {code}'}")
    yield running, Tally(lost=[f"no end after {kind.seconds:g} s" if code is None else f"exit code {code}: {said}"])


def _lines(descriptor, seconds):
    """What is written to a pipe, line by line from JSON; None, once, if a case that begins does not end in time."""
    rest, end = b"", time.monotonic() + _crowding() * _SECONDS_TO_START
    while True:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            yield None
            return
        content = os.read(descriptor, 1 << 16)
        if not content:
            return
        *lines, rest = (rest + content).split(b"\n")
        for line in lines:
            said = json.loads(line)
            end = time.monotonic() + _crowding() * (seconds if "begins" in said else _SECONDS_TO_START)
            yield said


def _crowding():
    """Programs that wait for each core, at least one: a case that gets no processor does not hang."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 1.0
    return max(1.0, load / count_cores())


def _keep(kind, seed, number, lost, files, keep):
    """Move the files of a case to where they stay, with the command that repeats it."""
    target = keep / f"{re.sub('[^a-z0-9]+', '-', kind.name.lower()).strip('-')}-{number}"
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(files, target)
    lines = [reason for _, reason in lost]
    repeat = f'femnn bench faults --only "{kind.name}" --seed {seed} --case {number}'
    (target / "what.txt").write_text("\n".join([*lines, "", "Repeat:", repeat, ""]), encoding="utf-8")
