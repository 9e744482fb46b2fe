"""What ranks rest on, without ranks: subdivision, partitions, files, what is missing; and the scaling benchmark."""

import json
import subprocess
import sys

import numpy as np
import pytest
import skfem
from click.testing import CliRunner
from support.one_rank import ALONE

import femnn
from femnn.cli import main as command
from femnn.exceptions import MeshError, MissingExtraError, ParameterError
from femnn.io.locations import data_folder
from femnn.mesh_files import read_mesh
from femnn.parallel import (
    DistributedMesh,
    Rows,
    Timing,
    cell_costs,
    fingerprint,
    imbalance,
    local_meshes,
    partition,
    read_local_mesh,
    subdivided,
    subdivided_points,
    write_local_mesh,
)

RULE = femnn.AdaptiveGauss(1e-3)


@pytest.fixture(scope="module")
def bracket():
    return read_mesh(data_folder("meshes") / "bracket.vtu")


# --- subdivision


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_subdivided_mesh_conforms_and_keeps_volume_and_boundaries(bracket, n):
    local_mesh = subdivided(bracket, np.zeros(bracket.nelements), 0, n)
    fine = skfem.MeshHex(local_mesh.points, local_mesh.corners)
    assert fine.nelements == local_mesh.n_cells == bracket.nelements * n**3
    np.testing.assert_array_equal(local_mesh.vertices, np.arange(local_mesh.n_vertices))
    # inner facets have two cells, outer ones are those of the coarse mesh
    assert (fine.f2t[1] == -1).sum() == n**2 * (bracket.f2t[1] == -1).sum()
    volume = [
        femnn.assemble_body_force(mesh, femnn.GaussLegendre(3), (1.0, 0.0, 0.0)).sum() for mesh in (bracket, fine)
    ]
    assert volume[1] == pytest.approx(volume[0], rel=1e-12)
    outer = np.sort(fine.facets[:, fine.f2t[1] == -1], axis=0).T
    for name, facets in bracket.boundaries.items():
        corners = np.sort(local_mesh.boundaries[name], axis=1)
        assert len(np.unique(corners, axis=0)) == n**2 * len(facets)
        assert set(map(tuple, corners)) <= set(map(tuple, outer))


def test_ranks_agree_on_the_vertices_between_them(bracket):
    part = np.random.default_rng(0).integers(0, 3, bracket.nelements)
    found = [subdivided(bracket, part, rank, 3) for rank in range(3)]
    where = np.full((found[0].n_vertices, 3), np.nan)
    for local_mesh in found:
        known = np.isfinite(where[local_mesh.vertices, 0])
        np.testing.assert_allclose(local_mesh.points.T[known], where[local_mesh.vertices[known]], atol=1e-15)
        where[local_mesh.vertices] = local_mesh.points.T
    assert np.isfinite(where).all()
    np.testing.assert_array_equal(np.sort(np.concatenate([s.cells for s in found])), np.arange(27 * bracket.nelements))


def test_points_of_fine_cells_are_those_of_the_rule(bracket):
    cells = np.array([5, 900, 17])
    points = subdivided_points(bracket, RULE, 2, cells)
    for cell, count in zip(cells, points, strict=True):
        local_mesh = subdivided(bracket, np.arange(bracket.nelements) != cell, 0, 2)
        assert count == RULE.count_points(femnn.hexahedra(skfem.MeshHex(local_mesh.points, local_mesh.corners)))


# --- partitions


def test_partitions_weighted_by_costs_have_the_same_work():
    pytest.importorskip("pymetis")
    mesh = skfem.MeshHex.init_tensor(np.linspace(0.0, 5.0, 51), *[np.linspace(0.0, 1.0, 11)] * 2)
    # the cells at one end need many points
    costs = 8 + 200 * (mesh.p[0, mesh.t].mean(axis=0) > 4.0)
    for ranks in (2, 3, 5):
        weighted = partition(mesh, ranks, costs)
        assert imbalance(weighted, costs, ranks) < 0.05
        assert imbalance(partition(mesh, ranks), costs, ranks) > 0.2
        np.testing.assert_array_equal(weighted, partition(mesh, ranks, costs))


def test_costs_are_points_and_a_fixed_share(bracket):
    costs = cell_costs(bracket, RULE, fixed=10)
    assert costs.sum() == RULE.count_points(femnn.hexahedra(bracket)) + 10 * bracket.nelements


@pytest.mark.parametrize("ranks", [0, 9, 1.5])
def test_more_ranks_than_cells_are_refused(ranks):
    with pytest.raises(ParameterError, match="ranks"):
        partition(skfem.MeshHex().refined(1), ranks)


