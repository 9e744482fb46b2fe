"""Checks of what users pass: a value of the right kind, or an error that names the argument and the value."""

from numbers import Real

import numpy as np

from femnn.exceptions import ParameterError


def positive(name, value, zero=False):
    """``value`` as a float; ParameterError unless it is finite and positive (or zero, where that is allowed)."""
    fits = isinstance(value, Real) and not isinstance(value, bool) and np.isfinite(value)
    if not fits or value < 0 or (value == 0 and not zero):
        raise ParameterError(f"{name}={value!r} is not allowed; it must be finite and {'>= 0' if zero else '> 0'}")
    return float(value)


def one_of(name, value, choices):
    """``value`` if it is one of the ``choices``, such as "raise", "warn" and "skip"; ParameterError if it is not."""
    # an array would compare element by element
    if not isinstance(value, str) or value not in choices:
        raise ParameterError(f"{name}={value!r} is not allowed; pass {' or '.join(map(repr, choices))}")
    return value


def vector(values, n, name):
    """What a user passed as a vector (n,), as floats; ParameterError if it is none."""
    try:
        found = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"{name} is no array of numbers: {error}") from error
    if found.shape != (n,):
        raise ParameterError(
            f"{name} has shape {found.shape}, expected is ({n},), one value for each degree of freedom"
        )
    if not np.isfinite(found).all():
        raise ParameterError(f"{name} is not finite at degree of freedom {np.flatnonzero(~np.isfinite(found))[0]}")
    return found
