"""Embedded faults from state to state: files to go on from, surfaces for ParaView, steps by error, and events."""

from dataclasses import replace

import meshio
import numpy as np
import pytest
import skfem

import femnn
from femnn.cohesive import Law
from femnn.exceptions import ConvergenceError, FemnnWarning, OutsideRangeError, StateError
from femnn.interfaces import EmbeddedCrack
from femnn.reservoir import Conditions, DualPorousMedium, PorousMedium, Well, march
from femnn.reservoir.fault import (
    ConstantCore,
    EmbeddedFault,
    EmbeddedReservoir,
    FaultHistory,
    FaultSeries,
    load_state,
    save_state,
)

ROCK = {"young": 10e9, "poisson": 0.25}
CORE = ConstantCore(1e-12, 0.1, along=1e-10, compressibility=1e-9)
TIMES = np.linspace(0.0, 86400.0, 9)[1:]
SINGLE = PorousMedium(permeability=2e-15, **ROCK)
DUAL = DualPorousMedium(permeability=2e-15, macro_fraction=0.3, micro_permeability=1e-16, exchange=1e-15, **ROCK)


def body(dim, n=10):
    """A block of 100 m with named sides."""
    kind = skfem.MeshQuad if dim == 2 else skfem.MeshHex
    mesh = kind.init_tensor(*[np.linspace(0.0, 100.0, n + 1)] * dim)
    return mesh.with_boundaries({
        "bottom": lambda x: x[-1] == 0.0, "top": lambda x: x[-1] == 100.0, "left": lambda x: x[0] == 0.0,
    })  # fmt: skip


