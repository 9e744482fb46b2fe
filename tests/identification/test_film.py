"""Pictures and films: coverage and position, noise and blur, files, and films from which nothing can be learned."""

import numpy as np
import pytest

from femnn.exceptions import DatasetError, ParameterError
from femnn.identification import (
    CompoundPendulum,
    Film,
    film_compound_pendulum,
    film_ideal_pendulum,
    load_pendulum_film,
    picture_of_angle,
    picture_of_outline,
)

ANGLE = 1.2 * np.cos(np.linspace(0.0, 12.0, 161))


@pytest.fixture
def film():
    return Film((picture_of_angle(ANGLE), picture_of_angle(0.5 * ANGLE)), 0.15)


def centre(pictures, reach=1.5):
    """Centre of brightness (n, 2), y upwards."""
    size = pictures.shape[1]
    grid = np.linspace(-reach, reach, size)
    total = pictures.sum(axis=(1, 2))
    x = (pictures.sum(axis=1) @ grid) / total
    return np.stack([x, -(pictures.sum(axis=2) @ grid) / total], axis=1)


def test_the_bob_is_where_the_angle_says():
    angle = np.array([0.0, 0.7, -2.0])
    expected = np.stack([np.sin(angle), -np.cos(angle)], axis=1)
    np.testing.assert_allclose(centre(picture_of_angle(angle)), expected, atol=2e-3)
    tilted = centre(picture_of_angle(angle, tilt=0.6))
    np.testing.assert_allclose(tilted, expected * [np.cos(0.6), 1.0], atol=2e-3)


def test_an_outline_covers_its_area_wherever_its_edges_fall():
    square = np.array([[-0.31, -0.2], [0.4, -0.2], [0.4, 0.33], [-0.31, 0.33]])
    shifts = np.linspace(0.0, 0.06, 7)
    pictures = picture_of_outline(np.stack([square + shift for shift in shifts]), 51)
    pixel = 3.0 / 51
    np.testing.assert_allclose(pictures.sum(axis=(1, 2)) * pixel**2, 0.71 * 0.53, rtol=0.01)
    # shifted by a sixth of a pixel, none comes or goes at once
    assert np.abs(np.diff(pictures, axis=0)).max() < 0.4
    assert pictures.min() == 0.0
    assert pictures.max() == 1.0


def test_an_outline_may_be_concave_and_run_either_way():
    corner = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 0.3], [0.3, 0.3], [0.3, 1.0], [0.0, 1.0]])
    pictures = picture_of_outline(np.stack([corner, corner[::-1]]), 90)
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert pictures[0].sum() * (3.0 / 90) ** 2 == pytest.approx(0.51, rel=0.02)


def test_noise_and_blur_are_as_asked_for(film):
    noisy = film.disturbed(0.03, seed=2)
    assert np.std(noisy.clips[0] - film.clips[0]) == pytest.approx(0.03, rel=0.02)
    np.testing.assert_array_equal(noisy.clips[1], film.disturbed(0.03, seed=2).clips[1])
    assert not np.array_equal(noisy.clips[1], film.disturbed(0.03, seed=3).clips[1])
    blurred = film.disturbed(blur=2.0)
    assert blurred.clips[0].max() < 0.8 * film.clips[0].max()
    assert blurred.clips[0].sum() == pytest.approx(film.clips[0].sum(), rel=1e-3)


def test_a_film_is_written_and_read(film, tmp_path):
    film.save(tmp_path / "film.npz", angle=ANGLE)
    again, more = Film.load(tmp_path / "film.npz")
    assert repr(again) == repr(film)
    np.testing.assert_array_equal(more["angle"], ANGLE)
    assert max(np.abs(a - b).max() for a, b in zip(again.clips, film.clips, strict=True)) <= 0.5 / 255 + 1e-6
    (tmp_path / "film.npz").write_bytes(b"no film")
    with pytest.raises(DatasetError, match="film"):
        Film.load(tmp_path / "film.npz")


