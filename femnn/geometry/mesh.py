"""From a scikit-fem mesh to an array of hexahedra, with the checks that the host does not make."""

import numpy as np
from numba import prange
from skfem import Mesh, MeshHex1

from femnn.exceptions import MeshError
from femnn.system.compile import njit


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
    require_vertices(mesh)
    vertices = np.empty((mesh.nelements, 8, 3))
    _gather(np.asarray(mesh.p, dtype=float), np.asarray(mesh.t), vertices)
    if not np.isfinite(vertices).all():
        _raise_not_finite(vertices)
    return vertices


def require_vertices(mesh):
    """Raise MeshError if an element names a vertex that the mesh does not have."""
    cells, count = mesh.t, mesh.p.shape[1]
    if cells.min() < 0 or cells.max() >= count:
        wrong = int(np.flatnonzero((cells < 0).any(axis=0) | (cells >= count).any(axis=0))[0])
        raise MeshError(
            f"element {wrong} has the vertices {cells[:, wrong].tolist()}, the mesh has {count}; "
            "rebuild the mesh from its file"
        )


@njit(parallel=True, cache=True)
def _gather(points, cells, vertices):
    for e in prange(cells.shape[1]):
        for a in range(8):
            for i in range(3):
                vertices[e, a, i] = points[i, cells[a, e]]


def _raise_not_finite(vertices):
    finite = np.isfinite(vertices).all(axis=(1, 2))
    element = int(np.flatnonzero(~finite)[0])
    vertex = int(np.flatnonzero(~np.isfinite(vertices[element]).all(axis=1))[0])
    raise MeshError(
        f"element {element} has the coordinates {vertices[element, vertex].tolist()} at vertex {vertex}, and "
        f"{(~finite).sum()} of {len(vertices)} elements have non-finite ones; repair the mesh"
    )


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
    if not np.isfinite(x).all():
        element = np.flatnonzero(~np.isfinite(x).all(axis=(1, 2)))[0]
        raise MeshError(f"element {element} has coordinates that are not finite; repair the mesh")
    return x