def test_a_share_comes_back_from_its_file_and_only_for_its_mesh(tmp_path, bracket):
    (local_mesh,) = local_meshes(bracket, np.zeros(bracket.nelements), 1)
    write_local_mesh(tmp_path, 0, 1, local_mesh)
    back = read_local_mesh(tmp_path, bracket, ALONE)
    for name in ("cells", "vertices", "points", "corners"):
        np.testing.assert_array_equal(getattr(back, name), getattr(local_mesh, name))
    assert back.mesh_id == fingerprint(bracket)
    for name, corners in local_mesh.boundaries.items():
        np.testing.assert_array_equal(back.boundaries[name], corners)
    moved = skfem.MeshHex(bracket.p + 1e-9, bracket.t)
    with pytest.raises(MeshError, match="is a partition of another mesh"):
        read_local_mesh(tmp_path, moved, ALONE)
    with pytest.raises(MeshError, match="there is no partition"):
        read_local_mesh(tmp_path / "none", None, ALONE)


@pytest.mark.parametrize("missing", ["mpi4py", "petsc4py"])
def test_what_ranks_miss_is_named(missing):
    program = f"""
import sys, types
if {missing!r} == "petsc4py":
    sys.modules["mpi4py"] = types.ModuleType("mpi4py")
    sys.modules["mpi4py"].MPI = None
sys.modules[{missing!r}] = None
from femnn.parallel import world
world()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert f"{MissingExtraError.__name__}: ranks need mpi4py and petsc4py" in done.stderr
    assert missing in done.stderr
    assert "pip install 'femnn[mpi]'" in done.stderr
    assert "python3-petsc4py python3-mpi4py" in done.stderr


# --- benchmark


def test_the_scaling_benchmark_measures_threads_and_models_without_ranks(tmp_path):
    out = tmp_path / "out"
    arguments = [
        "bench",
        "scaling",
        "--edge",
        "4",
        "--rounds",
        "1",
        "--python",
        str(tmp_path / "none"),
        "--out",
        str(out),
    ]
    runner = CliRunner()
    done = subprocess.run(
        [sys.executable, "-c", "from femnn.cli import main; main()", *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert runner.invoke(command, ["bench"]).output.count("scaling") == 1
    figures = json.loads((out / "scaling.json").read_text())
    assert figures["threads"][0]["elements"] == 64
    assert "make test-mpi" in figures["missing"]
    assert "| elements |" in (out / "scaling.md").read_text()
    assert "1e+08 elements" in (out / "scaling-model.md").read_text()


def test_the_model_counts_what_a_large_matrix_has():
    from benchmarks.scaling.ranks import model

    mesh = skfem.MeshHex.init_tensor(*[np.linspace(0.0, 1.0, 21)] * 3)
    matrix = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(1), 1.0, 0.3)
    # a node inside has as many entries as the model says; those of the surface fewer
    inside = np.diff(matrix.indptr).max() * 3
    assert inside == model.ENTRIES
    assert (
        model.solution(1e6, 2, 50, 1e10, 1e9, 1e-6)["traffic"] * 2 == model.solution(1e6, 1, 50, 1e10, 0, 0)["traffic"]
    )


# --- what ranks are given


def test_what_is_no_communicator_is_refused(tmp_path, bracket):
    for comm in (3, "world", [1, 2], np.zeros(3)):
        for call in (
            lambda comm=comm: DistributedMesh.of(bracket, comm=comm),
            lambda comm=comm: DistributedMesh.read(tmp_path, comm=comm),
            lambda comm=comm: Timing(comm),
        ):
            with pytest.raises(ParameterError, match="no communicator"):
                call()


def test_vectors_of_another_length_are_refused():
    mesh = DistributedMesh.of(skfem.MeshHex().refined(1), comm=ALONE)
    u = np.arange(float(mesh.n_dofs))
    assert mesh.dot(u, u) == pytest.approx(u @ u)
    np.testing.assert_array_equal(mesh.gathered(u).reshape(-1, 3)[mesh.vertices].ravel(), u)
    for wrong in (u[:-1], u[:3], np.zeros(0), 1.0):
        for call in (mesh.sum, mesh.update, mesh.gathered, lambda x: mesh.dot(x, u), lambda x: mesh.dot(u, x)):
            with pytest.raises(ParameterError):
                call(wrong)
    with pytest.raises(ParameterError, match="there is no interface 2"):
        mesh.interface(2)


def test_matrices_of_another_kind_are_refused():
    mesh = DistributedMesh.of(skfem.MeshHex().refined(1), comm=ALONE)
    K = femnn.assemble_elasticity(mesh.mesh, femnn.GaussLegendre(2), 1.0, 0.3)
    rows = Rows.of(mesh, K)
    for matrix in (None, K.toarray(), K.tocsc(), K[:3, :3]):
        with pytest.raises(ParameterError, match="matrix"):
            Rows.of(mesh, matrix)
    with pytest.raises(ParameterError, match="data has shape"):
        rows.filled(K.data[:-1])
