"""The package as a whole: what imports what, what an import costs, what is exported, annotated and documented."""

import ast
import dataclasses
import doctest
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Protocol

import pytest
from support.one_rank import ALONE

import femnn

ROOT = Path(femnn.__file__).parent

# The rooms, lowest first: a room imports only from itself and from rooms before it.
ORDER = [
    # foundations, which know neither elements nor networks
    "exceptions",
    "checks",
    "system",
    "io",
    # tools, which know no feature
    "geometry",
    "mesh_files",
    "integration",
    "tasks",
    "networks",
    "solvers/linear",
    "solvers/nonlinear",
    "plotting",
    # features: from elements to matrices
    "quadrature",
    "quadrature/adaptive",
    "quadrature/corrected",
    "quadrature/moved",
    "assembly",
    "assembly/hourglass",
    "solids",
    "fields",
    "exchange",
    "reduced",
    "reduced/dynamics",
    "identification",
    # features: interfaces, and the scales that their laws come from and go to
    "cohesive",
    "cohesive/recurrent",
    "cohesive/training",
    "interfaces",
    "multiscale/grains",
    "multiscale/rve",
    "multiscale/fe2",
    "reservoir",
    "reservoir/fault",
    # what puts features together: on ranks, as problems with known answers, as commands
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
        if isinstance(node, ast.Import | ast.ImportFrom):
            assert getattr(node, "level", 0) == 0, f"{path} imports relative to itself; write femnn. in full"
            yield from named(node)


def named(node):
    """Modules that an import statement names."""
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module]


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


def test_no_room_imports_from_a_layer_above_its_own():
    layers = layers_of_the_architecture()
    assert set(layers) == {place.rpartition("/")[2] for place in ORDER}
    for path in modules():
        file = path.relative_to(ROOT.parent).as_posix()
        if path.name == "__init__.py" or room(file) in ABOVE:
            continue
        level = layers[room(file).rpartition("/")[2]]
        rooms = {room(name) for name in imported(path)} - {None}
        above = {name for name in rooms if layers[name.rpartition("/")[2]] < level}
        assert not above, f"{file} imports {sorted(above)}"


def layers_of_the_architecture():
    """Layer of each room in the picture of docs/architecture.md, 0 for the highest."""
    picture = (ROOT.parent / "docs" / "architecture.md").read_text(encoding="utf-8").split("```")[1]
    names = {place.rpartition("/")[2] for place in ORDER}
    return {
        word: number
        for number, layer in enumerate(re.split("─{9,}", picture))
        for word in re.findall("[a-z_0-9]+", layer)
        if word in names
    }


# Modules that load torch as soon as they are imported: what trains, and the networks that it trains.
TRAINING = re.compile(r"train\w*|fit\w*|torch_\w+|\w+_torch|as_module")


def test_only_training_loads_torch():
    for path in modules():
        statements = ast.parse(path.read_text(encoding="utf-8")).body
        # imports inside functions are run when these are called
        names = [name for node in statements if isinstance(node, ast.Import | ast.ImportFrom) for name in named(node)]
        loads_torch = any(name.partition(".")[0] == "torch" for name in names)
        assert not loads_torch or TRAINING.fullmatch(path.stem), f"{path.relative_to(ROOT)} loads torch"


def test_networks_know_nothing_of_finite_elements():
    for path in sorted((ROOT / "networks").glob("*.py")):
        assert not any(name.startswith("skfem") for name in imported(path)), f"{path.name} imports scikit-fem"


def test_kernels_are_compiled_by_the_decorator_of_femnn():
    """That of Numba fails where nothing can be cached, and in forked children and threads."""
    for path in modules():
        if path != ROOT / "system" / "compile.py":
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"from numba import .*\bnjit\b|numba\.njit", text), (
                f"{path.relative_to(ROOT)} takes njit from numba; take that of femnn.system.compile"
            )


def test_parallel_kernels_are_called_from_python_only():
    """Called by another kernel, one would start threads without asking whether it may."""
    for path in modules():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        kernels = [(node, decorators(node)) for node in ast.walk(tree) if is_kernel(node)]
        parallel = {node.name for node, text in kernels if "parallel=True" in text}
        for node, _ in kernels:
            called = {
                call.func.id for call in ast.walk(node) if isinstance(call, ast.Call) and hasattr(call.func, "id")
            }
            assert not called & parallel, f"{path.relative_to(ROOT)}: {node.name} calls {called & parallel}"


def decorators(node):
    return " ".join(map(ast.unparse, node.decorator_list))


def is_kernel(node):
    return isinstance(node, ast.FunctionDef) and "njit(" in decorators(node)


