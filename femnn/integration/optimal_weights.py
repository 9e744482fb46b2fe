"""The best weights that fixed points can have on each element, found exactly and as the paper found them.

The stiffness is linear in the weights, so the Error is a weighted L1 norm of A w - b, with one column of A per point
and one row per entry of the upper triangle. That is a linear programme; :func:`optimal_weights` solves it with an
active-set descent (R. H. Bartels, A. R. Conn, J. W. Sinclair, SIAM J. Numer. Anal. 15 (1978) 224-241) and proves each
optimum by its dual, in well under a millisecond where a general solver takes ten. :func:`random_trials` is the search
of A. Oishi, G. Yagawa, CMAME 327 (2017) 327-351.
"""

import numpy as np

from femnn.geometry.hexahedron import in_own_units
from femnn.integration.kernels import _FAST, elasticity_from_moments, kernel_array, physical_gradients
from femnn.integration.lame import lame_parameters
from femnn.system.compile import njit

_MOST_STEPS = 400
_ROWS = 300

# A row that a direction changes by less than this share of their sizes depends on the rows that it keeps.
_INDEPENDENT = 1e-10

# Shares of the Error: its distance from the dual's bound where an optimum counts as proven, and the move of each kink
# that parts kinks which meet. Their 300 moves together stay below the distance.
_GAP, _SHIFT = 1e-8, 1e-11

# Share of a column's sum up to which the dual solution may leave it unbalanced, in double precision.
_BALANCED = 1e-12


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _point_columns(vertices, points, lmbda, mu, columns):
    """Upper triangle of each point's stiffness at unit weight into ``columns`` (300, nqp), off-diagonals doubled."""
    local, gradients = np.empty((8, 3)), np.empty(24)
    moments, stiffness = np.empty((24, 24)), np.empty((24, 24))
    for q in range(points.shape[1]):
        determinant = physical_gradients(vertices, points[0, q], points[1, q], points[2, q], local, gradients)
        for i in range(24):
            for j in range(24):
                moments[i, j] = gradients[i] * gradients[j] / abs(determinant)
        elasticity_from_moments(moments, lmbda, mu, stiffness)
        _upper_triangle(stiffness, columns[:, q])


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _upper_triangle(stiffness, rows):
    row = 0
    for i in range(24):
        rows[row] = stiffness[i, i]
        row += 1
        for j in range(i + 1, 24):
            rows[row] = 2.0 * stiffness[i, j]
            row += 1


@njit(over="hexahedra", grain=16, cache=True, error_model="numpy", fastmath=_FAST)
def _systems(begin, end, hexahedra, points, references, lmbda, mu, matrices, targets):
    for e in range(begin, end):
        _point_columns(hexahedra[e], points, lmbda, mu, matrices[e])
        _upper_triangle(references[e], targets[e])
        largest = np.abs(references[e]).max()
        matrices[e] /= largest
        targets[e] /= largest


def weight_systems(hexahedra, points, references, poisson=0.3):
    """Matrices A (n, 300, nqp) and right-hand sides b (n, 300) with Error(w) = Σ |A w - b|.

    Parameters
    ----------
    hexahedra : (n, 8, 3)
    points : (3, nqp), shared
    references : (n, 24, 24), exact stiffness for young=1 and the same Poisson's ratio
    """
    lmbda, mu = lame_parameters(1.0, poisson)
    x, size = in_own_units(hexahedra)
    matrices, targets = np.empty((len(x), _ROWS, points.shape[1])), np.empty((len(x), _ROWS))
    references = kernel_array(references) / size[:, None, None]
    _systems(x, kernel_array(points), references, lmbda, mu, matrices, targets)
    return matrices, targets


@njit(cache=True, error_model="numpy")
def _norm(matrix, target, weights):
    total = 0.0
    for i in range(matrix.shape[0]):
        residual = -target[i]
        for q in range(matrix.shape[1]):
            residual += matrix[i, q] * weights[q]
        total += abs(residual)
    return total


