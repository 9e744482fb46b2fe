"""From separations and tractions along paths to the weight file of a recurrent law."""

import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from femnn.cohesive.paths import KINDS, respond, separation_paths
from femnn.cohesive.recurrent.law import KIND, NETWORKS, RecurrentCohesive
from femnn.cohesive.recurrent.torch_cells import FeedForward, GatedNetwork, MinimalStateCell, SelfConsistentCell
from femnn.exceptions import ParameterError
from femnn.io.weight_files import save_weights
from femnn.networks.model_card import training_record
from femnn.networks.perceptron import prefixed
from femnn.networks.training import TrainingOptions, train

#: How each network is trained where nothing else is asked for: minutes on one core.
OPTIONS = {
    "minimal-state": TrainingOptions(learning_rate=5e-3, batch_size=64, epochs=80, gradient_clip=1.0, threads=1),
    "self-consistent": TrainingOptions(learning_rate=4e-3, batch_size=64, epochs=80, gradient_clip=1.0, threads=1),
    "lstm": TrainingOptions(learning_rate=2e-3, batch_size=64, epochs=120, gradient_clip=1.0, threads=1),
    "gru": TrainingOptions(learning_rate=2e-3, batch_size=64, epochs=120, gradient_clip=1.0, threads=1),
    "feed-forward": TrainingOptions(learning_rate=2e-3, batch_size=64, epochs=60, threads=1),
}


# Price of bending: errors in units of the strength that are not worth a curve.
_BEND = 1e-5


@dataclass(frozen=True)
class PathData:
    """Responses along separation paths, each from the virgin state on.

    Attributes
    ----------
    separations, tractions : (n, steps, 3)
        m and Pa.
    separation_scale, traction_scale : float
        Complete softening, m; the strength that errors are measured by, Pa.
    microstructure : dict of (n, steps)
        Porosity, coordination number, ... by name.
    about : dict
        Where the data come from, for the card.
    """

    separations: np.ndarray
    tractions: np.ndarray
    separation_scale: float
    traction_scale: float
    microstructure: dict = field(default_factory=dict)
    about: dict = field(default_factory=dict)

    def __post_init__(self):
        arrays = {"separations": self.separations, "tractions": self.tractions, **self.microstructure}
        for name, values in arrays.items():
            if not np.isfinite(values).all():
                path = int(np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))[0])
                raise ParameterError(f"{name} of path {path} are not finite; remove such paths before training")
            if values.shape[:2] != self.separations.shape[:2]:
                raise ParameterError(f"{name} have shape {values.shape}, separations {self.separations.shape}")

    def __len__(self):
        return len(self.separations)

    def __getitem__(self, rows):
        """Some of the paths."""
        return replace(
            self,
            separations=self.separations[rows],
            tractions=self.tractions[rows],
            microstructure={name: values[rows] for name, values in self.microstructure.items()},
        )

    @classmethod
    def of_law(cls, law, n, steps, kind="all", seed=0):
        """Responses of a classical law along drawn paths."""
        paths = separation_paths(n, steps, law.separation_scale, kind, seed)
        about = {
            "law": {"name": type(law).__name__, "parameters": law.parameters},
            "paths": {"n": n, "steps": steps, "kind": kind, "seed": seed},
        }
        strength = min(law.normal_strength, law.shear_strength)
        return cls(paths, respond(law, paths)[0], law.separation_scale, strength, about=about)


def accuracy(law, data):
    """Errors of a law along paths, over ``data.traction_scale``: mean, 95th percentile and largest, a dict."""
    error = np.linalg.norm(responses(law, data) - data.tractions, axis=2) / data.traction_scale
    return {"mean": float(error.mean()), "p95": float(np.quantile(error, 0.95)), "largest": float(error.max())}


def responses(law, data):
    """Tractions (n, steps, 3) of any law along the paths of ``data``, with their microstructure where it takes some."""
    microstructure = getattr(law, "microstructure", None)
    if microstructure is None or not microstructure.inputs:
        return respond(law, data.separations)[0]
    columns = np.stack([data.microstructure[name] for name in microstructure.inputs], axis=-1)
    state, tractions = law.initial_state(len(data)), np.empty(data.separations.shape)
    for step in range(data.separations.shape[1]):
        at_step = law.with_microstructure(columns[:, step])
        tractions[:, step], _, state = at_step.update(data.separations[:, step], state)
    return tractions


