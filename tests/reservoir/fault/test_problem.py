"""A reservoir with a sealing fault: limits, known answers, balances, bad input."""

from itertools import pairwise
from xml.etree import ElementTree

import meshio
import numpy as np
import pytest
import skfem
from support.fault_problems import DAY, Brittle, Springs, blocks, conditions, damaged, rectangle, reservoir
from support.porous_problems import dual, sides, single

import femnn
from femnn.cohesive import ViscousCohesive
from femnn.exceptions import (
    ConvergenceError,
    FemnnWarning,
    MeshError,
    OutsideRangeError,
    ParameterError,
    StateError,
)
from femnn.reservoir import Conditions, PorousProblem, Schedule, Series, Well, march
from femnn.reservoir.fault import (
    ConstantCore,
    CrackedCore,
    Fault,
    FaultedReservoir,
    FaultHistory,
    FaultSeries,
    GranularCore,
    load_state,
    save_state,
)
from femnn.reservoir.fault.predictions import predicted_by

# on the plane of the fault, which dips with 0.4 m per m: 9 MPa of pressure, 4 MPa of shear
_AXES = np.array([[1.0, -0.4], [0.4, 1.0]]) / np.hypot(1.0, 0.4)
STRESS = _AXES.T @ np.array([[-9e6, -4e6], [-4e6, -9e6]]) @ _AXES
CRACKED = (CrackedCore(1e-18, 1.0, dilation=0.05), GranularCore(1e-6, 0.2, 0.5))


def slipping(**changed):
    """A reservoir whose fault has softened and slips on when the well feeds its left side."""
    law, history = damaged()
    wells = [Well((-8.0, 9.0), (2e-5, None))]
    given = {"law": law, "history": history, "stress": STRESS, "cores": CRACKED, "given": conditions(wells=wells)}
    return reservoir(**{**given, **changed})


def followed(problem, times, **options):
    """States at the times, the first one included."""
    states = [problem.initial_state()]
    march(problem.step, states[0], times, callback=lambda own: states.append(own), progress=False, **options)
    return states


CONDUCTING = (
    CrackedCore(1e-18, 1.0, dilation=0.05, along=1e-13, compressibility=1e-9),
    GranularCore(1e-6, 0.2, 0.5, along=3.0, compressibility=1e-9),
)


@pytest.mark.parametrize(("pressure", "cores"), [("mean", CRACKED), ("highest", CRACKED), ("highest", CONDUCTING)])
def test_tangent_is_the_derivative_of_the_residual(pressure, cores):
    problem = slipping(pressure=pressure, cores=cores)
    state = problem.step(problem.initial_state(), DAY)
    n_u, n = problem.porous.n_u, len(state.x)
    random = np.random.default_rng(1)
    size = np.where(np.arange(n) < n_u, 2e-4, 2e5)
    x = state.x + size * random.normal(size=n)
    tangent = problem.tangent(x, state, DAY)
    for _ in range(5):
        way = size * random.normal(size=n)
        found, h = tangent @ way, 1e-5
        difference = (problem.residual(x + h * way, state, DAY) - problem.residual(x - h * way, state, DAY)) / (2 * h)
        for part in (slice(None, n_u), slice(n_u, None)):
            np.testing.assert_allclose(found[part], difference[part], atol=1e-6 * np.abs(found[part]).max())


def test_a_fault_in_situ_is_at_rest_and_bears_the_stress_on_its_plane():
    problem = slipping()
    state = problem.initial_state()
    np.testing.assert_array_equal(problem.residual(state.x, state, DAY), problem.porous.residual(state.x, state, DAY))
    np.testing.assert_allclose(np.abs(problem.points.frames[:2, :, 0]), np.abs(_AXES))
    np.testing.assert_allclose(state.traction, np.tile([-9e6, -4e6, 0.0], (len(state.traction), 1)), rtol=1e-7)
    closed = reservoir(law=Springs(1e10, 5e6))
    np.testing.assert_array_equal(closed.initial_state().traction, np.tile([-5e6, 0.0, 0.0], (closed.points.points, 1)))
    quiet = FaultedReservoir(dual(), conditions(wells=()), closed.faults)
    state = quiet.step(quiet.initial_state(), DAY)
    assert not state.u.any()
    assert not state.p.any()


