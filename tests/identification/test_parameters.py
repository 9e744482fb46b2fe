"""Parameters of a pendulum: known answers, derivatives against differences, coverage of intervals, refused records."""

import numpy as np
import pytest

from femnn.exceptions import ConvergenceError, DatasetError, ParameterError
from femnn.identification import (
    SwingEquation,
    angles_of_clip,
    estimate_parameters,
    identify_by_neuron,
    identify_swing,
    load_pendulum_film,
    oscillation,
    picture_of_angle,
)

T = np.linspace(0.0, 10.0, 501)
DAMPED = SwingEquation(gravity=9.81, damping=0.2)


def noisy(theta, seed, size=0.01):
    return theta + size * np.random.default_rng(seed).standard_normal(len(theta))


# --- estimates


def test_intervals_of_a_line_are_the_textbooks():
    t = np.linspace(0.0, 2.0, 30)
    y = noisy(1.0 + 3.0 * t, 0, 0.1)
    columns = np.stack([np.ones(30), t], axis=1)
    line = estimate_parameters(lambda p: (columns @ p, columns), y, ("a", "b"), (0.0, 0.0))
    slope, variance = np.polyfit(t, y, 1)[0], np.sum((y - columns @ line.values) ** 2) / 28
    assert line["b"] == pytest.approx(slope, rel=1e-9)
    assert line.standard_error("b") == pytest.approx(np.sqrt(variance / np.sum((t - t.mean()) ** 2)), rel=1e-9)
    # 2.048407 is Student's 97.5 % quantile with 28 degrees of freedom
    low, high = line.interval("b")
    assert high - low == pytest.approx(2.0 * 2.048407 * line.standard_error("b"), rel=1e-6)
    assert line.correlation[0, 1] == pytest.approx(-t.mean() / np.sqrt(np.mean(t**2)), rel=1e-9)


def test_parameters_that_measurements_do_not_tell_are_named():
    t = np.linspace(0.0, 1.0, 20)
    columns = np.stack([t, 2.0 * t, t**2], axis=1)
    with pytest.raises(ParameterError, match="do not tell a and b apart"):
        estimate_parameters(lambda p: (columns @ p, columns), t, ("a", "b", "c"), (0.0, 0.0, 0.0))
    columns[:, 1] = 0.0
    with pytest.raises(ParameterError, match="do not depend on b"):
        estimate_parameters(lambda p: (columns @ p, columns), t, ("a", "b", "c"), (0.0, 0.0, 0.0))
    with pytest.raises(ParameterError, match="3 measurements cannot tell 3 parameters"):
        estimate_parameters(lambda p: (columns[:3] @ p, columns[:3]), t[:3], ("a", "b", "c"), (0.0, 0.0, 0.0))


# --- the equation


@pytest.mark.parametrize("amplitude", [0.1, 1.5, 3.0])
def test_the_motion_without_resistance_is_jacobis(amplitude):
    swing = SwingEquation(gravity=9.81, length=0.7, length_ratio=2.0 / 3.0)
    assert np.abs(swing.solve(T, amplitude) - swing.exact(T, amplitude)).max() < 1e-6
    assert swing.exact([swing.period(amplitude)], amplitude)[0] == pytest.approx(amplitude, abs=1e-7)


def test_the_linear_motion_with_damping_is_the_textbooks():
    swing = SwingEquation(gravity=9.81, damping=0.3, linear=True)
    frequency = np.sqrt(9.81 - 0.15**2)
    expected = np.exp(-0.15 * T) * (0.2 * np.cos(frequency * T) + 0.03 / frequency * np.sin(frequency * T))
    assert np.abs(swing.solve(T, 0.2) - expected).max() < 1e-8


def test_derivatives_of_the_motion_are_those_of_differences():
    names = ("gravity", "length", "length_ratio", "damping", "drag")
    swing = SwingEquation(gravity=9.0, length=1.2, length_ratio=0.8, damping=0.1, drag=0.05)
    t, h = np.linspace(0.0, 4.0, 9), 1e-5
    motion, derivatives = swing.sensitivities(t, 1.0, 0.5, names)
    changed = [swing.sensitivities(t, 1.0 + s * h, 0.5)[0] for s in (1, -1)]
    assert np.allclose(derivatives[..., 0], (changed[0] - changed[1]) / (2 * h), atol=1e-7)
    changed = [swing.sensitivities(t, 1.0, 0.5 + s * h)[0] for s in (1, -1)]
    assert np.allclose(derivatives[..., 1], (changed[0] - changed[1]) / (2 * h), atol=1e-7)
    for k, name in enumerate(names):
        ends = [swing.replaced(**{name: getattr(swing, name) + s * h}).sensitivities(t, 1.0, 0.5)[0] for s in (1, -1)]
        assert np.allclose(derivatives[..., 2 + k], (ends[0] - ends[1]) / (2 * h), atol=1e-6), name
    fine = swing.solve(np.linspace(0.0, 4.0, 4001), 1.0, 0.5)
    assert np.allclose(motion[1:-1, 1], np.gradient(fine, 1e-3)[500:-1:500], atol=1e-5)


