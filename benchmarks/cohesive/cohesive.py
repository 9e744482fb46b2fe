"""Recurrent cohesive laws: accuracy on unseen paths, dissipation, speed, and iterations of Newton's method.

Learned is the bilinear law with friction, AS4/PEEK. Networks that are not in --networks are trained there first, with
the settings of `femnn train cohesive`; that takes minutes each. Errors are relative to the normal strength; the steps
of a path are straight, so a path with finer steps is the same path, and the reference answers there too.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import click
import numpy as np
from matplotlib.figure import Figure
from safetensors import safe_open

import femnn
from benchmarks.cohesive.cohesive_targets import against_targets
from benchmarks.support.targets import targets_table
from femnn.cli import Command
from femnn.cli.train_cohesive import AS4_PEEK, STEPS, train_cohesive
from femnn.cohesive import KINDS, refined, respond, separation_paths
from femnn.cohesive.training import PathData, accuracy, responses, unseen
from femnn.cohesive.training.fit import OPTIONS
from femnn.io import atomic_write, markdown
from femnn.plotting import save
from femnn.system import description
from femnn.validation import Beam, delaminate, difference, mixed_mode, plateau
from femnn.validation.delamination import TITLES

# Neither training nor the figures on the cards have seen it.
_SEED = 2_000_003


@click.command(cls=Command)
@click.option(
    "--networks", type=click.Path(path_type=Path, file_okay=False), default=Path("results/cohesive"), show_default=True,
    help="Folder of weight files; missing ones are trained there.",
)  # fmt: skip
@click.option("--only", multiple=True, type=click.Choice([*OPTIONS]), help="These networks, not all; may be repeated.")
@click.option(
    "--paths", type=click.IntRange(min=4), default=10_000, show_default=True, help="Paths for the dissipation."
)
@click.option("--points", type=click.IntRange(min=1), default=10_000, show_default=True, help="Points for the speed.")
@click.option("--beams/--no-beams", default=True, show_default=True, help="Follow the delaminating beams, too.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/cohesive"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--speed-of", hidden=True, type=click.Path(path_type=Path), help="In a process of one thread.")
def main(networks, only, paths, points, beams, out, as_json, speed_of):
    """Accuracy, safety and speed of recurrent cohesive laws, and their Newton iterations in beams."""
    if speed_of is not None:
        click.echo(json.dumps(_speed(None if str(speed_of) == "classical" else speed_of, points)))
        return
    law = femnn.BilinearCohesive(**AS4_PEEK)
    files = {name: _trained(networks, name, law) for name in only or OPTIONS}
    laws = {name: femnn.RecurrentCohesive.load(path) for name, path in files.items()}
    figures = {
        "machine": description(),
        "accuracy": [{**_accuracy(name, each, law), "minutes": _minutes(files[name])} for name, each in laws.items()],
        "safety": [_safety(name, each, law, paths) for name, each in {"bilinear": law, **laws}.items()],
        "speed": [_timed(name, path, points) for name, path in {"bilinear": "classical", **files}.items()],
        "beams": [],
    }
    if beams and "minimal-state" in laws:
        pairs = {"bilinear": (law, laws["minimal-state"])}
        pairs["exponential"] = femnn.ExponentialCohesive(**AS4_PEEK), femnn.RecurrentCohesive.load("exponential")
        figures["beams"] = [row for name, pair in pairs.items() for row in _beams(name, *pair, out)]
    figures["targets"] = against_targets(figures)
    _draw(out / "cohesive-paths.png", law, laws)
    with atomic_write(out / "cohesive.json") as temporary:
        temporary.write_text(json.dumps(figures, indent=2), encoding="utf-8")
    text = _text(figures, points)
    with atomic_write(out / "cohesive.md") as temporary:
        temporary.write_text(f"{text}\n", encoding="utf-8")
    click.echo(json.dumps(figures, indent=2) if as_json else text)


def _trained(folder, network, law):
    path = folder / f"cohesive-{network}.safetensors"
    if not path.is_file():
        click.echo(f"training {network} ...", err=True)
        train_cohesive(folder, law, network)
    return path


def _minutes(path):
    """What training took, as its checkpoint says; None where there is none."""
    checkpoint = path.with_name(f"{path.stem}.traction.training")
    if not checkpoint.is_file():
        return None
    with safe_open(checkpoint, framework="numpy") as file:
        history = json.loads(file.metadata()["state"])["history"]
    return sum(history["seconds"]) / 60.0


def _accuracy(name, law, reference):
    tests = unseen(reference, 400, STEPS, _SEED)
    row = {"network": name, "parameters": sum(law.card["training"]["parameters"].values())}
    for kind in KINDS:
        errors = accuracy(law, tests[kind])
        row |= {f"{kind}_mean": errors["mean"], f"{kind}_p95": errors["p95"]}
    separations = tests["random"].separations
    for label, paths in (("finer", refined(separations, 10)), ("coarser", separations[:, ::2])):
        data = PathData(paths, respond(reference, paths)[0], reference.separation_scale, tests["random"].traction_scale)
        row[label] = accuracy(law, data)["mean"] / row["random_mean"]
    return row


def _safety(name, law, reference, count):
    """Energy that a path gives back beyond what was put in, and the least dissipation of a step where Ψ is known."""
    knows = not isinstance(law, femnn.RecurrentCohesive) or law.network == "minimal-state"
    # the general networks are slow, and a tenth of the paths shows what they do
    count = count if knows else max(count // 10, 4)
    paths = separation_paths(count, STEPS, reference.separation_scale, "all", _SEED)
    fine = refined(paths, 10)
    state, work = law.initial_state(count), np.zeros(count)
    least, step_least, energy = np.zeros(count), np.inf, np.zeros(count)
    traction_before = np.zeros((count, 3))
    for before, after in zip(fine.transpose(1, 0, 2)[:-1], fine.transpose(1, 0, 2)[1:], strict=True):
        traction, _, state = law.update(after, state)
        move = after - before
        work += 0.5 * ((traction + traction_before) * move).sum(axis=1)
        least, traction_before = np.minimum(least, work), traction
        if knows:
            now = law.free_energy(after, state)
            step_least = min(step_least, ((traction * move).sum(axis=1) - now + energy).min())
            energy = now
    virgin = law.update(np.zeros((1, 3)), law.initial_state(1)).traction
    return {
        "law": name,
        "paths": count,
        "least_step": step_least / reference.normal_toughness if knows else None,
        "least_work": least.min() / reference.normal_toughness,
        "share_below": float(np.mean(least < -1e-3 * reference.normal_toughness)),
        "virgin": np.abs(virgin).max() / reference.normal_strength,
    }


def _timed(name, path, points):
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    command = [sys.executable, __file__, "--speed-of", str(path), "--points", str(points)]
    answer = subprocess.run(command, env={**os.environ, **one}, capture_output=True, text=True, check=True)
    return {"law": name, **json.loads(answer.stdout)}


def _speed(path, points):
    """Updates with tangent per second: as shipped, and by torch's vmap(jacfwd) in float64; one thread."""
    law = femnn.BilinearCohesive(**AS4_PEEK) if path is None else femnn.RecurrentCohesive.load(path)
    separations = separation_paths(points, 8, law.separation_scale, "random", _SEED)
    state = law.update(separations[:, 1], law.initial_state(points)).state
    rates = {"shipped": points / median_seconds(lambda: law.update(separations[:, 4], state)), "torch": None}
    if path is not None:
        rates["torch"] = points / median_seconds(_torch_update(law, separations[:, 4], state))
    return rates


