"""``femnn train cohesive``: teach a recurrent network a classical traction-separation law, or measured paths."""

from dataclasses import replace
from pathlib import Path

import click

from femnn.cli.training_figures import show

# what trains imports torch: only when called, as in femnn.cli.train

# Camanho & Dávila (NASA/TM-2002-211737), Table 2, and friction: the law that the shipped weights were trained on
AS4_PEEK = {
    "normal_strength": 80e6,
    "shear_strength": 100e6,
    "normal_toughness": 969.0,
    "shear_toughness": 1719.0,
    "friction": 0.5,
}

#: Training paths and points of each, and seed offset of the unseen ones.
PATHS, STEPS, UNSEEN = 6000, 40, 1_000_003

_NETWORKS = ("minimal-state", "self-consistent", "lstm", "gru", "feed-forward")


def train_cohesive(folder, law, network, paths=PATHS, steps=STEPS, options=None, progress=True):
    """Make ``cohesive-NETWORK.safetensors`` in ``folder``; returns the law that was trained and its test figures.

    Parameters
    ----------
    folder
        Where weights and checkpoints go; an interrupted run goes on from there.
    law
        A classical law.
    network
        A name in :data:`femnn.cohesive.training.fit.OPTIONS`.
    paths, steps
        Number of training paths and of points on each; a tenth validates.
    options
        See :class:`femnn.networks.training.TrainingOptions`; its seed is that of the paths, too.
    """
    import numpy as np

    from femnn.cohesive.training.data import PathData, unseen
    from femnn.cohesive.training.fit import OPTIONS, fit_law

    options = OPTIONS[network] if options is None else options
    data = PathData.of_law(law, paths, steps, "all", options.seed)
    # kinds lie one after another
    data = data[np.random.default_rng(options.seed).permutation(paths)]
    training, validation = data[: paths * 9 // 10], data[paths * 9 // 10 :]
    tests = unseen(law, max(paths // 8, 4), steps, options.seed + UNSEEN)
    return fit_law(
        Path(folder) / f"cohesive-{network}", network, training, validation, tests, options, progress=progress
    )


def train_on_data(folder, data, network, options=None, seed=0, progress=True):
    """Make ``cohesive-NETWORK.safetensors`` in ``folder`` from paths of one's own; the law and its test figures.

    ``data`` is a :class:`femnn.cohesive.training.PathData`, a tenth of which validates and another tests; ``options``
    None chooses the epochs by the amount of data.
    """
    from femnn.cohesive.training.fit import fit_law, options_for
    from femnn.cohesive.training.measured import split

    training, validation, test = split(data, seed)
    options = replace(options_for(network, len(training)), seed=seed) if options is None else options
    path = Path(folder) / f"cohesive-{network}"
    return fit_law(path, network, training, validation, {"held out": test}, options, progress=progress)


def _material(function):
    for name, value in reversed(AS4_PEEK.items()):
        unit = {"strength": "Pa", "toughness": "J/m2"}.get(name.partition("_")[2], "Coulomb's coefficient")
        option = click.option(f"--{name.replace('_', '-')}", type=float, default=value, show_default=True, help=unit)
        function = option(function)
    return function


@click.command("cohesive", short_help="Train a recurrent traction-separation law.")
@click.option(
    "--data", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Learn from the paths of this .npz or .csv file instead of a classical law.",
)  # fmt: skip
@click.option("--length-unit", type=click.Choice(["m", "mm", "um", "nm"]), default="m", show_default=True,
              help="Unit of the separations of --data.")  # fmt: skip
@click.option("--stress-unit", type=click.Choice(["Pa", "kPa", "MPa", "GPa"]), default="Pa", show_default=True,
              help="Unit of the tractions of --data.")  # fmt: skip
@click.option("--separation-scale", type=float, help="Separation of complete softening, m.  [default: the largest of "
              "--data]")  # fmt: skip
@click.option("--traction-scale", type=float, help="Strength, Pa.  [default: the largest traction of --data]")
@click.option(
    "--law", "law_name", type=click.Choice(["bilinear", "exponential"]), default="bilinear", show_default=True,
    help="The classical law to learn.",
)  # fmt: skip
@click.option(
    "--network",
    type=click.Choice(_NETWORKS),
    default="minimal-state",
    show_default=True,
    help="Network that learns the law.",
)
@_material
@click.option("--paths", type=click.IntRange(min=20), default=PATHS, show_default=True, help="Separation paths.")
@click.option("--steps", type=click.IntRange(min=2), default=STEPS, show_default=True, help="Points of each path.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"), show_default=True,
    help="Folder of checkpoints and weight files.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of paths and network.")
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    help="Passes over the paths.  [default: as shipped; with --data by its size]",
)
@click.option("--quiet", is_flag=True, help="No progress bar, no table.")
@click.option("--json", "as_json", is_flag=True, help="Print the test figures as JSON.")
@click.pass_context
def command(
    context, file, length_unit, stress_unit, separation_scale, traction_scale, law_name, network, paths, steps, out,
    seed, epochs, quiet, as_json, **material,
):  # fmt: skip
    """Train a recurrent cohesive law on a classical one, or on paths of your own.

    Random separation paths of all kinds are evaluated with the classical law; the network learns its tractions and is
    tested on unseen paths. Use the weights as femnn.RecurrentCohesive.load("PATH").

    With --data the paths come from a file: .npz with the arrays separation and traction (paths, points, 3), or .csv
    with the columns path, opening, shear1, shear2, traction_n, traction_1, traction_2. Opening and tension are
    positive, and every path starts at separation zero.
    """
    from femnn.cohesive.classical import BilinearCohesive, ExponentialCohesive
    from femnn.cohesive.training.fit import OPTIONS

    progress = not (quiet or as_json)
    _require_one_source(context, file)
    if file is not None:
        from femnn.cohesive.training.fit import options_for
        from femnn.cohesive.training.measured import read_paths

        data = read_paths(
            file, length=length_unit, stress=stress_unit, separation_scale=separation_scale,
            traction_scale=traction_scale,
        )  # fmt: skip
        options = None if epochs is None else replace(options_for(network, len(data)), seed=seed, epochs=epochs)
        if progress:
            click.echo(
                f"{len(data)} paths of {data.separations.shape[1]} points, separations up to "
                f"{abs(data.separations).max():.3g} m, tractions up to {abs(data.tractions).max():.3g} Pa"
            )
        _, figures = train_on_data(out, data, network, options, seed, progress)
    else:
        law = {"bilinear": BilinearCohesive, "exponential": ExponentialCohesive}[law_name](**material)
        options = replace(OPTIONS[network], seed=seed, **({} if epochs is None else {"epochs": epochs}))
        _, figures = train_cohesive(out, law, network, paths, steps, options, progress=progress)
    show(out / f"cohesive-{network}.safetensors", figures, quiet, as_json, first="paths")


# Options that make sense with --data only, and without it only.
_OF_DATA = ("length_unit", "stress_unit", "separation_scale", "traction_scale")
_OF_LAW = ("law_name", "paths", "steps", *AS4_PEEK)


def _require_one_source(context, file):
    """Refuse options of the source that is not used, which would be ignored."""
    names = _OF_LAW if file is not None else _OF_DATA
    given = [name for name in names if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE]
    if given:
        option = f"--{given[0].removesuffix('_name').replace('_', '-')}"
        reason = "--data has paths and tractions of its own" if file is not None else "it belongs to --data"
        raise click.BadParameter(f"{reason}; leave one out", param_hint=option)
