"""Isotropic linear elasticity from vertex coordinates to the sparse matrix, without scikit-fem's form arrays."""

import numpy as np
import skfem
from scipy.sparse import coo_matrix

from femnn.geometry.mesh import hexahedra
from femnn.integration.stiffness import elasticity_stiffness


def assemble_elasticity(mesh, rule, young, poisson, on_folded="error"):
    """Stiffness of the mesh for trilinear displacements, as ``skfem.asm`` of the elasticity form would give it.

    Parameters
    ----------
    mesh
        A ``skfem.MeshHex`` with straight edges.
    rule
        Any rule of femnn.
    young, poisson
        Young's modulus (Pa) and Poisson's ratio.
    on_folded
        ``"error"`` raises at folded or degenerate elements; ``"skip"`` leaves them out.

    Returns
    -------
    scipy.sparse.csr_matrix
        Rows and columns numbered like the degrees of freedom of ``skfem.ElementVector(skfem.ElementHex1())``.

    Raises
    ------
    MeshError, FoldedElementError, ParameterError
    """
    vertices = hexahedra(mesh)
    dofs = skfem.Dofs(mesh, skfem.ElementVector(skfem.ElementHex1())).element_dofs.T
    rows, columns, values = [], [], []
    for group in rule.groups(vertices, on_folded):
        own = dofs[group.cells]
        rows.append(np.repeat(own, 24, axis=1).ravel())
        columns.append(np.tile(own, 24).ravel())
        values.append(elasticity_stiffness(vertices[group.cells], group.X, group.W, young, poisson).ravel())
    size = 3 * mesh.nvertices
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return coo_matrix(entries, shape=(size, size)).tocsr()
