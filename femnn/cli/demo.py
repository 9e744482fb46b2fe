"""``femnn demo``: one part under load, integrated by uniform and learned rules; what each of them costs and gives."""

import json
import time
from pathlib import Path

import click
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from femnn.integration.lame import lame_parameters
from femnn.io.atomic import atomic_write
from femnn.io.locations import data_folder
from femnn.io.tables import markdown
from femnn.mesh_files import read_mesh
from femnn.plotting import draw_surface, save
from femnn.quadrature.adaptive.rule import AdaptiveGauss
from femnn.quadrature.corrected.rule import CorrectedGauss
from femnn.system.hardware import description
from femnn.validation.rule_comparison import Structure, compare_rules, standard_rules

# Uniform rules in greys, the learned ones in colours that also the colour-blind tell apart.
_COLOURS = {"AdaptiveGauss": "#0072b2", "CorrectedGauss": "#d55e00"}
_GREYS = ("#b8b8b8", "#8c8c8c", "#5f5f5f", "#2b2b2b")

_COLUMNS = {
    "name": ("rule", "{}"),
    "points": ("integration points", "{:,}"),
    "error_median": ("Error, median", "{:.1e}"),
    "error_worst": ("Error, worst", "{:.1e}"),
    "above": ("above tol {tol:g}", "{}"),
    "seconds": ("assembly (s)", "{:.2g}"),
    "form_seconds": ("scikit-fem's form (s)", "{:.2g}"),
    "displacement_error": ("displacement error", "{:.1e}"),
    "energy_error": ("strain-energy error", "{:.1e}"),
}

_LEGEND = (
    "Error: sum of the differences of an element's stiffness entries from exact integration, over its largest entry. "
    "Above tol: elements whose Error is not below the tolerance. Assembly: femnn.assemble_elasticity, its pattern "
    "built anew; scikit-fem's form: femnn.bases and skfem.asm, what any other form costs; both with prediction, "
    "without compilation; processor time on one thread, medians of three runs in turns, or of fewer that take long. "
    "Displacement error: largest difference from exact integration on the same mesh, over the largest displacement. "
    "Strain-energy error: likewise relative; the mean displacement at the load has the same."
)


@click.command("demo")
@click.argument("mesh", required=False, type=click.Path(path_type=Path))
@click.option("--tol", type=float, default=1e-3, show_default=True, help="Tolerance of the Error of each element.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results"),
    show_default=True,
    help="Folder for demo.png and demo.md.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of the table.")
@click.option("--young", type=float, default=210e9, show_default="210e9, steel", help="Young's modulus (Pa).")
@click.option("--poisson", type=float, default=0.3, show_default=True, help="Poisson's ratio.")
def command(mesh, tol, out, as_json, young, poisson):
    """Solve a loaded part with adaptive quadrature and compare with uniform rules.

    MESH is any file of hexahedra that meshio reads; without it a wall bracket is taken. It is clamped at its boundary
    `fixed` and pulled downwards at `load`, or, if it has none, clamped at one end and bent by its own weight. A minute
    or two for the bracket on two cores.
    """
    started = time.perf_counter()
    # what cannot work is an error now, not after a minute
    lame_parameters(young, poisson)
    adaptive = AdaptiveGauss(tol, poisson=poisson)
    out.mkdir(parents=True, exist_ok=True)

    def say(text):
        click.echo(f"[{time.perf_counter() - started:5.1f} s] {text}", err=True)

    path = data_folder("meshes") / "bracket.vtu" if mesh is None else mesh
    mesh = read_mesh(path)
    say(f"{path.name}: {mesh.nelements:,} elements, {mesh.nvertices:,} vertices")
    say("exact integration of every element and solution, the reference; the first run compiles for up to a minute")
    structure = Structure(mesh, young, poisson)
    results = compare_rules(structure, standard_rules(structure, tol), tol, say)
    say("picture")
    files = [out / "demo.md", out / "demo.png"]
    draw(files[1], structure, adaptive, results, tol)
    document = _document(path, structure, results, tol, files)
    with atomic_write(files[0]) as temporary:
        temporary.write_text(_markdown(document), encoding="utf-8")
    say(f"written: {files[0]}, {files[1]}")
    click.echo(json.dumps(document, indent=2, allow_nan=False) if as_json else _report(document))


