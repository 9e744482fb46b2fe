"""Integration points of a mesh in the order of its groups, one row after another, as the kernels read them."""

from typing import NamedTuple

import numpy as np

from femnn.integration.vector_kernels import batches_of_points, places_of_nodes


class Points(NamedTuple):
    """Points of all groups.

    Attributes
    ----------
    batches : (n_batches, 32)
        ξ, η, ζ and weights, eight points at a time; elements that share their points share these.
    first : (n,) int64
        Where the batches of each element start.
    counts : (n,) int64
        Points of each element; 0 for elements that no group holds.
    rows : (n,) int64
        Row of each element's first point in arrays of one row a point: groups follow each other, cells follow each
        other in a group, points in a cell.
    total : int
        Points of the whole mesh.
    """

    batches: np.ndarray
    first: np.ndarray
    counts: np.ndarray
    rows: np.ndarray
    total: int

    @classmethod
    def of(cls, groups, n):
        """Points of the groups of a rule on ``n`` elements."""
        batches, first = [], np.zeros(n, dtype=np.int64)
        count, rows = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        start = total = 0
        for group in groups:
            m, nqp = len(group.cells), group.W.shape[-1]
            sets = 1 if group.X.ndim == 2 and group.W.ndim == 1 else m
            X = group.X[:, None, :] if group.X.ndim == 2 else group.X
            added = batches_of_points(
                np.broadcast_to(X, (3, sets, nqp)).transpose(1, 0, 2), np.broadcast_to(group.W, (sets, nqp))
            )
            batches.append(added.reshape(-1, 32))
            first[group.cells] = start + (0 if sets == 1 else added.shape[1] * np.arange(m))
            count[group.cells] = nqp
            rows[group.cells] = total + nqp * np.arange(m)
            start += len(batches[-1])
            total += m * nqp
        return cls(np.concatenate(batches), first, count, rows, total)

    def with_nodes(self, count):
        """What the kernels take for elements of ``count`` nodes: batches, first, counts, and the places of nodes."""
        return self.batches, self.first, self.counts, places_of_nodes(count)

    @staticmethod
    def per_group(values, groups):
        """An array (total, ...) as one view (m, nqp, ...) for each group."""
        views, start = [], 0
        for group in groups:
            m, nqp = len(group.cells), group.W.shape[-1]
            views.append(values[start : start + m * nqp].reshape(m, nqp, *values.shape[1:]))
            start += m * nqp
        return views
