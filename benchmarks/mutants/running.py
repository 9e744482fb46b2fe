"""How one mutation is tried: in a copy of the project, by the tests that must notice it.

What Python or Numba have compiled before must not hide a mutation. Python writes no byte code here. Numba keeps what it
has compiled by the time stamp of the file with the kernel, and does not know what else was compiled into it: a mutation
that may be part of a kernel, because its file or one that imports it has some, is tried with an empty cache.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from femnn.exceptions import FemnnError

_LEFT_OUT = (".*", "__pycache__", "results", "runs", "build", "dist", "*.egg-info")

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
    """A copy of the project in which mutations are tried, with a cache of compiled kernels that stays warm.

    Parameters
    ----------
    root
        The project.
    folder
        Where the copy and the cache go.
    seconds
        Tests that take longer hang, which counts as noticed.
    """

    def __init__(self, root: Path, folder: Path, seconds: float) -> None:
        self.tree, self.cache, self.seconds = folder / "tree", folder / "numba-cache", seconds
        shutil.rmtree(self.tree, ignore_errors=True)
        shutil.copytree(root, self.tree, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        self._kernels = _files_of_kernels(self.tree)

    def require_passing(self, tests: Sequence[str]) -> None:
        """FemnnError unless the tests pass as long as nothing is changed."""
        done = self._run(tests, self.cache)
        if done is None or done.returncode:
            tail = "they take too long" if done is None else done.stdout[-2000:]
            raise FemnnError(f"the tests fail before anything is changed: {tail}")

    def notices(self, mutation: Mutation) -> dict:
        """Whether tests notice a mutation, and how: ``caught``, ``how``, ``seconds``."""
        file, started = self.tree / mutation.file, time.perf_counter()
        text, stamp = file.read_text(encoding="utf-8"), file.stat()
        with tempfile.TemporaryDirectory(prefix="femnn-mutant-") as empty:
            try:
                file.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
                done = self._run(mutation.tests, Path(empty) if mutation.file in self._kernels else self.cache)
            finally:
                file.write_text(text, encoding="utf-8")
                os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        seconds = time.perf_counter() - started
        if done is None:
            return {"caught": True, "how": f"no end within {self.seconds:g} s", "seconds": seconds}
        if done.returncode in (_USAGE, _NO_TESTS):
            raise FemnnError(f"{mutation.name}: pytest runs none of {', '.join(mutation.tests)}: {done.stdout[-1000:]}")
        failed = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
        # killed by a signal: a kernel that writes anywhere is noticed, too
        how = failed[1] if failed else f"exit code {done.returncode}"
        return {"caught": done.returncode != 0, "how": how if done.returncode else "", "seconds": seconds}

    def _run(self, tests, cache):
        environment = {**os.environ, "PYTHONPATH": str(self.tree), "NUMBA_CACHE_DIR": str(cache)}
        environment |= {"PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
        try:
            return subprocess.run(
                command, cwd=self.tree, env=environment, capture_output=True, text=True, timeout=self.seconds
            )
        except subprocess.TimeoutExpired:
            return None


def _files_of_kernels(tree):
    """Files whose text may be compiled: those with kernels, and those that they import."""
    texts = {file: file.read_text(encoding="utf-8") for file in tree.rglob("*.py")}
    compiled = [text for text in texts.values() if "njit" in text]
    imported = {name for text in compiled for name in re.findall(r"^from ([\w.]+) import", text, re.MULTILINE)}
    names = {file: file.relative_to(tree).with_suffix("").as_posix() for file in texts}
    return {
        file.relative_to(tree).as_posix()
        for file, text in texts.items()
        if "njit" in text or names[file].replace("/", ".") in imported
    }
