"""The law of a cell on paths and patterns of blocks that it has not learned: long slip, unseen commands, cycles.

Cells of other seeds than those of the training are sheared far under several pressures, follow the paths that the
training left out, and are cycled by tractions. The law gets their mean command, pressures and slidings; what it answers
stands beside their mean and their scatter.
"""

from dataclasses import replace
from pathlib import Path

import click
import numpy as np

import femnn
from benchmarks.support.publishing import publish
from benchmarks.support.targets import target, targets_table
from femnn.cli import Command
from femnn.cohesive import respond_to_tractions
from femnn.exceptions import ConvergenceError, ParameterError
from femnn.io import markdown
from femnn.io.path_data import PathCommand
from femnn.multiscale.rve import CrackFilling, FaultCell, Spring, WorkingRange, draw_path, follow, law_named, springs_of
from femnn.multiscale.rve.commands import is_unseen
from femnn.system import description

#: Pressures of long slip over the first one, slip of each row of blocks in separation scales, points.
PRESSURES, SLIP, POINTS = (0.3, 1.0, 3.0), 4.0, 60
#: Cycles: pressure and shear traction at their four points, over the first pressure; slip counts at the third.
CYCLES = {
    "of shear traction, 0.1 to 0.3": [(1.0, 0.1), (1.0, 0.2), (1.0, 0.3), (1.0, 0.2)],
    "of pressure, 1 to 0.7, under 0.3": [(1.0, 0.3), (0.85, 0.3), (0.7, 0.3), (0.85, 0.3)],
}

# Asked of the law: how far it may be off the mean cell, and its slip a cycle at the end over that of the first one.
_OFF, _DRIFT = 0.03, 1e-3
# Cycles of a cell and of a law, and those at the end that the drift is the mean of.
_FEW, _MANY, _LAST = 25, 300, 10
# What is read from a path.
_NUMBERS = {"peak": "peak ratio", "last": "last ratio", "opening": "last opening, d"}


