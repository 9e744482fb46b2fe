"""Structures that move: orders of convergence, conservation, damping, and states that are never half changed."""

import numpy as np
import pytest
import skfem
from scipy.sparse import csr_array, eye_array
from support.nonlinear_problems import Spring

import femnn
from femnn.exceptions import ConvergenceError, ParameterError
from femnn.solvers import Motion, SecondOrder, march

ONE = eye_array(1).tocsr()


def pendulum():
    return Spring(lambda u: np.sin(u), lambda u: np.cos(u))


def divide(matrix, f, fixed, values):
    """The solution of one equation."""
    return f / matrix.toarray()[0]


def moved(count, u=2.0, end=4.0, **options):
    motion = SecondOrder(pendulum(), ONE, solver=divide, **options)
    return motion, march(motion.step, motion.start([u]), np.linspace(0.0, end, count + 1), progress=False)


@pytest.mark.parametrize("radius", [1.0, 0.7, 0.0])
def test_steps_are_of_second_order(radius):
    exact = moved(400)[1]
    errors = []
    for count in (20, 40, 80):
        state = moved(count, spectral_radius=radius)[1]
        errors.append(np.hypot(state.u[0] - exact.u[0], state.v[0] - exact.v[0]))
    rates = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(rates, 2.0, atol=0.2)


def test_the_midpoint_rule_keeps_energy_and_momentum():
    """Two masses and a linear spring that fly and turn: energy and both momenta are exact."""
    stiffness = csr_array([[1.0, 0.0, -1.0, 0.0], [0.0, 1.0, 0.0, -1.0], [-1.0, 0.0, 1.0, 0.0], [0.0, -1.0, 0.0, 1.0]])

    class Linear(femnn.NonlinearProblem):
        def residual_and_tangent(self, u):
            return stiffness @ u, stiffness

    mass = csr_array(np.diag([1.0, 1.0, 3.0, 3.0]))
    motion = SecondOrder(Linear(), mass)
    u, v = np.array([0.3, 0.1, -0.2, 0.4]), np.array([1.0, 2.0, -0.5, 0.3])
    start = motion.start(u, v)

    def kept(state):
        momenta = (mass @ state.v).reshape(2, 2)
        turning = np.cross(np.pad(state.u.reshape(2, 2), ((0, 0), (0, 1))), np.pad(momenta, ((0, 0), (0, 1))))
        return [motion.kinetic_energy(state) + 0.5 * state.u @ (stiffness @ state.u), *momenta.sum(0), turning.sum()]

    end = march(motion.step, start, np.linspace(0.0, 30.0, 101), progress=False)
    np.testing.assert_allclose(kept(end), kept(start), rtol=1e-7)


def test_energy_of_a_pendulum_oscillates_without_drift():
    motion = SecondOrder(pendulum(), ONE, solver=divide)
    states = [motion.start([2.0])]
    march(motion.step, states[0], np.linspace(0.0, 80.0, 401), callback=states.append, progress=False)
    energy = np.array([motion.kinetic_energy(s) + 1.0 - np.cos(s.u[0]) for s in states])
    # of the first and the last four of some nine periods
    early, late = energy[:170], energy[-170:]
    assert np.ptp(energy) < 2e-2 * energy[0]
    assert abs(early.mean() - late.mean()) < 1e-3 * energy[0]


@pytest.mark.parametrize("points", [2, 3])
def test_mean_forces_are_of_second_order_and_keep_the_energy(points):
    exact = moved(400)[1]
    errors = []
    for count in (20, 40, 80):
        state = moved(count, average_points=points)[1]
        errors.append(np.hypot(state.u[0] - exact.u[0], state.v[0] - exact.v[0]))
    rates = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(rates, 2.0, atol=0.2)

    def drift(count):
        motion = SecondOrder(pendulum(), ONE, solver=divide, average_points=points, rtol=1e-13)
        states = [motion.start([2.0])]
        march(motion.step, states[0], np.linspace(0.0, 20.0, count + 1), callback=states.append, progress=False)
        energy = np.array([motion.kinetic_energy(s) + 1.0 - np.cos(s.u[0]) for s in states])
        return np.abs(energy / energy[0] - 1.0).max()

    # what the quadrature in time leaves of it is of the order 2 points of its steps
    assert np.log2(drift(40) / drift(80)) == pytest.approx(2 * points, abs=0.5)
    assert drift(400) < (2e-6, 1e-10)[points - 2]


def test_the_energy_of_a_polynomial_stays_to_rounding():
    """A mass at a spring whose force is cubic: two points integrate the work exactly, the midpoint does not."""
    spring = Spring(lambda u: u + u**3, lambda u: 1.0 + 3.0 * u**2)

    def drift(points):
        motion = SecondOrder(spring, ONE, solver=divide, average_points=points, rtol=1e-13)
        states = [motion.start([1.5], [0.5])]
        march(motion.step, states[0], np.linspace(0.0, 50.0, 251), callback=states.append, progress=False)
        energy = np.array([motion.kinetic_energy(s) + 0.5 * s.u[0] ** 2 + 0.25 * s.u[0] ** 4 for s in states])
        return np.abs(energy / energy[0] - 1.0).max()

    assert drift(1) > 1e-3
    assert drift(2) < 1e-12


