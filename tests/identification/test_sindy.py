"""Sparse equations of known motions, whatever coordinate they are measured in, and records that tell none."""

import numpy as np
import pytest

from femnn.exceptions import DatasetError, ParameterError
from femnn.identification import (
    IdealPendulum,
    Library,
    WeakForm,
    discover,
    flat_gauge,
    pysindy_equation,
    unit_gauge,
)
from femnn.identification.library import shortest_period

DT = 0.04
PENDULUM = IdealPendulum()


@pytest.fixture(scope="module")
def angles():
    """Ten clips of an ideal pendulum."""
    times = DT * np.arange(250)
    return [PENDULUM.swing(float(a), float(v), times)[0] for a, v in zip(*PENDULUM.starts(10, seed=1), strict=True)]


def noisy(series, noise, seed=0):
    generator = np.random.default_rng(seed)
    return [z + noise * generator.standard_normal(len(z)) for z in series]


# --- the library and the weak form


def test_terms_and_their_derivatives():
    library, rng = Library(4), np.random.default_rng(0)
    assert len(library.terms) == 17
    z, v = rng.standard_normal((2, 20))
    values = library.values(z, v)
    np.testing.assert_allclose(values[:, library.terms.index("z² z'")], z**2 * v)
    np.testing.assert_allclose(values[:, library.terms.index("sin z")], np.sin(z))
    by_z, by_v = library.slopes(z, v)
    h = 1e-6
    np.testing.assert_allclose(by_z, (library.values(z + h, v) - library.values(z - h, v)) / (2 * h), atol=1e-7)
    np.testing.assert_allclose(by_v, (library.values(z, v + h) - library.values(z, v - h)) / (2 * h), atol=1e-7)
    assert Library(1, sine=False).terms == ("1", "z", "z'")


def test_the_weak_form_is_exact_for_parabolas_and_converges_for_waves():
    weak, t = WeakForm(20, 0.1), 0.1 * np.arange(100)
    np.testing.assert_allclose(weak.accelerations(1.0 + 2.0 * t + 3.0 * t**2), 6.0 * weak.test.sum(), rtol=1e-9)
    missed = []
    for half in (10, 20):
        weak = WeakForm(half, 2.0 / half)
        t = weak.dt * np.arange(10 * half)
        z, other = np.sin(t), weak.integrals(-np.sin(t))
        missed.append(np.abs(weak.accelerations(z) - other).max() / np.abs(other).max())
    # same intervals, steps half as long: the sums converge faster than any power that matters
    assert missed[0] < 1e-4
    assert missed[1] < 0.1 * missed[0]


def test_series_are_smoothed_and_differentiated_exactly_up_to_their_degree():
    weak, t = WeakForm(6, 0.1), 0.1 * np.arange(60)
    z = 1.0 - t + 0.5 * t**3 - 0.1 * t**4
    smooth, velocity = weak.smoothed(z)
    np.testing.assert_allclose(smooth, z[6:-6], atol=1e-9)
    np.testing.assert_allclose(velocity, (-1.0 + 1.5 * t**2 - 0.4 * t**3)[6:-6], atol=1e-8)
    columns = np.stack([z, 2.0 * z], axis=1)
    np.testing.assert_allclose(weak.smoothed(columns)[1][:, 1], 2.0 * velocity)


def test_a_period_is_seen_through_noise():
    t = 0.1 * np.arange(400)
    clear = np.sin(2.0 * np.pi * t / 4.0)
    assert shortest_period([clear]) == pytest.approx(40.0, abs=1.0)
    assert shortest_period(noisy([clear], 0.1)) == pytest.approx(40.0, abs=2.0)


# --- equations


@pytest.mark.parametrize("noise", [0.0, 1e-3, 1e-2])
def test_the_pendulum_is_found(angles, noise):
    equation = discover(noisy(angles, noise), DT)
    assert set(equation.terms) == {"sin z"}
    assert equation.terms["sin z"] == pytest.approx(-1.0, abs=5e-5 + 0.3 * noise)
    if not noise:
        assert equation.left < 1e-4


