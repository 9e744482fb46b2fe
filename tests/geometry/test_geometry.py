"""The trilinear map, measures of quality, coordinates and symmetries."""

import numpy as np
import pytest
import skfem
from support.properties import described_otherwise, moved

import femnn
from femnn.geometry import (
    EDGES,
    TO_VTK,
    VERTICES,
    coordinates,
    jacobian,
    jacobian_determinant,
    quality,
    shape_functions,
    shape_gradients,
    symmetry,
    trilinear_map,
)
from femnn.geometry.hexahedron import in_own_units
from femnn.geometry.shape_kernels import own_axes_of
from femnn.geometry.shape_lanes import fill_metrics, fill_warps

CUBE = VERTICES[None]


def inside(n=9, seed=0):
    return np.random.default_rng(seed).uniform(0, 1, (3, n))


def test_shape_functions_are_those_of_scikit_fem():
    points = inside()
    element = skfem.ElementHex1()
    for a in range(8):
        value, gradient = element.lbasis(points, a)
        np.testing.assert_allclose(shape_functions(points)[a], value, atol=1e-15)
        np.testing.assert_allclose(shape_gradients(points)[a], gradient, atol=1e-15)


def test_map_takes_reference_vertices_to_vertices(distorted):
    np.testing.assert_allclose(trilinear_map(distorted, VERTICES.T), distorted, atol=1e-15)


def test_jacobian_against_differences(distorted):
    points, step = inside(), 1e-6
    for k in range(3):
        shift = step * np.eye(3)[k][:, None]
        difference = (trilinear_map(distorted, points + shift) - trilinear_map(distorted, points - shift)) / (2 * step)
        np.testing.assert_allclose(jacobian(distorted, points)[..., k], difference, atol=1e-9)


def test_jacobian_determinant_is_that_of_the_jacobian(distorted):
    points = inside()
    np.testing.assert_allclose(
        jacobian_determinant(distorted, points), np.linalg.det(jacobian(distorted, points)), rtol=1e-12
    )


@pytest.mark.parametrize("stretch", [1.0, 1e-3, 1e-7])
def test_metric_is_the_logarithm_of_the_central_parallelepiped(distorted, stretch):
    elements = distorted[:30] * [1.0, 2.0, stretch]
    linear = coordinates.modes(elements)[1]
    _, sizes, axes = np.linalg.svd(linear)
    logarithm = np.einsum("eki,ek,ekj->eij", axes, np.log(sizes), axes)
    logarithm -= np.trace(logarithm, axis1=1, axis2=2)[:, None, None] * np.eye(3) / 3.0
    expected = logarithm[:, [0, 1, 2, 0, 1, 2], [0, 1, 2, 1, 2, 0]]
    # JᵀJ has the square of the stretch beside 1: what the logarithm of the smallest loses
    np.testing.assert_allclose(coordinates.metric(elements), expected, atol=1e-13 + 1e-15 / stretch**2)
    twice = np.einsum("eik,ekj->eij", linear, coordinates.relative_warp(elements))
    np.testing.assert_allclose(twice, coordinates.modes(elements)[2], atol=1e-14)


def test_vtk_order_goes_round_the_bottom_then_the_top():
    expected = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]]
    assert VERTICES[TO_VTK].tolist() == expected


def test_edges_join_neighbours_once():
    assert len({frozenset(edge) for edge in EDGES.tolist()}) == 12
    assert (np.abs(VERTICES[EDGES[:, 0]] - VERTICES[EDGES[:, 1]]).sum(axis=1) == 1).all()


def test_hexahedra_of_a_mesh_fill_it():
    mesh = skfem.MeshHex.init_tensor(np.linspace(0, 2, 3), np.linspace(0, 3, 4), np.linspace(0, 1, 2))
    volumes = quality.signed_volume(femnn.hexahedra(mesh))
    assert abs(abs(volumes.sum()) - 6.0) < 1e-14
    assert (volumes < 0).all(), "scikit-fem's own meshes are left-handed; if that changed, the documentation must too"


def test_signed_volume_against_dense_quadrature(distorted):
    points = (np.stack(np.meshgrid(*[np.arange(40)] * 3, indexing="ij")).reshape(3, -1) + 0.5) / 40
    midpoint = jacobian_determinant(distorted[:5], points).mean(axis=1)
    np.testing.assert_allclose(quality.signed_volume(distorted[:5]), midpoint, rtol=2e-4)
    mirrored = distorted * [1, 1, -1]
    np.testing.assert_allclose(quality.signed_volume(mirrored), -quality.signed_volume(distorted), rtol=1e-12)


def test_quality_of_known_shapes():
    brick = CUBE * [1.0, 2.0, 8.0]
    sheared = CUBE @ np.array([[1.0, 0, 0], [1.0, 1.0, 0], [0, 0, 1.0]])
    frustum = CUBE.copy()
    frustum[:, VERTICES[:, 2] == 1, :2] *= 0.5
    assert quality.aspect(brick)[0] == pytest.approx(8.0)
    for shape in (CUBE, brick, sheared):
        assert quality.distance_from_parallelepiped(shape)[0] < 1e-14
    assert quality.scaled_jacobian(brick)[0] == pytest.approx(1.0)
    assert quality.scaled_jacobian(sheared)[0] == pytest.approx(np.sqrt(0.5))
    assert quality.scaled_jacobian(brick[:, ::-1] * [1, 1, -1])[0] > 0.99, "handedness is no defect"
    # x = ξ(1 - ζ/2): the twist over the axis, about the centre and on [-1, 1]³, is -1/8 over 3/8, in both directions
    assert quality.distance_from_parallelepiped(frustum)[0] > 0.3


