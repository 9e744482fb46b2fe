"""Least-squares Petrov-Galerkin: the least residual, stable where Galerkin's projection is not, and on few cells."""

import numpy as np
import pytest
import skfem
from skfem.helpers import dot, grad

import femnn
from femnn.exceptions import ParameterError
from femnn.reduced import POD, EmpiricalCubature, FormProblem, ReducedProblem, Snapshots, solve_dense
from femnn.validation import ReducedBeam

MESH = skfem.MeshQuad().refined(3).with_defaults()


@skfem.LinearForm
def carried(v, w):
    """A wind along x that grows with what it carries."""
    return w["viscosity"] * dot(grad(w["u"]), grad(v)) + (1.0 + w["u"]) * grad(w["u"])[0] * v


@skfem.BilinearForm
def derivative(u, v, w):
    wind = (1.0 + w["u"]) * grad(u)[0] + u * grad(w["u"])[0]
    return w["viscosity"] * dot(grad(u), grad(v)) + wind * v


@skfem.LinearForm
def straight(v, w):
    return grad(w["u"])[0] * v


@skfem.BilinearForm
def straight_derivative(u, v, w):
    return grad(u)[0] * v


def wind(viscosity=0.05):
    rule = femnn.GaussLegendre(3)
    return FormProblem(MESH, skfem.ElementQuad1(), rule, carried, derivative, parameters={"viscosity": viscosity})


PROBLEM = wind()
HELD = PROBLEM.bases[0].get_dofs("left").all()
LOAD = skfem.asm(skfem.LinearForm(lambda v, w: np.exp(-20.0 * ((w.x[0] - 0.3) ** 2 + (w.x[1] - 0.5) ** 2)) * v),
                 PROBLEM.bases)  # fmt: skip


@pytest.fixture(scope="module")
def snapshots():
    found = Snapshots(PROBLEM)
    femnn.newton(PROBLEM, 8.0 * LOAD, HELD, steps=8, callback=found.record, progress=False)
    return found


def solved(reduced):
    return reduced.lift(femnn.newton(reduced, np.zeros(reduced.n_dofs), steps=1, solver=solve_dense, progress=False).u)


def residual(u, load=LOAD):
    away = PROBLEM.internal_force(u) - load
    away[HELD] = 0.0
    return float(np.linalg.norm(away))


def test_the_residual_is_the_least_of_all_states_of_the_basis(snapshots):
    pod = POD.fit(snapshots, modes=2, fixed=HELD)
    load = 4.5 * LOAD
    reduced = ReducedProblem(PROBLEM, pod, projection="least-squares", force=load)
    u = solved(reduced)
    least, q = residual(u, load), pod.project(u)
    for step in 1e-3 * np.abs(q).max() * np.concatenate([np.eye(2), -np.eye(2)]):
        assert residual(pod.lift(q + step), load) > least
    galerkin = ReducedProblem(PROBLEM, pod)
    path = femnn.newton(galerkin, galerkin.load(load), steps=1, solver=solve_dense, progress=False)
    assert residual(galerkin.lift(path.u), load) > least


def test_a_linear_problem_has_the_solution_of_linear_least_squares():
    problem = FormProblem(MESH, skfem.ElementQuad1(), femnn.GaussLegendre(2), straight, straight_derivative)
    modes = np.random.default_rng(0).standard_normal((problem.n_dofs, 4))
    modes[HELD] = 0.0
    pod = POD.fit(modes, modes=4, fixed=HELD)
    u = solved(ReducedProblem(problem, pod, projection="least-squares", force=LOAD))
    free = np.setdiff1d(np.arange(len(u)), HELD)
    matrix = problem.derivative(u) @ pod.modes
    expected = pod.modes @ np.linalg.lstsq(matrix[free], LOAD[free])[0]
    np.testing.assert_allclose(u, expected, atol=1e-10 * np.abs(expected).max())


def test_it_is_stable_where_galerkins_tangent_vanishes():
    """Of advection alone, the work of a mode that is zero at inflow and outflow on itself is nothing."""
    problem = FormProblem(MESH, skfem.ElementQuad1(), femnn.GaussLegendre(2), straight, straight_derivative)
    x, y = problem.bases[0].doflocs
    bump = x * (1.0 - x) * (1.0 + y)
    ends = problem.bases[0].get_dofs({"left", "right"}).all()
    pod = POD.fit(np.stack([bump, 2.0 * bump + 1e-3 * x * (1.0 - x)], axis=1), modes=1, fixed=ends)
    force = problem.internal_force(3.0 * pod.modes[:, 0])
    galerkin = ReducedProblem(problem, pod)
    assert abs(galerkin.residual_and_tangent(np.ones(1))[1].toarray()[0, 0]) < 1e-12
    reduced = ReducedProblem(problem, pod, projection="least-squares", force=force)
    np.testing.assert_allclose(pod.project(solved(reduced)), 3.0, rtol=1e-10)


def test_a_few_cells_give_nearly_the_same(snapshots):
    pod = POD.fit(snapshots, modes=3, fixed=HELD)
    load, options = 5.3 * LOAD, {"projection": "least-squares"}
    cubature = EmpiricalCubature.fit(
        PROBLEM, pod, snapshots, by="cells", tol=1e-3, force=load, progress=False, **options
    )
    assert len(cubature.cells) < 0.6 * MESH.nelements
    full = solved(ReducedProblem(PROBLEM, pod, force=load, **options))
    sampled = ReducedProblem(PROBLEM, pod, cubature, force=load, **options)
    assert np.linalg.norm(solved(sampled) - full) < 1e-2 * np.linalg.norm(full)
    assert "least squares of forms in" in repr(sampled)
    # all cells, as a rule of its own, are the whole
    whole = ReducedProblem(PROBLEM, pod, femnn.GaussLegendre(3), force=load, **options)
    np.testing.assert_allclose(solved(whole), full, atol=1e-9)


def test_what_is_refused(snapshots, tmp_path):
    pod = POD.fit(snapshots, modes=3, fixed=HELD)
    cubature = EmpiricalCubature.fit(PROBLEM, pod, snapshots, by="cells", tol=1e-2, progress=False)
    cubature = EmpiricalCubature.load(cubature.save(tmp_path / "cubature"))
    with pytest.raises(ParameterError, match="made for projection='galerkin'"):
        ReducedProblem(PROBLEM, pod, cubature, projection="least-squares")
    with pytest.raises(ParameterError, match="force= is for"):
        ReducedProblem(PROBLEM, pod, force=LOAD)
    with pytest.raises(ParameterError, match="force= is for"):
        EmpiricalCubature.fit(PROBLEM, pod, snapshots, by="cells", force=LOAD)
    with pytest.raises(ParameterError, match="no fixed projection"):
        ReducedProblem(PROBLEM, pod, projection="least-squares").load(LOAD)
    with pytest.raises(ParameterError, match="projection"):
        ReducedProblem(PROBLEM, pod, projection="petrov")
    solid = ReducedBeam((2, 1, 1)).solid
    columns = np.random.default_rng(0).standard_normal((solid.n_dofs, 3))
    basis = POD.fit(columns, modes=2)
    with pytest.raises(ParameterError, match="take a FormProblem"):
        ReducedProblem(solid, basis, projection="least-squares")
    with pytest.raises(ParameterError, match=r"take a femnn\.reduced\.FormProblem"):
        EmpiricalCubature.fit(solid, basis, columns, projection="least-squares")
