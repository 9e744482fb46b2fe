"""The torch module behind a recurrent law, in float64: to differentiate it otherwise, or to train it further."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import torch

from femnn.cohesive.recurrent.isotropic import Isotropic
from femnn.cohesive.recurrent.isotropic_torch import IsotropicCell
from femnn.cohesive.recurrent.law import RecurrentCohesive
from femnn.cohesive.recurrent.torch_cells import FeedForward, GatedNetwork, MinimalStateCell, SelfConsistentCell
from femnn.exceptions import ParameterError


def as_module(law: RecurrentCohesive, part: str = "traction") -> torch.nn.Module:
    """The network of a :class:`femnn.RecurrentCohesive` as the module that was trained, float64, in evaluation mode.

    Its separations are in units of ``law.separation_scale``, its tractions in units of ``law.traction_scale``; that of
    a precompressed layer answers as :mod:`femnn.cohesive.recurrent.precompressed` says.

    Raises
    ------
    ParameterError
        If the law has no such part, or is one that least squares train.
    """
    tensors = law.tensors(part)
    if not tensors:
        raise ParameterError(f"{law.name} has no network {part!r}; it has {', '.join(law.card['architectures'])}")
    if law.network not in _EMPTY:
        raise ParameterError(
            f"{law.name} is a {law.network} law, which no torch module trains; there are {', '.join(_EMPTY)}"
        )
    return module_of(law.network, tensors)


def module_of(network: str, tensors: Mapping[str, np.ndarray]) -> torch.nn.Module:
    """The module of a kind of network with these tensors, float64, in evaluation mode."""
    t = {name: torch.tensor(values, dtype=torch.float64) for name, values in tensors.items()}
    module = _EMPTY[network](t).double()
    module.load_state_dict(t)
    return module.eval()


def step_of(module: torch.nn.Module) -> Callable:
    """The ``step`` of a :class:`femnn.cohesive.recurrent.cell.Cell` that is a module: derivatives by ``torch.func``."""

    def both(x, state):
        y, state = module.step(x, state)
        return y, (y, state)

    derivative = torch.func.vmap(torch.func.jacfwd(both, has_aux=True))

    def step(x, state):
        with torch.no_grad():
            dy, (y, state) = derivative(torch.from_numpy(x), torch.from_numpy(state))
        return y.numpy(), dy.numpy(), state.numpy()

    return step


def _isotropic(t):
    cell = Isotropic({name: values.numpy() for name, values in t.items()})
    scales = (t[name] for name in ("lengths", "fine", "scale", "bound"))
    sizes = {"states": cell.states, "arrows": cell.arrows, "width": len(t["gate.bias"])}
    return IsotropicCell(cell.scalars, cell.vectors, *scales, 0, **sizes, dtype=torch.float64)


def _self_consistent(t):
    states, width = len(t["rate.bias"]), len(t["gate.bias"])
    return SelfConsistentCell(t["hidden.weight"].shape[1] - states, *_ends(t), states=states, width=width)


def _gated(kind, t):
    layers = sum(name.startswith("cells.weight_hh_l") for name in t)
    inputs, width = t["cells.weight_ih_l0"].shape[1], t["cells.weight_hh_l0"].shape[1]
    return GatedNetwork(kind, inputs, *_ends(t), width=width, layers=layers)


def _ends(t):
    """Range of the answers, contact and seed, which the tensors replace."""
    return t["low"], t["high"], 0.0, 0


_EMPTY: dict[str, Callable[[dict], torch.nn.Module]] = {
    "minimal-state": lambda t: MinimalStateCell(len(t["bias0"]), [1.0, 1.0, 1.0], 0),
    "isotropic": _isotropic,
    "self-consistent": _self_consistent,
    "feed-forward": lambda t: FeedForward(t["first.weight"].shape[1], *_ends(t), width=len(t["first.bias"])),
    "lstm": partial(_gated, "lstm"),
    "gru": partial(_gated, "gru"),
}
