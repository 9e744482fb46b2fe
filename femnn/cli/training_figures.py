"""Report at the end of ``femnn train``: where the weights are, and their test figures."""

import json

import click

from femnn.io.tables import aligned


def show(path, test, quiet, as_json, first="measure, tolerance"):
    """Print where the weights are and, unless quiet, their test figures; ``first`` heads the rows of a table."""
    if as_json:
        click.echo(json.dumps({"weights": str(path), "test": test}, indent=2))
        return
    if not quiet:
        click.echo(_table(test, first))
    click.echo(f"weights: {path}")


def _table(test, first):
    """Test figures as text: one line each, or one row for each tolerance."""
    if not any(isinstance(value, dict) for value in test.values()):
        width = max(map(len, test), default=0)
        return "\n".join(f"{_words(name):<{width}}  {_number(value)}" for name, value in test.items())
    columns = list(dict.fromkeys(column for figures in test.values() for column in figures))
    heads = [first, *map(_words, columns)]
    rows = [
        [name, *(_number(figures[column]) if column in figures else "-" for column in columns)]
        for name, figures in test.items()
    ]
    return aligned([heads, *rows], left=0)


def _number(value):
    """Four digits after the point, or what these would not show."""
    return f"{value:.4f}" if value == 0.0 or abs(value) >= 1e-3 else f"{value:.1e}"


def _words(name):
    return name.replace("_", " ")
