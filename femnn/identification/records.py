"""Records of an oscillation: checks of what was measured, and the frequency that is strongest in it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import checked
from femnn.exceptions import ParameterError

#: Fewest values of a record.
FEWEST = 12

# Frequencies that are tried are so many per one over the length of the record, from a fourth of that to where a period
# has this many values.
_PER_LENGTH, _LOWEST, _VALUES_EACH = 5, 0.25, 4.0

# Periods that a record must hold: a little less than one, since damping blurs what a period is.
_PERIODS = 0.95

# Share of the variance that one frequency must explain: noise alone has about 2 log(n)/n.
_SHARE = 0.3

# Spread over size, from which on a record is more than rounding.
_ROUNDING = 1e-12

# Differences of time steps, over the step, that are rounding of what a file or np.arange gives.
_EQUAL = 1e-6

# Values of one block of frequencies times times.
_BLOCK = 2_000_000


@dataclass(frozen=True)
class Oscillation:
    """The strongest frequency of a record.

    Attributes
    ----------
    frequency : float
        ω, rad/s.
    mean, amplitude, phase : float
        Of mean + amplitude cos(ω (t - t₀) + phase).
    share : float
        Of the variance, that it explains.
    periods : float
        That the record holds.
    decay : float
        Rate (1/s) at which the amplitude falls, from the first half of the record to the second; 0 where it does not.

    Examples
    --------
    >>> t = np.linspace(0.0, 20.0, 400)
    >>> found = oscillation(t, np.exp(-0.05 * t) * np.cos(2.0 * t))
    >>> round(found.frequency, 2), round(found.decay, 2)
    (2.0, 0.05)
    """

    frequency: float
    mean: float
    amplitude: float
    phase: float
    share: float
    periods: float
    decay: float


@checked(t="n", values="n")
def require_record(t: ArrayLike, values: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Times and values (n,) of a record, as floats; they need not be of equal steps.

    Raises
    ------
    ParameterError
        If they are of unlike lengths, too few, not finite, times do not ascend, or all values are alike.
    """
    t, values = np.asarray(t, dtype=float), np.asarray(values, dtype=float)
    if len(t) < FEWEST:
        raise ParameterError(f"the record has {len(t)} values; pass {FEWEST} at least, over more than one period")
    falls = np.flatnonzero(np.diff(t) <= 0.0)
    if len(falls):
        k = int(falls[0]) + 1
        raise ParameterError(
            f"times do not ascend: {t[k]:.6g} s at place {k} follows on {t[k - 1]:.6g} s; sort the record, and "
            "leave out what was measured twice"
        )
    spread = float(np.ptp(values))
    if spread <= _ROUNDING * max(float(np.abs(values).max()), np.finfo(float).tiny):
        raise ParameterError(
            f"the record is constant: all {len(values)} values are {values[0]:.6g}; nothing moves that parameters "
            "could be found from"
        )
    return t, values


@checked(t="n")
def require_equal_times(t: ArrayLike, what: str = "derivatives") -> float:
    """The step (s) of equal times (n,).

    Raises
    ------
    ParameterError
        If steps are unequal.
    """
    steps = np.diff(np.asarray(t, dtype=float))
    step = float(np.mean(steps))
    if np.abs(steps - step).max() > _EQUAL * step:
        raise ParameterError(
            f"the time steps are from {steps.min():.6g} to {steps.max():.6g} s, and {what} need equal ones; "
            "resample the record, or use identify_swing, which takes any steps"
        )
    return step


def oscillation(t: ArrayLike, values: ArrayLike) -> Oscillation:
    """The frequency of which a wave about a mean leaves the least of a record, which may have unequal steps.

    Raises
    ------
    ParameterError
        As :func:`require_record`; also if the record does not hold a period, or no frequency stands out.

    Examples
    --------
    >>> t = np.linspace(0.0, 10.0, 200)
    >>> found = oscillation(t, 0.2 + np.cos(3.0 * t))
    >>> round(found.frequency, 2), round(found.mean, 2), round(found.periods, 1)
    (3.0, 0.2, 4.8)
    """
    t, values = require_record(t, values)
    begin, length = t[0], t[-1] - t[0]
    highest = max(len(t) / (_VALUES_EACH * length), 2.0 / length)
    cycles = np.arange(_LOWEST / length, highest, 1.0 / (_PER_LENGTH * length))
    left, _ = _waves(t - begin, values, 2.0 * np.pi * cycles)
    near = cycles[int(np.argmin(left))]
    # refined within a step of the grid
    fine = np.linspace(max(near - 1.0 / (_PER_LENGTH * length), 0.2 * near), near + 1.0 / (_PER_LENGTH * length), 41)
    left, factors = _waves(t - begin, values, 2.0 * np.pi * fine)
    best = int(np.argmin(left))
    frequency, (mean, cosine, sine) = float(2.0 * np.pi * fine[best]), factors[best]
    share = 1.0 - left[best] / float(np.sum((values - values.mean()) ** 2))
    periods = frequency * length / (2.0 * np.pi)
    if periods < _PERIODS:
        raise ParameterError(
            f"the record of {length:.4g} s is too short: it holds {periods:.2f} of a period of "
            f"{2 * np.pi / frequency:.4g} s; measure one period at least, better five"
        )
    if share < _SHARE:
        raise ParameterError(
            f"no oscillation stands out of the record: the strongest, of {frequency:.4g} rad/s, explains "
            f"{share:.0%} of its variance; measure with less noise, or a motion that swings"
        )
    amplitude, phase = float(np.hypot(cosine, sine)), float(np.arctan2(-sine, cosine))
    decay = _decay(t - begin, values, frequency) if periods >= 2.0 else 0.0
    return Oscillation(frequency, float(mean), amplitude, phase, float(share), float(periods), decay)


def _decay(t, values, frequency):
    """Rate at which the amplitude falls between the halves of a record."""
    first = t <= 0.5 * t[-1]
    if min(first.sum(), (~first).sum()) < FEWEST // 2:
        return 0.0
    sizes = [np.hypot(*_waves(t[half], values[half], np.array([frequency]))[1][0, 1:]) for half in (first, ~first)]
    return max(float(np.log(sizes[0] / max(sizes[1], 1e-3 * sizes[0])) / (0.5 * t[-1])), 0.0)


def _waves(t, values, frequencies):
    """Squares that a mean and a wave of each frequency leave, (m,), and mean, cosine and sine of each, (m, 3)."""
    left, factors = np.empty(len(frequencies)), np.empty((len(frequencies), 3))
    per_block = max(_BLOCK // len(t), 1)
    for k in range(0, len(frequencies), per_block):
        part = slice(k, k + per_block)
        phase = frequencies[part, None] * t
        columns = np.stack([np.ones_like(phase), np.cos(phase), np.sin(phase)], axis=2)
        # by orthogonal columns: at low frequencies the three are nearly alike
        basis, rows = np.linalg.qr(columns)
        along = np.einsum("mni,n->mi", basis, values)
        left[part] = np.maximum(values @ values - np.sum(along**2, axis=1), 0.0)
        factors[part] = np.linalg.solve(rows, along[:, :, None])[:, :, 0]
    return left, factors
