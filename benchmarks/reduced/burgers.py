"""Reduced models of a travelling shock, the inviscid Burgers equation in two dimensions, against two full models.

Errors at three parameters that no training saw, and times against the fastest full model, which goes cell after cell
along the flow, and against Newton's method with a sparse tangent. Trainings are kept in the folder of the figures.
"""

import dataclasses
import time
from pathlib import Path

import click
import numba
import numpy as np

from benchmarks.support.publishing import publish
from benchmarks.support.targets import target, targets_table
from femnn.cli import Command
from femnn.exceptions import ConvergenceError
from femnn.io import markdown
from femnn.reduced.fit_closure import OPTIONS
from femnn.system import description
from femnn.validation import BURGERS_TESTS, Burgers, BurgersStudy, relative_error

# Runs of a model of which the median time counts, and what one may take, in seconds, to be run more than once.
_ROUNDS, _LONG = 5, 2.0

# Time steps of Newton's method that are timed: all would take a minute or two.
_NEWTON_STEPS = 50

# Modes of the basis that local ones are made in, of the one for other models, and what these take of them, as in the
# published comparison.
_FINE, _MODES, _TAKEN = 220, 160, 153


@click.command(cls=Command)
@click.option("--cells", type=click.IntRange(min=10), default=100, show_default=True, help="Cells along each side.")
@click.option("--steps", type=click.IntRange(min=20), default=500, show_default=True)
@click.option("--epochs", type=click.IntRange(min=1), default=600, show_default=True, help="Of the networks.")
@click.option("--newton/--no-newton", default=True, show_default=True, help="Time the sparse full model as well.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/burgers"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(cells, steps, epochs, newton, out, as_json):
    """Reduced models of Burgers' equation: subspaces, local bases, manifolds, networks."""
    numba.set_num_threads(1)
    figures = {"machine": description(), **measure(out, cells, steps, epochs, newton)}
    publish(out, "burgers", figures, f"Machine: {figures['machine']}\n\n{report(figures)}", as_json)


def measure(out, cells=100, steps=500, epochs=600, newton=True):
    """Figures of all models."""
    out.mkdir(parents=True, exist_ok=True)
    burgers = Burgers(cells, steps=steps)
    burgers.solve(BURGERS_TESTS[0], steps=2)  # compile
    truths = [burgers.solve(parameters) for parameters in BURGERS_TESTS]
    full = float(np.median([_timed(burgers.solve, BURGERS_TESTS[0])[1] for _ in range(_ROUNDS)]))
    by_newton, difference = None, None
    if newton:
        count = min(_NEWTON_STEPS, steps)
        states, seconds = _timed(burgers.solve, BURGERS_TESTS[0], "newton", count)
        by_newton, difference = seconds * steps / count, relative_error(states, truths[0][: count + 1])
    study, seconds = _timed(BurgersStudy, burgers, _MODES)
    fine = BurgersStudy(burgers, _FINE)
    options, taken = dataclasses.replace(OPTIONS, epochs=epochs), min(_TAKEN, study.pod.r)
    builders = (
        lambda: study.linear(taken, 400),
        lambda: fine.local(10, 1.5e-4),
        lambda: fine.local(40, 5e-3, 1.0),
        lambda: study.quadratic(15, 100, taken),
        lambda: study.network(10, 100, taken, (64, 144), options, out / f"closure-{cells}.state"),
        lambda: study.data_driven(taken, (64, 144), options, out / f"map-{cells}.state"),
    )
    rows = []
    for build in builders:
        run, offline = _timed(build)
        rows.append(_row(run, offline, truths, full, by_newton))
        click.echo(f"{run.name}: {rows[-1]['errors'][0]:.4%}, {rows[-1]['seconds']:.4f} s", err=True)
    return {
        "cells": cells**2,
        "steps": steps,
        "modes": _MODES,
        "fine": _FINE,
        "snapshots": len(study.coefficients),
        "snapshots_seconds": seconds,
        "full_seconds": full,
        "newton_seconds": by_newton,
        "difference": difference,
        "rows": rows,
        "targets": _targets(rows, full, by_newton),
    }


def _timed(function, *arguments):
    """What a function gives, and its seconds of the processor, which other programs do not lengthen."""
    started = time.process_time()
    answer = function(*arguments)
    return answer, time.process_time() - started


def _row(run, offline, truths, full, by_newton):
    errors = [_error(run, p, truth) for p, truth in zip(BURGERS_TESTS, truths, strict=True)]
    seconds = lifting = float("nan")
    if np.isfinite(errors[0]):
        path, seconds = _timed(run.march, BURGERS_TESTS[0])
        if seconds < _LONG:
            seconds = float(np.median([_timed(run.march, BURGERS_TESTS[0])[1] for _ in range(_ROUNDS)]))
        lifting = float(np.median([_timed(run.states, path)[1] for _ in range(_ROUNDS)]))
    return {
        "method": run.name,
        "dimension": run.dimension,
        "cells": run.cells,
        "errors": errors,
        "seconds": seconds,
        "times": full / seconds,
        "times_newton": by_newton and by_newton / seconds,
        "lifting": lifting,
        "offline": offline,
    }


def _error(run, parameters, truth):
    """Error of a run; NaN if it does not converge."""
    try:
        return relative_error(run.states(run.march(parameters)), truth)
    except ConvergenceError:
        return float("nan")


def _targets(rows, full, by_newton):
    linear, ten, forty, _, closure, _ = rows
    kept = [
        target("full model, s", "≤ 94", f"{full:.2f}"),
        target("linear subspace with cubature, error", "≤ 0.05 %", f"{linear['errors'][0]:.4%}"),
        target("ten local bases, error", "≤ 0.03 %", f"{ten['errors'][0]:.4%}"),
        target("ten local bases, times faster than the fastest full model", "≥ 5", f"{ten['times']:.1f}"),
        target("network closure, error", "≤ 0.27 %", f"{closure['errors'][0]:.3%}"),
        target("network closure, times faster than the fastest full model", "≥ 14", f"{closure['times']:.1f}"),
        target("forty small local bases, error", "≤ 0.86 %", f"{forty['errors'][0]:.3%}"),
        target("forty small local bases, times faster than the fastest full model", "≥ 50", f"{forty['times']:.0f}"),
    ]
    if by_newton:
        kept[0] = target("full models, s: cell after cell, Newton", "≤ 94", f"{full:.2f}, {by_newton:.0f}")
        kept.append(
            target("network closure, times faster than Newton's method", "≥ 14", f"{closure['times_newton']:.0f}")
        )
    return kept


def report(figures):
    """Models and targets in markdown."""
    rows = [
        {
            **row,
            "cells": row["cells"] or "–",
            **{
                f"error{k}": f"{error:.4%}" if error == error else "no convergence"
                for k, error in enumerate(row["errors"])
            },
            "times_newton": f"{row['times_newton']:,.0f}" if row["times_newton"] else "–",
            "milliseconds": 1e3 * row["seconds"],
            "lifting": 1e3 * row["lifting"],
        }
        for row in figures["rows"]
    ]
    columns = {
        "method": ("method", "{}"),
        "dimension": ("dimension", "{}"),
        "cells": ("cells", "{}"),
        **{f"error{k}": (f"error at {parameters}", "{}") for k, parameters in enumerate(BURGERS_TESTS)},
        "milliseconds": ("ms", "{:.1f}"),
        "times": ("times faster", "{:,.1f}"),
        "times_newton": ("times faster than Newton", "{}"),
        "lifting": ("ms for all states", "{:.0f}"),
        "offline": ("s to make", "{:.0f}"),
    }
    sparse = ""
    if figures["newton_seconds"]:
        sparse = (
            f" Newton's method with a sparse tangent takes {figures['newton_seconds']:.0f} s, by its first steps, and "
            f"differs by {figures['difference']:.0e}."
        )
    return "\n\n".join(
        [
            f"{figures['cells']:,} cells, {figures['steps']} steps. The full model that goes cell after cell along the "
            f"flow takes {figures['full_seconds']:.2f} s.{sparse} {figures['snapshots']:,} snapshots of nine "
            f"parameters and their {figures['modes']} modes, {figures['fine']} for local bases, took "
            f"{figures['snapshots_seconds']:.0f} s. Times are those of the processor, one thread; those of reduced "
            "models are without the states of the full model, which take the time of their own column.",
            markdown(rows, columns),
            "Targets, at the first of the three parameters:",
            targets_table(figures["targets"]),
        ]
    )


if __name__ == "__main__":
    main()