def _document(path, structure, results, tol, files):
    """All findings as plain numbers and text: what --json prints and the report words."""
    mesh = structure.mesh
    return {
        "mesh": path.name,
        "elements": int(mesh.nelements),
        "vertices": int(mesh.nvertices),
        "tol": tol,
        "young": structure.young,
        "poisson": structure.poisson,
        "load_case": structure.case.description,
        "largest_displacement": float(np.linalg.norm(structure.displacement, axis=0).max()),
        "strain_energy": structure.strain_energy,
        "machine": description(),
        "uniform": structure.uniform(tol),
        "rules": [result.figures() for result in results],
        "conclusions": conclusions(structure, results, tol),
        "remarks": _remarks(structure, results, tol),
        "files": [str(file) for file in files],
    }


def conclusions(structure, results, tol):
    """Conclusions from the figures, in plain sentences.

    Parameters
    ----------
    structure : femnn.validation.rule_comparison.Structure
    results : list of femnn.validation.rule_comparison.Comparison
        Those of :func:`femnn.validation.rule_comparison.standard_rules`: 8 points first, the learned rules last.
    tol
        Tolerance of the Error.
    """
    standard, adaptive, corrected = results[0], results[-2], results[-1]
    uniform, as_good = structure.uniform(tol), structure.uniform(tol, adaptive.elements_above)
    sentences = [
        f"{adaptive.name} brings the Error of {_percent(1.0 - adaptive.share_above)} of the elements below {tol:g} "
        f"(worst {adaptive.error_worst:.1e})."
    ]
    if as_good is not None:
        sentences.append(f"One rule for all elements takes {_price(structure, results, as_good)} for as many.")
    if uniform is not None and uniform != as_good:
        sentences.append(f"For every element it takes {_price(structure, results, uniform)}.")
    if uniform is None:
        sentences.append("No uniform rule of up to 20 points per axis brings every element below.")
    missed = _percent(standard.displacement_error)
    smooth = (
        f"For the displacement under this smooth load alone 8 points would do, they miss it by {missed}. The tolerance "
        "pays where every element must be right by itself; every point saved is a material law not evaluated."
        if standard.displacement_error < 0.01
        else f"8 points miss the displacement by {missed}, {adaptive.name} by {_percent(adaptive.displacement_error)}."
    )
    changed = corrected.errors != standard.errors
    better = (corrected.errors < standard.errors).sum() / max(1, changed.sum())
    third = (
        f"CorrectedGauss costs as many points as 2×2×2. It changes the weights of {_percent(changed.mean())} of the "
        f"elements and lowers the Error of {_percent(better)} of these; the median Error is "
        f"{corrected.error_median:.2g} instead of {standard.error_median:.2g}, the displacement error "
        f"{corrected.displacement_error:.1e} instead of {standard.displacement_error:.1e}."
    )
    return [" ".join(sentences), smooth, third]


def _price(structure, results, n):
    """n×n×n points against those of AdaptiveGauss."""
    adaptive, points = results[-2], structure.mesh.nelements * n**3
    more = f"{points / adaptive.points:.1f} times the points"
    measured = next((result for result in results[:-2] if result.points == points), None)
    if measured is not None and measured.form_seconds and adaptive.form_seconds:
        more += f" and {measured.form_seconds / adaptive.form_seconds:.1f} times the time of scikit-fem's form"
    return f"{n}×{n}×{n} points ({more})"


def _percent(fraction):
    return f"{100.0 * fraction:.3g} %"


def _remarks(structure, results, tol):
    remarks = []
    trained = CorrectedGauss().card["poisson"]
    if structure.poisson != trained:
        remarks.append(
            f"CorrectedGauss was trained for Poisson's ratio {trained:g}, not {structure.poisson:g}: trust its "
            "measured Errors alone."
        )
    # a hundredth of the tolerance decides nothing
    doubtful = int((structure.doubt > 0.01 * tol).sum())
    if doubtful:
        remarks.append(
            f"Elements so nearly folded that 30×30×30 points leave their reference uncertain: {doubtful}, by up to an "
            f"Error of {structure.doubt.max():.0e}."
        )
    if any(result.form_seconds is None for result in results):
        remarks.append("No time of scikit-fem's form: so many points that it was left out.")
    return remarks


def table(document):
    """The comparison as a Markdown table that is also readable as it is."""
    columns = {key: (heading.format(tol=document["tol"]), form) for key, (heading, form) in _COLUMNS.items()}
    rows = [
        figures | {"above": f"{figures['elements_above']:,} ({_percent(figures['share_above'])})"}
        for figures in document["rules"]
    ]
    return markdown(rows, columns)


def _setting(document):
    return (
        f"{document['mesh']}: {document['elements']:,} hexahedra, Young's modulus {document['young']:.3g} Pa, "
        f"Poisson's ratio {document['poisson']:g}; {document['load_case']}. With exact integration this mesh gives a "
        f"largest displacement of {document['largest_displacement']:.4g} m and a strain energy of "
        f"{document['strain_energy']:.4g} J."
    )


