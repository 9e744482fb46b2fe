"""``femnn simulate rve``: responses of a cell of a fault, for training a law of the fault."""

from pathlib import Path

import click

from femnn.cli.simulated import options_of_runs, tell

# what simulates is imported when called, as in femnn.cli.train


@click.command("rve", short_help="Drive a cell of elastic blocks and cracks.")
@click.option(
    "--law", required=True, metavar="NAME_OR_FILE",
    help="Law of the cracks: a recurrent law by its name or weight file, or the classical one behind it as "
    "classical-NAME.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("runs/rve"), show_default=True,
    help="Folder of the runs and of the data set rve-paths.npz.",
)  # fmt: skip
@click.option("--paths", type=click.IntRange(min=1), default=360, show_default=True, help="Paths to draw.")
@click.option("--points", type=click.IntRange(min=10), default=100, show_default=True, help="Points of each path.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the paths.")
@click.option(
    "--cell-seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the pattern of blocks."
)
@click.option(
    "--samples", type=click.IntRange(min=1), default=1, show_default=True,
    help="Patterns, of that seed and the next ones: a row of the data set is a path of one of them.",
)  # fmt: skip
@click.option(
    "--each", type=click.IntRange(min=1), help="Samples that follow a drawn path, taking turns.  [default: all]"
)
@click.option(
    "--cycles", type=click.IntRange(min=0), default=0, show_default=True,
    help="Paths more, of cycles of tractions; their law starts under pressure.",
)  # fmt: skip
@click.option(
    "--slices", type=click.IntRange(min=2), help="Blocks along a second direction: makes the cell one of hexahedra in "
    "space.  [default: plane strain]",
)  # fmt: skip
@click.option(
    "--count", type=click.IntRange(min=2), help="Blocks along the first.  [default: 4; in space as many as slices]"
)
@click.option("--rows", type=click.IntRange(min=1), help="Rows of blocks.  [default: 2; in space 1]")
@click.option("--reach", type=float, help="Largest shear, in units of the law.  [default: what fits the law]")
@click.option("--size", type=float, help="Size of the cell, in units of the law.  [default: what fits the law]")
@click.option(
    "--young", type=float, help="Young's modulus of the blocks, in units of the law.  [default: what fits the law]"
)
@click.option(
    "--thickness", type=float, help="Of the filling of cracks, in separation scales of a law that starts under "
    "pressure.  [default: 10]",
)  # fmt: skip
@options_of_runs
@click.pass_context
def command(
    ctx, law, out, paths, points, seed, cell_seed, samples, each, cycles, slices, count, rows, reach, size, young,
    thickness, workers, scheduler, quiet, as_json,
):  # fmt: skip
    """Drive a cell of elastic blocks and cracks along drawn paths and write a data set for training a law of it.

    About a second a path on one core in plane strain, some seconds in space or with 8 × 4 blocks.
    """
    from femnn.multiscale.rve.dataset import FaultCell, FaultCell3D, law_named, simulate_paths

    fields = {"seed": cell_seed, "size": size, "young": young, "count": count, "rows": rows, "thickness": thickness}
    if slices is None:
        cell = FaultCell.around(law_named(law), **fields)
    else:
        cell = FaultCell3D.around(law_named(law), **(fields | {"count": count or slices, "slices": slices}))
    data, failures = simulate_paths(
        law, out, cell, paths=paths, points=points, seed=seed, reach=reach, samples=samples, each=each,
        cycles=cycles, workers=workers, scheduler=scheduler, progress=not (quiet or as_json),
    )  # fmt: skip
    tell(ctx, out / "rve-paths.npz", data, failures, quiet, as_json)
