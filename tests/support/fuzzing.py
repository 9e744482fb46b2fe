"""Calls of femnn's public names with arguments of all kinds: each must end in an answer or in an error of femnn.

A call takes valid values for all parameters that it needs, by the name of the parameter, and puts something strange in
the place of one or two. What a call draws depends on the seed and on its number alone.
"""

import contextlib
import importlib
import inspect
import io
import os
import pkgutil
import random
import signal
import tempfile
import threading
import warnings
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import skfem
from scipy.sparse import csr_matrix, eye_array

import femnn
from femnn import reservoir
from femnn.checks import brief
from femnn.exceptions import FemnnError
from femnn.interfaces import EmbeddedCrack, EmbeddedElements, EmbeddedProblem, InterfaceBases
from femnn.multiscale.rve import RVE, parallel_cracks
from femnn.networks import Architecture
from femnn.parallel import DistributedMesh
from support import fault_problems, porous_problems
from support.damage import drawn
from support.one_rank import ALONE

#: Seconds that a call may take; what takes longer is counted, and no failure.
LIMIT = 5.0

# The command is tried by kills and interrupts, and by the tests of its options.
_OTHER_ROOMS = ("femnn.cli",)

# Names that need MPI or a kernel to compile, and those that only hand on what scikit-fem does.
_LEFT_OUT = (
    "together",
    "world",
    "cohesive_force",
    "cohesive_stiffness",
    "ConstitutiveLaw",
    "njit",
)

# Parameters that start processes: they keep their valid values, and have them always.
_PROCESSES = ("workers", "scheduler")


class TimeLimit(BaseException):
    """A call took too long; no Exception, so that nothing in between catches it."""


def fuzz(calls, seed, *, limit=LIMIT):
    """Make ``calls`` calls; counts by outcome ("answer", the error's name, "slow"), and failures as texts.

    A failure is an exception that is neither an error of femnn nor a MemoryError, or an answer to complex, masked or
    dated numbers or text in the place of numbers.
    """
    return run(range(calls), seed, limit=limit)


def run(numbers, seed, *, limit=LIMIT):
    """The calls of these ``numbers``, as :func:`fuzz`."""
    counts, failures = Counter(), []
    with _aside():
        for number in numbers:
            outcome, failure = call(number, seed, limit)
            counts[outcome] += 1
            if failure:
                failures.append(failure)
    return counts, failures


