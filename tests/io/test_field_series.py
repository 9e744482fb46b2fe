"""Fields at many times from files of others: the same values from every format, and what is refused."""

import meshio
import numpy as np
import pytest

from femnn.exceptions import DatasetError, MissingExtraError, ParameterError
from femnn.io import time_series
from femnn.io.field_series import read_field_series

POINTS = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 1.0, 0.0]])
CELLS = [("triangle", np.array([[0, 1, 2], [1, 3, 2]]))]
TIMES = 0.5 * np.arange(6)
VALUES = np.random.default_rng(0).standard_normal((6, 4))


def write(path, values=VALUES, points=POINTS, more=False):
    series = time_series(path)
    for t, row in zip(TIMES, values, strict=True):
        vectors = np.outer(row, [1.0, 2.0, 0.0])
        fields = {"heat": row, **({"velocity": vectors} if more else {})}
        series.write(t, meshio.Mesh(points, CELLS, point_data=fields, cell_data={"load": [row[:2]]} if more else {}))
    return path


def test_every_format_gives_the_same_series(tmp_path):
    np.savez(tmp_path / "flow.npz", snapshots=VALUES, times=TIMES)
    files = [tmp_path / "flow.npz", write(tmp_path / "flow.pvd"), write(tmp_path / "flow.xdmf")]
    for file in files:
        series = read_field_series(file)
        assert np.allclose(series.values, VALUES)
        assert np.allclose(series.times, TIMES)
        assert series.timed
    assert np.array_equal(series.points, POINTS)


def test_hdf5(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "flow.h5", "w") as file:
        file["run/u"] = VALUES.reshape(6, 2, 2)
        file["run/time"] = TIMES
        file["run/other"] = np.ones((6, 3))
    series = read_field_series(tmp_path / "flow.h5", "run/u")
    assert np.array_equal(series.values, VALUES)
    assert np.array_equal(series.times, TIMES)
    (tmp_path / "broken.h5").write_bytes((tmp_path / "flow.h5").read_bytes()[:900])
    with pytest.raises(DatasetError, match="no whole series"):
        read_field_series(tmp_path / "broken.h5")


def test_hdf5_needs_an_extra(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'femnn\[hdf5\]'"):
        read_field_series(tmp_path / "flow.h5")


def test_a_field_is_chosen_by_name(tmp_path):
    for file in (write(tmp_path / "flow.pvd", more=True), write(tmp_path / "flow.xdmf", more=True)):
        with pytest.raises(ParameterError, match="has the fields heat, velocity, load; name one of them"):
            read_field_series(file)
        with pytest.raises(ParameterError, match="there is no 'heet' among them"):
            read_field_series(file, "heet")
        velocity = read_field_series(file, "velocity").values
        assert np.allclose(velocity.reshape(6, 4, 3)[..., 1], 2.0 * VALUES)
        assert np.allclose(read_field_series(file, "load").values, VALUES[:, :2])


def test_files_that_cannot_be_used_are_refused(tmp_path):
    broken = VALUES.copy()
    broken[3, 2] = np.nan
    np.savez(tmp_path / "nan.npz", snapshots=broken)
    with pytest.raises(DatasetError, match=r"is nan at snapshot 3 \(time 3\), value 2; 1 values"):
        read_field_series(tmp_path / "nan.npz")
    np.savez(tmp_path / "short.npz", snapshots=VALUES, times=TIMES[:4])
    with pytest.raises(DatasetError, match="has 4 times and 6 snapshots"):
        read_field_series(tmp_path / "short.npz")
    np.savez(tmp_path / "two.npz", first=VALUES, second=VALUES)
    with pytest.raises(ParameterError, match=r"first \(6, 4\), second \(6, 4\); it needs an array 'snapshots'"):
        read_field_series(tmp_path / "two.npz")
    with pytest.raises(ParameterError, match=r"has the suffix '.vtu'"):
        read_field_series(tmp_path / "flow.vtu")
    with pytest.raises(DatasetError, match="there is no file"):
        read_field_series(tmp_path / "none.npz")
    pvd = write(tmp_path / "flow.pvd")
    moved = write(tmp_path / "moved.pvd", points=POINTS + 0.1)
    (tmp_path / "flow-0004.vtu").write_bytes((tmp_path / "moved-0004.vtu").read_bytes())
    with pytest.raises(DatasetError, match=r"flow-0004\.vtu has another mesh than the first"):
        read_field_series(pvd)
    (tmp_path / "moved-0002.vtu").unlink()
    with pytest.raises(DatasetError, match=r"lists moved-0002\.vtu for time 1, which is not there"):
        read_field_series(moved)
    (tmp_path / "flow-0004.vtu").write_text("<VTKFile>", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"flow-0004\.vtu is no whole series"):
        read_field_series(pvd)
