"""Faults through cells that seal: pressures of the pores jump across them as across a fault along facets."""

from itertools import pairwise

import numpy as np
import pytest
import skfem

import femnn
from femnn.exceptions import ParameterError
from femnn.interfaces import EmbeddedCrack
from femnn.reservoir import Conditions, DualPorousMedium, PorousMedium, Well, march
from femnn.reservoir.fault import (
    ConstantCore,
    CrackedCore,
    EmbeddedFault,
    EmbeddedReservoir,
    Fault,
    FaultedReservoir,
    load_state,
    save_state,
)

ROCK = {"young": 10e9, "poisson": 0.25}
CLOSED = femnn.ContactCohesive(1e13, friction=0.6)
MOBILITY = 1e-14 / 1e-3
SINGLE = PorousMedium(permeability=1e-14, biot=0.8, **ROCK)
DUAL = DualPorousMedium(
    permeability=1e-14, biot=0.8, macro_fraction=0.3, micro_permeability=1e-16, exchange=1e-15, **ROCK
)


def box(dim, n=4, skew=0.0, size=1.0):
    """A block of irregular cells with named sides, which are all held."""
    kind = skfem.MeshQuad if dim == 2 else skfem.MeshHex
    mesh = kind.init_tensor(*[np.linspace(0.0, size, n + 1)] * dim)
    p = mesh.p.copy()
    inner = ((p > 0.0) & (p < size)).all(axis=0)
    p[:, inner] += skew * np.random.default_rng(3).uniform(-1.0, 1.0, (dim, inner.sum()))
    names = {f"{'low' if side == 0.0 else 'high'}{axis}": (axis, side) for axis in range(dim) for side in (0.0, size)}
    return kind(p, mesh.t).with_boundaries({
        name: lambda x, axis=axis, side=side: x[axis] == side for name, (axis, side) in names.items()
    })  # fmt: skip


def held(dim):
    return {f"{side}{axis}": (0.0,) * dim for side in ("low", "high") for axis in range(dim)}


@pytest.mark.parametrize("height", [0.51, 0.41, 0.62])
@pytest.mark.parametrize("medium", [SINGLE, DUAL])
def test_steady_flow_across_a_resisting_layer_is_that_of_resistances_in_a_row(height, medium):
    """Darcy's law in rock, core and rock one after the other."""
    mesh, core = box(2), ConstantCore(1e-18, 0.3)
    crack = EmbeddedCrack.line(mesh, (-1.0, height), (2.0, height))
    fault = EmbeddedFault(crack, CLOSED, core, stress=-1e7 * np.eye(2))
    conditions = Conditions(displacement=held(2), pressure={"low1": 1e6, "high1": 0.0})
    reservoir = EmbeddedReservoir(medium, conditions, fault)
    (fields,) = reservoir.fields(reservoir.step(reservoir.initial_state(), 1e13))
    resisted = 0.3 * 1e-3 / 1e-18
    area = fault.crack.dx.sum(axis=1)
    for system in range(len(reservoir.systems)):
        # micropores exchange nothing with macropores of the same pressure: each system has its own way through
        mobility = reservoir.porous.constants.mobility[system, 1, 1, 0]
        if medium is SINGLE:
            flow = 1e6 / (1.0 / mobility + resisted)
            np.testing.assert_allclose(fields.across[system], flow * area, rtol=1e-6)
            np.testing.assert_allclose(fields.beside[0, system], 1e6 - flow * height / mobility, rtol=1e-9)
            np.testing.assert_allclose(fields.beside[1, system], flow * (1.0 - height) / mobility, rtol=1e-6)
            np.testing.assert_allclose(fields.pressure, fields.beside[:, system].mean(axis=0), rtol=1e-9)
        else:
            assert (np.diff(fields.beside[:, system], axis=0) < -9e5).all()


@pytest.mark.parametrize("dim", [2, 3])
def test_a_seal_between_two_pressures_leaks_what_it_lets_through_in_distorted_cells(dim):
    """Constant pressures on both sides are a solution, whatever the cells and wherever the fault cuts them."""
    mesh = box(dim, skew=0.04)
    if dim == 2:
        crack = EmbeddedCrack.line(mesh, (-1.0, 0.23), (2.0, 0.83))
    else:
        crack = EmbeddedCrack.plane(mesh, (0.5, 0.51, 0.46), (0.23, 0.1, 1.0))
    fault = EmbeddedFault(crack, CLOSED, ConstantCore(1e-22, 0.1), stress=-1e7 * np.eye(dim))
    far = f"high{dim - 1}"
    conditions = Conditions(displacement=held(dim), pressure={f"low{dim - 1}": 1e6, far: 0.0})
    reservoir = EmbeddedReservoir(SINGLE, conditions, fault)
    state = reservoir.step(reservoir.initial_state(), 1e13)
    (fields,) = reservoir.fields(state)
    np.testing.assert_allclose(fields.beside[0], 1e6, rtol=1e-6)
    np.testing.assert_allclose(fields.beside[1], 0.0, atol=1.0)
    area = crack.dx.sum(axis=1)
    np.testing.assert_allclose(fields.across[0], 1e6 * area * 1e-22 / 0.1 / 1e-3, rtol=1e-6)


