"""Snapshots: what comes out is what went in, folders are continued, and what does not fit is refused."""

import numpy as np
import pytest
import skfem

import femnn
from femnn.exceptions import DatasetError, ParameterError
from femnn.geometry import distorted_cube
from femnn.reduced import Snapshots, numbering

ELEMENT = skfem.ElementVector(skfem.ElementHex1())


@pytest.fixture(scope="module")
def bases():
    return femnn.bases(distorted_cube(2, 0.1), ELEMENT, femnn.GaussLegendre(2))


def filled(source, path=None, count=5):
    snapshots = Snapshots(source, path)
    for run in range(2):
        snapshots.begin({"load": float(run)})
        for k in range(count):
            u = np.arange(snapshots.n) + 10.0 * k + run
            snapshots.append(u, t=0.1 * k, velocity=2.0 * u, load=np.ones(snapshots.n))
    return snapshots


@pytest.mark.parametrize("kept", ["in memory", "in a folder"])
def test_what_comes_out_is_what_went_in(bases, tmp_path, kept):
    snapshots = filled(bases, None if kept == "in memory" else tmp_path / "snapshots")
    assert len(snapshots) == 10
    last = snapshots[-1]
    np.testing.assert_array_equal(last.u, np.arange(snapshots.n) + 41.0)
    np.testing.assert_array_equal(last.velocity, 2.0 * last.u)
    assert (last.t, last.path, last.parameters) == (0.4, 1, {"load": 1.0})
    np.testing.assert_array_equal(snapshots.matrix(), np.stack([s.u for s in snapshots], axis=1))
    np.testing.assert_array_equal(np.concatenate(list(snapshots.blocks(3, "load")), axis=1), 1.0)
    assert [head.path for head in snapshots.heads] == [0] * 5 + [1] * 5


def test_a_folder_is_continued_where_it_was_left(bases, tmp_path):
    filled(bases, tmp_path)
    again = Snapshots(bases, tmp_path)
    assert len(again) == 10
    again.truncate(7)
    again.begin({"load": 3.0})
    again.append(np.zeros(again.n))
    third = Snapshots(bases, tmp_path)
    assert len(third) == 8
    assert (third[-1].path, third[-1].parameters) == (2, {"load": 3.0})


def test_other_meshes_and_numberings_are_refused(bases, tmp_path):
    filled(bases, tmp_path)
    mesh = distorted_cube(2, 0.1, seed=1)
    for other in (femnn.bases(mesh, ELEMENT, femnn.GaussLegendre(2)), 81, 12):
        with pytest.raises(DatasetError, match="of another mesh or numbering"):
            Snapshots(other, tmp_path)
    with pytest.raises(DatasetError, match="of another mesh or numbering"):
        Snapshots(bases, tmp_path).require(femnn.bases(mesh, ELEMENT, femnn.GaussLegendre(2)))


@pytest.mark.parametrize("element", [skfem.ElementHex1(), skfem.ElementHex2()], ids=["Hex1", "Hex2"])
def test_a_solid_is_numbered_like_the_basis_of_its_element(element):
    mesh = distorted_cube(2, 0.1)
    law = femnn.PointLaw(linear)
    solid = femnn.Solid(mesh, femnn.GaussLegendre(3), law, element=element)
    assert numbering(solid) == numbering(femnn.bases(mesh, skfem.ElementVector(element), femnn.GaussLegendre(3)))


def linear(strain, state, parameters, stress, tangent, new_state):
    for i in range(6):
        stress[i], tangent[i, i] = strain[i], 1.0


def test_damaged_folders_are_refused(bases, tmp_path):
    for damage, message in ((cut, "is no whole"), (swap, "sha256"), (gap, "but no 000003")):
        folder = tmp_path / damage.__name__
        filled(bases, folder)
        damage(folder)
        with pytest.raises(DatasetError, match=message):
            Snapshots(bases, folder)
    (tmp_path / "cut" / "snapshots.json").write_text("{}")
    with pytest.raises(DatasetError):
        Snapshots(bases, tmp_path / "cut")
    (tmp_path / "swap" / "snapshots.json").unlink()
    with pytest.raises(DatasetError, match=r"no snapshots\.json"):
        Snapshots(bases, tmp_path / "swap")


def cut(folder):
    path = folder / "000003.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def swap(folder):
    path = folder / "000003.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def gap(folder):
    (folder / "000003.safetensors").unlink()


@pytest.mark.parametrize("u", [np.zeros(3), np.full(81, np.nan), np.zeros((81, 1)), None, "u"])
def test_what_is_no_solution_is_not_added(bases, u):
    snapshots = Snapshots(bases)
    with pytest.raises(ParameterError):
        snapshots.append(u)
    assert len(snapshots) == 0
    with pytest.raises(ParameterError):
        snapshots.append(np.zeros(81), velocity=np.zeros(80))
    assert len(snapshots) == 0


def test_runs_have_the_same_parameters_and_blocks_what_was_appended(bases):
    snapshots = filled(bases)
    with pytest.raises(ParameterError, match="give every run the same names"):
        snapshots.begin({"pressure": 1.0})
    snapshots.append(np.zeros(snapshots.n))
    with pytest.raises(ParameterError, match="have no velocity"):
        snapshots.matrix("velocity")
    for source in ("mesh", None, True, distorted_cube(1, 0.0)):
        with pytest.raises(ParameterError, match="has no degrees of freedom"):
            Snapshots(source)
    with pytest.raises(IndexError):
        snapshots[99]
