"""Faults that slide dynamically: waves, blocks that accelerate, and steps from days to milliseconds."""

import numpy as np
import pytest
import skfem
from support.fault_problems import DAY, Springs, blocks, damaged, reservoir
from support.porous_problems import sides, single

import femnn
from femnn.exceptions import ConvergenceError, ParameterError
from femnn.reservoir import Conditions, march
from femnn.reservoir.fault import Fault, FaultedReservoir, load_state, save_state

DENSITY, HALF, SPEED = 2500.0, 100.0, 0.2
MEDIUM = single()
MODULUS = float(MEDIUM.mu[0])
WAVES = np.sqrt(MODULUS / DENSITY)
RUBBING = femnn.ContactCohesive(1e11, friction=0.5)


class Slippery(Springs):
    """Faces that bear no shear."""

    def _update(self, separation, values):
        only = np.diag([1.0, 0.0, 0.0])
        traction, tangent, values = super()._update(separation @ only, values)
        return traction, tangent @ only, values


def bar(law, columns=40):
    """A bar across the fault, sheared in one direction: its right end moves with a constant speed from the start on."""
    mesh = sides(skfem.MeshQuad.init_tensor(np.linspace(-HALF, HALF, columns + 1), np.array([0.0, 10.0])))
    fault = np.flatnonzero(np.abs(mesh.p[0, mesh.facets]).max(axis=0) < 1e-9)
    mesh = mesh.with_boundaries({**mesh.boundaries, "fault": fault})
    still = {"bottom": (0.0, None), "top": (0.0, None), "left": (0.0, 0.0)}
    given = Conditions(displacement={**still, "right": (0.0, lambda x, t: SPEED * t)})
    return FaultedReservoir(MEDIUM, given, Fault(femnn.Interface.split(mesh, "fault"), law), density=DENSITY)


def slipped(columns, steps):
    """Slip on a fault without friction, two and a half times as late as a wave needs to reach it."""
    problem = bar(Slippery(1e12, 1e6), columns)
    end = 2.5 * HALF / WAVES
    state = march(problem.step, problem.initial_state(), end * np.arange(1, steps + 1) / steps, progress=False)
    return problem.fields(state).slip.mean()


def test_a_shear_wave_reaches_a_fault_in_time_and_is_doubled_there():
    # d'Alembert: rest until H/c, then the free face moves with twice the speed of the end
    wanted = 2.0 * SPEED * 1.5 * HALF / WAVES
    errors = [abs(slipped(20, steps) / wanted - 1.0) for steps in (100, 200)]
    assert errors[1] < 0.02
    # of first order in the time step
    assert errors[1] < 0.75 * errors[0]


def test_a_wave_carries_its_kinetic_energy_and_has_not_arrived_before():
    problem, before = bar(Slippery(1e12, 1e6)), 0.8 * HALF / WAVES
    state = march(problem.step, problem.initial_state(), before * np.arange(1, 161) / 160, progress=False)
    # what has been reached, 0.8 of the half that is 10 m high, moves with the speed of the end
    wanted = 0.5 * DENSITY * SPEED**2 * 0.8 * HALF * 10.0
    assert problem.kinetic_energy(state) == pytest.approx(wanted, rel=0.06)
    assert problem.fields(state).slip.max() < 1e-3 * SPEED * before


def test_a_block_that_friction_no_longer_holds_accelerates_as_newton_says():
    # friction lacks 0.5 (p - 4 MPa) and p grows by 1 Pa/s: each square metre bears 2500 kg, slip 0.5 t³/(6 · 2500)
    problem = blocks(RUBBING, "both", "mean", density=DENSITY)
    state = march(problem.step, problem.initial_state(), [3e6, 3.9e6, 4e6 - 1.0, 4e6], progress=False)
    state = march(problem.step, state, 4e6 + 0.1 * np.arange(1, 201), progress=False)
    assert problem.fields(state).slip.mean() == pytest.approx(0.5 * 20.0**3 / 15000.0, rel=0.02)
    assert np.abs(problem.fields(state).rate[:, 1]).mean() == pytest.approx(0.5 * 20.0**2 / 5000.0, rel=0.02)
    # without mass there is no way on
    still = blocks(RUBBING, "both", "mean")
    with pytest.raises(ConvergenceError):
        march(still.step, still.initial_state(), [3e6, 4e6 + 20.0], progress=False)


def test_steps_go_from_days_to_milliseconds_by_their_error():
    problem = blocks(RUBBING, "both", "mean", density=DENSITY, slip_error=1e-4)
    spans, last = [], problem.initial_state()

    def keep(state):
        nonlocal last
        spans.append(state.t - last.t)
        last = state

    march(
        problem.step, last, [3e6, 4e6 + 20.0], callback=keep, progress=False, is_easy=problem.is_easy, min_step=1e-4
    )  # fmt: skip
    assert problem.fields(last).slip.mean() == pytest.approx(0.5 * 20.0**3 / 15000.0, rel=0.06)
    assert max(spans) > DAY
    assert min(spans) < 0.5


def test_inertia_does_not_count_in_days_and_states_keep_their_velocity(tmp_path):
    law, history = damaged()
    given = {"law": law, "history": history, "stress": np.diag([-9e6, -9e6])}
    plain = reservoir(**given)
    moving = FaultedReservoir(plain.porous.medium, plain.porous.conditions, plain.faults, density=DENSITY)
    wanted, state = (own.step(own.initial_state(), DAY) for own in (plain, moving))
    np.testing.assert_allclose(state.u, wanted.u, atol=1e-8 * np.abs(wanted.u).max())
    np.testing.assert_allclose(state.velocity, state.u / DAY, rtol=1e-12)
    save_state(tmp_path / "state.npz", state)
    kept = load_state(tmp_path / "state.npz", moving)
    np.testing.assert_array_equal(moving.step(kept, DAY).u, moving.step(state, DAY).u)
    with pytest.raises(ParameterError, match="the rock has no mass"):
        plain.kinetic_energy(wanted)
    with pytest.raises(ParameterError, match="density"):
        FaultedReservoir(plain.porous.medium, plain.porous.conditions, plain.faults, density=-1.0)


def test_the_tangent_of_a_moving_rock_is_the_derivative_of_its_residual():
    problem = blocks(RUBBING, "both", "mean", density=DENSITY)
    state = problem.step(problem.initial_state(), 1e6)
    n_u = problem.porous.n_u
    size = np.where(np.arange(len(state.x)) < n_u, 1e-6, 1e2)
    way = size * np.random.default_rng(0).normal(size=len(state.x))
    found = problem.tangent(state.x, state, 1e-2) @ way
    ends = [problem.residual(state.x + h * way, state, 1e-2) for h in (1e-3, -1e-3)]
    np.testing.assert_allclose(found[:n_u], (ends[0] - ends[1])[:n_u] / 2e-3, atol=1e-6 * np.abs(found[:n_u]).max())
