"""Recurrent laws for torch: the modules that :func:`femnn.networks.training.train` trains.

All take sequences (paths, steps, inputs) of separations in units of the separation scale, from the virgin state on, and
answer tractions (paths, steps, outputs) in units of the traction scale. ``step`` is one update of any batch of points,
what ``torch.func.vmap(torch.func.jacfwd(...))`` differentiates.
"""

import torch
from torch.nn import functional

from femnn.cohesive.recurrent.minimal_state import REACH
from femnn.cohesive.recurrent.sequences import FINEST
from femnn.networks.torch_recurrent import algebraic, approach


class MinimalStateCell(torch.nn.Module):
    """The cell of :mod:`femnn.cohesive.recurrent.minimal_state`."""

    def __init__(self, width, stiffness, seed, dtype=torch.float64) -> None:
        super().__init__()
        draws = torch.Generator().manual_seed(seed)
        # units that turn at places spread evenly over all modes, and geometrically over the sizes that paths reach
        modes, sizes = torch.linspace(0.0, 1.0, width, dtype=dtype), torch.logspace(-1.7, 0.0, width, dtype=dtype)
        steepness = 2.0 + 4.0 * torch.rand(width, generator=draws, dtype=dtype)
        self.weight0 = torch.nn.Parameter(steepness[:, None].clone())
        self.bias0 = torch.nn.Parameter(-steepness * modes)
        self.linear = torch.nn.Parameter(torch.zeros(2, width, dtype=dtype))
        mixed = torch.empty(width, width, dtype=dtype)
        torch.nn.init.xavier_uniform_(mixed, generator=draws)
        self.weight1 = torch.nn.Parameter(torch.cat([mixed, 1.5 / sizes[:, None]], dim=1))
        self.bias1 = torch.nn.Parameter(torch.full((width,), -1.5, dtype=dtype))
        # straight at first
        self.weight2 = torch.nn.Parameter(torch.zeros(1, width, dtype=dtype))
        # softens from the strength to nothing within the scale: positive nearly everywhere, so there is a gradient
        self.line = torch.nn.Parameter(torch.tensor([1.0, -1.0], dtype=dtype))
        self.stiffness = torch.nn.Parameter(torch.tensor(stiffness, dtype=dtype).log())
        self.friction = torch.nn.Parameter(torch.tensor([-1.0], dtype=dtype))

    def left(self, x):
        """Fraction of the intact interface's traction that the separations (..., 3) can bear, (...,)."""
        normal, shear = self.stiffness[:2].exp()
        opening = x[..., 0].clamp(min=0.0)
        sliding = _length(x[..., 1:])
        a, s = opening.clamp(max=REACH), sliding.clamp(max=REACH)
        size = _root(a * a + s * s)
        mode = torch.where(size > 0.0, (s / size.clamp(min=1e-12)) ** 2, 0.0)[..., None]
        values = algebraic(functional.linear(mode, self.weight0, self.bias0))
        at_zero, slope = functional.linear(values, self.linear, self.line).unbind(-1)
        values = torch.cat([values, size[..., None]], dim=-1)
        values = algebraic(functional.linear(values, self.weight1, self.bias1))
        envelope = at_zero + slope * size + functional.linear(values, self.weight2)[..., 0]
        elastic = _root((normal * opening) ** 2 + (shear * sliding) ** 2)
        return torch.where(elastic > 0.0, (envelope / elastic.clamp(min=1e-12)).clamp(0.0, 1.0), 1.0)

    def bend(self):
        """Bound of what the envelope departs from softening linearly in each mode, a scalar."""
        return self.weight2.abs().sum()

    def step(self, x, state):
        """Traction (..., 3) and new state (..., 3) of separations (..., 3)."""
        elastic = self._stuck(x[..., 1:] - state[..., 1:], self._radius(x))
        before = state[..., 0]
        target = 1.0 - self._may_grow(x, elastic, self.left(x))
        damage = torch.where(target > before, target, before)
        return self._traction(x, damage, elastic), torch.cat([damage[..., None], x[..., 1:] - elastic], dim=-1)

    def forward(self, paths):
        """Tractions (n, steps, 3) along paths (n, steps, 3)."""
        # only the slip goes step by step: the largest damage so far is one running minimum over all steps
        radius, sliding = self._radius(paths), paths[..., 1:]
        slip, elastic = torch.zeros_like(sliding[:, 0]), []
        for step in range(paths.shape[1]):
            elastic.append(self._stuck(sliding[:, step] - slip, radius[:, step]))
            slip = sliding[:, step] - elastic[-1]
        elastic = torch.stack(elastic, dim=1)
        left = torch.cummin(self._may_grow(paths, elastic, self.left(paths)), dim=1).values
        return self._traction(paths, 1.0 - left, elastic)

    def _radius(self, x):
        """Elastic part of the sliding at which Coulomb's cone is reached, (...,)."""
        _, shear, contact = self.stiffness.exp()
        return functional.softplus(self.friction[0]) * contact / shear * (-x[..., 0]).clamp(min=0.0)

    def _stuck(self, apart, radius):
        """Elastic part of the sliding after the return to the cone, (..., 2)."""
        length = _length(apart)
        fraction = torch.where(length > radius, radius / length.clamp(min=1e-30), torch.ones_like(length))
        return fraction[..., None] * apart

    def _may_grow(self, x, elastic, left):
        """``left`` where growing damage dissipates, 1 elsewhere."""
        normal, shear, _ = self.stiffness.exp()
        intact = shear * (x[..., 1:] ** 2).sum(-1) + normal * x[..., 0].clamp(min=0.0) ** 2
        return torch.where(intact >= shear * (elastic**2).sum(-1), left, torch.ones_like(left))

    def _traction(self, x, damage, elastic):
        normal, shear, contact = self.stiffness.exp()
        opening, closing = x[..., 0].clamp(min=0.0), (-x[..., 0]).clamp(min=0.0)
        along = (1.0 - damage) * normal * opening - contact * closing
        across = shear * ((1.0 - damage)[..., None] * x[..., 1:] + damage[..., None] * elastic)
        return torch.cat([along[..., None], across], dim=-1)


