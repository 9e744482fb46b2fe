"""The cells that rules integrate: quadrilaterals and hexahedra, with straight edges or curved ones.

A cell is the image of the reference square or cube [0, 1]^dim under the shape functions of its nodes. Arrays of cells
are ``(n, nodes, dim)`` in scikit-fem's order of nodes; their shape says of which kind they are.

>>> import skfem
>>> cells(skfem.MeshQuad().refined(1)).shape, cells(skfem.MeshHex2()).shape
((4, 4, 2), (1, 27, 3))
"""

from dataclasses import dataclass

import numpy as np
import skfem
from numpy.typing import ArrayLike

from femnn.checks import checked, floats
from femnn.exceptions import MeshError
from femnn.geometry.mesh import hexahedra, node_table, require_vertices


@dataclass(frozen=True, eq=False, repr=False)
class CellKind:
    """One kind of cell.

    Attributes
    ----------
    name
        What its cells are called in messages.
    mesh
        The class of scikit-fem's meshes of these cells.
    element
        scikit-fem's element whose shape functions map the reference cell.
    degree
        Degree of these along each axis: 1 for straight edges, 2 for curved ones.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.geometry import HEXAHEDRON
    >>> HEXAHEDRON.name, HEXAHEDRON.dim, HEXAHEDRON.nodes.shape
    ('hexahedra with straight edges', 3, (8, 3))
    >>> HEXAHEDRON.shapes(np.full((3, 1), 0.5)).ravel()
    array([0.125, 0.125, 0.125, 0.125, 0.125, 0.125, 0.125, 0.125])
    """

    name: str
    mesh: type[skfem.Mesh]
    element: skfem.Element
    degree: int

    def __repr__(self) -> str:
        return f"CellKind({self.name})"

    @property
    def dim(self) -> int:
        """Number of coordinates of a node."""
        return self.element.dim

    @property
    def nodes(self) -> np.ndarray:
        """Places of the nodes in the reference cell, (nodes, dim)."""
        return np.array(self.element.doflocs, dtype=float)

    @property
    def n_vertices(self) -> int:
        """Number of vertices, which are the first nodes."""
        return 2**self.dim

    def shapes(self, points: np.ndarray) -> np.ndarray:
        """Shape functions (nodes, q) at ``points`` (dim, q) of the reference cell."""
        return np.stack([self.element.lbasis(points, a)[0] for a in range(len(self.nodes))])

    def gradients(self, points: np.ndarray) -> np.ndarray:
        """Reference gradients (nodes, dim, q) of the shape functions at ``points`` (dim, q)."""
        return np.stack([np.asarray(self.element.lbasis(points, a)[1]) for a in range(len(self.nodes))])


QUADRILATERAL = CellKind("quadrilaterals with straight edges", skfem.MeshQuad1, skfem.ElementQuad1(), 1)
CURVED_QUADRILATERAL = CellKind("quadrilaterals with nine nodes", skfem.MeshQuad2, skfem.ElementQuad2(), 2)
HEXAHEDRON = CellKind("hexahedra with straight edges", skfem.MeshHex1, skfem.ElementHex1(), 1)
CURVED_HEXAHEDRON = CellKind("hexahedra with 27 nodes", skfem.MeshHex2, skfem.ElementHex2(), 2)

#: All kinds of cells.
KINDS = (QUADRILATERAL, CURVED_QUADRILATERAL, HEXAHEDRON, CURVED_HEXAHEDRON)

_BY_SHAPE = {(len(kind.nodes), kind.dim): kind for kind in KINDS}
_SHAPES = ", ".join(f"(n, {nodes}, {dim})" for nodes, dim in _BY_SHAPE)


def kind_of_mesh(mesh: skfem.Mesh) -> CellKind:
    """Kind of the cells of a mesh.

    Raises
    ------
    MeshError
        If ``mesh`` is no mesh of scikit-fem, or one of triangles, tetrahedra, wedges, ...

    Examples
    --------
    >>> import skfem
    >>> from femnn.geometry import kind_of_mesh
    >>> kind_of_mesh(skfem.MeshQuad2()).name
    'quadrilaterals with nine nodes'

    See Also
    --------
    femnn.geometry.kind_of_array : of coordinates instead of a mesh
    """
    if not isinstance(mesh, skfem.Mesh):
        raise MeshError(
            f"expected a mesh of scikit-fem, got {type(mesh).__name__}; read files with femnn.read_mesh(path)"
        )
    # the curved kinds are subclasses of the straight ones
    for kind in (CURVED_QUADRILATERAL, CURVED_HEXAHEDRON, QUADRILATERAL, HEXAHEDRON):
        if isinstance(mesh, kind.mesh):
            return kind
    raise MeshError(
        f"the mesh is a {type(mesh).__name__}; femnn integrates quadrilaterals and hexahedra: pass a skfem.MeshQuad, "
        "MeshQuad2, MeshHex or MeshHex2"
    )


