"""Poroelasticity against closed solutions, balances, limits and orders of convergence; and what it refuses."""

from itertools import pairwise

import numpy as np
import pytest
import skfem
from support.porous_problems import LENGTH, LOAD, Manufactured, column, depth, dual, line, single, slab, top

import femnn
from femnn.exceptions import (
    ConvergenceError,
    FoldedElementError,
    MeshError,
    ParameterError,
    SingularMatrixError,
    StateError,
)
from femnn.interfaces.bases import InterfaceBases
from femnn.reservoir import Conditions, ConsolidatingColumn, MandelSlab, PorousProblem, Well, march

TOLERANCE = 0.01


def run(problem, times, state=None, balances=None):
    """States at the times; the balances of all steps are checked, and kept in a list."""
    states = [problem.initial_state() if state is None else state]
    for t in times:
        states.append(problem.step(states[-1], t - states[-1].t))
        balance = problem.balance(states[-2], states[-1])
        # of all that moved; where a system is closed that is hardly more than rounding
        assert (balance.error <= 3e-10).all()
        if balances is not None:
            balances.append(balance)
    return states[1:]


# --- closed solutions


@pytest.mark.parametrize(
    "medium",
    [
        single(permeability=[[1e-12, 0.0], [0.0, 1e-14]]),
        single(fluid_bulk=np.inf, biot=1.0, grain_bulk=None),
        dual(),
        dual(exchange=1e-14),
        dual(exchange=0.0),
    ],
    ids=["Terzaghi", "incompressible", "dual", "fast exchange", "no exchange"],
)
def test_columns_follow_their_series_within_a_hundredth(medium):
    exact = ConsolidatingColumn(medium, LENGTH, LOAD)
    problem = column(medium, n=20, grading=2.0)
    times = exact.time * np.geomspace(1e-3, 1.0, 200)
    for state in run(problem, times)[100::10]:
        error = np.abs(state.p - exact.pressure(depth(problem), state.t))
        assert (error.max(axis=1) < TOLERANCE * exact.undrained_pressure).all()
        np.testing.assert_allclose(-top(problem, state), exact.settlement(state.t), rtol=TOLERANCE)


def test_the_series_solve_the_equations_of_the_column():
    medium = dual()
    exact = ConsolidatingColumn(medium, LENGTH, LOAD)
    given, t, z = medium.constants(1, 2), 0.1 * exact.time, np.linspace(1.0, 9.0, 9)
    h, dt = 1e-2, 1e-4 * exact.time
    rate = (exact.pressure(z, t + dt) - exact.pressure(z, t - dt)) / (2.0 * dt)
    curvature = (exact.pressure(z + h, t) - 2.0 * exact.pressure(z, t) + exact.pressure(z - h, t)) / h**2
    p = exact.pressure(z, t)
    strain_rate = given.biot[:, 0] @ rate / (given.lmbda[0] + 2.0 * given.mu[0])
    gained = given.biot * strain_rate + given.storage[..., 0] @ rate
    flow = given.mobility[:, 0, 0] * curvature - given.exchange[0] * np.array([p[0] - p[1], p[1] - p[0]])
    np.testing.assert_allclose(gained, flow, rtol=1e-4)
    # closed at the bottom, drained at the top, undrained at first
    np.testing.assert_allclose(exact.pressure(LENGTH + h, t), exact.pressure(LENGTH - h, t), rtol=1e-12)
    np.testing.assert_allclose(exact.pressure(0.0, t), 0.0)
    np.testing.assert_allclose(exact.pressure(LENGTH, 1e-4 * exact.time), exact.undrained_pressure, rtol=1e-3)
    assert exact.settlement(20.0 * exact.time) == pytest.approx(LOAD * LENGTH / exact.oedometric)


def test_terzaghis_column_has_the_textbook_degree_of_consolidation():
    exact = ConsolidatingColumn(single(fluid_bulk=np.inf, grain_bulk=None), LENGTH, LOAD)
    # U = 50 % at T = 0.197, 90 % at T = 0.848
    for factor, degree in ((0.197, 0.5), (0.848, 0.9)):
        whole = LOAD * LENGTH / exact.oedometric
        assert exact.settlement(factor * exact.time) == pytest.approx(degree * whole, rel=2e-3)


