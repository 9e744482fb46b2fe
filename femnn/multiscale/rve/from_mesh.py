"""Cells of one's own meshes: any box of quadrilaterals or hexahedra whose opposite sides are alike."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import skfem

from femnn.checks import brief, checked, instance
from femnn.exceptions import MeshError, ParameterError
from femnn.interfaces.split import facet_indices
from femnn.multiscale.rve.cut import TOUCH, Cell, cut_cell


@checked(cracks="unchecked")
def cell_of_mesh(mesh: Any, cracks: Sequence[Any], *, volume: bool = False) -> Cell:
    """A cell of a mesh that follows its cracks, of a mesh generator for instance.

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
    if isinstance(cracks, str | np.ndarray) or not len(cracks):
        raise ParameterError(f"cracks={brief(cracks)} is not allowed; list the name, facets or plane of each crack")
    facets = [_facets_of(mesh, crack, k) for k, crack in enumerate(cracks)]
    numbers, counts = np.unique(np.concatenate(facets), return_counts=True)
    if (counts > 1).any():
        shared = numbers[counts > 1]
        both = [k for k, own in enumerate(facets) if shared[0] in own]
        raise MeshError(
            f"cracks {both[0]} and {both[1]} overlap: facet {shared[0]} and {len(shared) - 1} others are on both; name "
            "each facet once"
        )
    origin, dim = mesh.p.min(axis=1), mesh.dim()
    edges = np.ptp(mesh.p, axis=1)
    height = None if volume else float(edges[-1])
    corners = (mesh.p - origin[:, None]).T[mesh.t.T]
    owners = mesh.f2t[0, numbers]
    local = (mesh.t2f[:, owners] == numbers).argmax(axis=0)

    def cracked(around):
        found = np.unique(around.t2f[local, owners])
        outer = found[around.f2t[1, found] == -1]
        if len(outer):
            raise MeshError(f"{len(outer)} facets of cracks are on bottom or top of the cell; move them inside")
        return found

    content = hashlib.sha256(mesh.p.tobytes() + mesh.t.tobytes() + numbers.tobytes()).hexdigest()
    name = (
        f"cell_of_mesh({mesh.nelements} elements, {len(numbers)} facets, {content[:12]}{', volume' if volume else ''})"
    )
    periods = np.diag(edges)[: dim if volume else dim - 1]
    return cut_cell(corners, periods, height, None, cracked, name)


def _facets_of(mesh, crack, number):
    """Indices of the facets of a crack."""
    is_plane = isinstance(crack, list | tuple) and len(crack) == 2 and all(np.shape(part) for part in crack)
    if not is_plane or isinstance(crack[0], str):
        return facet_indices(mesh, crack)
    point, normal = (np.asarray(part, dtype=float) for part in crack)
    if point.shape != (mesh.dim(),) or normal.shape != point.shape or not 0.0 < np.linalg.norm(normal) < np.inf:
        raise ParameterError(
            f"crack {number} is the plane {brief(crack)}; pass a point and a normal of {mesh.dim()} numbers each"
        )
    away = (normal / np.linalg.norm(normal)) @ (mesh.p - point[:, None])
    least = TOUCH * np.ptp(mesh.p, axis=1).max()
    corners = away[mesh.t]
    through = np.flatnonzero((corners > least).any(axis=0) & (corners < -least).any(axis=0))
    if len(through):
        raise MeshError(
            f"crack {number} does not follow facets: the plane through {point.tolist()} with the normal "
            f"{normal.tolist()} cuts {len(through)} elements, the first of them {through[0]}; mesh along it and name "
            "its facets, or embed it: femnn.interfaces.EmbeddedElements"
        )
    facets = np.flatnonzero((np.abs(away[mesh.facets]) <= least).all(axis=0))
    if not len(facets):
        raise MeshError(
            f"crack {number}, the plane through {point.tolist()} with the normal {normal.tolist()}, has no facet of "
            "the mesh; check that it crosses it"
        )
    return facets
