"""The thirteen functions of an element that a rule must integrate exactly to pass the patch test.

In the element's own axes, y(ξ) = ξ + w · m with the modes m = (ξη, ηζ, ζξ, ξηζ) and the warp w = J₀⁻¹h, the 24
integrals of :mod:`femnn.quadrature.patch_conditions` are combinations of the thirteen of

    det J and cof J · ∇m_k, k = 1..4,

because det J 1 = cof J · Jᵀ holds at every point. Without warp these are seven functions, 1, ξ, η, ζ, ξη, ηζ, ζξ, some
of them twice. So the thirteen are seven *main* functions and six *slight* ones, which vanish with the warp and are
divided by its size: what is left is well conditioned for nearly parallel elements too.
"""

import numpy as np

from femnn.integration.element_lanes import BLOCK, LANES, ROW, in_lanes, out_of_lanes, shared_lanes, twist_values
from femnn.integration.kernels import _FAST
from femnn.system.compile import njit

#: Independent integrals of the patch test.
EQUATIONS = 13

#: Functions from here on are slight.
SLIGHT = 7

#: Nodes that determine the functions, which are quadratic along each axis: {-1, 0, 1}³, ζ fastest, shape (27, 3).
NODES = np.stack(np.meshgrid(*3 * [[-1.0, 0.0, 1.0]], indexing="ij"), axis=3).reshape(27, 3)

#: Rows of a symmetric matrix of the thirteen, row by row; only its lower triangle is filled.
GRAM_ROWS = EQUATIONS**2

#: Sets of the thirteen whose products are summed at once.
SETS = 4

