"""Smoothed aggregation multigrid that knows the rigid-body modes: two ways to set it up, one cycle.

P. Vaněk, J. Mandel, M. Brezina, "Algebraic multigrid by smoothed aggregation for second and fourth order elliptic
problems", Computing 56 (1996) 179-196.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.sparse import bsr_array, csr_array, sparray
from scipy.sparse.linalg import splu

from femnn.solvers.linear.block_kernels import aggregates_around, block_sizes, orthonormal, smooth, strong_pattern
from femnn.solvers.linear.block_rows import BlockRows
from femnn.solvers.linear.smoother import Smoother
from femnn.solvers.linear.threads import FEW_OF_MATRICES, over_rows

# Nodes of the coarsest level, which is factored, and levels at most.
COARSEST, _MOST_LEVELS = 100, 12

# Rows of the coarsest level up to which its factors are full.
_FULL = 2000

# Degree of the smoothing polynomials: 1 takes nearly twice the iterations, 3 costs more than it saves on cubes.
_DEGREE = 2

# Nodes whose block is smaller than this part of the diagonal ones do not hold an aggregate together; half of it on each
# next level. Without it parts with thin walls and flat elements take two to three times the iterations; with more than
# 0.1 the coarse levels of cubes fill.
_STRONG = 0.08

# Damping of the step that smooths the prolongation, over the largest eigenvalue.
_DAMPING = 4.0 / 3.0

# What pyamg needs on meshes of very flat elements.
_THOROUGH = {
    "strength": ("evolution", {"epsilon": 4.0, "k": 2}),
    "smooth": ("energy", {"krylov": "cg", "maxiter": 4, "degree": 1}),
}


class Level(NamedTuple):
    """A level but the coarsest: its smoother, what leads from the next level to it, and the transposed of that.

    Entries are rounded to single precision before the coarse matrix is made of them: rigid-body modes are then in the
    coarse space to 1e-7, their energy to the square of that.
    """

    smoother: Smoother
    prolongation: BlockRows
    restriction: BlockRows

    @classmethod
    def of(cls, smoother: Smoother, prolongation: BlockRows) -> "Level":
        """The level of a prolongation in double precision."""
        rounded = prolongation.rounded()
        return cls(smoother, rounded, rounded.transposed)


@dataclass(frozen=True, eq=False, repr=False)
class Multigrid:
    """A V-cycle, called with a residual (m,) for a correction (m,), 0 where a row is held.

    Symmetric; and positive definite whatever the coarse levels are made of, as long as the polynomials contract.

    Attributes
    ----------
    levels : tuple of Level, the finest first
    coarsest
        Solves the equations of the coarsest level.
    rows : (k,) int64
        Rows that the finest level is about, None for all.
    is_free : (n, components) bool
        Of the finest level.
    """

    levels: tuple[Level, ...]
    coarsest: Callable[[np.ndarray], np.ndarray]
    is_free: np.ndarray
    rows: np.ndarray | None = None

    @classmethod
    def quick(
        cls, matrix: BlockRows, modes: np.ndarray, is_free: np.ndarray, interpolation: csr_array | None = None
    ) -> "Multigrid":
        """Aggregates of nodes whose blocks are large, one step of smoothing.

        Parameters
        ----------
        matrix : (n, n) blocks
            Symmetric positive definite over what is free.
        modes : (n · components, k)
            Near null space.
        is_free : (n, components) bool
        interpolation : (n, m) csr_array
            From the vertices, the first m nodes, to all nodes of quadratic elements: linear functions are then the
            first coarse level.

        Raises
        ------
        ArithmeticError
            If the matrix turns out not to be positive definite.
        """
        levels, finest, threshold = [], is_free, _STRONG
        modes = modes * is_free.reshape(-1, 1)
        if interpolation is not None:
            prolongation = _component_by_component(interpolation, is_free)
            levels.append(Level.of(Smoother.of(matrix, is_free, _DEGREE), prolongation))
            matrix = matrix.galerkin(levels[-1].prolongation)
            is_free, modes = is_free[: matrix.n], modes[: matrix.n * matrix.rows]
        while matrix.n > COARSEST and len(levels) < _MOST_LEVELS:
            smoother = Smoother.of(matrix, is_free, _DEGREE)
            prolongation, modes, alive = _prolongation(matrix, smoother, modes, is_free, threshold)
            if not 0 < prolongation.n_columns < 0.8 * matrix.n:
                break
            levels.append(Level.of(smoother, prolongation))
            # in double precision it would be kept beside what is as large as the matrix
            del prolongation
            matrix = matrix.galerkin(levels[-1].prolongation)
            is_free, threshold = alive, 0.5 * threshold
        return cls(tuple(levels), _coarsest(matrix, is_free), finest)

    @classmethod
    def thorough(cls, matrix: sparray, components: int, dofs: np.ndarray, modes: np.ndarray) -> "Multigrid":
        """Strength by evolution and prolongation of least energy, by pyamg: four to eight times the set-up.

        Parameters
        ----------
        matrix : (m, m) bsr_array or csr_array
            In blocks of one node, symmetric positive definite.
        components
            Rows of a block.
        dofs : (m,)
            Rows of the vectors that the cycle is called with.
        modes : (m, k)

        Raises
        ------
        ArithmeticError
            If the matrix turns out not to be positive definite.
        """
        from pyamg import smoothed_aggregation_solver

        with _seeded():
            hierarchy = smoothed_aggregation_solver(
                matrix, B=modes, max_coarse=COARSEST, improve_candidates=None, presmoother=None, postsmoother=None,
                coarse_solver=None, **_THOROUGH,
            ).levels  # fmt: skip
        levels = []
        for level in hierarchy[:-1]:
            rows = BlockRows.of_blocks(level.A, components, components)
            is_free = level.A.diagonal().reshape(-1, components) > 0.0
            prolongation = BlockRows.of_blocks(level.P, components, modes.shape[1])
            levels.append(Level.of(Smoother.of(rows, is_free, _DEGREE), prolongation))
            components = modes.shape[1]
        last = hierarchy[-1].A
        coarsest = _coarsest(
            BlockRows.of_blocks(last, components, components), last.diagonal().reshape(-1, components) > 0.0
        )
        return cls(tuple(levels), coarsest, np.ones(len(dofs), dtype=bool), dofs)

    def __repr__(self):
        sizes = [level.smoother.matrix.n for level in self.levels]
        return f"Multigrid(nodes of the levels {', '.join(f'{n:,}' for n in sizes)}, and a factored one)"

    def __call__(self, residual: np.ndarray) -> np.ndarray:
        if self.rows is None:
            return self._cycle(residual, 0)
        result = np.zeros_like(residual)
        result[self.rows] = self._cycle(residual[self.rows], 0)
        return result

    def renewed(self, matrix: BlockRows) -> "Multigrid":
        """The same coarse levels under a changed finest matrix.

        Raises
        ------
        ArithmeticError
            If a diagonal block is not positive definite.
        """
        if not self.levels or self.rows is not None:
            return self
        smoother = self.levels[0].smoother
        inverse, singular = matrix.inverse_diagonal(self.is_free)
        if len(singular):
            raise ArithmeticError(f"the diagonal block of node {singular[0]} is not positive definite")
        first = smoother._replace(matrix=matrix.rounded(), inverse=inverse)
        return replace(self, levels=(self.levels[0]._replace(smoother=first), *self.levels[1:]))

    def _cycle(self, right, depth):
        if depth == len(self.levels):
            return self.coarsest(right)
        smoother, prolongation, restriction = self.levels[depth]
        x, left = smoother.smooth_and_residual(right)
        coarse = self._cycle(restriction @ left, depth + 1)
        return x + smoother.smooth(left, prolongation @ coarse)


def _prolongation(matrix, smoother, modes, is_free, threshold):
    """Smoothed prolongation from aggregates, the modes of the coarse level, and which of its rows are alive."""
    width = modes.shape[1]
    aggregate, count = _aggregates(matrix, is_free, threshold)
    members = np.argsort(aggregate, kind="stable")[np.count_nonzero(aggregate < 0) :]
    firsts = np.searchsorted(aggregate[members], np.arange(count + 1))
    basis, coarse = np.zeros((matrix.n, matrix.rows, width)), np.zeros((count * width, width))
    alive = np.empty((count, width), dtype=bool)
    orthonormal(firsts, members, modes, matrix.rows, basis, coarse, alive)
    starts, columns = np.zeros(matrix.n + 1, dtype=np.int64), np.empty(0, dtype=np.int32)
    for fill in (False, True):
        over_rows(
            aggregates_around, matrix.starts, matrix.columns, aggregate, starts, columns, fill, few=FEW_OF_MATRICES
        )
        if not fill:
            np.cumsum(starts, out=starts)
            columns = np.empty(starts[-1], dtype=np.int32)
    data = np.empty(len(columns) * matrix.rows * width)
    over_rows(
        smooth, matrix.starts, matrix.columns, matrix.data, matrix.rows, width, smoother.inverse,
        _DAMPING / smoother.bound, aggregate, basis, starts, columns, data, few=FEW_OF_MATRICES,
    )  # fmt: skip
    return BlockRows(starts, columns, data, matrix.rows, width, count), coarse, alive


def _component_by_component(interpolation, is_free):
    """An interpolation of each component of vectors by itself, 0 where a row is held on either level."""
    size, n = is_free.shape[1], interpolation.shape[1]
    rows = np.repeat(np.arange(len(is_free)), np.diff(interpolation.indptr))
    columns = interpolation.indices
    blocks = interpolation.data[:, None] * is_free[rows] * is_free[columns]
    blocks = blocks[:, :, None] * np.eye(size)
    shape = (size * len(is_free), size * n)
    return BlockRows.of_blocks(bsr_array((blocks, columns, interpolation.indptr), shape=shape), size, size)


def _aggregates(matrix, is_free, threshold):
    """Aggregate of each node, -1 for those that are held, and their number."""
    from pyamg.amg_core import standard_aggregation

    sizes, on_diagonal = np.empty(matrix.n_blocks), np.zeros(matrix.n)
    over_rows(block_sizes, matrix.starts, matrix.columns, matrix.data, matrix.rows, is_free, sizes, on_diagonal)
    starts, strong = np.empty(matrix.n + 1, dtype=np.int32), np.empty(matrix.n_blocks, dtype=np.int32)
    end = strong_pattern(matrix.starts, matrix.columns, sizes, on_diagonal, threshold, starts, strong)
    aggregate, roots = np.empty(matrix.n, dtype=np.int32), np.empty(matrix.n, dtype=np.int32)
    count = standard_aggregation(matrix.n, starts, strong[:end], aggregate, roots)
    is_held = ~is_free.any(axis=1)
    aggregate[is_held] = -1
    # a node without neighbours is in none: the smoother alone solves its equations
    return aggregate, count


def _coarsest(matrix, is_free):
    """Solution of a small system by its factors, 0 where a row is not free."""
    free = np.flatnonzero(is_free)
    condensed = matrix.tocsr()[free][:, free]
    if len(free) > _FULL:
        try:
            solve = splu(condensed.tocsc()).solve
        except RuntimeError as error:
            raise ArithmeticError("the coarsest level of the multigrid is singular") from error
    else:
        try:
            factors = cho_factor(condensed.toarray(), overwrite_a=True, check_finite=False)
        except LinAlgError as error:
            raise ArithmeticError("the coarsest level of the multigrid is not positive definite") from error
        solve = partial(cho_solve, factors, check_finite=False)

    def solution(right):
        x = np.zeros_like(right)
        if len(free):
            x[free] = solve(right[free])
        return x

    return solution


@contextmanager
def _seeded() -> Iterator[None]:
    """pyamg draws from NumPy's global generator: the same numbers each time, and none taken from its user."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
