"""Laws of precompressed layers: data, what holds by construction, safety, training, the commands."""

import functools
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import skfem
import torch
from click.testing import CliRunner
from support.cohesive_properties import assert_rotates_with_shear, assert_state_is_kept
from support.example_files import example
from support.locations import ROOT
from support.precompressed_layer import layer_paths, layer_tractions

import femnn
from femnn.cli import main
from femnn.cli.train_layer import split_layer
from femnn.cohesive import refined, respond
from femnn.cohesive.recurrent import Precompressed
from femnn.cohesive.recurrent.as_module import as_module
from femnn.cohesive.recurrent.precompressed import answer_of, pressure_of
from femnn.cohesive.training import (
    fit_precompressed_law,
    layer_data,
    path_data,
    responses,
    rms_errors,
    scatter,
    targets,
)
from femnn.cohesive.training.fit_precompressed import OPTIONS
from femnn.cohesive.training.precompressed_data import FLOOR, MICROSTRUCTURE, joined, resampled, rotated, split
from femnn.exceptions import DatasetError, ParameterError, StateError
from femnn.io.guarded import Contents
from femnn.io.path_data import PathDataSet
from femnn.io.weight_files import weight_file
from femnn.multiscale.grains import load

SMALL = {"states": 5, "arrows": 3, "width": 10}


# --- data


@pytest.fixture(scope="module")
def data():
    separation = layer_paths(60, 40)
    fabric = np.broadcast_to(np.diag([0.4, 0.35, 0.25]), (60, 40, 3, 3)).copy()
    traction = layer_tractions(separation)
    # as in a real layer, the contacts turn against the shear
    fabric[..., 0, 1:] = fabric[..., 1:, 0] = 0.1 * traction[..., 1:] / traction[..., :1]
    porosity = 0.4 + 0.05 * np.tanh(separation[..., 0])
    return path_data(separation, traction, porosity, 5.0 - porosity, fabric)


def test_targets_are_logarithm_and_ratio_of_what_is_pressed(data):
    y = targets(data)
    np.testing.assert_allclose(np.exp(y[..., 0]), -data.tractions[..., 0])
    np.testing.assert_allclose(y[..., 1:3] * np.exp(y[..., :1]), data.tractions[..., 1:], atol=1e-12)
    assert (y[..., 3] == 1.0).all()
    opened = replace(data, tractions=1e-6 * data.tractions)
    y = targets(opened)
    np.testing.assert_array_equal(y[..., 0], np.log(FLOOR))
    assert (y[..., 1:] == 0.0).all()
    assert rms_errors(data.tractions, data) == {"ln_normal": 0.0, "ratio": 0.0}
    louder = data.tractions * np.exp(0.3)
    assert rms_errors(louder, data)["ln_normal"] == pytest.approx(0.3)
    assert rms_errors(louder, data)["ratio"] == pytest.approx(0.0, abs=1e-12)


def test_scatter_is_the_deviation_between_samples():
    draws = np.random.default_rng(0)
    path, tractions = layer_paths(1, 30), np.zeros((400, 30, 3))
    pressure = np.exp(0.3 * draws.normal(size=(400, 30)))
    tractions[..., 0] = -pressure
    tractions[..., 1] = pressure * 0.05 * draws.normal(size=(400, 30))
    tractions[:, 0] = [-1.0, 0.0, 0.0]
    deviations = scatter([path_data(np.repeat(path, 400, axis=0), tractions)])
    share = np.sqrt(29 / 30)  # the first point has none
    assert deviations["ln_normal"] == pytest.approx(0.3 * share, rel=0.03)
    assert deviations["ratio"] == pytest.approx(0.05 * share, rel=0.03)


