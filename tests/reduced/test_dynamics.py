"""Latent dynamics and their rivals: known series, known exponents, restarts, files, and input that is refused."""

import dataclasses

import numpy as np
import pytest

from femnn.exceptions import DatasetError, MissingExtraError, ParameterError, WeightFileError
from femnn.networks import TrainingOptions
from femnn.reduced import POD, QuadraticGalerkin
from femnn.reduced.dynamics import (
    KINDS,
    Autoregression,
    DynamicModes,
    FourierSeries,
    GalerkinForecaster,
    LatentDynamics,
    Mean,
    Persistence,
    SparseDynamics,
    compare_forecasters,
    forecast_errors,
    hurst_exponent,
    require_equal_steps,
)
from femnn.reduced.dynamics.series import Windows, as_parameters

QUICK = TrainingOptions(learning_rate=1e-2, batch_size=32, epochs=2, threads=1)
SMALL = {"window": 8, "weights": 400, "options": QUICK, "progress": False}


def waves(rows=240, step=0.15):
    t = step * np.arange(rows)
    return np.stack([np.sin(t), np.cos(t), 0.3 * np.sin(2.0 * t + 0.4)], axis=1)


def fractional_noise(rows, hurst, seed):
    """Fractional Gaussian noise, exact (R. B. Davies, D. S. Harte, Biometrika 74 (1987) 95)."""
    lags = np.arange(rows + 1.0)
    covariance = 0.5 * ((lags + 1) ** (2 * hurst) - 2 * lags ** (2 * hurst) + np.abs(lags - 1) ** (2 * hurst))
    values = np.fft.fft(np.concatenate([covariance, covariance[-2:0:-1]])).real
    draws = np.random.default_rng(seed).standard_normal((2, len(values)))
    return np.fft.fft(np.sqrt(values / len(values)) * (draws[0] + 1j * draws[1])).real[:rows]


# --- windows


def test_windows_of_training_and_validation_share_no_row():
    series = [np.arange(100.0)[:, None], 1000.0 + np.arange(60.0)[:, None]]
    for hold_out in ("last", "scattered"):
        windows = Windows.of(series, (2, 2), as_parameters([1.0, 2.0], 2), hold_out)
        rows = np.concatenate([windows.inputs, windows.outputs], axis=1)[..., 0]
        assert (np.diff(rows, axis=1) == 1.0).all()
        held, free = set(rows[windows.held_out].ravel()), set(rows[~windows.held_out].ravel())
        assert held
        assert not held & free
        assert 0.1 < len(held) / 160 < 0.25
        assert ((rows[:, 0] >= 1000.0) == (windows.parameters[:, 0] == 2.0)).all()


# --- networks


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("separate", [False, True])
def test_networks_have_the_weights_that_they_are_given_and_see_what_they_should(kind, separate):
    model = LatentDynamics.fit(waves(120), kind, separate=separate, **{**SMALL, "weights": 1500})
    assert 1100 < model.n_weights <= 1500
    history = waves()[:6]
    found = model.forecast(history, 9)
    # older rows do not count, and side by side is one by one
    assert np.array_equal(model.forecast(waves()[2:6], 9), found)
    both = model.forecast(np.stack([history, 2.0 * history]), 9)
    assert np.allclose(both[0], found, atol=1e-12)
    # only networks for each coefficient leave the others alone
    history[:, 2] += 0.5
    changed = np.abs(model.forecast(history, 4) - found[:4]).max(axis=0)
    assert changed[2] > 1e-4
    assert (changed[:2].max() == 0.0) == separate


