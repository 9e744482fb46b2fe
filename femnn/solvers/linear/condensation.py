"""Interior nodes of elements eliminated before the iteration: each is coupled to the nodes of its own element alone.

R. J. Guyan, "Reduction of stiffness and mass matrices", AIAA Journal 3 (1965) 380; for finite elements E. L. Wilson,
"The static condensation algorithm", IJNME 8 (1974) 198-203.
"""

from dataclasses import dataclass

import numpy as np

from femnn.solvers.linear.block_kernels import condense, divide
from femnn.solvers.linear.block_rows import BlockRows
from femnn.solvers.linear.threads import over_rows


@dataclass(frozen=True, eq=False, repr=False)
class Condensation:
    """A symmetric matrix without its interior nodes, the last ones.

    Attributes
    ----------
    matrix : (n, n) blocks
        K_bb - K_bi K_ii⁻¹ K_ib of the n other nodes.
    inverse : (m, rows, rows)
        K_ii⁻¹ of the m interior nodes.
    coupling : (m, n) blocks
        K_ii⁻¹ K_ib.
    """

    matrix: BlockRows
    inverse: np.ndarray
    coupling: BlockRows

    @classmethod
    def of(cls, matrix: BlockRows, is_free: np.ndarray, n: int) -> "Condensation | None":
        """Eliminate the nodes from ``n`` on; None if one of them is held, or coupled to another.

        Parameters
        ----------
        matrix : (n + m, n + m) blocks
            Symmetric, columns ascending.
        is_free : (n + m, rows) bool

        Raises
        ------
        ArithmeticError
            If the block of an interior node is not positive definite: then neither is the matrix.
        """
        starts, size = matrix.starts, matrix.rows
        own = starts[n + 1 :] - 1
        alone = np.array_equal(matrix.columns[own], np.arange(n, matrix.n))
        if not (alone and is_free[n:].all() and _last_is_the_first_interior(matrix, n)):
            return None
        inverse, singular = matrix.inverse_diagonal(is_free)
        if len(singular) and singular[-1] >= n:
            raise ArithmeticError(f"the diagonal block of node {singular[-1]} is not positive definite")
        inverse = np.ascontiguousarray(inverse[n:])
        firsts = starts[n:] - starts[n] - np.arange(matrix.n - n + 1)
        keep = np.ones(matrix.n_blocks - starts[n], dtype=bool)
        keep[own - starts[n]] = False
        columns = matrix.columns[starts[n] :][keep]
        coupling = BlockRows(firsts, columns, np.empty(len(columns) * size**2), size, size, n)
        over_rows(divide, firsts, starts[n:], matrix.data, size, inverse, coupling.data)
        inner = matrix.columns[: starts[n]] >= n
        counts = np.diff(starts[: n + 1]) - np.add.reduceat(inner, starts[:n], dtype=np.int64)
        outer = np.concatenate([[0], np.cumsum(counts)])
        condensed = BlockRows(outer, matrix.columns[: starts[n]][~inner], np.empty(outer[-1] * size**2), size, size, n)
        over_rows(
            condense, outer, starts, matrix.columns, matrix.data, size, firsts, columns, coupling.data,
            condensed.columns, condensed.data,
        )  # fmt: skip
        return cls(condensed, inverse, coupling)

    def __repr__(self):
        return f"Condensation({self.matrix!r}, {len(self.inverse):,} nodes eliminated)"

    def reduced(self, load: np.ndarray) -> np.ndarray:
        """The load on the nodes that are left, of one (rows · (n + m),) on all."""
        n = self.matrix.n * self.matrix.rows
        return load[:n] - self.coupling.transposed @ load[n:]

    def completed(self, x: np.ndarray, load: np.ndarray) -> np.ndarray:
        """The solution on all nodes, from ``x`` on those that are left and the load on all."""
        inner = load[len(x) :].reshape(len(self.inverse), -1)
        alone = np.einsum("eij,ej->ei", self.inverse, inner).ravel()
        return np.concatenate([x, alone - self.coupling @ x])


def _last_is_the_first_interior(matrix, n):
    """Whether no interior node is coupled to another: the node before its own block is no interior one."""
    before = matrix.starts[n + 1 :] - 2
    has_others = before >= matrix.starts[n:-1]
    return bool((matrix.columns[before[has_others]] < n).all())
