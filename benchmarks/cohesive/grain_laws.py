"""Recurrent laws of an interface of grains: accuracy with and without microstructure, steps of other sizes, speed.

Networks that are not in --networks are trained there first, with the settings of `femnn train grains`; that takes a
minute or two each. Errors are root mean squares on unseen paths of the sample that was trained on, beside the scatter
between samples, in ln t_n and in t_s/t_n; points at which the layer carries less than a twentieth of p0 are left out.
"""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
from safetensors import safe_open

import femnn
from benchmarks.cohesive.cohesive import median_seconds
from benchmarks.support.publishing import publish
from benchmarks.support.targets import target, targets_table
from femnn.cli import Command
from femnn.cli.layer_pictures import draw_unseen
from femnn.cli.train_layer import split_layer, train_layer
from femnn.cohesive import refined, respond
from femnn.cohesive.training import layer_data, responses, rms_errors, scatter
from femnn.cohesive.training.fit_precompressed import OPTIONS
from femnn.io import markdown
from femnn.multiscale.grains import load
from femnn.system import description

NETWORKS = tuple(OPTIONS)
_GRAINS = ("porosity-coordination", "fabric", "all")
#: What is trained: network and the microstructure that it predicts. Those laws can be given measured values, too.
VARIANTS = (
    *(("isotropic", name) for name in ("none", *_GRAINS)),
    ("self-consistent", "none"),
    ("gru", "none"),
    *(("lstm", name) for name in ("none", *_GRAINS)),
)
# Asked of the law: errors, or this many times the scatter; gain by the fabric tensor; times faster than the grains.
_LN_NORMAL, _RATIO, _SCATTERS, _GAIN, _FASTER = 0.20, 0.05, 1.2, 0.15, 1e5


