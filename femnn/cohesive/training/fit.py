"""From separations and tractions along paths to the weight file of a recurrent law."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from femnn.checks import checked, one_of
from femnn.cohesive.recurrent.law import KIND, RecurrentCohesive
from femnn.cohesive.recurrent.torch_cells import FeedForward, GatedNetwork, MinimalStateCell, SelfConsistentCell
from femnn.cohesive.training.data import PathData, accuracy
from femnn.exceptions import ParameterError
from femnn.io.weight_files import save_weights
from femnn.networks.model_card import training_record
from femnn.networks.perceptron import prefixed
from femnn.networks.training import TrainingOptions, train

#: Networks that learn any law, and how each is trained by default: minutes on one core.
OPTIONS = {
    "minimal-state": TrainingOptions(learning_rate=5e-3, batch_size=64, epochs=80, gradient_clip=1.0, threads=1),
    "self-consistent": TrainingOptions(learning_rate=4e-3, batch_size=64, epochs=80, gradient_clip=1.0, threads=1),
    "lstm": TrainingOptions(learning_rate=2e-3, batch_size=64, epochs=120, gradient_clip=1.0, threads=1),
    "gru": TrainingOptions(learning_rate=2e-3, batch_size=64, epochs=120, gradient_clip=1.0, threads=1),
    "feed-forward": TrainingOptions(learning_rate=2e-3, batch_size=64, epochs=60, threads=1),
}

# Training paths that these are for; for others the number of updates stays, within bounds for the epochs.
_USUAL_PATHS, _SMALLEST_BATCH, _EPOCHS = 5400, 8, (10, 2000)

# Price of bending: errors in units of the strength that are not worth a curve.
_BEND = 1e-5


def fit_law(
    path: str | os.PathLike, network: str, training: PathData, validation: PathData, tests: Mapping[str, PathData],
    options: TrainingOptions | None = None, *, inputs: Sequence[str] = (), predicted: Sequence[str] = (),
    progress: bool = True, **sizes: float,
) -> tuple[RecurrentCohesive, dict]:  # fmt: skip
    """Train a recurrent law, test it and write its weight file.

    Parameters
    ----------
    path
        Of the weight file, without suffix; checkpoints ``PATH.PART.training`` lie beside it, and an interrupted
        training goes on from them.
    network
        A name in :data:`OPTIONS`.
    training, validation
        Paths to learn from, and to choose the best epoch by.
    tests
        Unseen paths by the name under which the card has their figures.
    options
        See :class:`femnn.networks.training.TrainingOptions`; default: :func:`options_for` the number of paths.
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
        If the network is unknown, microstructure is asked of a minimal-state cell or is not in the data, paths do not
        start at separation zero, or the scales do not fit the data.

    Examples
    --------
    Any separations and tractions (paths, points, 3) make a :class:`PathData`; here those of a law of one's own:

    >>> import tempfile
    >>> from femnn.cohesive import BatchCohesive
    >>> from femnn.networks.training import TrainingOptions
    >>> def fading(separation, state):
    ...     intact = np.exp(-np.linalg.norm(separation, axis=1) / 2e-5)[:, None]
    ...     return 1e13 * intact * separation, np.zeros((len(state), 3, 3)), state
    >>> law = BatchCohesive(fading, separation_scale=2e-4)
    >>> data = PathData.of_law(law, 24, 20, "monotonic")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     learned, figures = fit_law(
    ...         Path(folder) / "mine", "minimal-state", data[:16], data[16:20], {"unseen": data[20:]},
    ...         TrainingOptions(epochs=2), progress=False,
    ...     )
    >>> learned.network, list(figures["unseen"])
    ('minimal-state', ['mean', 'p95', 'largest'])

    See Also
    --------
    femnn.cohesive.training.read_paths : data from files
    """
    one_of("network", network, tuple(OPTIONS))
    for data in (training, validation, *tests.values()):
        data.require_virgin_starts()
    training.require_scales()
    if network == "minimal-state" and (inputs or predicted):
        raise ParameterError("a minimal-state cell knows separations only; take another network for microstructure")
    names = (*inputs, *predicted)
    training.require(names)
    columns = [training.microstructure[name] for name in names]
    scaling = {
        "mean": [float(column.mean()) for column in columns],
        "scale": [float(column.std()) or 1.0 for column in columns],
    }
    rows = []
    for data in (training, validation):
        micro = data.standardised(names, scaling)
        x = np.concatenate([data.x(), micro[..., : len(inputs)]], axis=-1)
        rows.append((x, micro[..., len(inputs) :], data.tractions / data.traction_scale))
    options = options_for(network, len(training)) if options is None else options
    what = f"traction-separation law of an interface, a {network} network; inputs: opening and two shears"
    # which paths report, so that nobody trains or chooses by them
    tested = {"test_data": {name: data.about.get("paths", data.about) for name, data in tests.items()}}
    card = describe(what, network, training, inputs, predicted, scaling, sizes, tested)
    return train_law(
        path, card, parts(rows, predicted), lambda part, columns: _build(network, part, columns, options.seed, sizes),
        _loss, lambda law: {name: accuracy(law, data) for name, data in tests.items()}, options, progress,
    )  # fmt: skip


@checked(paths="[1, inf)")
def options_for(network: str, paths: int) -> TrainingOptions:
    """Options of a network for this many training paths: with fewer of them, smaller batches and more epochs.

    >>> options_for("minimal-state", 5400).epochs, options_for("minimal-state", 54).epochs
    (80, 1700)
    """
    one_of("network", network, tuple(OPTIONS))
    usual = OPTIONS[network]
    updates = usual.epochs * math.ceil(_USUAL_PATHS / usual.batch_size)
    batch = min(usual.batch_size, max(_SMALLEST_BATCH, math.ceil(paths / 4)))
    epochs = round(updates / math.ceil(paths / batch))
    return replace(usual, batch_size=batch, epochs=min(max(epochs, _EPOCHS[0]), _EPOCHS[1]))


def describe(what, network, training, inputs, predicted, scaling, sizes, extra=None):
    """The card of a law but for what training and tests add; ``extra`` are fields of the kind of law."""
    micro = {"inputs": list(inputs), "predicted": list(predicted), **scaling}
    return {
        "kind": KIND,
        "what": what,
        "architectures": {
            part: {"network": network, **sizes} for part in (("microstructure",) if predicted else ()) + ("traction",)
        },
        **(extra or {}),
        "trained_range": training.trained_range(),
        "separation_scale": training.separation_scale,
        "traction_scale": training.traction_scale,
        "microstructure": micro if inputs or predicted else None,
        "data": training.about,
    }


def parts(rows, predicted):
    """Features and targets of each network, of ``rows`` for training and validation: a list of pairs of arrays each.

    A row is features, predicted microstructure and targets of the traction.
    """
    between = {"microstructure": [(x, m) for x, m, _ in rows]} if predicted else {}
    return {**between, "traction": [(np.concatenate([x, m], axis=-1), t) for x, m, t in rows]}


def train_law(path, card, columns, build, loss, test, options, progress):
    """Train the networks of a law one after another, write its weight file, test it and write the figures, too.

    ``columns`` are :func:`parts`; ``build`` makes a module from the name of a part and its training columns, ``loss`` a
    function of predictions and targets from that name and the module, ``test`` gives the figures of a law.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    modules, histories = {}, {}
    for part, pairs in columns.items():
        modules[part] = module = build(part, pairs[0])
        checkpoint = path.with_name(f"{path.name}.{part}.training")
        histories[part] = train(module, loss(part, module), *pairs, options, checkpoint=checkpoint, progress=progress)
    counts = {part: parameters(module) for part, module in modules.items()}
    card = {**card, "training": training_record(options, histories, counts)}
    figures = test(RecurrentCohesive.load(save_law(path, modules, card, {})))
    return RecurrentCohesive.load(save_law(path, modules, card, figures)), figures


def parameters(module: torch.nn.Module) -> int:
    """Number of trained parameters."""
    return sum(weight.numel() for weight in module.parameters())


def _huber(prediction, target):
    return torch.nn.functional.huber_loss(prediction, target.to(prediction.dtype), delta=0.02)


def _loss(part, module):
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


def save_law(path: Path, modules: Mapping, card: Mapping, figures: Mapping) -> Path:
    """Write a recurrent law: its modules by the name of their part, its card with test figures; the file."""
    tensors: dict[str, np.ndarray] = {}
    for part, module in modules.items():
        tensors |= prefixed({name: values.numpy(force=True) for name, values in module.state_dict().items()}, part)
    test = {name: {key: _rounded(value) for key, value in values.items()} for name, values in figures.items()}
    return save_weights(path, tensors, {**card, "test": test})


def _rounded(value):
    """Three digits: what is written must not depend on the last bits of a machine."""
    return 0.0 if value == 0.0 else round(value, 2 - math.floor(math.log10(abs(value))))
