"""Settings and course of a training, which need no torch."""

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from numbers import Integral, Real
from typing import Any

from femnn.checks import checked
from femnn.exceptions import ParameterError

OPTIMIZERS = ("adam", "adamw", "sgd")

# Learning rate as a factor of the given one; t in [0, 1) is the fraction of the epochs that is done.
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda t: 1.0,
    # Loshchilov & Hutter (ICLR 2017), without restarts
    "cosine": lambda t: 0.5 * (1.0 + math.cos(math.pi * t)),
    # a tenth after one half, a hundredth after three quarters, as He et al. (CVPR 2016)
    "step": lambda t: 0.1 ** ((t >= 0.5) + (t >= 0.75)),
    # Smith & Topin (2019): linear warm-up from 1/25 over the first three tenths, then a cosine
    "onecycle": lambda t: 0.04 + 0.96 * t / 0.3 if t < 0.3 else 0.5 * (1.0 + math.cos(math.pi * (t - 0.3) / 0.7)),
}


@dataclass(frozen=True)
class TrainingOptions:
    """Settings of a training: everything that decides the result besides network, loss and data.

    Parameters
    ----------
    optimizer
        ``"adam"``, ``"adamw"`` (decoupled weight decay) or ``"sgd"``.
    learning_rate
        Largest learning rate, > 0.
    weight_decay
        L2 penalty (adam, sgd) or decay (adamw), >= 0.
    momentum
        Of sgd, in [0, 1); the others ignore it.
    batch_size
        Rows per step, >= 1; the last batch of an epoch takes what is left.
    epochs
        Passes over the training rows, >= 1.
    schedule
        ``"constant"``, ``"cosine"`` (down to zero), ``"step"`` (a tenth at one half, a hundredth at three quarters of
        the epochs) or ``"onecycle"`` (warm-up, then cosine). The rate changes from epoch to epoch.
    patience
        Stop after this many epochs without a smaller validation loss, >= 1; None never stops early.
    gradient_clip
        Largest norm of the gradient of all weights together, > 0; None leaves it as it is.
    seed
        Seed of the order of the rows, and of dropout if the network has any; >= 0.
    threads
        Threads of torch while training, >= 1; None leaves them as they are. More threads may change the last bits.

    Raises
    ------
    ParameterError
        If a value is not allowed; the message names it and what is.
    """

    optimizer: str = "adam"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    momentum: float = 0.9
    batch_size: int = 256
    epochs: int = 200
    schedule: str = "cosine"
    patience: int | None = None
    gradient_clip: float | None = None
    seed: int = 0
    threads: int | None = None

    def __post_init__(self) -> None:
        for name, allowed in (("optimizer", OPTIMIZERS), ("schedule", tuple(SCHEDULES))):
            if getattr(self, name) not in allowed:
                raise ParameterError(f"{name}={getattr(self, name)!r} is unknown; choose one of {', '.join(allowed)}")
        for name, least in (("batch_size", 1), ("epochs", 1), ("patience", 1), ("seed", 0), ("threads", 1)):
            self._check(name, Integral, f"an integer of at least {least}", partial(operator.le, least))
        self._check("learning_rate", Real, "a finite number > 0", lambda value: value > 0)
        self._check("weight_decay", Real, "a finite number >= 0", lambda value: value >= 0)
        self._check("momentum", Real, "a number in [0, 1)", lambda value: 0 <= value < 1)
        self._check("gradient_clip", Real, "a finite number > 0", lambda value: value > 0)

    def _check(self, name: str, kind: Any, allowed: str, holds: Callable[[Any], bool]) -> None:
        value: Any = getattr(self, name)
        optional = name in ("patience", "threads", "gradient_clip")
        if value is None and optional:
            return
        if not isinstance(value, kind) or isinstance(value, bool) or not math.isfinite(value) or not holds(value):
            raise ParameterError(
                f"{name}={value!r} is not allowed; it must be {allowed}{' or None' if optional else ''}"
            )
        object.__setattr__(self, name, int(value) if kind is Integral else float(value))

    @checked(epoch="[0, inf)")
    def rate(self, epoch: int) -> float:
        """Learning rate of an epoch (the first is 0)."""
        return self.learning_rate * SCHEDULES[self.schedule](epoch / self.epochs)


@dataclass
class History:
    """Course of a training: one entry per epoch in each list.

    Attributes
    ----------
    training_loss, validation_loss, learning_rate, seconds
        Of each epoch: the training loss as a mean while the weights changed, the validation loss after it.
    best_epoch
        Index of the epoch with the smallest validation loss, whose weights the module holds; -1 before the first.
    stopped
        Why training ended: ``"epochs"``, ``"patience"``, ``"time_limit"`` or ``"interrupt"``; None while it runs.
    """

    training_loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    best_epoch: int = -1
    stopped: str | None = None

    @property
    def epochs(self) -> int:
        """Number of complete epochs."""
        return len(self.validation_loss)

    @property
    def best_loss(self) -> float:
        """Smallest validation loss; infinite before the first epoch."""
        return self.validation_loss[self.best_epoch] if self.best_epoch >= 0 else math.inf

    def __str__(self) -> str:
        return (
            f"{self.epochs} epochs in {sum(self.seconds):.1f} s, stopped by {self.stopped}; "
            f"validation loss {self.best_loss:.4g} at epoch {self.best_epoch}"
        )