def test_a_stiff_open_fault_is_none():
    mesh = rectangle(dip=0.4)
    whole = PorousProblem(mesh, dual(), conditions())
    wanted = march(whole.step, whole.initial_state(), DAY * np.arange(1, 4), progress=False)
    differences = []
    for factor in (1.0, 10.0):
        core = ConstantCore(1e-10 * factor, 1.0)
        problem = reservoir(law=Springs(1e13 * factor), cores=(core, core), mesh=mesh)
        state = march(problem.step, problem.initial_state(), DAY * np.arange(1, 4), progress=False)
        place, found = problem.porous.pressure_basis.doflocs, []
        for own, basis, values in (
            (wanted.u[::2], whole.displacement_basis.doflocs[:, ::2], state.u[::2]),
            *((a, whole.pressure_basis.doflocs, b) for a, b in zip(wanted.p, state.p, strict=True)),
        ):
            split = problem.porous.displacement_basis.doflocs[:, ::2] if values is state.u[::2] else None
            split = place if len(values) == place.shape[1] else problem.porous.displacement_basis.doflocs[:, ::2]
            near = np.linalg.norm(split[:, :, None] - basis[:, None, :], axis=0)
            assert near.min(axis=1).max() < 1e-9
            found.append(np.abs(values - own[near.argmin(axis=1)]).max() / np.abs(own).max())
        differences.append(found)
    first, second = np.array(differences)
    assert first.max() < 1e-3
    # what is left vanishes with stiffness and transmissivity
    np.testing.assert_allclose(second, 0.1 * first, rtol=0.05)


def test_a_fault_without_permeability_seals():
    states = {}
    for permeability in (0.0, 1e-22, 1e-23):
        problem = reservoir(cores=(ConstantCore(permeability, 1.0),) * 2)
        states[permeability] = problem.step(problem.initial_state(), DAY)
    state = states[0.0]
    assert not state.leak_off.any()
    fields = problem.fields(state)
    # the well raises the pressure on its own side only; the other one is squeezed a little, but drained
    assert fields.pressure[0, 0].min() > 15.0 * np.abs(fields.pressure[1]).max() > 0.0
    more, less = (np.abs(states[k].p - state.p).max() for k in (1e-22, 1e-23))
    assert 0.0 < more < 1e-3 * np.abs(state.p).max()
    assert less == pytest.approx(0.1 * more, rel=0.01)
    sealed = reservoir(cores=None)
    np.testing.assert_array_equal(sealed.step(sealed.initial_state(), DAY).p, state.p)


def test_steady_leak_off_is_that_of_resistances_in_a_row():
    medium, core = single(), ConstantCore(1e-17, 0.5)
    given = Conditions(
        displacement={"left": (0.0, None), "right": (0.0, None), "bottom": (None, 0.0), "top": (None, 0.0)},
        pressure={"left": 1e6, "right": 0.0},
    )
    problem = reservoir(law=Springs(1e12), cores=core, medium=medium, mesh=rectangle(), given=given)
    state = march(problem.step, problem.initial_state(), 1e8 * np.arange(1, 4), progress=False)
    resistance = 1e-3 * (40.0 / 1e-14 + 0.5 / 1e-17)
    np.testing.assert_allclose(state.leak_off, 1e6 / resistance, rtol=1e-6)
    pressure = problem.fields(state).pressure[:, 0]
    np.testing.assert_allclose(pressure[0] - pressure[1], 1e6 / resistance * 1e-3 * 0.5 / 1e-17, rtol=1e-6)


def along_the_middle(core):
    """A fault from one end to the other of tight rock, 1 MPa at the left end."""
    mesh = sides(skfem.MeshQuad.init_tensor(np.linspace(0.0, 8.0, 9), np.linspace(-1.0, 1.0, 3)))
    on = np.flatnonzero(mesh.p[1, mesh.facets].mean(axis=0) == 0.0)
    mesh = mesh.with_boundaries({**mesh.boundaries, "fault": on})
    held = dict.fromkeys(("bottom", "top"), (0.0, 0.0))
    given = Conditions(displacement=held, pressure={"left": 1e6, "right": 0.0})
    medium = single(permeability=1e-24)
    return reservoir(law=Springs(1e11), cores=core, medium=medium, mesh=mesh, given=given)


def test_flow_along_a_fault_is_darcys():
    problem = along_the_middle(ConstantCore(1e-12, 0.01, along=1e-12))
    state = march(problem.step, problem.initial_state(), [1e9, 2e9, 3e9], progress=False)
    wanted = 1e-12 * 0.01 / 1e-3 * 1e6 / 8.0
    # the first shear direction may point either way
    np.testing.assert_allclose(np.abs(state.along), wanted, rtol=1e-4)
    balance = problem.balance(state, problem.step(state, 1e6))
    assert balance.through["left"][0] == pytest.approx(1e6 * wanted, rel=1e-3)
    assert not along_the_middle(ConstantCore(1e-12, 0.01)).initial_state().along.any()


def test_a_core_stores_what_its_pressure_presses_in():
    compressibility, thickness = 1e-9, 0.01
    core = ConstantCore(1e-12, thickness, along=1e-12, compressibility=compressibility)
    problem = along_the_middle(core)
    old = problem.initial_state()
    new = problem.step(old, 10.0)
    balance, pressure = problem.balance(old, new), problem.fields(new).pressure.mean(axis=0)[0]
    opened = problem.fields(new).separation[:, 0] @ problem.points.dx
    assert balance.opened[0] - opened == pytest.approx(compressibility * thickness * (pressure @ problem.points.dx))
    assert balance.error.max() < 1e-10


