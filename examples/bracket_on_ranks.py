"""A bracket of a million elements on MPI ranks: each rank makes and assembles its own part, PETSc solves.

    python examples/bracket_on_ranks.py
    mpiexec.openmpi -n 8 python examples/bracket_on_ranks.py

The shipped bracket is partitioned by the integration points that its fine cells will have; every rank subdivides its
own cells into n × n × n, so that no rank holds the whole mesh. Steel, held at its bolts, carries 5 kN at its pin. Needs
the extra `mpi` and Debian's packages; `make test-mpi` builds an environment with them. A million elements take
some 9 GB over all ranks.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import femnn
from femnn.io import aligned, atomic_write, data_folder
from femnn.mesh_files import read_mesh
from femnn.parallel import (
    FIXED_COST,
    DistributedMesh,
    Timing,
    assemble_elasticity,
    partition,
    solve,
    subdivided,
    subdivided_points,
    together,
    world,
)
from femnn.plotting import draw_surface, save

LOAD = 5e3


def main(n=6, tol=1e-3, rtol=1e-8, out="results"):
    """Solve the bracket with 5,788 n³ elements and report; collective.

    Returns
    -------
    dict
        Figures of the run, on every rank.
    """
    comm = world()
    stages = Timing(comm)
    rule = femnn.AdaptiveGauss(tol)
    with stages.stage("partition"), together(comm):
        coarse = read_mesh(data_folder("meshes") / "bracket.vtu")
    with stages.stage("partition"):
        points = count_points(comm, coarse, rule, n)
        ranks = partition(coarse, comm.size, points + FIXED_COST * n**3)
    with stages.stage("mesh"):
        distributed = DistributedMesh.joined(subdivided(coarse, ranks, comm.rank, n))
    with stages.stage("assembly"):
        stiffness = assemble_elasticity(distributed, rule, young=210e9, poisson=0.3)
    with stages.stage("solution"):
        found = solve(stiffness, pin_load(distributed), distributed.dofs_on("fixed"), rtol=rtol, overwrite=True)
    own = int(points[ranks == comm.rank].sum())
    figures = {
        "ranks": comm.size,
        "elements": distributed.n_cells,
        "free": found.n_free,
        "points": int(points.sum()),
        "iterations": found.iterations,
        "residual": found.residual,
        "largest": comm.allreduce(float(np.linalg.norm(found.x.reshape(-1, 3), axis=1).max()), op=max),
        "work": distributed.dot(pin_load(distributed), found.x),
        "seconds": stages.seconds,
        "parts": comm.allgather((len(distributed.cells), own, len(distributed.vertices))),
        "memory": stages.memory(),
    }
    if comm.rank == 0:
        report(figures)
        draw(coarse, ranks, figures, Path(out) / "bracket_on_ranks.png")
        with atomic_write(Path(out) / "bracket_on_ranks.json") as temporary:
            temporary.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    return figures


def count_points(comm, coarse, rule, n):
    """Integration points in each coarse cell, the ranks sharing the work."""
    own = np.arange(comm.rank, coarse.nelements, comm.size)
    points = np.empty(coarse.nelements, dtype=np.int64)
    for cells, counts in comm.allgather((own, subdivided_points(coarse, rule, n, own))):
        points[cells] = counts
    return points


def pin_load(distributed):
    """Nodal forces of a uniform pull downwards on the boundary `load`, 5 kN altogether."""
    corners = distributed.boundaries["load"]
    x = distributed.mesh.p.T[corners]
    areas = 0.5 * np.linalg.norm(np.cross(x[:, 2] - x[:, 0], x[:, 3] - x[:, 1]), axis=1)
    total = distributed.comm.allreduce(float(areas.sum()))
    force = np.zeros((len(distributed.vertices), 3))
    np.add.at(force[:, 2], corners, -0.25 * LOAD * areas[:, None] / total)
    return distributed.sum(force.ravel())


def report(figures):
    print(f"{figures['elements']:,} elements, {figures['free']:,} free degrees of freedom, {figures['ranks']} ranks\n")
    seconds = figures["seconds"]
    rows = [["stage", "seconds"], *([name, f"{own:.2f}"] for name, own in seconds.items())]
    print(aligned([*rows, ["together", f"{sum(seconds.values()):.2f}"]]))
    rows = [["rank", "elements", "points", "vertices", "peak memory, MB", "of it libraries, MB"]]
    for rank, (counts, (peak, baseline)) in enumerate(zip(figures["parts"], figures["memory"], strict=True)):
        memory = (f"{peak / 1e6:,.0f}", f"{baseline / 1e6:,.0f}")
        rows.append([str(rank), *(f"{number:,}" for number in counts), *memory])
    print(f"\n{aligned(rows)}\n")
    print(f"{figures['iterations']} iterations to a relative residual of {figures['residual']:.1e}")
    print(f"largest displacement {1e3 * figures['largest']:.6f} mm, work of the load {figures['work']:.8g} J")


def draw(coarse, ranks, figures, path):
    """Which rank has which part of the bracket, and where the time goes."""
    figure = Figure(figsize=(10.0, 4.2), layout="constrained")
    grid = figure.add_gridspec(1, 2, width_ratios=(1.2, 1.0))
    axes = figure.add_subplot(grid[0], projection="3d")
    axes.view_init(elev=25, azim=-60)
    draw_surface(axes, coarse, ranks, cmap="tab10" if figures["ranks"] > 1 else "viridis", linewidth=0.05)
    axes.set_title(f"{figures['elements']:,} elements on {figures['ranks']} ranks, a colour each")
    axes = figure.add_subplot(grid[1])
    stages, seconds = zip(*reversed(figures["seconds"].items()), strict=True)
    axes.barh(stages, seconds, color="#0072b2")
    memory = sum(peak for peak, _ in figures["memory"])
    axes.set(xlabel="seconds", title=f"{figures['iterations']} iterations, {memory / 1e9:.1f} GB over all ranks")
    save(figure, path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--n", type=int, default=6, help="subdivisions of each coarse cell along an edge; 6 gives 1.25 million cells"
    )
    parser.add_argument("--tol", type=float, default=1e-3, help="tolerance of AdaptiveGauss")
    parser.add_argument("--rtol", type=float, default=1e-8, help="relative residual of the solution")
    parser.add_argument("--out", default="results", help="folder for the figures")
    arguments = parser.parse_args()
    main(arguments.n, arguments.tol, arguments.rtol, arguments.out)