def _report(document):
    texts = [*document["conclusions"], *document["remarks"], f"Table and picture: {', '.join(document['files'])}"]
    setting, legend, *remarks = (click.wrap_text(text, width=110) for text in (_setting(document), _LEGEND, *texts))
    return "\n\n".join(["", setting, table(document), legend, *remarks])


def _markdown(document):
    lines = ["# femnn demo", _setting(document), table(document), _LEGEND, *document["conclusions"]]
    lines += [*document["remarks"], f"Machine: {document['machine']}.", "![The part and the rules](demo.png)"]
    return "\n\n".join(lines) + "\n"


def draw(path, structure, adaptive, results, tol):
    """The deformed part, the points chosen on it, the points of each rule, and how its Errors are distributed."""
    figure = Figure(figsize=(14.0, 10.5), layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=(1.25, 1.0))
    _draw_displacement(figure, figure.add_subplot(grid[0, 0], projection="3d"), structure)
    _draw_choice(figure, figure.add_subplot(grid[0, 1], projection="3d"), structure, adaptive)
    colours = rule_colours(results)
    _draw_points(figure.add_subplot(grid[1, 0]), results, colours)
    draw_errors(figure.add_subplot(grid[1, 1]), results, colours, tol)
    save(figure, path)


def _draw_displacement(figure, axes, structure):
    mesh, displacement = structure.mesh, structure.displacement
    lengths = np.linalg.norm(displacement, axis=0)
    largest = np.ptp(mesh.p, axis=1).max()
    magnified = 0.1 * largest / lengths.max()
    axes.view_init(elev=24, azim=-52)
    per_cell = 1e3 * lengths[mesh.t].mean(axis=0)
    surface = draw_surface(axes, mesh, per_cell, magnified * displacement, linewidth=0.1)
    axes.set_title(f"Displacement, magnified {_round(magnified):g} times")
    figure.colorbar(surface, ax=axes, label="displacement (mm)", shrink=0.7)


def _draw_choice(figure, axes, structure, adaptive):
    points = np.empty(structure.mesh.nelements)
    for group in adaptive.groups(structure.hexahedra):
        points[group.cells] = group.W.shape[-1]
    counts = np.unique(points)
    axes.view_init(elev=24, azim=-52)
    norm = LogNorm(counts[0] / 1.3, counts[-1] * 1.3)
    surface = draw_surface(axes, structure.mesh, points, norm=norm, cmap="plasma", linewidth=0.1)
    axes.set_title(f"Integration points per element, {adaptive!r}")
    bar = figure.colorbar(surface, ax=axes, label="points of the element", shrink=0.7)
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.set_ticks(counts[:: -(-len(counts) // 8)])
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _shape(value)))


def _shape(points):
    n = round(points ** (1 / 3))
    return f"{n}×{n}×{n}" if n**3 == round(points) else f"{points:.0f}"


def _round(value):
    """To one significant digit."""
    return float(f"{value:.0e}")


def rule_colours(results):
    """A colour for each rule, by its name."""
    greys = iter(_GREYS)
    return [_COLOURS.get(result.name.split("(")[0]) or next(greys) for result in results]


def _draw_points(axes, results, colours):
    bars = axes.barh(range(len(results)), [result.points for result in results], color=colours)
    texts = [
        f" {result.points:,} in {result.seconds:.2g} s"
        + (f" (form {result.form_seconds:.2g} s)" if result.form_seconds is not None else "")
        for result in results
    ]
    axes.bar_label(bars, texts)
    axes.set_yticks(range(len(results)), [result.name.replace(" (", "\n(") for result in results])
    axes.invert_yaxis()
    axes.margins(x=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set(
        title="Integration points; time of assembly, and of scikit-fem's form", xlabel="integration points of the mesh"
    )


def draw_errors(axes, results, colours, tol):
    """For each rule the share of elements whose Error is above x, against x."""
    for result, colour in zip(results, colours, strict=True):
        errors = np.sort(np.maximum(result.errors, 1e-15))
        left = 1.0 - np.arange(len(errors)) / len(errors)
        style = "--" if result.name.startswith("Corrected") else "-"
        axes.step(errors, left, style, color=colour, label=result.name, where="post", linewidth=1.8)
    axes.axvline(tol, color="black", linewidth=1.0, linestyle=":")
    axes.annotate(f"tol {tol:g}", (tol, 0.5 / len(results[0].errors)), (4, 4), textcoords="offset points")
    axes.set(xscale="log", yscale="log", title="Share of elements with a larger Error", xlabel="Error")
    axes.set_ylim(0.5 / len(results[0].errors), 1.0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _percent(value)))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize="small", frameon=False, loc="lower left")
