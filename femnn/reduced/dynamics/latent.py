"""Latent dynamics: a network that remembers a few rows of coefficients and says how they go on."""

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from femnn.checks import brief, checked, integer, one_of
from femnn.exceptions import ParameterError, WeightFileError
from femnn.io.guarded import Contents
from femnn.io.weight_files import load_weights, locate, save_weights, weight_file
from femnn.networks.model_card import training_record
from femnn.networks.options import TrainingOptions
from femnn.networks.perceptron import unprefixed
from femnn.reduced.dynamics.forecaster import Forecaster
from femnn.reduced.dynamics.series import (
    HOLD_OUT,
    Scales,
    Windows,
    as_parameters,
    as_series,
    as_window,
    fewest_rows,
    reciprocal,
)

KIND = "latent-dynamics"

#: Networks there are.
KINDS = ("lstm", "bilstm", "gru", "minimal-state", "transformer")

#: What they are trained with.
OPTIONS = TrainingOptions(
    learning_rate=4e-3, batch_size=64, epochs=200, patience=40, schedule="cosine", gradient_clip=1.0, threads=1
)

_SCALES = ("mean", "deviation", "parameter_mean", "parameter_deviation")


# What the architecture of a card says.
_FIELDS = frozenset({"kind", "separate", "increments", "n", "n_parameters", "inputs", "outputs", "width"})


