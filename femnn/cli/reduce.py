"""``femnn reduce``: modes of a user's snapshots, and which model predicts them best."""

import dataclasses
import json
from pathlib import Path

import click
import numpy as np

from femnn.io.field_series import read_field_series
from femnn.io.tables import aligned
from femnn.reduced.dynamics.hurst import hurst_exponent
from femnn.reduced.dynamics.latent import KINDS, OPTIONS, LatentDynamics
from femnn.validation.own_flow import reduce_flow


@click.command("reduce")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--field", help="Which field of the file; without it the only one, or 'snapshots'.")
@click.option("--modes", type=click.IntRange(min=1), help="How many modes; else by --energy, at most 20.")
@click.option("--energy", type=float, default=0.99, show_default=True, help="Share of the variance that modes keep.")
@click.option("--window", type=click.IntRange(min=2), help="Snapshots of a window, half in and half out.")
@click.option("--horizon", type=float, help="How far forecasts reach, in the unit of the times.")
@click.option(
    "--network", "kinds", type=click.Choice((*KINDS, "none")), multiple=True, help="Kind of network; may be repeated."
)  # fmt: skip
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Networks of each kind.")
@click.option("--epochs", type=click.IntRange(min=1), default=100, show_default=True, help="Of a training at most.")
@click.option("--weights", type=click.IntRange(min=50), default=3000, show_default=True, help="Of a network, about.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the first network.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder.  [default: ./NAME-reduced]")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def command(file, field, modes, energy, window, horizon, kinds, seeds, epochs, weights, seed, out, as_json):
    """Find the modes of the snapshots in FILE, and which model predicts them best and how far.

    FILE is an .npz or HDF5 file with 'snapshots' (times, values) and 'times', a .pvd index of VTU files or an .xdmf
    file. The first three quarters of the snapshots are learned from, the last one tests. Modes, the best network and a
    picture go into a folder; an interrupted call goes on from there when it is repeated.
    """
    series = read_field_series(file, field)
    kinds = [kind for kind in kinds or ("lstm",) if kind != "none"]
    options = dataclasses.replace(OPTIONS, epochs=epochs, seed=seed)
    folder = out if out is not None else Path(f"{file.stem}-reduced")
    folder.mkdir(parents=True, exist_ok=True)
    flow = reduce_flow(
        series, modes=modes, energy=energy, window=window, horizon=horizon, kinds=kinds, seeds=seeds,
        weights=weights, options=options, folder=folder, progress=not as_json,
    )  # fmt: skip
    figures = _figures(file, flow)
    written = [flow.pod.save(folder / "modes")]
    networks = [model for model in flow.models if isinstance(model, LatentDynamics)]
    if networks:
        written.append(networks[0].save(folder / "network", {"horizon": _of(figures, networks[0].name)["horizon"]}))
    from femnn.validation.flow_pictures import draw_own_flow  # loads matplotlib

    draw_own_flow(flow, folder / "reduce.png")
    figures["files"] = [str(path) for path in (*written, folder / "reduce.png")]
    click.echo(json.dumps(figures) if as_json else _text(figures))


def _figures(file, flow):
    """All that is printed."""
    finite = [_finite(error) for error in flow.errors]
    learned = flow.case.training[0]
    return {
        "file": str(file),
        "field": flow.series.name,
        "snapshots": len(flow.series.times),
        "values": flow.pod.n,
        "step": flow.case.dt,
        "timed": flow.series.timed,
        "modes": flow.pod.r,
        "energy": flow.energy.tolist(),
        "energy_of_test": flow.kept,
        "hurst": np.atleast_1d(hurst_exponent(learned)).tolist() if len(learned) >= 100 else None,
        "reaches": flow.case.dt * flow.case.steps,
        "starts": flow.errors[0].starts,
        "models": finite,
        "best": flow.errors[0].name,
        "left_out": flow.left_out,
    }


def _finite(error):
    """A row without infinities, which JSON has not: None stands for a model that diverges."""
    return {
        "model": error.name,
        "one_step": error.one_step if np.isfinite(error.one_step) else None,
        "error": error.mean if np.isfinite(error.mean) else None,
        "horizon": float(error.horizon),
        "reaches_end": error.reaches_end,
    }


def _of(figures, name):
    return next(row for row in figures["models"] if row["model"] == name)


def _text(figures):
    shares = ", ".join(f"{share:.1%}" for share in figures["energy"][:6])
    rows = [["Model", "one step", "free-running", "better than the mean up to"]]
    for row in figures["models"]:
        error = "diverges" if row["error"] is None else f"{row['error']:.3g}"
        one = "diverges" if row["one_step"] is None else f"{row['one_step']:.2g}"
        rows.append([row["model"], one, error, f"{'≥ ' * row['reaches_end']}{row['horizon']:.4g}"])
    best = _of(figures, figures["best"])
    far = "to the end of the test, " * best["reaches_end"] + f"{best['horizon']:.4g}"
    lines = [
        f"{figures['snapshots']:,} snapshots of {figures['field']}, {figures['values']:,} values, in steps of "
        f"{figures['step']:.4g}" + ("" if figures["timed"] else " (the file has no times)"),
        f"{figures['modes']} modes keep {shares}{', ...' * (figures['modes'] > 6)} of the variance of what is learned "
        f"from, and {figures['energy_of_test']:.1%} of that of the test",
    ]
    if figures["hurst"]:
        lines.append("Hurst exponents: " + ", ".join(f"{value:.2f}" for value in figures["hurst"]))
    lines += [
        "",
        aligned(rows),
        "",
        f"Errors are means over {figures['starts']} forecasts of {figures['reaches']:.4g}; 1 is that of the mean.",
        f"Best: {figures['best']}, better than the mean {far}" + (" (no model is)" if best["horizon"] == 0.0 else ""),
        *(f"Left out: {reason}" for reason in figures["left_out"]),
        "Written: " + ", ".join(figures["files"]),
    ]
    return "\n".join(lines)
