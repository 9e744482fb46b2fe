"""Modules of the checkout's ``tests/support``, which an installed femnn does not have."""

import importlib
import sys

from femnn.io import data_folder


def support(name):
    """The module ``support.NAME``, or None where there is none."""
    tests = data_folder("benchmarks").parent / "tests"
    if not (tests / "support" / f"{name}.py").is_file():
        return None
    if str(tests) not in sys.path:
        sys.path.append(str(tests))
    return importlib.import_module(f"support.{name}")
