"""Saddle-point systems of displacements and pressures by iteration, where factors would take too much memory.

[[K, −Bᵀ], [−B, −C]] is symmetric and indefinite, so MINRES solves it (C. C. Paige, M. A. Saunders, SIAM J. Numer. Anal.
12 (1975) 617-629). Its preconditioner has two blocks: a V-cycle of multigrid for K, and one for Ŝ = C + β M, where M is
the mass matrix of the pressures and β = α²/(bulk modulus of the drained skeleton). Ŝ is an upper bound of the Schur
complement C + B K⁻¹ Bᵀ, and no larger than it but for a constant where displacements and pressures are stable together:
so the iterations depend on neither the size of the mesh nor the step (J. J. Lee, K.-A. Mardal, R. Winther, SIAM J. Sci.
Comput. 39 (2017) A1-A24).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array, sparray
from scipy.sparse.linalg import LinearOperator, minres

from femnn.checks import checked
from femnn.exceptions import ConvergenceError
from femnn.solvers.linear.block_rows import BlockRows
from femnn.solvers.linear.conjugate_gradients import conjugate_gradients
from femnn.solvers.linear.multigrid import Multigrid
from femnn.solvers.linear.near_null_space import linear_interpolation, near_null_space

# Of each call of MINRES, in its own norm, and of the solution as `Factor.solve` measures it.
_RTOL, _ENOUGH = 1e-10, 1e-12

_MOST_ITERATIONS, _MOST_CORRECTIONS = 500, 4

# How well the stiffness of unknowns that are equal to each other is to be known to the preconditioner.
_EXTENSION = 1e-2


class Displacements(NamedTuple):
    """A symmetric positive definite approximation of the inverse of K over what is free.

    Attributes
    ----------
    cycle
        Of the displacements that are free and by themselves.
    single, columns : (k,) int
        These displacements, and their places among what is free.
    extensions : (m, g)
        For each group of equal displacements its motion, continued into the body.
    inverse : (g, g)
        Of the stiffness of these motions.
    """

    cycle: Multigrid
    single: np.ndarray
    columns: np.ndarray
    extensions: np.ndarray
    inverse: np.ndarray

    @classmethod
    @checked(points="unchecked")
    def of(cls, stiffness: csr_array, spread: csr_array, points: Any) -> "Displacements":
        """Set it up.

        Parameters
        ----------
        stiffness : (n_u, n_u)
        spread : (n_u, m)
            Rows of ``Constraint.matrix``: the column of each displacement that is free.
        points
            Basis of the displacements.

        Raises
        ------
        ArithmeticError
            If the stiffness is not positive definite.
        """
        n = stiffness.shape[0]
        modes, components = near_null_space(points, n)
        counts = np.bincount(spread.indices, minlength=spread.shape[1])
        moving = np.flatnonzero(np.diff(spread.indptr))
        alone = counts[spread.indices] == 1
        single, columns = moving[alone], spread.indices[alone]
        is_free = np.zeros(n, dtype=bool)
        is_free[single] = True
        cycle = Multigrid.quick(
            BlockRows.of(stiffness, components),
            modes,
            is_free.reshape(-1, components),
            linear_interpolation(points.mesh, n),
        )
        groups = np.flatnonzero(counts > 1)
        extensions = np.zeros((spread.shape[1], len(groups)))
        bare = cls(cycle, single, columns, extensions, np.empty((0, 0)))
        reduced = csr_array(spread.T @ stiffness @ spread)
        inner = reduced[columns][:, columns]
        precondition = partial(bare._of_single, n=n)
        for g, column in enumerate(groups):
            pull = np.asarray(reduced[columns][:, [column]].toarray()).ravel()
            extensions[columns, g] = -conjugate_gradients(inner, pull, precondition, _EXTENSION, 100).x
            extensions[column, g] = 1.0
        return bare._replace(inverse=np.linalg.inv(extensions.T @ (reduced @ extensions)))

    def __call__(self, residual: np.ndarray) -> np.ndarray:
        result = self.extensions @ (self.inverse @ (self.extensions.T @ residual))
        result[self.columns] += self._of_single(residual[self.columns], self.cycle.is_free.size)
        return result

    def _of_single(self, residual, n):
        whole = np.zeros(n)
        whole[self.single] = residual
        return self.cycle(whole)[self.single]


class Pressures(NamedTuple):
    """A V-cycle for Ŝ over the pressures that are free.

    Attributes
    ----------
    cycle
    places : (m,) int
        Of the pressures that are free where those of all systems stand node by node.
    """

    cycle: Multigrid
    places: np.ndarray

    @classmethod
    @checked()
    def of(cls, complement: sparray, systems: int, free: np.ndarray) -> "Pressures":
        """Set it up for Ŝ (systems · n, systems · n), system by system, of which ``free`` are free."""
        n = complement.shape[0] // systems
        node_by_node = np.arange(systems * n).reshape(systems, n).T.ravel()
        place = np.empty(systems * n, dtype=np.int64)
        place[node_by_node] = np.arange(systems * n)
        ordered = csr_array(complement)[node_by_node][:, node_by_node]
        is_free = np.zeros(systems * n, dtype=bool)
        is_free[place[free]] = True
        modes = np.tile(np.eye(systems), (n, 1))
        return cls(Multigrid.quick(BlockRows.of(ordered, systems), modes, is_free.reshape(n, systems)), place[free])

    def __call__(self, residual: np.ndarray) -> np.ndarray:
        whole = np.zeros(self.cycle.is_free.size)
        whole[self.places] = residual
        return self.cycle(whole)[self.places]


class SaddleIteration(NamedTuple):
    """What :class:`femnn.solvers.linear.Factor` does, by preconditioned MINRES.

    Attributes
    ----------
    matrix : (m, m) csr_array
        Over what is free: displacements first.
    constraint : Constraint
    scale : (m,)
        Makes residuals of displacements and pressures compare.
    displacements, pressures
        Blocks of the preconditioner.
    """

    matrix: csr_array
    constraint: Any
    scale: np.ndarray
    displacements: Displacements
    pressures: Pressures

    @checked(residual="unchecked")
    def solve(self, x: np.ndarray, residual: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, float]:
        """Solution of ``residual(x) = 0`` and its relative error; as :meth:`femnn.solvers.linear.Factor.solve`.

        Raises
        ------
        ConvergenceError
            If it did not converge.
        """
        spread, counts, errors = self.constraint.matrix, [], []
        out = self.constraint.reduce(residual(x))
        first = np.linalg.norm(self.scale * out)
        for _ in range(_MOST_CORRECTIONS):
            step, count = self._iterate(out)
            x = x - spread @ step
            counts.append(count)
            out = self.constraint.reduce(residual(x))
            errors.append(self._relative(out, x, first))
            if errors[-1] <= _ENOUGH or (len(errors) > 1 and errors[-1] > 0.5 * errors[-2]):
                break
        if not errors[-1] < 1e-6:
            raise ConvergenceError(
                f"MINRES left a relative error of {errors[-1]:.3g} after {' + '.join(map(str, counts))} iterations for "
                f"{len(self.scale):,} unknowns; check the orders of magnitude of the medium's parameters, or pass "
                "method='splu'",
                x,
                np.array(errors),
            )
        return x, errors[-1]

    def _iterate(self, right):
        n, steps = len(right), []
        half = len(self.displacements.extensions)
        blocks = (self.displacements, slice(0, half)), (self.pressures, slice(half, n))

        def precondition(vector):
            result = np.empty(n)
            for block, rows in blocks:
                result[rows] = block(np.ravel(vector)[rows])
            return result

        step, _ = minres(
            self.matrix,
            right,
            M=LinearOperator((n, n), matvec=precondition, dtype=float),
            rtol=_RTOL,
            maxiter=_MOST_ITERATIONS,
            callback=steps.append,
        )
        return step, len(steps)

    def _relative(self, out, x, first):
        free = np.zeros(self.matrix.shape[0])
        spread = self.constraint.matrix
        free[spread.indices] = x[np.diff(spread.indptr) > 0]
        size = first + np.linalg.norm(self.scale * (abs(self.matrix) @ np.abs(free)))
        return float(np.linalg.norm(self.scale * out) / size) if size > 0.0 else 0.0
