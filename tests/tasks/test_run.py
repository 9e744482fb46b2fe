"""Many independent runs: the same results wherever they run, nothing run twice, nothing lost."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from support import many_runs
from support.locations import ROOT

from femnn import DatasetError, ParameterError
from femnn.exceptions import MissingExtraError, SchedulerError, TaskError
from femnn.io import atomic
from femnn.multiscale.grains.run import respond, settle
from femnn.multiscale.rve.dataset import FaultCell, simulate_path
from femnn.networks.element_data import Recipe, label
from femnn.quadrature.adaptive.data import label_directions
from femnn.tasks import executors, run_tasks
from femnn.tasks.run import fingerprint


def seeds(n, **arguments):
    return {f"seed-{seed}": {"seed": seed, **arguments} for seed in range(n)}


def runs(log):
    """Seeds in the order in which they ran."""
    return [int(line) for line in log.read_text(encoding="utf-8").split()]


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


def test_same_bits_whatever_the_number_of_workers(tmp_path):
    before, children = dict(os.environ), psutil.Process().children(recursive=True)
    folders = {workers: tmp_path / str(workers) for workers in (0, 1, 2)}
    for workers, folder in folders.items():
        outcome = run_tasks(many_runs.drawn, seeds(7), folder, workers=workers).require_all()
        assert list(outcome.results) == list(seeds(7))
        assert (outcome.ran, outcome.failures) == (7, {})
    for key in seeds(7):
        files = [(folder / f"{key}.npz").read_bytes() for folder in folders.values()]
        assert files[0] == files[1] == files[2]
    loaded = outcome.load("seed-3")
    np.testing.assert_array_equal(loaded["values"], np.random.default_rng(3).normal(size=(3, 2)))
    assert loaded["name"] == "seed 3"
    assert set(loaded) == {"values", "name"}
    assert dict(os.environ) == before
    # the tracker of Python's own multiprocessing stays
    left = set(psutil.Process().children(recursive=True)) - set(children)
    assert all("resource_tracker" in " ".join(process.cmdline()) for process in left)


def test_workers_are_processes_of_one_thread(tmp_path):
    outcome = run_tasks(many_runs.surroundings, seeds(6), tmp_path, workers=2)
    found = [outcome.load(key) for key in outcome.results]
    assert all(list(one["threads"]) == ["1", "1", "1"] for one in found)
    assert os.getpid() not in {int(one["pid"]) for one in found}


def test_what_is_there_does_not_run_again(tmp_path, log):
    first = run_tasks(many_runs.drawn, seeds(3, log=log), tmp_path / "runs", workers=0)
    second = run_tasks(many_runs.drawn, seeds(5, log=log), tmp_path / "runs", workers=0)
    assert runs(log) == [0, 1, 2, 3, 4]
    assert (first.ran, second.ran) == (3, 2)
    assert run_tasks(many_runs.drawn, seeds(5, log=log), tmp_path / "runs", workers=2).ran == 0
    assert len(second.results) == 5


def test_a_run_goes_on_after_its_function_moved_and_was_renamed(tmp_path, log):
    run_tasks(many_runs.drawn, seeds(2, log=log), tmp_path / "runs", workers=0)
    outcome = run_tasks(many_runs.drawn_elsewhere, seeds(5, log=log), tmp_path / "runs", workers=2)
    assert (outcome.ran, len(outcome.results)) == (3, 5)
    assert sorted(runs(log)) == [0, 1, 2, 3, 4]


def test_other_arguments_functions_and_versions_are_refused(tmp_path, log):
    run_tasks(many_runs.drawn, seeds(2), tmp_path, workers=0)
    changed = {**seeds(3, log=log), "seed-1": {"seed": 1, "scale": 2.0}}
    for function, tasks, version in (
        (many_runs.drawn, changed, ""),
        (many_runs.other, seeds(2), ""),
        (many_runs.drawn, seeds(2), "2"),
    ):
        with pytest.raises(DatasetError, match=r"seed-\d.npz was made by another function, other arguments"):
            run_tasks(function, tasks, tmp_path, workers=0, version=version)
    assert not log.exists(), "nothing runs before all is checked"
    assert not (tmp_path / "seed-2.npz").exists()


@pytest.mark.parametrize("harm", [b"no archive at all", b"", None], ids=["foreign", "empty", "flipped"])
def test_damaged_results_are_refused(tmp_path, harm):
    file = run_tasks(many_runs.drawn, seeds(1), tmp_path, workers=0).results["seed-0"]
    content = bytearray(file.read_bytes())
    content[content.index(b"fingerprint") + 200] ^= 1
    file.write_bytes(content if harm is None else harm)
    with pytest.raises(DatasetError, match=r"seed-0.npz .*delete it to make it again"):
        run_tasks(many_runs.drawn, seeds(1), tmp_path, workers=0)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_task_that_raises_is_tried_again_then_reported(tmp_path, log, workers):
    tasks = {f"seed-{seed}": {"seed": seed, "log": log, "times": times} for seed, times in enumerate((0, 1, 9, 0))}
    outcome = run_tasks(many_runs.fails_at_first, tasks, tmp_path / "runs", workers=workers)
    assert sorted(runs(log)) == [0, 1, 1, 2, 2, 3]
    assert list(outcome.results) == ["seed-0", "seed-1", "seed-3"]
    assert list(outcome.failures) == ["seed-2"]
    assert outcome.failures["seed-2"].startswith("ArithmeticError: seed 2 is unlucky (many_runs.py, line ")
    with pytest.raises(TaskError, match="1 of 4 tasks failed, first seed-2: ArithmeticError: seed 2 is unlucky"):
        outcome.require_all()
    again = run_tasks(many_runs.fails_at_first, tasks, tmp_path / "runs", workers=0, retries=9)
    assert (again.ran, again.failures) == (1, {})


def test_a_worker_that_dies_takes_no_other_task_with_it(tmp_path, log, capfd):
    outcome = run_tasks(many_runs.dies, seeds(8, log=log, deadly=[1, 2]), tmp_path / "runs", workers=2)
    assert list(outcome.failures) == ["seed-1", "seed-2"]
    assert all("its worker died" in message for message in outcome.failures.values())
    assert [int(outcome.load(key)["seed"]) for key in outcome.results] == [0, 3, 4, 5, 6, 7]
    assert all(runs(log).count(seed) >= 2 for seed in (1, 2)), "it is tried again"
    assert capfd.readouterr().err == ""


@contextlib.contextmanager
def kill_starting_workers(most):
    """A thread that kills the first ``most`` processes that this one spawns."""
    killed, ended = set(), threading.Event()

    def watch():
        while not ended.wait(0.01) and len(killed) < most:
            for child in psutil.Process().children():
                with contextlib.suppress(psutil.Error):
                    if len(killed) < most and child not in killed and "spawn_main" in " ".join(child.cmdline()):
                        child.kill()
                        killed.add(child)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield killed
    finally:
        ended.set()
        thread.join()


def test_a_worker_that_dies_while_it_starts_is_started_again(tmp_path, capfd):
    with kill_starting_workers(1) as killed:
        run_tasks(many_runs.drawn, seeds(3), tmp_path, workers=2).require_all()
    assert len(killed) == 1
    assert capfd.readouterr().err == ""


def test_workers_that_always_die_while_they_start(tmp_path):
    with kill_starting_workers(99), pytest.raises(SchedulerError, match="workers died while they started, 3 times"):
        run_tasks(many_runs.drawn, seeds(3), tmp_path, workers=1)
    assert not list(tmp_path.iterdir())


def test_no_more_tasks_are_sent_than_can_run(tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")
    settings = {"processes": False, "protocol": "tcp", "dashboard_address": "127.0.0.1:0"}
    with distributed.LocalCluster(n_workers=1, threads_per_worker=3, **settings) as cluster:
        monkeypatch.setattr(many_runs, "SCHEDULER", cluster.scheduler)
        address = cluster.scheduler_address
        outcome = run_tasks(many_runs.counts_tasks, seeds(40), tmp_path, scheduler=address).require_all()
        assert max(int(outcome.load(key)["known"]) for key in outcome.results) <= 6
        cluster.scale(0)
        while cluster.scheduler.workers:
            time.sleep(0.01)
        monkeypatch.setattr(executors, "PATIENCE", 3)
        with pytest.raises(SchedulerError, match=f"{address}' has no workers"):
            run_tasks(many_runs.counts_tasks, seeds(41), tmp_path, scheduler=address)


def test_a_scheduler_that_does_not_answer(tmp_path, monkeypatch):
    monkeypatch.setattr(executors, "PATIENCE", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
    for wrong in (address, "carrier-pigeon://loft"):
        with pytest.raises(SchedulerError, match=f"no Dask scheduler answers at '{wrong}' within 1 s"):
            run_tasks(many_runs.drawn, seeds(2), tmp_path, scheduler=wrong)


def test_a_scheduler_that_goes_away(tmp_path, log):
    distributed = pytest.importorskip("distributed")
    folder, settings = tmp_path / "runs", {"protocol": "tcp", "dashboard_address": "127.0.0.1:0"}
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, **settings) as cluster:

        def close_after_two():
            while len(list(folder.glob("[!.]*"))) < 2:
                time.sleep(0.01)
            cluster.close()

        closing = threading.Thread(target=close_after_two)
        closing.start()
        with pytest.raises(SchedulerError, match="went away; the results that were there are kept"):
            run_tasks(many_runs.dies, seeds(99, log=log, deadly=[]), folder, scheduler=cluster.scheduler_address)
        closing.join()
    kept = len(list(folder.iterdir()))
    assert 2 <= kept < 99
    outcome = run_tasks(many_runs.dies, seeds(kept + 1, log=log, deadly=[]), folder, workers=0)
    assert outcome.ran == 1


def test_without_distributed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    outcome = run_tasks(many_runs.surroundings, seeds(2), tmp_path)
    assert int(outcome.load("seed-0")["pid"]) == os.getpid()
    for where in ({"workers": 2}, {"scheduler": "tcp://127.0.0.1:8786"}):
        with pytest.raises(MissingExtraError, match=r"distributed: pip install 'femnn\[distributed\]'"):
            run_tasks(many_runs.drawn, seeds(3), tmp_path / "more", **where)


def test_an_interrupt_leaves_what_is_finished(tmp_path, log):
    tasks = seeds(5, log=log, at=3)
    with pytest.raises(KeyboardInterrupt):
        run_tasks(many_runs.stops, tasks, tmp_path / "runs", workers=0)
    assert sorted(file.name for file in (tmp_path / "runs").iterdir()) == [f"seed-{k}.npz" for k in range(3)]


@pytest.mark.skipif(os.name != "posix", reason="sends a signal to a group of processes")
def test_an_interrupt_from_the_terminal_ends_workers_and_what_they_started(tmp_path):
    program = (
        "from support import many_runs\n"
        "from femnn.tasks import run_tasks\n"
        'if __name__ == "__main__":\n'
        "    tasks = {f'seed-{k}': {'seed': k, 'folder': '.', 'seconds': 0 if k < 2 else 600} for k in range(5)}\n"
        "    run_tasks(many_runs.waits, tasks, 'runs', workers=2)\n"
    )
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    path = os.pathsep.join([str(ROOT / "tests"), *sys.path])
    running = subprocess.Popen(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # a shell's background jobs ignore it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        while not all((tmp_path / f"{seed}.pid").exists() for seed in (2, 3)):
            assert running.poll() is None
            time.sleep(0.05)
        group = psutil.Process(running.pid).children(recursive=True)
        os.killpg(running.pid, signal.SIGINT)
        _, errors = running.communicate(timeout=60)
    finally:
        running.kill()
    assert running.returncode != 0
    assert "KeyboardInterrupt" in errors
    assert "Dask" not in errors, "workers keep quiet"
    assert len(group) >= 4
    psutil.wait_procs(group, timeout=10)
    assert not [process for process in group if process.is_running()]
    assert sorted(file.name for file in (tmp_path / "runs").iterdir()) == ["seed-0.npz", "seed-1.npz"]


@pytest.mark.parametrize("key", ["", "../up", ".hidden", "a b", "x" * 300, 3])
def test_keys_that_name_no_file(tmp_path, key):
    with pytest.raises(ParameterError, match="names no file"):
        run_tasks(many_runs.drawn, {key: {"seed": 0}}, tmp_path)


def test_bad_input(tmp_path):
    for function in (lambda seed: {}, np.sin, Path(tmp_path).exists):
        with pytest.raises(ParameterError, match="has no name in a module"):
            run_tasks(function, seeds(1), tmp_path)
    with pytest.raises(ParameterError, match="task seed-0: a set has no fingerprint"):
        run_tasks(many_runs.drawn, seeds(1, scale={1, 2}), tmp_path)
    for tasks in ([("seed-0", {"seed": 0})], {"seed-0": 3}, None):
        with pytest.raises(ParameterError, match=r"tasks|arguments of task seed-0 are 3"):
            run_tasks(many_runs.drawn, tasks, tmp_path, workers=0)
    itself: dict = {}
    itself["again"] = itself
    with pytest.raises(ParameterError, match="task seed-0: Circular"):
        run_tasks(many_runs.drawn, seeds(1, scale=itself), tmp_path)
    with pytest.raises(ParameterError, match="there is no result 'none'"):
        run_tasks(many_runs.drawn, {}, tmp_path, workers=0).load("none")
    with pytest.raises(ParameterError, match="workers=-1"):
        run_tasks(many_runs.drawn, seeds(1), tmp_path, workers=-1)
    with pytest.raises(ParameterError, match="give one of them"):
        run_tasks(many_runs.drawn, seeds(1), tmp_path, workers=2, scheduler="tcp://127.0.0.1:8786")
    assert run_tasks(many_runs.drawn, {}, tmp_path).results == {}


def test_results_that_cannot_be_kept(tmp_path):
    outcome = run_tasks(many_runs.returns, {w: {"what": w} for w in ("number", "objects")}, tmp_path, workers=0)
    assert "returned a float, needed is a dict of arrays" in outcome.failures["number"]
    assert "x is an array of objects" in outcome.failures["objects"]
    assert not list(tmp_path.iterdir())


def test_results_of_earlier_releases_are_taken():
    """The names of femnn's own tasks in fingerprints are those of the modules that they were first written in."""
    hexahedra, recipe = np.zeros((1, 8, 3)), Recipe(elements=1)
    made_with = fingerprint(label, "00000000", {"hexahedra": hexahedra, "recipe": recipe, "first": 0}, "1")
    assert made_with == "b5f74c4ddcc5b543d70e4bcd8f7c47463278470fe730ea3f97706b2cdded6887"
    arguments = {"law": "default", "cell": FaultCell(1.0, 2.0), "number": 0, "points": 9, "seed": 0, "reach": None}
    made_with = fingerprint(simulate_path, "path0000", arguments | {"law_name": "default"}, "2")
    assert made_with == "f0cc8fb0d812dc6a25c3b107822dff9bd8fd5b005004cb84a6b32e7eac7e77cf"
    for function, name in (
        (label_directions, "femnn.learning.directional_data.label_directions"),
        (respond, "femnn.multiscale.granular_runs.respond"),
        (settle, "femnn.multiscale.granular_runs.settle"),
    ):
        assert function.task_name == name


