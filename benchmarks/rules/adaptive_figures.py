"""The picture of the benchmark of AdaptiveGauss."""

from matplotlib.figure import Figure

from femnn.plotting import save

# A way of choosing that cannot be made to miss the tolerance less often.
_FREE = "published classifier"

_MARKED = {"AdaptiveGauss": "#0072b2", "AdaptiveGauss, n×n×n": "#56b4e9", "oracle": "black"}


def draw_points(rows, rivals, path):
    """Points against tolerance: every way of choosing on random elements, and AdaptiveGauss on all meshes."""
    figure = Figure(figsize=(13.0, 5.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    # the majority class misses the tolerance as often as it likes: its points say nothing beside the others
    entries = [row for row in rivals if row["measure"] == "entries" and row["rule"] != "majority class"]
    colours = iter(("#d55e00", "#e69f00", "#cc79a7", "#009e73", "#8c6d31", "0.5"))
    for name in dict.fromkeys(row["rule"] for row in entries):
        own = [row for row in entries if row["rule"] == name]
        style = {"color": _MARKED[name], "linewidth": 2.2} if name in _MARKED else {"color": next(colours)}
        label = name
        if name == _FREE:
            style["linestyle"], label = "--", f"{name}, misses up to {max(row['misses'] for row in own):.0%}"
        left.loglog([row["tolerance"] for row in own], [row["points"] for row in own], marker="o", label=label, **style)
    left.axhline(1.0, color="black", linewidth=0.8, linestyle=":")
    left.invert_xaxis()
    left.set(
        xlabel="tolerance of the Error",
        ylabel="points over those of the best n×n×n of each element",
        title="Random elements, at equal misses",
    )
    left.set_yticks([0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0], ["0.75", "1", "1.5", "2", "3", "4", "6"])
    left.minorticks_off()
    left.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3)
    measured = [row for row in rows if row["measure"] == "entries"]
    for name in dict.fromkeys(row["mesh"] for row in measured):
        own = [row for row in measured if row["mesh"] == name]
        (line,) = right.semilogx(
            [row["tolerance"] for row in own], [row["different_points"] for row in own], "o-", label=name
        )
        right.semilogx([row["tolerance"] for row in own], [row["oracle"] for row in own], ":", color=line.get_color())
    right.axhline(1.0, color="black", linewidth=0.8, linestyle=":")
    right.invert_xaxis()
    right.set(
        xlabel="tolerance of the Error",
        ylabel="points over those of the best n×n×n of each element",
        title="AdaptiveGauss (solid) and its oracle (dotted)",
    )
    right.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=4)
    save(figure, path)
