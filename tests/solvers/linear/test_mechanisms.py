"""Bodies that are held but can move all the same: the error says whether a part moves as a rigid body or deforms."""

import functools

import numpy as np
import pytest
import skfem
from scipy.sparse import csr_matrix

import femnn
from femnn.exceptions import SingularMatrixError


def hinged(n):
    """Two cubes that share one edge, the left one held, and the degrees of freedom of the other."""
    cube = skfem.MeshHex.init_tensor(*[np.linspace(0.0, 1.0, n + 1)] * 3)
    places = np.concatenate([cube.p, cube.p + np.array([[1.0], [1.0], [0.0]])], axis=1)
    points, place = np.unique(places.T.round(9), axis=0, return_inverse=True)
    mesh = skfem.MeshHex(
        np.ascontiguousarray(points.T), place.ravel()[np.concatenate([cube.t, cube.t + cube.p.shape[1]], axis=1)]
    )
    return mesh.with_boundaries({"left": lambda x: x[0] == 0.0, "right": lambda x: x[0] == 2.0})


@pytest.mark.parametrize("method", ["splu", "auto", "cg"])
def test_a_part_on_a_hinge_is_named_as_such(method):
    mesh = hinged(2)
    K = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(2), 1e9, 0.3)
    loads = femnn.Loads(mesh).fix("left").resultant("right", [0.0, 1e3, 0.0])
    with pytest.raises(SingularMatrixError, match="a rigid motion of a part: it hangs on a hinge") as caught:
        femnn.solve(K, loads.force, loads.fixed, points=mesh, method=method)
    x = mesh.p[:, np.asarray(caught.value.dofs) // 3]
    assert (x[:2] >= 1.0).all()


def test_hourglass_modes_are_named_as_such():
    mesh = skfem.MeshHex.init_tensor(*[np.linspace(0.0, 1.0, 4)] * 3).with_boundaries(
        {name: lambda x, i=i: x[i] == 0.0 for i, name in enumerate("xyz")}
    )
    loads = femnn.Loads(mesh).symmetry("x").symmetry("y").symmetry("z")
    K = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(1), 1e9, 0.3)
    load = np.random.default_rng(0).normal(size=K.shape[0])
    with pytest.raises(SingularMatrixError, match=r"a zero-energy mode \(hourglass\), as too few integration points"):
        femnn.solve(K, load, loads.fixed, points=mesh)


class Linear(femnn.NonlinearProblem):
    """A constant stiffness."""

    def __init__(self, matrix, mesh):
        self.matrix, self.points, self.evaluations = matrix, mesh, 0

    def residual_and_tangent(self, u):
        self.evaluations += 1
        return self.matrix @ u, self.matrix


def test_newton_says_at_once_that_the_body_is_a_mechanism():
    mesh = hinged(1)
    problem = Linear(femnn.assemble_elasticity(mesh, femnn.GaussLegendre(2), 1e9, 0.3), mesh)
    loads = femnn.Loads(mesh).fix("left").resultant("right", [0.0, 1e3, 0.0])
    with pytest.raises(SingularMatrixError, match="hangs on a hinge"):
        femnn.newton(problem, loads.force, loads.fixed, progress=False)
    # not after twenty cuts of the step
    assert problem.evaluations <= 2


class Softening(femnn.NonlinearProblem):
    """A spring whose force has its maximum, 1, at an elongation of 1."""

    def residual_and_tangent(self, u):
        x = np.clip(u[0], -1e3, 1e3)  # far beyond, where Newton's method may try
        force = 2.0 * x / (1.0 + x**2)
        return np.array([force]), csr_matrix([[2.0 * (1.0 - x**2) / (1.0 + x**2) ** 2]])


def test_newton_says_that_there_is_no_equilibrium_beyond_a_limit_load():
    solver = functools.partial(femnn.solve, method="splu")
    with pytest.raises(
        femnn.ConvergenceError, match=r"no equilibrium exists beyond t = 0\.\d+, a limit load"
    ) as caught:
        femnn.newton(Softening(), np.array([1.25]), steps=4, solver=solver, progress=False)
    assert 1.25 * caught.value.t == pytest.approx(1.0, rel=1e-4)
    # below the limit there is nothing to say
    assert femnn.newton(Softening(), np.array([0.99]), steps=4, solver=solver, progress=False).t == 1.0
