"""Tables as text: in markdown, for README and terminal alike, and plainly aligned."""

from collections.abc import Mapping, Sequence
from typing import Any

from femnn.checks import checked


@checked()
def markdown(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, tuple[str, str]]) -> str:
    """A table of ``rows`` (dicts); ``columns`` maps each key to its heading and format. ``None`` prints as a dash.

    >>> print(markdown([{"n": 8, "t": 0.5}, {"n": 27, "t": None}], {"n": ("points", "{}"), "t": ("s", "{:.2f}")}))
    | points |    s |
    |-------:|-----:|
    |      8 | 0.50 |
    |     27 |    – |
    """
    cells = [[heading for heading, _ in columns.values()]]
    for row in rows:
        cells.append(["–" if row[key] is None else form.format(row[key]) for key, (_, form) in columns.items()])
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    textual = [any(isinstance(row[key], str) for row in rows) for key in columns]
    lines = []
    for line in cells:
        aligned = [
            cell.ljust(width) if text else cell.rjust(width)
            for cell, width, text in zip(line, widths, textual, strict=True)
        ]
        lines.append(f"| {' | '.join(aligned)} |")
    rule = ["-" * (width + 1) + ("-" if text else ":") for width, text in zip(widths, textual, strict=True)]
    lines.insert(1, f"|{'|'.join(rule)}|")
    return "\n".join(lines)


@checked()
def aligned(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Rows of text in columns, the first ``left`` of them to the left, the others to the right.

    >>> print(aligned([["rule", "points"], ["8", "46,304"]]))
    rule  points
    8     46,304
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