@njit(cache=True, error_model="numpy")
def _step_to_kink(residuals, rates, least, active):
    """Exact line search: the row whose kink ends the descent along a direction, a weighted median; -1 if none does.

    Rows that change no faster than ``least`` (rows,) depend on those of the basis and cannot enter it.
    """
    slope = 0.0
    count = 0
    ratios = np.empty(len(residuals))
    rows = np.empty(len(residuals), dtype=np.int64)
    for i in range(len(residuals)):
        if active[i] or residuals[i] == 0.0:
            slope += abs(rates[i])
            continue
        slope += rates[i] if residuals[i] > 0.0 else -rates[i]
        if residuals[i] * rates[i] < 0.0 and abs(rates[i]) > least[i]:
            ratios[count] = -residuals[i] / rates[i]
            rows[count] = i
            count += 1
    if slope >= 0.0:
        return -1, 0.0
    for k in np.argsort(ratios[:count]):
        slope += 2.0 * abs(rates[rows[k]])
        if slope >= 0.0:
            return rows[k], ratios[k]
    return -1, 0.0


@njit(cache=True, error_model="numpy")
def _along_basis(normal, descent):
    """Multipliers of the columns of ``normal`` in a direction, and what is left of the direction beside them."""
    n, held = normal.shape
    if held == n:
        return np.linalg.solve(normal, descent), np.zeros(n)
    if held == 0:
        return np.zeros(0), descent
    multipliers = np.linalg.lstsq(normal, descent)[0]
    return multipliers, descent - normal @ multipliers


@njit(cache=True, error_model="numpy")
def _minimise_l1(matrix, target, weights, dual):
    """Minimise Σ |matrix @ weights - target| from ``weights`` in place, and write the dual's solution to ``dual``.

    ``basis`` holds rows with zero residual, linearly independent. While what is left of the gradient beside them is not
    zero, descend along it; otherwise their multipliers either prove the optimum or name the row to leave.
    """
    rows, n = matrix.shape
    active = np.zeros(rows, dtype=np.bool_)
    basis = np.empty(n, dtype=np.int64)
    sizes = np.sqrt((matrix**2).sum(axis=1))
    largest = np.abs(matrix).sum()
    held = 0
    for _ in range(_MOST_STEPS):
        residuals = matrix @ weights - target
        signs = np.sign(residuals)
        for k in range(held):
            signs[basis[k]] = 0.0
        normal = np.ascontiguousarray(matrix[basis[:held]].T)
        multipliers, direction = _along_basis(normal, -(matrix.T @ signs))
        dual[:] = signs
        for k in range(held):
            dual[basis[k]] = min(max(multipliers[k], -1.0), 1.0)
        if np.abs(direction).max() <= _INDEPENDENT * largest:
            if held == 0:
                return
            leaving = np.argmax(np.abs(multipliers))
            if abs(multipliers[leaving]) <= 1.0 + 1e-9:
                return
            unit = np.zeros(held)
            unit[leaving] = np.sign(multipliers[leaving])
            direction = np.linalg.solve(normal.T, unit) if held == n else np.linalg.lstsq(normal.T, unit)[0]
            held -= 1
            active[basis[leaving]] = False
            residuals[basis[leaving]] = 0.0
            basis[leaving] = basis[held]
        rates = matrix @ direction
        for k in range(held):
            rates[basis[k]] = 0.0
        entering, step = _step_to_kink(residuals, rates, _INDEPENDENT * sizes * np.sqrt((direction**2).sum()), active)
        if entering < 0:
            return
        weights += step * direction
        active[entering] = True
        basis[held] = entering
        held += 1


@njit(cache=True, error_model="numpy")
def _is_proven(matrix, target, weights, dual):
    """Does ``dual`` prove that ``weights`` leave the least Error, but for a share ``_GAP`` of it?

    With |y| <= 1 and Aᵀy = 0, Σ |A v - b| >= y · (A v - b) = -y · b for every v. Both conditions and the gap between
    the two sides are measured here, whatever way led to ``weights`` and ``dual``.
    """
    if not np.abs(dual).max() <= 1.0:
        return False
    unbalanced = np.abs(matrix.T @ dual)
    for q in range(matrix.shape[1]):
        if not unbalanced[q] <= _BALANCED * np.abs(matrix[:, q]).sum():
            return False
    error = _norm(matrix, target, weights)
    return error - dual @ (matrix @ weights - target) <= _GAP * error


