"""Damaged files: random flips, cuts, swaps and insertions, and for each kind of file who writes and who reads it.

``outcome(kind, folder, seed)`` makes one damaged file and says what became of it: ``"refused"`` with an error of the
family, or ``"unharmed"``, because the damage lies where no reader looks. Everything else is a fault, and raised.
"""

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import skfem

import femnn
from femnn.exceptions import DatasetError, FemnnError, MeshError, StateError, WeightFileError
from femnn.io.path_data import PathDataSet
from femnn.io.restart import read_restart, write_restart
from femnn.io.weight_files import load_state, save_state
from femnn.multiscale.grains.sample import guarded, read_facts, write_facts
from femnn.networks import element_data
from femnn.networks.perceptron import Architecture, Perceptron
from femnn.networks.weights import load_networks, save_networks
from femnn.parallel import checkpoint, partition_files
from femnn.parallel.local_mesh import local_meshes
from femnn.reservoir import fault, output
from femnn.tasks.run import load_result, run_tasks, task_name
from support.fault_problems import reservoir
from support.one_rank import ALONE
from support.porous_problems import column, dual

PRETRAINED = Path(femnn.__file__).parent / "data" / "pretrained"


def damaged(path: str | Path, seed: int) -> bytes:
    """The bytes of a file with one to three damages, the same for the same seed; never those that are there."""
    whole, draw = Path(path).read_bytes(), random.Random(seed)
    content = whole
    while content == whole:
        for _ in range(draw.choice([1, 1, 1, 2, 3])):
            content = draw.choice([_flipped, _flipped, _cut, _swapped, _inserted, _removed])(content, draw)
    return content


def _flipped(content, draw):
    """One bit, or one character in the place of another: text has its figures, archives their headers everywhere."""
    if not content:
        return content
    place = draw.randrange(len(content))
    changed = content[place] ^ 1 << draw.randrange(8) if draw.random() < 0.5 else draw.choice(b'0123456789.-e"{}[],: ')
    return content[:place] + bytes([changed]) + content[place + 1 :]


def _cut(content, draw):
    return content[: draw.randrange(len(content) + 1)]


