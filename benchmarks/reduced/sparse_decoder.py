"""A steep front of the viscous Burgers equation on the manifolds of sparse decoders, and in local bases.

The set-up of Kim, Choi, Widemann and Zohdi (2022). One decoder is that of an autoencoder, the other has drawn units and
an output by least squares. Nodes are chosen by empirical cubature of the training alone, and the models that the
targets name by their errors there. Times are against the fastest full model, which sweeps along the flow, and against
Newton's method with a sparse tangent.
"""

import dataclasses
import time
from functools import partial
from pathlib import Path

import click
import numba
import numpy as np

from benchmarks.support.publishing import publish
from benchmarks.support.targets import target, targets_table
from femnn.cli import Command
from femnn.exceptions import ConvergenceError
from femnn.io import markdown
from femnn.reduced.fit_autoencoder import AUTOENCODER_OPTIONS
from femnn.system import description
from femnn.validation import (
    VISCOUS_TEST,
    VISCOUS_TRAINING,
    LocalViscous,
    SampledViscous,
    ViscousBurgers,
    relative_error,
    viscous_decoder,
    viscous_random_decoder,
)

# Time steps that the cubature learns from, of each run; those of Newton's method that are timed; rounds of a median.
_LEARNED, _NEWTON_STEPS, _ROUNDS = 10, 10, 3


