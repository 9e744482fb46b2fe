"""From responses of precompressed, frictional layers to the weight file of a recurrent law of them."""

from pathlib import Path

import numpy as np
import torch

from femnn.cohesive.recurrent.isotropic_torch import IsotropicCell
from femnn.cohesive.recurrent.law import KIND, RecurrentCohesive
from femnn.cohesive.recurrent.precompressed import Frictional, answer_of, pressure_of
from femnn.cohesive.recurrent.torch_cells import GatedNetwork, SelfConsistentCell
from femnn.cohesive.training.fit import parameters, responses, save_law
from femnn.cohesive.training.precompressed_data import (
    MICROSTRUCTURE,
    TENSORS,
    VECTORS,
    rms_errors,
    targets,
    thinned,
    turned,
)
from femnn.exceptions import ParameterError
from femnn.networks.model_card import training_record
from femnn.networks.training import TrainingOptions, train

#: Networks of frictional laws: isotropic by construction, or by the paths turned at random that they are trained on.
NETWORKS = ("isotropic", "lstm", "gru", "self-consistent")

OPTIONS = {
    "isotropic": TrainingOptions(learning_rate=5e-3, batch_size=32, epochs=150, gradient_clip=1.0, threads=1),
    "lstm": TrainingOptions(learning_rate=2e-3, batch_size=32, epochs=60, gradient_clip=1.0, threads=1),
    "gru": TrainingOptions(learning_rate=2e-3, batch_size=32, epochs=60, gradient_clip=1.0, threads=1),
    "self-consistent": TrainingOptions(learning_rate=4e-3, batch_size=32, epochs=60, gradient_clip=1.0, threads=1),
}

# Errors of ln t_n and of t_s/t_n that weigh alike: what is asked for.
_WEIGHTS = 0.2, 0.05
# Pressures far below this share of p0 are alike.
_OPENED = 0.02
# Points of a thinned path, over all of its points; how often each is thinned, and (for networks without symmetries)
# how often it is turned instead.
_THINNED, _COPIES, _TURNS = 0.5, 2, 4


def fit_frictional(path, network, training, validation, tests, options=None, *, given=(), predicted=(), progress=True,
                   **sizes):  # fmt: skip
    """Train a recurrent law of a precompressed layer, test it and write its weight file.

    Parameters
    ----------
    path
        Of the weight file, without suffix; checkpoints ``PATH.PART.training`` lie beside it, and an interrupted
        training goes on from them.
    network
        One of :data:`NETWORKS`.
    training, validation : PathData
        In units of the virgin layer: see :func:`femnn.cohesive.training.precompressed_data.path_data`.
    tests : dict of PathData
        Unseen paths by the name under which the card has their figures.
    options
        See :class:`femnn.networks.training.TrainingOptions`; default :data:`OPTIONS`.
    given, predicted
        Names of the microstructure that goes in, or that a network of its own predicts on the way to the traction;
        not both. Isotropic cells take scalars and vectors, not the components of
        :data:`femnn.cohesive.training.precompressed_data.TENSORS`, and leave those out.
    progress
        Show a progress bar, if stderr is a terminal.
    **sizes
        Of the network, as its module takes them.

    Returns
    -------
    law : RecurrentCohesive
    figures : dict
        :func:`femnn.cohesive.training.precompressed_data.rms_errors` by the name of each test.

    Raises
    ------
    ParameterError
        If the network is unknown, microstructure is both given and predicted, or is not in the data.
    """
    path = Path(path)
    _check(network)
    options = options or OPTIONS[network]
    names = _columns(network, training, given, predicted)
    scaling = _scaling(training, names)
    frictional = _outside(network, training)
    points = max(2, round(_THINNED * training.separations.shape[1]))
    rows = [turned(data, _TURNS, options.seed) if network != "isotropic" else data for data in (training, validation)]
    copies = _COPIES if network == "isotropic" else 1
    rows = [thinned(rows[0], points, copies, options.seed + 1), thinned(rows[1], points, 1, options.seed + 2)]
    rows = [_rows(data, names, scaling) for data in rows]
    modules, histories = {}, {}
    for part, columns in _parts(rows, bool(predicted)).items():
        module = _build(network, part, columns[0], names, options.seed, sizes)
        checkpoint = path.with_name(f"{path.name}.{part}.training")
        path.parent.mkdir(parents=True, exist_ok=True)
        loss = _traction_loss if part == "traction" else _mean_square
        histories[part] = train(module, loss, *columns, options, checkpoint=checkpoint, progress=progress)
        modules[part] = module
    card = {
        "kind": KIND,
        "what": f"law of a precompressed, frictional layer, a network of kind {network}; inputs: opening and two "
        "shears; it answers ln(t_n/p0) and t_s/t_n",
        "architectures": {part: {"network": network, **sizes} for part in modules},
        "frictional": frictional.fields(),
        "trained_range": _range(training),
        "separation_scale": training.separation_scale,
        "traction_scale": training.traction_scale,
        "microstructure": _described(names, bool(predicted), scaling),
        "data": training.about,
        "training": training_record(options, histories, {part: parameters(module) for part, module in modules.items()}),
    }
    law = RecurrentCohesive.load(save_law(path, modules, card, {}))
    figures = {name: rms_errors(responses(law, data), data) for name, data in tests.items()}
    return RecurrentCohesive.load(save_law(path, modules, card, figures)), figures