def test_mandels_slab_follows_its_series_within_a_hundredth_and_shows_the_mandel_cryer_effect():
    medium = single()
    exact = MandelSlab(medium, 10.0, 2.0, 10.0 * LOAD)
    problem = slab(medium)
    x, places = problem.pressure_basis.doflocs[0], problem.displacement_basis.doflocs
    axis = np.arange(problem.n_u) % 2
    middle, rises = [], []
    for state in run(problem, exact.time * np.geomspace(1e-3, 1.0, 200)):
        middle.append(state.p[0, x == 0.0].max())
        rises.append(exact.pressure(0.0, state.t))
        if state.t < 0.02 * exact.time:
            continue
        error = np.abs(state.p[0] - exact.pressure(x, state.t)).max()
        assert error < TOLERANCE * exact.undrained_pressure
        expected = np.choose(axis, exact.displacement(*places, state.t))
        assert np.abs(state.u - expected).max() < TOLERANCE * np.abs(expected).max()
        # the plate stays plane
        assert np.ptp(top(problem, state)) == 0.0
    assert max(rises) > 1.09 * exact.undrained_pressure
    assert max(middle) == pytest.approx(max(rises), rel=TOLERANCE)


def test_mandels_series_starts_undrained_and_ends_drained():
    for medium in (single(), single(fluid_bulk=np.inf, grain_bulk=None), single(poisson=0.45, fluid_bulk=1e8)):
        exact = MandelSlab(medium, 10.0, 2.0, 1e7, terms=4000)
        given = medium.constants(1, 2)
        assert exact.pressure(0.0, 1e-6 * exact.time) == pytest.approx(exact.undrained_pressure, rel=1e-3)
        assert exact.pressure(10.0, 0.1 * exact.time) == pytest.approx(0.0, abs=1e-6)
        assert exact.pressure(0.0, 20.0 * exact.time) == pytest.approx(0.0, abs=1.0)
        # drained plane strain under the stress -F/a along y
        across, along = exact.displacement(1.0, 1.0, 50.0 * exact.time)
        lmbda, mu = given.lmbda[0], given.mu[0]
        assert lmbda * (across + along) + 2.0 * mu * along == pytest.approx(-1e6)
        assert lmbda * (across + along) + 2.0 * mu * across == pytest.approx(0.0, abs=1e-3)
        assert MandelSlab(medium, 10.0, 2.0, 1e7).undrained_pressure == pytest.approx(
            slab(medium).undrained().p.mean(), rel=1e-8
        )


def test_undrained_states_have_skemptons_pressures():
    for medium in (single(), dual()):
        problem = column(medium)
        exact = ConsolidatingColumn(medium, LENGTH, LOAD)
        state = problem.undrained()
        expected = np.broadcast_to(exact.undrained_pressure[:, None], state.p.shape)
        np.testing.assert_allclose(state.p, expected, rtol=1e-8)
        assert state.t == 0.0


# --- orders of convergence


@pytest.mark.parametrize(
    "medium",
    [single(), dual(permeability=1e-11, micro_permeability=1e-12, exchange=1e-11)],
    ids=["single", "dual"],
)
def test_errors_fall_with_the_element_size_as_for_taylor_hood(medium):
    manufactured = Manufactured(medium)
    errors = []
    for n in (6, 12):
        problem = manufactured.problem(n)
        # linear in time: the time steps are exact
        errors.append(manufactured.errors(problem, run(problem, [0.5, 1.0])[-1]))
    orders = np.log2(np.divide(*errors))
    assert orders[0] > 2.7
    assert orders[1] == pytest.approx(2.0, abs=0.15)
    assert orders[2] == pytest.approx(2.0, abs=0.2)


@pytest.mark.parametrize(("theta", "order"), [(1.0, 1), (0.5, 2)])
def test_errors_fall_with_the_time_step_as_the_method_says(theta, order):
    def last(theta, steps):
        end = 4e4
        problem = column(dual(), 10, theta, traction={"top": (0.0, lambda x, t: -LOAD * (t / end) ** 2)})
        return run(problem, np.linspace(0.0, end, steps + 1)[1:])[-1].p

    reference = last(0.5, 200)
    errors = [np.abs(last(theta, steps) - reference).max() for steps in (10, 20)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.1)


# --- balances and limits