def test_the_shipped_film_is_of_a_bar_that_swings_as_its_rigid_pendulum():
    taken = load_pendulum_film()
    assert taken.film.shape == (51, 51)
    times = taken.film.dt * np.arange(taken.angles.shape[1])
    for angle, velocity in zip(taken.angles, taken.velocities, strict=True):
        expected, rate = taken.pendulum.swing(float(angle[0]), float(velocity[0]), times)
        assert np.abs(angle - expected).max() < 0.02
        assert np.abs(velocity - rate).max() < 0.1
    # the end of the bar is bright where it should be
    middle = centre(taken.film.clips[0], 1.15 * 50 / 51)
    expected = 0.5 * np.stack([np.sin(taken.angles[0]), -np.cos(taken.angles[0])], axis=1)
    np.testing.assert_allclose(middle, expected, atol=1e-2)


def test_films_of_pendulums_repeat_themselves():
    one, other = (film_ideal_pendulum(n=2, frames=20, seed=5) for _ in range(2))
    np.testing.assert_array_equal(one.film.clips[1], other.film.clips[1])
    assert one.accelerations.shape == one.angles.shape == (2, 20)
    bar = film_compound_pendulum(CompoundPendulum(cells=(2, 2, 1)), np.array([0.4]), 0.2)
    assert bar.film.dt == pytest.approx(0.02)


# --- films from which nothing can be learned


def broken(change):
    pictures = picture_of_angle(ANGLE)
    return change(pictures)


def with_nan(pictures):
    pictures[7, 20, 20] = np.nan
    return pictures


def frozen(pictures):
    pictures[30:34] = pictures[30]
    return pictures


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_nan, "not finite in frame 7"),
        (lambda pictures: np.concatenate([pictures[:40], pictures[60:]]), "jumps between the frames 39 and 40"),
        (frozen, "stands still from frame 30 to 32"),
        (lambda pictures: np.repeat(pictures[:1], 9, axis=0), "all 9 frames are one"),
        (lambda pictures: pictures[:4], "five frames"),
        (lambda pictures: pictures[0], "shape"),
    ],
    ids=["nan", "jump", "frozen", "constant", "short", "one picture"],
)
def test_films_that_are_broken(change, message):
    with pytest.raises(DatasetError, match=message):
        Film((broken(change),), 0.1)


def test_noise_does_not_hide_a_jump_and_is_none(film):
    noisy = film.disturbed(0.01, seed=1)  # accepted
    pictures = noisy.clips[0]
    with pytest.raises(DatasetError, match="jumps"):
        Film((np.concatenate([pictures[:40], pictures[60:]]),), 0.1)


def test_times_must_be_equally_spaced():
    pictures, times = picture_of_angle(ANGLE), 0.1 * np.arange(len(ANGLE))
    assert Film.at_times([pictures], [times]).dt == pytest.approx(0.1)
    late = times.copy()
    late[50:] += 0.03
    with pytest.raises(DatasetError, match=r"from frame 49 to 50 of clip 0 there are 0\.13 s, elsewhere 0\.1 s"):
        Film.at_times([pictures], [late])
    with pytest.raises(DatasetError, match="one for each"):
        Film.at_times([pictures], [times[:-1]])
    with pytest.raises(DatasetError, match="there are 1 clips and the times of 2; pass one for each"):
        Film.at_times([pictures], [times, times])
    with pytest.raises(DatasetError, match="there are 0 clips and the times of 0"):
        Film.at_times([], [])


def test_films_that_are_none():
    with pytest.raises(DatasetError, match="no clips"):
        Film((), 0.1)
    with pytest.raises(ParameterError, match="dt"):
        Film((picture_of_angle(ANGLE),), 0.0)
    with pytest.raises(ParameterError, match="corners"):
        picture_of_outline(np.zeros((1, 2, 2)))
    with pytest.raises(DatasetError, match="one size"):
        Film((picture_of_angle(ANGLE), picture_of_angle(ANGLE, 40)), 0.1)
