"""The one training loop: every network of femnn is trained by `train`."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from tqdm import tqdm

from femnn.exceptions import ParameterError, TrainingError
from femnn.io.weight_files import load_state, save_state
from femnn.networks.options import History, TrainingOptions
from femnn.networks.perceptron import prefixed, unprefixed
from femnn.networks.torch_perceptron import (
    build,
    describe,
    fingerprint,
    restore_state,
    row_tensors,
    state_arrays,
    to_perceptron,
    to_tensors,
)

Loss = Callable[..., torch.Tensor]

# Rows per batch where no gradient is needed.
VALIDATION_ROWS = 4096

SECONDS_BETWEEN_SAVES = 10.0


def train(
    module: torch.nn.Module,
    loss: Loss,
    training: Sequence[ArrayLike],
    validation: Sequence[ArrayLike],
    options: TrainingOptions,
    *,
    checkpoint: str | PathLike | None = None,
    progress: bool = True,
    time_limit: float | None = None,
) -> History:
    """Train a network; afterwards the module holds the weights of the smallest validation loss, in evaluation mode.

    On one machine with one number of threads, the same network, loss, data and options give the same bits, also if
    training was interrupted and taken up again from its checkpoint. torch's global random state is left as it was.

    Parameters
    ----------
    module
        Any network; it stays on its device and in its precision.
    loss
        ``loss(prediction, *targets)``, a scalar tensor: the mean over the rows of a batch, where ``targets`` are the
        rows of the arrays after the first.
    training, validation
        Arrays or tensors with one row per sample along their first axis, the features first. They are never copied
        whole (a memory map is read batch by batch), except to another device. Features take the module's precision.
    options
        See `TrainingOptions`.
    checkpoint
        File that keeps the state of the training, written every ten seconds, at the end and at an interrupt. If it
        exists, training goes on from there, whatever weights the module has; if it is finished, nothing is trained.
    progress
        Show a progress bar, if stderr is a terminal.
    time_limit
        Seconds after which no further epoch starts (checked after each); None is no limit.

    Returns
    -------
    History

    Raises
    ------
    ParameterError
        If arrays do not fit each other or are empty, or the checkpoint was written with other options.
    DatasetError
        If the checkpoint was written with other data.
    WeightFileError
        If the checkpoint is damaged, no checkpoint, or belongs to another network.
    TrainingError
        If the loss is NaN or infinite; the message has the step. The module then holds the best weights before it.
    KeyboardInterrupt
        After the checkpoint is saved and the module has its best weights.
    """
    if time_limit is not None and not time_limit > 0:
        raise ParameterError(f"time_limit={time_limit!r} is not allowed; it must be a number of seconds > 0, or None")
    if not any(weight.requires_grad for weight in module.parameters()):
        raise ParameterError(f"{type(module).__name__} has no weights to train; pass one with trainable parameters")
    device = next(module.parameters()).device
    rows = [row_tensors(training, "training", device), row_tensors(validation, "validation", device)]
    shapes = [[tuple(values.shape[1:]) for values in tensors] for tensors in rows]
    if shapes[0] != shapes[1]:
        raise ParameterError(f"training rows have the shapes {shapes[0]}, validation rows {shapes[1]}; pass equal ones")
    run = _Run(module, loss, rows[0], rows[1], options)
    restart = _Restart(Path(checkpoint), run) if checkpoint is not None else None
    started = time.perf_counter()
    bar = tqdm(total=options.epochs, initial=run.history.epochs, unit="epoch", disable=None if progress else True)
    with bar, _threads(options.threads), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            while run.history.stopped is None:
                run.epoch()
                if time_limit is not None and time.perf_counter() - started > time_limit:
                    run.history.stopped = run.history.stopped or "time_limit"
                if restart:
                    restart.keep(run)
                bar.set_postfix(validation=f"{run.history.best_loss:.3g}", refresh=False)
                bar.update()
        except KeyboardInterrupt:
            if restart:
                restart.save(stopped="interrupt")
            raise
        finally:
            run.restore_best()
    return run.history


def train_perceptron(architecture, scales, loss, training, validation, options, initialisation=None, **run):
    """Build a perceptron, train it with `train` and give it to NumPy; returns the perceptron and the history."""
    module = build(architecture, scales, options.seed, initialisation=initialisation)
    history = train(module, loss, training, validation, options, **run)
    return to_perceptron(module), history


class _Run:
    """The state of a training between two epochs, and the step from one to the next."""

    def __init__(self, module, loss, training, validation, options) -> None:
        self.module, self.loss, self.options = module, loss, options
        self.training, self.validation = training, validation
        self.history = History()
        self.best: dict[str, torch.Tensor] = {}  # state_dict of the best epoch
        self.weights = [weight for weight in module.parameters() if weight.requires_grad]
        self.optimizer = _optimizer(self.weights, options)
        self.dtype = next(module.parameters()).dtype

    def epoch(self) -> None:
        history, number = self.history, self.history.epochs
        started = time.perf_counter()
        rate = self.options.rate(number)
        self.optimizer.param_groups[0]["lr"] = rate
        training_loss = self._train(number, rate)
        validation_loss = self._validate(number, rate)
        improved = validation_loss < history.best_loss
        if improved:
            self.best = {name: values.detach().clone() for name, values in self.module.state_dict().items()}
        history.training_loss.append(training_loss)
        history.learning_rate.append(rate)
        history.seconds.append(time.perf_counter() - started)
        history.validation_loss.append(validation_loss)
        if improved:
            history.best_epoch = number
        history.stopped = self.verdict()

    def _train(self, number: int, rate: float) -> float:
        features, *others = self.training
        order, noise = _seeds(self.options.seed, number)
        shuffled = torch.randperm(len(features), generator=torch.Generator().manual_seed(order)).to(features.device)
        _seed_dropout(noise, features.device)
        self.module.train()
        total = 0.0
        batches = shuffled.split(self.options.batch_size)
        for k, rows in enumerate(batches):
            batch = features.index_select(0, rows).to(self.dtype)
            value = self.loss(self.module(batch), *(other.index_select(0, rows) for other in others))
            for weight in self.weights:
                weight.grad = None  # as zero_grad does, in a tenth of its time
            # before the step, so that the weights stay finite
            total += self._finite(value, "training", number, rate, number * len(batches) + k + 1) * len(rows)
            value.backward()
            if self.options.gradient_clip is not None:
                torch.nn.utils.clip_grad_norm_(self.weights, self.options.gradient_clip)
            self.optimizer.step()
        return total / len(features)

    @torch.no_grad()
    def _validate(self, number: int, rate: float) -> float:
        self.module.eval()
        features, total = self.validation[0], 0.0
        for start in range(0, len(features), VALIDATION_ROWS):
            batch, *targets = (values[start : start + VALIDATION_ROWS] for values in self.validation)
            value = self.loss(self.module(batch.to(self.dtype)), *targets)
            steps = (number + 1) * -(-len(self.training[0]) // self.options.batch_size)
            total += self._finite(value, "validation", number, rate, steps) * len(batch)
        return total / len(features)

    def _finite(self, value: torch.Tensor, which: str, number: int, rate: float, step: int) -> float:
        result = value.item()
        if not math.isfinite(result):
            best = self.history.best_epoch
            kept = f"has the weights of epoch {best}, the best" if best >= 0 else "has no weights of a complete epoch"
            raise TrainingError(
                f"the {which} loss became {result} in epoch {number} at learning rate {rate:.3g}, step {step} of the "
                f"training; the network {kept}; choose a smaller learning_rate (it is {self.options.learning_rate:g}) "
                "or a gradient_clip, and check the data for NaN"
            )
        return result

    def verdict(self) -> str | None:
        """Why no further epoch is needed, or None."""
        done, patience = self.history.epochs, self.options.patience
        if done >= self.options.epochs:
            return "epochs"
        if patience is not None and done - 1 - self.history.best_epoch >= patience:
            return "patience"
        return None

    def restore_best(self) -> None:
        if self.best:
            self.module.load_state_dict(self.best)
        self.module.eval()


class _Restart:
    """The checkpoint of one training: read at its beginning, written now and then."""

    def __init__(self, path: Path, run: _Run) -> None:
        self.path = path
        self.identity = {
            # threads change the time and at most the last bits
            "options": {name: value for name, value in asdict(run.options).items() if name != "threads"},
            "network": describe(run.module),
            "data": {"training": fingerprint(run.training), "validation": fingerprint(run.validation)},
        }
        if path.exists():
            self._resume(run)
        self.state = self._snapshot(run)
        self.saved = time.monotonic()

    def keep(self, run: _Run) -> None:
        """Remember this epoch, and write it if it is the last or the last writing is long ago."""
        self.state = self._snapshot(run)
        if run.history.stopped or time.monotonic() - self.saved > SECONDS_BETWEEN_SAVES:
            self.save(run.history.stopped)

    def save(self, stopped: str | None) -> None:
        arrays, history = self.state
        save_state(self.path, arrays, self.identity, {**history, "stopped": stopped})
        self.saved = time.monotonic()

    def _snapshot(self, run: _Run) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        # An interrupt falls into the middle of an epoch. Only a copy of the state at its beginning can be repeated bit
        # by bit; the best weights are already a copy.
        best = {name: values.numpy(force=True) for name, values in run.best.items()}
        return {**state_arrays(run.module, run.optimizer), **prefixed(best, "best")}, asdict(run.history)

    def _resume(self, run: _Run) -> None:
        arrays, history = load_state(self.path, self.identity)
        restore_state(run.module, run.optimizer, arrays)
        run.best = to_tensors(unprefixed(arrays, "best"))
        # a time limit or an interrupt ended that call, not this one
        run.history = History(**{**history, "stopped": None})
        run.history.stopped = run.verdict()


def _optimizer(weights: list[torch.Tensor], options: TrainingOptions) -> torch.optim.Optimizer:
    # fused: one call for all weights, half the time of a step of a small network
    common: dict[str, Any] = {"lr": options.learning_rate, "weight_decay": options.weight_decay, "fused": True}
    if options.optimizer == "sgd":
        return torch.optim.SGD(weights, momentum=options.momentum, **common)
    return {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[options.optimizer](weights, **common)


def _seeds(seed: int, epoch: int) -> tuple[int, int]:
    """Seeds of the order of the rows and of dropout, by the epoch, so that a restart needs no generator state."""
    order, noise = np.random.SeedSequence([seed, epoch]).generate_state(2, np.uint64)
    return int(order), int(noise)


def _seed_dropout(seed: int, device: torch.device) -> None:
    # dropout draws from the global generator, which `train` puts back afterwards
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


@contextmanager
def _threads(threads: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    try:
        if threads is not None:
            torch.set_num_threads(threads)
        yield
    finally:
        torch.set_num_threads(before)
