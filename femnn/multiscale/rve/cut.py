"""Cells: meshes that repeat in one to three directions, cut along their cracks, and how their vertices are tied."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import skfem
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from femnn.exceptions import MeshError
from femnn.geometry.validity import VALID, classify
from femnn.interfaces.frames import frames_of, normals_of
from femnn.interfaces.split import Interface

# Vertices closer than this fraction of the width are one.
TOUCH = 1e-7

# Normals of cracks point up; upright cracks point to the left, and those across the second axis against it.
_UPWARDS = {2: np.array([-1e-6, 1.0]), 3: np.array([-1e-6, -1e-9, 1.0])}

_MESHES: dict[int, Any] = {2: skfem.MeshQuad, 3: skfem.MeshHex}


@dataclass(frozen=True, eq=False, repr=False)
class Cell:
    """A mesh cut along its cracks, and which of its vertices are tied. Made by :mod:`femnn.multiscale.rve.cells`.

    A cell of a *zone* repeats along an interface, in one direction (``MeshQuad``, plane strain) or in two
    (``MeshHex``), and has a bottom and a top. A cell of a *volume* repeats in all directions.

    Attributes
    ----------
    mesh : skfem.MeshQuad or skfem.MeshHex
        Cut open along cracks and along the seams, where the cell ends and begins again.
    interface : femnn.Interface
        The cracks; normals point up.
    part : (nvertices,) int
        Vertices of the mesh that are one in the periodic cell have the same number.
    uncut : (nvertices,) int
        The same if there were no cracks.
    periods : (k, dim)
        Vectors by which the cell repeats, m; those of a zone are horizontal.
    height : float or None
        Of a zone, across its interface, m; None for a volume.
    block : (nelements,) int
        Block of each element.
    name : str
        Which function made it from what: two cells of one name are alike.
    planes : tuple of (point, normal)
        Cracks that are embedded in the hexahedra of a mesh that is not cut: the interface then has no facets.

    Examples
    --------
    >>> from femnn.multiscale.rve import parallel_cracks
    >>> cell = parallel_cracks(2e-2, 1e-2, columns=6, rows=4)
    >>> cell.mesh.nelements, cell.width, len(cell.bottom)
    (24, 0.02, 7)
    """

    mesh: Any
    interface: Interface
    part: np.ndarray
    uncut: np.ndarray
    periods: np.ndarray
    height: float | None
    block: np.ndarray
    name: str
    planes: tuple = ()

    def __repr__(self):
        return self.name

    @property
    def dim(self) -> int:
        """2 for plane strain, 3 for hexahedra."""
        return self.periods.shape[1]

    @property
    def width(self) -> float:
        """Length of the first period, m."""
        return float(np.linalg.norm(self.periods[0]))

    @property
    def measure(self) -> float:
        """What homogenised tractions and stresses are forces and energies over.

        The width of a plane zone (m), the area of the interface of one in space (m²), the area or volume of others.
        """
        k = len(self.periods)
        return float(abs(np.linalg.det(self.periods[:, :k])))

    @property
    def volume(self) -> float:
        """Of the whole cell, m³, or m² in the plane."""
        return self.measure * (1.0 if self.height is None else self.height)

    @property
    def axes(self) -> np.ndarray:
        """Directions (dim, dim) in which quantities of the cell are told, one a row.

        Those of a zone are the normal and the shear directions of the frames of femnn's interfaces: in the plane
        (y, −x), in space (z, x, y); those of a volume are the coordinates.
        """
        return np.eye(self.dim) if self.height is None else frames_of(np.eye(self.dim)[-1])[: self.dim]

    @property
    def bottom(self) -> np.ndarray:
        """Vertices on the lower side; a volume has none."""
        return self._level(-np.inf, TOUCH * self.width)

    @property
    def top(self) -> np.ndarray:
        """Vertices on the upper side; a volume has none."""
        return self._level((self.height or 0.0) - TOUCH * self.width, np.inf)

    @property
    def sides(self) -> np.ndarray:
        """Vertices on the seams."""
        places = np.unique(np.stack([self.part, np.arange(len(self.part))]), axis=1)[0]
        return np.flatnonzero(np.isin(self.part, places[1:][places[1:] == places[:-1]]))

    def _level(self, low, high):
        if self.height is None:
            return np.empty(0, dtype=int)
        return np.flatnonzero((self.mesh.p[-1] > low) & (self.mesh.p[-1] < high))


def cut_cell(
    corners: np.ndarray,
    periods: np.ndarray,
    height: float | None,
    block: np.ndarray | None,
    cracked: Callable[[Any], np.ndarray],
    name: str,
    planes: tuple = (),
) -> Cell:
    """Weld elements where the cell repeats, and cut them along cracks.

    Parameters
    ----------
    corners : (n, 4, 2) or (n, 8, 3)
        Of the elements, in scikit-fem's order.
    periods : (k, dim)
    height
        Of a zone; its bottom is at height 0.
    block : (n,) int, or None
        Of each element; None for what the cracks leave connected.
    cracked
        Facets of the cracks in the welded mesh, whose elements are those of ``corners``.
    name
    planes
        Embedded cracks, in place of such facets.

    Raises
    ------
    MeshError
        If elements are folded, sides that meet do not conform, or there is no crack.
    """
    _check_elements(corners, name)
    dim = corners.shape[2]
    turn = np.linalg.pinv(periods)
    # elements begin in the cell; what hangs over its end is tied to its beginning
    corners = corners - (np.floor(corners.mean(axis=1) @ turn + TOUCH) @ periods)[:, None]
    nodes = corners.shape[1]
    places = corners.reshape(-1, dim)
    uncut = _welded(places, periods).reshape(-1, nodes)
    _, first = np.unique(uncut, return_index=True)
    around = _mesh(places[first], uncut)
    _check_around(around, places[first], height, np.linalg.norm(periods[0]), name)
    facets = cracked(around)
    if not len(facets) and not planes:
        raise MeshError(f"{name} has no cracks; an RVE needs at least one")
    if block is None:
        block = _pieces(around, facets)
    part = Interface.split(around, facets).mesh.t.T if len(facets) else uncut
    # vertices of the same part at another place are copies across a seam
    turns = np.round((corners - around.p.T[uncut]) @ turn).astype(int).reshape(len(places), -1)
    keys, first, vertices = np.unique(
        np.concatenate([part.reshape(1, -1), turns.T]), axis=1, return_index=True, return_inverse=True
    )
    mesh = _mesh(places[first], vertices.reshape(-1, nodes))
    interface = _cracks(mesh, around, facets)
    periods, whole = np.array(periods, dtype=float), uncut.ravel()[first]
    _check_planes(mesh, around, planes)
    return Cell(mesh, interface, keys[0], whole, periods, height, block, name, planes)


def between_blocks(block: np.ndarray, is_cracked: Callable = np.not_equal) -> Callable[[Any], np.ndarray]:
    """For :func:`cut_cell`: the facets between elements for whose blocks ``is_cracked(a, b)``."""

    def cracked(around):
        inner = np.flatnonzero(around.f2t[1] != -1)
        return inner[is_cracked(*block[around.f2t[:, inner]])]

    return cracked


def _mesh(places, elements):
    kind = _MESHES[places.shape[1]]
    return kind(np.ascontiguousarray(places.T), np.ascontiguousarray(elements.T))


def _check_elements(corners, name):
    remedy = "take less jitter, or an angle closer to 90 degrees; repair a mesh of your own"
    if corners.shape[2] == 3:
        bad = np.flatnonzero(classify(corners) != VALID)
    else:
        edges = np.roll(corners, -1, axis=1) - corners
        following = np.roll(edges, -1, axis=1)
        turns = edges[..., 0] * following[..., 1] - edges[..., 1] * following[..., 0]
        bad = np.flatnonzero((turns <= 0.0).any(axis=1))
    if len(bad):
        raise MeshError(f"{name}: {len(bad)} of {len(corners)} elements are folded or not convex; {remedy}")


def _check_around(around, places, height, width, name):
    """MeshError unless opposite sides conform, and elements that meet twice do not."""
    meeting = np.sort(around.f2t[:, around.f2t[1] != -1], axis=0)
    if len(np.unique(meeting, axis=1).T) < meeting.shape[1]:
        raise MeshError(
            f"{name} has elements that meet on two sides: where a cell repeats it needs at least three elements"
        )
    outer = around.facets[:, around.f2t[1] == -1]
    level = places[outer, -1]
    free = np.ones(outer.shape[1], dtype=bool)
    if height is not None:
        at_end = (np.abs(level) < TOUCH * width).all(axis=0) | (np.abs(level - height) < TOUCH * width).all(axis=0)
        free = ~at_end
    if free.any():
        where = places[outer[:, free][:, 0]].mean(axis=0)
        raise MeshError(
            f"{name}: {free.sum()} facets, the first of them at {where.round(9).tolist()}, have no partner on the "
            "opposite side; mesh opposite sides alike"
        )


def _welded(places, periods):
    """Numbers (n,) of places (n, dim), the same for those that coincide where the cell repeats."""
    width = np.linalg.norm(periods[0])
    lengths = np.linalg.norm(periods, axis=1)
    along = np.mod(places @ np.linalg.pinv(periods), 1.0)
    along[along >= 1.0] = 0.0
    along *= lengths / width
    up = places[:, len(periods) :] / width
    up = up - up.min(axis=0, initial=np.inf)
    tree = cKDTree(np.hstack([along, up]), boxsize=[*(lengths / width), *(10.0 * np.ptp(up, axis=0))])
    pairs = tree.query_pairs(TOUCH, output_type="ndarray")
    graph = coo_matrix((np.ones(len(pairs)), pairs.T), shape=(len(places),) * 2)
    return connected_components(graph, directed=False)[1]


def _check_planes(mesh, around, planes):
    """MeshError unless embedded cracks that leave an element enter another one."""
    leaves = np.zeros(around.nfacets, dtype=int)
    for point, normal in planes:
        beyond = (normal @ (mesh.p - np.asarray(point)[:, None]))[mesh.t] > 0.0
        for local, corners in enumerate(mesh.refdom.facets):
            crossed = beyond[corners].any(axis=0) & ~beyond[corners].all(axis=0)
            np.add.at(leaves, around.t2f[local, crossed], 1)
    ends = np.flatnonzero(leaves == 1)
    if len(ends):
        raise MeshError(
            f"embedded cracks end at {len(ends)} facets of the sides: each must go round the cell where that repeats, "
            "and not reach bottom or top; turn it, add the plane by which it goes on, or mesh along it"
        )


def _pieces(around, facets):
    """Numbers (nelements,) of what cracks leave connected."""
    joined = around.f2t[1] != -1
    joined[facets] = False
    a, b = around.f2t[:, joined]
    graph = coo_matrix((np.ones(len(a)), (a, b)), shape=(around.nelements,) * 2)
    return connected_components(graph, directed=False)[1]


def _cracks(mesh, around, facets):
    """The interface in ``mesh`` of facets of the welded mesh ``around``."""
    sides, vertices = [], []
    ends = around.facets[:, facets].T
    for elements in around.f2t[:, facets]:
        local = (around.t2f[:, elements] == facets).argmax(axis=0)
        sides.append(mesh.t2f[local, elements])
        place = (around.t[:, elements].T[:, None, :] == ends[:, :, None]).argmax(axis=2)
        vertices.append(mesh.t[place, elements[:, None]])
    corners = mesh.p.T[vertices[0]]
    # of segments, or by the diagonals of quadrilaterals
    half = mesh.dim() - 1
    normal = normals_of(corners[:, half : 2 * half] - corners[:, :half])
    centre = mesh.p[:, mesh.t[:, around.f2t[0, facets]]].mean(axis=1).T
    normal *= np.sign((normal * (corners.mean(axis=1) - centre)).sum(axis=1))[:, None]
    normal /= np.abs(normal).max(axis=1, keepdims=True)
    flipped = normal @ _UPWARDS[mesh.dim()] < 0.0
    minus, plus = (np.where(flipped, b, a) for a, b in (sides, sides[::-1]))
    first, second = (np.where(flipped[:, None], b, a) for a, b in (vertices, vertices[::-1]))
    return Interface(mesh, minus, plus, first, second)
