"""Kernels work in any place, thread and process: compiled or not kept, called at once, called after a fork."""

import os
import subprocess
import sys

import pytest
from support.locations import ROOT

KERNELS = """
import numpy as np
from numba import prange
from femnn.system.compile import njit

@njit(cache=True)
def square(x):
    return x * x

@njit(parallel=True, cache=True, error_model="numpy")
def fill(values, factor=1.0):
    for i in prange(len(values)):
        values[i] = factor * square(i) / 3.0

def filled(n=1000):
    values = np.empty(n)
    fill(values)
    return values

expected = np.arange(1000.0) ** 2 / 3.0
"""


def run(folder, program, **environment):
    """Run a program beside a module of kernels; what it printed and warned."""
    (folder / "kernels.py").write_text(KERNELS, encoding="utf-8")
    (folder / "program.py").write_text(f"from kernels import *\n{program}", encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    path = os.pathsep.join([str(folder), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=folder,
        env={**kept, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_without_a_folder_that_can_be_written(tmp_path):
    # stands for a folder that is read-only, which it is not for root
    (tmp_path / "__pycache__").write_text("")
    nowhere = {"HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null", "LOCALAPPDATA": "/dev/null"}
    text = run(tmp_path, "assert np.array_equal(filled(), expected)", **nowhere)
    assert text.count("compiled code cannot be kept") == 1, "it is said once"
    assert "NUMBA_CACHE_DIR" in text


def test_where_the_disk_fails_later(tmp_path):
    program = """
import pathlib, shutil
cache = pathlib.Path(fill.stats.cache_path)
shutil.rmtree(cache)
cache.write_text("no folder any more")
assert np.array_equal(filled(), expected)
"""
    text = run(tmp_path, program, NUMBA_CACHE_DIR=str(tmp_path / "cache"))
    assert text.count("compiled code cannot be kept") == 1


def test_compiled_code_is_kept(tmp_path):
    for hits in (0, 1):
        text = run(tmp_path, "filled(); print(sum(fill.stats.cache_hits.values()))")
        assert text.strip() == str(hits)


def test_threads_at_once_where_numba_has_but_its_workqueue(tmp_path):
    program = """
import numba
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(4) as pool:
    assert all(np.array_equal(values, expected) for values in pool.map(filled, 200 * [1000]))
assert numba.threading_layer() == "workqueue"
"""
    run(tmp_path, program, NUMBA_THREADING_LAYER="workqueue", NUMBA_NUM_THREADS="2")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("threads", ["1", "2"])
def test_children_after_a_fork(tmp_path, threads):
    program = """
import multiprocessing
assert np.array_equal(filled(), expected)
with multiprocessing.get_context("fork").Pool(2) as pool:
    for values in pool.map_async(filled, 4 * [1000]).get(timeout=120):
        assert np.array_equal(values, expected)
assert np.array_equal(filled(), expected)
"""
    run(tmp_path, program, NUMBA_NUM_THREADS=threads)
