"""Smoothing by polynomials in a matrix that is scaled by its diagonal blocks."""

from typing import NamedTuple

import numpy as np
from scipy.linalg import eigvalsh_tridiagonal

from femnn.solvers.linear.block_kernels import relax
from femnn.solvers.linear.block_rows import BlockRows
from femnn.solvers.linear.threads import over_rows

# Lanczos' method gives the largest eigenvalue from below: after so many steps from a random start by a few per cent
# (J. Kuczyński, H. Woźniakowski, SIAM J. Matrix Anal. Appl. 13 (1992) 1094-1122). The polynomial of degree 2 contracts
# up to 1.25 times the bound, so that with the margin an estimate may be a quarter too small.
_LANCZOS_STEPS, _MARGIN = 8, 1.1

# Part by which a recurrence has to have gone on before it is believed.
_ROUNDING = 1e-14


class Smoother(NamedTuple):
    """Chebyshev polynomials of the fourth kind in D⁻¹ A, D being the diagonal blocks of A.

    J. Lottes, "Optimal polynomial smoothers for multigrid V-cycles", Numerical Linear Algebra with Applications 30
    (2023) e2518. Unlike those of the first kind they need no guess of the least eigenvalue that they should damp.

    Attributes
    ----------
    matrix : BlockRows
        A, symmetric positive definite over what is free, its entries rounded to single precision: half of what each
        product reads. The polynomial stays symmetric, and the preconditioner changes by 1e-7 √κ at most.
    inverse : (n, rows, rows)
        Inverses of the diagonal blocks, 0 where a row is held.
    bound
        Of the eigenvalues of D⁻¹ A.
    degree
        Of the polynomial: products with A, one less where it starts from 0.
    """

    matrix: BlockRows
    inverse: np.ndarray
    bound: float
    degree: int

    @classmethod
    def of(cls, matrix: BlockRows, is_free: np.ndarray, degree: int) -> "Smoother":
        """The smoother of a matrix over what is free, (n, rows) bool.

        Raises
        ------
        ArithmeticError
            If a diagonal block is not positive definite: then neither is the matrix.
        """
        inverse, singular = matrix.inverse_diagonal(is_free)
        if len(singular):
            raise ArithmeticError(f"the diagonal block {singular[0]} of a level is not positive definite")
        smoother = cls(matrix.rounded(), inverse, 1.0, degree)
        return smoother._replace(bound=_MARGIN * smoother._largest_eigenvalue(is_free))

    def smooth(self, right: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
        """``start`` and what the polynomial adds to it, for the equations ``A x = right``.

        Parameters
        ----------
        right, start : (n · rows,)
            ``start`` None stands for 0.
        """
        return self._followed(right, start)[0]

    def smooth_and_residual(self, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the polynomial makes of 0, and the residual that it leaves."""
        x, left, step = self._followed(right, None)
        return x, self._relaxed(left, step)[0]

    def _followed(self, right, start):
        left, step = self._relaxed(right, start, gain=4.0 / (3.0 * self.bound))
        x = step.copy() if start is None else start + step
        for k in range(2, self.degree + 1):
            gain = (8 * k - 4) / ((2 * k + 1) * self.bound)
            left, step = self._relaxed(left, step, step, (2 * k - 3) / (2 * k + 1), gain)
            x += step
        return x, left, step

    def _relaxed(self, right, x=None, old=None, keep=0.0, gain=0.0):
        """``right - A x``, and ``keep · old + gain · D⁻¹`` of it."""
        matrix = self.matrix
        left, new = np.empty_like(right), np.empty_like(right) if gain else right
        over_rows(
            relax, matrix.starts, matrix.columns, matrix.data, matrix.unit, matrix.rows,
            0 if x is None else matrix.longest, self.inverse, right if x is None else x, right, left,
            right if old is None else old, new, keep, gain,
        )  # fmt: skip
        return left, new

    def _largest_eigenvalue(self, is_free):
        """Estimate of that of D⁻¹ A from below, by the conjugate gradients that are Lanczos' method."""
        left = np.where(is_free, np.random.default_rng(0).uniform(-1.0, 1.0, is_free.shape), 0.0).ravel()
        lengths, turns = [], []
        direction, before, first = None, 1.0, None
        for _ in range(_LANCZOS_STEPS):
            _, near = self._relaxed(left, gain=1.0)
            product = inner(left, near)
            first = product if first is None else first
            if not product > _ROUNDING * first:
                break
            if direction is not None:
                turns.append(product / before)
                near += turns[-1] * direction
            direction, before = near, product
            forces = self.matrix @ direction
            energy = inner(forces, direction)
            if not energy > 0.0:
                raise ArithmeticError("a level of the multigrid is not positive definite")
            lengths.append(product / energy)
            left = left - lengths[-1] * forces
        if not lengths:
            return 1.0
        return largest_ritz_value(lengths, turns)


def inner(a: np.ndarray, b: np.ndarray) -> float:
    """Inner product, summed in the same order for any number of threads."""
    return float(np.add.reduce(a * b))


def ritz_values(lengths: list[float], turns: list[float]) -> np.ndarray:
    """Eigenvalues (m,) of a preconditioned matrix as conjugate gradients see them after m steps.

    Parameters
    ----------
    lengths, turns
        α of each step and β from each step to the next (Y. Saad, Iterative Methods for Sparse Linear Systems, 2003,
        section 6.7.3).
    """
    inverse, ratios = 1.0 / np.array(lengths), np.array(turns[: len(lengths) - 1])
    diagonal = inverse.copy()
    diagonal[1:] += ratios * inverse[:-1]
    return eigvalsh_tridiagonal(diagonal, np.sqrt(ratios) * inverse[:-1])


def largest_ritz_value(lengths: list[float], turns: list[float]) -> float:
    """The largest of :func:`ritz_values`."""
    return float(ritz_values(lengths, turns)[-1])
