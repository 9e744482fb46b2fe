"""What ``femnn inspect`` writes: cell fields for ParaView and a picture."""

import meshio
import numpy as np
from matplotlib import colormaps
from matplotlib.colors import BoundaryNorm, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from skfem.io.meshio import to_meshio

from femnn.files import atomic_write
from femnn.plotting import PLAIN, draw_surface, save

_CHOSEN, _NEEDED = "#1f6f8b", "#e0a030"
_STATUS = ListedColormap([PLAIN, "#d62728", "#9467bd"])


def write_fields(path, mesh, shape, integration):
    """Write the mesh with the findings as cell fields.

    ``status`` is 0 for a healthy, 1 for a folded, 2 for a degenerate element. Elements that were not integrated have 0
    points and NaN as Error.
    """
    fields = {
        "status": shape.status.astype(np.int32),
        "scaled_jacobian": shape.scaled_jacobian,
        "aspect": shape.aspect,
        "distance": shape.distance,
    }
    if integration is not None:
        fields |= {
            "points_per_axis": _on_all(shape, integration.chosen, 0, np.int32),
            "needed_points_per_axis": _on_all(shape, integration.needed, 0, np.int32),
            "error_2": _on_all(shape, integration.errors["GaussLegendre(2)"], np.nan, float),
            "error_adaptive": _on_all(shape, integration.adaptive, np.nan, float),
            "outside_range": _on_all(shape, integration.outside, 0, np.int32),
        }
    with atomic_write(path) as temporary:
        meshio.write(temporary, to_meshio(mesh, cell_data={name: [values] for name, values in fields.items()}), "vtu")


def _on_all(shape, values, missing, kind):
    """Values of the valid elements as a field of the whole mesh."""
    field = np.full(len(shape.status), missing, dtype=kind)
    field[shape.valid] = values
    return field


def draw(path, name, mesh, shape, integration):
    """Write the picture: the surface, and how many points go where; only the surface if nothing was integrated."""
    figure = Figure(figsize=(13.0, 10.5) if integration is not None else (13.0, 5.8), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12)
    # subfigures: the long labels of the lower row are not to narrow the upper one
    upper, *lower = np.atleast_1d(figure.subfigures(1 if integration is None else 2, 1))
    left, right = (upper.add_subplot(1, 2, k, projection="3d") for k in (1, 2))
    _draw_quality(upper, right, mesh, shape)
    if integration is None:
        unfit = mesh.nelements - len(shape.valid)
        figure.suptitle(f"{name}: {mesh.nelements:,} hexahedra, {unfit:,} cannot be integrated", fontsize=15)
        _draw_status(upper, left, mesh, shape)
    else:
        figure.suptitle(f"{name}: {mesh.nelements:,} hexahedra, tolerance {integration.tol:g}", fontsize=15)
        _draw_points(upper, left, mesh, shape, integration)
        histogram, totals = lower[0].subplots(1, 2)
        _draw_histogram(histogram, integration)
        _draw_totals(totals, integration)
    save(figure, path)


def _draw_points(figure, axes, mesh, shape, integration):
    low, high = int(integration.chosen.min()), int(integration.chosen.max())
    steps = np.arange(low, high + 1)
    cmap = ListedColormap(colormaps["viridis"](np.linspace(0.05, 1.0, max(len(steps), 2))[: len(steps)]))
    norm = BoundaryNorm(np.arange(low, high + 2) - 0.5, len(steps))
    values = _on_all(shape, integration.chosen, np.nan, float)
    surface = draw_surface(axes, mesh, values, norm=norm, cmap=cmap)
    every = -(-len(steps) // 12)
    bar = figure.colorbar(surface, ax=axes, shrink=0.75, ticks=steps[::every], label="Gauss points per axis, n")
    bar.minorticks_off()
    axes.set_title("Points per axis that AdaptiveGauss takes" + _grey_note(shape))


def _draw_quality(figure, axes, mesh, shape):
    low = min(0.0, float(np.floor(10.0 * shape.scaled_jacobian.min()) / 10.0))
    surface = draw_surface(axes, mesh, shape.scaled_jacobian, norm=Normalize(low, 1.0), cmap="RdYlGn")
    figure.colorbar(surface, ax=axes, shrink=0.75, label="scaled Jacobian (1: right angles)")
    axes.set_title(f"Quality, least {shape.scaled_jacobian.min():.2f}, median {np.median(shape.scaled_jacobian):.2f}")


def _draw_status(figure, axes, mesh, shape):
    norm = BoundaryNorm([-0.5, 0.5, 1.5, 2.5], 3)
    surface = draw_surface(axes, mesh, shape.status, norm=norm, cmap=_STATUS)
    bar = figure.colorbar(surface, ax=axes, shrink=0.75, ticks=[0, 1, 2])
    bar.minorticks_off()
    bar.ax.set_yticklabels(["healthy", "folded", "degenerate"])
    axes.set_title(f"{len(shape.folded):,} folded and {len(shape.degenerate):,} degenerate elements")


def _draw_histogram(axes, integration):
    both = np.concatenate([integration.chosen, integration.needed])
    n = np.arange(both.min(), both.max() + 1)
    most = 1
    for offset, values, colour, label in (
        (-0.2, integration.chosen, _CHOSEN, "chosen by AdaptiveGauss"),
        (0.2, integration.needed, _NEEDED, "needed, as measured"),
    ):
        counts = np.array([np.sum(values == k) for k in n])
        bars = axes.bar(n + offset, counts, width=0.4, color=colour, label=label)
        most = max(most, counts.max())
        if len(n) <= 15:
            _label_bars(axes, bars, counts)
    axes.set_yscale("log")
    axes.set_ylim(0.7, most * max(4.0, most**0.4))  # room for the numbers and the legend
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xticks(n[:: -(-len(n) // 15)])
    axes.set(
        xlabel="Gauss points per axis, n", ylabel="elements", title=f"Points per axis for Error < {integration.tol:g}"
    )
    axes.legend(frameon=False, loc="upper right")
    axes.spines[["top", "right"]].set_visible(False)


def _label_bars(axes, bars, counts):
    """Counts above their bars; upright the long ones, which would run into each other."""
    for text in axes.bar_label(bars, [f"{count:,}" if count else "" for count in counts], fontsize=8, padding=3):
        if len(text.get_text()) > 3:
            text.set_rotation(90)


def _draw_totals(axes, integration):
    rows = integration.table[::-1]
    points = [row.points for row in rows]
    colours = [{"AdaptiveGauss": _CHOSEN, "fewest points": _NEEDED}.get(row.rule, "#a9b4bf") for row in rows]
    bars = axes.barh([_label(row, integration) for row in rows], points, color=colours)
    texts = [
        f"{row.points:,}" + (f"\nmisses in {row.misses:,} elements" if row.misses else "\nmeets the tolerance")
        for row in rows
    ]
    axes.bar_label(bars, texts, fontsize=8, padding=4)
    axes.set_xlim(0.0, 1.32 * max(points))
    axes.xaxis.set_major_formatter(FuncFormatter(_short))
    axes.set(xlabel="integration points of the whole mesh", title="Price of the tolerance")
    axes.spines[["top", "right"]].set_visible(False)


def _label(row, integration):
    if row.rule == f"GaussLegendre({integration.uniform})":
        return f"{row.rule}\nsmallest safe uniform rule"
    return row.rule


def _short(value, _):
    """1.5 M for 1500000."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g}"


def _grey_note(shape):
    return " (grey: left out)" if len(shape.valid) < len(shape.status) else ""
