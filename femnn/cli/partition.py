"""``femnn partition``: divide a mesh among ranks, one file for each."""

from pathlib import Path

import click
import numpy as np

from femnn.io.tables import aligned
from femnn.mesh_files import read_mesh
from femnn.parallel.local_mesh import local_meshes
from femnn.parallel.partition import FIXED_COST, imbalance, partition, points_per_cell
from femnn.parallel.partition_files import digest, write_local_mesh
from femnn.quadrature.gauss import GaussLegendre
from femnn.validation.mesh_inspection import make_rule


@click.command("partition")
@click.argument("mesh", type=click.Path(path_type=Path))
@click.option("--ranks", type=click.IntRange(min=1), required=True, help="Number of parts.")
@click.option(
    "--tol", type=float, default=1e-3, show_default=True, help="Tolerance of AdaptiveGauss, whose points are the cost."
)
@click.option(
    "--gauss", type=click.IntRange(1), help="In place of AdaptiveGauss: so many Gauss points per axis in every cell."
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder.  [default: ./NAME-parts]")
def command(mesh, ranks, tol, gauss, out):
    """Divide MESH among ranks so that each has the same work, and write one file a rank.

    MESH is any file that meshio reads. The files hold the fingerprint of the mesh: a program on ranks refuses those of
    another one.
    """
    path, mesh = mesh, read_mesh(mesh)
    rule = make_rule(tol, 0.99, True, 0.3, "integration-points") if gauss is None else GaussLegendre(gauss)
    points = points_per_cell(mesh, rule)
    part = partition(mesh, ranks, points + FIXED_COST)
    folder = out if out is not None else Path(f"{path.stem}-parts")
    source = digest(path)
    rows = [["Rank", "cells", "points", "vertices", "file"]]
    for rank, local_mesh in enumerate(local_meshes(mesh, part, ranks)):
        written = write_local_mesh(folder, rank, ranks, local_mesh, source)
        n_points = points[local_mesh.cells].sum()
        rows.append(
            [str(rank), f"{len(local_mesh.cells):,}", f"{n_points:,}", f"{len(local_mesh.vertices):,}", str(written)]
        )
    click.echo(aligned(rows))
    equal = imbalance(partition(mesh, ranks), points, ranks)
    click.echo(
        f"\nthe busiest rank has {imbalance(part, points, ranks):.1%} more points than the mean, and "
        f"{imbalance(part, np.ones_like(points), ranks):.1%} more cells; with parts of equal numbers of cells it would "
        f"have {equal:.1%} more points"
    )
