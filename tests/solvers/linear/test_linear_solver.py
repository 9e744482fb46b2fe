"""femnn.LinearSolver: many loads, matrices that change, and what goes wrong with them."""

import numba
import numpy as np
import pytest
import skfem
from scipy.sparse import csr_array, diags_array

import femnn
from femnn.geometry import distorted_cube
from femnn.solvers.linear import block_rows, multigrid, solver
from femnn.solvers.linear.block_rows import BlockRows
from femnn.solvers.linear.condensation import Condensation
from femnn.solvers.linear.near_null_space import linear_interpolation

VECTOR = skfem.ElementVector(skfem.ElementHex1())
METHODS = ["splu", "pyamg", "cg"]


@pytest.fixture(autouse=True)
def several_levels(monkeypatch):
    """What is solved here is small, and would be the coarsest level otherwise."""
    monkeypatch.setattr(multigrid, "COARSEST", 20)


@pytest.fixture(scope="module")
def cube():
    """A distorted cube, held degrees of freedom, stiffness and two loads."""
    mesh = distorted_cube(8, 0.25, seed=3)
    held = np.flatnonzero(np.repeat(mesh.p[0] == 0.0, 3))
    stiffness = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(2), 210e9, 0.3)
    return mesh, held, stiffness, np.random.default_rng(0).normal(size=(2, stiffness.shape[0]))


def changed(stiffness, amount, seed=5):
    """A stiffness of which the parts differ by up to ``amount``, of the same structure."""
    scale = np.random.default_rng(seed).uniform(1.0 - amount, 1.0, stiffness.shape[0] // 3).repeat(3)
    result = csr_array(diags_array(scale) @ stiffness @ diags_array(scale))
    return csr_array((result.data, stiffness.indices, stiffness.indptr), shape=stiffness.shape)


@pytest.mark.parametrize("method", METHODS)
def test_loads_share_what_is_made_for_the_matrix(cube, method, monkeypatch):
    mesh, held, stiffness, loads = cube
    made = []
    for owner, name in ((multigrid.Multigrid, "quick"), (solver, "Factorisation")):
        kept = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *a, kept=kept, name=name: made.append(name) or kept(*a))
    keeping = femnn.LinearSolver(stiffness, held, points=mesh, method=method, rtol=1e-10)
    values = np.random.default_rng(1).normal(size=len(held)) * 1e-9
    for load, prescribed in ((loads[0], 0.0), (loads[1], values), (np.zeros_like(loads[0]), values)):
        expected = femnn.solve(stiffness, load, held, prescribed, method="splu").x
        found = keeping.solve(load, prescribed)
        assert found.method == method
        np.testing.assert_allclose(found.x, expected, atol=1e-7 * np.abs(expected).max())
    made = [name for name in made if name != "Factorisation" or method == "splu"]
    assert len(made) == {"cg": 0, "pyamg": 1, "splu": 4}[method]  # three of the four are those of the expected ones


@pytest.mark.parametrize("method", METHODS)
def test_update_solves_the_new_matrix(cube, method):
    mesh, held, stiffness, loads = cube
    keeping = femnn.LinearSolver(stiffness, held, points=mesh, method=method)
    first = keeping.solve(loads[0])
    for amount in (0.05, 0.3, 0.99):
        softer = changed(stiffness, amount)
        expected = femnn.solve(softer, loads[0], held, method="splu").x
        found = keeping.update(softer).solve(loads[0])
        assert np.abs(found.x - expected).max() < 1e-5 * np.abs(expected).max()
    assert keeping.update(stiffness).solve(loads[0]).x == pytest.approx(
        first.x, rel=1e-6, abs=1e-6 * np.abs(first.x).max()
    )


def test_a_multigrid_is_kept_while_it_is_good_and_made_anew_when_it_is_not(cube, monkeypatch):
    mesh, held, stiffness, loads = cube
    made, quick = [], multigrid.Multigrid.quick
    monkeypatch.setattr(multigrid.Multigrid, "quick", lambda *a: made.append(1) or quick(*a))
    keeping = femnn.LinearSolver(stiffness, held, points=mesh, method="pyamg")
    own = keeping.solve(loads[0]).iterations
    near = keeping.update(changed(stiffness, 0.1)).solve(loads[0]).iterations
    assert len(made) == 1
    assert near <= 2 * own + 8
    # one half a million times softer: the coarse levels are those of another body
    soft = np.where(mesh.p[1] > 0.5, 1e-3, 1.0).repeat(3)
    other = csr_array(diags_array(soft) @ stiffness @ diags_array(soft))
    other = csr_array((other.data, stiffness.indices, stiffness.indptr), shape=stiffness.shape)
    found = keeping.update(other).solve(loads[0])
    assert len(made) == 2
    expected = femnn.solve(other, loads[0], held, method="splu").x
    assert np.abs(found.x - expected).max() < 1e-4 * np.abs(expected).max()
    assert found.iterations > 2 * own + 8  # those of both count


