"""Tensor rules for elements that no network is trusted with: found by comparing successive rules.

n×n×n points are integrated for n = 2, 3, 4, ..., from ten on in longer steps, until the tail of the differences, taken
as geometric, is a hundredth of the tolerance; against the last rule the first that meets the tolerance is taken, and
its points are reduced direction by direction as far as the tolerance allows.

Nearly folded elements, on whose edge det J nearly vanishes, would need some 30³ points as a reference for 15³. Theirs
are graded: Gauss points in t, led to ξ = t²(3 - 2t), crowd where det J nearly vanishes, and 12³ of them do. The fewest
equal points are then found by the decay of the error in a few steps.

All rules are compared by the moments of the twists alone, see :mod:`femnn.quadrature.adaptive.twist_measures`: a point
takes a division and a few products there, a tenth of what the gradients of all nodes would.
"""

import numpy as np

from femnn.geometry.hexahedron import in_own_units
from femnn.geometry.shape_kernels import own_axes_of
from femnn.geometry.validity import require_valid
from femnn.integration.gauss import gauss_legendre
from femnn.integration.lame import lame_parameters
from femnn.integration.twist_moments import place_tables, tensor_twist_moments, twist_workspace, values_at_places
from femnn.quadrature.adaptive.directional_errors import FEWEST, MEASURES, subtract
from femnn.quadrature.adaptive.roots import least_log_rho
from femnn.quadrature.adaptive.twist_measures import measure_workspace, scale_of, twist_error, twist_vectors
from femnn.system.compile import njit

#: Most points along an axis that a rule is given; an element that needs more does not meet the tolerance.
MOST_GIVEN = 30

# Most points along an axis of a reference.
_LONGEST = 48

# Where the tail of the differences ends the walk, over the tolerance.
_CONVERGED = 0.01

# Rules are taken that keep this fraction of the tolerance: the reference has an error, too. That of graded ones is
# known better.
_KEPT, _KEPT_BY_GRADED = 0.85, 0.93

# Elements with roots of det J nearer than this (log ρ) are nearly folded; and the first of their graded references.
_NEARLY_FOLDED, _FIRST_GRADED = 0.4, 8

# The numbers of points from which the decay of the error is read.
_FIRST_READ, _SECOND_READ = 5, 9

_IN_ORDER = np.arange(8)


def graded(n):
    """n points and weights of [0, 1], crowded at both ends."""
    t, weights = gauss_legendre(n)
    return t * t * (3.0 - 2.0 * t), 6.0 * t * (1.0 - t) * weights