def test_conductance_of_cores_follows_their_formulas():
    change = np.array([[1e-4, 3e-4, 0.0], [-2e-4, 0.0, 0.0]])
    core = CrackedCore(1e-18, 0.5, opening=0.5, dilation=0.1, along=1e-15)
    assert CrackedCore(1e-18, 0.5).conductance(change, {}) is None
    np.testing.assert_allclose(core.conductance(change, {})[0], [5e-16 + 5e-5**3 / 12.0, 5e-16])
    grains = GranularCore(1e-4, 0.25, 2e-3, along=2.0)
    assert GranularCore(1e-4, 0.25, 2e-3).conductance(change, {}) is None
    thickness = 2e-3 + change[:, 0]
    np.testing.assert_allclose(
        grains.conductance(change, {})[0], 2.0 * grains.transmissivity(change, {})[0] * thickness**2
    )
    with pytest.raises(ParameterError, match="compressibility=-1"):
        ConstantCore(1e-18, 1.0, compressibility=-1.0)


@pytest.mark.parametrize(("pressure", "cores"), [("mean", CRACKED), ("highest", CRACKED), ("highest", CONDUCTING)])
def test_each_pore_system_keeps_its_mass_at_every_step(pressure, cores):
    problem = slipping(pressure=pressure, cores=cores)
    states = followed(problem, DAY * np.arange(1, 13))
    for old, new in pairwise(states):
        balance = problem.balance(old, new)
        assert (balance.error < 1e-10).all()
        supplied = balance.injected + balance.exchanged + balance.through["right"]
        np.testing.assert_allclose(balance.stored + balance.opened, supplied, rtol=1e-8)
        np.testing.assert_allclose(balance.leaked, new.leak_off @ problem.points.dx * (new.t - old.t))
    assert (balance.leaked > 0.0).all()
    # what the balance would miss: a volume that is not accounted for
    wrong = problem.initial_state()
    wrong = type(new)(new.t, new.u, 1.001 * new.p, new.history, new.traction, new.rate, new.leak_off, new.along)
    assert (problem.balance(old, wrong).error > 1e-6).all()


def test_injection_slips_the_fault_and_opens_it_to_the_fluid():
    problem = slipping()
    history = FaultHistory(problem, slip=0.015)
    march(problem.step, problem.initial_state(), DAY * np.arange(1, 31), callback=history.add, progress=False)
    worst = history.slip[-1].argmax()
    slip, traction = history.slip[:, worst], history.traction[:, worst]
    assert history.onset in history.times[1:-1]
    assert slip[-1] > 0.02
    assert (np.diff(slip) > 0.0).all()
    # pore pressure takes the compression away, and the cracked core lets more through
    assert (np.diff(traction[:, 0]) > 0.0).all()
    ratio = np.abs(traction[:, 1] / traction[:, 0])
    assert ratio[-1] > ratio[0]
    difference = np.ptp(history.pressure[:, :, 0, worst], axis=1)
    flow = np.array([own.leak_off[0, worst] for own in history.fields])
    assert flow[-1] / difference[-1] > 3.0 * flow[0] / difference[0]
    assert history.slip_rate[-1, worst] == pytest.approx((slip[-1] - slip[-2]) / DAY, rel=1e-6)
    assert history.outside == [0] * 30
    stopped = FaultHistory(problem, most=0.015)
    state = march(problem.step, problem.initial_state(), DAY * np.arange(1, 31), callback=stopped.add, progress=False)
    assert state.t == history.onset


@pytest.mark.filterwarnings("ignore:the pressure exceeds")
@pytest.mark.parametrize(("pressure", "side", "critical"), [
    ("mean", "both", 4e6), ("mean", "lower", 8e6), ("highest", "lower", 4e6), ("highest", "upper", 4e6)
])  # fmt: skip
def test_a_fault_under_dead_load_slips_at_coulombs_pressure(pressure, side, critical):
    # with friction 0.5: 10 − 3/0.5 = 4 MPa
    problem = blocks(femnn.ContactCohesive(1e11, friction=0.5), side, pressure)
    with pytest.raises(ConvergenceError, match="fails even with") as found:
        march(problem.step, problem.initial_state(), np.linspace(0.0, 1.1 * critical, 23)[1:], progress=False)
    assert found.value.t == pytest.approx(critical, rel=0.01)
    # total stress stays as it is, the effective one loses the pressure
    np.testing.assert_allclose(found.value.x.traction[:, 0], -10e6 + (4e6 / critical) * found.value.t, rtol=1e-2)


