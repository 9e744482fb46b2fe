"""What recurrent networks of several rooms share in torch: an activation, and the update of a self-consistent state."""

from collections.abc import Callable

import torch
from torch.nn import functional


def algebraic(z: torch.Tensor) -> torch.Tensor:
    """The activation z/√(1 + z²)."""
    return z * torch.rsqrt(1.0 + z * z)


def approach(
    gate: Callable, rate: Callable, target: Callable, h: torch.Tensor, move: torch.Tensor, place: torch.Tensor
) -> torch.Tensor:
    """The state after a move, self-consistent after C. Bonatti and D. Mohr (J. Mech. Phys. Solids 158 (2022) 104697).

    h ← ψ + (h − ψ) exp(−α s), with rate α and target ψ from a perceptron of h, direction and place: small moves change
    the state little, and none leaves it as it is.

    Parameters
    ----------
    gate, rate, target
        Layers: the hidden one, and what reads α and ψ from it.
    h : (..., states)
    move, place : (..., inputs)
        Of this step, and where it ends.
    """
    length = torch.sqrt((move**2).sum(-1, keepdim=True) + 1e-12)
    hidden = algebraic(gate(torch.cat([h, move / length, place], dim=-1)))
    goal = target(hidden)
    return goal + (h - goal) * torch.exp(-functional.softplus(rate(hidden)) * (length - 1e-6))
