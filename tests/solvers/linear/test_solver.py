"""femnn.solve: every method finds what scikit-fem finds, and says what is wrong with a system it cannot solve."""

import numpy as np
import pytest
import skfem
from scipy.sparse import csr_matrix, diags_array
from scipy.sparse.linalg import splu
from support.forms import laplace

import femnn
from femnn.exceptions import ConvergenceError, SingularMatrixError
from femnn.geometry import distorted_cube
from femnn.io.locations import data_folder
from femnn.mesh_files import read_mesh
from femnn.solvers.linear import multigrid, solver
from femnn.solvers.linear.factorisation import memory_of_factors
from femnn.solvers.linear.near_null_space import near_null_space
from femnn.solvers.linear.system import LinearSystem

METHODS = ["splu", "pyamg", "cg"]
VECTOR = skfem.ElementVector(skfem.ElementHex1())


@pytest.fixture(autouse=True)
def several_levels(monkeypatch):
    """What is solved here is small, and would be the coarsest level otherwise."""
    monkeypatch.setattr(multigrid, "COARSEST", 50)


@pytest.fixture(scope="module")
def cube():
    """A distorted cube, its basis, stiffness and a load."""
    mesh = distorted_cube(7, 0.25, seed=3)
    basis = skfem.CellBasis(mesh, VECTOR, intorder=3)
    stiffness = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(2), 210e9, 0.3)
    return mesh, basis, stiffness, np.random.default_rng(0).normal(size=basis.N)


def planes_of_symmetry(basis):
    """Held by components on three faces: no node but one is held as a whole."""
    pairs = enumerate(("left", "front", "bottom"), start=1)
    return np.concatenate([basis.get_dofs(face).nodal[f"u^{i}"] for i, face in pairs])


def assert_same(found, expected, rtol=1e-6):
    assert np.abs(found - expected).max() < rtol * np.abs(expected).max()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("held", ["face", "planes"])
def test_solution_is_that_of_scikit_fem(cube, method, held):
    mesh, basis, stiffness, force = cube
    fixed = basis.get_dofs("left").all() if held == "face" else planes_of_symmetry(basis)
    values = np.random.default_rng(1).normal(size=basis.N) * 1e-9
    expected = skfem.solve(*skfem.condense(stiffness, force, x=values, D=fixed))
    found = femnn.solve(stiffness, force, fixed, values, points=mesh, method=method, rtol=1e-10)
    assert_same(found.x, expected)
    np.testing.assert_array_equal(found.x[fixed], values[fixed])
    assert found.method == method
    free = np.setdiff1d(np.arange(basis.N), fixed)
    pulled = force - stiffness[:, fixed] @ values[fixed]
    missed = np.linalg.norm((stiffness @ found.x - force)[free]) / np.linalg.norm(pulled[free])
    assert found.residual == pytest.approx(missed, rel=1e-3)
    assert found.residual <= 1e-10
    assert found.n_free == len(free)
    assert len(found.residuals) == found.iterations + 1


@pytest.fixture(scope="module")
def bracket():
    """The shipped bracket with its stiffness, load and supports, and what scikit-fem finds."""
    mesh = read_mesh(data_folder("meshes") / "bracket.vtu")
    basis = skfem.CellBasis(mesh, VECTOR, intorder=1)
    stiffness = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(2), 210e9, 0.3)
    force = skfem.LinearForm(lambda v, w: -1e6 * v[2]).assemble(skfem.FacetBasis(mesh, VECTOR, facets="load"))
    fixed = basis.get_dofs("fixed")
    return mesh, stiffness, force, fixed, skfem.solve(*skfem.condense(stiffness, force, D=fixed))


@pytest.mark.parametrize("method", METHODS)
def test_bracket(bracket, method):
    mesh, stiffness, force, fixed, expected = bracket
    found = femnn.solve(stiffness, force, fixed, points=mesh, method=method, rtol=1e-9)
    assert_same(found.x, expected)
    reaction = (stiffness @ found.x - force).reshape(-1, 3).sum(axis=0)
    np.testing.assert_allclose(reaction, [0.0, 0.0, -force.sum()], atol=1e-5 * abs(force.sum()))
    if method == "pyamg":
        assert found.iterations <= 40


