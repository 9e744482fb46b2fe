"""Checks of arguments: a value of the right kind, or an error that names the argument and the value."""

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

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


def shaped(name: str, values: Any, shape: tuple[int, ...], of_what: str = "") -> np.ndarray:
    """``values`` as a contiguous float array of ``shape``, finite or not; ParameterError if they are no such array.

    Every array that a user passes to a compiled kernel goes through here or through a stricter check: a kernel reads
    beyond an array that is too short.
    """
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"its numbers are of type {array.dtype}")
        array = np.ascontiguousarray(array, dtype=float).reshape(array.shape)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ParameterError(f"{name} is no array of numbers: {error}") from error
    if array.shape != tuple(shape):
        raise ParameterError(f"{name} has shape {array.shape}, expected is {tuple(shape)}{of_what and ', ' + of_what}")
    return array


def vector(values: Any, n: int, name: str) -> np.ndarray:
    """``values`` as a vector (n,) of finite floats; ParameterError if they are no such vector."""
    array = shaped(name, values, (n,), "one value for each degree of freedom")
    if not np.isfinite(array).all():
        raise ParameterError(f"{name} is not finite at degree of freedom {np.flatnonzero(~np.isfinite(array))[0]}")
    return array
