"""Interfaces of zero thickness: a mesh split along facets into pairs of coinciding faces."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from skfem import Mesh, MeshHex1, MeshQuad1

from femnn.checks import brief, called, checked, floats, instance, numbers
from femnn.exceptions import MeshError, ParameterError
from femnn.interfaces.frames import normals_of

# Facets of one plane get the same side as minus: no coordinate plane or diagonal is perpendicular to this.
_UPWARDS = np.array([0.2761, 0.5134, 0.8125])

# Distance of a vertex from a plane that it is in, over the size of the mesh.
_IN_PLANE = 1e-9


@dataclass(frozen=True, eq=False, repr=False)
class Interface:
    """Pairs of coinciding faces of a mesh.

    Attributes
    ----------
    mesh
        ``skfem.MeshHex1`` or ``MeshQuad1`` in which the two faces of a pair share no vertex, unless at a crack tip.
    minus, plus : (n,) int
        Facets of the two sides; normals point from minus to plus.
    minus_vertices, plus_vertices : (n, 4) or (n, 2) int
        Vertices of each facet, around it; those of the two sides in the same order.

    Examples
    --------
    >>> import numpy as np, femnn, skfem
    >>> mesh = skfem.MeshHex().refined(1)
    >>> mesh = mesh.with_boundaries({"glue": lambda x: np.isclose(x[0], 0.5)}, boundaries_only=False)
    >>> int(femnn.Interface.split(mesh, "glue").mesh.nvertices - mesh.nvertices)
    9
    """

    mesh: Mesh
    minus: np.ndarray
    plus: np.ndarray
    minus_vertices: np.ndarray
    plus_vertices: np.ndarray

    def __len__(self) -> int:
        return len(self.minus)

    def __repr__(self):
        return f"Interface of {len(self)} pairs of facets in a {type(self.mesh).__name__}"

    @checked()
    def require_mesh(self, mesh: Any, what: str = "the interface") -> None:
        """Raise ParameterError unless ``mesh`` is :attr:`mesh`, or has the same vertices and cells."""
        own = self.mesh
        instance("mesh", mesh, Mesh)
        same = own is mesh or (np.array_equal(own.p, mesh.p) and np.array_equal(own.t, mesh.t))
        if not same:
            raise ParameterError(
                f"{what} belongs to another mesh, of {own.nvertices} vertices and {own.nelements} cells; pass "
                "interface.mesh, the mesh that was split"
            )

    @classmethod
    def split(cls, mesh: Any, facets: Any) -> "Interface":
        """Split a conforming mesh along interior facets.

        Each vertex on the facets is copied as often as the facets cut the cells around it into parts that no facet
        connects: twice on a face, more often at a junction, not at all at the tip of a crack. Named boundaries and
        subdomains stay what they were; a boundary on the interface then has the facets of both sides.

        Parameters
        ----------
        mesh
            A ``skfem.MeshHex`` or ``MeshQuad`` with straight edges.
        facets
            Name of a boundary in ``mesh.boundaries``, a list of names, or indices of facets.

        Raises
        ------
        MeshError
            If the mesh is another one, a name does not exist, or a facet is not between two cells.
        """
        _check(mesh)
        facets = facet_indices(mesh, facets)
        cells = mesh.f2t[:, facets]
        outer = facets[cells[1] == -1]
        if len(outer):
            raise MeshError(
                f"facet {outer[0]} and {len(outer) - 1} others of {len(facets)} have a cell on one side only, there is "
                "nothing to split; pass facets between two cells, or Interface.between for a mesh of separate parts"
            )
        vertices, points = _split_vertices(mesh, facets)
        split = replace(mesh, doflocs=points, t=vertices, _boundaries=None)
        split = split.with_boundaries(_boundaries(mesh, split))
        local = np.stack([(mesh.t2f[:, side] == facets).argmax(axis=0) for side in cells])
        corners = mesh.facets[:, facets].T
        sides = [_renamed(mesh.t, vertices, side, corners) for side in cells]
        return cls._directed(split, split.t2f[local, cells], sides)

    @classmethod
    @checked(tolerance="[0, inf)")
    def between(cls, mesh: Any, minus: Any, plus: Any, tolerance: float = 1e-8) -> "Interface":
        """Pair the faces of parts that touch but share no vertex, as mesh generators write glued blocks.

        Parameters
        ----------
        mesh
            A ``skfem.MeshHex`` or ``MeshQuad``.
        minus, plus
            Names or indices of the boundary facets of the two sides.
        tolerance
            Largest distance of vertices that coincide, over the length of the interface.

        Raises
        ------
        MeshError
            If the two sides do not conform: their numbers of facets differ, or a vertex has no partner.
        """
        _check(mesh)
        sides = [facet_indices(mesh, minus), facet_indices(mesh, plus)]
        if len(sides[0]) != len(sides[1]):
            raise MeshError(
                f"the two sides do not conform: {len(sides[0])} facets on one, {len(sides[1])} on the other; mesh both "
                "alike"
            )
        corners = [mesh.facets[:, side].T for side in sides]
        places = [mesh.p.T[corner] for corner in corners]
        length = np.ptp(places[0].reshape(-1, mesh.dim()), axis=0).max()
        _, partner = scipy.spatial.cKDTree(places[1].mean(axis=1)).query(places[0].mean(axis=1))
        gaps = np.linalg.norm(places[0][:, :, None] - places[1][partner][:, None], axis=3)
        match, gap = gaps.argmin(axis=2), gaps.min(axis=2).max(axis=1)
        if (gap > tolerance * length).any() or len(np.unique(partner)) < len(partner):
            worst = int(gap.argmax())
            raise MeshError(
                f"the two sides do not conform: facet {sides[0][worst]} is {gap[worst]:.3g} away from its nearest "
                f"partner {sides[1][partner[worst]]}, allowed are {tolerance * length:.3g}; mesh both sides alike"
            )
        plus_corners = np.take_along_axis(corners[1][partner], match, axis=1)
        return cls._directed(mesh, np.stack([sides[0], sides[1][partner]]), [corners[0], plus_corners])

    @checked()
    def where(self, test: Callable[[np.ndarray], np.ndarray]) -> "Interface":
        """The part of the interface whose facets' midpoints x (dim, n) pass ``test(x)``, a bool (n,)."""
        kept = numbers(
            "what test gives", called("test", test, self.mesh.p[:, self.minus_vertices].mean(axis=2))
        ).astype(bool)
        if kept.shape != self.minus.shape:
            raise ParameterError(
                f"test gives {kept.shape} for {len(self.minus)} facets; it must give one bool for each"
            )
        return self._chosen(kept)

    @checked()
    def named(self, name: str) -> "Interface":
        """The part of the interface on a named boundary of the mesh: one of several that were split together.

        Raises
        ------
        MeshError
            If the mesh has no such boundary, or none of its facets is on the interface.

        Examples
        --------
        >>> import femnn, skfem
        >>> mesh = skfem.MeshHex().refined(1).with_boundaries(
        ...     {"upright": lambda x: x[0] == 0.5, "level": lambda x: x[2] == 0.5}, boundaries_only=False
        ... )
        >>> interface = femnn.Interface.split(mesh, ["upright", "level"])
        >>> len(interface), len(interface.named("level"))
        (8, 4)
        """
        on_boundary = np.isin(self.minus, facet_indices(self.mesh, name))
        if not on_boundary.any():
            raise MeshError(
                f"boundary {name!r} has no facet on the interface; name it in Interface.split(mesh, [{name!r}, ...])"
            )
        return self._chosen(on_boundary)

    def _chosen(self, kept):
        names = ("minus", "plus", "minus_vertices", "plus_vertices")
        return replace(self, **{name: getattr(self, name)[kept] for name in names})

    @classmethod
    def _directed(cls, mesh, facets, sides):
        """With the sides named so that normals of one plane all point the same way."""
        corners = mesh.p.T[sides[0]]
        # of segments, or by the diagonals of quadrilaterals
        half = mesh.dim() - 1
        normals = normals_of(corners[:, half : 2 * half] - corners[:, :half])
        centre = mesh.p[:, mesh.t[:, mesh.f2t[0, facets[0]]]].mean(axis=1).T
        outwards = corners.mean(axis=1) - centre
        normals *= np.sign((normals * outwards).sum(axis=1))[:, None]
        is_reversed = normals @ _UPWARDS[: mesh.dim()] < 0.0
        facets = np.where(is_reversed, facets[::-1], facets)
        minus, plus = (np.where(is_reversed[:, None], b, a) for a, b in (sides, sides[::-1]))
        # in scikit-fem's order around the minus facet, so that integration points are the same as those of its bases
        ordered = mesh.facets[:, facets[0]].T
        place = (minus[:, None, :] == ordered[:, :, None]).argmax(axis=2)
        return cls(mesh, facets[0], facets[1], ordered, np.take_along_axis(plus, place, axis=1))


