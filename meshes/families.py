"""Make meshes of the families of femnn.geometry.meshers: ``python meshes/families.py [NAME ...] [--out DIR]``.

For looking at them and for trying rules on whole meshes; femnn itself draws them without files. With ``--gmsh`` gmsh
makes the tetrahedra of a ball, a brick with inner points and a holed block instead, and subdivides them.
"""

import sys
from pathlib import Path

import click
from generate import describe
from gmsh_tetrahedra import PARTS, gmsh_tetrahedra

from femnn.geometry.mesh import hexahedra
from femnn.geometry.meshers import FAMILIES, family_mesh
from femnn.geometry.validity import valid_elements
from femnn.io.atomic import atomic_write

_NAMES = {name.replace(" ", "-"): name for name in FAMILIES}


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(_NAMES)))
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the first mesh.")
@click.option("--count", type=click.IntRange(min=1), default=1, show_default=True, help="Meshes of each family.")
@click.option("--cells", type=click.IntRange(min=50), default=1500, show_default=True, help="About their number.")
@click.option("--gmsh", "by_gmsh", is_flag=True, help="Tetrahedra by gmsh, subdivided by it.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs/families"),
    show_default=True,
    help="Folder for the files.",
)
def main(names, seed, count, cells, by_gmsh, out):
    """Make meshes of the families NAMES, by default of all, as OUT/NAME-SEED.vtu."""
    out.mkdir(parents=True, exist_ok=True)
    seeds = range(seed, seed + count)
    if by_gmsh:
        # 2.7 hexahedra in the cube of their length, in parts of a volume of 3 to 4
        meshes = {
            (part, k): lambda p=part, k=k: gmsh_tetrahedra(p, (9.0 / cells) ** (1 / 3), k + 1)
            for part in PARTS
            for k in seeds
        }
    else:
        chosen = names or _NAMES
        meshes = {(name, k): lambda n=name, k=k: family_mesh(_NAMES[n], k, cells) for name in chosen for k in seeds}
    for (name, k), make in meshes.items():
        mesh = make()
        valid_elements(hexahedra(mesh))
        with atomic_write(out / f"{name}-{k}.vtu") as path:
            mesh.save(path, compression="zlib")
        click.echo(f"{name}-{k}: {describe(mesh)}")


if __name__ == "__main__":
    sys.exit(main())
