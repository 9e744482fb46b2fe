"""How many Gauss points a cell of any kind needs, from the Legendre series of its metric along lines.

The integrands of a stiffness are products of derivatives of shape functions and of the field det J J⁻¹J⁻ᵀ, which is
constant on parallelepipeds and rational elsewhere. Along an axis the n-point Gauss rule integrates polynomials up to
degree 2n - 1; two derivatives of degree p take 2p of these, so what it misses are the coefficients of that field from
degree 2n - 2p on. Their decay is set by the nearest complex root of det J, as for straight hexahedra (docs/theory/
quadrature.md), whatever the kind of the cell. The sum of those coefficients along the lines through a few points of the
other axes, weighted as for an integral over them, relative to the constant part, follows the Error within a factor of
two; how far it may be below it is measured once (:mod:`femnn.quadrature.adaptive.train_series`).

Source: L. N. Trefethen, "Approximation Theory and Approximation Practice" (SIAM 2013), theorems 8.1 and 19.3.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import skfem

from femnn.geometry.cells import KINDS, kind_of_array
from femnn.geometry.hexahedron import in_own_units
from femnn.integration.gauss import gauss_legendre
from femnn.system.compile import njit

#: Most points along an axis that are given.
MOST = 40

# Points, and so coefficients, along each line; more of them follow by the rate of the last ones.
_LENGTH = 24
# Lines along an axis pass through the Gauss-Lobatto points of the other axes, by dimension, and count with their
# weights: the lines on edges are those that see a corner where det J comes near zero.
_INNER = np.sqrt(0.2)
_LOBATTO = {
    2: (np.array([0.0, 0.5 - 0.5 * _INNER, 0.5 + 0.5 * _INNER, 1.0]), np.array([1.0, 5.0, 5.0, 1.0]) / 12.0),
    3: (np.array([0.0, 0.5, 1.0]), np.array([1.0, 4.0, 1.0]) / 6.0),
}
# Coefficients below this share of the constant one are rounding.
_ROUNDING = 1e-14
# The slowest decay that is continued: slower ones are those of cells on the verge of folding.
_SLOWEST = 0.97


class Series(NamedTuple):
    """Legendre series of cells along their axes.

    Attributes
    ----------
    tails : (n, dim, _LENGTH)
        Sums of all coefficients from each degree on, relative to the constant one.
    rates : (n, dim)
        Factor from one coefficient to the next beyond the last one.
    """

    tails: np.ndarray
    rates: np.ndarray


@cache
def _line_tables(kind_number):
    """Tables of the lines of a kind of cell.

    Gradients of the map at the points of a line are products: a share of each node (axis, line, dim, node), which its
    place on the other axes gives, times a function along the line, of its place (axis, node) on this one: the values or
    slopes of the one-dimensional shape functions (2, places, point). Besides these how much each line counts, how
    often the entries of the metric count, and the matrix from values to coefficients.
    """
    kind = KINDS[kind_number]
    ticks, weights = gauss_legendre(_LENGTH)
    line = skfem.ElementLineP1() if kind.degree == 1 else skfem.ElementLineP2()
    knots = np.array(line.doflocs, dtype=float)[:, 0]
    places, of_each = _LOBATTO[kind.dim]
    others = np.stack(np.meshgrid(*[places] * (kind.dim - 1), indexing="ij")).reshape(kind.dim - 1, -1)
    shares = np.stack(np.meshgrid(*[of_each] * (kind.dim - 1), indexing="ij")).reshape(kind.dim - 1, -1).prod(axis=0)

    def functions(at):
        return np.stack([np.stack([np.ravel(part) for part in line.lbasis(at[None], k)]) for k in range(len(knots))], 1)

    places_of_nodes = np.abs(kind.nodes[:, :, None] - knots).argmin(axis=2)
    node_shares = np.ones((kind.dim, others.shape[1], kind.dim, len(kind.nodes)))
    for axis in range(kind.dim):
        for row, other in enumerate(k for k in range(kind.dim) if k != axis):
            values, slopes = functions(others[row])[:, places_of_nodes[:, other]]
            for direction in range(kind.dim):
                node_shares[axis, :, direction] *= (slopes if direction == other else values).T
    often = np.array([1.0 if r == s else 2.0 for r in range(kind.dim) for s in range(r, kind.dim)])
    degrees = np.arange(_LENGTH)
    legendre = np.polynomial.legendre.legvander(2.0 * ticks - 1.0, _LENGTH - 1)
    transform = legendre * weights[:, None] * (2.0 * degrees + 1.0)
    # Gauss points are symmetric: even coefficients come from sums of two values, odd ones from differences
    half = np.stack([transform[: _LENGTH // 2, 0::2], transform[: _LENGTH // 2, 1::2]])
    nodes = node_shares, np.ascontiguousarray(places_of_nodes.T), functions(ticks)
    return nodes, shares, often, np.ascontiguousarray(half)


def series_of(x: np.ndarray) -> Series:
    """Legendre series of healthy cells (n, nodes, dim)."""
    nodes, shares, often, transform = _line_tables(KINDS.index(kind_of_array(x)))
    scaled, _ = in_own_units(x)
    tails, rates = np.empty((len(x), x.shape[2], _LENGTH)), np.empty((len(x), x.shape[2]))
    _series(scaled, nodes, shares, often, transform, tails, rates)
    return Series(tails, rates)


# Loops over the points of a line are the inner ones: they run in vector registers.
@njit(cache=True, error_model="numpy")
def _jacobians(x, nodes, axis, line, sums, jacobians):
    """Jacobians (dim, dim, points) along a line of a cell; ``sums`` (dim, places, dim) is work space."""
    shares, places, functions = nodes
    dim, length = x.shape[1], functions.shape[2]
    sums[:] = 0.0
    for a in range(x.shape[0]):
        place = places[axis, a]
        for j in range(dim):
            share = shares[axis, line, j, a]
            for i in range(dim):
                sums[j, place, i] += share * x[a, i]
    for j in range(dim):
        of = 1 if j == axis else 0
        for i in range(dim):
            jacobians[i, j, :] = 0.0
            for k in range(functions.shape[1]):
                weight = sums[j, k, i]
                for t in range(length):
                    jacobians[i, j, t] += weight * functions[of, k, t]


@njit(cache=True, error_model="numpy")
def _plane_metric(jacobians, values):
    """det J J⁻¹J⁻ᵀ as its entries on and above the diagonal, (3, points)."""
    for t in range(values.shape[1]):
        a, b, c, d = jacobians[0, 0, t], jacobians[0, 1, t], jacobians[1, 0, t], jacobians[1, 1, t]
        inverse = 1.0 / abs(a * d - b * c)
        values[0, t] = (d * d + b * b) * inverse
        values[1, t] = -(d * c + b * a) * inverse
        values[2, t] = (c * c + a * a) * inverse


@njit(cache=True, error_model="numpy")
def _space_metric(jacobians, values):
    """det J J⁻¹J⁻ᵀ as its entries on and above the diagonal, (6, points)."""
    for t in range(values.shape[1]):
        a, b, c = jacobians[0, 0, t], jacobians[0, 1, t], jacobians[0, 2, t]
        d, e, f = jacobians[1, 0, t], jacobians[1, 1, t], jacobians[1, 2, t]
        g, h, i = jacobians[2, 0, t], jacobians[2, 1, t], jacobians[2, 2, t]
        # rows of the adjugate
        u0, u1, u2 = e * i - f * h, c * h - b * i, b * f - c * e
        v0, v1, v2 = f * g - d * i, a * i - c * g, c * d - a * f
        w0, w1, w2 = d * h - e * g, b * g - a * h, a * e - b * d
        inverse = 1.0 / abs(a * u0 + d * u1 + g * u2)
        values[0, t] = (u0 * u0 + u1 * u1 + u2 * u2) * inverse
        values[1, t] = (u0 * v0 + u1 * v1 + u2 * v2) * inverse
        values[2, t] = (u0 * w0 + u1 * w1 + u2 * w2) * inverse
        values[3, t] = (v0 * v0 + v1 * v1 + v2 * v2) * inverse
        values[4, t] = (v0 * w0 + v1 * w1 + v2 * w2) * inverse
        values[5, t] = (w0 * w0 + w1 * w1 + w2 * w2) * inverse


@njit(cache=True, error_model="numpy")
def _add_norms(values, weights, share, transform, coefficients, squares, norms):
    """Add the sizes of the coefficients of the fields ``values`` along a line, which counts ``share``, to ``norms``.

    ``transform`` (2, half, half) has the even coefficients and the odd ones; the work space ``coefficients`` and
    ``squares`` (2, half) too.
    """
    length, half = len(norms), transform.shape[1]
    squares[:] = 0.0
    for c in range(len(weights)):
        coefficients[:] = 0.0
        for t in range(half):
            one, other = values[c, t], values[c, length - 1 - t]
            total, difference = one + other, one - other
            for k in range(half):
                coefficients[0, k] += transform[0, t, k] * total
                coefficients[1, k] += transform[1, t, k] * difference
        for p in range(2):
            for k in range(half):
                squares[p, k] += weights[c] * coefficients[p, k] * coefficients[p, k]
    for k in range(half):
        norms[2 * k] += share * np.sqrt(squares[0, k])
        norms[2 * k + 1] += share * np.sqrt(squares[1, k])


@njit(cache=True, error_model="numpy")
def _sum_up(norms, constant, tails):
    """Sums from each degree on into ``tails``; gives the rate beyond the last coefficient."""
    length = len(norms)
    last, before = norms[length - 1] + norms[length - 2], norms[length - 3] + norms[length - 4]
    rate, rest = 0.0, 0.0
    if last > _ROUNDING * constant:
        rate = min(np.sqrt(last / before), _SLOWEST)
        rest = norms[length - 1] * rate / (1.0 - rate)
    for k in range(length - 1, -1, -1):
        if norms[k] > _ROUNDING * constant:
            rest += norms[k]
        tails[k] = rest / constant
    return rate


@njit(over="x", grain=16, cache=True, error_model="numpy")
def _series(begin, end, x, nodes, shares, weights, transform, tails, rates):
    axes, lines, length = x.shape[2], len(shares), nodes[2].shape[2]
    for e in range(begin, end):
        jacobians, values, norms = (
            np.empty((axes, axes, length)),
            np.empty((len(weights), length)),
            np.zeros((axes, length)),
        )
        sums = np.empty((axes, nodes[2].shape[1], axes))
        coefficients, squares = np.empty((2, length // 2)), np.empty((2, length // 2))
        constant = 0.0
        for axis in range(axes):
            for line in range(lines):
                _jacobians(x[e], nodes, axis, line, sums, jacobians)
                if axes == 2:
                    _plane_metric(jacobians, values)
                else:
                    _space_metric(jacobians, values)
                _add_norms(values, weights, shares[line], transform, coefficients, squares, norms[axis])
            constant = max(constant, norms[axis, 0])
        for axis in range(axes):
            rates[e, axis] = _sum_up(norms[axis], constant, tails[e, axis])


@njit(cache=True, error_model="numpy")
def _estimates(tails, rates, degree, factors, estimates):
    """Estimated Errors of 0, 1, 2, ... points along each axis; infinite for fewer than the shape functions need."""
    axes, length = tails.shape
    for axis in range(axes):
        for n in range(estimates.shape[1]):
            k = 2 * (n - degree)
            if n <= degree:
                estimates[axis, n] = np.inf
                continue
            tail = tails[axis, k] if k < length else tails[axis, length - 1] * rates[axis] ** (k - length + 1)
            estimates[axis, n] = tail * factors[min(n - degree, len(factors)) - 1]


@njit(cache=True, error_model="numpy")
def _cheapest_equal(estimates, axes, limit, points):
    for n in range(estimates.shape[1]):
        total = 0.0
        for axis in range(axes):
            total += estimates[axis, n]
        if total < limit:
            points[:] = n
            return True
    return False


@njit(cache=True, error_model="numpy")
def _cheapest_product(estimates, axes, limit, points):
    """Two axes are searched, the last one follows; in two dimensions one axis is searched."""
    most, best = estimates.shape[1] - 1, np.inf
    last = axes - 1
    for i in range(1, most + 1):
        if estimates[0, i] >= limit or i >= best:
            continue
        for j in range(1, most + 1 if axes == 3 else 2):
            spent = estimates[0, i] + (estimates[1, j] if axes == 3 else 0.0)
            if spent >= limit or i * j >= best:
                continue
            for k in range(1, most + 1):
                if i * j * k >= best:
                    break
                if spent + estimates[last, k] < limit:
                    best = i * j * k
                    points[0], points[last] = i, k
                    if axes == 3:
                        points[1] = j
                    break
    return best < np.inf


@njit(over="tails", cache=True, error_model="numpy")
def _choose(begin, end, tails, rates, degree, factors, limit, anisotropic, most, points, met):
    axes = tails.shape[1]
    for e in range(begin, end):
        estimates = np.empty((3, most + 1))
        _estimates(tails[e], rates[e], degree, factors, estimates)
        points[e] = most
        if anisotropic:
            met[e] = _cheapest_product(estimates, axes, limit, points[e])
        else:
            met[e] = _cheapest_equal(estimates, axes, limit, points[e])


def cheapest_points(
    series: Series, degree: int, factors: np.ndarray, limit: float, anisotropic: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Points along the axes, (n, dim), whose estimated Error is below ``limit``, and whether there are such, (n,).

    ``degree`` is that of the shape functions along each axis; the sum of coefficients for n points is multiplied by
    ``factors[n - degree - 1]``, or the last of them. Of all numbers of points up to :data:`MOST` those with the
    smallest product are taken; with ``anisotropic=False`` all axes have the same.
    """
    points = np.empty(series.rates.shape, dtype=np.int64)
    met = np.empty(len(points), dtype=np.bool_)
    _choose(series.tails, series.rates, degree, factors, limit, anisotropic, MOST, points, met)
    return points, met


def estimated_errors(series: Series, points_per_axis: int, degree: int) -> np.ndarray:
    """Sums of coefficients, (n,), that the same number of points along all axes misses; without factors."""
    k = 2 * (points_per_axis - degree)
    if k < _LENGTH:
        return series.tails[:, :, k].sum(axis=1)
    return (series.tails[:, :, -1] * series.rates ** (k - _LENGTH + 1)).sum(axis=1)
