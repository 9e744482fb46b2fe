"""Plane cracks through the hexahedra of a cell, whose jumps are constant in each element that they cut."""

import numpy as np
import skfem
from scipy.sparse import block_array, coo_matrix, csr_array

from femnn.exceptions import MeshError
from femnn.interfaces.embedded import EmbeddedElements
from femnn.interfaces.embedded_crack import EmbeddedCrack


class EmbeddedCracks:
    """In place of :class:`femnn.InterfaceElements` on the mesh of a cell, which is not split.

    The unknowns are displacements of the vertices, then jumps ξ of the cut elements along the frame of their crack: see
    :mod:`femnn.interfaces.embedded` for the formulation, which is not symmetric. Points of no area fill up what
    elements with fewer points lack.

    Parameters
    ----------
    cell : femnn.multiscale.rve.cut.Cell
        With ``planes``.
    young, poisson
        As of the blocks.

    Attributes
    ----------
    cut : (n,) int
        Cut elements.
    x, frames, dx : (n, nqp, 3), (n, nqp, 3, 3), (n, nqp)
    dofs : (n, 3) int
        Of the jumps of each element.
    ndof : int

    Raises
    ------
    MeshError
        If two cracks cut one element.
    """

    def __init__(self, cell, young, poisson) -> None:
        mesh = cell.mesh
        cracks = [EmbeddedCrack.plane(mesh, point, normal) for point, normal in cell.planes]
        self._parts = [EmbeddedElements(crack, young, poisson, "constant") for crack in cracks]
        self.cut = np.concatenate([crack.elements for crack in cracks])
        twice, count = np.unique(self.cut, return_counts=True)
        if (count > 1).any():
            raise MeshError(
                f"{(count > 1).sum()} elements are cut by two embedded cracks, the first of them "
                f"{twice[count > 1][0]}; mesh along one of them, or refine the mesh where they do not meet"
            )
        most = max(crack.dx.shape[1] for crack in cracks)
        lacking = [((0, 0), (0, most - crack.dx.shape[1])) for crack in cracks]
        self.dx = np.concatenate([np.pad(crack.dx, pad) for crack, pad in zip(cracks, lacking, strict=True)])
        self.x = np.concatenate(
            [np.pad(crack.x, (*pad, (0, 0)), mode="edge") for crack, pad in zip(cracks, lacking, strict=True)]
        )
        frames = np.concatenate([np.repeat(part.frame[None], len(part.crack), axis=0) for part in self._parts])
        self.frames = np.repeat(frames[:, None], most, axis=1)
        self._n = 3 * mesh.nvertices
        self.dofs = self._n + np.arange(3 * len(self.cut)).reshape(-1, 3)
        self.ndof = self._n + self.dofs.size
        self._mesh = mesh

    @property
    def points(self) -> int:
        """Number of integration points."""
        return self.dx.size

    def separation(self, u):
        """Separation (points, 3) of unknowns (ndof,)."""
        return np.repeat(u[self.dofs], self.dx.shape[1], axis=0)

    def force(self, traction):
        """Force (ndof,) of tractions (points, 3) on the jumps."""
        force = np.zeros(self.ndof)
        force[self._n :] = np.einsum("nqi,nq->ni", traction.reshape(*self.dx.shape, 3), self.dx).ravel()
        return force

    def blocks(self, tangent):
        """Stiffness (n, 3, 3) of tangents (points, 3, 3) on the jumps."""
        return np.einsum("nqij,nq->nij", tangent.reshape(*self.dx.shape, 3, 3), self.dx)

    def stiffness(self, matrix):
        """Stiffness (ndof, ndof) of a body whose stiffness without cracks is ``matrix``, not symmetric.

        Its last rows are the tractions of the body's stresses on the cracks, negative.
        """
        displaced = np.concatenate([part.dofs for part in self._parts])
        jumps = self.dofs - self._n
        coupling, pull, release = (
            np.concatenate(each) for each in zip(*(part.coupled() for part in self._parts), strict=True)
        )
        shape = self._n, jumps.size
        return csr_array(
            block_array(
                [
                    [matrix, -_assembled(coupling, displaced, jumps, shape)],
                    [
                        -_assembled(pull, jumps, displaced, shape[::-1]),
                        _assembled(release, jumps, jumps, shape[1:] * 2),
                    ],
                ]
            )
        )

    def strain_operator(self, operator, elementwise):
        """Strains of vertices and jumps, of those of vertices and of single elements (points of strain, n·k·dim)."""
        moved = np.concatenate([part.moved for part in self._parts])
        n, k = moved.shape[:2]
        places = k * self.cut[:, None] + np.arange(k)
        carried = _assembled(moved, places, self.dofs - self._n, (elementwise.shape[1], 3 * n))
        return csr_array(block_array([[operator, -(elementwise @ carried)]]))

    def slopes(self):
        """Matrix (points·3, nvertices) from pressures of vertices to their gradients along the cracks."""
        mesh = self._mesh
        mapping = mesh.mapping()
        local = mapping.invF(np.moveaxis(self.x, -1, 0), tind=self.cut)
        basis = skfem.CellBasis(
            mesh, skfem.ElementHex1(), quadrature=(local, np.ones(local.shape[1:])), elements=self.cut
        )
        gradient = np.array([function[0].grad for function in basis.basis])
        normal = self.frames[:, :, 0]
        gradient -= np.einsum("ainq,nqi,nqj->ajnq", gradient, normal, normal)
        rows = np.broadcast_to(
            3 * np.arange(self.points).reshape(self.dx.shape) + np.arange(3)[:, None, None], gradient.shape
        )
        columns = np.broadcast_to(basis.element_dofs[:, None, :, None], gradient.shape)
        shape = (3 * self.points, mesh.nvertices)
        return csr_array(coo_matrix((gradient.ravel(), (rows.ravel(), columns.ravel())), shape=shape))


def _assembled(blocks, rows, columns, shape):
    """Sparse matrix of blocks (n, a, b) at rows (n, a) and columns (n, b)."""
    at = [np.broadcast_to(each, blocks.shape).ravel() for each in (rows[:, :, None], columns[:, None, :])]
    return csr_array(coo_matrix((blocks.ravel(), at), shape=shape))
