"""The caution with which points must be chosen so that few elements miss the tolerance.

Split-conformal prediction (V. Vovk, A. Gammerman, G. Shafer, Algorithmic Learning in a Random World, 2005; for the form
used here A. N. Angelopoulos, S. Bates, arXiv:2107.07511): every held-out element has a score, the least *caution* from
which on its chosen rule keeps the tolerance. Caution counts spreads that the network itself predicts, so it weighs more
where the network is less sure (section 2.3 there). With the k-th smallest of m scores, k = ⌈(m + 1) confidence⌉, an
element exchangeable with them misses the tolerance with probability at most 1 - confidence. This holds for each of
several families of elements by itself: the largest caution of all families is taken (section 4.1 there).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from femnn.exceptions import ParameterError
from femnn.networks.weights import Networks
from femnn.quadrature.adaptive.tensor_errors import tensor_rule_errors

TOLERANCES = np.logspace(-8, -1, 8)
CONFIDENCES = np.array([0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999])

#: Cautions that are tried; an element for which the largest is too small counts as missed.
CAUTIONS = np.concatenate([np.arange(0.0, 2.0, 0.125), np.arange(2.0, 4.1, 0.5)])


def scores(network: Any, measure: str, hexahedra: np.ndarray, poisson: ArrayLike) -> np.ndarray:
    """Least caution from which on each element keeps each of ``TOLERANCES``, (2, n, 8), with equal (0) and different
    (1) numbers of points along the axes.

    Infinite if the largest of ``CAUTIONS`` does not help; -inf for elements out of its range.
    """
    n, trials = len(hexahedra), (2, len(TOLERANCES), len(CAUTIONS))
    chosen, in_range = np.empty((n, *trials, 3), dtype=np.int64), np.empty((n, *trials), dtype=bool)
    for a, t, c in np.ndindex(trials):
        settings = (TOLERANCES[t], poisson, CAUTIONS[c], bool(a))
        chosen[:, a, t, c], in_range[:, a, t, c] = network.choose(hexahedra, *settings)
    errors = _errors(chosen.reshape(n, -1, 3), hexahedra, poisson, measure).reshape(n, *trials)
    misses = in_range & (errors >= TOLERANCES[:, None])
    # the caution after the last with which the element misses
    last = misses.shape[3] - 1 - misses[..., ::-1].argmax(axis=3)
    needed = np.append(CAUTIONS[1:], np.inf)[last]
    return np.where(misses.any(axis=3), needed, -np.inf).swapaxes(0, 1)


def _errors(chosen, hexahedra, poisson, measure):
    """Errors (n, trials) of the rules (n, trials, 3); each different rule of an element is integrated once."""
    codes = chosen @ np.array([10_000, 100, 1])
    different = [np.unique(row, return_inverse=True) for row in codes]
    starts = np.cumsum([0] + [len(values) for values, _ in different])
    values = np.concatenate([values for values, _ in different])
    rules = np.stack([values // 10_000, values // 100 % 100, values % 100], axis=1)
    errors = tensor_rule_errors(hexahedra, rules, poisson, measure, starts)
    return np.stack([errors[start:][inverse] for start, (_, inverse) in zip(starts, different, strict=False)])


@dataclass(frozen=True, eq=False, repr=False)
class Calibration:
    """Cautions, ``cautions[a, i, j]`` for equal (0) or different (1) points along the axes, ``tolerances[i]`` and
    ``confidences[j]``, both ascending."""

    tolerances: np.ndarray
    confidences: np.ndarray
    cautions: np.ndarray

    @classmethod
    def of(cls, scores_of_families: Sequence[np.ndarray]) -> "Calibration":
        """Calibrate on :func:`scores` of held-out families.

        Few elements cannot vouch for high confidences; the table then ends earlier. Cautions are never negative: a
        calibration may cost points but saves none.

        Raises
        ------
        ParameterError
            If there are too few elements for the smallest confidence.
        """
        n = min(len(both[0]) for both in scores_of_families)
        vouched = np.ceil((n + 1) * CONFIDENCES) <= n
        if not vouched.any():
            raise ParameterError(f"{n} held-out elements cannot calibrate anything; give at least 1000")
        cautions = np.zeros((2, len(TOLERANCES), int(vouched.sum())))
        for both in scores_of_families:
            for a, table in enumerate(both):
                ranks = np.ceil((len(table) + 1) * CONFIDENCES[vouched]).astype(int)
                quantiles = np.sort(table, axis=0)[ranks - 1].T
                # where no caution is enough, the largest of the table is taken
                cautions[a] = np.maximum(cautions[a], np.minimum(quantiles, CAUTIONS[-1]))
        return cls(TOLERANCES, CONFIDENCES[vouched], cautions)

    @classmethod
    def from_weights(cls, weights: Networks, name: str) -> "Calibration":
        """Read what :meth:`tensors` gave out of a weight file."""
        names = [f"calibration-{name}.{field.name}" for field in fields(cls)]
        weights.require(tensors=names)
        contents = weights.contents
        tolerances, confidences = (contents.array(name, (None,), None) for name in names[:2])
        cautions = contents.array(names[2], (2, len(tolerances), len(confidences)), None)
        ascending = all(len(v) and (np.diff(v) > 0.0).all() and v[0] > 0.0 for v in (tolerances, confidences))
        if not ascending or confidences[-1] >= 1.0 or (cautions < 0.0).any():
            raise contents.file.refused(f"the calibration {name!r} does not ascend, or has negative cautions")
        return cls(tolerances, confidences, cautions)

    def tensors(self, name: str) -> dict[str, np.ndarray]:
        """The table under the names of a weight file."""
        return {f"calibration-{name}.{field.name}": getattr(self, field.name) for field in fields(self)}

    def in_range(self, tolerance: float) -> bool:
        """True if the table reaches from a smaller to a larger tolerance than this one."""
        return self.tolerances[0] * (1.0 - 1e-9) <= tolerance <= self.tolerances[-1] * (1.0 + 1e-9)

    def __repr__(self) -> str:
        return f"Calibration(tolerances from {self.tolerances[0]:g} to {self.tolerances[-1]:g})"

    def caution(self, tolerance: float, confidence: float, anisotropic: bool) -> float:
        """The caution for a tolerance and confidence within the table: the larger of its neighbours, no guess."""
        columns = np.flatnonzero(confidence <= self.confidences + 1e-12)
        if not 0.0 < confidence < 1.0 or len(columns) == 0:
            raise ParameterError(
                f"confidence is {confidence}; it was calibrated up to {self.confidences[-1]}, pass a value above 0 "
                "and up to that, or None for the bare prediction"
            )
        logs = np.log10(self.tolerances)
        position = np.interp(np.log10(tolerance), logs, np.arange(len(logs)))
        rows = [int(np.floor(position)), int(np.ceil(position))]
        return float(self.cautions[int(anisotropic), rows, columns[0]].max())