# --- identification


@pytest.mark.parametrize("amplitude", [0.02, 1.0, 2.8])
def test_gravity_and_damping_are_exact_without_noise(amplitude):
    found = identify_swing(T, DAMPED.solve(T, amplitude))
    assert found["gravity"] == pytest.approx(9.81, rel=1e-7)
    assert found["damping"] == pytest.approx(0.2, rel=1e-6)


def test_ratio_drag_and_offset_come_from_unequal_steps():
    """A slender rod, whose angle is measured from a wrong zero, with resistance of two kinds."""
    t = np.sort(np.random.default_rng(0).uniform(0.0, 10.0, 400))
    rod = SwingEquation(gravity=9.81, length_ratio=2.0 / 3.0, damping=0.05, drag=0.1)
    found = identify_swing(t, rod.solve(t, 1.2, -0.5) + 0.3, ("length_ratio", "damping", "drag"), offset=True)
    for name, value in (
        ("length_ratio", 2.0 / 3.0),
        ("damping", 0.05),
        ("drag", 0.1),
        ("offset", 0.3),
        ("omega", -0.5),
    ):
        assert found[name] == pytest.approx(value, rel=1e-5), name


def test_intervals_hold_the_truth_as_often_as_they_say():
    theta, held, errors = DAMPED.solve(T, 1.0), [], []
    for seed in range(60):
        found = identify_swing(T, noisy(theta, seed))
        ends = [found.interval(name, 0.9) for name in ("gravity", "damping")]
        held.append([low < true < high for (low, high), true in zip(ends, (9.81, 0.2), strict=True)])
        errors.append([found["gravity"] / 9.81 - 1.0, found["damping"] / 0.2 - 1.0])
    # 54 are expected; fewer than 46 or all 60 have a probability below 1/500
    assert ((np.sum(held, axis=0) >= 46) & (np.sum(held, axis=0) < 60)).all()
    assert np.abs(errors).max(axis=0)[0] < 1e-3
    assert np.sqrt(np.mean(np.square(errors), axis=0))[1] < 5e-3


def test_another_start_leads_to_the_same_parameters():
    theta = noisy(DAMPED.solve(T, 1.0), 0)
    found = identify_swing(T, theta, start={"gravity": 9.4, "damping": 0.0})
    assert np.allclose(found.values, identify_swing(T, theta).values, rtol=1e-6)


def test_an_equation_that_is_not_that_of_the_motion_is_refused():
    """Three frequencies: no pendulum moves like this."""
    beat = 0.7 * np.cos(3.0 * T) + 0.6 * np.cos(4.3 * T) + 0.6 * np.cos(5.9 * T)
    with pytest.raises(ConvergenceError, match="no start leads to a motion like the record"):
        identify_swing(T, beat)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, y: (t[:60], y[:60]), "too short: it holds 0"),
        (lambda t, y: (t[:5], y[:5]), "has 5 values"),
        (lambda t, y: (t, np.where(t == t[7], np.nan, y)), r"nan at \(7,\)"),
        (lambda t, y: (t, 0.0 * y + 0.3), "the record is constant"),
        (lambda t, y: (t[::-1], y), "times do not ascend"),
        (lambda t, y: (t, np.random.default_rng(0).standard_normal(len(t))), "no oscillation stands out"),
        (lambda t, y: (t, np.degrees(y)), "turns over, or degrees"),
        (lambda t, y: (t[:-1], y), "shape|lengths"),
    ],
    ids=["short", "few", "nan", "constant", "backwards", "noise", "degrees", "lengths"],
)
def test_records_that_say_nothing_are_refused(change, message):
    with pytest.raises(ParameterError, match=message):
        identify_swing(*change(T, DAMPED.solve(T, 1.0)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"free": ("gravity", "length")}, "do not tell gravity and length apart"),
        ({"free": ("mass",)}, "pass some of gravity"),
        ({"start": {"gravity": -1.0}}, "start of gravity=-1.0"),
        ({"start": {"drag": 0.1}}, "'drag', which is not free"),
        ({"start": {"gravity": 1e6}}, r"gravity = 1e\+06.* is impossible: small swings would have 1000 rad/s"),
    ],
    ids=["singular", "unknown", "negative", "held", "far"],
)
def test_impossible_questions_are_refused(options, message):
    with pytest.raises((ParameterError, ConvergenceError), match=message):
        identify_swing(T, DAMPED.solve(T, 1.0), **options)


