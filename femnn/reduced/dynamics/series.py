"""Series of coefficients: checks, windows of them, what is held out, and their scales."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import brief, checked, floats
from femnn.exceptions import DatasetError, ParameterError

#: How windows are held out for validation: the end of each series, or a part of each stretch of it.
HOLD_OUT = ("last", "scattered")

_SHARE, _MOST_STRETCHES = 0.2, 5

# Steps may differ by this share of their mean before they count as unequal.
_EVEN = 1e-4


@checked(times="m")
def require_equal_steps(times: ArrayLike) -> float:
    """The step of equally spaced ``times`` (m,); DatasetError where a step is another one.

    >>> require_equal_steps([0.0, 0.5, 1.0])
    0.5
    """
    times = np.asarray(times, dtype=float)
    if len(times) < 2:
        raise DatasetError(f"{len(times)} times have no step; pass two or more")
    steps = np.diff(times)
    # the commonest step, so that a gap is what stands out
    usual = float(np.median(steps))
    wrong = np.flatnonzero(~(np.abs(steps - usual) <= _EVEN * abs(usual)))
    if not usual > 0.0 or len(wrong):
        k = int(wrong[0]) if len(wrong) else 0
        raise DatasetError(
            f"the steps are not equal: from snapshot {k} to {k + 1} time goes from {times[k]:.6g} to "
            f"{times[k + 1]:.6g}, elsewhere by {usual:.6g} ({len(wrong)} such places); cut the series at its gaps and "
            "pass the pieces as a list, or interpolate to equal steps"
        )
    return float((times[-1] - times[0]) / (len(times) - 1))


def as_series(series: ArrayLike | Sequence[ArrayLike], fewest: int = 1, columns: int | None = None) -> list[np.ndarray]:
    """One series (m, n), or several of them, as a list of arrays.

    Parameters
    ----------
    series
        A row for each time; a vector is a series of one coefficient.
    fewest
        Rows that a series must have.
    columns
        Coefficients that it must have; None takes any.

    Raises
    ------
    DatasetError
        If a series is too short, has gaps (NaN) or other columns than the first.
    """
    is_list = isinstance(series, list | tuple) and len(series) > 0 and all(np.ndim(part) > 0 for part in series)
    parts = list(series) if is_list and np.ndim(series[0]) == 2 else [series]  # type: ignore[index, arg-type]
    checked_parts = []
    for k, part in enumerate(parts):
        array = floats(f"series {k}", part, finite=False)
        array = array[:, None] if array.ndim == 1 else array
        if array.ndim != 2 or 0 in array.shape[1:]:
            raise ParameterError(f"series {k} is {brief(part)}; pass (times, coefficients)")
        columns = array.shape[1] if columns is None else columns
        if array.shape[1] != columns:
            raise DatasetError(
                f"series {k} has {array.shape[1]} coefficients, {columns} are needed; project all snapshots on the "
                "same modes"
            )
        bad = np.argwhere(~np.isfinite(array))
        if len(bad):
            raise DatasetError(
                f"series {k} has a gap: coefficient {bad[0][1]} is {array[tuple(bad[0])]} at time {bad[0][0]}; cut it "
                "there and pass the pieces as a list"
            )
        if len(array) < fewest:
            raise DatasetError(
                f"series {k} has {len(array)} times, at least {fewest} are needed; take more snapshots or a smaller "
                "window"
            )
        checked_parts.append(array)
    return checked_parts


def as_parameters(parameters: ArrayLike | None, count: int) -> np.ndarray:
    """Parameters (``count``, k) of as many series: a row, or a number, for each; k is 0 for None."""
    if parameters is None:
        return np.zeros((count, 0))
    array = floats("parameters", parameters)
    array = array.reshape(count, -1) if array.ndim < 2 and array.size == count else np.atleast_2d(array)
    if len(array) != count or array.ndim != 2:
        raise ParameterError(f"parameters have shape {array.shape}; pass a row for each of the {count} series")
    return array


def as_window(window: int | Sequence[int]) -> tuple[int, int]:
    """Rows that go in and that come out: the halves of a window, or the two numbers as they are given."""
    if np.ndim(window) == 0:
        size = int(window)  # type: ignore[arg-type]
        if size < 2:
            raise ParameterError(f"window={window} is not allowed; pass an integer of at least 2, or (inputs, outputs)")
        return size // 2, size - size // 2
    pair = tuple(int(size) for size in window)  # type: ignore[union-attr]
    if len(pair) != 2 or min(pair) < 1:
        raise ParameterError(f"window={brief(window)} is not allowed; pass (inputs, outputs), both of at least 1")
    return pair  # type: ignore[return-value]


@dataclass(frozen=True, eq=False)
class Windows:
    """All windows of some series.

    Attributes
    ----------
    inputs : (m, p, n)
        Coefficients that go in.
    outputs : (m, q, n)
        Those that follow.
    parameters : (m, k)
        Of the series that each is of.
    held_out : (m,) bool
        Windows to choose settings by.
    """

    inputs: np.ndarray
    outputs: np.ndarray
    parameters: np.ndarray
    held_out: np.ndarray

    @classmethod
    def of(
        cls,
        series: Sequence[np.ndarray],
        window: tuple[int, int],
        parameters: np.ndarray,
        hold_out: str = "last",
    ) -> "Windows":
        """The windows of ``series``, without those that lie in the trained part and in the held-out one as well."""
        inputs, outputs, owners, held = [], [], [], []
        p, q = window
        for k, part in enumerate(series):
            views = np.lib.stride_tricks.sliding_window_view(part, p + q, axis=0).transpose(0, 2, 1)
            place = _places(len(part), p + q, hold_out)
            # a window belongs to a set if its first and last row do, and all between them
            firsts = np.lib.stride_tricks.sliding_window_view(place, p + q)
            whole = firsts.min(axis=1) == firsts.max(axis=1)
            inputs.append(views[whole, :p])
            outputs.append(views[whole, p:])
            owners.append(np.full(int(whole.sum()), k))
            held.append(firsts[whole, 0])
        held_out, owner = np.concatenate(held).astype(bool), np.concatenate(owners)
        if held_out.all() or not held_out.any():
            raise DatasetError(
                f"series of {', '.join(str(len(part)) for part in series[:5])} times leave no windows of {p + q} for "
                "training and validation both; take more snapshots or a smaller window"
            )
        return cls(np.concatenate(inputs), np.concatenate(outputs), parameters[owner], held_out)

    def part(self, held_out: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Inputs, outputs and parameters of the held-out windows, or of the others."""
        rows = self.held_out if held_out else ~self.held_out
        return self.inputs[rows], self.outputs[rows], self.parameters[rows]


