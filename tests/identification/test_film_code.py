"""Autoencoders of films: numbers that come back, a start of the equation, and how many numbers there are."""

import numpy as np
import pytest

from femnn.exceptions import DatasetError, ParameterError
from femnn.identification import (
    Film,
    Library,
    RandomFeatures,
    best_start,
    farthest_rows,
    film_ideal_pendulum,
    fit_film_code,
    fit_sindy_autoencoder,
    geodesic_coordinates,
    intrinsic_dimension,
    numbers_needed,
    picture_of_angle,
    state_rows,
)
from femnn.identification.film_code import _Law
from femnn.identification.library import WeakForm
from femnn.identification.sindy import discover

ANGLE = np.random.default_rng(0).uniform(-2.6, 2.6, 500)


@pytest.fixture(scope="module")
def taken():
    return film_ideal_pendulum(n=6, frames=200, size=31, highest=0.6, seed=2)


@pytest.fixture(scope="module")
def found(taken):
    return fit_sindy_autoencoder(taken.film, modes=30, units=120, rounds=4)


# --- dimension


def test_dimensions_of_curves_surfaces_and_bodies():
    generator = np.random.default_rng(1)
    for k in (1, 2, 3):
        drawn = generator.uniform(size=(1000, k))
        lifted = np.concatenate([drawn, np.sin(2.0 * drawn), drawn**2], axis=1)
        # edges, where there are fewer neighbours, make it a little less
        assert k - 0.4 < intrinsic_dimension(lifted) < k + 0.1
    with pytest.raises(DatasetError, match="copy"):
        intrinsic_dimension(np.repeat(generator.uniform(size=(100, 2)), 2, axis=0))
    with pytest.raises(DatasetError, match="rows tell no dimension"):
        intrinsic_dimension(np.ones((9, 2)))


def test_coordinates_follow_a_curve_that_is_nearly_a_circle():
    pictures = picture_of_angle(ANGLE, 31).reshape(len(ANGLE), -1)
    along = geodesic_coordinates(pictures.astype(float))[:, 0]
    assert abs(np.corrcoef(along, ANGLE)[0, 1]) > 0.999
    assert along.mean() == pytest.approx(0.0, abs=1e-9)
    # copies of rows change nothing
    twice = geodesic_coordinates(np.repeat(pictures.astype(float), 2, axis=0)[:600])[:, 0]
    assert abs(np.corrcoef(twice, np.repeat(ANGLE, 2)[:600])[0, 1]) > 0.999


def test_rows_are_spread_evenly():
    chosen = farthest_rows(np.linspace(0.0, 1.0, 101)[:, None], 5)
    np.testing.assert_allclose(np.sort(chosen), [0, 25, 50, 75, 100], atol=1)
    assert len(farthest_rows(np.zeros((3, 1)), 9)) == 3


# --- networks


def test_slopes_and_steps_of_random_features():
    generator = np.random.default_rng(3)
    network = RandomFeatures(generator.standard_normal((20, 2)), generator.standard_normal(20))
    inputs = generator.uniform(-1.0, 1.0, (400, 2))
    targets = np.stack([inputs[:, 0] * inputs[:, 1], np.sin(inputs[:, 0]), inputs[:, 1]], axis=1)
    network.choose_ridge(inputs, targets)
    network.fit(inputs, targets)
    assert np.abs(network(inputs) - targets).max() < 0.05
    slopes, h = network.slopes(inputs), 1e-6
    for i in range(2):
        step = h * np.eye(2)[i]
        np.testing.assert_allclose(
            slopes[:, :, i], (network(inputs + step) - network(inputs - step)) / (2 * h), atol=1e-6
        )
    # a step leads to where the outputs come from
    off = inputs + 0.02 * generator.standard_normal(inputs.shape)
    nearer = off + network.step_to(network(inputs), off)
    assert np.abs(nearer - inputs).mean() < 0.2 * np.abs(off - inputs).mean()


def test_noise_asks_for_a_larger_ridge():
    generator = np.random.default_rng(4)
    inputs = generator.uniform(-1.0, 1.0, (200, 1))
    ridges = []
    for noise in (0.0, 0.3):
        network = RandomFeatures(8.0 * generator.standard_normal((100, 1)), generator.uniform(-8.0, 8.0, 100))
        network.choose_ridge(inputs, np.sin(3.0 * inputs) + noise * generator.standard_normal(inputs.shape))
        ridges.append(network.ridge)
    assert ridges[1] > 100.0 * ridges[0]


def test_pictures_come_back_from_one_number(taken):
    code = fit_film_code(taken.film.rows(), 1, modes=30, units=120, rounds=3)
    rows = np.concatenate(taken.film.rows()).astype(float)
    assert code.error(rows) < 0.02
    numbers = code.encode(rows)
    order = np.argsort(np.concatenate(taken.angles))
    assert abs(np.corrcoef(numbers[:, 0], np.concatenate(taken.angles))[0, 1]) > 0.99
    # one to one: along the angles the number goes one way
    went = np.abs(np.diff(numbers[order, 0])).sum()
    assert went < 1.2 * np.ptp(numbers)


