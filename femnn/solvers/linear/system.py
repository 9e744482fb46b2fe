"""A stiffness matrix, a load and what is prescribed: checked, and reduced to what is free."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import bsr_array, csr_array, issparse

from femnn.checks import vector
from femnn.exceptions import ParameterError, SingularMatrixError

# Assembly in another order of the elements leaves differences of 1e-15.
_SYMMETRY = 1e-9

# Backward error of a solution that is as good as its matrix.
_LAST_PLACES = 8 * np.finfo(float).eps


@dataclass(frozen=True)
class LinearSystem:
    """``K x = f`` with some of ``x`` prescribed.

    Attributes
    ----------
    matrix : (n, n) csr_array
        With sorted indices and no duplicates; shares its arrays with what the user passed, never to be written to.
    force : (n,)
    free : (m,) int64
        Degrees of freedom to be found, ascending.
    prescribed : (n,)
        Prescribed values, 0 where free.
    """

    matrix: csr_array
    force: np.ndarray
    free: np.ndarray
    prescribed: np.ndarray

    @classmethod
    def of(cls, matrix, force, fixed=None, values=0.0):
        """Check everything a user can pass, see :func:`femnn.solve`; nothing of it is changed.

        Raises
        ------
        ParameterError
            If a shape does not fit, a number is not finite, or a degree of freedom does not exist.
        SingularMatrixError
            If a free degree of freedom has an empty row.
        """
        matrix = _matrix(matrix)
        n = matrix.shape[0]
        force = vector(force, n, "f")
        prescribed, is_fixed = prescribe(n, fixed, values)
        system = cls(matrix, force, np.flatnonzero(~is_fixed), prescribed)
        system._check_rows()
        return system

    @cached_property
    def diagonal(self):
        return self.matrix.diagonal()

    @cached_property
    def right_side(self):
        """(m,): the load on what is free, what the prescribed values pull included."""
        pulled = self.matrix @ self.prescribed if self.prescribed.any() else 0.0
        return (self.force - pulled)[self.free]

    @cached_property
    def is_symmetric(self):
        """Whether K is symmetric, to 1e-9 of the diagonal of each row, seen on a random vector."""
        probe = np.zeros(len(self.force))
        probe[self.free] = np.random.default_rng(0).uniform(0.5, 1.0, len(self.free))
        difference = np.abs(self.matrix @ probe - self.matrix.T @ probe)[self.free]
        return bool((difference <= _SYMMETRY * np.abs(self.diagonal[self.free])).all())

    @cached_property
    def is_positive(self):
        """Whether the diagonal is positive, as that of a positive definite matrix must be."""
        return bool((self.diagonal[self.free] > 0.0).all())

    def condensed(self):
        """(m, m) csr_array: rows and columns of what is free."""
        if len(self.free) == len(self.force):
            return self.matrix
        return self.matrix[self.free][:, self.free]

    def blocks(self, components):
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
        n = len(self.force)
        is_free = np.zeros(n, dtype=bool)
        is_free[self.free] = True
        is_free = is_free.reshape(-1, components)
        nodes = np.flatnonzero(is_free.any(axis=1))
        whole = self.matrix.tobsr((components, components))
        where = csr_array((np.arange(len(whole.indices)), whole.indices, whole.indptr), shape=(n // components,) * 2)
        where = where[nodes][:, nodes]
        data, is_free = whole.data[where.data], is_free[nodes]
        del whole
        if not is_free.all():
            rows = np.repeat(np.arange(len(nodes)), np.diff(where.indptr))
            on_diagonal = np.flatnonzero(rows == where.indices)[:, None], np.arange(components), np.arange(components)
            own = data[on_diagonal]
            data *= is_free[rows][:, :, None]
            data *= is_free[where.indices][:, None, :]
            data[on_diagonal] = np.where(own > 0.0, own, 1.0)
        matrix = bsr_array((data, where.indices, where.indptr), shape=(components * len(nodes),) * 2)
        return matrix, (components * nodes[:, None] + np.arange(components)).ravel(), is_free.ravel()

    def completed(self, free_values):
        """(n,): prescribed values and those found."""
        x = self.prescribed.copy()
        x[self.free] = free_values
        return x

    def relative_residual(self, x):
        """‖f - K x‖ over what is free, divided by the norm of the right side."""
        missed = (self.force - self.matrix @ x)[self.free]
        return float(np.linalg.norm(missed) / (np.linalg.norm(self.right_side) or 1.0))

    def is_solved_to_rounding(self, x):
        """Whether ``x`` solves a system that differs from this one by a few units in the last place of each entry.

        W. Oettli, W. Prager, Numerische Mathematik 6 (1964) 405-409, in norms.
        """
        missed = (self.force - self.matrix @ x)[self.free]
        size = (np.abs(self.force) + abs(self.matrix) @ np.abs(x))[self.free]
        return bool(np.linalg.norm(missed) <= _LAST_PLACES * np.linalg.norm(size))

    def _check_rows(self):
        suspects = self.free[self.diagonal[self.free] == 0.0]
        empty = suspects[abs(self.matrix[suspects]).sum(axis=1) == 0.0] if len(suspects) else suspects
        if len(empty):
            raise SingularMatrixError(
                f"{named(empty)} {'has an empty row' if len(empty) == 1 else 'have empty rows'}: no element carries "
                "them (vertices without elements, or elements left out); add them to `fixed`, or remove the vertices",
                empty,
            )


def prescribe(n, fixed, values):
    """What ``fixed`` and ``values`` say about ``n`` degrees of freedom; see :func:`femnn.solve` for what they may be.

    Returns
    -------
    prescribed : (n,) float64
        The values, 0 where free.
    is_fixed : (n,) bool

    Raises
    ------
    ParameterError
    """
    given = np.zeros(0, dtype=np.int64) if fixed is None else np.asarray(fixed)
    if given.dtype == bool and given.shape == (n,):
        given = np.flatnonzero(given)
    given = given.ravel()
    if given.size and not np.issubdtype(given.dtype, np.integer):
        raise ParameterError(
            f"`fixed` holds {given.dtype} values; pass degrees of freedom (integers), a mask of length {n}, or "
            "basis.get_dofs(...)"
        )
    given = given.astype(np.int64)
    outside = given[(given < 0) | (given >= n)]
    if len(outside):
        raise ParameterError(f"`fixed` names the degree of freedom {outside[0]}, there are 0 to {n - 1}")
    is_fixed = np.zeros(n, dtype=bool)
    is_fixed[given] = True
    prescribed = np.zeros(n)
    prescribed[given] = _values_at(given, values, n)
    if (prescribed[given] != _values_at(given, values, n)).any():
        raise ParameterError("`fixed` names a degree of freedom twice, with two values; leave one out")
    return prescribed, is_fixed


def _values_at(given, values, n):
    try:
        values = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"`values` are no array of numbers: {error}") from error
    if values.shape not in ((), (len(given),), (n,)):
        raise ParameterError(
            f"`values` have shape {values.shape}; pass one number, one for each of the {len(given)} fixed degrees of "
            f"freedom, or a vector of all {n}"
        )
    at = values[given] if values.shape == (n,) != (len(given),) else np.broadcast_to(values, len(given))
    if not np.isfinite(at).all():
        raise ParameterError(f"degree of freedom {given[~np.isfinite(at)][0]} is prescribed a value that is not finite")
    return at


def named(dofs, most=8):
    """Degrees of freedom in words, the first few of many."""
    listed = ", ".join(map(str, dofs[:most]))
    if len(dofs) == 1:
        return f"degree of freedom {listed}"
    return f"{len(dofs)} degrees of freedom ({listed}{', ...' if len(dofs) > most else ''})"


def _matrix(matrix):
    if not issparse(matrix):
        raise ParameterError(f"K is a {type(matrix).__name__}; pass a sparse matrix, such as skfem.asm gives")
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.shape[0] == 0:
        raise ParameterError(f"K has shape {matrix.shape}; it must be square and not empty")
    if np.issubdtype(matrix.dtype, np.complexfloating):
        raise ParameterError("K is complex; femnn solves real systems, see scipy.sparse.linalg for others")
    own = csr_array(matrix, dtype=float)
    if not own.has_canonical_format:
        own = csr_array((own.data.copy(), own.indices.copy(), own.indptr.copy()), shape=own.shape)
        own.sum_duplicates()
    if not np.isfinite(own.data).all():
        row = np.searchsorted(own.indptr, np.flatnonzero(~np.isfinite(own.data))[0], side="right") - 1
        raise ParameterError(f"K has an entry in row {row} that is not finite; check the coefficients and the mesh")
    return own
