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


def vertex_array(hexahedra):
    """What a user passed as vertex coordinates, as a float array of shape (n, 8, 3) with n > 0.

    Raises
    ------
    MeshError
        If it has another shape, is no array of numbers, or holds values that are not finite.
    """
    try:
        x = np.asarray(hexahedra, dtype=float)
    except (TypeError, ValueError) as error:
        raise MeshError(f"hexahedra are no array of numbers: {error}; pass femnn.hexahedra(mesh)") from error
    if x.ndim != 3 or x.shape[1:] != (8, 3) or len(x) == 0:
        raise MeshError(f"hexahedra have shape {x.shape}; expected (n, 8, 3), as femnn.hexahedra(mesh) gives it")
    finite = np.isfinite(x).all(axis=(1, 2))
    if not finite.all():
        raise MeshError(f"element {np.flatnonzero(~finite)[0]} has coordinates that are not finite; repair the mesh")
    return x
