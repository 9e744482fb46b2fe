"""Terms that an equation of second order may have, and the weak form by which their coefficients are found."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy.signal import savgol_coeffs
from scipy.sparse import csr_array

from femnn.checks import checked, integer
from femnn.exceptions import DatasetError

# Degree of the local polynomials that smooth a series and give its first derivative.
_SMOOTHING = 4

# Test functions are (1 - s²)^p, whose second derivative vanishes at both ends.
_POWER = 6

# Share of the range by which a series has to leave its middle before it can pass it again.
_MARGIN = 0.15

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Library:
    """Products z^i z'^j of a coordinate and its velocity, i + j up to a degree, and their sines.

    Parameters
    ----------
    degree
        Of the polynomials, the constant included.
    sine
        Whether sin z and sin z' are among the terms.

    Examples
    --------
    >>> Library(2).terms
    ('1', 'z', "z'", 'z²', "z z'", "z'²", 'sin z', "sin z'")
    """

    degree: int = 4
    sine: bool = True

    def __post_init__(self) -> None:
        integer("degree", self.degree, at_least=0, at_most=9)

    @cached_property
    def powers(self) -> tuple[tuple[int, int], ...]:
        """Exponents of z and z' of the polynomial terms."""
        return tuple((n - j, j) for n in range(self.degree + 1) for j in range(n + 1))

    @cached_property
    def terms(self) -> tuple[str, ...]:
        """The terms in words."""
        sines = ("sin z", "sin z'") if self.sine else ()
        return tuple(" ".join(filter(None, (_power("z", i), _power("z'", j)))) or "1" for i, j in self.powers) + sines

    @checked(z="any", velocity="any")
    def values(self, z: ArrayLike, velocity: ArrayLike) -> np.ndarray:
        """Terms (..., number) of coordinates and velocities of one shape (...)."""
        z, velocity = np.asarray(z, dtype=float), np.asarray(velocity, dtype=float)
        columns = [z**i * velocity**j for i, j in self.powers]
        return np.stack(columns + ([np.sin(z), np.sin(velocity)] if self.sine else []), axis=-1)

    @checked(z="any", velocity="any")
    def slopes(self, z: ArrayLike, velocity: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Derivatives (..., number) of the terms in z and in z'."""
        z, velocity = np.asarray(z, dtype=float), np.asarray(velocity, dtype=float)
        zero = np.zeros_like(z)
        by_z = [i * z ** max(i - 1, 0) * velocity**j for i, j in self.powers]
        by_velocity = [j * z**i * velocity ** max(j - 1, 0) for i, j in self.powers]
        if self.sine:
            by_z, by_velocity = [*by_z, np.cos(z), zero], [*by_velocity, zero, np.cos(velocity)]
        return np.stack(by_z, axis=-1), np.stack(by_velocity, axis=-1)


def _power(name, exponent):
    return "" if exponent == 0 else name if exponent == 1 else name + str(exponent).translate(_SUPERSCRIPTS)


@dataclass(frozen=True)
class WeakForm:
    """Derivatives without differences: z'' = f(z, z') is multiplied by test functions ψ and integrated by parts.

    ∫ ψ'' z dt = ∫ ψ f(z, z') dt for every ψ that vanishes with its slope at both ends of its interval, so that noise in
    z is averaged and never differentiated twice. Where f needs z' it is the slope of a polynomial of degree 4, fitted
    to the same interval by least squares (A. Savitzky, M. J. E. Golay, Analytical Chemistry 36 (1964) 1627-1639). The
    test functions are (1 - s²)⁶ (D. A. Messenger, D. M. Bortz, J. Comput. Phys. 443 (2021) 110525).

    Parameters
    ----------
    half
        Half the length of an interval, in steps.
    dt
        A step (s).
    stride
        Steps between the centres of intervals.

    Examples
    --------
    >>> WeakForm(10, 0.1).test.shape
    (21,)
    """

    half: int
    dt: float
    stride: int = 1

    @classmethod
    @checked(series="unchecked", dt="(0, inf)")
    def of(cls, series: Sequence[np.ndarray], dt: float) -> "WeakForm":
        """Intervals a quarter as long as the quickest swing, 9 frames at least.

        Raises
        ------
        DatasetError
            If no series holds a period: it must come back through its middle in the same sense.
        """
        period = dt * shortest_period(series)
        half = max(4, round(0.125 * period / dt))
        return cls(half, dt, max(1, half // 4))

    @cached_property
    def test(self) -> np.ndarray:
        """ψ at the frames of an interval, times the step, (2 half + 1,)."""
        s = np.arange(-self.half, self.half + 1) / (self.half + 0.0)
        return self.dt * (1.0 - s**2) ** _POWER

    @cached_property
    def curvature(self) -> np.ndarray:
        """ψ'' at the frames, times the step, (2 half + 1,): exact for polynomials of degree 2 in z."""
        s = np.arange(-self.half, self.half + 1) / (self.half + 0.0)
        p, one = _POWER, 1.0 - s**2
        second = -2.0 * p * one ** (p - 1) + 4.0 * p * (p - 1) * s**2 * one ** (p - 2)
        second -= second.mean()
        # a parabola has the second derivative 2, whatever the sum in place of the integral
        return second * (2.0 * self.test.sum() / (second @ (s * self.half * self.dt) ** 2))

    def smoothed(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Series (n, ...) and their velocities, both by local polynomials, (n - 2 half, ...)."""
        length = 2 * self.half + 1
        smooth, slope = (savgol_coeffs(length, _SMOOTHING, deriv=d, delta=self.dt, use="dot") for d in (0, 1))
        return _windowed(z, smooth, 1), _windowed(z, slope, 1)

    def integrals(self, values: np.ndarray) -> np.ndarray:
        """∫ ψ f dt of series (n, ...), one row an interval."""
        return _windowed(values, self.test, self.stride)

    def accelerations(self, z: np.ndarray) -> np.ndarray:
        """∫ ψ'' z dt of series (n, ...), one row an interval."""
        return _windowed(z, self.curvature, self.stride)


def _windowed(values, kernel, stride):
    """Sums of series (n, ...) over windows of the length of a kernel."""
    count, length = (len(values) - len(kernel)) // stride + 1, len(kernel)
    places = stride * np.arange(count)[:, None] + np.arange(length)
    shape, starts = (count, len(values)), length * np.arange(count + 1)
    band = csr_array((np.tile(kernel, count), places.ravel(), starts), shape=shape)
    return (band @ values.reshape(len(values), -1)).reshape(count, *values.shape[1:])


def shortest_period(series: Sequence[np.ndarray]) -> float:
    """Frames of a period: between two passages through the middle in one sense, the least of all series.

    Where no series has two such passages, twice the time between two in different senses counts, if the series is as
    long as that.

    Raises
    ------
    DatasetError
        If no series holds a period.

    Examples
    --------
    >>> shortest_period([np.sin(2 * np.pi * np.arange(100) / 20.0)])
    20.0
    """
    periods, guesses = [], []
    for z in series:
        middle, margin = 0.5 * (z.min() + z.max()), _MARGIN * (z.max() - z.min())
        # noise crosses the middle many times: only those passages count that go from well below it to well above
        sides = np.where(z > middle + margin, 1, np.where(z < middle - margin, -1, 0))
        clear = np.flatnonzero(sides)
        passed, up = (clear[1:][change] for change in (np.diff(sides[clear]) != 0, np.diff(sides[clear]) > 0))
        if len(up) > 1:
            periods.append(float(np.median(np.diff(up))))
        elif len(passed) > 1 and 2 * (passed[1] - passed[0]) <= len(z):
            guesses.append(2.0 * (passed[1] - passed[0]))
    periods = periods or guesses
    if not periods:
        longest = max(map(len, series))
        raise DatasetError(
            f"no clip holds a period: in {longest} frames none comes back to where it was; film "
            "longer, or with more frames a second if it swings faster than these show"
        )
    return min(periods)
