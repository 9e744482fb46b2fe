"""From responses of layers of grains to the weight file of a critical-state law: least squares, without torch.

Pressures and slidings of the data go in; openings and friction ratios are compared, which is what a fault feels. Driven
by its separation a layer answers an error of a hundredth of d in the opening by an error of a fifth of the pressure, so
errors in ln t_n say little about a law, and are listed beside only.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

from femnn.checks import checked, instance
from femnn.cohesive.recurrent.critical_state import _LENGTHS, _PRESSURE, LAYER, SLIDERS, CriticalState, pressures
from femnn.cohesive.recurrent.critical_state_derivatives import paths_with_derivatives
from femnn.cohesive.recurrent.law import RecurrentCohesive
from femnn.cohesive.training.data import PathData, responses
from femnn.cohesive.training.fit import describe
from femnn.cohesive.training.precompressed_data import OPEN, rms_errors
from femnn.exceptions import DatasetError, WeightFileError
from femnn.io.weight_files import save_weights

#: Errors of the friction ratio and of the opening (d) that weigh alike; those of paths that slide by less than SMALL d.
RATIO, OPENING = 0.05, 0.03
SMALL_RATIO, SMALL_OPENING, SMALL = 0.015, 0.006, 0.1
#: Error of the shear traction over p0 that weighs as much: under a high pressure the ratio counts more.
TRACTION = 0.06

# Reaches of the sliders at the beginning, d; how far apart neutral points begin, over the distance.
_SHORTEST, _LONGEST, _NEUTRAL = 2e-3, 0.1, 0.5
# Lengths of the structure of a prepared layer and of the fabrics, d; what these do to neutral points at the beginning,
# as a logarithm over the distance.
_STRUCTURE, _MEMORIES, _TURN = 0.5, (0.4, 3.0), -1.0
# At the beginning: c, as a logarithm; saturations over their largest, before a sigmoid; what moves the critical state,
# and the densest layer, as logarithms over the distance; the ways that it takes, d.
_CONTACT, _SATURATION = -1.0, 0.0
_LOOSENING, _COMPACTION, _LINE, _DENSEST, _COMPACTED, _LOOSENED = -1.6, -1.6, -2.0, -1.0, 2.0, 2.0
# How fast opposite fabrics turn, at the beginning, before a sigmoid.
_TURNING = 0.0
# Powers of a layer's length that its numbers go with; others are no lengths, or shares of the distance.
_POWERS = {
    "stiffness": -1.0, "rounding": 1.0, "distance": 1.0, "structure": 1.0, "compacted": 1.0, "loosened": 1.0,
}  # fmt: skip
# Rate of opening at the beginning, of all sliders, over d.
_RATE = 1.2
# Largest factor of what opening adds to a strength; largest share of a strength that is lost against the fabric.
_MOST_DILATANCY, _MOST_LOSS = 4.0, 0.98
# Least reach over the distance, before all are shortened for what springs may carry: much stiffer springs have no use.
_LEAST_REACH = 1e-3
# Farthest neutral point, over the distance.
_FARTHEST = 2.0
# Of so many paths at least, one in a few is learned first: that is quick, and what all paths teach depends less on the
# first numbers then.
_MANY, _SHARE = 100, 4
# Weight of a number that leaves its first value by one (most are logarithms), over that of a path.
_PRIOR = 3e-4
# Residuals beyond this many times their weight count linearly.
_ROBUST = 2.0
# Least gain of a step of the least squares, over the cost.
_GAIN = 1e-5
# Step of differences, of what tensors are made from.
_STEP = 1e-6


@checked(sliders="[1, 100]", iterations="[1, 10000]", length="(0, inf)")
def fit_critical_state_law(
    path: str | os.PathLike, training: PathData | Sequence[PathData], tests: Mapping[str, PathData], *,
    weights: Sequence[float] | None = None, sliders: int = 6, iterations: int = 100, length: float = 1.0,
    progress: bool = True,
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
    weights
        Of a path of each set of ``training``; 1 if not given.
    sliders
        Number of sliders.
    iterations
        Steps of the least squares (trust region, robust loss, exact derivatives along the paths); of many paths a part
        is learned first, in as many steps again.
    length
        Of the data, over those of one layer of grains: as many layers as lie in series, which share sliding and
        opening. Lengths of the law begin so many times as long, and errors of openings weigh as much less.
    progress
        Print the cost of each step.

    Returns
    -------
    law : RecurrentCohesive
    figures : dict
        By the name of each test, :func:`structure_errors` and :func:`femnn.cohesive.training.rms_errors`.

    Raises
    ------
    DatasetError
        If there is nothing to learn, or not a weight for each set.

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
    weights = [1.0] * len(sets) if weights is None else list(weights)
    if len(weights) != len(sets) or not min(weights) > 0.0:
        raise DatasetError(f"weights={weights} for {len(sets)} sets of paths; pass a positive number for each")
    guess = _first(sliders, length)
    begin = guess
    if sum(map(len, sets)) >= _MANY:
        few = [_some(data) for data in sets]
        begin = _least_squares(few, weights, guess, guess, sliders, iterations, length, progress).x
    found = _least_squares(sets, weights, guess, begin, sliders, iterations, length, progress)
    tensors = tensors_of(found.x, sliders)
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


def _some(data):
    """A share of the paths, at random."""
    rows = np.sort(np.random.default_rng(0).permutation(len(data))[: -(-len(data) // _SHARE)])
    micro = {name: values[rows] for name, values in data.microstructure.items()}
    return replace(data, separations=data.separations[rows], tractions=data.tractions[rows], microstructure=micro)


def _least_squares(sets, weights, guess, begin, sliders, iterations, length, progress):
    """The least squares of some data, from ``begin``; numbers are drawn to ``guess``."""
    learned = [_Learned(data, weight, length) for data, weight in zip(sets, weights, strict=True)]
    prior = np.sqrt(_PRIOR * sum(map(len, sets)))
    size = sum(3 * int(each.pressed.sum()) for each in learned) + len(guess)

    def residuals(numbers):
        try:
            cell = CriticalState(tensors_of(numbers, sliders))
        except (WeightFileError, ValueError):
            # a step so long that numbers overflow is taken shorter
            return np.full(size, np.inf)
        parts = [each.residuals(*cell.under_pressure(each.pressure, each.sliding)) for each in learned]
        return np.concatenate([*parts, prior * (numbers - guess)])

    def jacobian(numbers):
        tensors = tensors_of(numbers, sliders)
        moves = (_STEP * row for row in np.eye(len(numbers)))
        by_numbers = np.column_stack(
            [(_flat(tensors_of(numbers + move, sliders)) - _flat(tensors_of(numbers - move, sliders))) / (2.0 * _STEP)
             for move in moves]
        )  # fmt: skip
        parts = [each.derivatives(tensors) @ by_numbers for each in learned]
        return np.concatenate([*parts, prior * np.eye(len(numbers))])

    points = np.mean([1.0 / np.sqrt(each.pressure.shape[1]) for each in learned])
    return least_squares(
        residuals, begin, jacobian, method="trf", x_scale="jac", max_nfev=iterations, ftol=_GAIN, loss="soft_l1",
        f_scale=_ROBUST * points, verbose=2 if progress else 0,
    )  # fmt: skip


class _Learned:
    """A set of paths as least squares see it: pressures and slidings, and how much each error counts."""

    def __init__(self, data, weight, length):
        self.pressed, self.pressure = _pressed(data), _pressure(data)
        self.sliding = np.ascontiguousarray(data.separations[..., 1:]) / data.separation_scale
        self.opening = data.separations[..., 0] / data.separation_scale
        self.ratio = data.tractions[..., 1:] / data.traction_scale / self.pressure[..., None]
        small = (np.linalg.norm(self.sliding, axis=-1).max(axis=1) < SMALL * length)[:, None]
        share = np.sqrt(weight / self.pressure.shape[1])
        by_ratio = share / np.minimum(np.where(small, SMALL_RATIO, RATIO), TRACTION / self.pressure)
        by_opening = share / (length * np.where(small, SMALL_OPENING, OPENING)) * np.ones_like(self.pressure)
        self._by_ratio, self._by_opening = by_ratio[self.pressed], by_opening[self.pressed]

    def residuals(self, opening, ratio):
        opening = (opening - self.opening)[self.pressed] * self._by_opening
        return np.concatenate([opening, ((ratio - self.ratio)[self.pressed] * self._by_ratio[:, None]).ravel()])

    def derivatives(self, tensors):
        """Of the residuals, by the numbers of the tensors."""
        _, _, opening, ratio = paths_with_derivatives(self.pressure, self.sliding, **tensors)
        ratio = ratio[self.pressed] * self._by_ratio[:, None, None]
        return np.concatenate([opening[self.pressed] * self._by_opening[:, None], ratio.reshape(-1, ratio.shape[-1])])


def _flat(tensors):
    return np.concatenate([tensors["sliders"].ravel(), tensors["layer"]])


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


def _pressure(data):
    return np.maximum(-data.tractions[..., 0] / data.traction_scale, OPEN)


def _differences(cell, data):
    """Of openings (n, k) and friction ratios (n, k, 2), under the pressures and slidings of the data."""
    pressure = _pressure(data)
    opening, ratio = cell.under_pressure(pressure, data.separations[..., 1:] / data.separation_scale)
    expected = data.tractions[..., 1:] / data.traction_scale / pressure[..., None]
    return opening - data.separations[..., 0] / data.separation_scale, ratio - expected


def _first(sliders, length=1.0):
    """What is learned, where it begins: see :func:`tensors_of`; lengths are so many times those of a layer."""
    reach = np.log(length * np.geomspace(_SHORTEST, _LONGEST, sliders))
    neutral = np.linspace(_NEUTRAL, -_NEUTRAL, sliders)
    rate = np.log(_RATE / (sliders * length))
    each = np.ones(sliders)
    rows = [np.log(0.37 / sliders) * each, reach, -0.5 * each, rate * each, neutral, _TURN * each, 0.5 * each,
            _SATURATION * each]  # fmt: skip
    # as stiff as virgin layers of the shipped data are
    moved = [_LOOSENING, _COMPACTION, _LINE, _DENSEST]
    layer = [np.log(12.5), -0.13, np.log(0.01), _CONTACT, np.log(0.35), *moved, _TURNING]
    layer = np.concatenate([layer, np.log([_STRUCTURE, _COMPACTED, _LOOSENED, *_MEMORIES])])
    layer += np.log(length) * np.array([*(_POWERS.get(name, 0.0) for name in LAYER), *np.ones(len(_MEMORIES))])
    return np.concatenate([*rows, *np.full((len(_MEMORIES), sliders), _TURN), layer])


def tensors_of(numbers: np.ndarray, sliders: int) -> dict[str, np.ndarray]:
    """Tensors of a critical-state cell that keeps its promises, from any numbers ((8 + f) k + 13 + f,)."""
    rows, first = len(SLIDERS), len(LAYER)
    fabrics = (len(numbers) - rows * sliders - first) // (sliders + 1)
    last = first + fabrics
    strength, reach, dilatancy, rate, neutral, virgin, loss, saturation, *turns = numbers[:-last].reshape(-1, sliders)
    stiffness, asymmetry, rounding, contact, distance, *moved, turning = numbers[-last : -last + _LENGTHS]
    stiffness, contact, distance, strength = (np.exp(each) for each in (stiffness, contact, distance, strength))
    layer = np.array(
        [stiffness, 0.9 * stiffness * np.tanh(asymmetry), np.exp(rounding), contact, distance,
         *(distance * np.exp(moved)), _sigmoid(turning), *np.exp(numbers[-last + _LENGTHS :])]
    )  # fmt: skip
    tensor = np.array(
        [strength, np.exp(reach) + _LEAST_REACH * distance, _MOST_DILATANCY * _sigmoid(dilatancy), np.exp(rate),
         _FARTHEST * distance * np.tanh(neutral / _FARTHEST),
         distance * np.exp(virgin), _MOST_LOSS * _sigmoid(loss), 2.0 / contact * _sigmoid(saturation),
         *(distance * np.exp(turns))]
    )  # fmt: skip
    # far sliding ends at ξ = 0
    tensor[4] -= tensor[3] @ tensor[4] / tensor[3].sum()
    # springs that carry much of the pressure would make the layer's pressure ambiguous
    tensor[1] /= 1.0 + (pressures(tensor, layer) - 1.0) / (_PRESSURE - 1.0)
    return {"sliders": tensor, "layer": layer}


def _sigmoid(values):
    return 0.5 * (1.0 + np.tanh(0.5 * np.asarray(values)))