def test_a_viscous_fault_slides_on_beyond_coulombs_pressure():
    # what friction no longer bears, 0.5 (p − 4 MPa), the viscosity does
    viscosity = 1e13
    law = ViscousCohesive(femnn.ContactCohesive(1e11, friction=0.5), viscosity)
    problem, times = blocks(law, "both", "mean"), np.linspace(3.9e6, 4.4e6, 101)
    state = march(problem.step, problem.initial_state(), times, progress=False)
    assert problem.fields(state).slip.mean() == pytest.approx(0.25 * 0.4e6**2 / viscosity, rel=0.03)
    assert law.viscous_work(state.history).min() > 0.0


def test_steps_are_cut_to_the_slip_that_is_allowed_and_make_an_event():
    viscosity, times = 1e10, [3.9e6, 4.1e6, 4.2e6]
    law = ViscousCohesive(femnn.ContactCohesive(1e11, friction=0.5), viscosity)
    ends = {}
    for largest in (np.inf, 0.1):
        problem = blocks(law, "both", "mean")
        problem.largest_slip = largest
        history = FaultHistory(problem)
        state = problem.initial_state()
        history.add(state)
        march(problem.step, state, times, callback=history.add, progress=False)
        ends[largest] = history.slip[-1].mean() / (0.25 * 0.2e6**2 / viscosity)
    # implicit Euler takes the excess at the end of each of two long steps for all of it: 0.05 · 2 and 0.1 · 1
    assert ends[0.1] == pytest.approx(1.0, abs=0.1)
    assert ends[np.inf] == pytest.approx(2.0, abs=0.01)
    assert np.diff(history.slip.max(axis=1)).max() <= 0.1
    assert history.events(1.0) == []
    (event,) = history.events(1e-7)
    assert event.slip == pytest.approx(
        history.slip[-1].max() - history.slip[np.array(history.times) == event.start].max()
    )
    assert event.area == pytest.approx(4.0)
    modulus = problem.points.shear_modulus[0]
    assert event.moment == pytest.approx(4.0 * modulus * event.slip, rel=0.05)
    assert history.events(1e-7, thickness=1e3)[0].magnitude == pytest.approx(event.magnitude + 2.0)


def test_an_estimate_of_the_error_chooses_the_steps():
    # a viscous fault from Coulomb's pressure on: slip 0.25 (p − 4 MPa)²/η, and rest after that
    viscosity, tolerance = 1e10, 1e-3
    problem = blocks(ViscousCohesive(femnn.ContactCohesive(1e11, friction=0.5), viscosity), "both", "mean")
    problem.slip_error = tolerance
    history = FaultHistory(problem)
    history.add(problem.initial_state())
    times = [3e6, 4.2e6]
    march(
        problem.step, problem.initial_state(), times, callback=history.add, progress=False, is_easy=problem.is_easy,
        min_step=1.0,
    )  # fmt: skip
    assert history.slip[-1].mean() == pytest.approx(0.25 * 0.2e6**2 / viscosity, rel=0.05)
    spans = np.diff(history.times)
    # long ones as long as it sticks, a hundred times shorter when it slides
    assert spans.max() > 100.0 * spans.min()
    rates = history.slip_rate.max(axis=1)
    error = 0.5 * spans * np.abs(np.diff(rates))
    assert error.max() <= 1.001 * tolerance
    with pytest.raises(ConvergenceError, match=r"the error of its sliding is about .* allowed are 0\.001 m") as found:
        problem.step(problem.initial_state(), 4.2e6)
    assert 0.0 < found.value.part < 0.5


def test_what_falls_faster_than_the_rock_unloads_is_told_by_its_eigenvalue():
    # a crack under constant load that loses all its strength: softening slope over stiffness of the rock
    problem = blocks(femnn.ContactCohesive(1e11, friction=0.5), "both", "mean")
    state = problem.initial_state()
    assert problem.stability(state).negative == 0
    assert problem.stability(state).smallest > 0.0
    with pytest.raises(
        ConvergenceError, match=r"the relative residual is .* 1e-09 is asked for; the smallest eigenval"
    ):
        march(problem.step, state, [4.4e6], progress=False)


@pytest.mark.parametrize("slope", [0.5, 2.0])
def test_stability_of_a_softening_fault_is_that_of_two_springs(slope):
    class Softening(Springs):
        slope = 0.0

        def _update(self, separation, values):
            traction, tangent, values = super()._update(separation, values)
            tangent[:, 1, 1] = -self.slope
            return traction, tangent, values

    # a strip whose ends are held along the fault, so wide that it is sheared evenly
    mesh = sides(skfem.MeshQuad.init_tensor(np.linspace(0.0, 4.0, 3), np.linspace(-1.0, 1.0, 3)))
    mesh = mesh.with_boundaries(
        {**mesh.boundaries, "fault": np.flatnonzero(mesh.p[1, mesh.facets].mean(axis=0) == 0.0)}
    )
    law = Softening(1e18, 1e6)
    medium = single()
    held = (0.0, 0.0)
    given = Conditions(displacement={"bottom": held, "top": held, "left": (None, 0.0), "right": (None, 0.0)})
    problem = reservoir(law=law, cores=None, medium=medium, mesh=mesh, given=given)
    # each block is a spring G/1 m, one behind the other
    law.slope = slope * 0.5 * medium.mu[0]
    stability = problem.stability(problem.initial_state())
    assert (stability.negative > 0) == (slope > 1.0)
    # over that of the blocks bonded by G over the 2 m of a facet
    bonded = 0.5 + 0.5
    assert stability.smallest == pytest.approx(0.5 * (1.0 - slope) / bonded, abs=1e-6)


