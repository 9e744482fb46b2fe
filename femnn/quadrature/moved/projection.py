"""Points and weights on the manifold that passes the patch test of one element.

In the element's own axes, y(ξ) = ξ + w · m with the modes m = (ξη, ηζ, ζξ, ξηζ) and the warp w = J₀⁻¹h, the 24
integrals of :mod:`femnn.quadrature.patch_conditions` are combinations of the thirteen of

    det J and cof J · ∇m_k, k = 1..4,

because det J 1 = cof J · Jᵀ holds at every point. Without warp these are seven functions, 1, ξ, η, ζ, ξη, ηζ, ζξ, some
of them twice. So the thirteen are seven *main* functions and six *slight* ones, which vanish with the warp and are
divided by its size: what is left is well conditioned for nearly parallel elements too.
"""

import numpy as np

from femnn.integration.gauss import tensor_gauss
from femnn.integration.kernels import _FAST, kernel_array
from femnn.system.compile import njit

#: Independent integrals of the patch test.
EQUATIONS = 13

# The values at a point are det J and then (cof J · ∇m_k)_i at 1 + 3 (k - 1) + i. Function r is
# _FACTORS[r, 0] value[_PLACES[r, 0]] + _FACTORS[r, 1] value[_PLACES[r, 1]], over the size of the warp from _SLIGHT on.
_PLACES = np.array(
    [[0, 0], [2, 9], [1, 6], [5, 7], [10, 0], [11, 0], [12, 0], [2, 9], [1, 6], [5, 7], [3, 0], [4, 0], [8, 0]]
)
_FACTORS = np.array([[1.0, 0.0]] + 3 * [[0.5, 0.5]] + 3 * [[1.0, 0.0]] + 3 * [[1.0, -1.0]] + 3 * [[1.0, 0.0]])
_SLIGHT = 7

#: Nodes that determine the functions, which are quadratic along each axis: {-1, 0, 1}³, ζ fastest, shape (27, 3).
NODES = np.stack(np.meshgrid(*3 * [[-1.0, 0.0, 1.0]], indexing="ij"), axis=3).reshape(27, 3)

#: 2×2×2 Gauss points on [-1, 1]³, shape (8, 3).
GAUSS_POINTS = 2.0 * tensor_gauss(2, 2, 2)[0].T - 1.0

#: Largest error of a main integral, and of a slight one times the size of the warp, that passes; the volume is 8.
PASSES = 5e-13

