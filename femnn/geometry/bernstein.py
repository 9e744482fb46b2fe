"""Is the map of a cell of any kind one-to-one? The proof of :mod:`femnn.geometry.validity` for any degree.

det J of a cell with shape functions of degree p along each of d axes is a polynomial of degree d p - 1 along each axis:
1 for straight quadrilaterals, 3 for curved ones, 5 for curved hexahedra. Its Bernstein coefficients enclose its values,
and halving the cell brings them nearer (Johnen, Remacle, Geuzaine, "Geometrical validity of curvilinear finite
elements", Journal of Computational Physics 233 (2013) 359-372).
"""

from functools import cache
from math import comb

import numpy as np

from femnn.geometry.cells import KINDS, CellKind, determinants, kind_of_array

# Cells whose determinants are in memory at one time.
_CHUNK = 4096

# Cells whose Jacobian differs by less from that at their centre have det J of one sign, and nowhere below 1e-4 of the
# largest.
_NEARLY_AFFINE = 0.9


def degree_of_determinant(kind: CellKind) -> int:
    """Degree of det J along each axis."""
    return kind.dim * kind.degree - 1


def bernstein_coefficients_of_cells(x: np.ndarray) -> np.ndarray:
    """Bernstein coefficients of det J, shape (n, p + 1, ..., p + 1), of cells (n, nodes, dim)."""
    kind = kind_of_array(x)
    degree = degree_of_determinant(kind)
    ticks = np.linspace(0.0, 1.0, degree + 1)
    points = np.stack(np.meshgrid(*[ticks] * kind.dim, indexing="ij")).reshape(kind.dim, -1)
    values = determinants(x, points).reshape(len(x), *[degree + 1] * kind.dim)
    return _along_all_axes(values, _from_lattice(degree))


@cache
def _from_lattice(degree):
    """Matrix from values at equidistant points to Bernstein coefficients."""
    ticks = np.linspace(0.0, 1.0, degree + 1)
    basis = [comb(degree, k) * ticks**k * (1.0 - ticks) ** (degree - k) for k in range(degree + 1)]
    return np.linalg.inv(np.stack(basis, axis=1))


@cache
def _lower_half(degree):
    """Matrix from the Bernstein coefficients of an interval to those of its lower half (de Casteljau)."""
    return np.array([[comb(i, j) / 2.0**i for j in range(degree + 1)] for i in range(degree + 1)])


def _along_axis(values, matrix, axis):
    return np.moveaxis(np.tensordot(values, matrix, axes=(axis, 1)), -1, axis)


def _along_all_axes(values, matrix):
    for axis in range(1, values.ndim):
        values = _along_axis(values, matrix, axis)
    return values


@cache
def _gradient_table(kind_number):
    """Matrix (nodes, dim c) from nodes to the c Bernstein coefficients of the derivative along each axis."""
    kind, columns = KINDS[kind_number], []
    for axis in range(kind.dim):
        degrees = [kind.degree - (k == axis) for k in range(kind.dim)]
        ticks = [np.linspace(0.0, 1.0, degree + 1) if degree else np.full(1, 0.5) for degree in degrees]
        points = np.stack(np.meshgrid(*ticks, indexing="ij")).reshape(kind.dim, -1)
        values = kind.gradients(points)[:, axis].reshape(-1, *[degree + 1 for degree in degrees])
        for k, degree in enumerate(degrees):
            if degree:
                values = _along_axis(values, _from_lattice(degree), k + 1)
        columns.append(values.reshape(len(kind.nodes), -1))
    return np.concatenate(columns, axis=1)


def distance_from_affine(x: np.ndarray) -> np.ndarray:
    """Bound (n,) of |J₀⁻¹ J - 1| in a cell (n, nodes, dim), J₀ its Jacobian at the centre: the largest sum of a row.

    Below 1 it proves that det J is nowhere zero and at least (1 - r)^dim of that at the centre; most cells of a mesh
    need no other proof. Infinite where J₀ is singular.
    """
    kind = kind_of_array(x)
    centre = kind.gradients(np.full((kind.dim, 1), 0.5))[:, :, 0]
    relative = (x - x[:, -1:]).transpose(0, 2, 1)
    jacobians = relative @ centre
    regular = np.abs(np.linalg.det(jacobians)) > np.finfo(float).eps
    bound = np.full(len(x), np.inf)
    inverses = np.linalg.inv(jacobians[regular])
    ratios = (inverses @ relative[regular]) @ _gradient_table(KINDS.index(kind))
    ratios = ratios.reshape(len(ratios), kind.dim, kind.dim, -1) - np.eye(kind.dim)[:, :, None]
    bound[regular] = np.maximum(ratios.max(axis=3), -ratios.min(axis=3)).sum(axis=2).max(axis=1)
    return bound


def classify_cells(
    x: np.ndarray, degenerate_share: float, most_boxes: int, statuses: tuple[int, int, int]
) -> np.ndarray:
    """Status (n,) of cells (n, nodes, dim).

    Parameters
    ----------
    x
        Coordinates in units of the size of each cell.
    degenerate_share
        det J below this fraction of the largest coefficient counts as zero.
    most_boxes
        Boxes of a cell looked at before it is called degenerate.
    statuses
        The numbers for valid, folded and degenerate cells.
    """
    valid, folded, degenerate = statuses
    status = np.full(len(x), valid)
    uncertain = np.flatnonzero(distance_from_affine(x) >= _NEARLY_AFFINE)
    for start in range(0, len(uncertain), _CHUNK):
        some = uncertain[start : start + _CHUNK]
        coefficients = bernstein_coefficients_of_cells(x[some])
        axes = tuple(range(1, coefficients.ndim))
        coefficients *= np.where(coefficients.sum(axis=axes, keepdims=True) < 0.0, -1.0, 1.0)
        zero = degenerate_share * np.abs(coefficients).max(axis=axes)
        for cell in np.flatnonzero(coefficients.min(axis=axes) <= zero):
            finding = _by_halving(coefficients[cell], zero[cell], most_boxes)
            status[some[cell]] = (valid, folded, degenerate)[finding]
    return status


def _by_halving(coefficients, zero, most_boxes):
    """0 if det J is positive in the cell, 1 if it changes sign, 2 if it comes to zero or this cannot be told."""
    boxes, seen, axis, finding = coefficients[None], 0, 1, 0
    corners = (slice(None), *[slice(None, None, coefficients.shape[0] - 1)] * coefficients.ndim)
    axes = tuple(range(1, boxes.ndim))
    lower = _lower_half(coefficients.shape[0] - 1)
    while len(boxes):
        seen += len(boxes)
        least = boxes[corners].min()
        if least < -zero:
            return 1
        if least <= zero:
            finding = 2
        boxes = boxes[boxes.min(axis=axes) <= (zero if finding == 0 else -zero)]
        if seen > most_boxes:
            return 2
        below = _along_axis(boxes, lower, axis)
        above = np.flip(_along_axis(np.flip(boxes, axis), lower, axis), axis)
        boxes = np.concatenate([below, above])
        axis = axis % coefficients.ndim + 1
    return finding
