"""Cells as arrays: from meshes, drawn at random, checked for folds, measured, and put into a canonical pose.

Hexahedra with straight edges are vertex coordinates (n, 8, 3) in scikit-fem's order of vertices; quadrilaterals and
cells with curved edges are (n, nodes, dim), see :mod:`femnn.geometry.cells`. Nothing here integrates.

>>> from femnn.geometry import distorted_cube, hexahedra, scaled_jacobian
>>> scaled_jacobian(hexahedra(distorted_cube(2, 0.0)))
array([1., 1., 1., 1., 1., 1., 1., 1.])
"""

from femnn.geometry.canonical_pose import canonical_warps
from femnn.geometry.cells import (
    CURVED_HEXAHEDRON,
    CURVED_QUADRILATERAL,
    HEXAHEDRON,
    KINDS,
    QUADRILATERAL,
    CellKind,
    cells,
    determinants,
    kind_of_array,
    kind_of_mesh,
)
from femnn.geometry.connectivity import Connectivity, duplicate_elements, loose_vertices, measure_connectivity
from femnn.geometry.coordinates import (
    TWISTS,
    directed_coordinates,
    invariant_coordinates,
    metric,
    modes,
    normalised_coordinates,
    own_axes,
    relative_warp,
)
from femnn.geometry.families import (
    cooks_membrane,
    distorted_cube,
    kershaw,
    mirrored_cube,
    thick_sphere,
    twisted_beam,
)
from femnn.geometry.hexahedron import (
    EDGES,
    QUADRATIC_NODES,
    SIGNS,
    TO_VTK,
    VERTICES,
    jacobian,
    jacobian_determinant,
    shape_functions,
    shape_gradients,
    trilinear_map,
)
from femnn.geometry.mesh import hexahedra
from femnn.geometry.quality import aspect, distance_from_parallelepiped, scaled_jacobian, signed_volume
from femnn.geometry.sampling import distorted_hexahedra
from femnn.geometry.symmetry import (
    canonical_pose,
    coordinate_symmetries,
    symmetries,
    vertex_permutations,
    weighted_poses,
)
from femnn.geometry.validity import (
    DEGENERATE,
    FOLDED,
    VALID,
    bernstein_coefficients,
    classify,
    require_valid,
    valid_elements,
)

__all__ = [
    "CURVED_HEXAHEDRON",
    "CURVED_QUADRILATERAL",
    "DEGENERATE",
    "EDGES",
    "FOLDED",
    "HEXAHEDRON",
    "KINDS",
    "QUADRATIC_NODES",
    "QUADRILATERAL",
    "SIGNS",
    "TO_VTK",
    "TWISTS",
    "VALID",
    "VERTICES",
    "CellKind",
    "Connectivity",
    "aspect",
    "bernstein_coefficients",
    "canonical_pose",
    "canonical_warps",
    "cells",
    "classify",
    "cooks_membrane",
    "coordinate_symmetries",
    "determinants",
    "directed_coordinates",
    "distance_from_parallelepiped",
    "distorted_cube",
    "distorted_hexahedra",
    "duplicate_elements",
    "hexahedra",
    "invariant_coordinates",
    "jacobian",
    "jacobian_determinant",
    "kershaw",
    "kind_of_array",
    "kind_of_mesh",
    "loose_vertices",
    "measure_connectivity",
    "metric",
    "mirrored_cube",
    "modes",
    "normalised_coordinates",
    "own_axes",
    "relative_warp",
    "require_valid",
    "scaled_jacobian",
    "shape_functions",
    "shape_gradients",
    "signed_volume",
    "symmetries",
    "thick_sphere",
    "trilinear_map",
    "twisted_beam",
    "valid_elements",
    "vertex_permutations",
    "weighted_poses",
]
