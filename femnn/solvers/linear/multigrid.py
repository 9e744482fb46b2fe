"""Smoothed aggregation multigrid that knows the rigid-body modes, by pyamg."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from scipy.sparse import bsr_array, csr_array

# Nodes of the coarsest level, which is factored.
COARSEST = 700

# On meshes of flat elements pyamg's defaults take two to nine times the iterations. The modes need no improvement.
_FOR_FLAT_ELEMENTS = {
    "strength": ("evolution", {"epsilon": 4.0, "k": 2}),
    "smooth": ("energy", {"krylov": "cg", "maxiter": 4, "degree": 1}),
}


def multigrid(matrix: bsr_array | csr_array, modes: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A V-cycle, as a function from a residual (m,) to a correction (m,).

    Parameters
    ----------
    matrix : (m, m)
        In blocks of one node, symmetric positive definite.
    modes : (m, k)
        Near null space.

    Notes
    -----
    P. Vaněk, J. Mandel, M. Brezina, "Algebraic multigrid by smoothed aggregation for second and fourth order elliptic
    problems", Computing 56 (1996) 179-196.
    """
    from pyamg import smoothed_aggregation_solver

    with _seeded():
        levels = smoothed_aggregation_solver(
            matrix, B=modes, max_coarse=COARSEST, coarse_solver="splu", improve_candidates=None, **_FOR_FLAT_ELEMENTS
        )
        return levels.aspreconditioner().matvec


@contextmanager
def _seeded() -> Iterator[None]:
    """pyamg draws from NumPy's global generator: the same numbers each time, and none taken from its user."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
