"""From nothing to the weights of CorrectedGauss(points=3, patch=True): draw, integrate, train, test, save."""

from dataclasses import asdict
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
from femnn.networks.model_card import range_text, require_enough, save_tested
from femnn.networks.trained_range import TrainedRange
from femnn.networks.training import TrainingOptions
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
    """Make the weights of ``femnn.CorrectedGauss(points=3, patch=True)``; returns the path and the test figures.

    Parameters
    ----------
    folder
        Where the checkpoint and ``patch-weights.safetensors`` go; an interrupted training goes on from there.
    recipe, options
        What to draw and how to train; ``options.seed`` seeds the network, ``recipe.seed`` all elements.
    """
    require_enough(recipe.elements, _FEWEST_ELEMENTS, "train and validate", "some ten thousand")
    path = Path(folder) / PATCH_KIND
    posed = canonical_pose(recipe.hexahedra())[0]
    *systems, settled = patch_systems(posed, recipe.poisson)
    posed = posed[settled]
    rows = [features_named(FEATURES).function(posed), distance_from_parallelepiped(posed), *systems]
    first = round(len(posed) * (1.0 - _VALIDATION))
    network, history = train_patch_weights(
        [part[:first] for part in rows],
        [part[first:] for part in rows],
        options,
        checkpoint=path.with_name(f"{PATCH_KIND}-training.safetensors"),
        progress=progress,
    )
    card = {
        "kind": PATCH_KIND,
        "what": "27 weights of 3 x 3 x 3 Gauss points, moved where the patch test allows it",
        "features": FEATURES,
        "poisson": recipe.poisson,
        "trained_range": range_text(recipe),
        "data": {**asdict(recipe), "training": first, "validation": len(posed) - first},
        "training": asdict(options),
        "history": str(history),
    }
    tensors = TrainedRange.of(invariant_coordinates(posed)).tensors()
    unseen = distorted_hexahedra(min(5000, recipe.elements), (0.05, 0.35), recipe.seed + 1_000_003)

    def test(untested):
        return patch_test(CorrectedGauss(3, patch=True, weights=untested), unseen)

    saved, figures = save_tested(path, {"changes": network}, card, tensors, test)
    if figures["mean_r_error"] >= 1.0:
        does = f"makes elements worse, not better (mean R_error {figures['mean_r_error']:.3f})"
        warn(f"{saved} {does}; train on more elements or for more epochs")
    return saved, figures


def patch_test(rule, hexahedra):
    """R_error against 27 Gauss points on all ``hexahedra`` that converged integration settles."""
    references, doubt = converged_stiffness(hexahedra, rule.card["poisson"])
    standard = error_against(hexahedra, GaussLegendre(3), references, rule.card["poisson"])
    settled = doubt < 1e-3 * standard
    found = error_against(hexahedra, rule, references, rule.card["poisson"])
    ratio = found[settled] / standard[settled]
    return {
        "corrected": float(rule.corrected(hexahedra).mean()),
        "share_below_1": float(np.mean(ratio < 1.0)),
        "mean_r_error": float(ratio.mean()),
    }
