"""The patch test of one element: which integrals a rule must find exactly for constant strains to be reproduced.

A displacement that is linear in x passes through a mesh undisturbed if ∫ ∂N_a/∂x_i dx comes out exactly in every
element (B. M. Irons, A. Razzaque, 1972; T. J. R. Hughes, The Finite Element Method, 1987, section 4.6). In reference
coordinates the integrand is cof J · ∇N_a = ∂(det J)/∂x_a, a polynomial of degree two along each axis, so 2×2×2 Gauss
points pass, and so does every rule that integrates these 24 functions of *this* element exactly. An affine map of the
element mixes them among themselves: which weights pass depends on the twelve numbers J₀⁻¹h alone.
"""

import numpy as np

from femnn.checks import checked
from femnn.geometry.coordinates import own_axes, relative_warp
from femnn.geometry.hexahedron import shape_gradients
from femnn.integration.element_lanes import BLOCK, LANES, ROW, in_lanes, out_of_lanes, shared_lanes
from femnn.integration.gauss import tensor_gauss
from femnn.integration.kernels import _FAST, physical_gradients
from femnn.quadrature.patch_functions import (
    EQUATIONS,
    GRAM_ROWS,
    SETS,
    SLIGHT,
    add_gram,
    add_to_diagonal,
    factorise,
    functions_at,
    substitute,
)
from femnn.system.compile import njit

_EQUATIONS, _SETS = np.uint64(EQUATIONS), np.uint64(SETS)

# Elements whose integrands are held at a time: 2000 at 27 points take 10 MB.
_CHUNK = 2000


def patch_integrands(hexahedra: np.ndarray, points: np.ndarray) -> np.ndarray:
    """cof J · ∇N_a = det J ∂N_a/∂x_i, shape (n, 24, nqp), row 3a + i.

    Parameters
    ----------
    hexahedra : (n, 8, 3)
        Elements, or the same in their own axes (:func:`femnn.geometry.coordinates.own_axes`).
    points : (3, nqp) or (3, n, nqp)
        In [0, 1]³, shared or one set per element.
    """
    slopes = shape_gradients(points)
    hexahedra = np.asarray(hexahedra, dtype=float)
    hexahedra = hexahedra - hexahedra[:, -1:]
    if slopes.ndim == 3:
        columns = np.einsum("akq,eai->keqi", slopes, hexahedra)
    else:
        columns = np.einsum("akeq,eai->keqi", slopes, hexahedra)
    # column k of cof J is the vector product of the other two columns of J
    cofactors = np.stack([np.cross(columns[(k + 1) % 3], columns[(k + 2) % 3]) for k in range(3)])
    shared = "akq,keqi->eaiq" if slopes.ndim == 3 else "akeq,keqi->eaiq"
    integrands = np.einsum(shared, slopes, cofactors)
    return integrands.reshape(len(integrands), 24, -1)


def patch_integrals(hexahedra: np.ndarray) -> np.ndarray:
    """∫ ∂N_a/∂x_i dx up to the sign of det J, shape (n, 24), row 3a + i: exact, by 2×2×2 Gauss points."""
    points, weights = tensor_gauss(2, 2, 2)
    return patch_integrands(hexahedra, points) @ weights


@checked(hexahedra="n 8 3", X="3 q | 3 n q", W="q | n q")
def patch_residual(hexahedra: np.ndarray, X: np.ndarray, W: np.ndarray) -> np.ndarray:
    """Residual of the patch test of a rule on each element, shape (n,).

    The largest error of the 24 integrals in the element's own axes over the largest of them, so that neither size nor
    stretch of the element matter: round-off (1e-15) if the rule passes.

    Parameters
    ----------
    hexahedra : (n, 8, 3)
    X : (3, nqp) or (3, n, nqp)
        Points in [0, 1]³, shared or one set per element, as a :class:`femnn.CellGroup` has them.
    W : (nqp,) or (n, nqp)
        Weights; Gauss weights sum to 1.

    Examples
    --------
    >>> import femnn
    >>> from femnn.integration import tensor_gauss
    >>> from femnn.quadrature import patch_residual
    >>> x = femnn.distorted_hexahedra(10, 0.2, seed=0)
    >>> bool((patch_residual(x, *tensor_gauss(2, 2, 2)) < 1e-12).all())
    True
    >>> bool((patch_residual(x, *tensor_gauss(1, 1, 1)) < 1e-12).any())
    False
    """
    n = len(hexahedra)
    weights = np.broadcast_to(W, (n, np.shape(W)[-1]))
    residuals = np.empty(n)
    for start in range(0, n, _CHUNK):
        rows = slice(start, start + _CHUNK)
        elements = own_axes(hexahedra[rows])
        exact = patch_integrals(elements)
        integrands = patch_integrands(elements, X if np.ndim(X) == 2 else X[:, rows])
        integrals = np.einsum("erq,eq->er", integrands, weights[rows])
        residuals[rows] = np.abs(integrals - exact).max(axis=1) / np.abs(exact).max(axis=1)
    return residuals


