"""AdaptiveGauss on quadrilaterals and curved hexahedra: misses and points against the best n×n(×n) of every cell.

Fresh cells of each family, which no calibration saw, and meshes of second order. The best equal rule of a cell is found
by integration; points over those of the best, and over the uniform rule that keeps the tolerance everywhere.
"""

import time
from pathlib import Path

import click
import numpy as np
from tqdm import tqdm

from benchmarks.support.publishing import publish
from femnn import AdaptiveGauss
from femnn.cli import Command
from femnn.geometry.cell_families import FAMILIES, cells_of_family
from femnn.geometry.cells import CURVED_HEXAHEDRON, CURVED_QUADRILATERAL, HEXAHEDRON, QUADRILATERAL, cells
from femnn.integration.cell_matrices import cell_matrices, matrix_errors
from femnn.io import data_folder, markdown
from femnn.mesh_files import read_mesh
from femnn.quadrature.adaptive.choosers import CellChooser, Request
from femnn.system import description

TOLERANCES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-6)
#: Kinds of cells and degree of the shape functions.
KINDS = {
    "quadrilaterals, linear": (QUADRILATERAL, 1),
    "quadrilaterals, quadratic": (QUADRILATERAL, 2),
    "curved quadrilaterals, quadratic": (CURVED_QUADRILATERAL, 2),
    "hexahedra, quadratic": (HEXAHEDRON, 2),
    "curved hexahedra, quadratic": (CURVED_HEXAHEDRON, 2),
}
# No training or calibration has this seed.
_SEED = 20_261
_POISSON = 0.3
# Most points per axis that are tried, and those of the reference, by dimension.
_MOST, _REFERENCE = {2: 24, 3: 12}, {2: 40, 3: 15}
_AT_A_TIME = 100
# Cells whose prediction is timed, at least: calls have a cost of their own.
_TIMED = 5000