@pytest.mark.parametrize("kind", ["lstm", "bilstm", "gru"])
def test_networks_of_each_coefficient_are_the_same_together_and_one_by_one(kind):
    torch = pytest.importorskip("torch")
    from femnn.reduced.dynamics.torch_networks import build

    sizes = {"n": 3, "n_parameters": 2, "inputs": 6, "outputs": 4, "width": 5}
    network = build({"kind": kind, "separate": True, **sizes}, seed=3).double()
    x = torch.randn(7, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    one_by_one = torch.cat([network.parts[i](x[..., [i, 3, 4]]) for i in range(3)], dim=2)
    assert torch.allclose(network(x), one_by_one, atol=1e-13)
    gradients = [torch.autograd.grad((y**2).sum(), list(network.parameters())) for y in (network(x), one_by_one)]
    for a, b in zip(*gradients, strict=True):
        assert torch.allclose(a, b, atol=1e-11)


def test_a_trained_network_is_far_better_than_persistence_and_uses_its_parameters():
    """A network learns how fast waves turn from a parameter alone: one row does not tell."""
    speeds = np.array([0.1, 0.2, 0.3, 0.4])
    t = np.arange(100)
    series = [np.stack([np.sin(speed * t), np.cos(speed * t)], axis=1) for speed in speeds]
    options = dataclasses.replace(QUICK, epochs=40)
    settings = {"window": (1, 1), "weights": 800, "options": options, "progress": False, "hold_out": "scattered"}
    model = LatentDynamics.fit(series, "gru", parameters=speeds, **settings)
    unseen = np.stack([np.sin(0.25 * t), np.cos(0.25 * t)], axis=1)
    step = np.abs(model.one_step(unseen, [0.25]) - unseen[1:]).max()
    assert step < 0.2 * np.abs(np.diff(unseen, axis=0)).max()
    with pytest.raises(ParameterError, match="pass parameters="):
        model.forecast(unseen, 3)


def test_the_same_seed_gives_the_same_network_and_a_restart_too(tmp_path):
    first = LatentDynamics.fit(waves(), **SMALL)
    again = LatentDynamics.fit(waves(), **{**SMALL, "checkpoint": tmp_path / "run"})
    other = LatentDynamics.fit(waves(), **{**SMALL, "options": dataclasses.replace(QUICK, seed=1)})
    taken_up = LatentDynamics.fit(waves(), **{**SMALL, "checkpoint": tmp_path / "run"})
    for name, values in first.tensors.items():
        assert np.array_equal(values, again.tensors[name])
        assert np.array_equal(values, taken_up.tensors[name])
    assert any(not np.array_equal(values, other.tensors[name]) for name, values in first.tensors.items())
    assert taken_up.history.epochs == first.history.epochs == 2
    with pytest.raises(DatasetError, match="belongs to another training: its data"):
        LatentDynamics.fit(waves(step=0.2), **{**SMALL, "checkpoint": tmp_path / "run"})


def test_training_stops_early():
    noise = np.random.default_rng(0).standard_normal((120, 2))
    options = dataclasses.replace(QUICK, epochs=60, patience=3, learning_rate=3e-2)
    model = LatentDynamics.fit(noise, **{**SMALL, "options": options})
    assert model.history.stopped == "patience"
    assert model.history.epochs < 60


def test_files_keep_the_network(tmp_path):
    model = LatentDynamics.fit(waves(), "minimal-state", parameters=[3.0], dt=0.15, **SMALL)
    path = model.save(tmp_path / "waves", {"horizon": 2.5})
    read = LatentDynamics.load(path)
    assert np.array_equal(read.forecast(waves()[:4], 20, [3.0]), model.forecast(waves()[:4], 20, [3.0]))
    assert (read.dt, read.card["test"]) == (0.15, {"horizon": 2.5})
    assert read.card["training"]["epochs"] == 2
    POD.fit(waves().T, modes=2).save(tmp_path / "modes")
    with pytest.raises(WeightFileError, match="kind"):
        LatentDynamics.load(tmp_path / "modes")


def test_a_coefficient_that_is_constant_stays_constant():
    series = np.column_stack([waves()[:, :2], np.full(240, 7.0)])
    for model in (
        LatentDynamics.fit(series, **SMALL),
        LatentDynamics.fit(series, increments=False, **SMALL),
        Autoregression.fit(series, 8),
    ):
        assert np.allclose(model.forecast(series[:8], 30)[:, 2], 7.0, atol=1e-9), model.name


# --- rivals


def test_linear_models_are_exact_for_waves_and_galerkin_for_its_own_equation():
    series = waves(400)
    for model in (Autoregression.fit(series[:250], 12), FourierSeries.fit(series[:250], 3)):
        assert np.abs(model.forecast(series[250:260], 100) - series[260:360]).max() < 1e-5, model.name

    # two species of which one eats the other: w₀' = -w₀ w₁ and w₁' = w₀ w₁, logistic
    def bilinear(w, z):
        mixed = 0.5 * (w[..., 0] * z[..., 1] + w[..., 1] * z[..., 0])
        return np.stack([mixed, -mixed], axis=-1)

    pod = POD.fit(np.eye(2), modes=2)
    model = GalerkinForecaster(lambda _: QuadraticGalerkin(pod, bilinear, progress=False), np.zeros(2), 2, 0.01)
    times = 0.01 * np.arange(301)
    eaten = 1.0 / (1.0 + 9.0 * np.exp(-times))
    q = pod.project(np.stack([1.0 - eaten, eaten])).T
    assert np.abs(model.forecast(q[:1], 300) - q[1:]).max() < 1e-5


def test_linear_autoregression_depends_on_parameters_linearly():
    slopes = np.array([0.5, 1.0, 3.0])
    series = [np.cumsum(np.full((60, 1), slope), axis=0) for slope in slopes]
    model = Autoregression.fit(series, (1, 1), parameters=slopes)
    assert np.allclose(model.forecast([[10.0]], 5, [2.0])[:, 0], 10.0 + 2.0 * np.arange(1, 6), atol=1e-6)


def test_a_period_is_found_where_a_harmonic_is_the_strongest():
    t = np.arange(500)
    series = np.stack([np.cos(2 * np.pi * t / 47.3), 3.0 * np.sin(4 * np.pi * t / 47.3)], axis=1)
    model = FourierSeries.fit(series[:350])
    assert model.period == pytest.approx(47.3, rel=1e-4)
    assert model.misfit < 1e-6
    assert FourierSeries.fit(np.random.default_rng(0).standard_normal((300, 2))).misfit > 0.8


def test_dynamic_modes_turn_as_fast_as_the_waves():
    pytest.importorskip("pydmd")
    series = waves(300)
    model = DynamicModes.fit(series[:200], 8)
    angles = np.abs(np.angle(model.eigenvalues))
    assert np.abs(angles[:, None] - [0.15, 0.3]).min(axis=0).max() < 1e-6
    assert np.abs(model.forecast(series[200:210], 50) - series[210:260]).max() < 1e-5


def test_sparse_dynamics_find_the_logistic_equation():
    pytest.importorskip("pysindy")
    t = 0.1 * np.arange(120)
    starts = (0.02, 0.1, 0.3)
    series = [(1.0 / (1.0 + (1.0 / start - 1.0) * np.exp(-t)))[:, None] for start in starts]
    model = SparseDynamics.fit(series, 4, hold_out="scattered")
    truth = 1.0 / (1.0 + (1.0 / 0.05 - 1.0) * np.exp(-t))
    assert np.abs(model.forecast([[0.05]], 100)[:, 0] - truth[1:101]).max() < 1e-3
    # beyond what it knows it diverges, and says so
    assert np.isnan(model.forecast([[-5.0]], 100)).any()


def test_extras_that_are_missing_are_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pydmd", None)
    monkeypatch.setitem(sys.modules, "pysindy", None)
    with pytest.raises(MissingExtraError, match=r"PyDMD is not installed .* pip install 'femnn\[flows\]'"):
        DynamicModes.fit(waves())
    with pytest.raises(MissingExtraError, match=r"PySINDy is not installed .* pip install 'femnn\[flows\]'"):
        SparseDynamics.fit(waves())


# --- errors


def test_the_mean_is_as_good_as_the_mean_and_diverging_is_infinite():
    series, mean = waves(500, 0.05), np.zeros(3)
    assert forecast_errors(Mean(mean), series, 100, mean).mean == pytest.approx(1.0)

    class Diverging(Persistence):
        def _advance(self, histories, parameters, steps):
            result = super()._advance(histories, parameters, steps)
            result[:, 7:] = np.nan
            return result

    errors = forecast_errors(Diverging(3), series, 20, mean, dt=0.05)
    assert errors.over_time[7] == np.inf
    assert errors.horizon == pytest.approx(7 * 0.05)


def test_persistence_of_a_wave_is_as_bad_as_the_mean_after_a_sixth_of_a_period():
    """|2 sin(ω τ / 2)| = 1 there."""
    errors = forecast_errors(Persistence(2), waves(1000)[:, :2], 100, np.zeros(2), dt=0.15)
    assert errors.horizon == pytest.approx(2.0 * np.pi / 6.0, abs=0.15)
    assert errors.one_step == pytest.approx(2.0 * np.sin(0.075), rel=1e-6)


def test_models_are_compared_from_the_same_starts():
    series = waves(400)
    models = [Persistence(3), Autoregression.fit(series[:200], 20)]
    best, worst = compare_forecasters(models, series[200:], 50, np.zeros(3))
    assert best.name == "linear autoregression"
    assert best.reaches_end
    assert worst.starts == best.starts
    with pytest.raises(ParameterError, match=r"reach beyond the data: .* at most 30 steps"):
        compare_forecasters(models, series[360:], 50, np.zeros(3))


@pytest.mark.parametrize("method", ["dfa", "rs"])
@pytest.mark.parametrize("hurst", [0.3, 0.5, 0.8])
def test_hurst_exponents_of_fractional_noise(method, hurst):
    found = [hurst_exponent(fractional_noise(8192, hurst, seed), method) for seed in range(4)]
    # ranges of short boxes draw the exponent towards one half
    assert np.mean(found) == pytest.approx(hurst, abs=0.04 if method == "dfa" else 0.1)


# --- bad input


def test_series_that_cannot_be_learned_from_are_refused():
    series = waves()
    broken = series.copy()
    broken[17, 1] = np.nan
    for fit in (LatentDynamics.fit, Autoregression.fit, FourierSeries.fit):
        with pytest.raises(DatasetError, match="coefficient 1 is nan at time 17; cut it there"):
            fit(broken)
        with pytest.raises(DatasetError, match=r"has \d+ times, at least \d+ are needed"):
            fit(series[:8])
        with pytest.raises(DatasetError, match="constant"):
            fit(np.ones((300, 2)))
        with pytest.raises(DatasetError, match="series 1 has 2 coefficients, 3 are needed"):
            fit([series, series[:, :2]])
    with pytest.raises(ParameterError, match="kind='lstmm'"):
        LatentDynamics.fit(series, "lstmm")
    with pytest.raises(ParameterError, match="window=1"):
        Autoregression.fit(series, 1)
    with pytest.raises(ParameterError, match="a row for each of the 2 series"):
        Autoregression.fit([series, series], 8, parameters=[1.0, 2.0, 3.0])
    with pytest.raises(ParameterError, match="history has shape"):
        Persistence(3).forecast(series[:, :2], 4)
    with pytest.raises(DatasetError, match="at least 100"):
        hurst_exponent(series[:50])


def test_steps_must_be_equal():
    assert require_equal_steps(0.3 + 0.1 * np.arange(50)) == pytest.approx(0.1)
    with pytest.raises(DatasetError, match="from snapshot 4 to 5 time goes from 4 to 7, elsewhere by 1 "):
        require_equal_steps([0.0, 1.0, 2.0, 3.0, 4.0, 7.0, 8.0])
    with pytest.raises(DatasetError, match="not equal"):
        require_equal_steps([0.0, 0.0, 0.0])
