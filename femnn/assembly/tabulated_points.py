"""Integration points of cells of any kind, with the shape functions tabulated there.

Straight hexahedra have closed formulas in their kernels. All other cells and elements read the gradients of their map
and the values and gradients of their shape functions from tables, one line for eight points, which cells that share
their points share too. One set of kernels so serves quadrilaterals and hexahedra, straight and curved, with linear,
serendipity and quadratic shape functions.
"""

from typing import NamedTuple

import numpy as np
import skfem

from femnn.assembly.points import Points
from femnn.geometry.cells import CellKind
from femnn.integration.vector_kernels import LANES
from femnn.quadrature.rule import CellGroup
from femnn.system.memory import require_memory


class TabulatedPoints(NamedTuple):
    """Points of all groups; ``batches`` of eight points each.

    Attributes
    ----------
    maps : (batches, dim, nodes, 8)
        Reference gradients of the map.
    shapes : (batches, 8, dim, k)
        Reference gradients of the shape functions.
    values : (batches, 8, k)
        Shape functions.
    weights : (batches, 8)
        Zero where a batch has no point.
    first, counts, rows, total
        As in :class:`femnn.assembly.points.Points`.
    """

    maps: np.ndarray
    shapes: np.ndarray
    values: np.ndarray
    weights: np.ndarray
    first: np.ndarray
    counts: np.ndarray
    rows: np.ndarray
    total: int

    @classmethod
    def of(cls, groups: list[CellGroup], n: int, kind: CellKind, element: skfem.Element) -> "TabulatedPoints":
        """Points of the groups of a rule on ``n`` cells of one kind, for a scalar element.

        Raises MemoryError if cells have so many points of their own that the tables do not fit.
        """
        k, start, total = len(element.doflocs), 0, 0
        per_batch = LANES * (kind.dim * len(kind.nodes) + (kind.dim + 1) * k + 1)
        tables: list[tuple[np.ndarray, ...]] = []
        first, counts, rows = (np.zeros(n, dtype=np.int64) for _ in range(3))
        for group in groups:
            m, nqp = len(group.cells), group.W.shape[-1]
            sets = 1 if group.X.ndim == 2 and group.W.ndim == 1 else m
            batches = -(-nqp // LANES)
            require_memory(8 * sets * batches * per_batch, f"the shape functions at the points of {sets:,} cells")
            X = np.broadcast_to(group.X if group.X.ndim == 3 else group.X[:, None], (kind.dim, sets, nqp))
            tables.append(_tables(X, np.broadcast_to(group.W, (sets, nqp)), kind, element))
            first[group.cells] = start + (0 if sets == 1 else batches * np.arange(m))
            counts[group.cells] = nqp
            rows[group.cells] = total + nqp * np.arange(m)
            start += sets * batches
            total += m * nqp
        joined = [np.ascontiguousarray(np.concatenate(parts)) for parts in zip(*tables, strict=True)]
        maps, shapes, values, weights = joined
        return cls(maps, shapes, values, weights, first, counts, rows, total)

    @property
    def tables(self) -> tuple[np.ndarray, ...]:
        """What the kernels read at the points."""
        return self[:4]

    @property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the batches of each cell start, and its number of points."""
        return self[4:6]

    @staticmethod
    def per_group(values: np.ndarray, groups: list[CellGroup]) -> list[np.ndarray]:
        """As :meth:`femnn.assembly.points.Points.per_group`."""
        return Points.per_group(values, groups)


def _tables(X, W, kind, element):
    """Tables of points X (dim, sets, nqp) with weights W (sets, nqp)."""
    dim, sets, nqp = X.shape
    count = -(-nqp // LANES)
    # a batch that is not full repeats a point with weight zero
    missing = count * LANES - nqp
    X = np.concatenate([X, np.repeat(X[:, :, :1], missing, axis=2)], axis=2).reshape(dim, -1)
    weights = np.concatenate([W, np.zeros((sets, missing))], axis=1).reshape(-1, LANES)
    functions = [element.lbasis(X, a) for a in range(len(element.doflocs))]
    values = np.stack([np.broadcast_to(f[0], X.shape[1]) for f in functions], axis=1)
    shapes = np.stack([np.asarray(f[1]) for f in functions], axis=0)
    maps = kind.gradients(X)
    return (
        maps.reshape(*maps.shape[:2], -1, LANES).transpose(2, 1, 0, 3),
        shapes.transpose(2, 1, 0).reshape(-1, LANES, dim, len(functions)),
        values.reshape(-1, LANES, len(functions)),
        weights,
    )
