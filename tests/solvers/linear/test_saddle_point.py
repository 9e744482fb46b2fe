"""Constraints of saddle-point systems: unknowns that are prescribed or equal, and what is no such unknown."""

import numpy as np
import pytest

from femnn.exceptions import ParameterError
from femnn.solvers.linear import Constraint


def test_what_is_free_and_what_is_equal():
    constraint = Constraint(6, [0], [[2, 4], []])
    assert constraint.matrix.shape == (6, 4)
    x = np.arange(6.0)
    np.testing.assert_array_equal(constraint.fill(x), [0.0, 1.0, 2.0, 3.0, 2.0, 5.0])
    np.testing.assert_array_equal(constraint.reduce(np.ones(6)), [1.0, 2.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"prescribed": np.array([10**30, 1], dtype=object)}, "prescribed"),
        ({"prescribed": [6]}, "prescribed has indices from 6 to 6"),
        ({"prescribed": [-1]}, "prescribed has indices from -1"),
        ({"prescribed": [0.5]}, "pass indices"),
        ({"prescribed": [], "equal": np.zeros(3)}, "a group of equal"),
        ({"prescribed": [], "equal": [[1, 9]]}, "a group of equal has indices from 1 to 9"),
        ({"prescribed": [], "equal": [1.5]}, "a group of equal|pass"),
        ({"prescribed": [], "equal": np.array(1j)}, "equal"),
    ],
)
def test_what_is_no_index_of_an_unknown_is_refused(arguments, says):
    with pytest.raises(ParameterError, match=says):
        Constraint(6, **arguments)
