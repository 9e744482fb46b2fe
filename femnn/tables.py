"""Tables in markdown, for README and terminal alike."""


def markdown(rows, columns):
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
