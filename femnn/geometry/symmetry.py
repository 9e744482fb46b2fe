"""The 48 symmetries of the cube, and a canonical pose that makes anything computed in it commute with all of them.

A symmetry g = (axes, flips) renames the element's vertices: vertex a of the renamed element is vertex
``vertex_permutations()[g, a]`` of the original. The element itself stays where it is; only its reference cube turns.
"""

from functools import cache
from itertools import permutations, product

import numpy as np

from femnn.geometry.coordinates import relative_warp
from femnn.geometry.hexahedron import SIGNS


@cache
def symmetries():
    """The 48 signed permutation matrices Q, shape (48, 3, 3): ξ of the original = Q ξ of the renamed, in [-1, 1]³."""
    matrices = []
    for axes in permutations(range(3)):
        for flips in product((1.0, -1.0), repeat=3):
            matrix = np.zeros((3, 3))
            matrix[axes, range(3)] = flips
            matrices.append(matrix)
    result = np.array(matrices)
    result.setflags(write=False)
    return result


def permutations_of(points):
    """How each symmetry permutes a point set, shape (48, nqp).

    Point q of the renamed cube is point ``[g, q]`` of the original.

    ``points`` has shape (3, nqp), in [0, 1]³, and must be carried onto itself by all 48 symmetries.
    """
    centred = 2.0 * np.asarray(points, dtype=float) - 1.0
    carried = np.einsum("gij,jq->gqi", symmetries(), centred)
    distances = np.abs(carried[:, :, None, :] - centred.T).max(axis=3)
    if distances.min(axis=2).max() > 1e-12:
        raise ValueError("the point set is not symmetric under the 48 symmetries of the cube")
    return distances.argmin(axis=2)


@cache
def vertex_permutations():
    """How each symmetry permutes the vertices, shape (48, 8)."""
    result = permutations_of(0.5 * (SIGNS.T + 1.0))
    result.setflags(write=False)
    return result


@cache
def symmetry_index():
    """Index in :func:`symmetries` by the rank of its axes and the bits of its flips."""
    table = np.zeros((3, 3, 3, 2, 2, 2), dtype=np.int64)
    for g, matrix in enumerate(symmetries()):
        axes = np.abs(matrix).argmax(axis=0)
        flips = (matrix.sum(axis=0) < 0).astype(int)
        table[(*axes, *flips)] = g
    return table


def determinant_slopes(warp):
    """Slope of det J / det J₀ along ξ, η, ζ at the centre, shape (n, 3), from J₀⁻¹h of shape (n, 3, 4)."""
    # d(ξη, ηζ, ζξ)/dξ: the trace of J₀⁻¹ ∂h picks, for each axis, the two twists that contain it
    return np.stack(
        [warp[:, 1, 0] + warp[:, 2, 2], warp[:, 0, 0] + warp[:, 2, 1], warp[:, 0, 2] + warp[:, 1, 1]], axis=1
    )


def canonical_pose(hexahedra):
    """Rename the vertices of each element so that all 48 descriptions of it become one.

    In the canonical pose det J grows along every axis at the centre, most along ξ, least along ζ. The pose of an
    element with ties (a parallelepiped, a prism) is one of several equal ones.

    Returns
    -------
    posed : (n, 8, 3)
    symmetry : (n,), index of the symmetry in :func:`symmetries` that was applied
    """
    x = np.asarray(hexahedra, dtype=float)
    slopes = determinant_slopes(relative_warp(x))
    axes = np.argsort(-np.abs(slopes), axis=1, kind="stable")
    flips = (np.take_along_axis(slopes, axes, axis=1) < 0).astype(np.int64)
    symmetry = symmetry_index()[axes[:, 0], axes[:, 1], axes[:, 2], flips[:, 0], flips[:, 1], flips[:, 2]]
    posed = np.take_along_axis(x, vertex_permutations()[symmetry][:, :, None], axis=1)
    return posed, symmetry