@njit(over="matrices", grain=1, cache=True, error_model="numpy")
def _minimise_all(begin, end, matrices, targets, start, shifts, negligible, weights, errors, proven):
    for e in range(begin, end):
        matrix, target = matrices[e], targets[e]
        initial = _norm(matrix, target, start)
        weights[e] = start
        errors[e] = initial
        proven[e] = initial <= negligible
        if initial > negligible:
            dual = np.zeros(matrix.shape[0])
            solution = start.copy()
            _minimise_l1(matrix, target, solution, dual)
            proven[e] = _is_proven(matrix, target, solution, dual)
            if not proven[e]:
                # more kinks meet in one point than there are weights, as in symmetric elements: part them a little
                residuals = target - matrix @ start
                move = np.zeros(len(start))
                _minimise_l1(matrix, residuals + initial * shifts, move, dual)
                proven[e] = _is_proven(matrix, residuals, move, dual)
                solution[:] = start + move
            final = _norm(matrix, target, solution)
            if final < initial:
                weights[e] = solution
                errors[e] = final


def optimal_weights(matrices, targets, start, negligible=1e-11):
    """Weights with the least Error.

    Parameters
    ----------
    matrices, targets
        From :func:`weight_systems`.
    start : (nqp,)
        Gauss weights; kept where their Error is below ``negligible`` already.

    Returns
    -------
    weights : (n, nqp)
    errors : (n,), never above that of ``start``
    proven : (n,) bool, True where a solution of the dual programme shows that no weights leave an Error less than
        1 - 1e-8 times as large, or where that of ``start`` is negligible
    """
    n, rows, nqp = matrices.shape
    weights, errors, proven = np.empty((n, nqp)), np.empty(n), np.empty(n, dtype=bool)
    shifts = _SHIFT * np.random.default_rng(0).uniform(-1.0, 1.0, rows)
    start = np.array(start, dtype=float)
    _minimise_all(matrices, targets, start, shifts, negligible, weights, errors, proven)
    return weights, errors, proven


@njit(cache=True)
def _mixed(state):
    """SplitMix64: one 64-bit state to one uniform number in [0, 1) (G. L. Steele et al., OOPSLA 2014)."""
    z = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(over="matrices", grain=1, cache=True, error_model="numpy", fastmath=_FAST)
def _try_weights(begin, end, matrices, targets, start, keys, trials, spread, weights, errors):
    nqp = start.shape[0]
    for e in range(begin, end):
        matrix = np.ascontiguousarray(matrices[e].T)
        best, trial, residual = start.copy(), np.empty(nqp), np.empty(targets.shape[1])
        least = _norm(matrices[e], targets[e], start)
        state = keys[e]
        for _ in range(trials):
            for q in range(nqp):
                state += np.uint64(0x9E3779B97F4A7C15)
                trial[q] = start[q] * (1.0 + spread * (2.0 * _mixed(state) - 1.0))
            residual[:] = -targets[e]
            for q in range(nqp):
                for i in range(residual.shape[0]):
                    residual[i] += matrix[q, i] * trial[q]
            total = 0.0
            for i in range(residual.shape[0]):
                total += abs(residual[i])
            if total < least:
                least = total
                best[:] = trial
        weights[e] = best
        errors[e] = least


def random_trials(matrices, targets, start, trials, seed, spread=0.05, first=0):
    """Best of ``trials`` random weight vectors per element, the published search.

    Each trial multiplies the weights ``start`` by independent factors U(1 - spread, 1 + spread). An element's numbers
    depend on ``seed`` and on its index ``first + e`` alone, so chunks and threads do not matter.

    Returns
    -------
    weights : (n, nqp)
    errors : (n,), never above that of ``start``
    """
    n, _, nqp = matrices.shape
    keys = np.array([np.random.SeedSequence([seed, first + e]).generate_state(1, np.uint64)[0] for e in range(n)])
    weights, errors = np.empty((n, nqp)), np.empty(n)
    _try_weights(matrices, targets, np.array(start, dtype=float), keys, trials, spread, weights, errors)
    return weights, errors
