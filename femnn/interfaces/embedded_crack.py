"""Cracks that go through the elements of a mesh: which ones, where, and which vertices are on which side."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from skfem import MeshHex1, MeshQuad1

from femnn.checks import called, checked, numbers
from femnn.exceptions import MeshError, ParameterError
from femnn.integration.gauss import gauss_legendre

# Vertices nearer than this fraction of the elements' size have no side.
_ON_CRACK = 1e-6

# Edges of a quadrilateral.
_SQUARE = np.array([[0, 1], [1, 2], [2, 3], [3, 0]])

# Points of a triangle with equal weights, exact for parabolas.
_TRIANGLE = (np.ones((3, 3)) + 3.0 * np.eye(3)) / 6.0


@dataclass(frozen=True, eq=False, repr=False)
class EmbeddedCrack:
    """Elements that a plane crack cuts in two. Make one with :meth:`line` or :meth:`plane`.

    Attributes
    ----------
    mesh
        ``skfem.MeshQuad`` or ``MeshHex``, not split.
    elements : (n,) int
    plus : (n, k) bool
        Which vertices of each element are on the plus side, into which the normal points.
    normal : (dim,)
    centre : (n, dim)
        Middle of the crack in each element.
    x : (n, nqp, dim)
        Integration points.
    dx : (n, nqp)
        Area that belongs to each.

    Examples
    --------
    >>> import skfem
    >>> from femnn.interfaces import EmbeddedCrack
    >>> crack = EmbeddedCrack.line(skfem.MeshQuad().refined(3), start=(-0.1, 0.31), end=(1.1, 0.73))
    >>> len(crack.elements), bool(0.9 < crack.dx.sum() < 1.2)
    (11, True)
    """

    mesh: Any
    elements: np.ndarray
    plus: np.ndarray
    normal: np.ndarray
    centre: np.ndarray
    x: np.ndarray
    dx: np.ndarray

    def __len__(self) -> int:
        return len(self.elements)

    def __repr__(self):
        return f"crack through {len(self)} elements of a {type(self.mesh).__name__}"

    def outlines(self) -> list[np.ndarray]:
        """Corners (k, dim) of the crack in each element: both ends of a line, or those of a polygon in a row.

        Examples
        --------
        >>> import skfem
        >>> from femnn.interfaces import EmbeddedCrack
        >>> crack = EmbeddedCrack.line(skfem.MeshQuad().refined(1), start=(-1.0, 0.3), end=(2.0, 0.3))
        >>> [sorted(ends[:, 0].tolist()) for ends in crack.outlines()]
        [[0.0, 0.5], [0.5, 1.0]]
        """
        local, found = self.mesh.elem.doflocs, []
        edges = np.array([
            pair for pair in combinations(range(len(local)), 2) if np.abs(local[pair[0]] - local[pair[1]]).sum() == 1.0
        ])  # fmt: skip
        for element, centre in zip(self.elements, self.centre, strict=True):
            vertices = self.mesh.t[edges, element]
            away = self.normal @ (self.mesh.p[:, vertices] - centre[:, None, None]).transpose(1, 0, 2)
            corners = _crossings(self.mesh, vertices, away)
            found.append(corners if len(centre) == 2 else _in_a_row(corners, self.normal))
        return found

    @classmethod
    @checked()
    def line(cls, mesh: Any, start: ArrayLike, end: ArrayLike) -> "EmbeddedCrack":
        """A straight crack from ``start`` to ``end`` (2,) in a MeshQuad; the plus side is on the left of that way.

        It ends at the last edge that it crosses: elements in which it would have a tip stay whole.

        Raises
        ------
        MeshError
            If the mesh is another one, a vertex is on the line, or the line cuts no element.
        ParameterError
            If the two points are not two finite ones.
        """
        _check(mesh, MeshQuad1)
        first, last = np.asarray(start, dtype=float), np.asarray(end, dtype=float)
        if first.shape != (2,) or last.shape != (2,) or not 0.0 < np.linalg.norm(last - first) < np.inf:
            raise ParameterError(f"the crack goes from {first.tolist()} to {last.tolist()}; give two places (2,)")
        length = np.linalg.norm(last - first)
        along = (last - first) / length
        normal = np.array([-along[1], along[0]])
        corners = along @ (mesh.p - first[:, None])[:, mesh.t].reshape(2, -1)
        corners = corners.reshape(mesh.t.shape)
        beside = np.flatnonzero((corners.max(axis=0) > 0.0) & (corners.min(axis=0) < length))
        elements, plus, crossings = _crossed(mesh, beside, first, normal, _SQUARE)
        ends = np.reshape(crossings, (-1, 2, 2))
        place = (ends - first) @ along
        inside = ((place > 0.0) & (place < length)).all(axis=1)
        elements, plus, ends = elements[inside], plus[inside], ends[inside]
        _check_any(elements, f"from {first.tolist()} to {last.tolist()}")
        points, weights = gauss_legendre(2)
        x = ends[:, :1] * (1.0 - points[:, None]) + ends[:, 1:] * points[:, None]
        dx = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)[:, None] * weights
        return cls(mesh, elements, plus, normal, ends.mean(axis=1), x, dx)

    @classmethod
    @checked()
    def plane(
        cls, mesh: Any, point: ArrayLike, normal: ArrayLike, within: Callable[[np.ndarray], ArrayLike] | None = None
    ) -> "EmbeddedCrack":
        """A plane crack through a MeshHex: on the plane through ``point`` (3,) with the given ``normal`` (3,).

        ``within`` takes the middles (3, n) of the plane in the elements and says which of these the crack cuts, so that
        it may end inside the mesh. Default: all of them.

        Raises
        ------
        MeshError, ParameterError
            As :meth:`line`.
        """
        _check(mesh, MeshHex1)
        origin, unit = np.asarray(point, dtype=float), np.asarray(normal, dtype=float)
        if origin.shape != (3,) or unit.shape != (3,) or not 0.0 < np.linalg.norm(unit) < np.inf:
            raise ParameterError(
                f"the crack has the normal {unit.tolist()} at {origin.tolist()}; give two vectors (3,)"
            )
        unit = unit / np.linalg.norm(unit)
        local = mesh.elem.doflocs
        edges = [pair for pair in combinations(range(8), 2) if np.abs(local[pair[0]] - local[pair[1]]).sum() == 1.0]
        elements, plus, crossings = _crossed(mesh, np.arange(mesh.nelements), origin, unit, np.array(edges))
        _check_any(elements, f"through {origin.tolist()} with the normal {unit.tolist()}")
        polygons = [_polygon(corners, unit) for corners in crossings]
        most = max(len(areas) for _, areas, _ in polygons)
        # elements are cut to polygons of different shape: points of no area fill up
        x = [np.concatenate([points, np.tile(centre, (most - len(points), 1))]) for points, _, centre in polygons]
        dx = [np.concatenate([areas, np.zeros(most - len(areas))]) for _, areas, _ in polygons]
        centres = np.array([centre for _, _, centre in polygons])
        crack = cls(mesh, elements, plus, unit, centres, np.array(x), np.array(dx))
        return crack if within is None else crack._where(within)

    def _where(self, within):
        chosen = numbers("what within gives", called("within", within, self.centre.T)).astype(bool)
        if chosen.shape != (len(self),):
            raise ParameterError(
                f"within gives {chosen.shape} for the middles of {len(self)} cut elements; it must give true or false "
                "for each"
            )
        if not chosen.any():
            raise MeshError(f"within holds for none of the {len(self)} elements that the plane cuts; check the places")
        parts = (self.elements, self.plus, self.centre, self.x, self.dx)
        elements, plus, centre, x, dx = (part[chosen] for part in parts)
        return type(self)(self.mesh, elements, plus, self.normal, centre, x, dx)


def _check(mesh, kind):
    if type(mesh) is not kind:
        raise MeshError(f"the mesh is a {type(mesh).__name__}; this crack goes through a {kind.__name__}")


def _check_any(elements, what):
    if len(elements) == 0:
        raise MeshError(f"the crack {what} cuts no element through; check that it crosses the mesh")


def _crossed(mesh, candidates, point, normal, edges):
    """Elements with vertices on both sides, which are on the plus side, and where the edges of each are crossed."""
    distance = normal @ (mesh.p - point[:, None])
    corners = distance[mesh.t[:, candidates]].T
    least = _ON_CRACK * np.ptp(mesh.p[:, mesh.t[:, candidates]], axis=1).max(axis=0)
    near = np.abs(corners) < least[:, None]
    if near.any():
        k, corner = np.argwhere(near)[0]
        raise MeshError(
            f"vertex {mesh.t[corner, candidates[k]]} is on the crack: {corners[k, corner]:.3g} away, {least[k]:.3g} is "
            "the least; move the crack a little, or use femnn.Interface along facets"
        )
    cut = (corners > 0.0).any(axis=1) & (corners < 0.0).any(axis=1)
    elements, plus = candidates[cut], corners[cut] > 0.0
    crossings = []
    for element in elements:
        vertices = mesh.t[edges, element]
        crossings.append(_crossings(mesh, vertices, distance[vertices]))
        if len(crossings[-1]) < mesh.dim() or (mesh.dim() == 2 and len(crossings[-1]) > 2):
            raise MeshError(
                f"the crack crosses element {element} more than once; refine the mesh, or repair the element"
            )
    return elements, plus, crossings


def _crossings(mesh, vertices, distance):
    """Where the edges between ``vertices`` (e, 2) are crossed, whose ends are at distances (e, 2) from the crack."""
    crossed = (distance > 0.0).sum(axis=1) == 1
    a, b = distance[crossed].T
    fraction = (a / (a - b))[:, None]
    first, second = mesh.p[:, vertices[crossed]].transpose(2, 1, 0)
    return (1.0 - fraction) * first + fraction * second


def _in_a_row(corners, normal):
    """The corners (k, 3) of a convex plane polygon, one after the other."""
    middle = corners.mean(axis=0)
    first = corners[0] - middle
    second = np.cross(normal, first)
    return corners[np.argsort(np.arctan2((corners - middle) @ second, (corners - middle) @ first))]


def _polygon(corners, normal):
    """Integration points, areas and the centre of a convex plane polygon, by triangles around its middle."""
    middle, corners = corners.mean(axis=0), _in_a_row(corners, normal)
    triangles = np.stack([np.broadcast_to(middle, corners.shape), corners, np.roll(corners, -1, axis=0)], axis=1)
    area = 0.5 * np.linalg.norm(
        np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]), axis=1
    )  # fmt: skip
    x = np.einsum("qa,nad->nqd", _TRIANGLE, triangles).reshape(-1, 3)
    dx = np.repeat(area / 3.0, 3)
    return x, dx, dx @ x / dx.sum()