def test_scatter_of_few_samples_is_that_of_their_deviation():
    # of two samples: half the square of their difference, which is what divides by n - 1
    path, tractions = np.repeat(layer_paths(1, 30), 2, axis=0), np.zeros((2, 30, 3))
    tractions[0, :, 0], tractions[1, 1:, 0] = -1.0, -np.exp(0.2)
    tractions[1, 0, 0] = -1.0
    tractions[1, 1:, 1] = 0.4 * tractions[1, 1:, 0]
    deviations = scatter([path_data(path, tractions)])
    share = np.sqrt(29 / 30)
    assert deviations["ln_normal"] == pytest.approx(0.2 / np.sqrt(2.0) * share)
    assert deviations["ratio"] == pytest.approx(0.4 / np.sqrt(2.0) * share)


def test_wrong_records_are_refused(data, tmp_path):
    separation, traction = data.separations, data.tractions
    with pytest.raises(DatasetError, match=r"path \d+ starts at the separation"):
        path_data(separation[:, 1:], traction[:, 1:])
    with pytest.raises(DatasetError, match="under the pressure 5 p0"):
        path_data(separation, 5.0 * traction)
    with pytest.raises(DatasetError, match="must both be"):
        path_data(separation, traction[:, :-1])
    broken = traction.copy()
    broken[3, 7] = np.nan
    with pytest.raises(DatasetError, match="tractions of path 3 are not finite"):
        path_data(separation, broken)
    (tmp_path / "empty.npz").write_bytes(b"")
    with pytest.raises(DatasetError, match="is no whole path data set"):
        PathDataSet.load(tmp_path / "empty.npz")
    np.savez(tmp_path / "other.npz", separation=separation)
    with pytest.raises(DatasetError, match="has no traction; it has separation"):
        PathDataSet.load(tmp_path / "other.npz")


def test_splits_keep_paths_together():
    groups = np.repeat(np.arange(40), 3)
    parts = split(groups, seed=1)
    assert sorted(np.concatenate(parts)) == list(range(120))
    sets = [set(groups[part]) for part in parts]
    assert [len(each) for each in sets] == [28, 4, 8]
    assert not sets[0] & sets[1] | sets[0] & sets[2] | sets[1] & sets[2]
    for few in range(3, 12):
        assert min(map(len, split(np.arange(few), seed=0))) >= 1
    with pytest.raises(DatasetError, match="2 different paths"):
        split(np.array([1, 1, 2]), seed=0)


def test_resampling_keeps_ends_and_corners_and_only_points_of_the_path(data):
    corner = np.zeros((1, 41, 3))
    corner[0, :, 1] = np.concatenate([np.linspace(0.0, 1.0, 18), np.linspace(0.95, -1.0, 23)])
    bent = path_data(corner, np.broadcast_to([-1.0, 0.0, 0.0], corner.shape))
    for each in resampled(bent, 12, 5, seed=2).separations:
        assert {0.0, 1.0, -1.0} <= set(each[:, 1])
    less = resampled(data, 20, 3, seed=1)
    assert less.separations.shape == (180, 20, 3)
    np.testing.assert_array_equal(less.separations[:, 0], 0.0)
    np.testing.assert_allclose(less.tractions[60:120, -1], data.tractions[:, -1])
    lengths = np.linalg.norm(np.diff(less.separations, axis=1), axis=2)
    assert lengths.max() > 3.0 * np.median(lengths)


def test_sets_with_other_numbers_of_points_and_columns_become_one(data):
    short = resampled(data[:7], 25, 1, seed=0)
    short = replace(short, microstructure={"porosity": short.microstructure["porosity"]})
    whole = joined([data, short], seed=3)
    assert whole.separations.shape == (67, 25, 3)
    assert list(whole.microstructure) == ["porosity"]
    np.testing.assert_array_equal(whole.tractions[60:], short.tractions)
    np.testing.assert_array_equal(whole.separations[:60, [0, -1]], data.separations[:, [0, -1]])


