"""Quadrilaterals of one point with physical stabilisation: bilinear ones that bend and do not lock, in closed formulas.

In its own axes such an element is ξ + w ξη. The gradient of a shape function at the centre is its mean, and what is
left of a displacement is one twist, whose two amplitudes γᵀu have a stiffness S (2 × 2). As with hexahedra, see
docs/theory/formulations.md, what is linear in ξ_k is free of traction on the layers ξ_k = constant (compare
T. Belytschko, L. P. Bindeman, CMAME 88 (1991) 311-340): such a layer is a bar along its tangent, with the modulus
E* = 4 μ (λ + μ) / (λ + 2 μ), and with t_k, the part of the gradient of the other axis along the layer,

    S = |Ω| E* / 3 · (t_1 ⊗ t_1 + t_2 ⊗ t_2),

positive definite, as the layers of the two axes are not parallel. λ is that of the plane, so that E* is E in plane
stress and E / (1 - ν²) in plane strain, whatever the compressibility.
"""

import numpy as np

from femnn.assembly.scatter import buffer_length, flush
from femnn.assembly.tabulated_incompatible import inverse_of_centre
from femnn.assembly.tabulated_kernels import scatter_cell
from femnn.integration.kernels import _FAST
from femnn.system.compile import njit

_NODES = 4
# ξ, η and ξη at the vertices of [-1, 1]², in scikit-fem's order.
_AXES = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
_TWIST = np.array([1.0, -1.0, 1.0, -1.0])


@njit(coloured="blocks", cache=True, error_model="numpy", fastmath=_FAST)
def fill_stabilised(begin, end, x, pattern, blocks, place, coefficients, data):
    """Add the stabilised stiffness of isotropic quadrilaterals (n, 4, 2) that have points to a matrix."""
    cells, row_starts, slots, places = pattern
    order, elements, _, block_nodes, node_starts, opens = blocks
    numbers, rows, _ = coefficients
    for block in range(begin, end):
        buffer = np.zeros(buffer_length(block, block_nodes, node_starts, row_starts, 2))
        means, vector, middle = np.empty(2 * _NODES), np.empty(_NODES), np.empty((2, 2))
        stiffness, matrix = np.empty((2, 2)), np.empty((2 * _NODES, 2 * _NODES))
        for i in range(elements[block], elements[block + 1]):
            e = order[i]
            if place[1][e] == 0:
                continue
            lmbda, mu = numbers[rows[e], 0], numbers[rows[e], 1]
            volume = _frame(x, e, middle, means, vector)
            _bars(volume, 4.0 * mu * (lmbda + mu) / (lmbda + 2.0 * mu), middle, stiffness)
            _expand(volume, lmbda, mu, means, vector, stiffness, matrix)
            scatter_cell(matrix, e, cells, row_starts, slots, places, 2, buffer)
        flush(block, block_nodes, node_starts, opens, row_starts, 2, buffer, data)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _frame(x, e, middle, means, vector):
    """Write the gradients of ξ and η in [-1, 1]² at the centre, the mean gradients (8,) and γ (4,); the area."""
    volume = inverse_of_centre(x, e, middle)
    twist0 = twist1 = 0.0
    for a in range(_NODES):
        twist0 += 0.25 * _TWIST[a] * (x[e, a, 0] - x[e, 3, 0])
        twist1 += 0.25 * _TWIST[a] * (x[e, a, 1] - x[e, 3, 1])
    for k in range(2):
        for i in range(2):
            middle[k, i] *= 2.0
    warp0 = middle[0, 0] * twist0 + middle[0, 1] * twist1
    warp1 = middle[1, 0] * twist0 + middle[1, 1] * twist1
    for a in range(_NODES):
        vector[a] = 0.25 * (_TWIST[a] - warp0 * _AXES[a, 0] - warp1 * _AXES[a, 1])
        for i in range(2):
            means[i * _NODES + a] = 0.25 * (_AXES[a, 0] * middle[0, i] + _AXES[a, 1] * middle[1, i])
    return volume


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _bars(volume, modulus, middle, stiffness):
    """Overwrite ``stiffness`` with S: a bar along the layers of each axis."""
    stiffness[:] = 0.0
    for k in range(2):
        n0, n1 = middle[k, 0], middle[k, 1]
        t0, t1 = middle[1 - k, 0], middle[1 - k, 1]
        along = (n0 * t0 + n1 * t1) / (n0 * n0 + n1 * n1)
        t0, t1 = t0 - along * n0, t1 - along * n1
        scale = volume * modulus / 3.0
        stiffness[0, 0] += scale * t0 * t0
        stiffness[0, 1] += scale * t0 * t1
        stiffness[1, 1] += scale * t1 * t1
    stiffness[1, 0] = stiffness[0, 1]


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _expand(volume, lmbda, mu, means, vector, stiffness, matrix):
    """Overwrite ``matrix`` (8, 8) with V B̄ᵀ C B̄ + γ S γᵀ."""
    first, second = volume * lmbda, volume * mu
    for a in range(_NODES):
        x, y = means[a], means[_NODES + a]
        for b in range(_NODES):
            u, v, product = means[b], means[_NODES + b], vector[a] * vector[b]
            trace = second * (x * u + y * v)
            matrix[a, b] = (first + second) * x * u + trace + product * stiffness[0, 0]
            matrix[a, _NODES + b] = first * x * v + second * y * u + product * stiffness[0, 1]
            matrix[_NODES + a, b] = first * y * u + second * x * v + product * stiffness[1, 0]
            matrix[_NODES + a, _NODES + b] = (first + second) * y * v + trace + product * stiffness[1, 1]
