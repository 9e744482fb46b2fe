"""The training of the learned element: draw patches, know their exact answers, train, test, save."""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from femnn.assembly.elasticity import isotropic_stiffness
from femnn.assembly.formulations.learned import INPUTS, KEPT, KIND, OUTPUTS, Frames, LearnedTwists
from femnn.assembly.formulations.patches import NODES, Patches, bending_errors, distorted_patches, exact_states
from femnn.geometry.coordinates import TWISTS, relative_warp
from femnn.geometry.hexahedron import SIGNS, jacobian, shape_gradients
from femnn.integration.gauss import tensor_gauss
from femnn.integration.lame import lame_parameters
from femnn.networks.model_card import require_enough, save_tested, training_record
from femnn.networks.options import TrainingOptions
from femnn.networks.perceptron import Architecture, standardisation
from femnn.networks.trained_range import TrainedRange
from femnn.networks.training import train_perceptron
from femnn.networks.weights import save_networks

_VALIDATION = 1 / 10
_FEWEST_PATCHES = 5

#: Patches of the test: 2,000 cells.
TEST_PATCHES = 250

# Errors beside this do not count: square of a bending error.
_FLOOR = 1e-4


@dataclass(frozen=True)
class PatchRecipe:
    """What the training data depend on, see :func:`femnn.assembly.formulations.patches.distorted_patches`."""

    elements: int = 28_800
    displacement: float = 0.35
    aspect: float = 10.0
    shear: float = 0.6
    seed: int = 0

    def patches(self, number: int, stream: int) -> Patches:
        """``number`` patches; streams of one recipe have no patch in common."""
        return distorted_patches(
            number,
            1000 * self.seed + stream,
            displacement=self.displacement,
            aspect=self.aspect,
            shear=self.shear,
        )


ELEMENT_RECIPE = PatchRecipe()

ELEMENT_OPTIONS = TrainingOptions(
    optimizer="adamw", learning_rate=3e-3, weight_decay=1e-3, batch_size=32, epochs=40, gradient_clip=1.0, threads=1
)


def train_element(folder, recipe=ELEMENT_RECIPE, options=ELEMENT_OPTIONS, progress=True, hidden=(96, 96)):
    """Make the weights of ``formulation="learned"`` in a folder; returns their path and the figures of their test."""
    require_enough(recipe.elements, 8 * _FEWEST_PATCHES, "train and validate", "some ten thousand")
    path = Path(folder) / KIND
    path.parent.mkdir(parents=True, exist_ok=True)
    count = recipe.elements // 8
    held = max(round(_VALIDATION * count), 1)
    training, validation = (_rows(recipe.patches(m, s)) for m, s in ((count - held, 1), (held, 2)))
    features = training[0].reshape(-1, INPUTS)
    scales = standardisation(features)
    # small deformations at first
    scales |= {"output_mean": np.zeros(OUTPUTS), "output_scale": np.full(OUTPUTS, 0.1)}
    network, history = train_perceptron(
        Architecture(INPUTS, OUTPUTS, hidden, "silu"),
        scales,
        _error_reduction,
        training,
        validation,
        options,
        checkpoint=path.with_name(f"{KIND}-training.safetensors"),
        progress=progress,
    )
    card = {
        "kind": KIND,
        "what": "stiffness of the twists of a trilinear element that bends, for isotropic materials",
        "trained_range": (
            f"nodes moved by U(-d, d), d up to {recipe.displacement:g}, half of them along one axis, stretched up to "
            f"{recipe.aspect:g}, sheared up to {recipe.shear:g}; Poisson's ratio from 0 to 0.499"
        ),
        "data": {**asdict(recipe), "training": 8 * (count - held), "validation": 8 * held},
        "training": training_record(options, {"deformation": history}),
    }
    save = partial(save_networks, networks={"deformation": network}, tensors=TrainedRange.of(features).tensors())
    unseen = recipe.patches(min(TEST_PATCHES, count), 3)
    return save_tested(path, card, save, lambda untested: element_test(LearnedTwists(untested), unseen))


