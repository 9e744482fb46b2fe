"""What is kept of a law is found again if, and only if, the law computes the same."""

import math

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
