"""The frame of a facet: right-handed, orthonormal, with the directions that the documentation says."""

import numpy as np
import pytest

from femnn.interfaces.frames import frames_of, normals_of


def test_frames_in_space_are_right_handed_and_orthonormal():
    normal = np.random.default_rng(0).normal(size=(200, 3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    frames = frames_of(normal)
    np.testing.assert_allclose(frames @ frames.swapaxes(1, 2), np.broadcast_to(np.eye(3), (200, 3, 3)), atol=1e-14)
    np.testing.assert_allclose(np.linalg.det(frames), 1.0, atol=1e-13)
    np.testing.assert_array_equal(frames[:, 0], normal)
    # the first shear is the x axis seen in the facet, or the y axis where the normal is near x
    along = np.where(np.abs(normal[:, :1]) < 0.9, [1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
    assert ((frames[:, 1] * along).sum(axis=1) > 0.0).all()
    np.testing.assert_allclose((frames[:, 2] * along).sum(axis=1), 0.0, atol=1e-14)


@pytest.mark.parametrize(
    ("normal", "first", "second"),
    [
        ([0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]),
        ([0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]),
        ([0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]),
        ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]),
    ],
)
def test_frames_of_facets_along_the_axes(normal, first, second):
    np.testing.assert_allclose(frames_of(np.array(normal)), [normal, first, second], atol=1e-15)


def test_frames_in_the_plane_turn_the_normal_to_the_left():
    angle = np.linspace(0.0, 6.0, 25)
    normal = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    frames = frames_of(normal)
    np.testing.assert_allclose(frames[:, 1], np.stack([-np.sin(angle), np.cos(angle)], axis=1), atol=1e-15)
    assert not frames[:, 2].any()
    # the normal lies to the right of the tangent from which it came
    np.testing.assert_allclose(normals_of(frames[:, None, 1]), normal, atol=1e-15)
