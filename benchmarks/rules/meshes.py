"""Integration points that AdaptiveGauss saves on real meshes, and how often it misses its tolerance there."""

from pathlib import Path

import click
import numpy as np
from tqdm import tqdm

from benchmarks.rules.uniform import GAIN_COLUMNS, uniform_gains
from benchmarks.support.publishing import publish
from femnn import AdaptiveGauss, hexahedra
from femnn.cli import Command
from femnn.integration import error_table, smallest_points
from femnn.io import data_folder, markdown
from femnn.mesh_files import read_mesh
from femnn.quadrature.adaptive.classifier import FEWEST
from femnn.quadrature.adaptive.tensor_errors import tensor_rule_errors
from femnn.system import description

_MOST = 24


@click.command(cls=Command)
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--tol", "tolerances", multiple=True, type=float, default=(1e-3, 1e-6), show_default=True)
@click.option("--confidence", default=0.99, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/meshes"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(paths, tolerances, confidence, out, as_json):
    """Measure on the meshes PATHS; without any, on those that come with femnn."""
    paths = paths or sorted(data_folder("meshes").glob("*.vtu"))
    rows = []
    for path in tqdm(paths, desc="meshes", disable=None):
        rows += measure(path, tolerances, confidence)
    report = f"Machine: {description()}\n\n{table(rows)}\n"
    publish(out, "meshes", rows, report, as_json)


def measure(path, tolerances, confidence):
    """One row of figures for each tolerance."""
    elements = hexahedra(read_mesh(path))
    errors, _ = error_table(elements, _MOST)
    rows = []
    for tol in tolerances:
        chosen, in_range = AdaptiveGauss(tol, confidence).choose(elements)
        found = tensor_rule_errors(elements, chosen, 0.3, "entries")
        needed = np.maximum(smallest_points(errors, tol), FEWEST)
        points = float(chosen.prod(axis=1).sum())
        missed = found >= tol
        rows.append(
            {
                "mesh": path.stem,
                "elements": len(elements),
                "tolerance": tol,
                **uniform_gains(needed, points, int(missed.sum()), 1.0 - confidence),
                "over_oracle": float(points / (needed.astype(float) ** 3).sum()),
                "violations": float(missed.mean()),
                "worst": float(found.max() / tol),
                "outside": float((~in_range).mean()),
            }
        )
    return rows


def table(rows):
    """The figures as markdown."""
    return markdown(
        rows,
        {
            "mesh": ("mesh", "{}"),
            "elements": ("elements", "{:,}"),
            "tolerance": ("tolerance", "{:g}"),
            "uniform": ("n nowhere missed", "{}"),
            "uniform_equal": ("n, equal misses", "{}"),
            "uniform_promised": ("n, promised misses", "{}"),
            **GAIN_COLUMNS,
            "over_oracle": ("adaptive / best n×n×n", "{:.2f}"),
            "violations": ("miss tol", "{:.2%}"),
            "worst": ("worst Error / tol", "{:.1f}"),
            "outside": ("outside range", "{:.2%}"),
        },
    )


if __name__ == "__main__":
    main()