def element_test(learned: LearnedTwists, patches: Patches) -> dict[str, float]:
    """Bending errors of ``learned`` and of the other formulations: mean and median over the states of all patches."""
    figures: dict[str, float] = {}
    for name in ("standard", "mean-dilatation", "incompatible", "stabilised"):
        errors = bending_errors(patches, name)
        figures |= {f"mean_{name}": float(errors.mean()), f"median_{name}": float(np.median(errors))}
    errors = bending_errors(patches, learned)
    return figures | {"mean_learned": float(errors.mean()), "median_learned": float(np.median(errors))}


def _rows(patches):
    """What the loss reads of each patch, the features of its cells first."""
    n = len(patches.nodes)
    x = patches.nodes[np.arange(n)[:, None, None], patches.cells].reshape(8 * n, 8, 3)
    lame = np.stack(lame_parameters(np.ones(8 * n), np.repeat(patches.poisson, 8)), axis=1)
    frames = Frames.of(x, lame)
    vectors = (TWISTS - np.einsum("aj,ejk->eak", SIGNS, relative_warp(x))) / 8.0
    factors = (frames.turns @ frames.factors).reshape(8 * n, 4, 36)
    nodal = np.einsum("eak,ekr->ear", vectors, factors).reshape(8 * n, 24, 12)
    forces, exact, rigid = exact_states(patches)
    dofs = (3 * patches.cells[:, :, :, None] + np.arange(3)).reshape(n, 8, 24)
    arrays = [frames.features.reshape(n, 8, INPUTS), frames.distance.reshape(n, 8)]
    arrays += [nodal.reshape(n, 8, 24, 12), _mean_stiffness(x, lame).reshape(n, 8, 24, 24), dofs]
    arrays += [forces, exact, rigid, np.repeat(~patches.used, 3, axis=1).astype(float)]
    classical = [
        (_solve(*(torch.from_numpy(a[i : i + 64]) for a in arrays[2:]), None)) for i in range(0, n, 64)
    ]  # fmt: skip
    return [*arrays, torch.cat(classical).numpy()]


def _mean_stiffness(x, lame):
    """V B̄ᵀ C B̄ (n, 24, 24), node-major."""
    points, weights = tensor_gauss(2, 2, 2)
    matrices = jacobian(x, points)
    volumes = weights * np.abs(np.linalg.det(matrices))
    slopes = np.einsum("akq,eqki,eq->eai", shape_gradients(points), np.linalg.inv(matrices), volumes, optimize=True)
    volume = volumes.sum(axis=1)
    strains = np.zeros((len(x), 6, 8, 3))
    for row, (i, j) in enumerate(((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))):
        strains[:, row, :, i] += slopes[:, :, j]
        if i != j:
            strains[:, row, :, j] += slopes[:, :, i]
    strains = strains.reshape(-1, 6, 24)
    return strains.mT @ isotropic_stiffness(*lame.T) @ strains / volume[:, None, None]


def _solve(nodal, mean, dofs, forces, exact, rigid, unused, deformation):
    """Squares of the bending errors (b, 9) of a batch of patches; ``deformation`` (b, 8, 12, 12), None for zero."""
    b, size = len(nodal), 3 * NODES
    twists = nodal @ nodal.mT
    if deformation is not None:
        changed = nodal + nodal @ deformation
        twists = KEPT * twists + (1.0 - KEPT) * changed @ changed.mT
    batch = torch.arange(b)[:, None, None, None]
    places = (batch * size + dofs[:, :, :, None]) * size + dofs[:, :, None, :]
    matrix = torch.zeros(b * size * size, dtype=torch.float64)
    matrix = matrix.index_add(0, places.reshape(-1), (mean + twists).reshape(-1)).reshape(b, size, size)
    scale = matrix.diagonal(dim1=1, dim2=2).max(dim=1).values.detach()[:, None, None]
    matrix = matrix + scale * rigid @ rigid.mT + scale * torch.diag_embed(unused)
    found = torch.linalg.solve(matrix, forces.mT).mT
    return ((found - exact) ** 2).sum(-1) / (exact**2).sum(-1)


def _error_reduction(outputs, distance, nodal, mean, dofs, forces, exact, rigid, unused, classical):
    """Mean logarithm of the bending error over that of the incompatible element."""
    deformation = outputs.double().reshape(-1, 8, 12, 12) * distance[:, :, None, None]
    errors = _solve(nodal, mean, dofs, forces, exact, rigid, unused, deformation)
    return 0.5 * torch.log((errors + _FLOOR) / (classical + _FLOOR)).mean()
