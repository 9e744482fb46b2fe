"""Fields at the integration points of interfaces as one value for each facet."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import brief, floats
from femnn.exceptions import ParameterError


def facet_means(dx: np.ndarray, name: str, values: ArrayLike) -> np.ndarray:
    """Means of a field over each facet, weighted by area: (n,) or (n, k).

    Parameters
    ----------
    dx : (n, nqp)
        Area that belongs to each point.
    name
        Of the field, for the error.
    values
        (n · nqp,) or (n · nqp, k), as laws give them, or (n, nqp) or (n, nqp, k), as
        :meth:`femnn.CohesiveProblem.damage` does.

    Raises
    ------
    ParameterError
        If the field has another shape.
    """
    array = floats(f"the field {name}", values, finite=False)
    flat = array.shape[:1] == (dx.size,) and array.ndim <= 2
    if not flat and not (array.shape[:2] == dx.shape and array.ndim <= 3):
        n, nqp = dx.shape
        raise ParameterError(
            f"the field {name} has shape {array.shape}; pass a row for each of {dx.size} points, ({dx.size},) or "
            f"({dx.size}, k), or for the points of each of {n} facets, ({n}, {nqp}) or ({n}, {nqp}, k)"
        )
    weights = dx / dx.sum(axis=1, keepdims=True)
    return np.einsum("nq,nq...->n...", weights, array.reshape(*dx.shape, *array.shape[1 if flat else 2 :]))


def require_points(what: str, elements: Any) -> None:
    """Raise ParameterError unless ``elements`` are those of an interface, with facets and points of their own."""
    if not hasattr(elements, "interface") or not hasattr(elements, "dx") or not hasattr(elements, "separation"):
        raise ParameterError(f"{what} is {brief(elements)}; pass femnn.InterfaceElements or InterfaceBases")
