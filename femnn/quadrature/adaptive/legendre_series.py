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
from femnn.geometry.shape_kernels import invert
from femnn.integration.element_lanes import BLOCK, LANES, ROW
from femnn.integration.gauss import gauss_legendre
from femnn.integration.kernels import _FAST
from femnn.system.compile import njit

#: Most points along an axis that are given.
MOST = 40

# Points, and so coefficients, along each line; more of them follow by the rate of the last ones.
_LENGTH = 24
_HALF = _LENGTH // 2
_POINTS = np.uint64(_HALF)
# Lines along an axis pass through the Gauss-Lobatto points of the other axes, by dimension, and count with their
# weights: the lines on edges are those that see a corner where det J comes near zero.
_INNER = np.sqrt(0.2)
_LOBATTO = {
    2: (np.array([0.0, 0.5 - 0.5 * _INNER, 0.5 + 0.5 * _INNER, 1.0]), np.array([1.0, 5.0, 5.0, 1.0]) / 12.0),
    3: (np.array([0.0, 0.5, 1.0]), np.array([1.0, 4.0, 1.0]) / 6.0),
}
# Nodes at most that a coefficient of the map along a line is a sum of.
_TERMS = 4
# Nodes this near their places in a parallelepiped, in units of its axes, leave tails far below any tolerance.
_STRAIGHT = 1e-12
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
    shares : (n,)
        The smallest det J at the nodes over the largest.
    """

    tails: np.ndarray
    rates: np.ndarray
    shares: np.ndarray


@cache
def _line_tables(kind_number):
    """Tables of the lines of a kind of cell, one axis after another.

    On a line the map is a sum of one-dimensional shape functions (2, 3, point), values and slopes, zero where there is
    no third one. Their coefficients for the derivative along the line, and for those along the other axes, are sums
    over few nodes: numbers and factors of these (line, function, direction, term), the direction along the line first.
    Besides them how much each line of an axis counts, and the matrices from sums and differences of values to Legendre
    coefficients.
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
    numbers = np.zeros((kind.dim, len(shares), 3, kind.dim, _TERMS), dtype=np.int64)
    factors = np.zeros(numbers.shape)
    for axis in range(kind.dim):
        rest = [k for k in range(kind.dim) if k != axis]
        for row, direction in enumerate([axis, *rest]):
            # (node, line)
            of_nodes = np.ones((len(kind.nodes), len(shares)))
            for place, other in enumerate(rest):
                values, slopes = functions(others[place])[:, places_of_nodes[:, other]]
                of_nodes *= slopes if direction == other else values
            for number, function in np.ndindex(len(shares), len(knots)):
                nodes = np.flatnonzero((places_of_nodes[:, axis] == function) & (of_nodes[:, number] != 0.0))
                numbers[axis, number, function, row, : len(nodes)] = nodes
                factors[axis, number, function, row, : len(nodes)] = of_nodes[nodes, number]
    degrees = np.arange(_LENGTH)
    legendre = np.polynomial.legendre.legvander(2.0 * ticks - 1.0, _LENGTH - 1)
    transform = legendre * weights[:, None] * (2.0 * degrees + 1.0)
    # Gauss points are symmetric: even coefficients come from sums of two values, odd ones from differences
    half = np.stack([transform[:_HALF, 0::2].T, transform[:_HALF, 1::2].T])
    along = np.zeros((2, 3, _LENGTH))
    along[:, : len(knots)] = functions(ticks)
    lines = numbers.reshape(-1, *numbers.shape[2:]), factors.reshape(-1, *factors.shape[2:]), along
    return lines, shares, np.ascontiguousarray(half)


@cache
def _node_tables(kind_number):
    """Nodes (node, direction, 3), and their factors, that the derivatives of the map at each node are sums of."""
    kind = KINDS[kind_number]
    gradients = kind.gradients(kind.nodes.T).transpose(2, 1, 0)
    numbers = np.argsort(-np.abs(gradients), axis=2, kind="stable")[:, :, :3]
    return np.ascontiguousarray(numbers), np.take_along_axis(gradients, numbers, axis=2)