def reservoir(theta=1.0, **changed):
    """Two layers, a well, a leak, a source and a drain; loads that change with place and time."""
    mesh = skfem.MeshQuad.init_tensor(np.linspace(0.0, 20.0, 9), np.linspace(0.0, 10.0, 6)).with_defaults()
    lower = mesh.p[1, mesh.t].mean(axis=0) < 5.0
    medium = dual(
        young=np.where(lower, 2e9, 1e9),
        permeability=np.where(lower, 1e-13, 1e-14),
        micro_permeability=np.where(lower[:, None, None], np.diag([1e-15, 1e-16]), np.diag([1e-16, 1e-17])),
        exchange=np.where(lower, 1e-15, 1e-16),
    )
    given = {
        "displacement": {"left": (0.0, None), "right": (0.0, None), "bottom": (0.0, 0.0)},
        "traction": {"top": (0.0, lambda x, t: -1e6 * np.sin(x[0] / 5.0) * min(t / 1e4, 1.0))},
        "pressure": {"right": (2e5, None), "top": (None, lambda x, t: 1e4 * x[0])},
        "flux": {"left": (lambda x, t: 1e-7 * x[1], 1e-9)},
        "wells": [Well((7.3, 4.1), (2e-6, 1e-8)), Well((12.0, 8.0), (None, -1e-8))],
        "source": (None, lambda x, t: 1e-10 * t / 1e4),
        "body_force": (0.0, -100.0),
    }
    return PorousProblem(mesh, medium, Conditions(**{**given, **changed}), theta=theta)


@pytest.mark.parametrize("theta", [1.0, 0.5])
def test_every_pore_system_keeps_its_fluid(theta):
    problem = reservoir(theta)
    times, balances = 1e3 * np.cumsum([1.0, 1.0, 2.0, 4.0, 8.0, 100.0]), []
    states = run(problem, times, balances=balances)
    given, basis = problem.constants, problem.displacement_basis

    def contents(state):
        """Fluid in each system by the integral over the cells, not by the matrices."""
        strain = np.einsum("ii...", basis.interpolate(state.u).grad)
        p = np.array([problem.pressure_basis.interpolate(own) for own in state.p])
        stored = given.biot[..., None] * strain + np.einsum("ijn,jnq->inq", given.storage, p)
        return (stored * basis.dx).sum(axis=(1, 2))

    for (old, new), balance in zip(pairwise(states), balances[1:], strict=True):
        gained = contents(new) - contents(old)
        sources = balance.injected + balance.exchanged + sum(balance.through.values())
        np.testing.assert_allclose(gained, sources, atol=1e-10 * np.abs(balance.injected).max())
        assert balance.exchanged.sum() == pytest.approx(0.0, abs=1e-12 * np.abs(balance.exchanged).max())
        dt, middle = new.t - old.t, old.t + theta * (new.t - old.t)
        # ∫ 1e-7 y dy, both wells, the uniform flux, and the source over 200 m²
        expected = dt * np.array([5e-6 + 2e-6, 1e-8 + 1e-8 - 1e-8 + 1e-10 * middle / 1e4 * 200.0])
        np.testing.assert_allclose(balance.injected, expected, rtol=1e-10)
        assert balance.through["right"][1] == 0.0
        assert balance.through["top"][0] == 0.0


def test_steady_flow_is_darcys():
    problem = column(single(), traction={}, pressure={"bottom": 3e5, "top": 1e5})
    balances = []
    state = run(problem, [1e12, 2e12, 2e12 + 1e3], balances=balances)[-1]
    np.testing.assert_allclose(state.p[0], 3e5 - 2e5 * (1.0 - depth(problem) / LENGTH), rtol=1e-8)
    expected = 1e3 * 1e-14 / 1e-3 * 2e5 / LENGTH
    assert balances[-1].through["bottom"][0] == pytest.approx(expected, rel=1e-6)
    assert balances[-1].through["top"][0] == pytest.approx(-expected, rel=1e-6)


def test_strong_exchange_gives_a_single_system():
    times = np.geomspace(1e2, 2e4, 20)
    one = run(column(single(permeability=1e-14 + 1e-16)), times)
    apart = []
    for exchange in (1e-11, 1e-10):
        both = run(column(dual(exchange=exchange)), times)
        apart.append([np.abs(a.p - b.p).max() for a, b in zip(both, one, strict=True)])
        for a, b in zip(both, one, strict=True):
            np.testing.assert_allclose(a.u, b.u, atol=0.01 * np.abs(b.u).max())
    # the difference falls as one over the exchange
    np.testing.assert_allclose(np.divide(*apart), 10.0, rtol=0.1)
    assert max(apart[1]) < 5e-3 * LOAD


