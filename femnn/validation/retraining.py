"""The regressor of `CorrectedGauss`, trained again at the budget of `femnn train weights` by other methods.

>>> from femnn.validation.retraining import CHANGES
>>> CHANGES["SiLU, Xavier's weights"]["activation"]
'silu'
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from femnn.checks import one_of
from femnn.networks.element_data import Recipe, make_dataset
from femnn.networks.weights import load_networks
from femnn.quadrature.corrected.networks import improvable, predicted_r_error, train_regressor
from femnn.quadrature.corrected.rule import KIND
from femnn.quadrature.corrected.train import REGRESSOR_OPTIONS, WEIGHTS_RECIPE, split
from femnn.tasks.run import task_name

# Cells that neither training nor any choice has seen, and their seed.
_FRESH, _FRESH_SEED = 2000, 1_000_003

#: What is changed of the training of the shipped regressor: options, activation, initial weights.
CHANGES: Mapping[str, Mapping[str, Any]] = {
    "AdamW, weight decay 0.01": {"optimizer": "adamw", "weight_decay": 0.01},
    "SiLU, Xavier's weights": {"activation": "silu", "initialisation": "xavier"},
}


@task_name("femnn.validation.retraining.retraining_task")
def retraining_task(change: str, elements: int, folder: str, seed: int) -> dict[str, np.ndarray]:
    """Train the regressor with one of `CHANGES` as a task of :func:`femnn.tasks.run.run_tasks`; its figures.

    Parameters
    ----------
    change
        Name of the change.
    elements
        Of the recipe of `femnn train weights`, whose budget has 40,000.
    folder
        Keeps the labelled elements.
    seed
        Of the training.

    Returns
    -------
    dict
        As `fresh_figures`, and the best loss of validation, the epochs and the seconds that they took.
    """
    one_of("change", change, tuple(CHANGES))
    data = make_dataset(Path(folder) / f"weights-{elements}.safetensors", replace(WEIGHTS_RECIPE, elements=elements))
    training, validation, _ = split(data)
    settings = dict(CHANGES[change])
    network = {name: settings.pop(name) for name in ("activation", "initialisation") if name in settings}
    options = replace(REGRESSOR_OPTIONS, seed=seed, **settings)
    regressor, history = train_regressor(training, validation, options, progress=False, **network)
    course = {"validation": history.best_loss, "epochs": history.epochs, "seconds": sum(history.seconds)}
    return {name: np.array(value) for name, value in (fresh_figures(regressor, folder) | course).items()}


def fresh_figures(regressor, folder: str | Path) -> dict[str, float]:
    """R_error of the weights of a regressor on the improvable of 2,000 fresh cells, and of the best weights there."""
    recipe = Recipe(_FRESH, displacement=WEIGHTS_RECIPE.displacement, seed=_FRESH_SEED)
    fresh = make_dataset(Path(folder) / f"fresh-{_FRESH}.safetensors", recipe)
    fresh = fresh[improvable(fresh)]
    ratios = predicted_r_error(regressor, fresh)
    return {
        "mean_r_error": float(ratios.mean()),
        "share_below_1": float(np.mean(ratios < 1.0)),
        "optimum": float(fresh.optimum.mean()),
    }


def shipped_figures(folder: str | Path) -> dict[str, float]:
    """`fresh_figures` of the shipped regressor."""
    return fresh_figures(load_networks(KIND).networks["regressor"], folder)
