"""Linear systems of a few unknowns, for which sparse solvers take longer to begin than dense ones to end."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse

from femnn.checks import brief, checked, vector
from femnn.exceptions import ParameterError, SingularMatrixError
from femnn.solvers.linear.degrees_of_freedom import prescribe


@checked(f="any", values="any")
def solve_dense(K: Any, f: ArrayLike, fixed: Any = None, values: ArrayLike = 0.0) -> np.ndarray:
    """Solution of K u = f with prescribed values: the ``solver`` of :func:`femnn.newton` for reduced problems.

    Parameters
    ----------
    K
        Sparse matrix (n, n) of a few unknowns; it need not be positive definite.
    f, fixed, values
        As in :func:`femnn.solve`.

    Raises
    ------
    SingularMatrixError
        If there is no unique solution.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> solve_dense(csr_array([[2.0, 0.0], [0.0, 4.0]]), [2.0, 2.0])
    array([1. , 0.5])
    """
    if not issparse(K) or K.ndim != 2 or K.shape[0] != K.shape[1]:
        raise ParameterError(f"K is {brief(K)}; pass a square sparse matrix")
    n = K.shape[0]
    f = vector(f, n, "f")
    solution, is_fixed = prescribe(n, fixed, values)
    dense = K.toarray()
    free = ~is_fixed
    try:
        solution[free] = np.linalg.solve(
            dense[np.ix_(free, free)], f[free] - dense[free][:, is_fixed] @ solution[is_fixed]
        )
    except np.linalg.LinAlgError as error:
        raise SingularMatrixError(
            "the reduced tangent is singular: a mode meets no resistance at the points of the cubature; take a smaller "
            "tol for it, or fewer modes",
            np.flatnonzero(free),
        ) from error
    return solution
