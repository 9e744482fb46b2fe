"""Porous bodies of distorted hexahedra: closed solutions, orders of both pairs, and steps by the error they make."""

import numpy as np
import pytest
import skfem
from support.porous_problems import LOAD, dual, single

import femnn
from femnn.exceptions import ConvergenceError, ParameterError
from femnn.geometry import distorted_cube
from femnn.reservoir import CryerSphere, DeLeeuwCylinder, PorousProblem, march_by_error
from femnn.reservoir.integrals import CellBasis, swelling, unresolved
from femnn.validation.consolidation import ManufacturedBody, ball, cryer, cylinder, de_leeuw, mandel, slab

TRILINEAR, TRIQUADRATIC = skfem.ElementHex1(), skfem.ElementHex2()


def followed(problem, exact, distance, tolerance=1e-3):
    """Largest error of the pressure over its undrained value; balances are checked, steps counted."""
    where, states, errors = distance(problem.pressure_basis.doflocs), [problem.undrained()], []

    def look(new):
        assert problem.balance(states[-1], new).error.max() < 1e-10
        states.append(new)
        if new.t > 0.02 * exact.time:
            errors.append(np.abs(new.p[0] - exact.pressure(where, new.t)).max() / exact.undrained_pressure)

    march_by_error(
        problem.step, states[0], [0.2 * exact.time], problem.step_error,
        tolerance=tolerance, first_step=1e-5 * exact.time, callback=look, progress=False,
    )  # fmt: skip
    return max(errors), states


@pytest.mark.parametrize(
    ("make", "mesh", "distance"),
    [
        (cryer, ball(5, distortion=0.1), lambda x: np.linalg.norm(x, axis=0)),
        (de_leeuw, cylinder(6, layers=1, distortion=0.1), lambda x: np.linalg.norm(x[:2], axis=0)),
        (mandel, slab(12, layers=1, distortion=0.1), lambda x: x[0]),
    ],
    ids=["Cryer", "de Leeuw", "Mandel"],
)
def test_distorted_bodies_follow_their_series_within_a_hundredth(make, mesh, distance):
    problem, exact = make(mesh, single(), LOAD, element=TRILINEAR)
    error, states = followed(problem, exact, distance)
    assert error < 0.01
    # a pressure that no fluid has left yet is that of the whole body
    np.testing.assert_allclose(states[0].p, exact.undrained_pressure, rtol=0.01)


@pytest.mark.parametrize("kind", [CryerSphere, DeLeeuwCylinder])
@pytest.mark.parametrize("medium", [single(), single(fluid_bulk=np.inf, grain_bulk=None)], ids=["stores", "stiff"])
def test_radial_series_solve_their_equation_and_keep_to_their_limits(kind, medium):
    exact = kind(medium, 2.0, LOAD, terms=300)
    axes = 3 if kind is CryerSphere else 2
    given, t, r = medium.constants(1, 3), 0.05 * exact.time, np.linspace(0.3, 1.7, 8)
    lmbda, mu, biot, storage = given.lmbda[0], given.mu[0], given.biot[0, 0], given.storage[0, 0, 0]
    grid = np.linspace(0.0, 2.0, 2001)
    weights = axes * grid ** (axes - 1) / 2.0**axes * (grid[1] - grid[0])

    def fluid(r, t):
        """What is stored: by the mean pressure the boundary strains the body alike everywhere."""
        mean = weights @ exact.pressure(grid, t)
        bulk = lmbda + 2.0 * mu / axes
        uniform = (biot * mean - LOAD) / bulk - biot * mean / (lmbda + 2.0 * mu)
        strain = biot * exact.pressure(r, t) / (lmbda + 2.0 * mu) + uniform
        return biot * strain + storage * exact.pressure(r, t)

    h, dt = 1e-3, 1e-4 * exact.time
    gained = (fluid(r, t + dt) - fluid(r, t - dt)) / (2.0 * dt)
    sides = [exact.pressure(r + step, t) for step in (-h, 0.0, h)]
    spread = (sides[0] - 2.0 * sides[1] + sides[2]) / h**2 + (axes - 1) / r * (sides[2] - sides[0]) / (2.0 * h)
    np.testing.assert_allclose(gained, given.mobility[0, 0, 0, 0] * spread, rtol=1e-3)
    assert exact.pressure(0.0, 1e-4 * exact.time) == pytest.approx(exact.undrained_pressure, rel=0.02)
    assert exact.pressure(2.0, t) == pytest.approx(0.0, abs=1e-6)
    drained = -LOAD / (axes * (lmbda + 2.0 * mu / axes))
    assert exact.displacement(50.0 * exact.time) == pytest.approx(2.0 * drained)
    with pytest.raises(ParameterError, match="one pore system"):
        kind(dual(), 2.0, LOAD)


