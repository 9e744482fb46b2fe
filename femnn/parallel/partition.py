"""Cells divided among ranks so that each has the same work: METIS on the graph of neighbouring cells."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import skfem
from numpy.typing import ArrayLike
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from femnn.checks import checked, instance, numbers
from femnn.exceptions import MissingExtraError, ParameterError
from femnn.geometry.mesh import hexahedra
from femnn.interfaces.split import Interface
from femnn.quadrature.rule import Rule

#: What a cell costs besides its integration points, in points: scatter, exchange and its share of the solution.
FIXED_COST = 25

# Cells whose rule is asked for at once, so that the copies of their coordinates stay small.
_CHUNK = 100_000


@checked()
def points_per_cell(mesh: Any, rule: Rule) -> np.ndarray:
    """Integration points (n,) of each cell of a ``skfem.MeshHex``, 0 where a rule skips it.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.parallel import points_per_cell
    >>> points_per_cell(skfem.MeshHex().refined(1), femnn.GaussLegendre(2))
    array([8, 8, 8, 8, 8, 8, 8, 8])
    """
    vertices = hexahedra(mesh)
    counts = np.zeros(len(vertices), dtype=np.int64)
    for first in range(0, len(vertices), _CHUNK):
        for group in rule.groups(vertices[first : first + _CHUNK]):
            counts[first + group.cells] = group.W.shape[-1]
    return counts


@checked(fixed="[0, inf)")
def cell_costs(mesh: Any, rule: Rule, fixed: int = FIXED_COST) -> np.ndarray:
    """Work (n,) of each cell in units of one integration point: its points and a fixed share.

    Examples
    --------
    >>> import femnn, skfem
    >>> from femnn.parallel import cell_costs
    >>> costs = cell_costs(skfem.MeshHex().refined(1), femnn.GaussLegendre(2))
    >>> costs.shape, bool((costs > 8).all())
    ((8,), True)
    """
    return points_per_cell(mesh, rule) + fixed


@checked(ranks="[1, inf)")
def partition(
    mesh: Any,
    ranks: int,
    costs: ArrayLike | None = None,
    interfaces: Sequence[Interface] = (),
    *,
    paired: bool = False,
) -> np.ndarray:
    """The rank of each cell.

    Parameters
    ----------
    mesh
        A ``skfem.MeshHex``.
    ranks
        How many parts to make.
    costs : (n,)
        Work of each cell, as :func:`cell_costs` gives it; None for the same everywhere.
    interfaces
        :class:`femnn.Interface` objects on this mesh: the cells of their two sides count as neighbours.
    paired
        Whether the two cells of each pair of facets are on one rank, as
        :class:`femnn.parallel.RankFaultedReservoir` needs it.

    Returns
    -------
    (n,) int32
        G. Karypis, V. Kumar, SIAM Journal on Scientific Computing 20 (1998) 359-392. The same bits each time.

    Raises
    ------
    ParameterError
        If there are more ranks than cells.
    MissingExtraError
        If pymetis is not installed.

    Examples
    --------
    >>> import numpy as np, skfem
    >>> from femnn.parallel import partition
    >>> part = partition(skfem.MeshHex().refined(2), ranks=2)
    >>> np.bincount(part)
    array([32, 32])
    """
    cells = instance("mesh", mesh, skfem.Mesh).nelements
    for interface in interfaces:
        interface.require_mesh(mesh)
    # cells of a group go together
    n, group = _groups(cells, interfaces) if paired else (cells, np.arange(cells))
    if not 1 <= ranks <= n:
        named = "cells" if n == cells else "groups of cells that faults hold together"
        raise ParameterError(f"{ranks} ranks cannot share {n} {named}; start between 1 and {n} ranks")
    costs = np.ones(cells, dtype=np.int64) if costs is None else _checked(costs, cells)
    costs = np.bincount(group, weights=costs).astype(np.int64)
    if ranks == 1:
        return np.zeros(cells, dtype=np.int32)
    try:
        import pymetis
    except ImportError as error:
        raise MissingExtraError("partitions need pymetis: pip install 'femnn[mpi]'") from error
    starts, neighbours = _graph(mesh, interfaces, group)
    dtype = pymetis.zero_copy_dtype()
    result = pymetis.part_graph(
        int(ranks),
        pymetis.CSRAdjacency(starts.astype(dtype), neighbours.astype(dtype)),
        vweights=costs.astype(dtype),
    )
    part = np.asarray(result[1], dtype=np.int32)
    if len(np.unique(part)) < ranks:
        # a handful of cells: METIS may leave a rank without any
        part = np.minimum(np.arange(n) * ranks // n, ranks - 1).astype(np.int32)
    return part[group]


@checked(part="int n", costs="n", ranks="[1, inf)")
def imbalance(part: np.ndarray, costs: np.ndarray, ranks: int) -> float:
    """Excess of the busiest rank over the mean: 0.05 is 5 %.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.parallel import imbalance
    >>> float(imbalance(np.array([0, 0, 0, 1]), np.ones(4), ranks=2))
    0.5
    """
    loads = np.bincount(part, weights=costs, minlength=ranks)
    return float(loads.max() / loads.mean() - 1.0)


def _graph(mesh, interfaces, group):
    """Neighbours of each group of cells across facets and interfaces, as starts (n + 1,) and neighbours."""
    pairs = [mesh.f2t[:, mesh.f2t[1] >= 0], *map(_pairs, interfaces)]
    first, second = group[np.concatenate(pairs, axis=1)]
    apart = first != second
    first, second = first[apart], second[apart]
    rows, columns = np.concatenate([first, second]), np.concatenate([second, first])
    graph = coo_array((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=(int(group.max()) + 1,) * 2).tocsr()
    return graph.indptr, graph.indices


def _pairs(interface):
    """Cells (2, c) of the two sides."""
    return interface.mesh.f2t[0, [interface.minus, interface.plus]]


def _groups(cells, interfaces):
    """How many groups of cells interfaces hold together, directly or by others, and the group of each cell."""
    first, second = np.concatenate([np.empty((2, 0), dtype=int), *map(_pairs, interfaces)], axis=1)
    graph = coo_array((np.ones(len(first), dtype=np.int8), (first, second)), shape=(cells, cells))
    return connected_components(graph, directed=False)


def _checked(costs, n):
    costs = numbers("costs", costs)
    if costs.shape != (n,) or not np.isfinite(costs).all() or not (costs >= 0).all():
        raise ParameterError(f"costs have shape {costs.shape}; pass one number >= 0 for each of the {n} cells")
    scale = 1.0 if np.issubdtype(costs.dtype, np.integer) else 1e3 / max(costs.max(), np.finfo(float).tiny)
    # METIS counts in integers of 32 bits
    whole = np.maximum(np.rint(costs * scale), 1).astype(np.int64)
    return np.maximum(whole // (1 + whole.sum() // 2**30), 1)
