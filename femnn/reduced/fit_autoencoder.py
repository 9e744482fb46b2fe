"""Training of autoencoders with a sparse decoder."""

import os
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.sparse import coo_array, csr_array, issparse

from femnn.checks import brief, checked
from femnn.exceptions import ParameterError
from femnn.networks.model_card import training_record
from femnn.networks.options import History, TrainingOptions
from femnn.networks.perceptron import Architecture
from femnn.networks.torch_perceptron import build, to_perceptron
from femnn.networks.training import train
from femnn.reduced.manifolds import held_out_rows, size_of
from femnn.reduced.pod import POD
from femnn.reduced.sparse_decoder import SparseDecoder, blocks_of, sparse_output

#: What autoencoders are trained with.
AUTOENCODER_OPTIONS = TrainingOptions(learning_rate=2e-3, batch_size=64, epochs=400, schedule="cosine", threads=1)


@checked(states="m k", blocks="int g b", neighbours="int g s", latent="[1, inf)", units="[1, inf)", modes="[1, inf)")
def fit_autoencoder(
    states: np.ndarray,
    blocks: ArrayLike,
    neighbours: ArrayLike,
    latent: int,
    *,
    units: int = 12,
    modes: int = 40,
    hidden: tuple[int, ...] = (100,),
    options: TrainingOptions = AUTOENCODER_OPTIONS,
    offset: ArrayLike | None = None,
    differences: Any = None,
    checkpoint: str | os.PathLike | None = None,
    progress: bool = True,
) -> tuple[SparseDecoder, History]:
    """Train an encoder and a decoder with one hidden layer, of which each value reads the units near it.

    The loss is the mean square of what is left of a state. The encoder reads the first coefficients of a proper
    orthogonal decomposition, which is exact for the training as far as these modes reach, and costs little.

    Parameters
    ----------
    states : (m, N)
        Snapshots, a row each; a tenth of them is held out for validation.
    blocks : (g, b) int
        The values, cut into g blocks of b that lie together; each value is in one of them.
    neighbours : (g, s) int
        Blocks whose units the values of each block read, itself among them; g stands for none.
    latent
        Coordinates of the manifold.
    units
        Of each block.
    modes, hidden
        Inputs of the encoder, and its hidden layers.
    options
        Of :func:`femnn.networks.training.train`.
    offset : (N,)
        Added to all states; the mean of the snapshots if None.
    differences
        Sparse matrix (k, N), such as differences of neighbours: the squares of its products with what is left of a
        state are added to the loss. An equation with derivatives needs errors that are smooth. None for none.
    checkpoint
        File in which an interrupted training is kept and from which it goes on.
    progress
        Show a bar, if stderr is a terminal.

    Raises
    ------
    ParameterError
        If the blocks are no partition of the values, or neighbours are none.

    Examples
    --------
    Eight values of a bump that travels, in four blocks of two:

    >>> centres = np.linspace(0.0, 1.0, 80)[:, None]
    >>> bumps = np.exp(-20.0 * (np.linspace(0.0, 1.0, 8) - centres) ** 2)
    >>> blocks = np.arange(8).reshape(4, 2)
    >>> neighbours = np.arange(4)[:, None] + [-1, 0, 1]
    >>> neighbours[neighbours < 0] = 4
    >>> options = TrainingOptions(learning_rate=1e-2, batch_size=16, epochs=60, threads=1)
    >>> decoder, history = fit_autoencoder(bumps, blocks, neighbours, 1, modes=4, options=options, progress=False)
    >>> bool(abs(decoder.lift(decoder.project(bumps[40])) - bumps[40]).max() < 0.1)
    True
    """
    blocks, neighbours = blocks_of(states.shape[1], blocks, neighbours)
    offset = states.mean(axis=0) if offset is None else np.asarray(offset, dtype=float)
    pod = POD.fit(states.T, modes=min(modes, len(states)), offset=offset, method="randomised")
    coefficients = pod.project(states.T).T
    spread = float(np.sqrt(((states - offset) ** 2).mean()))
    scales = {
        "input_mean": coefficients.mean(axis=0),
        "input_scale": np.full(pod.r, float(coefficients.std(axis=0).max())),
        "output_mean": np.zeros(latent),
        "output_scale": np.ones(latent),
    }
    encoder = build(Architecture(pod.r, latent, tuple(hidden), "silu"), scales, options.seed)
    module = _Autoencoder(encoder, latent, units, neighbours, blocks.shape[1], options.seed)
    rows = [
        coefficients.astype(np.float32),
        ((states - offset) / spread)[:, blocks.ravel()].astype(np.float32),
    ]
    held_out = held_out_rows(len(states), options.seed)
    rough = _differences(differences, blocks)

    def loss(found: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        left = found - target
        value = left.square().mean()
        return value if rough is None else value + torch.sparse.mm(rough, left.T).square().mean()

    history = train(
        module,
        loss,
        [array[~held_out] for array in rows],
        [array[held_out] for array in rows],
        options,
        checkpoint=checkpoint,
        progress=progress,
    )
    weight, bias, factors = (
        tensor.detach().numpy().astype(float) for tensor in (module.weight, module.bias, module.factors)
    )
    found = to_perceptron(encoder)
    decoder = SparseDecoder(
        weight,
        bias,
        spread * sparse_output(factors, blocks, neighbours, units),
        # the encoder reads products of modes with a state, from which nothing is subtracted
        offset,
        _shifted(found, pod.modes.T @ offset),
        pod.modes,
        size_of(found(coefficients)),
        {"training": training_record(options, {"autoencoder": history})},
    )
    return decoder, history


class _Autoencoder(torch.nn.Module):
    """Coefficients to coordinates to values, block after block."""

    neighbours: torch.Tensor

    def __init__(self, encoder, latent, units, neighbours, values, seed) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        g, s = neighbours.shape
        self.encoder, self.units = encoder, units
        self.register_buffer("neighbours", torch.from_numpy(neighbours))
        drawn = torch.rand(g * units, latent + 1, generator=generator) * 2.0 - 1.0
        self.weight = torch.nn.Parameter(2.0 * drawn[:, :latent] / latent**0.5)
        self.bias = torch.nn.Parameter(2.0 * drawn[:, latent].clone())
        size = (s * units) ** -0.5
        self.factors = torch.nn.Parameter(size * (torch.rand(g, s * units, values, generator=generator) * 2.0 - 1.0))

    def forward(self, coefficients):
        hidden = torch.nn.functional.silu(
            torch.nn.functional.linear(self.encoder(coefficients), self.weight, self.bias)
        )
        own = torch.nn.functional.pad(hidden.reshape(len(hidden), -1, self.units), (0, 0, 0, 1))
        near = own[:, self.neighbours].reshape(len(hidden), len(self.neighbours), -1)
        return torch.bmm(near.transpose(0, 1), self.factors).transpose(0, 1).reshape(len(hidden), -1)


def _differences(matrix, blocks):
    """A matrix (k, N) for values in the order of the blocks, as torch takes it; None if there is none."""
    if matrix is None:
        return None
    if not issparse(matrix) or matrix.shape[1] != blocks.size:
        raise ParameterError(f"differences are {brief(matrix)}; pass a sparse matrix of {blocks.size} columns, or None")
    ordered = coo_array(csr_array(matrix)[:, blocks.ravel()])
    places = torch.from_numpy(np.stack(ordered.coords).astype(np.int64))
    values = torch.from_numpy(ordered.data.astype(np.float32))
    return torch.sparse_coo_tensor(places, values, ordered.shape, check_invariants=True).coalesce()


def _shifted(encoder, shift):
    """The perceptron of inputs that are larger by ``shift``."""
    tensors = {name: np.array(values) for name, values in encoder.tensors().items()}
    tensors["input_mean"] = tensors["input_mean"] + shift
    return type(encoder)(encoder.architecture, tensors)