def test_the_strongest_frequency_is_found_in_noise_and_unequal_steps():
    t = np.sort(np.random.default_rng(1).uniform(0.0, 20.0, 300))
    found = oscillation(t, noisy(0.5 + np.exp(-0.05 * t) * np.cos(2.0 * t + 0.3), 2, 0.1))
    assert found.frequency == pytest.approx(2.0, rel=0.01)
    assert found.decay == pytest.approx(0.05, rel=0.3)
    assert found.phase == pytest.approx(0.3, abs=0.2)


# --- the neuron


def test_a_neuron_finds_what_derivatives_tell_and_noise_biases_it():
    theta = DAMPED.solve(T, 1.0)
    exact = identify_by_neuron(T, theta, window=5)
    assert exact["gravity"] == pytest.approx(9.81, rel=5e-3)
    assert exact["damping"] == pytest.approx(0.2, rel=5e-3)
    ratio = identify_by_neuron(T, theta, "length_ratio", DAMPED, window=5)
    assert ratio["length_ratio"] == pytest.approx(1.0, rel=5e-3)
    # least squares through the equation know better
    errors = [
        abs(identify(T, noisy(theta, 0))["gravity"] / 9.81 - 1.0) for identify in (identify_by_neuron, identify_swing)
    ]
    assert errors[0] > 5.0 * errors[1]


def test_a_neuron_needs_equal_steps_and_one_stiffness():
    theta = DAMPED.solve(T, 1.0)
    with pytest.raises(ParameterError, match=r"time steps are from .* smoothed derivatives need equal ones"):
        identify_by_neuron(np.delete(T, 7), np.delete(theta, 7))
    with pytest.raises(ParameterError, match="a neuron has one weight"):
        identify_by_neuron(T, theta, ("gravity", "length"))
    with pytest.raises(ParameterError, match="pass an odd number"):
        identify_by_neuron(T, theta, window=8)


# --- angles of a film


@pytest.mark.parametrize(("noise", "limit"), [(0.0, 1e-6), (0.05, 5e-3)])
def test_angles_of_a_film_are_those_that_were_drawn(noise, limit):
    angle = -1.2 * np.cos(np.linspace(0.0, 12.0, 121))
    clip = picture_of_angle(angle) + noise * np.random.default_rng(0).standard_normal((121, 51, 51))
    error = angles_of_clip(clip) - angle
    assert np.sqrt(np.mean(error**2)) < limit


def test_angles_turn_over_without_a_jump_and_about_any_pivot():
    angle = np.linspace(0.0, 10.0, 101)
    clip = picture_of_angle(angle)
    assert np.allclose(angles_of_clip(clip), angle, atol=1e-6)
    wide = np.pad(clip, ((0, 0), (4, 0), (0, 9)))
    assert np.allclose(angles_of_clip(wide, pivot=(29, 25)), angle, atol=1e-6)


def test_clips_without_a_pendulum_are_refused():
    angle = np.cos(np.linspace(0.0, 6.0, 61))
    with pytest.raises(DatasetError, match="in common"):
        angles_of_clip(np.random.default_rng(0).standard_normal((61, 51, 51)))
    with pytest.raises(DatasetError, match="stands still"):
        angles_of_clip(np.ones((61, 51, 51)))
    with pytest.raises(ParameterError, match=r"the pivot .* from the edge"):
        angles_of_clip(picture_of_angle(angle), pivot=(0, 25))


def test_the_shipped_film_of_a_bar_tells_its_moment_of_inertia_and_its_drag():
    """Hexahedra that swing, 8 bits a pixel: the rigid bar has g/(r ℓ) and c of its mass, shape and surface."""
    taken = load_pendulum_film()
    clip, dt = taken.film.clips[3], taken.film.dt
    seen = angles_of_clip(clip)
    assert np.abs(seen - taken.angles[3]).max() < 5e-3
    known = SwingEquation(gravity=9.80665, length=1.0)
    found = identify_swing(dt * np.arange(len(clip)), seen, ("length_ratio", "damping"), known, offset=True)
    assert 9.80665 / found["length_ratio"] == pytest.approx(taken.pendulum.stiffness, rel=2e-3)
    assert found["damping"] == pytest.approx(taken.pendulum.damping, rel=3e-2)
