"""A coarse mesh that every rank knows, subdivided by each for itself: fine meshes that no rank has as a whole.

Fine vertices are named by the coarse vertex, edge, facet or cell they lie on and their place there, counted from the
coarse vertices with the least numbers: ranks agree on the names without a word.
"""

from itertools import product

import numpy as np
from skfem import MeshHex
from skfem.refdom import RefHex

from femnn.checks import brief, indices, integer, numbers
from femnn.exceptions import ParameterError
from femnn.geometry.hexahedron import shape_functions
from femnn.geometry.mesh import hexahedra
from femnn.parallel.local_mesh import LocalMesh, fingerprint
from femnn.quadrature.rule import Rule

# The corners of the reference cube in scikit-fem's order.
_CORNERS = np.array([(1, 1, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0)])

# Coarse cells whose fine ones are made at once.
_CHUNK = 500


def subdivided(coarse: MeshHex, part: np.ndarray, rank: int, n: int) -> LocalMesh:
    """The local mesh of a rank with n × n × n cells in place of each coarse one, by the trilinear map of that cell.

    Parameters
    ----------
    coarse
        ``skfem.MeshHex`` that all ranks have; its named boundaries are kept.
    part : (n_cells,)
        Rank of each coarse cell, the same on all ranks.
    rank
        Whose mesh to make.
    n
        Cells along each edge of a coarse one.

    Returns
    -------
    LocalMesh
        Fine cells are numbered coarse cell by coarse cell.

    Examples
    --------
    >>> import numpy as np, skfem
    >>> from femnn.parallel import subdivided
    >>> coarse = skfem.MeshHex().refined(1)
    >>> subdivided(coarse, np.zeros(8, dtype=int), rank=0, n=3).n_cells
    216
    """
    n, rank = integer("n", n, 1, 1000), integer("rank", rank, at_least=0)
    corners, part = hexahedra(coarse), numbers("part", part)
    if part.shape != (len(corners),):
        raise ParameterError(f"part has shape {part.shape}; pass the rank of each of the {len(corners)} coarse cells")
    cells = np.flatnonzero(part == rank)
    names = _names(coarse, cells, n)
    vertices, first, inverse = np.unique(names, return_index=True, return_inverse=True)
    cell, place = np.divmod(first, (n + 1) ** 3)
    points = np.empty((3, len(vertices)))
    corners = corners[cells]
    values = shape_functions(_lattice(n).T / n)
    for start in range(0, len(vertices), 100_000):
        chunk = slice(start, start + 100_000)
        points[:, chunk] = np.einsum("av,vai->iv", values[:, place[chunk]], corners[cell[chunk]])
    local = inverse.reshape(names.shape)[:, _fine_cells(n)].reshape(-1, 8).T
    return LocalMesh(
        (cells[:, None] * n**3 + np.arange(n**3)).ravel(),
        vertices,
        points,
        np.ascontiguousarray(local, dtype=np.int32),
        coarse.nelements * n**3,
        _count(coarse, n),
        f"{fingerprint(coarse)}/{n}",
        _boundaries(coarse, cells, names, n),
    )


def subdivided_points(coarse: MeshHex, rule: Rule, n: int, cells: np.ndarray) -> np.ndarray:
    """Integration points that a rule gives to the fine cells of each of the coarse ``cells`` (m,).

    Examples
    --------
    >>> import femnn, numpy as np, skfem
    >>> from femnn.parallel import subdivided_points
    >>> subdivided_points(skfem.MeshHex().refined(1), femnn.GaussLegendre(2), n=2, cells=np.arange(3))
    array([64, 64, 64])
    """
    n, corners = integer("n", n, 1, 1000), hexahedra(coarse)
    cells = indices("cells", cells, len(corners)).ravel()
    if not callable(getattr(rule, "groups", None)):
        raise ParameterError(f"{brief(rule)} is not a rule; pass femnn.GaussLegendre(2) for instance")
    corners, values = corners[cells], shape_functions(_lattice(n).T / n)
    counts = np.empty(len(cells), dtype=np.int64)
    for start in range(0, len(cells), _CHUNK):
        lattice = np.einsum("av,cai->cvi", values, corners[start : start + _CHUNK])
        fine = lattice[:, _fine_cells(n)].reshape(-1, 8, 3)
        points = np.zeros(len(fine), dtype=np.int64)
        for group in rule.groups(fine):
            points[group.cells] = group.W.shape[-1]
        counts[start : start + _CHUNK] = points.reshape(-1, n**3).sum(axis=1)
    return counts


