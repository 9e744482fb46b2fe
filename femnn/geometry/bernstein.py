"""Is the map of a cell of any kind one-to-one? The proof of :mod:`femnn.geometry.validity` for any degree.

det J of a cell with shape functions of degree p along each of d axes is a polynomial of degree d p - 1 along each axis:
1 for straight quadrilaterals, 3 for curved ones, 5 for curved hexahedra. Its Bernstein coefficients enclose its values,
and halving the cell brings them nearer (Johnen, Remacle, Geuzaine, "Geometrical validity of curvilinear finite
elements", Journal of Computational Physics 233 (2013) 359-372).
"""

from functools import cache
from math import comb

import numpy as np

from femnn.geometry.cells import KINDS, QUADRILATERAL, CellKind, determinants, kind_of_array
from femnn.geometry.shape_kernels import invert
from femnn.system.compile import njit

# Cells whose determinants are in memory at one time.
_CHUNK = 4096

# Cells whose Jacobian differs by less from that at their centre have det J of one sign, and nowhere below 1e-4 of the
# largest.
_NEARLY_AFFINE = 0.9

# det J at the centre of a cell of unit size, below which it tells nothing.
_SINGULAR = float(np.finfo(float).eps)


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
    bounds = np.empty(len(x))
    _distances(np.ascontiguousarray(x), _centre_table(KINDS.index(kind)), _gradient_table(KINDS.index(kind)), bounds)
    return bounds


@cache
def _centre_table(kind_number):
    """Reference gradients (nodes, dim) of the map at the centre."""
    kind = KINDS[kind_number]
    return np.ascontiguousarray(kind.gradients(np.full((kind.dim, 1), 0.5))[:, :, 0])


@njit(over="x", grain=256, cache=True, error_model="numpy")
def _distances(begin, end, x, centre, table, bounds):
    dim, count = centre.shape[1], table.shape[1]
    jacobian, inverse = np.zeros((3, 3)), np.zeros((3, 3))
    gradients, ratios = np.empty((dim, count)), np.empty(count)
    for e in range(begin, end):
        _derivatives(x, e, centre, table, jacobian, gradients)
        if not abs(invert(jacobian, inverse)) > _SINGULAR:
            bounds[e] = np.inf
            continue
        bound = 0.0
        for i in range(dim):
            for c in range(count):
                ratios[c] = inverse[i, 0] * gradients[0, c] + inverse[i, 1] * gradients[1, c]
            if dim == 3:
                for c in range(count):
                    ratios[c] += inverse[i, 2] * gradients[2, c]
            bound = max(bound, _row_sum(ratios, i, dim))
        bounds[e] = bound


@njit(cache=True, error_model="numpy")
def _derivatives(x, e, centre, table, jacobian, gradients):
    """The Jacobian (3, 3) of cell ``e`` at its centre and the coefficients (dim, count) of its derivatives."""
    nodes, dim = centre.shape
    # a plane cell is one of three dimensions with a thickness of one
    jacobian[:] = 0.0
    jacobian[2, 2] = 1.0
    gradients[:] = 0.0
    for i in range(dim):
        jacobian[i, i] = 0.0
        for a in range(nodes - 1):
            # relative to the last node: far from the origin digits are kept
            v = x[e, a, i] - x[e, nodes - 1, i]
            for j in range(dim):
                jacobian[i, j] += v * centre[a, j]
            for c in range(table.shape[1]):
                gradients[i, c] += v * table[a, c]


@njit(cache=True, error_model="numpy")
def _row_sum(ratios, i, dim):
    """Largest distance from row ``i`` of the unit matrix, a sum over the derivatives along each axis."""
    total, width = 0.0, ratios.shape[0] // dim
    for j in range(dim):
        shift, most = 1.0 if i == j else 0.0, 0.0
        for c in range(j * width, (j + 1) * width):
            most = max(most, abs(ratios[c] - shift))
        total += most
    return total


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
    uncertain = np.flatnonzero(_are_uncertain(x, degenerate_share))
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


def _are_uncertain(x, degenerate_share):
    """Which cells (n,) the quick proof of their kind does not settle."""
    if kind_of_array(x) is not QUADRILATERAL:
        return distance_from_affine(x) >= _NEARLY_AFFINE
    uncertain = np.empty(len(x), dtype=np.bool_)
    _compare_corners(np.ascontiguousarray(x), degenerate_share, uncertain)
    return uncertain


@njit(over="x", grain=1024, cache=True, error_model="numpy")
def _compare_corners(begin, end, x, share, uncertain):
    """det J of a straight quadrilateral is bilinear: its Bernstein coefficients are its values at the vertices."""
    for e in range(begin, end):
        least, most = np.inf, -np.inf
        for a in range(4):
            b, c = (a + 1) % 4, (a + 3) % 4
            value = (x[e, b, 0] - x[e, a, 0]) * (x[e, c, 1] - x[e, a, 1]) - (x[e, b, 1] - x[e, a, 1]) * (
                x[e, c, 0] - x[e, a, 0]
            )
            least, most = min(least, value), max(most, value)
        uncertain[e] = not (least > share * most or most < share * least)


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
