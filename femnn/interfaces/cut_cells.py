"""Integration over the two parts that a crack makes of each element it goes through."""

import numpy as np

from femnn.geometry.mesh import RelativeMapping
from femnn.integration.gauss import gauss_legendre
from femnn.interfaces.embedded_crack import EmbeddedCrack

# Along each piece of an axis: exact for products of linear functions where the element is a parallelogram or a box.
_POINTS = 3


def side_points(crack: EmbeddedCrack) -> tuple[np.ndarray, np.ndarray]:
    """Points in the reference element and weights for the parts on the minus and on the plus side of a crack.

    The distance from the crack is linear along each axis of the reference element, so that lines along the axis which
    the crack crosses most steeply are divided where they meet it; along the other axes, too, pieces end where the crack
    leaves an edge, and nothing that is integrated has a kink inside one.

    Parameters
    ----------
    crack
        Through n elements.

    Returns
    -------
    (dim, n, 2, nqp) points and (n, 2, nqp) weights, in the measure of the reference element; parts with fewer points
    are filled up with points of no weight.

    Examples
    --------
    >>> import skfem
    >>> from femnn.interfaces import EmbeddedCrack
    >>> from femnn.interfaces.cut_cells import side_points
    >>> crack = EmbeddedCrack.line(skfem.MeshQuad(), start=(-1.0, 0.3), end=(2.0, 0.3))
    >>> points, weights = side_points(crack)
    >>> below, above = weights.sum(axis=2)[0]
    >>> round(float(min(below, above)), 12), round(float(below + above), 12)
    (0.3, 1.0)
    """
    mesh, dim = crack.mesh, crack.mesh.dim()
    local = np.asarray(mesh.elem.doflocs)
    found = []
    for element, centre in zip(crack.elements, crack.centre, strict=True):
        distance = (mesh.p[:, mesh.t[:, element]].T - centre) @ crack.normal
        corners = np.zeros((2,) * dim)
        corners[tuple(local.astype(int).T)] = distance
        slopes = [np.abs(np.diff(corners, axis=axis)).sum() for axis in range(dim)]
        order = np.argsort(slopes)
        points, weights, away = _pieces(corners.transpose(order))
        own = np.empty_like(points)
        own[:, order] = points
        found.append([(own[away < 0.0], weights[away < 0.0]), (own[away >= 0.0], weights[away >= 0.0])])
    most = max(len(weights) for sides in found for _, weights in sides)
    places, sizes = np.full((dim, len(found), 2, most), 0.5), np.zeros((len(found), 2, most))
    for cell, sides in enumerate(found):
        for side, (points, weights) in enumerate(sides):
            places[:, cell, side, : len(points)] = points.T
            sizes[cell, side, : len(points)] = weights
    return places, sizes


class CutCells:
    """Matrices of linear functions over both parts of the elements that a crack goes through.

    Parameters
    ----------
    crack
        Through n elements with k vertices.

    Attributes
    ----------
    values : (n, 2, nqp, k)
        Of the shape functions.
    slopes : (n, 2, nqp, k, dim)
    dx : (n, 2, nqp)
        m³ (m² in two dimensions).

    Examples
    --------
    >>> import skfem
    >>> from femnn.interfaces import EmbeddedCrack
    >>> from femnn.interfaces.cut_cells import CutCells
    >>> crack = EmbeddedCrack.line(skfem.MeshQuad(), start=(-1.0, 0.3), end=(2.0, 0.3))
    >>> CutCells(crack).masses().sum(axis=(0, 2, 3)).round(12).tolist()
    [0.3, 0.7]
    """

    def __init__(self, crack: EmbeddedCrack) -> None:
        mesh, mapping = crack.mesh, RelativeMapping(crack.mesh)
        points, weights = side_points(crack)
        dim, n = points.shape[:2]
        flat = points.reshape(dim, n, -1)
        element = mesh.elem()
        shapes = [element.lbasis(flat, corner) for corner in range(len(mesh.t))]
        inverse = mapping.invDF(flat, tind=crack.elements)
        self.values = np.stack([value for value, _ in shapes], axis=-1).reshape(*weights.shape, -1)
        slopes = np.stack([np.einsum("ijnq,inq->nqj", inverse, slope) for _, slope in shapes], axis=2)
        self.slopes = slopes.reshape(*weights.shape, len(shapes), dim)
        self.dx = np.abs(mapping.detDF(flat, tind=crack.elements)).reshape(weights.shape) * weights

    def masses(self) -> np.ndarray:
        """∫ N_a N_b, (n, 2, k, k)."""
        return np.einsum("nsqa,nsqb,nsq->nsab", self.values, self.values, self.dx)

    def loads(self) -> np.ndarray:
        """∫ N_a, (n, 2, k)."""
        return np.einsum("nsqa,nsq->nsa", self.values, self.dx)

    def conduction(self, mobility: np.ndarray) -> np.ndarray:
        """∫ ∇N_a·m ∇N_b with m (dim, dim, n), (n, 2, k, k)."""
        return np.einsum("nsqai,ijn,nsqbj,nsq->nsab", self.slopes, mobility, self.slopes, self.dx, optimize=True)

    def swelling(self) -> np.ndarray:
        """∫ N_a ∂N_b/∂x_i, (n, 2, k, k · dim), the axes of one vertex together."""
        found = np.einsum("nsqa,nsqbi,nsq->nsabi", self.values, self.slopes, self.dx)
        return found.reshape(*found.shape[:3], -1)


def _pieces(corners):
    """Points (q, dim) of the reference element, weights (q,), and the distances there.

    ``corners``, of the shape (2,) · dim, are the distances at its vertices; the first axis is divided first.
    """
    first, last = corners
    opposite = np.asarray(first * last < 0.0)
    ends = np.concatenate([[0.0, 1.0], np.atleast_1d(first / np.where(opposite, first - last, 1.0))[
        np.atleast_1d(opposite)
    ].ravel()])  # fmt: skip
    ends = np.sort(ends)
    own, weights = gauss_legendre(_POINTS)
    places = (ends[:-1, None] + np.diff(ends)[:, None] * own).ravel()
    sizes = (np.diff(ends)[:, None] * weights).ravel()
    if corners.ndim == 1:
        return places[:, None], sizes, (1.0 - places) * first + places * last
    parts = [_pieces((1.0 - place) * first + place * last) for place in places]
    return (
        np.concatenate([
            np.column_stack([np.full(len(points), place), points])
            for place, (points, *_) in zip(places, parts, strict=True)
        ]),
        np.concatenate([size * weights for size, (_, weights, _) in zip(sizes, parts, strict=True)]),
        np.concatenate([away for *_, away in parts]),
    )  # fmt: skip