def test_threads_change_no_bit(cube, monkeypatch):
    mesh, held, stiffness, loads = cube
    monkeypatch.setattr("femnn.solvers.linear.threads._FEW", 10)
    before, found = numba.get_num_threads(), []
    for threads in range(1, numba.config.NUMBA_NUM_THREADS + 1):
        numba.set_num_threads(threads)
        found.append(femnn.solve(stiffness, loads[0], held, points=mesh, method="pyamg").x)
    numba.set_num_threads(before)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


@pytest.mark.parametrize("stretch", [(1.0, 1.0, 1.0), (30.0, 30.0, 1.0), (100.0, 1.0, 1.0)])
@pytest.mark.parametrize("poisson", [0.0, 0.3, 0.49])
def test_the_cycle_is_symmetric_and_positive_definite(stretch, poisson):
    """Seen on the whole spectrum of what it makes of the matrix, and with coarse levels of another matrix too."""
    mesh = distorted_cube(4, 0.25, seed=1)
    mesh = skfem.MeshHex(mesh.p * np.array(stretch)[:, None], mesh.t)
    stiffness = csr_array(femnn.assemble_elasticity(mesh, femnn.GaussLegendre(2), 1.0, poisson))
    is_free = np.repeat(mesh.p[0] > 0.0, 3).reshape(-1, 3)
    is_free[7, 1] = False
    modes, _ = femnn.solvers.linear.near_null_space(mesh, stiffness.shape[0])
    blocks = multigrid.BlockRows.of(stiffness, 3)
    cycle = multigrid.Multigrid.quick(blocks, modes, is_free)
    assert cycle.levels
    free = np.flatnonzero(is_free)
    harder = csr_array((30.0 * stiffness.data, stiffness.indices, stiffness.indptr), shape=stiffness.shape)
    for other in (cycle, cycle.renewed(multigrid.BlockRows.of(harder, 3))):
        applied = np.stack([other(column) for column in np.eye(stiffness.shape[0])], axis=1)
        assert not applied[~is_free.ravel()].any()
        applied = applied[free][:, free]
        assert np.abs(applied - applied.T).max() < 1e-10 * np.abs(applied).max()
        assert np.linalg.eigvalsh(0.5 * (applied + applied.T))[0] > 0.0
        for level in other.levels:
            # a dense look at what Lanczos' method bounded
            dense = level.smoother.matrix.tocsr().toarray()
            alive = level.smoother.inverse.diagonal(axis1=1, axis2=2).ravel() > 0.0
            scaled = np.zeros_like(dense)
            rows = level.smoother.matrix.rows
            for i, inverse in enumerate(level.smoother.inverse):
                part = slice(rows * i, rows * (i + 1))
                scaled[part] = inverse @ dense[part]
            assert np.abs(np.linalg.eigvals(scaled[alive][:, alive])).max() < 1.25 * level.smoother.bound


def test_coarse_levels_know_the_rigid_motions(cube, monkeypatch):
    mesh, _, stiffness, _ = cube
    modes, _ = femnn.solvers.linear.near_null_space(mesh, stiffness.shape[0])
    blocks = multigrid.BlockRows.of(csr_array(stiffness), 3)
    is_free = np.ones((blocks.n, 3), dtype=bool)
    smoother = multigrid.Smoother.of(blocks, is_free, 2)
    prolongation, coarse, alive = multigrid._prolongation(blocks, smoother, modes, is_free, 0.08)
    assert alive.all()
    np.testing.assert_allclose(prolongation @ coarse[:, 0], modes[:, 0], atol=1e-12)
    # and the coarse matrix is that of Galerkin, however many rows are multiplied at a time
    p, k = prolongation.tocsr(), blocks.tocsr()
    product = blocks.galerkin(prolongation)
    assert abs(product.tocsr() - p.T @ k @ p).max() < 1e-12 * abs(k).max()
    monkeypatch.setattr(block_rows, "_PART", 100)
    np.testing.assert_array_equal(blocks.galerkin(prolongation).data, product.data)
    # levels keep entries in single precision, whatever the units of the matrix are
    for factor in (1.0, 1e-60, 1e60):
        scaled = multigrid.BlockRows.of(factor * csr_array(stiffness), 3).rounded()
        assert scaled.data.dtype == np.float32
        assert abs(scaled.tocsr() - factor * k).max() < 1e-7 * factor * abs(k).max()
        np.testing.assert_allclose(
            scaled @ modes[:, 1], factor * (k @ modes[:, 1]), atol=1e-6 * factor * abs(k).max(), rtol=0
        )
    assert abs(k - stiffness).max() == 0.0