@pytest.mark.parametrize("dim", [2, 3])
def test_a_core_that_holds_nothing_back_leaves_linear_pressures_as_they_are(dim):
    mesh = box(dim, skew=0.0)
    if dim == 2:
        crack = EmbeddedCrack.line(mesh, (-1.0, 0.23), (2.0, 0.83))
    else:
        crack = EmbeddedCrack.plane(mesh, (0.5, 0.51, 0.46), (0.23, 0.1, 1.0))
    fault = EmbeddedFault(crack, CLOSED, ConstantCore(1e-8, 0.1), sealing=True, stress=-1e7 * np.eye(dim))
    far = f"high{dim - 1}"
    conditions = Conditions(displacement=held(dim), pressure={f"low{dim - 1}": 1e6, far: 0.0})
    reservoir = EmbeddedReservoir(SINGLE, conditions, fault)
    state = reservoir.step(reservoir.initial_state(), 1e13)
    exact = 1e6 * (1.0 - reservoir.porous.pressure_basis.doflocs[-1])
    # one pressure of the fault in a cell is none where the fault is oblique: an error that goes with the cells
    np.testing.assert_allclose(state.p[0], exact, atol=2e4)
    (fields,) = reservoir.fields(state)
    np.testing.assert_allclose(fields.beside[0], fields.beside[1], rtol=1e-3)
    np.testing.assert_allclose(fields.pressure, 1e6 * (1.0 - fields.centre[-1]), atol=4e4)


def injected(n, *, embedded, core, stress=5.9e6):
    """A sealing fault in the middle of a sheared block with a well above it: places, slip, pressures of both sides."""
    x, y = np.linspace(0.0, 100.0, n + 1), np.linspace(0.0, 100.0, n + (2 if embedded else 1))
    mesh = skfem.MeshQuad.init_tensor(x, y).with_boundaries({
        "low0": lambda p: p[0] == 0.0, "high0": lambda p: p[0] == 100.0,
        "low1": lambda p: p[1] == 0.0, "high1": lambda p: p[1] == 100.0,
    })  # fmt: skip
    law = femnn.ContactCohesive(1e12, friction=0.6)
    in_situ = np.array([[-10e6, stress], [stress, -10e6]])
    wells = [Well((50.0, 78.0), rate=1.5e-5)]
    conditions = Conditions(displacement=held(2), pressure={"low1": 0.0}, wells=wells)
    medium = PorousMedium(permeability=2e-15, **ROCK)
    if embedded:
        crack = EmbeddedCrack.line(mesh, (9.0, 50.0), (91.0, 50.0))
        fault = EmbeddedFault(crack, law, core, stress=in_situ)
        reservoir = EmbeddedReservoir(medium, conditions, fault)
    else:
        named = {"fault": lambda p: (p[1] == 50.0) & (np.abs(p[0] - 50.0) < 40.0)}
        mesh = mesh.with_boundaries(named, boundaries_only=False)
        fault = Fault(femnn.Interface.split(mesh, "fault"), law, core, stress=in_situ, pressure="mean")
        reservoir = FaultedReservoir(medium, conditions, fault, element=skfem.ElementQuad1())
    times = np.linspace(0.0, 86400.0, 9)[1:]
    state = march(reservoir.step, reservoir.initial_state(), times, progress=False)
    if embedded:
        (fields,) = reservoir.fields(state)
        place, sides = fields.centre[0], fields.beside[:, 0]
    else:
        fields = reservoir.fields(state)
        upper = fields.pressure[:, 0]
        # which side is which depends on the numbering: the lower pressure is below
        order = np.argsort(upper.mean(axis=1))
        place, sides = fields.x[0], upper[order]
    own, here = np.argsort(fields.x[0]), np.argsort(place)
    return fields.x[0][own], fields.slip[own], place[here], sides[:, here]


def test_a_seal_through_cells_holds_pressure_and_slips_as_one_along_facets():
    core, at, slips = ConstantCore(1e-20, 0.1), np.linspace(12.0, 88.0, 77), {}
    for n in (20, 32):
        wanted, found = (injected(n, embedded=embedded, core=core) for embedded in (False, True))
        for side in range(2):
            exact, value = (np.interp(at, own[2], own[3][side]) for own in (wanted, found))
            scale = np.interp(at, wanted[2], wanted[3][1]).max()
            assert np.abs(value - exact).max() < 0.6 / n * scale
        slips[n] = np.array([np.interp(at, own[0], own[1]).mean() for own in (wanted, found)])
        assert np.interp(50.0, wanted[2], wanted[3][1]) > 3.0 * np.interp(50.0, wanted[2], wanted[3][0])
    assert slips[32][0] > 1e-4
    assert abs(slips[32][1] / slips[32][0] - 1.0) < 0.25
    # what is of first order in the size of the cells goes out, as the tips make it
    exact, value = (32.0 * slips[32] - 20.0 * slips[20]) / 12.0
    assert value == pytest.approx(exact, rel=0.04)


