"""The training of HourglassCorrection: draw, integrate, train, test, save."""

from functools import partial
from pathlib import Path

import numpy as np

from femnn.assembly.hourglass.correction import KIND, HourglassCorrection
from femnn.assembly.hourglass.moments import COLUMNS, ROWS, converged_moments, hourglass_moments, hourglass_vectors
from femnn.assembly.hourglass.network import hourglass_range, train_hourglass
from femnn.geometry.coordinates import modes, relative_warp
from femnn.geometry.sampling import distorted_hexahedra
from femnn.geometry.symmetry import canonical_pose
from femnn.integration.convergence import converged_stiffness
from femnn.integration.error import stiffness_error
from femnn.integration.gauss import tensor_gauss
from femnn.integration.lame import lame_parameters
from femnn.integration.stiffness import elasticity_stiffness
from femnn.networks.element_data import Recipe, grow
from femnn.networks.model_card import element_card, range_text, require_enough, save_tested
from femnn.networks.options import TrainingOptions
from femnn.networks.trained_range import TrainedRange
from femnn.networks.weights import save_networks
from femnn.tasks.run import task_name

_VALIDATION = 1 / 20
_FEWEST_ELEMENTS = 40

# Elements nearer to a parallelepiped than this are as good as one, and their differences all round-off.
_LEAST_WARP = 1e-4

# Half the elements of the training have the published Poisson's ratio; for the others 1 - 2ν is log-uniform, because
# it is λ/μ = 2ν/(1 - 2ν) that decides which entries of S count.
_POISSON, _POISSON_SHARE, _COMPRESSIBILITY = 0.3, 0.5, (0.01, 1.8)

#: Of the test: as published, and others.
TEST_POISSON = (0.3, -0.4, 0.0, 0.45, 0.49)

#: Elements from nearly parallelepipeds to nearly folded ones; mild stretches, because the metric only weights the loss.
HOURGLASS_RECIPE = Recipe(120_000, displacement=(0.0, 0.38), aspect=3.0, shear=0.3, structured=0.4)

HOURGLASS_OPTIONS = TrainingOptions(
    optimizer="adamw", learning_rate=4e-3, weight_decay=1e-4, batch_size=256, epochs=40, threads=1
)


def train_correction(folder, recipe=HOURGLASS_RECIPE, options=HOURGLASS_OPTIONS, progress=True, **where):
    """Make the weights of ``femnn.HourglassCorrection``, as :func:`femnn.quadrature.adaptive.train.train_points`."""
    require_enough(recipe.elements, _FEWEST_ELEMENTS, "train and validate", "some ten thousand")
    path = Path(folder) / KIND
    file = path.with_name(f"{KIND}-data.safetensors")
    data = grow(file, recipe, _differences_of, ("hexahedra", "differences"), progress, **where)
    rows = _rows(data["hexahedra"], data["differences"], recipe.seed)
    first = round(len(rows[0]) * (1.0 - _VALIDATION))
    training, validation = [part[:first] for part in rows], [part[first:] for part in rows]
    network, history = train_hourglass(
        training, validation, options, checkpoint=path.with_name(f"{KIND}-training.safetensors"), progress=progress
    )
    test_seed = recipe.seed + 1_000_003
    unseen = distorted_hexahedra(min(5000, recipe.elements), (0.05, 0.35), test_seed)
    card = element_card(
        KIND,
        "what 2 x 2 x 2 Gauss points miss of a trilinear element's stiffness, for any linear material",
        recipe,
        options,
        {"factors": history},
        {"training": first, "validation": len(rows[0]) - first, "test": len(unseen), "test_seed": test_seed},
        trained_range=range_text(recipe).rpartition(";")[0],
    )

    def test(untested):
        return correction_test(HourglassCorrection(weights=untested), unseen)

    save = partial(save_networks, networks={"factors": network}, tensors=_range(rows[0]).tensors())
    return save_tested(path, card, save, test)


@task_name("femnn.commands.training_hourglass._differences_of")
def _differences_of(hexahedra, recipe, first):
    """Elements in the canonical pose, and the 78 entries of S that 2×2×2 points miss."""
    hexahedra = canonical_pose(hexahedra)[0]
    warps = relative_warp(hexahedra)
    missed = converged_moments(warps) - hourglass_moments(warps, 2)
    return {"hexahedra": hexahedra, "differences": missed[:, ROWS, COLUMNS]}


def _rows(hexahedra, differences, seed):
    """The arrays that :func:`femnn.assembly.hourglass.network.train_hourglass` reads."""
    warps = relative_warp(hexahedra)
    kept = np.linalg.norm(warps, axis=(1, 2)) > _LEAST_WARP
    warps = warps[kept]
    linear = modes(hexahedra[kept])[1]
    # size cancels: unit volume keeps float32 far from its limits
    inverses = np.linalg.inv(linear / np.cbrt(np.abs(np.linalg.det(linear)))[:, None, None])
    random = np.random.default_rng([seed, 1])
    published = random.uniform(size=len(warps)) < _POISSON_SHARE
    compressibility = np.exp(random.uniform(*np.log(_COMPRESSIBILITY), len(warps)))
    poisson = np.where(published, _POISSON, 0.5 * (1.0 - compressibility))
    constants = np.stack(lame_parameters(np.ones(len(warps)), poisson), axis=1)
    return [warps, differences[kept], inverses, hourglass_vectors(warps), constants]


def _range(warps):
    """The trained range, with parallelepipeds in it; det J is positive, so no margin widens its lower end."""
    described = hourglass_range(warps)
    trained = TrainedRange.of(described)
    low, high = trained.low.copy(), trained.high.copy()
    low[12], low[13], high[13] = 0.0, described[:, 13].min(), max(high[13], 1.0)
    return TrainedRange(np.minimum(low, hourglass_range(np.zeros((1, 3, 4)))[0]), high)


def correction_test(correction: HourglassCorrection, hexahedra: np.ndarray) -> dict[str, float]:
    """R_error against 2×2×2 points on all ``hexahedra``, by Poisson's ratio."""
    figures = {"outside": float(np.mean(~correction.corrected(hexahedra)))}
    for poisson in TEST_POISSON:
        ratio = corrected_r_error(correction, hexahedra, poisson)
        figures[f"mean_r_error_at_{poisson:g}"] = float(ratio.mean())
        figures[f"share_below_1_at_{poisson:g}"] = float(np.mean(ratio < 1.0))
    return figures


def corrected_r_error(correction: HourglassCorrection, hexahedra: np.ndarray, poisson: float = 0.3) -> np.ndarray:
    """R_error of the corrected stiffness of every element, (n,)."""
    references, _ = converged_stiffness(hexahedra, poisson)
    standard = stiffness_error(elasticity_stiffness(hexahedra, *tensor_gauss(2, 2, 2), poisson=poisson), references)
    return stiffness_error(correction.stiffness(hexahedra, poisson=poisson), references) / standard
