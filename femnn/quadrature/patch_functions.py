"""The thirteen functions of an element that a rule must integrate exactly to pass the patch test.

In the element's own axes, y(ξ) = ξ + w · m with the modes m = (ξη, ηζ, ζξ, ξηζ) and the warp w = J₀⁻¹h, the 24
integrals of :mod:`femnn.quadrature.patch_conditions` are combinations of the thirteen of

    det J and cof J · ∇m_k, k = 1..4,

because det J 1 = cof J · Jᵀ holds at every point. Without warp these are seven functions, 1, ξ, η, ζ, ξη, ηζ, ζξ, some
of them twice. So the thirteen are seven *main* functions and six *slight* ones, which vanish with the warp and are
divided by its size: what is left is well conditioned for nearly parallel elements too.
"""

import numpy as np

from femnn.integration.element_lanes import LANES, in_lanes, out_of_lanes, shared_lanes, twist_values
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


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _cross(a, b):
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _sum(a, b):
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _put(functions, row, b, scale, inverse, determinant, first, second, third, fourth):
    """The thirteen functions from det J and the vectors cof J · ∇m_k, k = 1..4, times ``scale``."""
    slight = scale * inverse
    functions[LANES * row + b] = scale * determinant
    functions[LANES * (row + 1) + b] = 0.5 * scale * (first[1] + third[2])
    functions[LANES * (row + 2) + b] = 0.5 * scale * (first[0] + second[2])
    functions[LANES * (row + 3) + b] = 0.5 * scale * (second[1] + third[0])
    functions[LANES * (row + 4) + b] = scale * fourth[0]
    functions[LANES * (row + 5) + b] = scale * fourth[1]
    functions[LANES * (row + 6) + b] = scale * fourth[2]
    functions[LANES * (row + 7) + b] = slight * (first[1] - third[2])
    functions[LANES * (row + 8) + b] = slight * (first[0] - second[2])
    functions[LANES * (row + 9) + b] = slight * (second[1] - third[0])
    functions[LANES * (row + 10) + b] = slight * first[2]
    functions[LANES * (row + 11) + b] = slight * second[0]
    functions[LANES * (row + 12) + b] = slight * third[1]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def functions_at(warp, inverse, points, row, values, functions, first):
    """The thirteen functions at one point of each lane into ``functions`` from row ``first`` on.

    ``inverse`` (1 row) is 1 over the size of the warp, ``points`` hold ξ, η, ζ from ``row`` on, ``values`` (13 rows) is
    work space.
    """
    twist_values(warp, points, row, values)
    for b in range(LANES):
        one = values[LANES + b], values[2 * LANES + b], values[3 * LANES + b]
        two = values[4 * LANES + b], values[5 * LANES + b], values[6 * LANES + b]
        three = values[7 * LANES + b], values[8 * LANES + b], values[9 * LANES + b]
        four = values[10 * LANES + b], values[11 * LANES + b], values[12 * LANES + b]
        _put(functions, first, b, 1.0, inverse[b], values[b], one, two, three, four)


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
    row = 4 * EQUATIONS * q
    for b in range(LANES):
        x, y, z = points[LANES * (3 * q) + b], points[LANES * (3 * q + 1) + b], points[LANES * (3 * q + 2) + b]
        w1 = warp[b], warp[4 * LANES + b], warp[8 * LANES + b]
        w2 = warp[LANES + b], warp[5 * LANES + b], warp[9 * LANES + b]
        w3 = warp[2 * LANES + b], warp[6 * LANES + b], warp[10 * LANES + b]
        w4 = warp[3 * LANES + b], warp[7 * LANES + b], warp[11 * LANES + b]
        # mixed derivatives ∂²y/∂ξ∂η, ∂²y/∂η∂ζ, ∂²y/∂ζ∂ξ and columns of J
        m0, m1, m2 = _weighted(w1, 1.0, w4, z), _weighted(w2, 1.0, w4, x), _weighted(w3, 1.0, w4, y)
        j0 = _sum(_weighted(w1, y, w3, z), (1.0 + w4[0] * y * z, w4[1] * y * z, w4[2] * y * z))
        j1 = _sum(_weighted(w1, x, w2, z), (w4[0] * z * x, 1.0 + w4[1] * z * x, w4[2] * z * x))
        j2 = _sum(_weighted(w2, y, w3, x), (w4[0] * x * y, w4[1] * x * y, 1.0 + w4[2] * x * y))
        c0, c1, c2 = _cross(j1, j2), _cross(j2, j0), _cross(j0, j1)
        scale, slight = weights[LANES * q + b], inverse[b]
        own = _sum(_cross(m0, j2), _cross(j1, m2))
        one, two, three, four = _combined((own, _cross(m2, j0), _cross(j0, m0)), x, y, z)
        one, three, four = _sum(one, c1), _sum(three, c2), _sum(four, _weighted(c1, z, c2, y))
        _put(slopes, row, b, scale, slight, _dot(j0, own), one, two, three, four)
        own = _sum(_cross(m1, j0), _cross(j2, m0))
        one, two, three, four = _combined((_cross(j1, m1), own, _cross(m0, j1)), x, y, z)
        one, two, four = _sum(one, c0), _sum(two, c2), _sum(four, _weighted(c0, z, c2, x))
        _put(slopes, row + EQUATIONS, b, scale, slight, _dot(j1, own), one, two, three, four)
        own = _sum(_cross(m2, j1), _cross(j0, m1))
        one, two, three, four = _combined((_cross(m1, j2), _cross(j2, m2), own), x, y, z)
        two, three, four = _sum(two, c1), _sum(three, c0), _sum(four, _weighted(c0, y, c1, x))
        _put(slopes, row + 2 * EQUATIONS, b, scale, slight, _dot(j2, own), one, two, three, four)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def add_gram(functions, count, matrix):
    """Add the products with each other of ``count`` sets of the thirteen to ``matrix`` (GRAM_ROWS rows).

    Four sets at a time, so that an entry is loaded and stored once for four products; what is left over one by one.
    """
    step = EQUATIONS * LANES
    fours = count // 4
    for c in range(fours):
        for r in range(EQUATIONS):
            for t in range(r + 1):
                one, other = LANES * (4 * EQUATIONS * c + r), LANES * (4 * EQUATIONS * c + t)
                for b in range(LANES):
                    matrix[LANES * (EQUATIONS * r + t) + b] += (
                        functions[one + b] * functions[other + b]
                        + functions[one + step + b] * functions[other + step + b]
                        + functions[one + 2 * step + b] * functions[other + 2 * step + b]
                        + functions[one + 3 * step + b] * functions[other + 3 * step + b]
                    )
    for c in range(4 * fours, count):
        for r in range(EQUATIONS):
            for t in range(r + 1):
                one, other = LANES * (EQUATIONS * c + r), LANES * (EQUATIONS * c + t)
                for b in range(LANES):
                    matrix[LANES * (EQUATIONS * r + t) + b] += functions[one + b] * functions[other + b]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def add_to_diagonal(inverse, constant, factor, matrix):
    """Add a constant and a factor times 1 over the size of the warp squared to the diagonal of ``matrix``."""
    for r in range(EQUATIONS):
        for b in range(LANES):
            matrix[LANES * (EQUATIONS * r + r) + b] += constant + factor * inverse[b] * inverse[b]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def factorise(matrix, column):  # noqa: C901
    """Cholesky's factors of symmetric positive definite systems of the thirteen in place, inverses on the diagonal.

    ``column`` (13 rows) is work space: loops that read and write one array are not vectorised.
    """
    for j in range(EQUATIONS):
        for b in range(LANES):
            column[b] = 1.0 / np.sqrt(matrix[LANES * (EQUATIONS * j + j) + b])
        for b in range(LANES):
            matrix[LANES * (EQUATIONS * j + j) + b] = column[b]
        for i in range(j + 1, EQUATIONS):
            for b in range(LANES):
                matrix[LANES * (EQUATIONS * i + j) + b] *= column[b]
        for i in range(j + 1, EQUATIONS):
            for b in range(LANES):
                column[LANES * i + b] = matrix[LANES * (EQUATIONS * i + j) + b]
        for i in range(j + 1, EQUATIONS):
            for k in range(j + 1, i + 1):
                for b in range(LANES):
                    matrix[LANES * (EQUATIONS * i + k) + b] -= column[LANES * i + b] * column[LANES * k + b]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def substitute(matrix, right):
    """Solve with the factors of :func:`factorise` in place, ``right`` (13 rows)."""
    for i in range(EQUATIONS):
        for k in range(i):
            for b in range(LANES):
                right[LANES * i + b] -= matrix[LANES * (EQUATIONS * i + k) + b] * right[LANES * k + b]
        for b in range(LANES):
            right[LANES * i + b] *= matrix[LANES * (EQUATIONS * i + i) + b]
    for back in range(EQUATIONS):
        i = EQUATIONS - 1 - back
        for k in range(i + 1, EQUATIONS):
            for b in range(LANES):
                right[LANES * i + b] -= matrix[LANES * (EQUATIONS * k + i) + b] * right[LANES * k + b]
        for b in range(LANES):
            right[LANES * i + b] *= matrix[LANES * (EQUATIONS * i + i) + b]


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
