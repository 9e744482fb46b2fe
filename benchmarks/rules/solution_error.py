"""Effect of integration errors on solutions: displacement, energy, stress, and rates of convergence.

Every rule of ``candidates.py`` on four loaded solids with distorted elements, against the converged solution (what mesh
and rule err together) and against exact integration on the same mesh (what the rule does); then on cubes whose elements
keep their shapes under refinement, against a manufactured solution.
"""

import re
from pathlib import Path

import click
import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from tqdm import tqdm

import femnn
from benchmarks.rules.candidates import CANDIDATES, Candidate, References, chosen
from benchmarks.rules.manufactured import Errors, errors, rates
from benchmarks.rules.solid_problems import bent_beam, bracket, cooks_panel, pressed_sphere
from benchmarks.support.publishing import publish
from femnn.cli import Command
from femnn.geometry import mirrored_cube, signed_volume
from femnn.io import markdown
from femnn.plotting import save
from femnn.system import description

_POISSON = 0.3
_EXACT = Candidate("exact integration", lambda poisson: femnn.GaussLegendre(10), learned=False)
_MEASURES = ("displacement", "energy", "stress")

PROBLEMS = {
    "cook": lambda size, distortion: cooks_panel(size, distortion),
    "beam": lambda size, distortion: bent_beam(size, distortion),
    "sphere": lambda size, distortion: pressed_sphere(size, distortion),
    "bracket": lambda size, distortion: bracket(),
}


@click.command(cls=Command)
@click.option("--size", type=click.IntRange(min=1), default=2, show_default=True, help="Fineness of the solids.")
@click.option("--distortion", type=click.FloatRange(0.0, 0.35), default=0.25, show_default=True)
@click.option("--problem", "problems", multiple=True, type=click.Choice(list(PROBLEMS)), help="This solid, not all.")
@click.option("--n", "sizes", multiple=True, type=int, default=(4, 8, 16, 32), show_default=True,
              help="Elements a side of the cubes, multiples of 4; may be given several times.")  # fmt: skip
@click.option("--only", multiple=True, type=click.Choice([c.name for c in CANDIDATES]), help="This rule, not all.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/solution-error"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(size, distortion, problems, sizes, only, out, as_json):
    """Solve with every rule, and compare."""
    candidates, solids = chosen(only), []
    for name in tqdm(problems or PROBLEMS, desc="solids", disable=None):
        solids += solve_all(PROBLEMS[name](size, distortion), candidates)
    figures = {"machine": description(), "distortion": distortion, "solids": solids}
    figures["sizes"] = sorted(sizes)
    figures["rates"] = converge(figures["sizes"], candidates, distortion)
    report = _report(figures)
    _draw(figures, out / "solution-error.png")
    publish(out, "solution-error", figures, report, as_json)


def solve_all(problem, candidates):
    """One row for each candidate, and one for exact integration, which comes first."""
    converged, rows = problem.reference(), []
    exact = problem.solved(_EXACT.assembly(problem.poisson))
    volumes = _volumes(problem.mesh)
    for candidate in [_EXACT, *candidates]:
        row = {"problem": problem.name, "elements": problem.mesh.nelements, "rule": candidate.name}
        try:
            found = problem.solved(candidate.assembly(problem.poisson))
        except femnn.FemnnError as error:
            blank = dict.fromkeys(_MEASURES)
            rows.append(
                {**row, "converged": blank, "same_mesh": blank, "failure": re.split(r" \(|, asked", str(error))[0]}
            )
            continue
        compared = {
            "converged": _differences(found, converged, volumes),
            "same_mesh": _differences(found, exact, volumes),
        }
        rows.append({**row, **compared, "failure": None})
    return rows


def _differences(found, reference, volumes):
    """Relative: displacement in the mean over vertices, stress in that over the volume; the energy with its sign."""
    # shears count twice in the norm of the tensor
    weights = volumes * np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])[:, None]
    missed, whole = (np.sum(weights * stress**2) for stress in (found.stress - reference.stress, reference.stress))
    return {
        "displacement": float(
            np.linalg.norm(found.displacement - reference.displacement) / np.linalg.norm(reference.displacement)
        ),
        "energy": found.energy / reference.energy - 1.0,
        "stress": float(np.sqrt(missed / whole)),
    }


def _volumes(mesh):
    return np.abs(signed_volume(femnn.hexahedra(mesh)))


def converge(sizes, candidates, distortion):
    """One row for each candidate: errors on cubes of ``sizes`` elements a side, and their rates."""
    assemblies = [candidate.assembly(_POISSON) for candidate in candidates]
    found = [errors(n, assemblies, distortion, _POISSON) for n in tqdm(sizes, desc="cubes", disable=None)]
    references = References(femnn.hexahedra(mirrored_cube(4, distortion)), _POISSON)
    rows = []
    for i, candidate in enumerate(candidates):
        own, row = [level[i] for level in found], {"rule": candidate.name, "sizes": sizes}
        row["patch"] = references.compare(candidate)[1]
        for norm in Errors._fields:
            values = None if None in own else [getattr(level, norm) for level in own]
            row[norm] = values
            row[f"{norm}_rates"] = None if values is None else rates(sizes, values).tolist()
        rows.append(row)
    return rows


