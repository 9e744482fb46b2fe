"""The swinging beam: its law derives from its energy, and a reduced run keeps what a full one does."""

import dataclasses

import numpy as np
import pytest

from femnn.exceptions import ParameterError
from femnn.reduced import POD, ReducedProblem
from femnn.validation import DynamicBeam, dynamic_beam

BEAM = DynamicBeam((12, 2), dt=0.05, steps=60)


@pytest.fixture(scope="module")
def swings():
    return [BEAM.run(scale) for scale in (0.9, 1.0, 1.1)]


def energy(gradient):
    f = gradient.reshape(3, 3)[:2, :2] + np.eye(2)
    jacobian = np.linalg.det(f)
    return 0.5 * 0.3 * ((f**2).sum() / jacobian - 2.0) + 0.5 * 4.0 * (jacobian - 1.0) ** 2


def test_the_law_derives_from_its_energy():
    def answer(gradient):
        stress, tangent = np.empty(9), np.zeros((9, 9))
        dynamic_beam.plane_neo_hooke(gradient, np.empty(0), np.array([0.3, 4.0]), stress, tangent, np.empty(0))
        return stress, tangent

    gradient = 0.3 * np.random.default_rng(1).standard_normal(9)
    stress, tangent = answer(gradient)
    for p, step in enumerate(1e-6 * np.eye(9)):
        slope = (energy(gradient + step) - energy(gradient - step)) / 2e-6
        assert stress[p] == pytest.approx(slope, abs=1e-8)
        change = (answer(gradient + step)[0] - answer(gradient - step)[0]) / 2e-6
        np.testing.assert_allclose(tangent[:, p], change, atol=1e-7)


def test_energy_stays_and_what_viscosity_takes_is_counted(monkeypatch):
    monkeypatch.setattr(dynamic_beam, "RTOL", 1e-11)
    drifts = []
    for steps in (20, 40):
        beam = DynamicBeam((8, 1), dt=1.0 / steps, steps=steps, average_points=1)
        swing = beam.run(1.0)
        drifts.append(beam.drift(swing.u, swing.v))
    # the midpoint rule keeps the energy of a nonlinear structure to second order
    assert drifts[0] < 3e-5
    assert 3.0 < drifts[0] / drifts[1] < 5.0
    # mean forces keep it, with and without viscosity
    for viscosity in (0.0, 1e-2):
        kept = dataclasses.replace(beam, viscosity=viscosity, average_points=3)
        swing = kept.run(1.0)
        assert kept.drift(swing.u, swing.v) < 1e-11
    without = dataclasses.replace(beam, viscosity=0.0)
    assert without.drift(swing.u, swing.v) > 100.0 * drifts[1]
    with pytest.raises(ParameterError):
        beam.drift(swing.u, swing.v[:, 1:])


def test_a_reduced_run_keeps_positions_velocities_and_its_energy(swings):
    low, truth, high = swings
    model = BEAM.reduce([low, high], 12, 1e-3, every=4)
    assert model.cubature.n_points < 100
    swing = BEAM.run(1.0, model)
    found = model.lift(swing)
    assert np.linalg.norm(found.u - truth.u) < 2e-3 * np.linalg.norm(truth.u)
    assert np.linalg.norm(found.v - truth.v) < 2e-2 * np.linalg.norm(truth.v)
    # both keep the energies that they integrate, up to the iterations and the quadrature in time
    assert BEAM.drift(found.u, found.v, model.cubature) < 1e-8
    assert BEAM.drift(truth.u, truth.v) < 1e-8


def test_a_plane_solid_with_all_its_points_is_projected_exactly(swings):
    basis = POD.fit(swings[1].u.T, modes=5, fixed=BEAM.held)
    reduced = ReducedProblem(BEAM.solid, basis)
    q = basis.project(swings[1].u[-1])
    force, tangent = BEAM.solid.residual_and_tangent(basis.lift(q))
    found, matrix = reduced.residual_and_tangent(q)
    np.testing.assert_allclose(found, basis.modes.T @ force, atol=1e-12)
    np.testing.assert_allclose(matrix.toarray(), basis.modes.T @ (tangent @ basis.modes), atol=1e-10)