def test_a_run_begun_with_an_earlier_release_goes_on(tmp_path):
    """A result as the first release wrote it: key and content of the fingerprint, beside the arrays."""
    tasks = {"00000000": {"hexahedra": np.zeros((1, 8, 3)), "recipe": Recipe(elements=1), "first": 0}}
    fingerprint = np.array("b5f74c4ddcc5b543d70e4bcd8f7c47463278470fe730ea3f97706b2cdded6887")
    np.savez(tmp_path / "00000000.npz", **{"fingerprint of femnn.tasks": fingerprint}, errors=np.array([7.0]))
    outcome = run_tasks(label, tasks, tmp_path, workers=0, version="1")
    assert (outcome.ran, outcome.failures) == (0, {})
    assert outcome.load("00000000")["errors"] == [7.0]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_with_nothing_to_do_removes_what_a_killed_one_has_left(tmp_path, monkeypatch, workers):
    folder, scratch = tmp_path / "run", tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    run_tasks(many_runs.drawn, seeds(2), folder, workers=0)
    # nobody holds its lock, as after a kill when all was done
    left = Path(tempfile.mkdtemp(prefix=f".tasks{atomic._MARK}"))
    (left / "global.lock").touch()
    with atomic.temporary_folder("tasks") as alive:
        assert run_tasks(many_runs.drawn, seeds(2), folder, workers=workers).ran == 0
        assert [path.name for path in scratch.iterdir()] == [alive.name]
