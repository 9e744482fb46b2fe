"""Atomic writing: the old file or the whole new one, and nothing else in the folder, whatever ended the writer."""

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from femnn.exceptions import ParameterError
from femnn.io.atomic import atomic_write, temporary_folder

# Writes half of a file, or half of a folder, says so, and waits to be killed.
WRITER = """
import sys, time
from pathlib import Path
from femnn.io.atomic import atomic_write, temporary_folder
what, folder = sys.argv[1:]
context = atomic_write(Path(folder) / "restart.npz") if what == "file" else temporary_folder("grains", folder)
with context as temporary:
    (temporary if what == "file" else temporary / "path.npz").write_bytes(b"half")
    print(temporary, flush=True)
    time.sleep(600)
"""


class Writer:
    """A process that is in the midst of writing."""

    def __init__(self, what, folder):
        command = [sys.executable, "-c", WRITER, what, str(folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.temporary = Path(self.process.stdout.readline().strip())
        assert self.temporary.exists()

    def end(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        self.process.communicate(timeout=60)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="what is abandoned is known by its lock, which needs POSIX")
class TestKilledWriters:
    @pytest.mark.parametrize("what", ["file", "folder"])
    def test_what_they_left_goes_with_the_next_write_into_the_folder(self, tmp_path, what):
        for _ in range(2):
            Writer(what, tmp_path).end()
        assert names(tmp_path) != []
        with atomic_write(tmp_path / "another.json") as temporary:
            temporary.write_text("{}")
        assert names(tmp_path) == ["another.json"]

    def test_a_living_writer_keeps_what_it_writes(self, tmp_path):
        writers = [Writer("file", tmp_path), Writer("folder", tmp_path)]
        try:
            with atomic_write(tmp_path / "restart.npz") as temporary, temporary_folder("grains", tmp_path):
                temporary.write_text("whole")
            assert all(writer.temporary.exists() for writer in writers)
        finally:
            for writer in writers:
                writer.end()
        with temporary_folder("grains", tmp_path):
            pass
        assert names(tmp_path) == ["restart.npz"]

    def test_what_another_computer_left_goes_when_it_is_old(self, tmp_path):
        with atomic_write(tmp_path / "one.txt") as temporary:
            temporary.write_text("whole")
        mark = re.search("-femnn-[0-9a-f]{8}-", temporary.name)[0]
        for age, name in ((0, "young"), (7 * 24 * 3600, "old")):
            left = tmp_path / temporary.name.replace("one", name).replace(mark, "-femnn-0badcafe-")
            left.write_text("half")
            os.utime(left, 2 * (time.time() - age,))
        with atomic_write(tmp_path / "two.txt") as temporary:
            temporary.write_text("whole")
        assert [name.partition("-")[0] for name in names(tmp_path)] == [".young", "one.txt", "two.txt"]

    def test_files_of_users_are_not_touched(self, tmp_path):
        own = [".restart-copy.npz", "restart-femnn-00000000-abcdefgh.npz", ".restart-abcdefgh.npz"]
        for name in own:
            (tmp_path / name).write_text("mine")
        with atomic_write(tmp_path / "restart.npz") as temporary:
            temporary.write_text("whole")
        assert set(names(tmp_path)) == {*own, "restart.npz"}


def test_many_threads_write_beside_each_other(tmp_path):
    def write(k):
        with atomic_write(tmp_path / "same.txt") as temporary:
            temporary.write_text(1000 * str(k % 10))
        return (tmp_path / "same.txt").read_text()

    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(write, range(64)))
    assert {len(text) for text in texts} == {1000}
    assert all(len(set(text)) == 1 for text in texts)
    assert names(tmp_path) == ["same.txt"]


def test_an_error_leaves_the_old_file(tmp_path):
    (tmp_path / "a.txt").write_text("old")

    def write():
        with atomic_write(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.skipif(os.name != "posix", reason="an umask is of POSIX")
def test_files_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "a.txt") as temporary:
            temporary.write_text("whole")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "notes").write_text("of another program")
    with (
        pytest.raises(ParameterError, match="notes is no folder; choose another place"),
        atomic_write(tmp_path / "notes" / "table.txt"),
    ):
        pass


@pytest.mark.parametrize("name", ["a" * 251 + ".txt", "é" * 125 + ".txt", "a." + "b" * 253])
def test_the_longest_names_of_the_file_system_are_written(tmp_path, name):
    with atomic_write(tmp_path / name) as temporary:
        temporary.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a" * 256, "a\0b"])
def test_names_of_no_file_are_refused(tmp_path, name):
    with pytest.raises(ParameterError, match=r"path=.* is no path"), atomic_write(tmp_path / name):
        pass
