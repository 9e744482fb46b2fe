"""A step of a porous body on one MPI rank and on two, beside the same step without ranks.

Ranks need the environment of `make test-mpi`, whose Python and mpiexec are called. Every row is from processes of their
own, one thread each; seconds are of the clock, so close everything else: the load of the machine is in the report.
Where other programs run, ranks wait for each other's turn on the cores at every exchange; the processor time of the
busiest rank is beside the seconds of the clock for that.
"""

import os
import sys
from pathlib import Path

import click
from tqdm import tqdm

from benchmarks.support.processes import ROOT, figures_of, mpiexec
from benchmarks.support.publishing import publish
from benchmarks.support.targets import target, targets_table
from femnn.cli import Command
from femnn.exceptions import FemnnError
from femnn.io import markdown
from femnn.system import description

_SECONDS = 3600


@click.command(cls=Command)
@click.option("--edge", "edges", type=click.IntRange(min=2), multiple=True, default=(20, 46), show_default=True,
              help="Cells along each edge of the body; several times.")  # fmt: skip
@click.option("--ranks", type=click.IntRange(min=1), multiple=True, default=(1, 2), show_default=True)
@click.option("--python", "interpreter", type=click.Path(path_type=Path), default=ROOT / ".venv-mpi/bin/python",
              help="Python of the ranks.  [default: of `make test-mpi`]")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/porous-ranks"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(edges, ranks, interpreter, out, as_json):
    """Steps of a distorted body with two pore systems and a well, on ranks and in one process."""
    if mpiexec() is None or not interpreter.exists():
        raise FemnnError(f"ranks need mpiexec and {interpreter}; run `make test-mpi`, or pass --python")
    # of one thread, as ranks are
    starts = {"no ranks": ["env", "NUMBA_NUM_THREADS=1", sys.executable]}
    for count in ranks:
        # who waits lets others have the core
        options = ["--oversubscribe", "--mca", "mpi_yield_when_idle", "1"]
        starts[f"{count} rank{'s' if count > 1 else ''}"] = [mpiexec(), *options, "-n", count, interpreter]
    figures = {"machine": description(), "load": os.getloadavg()[0], "rows": []}
    for edge in tqdm(edges, desc="porous-ranks", disable=None):
        for name, start in starts.items():
            kind, python = ("serial", None) if name == "no ranks" else ("ranks", interpreter)
            command = (*start, "-m", "benchmarks.reservoir.porous_ranks_worker", kind, edge)
            figures["rows"].append({"way": name, **figures_of(command, seconds=_SECONDS, ranks=python)})
    publish(out, "porous-ranks", figures, report(figures), as_json)


def against_targets(rows):
    """Rows of targets and measured values, of the largest body."""
    largest = {row["way"]: row for row in rows if row["cells"] == max(row["cells"] for row in rows)}
    found = []
    if {"1 rank", "2 ranks"} <= largest.keys():
        one, two = largest["1 rank"], largest["2 ranks"]
        what = f"a step of {one['cells']:,} cells on two ranks"
        found.append(target(f"{what} over one", "≥ 1.5 ×", f"{one['step, s'] / two['step, s']:.2f} ×"))
        spent = one["processor, s"] / two["processor, s"]
        found.append(target(f"{what} over one, processor time of the busiest rank", "–", f"{spent:.2f} ×"))
    worst = max(row["balance"] for row in rows)
    return [*found, target("mass balance, worst step of all", "≤ 1e-8", f"{worst:.0e}")]


def report(figures):
    """The figures in markdown."""
    columns = {
        "cells": ("cells", "{:,}"), "way": ("on", "{}"), "set-up, s": ("set-up, s", "{:.1f}"),
        "first step, s": ("first step, s", "{:.1f}"), "step, s": ("step, s", "{:.1f}"),
        "processor, s": ("processor time of a step, s", "{:.1f}"),
        "iterations": ("iterations", "{}"), "memory, GB": ("memory of a process, GB", "{:.2f}"),
        "balance": ("balance", "{:.0e}"),
    }  # fmt: skip
    return "\n\n".join([
        f"Machine: {figures['machine']}; load at the start {figures['load']:.1f}",
        targets_table(against_targets(figures["rows"])),
        markdown(figures["rows"], columns),
    ])  # fmt: skip


if __name__ == "__main__":
    main()
