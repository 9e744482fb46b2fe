"""Targets of the recurrent cohesive laws."""

from benchmarks.support.targets import target
from femnn.cohesive import KINDS

_MEAN, _P95, _PARAMETERS, _FINER = 0.01, 0.03, 25_000, 1.5
_DISSIPATION, _TOUGHNESS, _CURVE, _ITERATIONS = -1e-6, 0.005, 0.02, 1.3
_RATE, _OVER_TORCH, _MINUTES = 100_000, 5.0, 30.0
_LAW = "minimal-state"


def against_targets(figures):
    """Rows of targets and measured values, from the figures of ``cohesive.py``."""
    accuracy, safety, speed = (
        {row[key]: row for row in figures[part]}
        for part, key in (("accuracy", "network"), ("safety", "law"), ("speed", "law"))
    )
    found = []
    if _LAW in accuracy:
        own = accuracy[_LAW]
        mean, p95 = (max(own[f"{kind}_{figure}"] for kind in KINDS) for figure in ("mean", "p95"))
        finer = f"{own['finer']:.2f} ×" + (f" (LSTM {accuracy['lstm']['finer']:.2f} ×)" if "lstm" in accuracy else "")
        found += [
            target("mean error on unseen paths, worst kind", f"≤ {_MEAN:.0%}", f"{mean:.2%}"),
            target("95th percentile of it, worst kind", f"≤ {_P95:.0%}", f"{p95:.2%}"),
            target("parameters", f"≤ {_PARAMETERS:,}", f"{own['parameters']:,}"),
            target("error with steps ten times finer", f"≤ {_FINER:g} ×", finer),
        ]
        if own["minutes"] is not None:
            found.append(target("training, min on one thread", f"≤ {_MINUTES:g}", f"{own['minutes']:.1f}"))
    if _LAW in safety:
        paths, least = f"{safety[_LAW]['paths']:,}", safety[_LAW]["least_step"]
        found.append(
            target(f"least dissipation of a step, {paths} paths, over GIc", f"≥ {_DISSIPATION:g}", f"{least:.1e}")
        )
    if _LAW in speed:
        own = speed[_LAW]
        found += [
            target("updates with tangent a second, one thread", f"≥ {_RATE:,}", f"{own['shipped']:,.0f}"),
            target("times torch's vmap(jacfwd)", f"≥ {_OVER_TORCH:g}", f"{own['shipped'] / own['torch']:.1f}"),
        ]
    return found + _beams(figures["beams"])


def _beams(beams):
    """The worst of all beams, laws and tolerances; ``cohesive.py`` shows each."""
    if not beams:
        return []
    # the closed form of mixed-mode bending takes the mode from beam theory
    off = max(abs(beam["release"] / beam["toughness"] - 1.0) for beam in beams if beam["test"] != "mmb")
    curve, ratio = (max(beam[name] for beam in beams) for name in ("curve", "ratio"))
    return [
        target("G of classical laws in dcb and enf off the closed form", f"≤ {_TOUGHNESS:.1%}", f"{off:.2%}"),
        target("load-displacement curve off that of the law learned from", f"≤ {_CURVE:.0%}", f"{curve:.2%}"),
        target("Newton iterations over those of the law learned from", f"≤ {_ITERATIONS:g} ×", f"{ratio:.2f} ×"),
    ]
