"""Does a tensor rule keep its tolerance on an element? Answered by little more than the rule itself.

A full reference costs ten times the rule. Here the rule is compared with one that has a few points more along each
direction: as many as the roots of det J ask for, so that what the second rule misses is a fraction of what the first
does. Only where that leaves doubt a converged reference decides.

What the two rules differ in is taken from the moments of the twists alone, see
:mod:`femnn.quadrature.adaptive.twist_measures`.
"""

import numpy as np

from femnn.geometry.hexahedron import in_own_units
from femnn.geometry.shape_kernels import own_axes_of
from femnn.integration.kernels import _FAST, kernel_array
from femnn.integration.lame import lame_parameters
from femnn.integration.twist_moments import place_tables, tensor_twist_moments, twist_workspace, values_at_places
from femnn.quadrature.adaptive.directional_errors import FEWEST, MEASURES
from femnn.quadrature.adaptive.roots import least_log_rho
from femnn.quadrature.adaptive.tensor_errors import tensor_rule_errors
from femnn.quadrature.adaptive.twist_measures import (
    is_within,
    largest_entry,
    material_matrix,
    sum_of_entries,
    twist_vectors,
)
from femnn.system.compile import njit

# What the second rule errs over what the first does, where it decays as the nearest roots of det J let it; and the
# differences of the two rules over the tolerance below which it surely is kept, and above which surely missed. Each
# line is for elements that the one before leaves in doubt.
_TRIALS = ((0.15, 0.8, 1.25), (0.02, 0.95, 1.05), (0.002, 0.995, 1.005))

# Most points that the second rule has beyond the first, along one axis.
_MOST_FURTHER = 20

_MISSED, _KEPT, _DOUBTFUL = 0, 1, 2

_IN_ORDER = np.arange(8)


@njit(over="hexahedra", grain=16, cache=True, error_model="numpy", fastmath=_FAST)
def _verdicts(begin, end, hexahedra, rules, further, tables, lmbda, mu, laplace, energies, surely, verdicts):
    """With ``energies`` None, which leaves out their code, the Error of Oishi and Yagawa decides."""
    components = 1 if laplace else 3
    linear, twist, inverse, warp = np.empty((3, 3)), np.empty((3, 4)), np.empty((3, 3)), np.empty((3, 4))
    second, work = np.empty(3, dtype=np.int64), twist_workspace(tables[0].shape[0])
    first, better, means = np.empty((12, 12)), np.empty((12, 12)), np.empty(12)
    size = 4 * components
    difference, reference = np.empty((size, size)), np.empty((size, size))
    total, factor = np.empty((size, size)), np.empty((size, size))
    vectors, half = np.empty((8, 4)), np.empty((8, 4))
    for e in range(begin, end):
        own_axes_of(hexahedra[e], _IN_ORDER, linear, twist, inverse, warp)
        for axis in range(3):
            second[axis] = rules[e, axis] + further[e, axis]
        volume = values_at_places(warp, work, means)
        tensor_twist_moments(rules[e], tables, work, first)
        tensor_twist_moments(second, tables, work, better)
        for r in range(12):
            for c in range(12):
                first[r, c] -= better[r, c]
                better[r, c] -= means[r] * means[c] / volume
        material_matrix(first, inverse, lmbda[e], mu[e], laplace, difference)
        material_matrix(better, inverse, lmbda[e], mu[e], laplace, reference)
        if energies is not None:
            if is_within(difference, reference, surely[0], total, factor):
                verdicts[e] = _KEPT
            else:
                within = is_within(difference, reference, surely[1], total, factor)
                verdicts[e] = _DOUBTFUL if within else _MISSED
            continue
        twist_vectors(warp, vectors)
        error = sum_of_entries(difference, components, vectors, half) / largest_entry(
            reference, components, vectors, means, volume, inverse, lmbda[e], mu[e]
        )
        verdicts[e] = _KEPT if error < surely[0] else _MISSED if error > surely[1] else _DOUBTFUL


def keeps_tolerance(hexahedra: np.ndarray, rules: np.ndarray, tolerance: float, poisson, measure: str) -> np.ndarray:
    """True where a tensor rule keeps the tolerance on its element, (n,) bool.

    Parameters
    ----------
    hexahedra : (n, 8, 3)
        Healthy elements.
    rules : (n, 3) int
        Points along each axis.
    tolerance
        Of the ``measure``, one of :data:`~femnn.quadrature.adaptive.directional_errors.MEASURES`.
    poisson
        Poisson's ratio, a number or (n,).
    """
    x, _ = in_own_units(hexahedra)
    rules, poisson = kernel_array(rules, np.int64), np.broadcast_to(np.asarray(poisson, dtype=float), len(x))
    kept, doubtful = np.zeros(len(x), dtype=bool), np.arange(len(x))
    decay = 2.0 * np.maximum(least_log_rho(x), 1e-3)
    for remains, *surely in _TRIALS:
        if len(doubtful) == 0:
            return kept
        further = np.ceil(-np.log(remains) / decay[doubtful]).astype(np.int64)
        # two points integrate polynomials of the third degree: their error does not tell of the roots alone
        further = np.clip(further, np.where(rules[doubtful] == FEWEST, 2, 1), _MOST_FURTHER)
        verdicts = _compared(
            x[doubtful], rules[doubtful], further, tolerance * np.array(surely), poisson[doubtful], measure
        )
        kept[doubtful] = verdicts == _KEPT
        doubtful = doubtful[verdicts == _DOUBTFUL]
    if len(doubtful):
        errors = tensor_rule_errors(hexahedra[doubtful], rules[doubtful], poisson[doubtful], measure)
        kept[doubtful] = errors < tolerance
    return kept


def _compared(x, rules, further, surely, poisson, measure):
    """Verdicts (n,) about ``rules`` by comparison with rules of ``further`` points."""
    lmbda, mu = lame_parameters(1.0, poisson)
    tables = place_tables(int((rules + further).max()))
    verdicts, number = np.empty(len(x), dtype=np.int64), MEASURES.index(measure)
    _verdicts(x, rules, further, tables, lmbda, mu, number >= 2, number % 2 == 1 or None, surely, verdicts)
    return verdicts
