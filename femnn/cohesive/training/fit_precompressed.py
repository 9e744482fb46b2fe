"""From responses of precompressed, frictional layers to the weight file of a recurrent law of them."""

import os
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from femnn.checks import one_of
from femnn.cohesive.recurrent.isotropic_torch import IsotropicCell
from femnn.cohesive.recurrent.law import RecurrentCohesive
from femnn.cohesive.recurrent.precompressed import Precompressed, answer_of, pressure_of
from femnn.cohesive.recurrent.torch_cells import GatedNetwork, SelfConsistentCell
from femnn.cohesive.training.data import PathData, responses
from femnn.cohesive.training.fit import describe, parts, train_law
from femnn.cohesive.training.precompressed_data import (
    MICROSTRUCTURE,
    TENSORS,
    VECTORS,
    resampled,
    rms_errors,
    rotated,
    targets,
)
from femnn.exceptions import ParameterError
from femnn.networks.training import TrainingOptions

#: Networks of precompressed laws, isotropic by construction or by the paths rotated at random that they are trained on,
#: and how each is trained by default.
OPTIONS = {
    network: TrainingOptions(learning_rate=rate, batch_size=32, epochs=epochs, gradient_clip=1.0, threads=1)
    for network, rate, epochs in (
        ("isotropic", 5e-3, 150), ("lstm", 2e-3, 60), ("gru", 2e-3, 60), ("self-consistent", 4e-3, 60),
    )
}  # fmt: skip

# Target errors of ln t_n and of t_s/t_n, which weigh alike.
_WEIGHTS = 0.2, 0.05
# Pressures far below this fraction of p0 are alike.
_OPENED = 0.02
# Points of a resampled path, over all of its points; how often each is resampled, and (for networks without symmetries)
# how often it is rotated instead.
_RESAMPLED, _COPIES, _ROTATIONS = 0.5, 2, 4


def fit_precompressed_law(
    path: str | os.PathLike, network: str, training: PathData, validation: PathData, tests: Mapping[str, PathData],
    options: TrainingOptions | None = None, *, inputs: Sequence[str] = (), predicted: Sequence[str] = (),
    progress: bool = True, **sizes: float,
) -> tuple[RecurrentCohesive, dict]:  # fmt: skip
    """Train a recurrent law of a precompressed layer, test it and write its weight file.

    As :func:`femnn.cohesive.training.fit_law`, but ``network`` is a name in this module's :data:`OPTIONS`, data are in
    units of the virgin layer (see :func:`femnn.cohesive.training.path_data`), and figures are those of
    :func:`femnn.cohesive.training.rms_errors`. Microstructure goes in, or is predicted, not both. Isotropic cells take
    scalars and vectors, not the components of :data:`femnn.cohesive.training.precompressed_data.TENSORS`, and leave
    those out.

    Raises
    ------
    ParameterError
        If the network is unknown, microstructure is both an input and predicted, or is not in the data.

    Examples
    --------
    One epoch, which is far too little, of a few paths of the shipped layers:

    >>> from femnn.cohesive.training import fit_precompressed_law, layer_data, split
    >>> from femnn.multiscale.grains import load
    >>> from femnn.networks import TrainingOptions
    >>> training, validation, test = split(layer_data(load(), slice(0, 12)))
    >>> law, figures = fit_precompressed_law(
    ...     "layer", "gru", training, validation, {"test": test}, TrainingOptions(epochs=1), progress=False
    ... )
    >>> law.network, list(figures)
    ('gru', ['test'])
    """
    one_of("network", network, tuple(OPTIONS))
    options = options or OPTIONS[network]
    names = _columns(network, training, inputs, predicted)
    scaling = _scaling(training, names)
    layer = _precompressed(network, training)
    points = max(2, round(_RESAMPLED * training.separations.shape[1]))
    isotropic = network == "isotropic"
    data = [each if isotropic else rotated(each, _ROTATIONS, options.seed) for each in (training, validation)]
    copies = (_COPIES if isotropic else 1, 1)
    data = [resampled(each, points, copies[i], options.seed + 1 + i) for i, each in enumerate(data)]
    rows = [(each.x(), each.standardised(names, scaling), targets(each)) for each in data]
    what = f"law of a precompressed, frictional layer, a network of kind {network}; inputs: opening and two shears; it "
    what += "answers ln(t_n/p0) and t_s/t_n"
    direct, between = ([], names) if predicted else (names, [])
    # released laws have this name in their cards
    extra = {"frictional": layer.fields()}
    card = describe(what, network, training, direct, between, scaling, sizes, extra)
    return train_law(
        path, card, parts(rows, predicted),
        lambda part, columns: _build(network, part, columns, names, options.seed, sizes),
        lambda part, module: _traction_loss if part == "traction" else _mean_square,
        lambda law: {name: rms_errors(responses(law, data), data) for name, data in tests.items()}, options, progress,
    )  # fmt: skip


