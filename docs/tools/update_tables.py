"""Put the tables and pictures of fresh runs of the demo and the benchmarks into ``docs/results``.

An excerpt of the demo's table goes into the README. Run before: ``femnn demo --out results/demo``, then the benchmarks
that the pages name. Names of tables as arguments, ``demo assembly`` for instance, take these alone.
"""

import re
import shutil
import sys
from pathlib import Path

from femnn.io.atomic import atomic_write

ROOT = Path(__file__).resolve().parents[2]
#: The page of each table that does not have one of its own, and the run that writes a table with another name.
PAGES = {
    "faults-calls": "faults",
    "fault-convergence": "fault-wells",
    "adaptive-speed": "adaptive-gauss",
    "adaptive-cells": "adaptive-gauss",
    "cell-assembly": "assembly",
    "scaling-model": "scaling",
    "first-call": "solution",
    "solution-large": "solution",
    "dynamic-beam": "reduced",
    "streaming": "reduced",
    "sparse-decoder": "burgers",
    "two-scales-bonded": "two-scales",
    "two-scales-large": "two-scales",
    "cell-size-3d": "cell-size",
    "cell-law": "cell-size",
    "porous-ranks": "porous-3d",
}
RUNS = {"scaling-model": "scaling"}
TABLES = (
    "demo", "meshes", "error-reduction", "adaptive-gauss", "adaptive-speed", "adaptive-cells", "promise",
    "better-rules", "families", "trained-range", "pareto", "solution-error", "locking", "reduced", "dynamic-beam",
    "streaming", "burgers", "sparse-decoder", "two-scales", "two-scales-bonded", "two-scales-large", "flows",
    "pendulum", "identification", "assembly", "cell-assembly", "validation", "solution", "solution-large", "cohesive",
    "grain-laws", "multiscale", "porous-3d", "porous-ranks", "slip-front", "fault-wells", "fault-convergence", "labels",
    "scaling", "scaling-model", "training", "faults", "faults-calls", "mutants", "grains-law", "cell-size",
    "cell-size-3d", "cell-law", "first-call",
)  # fmt: skip


#: Columns of the demo's table that the README shows.
EXCERPT = ("rule", "integration points", "above tol 0.001", "displacement error")


def main(names):
    """Replace what stands between the markers of the tables, and copy the pictures of their pages."""
    for name in names:
        folder = ROOT / "results" / RUNS.get(name, name)
        page = ROOT / "docs" / "results" / f"{PAGES.get(name, name)}.md"
        # what ran with other options has the name of the page, in a folder of its own, and no picture
        file = folder / f"{name}.md"
        is_whole = file.exists()
        lines = (file if is_whole else folder / page.name).read_text(encoding="utf-8").splitlines()
        # titles and pictures have their own places in the text
        body = "\n".join(line for line in lines if not line.startswith(("# ", "!["))).strip()
        text = put(name, body, page)
        for picture in re.findall(r"\(\.\./images/(.*?)\)", text):
            if is_whole and (folder / picture).exists():
                shutil.copy(folder / picture, ROOT / "docs" / "images" / picture)
        if name == "demo":
            put("demo-excerpt", excerpt(body), ROOT / "README.md")


def put(name, body, page):
    """Put ``body`` between the markers ``name`` of a page; the text of the page."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    text, count = pattern.subn(lambda _: f"{begin}\n{body}\n{end}", page.read_text(encoding="utf-8"))
    if count != 1:
        raise SystemExit(f"{page.name} has {count} pairs of markers for {name}; it needs one")
    with atomic_write(page) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return text


def excerpt(body):
    """The columns of :data:`EXCERPT` of the table in ``body``, and what it says about the adaptive rule."""
    rows = [line.strip("|").split("|") for line in body.splitlines() if line.startswith("|")]
    columns = [[cell.strip() for cell in rows[0]].index(name) for name in EXCERPT]
    table = "\n".join("|" + "|".join(row[k] for k in columns) + "|" for row in rows)
    said = next(line for line in body.splitlines() if line.startswith("AdaptiveGauss("))
    return f"{table}\n\n{said}"


if __name__ == "__main__":
    main(sys.argv[1:] or TABLES)