def test_import_loads_nothing_that_is_slow_and_rarely_needed():
    program = (
        "import sys, femnn; femnn.AdaptiveGauss(); "
        "print(sorted({'torch', 'matplotlib', 'gmsh', 'pyamg', 'scipy.spatial', 'scipy.special'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def packages():
    """Names of femnn and of its packages."""
    folders = [path.parent.relative_to(ROOT).as_posix() for path in modules() if path.name == "__init__.py"]
    return [f"femnn.{folder}".replace("/", ".").removesuffix("..") for folder in folders]


@pytest.mark.parametrize("name", packages())
def test_packages_say_what_they_are_for_and_export_their_names(name):
    package = importlib.import_module(name)
    assert package.__doc__
    assert sorted(set(package.__all__)) == sorted(package.__all__)
    for exported in package.__all__:
        assert hasattr(package, exported), f"{name}.{exported} does not exist"
        assert not exported.startswith("_")


def test_the_tour_of_the_package_names_everything_but_errors():
    for name in femnn.__all__:
        if not hasattr(femnn.exceptions, name):
            assert f"``{name}``" in femnn.__doc__, f"the docstring of femnn does not name {name}"


def incomplete(thing):
    """What a function or class lacks: docstrings and annotations of itself and of its public methods."""
    if inspect.isclass(thing):
        members = {f".{name}": member for name, member in vars(thing).items() if not name.startswith("_")}
        # those of dataclasses and protocols are generated
        if "__init__" in vars(thing) and not dataclasses.is_dataclass(thing) and Protocol not in thing.__mro__:
            members[""] = thing.__init__
        functions = {name: unwrapped(member) for name, member in members.items()}
        documented = {"": thing, **{name: getattr(thing, name[1:]) for name in functions if name}}
    else:
        functions, documented = {"": thing}, {"": thing}
    for name, function in functions.items():
        if inspect.isfunction(function):
            parameters = [*inspect.signature(function).parameters.values()]
            bare = [p.name for p in parameters if p.annotation is p.empty and p.name not in ("self", "cls")]
            bare += ["return"] * ("return" not in function.__annotations__)
            yield from (f"{name} has no annotation of {which}" for which in bare)
            if not inspect.getdoc(documented[name]):
                yield f"{name} has no docstring"
    if inspect.isclass(thing) and not thing.__doc__:
        yield " has no docstring"


def unwrapped(member):
    """The function behind a method, property, static or class method."""
    member = getattr(member, "fget", None) or getattr(member, "func", None) or member
    return inspect.unwrap(getattr(member, "__func__", member))


@pytest.mark.parametrize("name", packages())
def test_public_names_are_annotated_and_documented(name):
    package, lacking = importlib.import_module(name), []
    for exported in package.__all__:
        thing = getattr(package, exported)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            lacking += [f"{exported}{what}" for what in incomplete(thing)]
    assert not lacking


def test_types_are_shipped():
    assert (ROOT / "py.typed").is_file()
    # hatchling takes all of a package that git does not ignore
    settings = (ROOT.parent / "pyproject.toml").read_text(encoding="utf-8")
    assert 'packages = ["femnn"]' in settings
    done = subprocess.run(["git", "check-ignore", "femnn/py.typed"], cwd=ROOT.parent, capture_output=True)
    assert done.returncode != 0


def dotted(path):
    """Name of the module in a file."""
    return ".".join(("femnn", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


@pytest.mark.parametrize("name", [*packages(), "femnn.exceptions"])
def test_every_public_name_has_an_example(name):
    """Classes by their own docstring or that of a method; numbers, tuples and forms of scikit-fem have none."""
    package = importlib.import_module(name)
    names = getattr(package, "__all__", [n for n, thing in vars(package).items() if inspect.isclass(thing)])
    lacking = []
    for exported in names:
        thing = inspect.unwrap(getattr(package, exported))
        if inspect.isclass(thing) or inspect.isfunction(thing):
            members = [unwrapped(member) for member in vars(thing).values()] if inspect.isclass(thing) else []
            docs = [thing.__doc__, *(member.__doc__ for member in members if inspect.isfunction(member))]
            lacking += [] if any(">>>" in (text or "") for text in docs) else [exported]
    assert not lacking


# Examples that start LAMMPS, follow a flow or simulate a film; the slow test runs them.
SLOW = {
    "femnn.identification.recording.simulate_pendulum",
    "femnn.multiscale.grains.layer.prepare",
    "femnn.multiscale.grains.layer.run_path",
    "femnn.multiscale.grains.layer.sample_grains",
    "femnn.multiscale.grains.run.simulate_grains",
    "femnn.validation.cylinder_wake.simulate_wake",
}
# Rooms whose examples need PETSc: `make test-mpi` runs them, on one, two and three ranks.
ON_RANKS = {f"femnn.parallel.{name}" for name in ("faulted", "matrix", "porous", "porous_output", "problem", "solver")}


def run_examples(module, wanted, folder, monkeypatch):
    """Run the examples of a module whose names are ``wanted`` in a folder; their number."""
    tests = [own for own in doctest.DocTestFinder().find(importlib.import_module(module)) if wanted(own.name)]
    monkeypatch.chdir(folder)
    # what is on ranks, on the one that needs no MPI
    for place in ("femnn.parallel", "femnn.parallel.ranks"):
        monkeypatch.setattr(importlib.import_module(place), "world", lambda: ALONE)
    runner = doctest.DocTestRunner()
    for own in tests:
        runner.run(own)
    assert runner.summarize(verbose=False).failed == 0
    return sum(len(own.examples) for own in tests)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_documented_and_its_examples_run(path, tmp_path, monkeypatch):
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), "a file says what it is"
    if ">>>" in text and dotted(path) not in ON_RANKS:
        ran = run_examples(dotted(path), lambda name: name not in SLOW, tmp_path, monkeypatch)
        assert ran or any(name.startswith(dotted(path)) for name in SLOW)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({name.rpartition(".")[0] for name in SLOW}))
def test_examples_that_take_long_run(name, tmp_path, monkeypatch):
    assert run_examples(name, SLOW.__contains__, tmp_path, monkeypatch) > 0
