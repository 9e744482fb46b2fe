"""The frame of a facet, in which separations and tractions are written: its normal and two shear directions."""

import numpy as np


def normals_of(along: np.ndarray) -> np.ndarray:
    """Normals (..., dim) of facets with the tangents (..., dim − 1, dim), as long as these span an area."""
    if along.shape[-1] == 2:
        return np.stack([along[..., 0, 1], -along[..., 0, 0]], axis=-1)
    return np.cross(along[..., 0, :], along[..., 1, :])


def frames_of(normal: np.ndarray) -> np.ndarray:
    """Frames (..., 3, dim) of unit normals (..., dim): the normal, then the shear directions.

    In three dimensions the first of these is the x axis as seen in the facet, or the y axis where the normal is near x;
    in two dimensions the second is zero.
    """
    dim = normal.shape[-1]
    frames = np.zeros((*normal.shape[:-1], 3, dim))
    frames[..., 0, :] = normal
    if dim == 2:
        frames[..., 1, :] = np.stack([-normal[..., 1], normal[..., 0]], axis=-1)
        return frames
    axis = np.where(np.abs(normal[..., :1]) < 0.9, np.eye(3)[0], np.eye(3)[1])
    first = axis - (axis * normal).sum(axis=-1, keepdims=True) * normal
    frames[..., 1, :] = first / np.linalg.norm(first, axis=-1, keepdims=True)
    frames[..., 2, :] = np.cross(normal, frames[..., 1, :])
    return frames
