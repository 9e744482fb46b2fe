"""The networks of latent dynamics in torch: each reads a few rows of a series and says where the next ones are."""

from collections.abc import Mapping
from typing import Any

import torch

from femnn.networks.torch_recurrent import approach

# Heads of the attention, which divide its width.
_HEADS = 2


class Gated(torch.nn.Module):
    """One layer of LSTM or GRU cells, or two LSTMs that read in opposite directions; what they end with."""

    def __init__(self, kind: str, inputs: int, steps: int, width: int) -> None:
        super().__init__()
        make = torch.nn.GRU if kind == "gru" else torch.nn.LSTM
        self.cells = make(inputs, width, batch_first=True, bidirectional=kind == "bilstm")
        self.width = width * (2 if kind == "bilstm" else 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, steps, inputs) to (b, width)."""
        last = self.cells(x)[1]
        hidden = last[0] if isinstance(last, tuple) else last
        return hidden.transpose(0, 1).flatten(1)


class MinimalState(torch.nn.Module):
    """The self-consistent minimal-state cell of femnn's recurrent laws, with time as one more coordinate.

    Its state moves with the length of the path that it is led along, so time must be a coordinate for the cell to see
    speeds.
    """

    def __init__(self, kind: str, inputs: int, steps: int, width: int) -> None:
        super().__init__()
        places = inputs + 1
        self.gate = torch.nn.Linear(width + 2 * places, 2 * width)
        self.rate = torch.nn.Linear(2 * width, width)
        self.target = torch.nn.Linear(2 * width, width)
        self.register_buffer("clock", torch.linspace(-1.0, 1.0, steps)[None, :, None])
        self.states, self.width = width, width + inputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, steps, inputs) to (b, width)."""
        places = torch.cat([x, self.clock.to(x.dtype).expand(len(x), -1, 1)], dim=2)  # type: ignore[operator]
        h, before = x.new_zeros(len(x), self.states), torch.zeros_like(places[:, 0])
        for step in range(x.shape[1]):
            h = approach(self.gate, self.rate, self.target, h, places[:, step] - before, places[:, step])
            before = places[:, step]
        return torch.cat([h, x[:, -1]], dim=1)


class Attention(torch.nn.Module):
    """One layer of a transformer's encoder with learned positions; what it makes of the last row."""

    def __init__(self, kind: str, inputs: int, steps: int, width: int) -> None:
        super().__init__()
        # the hidden layer grows one by one, so that any number of weights is nearly met
        self.width = _HEADS * max(1, width // 4)
        self.embed = torch.nn.Linear(inputs, self.width)
        self.position = torch.nn.Parameter(0.02 * torch.randn(steps, self.width))
        self.layer = torch.nn.TransformerEncoderLayer(
            self.width, _HEADS, width, dropout=0.0, batch_first=True, norm_first=True
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, steps, inputs) to (b, width)."""
        return self.layer(self.embed(x) + self.position)[:, -1]


READERS: dict[str, Any] = {
    "lstm": Gated,
    "bilstm": Gated,
    "gru": Gated,
    "minimal-state": MinimalState,
    "transformer": Attention,
}


class Single(torch.nn.Module):
    """A reader and a linear layer: (b, steps, n + k) to (b, outputs, n)."""

    def __init__(self, kind: str, n: int, k: int, steps: int, outputs: int, width: int) -> None:
        super().__init__()
        self.outputs, self.n = outputs, n
        self.reader = READERS[kind](kind, n + k, steps, width)
        self.head = torch.nn.Linear(self.reader.width, outputs * n)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, steps, n + k) to (b, outputs, n)."""
        return self.head(self.reader(x)).unflatten(1, (self.outputs, self.n))


class Separate(torch.nn.Module):
    """A network for each coefficient, which sees no other one."""

    def __init__(self, kind: str, n: int, k: int, steps: int, outputs: int, width: int) -> None:
        super().__init__()
        self.n = n
        self.parts = torch.nn.ModuleList(Single(kind, 1, k, steps, outputs, width) for _ in range(n))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(b, steps, n + k) to (b, outputs, n)."""
        if isinstance(self.parts[0].reader, Gated):
            return self._together(x)
        own, shared = x[..., : self.n], x[..., self.n :]
        answers = [part(torch.cat([own[..., i : i + 1], shared], dim=2)) for i, part in enumerate(self.parts)]
        return torch.cat(answers, dim=2)

    def _together(self, x: torch.Tensor) -> torch.Tensor:
        """The same by one layer of gated cells whose weights between networks are 0, in half the time."""
        parts: Any = self.parts
        cells = [part.reader.cells for part in parts]
        first, width = cells[0], cells[0].hidden_size
        apart = torch.eye(self.n, dtype=x.dtype, device=x.device)

        def weights(suffix: str) -> list[torch.Tensor]:
            # (networks, gates, cells, ...) of each, gates first in the layer of all
            names = [f"{name}_l0{suffix}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
            stacks = [torch.stack([getattr(cell, name) for cell in cells]) for name in names]
            inputs, hidden, *biases = (stack.unflatten(1, (-1, width)).transpose(0, 1) for stack in stacks)
            own = inputs[..., :1] * apart[:, None]
            hidden = hidden[:, :, :, None] * apart[:, None, :, None]
            return [
                torch.cat([own, inputs[..., 1:]], dim=-1).flatten(0, 2),
                hidden.flatten(3, 4).flatten(0, 2),
                *(bias.flatten() for bias in biases),
            ]

        everything = weights("") + (weights("_reverse") if first.bidirectional else [])
        start = x.new_zeros(len(everything) // 4, len(x), self.n * width)
        settings = (everything, True, 1, 0.0, self.training, first.bidirectional, True)
        if isinstance(first, torch.nn.GRU):
            last = torch.gru(x, start, *settings)[1]
        else:
            last = torch.lstm(x, (start, start), *settings)[1]
        # (directions, b, networks, cells) to what each network ends with
        ends = last.unflatten(2, (self.n, width)).permute(1, 2, 0, 3).flatten(2)
        heads = [part.head for part in parts]
        weight, bias = (torch.stack([getattr(head, name) for head in heads]) for name in ("weight", "bias"))
        return torch.einsum("bnw,now->bon", ends, weight) + bias.T


def build(architecture: Mapping[str, Any], seed: int = 0) -> torch.nn.Module:
    """The network of an architecture with fresh weights; torch's global generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _make(architecture, int(architecture["width"]))


def width_for(architecture: Mapping[str, Any], weights: int) -> int:
    """The greatest width, at least 1, with which a network has no more than so many weights."""
    width, step = 1, 1
    while _count(architecture, width + step) <= weights:
        step *= 2
    while step:
        if _count(architecture, width + step) <= weights:
            width += step
        step //= 2
    return width


def _count(architecture, width):
    with torch.device("meta"):
        return sum(values.numel() for values in _make(architecture, width).parameters())


def _make(architecture, width):
    make = Separate if architecture["separate"] else Single
    sizes = (int(architecture[name]) for name in ("n", "n_parameters", "inputs", "outputs"))
    return make(str(architecture["kind"]), *sizes, width)
