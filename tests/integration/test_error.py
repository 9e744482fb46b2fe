"""Element matrices, the converged reference and the Error."""

import numba
import numpy as np
import pytest
import skfem
from skfem.models.elasticity import lame_parameters, linear_elasticity
from support.forms import laplace, mass
from support.properties import assert_rigid_modes_free, described_otherwise, moved

import femnn
from femnn.geometry import VERTICES, distorted_cube, signed_volume
from femnn.integration import (
    converged_stiffness,
    error_table,
    gauss_legendre,
    smallest_points,
    stiffness,
    stiffness_error,
    tensor_gauss,
)
from femnn.integration.convergence import FLOOR, MOST_POINTS


def assembled(matrices, mesh, element):
    dofs = skfem.Dofs(mesh, element).element_dofs
    size = dofs.max() + 1
    result = np.zeros((size, size))
    for e, matrix in enumerate(matrices):
        np.add.at(result, np.ix_(dofs[:, e], dofs[:, e]), matrix)
    return result


@pytest.mark.parametrize("n", [1, 2, 5, 13])
def test_gauss_rule_is_exact_to_its_degree_and_no_further(n):
    points, weights = gauss_legendre(n)
    for degree in range(2 * n):
        assert weights @ points**degree == pytest.approx(1 / (degree + 1), rel=1e-13)
    # the square of the monic polynomial with these roots has degree 2n and a positive integral, the rule gives zero
    square = np.polynomial.Polynomial.fromroots(np.repeat(points, 2)).integ()
    assert weights @ square.deriv()(points) < 1e-3 * (square(1.0) - square(0.0))


def test_tensor_rule_has_its_own_degree_along_each_axis():
    points, weights = tensor_gauss(1, 2, 3)
    assert points.shape == (3, 6)
    assert weights.sum() == pytest.approx(1.0)
    assert weights @ (points[0] * points[1] ** 3 * points[2] ** 5) == pytest.approx(1 / 2 / 4 / 6)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("poisson", [-0.5, 0.0, 0.3, 0.49])
def test_elasticity_equals_scikit_fem(n, poisson):
    mesh, element = distorted_cube(3, 0.25, seed=1), skfem.ElementVector(skfem.ElementHex1())
    points, weights = tensor_gauss(n, n, n)
    basis = skfem.CellBasis(mesh, element, quadrature=(points, weights))
    expected = linear_elasticity(*lame_parameters(2.0, poisson)).assemble(basis).toarray()
    found = assembled(
        stiffness.elasticity_stiffness(femnn.hexahedra(mesh), points, weights, 2.0, poisson), mesh, element
    )
    assert np.abs(found - expected).max() < 1e-13 * np.abs(expected).max()
    whole = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(n), 2.0, poisson)
    assert np.abs(whole.toarray() - expected).max() < 1e-13 * np.abs(expected).max()


@pytest.mark.parametrize(("form", "own"), [(laplace, stiffness.laplace_stiffness), (mass, stiffness.mass_matrix)])
def test_scalar_forms_equal_scikit_fem(form, own):
    mesh, element = distorted_cube(3, 0.25, seed=1), skfem.ElementHex1()
    points, weights = tensor_gauss(3, 2, 4)
    basis = skfem.CellBasis(mesh, element, quadrature=(points, weights))
    expected = form.assemble(basis).toarray()
    found = assembled(own(femnn.hexahedra(mesh), points, weights), mesh, element)
    assert np.abs(found - expected).max() < 1e-13 * np.abs(expected).max()


def test_points_of_each_element_equal_shared_ones(distorted):
    points, weights = tensor_gauss(2, 2, 2)
    shared = stiffness.elasticity_stiffness(distorted, points, weights)
    n = len(distorted)
    own_weights = stiffness.elasticity_stiffness(distorted, points, np.tile(weights, (n, 1)))
    own_points = stiffness.elasticity_stiffness(
        distorted, np.tile(points[:, None], (1, n, 1)), np.tile(weights, (n, 1))
    )
    np.testing.assert_array_equal(own_weights, shared)
    np.testing.assert_array_equal(own_points, shared)


