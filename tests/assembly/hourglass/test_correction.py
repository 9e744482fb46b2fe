"""What quadrature gets wrong sits in the hourglass part, and a prediction of it corrects every linear stiffness."""

import numpy as np
import pytest
import skfem
from skfem.models.elasticity import lame_parameters, linear_elasticity
from support.properties import assert_rigid_modes_free, described_otherwise, moved

import femnn
from femnn.assembly import isotropic_stiffness
from femnn.assembly.element_matrices import ISOTROPIC, TANGENT
from femnn.assembly.hourglass import correction as correction_module
from femnn.assembly.hourglass.kernels import check_differences, element_stiffness
from femnn.assembly.hourglass.moments import (
    COLUMNS,
    ROWS,
    gauss_factors,
    hourglass_moments,
    hourglass_vectors,
    missed_points,
)
from femnn.assembly.hourglass.network import KEPT, OUTPUTS, differences
from femnn.geometry import (
    VERTICES,
    canonical_pose,
    distorted_cube,
    kershaw,
    modes,
    own_axes,
    relative_warp,
)
from femnn.geometry.canonical_pose import canonical_warps
from femnn.geometry.meshers import FAMILIES, family
from femnn.integration import converged_stiffness, elasticity_stiffness, stiffness_error, tensor_gauss
from femnn.integration.stiffness import gradient_moments
from femnn.networks import Architecture, Perceptron

PLACES = np.empty((12, 12), dtype=np.int64)
PLACES[ROWS, COLUMNS] = PLACES[COLUMNS, ROWS] = np.arange(78)
GAUSS = tensor_gauss(2, 2, 2)


@pytest.fixture(scope="module")
def correction():
    return femnn.HourglassCorrection()


@pytest.fixture(scope="module")
def unseen():
    """Elements that the shipped network was not trained on."""
    return femnn.distorted_hexahedra(2000, (0.05, 0.35), seed=987_654)


def symmetric_stiffness(seed):
    """A positive definite (6, 6) stiffness without any symmetry of the material."""
    a = np.random.default_rng(seed).normal(size=(6, 6))
    return a @ a.T + np.eye(6)


def fourth_order(stiffness):
    voigt = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])
    return stiffness[voigt[:, :, None, None], voigt]


def changes(hexahedra, missed, stiffness):
    """Element matrices of given differences (n, 78) of elements as they are numbered, row 3a + i."""
    n = len(hexahedra)
    orders = np.tile(np.arange(8), (n, 1))
    numbers, rows = stiffness.reshape(1, 36), np.zeros(n, dtype=np.int64)
    result = element_stiffness(TANGENT, hexahedra, orders, missed, numbers, rows)
    return result.reshape(n, 3, 8, 3, 8).transpose(0, 2, 1, 4, 3).reshape(n, 24, 24)


def r_error(correction, hexahedra, poisson):
    references, _ = converged_stiffness(hexahedra, poisson)
    standard = stiffness_error(elasticity_stiffness(hexahedra, *GAUSS, poisson=poisson), references)
    return stiffness_error(correction.stiffness(hexahedra, poisson=poisson), references) / standard


# The hourglass part


def test_all_that_quadrature_gets_wrong_sits_in_the_hourglass_part(distorted):
    stiffness = symmetric_stiffness(0)
    warps = relative_warp(distorted)
    missed = (hourglass_moments(warps, 6) - hourglass_moments(warps, 2))[:, ROWS, COLUMNS]
    finer = gradient_moments(distorted, *tensor_gauss(6, 6, 6)) - gradient_moments(distorted, *GAUSS)
    gram = finer.reshape(-1, 8, 3, 8, 3)
    expected = np.einsum("imjn,eaibj->eambn", fourth_order(stiffness), gram).reshape(-1, 24, 24)
    np.testing.assert_allclose(
        changes(distorted, missed, stiffness), expected, atol=1e-14 * np.abs(expected).max() * 50
    )


