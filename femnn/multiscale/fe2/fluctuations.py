"""Linear systems of periodic fluctuations: condensed from those of the mesh, solved with what the virgin cell gives."""

from collections.abc import Callable
from contextlib import suppress

import numpy as np
from scipy.sparse import csc_array, csr_array
from scipy.sparse.linalg import LinearOperator, gmres, splu

from femnn.solvers.linear.block_rows import BlockRows
from femnn.solvers.linear.conjugate_gradients import conjugate_gradients
from femnn.solvers.linear.multigrid import Multigrid
from femnn.solvers.linear.near_null_space import near_null_space
from femnn.solvers.linear.solver import LinearSolver

# Unknowns up to which the virgin tangent is factored; beyond it has a multigrid.
_FEW = 4_000

# Iterations after which the tangent itself is factored.
_MOST = 200

# Rounds of generalised minimal residuals: a round ends where the preconditioned residual is small, which the true one
# need not be yet. Factors of a large cell's tangent take minutes in the place of a second.
_ROUNDS = 4

# Iterations after which the preconditioner is made anew.
_MANY = 30

# Of the solutions by factors.
_FACTORED = 1e-10


class FluctuationSolver:
    """Solves PᵀKP w = f for tangents K of the mesh, P giving the vertices the fluctuations of their independent ones.

    Tangents of a cell differ by what yields and breaks in it, so that Krylov iterations with factors or a multigrid of
    an earlier one need few steps: conjugate gradients, and generalised minimal residuals where softening makes the
    tangent unsymmetric or indefinite.

    Parameters
    ----------
    matrix
        The virgin tangent (n_dofs, n_dofs).
    rows : (n_dofs,)
        Fluctuation of each degree of freedom.
    fixed : (k,)
        Fluctuations that are zero.
    coordinates : (3, m)
        Of the independent vertices.
    """

    def __init__(self, matrix: csr_array, rows: np.ndarray, fixed: np.ndarray, coordinates: np.ndarray) -> None:
        self._rows, self._fixed, self._coordinates = rows, fixed, coordinates
        self._learn(csr_array(matrix))
        self.n = int(rows.max()) + 1
        self._precondition = self._made(self.condensed(matrix))

    def condensed(self, matrix: csr_array) -> csr_array:
        """PᵀKP, where what is fixed has a diagonal alone."""
        matrix = csr_array(matrix)
        if not all(
            a is b or np.array_equal(a, b) for a, b in zip((matrix.indptr, matrix.indices), self._of, strict=True)
        ):
            self._learn(matrix)
        data = np.bincount(self._places, matrix.data, minlength=len(self._columns))
        data[self._held] = 0.0
        data[self._pins] = float(np.abs(data[self._diagonal]).mean())
        return csr_array((data, self._columns, self._starts), shape=(self.n, self.n))

    def solve(self, matrix: csr_array, right: np.ndarray, rtol: float) -> np.ndarray:
        """Fluctuations (n, k) under forces (n, k), which are zero where these are fixed, for a tangent of the mesh.

        Raises
        ------
        SingularMatrixError, ConvergenceError
            As :func:`femnn.solve`.
        """
        condensed = self.condensed(matrix)
        solution, direct = np.empty_like(right), None
        is_symmetric = abs(condensed - condensed.T).max() <= 1e-9 * abs(condensed).max()
        for k, column in enumerate(right.T):
            found = self._iterated(condensed, column, is_symmetric, rtol) if direct is None else None
            if found is None:
                direct = direct or LinearSolver(condensed, None, self._coordinates, "splu", _FACTORED)
                found = direct.solve(column).x
            solution[:, k] = found
        return solution

    def _iterated(self, condensed, column, is_symmetric, rtol):
        """The solution (n,) by iterations, or None; after many of them the next ones begin with this tangent."""
        found = None
        if is_symmetric:
            iteration = conjugate_gradients(condensed, column, self._precondition, rtol, _MOST)
            count, found = len(iteration.residuals), iteration.x if iteration.converged else None
        if found is None:
            norms: list[float] = []
            precondition = LinearOperator(condensed.shape, self._precondition, dtype=float)
            found, failed = gmres(
                condensed, column, rtol=rtol, restart=_MOST, maxiter=_ROUNDS, M=precondition,
                callback=norms.append, callback_type="pr_norm",
            )  # fmt: skip
            count, found = len(norms), None if failed else found
        if count > _MANY:
            # where it is not positive definite, or singular, the old one stays
            with suppress(ArithmeticError, RuntimeError):
                self._precondition = self._made(csr_array(0.5 * (condensed + condensed.T)))
        return found

    def _learn(self, matrix):
        """Find the pattern of PᵀKP, and where each entry of K goes."""
        n = self.n = int(self._rows.max()) + 1
        self._of = matrix.indptr.copy(), matrix.indices.copy()
        own = np.repeat(self._rows, np.diff(matrix.indptr)).astype(np.int64)
        unique, self._places = np.unique(own * n + self._rows[matrix.indices], return_inverse=True)
        row, column = unique // n, unique % n
        self._columns = column.astype(np.int32)
        self._starts = np.searchsorted(unique, np.arange(n + 1, dtype=np.int64) * n).astype(np.int32)
        is_fixed = np.zeros(n, dtype=bool)
        is_fixed[self._fixed] = True
        self._held = is_fixed[row] | is_fixed[column]
        self._diagonal = row == column
        self._pins = self._held & self._diagonal

    def _made(self, condensed: csr_array) -> Callable[[np.ndarray], np.ndarray]:
        if self.n <= _FEW:
            return splu(csc_array(condensed), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve
        modes, _ = near_null_space(self._coordinates, self.n)
        return Multigrid.quick(BlockRows.of(condensed, 3), modes, np.ones((self.n // 3, 3), dtype=bool))
