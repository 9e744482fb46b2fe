"""How a benchmark leaves its figures: a report and the bare figures as files, one of them on the screen."""

import json

import click

from femnn.io import atomic_write


def publish(out, name, figures, report, as_json):
    """Write ``report`` to NAME.md and ``figures`` to NAME.json in the folder ``out``; print one of the two."""
    for file, text in ((f"{name}.md", report), (f"{name}.json", json.dumps(figures, indent=1))):
        with atomic_write(out / file) as temporary:
            temporary.write_text(text, encoding="utf-8")
    click.echo(json.dumps(figures) if as_json else report)