@pytest.mark.parametrize(
    "change",
    [
        lambda fixed, values, n: (fixed, values[fixed]),
        lambda fixed, values, n: (fixed[::-1], values[fixed[::-1]]),
        lambda fixed, values, n: (np.isin(np.arange(n), fixed), values[np.sort(fixed)]),
        lambda fixed, values, n: (np.concatenate([fixed, fixed[:4]]), values),
        lambda fixed, values, n: (fixed.astype(np.int32).tolist(), values.tolist()),
    ],
)
def test_ways_to_prescribe(cube, change):
    _, basis, stiffness, force = cube
    fixed, values = basis.get_dofs("left").all(), np.linspace(0.0, 1e-9, basis.N)
    expected = femnn.solve(stiffness, force, fixed, values).x
    # factors of another compression of the same rows
    assert_same(femnn.solve(stiffness, force, *change(fixed, values, basis.N)).x, expected, 1e-12)


def test_a_number_is_prescribed_everywhere(cube):
    _, basis, stiffness, _ = cube
    fixed = np.concatenate([basis.get_dofs(face).nodal["u^1"] for face in ("left", "right")])
    fixed = np.concatenate([fixed, planes_of_symmetry(basis)])
    values = np.where(np.isin(fixed, np.arange(0, basis.N, 3)), 2.5, 0.0)
    found = femnn.solve(stiffness, np.zeros(basis.N), fixed, values)
    np.testing.assert_allclose(found.x[0::3], 2.5)
    np.testing.assert_allclose(found.x[1::3], 0.0, atol=1e-12)


def test_nothing_is_changed(cube):
    mesh, basis, stiffness, force = cube
    shuffled = stiffness.copy()
    for row in range(20):  # entries out of order, as assembly by hand leaves them
        own = slice(shuffled.indptr[row], shuffled.indptr[row + 1])
        shuffled.indices[own], shuffled.data[own] = shuffled.indices[own][::-1], shuffled.data[own][::-1]
    shuffled.has_sorted_indices = shuffled.has_canonical_format = False
    fixed = planes_of_symmetry(basis)
    before = [array.copy() for array in (shuffled.data, shuffled.indices, shuffled.indptr, force, fixed)]
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    results = [femnn.solve(shuffled, force, fixed, points=mesh, method=method).x for method in METHODS]
    for array, old in zip((shuffled.data, shuffled.indices, shuffled.indptr, force, fixed), before, strict=True):
        np.testing.assert_array_equal(array, old)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    for result in results:
        assert_same(result, results[0])


def test_multigrid_gives_the_same_bits_again(cube):
    mesh, basis, stiffness, force = cube
    fixed = basis.get_dofs("left")
    first, second = (femnn.solve(stiffness, force, fixed, points=mesh, method="pyamg").x for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("element", [skfem.ElementHex1(), skfem.ElementHex2()], ids=["linear", "quadratic"])
def test_poisson(method, element):
    mesh = distorted_cube(6, 0.2, seed=1)
    basis = skfem.CellBasis(mesh, element, intorder=4)
    stiffness = laplace.assemble(basis)
    boundary = basis.get_dofs()
    # linear functions are in the space of any element
    expected = 1.0 + basis.doflocs[0] - 2.0 * basis.doflocs[2]
    for points in (None, basis, mesh):
        found = femnn.solve(stiffness, np.zeros(basis.N), boundary, expected, points, method, rtol=1e-10)
        np.testing.assert_allclose(found.x, expected, atol=1e-8)


def test_quadratic_elements_find_their_nodes():
    mesh = distorted_cube(4, 0.2, seed=1)
    basis = skfem.CellBasis(mesh, skfem.ElementVector(skfem.ElementHex2()), intorder=1)
    expected, components = near_null_space(basis.doflocs, basis.N)
    assert components == 3
    for points in (basis, [basis, basis], mesh):
        modes, components = near_null_space(points, basis.N)
        assert components == 3
        np.testing.assert_allclose(modes, expected, atol=1e-14)


@pytest.mark.parametrize(
    "element", [skfem.ElementQuad1(), skfem.ElementQuadS2(), skfem.ElementQuad2(), skfem.ElementHexS2()]
)
def test_nodes_of_a_mesh_are_those_of_its_elements(element):
    mesh = (skfem.MeshHex() if element.dim == 3 else skfem.MeshQuad()).refined(2)
    basis = skfem.CellBasis(mesh, skfem.ElementVector(element), intorder=1)
    expected, components = near_null_space(basis.doflocs, basis.N)
    assert components == mesh.dim()
    modes, components = near_null_space(mesh, basis.N)
    assert components == mesh.dim()
    np.testing.assert_allclose(modes, expected, atol=1e-14)


def test_quadratic_elements_are_solved_in_blocks_too():
    mesh = distorted_cube(4, 0.2, seed=1)
    element = skfem.ElementVector(skfem.ElementHex2())
    basis = skfem.CellBasis(mesh, element, intorder=1)
    stiffness = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(3), 1.0, 0.3, element=element)
    # linear displacements are in equilibrium
    expected = (np.array([[1.0, 2.0, 0.0], [0.0, -1.0, 0.5], [0.3, 0.0, 0.2]]) @ basis.doflocs[:, ::3]).T.ravel()
    found = femnn.solve(stiffness, np.zeros(basis.N), basis.get_dofs(), expected, mesh, "pyamg", rtol=1e-10)
    np.testing.assert_allclose(found.x, expected, atol=1e-8)
    assert found.iterations <= 25


