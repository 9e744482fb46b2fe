"""From a scikit-fem mesh to an array of hexahedra, with the checks that the host does not make."""

import numpy as np
from skfem import Mesh, MeshHex1

from femnn.exceptions import MeshError


def hexahedra(mesh):
    """Vertex coordinates of a trilinear hexahedral mesh.

    Parameters
    ----------
    mesh
        A ``skfem.MeshHex`` with straight edges.

    Returns
    -------
    Array of shape (n, 8, 3), float64, in scikit-fem's vertex order.

    Raises
    ------
    MeshError
        If the mesh has other cells, quadratic geometry, no cells, or coordinates that are not finite.
    """
    if not isinstance(mesh, Mesh):
        raise MeshError(
            f"expected a skfem.MeshHex, got {type(mesh).__name__}; read files with skfem.MeshHex.load(path)"
        )
    if type(mesh).__name__ == "MeshHex2":
        raise MeshError(
            "the mesh has quadratic geometry (MeshHex2, 27 nodes a cell), femnn's rules are made for trilinear cells; "
            "pass skfem.MeshHex1.from_mesh(mesh)"
        )
    if not isinstance(mesh, MeshHex1):
        raise MeshError(f"the mesh is a {type(mesh).__name__}, femnn integrates hexahedra; pass a skfem.MeshHex")
    if mesh.nelements == 0:
        raise MeshError("the mesh has no cells; check the file or the selection it came from")
    vertices = mesh.p[:, mesh.t].transpose(2, 1, 0)
    finite = np.isfinite(vertices).all(axis=(1, 2))
    if not finite.all():
        element = int(np.flatnonzero(~finite)[0])
        vertex = int(np.flatnonzero(~np.isfinite(vertices[element]).all(axis=1))[0])
        raise MeshError(
            f"element {element} has the coordinates {vertices[element, vertex].tolist()} at vertex {vertex}, and "
            f"{(~finite).sum()} of {mesh.nelements} elements have non-finite ones; repair the mesh"
        )
    return np.ascontiguousarray(vertices, dtype=float)