def _torch_update(law, separation, state):
    import torch

    from femnn.cohesive.recurrent.as_module import as_module

    torch.set_num_threads(1)
    module = as_module(law)

    def both(x, h):
        y, new = module.step(x, h)
        return y, (y, new)

    update = torch.func.vmap(torch.func.jacfwd(both, has_aux=True))
    x, h = torch.tensor(separation / law.separation_scale), torch.tensor(state.values)
    if law.network == "minimal-state":
        h[:, 1:] /= law.separation_scale
    with torch.no_grad():
        _, (traction, _) = update(x, h)
    mine = law.update(separation, state)
    gap = np.abs(traction.numpy() * law.traction_scale - mine.traction).max() / law.traction_scale
    if gap > 1e-9:
        raise femnn.FemnnError(f"torch and the law differ by {gap:.1e} of the strength; the timing would mean nothing")
    return lambda: update(x, h)


def median_seconds(call, repeat=5):
    """Median wall time of a call, after one that warms up."""
    call()
    seconds = []
    for _ in range(repeat):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))


def _beams(name, law, recurrent, out):
    """Figures of each beam with a law and what learned it, loose and tight; draws the curves of the loose ones."""
    rows, curves = [], {}
    for rtol in (1e-4, 1e-6):
        for test in TITLES:
            beam = Beam(test)
            one, other = (delaminate(beam, each, rtol=rtol, progress=False) for each in (law, recurrent))
            curves.setdefault(test, {name: one, "recurrent": other})
            rows.append(
                {
                    "law": name,
                    "test": test,
                    "rtol": rtol,
                    "toughness": float(mixed_mode(beam, law, beam.crack + 0.5 * beam.growth)[1]),
                    "release": plateau(one),
                    "release_recurrent": plateau(other),
                    "curve": difference(one, other),
                    "peak": abs(other.load.max() / one.load.max() - 1.0),
                    "states": f"{len(one.load)} / {len(other.load)}",
                    "iterations": f"{one.iterations.sum()} / {other.iterations.sum()}",
                    "ratio": float(other.iterations.sum() / one.iterations.sum()),
                }
            )
    _draw_beams(out / f"cohesive-beams-{name}.png", curves)
    return rows


