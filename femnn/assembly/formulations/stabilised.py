"""Stabilised elements of isotropic materials in closed formulas: no integration point at all.

The mean gradients of a trilinear element are derivatives of its volume by the vertices, and polynomials in J₀ and h
(T. Belytschko, J. S.-J. Ong, W. K. Liu, J. M. Kennedy, CMAME 43 (1984) 251-276 integrate them as well). S follows from
layers ξ_k = constant in plane stress: of an isotropic material only tangential components of displacements and
gradients are left, with λ* = 2 λ μ / (λ + 2 μ) in the place of λ.
"""

import numpy as np

from femnn.assembly.element_matrices import ISOTROPIC
from femnn.assembly.formulations.expansion import expand, scatter_symmetric
from femnn.assembly.formulations.twists import TWIST_OF
from femnn.assembly.scatter import buffer_length, flush
from femnn.assembly.twists import twist_vectors
from femnn.geometry.hexahedron import SIGNS
from femnn.geometry.shape_kernels import own_axes_of
from femnn.integration.kernels import _FAST
from femnn.integration.vector_kernels import aligned
from femnn.system.compile import njit

_SIGNS = np.array(SIGNS)
# Which of the twists ξη, ηζ, ζξ holds the axes k and k + 1, and which k and k + 2.
_AHEAD, _BEHIND = np.array([0, 1, 2]), np.array([2, 0, 1])


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def _add_cross(scale, a0, a1, a2, b0, b1, b2, result, row):
    result[row, 0] += scale * (a1 * b2 - a2 * b1)
    result[row, 1] += scale * (a2 * b0 - a0 * b2)
    result[row, 2] += scale * (a0 * b1 - a1 * b0)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def mean_gradients(vertices, linear, twist, products, means):
    """Write the mean gradients of the shape functions (24,), component-major, to ``means``; return the volume.

    ``linear`` J₀ (3, 3) and ``twist`` h (3, 4) of the element with these ``vertices`` (8, 3); ``products`` (12, 3) is
    work space: ∫ ∂N_a/∂ξ_k cof J without the sign of ξ_k, for the four pairs of signs on the two other axes.
    """
    products[:] = 0.0
    third = 1.0 / 3.0
    for k in range(3):
        m, n = (k + 1) % 3, (k + 2) % 3
        ahead, across, behind = _AHEAD[k], _AHEAD[m], _BEHIND[k]
        for pair in range(4):
            # signs on the axes m and n
            s, t = third * (2.0 * (pair & 1) - 1.0), third * (2.0 * (pair >> 1) - 1.0)
            row = 4 * k + pair
            _add_cross(
                1.0,
                linear[0, m] + t * twist[0, across], linear[1, m] + t * twist[1, across],
                linear[2, m] + t * twist[2, across],
                linear[0, n] + s * twist[0, across], linear[1, n] + s * twist[1, across],
                linear[2, n] + s * twist[2, across],
                products, row,
            )  # fmt: skip
            _add_cross(
                third,
                twist[0, ahead] + t * twist[0, 3], twist[1, ahead] + t * twist[1, 3], twist[2, ahead] + t * twist[2, 3],
                twist[0, behind] + s * twist[0, 3], twist[1, behind] + s * twist[1, 3],
                twist[2, behind] + s * twist[2, 3],
                products, row,
            )  # fmt: skip
    volume = 0.0
    for a in range(8):
        for i in range(3):
            total = 0.0
            for k in range(3):
                m, n = (k + 1) % 3, (k + 2) % 3
                pair = (_SIGNS[a, m] > 0.0) + 2 * (_SIGNS[a, n] > 0.0)
                total += _SIGNS[a, k] * products[4 * k + pair, i]
            means[8 * i + a] = total
        volume += means[a] * (vertices[a, 0] - vertices[7, 0])
    scale = 1.0 / volume
    for r in range(24):
        means[r] *= scale
    return abs(volume)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _write_tangents(k, inverse, square, tangents):
    """Write the parts of ∇ξ_m that lie in the layer ξ_k = constant to rows 1 and 2, m = k + 1 and k + 2."""
    for step in range(1, 3):
        other = (k + step) % 3
        along = (
            inverse[other, 0] * inverse[k, 0] + inverse[other, 1] * inverse[k, 1] + inverse[other, 2] * inverse[k, 2]
        ) / square
        for i in range(3):
            tangents[step, i] = inverse[other, i] - along * inverse[k, i]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _add_layer(k, first, second, flat, mu, scale, inverse, square, tangents, stiffness):
    """Add what the layers ξ_k = constant give for the twists of k and of k + ``first``, k + ``second``."""
    r, c = 3 * TWIST_OF[k, (k + first) % 3], 3 * TWIST_OF[k, (k + second) % 3]
    if r > c:
        return
    product = (
        tangents[first, 0] * tangents[second, 0]
        + tangents[first, 1] * tangents[second, 1]
        + tangents[first, 2] * tangents[second, 2]
    )
    for i in range(3):
        for j in range(3):
            surface = (1.0 if i == j else 0.0) - inverse[k, i] * inverse[k, j] / square
            stiffness[r + i, c + j] += scale * (
                flat * tangents[first, i] * tangents[second, j]
                + mu * (tangents[second, i] * tangents[first, j] + product * surface)
            )


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def isotropic_twists(lmbda, mu, volume, inverse, tangents, stiffness):
    """Overwrite the upper triangle of ``stiffness`` with S (12, 12), rows 3 k + i for component i of twist k.

    ``inverse`` is J₀⁻¹ with the gradients of ξ_k in its rows; ``tangents`` (3, 3) is work space.
    """
    stiffness[:12, :12] = 0.0
    flat, third, ninth = 2.0 * lmbda * mu / (lmbda + 2.0 * mu), volume / 3.0, volume / 9.0
    for k in range(3):
        square = inverse[k, 0] ** 2 + inverse[k, 1] ** 2 + inverse[k, 2] ** 2
        _write_tangents(k, inverse, square, tangents)
        for first in range(1, 3):
            for second in range(1, 3):
                _add_layer(k, first, second, flat, mu, third, inverse, square, tangents, stiffness)
        # the dilatation that goes with ξηζ would lock
        for i in range(3):
            for j in range(3):
                both = mu / 3.0 * inverse[k, i] * inverse[k, j] + (mu * square if i == j else 0.0)
                stiffness[9 + i, 9 + j] += ninth * both


