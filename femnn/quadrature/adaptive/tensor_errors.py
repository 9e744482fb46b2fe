"""Errors of given tensor rules on their elements, in all measures, against converged integration.

One element may be given several rules: its reference is integrated once.
"""

import numpy as np

from femnn.geometry.hexahedron import in_own_units
from femnn.integration.convergence import FLOOR
from femnn.integration.kernels import kernel_array
from femnn.integration.lame import lame_parameters
from femnn.quadrature.adaptive.directional_errors import (
    MEASURES,
    converged_points,
    line_rules,
    measure_difference,
    measure_reference,
    subtract,
    tensor_moments,
    with_identity,
)
from femnn.system.compile import njit


@njit(over="hexahedra", grain=1, cache=True, error_model="numpy")
def _errors(begin, end, hexahedra, long, line_points, line_weights, lmbda, mu, rotations, rules, starts, only, errors):
    for e in range(begin, end):
        candidates = rules[starts[e] : starts[e + 1]]
        turns = rotations[e]
        room = long[e, 0] * long[e, 1] * long[e, 2]
        for k in range(candidates.shape[0]):
            room = max(room, candidates[k, 0] * candidates[k, 1] * candidates[k, 2])
        points, weights = np.empty((3, room)), np.empty(room)
        reference, moments = np.empty((24, 24)), np.empty((24, 24))
        tensor_moments(hexahedra[e], long[e], line_points, line_weights, points, weights, reference)
        factors, largest, laplace_factor = measure_reference(hexahedra[e], reference, lmbda[e], mu[e], turns)
        for k in range(candidates.shape[0]):
            tensor_moments(hexahedra[e], candidates[k], line_points, line_weights, points, weights, moments)
            subtract(moments, reference, moments)
            for m in range(lmbda.shape[1]):
                measures = errors[starts[e] + k, m]
                measure_difference(
                    moments, lmbda[e, m], mu[e, m], turns, largest[m], factors[m], laplace_factor, only, measures
                )


def tensor_rule_errors(hexahedra, rules, poisson, measure, starts=None):
    """Errors of tensor rules, (m,), at least ``FLOOR``.

    Parameters
    ----------
    hexahedra : (n, 8, 3)
        Healthy elements.
    rules : (m, 3) int
        Points along each axis.
    poisson
        Poisson's ratio, a number or (n,).
    measure
        One of :data:`~femnn.quadrature.adaptive.directional_errors.MEASURES`.
    starts : (n + 1,) int
        Element e has the rules ``starts[e]`` to ``starts[e + 1]``; by default one each, m = n.
    """
    poisson = np.broadcast_to(np.asarray(poisson, dtype=float), len(hexahedra))[:, None]
    starts = np.arange(len(hexahedra) + 1) if starts is None else np.asarray(starts, dtype=np.int64)
    only = MEASURES.index(measure)
    return _tabulated(hexahedra, rules, poisson, None, starts, only)[:, 0, only]


def tensor_rule_tables(hexahedra, rules, poisson, rotations=None):
    """Errors of several tensor rules of each element in all measures, (n, materials, 4, rules), at least ``FLOOR``.

    Parameters
    ----------
    hexahedra : (n, 8, 3)
        Healthy elements.
    rules : (n, rules, 3) int
        Points along each axis.
    poisson, rotations
        As for :func:`femnn.quadrature.adaptive.directional_errors.directional_tables`.
    """
    n, count = rules.shape[:2]
    errors = _tabulated(hexahedra, rules.reshape(-1, 3), poisson, rotations, count * np.arange(n + 1), -1)
    return errors.reshape(n, count, -1, len(MEASURES)).transpose(0, 2, 3, 1)


def _tabulated(hexahedra, rules, poisson, rotations, starts, only):
    x, _ = in_own_units(hexahedra)
    rules = kernel_array(rules, np.int64)
    lmbda, mu = lame_parameters(1.0, poisson)
    turns = with_identity(rotations, len(x))
    errors = np.empty((len(rules), lmbda.shape[1], len(MEASURES)))
    points, weights = line_rules()
    _errors(x, converged_points(x)[0], points, weights, lmbda, mu, turns, rules, starts, only, errors)
    return np.maximum(errors, FLOOR)
