"""Hexahedra while they are made: points and cells in VTK's order, subdivided, smoothed and kept from folding."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix
from skfem import MeshHex

from femnn.geometry.hexahedron import TO_VTK
from femnn.geometry.validity import bernstein_coefficients

# Smallest over largest Bernstein coefficient of det J that a mesher would leave: programs refuse less.
_LEAST_SHARE = 0.02

# A vertex of a folded cell keeps this fraction of its move, again and again, and at last nothing of it.
_STEP_BACK, _MOST_STEPS = 0.8, 40

# Corners of the faces of a cell in VTK's order, outward.
FACES = np.array([[0, 3, 2, 1], [4, 5, 6, 7], [0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7]])

_EDGES = np.array([[0, 1], [1, 2], [2, 3], [3, 0], [4, 5], [5, 6], [6, 7], [7, 4], [0, 4], [1, 5], [2, 6], [3, 7]])
# scikit-fem's order of a right-handed cell of VTK, so that det J is negative as in its own meshes
_TO_SKFEM = np.argsort(TO_VTK)[::-1]


class Cells(NamedTuple):
    """Points (n, 3) and hexahedra (m, 8) in VTK's order."""

    points: np.ndarray
    cells: np.ndarray

    def mesh(self) -> MeshHex:
        """The same as a mesh without loose vertices, its cells right-handed in VTK's order."""
        used, cells = np.unique(self.cells, return_inverse=True)
        points, cells = self.points[used], cells.reshape(-1, 8)
        x = points[cells]
        inside_out = np.linalg.det(x[:, [1, 3, 4]] - x[:, :1]) < 0.0
        cells = np.where(inside_out[:, None], cells[:, [4, 5, 6, 7, 0, 1, 2, 3]], cells)
        return MeshHex(np.ascontiguousarray(points.T), np.ascontiguousarray(cells[:, _TO_SKFEM].T))

    def folded(self) -> np.ndarray:
        """Cells, (m,) bool, whose det J comes nearer to zero than meshers allow."""
        determinants = bernstein_coefficients(self.points[self.cells[:, _TO_SKFEM]]).reshape(-1, 27)
        least, most = determinants.min(axis=1), determinants.max(axis=1)
        return ~((least > _LEAST_SHARE * most) | (most < _LEAST_SHARE * least))

    def moved(self, target: np.ndarray) -> "Cells":
        """Points led towards ``target`` (n, 3), each as far as no cell folds; none of these cells may be folded."""
        share = np.ones(len(self.points))
        for step in range(_MOST_STEPS):
            moved = Cells(self.points + share[:, None] * (target - self.points), self.cells)
            folded = moved.folded()
            if not folded.any():
                return moved
            share[np.unique(self.cells[folded])] *= _STEP_BACK if step < _MOST_STEPS // 2 else 0.0
        return self

    def edges(self) -> np.ndarray:
        """Pairs of points (12 m, 2) that share an edge of a cell."""
        return self.cells[:, _EDGES].reshape(-1, 2)

    def skin(self) -> np.ndarray:
        """Faces (k, 4) that belong to one cell only, outward where cells are right-handed."""
        faces = self.cells[:, FACES].reshape(-1, 4)
        _, first, count = np.unique(np.sort(faces, axis=1), axis=0, return_index=True, return_counts=True)
        return faces[first[count == 1]]

    def on_skin(self) -> np.ndarray:
        """Points on the surface, (n,) bool."""
        result = np.zeros(len(self.points), dtype=bool)
        result[self.skin()] = True
        return result

    def smoothed(self, rounds: int) -> "Cells":
        """Inner points led to the means of their neighbours, ``rounds`` times, as far as no cell folds."""
        if rounds == 0:
            return self
        mean, inner = mean_of_neighbours(self.edges(), len(self.points)), ~self.on_skin()
        target = self.points.copy()
        for _ in range(rounds):
            target[inner] = (mean @ target)[inner]
        return self.moved(target)


def mean_of_neighbours(edges: np.ndarray, n: int) -> csr_matrix:
    """The matrix (n, n) that gives each point the mean of those it shares an edge with; points without stay."""
    i, j = np.concatenate([edges, edges[:, ::-1]]).T
    graph = (coo_matrix((np.ones(len(i)), (i, j)), shape=(n, n)).tocsr() > 0).astype(float)
    lonely = np.asarray(graph.sum(axis=1)).ravel() == 0
    graph = (graph + coo_matrix((lonely.astype(float), (np.arange(n), np.arange(n))), shape=(n, n))).tocsr()
    return csr_matrix(graph.multiply(1.0 / graph.sum(axis=1)))


def merged(points: np.ndarray, cells: np.ndarray, digits: int = 9) -> Cells:
    """Cells whose points coincide to so many digits after the point, each taken once."""
    _, kept, number = np.unique(np.round(points, digits), axis=0, return_index=True, return_inverse=True)
    return Cells(points[kept], number.reshape(-1)[cells])


def grid(*axes: np.ndarray) -> Cells:
    """The tensor grid of three ascending arrays of coordinates."""
    shape = [len(axis) for axis in axes]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    number = np.arange(len(points)).reshape(shape)
    corners = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)]
    parts = [number[tuple(slice(c, s - 1 + c) for c, s in zip(corner, shape, strict=True))] for corner in corners]
    return Cells(points, np.stack([part.ravel() for part in parts], axis=1))


def extruded(quads: np.ndarray, layers: np.ndarray) -> Cells:
    """Quadrilaterals (m, 4) stacked through ``layers`` (k + 1, n, 3) of their points."""
    count, n, _ = layers.shape
    bottom = quads[None] + n * np.arange(count - 1)[:, None, None]
    return Cells(layers.reshape(-1, 3), np.concatenate([bottom, bottom + n], axis=2).reshape(-1, 8))


def waves(points: np.ndarray, random: np.random.Generator, amplitude: float, terms: int = 4) -> np.ndarray:
    """A smooth random displacement (n, 3): sine waves about as long as the points are apart at most."""
    size = np.ptp(points, axis=0).max()
    x = (points - points.mean(axis=0)) / size
    directions = random.normal(size=(terms, 3))
    directions *= (np.pi * random.uniform(1.0, 2.5, (terms, 1))) / np.linalg.norm(directions, axis=1, keepdims=True)
    phases = x @ directions.T + random.uniform(0.0, 2.0 * np.pi, terms)
    return amplitude * size / np.sqrt(terms) * np.sin(phases) @ random.normal(size=(terms, 3))


def turned(random: np.random.Generator) -> np.ndarray:
    """A rotation matrix (3, 3), all alike."""
    q, r = np.linalg.qr(random.normal(size=(3, 3)))
    q *= np.sign(np.diag(r))
    q[:, 0] *= np.sign(np.linalg.det(q))
    return q
