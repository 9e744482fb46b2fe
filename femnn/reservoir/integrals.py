"""Matrices of a porous body that couple displacements to pressures, and what steadies pressures of equal order."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import skfem
from scipy.sparse import coo_array, csr_array

from femnn.geometry.cells import cells
from femnn.geometry.hexahedron import in_own_units
from femnn.quadrature.gauss import GaussLegendre

# Gauss points per axis: exact for the products of quadratic and linear functions in parallelograms and boxes, and for
# those of linear functions in any cell.
_POINTS = 3

# Cells at a time: some ten megabytes.
_CHUNK = 4096


class CellBasis(skfem.CellBasis):
    """scikit-fem's basis of the cells, whose shape functions take memory only when something asks for them.

    Parameters
    ----------
    mesh, elem, **kw
        As ``skfem.CellBasis`` takes them; all cells of the mesh.
    """

    def __init__(self, mesh: skfem.Mesh, elem: skfem.Element, **kw) -> None:
        kw.pop("elements", None)
        skfem.assembly.basis.abstract_basis.AbstractBasis.__init__(self, mesh, elem, refdom=mesh.refdom, **kw)
        self.tind, self.nelems = None, mesh.nelements

    @cached_property
    def basis(self) -> list:
        """Shape functions at the points of all cells."""
        return [self.elem.gbasis(self.mapping, self.X, j, tind=None) for j in range(self.Nbfun)]

    @cached_property
    def dx(self) -> np.ndarray:
        """Volume that belongs to each point, (cells, points)."""
        return np.abs(self.mapping.detDF(self.X)) * self.W

    @cached_property
    def mean_slopes(self) -> np.ndarray:
        """Mean slopes over the cells of the scalar shape functions, (cells, functions, dim)."""
        points, weights = _rule(self.mesh)
        scalar: Any = getattr(self.elem, "elem", self.elem)
        slopes = np.array([scalar.lbasis(points, b)[1] for b in range(self._nodes)])
        table = np.einsum("bkq,q->qkb", slopes, weights).reshape(len(weights) * len(points), -1)
        parts = []
        for _, cofactors, determinant, size in _geometry(self.mesh):
            m, dim = len(cofactors), len(points)
            products = (cofactors.transpose(0, 2, 1, 3).reshape(-1, len(table)) @ table).reshape(m, dim, -1)
            parts.append(products.transpose(0, 2, 1) / ((determinant @ weights) * size)[:, None, None])
        return np.concatenate(parts)

    @cached_property
    def mean_values(self) -> np.ndarray:
        """Mean values over the cells of the scalar shape functions, (cells, functions)."""
        points, weights = _rule(self.mesh)
        scalar: Any = getattr(self.elem, "elem", self.elem)
        values = np.array([scalar.lbasis(points, b)[0] for b in range(self._nodes)])
        parts = [
            (determinant @ (values * weights).T) / (determinant @ weights)[:, None]
            for _, _, determinant, _ in _geometry(self.mesh)
        ]
        return np.concatenate(parts)

    @property
    def _nodes(self):
        return self.Nbfun // (self.mesh.dim() if isinstance(self.elem, skfem.ElementVector) else 1)


def swelling(displacement: skfem.CellBasis, pressure: skfem.CellBasis, biot: np.ndarray) -> csr_array:
    """Matrix (n_p, n_u) of ∫ α q div u, with α (n,) constant in each cell."""
    vector, dim = displacement.elem, displacement.mesh.dim()
    points, weights = _rule(displacement.mesh)
    values = np.array([pressure.elem.lbasis(points, a)[0] for a in range(pressure.Nbfun)])
    slopes = np.array([vector.elem.lbasis(points, b)[1] for b in range(displacement.Nbfun // dim)])
    # det J ∂N/∂x = Σ_k (cofactors of J)_k ∂N/∂ξ_k: one product of matrices for all cells
    table = np.einsum("aq,bkq,q->qkab", values, slopes, weights).reshape(len(weights) * dim, -1)

    def of_cells(part, cofactors, _determinant, size):
        products = cofactors.transpose(0, 2, 1, 3).reshape(-1, len(table)) @ table
        blocks = products.reshape(-1, dim, len(values), len(slopes)).transpose(0, 2, 3, 1)
        return blocks.reshape(len(blocks), len(values), -1) * (biot[part] * size ** (dim - 1))[:, None, None]

    return _assembled(displacement.mesh, pressure, displacement, of_cells)


def unresolved(pressure: skfem.CellBasis, factor: np.ndarray) -> csr_array:
    """Matrix (n_p, n_p) of ∫ f (p − Πp)(q − Πq), with the mean Πp of each cell and f (n,) constant in it.

    It makes linear displacements and pressures stable together: C. R. Dohrmann, P. B. Bochev, Int. J. Numer. Methods
    Fluids 46 (2004) 183-201; J. A. White, R. I. Borja, CMAME 197 (2008) 4353-4366, for porous bodies. Constants of a
    cell pass through it, so that no fluid gets lost.
    """
    dim = pressure.mesh.dim()
    points, weights = _rule(pressure.mesh)
    values = np.array([pressure.elem.lbasis(points, a)[0] for a in range(pressure.Nbfun)])
    pairs = np.einsum("aq,bq,q->qab", values, values, weights).reshape(len(weights), -1)

    def of_cells(part, _cofactors, determinant, size):
        masses = (determinant @ pairs).reshape(-1, len(values), len(values))
        loads, volumes = masses.sum(axis=2), determinant @ weights
        blocks = masses - loads[:, :, None] * (loads / volumes[:, None])[:, None, :]
        return blocks * (factor[part] * size**dim)[:, None, None]

    return _assembled(pressure.mesh, pressure, pressure, of_cells)


def _rule(mesh):
    """Points (dim, nqp) and weights (nqp,) in the reference cell."""
    group = GaussLegendre(_POINTS).groups(cells(mesh)[:1])[0]
    return group.X, group.W


def _assembled(mesh, rows, columns, of_cells) -> csr_array:
    """Sum of the blocks that ``of_cells(part, cofactors, determinant, size)`` gives for the cells of a part."""
    blocks = np.concatenate([of_cells(part, *geometry) for part, *geometry in _geometry(mesh)])
    shape = blocks.shape
    row, column = (basis.element_dofs.T.astype(np.int32) for basis in (rows, columns))
    where = (np.broadcast_to(row[:, :, None], shape).ravel(), np.broadcast_to(column[:, None, :], shape).ravel())
    return csr_array(coo_array((blocks.ravel(), where), shape=(rows.N, columns.N)))


def _geometry(mesh) -> Iterator[tuple]:
    """Cells, cofactors (m, nqp, dim, dim) of J with the sign of det J, its size (m, nqp), and the units (m,)."""
    x, (points, _) = cells(mesh), _rule(mesh)
    slopes = np.array([mesh.elem().lbasis(points, a)[1] for a in range(x.shape[1])])
    for start in range(0, len(x), _CHUNK):
        part = slice(start, start + _CHUNK)
        scaled, size = in_own_units(x[part])
        along = np.einsum("eai,akq->eqik", scaled, slopes)
        cofactors = _cofactors(along)
        determinant = (along[..., 0] * cofactors[..., 0]).sum(axis=-1)
        sign = np.sign(determinant)
        yield part, cofactors * sign[..., None, None], np.abs(determinant), size


def _cofactors(matrices):
    """det A · A⁻ᵀ of matrices (..., dim, dim)."""
    if matrices.shape[-1] == 2:
        (a, b), (c, d) = (matrices[..., i, :].transpose(2, 0, 1) for i in range(2))
        return np.stack([np.stack([d, -c], axis=-1), np.stack([-b, a], axis=-1)], axis=-2)
    columns = [matrices[..., k] for k in range(3)]
    return np.stack([np.cross(columns[(k + 1) % 3], columns[(k + 2) % 3]) for k in range(3)], axis=-1)
