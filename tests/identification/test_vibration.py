"""Moduli and damping of a beam from sensors: known answers, derivatives against differences, coverage, bad input."""

import numpy as np
import pytest
from scipy.sparse import csr_array, eye_array

from femnn.exceptions import ParameterError
from femnn.identification import VibrationModel, identify_vibration
from femnn.solvers import NonlinearProblem, SecondOrder, march
from femnn.validation import VibratingBeam

TRUE = {"root": 200e9, "tip": 210e9, "stiffness_damping": 3e-5}


@pytest.fixture(scope="module")
def beam():
    return VibratingBeam(cells=6)


@pytest.fixture(scope="module")
def model(beam):
    return beam.model(modes=10)


ONE = eye_array(1).tocsr()
T = np.linspace(0.0, 20.0, 401)


def oscillator(**options):
    return VibrationModel({"spring": ONE}, ONE, np.ones((1, 1)), [0], **options)


def test_an_oscillator_moves_as_in_the_textbook():
    values = {"spring": 4.0, "mass_damping": 0.2, "stiffness_damping": 0.05}
    motion, _ = oscillator(start=[1.0], velocity=[-0.3]).predict(T, values)
    rate = 0.5 * (0.2 + 0.05 * 4.0)
    frequency = np.sqrt(4.0 - rate**2)
    expected = np.exp(-rate * T) * (np.cos(frequency * T) + (rate - 0.3) / frequency * np.sin(frequency * T))
    assert np.allclose(motion[:, 0], expected, atol=1e-12)
    # a force that grows linearly, in unequal steps: u = (t - sin 2t/2)/4
    t = np.sort(np.random.default_rng(0).uniform(0.0, 5.0, 30))
    t[0] = 0.0
    motion, _ = oscillator(load=[1.0]).predict(t, {"spring": 4.0}, history=t)
    assert np.allclose(motion[:, 0], 0.25 * (t - 0.5 * np.sin(2.0 * t)), atol=1e-12)


def test_the_motion_is_that_of_the_time_integrator(beam, model):
    """The full model, in steps of half the record's: second order in the step."""
    stiffnesses, mass = beam.matrices
    stiffness = csr_array(TRUE["root"] * stiffnesses["root"] + TRUE["tip"] * stiffnesses["tip"])

    class Elastic(NonlinearProblem):
        def residual_and_tangent(self, u):
            return stiffness @ u, stiffness

    def force(t):
        return np.interp(t, beam.t, beam.history) * beam.load

    t, errors = beam.t[:41], []
    exact = beam.measure(TRUE)[:41]
    for parts in (2, 4):
        motion = SecondOrder(Elastic(), csr_array(mass), TRUE["stiffness_damping"] * stiffness, force)
        seen = [motion.start()]
        march(motion.step, seen[0], np.linspace(0.0, t[-1], 40 * parts + 1), callback=seen.append, progress=False)
        moved = np.array([state.u[beam.sensors] for state in seen[::parts]])
        errors.append(np.abs(moved - exact).max() / np.abs(exact).max())
    assert errors[1] < 0.02
    assert errors[0] / errors[1] > 3.0
    assert np.abs(model.predict(beam.t, TRUE, beam.history)[0][:41] - exact).max() < 0.01 * np.abs(exact).max()


def test_derivatives_of_the_motion_are_those_of_differences(beam, model):
    values = TRUE | {"mass_damping": 5.0}
    t = beam.t[:101]
    _, derivatives = model.predict(t, values, beam.history[:101])
    for k, name in enumerate(model.names):
        # a little damping changes each step by little more than rounding
        h = {"mass_damping": 1e-2, "stiffness_damping": 1e-3}.get(name, 1e-5) * values[name]
        ends = [model.predict(t, values | {name: values[name] + s * h}, beam.history[:101])[0] for s in (1, -1)]
        difference = (ends[0] - ends[1]) / (2 * h)
        assert np.abs(derivatives[..., k] - difference).max() < 2e-5 * np.abs(difference).max(), name


