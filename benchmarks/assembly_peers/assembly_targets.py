"""Targets of femnn's assembly against its peers."""

import numpy as np

from benchmarks.assembly_peers.peers.rounds import THREADS
from benchmarks.support.targets import target
from benchmarks.support.timing import with_spread

# Times the fastest peer and times scikit-fem's form, by number of points.
_PEERS, _FORM = {8: 5.5, 27: 8.0}, {8: 350.0, 27: 600.0}
_THREADS, _SLOPE, _COLD, _MEMORY, _MILLION = 1.6, 60.0, 4.0, 1.6, 6e9


def against_targets(figures):
    """Rows of targets and measured values, from the figures of ``assembly.py``."""
    timed = [row for row in figures["rows"] if row["problem"] is None]
    found = []
    for elements in sorted({row["elements"] for row in timed}):
        for points in _PEERS:
            rows = {row["name"]: row for row in timed if (row["elements"], row["rule"]) == (elements, points)}
            if "femnn" in rows:
                found += _one(rows.pop("femnn"), rows, f"{elements:,} elements, {points} points")
        slope = _slope([row for row in figures["slopes"] if row["elements"] == elements and row["problem"] is None])
        if slope is not None:
            found.append(target(f"{elements:,} elements: ns for one more point", f"≤ {_SLOPE:g}", f"{slope:.0f}"))
    if figures["million"]:
        measured = f"{figures['million']['peak'] / 1e9:.2f} GB"
        found.append(target("10⁶ elements, 8 points: memory of the process", f"≤ {_MILLION / 1e9:g} GB", measured))
    return found


def _one(own, peers, where):
    points, seconds = own["rule"], own["coordinates"]
    for way, name in (("coordinates", "the fastest peer"), ("geometry", "the fastest peer that keeps the geometry")):
        times = {peer["program"]: peer[way] for peer in peers.values() if peer[way]}
        if times:
            fastest = min(times, key=times.get)
            measured = f"{times[fastest] / seconds:.1f} ({fastest})"
            yield target(f"{where}: times {name}", f"≥ {_PEERS[points]:g}", measured)
    if "scikit-fem" in peers:
        measured = f"{peers['scikit-fem']['coordinates'] / seconds:.0f}"
        yield target(f"{where}: times scikit-fem's form", f"≥ {_FORM[points]:g}", measured)
    measured = with_spread(own["speedup"], own["speedup_spread"])
    if own["speedup"] - (own["speedup_spread"] or 0.0) > THREADS:
        measured += ": more than the threads can give, to be measured again"
    yield target(f"{where}: two threads over one", f"≥ {_THREADS:g}", measured)
    yield target(f"{where}: cold start over a pass, with caches", f"≤ {_COLD:g}", f"{own['cold'] / seconds:.1f}")
    yield target(f"{where}: cold start over a pass, first ever", "–", f"{own['first_ever'] / seconds:.0f}")
    if own["warm"]:
        measured = f"{own['warm'] / seconds:.1f}"
        yield target(f"{where}: first matrix of a new mesh over a pass", f"≤ {_COLD:g}", measured)
    yield target(f"{where}: memory over the finished CSR", f"≤ {_MEMORY:g}", f"{own['growth'] / own['csr']:.2f}")


def _slope(rows):
    """Nanoseconds per element and extra point on one thread: the slope of a straight line through the times."""
    if len(rows) < 2:
        return None
    times = [1e9 * row["coordinates"] / row["elements"] for row in rows]
    return float(np.polyfit([row["rule"] for row in rows], times, 1)[0])
