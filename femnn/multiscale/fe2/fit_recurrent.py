"""Training of :class:`femnn.multiscale.fe2.RecurrentLaw` on paths of strain and stress."""

import os
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike

from femnn.checks import checked
from femnn.exceptions import DatasetError, ParameterError
from femnn.multiscale.fe2.law import checked_paths
from femnn.multiscale.fe2.recurrent import HALF, RANK, RecurrentLaw, mean_over, measures_of, rotations
from femnn.networks.model_card import training_record
from femnn.networks.options import History, TrainingOptions
from femnn.networks.training import train

#: What recurrent laws are trained with.
OPTIONS = TrainingOptions(
    learning_rate=1e-2, batch_size=32, epochs=150, schedule="onecycle", gradient_clip=1.0, threads=1
)

# Share of the paths that is held out, and the least number of all.
_HELD_OUT, _FEWEST = 0.125, 4

# Keeps the length of a strain differentiable at zero.
_TINY = 1e-12


@checked(strains="any", stresses="any", elastic="6 6", units="[1, inf)", openings="[0, inf)")
def fit_recurrent_law(
    strains: ArrayLike,
    stresses: ArrayLike,
    elastic: ArrayLike,
    *,
    units: int = 8,
    openings: int = 0,
    symmetry: str = "cubic",
    options: TrainingOptions = OPTIONS,
    data: dict[str, Any] | None = None,
    checkpoint: str | os.PathLike | None = None,
    progress: bool = True,
) -> tuple[RecurrentLaw, History]:
    """Train a recurrent law on paths; the loss is the squared error of a path over its squared stress.

    Parameters
    ----------
    strains, stresses : (n, steps, 6)
        Paths from the virgin state, as :func:`femnn.multiscale.fe2.follow` gives them; an eighth is held out.
    elastic : (6, 6)
        Tangent of the virgin material (Pa), Voigt order with engineering shear strains; its mean over the symmetry is
        the elastic part of the law.
    units, openings
        How many that yield, and that open where bonds break; each counts once for each rotation of the symmetry.
    symmetry
        See :class:`femnn.multiscale.fe2.RecurrentLaw`.
    options
        Of :func:`femnn.networks.training.train`.
    data
        What the paths are, for the card.
    checkpoint
        File in which an interrupted training is kept and from which it goes on.
    progress
        Show a bar, if stderr is a terminal.

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
    >>> law, history = fit_recurrent_law(paths, stresses, elastic, units=2, options=options, progress=False)
    >>> law
    RecurrentLaw(2 units, cubic symmetry)
    """
    paths = rows_of_paths(strains, stresses, elastic, options.seed)
    reach, scale, turns = paths.reach, paths.scale, rotations(symmetry)
    module = Units(units, openings, turns, paths.stiffness / scale, options.seed)
    history = train(module, relative, paths.training, paths.held_out, options, checkpoint=checkpoint, progress=progress)
    found = {name: value.astype(float) for name, value in module.numbers().items()}
    law = RecurrentLaw(
        paths.stiffness,
        found["units"],
        found["weights"],
        found["yields"] * reach,
        found["isotropic"],
        found["kinematic"],
        scale,
        openings=found["openings"],
        bonds=found["bonds"] * [1.0, reach, reach, 1.0, 1.0],
        symmetry=symmetry,
        on_outside="ignore",
    )
    law.limits, law.on_outside = _limits(law, checked_paths(strains)), "warn"
    law.card = {"data": dict(data or {}, paths=paths.number), "training": training_record(options, {"law": history})}
    return law, history


