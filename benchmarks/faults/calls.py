"""Calls of public names with arguments of all kinds, drawn by ``tests/support/fuzzing.py`` of the checkout."""

import importlib
import random
import sys

from benchmarks.faults.campaign import Kind, Tally
from femnn.io import data_folder

_CALLS = 20


def _prepare(folder):
    tests = data_folder("benchmarks").parent / "tests"
    sys.path.insert(0, str(tests))
    fuzzing = importlib.import_module("support.fuzzing")

    def case(draw: random.Random, folder):
        counts, failures = fuzzing.fuzz(_CALLS, draw.getrandbits(32))
        answered = counts.pop("answer", 0)
        counts.pop("nothing to call", None)
        slow = counts.pop("slow", 0)
        for failed in ("foreign exception", "silent conversion"):
            counts.pop(failed, None)
        return Tally(answered=answered, refused=sum(counts.values()), stopped=slow, lost=failures)

    return case


def kinds():
    """The kind, where the checkout with its tests is at hand."""
    if not (data_folder("benchmarks").parent / "tests" / "support" / "fuzzing.py").is_file():
        return []
    return [Kind("calls of public names", 50_000 // _CALLS, 300.0, _prepare, __name__)]
