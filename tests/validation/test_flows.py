"""Flows whose coefficients are forecast: the closed solution of Burgers' equation, and the table of models."""

import dataclasses

import numpy as np
import pytest
import skfem

from femnn.exceptions import DatasetError, ParameterError
from femnn.io import data_folder
from femnn.reduced.dynamics import Autoregression, FourierSeries, Persistence
from femnn.reduced.dynamics.latent import OPTIONS
from femnn.validation import (
    BurgersWave,
    CylinderWake,
    FlowCase,
    burgers_case,
    burgers_state_errors,
    coefficient_errors,
    flow_case,
    phase_errors,
    reduce_turbulence,
    simulate_turbulence,
    simulate_wake,
    stationarity,
    summarise,
    turbulence_case,
    wake_case,
    wake_figures,
)
from femnn.validation.cylinder_wake import channel


@pytest.fixture(scope="module")
def case():
    return burgers_case(256, 250)


def test_the_closed_solution_solves_burgers_equation():
    burgers = BurgersWave(400, steps=400)
    u, reynolds = burgers.solve(200.0), 200.0
    h, dt = 1.0 / 400, 1.0 / 400
    rate = (u[2:, 1:-1] - u[:-2, 1:-1]) / (2 * dt)
    slope, bend = np.gradient(u, h, axis=1)[1:-1, 1:-1], np.diff(u, 2, axis=1)[1:-1] / h**2
    residual = rate + u[1:-1, 1:-1] * slope - bend / reynolds
    assert np.abs(residual).max() < 0.02 * np.abs(rate).max()
    # large Reynolds numbers do not overflow
    assert np.isfinite(BurgersWave(64, steps=10).solve(4000.0)).all()


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


# --- the wake


def test_the_channel_is_filled_once_and_round_at_the_cylinder():
    mesh = channel(1)
    area = skfem.Basis(mesh, skfem.ElementQuad2(), intorder=6).dx.sum()
    assert area == pytest.approx(2.2 * 0.41 - np.pi * 0.05**2, abs=2e-6)
    edges = {name: len(facets) for name, facets in mesh.boundaries.items()}
    assert edges["inflow"] == edges["outflow"]
    assert sum(edges.values()) == len(mesh.boundary_facets())


def test_a_coarse_wake_converges_in_time_and_keeps_mass():
    """Halved steps change the drag less and less, and velocities have no divergence against any pressure."""
    finals = []
    for dt in (1 / 400, 1 / 800, 1 / 1600):
        wake = CylinderWake(1, dt)
        *_, (_, u, drag, _) = wake.run(0.1, every=1)
        finals.append(drag)
        divergence = sum(g @ part for g, part in zip(wake._gradients, u.reshape(2, -1), strict=True))
        assert np.abs(wake._values_p.T @ (wake._weights * divergence)).max() < 1e-12
    assert abs(finals[1] - finals[2]) < 0.4 * abs(finals[0] - finals[1])
    assert 2.0 < finals[2] < 3.5


def test_figures_of_a_wake_are_those_of_its_curves():
    t = np.arange(0.0, 3.0, 0.007)
    drag, lift = 3.2 + 0.03 * np.cos(4 * np.pi * t / 0.33), np.sin(2 * np.pi * t / 0.33)
    figures = wake_figures(t, drag, lift)
    assert figures.strouhal == pytest.approx(0.1 / 0.33, rel=1e-4)
    assert figures.drag == pytest.approx(3.23, abs=1e-4)
    assert figures.lift == pytest.approx(1.0, abs=1e-4)
    assert figures.within() == {"strouhal": True, "drag": True, "lift": True}
    with pytest.raises(DatasetError, match="five are needed"):
        wake_figures(t[:100], drag[:100], lift[:100])


@pytest.mark.slow
def test_the_wake_keeps_the_ranges_of_the_benchmark(tmp_path):
    figures = simulate_wake(tmp_path / "wake.npz", periods=6, progress=False)
    assert all(figures.within().values()), figures


