"""Pages of the documentation, run as they stand."""

import re

from support.locations import ROOT

DOCS = ROOT / "docs"


def run_page(name, folder, monkeypatch):
    """Run the Python of a page from top to bottom; what it defines."""
    text = (DOCS / name).read_text(encoding="utf-8")
    monkeypatch.chdir(folder)
    defined = {"__name__": "page"}
    for found in re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        # lines of the page, so that errors say where
        padding = "\n" * text[: found.start(1)].count("\n")
        exec(compile(padding + found[1], DOCS / name, "exec"), defined)
    return defined
