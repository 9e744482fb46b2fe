"""What a benchmark has to reach and what it measured: a row for each target, and the rows as a table."""

from femnn.io import markdown


def target(what, limit, measured):
    """A row: ``what`` is measured, the ``limit`` that it has to keep ("≥ 5.5", or "–" for none), and the value."""
    return {"what": what, "target": limit, "measured": measured}


def targets_table(rows):
    """The rows in markdown."""
    return markdown(rows, {key: (key, "{}") for key in ("what", "target", "measured")})