def _report(figures):
    parts = [
        f"Machine: {figures['machine']}",
        f"Solids with vertices moved by up to {figures['distortion']:g} of the element size (the bracket as it is), "
        "errors against the converged solution, and in brackets what the rule adds to exact integration on the same "
        "mesh. All relative; displacement over all vertices, stress at the centres of the elements over the volume, "
        "energy below zero where the solid is too stiff.",
        *[_solids(figures["solids"], measure) for measure in _MEASURES],
        *[f"{row['problem']}, {row['rule']}: {row['failure']}." for row in figures["solids"] if row["failure"]],
        "Rates of convergence against a manufactured solution, on cubes that repeat the same distorted elements: "
        f"{', '.join(map(str, figures['sizes']))} elements a side, relative errors on the finest. Added: displacement "
        "against that of exact integration on the same mesh. Patch test: largest relative error of the forces under "
        "constant strain.",
        _rates(figures["rates"]),
    ]
    return "\n\n".join(parts) + "\n"


def _solids(rows, measure):
    """A table with a row for each rule and a column for each solid."""
    shown, columns = {}, {"rule": (measure, "{}")}
    for row in rows:
        form = "{:+.2%}" if measure == "energy" else "{:.2%}"
        whole, added = row["converged"][measure], row["same_mesh"][measure]
        columns[row["problem"]] = (f"{row['problem']}, {row['elements']:,}", "{}")
        cell = shown.setdefault(row["rule"], {"rule": row["rule"]})
        # exact integration adds nothing to itself
        own = row["rule"] == _EXACT.name
        cell[row["problem"]] = whole and form.format(whole) + ("" if own else f" ({abs(added):.0e})")
    return markdown(list(shown.values()), columns)


def _rates(rows):
    gauss = next((row for row in rows if row["rule"].startswith("2×2×2") and row["l2"]), None)
    shown = []
    for row in rows:
        line = {"rule": row["rule"], "patch": row["patch"]}
        for norm in Errors._fields:
            own = row[f"{norm}_rates"]
            line[norm] = row[norm] and row[norm][-1]
            line[f"{norm}_rates"] = ", ".join(f"{rate:.2f}" for rate in own) if own else None
            line[f"{norm}_loss"] = own[-1] - gauss[f"{norm}_rates"][-1] if own and gauss else None
        shown.append(line)
    columns = {"rule": ("rule", "{}"), "patch": ("patch test", "{:.0e}")}
    for norm in ("l2", "h1"):
        columns[norm] = (f"{norm.upper()} error", "{:.2e}")
        columns[f"{norm}_rates"] = ("rates", "{}")
        columns[f"{norm}_loss"] = ("last, less that of 2×2×2", "{:+.3f}")
    columns |= {"added": ("added", "{:.1e}"), "added_rates": ("rates", "{}")}
    return markdown(shown, columns)


def _draw(figures, path):
    """Errors over refinement, and those of the solids to converged ones."""
    figure = Figure(figsize=(15.0, 5.0), layout="constrained")
    *panels, bars = figure.subplots(1, 3, width_ratios=(1, 1, 1.6))
    colours = colormaps["tab20"].colors[: len(figures["rates"])]
    words = ("error", "added to exact integration")
    for axes, norm, word in zip(panels, ("l2", "added"), words, strict=True):
        for colour, row in zip(colours, figures["rates"], strict=True):
            if row[norm]:
                style = "o-" if row["patch"] < 1e-10 else "s--"
                axes.loglog(row["sizes"], row[norm], style, color=colour, label=row["rule"], markersize=4)
        axes.set(xlabel="elements a side", ylabel=f"displacement: {word}", title="dashed: fails the patch test")
        axes.set_xticks(figures["sizes"], figures["sizes"])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    names = list(dict.fromkeys(row["problem"] for row in figures["solids"]))
    for i, rule in enumerate(row["rule"] for row in figures["rates"]):
        values = [
            (names.index(row["problem"]), abs(row["same_mesh"]["energy"]))
            for row in figures["solids"]
            if row["rule"] == rule and row["failure"] is None
        ]
        if values:
            x, y = np.array(values).T
            bars.semilogy(x + 0.05 * (i - len(figures["rates"]) / 2), y, "o", color=colours[i], markersize=5)
    exact = [row for row in figures["solids"] if row["rule"] == _EXACT.name]
    bars.semilogy(range(len(names)), [abs(row["converged"]["energy"]) for row in exact], "k_", markersize=30)
    bars.set_xticks(range(len(names)), names)
    bars.set(ylabel="error of the energy, relative", title="dots: what the rule adds; bar: what the mesh errs")
    bars.grid(axis="y", alpha=0.3)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, fontsize="small")
    save(figure, path)


if __name__ == "__main__":
    main()
