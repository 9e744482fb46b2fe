"""Threads of BLAS are held to one inside, and are as they were afterwards."""

import threading

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from femnn.networks import Architecture, Perceptron
from femnn.networks import perceptron as perceptron_module
from femnn.system.blas import one_blas_thread

BLAS = ThreadpoolController().select(user_api="blas")


def counts():
    return [library["num_threads"] for library in BLAS.info()]


@pytest.fixture(autouse=True)
def three_threads():
    """Any number but one, whatever the machine has."""
    with BLAS.limit(limits=3):
        if counts() != [3] * len(counts()):
            pytest.skip("this BLAS has no threads")
        yield


def test_one_thread_inside_and_as_many_as_before_afterwards():
    with one_blas_thread():
        with one_blas_thread():
            assert set(counts()) == {1}
        assert set(counts()) == {1}
    assert set(counts()) == {3}


def test_errors_leave_it_as_it_was():
    with pytest.raises(KeyboardInterrupt), one_blas_thread():
        raise KeyboardInterrupt
    assert set(counts()) == {3}


@pytest.mark.parametrize("first_leaves", [True, False])
def test_threads_that_overlap_leave_it_as_it_was(first_leaves):
    inside, leave = threading.Event(), threading.Event()

    def other():
        with one_blas_thread():
            inside.set()
            leave.wait()

    thread = threading.Thread(target=other)
    with one_blas_thread():
        thread.start()
        inside.wait()
        if not first_leaves:
            leave.set()
            thread.join()
            assert set(counts()) == {1}
    leave.set()
    thread.join()
    assert set(counts()) == {3}


def test_networks_predict_by_one_thread(monkeypatch):
    seen = []
    monkeypatch.setitem(perceptron_module.ACTIVATIONS, "tanh", lambda z: seen.extend(counts()))
    network = Perceptron(Architecture(2, 1, (4,), "tanh"), {
        "weight0": np.ones((4, 2)), "bias0": np.zeros(4), "weight1": np.ones((1, 4)), "bias1": np.zeros(1),
    })  # fmt: skip
    network(np.ones((1000, 2)))
    assert set(seen) == {1}
    assert set(counts()) == {3}
