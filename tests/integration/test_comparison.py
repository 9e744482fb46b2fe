"""The check that learned rules make before their use, against the element matrices themselves."""

import numpy as np
import pytest

import femnn
from femnn.integration import elasticity_stiffness, tensor_gauss
from femnn.integration.comparison import nearer_than


@pytest.mark.parametrize("points", [2, 3])
@pytest.mark.parametrize("poisson", [0.3, -0.4, 0.49])
def test_what_is_nearer_in_both_norms(points, poisson):
    random = np.random.default_rng(points)
    elements = femnn.distorted_hexahedra(400, (0.1, 0.35), seed=3) @ random.normal(size=(3, 3)) + 40.0
    standard, better = (tensor_gauss(n, n, n) for n in (points, points + 1))
    weights = standard[1] * (1.0 + 0.02 * random.normal(size=(400, points**3)))
    # a third of the elements gets what the better rule would give their volume, so that some come out nearer
    exact = elasticity_stiffness(elements, *better, poisson=poisson)
    plain = elasticity_stiffness(elements, *standard, poisson=poisson) - exact
    best = np.empty_like(weights)
    for e in range(400):
        parts = [
            elasticity_stiffness(elements[e : e + 1], standard[0], np.eye(points**3)[q], poisson=poisson).ravel()
            for q in range(points**3)
        ]
        best[e] = np.linalg.lstsq(np.stack(parts, axis=1), exact[e].ravel(), rcond=None)[0]
    weights[::3] = standard[1] + random.uniform(0.2, 3.0, (134, 1)) * (best[::3] - standard[1])
    found = elasticity_stiffness(elements, standard[0], weights, poisson=poisson) - exact
    sums = [np.abs(difference).sum(axis=(1, 2)) for difference in (found, plain)]
    squares = [(difference**2).sum(axis=(1, 2)) for difference in (found, plain)]
    expected = (sums[0] < sums[1]) & (squares[0] < squares[1])
    assert 0.1 < expected.mean() < 0.6
    np.testing.assert_array_equal(nearer_than(elements, standard[0], weights, standard, better, poisson), expected)


def test_points_of_each_element_and_names_of_vertices_change_no_answer():
    elements = femnn.distorted_hexahedra(100, (0.1, 0.3), seed=1)
    random = np.random.default_rng(0)
    (points, gauss), better = tensor_gauss(2, 2, 2), tensor_gauss(3, 3, 3)
    own = np.clip(points[:, None] + 0.03 * random.normal(size=(3, 100, 8)), 0.0, 1.0)
    weights = np.tile(gauss, (100, 1))
    found = nearer_than(elements, own, weights, (points, gauss), better, 0.3)
    one_by_one = [
        nearer_than(elements[e : e + 1], own[:, e], weights[e : e + 1], (points, gauss), better, 0.3)[0]
        for e in range(100)
    ]
    np.testing.assert_array_equal(found, one_by_one)
    # size and place of the elements cancel, a change of axes that keeps sums of entries too
    turned = 1e-4 * elements[:, :, [1, 2, 0]] * [1.0, -1.0, 1.0] + 3.0
    np.testing.assert_array_equal(nearer_than(turned, own, weights, (points, gauss), better, 0.3), found)


def test_gauss_points_are_not_nearer_than_themselves():
    elements = femnn.distorted_hexahedra(50, 0.2, seed=2)
    standard, better = tensor_gauss(2, 2, 2), tensor_gauss(3, 3, 3)
    weights = np.tile(standard[1], (50, 1))
    assert not nearer_than(elements, standard[0], weights, standard, better, 0.3).any()
