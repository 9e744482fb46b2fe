"""Train both quadrature networks from nothing: draw elements, label, train, calibrate, use the weights.

    python examples/train_from_nothing.py --out results

In two minutes on two cores. The shipped weights come from the same functions with more elements and epochs, and with
stretched and sheared elements besides (`femnn train`).
"""

import argparse
import dataclasses
import time
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import femnn
from femnn.integration import elasticity_stiffness, smallest_points, stiffness_error
from femnn.integration.convergence import errors_and_reference
from femnn.networks import Recipe, make_dataset
from femnn.plotting import save
from femnn.quadrature.adaptive.data import DirectionalRecipe, make_directional_data
from femnn.quadrature.adaptive.train import DIRECTIONAL_OPTIONS, fit_directional
from femnn.quadrature.corrected.train import REGRESSOR_OPTIONS, fit_weights, split

# Of the vertices of unit cubes: from mildly to strongly distorted elements.
DISPLACEMENT = (0.05, 0.35)
# What the few held-out elements can vouch for.
CONFIDENCE = 0.95


def main(elements=8_000, epochs=100, tol=1e-3, seed=0, unseen=2_000, out="results"):
    """Train both methods on the same ``elements`` elements and test the rules on ``unseen`` others.

    Returns
    -------
    dict
        ``exact``, ``violations``, ``points_over_oracle`` of the first method, ``mean_r_error``, ``share_below_1``,
        ``sent_on`` of the second, ``seconds`` of the whole.
    """
    started = time.perf_counter()
    folder = Path(out) / "train_from_nothing"
    print(f"drawing and labelling {elements:,} elements")
    dataset = make_dataset(folder / "data.safetensors", Recipe(elements, displacement=DISPLACEMENT, seed=seed))
    parts = split(dataset[dataset.doubt < 1e-10])  # without the few that are so nearly folded that no label is sure
    print(f"training for at most {epochs} epochs")
    # one thread: so small networks gain nothing by more, and lose much where other programs use the cores
    own = {"epochs": epochs, "seed": seed, "threads": 1}
    options = dataclasses.replace(DIRECTIONAL_OPTIONS, **own), dataclasses.replace(REGRESSOR_OPTIONS, **own)
    recipe = DirectionalRecipe(elements, displacement=DISPLACEMENT, seed=seed)
    directions = make_directional_data(folder / "directions.safetensors", recipe)
    points_file, _ = fit_directional(folder / "integration-points", directions, options[0], ("entries",))
    weights_file, _ = fit_weights(folder / "quadrature-weights", *parts, options[1])
    hexahedra = femnn.distorted_hexahedra(unseen, DISPLACEMENT, seed=seed + 1)
    errors, references, _ = errors_and_reference(hexahedra, 20)
    first, choice = judge_points(points_file, hexahedra, errors, tol)
    second, ratio = judge_weights(weights_file, hexahedra, errors, references)
    figures = {**first, **second, "seconds": time.perf_counter() - started}
    report(figures, tol)
    plot(choice, ratio, tol, Path(out) / "train_from_nothing.png")
    return figures


def judge_points(path, hexahedra, errors, tol):
    """Method 1 on unseen elements: its figures, and needed and predicted points per axis."""
    needed = np.maximum(smallest_points(errors, tol), 2)
    # equal numbers along the axes, to be compared with what is needed; without anisotropic=False fewer would do
    predicted = femnn.AdaptiveGauss(tol, None, anisotropic=False, weights=path).points_per_axis(hexahedra)[:, 0]
    safe = femnn.AdaptiveGauss(tol, CONFIDENCE, anisotropic=False, weights=path).points_per_axis(hexahedra)[:, 0]
    figures = {
        "exact": float(np.mean(predicted == needed)),
        "within_one": float(np.mean(np.abs(predicted - needed) <= 1)),
        "violations": float(np.mean(safe < needed)),
        "points_over_oracle": float((safe**3).sum() / (needed**3).sum()),
    }
    return figures, (needed, predicted)


def judge_weights(path, hexahedra, errors, references):
    """Method 2 on unseen elements: its figures, and R_error of the elements it corrects."""
    rule = femnn.CorrectedGauss(weights=path)
    corrected = np.empty(len(hexahedra))
    for group in rule.groups(hexahedra):
        stiffness = elasticity_stiffness(hexahedra[group.cells], group.X, group.W)
        corrected[group.cells] = stiffness_error(stiffness, references[group.cells])
    sent_on = rule.corrected(hexahedra)
    ratio = (corrected / errors[:, 1])[sent_on]
    figures = {
        "sent_on": float(sent_on.mean()),
        # too little training corrects no element at all
        "share_below_1": float(np.mean(ratio < 1.0)) if len(ratio) else 0.0,
        "mean_r_error": float(ratio.mean()) if len(ratio) else 1.0,
    }
    return figures, ratio


def report(figures, tol):
    weights = (
        f"{figures['sent_on']:.1%} are corrected; of these {figures['share_below_1']:.1%} get better, mean R_error "
        f"{figures['mean_r_error']:.3f}"
    )
    if not figures["sent_on"]:
        weights = "the network corrects no element: it needs more elements or epochs"
    print(
        f"\npoints:  {figures['exact']:.1%} of unseen elements get exactly the points per axis they need for Error < "
        f"{tol:g}, {figures['within_one']:.1%} within one;\n         calibrated for {CONFIDENCE:.0%}, "
        f"{figures['violations']:.1%} get too few, for {figures['points_over_oracle']:.2f} times the fewest points\n"
        f"weights: {weights}\n"
        f"{figures['seconds']:.0f} s in all"
    )


def plot(choice, ratio, tol, path):
    figure = Figure(figsize=(11.0, 4.8), layout="constrained")
    matrix_axes, histogram_axes = figure.subplots(1, 2)
    needed, predicted = choice
    # rows are what is needed, columns what is predicted: below the diagonal lie elements with more points than needed
    first, last = min(needed.min(), predicted.min()), max(needed.max(), predicted.max())
    edges = np.arange(first, last + 2) - 0.5
    counts = np.histogram2d(needed, predicted, (edges, edges))[0]
    matrix_axes.imshow(np.sqrt(counts), origin="lower", cmap="Blues", extent=(edges[0], edges[-1]) * 2)
    for row, column in np.argwhere(counts):
        dark = counts[row, column] > 0.3 * counts.max()
        place = (column + first, row + first)
        matrix_axes.text(
            *place, f"{counts[row, column]:.0f}", ha="center", va="center", color="white" if dark else "black"
        )
    matrix_axes.set(title=f"Points per axis for Error < {tol:g}", xlabel="predicted", ylabel="needed")
    if len(ratio):
        last = max(1.02, np.quantile(ratio, 0.995))
        histogram_axes.hist(ratio, bins=np.linspace(ratio.min(), last, 50), color="#d55e00")
    histogram_axes.axvline(1.0, color="black", linestyle=":")
    histogram_axes.set(title="R_error of corrected weights", xlabel="R_error", ylabel="elements")
    save(figure, path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--elements", type=int, default=8_000)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--tol", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="results")
    arguments = parser.parse_args()
    try:
        main(arguments.elements, arguments.epochs, arguments.tol, arguments.seed, out=arguments.out)
    except femnn.FemnnError as error:
        parser.error(str(error))
