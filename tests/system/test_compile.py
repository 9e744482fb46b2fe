"""Kernels work in any place, thread and process: compiled or not kept, called at once, called after a fork."""

import gc
import io
import os
import subprocess
import sys
from types import SimpleNamespace

import numba
import numpy as np
import pytest
from numba.core import event
from numba.core.errors import TypingError
from numba.core.runtime import _nrt_python as nrt
from numba.core.runtime import rtsys
from support.locations import ROOT

from femnn.system.compile import _Progress, _SharedKernel, njit
from femnn.system.pool import call_for_parts

KERNELS = """
import numpy as np
from femnn.system.compile import njit

@njit(cache=True)
def square(x):
    return x * x

@njit(over="values", grain=10, cache=True, error_model="numpy")
def fill(begin, end, values, factor):
    for i in range(begin, end):
        values[i] = factor * square(i) / 3.0

def filled(n=1000):
    values = np.empty(n)
    fill(values, 1.0)
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


def test_a_version_of_numba_that_is_not_known_compiles_all_of_it(tmp_path):
    program = """
import sys
import numba

for name in [name for name in sys.modules if name.startswith("femnn")]:
    del sys.modules[name]
numba.version_info = numba.version_info._replace(short=(0, 0))
from femnn.system.compile import njit

@njit()
def square(x):
    return x * x

@njit()
def cube(x):
    return x * square(x)

assert cube(3.0) == 27.0
assert "femnn.system.compiler" not in sys.modules
"""
    run(tmp_path, program)


def test_threads_at_once_share_the_threads_of_kernels(tmp_path):
    program = """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(4) as pool:
    assert all(np.array_equal(values, expected) for values in pool.map(filled, 200 * [1000]))
