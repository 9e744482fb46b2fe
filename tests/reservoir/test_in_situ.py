"""Stress and pressure of rest under gravity, and the slip tendency of planes."""

import numpy as np
import pytest

from femnn.exceptions import ParameterError
from femnn.reservoir import InSitu, slip_tendency


def test_overburden_and_water_carry_their_weight():
    rest = InSitu(surface=100.0, density=2500.0, fluid_density=1020.0, ratio=(0.5, 0.8), load=2e6, overpressure=1e6)
    x = np.array([[0.0, 5.0], [1.0, 2.0], [-900.0, 100.0]])
    pressure = 2e6 + 1020.0 * 9.81 * np.array([1000.0, 0.0]) + 1e6
    np.testing.assert_allclose(InSitu(surface=100.0, overpressure=1e5).pressure(x[:, :1]), 9.81e6 + 1e5)
    with pytest.raises(ParameterError, match=r"overburden there is 2 MPa and would be lifted"):
        rest.pressure(x)
    np.testing.assert_allclose(rest.pressure(x[:, :1]), pressure[:1])
    vertical = -(2e6 + 2500.0 * 9.81 * 1000.0)
    np.testing.assert_allclose(rest.total(x[:, :1])[2, 2], vertical)
    effective = vertical + pressure[0]
    np.testing.assert_allclose(np.diag(rest.stress(x[:, :1])[:, :, 0]), effective * np.array([0.5, 0.8, 1.0]))


def test_stress_at_rest_is_in_equilibrium_with_the_weight():
    rest, h = InSitu(surface=0.0, density=2300.0), 1e-3
    above, below = (rest.total(np.array([[0.0], [-1500.0 + step]])) for step in (h, -h))
    assert (above - below)[1, 1, 0] / (2 * h) == pytest.approx(2300.0 * 9.81)


def test_slip_tendency_is_that_of_mohrs_circle():
    stress = np.diag([-10e6, -30e6])[:, :, None] * np.ones(181)
    angles = np.linspace(0.0, np.pi, 181)
    planes = slip_tendency(stress, [np.sin(angles), np.cos(angles)])
    assert planes.max() <= slip_tendency(stress)[0]
    assert planes.max() == pytest.approx(slip_tendency(stress)[0], rel=1e-3)
    assert np.isinf(slip_tendency(np.diag([1e6, -3e6])[:, :, None])[0])
    assert np.isinf(slip_tendency(np.diag([1e6, -3e6])[:, :, None], [1.0, 0.0])[0])


def test_what_is_no_state_of_rest_is_refused():
    x = np.array([[0.0], [-1000.0]])
    with pytest.raises(ParameterError, match="is not below that of the saturated rock"):
        InSitu(surface=0.0, density=1000.0, fluid_density=1000.0)
    with pytest.raises(ParameterError, match="ratio is"):
        InSitu(surface=0.0, ratio=0.0)
    with pytest.raises(ParameterError, match="1 horizontal axes"):
        InSitu(surface=0.0, ratio=(0.5, 0.6)).stress(x)
    with pytest.raises(ParameterError, match="above the surface"):
        InSitu(surface=-2000.0).stress(x)
    with pytest.raises(ParameterError, match=r"the pressure at x = \[0.0, -1000.0\] is 24.81 MPa"):
        InSitu(surface=0.0, overpressure=15e6).stress(x)
    with pytest.raises(ParameterError, match="x has shape"):
        InSitu(surface=0.0).stress(np.zeros(3))
    with pytest.raises(ParameterError, match="stress has shape"):
        slip_tendency(np.zeros((2, 3, 1)))
