"""The page about mesh files: its example runs, and it names every format and keyword that the readers know."""

import re

from support.pages import DOCS, run_page

from femnn.mesh_files.abaqus import _REFUSED
from femnn.mesh_files.formats import OWN
from femnn.mesh_files.through_meshio import FORMATS

PAGE = "how-to/my-mesh.md"
# Formats of meshio that hold no hexahedra, or whose readers are too young to be promised.
_UNNAMED = {".xml", ".ele", ".node", ".h5m", ".hmf", ".cgns", ".ucd"}


def test_example(tmp_path, monkeypatch):
    page = run_page(PAGE, tmp_path, monkeypatch)
    assert page["part"].subdomains["STEEL"].tolist() == [0, 1]
    assert sorted(page["part"].boundaries) == ["FIXED", "LOADED"]


def test_formats_and_keywords():
    text = (DOCS / PAGE).read_text(encoding="utf-8")
    suffixes = set(re.findall(r"`(\.\w+)`", text))
    assert {*OWN, *FORMATS} - _UNNAMED <= suffixes
    for keyword in set(_REFUSED) - {"SUBSTRUCTURE GENERATE", "MATRIX INPUT"}:
        assert f"*{keyword.capitalize()}" in text