def test_moduli_and_damping_of_the_halves_are_found(beam, model):
    start = {"root": 170e9, "tip": 170e9}
    found = identify_vibration(model, beam.t, beam.measure(TRUE), start, history=beam.history)
    assert found["root"] == pytest.approx(200e9, rel=2e-3)
    assert found["tip"] == pytest.approx(210e9, rel=1e-2)
    assert found["stiffness_damping"] == pytest.approx(3e-5, rel=5e-3)


def test_intervals_hold_the_truth_as_often_as_they_say(beam, model):
    """Measured by the reduced model itself: intervals know nothing of what it leaves out."""
    t, history, held = beam.t[:251], beam.history[:251], []
    exact = model.predict(t, TRUE, history)[0]
    for seed in range(25):
        noise = 0.01 * np.abs(exact).max() * np.random.default_rng(seed).standard_normal(exact.shape)
        found = identify_vibration(model, t, exact + noise, {"root": 190e9, "tip": 190e9}, history=history)
        held.append([low < TRUE[name] < high for name in TRUE for low, high in [found.interval(name, 0.9)]])
    # 22.5 are expected; fewer than 17 have a probability below 1/500
    assert (np.sum(held, axis=0) >= 17).all()


def test_a_start_that_is_periods_off_still_leads_to_the_modulus():
    t = np.linspace(0.0, 100.0, 1001)
    measured = oscillator(start=[1.0]).predict(t, {"spring": 4.0, "mass_damping": 0.01})[0]
    # 1.2 times the modulus is three periods off at the end
    found = identify_vibration(oscillator(start=[1.0]), t, measured, {"spring": 4.8}, ("spring", "mass_damping"))
    assert found["spring"] == pytest.approx(4.0, rel=1e-6)
    assert found["mass_damping"] == pytest.approx(0.01, rel=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, y: (t[:20], y[:20]), "too short"),
        (lambda t, y: (t, 0.0 * y), "constant"),
        (lambda t, y: (t, np.where(t[:, None] == t[9], np.inf, y)), "inf at"),
        (lambda t, y: (t[::-1], y), "do not ascend"),
        (lambda t, y: (t, y[:, 0]), "one column for each of 1 sensors"),
    ],
    ids=["short", "constant", "infinite", "backwards", "columns"],
)
def test_records_that_say_nothing_are_refused(change, message):
    measured = oscillator(start=[1.0]).predict(T, {"spring": 4.0, "mass_damping": 0.01})[0]
    with pytest.raises(ParameterError, match=message):
        identify_vibration(oscillator(start=[1.0]), *change(T, measured), {"spring": 4.4}, ("spring",))


def test_impossible_questions_are_refused():
    measured = oscillator(start=[1.0]).predict(T, {"spring": 4.0, "mass_damping": 0.01})[0]
    ask = oscillator(start=[1.0])
    # in one mode both dampings do the same
    with pytest.raises(ParameterError, match="do not tell mass_damping and stiffness_damping apart"):
        identify_vibration(ask, T, measured, {"spring": 4.0}, ("mass_damping", "stiffness_damping"))
    with pytest.raises(ParameterError, match="spring = -1 is impossible"):
        identify_vibration(ask, T, measured, {"spring": -1.0})
    with pytest.raises(ParameterError, match="pass some of spring"):
        identify_vibration(ask, T, measured, {"spring": 4.0}, ("mass",))
    with pytest.raises(ParameterError, match="the model has spring"):
        identify_vibration(ask, T, measured, {"stiffness_damping": 0.1}, ("stiffness_damping",))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "nothing moves the structure"),
        ({"start": [1.0, 2.0]}, "the start"),
        ({"sensors": [1]}, "indices"),
        ({"basis": np.ones((1, 2)), "start": [1.0]}, "the modes depend on each other"),
        ({"mass": eye_array(2).tocsr(), "start": [1.0]}, "mass has the shape"),
    ],
    ids=["rest", "start", "sensors", "modes", "mass"],
)
def test_models_that_make_no_sense_are_refused(options, message):
    settings = {"stiffnesses": {"spring": ONE}, "mass": ONE, "basis": np.ones((1, 1)), "sensors": [0]} | options
    with pytest.raises(ParameterError, match=message):
        VibrationModel(**settings)
