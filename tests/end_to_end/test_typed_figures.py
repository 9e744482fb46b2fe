"""Measured numbers on the pages come from commands: what is typed by hand is listed with its source."""

import json

import pytest
from support.locations import ROOT
from support.pages import DOCS, pages, typed_figures

LISTED = json.loads((DOCS / "tools" / "typed_figures.json").read_text(encoding="utf-8"))

# The index of names is made from docstrings, which the tests of examples run.
TYPED = [page for page in pages() if DOCS / "api" not in page.parents]


@pytest.mark.parametrize("page", TYPED, ids=lambda page: str(page.relative_to(ROOT)))
def test_figures_outside_generated_tables_are_listed_with_their_source(page):
    name = page.relative_to(ROOT).as_posix()
    found, listed = set(typed_figures(page)), set(LISTED.get(name, ()))
    assert found - listed == set(), (
        f"{name} has numbers that no command puts there; let one print them between markers, or list them with their "
        "source in docs/tools/typed_figures.json"
    )
    assert listed - found == set(), f"{name} has these no more; take them from docs/tools/typed_figures.json"


def test_sources_are_there():
    assert set(LISTED) <= {page.relative_to(ROOT).as_posix() for page in TYPED}
    for figures in LISTED.values():
        for source in figures.values():
            path = source.partition("::")[0].partition(",")[0]
            if path.startswith(("docs/", "tests/", "benchmarks/")):
                assert (ROOT / path).is_file(), source
            if "::" in source:
                assert f"def {source.partition('::')[2]}(" in (ROOT / path).read_text(encoding="utf-8"), source


def test_figures_are_found_in_prose_and_tables_but_not_in_what_is_printed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "It takes 34\n  s of time, is 6 to 8 times as fast and leaves 0.83 of the Error, a share of 29 %.\n"
        "| a cell | 2.5 GB | 13 µs |\n"
        "<!-- demo:begin -->\nprinted: 12 %\n<!-- demo:end -->\n"
        "```\ncode: 50 %\n```\n`option=3 %`, 2×2×2 points, 31 × 31 cells, page 5, 10.5 sold, 7 samples\n",
        encoding="utf-8",
    )
    assert typed_figures(page) == [
        "It takes 34 s",
        "of time, is 6 to 8 times",
        "fast and leaves 0.83 of the",
        "a share of 29 %",
        "a cell | 2.5 GB",
        "| 13 µs",
    ]