def test_stiffness_is_linear_in_the_weights_of_each_element(distorted):
    points, weights = tensor_gauss(2, 2, 2)
    random = np.random.default_rng(0).uniform(0.5, 1.5, (len(distorted), 8)) * weights
    whole = stiffness.elasticity_stiffness(distorted, points, random)
    parts = sum(stiffness.elasticity_stiffness(distorted, points[:, q : q + 1], random[:, q : q + 1]) for q in range(8))
    np.testing.assert_allclose(whole, parts, atol=1e-13)


def test_rigid_motions_do_no_work_and_all_else_does(distorted):
    points, weights = tensor_gauss(3, 3, 3)
    for matrix, vertices in zip(
        stiffness.elasticity_stiffness(distorted[:20], points, weights), distorted, strict=False
    ):
        assert_rigid_modes_free(matrix, vertices)
        eigenvalues = np.linalg.eigvalsh(matrix)
        assert (eigenvalues[6:] > 1e-6 * eigenvalues[-1]).all()


def test_mass_sums_to_the_volume(distorted):
    points, weights = tensor_gauss(2, 2, 2)
    total = stiffness.mass_matrix(distorted, points, weights).sum(axis=(1, 2))
    np.testing.assert_allclose(total, signed_volume(distorted), rtol=1e-13)
    # vertices in the order of a mirrored element make the same body
    mirrored = distorted * [-1.0, 1.0, 1.0]
    assert (signed_volume(mirrored) < 0.0).all()
    np.testing.assert_allclose(stiffness.mass_matrix(mirrored, points, weights).sum(axis=(1, 2)), total, rtol=1e-13)


def test_shapes_that_do_not_fit_are_named():
    points, weights = tensor_gauss(2, 2, 2)
    with pytest.raises(femnn.MeshError, match=r"hexahedra ha(ve|s) shape \(8, 3\)"):
        stiffness.elasticity_stiffness(VERTICES, points, weights)
    with pytest.raises(femnn.ParameterError, match=r"weights has shape \(8,\), expected is .* n = 1, q = 5"):
        stiffness.elasticity_stiffness(VERTICES[None], points[:, :5], weights)


@pytest.mark.parametrize("poisson", [0.5, -1.0, 0.7, np.nan, "0.3", None])
def test_poisson_ratio_outside_its_interval(distorted, poisson):
    with pytest.raises(femnn.ParameterError, match=r"poisson=.* pass a real number in \(-1, 0\.5\)"):
        femnn.integration_error(distorted, femnn.GaussLegendre(2), poisson=poisson)


def test_young_must_be_positive():
    with pytest.raises(femnn.ParameterError, match=r"Young's modulus is 0\.0"):
        stiffness.elasticity_stiffness(VERTICES[None], *tensor_gauss(2, 2, 2), young=0.0)


def test_converged_reference_equals_thirty_points(distorted):
    reference, doubt = converged_stiffness(distorted)
    thirty = stiffness.elasticity_stiffness(distorted, *tensor_gauss(30, 30, 30))
    settled = doubt < 1e-12
    assert settled.mean() > 0.97
    assert stiffness_error(reference[settled], thirty[settled]).max() < 1e-12


def test_converged_reference_owns_up_where_it_has_not_converged():
    nearly_folded = np.repeat(VERTICES[None], 2, axis=0)
    nearly_folded[1, 7] = 0.333  # at 1/3 det J vanishes at this vertex
    _, doubt = converged_stiffness(nearly_folded)
    assert doubt[0] < 1e-12 < 1e-6 < doubt[1]