def test_rotated_paths_have_the_response_of_an_isotropic_layer(data):
    other = rotated(data, 2, seed=4)
    np.testing.assert_allclose(layer_tractions(other.separations), other.tractions, atol=1e-12)
    ratio = other.tractions[..., 1:] / other.tractions[..., :1]
    np.testing.assert_allclose(other.microstructure["fabric_ns"], 0.1 * ratio[..., 0], atol=1e-12)
    # what turns twice as fast keeps its size
    size = np.hypot(other.microstructure["fabric_ss"], other.microstructure["fabric_st"])
    np.testing.assert_allclose(size, 0.05, atol=1e-12)


# --- laws


def quick(network, epochs=2):
    return replace(OPTIONS[network], epochs=epochs, batch_size=16)


SIZES = {"isotropic": SMALL, "lstm": {"width": 8}, "gru": {"width": 8}, "self-consistent": {"width": 8, "states": 4}}


@pytest.fixture(scope="module")
def law(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("law") / "layer"
    tests = {"unseen": data[50:]}
    return fit_precompressed_law(path, "isotropic", data[:40], data[40:50], tests, quick("isotropic", 40),
                                 progress=False, **SMALL)[0]  # fmt: skip


def test_training_lowers_the_error_to_that_of_a_useful_law(law, data, tmp_path):
    _, before = fit_precompressed_law(tmp_path / "law", "isotropic", data[:40], data[40:50], {"unseen": data[50:]},
                               quick("isotropic", 1), progress=False, **SMALL)  # fmt: skip
    after = rms_errors(responses(law, data[50:]), data[50:])
    assert after["ln_normal"] < 0.5 * before["unseen"]["ln_normal"]
    assert after["ratio"] < 0.5 * before["unseen"]["ratio"]
    assert after["ln_normal"] < 0.15
    assert after["ratio"] < 0.1
    assert law.card["test"]["unseen"]["ratio"] == pytest.approx(after["ratio"], rel=0.01)
    assert "ln t_n" in repr(law)


def test_the_virgin_layer_is_under_its_pressure_exactly(law):
    state = law.initial_state(3)
    for _ in range(3):
        traction, tangent, state = law.update(np.zeros((3, 3)), state)
        np.testing.assert_array_equal(traction, [[-1.0, 0.0, 0.0]] * 3)
    assert tangent[0, 0, 0] > 0.0
    assert tangent[0, 1, 1] > 0.0


def test_the_law_is_isotropic_pure_and_free_of_the_size_of_steps(law, data):
    assert_rotates_with_shear(law, data.separations[:20], tolerance=1e-9)
    assert_state_is_kept(law, data.separations[:20])
    unseen = data[50:]
    coarse = rms_errors(responses(law, unseen), unseen)
    fine = respond(law, refined(unseen.separations, 10))[0][:, ::10]
    for name, error in rms_errors(fine, unseen).items():
        assert error < 1.5 * coarse[name]


def tangent_gap(law, separation, state, step=1e-6):
    """Largest difference between tangents and central differences of fourth order, over the largest tangent."""
    step *= law.separation_scale
    tangent, gap = law.update(separation, state).tangent, 0.0
    for j in range(3):
        move = step * np.eye(3)[j]
        values = [law.update(separation + k * move, state).traction for k in (-2, -1, 1, 2)]
        difference = (values[0] - 8.0 * values[1] + 8.0 * values[2] - values[3]) / (12.0 * step)
        gap = max(gap, np.abs(difference - tangent[:, :, j]).max())
    return gap / np.abs(tangent).max()


def test_law_tangents_match_differences_within_and_beyond_the_trained_range(law, data):
    state, inside = law.initial_state(60), data.separations.copy()
    inside[..., 0] = inside[..., 0].clip(law.precompressed.low + 1e-3, law.precompressed.high - 1e-3)
    for step in (5, 12, 20, 30):
        assert tangent_gap(law, inside[:, step], state) < 1e-8
        state = law.update(inside[:, step], state).state
    far = inside[:, 30].copy()
    far[:30, 0], far[30:, 0] = 0.5, -0.4
    far[:, 1] += 3.0
    assert tangent_gap(law, far, state) < 1e-8


def test_points_beyond_the_trained_openings_are_flagged_stiffen_and_open(law, data):
    low, high = law.precompressed.low, law.precompressed.high
    state = law.update(data.separations[:10, 30], law.initial_state(10)).state
    assert not state.outside.any()

    def at(opening, shear=0.1):
        return law.update(np.tile([opening, shear, 0.0], (10, 1)), state)

    closing = [at(low - depth) for depth in (0.01, 0.1, 1.0, 100.0)]
    pressures = np.array([-response.traction[:, 0] for response in closing])
    assert (np.diff(pressures, axis=0) > 0.0).all()
    opening = [at(high + width) for width in (0.01, 0.3, 1.0, 100.0)]
    fading = np.array([np.linalg.norm(response.traction, axis=1) for response in opening])
    assert (np.diff(fading, axis=0) <= 0.0).all()
    assert fading[-1].max() < 1e-7
    for response in (*closing, *opening):
        assert (response.tangent[:, 0, 0] >= 0.0).all()
    for response in (*closing, *opening, at(0.0, 40.0)):
        assert response.state.outside.all()
        assert all(np.isfinite(values).all() for values in (response.traction, response.tangent, response.state.values))
        pressure = -response.traction[:, 0]
        assert (np.linalg.norm(response.traction[:, 1:], axis=1) <= 1.5 * 1.05 * pressure).all()
    # back within the range the layer answers as if it had waited at the border
    after = law.update(np.tile([high, 0.1, 0.0], (10, 1)), opening[-1].state)
    np.testing.assert_allclose(after.traction, at(high).traction, rtol=1e-9)
    assert after.state.outside.all()


def test_a_law_in_si_units_is_the_same_law(law, data):
    diameter, pressure = 2e-3, 1.5e5
    grains = law.rescaled(separation_scale=diameter, traction_scale=pressure)
    paths = data.separations[:12]
    np.testing.assert_allclose(respond(grains, diameter * paths)[0], pressure * respond(law, paths)[0], rtol=1e-9)
    assert tangent_gap(grains, diameter * paths[:, 9], grains.initial_state(12)) < 1e-8
    np.testing.assert_array_equal(
        grains.update(np.zeros((1, 3)), grains.initial_state(1)).traction, [[-pressure, 0.0, 0.0]]
    )
    with pytest.raises(StateError, match="belongs to"):
        grains.update(np.zeros((1, 3)), law.initial_state(1))
    assert "0.002 m" in grains.name
    assert grains.rescaled(separation_scale=1.0, traction_scale=1.0).name == law.name
    with pytest.raises(ParameterError, match="separation_scale"):
        law.rescaled(separation_scale=0.0)
    # classical recurrent laws, too
    default = femnn.RecurrentCohesive.load("default")
    double = default.rescaled(separation_scale=2.0 * default.separation_scale)
    opening = np.array([[0.3, 0.1, 0.0]]) * default.separation_scale
    one = default.update(opening, default.initial_state(1)).traction
    np.testing.assert_allclose(double.update(2.0 * opening, double.initial_state(1)).traction, one, rtol=1e-12)
    with pytest.raises(ParameterError, match="other scales"):
        double.reference()


@pytest.mark.parametrize("network", OPTIONS)
@pytest.mark.parametrize(
    ("how", "grains"),
    [("none", "none"), ("inputs", "all"), ("predicted", "all"), ("predicted", "porosity-coordination")],
)
def test_every_network_trains_with_and_without_microstructure_and_loads(network, how, grains, data, tmp_path):
    names = {} if how == "none" else {how: MICROSTRUCTURE[grains]}
    tests = {"unseen": data[50:]}
    made, figures = fit_precompressed_law(tmp_path / "law", network, data[:40], data[40:50], tests, quick(network, 1),
                                   progress=False, **names, **SIZES[network])  # fmt: skip
    loaded = femnn.RecurrentCohesive.load(tmp_path / "law.safetensors")
    assert loaded.name == made.name
    assert rms_errors(responses(loaded, data[50:]), data[50:]) == figures["unseen"]
    if how == "none":
        with torch.no_grad():
            expected = as_module(loaded)(torch.tensor(data.separations[:40])).numpy()
        tractions, pressure = responses(loaded, data[:40]), pressure_of(expected[..., 0])
        np.testing.assert_allclose(tractions[..., 0], -pressure, rtol=0, atol=1e-9)
        np.testing.assert_allclose(tractions[..., 1:], pressure[..., None] * expected[..., 1:], rtol=0, atol=1e-9)
    at = loaded
    if how == "inputs":
        at = loaded.with_microstructure(
            np.stack([data.microstructure[name][:, 5] for name in loaded.microstructure.inputs], axis=1)
        )
    assert tangent_gap(at, data.separations[:, 5], at.initial_state(60)) < 1e-7
    if how == "predicted":
        predictions = at.predict_microstructure(data.separations[:, 5], at.initial_state(60))
        assert predictions.shape == (60, len(loaded.microstructure.predicted))
        assert np.isfinite(predictions).all()
        # what it predicts, given as measured, brings the same answer
        measured = loaded.measured().with_microstructure(predictions)
        one = at.update(data.separations[:, 5], at.initial_state(60)).traction
        other = measured.update(data.separations[:, 5], measured.initial_state(60)).traction
        np.testing.assert_allclose(other, one, rtol=1e-9)
    else:
        with pytest.raises(ParameterError, match="predicts no microstructure"):
            loaded.measured()


# --- the shipped law


@pytest.fixture(scope="module")
def grains():
    return femnn.RecurrentCohesive.load("grains")


@pytest.fixture(scope="module")
def shipped():
    """The shipped responses, by what the law saw of them."""
    records = load()
    return records, dict(zip(("training", "validation", "tests"), split_layer(records), strict=True))


def test_the_shipped_law_meets_its_numbers(grains, shipped):
    records, parts = shipped
    noise = scatter([layer_data(records, rows) for rows in records.repeated()])
    errors = rms_errors(responses(grains, parts["tests"]["unseen"]), parts["tests"]["unseen"])
    assert errors["ratio"] < max(0.05, 1.2 * noise["ratio"])
    assert errors["ln_normal"] < max(0.20, 1.2 * noise["ln_normal"])
    for name, error in errors.items():
        assert grains.card["test"]["unseen"][name] == pytest.approx(error, rel=0.02)
    # a law that only knew the mean of its training paths would be far worse
    y = targets(parts["tests"]["unseen"])
    assert errors["ratio"] < 0.25 * np.sqrt((y[..., 1:3] ** 2).sum(-1).mean())
    assert errors["ln_normal"] < 0.4 * y[..., 0].std()


def test_the_shipped_law_was_made_with_the_defaults_of_the_command(grains, shipped):
    records, parts = shipped
    options = OPTIONS["isotropic"]
    made = {name: grains.card["training"][name] for name in ("epochs", "learning_rate", "batch_size", "seed")}
    assert made == {name: getattr(options, name) for name in made}
    assert grains.card["data"]["sha256"] == records.about["sha256"]
    opening = parts["training"].separations[..., 0]
    assert grains.precompressed.low == pytest.approx(opening.min())
    assert grains.precompressed.high == pytest.approx(opening.max())
    np.testing.assert_array_equal(grains.update(np.zeros((1, 3)), grains.initial_state(1)).traction, [[-1.0, 0.0, 0.0]])


def test_the_shipped_law_may_take_other_steps(grains, shipped):
    data = shipped[1]["tests"]["unseen"]
    usual = responses(grains, data)
    for paths, every, of in ((data.separations[:, ::2], 1, 2), (refined(data.separations, 10), 10, 1)):
        other = respond(grains, paths)[0][:, ::every]
        at = replace(data, separations=data.separations[:, ::of], tractions=data.tractions[:, ::of], microstructure={})
        before = rms_errors(usual[:, ::of], at)
        assert all(error < 1.2 * before[name] for name, error in rms_errors(other, at).items())


def test_the_example_follows_unseen_paths(grains, shipped, tmp_path):
    law, figures = example("grains_to_law").learned(out=tmp_path)
    assert law.name == grains.name
    assert figures["unseen"]["ratio"] == pytest.approx(grains.card["test"]["unseen"]["ratio"], rel=0.02)
    assert 0.0 < figures["scatter between samples"]["ratio"] < figures["unseen"]["ratio"] * 2.0
    assert (tmp_path / "grains-law.png").stat().st_size > 50_000


def test_the_shipped_law_dilates_peaks_and_slides_between_two_blocks(grains):
    # a block on a layer on a block, under constant pressure: the law as a finite-element code uses it
    diameter, pressure = 2e-3, 1e5
    law = grains.rescaled(separation_scale=diameter, traction_scale=pressure)
    mesh = skfem.MeshHex.init_tensor(np.array([0.0, 0.1]), np.array([0.0, 0.1]), np.array([0.0, 0.05, 0.1]))
    mesh = mesh.with_boundaries({"layer": lambda x: np.isclose(x[2], 0.05)}, boundaries_only=False)
    interface = femnn.Interface.split(mesh, "layer")
    stiffness = femnn.assemble_elasticity(interface.mesh, femnn.GaussLegendre(2), 1e9, 0.2)
    problem = femnn.CohesiveProblem(stiffness, [(femnn.InterfaceElements(interface), law)])
    bottom, top = (np.flatnonzero(np.isclose(interface.mesh.p[2], z)) for z in (0.0, 0.1))
    load, moved = np.zeros(stiffness.shape[0]), np.zeros(stiffness.shape[0])
    load[3 * top + 2], moved[3 * top] = -pressure * 0.01 / len(top), diameter
    fixed = np.concatenate([(3 * bottom[:, None] + np.arange(3)).ravel(), 3 * top, 3 * top + 1])
    course = []

    def record(step):
        course.append((step.force[3 * top].sum() / 0.01 / pressure, step.u[3 * top + 2].mean() / diameter))

    path = femnn.newton(problem, lambda t: load, fixed, lambda t: t * moved, steps=20, callback=record, progress=False,
                        solver=functools.partial(femnn.solve, method="splu"))  # fmt: skip
    friction, opening = np.array(course).T
    assert path.t == 1.0
    assert path.iterations <= 6 * 20
    assert 0.4 < friction.max() < 0.75
    assert friction[-1] < friction.max()
    assert 0.05 < opening[-1] < 0.35
    assert (np.diff(opening[2:]) > 0.0).all()


def test_answers_mean_pressures_and_end_without():
    pressure = np.array([0.3, 1.0, 4.0])
    np.testing.assert_allclose(pressure_of(answer_of(pressure)), pressure, rtol=0.01)
    assert pressure_of(np.zeros(1))[0] == 1.0
    assert pressure_of(np.array([-1.0, -2.0, -9.0])).max() < 0.005


def test_sliding_is_cut_back_for_networks_that_know_where_they_are():
    cut = Precompressed(-0.1, 0.2, 10.0, reach=1.0)
    shown = cut.shown(np.array([[0.5, 3.0, 4.0], [0.0, 0.3, 0.0]]))
    np.testing.assert_allclose(shown, [[0.2, 0.6, 0.8], [0.0, 0.3, 0.0]])
    file = weight_file("a test")
    assert Precompressed.of(Contents(file, cut.fields())) == cut
    assert Precompressed.of(None) is None


def test_the_same_settings_give_the_same_bits(data, tmp_path):
    files = []
    for folder in ("a", "b"):
        fit_precompressed_law(tmp_path / folder / "law", "isotropic", data[:20], data[20:30], {}, quick("isotropic"),
                       progress=False, **SMALL)  # fmt: skip
        files.append((tmp_path / folder / "law.safetensors").read_bytes())
    assert files[0] == files[1]


def test_wrong_training_is_refused(data, tmp_path):
    def fit(network, **names):
        fit_precompressed_law(tmp_path / "law", network, data[:20], data[20:30], {}, quick("isotropic"), **names)

    with pytest.raises(ParameterError, match="network='oracle'"):
        fit("oracle")
    with pytest.raises(ParameterError, match="choose one of both"):
        fit("isotropic", inputs=("porosity",), predicted=("coordination",))
    with pytest.raises(ParameterError, match="components of one vector"):
        fit("isotropic", inputs=("fabric_ns",))
    with pytest.raises(ParameterError, match="no colour"):
        fit("isotropic", inputs=("colour",))


# --- the commands


@pytest.fixture(scope="module")
def file(data, tmp_path_factory):
    """As particle models leave them: most paths on one sample, some on others."""
    path = tmp_path_factory.mktemp("data") / "paths.npz"
    seed, number = np.r_[np.zeros(40, int), np.repeat([1, 2], 10)], np.r_[np.arange(40), np.tile(np.arange(10), 2)]
    rows = np.r_[np.arange(40), np.tile(np.arange(10), 2)]
    np.savez(path, separation=data.separations[rows], traction=data.tractions[rows], seed=seed, path=number)
    return path


def run(*arguments):
    return CliRunner().invoke(main, ["train", *map(str, arguments)], catch_exceptions=False)


@pytest.mark.parametrize("command", ["grains", "rve"])
def test_training_writes_a_law_that_loads(command, file, tmp_path):
    result = run(command, "--data", file, "--out", tmp_path, "--epochs", 1, "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert set(answer["test"]["unseen"]) == {"ln_normal", "ratio"}
    law = femnn.RecurrentCohesive.load(answer["weights"])
    assert law.network == "isotropic"
    assert law.precompressed is not None
    again = run(command, "--data", file, "--out", tmp_path, "--epochs", 1, "--quiet")
    assert again.stdout == f"weights: {answer['weights']}\n"


def test_wrong_usage_is_one_line(file, tmp_path):
    result = run("rve", "--data", file, "--out", tmp_path, "--microstructure", "fabric", "--epochs", 1)
    assert result.exit_code == 2
    assert result.stderr == "femnn: the data have no fabric_nn; they have none\n"
    result = run("grains", "--data", tmp_path / "nothing.npz")
    assert result.exit_code == 2
    assert "is no whole path data set" in result.stderr


def test_data_sets_know_their_main_sample_and_what_was_repeated(file):
    records = PathDataSet.load(file)
    assert len(records) == 60
    assert records.main_seed == 0
    assert [len(rows) for rows in records.repeated()] == [3] * 10


@pytest.mark.slow
def test_the_benchmark_prints_its_tables(file, tmp_path):
    script = ROOT / "benchmarks" / "cohesive" / "grain_laws.py"
    options = ["--data", file, "--networks", tmp_path, "--out", tmp_path, "--only", "gru", "--seeds", "1"]
    result = subprocess.run([sys.executable, script, *options, "--epochs", "1", "--points", "100", "--json"],
                            capture_output=True, text=True, check=True)  # fmt: skip
    figures = json.loads(result.stdout)
    (row,) = figures["accuracy"]
    tensors = femnn.RecurrentCohesive.load(tmp_path / "gru-0.json").tensors()
    # the range of the answers and the contact are no parameters
    assert row["parameters"] == sum(values.size for values in tensors.values()) - 7
    assert row["ratio_over_scatter"] is not None
    assert figures["speed"]["seconds"] > 0.0
    assert "| gru " in (tmp_path / "grain-laws.md").read_text(encoding="utf-8")
    assert (tmp_path / "grain-laws.png").stat().st_size > 50_000