class _Sequence(torch.nn.Module):
    """Features, output range and contact of the general networks.

    Buffers ``low`` and ``high`` (outputs,) span the training data; ``contact`` is the penalty stiffness, added to the
    network's answer, so that contact holds by construction.
    """

    def __init__(self, inputs, low, high, contact, dtype) -> None:
        super().__init__()
        self.inputs, self.outputs = inputs, len(low)
        for name, values in (("low", low), ("high", high), ("contact", [contact])):
            self.register_buffer(name, torch.as_tensor(values, dtype=dtype))

    def features(self, x):
        """Separations on a scale that resolves onset and softening alike; microstructure as it is."""
        return torch.cat([torch.asinh(x[..., :3] / FINEST), x[..., 3:]], dim=-1)

    def with_contact(self, x, y):
        """The answer plus the penalty of closed points."""
        push = self.contact[0] * x[..., :1].clamp(max=0.0)
        return torch.cat([y[..., :1] + push, y[..., 1:]], dim=-1) if self.contact[0] > 0.0 else y

    def scaled(self, z):
        """Sigmoid outputs in the range of the data."""
        return self.low + (self.high - self.low) * torch.sigmoid(z)


class GatedNetwork(_Sequence):
    """LSTM or GRU layers with dropout and a sigmoid output, as Wang & Sun (CMAME 334 (2018) 337-380) have it.

    Zero virgin traction, dissipation and isotropy are learned from data only.
    """

    def __init__(
        self, kind, inputs, low, high, contact, seed, *, width=80, layers=2, dropout=0.2, dtype=torch.float32
    ) -> None:
        super().__init__(inputs, low, high, contact, dtype)
        self.kind, self.width, self.layers = kind, width, layers
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            make = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[kind]
            self.cells = make(inputs, width, layers, batch_first=True, dropout=dropout, dtype=dtype)
            self.head = torch.nn.Linear(width, self.outputs, dtype=dtype)
        self.dropout = dropout

    @property
    def state_size(self):
        """Numbers per point."""
        return self.layers * self.width * (2 if self.kind == "lstm" else 1)

    def forward(self, paths):
        """Outputs along paths."""
        hidden, _ = self.cells(self.features(paths))
        hidden = functional.dropout(hidden, self.dropout, self.training)
        return self.with_contact(paths, self.scaled(self.head(hidden)))

    def step(self, x, state):
        """Outputs and new state of points (..., inputs) with states (..., state_size)."""
        parts, new, values = state.split(self.width, dim=-1), [], self.features(x)
        for layer in range(self.layers):
            names = ("weight_ih", "bias_ih", "weight_hh", "bias_hh")
            weights = [getattr(self.cells, f"{name}_l{layer}") for name in names]
            if self.kind == "lstm":
                values, cell = _lstm(values, *parts[2 * layer : 2 * layer + 2], *weights)
                new += [values, cell]
            else:
                values = _gru(values, parts[layer], *weights)
                new.append(values)
        return self.with_contact(x, self.scaled(self.head(values))), torch.cat(new, dim=-1)


