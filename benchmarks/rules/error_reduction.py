"""The experiment of Oishi and Yagawa (CMAME 327 (2017) 327-351), repeated: learned rules on random hexahedra.

20,000 distorted cubes are labelled for both methods; each network trains on 5,000 and is tested on 5,000 others.
The shipped networks, which have seen none of these elements, are measured beside them, and so are the classical rivals:
the most frequent number of points and thresholds on the scaled Jacobian. Writes tables and pictures to ``--out``.
"""

import json
import time
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
from tqdm import tqdm

from benchmarks.rules.experiment_figures import draw_classes, draw_histograms, draw_trials
from femnn import AdaptiveGauss, CorrectedGauss, GaussLegendre, distorted_hexahedra
from femnn.cli import Command
from femnn.geometry import scaled_jacobian
from femnn.integration import converged_stiffness, elasticity_stiffness, stiffness_error, tensor_gauss
from femnn.integration.error import error_against
from femnn.integration.optimal_weights import optimal_weights, random_trials, weight_systems
from femnn.io import atomic_write, markdown
from femnn.networks import Recipe, make_dataset
from femnn.networks.element_data import label
from femnn.quadrature.adaptive.classifier import FEWEST, classes
from femnn.quadrature.adaptive.data import DirectionalData, DirectionalRecipe, label_directions
from femnn.quadrature.adaptive.train import DIRECTIONAL_OPTIONS, fit_directional
from femnn.quadrature.corrected import train as recipes
from femnn.system import description

TOLERANCES = (1e-3, 1e-7)
LEVELS = (0.1, 0.2, 0.3, 0.4)
SPREADS = (0.01, 0.03, 0.1)


