"""Labels of elements by worker processes: speed-up of two over one, and whether the bits agree.

The labels are those that AdaptiveGauss learns from. All that a user waits for is counted: drawing the elements,
starting and stopping the workers, labelling, collecting, writing the data set. What starting takes is shown apart.
"""

import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import click
import numba

from benchmarks.support.publishing import publish
from femnn.cli import Command
from femnn.io import markdown
from femnn.quadrature.adaptive.data import label_directions, make_directional_data
from femnn.quadrature.adaptive.train import DIRECTIONAL_RECIPE
from femnn.system import description
from femnn.tasks import run_tasks

TARGET = 1.7


@click.command(cls=Command)
@click.option("--elements", type=click.IntRange(min=1), default=20_000, show_default=True, help="Elements to label.")
@click.option(
    "--workers", type=click.IntRange(min=2), default=2, show_default=True, help="Workers that are compared with one."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the elements.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/labels"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(elements, workers, seed, out, as_json):
    """Label elements in this process, with one worker and with several."""
    recipe = replace(DIRECTIONAL_RECIPE, elements=elements, seed=seed)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    threads = numba.get_num_threads()
    label_directions(recipe.hexahedra()[:8], recipe)  # compile before the clock starts
    ways = {f"this process, {threads} threads": (0, threads), "this process, 1 thread": (0, 1)}
    ways |= {f"{n} worker{'s'[: n - 1]}": (n, 1) for n in (1, workers)}
    rows, contents = [], []
    for name, (number, threads) in ways.items():
        numba.set_num_threads(threads)
        seconds, content = labelled(recipe, number)
        contents.append(content)
        start = starting(recipe, number) if number else 0.0
        rows.append({"way": name, "seconds": seconds, "start": start, "rate": elements / seconds})
    one, several = rows[-2:]
    figures = {
        "machine": description(),
        "load": load,
        "elements": elements,
        "rows": rows,
        "ratio": one["seconds"] / several["seconds"],
        "ratio_without_start": (one["seconds"] - one["start"]) / (several["seconds"] - several["start"]),
        "same_bits": all(content == contents[0] for content in contents),
    }
    publish(out, "labels", figures, report(figures, workers), as_json)


def labelled(recipe, workers):
    """Seconds that a data set takes from nothing, and its bytes."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        data = make_directional_data(Path(folder) / "data.safetensors", recipe, workers=workers)
        seconds = time.perf_counter() - started
    return seconds, [
        getattr(data, name).tobytes() for name in ("hexahedra", "poisson", "errors", "rules", "rule_errors")
    ]


def starting(recipe, workers):
    """Seconds for workers that have next to nothing to do: start, import, load compiled kernels, stop."""
    drawn = replace(recipe, elements=workers).hexahedra()
    tasks = {str(k): {"hexahedra": drawn[k : k + 1], "recipe": recipe, "first": k} for k in range(workers)}
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        run_tasks(label_directions, tasks, folder, workers=workers, progress=False).require_all()
        return time.perf_counter() - started


def report(figures, workers):
    """The figures in markdown."""
    columns = {
        "way": ("where", "{}"),
        "seconds": ("s", "{:.1f}"),
        "start": ("of it start and stop", "{:.1f}"),
        "rate": ("elements/s", "{:,.0f}"),
    }
    load = "" if figures["load"] is None else f"; load before: {figures['load']:.1f}"
    reached = "reached" if figures["ratio"] >= TARGET else "missed"
    return "\n\n".join(
        (
            f"# Labels for {figures['elements']:,} elements",
            f"{figures['machine']}{load}",
            markdown(figures["rows"], columns),
            f"{workers} workers are {figures['ratio']:.2f} × as fast as one, {figures['ratio_without_start']:.2f} × "
            f"without start and stop (target with two: {TARGET}, {reached}). "
            f"Same bits: {'yes' if figures['same_bits'] else 'no'}.",
        )
    )


if __name__ == "__main__":
    main()