def _draw_beams(path, curves):
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    for axes, (test, results) in zip(figure.subplots(1, len(curves)), curves.items(), strict=True):
        styles = {"linewidth": 4, "alpha": 0.5}, {"linewidth": 1.2, "color": "black", "marker": ".", "markersize": 4}
        for (name, result), style in zip(results.items(), styles, strict=True):
            axes.plot(1e3 * np.r_[0.0, result.displacement], 1e-3 * np.r_[0.0, result.load], label=name, **style)
        axes.set(xlabel="displacement, mm", title=TITLES[test])
    figure.axes[0].set_ylabel("load, kN per m of width")
    figure.axes[0].legend(loc="upper left")
    save(figure, path)


def _draw(path, reference, laws):
    data = PathData.of_law(reference, 3, STEPS, "random", _SEED + 1)
    figure = Figure(figsize=(11, 6), layout="constrained")
    axes = figure.subplots(2, 3, sharex=True)
    answers = {"bilinear": data.tractions, **{name: responses(law, data) for name, law in laws.items()}}
    for column in range(3):
        for row, label in enumerate(("normal traction, MPa", "shear traction, MPa")):
            for name, tractions in answers.items():
                style = {"color": "black", "linewidth": 2} if name == "bilinear" else {"linewidth": 1}
                axes[row, column].plot(1e-6 * tractions[column, :, row], label=name, **style)
            axes[row, 0].set_ylabel(label)
        axes[1, column].set_xlabel("step")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(answers))
    save(figure, path)


def _text(figures, points):
    percent = "{:.2%}"
    accuracy_columns = {
        "network": ("network", "{}"),
        "parameters": ("parameters", "{:,}"),
        "minutes": ("training, min", "{:.1f}"),
        **{
            f"{kind}_{figure}": (f"{kind}, {label}", percent)
            for kind in KINDS
            for figure, label in (("mean", "mean"), ("p95", "95 %"))
        },
        "coarser": ("steps twice as long, ×", "{:.2f}"),
        "finer": ("ten times finer, ×", "{:.2f}"),
    }
    safety_columns = {
        "law": ("law", "{}"),
        "paths": ("paths", "{:,}"),
        "least_step": ("least dissipation of a step", "{:.1e}"),
        "least_work": ("least work of a path", "{:.1e}"),
        "share_below": ("paths that give energy", percent),
        "virgin": ("virgin traction at zero", "{:.1e}"),
    }
    speed = [{**row, "ratio": row["shipped"] / row["torch"] if row["torch"] else None} for row in figures["speed"]]
    speed_columns = {
        "law": ("law", "{}"),
        "shipped": ("updates a second", "{:,.0f}"),
        "torch": ("torch, vmap(jacfwd)", "{:,.0f}"),
        "ratio": ("ratio", "{:.1f}"),
    }
    beam_columns = {
        "law": ("law", "{}"),
        "test": ("beam", "{}"),
        "rtol": ("tolerance", "{:.0e}"),
        "toughness": ("closed form, J/m²", "{:.1f}"),
        "release": ("G, classical, J/m²", "{:.1f}"),
        "release_recurrent": ("G, recurrent, J/m²", "{:.1f}"),
        "curve": ("curve differs", percent),
        "peak": ("largest load differs", percent),
        "states": ("states", "{}"),
        "iterations": ("Newton iterations", "{}"),
        "ratio": ("ratio", "{:.2f}"),
    }
    parts = [
        f"Machine: {figures['machine']}",
        "Errors on unseen paths, over the normal strength (published for stresses of a composite: 0.5 %, Mozaffar et "
        "al., PNAS 116 (2019) 26414-26420); last columns: mean error on random paths with other steps, over that with "
        "these:",
        markdown(figures["accuracy"], accuracy_columns),
        "Energy over unseen paths, relative to the normal toughness; a path gives energy where its work "
        "falls below -0.1 % of it; virgin traction over the normal strength:",
        markdown(figures["safety"], safety_columns),
        f"Speed on {points:,} points with tangent, one thread, float64:",
        markdown(speed, speed_columns),
    ]
    if figures["beams"]:
        parts += [
            "Beams with the classical laws and the minimal-state cells that learned them; classical / recurrent where "
            "two figures stand:",
            markdown(figures["beams"], beam_columns),
        ]
    if figures["targets"]:
        parts += ["Targets of the minimal-state cell:", targets_table(figures["targets"])]
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
