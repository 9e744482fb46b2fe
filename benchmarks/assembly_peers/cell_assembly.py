"""Elasticity on quadrilaterals and hexahedra of second order from mesh to sparse matrix: femnn against its peers.

All in one process on one thread, in turns; medians. Each pass starts from new coordinates, connectivity being known.
Peers that are not installed, and cells that they do not have, are left out. Matrices are compared by trace and norm,
which do not depend on the numbering, where shape functions and cells are the same: NGSolve has straight edges on cells
of second order, which costs it less; serendipity functions of FElupe and fedoo also map their cells.
"""

import os

# before Numba and the linear algebra of peers are loaded
os.environ.setdefault("NUMBA_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import click
import numpy as np
import skfem

from benchmarks.assembly_peers.cell_peers import PROGRAMS, is_comparable
from benchmarks.support.publishing import publish
from benchmarks.support.timing import in_turns, median_and_spread, with_spread
from femnn.cli import Command
from femnn.io import markdown
from femnn.system import description

#: Class of meshes, element, points per axis, and cells along each edge for each 1000 of the option.
PROBLEMS = {
    "quadrilaterals, linear": (skfem.MeshQuad, skfem.ElementQuad1(), 2),
    "curved quadrilaterals, quadratic": (skfem.MeshQuad2, skfem.ElementQuad2(), 3),
    "curved hexahedra, serendipity": (skfem.MeshHex2, skfem.ElementHexS2(), 3),
    "curved hexahedra, quadratic": (skfem.MeshHex2, skfem.ElementHex2(), 3),
}
# Cells of a mesh in two dimensions for each in space.
_MORE = 16


@click.command(cls=Command)
@click.option("--cells", "count", type=click.IntRange(min=8), default=1728, show_default=True, help="Hexahedra.")
@click.option("--repeat", type=click.IntRange(min=1), default=5, show_default=True, help="Rounds.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/cell-assembly"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(count, repeat, out, as_json):
    """Microseconds a cell of assembly in femnn and in other programs, on cells of second order and in the plane."""
    rows = []
    for name, (kind, element, n) in PROBLEMS.items():
        mesh = _mesh(kind, count)
        work, matrices = {}, {}
        for title, make in PROGRAMS.items():
            found = make(mesh, element, n)
            if found is not None:
                work[title] = found
                matrices[title] = found()
        seconds = in_turns(work, repeat)
        own = _invariants(matrices["femnn"])
        for title, times in seconds.items():
            median, spread = median_and_spread([1e6 * t / mesh.nelements for t in times])
            of = _invariants(matrices[title])
            difference = None
            if is_comparable(title, mesh, element):
                difference = float(np.abs(of / own - 1.0).max())
            rows.append({"problem": name, "cells": mesh.nelements, "points": n ** mesh.dim(), "program": title})
            rows[-1] |= {"microseconds": median, "spread": spread, "difference": difference}
        others = [row["microseconds"] for row in rows if row["problem"] == name and row["program"] != "femnn"]
        for row in rows:
            if row["problem"] == name and row["program"] == "femnn" and others:
                row["times"] = min(others) / row["microseconds"]
    figures = {"machine": description(), "rows": rows}
    publish(out, "cell-assembly", figures, _report(figures), as_json)


def _mesh(kind, count):
    plane = issubclass(kind, skfem.MeshQuad)
    edge = round((_MORE * count) ** 0.5) if plane else round(count ** (1 / 3))
    straight = (skfem.MeshQuad if plane else skfem.MeshHex).init_tensor(*[np.linspace(0, 1, edge + 1)] * (3 - plane))
    mesh = straight if kind is skfem.MeshQuad else kind.from_mesh(straight)
    x = mesh.doflocs
    return type(mesh)(x + 0.2 / edge * np.sin(7.0 * edge * np.roll(x, 1, axis=0) / 3.0), mesh.t)


def _invariants(matrix):
    """Trace and norm."""
    if not hasattr(matrix, "diagonal"):
        from scipy.sparse import bsr_matrix

        blocks, indices, indptr = (np.array(part) for part in matrix.CSR())
        size = round((blocks.size / len(indices)) ** 0.5)
        matrix = bsr_matrix((blocks.reshape(-1, size, size), indices, indptr)).tocsr()
    return np.array([matrix.diagonal().sum(), np.sqrt((matrix.data**2).sum())])


def _report(figures):
    shown = [
        {**row, "time": with_spread(row["microseconds"], row["spread"]), "ratio": row.get("times")}
        for row in figures["rows"]
    ]
    columns = {
        "problem": ("cells, shape functions", "{}"),
        "cells": ("count", "{:,}"),
        "points": ("points", "{}"),
        "program": ("program", "{}"),
        "time": ("µs a cell", "{}"),
        "ratio": ("times the fastest peer", "{:.1f}"),
        "difference": ("difference", "{:.0e}"),
    }
    lines = [
        f"Machine: {figures['machine']}",
        "Plane strain and elasticity in space on one thread, medians of rounds in turn, with half the distance between "
        "the quartiles:",
        markdown(shown, columns),
    ]
    return "\n\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
