"""Settings and course of a training, which need no torch."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from femnn.checks import checked, integer, number, one_of

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

    Examples
    --------
    >>> from femnn.networks import TrainingOptions
    >>> options = TrainingOptions(learning_rate=1e-2, epochs=100, schedule="cosine")
    >>> [round(options.rate(epoch), 4) for epoch in (0, 50, 99)]
    [0.01, 0.005, 0.0]
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
            one_of(name, getattr(self, name), allowed)
        for name, least in (("batch_size", 1), ("epochs", 1), ("patience", 1), ("threads", 1)):
            self._set(name, integer, least)
        self._set("seed", integer, 0, None)
        for name in ("learning_rate", "gradient_clip"):
            self._set(name, number, "(0, inf)")
        self._set("weight_decay", number, "[0, inf)")
        self._set("momentum", number, "[0, 1)")

    def _set(self, name: str, check: Callable, *bounds: Any) -> None:
        """Put what a check makes of a value in its place."""
        value = getattr(self, name)
        if value is not None or name not in ("patience", "threads", "gradient_clip"):
            object.__setattr__(self, name, check(name, value, *bounds))

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

    Examples
    --------
    >>> from femnn.networks import History
    >>> history = History()
    >>> history.epochs, history.best_loss, history.stopped
    (0, inf, None)
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
