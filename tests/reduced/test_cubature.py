"""Empirical cubature keeps the contract of a rule, is exact for what it was trained on, and knows what that was."""

import numpy as np
import pytest
import skfem
from skfem.helpers import ddot, grad
from support.laws import J2, neo_hooke

import femnn
from femnn.exceptions import (
    ConvergenceError,
    DatasetError,
    FemnnWarning,
    OutsideRangeError,
    ParameterError,
    WeightFileError,
)
from femnn.reduced import POD, EmpiricalCubature, FormProblem, ReducedProblem, Snapshots, solve_dense
from femnn.validation import ReducedBeam, training_loads, unseen_loads

BEAM = ReducedBeam((8, 3, 3), steps=2)


@pytest.fixture(scope="module")
def snapshots():
    return BEAM.snapshots(training_loads(8))


@pytest.fixture(scope="module")
def basis(snapshots):
    return POD.fit(snapshots, modes=10, fixed=BEAM.held)


def cubature_of(snapshots, basis, **options):
    return EmpiricalCubature.fit(BEAM.solid, basis, snapshots, progress=False, **{"tol": 1e-3, **options})


@pytest.fixture(scope="module")
def by_points(snapshots, basis):
    return cubature_of(snapshots, basis)


@pytest.fixture(scope="module", params=["nnls", "greedy"])
def by_cells(snapshots, basis, request):
    return cubature_of(snapshots, basis, by="cells", method=request.param)


def test_groups_hold_the_chosen_cells_with_positive_weights_and_the_volume(by_points, by_cells):
    hexahedra = femnn.hexahedra(BEAM.mesh)
    for cubature in (by_points, by_cells):
        groups = cubature.groups(hexahedra)
        cells = np.concatenate([group.cells for group in groups])
        np.testing.assert_array_equal(np.sort(cells), cubature.cells)
        assert len(np.unique(cells)) == len(cells) < BEAM.mesh.nelements
        assert all((group.W > 0.0).all() for group in groups)
        bases = femnn.bases(BEAM.mesh, skfem.ElementHex1(), cubature)
        assert sum(basis.dx.sum() for basis in bases) == pytest.approx(8.0, rel=1e-12)
        assert sum(group.n_points for group in groups) == cubature.n_points
        assert cubature.residual <= 1e-3
    assert by_points.n_points < by_cells.n_points
    # whole cells keep their eight points
    assert by_cells.n_points == 8 * len(by_cells.cells)


def test_forces_of_training_states_are_kept_as_promised(snapshots, basis):
    cubature = cubature_of(snapshots, basis, measure="force")
    reduced, full = (ReducedProblem(BEAM.solid, basis, rule) for rule in (cubature, None))
    states = basis.project(snapshots.matrix())
    forces = np.stack([full.internal_force(q) for q in states.T])
    missed = np.stack([reduced.internal_force(q) for q in states.T]) - forces
    error = np.linalg.norm(missed) / np.linalg.norm(forces)
    assert error <= cubature.residual + cubature.report["lost"]
    assert error == pytest.approx(cubature.residual, rel=0.2)


def test_random_combinations_stand_for_all_integrals(snapshots, basis):
    options = {"measure": "force", "combinations": 120, "tol": 1e-2}
    cubature = cubature_of(snapshots, basis, **options)
    reduced, full = (ReducedProblem(BEAM.solid, basis, rule) for rule in (cubature, None))
    states = basis.project(snapshots.matrix())
    forces = np.stack([full.internal_force(q) for q in states.T])
    missed = np.stack([reduced.internal_force(q) for q in states.T]) - forces
    error = np.linalg.norm(missed) / np.linalg.norm(forces)
    # it is told from combinations that the search did not see
    assert error < 2.0 * cubature.residual <= 2.0 * cubature.report["tol"]
    np.testing.assert_array_equal(cubature_of(snapshots, basis, **options).cells, cubature.cells)


def test_solutions_under_unseen_loads_are_those_of_the_full_problem(snapshots, basis, by_points, by_cells):
    for load in unseen_loads(2):
        expected = BEAM.solve(load)[0].u
        for cubature in (by_points, by_cells):
            problem = ReducedProblem(BEAM.solid, basis, cubature, on_outside="ignore")
            path = femnn.newton(
                problem, problem.load(BEAM.force(load)), steps=2, solver=solve_dense, rtol=1e-8, progress=False
            )
            error = np.linalg.norm(problem.lift(path.u) - expected) / np.linalg.norm(expected)
            assert error < 2e-2


