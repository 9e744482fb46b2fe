"""Symmetries of a periodic cell: one path that it was driven along tells what it does along up to 48."""

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from femnn.checks import checked
from femnn.geometry.symmetry import symmetries
from femnn.multiscale.fe2.cell import PeriodicCell
from femnn.multiscale.fe2.paths import to_tensors, to_voigt

# Vertices this close, over the shortest edge of the box, are one; forces this close, over the largest, are the same.
_CLOSE, _SAME = 1e-6, 1e-5

# How far a vertex is moved towards the middle of its cells, to be told from its twin across an interface.
_INWARDS = 0.01


class CellImage(NamedTuple):
    """A rotation or reflection that a cell does not change under.

    Attributes
    ----------
    turn : (3, 3)
        Orthogonal.
    vertices : (n,) int64
        Where each vertex goes.

    Examples
    --------
    >>> import femnn
    >>> from femnn.multiscale.fe2 import PeriodicCell, cell_images, cell_with_inclusions
    >>> cell = PeriodicCell(cell_with_inclusions(3, radius=0.2), femnn.LinearElastic(3e9, 0.3))
    >>> image = cell_images(cell)[-1]
    >>> image.strains(np.array([[1e-3, 0.0, 0.0, 2e-3, 0.0, 0.0]])).shape
    (1, 6)
    """

    turn: np.ndarray
    vertices: np.ndarray

    @checked(strains="n 6")
    def strains(self, strains: np.ndarray) -> np.ndarray:
        """The images (n, 6) of strains, by Voigt."""
        return to_voigt(self.turn @ to_tensors(strains) @ self.turn.T)

    @checked(vectors="d k")
    def vectors(self, vectors: np.ndarray) -> np.ndarray:
        """The images (n_dofs, k) of displacements or forces at the vertices."""
        found = np.empty((len(self.vertices), 3, vectors.shape[1]))
        found[self.vertices] = np.einsum("ij,njk->nik", self.turn, vectors.reshape(found.shape))
        return found.reshape(vectors.shape)


@checked(strain="unchecked")
def cell_images(cell: PeriodicCell, strain: np.ndarray | None = None) -> list[CellImage]:
    """The symmetries of a cell among the 48 of a cube, that which changes nothing first.

    Parameters
    ----------
    cell
    strain : (6,)
        At which its forces are compared, one at which it yields or opens; without it those of a strain of 1e-3.

    Returns
    -------
    list of CellImage
        A transformation belongs to them if it carries vertices onto vertices, and forces at displaced vertices onto
        those at the vertices displaced alike, which tells materials and interfaces as well.

    Examples
    --------
    A ball in the middle of a cube, and one that is as stiff as its surroundings on one side alone:

    >>> import femnn
    >>> from femnn.multiscale.fe2 import PeriodicCell, cell_images, cell_with_inclusions
    >>> mesh = cell_with_inclusions(4)
    >>> young = np.full(mesh.nelements, 3e9)
    >>> young[mesh.subdomains["inclusion"]] = 70e9
    >>> len(cell_images(PeriodicCell(mesh, femnn.LinearElastic(young, 0.3))))
    48
    >>> young[mesh.p[0, mesh.t].mean(axis=0) > mesh.p[0].mean()] = 3e9
    >>> len(cell_images(PeriodicCell(mesh, femnn.LinearElastic(young, 0.3))))
    8
    """
    strain = np.array([1e-3, -4e-4, 2e-4, 6e-4, -5e-4, 8e-4]) if strain is None else np.asarray(strain, dtype=float)
    # any displacement without a symmetry of its own
    draws = np.random.default_rng(0).standard_normal(cell.solid.n_dofs)
    u = cell.affine @ strain
    u += 0.1 * np.linalg.norm(strain) * float(cell.box.edges.min()) / cell.mesh.nelements ** (1 / 3) * draws
    force = _force(cell, u)
    return [image for image in _candidates(cell) if _close(_force(cell, image.vectors(u[:, None])[:, 0]), image, force)]


@checked(displacements="d k", strains="k 6")
def images_of(
    cell: PeriodicCell, image: CellImage, displacements: np.ndarray, strains: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Displacements (n_dofs, k) and strains (k, 6) of a cell along the image of a path.

    Fluctuations vanish at the corners again.

    Examples
    --------
    >>> import femnn
    >>> from femnn.multiscale.fe2 import PeriodicCell, cell_images, cell_with_inclusions
    >>> cell = PeriodicCell(cell_with_inclusions(3, radius=0.2), femnn.LinearElastic(3e9, 0.3))
    >>> strain = np.array([[1e-3, 0.0, 0.0, 0.0, 0.0, 0.0]])
    >>> u, turned = images_of(cell, cell_images(cell)[-1], cell.affine @ strain.T, strain)
    >>> bool(np.allclose(u, cell.affine @ turned.T))
    True
    """
    turned = image.strains(strains)
    fluctuations = image.vectors(displacements) - cell.affine @ turned.T
    by_vertex = fluctuations.reshape(-1, 3, len(strains))
    by_vertex -= by_vertex[cell.corner_dofs[0] // 3].copy()
    return cell.affine @ turned.T + fluctuations, turned


def _candidates(cell):
    """Transformations that carry vertices onto vertices."""
    mesh = cell.mesh
    centres = mesh.p[:, mesh.t].mean(axis=1)
    middles, number = np.zeros((3, mesh.nvertices)), np.zeros(mesh.nvertices)
    for corner in mesh.t:
        np.add.at(middles, (slice(None), corner), centres)
        np.add.at(number, corner, 1.0)
    places = (1.0 - _INWARDS) * mesh.p + _INWARDS * middles / np.maximum(number, 1.0)
    places = (places - (cell.box.origin + 0.5 * cell.box.edges)[:, None]).T
    tree, reach, found = cKDTree(places), _CLOSE * float(cell.box.edges.min()), []
    for turn in symmetries():
        distance, vertices = tree.query(places @ turn.T, distance_upper_bound=reach)
        if np.isfinite(distance).all() and len(np.unique(vertices)) == len(vertices):
            found.append(CellImage(turn, vertices))
    return sorted(found, key=lambda image: -np.trace(image.turn))


def _force(cell, u):
    cell.problem.restore(cell.internal_states(cell.initial_state()))
    force = cell.problem.residual_and_tangent(u)[0]
    cell.problem.rollback()
    return force


def _close(found, image, force):
    expected = image.vectors(force[:, None])[:, 0]
    return float(np.abs(found - expected).max()) <= _SAME * float(np.abs(expected).max())
