"""Folded and degenerate elements are found for sure, healthy ones are left alone."""

import numpy as np
import pytest
import skfem
from hypothesis import given, settings
from hypothesis import strategies as st

import femnn
from femnn.geometry import VERTICES, jacobian_determinant
from femnn.geometry.validity import (
    DEGENERATE,
    FOLDED,
    VALID,
    bernstein_coefficients,
    classify,
    lattice_determinants,
    valid_elements,
)

LATTICE = np.stack(np.meshgrid(*[np.linspace(0, 1, 21)] * 3, indexing="ij")).reshape(3, -1)


def random_elements(n, displacement, seed):
    return VERTICES + np.random.default_rng(seed).uniform(-displacement, displacement, (n, 8, 3))


def test_lattice_determinants_are_those_of_the_jacobian():
    elements = random_elements(50, 0.5, 0)
    points = np.stack(np.meshgrid(*[[0.0, 0.5, 1.0]] * 3, indexing="ij")).reshape(3, 27)
    expected = jacobian_determinant(elements, points).reshape(-1, 3, 3, 3)
    np.testing.assert_allclose(lattice_determinants(elements), expected, atol=1e-14)


def test_bernstein_coefficients_enclose_the_determinant():
    elements = random_elements(100, 0.5, 0)
    coefficients = bernstein_coefficients(elements).reshape(100, 27)
    values = jacobian_determinant(elements, LATTICE)
    assert (values.min(axis=1) >= coefficients.min(axis=1) - 1e-12).all()
    assert (values.max(axis=1) <= coefficients.max(axis=1) + 1e-12).all()
    corners = bernstein_coefficients(elements)[:, ::2, ::2, ::2].reshape(100, 8)
    np.testing.assert_allclose(corners[:, 7], jacobian_determinant(elements, np.ones((3, 1)))[:, 0], atol=1e-13)


@pytest.mark.parametrize("displacement", [0.3, 0.5, 0.8])
def test_verdict_agrees_with_dense_sampling(displacement):
    elements = random_elements(400, displacement, 1)
    values = jacobian_determinant(elements, LATTICE)
    seen_folded = (values.min(axis=1) < 0) & (values.max(axis=1) > 0)
    verdict = classify(elements)
    assert (verdict[seen_folded] == FOLDED).all()
    # what sampling does not see, the proof may: but hardly ever on so fine a lattice
    assert np.mean(verdict[~seen_folded] != VALID) < 0.02


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 2**31), st.floats(0.0, 0.6, allow_subnormal=False))
def test_verdict_does_not_depend_on_handedness_or_size(seed, displacement):
    elements = random_elements(5, displacement, seed)
    verdict = classify(elements)
    np.testing.assert_array_equal(classify(elements * [1, 1, -1]), verdict)
    np.testing.assert_array_equal(classify(1e-4 * elements), verdict)


def test_fold_between_the_vertices_is_found():
    # a twist of the top by more than 90 degrees: all eight corners may look healthy, the middle does not
    angle = np.deg2rad(np.linspace(0, 360, 73))
    for a in angle:
        c, s = np.cos(a), np.sin(a)
        element = VERTICES - 0.5
        element[VERTICES[:, 2] == 1, :2] = element[VERTICES[:, 2] == 1, :2] @ np.array([[c, s], [-s, c]])
        values = jacobian_determinant(element[None], LATTICE)
        folded = values.min() < -1e-9 and values.max() > 1e-9
        assert (classify(element[None])[0] == FOLDED) == folded


def test_collapsed_and_flat_elements_are_degenerate():
    wedge = VERTICES.copy()
    wedge[(VERTICES[:, 0] == 1) & (VERTICES[:, 1] == 1)] -= [0, 1, 0]
    flat = VERTICES * [1, 1, 0]
    point = np.zeros((8, 3))
    assert classify(np.array([wedge, flat, point])).tolist() == [DEGENERATE] * 3


def test_error_names_element_numbers_and_next_step():
    elements = np.repeat(VERTICES[None], 5, axis=0)
    elements[3, 7] = [0.9, 0.9, 0.9]
    with pytest.raises(
        femnn.FoldedElementError, match=r"element 3 is folded: det J = .* but -.*1 of 5.*on_folded='skip'"
    ) as info:
        valid_elements(elements)
    assert info.value.elements.tolist() == [3]
    assert valid_elements(elements, "skip").tolist() == [0, 1, 2, 4]
    with pytest.raises(femnn.ParameterError, match="on_folded='ignore'"):
        valid_elements(elements, "ignore")


def test_published_bad_mesh_is_refused_and_good_ones_pass(published_meshes):
    bad = femnn.hexahedra(skfem.MeshHex.load(published_meshes / "block_stresstest_in.mesh"))
    assert 0.90 < np.mean(classify(bad) != VALID) < 0.97
    for name in ("dragon_out", "cap_out", "block_stresstest_out"):
        good = femnn.hexahedra(skfem.MeshHex.load(published_meshes / f"{name}.mesh"))
        assert (classify(good) == VALID).all()


def test_functions_that_leave_nothing_out_do_not_offer_to():
    elements = np.repeat(VERTICES[None], 2, axis=0)
    elements[1, 0] = elements[1, 7]
    with pytest.raises(femnn.FoldedElementError, match="repair the mesh or leave such elements out") as caught:
        femnn.integration_error(elements, femnn.GaussLegendre(2))
    assert caught.value.elements.tolist() == [1]


def test_the_threshold_of_degenerate_elements_is_where_it_says():
    # a slab pressed thin at one vertex: the least coefficient of det J is the given share of the largest
    for share, expected in ((1e-6, VALID), (2e-9, VALID), (5e-10, DEGENERATE), (-5e-10, DEGENERATE), (-2e-9, FOLDED)):
        element = VERTICES.copy()
        # det J at vertex 0 is the product of its edges' lengths, one of which is shortened
        edge = int(np.flatnonzero((np.abs(VERTICES - VERTICES[0]).sum(axis=1) == 1.0) & (VERTICES[:, 2] == 0.0))[0])
        element[0] = element[edge] + share * (VERTICES[0] - VERTICES[edge])
        coefficients = bernstein_coefficients(element[None])[0]
        coefficients *= np.sign(coefficients.mean())
        assert coefficients.min() / coefficients.max() == pytest.approx(share, rel=0.2)
        assert classify(element[None])[0] == expected, share
