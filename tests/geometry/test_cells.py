"""Cells of every kind: coordinates as scikit-fem maps them, and folds that are found wherever they hide."""

import numpy as np
import pytest
import skfem
from support.curved_meshes import bent_hexahedra, bent_quadrilaterals

import femnn
from femnn.exceptions import FoldedElementError, MeshError
from femnn.geometry.bernstein import bernstein_coefficients_of_cells, distance_from_affine
from femnn.geometry.cells import KINDS, cells, determinants, kind_of_array, kind_of_mesh
from femnn.geometry.validity import DEGENERATE, FOLDED, VALID, bernstein_coefficients, classify

MESHES = [
    skfem.MeshQuad().refined(2),
    bent_quadrilaterals(),
    skfem.MeshHex().refined(1),
    bent_hexahedra(),
]


@pytest.mark.parametrize("mesh", MESHES, ids=lambda mesh: type(mesh).__name__)
def test_determinants_are_those_of_scikit_fem(mesh):
    points = np.random.default_rng(0).random((mesh.dim(), 7))
    np.testing.assert_allclose(determinants(cells(mesh), points), mesh.mapping().detDF(points), atol=1e-14)


@pytest.mark.parametrize("mesh", MESHES, ids=lambda mesh: type(mesh).__name__)
def test_bernstein_coefficients_enclose_the_determinant(mesh):
    x = cells(mesh) + 0.05 * np.random.default_rng(1).standard_normal(cells(mesh).shape)
    ticks = np.linspace(0.0, 1.0, 13)
    points = np.stack(np.meshgrid(*[ticks] * mesh.dim(), indexing="ij")).reshape(mesh.dim(), -1)
    values = determinants(x, points)
    coefficients = bernstein_coefficients_of_cells(x).reshape(len(x), -1)
    assert (values.min(axis=1) >= coefficients.min(axis=1) - 1e-12).all()
    assert (values.max(axis=1) <= coefficients.max(axis=1) + 1e-12).all()


def test_bernstein_coefficients_are_those_of_the_kernel_for_straight_hexahedra():
    x = femnn.distorted_hexahedra(50, 0.3, seed=0)
    np.testing.assert_allclose(bernstein_coefficients_of_cells(x), bernstein_coefficients(x), atol=1e-13)


@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_the_distance_from_an_affine_map_bounds_jacobian_and_determinant(kind):
    x = kind.nodes + 0.04 * np.random.default_rng(4).uniform(-1.0, 1.0, (40, len(kind.nodes), kind.dim))
    distance = distance_from_affine(x)
    centre = np.full((kind.dim, 1), 0.5)
    first = np.linalg.inv(np.einsum("eai,aj->eij", x, kind.gradients(centre)[..., 0]))
    points = np.random.default_rng(5).random((kind.dim, 200))
    changes = np.einsum("eik,eak,ajq->eijq", first, x, kind.gradients(points)) - np.eye(kind.dim)[:, :, None]
    seen = np.abs(changes).sum(axis=2).max(axis=(1, 2))
    assert (seen <= distance + 1e-12).all()
    shares = determinants(x, points) / determinants(x, centre)
    assert (shares.min(axis=1) >= np.maximum(1.0 - distance, 0.0) ** kind.dim - 1e-12).all()
    assert distance_from_affine(np.zeros((2, len(kind.nodes), kind.dim))).tolist() == [np.inf, np.inf]
    # a straight parallelepiped is affine
    skew = kind.nodes @ (np.eye(kind.dim) + 0.3 * np.eye(kind.dim, k=1))
    assert distance_from_affine(skew[None])[0] < 1e-14


def sampled_sign_changes(x, n):
    """True for cells whose determinant has both signs on a lattice of n points an axis."""
    dim = x.shape[2]
    points = np.stack(np.meshgrid(*[np.linspace(0.0, 1.0, n)] * dim, indexing="ij")).reshape(dim, -1)
    values = determinants(x, points)
    return (values.min(axis=1) < 0.0) & (values.max(axis=1) > 0.0)


@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_folds_are_found_for_sure(kind):
    rng = np.random.default_rng(2)
    spread = {(2, 1): 0.5, (2, 2): 0.16, (3, 1): 0.5, (3, 2): 0.12}[kind.dim, kind.degree]
    x = kind.nodes + rng.uniform(-spread, spread, (300, len(kind.nodes), kind.dim))
    status = classify(x)
    folded = sampled_sign_changes(x, 40 if kind.dim == 2 else 15)
    assert (status[folded] == FOLDED).all()
    assert 10 < folded.sum() < 290
    # a fold between the points of the lattice is a small one
    missed = (status == FOLDED) & ~folded
    assert missed.sum() <= 0.1 * len(x)
    # a mirror image changes the sign of the determinant and nothing else
    mirrored = x * np.array([-1.0, *[1.0] * (kind.dim - 1)])
    np.testing.assert_array_equal(classify(mirrored), status)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_size_and_place_do_not_matter(scale):
    x = cells(bent_hexahedra())
    assert (classify(scale * x) == VALID).all()
    assert (classify(scale * (x + 1e4)) == VALID).all()


def test_an_edge_that_folds_between_its_nodes_is_found():
    x = cells(skfem.MeshQuad2())
    # the middle of an edge beyond a quarter of it: the map turns back before the vertex
    middle = int(np.flatnonzero((np.asarray(skfem.ElementQuad2.doflocs) == [0.5, 0.0]).all(axis=1))[0])
    x[0, middle] = [0.2, 0.0]
    assert classify(x) == [FOLDED]
    with pytest.raises(FoldedElementError, match=r"element 0 is folded: det J = .* at vertex 0"):
        femnn.GaussLegendre(3).groups(x)


def test_quarter_points_are_degenerate():
    x = cells(skfem.MeshQuad2())
    places = np.asarray(skfem.ElementQuad2.doflocs)
    for edge, quarter in (([0.5, 0.0], [0.25, 0.0]), ([0.0, 0.5], [0.0, 0.25])):
        x[0, int(np.flatnonzero((places == edge).all(axis=1))[0])] = quarter
    assert classify(x) == [DEGENERATE]


def test_kinds_of_meshes_and_arrays_agree():
    for mesh in MESHES:
        assert kind_of_mesh(mesh) is kind_of_array(cells(mesh))


def test_other_meshes_are_refused():
    with pytest.raises(MeshError, match="MeshTri1; femnn integrates quadrilaterals and hexahedra"):
        cells(skfem.MeshTri())
    with pytest.raises(MeshError, match="expected a mesh of scikit-fem, got str"):
        cells("a mesh")
    with pytest.raises(MeshError, match=r"cells have shape \(2, 20, 3\); expected one of \(n, 4, 2\)"):
        femnn.GaussLegendre(2).groups(np.zeros((2, 20, 3)))


def test_coordinates_that_are_not_finite_are_named():
    mesh = bent_quadrilaterals()
    mesh.doflocs[0, mesh.dofs.element_dofs[8, 3]] = np.nan
    with pytest.raises(MeshError, match=r"element 3 has coordinates that are not finite: .* at node 8"):
        cells(mesh)