def test_rigid_motions_cost_nothing(cube):
    mesh, basis, stiffness, _ = cube
    modes, components = near_null_space(mesh, basis.N)
    assert modes.shape == (basis.N, 6)
    assert components == 3
    assert np.linalg.matrix_rank(modes) == 6
    assert np.abs(stiffness @ modes).max() < 1e-12 * abs(stiffness).max()


def test_multigrid_needs_the_rigid_motions():
    mesh = distorted_cube(14, 0.2, seed=0)
    basis = skfem.CellBasis(mesh, VECTOR, intorder=1)
    stiffness = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(2), 210e9, 0.3)
    force = np.ones(basis.N)
    counts = {
        name: femnn.solve(stiffness, force, basis.get_dofs("left"), points=points, method=method).iterations
        for name, points, method in (("modes", mesh, "pyamg"), ("constant", None, "pyamg"), ("none", mesh, "cg"))
    }
    assert counts["modes"] <= 15
    assert counts["modes"] < 0.5 * counts["constant"]
    assert counts["modes"] < 0.1 * counts["none"]


@pytest.mark.parametrize(
    ("poisson", "stretch", "most"),
    [(0.3, (1.0, 1.0, 10.0), 60), (0.45, (1.0, 1.0, 1.0), 30), (0.3, (1.0, 1.0, 0.1), 60)],
)
def test_multigrid_bears_slender_and_soft_parts(poisson, stretch, most):
    mesh = distorted_cube(10, 0.2, seed=0)
    mesh = skfem.MeshHex(mesh.p * np.array(stretch)[:, None], mesh.t).with_boundaries(mesh.boundaries)
    basis = skfem.CellBasis(mesh, VECTOR, intorder=1)
    stiffness = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(2), 210e9, poisson)
    found = femnn.solve(stiffness, np.ones(basis.N), basis.get_dofs("bottom"), points=mesh, method="pyamg")
    assert found.iterations <= most


@pytest.mark.parametrize("held", ["half", "all of z", "all but one"])
def test_multigrid_bears_what_is_mostly_held(cube, held):
    mesh, basis, stiffness, force = cube
    fixed = {
        "half": np.flatnonzero(np.repeat(mesh.p[0] < 0.5, 3)),
        "all of z": np.union1d(np.arange(2, basis.N, 3), planes_of_symmetry(basis)),
        "all but one": np.delete(np.arange(basis.N), 301),
    }[held]
    expected = femnn.solve(stiffness, force, fixed, method="splu").x
    for method in ("pyamg", "cg"):
        assert_same(femnn.solve(stiffness, force, fixed, points=mesh, method=method, rtol=1e-10).x, expected)


def test_everything_may_be_prescribed(cube):
    _, basis, stiffness, force = cube
    found = femnn.solve(stiffness, force, np.arange(basis.N), force)
    np.testing.assert_array_equal(found.x, force)
    assert found.n_free == 0


