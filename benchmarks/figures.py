"""Pictures of the benchmarks."""

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
    axes.axhline(trials["optimum"], color="black", linestyle="--", label="exact optimum (proven)")
    axes.axhline(1.0, color="0.7", linewidth=1)
    axes.set(xlabel="random trials per element", ylabel="mean R_error of the best weights")
    axes.legend()
    save(figure, path)


def draw_rates(rows, path):
    """Elements per second of each program: a panel for each mesh, bars for 8 and 27 points, the fastest on top.

    ``rows`` are those of ``peers.rounds.compare``. A tick marks what a program reaches when it keeps the geometry.
    """
    rows = [row for row in rows if row["problem"] is None]
    sizes = sorted({row["elements"] for row in rows})
    seconds = {}
    for row in rows:
        seconds[row["program"]] = min(row["coordinates"] / row["elements"], seconds.get(row["program"], np.inf))
    programs = sorted(seconds, key=seconds.get)
    rates = [row["elements"] / row[way] for row in rows for way in ("coordinates", "geometry") if row[way]]
    # room in the shortest bar for its number
    left, right = min(rates) / 5.0, 1.3 * max(rates)
    figure = Figure(figsize=(1 + 5.5 * len(sizes), 1.5 + 0.6 * len(programs)), layout="constrained")
    panels = figure.subplots(1, len(sizes), sharey=True, sharex=True, squeeze=False)[0]
    for axes, elements in zip(panels, sizes, strict=True):
        axes.set_xscale("log")
        axes.set_xlim(left, right)
        for row in (row for row in rows if row["elements"] == elements):
            _bar(axes, programs.index(row["program"]), row, 1.1 * left)
        axes.grid(axis="x", color="0.85")
        axes.set_axisbelow(True)
        axes.set(title=f"{elements:,} distorted hexahedra", xlabel="elements per second, one thread")
    panels[0].set_yticks(range(len(programs)), programs)
    panels[0].invert_yaxis()
    handles, labels = panels[0].get_legend_handles_labels()
    # every bar has a label, and each label is wanted once
    entries = dict(sorted(zip(labels, handles, strict=True), key=lambda entry: len(entry[0])))
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=1 if len(sizes) == 1 else 3)
    save(figure, path)


def _bar(axes, place, row, left):
    few = row["rule"] == 8
    place += -0.19 if few else 0.19
    rate, colour = row["elements"] / row["coordinates"], ("C0" if few else "C1")
    axes.barh(place, rate, height=0.36, color=colour, label=f"{row['rule']} points, new vertex coordinates")
    axes.text(left, place, f"{rate:,.0f}", va="center", fontsize=8, color="white")
    if row["geometry"]:
        kept = row["elements"] / row["geometry"]
        axes.vlines(kept, place - 0.18, place + 0.18, color="black", label="the same geometry again, where it is kept")
