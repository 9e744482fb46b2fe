"""The picture of the benchmark of assembly."""

import numpy as np
from matplotlib.figure import Figure

from femnn.plotting import save


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
