"""Reduced models: a hyperelastic beam under loads that no training saw, in full and by a few modes and points.

Displacement errors, evaluations of the law and times of full and reduced solutions of the same run. Snapshots are kept
in the folder of the figures, so that a run that was broken off goes on. The targets of the other parts of reduced
models are printed after its own, as their commands left them beside that folder.
"""

import json
import time
from pathlib import Path

import click
import numba
import numpy as np

from benchmarks.support.publishing import publish
from benchmarks.support.targets import target, targets_table
from femnn.cli import Command
from femnn.io import markdown
from femnn.system import description
from femnn.validation import ReducedBeam, training_loads, unseen_loads

#: Modes, tolerance, and further options of the cubatures.
MODELS = (
    (8, 1e-3, {}),
    (16, 1e-3, {}),
    (16, 3e-4, {"by": "cells"}),
    (24, 1e-4, {}),
    (24, 1e-3, {"method": "greedy"}),
)

#: Other benchmarks of reduced models, each with targets of its own.
PARTS = ("dynamic-beam", "streaming", "burgers", "sparse-decoder", "two-scales")


@click.command(cls=Command)
@click.option("--cells", type=click.IntRange(min=2), nargs=3, default=(80, 16, 16), show_default=True)
@click.option("--training", type=click.IntRange(min=4), default=12, show_default=True, help="Loads to learn from.")
@click.option("--unseen", type=click.IntRange(min=1), default=5, show_default=True, help="Loads to be tried on.")
@click.option("--modes", type=click.IntRange(min=2), default=24, show_default=True, help="The most that are tried.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/reduced"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(cells, training, unseen, modes, out, as_json):
    """Errors and cost of reduced models of a beam of distorted hexahedra."""
    numba.set_num_threads(1)
    beam = ReducedBeam(cells)
    started = time.process_time()
    snapshots = beam.snapshots(training_loads(training), out / f"snapshots-{'-'.join(map(str, cells))}")
    seconds = time.process_time() - started
    loads = unseen_loads(unseen)
    full = [_timed(beam.solve, load) for load in loads]
    rows = []
    for count, tol, options in MODELS:
        if count <= modes:
            rows.append(_row(beam, snapshots, loads, full, count, tol, options))
    figures = {
        "machine": description(),
        "cells": beam.mesh.nelements,
        "unknowns": beam.solid.n_dofs,
        "training": training,
        "snapshots": len(snapshots),
        "unseen": unseen,
        "training_seconds": seconds,
        "full_seconds": float(np.mean([cpu for _, cpu in full])),
        "rows": rows,
    }
    figures["targets"] = _targets(rows)
    figures["parts"] = _parts(out.parent)
    publish(out, "reduced", figures, _report(figures), as_json)


def _timed(function, *arguments):
    """What a function gives, and its seconds of the processor, which other programs do not lengthen."""
    started = time.process_time()
    answer = function(*arguments)
    return answer, time.process_time() - started


def _row(beam, snapshots, loads, full, modes, tol, options):
    model, offline = _timed(lambda: beam.reduce(snapshots, modes, tol=tol, on_unmet="warn", **options))
    model.solve(loads[0])  # warm
    solved = [_timed(model.solve, load) for load in loads]
    errors, projections, evaluations = [], [], []
    for ((u, path, _), _), ((expected, _), _) in zip(solved, full, strict=True):
        errors.append(_distance(u, expected.u))
        projections.append(_distance(model.basis.lift(model.basis.project(expected.u)), expected.u))
        # one evaluation before each step and one after each iteration, at all points
        counts = [len(p.steps) + p.iterations for p in (expected, path)]
        evaluations.append(counts[0] * 8 * beam.mesh.nelements / (counts[1] * model.cubature.n_points))
    seconds = float(np.mean([cpu for _, cpu in solved]))
    return {
        "modes": modes,
        "cubature": f"{model.cubature.report['method']}, {model.cubature.by}, {tol:g}",
        "cells": len(model.cubature.cells),
        "points": model.cubature.n_points,
        "residual": model.cubature.residual,
        "projection": float(np.mean(projections)),
        "mean": float(np.mean(errors)),
        "worst": float(np.max(errors)),
        "evaluations": float(np.mean(evaluations)),
        "seconds": seconds,
        "times": float(np.mean([cpu for _, cpu in full])) / seconds,
        "offline": offline,
    }


def _distance(u, expected):
    return float(np.linalg.norm(u - expected) / np.linalg.norm(expected))


def _targets(rows):
    small = [row for row in rows if row["cells"] <= 300 or row["points"] <= 400]
    # of those that are exact enough the one with the fewest points, for error and cost alike
    exact = [row for row in small if row["worst"] <= 0.01] or small
    one = min(exact, key=lambda row: row["points"])
    model = f"{one['modes']} modes, {one['points']} points in {one['cells']} cells"
    return [
        target(f"worst error of the displacement, {model}", "≤ 1 %", f"{one['worst']:.3%}"),
        target("its evaluations of the law, full over reduced", "≥ 100", f"{one['evaluations']:,.0f}"),
        target("its time of the solution, full over reduced", "≥ 50", f"{one['times']:,.0f}"),
        target("worst error with the most modes", "≤ 0.1 %", f"{min(row['worst'] for row in rows):.3%}"),
    ]


def _parts(folder):
    """Targets of the parts whose figures are there, the name of each before what it measures."""
    rows = []
    for name in PARTS:
        path = folder / name / f"{name}.json"
        if path.exists():
            found = json.loads(path.read_text(encoding="utf-8"))["targets"]
            rows += [target(f"{name}: {row['what']}", row["target"], row["measured"]) for row in found]
    return rows


def _report(figures):
    columns = {
        "modes": ("modes", "{}"),
        "cubature": ("cubature", "{}"),
        "cells": ("cells", "{:,}"),
        "points": ("points", "{:,}"),
        "residual": ("residual", "{:.1e}"),
        "projection": ("projection", "{:.1e}"),
        "mean": ("mean error", "{:.1e}"),
        "worst": ("worst error", "{:.1e}"),
        "evaluations": ("law evaluations, times fewer", "{:,.0f}"),
        "seconds": ("s", "{:.3f}"),
        "times": ("times faster", "{:,.0f}"),
        "offline": ("s to make", "{:.0f}"),
    }
    others = ", ".join(f"`femnn bench {name}`" for name in PARTS)
    return "\n\n".join(
        [
            f"Machine: {figures['machine']}",
            f"{figures['cells']:,} distorted hexahedra, {figures['unknowns']:,} unknowns; {figures['snapshots']} "
            f"snapshots of {figures['training']} loads, {figures['unseen']} unseen loads, each of which takes "
            f"{figures['full_seconds']:.1f} s in full. Times are those of the processor, one thread.",
            markdown(figures["rows"], columns),
            "Targets:",
            targets_table(figures["targets"]),
            f"Other parts, each with a table of its own, by {others}.",
            *([targets_table(figures["parts"])] if figures["parts"] else []),
        ]
    )


if __name__ == "__main__":
    main()
