"""Tensor rules for elements that no network is trusted with: found by comparing successive rules.

n×n×n points are integrated for n = 2, 3, 4, ..., from ten on in longer steps, until the tail of the differences, taken
as geometric, is a twentieth of the tolerance; against the last rule the first that meets the tolerance is taken, and
its points are reduced direction by direction as far as the tolerance allows.

Nearly folded elements, on whose edge det J nearly vanishes, would need some 30³ points as a reference for 15³. Theirs
are graded: Gauss points in t, led to ξ = t²(3 - 2t), crowd where det J nearly vanishes, and 12³ of them do. The fewest
equal points are then found by the decay of the error in a few steps, and directions in which the roots of det J are
further away are given fewer.
"""

from functools import cache

import numpy as np

from femnn.geometry.hexahedron import in_own_units
from femnn.geometry.validity import require_valid
from femnn.integration.kernels import elasticity_from_moments
from femnn.integration.lame import lame_parameters
from femnn.quadrature.adaptive.directional_errors import (
    FEWEST,
    MEASURES,
    line_rules,
    measure_difference,
    prepare,
    subtract,
    tensor_moments,
)
from femnn.quadrature.adaptive.energy import factorise, laplace_from_moments, laplace_modes, rigid_modes
from femnn.quadrature.adaptive.roots import least_log_rho
from femnn.system.compile import njit

#: Most points along an axis that a rule is given; an element that needs more does not meet the tolerance.
MOST_GIVEN = 30

# Most points along an axis of a reference.
_LONGEST = 48

# Where the tail of the differences ends the walk, over the tolerance.
_CONVERGED = 0.05

# Rules are taken that keep this fraction of the tolerance: the reference has an error, too. That of graded ones is
# known better.
_KEPT, _KEPT_BY_GRADED = 0.85, 0.93

# Elements with roots of det J nearer than this (log ρ) are nearly folded; and the first of their graded references.
_NEARLY_FOLDED, _FIRST_GRADED = 0.4, 8

# The numbers of points from which the decay of the error is read, and points beyond which only directions with
# further roots are tried with fewer: each trial costs as many.
_FIRST_READ, _SECOND_READ, _DEAR = 5, 9, 700

# Fewer points along a direction are tried if its roots let expect at most this fraction of them to do.
_WORTH_TRYING = 0.85

_AS_GIVEN = np.eye(3)[None].copy()


@cache
def graded_rules(longest=_LONGEST):
    """As :func:`~femnn.quadrature.adaptive.directional_errors.line_rules`, crowded at both ends of [0, 1]."""
    t, weights = line_rules(longest)
    return t * t * (3.0 - 2.0 * t), 6.0 * t * (1.0 - t) * weights


