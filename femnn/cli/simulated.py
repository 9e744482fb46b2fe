"""Report at the end of ``femnn simulate``: the data set that it made, and the paths that it had to leave out."""

import json

import click

from femnn.cli import BAD_NEWS


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
