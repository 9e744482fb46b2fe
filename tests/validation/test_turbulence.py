"""The pseudo-spectral solver: exact solutions, what products conserve, stationary turbulence, runs that go on."""

import numpy as np
import pytest

from femnn.exceptions import DatasetError
from femnn.validation.turbulence import (
    PeriodicFlow,
    read_planes,
    reduce_turbulence,
    simulate_turbulence,
    stationarity,
)


def grid(n):
    x = 2.0 * np.pi * np.arange(n) / n
    return np.meshgrid(x, x, x, indexing="ij")


def test_a_taylor_green_vortex_decays_as_it_should():
    x, y, _ = grid(16)
    vortex = np.stack([np.sin(x) * np.cos(y), -np.cos(x) * np.sin(y), 0.0 * x])
    flow = PeriodicFlow(16, 0.1)
    flow.set_fields(vortex)
    flow.advance(0.7, dt=0.05)
    assert np.abs(flow.fields() - np.exp(-2.0 * 0.1 * 0.7) * vortex).max() < 1e-12


def test_waves_of_alfven_travel_along_the_field():
    """u = -b turns about a strong field and travels with it, whatever its amplitude; ν = η damps it."""
    _, _, z = grid(16)
    flow = PeriodicFlow(16, 0.05, magnetic=True)

    def wave(t):
        decay = 0.3 * np.exp(-0.05 * 4.0 * t)
        # b moves against a field of -1, that is towards smaller z
        u = np.stack([decay * np.cos(2.0 * (z - t)), decay * np.sin(2.0 * (z - t)), 0.0 * z])
        return np.concatenate([u, -u + np.array([0.0, 0.0, 1.0])[:, None, None, None]])

    flow.set_fields(wave(0.0))
    flow.advance(0.8, dt=0.02)
    assert np.abs(flow.fields() - wave(0.8)).max() < 1e-6


@pytest.mark.parametrize("magnetic", [False, True])
def test_products_conserve_energy_and_helicity(magnetic):
    flow = PeriodicFlow(16, 0.01, magnetic=magnetic, seed=3)
    rate, state = flow.change(flow.state), flow.state
    assert flow.energy_of(rate[:3]) > 1e-3

    def product(a, b):
        return float((np.conj(a) * b * flow._weight).real.sum())

    assert abs(product(state, rate)) < 1e-10
    if magnetic:
        # of velocity and field together
        assert abs(product(state[:3], rate[3:]) + product(state[3:], rate[:3])) < 1e-10
    else:
        (x, y, z), (u, v, w) = flow._k, state
        vorticity = 1j * np.stack([y * w - z * v, z * u - x * w, x * v - y * u])
        assert abs(product(vorticity, rate)) < 1e-10
    for part in (rate[:3], rate[3:]):
        if len(part):
            assert np.abs(sum(k * component for k, component in zip(flow._k, part, strict=True))).max() < 1e-9


def test_steps_are_of_fourth_order():
    finals = []
    for dt in (0.1, 0.05, 0.025, 0.0125):
        flow = PeriodicFlow(16, 0.02, power=0.2, seed=1)
        flow.advance(0.4, dt=dt)
        finals.append(flow.state)
    coarse, fine = (np.abs(a - finals[-1]).max() for a in (finals[0], finals[1]))
    assert coarse / fine > 12.0


def test_a_flow_at_rest_has_figures():
    flow = PeriodicFlow(8, 1e30)
    flow.set_fields(np.zeros((3, 8, 8, 8)))
    figures = flow.statistics()
    assert np.isfinite(list(vars(figures).values())).all()
    assert (figures.energy, figures.dissipation) == (0.0, 0.0)


def test_energy_changes_by_power_less_dissipation():
    flow = PeriodicFlow(16, 0.05, power=0.3, seed=2)
    before = flow.statistics()
    flow.advance(1e-3, dt=1e-3)
    after = flow.statistics()
    lost = 0.5 * (before.dissipation + after.dissipation)
    assert (after.energy - before.energy) / 1e-3 == pytest.approx(0.3 - lost, rel=1e-3)
    assert flow.spectrum().sum() == pytest.approx(after.energy, rel=1e-6)


@pytest.mark.parametrize("magnetic", [False, True])
def test_single_precision_is_that_of_numbers_of_32_bits(magnetic):
    flows = [
        PeriodicFlow(16, 0.02, magnetic=magnetic, power=0.1, mean_field=0.2, precision=precision)
        for precision in ("double", "single")
    ]
    for flow in flows:
        flow.advance(0.2, dt=0.05)
    double, single = (flow.fields() for flow in flows)
    assert single.dtype == np.float32
    assert 1e-9 < np.abs(double - single).max() < 1e-5