def _lattice(n):
    """Places ((n + 1)³, 3) of the fine vertices of a cell, 0 to n along each axis."""
    return np.array(list(product(range(n + 1), repeat=3)))


def _flat(places, n):
    """Number of a place (..., 3) in the lattice."""
    return (places[..., 0] * (n + 1) + places[..., 1]) * (n + 1) + places[..., 2]


def _fine_cells(n):
    """Places (n³, 8) of the vertices of the fine cells in the lattice."""
    origins = np.array(list(product(range(n), repeat=3)))
    return _flat(origins[:, None] + _CORNERS, n)


def _count(coarse, n):
    """Vertices of the fine mesh."""
    return (
        coarse.nvertices
        + coarse.nedges * (n - 1)
        + coarse.nfacets * (n - 1) ** 2
        + coarse.nelements * (n - 1) ** 3
    )  # fmt: skip


def _names(coarse, cells, n):
    """Names (m, (n + 1)³) of the fine vertices of the coarse ``cells``."""
    names = np.empty((len(cells), (n + 1) ** 3), dtype=np.int64)
    vertices = coarse.t[:, cells]
    rows = np.arange(len(cells))[:, None]
    names[:, _flat(n * _CORNERS, n)] = vertices.T
    inside = np.arange(1, n)
    base = coarse.nvertices
    for local, (a, b) in enumerate(RefHex.edges):
        places = _flat(n * _CORNERS[a] + inside[:, None] * (_CORNERS[b] - _CORNERS[a]), n)
        forwards = (vertices[a] < vertices[b])[:, None]
        edges = coarse.t2e[local, cells]
        names[:, places] = base + edges[:, None] * (n - 1) + np.where(forwards, inside, n - inside) - 1
    base += coarse.nedges * (n - 1)
    s, t = np.array(list(product(inside, repeat=2)), dtype=np.int64).reshape(-1, 2).T
    for local, around in enumerate(np.array(RefHex.facets)):
        origin, first, second = _axes(vertices, around)
        places = n * origin[:, None] + s[:, None] * first[:, None] + t[:, None] * second[:, None]
        facets = coarse.t2f[local, cells]
        names[rows, _flat(places, n)] = base + facets[:, None] * (n - 1) ** 2 + np.arange(len(s))
    base += coarse.nfacets * (n - 1) ** 2
    places = _flat(np.array(list(product(inside, repeat=3)), dtype=np.int64).reshape(-1, 3), n)
    names[:, places] = base + cells[:, None] * (n - 1) ** 3 + np.arange(len(places))
    return names


def _axes(vertices, around):
    """Corner (m, 3) of a facet with the least number, and the two directions from there, the lesser number first."""
    numbers = vertices[around]
    least = numbers.argmin(axis=0)
    columns = np.arange(numbers.shape[1])
    sides = np.stack([(least + 1) % 4, (least - 1) % 4])
    swapped = numbers[sides[0], columns] > numbers[sides[1], columns]
    sides = np.where(swapped, sides[::-1], sides)
    origin, first, second = (_CORNERS[around[place]] for place in (least, *sides))
    return origin, first - origin, second - origin


def _boundaries(coarse, cells, names, n):
    """Corners (c, 4) of the fine facets on each named boundary that belong to the coarse ``cells``."""
    boundaries = {}
    places = np.array(list(product(range(n), repeat=2)))
    for name, facets in (coarse.boundaries or {}).items():
        on_boundary = np.zeros(coarse.nfacets, dtype=bool)
        on_boundary[np.asarray(facets)] = True
        corners = [np.empty((0, 4), dtype=np.int64)]
        for local, around in enumerate(np.array(RefHex.facets)):
            on_facet = np.flatnonzero(on_boundary[coarse.t2f[local, cells]])
            origin = _CORNERS[around[0]]
            first, second = _CORNERS[around[1]] - origin, _CORNERS[around[3]] - origin
            square = [places + shift for shift in ((0, 0), (1, 0), (1, 1), (0, 1))]
            lattice = [_flat(n * origin + p[:, :1] * first + p[:, 1:] * second, n) for p in square]
            corners.append(names[on_facet][:, np.stack(lattice, axis=1)].reshape(-1, 4))
        boundaries[name] = np.concatenate(corners)
    return boundaries
