"""Laws of a layer of grains beyond their examples: long slip, cycles of stress and pressure, closed loops of work.

The layers of the reference paths (femnn.multiscale.grains.REFERENCES) are followed by no training. A law gets the mean
command of all samples as a fault gives it: pressures and slidings, or tractions; what it answers stands beside the mean
of the grains and the scatter between samples. Networks of --rivals learn the same paths as the critical-state cell;
those that are not in their folder are trained there first, in five to thirty minutes each.
"""

from dataclasses import replace
from pathlib import Path

import click
import numpy as np
from matplotlib.figure import Figure

import femnn
from benchmarks.cohesive.grain_laws import other_steps
from benchmarks.support.publishing import publish
from benchmarks.support.targets import target, targets_table
from femnn.cli import Command
from femnn.cli.train_layer import train_fault_network
from femnn.cohesive import respond, respond_to_tractions
from femnn.cohesive.training.fit_precompressed import OPTIONS
from femnn.cohesive.training.precompressed_data import OPEN, layer_data, rms_errors
from femnn.io import markdown
from femnn.multiscale.grains import REFERENCES
from femnn.multiscale.grains.dataset import load, load_fault
from femnn.multiscale.grains.fault_commands import FIRST_REFERENCE, is_unseen
from femnn.plotting import save
from femnn.system import description

#: Laws that are compared: the isotropic cell, and the critical-state cell.
LAWS = ("grains", "fault-grains")
#: Networks that learn what the critical-state cell learns: kind, the microstructure that they predict on the way, and
#: how many times their usual passes over the paths, which are for fewer paths where networks are gated.
RIVALS = {
    "isotropic": ("isotropic", "none", 1),
    "lstm": ("lstm", "none", 4),
    "gru": ("gru", "none", 4),
    "lstm-fabric": ("lstm", "fabric", 4),
    "lstm-all": ("lstm", "all", 4),
}

# Asked of the new law.
_RATIO, _OPENING, _DRIFT, _AMPLITUDE, _COMPACTION = 0.05, 0.05, 2.0, 0.1, 0.25
_TRACTION, _SCATTERS, _WORK, _STEPS = 0.1, 1.2, 1e-3, 1.5
# Slips at which long paths are read, d; cycles that count as the last ones.
_SLIPS, _LAST = (2.0, 10.0, 20.0), 3
# Closed loops: corners, points of a leg, turns, longest legs of opening and shear, d.
_CORNERS, _LEG, _TURNS, _REACH = 4, 10, 4, (0.01, 0.3)


