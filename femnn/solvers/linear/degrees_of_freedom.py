"""Degrees of freedom as users name them, and as messages do."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import floats, integer, numbers
from femnn.exceptions import ParameterError


def prescribe(n: int, fixed: Any, values: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Prescribed values of ``n`` degrees of freedom, from ``fixed`` and ``values`` as :func:`femnn.solve` takes them.

    Returns
    -------
    prescribed : (n,) float64
        The values, 0 where free.
    is_fixed : (n,) bool

    Raises
    ------
    ParameterError

    Examples
    --------
    >>> from femnn.solvers.linear import prescribe
    >>> prescribe(4, [0, 3], [0.0, 1.5])
    (array([0. , 0. , 0. , 1.5]), array([ True, False, False,  True]))
    """
    n = integer("n", n, at_least=0)
    dofs = np.zeros(0, dtype=np.int64) if fixed is None else numbers("`fixed`", fixed)
    if dofs.dtype == bool and dofs.shape == (n,):
        dofs = np.flatnonzero(dofs)
    dofs = dofs.ravel()
    if dofs.size and not np.issubdtype(dofs.dtype, np.integer):
        raise ParameterError(
            f"`fixed` holds {dofs.dtype} values; pass degrees of freedom (integers), a mask of length {n}, or "
            "basis.get_dofs(...)"
        )
    dofs = dofs.astype(np.int64)
    outside = dofs[(dofs < 0) | (dofs >= n)]
    if len(outside):
        raise ParameterError(f"`fixed` names the degree of freedom {outside[0]}, there are 0 to {n - 1}")
    is_fixed = np.zeros(n, dtype=bool)
    is_fixed[dofs] = True
    prescribed = np.zeros(n)
    wanted = _values_at(dofs, values, n)
    prescribed[dofs] = wanted
    if (prescribed[dofs] != wanted).any():
        raise ParameterError("`fixed` names a degree of freedom twice, with two values; leave one out")
    return prescribed, is_fixed


def _values_at(dofs, values, n):
    values = floats("`values`", values, finite=False)
    if values.shape not in ((), (len(dofs),), (n,)):
        raise ParameterError(
            f"`values` have shape {values.shape}; pass one number, one for each of the {len(dofs)} fixed degrees of "
            f"freedom, or a vector of all {n}"
        )
    at = values[dofs] if values.shape == (n,) != (len(dofs),) else np.broadcast_to(values, len(dofs))
    if not np.isfinite(at).all():
        raise ParameterError(f"degree of freedom {dofs[~np.isfinite(at)][0]} is prescribed a value that is not finite")
    return at


def named(dofs: np.ndarray, most: int = 8) -> str:
    """Degrees of freedom in words, the first few of many."""
    listed = ", ".join(map(str, dofs[:most]))
    if len(dofs) == 1:
        return f"degree of freedom {listed}"
    return f"{len(dofs)} degrees of freedom ({listed}{', ...' if len(dofs) > most else ''})"
