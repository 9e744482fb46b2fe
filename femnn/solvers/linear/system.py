"""A stiffness matrix, a load and prescribed values: checked, brought to units of their own, reduced to what is free."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import bsr_array, csr_array, issparse, sparray, spmatrix

from femnn.checks import vector
from femnn.exceptions import ParameterError, SingularMatrixError
from femnn.solvers.linear.degrees_of_freedom import named, prescribe

# Assembly in another order of the elements leaves differences of 1e-15.
_SYMMETRY = 1e-9

# Backward error of a solution that is as good as its matrix.
_LAST_PLACES = 8 * np.finfo(float).eps


# Binary exponents of the entries of K beyond which it is scaled: sums of their squares stay far from overflow.
_MOST_EXPONENT = 300


@dataclass(frozen=True, eq=False, repr=False)
class Operator:
    """A matrix, and which of its unknowns are free.

    Attributes
    ----------
    matrix : (n, n) csr_array
        K' = 2^-``scaling`` K, with sorted indices and no duplicates; shares its arrays with what the user passed, never
        to be written to. K itself unless its entries are beyond 1e-90 to 1e90.
    scaling : int
    is_free : (n,) bool
    """

    matrix: csr_array
    scaling: int
    is_free: np.ndarray

    @classmethod
    def of(cls, matrix: sparray | spmatrix, is_fixed: np.ndarray) -> "Operator":
        """Check a matrix that a user passes; nothing of it is changed.

        Raises
        ------
        ParameterError
            If its shape does not fit, or an entry is not finite.
        SingularMatrixError
            If a free degree of freedom has an empty row.
        """
        matrix, size = _matrix(matrix)
        if len(is_fixed) != matrix.shape[0]:
            raise ParameterError(f"K has {matrix.shape[0]} rows; this solver was made for {len(is_fixed)}")
        scaling = size if abs(size) > _MOST_EXPONENT else 0
        if scaling:
            data = np.ldexp(matrix.data, -scaling)
            matrix = csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)
        operator = cls(matrix, scaling, ~is_fixed)
        vars(operator)["exponent"] = size - scaling
        operator._check_rows()
        return operator

    def __repr__(self):
        return f"Operator({len(self.free):,} of {len(self.is_free):,} degrees of freedom are free)"

    @cached_property
    def exponent(self) -> int:
        """Binary exponent of the largest entry of K'."""
        return _exponent(self.matrix.data)

    @cached_property
    def free(self) -> np.ndarray:
        """(m,) int64: degrees of freedom to be found, ascending."""
        return np.flatnonzero(self.is_free)

    @cached_property
    def diagonal(self) -> np.ndarray:
        """(n,)"""
        return self.matrix.diagonal()

    @cached_property
    def is_symmetric(self) -> bool:
        """True if K is symmetric, to 1e-9 of the diagonal of each row or to rounding, seen on a random vector."""
        probe = np.zeros(len(self.is_free))
        probe[self.free] = np.random.default_rng(0).uniform(0.5, 1.0, len(self.free))
        difference = np.abs(self.matrix @ probe - self.matrix.T @ probe)[self.free]
        skew = difference > _SYMMETRY * np.abs(self.diagonal[self.free])
        # where rows are scaled very differently, rounding may be larger than the diagonal
        return not skew.any() or bool((difference <= _LAST_PLACES * (abs(self.matrix) @ probe)[self.free])[skew].all())

    @cached_property
    def is_positive(self) -> bool:
        """True if the diagonal is positive, as that of a positive definite matrix must be."""
        return bool((self.diagonal[self.free] > 0.0).all())

    def condensed(self) -> csr_array:
        """(m, m): rows and columns of what is free."""
        if self.is_free.all():
            return self.matrix
        return self.matrix[self.free][:, self.free]

    def blocks(self, components: int) -> tuple[bsr_array | csr_array, np.ndarray, np.ndarray]:
        """The matrix in dense blocks of ``components`` rows, for multigrid.

        Nodes that are prescribed in all components are left out. Where only some are, their rows and columns are
        cleared but for the diagonal: the blocks stay whole, the matrix symmetric, the solution the same.

        Returns
        -------
        matrix : (k, k) bsr_array, or csr_array for one component
        dofs : (k,) int64
            The degree of freedom of each row.
        is_free : (k,) bool
        """
        if components == 1:
            return self.condensed(), self.free, np.ones(len(self.free), dtype=bool)
        n = len(self.is_free)
        is_free: np.ndarray = np.zeros((n // components, components), dtype=bool)
        is_free.ravel()[self.free] = True
        nodes = np.flatnonzero(is_free.any(axis=1))
        whole = self.matrix.tobsr((components, components))
        where = csr_array((np.arange(len(whole.indices)), whole.indices, whole.indptr), shape=(n // components,) * 2)
        where = where[nodes][:, nodes]
        data, is_free = whole.data[where.data], is_free[nodes]
        del whole
        if not is_free.all():
            rows = np.repeat(np.arange(len(nodes)), np.diff(where.indptr))
            on_diagonal = np.flatnonzero(rows == where.indices)[:, None], np.arange(components), np.arange(components)
            diagonal = data[on_diagonal]
            data *= is_free[rows][:, :, None]
            data *= is_free[where.indices][:, None, :]
            data[on_diagonal] = np.where(diagonal > 0.0, diagonal, 1.0)
        matrix = bsr_array((data, where.indices, where.indptr), shape=(components * len(nodes),) * 2)
        return matrix, (components * nodes[:, None] + np.arange(components)).ravel(), is_free.ravel()

    def _check_rows(self):
        suspects = self.free[self.diagonal[self.free] == 0.0]
        empty = suspects[abs(self.matrix[suspects]).sum(axis=1) == 0.0] if len(suspects) else suspects
        if len(empty):
            raise SingularMatrixError(
                f"{named(empty)} {'has an empty row' if len(empty) == 1 else 'have empty rows'}: no element carries "
                "them (vertices without elements, or elements left out); add them to `fixed`, or remove the vertices",
                empty,
            )


@dataclass(frozen=True, eq=False, repr=False)
class LinearSystem:
    """``K x = f`` with some of ``x`` prescribed.

    Solved is K' x' = f' with x = 2^``exponent`` x' and a load f' of the size of K', so that loads of any magnitude
    neither under- nor overflow. All units are powers of two, which change no bit of the result.

    Attributes
    ----------
    operator : Operator
        K', and what is free.
    force : (n,)
        f', 0 where x is prescribed.
    prescribed : (n,)
        Prescribed values of x', 0 where free.
    values : (n,)
        The same of x.
    exponent : int
    """

    operator: Operator
    force: np.ndarray
    prescribed: np.ndarray
    values: np.ndarray
    exponent: int

    @classmethod
    def of(
        cls, matrix: sparray | spmatrix, force: ArrayLike, fixed: Any = None, values: ArrayLike = 0.0
    ) -> "LinearSystem":
        """Check everything a user can pass, see :func:`femnn.solve`; nothing of it is changed.

        Raises
        ------
        ParameterError
            If a shape does not fit, a number is not finite, or a degree of freedom does not exist.
        SingularMatrixError
            If a free degree of freedom has an empty row.
        """
        n = rows_of(matrix)
        prescribed, is_fixed = prescribe(n, fixed, values)
        vector(force, n, "f")
        return cls.loaded(Operator.of(matrix, is_fixed), force, prescribed)

    @classmethod
    def loaded(cls, operator: Operator, force: ArrayLike, prescribed: np.ndarray) -> "LinearSystem":
        """The system of a matrix that was checked, a load (n,) and prescribed values (n,), 0 where free."""
        force = np.where(operator.is_free, vector(force, len(prescribed), "f"), 0.0)
        candidates = []
        if force.any():
            candidates.append(_exponent(force) - operator.scaling - operator.exponent)
        if prescribed.any():
            candidates.append(_exponent(prescribed))
        exponent = max(candidates, default=0)
        force = np.ldexp(force, -operator.scaling - exponent)
        return cls(operator, force, np.ldexp(prescribed, -exponent), prescribed, exponent)

    def __repr__(self):
        return f"LinearSystem({len(self.free):,} of {len(self.force):,} degrees of freedom are free)"

    @property
    def matrix(self) -> csr_array:
        """(n, n): K'."""
        return self.operator.matrix

    @property
    def free(self) -> np.ndarray:
        """(m,) int64: degrees of freedom to be found, ascending."""
        return self.operator.free

    @cached_property
    def right_side(self) -> np.ndarray:
        """(m,): the load on what is free, what the prescribed values pull included."""
        pulled = self.matrix @ self.prescribed if self.prescribed.any() else 0.0
        return (self.force - pulled)[self.free]

    def completed(self, free_values: np.ndarray) -> np.ndarray:
        """x' (n,): prescribed values and those found."""
        x = self.prescribed.copy()
        x[self.free] = free_values
        return x

    def in_units_of_the_user(self, x: np.ndarray) -> np.ndarray:
        """x (n,) of x' (n,); where it is larger than a double, infinite."""
        with np.errstate(over="ignore", under="ignore"):
            result = np.ldexp(x, self.exponent)
        if x.any() and not result.any():
            raise ParameterError(
                f"the solution is smaller than a double, 2^{self.exponent} times {np.abs(x).max():.1e}: choose other "
                "units"
            )
        # prescribed values are those that were given, even where x' cannot hold them
        return np.where(self.operator.is_free, result, self.values)

    def relative_residual(self, x: np.ndarray) -> float:
        """‖f' - K' x'‖ over what is free, divided by the norm of the right side."""
        missed = (self.force - self.matrix @ x)[self.free]
        return float(np.linalg.norm(missed) / (np.linalg.norm(self.right_side) or 1.0))

    def is_solved_to_rounding(self, x: np.ndarray) -> bool:
        """True if x' solves a system that differs from this one by a few units in the last place of each entry.

        W. Oettli, W. Prager, Numerische Mathematik 6 (1964) 405-409, in norms.
        """
        missed = (self.force - self.matrix @ x)[self.free]
        size = (np.abs(self.force) + abs(self.matrix) @ np.abs(x))[self.free]
        return bool(np.linalg.norm(missed) <= _LAST_PLACES * np.linalg.norm(size))


def _exponent(values):
    """Binary exponent of the largest of these numbers, 0 if there is none but zeros."""
    return int(np.frexp(max(values.max(initial=0.0), -values.min(initial=0.0)))[1])


def rows_of(matrix: Any) -> int:
    """Number of rows of a square sparse matrix; ParameterError unless it is one."""
    if not issparse(matrix):
        raise ParameterError(f"K is a {type(matrix).__name__}; pass a sparse matrix, such as skfem.asm gives")
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.shape[0] == 0:
        raise ParameterError(f"K has shape {matrix.shape}; it must be square and not empty")
    return int(matrix.shape[0])


def _matrix(matrix):
    """The matrix as CSR in canonical format, and the binary exponent of its largest entry."""
    rows_of(matrix)
    if matrix.dtype.kind not in "biuf":
        raise ParameterError(
            f"K holds {matrix.dtype} numbers; femnn solves real systems, see scipy.sparse.linalg for complex ones"
        )
    result = csr_array(matrix, dtype=float)
    if not result.has_canonical_format:
        result = csr_array((result.data.copy(), result.indices.copy(), result.indptr.copy()), shape=result.shape)
        result.sum_duplicates()
    largest = max(result.data.max(initial=0.0), -result.data.min(initial=0.0))
    if not np.isfinite(largest):
        row = np.searchsorted(result.indptr, np.flatnonzero(~np.isfinite(result.data))[0], side="right") - 1
        raise ParameterError(f"K has an entry in row {row} that is not finite; check the coefficients and the mesh")
    return result, int(np.frexp(largest)[1])
