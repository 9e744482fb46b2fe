"""Columns that are orthonormal in an inner product, and a random range of more columns than memory holds."""

from typing import Any

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from femnn.exceptions import ParameterError

#: Singular values below this share of the first are rounding: no mode is made of them.
ROUNDING = 1e-13

# They sharpen a random range where singular values fall slowly.
_POWER_ITERATIONS = 1


class Columns:
    """Snapshots less their offset and less what the lifting carries, read block after block."""

    def __init__(self, snapshots, offset, fixed) -> None:
        self.snapshots, self.offset, self.fixed = snapshots, offset, fixed
        self.lifting, self.right = np.zeros((len(offset), 0)), np.zeros((0, len(snapshots)))

    def blocks(self):
        """Pairs of the number of the first and the columns less the offset."""
        start = 0
        for block in self.snapshots.blocks():
            if not np.isfinite(block).all():
                raise ParameterError(f"snapshots {start} to {start + block.shape[1] - 1} are not all finite")
            yield start, block - self.offset[:, None]
            start += block.shape[1]

    def learn_lifting(self):
        """Modes (n, k) by which the prescribed values of all snapshots are reached exactly."""
        if not len(self.fixed):
            return self.lifting
        parts = [(block[self.fixed], np.abs(block).max()) for _, block in self.blocks()]
        values, right = np.linalg.svd(np.concatenate([at for at, _ in parts], axis=1), full_matrices=False)[1:]
        # what is small beside the solutions is rounding as well
        least = max(1e-10 * values[0], 1e-12 * max(size for _, size in parts))
        self.right = right[values > least]
        if len(self.right):
            # the combination of snapshots that belongs to each pattern of prescribed values
            self.lifting = sum(
                block @ self.right[:, start : start + block.shape[1]].T for start, block in self.blocks()
            )
        return self.lifting

    def rests(self):
        """Columns (n, size) that vanish where values are prescribed."""
        for start, block in self.blocks():
            rest = block - self.lifting @ self.right[:, start : start + block.shape[1]]
            rest[self.fixed] = 0.0
            yield rest

    def squares(self, inner):
        """Sum of the squared norms of all columns."""
        return float(sum(squares(rest, inner).sum() for rest in self.rests()))


def orthonormal(columns: np.ndarray, inner: Any = None) -> np.ndarray:
    """Columns (n, k) that span those given and are orthonormal in an inner product; what is rounding is left out."""
    if not columns.size or not np.abs(columns).max() > 0.0:
        return columns[:, :0]
    left, values, _ = np.linalg.svd(columns / np.abs(columns).max(), full_matrices=False)
    basis = left[:, values > ROUNDING * values[0]]
    if inner is None:
        return basis
    # twice: once is not enough where the inner product is ill-conditioned
    for _ in range(2):
        gram = basis.T @ (inner @ basis)
        try:
            factor = cholesky(0.5 * (gram + gram.T), lower=True)
        except np.linalg.LinAlgError as error:
            raise ParameterError(
                "inner is not positive definite on the snapshots; pass a mass or stiffness matrix, or None"
            ) from error
        basis = solve_triangular(factor, basis.T, lower=True).T
    return basis


def random_range(source, inner, count, seed):
    """Columns (n, count or fewer) that nearly span the snapshots."""
    count = min(count, len(source.snapshots))
    drawn = np.random.default_rng(seed).standard_normal((len(source.snapshots), count))
    span = _combined(source, drawn)
    for _ in range(_POWER_ITERATIONS):
        weighted = times(inner, orthonormal(span, inner))
        span = _combined(source, np.concatenate([rest.T @ weighted for rest in source.rests()], axis=0))
    return span


def _combined(source, factors):
    """Combinations (n, k) of the columns by ``factors`` (number, k)."""
    result, start = np.zeros((len(source.offset), factors.shape[1])), 0
    for rest in source.rests():
        result += rest @ factors[start : start + rest.shape[1]]
        start += rest.shape[1]
    return result


def times(inner, columns):
    """``inner`` times columns (n, k), None standing for the identity."""
    return columns if inner is None else inner @ columns


def squares(columns, inner):
    """Squared norms (k,) of columns (n, k)."""
    return np.maximum(np.einsum("ns,ns->s", columns, times(inner, columns)), 0.0)


def norm(u, inner):
    """Norm of a vector (n,)."""
    return float(np.sqrt(squares(u[:, None], inner)[0]))
