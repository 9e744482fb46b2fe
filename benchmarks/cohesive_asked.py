"""What recurrent cohesive laws are asked to reach, and what they reach."""

from femnn.cohesive.paths import KINDS

_MEAN, _P95, _PARAMETERS, _FINER = 0.01, 0.03, 25_000, 1.5
_DISSIPATION, _TOUGHNESS, _CURVE, _ITERATIONS = -1e-6, 0.005, 0.02, 1.3
_RATE, _OVER_TORCH, _MINUTES = 100_000, 5.0, 30.0
_LAW = "minimal-state"


def asked(figures):
    """Rows of what is asked and reached, from the figures of ``cohesive.py``."""
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
            _row("mean error on unseen paths, worst kind", f"≤ {_MEAN:.0%}", f"{mean:.2%}"),
            _row("95th percentile of it, worst kind", f"≤ {_P95:.0%}", f"{p95:.2%}"),
            _row("parameters", f"≤ {_PARAMETERS:,}", f"{own['parameters']:,}"),
            _row("error with steps ten times finer", f"≤ {_FINER:g} ×", finer),
        ]
        if own["minutes"] is not None:
            found.append(_row("training, min on one thread", f"≤ {_MINUTES:g}", f"{own['minutes']:.1f}"))
    if _LAW in safety:
        paths, least = f"{safety[_LAW]['paths']:,}", safety[_LAW]["least_step"]
        found.append(
            _row(f"least dissipation of a step, {paths} paths, over GIc", f"≥ {_DISSIPATION:g}", f"{least:.1e}")
        )
    if _LAW in speed:
        own = speed[_LAW]
        found += [
            _row("updates with tangent a second, one thread", f"≥ {_RATE:,}", f"{own['shipped']:,.0f}"),
            _row("times torch's vmap(jacfwd)", f"≥ {_OVER_TORCH:g}", f"{own['shipped'] / own['torch']:.1f}"),
        ]
    return found + [row for beam in figures["beams"] for row in _beam(beam)]


def _beam(beam):
    where = f"{beam['test']}, tolerance {beam['rtol']:g}"
    if beam["test"] != "mmb":  # its closed form takes the mode from beam theory
        off = f"{abs(beam['release'] / beam['toughness'] - 1.0):.2%}"
        yield _row(f"{where}: G of the bilinear law off the closed form", f"≤ {_TOUGHNESS:.1%}", off)
    yield _row(f"{where}: recurrent law's curve off the bilinear law's", f"≤ {_CURVE:.0%}", f"{beam['curve']:.2%}")
    ratio = f"{beam['ratio']:.2f} × ({beam['iterations']})"
    yield _row(f"{where}: Newton iterations over the bilinear law's", f"≤ {_ITERATIONS:g} ×", ratio)


def _row(what, limit, reached):
    return {"what": what, "asked": limit, "reached": reached}