def _columns(network, data, inputs, predicted):
    """Names of the microstructure in the order in which networks take it: scalars, then vectors."""
    if inputs and predicted:
        raise ParameterError(
            f"{', '.join(inputs)} are inputs and {', '.join(predicted)} are predicted; choose one of both"
        )
    data.require((*inputs, *predicted))
    chosen = {*inputs, *predicted} - (set(TENSORS) if network == "isotropic" else set())
    for pair in VECTORS:
        if len(chosen & set(pair)) == 1:
            raise ParameterError(f"{' and '.join(pair)} are the components of one vector; ask for both")
    order = MICROSTRUCTURE["all"]
    vectors = [name for pair in VECTORS for name in pair]
    return [name for name in (*(n for n in order if n not in vectors + list(TENSORS)), *vectors, *TENSORS)
            if name in chosen]  # fmt: skip


def _scaling(data, names):
    """Scalars less what they are for the virgin layer; both components of a vector over one scale."""
    mean, scale = [], []
    pairs = {name: pair for pair in (*VECTORS, TENSORS) for name in pair}
    for name in names:
        columns = [data.microstructure[each] for each in pairs.get(name, (name,))]
        mean.append(0.0 if name in pairs else float(columns[0][:, 0].mean()))
        scale.append(float(np.sqrt(np.mean([(column - mean[-1]) ** 2 for column in columns]))) or 1.0)
    return {"mean": mean, "scale": scale}


def _precompressed(network, data):
    """Range of the openings, and the slope of q beyond."""
    x, y = data.x(), targets(data)
    opening, sliding = x[..., 0], np.linalg.norm(x[..., 1:], axis=-1)
    move, change = np.diff(opening, axis=1), np.diff(answer_of(np.exp(y[..., 0])), axis=1)
    # steps that mostly open or close show how stiff the layer is
    across = np.linalg.norm(np.diff(x[..., 1:], axis=1), axis=-1)
    clear = (np.abs(move) > 2.0 * across) & (np.abs(change) > 1e-3) & (y[:, 1:, 3] > 0) & (y[:, :-1, 3] > 0)
    slopes = -change[clear] / move[clear]
    span = float(np.ptp(opening)) or 1.0
    slope = float(np.median(slopes)) if len(slopes) else 0.0
    slope = max(slope, 1.0 / span)
    reach = np.inf if network == "isotropic" else float(sliding.max())
    return Precompressed(float(opening.min()), float(opening.max()), slope, reach)


def _traction_loss(prediction, target):
    target = target.to(prediction.dtype)
    logarithms = [
        torch.log(each + _OPENED) for each in (pressure_of(prediction[..., 0], torch.sqrt), target[..., 0].exp())
    ]
    logarithm = (logarithms[0] - logarithms[1]) / _WEIGHTS[0]
    ratio = (prediction[..., 1:3] - target[..., 1:3]) / _WEIGHTS[1] * target[..., 3:]
    return _huber(logarithm) + _huber(ratio[..., 0]) + _huber(ratio[..., 1])


def _huber(error):
    return torch.nn.functional.huber_loss(error, torch.zeros_like(error), delta=1.0)


def _mean_square(prediction, target):
    return torch.nn.functional.mse_loss(prediction, target.to(prediction.dtype))


def _build(network, part, columns, names, seed, sizes):
    x, t = columns
    answers = t
    if part == "traction":
        answers = np.concatenate([answer_of(np.exp(t[..., :1])), t[..., 1:3]], axis=-1)
    if network == "isotropic":
        pairs = sum(name in names for name, _ in VECTORS)
        scalars = len(names) - 2 * pairs
        inputs = (0, 0) if part == "microstructure" else (scalars, pairs)
        outputs = (scalars, pairs) if part == "microstructure" else (1, 1)
        return IsotropicCell(*inputs, *_lengths(x), *_answered(answers, *outputs), seed, **sizes)
    flat = answers.reshape(-1, answers.shape[-1])
    margin = 0.05 * np.ptp(flat, axis=0) + 1e-6
    low, high = flat.min(axis=0) - margin, flat.max(axis=0) + margin
    if network == "self-consistent":
        return SelfConsistentCell(x.shape[-1], low, high, 0.0, seed, **sizes)
    return GatedNetwork(network, x.shape[-1], low, high, 0.0, seed, **sizes)


def _lengths(x):
    """Lengths by which openings and slidings are measured, and the smallest opening to resolve."""
    opening = float(np.sqrt((x[..., 0] ** 2).mean())) or 1.0
    sliding = float(np.sqrt((x[..., 1:3] ** 2).sum(-1).mean())) or 1.0
    return [opening, 0.3 * sliding], [0.2 * opening]


def _answered(answers, scalars, vectors):
    """Scales of scalar answers, and bounds of vectors."""
    scale = np.sqrt((answers[..., :scalars] ** 2).mean(axis=(0, 1)))
    pairs = answers[..., scalars:].reshape(*answers.shape[:2], vectors, 2)
    bound = 1.5 * np.linalg.norm(pairs, axis=-1).max(axis=(0, 1)) + 1e-6
    return np.where(scale > 0.0, scale, 1.0), bound
