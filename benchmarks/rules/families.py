"""Learned rules on cells as meshers make them: never worse than Gauss points, and what tells a family that is new.

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
from scipy.spatial import cKDTree
from tqdm import tqdm

from benchmarks.rules.better_rules import RANDOM, RULES, measure
from benchmarks.rules.candidates import CANDIDATES, References
from benchmarks.rules.healthy_meshes import read_meshes, settled
from benchmarks.support.publishing import publish
from benchmarks.support.targets import target, targets_table
from femnn import distorted_hexahedra
from femnn.cli import Command
from femnn.geometry import canonical_pose, invariant_coordinates
from femnn.geometry.meshers import FAMILIES, family
from femnn.io import data_folder, markdown
from femnn.networks import TrainedDensity, TrainedRange
from femnn.system import description

_MOST_OF_A_MESH = 4000

# Share of the training that counts as flagged by chance: the measures are compared at this rate.
_CHANCE = 0.01

# Cells that the nearest neighbour is looked for among.
_NEIGHBOURS = 2000


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
        "told": told(cells, seed),
        "targets": against_targets(rows),
    }
    publish(out, "families", figures, tables(figures), as_json)


def compared(where, rule, references):
    """Figures of a rule, of its networks alone and as it is."""
    with networks_alone():
        alone, _ = measure(rule, references)
    checked, _ = measure(rule, references)
    row = {"where": where, "rule": rule.name, "elements": checked["elements"], "kept": checked["kept"]}
    for name, figures in (("alone", alone), ("checked", checked)):
        row |= {f"{name}_mean": figures["mean"], f"{name}_worst": figures["worst"]}
        row[f"{name}_above_1"] = None if figures["mean"] is None else 1.0 - figures["below_1"] - figures["kept"]
    return row


@contextmanager
def networks_alone():
    """Rules whose networks are believed without a check."""

    def all_of_them(hexahedra, *rules):
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


def told(cells, seed):
    """For each family left out of a training on random cells and all others: how well measures tell it.

    By the features of the corrected rules. AUC is the probability that a cell of the family lies farther out than one
    of the training's kind; flagged are those beyond all but _CHANCE of these.
    """
    features = {RANDOM: described(distorted_hexahedra(2 * cells, (0.0, 0.38), seed + 1))}
    features |= {name: described(family(name, 2 * cells, seed + 1)) for name in FAMILIES}
    rows = []
    for known, left_out in [*((RANDOM, name) for name in FAMILIES), *(("others", name) for name in FAMILIES)]:
        names = [RANDOM] if known == RANDOM else [name for name in features if name != left_out]
        training = np.concatenate([features[name][::2] for name in names])
        inside = np.concatenate([features[name][1::2] for name in names])
        row = {"trained": "random cells" if known == RANDOM else "all but it", "family": left_out}
        for name, measure_of in measures(training, seed).items():
            usual, foreign = measure_of(inside), measure_of(features[left_out][1::2])
            row[f"{name}_auc"] = auc(usual, foreign)
            row[f"{name}_flagged"] = float(np.mean(foreign > np.quantile(usual, 1.0 - _CHANCE)))
        rows.append(row)
    return rows


def described(hexahedra):
    return invariant_coordinates(canonical_pose(hexahedra)[0])


def measures(training, seed):
    """Functions of features that grow away from the training: out of its box, by Mahalanobis, to the nearest cell."""
    box, density = TrainedRange.of(training), TrainedDensity.of(training)
    scale, some = training.std(axis=0), np.random.default_rng(seed).permutation(len(training))[:_NEIGHBOURS]
    tree = cKDTree(training[some] / scale)
    return {
        "box": lambda x: (np.maximum(box.low - x, x - box.high) / scale).max(axis=1),
        "density": density.distance,
        "nearest": lambda x: tree.query(x / scale)[0],
    }


def auc(usual, foreign):
    """Probability that a foreign value exceeds a usual one."""
    ranks = np.concatenate([usual, foreign]).argsort().argsort()[len(usual) :]
    return float((ranks.sum() - len(foreign) * (len(foreign) - 1) / 2) / (len(usual) * len(foreign)))


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
    measured = {"box": "box", "density": "density", "nearest": "nearest cell"}
    told_by = {"trained": ("trained on", "{}"), "family": ("new family", "{}")}
    for name, words in measured.items():
        told_by |= {f"{name}_auc": (f"{words}: AUC", "{:.2f}"), f"{name}_flagged": ("flagged", "{:.0%}")}
    costs = {"rule": ("rule", "{}"), "alone": ("network alone, µs", "{:.1f}"), "checked": ("checked, µs", "{:.1f}")}
    return "\n\n".join(
        [
            f"Machine: {figures['machine']}",
            markdown(figures["rows"], rules),
            *figures["remarks"],
            "Processor time for a cell, random cells:",
            markdown(figures["cost"], costs),
            "How well a family is told that was not in a training, at 1 % of false alarms:",
            markdown(figures["told"], told_by),
            targets_table(figures["targets"]),
        ]
    )


if __name__ == "__main__":
    main()