@njit(coloured="blocks", cache=True, error_model="numpy", fastmath=_FAST)
def fill_stabilised(begin, end, hexahedra, pattern, blocks, counts, numbers, number_rows, lanes, data):
    """Add the stabilised stiffness of the elements that have points by ``counts`` (n,) to the entries of a matrix.

    λ and μ are in row ``number_rows[e]`` of ``numbers`` (m, 2).
    """
    cells, row_starts, slots, places = pattern
    order, elements, _, block_nodes, node_starts, opens = blocks
    for block in range(begin, end):
        buffer = np.zeros(buffer_length(block, block_nodes, node_starts, row_starts, 3))
        linear, twist, inverse, warp = np.empty((3, 3)), np.empty((3, 4)), np.empty((3, 3)), np.empty((3, 4))
        vectors, vertices, products, tangents = np.empty((8, 4)), np.arange(8), np.empty((12, 3)), np.empty((3, 3))
        means, turned, rows = aligned(24), aligned(32), aligned(168).reshape((7, 24))
        matrix, twists = aligned(576).reshape((24, 24)), np.empty((12, 12))
        for i in range(elements[block], elements[block + 1]):
            e = order[i]
            if counts[e] == 0:
                continue
            row = number_rows[e]
            own_axes_of(hexahedra[e], vertices, linear, twist, inverse, warp)
            twist_vectors(warp, vectors)
            volume = mean_gradients(hexahedra[e], linear, twist, products, means)
            isotropic_twists(numbers[row, 0], numbers[row, 1], volume, inverse, tangents, twists)
            expand(ISOTROPIC, numbers, row, volume, means, vectors, twists, 3 * lanes, turned, rows, matrix)
            scatter_symmetric(matrix, e, cells, row_starts, slots, places, buffer)
        flush(block, block_nodes, node_starts, opens, row_starts, 3, buffer, data)
