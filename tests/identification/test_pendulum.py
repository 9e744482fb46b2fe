"""Pendulums against closed solutions: the ideal one, and the bar of hexahedra against a rigid one."""

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.special import ellipk

from femnn.exceptions import ParameterError
from femnn.identification import CompoundPendulum, IdealPendulum
from femnn.identification.pendulum import GRAVITY


def test_the_period_of_a_large_swing_is_an_elliptic_integral():
    amplitude, stiffness = 2.5, 3.0
    period = 4.0 * ellipk(np.sin(0.5 * amplitude) ** 2) / np.sqrt(stiffness)
    angle, velocity = IdealPendulum(stiffness).swing(amplitude, 0.0, [0.0, 0.25 * period, 0.5 * period, period])
    np.testing.assert_allclose(angle, [amplitude, 0.0, -amplitude, amplitude], atol=1e-7)
    assert velocity[1] == pytest.approx(-np.sqrt(2.0 * stiffness * (1.0 - np.cos(amplitude))), rel=1e-8)


def test_damping_takes_energy_at_the_rate_of_the_squared_velocity():
    pendulum, times = IdealPendulum(2.0, 0.3), np.linspace(0.0, 5.0, 2001)
    angle, velocity = pendulum.swing(1.5, 0.5, times)
    lost = 0.3 * trapezoid(velocity**2, times)
    energy = pendulum.energy(angle, velocity)
    assert energy[0] - energy[-1] == pytest.approx(lost, rel=1e-6)


def test_starts_are_below_the_energy_asked_for_and_repeatable():
    pendulum = IdealPendulum(4.0)
    angle, velocity = pendulum.starts(200, 0.5, seed=3)
    assert len(angle) == 200
    assert pendulum.energy(angle, velocity).max() <= 2.0
    np.testing.assert_array_equal(angle, pendulum.starts(200, 0.5, seed=3)[0])
    assert np.abs(angle - pendulum.starts(200, 0.5, seed=4)[0]).max() > 0.1


def test_the_rigid_bar_has_the_moments_of_a_box():
    width, length = 0.12, 1.0
    bar = CompoundPendulum(cells=(2, 4, 1), drag=3.0)
    # trilinear cells integrate x² exactly, so that these are the moments of the box itself
    assert bar.rigid.stiffness == pytest.approx(GRAVITY * 0.5 * length / (length**2 / 3.0 + width**2 / 12.0), rel=1e-12)
    depth, density = 0.06, bar.density
    faces = 2.0 * width * (length**3 / 3.0 + length * width**2 / 12.0)  # front and back
    sides = 2.0 * depth * (length**3 / 3.0 + length * width**2 / 4.0)
    ends = depth * (2.0 * width**3 / 12.0 + width * length**2)
    inertia = density * width * depth * (length**3 / 3.0 + length * width**2 / 12.0)
    assert bar.rigid.damping == pytest.approx(3.0 * (faces + sides + ends) / inertia, rel=1e-12)


def test_a_bar_of_hexahedra_swings_as_a_physical_pendulum():
    bar = CompoundPendulum(cells=(2, 3, 1), drag=20.0)
    swing = bar.swing(2.2, 0.5, velocity=-1.0, every=1)
    angle, velocity = bar.angles(swing)
    expected = bar.rigid.swing(2.2, -1.0, swing.t)
    assert np.abs(angle - expected[0]).max() < 2e-3
    assert np.abs(velocity - expected[1]).max() < 2e-2
    # undamped it would be elsewhere
    assert np.abs(IdealPendulum(bar.rigid.stiffness).swing(2.2, -1.0, swing.t)[0] - expected[0]).max() > 0.05
    # what drag takes in the midpoint of each step is what the energy falls by, up to the error of the steps
    energies = bar.energies(swing)
    total = energies["kinetic"] + energies["strain"] + energies["potential"]
    middle = 0.5 * (swing.v[1:] + swing.v[:-1])
    lost = bar.dt * np.einsum("kn,kn->", middle, (bar.damping @ middle.T).T)
    assert total[0] - total[-1] == pytest.approx(lost, rel=0.01)
    assert lost > 0.1 * abs(total[0])
    assert energies["lost"].min() >= 0.0


def test_steps_of_half_the_length_leave_a_fourth_of_the_strain_energy_of_the_steps():
    """The midpoint rule evaluates forces at the mean of two positions, which shortens a bar that turns."""
    most = []
    for dt in (0.01, 0.005):
        bar = CompoundPendulum(cells=(2, 2, 1), dt=dt)
        swing = bar.swing(1.5, 0.4, every=1)
        angle, _ = bar.angles(swing)
        most.append(np.abs(angle - bar.rigid.swing(1.5, 0.0, swing.t)[0]).max())
    assert most[1] < 0.6 * most[0]
    assert most[0] < 5e-3


def test_outlines_turn_with_the_bar():
    bar = CompoundPendulum(cells=(2, 2, 1))
    turned = bar._rotated(0.5) - bar.mesh.p.T
    flat, rotated = bar.outlines(np.stack([np.zeros(bar.solid.n_dofs), turned.ravel()]))
    c, s = np.cos(0.5), np.sin(0.5)
    np.testing.assert_allclose(rotated, flat @ np.array([[c, s], [-s, c]]), atol=1e-12)
    # the corners follow each other around the box
    x, y = flat.T
    area = 0.5 * abs(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))
    assert area == pytest.approx(0.12 * 1.0, rel=1e-12)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: CompoundPendulum(cells=(3, 2, 1)), "even"),
        (lambda: CompoundPendulum(young=-1.0), "young"),
        (lambda: IdealPendulum(0.0), "stiffness"),
        (lambda: IdealPendulum().swing(1.0, 0.0, [0.0, 0.2, 0.1]), "ascend"),
    ],
    ids=["odd cells", "stiffness", "no gravity", "times"],
)
def test_pendulums_that_cannot_be(build, message):
    with pytest.raises(ParameterError, match=message):
        build()


@pytest.mark.parametrize("cells", [3, (2, 3), "bar", (2, 3.5, 1)])
def test_cells_are_three_numbers(cells):
    with pytest.raises(ParameterError, match="cells"):
        CompoundPendulum(cells=cells)


def test_more_steps_than_anyone_waits_for_are_refused():
    with pytest.raises(ParameterError, match="longer steps"):
        CompoundPendulum(cells=(2, 2, 1)).swing(0.1, 1e30)
