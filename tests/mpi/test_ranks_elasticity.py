"""Elasticity over the ranks: the matrix, the solution and the iterations are those of one rank."""

from types import SimpleNamespace

import numpy as np
import pytest
import skfem
from support.structures import RULE, beam, difference

import femnn
from femnn.exceptions import ConvergenceError, MeshError, ParameterError
from femnn.io.locations import data_folder
from femnn.mesh_files import read_mesh
from femnn.parallel import DistributedMesh, assemble_elasticity, cell_costs, solve
from femnn.parallel.ranks import petsc
from femnn.parallel.solver import _products
from femnn.system import memory

YOUNG, POISSON, WEIGHT = 210e9, 0.3, (3e3, 0.0, -77e3)


def on_rank_0(comm, mesh):
    """A mesh that rank 0 alone has, and the cost of its cells."""
    return (mesh, cell_costs(mesh, RULE)) if comm.rank == 0 else (None, None)


def solved(distributed, boundary, **options):
    matrix = assemble_elasticity(distributed, RULE, YOUNG, POISSON)
    force = distributed.sum(femnn.assemble_body_force(distributed.mesh, RULE, WEIGHT))
    return solve(matrix, force, distributed.dofs_on(boundary), **options)


@pytest.fixture(scope="module")
def bracket():
    return read_mesh(data_folder("meshes") / "bracket.vtu")


@pytest.fixture(scope="module")
def distributed(comm, bracket):
    return DistributedMesh.of(*on_rank_0(comm, bracket), comm=comm)


def test_the_bracket_moves_as_on_one_rank(comm, bracket, distributed):
    found = distributed.gathered(solved(distributed, "fixed", rtol=1e-10).x)
    if comm.rank == 0:
        matrix = femnn.assemble_elasticity(bracket, RULE, YOUNG, POISSON)
        force = femnn.assemble_body_force(bracket, RULE, WEIGHT)
        fixed = np.unique(bracket.facets[:, bracket.boundaries["fixed"]])
        fixed = (3 * fixed[:, None] + np.arange(3)).ravel()
        expected = femnn.solve(matrix, force, fixed, points=bracket, method="pyamg", rtol=1e-10).x
        assert difference(found, expected) < 1e-8


def test_iterations_hardly_depend_on_the_ranks(comm, alone, bracket, distributed):
    together = solved(distributed, "fixed")
    one = solved(DistributedMesh.of(bracket, comm=alone), "fixed")
    assert abs(together.iterations - one.iterations) <= 2
    assert together.residual <= 1e-8
    assert together.n_free == one.n_free


def test_products_go_the_way_that_memory_is_left_for(comm, distributed, monkeypatch):
    matrix = assemble_elasticity(distributed, RULE, YOUNG, POISSON).petsc
    options = petsc().Options()
    for available, way in ((0, "allatonce_merged"), (10**15, "scalable")):
        # where one rank has too little, all of them save
        left = SimpleNamespace(available=available if comm.rank == 0 else 10**15)
        monkeypatch.setattr(memory.psutil, "virtual_memory", lambda left=left: left)
        with _products(comm, matrix):
            assert options.getString("matptap_via", "PETSc's") == (way if comm.size > 1 else "PETSc's")
        assert not options.hasName("matptap_via")


def test_the_matrix_is_the_sum_of_all_cells(comm):
    mesh = beam()
    distributed = DistributedMesh.of(*on_rank_0(comm, mesh), comm=comm)
    matrix = assemble_elasticity(distributed, RULE, YOUNG, POISSON)
    x = np.random.default_rng(1).normal(size=(mesh.nvertices, 3))
    found = distributed.gathered(matrix @ x[distributed.vertices].ravel())
    expected = femnn.assemble_elasticity(mesh, RULE, YOUNG, POISSON)
    if comm.rank == 0:
        assert difference(found, expected @ x.ravel()) < 1e-13
    assert matrix.shape == expected.shape