class SelfConsistentCell(_Sequence):
    """A general minimal-state cell, self-consistent after Bonatti & Mohr (2022): state (h, previous features).

    Over a step of length s in the features, h ← ψ + (h − ψ) exp(−α s), with rate α and target ψ from a perceptron of h,
    direction and place; small steps therefore change the state little, and a pause not at all. The traction is a
    perceptron of h and place, less its value for the virgin interface: that one is free of traction by construction.
    """

    def __init__(self, inputs, low, high, contact, seed, *, states=24, width=64, dtype=torch.float32) -> None:
        super().__init__(inputs, low, high, contact, dtype)
        self.states, self.width = states, width
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.gate = torch.nn.Linear(states + 2 * inputs, width, dtype=dtype)
            self.rate = torch.nn.Linear(width, states, dtype=dtype)
            self.target = torch.nn.Linear(width, states, dtype=dtype)
            self.hidden = torch.nn.Linear(states + inputs, width, dtype=dtype)
            self.head = torch.nn.Linear(width, self.outputs, dtype=dtype)

    @property
    def state_size(self):
        """Numbers per point."""
        return self.states + self.inputs

    def step(self, x, state):
        """Outputs and new state of points (..., inputs) with states (..., state_size)."""
        place = self.features(x)
        h, before = state[..., : self.states], state[..., self.states :]
        h = approach(self.gate, self.rate, self.target, h, place - before, place)
        return self.with_contact(x, self._read(h, place)), torch.cat([h, place], dim=-1)

    def _read(self, h, place):
        virgin = self.head(algebraic(self.hidden.bias))
        answer = self.head(algebraic(self.hidden(torch.cat([h, place], dim=-1)))) - virgin
        return answer * (self.high - self.low)

    def forward(self, paths):
        """Outputs along paths."""
        state, answers = paths.new_zeros(len(paths), self.state_size), []
        for step in range(paths.shape[1]):
            answer, state = self.step(paths[:, step], state)
            answers.append(answer)
        return torch.stack(answers, dim=1)


class FeedForward(_Sequence):
    """A network without memory, to see what memory is worth: three layers, sigmoid output."""

    def __init__(self, inputs, low, high, contact, seed, *, width=80, dtype=torch.float32) -> None:
        super().__init__(inputs, low, high, contact, dtype)
        self.width, self.state_size = width, 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.first = torch.nn.Linear(inputs, width, dtype=dtype)
            self.second = torch.nn.Linear(width, width, dtype=dtype)
            self.head = torch.nn.Linear(width, self.outputs, dtype=dtype)

    def forward(self, paths):
        """Outputs along paths; each step by itself."""
        hidden = algebraic(self.second(algebraic(self.first(self.features(paths)))))
        return self.with_contact(paths, self.scaled(self.head(hidden)))

    def step(self, x, state):
        """Outputs and the empty state."""
        return self.forward(x), state


def _lstm(x, h, c, weight_ih, bias_ih, weight_hh, bias_hh):
    gates = functional.linear(x, weight_ih, bias_ih) + functional.linear(h, weight_hh, bias_hh)
    enter, forget, candidate, leave = gates.chunk(4, dim=-1)
    c = torch.sigmoid(forget) * c + torch.sigmoid(enter) * torch.tanh(candidate)
    return torch.sigmoid(leave) * torch.tanh(c), c


def _gru(x, h, weight_ih, bias_ih, weight_hh, bias_hh):
    reset, update, candidate = functional.linear(x, weight_ih, bias_ih).chunk(3, dim=-1)
    reset_h, update_h, candidate_h = functional.linear(h, weight_hh, bias_hh).chunk(3, dim=-1)
    update = torch.sigmoid(update + update_h)
    candidate = torch.tanh(candidate + torch.sigmoid(reset + reset_h) * candidate_h)
    return (1.0 - update) * candidate + update * h


def _root(squares):
    """Square root whose derivative at zero is zero."""
    positive = squares > 0.0
    return torch.where(positive, torch.sqrt(torch.where(positive, squares, torch.ones_like(squares))), 0.0)


def _length(vectors):
    return _root((vectors**2).sum(-1))