def test_a_saved_cubature_is_the_same(by_points, tmp_path):
    again = EmpiricalCubature.load(by_points.save(tmp_path / "cubature"))
    hexahedra = femnn.hexahedra(BEAM.mesh)
    for one, other in zip(again.groups(hexahedra), by_points.groups(hexahedra), strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
    assert (again.residual, again.report, again.trained_on) == (
        by_points.residual,
        by_points.report,
        by_points.trained_on,
    )
    assert "points in" in str(again)
    with pytest.raises(WeightFileError, match="is of kind"):
        EmpiricalCubature.load("cohesive-default")


def test_another_mesh_law_rule_or_basis_is_refused(snapshots, basis, by_points):
    other_mesh = ReducedBeam((8, 3, 3), seed=1)
    with pytest.raises(ParameterError, match="made for one mesh"):
        by_points.groups(femnn.hexahedra(other_mesh.mesh))
    with pytest.raises(ParameterError, match="made for one mesh"):
        femnn.bases(skfem.MeshHex().refined(1), skfem.ElementHex1(), by_points)
    law = femnn.PointLaw(neo_hooke, (1.0, 1.0), kinematics="finite")
    for solid, modes, message in (
        (femnn.Solid(BEAM.mesh, femnn.GaussLegendre(2), law), basis, "another law"),
        (femnn.Solid(BEAM.mesh, femnn.GaussLegendre(3), BEAM.solid.law), basis, "another rule"),
        (other_mesh.solid, basis, "another mesh"),
        (ReducedBeam((4, 3, 3)).solid, basis, "unknowns"),
        (BEAM.solid, POD.fit(snapshots, modes=9), "other modes"),
        (femnn.Solid(BEAM.mesh, femnn.GaussLegendre(2), BEAM.solid.law, formulation="mean-dilatation"), basis, "form"),
    ):
        with pytest.raises(ParameterError, match=message):
            ReducedProblem(solid, modes, by_points)
    # the first modes of the basis are a basis, too
    assert ReducedProblem(BEAM.solid, basis.truncated(6), by_points).n_dofs == 6


def test_snapshots_of_another_mesh_or_too_few_are_refused(snapshots, basis):
    other = ReducedBeam((8, 3, 3), seed=1)
    with pytest.raises(DatasetError, match="another mesh"):
        EmpiricalCubature.fit(other.solid, basis, snapshots, progress=False)
    with pytest.raises(ParameterError, match="no snapshots"):
        cubature_of(Snapshots(BEAM.solid), basis)
    with pytest.raises(ParameterError, match="unknowns"):
        cubature_of(np.zeros((5, 3)), basis)
    for options in ({"by": "faces"}, {"method": "best"}, {"measure": "work"}, {"tol": 0.0}, {"on_unmet": "skip"}):
        with pytest.raises(ParameterError):
            cubature_of(snapshots, basis, **options)
    with pytest.raises(ParameterError, match="is not the rule"):
        cubature_of(snapshots, basis, rule=femnn.GaussLegendre(3))
    with pytest.raises(ParameterError, match="the problem is"):
        EmpiricalCubature.fit(3, basis, snapshots, progress=False)


def test_a_tolerance_that_cannot_be_met_is_an_error_or_the_best_rule(snapshots, basis):
    with pytest.raises(ConvergenceError, match="the best rule found") as caught:
        cubature_of(snapshots, basis, tol=1e-4, most=6)
    assert isinstance(caught.value.x, EmpiricalCubature)
    with pytest.warns(FemnnWarning, match="the best rule found"):
        best = cubature_of(snapshots, basis, tol=1e-4, most=6, on_unmet="warn")
    assert best.n_points <= 6
    assert best.residual > 1e-4


def test_states_outside_the_range_are_flagged(basis, by_points):
    force = 3.0 * BEAM.force(np.array([1.0, 0.0, 0.0]))

    def solved(on_outside):
        problem = ReducedProblem(BEAM.solid, basis, by_points, on_outside=on_outside)
        femnn.newton(problem, problem.load(force), steps=4, solver=solve_dense, progress=False)
        return problem

    with pytest.warns(FemnnWarning, match="left the range") as caught:
        assert solved("warn").outside > 0
    assert len(caught) == 1
    with pytest.raises(OutsideRangeError):
        solved("raise")
    assert solved("ignore").outside > 0


# --- integrals that a function gives


def test_the_integrals_of_a_function_are_summed_by_few_cells():
    x = np.linspace(0.0, 1.0, 200)
    shapes = np.stack([np.sin(np.pi * x), x * (1.0 - x)], axis=1)
    pod = POD.fit(shapes @ np.random.default_rng(0).normal(size=(2, 6)), modes=2)

    def integrals(u):
        return pod.modes.T * (u + u**3)

    cubature = EmpiricalCubature.fit(integrals, pod, shapes, by="cells", tol=1e-6, measure="force", progress=False)
    assert len(cubature.cells) < 12
    for u in shapes.T:
        found = integrals(u)[:, cubature.cells] @ cubature.weights
        np.testing.assert_allclose(found, integrals(u).sum(axis=1), rtol=1e-4)
    with pytest.raises(ParameterError, match="knows no mesh"):
        cubature.groups(femnn.hexahedra(skfem.MeshHex()))
    with pytest.raises(ParameterError, match="pass by='cells'"):
        EmpiricalCubature.fit(integrals, pod, shapes, progress=False)
    with pytest.raises(ParameterError, match="gives shape"):
        EmpiricalCubature.fit(lambda u: u, pod, shapes, by="cells", progress=False)


# --- forms


@skfem.LinearForm
def force_form(v, w):
    gradient = grad(w["u"])
    return (1.0 + ddot(gradient, gradient)) * ddot(gradient, grad(v))


@skfem.BilinearForm
def tangent_form(u, v, w):
    gradient = grad(w["u"])
    slope = 2.0 * ddot(gradient, grad(u)) * ddot(gradient, grad(v))
    return (1.0 + ddot(gradient, gradient)) * ddot(grad(u), grad(v)) + slope


@pytest.mark.parametrize("mesh", [skfem.MeshQuad().refined(3), skfem.MeshQuad2.from_mesh(skfem.MeshQuad().refined(3))])
def test_forms_are_reduced_on_straight_and_curved_cells(mesh):
    element = skfem.ElementVector(skfem.ElementQuad2())
    problem = FormProblem(mesh, element, femnn.GaussLegendre(3), force_form, tangent_form)
    held = problem.bases[0].get_dofs(lambda x: x[0] == 0.0).all()
    unit = np.stack(
        [skfem.asm(skfem.LinearForm(lambda v, w, k=k: v[k] * w.x[1]), problem.bases) for k in range(2)], axis=1
    )  # fmt: skip
    snapshots = Snapshots(problem)
    for load in ([1.0, 0.2], [0.3, 1.0], [-0.5, 0.8]):
        snapshots.begin()
        femnn.newton(problem, unit @ load, held, steps=3, callback=snapshots.record, progress=False)
    pod = POD.fit(snapshots, modes=6, fixed=held)
    cubature = EmpiricalCubature.fit(problem, pod, snapshots, by="cells", tol=1e-5, progress=False)
    assert len(cubature.cells) < 0.5 * mesh.nelements
    reduced = ReducedProblem(problem, pod, cubature)
    load = unit @ [0.6, 0.5]
    expected = femnn.newton(problem, load, held, steps=1, progress=False).u
    q = femnn.newton(reduced, reduced.load(load), steps=1, progress=False).u
    assert np.linalg.norm(reduced.lift(q) - expected) < 5e-3 * np.linalg.norm(expected)
    # the user's own loop: scikit-fem's forms on the bases of the cubature
    bases = femnn.bases(mesh, element, cubature)
    own = pod.modes.T @ skfem.asm(force_form, bases, u=pod.lift(q))
    np.testing.assert_allclose(own, reduced.internal_force(q), rtol=1e-10, atol=1e-13)
    other = FormProblem(mesh, element, femnn.GaussLegendre(3), skfem.LinearForm(lambda v, w: v[0]), tangent_form)
    with pytest.raises(ParameterError, match="another law"):
        ReducedProblem(other, pod, cubature)
    with pytest.raises(ParameterError, match="by='cells'"):
        EmpiricalCubature.fit(problem, pod, snapshots, progress=False)


# --- laws with memory


def test_plastic_bodies_keep_a_state_at_the_chosen_points_alone():
    mesh = skfem.MeshHex.init_tensor(np.linspace(0, 4, 7), np.linspace(0, 1, 3), np.linspace(0, 1, 3)).with_boundaries(
        {"held": lambda x: x[0] == 0.0, "tip": lambda x: x[0] == 4.0}
    )
    solid = femnn.Solid(mesh, femnn.GaussLegendre(2), J2(200.0, 0.3, 0.4, 10.0))
    dofs = skfem.Dofs(mesh, skfem.ElementVector(skfem.ElementHex1()))
    held, tip = (dofs.get_facet_dofs(mesh.boundaries[name]) for name in ("held", "tip"))
    fixed = np.union1d(held.all(), tip.all("u^3"))

    def prescribed(size):
        values = np.zeros(solid.n_dofs)
        values[tip.all("u^3")] = size
        return values

    def cyclic(problem, size, held_dofs, values, callback=None):
        """There and back again."""
        zero = np.zeros(problem.n_dofs)
        return femnn.newton(
            problem,
            zero,
            held_dofs,
            lambda t: np.sin(1.5 * np.pi * t) * values(size),
            steps=6,
            rtol=1e-6,
            callback=callback,
            progress=False,
        ).u

    virgin = solid.states
    snapshots = Snapshots(solid)
    for size in (0.1, 0.2):
        snapshots.begin({"size": size})
        solid.restore(virgin)
        cyclic(solid, size, fixed, prescribed, snapshots.record)
    pod = POD.fit(snapshots, modes=6, fixed=fixed)
    assert pod.n_lifting == 1
    cubature = EmpiricalCubature.fit(solid, pod, snapshots, tol=3e-3, progress=False)
    assert cubature.report["measure"] == "force"
    solid.restore(virgin)
    expected = cyclic(solid, 0.15, fixed, prescribed)
    reduced = ReducedProblem(solid, pod, cubature)
    values = np.zeros(reduced.n_dofs)

    def lifted(size):
        values[reduced.fixed] = pod.lifting(prescribed(size))
        return values

    q = cyclic(reduced, 0.15, reduced.fixed, lifted)
    assert np.linalg.norm(reduced.lift(q) - expected) < 2e-2 * np.linalg.norm(expected)
    assert reduced.states.shape == (cubature.n_points, 7)
    assert reduced.states[:, 6].max() > 0.0
    assert cubature.n_points < 0.5 * 8 * mesh.nelements
    reduced.reset()
    assert reduced.states.max() == 0.0


def test_a_tangent_is_the_derivative_of_the_force_and_symmetric(basis, by_points):
    problem = ReducedProblem(BEAM.solid, basis, by_points)
    q = 0.5 * basis.high
    force, tangent = problem.residual_and_tangent(q)
    np.testing.assert_allclose(force, problem.internal_force(q), rtol=1e-14)
    tangent = tangent.toarray()
    # the points are those of one energy
    np.testing.assert_allclose(tangent, tangent.T, atol=1e-12 * np.abs(tangent).max())
    step = 1e-6 * np.linalg.norm(q)
    for k, direction in enumerate(np.eye(len(q))):
        difference = problem.internal_force(q + step * direction) - problem.internal_force(q - step * direction)
        np.testing.assert_allclose(difference / (2 * step), tangent[:, k], atol=1e-6 * np.abs(tangent).max())


def test_a_rule_of_all_points_is_the_projection(basis):
    problem = ReducedProblem(BEAM.solid, basis)
    q = 0.5 * basis.high
    force, tangent = BEAM.solid.residual_and_tangent(basis.lift(q))
    found = problem.residual_and_tangent(q)
    np.testing.assert_allclose(found[0], basis.modes.T @ force, atol=1e-13)
    np.testing.assert_allclose(found[1].toarray(), basis.modes.T @ (tangent @ basis.modes), atol=1e-12)
