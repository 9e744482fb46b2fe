"""The decay of the Error of n×n×n Gauss points with n, element by element, and a reference that has converged.

The entries of the stiffness are rational functions of ξ whose denominator is det J, so the Error falls geometrically
in n. The table therefore walks n = 1, 2, 3, ... and stops an element when two successive rules agree twice in a row to
``CONVERGED``; the last rule is then the reference. On random elements this costs a tenth of the 30×30×30 rule, and the
two agree to 1e-12 (the tests and ``benchmarks/error_reduction.py`` check it).
"""

from functools import cache

import numpy as np

from femnn.checks import checked
from femnn.geometry.hexahedron import in_own_units
from femnn.geometry.validity import require_valid
from femnn.integration.gauss import tensor_gauss
from femnn.integration.kernels import _FAST, add_moments, elasticity_from_moments, relative_difference
from femnn.integration.lame import lame_parameters
from femnn.system.compile import njit

#: Two successive rules this near to each other, twice in a row, end the walk: some round-off above the last digit.
CONVERGED = 3e-13

#: The walk ends here at the latest; an element that needs more is reported as not converged.
MOST_POINTS = 30

#: The table's smallest entry: below it lies round-off, not information.
FLOOR = 1e-12


@cache
def _all_rules():
    """Points and weights of the rules 1..MOST_POINTS one after another, and where each starts."""
    rules = [tensor_gauss(n, n, n) for n in range(1, MOST_POINTS + 1)]
    starts = np.cumsum([0] + [len(weights) for _, weights in rules])
    return np.concatenate([p for p, _ in rules], axis=1), np.concatenate([w for _, w in rules]), starts


@njit(over="hexahedra", grain=4, cache=True, error_model="numpy", fastmath=_FAST)
def _walk(begin, end, hexahedra, points, weights, starts, lmbda, mu, errors, references, doubts):
    most = errors.shape[1]
    for e in range(begin, end):
        moments, stiffness = np.empty((24, 24)), np.empty((starts.shape[0], 24, 24))
        agreed, last, difference = 0, 0, np.inf
        for level in range(starts.shape[0] - 1):
            first, last_point = starts[level], starts[level + 1]
            moments[:] = 0.0
            add_moments(hexahedra[e], points[:, first:last_point], weights[first:last_point], moments)
            elasticity_from_moments(moments, lmbda, mu, stiffness[level])
            last = level
            if level > 0:
                difference = relative_difference(stiffness[level - 1], stiffness[level])
            agreed = agreed + 1 if difference < CONVERGED else 0
            if agreed == 2:
                break
        doubts[e] = difference
        references[e] = stiffness[last]
        for level in range(most):
            errors[e, level] = FLOOR
            if level < last:
                errors[e, level] = max(FLOOR, relative_difference(stiffness[level], stiffness[last]))


@checked(hexahedra="n 8 3", most="[1, 30]", poisson="(-1, 0.5)")
def error_table(hexahedra: np.ndarray, most: int = 20, poisson: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Error of n×n×n Gauss points for n = 1..most, shape (n_elements, most), against a converged reference.

    Parameters
    ----------
    hexahedra : (n, 8, 3)
    most
        Largest n of the table, below ``MOST_POINTS``.
    poisson
        Poisson's ratio; the Error does not depend on Young's modulus.

    Returns
    -------
    errors : (n, most), never below ``FLOOR``
    doubt : (n,), Error between the last two rules of the walk: below ``CONVERGED`` but for elements so nearly folded
        that ``MOST_POINTS`` points per axis are too few

    Examples
    --------
    >>> import femnn
    >>> from femnn.integration import error_table
    >>> errors, doubt = error_table(femnn.distorted_hexahedra(3, 0.2, seed=0), most=6)
    >>> errors.shape, bool((errors[:, 5] < 1e-3 * errors[:, 1]).all())
    ((3, 6), True)
    """
    errors, _, doubt = errors_and_reference(hexahedra, most, poisson)
    return errors, doubt


@checked(hexahedra="n 8 3", poisson="(-1, 0.5)")
def converged_stiffness(hexahedra: np.ndarray, poisson: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Stiffness for young=1, integrated until successive rules agree.

    Returns
    -------
    stiffness : (n, 24, 24)
    doubt : (n,), as in :func:`error_table`

    Examples
    --------
    >>> import femnn
    >>> from femnn.integration import converged_stiffness
    >>> stiffness, doubt = converged_stiffness(femnn.distorted_hexahedra(3, 0.2, seed=0))
    >>> stiffness.shape, bool(doubt.max() < 1e-10)
    ((3, 24, 24), True)
    """
    _, references, doubt = errors_and_reference(hexahedra, 1, poisson)
    return references, doubt


def errors_and_reference(hexahedra, most, poisson=0.3):
    """Errors (n, most), stiffness (n, 24, 24) and doubt (n,): :func:`error_table` and :func:`converged_stiffness` in
    one walk."""
    require_valid(hexahedra)
    x, size = in_own_units(hexahedra)
    lmbda, mu = lame_parameters(1.0, poisson)
    errors, references, doubt = np.empty((len(x), most)), np.empty((len(x), 24, 24)), np.empty(len(x))
    points, weights, starts = _all_rules()
    _walk(x, points, weights, starts, lmbda, mu, errors, references, doubt)
    return errors, size[:, None, None] * references, doubt


@checked(errors="n m", tolerance="(0, inf)")
def smallest_points(errors: np.ndarray, tolerance: float) -> np.ndarray:
    """Smallest n per axis whose Error is below ``tolerance``, shape (n,), from a table of :func:`error_table`.

    Elements for which no n of the table is enough get one more than its largest n.

    Examples
    --------
    >>> import numpy as np
    >>> from femnn.integration import smallest_points
    >>> errors = np.array([[0.9, 1e-2, 1e-4], [2.0, 0.3, 2e-2]])
    >>> smallest_points(errors, 1e-3)
    array([3, 4])
    """
    meets = errors < tolerance
    return np.where(meets.any(axis=1), meets.argmax(axis=1) + 1, errors.shape[1] + 1)