def test_a_pressure_beyond_the_least_compression_is_told_once_and_may_end_the_run():
    wells = [Well((-8.0, 9.0), (4e-4, None))]
    given = {"stress": STRESS, "law": femnn.ContactCohesive(1e11, friction=0.9), "given": conditions(wells=wells)}
    problem = reservoir(**given)
    with pytest.warns(FemnnWarning, match="the pressure exceeds the least compression of the rock in") as told:
        followed(problem, DAY * np.arange(1, 5))
    assert len(told) == 1
    assert np.linalg.eigvalsh(problem.stress(problem.initial_state()).transpose(2, 0, 1)).max() < 0.0
    np.testing.assert_allclose(problem.stress(problem.initial_state())[:, :, 0], STRESS)
    bounded = reservoir(on_fracture="raise", **given)
    wanted = r"least compression .* by 0\.\d+ MPa at .*lower the rate, or pass on_fracture='warn'"
    with pytest.raises(OutsideRangeError, match=wanted) as stopped:
        march(bounded.step, bounded.initial_state(), DAY * np.arange(1, 5), min_step=1.0, progress=False)
    # the step that would have ended beyond the fracture is cut: the run comes to its border
    last = stopped.value.x
    assert last.t > 0.0
    assert -1e5 < np.linalg.eigvalsh(bounded.stress(last).transpose(2, 0, 1)).max() <= 0.0
    with pytest.raises(ParameterError, match="no stress in situ"):
        reservoir().stress(reservoir().initial_state())


def test_laws_with_a_clock_start_with_the_state():
    law = ViscousCohesive(Springs(1e10, 5e6), 1e9)
    problem = reservoir(law=law)
    with pytest.raises(ParameterError, match="the state starts at t = 60 s, the fault's law at 0 s"):
        problem.initial_state(t=60.0)
    assert reservoir(law=ViscousCohesive(Springs(1e10, 5e6), 1e9, start=60.0)).initial_state(t=60.0).t == 60.0


def test_a_restart_with_another_law_is_refused(tmp_path):
    problem = reservoir()
    save_state(tmp_path / "own.npz", problem.initial_state())
    for other in (Springs(2e10, 5e6), ViscousCohesive(Springs(1e10, 5e6), 1e9)):
        with pytest.raises(StateError, match=r"does not fit: the state is of .* goes with the mesh and the law"):
            load_state(tmp_path / "own.npz", reservoir(law=other))


def shear_crack(cells):
    """Relative L2 error of the slip of a crack of half-length 1 in a body of 30 × 30 that is sheared."""
    line, step = np.linspace(0.0, 1.0, cells + 1), 1.0 / cells
    while line[-1] < 15.0:
        step *= 1.35
        line = np.append(line, line[-1] + step)
    line = np.concatenate([-line[:0:-1], line])
    mesh = sides(skfem.MeshQuad.init_tensor(line, line))
    on = (np.abs(mesh.p[1, mesh.facets]).max(axis=0) < 1e-9) & (np.abs(mesh.p[0, mesh.facets]).max(axis=0) < 1.01)
    mesh = mesh.with_boundaries({**mesh.boundaries, "fault": np.flatnonzero(on)})
    strain, medium = 1e-4, single()
    around = (lambda x, t: 0.5 * strain * x[1], lambda x, t: 0.5 * strain * x[0])
    given = Conditions(displacement=dict.fromkeys(("left", "right", "bottom", "top"), around), pressure={"left": 0.0})
    problem = reservoir(law=femnn.ContactCohesive(1e12), cores=None, medium=medium, mesh=mesh, given=given)
    # so slow that all pressure is gone
    state = problem.step(problem.initial_state(), 1e12)
    fields, dx = problem.fields(state), problem.points.dx
    # 4 (1 − ν²)/E τ √(1 − x²) with τ = strain · shear modulus
    exact = 2.0 * (1.0 - medium.poisson[0]) * strain * np.sqrt(np.maximum(1.0 - fields.x[0] ** 2, 0.0))
    assert np.abs(state.traction).max() < 1e-6 * strain * medium.mu[0]
    return np.sqrt(dx @ (np.abs(fields.separation[:, 1]) - exact) ** 2 / (dx @ exact**2))