def _check(network):
    if network not in NETWORKS:
        raise ParameterError(f"network={network!r} is unknown; choose one of {', '.join(NETWORKS)}")


def _columns(network, data, given, predicted):
    """Names of the microstructure in the order in which networks take it: scalars, then vectors."""
    if given and predicted:
        raise ParameterError(f"{', '.join(given)} are given and {', '.join(predicted)} predicted; choose one of both")
    missing = [name for name in (*given, *predicted) if name not in data.microstructure]
    if missing:
        raise ParameterError(f"the data have no {missing[0]}; they have {', '.join(data.microstructure) or 'none'}")
    asked = {*given, *predicted} - (set(TENSORS) if network == "isotropic" else set())
    for pair in VECTORS:
        if len(asked & set(pair)) == 1:
            raise ParameterError(f"{' and '.join(pair)} are the components of one vector; ask for both")
    order = MICROSTRUCTURE["all"]
    vectors = [name for pair in VECTORS for name in pair]
    return [name for name in (*(n for n in order if n not in vectors + list(TENSORS)), *vectors, *TENSORS)
            if name in asked]  # fmt: skip


def _scaling(data, names):
    """Scalars less what they are for the virgin layer; both components of a vector over one scale."""
    mean, scale = [], []
    pairs = {name: pair for pair in (*VECTORS, TENSORS) for name in pair}
    for name in names:
        columns = [data.microstructure[each] for each in pairs.get(name, (name,))]
        mean.append(0.0 if name in pairs else float(columns[0][:, 0].mean()))
        scale.append(float(np.sqrt(np.mean([(column - mean[-1]) ** 2 for column in columns]))) or 1.0)
    return {"mean": mean, "scale": scale}


def _described(names, predicted, scaling):
    if not names:
        return None
    inputs, between = ([], names) if predicted else (names, [])
    return {"inputs": inputs, "predicted": between, **scaling}


def _outside(network, data):
    """Range of the openings, and the slope of q beyond."""
    x, y = data.separations / data.separation_scale, targets(data)
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
    return Frictional(float(opening.min()), float(opening.max()), slope, reach)


def _range(data):
    x = data.separations / data.separation_scale
    sliding = np.linalg.norm(x[..., 1:], axis=-1)
    return {
        "low": [float(x[..., 0].min()), 0.0],
        "high": [float(x[..., 0].max()), float(sliding.max())],
        "units": "opening and sliding in separation scales",
    }


def _rows(data, names, scaling):
    """Separations, microstructure and targets as the networks see them."""
    columns = [
        (data.microstructure[name] - mean) / scale
        for name, mean, scale in zip(names, scaling["mean"], scaling["scale"], strict=True)
    ]
    micro = np.stack(columns, axis=-1) if columns else np.empty((*data.separations.shape[:2], 0))
    return data.separations / data.separation_scale, micro, targets(data)


def _parts(rows, predicted):
    """Features and targets of each network: tuples of arrays for training and validation."""
    parts = {"microstructure": [(x, m) for x, m, _ in rows]} if predicted else {}
    parts["traction"] = [(np.concatenate([x, m], axis=-1), y) for x, m, y in rows]
    return parts


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