def fewest_rows(window: tuple[int, int]) -> int:
    """Rows that a series needs so that a window of it can be held out and others be trained on."""
    return int(np.ceil(sum(window) / _SHARE)) + 1


def _places(rows: int, window: int, hold_out: str) -> np.ndarray:
    """1 for each row that is held out, 0 for the others, (rows,)."""
    place = np.zeros(rows, dtype=int)
    if hold_out == "last":
        place[rows - round(_SHARE * rows) :] = 1
        return place
    # the middles of stretches of equal length, each long enough for some windows; neither end is held out
    count = min(_MOST_STRETCHES, max(1, int(_SHARE * rows / (2 * window))))
    length = rows / count
    for k in range(count):
        middle, half = (k + 0.5) * length, 0.5 * _SHARE * length
        place[round(middle - half) : round(middle + half)] = 1
    return place


@dataclass(frozen=True, eq=False)
class Scales:
    """What coefficients and parameters are measured by.

    Attributes
    ----------
    mean, deviation : (n,)
        Of the coefficients; the deviation of one that does not change is 0.
    parameter_mean, parameter_deviation : (k,)
    """

    mean: np.ndarray
    deviation: np.ndarray
    parameter_mean: np.ndarray
    parameter_deviation: np.ndarray

    @classmethod
    def of(cls, series: Sequence[np.ndarray], parameters: np.ndarray) -> "Scales":
        """Of all rows of ``series``; DatasetError if nothing changes."""
        rows = np.concatenate(list(series))
        mean, deviation = rows.mean(axis=0), rows.std(axis=0)
        deviation = np.where(deviation > 1e-12 * np.abs(rows).max(initial=0.0), deviation, 0.0)
        if not deviation.any():
            raise DatasetError(
                f"all {rows.shape[1]} coefficients are constant: there is nothing to predict; take snapshots that "
                "change, or leave the mean in them"
            )
        parts = parameters.mean(axis=0), parameters.std(axis=0)
        return cls(mean, deviation, *parts)

    def scaled(self, rows: np.ndarray) -> np.ndarray:
        """Coefficients (..., n) less their mean, over their deviation; 0 for one that is constant."""
        return (rows - self.mean) * reciprocal(self.deviation)

    def scaled_parameters(self, rows: np.ndarray) -> np.ndarray:
        """Parameters (..., k) in the same way."""
        return (rows - self.parameter_mean) * reciprocal(self.parameter_deviation)


def reciprocal(values: np.ndarray) -> np.ndarray:
    """1 / values, and 0 where they are 0."""
    return np.divide(1.0, values, out=np.zeros_like(values), where=values > 0.0)
