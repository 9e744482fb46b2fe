"""femnn.newton on problems with known answers: rates, limits, memory, steps that fail, interrupts."""

from functools import partial

import numpy as np
import pytest
import skfem
from scipy.optimize import brentq
from scipy.sparse import csr_matrix
from support.nonlinear_problems import Chain, NeoHookean, PlasticSpring, Spring, VonMisesTruss, order, quiet

import femnn
from femnn.geometry import distorted_cube

# --- known answers


def test_a_linear_problem_takes_one_iteration_a_step():
    problem = Spring(lambda u: 4.0 * u, lambda u: 4.0)
    found = quiet(problem, np.array([8.0]), steps=3)
    np.testing.assert_allclose(found.u, [2.0])
    assert [step.iterations for step in found.steps] == [1, 1, 1]
    np.testing.assert_allclose([step.t for step in found.steps], [1 / 3, 2 / 3, 1.0])
    assert problem.commits == 3


def test_softening_chain_under_prescribed_ends():
    chain, reached = Chain(), []
    found = quiet(
        chain, np.zeros(3), fixed=[0, 2], values=[0.0, 5.0], steps=20, callback=lambda step: reached.append(step)
    )
    assert len(reached) == 20
    for step in reached:
        end = 5.0 * step.t
        # continuous in w: the linear spring is stiff enough for no snap-back
        w = brentq(lambda w, end=end: chain.softening(w) - chain.linear * (end - w), 0.0, end)
        np.testing.assert_allclose(step.u, [0.0, end - w, end], atol=1e-7)
        np.testing.assert_allclose(step.force, chain.softening(w) * np.array([-1.0, 0.0, 1.0]), atol=1e-7)
    assert found.t == 1.0
    assert found.steps[0].u is None


def test_truss_up_to_its_limit_point():
    w, limit = VonMisesTruss.limit()
    load = np.array([0.0, 0.999 * limit])
    found = quiet(VonMisesTruss(), load, steps=5)
    expected = brentq(lambda w: VonMisesTruss.load(w) - load[1], 0.0, w)
    np.testing.assert_allclose(found.u, [0.0, expected], atol=1e-6)
    assert found.cuts == 0


def test_the_limit_load_of_the_truss_is_found_and_said():
    _, limit = VonMisesTruss.limit()
    with pytest.raises(
        femnn.ConvergenceError, match=r"no equilibrium exists beyond t = 0\.66666\d, a limit load"
    ) as caught:
        quiet(VonMisesTruss(), np.array([0.0, 1.5 * limit]), steps=10)
    assert 1.0 / 1.5 - 4e-6 < caught.value.t <= 1.0 / 1.5


def test_truss_under_prescribed_displacement_follows_the_whole_curve():
    path = []
    quiet(
        VonMisesTruss(), np.zeros(2), fixed=[1], values=0.75, steps=15, callback=lambda s: path.append((s.u, s.force))
    )
    for u, force in path:
        assert force[1] == pytest.approx(VonMisesTruss.load(u[1]), abs=1e-9)
    assert min(force[1] for _, force in path) < -0.9 * VonMisesTruss.limit()[1]


def test_hyperelastic_block_in_homogeneous_states():
    mesh = distorted_cube(3, 0.2, seed=1)
    problem = NeoHookean(mesh)
    basis = problem.basis
    stretch = np.array([[0.4, 0.2, 0.0], [0.0, -0.1, 0.1], [0.0, 0.0, 0.2]])
    expected = (stretch @ mesh.p).T.ravel()
    # a homogeneous deformation is in equilibrium without body force: the patch test
    found = quiet(problem, np.zeros(basis.N), fixed=basis.get_dofs(), values=expected, steps=4)
    np.testing.assert_allclose(found.u, expected, atol=1e-7)
    # virtual work of the nodal forces: their moment about the origin is stress times volume
    f = np.eye(3) + stretch
    back = np.linalg.inv(f).T
    stress = problem.shear * (f - back) + problem.lame * np.log(np.linalg.det(f)) * back
    force = problem.internal_force(found.u).reshape(-1, 3)
    np.testing.assert_allclose(force.T @ mesh.p.T, stress, atol=1e-6)


