"""Warps of many elements in their canonical poses: what is done for every element of a mesh.

The same as :func:`femnn.geometry.symmetry.canonical_pose` followed by
:func:`femnn.geometry.coordinates.relative_warp`, in units of the elements' own sizes.
"""

import numpy as np
from numpy.typing import ArrayLike

from femnn.geometry.hexahedron import in_own_units
from femnn.geometry.mesh import element_array
from femnn.geometry.shape_lanes import fill_warps
from femnn.geometry.symmetry import posed, vertex_permutations


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
    x, symmetry = posed(in_own_units(element_array(hexahedra))[0])
    inverses, warps = np.empty((len(x), 3, 3)), np.empty((len(x), 3, 4))
    fill_warps(x, inverses, warps)
    return warps, vertex_permutations()[symmetry], inverses
