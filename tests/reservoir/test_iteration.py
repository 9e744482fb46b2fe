"""Steps of a porous body by iteration, against factors and on meshes of growing size."""

import numpy as np
import pytest
import skfem

from femnn.exceptions import ConvergenceError, ParameterError
from femnn.reservoir import Conditions, DualPorousMedium, PorousMedium, PorousProblem, Well
from femnn.solvers.linear import saddle_iteration, saddle_point

SINGLE = PorousMedium(young=1e9, poisson=0.2, permeability=1e-14)
DUAL = DualPorousMedium(
    young=1e9, poisson=0.3, permeability=1e-13, macro_fraction=0.4, micro_permeability=1e-17, exchange=1e-15
)


def box(n):
    """A distorted box of n³ cells, 10 m wide and 4 m high."""
    mesh = skfem.MeshHex.init_tensor(np.linspace(0, 10, n + 1), np.linspace(0, 10, n + 1), np.linspace(0, 4, n + 1))
    inner = np.ones(mesh.nvertices, dtype=bool)
    inner[mesh.boundary_nodes()] = False
    moves = np.random.default_rng(n).uniform(-0.1, 0.1, mesh.p.shape) * np.array([[10.0], [10.0], [4.0]]) / n
    mesh = type(mesh)(mesh.p + moves * inner, mesh.t)
    return mesh.with_boundaries(
        {"bottom": lambda x: x[2] == 0.0, "top": lambda x: x[2] == 4.0, "left": lambda x: x[0] == 0.0}
    )


def problem(n, medium, method, **conditions):
    given = {
        "displacement": {"bottom": (0.0, 0.0, 0.0), "left": (0.0, None, None)},
        "traction": {"top": (0.0, 0.0, -1e6)},
        "pressure": {"top": 0.0},
        **conditions,
    }
    return PorousProblem(box(n), medium, Conditions(**given), method=method)


@pytest.fixture
def iterations(monkeypatch):
    """Numbers of iterations of MINRES, call by call."""
    counts, iterate = [], saddle_iteration.SaddleIteration._iterate

    def counted(self, right):
        step, count = iterate(self, right)
        counts.append(count)
        return step, count

    monkeypatch.setattr(saddle_iteration.SaddleIteration, "_iterate", counted)
    return counts


@pytest.mark.parametrize(
    ("medium", "conditions"),
    [
        (SINGLE, {"wells": (Well((6.0, 4.0, 1.0), 1e-5),)}),
        (DUAL, {}),
        (SINGLE, {"rigid": {"top": 2}}),
    ],
    ids=["one system and a well", "two systems", "a rigid plate"],
)
def test_steps_are_those_of_factors(medium, conditions, iterations):
    factored, iterated = (problem(3, medium, method, **conditions) for method in ("splu", "minres"))
    states = []
    for body in (factored, iterated):
        state = body.undrained()
        for dt in (60.0, 3600.0, 3600.0):
            old, state = state, body.step(state, dt)
        states.append(state)
        assert body.balance(old, state).error.max() < 1e-9, "what flows in stays or flows out"
    assert iterations, "the second one iterated"
    expected, found = states
    np.testing.assert_allclose(found.u, expected.u, atol=1e-8 * np.abs(expected.u).max())
    np.testing.assert_allclose(found.p, expected.p, atol=1e-8 * np.abs(expected.p).max())


def test_iterations_grow_with_neither_the_mesh_nor_the_step(iterations):
    most = []
    for n in (4, 6):
        body = problem(n, DUAL, "minres")
        state = body.undrained()
        for dt in (1e-3, 1e3, 1e9):
            state = body.step(state, dt)
        most.append(max(iterations))
        iterations.clear()
    assert most[1] < 1.3 * most[0]
    assert max(most) < 90


def test_the_method_is_chosen_by_size(monkeypatch, iterations):
    body = problem(2, SINGLE, "auto")
    body.undrained()
    assert not iterations
    monkeypatch.setattr(saddle_point, "FEW_OF_SADDLE", 100)
    problem(2, SINGLE, "auto").undrained()
    assert iterations
    with pytest.raises(ParameterError, match="method='gmres'"):
        problem(2, SINGLE, "gmres")


def test_an_iteration_that_does_not_converge_says_so(monkeypatch):
    monkeypatch.setattr(saddle_iteration, "_MOST_ITERATIONS", 2)
    with pytest.raises(ConvergenceError, match=r"after 2 \+ 2.*iterations.*pass method='splu'"):
        problem(2, SINGLE, "minres").undrained()