@click.command(cls=Command)
@click.option("--nodes", type=click.IntRange(min=12), default=60, show_default=True, help="Along each side.")
@click.option("--steps", type=click.IntRange(min=20), default=1500, show_default=True)
@click.option(
    "--latent",
    type=click.IntRange(min=1),
    nargs=2,
    default=(5, 8),
    show_default=True,
    help="Coordinates of the autoencoder, and with drawn units.",
)
@click.option(
    "--units", type=click.IntRange(min=1), default=12, show_default=True, help="Of each block of 6 × 6 nodes."
)
@click.option("--stride", type=click.IntRange(min=1), default=5, show_default=True, help="Steps between snapshots.")
@click.option(
    "--autoencoder/--drawn", default=True, show_default=True, help="Train one, for minutes, or draw units only."
)
@click.option("--draws", type=click.IntRange(min=1), default=3, show_default=True, help="Seeds of drawn units.")
@click.option("--epochs", type=click.IntRange(min=1), default=AUTOENCODER_OPTIONS.epochs, show_default=True)
@click.option(
    "--chosen", type=click.IntRange(min=5), multiple=True, default=(100, 150), show_default=True, help="Nodes."
)
@click.option("--lag", type=click.IntRange(min=1), default=10, show_default=True, help="Steps of the test functions.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/sparse-decoder"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(nodes, steps, latent, units, stride, autoencoder, draws, epochs, chosen, lag, out, as_json):
    """Errors and cost of reduced models on the manifolds of sparse decoders, and in local bases."""
    numba.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    study = _Study(ViscousBurgers(nodes, steps=steps))
    options = dataclasses.replace(AUTOENCODER_OPTIONS, epochs=epochs)
    made = []
    if autoencoder:
        checkpoint = out / f"decoder-{nodes}.state"
        arguments = {"stride": stride, "units": units, "options": options, "checkpoint": checkpoint}
        kept = _kept(out / f"decoder-{nodes}.seconds", lambda: viscous_decoder(study.burgers, latent[0], **arguments))
        made.append(("autoencoder", *kept))
    for seed in range(draws):
        draw = partial(viscous_random_decoder, study.burgers, latent[1], stride=stride, units=units, seed=seed)
        made.append((f"drawn units, seed {seed}", *_timed(draw)))
    decoders, rows = [], []
    for name, decoder, seconds in made:
        decoders.append({"name": name, "is": repr(decoder), "seconds": seconds, "nearest": study.nearest(decoder)})
        rows += [study.decoder_row(name, decoder, number, lag) for number in chosen]
    rows.append(study.local_row(stride))
    figures = {
        "machine": description(),
        "nodes": nodes,
        "steps": steps,
        "full_seconds": study.full,
        "newton_seconds": study.newton,
        "difference": study.difference,
        "decoders": decoders,
        "rows": rows,
    }
    # models are chosen without looking at the test
    best = min((row for row in rows if row["cells"]), key=lambda row: row["known"] if row["known"] > 0.0 else np.inf)
    figures["targets"] = [
        *_targets("of the decoder and nodes with the least error at the amplitudes of the training", best),
        target("its time, Newton's method over it", "≥ 11.6", f"{best['times_newton']:,.0f}"),
        *_targets("of local bases", rows[-1]),
    ]
    publish(out, "sparse-decoder", figures, _report(figures), as_json)


def _targets(what, row):
    return [
        target(f"error {what}", "≤ 0.9 %", _percent(row["error"])),
        target("its time, the fastest full model over it", "≥ 11.6", f"{row['times']:.1f}"),
    ]


class _Study:
    """The full model, its runs of the training and of the test, and rows of reduced models."""

    def __init__(self, burgers) -> None:
        self.burgers, steps = burgers, burgers.steps
        burgers.solve(VISCOUS_TEST, steps=1)  # compile
        self.truth = burgers.solve(VISCOUS_TEST)
        self.full = float(np.median([_timed(burgers.solve, VISCOUS_TEST)[1] for _ in range(_ROUNDS)]))
        count = min(_NEWTON_STEPS, steps)
        found, newton = _timed(burgers.solve, VISCOUS_TEST, "newton", count)
        self.newton, self.difference = newton * steps / count, relative_error(found, self.truth[: count + 1])
        self.known = {amplitude: burgers.solve(amplitude) for amplitude in VISCOUS_TRAINING}
        # runs begin at different steps
        ends = [np.linspace(1 + k, steps, _LEARNED).astype(int) for k in range(len(self.known))]
        self.states, self.previous = (
            np.concatenate([run[own - back] for run, own in zip(self.known.values(), ends, strict=True)])
            for back in (0, 1)
        )

    def nearest(self, decoder):
        """How far the nearest states of a manifold are from some of the test."""
        some = self.truth[:: max(1, self.burgers.steps // 30)]
        return relative_error(np.stack([decoder.lift(decoder.project(state)) for state in some]), some)

    def decoder_row(self, name, decoder, number, lag):
        """The row of a decoder on at most ``number`` nodes."""
        model, offline = _timed(
            lambda: SampledViscous.fit(
                self.burgers, decoder, self.states, self.previous, n_cells=number, lag=lag, progress=False
            )
        )
        figures = {"name": name, "dimension": str(decoder.n), "cells": len(model.cells), "units": model.units}
        return {**figures, **self._errors(model.march, decoder.lift), "offline": offline}

    def local_row(self, stride):
        """The row of local bases."""
        local, offline = _timed(lambda: LocalViscous.fit(self.burgers, stride=stride, progress=False))
        ranks = local.model.local.ranks
        figures = {
            "name": f"{len(ranks)} local bases, tensors",
            "dimension": f"{ranks.min()}-{ranks.max()}",
            "cells": 0,
            "units": 0,
        }
        return {**figures, **self._errors(local.march, lambda path: path.states()), "offline": offline}

    def _errors(self, march, lift):
        """Errors and times of a reduced model; not a number where a run does not converge."""
        error = seconds = known = float("nan")
        try:
            known = float(
                np.mean([relative_error(lift(march(amplitude)), run) for amplitude, run in self.known.items()])
            )
            error = relative_error(lift(march(VISCOUS_TEST)), self.truth)
            seconds = float(np.median([_timed(march, VISCOUS_TEST)[1] for _ in range(_ROUNDS)]))
        except ConvergenceError as failed:
            click.echo(str(failed), err=True)
        return {
            "known": known,
            "error": error,
            "seconds": seconds,
            "times": self.full / seconds,
            "times_newton": self.newton / seconds,
        }


def _kept(file, make):
    """What is trained and its seconds, with those of runs that were interrupted, which ``file`` keeps."""
    before = float(file.read_text()) if file.exists() else 0.0
    made, seconds = _timed(make)
    file.write_text(str(before + seconds))
    return made, before + seconds


def _timed(function, *arguments):
    """What a function gives, and its seconds of the processor, which other programs do not lengthen."""
    started = time.process_time()
    answer = function(*arguments)
    return answer, time.process_time() - started


def _percent(error):
    return f"{error:.3%}" if np.isfinite(error) else "no convergence"


def _written(row):
    """A row as it is printed: no nodes and units where tensors need none."""
    none = {} if row["cells"] else {"cells": "–", "units": "–"}
    errors = {name: _percent(row[name]) for name in ("known", "error")}
    return {**row, **none, **errors, "ms": 1e3 * row["seconds"]}


def _report(figures):
    columns = {
        "name": ("manifold", "{}"),
        "dimension": ("coordinates", "{}"),
        "cells": ("nodes", "{}"),
        "units": ("units", "{}"),
        "known": ("error at the training", "{}"),
        "error": ("error", "{}"),
        "ms": ("ms", "{:.1f}"),
        "times": ("times faster", "{:.1f}"),
        "times_newton": ("times faster than Newton", "{:,.0f}"),
        "offline": ("s to choose nodes, or to make", "{:.0f}"),
    }
    return "\n\n".join(
        [
            f"Machine: {figures['machine']}",
            f"{figures['nodes']} × {figures['nodes']} nodes, {figures['steps']} steps. The full model that sweeps "
            f"along the flow takes {figures['full_seconds']:.2f} s; Newton's method with a sparse tangent "
            f"{figures['newton_seconds']:.0f} s, by its first steps, and differs by {figures['difference']:.0e}. "
            "Errors are Frobenius norms over space and time at the amplitude between those of the training; times are "
            "those of the processor, one thread, without the states of the full model.",
            *(
                f"{one['name'].capitalize()}: {one['is']}, made in {one['seconds']:.0f} s; the nearest states of its "
                f"manifold are {one['nearest']:.3%} away."
                for one in figures["decoders"]
            ),
            markdown([_written(row) for row in figures["rows"]], columns),
            "Targets:",
            targets_table(figures["targets"]),
        ]
    )


if __name__ == "__main__":
    main()