@click.command(cls=Command)
@click.option("--law", "name", default="fault-cell", show_default=True, metavar="NAME_OR_FILE", help="Law of the cell.")
@click.option("--cracks", default="fault-grains", show_default=True, metavar="NAME_OR_FILE", help="Law of its cracks.")
@click.option("--rival", default="rve", show_default=True, metavar="NAME_OR_FILE", help="Law that is cycled as well.")
@click.option("--seeds", type=click.IntRange(min=2), default=5, show_default=True, help="Patterns that it never saw.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/cell-law"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(name, cracks, rival, seeds, out, as_json):
    """Hold the law of a cell against cells of other patterns, on paths that it has not learned."""
    figures = measure(name, cracks, rival, seeds)
    publish(out, "cell-law", figures, report(figures), as_json)


def measure(name, crack_name, rival, seeds=5):
    """Figures of long slip, of unseen paths and of cycles; targets."""
    law, cracks = femnn.RecurrentCohesive.load(name), law_named(crack_name)
    data = law.card["data"]
    cells = unseen_cells(data, seeds)
    rves = [cell.rve(cracks) for cell in cells]
    working, asked = WorkingRange(**data["working_range"]), data["paths"]
    slips = [
        {"pressure": pressure, **compared(law, rves, _slip(cells[0].rows, pressure, working))}
        for pressure in PRESSURES
    ]  # fmt: skip
    paths = [
        (int(number), draw_path(int(number), asked["points"], working, asked["seed"]))
        for number in np.flatnonzero(is_unseen(np.arange(asked["asked"])))
    ]
    unseen = [
        {"path": number, "kind": path.kind, **compared(law, rves, path)}
        for number, path in paths if path.control != "displacement"
    ]  # fmt: skip
    laws = {Path(name).stem: law, Path(rival).stem: femnn.RecurrentCohesive.load(rival)}
    figures = {
        "machine": description(), "name": Path(name).stem, "law": law.name, "learned": data["law"],
        "cracks": cracks.name, "blocks": f"{cells[0].count} × {cells[0].rows}", "rows": cells[0].rows,
        "seeds": [cell.seed for cell in cells],
        "learned_seeds": data["seeds"], "slips": slips, "unseen": unseen,
        "cycles": [
            row for kind, corners in CYCLES.items()
            for row in (
                {"cycles": kind, "what": f"mean of {seeds} cells", **cycled_cells(rves, corners, working)},
                *({"cycles": kind, "what": each, **cycled_law(laws[each], corners)} for each in laws),
            )
        ],
    }  # fmt: skip
    return figures | {"targets": _targets(figures)}


def unseen_cells(data, seeds):
    """So many cells that a law did not learn from, by the card of its data."""
    if "seeds" not in data:
        raise ParameterError("the law was not learned from several cells; pass one that femnn train fault-cell made")
    fields = data["cell"] | {"filling": CrackFilling(**data["cell"]["filling"])}
    first = max(data["seeds"]) + 1
    return [replace(FaultCell(**fields), seed=seed) for seed in range(first, first + seeds)]


def _slip(rows, pressure, working):
    """Steady slip under a pressure, dense at first, where the peak is."""
    separation = np.zeros((POINTS, 2))
    separation[:, 1] = rows * SLIP * np.linspace(0.0, 1.0, POINTS) ** 1.5
    return PathCommand(separation, np.full(POINTS, pressure * working.pressure), control="load", kind="slip")


def compared(law, rves, command):
    """What cells do along a command, on average, and their law under the pressures and slidings of that mean.

    A number is followed by the standard deviation between cells, that of the law and how far this is off. Errors of
    ratios are over the peak, those of openings over the largest one. Cells that cannot follow the path are left out.
    """
    responses = []
    for rve in rves:
        try:
            responses.append(follow(rve, command.separation, springs_of(command)))
        except ConvergenceError:
            continue
    separation, traction = (np.array([getattr(one, name) for one in responses]) for name in ("separation", "traction"))
    mean_separation, mean_traction = separation.mean(axis=0), traction.mean(axis=0)
    shear, held = np.zeros((len(command), 3)), np.full((len(command), 3), np.nan)
    shear[:, 1], held[:, 0] = mean_separation[:, 1], mean_traction[:, 0]
    answered, borne, _ = respond_to_tractions(law, held, shear, on_failure="nan")
    each = [_numbers(*one) for one in zip(separation, traction, strict=True)]
    mean, own = _numbers(mean_separation, mean_traction), _numbers(answered[:, :2], borne[:, :2])
    most = float(np.abs(mean_separation[:, 0]).max())
    row = {"cells": len(responses)}
    for name in _NUMBERS:
        scale = most if name == "opening" else mean["peak"]
        scatter = float(np.std([numbers[name] for numbers in each], ddof=1))
        row |= {name: mean[name], f"{name}_scatter": scatter, f"{name}_law": own[name],
                f"{name}_off": abs(own[name] - mean[name]) / scale}  # fmt: skip
    ratio = _ratio(borne[:, :2]) - _ratio(mean_traction)
    return row | {
        "ratio_rms": _rms(ratio) / mean["peak"], "opening_rms": _rms(answered[:, 0] - mean_separation[:, 0]) / most,
        "ratio_scatter_rms": _rms(np.std([_ratio(one) for one in traction], axis=0, ddof=1)) / mean["peak"],
        "opening_scatter_rms": _rms(separation[..., 0].std(axis=0, ddof=1)) / most,
    }  # fmt: skip


def _numbers(separation, traction):
    ratio = _ratio(traction)
    return {"peak": float(np.abs(ratio).max()), "last": float(ratio[-1]), "opening": float(separation[-1, 0])}


def _ratio(traction):
    return traction[:, 1] / -traction[:, 0]


def _rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


def cycled_cells(rves, corners, working):
    """Slip of cells in the first and the last of a few cycles: mean, and scatter between them."""
    path = working.pressure * np.tile(corners, (_FEW, 1))
    springs = [None, *((Spring(-pressure), Spring(shear)) for pressure, shear in path)]
    slips = np.array([
        follow(rve, np.zeros((len(springs), 2)), springs).separation[3::4, 1] for rve in rves
    ])  # fmt: skip
    mean = slips.mean(axis=0)
    scatter = slips[:, -1].std(ddof=1)
    return {"first": float(mean[0]), "few": float(mean[-1]), "scatter": float(scatter), "many": None,
            "drift": _drift(mean)}  # fmt: skip


def cycled_law(law, corners):
    """Slip of a law in the first cycle, after a few and after many; None where it no longer bears the tractions."""
    path = np.vstack([[1.0, 0.0], np.tile(corners, (_MANY, 1))]) * law.traction_scale
    tractions = np.column_stack([-path[:, 0], path[:, 1], np.zeros(len(path))])
    slip = respond_to_tractions(law, tractions, on_failure="nan")[0][3::4, 1]
    places = {"first": 0, "few": _FEW - 1, "many": _MANY - 1}
    found = {name: float(slip[place]) if np.isfinite(slip[place]) else None for name, place in places.items()}
    return found | {"scatter": None, "drift": _drift(slip) if np.isfinite(slip[-1]) else None}


def _drift(slip):
    """Slip a cycle in the last cycles, over that in the first one."""
    return float((slip[-1] - slip[-1 - _LAST]) / _LAST / slip[0])


def _targets(figures):
    slips, unseen = figures["slips"], figures["unseen"]
    found = [
        target(f"{what.partition(',')[0]} off the mean cell, slip of {SLIP:g} d a row, worst of {len(slips)} pressures",
               f"≤ {_OFF:.0%}", f"{max(row[f'{name}_off'] for row in slips):.1%}")
        for name, what in _NUMBERS.items()
    ]  # fmt: skip
    for name in ("ratio", "opening"):
        off = [row[f"{name}_rms"] for row in unseen]
        scatter = np.median([row[f"{name}_scatter_rms"] for row in unseen])
        found.append(
            target(f"{name} along unseen paths off the mean cell, rms, median of {len(unseen)}", f"≤ {_OFF:.0%}",
                   f"{np.median(off):.1%}, worst {max(off):.1%}; single cells scatter by {scatter:.1%}")
        )  # fmt: skip
    for row in figures["cycles"]:
        if row["what"] == figures["name"]:
            found.append(target(f"slip a cycle after {_MANY} cycles {row['cycles']}, over the first one",
                                f"≤ {_DRIFT:g}", "–" if row["drift"] is None else f"{row['drift']:.0e}"))  # fmt: skip
    return found


def report(figures):
    """Tables of the figures of :func:`measure`."""
    numbers = {}
    for name, what in _NUMBERS.items():
        numbers |= {name: (what, "{:.3f}"), f"{name}_scatter": ("±", "{:.3f}"), f"{name}_law": ("law", "{:.3f}"),
                    f"{name}_off": ("off", "{:.1%}")}  # fmt: skip
    along = {
        "ratio_rms": ("ratio along the path, rms off", "{:.1%}"), "ratio_scatter_rms": ("cells scatter by", "{:.1%}"),
        "opening_rms": ("opening, rms off", "{:.1%}"), "opening_scatter_rms": ("by", "{:.1%}"),
    }  # fmt: skip
    cycles = {
        "cycles": ("cycles", "{}"), "what": ("what", "{}"), "first": ("slip in cycle 1, d", "{:.4f}"),
        "few": (f"{_FEW}", "{:.4f}"), "scatter": ("±", "{:.4f}"), "many": (f"{_MANY}", "{:.4f}"),
        "drift": ("a cycle at the end, over the first", "{:.0e}"),
    }  # fmt: skip
    return "\n\n".join([
        f"Machine: {figures['machine']}",
        f"{figures['law']}, learned from cells whose cracks have the law {figures['learned']}, seeds "
        f"{_listed(figures['learned_seeds'])}, against cells of {figures['blocks']} blocks with the law "
        f"{figures['cracks']}, seeds {_listed(figures['seeds'])}. ± is the standard deviation between cells; errors of "
        "ratios are over the peak of the mean cell, those of openings over its largest.",
        f"Slip of {SLIP:g} d a row, {SLIP * figures['rows']:g} d of the cell, under a pressure:",
        markdown(figures["slips"], {"pressure": ("pressure, p0", "{:g}"), **numbers}),
        "Paths that the training left out:",
        markdown(figures["unseen"], {"path": ("path", "{}"), "kind": ("kind", "{}"), **numbers, **along}),
        "Cycles of tractions over p0:",
        markdown(figures["cycles"], cycles),
        targets_table(figures["targets"]),
    ])  # fmt: skip


def _listed(seeds):
    return f"{seeds[0]} to {seeds[-1]}"


if __name__ == "__main__":
    main()
