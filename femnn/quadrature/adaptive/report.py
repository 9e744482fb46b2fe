"""What a choice of points promises, and what it was measured to keep, on the elements at hand."""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Report:
    """How a rule with a tolerance fares on some elements.

    Attributes
    ----------
    rule
        The rule, as it prints itself.
    elements, points
        How many; ``points`` counts the integration points of all.
    promised
        Share of elements, alike those of the calibration, that may miss the tolerance; None without a confidence.
    outside
        Share of elements that the network was not trusted with: outside its range of training, or needing more points
        than it knows. They were settled by comparing successive rules.
    unmet
        Numbers of the elements for which no candidate keeps the tolerance.
    missed, worst
        Only of a verified rule: share of elements that the prediction alone would have left above the tolerance, and
        the largest measure over the tolerance among them. None without verification.
    counts
        Elements by their points along the axes, most frequent first.
    """

    rule: str
    elements: int
    points: int
    promised: float | None
    outside: float
    unmet: tuple[int, ...] = ()
    missed: float | None = None
    worst: float | None = None
    counts: dict[tuple[int, int, int], int] = field(default_factory=dict)

    def __str__(self):
        lines = [
            f"{self.rule} on {self.elements:,} elements: {self.points:,} points, "
            f"{self.points / self.elements:.1f} an element"
        ]
        if self.promised is not None:
            lines.append(f"  may miss the tolerance: {self.promised:.2%} of elements alike those of the calibration")
        lines.append(f"  outside the trained range, settled by comparing successive rules: {self.outside:.2%}")
        if self.missed is not None:
            lines.append(
                f"  verified: the prediction alone missed the tolerance in {self.missed:.2%} of the elements, at worst "
                f"by a factor of {self.worst:.2g}; these were given more points"
            )
        if self.unmet:
            lines.append(f"  no candidate keeps the tolerance in {len(self.unmet)} elements, first {self.unmet[0]}")
        shown = list(self.counts.items())[:5]
        if shown:
            often = ", ".join(f"{x}×{y}×{z} ({count:,})" for (x, y, z), count in shown)
            lines.append(f"  most frequent: {often}")
        return "\n".join(lines)


def count_rules(points):
    """Elements by their points along the axes, from (n, 3), most frequent first."""
    values, counts = np.unique(points, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {tuple(int(k) for k in values[i]): int(counts[i]) for i in order}
