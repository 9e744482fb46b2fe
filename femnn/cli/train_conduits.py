"""``femnn train conduits``: what the layer behind the law of a cell conducts, from the same responses."""

from pathlib import Path

import click
import numpy as np

from femnn.cli.training_figures import show

# Of the paths of a data set, the last one in so many tests.
_TESTED = 6


def train_conduits(path, data):
    """Make the weight file ``path`` of a cell's conduits; returns them and their test figures.

    Five sixths of the paths are fitted, the last sixth is left unseen.

    Parameters
    ----------
    path
        Of the weight file, without suffix.
    data : femnn.io.path_data.PathDataSet
        Responses of a cell (:func:`femnn.multiscale.rve.simulate_paths`).

    Raises
    ------
    DatasetError
        If there are too few paths, or the data are of no cell.
    """
    from femnn.cohesive.conducting import CellConduits
    from femnn.exceptions import DatasetError

    order = np.argsort(data.path, kind="stable")
    kept = len(order) // _TESTED
    if not kept:
        raise DatasetError(
            f"the data set has {len(order)} paths, but one in {_TESTED} is left for the test; simulate at least "
            f"{_TESTED}"
        )
    fitted, unseen = order[:-kept], order[-kept:]
    conduits = CellConduits.fit(data, fitted)
    # so many digits as errors of a sample have
    errors, spreads = (
        {name: float(f"{value:.3g}") for name, value in figures.items()}
        for figures in (conduits.errors(data, unseen), conduits.spreads(data, unseen))
    )
    first, last = (int(data.path[row]) for row in unseen[[0, -1]])
    conduits.card["data"]["kept for the test"] = f"paths {first} to {last}"
    name = "ln permeability_along"
    conduits.card["test"] = {"unseen": errors, f"spread of {name}": spreads[name]}
    conduits.save(path)
    return conduits, {"unseen": errors, "their spread": spreads}


@click.command("conduits", short_help="Train what the law of a cell conducts.")
@click.option("--data", type=click.Path(path_type=Path, dir_okay=False), required=True, help="Its responses (.npz).")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"), show_default=True,
    help="Folder of the weight file.",
)  # fmt: skip
@click.option("--quiet", is_flag=True, help="No table.")
@click.option("--json", "as_json", is_flag=True, help="Print the test figures as JSON.")
def command(data, out, quiet, as_json):
    """Train porosity and permeabilities of a cell on the responses (`femnn simulate rve`) that its law learned.

    The figures are root mean square errors on paths that were left unseen, and how much these vary.

    Use the weights as femnn.cohesive.CellConduits.load("PATH"), beside the law in a ConductingCohesive.
    """
    from femnn.io.path_data import PathDataSet

    path = out / "cell-conduits"
    _, figures = train_conduits(path, PathDataSet.load(data))
    show(path.with_name(f"{path.name}.safetensors"), figures, quiet, as_json, first="paths")