class LatentDynamics(Forecaster):
    """A network from ``p`` rows of ``n`` coefficients to the ``q`` rows that follow, made by :meth:`fit`.

    Free-running, it goes on block by block from its own predictions. Evaluating it loads torch.

    Attributes
    ----------
    architecture : dict
        ``kind``, ``separate``, ``increments``, ``n``, ``n_parameters``, ``inputs`` (p), ``outputs`` (q), ``width``.
    tensors : dict of arrays
        Of the network.
    scales : femnn.reduced.dynamics.series.Scales
    target_scale : (q, n)
        What the network's answers are multiplied with.
    history : femnn.networks.History or None
        Course of the training; None for one from a file.
    card : dict
        What is known of its training and its test.
    dt : float
        Step of the series.

    See Also
    --------
    femnn.reduced.dynamics.Autoregression : the linear rival.
    femnn.reduced.dynamics.compare_forecasters : errors over time, side by side.
    """

    @checked(target_scale="...", dt="(0, inf)")
    def __init__(
        self,
        architecture: Mapping[str, Any],
        tensors: Mapping[str, np.ndarray],
        scales: Scales,
        target_scale: np.ndarray,
        *,
        dt: float = 1.0,
        card: Mapping[str, Any] | None = None,
    ) -> None:
        missing = _FIELDS - set(architecture)
        if missing:
            raise ParameterError(f"the architecture lacks {', '.join(sorted(missing))}; pass what a card of `save` has")
        self.architecture, self.tensors, self.scales = dict(architecture), dict(tensors), scales
        self.target_scale, self.dt, self.card = target_scale, dt, dict(card or {})
        self.n, self.lookback = (integer(name, architecture[name], 1) for name in ("n", "inputs"))
        self.n_parameters = integer("n_parameters", architecture["n_parameters"], 0)
        self.name = f"{architecture['kind']}{', one each' if architecture['separate'] else ''}"
        self.history: Any = None

    def __repr__(self) -> str:
        shape = f"{self.lookback} rows of {self.n} to {self.architecture['outputs']}"
        return f"LatentDynamics({self.name}: {shape}, {self.n_weights:,} weights)"

    @property
    def n_weights(self) -> int:
        """Numbers that were trained."""
        return sum(values.size for name, values in self.tensors.items() if not name.endswith("clock"))

    @classmethod
    @checked(series="unchecked", window="unchecked", weights="[50, inf)", dt="(0, inf)", parameters="any")
    def fit(
        cls,
        series: ArrayLike | Sequence[ArrayLike],
        kind: str = "lstm",
        window: int | tuple[int, int] = 20,
        *,
        separate: bool = False,
        weights: int = 8000,
        increments: bool = True,
        parameters: ArrayLike | None = None,
        dt: float = 1.0,
        hold_out: str = "last",
        options: TrainingOptions = OPTIONS,
        checkpoint: str | os.PathLike | None = None,
        progress: bool = True,
    ) -> "LatentDynamics":
        """Train a network on all windows of some series.

        Parameters
        ----------
        series : (m, n), or a list of such arrays
            Coefficients at equal steps of time, a row for each; pieces of an interrupted series as a list.
        kind
            ``"lstm"``, ``"bilstm"``, ``"gru"``, ``"minimal-state"`` or ``"transformer"``, one layer of it.
        window
            Rows of a window, of which the first half goes in and the second comes out (A. T. Mohan, D. V. Gaitonde,
            arXiv 1804.09269), or the two numbers.
        separate
            A network for each coefficient, which sees no other, in place of one for all.
        weights
            About how many numbers are trained; the width follows from it. Networks for each coefficient share them.
        increments
            Whether the network says how far the coefficients go from the last row, or where they are.
        parameters : (number of series,) or (number of series, k)
            Of each series, such as a Reynolds number; the network sees them at every step.
        dt
            Step of the series, kept for those who ask.
        hold_out
            Windows that decide when to stop: the ``"last"`` fifth of each series, for flows that go on and on, or a
            fifth in ``"scattered"`` stretches, for runs that never come back to where they were.
        options
            Of :func:`femnn.networks.training.train`; its seed is that of the weights, too.
        checkpoint
            File in which an interrupted training is kept and from which it goes on.
        progress
            Show a bar, if stderr is a terminal.

        Raises
        ------
        DatasetError
            If series have gaps, are too short or constant. A coefficient that is constant beside others that are not
            stays what it is.
        ParameterError
            If arguments are not allowed.

        Examples
        --------
        >>> t = 0.2 * np.arange(300)[:, None]
        >>> options = TrainingOptions(learning_rate=1e-2, batch_size=64, epochs=30, threads=1)
        >>> waves = np.hstack([np.sin(t), np.cos(t)])
        >>> dynamics = LatentDynamics.fit(waves, "gru", 16, weights=1000, options=options, progress=False)
        >>> bool(np.abs(dynamics.forecast(waves[:8], 16) - waves[8:24]).max() < 0.3)
        True
        """
        one_of("kind", kind, KINDS)
        one_of("hold_out", hold_out, HOLD_OUT)
        size = as_window(window)
        parts = as_series(series, fewest_rows(size))
        settings = as_parameters(parameters, len(parts))
        windows = Windows.of(parts, size, settings, hold_out)
        scales = Scales.of(parts, settings)
        architecture = {
            "kind": kind, "separate": separate, "increments": increments, "n": parts[0].shape[1],
            "n_parameters": settings.shape[1], "inputs": size[0], "outputs": size[1],
        }  # fmt: skip
        from femnn.reduced.dynamics.fit_dynamics import fit_network  # loads torch
        from femnn.reduced.dynamics.torch_networks import width_for

        architecture["width"] = width_for(architecture, weights)
        model = cls(architecture, {}, scales, np.ones((size[1], parts[0].shape[1])), dt=dt)
        model.target_scale = model._target_scale(windows)
        rows = [model._rows(*windows.part(held_out)) for held_out in (False, True)]
        model.tensors, model.history = fit_network(architecture, rows[0], rows[1], options, checkpoint, progress)
        model.card = {
            "data": {
                "series": len(parts),
                "times": [len(part) for part in parts],
                "dt": dt,
                "hold_out": hold_out,
                "windows": {"training": len(rows[0][0]), "validation": len(rows[1][0])},
            },
            "training": training_record(options, {"network": model.history}, {"network": model.n_weights}),
        }
        return model

    def _advance(self, histories, parameters, steps):
        answers = self._evaluate(self._inputs(histories, parameters)) * self.target_scale
        return answers + (histories[:, -1:] if self.architecture["increments"] else self.scales.mean)

    def _inputs(self, histories, parameters):
        rows = self.scales.scaled(histories)
        constants = self.scales.scaled_parameters(parameters)[:, None]
        return np.concatenate([rows, np.broadcast_to(constants, (*rows.shape[:2], self.n_parameters))], axis=2)

    def _rows(self, inputs, outputs, parameters):
        """What goes in, and what is to come out."""
        start = inputs[:, -1:] if self.architecture["increments"] else self.scales.mean
        return self._inputs(inputs, parameters), (outputs - start) * reciprocal(self.target_scale)

    def _target_scale(self, windows):
        if not self.architecture["increments"]:
            return np.broadcast_to(self.scales.deviation, self.target_scale.shape).copy()
        inputs, outputs, _ = windows.part(False)
        scale = np.sqrt(((outputs - inputs[:, -1:]) ** 2).mean(axis=0))
        # a coefficient that is constant but for rounding stays so
        return np.where(self.scales.deviation > 0.0, scale, 0.0)

    @cached_property
    def _evaluate(self):
        from femnn.reduced.dynamics.fit_dynamics import evaluator  # loads torch

        return evaluator(self.architecture, self.tensors)

    # --- files

    @checked(test="unchecked")
    def save(self, path: str | os.PathLike, test: Mapping[str, Any] | None = None) -> Path:
        """Write ``path.safetensors`` and its card ``path.json``, with figures of a ``test``; returns the former."""
        tensors = {f"network.{name}": values for name, values in self.tensors.items()}
        tensors |= {f"scales.{name}": getattr(self.scales, name) for name in _SCALES}
        card = {
            "kind": KIND,
            "what": f"how {self.n} coefficients go on: {self!r}",
            "architectures": {"network": self.architecture},
            "trained_range": "histories like those of the training series",
            "data": self.card.get("data", {"dt": self.dt}),
            "training": self.card.get("training", {}),
            "test": dict(self.card.get("test", {}) if test is None else test),
        }
        return save_weights(path, {**tensors, "scales.target": self.target_scale}, card)

    @classmethod
    @checked()
    def load(cls, path: str | os.PathLike) -> "LatentDynamics":
        """Read what :meth:`save` wrote.

        Raises
        ------
        WeightFileError
            If the file is missing, damaged or of another kind.
        """
        tensors, card = load_weights(path, KIND)
        file = weight_file(locate(path)[0])
        contents = Contents(file, card, tensors)
        architecture = contents.part("architectures").part("network")
        if architecture.text("kind") not in KINDS:
            raise WeightFileError(f"{file.path} has a network {brief(architecture.fields['kind'])}; {file.remedy}")
        n, k = architecture.count("n", 1), architecture.count("n_parameters")
        sizes = {"n": n, "n_parameters": k} | {name: architecture.count(name, 1) for name in _COUNTS}
        flags = {name: architecture.fields.get(name) is True for name in ("separate", "increments")}
        shapes = ((n,), (n,), (k,), (k,))
        scales = Scales(*(contents.array(f"scales.{name}", shape) for name, shape in zip(_SCALES, shapes, strict=True)))
        model = cls(
            {"kind": architecture.text("kind"), **flags, **sizes},
            unprefixed(tensors, "network"),
            scales,
            contents.array("scales.target", (sizes["outputs"], n)),
            dt=contents.part("data").number("dt"),
            card={name: card[name] for name in ("data", "training", "test")},
        )
        with file.checked():
            model._evaluate  # noqa: B018 - tensors that do not fit the architecture are refused here
        return model


_COUNTS = ("inputs", "outputs", "width")
