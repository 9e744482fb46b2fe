"""Wells that hold a pressure: radial flow, schedules, mass balances, and what is refused."""

from itertools import pairwise

import numpy as np
import pytest
import skfem
from support.porous_problems import dual, sides, single

from femnn.exceptions import MeshError, ParameterError
from femnn.reservoir import Conditions, PorousProblem, Schedule, Well, march
from femnn.reservoir.wells import equivalent_radius

DAY, VISCOSITY, PERMEABILITY, RADIUS = 86400.0, 1e-3, 1e-13, 0.1
FIXED = {"left": (0.0, None), "right": (0.0, None), "bottom": (None, 0.0)}


def square(cells=16, width=80.0, stretch=1.0):
    x = np.linspace(-0.5, 0.5, cells + 1) * width
    return sides(skfem.MeshQuad.init_tensor(x, stretch * x))


def radial(place, rate, held):
    """Pressure about a line source that holds a pressure at its radius."""

    def pressure(x, t):
        away = np.linalg.norm(np.asarray(x) - np.reshape(place, (2, *[1] * (np.ndim(x) - 1))), axis=0)
        return held - rate * VISCOSITY / (2.0 * np.pi * PERMEABILITY) * np.log(away / RADIUS)

    return pressure


def problem_of(well, mesh=None, pressure=0.0, medium=None):
    borders = dict.fromkeys(("left", "right", "bottom", "top"), pressure)
    medium = single(permeability=PERMEABILITY) if medium is None else medium
    conditions = Conditions(displacement=FIXED, pressure=borders, wells=[well])
    return PorousProblem(square() if mesh is None else mesh, medium, conditions)


@pytest.mark.parametrize("place", [(2.5, 2.5), (0.0, 0.0), (3.7, -6.1)])
@pytest.mark.parametrize("stretch", [1.0, 0.5])
def test_steady_radial_flow_is_that_of_thiem(place, stretch):
    rate, held = 2e-4, 6e6
    problem = problem_of(Well(place, pressure=held), square(stretch=stretch), radial(place, rate, held))
    state = problem.step(problem.initial_state(), 1e12)
    assert problem.well_rates(state)[0, 0] == pytest.approx(rate, rel=3e-3)
    # fed with that rate instead, the pressures are the same
    fed = problem_of(Well(place, rate), square(stretch=stretch), radial(place, rate, held))
    np.testing.assert_allclose(fed.step(fed.initial_state(), 1e12).p, state.p, rtol=3e-3, atol=1e-3 * held)


def test_the_equivalent_radius_is_that_of_bilinear_squares():
    mesh = square()
    # computed on a large patch, independently: 0.1146 of the size at a vertex, 0.6584 in the middle of a cell
    assert equivalent_radius(mesh, np.array([0.0, 0.0])) / 5.0 == pytest.approx(0.1146, rel=0.01)
    assert equivalent_radius(mesh, np.array([2.5, 2.5])) / 5.0 == pytest.approx(0.6584, rel=0.01)


@pytest.mark.parametrize("theta", [1.0, 0.5])
def test_a_well_with_a_schedule_is_shut_outside_of_it_and_loses_no_water(theta):
    plan = Schedule([(0.0, 2 * DAY, 5e6), (3 * DAY, 4 * DAY, 3e6)])
    well = Well((2.5, 2.5), pressure=(plan, None))
    conditions = Conditions(
        displacement=FIXED, pressure={"right": 0.0}, wells=[well, Well((-20.0, 10.0), (1e-6, None))]
    )
    problem = PorousProblem(square(8), dual(), conditions, theta=theta)
    states = [problem.initial_state()]
    times = plan.within(0.5 * DAY * np.arange(1, 11))
    march(problem.step, states[0], times, callback=lambda own: states.append(own), progress=False)
    for old, new in pairwise(states):
        assert problem.balance(old, new).error.max() < 1e-10
    rates = np.array([problem.well_rates(state)[0] for state in states[1:]])
    days = np.array([state.t for state in states[1:]]) / DAY
    is_open = (days <= 2.0) | ((days > 3.0) & (days <= 4.0))
    assert (rates[is_open, 0] > 0.0).all()
    assert not rates[~is_open].any()
    assert not rates[:, 1].any()
    np.testing.assert_array_equal(problem.well_rates(states[-1])[1], [1e-6, 0.0])


def test_the_tangent_knows_open_wells():
    plan = Schedule([(0.0, DAY, 5e6)])
    problem = problem_of(Well((2.5, 2.5), pressure=plan), square(4))
    state = problem.initial_state()
    way = np.random.default_rng(0).normal(size=len(state.x))
    for moment, dt in ((0.0, DAY), (DAY, DAY)):
        start = problem.initial_state(moment)
        difference = problem.residual(way, start, dt) - problem.residual(0.0 * way, start, dt)
        found = problem.tangent(dt, moment + dt) @ way
        np.testing.assert_allclose(found, difference, rtol=1e-9, atol=1e-9 * np.abs(difference).max())


def test_a_point_in_a_block_needs_an_index():
    block = skfem.MeshHex.init_tensor(*3 * [np.linspace(0.0, 40.0, 5)]).with_defaults()
    held = {"left": (0.0, 0.0, 0.0)}
    given = Well((20.0, 20.0, 20.0), pressure=5e6, well_index=1e-12)
    problem = PorousProblem(block, single(), Conditions(displacement=held, pressure={"right": 0.0}, wells=[given]))
    state = problem.step(problem.initial_state(), DAY)
    probe = problem.pressure_basis.probes(np.full((3, 1), 20.0)) @ state.p[0]
    assert problem.well_rates(state)[0, 0] == pytest.approx(1e-12 * (5e6 - probe[0]), rel=1e-9)
    with pytest.raises(ParameterError, match="has no length: give"):
        PorousProblem(block, single(), Conditions(displacement=held, wells=[given._replace(well_index=None)]))


@pytest.mark.parametrize(("well", "error", "message"), [
    (Well((0.0, 0.0)), ParameterError, "neither a rate nor a pressure"),
    (Well((0.0, 0.0), 1e-5, 1e6), ParameterError, "both a rate and a pressure"),
    (Well((900.0, 0.0), pressure=1e6), MeshError, r"the well at \[900.0, 0.0\] is outside the mesh, which spans"),
    (Well((900.0, 0.0), 1e-6), MeshError, r"the well at \[900.0, 0.0\] is outside the mesh, which spans"),
    (Well((0.0, 0.0), pressure=1e6, radius=9.0), ParameterError, "radius of the well .* is 9 m; it must be positive"),
    (Well((0.0, 0.0), pressure=1e6, well_index=-1.0), ParameterError, "well_index of the well .* not negative"),
])  # fmt: skip
def test_wells_that_cannot_be_are_refused(well, error, message):
    with pytest.raises(error, match=message):
        problem_of(well)
