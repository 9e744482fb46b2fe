"""How far the predictions of an error network must be shifted so that few elements miss the tolerance.

Split-conformal prediction (V. Vovk, A. Gammerman, G. Shafer, Algorithmic Learning in a Random World, 2005; for the
form used here A. N. Angelopoulos, S. Bates, arXiv:2107.07511, section 1): every held-out element has a score, the least
shift in log₁₀ Error with which the rule would have chosen enough points. With the k-th smallest of m scores as shift,
k = ⌈(m + 1) confidence⌉, an element exchangeable with them misses the tolerance with probability at most
1 - confidence.
"""

from dataclasses import dataclass, fields

import numpy as np

from femnn.exceptions import ParameterError

TOLERANCES = np.logspace(-8, -1, 15)
CONFIDENCES = np.array([0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999])


def monotone(log_errors):
    """Predicted log₁₀ Errors (n, candidates) made to fall with the number of points: each at least all that follow."""
    return np.maximum.accumulate(log_errors[:, ::-1], axis=1)[:, ::-1]


def scores(log_predicted, errors, tolerance):
    """Least shift of each element's predictions with which it gets enough points, (n,); -inf if any shift will do.

    ``log_predicted`` and ``errors`` are (n, candidates), the candidates in the order of their number of points.
    """
    missed = errors >= tolerance
    # the candidate before the first from which on all meet the tolerance
    last_missed = missed.shape[1] - 1 - missed[:, ::-1].argmax(axis=1)
    needed = np.log10(tolerance) - monotone(log_predicted)[np.arange(len(errors)), last_missed]
    return np.where(missed.any(axis=1), needed, -np.inf)


@dataclass(frozen=True)
class Calibration:
    """Shifts in log₁₀ Error, ``shifts[i, j]`` for ``tolerances[i]`` and ``confidences[j]``, both ascending."""

    tolerances: np.ndarray
    confidences: np.ndarray
    shifts: np.ndarray

    @classmethod
    def of(cls, log_predicted, errors):
        """Calibrate on held-out elements: predictions and Errors, each (n, candidates).

        Few elements cannot vouch for high confidences; the table then ends earlier. Shifts are never negative: a
        calibration may cost points but saves none.

        Raises
        ------
        ParameterError
            If there are too few elements for the smallest confidence.
        """
        n = len(errors)
        ranks = np.ceil((n + 1) * CONFIDENCES).astype(int)
        reached = ranks <= n
        if not reached.any():
            raise ParameterError(f"{n} held-out elements cannot calibrate anything; give at least 1000")
        sorted_scores = [np.sort(scores(log_predicted, errors, tolerance)) for tolerance in TOLERANCES]
        shifts = np.maximum([column[ranks[reached] - 1] for column in sorted_scores], 0.0)
        return cls(TOLERANCES, CONFIDENCES[reached], shifts)

    @classmethod
    def from_weights(cls, weights):
        """What :meth:`tensors` gave, out of :class:`femnn.learning.checkpoints.Networks`."""
        names = [f"calibration.{field.name}" for field in fields(cls)]
        weights.require(tensors=names)
        return cls(*(weights.tensors[name] for name in names))

    def tensors(self):
        """The table under the names of a weight file."""
        return {f"calibration.{field.name}": getattr(self, field.name) for field in fields(self)}

    def covers(self, tolerance):
        """Whether the table reaches from a smaller to a larger tolerance than this one."""
        return self.tolerances[0] * (1.0 - 1e-9) <= tolerance <= self.tolerances[-1] * (1.0 + 1e-9)

    def shift(self, tolerance, confidence):
        """The shift for any tolerance and confidence that the table covers: the larger of its neighbours, no guess."""
        columns = np.flatnonzero(confidence <= self.confidences + 1e-12)
        if not 0.0 < confidence < 1.0 or len(columns) == 0:
            raise ParameterError(
                f"confidence is {confidence}; it was calibrated up to {self.confidences[-1]}, pass a value above 0 "
                "and up to that, or None for the bare prediction"
            )
        logs = np.log10(self.tolerances)
        position = np.interp(np.log10(tolerance), logs, np.arange(len(logs)))
        rows = [int(np.floor(position)), int(np.ceil(position))]
        return float(self.shifts[rows, columns[0]].max())