def _swapped(content, draw):
    """Two pieces of equal length in each other's place, as blocks on a disk."""
    length = draw.choice([1, 8, 64, 512])
    if len(content) < 2 * length:
        return content
    a, b = sorted(draw.sample(range(len(content) // length), 2))
    first, second = (content[k * length : (k + 1) * length] for k in (a, b))
    return content[: a * length] + second + content[(a + 1) * length : b * length] + first + content[(b + 1) * length :]


def _inserted(content, draw):
    place = draw.randrange(len(content) + 1)
    piece = draw.randbytes(draw.choice([1, 4, 100])) if draw.random() < 0.5 else content[:place][-50:]
    return content[:place] + piece + content[place:]


def _removed(content, draw):
    place = draw.randrange(len(content) + 1)
    return content[:place] + content[place + draw.choice([1, 4, 100]) :]


class Kind(NamedTuple):
    """How a kind of file is written into an empty folder, which of the files is damaged, and who reads it.

    ``make(folder)`` returns the path that is damaged; ``read(path)`` returns what was read, as dicts, tuples, arrays,
    numbers and texts; ``error`` is what it raises for a damaged file.
    """

    make: Callable[[Path], Path]
    read: Callable[[Path], Any]
    error: type[FemnnError]


@dataclass
class Campaign:
    """One file of a kind, made once, damaged again and again; ``outcome`` says what became of one damage."""

    kind: Kind
    folder: Path
    whole: Any = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.path = self.kind.make(self.folder)
        self.copy = self.folder.parent / f"{self.folder.name}-whole"
        shutil.copyfile(self.path, self.copy)
        self.whole = self.kind.read(self.path)

    def outcome(self, seed: int) -> str:
        """``"refused"`` or ``"unharmed"``; AssertionError if the damage was taken, or met an error of others."""
        self.path.write_bytes(damaged(self.copy, seed))
        try:
            found = self.kind.read(self.path)
        except self.kind.error as error:
            message = str(error)
            assert "\n" not in message, f"seed {seed}: {message!r} has several lines"
            assert self.path.stem.split(".")[0] in message or str(self.path.parent) in message, message
            return "refused"
        except BaseException as error:
            raise AssertionError(
                f"seed {seed}: {type(error).__name__} instead of {self.kind.error.__name__}"
            ) from error
        finally:
            shutil.copyfile(self.copy, self.path)
        assert same(found, self.whole), f"seed {seed}: the damage was taken"
        return "unharmed"


def same(a: Any, b: Any) -> bool:
    """True if two readings are equal to the bit."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        equal = np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind == "f")
        return np.asarray(a).dtype == np.asarray(b).dtype and equal
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    if isinstance(a, list | tuple):
        return isinstance(b, list | tuple) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


# --- weight files and their cards: a damaged card must not change what the network says of itself


def _networks(folder):
    draws, architecture = np.random.default_rng(0), Architecture(3, 2, (4,), "tanh")
    network = Perceptron(architecture, {n: draws.random(s) + 0.1 for n, s in architecture.shapes.items()})
    card = {"kind": "a test", "what": "a test", "trained_range": "all", "data": {"seed": 1}, "training": {"epochs": 3}}
    return save_networks(folder / "points", {"classifier": network}, card | {"test": {"exact": 0.95}})


def _read_networks(path):
    weights = load_networks(path)
    card = {name: value for name, value in weights.card.items() if name not in ("femnn", "card_sha256")}
    return card, {name: network.tensors() for name, network in weights.networks.items()}, weights.tensors


def _shipped(name):
    def make(folder):
        for suffix in (".safetensors", ".json"):
            shutil.copyfile(PRETRAINED / (name + suffix), folder / (name + suffix))
        return folder / f"{name}.json"

    return make


def _read_law(path):
    law = femnn.RecurrentCohesive.load(path.with_suffix(".safetensors"))
    return repr(law), law.separation_scale, law.traction_scale, law._low, law._high, law.tensors()


def _read_rule(kind, **options):
    def read(path):
        rule = kind(weights=path.with_suffix(".safetensors"), **options)
        card = {name: value for name, value in rule.card.items() if name not in ("femnn", "card_sha256")}
        return str(rule), card

    return read


# --- checkpoints of trainings, data sets of labels and of paths, results of tasks

_IDENTITY: dict[str, dict] = {"options": {"epochs": 3}, "network": {"architecture": "a"}, "data": {"training": ["b"]}}
_RECIPE = element_data.Recipe(20)


def _training(folder):
    tensors = {"weight": np.linspace(0.0, 1.0, 40), "step": np.array(3.0, np.float32)}
    save_state(folder / "state.safetensors", tensors, _IDENTITY, {"validation_loss": [0.5, 0.25]})
    return folder / "state.safetensors"


def _labels(folder):
    draws = np.random.default_rng(0)
    sizes = {"errors": (20,), "doubt": (), "weights": (8,), "optimum": (), "trial_weights": (8,), "trial_optimum": ()}
    arrays = {"hexahedra": draws.random((20, 8, 3)), **{name: draws.random((20, *s)) for name, s in sizes.items()}}
    element_data._write(folder / "elements.safetensors", arrays, _RECIPE)
    return folder / "elements.safetensors"


def _read_labels(path):
    data = element_data.load_dataset(path)
    return repr(data.recipe), data.arrays()


def _paths(folder):
    draws = np.random.default_rng(0)
    columns = {name: draws.normal(size=(4, 5, 3)).astype(np.float32) for name in ("separation", "traction")}
    labels = {"seed": np.arange(4), "kind": np.array(["shear"] * 4)}
    return PathDataSet(columns | labels, {"what": "a test", "layer": {"grains": 1500}}).save(folder / "paths.npz")


def _read_paths(path):
    data = PathDataSet.load(path.with_suffix(".npz"))
    return data.columns, {name: value for name, value in data.about.items() if name != "card_sha256"}


@task_name("tests.damage.drawn")
def drawn(seed):
    """Task of a run."""
    return {"values": np.random.default_rng(seed).normal(size=30), "name": np.array("a task")}


def _result(folder):
    return run_tasks(drawn, {"seed-0": {"seed": 0}}, folder, workers=0, progress=False).results["seed-0"]


# --- restart files


def _restart(folder):
    arrays = {"u": np.linspace(0.0, 1.0, 40), "outside": np.arange(40) % 3 == 0}
    write_restart(folder / "restart.npz", "state of a test", {"t": 0.1, "law": "a law"}, arrays)
    return folder / "restart.npz"


def _read_restart(path):
    file = read_restart(path, "state of a test")
    return file.number("t"), file.text("law"), file.array("u", (None,)), file.array("outside", (40,), bool)


def _porous(problem, room, name):
    def make(folder):
        state = problem().step(problem().initial_state(), 1e3)
        room.save_state(folder / name, state)
        return folder / name

    def read(path, known={}):  # noqa: B006 - the problem is made once
        whole = known.setdefault("problem", problem())
        state = room.load_state(path, whole)
        return state.t, state.u, state.p

    return Kind(make, read, StateError)


# --- checkpoints of ranks: the header and the sums of the arrays are checked without MPI, which only brings the bytes


def _checkpoint(folder):
    draws, distributed = np.random.default_rng(0), SimpleNamespace(mesh_id="a mesh", n_vertices=12)
    pieces = {"u": (12, np.arange(12), draws.normal(size=(12, 3))), "state0": (7, np.arange(7), draws.random((7, 2)))}
    sums = {name: checkpoint._checksum(ALONE, rows, values) for name, (_, rows, values) in pieces.items()}
    header, _, _ = checkpoint._header(distributed, pieces, ["a law"], sums, 0.5)
    (folder / "step.checkpoint").write_bytes(header + b"".join(values.tobytes() for *_, values in pieces.values()))
    return folder / "step.checkpoint"


def _read_checkpoint(path):
    header, arrays = checkpoint._read_header(path), {}
    for name, shape in header.shapes.items():
        values = np.fromfile(path, count=shape[0] * shape[1], offset=header.offsets[name]).reshape(shape)
        arrays[name] = checkpoint._as_written(ALONE, header, name, np.arange(shape[0]), values)
    return header.names, header.mesh, header.t, arrays


# --- partitions and samples of grains


def _partition(folder):
    mesh = skfem.MeshHex.init_tensor(*[np.linspace(0.0, 1.0, 3)] * 3)
    mesh = mesh.with_boundaries({"layer": lambda x: np.isclose(x[2], 0.5)}, boundaries_only=False)
    interface = femnn.Interface.split(mesh, "layer")
    (whole,) = local_meshes(interface.mesh, np.zeros(interface.mesh.nelements, int), 1, [interface])
    return partition_files.write_local_mesh(folder, 0, 1, whole)


def _read_partition(path):
    mesh, card = partition_files._read(path.parent, 0, 1)
    return vars(mesh), card


def _sample(folder):
    (folder / "sample.restart").write_bytes(random.Random(0).randbytes(500))
    np.savez_compressed(folder / "grains.npz", place=np.ones((5, 3)), radius=np.ones(5), kind=np.arange(5))
    write_facts(folder, {"area": 2.0, "bottom": 0.5, "top": 1.5, "place": [0.0, 0.0, 1.5]})
    return folder / "sample.json"


def _read_sample(path):
    facts = read_facts(path.parent)
    arrays = guarded(path.parent / "grains.npz").arrays()
    return {name: facts[name] for name in ("area", "bottom", "top", "place")}, arrays


def _other(make, name):
    """The same files, of which another one is damaged."""

    def made(folder):
        make(folder)
        return folder / name

    return made


KINDS: dict[str, Kind] = {
    "weights": Kind(_networks, _read_networks, WeightFileError),
    "card of weights": Kind(_other(_networks, "points.json"), _read_networks, WeightFileError),
    "card of a law": Kind(_shipped("cohesive-default"), _read_law, WeightFileError),
    "card of a layer": Kind(_shipped("cohesive-grains"), _read_law, WeightFileError),
    "card of points": Kind(_shipped("integration-points"), _read_rule(femnn.AdaptiveGauss), WeightFileError),
    "card of factors": Kind(_shipped("quadrature-weights"), _read_rule(femnn.CorrectedGauss), WeightFileError),
    "card of moves": Kind(_shipped("moved-gauss"), _read_rule(femnn.MovedGauss), WeightFileError),
    "training": Kind(_training, lambda path: load_state(path, _IDENTITY), WeightFileError),
    "labels": Kind(_labels, _read_labels, DatasetError),
    "paths": Kind(_paths, _read_paths, DatasetError),
    "card of paths": Kind(_other(_paths, "paths.json"), _read_paths, DatasetError),
    "result of a task": Kind(_result, load_result, DatasetError),
    "restart": Kind(_restart, _read_restart, StateError),
    "porous restart": _porous(lambda: column(dual()), output, "porous.npz"),
    "fault restart": _porous(reservoir, fault, "fault.npz"),
    "checkpoint of ranks": Kind(_checkpoint, _read_checkpoint, StateError),
    "partition": Kind(_partition, _read_partition, MeshError),
    "facts of a sample": Kind(_sample, _read_sample, DatasetError),
    "grains of a sample": Kind(_other(_sample, "grains.npz"), _read_sample, DatasetError),
    "restart of a sample": Kind(_other(_sample, "sample.restart"), _read_sample, DatasetError),
}