@contextlib.contextmanager
def _aside():
    """In a folder of its own, without warnings."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="fuzzing-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(here)


def call(number, seed, limit=LIMIT):
    """Outcome of one call, and what is wrong with it, or None."""
    draws = random.Random(f"{seed} {number}")
    names = sorted(callables())
    name = names[draws.randrange(len(names))]
    function = callables()[name]()
    if function is None:
        return "nothing to call", None
    arguments, is_silent = _arguments(name, function, draws)
    return _outcome(f"call {number} of seed {seed}: {name}", function, arguments, is_silent, limit)


def in_turn(part, parts, *, limit=LIMIT):
    """Every strange value in the place of each argument in turn, the others valid: every ``parts``-th argument.

    Counts and failures as of :func:`fuzz`. Once a call with an argument is slow, no more values are tried for it.
    """
    places = [(name, parameter) for name in sorted(callables()) for parameter in _places(name)]
    counts, failures = Counter(), []
    with _aside():
        for name, parameter in places[part::parts]:
            function, valid = callables()[name](), _valid(name, parameter.name)
            kinds = [*strange(), *(_spoils(valid[0]()) if valid else [])]
            for kind, value in kinds:
                arguments = least_arguments(name, function) | {parameter.name: value()}
                is_silent = kind == "silent" and _holds_numbers(valid) and _must_be_refused(arguments[parameter.name])
                outcome, failure = _outcome(name, function, arguments, is_silent, limit)
                counts[outcome] += 1
                if failure:
                    failures.append(failure)
                if outcome == "slow":
                    break
    return counts, failures


def _places(name):
    """Parameters of what is called by this name that any value is put into."""
    function = callables()[name]()
    parameters = inspect.signature(function).parameters.values() if function is not None else ()
    return [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and p.name not in _PROCESSES]


def least_arguments(name, function):
    """Valid arguments where a call needs them, None where none is known."""
    arguments = {}
    for p in inspect.signature(function).parameters.values():
        if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and (p.default is p.empty or p.name in _PROCESSES):
            valid = _valid(name, p.name)
            arguments[p.name] = valid[0]() if valid else None
    return arguments


def _outcome(called, function, arguments, is_silent, limit):
    """Outcome of a call, and what is wrong with it, or None."""
    described = f"{called}({', '.join(f'{key}={brief(value)}' for key, value in arguments.items())})"
    try:
        with _limited(limit), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            _make(function, arguments)
    except (FemnnError, MemoryError) as error:
        return type(error).__name__, None
    except TimeLimit:
        return "slow", None
    except Exception as error:
        return "foreign exception", f"{described} raises {type(error).__name__}: {str(error)[:200]}"
    if is_silent and not _is_record(function):
        return "silent conversion", f"{described} answers"
    return "answer", None


def _make(function, arguments):
    positional, keywords = [], {}
    for key, value in arguments.items():
        parameter = inspect.signature(function).parameters[key]
        if parameter.kind is parameter.POSITIONAL_ONLY:
            positional.append(value)
        else:
            keywords[key] = value
    answer = function(*positional, **keywords)
    if inspect.isgenerator(answer):
        for _ in zip(answer, range(3), strict=False):
            pass
    return answer


def _is_record(function):
    """Classes that hold what they are given."""
    return inspect.isclass(function) and (hasattr(function, "__dataclass_fields__") or hasattr(function, "_fields"))


@contextlib.contextmanager
def _limited(seconds):
    """TimeLimit after so many seconds, where signals can be had."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_, frame):
        # neither Numba recovers from a compilation that is broken off, nor a package from its import
        while frame is not None:
            if "numba" in frame.f_code.co_filename or "importlib" in frame.f_code.co_filename:
                signal.setitimer(signal.ITIMER_REAL, 1.0)
                return
            frame = frame.f_back
        raise TimeLimit

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def _arguments(name, function, draws):
    """Arguments by name, and whether one of them holds numbers that must not be taken for real ones."""
    parameters = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    arguments = {}
    for parameter in parameters:
        valid = _valid(name, parameter.name)
        needed = parameter.default is parameter.empty
        if valid and (needed or parameter.name in _PROCESSES or draws.random() < 0.4):
            arguments[parameter.name] = draws.choice(valid)()
        elif needed:
            arguments[parameter.name] = draws.choice(strange())[1]()
    is_silent = False
    open_ones = [parameter for parameter in parameters if parameter.name not in _PROCESSES]
    for _ in range(draws.choice((0, 1, 1, 1, 1, 2))):
        if open_ones:
            parameter = draws.choice(open_ones)
            valid = _valid(name, parameter.name)
            kind, value = draws.choice(strange())
            if valid and draws.random() < 0.25:
                kind, value = draws.choice(_spoils(valid[0]()))
            is_silent = bool(is_silent or (kind == "silent" and _holds_numbers(valid)))
            arguments[parameter.name] = value()
    # only if what was put in last is still there
    held = any(_must_be_refused(value) and _valid(name, key) for key, value in arguments.items())
    return {p.name: arguments[p.name] for p in parameters if p.name in arguments}, is_silent and held


def _holds_numbers(valid):
    return bool(valid) and isinstance(valid[0](), int | float | np.ndarray) and not isinstance(valid[0](), bool)


def _must_be_refused(value):
    if isinstance(value, np.ma.MaskedArray):
        return True
    if isinstance(value, list | tuple):
        return any(isinstance(part, complex | np.ma.MaskedArray) for part in value)
    return isinstance(value, complex) or (isinstance(value, np.ndarray) and value.dtype.kind in "cMUm")


