"""The isotropic cell of :mod:`femnn.cohesive.recurrent.isotropic` for torch: what is trained."""

import warnings

import torch
from torch.nn import functional

from femnn.cohesive.recurrent.isotropic_numba import EPSILON
from femnn.networks.torch_recurrent import algebraic

# Lengths, in units of the cell's own, over which its states forget at first: from elastic to steady shearing.
_FASTEST, _SLOWEST = 4.0, 0.1


class IsotropicCell(torch.nn.Module):
    """A self-consistent cell of scalars and vectors.

    Parameters
    ----------
    scalars, vectors
        Numbers of further inputs: columns after the separation, the scalars first, two columns a vector.
    lengths, fine
        Of opening and sliding by which moves are measured, (2,), and the smallest opening to resolve, (1,).
    scale
        Of the scalar answers, (outputs,).
    bound
        What the length of each vector answer stays below, (vector outputs,).
    seed
        Of the weights.
    states, arrows, width
        Scalar states, vector states, units of the two hidden layers.
    """

    lengths: torch.Tensor
    fine: torch.Tensor
    scale: torch.Tensor
    bound: torch.Tensor

    def __init__(
        self, scalars, vectors, lengths, fine, scale, bound, seed, *, states=16, arrows=8, width=32, dtype=torch.float32
    ) -> None:
        super().__init__()
        self.scalars, self.vectors, self.states, self.arrows = scalars, vectors, states, arrows
        self.inputs, self.state_size = 3 + scalars + 2 * vectors, states + 2 * arrows + 3
        buffers = {"lengths": lengths, "fine": fine, "scale": scale, "bound": bound, "extras": [scalars, vectors]}
        for name, values in buffers.items():
            self.register_buffer(name, torch.as_tensor(values, dtype=dtype))
        both, extras = states + arrows, scalars + vectors
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            # a cell that answers no vectors mixes none
            warnings.filterwarnings("ignore", "Initializing zero-element tensors")
            torch.manual_seed(seed)
            self.gate = torch.nn.Linear(states + 2 * arrows + 3 + extras + vectors, width, dtype=dtype)
            self.move = torch.nn.Linear(width, 2 * both + states + arrows * vectors, dtype=dtype)
            self.hidden = torch.nn.Linear(states + arrows + 2 + extras, width, dtype=dtype)
            self.head = torch.nn.Linear(width, len(self.scale), bias=False, dtype=dtype)
            self.mix = torch.nn.Linear(width, arrows * len(self.bound), dtype=dtype)
        spread = [torch.logspace(0.0, 1.0, count, dtype=dtype) for count in (states, arrows)]
        fraction = torch.cat([(s - 1.0) / 9.0 if len(s) > 1 else s for s in spread])
        rates = _FASTEST * (_SLOWEST / _FASTEST) ** fraction
        self.log_rate = torch.nn.Parameter(rates.log())

    def place(self, opening):
        """Coarse and fine measures of the opening, (..., 2), which the cell sees."""
        return torch.stack([opening / self.lengths[0], algebraic(opening / self.fine[0])], dim=-1)

    def _steps(self, separation, before):
        """Moves (..., 3), their length and directions, and the place half way."""
        move = (separation - before) / self.lengths[[0, 1, 1]]
        length = torch.sqrt((move**2).sum(-1, keepdim=True) + EPSILON**2)
        return move, length, move / length, self.place(0.5 * (separation[..., 0] + before[..., 0]))

    def _advance(self, h, arrows, move, length, direction, seen, extra):
        """New scalars (n, states) and vectors (n, arrows, 2); ``seen`` is what the gate sees besides them."""
        across = direction[:, 1:]
        # products of vectors in place of the vectors: turning the shear turns nothing here
        along = (arrows * across[:, None]).sum(-1)
        gate = algebraic(self.gate(torch.cat([h, along, (arrows * arrows).sum(-1), direction[:, :1], seen], dim=-1)))
        both = self.states + self.arrows
        raw, target, drive, pull = self.move(gate).split([both, self.states, both, self.arrows * self.vectors], dim=-1)
        rate = self.log_rate.exp() * (raw + torch.sqrt(raw * raw + 1.0))
        gone = -torch.expm1(-rate * (length - EPSILON))
        pushed = drive * (-torch.expm1(-rate * length) / length)
        h = h + (target - h) * gone[:, : self.states] + pushed[:, : self.states] * move[:, :1]
        gone, pushed = gone[:, self.states :], pushed[:, self.states :]
        new = arrows * (1.0 - gone)[..., None] + pushed[..., None] * move[:, None, 1:]
        if self.vectors:
            pulled = pull.reshape(-1, self.arrows, self.vectors) @ extra
            new = new + gone[..., None] * pulled
        return h, new

    def _extras(self, x):
        """Further scalars (..., s) and vectors (..., v, 2)."""
        scalars, flat = x[..., 3 : 3 + self.scalars], x[..., 3 + self.scalars :]
        return scalars, flat.reshape(*flat.shape[:-1], self.vectors, 2)

    def _seen(self, place, direction, scalars, vectors):
        along = (vectors * direction[..., None, 1:]).sum(-1)
        return torch.cat([place, scalars, along, (vectors * vectors).sum(-1)], dim=-1)

    def read(self, x, h, arrows):
        """Answers (..., outputs) of scalars (..., states) and vectors (..., arrows, 2) at inputs ``x``."""
        scalars, vectors = self._extras(x)
        fixed = torch.cat([scalars, (vectors * vectors).sum(-1)], dim=-1)
        place = self.place(x[..., 0])
        known = torch.cat([h, (arrows * arrows).sum(-1), place, fixed], dim=-1)
        hidden = algebraic(self.hidden(known))
        virgin = torch.cat([torch.zeros_like(known[..., : known.shape[-1] - fixed.shape[-1]]), fixed], dim=-1)
        answers = self.head(hidden - algebraic(self.hidden(virgin))) * self.scale
        mix = self.mix(hidden)
        mixed = mix.reshape(*mix.shape[:-1], len(self.bound), self.arrows) @ arrows
        size = (mixed * mixed).sum(-1, keepdim=True)
        mixed = self.bound[:, None] * mixed * torch.rsqrt(1.0 + size)
        return torch.cat([answers, mixed.flatten(-2)], dim=-1)

    def step(self, x, state):
        """Answers and new state of points (..., inputs) with states (..., state_size)."""
        shape = x.shape[:-1]
        x, state = x.reshape(-1, x.shape[-1]), state.reshape(-1, state.shape[-1])
        h, flat, before = state.split([self.states, 2 * self.arrows, 3], dim=-1)
        move, length, direction, place = self._steps(x[:, :3], before)
        scalars, vectors = self._extras(x)
        seen = self._seen(place, direction, scalars, vectors)
        h, arrows = self._advance(h, flat.reshape(-1, self.arrows, 2), move, length, direction, seen, vectors)
        answers = self.read(x, h, arrows)
        new = torch.cat([h, arrows.flatten(-2), x[:, :3]], dim=-1)
        return answers.reshape(*shape, -1), new.reshape(*shape, -1)

    def forward(self, paths):
        """Answers along paths (n, steps, inputs)."""
        separation = paths[..., :3]
        before = functional.pad(separation[:, :-1], (0, 0, 1, 0))
        move, length, direction, place = self._steps(separation, before)
        scalars, vectors = self._extras(paths)
        seen = self._seen(place, direction, scalars, vectors)
        h, arrows = paths.new_zeros(len(paths), self.states), paths.new_zeros(len(paths), self.arrows, 2)
        course = []
        for parts in zip(*(each.unbind(1) for each in (move, length, direction, seen, vectors)), strict=True):
            h, arrows = self._advance(h, arrows, *parts)
            course.append((h, arrows))
        # nothing read goes back into the states: all steps are read at once
        return self.read(paths, *(torch.stack(each, dim=1) for each in zip(*course, strict=True)))
