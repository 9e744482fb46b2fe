"""The motions that cost no energy while nothing is held: what multigrid must know, and what supports must stop."""

from typing import Any

import numpy as np
import skfem
from scipy.sparse import csr_array

from femnn.checks import floats, integer
from femnn.exceptions import ParameterError


def near_null_space(points: Any, n: int) -> tuple[np.ndarray, int]:
    """Rigid-body modes of a vector-valued problem, the constant of a scalar one.

    Parameters
    ----------
    points
        What locates the degrees of freedom: a ``skfem.Mesh``, whose vertices carry them, or vertices, edges, facets
        and cells, as in quadratic and serendipity elements; a ``skfem.CellBasis`` or a list of them; an array of
        coordinates, (dim, m) for m nodes, or ``doflocs``; None for a scalar problem.
    n
        Number of degrees of freedom. Node k carries those from dim·k on.

    Returns
    -------
    modes : (n, k) float64
        3 columns in two, 6 in three dimensions; coordinates are taken from their centre and in units of their extent.
    components : int
        Degrees of freedom a node.

    Raises
    ------
    ParameterError
        If the points fit neither ``n`` nodes nor ``n / dim``, or are not finite.

    Examples
    --------
    >>> import skfem
    >>> from femnn.solvers.linear import near_null_space
    >>> mesh = skfem.MeshHex().refined(1)
    >>> modes, components = near_null_space(mesh, 3 * mesh.nvertices)
    >>> modes.shape, components
    ((81, 6), 3)
    """
    n = integer("n", n, at_least=1)
    if points is None:
        return np.ones((n, 1)), 1
    x = _nodes(points, n)
    if len(x) == 1 or x.shape[1] == n:
        return np.ones((n, 1)), 1
    return _rigid_body_modes(x), len(x)


def linear_interpolation(points: Any, n: int) -> csr_array | None:
    """What the values at the vertices of a mesh give at the nodes of triquadratic elements, by trilinear functions.

    Returns
    -------
    (m, n_vertices) csr_array
        For the m nodes of ``n`` degrees of freedom, vertices first; None unless ``points`` is a mesh of hexahedra with
        triquadratic elements, one or three rows a node.
    """
    # nodes at vertices alone; finding the edges of a mesh would take longer than to assemble its matrix
    if not isinstance(points, skfem.MeshHex) or n in (points.nvertices, 3 * points.nvertices):
        return None
    groups = (np.arange(points.nvertices)[None], points.edges, points.facets, points.t)
    m = sum(group.shape[1] for group in groups)
    if n not in (m, 3 * m):
        return None
    starts = np.concatenate([[0], np.cumsum(np.concatenate([np.full(g.shape[1], len(g)) for g in groups]))])
    columns = np.concatenate([group.T.ravel() for group in groups])
    data = np.concatenate([np.full(group.size, 1.0 / len(group)) for group in groups])
    return csr_array((data, columns, starts), shape=(m, points.nvertices))


def _nodes(points, n):
    """Coordinates (dim, m) of the nodes, m being ``n`` or ``n / dim``."""
    if isinstance(points, list | tuple) and points and hasattr(points[0], "doflocs"):
        points = points[0]
    if isinstance(points, skfem.Mesh):
        candidates = _nodes_of_mesh(points)
    else:
        candidates = [floats("points", getattr(points, "doflocs", points), finite=False)]
    shapes = []
    for x in candidates:
        shapes.append(str(x.shape))
        if x.ndim == 2 and len(x) and x.shape[1] in (n, n / len(x)):
            if not np.isfinite(x).all():
                raise ParameterError("points have coordinates that are not finite; repair them")
            return _merged(x)
    raise ParameterError(
        f"points of shape {' or '.join(shapes)} do not fit a matrix of {n} rows: they must be (dim, nodes) with one "
        "row, or dim rows, a node; pass the mesh, or the basis, that the matrix was assembled with"
    )


def _nodes_of_mesh(mesh):
    """Nodes of linear, then of serendipity and of quadratic elements, as scikit-fem numbers them."""
    dim = mesh.p.shape[0]
    carriers = {2: ("facets", "t"), 3: ("edges", "facets", "t")}.get(dim, ())
    nodes = mesh.p
    yield nodes
    for carrier in carriers:
        nodes = np.concatenate([nodes, mesh.p[:, getattr(mesh, carrier)].mean(axis=1)], axis=1)
        yield nodes


def _merged(x):
    """``doflocs`` of a vector-valued basis name each node ``dim`` times: once is enough."""
    dim, m = x.shape
    if dim == 1 or m % dim:
        return x
    repeated = x.reshape(dim, m // dim, dim)
    return repeated[:, :, 0] if (repeated == repeated[:, :, :1]).all() else x


def _rigid_body_modes(x):
    dim, m = x.shape
    x = x - 0.5 * (x.min(axis=1, keepdims=True) + x.max(axis=1, keepdims=True))
    x /= np.abs(x).max() or 1.0
    planes = [(i, j) for i in range(dim) for j in range(i)]
    modes = np.zeros((m, dim, dim + len(planes)))
    modes[:, range(dim), range(dim)] = 1.0
    for column, (i, j) in enumerate(planes, start=dim):
        modes[:, i, column] = x[j]
        modes[:, j, column] = -x[i]
    return modes.reshape(dim * m, -1)