def test_slip_of_a_fault_without_friction_is_that_of_a_shear_crack():
    coarse, fine = shear_crack(5), shear_crack(10)
    assert fine < 0.04
    # the tip is singular: first order
    assert 1.7 < coarse / fine < 2.3


def test_cores_follow_their_formulas():
    change = np.array([[1e-4, 3e-4, -4e-4], [-2e-4, 0.0, 2e-4], [2e-4, 1e-4, 0.0]])
    value = CrackedCore(1e-18, 0.5, spacing=2.0, opening=0.5, dilation=0.1).transmissivity(change, {})[0]
    # 0.1 mm of opening and 0.5 mm of sliding
    assert value[0] == pytest.approx((1e-18 + 1e-4**3 / 24.0) / 0.5)
    assert value[1] == pytest.approx((1e-18 + 2e-5**3 / 24.0) / 0.5)
    core = GranularCore(1e-4, 0.25, 2e-3)
    porosity = 1.0 - 0.75 * 2e-3 / 2.1e-3
    kozeny = 1e-8 * porosity**3 / (180.0 * (1.0 - porosity) ** 2)
    assert core.transmissivity(change, {})[0][0] == pytest.approx(kozeny / 2.1e-3)
    predicted = {"porosity": (np.full(3, 0.3), np.zeros((3, 3)))}
    assert core.transmissivity(change, predicted)[0][1] == pytest.approx(1e-8 * 0.027 / 180.0 / 0.49 / 1.8e-3)
    assert ConstantCore(1e-18, 0.5).transmissivity(change, {})[0].tolist() == [2e-18] * 3
    for own in (core, CrackedCore(1e-18, 0.5, dilation=0.1), ConstantCore(1e-18, 1.0)):
        slope = own.transmissivity(change, {})[1]
        for j, h in enumerate(1e-9 * np.eye(3)):
            ahead, behind = (own.transmissivity(change + sign * h, {})[0] for sign in (1, -1))
            np.testing.assert_allclose(slope[:, j], (ahead - behind) / 2e-9, rtol=1e-5, atol=1e-6 * np.abs(slope).max())


def test_what_a_law_predicts_reaches_the_core():
    class Porous(Springs):
        """Predicts a porosity that grows with opening and sliding."""

        class microstructure:
            predicted = ("coordination", "porosity")

        def predict_microstructure(self, separation, state):
            porosity = 0.2 + 50.0 * separation[:, 0] + 20.0 * separation[:, 1] ** 2
            return np.stack([np.full(len(separation), 6.0), porosity], axis=1)

    law = Porous(1e10, 5e6)
    problem = reservoir(law=law, cores=(GranularCore(1e-6, 0.5, 1.0), None))
    state = problem.initial_state()
    history = state.history
    assert predicted_by(law, problem.points.separation, history, history)["porosity"][0][0] == 0.2
    new = problem.step(state, DAY)
    fields = problem.fields(new)
    opening, sliding = fields.separation[:, 0], fields.separation[:, 1]
    porosity = 0.2 + 50.0 * opening + 20.0 * sliding**2
    permeability = 1e-12 * porosity**3 / (180.0 * (1.0 - porosity) ** 2)
    flow = permeability / (1e-3 * (1.0 + opening)) * (fields.pressure[0, 0] - fields.pressure[1, 0])
    np.testing.assert_allclose(new.leak_off[0], flow, rtol=1e-9)
    assert problem.iterations <= 6


def test_a_step_that_fails_is_cut_and_leaves_the_state_as_it_was():
    problem = reservoir(law=Brittle(1e9, 1.2e-4))
    state = problem.initial_state()
    with pytest.raises(ConvergenceError, match="no answer on the way"):
        problem.step(state, 8 * DAY)
    assert not state.u.any()
    reached = []
    march(problem.step, state, [8 * DAY], callback=lambda own: reached.append(own.t), progress=False)
    assert reached[-1] == 8 * DAY
    assert len(reached) > 2
    with pytest.raises(ConvergenceError, match="fails even with dt") as found:
        march(reservoir(law=Brittle(1e9, 1e-9)).step, state, [DAY], progress=False)
    assert found.value.x is state
    unfinished = slipping(max_iterations=1)
    with pytest.raises(ConvergenceError, match="did not converge: after 1 iterations"):
        unfinished.step(unfinished.initial_state(), DAY)


