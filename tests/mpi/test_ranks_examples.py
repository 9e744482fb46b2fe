"""Examples in docstrings of what needs PETSc, which the tests without ranks leave out."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["faulted", "matrix", "porous", "porous_output", "problem", "ranks", "solver"])
def test_examples_run_on_all_ranks(name, comm, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(comm.bcast(tmp_path_factory.mktemp("examples") if comm.rank == 0 else None))
    result = doctest.testmod(importlib.import_module(f"femnn.parallel.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
