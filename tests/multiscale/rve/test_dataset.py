"""Cells as conduits, the paths they are driven on, and the data set of their responses."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from support.gouge import Gouge

import femnn
from femnn.cli import main
from femnn.exceptions import DatasetError, ParameterError, WeightFileError
from femnn.multiscale.rve import (
    KINDS,
    RVE,
    CellPermeability,
    CrackFilling,
    FaultCell,
    FaultCell3D,
    PathCommand,
    PathDataSet,
    Spring,
    WorkingRange,
    block_network,
    draw_cycles,
    draw_path,
    echelon_cracks,
    law_named,
    parallel_cracks,
    simulate_paths,
    springs_of,
)

LAW = femnn.ExponentialCohesive(80e6, 100e6, 969.0, 1719.0)
OPEN = CrackFilling(1e-5)
MATRIX = 1e-16


def permeability(cell, filling=OPEN, matrix=MATRIX, law=LAW, young=300e9):
    rve = RVE(cell, law, young)
    return rve, CellPermeability(rve, filling, matrix)


# --- fillings


def test_porosity_follows_the_dilation_and_the_cubic_law_follows_it():
    grains = CrackFilling.of_grains(2e-4, 3e-3, 0.4)
    kozeny = (2e-4) ** 2 * 0.4**3 / (180.0 * 0.6**2)
    assert grains.aperture**3 / 12.0 == pytest.approx(kozeny * 3e-3)
    opening = np.array([0.0, 1e-4, -2e-4])
    porosity, thickness = grains.evolved_porosity(opening), 3e-3 + opening
    # grains neither come nor go
    np.testing.assert_allclose((1.0 - porosity) * thickness, 0.6 * 3e-3)
    # Kozeny and Carman's permeability at that porosity
    expected = (2e-4) ** 2 * porosity**3 / (180.0 * (1.0 - porosity) ** 2) * thickness
    np.testing.assert_allclose(grains.hydraulic_aperture(opening) ** 3 / 12.0, expected)
    # an open crack is as wide as it has opened; walls never close altogether
    np.testing.assert_allclose(OPEN.hydraulic_aperture([2e-6, -9.9e-6]), [1.2e-5, 0.05 * 1e-5])
    assert OPEN.evolved_porosity(-5e-6) == 1.0
    assert grains.evolved_porosity(-2.9e-3) == 0.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CrackFilling(0.0), "aperture=0"),
        (lambda: CrackFilling(1e-5, thickness=-1.0), "thickness=-1"),
        (lambda: CrackFilling(1e-5, porosity=1.2), "porosity=1.2"),
        (lambda: CrackFilling(1e-5, residual=0.0), "residual=0"),
        (lambda: CrackFilling.of_grains(1e-4, 1e-3, 1.0), "porosity=1.0"),
        (lambda: permeability(parallel_cracks(1.0, 1.0), matrix=0.0), "matrix=0"),
    ],
)
def test_bad_fillings(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


# --- permeability


@pytest.mark.parametrize("heights", [(0.5,), (0.2, 0.3, 0.9)])
def test_straight_cracks_conduct_by_the_cubic_law(heights):
    rve, conduits = permeability(parallel_cracks(2e-2, 1e-2, heights, shift=0.3))
    expected = np.diag([MATRIX, MATRIX + len(heights) * 1e-15 / 12.0 / 1e-2])
    tensor = conduits.tensor(rve.initial_state())
    np.testing.assert_allclose(tensor, expected, rtol=1e-9, atol=1e-9 * MATRIX)
    assert conduits.aperture(tensor) == pytest.approx(len(heights) ** (1 / 3) * 1e-5)
    # opened by 4 µm each
    opened = rve.update([len(heights) * 4e-6, 0.0], rve.initial_state())
    apertures = 1e-5 + rve.separations(opened.state)[:, 0]
    assert apertures.max() > 1.2e-5
    along = conduits.tensor(opened.state)[1, 1] - MATRIX
    assert along == pytest.approx((apertures**3 * rve.elements.dx.ravel()).sum() / 12.0 / 2e-4)


def test_inclined_cracks_conduct_along_their_direction():
    # straight from bottom to top, in effect: the band is the cell but for a sliver
    blocks = 1e-13
    rve, conduits = permeability(echelon_cracks(1e-2, 1e-2, 4, angle=70.0, band=0.999), matrix=blocks)
    angle = np.radians(70.0)
    # in the frame (normal, shear), which is (y, −x)
    along = np.array([np.sin(angle), -np.cos(angle)])
    length = 4 * 0.999e-2 / np.sin(angle)
    expected = 1e-15 / 12.0 * length / 1e-4 * np.outer(along, along)
    # the slivers at the ends resist only a little
    tensor = conduits.tensor(rve.initial_state()) - blocks * np.eye(2)
    np.testing.assert_allclose(tensor, expected, atol=0.02 * expected.max())


@pytest.mark.parametrize("pattern", [echelon_cracks, block_network])
def test_permeability_is_symmetric_and_positive_definite(pattern):
    rve, conduits = permeability(pattern(1e-2, 1e-2))
    before = conduits.tensor(rve.initial_state())
    state = rve.update([5e-6, 1e-5], rve.initial_state()).state
    after = conduits.tensor(state)
    for tensor in (before, after):
        np.testing.assert_array_equal(tensor, tensor.T)
        # cracks add to the blocks
        assert (np.linalg.eigvalsh(tensor - MATRIX * np.eye(2)) > -1e-12 * MATRIX).all()
    assert abs(before[0, 1]) > 0.01 * MATRIX
    # opening and shear made more of it, and in no direction less
    least, most = np.linalg.eigvalsh(after - before)
    assert least > -1e-12 * MATRIX
    assert most > 1e-4 * MATRIX


def test_permeability_does_not_depend_on_the_seam():
    tensors = []
    for shift in (0.0, 0.42):
        rve, conduits = permeability(block_network(1e-2, 1e-2, shift=shift))
        tensors.append(conduits.tensor(rve.update([3e-6, 2e-6], rve.initial_state()).state))
    np.testing.assert_allclose(tensors[1], tensors[0], rtol=1e-8, atol=1e-8 * np.abs(tensors[0]).max())


# --- commands


GRAINS = WorkingRange(shear=2.0, pressure=1.0, stiffness=30.0, precompressed=True)


def test_the_working_range_is_that_of_the_law():
    assert WorkingRange.of(Gouge(pressure=3.0), reach=2.0) == WorkingRange(2.0, 3.0, 120.0, True)
    classical = WorkingRange.of(LAW)
    assert not classical.precompressed
    assert (classical.shear, classical.pressure) == (LAW.separation_scale, 8e6)
    learned = femnn.RecurrentCohesive.load("default")
    trained = learned.card["trained_range"]["high"][1]
    assert WorkingRange.of(learned).shear == pytest.approx(0.9 * trained * learned.separation_scale)
    with pytest.raises(ParameterError, match="reach=-1"):
        WorkingRange.of(LAW, reach=-1.0)


@pytest.mark.parametrize("working", [GRAINS, WorkingRange.of(LAW)], ids=["precompressed", "cohesive"])
def test_commands_begin_at_zero_and_stay_within_their_range(working):
    controls = set()
    for number in range(40):
        path = draw_path(number, 60, working, seed=1)
        again = draw_path(number, 60, working, seed=1)
        springs = springs_of(path)
        np.testing.assert_array_equal(path.separation, again.separation)
        assert springs == springs_of(again)
        assert len(springs) == 60
        assert path.kind == KINDS[number % len(KINDS)]
        assert path.separation.shape == (60, 2)
        assert not path.separation[0].any()
        assert springs[0] is None
        assert np.abs(path.separation[:, 1]).max() <= 1.31 * working.shear
        controls.add(path.control)
        for spring in springs[1:]:
            assert (spring is None) == (path.control == "displacement")
            if spring is not None:
                assert -3.0 * working.pressure <= spring.load <= 0.0
                assert (spring.stiffness > 0.0) == (path.control == "stiffness")
    assert controls == {"displacement", "load", "stiffness"}
    assert not np.array_equal(draw_path(3, 60, working, 1).separation, draw_path(3, 60, working, 2).separation)


@pytest.mark.parametrize("points", [10, 16, 100])
def test_commands_of_few_points_begin_at_zero_too(points):
    for number in range(200):
        path = draw_path(number, points, GRAINS)
        assert not path.separation[0].any()
        assert np.isfinite(path.separation).all()


@pytest.mark.parametrize("shears", [1, 2])
def test_cycles_of_tractions_begin_under_the_first_pressure_and_come_back(shears):
    for number in range(20):
        path = draw_cycles(number, 60, GRAINS, 1, shears)
        again = draw_cycles(number, 60, GRAINS, 1, shears)
        np.testing.assert_array_equal(path.shear, again.shear)
        assert springs_of(path) == springs_of(again)
        assert path.separation.shape == (60, 1 + shears)
        assert (path.load[0], path.shear[0].any()) == (GRAINS.pressure, False)
        cycled = path.load if number % 2 else path.shear[:, 0]
        other = path.shear[:, 0] if number % 2 else path.load
        assert not path.shear[:, 1:].any()
        # corners are points: three cycles or more, between two values, while the other traction is held
        assert np.ptp(other[3 * len(other) // 4 :]) < 1e-12
        turns = np.flatnonzero(np.diff(np.sign(np.diff(cycled))))
        assert len(turns) >= 4
        assert np.abs(path.shear).max() <= 0.35 * GRAINS.pressure
        assert 0.7 * GRAINS.pressure <= path.load.min() <= path.load.max() <= 1.5 * GRAINS.pressure
    assert not np.array_equal(draw_cycles(3, 60, GRAINS, 1).shear, draw_cycles(3, 60, GRAINS, 2).shear)
    with pytest.raises(ParameterError, match="starts without pressure"):
        draw_cycles(0, 60, WorkingRange.of(LAW))


def test_springs_hold_the_tractions_of_a_command():
    command = PathCommand(np.zeros((3, 2)), np.ones(3), control="traction", shear=np.array([[0.0], [0.1], [0.2]]))
    assert springs_of(command) == [None, (Spring(-1.0), Spring(0.1)), (Spring(-1.0), Spring(0.2))]


def test_bad_commands():
    for values, message in (((-1, 60), "number=-1"), ((0, 5), "points=5"), ((0, 60.5), "points=60.5")):
        with pytest.raises(ParameterError, match=message):
            draw_path(*values, GRAINS)


# --- the data set


CELL = {"count": 2, "rows": 1, "refine": 1}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rve")
    cell = replace(FaultCell.around(law_named("classical-default")), **CELL)
    data, failures = simulate_paths("classical-default", folder, cell, paths=6, points=12, workers=0, progress=False)
    return folder, cell, data, failures


def test_the_data_set_has_its_form(made):
    folder, cell, data, failures = made
    assert not failures
    assert len(data) == 6
    for name in ("separation", "traction", "crack_separation"):
        values = getattr(data, name)
        assert values.shape == (6, 12, 3)
        assert values.dtype == np.float32
        assert not values[..., 2].any()
        assert not values[:, 0].any()
    assert data.permeability.shape == (6, 12, 2, 2)
    assert data.aperture.shape == data.porosity.shape == data.hill_mandel.shape == (6, 12)
    assert (np.linalg.eigvalsh(data.permeability) > 0.0).all()
    assert (data.aperture > 0.0).all()
    assert data.hill_mandel.max() < 1e-8
    assert data.kind.tolist() == list(KINDS)
    assert set(data.control) <= {"displacement", "load", "stiffness"}
    np.testing.assert_array_equal(data.path, np.arange(6))
    card = json.loads((folder / "rve-paths.json").read_text())
    assert card["cell"]["size"] == cell.size
    assert "BilinearCohesive" in card["law"]
    with np.load(folder / "rve-paths.npz", allow_pickle=False) as file:
        assert set(file.files) >= {"separation", "traction", "aperture", "permeability", "seed", "path", "kind"}


def test_rows_are_the_responses_of_the_cell(made):
    _, cell, data, _ = made
    law = law_named("classical-default")
    rve = cell.rve(law)
    # under prescribed separations the path can be followed again from the file
    row = data.control.tolist().index("displacement")
    state = rve.initial_state()
    for goal, expected in zip(data.separation[row].astype(float), data.traction[row], strict=True):
        traction, _, state, *_ = rve.update(goal[:2], state)
        np.testing.assert_allclose(traction, expected[:2], atol=1e-4 * np.abs(data.traction[row]).max())


def test_a_run_goes_on_and_gives_the_same_bits(made, tmp_path):
    folder, cell, data, _ = made
    again, _ = simulate_paths("classical-default", folder, cell, paths=6, points=12, workers=0, progress=False)
    assert again.about["sha256"] == data.about["sha256"]
    anew, _ = simulate_paths("classical-default", tmp_path, cell, paths=6, points=12, workers=0, progress=False)
    np.testing.assert_array_equal(anew.traction, data.traction)
    np.testing.assert_array_equal(anew.permeability, data.permeability)
    with pytest.raises(DatasetError, match="other arguments"):
        simulate_paths("classical-exponential", folder, cell, paths=6, points=12, workers=0, progress=False)


def test_samples_are_rows_of_the_same_paths_beside_those_of_the_first_cell(made, tmp_path):
    folder, cell, data, _ = made
    (tmp_path / "paths").mkdir()
    for file in (folder / "paths").iterdir():
        (tmp_path / "paths" / file.name).write_bytes(file.read_bytes())
    before = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "paths").iterdir()}
    several, failures = simulate_paths(
        "classical-default", tmp_path, cell, paths=6, points=12, samples=3, each=2, workers=0, progress=False
    )
    assert not failures
    assert several.traction.shape == (12, 12, 3)
    # samples take turns; rows of one stand together
    assert sorted(zip(several.path.tolist(), several.seed.tolist(), strict=True)) == sorted(
        (number, (2 * number + k) % 3) for number in range(6) for k in range(2)
    )
    assert (np.diff(several.seed) >= 0).all()
    assert [len(rows) for rows in several.repeated()] == [2] * 6
    # the first cell keeps its files and its responses
    assert before.items() <= {file.name: file.stat().st_mtime_ns for file in (tmp_path / "paths").iterdir()}.items()
    first = several[several.seed == cell.seed]
    np.testing.assert_array_equal(first.traction, data.traction[first.path])
    # others have the same commands and other responses
    for rows in several.repeated():
        one, other = several[rows[:1]], several[rows[1:]]
        assert one.kind[0] == other.kind[0]
        np.testing.assert_allclose(one.separation[..., 1], other.separation[..., 1], atol=1e-12)
        assert not np.array_equal(one.traction, other.traction)
    again = replace(cell, seed=1)
    alone, _ = simulate_paths(
        "classical-default", tmp_path / "alone", again, paths=1, points=12, workers=0, progress=False
    )
    np.testing.assert_array_equal(alone.traction[0], several.traction[(several.path == 0) & (several.seed == 1)][0])
    assert several.about["command"].endswith("--samples 3 --each 2 --count 2 --rows 1")
    assert several.about["seeds"] == [0, 1, 2]
    assert "samples" not in data.about["command"]
    assert "seeds" not in data.about
    pressed = [rows for rows in several.repeated() if several.control[rows[0]] != "displacement"]
    halves = [np.diff(several.separation[rows, :, 0], axis=0)[0] ** 2 / 2.0 for rows in pressed]
    scatter = several.about["checks"]["scatter between samples, opening"]
    assert scatter == pytest.approx(np.sqrt(np.mean(halves)), rel=1e-4)
    assert not any("scatter" in name for name in data.about["checks"])


@pytest.mark.parametrize(
    ("values", "message"),
    [({"samples": 0}, "samples=0"), ({"samples": 2, "each": 3}, "each=3"), ({"cycles": -1}, "cycles=-1")],
)
def test_more_rows_than_samples_are_refused(values, message, tmp_path):
    with pytest.raises(ParameterError, match=message):
        simulate_paths("classical-default", tmp_path, paths=1, points=12, **values)
    assert not list(tmp_path.iterdir())


def test_a_filling_has_the_thickness_that_was_asked():
    law = law_named("grains")
    usual, thin = FaultCell.around(law), FaultCell.around(law, thickness=6.0)
    assert usual == FaultCell.around(law, thickness=10.0)
    assert thin.filling == CrackFilling.of_grains(1.0, 6.0, 0.4)
    # transmissivity is that of a layer, blocks conduct in proportion
    assert (thin.filling.aperture / usual.filling.aperture) ** 3 == pytest.approx(0.6)
    assert thin.matrix / usual.matrix == pytest.approx(0.6 ** (2.0 / 3.0))
    assert FaultCell3D.around(law, thickness=6.0).filling == thin.filling
    with pytest.raises(ParameterError, match=r"thickness=6\.0 is that of a filling"):
        FaultCell.around(law_named("classical-default"), thickness=6.0)


def test_damaged_data_are_refused(made, tmp_path):
    folder = made[0]
    for suffix in (".npz", ".json"):
        (tmp_path / f"rve-paths{suffix}").write_bytes((folder / f"rve-paths{suffix}").read_bytes())
    file = tmp_path / "rve-paths.npz"
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(DatasetError, match="its card says"):
        PathDataSet.load(file)
    with pytest.raises(DatasetError, match="femnn simulate rve"):
        PathDataSet.load(tmp_path / "none.npz")


def test_the_command_makes_the_data_set(tmp_path):
    arguments = ["simulate", "rve", "--law", "classical-exponential", "--out", str(tmp_path), "--paths", "2"]
    result = CliRunner().invoke(main, [*arguments, "--points", "10", "--workers", "0", "--json"])
    assert result.exit_code == 0, result.output
    card = json.loads(result.stdout)
    assert card["paths"]["asked"] == 2
    assert len(PathDataSet.load(tmp_path / "rve-paths.npz")) == 2
    several = [*arguments, "--points", "10", "--workers", "0", "--samples", "2", "--json"]
    result = CliRunner().invoke(main, several)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["command"].endswith("--samples 2")
    assert len(PathDataSet.load(tmp_path / "rve-paths.npz")) == 4
    refused = CliRunner().invoke(main, ["simulate", "rve", "--law", "nothing", "--out", str(tmp_path / "other")])
    assert refused.exit_code == 2
    assert "nothing" in refused.stderr
    assert not (tmp_path / "other").exists()
    refused = CliRunner().invoke(main, [*arguments[:4], "--out", str(tmp_path / "other"), "--young", "-1"])
    assert refused.exit_code == 2
    assert "young=-1" in refused.stderr


def test_unknown_laws_are_refused():
    with pytest.raises(WeightFileError):
        law_named("nothing")
    assert law_named("classical-default").name == femnn.RecurrentCohesive.load("default").reference().name
