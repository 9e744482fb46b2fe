"""How one mutation is tried: in a copy of the project, by the tests that must notice it.

What Python or Numba have compiled before must not hide a mutation. Both know a changed file by its time stamp, which a
mutation moves by hours. But Numba does not know what else it has compiled into a kernel: compiled kernels of all files
that import the changed one, directly or not, are set aside while a mutation is tried. The others serve on, so that a
mutation costs seconds where it might cost minutes.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from femnn.exceptions import FemnnError

_LEFT_OUT = (".*", "results", "runs", "build", "dist", "*.egg-info")

# Imports every room, and is imported by every program.
_ALL = "femnn/__init__.py"

# Nanoseconds by which the time stamp of a changed file moves: more than any clock is wrong by.
_LATER = 3600 * 10**9

# pytest: tests failed; interrupted, which an import error of the mutated code is as well; wrong usage; no tests found
_FAILED, _INTERRUPTED, _USAGE, _NO_TESTS = 1, 2, 4, 5


@dataclass(frozen=True)
class Mutation:
    """One change of the code.

    Parameters
    ----------
    room
        Its line in the table.
    file
        Relative to the project.
    old, new
        Text that occurs once in the file, and what takes its place.
    tests
        Files or node ids of pytest that must fail then.
    survives
        Why no test notices it, if none can.
    """

    room: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    survives: str = ""

    @property
    def name(self) -> str:
        """File and old text on one line."""
        return f"{self.file}: {' '.join(self.old.split())}"


def lost_anchors(root: Path, mutations: Sequence[Mutation]) -> list[str]:
    """What is wrong with mutations whose text or tests are no longer in the project: one line for each, or none."""
    lost = []
    for mutation in mutations:
        file = root / mutation.file
        found = file.read_text(encoding="utf-8").count(mutation.old) if file.is_file() else 0
        if found != 1:
            lost.append(f"{mutation.name}: the text occurs {found} times, it must occur once")
        for test in mutation.tests:
            path, _, name = test.partition("::")
            there = (root / path).is_file()
            if not there or (name and f"def {name}(" not in (root / path).read_text(encoding="utf-8")):
                lost.append(f"{mutation.name}: there is no test {test}")
    return lost


def fingerprint(root: Path, mutation: Mutation) -> str:
    """Hash of a mutation, its file and its tests: as long as none of them changes, its outcome stands."""
    parts = [mutation.file, *sorted({test.partition("::")[0] for test in mutation.tests})]
    texts = [(root / part).read_text(encoding="utf-8") for part in parts]
    whole = "\0".join([mutation.old, mutation.new, *mutation.tests, *texts])
    return hashlib.sha256(whole.encode()).hexdigest()


class Copy:
    """A copy of the project in which mutations are tried, with what Numba has compiled of it.

    Parameters
    ----------
    root
        The project.
    tree
        Where the copy goes.
    seconds
        Tests that take longer hang, which counts as noticed.
    """

    def __init__(self, root: Path, tree: Path, seconds: float) -> None:
        self.tree, self.seconds = tree, seconds
        shutil.rmtree(tree, ignore_errors=True)
        shutil.copytree(root, tree, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        self._imports = _imports(tree)

    def require_passing(self, tests: Sequence[str]) -> None:
        """FemnnError unless the tests pass as long as nothing is changed."""
        done = self._run(tests, len(tests) * self.seconds)
        if done is None or done.returncode:
            tail = "they take too long" if done is None else done.stdout[-2000:]
            raise FemnnError(f"the tests fail before anything is changed: {tail}")

    def notices(self, mutation: Mutation) -> dict:
        """Whether tests notice a mutation, and how: ``caught``, ``how``, ``seconds``."""
        file, started = self.tree / mutation.file, time.perf_counter()
        text, stamp = file.read_text(encoding="utf-8"), file.stat()
        with self._set_aside(self._importing(mutation.file)):
            try:
                file.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
                os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + _LATER))
                done = self._run(mutation.tests, self.seconds)
            finally:
                file.write_text(text, encoding="utf-8")
                os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        seconds = time.perf_counter() - started
        if done is None:
            return {"caught": True, "how": f"no end within {self.seconds:g} s", "seconds": seconds}
        if done.returncode in (_USAGE, _NO_TESTS):
            raise FemnnError(f"{mutation.name}: pytest runs none of {', '.join(mutation.tests)}: {done.stdout[-1000:]}")
        failed = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
        # without a line of its own: ended by a signal, for instance by a kernel that writes anywhere
        how = failed[1] if failed else f"exit code {done.returncode}"
        return {"caught": done.returncode != 0, "how": how if done.returncode else "", "seconds": seconds}

    def _run(self, tests, seconds):
        environment = {**os.environ, "PYTHONPATH": str(self.tree), "PYTHONDONTWRITEBYTECODE": "1"}
        # beside the files, where the copy brought it
        environment.pop("NUMBA_CACHE_DIR", None)
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
        try:
            return subprocess.run(
                command, cwd=self.tree, env=environment, capture_output=True, text=True, timeout=seconds
            )
        except subprocess.TimeoutExpired:
            return None

    def _importing(self, file: str) -> set[str]:
        """A file and all that import it, directly or not; but for ``femnn`` itself, whose names no kernel uses."""
        found, waiting = set(), {file}
        while waiting:
            found |= waiting
            waiting = {other for other, imported in self._imports.items() if imported & found} - found
        return found

    @contextmanager
    def _set_aside(self, files: set[str]) -> Iterator[None]:
        """Without the compiled kernels of some files; what is compiled meanwhile is thrown away."""
        with tempfile.TemporaryDirectory(prefix="femnn-mutant-") as aside:
            kept = [(place, Path(aside) / str(i)) for i, place in enumerate(self._kernels(files))]
            for place, away in kept:
                shutil.move(place, away)
            try:
                yield
            finally:
                for place in self._kernels(files):
                    place.unlink()
                for place, away in kept:
                    shutil.move(away, place)

    def _kernels(self, files):
        return [
            place
            for file in sorted(files)
            for place in (self.tree / file).parent.glob(f"__pycache__/{Path(file).stem}.*.nb[ci]")
        ]


def _imports(tree: Path) -> dict[str, set[str]]:
    """Files of the project that each file of it imports."""
    files = {file.relative_to(tree).as_posix(): file.read_text(encoding="utf-8") for file in tree.rglob("*.py")}
    modules = {name.removesuffix(".py").removesuffix("/__init__").replace("/", "."): name for name in files}
    # tests import from their own folder as well
    modules |= {name.removeprefix("tests."): file for name, file in modules.items() if name.startswith("tests.")}
    found = {}
    for file, text in files.items():
        names = set()
        for module, imported in re.findall(r"^\s*from ([\w.]+) import ([^#\n]*)", text, re.MULTILINE):
            names |= {module, *(f"{module}.{name}" for name in re.findall(r"\w+", imported))}
        for listed in re.findall(r"^\s*import ([\w., ]+)", text, re.MULTILINE):
            names |= set(re.findall(r"[\w.]+", listed))
        found[file] = {modules[name] for name in names if name in modules} - {file, _ALL}
    return found