@pytest.mark.parametrize("method", METHODS)
def test_no_load_no_displacement(cube, method):
    mesh, basis, stiffness, _ = cube
    found = femnn.solve(stiffness, np.zeros(basis.N), basis.get_dofs("left"), points=mesh, method=method)
    np.testing.assert_array_equal(found.x, 0.0)


# --- which method


def test_size_and_symmetry_decide(cube, monkeypatch):
    mesh, basis, stiffness, force = cube
    fixed = basis.get_dofs("left")
    assert femnn.solve(stiffness, force, fixed, points=mesh).method == "splu"
    monkeypatch.setattr(solver, "FEW", 100)
    assert femnn.solve(stiffness, force, fixed, points=mesh).method == "pyamg"
    dof = int(basis.complement_dofs(fixed)[0])
    skew = stiffness.tolil()
    skew[dof, dof + 1] *= 2.0
    found = femnn.solve(skew.tocsr(), force, fixed, points=mesh)
    assert found.method == "splu"
    assert_same(found.x, skfem.solve(*skfem.condense(skew.tocsr(), force, D=fixed)), 1e-9)
    assert "pypardiso" in found.note
    assert "pypardiso" in str(found)
    negative = stiffness - diags_array(3.0 * stiffness.diagonal())
    assert femnn.solve(negative, force, fixed, points=mesh).method == "splu"
    for method in ("pyamg", "cg"):
        with pytest.raises(femnn.ParameterError, match="not symmetric"):
            femnn.solve(skew.tocsr(), force, fixed, points=mesh, method=method)
        with pytest.raises(femnn.ParameterError, match="its diagonal is -"):
            femnn.solve(negative, force, fixed, points=mesh, method=method)


def test_indefinite_matrices_are_factored_with_pivots():
    # no pivot can be found on the diagonal
    matrix = csr_matrix(np.array([[1e-20, 1.0], [1.0, 1e-20]]))
    found = femnn.solve(matrix, np.array([2.0, 3.0]))
    np.testing.assert_allclose(found.x, [3.0, 2.0])
    saddle = csr_matrix(np.array([[2.0, 0.0, 1.0], [0.0, 2.0, 1.0], [1.0, 1.0, 0.0]]))
    np.testing.assert_allclose(femnn.solve(saddle, np.array([1.0, 1.0, 1.0])).x, [0.5, 0.5, 0.0], atol=1e-15)


def test_very_large_systems_are_told_of_petsc(cube, monkeypatch):
    _, basis, stiffness, force = cube
    monkeypatch.setattr(solver, "MANY", 100)
    assert "petsc4py" in femnn.solve(stiffness, force, basis.get_dofs("left")).note


def test_it_prints_itself(cube):
    mesh, basis, stiffness, force = cube
    found = femnn.solve(stiffness, force, basis.get_dofs("left"), points=mesh, method="pyamg")
    assert f"pyamg: 1,344 of 1,536 degrees of freedom, {found.iterations} iterations" in str(found)


# --- what is not held


@pytest.mark.parametrize("method", METHODS)
def test_what_is_not_held_is_said(cube, method):
    mesh, basis, stiffness, force = cube
    with pytest.raises(femnn.SingularMatrixError, match=r"not held, 6 of its 6 rigid motions are free") as caught:
        femnn.solve(stiffness, force, points=mesh, method=method)
    np.testing.assert_array_equal(caught.value.dofs, np.arange(basis.N))
    hinge = 3 * int(mesh.t[0, 0]) + np.arange(3)
    with pytest.raises(femnn.SingularMatrixError, match="3 of its 6 rigid motions are free"):
        femnn.solve(stiffness, force, hinge, points=mesh, method=method)
    with pytest.raises(femnn.SingularMatrixError, match="3 of its 6 rigid motions are free"):
        femnn.solve(stiffness, force, basis.get_dofs("left").nodal["u^1"], points=mesh, method=method)