# The 24 integrands span thirteen functions of an element that is no parallelepiped, seven of one that is.
_MOST_INDEPENDENT = 13
_ROUND_OFF = 1e-14

# Below this warp there is nothing to divide by. Functions have a round-off whose square is _NOISE over the size of
# the warp squared: what is added to the normal equations for it, and for missing twists, is made good by solving again.
_NO_WARP, _SMALL, _NOISE, _TURNS = 1e-10, 1e-13, 1e-31, 3

# Largest integral that may be left of changes of the size 1; they are weights, whose sum is 1.
_PASSES = 1e-13


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _remove(direction, row):
    """Make ``row`` orthogonal to a unit vector; return the square of what is left of it."""
    component, square = 0.0, 0.0
    for q in range(row.shape[0]):
        component += direction[q] * row[q]
    for q in range(row.shape[0]):
        row[q] -= component * direction[q]
        square += row[q] * row[q]
    return square


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _orthonormal_rows(vertices, points, rows, squares, basis):
    """Gram-Schmidt with pivots on the integrands of one element (8, 3) in its own axes; returns the size of ``basis``.

    ``rows`` (24, nqp) and ``squares`` (24,) are work space.
    """
    local, gradients = np.empty((8, 3)), np.empty(24)
    for q in range(points.shape[1]):
        physical_gradients(vertices, points[0, q], points[1, q], points[2, q], local, gradients)
        rows[:, q] = gradients
    for r in range(24):
        squares[r] = (rows[r] ** 2).sum()
    largest = squares.max()
    for count in range(basis.shape[0]):
        best = np.argmax(squares)
        if squares[best] <= _ROUND_OFF**2 * largest:
            return count
        basis[count] = rows[best] / np.sqrt(squares[best])
        # once more against all before it: rows that are small differences have lost their digits
        for k in range(count):
            _remove(basis[k], basis[count])
        basis[count] /= np.sqrt((basis[count] ** 2).sum())
        for r in range(24):
            squares[r] = _remove(basis[count], rows[r])
    return basis.shape[0]


@njit(over="hexahedra", grain=16, cache=True, error_model="numpy", fastmath=_FAST)
def _bases(begin, end, hexahedra, points, bases):
    for e in range(begin, end):
        rows, squares = np.empty((24, points.shape[1])), np.empty(24)
        size = _orthonormal_rows(hexahedra[e], points, rows, squares, bases[e])
        bases[e, size:] = 0.0


@njit(over="hexahedra", grain=16, cache=True, error_model="numpy", fastmath=_FAST)
def _project(begin, end, hexahedra, points, changes):
    for e in range(begin, end):
        rows, squares = np.empty((24, points.shape[1])), np.empty(24)
        basis = np.empty((_MOST_INDEPENDENT, points.shape[1]))
        size = _orthonormal_rows(hexahedra[e], points, rows, squares, basis)
        # twice: the second time removes what round-off left of the first
        for _ in range(2):
            for k in range(size):
                _remove(basis[k], changes[e])