def test_scaled_jacobian_of_a_folded_element_is_negative():
    folded = CUBE.copy()
    folded[0, 7] = [0.9, 0.9, 0.9]
    assert quality.scaled_jacobian(folded)[0] < 0


def test_relative_warp_is_affinely_invariant(distorted):
    affine = np.random.default_rng(3).normal(size=(3, 3))
    np.testing.assert_allclose(
        coordinates.relative_warp(distorted @ affine.T + 1.0), coordinates.relative_warp(distorted), atol=1e-12
    )


@pytest.mark.parametrize("describe", [coordinates.invariant_coordinates, coordinates.normalised_coordinates])
def test_coordinates_are_eighteen_and_invariant_to_rigid_motion_and_size(distorted, describe):
    values = describe(distorted)
    assert values.shape == (len(distorted), 18)
    np.testing.assert_allclose(describe(moved(distorted, seed=4, size=7.0)), values, atol=1e-12)


@pytest.mark.parametrize("describe", [coordinates.invariant_coordinates, coordinates.normalised_coordinates])
def test_coordinates_tell_shapes_apart(distorted, describe):
    # 18 numbers for 18 degrees of freedom: the differential has full rank
    step, element = 1e-6, distorted[:1]
    moves = step * np.eye(24).reshape(24, 8, 3)
    differential = (describe(element + moves) - describe(element - moves)) / (2 * step)
    # invariance takes six rigid motions and one scaling; log-lengths sum to zero, one of the 18 is redundant
    assert np.linalg.matrix_rank(differential, tol=1e-6) == 17


def test_symmetries_are_a_group_of_48():
    matrices = {tuple(np.rint(q).astype(int).ravel()) for q in symmetry.symmetries()}
    assert len(matrices) == 48
    products = {tuple(np.rint(a @ b).astype(int).ravel()) for a in symmetry.symmetries() for b in symmetry.symmetries()}
    assert products == matrices


def test_vertex_permutations_describe_the_same_element(distorted):
    points = inside()
    for g in range(48):
        turned = described_otherwise(distorted[:3], g)
        carried = 0.5 + symmetry.symmetries()[g] @ (points - 0.5)
        np.testing.assert_allclose(trilinear_map(turned, points), trilinear_map(distorted[:3], carried), atol=1e-14)


def test_canonical_pose_is_one_for_all_descriptions(distorted):
    posed, _ = symmetry.canonical_pose(distorted)
    for g in range(48):
        again, found = symmetry.canonical_pose(described_otherwise(distorted, g))
        np.testing.assert_array_equal(again, posed)
        assert found.min() >= 0


def test_determinant_slopes_against_differences(distorted):
    step = 1e-5
    slopes = np.empty((len(distorted), 3))
    for warp, own in zip(coordinates.relative_warp(distorted), slopes, strict=True):
        symmetry.determinant_slopes(warp, own)
    middle = jacobian_determinant(distorted, np.full((3, 1), 0.5))[:, 0]
    for k in range(3):
        # ξ in [-1, 1] is twice that in [0, 1]
        shift = 0.5 * step * np.eye(3)[k][:, None]
        ahead, behind = (jacobian_determinant(distorted, 0.5 + s)[:, 0] for s in (shift, -shift))
        np.testing.assert_allclose(slopes[:, k], (ahead - behind) / (2 * step) / middle, atol=1e-9)


@pytest.mark.parametrize("n", [1, 64, 70])
def test_shapes_in_lanes_are_those_of_single_elements(n):
    elements, _ = in_own_units(femnn.distorted_hexahedra(n, 0.3, seed=n, aspect=20.0))
    inverses, warps, metrics = np.empty((n, 3, 3)), np.empty((n, 3, 4)), np.empty((n, 6))
    fill_warps(elements, inverses, warps)
    fill_metrics(elements, metrics)
    linear, twist, inverse, warp = np.empty((3, 3)), np.empty((3, 4)), np.empty((3, 3)), np.empty((3, 4))
    for e in range(n):
        own_axes_of(elements[e], np.arange(8), linear, twist, inverse, warp)
        np.testing.assert_allclose(inverses[e], inverse, rtol=0.0, atol=1e-13 * np.abs(inverse).max())
        np.testing.assert_allclose(warps[e], warp, rtol=0.0, atol=1e-13)
        values, vectors = np.linalg.eigh(linear.T @ linear)
        logarithm = 0.5 * (vectors * (np.log(values) - np.log(values).mean())) @ vectors.T
        expected = [logarithm[m % 3, (m % 3 + m // 3) % 3] for m in range(6)]
        np.testing.assert_allclose(metrics[e], expected, atol=1e-12)


def test_points_that_are_not_symmetric_are_refused():
    with pytest.raises(ValueError, match="not symmetric"):
        symmetry.permutations_of(np.array([[0.2], [0.5], [0.5]]))
