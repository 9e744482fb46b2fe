"""Pages of the documentation: their code, run as it stands, and their links."""

import re

from support.locations import ROOT

DOCS = ROOT / "docs"

_CODE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def pages():
    """Every page of the project: those of the documentation, and those that lie beside what they describe."""
    folders = (ROOT, DOCS, ROOT / "examples", ROOT / "meshes")
    return sorted({*DOCS.rglob("*.md"), *(page for folder in folders for page in folder.glob("*.md"))})


def run_page(name, folder, monkeypatch):
    """Run the Python of the page ``docs/NAME`` from top to bottom in a folder; what it defines."""
    page = DOCS / name
    text = page.read_text(encoding="utf-8")
    monkeypatch.chdir(folder)
    defined = {"__name__": "page"}
    for block in re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        # lines of the page, so that errors say where
        padding = "\n" * text[: block.start(1)].count("\n")
        exec(compile(padding + block[1], page, "exec"), defined)
    return defined


def links(page):
    """Targets of the links and pictures of a page, code left out."""
    return re.findall(r"\]\(([^)\s]+)\)", _CODE.sub("", page.read_text(encoding="utf-8")))


def anchors(page):
    """The anchors of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.*)$", _CODE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