def test_error_table_equals_integration_error(distorted):
    table, _ = error_table(distorted[:40], 6)
    for n in range(1, 7):
        measured = femnn.integration_error(distorted[:40], femnn.GaussLegendre(n))
        np.testing.assert_allclose(table[:, n - 1], np.maximum(measured, FLOOR), atol=2e-12)


def test_error_is_what_the_paper_defines():
    element = femnn.distorted_hexahedra(1, 0.2, seed=0)
    k = stiffness.elasticity_stiffness(element, *tensor_gauss(2, 2, 2))[0]
    reference = stiffness.elasticity_stiffness(element, *tensor_gauss(30, 30, 30))[0]
    expected = np.abs(k - reference).sum() / np.abs(reference).max()
    assert femnn.integration_error(element, femnn.GaussLegendre(2))[0] == pytest.approx(expected, rel=1e-9)


def test_median_error_is_the_published_one():
    # the figures of the design: 6e-2, 1e-4, 3e-7 at d = 0.1 and 5e-1, 1e-2, 3e-4 at d = 0.3
    for displacement, expected in ((0.1, [6e-2, 1e-4, 3e-7]), (0.3, [5e-1, 1e-2, 3e-4])):
        table, _ = error_table(femnn.distorted_hexahedra(1000, displacement, seed=0), 4)
        np.testing.assert_allclose(np.median(table[:, 1:], axis=0), expected, rtol=0.3)


def test_error_falls_geometrically():
    table, _ = error_table(femnn.distorted_hexahedra(300, 0.2, seed=0), 6)
    decades = np.diff(np.median(np.log10(table[:, 1:6]), axis=0))
    assert (decades < -1.5).all()
    assert np.ptp(decades) < 0.8


def test_error_depends_on_orientation_alone(distorted):
    # A sum of absolute entries is no invariant: turning an element by a right angle keeps its Error, by others not
    rule, elements = femnn.GaussLegendre(3), distorted[:60]
    expected = femnn.integration_error(elements, rule, reference=12)
    right_angle = elements @ np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    for same in (1e-3 * elements + 5.0, right_angle, described_otherwise(elements, 29)):
        np.testing.assert_allclose(femnn.integration_error(same, rule, reference=12), expected, rtol=1e-6, atol=1e-10)
    turned = femnn.integration_error(moved(elements, seed=2), rule, reference=12)
    assert 0.5 < (turned / expected).min() < 0.9
    assert (turned / expected).max() < 1.6


def test_parallelepipeds_need_two_points():
    shear = np.array([[1.0, 0.3, 0.1], [0.0, 2.0, 0.2], [0.1, 0.0, 0.5]])
    table, _ = error_table((VERTICES @ shear.T)[None], 3)
    assert table[0, 0] > 0.1
    assert table[0, 1] == FLOOR


def test_smallest_points_of_a_table():
    table = np.array([[1e-1, 1e-2, 1e-5], [1e-4, 1e-6, 1e-9], [1.0, 1.0, 1.0]])
    assert smallest_points(table, 1e-3).tolist() == [3, 1, 4]


def test_same_bits_for_any_number_of_threads(distorted):
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        alone = error_table(distorted, 8)
    finally:
        numba.set_num_threads(before)
    together = error_table(distorted, 8)
    np.testing.assert_array_equal(alone[0], together[0])


def test_kernels_compile_once(distorted):
    from femnn.integration import kernels

    points, weights = tensor_gauss(2, 2, 2)
    for elements, x, w in (
        (distorted, points, weights),
        (distorted[::2], points[:, ::-1], weights.copy()),
        (np.asfortranarray(distorted), points, np.tile(weights, (len(distorted), 1))),
    ):
        stiffness.elasticity_stiffness(elements, x, w)
    assert len(kernels.gradient_moments.signatures) == 1


def test_too_few_reference_points():
    with pytest.raises(femnn.ParameterError, match="at least 1"):
        femnn.integration_error(VERTICES[None], femnn.GaussLegendre(2), reference=0)
    assert MOST_POINTS == 30, "the walk ends at the reference of the paper"
