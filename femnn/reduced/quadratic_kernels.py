"""Numba kernels of quadratic reduced models: time steps in local bases."""

import numpy as np

from femnn.reduced.small_systems import solve_in_place
from femnn.system.compile import njit

_FAST = {"reassoc", "contract", "nsz", "arcp"}


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def march(  # noqa: C901
    ranks,
    constant,
    linear,
    quadratic,
    forcing,
    turns,
    shifts,
    scores,
    biases,
    sizes,
    dt,
    share,
    q,
    clusters,
    most,
    enough,
):
    """Fill local coordinates ``q`` (steps + 1, most modes) and ``clusters`` after the first row.

    Returns the step that failed, or 0, and the number of all iterations. Arrays of all clusters lie one after another,
    by cluster: constant and forcing (k), linear (k k), quadratic (k k k), shifts and scores (clusters k), biases
    (clusters); turns by pairs of clusters (k of the new one, k of the old one), at all k of the new ones before it.
    ``share`` of a step is implicit.
    """
    n, total = len(ranks), ranks.sum()
    ones, twos, threes = np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64)
    for c in range(n):
        ones[c + 1] = ones[c] + ranks[c]
        twos[c + 1] = twos[c] + ranks[c] ** 2
        threes[c + 1] = threes[c] + ranks[c] ** 3
    most_modes, iterations, ahead, behind = q.shape[1], 0, share * dt, (1.0 - share) * dt
    tangents, residuals = np.empty(most_modes * most_modes), np.empty(most_modes)
    knowns, befores, is_new = np.empty(most_modes), q[0].copy(), True
    for step in range(1, len(q)):
        c = clusters[step - 1]
        k = ranks[c]
        zero, push = constant[ones[c] : ones[c + 1]], forcing[ones[c] : ones[c + 1]]
        one = linear[twos[c] : twos[c + 1]].reshape(k, k)
        two = quadratic[threes[c] : threes[c + 1]].reshape(k, k, k)
        tangent, residual, known, before = tangents[: k * k].reshape(k, k), residuals[:k], knowns[:k], befores[:k]
        old, new = q[step - 1, :k], q[step, :k]
        if is_new:
            _evaluate(zero, one, two, old, known, tangent)
            for i in range(k):
                known[i] = old[i] - behind * known[i] + dt * push[i]
        else:
            # the last step has left old + ahead (right side at old) = known
            for i in range(k):
                known[i] = old[i] + behind / ahead * (old[i] - known[i]) + dt * push[i]
        for i in range(k):
            new[i] = 2.0 * old[i] - before[i]
        converged = False
        for _ in range(most):
            _evaluate(zero, one, two, new, residual, tangent)
            for i in range(k):
                residual[i] = new[i] + ahead * residual[i] - known[i]
                for j in range(k):
                    tangent[i, j] *= ahead
                tangent[i, i] += 1.0
            solve_in_place(tangent, residual)
            square = 0.0
            for i in range(k):
                new[i] -= residual[i]
                square += residual[i] ** 2
            iterations += 1
            if square <= (enough * sizes[c]) ** 2:
                converged = True
                break
        if not converged:
            return step, iterations
        nearest = _nearest(scores, biases, c, n, k, n * ones[c], new)
        clusters[step], is_new = nearest, nearest != c
        if not is_new:
            before[:] = old
        else:
            turned = ranks[nearest]
            turn = turns[total * ones[nearest] + turned * ones[c] :][: turned * k].reshape(turned, k)
            shift = shifts[n * ones[nearest] + turned * c :][:turned]
            for i in range(turned):
                befores[i] = knowns[i] = shift[i]
                for j in range(k):
                    befores[i] += turn[i, j] * old[j]
                    knowns[i] += turn[i, j] * new[j]
            q[step, :turned] = knowns[:turned]
    return 0, iterations


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _evaluate(zero, one, two, q, value, tangent):
    """Write zero + one q + (two q) q and its derivative."""
    k = len(q)
    for i in range(k):
        total = zero[i]
        for j in range(k):
            bend = 0.0
            for m in range(k):
                bend += two[i, j, m] * q[m]
            total += (one[i, j] + bend) * q[j]
            tangent[i, j] = one[i, j] + 2.0 * bend
        value[i] = total


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _nearest(scores, biases, c, n, k, start, q):
    """The centre nearest to a state of cluster ``c``: least of |centre - mean|² - 2 (centre - mean) · modes q."""
    best, least = c, np.inf
    for j in range(n):
        distance = biases[n * c + j]
        for i in range(k):
            distance += scores[start + k * j + i] * q[i]
        if distance < least:
            best, least = j, distance
    return best
