"""The torch module behind a recurrent law, in float64: to differentiate it otherwise, or to train it further."""

import torch

from femnn.cohesive.recurrent.isotropic import Isotropic
from femnn.cohesive.recurrent.isotropic_torch import IsotropicCell
from femnn.cohesive.recurrent.torch_cells import FeedForward, GatedNetwork, MinimalStateCell, SelfConsistentCell
from femnn.exceptions import ParameterError


def as_module(law, part="traction"):
    """The network of a :class:`femnn.RecurrentCohesive` as the module that was trained, float64, in evaluation mode.

    Its separations are in units of ``law.separation_scale``, its tractions in units of ``law.traction_scale``; that of
    a frictional law answers as :mod:`femnn.cohesive.recurrent.precompressed` says.

    Raises
    ------
    ParameterError
        If the law has no such part.
    """
    tensors = {name: torch.tensor(values, dtype=torch.float64) for name, values in law.tensors(part).items()}
    if not tensors:
        raise ParameterError(f"{law.name} has no network {part!r}; it has {', '.join(law.card['architectures'])}")
    module = _empty(law.network, tensors)
    module.load_state_dict(tensors)
    return module.eval()


def _empty(network, tensors):
    if network == "minimal-state":
        return MinimalStateCell(len(tensors["bias0"]), [1.0, 1.0, 1.0], 0)
    if network == "isotropic":
        return _isotropic(tensors)
    ends = tensors["low"], tensors["high"], 0.0, 0
    size = {"dtype": torch.float64}
    if network == "self-consistent":
        states, width = len(tensors["rate.bias"]), len(tensors["gate.bias"])
        inputs = tensors["hidden.weight"].shape[1] - states
        return SelfConsistentCell(inputs, *ends, states=states, width=width, **size)
    if network == "feed-forward":
        return FeedForward(tensors["first.weight"].shape[1], *ends, width=len(tensors["first.bias"]), **size)
    width = tensors["cells.weight_hh_l0"].shape[1]
    layers = sum(name.startswith("cells.weight_hh_l") for name in tensors)
    inputs = tensors["cells.weight_ih_l0"].shape[1]
    return GatedNetwork(network, inputs, *ends, width=width, layers=layers, **size)


def _isotropic(tensors):
    cell = Isotropic({name: values.numpy() for name, values in tensors.items()})
    shape = (tensors[name] for name in ("lengths", "fine", "scale", "bound"))
    sizes = {"states": cell.states, "arrows": cell.arrows, "width": len(tensors["gate.bias"])}
    return IsotropicCell(cell.scalars, cell.vectors, *shape, 0, **sizes, dtype=torch.float64)
