"""Porous bodies of hexahedra: closed solutions, orders of convergence, and what bodies of up to 100,000 cells cost.

Every measurement runs in a process of its own, whose peak of memory is its own; seconds are processor time of one
thread. What was measured is kept in the folder, so that a run that was stopped goes on.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import skfem
from tqdm import tqdm

from benchmarks.support.publishing import publish
from benchmarks.support.targets import target, targets_table
from femnn.cli import Command
from femnn.io import atomic_write, markdown
from femnn.reservoir import DualPorousMedium, PorousMedium, march_by_error
from femnn.system import description
from femnn.validation.consolidation import ball, cryer, cylinder, de_leeuw, mandel, slab

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
ELEMENTS = {"Q1-Q1": skfem.ElementHex1, "Q2-Q1": skfem.ElementHex2}

ROCK = PorousMedium(young=1e9, poisson=0.2, permeability=1e-14, porosity=0.2, grain_bulk=30e9)
_LOAD, _DISTORTION, _TOLERANCE = 1e6, 0.1, 5e-4

#: Cells along each axis of the meshes that orders come from: of the whole run, and with ``--small``.
MESHES = {"Q1-Q1": {"full": (8, 16, 32), "small": (3, 6)}, "Q2-Q1": {"full": (4, 8, 16), "small": (2, 4)}}

#: Meshes of the series by pair, and the distance that the pressure depends on.
SERIES = {
    "Cryer's ball": (cryer, lambda x: np.linalg.norm(x, axis=0), {"Q1-Q1": (ball, 6), "Q2-Q1": (ball, 3)}),
    "de Leeuw's cylinder": (
        de_leeuw, lambda x: np.linalg.norm(x[:2], axis=0), {"Q1-Q1": (cylinder, 10), "Q2-Q1": (cylinder, 6)},
    ),
    "Mandel's slab": (mandel, lambda x: x[0], {"Q1-Q1": (slab, 24), "Q2-Q1": (slab, 16)}),
}  # fmt: skip


@click.command(cls=Command)
@click.option(
    "--cells",
    type=click.IntRange(min=8),
    multiple=True,
    default=(1_000, 8_000, 50_000, 100_000),
    show_default=True,
    help="About so many cells with two pore systems are stepped; several times.",
)
@click.option("--small", is_flag=True, help="Series and orders on coarse meshes: to try whether all runs.")
@click.option("--again", is_flag=True, help="Measure what an earlier run has left in the folder again.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/porous-3d"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(cells, small, again, out, as_json):  # fmt: skip
    """Errors against series, orders on distorted meshes, and cost by size, with the targets of each."""
    jobs = [["series", name, pair, int(small)] for name in SERIES for pair in ELEMENTS]
    jobs += [["orders", pair, systems, int(small)] for pair in ELEMENTS for systems in (1, 2)]
    jobs += [["size", "Q1-Q1", count] for count in sorted(cells)]
    # quadratic displacements of more cells take more memory than there is time to wait for
    jobs += [["size", "Q2-Q1", count] for count in sorted(cells) if count <= 1_000]
    jobs += [["crack", 1 if small else 5]]
    results = _all_measured(jobs, out / "porous-3d-jobs.json", again)
    figures = {"machine": description()}
    for kind in ("series", "orders", "size", "crack"):
        figures[kind] = [result for job, result in zip(jobs, results, strict=True) if job[0] == kind]
    figures["targets"] = against_targets(figures)
    publish(out, "porous-3d", figures, report(figures), as_json)


def _all_measured(jobs, kept, again):
    """Figures of all jobs; those that an earlier run has left in the file ``kept`` are taken from there."""
    found = {} if again or not kept.exists() else json.loads(kept.read_text(encoding="utf-8"))
    for job in tqdm(jobs, desc="porous-3d", disable=None):
        name = json.dumps(job)
        if name not in found:
            found[name] = _measured(job)
            with atomic_write(kept) as temporary:
                temporary.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return [found[json.dumps(job)] for job in jobs]


def _measured(job):
    folder = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, **dict.fromkeys(_THREADS, "1")}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [folder, environment.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "benchmarks.reservoir.porous_3d_worker", json.dumps(job)]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=True)
    return json.loads(run.stdout.strip().splitlines()[-1])


def against_series(name, pair, coarse):
    """Largest error of the pressure over its undrained value, and the worst mass balance, on a distorted mesh."""
    make, distance, meshes = SERIES[name]
    mesher, n = meshes[pair]
    mesh = mesher(max(2, n // 3) if coarse else n, distortion=_DISTORTION)
    problem, exact = make(mesh, ROCK, _LOAD, element=ELEMENTS[pair](), method="splu")
    where, state = distance(problem.pressure_basis.doflocs), problem.undrained()
    errors, balances, states = [], [], [state]

    def look(new):
        balances.append(float(problem.balance(states[-1], new).error.max()))
        states[:] = [new]
        # sooner the front of the pressure is thinner than a cell
        if new.t > 0.02 * exact.time:
            errors.append(float(np.abs(new.p[0] - exact.pressure(where, new.t)).max() / exact.undrained_pressure))

    march_by_error(
        problem.step, state, [0.3 * exact.time], problem.step_error,
        tolerance=_TOLERANCE, first_step=1e-5 * exact.time, callback=look, progress=False,
    )  # fmt: skip
    gap = np.abs(state.p[0] / exact.undrained_pressure - 1.0).max()
    return {
        "body": name, "pair": pair, "cells": mesh.nelements, "steps": len(balances), "error": max(errors),
        "undrained": float(gap), "balance": max(balances),
    }  # fmt: skip


def medium(systems):
    """With one pore system or two."""
    given = {"young": 1e9, "poisson": 0.2, "permeability": 1e-11, "porosity": 0.2, "grain_bulk": 30e9}
    if systems == 1:
        return PorousMedium(**given)
    return DualPorousMedium(**given, macro_fraction=0.3, micro_permeability=1e-12, exchange=1e-11)


def against_targets(figures):
    """Rows of targets and measured values."""
    rows = [
        target(
            f"{row['body']}, {row['pair']}, {row['cells']:,} distorted cells: pressure", "≤ 1%", f"{row['error']:.2%}"
        )
        for row in figures["series"]
        if row["pair"] == "Q1-Q1"
    ]
    balance = max(row["balance"] for row in figures["series"])
    rows.append(target("mass balance with factors, worst step of all series", "≤ 1e-10", f"{balance:.0e}"))
    for row in figures["orders"]:
        least = "2, 1, 1.5" if row["pair"] == "Q1-Q1" else "3, 2, 2"
        # between the two finest meshes
        found = ", ".join(f"{order:.2f}" for order in row["orders"][-1])
        rows.append(
            target(f"orders of u, ∇u and p, {row['pair']}, pore systems: {row['systems']}", f"≥ {least}", found)
        )
    sizes = [row for row in figures["size"] if row["pair"] == "Q1-Q1"]
    if sizes:
        growth = max(row["iterations"] for row in sizes) / sizes[0]["iterations"]
        spans = f"{sizes[0]['cells']:,} to {sizes[-1]['cells']:,} cells"
        rows.append(target(f"iterations over those of the smallest, {spans}", "≤ 1.3 ×", f"{growth:.2f} ×"))
        worst = max(row["balance"] for row in sizes)
        rows.append(target("mass balance with iterations, worst of all sizes", "≤ 1e-8", f"{worst:.0e}"))
    for row in sizes:
        name = f"{row['cells']:,} cells, two pore systems"
        if 40_000 <= row["cells"] <= 60_000:
            rows.append(target(f"{name}: a step", "≤ 60 s", f"{row['step, s']:.0f} s"))
        if row["cells"] >= 40_000:
            rows.append(target(f"{name}: memory", "≤ 6 GB", f"{row['memory, GB']:.1f} GB"))
    for row in figures["crack"]:
        what = f"penny-shaped crack under shear, {row['over the radius']} cells over the radius: slip"
        rows.append(target(what, "≤ 3%", f"{row['error']:.1%}"))
    return rows


def report(figures):
    """The figures in markdown."""
    series = {
        "body": ("body", "{}"), "pair": ("pair", "{}"), "cells": ("cells", "{:,}"), "steps": ("steps", "{}"),
        "error": ("pressure", "{:.2%}"), "undrained": ("undrained", "{:.2%}"), "balance": ("balance", "{:.0e}"),
    }  # fmt: skip
    errors = {
        "pair": ("pair", "{}"), "systems": ("pore systems", "{}"), "cells": ("cells", "{:,}"),
        "u": ("u", "{:.2e}"), "∇u": ("∇u", "{:.2e}"), "p": ("p", "{:.2e}"), "orders": ("orders", "{}"),
    }  # fmt: skip
    sizes = {
        "pair": ("pair", "{}"), "cells": ("cells", "{:,}"), "unknowns": ("unknowns", "{:,}"),
        "set-up, s": ("set-up, s", "{:.1f}"), "first step, s": ("first step, s", "{:.1f}"),
        "step, s": ("step, s", "{:.1f}"), "iterations": ("iterations", "{}"), "memory, GB": ("memory, GB", "{:.2f}"),
        "balance": ("balance", "{:.0e}"),
    }  # fmt: skip
    parts = [
        f"Machine: {figures['machine']}",
        targets_table(figures["targets"]),
        markdown(figures["series"], series),
        markdown(_errors_by_mesh(figures["orders"]), errors),
        markdown(figures["size"], sizes),
    ]
    return "\n\n".join(parts)


def _errors_by_mesh(rows):
    """A row for each mesh, with the orders from the mesh before."""
    return [
        {
            "pair": row["pair"], "systems": row["systems"], "cells": cells,
            **dict(zip(("u", "∇u", "p"), errors, strict=True)), "orders": ", ".join(f"{one:.2f}" for one in orders),
        }
        for row in rows
        for cells, errors, orders in zip(row["cells"], row["errors"], [[], *row["orders"]], strict=True)
    ]  # fmt: skip


if __name__ == "__main__":
    main()
