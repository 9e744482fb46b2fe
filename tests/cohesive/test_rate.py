"""Laws that are told the time: viscosity around another law, and friction that depends on rate and state."""

import numpy as np
import pytest
from support.cohesive_properties import tangent_errors

from femnn.cohesive import BilinearCohesive, RateStateFriction, ViscousCohesive, respond, separation_paths
from femnn.exceptions import LawError, ParameterError, StateError

PLAIN = BilinearCohesive(80e6, 100e6, 969.0, 1719.0)
A, B, DISTANCE, NORMAL, REFERENCE = 0.010, 0.015, 1e-4, 1e12, 1e-6
PRESSED = -1e-5  # 10 MPa


def friction(shear_stiffness=1e13, a=A, b=B):
    return RateStateFriction(0.6, a, b, DISTANCE, NORMAL, shear_stiffness, reference_rate=REFERENCE)


def driven(law, positions, times, state=None):
    """Friction coefficients of a point whose far side is at ``positions`` (k,) along the first shear at ``times``."""
    state, found = state or law.initial_state(1), []
    for position, time in zip(positions, times, strict=True):
        law.set_time(time)
        traction, _, state = law.update([[PRESSED, position, 0.0]], state)
        found.append(-traction[0, 1] / traction[0, 0])
    return np.array(found), state


def test_viscosity_adds_its_traction_and_counts_its_work():
    law = ViscousCohesive(PLAIN, 2e9, 5e9)
    path = separation_paths(3, 20, 5e-5, "cyclic", 1)
    state, plain, work = law.initial_state(3), PLAIN.initial_state(3), np.zeros(3)
    for step, time in enumerate(np.cumsum(np.full(20, 0.25))):
        law.set_time(time)
        answer, alone = law.update(path[:, step], state), PLAIN.update(path[:, step], plain)
        change = path[:, step] - (path[:, step - 1] if step else 0.0)
        viscous = np.array([2e9, 5e9, 5e9]) * change / 0.25
        np.testing.assert_allclose(answer.traction, alone.traction + viscous, rtol=1e-12, atol=1e-6)
        state, plain = answer.state, alone.state
        work += (viscous * change).sum(axis=1)
    np.testing.assert_allclose(law.viscous_work(state), work, rtol=1e-12)
    np.testing.assert_array_equal(law.damage(state), PLAIN.damage(plain))


@pytest.mark.parametrize("law", [ViscousCohesive(PLAIN, 1e9), friction(), friction(a=0.02)], ids=["viscous", "b", "a"])
def test_the_tangent_is_that_of_the_step(law):
    draws, n = np.random.default_rng(3), 40
    state = law.initial_state(n)
    separation = np.column_stack([-1e-5 * draws.uniform(0.2, 1.0, n), 1e-5 * draws.normal(size=(n, 2))])
    for step in range(1, 5):
        law.set_time(1.0 * step)
        separation = separation + 3e-6 * draws.normal(size=(n, 3)) * [0.1, 1.0, 1.0]
        errors = tangent_errors(law, separation, state, relative_step=1e-4)
        # where little slides the slope changes within the differences
        assert np.isnan(errors).mean() < 0.8
        assert np.nanmax(errors) < 1e-5
        state = law.update(separation, state).state


def test_a_state_that_is_looked_at_once_more_has_no_rate():
    law = ViscousCohesive(PLAIN, 1e12)
    law.set_time(1.0)
    state = law.update([[1e-6, 0.0, 0.0]], law.initial_state(1)).state
    again = law.update([[1e-6, 0.0, 0.0]], state)
    np.testing.assert_array_equal(again.traction, PLAIN.update([[1e-6, 0.0, 0.0]], PLAIN.initial_state(1)).traction)
    np.testing.assert_array_equal(again.state.values, state.values)


@pytest.mark.parametrize("law", [ViscousCohesive(PLAIN, 1e12), friction()], ids=["viscous", "friction"])
def test_time_must_not_run_backwards(law):
    law.set_time(2.0)
    state = law.update([[PRESSED, 1e-6, 0.0]], law.initial_state(1)).state
    law.set_time(1.0)
    with pytest.raises(LawError, match="backwards, from 2 to 1"):
        law.update([[PRESSED, 1e-6, 0.0]], state)