@pytest.mark.parametrize("systems", [1, 2])
@pytest.mark.parametrize(
    ("element", "n", "orders"), [(TRILINEAR, 4, (1.9, 0.95, 1.9)), (TRIQUADRATIC, 3, (2.8, 1.95, 1.9))]
)
def test_errors_fall_with_the_element_size_on_distorted_cells(systems, element, n, orders):
    given = {"permeability": 1e-11}
    medium = single(**given) if systems == 1 else dual(**given, micro_permeability=1e-12, exchange=1e-11)
    body, errors = ManufacturedBody(medium), []
    for m in (n, 2 * n):
        problem = body.problem(distorted_cube(m, 0.1), element=element)
        errors.append(body.errors(problem, problem.step(problem.initial_state(), 1.0)))
    assert (np.log2(errors[0] / errors[1]) > orders).all()


def test_linear_pairs_do_not_oscillate_where_nothing_is_stored():
    medium = single(fluid_bulk=np.inf, grain_bulk=None, biot=1.0)
    problem, exact = cryer(ball(3, distortion=0.1), medium, LOAD, element=TRILINEAR)
    state = problem.undrained()
    np.testing.assert_allclose(state.p, exact.undrained_pressure, rtol=0.02)
    late = problem.step(state, 0.05 * exact.time)
    assert late.p.min() > -1e-3 * LOAD


def test_what_steadies_pressures_lets_no_fluid_get_lost():
    mesh = distorted_cube(3, 0.2)
    basis = CellBasis(mesh, skfem.ElementHex1())
    matrix = unresolved(basis, np.random.default_rng(0).uniform(1.0, 2.0, mesh.nelements))
    assert np.abs(matrix @ np.ones(basis.N)).max() < 1e-16
    assert np.linalg.eigvalsh(matrix.toarray())[1] > 0.0


@pytest.mark.parametrize(
    ("mesh", "element"),
    [
        (distorted_cube(3, 0.2), skfem.ElementHex1()),
        (distorted_cube(2, 0.2), skfem.ElementHex2()),
        (skfem.MeshQuad().refined(2), skfem.ElementQuad2()),
    ],
)
def test_coupling_and_means_are_those_of_scikit_fem(mesh, element):
    linear = skfem.ElementHex1() if mesh.dim() == 3 else skfem.ElementQuad1()
    u = CellBasis(mesh, skfem.ElementVector(element), intorder=5)
    p = u.with_element(linear)
    biot = np.random.default_rng(1).uniform(0.5, 1.0, mesh.nelements)

    @skfem.BilinearForm
    def form(u, q, w):
        return w["biot"] * skfem.helpers.div(u) * q

    expected = form.assemble(u, p, biot=np.broadcast_to(biot[:, None], u.dx.shape))
    found = swelling(u, p, biot)
    assert np.abs(found - expected).max() < 1e-14 * np.abs(expected).max()
    values = np.random.default_rng(2).normal(size=p.N)
    field, weights = p.interpolate(values), p.dx / p.dx.sum(axis=1, keepdims=True)
    cells = values[p.element_dofs]
    np.testing.assert_allclose(
        np.einsum("an,na->n", cells, p.mean_values), (np.asarray(field) * weights).sum(axis=1), rtol=1e-12
    )
    np.testing.assert_allclose(
        np.einsum("an,naj->jn", cells, p.mean_slopes), (field.grad * weights).sum(axis=-1), atol=1e-12
    )


def test_the_rule_of_linear_pairs_is_the_users():
    mesh = ball(2)
    adaptive, fixed = (
        cryer(mesh, single(), LOAD, element=TRILINEAR, rule=rule)[0] for rule in (None, femnn.GaussLegendre(3))
    )
    assert isinstance(adaptive.rule, femnn.AdaptiveGauss)
    a, b = (problem.step(problem.undrained(), 1e3) for problem in (adaptive, fixed))
    np.testing.assert_allclose(a.u, b.u, atol=1e-2 * np.abs(b.u).max())
    assert (a.u != b.u).any()