@click.command(cls=Command)
@click.option(
    "--data", type=click.Path(path_type=Path, dir_okay=False), help="Fault paths.  [default: the shipped ones]"
)
@click.option("--law", "more", multiple=True, metavar="NAME_OR_FILE", help="Further laws; may be repeated.")
@click.option(
    "--rivals", multiple=True, type=click.Choice(RIVALS), help="Networks that learn the same paths; may be repeated."
)
@click.option(
    "--networks", type=click.Path(path_type=Path, file_okay=False), default=Path("results/grains-law"),
    show_default=True, help="Folder of their weight files; missing ones are trained there.",
)  # fmt: skip
@click.option("--loops", type=click.IntRange(min=1), default=10_000, show_default=True, help="Closed loops of work.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/grains-law"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(data, more, rivals, networks, loops, out, as_json):
    """Follow laws of grains far beyond their examples."""
    records = load_fault(data)
    laws = {name: femnn.RecurrentCohesive.load(name) for name in (*LAWS, *more)}
    laws |= {name: trained(networks, name, records) for name in rivals}
    figures = measure(records, laws, loops)
    draw(out / "grains-law.png", records, laws)
    publish(out, "grains-law", figures, report(figures), as_json)


def trained(folder, name, records):
    """A network of :data:`RIVALS`, trained unless its weight file is there."""
    path = folder / f"{name}.safetensors"
    if not path.is_file():
        click.echo(f"training {name} ...", err=True)
        network, microstructure, times = RIVALS[name]
        options = replace(OPTIONS[network], epochs=times * OPTIONS[network].epochs)
        train_fault_network(path.with_suffix(""), load(), records, network, microstructure, options)
    return femnn.RecurrentCohesive.load(path)


def measure(records, laws, loops=10_000):
    """Figures of the grains and of laws by name: rows of numbers, errors by kind, works of loops, targets."""
    grains = [grains_numbers(records)]
    rows = {name: law_numbers(law, records) for name, law in laws.items()}
    unseen = {name: by_kind(law, records) for name, law in laws.items()}
    figures = {
        "machine": description(),
        "samples": sorted({int(seed) for seed in records.seed}),
        "grains": sorted({int(count) for count in records.grains}),
        "rows": len(records),
        "numbers": [
            {"number": key, "particles": grains[0][key][0], "scatter": grains[0][key][1],
             **{name: row[key] for name, row in rows.items()}}
            for key in grains[0]
        ],
        "kinds": [
            {"law": name, "kind": kind, **errors} for name, kinds in unseen.items() for kind, errors in kinds.items()
        ],
        "laws": [{"law": name, **_about(law, records, loops)} for name, law in laws.items()],
        "loops": loops,
    }  # fmt: skip
    return figures | {"targets": against_targets(figures, LAWS[1])}


def _about(law, records, loops):
    """Parameters, errors with other steps over those with the steps of the data, and the least work of loops."""
    unseen = layer_data(records, np.flatnonzero(is_unseen(records.path)))
    longer, finer = (None, None) if law.microstructure else other_steps(law, unseen)
    return {
        "parameters": sum(law.card["training"]["parameters"].values()),
        "longer": longer, "finer": finer, "work": least_work(law, loops),
    }  # fmt: skip


def reference_rows(records, name):
    """Rows of a reference path, one a sample."""
    return np.flatnonzero(records.path == FIRST_REFERENCE + REFERENCES.index(name))


def grains_numbers(records):
    """Mean and standard deviation over samples of each number that laws are measured by."""
    found = {}
    for name in REFERENCES:
        rows = reference_rows(records, name)
        if len(rows):
            each = [numbers_of(name, records.separation[row], records.traction[row]) for row in rows]
            for key in each[0]:
                values = np.array([numbers[key] for numbers in each])
                found[key] = float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else None
    return found


def law_numbers(law, records):
    """The same of a law that gets the mean command of all samples; NaN where it found no equilibrium."""
    found = {}
    for name in REFERENCES:
        rows = reference_rows(records, name)
        if len(rows):
            found |= numbers_of(name, *followed(law, records, rows))
    return found


def followed(law, records, rows):
    """Separations and tractions of a law under the mean command of some rows: tractions, or pressure and sliding."""
    separation = records.separation[rows].mean(axis=0, dtype=float)
    traction = records.traction[rows].mean(axis=0, dtype=float)
    traction[0], separation[0] = [-1.0, 0.0, 0.0], 0.0
    # grains repel: a mean of open and pressed samples aside, there is a pressure
    traction[:, 0] = np.minimum(traction[:, 0], -1e-3)
    # a layer that slides at the speed of its driver bears less than what was commanded: there the sliding counts
    if str(records.control[rows[0]]) != "traction" or str(records.kind[rows[0]]) == "falling-pressure":
        traction[:, 1:] = np.nan
    return respond_to_tractions(law, traction, separation, on_failure="nan")[:2]


def numbers_of(name, separation, traction):
    """What is read from a reference path, by name."""
    opening, slip = separation[:, 0], separation[:, 1]
    ratio = traction[:, 1] / np.maximum(-traction[:, 0], 1e-9)
    if name.startswith("slip"):
        found = {}
        for reach in _SLIPS:
            # the mean over a tenth of the slip before: grains rattle about their mean
            at = (slip > 0.9 * reach) & (slip <= reach + 1e-3)
            found[f"{name}: ratio at {reach:g} d"] = _mean(ratio[at])
            found[f"{name}: opening at {reach:g} d, d"] = _mean(opening[at])
        return found
    if name == "stress-cycles":
        peaks = _turns(traction[:, 1], 25)
        return _drift(name, slip[peaks])
    if name == "pressure-cycles":
        return _drift(name, slip[_turns(traction[:, 0], 25)])
    if name == "small-cycles":
        last = slice(-len(slip) * _LAST // 12, None)
        return {"small-cycles: amplitude of the ratio": float(0.5 * np.ptp(ratio[last]))}
    if name == "large-cycles":
        return {"large-cycles: compaction, d": float(-opening[-1])}
    at = slip > 0.1
    return {
        "falling-pressure: ratio beyond 0.1 d": _mean(ratio[at]),
        "falling-pressure: opening, d": float(opening[-1]),
    }


def _mean(values):
    return float(values.mean()) if len(values) else float("nan")


def _turns(values, cycles):
    """Point of the largest value in each of so many equal parts of a path."""
    parts = np.array_split(np.arange(len(values)), cycles)
    return np.array([part[np.argmax(np.nan_to_num(values[part], nan=-np.inf))] for part in parts])


def _drift(name, slip):
    return {
        f"{name}: slip in cycle 1, d": float(slip[0]), f"{name}: slip in cycle {len(slip)}, d": float(slip[-1]),
        f"{name}: drift a cycle, d": float((slip[-1] - slip[1]) / (len(slip) - 2)),
    }  # fmt: skip


def by_kind(law, records):
    """Errors of a law by kind of unseen path: under its own pressure and sliding or tractions; ln t_n beside.

    Of a path on which a law found no equilibrium the points before count; ``ended`` is how many such paths there are.
    """
    rows = np.flatnonzero(is_unseen(records.path))
    found = {}
    for kind in np.unique(records.kind[rows]):
        mine = rows[records.kind[rows] == kind]
        errors = {name: [] for name in ("traction", "ratio", "opening", "work")}
        scatters, ended = [], 0
        for path in np.unique(records.path[mine]):
            same = mine[records.path[mine] == path]
            separation, traction = followed(law, records, same)
            real = records.separation[same].mean(axis=0, dtype=float), records.traction[same].mean(axis=0, dtype=float)
            scatters.append(_scatter(records.traction[same]))
            found_until = int(np.isfinite(separation).all(axis=1).sum())
            ended += found_until < len(separation)
            separation, traction, *real = (each[:found_until] for each in (separation, traction, *real))
            ratio, mean = (each[:, 1] / np.maximum(-each[:, 0], OPEN) for each in (traction, real[1]))
            errors["ratio"].append(ratio - mean)
            errors["traction"].append((ratio - mean) * -real[1][:, 0])
            errors["opening"].append(separation[:, 0] - real[0][:, 0])
            errors["work"].append([_work(separation, traction) - _work(*real)])
        layer = layer_data(records, mine)
        found[str(kind)] = {name: _rms(np.concatenate(values)) for name, values in errors.items()} | {
            "scatter": _rms(np.concatenate(scatters)),
            "ended": ended,
            "ln_normal": rms_errors(respond(law, layer.separations)[0], layer)["ln_normal"],
        }
    return found


def _scatter(traction):
    """Standard deviation (k,) between samples of the shear traction under their mean pressure, of (n, k, 3)."""
    ratio = traction[..., 1] / np.maximum(-traction[..., 0], OPEN)
    return ratio.std(axis=0, ddof=min(1, len(ratio) - 1)) * -traction[..., 0].mean(axis=0)


def _work(separation, traction):
    """∫ T · du along a path, p0 d, without what the pressure took at first."""
    return float((0.5 * (traction[1:] + traction[:-1]) * np.diff(separation, axis=0)).sum())


def _rms(values):
    return float(np.sqrt(np.mean(np.square(values)))) if len(values) else float("nan")


def least_work(law, loops, seed=0):
    """The least work of the last turn of random closed loops, over the work of all its moves taken positive."""
    draws = np.random.default_rng(seed)
    corners = draws.uniform(-1.0, 1.0, (loops, _CORNERS, 3)) * [_REACH[0], _REACH[1], _REACH[1]]
    corners *= np.exp(draws.uniform(np.log(0.02), 0.0, (loops, 1, 1)))
    turn = np.concatenate([corners, corners[:, :1]], axis=1)
    share = np.arange(1, _LEG + 1) / _LEG
    legs = turn[:, :-1, None] + share[:, None] * np.diff(turn, axis=1)[:, :, None]
    legs = legs.reshape(loops, -1, 3)
    first = corners[:, None, 0] * share[:, None]
    path = np.concatenate([np.zeros((loops, 1, 3)), first, *[legs] * _TURNS], axis=1)
    traction = respond(law, path)[0]
    last = slice(-legs.shape[1] - 1, None)
    work = (0.5 * (traction[:, last][:, 1:] + traction[:, last][:, :-1]) * np.diff(path[:, last], axis=1)).sum(-1)
    return float((work.sum(axis=1) / np.abs(work).sum(axis=1)).min())


def against_targets(figures, name):
    """Rows of targets and what the law ``name`` reached."""
    numbers, found = {row["number"]: row for row in figures["numbers"]}, []
    for what, limit, unit in (("ratio", _RATIO, ""), ("opening", _OPENING, " d")):
        off = [abs(row[name] - row["particles"]) for key, row in numbers.items()
               if key.startswith("slip") and what in key and " 2 d" not in key]  # fmt: skip
        if off:
            found.append(target(f"{what} at 10 and 20 d off the grains' mean, worst", f"≤ {limit:g}{unit}",
                                f"{np.max(off):.3f}{unit}"))  # fmt: skip
    for cycles in ("stress-cycles", "pressure-cycles"):
        row = numbers.get(f"{cycles}: drift a cycle, d")
        if row:
            limit = _DRIFT * abs(row["particles"])
            found.append(target(f"drift a cycle, {cycles}", f"≤ {limit:.1e} d = {_DRIFT:g} × the grains'",
                                f"{row[name]:.1e} d"))  # fmt: skip
    for key, what, limit in (
        ("small-cycles: amplitude of the ratio", "amplitude of cycles of ±0.026 d", _AMPLITUDE),
        ("large-cycles: compaction, d", "compaction in cycles of ±0.5 d", _COMPACTION),
    ):
        row = numbers.get(key)
        if row:
            off = row[name] - row["particles"]
            found.append(target(f"{what}, off the grains' mean", f"within {limit:.0%}",
                                f"{off / abs(row['particles']):+.0%} = {off:+.3f}"))  # fmt: skip
    for row in figures["kinds"]:
        if row["law"] == name:
            limit = max(_TRACTION, _SCATTERS * row["scatter"])
            found.append(
                target(f"shear traction, rms, unseen {row['kind']}", f"≤ {limit:.2f} p0", f"{row['traction']:.3f}")
            )
    about = next(row for row in figures["laws"] if row["law"] == name)
    for key, what in (("longer", "twice as long"), ("finer", "ten times finer")):
        found.append(target(f"errors with steps {what}, over those with the data's", f"≤ {_STEPS:g} ×",
                            f"{about[key]:.2f} ×"))  # fmt: skip
    loops = f"work of {figures['loops']:,} closed loops, least"
    return [*found, target(loops, f"≥ -{_WORK:g}", f"{about['work']:.1e}")]


def draw(path, records, laws):
    """Openings and ratios of long slip, reversals, and slip in cycles of traction: samples, and laws on their mean."""
    shown = {name: laws[name] for name in (LAWS[1], *[name for name in ("lstm", LAWS[0]) if name in laws][:1])}
    figure = Figure(figsize=(12.0, 7.2), layout="constrained")
    axes = figure.subplots(2, 3)
    panels = [
        (axes[0, 0], "slip-1", "opening"), (axes[1, 0], "slip-1", "ratio"), (axes[0, 1], "large-cycles", "opening"),
        (axes[1, 1], "large-cycles", "ratio"), (axes[0, 2], "stress-cycles", "slip"),
        (axes[1, 2], "pressure-cycles", "slip"),
    ]  # fmt: skip
    for axis, name, what in panels:
        rows = reference_rows(records, name)
        # the way that a layer has slid, or the point where it slides little
        way = np.arange(records.separation.shape[1])
        if what != "slip":
            moved = np.diff(records.separation[rows, :, 1].mean(axis=0, dtype=float))
            way = np.append(0.0, np.cumsum(np.abs(moved)))
        samples = [_course(what, records.separation[row], records.traction[row]) for row in rows]
        axis.fill_between(way, np.min(samples, axis=0), np.max(samples, axis=0), color="0.85", label="samples")
        axis.plot(way, np.mean(samples, axis=0), color="black", linewidth=2, label="their mean")
        low, high = np.min(samples), np.max(samples)
        for law, each in shown.items():
            axis.plot(way, _course(what, *followed(each, records, rows)), linewidth=1.2, label=law)
        margin = 0.6 * (high - low)
        axis.set(title=name, ylabel=f"{what}{'' if what == 'ratio' else ', d'}", ylim=(low - margin, high + margin),
                 xlabel="point of the path" if what == "slip" else "way slid, d")  # fmt: skip
    axes[0, 0].legend(fontsize=8)
    save(figure, path)


def _course(what, separation, traction):
    if what == "ratio":
        return traction[:, 1] / np.maximum(-traction[:, 0], OPEN)
    return separation[:, 0 if what == "opening" else 1]


def report(figures):
    """Tables of the figures of :func:`measure`."""
    names = [row["law"] for row in figures["laws"]]
    columns = {key: (key, "{:.3f}" if key != "number" else "{}") for key in ("number", "particles", "scatter", *names)}
    kinds = {
        "law": ("law", "{}"), "kind": ("kind", "{}"), "traction": ("t_s, p0", "{:.3f}"), "ratio": ("ratio", "{:.3f}"),
        "opening": ("opening, d", "{:.3f}"), "work": ("work, p0 d", "{:.3f}"), "ended": ("paths ended", "{}"),
        "scatter": ("scatter of t_s, p0", "{:.3f}"), "ln_normal": ("ln t_n along separations", "{:.2f}"),
    }  # fmt: skip
    about = {
        "law": ("law", "{}"), "parameters": ("parameters", "{:,}"), "longer": ("steps twice as long, ×", "{:.2f}"),
        "finer": ("ten times finer, ×", "{:.2f}"), "work": ("least work of a loop", "{:.1e}"),
    }  # fmt: skip
    return "\n\n".join([
        f"Machine: {figures['machine']}",
        f"Reference paths of {len(figures['samples'])} samples of {' and '.join(map(str, figures['grains']))} grains, "
        "mean and standard deviation between samples, and laws that get the mean command:",
        markdown(figures["numbers"], columns),
        "Root mean squares on all paths that no training saw, each law under the mean pressures and slidings, or "
        "tractions, of the samples; the last column along their separations:",
        markdown(figures["kinds"], kinds) if figures["kinds"] else "There are none in these data.",
        "Errors along separations with other steps over those with the steps of the data; least work of the last of "
        f"{_TURNS} turns of {figures['loops']:,} random closed loops, over the work of its moves taken positive:",
        markdown(figures["laws"], about),
        targets_table(figures["targets"]),
    ])  # fmt: skip


if __name__ == "__main__":
    main()
