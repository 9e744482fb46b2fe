"""Convergence of the sealing fault: the small case on finer meshes and with shorter time steps.

    femnn bench fault-convergence

The small case of ``examples/sealing_fault.py`` with the law of the cell (or another) on meshes of 8 × 10 cells and
twice, four and eight times as fine, all with the same steps, and on one mesh with steps of half the length.
"""

import importlib.util
from pathlib import Path

import click

from benchmarks.support.publishing import publish
from benchmarks.support.targets import target, targets_table
from femnn.cli import Command
from femnn.io import data_folder, markdown
from femnn.system import description

# Of the small case.
COLUMNS, ROWS, STEPS = 8, 10, 15


def sealing_fault():
    """The module of the example."""
    spec = importlib.util.spec_from_file_location("sealing_fault", data_folder("examples") / "sealing_fault.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def measure(example, law, refinement, steps):
    """Slip and pressure of the case on a mesh ``refinement`` times as fine."""
    reservoir = example.reservoir_of(law, refinement * COLUMNS, refinement * ROWS)
    run = example.follow(reservoir, steps, progress=False)
    history = run.history
    dx = reservoir.points.dx
    return {
        "cells": f"{refinement * COLUMNS} × {refinement * ROWS}",
        "steps": steps,
        "slip": 1e3 * float(history.slip[-1].max()),
        "mean slip": 1e3 * float(history.slip[-1] @ dx / dx.sum()),
        "pressure": float(history.pressure[-1, :, 0].mean(axis=0).max()) / 1e6,
        "balance": float(run.balance),
        "outside": max(history.outside),
    }


SHOWN = {
    "cells": ("cells", "{}"),
    "steps": ("steps", "{}"),
    "slip": ("largest slip, mm", "{:.3f}"),
    "mean slip": ("mean slip, mm", "{:.3f}"),
    "pressure": ("pressure on the fault, MPa", "{:.3f}"),
    "balance": ("mass balance", "{:.0e}"),
    "outside": ("points out of range", "{}"),
}


@click.command(cls=Command)
@click.option("--law", "name", default="rve", show_default=True, help="Recurrent law of the fault, name or file.")
@click.option("--meshes", type=click.IntRange(2, 5), default=4, show_default=True, help="Meshes, each twice as fine.")
@click.option("--halvings", type=click.IntRange(0, 5), default=3, show_default=True, help="Of the time steps.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/fault-convergence"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(name, meshes, halvings, out, as_json):
    """Slip of the sealing fault on finer meshes and with shorter steps."""
    example = sealing_fault()
    law = example.law_of("recurrent", name)
    by_mesh = [measure(example, law, 2**k, STEPS) for k in range(meshes)]
    by_steps = [by_mesh[1], *(measure(example, law, 2, STEPS * 2**k) for k in range(1, halvings + 1))]
    figures = {"machine": description(), "law": name, "meshes": by_mesh, "time steps": by_steps}
    figures["targets"] = [
        target(
            f"{what} of the two finest {rows}", "≤ 5%",
            f"{abs(found[-2][key] / found[-1][key] - 1.0):.1%}"
        )
        for rows, found in (("meshes", by_mesh), ("time steps", by_steps))
        for key, what in (("slip", "largest slip"), ("mean slip", "mean slip"))
    ]  # fmt: skip
    parts = [f"Machine: {figures['machine']}; law {name!r}", markdown(by_mesh, SHOWN), markdown(by_steps, SHOWN)]
    publish(out, "fault-convergence", figures, "\n\n".join([*parts, targets_table(figures["targets"])]), as_json)


if __name__ == "__main__":
    main()
