"""How many numbers rows of data take: dimensions by nearest neighbours, and coordinates along what the rows lie on."""

from typing import Any

import numpy as np
from scipy.sparse.csgraph import minimum_spanning_tree, shortest_path
from scipy.spatial.distance import cdist

from femnn.checks import checked
from femnn.exceptions import DatasetError, ParameterError

# Neighbours are joined up to this many times the longest gap that the data leave: more would close the gap between the
# ends of a curve that is nearly a circle.
_REACH = 1.1

# Nearest neighbours that tell a dimension; that tell whether a coordinate follows from others.
_NEIGHBOURS, _NEAR = 16, 8


@checked(rows="n p", neighbours="[3, inf)")
def intrinsic_dimension(rows: np.ndarray, neighbours: int = _NEIGHBOURS) -> float:
    """The dimension of the set that rows are drawn from, by how the number of neighbours grows with their distance.

    The estimate of largest likelihood of E. Levina, P. J. Bickel (NIPS 17, 2004), its inverses averaged over the rows
    as D. J. C. MacKay and Z. Ghahramani proposed. Rows must be drawn independently: successive frames of one clip lie
    on a curve, and are answered by 1.

    Parameters
    ----------
    rows : (n, p)
        Data, a row each.
    neighbours
        Nearest neighbours of each.

    Raises
    ------
    DatasetError
        If there are too few rows, or many are one.

    Examples
    --------
    >>> drawn = np.random.default_rng(0).uniform(size=(400, 2))
    >>> surface = np.stack([drawn[:, 0], drawn[:, 1], np.sin(3.0 * drawn[:, 0]) * drawn[:, 1]], axis=1)
    >>> round(intrinsic_dimension(surface))
    2
    """
    if len(rows) < 5 * neighbours:
        raise DatasetError(f"{len(rows)} rows tell no dimension by {neighbours} neighbours; pass {5 * neighbours}")
    distances = np.sqrt(np.sort(_squares(rows), axis=1)[:, 1 : neighbours + 1])
    if not (distances[:, 0] > 0.0).all():
        raise DatasetError(f"{int((distances[:, 0] == 0.0).sum())} rows have a copy among the others; leave copies out")
    logarithms = np.log(distances[:, -1:] / distances[:, :-1]).sum(axis=1)
    return float((neighbours - 2) * len(rows) / logarithms.sum())


@checked(rows="n p", latent="[1, inf)")
def geodesic_coordinates(rows: np.ndarray, latent: int = 1) -> np.ndarray:
    """Coordinates (n, latent) of rows along the curve or surface on which they lie, each of mean zero.

    Distances are summed from neighbour to neighbour and put into a space of few dimensions (J. B. Tenenbaum, V. de
    Silva, J. C. Langford, Science 290 (2000) 2319-2323); neighbours are hardly farther apart than the longest edge of
    the tree that joins all rows with the least length. Of the coordinates of that space those are kept that the ones
    before do not determine (C. J. Dsilva and others, Applied and Computational Harmonic Analysis 44 (2018) 759-773).

    Parameters
    ----------
    rows : (n, p)
        Data, a row each; time and memory grow with n², a thousand take a second.
    latent
        Number of coordinates.

    Raises
    ------
    DatasetError
        If all rows are equal.

    Examples
    --------
    >>> angle = np.sort(np.random.default_rng(0).uniform(-2.5, 2.5, 200))
    >>> found = geodesic_coordinates(np.stack([np.cos(angle), np.sin(angle)], axis=1))
    >>> bool(abs(np.corrcoef(found[:, 0], angle)[0, 1]) > 0.9999)
    True
    """
    distances = np.sqrt(_squares(rows))
    if not distances.any():
        raise DatasetError(f"the {len(rows)} rows are equal, and lie on no curve; pass rows that differ")
    longest = minimum_spanning_tree(distances).data.max()
    near = np.where(distances <= _REACH * longest, distances, 0.0)
    paths: Any = shortest_path(near, directed=False)
    squares = paths**2
    centred = -0.5 * (squares - squares.mean(axis=0) - squares.mean(axis=1)[:, None] + squares.mean())
    values, vectors = np.linalg.eigh(centred)
    known = vectors[:, ::-1][:, : 3 * latent] * np.sqrt(np.maximum(values[::-1][: 3 * latent], 0.0))
    chosen = [0]
    while len(chosen) < min(latent, known.shape[1]):
        nearest = np.argsort(_squares(known[:, chosen]), axis=1)[:, 1 : _NEAR + 1]
        # the square of a long coordinate comes before a short one, and tells nothing new
        news = ((known - known[nearest].mean(axis=1)) ** 2).sum(axis=0)
        news[chosen] = -1.0
        chosen.append(int(np.argmax(news)))
    return known[:, chosen]


@checked(rows="n p", count="[1, inf)", first="[0, inf)")
def farthest_rows(rows: np.ndarray, count: int, first: int = 0) -> np.ndarray:
    """Indices (count,) of rows that are spread evenly: each is the farthest from those before.

    >>> farthest_rows(np.array([[0.0], [0.1], [1.0], [0.5]]), 3)
    array([0, 2, 3])
    """
    if first >= len(rows):
        raise ParameterError(f"first={first} is none of the {len(rows)} rows; pass a smaller number")
    chosen = np.empty(min(count, len(rows)), dtype=np.int64)
    squares, nearest, k = (rows**2).sum(axis=1), np.full(len(rows), np.inf), first
    for place in range(len(chosen)):
        chosen[place] = k
        nearest = np.minimum(nearest, squares - 2.0 * (rows @ rows[k]) + squares[k])
        nearest[k] = -1.0
        k = int(np.argmax(nearest))
    return chosen


def _squares(rows):
    squares = cdist(rows, rows, "sqeuclidean")
    np.fill_diagonal(squares, 0.0)
    return squares
