"""Make the hexahedral meshes of this folder: ``python meshes/generate.py [NAME ...] [--out DIR]``.

Each part starts as a plane mesh of unstructured quadrilaterals (gmsh), is swept through its third direction and then
bent, tapered or twisted by a closed formula, which leaves elements distorted the way engineering meshes are. Lengths
in metres. The same gmsh release makes the same files again. Parts of second order go to the folder ``curved``.
"""

import sys
from functools import partial
from pathlib import Path

import click
import numpy as np
from bent_blade import bent_blade
from bracket import bracket
from curved import CURVED
from graben import graben
from pipe_junction import pipe_junction

from femnn.geometry.cells import cells
from femnn.geometry.mesh import hexahedra
from femnn.geometry.quality import distance_from_parallelepiped, scaled_jacobian
from femnn.geometry.validity import valid_elements
from femnn.io.atomic import atomic_write
from femnn.mesh_files import read_mesh

PARTS = {"bracket": bracket, "pipe_junction": pipe_junction, "bent_blade": bent_blade}

#: Too large to be kept in the folder, and coarser ones beside them: made where they are asked for by name.
LARGE = {"graben": graben, "graben_coarse": partial(graben, 2.0)}


def describe(mesh):
    """One line of figures: elements, least and median scaled Jacobian, shares of distorted elements."""
    x = hexahedra(mesh)
    quality, warp = scaled_jacobian(x), distance_from_parallelepiped(x)
    named = ", ".join(f"{name} {len(facets)}" for name, facets in (mesh.boundaries or {}).items())
    return (
        f"{mesh.nelements} elements, {mesh.nvertices} vertices, scaled Jacobian {quality.min():.2f} least "
        f"{np.median(quality):.2f} median, {np.mean(quality < 0.9):.0%} below 0.9, |J0^-1 h| {np.median(warp):.3f} "
        f"median {warp.max():.2f} most" + (f"; {named}" if named else "")
    )


def make_curved(name, path):
    """Write a part of second order, and read it again."""
    path.parent.mkdir(exist_ok=True)
    with atomic_write(path) as temporary:
        CURVED[name]().write(temporary, file_format="vtu", compression="zlib")
    mesh = read_mesh(path)
    valid_elements(cells(mesh))
    click.echo(f"{name}: {mesh.nelements} {type(mesh).__name__} cells, {mesh.doflocs.shape[1]} nodes")


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([*PARTS, *CURVED, *LARGE]))
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(__file__).parent,
    help="Folder for the files; by default the one this script is in.",
)
def main(names, out):
    """Make the meshes NAMES, by default all but the large ones, as OUT/NAME.vtu or OUT/curved/NAME.vtu."""
    for name in names or [*PARTS, *CURVED]:
        if name in CURVED:
            make_curved(name, out / "curved" / f"{name}.vtu")
            continue
        mesh = (PARTS | LARGE)[name]()
        valid_elements(hexahedra(mesh))
        with atomic_write(out / f"{name}.vtu") as path:
            mesh.save(path, compression="zlib")
        click.echo(f"{name}: {describe(mesh)}")


if __name__ == "__main__":
    sys.exit(main())
