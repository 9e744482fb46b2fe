"""Does a tensor rule keep its tolerance on an element? Answered by little more than the rule itself.

A full reference costs ten times the rule. Here the rule is compared with one that has a few points more along each
direction: as many as the roots of det J ask for, so that what the second rule misses is a fraction of what the first
does. Only where that leaves doubt a converged reference decides.
"""

import numpy as np

from femnn.geometry.hexahedron import in_own_units
from femnn.integration.kernels import elasticity_from_moments, kernel_array
from femnn.integration.lame import lame_parameters
from femnn.quadrature.adaptive.directional_errors import (
    FEWEST,
    MEASURES,
    largest_and_sum,
    line_rules,
    subtract,
    tensor_moments,
)
from femnn.quadrature.adaptive.energy import laplace_from_moments, rigid_modes
from femnn.quadrature.adaptive.roots import least_log_rho
from femnn.quadrature.adaptive.tensor_errors import tensor_rule_errors
from femnn.system.compile import njit

# What the second rule errs over what the first does, where it decays as the nearest roots of det J let it; and the
# differences of the two rules over the tolerance below which it surely is kept, and above which surely missed. The
# second line is for elements that the first leaves in doubt.
_TRIALS = ((0.15, 0.8, 1.25), (0.02, 0.95, 1.05))

# Most points that the second rule has beyond the first, along one axis.
_MOST_FURTHER = 20

_MISSED, _KEPT, _DOUBTFUL = 0, 1, 2


@njit(cache=True, error_model="numpy")
def _is_definite(matrix, work):
    """True if a symmetric matrix has a Cholesky factor; ``work`` of its shape is overwritten."""
    n = matrix.shape[0]
    for j in range(n):
        for i in range(j, n):
            total = matrix[i, j]
            for k in range(j):
                total -= work[i, k] * work[j, k]
            if i == j:
                if total <= 0.0:
                    return False
                work[j, j] = np.sqrt(total)
            else:
                work[i, j] = total / work[j, j]
    return True


@njit(cache=True, error_model="numpy")
def _is_within(difference, definite, bound, total, work):
    """True if |vᵀ difference v| < bound vᵀ definite v for all v."""
    for sign in (-1.0, 1.0):
        for i in range(len(total)):
            for j in range(i + 1):
                total[i, j] = bound * definite[i, j] + sign * difference[i, j]
        if not _is_definite(total, work):
            return False
    return True


@njit(cache=True, error_model="numpy")
def _verdict(difference, reference, modes, by_energy, surely_kept, surely_missed):
    """What the difference of the matrices of two rules, and that of the better one, say about the other one."""
    largest = largest_and_sum(reference)[0]
    if not by_energy:
        error = largest_and_sum(difference)[1] / largest
        return _KEPT if error < surely_kept else _MISSED if error > surely_missed else _DOUBTFUL
    total, work = np.empty_like(reference), np.empty_like(reference)
    definite = reference.copy()
    for i in range(len(definite)):
        for j in range(i + 1):
            for k in range(modes.shape[1]):
                definite[i, j] += largest * modes[i, k] * modes[j, k]
    if _is_within(difference, definite, surely_kept, total, work):
        return _KEPT
    return _DOUBTFUL if _is_within(difference, definite, surely_missed, total, work) else _MISSED


@njit(over="hexahedra", grain=4, cache=True, error_model="numpy")
def _verdicts(begin, end, hexahedra, rules, further, line_points, line_weights, lmbda, mu, measure, surely, verdicts):
    second = np.empty(3, dtype=np.int64)
    for e in range(begin, end):
        for axis in range(3):
            second[axis] = rules[e, axis] + further[e, axis]
        room = second[0] * second[1] * second[2]
        points, weights = np.empty((3, room)), np.empty(room)
        first_moments, moments = np.empty((24, 24)), np.empty((24, 24))
        tensor_moments(hexahedra[e], rules[e], line_points, line_weights, points, weights, first_moments)
        tensor_moments(hexahedra[e], second, line_points, line_weights, points, weights, moments)
        subtract(first_moments, moments, first_moments)
        if measure < 2:
            difference, reference = np.empty((24, 24)), np.empty((24, 24))
            elasticity_from_moments(first_moments, lmbda[e], mu[e], difference)
            elasticity_from_moments(moments, lmbda[e], mu[e], reference)
            modes = rigid_modes(hexahedra[e]) if measure == 1 else np.empty((24, 6))
        else:
            difference, reference = np.empty((8, 8)), np.empty((8, 8))
            laplace_from_moments(first_moments, difference)
            laplace_from_moments(moments, reference)
            modes = np.full((8, 1), 1.0 / np.sqrt(8.0))
        verdicts[e] = _verdict(difference, reference, modes, measure % 2 == 1, surely[0], surely[1])


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
    points, weights = line_rules(int((rules + further).max()))
    verdicts = np.empty(len(x), dtype=np.int64)
    _verdicts(x, rules, further, points, weights, lmbda, mu, MEASURES.index(measure), surely, verdicts)
    return verdicts