def cells(mesh: skfem.Mesh) -> np.ndarray:
    """Coordinates of the nodes of every cell of a mesh.

    Parameters
    ----------
    mesh
        A ``skfem.MeshQuad``, ``MeshQuad2``, ``MeshHex`` or ``MeshHex2``.

    Returns
    -------
    Array of shape (n, nodes, dim), float64, in scikit-fem's node order.

    Raises
    ------
    MeshError
        If the mesh has other cells, none, or coordinates that are not finite.

    See Also
    --------
    femnn.hexahedra : The same for straight-edged hexahedra alone.

    Examples
    --------
    >>> import skfem
    >>> from femnn.geometry import cells
    >>> cells(skfem.MeshQuad().refined(1)).shape, cells(skfem.MeshHex2()).shape
    ((4, 4, 2), (1, 27, 3))
    """
    kind = kind_of_mesh(mesh)
    if kind is HEXAHEDRON:
        return hexahedra(mesh)
    if mesh.nelements == 0:
        raise MeshError("the mesh has no cells; check the file or the selection it came from")
    require_vertices(mesh)
    places = np.ascontiguousarray(np.asarray(mesh.doflocs, dtype=float).T)
    x = places[np.ascontiguousarray(node_table(mesh).T)]
    if not np.isfinite(places).all():
        _require_finite(x)
    return x


def kind_of_array(x: np.ndarray) -> CellKind:
    """Kind of the cells in an array (n, nodes, dim); MeshError if there is none of this shape.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.geometry import kind_of_array
    >>> kind_of_array(np.zeros((10, 4, 2))).name, kind_of_array(np.zeros((10, 27, 3))).degree
    ('quadrilaterals with straight edges', 2)
    """
    shape = getattr(x, "shape", None)
    if not isinstance(shape, tuple) or len(shape) != 3 or shape[1:] not in _BY_SHAPE:
        raise MeshError(
            f"hexahedra or other cells have shape {shape}; expected one of {_SHAPES}, as femnn.hexahedra(mesh) and "
            "femnn.geometry.cells(mesh) give them"
        )
    return _BY_SHAPE[shape[1:]]


def cell_array(x: ArrayLike) -> np.ndarray:
    """Cells (n, nodes, dim) from a user as contiguous floats: of a known kind, at least one, all numbers finite.

    Raises
    ------
    MeshError
        If the array has another shape, is no array of numbers, or holds values that are not finite.
    """
    array = np.require(floats("hexahedra", x, finite=False, error=MeshError), dtype=float, requirements=("C", "W"))
    kind_of_array(array)
    if len(array) == 0:
        raise MeshError(f"hexahedra have shape {array.shape}; pass one cell or more")
    _require_finite(array)
    return array


def _require_finite(x):
    if np.isfinite(x).all():
        return
    finite = np.isfinite(x).all(axis=(1, 2))
    first = int(np.flatnonzero(~finite)[0])
    node = int(np.flatnonzero(~np.isfinite(x[first]).all(axis=1))[0])
    raise MeshError(
        f"element {first} has coordinates that are not finite: {x[first, node].tolist()} at node {node}, and "
        f"{np.sum(~finite)} of {len(x)} elements have such; repair the mesh"
    )


@checked(x="n nodes dim", points="dim q")
def determinants(x: np.ndarray, points: np.ndarray) -> np.ndarray:
    """det J, shape (n, q), of cells (n, nodes, dim) at points (dim, q) of the reference cell.

    Examples
    --------
    >>> import skfem
    >>> from femnn.geometry import cells, determinants
    >>> squares = cells(skfem.MeshQuad().refined(1))
    >>> determinants(squares, [[0.5], [0.5]]).ravel()
    array([0.25, 0.25, 0.25, 0.25])
    """
    n, _, dim = x.shape
    gradients = kind_of_array(x).gradients(points)
    relative = (x - x[:, -1:]).transpose(0, 2, 1)
    jacobians = (relative @ gradients.reshape(len(gradients), -1)).reshape(n, dim, dim, -1)
    if dim == 2:
        return jacobians[:, 0, 0] * jacobians[:, 1, 1] - jacobians[:, 0, 1] * jacobians[:, 1, 0]
    return np.einsum("eiq,eiq->eq", jacobians[:, :, 0], np.cross(jacobians[:, :, 1], jacobians[:, :, 2], axis=1))
