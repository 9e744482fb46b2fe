"""Training of :class:`femnn.multiscale.fe2.GatedLaw` on paths of strain and stress."""

import os
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from femnn.checks import checked, one_of
from femnn.multiscale.fe2.fit_recurrent import relative, rows_of_paths
from femnn.multiscale.fe2.gated import GATED, TENSORS, GatedLaw
from femnn.multiscale.fe2.recurrent import mean_over, rotations
from femnn.networks.model_card import training_record
from femnn.networks.options import History, TrainingOptions
from femnn.networks.training import train

#: What gated laws are trained with.
OPTIONS = TrainingOptions(learning_rate=3e-3, batch_size=16, epochs=150, gradient_clip=1.0, threads=1)


@checked(strains="any", stresses="any", elastic="6 6", width="[1, inf)")
def fit_gated_law(
    strains: ArrayLike,
    stresses: ArrayLike,
    elastic: ArrayLike,
    *,
    kind: str = "gru",
    width: int = 48,
    symmetry: str = "cubic",
    options: TrainingOptions = OPTIONS,
    data: dict[str, Any] | None = None,
    checkpoint: str | os.PathLike | None = None,
    progress: bool = True,
) -> tuple[GatedLaw, History]:
    """Train a law of LSTM or GRU cells; the loss is the squared error of a path over its squared stress.

    Each path is turned by a rotation of the symmetry that is drawn anew each time it is seen, for which the network
    itself is asked; the law is the mean over all rotations.

    Parameters
    ----------
    strains, stresses, elastic, options, data, checkpoint, progress
        As of :func:`femnn.multiscale.fe2.fit_recurrent.fit_recurrent_law`.
    kind, width
        ``"lstm"`` or ``"gru"``, and how many cells.
    symmetry
        See :class:`femnn.multiscale.fe2.GatedLaw`.

    Raises
    ------
    ParameterError, DatasetError
        If shapes do not fit, there are too few paths, or a path has no stress.

    Examples
    --------
    >>> import femnn
    >>> from femnn.multiscale.fe2 import draw_strain_paths, follow
    >>> metal, paths = femnn.J2(3e9, 0.3, 30e6, isotropic=1e8), draw_strain_paths(8, steps=6)
    >>> elastic = metal.update(np.zeros((1, 6)), metal.initial_state(1))[1][0]
    >>> options = TrainingOptions(learning_rate=1e-2, batch_size=8, epochs=2, threads=1)
    >>> stresses = follow(metal, paths, progress=False)
    >>> law, history = fit_gated_law(paths, stresses, elastic, width=4, options=options, progress=False)
    >>> law
    GatedLaw(gru, 4 cells, cubic symmetry)
    """
    one_of("kind", kind, tuple(GATED))
    turns = rotations(symmetry)
    paths = rows_of_paths(strains, stresses, elastic, options.seed)
    module = _Gated(kind, width, turns, paths.stiffness / paths.scale, options.seed)
    history = train(module, relative, paths.training, paths.held_out, options, checkpoint=checkpoint, progress=progress)
    card = {"data": dict(data or {}, paths=paths.number), "training": training_record(options, {"law": history})}
    scale = paths.scale * paths.reach
    return GatedLaw(kind, paths.stiffness, module.numbers(), paths.reach, scale, symmetry=symmetry, card=card), history


class _Gated(torch.nn.Module):
    """Cells and head for paths (n, steps, 6) of strains by Mandel, in units of their reach."""

    def __init__(self, kind: str, width: int, turns: np.ndarray, elastic: np.ndarray, seed: int) -> None:
        super().__init__()
        self.turns: torch.Tensor
        self.elastic: torch.Tensor
        self.register_buffer("turns", torch.tensor(turns, dtype=torch.float32))
        self.register_buffer("elastic", torch.tensor(mean_over(turns, elastic), dtype=torch.float32))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.cells = (torch.nn.LSTM if kind == "lstm" else torch.nn.GRU)(6, width, batch_first=True)
            self.head = torch.nn.Linear(width, 6)

    def forward(self, strains: torch.Tensor) -> torch.Tensor:
        """Stresses (n, steps, 6)."""
        if self.training:
            turns = self.turns[torch.randint(len(self.turns), (len(strains),))]
            lost = self.head(self.cells(torch.einsum("nij,ntj->nti", turns, strains))[0])
            return strains @ self.elastic - torch.einsum("nji,ntj->nti", turns, lost)
        turned = torch.einsum("gij,ntj->gnti", self.turns, strains)
        lost = self.head(self.cells(turned.flatten(0, 1))[0]).unflatten(0, turned.shape[:2])
        return strains @ self.elastic - torch.einsum("gji,gntj->nti", self.turns, lost) / len(self.turns)

    def numbers(self) -> dict[str, np.ndarray]:
        """What the law needs, by the names of its tensors."""
        cells = [getattr(self.cells, f"{name}_l0") for name in TENSORS[:4]]
        values = (*cells, self.head.weight, self.head.bias)
        return {name: value.detach().numpy().astype(float) for name, value in zip(TENSORS, values, strict=True)}