_SETS = np.uint64(SETS)


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _cross(a, b):
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _sum(a, b):
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _put(functions, place, scale, inverse, determinant, first, second, third, fourth):
    """The thirteen functions from det J and the vectors cof J · ∇m_k, k = 1..4, times ``scale``."""
    slight = scale * inverse
    functions[place] = scale * determinant
    functions[place + ROW[1]] = 0.5 * scale * (first[1] + third[2])
    functions[place + ROW[2]] = 0.5 * scale * (first[0] + second[2])
    functions[place + ROW[3]] = 0.5 * scale * (second[1] + third[0])
    functions[place + ROW[4]] = scale * fourth[0]
    functions[place + ROW[5]] = scale * fourth[1]
    functions[place + ROW[6]] = scale * fourth[2]
    functions[place + ROW[7]] = slight * (first[1] - third[2])
    functions[place + ROW[8]] = slight * (first[0] - second[2])
    functions[place + ROW[9]] = slight * (second[1] - third[0])
    functions[place + ROW[10]] = slight * first[2]
    functions[place + ROW[11]] = slight * second[0]
    functions[place + ROW[12]] = slight * third[1]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def functions_at(warp, inverse, points, row, values, functions, first):
    """The thirteen functions at one point of each lane into ``functions`` from row ``first`` on.

    ``inverse`` (1 row) is 1 over the size of the warp, ``points`` hold ξ, η, ζ from ``row`` on, ``values`` (13 rows) is
    work space.
    """
    twist_values(warp, points, row, values, 0)
    place = np.uint64(LANES * first)
    for b in range(BLOCK):
        one = values[ROW[1] + b], values[ROW[2] + b], values[ROW[3] + b]
        two = values[ROW[4] + b], values[ROW[5] + b], values[ROW[6] + b]
        three = values[ROW[7] + b], values[ROW[8] + b], values[ROW[9] + b]
        four = values[ROW[10] + b], values[ROW[11] + b], values[ROW[12] + b]
        _put(functions, place + b, 1.0, inverse[b], values[b], one, two, three, four)


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _combined(cofactors, x, y, z):
    """The vectors cof J · ∇m_k, k = 1..4, from the columns of cof J."""
    c0, c1, c2 = cofactors
    yz, zx, xy = y * z, z * x, x * y
    return (
        (c0[0] * y + c1[0] * x, c0[1] * y + c1[1] * x, c0[2] * y + c1[2] * x),
        (c1[0] * z + c2[0] * y, c1[1] * z + c2[1] * y, c1[2] * z + c2[2] * y),
        (c2[0] * x + c0[0] * z, c2[1] * x + c0[1] * z, c2[2] * x + c0[2] * z),
        (
            c0[0] * yz + c1[0] * zx + c2[0] * xy,
            c0[1] * yz + c1[1] * zx + c2[1] * xy,
            c0[2] * yz + c1[2] * zx + c2[2] * xy,
        ),
    )


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _weighted(a, x, b, y):
    return a[0] * x + b[0] * y, a[1] * x + b[1] * y, a[2] * x + b[2] * y


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def weighted_slopes(warp, inverse, points, weights, q, slopes):
    """The weight times the slopes of the thirteen functions along ξ, η, ζ at point ``q`` of each lane.

    Into ``slopes`` from row 52 q on, 13 rows for each axis; ``points`` (24 rows), ``weights`` (8 rows).
    """
    point, place = np.uint64(LANES * 3 * q), np.uint64(LANES * 4 * EQUATIONS * q)
    own_weight = np.uint64(LANES * q)
    for b in range(BLOCK):
        x, y, z = points[point + b], points[point + ROW[1] + b], points[point + ROW[2] + b]
        w1 = warp[b], warp[ROW[4] + b], warp[ROW[8] + b]
        w2 = warp[ROW[1] + b], warp[ROW[5] + b], warp[ROW[9] + b]
        w3 = warp[ROW[2] + b], warp[ROW[6] + b], warp[ROW[10] + b]
        w4 = warp[ROW[3] + b], warp[ROW[7] + b], warp[ROW[11] + b]
        # mixed derivatives ∂²y/∂ξ∂η, ∂²y/∂η∂ζ, ∂²y/∂ζ∂ξ and columns of J
        m0, m1, m2 = _weighted(w1, 1.0, w4, z), _weighted(w2, 1.0, w4, x), _weighted(w3, 1.0, w4, y)
        j0 = _sum(_weighted(w1, y, w3, z), (1.0 + w4[0] * y * z, w4[1] * y * z, w4[2] * y * z))
        j1 = _sum(_weighted(w1, x, w2, z), (w4[0] * z * x, 1.0 + w4[1] * z * x, w4[2] * z * x))
        j2 = _sum(_weighted(w2, y, w3, x), (w4[0] * x * y, w4[1] * x * y, 1.0 + w4[2] * x * y))
        c0, c1, c2 = _cross(j1, j2), _cross(j2, j0), _cross(j0, j1)
        row, scale, slight = place + b, weights[own_weight + b], inverse[b]
        own = _sum(_cross(m0, j2), _cross(j1, m2))
        one, two, three, four = _combined((own, _cross(m2, j0), _cross(j0, m0)), x, y, z)
        one, three, four = _sum(one, c1), _sum(three, c2), _sum(four, _weighted(c1, z, c2, y))
        _put(slopes, row, scale, slight, _dot(j0, own), one, two, three, four)
        own = _sum(_cross(m1, j0), _cross(j2, m0))
        one, two, three, four = _combined((_cross(j1, m1), own, _cross(m0, j1)), x, y, z)
        one, two, four = _sum(one, c0), _sum(two, c2), _sum(four, _weighted(c0, z, c2, x))
        _put(slopes, row + ROW[EQUATIONS], scale, slight, _dot(j1, own), one, two, three, four)
        own = _sum(_cross(m2, j1), _cross(j0, m1))
        one, two, three, four = _combined((_cross(m1, j2), _cross(j2, m2), own), x, y, z)
        two, three, four = _sum(two, c1), _sum(three, c0), _sum(four, _weighted(c0, y, c1, x))
        _put(slopes, row + ROW[EQUATIONS] + ROW[EQUATIONS], scale, slight, _dot(j2, own), one, two, three, four)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _add_nine(first, row, column, functions, matrix):
    """Add the products of three functions with three others over _SETS sets from ``first`` on, nine sums at once."""
    one = np.uint64(LANES * (EQUATIONS * first + row))
    other, entry = np.uint64(LANES * (EQUATIONS * first + column)), np.uint64(LANES * (EQUATIONS * row + column))
    for b in range(BLOCK):
        s00 = s01 = s02 = s10 = s11 = s12 = s20 = s21 = s22 = 0.0
        for p in range(_SETS):
            r, c = ROW[EQUATIONS] * p + one + b, ROW[EQUATIONS] * p + other + b
            x, y, z = functions[r], functions[r + ROW[1]], functions[r + ROW[2]]
            f, g, h = functions[c], functions[c + ROW[1]], functions[c + ROW[2]]
            s00, s01, s02 = s00 + x * f, s01 + x * g, s02 + x * h
            s10, s11, s12 = s10 + y * f, s11 + y * g, s12 + y * h
            s20, s21, s22 = s20 + z * f, s21 + z * g, s22 + z * h
        i = entry + b
        matrix[i] += s00
        matrix[i + ROW[1]] += s01
        matrix[i + ROW[2]] += s02
        i += ROW[EQUATIONS]
        matrix[i] += s10
        matrix[i + ROW[1]] += s11
        matrix[i + ROW[2]] += s12
        i += ROW[EQUATIONS]
        matrix[i] += s20
        matrix[i + ROW[1]] += s21
        matrix[i + ROW[2]] += s22


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _add_last(first, functions, matrix):
    """The same for the last function and all thirteen."""
    last, start = np.uint64(LANES * (EQUATIONS * first + EQUATIONS - 1)), np.uint64(LANES * EQUATIONS * first)
    for t in range(EQUATIONS):
        other, entry = start + np.uint64(LANES * t), np.uint64(LANES * (EQUATIONS * (EQUATIONS - 1) + t))
        for b in range(BLOCK):
            total = 0.0
            for p in range(_SETS):
                total += functions[ROW[EQUATIONS] * p + last + b] * functions[ROW[EQUATIONS] * p + other + b]
            matrix[entry + b] += total


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def add_gram(functions, count, matrix):
    """Add the products with each other of ``count`` sets of the thirteen, a multiple of SETS, to ``matrix``.

    That is (GRAM_ROWS rows). Several sets at a time, so that an entry is loaded and stored once for all of them.
    """
    for first in range(0, count, SETS):
        for row in range(0, EQUATIONS - 1, 3):
            for column in range(0, row + 1, 3):
                _add_nine(first, row, column, functions, matrix)
        _add_last(first, functions, matrix)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def add_to_diagonal(inverse, constant, factor, matrix):
    """Add a constant and a factor times 1 over the size of the warp squared to the diagonal of ``matrix``."""
    for r in range(EQUATIONS):
        entry = np.uint64(LANES * (EQUATIONS + 1) * r)
        for b in range(BLOCK):
            matrix[entry + b] += constant + factor * inverse[b] * inverse[b]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _subtract_products(one, one_step, other, other_step, count, left, right, total):
    """Subtract ``count`` products of rows of ``left`` and ``right`` from ``total`` (1 row), four at a time.

    Rows start at ``one`` and ``other``, and each is a step behind the one before it. What is summed stands by itself:
    loops that read and write one array are not vectorised.
    """
    two, three = one_step + one_step, one_step + one_step + one_step
    double, triple = other_step + other_step, other_step + other_step + other_step
    for _ in range(count // 4):
        for b in range(BLOCK):
            r, c = one + b, other + b
            total[b] -= (
                left[r] * right[c]
                + left[r + one_step] * right[c + other_step]
                + left[r + two] * right[c + double]
                + left[r + three] * right[c + triple]
            )
        one, other = one + two + two, other + double + double
    for _ in range(count % 4):
        for b in range(BLOCK):
            total[b] -= left[one + b] * right[other + b]
        one, other = one + one_step, other + other_step


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def factorise(matrix, total):
    """Cholesky's factors of symmetric positive definite systems of the thirteen in place, inverses on the diagonal.

    ``total`` (1 row) is work space.
    """
    for i in range(EQUATIONS):
        row = np.uint64(LANES * EQUATIONS * i)
        for j in range(i + 1):
            line, entry = np.uint64(LANES * EQUATIONS * j), row + np.uint64(LANES * j)
            pivot = line + np.uint64(LANES * j)
            for b in range(BLOCK):
                total[b] = matrix[entry + b]
            _subtract_products(row, BLOCK, line, BLOCK, j, matrix, matrix, total)
            if i == j:
                for b in range(BLOCK):
                    matrix[entry + b] = 1.0 / np.sqrt(total[b])
            else:
                for b in range(BLOCK):
                    total[b] *= matrix[pivot + b]
                for b in range(BLOCK):
                    matrix[entry + b] = total[b]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def substitute(matrix, right, total):
    """Solve with the factors of :func:`factorise` in place, ``right`` (13 rows); ``total`` (1 row) is work space."""
    for i in range(EQUATIONS):
        row, own = np.uint64(LANES * EQUATIONS * i), np.uint64(LANES * i)
        for b in range(BLOCK):
            total[b] = right[own + b]
        _subtract_products(row, BLOCK, np.uint64(0), BLOCK, i, matrix, right, total)
        for b in range(BLOCK):
            right[own + b] = total[b] * matrix[row + own + b]
    for back in range(EQUATIONS):
        i = EQUATIONS - 1 - back
        row, own = np.uint64(LANES * EQUATIONS * i), np.uint64(LANES * i)
        for b in range(BLOCK):
            total[b] = right[own + b]
        _subtract_products(row + ROW[EQUATIONS] + own, ROW[EQUATIONS], own + BLOCK, BLOCK, back, matrix, right, total)
        for b in range(BLOCK):
            right[own + b] = total[b] * matrix[row + own + b]


@njit(over="warps", grain=4, cache=True, error_model="numpy", fastmath=_FAST)
def fill_functions(begin, end, warps, sizes, points, functions):
    """The thirteen functions at ``points`` (1 row for each number, shared) into ``functions`` (n, 13 rows a point)."""
    inverse, values = np.empty(LANES), np.empty(EQUATIONS * LANES)
    for block in range(begin, end):
        for b in range(LANES):
            inverse[b] = 1.0 / sizes[block, b]
        for q in range(points.shape[0] // (3 * LANES)):
            functions_at(warps[block], inverse, points, 3 * q, values, functions[block], EQUATIONS * q)


def nodal_values(warp: np.ndarray) -> np.ndarray:
    """The thirteen functions at ``NODES``, (n, 27, 13), which determine them everywhere; ``warp`` as in `project`."""
    n = len(warp)
    warps, sizes = in_lanes(warp), in_lanes(np.linalg.norm(np.reshape(warp, (-1, 12)), axis=1))
    functions = np.empty((len(warps), 27 * EQUATIONS * LANES))
    fill_functions(warps, sizes, shared_lanes(NODES), functions)
    return out_of_lanes(functions, n).reshape(n, 27, EQUATIONS)