_MOST_STEPS = 12
# Where twists are missing or nearly so, there are fewer than thirteen functions and the equations are singular. Slight
# functions have a round-off of 1e-16 over the size of the warp: this, over the size squared, keeps it from being blown
# up, and delays only what hardly matters.
_REGULAR = 1e-13


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _cross(a, i, b, j, factor, result, k):
    result[k, 0] += factor * (a[i, 1] * b[j, 2] - a[i, 2] * b[j, 1])
    result[k, 1] += factor * (a[i, 2] * b[j, 0] - a[i, 0] * b[j, 2])
    result[k, 2] += factor * (a[i, 0] * b[j, 1] - a[i, 1] * b[j, 0])


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _columns(warp, x, y, z, columns, mixed, cofactors):
    """Columns of J, mixed derivatives ∂²y/∂ξ∂η, ∂²y/∂η∂ζ, ∂²y/∂ζ∂ξ and columns of cof J, each (3, 3), row by row."""
    for i in range(3):
        w1, w2, w3, w4 = warp[i, 0], warp[i, 1], warp[i, 2], warp[i, 3]
        columns[0, i] = w1 * y + w3 * z + w4 * y * z
        columns[1, i] = w1 * x + w2 * z + w4 * z * x
        columns[2, i] = w2 * y + w3 * x + w4 * x * y
        columns[i, i] += 1.0
        mixed[0, i], mixed[1, i], mixed[2, i] = w1 + w4 * z, w2 + w4 * x, w3 + w4 * y
    cofactors[:] = 0.0
    _cross(columns, 1, columns, 2, 1.0, cofactors, 0)
    _cross(columns, 2, columns, 0, 1.0, cofactors, 1)
    _cross(columns, 0, columns, 1, 1.0, cofactors, 2)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _combine(values, inverse, result):
    for r in range(EQUATIONS):
        value = _FACTORS[r, 0] * values[_PLACES[r, 0]] + _FACTORS[r, 1] * values[_PLACES[r, 1]]
        result[r] = inverse * value if r >= _SLIGHT else value


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _times_mode_gradients(cofactors, xi, values):
    x, y, z = xi[0], xi[1], xi[2]
    for i in range(3):
        c0, c1, c2 = cofactors[0, i], cofactors[1, i], cofactors[2, i]
        values[1 + i] = c0 * y + c1 * x
        values[4 + i] = c1 * z + c2 * y
        values[7 + i] = c2 * x + c0 * z
        values[10 + i] = c0 * y * z + c1 * z * x + c2 * x * y


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _functions(warp, inverse, xi, space, functions, slopes):
    """The thirteen functions at the point ``xi`` (3,) into ``functions`` (13,), their slopes into ``slopes`` (3, 13).

    ``inverse`` is 1 over the size of the warp, ``space`` (4, 3, 3) work space.
    """
    columns, mixed, cofactors, change = space[0], space[1], space[2], space[3]
    values = np.empty(EQUATIONS)
    _columns(warp, xi[0], xi[1], xi[2], columns, mixed, cofactors)
    values[0] = columns[0, 0] * cofactors[0, 0] + columns[0, 1] * cofactors[0, 1] + columns[0, 2] * cofactors[0, 2]
    _times_mode_gradients(cofactors, xi, values)
    _combine(values, inverse, functions)
    for k in range(3):
        after, before = (k + 1) % 3, (k + 2) % 3
        change[:] = 0.0
        _cross(mixed, k, columns, before, 1.0, change, k)
        _cross(columns, after, mixed, before, 1.0, change, k)
        _cross(mixed, before, columns, k, 1.0, change, after)
        _cross(columns, k, mixed, k, 1.0, change, before)
        values[0] = columns[k, 0] * change[k, 0] + columns[k, 1] * change[k, 1] + columns[k, 2] * change[k, 2]
        _times_mode_gradients(change, xi, values)
        for i in range(3):
            c1, c2 = cofactors[after, i], cofactors[before, i]
            values[1 + 3 * k + i] += c1
            values[1 + 3 * before + i] += c2
            values[10 + i] += c1 * xi[before] + c2 * xi[after]
        _combine(values, inverse, slopes[k])


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _residual(warp, inverse, points, weights, space, functions, slopes, residual):
    """Integrals of the thirteen functions with these points (8, 3) and weights (8,), less those in ``residual``."""
    for r in range(EQUATIONS):
        residual[r] = -residual[r]
    for q in range(8):
        _functions(warp, inverse, points[q], space, functions[q], slopes[q])
        for r in range(EQUATIONS):
            residual[r] += weights[q] * functions[q, r]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _solve(matrix, right):
    """Solve a symmetric positive definite system in place by Cholesky's factors."""
    n = right.shape[0]
    for j in range(n):
        for k in range(j):
            matrix[j, j] -= matrix[j, k] * matrix[j, k]
        matrix[j, j] = np.sqrt(matrix[j, j])
        for i in range(j + 1, n):
            for k in range(j):
                matrix[i, j] -= matrix[i, k] * matrix[j, k]
            matrix[i, j] /= matrix[j, j]
    for i in range(n):
        for k in range(i):
            right[i] -= matrix[i, k] * right[k]
        right[i] /= matrix[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            right[i] -= matrix[k, i] * right[k]
        right[i] /= matrix[i, i]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _step(functions, slopes, regular, matrix, residual, points, weights):
    """The shortest step of points and weights that cancels the residual in first order; spoils ``residual``."""
    for r in range(EQUATIONS):
        for t in range(r + 1):
            total = 0.0
            for q in range(8):
                products = slopes[q, 0, r] * slopes[q, 0, t] + slopes[q, 1, r] * slopes[q, 1, t]
                products += slopes[q, 2, r] * slopes[q, 2, t]
                total += weights[q] * weights[q] * products + functions[q, r] * functions[q, t]
            matrix[r, t] = total
        matrix[r, r] += regular
    _solve(matrix, residual)
    for q in range(8):
        for k in range(3):
            for r in range(EQUATIONS):
                points[q, k] -= weights[q] * slopes[q, k, r] * residual[r]
    for q in range(8):
        for r in range(EQUATIONS):
            weights[q] -= functions[q, r] * residual[r]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _inside(points, weights):
    for q in range(8):
        if not (abs(points[q, 0]) < 1.0 and abs(points[q, 1]) < 1.0 and abs(points[q, 2]) < 1.0 and weights[q] > 0.0):
            return False
    return True


@njit(over="warp", grain=16, cache=True, error_model="numpy", fastmath=_FAST)
def _project(begin, end, warp, size, points, weights, passes):
    for e in range(begin, end):
        space, matrix = np.empty((4, 3, 3)), np.empty((EQUATIONS, EQUATIONS))
        functions, slopes = np.empty((8, EQUATIONS)), np.empty((8, 3, EQUATIONS))
        exact, residual = np.zeros(EQUATIONS), np.empty(EQUATIONS)
        inverse = 1.0 / size[e]
        _residual(warp[e], inverse, GAUSS_POINTS, np.ones(8), space, functions, slopes, exact)
        passes[e] = False
        for _ in range(_MOST_STEPS):
            residual[:] = exact
            _residual(warp[e], inverse, points[e], weights[e], space, functions, slopes, residual)
            largest = 0.0
            for r in range(EQUATIONS):
                largest = max(largest, abs(residual[r]) * (size[e] if r >= _SLIGHT else 1.0))
            if largest < PASSES:
                passes[e] = _inside(points[e], weights[e])
                break
            _step(functions, slopes, _REGULAR * inverse * inverse, matrix, residual, points[e], weights[e])


def project(warp: np.ndarray, points: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Move points and weights by the shortest way, in steps of Gauss and Newton, until they pass the patch test.

    Parameters
    ----------
    warp : (n, 3, 4)
        J₀⁻¹h of the elements, :func:`femnn.geometry.coordinates.relative_warp`; none may vanish.
    points : (n, 8, 3), weights : (n, 8)
        In [-1, 1]³, Gauss weights are 1.

    Returns
    -------
    points, weights
        Copies, moved.
    passes : (n,) bool
        Elements that pass, with all points inside the cube and positive weights; the others are of no use.
    """
    warp, points = kernel_array(warp), np.array(points, dtype=float, order="C")
    weights, passes = np.array(weights, dtype=float, order="C"), np.empty(len(warp), dtype=bool)
    _project(warp, np.linalg.norm(warp.reshape(-1, 12), axis=1), points, weights, passes)
    return points, weights, passes


@njit(over="warp", grain=64, cache=True, error_model="numpy", fastmath=_FAST)
def _fill_nodes(begin, end, warp, size, values):
    for e in range(begin, end):
        space, slopes = np.empty((4, 3, 3)), np.empty((3, EQUATIONS))
        for node in range(27):
            _functions(warp[e], 1.0 / size[e], NODES[node], space, values[e, node], slopes)


def nodal_values(warp: np.ndarray) -> np.ndarray:
    """The thirteen functions at ``NODES``, (n, 27, 13), which determine them everywhere; ``warp`` as in `project`."""
    warp = kernel_array(warp)
    values = np.empty((len(warp), 27, EQUATIONS))
    _fill_nodes(warp, np.linalg.norm(warp.reshape(-1, 12), axis=1), values)
    return values


@njit(over="warp", cache=True, error_model="numpy", fastmath=_FAST)
def _scale(begin, end, warp, points, weights):
    for e in range(begin, end):
        space, exact, volume = np.empty((3, 3, 3)), 0.0, 0.0
        for q in range(8):
            exact += _determinant(warp[e], GAUSS_POINTS[q], space)
            volume += weights[e, q] * _determinant(warp[e], points[e, q], space)
        for q in range(8):
            weights[e, q] *= exact / volume


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _determinant(warp, xi, space):
    _columns(warp, xi[0], xi[1], xi[2], space[0], space[1], space[2])
    return space[0, 0, 0] * space[2, 0, 0] + space[0, 0, 1] * space[2, 0, 1] + space[0, 0, 2] * space[2, 0, 2]


def scale_to_volume(warp: np.ndarray, points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The weights scaled so that the volume of each element is exact, (n, 8); arguments as :func:`project`."""
    warp, points = (kernel_array(values) for values in (warp, points))
    weights = np.array(weights, dtype=float, order="C")
    _scale(warp, points, weights)
    return weights
