"""Stiffness matrices of cells of any kind by any rule, and their Errors: the slow way that needs no kernel.

For straight hexahedra with trilinear shape functions :mod:`femnn.integration.error` does the same, a hundred times as
fast.
"""

from functools import cache

import numpy as np
import skfem

from femnn.geometry.cells import KINDS, CellKind, kind_of_array
from femnn.integration.gauss import tensor_gauss
from femnn.integration.lame import lame_parameters

# Numbers that are held at a time: gradients of shape functions at points of a chunk of cells, or their products.
_AT_A_TIME = 500_000

# Full polynomials of each degree; serendipity shape functions are among them and need no other rule.
_ELEMENTS = {
    (2, 1): skfem.ElementQuad1(),
    (2, 2): skfem.ElementQuad2(),
    (3, 1): skfem.ElementHex1(),
    (3, 2): skfem.ElementHex2(),
}


def element_of_degree(kind: CellKind, degree: int) -> skfem.Element:
    """scikit-fem's element with all shape functions of degree 1 or 2 along each axis."""
    return _ELEMENTS[kind.dim, min(degree, 2)]


@cache
def _tables(kind_number, degree, per_axis):
    """Gradients of the map (q, nodes · dim), of the shape functions (q, shapes, dim), and weights, of a tensor rule."""
    kind = KINDS[kind_number]
    points, weights = tensor_gauss(*per_axis)
    element = element_of_degree(kind, degree)
    shapes = np.stack([np.asarray(element.lbasis(points, a)[1]) for a in range(len(element.doflocs))])
    return kind.gradients(points), np.ascontiguousarray(shapes.transpose(2, 0, 1)), weights


