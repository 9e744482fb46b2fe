"""What a well or load does when: values in intervals of time, nothing between them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import checked, floats
from femnn.exceptions import ParameterError


class Schedule:
    """Values that hold from one time to another, 0 outside: a function (x, t) for wells and loads.

    A step takes the value at its end, so a value holds after the start of its interval and up to its end. Steps that
    begin and end at :attr:`edges` carry exactly what is planned: give ``march`` these times among its own. A well whose
    pressure is a schedule is shut outside the intervals.

    Parameters
    ----------
    intervals
        (start, end, value) of each, s and whatever the value is of.

    Raises
    ------
    ParameterError
        If an interval does not end after it starts, or two overlap.

    Examples
    --------
    A year of injection, a year of rest, and half the rate:

    >>> year = 365.25 * 86400.0
    >>> rate = Schedule([(0.0, year, 1e-4), (2 * year, 3 * year, 5e-5)])
    >>> [rate(None, t * year) for t in (0.5, 1.0, 1.5, 2.5)]
    [0.0001, 0.0001, 0.0, 5e-05]
    >>> bool(np.isclose(rate.total(0.0, 10 * year), 1.5e-4 * year))
    True
    """

    @checked(intervals="unchecked")
    def __init__(self, intervals: Sequence[tuple[float, float, float]]) -> None:
        rows = floats("intervals", intervals)
        if rows.ndim != 2 or rows.shape[1] != 3:
            raise ParameterError(f"intervals have shape {rows.shape}; give (start, end, value) of each")
        rows = rows[np.argsort(rows[:, 0])]
        short = rows[rows[:, 1] <= rows[:, 0]]
        if len(short):
            raise ParameterError(f"an interval from {short[0, 0]:.6g} s to {short[0, 1]:.6g} s has no length")
        late = np.flatnonzero(rows[1:, 0] < rows[:-1, 1])
        if len(late):
            first, second = rows[late[0]], rows[late[0] + 1]
            raise ParameterError(
                f"the intervals from {first[0]:.6g} s to {first[1]:.6g} s and from {second[0]:.6g} s to "
                f"{second[1]:.6g} s overlap; give one value for each time"
            )
        self._starts, self._ends, self._values = rows.T.copy()

    def __repr__(self) -> str:
        rows = zip(self._starts, self._ends, self._values, strict=True)
        return f"Schedule({[tuple(map(float, row)) for row in rows]})"

    def __call__(self, x: Any, t: float) -> float:
        """Value at the time ``t``, the same at all places."""
        k = int(np.searchsorted(self._starts, t)) - 1
        return float(self._values[k]) if self.covers(t) else 0.0

    @checked()
    def covers(self, t: float) -> bool:
        """Whether ``t`` is in one of the intervals."""
        k = int(np.searchsorted(self._starts, t)) - 1
        return bool(k >= 0 and t <= self._ends[k])

    @property
    def edges(self) -> np.ndarray:
        """Times at which the value changes, ascending."""
        return np.unique(np.concatenate([self._starts, self._ends]))

    @checked()
    def total(self, start: float, end: float) -> float:
        """Integral over time from ``start`` to ``end``: the volume of a rate."""
        spans = np.minimum(self._ends, end) - np.maximum(self._starts, start)
        return float(np.maximum(spans, 0.0) @ self._values)

    @checked(times="n")
    def within(self, times: ArrayLike) -> np.ndarray:
        """``times`` (n,) with the :attr:`edges` between the first and the last of them put in, for ``march``."""
        times = np.asarray(times, dtype=float)
        inner = self.edges[(self.edges > times.min()) & (self.edges < times.max())] if len(times) else self.edges[:0]
        return np.unique(np.concatenate([times, inner]))