def test_rounding_that_no_real_field_has_does_not_grow():
    """Opposite waves stay conjugate, though the force multiplies both: the power goes where the grid can see it."""
    flow = PeriodicFlow(8, 0.2, power=2.0, precision="single", seed=4)
    before = flow.fields()
    flow.state[0, 0, 1, 0] += 20j
    flow.state[0, 0, -1, 0] += 20j
    assert np.allclose(flow.fields(), before, atol=1e-5)
    flow.advance(20.0, dt=0.05)
    grid = 0.5 * float((flow.fields() ** 2).sum(axis=0).mean())
    assert flow.statistics().energy == pytest.approx(grid, rel=1e-4)


def test_a_mean_field_stays_and_feeds_fluctuations():
    flow = PeriodicFlow(16, 0.05, magnetic=True, power=0.1, mean_field=0.3)
    flow.state[3:][:, flow._k2 > 0.0] = 0.0
    flow.advance(0.5)
    assert np.allclose(flow.fields()[3:].mean(axis=(1, 2, 3)), [0.0, 0.0, 0.3], atol=1e-12)
    assert flow.statistics().magnetic_energy > 1e-3
    assert flow.spectrum(magnetic=True)[1:].sum() == pytest.approx(flow.statistics().magnetic_energy, rel=1e-3)


def test_figures_of_a_record_are_those_of_its_rows(tmp_path):
    """Energies that are known, a power that is kept, and modes that carry the planes."""
    settings = {"n": 8, "viscosity": 0.2, "develop": 2.0, "every": 0.05, "progress": False}
    statistics = simulate_turbulence(tmp_path, "mhd", snapshots=200, **settings)
    reduce_turbulence(tmp_path, tmp_path / "coefficients.npz", modes=4)
    figures = stationarity(tmp_path / "coefficients.npz")
    energy = np.array([one.energy for one in statistics])
    assert figures.halves["energy"] == pytest.approx((energy[:100].mean(), energy[100:].mean()))
    # what the force gives is lost or kept
    assert figures.balance + figures.growth == pytest.approx(1.0, abs=0.03)
    assert figures.spectra.shape == (2, 2, 5)
    assert figures.spectra[:, 0].sum(axis=1) == pytest.approx(figures.halves["energy"], rel=0.02)
    assert figures.resolution == pytest.approx(2 * (0.2**3 / np.mean([s.dissipation for s in statistics])) ** 0.25)
    planes, _ = read_planes(tmp_path)
    with np.load(tmp_path / "coefficients.npz") as arrays:
        modes, offset, coefficients = (arrays[name] for name in ("modes", "offset", "coefficients"))
    assert np.allclose(modes.T @ modes, np.eye(4), atol=1e-5)
    assert np.allclose((planes[:, 2] - offset) @ modes, coefficients[2], atol=1e-5)


def test_a_flow_that_develops_goes_on_where_it_was(tmp_path, monkeypatch):
    settings = {"n": 8, "viscosity": 0.2, "develop": 12.0, "every": 0.01, "snapshots": 50, "progress": False}
    whole = simulate_turbulence(tmp_path / "whole", **settings)
    advance = PeriodicFlow.advance

    def stopping(self, duration, dt=None):
        if self.time > 9.0:
            raise KeyboardInterrupt
        advance(self, duration, dt)

    with monkeypatch.context() as patched:
        patched.setattr(PeriodicFlow, "advance", stopping)
        with pytest.raises(KeyboardInterrupt):
            simulate_turbulence(tmp_path / "stopped", **settings)
    starts = []

    def watching(self, duration, dt=None):
        starts.append(self.time)
        advance(self, duration, dt)

    monkeypatch.setattr(PeriodicFlow, "advance", watching)
    assert simulate_turbulence(tmp_path / "stopped", **settings) == whole
    assert starts[0] == pytest.approx(10.0)


@pytest.mark.parametrize("kind", ["isotropic", "mhd"])
def test_runs_go_on_where_they_were(kind, tmp_path):
    settings = {"n": 8, "viscosity": 0.1, "develop": 0.5, "every": 0.01, "progress": False}
    simulate_turbulence(tmp_path / "once", kind, snapshots=100, **settings)
    simulate_turbulence(tmp_path / "twice", kind, snapshots=50, **settings)
    statistics = simulate_turbulence(tmp_path / "twice", kind, snapshots=100, **settings)
    once, twice = (read_planes(tmp_path / name)[0] for name in ("once", "twice"))
    assert once.shape == (100, 6, 3 * 64)
    assert np.array_equal(once, twice)
    assert np.allclose(np.diff([s.time for s in statistics]), 0.01)
    with pytest.raises(DatasetError, match="holds a run with the settings"):
        simulate_turbulence(tmp_path / "once", kind, snapshots=100, **{**settings, "viscosity": 0.2})
    with pytest.raises(DatasetError, match="has no planes"):
        read_planes(tmp_path / "none")