def test_other_equations_are_found():
    t = 0.02 * np.arange(1500)
    swinging = [IdealPendulum(9.0, 0.2).swing(a, 0.0, t)[0] for a in (2.5, -1.0)]
    damped = discover(swinging, 0.02)
    assert set(damped.terms) == {"sin z", "z'"}
    assert damped.terms["z'"] == pytest.approx(-0.2, rel=1e-3)
    assert damped.terms["sin z"] == pytest.approx(-9.0, rel=1e-4)
    # a spring that hardens: Duffing's, by the steps of Störmer and Verlet
    z = [3.0, 3.0]
    for _ in range(20 * 1500):
        z.append(2.0 * z[-1] - z[-2] - 1e-6 * (z[-1] + 0.8 * z[-1] ** 3))
    duffing = discover([np.array(z[::20])], 0.02)
    assert set(duffing.terms) == {"z", "z³"}
    assert duffing.terms["z³"] == pytest.approx(0.8 * -1.0, rel=1e-2)


def test_accelerations_are_those_of_the_terms(angles):
    equation = discover(angles, DT)
    np.testing.assert_allclose(equation.acceleration([0.3, 1.0], [0.0, 2.0]), -np.sin([0.3, 1.0]), rtol=1e-4)
    assert str(equation) == "z'' = -1.000 sin z"


# --- coordinates


DISTORTED = {
    "sinh": lambda x: np.sinh(0.5 * x),
    "tanh": lambda x: 3.0 + np.tanh(0.3 * x + 0.2),
    "wave": lambda x: -2.0 * x + 0.5 * np.sin(x),
}


@pytest.mark.parametrize("name", list(DISTORTED))
def test_a_distorted_coordinate_is_straightened_and_scaled_without_the_truth(angles, name):
    series = [DISTORTED[name](z) for z in angles]
    gauge = flat_gauge(series, DT)
    flat = [gauge(z) for z in series]
    assert abs(np.corrcoef(np.concatenate(flat), np.concatenate(angles))[0, 1]) > 0.99995
    scale, shift = unit_gauge(flat, DT)
    equation = discover([scale * (z - shift) for z in flat], DT)
    assert set(equation.terms) == {"sin z"}
    assert equation.terms["sin z"] == pytest.approx(-1.0, abs=0.01)


def test_undistorted_the_equation_is_not_sparse(angles):
    """What makes the gauge worth its while."""
    with pytest.raises(DatasetError, match="cannot represent"):
        discover([np.sinh(0.9 * z) for z in angles], DT, most_left=0.02)


def test_a_gauge_goes_on_beyond_its_points():
    gauge = flat_gauge([np.sin(0.1 * np.arange(300))], 0.1)
    x, y = gauge.points, gauge.values
    assert gauge(x[-1] + 1.0) == pytest.approx(y[-1] + (y[-1] - y[-2]) / (x[-1] - x[-2]))
    assert (np.diff(gauge(np.linspace(x[0] - 1.0, x[-1] + 1.0, 50))) > 0.0).all()


def test_pysindy_finds_the_pendulum_in_clear_angles(angles):
    pytest.importorskip("pysindy")
    found = pysindy_equation(angles, DT)
    assert set(found) == {"sin z"}
    assert found["sin z"] == pytest.approx(-1.0, abs=0.05)


# --- records that tell nothing


def test_a_library_that_cannot_represent_the_equation_says_what_is_left(angles):
    with pytest.raises(DatasetError, match=r"these 3 terms cannot represent the equation: .* leave \d+\.\d% of the"):
        discover(angles, DT, Library(1, sine=False))
    # dry friction is no polynomial of the velocity
    z, v, series = 2.5, 0.0, []
    for k in range(100_000):
        v -= 4e-4 * (np.sin(z) + 0.08 * np.sign(v))
        z += 4e-4 * v
        if k % 100 == 0:
            series.append(z)
    with pytest.raises(DatasetError, match="cannot represent"):
        discover([np.array(series)], 0.04, most_left=0.01)


def test_a_record_must_hold_a_period(angles):
    with pytest.raises(DatasetError, match="no clip holds a period: in 60 frames"):
        discover([z[:60] for z in angles], DT)
    with pytest.raises(DatasetError, match="no clip holds a period"):
        flat_gauge([np.linspace(0.0, 1.0, 50)], DT)


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda z: np.where(np.arange(len(z)) == 9, np.nan, z), DatasetError, "nan at"),
        (lambda z: np.full(len(z), 0.3), DatasetError, "all 250 frames are one"),
        (lambda z: np.append(z[:100], z[130:]), DatasetError, "jumps between the frames 99 and 100"),
        (lambda z: z[:5], ParameterError, "nine"),
        (lambda z: z[:, None], ParameterError, "shape"),
    ],
    ids=["nan", "constant", "jump", "short", "column"],
)
def test_coordinates_that_are_broken(angles, spoil, error, message):
    with pytest.raises(error, match=message):
        discover([spoil(angles[2])], DT)
