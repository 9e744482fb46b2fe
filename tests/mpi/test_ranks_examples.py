"""Examples in docstrings of what needs PETSc, which the tests without ranks leave out."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["matrix", "problem", "ranks", "solver"])
def test_examples_run_on_all_ranks(name):
    result = doctest.testmod(importlib.import_module(f"femnn.parallel.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
