"""What chosen tensor rules miss on their elements, in all measures, against converged integration.

One element may be given several rules: its reference is integrated once.
"""

import numpy as np
from numba import njit, prange

from femnn.integration.convergence import FLOOR
from femnn.integration.directions import (
    MEASURES,
    converged_points,
    lame_of,
    line_rules,
    measure_difference,
    prepare,
    tensor_moments,
)
from femnn.integration.energy import factorise, laplace_from_moments, laplace_modes, rigid_modes
from femnn.integration.kernels import elasticity_from_moments

_AS_GIVEN = np.eye(3)[None].copy()


@njit(parallel=True, cache=True, error_model="numpy")
def _errors(hexahedra, long, line_points, line_weights, lame, shear, as_given, rules, starts, only, errors):
    for e in prange(hexahedra.shape[0]):
        own = rules[starts[e] : starts[e + 1]]
        room = long[e, 0] * long[e, 1] * long[e, 2]
        for k in range(own.shape[0]):
            room = max(room, own[k, 0] * own[k, 1] * own[k, 2])
        points, weights = np.empty((3, room)), np.empty(room)
        reference, moments = np.empty((24, 24)), np.empty((24, 24))
        stiffness, laplace, largest = np.empty((24, 24)), np.empty((8, 8)), np.empty(2)
        tensor_moments(hexahedra[e], long[e], line_points, line_weights, points, weights, reference)
        elasticity_from_moments(reference, lame[e], shear[e], stiffness)
        laplace_from_moments(reference, laplace)
        prepare(stiffness, laplace, as_given, largest)
        factor = factorise(stiffness, rigid_modes(hexahedra[e]))
        laplace_factor = factorise(laplace, laplace_modes())
        for k in range(own.shape[0]):
            tensor_moments(hexahedra[e], own[k], line_points, line_weights, points, weights, moments)
            moments -= reference
            found = errors[starts[e] + k]
            measure_difference(moments, lame[e], shear[e], as_given, largest, factor, laplace_factor, only, found)


def tensor_rule_errors(hexahedra, rules, poisson, measure, starts=None):
    """Errors of tensor rules in one of the :data:`~femnn.integration.directions.MEASURES`, (m,), at least ``FLOOR``.

    Parameters
    ----------
    hexahedra : (n, 8, 3)
        Healthy elements.
    rules : (m, 3) int
        Points along each axis.
    poisson
        Poisson's ratio, a number or (n,).
    measure
        Name of the measure.
    starts : (n + 1,) int
        Element e has the rules ``starts[e]`` to ``starts[e + 1]``; by default one each, m = n.
    """
    x = np.require(hexahedra, dtype=float, requirements="CW")
    rules = np.require(rules, dtype=np.int64, requirements="CW")
    starts = np.arange(len(x) + 1) if starts is None else np.asarray(starts, dtype=np.int64)
    lame, shear = lame_of(np.broadcast_to(np.asarray(poisson, dtype=float), len(x)))
    errors, only = np.empty((len(rules), len(MEASURES))), MEASURES.index(measure)
    _errors(x, converged_points(x)[0], *line_rules(), lame, shear, _AS_GIVEN, rules, starts, only, errors)
    return np.maximum(errors[:, only], FLOOR)
