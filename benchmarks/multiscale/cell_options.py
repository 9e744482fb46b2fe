"""Options of the benchmarks that shear cells of several sizes and seeds."""

from pathlib import Path

import click


def cell_options(name, *, law, seeds, sizes, known, shear, points):
    """Decorator with the options of the benchmark ``name`` and their defaults; ``known`` sizes there are."""
    positive = click.FloatRange(min=0.0, min_open=True)
    options = [
        click.option("--law", default=law, show_default=True, metavar="NAME_OR_FILE", help="Law of the cracks."),
        click.option("--seeds", type=click.IntRange(min=2), default=seeds, show_default=True,
                     help="Patterns of each size."),
        click.option("--sizes", type=click.IntRange(2, known), default=sizes, show_default=True,
                     help="Of the sizes, smallest first."),
        click.option("--shear", type=positive, default=shear, show_default=True,
                     help="Shear of each row of blocks, in the separation scale of the law."),
        click.option("--points", type=click.IntRange(min=10), default=points, show_default=True,
                     help="Points of the path."),
        click.option("--out", type=click.Path(path_type=Path), default=Path("results") / name, show_default=True),
        click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON."),
    ]  # fmt: skip

    def decorate(function):
        for option in reversed(options):
            function = option(function)
        return function

    return decorate