def test_without_exchange_two_like_systems_are_one():
    times = np.geomspace(1e2, 1e5, 20)
    both = run(column(dual(exchange=0.0, macro_fraction=0.5, micro_permeability=1e-14)), times)
    one = run(column(single(permeability=2e-14)), times)
    for a, b in zip(both, one, strict=True):
        np.testing.assert_allclose(a.p, np.tile(b.p, (2, 1)), atol=1e-8 * LOAD)


def test_without_exchange_a_closed_system_keeps_what_it_has():
    problem = column(dual(exchange=0.0), pressure={"top": (0.0, None)})
    balances = []
    state = run(problem, np.geomspace(1e2, 2e5, 20), balances=balances)[-1]
    for balance in balances:
        assert np.abs(balance.stored[1]) < 1e-12 * np.abs(balances[0].stored[0])
        assert np.abs(balance.exchanged).max() == 0.0
    assert np.abs(state.p[0]).max() < 1e-2 * LOAD
    assert state.p[1].min() > 0.2 * LOAD


def test_all_pores_in_one_system_are_the_single_medium():
    times = np.geomspace(1e2, 1e5, 20)
    both = run(column(dual(exchange=0.0, macro_fraction=1.0)), times)
    one = run(column(single()), times)
    for a, b in zip(both, one, strict=True):
        np.testing.assert_allclose(a.p[0], b.p[0], atol=1e-8 * LOAD)
        np.testing.assert_allclose(a.p[1], 0.0, atol=1e-8 * LOAD)


def test_hexahedra_give_the_column_of_the_plane():
    mesh = skfem.MeshHex.init_tensor(np.array([0.0, 1.0]), np.array([0.0, 2.0]), line(8)).with_defaults()
    conditions = Conditions(
        displacement={
            "left": (0.0, None, None),
            "right": (0.0, None, None),
            "bottom": (None, 0.0, None),
            "top": (None, 0.0, None),
            "front": (None, None, 0.0),
        },
        traction={"back": (0.0, 0.0, -LOAD)},
        pressure={"back": 0.0},
    )
    problem = PorousProblem(mesh, dual(), conditions)
    flat = column(dual(), n=8)
    times = np.geomspace(1e2, 1e5, 8)
    for a, b in zip(run(problem, times), run(flat, times), strict=True):
        for own, other in zip(a.p, b.p, strict=True):
            z, order = problem.pressure_basis.doflocs[2], np.argsort(flat.pressure_basis.doflocs[1])
            expected = np.interp(z, flat.pressure_basis.doflocs[1][order], other[order])
            np.testing.assert_allclose(own, expected, atol=1e-9 * LOAD)


# --- what a fault needs


def test_a_column_in_a_national_grid_is_that_at_the_origin():
    near = column(single())
    mesh = near.displacement_basis.mesh.translated((2.0**19, 2.0**22))
    far = PorousProblem(mesh, single(), near.conditions)
    first, second = (problem.step(problem.initial_state(), 3600.0) for problem in (near, far))
    np.testing.assert_allclose(second.p, first.p, rtol=1e-10, atol=1e-10 * LOAD)
    np.testing.assert_allclose(second.u, first.u, rtol=1e-10, atol=1e-10 * np.abs(first.u).max())


def test_the_tangent_is_the_derivative_of_the_residual():
    problem, random = reservoir(), np.random.default_rng(0)
    state = problem.step(problem.initial_state(), 1e3)
    scale = np.abs(state.x)
    for _ in range(3):
        x = state.x + scale * random.normal(size=len(scale))
        dx = scale * random.normal(size=len(scale))
        change = problem.residual(x + dx, state, 500.0) - problem.residual(x, state, 500.0)
        expected = problem.tangent(500.0) @ dx
        for part in (slice(0, problem.n_u), slice(problem.n_u, None)):
            np.testing.assert_allclose(change[part], expected[part], atol=1e-9 * np.abs(expected[part]).max())
    matrix = problem.tangent(500.0)
    assert abs(matrix - matrix.T).max() <= 1e-12 * abs(matrix).max()


