"""Kernels of interface elements: the jump across pairs of facets, and the force and stiffness that belong to it."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_matrix

from femnn.checks import shaped
from femnn.system.compile import njit


class Jumps:
    """Pairs of facets whose two sides have the same shape functions, fused.

    Attributes
    ----------
    shapes : (1 or n, nqp, k)
        Values of the shape functions of a side at the points, alike for all facets or for each.
    frames : (n, nqp, 3, dim)
        Unit normal and the two shear directions at each; in two dimensions the last is zero.
    dx : (n, nqp)
        Area that belongs to each.
    dofs : (n, 2·k·dim) int
        Degrees of freedom of each pair: minus side, then plus side.
    ndof : int
        Degrees of freedom of the mesh.
    """

    shapes: np.ndarray
    frames: np.ndarray
    dx: np.ndarray
    dofs: np.ndarray
    ndof: int

    @property
    def points(self) -> int:
        """Number of integration points: states of laws have this length."""
        return self.dx.size

    def separation(self, u: ArrayLike) -> np.ndarray:
        """Separation (points, 3) in the frames for displacements ``u`` (ndof,), facet by facet."""
        return _separation(shaped("the displacement", u, (self.ndof,)), self.dofs, self.shapes, self.frames)

    def force(self, traction: ArrayLike) -> np.ndarray:
        """Internal force (ndof,) of tractions (points, 3)."""
        force, traction = np.zeros(self.ndof), shaped("the traction", traction, (self.points, 3))
        _add_force(traction, self.dofs, self.shapes, self.frames, self.dx, force)
        return force

    def stiffness(self, tangent: ArrayLike) -> csr_matrix:
        """Tangent matrix (ndof, ndof) of the tangents (points, 3, 3) of a law."""
        matrix = self.blocks(tangent)
        rows = np.repeat(self.dofs, self.dofs.shape[1], axis=1).ravel()
        columns = np.tile(self.dofs, self.dofs.shape[1]).ravel()
        return csr_matrix((matrix.ravel(), (rows, columns)), shape=(self.ndof,) * 2)

    def blocks(self, tangent: ArrayLike) -> np.ndarray:
        """Tangent matrix of each pair, (n, 2·k·dim, 2·k·dim)."""
        return _blocks(shaped("the tangent", tangent, (self.points, 3, 3)), self.shapes, self.frames, self.dx)


@njit(cache=True, error_model="numpy")
def _separation(u, dofs, shapes, frames):
    n, (each, nqp, k), dim = dofs.shape[0], shapes.shape, frames.shape[3]
    separation = np.zeros((n * nqp, 3))
    jump = np.empty(dim)
    for e in range(n):
        shape = shapes[min(e, each - 1)]
        for q in range(nqp):
            for i in range(dim):
                jump[i] = 0.0
                for a in range(k):
                    jump[i] += shape[q, a] * (u[dofs[e, (k + a) * dim + i]] - u[dofs[e, a * dim + i]])
            for j in range(3):
                for i in range(dim):
                    separation[e * nqp + q, j] += frames[e, q, j, i] * jump[i]
    return separation


@njit(cache=True, error_model="numpy")
def _add_force(traction, dofs, shapes, frames, dx, force):
    n, (each, nqp, k), dim = dofs.shape[0], shapes.shape, frames.shape[3]
    for e in range(n):
        shape = shapes[min(e, each - 1)]
        for q in range(nqp):
            for i in range(dim):
                pull = 0.0
                for j in range(3):
                    pull += frames[e, q, j, i] * traction[e * nqp + q, j]
                pull *= dx[e, q]
                for a in range(k):
                    force[dofs[e, a * dim + i]] -= shape[q, a] * pull
                    force[dofs[e, (k + a) * dim + i]] += shape[q, a] * pull


@njit(cache=True, error_model="numpy")
def _blocks(tangent, shapes, frames, dx):
    n, (each, nqp, k), dim = frames.shape[0], shapes.shape, frames.shape[3]
    blocks = np.zeros((n, 2 * k * dim, 2 * k * dim))
    rotated = np.empty((dim, dim))
    half = k * dim
    for e in range(n):
        shape = shapes[min(e, each - 1)]
        for q in range(nqp):
            _rotate(tangent[e * nqp + q], frames[e, q], dx[e, q], rotated)
            for a in range(k):
                for b in range(k):
                    both = shape[q, a] * shape[q, b]
                    for i in range(dim):
                        for j in range(dim):
                            blocks[e, a * dim + i, b * dim + j] += both * rotated[i, j]
        for r in range(half):
            for c in range(half):
                value = blocks[e, r, c]
                blocks[e, half + r, half + c] = value
                blocks[e, half + r, c] = blocks[e, r, half + c] = -value
    return blocks


@njit(cache=True, error_model="numpy")
def _rotate(tangent, frame, area, rotated):
    """area · Qᵀ (∂t/∂δ) Q."""
    dim = rotated.shape[0]
    for i in range(dim):
        for j in range(dim):
            total = 0.0
            for a in range(3):
                for b in range(3):
                    total += frame[a, i] * tangent[a, b] * frame[b, j]
            rotated[i, j] = area * total