def test_mean_forces_are_refused_where_there_is_no_energy():
    with pytest.raises(ParameterError, match="choose one"):
        SecondOrder(pendulum(), ONE, average_points=2, spectral_radius=0.9)
    mesh = skfem.MeshHex()
    plastic = femnn.Solid(mesh, femnn.GaussLegendre(2), femnn.solids.J2(200e3, 0.3, 250.0))
    mass = eye_array(plastic.n_dofs).tocsr()
    with pytest.raises(ParameterError, match="has memory"):
        SecondOrder(plastic, mass, average_points=2)
    elastic = femnn.Solid(mesh, femnn.GaussLegendre(2), femnn.NeoHooke(1.0, 0.3))
    assert SecondOrder(elastic, mass, average_points=2).n_dofs == 24


def test_short_oscillations_are_damped_to_the_spectral_radius():
    stiff = Spring(lambda u: 1e8 * u, lambda u: 1e8)
    for radius in (1.0, 0.5, 0.0):
        motion = SecondOrder(stiff, ONE, spectral_radius=radius)
        state = motion.start([1.0])
        sizes = []
        for _ in range(12):
            state = motion.step(state, 1.0)
            sizes.append(abs(state.u[0]))
        # what is round-off already falls no more
        rate = (sizes[-1] / sizes[5]) ** (1.0 / 6.0) if sizes[-1] > 1e-12 else 0.0
        # a root that is double falls a little slower at first
        assert radius - 0.02 < rate < radius + 0.2


def test_damping_loads_and_supports():
    """A damped oscillator comes to rest where its load is in equilibrium; what is held stays."""
    stiffness = csr_array([[2.0, -1.0], [-1.0, 1.0]])

    class Linear(femnn.NonlinearProblem):
        def residual_and_tangent(self, u):
            return stiffness @ u, stiffness

    mass = eye_array(2).tocsr()
    motion = SecondOrder(Linear(), mass, 2.0 * mass, lambda t: np.array([1.0, 5.0]), fixed=[1])
    end = march(motion.step, motion.start([0.0, 0.5]), np.linspace(0.0, 20.0, 201), progress=False)
    np.testing.assert_allclose(end.u, [0.75, 0.5], atol=1e-6)
    np.testing.assert_allclose(end.v, 0.0, atol=1e-6)
    assert repr(end) == "Motion(2 unknowns, t = 20)"


def test_a_step_that_fails_leaves_the_state_and_is_cut():
    problem = Spring(lambda u: np.where(np.abs(u) > 3.0, np.nan, u**3), lambda u: 3.0 * u**2)
    motion = SecondOrder(problem, ONE, max_iterations=2)
    start = motion.start([1.0], [4.0])
    with pytest.raises(ConvergenceError):
        motion.step(start, 10.0)
    assert (start.u[0], start.v[0], start.t) == (1.0, 4.0, 0.0)
    end = march(motion.step, start, [0.0, 0.5], progress=False)
    assert end.t == 0.5
    assert problem.commits > 1


def test_arguments_that_do_not_fit_are_refused():
    for mass, keywords in (
        (np.eye(1), {}),
        (csr_array(np.ones((1, 2))), {}),
        (csr_array([[np.nan]]), {}),
        (ONE, {"damping": eye_array(2).tocsr()}),
        (ONE, {"fixed": [3]}),
        (ONE, {"spectral_radius": 1.5}),
    ):
        with pytest.raises(ParameterError):
            SecondOrder(pendulum(), mass, **keywords)
    motion = SecondOrder(pendulum(), ONE, load=np.zeros(2))
    with pytest.raises(ParameterError, match="load"):
        motion.start()
    with pytest.raises(ParameterError, match="the velocity"):
        SecondOrder(pendulum(), ONE).start([0.0], [0.0, 1.0])
    with pytest.raises(ParameterError):
        motion.step("state", 0.1)
    with pytest.raises(ParameterError):
        motion.step(Motion(np.zeros(1), np.zeros(1), np.zeros(1)), 0.0)


def test_steps_of_different_lengths_do_not_know_each_other():
    lengths = (0.1, 0.05, 0.1, 0.2)
    motion = SecondOrder(pendulum(), ONE, 0.1 * ONE, solver=divide)
    state = motion.start([1.5])
    for dt in lengths:
        fresh = SecondOrder(pendulum(), ONE, 0.1 * ONE, solver=divide).step(state, dt)
        state = motion.step(state, dt)
        assert np.array_equal(state.u, fresh.u)