@pytest.mark.parametrize("method", METHODS)
def test_a_part_that_is_not_held_is_found(method):
    cube = skfem.MeshHex().refined(1)
    shift = np.array([[9.0], [0.0], [0.0]])
    apart = skfem.MeshHex(np.hstack([cube.p, cube.p + shift]), np.hstack([cube.t, cube.t + 27]))
    stiffness = femnn.assemble_elasticity(apart, femnn.GaussLegendre(2), 1.0, 0.3)
    fixed = 3 * np.flatnonzero(apart.p[0] == 0.0)[:, None] + np.arange(3)
    with pytest.raises(femnn.SingularMatrixError, match="one of 2 parts that are not connected, with 81 deg") as caught:
        femnn.solve(stiffness, np.ones(162), fixed, points=apart, method=method)
    np.testing.assert_array_equal(caught.value.dofs, np.arange(81, 162))


@pytest.mark.parametrize("method", METHODS)
def test_a_scalar_needs_a_value_somewhere(method):
    mesh = distorted_cube(4, 0.2, seed=1)
    stiffness = laplace.assemble(skfem.CellBasis(mesh, skfem.ElementHex1(), intorder=3))
    load = np.zeros(mesh.nvertices)
    with pytest.raises(femnn.SingularMatrixError, match="its constant is free"):
        femnn.solve(stiffness, load, method=method)
    np.testing.assert_allclose(femnn.solve(stiffness, load, [7], 3.0, method=method).x, 3.0)
    # held by a spring instead of a prescribed value
    spring = diags_array(np.eye(mesh.nvertices)[7])
    assert femnn.solve(stiffness + spring, load + 1.0, method=method).residual < 1e-8


def test_mechanisms_are_found():
    mesh = skfem.MeshHex().refined(2)
    basis = skfem.CellBasis(mesh, VECTOR, intorder=1)
    # one point an element leaves hourglass motions without stiffness
    stiffness = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(1), 1.0, 0.3)
    with pytest.raises(femnn.SingularMatrixError, match="too few integration points"):
        femnn.solve(stiffness, np.ones(basis.N), basis.get_dofs(lambda x: x[0] == 0.0).nodal["u^1"])


def test_exactly_singular_matrices():
    pair = csr_matrix(np.array([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    with pytest.raises(femnn.SingularMatrixError) as caught:
        femnn.solve(pair, np.zeros(3))
    np.testing.assert_array_equal(caught.value.dofs, [0, 1])
    skew = csr_matrix(np.array([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0], [1.0, 0.0, 1.0]]))
    with pytest.raises(femnn.SingularMatrixError, match="can move without a force"):
        femnn.solve(skew, np.ones(3))


def test_a_slender_beam_is_not_called_singular():
    mesh = skfem.MeshHex.init_tensor(np.linspace(0.0, 400.0, 401), [0.0, 0.5, 1.0], [0.0, 0.5, 1.0])
    basis = skfem.CellBasis(mesh, VECTOR, intorder=1)
    stiffness = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(2), 1.0, 0.0)
    force = np.zeros(basis.N)
    tip = basis.get_dofs(lambda x: x[0] == 400.0).nodal["u^3"]
    force[tip] = 1e-9 / len(tip)
    found = femnn.solve(stiffness, force, basis.get_dofs(lambda x: x[0] == 0.0))
    assert "rounding keeps the residual above" in str(found)
    # locking in shear makes the elements stiffer than the beam they stand for
    assert 0.0 < found.x[tip].mean() < 1e-9 * 400.0**3 / 3.0 * 12.0


def test_isolated_vertices_are_named(cube):
    mesh, basis, stiffness, force = cube
    points = np.concatenate([mesh.p, [[9.0], [9.0], [9.0]]], axis=1)
    lonely = skfem.MeshHex(points, mesh.t, validate=False)
    with pytest.warns(femnn.FemnnWarning, match="1 vertices belong to no element"):
        wider = femnn.assemble_elasticity(lonely, femnn.GaussLegendre(2), 210e9, 0.3)
    fixed, load = basis.get_dofs("left").all(), np.append(force, np.zeros(3))
    own = np.arange(basis.N, basis.N + 3)
    expected = femnn.solve(stiffness, force, fixed).x
    for method in METHODS:
        with pytest.raises(
            femnn.SingularMatrixError, match=r"3 degrees of freedom \(1536, 1537, 1538\) have"
        ) as caught:
            femnn.solve(wider, load, fixed, points=lonely, method=method)
        np.testing.assert_array_equal(caught.value.dofs, own)
        found = femnn.solve(wider, load, np.append(fixed, own), points=lonely, method=method, rtol=1e-10).x
        assert_same(found[: basis.N], expected)


# --- what does not converge


@pytest.mark.parametrize("method", ["pyamg", "cg"])
def test_what_does_not_converge_carries_its_last_iterate(cube, method):
    mesh, basis, stiffness, force = cube
    fixed = basis.get_dofs("left")
    with pytest.raises(femnn.ConvergenceError, match=r"after 3 iterations, the target is 1\.0e-08") as caught:
        femnn.solve(stiffness, force, fixed, points=mesh, method=method, max_iterations=3)
    assert len(caught.value.residuals) == 4
    free = basis.complement_dofs(fixed)
    missed = np.linalg.norm((stiffness @ caught.value.x - force)[free]) / np.linalg.norm(force[free])
    assert caught.value.residuals[-1] == pytest.approx(missed, rel=1e-9)
    with pytest.raises(femnn.ConvergenceError, match="pass points=mesh"):
        femnn.solve(stiffness, force, fixed, method=method, max_iterations=3)


def test_more_than_rounding_allows(cube):
    mesh, basis, stiffness, force = cube
    for method in METHODS:
        found = femnn.solve(stiffness, force, basis.get_dofs("left"), 0.0, mesh, method, rtol=1e-30)
        assert 1e-30 < found.residual < 1e-12
        assert "rtol=1e-30" in found.note
        assert found.iterations < 1000


@pytest.mark.parametrize("method", METHODS)
def test_slender_beams_are_solved_as_well_as_the_matrix_allows(method):
    # the residual of the solution cannot fall below 1e-16 times the condition of the matrix
    mesh = skfem.MeshHex.init_tensor(np.linspace(0.0, 20.0, 161), np.linspace(0.0, 0.2, 3), np.linspace(0.0, 0.2, 3))
    stiffness = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(2), 210e9, 0.3)
    force = femnn.assemble_body_force(mesh, femnn.GaussLegendre(2), (0.0, 0.0, -77e3))
    fixed = 3 * np.flatnonzero(mesh.p[0] == 0.0)[:, None] + np.arange(3)
    found = femnn.solve(stiffness, force, fixed, points=mesh, method=method)
    assert found.residual > 1e-8
    assert "rounding keeps the residual above" in found.note
    assert_same(found.x, femnn.solve(stiffness, force, fixed, points=mesh, method="splu", rtol=1e-3).x, 1e-5)


