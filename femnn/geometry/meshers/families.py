"""Cells as meshers make them, by family: what rules are trained, calibrated and tested on besides random cells."""

import numpy as np
from skfem import MeshHex

from femnn.checks import checked, one_of
from femnn.exceptions import MeshError
from femnn.geometry.mesh import hexahedra
from femnn.geometry.meshers.grids import mapped, octree, polycube, snapped_grid
from femnn.geometry.meshers.planes import boundary_layer, subdivided_quadrilaterals, swept
from femnn.geometry.meshers.tetrahedra import subdivided_part
from femnn.geometry.validity import VALID, classify
from femnn.system.memory import require_memory

_MESHERS = {
    "subdivided tetrahedra": subdivided_part,
    "snapped grids": snapped_grid,
    "octrees": octree,
    "swept": swept,
    "mapped": mapped,
    "boundary layers": boundary_layer,
    "subdivided quadrilaterals": subdivided_quadrilaterals,
    "polycubes": polycube,
}

#: Names of the families.
FAMILIES = tuple(_MESHERS)

# Cells of one mesh of a family, and how many are taken of it: one mesh repeats its shapes.
_CELLS, _OF_ONE_MESH = 500, 150

# A drawn part may be too thin for its cells; another is drawn then.
_DRAWS = 20


@checked(seed="[0, inf]", cells="[50, inf)")
def family_mesh(name: str, seed: int, cells: int = 1500) -> MeshHex:
    """A whole mesh of one family.

    Parameters
    ----------
    name
        One of ``FAMILIES``: ``"subdivided tetrahedra"`` (Delaunay tetrahedra of balls, bricks, cylinders, blocks with
        holes and pores, optimised, four hexahedra each), ``"snapped grids"`` (grid cells inside a smooth part, their
        surface led onto it), ``"octrees"`` (coarse cells that meet fine ones by templates), ``"swept"`` (unstructured
        quadrilaterals along arcs with twist and taper), ``"mapped"`` (blocks of graded spacing), ``"boundary layers"``
        (grown from curved walls, of an aspect to 1,000), ``"subdivided quadrilaterals"`` (triangles split in three,
        extruded), ``"polycubes"`` (unions of boxes led to rounded parts).
    seed
        Draws the part, its spacings and its points. The same seed gives the same mesh.
    cells
        About their number: parts need more or fewer.

    Returns
    -------
    ``skfem.MeshHex`` with no folded cell.

    Raises
    ------
    ParameterError
        If there is no such family, ``seed`` is negative or ``cells`` below 50.

    Examples
    --------
    >>> mesh = family_mesh("octrees", seed=0, cells=300)
    >>> mesh.is_valid()
    True
    """
    mesher = _MESHERS[one_of("name", name, FAMILIES)]
    require_memory(8 * 24 * 20 * cells, f"a mesh of {cells:,} elements")
    random = np.random.default_rng([FAMILIES.index(name), seed])
    for _ in range(_DRAWS):
        mesh = mesher(cells, random).mesh()
        if mesh.nelements and (classify(hexahedra(mesh)) == VALID).all():
            return mesh
    raise MeshError(f"{_DRAWS} meshes of the family {name!r} with seed {seed} have folded cells; choose another seed")


@checked(n="[1, inf)", seed="[0, inf]")
def family(name: str, n: int, seed: int) -> np.ndarray:
    """Cells (n, 8, 3) of one family, drawn from many meshes of it.

    Parameters
    ----------
    name
        One of ``FAMILIES``, see :func:`family_mesh`.
    n
        Number of cells.
    seed
        Draws the meshes and the cells that are taken of each.

    Returns
    -------
    Vertex coordinates in scikit-fem's order, in no order of place; every cell is healthy.

    Raises
    ------
    ParameterError
        If there is no such family, n < 1 or ``seed`` is negative.

    Examples
    --------
    >>> family("mapped", 100, seed=0).shape
    (100, 8, 3)
    """
    one_of("name", name, FAMILIES)
    require_memory(8 * 24 * n, f"an array of {n:,} elements")
    random = np.random.default_rng([seed, 1 + FAMILIES.index(name)])
    parts, count = [], 0
    while count < n:
        cells = hexahedra(family_mesh(name, int(random.integers(2**31)), _CELLS))
        parts.append(cells[random.permutation(len(cells))[:_OF_ONE_MESH]])
        count += len(parts[-1])
    return np.concatenate(parts)[random.permutation(count)[:n]]
