"""The package as a whole: what imports what, what an import costs, what files look like."""

import ast
import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import femnn

ROOT = Path(femnn.__file__).parent

# The rooms, lowest first: a room imports only from itself and from rooms before it.
ORDER = [
    "exceptions",
    "system",
    "checks",
    "geometry",
    "io",
    "cohesive",
    "integration",
    "plotting",
    "solvers/linear",
    "tasks",
    "networks",
    "quadrature",
    "solvers/nonlinear",
    "reservoir",
    "assembly",
    "cohesive/recurrent",
    "interfaces",
    "quadrature/adaptive",
    "assembly/hourglass",
    "cohesive/training",
    "multiscale/rve",
    "quadrature/corrected",
    "quadrature/moved",
    "reservoir/fault",
    "solids",
    "multiscale/grains",
    "parallel",
    "validation",
    "cli",
]
# What uses every room.
ABOVE = {"__init__"}


def modules():
    return sorted(path for path in ROOT.rglob("*.py") if "__pycache__" not in path.parts)


def imported(path):
    """Names of the modules that a file imports, at any depth."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relative to itself; write femnn. in full"
            yield node.module


def room(name):
    """Room of femnn that a module or file belongs to, the innermost one; None outside femnn."""
    parts = name.removesuffix(".py").replace("/", ".").split(".")
    if parts.pop(0) != "femnn" or not parts:
        return None
    while parts and "/".join(parts) not in ORDER:
        if len(parts) == 1:
            return parts[0]
        parts.pop()
    return "/".join(parts)


def test_rooms_import_only_from_rooms_below():
    for path in modules():
        file = path.relative_to(ROOT.parent).as_posix()
        if path.name == "__init__.py" or room(file) in ABOVE:
            continue
        allowed = ORDER[: ORDER.index(room(file)) + 1]
        rooms = {room(name) for name in imported(path)} - {None}
        assert rooms <= set(allowed), f"{file} imports {sorted(rooms - set(allowed))}"


def test_rooms_keep_out_what_they_never_do():
    for path in (ROOT / "learning").glob("*.py"):
        assert not any(name.startswith("skfem") for name in imported(path)), f"{path.name} imports scikit-fem"
    for folder in ("geometry", "integration", "quadrature", "assembly"):
        for path in (ROOT / folder).glob("*.py"):
            assert not any(name.split(".")[0] == "torch" for name in imported(path)), (
                f"{folder}/{path.name} loads torch"
            )


def test_import_loads_neither_torch_nor_matplotlib():
    program = (
        "import sys, femnn; femnn.AdaptiveGauss(); print(sorted({'torch', 'matplotlib', 'gmsh'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_tour_of_the_package_names_everything_but_errors():
    for name in femnn.__all__:
        if not hasattr(femnn.exceptions, name):
            assert f"``{name}``" in femnn.__doc__, f"the docstring of femnn does not name {name}"


@pytest.mark.parametrize("name", ["geometry", "assembly", "solids", "reservoir", "reservoir.fault"])
def test_rooms_export_what_they_document(name):
    module = importlib.import_module(f"femnn.{name}")
    assert module.__all__ == sorted(module.__all__)
    for exported in module.__all__:
        value = getattr(module, exported)
        assert not callable(value) or value.__doc__, f"femnn.{name}.{exported} has no docstring"


def test_public_names_exist_and_are_documented():
    for name in femnn.__all__:
        assert getattr(femnn, name).__doc__, f"femnn.{name} has no docstring"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_documented_short_and_their_examples_run(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    if text:
        assert ast.get_docstring(ast.parse(text)), "a file says what it is"
    name = ".".join(("femnn", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    if ">>>" in text:
        failed, tried = doctest.testmod(importlib.import_module(name))
        assert tried > 0
        assert failed == 0