def test_a_body_that_is_free_to_expand_needs_no_force():
    # in equilibrium there is none left to measure residuals by
    planes = {name: lambda x, i=i: x[i] == 0.0 for i, name in enumerate("xyz")}
    mesh = skfem.MeshHex().with_boundaries(planes)
    solid = femnn.Solid(mesh, femnn.GaussLegendre(2), femnn.LinearElastic(2.0, 0.3, expansion=1e-3))
    solid.set_temperature(40.0, lambda t: np.sin(t))
    loads = femnn.Loads(mesh).symmetry("x").symmetry("y").symmetry("z")
    path = femnn.newton(solid, loads.force, loads.fixed, steps=3, progress=False)
    np.testing.assert_allclose(path.u.reshape(-1, 3), 0.04 * np.sin(1.0) * mesh.p.T, atol=1e-9)
    assert path.cuts == 0
    assert path.iterations <= 6


def test_newton_converges_quadratically():
    mesh = distorted_cube(3, 0.2, seed=1)
    problem = NeoHookean(mesh)
    basis = problem.basis
    load = np.zeros(basis.N)
    load[basis.get_dofs("right").nodal["u^3"]] = 0.02
    found = quiet(problem, load, fixed=basis.get_dofs("left"), steps=1, rtol=1e-12)
    assert found.cuts == 0
    assert np.abs(found.u).max() > 0.3  # far from linear
    assert found.iterations <= 10
    assert order(found.steps[0].residuals) > 1.7
    inexact = partial(femnn.solve, points=mesh, method="pyamg", rtol=1e-10)
    again = quiet(problem, load, fixed=basis.get_dofs("left"), steps=1, rtol=1e-9, solver=inexact)
    np.testing.assert_allclose(again.u, found.u, atol=1e-6)


def test_loads_and_supports_may_be_functions_of_time():
    problem = Spring(lambda u: np.array([1.0, 2.0]) * u, lambda u: [1.0, 2.0])
    path = []
    quiet(
        problem,
        lambda t: np.array([0.0, np.sin(t)]),
        fixed=[0],
        values=lambda t: t**2,
        steps=[0.5, 1.0, 3.0],
        callback=lambda step: path.append((step.t, *step.u)),
    )
    np.testing.assert_allclose(path, [(t, t**2, 0.5 * np.sin(t)) for t in (0.5, 1.0, 3.0)], atol=1e-7)


def test_no_load_needs_no_iteration():
    found = quiet(Spring(lambda u: u**3 + u, lambda u: 3.0 * u**2 + 1.0), np.zeros(1), steps=2)
    assert found.iterations == 0
    np.testing.assert_array_equal(found.u, 0.0)


# --- memory


def test_a_plastic_spring_remembers():
    spring = PlasticSpring()
    cycle = [0.0, 2.0, -1.0]
    found = quiet(spring, lambda t: np.array([np.interp(t, [0.0, 1.0, 2.0], cycle)]), steps=np.linspace(0.25, 2.0, 8))
    # loading to 2 flows by (2 - 1) / H; unloading to -1 stays elastic: the yield force has grown to 2
    assert spring.state == (pytest.approx(1.0), pytest.approx(1.0))
    assert found.u[0] == pytest.approx(1.0 - 1.0 / spring.stiffness)
    assert len(spring.history) == 8


def test_the_answer_does_not_depend_on_what_was_tried_before():
    class Picky(PlasticSpring):
        """Refuses long strides."""

        def residual_and_tangent(self, u):
            if abs(u[0] - self.committed) > 0.15:
                raise femnn.FemnnError("too far")
            self.last = u[0]
            return super().residual_and_tangent(u)

        committed = last = 0.0

        def commit(self):
            self.committed = self.last
            super().commit()

    plain, picky = PlasticSpring(), Picky()
    expected = quiet(plain, np.array([2.0]), steps=40)
    found = quiet(picky, np.array([2.0]), steps=2)
    assert found.cuts > 0
    assert len(found.steps) > 2
    np.testing.assert_allclose(found.u, expected.u, rtol=1e-7)
    np.testing.assert_allclose(picky.state, plain.state, rtol=1e-7)


def test_a_path_can_be_gone_on_with():
    whole, halves = PlasticSpring(), PlasticSpring()
    expected = quiet(whole, np.array([2.0]), steps=4)
    first = quiet(halves, np.array([2.0]), steps=[0.25, 0.5])
    second = quiet(halves, np.array([2.0]), steps=2, initial=first.u, start=first.t)
    np.testing.assert_array_equal(second.u, expected.u)
    assert halves.history == whole.history


def test_a_callback_may_end_the_path():
    spring = PlasticSpring()
    found = quiet(spring, np.array([2.0]), steps=10, callback=lambda step: step.u[0] > 0.05)
    assert found.t == pytest.approx(0.3)
    assert len(spring.history) == len(found.steps) == 3