def test_phases_of_a_wake_are_compared_at_the_end(tmp_path):
    """A file as the simulation writes it, of a wake that is known, and forecasts that are late by a known share."""
    period, step = 0.334, 1 / 160
    t = step * np.arange(round(30 * period / step))

    def coefficients(t):
        angle = 2 * np.pi * t / period
        return np.stack([np.cos(angle), np.sin(angle), 0.2 * np.cos(2 * angle), 0.2 * np.sin(2 * angle)], axis=1)

    lift = np.sin(2 * np.pi * t / period)
    np.savez(tmp_path / "wake.npz", times=t, coefficients=coefficients(t), drag=3.2 + 0.0 * t, lift=lift)
    case = flow_case("wake", data=tmp_path / "wake.npz")
    assert case.steps * case.dt == pytest.approx(20.0, abs=0.02)
    fourier = FourierSeries.fit(case.training, harmonics=2, lookback=case.window[0])
    assert fourier.period * case.dt == pytest.approx(1.0, abs=1e-5)
    assert phase_errors(case, [fourier])["Fourier series"] < 1e-4
    fourier.period *= 1.0 + 0.05 / 20.0
    assert phase_errors(case, [fourier])["Fourier series"] == pytest.approx(0.05, rel=0.05)
    short = slice(-1100, None)
    arrays = {"times": t, "coefficients": coefficients(t), "drag": 0.0 * t, "lift": lift}
    np.savez(tmp_path / "short.npz", **{name: array[short] for name, array in arrays.items()})
    with pytest.raises(DatasetError, match="simulate more --periods"):
        flow_case("wake", data=tmp_path / "short.npz")


def test_the_shipped_wake_is_that_of_the_benchmark_and_periodic():
    with np.load(data_folder("flows") / "cylinder-wake.npz") as arrays:
        assert all(wake_figures(arrays["times"], arrays["drag"], arrays["lift"]).within().values())
    case = wake_case()
    fourier = FourierSeries.fit(case.training, harmonics=6, lookback=case.window[0])
    assert fourier.period * case.dt == pytest.approx(1.0, abs=2e-3)
    assert phase_errors(case, [fourier])["Fourier series"] < 0.02


def test_turbulence_makes_five_series_and_a_test(tmp_path):
    settings = {"n": 8, "viscosity": 0.1, "develop": 0.2, "every": 0.02, "progress": False}
    simulate_turbulence(tmp_path / "box", snapshots=150, **settings)
    reduce_turbulence(tmp_path / "box", tmp_path / "box.npz", modes=3)
    case = turbulence_case(tmp_path / "box.npz", stride=1)
    thinned = turbulence_case(tmp_path / "box.npz", stride=3)
    assert len(thinned.training) == 15
    assert np.array_equal(thinned.training[4], case.training[1][1::3])
    assert thinned.dt == pytest.approx(3.0 * case.dt)
    assert [part.shape for part in case.training] == [(150, 3)] * 5
    rows = summarise(case.errors([Persistence(3), Autoregression.fit(case.training, case.window)]))
    by_name = {row["model"]: row["error"][0] for row in rows}
    assert by_name["linear autoregression"] < by_name["persistence"]
    with pytest.raises(DatasetError, match="no whole file of coefficients of turbulence"):
        turbulence_case(tmp_path / "box" / "state.npz")


@pytest.mark.parametrize("name", ["isotropic", "mhd"])
def test_the_shipped_turbulence_is_stationary_and_resolved(name):
    file = data_folder("flows") / f"{name}.npz"
    figures = stationarity(file)
    assert figures.resolution > 1.0
    assert figures.turnovers > 10.0
    assert figures.balance == pytest.approx(1.0, abs=0.05)
    assert abs(figures.growth) < 0.05
    for quantity in ("energy", "dissipation", "taylor_reynolds"):
        first, second = figures.halves[quantity]
        assert abs(first - second) < max(3.0 * figures.scatter[quantity], 0.1 * first), quantity
    # the largest waves hold the energy, the smallest next to none
    spectra = figures.spectra[:, 0]
    assert (spectra[:, 1:3].sum(axis=1) > 0.5 * spectra.sum(axis=1)).all()
    assert (spectra[:, 20] < 1e-3 * spectra[:, 2]).all()
    case = flow_case(name)
    assert len(case.training) == 25
    assert sum(len(part) for part in case.training) >= 5 * 1000


def test_errors_of_coefficients_are_their_own():
    """Persistence of two waves, of which one is four times as fast, after six steps."""
    t = 0.05 * np.arange(1000)
    series = np.stack([np.sin(t), np.sin(4.0 * t)], axis=1)
    case = FlowCase("waves", [series], [series], 0.05, "s", (4, 6), 20)
    errors = coefficient_errors(case, [Persistence(2)])["persistence"]
    expected = [
        np.sqrt(np.mean([(2.0 * np.sin(0.5 * speed * 0.05 * k)) ** 2 for k in range(1, 7)])) for speed in (1.0, 4.0)
    ]
    assert errors == pytest.approx(expected, rel=0.15)
