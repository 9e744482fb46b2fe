"""Options and report of ``femnn simulate``: the data set that it made, and the paths that it had to leave out."""

import json

import click

from femnn.cli import BAD_NEWS


def options_of_runs(function):
    """Options of all commands that simulate: where the paths run, and how their end is told."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print the card as JSON."),
        click.option("--quiet", is_flag=True, help="No progress bar, no figures."),
        click.option("--scheduler", metavar="ADDRESS", help="Address of a Dask scheduler whose workers run the paths."),
        click.option("--workers", type=click.IntRange(min=0), help="Processes here.  [default: one a core]"),
    ):
        function = option(function)
    return function


def tell(ctx, file, data, failures, quiet, as_json):
    """Print the checks of the data set ``file``, or its card as JSON; exit with BAD_NEWS if paths are missing."""
    if as_json:
        click.echo(json.dumps(data.about, indent=1))
    elif not quiet:
        rows, points = data.separation.shape[:2]
        click.echo(f"{file}: {rows} paths of {points} points")
        width = max(map(len, data.about["checks"]))
        for name, value in data.about["checks"].items():
            click.echo(f"  {name:<{width}} {value:.3g}")
    for key, message in failures.items():
        click.echo(f"femnn: {key} failed twice and is left out: {message}", err=True)
    if failures:
        ctx.exit(BAD_NEWS)