# --- bad input


def test_another_size_or_structure_is_refused(cube):
    mesh, held, stiffness, loads = cube
    keeping = femnn.LinearSolver(stiffness, held, points=mesh, method="pyamg")
    expected = keeping.solve(loads[0]).x
    with pytest.raises(femnn.ParameterError, match=r"K has 2184 rows; this solver was made for 2187"):
        keeping.update(stiffness[:-3][:, :-3])
    other = stiffness.tolil()
    other[0, 2000] = other[2000, 0] = 1.0
    with pytest.raises(femnn.ParameterError, match="make a new LinearSolver for another structure"):
        keeping.update(other.tocsr())
    broken = stiffness.copy()
    broken.data[17] = np.nan
    with pytest.raises(femnn.ParameterError, match="not finite"):
        keeping.update(broken)
    with pytest.raises(femnn.ParameterError, match="ndarray"):
        keeping.update(np.eye(4))
    # and the solver is as it was
    np.testing.assert_array_equal(keeping.solve(loads[0]).x, expected)


@pytest.mark.parametrize(
    ("load", "values", "match"),
    [
        (np.ones(5), 0.0, "f"),
        (np.full(2187, np.nan), 0.0, "f"),
        (np.ones(2187), np.ones(7), "`values` have shape"),
        (np.ones(2187), np.inf, "not finite"),
    ],
)
def test_another_right_side_is_refused(cube, load, values, match):
    mesh, held, stiffness, _ = cube
    with pytest.raises(femnn.ParameterError, match=match):
        femnn.LinearSolver(stiffness, held, points=mesh).solve(load, values)


def test_what_is_not_held_is_said_at_the_first_load(cube):
    mesh, _, stiffness, loads = cube
    for method in METHODS:
        with pytest.raises(femnn.SingularMatrixError, match="6 of its 6 rigid motions are free"):
            femnn.LinearSolver(stiffness, points=mesh, method=method).solve(loads[0])


def test_a_multigrid_that_stopped_working_is_made_anew_once(cube):
    mesh, held, stiffness, loads = cube
    keeping = femnn.LinearSolver(stiffness, held, points=mesh, method="pyamg", max_iterations=60)
    keeping.solve(loads[0])
    # a body of which one part is a million times softer, and no iterations for it
    keeping.max_iterations = 5
    soft = np.where(mesh.p[1] > 0.5, 1e-3, 1.0).repeat(3)
    other = csr_array(diags_array(soft) @ stiffness @ diags_array(soft))
    other = csr_array((other.data, stiffness.indices, stiffness.indptr), shape=stiffness.shape)
    keeping.update(other)
    with pytest.raises(
        femnn.ConvergenceError, match=r"iterations with a quick multigrid of an earlier matrix"
    ) as caught:
        keeping.solve(loads[0], rtol=1e-14)
    assert "5 iterations with a quick multigrid, the target" in str(caught.value)


def test_indefinite_tangents_are_factored_from_then_on(cube, monkeypatch):
    mesh, held, stiffness, loads = cube
    monkeypatch.setattr(solver, "FEW", 100)
    keeping = femnn.LinearSolver(stiffness, held, points=mesh)
    assert keeping.solve(loads[0]).method == "pyamg"
    unstable = csr_array(stiffness - diags_array(0.3 * stiffness.diagonal()))
    found = keeping.update(unstable).solve(loads[0])
    assert found.method == "splu"
    assert "multigrid left a residual" in found.note
    free = np.setdiff1d(np.arange(len(found.x)), held)
    assert np.linalg.norm((unstable @ found.x - loads[0])[free]) < 1e-8 * np.linalg.norm(loads[0][free])
    assert keeping.update(stiffness).solve(loads[0]).method == "splu"


