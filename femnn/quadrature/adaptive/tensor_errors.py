"""What chosen tensor rules miss on their elements, in all measures, against converged integration.

One element may be given several rules: its reference is integrated once.
"""

import numpy as np
from numba import prange

from femnn.integration.convergence import FLOOR
from femnn.integration.kernels import elasticity_from_moments
from femnn.quadrature.adaptive.directional_errors import (
    MEASURES,
    converged_points,
    lame_of,
    line_rules,
    measure_difference,
    prepare,
    tensor_moments,
    with_identity,
)
from femnn.quadrature.adaptive.energy import factorise, laplace_from_moments, laplace_modes, rigid_modes
from femnn.system.compile import njit


@njit(parallel=True, cache=True, error_model="numpy")
def _errors(hexahedra, long, line_points, line_weights, lame, shear, rotations, rules, starts, only, errors):
    for e in prange(hexahedra.shape[0]):
        own = rules[starts[e] : starts[e + 1]]
        turns = rotations[e]
        room = long[e, 0] * long[e, 1] * long[e, 2]
        for k in range(own.shape[0]):
            room = max(room, own[k, 0] * own[k, 1] * own[k, 2])
        points, weights = np.empty((3, room)), np.empty(room)
        reference, moments = np.empty((24, 24)), np.empty((24, 24))
        stiffness, laplace = np.empty((24, 24)), np.empty((8, 8))
        tensor_moments(hexahedra[e], long[e], line_points, line_weights, points, weights, reference)
        laplace_from_moments(reference, laplace)
        laplace_factor = factorise(laplace, laplace_modes())
        modes = rigid_modes(hexahedra[e])
        materials = lame.shape[1]
        factors, largest = np.empty((materials, 24, 24)), np.empty((materials, turns.shape[0] + 1))
        for m in range(materials):
            elasticity_from_moments(reference, lame[e, m], shear[e, m], stiffness)
            factors[m] = factorise(stiffness, modes)
            prepare(stiffness, laplace, turns, largest[m])
        for k in range(own.shape[0]):
            tensor_moments(hexahedra[e], own[k], line_points, line_weights, points, weights, moments)
            moments -= reference
            for m in range(materials):
                found = errors[starts[e] + k, m]
                measure_difference(
                    moments, lame[e, m], shear[e, m], turns, largest[m], factors[m], laplace_factor, only, found
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
    x = np.require(hexahedra, dtype=float, requirements="CW")
    rules = np.require(rules, dtype=np.int64, requirements="CW")
    lame, shear = lame_of(poisson)
    turns = with_identity(rotations, len(x))
    errors = np.empty((len(rules), lame.shape[1], len(MEASURES)))
    _errors(x, converged_points(x)[0], *line_rules(), lame, shear, turns, rules, starts, only, errors)
    return np.maximum(errors, FLOOR)