class Units(torch.nn.Module):
    """The units of a law for paths (n, steps, 6) of strains by Mandel, in units of their reach."""

    def __init__(self, count: int, open_count: int, turns: np.ndarray, elastic: np.ndarray, seed: int) -> None:
        super().__init__()
        self.turns: torch.Tensor
        self.elastic: torch.Tensor
        self.compliance: torch.Tensor
        generator = torch.Generator().manual_seed(seed)
        self.register_buffer("turns", torch.tensor(turns, dtype=torch.float32))
        self.register_buffer("elastic", torch.tensor(mean_over(turns, elastic), dtype=torch.float32))
        drawn = torch.randn(count, RANK, 6, generator=generator)
        drawn[:, :, :3] -= drawn[:, :, :3].mean(dim=2, keepdim=True)
        self.units = torch.nn.Parameter(drawn / torch.linalg.norm(drawn, dim=(1, 2), keepdim=True))
        # together they take away most of the deviatoric stress
        self.log_weights = torch.nn.Parameter(torch.full((count,), float(np.log(5.0 / count))))
        self.log_yields = torch.nn.Parameter(torch.linspace(float(np.log(0.03)), float(np.log(0.5)), count))
        self.log_isotropic = torch.nn.Parameter(torch.full((count,), -3.0))
        self.log_kinematic = torch.nn.Parameter(torch.full((count,), -3.0))
        drawn = torch.randn(open_count, RANK, 6, generator=generator)
        self.openings = torch.nn.Parameter(drawn / torch.linalg.norm(drawn, dim=(1, 2), keepdim=True))
        # bonds that begin to break early and are half gone in the middle of the range, half opened by plastic flow
        start = torch.log(torch.tensor([1.0 / max(open_count, 1), 0.1, 0.3, 0.5]))
        self.log_bonds = torch.nn.Parameter(start.repeat(open_count, 1))
        self.shares = torch.nn.Parameter(torch.full((open_count,), 0.5))
        self.register_buffer("compliance", torch.linalg.inv(self.elastic))

    def forward(self, strains: torch.Tensor) -> torch.Tensor:
        """Stresses (n, steps, 6)."""
        g, k = len(self.turns), len(self.units)
        units = torch.einsum("kai,gij->gkaj", self.units, self.turns).reshape(g * k, RANK, 6)
        weights, limit, isotropic, kinematic = (
            values.exp().repeat(g)
            for values in (self.log_weights, self.log_yields, self.log_isotropic, self.log_kinematic)
        )
        flat, weights = units.reshape(-1, 6), (weights / g)[:, None]
        local = (strains @ flat.T).reshape(*strains.shape[:2], g * k, RANK)
        plastic = torch.zeros_like(local[:, 0])
        length = torch.zeros_like(plastic[..., 0])
        forces = []
        for z in local.unbind(dim=1):
            trial = z - (1.0 + kinematic)[:, None] * plastic
            size = (trial.square().sum(dim=-1) + _TINY).sqrt()
            flow = torch.relu(size - limit - isotropic * length) / (1.0 + kinematic + isotropic)
            length = length + flow
            plastic = plastic + (flow / size)[..., None] * trial
            forces.append((weights * plastic).reshape(len(strains), -1))
        taken = torch.stack(forces, dim=1) @ flat
        return strains @ self.elastic - taken - self._lost(strains, taken @ self.compliance)

    def _lost(self, strains, plastic):
        """What broken bonds no longer carry, (n, steps, 6), for strains and plastic strains of this shape."""
        if not len(self.openings):
            return torch.zeros_like(strains)
        turned = torch.einsum("mai,gij->gmaj", self.openings, self.turns).reshape(-1, 6)
        weight, onset, length, sliding = self.log_bonds.exp().repeat(len(self.turns), 1).T
        share = self.shares.repeat(len(self.turns)).repeat_interleave(RANK)
        q = (strains @ turned.T - share * (plastic @ turned.T)).unflatten(2, (-1, RANK))
        q = torch.cat([torch.relu(q[..., :1]), q[..., 1:]], dim=-1)
        size = (q.square().sum(dim=-1) + _TINY).sqrt()
        damage = 1.0 - torch.exp(-torch.relu(size.cummax(dim=1).values - onset) / length)
        carried = torch.cat([q[..., :1], sliding[:, None] * q[..., 1:]], dim=-1)
        return ((weight / len(self.turns) * damage)[..., None] * carried).flatten(2) @ turned

    def numbers(self) -> dict[str, np.ndarray]:
        """What the law needs, by the names of its arguments."""
        logarithms = {name: getattr(self, f"log_{name}") for name in ("weights", "yields", "isotropic", "kinematic")}
        numbers = {name: value.detach().exp().numpy() for name, value in logarithms.items()}
        directions = {"units": self.units.detach().numpy(), "openings": self.openings.detach().numpy()}
        bonds = torch.cat([self.log_bonds.exp(), self.shares[:, None]], dim=1).detach().numpy()
        return {**directions, **numbers, "bonds": bonds}


class PathRows(NamedTuple):
    """Paths as rows of a training, in units of their reach and of the stiffness times it.

    Attributes
    ----------
    training, held_out : list
        Strains and stresses (n, steps, 6) by Mandel, and one over the squared stress of each path (n,).
    stiffness : (6, 6)
        Elastic one (Pa), by Mandel's components.
    reach, scale : float
        Largest strain, and stiffness (Pa), that count as one.
    number : int
    """

    training: list[np.ndarray]
    held_out: list[np.ndarray]
    stiffness: np.ndarray
    reach: float
    scale: float
    number: int


def rows_of_paths(strains: ArrayLike, stresses: ArrayLike, elastic: ArrayLike, seed: int) -> PathRows:
    """Paths (n, steps, 6) of strain and stress by Voigt as rows of a training, an eighth of them held out.

    Raises
    ------
    ParameterError, DatasetError
        If shapes do not fit, there are too few paths, or a path has no stress.
    """
    strains, stresses = checked_paths(strains), checked_paths(stresses)
    if strains.shape != stresses.shape:
        raise ParameterError(f"strains have shape {strains.shape}, stresses {stresses.shape}; pass equal ones")
    if len(strains) < _FEWEST:
        raise DatasetError(f"{len(strains)} paths are too few to train on; pass at least {_FEWEST}")
    sizes = np.linalg.norm(stresses, axis=(1, 2))
    if not (sizes > 0.0).all():
        raise DatasetError(f"path {int(np.argmin(sizes))} has no stress at all; leave it out")
    mandel, stiffness = strains * HALF, np.asarray(elastic, dtype=float) / HALF[:, None] / HALF
    reach, scale = float(np.sqrt((mandel**2).sum(axis=2)).max()), float(np.trace(stiffness)) / 6.0
    targets = stresses / HALF / (scale * reach)
    weight = 1.0 / (targets**2).sum(axis=(1, 2))
    order = np.random.default_rng([seed, 17]).permutation(len(strains))
    held = max(1, round(_HELD_OUT * len(strains)))
    rows = [array.astype(np.float32) for array in (mandel / reach, targets, weight)]
    training, held_out = ([array[part] for array in rows] for part in (order[held:], order[:held]))
    return PathRows(training, held_out, stiffness, reach, scale, len(strains))


def relative(prediction: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Mean squared error of paths over their squared stress."""
    return ((prediction - target).square().sum(dim=(1, 2)) * weight).mean()


def _limits(law, strains):
    """The largest sizes of strains and states along paths."""
    state, most = law.initial_state(len(strains)), {}
    for strain in strains.transpose(1, 0, 2):
        _, _, state = law.update(strain, state)
        plastic = law.plastic_lengths(state).max(axis=1)
        for name, values in measures_of(strain * HALF, plastic).items():
            most[name] = max(most.get(name, 0.0), float(values.max()))
    return most
