"""``femnn train grains``, ``rve`` and theirs of a fault: laws of precompressed, frictional layers from responses."""

from dataclasses import replace
from pathlib import Path

import click

from femnn.cli.training_figures import show

# what trains imports torch: only when called, as in femnn.cli.train

_NETWORKS = ("isotropic", "lstm", "gru", "self-consistent")

#: Passes over the paths of a cell, whose responses have no noise: a law of it can be much better than one of grains.
CELL_EPOCHS = 400

# Points of a resampled path of a layer that the least squares see, and of a command of a fault.
_POINTS, _FAULT_POINTS = 28, 80
# What paths count: of layers, which are many; commands of a fault that slide it; those that prescribe tractions, whose
# ratios say little.
_WEIGHTS = (1.0 / 6.0, 2.0, 0.4)
# Of the commands that networks learn for a fault, one in so many validates.
_VALIDATED = 10

_MICROSTRUCTURE = ("none", "porosity-coordination", "fabric", "all")


def train_layer(path, data, network="isotropic", microstructure="none", given=False, options=None, progress=True):
    """Make the weight file ``path`` of a law; returns the law that was trained and its test figures.

    Trained and tested is the sample that most paths were run on: most of its paths train, a tenth validates, a fifth is
    left unseen. Other samples on the unseen paths are a test of their own.

    Parameters
    ----------
    path
        Of the weight file, without suffix; checkpoints lie beside it, an interrupted run goes on from there.
    data : femnn.io.path_data.PathDataSet
    network
        A name in :data:`femnn.cohesive.training.fit_precompressed.OPTIONS`.
    microstructure
        A name in :data:`femnn.cohesive.training.precompressed_data.MICROSTRUCTURE`.
    given
        Whether it is an input, or predicted on the way to the traction.
    options
        See :class:`femnn.networks.training.TrainingOptions`; its seed splits the paths, too.
    """
    from femnn.cohesive.training.fit_precompressed import OPTIONS, fit_precompressed_law
    from femnn.cohesive.training.precompressed_data import MICROSTRUCTURE

    options = OPTIONS[network] if options is None else options
    training, validation, tests = split_layer(data)
    names = MICROSTRUCTURE[microstructure]
    names = {"inputs": names} if given else {"predicted": names}
    return fit_precompressed_law(path, network, training, validation, tests, options, **names, progress=progress)


def split_layer(data):
    """Training, validation and tests by name: always the same paths, whatever the seed of a network."""
    import numpy as np

    from femnn.cohesive.training.precompressed_data import layer_data

    training, validation, unseen = _rows(data)
    tests = {"unseen": layer_data(data, unseen)}
    others = np.flatnonzero((data.seed != data.main_seed) & np.isin(data.path, data.path[unseen]))
    if len(others):
        tests["other samples"] = layer_data(data, others)
    return layer_data(data, training), layer_data(data, validation), tests


def unseen_rows(data):
    """Rows (n,) of the data set that :func:`split_layer` keeps for the test of the fixed sample."""
    return _rows(data)[2]


def _rows(data):
    import numpy as np

    from femnn.cohesive.training.precompressed_data import split

    main = np.flatnonzero(data.seed == data.main_seed)
    return [main[rows] for rows in split(data.path[main], seed=0)]


def _options_of_both(function):
    for option in reversed(
        (
            click.option(
                "--network", type=click.Choice(_NETWORKS), default="isotropic", show_default=True,
                help="Network that learns the law.",
            ),
            click.option(
                "--microstructure", type=click.Choice(_MICROSTRUCTURE), default="none", show_default=True,
                help="Microstructure that the law uses.",
            ),
            click.option(
                "--given", is_flag=True,
                help="Microstructure is an input at every point, instead of predicted on the way to the traction.",
            ),
            click.option(
                "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"), show_default=True,
                help="Folder of checkpoints and weight files.",
            ),
            click.option(
                "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the network."
            ),
            click.option("--epochs", type=click.IntRange(min=1), help="Passes over the paths.  [default: as shipped]"),
            click.option("--quiet", is_flag=True, help="No progress bar, no table."),
            click.option("--json", "as_json", is_flag=True, help="Print the test figures as JSON."),
        )
    ):  # fmt: skip
        function = option(function)
    return function