def fit_law(
    path, network, training, validation, tests, options=None, *, inputs=(), predicted=(), progress=True, **sizes
):
    """Train a recurrent law, test it and write its weight file.

    Parameters
    ----------
    path
        Of the weight file, without suffix; checkpoints ``PATH.PART.training`` lie beside it, and an interrupted
        training goes on from them.
    network
        One of :data:`femnn.cohesive.recurrent.law.NETWORKS`.
    training, validation : PathData
    tests : dict of PathData
        Unseen paths by the name under which the card has their figures.
    options
        See :class:`femnn.networks.training.TrainingOptions`; default :data:`OPTIONS`.
    inputs, predicted
        Names of the microstructure that goes in, and that the law predicts on the way to the traction.
    progress
        Show a progress bar, if stderr is a terminal.
    **sizes
        Of the network: ``width``, ``layers``, ``dropout``, ``states``, as its module takes them.

    Returns
    -------
    law : RecurrentCohesive
        Loaded from the file that was written.
    figures : dict
        :func:`accuracy` by the name of each test.

    Raises
    ------
    ParameterError
        If the network is unknown, or microstructure is asked of a minimal-state cell or is not in the data.
    """
    path = Path(path)
    _check(network, training, inputs, predicted)
    options = OPTIONS[network] if options is None else options
    scaling = _scaling(training, (*inputs, *predicted))
    rows = [_rows(data, scaling, inputs, predicted) for data in (training, validation)]
    modules, histories = {}, {}
    for part, columns in _parts(rows, predicted).items():
        module = _build(network, part, columns[0], options.seed, sizes)
        checkpoint = path.with_name(f"{path.name}.{part}.training")
        path.parent.mkdir(parents=True, exist_ok=True)
        histories[part] = train(module, _loss(module), *columns, options, checkpoint=checkpoint, progress=progress)
        modules[part] = module
    card = _card(network, training, options, modules, histories, scaling, inputs, predicted, sizes)
    written = save_law(path, modules, card, {})
    law = RecurrentCohesive.load(written)
    figures = {name: accuracy(law, data) for name, data in tests.items()}
    return RecurrentCohesive.load(save_law(path, modules, card, figures)), figures


def unseen(law, n=400, steps=80, seed=1_000_003):
    """Paths of every kind that no training with a smaller seed has seen, PathData by kind."""
    return {kind: PathData.of_law(law, n, steps, kind, seed) for kind in KINDS}


def parameters(module):
    """Number of trained parameters."""
    return sum(weight.numel() for weight in module.parameters())


def _check(network, training, inputs, predicted):
    if network not in NETWORKS:
        raise ParameterError(f"network={network!r} is unknown; choose one of {', '.join(NETWORKS)}")
    if network == "minimal-state" and (inputs or predicted):
        raise ParameterError("a minimal-state cell knows separations only; take another network for microstructure")
    missing = [name for name in (*inputs, *predicted) if name not in training.microstructure]
    if missing:
        raise ParameterError(f"the data have no {missing[0]}; they have {', '.join(training.microstructure) or 'none'}")


def _scaling(data, names):
    columns = [data.microstructure[name] for name in names]
    return {
        "mean": [float(column.mean()) for column in columns],
        "scale": [float(column.std()) or 1.0 for column in columns],
    }


def _rows(data, scaling, inputs, predicted):
    """Separations, inputs, predictions and tractions as the networks see them."""
    names = (*inputs, *predicted)
    columns = [
        (data.microstructure[name] - mean) / scale
        for name, mean, scale in zip(names, scaling["mean"], scaling["scale"], strict=True)
    ]
    shape = (*data.separations.shape[:2], -1)
    micro = np.stack(columns, axis=-1) if columns else np.empty((*shape[:2], 0))
    x = np.concatenate([data.separations / data.separation_scale, micro[..., : len(inputs)]], axis=-1)
    return x, micro[..., len(inputs) :], data.tractions / data.traction_scale


