"""27 weights that move only where the patch test allows it."""

import numpy as np
import pytest
import skfem
from support.properties import assert_passes_patch_test, moved

import femnn
from femnn.geometry import VERTICES, canonical_pose, distorted_cube, own_axes
from femnn.integration import converged_stiffness, tensor_gauss
from femnn.integration.error import error_against
from femnn.quadrature import patch_residual
from femnn.quadrature.corrected.patch_networks import LEAST, passing_weights, patch_systems
from femnn.quadrature.patch_conditions import passing_changes, patch_bases, patch_integrands

POINTS, GAUSS = tensor_gauss(3, 3, 3)


@pytest.fixture(scope="module")
def rule():
    return femnn.CorrectedGauss(3, patch=True)


@pytest.fixture(scope="module")
def unseen():
    """Elements that the shipped network was not trained on."""
    return femnn.distorted_hexahedra(2000, (0.05, 0.35), seed=987_654)


# The directions that pass


def test_fourteen_directions_are_free(distorted):
    bases = patch_bases(distorted, POINTS)
    np.testing.assert_allclose(bases @ bases.mT, np.tile(np.eye(13), (len(distorted), 1, 1)), atol=1e-12)
    # nothing of the integrands is left out
    integrands = patch_integrands(own_axes(distorted), POINTS)
    assert np.abs(integrands - integrands @ bases.mT @ bases).max() < 1e-12
    parallelepiped = patch_bases(VERTICES[None] * [1.0, 2.0, 3.0], POINTS)[0]
    assert np.linalg.matrix_rank(parallelepiped) == 7


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-6, 1e-9])
def test_projection_passes_the_patch_test_however_near_a_parallelepiped(distorted, scale):
    elements = VERTICES + scale * (distorted - VERTICES)
    raw = 0.2 * np.random.default_rng(0).normal(size=(len(elements), 27))
    changes = passing_changes(elements, POINTS, raw)
    assert patch_residual(elements, POINTS, GAUSS + changes).max() < 1e-12
    np.testing.assert_allclose(passing_changes(elements, POINTS, changes), changes, atol=1e-12)
    assert np.median(np.linalg.norm(changes, axis=1)) > 0.6


def test_positive_weights_that_pass_whatever_a_network_says():
    """Over 10⁵ random shapes and raw changes of all sizes."""
    elements = femnn.distorted_hexahedra(100_000, (0.0, 0.45), seed=8, structured=0.2)
    random = np.random.default_rng(1)
    raw = random.normal(size=(len(elements), 27)) * 10.0 ** random.uniform(-3, 3, (len(elements), 1))
    weights = passing_weights(raw, elements)
    assert (weights >= (1.0 - 1e-12) * LEAST * GAUSS).all()
    assert patch_residual(elements, POINTS, weights).max() < 1e-12


def test_parallelepipeds_keep_gauss_weights(distorted):
    raw = np.ones((3, 27))
    elements = np.stack([VERTICES * [1.0, 1.0, 9.0], moved(VERTICES, seed=2), VERTICES * 1e-4])
    np.testing.assert_allclose(passing_weights(raw, elements), np.tile(GAUSS, (3, 1)), rtol=1e-14)


def test_systems_measure_the_error_of_the_rule(distorted):
    posed = canonical_pose(distorted[:30])[0]
    free, matrices, targets, settled = patch_systems(posed, 0.3)
    steps = 1e-4 * np.random.default_rng(2).normal(size=(len(free), 14))
    expected = np.abs(np.einsum("erk,ek->er", matrices, steps) - targets).sum(axis=1)
    weights = GAUSS + np.einsum("eqk,ek->eq", free, steps)
    references, _ = converged_stiffness(posed[settled])

    class Given(femnn.Rule):
        def _groups(self, hexahedra):
            return [femnn.CellGroup(np.arange(len(hexahedra)), POINTS, weights)]

    found = error_against(posed[settled], Given(), references)
    standard = error_against(posed[settled], femnn.GaussLegendre(3), references)
    np.testing.assert_allclose(found / standard, expected, rtol=2e-3, atol=1e-5)
    assert settled.mean() > 0.9


# The rule


def test_rule_reduces_the_error_of_27_gauss_points(rule, unseen):
    references, doubt = converged_stiffness(unseen)
    standard = error_against(unseen, femnn.GaussLegendre(3), references)
    ratio = (error_against(unseen, rule, references) / standard)[doubt < 1e-3 * standard]
    assert rule.corrected(unseen).mean() > 0.99
    assert ratio.mean() < 0.88
    assert np.mean(ratio < 1.0) > 0.985


def test_rule_passes_the_patch_test(rule, unseen):
    stretched = unseen * [1.0, 1.1, 0.9]
    for elements in (unseen, stretched, moved(unseen, seed=1, size=1e-6)):
        assert_passes_patch_test(rule, elements)


def test_published_meshes_are_not_made_worse(rule, published_meshes):
    elements = femnn.hexahedra(skfem.MeshHex.load(published_meshes / "dragon_out.mesh"))[::7]
    references, doubt = converged_stiffness(elements)
    standard = error_against(elements, femnn.GaussLegendre(3), references)
    settled = doubt < 1e-3 * standard
    ratio = (error_against(elements, rule, references) / standard)[settled]
    assert ratio.mean() < 1.0


def test_linear_displacement_passes_through_a_mesh(rule):
    mesh = distorted_cube(4, 0.3, seed=3)
    matrix = femnn.assemble_elasticity(mesh, rule, 1.0, 0.3)
    linear = (np.random.default_rng(5).normal(size=(3, 3)) @ mesh.p).T.ravel()
    inner = np.setdiff1d(np.arange(mesh.nvertices), mesh.boundary_nodes())
    forces = (matrix @ linear).reshape(-1, 3)
    assert np.abs(forces[inner]).max() < 1e-12 * np.abs(forces).max()


def test_elements_outside_the_trained_range_keep_gauss_weights(rule, distorted):
    stretched = distorted * [400.0, 1.0, 1.0]
    assert not rule.corrected(stretched).any()
    (group,) = rule.groups(stretched)
    np.testing.assert_array_equal(group.W, GAUSS)


@pytest.mark.parametrize(("points", "patch"), [(3, False), (2, True), (4, True), ("3", True)])
def test_other_points_have_no_corrected_weights(points, patch):
    with pytest.raises(femnn.ParameterError, match=r"points(=| is ).*"):
        femnn.CorrectedGauss(points, patch=patch)


def test_names_and_weights(rule):
    assert repr(rule) == "CorrectedGauss(points=3, patch=True)"
    with pytest.raises(femnn.WeightFileError, match="kind 'quadrature-weights'"):
        femnn.CorrectedGauss(3, patch=True, weights="quadrature-weights")
    with pytest.raises(femnn.WeightFileError, match="kind 'patch-weights'"):
        femnn.CorrectedGauss(weights="patch-weights")
