"""Embedded strong discontinuities: patch tests, tangents, and the conforming interface on the same problems."""

import functools

import numpy as np
import pytest
import skfem
from support.fault_problems import Springs

import femnn
from femnn.exceptions import ConvergenceError, MeshError, ParameterError
from femnn.interfaces import EmbeddedCrack, EmbeddedElements, EmbeddedProblem, elastic_stiffness

YOUNG, POISSON = 10e9, 0.25
SOLVER = functools.partial(femnn.solve, method="splu")


def irregular(dim):
    """A mesh of cells that are no parallelepipeds."""
    line, kind = np.linspace(0.0, 1.0, 6 if dim == 2 else 4), skfem.MeshQuad if dim == 2 else skfem.MeshHex
    mesh = kind.init_tensor(*[line] * dim)
    inner = ((mesh.p > 0.0) & (mesh.p < 1.0)).all(axis=0)
    p = mesh.p.copy()
    p[:, inner] += 0.03 * np.random.default_rng(3).uniform(-1.0, 1.0, (dim, inner.sum()))
    return kind(p, mesh.t)


def oblique(dim):
    """A crack across that mesh, and which vertices are behind it."""
    mesh = irregular(dim)
    if dim == 2:
        start = np.array([0.33, -1.0])
        crack = EmbeddedCrack.line(mesh, start, (0.71, 2.0))
    else:
        start = np.array([0.5, 0.45, 0.52])
        crack = EmbeddedCrack.plane(mesh, start, (0.3, 0.2, 1.0))
    return crack, crack.normal @ (mesh.p - start[:, None]) > 0.0


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("modes", ["constant", "linear"])
def test_halves_that_move_apart_have_no_stress(dim, modes):
    crack, behind = oblique(dim)
    elements = EmbeddedElements(crack, YOUNG, POISSON, modes)
    u = np.zeros_like(crack.mesh.p)
    moved = 0.02 * crack.normal + 0.01 * np.eye(dim)[0]
    u[:, behind] = moved[:, None]
    turning = np.zeros((dim, dim))
    if modes == "linear":
        # and turn, too
        turning[0, 1], turning[1, 0] = -0.004, 0.004
        turning[-1, 0], turning[0, -1] = 0.006, -0.006
        u[:, behind] += turning @ crack.mesh.p[:, behind]
    problem = EmbeddedProblem([(elements, femnn.ContactCohesive(1e12))], YOUNG, POISSON)
    force, _ = problem.residual_and_tangent(u.T.ravel())
    assert np.abs(force).max() < 1e-12 * YOUNG
    problem.commit()
    # of elements whose crack cuts off less than an edge only the mean of the jump is told
    jump = (moved + crack.centre @ turning.T) @ elements.frame.T
    share = elements.dx / elements.dx.sum(axis=1, keepdims=True)
    found = np.einsum("nq,nqj->nj", share, problem.separations()[0].reshape(*share.shape, 3))
    least = np.minimum(crack.plus.sum(axis=1), (~crack.plus).sum(axis=1)) > dim - 1
    np.testing.assert_allclose(found[least], jump[least], atol=1e-12)


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("modes", ["constant", "linear"])
def test_uniform_stress_goes_through_an_elastic_crack(dim, modes):
    crack, behind = oblique(dim)
    stiffness = 7e9
    problem = EmbeddedProblem([(EmbeddedElements(crack, YOUNG, POISSON, modes), Springs(stiffness))], YOUNG, POISSON)
    strain = 1e-3 * np.array([[1.0, 0.4, 0.2], [0.4, -0.3, 0.1], [0.2, 0.1, 0.5]])[:dim, :dim]
    shear = YOUNG / (2.0 * (1.0 + POISSON))
    lame = 2.0 * shear * POISSON / (1.0 - 2.0 * POISSON)
    stress = 2.0 * shear * strain + lame * np.trace(strain) * np.eye(dim)
    u = strain @ crack.mesh.p + (stress @ crack.normal / stiffness)[:, None] * behind
    force = problem.residual_and_tangent(u.T.ravel())[0].reshape(-1, dim)
    inner = ((crack.mesh.p > 0.0) & (crack.mesh.p < 1.0)).all(axis=0)
    assert np.abs(force[inner]).max() < 1e-12 * np.abs(force).max()
    problem.commit()
    wanted = np.pad(stress @ crack.normal, (0, 0)) @ problem.cracks[0][0].frame.T
    np.testing.assert_allclose(
        problem.tractions[0], np.tile(wanted, (len(problem.tractions[0]), 1)), rtol=1e-9, atol=1e-3
    )


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("modes", ["constant", "linear"])
def test_tangent_is_the_derivative_of_the_force(dim, modes):
    crack, behind = oblique(dim)
    law = femnn.BilinearCohesive(4e6, 5e6, 4e3, 5e3, friction=0.4, stiffness=5e11)
    problem = EmbeddedProblem([(EmbeddedElements(crack, YOUNG, POISSON, modes), law)], YOUNG, POISSON)
    random = np.random.default_rng(5)
    u = 2e-4 * random.normal(size=crack.mesh.p.shape) + 1e-3 * np.eye(dim)[0][:, None] * behind
    u = u.T.ravel()
    problem.residual_and_tangent(0.7 * u)
    problem.commit()
    damage = law.damage(problem.states[0])
    assert 0.1 < (damage > 0.0).mean() <= 1.0
    way = random.normal(size=u.size)
    h = 1e-9
    difference = (problem.internal_force(u + h * way) - problem.internal_force(u - h * way)) / (2.0 * h)
    force, tangent = problem.residual_and_tangent(u)
    np.testing.assert_allclose(tangent @ way, difference, atol=1e-5 * np.abs(difference).max())
    np.testing.assert_array_equal(force, problem.internal_force(u))
    # what was tried is forgotten
    problem.rollback()
    problem.commit()
    np.testing.assert_array_equal(law.damage(problem.states[0]), damage)


