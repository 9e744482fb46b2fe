"""``femnn train``: make the weight files behind rules and laws, again or for other elements and materials."""

import functools
from dataclasses import replace
from pathlib import Path

import click

from femnn.cli import train_cohesive, train_conduits, train_layer
from femnn.cli.training_figures import show
from femnn.io import weight_files

# What trains imports torch: only the functions below do so, that `femnn train --help` need not wait for it.

# Random weight vectors per element where the regressor is to learn from them; the published search has 1e6, at a
# hundred times the price.
_TRIALS = 10_000

#: Where the folder of `make weights` has the shipped weights whose trainings do not give them their shipped name.
TRAINED_AS = {
    "cohesive-default": "cohesive-minimal-state",
    "cohesive-exponential": "exponential/cohesive-minimal-state",
}


def _options_of_all(function):
    """Options that every kind of training has."""
    for option in reversed(
        (
            click.option(
                "--out",
                type=click.Path(path_type=Path, file_okay=False),
                default=Path("runs"),
                show_default=True,
                help="Folder of data set, checkpoints and weight files.",
            ),
            click.option("--elements", type=click.IntRange(min=1), help="Elements to draw.  [default: as shipped]"),
            click.option(
                "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of data and network."
            ),
            click.option("--epochs", type=click.IntRange(min=1), help="Passes over the data.  [default: as shipped]"),
            click.option("--quiet", is_flag=True, help="No progress bars, no table."),
            click.option("--json", "as_json", is_flag=True, help="Print the test figures as JSON."),
        )
    ):
        function = option(function)
    return function


def _options_of_labelling(function):
    """Options of a training whose labels take a while; the command gets them as keywords of ``run_tasks``."""

    @click.option(
        "--workers",
        type=click.IntRange(min=0),
        default=0,
        show_default="this process",
        help="Processes, one thread each, that label the elements; the labels are the same, bit by bit.",
    )
    @click.option("--scheduler", metavar="ADDRESS", help="Label on the Dask cluster of this scheduler.")
    @functools.wraps(function)
    def labelling(workers, scheduler, **options):
        if workers and scheduler is not None:
            raise click.BadParameter("the cluster has its own workers; leave one out", param_hint="--scheduler")
        return function(where={"workers": workers, "scheduler": scheduler}, **options)

    return labelling


@click.group("train")
def command():
    """Train the networks behind rules and laws: draw, label, train, calibrate, test, save.

    An interrupted run goes on where it stopped when the same command is given again. What --out holds must have been
    made with the same settings.
    """


@command.command(short_help="Train the number of points of AdaptiveGauss.")
@_options_of_all
@_options_of_labelling
@click.option(
    "--tolerance",
    type=float,
    help="Train the published classifier for this one tolerance of the Error, instead of the networks for all.",
)
@click.option(
    "--mesh",
    "meshes",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Learn from the cells of this mesh file too, calibrate and test on others of its cells; may be given again.",
)
def points(out, elements, seed, epochs, quiet, as_json, tolerance, meshes, where):
    """Train AdaptiveGauss: how many integration points an element needs.

    With --mesh the card has the figures of cells of these meshes that were held out beside those of all.

    Use the weights as femnn.AdaptiveGauss(weights="PATH"), a classifier as
    femnn.AdaptiveGauss(TOLERANCE, confidence=None, weights="PATH").
    """
    from femnn.networks.element_data import mesh_sources
    from femnn.quadrature.adaptive import train as training_points
    from femnn.quadrature.corrected import train as training

    progress = not (quiet or as_json)
    if meshes and tolerance is not None:
        raise click.BadParameter("the published classifier learns from cubes alone; leave one out", param_hint="--mesh")
    if tolerance is None:
        recipe, options = _settings(
            training_points.DIRECTIONAL_RECIPE, training_points.DIRECTIONAL_OPTIONS, elements, seed, epochs
        )
        if meshes:
            recipe = replace(recipe, meshes=mesh_sources(meshes))
        path, test = training_points.train_points(out, recipe, options, progress=progress, **where)
    else:
        _check_tolerance(tolerance)
        settings = _settings(training.WEIGHTS_RECIPE, training.CLASSIFIER_OPTIONS, elements, seed, epochs)
        path, test = training.train_points_classifier(out, tolerance, *settings, progress=progress, **where)
    show(path, test, quiet, as_json)


@command.command(short_help="Train the weights of CorrectedGauss.")
@_options_of_all
@_options_of_labelling
@click.option(
    "--target",
    type=click.Choice(["error", "optimal", "trials"]),
    default="error",
    show_default=True,
    help="Learn from R_error itself, from the optimal weights, or from the best of random trials.",
)
@click.option(
    "--trials",
    type=click.IntRange(min=0),
    help=f"Random weight vectors per element.  [default: {_TRIALS} with --target trials, else 0]",
)
@click.option(
    "--mesh",
    "meshes",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Learn from the cells of this mesh file too, up to half of the elements; may be given again.",
)
def weights(out, elements, seed, epochs, quiet, as_json, target, trials, meshes, where):
    """Train CorrectedGauss: which weights an element's 2x2x2 Gauss points should have.

    Use the weights as femnn.CorrectedGauss(weights="PATH"). With --mesh the card has the figures of cells of these
    meshes that were held out beside those of all.
    """
    from femnn.networks.element_data import mesh_sources
    from femnn.quadrature.corrected import train as training

    if target == "trials" and trials == 0:
        raise click.BadParameter("learning from trials needs some; give at least 1", param_hint="--trials")
    trials = trials if trials is not None else (_TRIALS if target == "trials" else 0)
    recipe, options = _settings(training.WEIGHTS_RECIPE, training.REGRESSOR_OPTIONS, elements, seed, epochs)
    path, test = training.train_weights(
        out,
        replace(recipe, trials=trials, meshes=mesh_sources(meshes)),
        options,
        target,
        progress=not (quiet or as_json),
        **where,
    )
    show(path, test, quiet, as_json)


