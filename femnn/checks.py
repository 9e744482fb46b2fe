"""Checks of arguments: a value of the right kind, or an error that names the argument and the value."""

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from femnn.exceptions import ParameterError


def positive(name: str, value: Any, zero: bool = False) -> float:
    """``value`` as a float; ParameterError unless it is finite and positive (or zero, where that is allowed)."""
    fits = isinstance(value, Real) and not isinstance(value, bool) and np.isfinite(float(value))
    if not fits or value < 0 or (value == 0 and not zero):
        raise ParameterError(f"{name}={value!r} is not allowed; it must be finite and {'>= 0' if zero else '> 0'}")
    return float(value)


def one_of(name: str, value: Any, choices: Sequence[str]) -> str:
    """``value`` if it is one of the ``choices``, such as "raise", "warn" and "skip"; ParameterError if it is not."""
    # an array would compare element by element
    if not isinstance(value, str) or value not in choices:
        raise ParameterError(f"{name}={value!r} is not allowed; pass {' or '.join(map(repr, choices))}")
    return value


def vector(values: ArrayLike, n: int, name: str) -> np.ndarray:
    """``values`` as a vector (n,) of floats; ParameterError if they are none or not finite."""
    try:
        result = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"{name} is no array of numbers: {error}") from error
    if result.shape != (n,):
        raise ParameterError(
            f"{name} has shape {result.shape}, expected is ({n},), one value for each degree of freedom"
        )
    if not np.isfinite(result).all():
        raise ParameterError(f"{name} is not finite at degree of freedom {np.flatnonzero(~np.isfinite(result))[0]}")
    return result