def test_steady_sliding_is_that_of_the_logarithm_of_the_rate():
    for rate in (1e-8, 1e-6, 1e-4):
        times = np.linspace(0.0, 20.0 * DISTANCE / rate, 120)[1:]
        found, state = driven(friction(), rate * times, times)
        assert found[-1] == pytest.approx(0.6 + (A - B) * np.log(rate / REFERENCE), abs=1e-6)
        assert friction().age_of(state)[0] == pytest.approx(DISTANCE / rate, rel=1e-6)


def test_a_jump_of_the_rate_has_its_direct_effect_and_then_evolves():
    law, slow = friction(shear_stiffness=1e16), REFERENCE
    times = np.linspace(0.0, 1500.0, 100)[1:]
    _, state = driven(law, slow * times, times)
    # steps far below the distance over which contacts are renewed
    steps = np.linspace(0.0, 0.1 * DISTANCE / (10.0 * slow), 100)[1:]
    found, _ = driven(law, slow * times[-1] + 10.0 * slow * steps, times[-1] + steps, state)
    assert found.max() - 0.6 == pytest.approx(A * np.log(10.0), rel=0.02)
    # the state is that of its equation
    slipped = 10.0 * slow * steps[-1] / DISTANCE
    expected = 0.6 + A * np.log(10.0) + B * np.log(0.1 + 0.9 * np.exp(-slipped))
    assert found[-1] == pytest.approx(expected, abs=2e-4)


def test_contacts_age_while_nothing_slides():
    law = friction()
    law.set_time(50.0)
    state = law.update([[PRESSED, 0.0, 0.0]], law.initial_state(1)).state
    assert law.age_of(state)[0] == pytest.approx(DISTANCE / REFERENCE + 50.0)


@pytest.mark.parametrize(("ratio", "grows"), [(1.5, False), (0.7, True)])
def test_a_slider_is_stable_beyond_the_critical_stiffness(ratio, grows):
    """A. Ruina's critical stiffness σ (b − a)/D of a spring that is pulled at a constant rate."""
    critical = -NORMAL * PRESSED * (B - A) / DISTANCE
    law, times = friction(shear_stiffness=ratio * critical), np.arange(2.0, 2500.0, 2.0)
    # one part in a hundred faster for a while
    pulled = REFERENCE * (times + 1e-2 * np.minimum(times, 12.0))
    stretched = 0.6 * -NORMAL * PRESSED / (ratio * critical)
    positions = np.concatenate([[0.0, 0.5 * stretched, stretched], stretched + pulled])
    found, _ = driven(law, positions, np.concatenate([[0.0, 1e-9, 2e-9], times]))
    wobble = np.abs(found - 0.6)
    late, early = wobble[-150:].max(), wobble[3:160].max()
    assert late > 3.0 * early if grows else late < 0.1 * early


def test_faces_that_are_apart_bear_nothing():
    law = friction()
    law.set_time(1.0)
    traction, tangent, state = law.update([[1e-6, 1e-6, 0.0]], law.initial_state(1))
    assert not traction.any()
    assert not tangent.any()
    assert law.slip_of(state)[0].tolist() == [1e-6, 0.0]


def test_bad_input_is_refused():
    with pytest.raises(ParameterError, match="viscosity=-1"):
        ViscousCohesive(PLAIN, -1.0)
    with pytest.raises(ParameterError, match="law is 'bilinear'"):
        ViscousCohesive("bilinear", 1.0)
    with pytest.raises(ParameterError, match="direct=0"):
        RateStateFriction(0.6, 0.0, 0.01, 1e-4, 1e12, 1e12)
    law = ViscousCohesive(PLAIN, 1.0)
    with pytest.raises(StateError, match="belongs to BilinearCohesive"):
        law.update([[0.0, 0.0, 0.0]], PLAIN.initial_state(1))


def test_a_path_without_times_is_no_path_for_a_law_with_a_clock():
    law = ViscousCohesive(BilinearCohesive(80e6, 100e6, 969.0, 1719.0), 1e10)
    with pytest.raises(ParameterError, match=r"depends on the rate, but a path tells no times; call law\.set_time"):
        respond(law, np.zeros((1, 3, 3)))