def _parts(rows, predicted):
    """Features and targets of each network: tuples of arrays for training and validation."""
    if not predicted:
        return {"traction": [(x, t) for x, _, t in rows]}
    return {
        "microstructure": [(x, m) for x, m, _ in rows],
        "traction": [(np.concatenate([x, m], axis=-1), t) for x, m, t in rows],
    }


def _huber(prediction, target):
    return torch.nn.functional.huber_loss(prediction, target.to(prediction.dtype), delta=0.02)


def _loss(module):
    """Of a minimal-state cell with a price on what is not linear: it is to bend only where the data do."""
    if not isinstance(module, MinimalStateCell):
        return _huber
    return lambda prediction, target: _huber(prediction, target) + _BEND * module.bend()


def _build(network, part, columns, seed, sizes):
    if network == "minimal-state":
        return MinimalStateCell(sizes.get("width", 32), _stiffness(*columns), seed)
    x, t = (values.reshape(-1, values.shape[-1]) for values in columns)
    contact = _contact(x, t) if part == "traction" else 0.0
    answer = t.copy()
    answer[:, 0] -= contact * np.minimum(x[:, 0], 0.0)
    margin = 0.02 * np.ptp(answer, axis=0) + 1e-6
    low, high = answer.min(axis=0) - margin, answer.max(axis=0) + margin
    if network in ("lstm", "gru"):
        return GatedNetwork(network, x.shape[1], low, high, contact, seed, **sizes)
    make = {"self-consistent": SelfConsistentCell, "feed-forward": FeedForward}[network]
    return make(x.shape[1], low, high, contact, seed, **sizes)


def _contact(x, t):
    """Penalty stiffness that closed points show; 0 if there are none."""
    closed = x[:, 0] < -1e-4
    return float(np.median(t[closed, 0] / x[closed, 0])) if closed.any() else 0.0


def _stiffness(x, t):
    """Of opening, shear and contact, as the steepest first steps of virgin points show them."""
    first = (np.abs(x).max(axis=2) > 1e-6).argmax(axis=1)
    virgin = np.arange(len(x)), first
    x0, t0 = x[virgin], t[virgin]
    opened, sliding = x0[:, 0] > 1e-6, np.linalg.norm(x0[:, 1:], axis=1)
    if not (opened.any() and sliding.max() > 1e-6):
        raise ParameterError("no path opens or none slides at its first step; a minimal-state cell needs both")
    normal = float((t0[opened, 0] / x0[opened, 0]).max())
    slid = sliding > 1e-6
    shear = float((np.linalg.norm(t0[slid, 1:], axis=1) / sliding[slid]).max())
    flat = x.reshape(-1, x.shape[-1]), t.reshape(-1, t.shape[-1])
    return [normal, shear, _contact(*flat) or normal]


def _card(network, training, options, modules, histories, scaling, inputs, predicted, sizes):
    x = training.separations / training.separation_scale
    sliding = np.linalg.norm(x[..., 1:], axis=-1)
    return {
        "kind": KIND,
        "what": f"traction-separation law of an interface, a {network} network; inputs: opening and two shears",
        "architectures": {part: {"network": network, **sizes} for part in modules},
        "trained_range": {
            "low": [float(x[..., 0].min()), 0.0],
            "high": [float(x[..., 0].max()), float(sliding.max())],
            "units": "opening and sliding in separation scales",
        },
        "separation_scale": training.separation_scale,
        "traction_scale": training.traction_scale,
        "microstructure": {"inputs": list(inputs), "predicted": list(predicted), **scaling}
        if scaling["mean"]
        else None,
        "data": training.about,
        "training": training_record(options, histories, {part: parameters(module) for part, module in modules.items()}),
    }


def save_law(path, modules, card, figures):
    """Write a recurrent law: its modules by the name of their part, its card with test figures; the file."""
    tensors = {}
    for part, module in modules.items():
        tensors |= prefixed({name: values.numpy(force=True) for name, values in module.state_dict().items()}, part)
    test = {name: {key: _rounded(value) for key, value in values.items()} for name, values in figures.items()}
    return save_weights(path, tensors, {**card, "test": test})


def _rounded(value):
    """Three digits: what is written must not depend on the last bits of a machine."""
    return 0.0 if value == 0.0 else round(value, 2 - math.floor(math.log10(abs(value))))
