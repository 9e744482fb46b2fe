"""Pictures of the published experiment."""

import numpy as np
from matplotlib.figure import Figure

from femnn.plotting import save


def draw_classes(matrices, path):
    """Confusion matrices: rows the true n, columns the predicted; one pair of panels for each tolerance."""
    figure = Figure(figsize=(11, 5 * len(matrices)), layout="constrained")
    panels = figure.subplots(len(matrices), 2, squeeze=False)
    for row, (tolerance, (true, published, shipped)) in zip(panels, matrices.items(), strict=True):
        top = int(np.quantile(true, 0.999)) + 1
        for axes, predicted, name in (
            (row[0], published, "published classifier"),
            (row[1], shipped, "shipped network"),
        ):
            _confusion(axes, true, predicted, top)
            exact = np.mean(true == predicted)
            axes.set_title(f"{name}, tolerance {tolerance:g}: {exact:.1%} exact")
    save(figure, path)


def _confusion(axes, true, predicted, top):
    ticks = np.arange(2, top + 1)
    counts = np.array([[np.sum((true == i) & (predicted == j)) for j in ticks] for i in ticks])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    size = min(10.0, 120.0 / len(ticks))
    for i in range(len(ticks)):
        for j in range(len(ticks)):
            if counts[i, j]:
                colour = "white" if shares[i, j] > 0.5 else "black"
                axes.text(j, i, counts[i, j], ha="center", va="center", color=colour, fontsize=size)
    axes.set(xlabel="predicted points per axis", ylabel="needed points per axis")
    axes.set_xticks(range(len(ticks)), ticks)
    axes.set_yticks(range(len(ticks)), ticks)


def draw_histograms(ratios, path):
    """Histograms of R_error on training and unseen elements, for optimal and for predicted weights."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    bins = np.linspace(0.7, 1.1, 81)
    for axes, (part, (predicted, optimal, _)) in zip(figure.subplots(1, 2, sharey=True), ratios.items(), strict=True):
        axes.hist(np.clip(optimal, 0.7, 1.1), bins, color="0.75", label=f"true optimum, mean {optimal.mean():.3f}")
        axes.hist(
            np.clip(predicted, 0.7, 1.1),
            bins,
            histtype="step",
            linewidth=1.8,
            color="C3",
            label=f"predicted, mean {predicted.mean():.3f}",
        )
        axes.axvline(1.0, color="black", linewidth=1, linestyle="--")
        axes.set(xlabel="R_error = Error(corrected) / Error(2×2×2 Gauss)")
        axes.set_title(f"{'training' if part == 'train' else 'unseen'} elements, {np.mean(predicted < 1):.1%} below 1")
        axes.legend(loc="upper left")
    figure.axes[0].set_ylabel("elements")
    save(figure, path)


def draw_trials(trials, path):
    """What random search finds, against the exact optimum."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for spread, means in trials["means"].items():
        axes.semilogx(trials["counts"], means, "o-", label=f"random factors within 1 ± {spread}")
    axes.axhline(trials["optimum"], color="black", linestyle="--", label="optimum by linear programming")
    axes.axhline(1.0, color="0.7", linewidth=1)
    axes.set(xlabel="random trials per element", ylabel="mean R_error of the best weights")
    axes.legend()
    save(figure, path)
