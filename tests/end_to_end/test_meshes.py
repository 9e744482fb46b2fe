"""The committed meshes are what meshes/README.md says: hexahedra, unfolded, distorted, named, of the right size."""

import importlib
import sys

import click
import meshio
import numpy as np
import pytest
import skfem
from scipy.integrate import quad
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from support.forms import area, volume
from support.locations import ROOT

MESHES = ROOT / "meshes"
BOUNDARIES = {
    "bracket": {"fixed", "load", "wall"},
    "pipe_junction": {"inlet", "outlet", "branch", "inner", "outer"},
    "bent_blade": {"root", "tip", "pressure", "suction"},
}
# NPS 6 × 4, schedule 80: outer radius and wall of run and branch, length of the run, height of the branch (m)
RUN, BRANCH, LENGTH, HEIGHT = (0.08415, 0.01097), (0.05715, 0.00856), 0.286, 0.130


@pytest.fixture(scope="module", params=sorted(BOUNDARIES))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def mesh(name):
    return skfem.MeshHex.load(MESHES / f"{name}.vtu")


def vertices_on(mesh, name):
    return mesh.p[:, np.unique(mesh.facets[:, mesh.boundaries[name]])]


def least_bernstein_coefficient(mesh):
    """Lower bound of |det J| over the whole element, by the 27 Bernstein coefficients of the triquadratic det J."""
    lattice = np.stack(np.meshgrid(*[[0.0, 0.5, 1.0]] * 3, indexing="ij")).reshape(3, 27)
    values = -mesh.mapping().detDF(lattice).reshape(-1, 3, 3, 3)
    t = np.array([[1.0, 0.0, 0.0], [-0.5, 2.0, -0.5], [0.0, 0.0, 1.0]])
    return np.einsum("ai,bj,ck,eijk->eabc", t, t, t, values).min(axis=(1, 2, 3))


def scaled_jacobian(mesh):
    """Smallest triple product of the unit edges at a vertex, shape (nelements,)."""
    corners = np.stack(np.meshgrid(*[[0.0, 1.0]] * 3)).reshape(3, 8)
    columns = np.moveaxis(mesh.mapping().DF(corners), (0, 1), (2, 3))
    return np.abs(np.linalg.det(columns / np.linalg.norm(columns, axis=2, keepdims=True))).min(axis=1)


def test_file_is_small_and_holds_only_hexahedra(name):
    path = MESHES / f"{name}.vtu"
    assert path.stat().st_size < 600_000
    assert set(meshio.read(path).cells_dict) == {"hexahedron"}


def test_element_count(mesh):
    assert type(mesh) is skfem.MeshHex
    assert 2_000 <= mesh.nelements <= 30_000


def test_no_element_folds(mesh):
    assert least_bernstein_coefficient(mesh).min() > 0
    assert scaled_jacobian(mesh).min() > 0.1


def test_a_real_share_is_distorted(mesh):
    assert np.mean(scaled_jacobian(mesh) < 0.9) > 0.25


def test_named_boundaries_lie_on_the_surface(mesh, name):
    assert set(mesh.boundaries) == BOUNDARIES[name]
    for facets in mesh.boundaries.values():
        assert facets.size >= 50
        assert np.isin(facets, mesh.boundary_facets()).all()
    named = np.concatenate(list(mesh.boundaries.values()))
    assert np.unique(named).size == named.size
    if name != "bracket":
        assert named.size == mesh.boundary_facets().size


def test_mesh_is_one_piece_without_loose_or_double_vertices(mesh):
    assert np.unique(mesh.t).size == mesh.nvertices
    assert np.unique(mesh.p.round(8), axis=1).shape[1] == mesh.nvertices
    left, right = mesh.f2t[:, mesh.f2t[1] >= 0]
    graph = coo_matrix((np.ones(left.size), (left, right)), shape=(mesh.nelements,) * 2)
    assert connected_components(graph, directed=False)[0] == 1


def test_boundaries_survive_saving(mesh, name, tmp_path):
    mesh.save(tmp_path / "copy.vtu", compression="zlib")
    copy = skfem.MeshHex.load(tmp_path / "copy.vtu")
    np.testing.assert_array_equal(copy.p, mesh.p)
    for key, facets in mesh.boundaries.items():
        np.testing.assert_array_equal(copy.boundaries[key], facets)