@command.command("patch-weights", short_help="Train the weights of CorrectedGauss(3, patch=True).")
@_options_of_all
def patch_weights(out, elements, seed, epochs, quiet, as_json):
    """Train CorrectedGauss(points=3, patch=True): which weights an element's 3x3x3 Gauss points should have.

    Use the weights as femnn.CorrectedGauss(3, patch=True, weights="PATH").
    """
    from femnn.quadrature.corrected import train_patch as training_patch

    settings = _settings(training_patch.PATCH_RECIPE, training_patch.PATCH_OPTIONS, elements, seed, epochs)
    path, test = training_patch.train_patch(out, *settings, progress=not (quiet or as_json))
    show(path, test, quiet, as_json)


@command.command(short_help="Train HourglassCorrection.")
@_options_of_all
@_options_of_labelling
def hourglass(out, elements, seed, epochs, quiet, as_json, where):
    """Train HourglassCorrection: what an element's 2x2x2 Gauss points miss of a linear stiffness.

    Use the weights as femnn.HourglassCorrection(weights="PATH").
    """
    from femnn.assembly.hourglass import train as training_hourglass

    settings = _settings(
        training_hourglass.HOURGLASS_RECIPE, training_hourglass.HOURGLASS_OPTIONS, elements, seed, epochs
    )
    path, test = training_hourglass.train_correction(out, *settings, progress=not (quiet or as_json), **where)
    show(path, test, quiet, as_json)


@command.command(short_help="Train the element of formulation='learned'.")
@_options_of_all
def element(out, elements, seed, epochs, quiet, as_json):
    """Train the stiffness of an element's twists: bending and twisting of distorted cells, their answers known exactly.

    Use the weights as femnn.assemble_elasticity(..., formulation=LearnedTwists("PATH")) with LearnedTwists of
    femnn.assembly.formulations.learned.
    """
    from femnn.assembly.formulations import train as training_element

    settings = _settings(training_element.ELEMENT_RECIPE, training_element.ELEMENT_OPTIONS, elements, seed, epochs)
    path, test = training_element.train_element(out, *settings, progress=not (quiet or as_json))
    show(path, test, quiet, as_json)


@command.command(short_help="Train the points and weights of MovedGauss.")
@_options_of_all
@_options_of_labelling
@click.option("--patch", is_flag=True, help="Train for MovedGauss(patch=True), which keeps the patch test.")
def moved(out, elements, seed, epochs, quiet, as_json, patch, where):
    """Train MovedGauss: where the eight points of an element should lie, and which weights they should have.

    Use the weights as femnn.MovedGauss(weights="PATH"), with patch=True if it was trained so.
    """
    from femnn.quadrature.moved import train as training_moved

    settings = _settings(
        training_moved.MOVED_RECIPE[patch], training_moved.MOVED_OPTIONS[patch], elements, seed, epochs
    )
    path, test = training_moved.train_moved_points(out, *settings, patch, progress=not (quiet or as_json), **where)
    show(path, test, quiet, as_json)


@command.command(short_help="Calibrate AdaptiveGauss for quadrilaterals and curved hexahedra.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    show_default=True,
    help="Folder of results of single kinds of cells and of the weight file.",
)
@click.option("--cells", type=click.IntRange(min=100), help="Cells of each set and family.  [default: as shipped]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the cells.")
@click.option("--quiet", is_flag=True, help="No progress bar, no table.")
@click.option("--json", "as_json", is_flag=True, help="Print the test figures as JSON.")
@_options_of_labelling
def series(out, cells, seed, quiet, as_json, where):
    """Calibrate AdaptiveGauss for cells other than straight hexahedra: how far its estimate can be trusted.

    `femnn train install OUT` takes the result as the shipped one.
    """
    from femnn.quadrature.adaptive.train_series import train_series

    path, test = train_series(out, cells, seed, progress=not (quiet or as_json), **where)
    show(path, test, quiet, as_json, first="kind, degree, form, tolerance")


for law in (
    train_cohesive.command,
    train_layer.grains,
    train_layer.fault_grains,
    train_layer.rve,
    train_layer.fault_cell,
):
    command.add_command(law)
command.add_command(train_conduits.command)


@command.command(short_help="Take trained weights as the shipped ones.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
def install(folder):
    """Put the weights that were trained in FOLDER into the package, in place of the shipped ones.

    `make weights` has the trainings. Weights that are not in FOLDER stay as they are.
    """
    names = {name: folder / f"{TRAINED_AS.get(name, name)}.safetensors" for name in weight_files.shipped_weights()}
    trained = {name: path for name, path in names.items() if path.is_file()}
    if not trained:
        raise click.BadParameter(
            f"it has none of {', '.join(path.name for path in names.values())}", param_hint="FOLDER"
        )
    for name, path in trained.items():
        weight_files.install(path, name)
        click.echo(f"{name} from {path}")


def _check_tolerance(tolerance):
    if not 0.0 < tolerance < 1.0:
        raise click.BadParameter(
            f"{tolerance} is not between 0 and 1; give for instance 1e-3", param_hint="--tolerance"
        )


def _settings(recipe, options, elements, seed, epochs):
    """The shipped recipe and options with what the user asked for instead."""
    recipe = replace(recipe, seed=seed, **({} if elements is None else {"elements": elements}))
    return recipe, replace(options, seed=seed, **({} if epochs is None else {"epochs": epochs}))
