"""The training of AdaptiveGauss: draw, label, train, calibrate, test, save."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from femnn.geometry.meshers import FAMILIES, family
from femnn.geometry.sampling import distorted_hexahedra
from femnn.networks.model_card import element_card, range_text, require_enough
from femnn.networks.options import TrainingOptions
from femnn.networks.trained_range import TrainedRange
from femnn.networks.weights import save_networks
from femnn.quadrature.adaptive.apriori_estimate import CANDIDATES, FEATURES
from femnn.quadrature.adaptive.calibration import TOLERANCES, Calibration, scores
from femnn.quadrature.adaptive.data import (
    LEAST_POISSON,
    MOST_POISSON,
    DirectionalData,
    DirectionalRecipe,
    make_directional_data,
    mesh_elements,
)
from femnn.quadrature.adaptive.directional_errors import FEWEST, MEASURES, MOST, converged_points
from femnn.quadrature.adaptive.fit import least_corrections, train_directional
from femnn.quadrature.adaptive.network import DirectionalNetwork
from femnn.quadrature.adaptive.predictors import DIRECTIONAL_KIND
from femnn.quadrature.adaptive.tensor_errors import tensor_rule_errors

# One in twelve elements validates, the others train; calibration and test elements are drawn apart.
_VALIDATION = 1 / 12
_FEWEST_ELEMENTS = 60

# Of the cells of mesh files a fifth calibrates: 100 vouch for a confidence of 0.99.
_FEWEST_CELLS = 500

# Seeds beside that of the recipe: elements for the caution, and for the figures of the card.
_CALIBRATES, _REPORTS = 1, 2

#: The family of the cells of a user's mesh files.
OWN = "own meshes"

# Elements of each family of the calibration, of the training elements; half as many test.
_CALIBRATION_SHARE, _MOST_CALIBRATION = 0.1, 2000

#: Elements that a mesh may hold: mildly to strongly distorted, stretched and sheared.
DIRECTIONAL_RECIPE = DirectionalRecipe(
    40_000, displacement=(0.0, 0.4), aspect=30.0, shear=0.45, structured=0.5, meshed=0.15
)

DIRECTIONAL_OPTIONS = TrainingOptions(
    optimizer="adamw", learning_rate=4e-3, weight_decay=1e-4, batch_size=512, epochs=60, threads=1
)


def train_points(folder, recipe=DIRECTIONAL_RECIPE, options=DIRECTIONAL_OPTIONS, progress=True, **where):
    """Make the weights of :class:`femnn.AdaptiveGauss`; returns the path of the file and its test figures.

    Parameters
    ----------
    folder
        Where data, checkpoints and the weight file go; an interrupted run goes on from there.
    recipe, options
        The elements to draw, and how to train; ``options.seed`` seeds the networks, ``recipe.seed`` all elements.
    where
        Of the labelling, see :func:`femnn.networks.element_data.make_dataset`.
    """
    data = make_directional_data(Path(folder) / "directions-data.safetensors", recipe, progress, **where)
    return fit_directional(Path(folder) / DIRECTIONAL_KIND, data, options, progress=progress)


def fit_directional(
    path: str | os.PathLike,
    data: DirectionalData,
    options: TrainingOptions,
    measures: Sequence[str] = MEASURES,
    progress: bool = True,
) -> tuple[Path, dict]:
    """Train, calibrate and test one directional network for each measure and save them; returns path and figures."""
    path = Path(path)
    require_enough(len(data), _FEWEST_ELEMENTS, "train, validate and calibrate", "some thousand")
    data, own = _without_held_out(data)
    first = round(len(data) * (1.0 - _VALIDATION))
    n = min(_MOST_CALIBRATION, max(_FEWEST_ELEMENTS, round(_CALIBRATION_SHARE * len(data))))
    calibration_elements, test_elements = (
        families(data.recipe, _CALIBRATES, n),
        families(data.recipe, _REPORTS, n // 2),
    )
    if own:
        poisson = [np.full(len(cells), data.recipe.poisson) for cells in own]
        calibration_elements[OWN], test_elements[OWN] = zip(own, poisson, strict=True)
    networks, histories = {}, {}
    tensors: dict[str, np.ndarray] = {}
    test: dict[str, Any] = {}
    for measure in measures:
        rows = data[:first].rows(measure)
        checkpoint = path.with_name(f"{path.name}-{measure}-training.safetensors")
        network, history = train_directional(
            rows, data[first:].rows(measure), options, checkpoint=checkpoint, progress=progress
        )
        trained = TrainedRange.of(rows.features.reshape(-1, FEATURES))
        least = least_corrections(rows.corrections.reshape(-1, CANDIDATES))
        directional = DirectionalNetwork.of(network, measure, trained.low, trained.high, least)
        calibration = _calibrated(directional, measure, calibration_elements)
        networks[measure], histories[measure] = network, history
        tensors |= {f"range-{measure}.{end}": values for end, values in vars(trained).items()}
        tensors |= {f"least-{measure}": least}
        tensors |= calibration.tensors(measure)
        test |= _tested(directional, measure, calibration, test_elements)
    card = element_card(
        DIRECTIONAL_KIND,
        f"Error of {FEWEST}..{MOST} Gauss points along each direction of a trilinear hexahedron, entries and energy, "
        "elasticity and Laplace",
        data.recipe,
        options,
        histories,
        {
            "training": first,
            "validation": len(data) - first,
            "calibration_per_family": n,
            "calibration_seed": [data.recipe.seed, _CALIBRATES],
            "test_seed": [data.recipe.seed, _REPORTS],
        },
        trained_range=f"{range_text(data.recipe)} and others, {data.recipe.meshed:.0%} from structured meshes"
        + "".join(f", {Path(name).name}" for name, _ in data.recipe.meshes),
        poisson_range=[LEAST_POISSON, MOST_POISSON],
    )
    return save_networks(path, networks, card | {"test": test}, tensors), test


def _without_held_out(data):
    """The data without two fifths of the cells of the user's mesh files, and these: for calibration and test."""
    places = np.flatnonzero(data.of_files())
    if not data.recipe.meshes:
        return data, ()
    require_enough(len(places), _FEWEST_CELLS, "train, calibrate and test on mesh files", "some thousand")
    held_out = places[0::5], places[1::5]
    kept = np.setdiff1d(np.arange(len(data)), np.concatenate(held_out))
    return data[kept], tuple(data.hexahedra[rows] for rows in held_out)