def test_factors_take_over_where_multigrid_is_too_weak(cube, monkeypatch):
    mesh, basis, stiffness, force = cube
    fixed = basis.get_dofs("left")
    monkeypatch.setattr(solver, "FEW", 100)
    monkeypatch.setitem(solver._MOST_ITERATIONS, "pyamg", 2)
    found = femnn.solve(stiffness, force, fixed, points=mesh)
    assert found.method == "splu"
    assert found.residual < 1e-10
    assert "after 2 iterations" in found.note
    monkeypatch.setattr(solver, "memory_of_factors", lambda _: 10**18)
    with pytest.raises(femnn.ConvergenceError, match="a factorisation of 1,344 degrees of freedom needs 1,000,0"):
        femnn.solve(stiffness, force, fixed, points=mesh)


def test_memory_of_factors_is_not_underestimated():
    for sides in ((8, 8, 8), (12, 12, 2), (60, 3, 3)):
        mesh = skfem.MeshHex.init_tensor(*(np.linspace(0.0, n, n + 1) for n in sides))
        stiffness = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(2), 1.0, 0.3)
        held = np.flatnonzero(np.repeat(mesh.p[0] == 0.0, 3))
        matrix = LinearSystem.of(stiffness, np.ones(stiffness.shape[0]), held).operator.condensed()
        options = {"permc_spec": "MMD_AT_PLUS_A", "diag_pivot_thresh": 0.0, "options": {"SymmetricMode": True}}
        need = 12 * splu(matrix.tocsc(), **options).nnz
        assert need < memory_of_factors(matrix) < 10 * need