def test_a_cohesive_interface_joins_two_porous_blocks():
    mesh = skfem.MeshQuad.init_tensor(np.linspace(0.0, 1.0, 3), line(4)).with_defaults()
    mesh = mesh.with_boundaries({"fault": lambda x: np.isclose(x[1], 5.0)}, boundaries_only=False)
    interface = femnn.Interface.split(mesh, "fault")
    whole = column(single(), n=4)
    problem = PorousProblem(interface.mesh, single(), whole.conditions)
    basis = problem.displacement_basis
    joint = InterfaceBases(interface, basis.elem, dofs=basis.dofs)
    law = femnn.ContactCohesive(1e12, 0.0)
    traction, tangent, _ = law.update(joint.separation(np.zeros(basis.N)) - [[1e-9, 0.0, 0.0]],
                                      law.initial_state(joint.points))  # fmt: skip
    assert (traction[:, 0] < 0.0).all()
    system = problem.tangent(1e4).tolil()
    system[: basis.N, : basis.N] += joint.stiffness(tangent)
    free, start = problem.constraint, problem.initial_state()
    matrix = (free.matrix.T @ system.tocsr() @ free.matrix).tocsc()
    residual = free.reduce(problem.residual(start.x, start, 1e4))
    u = (free.matrix @ skfem.solve(matrix, -residual))[: basis.N]
    t = joint.separation(u)[:, 0] * 1e12
    # total stress is the load; the joint carries it all, because no fluid passes
    np.testing.assert_allclose(t, -LOAD, rtol=1e-6)


# --- states, steps that fail, files


def test_states_are_left_as_they_were():
    problem = reservoir()
    state = problem.step(problem.initial_state(), 1e3)
    u, p = state.u.copy(), state.p.copy()
    first = problem.step(state, 1e3)
    problem.step(state, 77.0)
    again = problem.step(state, 1e3)
    np.testing.assert_array_equal(state.u, u)
    np.testing.assert_array_equal(state.p, p)
    np.testing.assert_array_equal(first.u, again.u)
    np.testing.assert_array_equal(first.p, again.p)
    with pytest.raises(ValueError, match="read-only"):
        state.p[0] = 0.0


def test_steps_that_fail_are_cut_and_grow_back():
    problem, tried = reservoir(), []

    def step(state, dt):
        tried.append(dt)
        if state.t < 2e3 and dt > 300.0:
            raise ConvergenceError("too long", state.u, np.array([1.0]))
        return problem.step(state, dt)

    reached = []
    state = march(step, problem.initial_state(), [1e3, 2e3, 4e3], callback=lambda own: reached.append(own.t))
    np.testing.assert_allclose(reached, [250.0 * k for k in range(1, 9)] + [4e3])
    assert tried[:3] == [1e3, 500.0, 250.0]
    expected = run(problem, reached)[-1]
    np.testing.assert_allclose(state.p, expected.p, rtol=1e-8)


def test_a_step_that_never_converges_ends_the_march_with_the_last_state():
    problem = reservoir()

    def step(state, dt):
        if state.t >= 1e3:
            raise ConvergenceError("no solution", state.u, np.array([1.0]))
        return problem.step(state, dt)

    with pytest.raises(ConvergenceError, match="fails even with dt = 1"):
        march(step, problem.initial_state(), [1e3, 2e3], progress=False)
    with pytest.raises(ConvergenceError) as error:
        march(step, problem.initial_state(), [1e3, 2e3], min_step=600.0, progress=False)
    assert error.value.t == error.value.x.t == 1e3


def test_a_callback_ends_the_march():
    problem = reservoir()
    state = march(problem.step, problem.initial_state(), [1e3, 2e3, 3e3], callback=lambda own: own.t >= 2e3)
    assert state.t == 2e3
    with pytest.raises(ParameterError, match="do not ascend"):
        march(problem.step, state, [3e3, 3e3])
    with pytest.raises(ParameterError, match="min_step=-1"):
        march(problem.step, state, [3e3], min_step=-1.0)


# --- conditions that are refused


def test_missing_boundaries_are_named_with_those_that_exist():
    for changed in ({"traction": {"roof": (0.0, 0.0)}}, {"pressure": {"roof": 0.0}}, {"flux": {"roof": 0.0}},
                    {"displacement": {"roof": (0.0, 0.0)}}, {"rigid": {"roof": 1}}):  # fmt: skip
        with pytest.raises(MeshError, match=r"no boundary 'roof', it has 'left', .*'top'.*with_boundaries"):
            column(single(), **changed)
    mesh = skfem.MeshQuad()
    with pytest.raises(MeshError, match=r"no boundary 'top', it has none"):
        PorousProblem(mesh, single(), Conditions(pressure={"top": 0.0}))
    with pytest.raises(MeshError, match="'top' of the mesh has no facets"):
        PorousProblem(mesh.with_boundaries({"top": np.empty(0, int)}), single(), Conditions(pressure={"top": 0.0}))