def series_of(x: np.ndarray) -> Series:
    """Legendre series of healthy cells (n, nodes, dim); nothing is left of those of parallelepipeds."""
    number = KINDS.index(kind_of_array(x))
    scaled, _ = in_own_units(x)
    tails, rates = np.zeros((len(x), x.shape[2], _LENGTH)), np.zeros((len(x), x.shape[2]))
    shares, bent = np.empty(len(x)), np.ones(len(x), dtype=np.bool_)
    _node_shares(scaled, *_node_tables(number), shares)
    slowest = slowest_rates(shares)
    _are_bent(scaled, KINDS[number].nodes, *_corner(number), bent)
    if bent.all():
        _series(scaled, slowest, *_line_tables(number), tails, rates)
    elif bent.any():
        some = np.flatnonzero(bent)
        own = np.empty((len(some), *tails.shape[1:])), np.empty((len(some), *rates.shape[1:]))
        _series(scaled[some], slowest[some], *_line_tables(number), *own)
        tails[some], rates[some] = own
    return Series(tails, rates, shares)


def slowest_rates(shares: np.ndarray) -> np.ndarray:
    """The slowest decay, (n,), of series of cells whose least determinant at a node is a share (n,) of the largest.

    Where it falls to a share s of itself at the end of an axis it has a root near -s beyond it, and series there fall
    by 1 + 2√s from one coefficient to the next (Trefethen, chapter 8).
    """
    return 1.0 / (1.0 + 2.0 * np.sqrt(shares))


def least_determinant_share(x: np.ndarray) -> np.ndarray:
    """The smallest det J at the nodes of healthy cells (n, nodes, dim) over the largest, (n,)."""
    shares = np.empty(len(x))
    _node_shares(in_own_units(x)[0], *_node_tables(KINDS.index(kind_of_array(x))), shares)
    return shares


@cache
def _corner(kind_number):
    """A vertex, and its neighbours along the axes."""
    nodes = KINDS[kind_number].nodes
    at = [np.zeros(nodes.shape[1]), *np.eye(nodes.shape[1])]
    first, *ends = (int(np.flatnonzero((nodes == place).all(axis=1))[0]) for place in at)
    return first, np.array(ends)


@njit(cache=True, error_model="numpy")
def _is_straight(x, nodes, first, ends, inverse):
    """Whether each node lies where the vertex ``first`` and its neighbours put it, in units of these axes."""
    dim = x.shape[1]
    for a in range(x.shape[0]):
        for k in range(dim):
            along = 0.0
            for i in range(dim):
                along += inverse[k, i] * (x[a, i] - x[first, i])
            if not abs(along - nodes[a, k]) < _STRAIGHT:
                return False
    return True


@njit(over="x", grain=256, cache=True, error_model="numpy")
def _are_bent(begin, end, x, nodes, first, ends, bent):
    axes, inverse = np.zeros((3, 3)), np.empty((3, 3))
    axes[2, 2] = 1.0
    dim = x.shape[2]
    for e in range(begin, end):
        for k in range(dim):
            for i in range(dim):
                axes[i, k] = x[e, ends[k], i] - x[e, first, i]
        invert(axes, inverse)
        bent[e] = not _is_straight(x[e], nodes, first, ends, inverse)