@click.command("grains", short_help="Train the law of an interface of grains.")
@click.option(
    "--data", type=click.Path(path_type=Path, dir_okay=False),
    help="File of responses (.npz).  [default: the shipped data set]",
)  # fmt: skip
@_options_of_both
def grains(data, **settings):
    """Train the law of a sheared layer of grains on the responses of a particle model.

    Use the weights as femnn.RecurrentCohesive.load("PATH").rescaled(separation_scale=DIAMETER,
    traction_scale=PRESSURE).
    """
    from femnn.multiscale.grains.dataset import load

    _train("cohesive-grains", load(data), **settings)


def _options_of_least_squares(sliders, iterations):
    """Options of the critical-state laws, with these defaults."""
    options = (
        click.option(
            "--sliders", type=click.IntRange(min=1), default=sliders, show_default=True, help="Sliders of the law."
        ),
        click.option(
            "--iterations", type=click.IntRange(min=1), default=iterations, show_default=True,
            help="Of the least squares.",
        ),
        click.option(
            "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"), show_default=True,
            help="Folder of the weight file.",
        ),
        click.option("--quiet", is_flag=True, help="No progress, no table."),
        click.option("--json", "as_json", is_flag=True, help="Print the test figures as JSON."),
    )  # fmt: skip

    def add(function):
        for option in reversed(options):
            function = option(function)
        return function

    return add


@click.command("fault-grains", short_help="Train the critical-state law of grains.")
@click.option(
    "--data", type=click.Path(path_type=Path, dir_okay=False),
    help="Paths of a fault, of `femnn simulate fault-grains`.  [default: the shipped ones]",
)  # fmt: skip
@_options_of_least_squares(sliders=6, iterations=100)
def fault_grains(data, sliders, iterations, out, quiet, as_json):
    """Train the law of the mean of several samples that holds up in long slip and cycles.

    Least squares on the paths of a fault and on the shipped paths of five samples; unseen ones of both are left out.
    """
    from femnn.cohesive.training.fit_critical_state import fit_critical_state_law
    from femnn.multiscale.grains.dataset import load, load_fault

    training, tests = split_fault(load(), load_fault(data))
    path = out / "cohesive-fault-grains"
    _, figures = fit_critical_state_law(
        path, training, tests, weights=_WEIGHTS[: len(training)], sliders=sliders, iterations=iterations,
        progress=not (quiet or as_json),
    )  # fmt: skip
    show(path.with_name(f"{path.name}.safetensors"), figures, quiet, as_json, first="paths")


def split_fault(layers, faults):
    """Training sets and tests by name, of all samples: the shipped layers, and paths of a fault.

    Reference paths, one drawn command in five of a fault, and what :func:`split_layer` leaves unseen, train nothing.
    What samples do on a command of a fault is averaged: where tractions are prescribed, slips scatter between samples,
    and least squares on each sample would take a layer for softer than it is. Commands of slidings and of tractions are
    sets of their own.
    """
    from femnn.cohesive.training.precompressed_data import layer_data, mean_paths, resampled
    from femnn.multiscale.grains.fault_commands import is_reference, is_unseen

    learned, of_fault = _learned_rows(layers, faults)
    training = [resampled(layer_data(layers, learned), _POINTS, 1, 0)]
    pulled = faults.control[of_fault] == "traction"
    for rows in (of_fault[~pulled], of_fault[pulled]):
        if len(rows):
            training.append(resampled(mean_paths(faults, rows), _FAULT_POINTS, 1, 0))
    tests = {"unseen": layer_data(layers, _is_tested(layers))}
    unseen = is_unseen(faults.path) & ~is_reference(faults.path)
    if unseen.any():
        tests["unseen of a fault"] = layer_data(faults, unseen)
    return training, tests


@click.command("fault-cell", short_help="Train the critical-state law of a homogenised cell.")
@click.option(
    "--data", type=click.Path(path_type=Path, dir_okay=False), required=True,
    help="Responses of several cells, of `femnn simulate rve --samples`.",
)  # fmt: skip
@click.option(
    "--rows", type=click.IntRange(min=1), help="Rows of cracks that share the sliding.  [default: as the card says]"
)  # fmt: skip
@_options_of_least_squares(sliders=6, iterations=300)
def fault_cell(data, rows, sliders, iterations, out, quiet, as_json):
    """Train the law of the mean of several cells that holds up in long slip and cycles.

    Least squares on what the cells do on average along each path under pressure; a fifth of the paths is left out.
    """
    from femnn.cohesive.training.fit_critical_state import fit_critical_state_law
    from femnn.io.path_data import PathDataSet

    cells = PathDataSet.load(data)
    training, unseen = split_cells(cells)
    path = out / "cohesive-fault-cell"
    _, figures = fit_critical_state_law(
        path, training, {"unseen": unseen}, sliders=sliders, iterations=iterations,
        length=rows or cells.about.get("cell", {}).get("rows", 1), progress=not (quiet or as_json),
    )  # fmt: skip
    show(path.with_name(f"{path.name}.safetensors"), figures, quiet, as_json, first="paths")


