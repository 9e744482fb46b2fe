"""Names that docstrings refer to: each exists, so that no reader is sent to what was renamed."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

SOURCES = sorted((Path(__file__).parents[1] / "femnn").rglob("*.py"))
_ROLE = re.compile(r":(?:class|func|meth|mod|data|attr|exc):`~?(femnn[\w.]*)`")


def exists(name):
    """True if a dotted name can be imported, or is an attribute of what can."""
    parts = name.split(".")
    for k in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:k]))
        except ModuleNotFoundError:
            continue
        for part in parts[k:]:
            # attributes that instances have are annotated in the class
            if part in getattr(found, "__annotations__", {}) or f"self.{part}" in _source(found):
                return True
            found = getattr(found, part, None)
            if found is None:
                return False
        return True
    return False


def _source(found):
    return inspect.getsource(found) if inspect.isclass(found) else ""


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: "/".join(path.parts[-2:]))
def test_names_in_docstrings_exist(source):
    names = set(_ROLE.findall(source.read_text(encoding="utf-8")))
    unknown = sorted(name for name in names if not exists(name))
    assert not unknown, f"{source.name} refers to {', '.join(unknown)}"
