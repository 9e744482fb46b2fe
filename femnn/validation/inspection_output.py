"""Findings of ``femnn inspect`` as files: cell fields for ParaView and a picture."""

import os
from typing import Any

import meshio
import numpy as np
from matplotlib.colors import BoundaryNorm, ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from skfem import MeshHex
from skfem.io.meshio import to_meshio

from femnn.io.atomic import atomic_write
from femnn.plotting import PLAIN, draw_surface, save
from femnn.validation.mesh_inspection import Integration, Shape

_CHOSEN, _NEEDED = "#1f6f8b", "#e0a030"
_STATUS_COLOURS: list[Any] = [PLAIN, "#d62728", "#9467bd"]
_STATUS = ListedColormap(_STATUS_COLOURS)


def write_fields(path: str | os.PathLike, mesh: MeshHex, shape: Shape, integration: Integration | None) -> None:
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
            "points": _on_all(shape, integration.chosen.prod(axis=1), 0, np.int32),
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
    field = np.full((len(shape.status), *values.shape[1:]), missing, dtype=kind)
    field[shape.valid] = values
    return field


def draw(path: str | os.PathLike, name: str, mesh: MeshHex, shape: Shape, integration: Integration | None) -> None:
    """Write the picture: the surface, and how many points go where; only the surface if nothing was integrated."""
    figure = Figure(figsize=(13.0, 10.5) if integration is not None else (13.0, 5.8))
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.12)
    # subfigures: the long labels of the lower row are not to narrow the upper one
    upper, *lower = figure.subfigures(1 if integration is None else 2, 1, squeeze=False).ravel()
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
    points = integration.chosen.prod(axis=1)
    values = _on_all(shape, points, np.nan, float)
    norm = LogNorm(8, max(64, points.max()))
    surface = draw_surface(axes, mesh, values, norm=norm, cmap="viridis")
    bar = figure.colorbar(surface, ax=axes, shrink=0.75, label="Gauss points of the element")
    ticks = [n**3 for n in range(2, 31) if n**3 <= norm.vmax]
    bar.set_ticks(ticks, labels=[f"{n:,}" for n in ticks])
    bar.minorticks_off()
    axes.set_title("Points that AdaptiveGauss takes" + _grey_note(shape))


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
    chosen, needed = integration.chosen.prod(axis=1), integration.needed**3
    largest = int(np.ceil(max(chosen.max(), needed.max()) ** (1.0 / 3.0) - 1e-9))
    # four bins from each n×n×n to the next
    edges = np.concatenate([np.geomspace(n**3, (n + 1) ** 3, 5)[:-1] for n in range(2, largest + 1)])
    edges = np.append(edges, float((largest + 1) ** 3)) * (1.0 - 1e-9)
    for values, colour, label in (
        (needed, _NEEDED, "n×n×n needed, as measured"),
        (chosen, _CHOSEN, "chosen by AdaptiveGauss"),
    ):
        axes.hist(values, edges, color=colour, alpha=0.8, label=label)
    axes.set(xscale="log", yscale="log")
    axes.set_ylim(0.7, None)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ticks = range(2, largest + 1, -(-largest // 12))
    axes.set_xticks([n**3 for n in ticks], [f"{n}³" for n in ticks])
    axes.minorticks_off()
    axes.set(xlabel="Gauss points of the element", ylabel="elements", title=f"Points for Error < {integration.tol:g}")
    axes.legend(frameon=False, loc="upper right")
    axes.spines[["top", "right"]].set_visible(False)


def _draw_totals(axes, integration):
    rows = integration.table[::-1]
    points = [row.points for row in rows]
    colours = [{"AdaptiveGauss": _CHOSEN, "fewest n×n×n": _NEEDED}.get(row.rule, "#a9b4bf") for row in rows]
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