@njit(cache=True, error_model="numpy")
def _next(n):
    """The number of points after n in the walk to the reference: from ten on a fifth more."""
    return n + max(1, n // 5)


@njit(cache=True, error_model="numpy")
def _reference(cell, tables, only, tolerance, first, rules, scale):
    """Moments of n×n×n points, n from ``first`` on by ``_next`` up to where they converge, in ``rules``.

    Returns the number of points of the reference, and True if it has converged; what the measures are relative to is in
    ``scale``.
    """
    geometry, work, room, moments = cell
    before, per_axis, n, last = np.inf, np.empty(3, dtype=np.int64), first, first
    while n < rules.shape[0]:
        per_axis[:] = n
        tensor_twist_moments(per_axis, tables, work, rules[n])
        previous, last, n = last, n, _next(n)
        if last == first:
            continue
        scale_of(rules[last], geometry, only, room, scale)
        subtract(rules[previous], rules[last], moments)
        difference = twist_error(moments, geometry, scale, only, room)
        ratio = min(difference / before, 0.95)
        before = max(difference, 1e-300)
        if difference * ratio < _CONVERGED * tolerance * (1.0 - ratio) and last > _next(first):
            return last, True
    return last, False


@njit(cache=True, error_model="numpy")
def _rule_error(rule, cell, tables, reference, scale, only):
    """The error of a tensor rule against the moments of the reference."""
    geometry, work, room, moments = cell
    tensor_twist_moments(rule, tables, work, moments)
    subtract(moments, reference, moments)
    return twist_error(moments, geometry, scale, only, room)


@njit(cache=True, error_model="numpy")
def _fewest_equal(rules, last, bound, cell, tables, scale, only):
    """The fewest n×n×n points that err less than ``bound`` against the rule ``last``; 0 if MOST_GIVEN do not."""
    geometry, _, room, moments = cell
    missed, n = FEWEST - 1, FEWEST
    while n < last:
        subtract(rules[n], rules[last], moments)
        if twist_error(moments, geometry, scale, only, room) < bound:
            break
        missed, n = n, _next(n)
    per_axis = np.empty(3, dtype=np.int64)
    for between in range(missed + 1, min(n, MOST_GIVEN + 1)):
        per_axis[:] = between
        if _rule_error(per_axis, cell, tables, rules[last], scale, only) < bound:
            return between
    return n if n <= MOST_GIVEN else 0


@njit(cache=True, error_model="numpy")
def _fewest_by_decay(reference, bound, cell, tables, scale, only):
    """The same for nearly folded elements: the next trial is where the decay so far meets the bound."""
    per_axis = np.empty(3, dtype=np.int64)
    missed, kept, n, before, error_before = FEWEST - 1, MOST_GIVEN + 1, _FIRST_READ, 0, 0.0
    while kept - missed > 1:
        per_axis[:] = n
        error = max(_rule_error(per_axis, cell, tables, reference, scale, only), 1e-300)
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
def _reduce(rule, reference, bound, cell, tables, scale, only):
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
            error = _rule_error(rule, cell, tables, reference, scale, only)
            rule[axis] += step
            if error < least:
                best, least = axis, error
        if best >= 0:
            rule[best] -= step
        else:
            step //= 2


@njit(over="hexahedra", grain=1, cache=True, error_model="numpy")
def _choose_all(begin, end, hexahedra, log_rho, plain, graded, lmbda, mu, only, tolerance, anisotropic, chosen, met):
    linear, twist, inverse, warp = np.empty((3, 3)), np.empty((3, 4)), np.empty((3, 3)), np.empty((3, 4))
    means, vectors, rules = np.empty(12), np.empty((8, 4)), np.empty((_LONGEST + 1, 12, 12))
    work, room, moments = twist_workspace(plain[0].shape[0]), measure_workspace(only), np.empty((12, 12))
    size = 4 if only >= 2 else 12
    scale = np.empty(1), np.empty((size, size))
    for e in range(begin, end):
        own_axes_of(hexahedra[e], _IN_ORDER, linear, twist, inverse, warp)
        volume = values_at_places(warp, work, means)
        twist_vectors(warp, vectors)
        cell = (inverse, vectors, means, volume, lmbda[e], mu[e]), work, room, moments
        nearly_folded = log_rho[e].min() < _NEARLY_FOLDED
        first, tables = (_FIRST_GRADED, graded) if nearly_folded else (FEWEST, plain)
        last, converged = _reference(cell, tables, only, tolerance, first, rules, scale)
        bound, n = (_KEPT_BY_GRADED if nearly_folded else _KEPT) * tolerance, 0
        if converged and nearly_folded:
            n = _fewest_by_decay(rules[last], bound, cell, plain, scale, only)
        elif converged:
            n = _fewest_equal(rules, last, bound, cell, plain, scale, only)
        met[e] = n > 0
        chosen[e] = n if n > 0 else MOST_GIVEN
        if n > 0 and anisotropic:
            _reduce(chosen[e], rules[last], bound, cell, plain, scale, only)


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
    tables = place_tables(_LONGEST), place_tables(_LONGEST, graded)
    settings = MEASURES.index(measure), tolerance, anisotropic
    _choose_all(x, least_log_rho(x), *tables, lmbda, mu, *settings, chosen, met)
    return chosen, met
