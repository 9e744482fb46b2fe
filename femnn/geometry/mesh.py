"""From a scikit-fem mesh to an array of hexahedra, with the checks that the host does not make."""

import numpy as np
from numpy.typing import ArrayLike
from skfem import Mesh, MeshHex1
from skfem.mapping import MappingIsoparametric

from femnn.checks import floats
from femnn.exceptions import MeshError
from femnn.system.compile import njit


def hexahedra(mesh: Mesh) -> np.ndarray:
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

    Examples
    --------
    >>> import femnn, skfem
    >>> femnn.hexahedra(skfem.MeshHex().refined(1)).shape
    (8, 8, 3)
    """
    require_hexahedra(mesh)
    vertices = np.empty((mesh.nelements, 8, 3))
    _gather(np.asarray(mesh.p, dtype=float), np.asarray(mesh.t), vertices)
    if not np.isfinite(vertices).all():
        _raise_not_finite(vertices)
    return vertices


def require_hexahedra(mesh: Mesh) -> None:
    """Raise MeshError unless ``mesh`` is a ``skfem.MeshHex`` with straight edges, elements, and vertices for them."""
    if not isinstance(mesh, Mesh):
        raise MeshError(f"expected a skfem.MeshHex, got {type(mesh).__name__}; read files with femnn.read_mesh(path)")
    if type(mesh).__name__ == "MeshHex2":
        raise MeshError(
            "the mesh has curved edges (MeshHex2, 27 nodes a cell), trilinear hexahedra are asked for here; assemble "
            "with femnn.bases(mesh, element, rule), or straighten the edges by skfem.MeshHex1.from_mesh(mesh)"
        )
    if not isinstance(mesh, MeshHex1):
        raise MeshError(f"the mesh is a {type(mesh).__name__}, femnn integrates hexahedra; pass a skfem.MeshHex")
    if mesh.nelements == 0:
        raise MeshError("the mesh has no cells; check the file or the selection it came from")
    require_vertices(mesh)


def node_table(mesh: Mesh) -> np.ndarray:
    """Numbers of the nodes of every element, (nodes, n): its vertices, and of a quadratic mesh those between them."""
    return mesh.t if mesh.elem.maxdeg == mesh.elem.refdom.dim() else mesh.dofs.element_dofs


def _facet_table(mesh):
    """Numbers of the nodes of every facet, (nodes, n)."""
    if mesh.elem.maxdeg == mesh.elem.refdom.dim():
        return mesh.facets
    # in two dimensions a facet is an edge, and has no edges of its own
    edges = [mesh.dofs.edge_dofs[0, mesh.f2e]] if mesh.dim() == 3 else []
    return np.vstack([mesh.facets, *edges, mesh.dofs.facet_dofs])


class _AboutVertex(MappingIsoparametric):
    """The map of quadrilaterals or hexahedra less the last node of the element, or of the facet."""

    def __init__(self, mesh) -> None:
        super().__init__(mesh, mesh.elem(), mesh.bndelem)
        self.nodes = node_table(mesh)

    def last_nodes(self, tind=None):
        """(dim, n)"""
        last = self.nodes[-1]
        return self.mesh.doflocs[:, last if tind is None else last[tind]]

    def Fmap(self, i, X, tind=None):
        return self._sum(self.elem, self.nodes, i, tind, X, lambda values: values[0])

    def _J(self, i, j, X, tind=None):
        return self._sum(self.elem, self.nodes, i, tind, X, lambda values: values[1][j])

    def bndJ(self, i, j, X, find=None):
        return self._sum(self.bndelem, _facet_table(self.mesh), i, find, X, lambda values: values[1][j])

    def _sum(self, element, nodes, i, chosen, X, shape):
        x = self.mesh.doflocs[i, nodes if chosen is None else nodes[:, chosen]]
        return sum((x[a] - x[-1])[:, None] * shape(element.lbasis(X, a)) for a in range(len(x) - 1))


class RelativeMapping(_AboutVertex):
    """scikit-fem's map of quadrilaterals or hexahedra, which keeps its digits far from the origin.

    scikit-fem sums products of coordinates, which cancel there, and its inverse map then does not converge. Pass it as
    ``mapping=`` to a basis.
    """

    Fmap = MappingIsoparametric.Fmap

    def invF(self, x, tind=None, newton_max_iters=50, newton_tol=1e-12):
        away = x - self.last_nodes(tind)[:, :, None]
        # rounding puts points of a face a little outside of the element, where the search may not go
        nodes = self.nodes if tind is None else self.nodes[:, tind]
        outside = np.spacing(np.abs(x).max()) / np.ptp(self.mesh.doflocs[:, nodes], axis=1).max(axis=0).min()
        return _AboutVertex(self.mesh).invF(away, tind, newton_max_iters, max(newton_tol, 16.0 * outside))


def require_vertices(mesh: Mesh) -> None:
    """Raise MeshError unless the mesh's arrays have its dimension and every element names vertices that it has."""
    for name in ("p", "t"):
        if np.ndim(getattr(mesh, name, 0)) != 2:
            raise MeshError(f"the mesh has no array {name} of two axes; rebuild the mesh from its file")
    cells, count = np.asarray(mesh.t), mesh.p.shape[1]
    expected = (mesh.elem.refdom.nnodes, mesh.elem.refdom.dim())
    if (len(cells), len(mesh.p)) != expected or cells.dtype.kind not in "iu" or mesh.p.dtype.kind not in "iuf":
        raise MeshError(
            f"the mesh has {len(cells)} vertices per element ({cells.dtype}) and {len(mesh.p)} coordinates per vertex "
            f"({mesh.p.dtype}), a {type(mesh).__name__} has {expected[0]} integers and {expected[1]} real numbers; "
            "rebuild the mesh from its file"
        )
    if cells.min() < 0 or cells.max() >= count:
        wrong = int(np.flatnonzero((cells < 0).any(axis=0) | (cells >= count).any(axis=0))[0])
        raise MeshError(
            f"element {wrong} has the vertices {cells[:, wrong].tolist()}, the mesh has {count}; "
            "rebuild the mesh from its file"
        )


@njit(over="vertices", grain=4096, cache=True)
def _gather(begin, end, points, cells, vertices):
    for e in range(begin, end):
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


def element_array(hexahedra: ArrayLike) -> np.ndarray:
    """Vertex coordinates as a contiguous, writeable float array (n, 8, 3), n = 0 included, for the kernels.

    Raises
    ------
    MeshError
        If the array has another shape or is no array of numbers.
    """
    x = np.require(floats("hexahedra", hexahedra, finite=False, error=MeshError), dtype=float, requirements=("C", "W"))
    if x.ndim != 3 or x.shape[1:] != (8, 3):
        raise MeshError(f"hexahedra have shape {x.shape}; expected (n, 8, 3), as femnn.hexahedra(mesh) gives it")
    return x


def vertex_array(hexahedra: ArrayLike) -> np.ndarray:
    """Vertex coordinates (n, 8, 3) from a user: at least one element, all numbers finite.

    Raises
    ------
    MeshError
        If the array has another shape, is no array of numbers, or holds values that are not finite.
    """
    x = element_array(hexahedra)
    if len(x) == 0:
        raise MeshError(f"hexahedra have shape {x.shape}; expected (n, 8, 3), as femnn.hexahedra(mesh) gives it")
    if not np.isfinite(x).all():
        element = np.flatnonzero(~np.isfinite(x).all(axis=(1, 2)))[0]
        raise MeshError(f"element {element} has coordinates that are not finite; repair the mesh")
    return x