def test_hourglass_vectors_vanish_on_linear_functions(distorted):
    vectors = hourglass_vectors(relative_warp(distorted))
    linear = np.concatenate([np.ones((len(distorted), 8, 1)), distorted], axis=2)
    assert np.abs(np.einsum("eak,eaj->ekj", vectors, linear)).max() < 1e-14


def test_factors_are_those_of_the_gauss_points(distorted):
    warps = relative_warp(distorted[:20])
    moments = hourglass_moments(warps, 2)
    for factors, moment in zip(gauss_factors(warps), moments, strict=True):
        rest = moment - factors @ factors.T
        # what is left is the product of the means: rank one
        assert np.linalg.svd(rest, compute_uv=False)[1] < 1e-13
        assert np.trace(rest) > 0.0


def test_any_difference_keeps_rigid_modes_and_passes_the_patch_test(distorted):
    missed = np.random.default_rng(1).normal(size=(len(distorted), 78))
    change = changes(distorted, missed, symmetric_stiffness(2))
    for element, matrix in zip(distorted[:10], change, strict=False):
        assert_rigid_modes_free(matrix, element)
    linear = distorted @ np.random.default_rng(3).normal(size=(3, 3))
    forces = np.einsum("eij,ej->ei", change, linear.reshape(-1, 24))
    assert np.abs(forces).max() < 1e-12 * np.abs(change).max()


# The prediction


@pytest.mark.parametrize(("poisson", "most"), [(0.3, 0.12), (-0.4, 0.12), (0.0, 0.12), (0.45, 0.15), (0.49, 0.2)])
def test_correction_reduces_the_error_of_elements_it_has_not_seen(correction, unseen, poisson, most):
    ratio = r_error(correction, unseen, poisson)
    assert ratio.mean() < most
    assert np.mean(ratio < 1.0) >= 0.999


@pytest.mark.parametrize("name", ["dragon_out", "bunny_out"])
def test_published_meshes(correction, published_meshes, name):
    elements = femnn.hexahedra(skfem.MeshHex.load(published_meshes / f"{name}.mesh"))[::7]
    references, _ = converged_stiffness(elements)
    standard = stiffness_error(elasticity_stiffness(elements, *GAUSS), references)
    distorted = standard > 1e-9
    assert r_error(correction, elements[distorted], 0.3).mean() < 1.3 * 0.12


@pytest.mark.parametrize("name", FAMILIES)
def test_no_cell_becomes_worse_and_little_is_left(correction, name):
    """On meshes of other kinds than those of the training: what the network does not know is integrated."""
    elements = family(name, 400, seed=16)
    standard = stiffness_error(elasticity_stiffness(elements, *GAUSS), converged_stiffness(elements)[0])
    elements = elements[standard > 1e-9]
    ratio = r_error(correction, elements, 0.3)
    assert ratio.max() < 1.0 + 1e-9
    assert ratio[correction.corrected(elements)].mean() < 0.12


def test_where_the_network_is_far_off_points_are_taken(correction, monkeypatch):
    elements = family("subdivided tetrahedra", 200, seed=3)
    flat = femnn.distorted_hexahedra(200, (0.05, 0.2), seed=4) * [1.0, 1.0, 1e-3]
    for cells in (elements, flat):
        found = correction.stiffness(cells)
        monkeypatch.setattr(correction_module, "_MOST_LEFT", 0.0)
        assert correction.report(cells).integrated == len(cells)
        integrated = correction.stiffness(cells)
        # all of them by points: that is the stiffness of 3×3×3 points, whatever the network says
        scale = np.abs(integrated).max(axis=(1, 2))
        exact = elasticity_stiffness(cells, *tensor_gauss(3, 3, 3))
        assert (np.abs(integrated - exact).max(axis=(1, 2)) / scale).max() < 1e-11
        monkeypatch.undo()
        missed = np.linalg.norm(elasticity_stiffness(cells, *GAUSS) - exact, axis=(1, 2))
        assert (np.linalg.norm(found - exact, axis=(1, 2)) / missed).max() < 0.6


