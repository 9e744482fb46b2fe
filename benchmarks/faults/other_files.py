"""Files that femnn writes and reads, cut off or with bits flipped: what is read is what was written, or an error."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np

from benchmarks.faults.campaign import Kind, Lost, damaged, judged
from benchmarks.faults.programs import draw as task
from femnn.io import load_state, load_weights, locate, save_state, shipped_weights
from femnn.io.path_data import PathDataSet
from femnn.io.restart import read_restart, write_restart
from femnn.multiscale.grains.dataset import SHIPPED
from femnn.networks.element_data import Recipe, load_dataset, make_dataset
from femnn.tasks import load_result, run_tasks

_RESTART, _IDENTITY = "state of a campaign", {"options": {"epochs": 3}, "network": {"inputs": 2}, "data": {"seed": 5}}


def weights(folder, name):
    """A shipped weight file and its card."""
    return [Path(shutil.copy(file, folder)) for file in locate(name)]


def restart(folder):
    """A restart file."""
    random = np.random.default_rng(0)
    arrays = {"u": random.normal(size=300), "outside": random.uniform(size=50) < 0.5}
    write_restart(folder / "restart.npz", _RESTART, {"t": 0.1, "law": "bilinear"}, arrays)
    return [folder / "restart.npz"]


def read_restart_file(path):
    """Everything in it."""
    contents = read_restart(path, _RESTART)
    arrays = contents.array("u", (300,)), contents.array("outside", (50,), bool)
    return contents.number("t"), contents.text("law"), arrays


def checkpoint(folder):
    """The state of a training."""
    random = np.random.default_rng(0)
    tensors = {"weight": random.normal(size=(20, 3)), "moment": random.normal(size=60).astype(np.float32)}
    save_state(folder / "training.safetensors", tensors, _IDENTITY, {"training_loss": [0.5, 0.25], "stopped": None})
    return [folder / "training.safetensors"]


def elements(folder):
    """A data set of labelled elements."""
    make_dataset(folder / "elements.safetensors", Recipe(10), progress=False)
    return [folder / "elements.safetensors"]


def paths(folder):
    """The first paths of the shipped data set of grains, with their card."""
    return [PathDataSet.load(SHIPPED)[:2].save(folder / "paths.npz"), folder / "paths.json"]


def result(folder):
    """The result of a task."""
    run_tasks(task, {"a": {"seed": 0}}, folder, workers=0, progress=False)
    return [folder / "a.npz"]


# name in the table: what writes the files, and what reads the first of them
FILES = {
    **{
        f"weights {name}": (lambda folder, name=name: weights(folder, name), load_weights) for name in shipped_weights()
    },
    "restart": (restart, read_restart_file),
    "checkpoint of a training": (checkpoint, lambda path: load_state(path, _IDENTITY)),
    "data set of elements": (elements, lambda path: load_dataset(path, Recipe(10))),
    "data set of paths": (paths, PathDataSet.load),
    "result of a task": (result, load_result),
}


def bits(value):
    """All that a value consists of, in a form that compares by bits."""
    if dataclasses.is_dataclass(value):
        return bits({entry.name: getattr(value, entry.name) for entry in dataclasses.fields(value)})
    if isinstance(value, dict):
        return {name: bits(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [bits(entry) for entry in value]
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    return repr(value)


def _kind(name):
    write, read = FILES[name]

    def prepare(folder):
        files = write(folder)
        expected = bits(read(files[0]))

        def case(draw, folder):
            copies = [Path(shutil.copy(file, folder)) for file in files]
            target = draw.choice(copies)
            content = target.read_bytes()
            changed = damaged(content, draw)
            target.write_bytes(changed)

            def attempt():
                if bits(read(copies[0])) != expected:
                    raise Lost(f"{target.name} is damaged, and other values are read from it")

            return judged(attempt)

        return case

    return Kind(f"file: {name}", 200, 20.0, prepare, __name__)


def kinds():
    """A kind for each file."""
    return [_kind(name) for name in FILES]