@njit(cache=True, error_model="numpy")
def _next(n):
    """The number of points after n in the walk to the reference: from ten on a fifth more."""
    return n + max(1, n // 5)


@njit(cache=True, error_model="numpy")
def _reference(vertices, lmbda, mu, as_given, only, tolerance, first, rules, work, largest):
    """Moments of n×n×n points, n from ``first`` on by ``_next`` up to where they converge, in ``rules``.

    Returns the number of points of the reference, True if it has converged, and the two factors of the measures.
    """
    points, weights, line_points, line_weights, moments, measures = work
    stiffness, laplace = np.empty((24, 24)), np.empty((8, 8))
    modes = rigid_modes(vertices)
    factor, laplace_factor = np.empty((24, 24)), np.empty((8, 8))
    before, per_axis, n, last = np.inf, np.empty(3, dtype=np.int64), first, first
    while n < rules.shape[0]:
        per_axis[:] = n
        tensor_moments(vertices, per_axis, line_points, line_weights, points, weights, moments)
        for i in range(24):
            for j in range(24):
                rules[n, i, j] = moments[i, j]
        elasticity_from_moments(moments, lmbda, mu, stiffness)
        laplace_from_moments(moments, laplace)
        prepare(stiffness, laplace, as_given, largest)
        if only == 1:
            factorise(stiffness, modes, factor)
        if only == 3:
            factorise(laplace, laplace_modes(), laplace_factor)
        previous, last, n = last, n, _next(n)
        if last == first:
            continue
        subtract(rules[previous], moments, moments)
        measure_difference(moments, lmbda, mu, as_given, largest, factor, laplace_factor, only, measures)
        difference = measures[only]
        ratio = min(difference / before, 0.95)
        before = max(difference, 1e-300)
        if difference * ratio < _CONVERGED * tolerance * (1.0 - ratio) and last > _next(first):
            return last, True, factor, laplace_factor
    return last, False, factor, laplace_factor


@njit(cache=True, error_model="numpy")
def _rule_error(vertices, rule, reference, work, measure):
    """The error of a tensor rule against the moments of the reference."""
    points, weights, line_points, line_weights, moments, measures = work
    tensor_moments(vertices, rule, line_points, line_weights, points, weights, moments)
    subtract(moments, reference, moments)
    measure_difference(moments, *measure, measures)
    return measures[measure[-1]]


@njit(cache=True, error_model="numpy")
def _fewest_equal(vertices, rules, last, bound, work, measure):
    """The fewest n×n×n points that err less than ``bound`` against the rule ``last``; 0 if MOST_GIVEN do not."""
    moments, measures = work[4], work[5]
    missed, n = FEWEST - 1, FEWEST
    while n < last:
        subtract(rules[n], rules[last], moments)
        measure_difference(moments, *measure, measures)
        if measures[measure[-1]] < bound:
            break
        missed, n = n, _next(n)
    per_axis = np.empty(3, dtype=np.int64)
    for between in range(missed + 1, min(n, MOST_GIVEN + 1)):
        per_axis[:] = between
        if _rule_error(vertices, per_axis, rules[last], work, measure) < bound:
            return between
    return n if n <= MOST_GIVEN else 0


@njit(cache=True, error_model="numpy")
def _fewest_by_decay(vertices, reference, bound, work, measure):
    """The same for nearly folded elements: the next trial is where the decay so far meets the bound."""
    per_axis = np.empty(3, dtype=np.int64)
    missed, kept, n, before, error_before = FEWEST - 1, MOST_GIVEN + 1, _FIRST_READ, 0, 0.0
    while kept - missed > 1:
        per_axis[:] = n
        error = max(_rule_error(vertices, per_axis, reference, work, measure), 1e-300)
        if error < bound:
            kept = n
        else:
            missed = n
        decay = 0.0
        if before > 0 and before != n:
            decay = np.log(error_before / error) / (n - before)
        before, error_before = n, error
        if n == _FIRST_READ and kept > n:
            n = _SECOND_READ
            continue
        if decay > 0.0:
            # one point fewer would not do where the error is that near to the bound
            if kept == n and error * np.exp(decay) > bound:
                return kept
            n += int(np.ceil(np.log(error / bound) / decay))
        else:
            n = (missed + kept) // 2
        n = min(max(n, missed + 1), kept - 1)
    return kept if kept <= MOST_GIVEN else 0


@njit(cache=True, error_model="numpy")
def _reduce_by_roots(vertices, rule, log_rho, reference, bound, work, measure):
    """Take points from directions in which the roots are further away, as many as their distance lets expect."""
    n, nearest = rule[0], log_rho.min()
    # each axis by itself from the same rule, so that it does not matter what the axes are called
    chosen = rule.copy()
    for axis in range(3):
        few = max(FEWEST, int(np.ceil(n * nearest / log_rho[axis])))
        while few <= _WORTH_TRYING * n:
            rule[axis] = few
            if _rule_error(vertices, rule, reference, work, measure) < bound:
                chosen[axis] = few
                break
            few += max(1, (n - few + 1) // 2)
        rule[axis] = n
    for axis in range(3):
        rule[axis] = chosen[axis]
    while rule.min() < n and _rule_error(vertices, rule, reference, work, measure) >= bound:
        for axis in range(3):
            rule[axis] = min(n, rule[axis] + 1)


@njit(cache=True, error_model="numpy")
def _reduce(vertices, rule, reference, bound, work, measure):
    """Take points, at first some at a time, from the direction that this hurts least, while ``bound`` is kept.

    The outcome does not depend on what the axes are called.
    """
    step = max(1, rule[0] // 5)
    while step > 0:
        best, least = -1, bound
        for axis in range(3):
            if rule[axis] - step < FEWEST:
                continue
            rule[axis] -= step
            error = _rule_error(vertices, rule, reference, work, measure)
            rule[axis] += step
            if error < least:
                best, least = axis, error
        if best >= 0:
            rule[best] -= step
        else:
            step //= 2


@njit(over="hexahedra", grain=1, cache=True, error_model="numpy")
def _choose_all(
    begin, end, hexahedra, log_rho, plain, graded, lmbda, mu, as_given, only, tolerance, anisotropic, chosen, met
):
    for e in range(begin, end):
        longest = plain[0].shape[1]
        rules, moments = np.empty((longest + 1, 24, 24)), np.empty((24, 24))
        points, weights = np.empty((3, longest**3)), np.empty(longest**3)
        measures, largest = np.empty(4), np.empty(2)
        work = (points, weights, plain[0], plain[1], moments, measures)
        graded_work = (points, weights, graded[0], graded[1], moments, measures)
        nearly_folded = log_rho[e].min() < _NEARLY_FOLDED
        last, converged, factor, laplace_factor = _reference(
            hexahedra[e],
            lmbda[e],
            mu[e],
            as_given,
            only,
            tolerance,
            _FIRST_GRADED if nearly_folded else FEWEST,
            rules,
            graded_work if nearly_folded else work,
            largest,
        )
        measure = (lmbda[e], mu[e], as_given, largest, factor, laplace_factor, only)
        bound, n = (_KEPT_BY_GRADED if nearly_folded else _KEPT) * tolerance, 0
        if converged and nearly_folded:
            n = _fewest_by_decay(hexahedra[e], rules[last], bound, work, measure)
        elif converged:
            n = _fewest_equal(hexahedra[e], rules, last, bound, work, measure)
        met[e] = n > 0
        chosen[e] = n if n > 0 else MOST_GIVEN
        if n > 0 and anisotropic:
            if nearly_folded and n**3 > _DEAR:
                _reduce_by_roots(hexahedra[e], chosen[e], log_rho[e], rules[last], bound, work, measure)
            else:
                _reduce(hexahedra[e], chosen[e], rules[last], bound, work, measure)


def points_by_integration(hexahedra, tolerance, poisson, measure, anisotropic=True):
    """Points along each axis that keep a tolerance, found by integration.

    Parameters
    ----------
    hexahedra : (n, 8, 3)
        Healthy elements.
    tolerance
        Of the ``measure``, one of :data:`~femnn.quadrature.adaptive.directional_errors.MEASURES`.
    poisson
        Poisson's ratio, a number or (n,).

    Returns
    -------
    points : (n, 3) int64
    met : (n,) bool
        False where ``MOST_GIVEN`` points along each axis do not keep the tolerance, or it cannot be known that they do.
    """
    require_valid(hexahedra)
    x, _ = in_own_units(hexahedra)
    lmbda, mu = lame_parameters(1.0, np.broadcast_to(poisson, len(x)))
    chosen, met = np.empty((len(x), 3), dtype=np.int64), np.empty(len(x), dtype=np.bool_)
    lines = line_rules(_LONGEST), graded_rules()
    settings = _AS_GIVEN, MEASURES.index(measure), tolerance, anisotropic
    _choose_all(x, least_log_rho(x), *lines, lmbda, mu, *settings, chosen, met)
    return chosen, met
