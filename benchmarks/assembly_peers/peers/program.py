"""What every program of the benchmark is: isotropic elasticity on trilinear hexahedra, from arrays to a matrix."""

import importlib
from abc import ABC, abstractmethod
from importlib.metadata import version
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np

YOUNG, POISSON = 210e9, 0.3
SHEAR = YOUNG / (2 * (1 + POISSON))
LAME = YOUNG * POISSON / ((1 + POISSON) * (1 - 2 * POISSON))

#: The polynomial order for which programs that take an order choose 2×2×2 and 3×3×3 points.
ORDERS = {8: 3, 27: 5}


class Arrays(NamedTuple):
    """A mesh as arrays: what every program starts from."""

    #: (3, n_vertices) coordinates.
    p: np.ndarray
    #: (8, n) vertices of the elements in scikit-fem's order.
    t: np.ndarray
    #: (n, 8) the same in VTK's order, right-handed: what the other programs read from their mesh files.
    cells: np.ndarray


class Program(ABC):
    """One program on one mesh. The constructor does what its user does once a mesh, geometry included if it is kept.

    ``arrays`` are :class:`Arrays`, ``rule`` is the number of points, 8 or 27. Programs are imported when their class is
    used, never before: imports are timed, and most programs are optional.
    """

    title = module = distribution = None
    #: Whether the number of threads can be chosen.
    threaded = False
    #: Whether shape gradients at points are kept. Such a program has a method ``again(threads=1)``: the matrix for the
    #: coordinates of last time, from what is kept of their geometry.
    keeps_geometry = True
    #: What is timed, in a few words.
    way = ""

    @classmethod
    def missing(cls):
        """Why this program cannot run here, in a few words; None if it can."""
        return None if find_spec(cls.module) else f"{cls.module} is not installed"

    @classmethod
    def load(cls):
        """Import all that the program needs."""
        importlib.import_module(cls.module)

    @classmethod
    def version(cls):
        return version(cls.distribution)

    @abstractmethod
    def assemble(self, p, threads=1):
        """The matrix for new vertex coordinates (3, n_vertices) on the same elements."""

    def first(self):
        """The first matrix after the constructor."""
        return self.again() if self.keeps_geometry else self.assemble(self.p)

    def csr(self, matrix):
        """The result as a scipy matrix with the degrees of freedom numbered vertex by vertex."""
        return matrix


def renumbered(matrix, order):
    """The csr matrix with its degrees of freedom in another order."""
    from scipy.sparse import csr_matrix

    return csr_matrix(matrix)[order][:, order]