@click.command(cls=Command)
@click.option(
    "--elements",
    type=click.IntRange(min=200),
    default=20_000,
    show_default=True,
    help="Elements to label; a quarter trains each method.",
)
@click.option(
    "--trials",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Random weight vectors per element in the labels.",
)
@click.option(
    "--most-trials",
    type=click.IntRange(min=10),
    default=1_000_000,
    show_default=True,
    help="Random trials in the comparison figure.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=2017, show_default=True, help="Seed of elements and networks."
)
@click.option("--epochs", type=click.IntRange(min=1), help="Fewer epochs than the recipes, for a quick look.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/error-reduction"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(elements, trials, most_trials, seed, epochs, out, as_json):
    """Error-reduction ratios and integration points of learned quadrature on random hexahedra."""
    out.mkdir(parents=True, exist_ok=True)
    label(distorted_hexahedra(4, 0.2, 0), Recipe(4, trials=1))  # compile before the clock starts
    started = time.perf_counter()
    recipe = Recipe(elements, displacement=(0.05, 0.35), seed=seed, trials=trials)
    fresh = not (out / "elements.safetensors").exists()
    dataset = make_dataset(out / "elements.safetensors", recipe)
    labelling = time.perf_counter() - started if fresh else None
    quarter = elements // 4
    figures = {
        "machine": description(),
        "recipe": json.loads(recipe.to_json()),
        "labelling_seconds": labelling,
        "reference": check_reference(dataset.hexahedra[:200]),
        "method_1": method_1(dataset[:quarter], dataset[quarter : 2 * quarter], out, seed, epochs),
        "method_2": method_2(dataset[2 * quarter : 3 * quarter], dataset[3 * quarter :], out, seed, epochs),
        "levels": by_level(seed),
        "trials": trials_against_optimum(dataset.hexahedra[:60], most_trials, seed, out),
    }
    report = tables(figures)
    with atomic_write(out / "error-reduction.md") as temporary:
        temporary.write_text(report, encoding="utf-8")
    with atomic_write(out / "error-reduction.json") as temporary:
        temporary.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    click.echo(json.dumps(figures) if as_json else report)
    if not as_json:
        click.echo(f"\nTables and pictures are in {out}")


def check_reference(hexahedra):
    """Largest Error between the converged reference and 30×30×30 points, where the reference says it has converged."""
    reference, doubt = converged_stiffness(hexahedra)
    thirty = elasticity_stiffness(hexahedra, *tensor_gauss(30, 30, 30))
    settled = doubt < 1e-12
    return {
        "largest_difference_from_30_points": float(stiffness_error(reference, thirty)[settled].max()),
        "share_converged_to_1e-12": float(settled.mean()),
    }


def method_1(train, test, out, seed, epochs):
    """Published classifier, directional network and rivals for each tolerance: one row of figures each."""
    train, test = recipes.converged(train), recipes.converged(test)
    training, validation = _validated(train)
    rows, matrices = [], {}
    options = _options(DIRECTIONAL_OPTIONS, seed, epochs, batch_size=128, epochs=100)
    recipe = DirectionalRecipe(len(train), displacement=train.recipe.displacement, seed=seed)
    data = DirectionalData(recipe, **label_directions(train.hexahedra, recipe))
    path, _ = fit_directional(out / "points-network", data, options, ("entries",))
    for tolerance in TOLERANCES:
        true = classes(test.errors, tolerance) + FEWEST
        published, _ = recipes.fit_classifier(
            out / f"published-{tolerance:g}",
            training,
            validation,
            test,
            tolerance,
            _options(recipes.CLASSIFIER_OPTIONS, seed, epochs),
        )
        chosen = {
            "published classifier": _points(published, test, tolerance, None),
            "directional network": _points(path, test, tolerance, None),
            "shipped, confidence=None": _points("integration-points", test, tolerance, None),
            "shipped, confidence=0.99": _points("integration-points", test, tolerance, 0.99),
            "majority class": np.full(len(test), np.bincount(classes(training.errors, tolerance)).argmax() + FEWEST),
            "scaled Jacobian": _by_scaled_jacobian(training, test, tolerance),
            f"uniform {true.max()}×{true.max()}×{true.max()}": np.full(len(test), true.max()),
        }
        rows += [{"tolerance": tolerance, "rule": name, **_figures(points, true)} for name, points in chosen.items()]
        matrices[tolerance] = (true, chosen["published classifier"], chosen["shipped, confidence=None"])
    draw_classes(matrices, out / "points.png")
    return rows


def _points(weights, test, tolerance, confidence):
    return AdaptiveGauss(tolerance, confidence, False, weights=weights).points_per_axis(test.hexahedra)[:, 0]


def _by_scaled_jacobian(training, test, tolerance):
    """The best single-measure rule: the most frequent class among training elements of like scaled Jacobian."""
    edges = np.quantile(scaled_jacobian(training.hexahedra), np.linspace(0, 1, 21)[1:-1])
    true = classes(training.errors, tolerance) + FEWEST
    bins = np.digitize(scaled_jacobian(training.hexahedra), edges)
    votes = np.array([np.bincount(true[bins == b], minlength=30).argmax() for b in range(len(edges) + 1)])
    return votes[np.digitize(scaled_jacobian(test.hexahedra), edges)]


def _figures(points, true):
    return {
        "exact": float(np.mean(points == true)),
        "within_one": float(np.mean(np.abs(points - true) <= 1)),
        "violations": float(np.mean(points < true)),
        "points_over_oracle": float((points.astype(float) ** 3).sum() / (true.astype(float) ** 3).sum()),
    }


def method_2(train, test, out, seed, epochs):
    """Corrected weights learned from random trials, from exact optima and from R_error itself, and the shipped ones."""
    training, validation = _validated(train)
    rows, ratios = [], {}
    names = {"trials": "best of random trials", "optimal": "exact optima", "error": "R_error itself"}
    for target, name in names.items():
        options = _options(recipes.REGRESSOR_OPTIONS, seed, epochs, epochs=400, patience=100)
        path, _ = recipes.fit_weights(out / f"weights-{target}", training, validation, test, options, target)
        ratios[target] = {part: _ratios(path, data) for part, data in (("train", train), ("test", test))}
        rows.append({"learned from": name, **_ratio_figures(*ratios[target]["test"])})
    rows.append({"learned from": "shipped", **_ratio_figures(*_ratios("quadrature-weights", test))})
    draw_histograms(ratios["error"], out / "weights.png")
    return rows


def _ratios(weights, data):
    """R_error of the elements that are sent on: predicted and optimal; and the share that is sent on."""
    predicted, sent_on = recipes.corrected_r_error(weights, data)
    return predicted, data.optimum[sent_on], float(sent_on.mean())


def _ratio_figures(predicted, optimal, sent_on):
    if len(predicted) == 0:
        return {"sent_on": sent_on, "below_1": None, "mean": None, "optimum": None, "ratio": None}
    return {
        "sent_on": sent_on,
        "below_1": float(np.mean(predicted < 1)),
        "mean": float(predicted.mean()),
        "optimum": float(optimal.mean()),
        "ratio": float(predicted.mean() / optimal.mean()),
    }


def by_level(seed, n=1250):
    """The shipped weights on fresh elements of one displacement each, all elements counted."""
    rows = []
    for level in tqdm(LEVELS, desc="levels", disable=None):
        elements = distorted_hexahedra(n, level, seed + 1)
        references, doubt = converged_stiffness(elements)
        elements, references = elements[doubt < 1e-8], references[doubt < 1e-8]
        points, gauss = tensor_gauss(2, 2, 2)
        standard = error_against(elements, GaussLegendre(2), references)
        _, least, _ = optimal_weights(*weight_systems(elements, points, references), gauss)
        rule = CorrectedGauss()
        corrected = error_against(elements, rule, references)
        rows.append(
            {
                "displacement": level,
                "error_of_gauss": float(np.median(standard)),
                "optimum": float((least / standard).mean()),
                "corrected": float((corrected / standard).mean()),
                "below_1": float(np.mean(corrected <= standard)),
                "sent_on": float(rule.corrected(elements).mean()),
            }
        )
    return rows


def trials_against_optimum(hexahedra, most, seed, out):
    """Mean R_error of the best of N random trials, N up to ``most``, beside the exact optimum."""
    points, gauss = tensor_gauss(2, 2, 2)
    references, _ = converged_stiffness(hexahedra)
    matrices, targets = weight_systems(hexahedra, points, references)
    standard = np.abs(matrices @ gauss - targets).sum(axis=1)
    started = time.perf_counter()
    _, least, proven = optimal_weights(matrices, targets, gauss)
    exact_seconds = time.perf_counter() - started
    counts = [10**k for k in range(1, int(np.log10(most)) + 1)]
    means = {}
    with tqdm(total=len(SPREADS) * len(counts), desc="random trials", disable=None) as bar:
        for spread in SPREADS:
            means[spread] = []
            for count in counts:
                started = time.perf_counter()
                _, errors = random_trials(matrices, targets, gauss, count, seed, spread)
                seconds = time.perf_counter() - started
                means[spread].append(float((errors / standard).mean()))
                bar.update()
    figures = {
        "counts": counts,
        "means": means,
        "optimum": float((least / standard).mean()),
        "proven": float(proven.mean()),
        "milliseconds_exact": 1e3 * exact_seconds / len(hexahedra),
        "milliseconds_trials": 1e3 * seconds / len(hexahedra),
    }
    draw_trials(figures, out / "trials.png")
    return figures


def _validated(train):
    """A tenth of the training elements validates: neither is ever tested on."""
    tenth = len(train) // 10
    return train[tenth:], train[:tenth]


def _options(options, seed, limit, **changes):
    options = replace(options, seed=seed, **changes)
    return replace(options, epochs=min(options.epochs, limit)) if limit else options


def tables(figures):
    """All figures as markdown."""
    return "\n\n".join(
        [
            f"Machine: {figures['machine']}",
            _labelling_text(figures),
            "Method 1, integration points per axis (unseen elements, displacement 0.05 to 0.35):",
            markdown(
                figures["method_1"],
                {
                    "tolerance": ("tolerance", "{:g}"),
                    "rule": ("rule", "{}"),
                    "exact": ("exact class", "{:.1%}"),
                    "within_one": ("within one", "{:.1%}"),
                    "violations": ("too few points", "{:.1%}"),
                    "points_over_oracle": ("points / oracle", "{:.2f}"),
                },
            ),
            "Method 2, eight corrected weights (unseen elements that the classifier sends on):",
            markdown(
                figures["method_2"],
                {
                    "learned from": ("learned from", "{}"),
                    "sent_on": ("sent on", "{:.1%}"),
                    "below_1": ("R_error < 1", "{:.1%}"),
                    "mean": ("mean R_error", "{:.4f}"),
                    "optimum": ("true optimum", "{:.4f}"),
                    "ratio": ("mean / optimum", "{:.4f}"),
                },
            ),
            "Method 2 by distortion (shipped weights, all elements):",
            markdown(
                figures["levels"],
                {
                    "displacement": ("displacement", "{:g}"),
                    "error_of_gauss": ("median Error, 2×2×2", "{:.2g}"),
                    "optimum": ("mean R_error, optimum", "{:.3f}"),
                    "corrected": ("mean R_error, CorrectedGauss", "{:.3f}"),
                    "below_1": ("R_error ≤ 1", "{:.1%}"),
                    "sent_on": ("sent on", "{:.1%}"),
                },
            ),
            _trials_text(figures["trials"]),
        ]
    )


def _labelling_text(figures):
    seconds, reference = figures["labelling_seconds"], figures["reference"]
    took = "were read from an earlier run" if seconds is None else f"were labelled for both methods in {seconds:.0f} s"
    return (
        f"{figures['recipe']['elements']} elements {took}. The converged reference differs from 30×30×30 points by an "
        f"Error of {reference['largest_difference_from_30_points']:.1e} at most, where it has converged "
        f"({reference['share_converged_to_1e-12']:.1%} of 200 elements)."
    )


def _trials_text(trials):
    best = min(means[-1] for means in trials["means"].values())
    return (
        f"Random trials: the best of {trials['counts'][-1]:,} reaches a mean R_error of {best:.3f} at the best of the "
        f"spreads {', '.join(map(str, trials['means']))}; the exact optimum is {trials['optimum']:.3f} "
        f"(certified for {trials['proven']:.0%}), in {trials['milliseconds_exact']:.2f} ms an element instead of "
        f"{trials['milliseconds_trials']:.0f} ms."
    )


if __name__ == "__main__":
    main()
