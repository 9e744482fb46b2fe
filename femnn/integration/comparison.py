"""Which of two rules comes nearer to a better one on each element: the check that a learned rule makes before its use.

The stiffness of an element is compared with that of the better rule in two norms: the sum over the entries, in which
the Error is measured and which depends on the axes that the mesh lies in, and that of Frobenius, which does not. Only
what is nearer in both is taken.
"""

import numpy as np

from femnn.geometry.hexahedron import in_own_units
from femnn.integration.kernels import _FAST
from femnn.integration.lame import lame_parameters
from femnn.integration.vector_kernels import (
    LANES,
    add_moments,
    batches_of_points,
    gradients_of_batch,
    lane_workspace,
)
from femnn.system.compile import njit

# What is nearer by less than this is round-off where both rules are nearly exact.
_GAIN = 0.999

# Elements whose points are laid out in batches at a time: 4096 with 27 points take 4 MB.
_CHUNK = 4096


@njit(cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
def stiffness_norms(moments, lmbda, mu):
    """Sum of absolute entries, and of their squares, of the isotropic stiffness with these gradient moments.

    ``moments`` (24, 24) are component-major, their blocks i ≤ j are read.
    """
    total, square = 0.0, 0.0
    for i in range(3):
        for j in range(i, 3):
            part, part_square = 0.0, 0.0
            for a in range(8):
                for b in range(8):
                    entry = lmbda * moments[8 * i + a, 8 * j + b] + mu * moments[8 * i + b, 8 * j + a]
                    if i == j:
                        entry += mu * (moments[a, b] + moments[8 + a, 8 + b] + moments[16 + a, 16 + b])
                    part += abs(entry)
                    part_square += entry * entry
            # the blocks i > j are those i < j transposed
            count = 1.0 if i == j else 2.0
            total += count * part
            square += count * part_square
    return total, square


@njit(over="hexahedra", grain=64, cache=True, error_model="numpy", fastmath=_FAST)
def _nearer(begin, end, hexahedra, batches, standard, better, lmbda, mu, most, lanes, result):
    work, inverses, columns, gradients = lane_workspace(8)
    first, second = np.empty((24, 24)), np.empty((24, 24))
    for e in range(begin, end):
        first[:] = 0.0
        for place in range(better.shape[0]):
            gradients_of_batch(hexahedra, e, better, place, lanes, work, inverses, columns, gradients)
            add_moments(gradients, inverses, first)
        second[:] = first
        # weights of these two are negative: what is left are differences
        for place in range(batches.shape[1]):
            gradients_of_batch(hexahedra, e, batches[e], place, lanes, work, inverses, columns, gradients)
            add_moments(gradients, inverses, first)
        for place in range(standard.shape[0]):
            gradients_of_batch(hexahedra, e, standard, place, lanes, work, inverses, columns, gradients)
            add_moments(gradients, inverses, second)
        total, square = stiffness_norms(first, lmbda, mu)
        standard_total, standard_square = stiffness_norms(second, lmbda, mu)
        result[e] = total < _GAIN * standard_total and square < most**2 * standard_square


def nearer_than(
    hexahedra: np.ndarray,
    points: np.ndarray,
    weights: np.ndarray,
    standard: tuple,
    better: tuple,
    poisson: float,
    most: float = 1.0,
) -> np.ndarray:
    """Elements whose isotropic stiffness these points bring nearer to that of a better rule than a standard rule does.

    Parameters
    ----------
    hexahedra : (n, 8, 3)
    points : (3, nqp) or (3, n, nqp)
        In [0, 1]³, shared or one set per element.
    weights : (n, nqp)
        Gauss weights sum to 1.
    standard, better
        Points (3, k) and weights (k,) of the two rules.
    poisson
        Poisson's ratio of the stiffness.
    most
        Distance in the norm of Frobenius, over that of the standard rule, that is near enough: the further it is below
        1, the fewer elements the sum over entries decides otherwise where a mesh is turned.

    Returns
    -------
    (n,) bool, by the sum over entries and the norm of Frobenius alike; no element on which both are exact.
    """
    x, _ = in_own_units(hexahedra)
    result = np.empty(len(x), dtype=bool)
    lmbda, mu = lame_parameters(1.0, poisson)
    (minus,), (plus,) = (
        batches_of_points(X[None], sign * W[None]) for sign, (X, W) in ((-1.0, standard), (1.0, better))
    )
    for start in range(0, len(x), _CHUNK):
        rows = slice(start, start + _CHUNK)
        own = (
            points[:, rows]
            if points.ndim == 3
            else np.broadcast_to(points[:, None], (3, len(x[rows]), points.shape[1]))
        )
        batches = batches_of_points(own.transpose(1, 0, 2), -weights[rows])
        _nearer(x[rows], batches, minus, plus, lmbda, mu, most, LANES, result[rows])
    return result
