"""Names in docstrings, and those that code takes out of modules: each exists, so that nothing uses what was renamed."""

import ast
import importlib
import importlib.util
import inspect
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "femnn").rglob("*.py"))
# what runs for minutes or with other programs, and is run by few tests
PROGRAMS = sorted(
    path for folder in ("benchmarks", "examples", "docs", "meshes") for path in (ROOT / folder).rglob("*.py")
)
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


@pytest.mark.parametrize("source", [*SOURCES, *PROGRAMS], ids=lambda path: "/".join(path.parts[-2:]))
def test_names_that_code_takes_out_of_modules_exist(source):
    unknown = unknown_names(ast.parse(source.read_text(encoding="utf-8")))
    assert not unknown, f"{source.relative_to(ROOT)} takes {', '.join(unknown)}, which nothing defines"


def unknown_names(tree):
    """Dotted names of femnn and its benchmarks that a source imports, or reads from modules, and that do not exist."""
    names, modules = set(), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and is_ours(node.module):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
            modules |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            modules |= {alias.asname: alias.name for alias in node.names if alias.asname and is_ours(alias.name)}
            modules |= {alias.name: alias.name for alias in node.names if alias.name in ("femnn", "benchmarks")}
    modules = {alias: name for alias, name in modules.items() if is_module(name)}
    # a name that is given another meaning somewhere in the source is left out
    given = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    given |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id not in given:
            module = modules.get(node.value.id)
            if module:
                names.add(f"{module}.{node.attr}")
    return sorted(name for name in names if not exists(name))


def is_ours(name):
    return name is not None and name.partition(".")[0] in ("femnn", "benchmarks")


def is_module(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def test_names_that_nothing_defines_are_found():
    source = """
import femnn
from femnn.quadrature.corrected import train as recipes
from femnn.networks import nothing_of_this_name

def use(data):
    from femnn.io import atomic_write
    return recipes.converged(data), recipes.no_more(data), femnn.AdaptiveGauss, femnn.never_was, atomic_write
"""
    found = unknown_names(ast.parse(source))
    assert found == [
        "femnn.networks.nothing_of_this_name",
        "femnn.never_was",
        "femnn.quadrature.corrected.train.no_more",
    ]
