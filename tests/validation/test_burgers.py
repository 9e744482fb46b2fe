"""Burgers' equation in two dimensions: balance, shock speed, tangents, and its reduced models."""

import itertools

import numpy as np
import pytest

from femnn.exceptions import ConvergenceError, ParameterError
from femnn.reduced import POD, Manifold, QuadraticManifold
from femnn.validation import BURGERS_TESTS, Burgers, BurgersStudy, SampledBurgers, error_over_time, relative_error

PARAMETERS = (4.56, 0.019)


@pytest.fixture(scope="module")
def study():
    return BurgersStudy(Burgers(20, steps=60, dt=0.2), 25, progress=False)


def test_what_flows_in_and_out_balances():
    burgers = Burgers(16, steps=30, dt=0.1)
    states = burgers.solve(PARAMETERS)
    source = burgers.source(PARAMETERS)
    for old, new in itertools.pairwise(states):
        for half in (slice(0, 256), slice(256, 512)):
            outflow = 0.0
            for w in (old, new):
                u, v = w.reshape(2, 16, 16)
                along_x, along_y = (0.5 * u**2, 0.5 * u * v) if half.start == 0 else (0.5 * u * v, 0.5 * v**2)
                outflow += 0.5 * (along_x[:, -1].sum() + along_y[-1].sum()) / burgers.h
            gained = (new - old)[half].sum()
            assert gained == pytest.approx(burgers.dt * (source[half].sum() - outflow), abs=1e-8)


def test_the_front_travels_at_the_speed_of_the_shock():
    """Without production, with v = 0 and u small ahead, the front of u moves at μ₁/2 (Rankine and Hugoniot)."""
    burgers = Burgers(200, steps=400, dt=0.05)
    burgers.initial = lambda: np.concatenate([np.full(200**2, 1e-3), np.zeros(200**2)])
    states = burgers.solve((4.0, -50.0))[:, : 200**2].reshape(-1, 200, 200)[:, 100]
    # momentum behind the front grows by its speed
    places = states.sum(axis=1) * burgers.h / 4.0
    assert (places[400] - places[200]) / 10.0 == pytest.approx(2.0, rel=2e-3)


def test_newton_agrees_with_the_sweep_and_the_tangent_with_differences():
    burgers = Burgers(12, steps=8, dt=0.2)
    swept = burgers.solve(PARAMETERS)
    assert np.abs(burgers.solve(PARAMETERS, "newton") - swept).max() < 1e-9
    assert np.abs(burgers.residual(swept[5], swept[4], PARAMETERS)).max() < 1e-9
    generator = np.random.default_rng(0)
    w, old, d = 1.0 + generator.random((3, 288))
    ahead, behind = (burgers.residual(w + e * d, old, PARAMETERS) for e in (1e-6, -1e-6))
    assert np.allclose(burgers.tangent(w) @ d, (ahead - behind) / 2e-6, atol=1e-8)


def test_the_projected_source_is_that_of_the_full_model():
    burgers = Burgers(10)
    modes = np.random.default_rng(1).standard_normal((200, 4))
    assert np.allclose(burgers.project_source(modes)(PARAMETERS), modes.T @ burgers.source(PARAMETERS))


def test_all_modes_on_all_cells_give_the_full_solution():
    burgers = Burgers(8, steps=15, dt=0.3)
    truth = burgers.solve(PARAMETERS)
    pod = POD.fit(truth.T, modes=15, offset=burgers.initial())
    model = SampledBurgers(burgers, pod, Manifold.linear(pod.r, 5.0))
    assert relative_error(model.states(model.march(PARAMETERS)), truth) < 1e-6


def test_weights_count_cells():
    """A model on all cells with weight 2 has the solution of the one with weight 1."""
    burgers = Burgers(8, steps=15, dt=0.3)
    pod = POD.fit(burgers.solve(PARAMETERS).T, modes=6, offset=burgers.initial())
    ones, twos = (
        SampledBurgers(burgers, pod, Manifold.linear(6, 5.0), np.arange(64), np.full(64, weight))
        for weight in (1.0, 2.0)
    )
    assert np.allclose(ones.march(PARAMETERS).q, twos.march(PARAMETERS).q, atol=1e-9)


def test_a_manifold_that_holds_the_solution_gives_it_back():
    burgers = Burgers(8, steps=15, dt=0.3)
    truth = burgers.solve(PARAMETERS)
    pod = POD.fit(truth.T, modes=12, offset=burgers.initial())
    a, n = pod.project(truth.T).T[1:], 10
    # there are more products of ten coordinates than states, so that some combination goes through all of them
    i, j = np.triu_indices(n)
    output = np.linalg.lstsq(a[:, i] * a[:, j], a[:, n:], rcond=None)[0].T
    manifold = QuadraticManifold(n, output, np.zeros(pod.r - n), 5.0)
    assert np.abs(manifold.lift(a[:, :n]) - a).max() < 1e-6
    model = SampledBurgers(burgers, pod, manifold)
    residuals = [
        burgers.residual(new, old, PARAMETERS) for old, new in itertools.pairwise(model.states(model.march(PARAMETERS)))
    ]
    assert np.abs(residuals).max() < 1e-3


@pytest.mark.parametrize("kind", ["linear", "local", "quadratic"])
def test_reduced_models_meet_unseen_parameters(study, kind):
    run = {
        "linear": lambda: study.linear(20, 150),
        "local": lambda: study.local(4, 1e-3),
        "quadratic": lambda: study.quadratic(8, 120, 20),
    }[kind]()
    for parameters in BURGERS_TESTS:
        truth = study.burgers.solve(parameters)
        states = run.states(run.march(parameters))
        assert relative_error(states, truth) < 0.03
        assert error_over_time(states, truth).max() < 0.1
    if kind != "local":
        assert run.cells < 200
        assert run.model.weights.sum() == pytest.approx(400, rel=0.1)


def test_studies_repeat(study):
    again = BurgersStudy(Burgers(20, steps=60, dt=0.2), 25, progress=False)
    first, second = (s.local(4, 1e-3).march(PARAMETERS).q for s in (study, again))
    assert np.array_equal(first, second)


def test_what_is_refused(study):
    burgers = study.burgers
    for call in (
        lambda: burgers.solve((-1.0, 0.02)),
        lambda: burgers.solve((4.0, 0.02, 1.0)),
        lambda: burgers.solve((4.0, np.nan)),
        lambda: burgers.solve(PARAMETERS, "explicit"),
        lambda: burgers.solve(PARAMETERS, steps=0),
        lambda: burgers.residual(np.ones(3), np.ones(3), PARAMETERS),
        lambda: burgers.project_source(np.ones((3, 2))),
        lambda: SampledBurgers(burgers, study.pod, Manifold.linear(26, 1.0)),
        lambda: SampledBurgers(burgers, study.pod, Manifold.linear(5, 1.0), [400], [1.0]),
        lambda: SampledBurgers(burgers, study.pod, Manifold.linear(5, 1.0), [3], [-1.0]),
        lambda: SampledBurgers(burgers, study.pod, Manifold.linear(5, 1.0), [3, 4], [1.0]),
        lambda: relative_error(np.ones((2, 3)), np.ones((3, 2))),
    ):
        with pytest.raises(ParameterError):
            call()
    with pytest.raises(ConvergenceError, match="time step 1"):
        Burgers(4, steps=1, dt=1e12).solve((1e200, 0.02))
