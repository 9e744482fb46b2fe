"""One program on one mesh, and what can be measured of it."""

import time

import numpy as np

from benchmarks.assembly_peers.peers.program import Arrays
from benchmarks.assembly_peers.peers.programs import PROGRAMS
from benchmarks.support.memory import forget_peak, peak, resident


class Worker:
    """One program on one mesh."""

    def __init__(self, name, rule, path):
        self.kind = PROGRAMS[name]
        self.rule = int(rule) if rule.isdigit() else rule
        started = time.perf_counter()
        self.kind.load()
        self.imports = time.perf_counter() - started
        with np.load(path) as file:
            self.arrays = Arrays(*(file[name] for name in Arrays._fields))
        # the same elements elsewhere: nothing that is kept of the first coordinates is right for these
        stretch, shift = np.array([[1.2], [0.9], [1.1]]), np.array([[0.0], [0.1], [0.2]])
        self.places = [self.arrays.p, np.ascontiguousarray(stretch * self.arrays.p + shift)]

    def about(self):
        return {"version": self.kind.version(), "imports": self.imports}

    def first(self):
        """Seconds from the arrays of a mesh to its first matrix."""
        self.program = self.matrix = None
        self.turn = 0
        started = time.perf_counter()
        self.program = self.kind(self.arrays, self.rule)
        self.matrix = self.program.first()
        return {"seconds": time.perf_counter() - started}

    def memory(self):
        """Growth of resident memory from the arrays to the first matrix, code loaded before; bytes."""
        self.kind(_small(self.arrays), self.rule).first()
        forget_peak()
        before = resident()
        self.first()
        return {"growth": peak() - before, "peak": peak(), "csr": _bytes(self.program.csr(self.matrix))}

    def check(self):
        """How far the matrix is from femnn's, for the first coordinates and for others.

        The largest difference of two entries over the largest entry.
        """
        found = [self._difference(self.matrix, self.places[0])]
        self.coordinates()
        return {"difference": max([*found, self._difference(self.matrix, self.places[1])])}

    def coordinates(self, threads=1):
        """Seconds from other vertex coordinates than last time to the matrix."""
        self.turn = 1 - self.turn
        return self._timed(self.program.assemble, self.places[self.turn], threads)

    def geometry(self, threads=1):
        """Seconds to the same matrix once more, with the geometry that the program keeps."""
        return self._timed(self.program.again, threads)

    def _timed(self, function, *arguments):
        self.matrix = None
        started = time.perf_counter()
        self.matrix = function(*arguments)
        return {"seconds": time.perf_counter() - started}

    def _difference(self, matrix, p):
        found = self.program.csr(matrix)
        expected = PROGRAMS["femnn"](self.arrays, self.rule).assemble(p)
        if found.shape != expected.shape:
            return float("inf")
        return float(abs(found - expected).max() / abs(expected).max())


def _small(arrays):
    """The first element and the vertices that it has."""
    used, t = np.unique(arrays.t[:, :1], return_inverse=True)
    cells = np.searchsorted(used, arrays.cells[:1])
    p = np.ascontiguousarray(arrays.p[:, used])
    return Arrays(p, t.reshape(8, 1).astype(arrays.t.dtype), cells.astype(arrays.cells.dtype))


def _bytes(matrix):
    return matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes
