"""Fronts of slip driven by fluid: published solutions in their limits, and the reservoir against them."""

import numpy as np
import pytest

from femnn.exceptions import ParameterError
from femnn.validation.slip_front import circle_front, circle_slip, line_front, line_slip


def test_fronts_have_their_published_limits():
    for stress in (0.003, 0.01):
        assert line_front(stress) == pytest.approx(2.0 / np.pi**1.5 / stress, rel=1e-3)
        assert circle_front(stress) == pytest.approx(np.sqrt(0.5 / stress), rel=1e-2)
    assert line_front(0.995) == pytest.approx(0.25 * np.pi**1.5 * 0.005, rel=1e-2)
    assert circle_front(9.0) == pytest.approx(0.5 * np.exp(0.5 * (2.0 - np.euler_gamma - 9.0)), rel=1e-2)
    with pytest.raises(ParameterError, match="stress"):
        line_front(1.0)


@pytest.mark.parametrize("stress", [0.2, 0.5])
def test_the_front_of_a_line_comes_near_the_published_one_as_cells_get_smaller(stress):
    coarse, fine = (line_slip(stress, n, steps=2 * n, far=8.0) for n in (8, 24))
    assert abs(fine.error[-1]) < min(0.1, abs(coarse.error[-1]))
    assert fine.pressure_error[-1] < 0.04
    assert fine.balance < 1e-10
    # it does not turn back
    assert (np.diff(fine.front) >= 0.0).all()


def test_the_front_of_a_circle_of_hexahedra_grows_with_the_fluid():
    slip = circle_slip(1.0, n=3, steps=4, far=3.0)
    assert abs(slip.error[-1]) < 0.45
    assert slip.balance < 1e-8
    assert slip.front[-1] > slip.front[0]
