"""Restart files and series for ParaView."""

from xml.etree import ElementTree

import meshio
import numpy as np
import pytest
import skfem
from support.porous_problems import LOAD, column, depth, dual, single

from femnn.exceptions import StateError
from femnn.reservoir import Conditions, PorousProblem, Series, load_state, march, save_state

TIMES = 1e3 * np.arange(1, 9)


def test_a_run_goes_on_from_its_restart_file_as_if_it_had_not_stopped(tmp_path):
    problem = column(dual())
    whole = march(problem.step, problem.initial_state(), TIMES, progress=False)
    path = tmp_path / "restart.npz"

    def stop(state):
        save_state(path, state)
        return state.t >= 4e3

    march(problem.step, problem.initial_state(), TIMES, callback=stop, progress=False)
    again = column(dual())
    state = load_state(path, again)
    assert state.t == 4e3
    last = march(again.step, state, TIMES, progress=False)
    assert last.t == whole.t
    np.testing.assert_array_equal(last.u, whole.u)
    np.testing.assert_array_equal(last.p, whole.p)


def test_damaged_and_foreign_restart_files_are_refused(tmp_path):
    problem, path = column(dual()), tmp_path / "restart.npz"
    save_state(path, problem.initial_state())
    with pytest.raises(StateError, match="does not fit: the displacements"):
        load_state(path, column(dual(), n=5))
    with pytest.raises(StateError, match="does not fit: the pressures"):
        load_state(path, column(single()))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(StateError, match="no whole restart file"):
        load_state(path, problem)
    np.savez(path, u=np.zeros(3))
    with pytest.raises(StateError, match="no whole restart file"):
        load_state(path, problem)


def entries(path):
    return [(float(own.get("timestep")), own.get("file")) for own in ElementTree.parse(path).iter("DataSet")]


def test_series_hold_what_paraview_shows(tmp_path):
    problem = column(dual())
    series = Series(tmp_path / "column.pvd", problem)
    states = []

    def write(state):
        series.write(state)
        states.append(state)

    march(problem.step, problem.initial_state(), TIMES[:3], callback=write, progress=False)
    assert entries(series.path) == [(t, f"column-{k:04d}.vtu") for k, t in enumerate(TIMES[:3])]
    read = meshio.read(tmp_path / "column-0002.vtu")
    np.testing.assert_array_equal(read.points[:, :2], problem.displacement_basis.mesh.p.T)
    order = np.argsort(read.points[:, 1], kind="stable")
    for name, own in zip(("macro", "micro"), states[-1].p, strict=True):
        by_depth = own[np.argsort(-depth(problem), kind="stable")]
        np.testing.assert_allclose(read.point_data[f"pressure_{name}"][order], by_depth)
    assert read.point_data["displacement"].shape == (len(read.points), 3)
    # effective stress and pressures balance the load in every cell
    given = problem.constants
    pressures = np.array([read.point_data[f"pressure_{name}"][read.cells[0].data].mean(axis=1)
                          for name in ("macro", "micro")])  # fmt: skip
    total = read.cell_data["effective_stress"][0][:, 4] - (given.biot * pressures).sum(axis=0)
    # pressures are linear in a cell, strains are, too, but not in step: the balance holds in the mean
    np.testing.assert_allclose(total, -LOAD, rtol=5e-3)
    # fluid rises to the drained top
    flow = read.cell_data["darcy_flow_macro"][0]
    assert (flow[:, 1] > 0.0).all()
    assert np.abs(flow[:, 0]).max() < 1e-9 * flow[:, 1].max()


def test_a_series_goes_on_where_a_restart_begins(tmp_path):
    problem = column(single())
    series = Series(tmp_path / "column.pvd", problem)
    march(problem.step, problem.initial_state(), TIMES[:4], callback=series.write, progress=False)
    again = Series(tmp_path / "column.pvd", problem, start=TIMES[1])
    state = problem.initial_state(t=2.5e3)
    again.write(state)
    assert entries(series.path) == [(1e3, "column-0000.vtu"), (2e3, "column-0001.vtu"), (2.5e3, "column-0002.vtu")]
    assert "pressure" in meshio.read(tmp_path / "column-0002.vtu").point_data


def test_hexahedra_are_written_in_the_order_of_vtk(tmp_path):
    mesh = skfem.MeshHex.init_tensor(*[np.linspace(0.0, n, n + 1) for n in (1, 2, 3)]).with_defaults()
    problem = PorousProblem(mesh, single(), Conditions(displacement={"left": (0.0, 0.0, 0.0)}))
    Series(tmp_path / "box.pvd", problem).write(problem.initial_state())
    read = skfem.MeshHex.load(str(tmp_path / "box-0000.vtu"))
    np.testing.assert_array_equal(read.p, mesh.p)
    np.testing.assert_array_equal(read.t, mesh.t)
    corners = meshio.read(tmp_path / "box-0000.vtu").points[meshio.read(tmp_path / "box-0000.vtu").cells[0].data]
    assert (np.linalg.det(corners[:, [1, 3, 4]] - corners[:, :1]) > 0.0).all()
