"""The few combinations of very many integrals that matter: a truncated decomposition that grows block by block."""

import numpy as np

# Columns that are worked on at once.
_CHUNK = 32768

# Squares of numbers are exact to so much: no truncation is finer.
_FINEST = 1e-8


class RowSpace:
    """σ Λ of the rows that were added: their right singular vectors, each times its singular value.

    Only these and one block of rows are in memory, however many rows are added. Each truncation leaves out at most
    ``tol`` of the norm of what is there, so that what is lost adds up to ``lost``.

    Attributes
    ----------
    lost : float
        Frobenius norm of all that was left out.
    size : float
        Frobenius norm of all rows.
    """

    def __init__(self, columns: int, tol: float) -> None:
        self.rows = np.empty((0, columns))
        self.tol, self.lost, self._square = max(tol, _FINEST), 0.0, 0.0

    @property
    def size(self) -> float:
        return float(np.sqrt(self._square))

    def add(self, block: np.ndarray) -> None:
        """Take up rows (k, columns)."""
        stack = np.concatenate([self.rows, block])
        gram = np.zeros((len(stack), len(stack)))
        for start in range(0, stack.shape[1], _CHUNK):
            part = stack[:, start : start + _CHUNK]
            gram += part @ part.T
        self._square += float(np.trace(gram[len(self.rows) :, len(self.rows) :]))
        values, vectors = np.linalg.eigh(gram)
        dropped = np.cumsum(np.maximum(values, 0.0))
        first = int(np.searchsorted(dropped, (self.tol * self.size) ** 2, side="right"))
        self.lost = float(np.hypot(self.lost, np.sqrt(dropped[first - 1]) if first else 0.0))
        turn = vectors[:, first:][:, ::-1].T
        # in place: the rows are the largest thing in memory
        for start in range(0, stack.shape[1], _CHUNK):
            stack[: len(turn), start : start + _CHUNK] = turn @ stack[:, start : start + _CHUNK]
        self.rows = stack[: len(turn)]