def injected(dim=2, medium=SINGLE, law=None, rate=2e-5, **given):
    """A flat fault of friction that is near to sliding, fed in its middle; in the plane a second one, at rest."""
    mesh = body(dim, 10 if dim == 2 else 4)
    stress = -10e6 * np.eye(dim)
    stress[0, -1] = stress[-1, 0] = 5.9e6 if dim == 2 else 5.5e6
    law = femnn.ContactCohesive(1e12, friction=0.6) if law is None else law
    conditions = Conditions(displacement={"bottom": (0.0,) * dim, "left": (0.0,) * dim}, pressure={"top": 0.0})
    if dim == 2:
        cracks = [EmbeddedCrack.line(mesh, (11.0, y), (89.0, y + 0.2)) for y in (48.0, 73.0)]
    else:
        cracks = [EmbeddedCrack.plane(mesh, (50.0, 50.0, 48.0), (0.02, 0.0, 1.0))]
    wells = [Well(cracks[0].centre[len(cracks[0]) // 2], rate=rate)]
    faults = [EmbeddedFault(cracks[0], law, CORE, stress=stress, wells=wells)]
    faults += [EmbeddedFault(crack, law, CORE, stress=-1e7 * np.eye(dim)) for crack in cracks[1:]]
    return EmbeddedReservoir(medium, conditions, faults, **given)


@pytest.mark.parametrize("medium", [SINGLE, DUAL])
def test_a_run_that_goes_on_from_a_file_is_the_same_run(tmp_path, medium):
    problem, states = injected(medium=medium), []
    march(problem.step, problem.initial_state(), TIMES, callback=states.append, progress=False)
    assert problem.fields(states[-1])[0].slip.max() > 1e-5
    path = tmp_path / "moment.npz"
    save_state(path, states[3])
    # another process makes the problem anew
    fresh = injected(medium=medium)
    again = march(fresh.step, load_state(path, fresh), TIMES, progress=False)
    np.testing.assert_array_equal(again.x, states[-1].x)
    np.testing.assert_array_equal(again.rate, states[-1].rate)
    for history, wanted in zip(again.histories, states[-1].histories, strict=True):
        np.testing.assert_array_equal(history.values, wanted.values)


def test_a_file_of_another_reservoir_is_refused(tmp_path):
    problem, path = injected(), tmp_path / "moment.npz"
    save_state(path, problem.initial_state())
    with pytest.raises(StateError, match=r"moment\.npz does not fit: .*a state goes with the mesh"):
        load_state(path, injected(medium=DUAL))
    with pytest.raises(StateError, match="does not fit"):
        load_state(path, injected(law=femnn.ContactCohesive(1e12, friction=0.7)))
    with pytest.raises(StateError, match="goes with the mesh"):
        problem.step(replace(problem.initial_state(), leak_off=np.zeros((1, 3))), 60.0)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(StateError, match="start from an older one"):
        load_state(path, problem)


def test_surfaces_for_paraview_carry_the_means_of_the_cut_cells(tmp_path):
    problem = injected()
    state = march(problem.step, problem.initial_state(), TIMES, progress=False)
    series = FaultSeries(tmp_path / "fault.pvd", problem)
    series.write(problem.initial_state())
    series.write(state)
    mesh = meshio.read(tmp_path / "fault-0001.vtu")
    (lines,), fields = mesh.cells, problem.fields(state)
    dx = [fault.crack.dx for fault in problem.faults]
    lengths = np.linalg.norm(np.diff(mesh.points[lines.data], axis=1)[:, 0], axis=1)
    np.testing.assert_allclose(lengths, np.concatenate(dx).sum(axis=1), rtol=1e-12)
    slid = np.concatenate([
        (own.separation[:, 1].reshape(area.shape) * area).sum(axis=1) / area.sum(axis=1)
        for own, area in zip(fields, dx, strict=True)
    ])  # fmt: skip
    np.testing.assert_allclose(mesh.cell_data["separation"][0][:, 1], slid, atol=1e-15)
    np.testing.assert_allclose(mesh.cell_data["pressure"][0], state.fault_pressure)
    np.testing.assert_allclose(mesh.cell_data["leak_off"][0], state.leak_off[0])


def test_a_surface_in_space_covers_the_plane(tmp_path):
    problem = injected(dim=3)
    FaultSeries(tmp_path / "plane.pvd", problem).write(problem.initial_state())
    mesh = meshio.read(tmp_path / "plane-0000.vtu")
    corners = mesh.points[mesh.cells[0].data]
    areas = 0.5 * np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    assert areas.sum() == pytest.approx(problem.faults[0].crack.dx.sum(), rel=1e-12)
    assert areas.sum() == pytest.approx(1e4 * np.hypot(1.0, 0.02), rel=1e-12)


def test_steps_keep_the_error_of_the_sliding_and_it_is_of_first_order():
    """The estimate for a sudden slip is half of what the rate changes; halved tolerances cut the error of the run."""
    slips, counts = [], []
    for most in (np.inf, 2e-4, 5e-5, 5e-6):
        problem = injected(slip_error=most)
        history = FaultHistory(problem)
        march(
            problem.step, problem.initial_state(), TIMES, 1.0, history.add, progress=False, is_easy=problem.is_easy
        )  # fmt: skip
        slips.append(history.slip[-1].max())
        counts.append(len(history.times))
    errors = np.abs(np.array(slips[:3]) - slips[3])
    assert counts[0] == len(TIMES) < counts[1] < counts[2]
    assert errors[2] < errors[0]
    hasty = injected(largest_slip=1e-9)
    state = injected().initial_state()
    with pytest.raises(ConvergenceError, match="is too long: the fault slides"):
        hasty.step(state, TIMES[-1])
    errorful = injected(slip_error=1e-9)
    with pytest.raises(ConvergenceError, match="the error of its sliding is about") as told:
        errorful.step(state, TIMES[-1])
    assert told.value.part < 0.5


def test_a_history_knows_onset_events_and_moments_of_faults_through_cells():
    problem = injected()
    history = FaultHistory(problem, slip=1e-5)
    history.add(problem.initial_state())
    march(problem.step, problem.initial_state(), TIMES, callback=history.add, progress=False)
    assert 0.0 < history.onset <= TIMES[-1]
    assert history.slip.shape == (len(TIMES) + 1, len(problem.sites.dx))
    assert history.pressure.shape == (len(TIMES) + 1, sum(len(fault.crack) for fault in problem.faults))
    assert history.outside == [0] * (len(TIMES) + 1)
    (event,) = history.events(rate=1e-12, fault=0, thickness=3.0)
    part, sites = problem.sites.parts[0], problem.sites
    slid = np.linalg.norm(
        history.fields[-1].separation[part, 1:] - history.fields[0].separation[part, 1:], axis=1
    )  # fmt: skip
    # all points slide in some step, so that the moment is that of the whole fault
    assert event.area == pytest.approx(3.0 * sites.dx[part].sum(), rel=1e-12)
    assert event.moment == pytest.approx(3.0 * 10e9 / 2.5 * (slid @ sites.dx[part]), rel=1e-9)
    np.testing.assert_allclose(history.leaked[-1], history.fields[-1].leak_off.sum(axis=1))
    assert history.leaked[-1, 0] == pytest.approx(2e-5, rel=0.05)


class Narrow(Law):
    """Friction without end that was trained to 0.02 mm of sliding."""

    separation_scale, most = 1e-3, 2e-5

    def __init__(self):
        self._law = femnn.ContactCohesive(1e12, friction=0.6)

    def __repr__(self):
        return "Narrow()"

    def _virgin(self, n):
        return self._law.initial_state(n).values

    def _update(self, separation, values):
        state = replace(self._law.initial_state(len(values)), values=values)
        response = self._law.update(separation, state)
        return response.traction, response.tangent, response.state.values

    def in_range(self, separation):
        return np.linalg.norm(separation[:, 1:], axis=1) <= self.most

    def how_far(self, separation):
        size = np.linalg.norm(separation[:, 1:], axis=1).max()
        return f"{size - self.most:.3g} m beyond" if size > self.most else ""


def test_points_out_of_range_are_told_and_may_end_the_run():
    problem = injected(law=Narrow())
    with pytest.warns(FemnnWarning, match=r"points of the fault have left the range .*m beyond\)") as told:
        state = march(problem.step, problem.initial_state(), TIMES, progress=False)
    assert len(told) == 1
    assert problem.outside(state) == sum(int(own.outside.sum()) for own in state.histories) > 0
    stopping = injected(law=Narrow(), on_outside="raise")
    with pytest.raises(OutsideRangeError, match=r"ends outside even with dt = .*train the law further out") as ended:
        march(stopping.step, stopping.initial_state(), TIMES, 0.01, progress=False)
    last = ended.value.x
    assert 0.5 * Narrow.most < max(own.slip.max() for own in stopping.fields(last)) <= 1.01 * Narrow.most
    assert stopping.outside(last) == 0


def test_a_pressure_beyond_the_least_compression_is_told_and_may_end_the_run():
    strong = {"law": femnn.ContactCohesive(1e12, friction=0.9), "rate": 3e-4}
    with pytest.warns(FemnnWarning, match="the pressure exceeds the (least )?compression of the"):
        march((one := injected(**strong)).step, one.initial_state(), TIMES[:3], progress=False)
    bounded = injected(on_fracture="raise", **strong)
    with pytest.raises(OutsideRangeError, match="lower the rate, or pass on_fracture='warn'") as stopped:
        march(bounded.step, bounded.initial_state(), TIMES, progress=False)
    assert 0.0 < stopped.value.t < TIMES[-1]
    assert np.linalg.eigvalsh(bounded.stress(stopped.value.x).transpose(2, 0, 1)).max() <= 0.0


def test_halves_that_move_apart_bring_no_stress_into_cut_cells():
    """Everything above the fault shifted as a rigid body: jumps take off what the vertices move."""
    problem = injected()
    start = problem.initial_state()
    rest = problem.stress(start)
    parts = problem._equations.parts
    jumps, u = np.zeros_like(start.jumps), np.zeros_like(start.u)
    mesh = problem.porous.displacement_basis.mesh
    for own, cut in zip(problem._equations.jumps, parts, strict=True):
        jumps[own].reshape(len(cut.channels), -1)[:, 1] = 1e-3
    first = parts[0].fault.crack
    shift = 1e-3 * parts[0].elements.frame[1]
    above = first.normal @ (mesh.p - first.centre[0][:, None]) > 0.0
    u.reshape(-1, 2)[above] = shift
    moved = problem.stress(replace(start, u=u, jumps=jumps))
    np.testing.assert_allclose(moved[:, :, first.elements], rest[:, :, first.elements], atol=1e-3)
