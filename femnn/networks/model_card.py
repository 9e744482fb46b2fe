"""What trained networks have in common on their way into a weight file: enough elements, a test, words for the card."""

import tempfile
from pathlib import Path

from femnn.exceptions import ParameterError
from femnn.networks.weights import save_networks


def require_enough(elements, fewest, purpose, useful):
    """Raise ParameterError if there are fewer than ``fewest`` elements for a ``purpose``; ``useful`` says how many."""
    if elements < fewest:
        raise ParameterError(
            f"{elements} elements are too few to {purpose}: at least {fewest} are needed, {useful} make a network of "
            "use"
        )


def save_tested(path, networks, card, tensors, test):
    """Save networks with the figures that ``test`` finds for them; returns the path of the file and the figures.

    ``test`` is called with the path of a weight file: what users load is tested, and no file stands at its place before
    its figures are known.
    """
    with tempfile.TemporaryDirectory() as folder:
        untested = save_networks(Path(folder) / "untested", networks, card | {"test": {}}, tensors)
        card = card | {"test": test(untested)}
    return save_networks(path, networks, card, tensors), card["test"]


def range_text(recipe):
    """The elements of a recipe in words, for cards and printed rules."""
    return (
        f"unit cubes, vertex coordinates moved by U(-d, d), d in {list(recipe.displacement)}, stretched up to "
        f"{recipe.aspect:g}, sheared up to {recipe.shear:g}, {recipe.structured:.0%} with few twists, "
        f"{recipe.rotated:.0%} turned; Poisson's ratio {recipe.poisson:g}"
    )
