"""What is kept of a law is found again if, and only if, the law computes the same."""

import math
import os
import subprocess
import sys

import pytest

from femnn.solids.compiled_law import _fingerprint, _NotKnownError

LAW = """
import math
import numpy as np
from math import sqrt
{constant}

def helper(x):
    return {factor} * x

def law(strain, state, parameters, stress, tangent, new_state):
    for i in range(6):
        stress[i] = helper(strain[i]) * SCALE + sqrt(4.0) + np.abs(strain[i])
"""


def fingerprint(constant="SCALE = 2.0", factor="3.0", name="law"):
    room = {}
    exec(LAW.format(constant=constant, factor=factor), room)
    return _fingerprint(room[name])


def test_the_same_law_has_the_same_fingerprint():
    assert fingerprint() == fingerprint()


@pytest.mark.parametrize(
    "change",
    [
        {"factor": "4.0"},
        {"factor": "x"},
        {"constant": "SCALE = 2.5"},
        {"constant": "SCALE = 2"},
        {"constant": "SCALE = np.array([2.0, 1.0])"},
        {"constant": "SCALE = (2.0, 1.0)"},
        {"constant": "SCALE = math.pi"},
        {"name": "helper"},
    ],
)
def test_whatever_the_law_reads_changes_it(change):
    assert fingerprint(**change) != fingerprint()


@pytest.mark.parametrize("constant", ["SCALE = np.zeros(10**6)", "SCALE = [2.0]", "SCALE = object()"])
def test_what_cannot_be_told_apart_is_not_kept(constant):
    with pytest.raises(_NotKnownError):
        fingerprint(constant)


def test_numbers_of_a_closure_count():
    def scaled(factor):
        def law(strain):
            return factor * math.sqrt(strain)

        return law

    assert _fingerprint(scaled(2.0)) == _fingerprint(scaled(2.0)) != _fingerprint(scaled(3.0))


def test_a_law_of_a_module_that_is_gone_is_compiled_again(tmp_path):
    """What one process keeps of a law in a file that was run by hand serves the next, or is made again."""
    file = tmp_path / "own_law.py"
    file.write_text(
        "import numba\n\n\n@numba.njit\ndef helper(x):\n    return 2.0 * x\n\n\n"
        "def law(strain, state, parameters, stress, tangent, new_state):\n"
        "    for i in range(6):\n        stress[i] = helper(strain[i])\n        tangent[i, i] = 2.0\n"
    )
    program = (
        "import importlib.util, sys, numpy as np, femnn\n"
        f"spec = importlib.util.spec_from_file_location('own_law', {str(file)!r})\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "if sys.argv[1] == 'known':\n    sys.modules['own_law'] = module\n"
        "spec.loader.exec_module(module)\n"
        "print(femnn.PointLaw(module.law).update(np.ones((1, 6)), np.zeros((1, 0)))[0].tolist())\n"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    for how in ("known", "unknown", "known"):
        done = subprocess.run(
            [sys.executable, "-c", program, how], env=environment, capture_output=True, text=True, check=False
        )
        assert done.stdout.strip() == str([[2.0] * 6]), done.stderr