def test_iterations_solve_linear_pairs_and_are_counted():
    problems = [
        cryer(ball(3, distortion=0.1), dual() if name else single(), LOAD, element=TRILINEAR, method="minres")[0]
        for name in (0,)
    ]
    factored = cryer(ball(3, distortion=0.1), single(), LOAD, element=TRILINEAR, method="splu")[0]
    found, wanted = (problem.step(problem.undrained(), 1e4) for problem in (problems[0], factored))
    np.testing.assert_allclose(found.p, wanted.p, atol=1e-8 * LOAD)
    assert problems[0].balance(problems[0].undrained(), found).error.max() < 1e-8
    assert 0 < problems[0].iterations[0] < 90
    assert factored.iterations == ()


@pytest.mark.parametrize("systems", [1, 2])
def test_permeabilities_may_span_twelve_orders_of_magnitude(systems):
    mesh = distorted_cube(5, 0.1).scaled(10.0)
    mesh = mesh.with_boundaries({"bottom": lambda x: x[2] == 0.0, "top": lambda x: x[2] == 10.0})
    height = mesh.p[2, mesh.t].mean(axis=0)
    permeability = np.where(np.abs(height - 5.0) < 1.0, 1e-21, 1e-9)
    medium = single(permeability=permeability)
    if systems == 2:
        medium = dual(permeability=permeability, micro_permeability=1e-21)
    conditions = femnn.reservoir.Conditions(
        displacement={"bottom": (0.0, 0.0, 0.0)}, traction={"top": (0.0, 0.0, -LOAD)}, pressure={"top": 0.0}
    )
    states = []
    for method in ("splu", "minres"):
        problem = PorousProblem(mesh, medium, conditions, element=TRILINEAR, method=method)
        states.append(problem.step(problem.step(problem.undrained(), 3600.0), 1e6))
    np.testing.assert_allclose(states[1].p, states[0].p, atol=1e-7 * LOAD)
    # below the seal the load stays on the fluid
    assert states[0].p[0].max() > 0.2 * LOAD


def test_steps_are_as_long_as_their_error_allows():
    problem, exact = mandel(slab(8, layers=1), single(), LOAD, element=TRILINEAR)
    errors, counts = [], []
    reference = followed(problem, exact, lambda x: x[0], 5e-5)[1][-1]
    for tolerance in (4e-3, 2.5e-4):
        states = followed(problem, exact, lambda x: x[0], tolerance)[1]
        steps = np.diff([state.t for state in states])
        assert steps.max() > 100.0 * steps[0]
        errors.append(np.abs(states[-1].p - reference.p).max())
        counts.append(len(steps))
    # implicit Euler's error goes with the step, that of a step with its square
    assert errors[1] < errors[0] / 2.5
    assert counts[1] < 6 * counts[0]


@pytest.mark.parametrize("element", [skfem.ElementHexS2(), "linear", skfem.ElementTetP1()])
def test_other_elements_are_refused(element):
    with pytest.raises(ParameterError, match=r"pass skfem\.ElementHex2\(\), skfem\.ElementHex1\(\) or None"):
        PorousProblem(ball(1), single(), femnn.reservoir.Conditions(), element=element)


def test_a_march_by_error_stops_where_no_step_is_short_enough():
    problem, exact = mandel(slab(4, layers=1), single(), LOAD, element=TRILINEAR)
    start = problem.undrained()

    def fails(state, dt):
        raise ConvergenceError("it never converges", state, np.empty(0), state.t)

    with pytest.raises(
        ConvergenceError, match=r"fails even with dt = .*it never converges.*last state is `x`"
    ) as error:
        march_by_error(fails, start, [exact.time], problem.step_error, progress=False)
    assert error.value.x is start
    with pytest.raises(ParameterError, match="do not ascend"):
        march_by_error(problem.step, start, [2.0, 1.0], problem.step_error, progress=False)
    # nothing is left to do
    assert march_by_error(problem.step, start, [start.t], problem.step_error, progress=False) is start