# --- steps that fail


def test_line_search_shortens_what_newton_overshoots():
    # from u = 0 the full step is 100 times too long, and comes back by thirds
    problem = Spring(lambda u: u**3 + 0.01 * u, lambda u: 3.0 * u**2 + 0.01)
    found = quiet(problem, np.array([1.0]), steps=1, max_iterations=10)
    assert found.u[0] == pytest.approx(brentq(lambda u: u**3 + 0.01 * u - 1.0, 0.0, 2.0), abs=1e-7)
    assert found.cuts == 0


def test_line_search_uses_the_force_alone_where_there_is_one():
    class Counted(Spring):
        forces = 0

        def internal_force(self, u):
            self.forces += 1
            return self.law[0](u)

    problem = Counted(lambda u: u**3 + 0.01 * u, lambda u: 3.0 * u**2 + 0.01)
    found = quiet(problem, np.array([1.0]), steps=1)
    assert problem.forces > 0
    # what is committed was evaluated last, with its tangent
    np.testing.assert_array_equal(problem.evaluations[-1], found.u)


def test_the_length_is_searched_where_a_law_cannot_be_evaluated():
    # a bar that cannot be pressed to nothing, asked to go to three times its length below that
    problem = Spring(lambda u: np.log1p(u) if u[0] > -1.0 else u * np.nan, lambda u: 1.0 / (1.0 + u))
    found = quiet(problem, np.array([-3.0]), steps=1, max_iterations=30)
    assert found.u[0] == pytest.approx(np.exp(-3.0) - 1.0, abs=1e-7)
    assert found.cuts == 0


class Pulled(femnn.NonlinearProblem):
    """A linear and a cubic spring in series, pulled at the end of the linear one; fails as asked after long strides."""

    def __init__(self, failure, stride, hard=(0.0, np.inf)):
        self.failure, self.stride, self.hard = failure, stride, hard
        self.last = self.here = 0.0

    def residual_and_tangent(self, u):
        self.here = u[0]
        force = np.array([u[0] - u[1], u[1] - u[0] + u[1] ** 3])
        tangent = csr_matrix([[1.0, -1.0], [-1.0, 1.0 + 3.0 * u[1] ** 2]])
        if u[0] - self.last > self.stride and self.hard[0] < u[0] < self.hard[1]:
            return self.failure(force, tangent)
        return force, tangent

    def commit(self):
        self.last = self.here


def raises(force, tangent):
    raise femnn.FemnnError("this law fails")


