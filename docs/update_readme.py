"""Put the tables and pictures of a fresh run of the demo and the benchmarks into the README and the documentation.

Run before: ``femnn demo --out results/demo``, then ``femnn bench`` with error-reduction, meshes, adaptive-gauss,
adaptive-speed, better-rules and pareto (these with the paths of the meshes), solution-error, assembly, cohesive,
grain-laws, multiscale, labels and scaling. Names as arguments, ``demo assembly`` for instance, take these alone.
"""

import re
import shutil
import sys
from pathlib import Path

from femnn.io.atomic import atomic_write

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results"
README = ROOT / "README.md"
QUADRATURE, BETTER_RULES, COHESIVE, MULTISCALE, MANY_RUNS, SCALING = (
    ROOT / "docs" / f"{name}.md"
    for name in ("quadrature", "better-rules", "cohesive", "multiscale", "many-runs", "scaling")
)
TABLES = {
    "demo": (RESULTS / "demo" / "demo.md", README),
    "meshes": (RESULTS / "meshes" / "meshes.md", README),
    "assembly": (RESULTS / "assembly" / "assembly.md", README),
    "error-reduction": (RESULTS / "error-reduction" / "error-reduction.md", README),
    "adaptive-gauss": (RESULTS / "adaptive-gauss" / "adaptive-gauss.md", QUADRATURE),
    "adaptive-speed": (RESULTS / "adaptive-speed" / "adaptive-speed.md", QUADRATURE),
    "cohesive": (RESULTS / "cohesive" / "cohesive.md", COHESIVE),
    "grain-laws": (RESULTS / "grain-laws" / "grain-laws.md", COHESIVE),
    "multiscale": (RESULTS / "multiscale" / "multiscale.md", MULTISCALE),
    "labels": (RESULTS / "labels" / "labels.md", MANY_RUNS),
    "better-rules": (RESULTS / "better-rules" / "better-rules.md", BETTER_RULES),
    "pareto": (RESULTS / "pareto" / "pareto.md", BETTER_RULES),
    "scaling": (RESULTS / "scaling" / "scaling.md", SCALING),
    "scaling-model": (RESULTS / "scaling" / "scaling-model.md", SCALING),
    "solution-error": (RESULTS / "solution-error" / "solution-error.md", BETTER_RULES),
}
PICTURES = [
    RESULTS / "adaptive-gauss" / "adaptive-gauss.png",
    RESULTS / "better-rules" / "better-rules.png",
    RESULTS / "pareto" / "pareto.png",
    RESULTS / "solution-error" / "solution-error.png",
    RESULTS / "demo" / "demo.png",
    RESULTS / "assembly" / "assembly.png",
    RESULTS / "grain-laws" / "grain-laws.png",
    RESULTS / "multiscale" / "multiscale.png",
    *(RESULTS / "cohesive" / f"cohesive-{name}.png" for name in ("paths", "beams-bilinear", "beams-exponential")),
    *(RESULTS / "error-reduction" / name for name in ("weights.png", "points.png", "trials.png")),
]


def main(names):
    """Replace what stands between the markers of the tables, and copy their pictures."""
    for name in names:
        source, page = TABLES[name]
        lines = source.read_text(encoding="utf-8").splitlines()
        # titles and pictures have their own places in the text
        body = "\n".join(line for line in lines if not line.startswith(("# ", "!["))).strip()
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        text, found = pattern.subn(lambda _, new=f"{begin}\n{body}\n{end}": new, page.read_text(encoding="utf-8"))
        if found != 1:
            raise SystemExit(f"{page.name} has {found} pairs of markers for {name}; it needs one")
        with atomic_write(page) as temporary:
            temporary.write_text(text, encoding="utf-8")
    for picture in (picture for picture in PICTURES if picture.parent.name in names):
        shutil.copy(picture, ROOT / "docs" / "images" / picture.name)


if __name__ == "__main__":
    main(sys.argv[1:] or list(TABLES))