@njit(over="x", grain=256, cache=True, error_model="numpy")
def _node_shares(begin, end, x, numbers, factors, shares):
    dim, jacobian = x.shape[2], np.zeros((3, 3))
    jacobian[2, 2] = 1.0
    for e in range(begin, end):
        least, most = np.inf, 0.0
        for a in range(numbers.shape[0]):
            for k in range(dim):
                for i in range(dim):
                    jacobian[i, k] = 0.0
                    for m in range(numbers.shape[2]):
                        jacobian[i, k] += factors[a, k, m] * x[e, numbers[a, k, m], i]
            value = abs(
                jacobian[0, 0] * (jacobian[1, 1] * jacobian[2, 2] - jacobian[1, 2] * jacobian[2, 1])
                + jacobian[0, 1] * (jacobian[1, 2] * jacobian[2, 0] - jacobian[1, 0] * jacobian[2, 2])
                + jacobian[0, 2] * (jacobian[1, 0] * jacobian[2, 1] - jacobian[1, 1] * jacobian[2, 0])
            )
            least, most = min(least, value), max(most, value)
        shares[e] = least / most


# The rest works on LANES cells side by side: rows of that many numbers lie one behind the other in flat arrays.
@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _gather(x, first, end, coordinates):
    """Coordinates of the nodes into rows dim a + i; the last cell again beyond the last."""
    dim = x.shape[2]
    for b in range(LANES):
        e = min(first + b, end - 1)
        for a in range(x.shape[1]):
            for i in range(dim):
                coordinates[LANES * (dim * a + i) + b] = x[e, a, i]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _functions_of_line(coordinates, dim, numbers, factors, sums):
    """Coefficients of the one-dimensional functions p of ∂x_i/∂ξ_j into rows (dim p + i) dim + j."""
    for p in range(3):
        for j in range(dim):
            f0, f1, f2, f3 = factors[p, j, 0], factors[p, j, 1], factors[p, j, 2], factors[p, j, 3]
            for i in range(dim):
                row = np.uint64(LANES * ((dim * p + i) * dim + j))
                r0 = np.uint64(LANES * (dim * numbers[p, j, 0] + i))
                r1 = np.uint64(LANES * (dim * numbers[p, j, 1] + i))
                r2 = np.uint64(LANES * (dim * numbers[p, j, 2] + i))
                r3 = np.uint64(LANES * (dim * numbers[p, j, 3] + i))
                for b in range(BLOCK):
                    sums[row + b] = (
                        f0 * coordinates[r0 + b]
                        + f1 * coordinates[r1 + b]
                        + f2 * coordinates[r2 + b]
                        + f3 * coordinates[r3 + b]
                    )


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _plane_metric(sums, along, values):
    """det J J⁻¹J⁻ᵀ as its entries on and above the diagonal at the points t of a line, rows 3 t + entry."""
    for t in range(_LENGTH):
        f0, f1, f2 = along[0, 0, t], along[0, 1, t], along[0, 2, t]
        g0, g1, g2 = along[1, 0, t], along[1, 1, t], along[1, 2, t]
        row = np.uint64(LANES * 3 * t)
        for n in range(BLOCK):
            a = g0 * sums[n] + g1 * sums[ROW[4] + n] + g2 * sums[ROW[8] + n]
            b = f0 * sums[ROW[1] + n] + f1 * sums[ROW[5] + n] + f2 * sums[ROW[9] + n]
            c = g0 * sums[ROW[2] + n] + g1 * sums[ROW[6] + n] + g2 * sums[ROW[10] + n]
            d = f0 * sums[ROW[3] + n] + f1 * sums[ROW[7] + n] + f2 * sums[ROW[11] + n]
            inverse = 1.0 / abs(a * d - b * c)
            values[row + n] = (d * d + b * b) * inverse
            values[row + ROW[1] + n] = -(d * c + b * a) * inverse
            values[row + ROW[2] + n] = (c * c + a * a) * inverse


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _space_metric(sums, along, values):
    """det J J⁻¹J⁻ᵀ as its entries on and above the diagonal at the points t of a line, rows 6 t + entry."""
    for t in range(_LENGTH):
        f0, f1, f2 = along[0, 0, t], along[0, 1, t], along[0, 2, t]
        g0, g1, g2 = along[1, 0, t], along[1, 1, t], along[1, 2, t]
        row = np.uint64(LANES * 6 * t)
        for n in range(BLOCK):
            a = g0 * sums[n] + g1 * sums[ROW[9] + n] + g2 * sums[ROW[18] + n]
            b = f0 * sums[ROW[1] + n] + f1 * sums[ROW[10] + n] + f2 * sums[ROW[19] + n]
            c = f0 * sums[ROW[2] + n] + f1 * sums[ROW[11] + n] + f2 * sums[ROW[20] + n]
            d = g0 * sums[ROW[3] + n] + g1 * sums[ROW[12] + n] + g2 * sums[ROW[21] + n]
            e = f0 * sums[ROW[4] + n] + f1 * sums[ROW[13] + n] + f2 * sums[ROW[22] + n]
            f = f0 * sums[ROW[5] + n] + f1 * sums[ROW[14] + n] + f2 * sums[ROW[23] + n]
            g = g0 * sums[ROW[6] + n] + g1 * sums[ROW[15] + n] + g2 * sums[ROW[24] + n]
            h = f0 * sums[ROW[7] + n] + f1 * sums[ROW[16] + n] + f2 * sums[ROW[25] + n]
            i = f0 * sums[ROW[8] + n] + f1 * sums[ROW[17] + n] + f2 * sums[ROW[26] + n]
            # rows of the adjugate
            u0, u1, u2 = e * i - f * h, c * h - b * i, b * f - c * e
            v0, v1, v2 = f * g - d * i, a * i - c * g, c * d - a * f
            w0, w1, w2 = d * h - e * g, b * g - a * h, a * e - b * d
            inverse = 1.0 / abs(a * u0 + d * u1 + g * u2)
            values[row + n] = (u0 * u0 + u1 * u1 + u2 * u2) * inverse
            values[row + ROW[1] + n] = (u0 * v0 + u1 * v1 + u2 * v2) * inverse
            values[row + ROW[2] + n] = (u0 * w0 + u1 * w1 + u2 * w2) * inverse
            values[row + ROW[3] + n] = (v0 * v0 + v1 * v1 + v2 * v2) * inverse
            values[row + ROW[4] + n] = (v0 * w0 + v1 * w1 + v2 * w2) * inverse
            values[row + ROW[5] + n] = (w0 * w0 + w1 * w1 + w2 * w2) * inverse


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _fold(values, fields, c, folded):
    """Sums of the values of field ``c`` at points that mirror each other into the first rows, differences behind."""
    for t in range(_HALF):
        one, other = np.uint64(LANES * (fields * t + c)), np.uint64(LANES * (fields * (_LENGTH - 1 - t) + c))
        sums, differences = np.uint64(LANES * t), np.uint64(LANES * (_HALF + t))
        for b in range(BLOCK):
            folded[sums + b] = values[one + b] + values[other + b]
            folded[differences + b] = values[one + b] - values[other + b]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _add_squares(folded, weight, transform, squares):
    """Add the squares of the coefficients of one field, times ``weight``, to the rows of their degrees."""
    for parity in range(2):
        first = np.uint64(LANES * _HALF * parity)
        for k in range(0, _HALF, 3):
            one, step = np.uint64(LANES * (2 * k + parity)), np.uint64(2 * LANES)
            two, three = one + step, one + step + step
            for b in range(BLOCK):
                x = y = z = 0.0
                # of constant length, it is unrolled, and the loop around it runs in vector registers
                for t in range(_POINTS):
                    value = folded[first + BLOCK * t + b]
                    x += transform[parity, k, t] * value
                    y += transform[parity, k + 1, t] * value
                    z += transform[parity, k + 2, t] * value
                squares[one + b] += weight * x * x
                squares[two + b] += weight * y * y
                squares[three + b] += weight * z * z


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _add_sizes(values, share, transform, folded, squares, norms):
    """Add the sizes of the coefficients of a line, times its ``share``, to the rows of their degrees."""
    fields = len(values) // (LANES * _LENGTH)
    dim = 2 if fields == 3 else 3
    squares[:] = 0.0
    c = 0
    for r in range(dim):
        for s in range(r, dim):
            _fold(values, fields, c, folded)
            _add_squares(folded, 1.0 if r == s else 2.0, transform, squares)
            c += 1
    for m in range(len(squares)):
        norms[m] += share * np.sqrt(squares[m])


