"""General recurrent networks evaluated with NumPy in float64, each step with its exact derivative.

The derivative by the inputs goes forward through the layers together with the values (forward mode): three more columns
in every product, at a fixed old state. Points are taken in blocks whose values stay in the cache. ``torch.func`` gives
the same derivatives, but takes 1.5 to 4 times as long for 10,000 points, and this needs no torch.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from femnn.cohesive.recurrent.cell import Cell
from femnn.exceptions import WeightFileError

#: Separation that the features resolve, in separation scales: about where damage begins.
FINEST = 0.02
#: Points evaluated at a time.
BLOCK = 64


class SequenceNetwork(Cell):
    """LSTM, GRU, self-consistent cell or network without memory, as ``torch_cells`` trains them.

    Parameters
    ----------
    kind
        ``"lstm"``, ``"gru"``, ``"self-consistent"`` or ``"feed-forward"``.
    tensors
        As the module's ``state_dict`` names them.

    Raises
    ------
    WeightFileError
        If tensors are missing or do not fit each other.
    """

    def __init__(self, kind: str, tensors: Mapping[str, ArrayLike]) -> None:
        self.kind, self.tensors = kind, {name: np.asarray(array, np.float64) for name, array in tensors.items()}
        try:
            self.n_inputs, self.state_size = _SIZES[kind](self.tensors)
            self.n_outputs = len(self.tensors["low"])
            # one point through the network finds every tensor that is missing or does not fit
            self.step(np.zeros((1, self.n_inputs)), np.zeros((1, self.state_size)))
        except (KeyError, ValueError, IndexError) as error:
            raise WeightFileError(f"these are no tensors of a {kind} network: {error}; fetch the file again") from error

    def step(self, x, state):
        y = np.empty((len(x), self.n_outputs))
        dy, new = np.empty((len(x), self.n_outputs, self.n_inputs)), np.empty_like(state)
        for start in range(0, len(x), BLOCK):
            rows = slice(start, start + BLOCK)
            y[rows], dy[rows], new[rows] = self._block(x[rows], state[rows])
        return y, dy, new

    def _block(self, x, state):
        z, slope = x.copy(), np.ones(self.n_inputs)
        z[:, :3] = np.arcsinh(x[:, :3] / FINEST)
        by_x = np.broadcast_to(slope, x.shape).copy()
        by_x[:, :3] = 1.0 / np.sqrt(x[:, :3] ** 2 + FINEST**2)
        # (n, inputs, inputs): row j is the derivative by input j
        dz = np.eye(self.n_inputs) * by_x[:, :, None]
        y, dy, state = _STEPS[self.kind](self.tensors, z, dz, state)
        contact = self.tensors["contact"].item()
        y[:, 0] += contact * np.minimum(x[:, 0], 0.0)
        dy[:, 0, 0] += np.where(x[:, 0] < 0.0, contact, 0.0)
        return y, dy.transpose(0, 2, 1), state


def _sigmoid(z):
    return 0.5 * (1.0 + np.tanh(0.5 * z))


def _sigmoid_head(t, values, derivatives):
    fraction = _sigmoid(values @ t["head.weight"].T + t["head.bias"])
    span = t["high"] - t["low"]
    slope = span * fraction * (1.0 - fraction)
    return t["low"] + span * fraction, derivatives @ t["head.weight"].T * slope[:, None]


def _lstm_step(t, z, dz, state):
    width, new = t["cells.weight_hh_l0"].shape[1], []
    for layer in range(state.shape[1] // (2 * width)):
        h, c = (state[:, (2 * layer + i) * width : (2 * layer + i + 1) * width] for i in (0, 1))
        weight = t[f"cells.weight_ih_l{layer}"].T
        gates = z @ weight + h @ t[f"cells.weight_hh_l{layer}"].T
        gates += t[f"cells.bias_ih_l{layer}"] + t[f"cells.bias_hh_l{layer}"]
        enter, forget, leave = (_sigmoid(gates[:, i * width : (i + 1) * width]) for i in (0, 1, 3))
        candidate = np.tanh(gates[:, 2 * width : 3 * width])
        moved = dz @ weight
        c_new = forget * c + enter * candidate
        dc = moved[..., :width] * (enter * (1 - enter) * candidate)[:, None]
        dc += moved[..., width : 2 * width] * (forget * (1 - forget) * c)[:, None]
        dc += moved[..., 2 * width : 3 * width] * (enter * (1 - candidate**2))[:, None]
        bent = np.tanh(c_new)
        z = leave * bent
        dz = moved[..., 3 * width :] * (leave * (1 - leave) * bent)[:, None] + dc * (leave * (1 - bent**2))[:, None]
        new += [z, c_new]
    return *_sigmoid_head(t, z, dz), np.concatenate(new, axis=1)


def _gru_step(t, z, dz, state):
    width, new = t["cells.weight_hh_l0"].shape[1], []
    for layer in range(state.shape[1] // width):
        h = state[:, layer * width : (layer + 1) * width]
        weight = t[f"cells.weight_ih_l{layer}"].T
        current = z @ weight + t[f"cells.bias_ih_l{layer}"]
        past = h @ t[f"cells.weight_hh_l{layer}"].T + t[f"cells.bias_hh_l{layer}"]
        moved = dz @ weight
        reset, update = (_sigmoid(current[:, part] + past[:, part]) for part in (slice(width), slice(width, 2 * width)))
        last = slice(2 * width, None)
        candidate = np.tanh(current[:, last] + reset * past[:, last])
        d_reset = moved[..., :width] * (reset * (1 - reset))[:, None]
        d_update = moved[..., width : 2 * width] * (update * (1 - update))[:, None]
        d_candidate = (moved[..., last] + d_reset * past[:, None, last]) * (1 - candidate**2)[:, None]
        z = (1 - update) * candidate + update * h
        dz = d_candidate * (1 - update)[:, None] + d_update * (h - candidate)[:, None]
        new.append(z)
    return *_sigmoid_head(t, z, dz), np.concatenate(new, axis=1)


def _algebraic(z):
    root = 1.0 / np.sqrt(1.0 + z * z)
    return z * root, root**3


def _self_consistent_step(t, z, dz, state):
    states = len(t["rate.bias"])
    h, before = state[:, :states], state[:, states:]
    move = z - before
    length = np.sqrt((move**2).sum(axis=1, keepdims=True) + 1e-12)
    direction = move / length
    d_length = (dz * direction[:, None]).sum(axis=2, keepdims=True)
    d_direction = (dz - d_length * direction[:, None]) / length[:, None]
    inputs = z.shape[1]
    gate_weight = t["gate.weight"]
    gate, slope = _algebraic(np.concatenate([h, direction, z], axis=1) @ gate_weight.T + t["gate.bias"])
    d_gate = d_direction @ gate_weight[:, states : states + inputs].T + dz @ gate_weight[:, states + inputs :].T
    d_gate *= slope[:, None]
    raw = gate @ t["rate.weight"].T + t["rate.bias"]
    rate, target = np.logaddexp(0.0, raw), gate @ t["target.weight"].T + t["target.bias"]
    d_rate = d_gate @ t["rate.weight"].T * _sigmoid(raw)[:, None]
    d_target = d_gate @ t["target.weight"].T
    step = length - 1e-6
    kept = np.exp(-rate * step)
    d_kept = -kept[:, None] * (d_rate * step[:, None] + rate[:, None] * d_length)
    new = target + (h - target) * kept
    d_new = d_target * (1.0 - kept[:, None]) + (h - target)[:, None] * d_kept
    hidden, slope = _algebraic(np.concatenate([new, z], axis=1) @ t["hidden.weight"].T + t["hidden.bias"])
    d_hidden = d_new @ t["hidden.weight"][:, :states].T + dz @ t["hidden.weight"][:, states:].T
    span = t["high"] - t["low"]
    y = (hidden - _algebraic(t["hidden.bias"])[0]) @ t["head.weight"].T * span
    dy = (d_hidden * slope[:, None]) @ t["head.weight"].T * span
    return y, dy, np.concatenate([new, z], axis=1)


def _feed_forward_step(t, z, dz, state):
    for name in ("first", "second"):
        z, slope = _algebraic(z @ t[f"{name}.weight"].T + t[f"{name}.bias"])
        dz = dz @ t[f"{name}.weight"].T * slope[:, None]
    return *_sigmoid_head(t, z, dz), state


def _layers(tensors):
    return sum(name.startswith("cells.weight_hh_l") for name in tensors)


_STEPS = {
    "lstm": _lstm_step,
    "gru": _gru_step,
    "self-consistent": _self_consistent_step,
    "feed-forward": _feed_forward_step,
}

# inputs and size of the state
_SIZES = {
    "lstm": lambda t: (t["cells.weight_ih_l0"].shape[1], 2 * _layers(t) * t["cells.weight_hh_l0"].shape[1]),
    "gru": lambda t: (t["cells.weight_ih_l0"].shape[1], _layers(t) * t["cells.weight_hh_l0"].shape[1]),
    "self-consistent": lambda t: (
        t["hidden.weight"].shape[1] - len(t["rate.bias"]),
        t["hidden.weight"].shape[1],
    ),
    "feed-forward": lambda t: (t["first.weight"].shape[1], 0),
}
