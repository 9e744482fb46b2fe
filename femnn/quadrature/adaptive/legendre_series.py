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
from femnn.integration.kernels import _FAST
from femnn.system.compile import njit

#: Most points along an axis that are given.
MOST = 40

# Points, and so coefficients, along each line; more of them follow by the rate of the last ones.
_LENGTH = 24
_HALF = _LENGTH // 2
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

    Gradients of the map at the points of a line are products: a share of each node (axis, node, dim times line), which
    its place on the other axes gives, times a function along the line, of its place (axis, node) on this one: the
    values or slopes of the one-dimensional shape functions (2, 3, point), zero where there is no third one. Besides
    these how much each line counts, how often the entries of the metric count, and the matrices from sums and
    differences of values to coefficients.
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
    half = np.stack([transform[:_HALF, 0::2].T, transform[:_HALF, 1::2].T])
    by_node = node_shares.transpose(0, 3, 2, 1).reshape(kind.dim, len(kind.nodes), -1)
    along = np.zeros((2, 3, _LENGTH))
    along[:, : len(knots)] = functions(ticks)
    nodes = np.ascontiguousarray(by_node), np.ascontiguousarray(places_of_nodes.T), along
    return nodes, shares, often, np.ascontiguousarray(half)


def series_of(x: np.ndarray) -> Series:
    """Legendre series of healthy cells (n, nodes, dim)."""
    nodes, shares, often, transform = _line_tables(KINDS.index(kind_of_array(x)))
    scaled, _ = in_own_units(x)
    tails, rates = np.empty((len(x), x.shape[2], _LENGTH)), np.empty((len(x), x.shape[2]))
    _series(scaled, nodes, shares, often, transform, tails, rates)
    return Series(tails, rates)


# Inner loops are long and go over the points of all lines, or over all lines: they run in vector registers.
@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _jacobians(x, nodes, axis, lines, sums, jacobians):
    """Jacobians (dim, dim, lines * points) along all lines of an axis; ``sums`` (3, dim, dim * lines) is work space."""
    shares, places, functions = nodes
    dim, length = x.shape[1], functions.shape[2]
    sums[:] = 0.0
    for a in range(x.shape[0]):
        place = places[axis, a]
        for i in range(dim):
            coordinate = x[a, i]
            for m in range(shares.shape[2]):
                sums[place, i, m] += shares[axis, a, m] * coordinate
    for i in range(dim):
        for j in range(dim):
            of = 1 if j == axis else 0
            for line in range(lines):
                m = j * lines + line
                first, second, third = sums[0, i, m], sums[1, i, m], sums[2, i, m]
                for t in range(length):
                    jacobians[i, j, line * length + t] = (
                        first * functions[of, 0, t] + second * functions[of, 1, t] + third * functions[of, 2, t]
                    )


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _plane_metric(jacobians, values):
    """det J J⁻¹J⁻ᵀ as its entries on and above the diagonal, (3, points)."""
    for t in range(values.shape[1]):
        a, b, c, d = jacobians[0, 0, t], jacobians[0, 1, t], jacobians[1, 0, t], jacobians[1, 1, t]
        inverse = 1.0 / abs(a * d - b * c)
        values[0, t] = (d * d + b * b) * inverse
        values[1, t] = -(d * c + b * a) * inverse
        values[2, t] = (c * c + a * a) * inverse


@njit(cache=True, error_model="numpy", fastmath=_FAST)
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


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _fold(values, lines, folded):
    """Sums and differences of values at points that mirror each other, (2, half, fields * lines)."""
    length, half = values.shape[1] // lines, folded.shape[1]
    for c in range(values.shape[0]):
        for line in range(lines):
            start = line * length
            for t in range(half):
                one, other = values[c, start + t], values[c, start + length - 1 - t]
                folded[0, t, c * lines + line] = one + other
                folded[1, t, c * lines + line] = one - other


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _sizes(folded, weights, shares, transform, coefficients, squares, norms):
    """Sizes of the coefficients along all lines, which count ``shares``, into ``norms`` (points,).

    ``transform`` (2, half, half) has the even coefficients and the odd ones; ``coefficients`` (fields * lines,) and
    ``squares`` (points * lines,) are work space.
    """
    lines = len(shares)
    squares[:] = 0.0
    for parity in range(2):
        for k in range(transform.shape[1]):
            for r in range(len(coefficients)):
                total = 0.0
                # of constant length, it is unrolled, and the loop around it runs in vector registers
                for t in range(_HALF):
                    total += transform[parity, k, t] * folded[parity, t, r]
                coefficients[r] = total * total
            start = (2 * k + parity) * lines
            for c in range(len(weights)):
                for line in range(lines):
                    squares[start + line] += weights[c] * coefficients[c * lines + line]
    for p in range(len(squares)):
        squares[p] = np.sqrt(squares[p])
    for k in range(len(norms)):
        total = 0.0
        for line in range(lines):
            total += shares[line] * squares[k * lines + line]
        norms[k] = total


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
    axes, lines, length, fields = x.shape[2], len(shares), nodes[2].shape[2], len(weights)
    sums = np.empty((3, axes, axes * lines))
    jacobians, values = np.empty((axes, axes, lines * length)), np.empty((fields, lines * length))
    folded, norms = np.empty((2, length // 2, fields * lines)), np.empty((axes, length))
    coefficients, squares = np.empty(fields * lines), np.empty(length * lines)
    for e in range(begin, end):
        constant = 0.0
        for axis in range(axes):
            _jacobians(x[e], nodes, axis, lines, sums, jacobians)
            if axes == 2:
                _plane_metric(jacobians, values)
            else:
                _space_metric(jacobians, values)
            _fold(values, lines, folded)
            _sizes(folded, weights, shares, transform, coefficients, squares, norms[axis])
            constant = max(constant, norms[axis, 0])
        for axis in range(axes):
            rates[e, axis] = _sum_up(norms[axis], constant, tails[e, axis])


@njit(cache=True, error_model="numpy")
def _estimates(tails, rates, degree, factors, estimates):
    """Estimated Errors of 0, 1, 2, ... points along each axis; infinite for fewer than the shape functions need."""
    axes, length = tails.shape
    for axis in range(axes):
        # beyond the last coefficient: from one that is odd to the first even one, then two by two
        beyond = tails[axis, length - 1] * rates[axis]
        for n in range(estimates.shape[1]):
            k = 2 * (n - degree)
            if n <= degree:
                estimates[axis, n] = np.inf
                continue
            tail = beyond
            if k < length:
                tail = tails[axis, k]
            else:
                beyond *= rates[axis] * rates[axis]
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
    estimates = np.empty((3, most + 1))
    for e in range(begin, end):
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