def cell_matrices(
    x: np.ndarray, per_axis: tuple[int, ...], degree: int, poisson: float, form: str = "elasticity"
) -> np.ndarray:
    """Stiffness matrices (n, m, m) of cells (n, nodes, dim) by the Gauss rule with ``per_axis`` points.

    Isotropic linear elasticity, in two dimensions plane strain, with Young's modulus 1, or with ``form="laplace"`` the
    Laplace operator. Shape functions are all polynomials of ``degree`` (1 or 2) along each axis.
    """
    kind = kind_of_array(x)
    gradients, shapes, weights = _tables(KINDS.index(kind), degree, tuple(int(k) for k in per_axis))
    rows = shapes.shape[1] * kind.dim
    chunk = max(1, _AT_A_TIME // (rows * max(len(weights), rows)))
    parts = [_matrices(x[k : k + chunk], gradients, shapes, weights, poisson, form) for k in range(0, len(x), chunk)]
    return np.concatenate(parts)


def _matrices(x, gradients, shapes, weights, poisson, form):
    n, _, dim = x.shape
    q = len(weights)
    relative = (x - x[:, -1:]).transpose(0, 2, 1)
    jacobians = (relative @ gradients.reshape(len(gradients), -1)).reshape(n, dim, dim, q).transpose(0, 3, 1, 2)
    return _from_jacobians(jacobians, shapes, weights, poisson, form)


def _from_jacobians(jacobians, shapes, weights, poisson, form):
    """Matrices from Jacobians (n, q, dim, dim) and reference gradients, shared (q, shapes, dim) or one set a cell."""
    n, q, dim, _ = jacobians.shape
    m = shapes.shape[-2]
    cofactors, determinants = _cofactors(jacobians)
    # gradients times the root of the weights: their product with themselves costs half of that with another array
    scaled = shapes @ (cofactors * np.sqrt(weights / np.abs(determinants))[..., None, None])
    scaled = scaled.reshape(n, q, -1)
    # all integrals of products of two derivatives, (n, shape · axis, shape · axis)
    products = (scaled.transpose(0, 2, 1) @ scaled).reshape(n, m, dim, m, dim)
    of_laplace = np.einsum("narbr->nab", products)
    if form == "laplace":
        return of_laplace
    lam, mu = lame_parameters(1.0, poisson)
    result = lam * products + mu * products.transpose(0, 1, 4, 3, 2)
    for axis in range(dim):
        result[:, :, axis, :, axis] += mu * of_laplace
    return result.reshape(n, m * dim, m * dim)


def _cofactors(jacobians):
    """det J J⁻¹ and det J of Jacobians (..., dim, dim)."""
    if jacobians.shape[-1] == 2:
        (a, b), (c, d) = np.moveaxis(jacobians, (-2, -1), (0, 1))
        return np.moveaxis(np.array([[d, -b], [-c, a]]), (0, 1), (-2, -1)), a * d - b * c
    first, second, third = np.moveaxis(jacobians, -1, 0)
    rows = np.stack([np.cross(second, third), np.cross(third, first), np.cross(first, second)], axis=-2)
    return rows, (first * rows[..., 0, :]).sum(axis=-1)


def matrices_of_group(x: np.ndarray, X: np.ndarray, W: np.ndarray, degree: int, poisson: float) -> np.ndarray:
    """Elastic stiffness matrices (n, m, m) of cells (n, nodes, dim) by the points and weights of a group of a rule.

    ``X`` is (dim, q) or (dim, n, q) and ``W`` (q,) or (n, q), as in :class:`femnn.CellGroup`.
    """
    kind = kind_of_array(x)
    X = np.broadcast_to(X if X.ndim == 3 else X[:, None], (kind.dim, len(x), X.shape[-1]))
    W = np.broadcast_to(W, X.shape[1:])
    element = element_of_degree(kind, degree)
    relative = x - x[:, -1:]
    parts = []
    chunk = max(1, _AT_A_TIME // (W.shape[1] * len(element.doflocs) * kind.dim))
    for k in range(0, len(x), chunk):
        some, points = slice(k, k + chunk), X[:, k : k + chunk]
        flat = points.reshape(kind.dim, -1)
        gradients = kind.gradients(flat).reshape(-1, kind.dim, *points.shape[1:])
        shapes = np.stack([np.asarray(element.lbasis(flat, a)[1]) for a in range(len(element.doflocs))])
        shapes = shapes.reshape(-1, kind.dim, *points.shape[1:]).transpose(2, 3, 0, 1)
        jacobians = np.einsum("nai,aknq->nqik", relative[some], gradients)
        parts.append(_from_jacobians(jacobians, shapes, W[some], poisson, "elasticity"))
    return np.concatenate(parts)


def matrix_errors(matrices: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Error of each matrix (n, m, m): sum of the differences of entries over the largest entry of the reference."""
    return np.abs(matrices - references).sum(axis=(1, 2)) / np.abs(references).max(axis=(1, 2))


def energy_scales(references: np.ndarray, dim: int, form: str) -> np.ndarray:
    """Vectors (n, m, m - r) that have energy one in references (n, m, m) and none in common: without r rigid motions.

    For ``form="laplace"`` the one motion is the constant.
    """
    rigid = 1 if form == "laplace" else dim * (dim + 1) // 2
    values, vectors = np.linalg.eigh(references)
    return vectors[:, :, rigid:] / np.sqrt(values[:, None, rigid:])


def energy_changes(matrices: np.ndarray, references: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Largest relative change of energy (n,) from references to matrices, both (n, m, m).

    max |λ| of (K - K_ref) v = λ K_ref v over all v but rigid motions; ``scales`` are those of :func:`energy_scales`.
    """
    changes = scales.transpose(0, 2, 1) @ (matrices - references) @ scales
    return np.abs(np.linalg.eigvalsh(changes)).max(axis=1)


def measured_errors(matrices: np.ndarray, references: np.ndarray, dim: int, form: str, measure: str) -> np.ndarray:
    """The Error, or with ``measure="energy"`` the largest relative change of energy, of each matrix, (n,)."""
    if measure == "entries":
        return matrix_errors(matrices, references)
    return energy_changes(matrices, references, energy_scales(references, dim, form))