def test_bracket_s_holes_are_countersunk_and_its_back_is_flat():
    mesh = skfem.MeshHex.load(MESHES / "bracket.vtu")
    np.testing.assert_allclose(vertices_on(mesh, "wall")[0], -0.012, atol=1e-9)
    centres = np.array([[-0.022, 0.090], [0.022, 0.090], [-0.024, 0.050], [0.024, 0.050]])
    rims = np.linalg.norm(vertices_on(mesh, "fixed")[1:].T[:, None] - centres, axis=2).min(axis=1)
    radii = np.array([0.0055, 0.0070, 0.0085])
    assert np.abs(rims[:, None] - radii).min(axis=1).max() < 1e-6
    assert all(np.isclose(rims, radius, atol=1e-6).any() for radius in radii)
    pin = vertices_on(mesh, "load")
    np.testing.assert_allclose(np.hypot(pin[0] - 0.068, pin[1]), 0.010, atol=1e-6)


def test_tee_has_the_volume_of_two_pipes_that_meet():
    mesh = skfem.MeshHex.load(MESHES / "pipe_junction.vtu")

    def filled(run, branch):
        above = quad(lambda y: 2 * np.sqrt(branch**2 - y**2) * (HEIGHT - np.sqrt(run**2 - y**2)), -branch, branch)[0]
        return np.pi * run**2 * LENGTH + above

    # the mesh is inscribed in the cylinders, about half a per cent smaller
    exact = filled(RUN[0], BRANCH[0]) - filled(RUN[0] - RUN[1], BRANCH[0] - BRANCH[1])
    assert 0.99 * exact < volume(mesh) < exact
    for name, (radius, wall) in {"inlet": RUN, "outlet": RUN, "branch": BRANCH}.items():
        ring = np.pi * (radius**2 - (radius - wall) ** 2)
        assert 0.99 * ring < area(mesh, name) < ring


def test_tee_s_walls_lie_on_their_cylinders():
    mesh = skfem.MeshHex.load(MESHES / "pipe_junction.vtu")
    for name, share in (("inner", 1.0), ("outer", 0.0)):
        x, y, z = vertices_on(mesh, name)
        off_run = np.abs(np.hypot(y, z) - (RUN[0] - share * RUN[1]))
        off_branch = np.abs(np.hypot(x, y) - (BRANCH[0] - share * BRANCH[1]))
        assert np.minimum(off_run, off_branch).max() < 2e-9


def test_blade_stands_between_its_root_and_tip():
    mesh = skfem.MeshHex.load(MESHES / "bent_blade.vtu")
    np.testing.assert_array_equal(vertices_on(mesh, "root")[2], 0.0)
    np.testing.assert_array_equal(vertices_on(mesh, "tip")[2], 0.150)
    assert area(mesh, "tip") < 0.3 * area(mesh, "root")
    # the suction side is the convex one
    assert area(mesh, "suction") > area(mesh, "pressure")


@pytest.fixture
def generator(monkeypatch):
    monkeypatch.syspath_prepend(MESHES)
    return importlib.import_module


def test_sweeps_join_at_their_common_face(generator):
    sweeping = generator("sweeping")
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=float)
    ends = {"start": square[:, 0] == 0.0, "end": square[:, 0] == 1.0}

    def cube(shift, sign, surfaces):
        layers = np.stack([np.insert(np.add(square, [shift, 0]), 2, sign * z, axis=1) for z in (0.0, 1.0)])
        return sweeping.sweep(np.array([[0, 1, 2, 3]]), layers, surfaces)

    # the second is swept downwards, which turns its cells inside out until they are put right
    below = cube(0, -1, {})
    mesh = sweeping.join([cube(0, 1, {"start": ends["start"]}), cube(1, 1, {"end": ends["end"]}), below])
    assert (mesh.nelements, mesh.nvertices) == (3, 16)
    assert volume(mesh) == pytest.approx(3.0)
    assert (mesh.mapping().detDF(np.full((3, 1), 0.5)) < 0).all()
    assert mesh.p[0, mesh.facets[:, mesh.boundaries["start"]]].max() == 0.0
    assert mesh.p[0, mesh.facets[:, mesh.boundaries["end"]]].min() == 2.0


def test_tee_s_run_and_branch_meet_in_a_mitre(generator):
    tee = generator("pipe_junction")
    phi = np.linspace(-np.pi, np.pi, 17)
    for tau in (0.0, 0.3, 1.0):
        on_run = tee.place_on_run(*tee.unrolled_rim(phi, 0.5), phi, tau)
        on_branch = tee.place_on_branch(phi, np.array([0.0]), tau)
        np.testing.assert_allclose(on_run, on_branch, atol=1e-15)


def test_missing_gmsh_names_the_extra_and_the_libraries(generator, monkeypatch):
    sweeping = generator("sweeping")
    monkeypatch.setitem(sys.modules, "gmsh", None)
    with pytest.raises(click.ClickException, match=r"\.\[mesh\].*libglu1-mesa"):
        sweeping.import_gmsh()
