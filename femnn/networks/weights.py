"""Trained networks as weight files: their tensors beside each other, their architectures in the card."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from femnn.checks import checked
from femnn.exceptions import ParameterError, WeightFileError
from femnn.io.guarded import Contents
from femnn.io.weight_files import load_weights, locate, save_weights, weight_file
from femnn.networks.perceptron import Architecture, Perceptron, unprefixed


@dataclass(frozen=True, eq=False, repr=False)
class Networks:
    """The contents of a weight file of trained networks.

    Attributes
    ----------
    path
        The safetensors file.
    card
        Their purpose, training and test.
    networks
        Networks by name.
    tensors
        The other tensors of the file by name: trained range, calibration, ...

    Examples
    --------
    >>> from femnn.networks import load_networks
    >>> weights = load_networks("quadrature-weights")
    >>> sorted(weights.networks), weights.card["kind"]
    (['classifier', 'regressor'], 'quadrature-weights')
    """

    path: Path
    card: dict[str, Any]
    networks: dict[str, Perceptron]
    tensors: dict[str, np.ndarray]

    def __repr__(self) -> str:
        return f"Networks({self.path.name!r}, {self.card['kind']!r}: {', '.join(self.networks)})"

    @property
    def contents(self) -> Contents:
        """Card and other tensors, taken out with checks."""
        return Contents(weight_file(self.path), self.card, self.tensors)

    @checked()
    def require(self, *, card: Sequence[str] = (), networks: Sequence[str] = (), tensors: Sequence[str] = ()) -> None:
        """Raise WeightFileError unless the file has these fields of the card, networks and other tensors."""
        wanted = {"card": card, "networks": networks, "tensors": tensors}
        for part, names in wanted.items():
            missing = [name for name in names if name not in getattr(self, part)]
            if missing:
                raise WeightFileError(
                    f"{self.path} lacks the {part} {', '.join(missing)}; train it again with this version of femnn"
                )


@checked()
def save_networks(
    path: str | os.PathLike,
    networks: Mapping[str, Perceptron],
    card: Mapping[str, Any],
    tensors: Mapping[str, np.ndarray] | None = None,
) -> Path:
    """`save_weights` for networks: their names become prefixes of their tensors, their architectures go into the card.

    Parameters
    ----------
    path
        Where to.
    networks
        Networks by name, such as ``{"classifier": ..., "regressor": ...}``.
    card
        As for `save_weights`, without ``architectures``.
    tensors
        Further arrays for the user of the networks, by names that begin with none of theirs.

    Raises
    ------
    ParameterError
        As `save_weights` does, and if such a name would make its tensor part of a network.

    Examples
    --------
    >>> from femnn.networks import Architecture, Perceptron, load_networks, save_networks
    >>> line = Perceptron(Architecture(1, 1, (), "tanh"), {"weight0": [[2.0]], "bias0": [1.0]})
    >>> card = {"kind": "example", "what": "2 x + 1", "trained_range": {}, "data": {}, "training": {}, "test": {}}
    >>> path = save_networks("line", {"line": line}, card)
    >>> load_networks(path, "example").networks["line"]([[3.0]])
    array([[7.]])
    """
    complete = dict(tensors or {})
    for prefix, network in networks.items():
        strangers = sorted(name for name in tensors or {} if unprefixed({name: None}, prefix))
        if strangers:
            raise ParameterError(f"tensor {strangers[0]} would belong to the network {prefix!r}; give it another name")
        complete |= network.tensors(prefix)
    architectures = {prefix: network.architecture.to_dict() for prefix, network in networks.items()}
    return save_weights(path, complete, {**card, "architectures": architectures})


def load_networks(name_or_path: str | os.PathLike, kind: str | None = None) -> Networks:
    """`load_weights` for what `save_networks` wrote.

    Raises
    ------
    WeightFileError
        As `load_weights` does, and if the card's architectures do not fit the tensors.

    Examples
    --------
    >>> from femnn.networks import load_networks
    >>> load_networks("quadrature-weights").networks["classifier"]
    Perceptron(18-30-30-30-30-1 sigmoid, 3391 parameters)
    """
    tensors, card = load_weights(name_or_path, kind)
    weights, card_file = locate(name_or_path)
    networks = {}
    for prefix, fields in card["architectures"].items():
        try:
            architecture = Architecture.from_dict(fields)
        except ParameterError as error:
            raise WeightFileError(
                f"{card_file} describes no network {prefix!r}: {error}; fetch the card again"
            ) from error
        networks[prefix] = Perceptron.from_tensors(tensors, architecture, prefix, source=str(weights))
    owned = {name for prefix, network in networks.items() for name in network.tensors(prefix)}
    others = {name: values for name, values in tensors.items() if name not in owned}
    return Networks(weights, card, networks, others)