def test_report_says_what_was_integrated(correction):
    report = correction.report(family("boundary layers", 300, seed=3))
    assert report.corrected == 300 - len(report.out_of_range)
    assert 0 < report.integrated <= report.corrected
    assert f"{report.integrated:,} of them by 3×3×3 points" in str(report)


def test_parallelepipeds_are_not_changed(correction):
    shear = np.array([[1.0, 0.3, 0.1], [0.0, 20.0, 0.2], [0.1, 0.0, 0.5]])
    elements = np.stack([VERTICES, VERTICES @ shear.T, moved(VERTICES, seed=2)])
    assert correction.corrected(elements).all()
    np.testing.assert_allclose(correction.stiffness(elements), elasticity_stiffness(elements, *GAUSS), rtol=1e-12)


def test_correction_is_of_second_order_near_parallelepipeds(correction, distorted):
    elements = distorted[:50]
    sizes = []
    for step in (0.02, 0.01):
        near = VERTICES + step * (elements - VERTICES)
        change = correction.stiffness(near) - elasticity_stiffness(near, *GAUSS)
        sizes.append(np.abs(change).max(axis=(1, 2)))
    assert 3.5 < np.median(sizes[0] / sizes[1]) < 4.5


def test_affine_maps_change_nothing_but_the_metric(correction, distorted):
    """The same S under stretch and shear far outside the metrics of the training."""
    elements = distorted[:50]
    stretch = np.array([[40.0, 3.0, 0.0], [0.0, 1.0, 0.2], [0.5, 0.0, 0.1]])
    (own, own_orders), (others, other_orders) = map(canonical_warps, (elements, elements @ stretch.T))
    np.testing.assert_array_equal(own_orders, other_orders)
    predicted = [differences(correction._network, warps) for warps in (own, others)]
    np.testing.assert_allclose(*predicted, atol=1e-9)
    np.testing.assert_array_equal(correction.corrected(elements), correction.corrected(elements @ stretch.T))


def test_correction_turns_with_the_element_and_scales(correction, distorted):
    elements = distorted[:50]
    turn = moved(np.eye(3), seed=1) - moved(np.zeros((1, 3)), seed=1)
    blocks = np.kron(np.eye(8), turn.T)
    expected = 1e-3 * blocks @ correction.stiffness(elements) @ blocks.T
    np.testing.assert_allclose(correction.stiffness(moved(elements, seed=1, size=1e-3)), expected, atol=1e-11)


@pytest.mark.parametrize("g", range(0, 48, 5))
def test_correction_commutes_with_the_symmetries(correction, distorted, g):
    elements = distorted[:50]
    own = correction.stiffness(elements).reshape(-1, 8, 3, 8, 3)
    renamed = correction.stiffness(described_otherwise(elements, g)).reshape(-1, 8, 3, 8, 3)
    order = described_otherwise(np.arange(8)[None], g)[0]
    np.testing.assert_allclose(renamed, own[:, order][:, :, :, order], atol=1e-11)


# Definiteness


def test_whatever_a_network_says_the_hourglass_part_stays_above_a_share_of_gauss():
    """Over 10⁵ random shapes and a network of random weights that knows nothing."""
    elements = femnn.distorted_hexahedra(100_000, (0.0, 0.45), seed=5, structured=0.2)
    warps = relative_warp(canonical_pose(elements)[0])
    random = np.random.default_rng(4)
    architecture = Architecture(13, OUTPUTS, (16,), "silu")
    tensors = {name: 3.0 * random.normal(size=shape) for name, shape in architecture.shapes.items() if "_" not in name}
    missed = np.empty((len(warps), 12, 12))
    missed[:, ROWS, COLUMNS] = missed[:, COLUMNS, ROWS] = differences(Perceptron(architecture, tensors), warps)
    factors = gauss_factors(warps)
    rest = missed + (1.0 - KEPT) * factors @ factors.mT
    scale = np.abs(rest).max(axis=(1, 2))
    assert (np.linalg.eigvalsh(rest)[:, 0] > -1e-13 * scale).all()
    assert np.median(scale) > 10.0


