"""Faults through cells that carry fluid: flow along them and into the rock, and the same fault along facets."""

from itertools import pairwise

import numpy as np
import pytest
import skfem
from scipy.special import erfc

import femnn
from femnn.exceptions import ConvergenceError, MeshError, ParameterError, StateError
from femnn.interfaces import EmbeddedCrack
from femnn.reservoir import Conditions, DualPorousMedium, PorousMedium, Well, march
from femnn.reservoir.fault import (
    ConstantCore,
    CrackedCore,
    EmbeddedFault,
    EmbeddedReservoir,
    Fault,
    FaultedReservoir,
)

ROCK = {"young": 10e9, "poisson": 0.25}
CLOSED = femnn.ContactCohesive(1e13, friction=0.6)


def strip(x, y):
    """Rectangles with named sides."""
    mesh = skfem.MeshQuad.init_tensor(x, y)
    return mesh.with_boundaries({
        "left": lambda p: p[0] == x[0], "right": lambda p: p[0] == x[-1],
        "bottom": lambda p: np.isclose(p[1], y[0]), "top": lambda p: np.isclose(p[1], y[-1]),
    })  # fmt: skip


HELD = {"left": (0.0, 0.0), "right": (0.0, 0.0), "bottom": (0.0, 0.0), "top": (0.0, 0.0)}


@pytest.mark.parametrize("height", [0.5, 0.41, 0.62])
def test_steady_flow_out_of_a_fault_is_exact_wherever_it_cuts_its_cells(height):
    """Two slabs of rock beside a fault that is fed alike everywhere, and the skin of its core."""
    mesh = strip(np.linspace(0.0, 1.0, 5), np.linspace(0.0, 1.0, 4))
    crack, rate, permeability, core = EmbeddedCrack.line(mesh, (-1.0, height), (2.0, height)), 1e-6, 1e-14, 4e-13
    wells = [Well(centre, rate=rate * area) for centre, area in zip(crack.centre, crack.dx.sum(axis=1), strict=True)]
    fault = EmbeddedFault(crack, CLOSED, ConstantCore(core, 1.0), wells=wells)
    conditions = Conditions(displacement=HELD, pressure={"bottom": 0.0, "top": 0.0})
    reservoir = EmbeddedReservoir(PorousMedium(permeability=permeability, **ROCK), conditions, fault)
    state = reservoir.step(reservoir.initial_state(), 1e12)
    mobility = permeability / 1e-3
    around = rate / (mobility / height + mobility / (1.0 - height))
    skin = 0.25 * rate / (core / 1e-3)
    np.testing.assert_allclose(state.fault_pressure, around + skin, rtol=1e-4)
    np.testing.assert_allclose(state.leak_off, rate * crack.dx.sum(axis=1)[None], rtol=1e-9)


