"""Memory that modes and empirical cubature of many cells and snapshots take: they are read block by block.

A field of three parameters that is cheap to evaluate stands for a problem. What is measured is the decomposition and
the search, whose size is that of a real one: as many integrals as there are modes, for each cell and snapshot.
"""

import shutil
import time
from pathlib import Path

import click
import numpy as np

from benchmarks.support.memory import forget_peak, peak, resident
from benchmarks.support.publishing import publish
from benchmarks.support.targets import target, targets_table
from femnn.cli import Command
from femnn.io import markdown
from femnn.reduced import POD, EmpiricalCubature, Snapshots
from femnn.system import description

_GB = 2.0**30


@click.command(cls=Command)
@click.option("--cells", type=click.IntRange(min=100), default=100_000, show_default=True)
@click.option("--snapshots", type=click.IntRange(min=50), default=1_000, show_default=True)
@click.option("--modes", type=click.IntRange(min=2), default=20, show_default=True)
@click.option("--tol", type=click.FloatRange(min=1e-8, max=0.5), default=1e-3, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/streaming"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(cells, snapshots, modes, tol, out, as_json):
    """Peak memory of modes and cubature, with a fifth of the snapshots and with all."""
    rows = [measure(out / "snapshots", cells, count, modes, tol) for count in (max(50, snapshots // 5), snapshots)]
    worst = max(row["cubature"] for row in rows)
    figures = {
        "machine": description(),
        "rows": rows,
        "targets": [
            target(f"peak of memory, {cells:,} cells and {snapshots:,} snapshots", "≤ 8 GB", f"{worst:.1f} GB"),
        ],
    }
    publish(out, "streaming", figures, _report(figures), as_json)


def measure(folder, cells, count, modes, tol):
    """Peaks and times of one set of snapshots, which is deleted afterwards."""
    x = np.linspace(0.0, 1.0, cells)
    generator = np.random.default_rng(0)
    shutil.rmtree(folder, ignore_errors=True)
    snapshots = Snapshots(cells, folder)
    for height, place, width in generator.uniform([0.5, 0.3, 0.1], [1.0, 0.7, 0.2], (count, 3)):
        snapshots.append(height * np.exp(-(((x - place) / width) ** 2)))
    before = resident()
    forget_peak()
    started = time.process_time()
    basis = POD.fit(snapshots, modes=modes, method="randomised")
    pod_seconds, pod_peak = time.process_time() - started, peak()
    forget_peak()
    started = time.process_time()
    cubature = EmpiricalCubature.fit(
        lambda u: basis.modes.T * (u + u**3), basis, snapshots, by="cells", tol=tol, on_unmet="warn", progress=False
    )
    seconds, cubature_peak = time.process_time() - started, peak()
    shutil.rmtree(folder)
    return {
        "cells": cells,
        "snapshots": count,
        "modes": basis.r,
        "all": 8.0 * cells * count * basis.r / _GB,
        "before": before / _GB,
        "pod": pod_peak / _GB,
        "cubature": cubature_peak / _GB,
        "rows": cubature.report["rows"],
        "chosen": len(cubature.cells),
        "residual": cubature.residual,
        "pod_seconds": pod_seconds,
        "seconds": seconds,
    }


def _report(figures):
    columns = {
        "cells": ("cells", "{:,}"),
        "snapshots": ("snapshots", "{:,}"),
        "modes": ("modes", "{}"),
        "all": ("GB of all integrals", "{:.1f}"),
        "before": ("GB before", "{:.2f}"),
        "pod": ("peak of the modes, GB", "{:.2f}"),
        "cubature": ("peak of the cubature, GB", "{:.2f}"),
        "rows": ("integrals kept", "{:,}"),
        "chosen": ("cells chosen", "{:,}"),
        "residual": ("residual", "{:.1e}"),
        "pod_seconds": ("s for the modes", "{:.0f}"),
        "seconds": ("s for the cubature", "{:.0f}"),
    }
    return "\n\n".join(
        [
            f"Machine: {figures['machine']}",
            "Memory is that of the whole process. It holds one block of integrals and those combinations that matter, "
            "however many snapshots there are; the time grows with these. The field is synthetic and has no mesh.",
            markdown(figures["rows"], columns),
            "Targets:",
            targets_table(figures["targets"]),
        ]
    )


if __name__ == "__main__":
    main()