def bar(law, embedded):
    """Forces at the end of a bar that is pulled, in equal steps; the crack is in an element or between two."""
    mesh = skfem.MeshQuad.init_tensor(np.linspace(0.0, 0.1, 6 if embedded else 7), np.array([0.0, 0.01]))
    if embedded:
        crack = EmbeddedCrack.line(mesh, (0.048, 1.0), (0.048, -1.0))
        problem = EmbeddedProblem([(EmbeddedElements(crack, YOUNG, 1e-9), law)], YOUNG, 1e-9)
    else:
        facets = np.flatnonzero(np.abs(mesh.p[0, mesh.facets] - 0.05).max(axis=0) < 1e-9)
        interface = femnn.Interface.split(mesh, facets)
        mesh = interface.mesh
        problem = femnn.CohesiveProblem(
            elastic_stiffness(mesh, YOUNG, 1e-9), [(femnn.InterfaceElements(interface), law)]
        )  # fmt: skip
    left, right = np.flatnonzero(mesh.p[0] == 0.0), np.flatnonzero(mesh.p[0] == 0.1)
    fixed = np.concatenate([2 * left, 2 * left + 1, 2 * right + 1, 2 * right])
    values = np.concatenate([np.zeros(6), np.full(2, 1.2e-3)])
    order, forces = np.argsort(fixed), []
    femnn.newton(
        problem,
        np.zeros(2 * mesh.nvertices),
        fixed[order],
        values[order],
        steps=24,
        solver=SOLVER,
        progress=False,
        callback=lambda step: forces.append((step.t * 1.2e-3, step.force[2 * right].sum() / 0.01)),
    )
    return np.array(forces).T


def test_a_bar_softens_as_by_hand_and_as_with_an_interface():
    law = femnn.BilinearCohesive(2e6, 3e6, 1e3, 1.5e3, stiffness=1e11)
    pulled, stress = bar(law, embedded=True)
    np.testing.assert_allclose(bar(law, embedded=False)[1], stress, rtol=1e-6, atol=1.0)
    # elastic bar and crack in a row, then the line from (onset, strength) to (2 GIc/strength, 0)
    onset, end = 2e6 / 1e11, 2.0 * 1e3 / 2e6
    elastic = pulled / (0.1 / YOUNG + 1.0 / 1e11)
    softening = (end - pulled) / ((end - onset) / 2e6 - 0.1 / YOUNG)
    expected = np.where(elastic < 2e6, elastic, np.maximum(softening, 0.0))
    np.testing.assert_allclose(stress, expected, rtol=1e-6, atol=10.0)
    assert stress[-1] < 10.0 < 1.5e6 < stress.max()


