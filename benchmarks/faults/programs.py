"""Runs that are killed and started again, each in a process of its own: ``start(NAME)`` in the folder of the run."""

import itertools
import time
from pathlib import Path

import numpy as np


def begun():
    """Say that all is imported and the work begins."""
    print("begun", flush=True)


def draw(seed):
    """A task."""
    time.sleep(0.02)
    return {"values": np.random.default_rng(seed).normal(size=(100, 3))}


def tasks(folder, workers):
    """Independent tasks that keep their results."""
    from femnn.tasks import run_tasks

    begun()
    named = {f"task-{seed}": {"seed": seed} for seed in range(40)}
    run_tasks(draw, named, folder / "results", workers=workers, progress=False).require_all()


def training(folder):
    """A network that is trained with a checkpoint after every epoch."""
    import torch

    from femnn.networks import training as loop
    from femnn.networks.options import TrainingOptions
    from femnn.networks.perceptron import Architecture, standardisation
    from femnn.networks.torch_perceptron import build

    loop.SECONDS_BETWEEN_SAVES = 0.0
    rows = [_samples(400, 0), _samples(100, 1)]
    module = build(Architecture(inputs=3, outputs=2, hidden=(16, 16), activation="tanh"), standardisation(*rows[0]), 0)
    begun()
    options = TrainingOptions(epochs=40, batch_size=32, threads=1)
    checkpoint = folder / "training.safetensors"
    loop.train(module, torch.nn.functional.mse_loss, *rows, options, checkpoint=checkpoint, progress=False)
    weights = np.concatenate([weight.detach().numpy().ravel() for weight in module.parameters()])
    (folder / "weights.bin").write_bytes(weights.tobytes())
    # it says how long each epoch took, which differs
    checkpoint.unlink()


def _samples(n, seed):
    x = np.random.default_rng(seed).uniform(-1.0, 1.0, (n, 3))
    return x, np.stack([x[:, 0] * x[:, 1], np.sin(3.0 * x[:, 2])], axis=1)


def writing(folder):
    """A large file that is replaced again and again."""
    from femnn.io import atomic_write

    file = folder / "numbers.bin"
    begun()
    if file.exists() and file.read_bytes() not in map(_content, range(100)):
        raise SystemExit("the file is in pieces")
    for number in range(100):
        with atomic_write(file) as temporary, open(temporary, "wb") as opened:
            for part in itertools.repeat(bytes([number]) * 5000, 100):
                opened.write(part)


def _content(number):
    return bytes([number]) * 500_000


def march(folder):
    """A column that consolidates, with a restart file and pictures for ParaView after every step."""
    import skfem

    from femnn.reservoir import Conditions, PorousMedium, PorousProblem, Series, load_state, save_state

    mesh = skfem.MeshQuad.init_tensor(np.array([0.0, 1.0]), np.linspace(0.0, 10.0, 21)).with_defaults()
    medium = PorousMedium(young=1e9, poisson=0.2, permeability=1e-14, porosity=0.2, grain_bulk=30e9)
    conditions = Conditions(
        displacement={"left": (0.0, None), "right": (0.0, None), "bottom": (None, 0.0)},
        traction={"top": (0.0, -1e6)},
        pressure={"top": 0.0},
    )
    problem, restart = PorousProblem(mesh, medium, conditions), folder / "restart.npz"
    state = load_state(restart, problem) if restart.exists() else problem.initial_state()
    series = Series(folder / "series" / "column.pvd", problem, start=state.t)
    begun()
    while state.t < 40 * 2.0**10:
        state = problem.step(state, 2.0**10)
        series.write(state)
        save_state(restart, state)


PROGRAMS = {
    "tasks in this process": lambda folder: tasks(folder, 0),
    "tasks on two workers": lambda folder: tasks(folder, 2),
    "a training with checkpoints": training,
    "a file that is written": writing,
    "a time march with restarts": march,
}


def start(name):
    """Run a program in the working folder."""
    PROGRAMS[name](Path.cwd())