@pytest.mark.parametrize(
    "failure",
    [
        raises,
        lambda force, tangent: (np.log(-1.0) * force, tangent),
        lambda force, tangent: (force, np.inf * tangent),
        lambda force, tangent: (force, 0.0 * tangent),
        lambda force, tangent: (force + 1.0 / 0, tangent),
    ],
    ids=["raises", "force", "tangent", "singular", "arithmetic"],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_failures_of_a_law_cut_the_step(failure):
    found = quiet(Pulled(failure, stride=0.3), np.zeros(2), fixed=[0], values=2.0, steps=1)
    lengths = np.diff([0.0, *(step.t for step in found.steps)])
    np.testing.assert_allclose(lengths, 1 / 8)  # of 2: the first power of two below the stride
    assert found.steps[0].cuts == 3
    assert found.u[1] == pytest.approx(brentq(lambda u: u + u**3 - 2.0, 0.0, 2.0), abs=1e-7)


def test_steps_grow_back_after_a_hard_stretch():
    found = quiet(Pulled(raises, 0.02, hard=(0.4, 0.6)), np.zeros(2), fixed=[0], values=1.0, steps=10)
    times = np.array([0.0, *(step.t for step in found.steps)])
    lengths = np.diff(times)
    assert lengths[(times[1:] > 0.45) & (times[1:] < 0.6)].max() <= 0.02
    np.testing.assert_allclose(lengths[:3], 0.1)
    np.testing.assert_allclose(lengths[-2:], 0.1)
    # what was asked for is reached whatever lies between
    assert set(np.linspace(0.1, 1.0, 10).round(12)) <= set(times.round(12))


def test_what_cannot_be_carried_is_said_and_the_last_state_kept():
    chain = Chain()
    # the softening spring carries k c / e at most
    most = chain.k * chain.c / np.e
    problem_states = []
    with pytest.raises(femnn.ConvergenceError, match="no equilibrium was found beyond") as caught:
        quiet(
            chain,
            np.array([0.0, 0.0, 2.0 * most]),
            fixed=[0],
            steps=4,
            min_step=1e-4,
            callback=lambda step: problem_states.append(step),
        )
    error = caught.value
    assert 0.5 - 2e-4 < error.t <= 0.5
    assert error.t == problem_states[-1].t
    np.testing.assert_array_equal(error.x, problem_states[-1].u)
    assert chain.softening(error.x[2] - error.x[1]) == pytest.approx(2.0 * most * error.t, rel=1e-6)
    assert len(error.residuals) > 0
    for hint in ("min_step=0.0001", "prescribed displacements", "is kept"):
        assert hint in str(error)


def test_a_law_that_always_fails_is_the_cause_of_the_error():
    def force(u):
        raise femnn.FemnnError("nothing works")

    with pytest.raises(femnn.ConvergenceError, match=r"beyond t = 0: .*FemnnError: nothing works") as caught:
        quiet(Spring(force, force), np.ones(1))
    assert caught.value.t == 0.0
    np.testing.assert_array_equal(caught.value.x, [0.0])
    assert "nothing works" in str(caught.value.__cause__)


def test_what_is_not_held_is_the_cause_of_the_error():
    chain = Chain()
    with pytest.raises(femnn.SingularMatrixError, match="is not held"):
        quiet(chain, np.array([0.0, 0.0, 0.1]))


# --- interrupts


@pytest.mark.parametrize("where", ["law", "callback"])
def test_interrupts_leave_the_last_state(where):
    class Interrupted(PlasticSpring):
        rolled_back = 0
        count = 0

        def residual_and_tangent(self, u):
            self.count += 1
            result = super().residual_and_tangent(u)
            if where == "law" and self.count == 20:
                raise KeyboardInterrupt
            return result

        def rollback(self):
            self.rolled_back += 1
            super().rollback()

    spring, plain = Interrupted(), PlasticSpring()

    def callback(step):
        if where == "callback" and len(spring.history) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quiet(spring, np.array([2.0]), steps=10, callback=callback)
    assert spring.rolled_back == 1
    assert spring.trial == spring.state
    done = len(spring.history)
    assert 3 < done < 10
    quiet(plain, np.array([2.0]), steps=10)
    assert spring.history == plain.history[:done]


# --- bad input


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"problem": object()}, "object has no residual_and_tangent and no commit and no rollback"),
        ({"load": [np.nan]}, "load is not finite at degree of freedom 0"),
        ({"load": lambda t: np.ones(1 if t == 0.0 else 2)}, r"load has shape \(2,\)"),
        ({"load": np.ones(2)}, "internal force has shape"),
        ({"fixed": [1]}, "`fixed` names the degree of freedom 1"),
        ({"fixed": [0], "values": [1.0, 2.0]}, "`values` have shape"),
        ({"initial": np.ones(2)}, r"initial has shape \(2,\)"),
        ({"steps": 0}, "steps=0"),
        ({"steps": 2.5}, "steps=2.5"),
        ({"steps": [0.5, 0.5]}, "no ascending times"),
        ({"steps": [0.0, 0.5]}, "no ascending times"),
        ({"start": 1.0}, "from start=1.0"),
        ({"rtol": 0.0}, "rtol=0.0"),
        ({"atol": -1.0}, "atol=-1.0"),
        ({"max_iterations": 0}, "max_iterations=0"),
        ({"min_step": 0.0}, "min_step=0.0"),
    ],
)
def test_bad_input(arguments, says):
    spring = Spring(lambda u: 1.0 * u[:1], lambda u: np.ones(len(u)))
    with pytest.raises(femnn.ParameterError, match=says):
        quiet(**{"problem": spring, "load": np.ones(1), **arguments})


def test_tangents_of_another_size_are_refused():
    spring = Spring(lambda u: u, lambda u: np.ones(2))
    with pytest.raises(femnn.ParameterError, match=r"csr_matrix of shape \(2, 2\)"):
        quiet(spring, np.ones(1))
    spring.residual_and_tangent = lambda u: (u, np.eye(1))
    with pytest.raises(femnn.ParameterError, match="the tangent is a ndarray"):
        quiet(spring, np.ones(1))


def test_paths_print_themselves():
    found = quiet(PlasticSpring(), np.array([2.0]), steps=3)
    assert str(found) == f"3 steps to t = 1, {found.iterations} iterations, 0 cuts"
    assert str(found.steps[0]).startswith("t = 0.333333: 1 iterations to ")