SLOPE = 0.35


def sheared(n, law, modes=None):
    """A block that is pressed, sheared and bent, with an oblique fault: reactions on its top, slip along the fault.

    Without modes the mesh follows the fault, which is an interface.
    """
    line = np.linspace(0.0, 1.0, n + 1)
    mesh = skfem.MeshQuad.init_tensor(line, line)
    if modes is None:
        facets = np.flatnonzero(np.abs(mesh.p[1, mesh.facets] - 0.5).max(axis=0) < 1e-9)
        bent = mesh.p[1] + SLOPE * (mesh.p[0] - 0.5) * (1.0 - 2.0 * np.abs(mesh.p[1] - 0.5))
        interface = femnn.Interface.split(skfem.MeshQuad(np.array([mesh.p[0], bent]), mesh.t), facets)
        mesh, elements = interface.mesh, femnn.InterfaceElements(interface)
        problem = femnn.CohesiveProblem(elastic_stiffness(mesh, YOUNG, POISSON), [(elements, law)])
    else:
        crack = EmbeddedCrack.line(mesh, (-0.5, 0.5 - SLOPE), (1.5, 0.5 + SLOPE))
        elements = EmbeddedElements(crack, YOUNG, POISSON, modes)
        problem = EmbeddedProblem([(elements, law)], YOUNG, POISSON)
    bottom, top = np.flatnonzero(mesh.p[1] == 0.0), np.flatnonzero(mesh.p[1] == 1.0)
    fixed = np.concatenate([2 * bottom, 2 * bottom + 1, 2 * top, 2 * top + 1])
    down = -4e-4 * (1.0 + 0.5 * mesh.p[0, top])
    values = np.concatenate([np.zeros(2 * len(bottom)), np.full(len(top), 3e-4), down])
    order = np.argsort(fixed)
    zero = np.zeros(2 * mesh.nvertices)
    path = femnn.newton(problem, zero, fixed[order], values[order], steps=4, solver=SOLVER, progress=False)
    force = problem.internal_force(path.u)
    separation = elements.separation(path.u) if modes is None else problem.separations()[0]
    x, dx = elements.x.reshape(-1, 2)[:, 0], elements.dx.ravel()
    order = np.argsort(x)
    return np.array([force[2 * top].sum(), force[2 * top + 1].sum()]), x[order], dx[order], separation[order, :2]


def missed(found, wanted):
    """Relative L2 errors of opening and sliding."""
    _, x, dx, separation = found
    exact = np.stack([np.interp(x, wanted[1], own) for own in wanted[3].T], axis=1)
    return np.sqrt(dx @ (separation - exact) ** 2 / (dx @ exact**2))


@pytest.mark.parametrize("law", [
    Springs(2e10), femnn.BilinearCohesive(2e6, 3e6, 2e3, 3e3, friction=0.4, stiffness=2e11)
], ids=["elastic", "friction"])  # fmt: skip
def test_an_oblique_fault_slides_as_with_an_interface(law):
    wanted = sheared(60, law)
    errors = {}
    for n, modes in ((7, "linear"), (31, "linear"), (31, "constant"), (30, None)):
        found = sheared(n, law, modes)
        errors[n, modes] = missed(found, wanted)
        if n >= 30:
            np.testing.assert_allclose(found[0], wanted[0], rtol=5e-3)
    assert errors[31, "linear"].max() < 0.015
    # first order or better, from 7 to 31 elements along a side; jumps that turn are better than those that do not
    assert (errors[31, "linear"] < 0.35 * errors[7, "linear"]).all()
    assert (errors[31, "linear"] < 0.8 * errors[31, "constant"]).all()
    # an interface is better on as many cells
    assert 3.0 < (errors[31, "linear"] / errors[30, None]).min() < 12.0


