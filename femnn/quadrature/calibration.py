"""How far the predictions of an error network must be shifted so that few elements miss the tolerance.

Split-conformal prediction (V. Vovk, A. Gammerman, G. Shafer, Algorithmic Learning in a Random World, 2005; for the
form used here A. N. Angelopoulos, S. Bates, arXiv:2107.07511, section 1): every held-out element has a score, the least
shift in log₁₀ Error with which the rule would have chosen enough points. With the k-th smallest of m scores as shift,
k = ⌈(m + 1) confidence⌉, an element exchangeable with them misses the tolerance with probability at most
1 - confidence.
"""

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


def shift_table(log_predicted, errors):
    """Shifts for all TOLERANCES (rows) and CONFIDENCES (columns); at least 0, so that they never save points."""
    table = np.zeros((len(TOLERANCES), len(CONFIDENCES)))
    ranks = np.ceil((len(errors) + 1) * CONFIDENCES).astype(int)
    if ranks[-1] > len(errors):
        raise ParameterError(
            f"{len(errors)} held-out elements cannot calibrate a confidence of {CONFIDENCES[-1]}; give at least 1000"
        )
    for row, tolerance in enumerate(TOLERANCES):
        table[row] = np.sort(scores(log_predicted, errors, tolerance))[ranks - 1]
    return np.maximum(table, 0.0)


def shift(table, tolerance, confidence):
    """The shift for any tolerance and confidence that the table covers: the larger of its neighbours, never a guess."""
    columns = np.flatnonzero(confidence <= CONFIDENCES + 1e-12)
    if not 0.0 < confidence < 1.0 or len(columns) == 0:
        raise ParameterError(
            f"confidence is {confidence}; it was calibrated up to {CONFIDENCES[-1]}, pass such a value, or None "
            "for the bare prediction"
        )
    position = np.interp(np.log10(tolerance), np.log10(TOLERANCES), np.arange(len(TOLERANCES)))
    rows = [int(np.floor(position)), int(np.ceil(position))]
    return float(table[rows, columns[0]].max())
