"""Weight files: what is written comes back bit by bit, and nothing damaged or foreign is accepted."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from femnn.exceptions import DatasetError, ParameterError, WeightFileError
from femnn.io import weight_files as checkpoints
from femnn.io.guarded import digest, sealed
from femnn.io.weight_files import load_state, load_weights, save_state, save_weights
from femnn.networks.perceptron import Architecture, Perceptron
from femnn.networks.weights import load_networks, save_networks

CARD = {
    "kind": "integration-points",
    "what": "number of points per axis",
    "trained_range": {"displacement": [0.0, 0.3]},
    "data": {"seed": 1, "training": 5000},
    "training": {"epochs": 3},
    "test": {"exact": 0.95},
}

IDENTITY = {"options": {"epochs": 3}, "network": {"architecture": "a"}, "data": {"training": ["b"]}}


def network(seed, inputs=3, dtype=np.float64):
    rng = np.random.default_rng(seed)
    architecture = Architecture(inputs, 2, (4,), "tanh")
    return Perceptron(architecture, {n: (rng.random(s) + 0.1).astype(dtype) for n, s in architecture.shapes.items()})


@pytest.fixture
def saved(tmp_path):
    """A good pair of files."""
    return save_networks(tmp_path / "points.safetensors", {"classifier": network(0), "regressor": network(1)}, CARD)


def edit_card(saved, **changes):
    path = saved.with_suffix(".json")
    card = json.loads(path.read_text(encoding="utf-8"))
    card = {name: value for name, value in {**card, **changes}.items() if value is not ...}
    path.write_text(json.dumps(sealed(card)))


def replace_weights(saved, content):
    """Other bytes with the sha256 that belongs to them, so that the next check has to find what is wrong."""
    saved.write_bytes(content)
    edit_card(saved, sha256=checkpoints.hashlib.sha256(content).hexdigest())


def test_networks_come_back_bit_by_bit(saved):
    loaded = load_networks(saved, "integration-points")
    found, card = loaded.networks, loaded.card
    assert list(found) == ["classifier", "regressor"]
    for seed, perceptron in enumerate(found.values()):
        expected = network(seed)
        assert perceptron.architecture == expected.architecture
        for name, values in expected.tensors().items():
            assert perceptron.tensors()[name].tobytes() == values.tobytes()
    assert {name: card[name] for name in CARD} == CARD
    assert card["format"] == "femnn-weights"
    assert card["version"] == 1
    assert len(card["sha256"]) == 64
    assert card["femnn"]


def test_types_strides_and_scalars_survive(tmp_path):
    tensors = {
        "single": np.arange(6, dtype=np.float32).reshape(2, 3),
        "transposed": np.arange(6.0).reshape(2, 3).T,
        "every second": np.arange(10)[::2],
        "scalar": np.array(2.5),
    }
    path = save_weights(tmp_path / "x", tensors, {**CARD, "architectures": {}})
    found, _ = load_weights(path)
    for name, values in tensors.items():
        assert found[name].dtype == values.dtype
        assert found[name].shape == values.shape
        assert (found[name] == values).all()


def test_one_network_without_prefix(tmp_path):
    path = save_networks(tmp_path / "single", {"": network(0, dtype=np.float32)}, CARD)
    assert set(load_weights(path)[0]) == set(network(0).architecture.shapes)
    found = load_networks(path).networks
    assert (found[""](np.ones((1, 3))) == network(0, dtype=np.float32)(np.ones((1, 3)))).all()


@pytest.mark.parametrize("prefix", ["", "classifier"])
def test_other_tensors_live_beside_the_networks(tmp_path, prefix):
    others = {"calibration.shift": np.array([0.2]), **({"limits": np.eye(2)} if prefix else {})}
    path = save_networks(tmp_path / "both", {prefix: network(0)}, CARD, others)
    loaded = load_networks(path)
    assert {name: values.tolist() for name, values in loaded.tensors.items()} == {
        name: values.tolist() for name, values in others.items()
    }
    stranger = f"{prefix}.limits" if prefix else "limits"
    with pytest.raises(ParameterError, match=f"tensor {stranger} would belong to the network '{prefix}'"):
        save_networks(path, {prefix: network(0)}, CARD, {stranger: np.eye(2)})


def test_dots_in_names_are_kept(tmp_path):
    first = save_networks(tmp_path / "points-0.1", {"": network(0)}, CARD)
    second = save_networks(tmp_path / "points-0.3", {"": network(1)}, CARD)
    assert first.name == "points-0.1.safetensors"
    assert (load_weights(first)[0]["bias0"] != load_weights(second)[0]["bias0"]).any()


def test_the_card_leads_to_the_weights_too(saved):
    assert load_weights(saved.with_suffix(".json"))[1] == load_weights(saved)[1]
    assert load_weights(str(saved.with_suffix("")))[1] == load_weights(saved)[1]


def test_bare_names_are_the_shipped_files(saved, monkeypatch):
    monkeypatch.setattr(checkpoints, "_shipped_folder", lambda: saved.parent)
    assert set(load_networks("points").networks) == {"classifier", "regressor"}
    with pytest.raises(WeightFileError, match="the shipped ones are points; a file of your own needs its folder"):
        load_weights("weights")


def test_the_shipped_folder_is_inside_the_package():
    with pytest.raises(WeightFileError, match=r"femnn.data.pretrained.no-such-weights\.safetensors"):
        load_weights("no-such-weights")


def test_a_bare_name_is_not_looked_for_in_the_working_folder(saved, monkeypatch):
    monkeypatch.chdir(saved.parent)
    with pytest.raises(WeightFileError, match="pretrained"):
        load_weights("points")
    assert load_weights("./points")[1]["kind"] == "integration-points"
    assert load_weights("points.safetensors")[1]["kind"] == "integration-points"


def test_missing_files(saved, tmp_path):
    with pytest.raises(WeightFileError, match=r"no weight file .*other\.safetensors; check the path"):
        load_weights(tmp_path / "other")
    saved.with_suffix(".json").unlink()
    with pytest.raises(WeightFileError, match=r"points\.safetensors has no card points\.json beside it; copy both"):
        load_weights(saved)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"kind: points"])
def test_cards_that_are_not_json(saved, content):
    saved.with_suffix(".json").write_bytes(content)
    with pytest.raises(WeightFileError, match=r"points\.json is no whole card: .*; fetch the card again"):
        load_weights(saved)


@pytest.mark.parametrize(("content", "found"), [("[1, 2]", "'list'"), ("{}", "None"), ('{"format": "onnx"}', "'onnx'")])
def test_foreign_cards(saved, content, found):
    saved.with_suffix(".json").write_text(content)
    with pytest.raises(WeightFileError, match=f"its format is {found} instead of 'femnn-weights'"):
        load_weights(saved)


def test_wrong_kind_version_and_fields(saved):
    with pytest.raises(WeightFileError, match="is of kind 'integration-points', but 'weights' is needed"):
        load_weights(saved, kind="weights")
    edit_card(saved, version=2)
    with pytest.raises(WeightFileError, match="has version 2, but this femnn reads version 1"):
        load_weights(saved)
    edit_card(saved, version=1, data=..., sha256=...)
    with pytest.raises(WeightFileError, match="lacks the fields data, sha256"):
        load_weights(saved)


@pytest.mark.parametrize("position", [0, 20, -1])
def test_one_flipped_bit_is_noticed(saved, position):
    content = bytearray(saved.read_bytes())
    content[position] ^= 1
    saved.write_bytes(content)
    with pytest.raises(WeightFileError, match=r"is damaged or not the file of its card: its sha256 is [0-9a-f]{64}"):
        load_weights(saved)


def test_truncated_and_mixed_up_files(saved, tmp_path):
    content = saved.read_bytes()
    other = save_networks(tmp_path / "other", {"": network(5)}, CARD)
    saved.write_bytes(other.read_bytes())
    with pytest.raises(WeightFileError, match="not the file of its card"):
        load_weights(saved)
    for length in (0, 7, 50, len(content) - 8):
        saved.write_bytes(content[:length])
        with pytest.raises(WeightFileError, match="damaged"):
            load_weights(saved)
        replace_weights(saved, content[:length])
        with pytest.raises(WeightFileError, match=f"is no whole safetensors file \\({length} bytes\\)"):
            load_weights(saved)


def test_foreign_weights(saved):
    replace_weights(saved, b"PK\x03\x04" + bytes(100))
    with pytest.raises(WeightFileError, match="is no whole safetensors file"):
        load_weights(saved)


def test_non_finite_values(saved, tmp_path):
    replace_weights(saved, safetensors.numpy.save({"classifier.bias0": np.array([1.0, np.inf])}))
    with pytest.raises(
        WeightFileError, match=r"tensor classifier\.bias0 of .*points\.safetensors holds NaN or infinity"
    ):
        load_weights(saved)
    with pytest.raises(ParameterError, match=r"tensor a for .* holds NaN or infinity"):
        save_weights(tmp_path / "x", {"a": np.array([np.nan])}, {**CARD, "architectures": {}})
    assert not list(tmp_path.glob("x*"))


def test_missing_tensors_and_wrong_shapes(saved):
    tensors = load_weights(saved)[0]
    kept = {name: values for name, values in tensors.items() if name != "regressor.weight1"}
    replace_weights(saved, safetensors.numpy.save(kept))
    with pytest.raises(
        WeightFileError, match=r"points\.safetensors does not hold .* regressor\.weight1 \(2, 4\) is missing"
    ):
        load_networks(saved)
    replace_weights(saved, safetensors.numpy.save({**tensors, "classifier.bias0": np.zeros(5)}))
    with pytest.raises(WeightFileError, match=r"classifier\.bias0 has shape \(5,\) instead of \(4,\)"):
        load_networks(saved)


@pytest.mark.parametrize("architectures", [{"classifier": {"inputs": 3}}, {"classifier": None}, [1]])
def test_cards_with_impossible_architectures(saved, architectures):
    edit_card(saved, architectures=architectures)
    with pytest.raises(WeightFileError, match=r"points\.json .*fetch the card again"):
        load_networks(saved)


def test_unreadable_files(saved, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(WeightFileError, match=r"cannot be read: .*Permission denied"):
        load_weights(saved)


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({"kind": "x"}, "lacks what, trained_range, data, training, test"),
        ({**CARD, "test": {"error": float("nan")}}, "cannot be JSON"),
        ({**CARD, "test": np.zeros(2)}, "cannot be JSON"),
    ],
)
def test_cards_that_cannot_be_written(saved, card, message):
    before = saved.read_bytes(), saved.with_suffix(".json").read_bytes()
    with pytest.raises(ParameterError, match=message):
        save_networks(saved, {"": network(0)}, card)
    assert (saved.read_bytes(), saved.with_suffix(".json").read_bytes()) == before


@pytest.mark.parametrize("writer", ["write_bytes", "write_text"])
def test_a_full_disk_leaves_the_old_pair(saved, monkeypatch, writer):
    before = saved.read_bytes(), saved.with_suffix(".json").read_bytes()

    def half(path, content, **_):
        with open(path, "w") as file:
            file.write("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, writer, half)
    with pytest.raises(OSError, match="No space left"):
        save_networks(saved, {"": network(9)}, CARD)
    assert (saved.read_bytes(), saved.with_suffix(".json").read_bytes()) == before
    assert sorted(file.name for file in saved.parent.iterdir()) == ["points.json", "points.safetensors"]
    monkeypatch.undo()
    load_networks(saved)


def test_an_interrupt_between_the_two_renamings_is_noticed(saved, monkeypatch):
    replace = os.replace

    def once(source, target):
        if str(target).endswith(".json"):
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", once)
    with pytest.raises(KeyboardInterrupt):
        save_networks(saved, {"": network(9)}, CARD)
    with pytest.raises(WeightFileError, match="not the file of its card"):
        load_weights(saved)


def test_states_come_back_and_belong_to_one_training(tmp_path):
    path = tmp_path / "state.safetensors"
    tensors = {"step": np.array(3.0, np.float32), "loss": np.array([np.nan, 1.0]), "none": np.empty((0, 3))}
    save_state(path, tensors, IDENTITY, {"validation_loss": [0.1 + 0.2]})
    found, history = load_state(path, IDENTITY)
    assert history == {"validation_loss": [0.1 + 0.2]}
    for name, values in tensors.items():
        assert found[name].shape == values.shape
        assert found[name].tobytes() == values.tobytes()


@pytest.mark.parametrize(
    ("part", "now", "error", "message"),
    [
        ("options", {"epochs": 4}, ParameterError, "its options has epochs = 3, but it is now 4; delete the file"),
        ("options", {"epochs": 3, "new": 1}, ParameterError, "its options has new = None, but it is now 1"),
        ("network", {"architecture": "c"}, WeightFileError, "architecture = 'a', but it is now 'c'"),
        ("data", {"training": ["d"]}, DatasetError, r"training = \['b'\], but it is now \['d'\]"),
    ],
)
def test_states_of_another_training(tmp_path, part, now, error, message):
    path = tmp_path / "state.safetensors"
    save_state(path, {"a": np.zeros(1)}, IDENTITY, {})
    with pytest.raises(error, match=message):
        load_state(path, {**IDENTITY, part: now})


def test_damaged_and_foreign_states(tmp_path):
    path = tmp_path / "state.safetensors"
    save_state(path, {"a": np.arange(4.0)}, IDENTITY, {"validation_loss": [0.5]})
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(WeightFileError, match=r"no whole safetensors file .*; delete .* to train from the beginning"):
        load_state(path, IDENTITY)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(WeightFileError, match="is damaged: its sha256"):
        load_state(path, IDENTITY)
    # the course of the training is protected as well as the tensors
    path.write_bytes(content.replace(b"[0.5]", b"[0.4]"))
    with pytest.raises(WeightFileError, match="is damaged: its sha256"):
        load_state(path, IDENTITY)
    path.write_bytes(safetensors.numpy.save({"a": np.zeros(2)}))
    with pytest.raises(WeightFileError, match="is no checkpoint of femnn"):
        load_state(path, IDENTITY)


def test_digest_sees_values_shapes_types_and_names():
    values = np.arange(10_000.0).reshape(5000, 2)
    changed = values.copy()
    changed[4999, 1] += 1
    variants = [
        {"a": values},
        {"a": changed},
        {"a": values.ravel()},
        {"a": values.astype(np.int64)},
        {"b": values},
        {"a": values.T},
    ]
    assert len({digest(variant) for variant in variants}) == len(variants)
    assert digest({"a": values, "b": changed}) == digest({"b": changed, "a": np.asfortranarray(values)})