def test_a_crack_may_end_inside():
    mesh = skfem.MeshQuad.init_tensor(*[np.linspace(0.0, 1.0, 11)] * 2)
    crack = EmbeddedCrack.line(mesh, (0.33, 0.45), (0.67, 0.45))
    # of 0.33 to 0.67 only whole elements are cut
    assert crack.dx.sum() == pytest.approx(0.2)
    np.testing.assert_allclose([crack.x[..., 0].min(), crack.x[..., 0].max()], [0.4, 0.6], atol=0.03)
    np.testing.assert_allclose(crack.normal, [0.0, 1.0])
    assert (mesh.p[1, mesh.t[:, crack.elements]].T > 0.45).tolist() == crack.plus.tolist()
    assert EmbeddedCrack.line(mesh, (-1.0, 0.45), (2.0, 0.45)).dx.sum() == pytest.approx(1.0)
    cube = skfem.MeshHex.init_tensor(*[np.linspace(0.0, 1.0, 4)] * 3)
    # a plane along the diagonal of the unit cube: its hexagon
    plane = EmbeddedCrack.plane(cube, (0.51, 0.5, 0.5), (1.0, 1.0, 1.0))
    assert plane.dx.sum() == pytest.approx(3.0 * np.sqrt(3.0) / 4.0, rel=1e-2)


def test_bad_cracks_are_refused():
    mesh = skfem.MeshQuad.init_tensor(*[np.linspace(0.0, 1.0, 5)] * 2)
    with pytest.raises(MeshError, match=r"vertex \d+ is on the crack"):
        EmbeddedCrack.line(mesh, (0.5, -1.0), (0.5, 2.0))
    with pytest.raises(MeshError, match="cuts no element through"):
        EmbeddedCrack.line(mesh, (2.1, 0.1), (3.1, 0.2))
    with pytest.raises(MeshError, match="goes through a MeshHex1"):
        EmbeddedCrack.plane(mesh, (0.5, 0.5, 0.5), (0.0, 0.0, 1.0))
    with pytest.raises(ParameterError, match="give two places"):
        EmbeddedCrack.line(mesh, (0.1, 0.1), (0.1, 0.1))
    crack = EmbeddedCrack.line(mesh, (-1.0, 0.4), (2.0, 0.45))
    other = EmbeddedCrack.line(mesh, (0.4, -1.0), (0.45, 2.0))
    law = femnn.BilinearCohesive(2e6, 3e6, 2e3, 3e3)
    with pytest.raises(ParameterError, match="modes='quadratic'"):
        EmbeddedElements(crack, YOUNG, POISSON, "quadratic")
    with pytest.raises(ParameterError, match=r"Poisson's ratio is 0\.5"):
        EmbeddedElements(crack, YOUNG, 0.5)
    cracks = [(EmbeddedElements(own, YOUNG, POISSON), law) for own in (crack, other)]
    with pytest.raises(ParameterError, match="1 elements are cut by two cracks"):
        EmbeddedProblem(cracks, YOUNG, POISSON)
    with pytest.raises(ParameterError, match="at least one"):
        EmbeddedProblem([], YOUNG, POISSON)
    elsewhere = EmbeddedCrack.line(mesh.refined(1), (0.4, -1.0), (0.45, 2.0))
    with pytest.raises(ParameterError, match="in different meshes"):
        EmbeddedProblem([cracks[0], (EmbeddedElements(elsewhere, YOUNG, POISSON), law)], YOUNG, POISSON)


def test_a_law_that_snaps_inside_an_element_is_told():
    class Broken(Springs):
        """Has an answer to nothing but rest."""

        def _update(self, separation, values):
            traction, tangent, values = super()._update(separation, values)
            return traction + 1e9 * np.where(separation < 0.0, -1.0, 1.0), tangent, values

    mesh = skfem.MeshQuad.init_tensor(*[np.linspace(0.0, 1.0, 4)] * 2)
    elements = EmbeddedElements(EmbeddedCrack.line(mesh, (-1.0, 0.4), (2.0, 0.45)), YOUNG, POISSON)
    problem = EmbeddedProblem([(elements, Broken(0.0))], YOUNG, POISSON)
    u = np.zeros((2, mesh.nvertices))
    u[1, mesh.p[1] > 0.5] = 1e-5
    with pytest.raises(ConvergenceError, match=r"the crack in element \d finds no equilibrium"):
        problem.residual_and_tangent(u.T.ravel())