@njit(cache=True, error_model="numpy")
def _sum_up(first, end, axis, norms, constants, slowest, tails, rates):
    """Sums from each degree on, relative to the constant part, and the rate beyond the last coefficient."""
    for b in range(min(LANES, end - first)):
        e, constant = first + b, constants[b]
        last = norms[LANES * (_LENGTH - 1) + b] + norms[LANES * (_LENGTH - 2) + b]
        before = norms[LANES * (_LENGTH - 3) + b] + norms[LANES * (_LENGTH - 4) + b]
        rate, rest = 0.0, 0.0
        if last > _ROUNDING * constant:
            # a root near a corner may be hidden behind coefficients that still fall faster
            rate = min(max(np.sqrt(last / before), slowest[e]), _SLOWEST)
            rest = norms[LANES * (_LENGTH - 1) + b] * rate / (1.0 - rate)
        for k in range(_LENGTH - 1, -1, -1):
            norm = norms[LANES * k + b]
            if norm > _ROUNDING * constant:
                rest += norm
            tails[e, axis, k] = rest / constant
        rates[e, axis] = rate


@njit(over="x", grain=LANES, cache=True, error_model="numpy")
def _series(begin, end, x, slowest, lines, shares, transform, tails, rates):
    numbers, factors, along = lines
    dim, each = x.shape[2], len(shares)
    coordinates, sums = np.empty(LANES * dim * x.shape[1]), np.empty(LANES * 3 * dim * dim)
    values = np.empty(LANES * _LENGTH * (3 if dim == 2 else 6))
    folded, squares, norms = np.empty(LANES * _LENGTH), np.empty(LANES * _LENGTH), np.empty((dim, LANES * _LENGTH))
    constants = np.empty(LANES)
    for first in range(begin, end, LANES):
        _gather(x, first, end, coordinates)
        norms[:] = 0.0
        for line in range(len(numbers)):
            _functions_of_line(coordinates, dim, numbers[line], factors[line], sums)
            if dim == 2:
                _plane_metric(sums, along, values)
            else:
                _space_metric(sums, along, values)
            _add_sizes(values, shares[line % each], transform, folded, squares, norms[line // each])
        constants[:] = 0.0
        for axis in range(dim):
            constants[:] = np.maximum(constants, norms[axis, :LANES])
        for axis in range(dim):
            _sum_up(first, end, axis, norms[axis], constants, slowest, tails, rates)


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
def _first_below(estimates, limit, points):
    while points < len(estimates) and estimates[points] >= limit:
        points += 1
    return points


@njit(cache=True, error_model="numpy")
def _cheapest_product(estimates, axes, limit, points):
    """Two axes are searched, the last one follows; in two dimensions one axis is searched.

    ``points`` with equal numbers, if there are any that do, are what has to be beaten.
    """
    most = estimates.shape[1] - 1
    best = np.inf
    if _cheapest_equal(estimates, axes, limit, points):
        best = points[0] ** axes
    last = axes - 1
    from_first, from_last = _first_below(estimates[0], limit, 1), _first_below(estimates[last], limit, 1)
    from_second = _first_below(estimates[1], limit, 1) if axes == 3 else 1
    for i in range(from_first, most + 1):
        if i * from_second * from_last >= best:
            break
        for j in range(from_second, most + 1 if axes == 3 else 2):
            if i * j * from_last >= best:
                break
            left = limit - estimates[0, i] - (estimates[1, j] if axes == 3 else 0.0)
            if left <= 0.0:
                continue
            k = _first_below(estimates[last], left, from_last)
            if k <= most and i * j * k < best:
                best = i * j * k
                points[0], points[last] = i, k
                if axes == 3:
                    points[1] = j
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
