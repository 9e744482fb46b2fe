"""Cells of a fault: Hill and Mandel's condition, cost of a step, what the mesh changes, with classical laws.

    femnn bench rve

Cells of each pattern are opened, closed and sheared to and fro with the bilinear and the exponential law; figures are
the worst of a path, times means of its steps on one thread.
"""

import time

import click
import numpy as np

import femnn
from femnn.cli import Command
from femnn.io import markdown
from femnn.multiscale.rve import RVE, block_network, echelon_cracks, follow, parallel_cracks

VALUES = {"normal_strength": 80e6, "shear_strength": 100e6, "normal_toughness": 969.0, "shear_toughness": 1719.0}
LAWS = {
    "bilinear": femnn.BilinearCohesive(**VALUES, friction=0.5),
    "exponential": femnn.ExponentialCohesive(**VALUES, friction=0.5),
}
PATTERNS = {
    "straight": lambda refine: parallel_cracks(0.01, 0.01, columns=8 * refine, rows=6 * refine),
    "en echelon": lambda refine: echelon_cracks(0.01, 0.01, refine=refine),
    "network": lambda refine: block_network(0.01, 0.01, refine=refine),
}
YOUNG = 300e9


def path_of(law, points):
    """Opening and shear: open, close, shear under pressure, open again."""
    t = np.linspace(0.0, 1.0, points)
    opening = np.interp(t, [0.0, 0.4, 0.7, 1.0], [0.0, 0.3, -0.02, 0.2])
    shear = np.interp(t, [0.0, 0.3, 0.6, 1.0], [0.0, 0.05, 0.5, 0.2])
    return law.separation_scale * np.column_stack([opening, shear])


def measure(name, law_name, driving, points):
    law = LAWS[law_name]
    path = path_of(law, points)
    found = [follow(RVE(PATTERNS[name](refine), law, YOUNG, driving=driving), path) for refine in (1, 2, 4)]
    gaps = [np.abs(own.traction - found[-1].traction).mean() / np.abs(found[-1].traction).mean() for own in found[:-1]]
    rve = RVE(PATTERNS[name](2), law, YOUNG, driving=driving)
    state, begun = rve.initial_state(), time.perf_counter()
    for goal in path:
        state = rve.update(goal, state).state
    return {
        "pattern": name,
        "law": law_name,
        "driving": driving,
        "elements": rve.cell.mesh.nelements,
        "unknowns": rve.n_jumps,
        "work": max(own.hill_mandel.max() for own in found),
        "tangent": max(own.hill_mandel_tangent.max() for own in found),
        "iterations": found[1].iterations.mean(),
        "milliseconds": 1e3 * (time.perf_counter() - begun) / points,
        "coarse": gaps[0],
        "fine": gaps[1],
    }


COLUMNS = {
    "pattern": ("pattern", "{}"),
    "law": ("law", "{}"),
    "driving": ("driving", "{}"),
    "elements": ("elements", "{}"),
    "unknowns": ("unknowns", "{}"),
    "work": ("gap, work", "{:.0e}"),
    "tangent": ("gap, tangent", "{:.0e}"),
    "iterations": ("iterations a step", "{:.1f}"),
    "milliseconds": ("ms a step", "{:.1f}"),
    "coarse": ("half as fine, off", "{:.1%}"),
    "fine": ("this mesh, off", "{:.1%}"),
}


@click.command(cls=Command)
@click.option("--points", type=click.IntRange(min=4), default=60, show_default=True, help="Points of the path.")
def main(points):
    """Measure cells of a fault. Errors of meshes are against one twice as fine as the one that is timed."""
    rows = [
        measure(pattern, law, driving, points)
        for pattern in PATTERNS
        for law in LAWS
        for driving in ("periodic", "affine")
    ]
    click.echo(markdown(rows, COLUMNS))


if __name__ == "__main__":
    main()
