"""Matrices in small dense blocks, one or a few rows a node: products over threads with the same bits for any number."""

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from scipy.sparse import bsr_array, csr_array, sparray

from femnn.solvers.linear.block_kernels import (
    columns_of_product,
    invert_diagonal,
    multiply,
    multiply_matrices,
    nodes_of,
    transpose,
    transposed,
)
from femnn.solvers.linear.threads import FEW_OF_MATRICES, over_rows

# Blocks of AP that are kept at a time.
_PART = 1 << 18

# Binary exponents of the largest entry up to which a matrix is rounded as it is: SI units are among them.
_MOST_EXPONENT = 60


@dataclass(frozen=True, eq=False, repr=False)
class BlockRows:
    """A matrix of n by m blocks, each of ``rows`` by ``width``.

    Attributes
    ----------
    starts : (n + 1,) int64
        Where the blocks of each row start in ``columns``.
    columns : (total,) int32
    data : (rows · width · total,) float64 or float32
        Block row by block row, in each its scalar rows one after the other.
    rows, width
        Shape of the blocks.
    n_columns
        m.
    unit
        What the entries are to be multiplied by: 1 unless they were :meth:`rounded`.
    """

    starts: np.ndarray
    columns: np.ndarray
    data: np.ndarray
    rows: int
    width: int
    n_columns: int
    unit: float = 1.0

    @classmethod
    def of(cls, matrix: csr_array, size: int) -> "BlockRows":
        """The square matrix in blocks of ``size``; shares its entries where it already has full blocks."""
        n = matrix.shape[0] // size
        if len(matrix.indices) % size**2 == 0:
            starts, columns = np.zeros(n + 1, dtype=np.int64), np.empty(len(matrix.indices) // size**2, dtype=np.int32)
            if nodes_of(matrix.indptr, matrix.indices, size, starts, columns):
                return cls(starts, columns, matrix.data, size, size, n)
        return cls.of_blocks(matrix, size, size)

    @classmethod
    def of_blocks(cls, matrix: sparray, rows: int, width: int) -> "BlockRows":
        """A copy of any sparse matrix in blocks of ``rows`` by ``width``, filled up with zeros."""
        blocks = bsr_array(matrix, blocksize=(rows, width))
        blocks.sort_indices()
        starts, columns = blocks.indptr.astype(np.int64), blocks.indices.astype(np.int32)
        return cls(starts, columns, blocks.tocsr().data, rows, width, matrix.shape[1] // width)

    def __repr__(self):
        shape = f"{self.n:,} × {self.n_columns:,} blocks of {self.rows} × {self.width}"
        return f"BlockRows({shape}, {self.n_blocks:,} of them)"

    @property
    def n(self) -> int:
        """Number of block rows."""
        return len(self.starts) - 1

    @property
    def n_blocks(self) -> int:
        """Number of blocks that are kept."""
        return len(self.columns)

    @cached_property
    def longest(self) -> int:
        """Blocks in the longest row."""
        return int(np.diff(self.starts).max(initial=0))

    def times(self, x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """A x (n · rows,), of x (m · width,); added to ``out`` if that is given."""
        add = out is not None
        y = np.empty(self.n * self.rows) if out is None else out
        over_rows(
            multiply, self.starts, self.columns, self.data, self.unit, self.rows, self.width, self.longest, x, y, add
        )
        return y

    def __matmul__(self, x: np.ndarray) -> np.ndarray:
        return self.times(x)

    def tocsr(self) -> csr_array:
        """The matrix as scipy has it."""
        lengths = self.width * np.diff(self.starts)
        indptr = np.concatenate([[0], np.cumsum(np.repeat(lengths, self.rows))])
        columns = (self.width * self.columns[:, None].astype(np.int64) + np.arange(self.width)).ravel()
        runs = zip(self.width * self.starts[:-1], self.width * self.starts[1:], strict=True)
        order = np.concatenate([np.tile(columns[begin:end], self.rows) for begin, end in runs])
        data = self.data if self.unit == 1.0 else self.unit * self.data.astype(float)
        return csr_array((data, order, indptr), shape=(self.n * self.rows, self.n_columns * self.width))

    def rounded(self) -> "BlockRows":
        """The same with entries in single precision, for products with vectors, which stay in double."""
        largest = max(self.data.max(initial=0.0), -self.data.min(initial=0.0))
        # matrices of any units must fit into the exponents of single precision
        exponent = int(np.frexp(largest)[1])
        unit = 1.0 if abs(exponent) <= _MOST_EXPONENT else 2.0 ** int(np.clip(exponent, -1000, 1000))
        data = np.empty(len(self.data), dtype=np.float32)
        np.multiply(self.data, 1.0 / unit, out=data, casting="same_kind")
        return replace(self, data=data, unit=unit)

    def inverse_diagonal(self, is_free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Inverses (n, rows, rows) of the diagonal blocks over what is free, and rows whose block is not definite.

        Parameters
        ----------
        is_free : (n, rows) bool
        """
        inverse, singular = np.empty((self.n, self.rows, self.rows)), np.zeros(self.n, dtype=bool)
        over_rows(invert_diagonal, self.starts, self.columns, self.data, self.rows, is_free, inverse, singular)
        return inverse, np.flatnonzero(singular)

    def galerkin(self, prolongation: "BlockRows") -> "BlockRows":
        """PᵀAP of a square matrix A, both of unit 1; of AP some rows at a time, which alone would be as large as A."""
        size, width, n = self.rows, prolongation.width, prolongation.n_columns
        restriction = prolongation.transposed
        starts, columns = _pattern_of_product(self, prolongation)
        inner = BlockRows(starts, columns, np.empty(0), size, width, n)
        outer_starts, outer_columns = _pattern_of_product(restriction, inner)
        result = BlockRows(outer_starts, outer_columns, np.zeros(len(outer_columns) * width**2), width, width, n)
        parts = np.searchsorted(starts, np.arange(0, starts[-1] + _PART, _PART))
        for first, last in pairwise(np.unique(parts.clip(max=self.n)).tolist()):
            rows = starts[first : last + 1]
            data, own = np.zeros((rows[-1] - rows[0]) * size * width), self.starts[first : last + 1]
            over_rows(
                multiply_matrices, own, own, self.columns, self.data, size, size, 0, self.n, prolongation.starts,
                prolongation.columns, prolongation.data, width, prolongation.longest, n, rows, columns, data,
                few=FEW_OF_MATRICES,
            )  # fmt: skip
            # threads share out the rows that these contribute to
            is_here = (restriction.columns >= first) & (restriction.columns < last)
            here = np.concatenate([[0], np.cumsum(is_here)])[restriction.starts]
            over_rows(
                multiply_matrices, here, restriction.starts, restriction.columns, restriction.data, width, size,
                first, last, starts, columns, data, width, inner.longest, n, outer_starts, outer_columns, result.data,
                few=FEW_OF_MATRICES,
            )  # fmt: skip
        return result

    @cached_property
    def transposed(self) -> "BlockRows":
        """The transposed matrix."""
        starts = np.zeros(self.n_columns + 1, dtype=np.int64)
        rows, places = np.empty_like(self.columns), np.empty_like(self.columns)
        transpose(self.starts, self.columns, starts, rows, places)
        data = np.empty_like(self.data)
        over_rows(transposed, starts, rows, places, self.starts, self.data, self.rows, self.width, data)
        return BlockRows(starts, rows, data, self.width, self.rows, self.n)


def _pattern_of_product(left, right):
    starts = np.zeros(left.n + 1, dtype=np.int64)
    columns = np.empty(0, dtype=np.int32)
    for fill in (False, True):
        over_rows(
            columns_of_product, left.starts, left.columns, right.starts, right.columns, right.n_columns, starts,
            columns, fill, few=FEW_OF_MATRICES,
        )  # fmt: skip
        if not fill:
            np.cumsum(starts, out=starts)
            columns = np.empty(starts[-1], dtype=np.int32)
    return starts, columns