def test_the_law_has_the_derivative_that_gauss_and_newton_need(taken):
    generator = np.random.default_rng(5)
    dt, z = taken.film.dt, np.concatenate(taken.angles[:2])
    cuts = [len(taken.angles[0])]
    weak = WeakForm.of(list(taken.angles[:2]), dt)
    equation = discover(list(taken.angles[:2]), dt)
    hidden = np.stack([z, np.cos(z), np.ones_like(z)], axis=1)
    law = _Law(equation, weak, cuts, hidden)
    weights = np.array([1.0, 0.05, 0.0])
    rows, missed = law(hidden @ weights)
    change = 1e-6 * generator.standard_normal(3)
    # coefficients are fitted anew each time, which the rows leave out: it lies in the space of the terms
    moved = law(hidden @ (weights + change))[1] - missed
    terms = weak.integrals(np.sin(weak.smoothed(z[: cuts[0]])[0]))
    terms = np.concatenate([terms, weak.integrals(np.sin(weak.smoothed(z[cuts[0] :])[0]))])
    left = moved + rows @ change
    left -= terms * (terms @ left) / (terms @ terms)
    assert np.linalg.norm(left) < 0.05 * np.linalg.norm(moved)


def test_one_start_finds_the_equation_and_nothing_else(taken, found):
    assert set(found.equation.terms) == {"sin z"}
    assert found.equation.terms["sin z"] == pytest.approx(-1.0, abs=0.01)
    z, angle = np.concatenate(found.series), np.concatenate(taken.angles)
    sign = np.sign(np.corrcoef(z, angle)[0, 1])
    assert np.std(sign * z - angle) < 0.02
    assert found.error < 0.05
    again = fit_sindy_autoencoder(taken.film, modes=30, units=120, rounds=4)
    np.testing.assert_array_equal(again.series[0], found.series[0])


def test_of_starts_the_sparsest_that_leaves_least_is_chosen(taken, found):
    noisy = fit_sindy_autoencoder(
        taken.film.disturbed(0.05, seed=1), modes=30, units=120, rounds=2, seed=1, most_left=9.0
    )
    assert noisy.equation.left > 1.5 * found.equation.left
    assert best_start([noisy, found]) is found
    with pytest.raises(DatasetError, match="no starts"):
        best_start([])


def test_films_that_hold_no_period_and_libraries_that_do_not_reach(taken):
    short = Film(tuple(clip[:40] for clip in taken.film.clips), taken.film.dt)
    with pytest.raises(DatasetError, match="no clip holds a period"):
        fit_sindy_autoencoder(short, modes=20, units=60, rounds=1)
    with pytest.raises(DatasetError, match="cannot represent"):
        fit_sindy_autoencoder(taken.film, Library(0, sine=False), modes=20, units=60, rounds=1)


# --- how many numbers


def test_a_frame_takes_one_number_and_many_modes():
    film = film_ideal_pendulum(n=100, frames=8, size=31, highest=0.5).film
    needed = numbers_needed(film.rows(), 2, modes=30, units=120, rounds=2)
    assert needed.answer == 1
    assert round(needed.neighbours) == 1
    assert needed.modes > 10
    assert (np.diff(needed.linear) <= 1e-12).all()


def test_a_state_takes_two_by_its_neighbours():
    film = film_ideal_pendulum(n=300, frames=5, size=31, highest=0.0).film.disturbed(blur=3.0)
    rows = state_rows(film)
    some = np.concatenate(rows).astype(float)
    assert round(intrinsic_dimension(some)) == 2
    half = some.shape[1] // 2
    assert some[:, :half].std() == pytest.approx(some[:, half:].std(), rel=1e-3)


def test_counting_needs_clips_to_judge_by(taken):
    with pytest.raises(DatasetError, match="five or more"):
        numbers_needed(taken.film.rows()[:3])


@pytest.mark.parametrize(
    "rows", [2.5, [], "film", [np.zeros(3)], [np.zeros((4, 3)), np.zeros((4, 2))], [[[1, 2], [3]]]]
)
def test_what_are_no_clips_of_pictures_is_refused(rows):
    with pytest.raises(ParameterError, match="clip"):
        numbers_needed(rows)
    with pytest.raises(ParameterError, match="clip"):
        fit_film_code(rows, 1)


@pytest.mark.parametrize("results", [3, [None], np.zeros((2, 2)), "starts"])
def test_what_are_no_starts_is_refused(results):
    with pytest.raises(ParameterError, match="results"):
        best_start(results)


@pytest.mark.parametrize("rows", [np.ones((3, 3)), np.ones((1, 2)), np.zeros((0, 2))])
def test_equal_rows_lie_on_no_curve(rows):
    with pytest.raises(DatasetError, match="equal"):
        geodesic_coordinates(rows)


def test_rows_are_spread_from_one_of_them():
    with pytest.raises(ParameterError, match="first=3"):
        farthest_rows(np.zeros((3, 2)), 2, 3)