def test_slow_convergence_calls_for_the_thorough_multigrid(cube, monkeypatch):
    mesh, held, stiffness, loads = cube
    monkeypatch.setattr(solver, "_PATIENCE", 5)
    monkeypatch.setattr("femnn.solvers.linear.conjugate_gradients._FIRST_LOOK", 4)
    keeping = femnn.LinearSolver(stiffness, held, points=mesh, method="pyamg", rtol=1e-10)
    expected = femnn.solve(stiffness, loads[0], held, method="splu").x
    found = keeping.solve(loads[0])
    assert np.abs(found.x - expected).max() < 1e-8 * np.abs(expected).max()
    assert keeping._multigrid.name == "thorough"
    # which is kept for the next load
    again = keeping.solve(loads[0])
    assert again.iterations < found.iterations


def test_memory_is_asked_for_before_it_is_taken(cube, monkeypatch):
    mesh, held, stiffness, loads = cube
    monkeypatch.setattr("femnn.system.memory.psutil.virtual_memory", lambda: type("Memory", (), {"available": 1000}))
    with pytest.raises(MemoryError, match=r"the multigrid of 1,944 unknowns needs [\d,]+ bytes, 1,000 are available"):
        femnn.LinearSolver(stiffness, held, points=mesh, method="pyamg").solve(loads[0])


def test_an_interrupt_leaves_the_solver_as_it_was(cube, monkeypatch):
    mesh, held, stiffness, loads = cube
    keeping = femnn.LinearSolver(stiffness, held, points=mesh, method="pyamg")
    expected = keeping.solve(loads[0]).x

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(multigrid.Multigrid, "_cycle", interrupted)
        with pytest.raises(KeyboardInterrupt):
            keeping.solve(loads[1])
    np.testing.assert_array_equal(keeping.solve(loads[0]).x, expected)


def test_it_prints_itself(cube):
    mesh, held, stiffness, _loads = cube
    keeping = femnn.LinearSolver(stiffness, held, points=mesh, method="pyamg")
    assert str(keeping) == "LinearSolver(1,944 of 2,187 degrees of freedom are free, method='pyamg')"


# --- quadratic elements


def test_linear_functions_are_the_first_coarse_level_of_quadratic_elements():
    mesh = distorted_cube(4, 0.2, seed=2)
    element = skfem.ElementHex2()
    basis = skfem.CellBasis(mesh, skfem.ElementVector(element), intorder=1)
    places = basis.doflocs[:, ::3]
    interpolation = linear_interpolation(mesh, basis.N)
    np.testing.assert_allclose(interpolation @ mesh.p.T, places.T, atol=1e-14)
    assert linear_interpolation(mesh, 3 * mesh.nvertices) is None
    assert linear_interpolation(basis, basis.N) is None
    stiffness = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(3), 1.0, 0.3, element=element)
    held = basis.get_dofs("left").all()[1:]  # a node of which only some components are held
    load = np.random.default_rng(0).normal(size=basis.N)
    expected = femnn.solve(stiffness, load, held, method="splu").x
    counts = []
    for points in (mesh, basis):
        found = femnn.solve(stiffness, load, held, points=points, method="pyamg", rtol=1e-10)
        assert np.abs(found.x - expected).max() < 1e-8 * np.abs(expected).max()
        counts.append(found.iterations)
    assert counts[0] <= min(25, counts[1])


@pytest.fixture(scope="module")
def quadratic():
    """A distorted cube of triquadratic elements, held nodes, stiffness, and a load on all nodes, interior ones too."""
    mesh, element = distorted_cube(4, 0.2, seed=2), skfem.ElementHex2()
    stiffness = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(3), 1.0, 0.3, element=element)
    held = skfem.CellBasis(mesh, skfem.ElementVector(element), intorder=1).get_dofs("left").all()
    return mesh, held, stiffness, np.random.default_rng(0).normal(size=stiffness.shape[0])


