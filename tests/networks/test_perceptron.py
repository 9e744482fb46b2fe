"""Perceptrons: NumPy against torch, standardisation, initial weights, and what is refused."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import torch

from femnn.exceptions import ParameterError, WeightFileError
from femnn.networks import Architecture, Perceptron, standardisation
from femnn.networks import perceptron as perceptron_module
from femnn.networks.activations import exp, tanh
from femnn.networks.perceptron import ACTIVATIONS
from femnn.networks.torch_perceptron import build, from_perceptron, to_perceptron


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def measured(rng, inputs, outputs):
    """Standardisation of data whose columns have very different units."""
    units_in, units_out = 10.0 ** rng.uniform(-3, 3, inputs), 10.0 ** rng.uniform(-3, 3, outputs)
    return standardisation(rng.normal(2, 1, (50, inputs)) * units_in, rng.normal(-1, 1, (50, outputs)) * units_out)


def tensors_of(architecture, rng, dtype=np.float64):
    return {
        name: (np.abs(rng.normal(size=shape)) + 0.1 if name.endswith("scale") else rng.normal(size=shape)).astype(dtype)
        for name, shape in architecture.shapes.items()
    }


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("hidden", [(), (1,), (30,) * 4, (50, 3, 96)])
def test_numpy_equals_torch(activation, hidden, rng):
    architecture = Architecture(18, 8, hidden, activation)
    statistics = measured(rng, 18, 8)
    # more rows than one chunk, and no multiple of it
    features = (
        statistics["input_mean"] + rng.normal(0, 2, (perceptron_module.ROWS + 77, 18)) * statistics["input_scale"]
    )
    module = build(architecture, statistics, seed=3)
    found = to_perceptron(module)(features)
    with torch.no_grad():
        double = module.double()(torch.tensor(features)).numpy()
    scale = np.abs(double).max(axis=0)
    assert found.dtype == np.float64
    assert found.shape == (len(features), 8)
    assert np.abs((found - double) / scale).max() < 1e-12


@pytest.mark.parametrize(("compiled", "exact"), [(exp, np.exp), (tanh, np.tanh)])
def test_compiled_functions_are_right_to_rounding(compiled, exact, rng):
    values = np.concatenate([rng.normal(0.0, 5.0, 200), [0.0, -0.0, 1e-12, 690.0, -690.0, np.nan]])
    found = values.copy()
    compiled(found)
    np.testing.assert_allclose(found, exact(values), rtol=2e-15 if compiled is exp else 0.0, atol=5e-16)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("hidden", [(), (50, 3, 96)])
def test_layers_in_single_precision(activation, hidden, rng):
    architecture = Architecture(18, 8, hidden, activation)
    statistics = measured(rng, 18, 8)
    network = to_perceptron(build(architecture, statistics, seed=3))
    features = statistics["input_mean"] + rng.normal(0, 2, (600, 18)) * statistics["input_scale"]
    expected, found = network(features), network.in_single_precision()(features)
    assert found.dtype == np.float64
    assert np.abs((found - expected) / np.abs(expected).max(axis=0)).max() < 1e-5
    # the one that it was made of is as it was
    np.testing.assert_array_equal(network(features), expected)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_numpy_equals_torch_in_single_precision(activation, rng):
    # without a standardisation, so that torch's own rounding of the features does not hide the comparison
    module = build(Architecture(18, 8, (30,) * 4, activation), None, seed=3)
    features = rng.normal(size=(500, 18)).astype(np.float32)
    with torch.no_grad():
        expected = module(torch.tensor(features)).numpy()
    assert np.abs(to_perceptron(module)(features) - expected).max() < 1e-6 * np.abs(expected).max()


def test_the_whole_network_by_hand():
    tensors = {
        "weight0": [[1.0, 2.0]],
        "bias0": [0.5],
        "weight1": [[3.0]],
        "bias1": [-1.0],
        "input_mean": [1.0, 0.0],
        "input_scale": [2.0, 4.0],
        "output_mean": [10.0],
        "output_scale": [5.0],
    }
    network = Perceptron(Architecture(2, 1, (1,), "relu"), tensors)
    # (3-1)/2 = 1, 4/4 = 1 -> relu(1 + 2 + .5) = 3.5 -> 9.5 -> 57.5;  (-9-1)/2 = -5 -> relu(< 0) = 0 -> -1 -> 5
    assert network([[3.0, 4.0], [-9.0, 0.0]]).tolist() == [[57.5], [5.0]]


@pytest.mark.parametrize(
    ("activation", "limits"), [("sigmoid", (0, 1)), ("tanh", (-1, 1)), ("relu", (0, 1e5)), ("silu", (0, 1e5))]
)
def test_activations_do_not_overflow(activation, limits):
    network = Perceptron(
        Architecture(1, 1, (1,), activation), {"weight0": [[1.0]], "bias0": [0.0], "weight1": [[1.0]], "bias1": [0.0]}
    )
    with np.errstate(all="raise"):
        values = network([[-1e5], [1e5]])[:, 0]
    assert values == pytest.approx(limits, abs=1e-12)


def test_compiled_silu_is_that_of_numpy(rng):
    x = np.concatenate([rng.normal(scale=10.0 ** rng.uniform(-8, 2, 999), size=999), [0.0, -708.0, 708.0, 1e300]])
    expected = x / (1.0 + np.exp(-x.clip(-700.0, 700.0)))
    for part in (slice(None), slice(0, 64), slice(5, 6), slice(0, 0)):
        found = x[part].copy()
        ACTIVATIONS["silu"](found)
        np.testing.assert_allclose(found, expected[part], rtol=1e-15)
    missing = np.array([np.nan, 1.0])
    ACTIVATIONS["silu"](missing)
    assert np.isnan(missing).tolist() == [True, False]


def test_round_trips_are_exact(rng):
    architecture = Architecture(5, 2, (7, 6), "silu")
    network = Perceptron(architecture, tensors_of(architecture, rng))
    again = to_perceptron(from_perceptron(network, torch.float64))
    assert again.architecture == architecture
    for name, values in network.tensors().items():
        assert again.tensors()[name].tobytes() == values.tobytes(), name
    assert Architecture.from_dict(architecture.to_dict()) == architecture


def test_float32_weights_stay_float32(rng):
    architecture = Architecture(5, 2, (7,), "tanh")
    network = Perceptron(architecture, tensors_of(architecture, rng, np.float32))
    assert {values.dtype for values in network.tensors().values()} == {np.dtype(np.float32)}
    assert network(np.zeros((1, 5), np.float32)).dtype == np.float64


def test_a_perceptron_does_not_follow_later_changes_of_its_arrays(rng):
    architecture = Architecture(2, 1, (), "tanh")
    tensors = tensors_of(architecture, rng)
    network = Perceptron(architecture, tensors)
    before = network([[1.0, 2.0]])
    tensors["weight0"][:] = 0
    assert (network([[1.0, 2.0]]) == before).all()
    with pytest.raises(ValueError, match="read-only"):
        network.tensors()["weight0"][:] = 0
    module = build(architecture)
    network = to_perceptron(module)
    before = network([[1.0, 2.0]])
    with torch.no_grad():
        module.weight0.zero_()
    assert (network([[1.0, 2.0]]) == before).all()


def test_several_networks_in_one_dictionary(rng):
    small, large = Architecture(3, 1, (4,), "tanh"), Architecture(3, 2, (5, 5), "silu")
    networks = {"classifier": build(small, seed=1), "regressor": build(large, seed=2)}
    tensors = {}
    for prefix, module in networks.items():
        tensors |= to_perceptron(module).tensors(prefix)
    tensors |= Perceptron(small, tensors_of(small, rng)).tensors()
    features = rng.normal(size=(4, 3))
    for prefix, architecture in (("classifier", small), ("regressor", large)):
        found = Perceptron.from_tensors(tensors, architecture, prefix)
        assert (found(features) == to_perceptron(networks[prefix])(features)).all()
    assert Perceptron.from_tensors(tensors, small)(features).shape == (4, 1)


def test_many_rows_need_little_memory(rng):
    network = to_perceptron(build(Architecture(4, 1, (50, 50), "sigmoid")))
    features = rng.normal(size=(100_000, 4))
    tracemalloc.start()
    network(features)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 100_000 + 3e6  # the result and a chunk; one whole hidden layer would be 40 MB


def test_no_rows_are_no_error():
    assert to_perceptron(build(Architecture(4, 3, (5,), "relu")))(np.empty((0, 4))).shape == (0, 3)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("hidden", [(), (12, 7)])
@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 1000])
def test_answers_in_lanes_are_those_of_rows(n, hidden, single, rng):
    architecture = Architecture(5, 3, hidden, "silu")
    network = Perceptron(architecture, {name: rng.uniform(0.5, 1.0, s) for name, s in architecture.shapes.items()})
    network, features = network.in_single_precision() if single else network, rng.normal(size=(n, 5))
    blocks = network.in_lanes(features, 16)
    assert blocks.shape == (-(-n // 16), 48)
    assert blocks.dtype == (np.float32 if single else np.float64)
    rows = blocks.reshape(-1, 3, 16).transpose(0, 2, 1).reshape(-1, 3)
    np.testing.assert_allclose(rows[:n], network(features), atol=1e-5 if single else 1e-14)
    # what fills up the last block are answers to the last row
    np.testing.assert_allclose(rows[n:], np.tile(rows[n - 1 : n], (len(rows) - n, 1)), atol=1e-5)


def test_standardisation_measures_and_spares_constant_columns(rng):
    features = np.column_stack([rng.normal(5, 3, 10_000), np.full(10_000, 0.1), np.zeros(10_000)])
    found = standardisation(features)
    assert set(found) == {"input_mean", "input_scale"}
    assert found["input_mean"] == pytest.approx([5, 0.1, 0], abs=0.1)
    assert found["input_scale"] == pytest.approx([3, 1, 1], rel=0.03)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.zeros(3), "shape \\(3,\\)"),
        (np.empty((0, 3)), "rows > 0"),
        ([[1.0, 2.0], [1.0, np.nan]], "input column 1 holds NaN"),
    ],
)
def test_standardisation_refuses(features, message):
    with pytest.raises(ParameterError, match=message):
        standardisation(features)


def test_initial_weights_are_reproducible_and_leave_the_global_generator_alone():
    architecture = Architecture(6, 2, (20, 20), "sigmoid")
    torch.manual_seed(11)
    before = torch.get_rng_state()
    first, second, other = build(architecture, seed=4), build(architecture, seed=4), build(architecture, seed=5)
    assert torch.equal(before, torch.get_rng_state())
    for name, values in first.state_dict().items():
        assert torch.equal(values, second.state_dict()[name]), name
    assert not torch.equal(first.weight0, other.weight0)
    assert not torch.equal(first.weight1, first.weight1.T)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_initial_weights_keep_the_signal_alive_through_five_layers(activation, rng):
    module = build(Architecture(18, 8, (50,) * 5, activation), seed=0)
    with torch.no_grad():
        spread = module(torch.tensor(rng.normal(size=(2000, 18)), dtype=torch.float32)).std(dim=0).mean().item()
    assert 0.02 < spread < 5


def test_only_weights_and_biases_are_trained():
    module = build(Architecture(3, 2, (4,), "tanh"), {"input_mean": np.ones(3), "input_scale": np.ones(3)})
    assert [name for name, _ in module.named_parameters()] == ["weight0", "bias0", "weight1", "bias1"]
    assert {name for name, _ in module.named_buffers()} == {"input_mean", "input_scale", "output_mean", "output_scale"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1, (), "tanh"), "inputs=0"),
        ((1, -2, (), "tanh"), "outputs=-2"),
        ((1, 1, (3, 2.5), "tanh"), r"hidden\[1\]=2.5"),
        ((1, 1, 30, "tanh"), "hidden=30"),
        ((1, 1, (True,), "tanh"), r"hidden\[0\]=True"),
        ((1, 1, (), "softplus"), "activation='softplus' is not allowed; pass 'sigmoid' or 'tanh' or 'relu' or 'silu'"),
    ],
)
def test_impossible_architectures(arguments, message):
    with pytest.raises(ParameterError, match=message):
        Architecture(*arguments)


@pytest.mark.parametrize(
    "fields", [{"inputs": 1}, [1, 2], {**Architecture(1, 1, (), "relu").to_dict(), "dropout": 0.2}]
)
def test_architectures_from_foreign_fields(fields):
    with pytest.raises(ParameterError, match="an architecture has the fields"):
        Architecture.from_dict(fields)


def spoil(tensors, name, values):
    return {**tensors, name: values}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: {k: v for k, v in t.items() if k != "net.bias1"}, r"net.bias1 \(2,\) is missing"),
        (lambda t: spoil(t, "net.weight0", t["net.weight0"].T), r"weight0 has shape \(3, 4\) instead of \(4, 3\)"),
        (lambda t: spoil(t, "net.bias0", np.array([0, np.nan, 0, 0])), r"bias0 holds nan at \(1,\)"),
        (lambda t: spoil(t, "net.input_scale", np.array([1.0, 0, 1])), "input_scale holds the scale 0"),
        (lambda t: spoil(t, "net.weight2", np.zeros((2, 2))), "net.weight2 is none of its tensors"),
        (lambda t: spoil(t, "net.bias0", np.array(list("abcd"))), "instead of real numbers"),
    ],
)
def test_tensors_that_do_not_fit(change, message, rng):
    architecture = Architecture(3, 2, (4,), "tanh")
    good = Perceptron(architecture, tensors_of(architecture, rng)).tensors("net")
    bad = change(dict(good))
    with pytest.raises(WeightFileError, match=message) as caught:
        Perceptron.from_tensors(bad, architecture, "net", source="points.safetensors")
    assert "points.safetensors does not hold a 3-4-2 tanh perceptron" in str(caught.value)
    with pytest.raises(ParameterError, match=message.replace("net.", "")):
        Perceptron(architecture, {name.removeprefix("net."): values for name, values in bad.items()})


@pytest.mark.parametrize("shape", [(3,), (5, 4), (2, 3, 1)])
def test_features_of_another_shape(shape, rng):
    architecture = Architecture(3, 2, (4,), "tanh")
    network = Perceptron(architecture, tensors_of(architecture, rng))
    with pytest.raises(ParameterError, match=r"but this network takes \(n, 3\)"):
        network(np.zeros(shape))


def test_build_refuses_a_standardisation_of_other_features():
    with pytest.raises(ParameterError, match=r"input_mean has shape \(2,\) instead of \(3,\)"):
        build(Architecture(3, 1, (), "relu"), {"input_mean": np.zeros(2)})
    with pytest.raises(ParameterError, match="mean is none of its tensors"):
        build(Architecture(3, 1, (), "relu"), {"mean": np.zeros(3)})


def test_inference_and_weight_files_do_not_load_torch():
    code = "import sys, femnn.networks.perceptron, femnn.io.weight_files; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
