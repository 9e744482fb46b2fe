"""A swinging plane beam, full and reduced: errors of positions and velocities, cost, and what energy does.

The set-up of libROM's example of nonlinear elasticity: two throws are learned from, one between them is asked for. All
runs take the same steps, which keep the energy that a run integrates.
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
from femnn.system import description
from femnn.validation import DynamicBeam

TRAINING, TEST = (0.9, 1.1), 1.0

#: Modes and tolerances of the cubatures; the targets name the last.
MODELS = ((8, 1e-3), (12, 1e-3), (20, 1e-3))
_NAMED = 2

# Drifts below this are rounding and what the iterations leave.
_ROUNDING = 1e-11


@click.command(cls=Command)
@click.option("--cells", type=click.IntRange(min=1), nargs=2, default=(64, 8), show_default=True)
@click.option("--steps", type=click.IntRange(min=10), default=500, show_default=True, help="Of 0.01.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/dynamic-beam"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(cells, steps, out, as_json):
    """Positions, velocities and energy of a swinging beam by reduced models."""
    numba.set_num_threads(1)
    beam = DynamicBeam(cells, steps=steps)
    DynamicBeam((2, 1), steps=1).run(1.0)  # compile
    swings = [_timed(beam.run, scale)[0] for scale in TRAINING]
    truth, seconds = _timed(beam.run, TEST)
    rows = [_row(beam, swings, truth, seconds, *model) for model in MODELS]
    figures = {
        "machine": description(),
        "cells": beam.mesh.nelements,
        "unknowns": beam.solid.n_dofs,
        "steps": steps,
        "full_seconds": seconds,
        "drift": beam.drift(truth.u, truth.v),
        "rows": rows,
    }
    figures["targets"] = _targets(figures)
    publish(out, "dynamic-beam", figures, _report(figures), as_json)


def _timed(function, *arguments):
    """What a function gives, and its seconds of the processor, which other programs do not lengthen."""
    started = time.process_time()
    answer = function(*arguments)
    return answer, time.process_time() - started


def _row(beam, swings, truth, full, modes, tol):
    model, offline = _timed(beam.reduce, swings, modes, tol)
    swing, seconds = _timed(beam.run, TEST, model)
    found = model.lift(swing)
    return {
        "modes": modes,
        "tol": tol,
        "points": model.cubature.n_points,
        "cells": len(model.cubature.cells),
        "position": _distance(found.u, truth.u),
        "velocity": _distance(found.v, truth.v),
        "last_velocity": _distance(found.v[-1], truth.v[-1]),
        "drift": beam.drift(found.u, found.v, model.cubature),
        "whole_drift": beam.drift(found.u, found.v),
        "seconds": seconds,
        "times": full / seconds,
        "offline": offline,
    }


def _distance(found, expected):
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def _targets(figures):
    row = figures["rows"][_NAMED]
    return [
        target(f"error of the position, {row['modes']} modes", "≤ 2e-3", f"{row['position']:.1e}"),
        target("error of the velocity", "≤ 5e-2", f"{row['velocity']:.1e}"),
        target("time, full over reduced", "≥ 10", f"{row['times']:.1f}"),
        target(
            "drift of the energy that the model integrates, full run's beside it",
            f"≤ the full run's, or {_ROUNDING:g}",
            f"{row['drift']:.1e}, {figures['drift']:.1e}",
        ),
    ]


def _report(figures):
    columns = {
        "modes": ("modes", "{}"),
        "tol": ("tol of the cubature", "{:g}"),
        "points": ("points", "{:,}"),
        "cells": ("cells", "{:,}"),
        "position": ("error of the position", "{:.1e}"),
        "velocity": ("error of the velocity", "{:.1e}"),
        "last_velocity": ("velocity at the end", "{:.1e}"),
        "drift": ("drift of its energy", "{:.1e}"),
        "whole_drift": ("drift of the energy of all points", "{:.1e}"),
        "seconds": ("s", "{:.2f}"),
        "times": ("times faster", "{:.1f}"),
        "offline": ("s to make", "{:.0f}"),
    }
    return "\n\n".join(
        [
            f"Machine: {figures['machine']}",
            f"{figures['cells']:,} quadrilaterals of second order, {figures['unknowns']:,} unknowns, "
            f"{figures['steps']} steps, which take {figures['full_seconds']:.1f} s in full; the drift of energy is "
            f"{figures['drift']:.1e} there. Errors are norms over space and time, relative to the full run; times are "
            "those of the processor, one thread, without the states of the full model.",
            markdown(figures["rows"], columns),
            "Targets:",
            targets_table(figures["targets"]),
        ]
    )


if __name__ == "__main__":
    main()
