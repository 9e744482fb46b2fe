"""Better rules at the same cost: the remaining Error against Gauss points, and the patch test.

Random elements of the published experiment and the elements of meshes, none of which the networks were trained on.
R_error is the Error of a rule over that of as many Gauss points, against converged integration; elements on which Gauss
points are exact, or whose reference is not sure, are left out.
"""

from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from benchmarks.rules.candidates import CANDIDATES, References
from benchmarks.rules.healthy_meshes import read_meshes
from benchmarks.support.publishing import publish
from benchmarks.support.targets import target, targets_table
from femnn import distorted_hexahedra
from femnn.cli import Command
from femnn.io import data_folder, markdown
from femnn.plotting import save
from femnn.system import description

RANDOM = "random"


class Targets(NamedTuple):
    """A rule of the comparison: Gauss points per axis that it takes the place of, and its targets.

    ``mean`` and ``share`` are the mean R_error and the share below 1 on random elements, None where there is no target;
    on meshes the mean may be 1.3 times as much. ``patch`` is the largest relative error in the patch test.
    """

    points: int
    mean: float | None = None
    share: float | None = None
    patch: float | None = None


RULES = {
    "CorrectedGauss()": Targets(2),
    "MovedGauss()": Targets(2, 0.58, 0.999),
    "MovedGauss(patch=True)": Targets(2, 0.68, 0.995, 1e-12),
    "2×2×2 and hourglass": Targets(2, 0.12, 0.999, 1e-12),
    "CorrectedGauss(3, patch)": Targets(3, 0.88, 0.99, 1e-12),
}
_ON_MESHES = 1.3

#: Materials for which the hourglass correction, which is made for any, is measured on the random elements.
POISSON = (0.3, -0.4, 0.0, 0.45, 0.49)

# Below this the Gauss points are exact up to round-off, and R_error compares noise.
_EXACT = 1e-9

_MOST_OF_A_MESH = 6000


@click.command(cls=Command)
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--elements", type=click.IntRange(min=10), default=5000, show_default=True, help="Random elements.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=20_171, show_default=True, help="Seed of the random elements."
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/better-rules"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(paths, elements, seed, out, as_json):
    """Measure on random elements and on the meshes PATHS; without any, on those that come with femnn.

    Meshes with folded elements are left out with a remark.
    """
    rules = {c.name: c for c in CANDIDATES if c.name in RULES}
    sets = {RANDOM: distorted_hexahedra(elements, (0.05, 0.35), seed)}
    meshes, remarks = read_meshes(paths or sorted(data_folder("meshes").glob("*.vtu")), _MOST_OF_A_MESH)
    sets |= meshes
    rows, ratios = [], {}
    for where, x in tqdm(sets.items(), desc="elements", disable=None):
        references = References(x)
        for name, rule in rules.items():
            row, ratios[where, name] = measure(rule, references)
            rows.append({"where": where, "rule": name, **row})
    materials = []
    for poisson in tqdm(POISSON, desc="materials", disable=None):
        row, _ = measure(rules["2×2×2 and hourglass"], References(sets[RANDOM], poisson))
        materials.append({"poisson": poisson, **row})
    figures = {
        "machine": description(),
        "rows": rows,
        "remarks": remarks,
        "materials": materials,
        "targets": against_targets(rows),
    }
    draw(ratios, out / "better-rules.png")
    report = tables(figures)
    publish(out, "better-rules", figures, report, as_json)


def measure(rule, references):
    """Figures of one rule, and R_error of each element on which it means something."""
    errors, patch = references.compare(rule)
    gauss = references.gauss[:, RULES[rule.name].points - 1]
    inexact = (gauss > _EXACT) & (references.doubt < 1e-3 * gauss)
    ratios = errors[inexact] / gauss[inexact]
    row = {
        "elements": len(ratios),
        "mean": float(ratios.mean()) if len(ratios) else None,
        "below_1": float(np.mean(ratios < 1.0 - 1e-9)) if len(ratios) else None,
        "worst": float(ratios.max()) if len(ratios) else None,
        "kept": float(np.mean(np.abs(ratios - 1.0) < 1e-9)) if len(ratios) else None,
        "patch": patch,
    }
    return row, ratios


def against_targets(rows):
    """Rows of targets and measured values: on random elements, and on the worst of the meshes."""
    found = []
    for name, limits in RULES.items():
        own = {row["where"]: row for row in rows if row["rule"] == name and row["mean"] is not None}
        if limits.mean is None or RANDOM not in own:
            continue
        random, meshes = own[RANDOM], {where: row for where, row in own.items() if where != RANDOM}
        found.append((f"{name}: mean R_error", f"≤ {limits.mean:g}", f"{random['mean']:.3f}"))
        found.append((f"{name}: share R_error < 1", f"≥ {limits.share:.1%}", f"{random['below_1']:.2%}"))
        if meshes:
            worst = max(meshes, key=lambda where: meshes[where]["mean"])
            measured = f"{meshes[worst]['mean']:.3f} ({worst})"
            found.append((f"{name}: mean R_error, worst mesh", f"≤ {_ON_MESHES * limits.mean:.3g}", measured))
        if limits.patch is not None:
            measured = max(row["patch"] for row in own.values())
            found.append((f"{name}: patch test", f"< {limits.patch:g}", f"{measured:.0e}"))
    return [target(*row) for row in found]


def tables(figures):
    """All figures as markdown."""
    columns = {
        "where": ("elements of", "{}"),
        "elements": ("elements", "{:,}"),
        "rule": ("rule", "{}"),
        "mean": ("mean R_error", "{:.3f}"),
        "below_1": ("R_error < 1", "{:.2%}"),
        "worst": ("worst R_error", "{:.2f}"),
        "kept": ("keep Gauss", "{:.2%}"),
        "patch": ("patch test", "{:.0e}"),
    }
    materials = {name: columns[name] for name in ("mean", "below_1", "worst")}
    return "\n\n".join(
        [
            f"Machine: {figures['machine']}",
            "R_error: Error over that of as many Gauss points, ν = 0.3. Patch test: the largest relative error of the "
            "nodal forces under constant strain.",
            markdown(figures["rows"], columns),
            *figures["remarks"],
            "The hourglass correction for other materials, random elements:",
            markdown(figures["materials"], {"poisson": ("ν", "{:g}"), **materials}),
            targets_table(figures["targets"]),
            "![R_error of the rules](better-rules.png)\n",
        ]
    )


def draw(ratios, path):
    """Share of the random elements below each R_error, and the mean R_error on every set of elements."""
    figure = Figure(figsize=(12, 5.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    places = list(dict.fromkeys(where for where, _ in ratios))
    width = 0.8 / len(RULES)
    for k, name in enumerate(RULES):
        ordered = np.sort(ratios[RANDOM, name])
        left.plot(ordered, np.linspace(0.0, 1.0, len(ordered)), label=f"{name}, mean {ordered.mean():.2f}")
        means = [ratios[where, name].mean() if len(ratios[where, name]) else np.nan for where in places]
        right.bar(np.arange(len(places)) + k * width, means, width)
    left.axvline(1.0, color="black", linewidth=1, linestyle="--")
    left.set(xlim=(0.0, 1.2), ylim=(0.0, 1.0), xlabel="R_error", ylabel="share of random elements below")
    figure.legend(loc="outside lower center", ncols=3)
    right.axhline(1.0, color="black", linewidth=1, linestyle="--")
    right.set_xticks(np.arange(len(places)) + 0.4 - 0.5 * width, places, rotation=30, ha="right")
    right.set(ylabel="mean R_error")
    save(figure, path)


if __name__ == "__main__":
    main()
