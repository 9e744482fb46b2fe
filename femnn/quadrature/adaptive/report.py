"""The report of AdaptiveGauss on some elements: its promise, and measured figures."""

from dataclasses import dataclass, field

import numpy as np

from femnn.quadrature.adaptive.on_mesh import MeshCalibration


@dataclass(frozen=True)
class Report:
    """Promise and figures of a rule with a tolerance on some elements.

    Attributes
    ----------
    rule
        The rule, as it prints itself.
    elements, n_points
        Numbers of elements, and of integration points of all.
    promised
        Fraction of elements that may miss the tolerance, of this mesh or of elements alike those of the calibration of
        the weights, those of ``unmet`` not counted; None without a confidence. Larger than asked for if the measured
        cells cannot vouch for less.
    out_of_range
        Fraction of the elements out of the range of training, or needing more points than the network knows. Their
        points were found by comparing successive rules.
    unmet
        Numbers of the elements for which no candidate keeps the tolerance.
    missed, worst
        Only of a verified rule: fraction of elements that the prediction alone would have left above the tolerance, and
        the largest measure over the tolerance among them. None without verification.
    counts
        Elements by their points along the axes, most frequent first.
    on_mesh
        The calibration on this mesh, None with ``calibrate="families"``, without a confidence, and if verified.

    Examples
    --------
    >>> import femnn, skfem
    >>> report = femnn.AdaptiveGauss(1e-3).report(skfem.MeshHex().refined(2))
    >>> report.elements, report.n_points, report.counts
    (64, 512, {(2, 2, 2): 64})
    """

    rule: str
    elements: int
    n_points: int
    promised: float | None
    out_of_range: float
    unmet: tuple[int, ...] = ()
    missed: float | None = None
    worst: float | None = None
    counts: dict[tuple[int, ...], int] = field(default_factory=dict)
    on_mesh: MeshCalibration | None = None

    def __str__(self) -> str:
        lines = [
            f"{self.rule} on {self.elements:,} elements: {self.n_points:,} points, "
            f"{self.n_points / self.elements:.1f} an element"
        ]
        if self.promised is not None:
            about = "of elements alike those of the calibration" if self.on_mesh is None else str(self.on_mesh)
            lines.append(f"  may miss the tolerance: {self.promised:.2%} {about}")
        lines.append(f"  out of the trained range, chosen by comparing successive rules: {self.out_of_range:.2%}")
        if self.missed is not None:
            lines.append(
                f"  verified: the prediction alone missed the tolerance in {self.missed:.2%} of the elements, at worst "
                f"by a factor of {self.worst:.2g}; these were given more points"
            )
        if self.unmet:
            beside = "" if self.promised is None else "besides, "
            lines.append(
                f"  {beside}no candidate keeps the tolerance in {len(self.unmet)} elements, first {self.unmet[0]}"
            )
        shown = list(self.counts.items())[:5]
        if shown:
            often = ", ".join(f"{'×'.join(map(str, rule))} ({count:,})" for rule, count in shown)
            lines.append(f"  most frequent: {often}")
        return "\n".join(lines)


def count_rules(points: np.ndarray) -> dict[tuple[int, ...], int]:
    """Elements by their points along the axes, from (n, dim), most frequent first."""
    values, counts = np.unique(points, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {tuple(values[i].tolist()): int(counts[i]) for i in order}
