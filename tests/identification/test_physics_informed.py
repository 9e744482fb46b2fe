"""Physics-informed networks of a pendulum: known answers, derivatives against differences, causality, bad input."""

import dataclasses

import numpy as np
import pytest

from femnn.exceptions import ParameterError, TrainingError
from femnn.identification import NetworkOptions, SwingEquation, identify_by_network, identify_swing, solve_by_network

SWING = SwingEquation(gravity=9.81, length=1.0)


def error(motion, amplitude, equation=SWING):
    t = np.linspace(0.0, motion.end, 201)
    return np.abs(motion.angle(t) - equation.exact(t, amplitude)).max()


@pytest.mark.parametrize("linear", [False, True])
def test_networks_move_like_the_pendulum_for_a_period(linear):
    equation = dataclasses.replace(SWING, linear=linear)
    motion = solve_by_network(equation, 1.5, duration=equation.period(1.5), progress=False)
    assert error(motion, 1.5, equation) < 1e-4
    assert motion.residuals.max() < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("amplitude", [0.5, 1.5, 2.5])
def test_networks_move_like_the_pendulum_for_five_periods(amplitude):
    motion = solve_by_network(SWING, amplitude, duration=5.0 * SWING.period(amplitude), progress=False)
    assert error(motion, amplitude) < 1e-3


def test_initial_conditions_hold_exactly_and_windows_join():
    options = NetworkOptions(iterations=5, harmonics=(1.0,))
    motion = solve_by_network(
        SwingEquation(damping=0.3, drag=0.1), 1.0, -2.0, duration=1.0, windows=2, options=options, progress=False
    )
    assert motion.angle([0.0])[0] == 1.0
    assert motion.velocity([0.0])[0] == -2.0
    for values in (motion.angle, motion.velocity):
        before, after = values([0.5 * (1.0 - 1e-12), 0.5])
        assert before == pytest.approx(after, abs=1e-9)


def test_derivatives_of_a_window_are_those_of_differences():
    options = NetworkOptions(iterations=3, width=6, depth=2, harmonics=(1.0, 2.0))
    (window,) = solve_by_network(SWING, 1.0, 0.5, duration=2.0, windows=1, options=options, progress=False).windows
    tau, h = np.linspace(0.1, 1.9, 7), 1e-4
    angle, speed, acceleration = window.motion(tau)
    ahead, behind = window.motion(tau + h)[0], window.motion(tau - h)[0]
    assert np.allclose(speed, (ahead - behind) / (2 * h), atol=1e-5 * np.abs(acceleration).max())
    assert np.allclose(acceleration, (ahead - 2 * angle + behind) / h**2, atol=1e-4 * np.abs(acceleration).max())


def test_the_jacobian_of_the_residual_is_that_of_differences():
    import torch

    from femnn.identification.fit_physics_informed import _Sums, _Window

    window = _Window(SwingEquation(damping=0.2, drag=0.1), 0.0, 1.0, 1.0, 0.3, NetworkOptions(width=5, points=6))
    sums = _Sums([(window.residual, window.tau, torch.ones_like(window.tau))])
    generator = torch.Generator().manual_seed(0)
    flat = window.flat + 0.1 * torch.randn(len(window.flat), dtype=torch.float64, generator=generator)
    along = torch.randn(len(flat), dtype=torch.float64, generator=generator)
    difference = (sums.values(flat + 1e-6 * along) - sums.values(flat - 1e-6 * along)) / 2e-6
    assert torch.allclose(sums.jacobian(flat) @ along, difference, atol=1e-6)


@pytest.mark.slow
def test_causal_weights_solve_what_equal_weights_do_not():
    """One network for two periods: without causality it settles on what is no motion."""
    options = NetworkOptions(width=30, depth=2, points=80, iterations=300)
    errors = [
        error(
            solve_by_network(
                SWING,
                1.5,
                duration=2.0 * SWING.period(1.5),
                windows=1,
                options=dataclasses.replace(options, causality=causality),
                progress=False,
            ),
            1.5,
        )
        for causality in (0.0, 1.0)
    ]
    assert errors[0] > 0.1
    assert errors[1] < 2e-3


def test_the_usual_optimiser_learns_as_well_but_less():
    motions = [
        solve_by_network(
            SWING,
            1.0,
            duration=0.7,
            windows=1,
            options=NetworkOptions(width=10, depth=2, method=method, iterations=80),
            progress=False,
        )
        for method in ("lbfgs", "gauss-newton")
    ]
    assert motions[1].residuals[0] < motions[0].residuals[0] < 1e-2


def test_the_same_seed_gives_the_same_network():
    options = NetworkOptions(iterations=5)
    first, again, other = (
        solve_by_network(
            SWING, 1.0, duration=0.5, windows=1, options=dataclasses.replace(options, seed=seed), progress=False
        ).angle([0.4])[0]
        for seed in (0, 0, 1)
    )
    assert first == again != other


def test_parameters_are_found_with_the_network():
    equation = SwingEquation(gravity=9.81, damping=0.2)
    t = np.linspace(0.0, 5.0, 120)
    theta = equation.solve(t, 1.0)
    options = NetworkOptions(width=8, depth=1, points=80, harmonics=(1.0, 2.0), iterations=60)
    found = identify_by_network(t, theta, options=options)
    assert found["gravity"] == pytest.approx(9.81, rel=1e-3)
    assert found["damping"] == pytest.approx(0.2, rel=2e-2)
    noisy = theta + 0.01 * np.random.default_rng(0).standard_normal(120)
    found, baseline = identify_by_network(t, noisy, options=options), identify_swing(t, noisy)
    assert found.names == baseline.names
    assert found["gravity"] == pytest.approx(baseline["gravity"], rel=5e-3)
    assert found.standard_error("gravity") == pytest.approx(baseline.standard_error("gravity"), rel=0.2)


def test_questions_that_make_no_sense_are_refused():
    with pytest.raises(ParameterError, match="theta=4"):
        solve_by_network(SWING, 4.0, duration=1.0)
    with pytest.raises(ParameterError, match="duration=0"):
        solve_by_network(SWING, 1.0, duration=0.0)
    with pytest.raises(ParameterError, match="method='adam'"):
        NetworkOptions(method="adam")
    with pytest.raises(ParameterError, match="depth=0"):
        NetworkOptions(depth=0)
    motion = solve_by_network(SWING, 1.0, duration=0.5, windows=1, options=NetworkOptions(iterations=2), progress=False)
    with pytest.raises(ParameterError, match=r"from 0 to 0\.5 s"):
        motion.angle([0.6])
    t = np.linspace(0.0, 5.0, 100)
    with pytest.raises(ParameterError, match="do not tell gravity and length apart"):
        identify_by_network(t, SWING.solve(t, 1.0), ("gravity", "length"))
    with pytest.raises(ParameterError, match="the record is constant"):
        identify_by_network(t, 0.0 * t)


def test_a_loss_that_is_not_finite_is_said():
    from femnn.identification.fit_physics_informed import train_windows

    wild = SwingEquation(gravity=1e300, length=1e-300 * 1e200)
    with np.errstate(all="ignore"), pytest.raises(TrainingError, match="not finite"):
        train_windows(wild, 1.0, 1e200, 1.0, 1, NetworkOptions(iterations=3), False)
