"""Rules of one's own."""

import numpy as np

import femnn


class OwnPoints(femnn.Rule):
    """Points of its own in every element."""

    def __repr__(self):
        return "OwnPoints()"

    def _groups(self, hexahedra):
        random = np.random.default_rng(0)
        n = len(hexahedra)
        half = np.arange(n) < n // 2
        return [
            femnn.CellGroup(
                cells, random.uniform(0.1, 0.9, (3, len(cells), nqp)), random.uniform(size=(len(cells), nqp))
            )
            for cells, nqp in ((np.flatnonzero(half), 5), (np.flatnonzero(~half), 9))
        ]
