"""Training of closures: coefficients of a reduced basis from others, or from parameters and time."""

import os
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from femnn.checks import checked
from femnn.exceptions import ParameterError
from femnn.networks.model_card import training_record
from femnn.networks.options import History, TrainingOptions
from femnn.networks.perceptron import Architecture, Perceptron
from femnn.networks.training import train_perceptron
from femnn.reduced.manifolds import NetworkClosure, held_out_rows, size_of, split_coordinates

#: What closures are trained with.
OPTIONS = TrainingOptions(learning_rate=4e-3, batch_size=128, epochs=600, schedule="cosine", threads=1)


@checked(coefficients="m r", n="[1, inf)")
def fit_closure(
    coefficients: ArrayLike,
    n: int,
    hidden: tuple[int, ...] = (64, 144),
    options: TrainingOptions = OPTIONS,
    *,
    activation: str = "silu",
    checkpoint: str | os.PathLike | None = None,
    progress: bool = True,
) -> tuple[NetworkClosure, History]:
    """Train a network that gives the coefficients beyond the first ``n`` from these.

    The loss is the mean square of what is left of a state: an error counts the same in each coefficient, as modes are
    orthonormal.

    Parameters
    ----------
    coefficients : (m, r)
        Of snapshots in a global basis, a row each; a tenth of them is held out for validation.
    n
        Free coordinates, fewer than r.
    hidden, activation
        Widths of the hidden layers; "silu" or "tanh".
    options
        Of :func:`femnn.networks.training.train`.
    checkpoint
        File in which an interrupted training is kept and from which it goes on.
    progress
        Show a bar, if stderr is a terminal.

    Examples
    --------
    >>> t = np.linspace(0.0, 1.0, 100)[:, None]
    >>> options = TrainingOptions(learning_rate=1e-2, batch_size=32, epochs=100, threads=1)
    >>> closure, history = fit_closure(np.hstack([t, t**2]), 1, (16,), options, progress=False)
    >>> bool(abs(closure.lift([0.5])[1] - 0.25) < 0.05)
    True
    """
    q, rest = split_coordinates(coefficients, n)
    network, history = fit_map(
        q, rest, hidden, options, activation=activation, checkpoint=checkpoint, progress=progress
    )
    record = training_record(options, {"closure": history})
    return NetworkClosure(network, size_of(q), {"training": record}), history


@checked(inputs="m k", coefficients="m r")
def fit_map(
    inputs: ArrayLike,
    coefficients: ArrayLike,
    hidden: tuple[int, ...],
    options: TrainingOptions = OPTIONS,
    *,
    activation: str = "silu",
    checkpoint: str | os.PathLike | None = None,
    progress: bool = True,
) -> tuple[Perceptron, History]:
    """Train a perceptron from inputs (m, k), parameters and time for instance, to coefficients (m, r), in one scale."""
    inputs, coefficients = np.asarray(inputs, dtype=float), np.asarray(coefficients, dtype=float)
    spread = float(coefficients.std(axis=0).max())
    if not spread > 0.0:
        raise ParameterError("the coefficients do not change from row to row: there is nothing to train")
    scales: dict[str, Any] = {
        "input_mean": inputs.mean(axis=0),
        "input_scale": np.maximum(inputs.std(axis=0), 1e-12 * np.abs(inputs).max()),
        "output_mean": coefficients.mean(axis=0),
        "output_scale": np.full(coefficients.shape[1], spread),
    }
    held_out = held_out_rows(len(inputs), options.seed)
    rows = [array.astype(np.float32) for array in (inputs, coefficients)]

    def loss(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return ((prediction - target) / spread).square().sum(dim=-1).mean()

    return train_perceptron(
        Architecture(inputs.shape[1], coefficients.shape[1], tuple(hidden), activation),
        scales,
        loss,
        [array[~held_out] for array in rows],
        [array[held_out] for array in rows],
        options,
        checkpoint=checkpoint,
        progress=progress,
    )