@pytest.mark.parametrize("poisson", [-0.9, 0.3, 0.4999])
def test_exactly_six_modes_have_no_energy(correction, poisson):
    elements = femnn.distorted_hexahedra(4000, (0.0, 0.45), seed=6, structured=0.2)
    standard = np.linalg.eigvalsh(elasticity_stiffness(elements, *GAUSS, poisson=poisson))
    found = np.linalg.eigvalsh(correction.stiffness(elements, poisson=poisson))
    assert (np.abs(found[:, :6]) < 1e-12 * found[:, -1:]).all()
    # K ≥ θ K_2×2×2, eigenvalue by eigenvalue
    assert (found[:, 6:] > (1.0 - 1e-9) * KEPT * standard[:, 6:]).all()
    assert (standard[:, 6] > 0.0).all()


# Assembly


def form(young, poisson):
    return linear_elasticity(*lame_parameters(young, poisson))


def test_matrix_is_what_a_scikit_fem_user_adds(correction):
    mesh = distorted_cube(4, 0.3, seed=1)
    basis = skfem.Basis(mesh, skfem.ElementVector(skfem.ElementHex1()), intorder=3)
    own = form(3.0, 0.3).assemble(basis) + correction.matrix(mesh, 3.0, 0.3)
    fused = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(2), 3.0, 0.3, hourglass=correction)
    assert abs(own - fused).max() < 1e-13 * abs(fused).max()
    exact = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(9), 3.0, 0.3)
    plain = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(2), 3.0, 0.3)
    assert abs(fused - exact).sum() < 0.15 * abs(plain - exact).sum()


def test_matrix_is_the_sum_of_the_elements(correction):
    mesh = distorted_cube(3, 0.3, seed=2)
    elements = femnn.hexahedra(mesh)
    change = correction.stiffness(elements, 2.0, 0.4) - elasticity_stiffness(elements, *GAUSS, 2.0, 0.4)
    dense = np.zeros((3 * mesh.nvertices, 3 * mesh.nvertices))
    for cell, matrix in zip(mesh.t.T, change, strict=True):
        dofs = (3 * cell[:, None] + np.arange(3)).ravel()
        dense[np.ix_(dofs, dofs)] += matrix
    np.testing.assert_allclose(correction.matrix(mesh, 2.0, 0.4).toarray(), dense, atol=1e-14)


@pytest.mark.parametrize("n", [1, 7, 8, 9, 40])
def test_elements_do_not_see_each_other(correction, distorted, n):
    few = distorted[:n]
    one_by_one = [correction.stiffness(few[e : e + 1])[0] for e in range(n)]
    np.testing.assert_allclose(correction.stiffness(few), np.reshape(one_by_one, (n, 24, 24)), atol=1e-8)


def test_no_elements_are_no_error(correction):
    none, orders, numbers = np.empty((0, 8, 3)), np.empty((0, 8), dtype=np.int64), np.array([[1.0, 1.0]])
    found = element_stiffness(ISOTROPIC, none, orders, np.empty((0, 78)), numbers, np.empty(0, dtype=np.int64))
    assert found.shape == (0, 24, 24)
    assert differences(correction._network, np.empty((0, 3, 4))).shape == (0, 78)
    changes, replaced = check_differences(
        np.empty((0, 3, 4)), np.empty((0, 3, 3)), *missed_points(), 0.3, np.empty((0, 78))
    )
    assert (changes.shape, replaced.shape) == ((0, 78), (0,))


