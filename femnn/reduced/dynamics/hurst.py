"""The Hurst exponent: how long a series remembers."""

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import checked, one_of
from femnn.exceptions import DatasetError

# Fewest rows of a box, and fewest boxes in the series.
_SMALLEST, _BOXES = 10, 4


@checked(series="m | m n")
def hurst_exponent(series: ArrayLike, method: str = "dfa") -> np.ndarray | float:
    """Hurst exponent of a series, about 0.5 for one without memory, up to 1 for one that persists.

    Parameters
    ----------
    series : (m,) or (m, n)
        At least 100 times; each column by itself.
    method
        ``"dfa"``: detrended fluctuation analysis with straight lines (C.-K. Peng et al., Phys. Rev. E 49 (1994) 1685),
        or ``"rs"``: rescaled range (H. E. Hurst, Trans. ASCE 116 (1951) 770), less what it is for independent numbers
        in short boxes (A. A. Anis, E. H. Lloyd, Biometrika 63 (1976) 111), which draws exponents towards 0.5.

    Returns
    -------
    float or (n,)
        NaN for a column that does not change. Exponents above 1 mean a series that is no stationary noise: smooth
        coefficients over less than a few of their periods for instance.

    Raises
    ------
    DatasetError
        If the series is shorter than 100.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal(4000)
    >>> round(hurst_exponent(noise), 1)
    0.5
    """
    one_of("method", method, ("dfa", "rs"))
    array = np.asarray(series, dtype=float)
    if len(array) < 100:
        raise DatasetError(f"the series has {len(array)} times; a Hurst exponent needs at least 100")
    columns = array[:, None] if array.ndim == 1 else array
    sizes = np.unique(np.geomspace(_SMALLEST, len(columns) // _BOXES, 16).astype(int))
    measure = _fluctuation if method == "dfa" else _rescaled_range
    exponents = np.full(columns.shape[1], np.nan)
    for k, column in enumerate(columns.T):
        if np.ptp(column) > 1e-12 * np.abs(column).max():
            values = np.array([measure(column - column.mean(), int(size)) for size in sizes])
            exponents[k] = np.polyfit(np.log(sizes), np.log(values), 1)[0] + (0.5 if method == "rs" else 0.0)
    return float(exponents[0]) if array.ndim == 1 else exponents


def _fluctuation(column, size):
    """Root of the mean square of the sums, less a straight line in each box of ``size`` rows."""
    sums = np.cumsum(column)
    # boxes from both ends, so that no row is left out
    boxes = np.concatenate([_boxes(sums, size), _boxes(sums[::-1], size)])
    line = np.linspace(-1.0, 1.0, size)
    line /= np.linalg.norm(line)
    rest = boxes - boxes.mean(axis=1, keepdims=True)
    rest = rest - (rest @ line)[:, None] * line
    return np.sqrt((rest**2).mean())


def _rescaled_range(column, size):
    """Mean of the range of the sums over the deviation, relative to that of independent numbers."""
    boxes = _boxes(column, size)
    sums = np.cumsum(boxes - boxes.mean(axis=1, keepdims=True), axis=1)
    deviation = boxes.std(axis=1)
    ratio = (np.ptp(sums, axis=1)[deviation > 0.0] / deviation[deviation > 0.0]).mean()
    i = np.arange(1, size)
    # Stirling's formula of Γ((n-1)/2) / (√π Γ(n/2)), and the correction of Peters (1994) for short boxes
    expected = (size - 0.5) / size * np.sqrt(2.0 / (np.pi * size)) * np.sqrt((size - i) / i).sum()
    return ratio / expected


def _boxes(values, size):
    return values[: len(values) // size * size].reshape(-1, size)
