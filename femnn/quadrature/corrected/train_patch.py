"""The training of CorrectedGauss(points=3, patch=True): draw, integrate, train, test, save."""

from functools import partial
from pathlib import Path

import numpy as np

from femnn.exceptions import warn
from femnn.geometry.coordinates import invariant_coordinates
from femnn.geometry.quality import distance_from_parallelepiped
from femnn.geometry.sampling import distorted_hexahedra
from femnn.geometry.symmetry import canonical_pose
from femnn.integration.convergence import converged_stiffness
from femnn.integration.error import error_against
from femnn.networks.element_data import Recipe
from femnn.networks.features import features_named
from femnn.networks.model_card import element_card, require_enough, save_tested
from femnn.networks.options import TrainingOptions
from femnn.networks.trained_density import TrainedDensity
from femnn.networks.trained_range import TrainedRange
from femnn.networks.weights import save_networks
from femnn.quadrature.corrected.patch_networks import FEATURES, patch_systems, train_patch_weights
from femnn.quadrature.corrected.rule import PATCH_KIND, CorrectedGauss
from femnn.quadrature.gauss import GaussLegendre

_VALIDATION = 1 / 15
_FEWEST_ELEMENTS = 40

#: Elements of the paper's experiment, and flatter ones. Those of structured meshes have little to gain: trained on them
#: too, the network was worse on random elements and no better on meshes.
PATCH_RECIPE = Recipe(40_000, displacement=(0.0, 0.38))

PATCH_OPTIONS = TrainingOptions(
    optimizer="adamw", learning_rate=3e-3, weight_decay=1e-4, batch_size=128, epochs=90, threads=1
)


def train_patch(folder, recipe=PATCH_RECIPE, options=PATCH_OPTIONS, progress=True):
    """Make the weights of ``femnn.CorrectedGauss(points=3, patch=True)``.

    Arguments and result as for :func:`femnn.quadrature.adaptive.train.train_points`.
    """
    require_enough(recipe.elements, _FEWEST_ELEMENTS, "train and validate", "some ten thousand")
    path = Path(folder) / PATCH_KIND
    canonical = canonical_pose(recipe.hexahedra())[0]
    described = invariant_coordinates(canonical)
    *systems, kept = patch_systems(canonical, recipe.poisson)
    canonical = canonical[kept]
    rows = [features_named(FEATURES).function(canonical), distance_from_parallelepiped(canonical), *systems]
    first = round(len(canonical) * (1.0 - _VALIDATION))
    network, history = train_patch_weights(
        [part[:first] for part in rows],
        [part[first:] for part in rows],
        options,
        checkpoint=path.with_name(f"{PATCH_KIND}-training.safetensors"),
        progress=progress,
    )
    card = element_card(
        PATCH_KIND,
        "27 weights of 3 x 3 x 3 Gauss points, moved where the patch test allows it",
        recipe,
        options,
        {"changes": history},
        {"training": first, "validation": len(canonical) - first},
        features=FEATURES,
        poisson=recipe.poisson,
    )
    unseen = distorted_hexahedra(min(5000, recipe.elements), (0.05, 0.35), recipe.seed + 1_000_003)

    def test(untested):
        return patch_test(CorrectedGauss(3, patch=True, weights=untested), unseen)

    tensors = TrainedRange.of(described).tensors() | TrainedDensity.of(described).tensors()
    save = partial(save_networks, networks={"changes": network}, tensors=tensors)
    saved, figures = save_tested(path, card, save, test)
    if figures["mean_r_error"] >= 1.0:
        does = f"makes elements worse, not better (mean R_error {figures['mean_r_error']:.3f})"
        warn(f"{saved} {does}; train on more elements or for more epochs")
    return saved, figures


def patch_test(rule: CorrectedGauss, hexahedra: np.ndarray) -> dict[str, float]:
    """R_error against 27 Gauss points on all ``hexahedra`` with a converged reference."""
    references, doubt = converged_stiffness(hexahedra, rule.card["poisson"])
    standard = error_against(hexahedra, GaussLegendre(3), references, rule.card["poisson"])
    converged = doubt < 1e-3 * standard
    errors = error_against(hexahedra, rule, references, rule.card["poisson"])
    ratio = errors[converged] / standard[converged]
    return {
        "corrected": float(rule.corrected(hexahedra).mean()),
        "share_below_1": float(np.mean(ratio < 1.0)),
        "mean_r_error": float(ratio.mean()),
    }