def split_cells(cells):
    """What trains a law of the mean of several cells, and what tests it: a path is the mean of all that followed it.

    Prescribed openings are neither: a cell that is opened a little further than others has a fraction of their
    pressure, and the mean of both is the response of none. Cycles of tractions all train.
    """
    import numpy as np

    from femnn.cohesive.training.precompressed_data import mean_paths
    from femnn.exceptions import DatasetError
    from femnn.multiscale.rve.commands import is_unseen

    control = cells.columns.get("control", np.full(len(cells), "load"))
    pressed = np.flatnonzero(control != "displacement")
    unseen = is_unseen(cells.path[pressed]) & (control[pressed] != "traction")
    if unseen.all() or not unseen.any():
        paths = np.unique(cells.path[pressed])
        raise DatasetError(
            f"of {len(paths)} paths under pressure {len(np.unique(cells.path[pressed[unseen]]))} are left for the "
            "test; take at least 12 paths: femnn simulate rve --paths 12"
        )
    return [mean_paths(cells, pressed[rows]) for rows in (~unseen, unseen)]


def train_fault_network(path, layers, faults, network="lstm", microstructure="none", options=None, progress=True):
    """Make the weight file of a network that learns the paths of ``femnn train fault-grains`` by its separations.

    One command in ten of these validates; parameters and tests are those of :func:`train_layer` and
    :func:`split_fault`.
    """
    import numpy as np

    from femnn.cohesive.training.fit_precompressed import OPTIONS, fit_precompressed_law
    from femnn.cohesive.training.precompressed_data import MICROSTRUCTURE, joined, layer_data

    parts = [], []
    for data, rows in zip((layers, faults), _learned_rows(layers, faults), strict=True):
        validating = np.isin(data.path[rows], np.unique(data.path[rows])[::_VALIDATED])
        for part, chosen in zip(parts, (rows[~validating], rows[validating]), strict=True):
            part.extend([layer_data(data, chosen)] if len(chosen) else [])
    training, validation = (joined(part, 0) for part in parts)
    options = OPTIONS[network] if options is None else options
    return fit_precompressed_law(
        path, network, training, validation, split_fault(layers, faults)[1], options,
        predicted=MICROSTRUCTURE[microstructure], progress=progress,
    )  # fmt: skip


def _learned_rows(layers, faults):
    """Rows of both data sets that train a law of a fault."""
    import numpy as np

    from femnn.multiscale.grains.fault_commands import is_unseen

    unseen = np.isin(layers.path, layers.path[unseen_rows(layers)])
    # where a layer comes apart, pressure and sliding say little
    return np.flatnonzero(~unseen & (layers.kind != "opening")), np.flatnonzero(~is_unseen(faults.path))


def _is_tested(layers):
    """Rows (n,) of bool of the shipped layers that test a law of a fault: unseen paths of all samples."""
    import numpy as np

    return np.isin(layers.path, layers.path[unseen_rows(layers)]) & (layers.kind != "opening")


@click.command("rve", short_help="Train the law of a homogenised cell.")
@click.option("--data", type=click.Path(path_type=Path, dir_okay=False), required=True, help="Its responses (.npz).")
@_options_of_both
def rve(data, **settings):
    """Train the law of an RVE on its responses: a file of separations and tractions, one row a path."""
    from femnn.io.path_data import PathDataSet

    settings["epochs"] = settings["epochs"] or CELL_EPOCHS
    _train("cohesive-rve", PathDataSet.load(data), **settings)


def _train(name, data, network, microstructure, given, out, seed, epochs, quiet, as_json):
    from femnn.cohesive.training.fit_precompressed import OPTIONS

    options = replace(OPTIONS[network], seed=seed, **({} if epochs is None else {"epochs": epochs}))
    path = out / f"{name}{'' if network == 'isotropic' else f'-{network}'}"
    if microstructure != "none":
        path = path.with_name(f"{path.name}-{microstructure}{'-given' if given else ''}")
    progress = not (quiet or as_json)
    _, figures = train_layer(path, data, network, microstructure, given, options, progress)
    show(path.with_name(f"{path.name}.safetensors"), figures, quiet, as_json, first="paths")
