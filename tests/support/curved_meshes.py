"""Meshes with curved edges, and their cells in the order of nodes that a program has."""

import numpy as np
import skfem
from skfem.io.meshio import HEX_MAPPING

from femnn.geometry.cells import cells
from femnn.mesh_files.node_orders import middles


def bent_hexahedra(refinements=1):
    """A cube of triquadratic hexahedra whose edges, faces and inside are all bent."""
    mesh = skfem.MeshHex2.from_mesh(skfem.MeshHex().refined(refinements))
    x, y, z = mesh.doflocs
    bend = [0.08 * np.sin(3 * y) * np.cos(2 * z), 0.06 * np.sin(2 * x + z), 0.05 * x * y]
    return skfem.MeshHex2(np.ascontiguousarray(mesh.doflocs + bend), mesh.t)


def bent_quadrilaterals(refinements=2):
    """A square of biquadratic quadrilaterals with bent edges."""
    mesh = skfem.MeshQuad2.from_mesh(skfem.MeshQuad().refined(refinements))
    x, y = mesh.doflocs
    bend = [0.05 * np.sin(3 * y), 0.05 * np.cos(4 * x)]
    return skfem.MeshQuad2(np.ascontiguousarray(mesh.doflocs + bend), mesh.t)


def nodes_in_order(mesh, kind, program):
    """Points (n, 3) and cells (n, nodes) of a quadratic mesh, the cells in the order of a program.

    Cells of 8 and 20 nodes have the middles of their edges from the mesh, and so another geometry inside.
    """
    dim = mesh.dim()
    table = mesh.dofs.element_dofs.T
    to_file = HEX_MAPPING[:8] if dim == 3 else [0, 1, 2, 3]
    places = np.asarray(mesh.elem.doflocs, dtype=float)
    vertices = places[to_file]
    columns = list(to_file)
    for of in middles(kind, program):
        columns.append(int(np.flatnonzero((places == vertices[list(of)].mean(axis=0)).all(axis=1))[0]))
    points = np.zeros((mesh.doflocs.shape[1], 3))
    points[:, :dim] = mesh.doflocs.T
    return points, table[:, columns]


def same_cells(one, other):
    """True if two meshes have the same cells in the same order, whatever the order of their nodes."""
    a, b = (np.sort(cells(mesh).round(9).view([("", float)] * mesh.dim()), axis=1) for mesh in (one, other))
    return one.nelements == other.nelements and bool((a == b).all())
