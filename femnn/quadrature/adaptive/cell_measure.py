"""What a tensor rule does on cells of any kind, measured: does it keep the tolerance, and which one does?

The counterpart of :mod:`femnn.quadrature.adaptive.tolerance_test` and
:mod:`femnn.quadrature.adaptive.by_integration` for cells that these kernels do not serve.
"""

from dataclasses import dataclass

import numpy as np

from femnn.integration.cell_matrices import cell_matrices, measured_errors
from femnn.quadrature.adaptive.legendre_series import MOST, series_of, slowest_rates

# What the better rule errs over what the measured one does, where both decay as the Legendre series of the cell does;
# and the differences of the two rules over the tolerance below which it surely is kept, and above which surely missed.
# Each line is for cells that the one before leaves in doubt.
_TRIALS = ((0.15, 0.8, 1.25), (0.02, 0.95, 1.05), (0.002, 1.0, 1.0))

# Points along each axis that the better rule has beyond the measured one, at least and at most.
_FURTHER = (2, 24)


@dataclass(frozen=True)
class CellMeasure:
    """Measures tensor rules on cells.

    Attributes
    ----------
    degree
        Of the shape functions along each axis, 1 or 2; higher ones are measured as 2.
    poisson
        Poisson's ratio.
    form
        ``"elasticity"`` or ``"laplace"``.
    measure
        ``"entries"``, the Error, or ``"energy"``, the largest relative change of energy.
    """

    degree: int
    poisson: float
    form: str
    measure: str = "entries"

    def keeps(self, x: np.ndarray, rules: np.ndarray, tolerance: float) -> np.ndarray:
        """True where a rule, points along the axes (n, dim), keeps the tolerance on its cell (n, nodes, dim)."""
        kept, doubtful = np.zeros(len(x), dtype=bool), np.arange(len(x))
        rates = _rates(x)
        for remains, surely_kept, surely_missed in _TRIALS:
            if len(doubtful) == 0:
                break
            errors = self._differences(x[doubtful], rules[doubtful], _further(rates[doubtful], remains))
            kept[doubtful] = errors < surely_kept * tolerance
            doubtful = doubtful[(errors >= surely_kept * tolerance) & (errors <= surely_missed * tolerance)]
        return kept

    def errors(self, x: np.ndarray, rules: np.ndarray) -> np.ndarray:
        """The measure (n,) of rules (n, dim) against much better ones."""
        return self._differences(x, rules, _further(_rates(x), _TRIALS[-1][0]))

    def _differences(self, x, rules, further):
        """The measure (n,) of rules (n, dim) against those with ``further`` (n,) points along each axis."""
        errors = np.empty(len(x))
        different, place = np.unique(np.column_stack([rules, further]), axis=0, return_inverse=True)
        for k, (*rule, more) in enumerate(different.tolist()):
            here = np.flatnonzero(place.ravel() == k)
            better = [n + more for n in rule]
            matrices, references = (
                cell_matrices(x[here], tuple(points), self.degree, self.poisson, self.form) for points in (rule, better)
            )
            errors[here] = measured_errors(matrices, references, x.shape[2], self.form, self.measure)
        return errors

    def points_that_keep(self, x: np.ndarray, rules: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
        """Rules with more points along all axes until the tolerance is kept, and whether it is at the end, (n,)."""
        rules, waiting, met = rules.copy(), np.arange(len(x)), np.zeros(len(x), dtype=bool)
        while len(waiting):
            kept = self.keeps(x[waiting], rules[waiting], tolerance)
            met[waiting] = kept
            waiting = waiting[~kept]
            waiting = waiting[(rules[waiting] < MOST).all(axis=1)]
            rules[waiting] += 1
        return rules, met


def _rates(x):
    """The slowest decay of a series of each cell, (n,), by its lines and by its determinant at the nodes."""
    series = series_of(x)
    return np.maximum(series.rates.max(axis=1), slowest_rates(series.shares))


def _further(rates, remains):
    """Points more along each axis after which what is missed has fallen to the share ``remains``, (n,).

    A point more takes two coefficients of the series, which falls by ``rates`` (n,) from one to the next.
    """
    points = np.log(remains) / (2.0 * np.log(np.clip(rates, 1e-3, 0.999)))
    return np.clip(np.ceil(points).astype(np.int64), *_FURTHER)
