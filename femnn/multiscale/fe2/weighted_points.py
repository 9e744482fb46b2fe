"""Points with weights that integrate the forces of a few unknowns, and the derivatives of these forces."""

import numpy as np

from femnn.checks import checked
from femnn.system.compile import njit


class WeightedPoints:
    """Points p whose strains are modes_p x, and forces f(x) = Σ_p weight_p modes_pᵀ stress_p.

    Parameters
    ----------
    modes : (points, s, m)
        Strains, or separations, of the m unknowns.
    weights : (points,)

    Examples
    --------
    >>> points = WeightedPoints(np.array([[[1.0, 0.0]], [[1.0, 1.0]]]), np.array([0.5, 2.0]))
    >>> points.strains(np.array([[1.0, 3.0]]))
    array([[1.],
           [4.]])
    >>> points.matrix(np.ones((2, 1, 1)))
    array([[2.5, 2. ],
           [2. , 2. ]])
    """

    @checked(modes="p s m", weights="p")
    def __init__(self, modes: np.ndarray, weights: np.ndarray) -> None:
        count, size, unknowns = modes.shape
        self._weights, self._flat = np.ascontiguousarray(weights), modes.reshape(count * size, unknowns)
        self._virgin, self._matrix = np.zeros((count, size, size)), np.zeros((unknowns, unknowns))
        # by precision: modes, and room for those of some points and their products
        self._room = {kind: [np.empty(modes.shape, kind) for _ in range(3)] for kind in (np.float64, np.float32)}
        for copy, *_ in self._room.values():
            copy[:] = modes

    @checked(tangents="p s s")
    def expect(self, tangents: np.ndarray) -> None:
        """Take note of tangents that many points will have: their share of every matrix is computed once."""
        matrix = self.matrix(tangents)
        self._virgin, self._matrix = np.ascontiguousarray(tangents), matrix

    def strains(self, x: np.ndarray) -> np.ndarray:
        """Strains (n · points, s) of unknowns (n, m)."""
        count, size, _ = self._virgin.shape
        return (x @ self._flat.T).reshape(len(x) * count, size)

    def force(self, stress: np.ndarray, n: int) -> np.ndarray:
        """Forces (n, m) of stresses (n · points, s)."""
        count, size, _ = self._virgin.shape
        return (stress.reshape(n, count, size) * self._weights[:, None]).reshape(n, count * size) @ self._flat

    def matrix(self, tangents: np.ndarray, exact: bool = True) -> np.ndarray:
        """Derivative (m, m) of a force by the unknowns, of tangents (points, s, s).

        To single precision, ``exact=False``, it takes half the time.
        """
        modes, *room = self._room[np.float64 if exact else np.float32]
        rows, products = (part.reshape(-1, len(self._matrix)) for part in room)
        used = _differences(np.ascontiguousarray(tangents), self._virgin, modes, self._weights, rows, products)
        return self._matrix + rows[:used].T @ products[:used]


@njit(cache=True, error_model="numpy")
def _differences(tangents, known, modes, weights, rows, products):
    """Modes of the points whose tangents are not those that are known, what the differences make of them; their number.

    ``rows`` and ``products`` (points · s, m) are filled from their beginnings.
    """
    count, size, unknowns = modes.shape
    used, slope = 0, np.empty(1, modes.dtype)
    for p in range(count):
        same = True
        for i in range(size):
            for j in range(size):
                same = same and tangents[p, i, j] == known[p, i, j]
        if same:
            continue
        for i in range(size):
            row, product = rows[used], products[used]
            used += 1
            for m in range(unknowns):
                row[m], product[m] = modes[p, i, m], 0.0
            for j in range(size):
                # of the precision of the modes
                slope[0] = weights[p] * (tangents[p, i, j] - known[p, i, j])
                factor = slope[0]
                for m in range(unknowns):
                    product[m] += factor * modes[p, j, m]
    return used