def test_a_run_goes_on_from_its_restart_file_as_if_it_had_not_stopped(tmp_path):
    times, path = DAY * np.arange(1, 9), tmp_path / "restart.npz"
    whole = followed(slipping(), times)[-1]
    first = slipping()
    stopped = march(first.step, first.initial_state(), times[:4], progress=False)
    save_state(path, stopped)
    again = slipping()
    kept = load_state(path, again)
    assert np.abs(stopped.leak_off).max() > 0.0
    assert stopped.history.values.any()
    for name in ("t", "u", "p", "traction", "rate", "leak_off"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(stopped, name))
    for name in ("values", "outside"):
        np.testing.assert_array_equal(getattr(kept.history, name), getattr(stopped.history, name))
    state = march(again.step, kept, times, progress=False)
    for name in ("u", "p", "traction", "rate", "leak_off"):
        np.testing.assert_array_equal(getattr(state, name), getattr(whole, name))
    np.testing.assert_array_equal(state.history.values, whole.history.values)
    with pytest.raises(StateError, match="does not fit: the state is of 12 points of Bilinear"):
        load_state(path, reservoir())
    with pytest.raises(StateError, match=r"does not fit: the state has \d+ displacements"):
        load_state(path, slipping(medium=single(), cores=None, given=conditions(wells=())))
    with pytest.raises(StateError, match="does not fit"):
        load_state(path, slipping(mesh=rectangle(ny=6)))
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(StateError, match="no whole restart file"):
        load_state(path, again)
    with pytest.raises(StateError, match="of no fault"):
        again.step(again.porous.initial_state(), DAY)


@pytest.mark.parametrize("suffix", ["pvd", "xdmf"])
def test_series_of_reservoir_and_fault(tmp_path, suffix):
    problem = slipping()
    series = Series(tmp_path / f"body.{suffix}", problem.porous), FaultSeries(tmp_path / f"fault.{suffix}", problem)
    states = followed(problem, DAY * np.arange(1, 4))
    for state in states[1:3]:
        for own in series:
            own.write(state)
    # a run that went on from the second state writes the third
    series = (
        Series(tmp_path / f"body.{suffix}", problem.porous, start=states[2].t),
        FaultSeries(tmp_path / f"fault.{suffix}", problem, start=states[2].t),
    )
    for own in series:
        own.write(states[3])
    for name in ("body", "fault"):
        if suffix == "pvd":
            found = list(ElementTree.parse(tmp_path / f"{name}.pvd").iter("DataSet"))
            times = [float(own.get("timestep")) for own in found]
            mesh = meshio.read(tmp_path / found[-1].get("file"))
            data, cells = {key: own[0] for key, own in mesh.cell_data.items()}, mesh.cells
        else:
            with meshio.xdmf.TimeSeriesReader(tmp_path / f"{name}.xdmf") as reader:
                _, cells = reader.read_points_cells()
                read = [reader.read_data(k) for k in range(reader.num_steps)]
                times, data = [float(own[0]) for own in read], {key: own[0] for key, own in read[-1][2].items()}
        np.testing.assert_allclose(times, DAY * np.arange(1, 4))
        assert cells[0].type == {"body": "quad", "fault": "line"}[name]
    fields = problem.fields(states[3])
    assert len(cells[0].data) == len(problem.points.interface)
    simpson = np.array([1.0, 4.0, 1.0]) / 6.0
    np.testing.assert_allclose(data["traction"], np.einsum("q,nqi->ni", simpson, fields.traction.reshape(-1, 3, 3)))
    np.testing.assert_allclose(data["pressure_minus_macro"], fields.pressure[0, 0].reshape(-1, 3) @ simpson)
    assert set(data) == {
        "separation", "rate", "traction", "pressure_minus_macro", "pressure_minus_micro", "pressure_plus_macro",
        "pressure_plus_micro", "leak_off_macro", "leak_off_micro", "flow_along_macro", "flow_along_micro",
        "slip_tendency", "damage", "outside",
    }  # fmt: skip


def test_points_outside_the_trained_range_are_flagged_counted_and_may_stop_the_run(tmp_path):
    class Narrow(Springs):
        """Was trained to 0.04 mm."""

        def in_range(self, separation):
            return np.linalg.norm(separation, axis=1) <= 4e-5

        def how_far(self, separation):
            sizes = np.linalg.norm(separation, axis=1)
            return f"farthest is point {sizes.argmax()}: {sizes.max():.3g}" if sizes.max() > 4e-5 else ""

    problem = reservoir(law=Narrow(1e10, 5e6))
    history = FaultHistory(problem)
    times = DAY * np.arange(1, 6)
    with pytest.warns(FemnnWarning, match=r"points of the fault have left the range .* \(farthest is point") as warned:
        state = march(problem.step, problem.initial_state(), times, callback=history.add, progress=False)
    # once a run, though more points leave it later
    assert len(warned) == 1
    assert history.outside[0] == 0 < history.outside[-1] == state.history.outside.sum()
    FaultSeries(tmp_path / "fault.pvd", problem).write(state)
    assert meshio.read(tmp_path / "fault-0000.vtu").cell_data["outside"][0].max() > 0.0
    stopping = reservoir(law=Narrow(1e10, 5e6), on_outside="raise")
    wanted = r"ends outside even with dt = .* that Springs\(.*\) was trained in at t = .*train the law further out"
    with pytest.raises(OutsideRangeError, match=wanted) as ended:
        march(stopping.step, stopping.initial_state(), times, progress=False)
    # to the last state inside, nearer to the border than a hundredth
    last = ended.value.x
    largest = np.linalg.norm(stopping.fields(last).separation, axis=1).max()
    assert 0.99 * 4e-5 < largest <= 4e-5
    assert ended.value.t == last.t < times[-1]
    assert stopping.outside(last) == 0


