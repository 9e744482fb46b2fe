"""Warps of many elements in their canonical poses, by one Numba kernel: what is done for every element of a mesh.

The same as :func:`femnn.geometry.symmetry.canonical_pose` followed by
:func:`femnn.geometry.coordinates.relative_warp`, in a tenth of the time.
"""

import numpy as np
from numpy.typing import ArrayLike

from femnn.geometry.hexahedron import in_own_units
from femnn.geometry.mesh import element_array
from femnn.geometry.shape_kernels import own_axes_of
from femnn.geometry.symmetry import symmetry_index, vertex_permutations
from femnn.system.compile import njit


@njit(cache=True, error_model="numpy")
def _axes_by_slope(warp, slopes, axes):
    """Write the slopes of det J at the centre, and the axes from the steepest on; the first of equal ones first."""
    slopes[0] = warp[1, 0] + warp[2, 2]
    slopes[1] = warp[0, 0] + warp[2, 1]
    slopes[2] = warp[0, 2] + warp[1, 1]
    axes[0], axes[1], axes[2] = 0, 1, 2
    for i in (1, 2, 1):
        if abs(slopes[axes[i]]) > abs(slopes[axes[i - 1]]):
            axes[i], axes[i - 1] = axes[i - 1], axes[i]


@njit(over="hexahedra", cache=True, error_model="numpy")
def _canonical_frames(begin, end, hexahedra, index, permutations, warps, orders, inverses):
    for e in range(begin, end):
        linear, twist = np.empty((3, 3)), np.empty((3, 4))
        slopes, axes = np.empty(3), np.empty(3, dtype=np.int64)
        own_axes_of(hexahedra[e], np.arange(8), linear, twist, inverses[e], warps[e])
        _axes_by_slope(warps[e], slopes, axes)
        x, y, z = axes[0], axes[1], axes[2]
        symmetry = index[x, y, z, int(slopes[x] < 0.0), int(slopes[y] < 0.0), int(slopes[z] < 0.0)]
        orders[e] = permutations[symmetry]
        own_axes_of(hexahedra[e], orders[e], linear, twist, inverses[e], warps[e])


def canonical_warps(hexahedra: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """J₀⁻¹h in the canonical pose (n, 3, 4), and the vertices of each element in the order of its pose (n, 8) int.

    Examples
    --------
    >>> import femnn
    >>> from femnn.geometry import canonical_warps
    >>> warp, order = canonical_warps(femnn.distorted_hexahedra(5, 0.2, seed=0))
    >>> warp.shape, order.shape
    ((5, 3, 4), (5, 8))
    """
    warps, orders, _ = canonical_frames(hexahedra)
    return warps, orders


def canonical_frames(hexahedra: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same, and J₀⁻¹ in the canonical pose (n, 3, 3), in units of the elements' own sizes."""
    x = in_own_units(element_array(hexahedra))[0]
    warps, orders = np.empty((len(x), 3, 4)), np.empty((len(x), 8), dtype=np.int64)
    inverses = np.empty((len(x), 3, 3))
    _canonical_frames(x, symmetry_index(), np.array(vertex_permutations()), warps, orders, inverses)
    return warps, orders, inverses