"""
    run(tmp_path, program, NUMBA_NUM_THREADS="2")


def test_parts_cover_every_element_once_in_multiples_of_the_grain():
    seen = []

    @njit(over="values", grain=8)
    def count(begin, end, values):
        for i in range(begin, end):
            values[i] += 1

    class Recorded:
        def __call__(self, begin, end, values):
            seen.append((int(begin), int(end)))
            count.kernel(begin, end, values)

    before = numba.get_num_threads()
    recorded = _SharedKernel(lambda _: Recorded(), count.function, "values", None, 8)
    try:
        for threads in {1, before}:
            numba.set_num_threads(threads)
            for n in (0, 1, 7, 8, 63, 64, 65, 1000):
                seen.clear()
                values = np.zeros(n)
                recorded(values)
                assert (values == 1).all()
                assert all(begin % 8 == 0 for begin, _ in seen)
                assert len(seen) <= 4 * threads
    finally:
        numba.set_num_threads(before)


def test_an_error_in_one_part_is_raised_when_all_threads_have_stopped():
    running, done = [], []

    def part(begin, end):
        running.append(begin)
        if begin == 3:
            raise ValueError("part 3")
        done.append(begin)

    with pytest.raises(ValueError, match="part 3"):
        call_for_parts(part, [(k, k + 1) for k in range(20)], 2)
    assert sorted(running) == sorted([*done, 3])
    call_for_parts(part, [(0, 1)], 1)
    assert done[-1] == 0


def test_numbers_in_the_source_of_callers_compile_no_kernel_anew():
    @njit()
    def plus(x, y):
        return x + y

    @njit(specialised=True)
    def minus(x, y):
        return x - y

    @njit()
    def both(x):
        return plus(x, 1) + plus(x, 2) + minus(x, 1) + minus(x, 2)

    assert both(3) == 4 + 5 + 2 + 1
    assert [len(inner.signatures) for inner in plus.inners.values()] == [1]
    assert [len(inner.signatures) for inner in minus.inners.values()] == [2]


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


@pytest.mark.parametrize("on_a_terminal", [True, False])
def test_a_terminal_says_what_is_compiled(monkeypatch, on_a_terminal):
    shown = io.StringIO()
    monkeypatch.setattr(shown, "isatty", lambda: on_a_terminal, raising=False)
    monkeypatch.setattr("sys.stderr", shown)

    def kernel(name):
        function = SimpleNamespace(__module__="femnn.room.part", __name__=name)
        return SimpleNamespace(data={"dispatcher": SimpleNamespace(py_func=function)})

    progress = _Progress()
    progress.on_start(kernel("outer"))
    progress.on_start(kernel("inner"))
    progress.on_end(kernel("inner"))
    progress.on_end(kernel("outer"))
    text = shown.getvalue()
    assert ("room.part.outer" in text) is on_a_terminal
    assert "inner" not in text, "what a kernel calls is part of it"
    assert text.endswith("\033[K" if on_a_terminal else ""), "nothing is left on the line"


def test_kernels_that_kernels_call_are_called_from_python_too():
    @njit(error_model="numpy")
    def half(x):
        return x / 2

    @njit(error_model="numpy")
    def quarter(x):
        return half(half(x))

    assert quarter(1.0) == 0.25
    # compiled for the other kernel alone, without what Python needs to call it
    assert not half.overloads
    assert [len(inner.overloads) for inner in half.inners.values()] == [1]
    assert half(3.0) == 1.5
    assert quarter(3) == 0.75


@pytest.mark.parametrize("is_first_fast", [True, False])
def test_what_kernels_call_has_the_arithmetic_of_each_caller(is_first_fast):
    """Whoever calls it first in a process does not settle the digits for the others."""

    @njit(error_model="numpy")
    def total(x):
        result = 0.0
        for value in x:
            result += value
        return result

    @njit(error_model="numpy", fastmath={"reassoc", "nsz"})
    def fast(x):
        return total(x)

    @njit(error_model="numpy")
    def strict(x):
        return total(x)

    # sums in another order differ by far more than the digits that are compared
    x = np.array([1e16, 1.0, -1e16, 1.0] * 64 + [1e16, 3.0, -1e16])
    in_order = 0.0
    for value in x.tolist():
        in_order += value
    sums = [kernel(x) for kernel in ((fast, strict) if is_first_fast else (strict, fast))]
    assert sums[is_first_fast] == in_order
    assert len(total.inners) == 2


def test_kernels_may_call_themselves():
    @njit(error_model="numpy")
    def factorial(n):
        if n < 2:
            return 1
        return n * factorial(n - 1)

    @njit(error_model="numpy")
    def twice(n):
        return 2 * factorial(n)

    assert factorial(5) == 120
    assert twice(5) == 240


def test_functions_of_numpy_are_compiled_once_for_callers_that_differ_in_what_they_need_of_python():
    compiled = []

    class Heard(event.Listener):
        def on_start(self, started):
            compiled.append(started.data["dispatcher"].py_func.__qualname__)

        def on_end(self, ended):
            pass

    # options that no other kernel has: nothing is known of them yet
    options = {"fastmath": {"nsz", "arcp"}, "error_model": "numpy"}

    @njit(**options)
    def inner(n):
        return np.empty((n, n, n, n)).size

    @njit(nogil=True, **options)
    def outer(n):
        return inner(n) + np.empty((n, n, n, n)).size

    with event.install_listener("numba:compile", Heard()):
        assert outer(2) == 32
    assert sum(name.startswith("ol_np_empty") for name in compiled) == 1


def test_what_kernels_call_may_print_and_raise(capfd):
    @njit()
    def positive(x):
        print("seen", x)
        if x <= 0:
            raise ValueError("not positive")
        return x

    @njit()
    def root(x):
        return np.sqrt(positive(x))

    assert root(4.0) == 2.0
    with pytest.raises(ValueError, match="not positive"):
        root(-1.0)
    assert capfd.readouterr().out.split() == ["seen", "4.0", "seen", "-1.0"]


def test_operators_are_typed_with_the_options_of_their_caller():
    def quotient(x, y):
        return x / y

    with pytest.raises(ZeroDivisionError):
        njit()(quotient)(1.0, 0.0)
    assert njit(error_model="numpy")(quotient)(1.0, 0.0) == np.inf
    with pytest.raises(ZeroDivisionError):
        njit()(quotient)(1, 0)


def test_the_garbage_collector_works_on_after_a_compilation():
    assert gc.isenabled()

    @njit()
    def nowhere(x):
        return x.no_such_attribute

    with pytest.raises(TypingError):
        nowhere(1.0)
    assert gc.isenabled()


def test_functions_of_numpy_serve_kernels_and_functions_of_numba_that_call_them():
    @njit()
    def kernel(n):
        return np.full((n, n, n, n, n), 2.0).sum()

    @numba.njit
    def plain(n):
        return np.full((n, n, n, n, n), 2.0).sum() + kernel(n)

    @numba.njit
    def alone(n):
        return np.full((n, n, n, n, n), 2.0).sum()

    assert plain(2) == 128.0
    assert kernel(2) == alone(2) == 64.0


def test_kernels_of_all_kinds_of_source_compile():
    @njit()
    def of_one_or_two(x, y=None):
        if y is None:
            return x
        return x + y

    @njit()
    def of_many(n):
        def twice(i):
            return 2 * i

        squares = [twice(i) for i in range(n)]
        total, i = 0, 0
        while True:
            i += 1
            if i == n:
                break
            if i % 2 == 0:
                continue
            total += squares[i] + of_one_or_two(i) + of_one_or_two(i, 1)
        return total

    @njit()
    def of_constants(values):
        return values[0, 1] + values[1, 0] * 10.0 + values[-1, -1] * 100.0 + values[1:, 0].sum()

    assert of_one_or_two(1) == 1
    assert of_one_or_two(1, 2) == 3
    assert of_many(6) == 2 * (1 + 3 + 5) + (1 + 3 + 5) + (2 + 4 + 6)
    assert of_constants(np.array([[1.0, 2.0], [3.0, 4.0]])) == 2.0 + 30.0 + 400.0 + 3.0


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32, np.bool_, np.complex128])
@pytest.mark.parametrize("view", [lambda a: a, lambda a: a.T, lambda a: a[::2, ::-1]], ids=["C", "F", "strided"])
def test_entries_of_arrays_are_read_and_written_as_in_python(dtype, view):
    def exchanged(x, i, j, other):
        x[i, -1] = x[0, j]
        x[-2, 1] = x[np.uint8(1), i] + other[j]
        x[(0, i)] = x[-1, -1]
        other[-1] = other[i - 2]
        return x[i, j]

    begun = np.random.default_rng(0).integers(0, 2, (6, 6)).astype(dtype)
    expected, found = view(begun.copy()), view(begun.copy())
    answer = exchanged(expected, 1, np.int32(2), np.arange(3).astype(dtype))
    assert njit()(exchanged)(found, 1, np.int32(2), np.arange(3).astype(dtype)) == answer
    np.testing.assert_array_equal(found, expected)


def test_arrays_whose_variables_are_given_again_are_freed():
    @njit()
    def last(n):
        values = np.zeros(n)
        for i in range(n):
            both = (values, i)
            if i % 2:
                values = np.full(n, both[0][0] + 1.0)
        return values

    assert last(5)[0] == 2.0
    was_counting = nrt.memsys_stats_enabled()
    nrt.memsys_enable_stats()
    try:
        before = rtsys.get_allocation_stats()
        for _ in range(10):
            last(5)
        after = rtsys.get_allocation_stats()
    finally:
        if not was_counting:
            nrt.memsys_disable_stats()
    assert after.alloc - before.alloc == after.free - before.free > 0


def test_expressions_of_whole_arrays_and_lists_compile():
    @njit()
    def total(x):
        y = 2.0 * x + np.sqrt(x) - x**2
        y += np.array([1.0, 2.0, 3.0])
        return -y

    x = np.array([1.0, 4.0, 9.0])
    np.testing.assert_allclose(total(x), -(2.0 * x + np.sqrt(x) - x**2 + np.array([1.0, 2.0, 3.0])))