@checked(mesh="unchecked")
def plane_facets(
    mesh: Any,
    point: ArrayLike,
    normal: ArrayLike,
    within: Callable[[np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
    """Facets inside a mesh that make a plane (a line in a MeshQuad), for :meth:`Interface.split`.

    Parameters
    ----------
    mesh
        A ``skfem.MeshHex`` or ``MeshQuad`` with straight edges.
    point, normal : (dim,)
        Of the plane.
    within
        The part of the plane: ``within(x)`` for places x (dim, n), bool (n,). Default: all of it.

    Raises
    ------
    MeshError
        If the plane cuts cells through there, so that facets do not follow it, or has no facet inside the mesh.
    ParameterError
        If the point or the normal is no finite vector.

    Examples
    --------
    >>> import skfem
    >>> from femnn.exceptions import MeshError
    >>> from femnn.interfaces import Interface, plane_facets
    >>> mesh = skfem.MeshHex().refined(1)
    >>> len(Interface.split(mesh, plane_facets(mesh, (0.5, 0.0, 0.0), (1.0, 0.0, 0.0))))
    4
    >>> try:
    ...     plane_facets(mesh, (0.4, 0.0, 0.0), (1.0, 0.0, 0.0))
    ... except MeshError as error:
    ...     print(str(error)[:39])
    facets do not follow the plane: it cuts
    """
    _check(mesh)
    origin, direction = floats("point", point), floats("normal", normal)
    dim = mesh.dim()
    if origin.shape != (dim,) or direction.shape != (dim,) or not np.linalg.norm(direction) > 0.0:
        raise ParameterError(
            f"the plane has the normal {direction.tolist()} at {origin.tolist()}; give two vectors ({dim},)"
        )
    direction = direction / np.linalg.norm(direction)
    distance = direction @ (mesh.p - origin[:, None])
    least = _IN_PLANE * np.ptp(mesh.p, axis=1).max()
    side = np.where(np.abs(distance) <= least, 0, np.sign(distance))[mesh.t]

    def chosen(x):
        if within is None:
            return np.ones(x.shape[1], dtype=bool)
        return numbers("what within gives", called("within", within, x)).astype(bool)

    cut = np.flatnonzero((side.min(axis=0) < 0) & (side.max(axis=0) > 0))
    middle = mesh.p[:, mesh.t[:, cut]].mean(axis=1)
    cut = cut[chosen(middle - np.outer(direction, direction @ (middle - origin[:, None])))]
    if len(cut):
        other = "EmbeddedCrack.plane(mesh, point, normal)" if dim == 3 else "EmbeddedCrack.line(mesh, start, end)"
        raise MeshError(
            f"facets do not follow the plane: it cuts {len(cut)} cells through, the first of them {cut[0]}. Embed it "
            "when the mesh is made (gmsh.model.mesh.embed, or a surface between two volumes), or, in a body without "
            f"fluid, let it go through the cells: femnn.interfaces.{other} with EmbeddedElements"
        )
    inner = np.flatnonzero(mesh.f2t[1] != -1)
    inner = inner[(np.abs(distance[mesh.facets[:, inner]]) <= least).all(axis=0)]
    inner = inner[chosen(mesh.p[:, mesh.facets[:, inner]].mean(axis=1))]
    if not len(inner):
        raise MeshError("the plane has no facet inside the mesh; check its point, its normal and `within`")
    return inner


def _check(mesh):
    if type(mesh) not in (MeshHex1, MeshQuad1):
        raise MeshError(
            f"expected a skfem.MeshHex or MeshQuad with straight edges, got {type(mesh).__name__}; interfaces are made "
            "for these"
        )


def facet_indices(mesh: Mesh, facets: Any) -> np.ndarray:
    """Indices of facets by names or indices, sorted; MeshError if one does not exist."""
    names = [facets] if isinstance(facets, str) else facets
    if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names):
        known = mesh.boundaries or {}
        unknown = [name for name in names if name not in known]
        if unknown:
            raise MeshError(
                f"the mesh has no boundary {unknown[0]!r}; it has {', '.join(sorted(known)) or 'none with a name'}"
            )
        names = np.concatenate([np.asarray(known[name]) for name in names]) if len(names) else []
    indices = np.unique(numbers("facets", names, error=MeshError))
    if len(indices) == 0 or indices.dtype.kind not in "iu":
        raise MeshError(f"{brief(facets)} names no facets; pass the name of a boundary or indices of facets")
    if indices[0] < 0 or indices[-1] >= mesh.nfacets:
        raise MeshError(f"facet {indices[-1]} does not exist; the mesh has {mesh.nfacets}, counted from 0")
    return indices


def _split_vertices(mesh, facets):
    """Cells (8, n) with copied vertices, and the points of all vertices."""
    on_interface = np.zeros(mesh.nvertices, dtype=bool)
    on_interface[mesh.facets[:, facets]] = True
    joins = mesh.f2t[1] != -1
    joins[facets] = False
    joins &= on_interface[mesh.facets].any(axis=0)
    # corners are (cell, vertex); cells that share a facet hold its vertices together
    shared, (first, second) = mesh.facets[:, joins], mesh.f2t[:, joins]
    a, b = (_corners(mesh.t, side, shared.T).ravel() for side in (first, second))
    size = mesh.t.size
    _, part = connected_components(coo_matrix((np.ones(len(a)), (a, b)), (size, size)), directed=False)
    vertex = mesh.t.T.ravel()
    moving = np.flatnonzero(on_interface[vertex])
    pairs, place = np.unique(np.stack([vertex[moving], part[moving]]), axis=1, return_inverse=True)
    copy = np.concatenate([[False], pairs[0, 1:] == pairs[0, :-1]])
    names = pairs[0].copy()
    names[copy] = mesh.nvertices + np.arange(copy.sum())
    renamed = vertex.copy()
    renamed[moving] = names[place.ravel()]
    points = np.concatenate([mesh.p, mesh.p[:, pairs[0, copy]]], axis=1)
    return np.ascontiguousarray(renamed.reshape(mesh.t.shape[::-1]).T), points


def _corners(cells, owners, vertices):
    """Place of each vertex (n, k) within the cell (n,) that owns it, counted over all cells."""
    local = (cells[:, owners].T[:, None, :] == vertices[:, :, None]).argmax(axis=2)
    return owners[:, None] * len(cells) + local


def _renamed(cells, renamed, owners, vertices):
    """Numbers after the split of the vertices (n, k) of the cells ``owners`` (n,)."""
    return renamed.T.ravel()[_corners(cells, owners, vertices)]


def _boundaries(mesh, split):
    """The named boundaries in the numbering of the split mesh."""
    return {
        name: np.unique(split.t2f[np.isin(mesh.t2f, np.asarray(facets))])
        for name, facets in (mesh.boundaries or {}).items()
    }
