"""Pages of the documentation: their code, run as it stands, and their links."""

import re

from support.locations import ROOT

DOCS = ROOT / "docs"

_CODE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)

# What a command has printed, and words of a program.
_PRINTED = re.compile(r"<!-- ([\w-]+):begin -->.*?<!-- \1:end -->", re.DOTALL)
_WORDS_OF_PROGRAMS = re.compile(r"`[^`]*`")

# A number, or two with "to" between them, and what makes it a measurement: a share, a ratio, a time, a size in memory.
_NUMBER = r"(?<![\w.^-])\d[\d,]*\.?\d*(?:e-?\d+)?"
_UNITS = r"(?:%|s|ms|µs|ns|min|minutes?|seconds?|h|hours?|MB|GB|times|×(?!\s?\d)|of (?:the|their|its|all))"
_FIGURE = re.compile(rf"((?:\S+\s+){{0,3}})({_NUMBER}(?: to {_NUMBER})?\s*{_UNITS})(?!\w)")


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


def formulas(page):
    """The formulas of a page, between dollar signs, code left out."""
    text = _WORDS_OF_PROGRAMS.sub("", _CODE.sub("", page.read_text(encoding="utf-8")))
    return [first or second for first, second in re.findall(r"\$\$(.+?)\$\$|(?<!\$)\$([^$\n]+)\$", text, re.DOTALL)]


def typed_figures(page):
    """Numbers with a unit or ratio that a page has outside its generated tables, each with the words before it."""
    text = page.read_text(encoding="utf-8")
    for pattern in (_PRINTED, _CODE, _WORDS_OF_PROGRAMS):
        text = pattern.sub(" ", text)
    return [" ".join("".join(found.groups()).split()) for found in _FIGURE.finditer(text)]