def along(n, *, slope=0.3, permeability=0.0, core=None, last=100.0):
    """A fault that goes up through rows of rock, held at a pressure at its lower end."""
    mesh = strip(np.linspace(0.0, 10.0, n + 1), np.linspace(0.0, 5.0, n // 2 + 1))
    crack = EmbeddedCrack.line(mesh, (-1.0, 0.513 - slope), (11.0, 0.513 + 11.0 * slope))
    first = int(crack.centre[:, 0].argmin())
    well = Well(crack.centre[first], pressure=1e5, well_index=1.0)
    fault = EmbeddedFault(crack, CLOSED, core, wells=[well], stress=-1e7 * np.eye(2))
    medium = PorousMedium(permeability=permeability, biot=0.05, porosity=0.02, **ROCK)
    reservoir = EmbeddedReservoir(medium, Conditions(displacement=HELD), fault)
    state = march(reservoir.step, reservoir.initial_state(), np.linspace(0.0, last, 101)[1:], progress=False)
    return np.linalg.norm(crack.centre - crack.centre[first], axis=1), state.fault_pressure


def test_pressure_spreads_along_a_fault_in_tight_rock_as_it_diffuses():
    # diffusivity k/(viscosity · compressibility) = 0.02 m²/s
    core = ConstantCore(1e-12, 0.1, along=1e-12, compressibility=5e-8)
    errors = []
    for n in (20, 40):
        distance, pressure = along(n, core=core)
        exact = 1e5 * erfc(distance / np.sqrt(4.0 * 0.02 * 100.0))
        errors.append(np.abs(pressure - exact).max() / 1e5)
    assert errors[1] < 0.01


def test_a_conducting_fault_that_leaks_is_a_fin():
    """p'' = m² p with m² = 2 k/(H k_∥ a), for rock so thin that fluid leaves it straight."""
    half, length, permeability, conducted = 0.1, 4.0, 1e-15, 1e-13
    errors = []
    for n in (20, 40):
        mesh = strip(np.linspace(0.0, length, n + 1), np.linspace(-half, half, 4))
        crack = EmbeddedCrack.line(mesh, (-1.0, 0.011), (5.0, 0.011))
        first = int(crack.centre[:, 0].argmin())
        well = Well(crack.centre[first], pressure=1e5, well_index=1.0)
        fault = EmbeddedFault(
            crack, CLOSED, ConstantCore(1e-6, 0.1, along=conducted / 0.1), wells=[well], stress=-1e7 * np.eye(2)
        )
        conditions = Conditions(displacement=HELD, pressure={"bottom": 0.0, "top": 0.0})
        medium = PorousMedium(permeability=np.diag([1e-25, permeability]), **ROCK)
        state = (reservoir := EmbeddedReservoir(medium, conditions, fault)).step(reservoir.initial_state(), 1e12)
        x = crack.centre[:, 0] - crack.centre[first, 0]
        rate = np.sqrt(permeability * (1.0 / (half - 0.011) + 1.0 / (half + 0.011)) / conducted)
        # its closed end is half a cell behind the middle of the last one
        end = length - crack.centre[first, 0]
        exact = 1e5 * np.cosh(rate * (end - x)) / np.cosh(rate * end)
        errors.append(np.abs(state.fault_pressure - exact).max() / 1e5)
    assert errors[1] < 0.01
    assert errors[1] < 0.35 * errors[0]


def conforming(n, fluid, *, embedded):
    """A fault of friction in the middle of a sheared block, fed in its middle: places, slip and pressure along it.

    The rows of cells follow it, or have it in their middle.
    """
    x, y = np.linspace(0.0, 100.0, n + 1), np.linspace(0.0, 100.0, n + (2 if embedded else 1))
    mesh = strip(x, y)
    law = femnn.ContactCohesive(1e12, friction=0.6)
    core = ConstantCore(1e-12, 0.1, along=fluid, compressibility=1e-9)
    stress = np.array([[-10e6, 5.9e6], [5.9e6, -10e6]])
    medium = PorousMedium(permeability=2e-15, **ROCK)
    ends = 100.0 * np.array([0.1, 0.9])
    conditions = {"displacement": HELD, "pressure": {"bottom": 0.0, "top": 0.0}}
    times, rate = np.linspace(0.0, 86400.0, 13)[1:], 2e-5
    if embedded:
        crack = EmbeddedCrack.line(mesh, (ends[0] - 1.0, 50.0), (ends[1] + 1.0, 50.0))
        middle = np.abs(crack.centre[:, 0] - 50.0) < 0.6 * x[1]
        wells = [Well(centre, rate=0.5 * rate) for centre in crack.centre[middle]]
        fault = EmbeddedFault(crack, law, core, stress=stress, wells=wells)
        reservoir = EmbeddedReservoir(medium, Conditions(**conditions), fault)
    else:
        named = {"fault": lambda p: (p[1] == 50.0) & (np.abs(p[0] - 50.0) < 40.0)}
        mesh = mesh.with_boundaries(named, boundaries_only=False)
        # beside the fault, as wells must not be in it
        wells = [Well((50.0, 50.0 + side * 1e-3), rate=0.5 * rate) for side in (-1.0, 1.0)]
        fault = Fault(femnn.Interface.split(mesh, "fault"), law, core, stress=stress, pressure="mean")
        reservoir = FaultedReservoir(medium, Conditions(wells=wells, **conditions), fault, element=skfem.ElementQuad1())
    state = march(reservoir.step, reservoir.initial_state(), times, progress=False)
    if embedded:
        (fields,) = reservoir.fields(state)
        return fields.x[0], fields.slip, fields.centre[0], fields.pressure
    fields = reservoir.fields(state)
    return fields.x[0], fields.slip, fields.x[0], fields.pressure.mean(axis=(0, 1))


def test_a_fault_through_cells_slips_and_conducts_as_one_along_facets():
    at, middle = np.linspace(15.0, 85.0, 15), {}
    for n in (20, 32):
        wanted, found = (conforming(n, 1e-10, embedded=embedded) for embedded in (False, True))
        for k, name, most in ((2, "pressure", 0.4 / n), (0, "slip", 4.5 / n)):
            exact, value = (np.interp(at, np.sort(own[k]), own[k + 1][np.argsort(own[k])]) for own in (wanted, found))
            assert np.abs(value - exact).max() < most * exact.max()
            middle[n, name] = np.array([exact[7], value[7]])
    for name in ("pressure", "slip"):
        # what is of first order in the size of the cells goes out, as the tips make it
        exact, value = (32.0 * middle[32, name] - 20.0 * middle[20, name]) / 12.0
        assert value == pytest.approx(exact, rel=0.01)


MEDIA = {
    "single": PorousMedium(permeability=1e-14, biot=0.8, **ROCK),
    "dual": DualPorousMedium(
        permeability=1e-14, biot=0.8, macro_fraction=0.3, micro_permeability=1e-16, exchange=1e-15, **ROCK
    ),
}


def skewed(dim, medium, core, law, **kw):
    """A fault with its tips inside a body of irregular cells, fed at a rate; the body is closed."""
    line, kind = np.linspace(0.0, 1.0, 7 if dim == 2 else 5), skfem.MeshQuad if dim == 2 else skfem.MeshHex
    mesh = kind.init_tensor(*[line] * dim)
    inner = ((mesh.p > 0.0) & (mesh.p < 1.0)).all(axis=0)
    p = mesh.p.copy()
    p[:, inner] += 0.02 * np.random.default_rng(3).uniform(-1.0, 1.0, (dim, inner.sum()))
    mesh = kind(p, mesh.t).with_boundaries({"bottom": lambda x: x[-1] == 0.0})
    if dim == 2:
        crack = EmbeddedCrack.line(mesh, (0.1, 0.27), (0.93, 0.69))
    else:
        crack = EmbeddedCrack.plane(
            mesh, (0.5, 0.51, 0.46), (0.3, 0.1, 1.0), within=lambda x: np.abs(x[:2] - 0.5).max(axis=0) < 0.3
        )
    wells = [Well(crack.centre[len(crack) // 2], rate=lambda x, t: 1e-7 * (1.0 + 0.0 * x[0]))]
    fault = EmbeddedFault(crack, law, core, stress=-2e6 * np.eye(dim) + 6e5 * (np.eye(dim)[::-1]), wells=wells, **kw)
    conditions = Conditions(displacement={"bottom": (0.0,) * dim})
    return EmbeddedReservoir(MEDIA[medium], conditions, fault)


CASES = [(2, "single"), (2, "dual"), (3, "single")]


@pytest.mark.parametrize(("dim", "medium"), CASES)
def test_tangent_is_the_derivative_of_the_residual(dim, medium):
    law = femnn.BilinearCohesive(4e6, 5e6, 4e3, 5e3, friction=0.4, stiffness=5e10)
    reservoir = skewed(dim, medium, CrackedCore(1e-13, 0.01, along=1e-11, compressibility=1e-9), law)
    start = reservoir.initial_state()
    random, systems = np.random.default_rng(7), len(reservoir.systems)
    fluid = systems * reservoir.porous.pressure_basis.N + len(start.fault_pressure)
    scale = np.concatenate([np.full(len(start.x) - fluid, 1e-4), np.full(fluid, 1e5)])
    # the layout of the unknowns: displacements and jumps come before the pressures
    x, way, h = start.x + scale * random.normal(size=len(scale)), scale * random.normal(size=len(scale)), 1e-6
    ends = [reservoir.residual(x + sign * h * way, start, 60.0) for sign in (1.0, -1.0)]
    difference = (ends[0] - ends[1]) / (2.0 * h)
    found = reservoir.tangent(x, start, 60.0) @ way
    for part in (slice(0, len(start.x) - fluid), slice(len(start.x) - fluid, None)):
        np.testing.assert_allclose(found[part], difference[part], atol=1e-6 * np.abs(difference[part]).max())


@pytest.mark.filterwarnings("ignore:the pressure exceeds the least compression")
@pytest.mark.parametrize(("dim", "medium"), CASES)
def test_no_fluid_gets_lost_while_a_fault_slips_and_opens(dim, medium):
    core = CrackedCore(1e-13, 0.01, along=1e-11, compressibility=1e-9)
    reservoir = skewed(dim, medium, core, femnn.ContactCohesive(1e10, friction=0.5))
    states = [reservoir.initial_state()]
    march(reservoir.step, states[0], 600.0 * np.arange(1, 7), callback=states.append, progress=False)
    stored = 0.0
    for old, new in pairwise(states):
        balance = reservoir.balance(old, new)
        assert balance.error.max() < 1e-10
        np.testing.assert_allclose(balance.fed, 1e-7 * (new.t - old.t), rtol=1e-12)
        stored += balance.stored.sum() + balance.opened
    # the body is closed: all that was fed is in the pores or in the fault
    np.testing.assert_allclose(stored, 1e-7 * 3600.0, rtol=1e-9)
    (fields,) = reservoir.fields(states[-1])
    assert fields.slip.max() > 1e-7
    assert fields.separation[:, 0].max() > 1e-6
    assert fields.leak_off.shape == (len(reservoir.systems), len(fields.pressure))


@pytest.mark.parametrize("dim", [2, 3])
def test_pressure_alike_in_rock_and_fault_is_borne_by_the_rock(dim):
    """A body held all around whose fluid is pressed everywhere: no motion but that of the springs of the faces."""
    reservoir = skewed(dim, "single", ConstantCore(1e-13, 0.01, along=1e-11), CLOSED)
    state, equal = reservoir.initial_state(), 1e5
    n_p = reservoir.porous.pressure_basis.N + len(state.fault_pressure)
    x = np.concatenate([np.zeros(len(state.x) - n_p), np.full(n_p, equal)])
    out = reservoir.residual(x, state, 60.0)
    crack = reservoir.faults[0].crack
    begin, jumps = len(state.u), len(state.jumps)
    normal = out[begin : begin + jumps].reshape(len(crack), -1)[:, 0]
    # the fluid of the fault presses with p, that of the pores with biot · p
    np.testing.assert_allclose(normal, -(1.0 - 0.8) * equal * crack.dx.sum(axis=1), rtol=1e-9)


def test_faults_that_are_apart_do_not_feel_each_other_and_wells_feed_their_own():
    mesh = strip(np.linspace(0.0, 1.0, 10), np.linspace(0.0, 1.0, 10))
    conditions = Conditions(displacement=HELD, pressure={"left": 0.0, "right": 0.0})
    medium, core = PorousMedium(permeability=1e-14, **ROCK), ConstantCore(1e-13, 0.01, along=1e-9)
    cracks = [EmbeddedCrack.line(mesh, (0.2, y), (0.8, y + 0.011)) for y in (0.29, 0.72)]
    faults = [
        EmbeddedFault(crack, CLOSED, core, stress=-1e7 * np.eye(2), wells=wells)
        for crack, wells in zip(cracks, ([Well(cracks[0].centre[1], rate=1e-7)], []), strict=True)
    ]
    reservoir = EmbeddedReservoir(medium, conditions, faults)
    first, second = reservoir.fields(reservoir.step(reservoir.initial_state(), 10.0))
    assert first.pressure.min() > 2.0 * np.abs(second.pressure).max()
    swapped = EmbeddedReservoir(medium, conditions, faults[::-1])
    third, fourth = swapped.fields(swapped.step(swapped.initial_state(), 10.0))
    np.testing.assert_allclose(fourth.pressure, first.pressure, rtol=1e-9)
    np.testing.assert_allclose(third.pressure, second.pressure, atol=1e-9 * first.pressure.max())


def test_bad_embedded_faults_are_refused():
    mesh = strip(np.linspace(0.0, 1.0, 5), np.linspace(0.0, 1.0, 5))
    crack, core = EmbeddedCrack.line(mesh, (-1.0, 0.4), (2.0, 0.45)), ConstantCore(1e-13, 0.01, along=1e-9)
    medium, conditions = PorousMedium(permeability=1e-14, **ROCK), Conditions(displacement=HELD)
    with pytest.raises(MeshError, match="cuts no element through"):
        EmbeddedCrack.line(mesh, (2.1, 0.1), (3.1, 0.2))
    with pytest.raises(ParameterError, match="the core of an embedded fault is None"):
        EmbeddedFault(crack, CLOSED, None)
    with pytest.raises(ParameterError, match="pass a EmbeddedCrack"):
        EmbeddedFault(mesh, CLOSED, core)
    off = EmbeddedFault(crack, CLOSED, core, wells=[Well((0.5, 0.9), rate=1e-7)])
    with pytest.raises(ParameterError, match=r"well of the fault is at \[0\.5, 0\.9\]"):
        EmbeddedReservoir(medium, conditions, off)
    idle = EmbeddedFault(crack, CLOSED, core, wells=[Well(crack.centre[0])])
    with pytest.raises(ParameterError, match="give one of the two"):
        EmbeddedReservoir(medium, conditions, idle)
    other = EmbeddedCrack.line(mesh, (0.4, -1.0), (0.45, 2.0))
    with pytest.raises(ParameterError, match="1 cells are cut by two faults"):
        EmbeddedReservoir(medium, conditions, [EmbeddedFault(own, CLOSED, core) for own in (crack, other)])
    with pytest.raises(ParameterError, match="there is no fault"):
        EmbeddedReservoir(medium, conditions, [])
    reservoir = EmbeddedReservoir(medium, conditions, EmbeddedFault(crack, CLOSED, core))
    finer = EmbeddedCrack.line(mesh, (0.1, 0.4), (0.9, 0.45))
    with pytest.raises(StateError, match="goes with the mesh"):
        reservoir.step(EmbeddedReservoir(medium, conditions, EmbeddedFault(finer, CLOSED, core)).initial_state(), 1.0)
    hasty = EmbeddedFault(crack, CLOSED, core, wells=[Well(crack.centre[0], rate=1e-3)], stress=-1e5 * np.eye(2))
    with pytest.raises(ConvergenceError, match="take a shorter step"):
        (one := EmbeddedReservoir(medium, conditions, hasty, max_iterations=1)).step(one.initial_state(), 100.0)


def test_a_cut_that_leaves_no_room_for_a_pressure_is_refused():
    mesh = strip(np.linspace(0.0, 1.0, 5), np.linspace(0.0, 1.0, 5))
    # close by a corner of a cell
    crack = EmbeddedCrack.line(mesh, (0.0, 0.25 + 0.5 + 1e-5), (1.0, 0.25 - 0.5 + 1e-5))
    fault = EmbeddedFault(crack, CLOSED, ConstantCore(1e-13, 0.01, along=1e-9))
    with pytest.raises(MeshError, match="hardly anything"):
        EmbeddedReservoir(PorousMedium(permeability=1e-14, **ROCK), Conditions(displacement=HELD), fault)