def families(recipe: DirectionalRecipe, seed: int, n: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Held-out elements by family, each (hexahedra, poisson): the calibration keeps its promise for each.

    Cubes as in the published experiment; elements as in training, as they are, turned, and of all materials; elements
    of the meshes of :mod:`femnn.geometry.families`; and, if the recipe has them, of each family of meshers.
    """
    seeds = np.random.SeedSequence([recipe.seed, seed]).generate_state(6)
    random = np.random.default_rng(seeds[4])
    shape = {"aspect": recipe.aspect, "shear": recipe.shear, "structured": recipe.structured}
    drawn = {
        "cubes": distorted_hexahedra(n, (0.05, 0.35), int(seeds[0])),
        "as trained": distorted_hexahedra(n, recipe.displacement, int(seeds[1]), **shape),
        "turned": distorted_hexahedra(n, recipe.displacement, int(seeds[2]), **shape, rotated=1.0),
        "materials": distorted_hexahedra(n, recipe.displacement, int(seeds[3]), **shape),
        "meshes": mesh_elements(n, random),
    }
    if recipe.families > 0.0:
        drawn |= {name: family(name, n, int(seeds[5])) for name in FAMILIES}
    result = {}
    for name, elements in drawn.items():
        kept = elements[converged_points(elements)[1]]
        poisson = np.full(len(kept), recipe.poisson)
        if name == "materials":
            poisson = random.uniform(LEAST_POISSON, MOST_POISSON, len(kept))
        result[name] = (kept, poisson)
    return result


def _for_measure(held_out, measure):
    return {name: family for name, family in held_out.items() if not (name == "materials" and "laplace" in measure)}


def _calibrated(network, measure, held_out):
    return Calibration.of([scores(network, measure, *family) for family in _for_measure(held_out, measure).values()])


def _tested(network, measure, calibration, held_out):
    """For each decade of the tolerance: misses of the family with the most, points on the distorted cubes."""
    confidence, figures = min(0.99, calibration.confidences[-1]), {}
    for tolerance in TOLERANCES:
        caution = calibration.caution(tolerance, confidence, True)
        missed, out_of_range, points = {}, [], {}
        for name, (elements, poisson) in _for_measure(held_out, measure).items():
            chosen, in_range = network.choose(elements, tolerance, poisson, caution)
            errors = tensor_rule_errors(elements, chosen, poisson, measure)
            missed[name] = float(np.mean(in_range & (errors >= tolerance)))
            out_of_range.append(float(np.mean(~in_range)))
            points[name] = float(chosen[in_range].prod(axis=1).mean()) if in_range.any() else 0.0
        figures[f"{measure} {tolerance:.0e}"] = {
            f"most_misses_at_{confidence:g}": max(missed.values()),
            "most_outside": max(out_of_range),
            "points_per_element": points["cubes"],
        }
        if OWN in missed:
            figures[f"{measure} {tolerance:.0e}"] |= {"misses_on_meshes": missed[OWN], "points_on_meshes": points[OWN]}
    return figures
