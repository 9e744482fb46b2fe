"""Two scales: a cell with a stiff inclusion in full, hyper-reduced and as a recurrent law, along unseen paths.

Errors of the homogenised stress on cyclic paths that are not proportional, times, the same with finer steps, and a
perforated plate whose material each of them is. Snapshots, stresses of the full cell, data and laws are kept in the
folder of the figures, so that a run that was broken off goes on, path by path. The cell of the targets is that of
``--cells 20 --training 10 --modes 72 --steps 20 --data 150 --epochs 80 --finer 1 --plate 0``, which takes an hour.
"""

import time
from pathlib import Path

import click
import numba
import numpy as np

from benchmarks.support.publishing import publish
from benchmarks.support.targets import target, targets_table
from femnn.cli import Command
from femnn.io import markdown
from femnn.multiscale.fe2 import Composite
from femnn.system import description
from femnn.validation import PerforatedPlate, Sizes, TwoScales, path_errors, timed_follow

# Times that the paths of a timing are repeated for the laws that answer many points in one call.
_SIDE_BY_SIDE = 16

# Laws that the plate is computed with beside the full cell.
_AT_POINTS = ("reduced cell", "recurrent law")


@click.command(cls=Command)
@click.option("--cells", type=click.IntRange(min=2), default=6, show_default=True, help="Hexahedra along an edge.")
@click.option(
    "--bond", type=float, default=25e6, show_default=True, help="Strength of the interface (Pa); 0 is perfect."
)
@click.option("--training", type=click.IntRange(min=2), default=16, show_default=True, help="Paths to learn from.")
@click.option("--images", type=click.IntRange(min=1), default=1, show_default=True, help="Of each, by symmetry.")
@click.option("--unseen", type=click.IntRange(min=1), default=20, show_default=True, help="Paths to be tried on.")
@click.option("--finer", type=click.IntRange(min=1), default=2, show_default=True, help="Of these with finer steps.")
@click.option("--steps", type=click.IntRange(min=4), default=30, show_default=True, help="Of a path.")
@click.option("--modes", type=click.IntRange(min=1), default=60, show_default=True, help="Of the fluctuations.")
@click.option("--tol", type=float, default=5e-3, show_default=True, help="Of the cubature.")
@click.option("--data", type=click.IntRange(min=4), default=300, show_default=True, help="Paths of the recurrent law.")
@click.option("--epochs", type=click.IntRange(min=1), default=100, show_default=True, help="Of its training.")
@click.option(
    "--gated-epochs",
    type=click.IntRange(min=1),
    default=None,
    help="Of LSTM and GRU; as many as the others by default.",
)
@click.option("--units", type=click.IntRange(min=1), default=12, show_default=True, help="Of the recurrent law.")
@click.option(
    "--openings", type=click.IntRange(min=0), default=8, show_default=True, help="Units that open, if any bond."
)
@click.option("--plate", type=click.IntRange(min=0), default=2, show_default=True, help="Elements across; 0 for none.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/two-scales"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(
    cells,
    bond,
    training,
    images,
    unseen,
    finer,
    steps,
    modes,
    tol,
    data,
    epochs,
    gated_epochs,
    units,
    openings,
    plate,
    out,
    as_json,
):
    """Errors and cost of a cell in full, reduced and learned."""
    numba.set_num_threads(1)
    sizes = Sizes(
        training, steps, modes, tol, data, units=units, openings=openings if bond else 0, epochs=epochs, images=images
    )
    study = TwoScales(Composite(cells=cells, bond=bond), sizes, out)
    laws = {
        "reduced cell": study.reduced(),
        "recurrent law": study.recurrent(),
        "LSTM": study.gated("lstm", gated_epochs),
        "GRU": study.gated("gru", gated_epochs),
    }
    paths, full, per_step = study.references(unseen)
    references = {k: study.references(finer, k)[1] for k in (2, 10)}
    rows = [_row(name, law, study, paths, full, per_step, references) for name, law in laws.items()]
    figures = {
        "machine": description(),
        "cells": study.cell.mesh.nelements,
        "bond": bond,
        "unknowns": study.cell.n_fluctuations,
        "training": training,
        "images": images,
        "data": data,
        "unseen": unseen,
        "finer": finer,
        "steps": steps,
        "full_seconds_a_step": per_step,
        "seconds_to_make": study.seconds,
        "rows": rows,
        "plate": _plate(study, {name: laws[name] for name in _AT_POINTS}, plate) if plate else [],
    }
    figures["targets"] = _targets(figures)
    publish(out, "two-scales", figures, _report(figures), as_json)


def _row(name, law, study, paths, full, per_step, references):
    found = timed_follow(law, paths)[0]
    errors = path_errors(found, full)
    many = np.tile(paths, (max(1, _SIDE_BY_SIDE // len(paths)), 1, 1))
    seconds = timed_follow(law, many)[1] / (many.shape[0] * many.shape[1])
    finer = {k: path_errors(timed_follow(law, study.unseen(len(f), k))[0], f) for k, f in references.items()}
    few = errors[: len(references[2])]
    return {
        "law": name,
        "what": repr(law),
        "mean": float(errors.mean()),
        "worst": float(errors.max()),
        "microseconds": 1e6 * seconds,
        "times": per_step / seconds,
        "coarse": float(few.mean()),
        "halved": float(finer[2].mean()),
        "tenth": float(finer[10].mean()),
    }


def _plate(study, laws, across):
    plate = PerforatedPlate(2 * across, across)
    u, forces, seconds = study.plate(across)
    rows = [_plate_row("full cell", plate, u, forces, (u, forces), seconds)]
    for name, law in laws.items():
        started = time.process_time()
        path, found = plate.stretch(law, progress=False)
        seconds = time.process_time() - started
        rows.append(_plate_row(name, plate, path.u, found, (u, forces), seconds))
    return rows


def _plate_row(name, plate, u, forces, expected, seconds):
    return {
        "law": name,
        "elements": plate.mesh.nelements,
        "displacement": float(np.linalg.norm(u - expected[0]) / np.linalg.norm(expected[0])),
        "force": float(np.abs(forces - expected[1]).max() / np.abs(expected[1]).max()),
        "seconds": seconds,
    }


def _targets(figures):
    reduced, recurrent, *networks = figures["rows"]
    size = f"{figures['cells']:,} hexahedra"
    rows = [
        target("hexahedra of the cell", "≥ 8,000", f"{figures['cells']:,}"),
        target(f"mean error of the reduced cell, {size}", "≤ 1 %", f"{reduced['mean']:.2%}"),
        target("its worst error", "≤ 3 %", f"{reduced['worst']:.2%}"),
        target("times faster than the full cell", "≥ 200", f"{reduced['times']:,.0f}"),
        target("mean error of the recurrent law", "≤ 3 %", f"{recurrent['mean']:.2%}"),
        target("times faster than the full cell, recurrent", "≥ 100,000", f"{recurrent['times']:,.0f}"),
        target(
            "its error with steps halved, over that of whole ones",
            "≤ 1.5",
            f"{recurrent['halved'] / recurrent['coarse']:.2f}",
        ),
        target(
            "its error with a tenth of the steps, over that of whole ones",
            "≤ 1.5",
            f"{recurrent['tenth'] / recurrent['coarse']:.2f}",
        ),
    ]
    rows += [
        target(f"mean error of the {row['law']}, for comparison", "≤ 3 %", f"{row['mean']:.2%}") for row in networks
    ]
    if figures["plate"]:
        rows.append(target("plate: force and displacement of reduced FE² against FE²", "≤ 1 %",
                           f"{max(figures['plate'][1][key] for key in ('force', 'displacement')):.2%}"))  # fmt: skip
    return rows


def _report(figures):
    columns = {
        "law": ("law", "{}"),
        "what": ("size", "{}"),
        "mean": ("mean error", "{:.2%}"),
        "worst": ("worst error", "{:.2%}"),
        "microseconds": ("µs a step", "{:,.0f}"),
        "times": ("times faster", "{:,.0f}"),
        "coarse": ("error, few paths", "{:.2%}"),
        "halved": ("steps halved", "{:.2%}"),
        "tenth": ("a tenth", "{:.2%}"),
    }
    plate = {
        "law": ("law of the plate", "{}"),
        "elements": ("elements", "{}"),
        "displacement": ("displacement", "{:.2%}"),
        "force": ("force", "{:.2%}"),
        "seconds": ("s", "{:.2f}"),
    }
    made = ", ".join(f"{name} {seconds:,.0f} s" for name, seconds in figures["seconds_to_make"].items()) or "nothing"
    bond = f"an interface of {figures['bond'] / 1e6:g} MPa that breaks" if figures["bond"] else "a perfect bond"
    parts = [
        f"Machine: {figures['machine']}",
        f"A periodic cell of {figures['cells']:,} hexahedra, {figures['unknowns']:,} unknowns, with a stiff ball in a "
        f"matrix that yields and {bond}; {figures['training']} paths of training, {figures['images']} images of "
        f"each by symmetry, {figures['data']} of the reduced "
        "cell "
        f"for the recurrent law, {figures['unseen']} unseen paths of {figures['steps']} steps, each of which takes "
        f"{1e3 * figures['full_seconds_a_step']:.0f} ms in full without its tangent; {figures['finer']} of them with "
        f"finer steps, against the full cell with the same. Times are those of the processor, one thread, of a step "
        f"without its tangent, one of many side by side. What was not there from an earlier run was made in: {made}.",
        markdown(figures["rows"], columns),
    ]
    if figures["plate"]:
        parts.append(markdown(figures["plate"], plate))
    return "\n\n".join([*parts, "Targets:", targets_table(figures["targets"])])


if __name__ == "__main__":
    main()