def test_parts_divide_the_mesh(comm, distributed, bracket):
    cells = np.concatenate(comm.allgather(distributed.cells))
    np.testing.assert_array_equal(np.sort(cells), np.arange(bracket.nelements))
    owned = np.concatenate(comm.allgather(distributed.vertices[: distributed.n_owned]))
    np.testing.assert_array_equal(np.sort(owned), np.arange(bracket.nvertices))
    np.testing.assert_array_equal(distributed.mesh.p, bracket.p[:, distributed.vertices])
    np.testing.assert_array_equal(distributed.vertices[distributed.mesh.t], bracket.t[:, distributed.cells])
    assert (np.diff(distributed.numbers) > 0).all() or comm.rank > 0


def test_sums_and_inner_products_are_those_of_the_whole(comm, distributed, bracket):
    volumes = femnn.assemble_body_force(distributed.mesh, RULE, (0.0, 0.0, 1.0))
    found = distributed.sum(volumes)
    expected = femnn.assemble_body_force(bracket, RULE, (0.0, 0.0, 1.0))
    own = expected.reshape(-1, 3)[distributed.vertices].ravel()
    assert np.abs(found - own).max() < 1e-12 * expected.max()
    assert distributed.dot(found, found) == pytest.approx(expected @ expected, rel=1e-12)


def test_prescribed_displacements_and_mumps(comm):
    mesh = beam()
    distributed = DistributedMesh.of(*on_rank_0(comm, mesh), comm=comm)
    matrix = assemble_elasticity(distributed, RULE, YOUNG, POISSON)
    ends = np.concatenate([distributed.dofs_on("held"), distributed.dofs_on("pulled")])
    # a homogeneous strain, prescribed at both ends, with Poisson's ratio zero left out: compared with the serial one
    values = 1e-3 * np.repeat(distributed.mesh.p[0], 3)
    found = distributed.gathered(
        solve(matrix, np.zeros(distributed.n_dofs), ends, values, method="mumps", rtol=1e-11).x
    )
    again = distributed.gathered(solve(matrix, np.zeros(distributed.n_dofs), ends, values, rtol=1e-11).x)
    if comm.rank == 0:
        K = femnn.assemble_elasticity(mesh, RULE, YOUNG, POISSON)
        fixed = np.repeat(np.isin(mesh.p[0], (0.0, 2.0)), 3)
        expected = femnn.solve(K, np.zeros(K.shape[0]), fixed, 1e-3 * np.repeat(mesh.p[0], 3), method="splu").x
        assert difference(found, expected) < 1e-10
        assert difference(again, expected) < 1e-8


def test_more_ranks_than_cells_are_refused_everywhere(comm):
    mesh = skfem.MeshHex().refined(0)
    if comm.size == 1:
        assert DistributedMesh.of(mesh, comm=comm).mesh.nelements == 1
        return
    with pytest.raises(ParameterError, match=f"{comm.size} ranks cannot share 1 cells"):
        DistributedMesh.of(mesh if comm.rank == 0 else None, comm=comm)


def test_a_rank_for_each_cell(comm):
    mesh = skfem.MeshHex.init_tensor(np.linspace(0, 1, comm.size + 1), [0.0, 1.0], [0.0, 1.0])
    distributed = DistributedMesh.of(mesh if comm.rank == 0 else None, comm=comm)
    assert distributed.mesh.nelements == 1


def test_what_is_not_held_is_reported_on_all_ranks(comm):
    distributed = DistributedMesh.of(*on_rank_0(comm, beam()), comm=comm)
    matrix = assemble_elasticity(distributed, RULE, YOUNG, POISSON)
    force = distributed.sum(femnn.assemble_body_force(distributed.mesh, RULE, WEIGHT))
    with pytest.raises(ConvergenceError, match="hold every part"):
        solve(matrix, force, max_iterations=20)


def test_supports_that_ranks_do_not_agree_on_are_refused(comm):
    distributed = DistributedMesh.of(*on_rank_0(comm, beam()), comm=comm)
    ghosts = 3 * np.arange(distributed.n_owned, len(distributed.vertices))
    matrix = assemble_elasticity(distributed, RULE, YOUNG, POISSON)
    if comm.size > 1:
        with pytest.raises(ParameterError, match="prescribed on one rank and free on another"):
            solve(matrix, np.zeros(distributed.n_dofs), ghosts)


def test_unknown_boundaries_are_named(comm, distributed):
    with pytest.raises(MeshError, match="there is no boundary 'clamped'"):
        distributed.vertices_on("clamped")
