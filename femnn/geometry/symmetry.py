"""The 48 symmetries of the cube, and a canonical pose that makes anything computed in it commute with all of them.

A symmetry g = (axes, flips) renames the element's vertices: vertex a of the renamed element is vertex
``vertex_permutations()[g, a]`` of the original. The element itself stays where it is; only its reference cube turns.
"""

from functools import cache
from itertools import permutations, product

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import checked
from femnn.geometry.coordinates import TWISTS, relative_warp
from femnn.geometry.hexahedron import SIGNS
from femnn.system.compile import njit

# Slopes of det J over the size of the warp that differ by less are nearly tied.
_TIE = 0.03

_TINY = float(np.finfo(float).tiny)

# The orders of the axes as in `symmetries`: six, each with eight choices of their directions.
_ORDERS = np.array(list(permutations(range(3))))


@cache
def symmetries() -> np.ndarray:
    """The 48 signed permutation matrices Q, shape (48, 3, 3): ξ of the original = Q ξ of the renamed, in [-1, 1]³.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.geometry import symmetries
    >>> symmetries().shape, int((np.linalg.det(symmetries()) > 0.0).sum())  # as many rotations as reflections
    ((48, 3, 3), 24)
    """
    matrices = []
    for axes in permutations(range(3)):
        for flips in product((1.0, -1.0), repeat=3):
            matrix = np.zeros((3, 3))
            matrix[axes, range(3)] = flips
            matrices.append(matrix)
    result = np.array(matrices)
    result.setflags(write=False)
    return result


def permutations_of(points: ArrayLike) -> np.ndarray:
    """Permutation of a point set by each symmetry, shape (48, nqp).

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
def vertex_permutations() -> np.ndarray:
    """Permutation of the vertices by each symmetry, shape (48, 8).

    Examples
    --------
    >>> import femnn
    >>> from femnn.geometry import vertex_permutations
    >>> x = femnn.distorted_hexahedra(2, 0.2, seed=0)
    >>> x[:, vertex_permutations()].shape  # all descriptions of both elements
    (2, 48, 8, 3)
    """
    result = permutations_of(0.5 * (SIGNS.T + 1.0))
    result.setflags(write=False)
    return result


@cache
def coordinate_symmetries() -> tuple[np.ndarray, np.ndarray]:
    """Permutation and signs of the 18 invariant coordinates by each symmetry.

    Coordinate k of the renamed element is ``sign[g, k]`` times coordinate ``index[g, k]`` of the original, see
    :func:`femnn.geometry.coordinates.invariant_coordinates`.

    Returns
    -------
    index : (48, 18) int
    sign : (48, 18)

    Examples
    --------
    >>> import femnn, numpy as np
    >>> from femnn.geometry import coordinate_symmetries, invariant_coordinates, vertex_permutations
    >>> x, (index, sign) = femnn.distorted_hexahedra(2, 0.2, seed=0), coordinate_symmetries()
    >>> renamed = invariant_coordinates(x[:, vertex_permutations()[17]])
    >>> np.allclose(renamed, sign[17] * invariant_coordinates(x)[:, index[17]])
    True
    """
    matrices = np.zeros((48, 18, 18))
    rows, columns = np.array([0, 1, 2, 0, 1, 2]), np.array([0, 1, 2, 1, 2, 0])
    for g, turn in enumerate(symmetries()):
        twists = TWISTS.T @ TWISTS[vertex_permutations()[g]] / 8.0
        matrices[g, :12, :12] = np.kron(turn.T, twists)
        # the metric is M -> QᵀMQ; of a pair of equal entries off the diagonal only one is kept
        first, second = turn[rows], turn[columns]
        carried = first[:, rows] * second[:, columns]
        crossed = np.where(rows == columns, 0.0, first[:, columns] * second[:, rows])
        matrices[g, 12:, 12:] = (carried + crossed).T
    index = np.abs(matrices).argmax(axis=2)
    sign = np.take_along_axis(matrices, index[:, :, None], axis=2)[:, :, 0]
    index.setflags(write=False)
    sign.setflags(write=False)
    return index, sign


@cache
def symmetry_index() -> np.ndarray:
    """Index in :func:`symmetries` by the rank of its axes and the bits of its flips."""
    table = np.zeros((3, 3, 3, 2, 2, 2), dtype=np.int64)
    for g, matrix in enumerate(symmetries()):
        axes = np.abs(matrix).argmax(axis=0)
        flips = (matrix.sum(axis=0) < 0).astype(int)
        table[(*axes, *flips)] = g
    return table


@njit(cache=True, error_model="numpy")
def determinant_slopes(warp, slopes):
    """Write the slopes of det J / det J₀ along ξ, η, ζ at the centre, (3,), from J₀⁻¹h (3, 4)."""
    # d(ξη, ηζ, ζξ)/dξ: the trace of J₀⁻¹ ∂h picks, for each axis, the two twists that contain it
    slopes[0] = warp[1, 0] + warp[2, 2]
    slopes[1] = warp[0, 0] + warp[2, 1]
    slopes[2] = warp[0, 2] + warp[1, 1]


@checked(hexahedra="n 8 3")
def canonical_pose(hexahedra: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Rename the vertices of each element so that all 48 descriptions of it become one.

    In the canonical pose det J grows along every axis at the centre, most along ξ, least along ζ. The pose of an
    element with ties (a parallelepiped, a prism) is one of several equal ones.

    Returns
    -------
    canonical : (n, 8, 3)
    symmetry : (n,), index of the symmetry in :func:`symmetries` that was applied

    Examples
    --------
    >>> import femnn, numpy as np
    >>> from femnn.geometry import canonical_pose, vertex_permutations
    >>> x = femnn.distorted_hexahedra(5, 0.2, seed=0)
    >>> renamed = x[:, vertex_permutations()[17]]
    >>> np.allclose(canonical_pose(x)[0], canonical_pose(renamed)[0])
    True
    """
    return posed(np.require(hexahedra, dtype=float, requirements=["C", "W"]))