def test_bad_input_is_refused():
    with pytest.raises(MeshError, match="no boundary 'fault'"):
        femnn.Interface.split(sides(skfem.MeshQuad()), "fault")
    with pytest.raises(ParameterError, match="one core for each pore system"):
        reservoir(cores=ConstantCore(1e-18, 1.0))
    with pytest.raises(ParameterError, match="pressure='median'"):
        reservoir(pressure="median")
    law, path = damaged()
    with pytest.raises(ParameterError, match="pulls the fault open"):
        reservoir(law=law, stress=-STRESS)
    with pytest.raises(ParameterError, match="would slip or open by itself"):
        reservoir(law=law, history=path, stress=np.array([[-8e6, 20e6], [20e6, -14e6]]))
    with pytest.raises(ParameterError, match="not finite or not symmetric"):
        reservoir(law=law, stress=np.array([[-8e6, 1e6], [0.0, -14e6]]))
    with pytest.raises(ParameterError, match=r"stress in situ has shape \(3,\)"):
        reservoir(law=law, stress=np.zeros(3))
    with pytest.raises(ParameterError, match=r"the history has shape \(2,\)"):
        reservoir(law=law, history=np.zeros(2))
    with pytest.raises(ParameterError, match="max_iterations=0"):
        reservoir(max_iterations=0)
    with pytest.raises(ParameterError, match="on_outside='never'"):
        reservoir(on_outside="never")
    with pytest.raises(ParameterError, match="time step is 0"):
        reservoir().step(reservoir().initial_state(), 0.0)
    with pytest.raises(ParameterError, match=r"porosity is 1\.2"):
        GranularCore(1e-4, 1.2, 1e-3)
    with pytest.raises(ParameterError, match="thickness=0"):
        ConstantCore(1e-18, 0.0)
    with pytest.raises(ParameterError, match=r"suffix '\.vtk'"):
        Series("body.vtk", reservoir().porous)
    with pytest.raises(MeshError, match="outside the mesh"):
        reservoir(given=conditions(wells=[Well((100.0, 0.0), (1e-6, None))]))


def test_what_is_no_part_of_a_fault_is_refused():
    interface = femnn.Interface.split(rectangle(dip=0.4), "fault")
    law, right = Springs(1e10, 5e6), ([[0.0, 1.0]], [0.5, 0.5])
    assert Fault(interface, law, quadrature=right).quadrature[1].shape == (2,)
    for arguments, says in (
        ({"interface": np.eye(3), "law": law}, "interface"),
        ({"interface": interface, "law": "springs"}, "law"),
        ({"interface": interface, "law": law, "quadrature": 3}, "quadrature"),
        ({"interface": interface, "law": law, "quadrature": ([[0.5]], [0.5, 0.5])}, "quadrature has points"),
    ):
        with pytest.raises(ParameterError, match=says):
            Fault(**arguments)


def test_states_of_another_problem_are_refused():
    column = PorousProblem(rectangle(dip=0.4), single(), Conditions(displacement={"bottom": (0.0, 0.0)}))
    own, other = column.initial_state(), reservoir().initial_state()
    with pytest.raises(StateError, match="a state goes with the mesh"):
        column.balance(own, other)
    with pytest.raises(ParameterError, match="p has shape"):
        column.volumes(own.u, own.p.ravel()[:-1], own, 1.0)
    with pytest.raises(ParameterError, match="the time t of state"):
        march(column.step, [1.0], [2.0], progress=False)


def test_a_well_that_holds_a_pressure_keeps_the_balance_and_may_not_lift_the_overburden():
    plan = Schedule([(0.0, 2 * DAY, 3e6), (3 * DAY, 4 * DAY, 40e6)])
    wells = [Well((-8.0, 9.0), pressure=(plan, None))]
    problem = slipping(given=conditions(wells=wells))
    states = followed(problem, DAY * np.arange(1, 4))
    for old, new in pairwise(states):
        assert problem.balance(old, new).error.max() < 1e-9
    rates = [problem.porous.well_rates(state)[0] for state in states[1:]]
    assert rates[0][0] > rates[1][0] > 0.0
    assert not np.array(rates)[:, 1].any()
    assert rates[2][0] == 0.0
    with pytest.raises(ParameterError, match=r"the well at \[-8.0, 9.0\] holds 40 MPa .* the overburden is only"):
        problem.step(states[-1], DAY)
