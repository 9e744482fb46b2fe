"""Isotropic linear elasticity from vertex coordinates to the sparse matrix, without scikit-fem's form arrays."""

import numpy as np
from scipy.sparse import csr_matrix

from femnn.assembly.fused import add_elasticity, flat_points
from femnn.assembly.groups import check_rule, groups_of
from femnn.assembly.pattern import Pattern
from femnn.exceptions import MeshError
from femnn.geometry.mesh import hexahedra
from femnn.integration.parameters import lame_parameters


def assemble_elasticity(mesh, rule, young, poisson, on_folded="error", pattern=None):
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
        ``"error"`` raises at folded or degenerate elements; ``"skip"`` leaves them out, with a warning.
    pattern
        ``femnn.assembly.pattern.Pattern.of(mesh)``, to reuse for meshes of the same connectivity; None builds it.

    Returns
    -------
    scipy.sparse.csr_matrix
        Rows and columns numbered like the degrees of freedom of ``skfem.ElementVector(skfem.ElementHex1())``. The same
        bits for any number of threads.

    Raises
    ------
    MeshError, FoldedElementError, ParameterError
    """
    check_rule(rule)
    lame, shear = lame_parameters(young, poisson)
    vertices = hexahedra(mesh)
    groups = groups_of(rule, vertices, on_folded)
    if pattern is None:
        pattern = Pattern.of(mesh)
    elif not np.array_equal(pattern.cells, mesh.t.T):
        raise MeshError(
            f"the pattern belongs to another mesh: it has {len(pattern.cells)} elements, this one {mesh.nelements}, "
            "or their vertices differ; pass Pattern.of(mesh), or None"
        )
    indptr, indices = pattern.vector_structure()
    data = np.zeros(indptr[-1])
    add_elasticity(
        vertices,
        pattern.cells,
        pattern.starts,
        pattern.slots,
        pattern.order,
        pattern.blocks,
        pattern.colours,
        flat_points(groups, mesh.nelements),
        lame,
        shear,
        data,
    )
    return csr_matrix((data, indices, indptr), shape=(len(indptr) - 1,) * 2)
