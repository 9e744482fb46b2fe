"""Random hexahedra: their distribution, their seeds, their limits."""

import numpy as np
import pytest

import femnn
from femnn.geometry import EDGES, VALID, VERTICES, aspect, classify, modes


def test_moves_are_uniform_within_the_displacement():
    moves = femnn.distorted_hexahedra(4000, 0.1, seed=1) - VERTICES
    assert np.abs(moves).max() <= 0.1
    # mean and variance of U(-d, d); 96,000 numbers
    assert abs(moves.mean()) < 1e-3
    assert moves.var() == pytest.approx(0.1**2 / 3, rel=0.02)


def test_a_pair_draws_the_displacement_per_element():
    largest = np.abs(femnn.distorted_hexahedra(4000, (0.05, 0.2), seed=1) - VERTICES).max(axis=(1, 2))
    assert largest.min() > 0.04
    assert np.percentile(largest, 5) < 0.07 < 0.17 < np.percentile(largest, 95) <= 0.2


def test_seeds_repeat_and_differ():
    first, again, other = (femnn.distorted_hexahedra(50, 0.3, seed=s) for s in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_folded_cubes_are_drawn_again():
    assert (classify(femnn.distorted_hexahedra(2000, 0.5, seed=2)) == VALID).all()


def test_stretch_stays_within_the_aspect():
    ratios = aspect(femnn.distorted_hexahedra(2000, 0.0, seed=3, aspect=30.0))
    assert 10.0 < ratios.max() <= 30.0 + 1e-9
    assert np.median(ratios) < 6.0


def test_structured_elements_miss_twists():
    full, thin = (femnn.distorted_hexahedra(500, 0.2, seed=4, structured=share) for share in (0.0, 1.0))
    missing = [np.mean(np.abs(modes(elements)[2]) < 1e-14) for elements in (full, thin)]
    assert missing[0] == 0.0
    assert missing[1] == pytest.approx(0.5, abs=0.05)
    # what is left is larger instead: the mean square of the twists stays the same, but where hardly any is kept
    squares = [np.mean(modes(elements)[2] ** 2) for elements in (full, thin)]
    # and the displacement, which is multiplied by U(0, 1), whose mean square is 1/3
    assert 0.7 < 3 * squares[1] / squares[0] < 1.1


def test_rotated_elements_keep_their_shape_and_point_anywhere():
    plain, turned = (femnn.distorted_hexahedra(2000, 0.2, seed=4, rotated=share) for share in (0.0, 1.0))
    np.testing.assert_allclose(edge_lengths(turned), edge_lengths(plain), rtol=1e-12)
    axes = modes(turned)[1][:, :, 0]
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    # uniform directions: mean 0, second moments 1/3
    np.testing.assert_allclose(axes.mean(axis=0), 0.0, atol=0.05)
    np.testing.assert_allclose(axes.T @ axes / len(axes), np.eye(3) / 3, atol=0.03)


def edge_lengths(elements):
    return np.linalg.norm(elements[:, EDGES[:, 0]] - elements[:, EDGES[:, 1]], axis=2)


@pytest.mark.parametrize("displacement", [-0.1, np.nan, (0.3, 0.1), np.inf])
def test_displacements_that_make_no_sense(displacement):
    with pytest.raises(femnn.ParameterError, match="displacement is"):
        femnn.distorted_hexahedra(5, displacement, seed=0)


def test_hopeless_displacement_is_refused():
    with pytest.raises(femnn.ParameterError, match="still folded"):
        femnn.distorted_hexahedra(50, 50.0, seed=0)


def test_other_arguments_are_checked():
    for arguments in ({"n": 0}, {"n": 5, "aspect": 0.5}, {"n": 5, "shear": 0.9}, {"n": 5, "rotated": 2.0}):
        with pytest.raises(femnn.ParameterError, match="pass"):
            femnn.distorted_hexahedra(**{"displacement": 0.1, "seed": 0, **arguments})


@pytest.mark.parametrize("displacement", ["far", None, (0.1, 0.2, 0.3), (0.3, 0.1), -0.1, np.nan])
def test_displacements_that_are_none(displacement):
    with pytest.raises(femnn.ParameterError, match=r"displacement is .*(must be a number >= 0, or a pair|pass)"):
        femnn.distorted_hexahedra(3, displacement, seed=0)


@pytest.mark.parametrize("seed", [-1, 1.5, None, "a"])
def test_seeds_that_repeat_nothing(seed):
    with pytest.raises(femnn.ParameterError, match=r"seed=.* integer of at least 0"):
        femnn.distorted_hexahedra(3, 0.1, seed)


def test_half_an_element():
    with pytest.raises(femnn.ParameterError, match=r"n=2\.5"):
        femnn.distorted_hexahedra(2.5, 0.1, seed=0)
