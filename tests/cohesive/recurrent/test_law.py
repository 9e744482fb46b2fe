"""Recurrent laws: torch and NumPy/Numba agree, what holds by construction holds, training and files behave."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.cohesive_properties import (
    assert_dissipates,
    assert_rotates_with_shear,
    assert_state_is_kept,
    assert_tangent_is_consistent,
    assert_virgin_is_free,
    dissipation,
)

import femnn
from femnn.cli import train_cohesive, train_layer
from femnn.cohesive import KINDS, refined, respond, separation_paths
from femnn.cohesive.recurrent import NETWORKS, SHIPPED, Cell, warn_outside
from femnn.cohesive.recurrent.as_module import _EMPTY, as_module
from femnn.cohesive.recurrent.sequences import BLOCK
from femnn.cohesive.recurrent.torch_cells import FeedForward, GatedNetwork, MinimalStateCell, SelfConsistentCell
from femnn.cohesive.training import PathData, accuracy, fit_law, fit_precompressed, unseen
from femnn.cohesive.training.fit import OPTIONS, parameters
from femnn.exceptions import FemnnWarning, ParameterError, StateError, WeightFileError
from femnn.io.guarded import sealed

REFERENCE = femnn.BilinearCohesive(80e6, 100e6, 969.0, 1719.0, friction=0.5)


@pytest.fixture(scope="module")
def default():
    return femnn.RecurrentCohesive.load("default")


@pytest.fixture(scope="module")
def paths():
    """In units of the separation scale, off the kinks at zero."""
    drawn = separation_paths(2 * BLOCK + 5, 12, 1.0, "all", seed=3)
    return drawn + 1e-3 * np.random.default_rng(0).normal(size=drawn.shape)


def module(kind, inputs=3, outputs=3):
    """An untrained network in float64, its weights large enough to bend."""
    low, high = -np.ones(outputs), np.ones(outputs)
    size = {"seed": 1, "dtype": torch.float64}
    made = {
        "minimal-state": lambda: MinimalStateCell(16, [50.0, 60.0, 40.0], 1),
        "self-consistent": lambda: SelfConsistentCell(inputs, low, high, 50.0, states=6, width=12, **size),
        "lstm": lambda: GatedNetwork("lstm", inputs, low, high, 50.0, width=10, **size),
        "gru": lambda: GatedNetwork("gru", inputs, low, high, 50.0, width=10, **size),
        "feed-forward": lambda: FeedForward(inputs, low, high, 50.0, width=12, **size),
    }[kind]()
    if kind == "minimal-state":
        with torch.no_grad():
            made.weight2 += torch.linspace(-0.1, 0.2, 16, dtype=torch.float64)
            made.linear += torch.linspace(-0.2, 0.2, 32, dtype=torch.float64).reshape(2, 16)
    return made.eval()


def arrays(network):
    return {name: values.numpy(force=True) for name, values in network.state_dict().items()}


def inference(kind, network):
    """step(x, state) -> traction, tangent, state as the laws evaluate it, and its initial state."""
    cell = NETWORKS[kind](arrays(network))
    assert isinstance(cell, Cell)
    return cell.step, lambda n: np.zeros((n, cell.state_size))


every_network = pytest.mark.parametrize("kind", OPTIONS)


def test_every_list_of_networks_has_them_all():
    # laws that torch trains can become its modules, and all that can be trained can be loaded
    assert set(NETWORKS) - {"critical-state"} == set(_EMPTY) == {*OPTIONS, *fit_precompressed.OPTIONS}
    assert "isotropic" in NETWORKS
    assert tuple(OPTIONS) == train_cohesive._NETWORKS
    assert tuple(fit_precompressed.OPTIONS) == train_layer._NETWORKS
    for name in SHIPPED:
        assert femnn.RecurrentCohesive.load(name).network in NETWORKS
    files = (Path(femnn.__file__).parent / "data" / "pretrained").glob("cohesive-*.safetensors")
    assert {file.stem for file in files} == {f"cohesive-{name}" for name in SHIPPED}


# separations alone, and with two quantities of the microstructure
@pytest.mark.parametrize(
    ("kind", "inputs"), [(kind, n) for n in (3, 5) for kind in OPTIONS if (kind, n) != ("minimal-state", 5)]
)
def test_values_and_tangents_equal_those_of_torch(kind, inputs, paths):
    micro = 0.5 * np.random.default_rng(2).normal(size=(*paths.shape[:2], inputs - 3))
    paths = np.concatenate([paths, micro], axis=2)
    network = module(kind, inputs)
    update, initial = inference(kind, network)
    state = initial(len(paths))

    def both(x, state):
        y, new = network.step(x, state)
        return y, (y, new)

    reached = 0.0
    for step in range(paths.shape[1]):
        x = torch.tensor(paths[:, step])
        exact, (y, new) = torch.func.vmap(torch.func.jacfwd(both, has_aux=True))(x, torch.tensor(state))
        traction, tangent, state = update(paths[:, step], state)
        np.testing.assert_allclose(traction, y.detach(), rtol=0, atol=1e-10)
        np.testing.assert_allclose(tangent, exact.detach(), rtol=0, atol=1e-10)
        np.testing.assert_allclose(state, new.detach(), rtol=0, atol=1e-10)
        reached = max(reached, np.abs(tangent).max())
    assert reached > 1.0


@every_network
def test_training_sees_what_the_law_does(kind, paths):
    network = module(kind)
    update, initial = inference(kind, network)
    state, answers = initial(len(paths)), []
    for step in range(paths.shape[1]):
        traction, _, state = update(paths[:, step], state)
        answers.append(traction)
    with torch.no_grad():
        whole = network(torch.tensor(paths)).numpy()
    np.testing.assert_allclose(np.stack(answers, axis=1), whole, rtol=0, atol=1e-10)


@every_network
def test_contact_holds_by_construction(kind):
    network = module(kind)
    update, initial = inference(kind, network)
    x = np.array([[-0.01, 0.0, 0.3], [-0.02, 0.1, 0.0]])
    normal = update(x, initial(2))[0][:, 0]
    if kind == "minimal-state":
        np.testing.assert_allclose(normal, 40.0 * x[:, 0])
        return
    network.contact[:] = 0.0
    without = inference(kind, network)[0](x, initial(2))[0][:, 0]
    np.testing.assert_allclose(normal - without, 50.0 * x[:, 0])


def test_a_pause_changes_nothing_in_a_self_consistent_cell(paths):
    update, initial = inference("self-consistent", module("self-consistent"))
    _, _, state = update(paths[:, 3], initial(len(paths)))
    traction, _, state = update(paths[:, 3], state)
    again = update(paths[:, 3], state)
    np.testing.assert_allclose(again[0], traction, rtol=0, atol=1e-12)
    assert np.abs(update(np.zeros((1, 3)), initial(1))[0]).max() < 1e-12


def test_self_consistent_steps_converge_as_they_shrink():
    update, initial = inference("self-consistent", module("self-consistent"))
    path = separation_paths(20, 5, 1.0, "mixed", seed=1)

    def end(factor):
        state = initial(20)
        for x in refined(path, factor).transpose(1, 0, 2):
            traction, _, state = update(x, state)
        return traction

    finest = end(160)
    errors = [np.abs(end(factor) - finest).max() for factor in (4, 16, 64)]
    assert errors[0] > 2.0 * errors[1] > 4.0 * errors[2]


# --- the shipped law


@pytest.mark.parametrize("name", ["default", "exponential"])
def test_the_shipped_laws_meet_their_numbers(name):
    law = femnn.RecurrentCohesive.load(name)
    figures = {kind: accuracy(law, data) for kind, data in unseen(law.reference(), 150, 80, seed=77).items()}
    for kind, errors in figures.items():
        assert errors["mean"] < 0.01, kind
        assert errors["p95"] < 0.03, kind
    card = law.card["test"]["random"]
    assert figures["random"]["mean"] == pytest.approx(card["mean"], rel=0.5)
    assert sum(law.card["training"]["parameters"].values()) <= 25_000


def test_the_default_law_bends_no_more_than_its_data(default):
    # the bilinear law softens linearly in each mode; the network could bend by the sum of these weights
    assert np.abs(default.tensors()["weight2"]).sum() < 0.02
    scale = default.separation_scale
    opening = np.linspace(0.1, 0.6, 26)[:, None] * [[scale, 0.0, 0.0]]
    traction = default.update(opening, default.initial_state(26)).traction[:, 0]
    assert np.abs(np.diff(traction, 2)).max() < 1e-4 * default.traction_scale


def test_steps_may_be_ten_times_finer_or_twice_as_long(default):
    data = PathData.of_law(REFERENCE, 100, 41, "random", seed=78)
    coarse = accuracy(default, data)["mean"]
    for paths in (refined(data.separations, 10), data.separations[:, ::2]):
        other = replace(data, separations=paths, tractions=respond(REFERENCE, paths)[0])
        assert accuracy(default, other)["mean"] < 1.5 * coarse


def test_the_default_law_knows_what_it_was_trained_on(default):
    assert repr(default.reference()) == repr(REFERENCE)
    assert default.separation_scale == REFERENCE.separation_scale
    assert "mean error" in repr(default)


@pytest.mark.parametrize("kind", KINDS)
def test_the_default_law_has_consistent_tangents(default, kind):
    assert_tangent_is_consistent(default, separation_paths(60, 30, default.separation_scale, kind, seed=3), 1e-7)


def test_the_default_law_is_dissipative_isotropic_free_and_pure(default):
    scale = default.separation_scale
    assert_dissipates(default, separation_paths(800, 60, scale, "all", seed=12))
    assert_rotates_with_shear(default, separation_paths(40, 30, scale, "all", seed=6))
    assert_state_is_kept(default, separation_paths(40, 30, scale, "all", seed=5))
    assert_virgin_is_free(default)


def test_no_weights_make_a_minimal_state_cell_gain_energy(default):
    draws = np.random.default_rng(4)
    cell = default._networks["traction"]
    tensors = {name: draws.normal(size=values.shape) for name, values in cell.tensors.items()}
    tensors |= {"stiffness": np.log([50.0, 80.0, 30.0]), "friction": np.ones(1)}
    card = default.card | {"separation_scale": 1e-5, "traction_scale": 1e8}
    wild = femnn.RecurrentCohesive({"traction": NETWORKS["minimal-state"](tensors)}, card, "wild")
    least = dissipation(wild, separation_paths(1000, 40, 1e-5, "all", seed=5))
    assert least.min() >= -1e-9 * 1e-5 * 1e8


def test_points_outside_the_trained_range_are_flagged_and_answered(default):
    scale = default.separation_scale
    far = np.array([[0.1, 0.0, 0.0], [5.0, 0.0, 0.0], [-0.5, 0.0, 0.0], [0.1, 4.0, 0.0]]) * scale
    response = default.update(far, default.initial_state(4))
    assert response.state.outside.tolist() == [False, True, True, True]
    assert np.isfinite(response.traction).all()
    assert np.abs(response.traction[1]).max() == 0.0
    assert response.traction[2, 0] < -1e7
    # once outside, always flagged
    back = default.update(far[[0, 0, 0, 0]], response.state).state
    assert back.outside.tolist() == [False, True, True, True]
    with pytest.warns(FemnnWarning, match="3 of 4 points have left"):
        assert warn_outside(default, back) == 3


def test_states_of_other_laws_are_refused(default):
    with pytest.raises(StateError, match="belongs to BilinearCohesive"):
        default.update(np.zeros((2, 3)), REFERENCE.initial_state(2))
    with pytest.raises(ParameterError, match="not finite"):
        default.update(np.full((2, 3), np.inf), default.initial_state(2))


# --- training and files


@pytest.fixture(scope="module")
def data():
    return PathData.of_law(REFERENCE, 60, 12, "all", seed=1)


def quick(kind, epochs=2):
    return replace(OPTIONS[kind], epochs=epochs, batch_size=16)


SIZES = {"lstm": {"width": 8}, "gru": {"width": 8}, "self-consistent": {"width": 8, "states": 4}}


@every_network
def test_every_network_trains_and_loads(kind, data, tmp_path):
    tests = {"random": data[40:]}
    law, figures = fit_law(
        tmp_path / "law", kind, data[:40], data[40:50], tests, quick(kind), progress=False, **SIZES.get(kind, {})
    )
    loaded = femnn.RecurrentCohesive.load(tmp_path / "law.safetensors")
    assert loaded.network == kind
    network = as_module(loaded)
    with torch.no_grad():
        expected = network(torch.tensor(data.separations / data.separation_scale)).numpy() * data.traction_scale
    np.testing.assert_allclose(respond(loaded, data.separations)[0], expected, rtol=0, atol=1e-10 * data.traction_scale)
    assert accuracy(loaded, data[40:]) == figures["random"] == accuracy(law, data[40:])
    assert loaded.name == law.name
    card = json.loads((tmp_path / "law.json").read_text(encoding="utf-8"))
    assert card["data"]["law"]["parameters"] == REFERENCE.parameters
    assert np.isnan(law.damage(law.initial_state(2))).all() == (kind != "minimal-state")
    if kind != "minimal-state":
        with pytest.raises(ParameterError, match="no free energy"):
            law.free_energy(np.zeros((1, 3)), law.initial_state(1))
    # NumPy reads what torch wrote: tractions agree with the module's, which was trained in its own precision
    assert_tangent_is_consistent(law, data.separations[:20], 1e-6)


def test_training_again_or_going_on_gives_the_same_bits(data, tmp_path):
    def bits(folder, epochs=4):
        fit_law(
            folder / "law", "minimal-state", data[:40], data[40:50], {}, quick("minimal-state", epochs), progress=False
        )
        return (folder / "law.safetensors").read_bytes()

    first = bits(tmp_path / "a")
    assert bits(tmp_path / "b") == first
    # finished: nothing is trained, the same file is written
    assert bits(tmp_path / "a") == first


def test_more_training_helps(data, tmp_path):
    errors = [
        fit_law(tmp_path / str(epochs), "minimal-state", data[:50], data[50:], {"all": data[50:]},
                quick("minimal-state", epochs), progress=False)[1]["all"]["mean"]
        for epochs in (1, 40)
    ]  # fmt: skip
    assert errors[1] < 0.5 * errors[0]


def test_microstructure_goes_in_and_is_predicted_on_the_way(data, tmp_path):
    opening = data.separations[..., 0] / data.separation_scale
    draws = np.random.default_rng(0)
    strength = np.broadcast_to(draws.uniform(0.5, 1.5, (len(data), 1)), opening.shape)
    grains = replace(
        data,
        tractions=data.tractions * strength[..., None],
        microstructure={"porosity": 0.4 + 0.1 * np.tanh(opening), "strength": strength},
    )
    law, figures = fit_law(
        tmp_path / "law", "gru", grains[:40], grains[40:50], {"all": grains[50:]}, quick("gru", 6),
        inputs=("strength",), predicted=("porosity",), progress=False, width=12,
    )  # fmt: skip
    assert figures["all"]["mean"] < 1.0
    state = law.initial_state(5)
    with pytest.raises(ParameterError, match="strength at every point"):
        law.update(grains.separations[:5, 1], state)
    measured = law.with_microstructure(strength[:5, :1])
    assert_tangent_is_consistent(measured, grains.separations[:5], 1e-6)
    porosity = measured.predict_microstructure(grains.separations[:5, 3], state)
    assert porosity.shape == (5, 1)
    assert ((porosity > 0.2) & (porosity < 0.7)).all()
    weak, strong = (law.with_microstructure(np.full((5, 1), value)) for value in (0.5, 1.5))
    assert (weak.update(grains.separations[:5, 4], state).traction
            != strong.update(grains.separations[:5, 4], state).traction).any()  # fmt: skip
    with pytest.raises(ParameterError, match=r"\(n, 1\)"):
        law.with_microstructure(np.zeros((5, 2)))
    with pytest.raises(ParameterError, match="3 points, but 5"):
        law.with_microstructure(np.ones((3, 1))).update(grains.separations[:5, 1], state)


def test_wrong_training_is_refused(data, tmp_path):
    with pytest.raises(ParameterError, match="network='transformer'"):
        fit_law(tmp_path / "law", "transformer", data, data, {})
    with pytest.raises(ParameterError, match="no porosity"):
        fit_law(tmp_path / "law", "gru", data, data, {}, inputs=("porosity",))
    with pytest.raises(ParameterError, match="separations only"):
        fit_law(tmp_path / "law", "minimal-state", data, data, {}, inputs=("porosity",))
    broken = data.tractions.copy()
    broken[7, 3, 1] = np.nan
    with pytest.raises(ParameterError, match="tractions of path 7"):
        replace(data, tractions=broken)


def test_damaged_and_foreign_weights_are_refused(default, tmp_path):
    shipped = Path(femnn.__file__).parent / "data" / "pretrained"
    content = (shipped / "cohesive-default.safetensors").read_bytes()
    card = json.loads((shipped / "cohesive-default.json").read_text(encoding="utf-8"))

    def written(content, card):
        (tmp_path / "law.safetensors").write_bytes(content)
        (tmp_path / "law.json").write_text(json.dumps(sealed(card)), encoding="utf-8")
        return tmp_path / "law.safetensors"

    with pytest.raises(WeightFileError, match="damaged"):
        femnn.RecurrentCohesive.load(written(content[:-1], card))
    with pytest.raises(WeightFileError, match="separation_scale is None, not a finite number"):
        femnn.RecurrentCohesive.load(written(content, {**card, "separation_scale": None}))
    with pytest.raises(WeightFileError, match="no network 'oracle'"):
        femnn.RecurrentCohesive.load(written(content, {**card, "architectures": {"traction": {"network": "oracle"}}}))
    with pytest.raises(WeightFileError, match="no tensors of a lstm"):
        femnn.RecurrentCohesive.load(written(content, {**card, "architectures": {"traction": {"network": "lstm"}}}))
    with pytest.raises(WeightFileError, match="integration-points"):
        femnn.RecurrentCohesive.load("integration-points")
    with pytest.raises(WeightFileError, match="there is no weight file"):
        femnn.RecurrentCohesive.load(tmp_path / "nothing.safetensors")


def test_a_law_of_other_data_has_no_classical_reference(default):
    law = femnn.RecurrentCohesive(default._networks, {**default.card, "data": {"grains": 1500}}, "grains")
    with pytest.raises(ParameterError, match="not trained on a classical law"):
        law.reference()


def test_a_law_becomes_its_module_again(default, paths):
    network = as_module(default)
    with torch.no_grad():
        expected = network(torch.tensor(paths)).numpy() * default.traction_scale
    tractions = respond(default, paths * default.separation_scale)[0]
    np.testing.assert_allclose(tractions, expected, rtol=0, atol=1e-10 * default.traction_scale)
    with pytest.raises(ParameterError, match="no network 'microstructure'"):
        as_module(default, "microstructure")


def test_the_networks_have_the_sizes_of_the_paper():
    lstm = GatedNetwork("lstm", 3, np.zeros(3), np.ones(3), 0.0, 0)
    assert (lstm.layers, lstm.width, lstm.dropout) == (2, 80, 0.2)
    assert parameters(lstm) == 4 * 80 * (3 + 80 + 2) + 4 * 80 * (80 + 80 + 2) + 3 * 81