# --- magnitudes


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [-1000, -500, 500, 1000])
def test_magnitudes_change_no_bit(cube, method, size):
    """Of loads, stiffness and prescribed values, each by a power of two: 1e-300 to 1e300."""
    mesh, basis, stiffness, force = cube
    fixed, values = basis.get_dofs("left").all(), np.linspace(0.0, 1e-9, basis.N)
    expected = femnn.solve(stiffness, force, fixed, points=mesh, method=method)
    found = femnn.solve(stiffness, np.ldexp(force, size), fixed, points=mesh, method=method)
    # the displacements of the least load are smaller than the smallest normal number
    np.testing.assert_allclose(found.x, np.ldexp(expected.x, size), rtol=0.0 if size > -1000 else 1e-6, atol=5e-324)
    assert found.residuals == expected.residuals
    pulled = femnn.solve(stiffness, 0.0 * force, fixed, values, mesh, method)
    found = femnn.solve(stiffness, 0.0 * force, fixed, np.ldexp(values, size), mesh, method)
    # the least values have lost digits before they are passed
    rounded = 0.0 if size > -1000 else 1e-9 * np.abs(found.x).max()
    np.testing.assert_allclose(found.x, np.ldexp(pulled.x, size), rtol=1e-12 if size > -1000 else 1e-6, atol=rounded)
    large = size > 600
    scaled = stiffness.copy()
    scaled.data = np.ldexp(stiffness.data, size - 100 if large else size)
    found = femnn.solve(scaled, np.ldexp(force, size - 100 if large else size), fixed, points=mesh, method=method)
    np.testing.assert_allclose(found.x, expected.x, rtol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_solutions_beyond_a_double_are_refused(cube, method):
    mesh, basis, stiffness, force = cube
    with pytest.raises(femnn.ParameterError, match="larger than a double"):
        femnn.solve(1e-290 * stiffness, 1e200 * force, basis.get_dofs("left"), points=mesh, method=method)


@pytest.mark.parametrize("method", METHODS)
def test_solutions_below_a_double_are_refused(cube, method):
    mesh, basis, stiffness, force = cube
    with pytest.raises(femnn.ParameterError, match="smaller than a double"):
        femnn.solve(1e150 * stiffness, 1e-250 * force, basis.get_dofs("left"), points=mesh, method=method)


@pytest.mark.parametrize("method", METHODS)
def test_unknowns_in_units_of_any_size(cube, method):
    """A badly scaled system is no singular one: each unknown in a unit of its own."""
    mesh, basis, stiffness, force = cube
    fixed = basis.get_dofs("left")
    expected = femnn.solve(stiffness, force, fixed, points=mesh, method="splu").x
    units = 10.0 ** np.random.default_rng(0).uniform(-6.0, 6.0, len(force))
    scale = diags_array(units)
    found = femnn.solve((scale @ stiffness @ scale).tocsr(), units * force, fixed, method=method)
    np.testing.assert_allclose(units * found.x, expected, atol=1e-6 * np.abs(expected).max())
    # and so is a motion without force, which a vector of other units would hide
    with pytest.raises((SingularMatrixError, ConvergenceError)):
        femnn.solve((scale @ stiffness @ scale).tocsr(), units * force, [], method=method)


@pytest.mark.parametrize("method", METHODS)
def test_tiny_systems(method):
    for matrix, load, expected in (
        ([[2.0]], [3.0], [1.5]),
        ([[2.0]], [0.0], [0.0]),
        ([[1e-300]], [1e-300], [1.0]),
        ([[2.0, 1.0], [1.0, 2.0]], [3.0, 3.0], [1.0, 1.0]),
        ([[1.0, 0.0], [0.0, 1e-20]], [1.0, 1.0], [1.0, 1e20]),
    ):
        found = femnn.solve(csr_matrix(np.array(matrix)), np.array(load), method=method)
        np.testing.assert_allclose(found.x, expected, rtol=1e-12)
    with pytest.raises(femnn.SingularMatrixError):
        femnn.solve(csr_matrix([[0.0]]), [1.0], method=method)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("decades", [6, 12])
def test_badly_scaled_systems(cube, method, decades):
    mesh, basis, stiffness, force = cube
    fixed = basis.get_dofs("left")
    expected = femnn.solve(stiffness, force, fixed).x
    scale = 10.0 ** np.random.default_rng(0).uniform(-decades / 2, decades / 2, basis.N)
    scaled = (diags_array(scale) @ stiffness @ diags_array(scale)).tocsr()
    found = femnn.solve(scaled, scale * force, fixed, points=mesh, method=method)
    assert_same(scale * found.x, expected, 1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_mechanisms_are_found_by_all_methods(method):
    mesh = skfem.MeshHex().refined(2)
    basis = skfem.CellBasis(mesh, VECTOR, intorder=1)
    stiffness = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(1), 1.0, 0.3)
    load, held = np.random.default_rng(0).normal(size=basis.N), basis.get_dofs(lambda x: x[0] == 0.0).nodal["u^1"]
    with pytest.raises(femnn.SingularMatrixError):
        femnn.solve(stiffness, load, held, points=mesh, method=method)


@pytest.mark.parametrize("method", ["pyamg", "cg"])
def test_negative_energies_are_reported(cube, method):
    mesh, basis, stiffness, force = cube
    soft = stiffness - diags_array(0.3 * stiffness.diagonal())
    with pytest.raises(femnn.ConvergenceError, match="not positive definite"):
        femnn.solve(soft, force, basis.get_dofs("left"), points=mesh, method=method)


def test_interrupts_come_through(cube, monkeypatch):
    mesh, basis, stiffness, force = cube

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    state = np.random.get_state()[1].copy()  # noqa: NPY002
    monkeypatch.setattr("pyamg.amg_core.standard_aggregation", interrupted)
    with pytest.raises(KeyboardInterrupt):
        femnn.solve(stiffness, force, basis.get_dofs("left"), points=mesh, method="pyamg")
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


# --- bad input


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"K": np.eye(3)}, "K is a ndarray; pass a sparse matrix"),
        ({"K": csr_matrix(np.ones((3, 2)))}, r"K has shape \(3, 2\)"),
        ({"K": csr_matrix((0, 0))}, r"K has shape \(0, 0\)"),
        ({"K": csr_matrix(np.eye(3) * 1j)}, "K holds complex128"),
        ({"K": csr_matrix(np.diag([1.0, np.nan, 1.0]))}, "K has an entry in row 1 that is not finite"),
        ({"f": np.ones(4)}, r"f has shape \(4,\), expected is \(3,\)"),
        ({"f": np.ones((3, 1))}, r"f has shape \(3, 1\)"),
        ({"f": [0.0, 0.0, np.inf]}, "f is not finite at degree of freedom 2"),
        ({"f": "load"}, "f is no array of numbers"),
        ({"fixed": [3]}, "`fixed` names the degree of freedom 3, there are 0 to 2"),
        ({"fixed": [-1]}, "`fixed` names the degree of freedom -1"),
        ({"fixed": [0.5]}, "`fixed` holds float64 values"),
        ({"fixed": [True, False]}, "`fixed` holds bool values"),
        ({"fixed": [0, 0], "values": [1.0, 2.0]}, "twice, with two values"),
        ({"fixed": [0], "values": [1.0, 2.0]}, r"`values` have shape \(2,\)"),
        ({"fixed": [0], "values": np.nan}, "degree of freedom 0 is prescribed a value that is not finite"),
        ({"fixed": [0], "values": "zero"}, "`values` is no array"),
        ({"method": "lu"}, "method='lu' is not allowed; pass 'auto' or"),
        ({"rtol": 0.0}, "rtol=0.0 is not allowed"),
        ({"rtol": np.nan}, "rtol=nan is not allowed"),
        ({"max_iterations": 0}, "max_iterations=0 is not allowed"),
        ({"points": np.ones((3, 2))}, r"points of shape \(3, 2\) do not fit a matrix of 3 rows"),
        ({"points": np.full((3, 1), np.nan)}, "points have coordinates that are not finite"),
        ({"points": skfem.MeshHex()}, r"points of shape \(3, 8\) or .* or \(3, 27\) do not fit a matrix of 3 rows"),
    ],
)
def test_bad_input(arguments, says):
    with pytest.raises(femnn.ParameterError, match=says):
        femnn.solve(**{"K": csr_matrix(np.eye(3)), "f": np.ones(3), **arguments})


def test_arguments_may_be_lists():
    found = femnn.solve(csr_matrix(np.diag([1, 2, 4])), [1, 1, 1], [0], [7])
    np.testing.assert_allclose(found.x, [7.0, 0.5, 0.25])
