"""Solution by factors, refined; and the memory that factors will need, before it is taken."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array, diags_array
from scipy.sparse.csgraph import reverse_cuthill_mckee
from scipy.sparse.linalg import SuperLU, splu

from femnn.solvers.linear.block_rows import BlockRows
from femnn.solvers.linear.singularity import check_held, explain_factors, free_motion, raise_singular
from femnn.solvers.linear.system import Operator

# Of a factored solution: each gains several digits, or none.
_REFINEMENTS = 3

# Entries of the factors of n degrees of freedom over n^1.5: cubes of 6³ to 18³ trilinear elements have 6.9 to 8.5,
# slender and thin bodies fewer.
_FILL = 10.0

# Entries over twice the profile: minimum degree has up to 1.2 of it in slender bodies.
_OVER_PROFILE = 1.3

# Bytes an entry: value and index, and the copy while SuperLU makes room.
_BYTES = 24

# Powers of two between the largest and the smallest unit of the unknowns, up to which they are left as they are.
_ONE_SIZE = 2


class Factorisation:
    """Factors of a matrix, kept for any number of loads.

    Parameters
    ----------
    operator
    modes, components
        See :func:`femnn.solvers.linear.near_null_space.near_null_space`; what is not held is told by them.

    Raises
    ------
    SingularMatrixError
        With the degrees of freedom that can move freely.
    MemoryError
        If the factors do not fit.
    """

    def __init__(self, operator: Operator, modes: np.ndarray, components: int) -> None:
        self._operator, self._modes, self._components = operator, modes, components
        self._matrix = operator.condensed()
        self._columns = self._matrix.tocsc()
        self._ways = _ways_to_factor(operator)
        self._factors: SuperLU | None = None
        self._is_checked = False
        if not self._next():
            self._check_motions()

    def solve(self, b: np.ndarray, rtol: float) -> tuple[np.ndarray, list[float]]:
        """Solution (m,) for a right side, and its relative residual after each refinement.

        Raises
        ------
        SingularMatrixError
            If there is a motion without force.
        """
        solution, residuals = _refined(self._matrix, self._factors, b, rtol)
        while residuals[-1] > rtol and self._next():
            solution, residuals = _refined(self._matrix, self._factors, b, rtol)
        if not self._is_checked:
            self._check_motions()
        return solution, residuals

    def _next(self):
        """Factor in the next way; False if there is none, or an exact zero stands in the way of the last."""
        for options in self._ways:
            self._factors = _factors(self._columns, options)
            if self._factors is not None:
                self._is_checked = False
                return True
        return False

    def _check_motions(self):
        """Raise if something can move without a force, as the factors or their failure show."""
        operator = self._operator
        motion = None if self._factors is None else free_motion(self._matrix, self._factors.solve)
        if motion is None or motion.any():
            if operator.is_positive:
                check_held(operator, BlockRows.of(operator.matrix, self._components), self._modes)
            modes = self._modes[operator.free]
            if motion is None:
                explain_factors(self._matrix, operator.free, modes)
            raise_singular(operator.free, motion, modes)
        self._is_checked = True


def memory_of_factors(matrix: csr_array) -> int:
    """Bytes that the factors of a symmetric matrix (m, m) of a mesh need at most, as far as measured."""
    order = reverse_cuthill_mckee(matrix, symmetric_mode=True)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    # no row is empty: an empty one is singular
    first = np.minimum.reduceat(place[matrix.indices], matrix.indptr[:-1])
    profile = (place - first + 1).clip(min=1).sum()
    return int(_BYTES * min(_FILL * len(order) ** 1.5, _OVER_PROFILE * 2.0 * profile))


def _ways_to_factor(operator: Operator) -> Iterator[dict]:
    if operator.is_symmetric and operator.is_positive:
        # positive definite as a rule: no pivoting, so that the ordering keeps a quarter of the time and memory
        yield {"permc_spec": "MMD_AT_PLUS_A", "diag_pivot_thresh": 0.0, "options": {"SymmetricMode": True}}
    yield {}


class _InUnits(NamedTuple):
    """Factors of a matrix whose unknowns were brought to units of their own."""

    factors: SuperLU
    units: np.ndarray

    def solve(self, b: np.ndarray) -> np.ndarray:
        """The matrix' inverse times a vector."""
        return self.units * self.factors.solve(self.units * b)


def _units_of(columns):
    """Powers of two (m,) that bring the diagonal near one; None where it is of one size anyway."""
    diagonal = np.abs(columns.diagonal())
    exponents = np.frexp(diagonal)[1] // 2
    if not diagonal.all() or np.ptp(exponents) <= _ONE_SIZE:
        return None
    return np.ldexp(1.0, -exponents)


def _factors(columns, options):
    # pivots are chosen by size, and a motion without force is told by it: units must not decide
    units = _units_of(columns)
    if units is not None:
        scale = diags_array(units)
        columns = (scale @ columns @ scale).tocsc()
    try:
        factors = splu(columns, **options)
        return factors if units is None else _InUnits(factors, units)
    except RuntimeError:  # an exact zero for a pivot
        return None
    except MemoryError:
        raise MemoryError(
            f"the factors of {columns.shape[0]:,} degrees of freedom do not fit into memory; pass method='pyamg', or "
            "look at pypardiso and petsc4py"
        ) from None


def _refined(matrix, factors, b, rtol):
    """The solution of least residual among those that refinement gives, and the residuals."""
    scale = np.linalg.norm(b) or 1.0
    x, residuals = factors.solve(b), []
    best, least = x, np.inf
    for _ in range(_REFINEMENTS + 1):
        missed = b - matrix @ x
        residuals.append(float(np.linalg.norm(missed) / scale))
        if residuals[-1] < least:
            best, least = x, residuals[-1]
        if residuals[-1] <= rtol or len(residuals) > _REFINEMENTS or not np.isfinite(residuals[-1]):
            break
        x = x + factors.solve(missed)
    return best, residuals
