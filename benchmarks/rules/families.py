"""Learned rules on cells as meshers make them: never worse than Gauss points.

R_error is the Error of a rule over that of as many Gauss points. *Network alone* is what the networks say, *checked*
the rule as it is used. None of the networks was trained on these cells; which families are among their training their
cards say.
"""

import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

import click
import numpy as np
from tqdm import tqdm

from benchmarks.rules.better_rules import RANDOM, RULES, measure
from benchmarks.rules.candidates import CANDIDATES, References
from benchmarks.rules.healthy_meshes import read_meshes, settled
from benchmarks.support.publishing import publish
from benchmarks.support.targets import target, targets_table
from femnn import distorted_hexahedra
from femnn.cli import Command
from femnn.geometry.meshers import FAMILIES, family
from femnn.io import data_folder, markdown
from femnn.system import description

_MOST_OF_A_MESH = 4000

# Of an R_error where Gauss points are exact to 1e-9.
_ROUND_OFF = 1e-4


@click.command(cls=Command)
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--cells", type=click.IntRange(min=50), default=2000, show_default=True, help="Cells of each family.")
@click.option("--seed", type=click.IntRange(min=0), default=1_620, show_default=True, help="Seed of all cells.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/families"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(paths, cells, seed, out, as_json):
    """Measure on random cells, on every family of femnn.geometry.meshers and on the meshes PATHS.

    Without PATHS, on the meshes that come with femnn. Meshes with folded cells are left out with a remark.
    """
    sets = {RANDOM: distorted_hexahedra(cells, (0.05, 0.35), seed)}
    sets |= {name: settled(family(name, cells, seed)) for name in FAMILIES}
    meshes, remarks = read_meshes(paths or sorted(data_folder("meshes").glob("*.vtu")), _MOST_OF_A_MESH)
    sets |= meshes
    rows = []
    for where, x in tqdm(sets.items(), desc="cells", disable=None):
        references = References(x)
        rows += [compared(where, rule, references) for rule in CANDIDATES if rule.name in RULES]
    figures = {
        "machine": description(),
        "rows": rows,
        "remarks": remarks,
        "cost": [cost(rule, sets[RANDOM]) for rule in CANDIDATES if rule.name in RULES],
        "targets": against_targets(rows),
    }
    publish(out, "families", figures, tables(figures), as_json)


def compared(where, rule, references):
    """Figures of a rule, of its networks alone and as it is."""
    with networks_alone():
        alone = measure(rule, references)
    checked = measure(rule, references)
    row = {"where": where, "rule": rule.name, "elements": len(checked[1])}
    row["kept"] = float(np.mean(np.abs(checked[1] - 1.0) < _ROUND_OFF)) if len(checked[1]) else None
    for name, (figures, ratios) in (("alone", alone), ("checked", checked)):
        row |= {f"{name}_mean": figures["mean"], f"{name}_worst": figures["worst"]}
        row[f"{name}_above_1"] = float(np.mean(ratios > 1.0 + _ROUND_OFF)) if len(ratios) else None
    return row


@contextmanager
def networks_alone():
    """Rules whose networks are believed without a check."""

    def all_of_them(hexahedra, *rules, **options):
        return np.ones(len(hexahedra), dtype=bool)

    with ExitStack() as stack:
        for rule in ("corrected", "moved"):
            stack.enter_context(patch(f"femnn.quadrature.{rule}.rule.nearer_than", all_of_them))
        stack.enter_context(patch("femnn.assembly.hourglass.correction._MOST_LEFT", np.inf))
        yield


def cost(rule, hexahedra, repeats=5):
    """Microseconds of processor time for a cell: with the check and without, the median of alternating runs."""
    hourglass = rule.hourglass() if rule.hourglass else None
    learned = hourglass.report if hourglass else rule.rule(0.3).groups
    seconds = {"alone": [], "checked": []}
    learned(hexahedra)
    for _ in range(repeats):
        for name, runs in seconds.items():
            with networks_alone() if name == "alone" else ExitStack():
                started = time.process_time()
                learned(hexahedra)
                runs.append(time.process_time() - started)
    return {"rule": rule.name} | {name: 1e6 * float(np.median(runs)) / len(hexahedra) for name, runs in seconds.items()}


def against_targets(rows):
    found = []
    for name in RULES:
        own = [
            row for row in rows if row["rule"] == name and row["checked_mean"] is not None and row["where"] != RANDOM
        ]
        most = max(own, key=lambda row: row["checked_above_1"])
        worst = max(own, key=lambda row: row["checked_worst"])
        found.append((f"{name}: share R_error > 1", "≤ 0.1%", f"{most['checked_above_1']:.2%} ({most['where']})"))
        found.append((f"{name}: worst R_error", "≤ 1.05", f"{worst['checked_worst']:.3f} ({worst['where']})"))
    tetrahedra = next(r for r in rows if r["where"] == "subdivided tetrahedra" and "hourglass" in r["rule"])
    found.append(("hourglass on subdivided tetrahedra: mean R_error", "≤ 0.12", f"{tetrahedra['checked_mean']:.3f}"))
    return [target(*row) for row in found]


def tables(figures):
    """All figures as markdown."""
    rules = {
        "where": ("cells of", "{}"),
        "elements": ("cells", "{:,}"),
        "rule": ("rule", "{}"),
        "alone_mean": ("network alone: mean R_error", "{:.3f}"),
        "alone_above_1": ("above 1", "{:.2%}"),
        "alone_worst": ("worst", "{:.2f}"),
        "checked_mean": ("checked: mean R_error", "{:.3f}"),
        "checked_above_1": ("above 1", "{:.2%}"),
        "checked_worst": ("worst", "{:.2f}"),
        "kept": ("keep Gauss", "{:.1%}"),
    }
    costs = {"rule": ("rule", "{}"), "alone": ("network alone, µs", "{:.1f}"), "checked": ("checked, µs", "{:.1f}")}
    return "\n\n".join(
        [
            f"Machine: {figures['machine']}",
            markdown(figures["rows"], rules),
            *figures["remarks"],
            "Processor time for a cell, random cells:",
            markdown(figures["cost"], costs),
            targets_table(figures["targets"]),
        ]
    )


if __name__ == "__main__":
    main()
