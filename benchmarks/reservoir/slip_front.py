"""Slip driven by fluid on a plane fault with constant friction: its front against published solutions.

    femnn bench slip-front

A line in plane strain that is fed at constant pressure, and a circle of hexahedra that is fed at a constant rate, from
critically stressed to marginally pressurised; seconds are processor time of one thread.
"""

import time
from pathlib import Path

import click
import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from benchmarks.support.publishing import publish
from benchmarks.support.targets import target, targets_table
from femnn.cli import Command
from femnn.io import markdown
from femnn.plotting import save
from femnn.system import description
from femnn.validation.slip_front import circle_front, circle_slip, line_front, line_slip

#: Stress parameters, from critically stressed to marginally pressurised.
LINES, CIRCLES = (0.1, 0.5, 0.8), (0.3, 1.0, 2.0)

#: Cells over the front in the end, steps, and distance of the sides over the front: of whole runs, and of small ones.
SIZES = {
    "line": {"whole": (24, 48, 12.0), "small": (12, 12, 6.0)},
    "circle": {"whole": (6, 10, 3.0), "small": (3, 3, 3.0)},
}
_SHAPES = {"line": (line_slip, line_front, LINES), "circle": (circle_slip, circle_front, CIRCLES)}


@click.command(cls=Command)
@click.option("--shape", type=click.Choice(list(_SHAPES)), multiple=True, help="[both]")
@click.option("--small", is_flag=True, help="Coarse meshes and few steps: to try whether all runs.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/slip-front"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(shape, small, out, as_json):
    """Fronts of slip driven by fluid, from critically stressed faults to marginally pressurised ones."""
    jobs = [(name, stress) for name in shape or _SHAPES for stress in _SHAPES[name][2]]
    rows = [
        measured(name, stress, SIZES[name]["small" if small else "whole"])
        for name, stress in tqdm(jobs, desc="slip-front", disable=None)
    ]
    worst = {name: max(abs(row["error"]) for row in rows if row["shape"] == name) for name in dict(jobs)}
    targets = [
        target(f"front of a {name}, worst of {len(_SHAPES[name][2])} stress parameters", "≤ 5%", f"{error:.1%}")
        for name, error in worst.items()
    ]
    targets.append(target("mass balance, worst step", "≤ 1e-8", f"{max(row['balance'] for row in rows):.0e}"))
    figures = {"machine": description(), "targets": targets, "fronts": rows}
    save(_drawn(rows), out / "slip-front.png")
    publish(out, "slip-front", figures, report(figures), as_json)


def measured(shape, stress, size):
    """A run, and its front in the end."""
    (n, steps, far), (solve, _, _) = size, _SHAPES[shape]
    begun = time.process_time()
    slip = solve(stress, n, steps=steps, far=far)
    return {
        "shape": shape, "stress": stress, "exact": float(slip.exact[-1] / np.sqrt(4.0 * slip.t[-1])),
        "front": float(slip.front[-1] / np.sqrt(4.0 * slip.t[-1])), "error": float(slip.error[-1]),
        "pressure": float(slip.pressure_error[-1]), "balance": slip.balance, "cells": n, "steps": steps,
        "seconds": time.process_time() - begun, "fluid": np.sqrt(4.0 * slip.t).tolist(), "fronts": slip.front.tolist(),
    }  # fmt: skip


def report(figures):
    """The figures in markdown."""
    columns = {
        "shape": ("shape", "{}"), "stress": ("T", "{}"), "exact": ("λ", "{:.3f}"), "front": ("found", "{:.3f}"),
        "error": ("error", "{:+.1%}"), "pressure": ("pressure", "{:.1%}"), "cells": ("cells over it", "{}"),
        "steps": ("steps", "{}"), "seconds": ("time, s", "{:.0f}"), "balance": ("balance", "{:.0e}"),
    }  # fmt: skip
    parts = [
        f"Machine: {figures['machine']}", targets_table(figures["targets"]), markdown(figures["fronts"], columns),
        "![Fronts over what the fluid has reached, and λ by T](../images/slip-front.png)",
    ]  # fmt: skip
    return "\n\n".join(parts)


def _drawn(rows):
    figure = Figure(figsize=(12, 4.5), layout="constrained")
    growth, *curves = figure.subplots(1, 3)
    for number, row in enumerate(rows):
        fluid = np.array(row["fluid"])
        growth.plot(fluid, row["exact"] * fluid, color=f"C{number}", linewidth=0.8)
        label = f"{row['shape']}, T = {row['stress']}"
        growth.plot(fluid, row["fronts"], "o", color=f"C{number}", markersize=3, label=label)
    growth.set(title="front; lines: published", xlabel="√(4 α t), m", ylabel="front, m", xscale="log", yscale="log")
    growth.set_ylim(0.02, 1.5)
    growth.legend(fontsize=7)
    for axis, (name, (_, exact, _)) in zip(curves, _SHAPES.items(), strict=True):
        stress = np.linspace(0.03, 0.99, 60) if name == "line" else np.geomspace(0.02, 6.0, 60)
        axis.plot(stress, [exact(one) for one in stress], label="published")
        if name == "line":
            limits = 2.0 / np.pi**1.5 / stress, 0.25 * np.pi**1.5 * (1.0 - stress)
        else:
            limits = np.sqrt(0.5 / stress), 0.5 * np.exp(0.5 * (2.0 - np.euler_gamma - stress))
        for limit, label in zip(limits, ("critically stressed", "marginally pressurised"), strict=True):
            axis.plot(stress, limit, "--", linewidth=0.8, label=label)
        found = [row for row in rows if row["shape"] == name]
        axis.plot([row["stress"] for row in found], [row["front"] for row in found], "ko", label="found")
        axis.set(title=name, xlabel="stress parameter T", ylabel="λ", yscale="log")
        axis.set_ylim(0.02, 10.0)
        axis.legend(fontsize=7)
    return figure


if __name__ == "__main__":
    main()
