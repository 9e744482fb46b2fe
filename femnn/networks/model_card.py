"""Model cards: what a weight file says about its networks. Every training writes its card and its files from here."""

import tempfile
from dataclasses import asdict
from pathlib import Path

from femnn.exceptions import ParameterError


def training_record(options, histories, parameters=None):
    """The field ``training`` of a card, without the time it took: the same training writes the same card.

    Parameters
    ----------
    options : femnn.networks.training.TrainingOptions
    histories
        :class:`femnn.networks.training.History` of each network by its name.
    parameters
        Numbers of trained parameters by the names of the networks, if the card is to have them.
    """
    return {
        **asdict(options),
        **({} if parameters is None else {"parameters": parameters}),
        "history": {name: str(history).split(" in ")[0] for name, history in histories.items()},
        "validation_loss": {name: history.best_loss for name, history in histories.items()},
    }


def element_card(kind, what, recipe, options, histories, counts, *, trained_range=None, **more):
    """The card of networks for the elements of a recipe, without the figures of their test.

    Parameters
    ----------
    kind, what
        Kind of the weight file, and its networks in prose.
    recipe : femnn.networks.element_data.Recipe
    options, histories
        As for `training_record`.
    counts
        Numbers of elements by their use.
    trained_range
        Replaces the words of `range_text`.
    more
        Further fields that the user of the networks needs.
    """
    return {
        "kind": kind,
        "what": what,
        **more,
        "trained_range": range_text(recipe) if trained_range is None else trained_range,
        "data": {**asdict(recipe), **counts},
        "training": training_record(options, histories),
    }


def range_text(recipe):
    """The elements of a recipe in words, for cards and printed rules."""
    families = f"; {recipe.families:.0%} of all cells as meshers make them" if recipe.families else ""
    files = ", ".join(Path(path).name for path, _ in recipe.meshes)
    meshes = f"; up to half of them cells of {files}" if files else ""
    return (
        f"unit cubes, vertex coordinates moved by U(-d, d), d in {list(recipe.displacement)}, stretched up to "
        f"{recipe.aspect:g}, sheared up to {recipe.shear:g}, {recipe.structured:.0%} with few twists, "
        f"{recipe.rotated:.0%} turned{families}{meshes}; Poisson's ratio {recipe.poisson:g}"
    )


def save_tested(path, card, save, test):
    """Save networks with the figures of their test; returns the path of the weight file and the figures.

    The file is tested as users load it, and stands at its place only once its figures are known. ``save(path,
    card=card)`` writes a weight file and returns its path; ``test(path)`` gives the figures for the card.
    """
    with tempfile.TemporaryDirectory() as folder:
        figures = test(save(Path(folder) / "untested", card=card | {"test": {}}))
    return save(path, card=card | {"test": figures}), figures


def require_enough(elements, fewest, purpose, useful):
    """Raise ParameterError if there are fewer than ``fewest`` elements for a ``purpose``; ``useful`` says how many."""
    if elements < fewest:
        raise ParameterError(
            f"{elements} elements are too few to {purpose}: at least {fewest} are needed, {useful} make a network of "
            "use"
        )
