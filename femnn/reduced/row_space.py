"""The few combinations of very many integrals that matter: a truncated decomposition that grows block by block."""

import numpy as np
from scipy.sparse import csr_array

# Columns that are worked on at once.
_CHUNK = 32768

# Squares of numbers are exact to so much: no truncation is finer.
_FINEST = 1e-8

# Share of the combinations that no search sees: on these its residual is measured.
_CONTROL = 0.2


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


class RowMixture:
    """As many random combinations of the rows that were added as are asked for, in the place of all of them.

    Each row is added, with a random sign, to one of the combinations (K. L. Clarkson, D. P. Woodruff, Journal of the
    ACM 63 (2017) 54), so that ‖rows · x‖ is kept on the mean for every x that was not fitted to them. That takes a time
    which is linear in the rows, where their decomposition takes the cube of the rank: forces of laws with memory have a
    rank of thousands. A fit knows the combinations that it is made with better than others; ``control`` are others.

    Attributes
    ----------
    rows : (count, columns)
    control : (k, columns)
        Combinations of the same rows by other draws.
    lost : float
        0: nothing is left out.
    size : float
        Frobenius norm of all rows.
    """

    lost = 0.0

    def __init__(self, columns: int, count: int, seed: int = 0) -> None:
        self.rows, self._square = np.zeros((count, columns)), 0.0
        self.control = np.zeros((max(1, round(_CONTROL * count)), columns))
        self._draws = np.random.default_rng(seed)

    @property
    def size(self) -> float:
        return float(np.sqrt(self._square))

    def add(self, block: np.ndarray) -> None:
        """Take up rows (k, columns)."""
        self._square += float(np.einsum("kn,kn->", block, block))
        for mixed in (self.rows, self.control):
            places = self._draws.integers(len(mixed), size=len(block))
            signs = self._draws.choice([-1.0, 1.0], size=len(block))
            mixed += csr_array((signs, (places, np.arange(len(block)))), shape=(len(mixed), len(block))) @ block
