"""Back-propagation written out by hand, layer after layer, against torch and against differences."""

import numpy as np
import pytest
import torch

from femnn.networks import Architecture
from femnn.networks.perceptron import ACTIVATIONS
from femnn.networks.torch_perceptron import build

XOR = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([[0.0], [1.0], [1.0], [0.0]])

#: Derivatives of the activations by their argument.
SLOPES = {
    "sigmoid": lambda z: (s := 1.0 / (1.0 + np.exp(-z))) * (1.0 - s),
    "tanh": lambda z: 1.0 - np.tanh(z) ** 2,
    "relu": lambda z: (z > 0.0).astype(float),
    "silu": lambda z: (s := 1.0 / (1.0 + np.exp(-z))) * (1.0 + z * (1.0 - s)),
    "elu": lambda z: np.where(z > 0.0, 1.0, np.exp(z)),
    "prelu": lambda z: np.where(z > 0.0, 1.0, 0.25),
}


def by_hand(features, targets, tensors, architecture):
    """Mean square over rows and outputs, and its gradient by every weight and bias: forward, then backward."""
    activation, last = architecture.activation, architecture.layers - 1
    extra = {"prelu": [np.array([0.25])]}.get(activation, [])
    inputs, arguments, values = [], [], features
    for layer in range(last + 1):
        inputs.append(values)
        z = values @ tensors[f"weight{layer}"].T + tensors[f"bias{layer}"]
        arguments.append(z)
        values = z.copy()
        if layer < last:
            ACTIVATIONS[activation](values, *extra)
    loss = np.mean((values - targets) ** 2)
    # the derivative of the loss by the argument of a layer, from the last to the first
    delta, gradients = 2.0 * (values - targets) / values.size, {}
    for layer in range(last, -1, -1):
        gradients[f"weight{layer}"] = delta.T @ inputs[layer]
        gradients[f"bias{layer}"] = delta.sum(axis=0)
        if layer:
            delta = (delta @ tensors[f"weight{layer}"]) * SLOPES[activation](arguments[layer - 1])
            if activation == "prelu":
                negative = np.minimum(arguments[layer - 1], 0.0)
                # delta is already behind the slope, where it is 0.25 for negative arguments
                gradients[f"slope{layer - 1}"] = np.array([(delta / 0.25 * negative).sum()])
    return loss, gradients


def by_torch(module, features, targets):
    loss = ((module(torch.tensor(features)) - torch.tensor(targets)) ** 2).mean()
    loss.backward()
    return float(loss), {name: weight.grad.numpy() for name, weight in module.named_parameters()}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("hidden", [(2,), (50,) * 5], ids=["xor", "regressor"])
def test_back_propagation_by_hand(activation, hidden):
    rng = np.random.default_rng(3)
    features, targets = XOR if hidden == (2,) else (rng.normal(size=(40, 18)), rng.normal(size=(40, 8)))
    architecture = Architecture(features.shape[1], targets.shape[1], hidden, activation)
    module = build(architecture, seed=1, dtype=torch.float64)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if name.startswith("bias"):
                weight += torch.tensor(0.1 * rng.normal(size=weight.shape))
    tensors = {name: weight.detach().numpy().copy() for name, weight in module.named_parameters()}
    loss, gradients = by_hand(features, targets, tensors, architecture)
    expected, expected_gradients = by_torch(module, features, targets)
    assert loss == pytest.approx(expected, rel=1e-12)
    assert set(gradients) == set(expected_gradients)
    for name, gradient in gradients.items():
        scale = np.abs(expected_gradients[name]).max()
        np.testing.assert_allclose(gradient, expected_gradients[name], atol=1e-11 * scale, rtol=0.0, err_msg=name)
    # and neither is wrong in the same way as the other
    name, h = "weight0", 1e-6
    up, down = ({**tensors, name: tensors[name] + sign * h * np.eye(*tensors[name].shape)} for sign in (1.0, -1.0))
    losses = [by_hand(features, targets, moved, architecture)[0] for moved in (up, down)]
    difference = (losses[0] - losses[1]) / (2.0 * h)
    assert np.trace(gradients[name]) == pytest.approx(difference, rel=1e-5, abs=1e-9)


def test_xor_is_learned_by_the_gradients_of_the_hand():
    architecture = Architecture(2, 1, (3,), "tanh")
    tensors = {
        name: weight.detach().numpy().copy()
        for name, weight in build(architecture, seed=1, dtype=torch.float64).named_parameters()
    }
    for _ in range(1000):
        loss, gradients = by_hand(*XOR, tensors, architecture)
        for name, gradient in gradients.items():
            tensors[name] -= 0.5 * gradient
    assert loss < 1e-4
