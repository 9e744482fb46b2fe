"""Coordinate systems of mesh files: from cylinder and sphere to space, and rigid motions."""

import numpy as np

from femnn.exceptions import MeshError


def cartesian(kind: str, coordinates: np.ndarray) -> np.ndarray:
    """Rectangular coordinates of points given as such, as (r, θ, z) or as (r, θ, φ), angles in degrees.

    Parameters
    ----------
    kind
        ``"rectangular"``, ``"cylindrical"``; ``"spherical"`` with the latitude φ from the equator, as Abaqus has it; or
        ``"polar"`` with θ from the axis and then the longitude φ, as Nastran has it.
    coordinates : (n, 3)
    """
    if kind == "rectangular":
        return coordinates
    r, second, third = coordinates.T
    if kind == "cylindrical":
        angle = np.radians(second)
        return np.column_stack([r * np.cos(angle), r * np.sin(angle), third])
    longitude, colatitude = np.radians((second, 90.0 - third) if kind == "spherical" else (third, second))
    flat = r * np.sin(colatitude)
    return np.column_stack([flat * np.cos(longitude), flat * np.sin(longitude), r * np.cos(colatitude)])


def frame_of_points(where, origin, on_x, in_plane=None):
    """Origin and axes (rows) of a system given by its origin, a point on its x axis and one in its x-y plane.

    Without the last, the x axis turns about the global z axis.
    """
    origin, x = np.asarray(origin, dtype=float), np.asarray(on_x, dtype=float) - origin
    if in_plane is None:
        if not np.any(on_x):
            return origin, np.eye(3)
        x = np.array([x[0], x[1], 0.0])
        return origin, _orthonormal(where, x, np.cross([0.0, 0.0, 1.0], x))
    return origin, _orthonormal(where, x, np.asarray(in_plane, dtype=float) - origin)


def frame_of_axis(where, origin, on_z, in_plane):
    """Origin and axes (rows) of a system given by its origin, a point on its z axis and one in its x-z plane."""
    origin = np.asarray(origin, dtype=float)
    axes = _orthonormal(where, np.asarray(on_z, dtype=float) - origin, np.asarray(in_plane, dtype=float) - origin)
    # first axis, second in the plane: they are z and x here
    return origin, axes[[1, 2, 0]]


def _orthonormal(where, first, second):
    """Three axes as rows: along the first vector, in the plane of both, and normal to it."""
    length = np.linalg.norm(first)
    normal = np.cross(first, second)
    if length == 0.0 or np.linalg.norm(normal) <= 1e-12 * length * np.linalg.norm(second):
        raise MeshError(f"{where}: the points of the coordinate system lie on a line; correct them")
    first, normal = first / length, normal / np.linalg.norm(normal)
    return np.stack([first, np.cross(normal, first), normal])


def rotated(points: np.ndarray, start, end, angle: float) -> np.ndarray:
    """Points turned about the axis from ``start`` to ``end`` by ``angle`` (rad), right-handed (Rodrigues' formula)."""
    start = np.asarray(start, dtype=float)
    axis = np.asarray(end, dtype=float) - start
    length = np.linalg.norm(axis)
    if length == 0.0:
        raise MeshError(f"the axis of a rotation has no length: both its points are {start.tolist()}")
    axis, arm = axis / length, points - start
    result = np.cos(angle) * arm + np.sin(angle) * np.cross(axis, arm)
    return start + result + (1.0 - np.cos(angle)) * np.outer(arm @ axis, axis)