def test_isotropic_materials_are_tensors_of_their_kind(distorted):
    rng = np.random.default_rng(3)
    few, missed = distorted[:20], rng.normal(size=(20, 78))
    orders = rng.permuted(np.tile(np.arange(8), (20, 1)), axis=1)
    constants = np.array([[1.3, 0.7], [0.2, 2.0]])
    tensors = np.zeros((2, 6, 6))
    tensors[:, :3, :3] = constants[:, :1, None]
    for i in range(6):
        tensors[:, i, i] += constants[:, 1] * (2.0 if i < 3 else 1.0)
    rows = np.arange(20) % 2
    found = element_stiffness(ISOTROPIC, few, orders, missed, constants, rows)
    expected = element_stiffness(TANGENT, few, orders, missed, tensors.reshape(2, 36), rows)
    np.testing.assert_allclose(found, expected, atol=1e-12 * np.abs(expected).max())


def test_materials_of_all_kinds(correction):
    mesh = distorted_cube(3, 0.3, seed=3)
    lame, shear = lame_parameters(3.0, 0.3)
    isotropic = correction.matrix(mesh, 3.0, 0.3)
    scale = abs(isotropic).max()
    as_tensor = correction.matrix(mesh, stiffness=isotropic_stiffness(lame, shear))
    assert abs(isotropic - as_tensor).max() < 1e-13 * scale
    per_element = np.repeat(isotropic_stiffness(lame, shear)[..., None], mesh.nelements, axis=2)
    assert abs(isotropic - correction.matrix(mesh, stiffness=per_element)).max() < 1e-13 * scale
    young = np.linspace(1.0, 4.0, mesh.nelements)
    graded = correction.matrix(mesh, young, 0.3)
    parts = [
        correction.matrix(mesh, np.where(np.arange(mesh.nelements) == e, y, 1e-300), 0.3) for e, y in enumerate(young)
    ]
    assert abs(graded - sum(parts)).max() < 1e-13 * abs(graded).max()
    stiffness = symmetric_stiffness(7)
    corrected = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(2), stiffness=stiffness, hourglass=correction)
    exact = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(9), stiffness=stiffness)
    plain = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(2), stiffness=stiffness)
    assert abs(corrected - exact).sum() < 0.2 * abs(plain - exact).sum()


def test_linear_displacement_passes_through_a_mesh(correction):
    mesh = kershaw(6)
    matrix = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(2), 1.0, 0.3, hourglass=correction)
    linear = (np.random.default_rng(5).normal(size=(3, 3)) @ mesh.p).T.ravel()
    inner = np.setdiff1d(np.arange(mesh.nvertices), mesh.boundary_nodes())
    forces = (matrix @ linear).reshape(-1, 3)
    assert np.abs(forces[inner]).max() < 1e-12 * np.abs(forces).max()


def test_pattern_and_matrix_are_used_again(correction):
    mesh = distorted_cube(3, 0.3, seed=4)
    pattern = femnn.Pattern.of(mesh)
    expected = correction.matrix(mesh, 1.0, 0.3)
    first = correction.matrix(mesh, 5.0, 0.1, pattern=pattern)
    again = correction.matrix(mesh, 1.0, 0.3, pattern=pattern, out=first)
    assert again is first
    np.testing.assert_array_equal(again.data, expected.data)
    options = {"pattern": pattern, "hourglass": correction}
    whole = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(2), 1.0, 0.3, **options)
    bits = whole.data.tobytes()
    assert femnn.assemble_elasticity(mesh, femnn.GaussLegendre(2), 1.0, 0.3, **options, out=whole) is whole
    assert whole.data.tobytes() == bits


