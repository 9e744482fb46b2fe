"""AdaptiveGauss against every other way of choosing integration points, on random elements and on meshes."""

import time
from pathlib import Path

import click
import numpy as np
from tqdm import tqdm

from benchmarks.rules.adaptive_figures import draw_points
from benchmarks.rules.healthy_meshes import read_meshes, settled
from benchmarks.rules.point_choices import RIVALS, Elements
from benchmarks.rules.uniform import GAIN_COLUMNS, uniform_gains
from benchmarks.support.publishing import publish
from femnn import AdaptiveGauss, distorted_hexahedra
from femnn.cli import Command
from femnn.geometry import cooks_membrane, distorted_cube, kershaw
from femnn.io import data_folder, markdown
from femnn.mesh_files import read_mesh
from femnn.quadrature.corrected.train import CLASSIFIER_OPTIONS, WEIGHTS_RECIPE, train_points_classifier
from femnn.system import description
from femnn.validation import Structure

TOLERANCES = {"entries": (1e-1, 1e-2, 1e-3, 1e-4, 1e-6), "energy": (1e-1, 1e-2, 1e-3)}
EXACT = (1e-2, 1e-4, 1e-7)
SEED = 20_260


@click.command(cls=Command)
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--elements", default=5000, show_default=True, help="Random elements.")
@click.option("--most", default=4000, show_default=True, help="Elements of a mesh, drawn at random from larger ones.")
@click.option("--confidence", default=0.99, show_default=True)
@click.option("--published/--no-published", default=True, help="Train the published classifier for each tolerance.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/adaptive-gauss"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(paths, elements, most, confidence, published, out, as_json):
    """Measure on random elements and on the meshes PATHS; without any, on those that come with femnn.

    Meshes with folded elements are left out with a remark.
    """
    paths = paths or sorted(data_folder("meshes").glob("*.vtu"))
    random = distorted_hexahedra(elements, (0.05, 0.35), SEED)
    for measure in TOLERANCES:
        AdaptiveGauss(measure=measure).points_per_axis(random[:100])  # compile before the clock starts
    weights = _published(out) if published else {}
    rows, rivals, exact = [], [], []
    for measure, tolerances in TOLERANCES.items():
        own = Elements(settled(random), measure)
        rows += figures("random", own, tolerances, confidence)
        for tol in tolerances:
            rivals += against_rivals(own, tol, confidence, weights.get(tol) if measure == "entries" else None)
        exact += exact_class(own)
    meshes, remarks = read_meshes(paths, most)
    for name, vertices in tqdm(meshes.items(), desc="meshes", disable=None):
        for measure, tolerances in TOLERANCES.items():
            rows += figures(name, Elements(vertices, measure), tolerances, confidence)
    results = {"machine": description(), "rows": rows, "rivals": rivals, "exact": exact, "remarks": remarks}
    results["solved"] = solved_problems(confidence)
    out.mkdir(parents=True, exist_ok=True)
    draw_points(rows, rivals, out / "adaptive-gauss.png")
    report = tables(results)
    publish(out, "adaptive-gauss", results, report, as_json)


def figures(name, elements, tolerances, confidence):
    """One row for each tolerance: both kinds of choice, and what would have been the best."""
    rows = []
    for tol in tolerances:
        needed = (elements.needed(tol).astype(float) ** 3).sum()
        row = {
            "mesh": name,
            "elements": len(elements),
            "measure": elements.measure,
            "tolerance": tol,
            "oracle": float(elements.anisotropic_oracle(tol).sum() / needed),
        }
        for kind, anisotropic in (("equal", False), ("different", True)):
            rule = AdaptiveGauss(tol, confidence, anisotropic, elements.measure)
            points, in_range = rule.choose(elements.hexahedra)
            missed = elements.missed(points, tol)
            row |= {
                f"{kind}_points": float(points.prod(axis=1).sum() / needed),
                f"{kind}_misses": float(np.mean(missed >= 1.0)),
                f"{kind}_worst": float(missed.max()),
            }
        row["outside"] = float((~in_range).mean())
        # of the last rule, with different numbers of points along the axes
        total, count = float(points.prod(axis=1).sum()), int((missed >= 1.0).sum())
        row |= uniform_gains(elements.needed(tol), total, count, 1.0 - confidence)
        rows.append(row)
    return rows


def against_rivals(elements, tol, confidence, published):
    """Points and time of every way of choosing, at the misses of AdaptiveGauss."""
    needed = (elements.needed(tol).astype(float) ** 3).sum()
    rows, allowed = [], 0.0

    def add(name, points, seconds):
        missed = elements.missed(points, tol)
        rows.append(
            {
                "measure": elements.measure,
                "tolerance": tol,
                "rule": name,
                "points": float(points.prod(axis=1).sum() / needed),
                "misses": float(np.mean(missed >= 1.0)),
                "worst": float(missed.max()),
                "microseconds": 1e6 * seconds / len(elements),
            }
        )

    for name, anisotropic in (("AdaptiveGauss, n×n×n", False), ("AdaptiveGauss", True)):
        rule = AdaptiveGauss(tol, confidence, anisotropic, elements.measure)
        started = time.process_time()
        points, _ = rule.choose(elements.hexahedra)
        add(name, points, time.process_time() - started)
        allowed = max(allowed, rows[-1]["misses"])
    if published:
        rule = AdaptiveGauss(tol, None, weights=published)
        started = time.process_time()
        points, _ = rule.choose(elements.hexahedra)
        add("published classifier", points, time.process_time() - started)
    for name, choose in RIVALS.items():
        if name.startswith("a-posteriori") and elements.measure != "entries":
            continue
        add(name, *choose(elements, tol, allowed))
    best = elements.anisotropic_oracle(tol).sum() / needed
    rows.append(
        {"measure": elements.measure, "tolerance": tol, "rule": "oracle", "points": float(best), "misses": 0.0}
        | {"worst": None, "microseconds": None}
    )
    return rows


def exact_class(elements):
    """How often the bare prediction of n×n×n is exactly what is needed."""
    rows = []
    for tol in EXACT:
        rule = AdaptiveGauss(tol, None, False, elements.measure)
        n, needed = rule.choose(elements.hexahedra)[0][:, 0], elements.needed(tol)
        rows.append(
            {
                "measure": elements.measure,
                "tolerance": tol,
                "exact": float(np.mean(n == needed)),
                "within_one": float(np.mean(np.abs(n - needed) <= 1)),
            }
        )
    return rows


def solved_problems(confidence):
    """What the rules add to the error of five solutions, in the energy norm."""
    parts = data_folder("meshes")
    problems = {
        "Kershaw's mesh": kershaw(6, 0.3, 0.3),
        "distorted cube": distorted_cube(6, 0.35, SEED),
        "Cook's membrane": cooks_membrane(10, 8, 2, 8.0, 0.3, SEED),
        "bent blade": read_mesh(parts / "bent_blade.vtu"),
        "pipe junction": read_mesh(parts / "pipe_junction.vtu"),
    }
    rows = []
    for name, mesh in tqdm(problems.items(), desc="solved problems", disable=None):
        structure = Structure(mesh)
        for tol in TOLERANCES["energy"]:
            found = structure.compare(name, AdaptiveGauss(tol, confidence, measure="energy"), tol)
            rows.append(
                {
                    "problem": name,
                    "elements": mesh.nelements,
                    "tolerance": tol,
                    "points": found.points / mesh.nelements,
                    "added": found.energy_norm_error,
                }
            )
    return rows


def _published(out):
    """Weight files of the published classifier, one for each tolerance."""
    return {
        tol: train_points_classifier(out, tol, WEIGHTS_RECIPE, CLASSIFIER_OPTIONS)[0]
        for tol in tqdm(TOLERANCES["entries"], desc="published classifiers", disable=None)
    }


def tables(results):
    """All figures as markdown."""
    row_columns = {
        "mesh": ("elements", "{}"),
        "measure": ("measure", "{}"),
        "tolerance": ("tolerance", "{:g}"),
        "equal_points": ("n×n×n: points / best n×n×n", "{:.2f}"),
        "equal_misses": ("misses", "{:.2%}"),
        "equal_worst": ("worst / tol", "{:.1f}"),
        "different_points": ("nx×ny×nz: points / best n×n×n", "{:.2f}"),
        "oracle": ("its oracle", "{:.2f}"),
        "different_misses": ("misses", "{:.2%}"),
        "different_worst": ("worst / tol", "{:.1f}"),
        "outside": ("settled", "{:.2%}"),
        **GAIN_COLUMNS,
    }
    rival_columns = {
        "measure": ("measure", "{}"),
        "tolerance": ("tolerance", "{:g}"),
        "rule": ("chosen by", "{}"),
        "points": ("points / best n×n×n", "{:.2f}"),
        "misses": ("misses", "{:.2%}"),
        "worst": ("worst / tol", "{:.1f}"),
        "microseconds": ("µs of CPU an element", "{:.2f}"),
    }
    exact_columns = {
        "measure": ("measure", "{}"),
        "tolerance": ("tolerance", "{:g}"),
        "exact": ("exactly the n needed", "{:.1%}"),
        "within_one": ("within one", "{:.1%}"),
    }
    solved_columns = {
        "problem": ("problem", "{}"),
        "elements": ("elements", "{:,}"),
        "tolerance": ("tolerance", "{:g}"),
        "points": ("points an element", "{:.1f}"),
        "added": ("added error / energy norm", "{:.1e}"),
    }
    parts = [
        f"Machine: {results['machine']}",
        "Points over those of the best n×n×n of each element; the last columns have the points of the smallest uniform "
        "n×n×n that misses the tolerance nowhere, as often as nx×ny×nz, and as often as that promises:",
        markdown(results["rows"], row_columns),
        "\n".join(results["remarks"]),
        "Every way of choosing on the random elements; rivals with a parameter have the one with which they miss as "
        "often as AdaptiveGauss on these very elements:",
        markdown(results["rivals"], rival_columns),
        "The bare prediction of n×n×n (confidence=None) on the random elements:",
        markdown(results["exact"], exact_columns),
        'What measure="energy" adds to the error of a solution:',
        markdown(results["solved"], solved_columns),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


if __name__ == "__main__":
    main()