@click.command(cls=Command)
@click.option("--cells", "count", default=5000, show_default=True, help="Quadrilaterals of each kind.")
@click.option("--hexahedra", default=400, show_default=True, help="Hexahedra of each kind; they take longer.")
@click.option("--most", default=300, show_default=True, help="Hexahedra of a mesh, drawn at random from larger ones.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/adaptive-cells"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(count, hexahedra, most, out, as_json):
    """Misses, worst cells, points and time of prediction on fresh random cells and on the meshes of second order."""
    rows, times = [], []
    for name, (kind, degree) in tqdm(KINDS.items(), disable=None):
        each = (count if kind.dim == 2 else hexahedra) // len(FAMILIES)
        x = np.concatenate([cells_of_family(kind, family, each, _SEED) for family in FAMILIES])
        rows += figures(f"random {name}", x, degree)
        times.append({"cells": name, "microseconds": microseconds(x, degree)})
    for path in tqdm(sorted(data_folder("meshes").glob("curved/*.vtu")), disable=None):
        x = cells(read_mesh(path))
        if x.shape[2] == 3 and len(x) > most:
            x = x[np.random.default_rng(_SEED).permutation(len(x))[:most]]
        rows += figures(path.stem, x, 2)
    results = {"machine": description(), "rows": rows, "times": times}
    publish(out, "adaptive-cells", results, tables(results), as_json)


def figures(name, x, degree):
    """One row for each tolerance."""
    dim = x.shape[2]
    equal = _equal_errors(x, degree)
    rows = []
    for tol in TOLERANCES:
        kept = equal < tol
        needed = np.where(kept.any(axis=1), kept.argmax(axis=1), equal.shape[1] - 1) + degree + 1
        # what no equal rule of the most points settles has no best one to compare with
        met = kept.any(axis=1)
        best = (needed[met].astype(float) ** dim).sum()
        row = {"cells": name, "count": len(x), "tolerance": tol, "unmet": float((~met).mean())}
        for label, anisotropic in (("equal", False), ("different", True)):
            rule = AdaptiveGauss(tol, anisotropic=anisotropic, on_unmet="warn").for_degree(degree)
            points, _ = rule.choose(x)
            errors = _errors(x, points, degree)
            row |= {
                f"{label}_points": float(points[met].prod(axis=1).sum() / best),
                f"{label}_misses": float((errors >= tol).mean()),
                f"{label}_worst": float(errors.max() / tol),
            }
        row["uniform"] = float(met.sum() * needed[met].max() ** dim / points[met].prod(axis=1).sum())
        rows.append(row)
    return rows


def microseconds(x, degree):
    """Processor time of a prediction alone, for each cell."""
    chooser = CellChooser(Request(1e-3, 0.99, True, "entries", "elasticity", _POISSON), degree)
    x = np.tile(x, (-(-_TIMED // len(x)), 1, 1))
    chooser.predicted(x[:50], 1e-3)
    started = time.process_time()
    chooser.predicted(x, 1e-3)
    return 1e6 * (time.process_time() - started) / len(x)


def _equal_errors(x, degree):
    """Errors (n, k) of equal numbers of points, from one more than the degree on; what exceeds the last is not told."""
    dim = x.shape[2]
    errors = np.full((len(x), _MOST[dim] - degree), np.inf)
    for start in range(0, len(x), _AT_A_TIME):
        some = np.arange(start, min(len(x), start + _AT_A_TIME))
        references = cell_matrices(x[some], (_REFERENCE[dim],) * dim, degree, _POISSON)
        waiting = np.arange(len(some))
        for k in range(errors.shape[1]):
            matrices = cell_matrices(x[some[waiting]], (degree + 1 + k,) * dim, degree, _POISSON)
            errors[some[waiting], k] = matrix_errors(matrices, references[waiting])
            waiting = waiting[errors[some[waiting], k] >= min(TOLERANCES)]
            if len(waiting) == 0:
                break
    # once below the least tolerance, Errors stay there
    return np.minimum.accumulate(errors, axis=1)


def _errors(x, rules, degree):
    dim, errors = x.shape[2], np.empty(len(x))
    different, place = np.unique(rules, axis=0, return_inverse=True)
    for k, rule in enumerate(different.tolist()):
        here = np.flatnonzero(place.ravel() == k)
        for start in range(0, len(here), _AT_A_TIME):
            some = here[start : start + _AT_A_TIME]
            # as far beyond the rule as beyond the least one
            better = tuple(max(_REFERENCE[dim], n + 4) for n in rule)
            references = cell_matrices(x[some], better, degree, _POISSON)
            errors[some] = matrix_errors(cell_matrices(x[some], tuple(rule), degree, _POISSON), references)
    return errors


def tables(results):
    """All figures as markdown."""
    columns = {
        "cells": ("cells", "{}"),
        "count": ("count", "{:,}"),
        "tolerance": ("tolerance", "{:g}"),
        "equal_points": ("n×n: points / best n×n", "{:.2f}"),
        "equal_misses": ("misses", "{:.2%}"),
        "equal_worst": ("worst / tol", "{:.1f}"),
        "different_points": ("nx×ny: points / best n×n", "{:.2f}"),
        "different_misses": ("misses", "{:.2%}"),
        "different_worst": ("worst / tol", "{:.1f}"),
        "uniform": ("uniform / points", "{:.1f}"),
    }
    lines = [
        f"Machine: {results['machine']}",
        "Points over those of the best n×n (n×n×n in space) of each cell; the uniform rule keeps the tolerance on "
        f"every cell. Cells that {_MOST[2]}×{_MOST[2]} ({_MOST[3]}×{_MOST[3]}×{_MOST[3]}) points do not settle are "
        "left out of the points, not of the misses:",
        markdown(results["rows"], columns),
        "Processor time of a prediction alone, without the check of validity, the calibration on the mesh, and the "
        "integration of cells that no prediction serves:",
        markdown(results["times"], {"cells": ("cells", "{}"), "microseconds": ("µs a cell", "{:.1f}")}),
    ]
    return "\n\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
