"""Does a tensor rule keep its tolerance on an element? Answered by little more than the rule itself.

A full reference costs ten times the rule. Here the rule is compared with one that has a few points more along each
direction: as many as the roots of det J ask for, so that what the second rule misses is a fraction of what the first
does. Only where that leaves doubt a converged reference decides.

Both rules integrate the mean gradients of an element exactly. What they differ in are the twelve slopes of its twists,
see :mod:`femnn.integration.twist_moments`: no matrix of all nodes is needed. The Error sums the entries of that
difference. Of an energy the part that is linear in space takes its own least value, so that twelve amplitudes, four of
the Laplace form, decide its largest relative change.
"""

import numpy as np

from femnn.geometry.canonical_pose import own_axes_of
from femnn.geometry.coordinates import TWISTS
from femnn.geometry.hexahedron import SIGNS, in_own_units
from femnn.integration.kernels import _FAST, kernel_array
from femnn.integration.lame import lame_parameters
from femnn.integration.twist_moments import place_tables, tensor_twist_moments, twist_workspace, values_at_places
from femnn.quadrature.adaptive.directional_errors import FEWEST, MEASURES
from femnn.quadrature.adaptive.roots import least_log_rho
from femnn.quadrature.adaptive.tensor_errors import tensor_rule_errors
from femnn.system.compile import njit

# What the second rule errs over what the first does, where it decays as the nearest roots of det J let it; and the
# differences of the two rules over the tolerance below which it surely is kept, and above which surely missed. Each
# line is for elements that the one before leaves in doubt.
_TRIALS = ((0.15, 0.8, 1.25), (0.02, 0.95, 1.05), (0.002, 0.995, 1.005))

# Most points that the second rule has beyond the first, along one axis.
_MOST_FURTHER = 20

_MISSED, _KEPT, _DOUBTFUL = 0, 1, 2

_SIGNS, _TWISTS, _IN_ORDER = np.array(SIGNS), np.array(TWISTS), np.arange(8)


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


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _material_matrix(moments, inverse, lmbda, mu, laplace, matrix):  # noqa: C901
    """The energy of the twists from their moments (12, 12) in own axes, (12, 12) row 3k + i, or (4, 4) of Laplace."""
    half, block = np.empty((3, 3)), np.empty((3, 3))
    for k in range(4):
        for m in range(k, 4):
            # J₀⁻ᵀ S_km J₀⁻¹: in physical axes
            for p in range(3):
                for j in range(3):
                    half[p, j] = (
                        moments[3 * k + p, 3 * m] * inverse[0, j]
                        + moments[3 * k + p, 3 * m + 1] * inverse[1, j]
                        + moments[3 * k + p, 3 * m + 2] * inverse[2, j]
                    )
            for i in range(3):
                for j in range(3):
                    block[i, j] = inverse[0, i] * half[0, j] + inverse[1, i] * half[1, j] + inverse[2, i] * half[2, j]
            trace = block[0, 0] + block[1, 1] + block[2, 2]
            if laplace:
                matrix[k, m] = matrix[m, k] = trace
                continue
            for i in range(3):
                for j in range(3):
                    entry = lmbda * block[i, j] + mu * block[j, i]
                    if i == j:
                        entry += mu * trace
                    matrix[3 * k + i, 3 * m + j] = matrix[3 * m + j, 3 * k + i] = entry


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _sum_of_entries(matrix, components, vectors, half):
    """Sum of the moduli of γ_k matrix_km γ_m for all nodes and components; ``vectors`` γ (8, 4), ``half`` as large."""
    result = 0.0
    for i in range(components):
        for j in range(i, components):
            for a in range(8):
                for m in range(4):
                    total = 0.0
                    for k in range(4):
                        total += vectors[a, k] * matrix[components * k + i, components * m + j]
                    half[a, m] = total
            part = 0.0
            for a in range(8):
                h0, h1, h2, h3 = half[a, 0], half[a, 1], half[a, 2], half[a, 3]
                for b in range(8):
                    part += abs(h0 * vectors[b, 0] + h1 * vectors[b, 1] + h2 * vectors[b, 2] + h3 * vectors[b, 3])
            # the block (j, i) is that of (i, j) transposed
            result += part if i == j else 2.0 * part
    return result


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _largest_entry(matrix, components, vectors, means, volume, inverse, lmbda, mu):
    """The largest entry of an element matrix, which is on its diagonal; ``matrix`` is that of :func:`_material_matrix`
    less the part of mean gradients, which come from the ``means`` (12,) of the slopes."""
    largest, gradient, own = 0.0, np.empty(3), np.empty(3)
    for a in range(8):
        for p in range(3):
            # the mean gradient of N_a in own axes, times the volume
            own[p] = 0.125 * volume * _SIGNS[a, p]
            for k in range(4):
                own[p] += vectors[a, k] * means[3 * k + p]
        square = 0.0
        for i in range(3):
            gradient[i] = (own[0] * inverse[0, i] + own[1] * inverse[1, i] + own[2] * inverse[2, i]) / volume
            square += gradient[i] ** 2
        for i in range(components):
            entry = square if components == 1 else lmbda * gradient[i] ** 2 + mu * (gradient[i] ** 2 + square)
            entry *= volume
            for k in range(4):
                for m in range(4):
                    entry += vectors[a, k] * matrix[components * k + i, components * m + i] * vectors[a, m]
            largest = max(largest, entry)
    return largest


@njit(over="hexahedra", grain=16, cache=True, error_model="numpy", fastmath=_FAST)
def _verdicts(begin, end, hexahedra, rules, further, tables, lmbda, mu, measure, surely, verdicts):
    laplace, by_energy = measure >= 2, measure % 2 == 1
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
        _material_matrix(first, inverse, lmbda[e], mu[e], laplace, difference)
        _material_matrix(better, inverse, lmbda[e], mu[e], laplace, reference)
        if by_energy:
            if _is_within(difference, reference, surely[0], total, factor):
                verdicts[e] = _KEPT
            else:
                within = _is_within(difference, reference, surely[1], total, factor)
                verdicts[e] = _DOUBTFUL if within else _MISSED
            continue
        for a in range(8):
            for k in range(4):
                along = _SIGNS[a, 0] * warp[0, k] + _SIGNS[a, 1] * warp[1, k] + _SIGNS[a, 2] * warp[2, k]
                vectors[a, k] = 0.125 * (_TWISTS[a, k] - along)
        error = _sum_of_entries(difference, components, vectors, half) / _largest_entry(
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
    verdicts = np.empty(len(x), dtype=np.int64)
    _verdicts(x, rules, further, tables, lmbda, mu, MEASURES.index(measure), surely, verdicts)
    return verdicts
