"""Cells of one's own meshes: any box of quadrilaterals or hexahedra whose opposite sides are alike."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import skfem

from femnn.checks import brief, checked, floats, instance
from femnn.exceptions import MeshError, ParameterError
from femnn.interfaces.split import facet_indices
from femnn.multiscale.rve.cut import TOUCH, Cell, cut_cell


@checked(cracks="unchecked")
def cell_of_mesh(mesh: Any, cracks: Sequence[Any], *, volume: bool = False, embedded: bool = False) -> Cell:
    """A cell of a mesh of one's own, of a mesh generator for instance.

    Parameters
    ----------
    mesh
        ``skfem.MeshHex`` or ``MeshQuad`` of a box, whose opposite sides have the same vertices.
    cracks
        One entry for each crack: the name of a boundary, indices of facets, or a pair (point, normal) for a plane
        through the whole mesh. They may end inside, meet, and reach the sides where the cell repeats.
    volume
        Whether the cell repeats in all directions. By default it is that of a zone: it repeats along x, and y in space,
        between a bottom and a top.
    embedded
        Whether the cracks, which then all are planes, go through hexahedra that do not follow them. No element has two
        of them, and each goes round the cell: it leaves where it enters. The formulation is that of
        :class:`femnn.interfaces.EmbeddedElements` with jumps that are constant in an element; it is not symmetric, and
        keeps Hill and Mandel's condition as well as the mesh resolves the stresses beside the cracks.

    Raises
    ------
    MeshError
        If a plane goes through elements or has no facets, cracks overlap or lie on bottom or top, or opposite sides
        differ.

    Examples
    --------
    >>> import skfem
    >>> from femnn.multiscale.rve import cell_of_mesh
    >>> mesh = skfem.MeshHex().refined(2)
    >>> cell = cell_of_mesh(mesh, [((0.0, 0.0, 0.5), (0.0, 0.0, 1.0))])
    >>> len(cell.interface), cell.height
    (16, 1.0)
    """
    instance("mesh", mesh, skfem.MeshQuad1, skfem.MeshHex1)
    if not isinstance(cracks, list | tuple) or not cracks:
        raise ParameterError(f"cracks={brief(cracks)} is not allowed; list the name, facets or plane of each crack")
    origin, dim = mesh.p.min(axis=1), mesh.dim()
    edges = np.ptp(mesh.p, axis=1)
    height = None if volume else float(edges[-1])
    periods = np.diag(edges)[: dim if volume else dim - 1]
    corners = (mesh.p - origin[:, None]).T[mesh.t.T]
    content = hashlib.sha256(mesh.p.tobytes() + mesh.t.tobytes())
    what = f"{mesh.nelements} elements{', volume' if volume else ''}"
    if embedded:
        if dim == 2:
            raise ParameterError("embedded cracks are for hexahedra; mesh along those of a cell in the plane")
        planes = []
        for k, crack in enumerate(cracks):
            point, normal = _plane(crack, k, dim)
            planes.append((point - origin, normal / np.linalg.norm(normal)))
        content.update(np.array(planes).tobytes())
        name = f"cell_of_mesh({what}, {len(planes)} embedded, {content.hexdigest()[:12]})"
        return cut_cell(corners, periods, height, None, lambda _: np.empty(0, dtype=int), name, tuple(planes))
    facets = [_facets_of(mesh, crack, k) for k, crack in enumerate(cracks)]
    numbers, counts = np.unique(np.concatenate(facets), return_counts=True)
    if (counts > 1).any():
        shared = numbers[counts > 1]
        both = [k for k, own in enumerate(facets) if shared[0] in own]
        raise MeshError(
            f"cracks {both[0]} and {both[1]} overlap: facet {shared[0]} and {len(shared) - 1} others are on both; name "
            "each facet once"
        )
    owners = mesh.f2t[0, numbers]
    local = (mesh.t2f[:, owners] == numbers).argmax(axis=0)

    def cracked(around):
        found = np.unique(around.t2f[local, owners])
        outer = found[around.f2t[1, found] == -1]
        if len(outer):
            raise MeshError(f"{len(outer)} facets of cracks are on bottom or top of the cell; move them inside")
        return found

    content.update(numbers.tobytes())
    name = f"cell_of_mesh({what}, {len(numbers)} facets, {content.hexdigest()[:12]})"
    return cut_cell(corners, periods, height, None, cracked, name)


def _is_plane(crack):
    is_pair = isinstance(crack, list | tuple) and len(crack) == 2
    return is_pair and all(isinstance(part, list | tuple | np.ndarray) for part in crack)


def _plane(crack, number, dim):
    """Point and normal (dim,) of a crack."""
    if _is_plane(crack):
        point, normal = (floats(f"crack {number}", part, finite=False) for part in crack)
        if point.shape == normal.shape == (dim,) and 0.0 < np.linalg.norm(normal) < np.inf:
            return point, normal
    raise ParameterError(f"crack {number} is {brief(crack)}; pass a point and a normal of {dim} numbers each")


def _facets_of(mesh, crack, number):
    """Indices of the facets of a crack."""
    if not _is_plane(crack):
        return facet_indices(mesh, crack)
    point, normal = _plane(crack, number, mesh.dim())
    away = (normal / np.linalg.norm(normal)) @ (mesh.p - point[:, None])
    least = TOUCH * np.ptp(mesh.p, axis=1).max()
    corners = away[mesh.t]
    through = np.flatnonzero((corners > least).any(axis=0) & (corners < -least).any(axis=0))
    if len(through):
        raise MeshError(
            f"crack {number} does not follow facets: the plane through {point.tolist()} with the normal "
            f"{normal.tolist()} cuts {len(through)} elements, the first of them {through[0]}; mesh along it and name "
            "its facets, or pass embedded=True"
        )
    facets = np.flatnonzero((np.abs(away[mesh.facets]) <= least).all(axis=0))
    if not len(facets):
        raise MeshError(
            f"crack {number}, the plane through {point.tolist()} with the normal {normal.tolist()}, has no facet of "
            "the mesh; check that it crosses it"
        )
    return facets
