"""Three scales: cost of an update at each, and the error of each law against the scale below.

The particle model runs a path of 140 points (LAMMPS), a cell of blocks and cracks with the law of grains runs paths
that its law has not seen, laws answer many points side by side on one thread. Then the examples: the columns and the
slab with known solutions, and the small case of the sealing fault with the law of the cell and with the cell in the
loop.
"""

import importlib.util
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
from matplotlib.figure import Figure

import femnn
from benchmarks.cohesive.grain_laws import timed
from benchmarks.support.publishing import publish
from benchmarks.support.targets import target, targets_table
from femnn.cli import Command
from femnn.cli.train_layer import split_layer
from femnn.cohesive.training import path_data, responses, rms_errors, targets
from femnn.io import data_folder, locate, markdown
from femnn.multiscale.grains import GrainLayer, constant_load, load, mismatch, prepare, run_path
from femnn.multiscale.rve import FaultCell, RVELaw, simulate_paths
from femnn.plotting import save
from femnn.system import description

# Neither training nor the example has seen its paths.
_SEED = 2_000_003

_POINTS = 140


@click.command(cls=Command)
@click.option("--particles/--no-particles", default=True, show_default=True, help="Run grains, which needs LAMMPS.")
@click.option("--grains", type=click.IntRange(min=100), default=1500, show_default=True, help="Grains of the layer.")
@click.option("--paths", type=click.IntRange(min=2), default=40, show_default=True, help="Unseen paths of the cell.")
@click.option("--reservoir/--no-reservoir", default=True, show_default=True, help="Run the reservoir and its fault.")
@click.option(
    "--points", type=click.IntRange(min=1), default=10_000, show_default=True, help="Points at which laws are timed."
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/multiscale"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(particles, grains, paths, reservoir, points, out, as_json):
    """Cost and error of every scale, from grains to a sealing fault."""
    figures = {
        "machine": description(),
        "grains": measure_grains(grains) if particles else None,
        "law of grains": measure_law(),
        "cell": measure_cell(out, paths),
        "seconds of a law": {name: timed(locate(f"cohesive-{name}")[0], points) for name in ("grains", "rve")},
        "consolidation": _example("consolidation").main(out=out) if reservoir else None,
        "fault": measure_fault() if reservoir else None,
    }
    figures["targets"] = against_targets(figures)
    _draw(out / "multiscale.png", figures)
    publish(out, "multiscale", figures, report(figures), as_json)


def measure_grains(grains):
    """A layer sheared to and fro under the pressure p0: time and what it is known by."""
    layer = GrainLayer(grains=grains)
    # a sample from the user's cache would take no time
    with tempfile.TemporaryDirectory() as cache:
        begun = time.perf_counter()
        prepare(layer, cache)
        prepared = time.perf_counter() - begun
        begun = time.perf_counter()
        record = run_path(layer, constant_load(2.0, points=_POINTS), cache)
        seconds = time.perf_counter() - begun
    return {
        "grains": grains,
        "preparation, s": prepared,
        "path, s": seconds,
        "a point, s": seconds / _POINTS,
        "walls against contacts, median": float(np.median(mismatch(record.traction, record.love_weber))),
        "walls against contacts, worst": float(mismatch(record.traction, record.love_weber).max()),
        "peak friction ratio": float((-record.traction[:, 1] / record.traction[:, 0]).max()),
        "largest opening, d": float(record.separation[:, 0].max()),
        "contacts of a grain": [float(record.coordination[0]), float(record.coordination.min())],
    }


def measure_law():
    """Errors of the shipped law of grains on paths that it has not seen, beside the scatter between samples."""
    law, data = femnn.RecurrentCohesive.load("grains"), load()
    checks = data.about["checks"]
    unseen = split_layer(data)[2]["unseen"]
    found, wanted = targets(replace(unseen, tractions=responses(law, unseen))), targets(unseen)
    gap, pressure = found[..., 0] - wanted[..., 0], -unseen.tractions[..., 0]
    return {
        **rms_errors(responses(law, unseen), unseen),
        "by pressure": {least: float(np.sqrt((gap[pressure > least] ** 2).mean())) for least in (0.05, 0.2, 0.5)},
        "scatter of ln_normal": checks["scatter between samples, log_normal"],
        "scatter of ratio": checks["scatter between samples, ratio"],
    }


def measure_cell(out, paths):
    """Unseen paths of the cell with the law of grains: its cost, its consistency, and what its law misses."""
    drawn, failures = simulate_paths("grains", out / "cell", paths=paths, seed=_SEED, workers=1)
    data = path_data(drawn.separation, drawn.traction)
    found = responses(femnn.RecurrentCohesive.load("rve"), data)
    size = np.linalg.norm(data.tractions, axis=-1).mean()
    gap = np.linalg.norm(found - data.tractions, axis=-1)
    closed = rms_errors(found, data)
    return {
        "paths": len(drawn),
        "failed": len(failures),
        "an update, s": _seconds_of_cell(drawn),
        "Hill-Mandel": float(drawn.hill_mandel.max()),
        "outside": float(drawn.outside.mean()),
        "traction": float(gap.mean() / size),
        "by kind": {str(kind): float(gap[drawn.kind == kind].mean() / size) for kind in np.unique(drawn.kind)},
        "ln_normal": closed["ln_normal"],
        "ratio": closed["ratio"],
    }


def _seconds_of_cell(drawn):
    """Of an update of a cell in the loop: as a law, with its tangent."""
    micro = femnn.RecurrentCohesive.load("grains")
    law = RVELaw(FaultCell.around(micro).rve(micro))
    state, begun = law.initial_state(1), time.perf_counter()
    for separation in drawn.separation[0]:
        state = law.update(separation[None], state).state
    return (time.perf_counter() - begun) / len(drawn.separation[0])


def measure_fault():
    """The small case of the sealing fault: gaps between the law of the cell and the cell in the loop, and times."""
    _, compared = _example("sealing_fault").main(laws=(), recurrent="rve", cracks="grains")
    return compared


def _example(name):
    """The module of an example."""
    spec = importlib.util.spec_from_file_location(name, data_folder("examples") / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def against_targets(figures):
    """Rows of targets and measured values."""
    rows, law, cell, seconds = [], figures["law of grains"], figures["cell"], figures["seconds of a law"]

    def row(what, limit, measured):
        rows.append(target(what, limit, measured))

    if grains := figures["grains"]:
        row(f"{_POINTS} points of {grains['grains']:,} grains", "≤ 60 s", f"{grains['path, s']:.0f} s")
        worst = f"{grains['walls against contacts, median']:.2%}, worst {grains['walls against contacts, worst']:.1%}"
        row("walls against contacts, median over the points", "≤ 3%", worst)
        row("updates of the law over those of grains", "≥ 1e+05 ×", f"{grains['a point, s'] / seconds['rve']:.1e} ×")
    for key, what, fixed in (("ratio", "t_s/t_n", 0.05), ("ln_normal", "ln t_n", 0.20)):
        scatter = law[f"scatter of {key}"]
        limit = f"≤ {max(fixed, 1.2 * scatter):.3f} = max({fixed:g}, 1.2 × {scatter:.3f})"
        row(f"law of grains on unseen paths, rms of {what}", limit, f"{law[key]:.3f}")
    # answers are not cut off at the pressure below which a layer counts as open
    for least, error in law["by pressure"].items():
        row(f"the same, pressures above {least} p0 only, answers followed down to 0.001 p0", "–", f"{error:.3f}")
    row("gap of Hill and Mandel, worst step", "≤ 1e-08", f"{cell['Hill-Mandel']:.0e}")
    row("law of the cell against it, mean traction on unseen paths", "≤ 3%", f"{cell['traction']:.1%}")
    row("updates of the law over those of the cell", "≥ 1,000 ×", f"{cell['an update, s'] / seconds['rve']:,.0f} ×")
    for name, own in (figures["consolidation"] or {}).items():
        row(f"{name}: pressure against its solution", "≤ 1%", f"{own['pressure error']:.2%}")
        row(f"{name}: mass balance, worst step", "≤ 1e-10", f"{own['mass balance']:.0e}")
    for name, own in (figures["fault"] or {}).items():
        for key, value in own.items():
            row(f"sealing fault, {name}: {key}", "≤ 5%", f"{value:.1%}")
    return rows


def report(figures):
    """Tables of the figures."""
    law, cell, seconds = figures["law of grains"], figures["cell"], figures["seconds of a law"]
    kinds = ", ".join(f"{kind} {error:.1%}" for kind, error in cell["by kind"].items())
    costs = [
        {"scale": "law of the cell", "seconds": seconds["rve"], "misses": f"{cell['traction']:.1%} of the traction "
         f"of the cell (by kind: {kinds})"},
        {"scale": "cell with the law of grains, in the loop", "seconds": cell["an update, s"],
         "misses": f"{cell['paths']} of {cell['paths'] + cell['failed']} paths found equilibrium; "
         f"{cell['outside']:.1%} of its crack points out of the trained range"},
        {"scale": "law of grains", "seconds": seconds["grains"],
         "misses": f"{law['ln_normal']:.3f} in ln t_n, {law['ratio']:.3f} in t_s/t_n of the grains; samples scatter by "
         f"{law['scatter of ln_normal']:.3f} and {law['scatter of ratio']:.3f}"},
    ]  # fmt: skip
    if grains := figures["grains"]:
        first, least = grains["contacts of a grain"]
        costs.append({
            "scale": f"{grains['grains']:,} grains", "seconds": grains["a point, s"],
            "misses": f"friction ratio {grains['peak friction ratio']:.2f} at most, opening "
            f"{grains['largest opening, d']:.2f} d, {first:.1f} to {least:.1f} contacts a grain; preparation "
            f"{grains['preparation, s']:.0f} s once a sample",
        })  # fmt: skip
    for row in costs:
        row["times"] = row["seconds"] / seconds["rve"]
    columns = {
        "scale": ("scale", "{}"),
        "seconds": ("an update, s", "{:.1e}"),
        "times": ("times the law of the cell", "{:,.0f}"),
        "misses": ("misses of the scale below", "{}"),
    }
    parts = [
        f"Machine: {figures['machine']}",
        "Updates with tangent on one thread; of laws, many points side by side; of grains without tangent:",
        markdown(costs, columns),
        targets_table(figures["targets"]),
    ]
    return "\n\n".join(parts)


def _draw(path, figures):
    """What an update costs at every scale."""
    seconds = figures["seconds of a law"]
    bars = {"law of the cell": seconds["rve"], "law of grains": seconds["grains"]}
    bars["cell in the loop"] = figures["cell"]["an update, s"]
    if figures["grains"]:
        bars[f"{figures['grains']['grains']:,} grains"] = figures["grains"]["a point, s"]
    figure = Figure(figsize=(7, 2.6), layout="constrained")
    axes = figure.subplots()
    drawn = axes.barh(list(bars), list(bars.values()), color="C0")
    axes.bar_label(drawn, [f"{value:.1e} s" for value in bars.values()], padding=4)
    axes.set(xscale="log", xlabel="an update of one integration point, s", xlim=(None, 30.0 * max(bars.values())))
    save(figure, path)


if __name__ == "__main__":
    main()