def test_meshes_of_other_kinds_are_refused():
    nothing = Conditions()
    for mesh in (skfem.MeshTri(), skfem.MeshTet(), skfem.MeshQuad2(), "mesh"):
        with pytest.raises(MeshError, match=r"takes a skfem\.MeshQuad or a skfem\.MeshHex"):
            PorousProblem(mesh, single(), nothing)
    folded = skfem.MeshQuad(np.array([[0.0, 1.0, 0.2, 0.0], [0.0, 0.0, 0.2, 1.0]]), np.array([[0], [1], [2], [3]]))
    with pytest.raises(FoldedElementError, match="element 0 is folded"):
        PorousProblem(folded, single(), nothing)
    box = skfem.MeshHex().refined()
    p = box.p.copy()
    p[:, np.flatnonzero((p == 0.5).all(axis=0))] = 1.2
    with pytest.raises(FoldedElementError, match="folded"):
        PorousProblem(skfem.MeshHex(p, box.t), single(), nothing)
    broken = skfem.MeshQuad().refined()
    p = broken.p.copy()
    p[0, 3] = np.nan
    with pytest.raises(MeshError, match="vertex 3 is not finite"):
        PorousProblem(skfem.MeshQuad(p, broken.t), single(), nothing)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"traction": {"top": (-1.0,)}}, "traction on 'top' is .* each of the 2 axes"),
        ({"displacement": {"bottom": 0.0}}, "displacement of 'bottom' is 0.0"),
        ({"flux": {"left": 1e-6}}, "flux into 'left' is 1e-06; give one value for each pore system .macro, micro"),
        ({"pressure": {"top": (0.0, 0.0, 0.0)}}, "pressure on 'top' is .* each pore system"),
        ({"wells": [Well((0.5, 5.0), 1.0)]}, "rate of the well at .0.5, 5.0. is 1.0"),
        ({"body_force": (0.0,)}, "body_force is"),
        ({"rigid": {"bottom": 1}}, "'bottom' is rigid along axis 1, but 3 of its points are prescribed or rigid"),
        ({"rigid": {"top": 2}}, "'top' has no axis 2; the axes are 0 to 1"),
        ({"wells": [Well((0.5, 11.0), (1.0, 1.0))]}, "outside the mesh, which spans"),
        ({"wells": [Well((0.5,), (1.0, 1.0))]}, "give 2 finite coordinates"),
    ],
)
def test_conditions_that_do_not_fit_are_refused(changed, message):
    with pytest.raises((ParameterError, MeshError), match=message):
        column(dual(), **changed)


def test_values_that_are_not_finite_are_named():
    problem = column(single(), traction={"top": (0.0, lambda x, t: np.log(t - 5.0))})
    with np.errstate(invalid="ignore"), pytest.raises(ParameterError, match=r"traction on 'top' .* t = 1 s"):
        problem.step(problem.initial_state(), 1.0)
    problem = column(single(), pressure={"top": lambda x, t: np.zeros(77)})
    with pytest.raises(ParameterError, match="pressure on 'top' is no number for each of the places"):
        problem.step(problem.initial_state(), 1.0)
    for dt in (0.0, -1.0, np.nan):
        with pytest.raises(ParameterError, match=r"dt=.* pass a real number in \(0, inf\)"):
            problem.step(problem.initial_state(), dt)
    with pytest.raises(ParameterError, match=r"theta is 0.3"):
        column(single(), theta=0.3)


def test_bodies_that_are_not_held_are_refused():
    with pytest.raises(SingularMatrixError, match="1 of 3 rigid motions"):
        column(single(), displacement={"bottom": (None, 0.0)})
    with pytest.raises(SingularMatrixError, match="3 of 3 rigid motions"):
        column(single(), displacement={})


def test_systems_without_a_unique_solution_are_refused():
    medium = single(fluid_bulk=np.inf, grain_bulk=None)
    held = dict.fromkeys(("left", "right", "bottom", "top"), (0.0, 0.0))
    problem = column(medium, displacement=held, pressure={}, wells=[Well((0.5, 5.0), 1e-6)])
    with pytest.raises((SingularMatrixError, ConvergenceError)):
        problem.step(problem.initial_state(), 1.0)


def test_states_of_other_problems_are_refused():
    problem = column(single())
    with pytest.raises(StateError, match="goes with the mesh"):
        problem.step(column(single(), n=5).initial_state(), 1.0)
    with pytest.raises(StateError, match="pressures have shape"):
        problem.initial_state(p=np.zeros(3))
    with pytest.raises(StateError, match="displacements have shape"):
        problem.initial_state(u=np.full(problem.n_u, np.nan))