@click.command(cls=Command)
@click.option("--data", type=click.Path(path_type=Path, dir_okay=False), help="Responses.  [default: the shipped ones]")
@click.option(
    "--networks", type=click.Path(path_type=Path, file_okay=False), default=Path("results/grain-laws"),
    show_default=True, help="Folder of weight files; missing ones are trained there.",
)  # fmt: skip
@click.option("--only", multiple=True, type=click.Choice(NETWORKS), help="These networks, not all; may be repeated.")
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="Networks of each variant.")
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the paths.  [default: as shipped]")
@click.option("--points", type=click.IntRange(min=1), default=10_000, show_default=True, help="Points for the speed.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/grain-laws"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--speed-of", hidden=True, type=click.Path(path_type=Path), help="In a process of one thread.")
def main(data, networks, only, seeds, epochs, points, out, as_json, speed_of):
    """Accuracy, robustness and speed of recurrent laws of grains."""
    if speed_of is not None:
        click.echo(json.dumps(update_seconds(femnn.RecurrentCohesive.load(speed_of), points)))
        return
    records = load(data)
    figures = measure(records, networks, only or NETWORKS, seeds, epochs, points)
    draw(out / "grain-laws.png", records, networks, only or NETWORKS)
    publish(out, "grain-laws", figures, report(figures), as_json)


def measure(records, folder, only=NETWORKS, seeds=3, epochs=None, points=10_000, grains=None):
    """Figures of all variants, trained in ``folder`` where they are not there yet, and of the speed of the law.

    ``grains`` is what an update of the particle model takes, s, where that is known.

    Returns
    -------
    dict
        ``machine``; ``scatter`` between samples; ``accuracy``, a list of rows, one a variant: means over ``seeds``;
        ``speed``; ``targets``.
    """
    tests = split_layer(records)[2]
    noise = scatter([layer_data(records, rows) for rows in records.repeated()]) if records.repeated() else None
    accuracy = []
    for variant in (variant for variant in VARIANTS if variant[0] in only):
        accuracy += _rows(records, folder, variant, range(seeds), epochs, tests, noise)
    own = _weights(folder, (only[0], "none"), 0)
    figures = {
        "machine": description(),
        "seeds": seeds,
        "paths": {"fixed sample": int((records.seed == records.main_seed).sum()), "all": len(records),
                  "unseen": len(tests["unseen"])},
        "scatter": noise,
        "accuracy": accuracy,
        "speed": {"seconds": timed(own, points), "grains": grains},
    }  # fmt: skip
    return figures | {"targets": against_targets(figures)}


def update_seconds(law, points=10_000):
    """Seconds of an update with tangent of one point, of many side by side."""
    draws = np.random.default_rng(0)
    scale = law.separation_scale
    start = draws.uniform(-0.1, 0.1, (points, 3)) * scale
    state = law.update(start, law.initial_state(points)).state
    move = start + 0.01 * scale * draws.normal(size=(points, 3))
    return median_seconds(lambda: law.update(move, state)) / points


def timed(path, points):
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    command = [sys.executable, __file__, "--speed-of", str(path), "--points", str(points)]
    answer = subprocess.run(command, env={**os.environ, **one}, capture_output=True, text=True, check=True)
    return json.loads(answer.stdout)


def _weights(folder, variant, seed):
    network, microstructure = variant
    return folder / f"{network}{'' if microstructure == 'none' else f'-{microstructure}'}-{seed}.safetensors"


def _trained(records, folder, variant, seed, epochs):
    """The law of a variant, trained unless its file is there, and the minutes that took."""
    path = _weights(folder, variant, seed)
    network, microstructure = variant
    if not path.is_file():
        click.echo(f"training {path.stem} ...", err=True)
        options = replace(OPTIONS[network], seed=seed, **({} if epochs is None else {"epochs": epochs}))
        train_layer(path.with_suffix(""), records, network, microstructure, options=options)
    seconds = 0.0
    for checkpoint in path.parent.glob(f"{path.stem}.*.training"):
        with safe_open(checkpoint, framework="numpy") as file:
            seconds += sum(json.loads(file.metadata()["state"])["history"]["seconds"])
    return femnn.RecurrentCohesive.load(path), seconds / 60.0


def _rows(records, folder, variant, seeds, epochs, tests, noise):
    """One row of a variant, and where it predicts microstructure one more: with that given as measured."""
    trained = [_trained(records, folder, variant, seed, epochs) for seed in seeds]
    network, microstructure = variant
    if microstructure == "none":
        return [{"network": network, "microstructure": "none", **_figures(trained, tests, noise)}]
    measured = [(law.measured(), minutes) for law, minutes in trained]
    return [
        {"network": network, "microstructure": f"{microstructure}, {how}", **_figures(laws, tests, noise)}
        for how, laws in (("predicted", trained), ("given", measured))
    ]


def _figures(laws, tests, noise):
    """Means over laws that differ in their seed only."""
    found = []
    for law, minutes in laws:
        row = {"minutes": minutes, **rms_errors(responses(law, tests["unseen"]), tests["unseen"])}
        others = tests.get("other samples")
        other = {"ln_normal": None, "ratio": None} if others is None else rms_errors(responses(law, others), others)
        row |= {f"other_{name}": error for name, error in other.items()}
        row["longer"], row["finer"] = (None, None) if law.microstructure else other_steps(law, tests["unseen"])
        found.append(row)
    mean = {key: None if found[0][key] is None else float(np.mean([row[key] for row in found])) for key in found[0]}
    return {
        **mean,
        **{f"{key}_spread": float(np.ptp([row[key] for row in found])) for key in ("ln_normal", "ratio")},
        **{f"{key}_over_scatter": noise and mean[key] / noise[key] for key in ("ln_normal", "ratio")},
        "parameters": sum(laws[0][0].card["training"]["parameters"].values()),
    }


def other_steps(law, data):
    """Errors with steps twice as long and ten times finer, over those with the steps of the data: the worse of both."""
    usual = rms_errors(responses(law, data), data)
    half = replace(data, separations=data.separations[:, ::2], tractions=data.tractions[:, ::2], microstructure={})
    longer = rms_errors(responses(law, half), half)
    usual_half = rms_errors(responses(law, data)[:, ::2], half)
    finer = rms_errors(respond(law, refined(data.separations, 10))[0][:, ::10], data)
    return max(longer[k] / usual_half[k] for k in usual), max(finer[k] / usual[k] for k in usual)


def against_targets(figures):
    """Rows of targets and measured values of the isotropic cell; and of what microstructure brings to each network."""
    rows = {(row["network"], row["microstructure"]): row for row in figures["accuracy"]}
    own, noise, found = rows.get(("isotropic", "none")), figures["scatter"], []
    limits = {"ln_normal": ("ln t_n", _LN_NORMAL), "ratio": ("t_s/t_n", _RATIO)}
    for name, (what, limit) in limits.items() if own else ():
        most = max(limit, _SCATTERS * noise[name]) if noise else limit
        words = f"≤ {most:.3f}" + (f" = max({limit:g}, {_SCATTERS:g} × {noise[name]:.3f})" if noise else "")
        found.append(target(f"rms of {what} on unseen paths", words, f"{own[name]:.3f}"))
    for (network, grains), row in rows.items():
        if grains == "none":
            continue
        gains = (1.0 - row[name] / rows[network, "none"][name] for name in limits)
        limit = f"≥ {_GAIN:.0%}" if grains.startswith("fabric") else "–"
        measured = ", ".join(f"{gain:+.0%}" for gain in gains)
        found.append(target(f"better in ln t_n, t_s/t_n with {grains} ({network})", limit, measured))
    speed = figures["speed"]
    if speed["grains"] is not None:
        faster = speed["grains"] / speed["seconds"]
        found.append(target("updates over those of the particle model", f"≥ {_FASTER:.0e} ×", f"{faster:.1e} ×"))
    return found


def draw(path, records, folder, only=NETWORKS):
    """Unseen paths with the band of all samples on the same path, and laws that :func:`measure` trained."""
    shown = [name for name in ("isotropic", "lstm") if name in only] or only[:1]
    draw_unseen(path, records, {name: femnn.RecurrentCohesive.load(_weights(folder, (name, "none"), 0))
                                for name in shown})  # fmt: skip


def report(figures):
    """Tables of the figures of :func:`measure`."""
    columns = {
        "network": ("network", "{}"),
        "microstructure": ("microstructure", "{}"),
        "ln_normal": ("rms ln t_n", "{:.3f}"),
        "ln_normal_spread": ("spread", "{:.3f}"),
        "ratio": ("rms t_s/t_n", "{:.4f}"),
        "ratio_spread": ("spread", "{:.4f}"),
        "ln_normal_over_scatter": ("ln t_n over scatter", "{:.2f}"),
        "ratio_over_scatter": ("t_s/t_n over scatter", "{:.2f}"),
        "other_ln_normal": ("other samples, ln t_n", "{:.3f}"),
        "other_ratio": ("t_s/t_n", "{:.4f}"),
        "parameters": ("parameters", "{:,}"),
        "minutes": ("training, min", "{:.1f}"),
        "longer": ("steps twice as long, ×", "{:.2f}"),
        "finer": ("ten times finer, ×", "{:.2f}"),
    }
    several = figures["seeds"] > 1
    columns = {name: column for name, column in columns.items() if several or not name.endswith("spread")}
    networks = "means over networks of several seeds and their spread" if several else "one network each"
    paths, noise, speed = figures["paths"], figures["scatter"], figures["speed"]
    between = (
        "no path was run on several samples"
        if noise is None
        else f"scatter between samples: {noise['ln_normal']:.3f} of ln t_n, {noise['ratio']:.4f} of t_s/t_n"
    )
    parts = [
        f"Machine: {figures['machine']}",
        f"Errors on {paths['unseen']} unseen of {paths['fixed sample']} paths of one sample ({paths['all']} with the "
        f"other samples), {networks}; {between}. Last columns: errors with "
        "other steps over those with the steps of the data:",
        markdown(figures["accuracy"], columns),
        f"An update with tangent takes {1e6 * speed['seconds']:.2f} µs of one thread, 10,000 points side by side.",
        targets_table(figures["targets"]),
    ]
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
