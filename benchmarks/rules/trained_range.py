"""What tells cells that no training has seen: a box of features, normal distributions, or the nearest cell.

And whether the cells on which AdaptiveGauss misses its tolerance are those that lie where its training was sparse.
"""

import time
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
from scipy.spatial import cKDTree
from tqdm import tqdm

from benchmarks.support.publishing import publish
from femnn import AdaptiveGauss, distorted_hexahedra
from femnn.cli import Command
from femnn.geometry import canonical_pose, invariant_coordinates
from femnn.geometry.meshers import FAMILIES, family
from femnn.io import markdown
from femnn.networks import TrainedDensity, TrainedRange
from femnn.quadrature.adaptive.apriori_estimate import describe_directions
from femnn.quadrature.adaptive.tolerance_test import keeps_tolerance
from femnn.quadrature.adaptive.train import DIRECTIONAL_RECIPE
from femnn.system import description

_RANDOM = "random cells"

# Share of the training's kind that is flagged by chance: the measures are compared at this rate.
_CHANCE = 0.01

# Cells that the nearest neighbour is looked for among.
_NEIGHBOURS = 2000

# Of the adaptive rule: measure, different points along the axes, tolerance; with these most families miss most.
_SETTINGS = (("entries", False, 1e-6), ("energy", True, 1e-5), ("energy", False, 1e-3))


@click.command(cls=Command)
@click.option("--cells", type=click.IntRange(min=200), default=1000, show_default=True, help="Cells of each family.")
@click.option("--seed", type=click.IntRange(min=0), default=1_620, show_default=True, help="Seed of all cells.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/trained-range"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(cells, seed, out, as_json):
    """Measure on random cells and on every family of femnn.geometry.meshers."""
    figures = {"machine": description(), "told": told(cells, seed), "missed": missed(cells, seed), "cost": cost(seed)}
    publish(out, "trained-range", figures, tables(figures), as_json)


def told(cells, seed):
    """For each family left out of a training on random cells and all others: how well measures tell it.

    By the features of the corrected rules. AUC is the probability that a cell of the family lies farther out than one
    of the training's kind; flagged are those beyond all but _CHANCE of these.
    """
    features = {_RANDOM: described(distorted_hexahedra(4 * cells, (0.0, 0.38), seed + 1))}
    features |= {name: described(family(name, 2 * cells, seed + 1)) for name in FAMILIES}
    rows = []
    both = [*((_RANDOM, name) for name in FAMILIES), *(("all but it", name) for name in FAMILIES)]
    for known, left_out in tqdm(both, desc="trainings", disable=None):
        names = [_RANDOM] if known == _RANDOM else [name for name in features if name != left_out]
        training = np.concatenate([features[name][::2] for name in names])
        inside = np.concatenate([features[name][1::2] for name in names])
        row = {"trained": known, "family": left_out}
        for name, measure_of in measures(training, seed).items():
            usual, foreign = measure_of(inside), measure_of(features[left_out][1::2])
            row[f"{name}_auc"] = auc(usual, foreign)
            row[f"{name}_flagged"] = float(np.mean(foreign > np.quantile(usual, 1.0 - _CHANCE)))
        rows.append(row)
    return rows


def described(hexahedra):
    return invariant_coordinates(canonical_pose(hexahedra)[0])


def measures(training, seed):
    """Functions of features that grow away from the training."""
    box, scale = TrainedRange.of(training), training.std(axis=0)
    random = np.random.default_rng(seed).permutation(len(training))
    tree = cKDTree(training[random[:_NEIGHBOURS]] / scale)
    return {
        "box": lambda x: (np.maximum(box.low - x, x - box.high) / scale).max(axis=1),
        "one": TrainedDensity.of(training[random], components=1).distance,
        "several": TrainedDensity.of(training[random]).distance,
        "nearest": lambda x: tree.query(x / scale)[0],
    }


def auc(usual, foreign):
    """Probability that a foreign value exceeds a usual one."""
    ranks = np.concatenate([usual, foreign]).argsort().argsort()[len(usual) :]
    return float((ranks.sum() - len(foreign) * (len(foreign) - 1) / 2) / (len(usual) * len(foreign)))


def missed(cells, seed):
    """For each family and setting of the adaptive rule: cells that miss, and which of them a range would flag.

    By the features of the directional networks, of which no direction may be out of range.
    """
    training = directions(replace(DIRECTIONAL_RECIPE, elements=3 * cells).hexahedra())
    flat = training.reshape(-1, training.shape[2])
    box, density = TrainedRange.of(flat), TrainedDensity.of(np.random.default_rng(seed).permutation(flat))
    rows = []
    for name in tqdm(FAMILIES, desc="families", disable=None):
        x = family(name, cells, seed + 2)
        features = directions(x).reshape(3 * cells, -1)
        outside = {
            "box": ~box.in_range(features).reshape(cells, 3).all(axis=1),
            "density": ~density.in_range(features).reshape(cells, 3).all(axis=1),
        }
        for measure, anisotropic, tol in _SETTINGS:
            rule = AdaptiveGauss(tol, anisotropic=anisotropic, measure=measure, calibrate="families")
            points, _ = rule.choose(x)
            misses = ~keeps_tolerance(x, points, tol, rule.poisson, measure)
            row = {"family": name, "setting": f"{measure}, {'nx×ny×nz' if anisotropic else 'n×n×n'}, {tol:g}"}
            row["missed"] = float(misses.mean())
            for by, flags in outside.items():
                row[f"{by}_flagged"] = float(flags.mean())
                row[f"{by}_of_missed"] = float(flags[misses].mean()) if misses.any() else None
            rows.append(row)
    return rows


def directions(hexahedra):
    """Features (n, 3, k) of the directions, but for the material."""
    return describe_directions(hexahedra)[0].astype(float)


def cost(seed, repeats=7):
    """Microseconds of processor time for a cell, the least of some runs."""
    features = described(distorted_hexahedra(10_000, (0.0, 0.38), seed))
    result = {}
    for name, trained in (("box", TrainedRange.of(features)), ("density", TrainedDensity.of(features))):
        seconds = []
        for _ in range(repeats):
            started = time.process_time()
            trained.in_range(features)
            seconds.append(time.process_time() - started)
        result[name] = 1e6 * min(seconds) / len(features)
    return result


def tables(figures):
    """All figures as markdown."""
    names = {"box": "box", "one": "one normal", "several": "mixture", "nearest": "nearest cell"}
    told_by = {"trained": ("trained on", "{}"), "family": ("new family", "{}")}
    for name, words in names.items():
        told_by |= {f"{name}_auc": (f"{words}: AUC", "{:.2f}"), f"{name}_flagged": ("flagged", "{:.0%}")}
    missed_by = {
        "family": ("family", "{}"),
        "setting": ("setting", "{}"),
        "missed": ("cells that miss", "{:.2%}"),
        "box_flagged": ("out of the box: of all", "{:.1%}"),
        "box_of_missed": ("of those", "{:.0%}"),
        "density_flagged": ("out of the density: of all", "{:.1%}"),
        "density_of_missed": ("of those", "{:.0%}"),
    }
    return "\n\n".join(
        [
            f"Machine: {figures['machine']}",
            "How well a family is told that was not in a training, at 1 % of false alarms:",
            markdown(figures["told"], told_by),
            "Does AdaptiveGauss, calibrated on families, miss where its training was sparse?",
            markdown(figures["missed"], missed_by),
            f"A cell takes {figures['cost']['box']:.2f} µs by the box and {figures['cost']['density']:.2f} µs by eight "
            "normal distributions.",
        ]
    )


if __name__ == "__main__":
    main()
