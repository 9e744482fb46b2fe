"""Tensor rules for elements that no network is trusted with: found by comparing successive rules.

n×n×n points are integrated for n = 2, 3, 4, ... until the tail of the differences, taken as geometric, is a twentieth
of the tolerance; against the last rule the first that meets the tolerance is taken, and its points are reduced
direction by direction as far as the tolerance allows.
"""

import numpy as np
from numba import njit, prange

from femnn.geometry.validity import require_valid
from femnn.integration.directions import FEWEST, MEASURES, lame_of, measure_difference, prepare, tensor_moments
from femnn.integration.energy import factorise, laplace_from_moments, laplace_modes, rigid_modes
from femnn.integration.gauss import gauss_legendre
from femnn.integration.kernels import elasticity_from_moments

#: Most points along an axis that a rule is given; an element that needs more does not meet the tolerance.
MOST_GIVEN = 30

# Most points along an axis of a reference.
_LONGEST = 48

# Where the tail of the differences counts as settled, over the tolerance.
_SETTLED = 0.05

# Rules are taken that keep this share of the tolerance: the reference has an error, too.
_KEPT = 0.85

_AS_GIVEN = np.eye(3)[None].copy()


def _line_rules():
    points, weights = np.zeros((_LONGEST + 1, _LONGEST)), np.zeros((_LONGEST + 1, _LONGEST))
    for n in range(1, _LONGEST + 1):
        points[n, :n], weights[n, :n] = gauss_legendre(n)
    return points, weights


@njit(cache=True, error_model="numpy")
def _reference(vertices, lame, shear, as_given, only, tolerance, rules, work, largest):
    """Moments of n×n×n points for n up to where they settle, in ``rules``; how many, and factors of the last.

    Returns the number of points of the reference, whether it has settled, and the two factors of the measures.
    """
    points, weights, line_points, line_weights, moments, found = work
    stiffness, laplace = np.empty((24, 24)), np.empty((8, 8))
    modes = rigid_modes(vertices)
    factor, laplace_factor = np.empty((24, 24)), np.empty((8, 8))
    before, per_axis, n = np.inf, np.empty(3, dtype=np.int64), 1
    for n in range(FEWEST, rules.shape[0]):
        per_axis[:] = n
        tensor_moments(vertices, per_axis, line_points, line_weights, points, weights, moments)
        rules[n] = moments
        elasticity_from_moments(moments, lame, shear, stiffness)
        laplace_from_moments(moments, laplace)
        prepare(stiffness, laplace, as_given, largest)
        if only == 1:
            factor = factorise(stiffness, modes)
        if only == 3:
            laplace_factor = factorise(laplace, laplace_modes())
        if n == FEWEST:
            continue
        measure_difference(rules[n - 1] - moments, lame, shear, as_given, largest, factor, laplace_factor, only, found)
        difference = found[only]
        ratio = min(difference / before, 0.95)
        before = max(difference, 1e-300)
        if difference * ratio < _SETTLED * tolerance * (1.0 - ratio) and n > FEWEST + 1:
            return n, True, factor, laplace_factor
    return n, False, factor, laplace_factor


@njit(parallel=True, cache=True, error_model="numpy")
def _settle_all(hexahedra, line_points, line_weights, lame, shear, as_given, only, tolerance, anisotropic, chosen, met):
    for e in prange(hexahedra.shape[0]):
        longest = line_points.shape[1]
        rules, moments = np.empty((longest + 1, 24, 24)), np.empty((24, 24))
        points, weights = np.empty((3, longest**3)), np.empty(longest**3)
        found, largest = np.empty(4), np.empty(2)
        work = (points, weights, line_points, line_weights, moments, found)
        last, settled, factor, laplace_factor = _reference(
            hexahedra[e], lame[e], shear[e], as_given, only, tolerance, rules, work, largest
        )
        chosen[e] = MOST_GIVEN
        met[e] = False
        bound = _KEPT * tolerance
        for n in range(FEWEST, min(last, MOST_GIVEN) + 1):
            measure_difference(
                rules[n] - rules[last], lame[e], shear[e], as_given, largest, factor, laplace_factor, only, found
            )
            if settled and found[only] < bound:
                chosen[e] = n
                met[e] = True
                break
        if not (met[e] and anisotropic):
            continue
        rule, best = chosen[e], 0
        while best >= 0:
            # the direction that a point less hurts least, whatever the axes are called
            best, least = -1, bound
            for axis in range(3):
                if rule[axis] == FEWEST:
                    continue
                rule[axis] -= 1
                tensor_moments(hexahedra[e], rule, line_points, line_weights, points, weights, moments)
                moments -= rules[last]
                measure_difference(moments, lame[e], shear[e], as_given, largest, factor, laplace_factor, only, found)
                rule[axis] += 1
                if found[only] < least:
                    best, least = axis, found[only]
            if best >= 0:
                rule[best] -= 1


def settle(hexahedra, tolerance, poisson, measure, anisotropic=True):
    """Points along each axis that keep a tolerance, found by integration.

    Parameters
    ----------
    hexahedra : (n, 8, 3)
        Healthy elements.
    tolerance
        Of the ``measure``, one of :data:`~femnn.integration.directions.MEASURES`.
    poisson
        Poisson's ratio, a number or (n,).

    Returns
    -------
    points : (n, 3) int64
    met : (n,) bool
        False where ``MOST_GIVEN`` points along each axis do not keep the tolerance, or it cannot be known that they do.
    """
    x = np.require(hexahedra, dtype=float, requirements="CW")
    require_valid(x)
    lame, shear = lame_of(np.broadcast_to(np.asarray(poisson, dtype=float), len(x)))
    chosen, met = np.empty((len(x), 3), dtype=np.int64), np.empty(len(x), dtype=np.bool_)
    _settle_all(x, *_line_rules(), lame, shear, _AS_GIVEN, MEASURES.index(measure), tolerance, anisotropic, chosen, met)
    return chosen, met