def test_folded_elements_are_refused_or_left_out(correction):
    mesh = skfem.MeshHex().refined(2)
    broken = mesh.p.copy()
    broken[:, mesh.t[0, 3]] += 1.7 * (mesh.p[:, mesh.t[7, 3]] - mesh.p[:, mesh.t[0, 3]])
    folded = skfem.MeshHex(broken, mesh.t)
    with pytest.raises(femnn.FoldedElementError):
        correction.matrix(folded, 1.0, 0.3)
    with pytest.warns(femnn.FemnnWarning, match="left out"):
        matrix = correction.matrix(folded, 1.0, 0.3, on_folded="skip")
    assert np.isfinite(matrix.data).all()


# Bad input


def test_elements_outside_the_trained_range_keep_gauss_and_are_counted(correction):
    pyramid = VERTICES.copy()
    pyramid[pyramid[:, 2] == 1.0, :2] *= 0.02
    elements = np.stack([VERTICES, pyramid, moved(pyramid)])
    np.testing.assert_array_equal(correction.corrected(elements), [True, False, False])
    found, standard = correction.stiffness(elements), elasticity_stiffness(elements, *GAUSS)
    np.testing.assert_array_equal(found[1:], standard[1:])
    report = correction.report(elements)
    assert (report.elements, report.out_of_range) == (3, (1, 2))
    assert "2 (66.67%), first 1" in str(report)


def test_it_is_for_two_points_and_trilinear_elements(correction):
    mesh = skfem.MeshHex().refined(1)
    gauss = femnn.GaussLegendre(2)
    with pytest.raises(femnn.ParameterError, match=r"rule is GaussLegendre\(3\)"):
        femnn.assemble_elasticity(mesh, femnn.GaussLegendre(3), 1.0, 0.3, hourglass=correction)
    with pytest.raises(femnn.ParameterError, match="AdaptiveGauss"):
        femnn.assemble_elasticity(mesh, femnn.AdaptiveGauss(), 1.0, 0.3, hourglass=correction)
    with pytest.raises(femnn.ParameterError, match="trilinear"):
        femnn.assemble_elasticity(mesh, gauss, 1.0, 0.3, hourglass=correction, element=skfem.ElementHex2())
    with pytest.raises(femnn.ParameterError, match="constant in each element"):
        femnn.assemble_elasticity(mesh, gauss, lambda x: 1.0 + x[0], 0.3, hourglass=correction)
    with pytest.raises(femnn.ParameterError, match="hourglass is True"):
        femnn.assemble_elasticity(mesh, gauss, 1.0, 0.3, hourglass=True)
    with pytest.raises(femnn.ParameterError, match=r"ratio is 0\.5"):
        femnn.assemble_elasticity(mesh, gauss, 1.0, 0.5, hourglass=correction)
    skew = symmetric_stiffness(0)
    skew[0, 1] += 1.0
    with pytest.raises(femnn.ParameterError, match="stiffness 0 is not symmetric"):
        correction.matrix(mesh, stiffness=skew)


def test_it_says_what_it_is_and_refuses_other_weights(correction):
    assert repr(correction) == "HourglassCorrection()"
    assert all(words in str(correction) for words in ("trained on", "sha256", "seed", "U(-d, d)"))
    with pytest.raises(femnn.WeightFileError, match="kind 'quadrature-weights'"):
        femnn.HourglassCorrection(weights="quadrature-weights")


def test_canonical_warps_are_those_of_the_canonical_pose(distorted):
    elements = np.concatenate([distorted, distorted[:, ::-1] * [5.0, 1.0, 0.1], moved(VERTICES[None], seed=1)])
    posed = canonical_pose(elements)[0]
    warps, orders = canonical_warps(elements)
    np.testing.assert_allclose(warps, relative_warp(posed), atol=1e-13)
    np.testing.assert_array_equal(np.take_along_axis(elements, orders[:, :, None], axis=1)[:-1], posed[:-1])


def test_linear_part_and_warps_give_the_element_back(distorted):
    centre, linear, _ = modes(distorted)
    own = own_axes(distorted)
    np.testing.assert_allclose(centre[:, None] + own @ linear.mT, distorted, atol=1e-13)