def patch_bases(hexahedra: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Orthonormal rows (n, 13, nqp) that span the integrands at shared points; zero where there are fewer.

    A change of weights passes the patch test if it is orthogonal to all of them.
    """
    bases = np.empty((len(hexahedra), _MOST_INDEPENDENT, points.shape[1]))
    _bases(own_axes(hexahedra), np.array(points), bases)
    return bases


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _integrals_of_changes(functions, changes, count, right):
    """The integrals of the thirteen, ``right``, by weights ``changes`` of a multiple of SETS points."""
    right[:] = 0.0
    for q in range(0, count, SETS):
        place = np.uint64(LANES * q)
        for r in range(EQUATIONS):
            row, first = np.uint64(LANES * r), np.uint64(LANES * (EQUATIONS * q + r))
            for b in range(BLOCK):
                total = 0.0
                for p in range(_SETS):
                    total += functions[first + ROW[EQUATIONS] * p + b] * changes[place + BLOCK * p + b]
                right[row + b] += total


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _take_out(functions, right, count, changes):
    for q in range(count):
        place, first = np.uint64(LANES * q), np.uint64(LANES * EQUATIONS * q)
        for b in range(BLOCK):
            total = 0.0
            for r in range(_EQUATIONS):
                total += functions[first + BLOCK * r + b] * right[BLOCK * r + b]
            changes[place + b] -= total


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _largest_integral(right, sizes, errors):
    for b in range(LANES):
        largest = 0.0
        for r in range(EQUATIONS):
            value = abs(right[LANES * r + b]) * (sizes[b] if r >= SLIGHT else 1.0)
            # what is no number counts as large
            largest = largest if value <= largest else value
        errors[b] = largest


@njit(over="warps", grain=4, cache=True, error_model="numpy", fastmath=_FAST)
def _project_lanes(begin, end, warps, sizes, points, changes, errors):
    """Project ``changes`` (n, nqp rows) on those that pass; the largest integral that is left into ``errors``."""
    count, numbers = points.shape[0] // (3 * LANES), changes.shape[1]
    # filled up by points where all functions vanish
    filled = (count + SETS - 1) // SETS * SETS
    functions, own = np.zeros(filled * EQUATIONS * LANES), np.zeros(filled * LANES)
    inverse, values, right = np.empty(LANES), np.empty(EQUATIONS * LANES), np.empty(EQUATIONS * LANES)
    matrix = np.empty(GRAM_ROWS * LANES)
    for block in range(begin, end):
        for b in range(LANES):
            inverse[b] = 1.0 / max(sizes[block, b], _NO_WARP)
        for q in range(count):
            functions_at(warps[block], inverse, points, 3 * q, values, functions, EQUATIONS * q)
        matrix[:] = 0.0
        add_gram(functions, filled, matrix)
        add_to_diagonal(inverse, _SMALL, _NOISE, matrix)
        factorise(matrix, values)
        own[:numbers] = changes[block]
        for _ in range(_TURNS):
            _integrals_of_changes(functions, own, filled, right)
            substitute(matrix, right, values)
            _take_out(functions, right, count, own)
        _integrals_of_changes(functions, own, filled, right)
        _largest_integral(right, sizes[block], errors[block])
        changes[block] = own[:numbers]


def passing_changes(hexahedra: np.ndarray, points: np.ndarray, changes: np.ndarray) -> np.ndarray:
    """Orthogonal projection of ``changes`` of weights (n, nqp) on those that pass the patch test, (n, nqp).

    By the normal equations of the thirteen functions of :mod:`femnn.quadrature.patch_functions`, and by Gram-Schmidt
    with pivots where these are nearly dependent.
    """
    result, n = np.array(changes, dtype=float), len(changes)
    warps = relative_warp(hexahedra)
    sizes = np.linalg.norm(warps.reshape(n, 12), axis=1)
    for start in range(0, n, _CHUNK):
        rows = slice(start, start + _CHUNK)
        blocks, errors = in_lanes(result[rows]), np.empty((-(-len(result[rows]) // LANES), LANES))
        _project_lanes(in_lanes(warps[rows]), in_lanes(sizes[rows]), shared_lanes(2.0 * points.T - 1.0), blocks, errors)
        found = out_of_lanes(blocks, len(result[rows]))
        good = (errors.ravel()[: len(found)] <= _PASSES * np.abs(found).max(axis=1)) & (sizes[rows] > _NO_WARP)
        result[rows][good] = found[good]
        rest = start + np.flatnonzero(~good)
        if len(rest):
            others = result[rest]
            _project(own_axes(hexahedra[rest]), np.array(points), others)
            result[rest] = others
    return result