def test_condensation_is_the_complement_of_schur(quadratic):
    mesh, _, stiffness, load = quadratic
    blocks, n = BlockRows.of(csr_array(stiffness), 3), 9**3 - mesh.nelements
    free = np.ones((blocks.n, 3), dtype=bool)
    condensation = Condensation.of(blocks, free, n)
    whole = stiffness.toarray()
    b, i = slice(0, 3 * n), slice(3 * n, None)
    expected = whole[b, b] - whole[b, i] @ np.linalg.solve(whole[i, i], whole[i, b])
    np.testing.assert_allclose(condensation.matrix.tocsr().toarray(), expected, atol=1e-13)
    x = np.random.default_rng(1).normal(size=3 * n)
    inner = np.linalg.solve(whole[i, i], load[i] - whole[i, b] @ x)
    np.testing.assert_allclose(condensation.completed(x, load)[i], inner, atol=1e-12 * np.abs(inner).max())
    reduced = load[b] - whole[b, i] @ np.linalg.solve(whole[i, i], load[i])
    np.testing.assert_allclose(condensation.reduced(load), reduced, atol=1e-12 * np.abs(reduced).max())
    free[-1, 1] = False
    assert Condensation.of(blocks, free, n) is None
    # vertices of one element are coupled
    assert Condensation.of(blocks, np.ones_like(free), n - 1) is None


def test_interior_nodes_of_triquadratic_elements_are_eliminated(quadratic):
    mesh, held, stiffness, load = quadratic
    values = 0.1 * np.random.default_rng(2).normal(size=len(held))
    keeping = femnn.LinearSolver(stiffness, held, points=mesh, method="pyamg", rtol=1e-10)
    for matrix in (stiffness, changed(stiffness, 0.1)):
        expected = femnn.solve(matrix, load, held, values, method="splu").x
        found = keeping.update(matrix).solve(load, values)
        assert np.abs(found.x - expected).max() < 1e-8 * np.abs(expected).max()
        assert found.residual <= 1e-10
        assert found.residuals[-1] == pytest.approx(found.residual, rel=1e-3)
        assert keeping._multigrid.cycle.levels[0].smoother.matrix.n == 9**3 - mesh.nelements
    # a load on interior nodes alone, whose others are held
    rows, inner = np.arange(len(load)), np.arange(len(load)) >= 3 * (9**3 - mesh.nelements)
    alone = femnn.solve(stiffness, load, rows[~inner], points=mesh, method="pyamg").x
    np.testing.assert_allclose((stiffness @ alone)[inner], load[inner], atol=1e-7 * np.abs(load).max())


def test_interior_nodes_that_are_held_stay(quadratic):
    mesh, held, stiffness, load = quadratic
    held = np.append(held, len(load) - 1)
    keeping = femnn.LinearSolver(stiffness, held, points=mesh, method="pyamg", rtol=1e-10)
    expected = femnn.solve(stiffness, load, held, 0.1, method="splu").x
    found = keeping.solve(load, 0.1).x
    assert np.abs(found - expected).max() < 1e-8 * np.abs(expected).max()
    assert keeping._multigrid.cycle.levels[0].smoother.matrix.n == 9**3


def test_an_interior_node_without_stiffness_calls_for_factors(quadratic, monkeypatch):
    mesh, held, stiffness, load = quadratic
    monkeypatch.setattr(solver, "FEW_OF_SOLID", 100)
    matrix = stiffness.copy()
    diagonal = matrix.diagonal()
    # the diagonal is positive, the block of the node is not
    rows = len(load) - 3 + np.arange(2)
    matrix[rows[0], rows[1]] = matrix[rows[1], rows[0]] = 2.0 * diagonal[rows].max()
    found = femnn.solve(matrix, load, held, points=mesh)
    assert found.method == "splu"
    free = np.setdiff1d(np.arange(len(load)), held)
    assert np.linalg.norm((matrix @ found.x - load)[free]) < 1e-8 * np.linalg.norm(load[free])


def test_scalar_triquadratic_problems_are_condensed_too():
    mesh, element = distorted_cube(4, 0.2, seed=2), skfem.ElementHex2()
    matrix = femnn.assemble_diffusion(mesh, femnn.GaussLegendre(3), element=element)
    held = skfem.CellBasis(mesh, element, intorder=1).get_dofs("left").all()
    load = np.random.default_rng(0).normal(size=matrix.shape[0])
    expected = femnn.solve(matrix, load, held, method="splu").x
    keeping = femnn.LinearSolver(matrix, held, points=mesh, method="pyamg", rtol=1e-10)
    assert np.abs(keeping.solve(load).x - expected).max() < 1e-8 * np.abs(expected).max()
    assert keeping._multigrid.cycle.levels[0].smoother.matrix.n == 9**3 - mesh.nelements
