"""Training of latent dynamics: networks that learn how coefficients go on. Loads torch."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from femnn.networks.options import History, TrainingOptions
from femnn.networks.training import train
from femnn.reduced.dynamics.torch_networks import build


def fit_network(
    architecture: Mapping[str, Any],
    training: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    options: TrainingOptions,
    checkpoint: str | os.PathLike | None,
    progress: bool,
) -> tuple[dict[str, np.ndarray], History]:
    """Train a network on scaled rows and targets; its tensors by name, and the course of its training.

    Parameters
    ----------
    architecture
        Of :class:`femnn.reduced.dynamics.LatentDynamics`.
    training, validation
        Inputs (m, p, n + k) and targets (m, q, n).
    options, checkpoint, progress
        Of :func:`femnn.networks.training.train`; the seed is that of the weights as well.
    """
    module = build(architecture, options.seed)
    rows = [[array.astype(np.float32) for array in part] for part in (training, validation)]
    history = train(module, _mean_square, rows[0], rows[1], options, checkpoint=checkpoint, progress=progress)
    return {name: values.numpy(force=True).copy() for name, values in module.state_dict().items()}, history


def evaluator(architecture: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Any:
    """A function of scaled rows (b, p, n + k) that gives the network's answer (b, q, n), in float64."""
    with torch.device("meta"):
        # takes no memory: a damaged width must not
        module = build(architecture)
    module.load_state_dict({name: torch.tensor(values) for name, values in tensors.items()}, assign=True)
    module.double().eval()

    def evaluate(rows: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return module(torch.from_numpy(np.ascontiguousarray(rows))).numpy()

    return evaluate


def _mean_square(prediction, target):
    return (prediction - target).square().mean()