def skewed(dim, medium, law, core):
    """A sealing fault with its tips inside irregular cells, fed; the body is closed but for its top."""
    mesh = box(dim, 6 if dim == 2 else 4, skew=0.02)
    if dim == 2:
        crack = EmbeddedCrack.line(mesh, (0.1, 0.27), (0.93, 0.69))
    else:
        crack = EmbeddedCrack.plane(
            mesh, (0.5, 0.51, 0.46), (0.3, 0.1, 1.0), within=lambda x: np.abs(x[:2] - 0.5).max(axis=0) < 0.3
        )
    stress = -2e6 * np.eye(dim) + 6e5 * (np.eye(dim)[::-1])
    fault = EmbeddedFault(
        crack, law, core, stress=stress, wells=[Well(crack.centre[len(crack) // 2], rate=1e-9)]
    )  # fmt: skip
    rate = 1e-7 if len(medium.systems) == 1 else (1e-7, None)
    wells = [Well((0.52,) * (dim - 1) + (0.93,), rate=rate)]
    conditions = Conditions(displacement={"low0": (0.0,) * dim}, pressure={f"low{dim - 1}": 0.0}, wells=wells)
    return EmbeddedReservoir(medium, conditions, fault)


CASES = [(2, SINGLE), (2, DUAL), (3, SINGLE)]
SEAL = CrackedCore(1e-19, 0.01, along=1e-14, compressibility=1e-9)


@pytest.mark.parametrize(("dim", "medium"), CASES)
def test_tangent_is_the_derivative_of_the_residual(dim, medium):
    law = femnn.BilinearCohesive(4e6, 5e6, 4e3, 5e3, friction=0.4, stiffness=5e10)
    reservoir = skewed(dim, medium, law, SEAL)
    start = reservoir.initial_state()
    assert start.pressure_jumps.size
    random, systems = np.random.default_rng(7), len(reservoir.systems)
    fluid = systems * reservoir.porous.pressure_basis.N + len(start.fault_pressure) + start.pressure_jumps.size
    scale = np.concatenate([np.full(len(start.x) - fluid, 1e-4), np.full(fluid, 1e5)])
    x, way, h = start.x + scale * random.normal(size=len(scale)), scale * random.normal(size=len(scale)), 1e-6
    ends = [reservoir.residual(x + sign * h * way, start, 60.0) for sign in (1.0, -1.0)]
    difference = (ends[0] - ends[1]) / (2.0 * h)
    found = reservoir.tangent(x, start, 60.0) @ way
    for part in (slice(0, len(start.x) - fluid), slice(len(start.x) - fluid, None)):
        np.testing.assert_allclose(found[part], difference[part], atol=1e-6 * np.abs(difference[part]).max())


@pytest.mark.parametrize(("dim", "medium"), CASES)
def test_no_fluid_gets_lost_around_a_seal_and_a_run_goes_on_from_its_file(dim, medium, tmp_path):
    law = femnn.ContactCohesive(1e10, friction=0.5)
    reservoir = skewed(dim, medium, law, SEAL)
    states = [reservoir.initial_state()]
    times = 600.0 * np.arange(1, 6)
    march(reservoir.step, states[0], times, callback=states.append, progress=False)
    for old, new in pairwise(states):
        balance = reservoir.balance(old, new)
        assert balance.error.max() < 1e-10
    (fields,) = reservoir.fields(states[-1])
    # the well is above
    assert fields.beside[1, 0].max() > fields.beside[0, 0].max()
    assert np.abs(states[-1].pressure_jumps).max() > 1e3
    path = tmp_path / "moment.npz"
    save_state(path, states[2])
    again = march(reservoir.step, load_state(path, reservoir), times, progress=False)
    np.testing.assert_array_equal(again.x, states[-1].x)


def test_what_would_have_to_know_the_sides_is_refused():
    mesh, core = box(2), ConstantCore(1e-19, 0.1)
    crack = EmbeddedCrack.line(mesh, (-1.0, 0.4), (2.0, 0.45))
    sealed = EmbeddedFault(crack, CLOSED, core)
    with pytest.raises(ParameterError, match="with sealing=False the pressures of the pores do not jump"):
        EmbeddedReservoir(SINGLE, Conditions(displacement=held(2)), EmbeddedFault(crack, CLOSED, core, sealing=False))
    for given, says in [
        ({"wells": [Well((0.5, 0.41), rate=1e-7)]}, r"well at \[0\.5, 0\.41\] is in a cell that a sealing fault cuts"),
        ({"source": 1e-9}, "a source feeds all cells"),
        ({"flux": {"low0": 1e-9}}, "feeds 1 facets that a sealing fault goes through"),
    ]:
        with pytest.raises(ParameterError, match=says):
            EmbeddedReservoir(SINGLE, Conditions(displacement=held(2), **given), sealed)