def _spoils(value):
    """Kinds and makers of a valid value that was made strange, still of its shape perhaps."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iuf" or not value.size:
        return [("other", lambda: [value])]
    return [
        ("silent", lambda: value * (1 + 1j)),
        ("silent", lambda: np.ma.masked_array(value, mask=True)),
        ("silent", lambda: np.full(value.shape, np.datetime64("2020-01-01"))),
        ("silent", lambda: value.astype(str)),
        ("other", lambda: value.astype(np.float32)),
        ("other", lambda: value.astype(object)),
        ("other", lambda: value.tolist()),
        ("other", lambda: np.where(np.arange(value.size).reshape(value.shape) == 0, np.nan, value)),
        ("other", lambda: np.asfortranarray(value)),
        ("other", lambda: value[..., :-1]),
        ("other", lambda: value[:1]),
        ("other", lambda: value[None]),
        ("other", lambda: value.ravel()),
        ("other", lambda: -value),
        ("other", lambda: value[:0]),
    ]


class _Hostile:
    """Raises whatever is asked of it."""

    def __array__(self, *_, **__):
        raise RuntimeError("no array")

    def __repr__(self):
        raise RuntimeError("no repr")


@cache
def strange():
    """Pairs of a kind and a maker of values that hardly any parameter takes."""
    values = [
        None,
        True,
        0,
        1,
        -1,
        2,
        3,
        10**30,
        2**63,
        0.0,
        0.5,
        1.0,
        -2.5,
        1e308,
        5e-324,
        float("nan"),
        float("inf"),
        "",
        "x",
        "a" * 300,
        "\0",
        "warn",
        b"x",
        [],
        [1, 2],
        [[1, 2], [3]],
        [None],
        ["x", 1.0],
        (),
        (1.0, 2.0, 3.0),
        {},
        {"a": 1},
        {1, 2},
        object(),
        object,
        len,
        Ellipsis,
        slice(3),
        range(3),
        Decimal("0.1"),
        Fraction(1, 3),
        Path("missing"),
        Path("/"),
        os.devnull,
        np.float32(0.3),
        np.int8(3),
        np.uint64(2**63),
        np.bool_(True),
        np.array(3),
        np.array(0.25),
        np.array([1, 2, 3]),
        np.zeros(0),
        np.zeros(3),
        np.zeros((2, 3)),
        np.eye(3),
        np.eye(6),
        np.ones((2, 8, 3)),
        np.zeros((0, 8, 3)),
        np.full(3, np.nan),
        np.zeros((3, 3), dtype=bool),
        np.array([None, 1]),
        np.array(["a", "b"]),
        np.array([10**30, 1], dtype=object),
        np.zeros(2, dtype="f4,f4"),
        np.broadcast_to(1.0, (4, 8, 3)),
        np.ones((6, 3))[::2],
        eye_array(3).tocsr(),
        csr_matrix((3, 3)),
        csr_matrix(np.eye(24)),
        skfem.MeshTri(),
        skfem.MeshQuad(),
        skfem.MeshHex(),
        skfem.MeshHex2(),
        skfem.ElementHex1(),
        skfem.ElementTriP1(),
        skfem.ElementVector(skfem.ElementHex1()),
        _Hostile(),
    ]
    silent = [
        1j,
        np.complex128(1 + 1j),
        np.array([1.0, 2.0 + 1j]),
        [1j, 2.0, 3.0],
        np.ma.masked_array([1.0, 2.0, 3.0], mask=True),
        [np.ma.masked_array([1.0, 2.0], mask=True)],
        [np.ma.masked, 1.0, 2.0],
        np.datetime64("2020-01-01"),
        np.full(8, np.datetime64("2020-01-01")),
        np.timedelta64(3, "s"),
        "3",
        ["1", "2", "3"],
        np.array(["1", "2", "3"]),
        np.array(1j),
    ]
    pairs = [("other", value) for value in values] + [("silent", value) for value in silent]
    pairs += [("other", value) for value in _foreign()]
    return [(kind, lambda value=value: value) for kind, value in pairs]


def _foreign():
    """Values of other packages, where they are installed."""
    found = []
    with contextlib.suppress(ImportError):
        import torch

        found += [torch.ones(3), torch.ones(3, requires_grad=True), torch.ones(2, 8, 3, dtype=torch.float64)]
    with contextlib.suppress(ImportError):
        import pandas

        found += [pandas.Series([1.0, 2.0, 3.0]), pandas.DataFrame(np.eye(3)), pandas.Series([1, None, "x"])]
    return found


@cache
def callables():
    """Makers of what can be called, by name: public functions and classes, and public methods of things of ours."""
    found, seen = {}, set()
    rooms = ["femnn", *(m.name for m in pkgutil.walk_packages(femnn.__path__, "femnn.") if m.ispkg)]
    for room in rooms:
        if room.startswith(_OTHER_ROOMS):
            continue
        module = importlib.import_module(room)
        for name in module.__all__:
            value = getattr(module, name)
            if not callable(value) or name in _LEFT_OUT or id(value) in seen or _is_error(value) or _is_abstract(value):
                continue
            seen.add(id(value))
            found[f"{room}.{name}"] = lambda value=value: value
    for name, thing in things().items():
        for method in sorted(dir(type(thing()))):
            value = inspect.getattr_static(type(thing()), method)
            if method.startswith("_") or isinstance(value, property) or not _is_ours(value) or method in _LEFT_OUT:
                continue
            found[f"{name}.{method}"] = lambda thing=thing, method=method: getattr(thing(), method)
    return found


def _is_error(value):
    return inspect.isclass(value) and issubclass(value, BaseException)


def _is_abstract(value):
    return inspect.isabstract(value) or getattr(value, "_is_protocol", False)


def _is_ours(value):
    function = getattr(value, "__func__", value)
    return inspect.isfunction(function) and function.__module__.startswith("femnn")


def _valid(name, parameter):
    own = f"{name.rpartition('.')[2]}.{parameter}"
    return valid().get(own) or valid().get(parameter) or []


@cache
def _parts():
    """What valid arguments are made of."""
    mesh = skfem.MeshHex().refined(1)
    mesh = mesh.with_boundaries({"middle": lambda x: np.abs(x[0] - 0.5) < 1e-9}, boundaries_only=False)
    rule = femnn.GaussLegendre(2)
    K = femnn.assemble_elasticity(mesh, rule, 1.0, 0.3)
    law = femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0)
    interface = femnn.Interface.split(mesh, "middle")
    elements = femnn.InterfaceElements(interface)
    body = femnn.assemble_elasticity(interface.mesh, rule, 1e9, 0.3)
    return {
        "mesh": mesh,
        "rule": rule,
        "K": K,
        "law": law,
        "interface": interface,
        "elements": elements,
        "x": femnn.hexahedra(mesh),
        "pattern": femnn.Pattern.of(mesh),
        "n": K.shape[0],
        "problem": femnn.CohesiveProblem(body, [(elements, law)]),
        "fixed": np.flatnonzero(np.repeat(mesh.p[0] == 0, 3)),
    }


def _hooke(strain, state, parameters, stress, tangent, new_state):
    for i in range(6):
        stress[i] = parameters[0] * strain[i]
        for j in range(6):
            tangent[i, j] = parameters[0] if i == j else 0.0


def _embedded():
    quads = skfem.MeshQuad().refined(2)
    return EmbeddedElements(EmbeddedCrack.line(quads, (0.0, 0.4), (1.0, 0.4)), 1e9, 0.3)


# Makers of objects whose methods are called, beside the parts.
_MAKERS = {
    "point_law": lambda: femnn.PointLaw(_hooke, (1.0,), initial_state=[0.0]),
    "solid": lambda: femnn.Solid(_parts()["mesh"], _parts()["rule"], _thing("point_law")),
    "recurrent": lambda: femnn.RecurrentCohesive.load("default"),
    "grains": lambda: femnn.RecurrentCohesive.load("grains"),
    "exponential": lambda: femnn.ExponentialCohesive(80e6, 100e6, 969.0, 1719.0),
    "porous": lambda: porous_problems.column(porous_problems.single(), n=4),
    "faulted": lambda: fault_problems.reservoir(),
    "conditions": lambda: reservoir.Conditions(),
    "medium": lambda: porous_problems.single(),
    "dual": lambda: porous_problems.dual(),
    "column": lambda: reservoir.ConsolidatingColumn(porous_problems.single(), 10.0, 1e6, terms=20),
    "slab": lambda: reservoir.MandelSlab(porous_problems.single(), 10.0, 2.0, 1e6, terms=20),
    "adaptive": lambda: femnn.AdaptiveGauss(),
    "corrected": lambda: femnn.CorrectedGauss(),
    "moved": lambda: femnn.MovedGauss(),
    "hourglass": lambda: femnn.HourglassCorrection(),
    "distributed": lambda: DistributedMesh.of(_parts()["mesh"], comm=ALONE),
    "cell": lambda: parallel_cracks(1e-2, 1e-2),
    "rve": lambda: RVE(_thing("cell"), _parts()["law"], 200e9, 0.3),
    "embedded": _embedded,
    "embedded_problem": lambda: EmbeddedProblem([(_thing("embedded"), _parts()["law"])], 1e9, 0.3),
    "bases": lambda: InterfaceBases(_parts()["interface"], skfem.ElementVector(skfem.ElementHex1())),
}


@cache
def _thing(name):
    """An object whose methods are called."""
    return _parts()[name] if name in _parts() else _MAKERS[name]()


def things():
    """Makers of the objects whose methods are called, by the first part of the names of these."""
    names = ("rule", "law", "interface", "elements", "pattern", "problem", *(set(_MAKERS) - {"cell", "conditions"}))
    return {name: lambda name=name: _thing(name) for name in names}


@cache
def valid():
    """Makers of values that are right, by the name of the parameter, or by that of function and parameter."""
    part, thing = _parts(), _thing
    n = part["n"]
    x = part["x"]
    values = {
        "mesh": [part["mesh"]],
        "rule": [part["rule"]],
        "hexahedra": [x],
        "vertices": [x],
        "element": [skfem.ElementHex1()],
        "bases.element": [skfem.ElementVector(skfem.ElementHex1()), skfem.ElementHex2()],
        "young": [1.0, np.ones(8)],
        "poisson": [0.3],
        "stiffness": [np.eye(6)],
        "elements.stiffness": [],
        "force": [1.0],
        "stress": [np.ones(6)],
        "diffusivity": [1.0, np.eye(3)],
        "density": [2.0],
        "components": [1, 3],
        "pattern": [part["pattern"]],
        "on_folded": ["raise", "skip"],
        "K": [part["K"]],
        "f": [np.ones(n)],
        "load": [np.ones(n)],
        "fixed": [part["fixed"]],
        "values": [0.0],
        "problem": [thing("solid")],
        "rtol": [1e-6],
        "atol": [1e-9],
        "max_iterations": [5],
        "min_step": [0.5],
        "steps": [2],
        "first": [0.1],
        "method": ["cg", "splu"],
        "points": [part["mesh"]],
        "shape_functions.points": [np.full((3, 4), 0.5)],
        "progress": [False],
        "shape_gradients.points": [np.full((3, 4), 0.5)],
        "jacobian.points": [np.full((3, 4), 0.5)],
        "jacobian_determinant.points": [np.full((3, 4), 0.5)],
        "trilinear_map.points": [np.full((3, 4), 0.5)],
        "elasticity_stiffness.points": [np.full((3, 1), 0.5)],
        "laplace_stiffness.points": [np.full((3, 1), 0.5)],
        "mass_matrix.points": [np.full((3, 1), 0.5)],
        "weights": ["quadrature-weights"],
        "W": [np.ones(1)],
        "elasticity_stiffness.weights": [np.ones(1)],
        "laplace_stiffness.weights": [np.ones(1)],
        "mass_matrix.weights": [np.ones(1)],
        "X": [np.full((3, 1), 0.5)],
        "tol": [1e-3],
        "confidence": [0.95, None],
        "anisotropic": [True],
        "measure": ["entries"],
        "form": ["laplace"],
        "verify": [True],
        "patch": [True],
        "CorrectedGauss.points": [2],
        "CorrectedGauss.patch": [False],
        "n": [3],
        "displacement": [0.1],
        "seed": [1],
        "aspect": [2.0],
        "shear": [0.1],
        "structured": [0.5],
        "rotated": [0.5],
        "degree": [1, 2],
        "reference": [4],
        "normal_strength": [80e6],
        "shear_strength": [100e6],
        "normal_toughness": [969.0],
        "shear_toughness": [1719.0],
        "contact_stiffness": [1e12],
        "friction": [0.4],
        "exponent": [2.0],
        "BilinearCohesive.stiffness": [1e14],
        "separation": [np.full((2, 3), 1e-6)],
        "state": [part["law"].initial_state(2)],
        "law": [part["law"]],
        "paths": [np.zeros((2, 3, 3))],
        "factor": [2],
        "scale": [1e-5],
        "kind": ["cyclic"],
        "closing": [0.02],
        "interface": [part["interface"]],
        "InterfaceElements.interface": [part["interface"]],
        "facets": ["middle"],
        "dim": [3],
        "u": [np.zeros(part["elements"].ndof)],
        "traction": [np.zeros((part["elements"].points, 3))],
        "tangent": [np.zeros((part["elements"].points, 3, 3))],
        "nx": [2],
        "ny": [2],
        "nz": [1],
        "thickness": [0.5],
        "distortion": [0.1],
        "layers": [2],
        "epsilon_y": [0.5],
        "epsilon_z": [0.5],
        "kershaw.n": [6],
        "mirrored_cube.n": [4],
        "errors": [np.full((2, 4), 1e-4)],
        "tolerance": [1e-3],
        "references": [np.ones((2, 24, 24))],
        "stiffness_error.stiffness": [np.ones((2, 24, 24))],
        "most": [3],
        "lmbda": [1.0],
        "mu": [1.0],
        "medium": [thing("medium")],
        "conditions": [thing("conditions")],
        "permeability": [1e-14],
        "porosity": [0.2],
        "dt": [1.0],
        "t": [1.0],
        "length": [10.0],
        "half_width": [10.0],
        "half_height": [2.0],
        "z": [np.linspace(0, 5, 3)],
        "x": [np.linspace(0, 5, 3)],
        "y": [np.linspace(0, 1, 3)],
        "terms": [20],
        "ConsolidatingColumn.load": [1e6],
        "MandelSlab.force": [1e6],
        "theta": [1.0],
        "diameter": [1e-4],
        "width": [1e-2],
        "height": [1e-2],
        "count": [2],
        "refine": [1],
        "angle": [60.0],
        "band": [0.4],
        "aperture": [1e-4],
        "costs": [np.ones(8)],
        "part": [np.zeros(8, dtype=int)],
        "ranks": [1],
        "increment": [0.1],
        "path": [Path("file.bin")],
        "features": [np.random.default_rng(0).normal(size=(5, 4))],
        "epoch": [3],
        "elements": [part["elements"]],
        "points_law": [thing("point_law")],
        "Solid.law": [thing("point_law")],
        "function": [_hooke],
        "parameters": [np.array([1.0])],
        "initial_state": [np.zeros(1)],
        "kinematics": ["small"],
        "start": [0.0],
        "line.start": [(0.0, 0.4)],
        "line.end": [(1.0, 0.4)],
        "point": [(0.5, 0.5, 0.4)],
        "normal": [(0.0, 0.0, 1.0)],
        "minus": ["middle"],
        "plus": ["middle"],
        "control": ["length"],
        "n_u": [3],
        "cell": [thing("cell")],
        "rve": [thing("rve")],
        "name": ["default"],
        "name_or_path": ["default"],
        "warp": [np.zeros((2, 3, 4))],
        "distance": [1.0],
        "number": [2],
        "draw_path.points": [20],
        "constant_load.points": [20],
        "crack": [0.04],
        "workers": [0],
        "scheduler": [None],
        "retries": [0],
        "run_tasks.function": [drawn],
        "tasks": [{"a": {"seed": 1}}],
        "folder": [Path("folder")],
        "need": [100],
        "what": ["an array"],
        "comm": [ALONE],
        "DistributedMesh.mesh": [part["mesh"]],
        "distributed": [thing("distributed")],
        "fixed_dofs": [np.arange(6)],
        "rank": [0],
        "coarse": [part["mesh"]],
        "subdivided.n": [2],
        "subdivided_points.n": [2],
        "subdivided_points.cells": [np.arange(3)],
        "matrix": [part["K"]],
        "prescribed": [np.arange(3)],
        "equal": [[np.array([4, 5])]],
        "Constraint.n": [10],
        "vector": [np.zeros(3 * part["mesh"].nvertices)],
        "contributions": [np.zeros(3 * part["mesh"].nvertices)],
        "a": [np.zeros(3 * part["mesh"].nvertices)],
        "b": [np.zeros(3 * part["mesh"].nvertices)],
        "data": [part["K"].data],
        "epochs": [2],
        "batch_size": [8],
        "learning_rate": [1e-3],
        "weight_decay": [0.0],
        "momentum": [0.9],
        "gradient_clip": [1.0],
        "patience": [3],
        "threads": [1],
        "optimizer": ["adam"],
        "schedule": ["cosine"],
        "grains": [500],
        "preparation_friction": [0.1],
        "restitution": [0.5],
        "damping": [0.2],
        "diameter_ratio": [1.5],
        "slab": [1.0],
        "speed": [0.01],
        "time_step": [0.1],
        "macro_fraction": [0.3],
        "micro_permeability": [1e-16],
        "exchange": [1e-12],
        "viscosity": [1e-3],
        "fluid_bulk": [2e9],
        "grain_bulk": [40e9],
        "biot": [0.9],
        "spacing": [0.1],
        "opening": [1.0],
        "dilation": [0.1],
        "Fault.history": [np.zeros((2, 3))],
        "Fault.pressure": ["mean"],
        "cores": [None],
        "jumps": [np.zeros(thing("embedded").n_jumps if hasattr(thing("embedded"), "n_jumps") else 3)],
        "strain": [np.zeros((4, 6))],
        "PointLaw.state": [np.zeros((4, 1))],
        "update.state": [],
        "inputs": [3],
        "outputs": [2],
        "hidden": [(8, 8)],
        "activation": ["tanh"],
        "architecture": [Architecture(3, 2, (4,), "tanh")],
        "low": [np.zeros(3)],
        "high": [np.ones(3)],
        "rigid": [[]],
        "body_force": [None],
        "on_unmet": ["raise", "warn"],
        "on_outside": ["warn"],
        "interfaces": [[(part["elements"], part["law"])]],
        "local_meshes.interfaces": [[part["interface"]]],
        "rows": [[["a", "b"], ["c", "d"]]],
        "block_network.rows": [2],
        "parallel_cracks.rows": [6],
        "columns": [6],
        "heights": [[0.5]],
        "jitter": [0.1],
        "reservoir": [thing("faulted")],
        "old": [thing("faulted").initial_state()],
        "new": [thing("faulted").initial_state()],
        "fault": [thing("faulted").fault if hasattr(thing("faulted"), "fault") else None],
        "step": [lambda state, dt: state],
        "times": [[1.0, 2.0]],
    }
    return {name: [lambda value=value: value for value in of] for name, of in values.items()}
