"""Flows whose coefficients are forecast: the closed solution of Burgers' equation, and the table of models."""

import dataclasses

import numpy as np
import pytest

from femnn.exceptions import ParameterError
from femnn.reduced.dynamics import Persistence
from femnn.reduced.dynamics.latent import OPTIONS
from femnn.validation import ViscousBurgers, burgers_case, burgers_state_errors, flow_case, summarise


@pytest.fixture(scope="module")
def case():
    return burgers_case(256, 250)


def test_the_closed_solution_solves_burgers_equation():
    burgers = ViscousBurgers(400, steps=400)
    u, reynolds = burgers.solve(200.0), 200.0
    h, dt = 1.0 / 400, 1.0 / 400
    rate = (u[2:, 1:-1] - u[:-2, 1:-1]) / (2 * dt)
    slope, bend = np.gradient(u, h, axis=1)[1:-1, 1:-1], np.diff(u, 2, axis=1)[1:-1] / h**2
    residual = rate + u[1:-1, 1:-1] * slope - bend / reynolds
    assert np.abs(residual).max() < 0.02 * np.abs(rate).max()
    # large Reynolds numbers do not overflow
    assert np.isfinite(ViscousBurgers(64, steps=10).solve(4000.0)).all()


def test_galerkin_with_many_modes_is_the_solution(case):
    """With as many modes as the training fills, projection and equation together miss little of an unseen run."""
    many = burgers_case(256, 250, modes=20)
    few, full = (burgers_state_errors(c, [c.galerkin])["Re = 500"]["Galerkin projection"] for c in (case, many))
    assert full < 0.01 < few


def test_an_lstm_is_below_galerkin_at_four_modes_for_both_tests(case):
    options = dataclasses.replace(OPTIONS, epochs=40, learning_rate=6e-3)
    (networks,) = case.networks(("lstm",), 1, weights=2000, options=options, progress=False).values()
    errors = burgers_state_errors(case, [case.galerkin, *networks])
    for test in case.test_names:
        assert errors[test]["projection"] < errors[test]["lstm"] < errors[test]["Galerkin projection"], test


def test_rows_of_the_table_are_means_over_seeds(case):
    models = [Persistence(4), Persistence(4)]
    errors = case.errors(models)
    errors[1] = [dataclasses.replace(error, over_time=3.0 * error.over_time) for error in errors[1]]
    (row,) = summarise(errors)
    assert row["seeds"] == 2
    assert row["error"][0] == pytest.approx(2.0 * errors[0][0].mean)
    assert row["error_scatter"][0] == pytest.approx(errors[0][0].mean)
    with pytest.raises(ParameterError, match="name='pipe'"):
        flow_case("pipe")