def posed(hexahedra: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same for an array that kernels take."""
    canonical, symmetry = np.empty(hexahedra.shape), np.empty(len(hexahedra), dtype=np.int64)
    warps, tables = relative_warp(hexahedra), (symmetry_index(), np.array(vertex_permutations()))
    _fill_canonical(hexahedra, warps, *tables, canonical, symmetry)
    return canonical, symmetry


@njit(cache=True, error_model="numpy")
def _axes_by_slope(slopes, axes):
    """Write the axes from the steepest slope on; the first of equal ones first."""
    axes[0], axes[1], axes[2] = 0, 1, 2
    for i in (1, 2, 1):
        if abs(slopes[axes[i]]) > abs(slopes[axes[i - 1]]):
            axes[i], axes[i - 1] = axes[i - 1], axes[i]


@njit(over="warps", grain=256, cache=True, error_model="numpy")
def _fill_canonical(begin, end, hexahedra, warps, index, permutations, canonical, symmetry):
    slopes, axes = np.empty(3), np.empty(3, dtype=np.int64)
    for e in range(begin, end):
        determinant_slopes(warps[e], slopes)
        _axes_by_slope(slopes, axes)
        x, y, z = axes[0], axes[1], axes[2]
        symmetry[e] = index[x, y, z, int(slopes[x] < 0.0), int(slopes[y] < 0.0), int(slopes[z] < 0.0)]
        for a in range(8):
            vertex = permutations[symmetry[e], a]
            for i in range(3):
                canonical[e, a, i] = hexahedra[e, vertex, i]


@checked(warp="n 3 4")
def weighted_poses(warp: np.ndarray) -> np.ndarray:
    """Weights of the 48 poses of an element, shape (n, 48), from J₀⁻¹h (n, 3, 4); each row sums to 1.

    Nearly all elements have all their weight on the canonical pose. Where its choices are nearly tied, on both sides of
    a tie: the mean over the poses with these weights changes continuously with the element, where the canonical pose
    alone would jump, and commutes with the symmetries exactly, also at ties.

    Source: N. Dym, H. Lawrence, J. W. Siegel, "Equivariant frames and the impossibility of continuous
    canonicalization", ICML 2024.

    Examples
    --------
    >>> import femnn
    >>> from femnn.geometry import relative_warp, weighted_poses
    >>> weights = weighted_poses(relative_warp(femnn.distorted_hexahedra(5, 0.2, seed=0)))
    >>> weights.shape, weights.sum(axis=1)
    ((5, 48), array([1., 1., 1., 1., 1.]))
    """
    counts, poses, shares = likely_poses(warp)
    taken = np.arange(48) < counts[:, None]
    weights = np.zeros((len(warp), 48))
    weights[np.nonzero(taken)[0], poses[taken]] = shares[taken]
    return weights


def likely_poses(warp: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The poses that :func:`weighted_poses` gives a weight, and these weights.

    Returns
    -------
    counts : (n,) int
        How many of an element's poses have one.
    poses : (n, 48) int, weights : (n, 48)
        The first ``counts`` of each row, in the order of :func:`symmetries`.
    """
    n = len(warp)
    counts, poses, weights = np.empty(n, dtype=np.int64), np.empty((n, 48), dtype=np.int64), np.empty((n, 48))
    warps = np.require(np.reshape(warp, (n, 3, 4)), dtype=float, requirements=["C", "W"])
    _fill_poses(warps, _ORDERS, counts, poses, weights)
    return counts, poses, weights


@njit(cache=True, error_model="numpy")
def _side_of_tie(difference):
    """From 0 to 1 as a difference grows from one side of a tie to the other."""
    return min(max(0.5 + difference / (2.0 * _TIE), 0.0), 1.0)


@njit(over="warp", grain=256, cache=True, error_model="numpy")
def _fill_poses(begin, end, warp, orders, counts, poses, weights):
    slopes, along = np.empty(3), np.empty((3, 2))
    for e in range(begin, end):
        square = 0.0
        for i in range(3):
            for k in range(4):
                square += warp[e, i, k] * warp[e, i, k]
        size = max(np.sqrt(square), _TINY)
        determinant_slopes(warp[e], slopes)
        for axis in range(3):
            slopes[axis] /= size
            along[axis, 0], along[axis, 1] = _side_of_tie(slopes[axis]), _side_of_tie(-slopes[axis])
        count, total = 0, 0.0
        for o in range(6):
            x, y, z = orders[o, 0], orders[o, 1], orders[o, 2]
            first, second, third = abs(slopes[x]), abs(slopes[y]), abs(slopes[z])
            order = _side_of_tie(first - second) * _side_of_tie(second - third) * _side_of_tie(first - third)
            if order == 0.0:
                continue
            for f in range(8):
                weight = order * along[x, f // 4] * along[y, (f // 2) % 2] * along[z, f % 2]
                if weight > 0.0:
                    poses[e, count], weights[e, count] = 8 * o + f, weight
                    count += 1
                    total += weight
        counts[e] = count
        for k in range(count):
            weights[e, k] /= total
