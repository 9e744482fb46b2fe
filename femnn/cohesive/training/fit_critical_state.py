"""From responses of layers of grains to the weight file of a critical-state law: least squares, without torch.

Pressures and slidings of the data go in; openings and friction ratios are compared, which is what a fault feels. Driven
by its separation a layer answers an error of a hundredth of d in the opening by an error of a fifth of the pressure, so
errors in ln t_n say little about a law, and are listed beside only.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import brentq, least_squares

from femnn.checks import checked, instance
from femnn.cohesive.recurrent.critical_state import LAYER, SLIDERS, CriticalState, largest_rates, pressures
from femnn.cohesive.recurrent.law import RecurrentCohesive
from femnn.cohesive.training.data import PathData, responses
from femnn.cohesive.training.fit import describe
from femnn.cohesive.training.precompressed_data import OPEN, rms_errors
from femnn.exceptions import DatasetError, WeightFileError
from femnn.io.weight_files import save_weights

#: Errors of the friction ratio and of the opening (d) that weigh alike.
RATIO, OPENING = 0.05, 0.03

# Reaches of the sliders at the beginning, d; how far apart neutral points begin, over the distance.
_SHORTEST, _LONGEST, _NEUTRAL = 2e-3, 0.1, 0.3
# Lengths of the fabric, d.
_MEMORY, _SLOW_MEMORY = 0.15, 3.0
# Farthest neutral point, over the distance.
_FARTHEST = 2.0
# Weight of a number that leaves its first value by a factor e, over that of all data.
_PRIOR = 1e-3
# Share of the pressure that the springs of the sliders may carry.
_MOST_CARRIED = 0.6
# Points of each set, whole paths of it, that bring the numbers near.
_PART = 2000
# Steps on all paths: so many times fewer than those before, and at least so many.
_FEWER, _LEAST = 3, 2
# Residuals beyond this many times their weight count linearly.
_ROBUST = 2.0
# Step of differences.
_STEP = 1e-4


@checked(sliders="[1, 100]", iterations="[1, 10000]")
def fit_critical_state_law(
    path: str | os.PathLike, training: PathData | Sequence[PathData], tests: Mapping[str, PathData], *,
    sliders: int = 6, iterations: int = 40, progress: bool = True,
) -> tuple[RecurrentCohesive, dict]:  # fmt: skip
    """Train a critical-state law, test it and write its weight file.

    Parameters
    ----------
    path
        Of the weight file, without suffix.
    training, tests
        Of one sample or of several: the law is that of their mean; several sets may differ in their numbers of points.
        In units of the virgin layer, see
        :func:`femnn.cohesive.training.path_data`. Every point counts at which the layer is pressed.
    sliders
        Number of sliders.
    iterations
        Steps of the least squares (trust region, robust loss) on a part of the paths; on all of them a third as many.
    progress
        Print the cost of each step.

    Returns
    -------
    law : RecurrentCohesive
    figures : dict
        By the name of each test, :func:`structure_errors` and :func:`femnn.cohesive.training.rms_errors`.

    Examples
    --------
    Two steps, which are too few, on a few of the shipped paths:

    >>> from femnn.cohesive.training import fit_critical_state_law, layer_data
    >>> from femnn.multiscale.grains import load
    >>> data = layer_data(load(), slice(0, 4))
    >>> law, figures = fit_critical_state_law(
    ...     "layer", data, {"same": data}, sliders=3, iterations=2, progress=False
    ... )
    >>> law.network, sorted(figures["same"])
    ('critical-state', ['ln_normal', 'opening', 'ratio', 'ratio_under_pressure', 'traction'])
    """
    sets = [training] if isinstance(training, PathData) else list(training)
    if not sets:
        raise DatasetError("training is empty; pass the paths of a sample, or a list of those of several")
    for data in (*sets, *tests.values()):
        instance("a value of training or tests", data, PathData)
    guess = _first(sliders)
    # a part of the paths brings the numbers near, which all of them together do in many times the time
    part = [data[:: max(1, round(data.separations[..., 0].size / _PART))] for data in sets]
    numbers = _least_squares(part, guess, guess, iterations, progress).x
    found = _least_squares(sets, guess, numbers, max(_LEAST, iterations // _FEWER), progress)
    tensors = tensors_of(found.x)
    what = "law of a precompressed, frictional layer: sliders around a critical state; inputs: opening and two shears"
    card = describe(what, "critical-state", sets[-1], [], [], {}, {})
    card["trained_range"] = _range(sets)
    card["training"] = {
        "method": "least squares of opening and friction ratio under the pressures and slidings of the data",
        "parameters": {"traction": len(guess)}, "iterations": int(found.nfev), "cost": float(f"{found.cost:.3g}"),
        "paths": sum(map(len, sets)),
    }  # fmt: skip
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    named = {f"traction.{name}": values for name, values in tensors.items()}
    law = RecurrentCohesive.load(save_weights(path, named, {**card, "test": {}}))
    figures = {
        name: structure_errors(law, data) | rms_errors(responses(law, data), data) for name, data in tests.items()
    }
    rounded = {name: {key: float(f"{value:.3g}") for key, value in row.items()} for name, row in figures.items()}
    return RecurrentCohesive.load(save_weights(path, named, {**card, "test": rounded})), figures


def _least_squares(sets, guess, start, iterations, progress):
    """The least squares of some data, from ``start``; ``guess`` is what numbers are drawn to."""
    pressed = [_pressed(data) for data in sets]
    points = sum(int(each.sum()) for each in pressed)
    weight = 1.0 / np.sqrt(max(1, points))

    def residuals(numbers):
        try:
            cell, parts = CriticalState(tensors_of(numbers)), []
        except (WeightFileError, ValueError):
            # a step so long that numbers overflow is taken shorter
            return np.full(3 * points + len(numbers), np.inf)
        for data, counts in zip(sets, pressed, strict=True):
            opening, ratio = _differences(cell, data)
            parts += [opening[counts] / OPENING, ratio[counts].ravel() / RATIO]
        return np.concatenate([weight * np.concatenate(parts), np.sqrt(_PRIOR) * (numbers - guess)])

    def jacobian(numbers):
        # one step for all: what is learned are logarithms and the like, of which some are zero
        first = residuals(numbers)
        moved = (numbers + _STEP * row for row in np.eye(len(numbers)))
        return np.column_stack([(residuals(each) - first) / _STEP for each in moved])

    return least_squares(
        residuals, start, jacobian, method="trf", x_scale="jac", max_nfev=iterations, ftol=1e-4, loss="soft_l1",
        f_scale=_ROBUST * weight, verbose=2 if progress else 0,
    )  # fmt: skip


@checked()
def structure_errors(law: RecurrentCohesive, data: PathData) -> dict[str, float]:
    """Root mean squares of what a structure feels, over the points at which the layer is pressed.

    ``opening`` (d) and ``ratio_under_pressure`` of a critical-state law under the pressures and slidings of the data;
    ``traction``, of the difference of tractions over p0 along their separations.

    Examples
    --------
    >>> import femnn
    >>> from femnn.cohesive.training import layer_data, structure_errors
    >>> from femnn.multiscale.grains import load
    >>> law = femnn.RecurrentCohesive.load("fault-grains")
    >>> sorted(structure_errors(law, layer_data(load(), slice(0, 3))))
    ['opening', 'ratio_under_pressure', 'traction']
    """
    pressed = _pressed(data)
    off = np.linalg.norm(responses(law, data) - data.tractions, axis=-1) / data.traction_scale
    opening, ratio = _differences(CriticalState(law.tensors()), data)
    return {
        "opening": _rms(opening[pressed]),
        "ratio_under_pressure": _rms(np.linalg.norm(ratio, axis=-1)[pressed]),
        "traction": _rms(off[pressed]),
    }


def _range(sets):
    """The range of all sets together, as a card has it."""
    ranges = [data.trained_range() for data in sets]
    ends = {"low": np.min, "high": np.max}
    return {**ranges[0], **{name: end([each[name] for each in ranges], axis=0).tolist() for name, end in ends.items()}}


def _rms(values):
    return float(np.sqrt(np.mean(values**2)))


def _pressed(data):
    return -data.tractions[..., 0] / data.traction_scale > OPEN


def _differences(cell, data):
    """Of openings (n, k) and friction ratios (n, k, 2), under the pressures and slidings of the data."""
    pressure = np.maximum(-data.tractions[..., 0] / data.traction_scale, OPEN)
    opening, ratio = cell.under_pressure(pressure, data.separations[..., 1:] / data.separation_scale)
    expected = data.tractions[..., 1:] / data.traction_scale / pressure[..., None]
    return opening - data.separations[..., 0] / data.separation_scale, ratio - expected


def _first(sliders):
    """What is learned, where it begins: see :func:`tensors_of`."""
    reach = np.log(np.geomspace(_SHORTEST, _LONGEST, sliders))
    neutral = np.linspace(_NEUTRAL, -_NEUTRAL, sliders)
    rows = [np.full(sliders, np.log(0.37 / sliders)), reach, np.full(sliders, -0.7), np.zeros(sliders), neutral,
            np.full(sliders, 0.5), np.full(sliders, -2.0), np.full(sliders, -2.0)]  # fmt: skip
    # as stiff as virgin layers of the shipped data are
    layer = [np.log(12.5), -0.13, np.log(0.01), np.log(0.35), 0.3, 0.0, np.log(_MEMORY), np.log(_SLOW_MEMORY)]
    return np.concatenate([*rows, layer])


def tensors_of(numbers: np.ndarray) -> dict[str, np.ndarray]:
    """Tensors of a critical-state cell that keeps its promises, from any numbers (8 k + 8,)."""
    last = len(LAYER)
    strength, reach, gain, share, neutral, fabric, turn, slow_turn = numbers[:-last].reshape(len(SLIDERS), -1)
    stiffness, asymmetry, rounding, distance, compression, softening, memory, slow_memory = numbers[-last:]
    stiffness, distance, strength = np.exp(stiffness), np.exp(distance), np.exp(strength)
    layer = np.array(
        [stiffness, 0.9 * stiffness * np.tanh(asymmetry), np.exp(rounding), distance, 0.3 * np.tanh(compression),
         0.3 * np.tanh(softening), np.exp(memory), np.exp(slow_memory)]
    )  # fmt: skip
    sliders = np.array([strength, np.exp(reach), 1.5 * _sigmoid(gain), np.ones_like(strength), neutral,
                        np.exp(fabric), distance * np.exp(turn), distance * np.exp(slow_turn)])  # fmt: skip
    # springs that carry much of the pressure would make the layer's pressure ambiguous
    sliders[1] /= 1.0 + (pressures(sliders, layer) - 1.0) / _MOST_CARRIED
    neutral = _FARTHEST * distance * np.tanh(neutral / _FARTHEST)

    def rates(shift):
        sliders[4] = neutral - shift
        return _sigmoid(share) * largest_rates(sliders, layer), sliders[4]

    def unbalanced(shift):
        rate, points = rates(shift)
        return rate @ points

    reach_of_shift = np.abs(neutral).max() + 1e-9
    shift = brentq(unbalanced, -reach_of_shift, reach_of_shift, xtol=1e-15, rtol=1e-14)
    sliders[3] = rates(shift)[0]
    # rounding errors of the root
    sliders[4] -= sliders[3] @ sliders[4] / sliders[3].sum()
    return {"sliders": sliders, "layer": layer}


def _sigmoid(values):
    return 0.5 * (1.0 + np.tanh(0.5 * np.asarray(values)))
