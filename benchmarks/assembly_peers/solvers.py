"""Solution of linear elasticity on distorted cubes: seconds, iterations and memory of each method and of scikit-fem.

Every solve has a process of its own, in which the matrix is assembled and a small system solved before the clock starts
and memory is counted.
"""

import multiprocessing
import time
from pathlib import Path

import click
import numpy as np
import skfem
from tqdm import tqdm

import femnn
from benchmarks.support.memory import forget_peak, peak, resident
from benchmarks.support.publishing import publish
from femnn.cli import Command
from femnn.geometry import distorted_cube
from femnn.io import markdown
from femnn.system import description

_SCIKIT_FEM = "skfem.solve"


@click.command(cls=Command)
@click.option(
    "--n", "sizes", multiple=True, type=int, default=(18, 30, 50), show_default=True, help="Elements an edge."
)
@click.option("--factored", default=100_000, show_default=True, help="Most degrees of freedom for direct solvers.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/solvers"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def main(sizes, factored, out, as_json):
    """Solve the elasticity of a clamped, sheared, distorted cube with femnn.solve and with scikit-fem."""
    cases = [
        (n, method)
        for n in sizes
        for method in ("pyamg", "cg", "splu", _SCIKIT_FEM)
        if method in ("pyamg", "cg") or 3 * (n + 1) ** 3 <= (factored if method == "splu" else 0.3 * factored)
    ]
    spawn = multiprocessing.get_context("spawn")
    rows = []
    for case in tqdm(cases, desc="solvers", disable=None):
        with spawn.Pool(1) as pool:
            rows.append(pool.apply(measure, case))
    figures = {"machine": description(), "rows": rows}
    report = f"Machine: {figures['machine']}\n\n{table(rows)}\n"
    publish(out, "solvers", figures, report, as_json)


def problem(n):
    """Mesh, stiffness, load and clamped degrees of freedom of n³ elements."""
    mesh = distorted_cube(n, 0.2, seed=0)
    stiffness = femnn.assemble_elasticity(mesh, femnn.GaussLegendre(2), young=210e9, poisson=0.3)
    nodes = np.unique(mesh.facets[:, mesh.boundaries["right"]])
    force = np.zeros(stiffness.shape[0])
    force[3 * nodes + 2] = -1e6 / len(nodes)
    held = np.unique(mesh.facets[:, mesh.boundaries["left"]])
    return mesh, stiffness, force, (3 * held[:, None] + np.arange(3)).ravel()


def measure(n, method):
    """Figures of one solve."""
    solve(*problem(4), method)
    mesh, stiffness, force, fixed = problem(n)
    matrix = stiffness.data.nbytes + stiffness.indices.nbytes + stiffness.indptr.nbytes
    forget_peak()
    before = resident()
    started = time.perf_counter()
    x, iterations = solve(mesh, stiffness, force, fixed, method)
    seconds = time.perf_counter() - started
    growth = peak() - before
    free = np.setdiff1d(np.arange(len(force)), fixed)
    return {
        "n": n,
        "dofs": len(force),
        "method": method,
        "seconds": seconds,
        "iterations": iterations,
        "residual": float(np.linalg.norm((force - stiffness @ x)[free]) / np.linalg.norm(force[free])),
        "matrix": matrix / 1e6,
        "memory": growth / 1e6,
    }


def solve(mesh, stiffness, force, fixed, method):
    """The solution and how many iterations it took, None for direct solvers."""
    if method == _SCIKIT_FEM:
        return skfem.solve(*skfem.condense(stiffness, force, D=fixed)), None
    found = femnn.solve(stiffness, force, fixed, points=mesh, method=method)
    return found.x, None if method == "splu" else found.iterations


def table(rows):
    """The figures as markdown."""
    return markdown(
        rows,
        {
            "dofs": ("degrees of freedom", "{:,}"),
            "method": ("method", "{}"),
            "seconds": ("seconds", "{:.1f}"),
            "iterations": ("iterations", "{}"),
            "residual": ("relative residual", "{:.0e}"),
            "matrix": ("matrix, MB", "{:,.0f}"),
            "memory": ("peak above it, MB", "{:,.0f}"),
        },
    )


if __name__ == "__main__":
    main()
