"""Sparse non-negative weights: a few columns of a matrix that stand for all of them."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from scipy.linalg import qr_delete, solve_triangular
from tqdm import tqdm

from femnn.checks import checked, one_of
from femnn.exceptions import ParameterError
from femnn.reduced.row_space import RowMixture

METHODS = ("nnls", "greedy")

# A column that is this close to those chosen adds nothing to them.
_DEPENDENT = 1e-10

# Rounds in which no new column lowers the residual, after which the search gives up.
_PATIENCE = 20


class Selection(NamedTuple):
    """Columns and their weights.

    Attributes
    ----------
    chosen : (m,) int64
        Ascending.
    weights : (m,)
        Positive.
    residual : float
        ‖G w - b‖ / ‖b‖.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.reduced import sparse_weights
    >>> found = sparse_weights(np.eye(3), np.array([1.0, 0.0, 2.0]), tol=1e-10, progress=False)
    >>> found.chosen, found.weights
    (array([0, 2]), array([1., 2.]))
    """

    chosen: np.ndarray
    weights: np.ndarray
    residual: float


@checked(sizes="n", combinations="[1, inf)", tol="[0, inf)")
def point_weights(
    rows: Iterable[np.ndarray], sizes: np.ndarray, *, combinations: int, tol: float, progress: bool = True
) -> Selection:
    """Positive weights of few points, with which integrals of training and the area are those of all points.

    Parameters
    ----------
    rows
        Arrays (k, n): what each of n points contributes to k integrals.
    sizes : (n,)
        Area or volume of each point.
    combinations
        Random combinations of the integrals in their place, see :class:`femnn.reduced.row_space.RowMixture`.
    tol
        Relative residual of the integrals, up to which points are added.
    progress
        False shows no progress bar.

    Returns
    -------
    Selection
        Its weights are factors of the ``sizes``; its residual is that of other combinations of the same integrals.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.reduced.selection import point_weights
    >>> x = np.linspace(0.0, 1.0, 50)
    >>> found = point_weights([np.stack([x**0, x, x**2])], np.full(50, 0.02), combinations=6, tol=1e-8, progress=False)
    >>> len(found.chosen) <= 4, round(float(found.weights.sum() * 0.02), 9)
    (True, 1.0)
    """
    space, total = RowMixture(len(sizes), combinations), 0.0
    for block in rows:
        total += float((block.sum(axis=1) ** 2).sum())
        space.add(block)
    size = float(np.sqrt(total))
    matrix = np.concatenate([space.rows, sizes[None] * (size / sizes.sum())])
    found = sparse_weights(matrix, matrix.sum(axis=1), tol=tol, progress=progress)
    weights = found.weights * sizes.sum() / (found.weights @ sizes[found.chosen])
    away = -np.ones(len(sizes))
    away[found.chosen] += weights
    return Selection(found.chosen, weights, float(np.linalg.norm(space.control @ away)) / size)


@checked(matrix="k n", target="k", tol="[0, inf)", most="[1, inf)")
def sparse_weights(
    matrix: np.ndarray,
    target: np.ndarray,
    *,
    tol: float = 1e-6,
    method: str = "nnls",
    most: int | None = None,
    progress: bool = True,
) -> Selection:
    """Weights w ≥ 0, few of them not zero, with ``matrix`` · w ≈ ``target``.

    Parameters
    ----------
    matrix : (k, n)
        One column for each candidate, such as a cell or a point; one row for each integral.
    target : (k,)
        The sums: that of all columns, where all candidates have weight one.
    tol
        Stops where ‖G w - b‖ ≤ tol ‖b‖.
    method
        ``"nnls"``: non-negative least squares by active sets, stopped early (C. L. Lawson, R. J. Hanson, Solving Least
        Squares Problems, 1974; C. Farhat, P. Avery, T. Chapman, J. Cortial, International Journal for Numerical Methods
        in Engineering 98 (2014) 625-662). ``"greedy"``: the column that is most parallel to the residual is added, and
        all whose weights become negative are dropped (J. A. Hernández, M. A. Caicedo, A. Ferrer, CMAME 313 (2017)
        687-722): fewer steps, and a few more columns.
    most
        Most columns; k by default, more are never needed.
    progress
        False shows no progress bar.

    Returns
    -------
    Selection
        The best one found; its ``residual`` tells whether ``tol`` is met.

    Examples
    --------
    Three Gauss points among many integrate all polynomials of degree 5, but a search from points to points finds some
    six of the candidates:

    >>> x = np.linspace(-1.0, 1.0, 101)
    >>> powers = x ** np.arange(6)[:, None]
    >>> found = sparse_weights(powers, powers.sum(axis=1), tol=1e-10, progress=False)
    >>> bool(found.residual < 1e-10), len(found.chosen) <= 6
    (True, True)
    """
    one_of("method", method, METHODS)
    size = float(np.linalg.norm(target))
    if not size > 0.0:
        raise ParameterError("the target is zero: weights of zero would do; pass the sums of what is integrated")
    lengths = np.linalg.norm(matrix, axis=0)
    search = _Search(matrix, target, np.maximum(lengths, 1e-300), method == "greedy")
    most = min(matrix.shape[0] if most is None else most, matrix.shape[1])
    best, stalled = search.state(), 0
    with tqdm(total=most, unit="column", disable=None if progress else True) as bar:
        while best[2] > tol * size and stalled < _PATIENCE and len(search.chosen) < most and search.grow():
            state = search.state()
            stalled = 0 if state[2] < (1.0 - 1e-6) * best[2] else stalled + 1
            best = min(best, state, key=lambda found: found[2])
            bar.update(len(search.chosen) - bar.n)
            bar.set_postfix(residual=f"{best[2] / size:.1e}", refresh=False)
    chosen, weights, residual = best
    order = np.argsort(chosen)
    return Selection(chosen[order], weights[order], residual / size)


class _Search:
    """The set of chosen columns, its factors Q R, its weights and residual."""

    def __init__(self, matrix, target, lengths, is_greedy) -> None:
        self.matrix, self.target, self.lengths, self.is_greedy = matrix, target, lengths, is_greedy
        k = matrix.shape[0]
        self.chosen, self.weights = np.zeros(0, dtype=np.int64), np.zeros(0)
        self.q, self.r = np.zeros((k, k), order="F"), np.zeros((k, k), order="F")
        self.residual = target.copy()
        # columns that were dropped in this round, or depend on those chosen: not to be taken at once again
        self.barred = np.zeros(matrix.shape[1], dtype=bool)

    def state(self):
        """Columns, weights and norm of the residual."""
        return self.chosen.copy(), self.weights.copy(), float(np.linalg.norm(self.residual))

    def grow(self):
        """Add the most promising column, with all that follows from it; False if there is none."""
        slope = self.matrix.T @ self.residual
        if self.is_greedy:
            slope /= self.lengths
        slope[self.chosen], slope[self.barred] = -np.inf, -np.inf
        while True:
            candidate = int(np.argmax(slope))
            if not slope[candidate] > 0.0:
                return False
            if self._append(candidate):
                break
            self.barred[candidate], slope[candidate] = True, -np.inf
        (self._drop_all if self.is_greedy else self._step_inwards)()
        self.residual = self.target - self.matrix[:, self.chosen] @ self.weights
        return True

    def _append(self, column):
        """Extend the factors; False if the column depends on those chosen."""
        m, vector = len(self.chosen), self.matrix[:, column].copy()
        if m == len(self.target):
            return False
        coefficients = np.zeros(m)
        for _ in range(2):  # twice is enough for orthogonality to rounding
            part = self.q[:, :m].T @ vector
            vector -= self.q[:, :m] @ part
            coefficients += part
        length = float(np.linalg.norm(vector))
        if length <= _DEPENDENT * self.lengths[column]:
            return False
        self.q[:, m], self.r[:m, m], self.r[m, m] = vector / length, coefficients, length
        self.chosen, self.weights = np.append(self.chosen, column), np.append(self.weights, 0.0)
        return True

    def _solved(self):
        m = len(self.chosen)
        return solve_triangular(self.r[:m, :m], self.q[:, :m].T @ self.target)

    def _keep(self, kept):
        m = len(self.chosen)
        q, r = self.q[:, :m], self.r[:m, :m]
        for place in np.flatnonzero(~kept)[::-1]:
            q, r = qr_delete(q, r, place, which="col", check_finite=False)
        self.chosen, self.weights = self.chosen[kept], self.weights[kept]
        m = len(self.chosen)
        self.q[:, :m], self.r[:m, :m] = q[:, :m], r[:m, :m]

    def _step_inwards(self):
        """Go from the weights towards the least squares solution, dropping each column whose weight comes to zero."""
        self.barred[:] = False
        newest = self.chosen[-1]
        while True:
            wanted = self._solved()
            if (wanted > 0.0).all():
                self.weights = wanted
                return
            falling = wanted <= 0.0
            shares = np.ones(len(wanted))
            # those at zero that stay there leave at once
            shares[falling] = self.weights[falling] / np.maximum((self.weights - wanted)[falling], 1e-300)
            share = float(shares.min())
            moved = self.weights + share * (wanted - self.weights)
            leaving = falling & (shares <= share)
            if leaving[self.chosen == newest].any():
                self.barred[newest] = True
            self.weights = moved
            self._keep(~leaving)

    def _drop_all(self):
        """The least squares solution, without the columns that it gives no positive weight."""
        while True:
            wanted = self._solved()
            if (wanted > 0.0).all():
                self.weights = wanted
                return
            self.barred[self.chosen[wanted <= 0.0]] = True
            self._keep(wanted > 0.0)
